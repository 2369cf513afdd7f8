// SPDX-License-Identifier: GPL-2.0
//! One volume as the owner of the resource knows it.

use crate::meta::{Magic, MdFlags, Room, Superblock};
pub use crate::state::resync::Side;
use crate::state::{Conn, DeviceState, Disk, Facts, Fencing, Negotiating, Role, Transition};
use crate::uuid::{same, UuidSet};
use crate::wire::Uuids;

/// The attached disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskData {
    /// The superblock as it is to be on disk; the UUIDs in it are the volume's.
    pub superblock: Superblock,
    /// Usable sectors: capacity of the backing device without metadata, cut to what the layout
    /// can describe.
    pub usable: u64,
    /// The devices have got another size; what that makes of the disk, once sizes are determined.
    pub room: Option<Room>,
    /// The configured size in sectors; 0: as large as possible.
    pub user_size: u64,
    /// The option `fencing`.
    pub fencing: Fencing,
    /// The largest request in bytes that the backing device takes.
    pub max_bio_size: u32,
    /// The activity log is written (`al-updates`). If not, the superblock says AL_DISABLED.
    pub al_updates: bool,
    /// The superblock differs from what is on the disk.
    pub dirty: bool,
}

impl DiskData {
    /// Usable sectors, with its devices as large as they are now.
    #[must_use]
    pub fn room_for_data(&self) -> u64 {
        self.room.map_or(self.usable, |room| room.usable)
    }

    /// The superblock as it goes to the disk: as it is to be in the end, but with the mark of a
    /// Primary as long as the effect says so.
    #[must_use]
    pub fn to_write(&self, primary: bool) -> Superblock {
        let mut superblock = self.superblock;
        if primary {
            superblock.flags = superblock.flags.with(MdFlags::PRIMARY_IND);
        }
        superblock
    }
}

/// What the peer said about this volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerData {
    /// Its generations, from the last P_UUIDS of this connection.
    pub uuids: Option<Uuids>,
    /// Usable sectors of its disk; 0: none or unknown.
    pub disk_size: u64,
    /// The largest request in bytes it takes; 0: unknown.
    pub max_bio_size: u32,
    /// It has said, on this link, that it is connected: the state that each node sends when it
    /// gets there is not on its way any more.
    pub connected: bool,
}

/// A resync or the last one; the counters that progress is told from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resync {
    /// Bits to sync at the start.
    pub total: u64,
    /// Bits that failed.
    pub failed: u64,
    /// When it began, in milliseconds of the caller's clock.
    pub started_ms: u64,
    /// Milliseconds it was paused.
    pub paused_ms: u64,
    /// When the present pause began.
    pub paused_since_ms: u64,
    /// The target said that it is done, but bits of ours are still set: writes that wait for
    /// their barrier acks clear them.
    pub peer_done: bool,
    /// How far its end has come.
    pub ending: Ending,
}

/// How far the end of a resync or verify has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It goes on.
    #[default]
    Unseen,
    /// The end was noticed; a ping round trip makes sure that all acks were seen.
    Acks,
    /// The target is done, but bits are set here: acks may still clear them, until the ping comes
    /// back.
    LateAcks,
    /// The same: now requests that are under way may clear them, until the driver says that there
    /// are none.
    LateRequests,
}

/// One volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The volume number.
    pub vnr: u16,
    /// The state; its `susp` flags are the resource's.
    pub state: DeviceState,
    /// The attached disk.
    pub disk: Option<DiskData>,
    /// What the peer said.
    pub peer: PeerData,
    /// Size of the device in sectors; 0: none yet.
    pub size: u64,
    /// Current UUID of the data last shown to applications; 0: none.
    pub exposed: u64,
    /// Applications see data of the peer in a generation that it has not named yet.
    pub(super) unnamed: bool,
    /// The disk was Primary when its node went down.
    pub crashed_primary: bool,
    /// The peer was forced Primary while both were Inconsistent.
    pub consider_resync: bool,
    /// `connect --discard-my-data`, for the handshake that is under way.
    pub discard_my_data: bool,
    /// What the attach found out, while the disk is Attaching or Negotiating.
    pub negotiating: Option<Negotiating>,
    /// A new current UUID is owed; made when I/O thaws.
    pub owes_uuid: bool,
    /// The device grew while the disk was Negotiating.
    pub resync_after_negotiation: bool,
    /// This node has grown by command, and syncs the new part when the peer has told that it has,
    /// too.
    pub(super) resize_pending: bool,
    /// An I/O error was noted and not reported yet.
    pub was_io_error: bool,
    /// The superblock on the disk says that there may be writes that only the bitmap in memory
    /// knows of.
    pub(super) primary_on_disk: bool,
    /// The resync.
    pub resync: Resync,
    /// The promotion that is under way has called the disk UpToDate, by force or since the peer is
    /// fenced.
    pub(super) raised: bool,
    /// Source of a full sync that the administrator asked for; whether the peer knows that it is
    /// the target is not certain before it has taken a block.
    pub(super) target_unaware: bool,
    /// The resync waits for the handler `before-resync-…`.
    pub starting: Option<Side>,
    /// The sync UUID of a source that has begun before this node was ready for it.
    pub early_sync_uuid: Option<u64>,
}

impl Volume {
    /// A volume just made.
    #[must_use]
    pub const fn new(vnr: u16) -> Self {
        Self {
            vnr,
            state: DeviceState::NEW,
            disk: None,
            peer: PeerData {
                uuids: None,
                disk_size: 0,
                max_bio_size: 0,
                connected: false,
            },
            size: 0,
            exposed: 0,
            unnamed: false,
            crashed_primary: false,
            consider_resync: false,
            discard_my_data: false,
            negotiating: None,
            owes_uuid: false,
            resync_after_negotiation: false,
            resize_pending: false,
            was_io_error: false,
            primary_on_disk: false,
            resync: Resync {
                total: 0,
                failed: 0,
                started_ms: 0,
                paused_ms: 0,
                paused_since_ms: 0,
                peer_done: false,
                ending: Ending::Unseen,
            },
            raised: false,
            target_unaware: false,
            starting: None,
            early_sync_uuid: None,
        }
    }

    /// The generations of the own disk.
    #[must_use]
    pub fn uuids(&self) -> Option<UuidSet> {
        self.disk.as_ref().map(|d| {
            let [current, bitmap, young, old] = d.superblock.uuids;
            UuidSet {
                current,
                bitmap,
                history: [young, old],
            }
        })
    }

    /// Stores generations; the superblock is dirty then.
    pub fn set_uuids(&mut self, set: UuidSet) {
        if let Some(d) = &mut self.disk {
            let [young, old] = set.history;
            let slots = [set.current, set.bitmap, young, old];
            d.dirty |= d.superblock.uuids != slots;
            d.superblock.uuids = slots;
        }
    }

    /// The attached disk carries the marks of a running driver: the unclean magic, whether the
    /// activity log is written (else a crash has to lead to a full sync), and bit 0 of the current
    /// UUID as the role is.
    pub(super) fn mark_running(&mut self) {
        if let Some(d) = &mut self.disk {
            d.superblock.magic = Magic::Unclean;
            d.superblock.flags = d
                .superblock
                .flags
                .without(MdFlags::AL_CLEAN)
                .set_to(MdFlags::AL_DISABLED, !d.al_updates);
            d.dirty = true;
        }
        if let Some(mut u) = self.uuids() {
            u.set_primary(self.state.role == Role::Primary);
            self.set_uuids(u);
        }
    }

    /// The bitmap UUID of the own disk is 0, or there is no disk.
    #[must_use]
    pub fn bitmap_uuid_zero(&self) -> bool {
        self.disk
            .as_ref()
            .is_none_or(|d| matches!(d.superblock.uuids, [_, 0, _, _]))
    }

    /// A write that the peer lacks would not be told from what it has: no bitmap UUID says so, or
    /// only one that the peer may know nothing of.
    #[must_use]
    pub fn needs_generation(&self) -> bool {
        self.bitmap_uuid_zero() || self.target_unaware
    }

    /// The disk's state, or the one the attach found out while it is Negotiating.
    #[must_use]
    pub fn disk_or_remembered(&self) -> Disk {
        match self.negotiating {
            Some(n) if self.state.disk == Disk::Negotiating => n.disk,
            _ => self.state.disk,
        }
    }

    /// The own disk is gone, or the peer's data comes in reach of a node without one: from now on
    /// applications see the peer's data. Its P_UUIDS have come before.
    pub(super) fn expose_the_peers_data(&mut self, t: &Transition) {
        let (true, Disk::UpToDate, Some(peer)) =
            (t.new.disk < Disk::Inconsistent, t.new.pdsk, self.peer.uuids)
        else {
            return;
        };
        if t.old.disk >= Disk::Inconsistent {
            let own = self.uuids().map_or(0, |own| own.current);
            self.exposed = peer.current;
            self.unnamed = t.new.role == Role::Primary && same(own, peer.current);
        } else if t.old.pdsk != Disk::UpToDate && t.new.role == Role::Secondary {
            self.exposed = peer.current;
        }
    }

    /// A promotion without a disk. If the peer's data is in a generation that others may have, the
    /// peer begins one of its own: should the link go first, that is the one to find again.
    pub(super) fn promoted_without_disk(&mut self) {
        let in_reach = self.state.conn >= Conn::Connected && self.state.pdsk == Disk::UpToDate;
        if let (true, Some(peer)) = (in_reach, self.peer.uuids) {
            self.unnamed = same(self.exposed, peer.current) && peer.bitmap == 0;
        }
    }

    /// Fills in what the volume knows of the facts that rules look at.
    pub(super) fn add_facts(&self, facts: &mut Facts) {
        facts.fencing = self.disk.as_ref().map_or(Fencing::DontCare, |d| d.fencing);
        facts.negotiating = self.negotiating;
    }
}
