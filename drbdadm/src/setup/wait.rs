// SPDX-License-Identifier: GPL-2.0
//! `wait-connect` and `wait-sync`: wait until a minor is connected, or in sync.

use super::client::{Client, Status};
use super::command::Action;
use super::error::{ClientError, SetupError, EXIT_TIMEOUT};
use super::netlink::Incoming;
use super::{sh_status, words, Call, Io};
use drbd_core::genl::status::SibReason;
use drbd_core::genl::Op;
use drbd_core::state::{Conn, DeviceState};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The three wait times in seconds; 0 is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timeouts {
    default: u64,
    degraded: u64,
    outdated: u64,
}

impl Timeouts {
    fn read(call: &Call) -> Result<Self, SetupError> {
        let read = |name: &str| call.parsed.value(name).map_or(Ok(0), words::number);
        Ok(Self {
            default: read("wfc-timeout")?,
            degraded: read("degr-wfc-timeout")?,
            outdated: read("outdated-wfc-timeout")?,
        })
    }

    /// A special case never waits longer than the general one; says so in sentences.
    fn limit(mut self) -> (Self, String) {
        let mut notes = String::new();
        let mut limit = |name: &str, value: &mut u64, other: &str, most: u64| {
            if most > 0 && (*value == 0 || *value > most) {
                *value = most;
                notes += &format!(
                    "{name} has to be shorter than {other}\n\
                     {name} implicitly set to {other} ({most}s)\n"
                );
            }
        };
        limit(
            "degr-wfc-timeout",
            &mut self.degraded,
            "wfc-timeout",
            self.default,
        );
        limit(
            "outdated-wfc-timeout",
            &mut self.outdated,
            "degr-wfc-timeout",
            self.degraded,
        );
        (self, notes)
    }

    fn of_type(self, timeout_type: u32) -> Option<Duration> {
        let seconds = match timeout_type {
            1 => self.degraded,
            2 => self.outdated,
            _ => self.default,
        };
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
struct Goal {
    is_sync: bool,
    wait_after_sb: bool,
}

impl Goal {
    fn is_reached(self, conn: Conn) -> bool {
        if conn < Conn::Unconnected {
            return !self.wait_after_sb;
        }
        if self.is_sync {
            conn == Conn::Connected
        } else {
            conn >= Conn::Connected
        }
    }
}

/// Runs `wait-connect` or `wait-sync`.
pub(super) fn run(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let minor = call.minor()?;
    let (timeouts, notes) = Timeouts::read(call)?.limit();
    io.err.write_all(notes.as_bytes())?;
    let wait_after_sb = match call.parsed.value("wait-after-sb") {
        Some(word) => word == "yes",
        None => call.parsed.has("wait-after-sb"),
    };
    let is_sync = call.command.action == Action::WaitSync;
    let goal = Goal {
        is_sync,
        wait_after_sb,
    };
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let timeout_type = client.timeout_type(minor).map_err(|error| {
        let reason = match error {
            ClientError::Refused { .. } => "minor not available".to_owned(),
            other => other
                .to_string()
                .split(" (os")
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        SetupError::local(format!("error determining which timeout to use: {reason}"))
    })?;
    let deadline = timeouts
        .of_type(timeout_type)
        .map(|timeout| Instant::now() + timeout);
    wait(&mut client, minor, goal, deadline).map_err(about(&call.object))
}

/// Listens first and asks then, so that nothing can slip through.
fn wait(
    client: &mut Client,
    minor: u32,
    goal: Goal,
    deadline: Option<Instant>,
) -> Result<u8, ClientError> {
    client.netlink().subscribe()?;
    let bar = Bar::new(goal.is_sync);
    let first = client.status(minor)?;
    bar.show(&first);
    if first
        .device_state()
        .is_none_or(|state| goal.is_reached(state.conn))
    {
        return Ok(0);
    }
    loop {
        let message = match client.netlink().receive(deadline)? {
            None => return Ok(EXIT_TIMEOUT),
            Some(Incoming::FamilyGone) => return Ok(0),
            Some(Incoming::Message(message)) => message,
            Some(_) => continue,
        };
        if message.op != Some(Op::Event) || message.header.minor() != Some(minor) {
            continue;
        }
        let status = Status::from_message(&message)?;
        bar.show(&status);
        if changed_state(&status).is_some_and(|state| goal.is_reached(state.conn)) {
            return Ok(0);
        }
    }
}

/// The state after a change; none if the event is about something else.
fn changed_state(status: &Status) -> Option<DeviceState> {
    let info = status.state.as_ref()?;
    let word = match SibReason::from_number(info.sib_reason)? {
        SibReason::StatusReply => info.current_state,
        SibReason::StateChange => info.new_state.unwrap_or(info.current_state),
        _ => return None,
    };
    DeviceState::from_word(word).ok()
}

/// A progress bar for a terminal, and nothing otherwise.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(is_wanted: bool) -> Self {
        if !is_wanted || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(1000);
        let template = "{msg:12} [{bar:40}] {percent:>3}% {elapsed_precise}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=>."));
        }
        Self(Some(bar))
    }

    fn show(&self, status: &Status) {
        let (Some(bar), Some(info)) = (&self.0, &status.state) else {
            return;
        };
        if let Some(state) = status.device_state() {
            bar.set_message(state.conn.as_str());
        }
        if let Some(share) = sh_status::per_mille_done(info) {
            bar.set_position(share);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Goal, Timeouts};
    use drbd_core::state::Conn;
    use std::time::Duration;

    const fn timeouts(default: u64, degraded: u64, outdated: u64) -> Timeouts {
        Timeouts {
            default,
            degraded,
            outdated,
        }
    }

    /// The sentences of drbdsetup-84 for `--wfc-timeout=1` alone.
    #[test]
    fn limits() {
        let (limited, notes) = timeouts(1, 0, 0).limit();
        assert_eq!(limited, timeouts(1, 1, 1));
        let expected = "degr-wfc-timeout has to be shorter than wfc-timeout\n\
            degr-wfc-timeout implicitly set to wfc-timeout (1s)\n\
            outdated-wfc-timeout has to be shorter than degr-wfc-timeout\n\
            outdated-wfc-timeout implicitly set to degr-wfc-timeout (1s)\n";
        assert_eq!(notes, expected);
        assert_eq!(
            timeouts(1, 1, 1).limit(),
            (timeouts(1, 1, 1), String::new())
        );
        assert_eq!(
            timeouts(0, 0, 0).limit(),
            (timeouts(0, 0, 0), String::new())
        );
        assert_eq!(timeouts(9, 5, 7).limit().0, timeouts(9, 5, 5));
        assert_eq!(timeouts(9, 5, 7).of_type(0), Some(Duration::from_secs(9)));
        assert_eq!(timeouts(9, 5, 7).of_type(1), Some(Duration::from_secs(5)));
        assert_eq!(timeouts(9, 5, 7).of_type(2), Some(Duration::from_secs(7)));
        assert_eq!(timeouts(0, 0, 0).of_type(1), None);
    }

    #[test]
    fn goals() {
        let connect = Goal {
            is_sync: false,
            wait_after_sb: false,
        };
        let sync = Goal {
            is_sync: true,
            wait_after_sb: true,
        };
        assert!(connect.is_reached(Conn::SyncTarget) && !sync.is_reached(Conn::SyncTarget));
        assert!(connect.is_reached(Conn::Connected) && sync.is_reached(Conn::Connected));
        assert!(connect.is_reached(Conn::StandAlone) && !sync.is_reached(Conn::StandAlone));
        assert!(!connect.is_reached(Conn::WFConnection));
    }
}
