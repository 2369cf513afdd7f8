// SPDX-License-Identifier: GPL-2.0
//! The data plane: what becomes of an operation of the application; kernel/submit.rs and
//! kernel/device.rs in small.

use super::{Item, Node, Waiter};
use crate::app::Kind;
use crate::bug::Bug;
use crate::check;
use crate::disk::{Done, Op};
use crate::ranges::Tickets;
use crate::shared::{Actor, Shared, What};
use drbd_core::config::words::Protocol;
use drbd_core::peer::{DiskErrorKind, Event as Fed};
use drbd_core::request::policy::{Policy, ReadRoute, WriteRoute};
use drbd_core::request::range::Work;
use drbd_core::request::slots::{SlotId, Subject};
use drbd_core::request::word::{Duties, Event, Gone, Outcome, Remote, Replication, ReqWord};
use drbd_core::state::Conn;
use drbd_core::wire::{AckWanted, WriteFlags, WriteOp};

impl Node {
    /// Starts an operation of a disk.
    pub(crate) fn submit(
        &mut self,
        vol: u16,
        op: Op,
        epoch: Option<(u64, u64)>,
        waiter: Waiter,
        s: &mut Shared,
    ) {
        let me = self.id;
        if let Op::Write {
            sector, data, fua, ..
        } = &op
        {
            let (sector, data, fua) = (*sector, data.clone(), *fua);
            let first = data.first().copied().unwrap_or(0);
            s.say(|| {
                format!(
                    "{me} disk {vol} write {sector}+{} v{first} fua {fua} {waiter:?} {epoch:?}",
                    data.len()
                )
            });
        }
        let disk = &mut s.disks[me][usize::from(vol)];
        let id = disk.submit(op, epoch);
        self.waiters.insert((vol, id), waiter);
        let delay = s.rng.delay(s.setup.disk_delay);
        let (node, life) = (self.id, self.life);
        s.later(
            delay,
            What::Disk {
                node,
                vol,
                op: id,
                life,
            },
        );
    }

    /// An operation of a disk has ended.
    pub(crate) fn disk_done(&mut self, vol: u16, op: u64, s: &mut Shared) {
        let done = s.disks[self.id][usize::from(vol)].complete(op);
        let (Some(done), Some(waiter)) = (done, self.waiters.remove(&(vol, op))) else {
            return;
        };
        let ok = done != Done::Failed;
        let me = self.id;
        s.say(|| format!("{me} disk {vol} done {ok} {waiter:?}"));
        if !ok {
            let id = self.id;
            s.say(|| format!("{id} disk {vol} failed: {waiter:?}"));
            s.count("disk error");
        }
        match waiter {
            Waiter::Owner => self.job_done(&done, s),
            Waiter::Release => {
                self.device(vol).releasing = false;
                if !ok {
                    self.feed(Fed::LinkBroken(Conn::NetworkFailure), None, s);
                }
                self.feed(Fed::DiskIdle(vol), Some(Actor::Worker), s);
            }
            Waiter::EpochFlush => self.epoch_flushed(vol, ok, s),
            Waiter::Request(slot) => {
                if !ok && s.bug != Some(Bug::HideLocalError) {
                    // The owner hears of it first: it may be that I/O is suspended for it.
                    self.local_error(vol, true, s);
                    self.request_event(slot, Event::LocalFailed, s);
                    self.device(vol).failed_writes.push_back(slot);
                    return;
                }
                self.local_done(vol, s);
                self.request_event(slot, Event::Local { ok }, s);
            }
            Waiter::LocalRead(id) => {
                self.local_done(vol, s);
                self.local_read_done(vol, id, done, s);
            }
            Waiter::PeerIo(io) => {
                self.local_done(vol, s);
                self.peer_io_done(vol, io, done, s);
            }
        }
    }

    pub(crate) fn local_error(&mut self, vol: u16, write: bool, s: &mut Shared) {
        if s.bug(Bug::HideLocalError) {
            return;
        }
        let errors = &mut self.device(vol).errors;
        if write {
            errors.1 = true;
        } else {
            errors.0 = true;
        }
        self.wake(Actor::Worker, s);
    }

    pub(crate) fn local_done(&mut self, vol: u16, s: &mut Shared) {
        let device = self.device(vol);
        device.local_io -= 1;
        if device.local_io == 0 && device.release {
            self.wake(Actor::Worker, s);
        }
    }

    /// The worker's turn: what interrupts and submitters left to be done.
    pub(crate) fn run_worker(&mut self, s: &mut Shared) {
        for vol in 0..self.devices.len() as u16 {
            let volatile = s.disks[self.id][usize::from(vol)].volatile;
            let device = self.device(vol);
            if device.release && device.local_io == 0 {
                device.release = false;
                if device.local.is_some() && volatile {
                    device.releasing = true;
                    self.submit(vol, Op::Flush, None, Waiter::Release, s);
                } else {
                    self.feed(Fed::DiskIdle(vol), Some(Actor::Worker), s);
                }
                return;
            }
            if device.draining && self.plane.open_requests(vol) == 0 {
                self.device(vol).draining = false;
                self.feed(Fed::Drained(vol), Some(Actor::Worker), s);
                return;
            }
            let (read, write) = std::mem::take(&mut self.device(vol).errors);
            if read || write {
                let kind = if write {
                    DiskErrorKind::Write
                } else {
                    DiskErrorKind::Read
                };
                self.feed(Fed::DiskError { vnr: vol, kind }, Some(Actor::Worker), s);
                return;
            }
            for slot in std::mem::take(&mut self.device(vol).failed_writes) {
                self.request_event(slot, Event::Local { ok: false }, s);
                // The disk goes when what it failed is marked out of sync.
                self.local_done(vol, s);
            }
            self.retry_parked_reads(vol, s);
            for id in std::mem::take(&mut self.device(vol).failed_reads) {
                let policy = self.device(vol).policy;
                if policy.parked {
                    self.device(vol).parked.push_back(id);
                } else if policy.remote_read {
                    self.remote_read(vol, id, s);
                } else {
                    self.answer(id, false, None, s);
                }
            }
            for id in std::mem::take(&mut self.device(vol).parked) {
                self.submit_app(id, s);
            }
        }
    }

    pub(crate) fn take_range(
        &mut self,
        vol: u16,
        (sector, bytes): (u64, u32),
        work: Work,
        s: &mut Shared,
    ) -> Option<Tickets> {
        let skipped = match work {
            Work::LocalWrite => s.bug(Bug::NoOverlap),
            Work::ResyncWanted => s.bug(Bug::NoInterlockTarget),
            Work::PeerWrite => s.bug(Bug::NoInterlockPeerWrite),
            Work::ResyncIo => false,
        };
        if skipped {
            return Some([0; 2]);
        }
        match self.device(vol).ranges.take(sector, bytes, work) {
            Ok(tickets) => Some(tickets),
            Err(waited) => {
                if waited {
                    self.range_is_free(s);
                }
                None
            }
        }
    }

    pub(crate) fn release_range(&mut self, vol: u16, tickets: Tickets, s: &mut Shared) {
        if self.device(vol).ranges.release(tickets) {
            self.range_is_free(s);
        }
    }

    fn range_is_free(&mut self, s: &mut Shared) {
        self.wake(Actor::Worker, s);
        // The receiver may wait for it.
        self.wake(Actor::Receiver, s);
    }

    /// An operation of the application on its way.
    pub(crate) fn submit_app(&mut self, id: u64, s: &mut Shared) {
        let Some(op) = s.app.ops.get(&id).cloned() else {
            return;
        };
        let policy = self.device(op.vol).policy;
        if policy.parked {
            self.device(op.vol).parked.push_back(id);
            return;
        }
        match op.kind {
            Kind::Read {
                sector, sectors, ..
            } => {
                self.read(op.vol, id, (sector, (sectors * 512) as u32), &policy, s);
            }
            Kind::Flush { .. } => self.flush(op.vol, id, &policy, s),
            Kind::Write {
                sector,
                sectors,
                fua,
                ..
            } => {
                let at = (sector, (sectors * 512) as u32);
                self.write(op.vol, id, at, fua, &policy, s);
            }
        }
    }

    /// Answers the application.
    pub(crate) fn answer(&mut self, id: u64, ok: bool, data: Option<&[u64]>, s: &mut Shared) {
        check::data::answered(self, id, ok, data, s);
    }

    fn read(&mut self, vol: u16, id: u64, at: (u64, u32), policy: &Policy, s: &mut Shared) {
        let clean = |n: &Node| {
            let bits = n.devices[usize::from(vol)].bits.as_ref();
            bits.is_some_and(|bits| bits.count(at.0, at.1) == 0)
        };
        let local = match policy.read {
            ReadRoute::Local => true,
            ReadRoute::LocalIfClean => clean(self) || s.bug(Bug::ReadDirty),
            ReadRoute::Remote | ReadRoute::None => false,
        };
        if local {
            if self.device(vol).local.is_none() {
                self.answer(id, false, None, s);
                return;
            }
            self.device(vol).local_io += 1;
            let op = Op::Read {
                sector: at.0,
                sectors: u64::from(at.1 / 512),
            };
            self.submit(vol, op, None, Waiter::LocalRead(id), s);
        } else if policy.remote_read {
            self.remote_read(vol, id, s);
        } else {
            self.answer(id, false, None, s);
        }
    }

    fn local_read_done(&mut self, vol: u16, id: u64, done: Done, s: &mut Shared) {
        match done {
            Done::Ok(data) => self.answer(id, true, Some(&data), s),
            Done::Failed => {
                if let Some(Kind::Read {
                    sector, sectors, ..
                }) = s.app.ops.get(&id).map(|op| op.kind.clone())
                {
                    if let Some(bits) = &self.device(vol).bits {
                        bits.set_out_of_sync(sector, (sectors * 512) as u32);
                    }
                }
                self.local_error(vol, false, s);
                self.device(vol).failed_reads.push_back(id);
                self.wake(Actor::Worker, s);
                if s.bug(Bug::AnswerTwice) {
                    self.answer(id, false, None, s);
                }
            }
        }
    }

    fn remote_read(&mut self, vol: u16, id: u64, s: &mut Shared) {
        let Some(Kind::Read {
            sector, sectors, ..
        }) = s.app.ops.get(&id).map(|o| o.kind.clone())
        else {
            return;
        };
        let subject = Subject {
            sector,
            bytes: (sectors * 512) as u32,
            volume: vol,
        };
        let Some(slot) = self.admit(subject, ReqWord::remote_read(), [0; 2], id) else {
            self.park_for_slot(vol, id, s);
            return;
        };
        self.queue(Item::Read { slot }, s);
        self.request_event(slot, Event::Submitted, s);
    }

    fn admit(
        &mut self,
        subject: Subject,
        word: ReqWord,
        tickets: Tickets,
        op: u64,
    ) -> Option<SlotId> {
        let slot = self.plane.table().allocate(subject, word)?;
        let after = self.answered_epoch;
        self.plane.places[slot.index() as usize] = super::Place {
            op: Some(op),
            tickets,
            version: 0,
            after,
            used: true,
        };
        Some(slot)
    }

    fn park_for_slot(&mut self, vol: u16, id: u64, s: &mut Shared) {
        let me = self.id;
        s.say(|| format!("{me} operation {id} waits for a slot"));
        self.device(vol).parked.push_back(id);
        self.close_open_epoch(s);
        // One may have come back before.
        self.wake_in(5000, Actor::Worker, s);
    }

    fn flush(&mut self, vol: u16, id: u64, policy: &Policy, s: &mut Shared) {
        if policy.no_data {
            self.answer(id, false, None, s);
            return;
        }
        let link = self.link.as_ref().map(|l| l.id);
        if let Some(Kind::Flush { peer, .. }) = s.app.ops.get_mut(&id).map(|op| &mut op.kind) {
            *peer = link.filter(|_| policy.flush_waits_for_peer());
        }
        let remote = policy.flush_waits_for_peer() && !s.bug(Bug::FlushAlone);
        let volatile = s.disks[self.id][usize::from(vol)].volatile;
        let attached = self.device(vol).local.is_some() && policy.local_write;
        let local = attached && volatile && !s.bug(Bug::FlushNothing);
        if !remote && !local {
            if policy.write == WriteRoute::Replicate {
                self.close_open_epoch(s);
            }
            self.answer(id, true, None, s);
            return;
        }
        let subject = Subject {
            sector: 0,
            bytes: 0,
            volume: vol,
        };
        let Some(slot) = self.admit(subject, ReqWord::flush(local, remote), [0; 2], id) else {
            self.park_for_slot(vol, id, s);
            return;
        };
        if remote {
            self.queue(Item::Flush { slot }, s);
        }
        if local {
            self.device(vol).local_io += 1;
            self.submit(vol, Op::Flush, None, Waiter::Request(slot), s);
        }
        self.request_event(slot, Event::Submitted, s);
    }

    fn write(
        &mut self,
        vol: u16,
        id: u64,
        at: (u64, u32),
        fua: bool,
        policy: &Policy,
        s: &mut Shared,
    ) {
        let local = policy.local_write && self.device(vol).local.is_some();
        let remote = policy.remote_part();
        if (!local && remote == Remote::None) || policy.no_data {
            self.answer(id, false, None, s);
            return;
        }
        let Some(tickets) = self.take_range(vol, at, Work::LocalWrite, s) else {
            let me = self.id;
            s.say(|| format!("{me} write {id} waits for its range"));
            self.device(vol).parked.push_back(id);
            return;
        };
        if matches!(remote, Remote::None | Remote::OutOfSyncNote) && !s.bug(Bug::SkipBitAlone) {
            self.mark_out_of_sync(vol, at.0, at.1);
        }
        let subject = Subject {
            sector: at.0,
            bytes: at.1,
            volume: vol,
        };
        let bits = self.device(vol).bits.clone();
        let marked = || bits.is_some_and(|b| b.count(at.0, at.1) > 0);
        let word = policy.admit_write(local, marked);
        let Some(slot) = self.admit(subject, word, tickets, id) else {
            self.release_range(vol, tickets, s);
            self.park_for_slot(vol, id, s);
            return;
        };
        let version = s.app.admitted(id);
        self.plane.places[slot.index() as usize].version = version;
        check::data::admitted(self, vol, at, s);
        let data = vec![version; (at.1 / 512) as usize];
        if remote != Remote::None {
            let flags = WriteFlags {
                op: WriteOp::Write,
                sync: false,
                fua,
                preflush: false,
                may_set_in_sync: policy.may_set_in_sync,
                ack: AckWanted::of(letter(policy.protocol), policy.may_set_in_sync),
            };
            let data = matches!(remote, Remote::Data(_)).then(|| data.clone());
            self.queue(Item::Write { slot, flags, data }, s);
        }
        if local {
            self.device(vol).local_io += 1;
            let op = Op::Write {
                sector: at.0,
                data,
                preflush: false,
                fua,
            };
            self.submit(vol, op, None, Waiter::Request(slot), s);
        }
        if s.bug(Bug::AckEarly) {
            let op = self.plane.places[slot.index() as usize].op.take();
            if let Some(op) = op {
                self.answer(op, true, None, s);
            }
        }
        self.request_event(slot, Event::Submitted, s);
    }

    /// An event happens to a request that may be any.
    pub(crate) fn request_event(&mut self, slot: SlotId, event: Event, s: &mut Shared) {
        let Some(subject) = self.plane.table().subject(slot) else {
            return;
        };
        let frozen = self.device(subject.volume).policy.frozen && !s.bug(Bug::IgnoreFreeze);
        let event = match event {
            Event::HandedToSocket if s.bug(Bug::AckWhenSent) => {
                let applied = self.plane.table().apply(slot, event, frozen);
                if let Ok(duties) = applied {
                    self.duties(slot, subject, duties, s);
                }
                Event::WriteAck { in_sync: false }
            }
            other => other,
        };
        let applied = self.plane.table().apply(slot, event, frozen);
        if let Ok(mut duties) = applied {
            if event == Event::ConnectionLost && s.bug(Bug::LoseQuietly) {
                duties.set_out_of_sync = false;
            }
            check::data::completes(self, slot, event, &duties, s);
            self.duties(slot, subject, duties, s);
        }
    }

    /// Does what a transition asked for.
    pub(crate) fn duties(&mut self, slot: SlotId, subject: Subject, d: Duties, s: &mut Shared) {
        let Subject {
            sector,
            bytes,
            volume: vol,
        } = subject;
        if d.set_out_of_sync && !s.bug(Bug::SkipBit) {
            let me = self.id;
            s.say(|| format!("{me} out of sync: {vol} {sector}+{}", bytes / 512));
            self.mark_out_of_sync(vol, sector, bytes);
        }
        if d.copies_part {
            self.copies_part(vol, Gone::Nobody, s);
        }
        if d.close_epoch && !s.bug(Bug::EpochNotClosed) {
            let epoch = self.plane.table().epoch(slot);
            if self.open_epoch == epoch {
                self.close_this = Some(epoch);
                self.wake(Actor::Sender, s);
            }
        }
        if let Some(outcome) = d.complete {
            let place = &mut self.plane.places[slot.index() as usize];
            let (op, tickets) = (place.op.take(), std::mem::take(&mut place.tickets));
            if let Some(op) = op {
                if d.close_epoch {
                    let link = self.link.as_ref().map_or(0, |l| l.id);
                    self.answered_epoch = Some((link, self.plane.table().epoch(slot)));
                }
                check::data::copies(self, slot, outcome == Outcome::Success, s);
                self.answer(op, outcome == Outcome::Success, None, s);
            }
            self.release_range(vol, tickets, s);
        }
        if d.retry {
            let place = &mut self.plane.places[slot.index() as usize];
            let (op, tickets) = (place.op.take(), std::mem::take(&mut place.tickets));
            self.device(vol).parked.extend(op);
            self.release_range(vol, tickets, s);
            self.wake(Actor::Worker, s);
        }
        if d.set_in_sync {
            self.mark_in_sync(vol, sector, bytes, s);
        }
        if d.destroy {
            self.plane.table().release(slot);
            let place = &mut self.plane.places[slot.index() as usize];
            place.used = false;
            if place.version > 0 {
                check::data::destroyed(self, subject, s);
            }
            self.wake(Actor::Worker, s);
        }
    }

    pub(crate) fn mark_out_of_sync(&mut self, vol: u16, sector: u64, bytes: u32) {
        if let Some(bits) = &self.device(vol).bits {
            bits.set_out_of_sync(sector, bytes);
        }
    }

    /// Marks blocks in sync; the resync may be over.
    pub(crate) fn mark_in_sync(&mut self, vol: u16, sector: u64, bytes: u32, s: &mut Shared) {
        let Some(bits) = self.device(vol).bits.clone() else {
            return;
        };
        let gone = if s.bug(Bug::ClearPartly) {
            let first = sector / 8 * 8;
            let end = (sector + u64::from(bytes / 512)).div_ceil(8) * 8;
            bits.set_in_sync(first, ((end - first) * 512) as u32)
        } else {
            bits.set_in_sync(sector, bytes)
        };
        let me = self.id;
        s.say(|| format!("{me} in sync: {vol} {sector}+{} ({gone} bits)", bytes / 512));
        check::data::cleared(self, vol, &bits, (sector, bytes), s);
        if gone > 0 && bits.weight() <= self.device(vol).rs_failed + 64 {
            self.resync_moved(vol, s);
        }
    }

    pub(crate) fn resync_moved(&mut self, vol: u16, s: &mut Shared) {
        self.resync_news |= 1 << vol;
        self.wake(Actor::Sender, s);
    }

    /// Queues something for the sender.
    pub(crate) fn queue(&mut self, item: Item, s: &mut Shared) {
        self.plane.queue.push_back(item);
        self.wake(Actor::Sender, s);
    }

    /// Whatever epoch is open ends here.
    pub(crate) fn close_open_epoch(&mut self, s: &mut Shared) {
        self.close_any = true;
        self.wake(Actor::Sender, s);
    }
}

fn letter(replication: Replication) -> Protocol {
    match replication {
        Replication::A => Protocol::A,
        Replication::B => Protocol::B,
        Replication::C => Protocol::C,
    }
}
