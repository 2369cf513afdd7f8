// SPDX-License-Identifier: GPL-2.0
//! `sh-status`: shell assignments per volume, for drbd-overview and the init script.

use super::client::{is_unknown_resource, Client, Status};
use super::error::{ClientError, SetupError};
use super::{words, Call, Io};
use drbd_core::genl::status::StateInfo;
use drbd_core::genl::{ErrCode, RetCode};
use drbd_core::proc::per_mille;
use drbd_core::state::{Conn, DeviceState, Disk, Role};
use std::io::{self, Write};

/// Exit code for a resource that does not exist: stock hands the errno through.
const EXIT_NO_RESOURCE: u8 = 19;

/// Runs `sh-status`.
pub(super) fn run(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let statuses = match (call.resource(), words::minor(&call.object)) {
        (Some(_), Ok(minor)) => match client.status(minor) {
            Ok(status) => vec![status],
            Err(error) if error.code() == Some(RetCode::from(ErrCode::MinorInvalid)) => {
                print_unknown(io.out, minor)?;
                return Ok(0);
            }
            Err(error) => return Err(about(&call.object)(error)),
        },
        (resource, _) => match client.statuses(resource) {
            Ok(statuses) => statuses,
            Err(error) if is_unknown_resource(&error) => return Ok(EXIT_NO_RESOURCE),
            Err(ClientError::Timeout) => return Ok(super::error::EXIT_TIMEOUT),
            Err(error) => return Err(about(&call.object)(error)),
        },
    };
    for status in &statuses {
        print(io.out, status)?;
    }
    Ok(0)
}

fn print_unknown(out: &mut dyn Write, minor: u32) -> io::Result<()> {
    writeln!(out, "_minor={minor}\n_res_name=\n_volume=-1")?;
    print_unconfigured(out, "NA # not available or not yet created")
}

fn print_unconfigured(out: &mut dyn Write, known: &str) -> io::Result<()> {
    writeln!(out, "_known={known}\n\n_cstate=Unconfigured")?;
    writeln!(out, "_role=\n_peer=\n_disk=\n_pdsk=")?;
    writeln!(
        out,
        "_flags_susp=\n_flags_aftr_isp=\n_flags_peer_isp=\n_flags_user_isp="
    )?;
    write!(out, "_resynced_percent=\n\n_sh_status_process\n\n\n")
}

fn print(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    // A resource without volumes has neither minor nor volume; stock prints them as -1.
    let minor = status.minor.unwrap_or(u32::MAX);
    let volume = status
        .context
        .volume
        .map_or("-1".to_owned(), |volume| volume.to_string());
    writeln!(
        out,
        "_minor={minor}\n_res_name={}\n_volume={volume}",
        status.resource()
    )?;
    let (Some(info), Some(state)) = (&status.state, status.device_state()) else {
        return print_unconfigured(out, "NA # not available or not yet created");
    };
    let is_unused = state.conn == Conn::StandAlone
        && state.disk == Disk::Diskless
        && state.role != Role::Primary;
    if is_unused {
        return print_unconfigured(out, "Unconfigured");
    }
    print_configured(out, info, &state)
}

fn print_configured(out: &mut dyn Write, info: &StateInfo, state: &DeviceState) -> io::Result<()> {
    let flag = |is_set: bool| if is_set { "1" } else { "" };
    writeln!(out, "_known=Configured\n\n_cstate={}", state.conn)?;
    writeln!(out, "_role={}\n_peer={}", state.role, state.peer)?;
    writeln!(out, "_disk={}\n_pdsk={}\n", state.disk, state.pdsk)?;
    writeln!(out, "_flags_susp={}", flag(state.susp))?;
    writeln!(out, "_flags_aftr_isp={}", flag(state.aftr_isp))?;
    writeln!(out, "_flags_peer_isp={}", flag(state.peer_isp))?;
    writeln!(out, "_flags_user_isp={}\n", flag(state.user_isp))?;
    writeln!(
        out,
        "_resynced_percent={}\n",
        percent(info).unwrap_or_default()
    )?;
    write!(out, "_sh_status_process\n\n\n")
}

/// How far a resync or verify is in 0.1 %; none if there is none.
pub(super) fn per_mille_done(info: &StateInfo) -> Option<u64> {
    let total = info.bits_rs_total?;
    if total == 0 {
        return Some(1000);
    }
    let left = info
        .bits_oos?
        .saturating_sub(info.bits_rs_failed.unwrap_or_default());
    Some(per_mille(total, left))
}

/// The same in percent, with one decimal.
pub(super) fn percent(info: &StateInfo) -> Option<String> {
    per_mille_done(info).map(|share| format!("{}.{}", share / 10, share % 10))
}

#[cfg(test)]
mod tests {
    use super::{percent, print, print_unknown};
    use crate::setup::client::Status;
    use drbd_core::genl::status::StateInfo;
    use drbd_core::genl::{Context, Text};
    use drbd_core::state::{Conn, DeviceState, Disk, Role};

    #[test]
    fn golden() {
        let state = DeviceState {
            role: Role::Primary,
            peer: Role::Secondary,
            conn: Conn::SyncSource,
            disk: Disk::UpToDate,
            pdsk: Disk::Inconsistent,
            ..DeviceState::NEW
        };
        let status = Status {
            minor: Some(1),
            context: Context::device(Text::new(b"r0").expect("short"), 0),
            res_opts: None,
            disk_conf: None,
            net_conf: None,
            state: Some(StateInfo {
                current_state: state.to_word(),
                bits_oos: Some(5000),
                bits_rs_total: Some(32_758),
                ..StateInfo::default()
            }),
        };
        let mut out = Vec::new();
        print(&mut out, &status).expect("memory");
        let expected = "_minor=1\n_res_name=r0\n_volume=0\n_known=Configured\n\n\
            _cstate=SyncSource\n_role=Primary\n_peer=Secondary\n_disk=UpToDate\n\
            _pdsk=Inconsistent\n\n_flags_susp=\n_flags_aftr_isp=\n_flags_peer_isp=\n\
            _flags_user_isp=\n\n_resynced_percent=87.5\n\n_sh_status_process\n\n\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn unknown_minor() {
        let mut out = Vec::new();
        print_unknown(&mut out, 99).expect("memory");
        let expected = "_minor=99\n_res_name=\n_volume=-1\n\
            _known=NA # not available or not yet created\n\n_cstate=Unconfigured\n_role=\n_peer=\n\
            _disk=\n_pdsk=\n_flags_susp=\n_flags_aftr_isp=\n_flags_peer_isp=\n_flags_user_isp=\n\
            _resynced_percent=\n\n_sh_status_process\n\n\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn no_resync_no_percent() {
        assert_eq!(percent(&StateInfo::default()), None);
    }
}
