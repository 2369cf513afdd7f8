// SPDX-License-Identifier: GPL-2.0
//! The state changes that begin and end a resync or a verify, and who has to wait for whom.

use super::names::{Conn, Disk, Role};
use super::word::{Change, DeviceState};

/// The part a node takes in a resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Has the good data.
    Source,
    /// Gets it.
    Target,
}

/// The soft change that starts a resync. `must_wait`: another device has to sync first
/// ([`may_sync_now`]); the resync then starts paused.
#[must_use]
pub const fn start(side: Side, must_wait: bool) -> Change {
    let change = match side {
        Side::Source => Change::conn(Conn::SyncSource).and_pdsk(Disk::Inconsistent),
        Side::Target => Change::conn(Conn::SyncTarget).and_disk(Disk::Inconsistent),
    };
    Change {
        aftr_isp: Some(must_wait),
        ..change
    }
}

/// A resync may start in this state; otherwise the start is forgotten silently.
#[must_use]
pub fn may_start(state: &DeviceState) -> bool {
    state.conn >= Conn::Connected
        && state.disk >= Disk::Negotiating
        && !state.conn.is_sync_or_verify()
}

/// The source makes and sends the sync UUID when it starts the resync, instead of in
/// the after-change work.
#[must_use]
pub const fn sync_uuid_at_start(apv: u32) -> bool {
    apv < 96
}

/// What the exit code of `before-resync-source` or `before-resync-target` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Go on.
    Go,
    /// Go on, and log that the user-space tools are old.
    GoOldTools,
    /// Force Disconnecting.
    Disconnect,
}

/// Reads the exit code of the helper that runs before a resync.
#[must_use]
pub const fn before(side: Side, exit_code: u8) -> Before {
    match (side, exit_code) {
        (_, 0) => Before::Go,
        (Side::Source, 3) => Before::GoOldTools,
        _ => Before::Disconnect,
    }
}

/// How a resync or verify ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A verify, whatever it found.
    Verify,
    /// A resync; some blocks could not be read or written.
    Failed(Side),
    /// A resync; both copies are equal. The UUIDs follow
    /// ([`finish_as_source`](crate::uuid::UuidSet::finish_as_source),
    /// [`finish_as_target`](crate::uuid::UuidSet::finish_as_target)).
    Complete(Side),
}

impl End {
    /// Which end it is; `None` if nothing was running.
    #[must_use]
    pub const fn of(conn: Conn, failed_blocks: u64) -> Option<End> {
        let side = match conn {
            Conn::VerifyS | Conn::VerifyT => return Some(End::Verify),
            Conn::SyncSource | Conn::PausedSyncS => Side::Source,
            Conn::SyncTarget | Conn::PausedSyncT => Side::Target,
            _ => return None,
        };
        Some(if failed_blocks > 0 {
            End::Failed(side)
        } else {
            End::Complete(side)
        })
    }

    /// The soft change to make.
    #[must_use]
    pub const fn change(self) -> Change {
        let (disk, pdsk) = match self {
            End::Verify | End::Complete(_) => (Disk::UpToDate, Disk::UpToDate),
            End::Failed(Side::Target) => (Disk::Inconsistent, Disk::UpToDate),
            End::Failed(Side::Source) => (Disk::UpToDate, Disk::Inconsistent),
        };
        Change::conn(Conn::Connected).and_disk(disk).and_pdsk(pdsk)
    }
}

/// After an online growth while connected: who is the source of the new area. The target
/// requests WFSyncUUID instead of starting.
#[must_use]
pub fn side_after_growth(state: &DeviceState, resolve_conflicts: bool) -> Side {
    let source = if state.role == state.peer {
        resolve_conflicts
    } else {
        state.role == Role::Primary
    };
    if source {
        Side::Source
    } else {
        Side::Target
    }
}

/// Another device as the `resync-after` chain sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its state.
    pub state: DeviceState,
    /// The minor it waits for itself.
    pub after: Option<u32>,
}

/// Links followed at most; configuration refuses cycles, and no chain is longer than there are
/// devices.
const MAX_CHAIN: u32 = 1 << 20;

/// Whether a resync may run now, that is to wait for `after`. `find` gives the device with a
/// minor number; a missing one ends the chain, as one without a disk does.
#[must_use]
pub fn may_sync_now(after: Option<u32>, mut find: impl FnMut(u32) -> Option<Dependency>) -> bool {
    let mut next = after;
    for _ in 0..MAX_CHAIN {
        let Some(d) = next.and_then(&mut find) else {
            return true;
        };
        if d.state.disk == Disk::Diskless {
            return true;
        }
        if d.state.conn.is_sync_or_verify() || d.state.is_paused() {
            return false;
        }
        next = d.after;
    }
    true
}
