// SPDX-License-Identifier: GPL-2.0
//! The text of `/proc/drbd`, from plain snapshots.
//!
//! Tools and scripts parse this text: `version:` at its very beginning, `cs:`, `ro:`, `ds:`,
//! `oos:`, the line with `sync'ed:`. It is what 8.4.11 prints, except for the second line, which
//! tells this module from the C driver. See docs/interface.md, "/proc/drbd".

use crate::config::words::Protocol;
use crate::state::{Conn, DeviceState, Disk, Role};
use core::fmt::{self, Write};

pub mod marks;
pub mod progress;

#[cfg(test)]
mod tests;

pub use marks::Marks;
pub use progress::{per_mille, Position, Progress, Span};

/// The version that tools see: they choose the 8.4 programs by it.
pub const VERSION: &str = "8.4.11";
/// Version of the netlink interface.
pub const API_VERSION: u32 = 1;
/// Oldest protocol version spoken.
pub const PROTOCOL_MIN: u32 = 86;
/// Newest protocol version spoken.
pub const PROTOCOL_MAX: u32 = 101;

/// What built this module: the second line.
#[derive(Clone, Copy, Debug)]
pub struct BuildTag<'a> {
    /// The commit, 40 hexadecimal digits; zeros if it is not known.
    pub git_hash: &'a str,
    /// Version of this package, e.g. `0.1.0`.
    pub package: &'a str,
}

impl fmt::Display for BuildTag<'_> {
    /// Of the form that out-of-tree modules have, so that tools can read the hash. The C driver in
    /// the kernel's tree has `srcversion: ` here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "GIT-hash: {} build by drbd-rs {}",
            self.git_hash, self.package
        )
    }
}

/// How writes are kept in order on the local disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOrdering {
    /// Not at all.
    None,
    /// Wait for all writes of an epoch.
    Drain,
    /// Wait, then flush.
    Flush,
}

impl WriteOrdering {
    /// The letter behind `wo:`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::None => 'n',
            Self::Drain => 'd',
            Self::Flush => 'f',
        }
    }

    /// The number in `res_stat_write_ordering`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Drain => 1,
            Self::Flush => 2,
        }
    }
}

/// Figures of a table of extents, for `proc_details`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtentStats {
    /// Extents in use.
    pub used: u32,
    /// Extents that may be in use at a time.
    pub capacity: u32,
    /// Found in the table.
    pub hits: u64,
    /// Not found.
    pub misses: u64,
    /// No free place.
    pub starving: u64,
    /// The table was busy.
    pub locked: u64,
    /// Changes of the table.
    pub changed: u64,
}

/// Everything `/proc/drbd` says about one minor.
#[derive(Clone, Copy, Debug)]
pub struct MinorStatus {
    /// The minor.
    pub minor: u32,
    /// Its state, with the resource's suspend flags.
    pub state: DeviceState,
    /// Replication protocol; none without network configuration.
    pub protocol: Option<Protocol>,
    /// The activity log is not written.
    pub al_suspended: bool,
    /// Sectors sent.
    pub sent_sectors: u64,
    /// Sectors received.
    pub received_sectors: u64,
    /// Sectors written to the local disk.
    pub written_sectors: u64,
    /// Sectors read from the local disk.
    pub read_sectors: u64,
    /// Transactions of the activity log.
    pub al_writes: u64,
    /// Writes of the bitmap.
    pub bm_writes: u64,
    /// References to the local disk.
    pub local_count: u32,
    /// Requests sent and not answered, of applications and of resync.
    pub pending: u32,
    /// Requests received and not acknowledged.
    pub unacked: u32,
    /// Application requests in flight.
    pub application_pending: u32,
    /// Write epochs of the connection.
    pub epochs: u32,
    /// See [`WriteOrdering`].
    pub write_ordering: WriteOrdering,
    /// Bits that are out of sync.
    pub out_of_sync_bits: u64,
    /// Resync or verify; shown in the states SyncSource, SyncTarget, VerifyS, VerifyT only.
    pub progress: Option<Progress>,
    /// Tables of resync and activity log; shown with `proc_details` while there is a disk.
    pub extents: Option<(ExtentStats, ExtentStats)>,
    /// Application requests that wait for the activity log.
    pub al_blocked: u32,
}

impl MinorStatus {
    /// Whether the minor has neither disk nor network nor role.
    #[must_use]
    pub fn is_unconfigured(&self) -> bool {
        self.state.conn == Conn::StandAlone
            && self.state.disk == Disk::Diskless
            && self.state.role == Role::Secondary
    }
}

/// Writes the two header lines.
///
/// # Errors
///
/// What `out` says.
pub fn write_header(out: &mut impl Write, build: &BuildTag<'_>) -> fmt::Result {
    writeln!(
        out,
        "version: {VERSION} (api:{API_VERSION}/proto:{PROTOCOL_MIN}-{PROTOCOL_MAX})\n{build}"
    )
}

/// Prints minors one after the other; remembers the last for the empty line before a gap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing {
    expected: u32,
}

impl Listing {
    /// A listing at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the lines of the next minor. Minors come in ascending order. `details` is the module
    /// parameter `proc_details`.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn write(
        &mut self,
        out: &mut impl Write,
        status: &MinorStatus,
        details: u32,
    ) -> fmt::Result {
        if status.minor != self.expected {
            out.write_char('\n')?;
        }
        self.expected = status.minor.saturating_add(1);
        if status.is_unconfigured() {
            writeln!(out, "{:2}: cs:Unconfigured", status.minor)?;
        } else {
            write_state(out, status)?;
            write_counters(out, status)?;
            if let Some(progress) = &status.progress {
                progress.write(out, status.state.conn, details)?;
            }
            if details >= 1 && status.state.disk >= Disk::Failed {
                write_extents(out, status)?;
            }
        }
        if details >= 2 {
            writeln!(out, "\tblocked on activity log: {}", status.al_blocked)?;
        }
        Ok(())
    }
}

fn write_state(out: &mut impl Write, status: &MinorStatus) -> fmt::Result {
    let state = &status.state;
    let flag = |is_set: bool, letter: char| if is_set { letter } else { '-' };
    let protocol = status.protocol.map_or(" ", Protocol::word);
    writeln!(
        out,
        "{:2}: cs:{} ro:{}/{} ds:{}/{} {protocol} {}{}{}{}-{}",
        status.minor,
        state.conn,
        state.role,
        state.peer,
        state.disk,
        state.pdsk,
        if state.is_suspended() { 's' } else { 'r' },
        flag(state.aftr_isp, 'a'),
        flag(state.peer_isp, 'p'),
        flag(state.user_isp, 'u'),
        flag(status.al_suspended, 's'),
    )
}

fn write_counters(out: &mut impl Write, status: &MinorStatus) -> fmt::Result {
    writeln!(
        out,
        "    ns:{} nr:{} dw:{} dr:{} al:{} bm:{} lo:{} pe:{} ua:{} ap:{} ep:{} wo:{} oos:{}",
        status.sent_sectors / 2,
        status.received_sectors / 2,
        status.written_sectors / 2,
        status.read_sectors / 2,
        status.al_writes,
        status.bm_writes,
        status.local_count,
        status.pending,
        status.unacked,
        status.application_pending,
        status.epochs,
        status.write_ordering.letter(),
        status.out_of_sync_bits.saturating_mul(4),
    )
}

fn write_extents(out: &mut impl Write, status: &MinorStatus) -> fmt::Result {
    let Some((resync, act_log)) = &status.extents else {
        return Ok(());
    };
    for (name, stats) in [("resync", resync), ("act_log", act_log)] {
        writeln!(
            out,
            "\t{name}: used:{}/{} hits:{} misses:{} starving:{} locked:{} changed:{}",
            stats.used,
            stats.capacity,
            stats.hits,
            stats.misses,
            stats.starving,
            stats.locked,
            stats.changed,
        )?;
    }
    Ok(())
}
