// SPDX-License-Identifier: GPL-2.0
//! How large the device is, after what the peer and the administrator say (docs/metadata.md,
//! "Resize"; docs/protocol.md, "Sizes").
//!
//! A node whose size changes tells the peer before it shows the new size to applications: no write
//! gets to the peer before the word that there is room for it.

use super::admin::{code, Goal, Phase};
use super::event::{Driver, Effect, LogLine, Send};
use super::machine::{Resource, Step};
use super::volume::Volume;
use crate::meta::size::{
    diskless_size, user_size_at_connect, DisklessSize, PeerSizes, SizePlan, SizeRequest,
};
use crate::meta::{Room, SizeChange, SizeInputs};
use crate::state::{Change, Conn, Disk, Role};
use crate::wire::{Sizes, UuidFlags};

/// The command resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Sectors; 0: as many as possible.
    pub(super) size: u64,
    /// The peer is taken to have room, if it is not there.
    pub(super) force: bool,
    /// The new part is taken to be equal on both nodes.
    pub(super) no_resync: bool,
}

/// What is left to be done for another size, or other places of the metadata.
struct Adopted {
    vnr: u16,
    sectors: u64,
    /// The size that the bitmap on disk is for.
    on_disk: Option<u64>,
    changed: bool,
    moves: bool,
    set_new: bool,
}

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// The devices of the disk have another size.
    pub(super) fn room_changed(&mut self, i: usize, room: Room) {
        if let Some(disk) = self.vol(i).and_then(|v| v.disk.as_mut()) {
            disk.room = Some(room);
        }
    }

    /// resize: at once, or when the exchange of parameters is over, in which the peer is told the
    /// size that there was.
    pub(super) fn begin_resize(&mut self, vnr: u16, wish: Wish) {
        self.begin(Goal::Resize { vnr, wish }, Change::NONE);
        if let Some(job) = &mut self.job {
            job.phase = Phase::Settle;
        }
    }

    /// resize. `true`: it is over.
    pub(super) fn resize_settles(&mut self, vnr: u16, wish: Wish, d: &mut dyn Driver) -> bool {
        let place = self.index_of(vnr);
        if self.state_sent || place.is_some_and(|i| self.state(i).conn == Conn::WFReportParams) {
            return false;
        }
        let answer = match place {
            Some(i) => self.resize(i, wish, d),
            None => code::NO_DISK,
        };
        self.end_job(answer, d);
        true
    }

    fn resize(&mut self, i: usize, wish: Wish, d: &mut dyn Driver) -> i32 {
        let Some(v) = self.peek(i) else {
            return code::NO_DISK;
        };
        let (vnr, state) = (v.vnr, v.state);
        let Some(disk) = v.disk.filter(|_| state.disk >= Disk::Inconsistent) else {
            return code::NO_DISK;
        };
        if state.conn > Conn::Connected {
            return code::RESIZE_RESYNC;
        }
        if state.role == Role::Secondary && state.peer == Role::Secondary {
            return code::NO_PRIMARY;
        }
        let request = SizeRequest {
            inputs: SizeInputs {
                own: disk.room_for_data(),
                peer: v.peer.disk_size,
                last_agreed: disk.superblock.la_size_sect,
                user: wish.size,
                assume_peer_has_space: wish.force && state.conn < Conn::Connected,
            },
            bitmap_limit: disk.room.map_or(u64::MAX, |room| room.bitmap_limit),
            al_relayout: false,
            assume_clean: wish.no_resync,
        };
        let plan = match request.plan() {
            Ok(plan) => plan,
            Err(error) => return error.ret_code(),
        };
        if plan.user_too_large {
            d.perform(Effect::Log(
                vnr,
                LogLine::SizeTooLarge {
                    wanted: wish.size / 2,
                    possible: plan.size / 2,
                },
            ));
        }
        if let Some(disk) = self.vol(i).and_then(|v| v.disk.as_mut()) {
            disk.user_size = wish.size;
        }
        self.carry_out(i, &plan, wish, d);
        code::NO_ERROR
    }

    fn carry_out(&mut self, i: usize, plan: &SizePlan, wish: Wish, d: &mut dyn Driver) {
        let connected = self.state(i).conn == Conn::Connected;
        let adopted = self.adopt(i, plan.size, plan.set_new_bits);
        if connected {
            if let Some(v) = self.vol(i) {
                v.resize_pending |= plan.change == SizeChange::Grew;
            }
            // The size of the device is left out: the peer answers in any case.
            let sizes = Sizes {
                c_size: 0,
                dds_forced: wish.force,
                dds_no_resync: wish.no_resync,
                ..self.own_sizes(i)
            };
            self.send_uuids(i, UuidFlags::NONE, d);
            if let Some(vnr) = self.peek(i).map(|v| v.vnr) {
                self.send(Send::Sizes { vnr, sizes }, d);
            }
        }
        self.perform_size(i, adopted, d);
    }

    /// What P_SIZES says of the peer's requests: it holds before anything is sent, and the
    /// superblock remembers it, with whatever is written there next.
    fn take_request_max(&mut self, i: usize, max_bio_size: u32, d: &mut dyn Driver) {
        let Some(vnr) = self.peek(i).map(|v| v.vnr) else {
            return;
        };
        let before = self.peer_request_max(vnr);
        if let Some(v) = self.vol(i) {
            v.peer.max_bio_size = max_bio_size;
        }
        let now = self.peer_request_max(vnr);
        if let Some(disk) = self.vol(i).and_then(|v| v.disk.as_mut()) {
            disk.superblock.la_peer_max_bio_size = now;
        }
        if now != before {
            d.perform(Effect::SetLimits(vnr));
        }
    }

    /// P_SIZES.
    pub(super) fn sizes(&mut self, i: usize, s: &Sizes, d: &mut dyn Driver) -> Step {
        self.take_request_max(i, s.max_bio_size, d);
        let Some(v) = self.vol(i) else { return Ok(()) };
        let (vnr, state, now) = (v.vnr, v.state, v.size);
        let connected = state.conn > Conn::WFReportParams;
        v.peer.disk_size = s.d_size;
        let mut own_changed = false;
        let mut new = now;
        let mut adopted = None;
        if state.disk >= Disk::Negotiating {
            let Some(disk) = &mut v.disk else {
                return Ok(());
            };
            disk.user_size = if state.conn == Conn::WFReportParams {
                user_size_at_connect(disk.user_size, s.u_size)
            } else {
                s.u_size
            };
            let inputs = SizeInputs {
                own: disk.room_for_data(),
                peer: s.d_size,
                last_agreed: disk.superblock.la_size_sect,
                user: disk.user_size,
                assume_peer_has_space: false,
            };
            new = inputs.agreed().size;
            own_changed = new != now || disk.room.is_some();
            if new < now
                && state.disk >= Disk::Outdated
                && (state.conn < Conn::Connected || state.pdsk == Disk::Diskless)
            {
                d.perform(Effect::Log(vnr, LogLine::PeerTooSmall { new, now }));
                self.give_up(d);
                return Ok(());
            }
            let set_new = now != 0 && !s.dds_no_resync;
            adopted = self.adopt(i, new, set_new);
        } else {
            let peer = PeerSizes {
                current: s.c_size,
                user: s.u_size,
                disk: s.d_size,
            };
            match diskless_size(now, state.role == Role::Primary, peer) {
                DisklessSize::Keep => {}
                DisklessSize::Adopt(new) => adopted = self.adopt(i, new, false),
                DisklessSize::Refuse => {
                    d.perform(Effect::Log(
                        vnr,
                        LogLine::PeerTooSmall { new: s.c_size, now },
                    ));
                    self.give_up(d);
                    return Ok(());
                }
            }
        }
        let size = self.peek(i).map_or(0, |v| v.size);
        if connected && (s.c_size != size || own_changed) {
            let sizes = Sizes {
                dds_forced: s.dds_forced,
                dds_no_resync: s.dds_no_resync,
                ..self.own_sizes(i)
            };
            self.send(Send::Sizes { vnr, sizes }, d);
        }
        self.perform_size(i, adopted, d);
        let grown = now != 0 && new > now && state.conn == Conn::Connected;
        if connected {
            self.grown(i, grown, s.dds_no_resync, d);
        }
        Ok(())
    }

    /// The peer has told its size, and this node has `grown` by that: is the new part to be synced?
    fn grown(&mut self, i: usize, grown: bool, no_resync: bool, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, state) = (v.vnr, v.state);
        if !(core::mem::take(&mut v.resize_pending) || grown) {
            return;
        }
        if state.pdsk < Disk::Inconsistent || state.disk < Disk::Inconsistent {
            v.resync_after_negotiation = true;
        } else if no_resync {
            d.perform(Effect::Log(vnr, LogLine::AssumedClean));
        } else if state.conn == Conn::Connected {
            self.resync_after_grow(i, d);
        }
    }

    /// The device gets this size, as its disk joins.
    pub(super) fn set_size(&mut self, i: usize, sectors: u64, set_new: bool, d: &mut dyn Driver) {
        let adopted = self.adopt(i, sectors, set_new);
        // Whatever the size: the bitmap of a disk that joins is read now.
        let adopted = adopted.map(|a| Adopted { changed: true, ..a });
        self.perform_size(i, adopted, d);
    }

    /// The machine knows of the size, and of what the disk has room for; nothing is performed yet.
    fn adopt(&mut self, i: usize, sectors: u64, set_new: bool) -> Option<Adopted> {
        let v = self.vol(i)?;
        let changed = v.size != sectors;
        v.size = sectors;
        let mut adopted = Adopted {
            vnr: v.vnr,
            sectors,
            on_disk: None,
            changed,
            moves: false,
            set_new,
        };
        let Some(disk) = &mut v.disk else {
            return Some(adopted);
        };
        let superblock = &mut disk.superblock;
        adopted.on_disk = Some(superblock.la_size_sect);
        if let Some(room) = disk.room.take() {
            disk.usable = room.usable;
            adopted.moves = room.moves;
            superblock.md_size_sect = room.md_size_sect;
            superblock.al_offset = room.al_offset;
            superblock.bm_offset = room.bm_offset;
        }
        disk.dirty |= adopted.moves || superblock.la_size_sect != sectors;
        superblock.la_size_sect = sectors;
        Some(adopted)
    }

    fn perform_size(&mut self, i: usize, adopted: Option<Adopted>, d: &mut dyn Driver) {
        let Some(a) = adopted else { return };
        let vnr = a.vnr;
        if a.moves {
            d.perform(Effect::MoveMetadata(vnr));
        }
        if a.changed {
            d.perform(Effect::SetSize {
                on_disk: a.on_disk,
                vnr,
                sectors: a.sectors,
                set_new: a.set_new,
            });
        } else if a.moves {
            d.perform(Effect::WriteBitmap(vnr));
        }
        self.sync_metadata(i, d);
    }
}
