// SPDX-License-Identifier: GPL-2.0
//! Small parameter sets of requests, and the one small set of a reply.

use super::nest_macro::nest;
use crate::config::option::{OptionSpec, Scale};

/// Most sectors of a device that can be asked for: 2^41, 1 PiB.
pub const SECTORS_MAX: i64 = 1 << 41;
/// `ov_stop_sector` when there is no stop.
pub const NO_STOP_SECTOR: u64 = u64::MAX;

nest! {
    /// Parameters of primary and secondary (`SET_ROLE_PARMS`).
    pub struct SetRoleParms = 6 "set_role_parms" {
        /// `--force`: consider the local data UpToDate.
        assume_uptodate: bool = 1 [mandatory]
            option(OptionSpec::flag("force", Some("overwrite-data-of-peer")));
    }
}

nest! {
    /// Parameters of resize (`RESIZE_PARMS`).
    pub struct ResizeParms = 7 "resize_parms" {
        /// New size in sectors; 0: as large as possible.
        resize_size: u64 = 1 [mandatory]
            option(OptionSpec::number("size", (0, 0, SECTORS_MAX), Scale::Sector, "bytes"));
        /// Assume the peer's disk is as large, while not connected.
        resize_force: bool = 2 [mandatory]
            option(OptionSpec::flag("assume-peer-has-space", None));
        /// Do not resync the new area.
        no_resync: bool = 3 [mandatory] option(OptionSpec::flag("assume-clean", None));
        /// Stripes of the activity log, 1..=1024; absent: as it is.
        al_stripes: Option<u32> = 4
            option(OptionSpec::number("al-stripes", (1, 1, 1024), Scale::One, ""));
        /// Size of a stripe in KiB, 4..=16777216; absent: as it is.
        al_stripe_size: Option<u32> = 5 option(OptionSpec::number(
            "al-stripe-size-kB", (32, 4, 16_777_216), Scale::Kib, ""));
    }
}

nest! {
    /// Parameters of verify (`START_OV_PARMS`).
    pub struct StartOvParms = 9 "start_ov_parms" {
        /// First sector; absent: where an interrupted run stopped, else 0.
        ov_start_sector: Option<u64> = 1 [mandatory]
            option(OptionSpec::number("start", (0, 0, SECTORS_MAX), Scale::Sector, "bytes"));
        /// Sector to stop at; absent: none.
        ov_stop_sector: Option<u64> = 2 [mandatory]
            option(OptionSpec::number("stop", (0, 0, SECTORS_MAX), Scale::Sector, "bytes"));
    }
}

nest! {
    /// Parameters of new-current-uuid (`NEW_C_UUID_PARMS`).
    pub struct NewCUuidParms = 10 "new_c_uuid_parms" {
        /// Clear the bitmap: both sides have the same data.
        clear_bm: bool = 1 [mandatory] option(OptionSpec::flag("clear-bitmap", None));
    }
}

nest! {
    /// Reply to get-timeout-type (`TIMEOUT_PARMS`).
    pub struct TimeoutParms = 11 "timeout_parms" {
        /// Which wait time applies: 0 default, 1 degraded, 2 peer outdated.
        timeout_type: u32 = 1 [required];
    }
}

nest! {
    /// Parameters of disconnect (`DISCONNECT_PARMS`).
    pub struct DisconnectParms = 12 "disconnect_parms" {
        /// Do not ask the peer.
        force_disconnect: bool = 1 [mandatory] option(OptionSpec::flag("force", None));
    }
}

nest! {
    /// Parameters of detach (`DETACH_PARMS`).
    pub struct DetachParms = 13 "detach_parms" {
        /// Do not wait for outstanding requests.
        force_detach: bool = 1 [mandatory] option(OptionSpec::flag("force", None));
    }
}
