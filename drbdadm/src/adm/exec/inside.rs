// SPDX-License-Identifier: GPL-2.0
//! Runs steps of drbdsetup and drbdmeta inside this process.
//!
//! A step with a time limit runs on a thread of its own. When the limit passes the thread is left
//! to itself: it may hang in the kernel, and the program ends right after.

use super::{Executor, Outcome, Output, Spawn};
use crate::adm::plan::{Step, Tool};
use crate::meta::{console::Console, environment::Environment};
use crate::setup::{self, status::terminal_width, Io};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::process::Child;
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::time::Duration;

/// Runs what it can inside this process and starts programs for the rest: handlers, drbd-proxy,
/// and tools that were named on the command line.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// For the rest.
    pub spawn: Spawn,
}

impl Executor for Inside {
    fn execute(&mut self, step: &Step, output: Output, limit: Option<Duration>) -> Outcome {
        let own = match step.tool {
            Tool::Setup => self.spawn.drbdsetup.is_none(),
            Tool::Meta => self.spawn.drbdmeta.is_none(),
            Tool::ProxyCtl | Tool::Shell => false,
        };
        if !own {
            return self.spawn.execute(step, output, limit);
        }
        let job = Job {
            tool: step.tool,
            args: step.args.clone(),
            output,
            quiet: step.quiet,
        };
        let Some(limit) = limit else { return job.run() };
        let (done, result) = channel();
        let worker = std::thread::Builder::new().name(step.name.to_owned());
        // Nobody waits for the result any more once the time has passed.
        let started = worker.spawn(move || drop(done.send(job.run())));
        if let Err(error) = started {
            eprintln!("drbdadm: cannot start {}: {error}", step.name);
            return Outcome {
                code: 20,
                ..Outcome::default()
            };
        }
        match result.recv_timeout(limit) {
            Ok(outcome) => outcome,
            Err(error) => Outcome {
                code: 20,
                timed_out: error == RecvTimeoutError::Timeout,
                ..Outcome::default()
            },
        }
    }

    fn start(&mut self, step: &Step) -> io::Result<Child> {
        self.spawn.start(step)
    }
}

/// One call, free of borrows.
struct Job {
    tool: Tool,
    args: Vec<String>,
    output: Output,
    quiet: bool,
}

impl Job {
    fn run(self) -> Outcome {
        let mut caught = Vec::new();
        let mut sink = io::sink();
        let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
        let is_terminal =
            !matches!(self.output, Output::Stdout | Output::Answer) && stdout.is_terminal();
        let (out, err): (&mut dyn Write, &mut dyn Write) = match self.output {
            Output::Through if self.quiet => (&mut stdout, &mut sink),
            Output::Through => (&mut stdout, &mut stderr),
            Output::Stdout => (&mut caught, &mut sink),
            Output::Stderr => (&mut stdout, &mut caught),
            Output::Answer => (&mut caught, &mut stderr),
        };
        let code = match self.tool {
            Tool::Meta => meta(self.args, out, err),
            _ => {
                let width = terminal_width(is_terminal);
                setup::run(
                    "drbdsetup",
                    &self.args,
                    &mut Io {
                        out,
                        err,
                        is_terminal,
                        width,
                    },
                )
            }
        };
        Outcome {
            code,
            caught,
            timed_out: false,
        }
    }
}

/// drbdmeta; its questions are answered at the terminal only.
fn meta(args: Vec<String>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let stdin = io::stdin();
    let mut answers = stdin.is_terminal().then(|| stdin.lock());
    let input = answers.as_mut().map(|lock| lock as &mut dyn io::BufRead);
    let mut console = Console::new(out, err, input);
    crate::meta::run(
        args.into_iter().map(OsString::from),
        &Environment::default(),
        &mut console,
    )
}
