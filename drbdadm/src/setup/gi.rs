// SPDX-License-Identifier: GPL-2.0
//! Short answers about one minor: `role`, `cstate`, `dstate`, `get-gi`, `show-gi`.

use super::client::{Client, Status};
use super::command::Action;
use super::error::SetupError;
use super::{Call, Io};
use drbd_core::genl::Uuids;
use drbd_core::state::{Conn, DeviceState, Disk};
use std::fmt::Write as _;

/// Bits of the metadata's flags (see docs/metadata.md).
mod flag {
    pub(super) const CONSISTENT: u32 = 1 << 0;
    pub(super) const PRIMARY: u32 = 1 << 1;
    pub(super) const CONNECTED: u32 = 1 << 2;
    pub(super) const FULL_SYNC: u32 = 1 << 3;
    pub(super) const WAS_UP_TO_DATE: u32 = 1 << 4;
    pub(super) const PEER_OUTDATED: u32 = 1 << 5;
    pub(super) const CRASHED_PRIMARY: u32 = 1 << 6;
    pub(super) const AL_CLEAN: u32 = 1 << 7;
}

/// The flags in the order in which they are printed.
const PRINTED: [u32; 7] = [
    flag::CONSISTENT,
    flag::WAS_UP_TO_DATE,
    flag::PRIMARY,
    flag::CONNECTED,
    flag::FULL_SYNC,
    flag::PEER_OUTDATED,
    flag::CRASHED_PRIMARY,
];

const LEGEND_ABOVE: &str = "
       +--<  Current data generation UUID  >-
       |               +--<  Bitmap's base data generation UUID  >-
       |               |                 +--<  younger history UUID  >-
       |               |                 |         +-<  older history  >-
       V               V                 V         V
";

const LEGEND_BELOW: &str =
    "                                                                    ^ ^ ^ ^ ^ ^ ^
                                      -<  Data consistency flag  >--+ | | | | | |
                             -<  Data was/is currently up-to-date  >--+ | | | | |
                                  -<  Node was/is currently primary  >--+ | | | |
                                  -<  Node was/is currently connected  >--+ | | |
         -<  Node was in the progress of setting all bits in the bitmap  >--+ | |
                        -<  The peer's disk was out-dated or inconsistent  >--+ |
      -<  This node was a crashed primary, and has not seen its peer since   >--+
";

fn ask(call: &Call) -> Result<Status, SetupError> {
    let minor = call.minor()?;
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    client.status(minor).map_err(about(&call.object))
}

/// Whether a device has neither disk nor connection.
pub(super) fn is_unconfigured(state: &DeviceState) -> bool {
    state.conn == Conn::StandAlone && state.disk == Disk::Diskless
}

/// Runs `role`, `cstate` or `dstate`.
pub(super) fn states(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let state = ask(call)?.device_state().unwrap_or_default();
    if is_unconfigured(&state) {
        writeln!(io.out, "Unconfigured")?;
        return Ok(0);
    }
    match call.command.action {
        Action::Role => writeln!(io.out, "{}/{}", state.role, state.peer)?,
        Action::DiskState => writeln!(io.out, "{}/{}", state.disk, state.pdsk)?,
        _ => writeln!(io.out, "{}", state.conn)?,
    }
    Ok(0)
}

/// Runs `get-gi` or `show-gi`.
pub(super) fn identifiers(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let status = ask(call)?;
    let missing = |text: &str| SetupError::Failed {
        text: format!("{text}\n"),
        exit: 1,
    };
    if is_unconfigured(&status.device_state().unwrap_or_default()) {
        return Err(missing("Device is unconfigured"));
    }
    let info = status.state.unwrap_or_default();
    let (Some(uuids), Some(flags)) = (info.uuids, info.disk_flags) else {
        return Err(missing("Device has no disk"));
    };
    let line = identifiers_line(&uuids, flags);
    if call.command.action == Action::GetGi {
        writeln!(io.out, "{line}")?;
    } else {
        write!(
            io.out,
            "{LEGEND_ABOVE}{line}\n{LEGEND_BELOW}\n{}",
            verdict(flags)
        )?;
    }
    Ok(0)
}

fn identifiers_line(uuids: &Uuids, flags: u32) -> String {
    let mut line = String::new();
    for uuid in uuids {
        let _ = write!(line, "{uuid:016X}:");
    }
    let bits = PRINTED.map(|flag| if flags & flag != 0 { "1" } else { "0" });
    line + &bits.join(":")
}

/// The flags in words.
fn verdict(flags: u32) -> String {
    let is_set = |flag: u32| flags & flag != 0;
    let mut text = String::from("flags:");
    if is_set(flag::CRASHED_PRIMARY) {
        text.push_str(" crashed");
    }
    text.push_str(if is_set(flag::PRIMARY) {
        " Primary, "
    } else {
        " Secondary, "
    });
    text.push_str(if is_set(flag::CONNECTED) {
        "Connected, "
    } else {
        "StandAlone, "
    });
    text.push_str(
        match (is_set(flag::CONSISTENT), is_set(flag::WAS_UP_TO_DATE)) {
            (true, true) => "UpToDate",
            (true, false) => "Outdated",
            (false, _) => "Inconsistent",
        },
    );
    if is_set(flag::FULL_SYNC) {
        text.push_str(", need full sync");
    }
    if is_set(flag::PEER_OUTDATED) {
        text.push_str(", peer Outdated");
    }
    let is_clean = if is_set(flag::AL_CLEAN) {
        "clean"
    } else {
        "need apply-al"
    };
    let _ = write!(text, "\nmeta-data: {is_clean}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::{identifiers_line, verdict};

    /// As drbdsetup-84 printed it for a syncing Primary.
    #[test]
    fn golden() {
        let uuids = [0xA0F0_9F12_2026_8D81, 0x046A_1C52_D080_C971, 4, 0];
        let flags = 0b11_0111;
        assert_eq!(
            identifiers_line(&uuids, flags),
            "A0F09F1220268D81:046A1C52D080C971:0000000000000004:0000000000000000:1:1:1:1:0:1:0"
        );
        assert_eq!(
            verdict(flags),
            "flags: Primary, Connected, UpToDate, peer Outdated\nmeta-data: need apply-al\n"
        );
        assert_eq!(
            verdict(0b1100_1000),
            "flags: crashed Secondary, StandAlone, Inconsistent, need full sync\nmeta-data: clean\n"
        );
    }
}
