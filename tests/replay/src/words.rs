// SPDX-License-Identifier: GPL-2.0
//! What stands on a tape, in words.

use drbd_core::peer::record::{Answer, Change, NoTape, Quiet, VERSION};
use drbd_core::peer::{Command, Effect, Event, Send};

/// An event.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::State(vnr, state) => format!("P_STATE for volume {vnr}: {state}"),
        Event::Admin(Command::Attach(vnr, disk)) => {
            let [current, bitmap, young, old] = disk.superblock.uuids;
            let (usable, flags) = (disk.usable, disk.superblock.flags.bits());
            format!(
                "attach of volume {vnr}: {usable} sectors, flags {flags:#x}, UUIDs \
                 {current:016X}:{bitmap:016X}:{young:016X}:{old:016X}"
            )
        }
        Event::Admin(command) => format!("command {command:?}"),
        Event::HelperDone { vnr, helper, exit } => {
            format!(
                "helper {} for volume {vnr} has ended with {exit}",
                helper.as_str()
            )
        }
        Event::LinkBroken(reason) => format!("the link is broken: {reason}"),
        other => format!("{other:?}"),
    }
}

/// An effect.
pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::StateChanged { vnr, old, new } => format!("volume {vnr} is now {new}, was {old}"),
        Effect::ConnChanged { old, new } => format!("the connection is now {new}, was {old}"),
        Effect::Send(Send::State(vnr, state)) => {
            format!("send P_STATE for volume {vnr}: {state}")
        }
        Effect::Send(packet) => format!("send {packet:?}"),
        Effect::Help { vnr, helper } => format!("run {} for volume {vnr}", helper.as_str()),
        Effect::Log(vnr, line) => {
            let words = line.to_string();
            if words.is_empty() {
                format!("log for volume {vnr}: {line:?}")
            } else {
                format!("log for volume {vnr}: {words}")
            }
        }
        other => format!("{other:?}"),
    }
}

/// What the driver answered.
pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Random(bits) => format!("random bits: {bits:016X}"),
        Answer::OpenCount(vnr, n) => format!("volume {vnr} is open {n} times"),
        Answer::OpenRequests(vnr, n) => format!("{n} requests of volume {vnr} are under way"),
        Answer::BitsSet(vnr, n) => format!("bits set of volume {vnr}: {n}"),
        Answer::ResyncRequests(vnr, n) => format!("resync requests of volume {vnr}: {n}"),
        Answer::OnIoError(vnr, policy) => format!("on-io-error of volume {vnr}: {policy:?}"),
        Answer::Verified(vnr, n) => format!("blocks verified of volume {vnr}: {n}"),
        Answer::EqualSums(vnr, n) => format!("equal checksums of volume {vnr}: {n:?}"),
    }
}

/// What was changed beside events.
pub(crate) fn change(change: &Change) -> String {
    match change {
        Change::Set(setting) => format!("setting: {setting:?}"),
        Change::Added(vnr) => format!("volume {vnr} was added"),
        Change::Removed(vnr) => format!("volume {vnr} was removed"),
    }
}

/// Events that did nothing.
pub(crate) fn quiet(quiet: &Quiet) -> String {
    let Quiet {
        progress,
        pings,
        lasted,
    } = quiet;
    let seconds = *lasted as f64 / 1000.0;
    format!("within {seconds:.3} s {progress} x progress and {pings} x ping ack changed nothing")
}

/// Why it is no tape.
pub(crate) fn no_tape(why: NoTape) -> String {
    match why {
        NoTape::NoMagic => "this is no tape of a flight recorder".to_owned(),
        NoTape::Version(found) => {
            format!("the tape has version {found}, this program reads {VERSION}")
        }
        NoTape::Short => "the tape is cut off".to_owned(),
    }
}
