// SPDX-License-Identifier: GPL-2.0
//! `wait-con-int`: the dialog at boot. Waits for all peers, and lets the operator stop that.

use crate::adm::cli::Request;
use crate::adm::exec::Runner;
use crate::adm::load::Loaded;
use crate::adm::plan::{wait_connect, Step};
use drbd_conf::tree::{lookup, Resource};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::Child;
use std::time::{Duration, Instant};

/// Seconds of dots before anybody is asked.
const PATIENCE: u64 = 10;

/// Waits for every volume of every resource. The result is always 0.
pub fn connect_interactively(runner: &mut Runner<'_>, loaded: &Loaded, request: &Request) -> u8 {
    let here = loaded
        .parsed
        .config
        .resources
        .iter()
        .filter(|resource| !resource.is_ignored());
    let here: Vec<&Resource> = here
        .filter(|resource| resource.binding.stacked == request.options.stacked)
        .collect();
    let steps: Vec<Step> = here.iter().flat_map(|resource| of(resource)).collect();
    for step in &steps {
        runner.announce(step);
    }
    if runner.dry_run > 0 || steps.is_empty() {
        return 0;
    }
    let mut children = runner.start_all(&steps);
    let mut console = Console::open();
    let Some(first) = here.first() else { return 0 };
    if wait_with_dots(&mut children, &mut console) {
        return 0;
    }
    let refresh = loaded.parsed.config.globals().dialog_refresh.unwrap_or(1);
    console.dialog(&mut children, &banner(first), u64::from(refresh));
    0
}

fn of(resource: &Resource) -> Vec<Step> {
    let volumes = resource.me().map_or(&[][..], |me| me.volumes.as_slice());
    volumes
        .iter()
        .map(|volume| wait_connect(resource, volume, &[]))
        .collect()
}

/// True when all children have ended.
fn all_ended(children: &mut Vec<Child>) -> bool {
    children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    children.is_empty()
}

/// Shows the operator a dot each second, up to ten; true when everything ended meanwhile.
fn wait_with_dots(children: &mut Vec<Child>, console: &mut Console) -> bool {
    let begin = Instant::now();
    let mut dots = 0;
    while begin.elapsed() < Duration::from_secs(PATIENCE) {
        if all_ended(children) {
            if dots > 0 {
                console.say("\n");
            }
            return true;
        }
        if begin.elapsed() >= Duration::from_secs(dots + 1) {
            console.say(".");
            dots += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// What the operator should know: the limits of the first resource.
fn banner(first: &Resource) -> String {
    let limit = |name| lookup(&first.startup, name).map_or("0", |setting| setting.value.as_str());
    let stars = "*".repeat(63);
    format!(
        "\n{stars}\n DRBD waits for the peers of this node's resources.\n\n \
         If this node ran alone before it went down, the limit is\n   \
         degr-wfc-timeout, {} seconds; otherwise wfc-timeout, {} seconds.\n \
         (Of resource '{}'; 0 means for ever.)\n{stars}\n",
        limit("degr-wfc-timeout"),
        limit("wfc-timeout"),
        first.name.value,
    )
}

/// Where the operator sits.
struct Console {
    input: Option<File>,
    output: Option<File>,
}

impl Console {
    /// The terminal of this process, else `/dev/console`.
    fn open() -> Self {
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            let tty = |write: bool| {
                OpenOptions::new()
                    .read(!write)
                    .write(write)
                    .open("/dev/tty")
                    .ok()
            };
            return Console {
                input: tty(false),
                output: tty(true),
            };
        }
        eprintln!("drbdadm: no terminal, using /dev/console");
        Console {
            input: File::open("/dev/console").ok(),
            output: OpenOptions::new().write(true).open("/dev/console").ok(),
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(output) = &mut self.output {
            // A console that can't be written to has no reader either.
            let _ = output.write_all(text.as_bytes());
        }
    }

    /// Asks until all children have ended or the operator says yes.
    fn dialog(mut self, children: &mut Vec<Child>, banner: &str, refresh: u64) {
        self.say(banner);
        let begin = Instant::now();
        let mut typed = String::new();
        let mut drawn = None;
        while !all_ended(children) {
            let seconds = begin.elapsed().as_secs() + PATIENCE;
            let due = match drawn {
                None => true,
                Some(at) => refresh != 0 && seconds >= at + refresh,
            };
            if due {
                self.say(&format!(
                    "\r To stop waiting type 'yes' [{seconds:4}]: {typed}"
                ));
                drawn = Some(seconds);
            }
            if self.read(&mut typed) {
                for child in children.iter() {
                    if let Ok(pid) = i32::try_from(child.id()) {
                        // It may have ended by itself just now.
                        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
                    }
                }
                for child in children.iter_mut() {
                    // Nothing is left to be done with a child that can't be waited for.
                    let _ = child.wait();
                }
                break;
            }
        }
        self.say("\n");
    }

    /// Reads what was typed within half a second; true when it is a yes.
    fn read(&mut self, typed: &mut String) -> bool {
        let Some(input) = &mut self.input else {
            std::thread::sleep(Duration::from_millis(500));
            return false;
        };
        if !readable(input.as_fd()) {
            return false;
        }
        let mut bytes = [0; 64];
        match input.read(&mut bytes) {
            Ok(count) if count > 0 => {
                typed.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or(&[])));
            }
            // The console is gone: wait for the children only.
            _ => self.input = None,
        }
        let yes = typed.lines().any(|line| line.trim() == "yes") && typed.contains('\n');
        if typed.ends_with('\n') {
            typed.clear();
        }
        yes
    }
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(500_u16)).is_ok_and(|ready| ready > 0)
}
