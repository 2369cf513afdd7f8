// SPDX-License-Identifier: GPL-2.0
//! What a wanted state implies: the automatic adjustments, in their fixed order.
//!
//! A caller asks for one field, say `conn = NetworkFailure`; the other fields follow here. Later
//! steps see the results of earlier ones (docs/states.md, "Implied changes").

use core::fmt;

use super::facts::{Facts, Fencing, OnNoData};
use super::names::{Conn, Disk, Role};
use super::word::DeviceState;

/// Something the adjustment did that deserves a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// A verify was ended because a disk is gone.
    VerifyAborted,
    /// A resync was ended because a disk is gone.
    ResyncAborted,
    /// The link went while the disk was Negotiating, and its data is not what was exposed.
    LostWhileNegotiating,
    /// The own disk was raised to the least the connection state allows.
    UpgradedDisk,
    /// The peer's disk was raised to the least the connection state allows.
    UpgradedPdsk,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Warning::VerifyAborted => "Online-verify aborted.",
            Warning::ResyncAborted => "Resync aborted.",
            Warning::LostWhileNegotiating => "Connection lost while negotiating, no data!",
            Warning::UpgradedDisk => "Implicitly upgraded disk",
            Warning::UpgradedPdsk => "Implicitly upgraded pdsk",
        })
    }
}

/// The disk states that a connection state allows, ends included.
struct Clamp {
    disk: (Disk, Disk),
    pdsk: (Disk, Disk),
}

const fn clamp_of(conn: Conn) -> Clamp {
    use Conn as C;
    use Disk as D;
    let (disk, pdsk) = match conn {
        C::WFBitMapT | C::PausedSyncT | C::WFSyncUUID | C::Behind => {
            ((D::Inconsistent, D::Outdated), (D::UpToDate, D::UpToDate))
        }
        C::VerifyS | C::VerifyT => ((D::UpToDate, D::UpToDate), (D::UpToDate, D::UpToDate)),
        C::Connected => ((D::Diskless, D::UpToDate), (D::Diskless, D::UpToDate)),
        C::WFBitMapS | C::PausedSyncS | C::StartingSyncS | C::Ahead => {
            ((D::UpToDate, D::UpToDate), (D::Inconsistent, D::Consistent))
        }
        // All of it is to be replaced: if the link goes before the peer's sync UUID has come,
        // nothing but the disk's state tells that.
        C::StartingSyncT | C::SyncTarget => (
            (D::Inconsistent, D::Inconsistent),
            (D::UpToDate, D::UpToDate),
        ),
        C::SyncSource => (
            (D::UpToDate, D::UpToDate),
            (D::Inconsistent, D::Inconsistent),
        ),
        C::StandAlone
        | C::Disconnecting
        | C::Unconnected
        | C::Timeout
        | C::BrokenPipe
        | C::NetworkFailure
        | C::ProtocolError
        | C::TearDown
        | C::WFConnection
        | C::WFReportParams => ((D::Diskless, D::UpToDate), (D::Inconsistent, D::DUnknown)),
    };
    Clamp { disk, pdsk }
}

/// Primary, cut off, and the peer not known to be outdated: with `resource-and-stonith` I/O has to
/// stop until the peer is fenced.
fn needs_fencing(s: &DeviceState) -> bool {
    s.role == Role::Primary && s.conn < Conn::Connected && s.pdsk > Disk::Outdated
}

/// Primary without access to UpToDate data.
pub(super) fn primary_without_data(s: &DeviceState) -> bool {
    s.role == Role::Primary && s.disk < Disk::UpToDate && s.pdsk < Disk::UpToDate
}

/// Adjusts the wanted state `new`, given the current state `old`; tells at most one warning, the
/// last that came up.
#[must_use]
pub fn sanitise(
    facts: &Facts,
    old: &DeviceState,
    mut new: DeviceState,
) -> (DeviceState, Option<Warning>) {
    let mut warning = None;
    let s = &mut new;
    if s.conn < Conn::Connected {
        forget_peer(s);
    }
    if s.conn == Conn::StandAlone && s.disk == Disk::Diskless && s.role == Role::Secondary {
        s.aftr_isp = false;
    }
    if s.conn > Conn::Connected && (s.disk <= Disk::Failed || s.pdsk <= Disk::Failed) {
        warning = Some(if s.conn.is_verify() {
            Warning::VerifyAborted
        } else {
            Warning::ResyncAborted
        });
        if !s.conn.is_verify() {
            give_up_target(s);
        }
        s.conn = Conn::Connected;
    }
    if s.conn < Conn::Connected
        && s.disk == Disk::Negotiating
        && old.disk >= Disk::Negotiating
        && !end_negotiation(facts, s)
    {
        warning = Some(Warning::LostWhileNegotiating);
    }
    if let Some(w) = fit_disks(s, old.disk) {
        warning = Some(w);
    }
    let fencing = facts.fencing_of(old.disk);
    if fencing == Fencing::ResourceAndStonith && needs_fencing(s) && !needs_fencing(old) {
        s.susp_fen = true;
    }
    if facts.on_no_data == OnNoData::SuspendIo
        && primary_without_data(s)
        && !primary_without_data(old)
    {
        s.susp_nod = true;
    }
    s.conn = match (s.is_paused(), s.conn) {
        (true, Conn::SyncSource) => Conn::PausedSyncS,
        (true, Conn::SyncTarget) => Conn::PausedSyncT,
        (false, Conn::PausedSyncS) => Conn::SyncSource,
        (false, Conn::PausedSyncT) => Conn::SyncTarget,
        (_, conn) => conn,
    };
    (new, warning)
}

/// Not connected: nothing is known of the peer, except that its disk was Inconsistent or Outdated,
/// which it can't mend without us.
fn forget_peer(s: &mut DeviceState) {
    s.peer_isp = false;
    s.peer = Role::Unknown;
    if s.pdsk > Disk::DUnknown || s.pdsk < Disk::Inconsistent {
        s.pdsk = Disk::DUnknown;
    }
}

/// The disk that was to be overwritten lacks what its source had: without that one it must not
/// become UpToDate by being connected ([`fit_disks`]). No disk stays Outdated while connected, so
/// it counts as Inconsistent.
fn give_up_target(s: &mut DeviceState) {
    let behind = match s.conn {
        Conn::WFBitMapT
        | Conn::WFSyncUUID
        | Conn::PausedSyncT
        | Conn::Behind
        | Conn::StartingSyncT
        | Conn::SyncTarget => &mut s.disk,
        _ => &mut s.pdsk,
    };
    if matches!(*behind, Disk::Consistent | Disk::Outdated) {
        *behind = Disk::Inconsistent;
    }
}

/// The link went before the peer's view was known: the disk takes the state the attach had in
/// mind, unless its data is not what applications have seen. False: it is let go.
fn end_negotiation(facts: &Facts, s: &mut DeviceState) -> bool {
    match facts.negotiating {
        Some(n) if n.exposes_current => {
            s.disk = n.disk;
            s.pdsk = n.pdsk;
            true
        }
        _ => {
            s.disk = Disk::Diskless;
            s.pdsk = Disk::DUnknown;
            false
        }
    }
}

/// Disk states against the connection state. Raising deserves a warning, lowering does not.
///
/// An Inconsistent or Failed disk that is to be Outdated stays what it is: to raise it would make
/// rubbish UpToDate.
fn fit_disks(s: &mut DeviceState, was: Disk) -> Option<Warning> {
    let raised = |d: Disk| match d {
        Disk::Consistent | Disk::Outdated => Disk::UpToDate,
        other => other,
    };
    if (Conn::Connected..Conn::Ahead).contains(&s.conn) {
        s.pdsk = raised(s.pdsk);
        s.disk = match (was, s.disk) {
            (Disk::Failed | Disk::Inconsistent, Disk::Outdated) => was,
            (_, disk) => raised(disk),
        };
    }
    let Clamp { disk, pdsk } = clamp_of(s.conn);
    let mut warning = None;
    if s.disk < disk.0 {
        warning = Some(Warning::UpgradedDisk);
    }
    s.disk = s.disk.max(disk.0).min(disk.1);
    if s.pdsk < pdsk.0 {
        warning = Some(Warning::UpgradedPdsk);
    }
    s.pdsk = s.pdsk.max(pdsk.0).min(pdsk.1);
    warning
}
