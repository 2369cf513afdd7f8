// SPDX-License-Identifier: GPL-2.0
//! Carries out the host's calls, each in a thread of its own.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{killpg, Signal};
use nix::unistd::Pid;
use regex_lite::RegexBuilder;

use crate::protocol::{receive, send, Answer, Call, Reply, Request, PORT_NAME};

/// How often a file that is waited for is read again.
const REREAD: Duration = Duration::from_millis(50);
/// How long output is still taken after the program itself has ended: a program that it left
/// behind may hold the pipes open for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// How much of a file or an output travels in one frame, in bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// What all calls share.
#[derive(Clone)]
struct Server {
    port: Arc<Mutex<File>>,
    /// The running programs, by the id of their call.
    running: Arc<Mutex<HashMap<u64, Program>>>,
}

/// A program that the host started.
struct Program {
    group: i32,
    /// Of an interactive program.
    input: Option<ChildStdin>,
}

/// Serves the port until the host goes away.
///
/// # Errors
/// When the port is missing, can't be opened, or breaks.
pub fn run() -> io::Result<()> {
    let mut from = OpenOptions::new().read(true).write(true).open(port()?)?;
    let server = Server {
        port: Arc::new(Mutex::new(from.try_clone()?)),
        running: Arc::default(),
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    server.answer(
        0,
        Reply::Hello {
            kernel: kernel.trim().to_owned(),
        },
        &[],
    );
    loop {
        let (call, data) = receive::<Call>(&mut from)?;
        let server = server.clone();
        thread::spawn(move || {
            let id = call.id;
            if let Err(error) = server.carry_out(call, &data) {
                let message = error.to_string();
                server.answer(id, Reply::Failed { message }, &[]);
            }
        });
    }
}

/// Finds the device of the port by the name that QEMU gave it.
fn port() -> io::Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT_NAME {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no virtio port named {PORT_NAME}"),
    ))
}

impl Server {
    /// Sends one frame. A port that broke ends the reader as well, so nothing is lost by silence.
    fn answer(&self, id: u64, reply: Reply, data: &[u8]) {
        if let Ok(mut port) = self.port.lock() {
            let _ = send(&mut *port, &Answer { id, reply }, data);
        }
    }

    fn carry_out(&self, call: Call, data: &[u8]) -> io::Result<()> {
        let id = call.id;
        match call.request {
            Request::Run {
                argv,
                env,
                interactive,
            } => self.run(id, &argv, env, data, interactive),
            Request::Input { target } => {
                if let Ok(mut running) = self.running.lock() {
                    if let Some(input) = running.get_mut(&target).and_then(|p| p.input.as_mut()) {
                        input.write_all(data)?;
                    }
                }
                self.answer(id, Reply::Done, &[]);
                Ok(())
            }
            Request::Kill { target } => {
                let group = self
                    .running
                    .lock()
                    .ok()
                    .and_then(|r| r.get(&target).map(|p| p.group));
                if let Some(group) = group {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                self.answer(id, Reply::Done, &[]);
                Ok(())
            }
            Request::Put { path, mode, append } => {
                put(Path::new(&path), mode, append, data)?;
                self.answer(id, Reply::Done, &[]);
                Ok(())
            }
            Request::Get { path } => {
                let mut file = File::open(path)?;
                self.forward(id, &mut file, &Reply::Out)?;
                self.answer(id, Reply::Done, &[]);
                Ok(())
            }
            Request::WaitFile {
                path,
                pattern,
                timeout_ms,
            } => self.wait_file(id, &path, &pattern, Duration::from_millis(timeout_ms)),
        }
    }

    /// Sends all that `from` gives, in frames of kind `reply`.
    fn forward(&self, id: u64, from: &mut impl Read, reply: &Reply) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.answer(id, reply.clone(), buffer.get(..count).unwrap_or(&[])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn run(
        &self,
        id: u64,
        argv: &[String],
        env: Vec<(String, String)>,
        input: &[u8],
        interactive: bool,
    ) -> io::Result<()> {
        let (program, arguments) = argv
            .split_first()
            .ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("HOME", "/root")
            .env("LC_ALL", "C")
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .envs(env)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = i32::try_from(child.id()).map_err(io::Error::other)?;
        let (ended, all_ended) = channel();
        if let Some(out) = child.stdout.take() {
            self.pump(id, out, Reply::Out, ended.clone());
        }
        if let Some(err) = child.stderr.take() {
            self.pump(id, err, Reply::Err, ended);
        }
        if let Ok(mut running) = self.running.lock() {
            // Before the input is written: it can be killed while it does not take it.
            running.insert(id, Program { group, input: None });
        }
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not want its input just ends without it.
            let _ = stdin.write_all(input);
            if interactive {
                if let Some(program) = self
                    .running
                    .lock()
                    .ok()
                    .as_mut()
                    .and_then(|r| r.get_mut(&id))
                {
                    program.input = Some(stdin);
                }
            }
        }
        let status = child.wait()?;
        if let Ok(mut running) = self.running.lock() {
            running.remove(&id);
        }
        let limit = Instant::now() + LAST_OUTPUT;
        while all_ended
            .recv_timeout(limit.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        self.answer(id, Reply::Exit { code }, &[]);
        Ok(())
    }

    /// Forwards one pipe in the background; says on `ended` when it is through.
    fn pump(&self, id: u64, mut from: impl Read + Send + 'static, reply: Reply, ended: Sender<()>) {
        let server = self.clone();
        thread::spawn(move || {
            let _ = server.forward(id, &mut from, &reply);
            let _ = ended.send(());
        });
    }

    fn wait_file(&self, id: u64, path: &str, pattern: &str, limit: Duration) -> io::Result<()> {
        let pattern = RegexBuilder::new(pattern)
            .multi_line(true)
            .build()
            .map_err(io::Error::other)?;
        let start = Instant::now();
        loop {
            let text = fs::read(path).unwrap_or_default();
            if pattern.is_match(&String::from_utf8_lossy(&text)) {
                self.answer(id, Reply::Matched, &text);
                return Ok(());
            }
            if start.elapsed() >= limit {
                self.answer(id, Reply::TimedOut, &text);
                return Ok(());
            }
            // Files of proc and sysfs can't be watched, only read again.
            thread::sleep(REREAD);
        }
    }
}

fn put(path: &Path, mode: u32, append: bool, data: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .mode(mode)
        .open(path)?;
    file.write_all(data)?;
    if path.starts_with("/proc") || path.starts_with("/sys") {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}
