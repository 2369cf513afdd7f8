// SPDX-License-Identifier: GPL-2.0
//! What the owner of a resource publishes for the data plane of one volume.
//!
//! Requests do not look at the state. They look at this snapshot, which fits an atomic word. A
//! change of it is published first; then the owner waits until nobody uses the old one, and then
//! closes the epoch. So no request is in doubt about the rules it was admitted under
//! (docs/states.md, "Admission" and "Routing").

use super::word::{Remote, Replication, ReqWord};
use crate::state::{announces_out_of_sync, replicates, Conn, DeviceState, Disk};

/// Where a read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRoute {
    /// To the local disk.
    Local,
    /// To the local disk where no block of the range is out of sync, else to the peer, if it can.
    LocalIfClean,
    /// To the peer.
    Remote,
    /// Nowhere: an I/O error.
    None,
}

/// What of a write goes to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRoute {
    /// Nothing.
    LocalOnly,
    /// The data.
    Replicate,
    /// Only which blocks are out of sync now.
    OutOfSyncNote,
}

/// The snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// New requests wait.
    pub parked: bool,
    /// Completions are withheld.
    pub frozen: bool,
    /// Reads go here.
    pub read: ReadRoute,
    /// The peer can answer reads.
    pub remote_read: bool,
    /// Writes go to the local disk.
    pub local_write: bool,
    /// And this goes to the peer.
    pub write: WriteRoute,
    /// There is no UpToDate data in reach: writes fail.
    pub no_data: bool,
    /// Data packets carry "may set in sync" (a resync or verify runs).
    pub may_set_in_sync: bool,
    /// The peer has a disk that keeps what it is sent.
    pub peer_has_disk: bool,
    /// This node is target of a resync that runs: it may ask for blocks.
    pub sync_target: bool,
    /// The protocol letter for replicated writes.
    pub protocol: Replication,
}

/// What the owner knows beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyFacts {
    /// Agreed protocol version; only looked at while connected.
    pub agreed_version: u16,
    /// The configured protocol letter.
    pub protocol: Replication,
    /// The owner holds new requests back for a moment: attach, resize, bitmap I/O.
    pub held: bool,
    /// Replication has stopped on a Primary and the new current UUID is not durable yet: nothing
    /// may be acknowledged until it is (docs/decisions: UUID before acknowledgement).
    pub uuid_pending: bool,
}

impl Policy {
    /// Nothing goes anywhere: a volume without disk and without peer.
    pub const NOWHERE: Self = Self {
        parked: false,
        frozen: false,
        read: ReadRoute::None,
        remote_read: false,
        local_write: false,
        write: WriteRoute::LocalOnly,
        no_data: true,
        may_set_in_sync: false,
        peer_has_disk: false,
        sync_target: false,
        protocol: Replication::C,
    };

    /// The snapshot that follows from a state.
    #[must_use]
    pub fn of(s: &DeviceState, facts: &PolicyFacts) -> Self {
        let unstable = matches!(s.conn, Conn::WFBitMapT | Conn::WFSyncUUID)
            || (s.conn == Conn::WFBitMapS && facts.agreed_version < 96)
            || matches!(s.disk, Disk::Attaching | Disk::Negotiating);
        let remote_read = s.pdsk == Disk::UpToDate && s.conn.is_connected();
        let read = match s.disk {
            Disk::UpToDate => ReadRoute::Local,
            Disk::Inconsistent => ReadRoute::LocalIfClean,
            _ if remote_read => ReadRoute::Remote,
            _ => ReadRoute::None,
        };
        let write = if s.conn.is_connected() && replicates(s) {
            WriteRoute::Replicate
        } else if announces_out_of_sync(s) {
            WriteRoute::OutOfSyncNote
        } else {
            WriteRoute::LocalOnly
        };
        Self {
            parked: facts.held || unstable || s.is_suspended(),
            frozen: s.is_suspended() || facts.uuid_pending,
            read,
            remote_read,
            local_write: s.disk >= Disk::Inconsistent,
            write,
            no_data: s.disk != Disk::UpToDate && s.pdsk != Disk::UpToDate,
            may_set_in_sync: s.conn.is_sync_or_verify(),
            peer_has_disk: s.pdsk >= Disk::Inconsistent,
            sync_target: s.conn == Conn::SyncTarget,
            protocol: facts.protocol,
        }
    }

    /// The word of a write that is admitted under this policy; `local`: there is a disk. `marked`
    /// tells whether blocks of its range are out of sync.
    #[must_use]
    pub fn admit_write(&self, local: bool, marked: impl FnOnce() -> bool) -> ReqWord {
        let word = ReqWord::write(local, self.remote_part());
        if self.read != ReadRoute::Local {
            word.on_weak_disk()
        } else if self.makes_equal() && local && marked() {
            word.healing()
        } else {
            word
        }
    }

    /// What of a write goes to the peer under this policy.
    #[must_use]
    pub fn remote_part(&self) -> Remote {
        match self.write {
            WriteRoute::LocalOnly => Remote::None,
            WriteRoute::Replicate => Remote::Data(self.protocol),
            WriteRoute::OutOfSyncNote => Remote::OutOfSyncNote,
        }
    }

    /// Whether a write that both disks have makes its blocks equal for good: both are UpToDate,
    /// and nobody else clears bits of theirs.
    #[must_use]
    pub fn makes_equal(&self) -> bool {
        self.write == WriteRoute::Replicate
            && self.read == ReadRoute::Local
            && self.remote_read
            && !self.may_set_in_sync
    }

    /// Whether an empty flush waits for the peer: with an UpToDate peer, in protocol C, and in any
    /// protocol without a disk of its own, where nothing else could make anything stable.
    #[must_use]
    pub fn flush_waits_for_peer(&self) -> bool {
        let alone = self.protocol == Replication::C || !self.local_write;
        self.write == WriteRoute::Replicate && self.remote_read && alone
    }

    /// The snapshot as it is kept in an atomic.
    #[must_use]
    pub fn to_bits(self) -> u32 {
        let read = match self.read {
            ReadRoute::Local => 0,
            ReadRoute::LocalIfClean => 1,
            ReadRoute::Remote => 2,
            ReadRoute::None => 3,
        };
        let write = match self.write {
            WriteRoute::LocalOnly => 0,
            WriteRoute::Replicate => 1,
            WriteRoute::OutOfSyncNote => 2,
        };
        let protocol = match self.protocol {
            Replication::A => 1,
            Replication::B => 2,
            Replication::C => 3,
        };
        read | (write << 2)
            | (protocol << 4)
            | (u32::from(self.parked) << 8)
            | (u32::from(self.frozen) << 9)
            | (u32::from(self.remote_read) << 10)
            | (u32::from(self.local_write) << 11)
            | (u32::from(self.no_data) << 12)
            | (u32::from(self.may_set_in_sync) << 13)
            | (u32::from(self.peer_has_disk) << 14)
            | (u32::from(self.sync_target) << 15)
    }

    /// Takes back what [`Policy::to_bits`] gave.
    #[must_use]
    pub fn from_bits(b: u32) -> Self {
        let flag = |n: u32| (b >> n) & 1 == 1;
        Self {
            read: match b & 3 {
                0 => ReadRoute::Local,
                1 => ReadRoute::LocalIfClean,
                2 => ReadRoute::Remote,
                _ => ReadRoute::None,
            },
            write: match (b >> 2) & 3 {
                1 => WriteRoute::Replicate,
                2 => WriteRoute::OutOfSyncNote,
                _ => WriteRoute::LocalOnly,
            },
            protocol: match (b >> 4) & 3 {
                1 => Replication::A,
                2 => Replication::B,
                _ => Replication::C,
            },
            parked: flag(8),
            frozen: flag(9),
            remote_read: flag(10),
            local_write: flag(11),
            no_data: flag(12),
            may_set_in_sync: flag(13),
            peer_has_disk: flag(14),
            sync_target: flag(15),
        }
    }
}
