// SPDX-License-Identifier: GPL-2.0
//! The fence-peer procedure: a cut-off node makes sure that its peer does not go on alone.
//!
//! It runs on the way to Primary, and after a Primary lost its link. A helper in user space does
//! the work; its exit code says what is known of the peer afterwards.

use super::facts::Fencing;
use super::names::{Conn, Disk};
use super::word::Change;

/// How the procedure begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceStart {
    /// Connected: there is nothing to fence. The procedure fails.
    Connected,
    /// No volume is Consistent, so this node must not decide. Log it; if the connection is still
    /// down force `susp_fen = 0` on it, and if nothing suspends I/O then, let
    /// [`LogEvent::ConnectionLostWhilePending`](super::LogEvent) happen to the transfer log. The
    /// procedure fails.
    NotConsistent,
    /// No fencing wanted. The procedure succeeds.
    DontCare,
    /// Run the helper `fence-peer`, then [`exit_code`].
    RunHelper(Fencing),
}

/// How the procedure begins, given the connection's state and each volume's disk and policy.
#[must_use]
pub fn start(cstate: Conn, volumes: impl IntoIterator<Item = (Disk, Fencing)>) -> FenceStart {
    if cstate >= Conn::WFReportParams {
        return FenceStart::Connected;
    }
    let policy = volumes
        .into_iter()
        .filter(|(disk, _)| *disk >= Disk::Consistent)
        .map(|(_, fencing)| fencing)
        .max();
    match policy {
        None => FenceStart::NotConsistent,
        Some(Fencing::DontCare) => FenceStart::DontCare,
        Some(policy) => FenceStart::RunHelper(policy),
    }
}

/// The procedure starts on its own after a lost link: a Primary was cut off from a peer that is
/// not known to be outdated.
#[must_use]
pub fn wanted_after_loss(summary: &super::Summary) -> bool {
    summary.role == super::Role::Primary && summary.highest_pdsk >= Disk::DUnknown
}

/// What the helper found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// 3: the peer's data is Inconsistent or worse.
    PeerInconsistent,
    /// 4: the peer took it that it is outdated.
    PeerOutdated,
    /// 5: the peer is down; `current`: the own data is UpToDate, so the peer counts as outdated.
    PeerDown {
        /// The highest own disk is UpToDate.
        current: bool,
    },
    /// 6: the peer is Primary. This node is the one that is outdated.
    PeerPrimary,
    /// 7: the peer was shot; `expected`: the policy is to do so.
    PeerShot {
        /// The policy is resource-and-stonith.
        expected: bool,
    },
    /// Anything else: the helper is broken. Nothing is known; I/O stays as it is.
    Broken,
}

/// Reads the helper's exit code. `highest_disk` is the highest own disk over all volumes.
#[must_use]
pub fn exit_code(code: u8, policy: Fencing, highest_disk: Disk) -> Fenced {
    match code {
        3 => Fenced::PeerInconsistent,
        4 => Fenced::PeerOutdated,
        5 => Fenced::PeerDown {
            current: highest_disk == Disk::UpToDate,
        },
        6 => Fenced::PeerPrimary,
        7 => Fenced::PeerShot {
            expected: policy == Fencing::ResourceAndStonith,
        },
        _ => Fenced::Broken,
    }
}

impl Fenced {
    /// The soft change of the whole connection that follows. It is made only if the connection is
    /// still down, no parameters are being exchanged, and no connection was made while the helper
    /// ran; otherwise the exit code is ignored.
    #[must_use]
    pub const fn change(self) -> Option<Change> {
        match self {
            Fenced::PeerInconsistent => Some(Change::pdsk(Disk::Inconsistent)),
            Fenced::PeerOutdated | Fenced::PeerDown { current: true } | Fenced::PeerShot { .. } => {
                Some(Change::pdsk(Disk::Outdated))
            }
            Fenced::PeerPrimary => Some(Change::disk(Disk::Outdated)),
            Fenced::PeerDown { current: false } | Fenced::Broken => None,
        }
    }

    /// The words in the log line `fence-peer helper returned … (…)`; `None` for a broken helper,
    /// which has a line of its own.
    #[must_use]
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Fenced::PeerInconsistent => Some("peer is inconsistent or worse"),
            Fenced::PeerOutdated => Some("peer was fenced"),
            Fenced::PeerDown { current: true } => Some("peer is unreachable, assumed to be dead"),
            Fenced::PeerDown { current: false } => {
                Some("peer unreachable, doing nothing since disk != UpToDate")
            }
            Fenced::PeerPrimary => Some("peer is active"),
            Fenced::PeerShot { .. } => Some("peer was stonithed"),
            Fenced::Broken => None,
        }
    }

    /// Whether the procedure succeeded, given the highest disk of the peer over all volumes after
    /// the change.
    #[must_use]
    pub fn succeeded(self, highest_pdsk: Disk) -> bool {
        self != Fenced::Broken && highest_pdsk <= Disk::Outdated
    }
}
