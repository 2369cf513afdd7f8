// SPDX-License-Identifier: GPL-2.0
//! What the machine asks for is done, one effect after the other; kernel/perform.rs in small.

use super::{Node, Receiver, Waiter};
use crate::bits::Bits;
use crate::bug::Bug;
use crate::disk::{Done, Op};
use crate::shared::{Actor, Shared, What, HELPERS};
use drbd_core::config::words::Protocol;
use drbd_core::peer::{Effect, Event, HelperCall, LogLine, Send, Setting};
use drbd_core::request::policy::{Policy, PolicyFacts};
use drbd_core::request::word::{Event as Told, Gone, Replication};
use drbd_core::state::{DeviceState, LogEvent};
use drbd_core::uuid::RefusalReason;
use std::rc::Rc;

/// One of the steps of an effect that has to wait for the disk in between.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Write the superblock, with the mark of a Primary or as it is to be in the end.
    Superblock { primary: bool },
    /// Write the changed pages of the bitmap from this one on.
    Pages(usize),
    /// Write this page.
    Page(usize, Box<[u8; 4096]>),
    /// Flush, if pages were written.
    Flush,
    /// Set or clear the full-sync flag.
    FullSync(bool),
    /// Set all bits.
    SetAll,
    /// The machine is told that all bits are set.
    Report,
    /// This bitmap takes the place of the old one, for a device of so many sectors.
    Bits(Option<Rc<Bits>>, u64),
    /// From here on a failure is the machine's business.
    TellFailure,
    /// Nobody hears of a failure but who asked for a report.
    HideFailure { report: bool },
}

impl Node {
    /// The copies have parted, for all requests of a volume.
    pub(crate) fn copies_part(&mut self, vnr: u16, gone: Gone, s: &mut Shared) {
        let all: Vec<_> = self.plane.requests_of(vnr).collect();
        for slot in all {
            self.request_event(slot, Told::CopiesPart { gone }, s);
        }
    }

    /// Does one thing.
    pub(crate) fn perform(&mut self, effect: Effect, s: &mut Shared) {
        let id = self.id;
        if let (Effect::WriteSuperblock { vnr, .. }, true) =
            (effect, s.bug == Some(Bug::UnaskedEffect))
        {
            s.bitten += 1;
            self.r.doing(&Effect::WriteBitmap(vnr));
            self.begin(vnr, [Step::TellFailure, Step::Pages(0), Step::Flush]);
        }
        self.r.doing(&effect);
        if !matches!(effect, Effect::Log(..)) {
            s.say(|| format!("{id}     {effect:?}"));
        } else {
            s.say(|| format!("{id}     log {effect:?}"));
        }
        match effect {
            Effect::Send(packet) => self.send_control(packet, s),
            Effect::StateChanged { vnr, new, .. } => self.publish(vnr, &new, s),
            Effect::ConnChanged { old, new } => crate::check::state::conn_step(self, old, new, s),
            Effect::Log(vnr, LogLine::HandshakeRefused(RefusalReason::SplitBrain)) => {
                self.device(vnr).split = true;
            }
            Effect::Log(vnr, LogLine::Handshake { verdict, rule, .. }) => {
                self.device(vnr).split = false;
                crate::check::state::verdict(self, vnr, verdict, rule, s);
            }
            Effect::Log(..) => {}
            Effect::CloseEpoch => self.close_open_epoch(s),
            Effect::Requests(event) => {
                let told = match event {
                    LogEvent::ConnectionLostWhilePending => Told::ConnectionLost,
                    LogEvent::Resend | LogEvent::RestartFrozenDiskIo => Told::Retry,
                    LogEvent::Thaw => Told::Thawed,
                };
                self.each_request(told, s);
            }
            Effect::CopiesPart { vnr, gone } => {
                self.device(vnr).era.parted += 1;
                if gone == Gone::OwnDisk {
                    self.device(vnr).era.disk += 1;
                    self.fail_held(vnr, s);
                }
                self.copies_part(vnr, gone, s);
            }
            Effect::WriteSuperblock { vnr, primary } => {
                self.begin(vnr, [Step::TellFailure, Step::Superblock { primary }]);
            }
            Effect::SetAllBits { vnr, report } => {
                if s.bug(Bug::ForgetAllBits) {
                    if report {
                        self.follow(Event::AllBitsSet { vnr, ok: true });
                    }
                    return;
                }
                self.begin(
                    vnr,
                    [
                        Step::HideFailure { report },
                        Step::FullSync(true),
                        Step::Superblock { primary: false },
                        Step::SetAll,
                        Step::Pages(0),
                        Step::Flush,
                        Step::FullSync(false),
                        Step::Superblock { primary: false },
                    ],
                );
                if report {
                    self.job.push_back(Step::Report);
                }
            }
            Effect::ClearBitmap(vnr) => {
                if let Some(bits) = &self.device(vnr).bits {
                    bits.clear_all();
                }
                self.begin(vnr, [Step::TellFailure, Step::Pages(0), Step::Flush]);
            }
            Effect::WriteBitmap(vnr) => {
                if !s.bug(Bug::ForgetBitmap) {
                    self.begin(vnr, [Step::TellFailure, Step::Pages(0), Step::Flush]);
                }
            }
            Effect::SetSize {
                vnr,
                sectors,
                on_disk,
                set_new,
            } => {
                self.set_size(vnr, sectors, on_disk, set_new, s);
            }
            Effect::StartResync { vnr, side } => self.start_resync(vnr, side, s),
            Effect::ResyncPaused { .. } => self.wake(Actor::Sender, s),
            Effect::StopResync(vnr) => self.stop_resync(vnr, s),
            Effect::StartReceiver => {
                self.receiver = Receiver::Starting;
                self.wake(Actor::Receiver, s);
            }
            Effect::CloseLink => {
                self.interrupted = true;
                self.shut_down(s);
                self.wake(Actor::Receiver, s);
            }
            // One device alone waits for no other, and its writes are of one block.
            Effect::DropNetConfig | Effect::ReviewDependents | Effect::SetLimits(_) => {}
            // No disk gets another size here.
            Effect::MoveMetadata(_) => {}
            Effect::ReleaseDisk(vnr) => {
                let device = self.device(vnr);
                device.release = true;
                s.disks_lost.push((id, vnr));
                self.wake(Actor::Worker, s);
            }
            Effect::Drain(vnr) => {
                self.device(vnr).draining = true;
                self.wake(Actor::Worker, s);
            }
            // No disk hangs here.
            Effect::AbandonDisk(_) => {}
            Effect::DestroyDisk(vnr) => {
                let device = self.device(vnr);
                device.local = None;
                device.bits = None;
            }
            Effect::Help { vnr, helper } => self.help(vnr, helper, s),
            // Online verify is not in the mix.
            Effect::StartVerify { .. } | Effect::StopVerify(_) | Effect::SetReadOnly { .. } => {}
            Effect::AdminDone(code) => {
                self.admin.answer = Some(code);
                self.wake(Actor::Admin, s);
            }
        }
    }

    fn send_control(&mut self, packet: Send, s: &mut Shared) {
        match packet {
            Send::ChangeReply(..) | Send::ConnChangeReply(_) | Send::Ping => {
                if let Some(link) = &mut self.link {
                    if packet == Send::Ping {
                        link.ping_wanted = true;
                    } else {
                        link.replies.push_back(packet);
                    }
                    self.wake(Actor::Answers, s);
                }
            }
            other => self.queue(super::Item::Control(other), s),
        }
    }

    fn help(&mut self, vol: u16, helper: HelperCall, s: &mut Shared) {
        let Some(which) = HELPERS.iter().position(|h| *h == helper) else {
            return;
        };
        let (node, life, which) = (self.id, self.life, which as u8);
        let delay = s.rng.delay(2000);
        s.later(
            delay,
            What::Helper {
                node,
                vol,
                which,
                life,
            },
        );
    }

    /// The policy for requests follows the state.
    pub(crate) fn publish(&mut self, vnr: u16, state: &DeviceState, s: &mut Shared) {
        let facts = PolicyFacts {
            agreed_version: self.r.apv() as u16,
            protocol: match self.net.wire_protocol {
                Protocol::A => Replication::A,
                Protocol::B => Replication::B,
                Protocol::C => Replication::C,
            },
            held: false,
            uuid_pending: false,
        };
        let policy = Policy::of(state, &facts);
        let device = self.device(vnr);
        device.published = *state;
        device.primary = state.role == drbd_core::state::Role::Primary;
        let changed = std::mem::replace(&mut device.policy, policy) != policy;
        if changed && !policy.parked {
            self.wake(Actor::Worker, s);
        }
        if policy.sync_target {
            self.wake(Actor::Sender, s);
        }
    }

    fn begin<const N: usize>(&mut self, vnr: u16, steps: [Step; N]) {
        self.job_vol = vnr;
        self.job.extend(steps);
    }

    /// The next step of the effect that is under way.
    pub(crate) fn job_step(&mut self, s: &mut Shared) {
        let vnr = self.job_vol;
        // The first step says what becomes of a failure; it stays until all are done.
        if self.job.len() == 1 {
            self.job.clear();
            return;
        }
        let Some(step) = self.job.remove(1) else {
            return;
        };
        let Some(layout) = self.device(vnr).local.as_ref().map(|l| l.layout) else {
            // No disk: nothing of it can be done, but there may be a size to take over.
            if let Step::Bits(bits, sectors) = step {
                self.take_size(vnr, bits, sectors);
            } else if matches!(self.job.front(), Some(Step::HideFailure { report: true })) {
                self.follow(Event::AllBitsSet { vnr, ok: false });
                self.job.clear();
            }
            return;
        };
        match step {
            Step::Superblock { primary } => {
                let volume = self.r.volumes[usize::from(vnr)];
                let Some(disk) = volume.disk else { return };
                if s.bug(Bug::ForgetSuperblock) {
                    return;
                }
                let mut bytes = vec![0; 4096];
                disk.to_write(primary)
                    .emit(&mut bytes)
                    .expect("a block holds a superblock");
                let stable = !s.bug(Bug::SuperblockInCache);
                let op = Op::Meta {
                    sector: layout.superblock_sector(),
                    bytes,
                    preflush: stable,
                    fua: stable,
                };
                self.job_waits = true;
                self.submit(vnr, op, None, Waiter::Owner, s);
            }
            Step::Pages(from) => {
                let Some(bits) = self.device(vnr).bits.clone() else {
                    return;
                };
                let Some(index) = (from..bits.page_count()).find(|i| bits.take_dirty(*i)) else {
                    if from == 0 {
                        // Nothing was written, nothing is to be flushed.
                        if matches!(self.job.get(1), Some(Step::Flush)) {
                            self.job.remove(1);
                        }
                    }
                    return;
                };
                self.job.insert(1, Step::Pages(index + 1));
                let bytes = bits.store(index);
                let volatile = s.disks[self.id][usize::from(vnr)].volatile;
                if bits.take_cleared() && volatile && !s.bug(Bug::BitmapBeforeData) {
                    self.job.insert(1, Step::Page(index, Box::new(bytes)));
                    self.job_waits = true;
                    self.submit(vnr, Op::Flush, None, Waiter::Owner, s);
                    return;
                }
                self.job.insert(1, Step::Page(index, Box::new(bytes)));
            }
            Step::Page(index, bytes) => {
                let Some((sector, sectors)) = layout.bitmap_page(index as u64) else {
                    return;
                };
                let bytes = bytes[..sectors as usize * 512].to_vec();
                let op = Op::Meta {
                    sector,
                    bytes,
                    preflush: false,
                    fua: false,
                };
                self.job_waits = true;
                self.submit(vnr, op, None, Waiter::Owner, s);
            }
            Step::Flush => {
                if s.bug(Bug::BitmapInCache) {
                    return;
                }
                self.job_waits = true;
                self.submit(vnr, Op::Flush, None, Waiter::Owner, s);
            }
            Step::FullSync(on) => {
                if !(on && s.bug(Bug::NoFullSyncFlag)) {
                    self.r.set(Setting::FullSync(vnr, on));
                }
            }
            Step::SetAll => {
                if let Some(bits) = &self.device(vnr).bits {
                    bits.set_all();
                }
            }
            Step::Report => self.follow(Event::AllBitsSet { vnr, ok: true }),
            Step::Bits(bits, sectors) => self.take_size(vnr, bits, sectors),
            Step::TellFailure | Step::HideFailure { .. } => {}
        }
    }

    /// An operation that the owner waited for has ended.
    pub(crate) fn job_done(&mut self, done: &Done, s: &mut Shared) {
        self.job_waits = false;
        if *done == Done::Failed {
            let vnr = self.job_vol;
            if let Some(bits) = &self.device(vnr).bits {
                // What was to be written is to be written still.
                bits.mark_dirty(0);
                bits.mark_cleared();
            }
            match self.job.front() {
                Some(Step::HideFailure { report: true }) => {
                    self.follow(Event::AllBitsSet { vnr, ok: false });
                }
                Some(Step::HideFailure { report: false }) => {}
                _ => self.metadata_failed(vnr),
            }
            self.job.clear();
        }
        self.wake(Actor::Owner, s);
    }

    fn set_size(
        &mut self,
        vnr: u16,
        sectors: u64,
        on_disk: Option<u64>,
        set_new: bool,
        s: &Shared,
    ) {
        let layout = self.device(vnr).local.as_ref().map(|l| l.layout);
        let (Some(layout), Some(on_disk)) = (layout, on_disk) else {
            self.take_size(vnr, None, sectors);
            return;
        };
        let disk = &s.disks[self.id][usize::from(vnr)];
        let read = |sectors: u64| {
            let bits = Bits::new(sectors);
            for index in 0..bits.page_count() {
                if let Some((at, sectors)) = layout.bitmap_page(index as u64) {
                    let mut block = [0; 4096];
                    let bytes = sectors as usize * 512;
                    block[..bytes].copy_from_slice(disk.meta(at, bytes));
                    bits.load(index, &block);
                }
            }
            bits
        };
        let bits = match &self.device(vnr).bits {
            Some(old) => old.resized(sectors, set_new),
            None if on_disk == sectors => read(sectors),
            None => read(on_disk).resized(sectors, set_new),
        };
        let bits = Rc::new(bits);
        self.begin(vnr, [Step::TellFailure]);
        if on_disk != sectors {
            // Before the superblock names the new size. Others see it only when it is written,
            // but nobody else writes meanwhile.
            bits.mark_all_dirty();
            let old = self.device(vnr).bits.replace(bits.clone());
            drop(old);
            self.begin(vnr, [Step::Pages(0), Step::Flush]);
        }
        self.begin(vnr, [Step::Bits(Some(bits), sectors)]);
    }

    fn take_size(&mut self, vnr: u16, bits: Option<Rc<Bits>>, sectors: u64) {
        let device = self.device(vnr);
        if bits.is_some() {
            device.bits = bits;
        }
        device.size = sectors;
    }

    /// The threads of a link are gone: nothing is sent any more of what was queued for it.
    pub(crate) fn forget_link(&mut self, s: &mut Shared) {
        for item in std::mem::take(&mut self.plane.queue) {
            match item {
                super::Item::Write { slot, .. }
                | super::Item::Read { slot }
                | super::Item::Flush { slot } => self.request_event(slot, Told::SendCanceled, s),
                super::Item::Control(_) => {}
            }
        }
        self.epochs.clear();
        self.flushes.clear();
    }

    pub(crate) fn each_request(&mut self, event: Told, s: &mut Shared) {
        let all: Vec<_> = self.plane.table().in_use().collect();
        for slot in all {
            self.request_event(slot, event, s);
        }
    }
}
