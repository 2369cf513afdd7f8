// SPDX-License-Identifier: GPL-2.0

//! The way of a bio from above: to the local disk, to the peer, or to both.
//!
//! Nothing here sleeps and nothing waits: a bio that cannot go on is parked and looked at again
//! when something has changed. So our own clones, which the block layer holds back until
//! `submit_bio` returns, are never waited for.

use core::sync::atomic::Ordering;
use drbd_core::al::Refs;
use drbd_core::request::policy::{Policy, ReadRoute, WriteRoute};
use drbd_core::request::range::Work;
use drbd_core::request::slots::{SlotId, Subject};
use drbd_core::request::word::{Event, Remote, ReqWord};
use drbd_core::wire::{WriteFlags, WriteOp};
use kernel::error::{code::ENOMEM, Result};
use kernel::sync::Arc;

use crate::device::{Device, Local};
use crate::patience::Timed;
use crate::plane::{Kind, Req};
use crate::ranges::Tickets;
use crate::sys::bio::{Op, OpFlags, OwnedBio, ReadyBio, Status, UpperBio, UpperCell};
use crate::sys::Wait;

/// The local part of a write or a flush, which can begin.
enum Ready<'d> {
    /// It is waited for.
    Plain(ReadyBio<'d, Req>),
    /// It can be given up.
    Timed(ReadyBio<'d, Timed>),
}

impl Ready<'_> {
    fn submit(self) {
        match self {
            Self::Plain(bio) => bio.submit(),
            Self::Timed(bio) => bio.submit(),
        }
    }
}

impl Device {
    /// Takes a bio on its way.
    pub(crate) fn submit(self: &Arc<Self>, bio: UpperBio) {
        self.submit_covered(bio, Refs::NONE);
    }

    /// Takes a bio on its way whose extents in the activity log are `refs`, if they are known.
    pub(crate) fn submit_covered(self: &Arc<Self>, bio: UpperBio, refs: Refs) {
        let srcu = crate::srcu();
        let _guard = srcu.read_lock();
        let policy = self.policy();
        if policy.parked {
            self.uncover(refs);
            self.park(bio);
            return;
        }
        match bio.op() {
            Op::Read => self.read(bio, &policy),
            Op::Write if bio.bytes() == 0 => self.flush(bio, &policy),
            Op::Write => self.write(bio, &policy, refs),
            // Not offered.
            Op::Discard | Op::WriteZeroes | Op::Other => bio.end(Status::NOT_SUPPORTED),
        }
    }

    fn read(self: &Arc<Self>, bio: UpperBio, policy: &Policy) {
        let local = match policy.read {
            ReadRoute::Local => true,
            ReadRoute::LocalIfClean => self
                .bits()
                .is_some_and(|bits| bits.count(bio.sector(), bio.bytes()) == 0),
            ReadRoute::Remote | ReadRoute::None => false,
        };
        if local {
            self.local_read(bio);
        } else if policy.remote_read {
            self.remote_read(bio);
        } else {
            bio.end(Status::IO_ERROR);
        }
    }

    fn local_read(self: &Arc<Self>, bio: UpperBio) {
        let Some(local) = self.local() else {
            bio.end(Status::IO_ERROR);
            return;
        };
        if local.limit_ms().is_some() {
            self.timed_read(&local, bio);
            return;
        }
        let kind = Kind::LocalRead {
            upper: UpperCell::empty(),
            started: bio.start_accounting(),
        };
        let flags = bio.flags().only(OpFlags::PASSED_ON);
        let Some(req) = self.object(kind) else {
            self.park_for_memory(bio);
            return;
        };
        let Ok(ready) = req.clone_of(&bio, &local.data, flags) else {
            self.park_for_memory(bio);
            return;
        };
        self.counters.ap_bio.fetch_add(1, Ordering::Relaxed);
        self.counters
            .read
            .fetch_add(u64::from(bio.bytes() >> 9), Ordering::Relaxed);
        self.local_begins();
        if let Kind::LocalRead { upper, .. } = &ready.share().kind {
            upper.put(bio);
        }
        ready.submit();
    }

    /// Has the peer answer a read.
    pub(crate) fn remote_read(self: &Arc<Self>, bio: UpperBio) {
        let subject = Subject {
            sector: bio.sector(),
            bytes: bio.bytes(),
            volume: self.vnr,
        };
        let plane = &self.resource.plane;
        let Some(slot) = plane.admit(subject, ReqWord::remote_read(), [0; 2], Refs::NONE) else {
            self.park_for_slot(bio);
            return;
        };
        let Some(req) = self.object(Kind::Read { slot }) else {
            self.give_back(slot);
            self.park_for_memory(bio);
            return;
        };
        self.counters.ap_bio.fetch_add(1, Ordering::Relaxed);
        self.counters.ap_pending.fetch_add(1, Ordering::Relaxed);
        let started = bio.start_accounting();
        plane.settle_in(slot, bio, started);
        self.resource.queue(req.into_shared());
        self.request_event(slot, Event::Submitted);
    }

    fn flush(self: &Arc<Self>, bio: UpperBio, policy: &Policy) {
        if policy.no_data {
            bio.end(Status::IO_ERROR);
            return;
        }
        let remote = policy.flush_waits_for_peer();
        let local = self
            .local()
            .filter(|l| policy.local_write && l.data.traits().write_cache);
        if !remote && local.is_none() {
            // Nothing volatile here, and nobody to wait for. The peer still learns that the epoch
            // has ended.
            if policy.write == WriteRoute::Replicate {
                self.resource.close_open_epoch();
            }
            bio.end(Status::OK);
            return;
        }
        let subject = Subject {
            sector: 0,
            bytes: 0,
            volume: self.vnr,
        };
        let plane = &self.resource.plane;
        let word = ReqWord::flush(local.is_some(), remote);
        let Some(slot) = plane.admit(subject, word, [0; 2], Refs::NONE) else {
            self.park_for_slot(bio);
            return;
        };
        let Some(req) = self.object(Kind::Flush { slot }) else {
            self.give_back(slot);
            self.park_for_memory(bio);
            return;
        };
        let queued = remote.then(|| req.share());
        let Ok(ready) = self.ready_to_write(req, slot, &bio, local.as_ref()) else {
            drop(queued);
            self.give_back(slot);
            self.park_for_memory(bio);
            return;
        };
        self.counters.ap_bio.fetch_add(1, Ordering::Relaxed);
        let started = bio.start_accounting();
        plane.settle_in(slot, bio, started);
        if let Some(queued) = queued {
            self.resource.queue(queued);
        }
        if let Some(ready) = ready {
            self.local_begins();
            ready.submit();
        }
        self.request_event(slot, Event::Submitted);
    }

    fn write(self: &Arc<Self>, bio: UpperBio, policy: &Policy, refs: Refs) {
        let local = if policy.local_write {
            self.local()
        } else {
            None
        };
        let remote = policy.remote_part();
        if (local.is_none() && remote == Remote::None) || policy.no_data {
            self.uncover(refs);
            bio.end(Status::IO_ERROR);
            return;
        }
        let (sector, bytes) = (bio.sector(), bio.bytes());
        let mut refs = refs;
        if let Some(local) = &local {
            if !local.activity.owns(refs) {
                let Some(covered) = local.activity.cover(sector, bytes) else {
                    self.wait_for_log(bio);
                    return;
                };
                refs = covered;
            }
        }
        let mut bio = Some(bio);
        let taken = self.take_range(sector, bytes, Work::LocalWrite, || {
            if let Some(bio) = bio.take() {
                self.park(bio);
            }
        });
        let (Some(tickets), Some(bio)) = (taken, bio) else {
            self.uncover(refs);
            return;
        };
        if matches!(remote, Remote::None | Remote::OutOfSyncNote) {
            // Before the data is written: whoever looks at the bitmap later finds it.
            // The note goes out also if the bit was set: perhaps by this very bio, which then found
            // no slot.
            self.mark_out_of_sync(sector, bytes);
        }
        self.start_write(bio, local, remote, policy, (tickets, refs));
    }

    fn start_write(
        self: &Arc<Self>,
        bio: UpperBio,
        local: Option<Local<'_>>,
        remote: Remote,
        policy: &Policy,
        (tickets, refs): (Tickets, Refs),
    ) {
        let plane = &self.resource.plane;
        let subject = Subject {
            sector: bio.sector(),
            bytes: bio.bytes(),
            volume: self.vnr,
        };
        let marked = |bits: Arc<crate::bitmap::Bits>| {
            bits.weight() > 0 && bits.count(subject.sector, subject.bytes) > 0
        };
        let word = policy.admit_write(local.is_some(), || self.bits().is_some_and(marked));
        let Some(slot) = plane.admit(subject, word, tickets, refs) else {
            self.release_range(tickets);
            self.uncover(refs);
            self.park_for_slot(bio);
            return;
        };
        let (hold, splice) = match remote {
            Remote::Data(protocol) => (Some(bio.hold()), protocol.answers_after_peer()),
            _ => (None, false),
        };
        let kind = Kind::Write {
            slot,
            flags: self.wire_flags(&bio, policy),
            splice,
            hold,
        };
        let Some(req) = self.object(kind) else {
            self.back_out(slot, bio);
            return;
        };
        let queued = (remote != Remote::None).then(|| req.share());
        let Ok(ready) = self.ready_to_write(req, slot, &bio, local.as_ref()) else {
            drop(queued);
            self.back_out(slot, bio);
            return;
        };
        self.counters.ap_bio.fetch_add(1, Ordering::Relaxed);
        let started = bio.start_accounting();
        let sectors = u64::from(bio.bytes() >> 9);
        plane.settle_in(slot, bio, started);
        if let Some(queued) = queued {
            if matches!(remote, Remote::Data(_)) {
                self.counters.ap_pending.fetch_add(1, Ordering::Relaxed);
            }
            self.resource.queue(queued);
        }
        if let Some(ready) = ready {
            self.counters.writ.fetch_add(sectors, Ordering::Relaxed);
            self.local_begins();
            ready.submit();
        }
        self.request_event(slot, Event::Submitted);
    }

    /// The local part of a write or a flush, if there is a disk. Fails if there is no memory now.
    fn ready_to_write<'d>(
        self: &Arc<Self>,
        req: OwnedBio<Req>,
        slot: SlotId,
        bio: &UpperBio,
        local: Option<&'d Local<'_>>,
    ) -> Result<Option<Ready<'d>>> {
        let Some(local) = local else { return Ok(None) };
        let flags = bio.flags().only(OpFlags::PASSED_ON);
        let ready = if local.limit_ms().is_none() {
            Ready::Plain(if bio.bytes() == 0 {
                req.flush(&local.data)
            } else {
                req.clone_of(bio, &local.data, flags).map_err(|_| ENOMEM)?
            })
        } else {
            let io = local.patience.write(self, slot, bio).ok_or(ENOMEM)?;
            Ready::Timed(if bio.bytes() == 0 {
                io.flush(&local.data)
            } else {
                io.write(&local.data, bio.sector(), flags)
            })
        };
        Ok(Some(ready))
    }

    fn wire_flags(&self, bio: &UpperBio, policy: &Policy) -> WriteFlags {
        let flags = bio.flags();
        crate::convert::write_flags(
            WriteOp::Write,
            flags.has(OpFlags::SYNC),
            flags.has(OpFlags::FUA),
            flags.has(OpFlags::PREFLUSH),
            policy,
        )
    }

    fn object(self: &Arc<Self>, kind: Kind) -> Option<OwnedBio<Req>> {
        crate::requests()
            .alloc(Wait::No, Req::new(Some(self.clone()), kind))
            .ok()
    }

    fn back_out(self: &Arc<Self>, slot: SlotId, bio: UpperBio) {
        let plane = &self.resource.plane;
        let tickets = plane.take_tickets(slot);
        let refs = plane.take_refs(slot);
        self.give_back(slot);
        self.release_range(tickets);
        self.uncover(refs);
        self.park_for_memory(bio);
    }

    /// All slots are in use: barrier acks bring them back, so the epoch must be closed.
    fn park_for_slot(self: &Arc<Self>, bio: UpperBio) {
        self.park(bio);
        self.resource.close_open_epoch();
        if self.resource.plane.want_slot() {
            // One came back before the bio was parked.
            self.kick();
        }
    }

    /// Parks a bio that nobody wakes for sure: it is tried again with the next tick.
    pub(crate) fn park_for_memory(self: &Arc<Self>, bio: UpperBio) {
        self.park(bio);
        crate::later().enqueue_device(self);
    }
}
