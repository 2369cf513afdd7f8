// SPDX-License-Identifier: GPL-2.0
//! Names that `status` and `events2` use for states: not always those of the state itself.

use drbd_core::genl::info::{PeerDeviceInfo, ResourceInfo};
use drbd_core::state::{Conn, Disk, Role};

/// What is printed for a number without a meaning.
const TOO_LARGE: &str = "TOO_LARGE";

fn conn(number: u32) -> Option<Conn> {
    u8::try_from(number)
        .ok()
        .and_then(|number| Conn::try_from(number).ok())
}

/// The state of a connection.
pub(super) fn connection(number: u32) -> &'static str {
    match conn(number) {
        Some(Conn::WFConnection) => "Connecting",
        Some(Conn::WFReportParams) => "Connected",
        Some(state) => state.as_str(),
        None => TOO_LARGE,
    }
}

/// The state of replication between two volumes.
pub(super) fn replication(number: u32) -> &'static str {
    match conn(number) {
        Some(Conn::WFReportParams) => "Off",
        Some(Conn::Connected) => "Established",
        Some(state) => state.as_str(),
        None => TOO_LARGE,
    }
}

/// A disk state.
pub(super) fn disk(number: u32) -> &'static str {
    let state = u8::try_from(number)
        .ok()
        .and_then(|number| Disk::try_from(number).ok());
    state.map_or(TOO_LARGE, Disk::as_str)
}

/// A role.
pub(super) fn role(number: u32) -> &'static str {
    let role = u8::try_from(number)
        .ok()
        .and_then(|number| Role::try_from(number).ok());
    role.map_or(TOO_LARGE, Role::as_str)
}

/// How writes are kept in order.
pub(super) fn write_ordering(number: u32) -> &'static str {
    match number {
        0 => "none",
        1 => "drain",
        2 => "flush",
        3 => "barrier",
        _ => "unknown",
    }
}

/// `yes` or `no`.
pub(super) fn yes_no(is_set: bool) -> &'static str {
    if is_set {
        "yes"
    } else {
        "no"
    }
}

fn list(reasons: &[(bool, &'static str)]) -> String {
    let set: Vec<&str> = reasons
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, n)| *n)
        .collect();
    if set.is_empty() {
        "no".to_owned()
    } else {
        set.join(",")
    }
}

/// Why I/O is suspended, or `no`.
pub(super) fn suspended(info: &ResourceInfo) -> String {
    list(&[
        (info.res_susp, "user"),
        (info.res_susp_nod, "no-data"),
        (info.res_susp_fen, "fencing"),
    ])
}

/// Why resync is paused, or `no`.
pub(super) fn resync_suspended(info: &PeerDeviceInfo) -> String {
    list(&[
        (info.peer_resync_susp_user != 0, "user"),
        (info.peer_resync_susp_peer != 0, "peer"),
        (info.peer_resync_susp_dependency != 0, "dependency"),
    ])
}

/// What new requests wait for, or `no`.
pub(super) fn blocked(upper: bool, lower: bool) -> String {
    list(&[(upper, "upper"), (lower, "lower")])
}
