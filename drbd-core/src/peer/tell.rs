// SPDX-License-Identifier: GPL-2.0
//! What a node tells of itself: to the peer, and to its own disk.

use super::event::{Driver, Effect, Send};
use super::machine::Resource;
use super::volume::{DiskData, Volume};
use crate::meta::MdFlags;
use crate::state::Disk;
use crate::wire::{Sizes, UuidFlags, Uuids};

/// No request is larger, in bytes, at any version.
const REQUEST_MAX: u32 = 1 << 20;

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// Queues a packet, if there is a link to queue it on.
    pub(super) fn send(&mut self, packet: Send, d: &mut dyn Driver) {
        if self.link.is_some_and(|l| !l.closing) {
            d.perform(Effect::Send(packet));
        }
    }

    pub(super) fn send_state(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.peek(i) else { return };
        let mut s = v.state;
        (s.susp, s.susp_nod, s.susp_fen) = (false, false, false);
        self.send(Send::State(v.vnr, s), d);
    }

    pub(super) fn own_uuid_flags(&self, i: usize) -> UuidFlags {
        let Some(v) = self.peek(i) else {
            return UuidFlags::NONE;
        };
        let mut flags = UuidFlags::NONE;
        if v.discard_my_data {
            flags = flags | UuidFlags::DISCARD_MY_DATA;
        }
        if v.crashed_primary {
            flags = flags | UuidFlags::CRASHED_PRIMARY;
        }
        if v.disk_or_remembered() == Disk::Inconsistent {
            flags = flags | UuidFlags::INCONSISTENT;
        }
        flags
    }

    /// P_UUIDS, if there is a disk that has generations.
    pub(super) fn send_uuids(&mut self, i: usize, extra: UuidFlags, d: &mut dyn Driver) {
        let flags = self.own_uuid_flags(i) | extra;
        let Some(v) = self.peek(i) else { return };
        let (true, Some(u)) = (v.state.disk >= Disk::Negotiating, v.uuids()) else {
            return;
        };
        let uuids = Uuids {
            current: u.current,
            bitmap: u.bitmap,
            history: u.history,
            bits_set: d.bits_set(v.vnr),
            flags,
        };
        self.send(Send::Uuids { vnr: v.vnr, uuids }, d);
    }

    /// The largest request in bytes that the peer of volume `vnr` takes, 4 KiB to 1 MiB: what goes
    /// to it may not be larger, and what comes from it is not asked for in larger pieces.
    ///
    /// docs/protocol.md, "Limits of a request". Without a link it is what the superblock remembers
    /// of the last peer, which may come back while writes are under way.
    #[must_use]
    pub fn peer_request_max(&self, vnr: u16) -> u32 {
        let Some(v) = self.volume(vnr) else {
            return REQUEST_MAX;
        };
        match (self.link, v.peer.max_bio_size) {
            (Some(link), size) if size > 0 => link.agreed.version.write_size_max(size),
            _ => match v.disk.as_ref().map(|d| d.superblock.la_peer_max_bio_size) {
                None | Some(0) => REQUEST_MAX,
                Some(size) => size.clamp(4 << 10, REQUEST_MAX),
            },
        }
    }

    pub(super) fn own_sizes(&self, i: usize) -> Sizes {
        let v = self.peek(i);
        let disk = v
            .filter(|v| v.state.disk >= Disk::Negotiating)
            .and_then(|v| v.disk.as_ref());
        let largest = disk.map_or(REQUEST_MAX, |d| d.max_bio_size);
        Sizes {
            d_size: disk.map_or(0, DiskData::room_for_data),
            u_size: disk.map_or(0, |d| d.user_size),
            c_size: v.map_or(0, |v| v.size),
            max_bio_size: self.link.map_or(largest, |link| {
                link.agreed.version.announced_bio_size(largest)
            }),
            dds_forced: false,
            dds_no_resync: false,
            limits: None,
        }
    }

    pub(super) fn send_sizes(&mut self, i: usize, d: &mut dyn Driver) {
        let sizes = self.own_sizes(i);
        if let Some(v) = self.peek(i) {
            self.send(Send::Sizes { vnr: v.vnr, sizes }, d);
        }
    }

    /// Writes the superblock if it differs from what is on the disk.
    pub(super) fn sync_metadata(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, size) = (v.vnr, v.size);
        let readable = v.state.disk >= Disk::Failed;
        let Some(disk) = &mut v.disk else { return };
        if disk.dirty && readable {
            disk.dirty = false;
            disk.superblock.la_size_sect = size;
            let primary = disk.superblock.flags.contains(MdFlags::PRIMARY_IND);
            let was = core::mem::replace(&mut v.primary_on_disk, primary);
            if was && !primary {
                // From now on a crash leads to no replay of the log: the bitmap has to know all.
                // As long as the mark stays, the log knows what the bitmap on the disk does not,
                // and a bitmap that cannot be written is no reason to lose the disk now.
                d.perform(Effect::WriteBitmap(vnr));
            }
            d.perform(Effect::WriteSuperblock { vnr, primary });
        }
    }
}
