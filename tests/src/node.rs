// SPDX-License-Identifier: GPL-2.0
//! One node as a scenario sees it: commands, files, waits, cable and plug.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::{Context, LabError, Result};
use crate::klog;
use crate::machine::{Machine, Place};
use crate::protocol::{Reply, Request};
use crate::stack::Stack;
use crate::time;

mod job;

use job::Pending;
pub use job::{Input, Job, Output};

/// How much of a file travels in one frame, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// A node while it has power.
struct Running {
    machine: Machine,
    client: Arc<Client>,
}

/// A node of the lab.
pub struct Node {
    place: Place,
    stack: Mutex<Stack>,
    running: Mutex<Option<Running>>,
    born: Instant,
    /// Where in the console file the log of the current scenario begins, and what it may hold.
    log: Mutex<(u64, Vec<&'static str>)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Adds a line to the node's list of what was asked of it, and how long that took.
    fn note(&self, what: &str, start: Instant) {
        let path = self.place.folder.join("commands.log");
        let now = self.born.elapsed().as_secs_f32();
        let took = start.elapsed().as_secs_f32();
        if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(path) {
            // A note that can't be taken must not fail a scenario.
            let _ = writeln!(file, "{now:8.2} {took:7.2} {what}");
        }
    }

    /// A node without power.
    #[must_use]
    pub fn new(place: Place, stack: Stack) -> Self {
        Self {
            place,
            stack: Mutex::new(stack),
            running: Mutex::new(None),
            born: Instant::now(),
            log: Mutex::new((0, Vec::new())),
        }
    }

    /// Its host name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Its address on the cable, without prefix length.
    #[must_use]
    pub fn address(&self) -> &str {
        self.place.address.split('/').next().unwrap_or_default()
    }

    /// What runs on it.
    #[must_use]
    pub fn stack(&self) -> Stack {
        *locked(&self.stack)
    }

    /// Says what runs on it from now on; [`Stack::install`] makes it true.
    pub(crate) fn set_stack(&self, stack: Stack) {
        *locked(&self.stack) = stack;
    }

    /// Its files on the host.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn error(&self, what: impl Into<String>) -> LabError {
        LabError::Machine {
            node: self.name().to_owned(),
            what: what.into(),
        }
    }

    // Power and cable.

    /// Gives a started machine to the node and waits until the guest is up.
    ///
    /// # Errors
    /// When the guest does not come up; the end of its console is in the message.
    pub fn attach(&self, machine: Machine) -> Result<()> {
        let client = Client::connect(machine.agent_socket()).map_err(|error| {
            let console = fs::read(self.place.console()).unwrap_or_default();
            let console = String::from_utf8_lossy(&console);
            let tail = console.len().saturating_sub(3000);
            self.error(format!(
                "did not boot: {error}\n{}",
                console.get(tail..).unwrap_or_default()
            ))
        })?;
        *locked(&self.running) = Some(Running {
            machine,
            client: Arc::new(client),
        });
        Ok(())
    }

    /// A power cut: the machine is gone at once, its disks keep what they have.
    pub fn pull_the_plug(&self) {
        *locked(&self.running) = None;
    }

    /// After [`Node::pull_the_plug`] upon a boot that came to nothing: what it wrote to the console
    /// from `console_from` on goes to a file of its own. None of our code has run in it, and the
    /// scenario is judged by the boot that follows.
    ///
    /// # Errors
    /// When the files can't be read or written.
    pub fn set_boot_aside(&self, console_from: u64) -> Result<()> {
        let console = self.place.console();
        let words = fs::read(&console).at("read", &console)?;
        let from = usize::try_from(console_from).unwrap_or(usize::MAX);
        let (before, aside) = words.split_at(from.min(words.len()));
        let mut number = 1;
        let path = loop {
            let path = self.place.folder.join(format!("no-boot-{number}.log"));
            if !path.exists() {
                break path;
            }
            number += 1;
        };
        fs::write(&path, aside).at("write", &path)?;
        fs::write(&console, before).at("write", &console)
    }

    /// Whether the machine runs.
    #[must_use]
    pub fn has_power(&self) -> bool {
        locked(&self.running)
            .as_mut()
            .is_some_and(|running| running.machine.is_running())
    }

    /// Pulls the network cable out of this node.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn cut_the_cable(&self) -> Result<()> {
        self.with_machine(|machine| machine.cable(false))
    }

    /// Plugs the network cable in again.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn plug_the_cable(&self) -> Result<()> {
        self.with_machine(|machine| machine.cable(true))
    }

    /// Stops the machine's processors until [`Node::thaw`].
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn freeze(&self) -> Result<()> {
        self.with_machine(|machine| machine.frozen(true))
    }

    /// Lets the machine's processors go on.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn thaw(&self) -> Result<()> {
        self.with_machine(|machine| machine.frozen(false))
    }

    fn with_machine(&self, act: impl FnOnce(&mut Machine) -> Result<()>) -> Result<()> {
        match locked(&self.running).as_mut() {
            Some(running) => act(&mut running.machine),
            None => Err(self.error("has no power")),
        }
    }

    // Calls.

    fn call(&self, request: Request, data: &[u8]) -> Result<Pending<'_>> {
        let client = locked(&self.running)
            .as_ref()
            .map(|running| running.client.clone())
            .ok_or_else(|| self.error("has no power"))?;
        let (id, frames) = client
            .call(request, data)
            .map_err(|error| self.error(format!("is gone: {error}")))?;
        Ok(Pending {
            node: self,
            _client: client,
            id,
            frames,
        })
    }

    /// Starts a program without waiting for its end.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn start(&self, argv: &[&str], input: &[u8]) -> Result<Job<'_>> {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        let command = argv.join(" ");
        let request = Request::Run {
            argv,
            env: Vec::new(),
            interactive: false,
        };
        let pending = self.call(request, input)?;
        Ok(Job {
            pending,
            command,
            output: Output::default(),
        })
    }

    /// Starts a login shell on a terminal of the guest's own, with this many rows and columns;
    /// its input is given by [`Job::input`].
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn start_terminal(&self, rows: u16, columns: u16) -> Result<Job<'_>> {
        let shell = format!("stty rows {rows} cols {columns}; exec bash -l");
        let argv = ["script", "-q", "-c", &shell, "/dev/null"];
        let request = Request::Run {
            argv: argv.map(str::to_owned).to_vec(),
            env: vec![("TERM".into(), "xterm".into())],
            interactive: true,
        };
        Ok(Job {
            pending: self.call(request, b"")?,
            command: "shell".into(),
            output: Output::default(),
        })
    }

    /// Starts a shell command without waiting for its end.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn start_sh(&self, command: &str) -> Result<Job<'_>> {
        let mut job = self.start(&["sh", "-c", command], b"")?;
        command.clone_into(&mut job.command);
        Ok(job)
    }

    /// Runs a shell command to its end, whatever that is.
    ///
    /// # Errors
    /// When it does not end in time, or the machine is gone or unwell.
    pub fn try_sh(&self, command: &str) -> Result<Output> {
        self.start_sh(command)?.wait(time::command())
    }

    /// Runs a shell command that has to succeed; gives its standard output.
    ///
    /// # Errors
    /// As [`Node::try_sh`], and when it fails.
    pub fn sh(&self, command: &str) -> Result<String> {
        self.sh_within(command, time::command())
    }

    /// [`Node::sh`] for a command that may take long.
    ///
    /// # Errors
    /// As [`Node::sh`].
    pub fn sh_within(&self, command: &str, limit: Duration) -> Result<String> {
        self.start_sh(command)?.succeed(limit)
    }

    /// Runs a shell command that has to fail with this exit code; gives all that it said.
    ///
    /// # Errors
    /// As [`Node::try_sh`], and when it ends otherwise.
    pub fn refuses(&self, code: i32, command: &str) -> Result<String> {
        let output = self.try_sh(command)?;
        if output.code == code {
            return Ok(output.text());
        }
        Err(LabError::Command {
            node: self.name().to_owned(),
            command: command.to_owned(),
            output: Box::new(output),
            wanted: format!("should have been refused with exit code {code}"),
        })
    }

    // Files.

    /// Writes a file on the node.
    ///
    /// # Errors
    /// When the node refuses it.
    pub fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        self.put_mode(path, content, 0o644)
    }

    /// Writes a file on the node with permission bits.
    ///
    /// # Errors
    /// When the node refuses it.
    pub fn put_mode(&self, path: &str, content: &[u8], mode: u32) -> Result<()> {
        let mut rest = content;
        let mut append = false;
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(CHUNK_BYTES));
            let path = path.to_owned();
            self.call(Request::Put { path, mode, append }, chunk)?
                .done(time::command())?;
            append = true;
            rest = after;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Copies a file of the host to the node.
    ///
    /// # Errors
    /// When it can't be read here or written there.
    pub fn push(&self, host: &Path, path: &str, mode: u32) -> Result<()> {
        let content = fs::read(host).at("read", host)?;
        self.put_mode(path, &content, mode)
    }

    /// Reads a file of the node.
    ///
    /// # Errors
    /// When the node can't read it.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let path = path.to_owned();
        self.call(Request::Get { path }, b"")?.done(time::command())
    }

    // Waits.

    /// Waits until the text of a file on the node matches; gives that text.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the last text; and when the machine is gone or unwell.
    pub fn wait_file(
        &self,
        what: &str,
        path: &str,
        pattern: &str,
        limit: Duration,
    ) -> Result<String> {
        let request = Request::WaitFile {
            path: path.to_owned(),
            pattern: pattern.to_owned(),
            timeout_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        };
        let start = Instant::now();
        let mut pending = self.call(request, b"")?;
        // The guest counts the time; a guest that can't even do that is unwell.
        let (reply, text) = pending.next(what, limit + time::seconds(60))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        self.note(&format!("(wait) {what}"), start);
        match reply {
            Reply::Matched => Ok(text),
            Reply::TimedOut => Err(LabError::Timeout {
                node: self.name().to_owned(),
                seconds: limit.as_secs(),
                what: what.to_owned(),
                last_seen: format!("{path}:\n{text}"),
            }),
            other => Err(self.error(format!("waiting for {what}: {other:?}"))),
        }
    }

    /// Waits until the line of `minor` in /proc/drbd matches, from its `cs:` on; gives the text
    /// of the whole file.
    ///
    /// # Errors
    /// As [`Node::wait_file`].
    pub fn wait_drbd(&self, minor: u32, pattern: &str) -> Result<String> {
        self.wait_drbd_within(minor, pattern, time::state())
    }

    /// [`Node::wait_drbd`] with a time-out of its own.
    ///
    /// # Errors
    /// As [`Node::wait_file`].
    pub fn wait_drbd_within(&self, minor: u32, pattern: &str, limit: Duration) -> Result<String> {
        let what = format!("minor {minor} to show `{pattern}`");
        self.wait_file(
            &what,
            "/proc/drbd",
            &format!("^ *{minor}: {pattern}"),
            limit,
        )
    }

    // The kernel's log.

    /// Begins a scenario's log: what was logged before is none of its business.
    ///
    /// # Errors
    /// When the node does not log.
    pub fn begin_log(&self, scenario: &str, allowed: &[&'static str]) -> Result<()> {
        self.note(&format!("=== {scenario}"), Instant::now());
        let end = self.mark(&format!("{scenario} begins"))?;
        *locked(&self.log) = (end, allowed.to_vec());
        Ok(())
    }

    /// Writes a line to the kernel's log and waits until the console has it; gives the position
    /// after it.
    fn mark(&self, text: &str) -> Result<u64> {
        let line = format!("lab: {text}");
        let from = fs::metadata(self.place.console()).map_or(0, |meta| meta.len());
        self.put("/dev/kmsg", format!("<5>{line}\n").as_bytes())?;
        let start = Instant::now();
        loop {
            let seen = self.console_from(from)?;
            if let Some(at) = seen.find(&line) {
                return Ok(from + u64::try_from(at + line.len()).unwrap_or(0));
            }
            if start.elapsed() > time::seconds(60) {
                return Err(self.error(format!("the console never showed `{line}`")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn console_from(&self, offset: u64) -> Result<String> {
        let path = self.place.console();
        let bytes = fs::read(&path).at("read", &path)?;
        let from = usize::try_from(offset).unwrap_or(0);
        Ok(String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned())
    }

    /// What the kernel has logged since the scenario began.
    ///
    /// # Errors
    /// When the console's file can't be read.
    pub fn log(&self) -> Result<String> {
        let from = locked(&self.log).0;
        self.console_from(from)
    }

    /// What the kernel has logged since the scenario began, up to this moment: waits until all
    /// of it has reached the host.
    ///
    /// # Errors
    /// When the node does not log.
    pub fn complete_log(&self) -> Result<String> {
        if self.has_power() {
            self.mark("log read")?;
        }
        self.log()
    }

    /// Waits until the kernel has logged `text` since the scenario began.
    ///
    /// # Errors
    /// [`LabError::Timeout`]; and when the console's file can't be read.
    pub fn wait_log(&self, text: &str) -> Result<()> {
        self.wait_log_times(text, 1)
    }

    /// Waits until the kernel has logged `text` so many times since the scenario began.
    ///
    /// # Errors
    /// As [`Node::wait_log`].
    pub fn wait_log_times(&self, text: &str, times: usize) -> Result<()> {
        let start = Instant::now();
        while self.log()?.matches(text).count() < times {
            if start.elapsed() > time::state() {
                return Err(LabError::Timeout {
                    node: self.name().to_owned(),
                    seconds: time::state().as_secs(),
                    what: format!("the log to say `{text}`"),
                    last_seen: String::new(),
                });
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.note(&format!("(wait) log: {text}"), start);
        Ok(())
    }

    /// Fails if the kernel has told of a bug since the scenario began.
    ///
    /// # Errors
    /// [`LabError::KernelLog`] with the lines.
    pub fn is_well(&self) -> Result<()> {
        let allowed = locked(&self.log).1.clone();
        let log = self.log()?;
        let found = klog::trouble(&log, &allowed);
        let unclean = || (!klog::unloads_are_clean(&log)).then(|| log.clone());
        match found.or_else(unclean) {
            None => Ok(()),
            Some(lines) => Err(LabError::KernelLog {
                node: self.name().to_owned(),
                lines,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Stack;

    #[test]
    fn a_boot_that_came_to_nothing_is_set_aside() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("drbd-lab-aside-{}", std::process::id()));
        fs::create_dir_all(&folder).at("make", &folder)?;
        let place = Place {
            name: "alpha".to_owned(),
            address: String::new(),
            peer: None,
            folder: folder.clone(),
        };
        let node = Node::new(place, Stack::OURS);
        let console = node.place().console();
        for boot in ["Oops: int3\n", "BUG: again\n"] {
            fs::write(&console, format!("before\n{boot}")).at("write", &console)?;
            assert!(node.is_well().is_err());
            node.set_boot_aside(7)?;
            assert!(node.is_well().is_ok());
            assert_eq!(node.log()?, "before\n");
        }
        let second = folder.join("no-boot-2.log");
        assert_eq!(
            fs::read_to_string(&second).at("read", &second)?,
            "BUG: again\n"
        );
        fs::remove_dir_all(&folder).at("remove", &folder)
    }
}
