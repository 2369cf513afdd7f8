// SPDX-License-Identifier: GPL-2.0
//! Calls under way on a node: programs, their output, their end.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Node;
use crate::client::{Client, Frame};
use crate::error::{LabError, Result};
use crate::protocol::{Reply, Request};
use crate::time;

/// How often a wait looks whether the kernel is still well.
const HEALTH_CHECK: Duration = Duration::from_secs(2);

/// How a command ended and what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 plus the signal if one ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Standard output and error, one after the other.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.out.lines() {
            writeln!(f, "  {line}")?;
        }
        for line in self.err.lines() {
            writeln!(f, "  stderr| {line}")?;
        }
        writeln!(f, "  [exit {}]", self.code)
    }
}

/// A call under way.
pub(super) struct Pending<'a> {
    pub(super) node: &'a Node,
    /// Kept so that the connection lives as long as the call.
    pub(super) _client: Arc<Client>,
    pub(super) id: u64,
    pub(super) frames: Receiver<Frame>,
}

impl Pending<'_> {
    /// The next frame. Looks now and then whether the kernel is well.
    pub(super) fn next(&mut self, what: &str, limit: Duration) -> Result<Frame> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            match self.frames.recv_timeout(left.min(HEALTH_CHECK)) {
                Ok(frame) => return Ok(frame),
                Err(RecvTimeoutError::Disconnected) => {
                    self.node.is_well()?;
                    return Err(self.node.error(format!("went away during: {what}")));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.node.is_well()?;
                    if start.elapsed() >= limit {
                        return Err(LabError::Timeout {
                            node: self.node.name().to_owned(),
                            seconds: limit.as_secs(),
                            what: what.to_owned(),
                            last_seen: String::new(),
                        });
                    }
                }
            }
        }
    }

    /// Collects payloads until the request is done.
    pub(super) fn done(mut self, limit: Duration) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            match self.next("file transfer", limit)? {
                (Reply::Out, data) => all.extend(data),
                (Reply::Done, _) => return Ok(all),
                (Reply::Failed { message }, _) => return Err(self.node.error(message)),
                (other, _) => return Err(self.node.error(format!("unexpected {other:?}"))),
            }
        }
    }
}

/// A program under way on a node.
pub struct Job<'a> {
    pub(super) pending: Pending<'a>,
    pub(super) command: String,
    pub(super) output: Output,
}

impl<'a> Job<'a> {
    /// Waits for its end, whatever that is.
    ///
    /// # Errors
    /// When it does not end in time (it is killed then), or the machine is gone or unwell.
    pub fn wait(mut self, limit: Duration) -> Result<Output> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            if self.step(left)? {
                self.pending.node.note(&self.command, start);
                return Ok(self.output);
            }
        }
    }

    /// Waits for its end, which has to be success; gives its standard output.
    ///
    /// # Errors
    /// As [`Job::wait`], and when it fails.
    pub fn succeed(self, limit: Duration) -> Result<String> {
        let node = self.pending.node.name().to_owned();
        let command = self.command.clone();
        let output = self.wait(limit)?;
        if output.code == 0 {
            return Ok(output.out);
        }
        Err(LabError::Command {
            node,
            command,
            output: Box::new(output),
            wanted: "should have succeeded".into(),
        })
    }

    /// Waits until its output so far satisfies `enough`; gives that output.
    ///
    /// # Errors
    /// When it ends before, or does not get there in time.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut enough: impl FnMut(&Output) -> bool,
    ) -> Result<Output> {
        let start = Instant::now();
        while !enough(&self.output) {
            let left = limit.saturating_sub(start.elapsed());
            if self.step(left)? && !enough(&self.output) {
                return Err(LabError::Command {
                    node: self.pending.node.name().to_owned(),
                    command: self.command.clone(),
                    output: Box::new(self.output.clone()),
                    wanted: format!("should not have ended before {what}"),
                });
            }
        }
        Ok(self.output.clone())
    }

    /// What gives input to an interactive program; it can be used while another thread takes the
    /// output.
    #[must_use]
    pub fn input(&self) -> Input<'a> {
        Input {
            node: self.pending.node,
            target: self.pending.id,
        }
    }

    /// Kills the program with all that it started.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn kill(&self) -> Result<()> {
        let target = self.pending.id;
        self.pending
            .node
            .call(Request::Kill { target }, b"")?
            .done(time::command())
            .map(|_| ())
    }

    /// Passes its output on as it comes, until it ends; gives the exit code.
    ///
    /// # Errors
    /// As [`Job::wait`].
    pub fn stream(mut self, limit: Duration, mut sink: impl FnMut(&Reply, &[u8])) -> Result<i32> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let (reply, data) = self.pending.next(&self.command, left)?;
            match reply {
                Reply::Exit { code } => return Ok(code),
                Reply::Failed { message } => return Err(self.pending.node.error(message)),
                other => sink(&other, &data),
            }
        }
    }

    /// Takes one frame; true when the program has ended.
    fn step(&mut self, left: Duration) -> Result<bool> {
        match self.pending.next(&self.command, left) {
            Ok((Reply::Out, data)) => self.output.out.push_str(&String::from_utf8_lossy(&data)),
            Ok((Reply::Err, data)) => self.output.err.push_str(&String::from_utf8_lossy(&data)),
            Ok((Reply::Exit { code }, _)) => {
                self.output.code = code;
                return Ok(true);
            }
            Ok((Reply::Failed { message }, _)) => return Err(self.pending.node.error(message)),
            Ok((other, _)) => return Err(self.pending.node.error(format!("answered {other:?}"))),
            Err(LabError::Timeout {
                node,
                seconds,
                what,
                ..
            }) => {
                let _ = self.kill();
                return Err(LabError::Timeout {
                    node,
                    seconds,
                    what: format!("the end of: {what}"),
                    last_seen: self.output.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
        Ok(false)
    }
}

/// The keyboard of an interactive program.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    node: &'a Node,
    target: u64,
}

impl Input<'_> {
    /// Types.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn send(&self, keys: &[u8]) -> Result<()> {
        let target = self.target;
        self.node
            .call(Request::Input { target }, keys)?
            .done(time::command())
            .map(|_| ())
    }
}
