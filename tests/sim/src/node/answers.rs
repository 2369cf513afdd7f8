// SPDX-License-Identifier: GPL-2.0
//! An established link, the I/O for the peer, and the one who writes to the meta socket;
//! kernel/link.rs, kernel/peer_io.rs and kernel/answers.rs in small.

use super::{Era, Node, Waiter};
use crate::bug::Bug;
use crate::disk::{Done, Op};
use crate::net::{DATA, META};
use crate::node::sender::put;
use crate::ranges::Tickets;
use crate::shared::{Actor, Shared};
use drbd_core::peer::{Event as Fed, Send};
use drbd_core::request::epoch::{PeerEpochId, PeerEpochStep, PeerEpochs};
use drbd_core::state::Conn;
use drbd_core::wire::{
    AckKind, AckWanted, Agreed, BarrierAck, BarrierNr, BitmapCursor, BlockAck, BlockId, Packet,
    Phase, StateReply,
};
use std::collections::{BTreeMap, VecDeque};

/// What I/O for the peer is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// A write of the peer's application.
    Write {
        epoch: PeerEpochId,
        ack: AckWanted,
        may_set_in_sync: bool,
        fua: bool,
    },
    /// A resync block that came from the source.
    ResyncWrite,
    /// A read of the peer's application.
    Read,
    /// A resync block that the target asked for.
    ResyncRead,
}

/// I/O for the peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerIo {
    pub(crate) vol: u16,
    pub(crate) purpose: Purpose,
    pub(crate) sector: u64,
    pub(crate) bytes: u32,
    pub(crate) block_id: BlockId,
    pub(crate) tickets: Tickets,
    /// The range as it was asked for, kept until the block may be written.
    pub(crate) wanted: Tickets,
    pub(crate) failed: bool,
    pub(crate) data: Vec<u64>,
    /// The epoch, as the checker counts them.
    pub(crate) epoch: u64,
    /// When it came, by [`Device::era`](super::Device::era).
    pub(crate) era: Era,
}

/// An ack that does not wait for the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuickAck {
    pub(crate) kind: AckKind,
    pub(crate) vol: u16,
    pub(crate) sector: u64,
    pub(crate) bytes: u32,
    pub(crate) block_id: BlockId,
}

/// One end of a link.
pub(crate) struct LinkEnd {
    pub(crate) id: u64,
    pub(crate) agreed: Agreed,
    /// It was shut down.
    pub(crate) down: bool,
    pub(crate) replies: VecDeque<Send>,
    pub(crate) acks: VecDeque<QuickAck>,
    pub(crate) pings_to_answer: u32,
    pub(crate) ping_wanted: bool,
    pub(crate) ios: BTreeMap<u64, PeerIo>,
    next_io: u64,
    /// I/O that has ended and is to be answered.
    pub(crate) done: VecDeque<u64>,
    /// Reads that have ended and go to the sender.
    pub(crate) read: VecDeque<u64>,
    /// Writes that wait for an earlier epoch.
    pub(crate) held: VecDeque<u64>,
    pub(crate) epochs: PeerEpochs,
    /// Flushes under way for this epoch.
    pub(crate) flushing: Option<(PeerEpochId, u32)>,
    /// One of them failed.
    pub(crate) flush_failed: bool,
    /// Barriers received, for the checker.
    pub(crate) barriers: u64,
    /// Bytes read and not used yet: data socket, meta socket.
    pub(crate) input: [Vec<u8>; 2],
    pub(crate) phase: Phase,
    pub(crate) cursor: Option<BitmapCursor>,
    /// I/O whose range the receiver waits for.
    pub(crate) waits_for_range: Option<u64>,
    /// A barrier that finds no room.
    pub(crate) waits_for_room: Option<u32>,
    /// What the sender has not sent yet.
    pub(crate) buffer: Vec<u8>,
    pub(crate) log_full: bool,
    pub(crate) sender_ended: bool,
    pub(crate) acks_ended: bool,
    pub(crate) answers_ended: bool,
}

impl LinkEnd {
    pub(crate) fn new(id: u64, agreed: Agreed) -> Self {
        Self {
            id,
            agreed,
            down: false,
            replies: VecDeque::new(),
            acks: VecDeque::new(),
            pings_to_answer: 0,
            ping_wanted: false,
            ios: BTreeMap::new(),
            next_io: 0,
            done: VecDeque::new(),
            read: VecDeque::new(),
            held: VecDeque::new(),
            epochs: PeerEpochs::new(true),
            flushing: None,
            flush_failed: false,
            barriers: 0,
            input: [Vec::new(), Vec::new()],
            phase: Phase::Established,
            cursor: None,
            waits_for_range: None,
            waits_for_room: None,
            buffer: Vec::new(),
            log_full: false,
            sender_ended: false,
            acks_ended: false,
            answers_ended: false,
        }
    }

    pub(crate) fn add(&mut self, io: PeerIo) -> u64 {
        self.next_io += 1;
        self.ios.insert(self.next_io, io);
        self.next_io
    }

    /// Nothing of the peer's is half done here.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ios.is_empty()
            && self.replies.is_empty()
            && self.acks.is_empty()
            && self.pings_to_answer == 0
            && !self.ping_wanted
            && self.input.iter().all(Vec::is_empty)
    }
}

impl Node {
    /// I/O for the peer is over: answered, or there is nobody any more to answer to.
    pub(crate) fn drop_io(&mut self, io: u64, s: &mut Shared) {
        let Some(io) = self.link.as_mut().and_then(|l| l.ios.remove(&io)) else {
            return;
        };
        if matches!(io.purpose, Purpose::Write { .. }) && io.failed {
            self.mark_out_of_sync(io.vol, io.sector, io.bytes);
        }
        self.release_range(io.vol, io.tickets, s);
        self.release_range(io.vol, io.wanted, s);
        self.wake(Actor::Receiver, s);
    }

    /// An operation of a disk for the peer has ended.
    pub(crate) fn peer_io_done(&mut self, vol: u16, io: u64, done: Done, s: &mut Shared) {
        let Some(peer_io) = self.link.as_mut().and_then(|l| l.ios.get_mut(&io)) else {
            return;
        };
        let write = matches!(
            peer_io.purpose,
            Purpose::Write { .. } | Purpose::ResyncWrite
        );
        match done {
            Done::Ok(data) if !write => peer_io.data = data,
            Done::Ok(_) => {}
            Done::Failed => {
                peer_io.failed = !s.bug(Bug::HideError);
                self.local_error(vol, write, s);
            }
        }
        self.pass_on(io, s);
    }

    /// Hands I/O that has ended to the one who answers.
    pub(crate) fn pass_on(&mut self, io: u64, s: &mut Shared) {
        let Some(link) = &mut self.link else { return };
        let Some(peer_io) = link.ios.get(&io) else {
            return;
        };
        match peer_io.purpose {
            Purpose::Write { .. } | Purpose::ResyncWrite => {
                link.done.push_back(io);
                self.wake(Actor::Answers, s);
            }
            Purpose::Read | Purpose::ResyncRead => {
                link.read.push_back(io);
                self.wake(Actor::Sender, s);
            }
        }
        // Who waits until the peer's I/O is over looks again.
        self.wake(Actor::Receiver, s);
    }

    fn fail_io(&mut self, io: u64, s: &mut Shared) {
        if let Some(io) = self.link.as_mut().and_then(|l| l.ios.get_mut(&io)) {
            io.failed = true;
        }
        self.pass_on(io, s);
    }

    /// Starts a write that may go to the disk now.
    pub(crate) fn submit_peer_write(&mut self, io: u64, s: &mut Shared) {
        let Some(link) = &self.link else { return };
        let (id, Some(peer_io)) = (link.id, link.ios.get(&io).cloned()) else {
            return;
        };
        let device = self.device(peer_io.vol);
        let same = device.era.disk == peer_io.era.disk;
        if device.local.is_none() || !device.policy.local_write || !same {
            self.fail_io(io, s);
            return;
        }
        let (fua, epoch) = match peer_io.purpose {
            Purpose::Write { fua, .. } => (fua, Some((id, peer_io.epoch))),
            _ => (false, None),
        };
        if let Some(epoch) = epoch {
            crate::check::data::peer_write(self, peer_io.vol, epoch, s);
        }
        if s.bug(Bug::PeerAcksEarly) {
            if let (Purpose::Write { ack, .. }, Some(link)) = (peer_io.purpose, &mut self.link) {
                if ack.write() {
                    link.acks.push_back(QuickAck {
                        kind: AckKind::Write,
                        vol: peer_io.vol,
                        sector: peer_io.sector,
                        bytes: peer_io.bytes,
                        block_id: peer_io.block_id,
                    });
                    if let Some(io) = link.ios.get_mut(&io) {
                        if let Purpose::Write { ack, .. } = &mut io.purpose {
                            *ack = AckWanted::None;
                        }
                    }
                    self.wake(Actor::Answers, s);
                }
            }
        }
        self.device(peer_io.vol).local_io += 1;
        let op = Op::Write {
            sector: peer_io.sector,
            data: peer_io.data,
            preflush: false,
            fua,
        };
        self.submit(peer_io.vol, op, epoch, Waiter::PeerIo(io), s);
    }

    /// The copies have parted: writes that wait for an earlier epoch fail now. The peer marks them
    /// before the copies are compared again.
    pub(crate) fn fail_held(&mut self, vol: u16, s: &mut Shared) {
        let held = self.link.as_mut().map(|l| std::mem::take(&mut l.held));
        for io in held.unwrap_or_default() {
            let Some(link) = &mut self.link else { return };
            if link.ios.get(&io).is_some_and(|io| io.vol == vol) {
                self.fail_io(io, s);
            } else {
                link.held.push_back(io);
            }
        }
    }

    /// Starts a read for the peer.
    pub(crate) fn submit_peer_read(&mut self, io: u64, s: &mut Shared) {
        let Some(peer_io) = self.link.as_ref().and_then(|l| l.ios.get(&io)) else {
            return;
        };
        let (vol, sector, sectors) = (peer_io.vol, peer_io.sector, u64::from(peer_io.bytes / 512));
        if self.device(vol).local.is_none() {
            self.fail_io(io, s);
            return;
        }
        self.device(vol).local_io += 1;
        self.submit(
            vol,
            Op::Read { sector, sectors },
            None,
            Waiter::PeerIo(io),
            s,
        );
    }

    /// Shuts the link down: what is queued on the meta socket still goes out.
    pub(crate) fn shut_down(&mut self, s: &mut Shared) {
        let id = self.id;
        let Some(link) = &mut self.link else { return };
        if std::mem::replace(&mut link.down, true) {
            return;
        }
        s.net.end(link.id, id, DATA);
        let link = link.id;
        s.schedule(link, id, DATA);
        for actor in [Actor::Receiver, Actor::Sender, Actor::Acks, Actor::Answers] {
            self.wake(actor, s);
        }
    }

    /// The turn of the one who answers.
    pub(crate) fn run_answers(&mut self, s: &mut Shared) {
        let Some(link) = &mut self.link else { return };
        if link.answers_ended {
            return;
        }
        let agreed = link.agreed;
        let mut out = Vec::new();
        if link.down {
            for reply in std::mem::take(&mut link.replies) {
                put_reply(&mut out, reply, &agreed);
            }
            self.send_meta(&out, s);
            self.end_answers(s);
            return;
        }
        for _ in 0..std::mem::take(&mut link.pings_to_answer) {
            put(&mut out, 0, &Packet::PingAck, &agreed);
        }
        for reply in std::mem::take(&mut link.replies) {
            put_reply(&mut out, reply, &agreed);
        }
        for ack in std::mem::take(&mut link.acks) {
            self.put_ack(&mut out, ack, &agreed);
        }
        let done = self.link.as_mut().map(|l| std::mem::take(&mut l.done));
        for io in done.unwrap_or_default() {
            self.put_answer(&mut out, io, &agreed, s);
        }
        self.put_epochs(&mut out, &agreed, s);
        if let Some(link) = &mut self.link {
            if std::mem::take(&mut link.ping_wanted) {
                // Behind all acks: its answer says that the peer has seen them.
                put(&mut out, 0, &Packet::Ping, &agreed);
            }
        }
        if !self.send_meta(&out, s) {
            self.end_answers(s);
            self.feed(Fed::LinkBroken(Conn::Timeout), Some(Actor::Answers), s);
        }
    }

    fn end_answers(&mut self, s: &mut Shared) {
        let id = self.id;
        if let Some(link) = &mut self.link {
            link.answers_ended = true;
            s.net.end(link.id, id, META);
            let link = link.id;
            s.schedule(link, id, META);
        }
        self.wake(Actor::Receiver, s);
    }

    fn send_meta(&mut self, out: &[u8], s: &mut Shared) -> bool {
        let link = self.link.as_ref().map_or(0, |l| l.id);
        out.is_empty() || s.send(link, self.id, META, out)
    }

    fn put_ack(&mut self, out: &mut Vec<u8>, ack: QuickAck, agreed: &Agreed) {
        let device = self.device(ack.vol);
        device.seq += 1;
        let packet = BlockAck {
            sector: ack.sector,
            block_id: ack.block_id,
            blksize: ack.bytes,
            seq_num: device.seq,
        };
        put(out, ack.vol, &Packet::Ack(ack.kind, packet), agreed);
    }

    fn put_answer(&mut self, out: &mut Vec<u8>, io: u64, agreed: &Agreed, s: &mut Shared) {
        let Some(peer_io) = self.link.as_ref().and_then(|l| l.ios.get(&io)).cloned() else {
            return;
        };
        let PeerIo {
            vol,
            sector,
            bytes,
            failed,
            era,
            ..
        } = peer_io;
        let now = self.device(vol).era;
        let same = now == era;
        let kind = match peer_io.purpose {
            Purpose::Write {
                ack,
                may_set_in_sync,
                ..
            } => {
                if failed {
                    self.mark_out_of_sync(vol, sector, bytes);
                    Some(AckKind::Neg)
                } else if ack.write()
                    && may_set_in_sync
                    && same
                    && self.device(vol).policy.may_set_in_sync
                {
                    self.mark_in_sync(vol, sector, bytes, s);
                    Some(AckKind::RsWrite)
                } else {
                    ack.write().then_some(AckKind::Write)
                }
            }
            // Of a disk that has gone: the peer may have marked the block again since.
            Purpose::ResyncWrite if failed || now.disk != era.disk => {
                self.note_failed(vol, sector, bytes, s);
                Some(AckKind::Neg)
            }
            Purpose::ResyncWrite => {
                if same {
                    self.mark_in_sync(vol, sector, bytes, s);
                }
                Some(AckKind::RsWrite)
            }
            Purpose::ResyncRead => {
                self.note_failed(vol, sector, bytes, s);
                Some(AckKind::NegRsDReply)
            }
            Purpose::Read => Some(AckKind::NegDReply),
        };
        if let Some(kind) = kind {
            let ack = QuickAck {
                kind,
                vol,
                sector,
                bytes,
                block_id: peer_io.block_id,
            };
            self.put_ack(out, ack, agreed);
        }
        if matches!(peer_io.purpose, Purpose::ResyncWrite) {
            self.resync_written(vol, s);
        }
        self.drop_io(io, s);
        if let (Purpose::Write { epoch, .. }, Some(link)) = (peer_io.purpose, &mut self.link) {
            link.epochs.done(epoch);
        }
    }

    fn put_epochs(&mut self, out: &mut Vec<u8>, agreed: &Agreed, s: &mut Shared) {
        loop {
            let Some(link) = &mut self.link else { return };
            if link.flushing.is_some() {
                // The kernel's thread waits for it here.
                return;
            }
            match link.epochs.next_step() {
                None => return,
                Some(PeerEpochStep::Flush(id)) => self.flush_disks(id, s),
                Some(PeerEpochStep::Release(id)) => self.release_epoch(id, s),
                Some(PeerEpochStep::Ack { barrier, size }) => {
                    let barrier = BarrierNr(barrier.to_ne_bytes());
                    let ack = BarrierAck {
                        barrier,
                        set_size: size,
                    };
                    put(out, 0, &Packet::BarrierAck(ack), agreed);
                    // A receiver that found no room for another epoch goes on.
                    self.wake(Actor::Receiver, s);
                }
            }
        }
    }

    /// The link is gone. Writes that were received go to the disk all the same, in their order:
    /// with protocol B the peer was told that we have them.
    pub(crate) fn finish_epochs(&mut self, s: &mut Shared) {
        let drop_held = s.bug(Bug::DropReceived);
        loop {
            let Some(link) = &mut self.link else { return };
            if link.flushing.is_some() {
                return;
            }
            match link.epochs.next_step() {
                Some(PeerEpochStep::Flush(id)) if !drop_held => self.flush_disks(id, s),
                Some(PeerEpochStep::Release(id)) if !drop_held => self.release_epoch(id, s),
                Some(PeerEpochStep::Ack { .. }) => {}
                _ => break,
            }
        }
        let Some(link) = &mut self.link else { return };
        if link.ios.len() == link.held.len() {
            // A flush has failed: nothing that comes later may be written.
            for io in std::mem::take(&mut link.held) {
                self.drop_io(io, s);
            }
        }
    }

    fn flush_disks(&mut self, id: PeerEpochId, s: &mut Shared) {
        let mut count = 0;
        let forget = s.bug(Bug::ForgetFlush);
        for vol in 0..self.devices.len() as u16 {
            let volatile = s.disks[self.id][usize::from(vol)].volatile;
            if self.device(vol).local.is_some() && volatile && !forget {
                count += 1;
                self.submit(vol, Op::Flush, None, Waiter::EpochFlush, s);
            }
        }
        let Some(link) = &mut self.link else { return };
        if count == 0 {
            link.epochs.flushed(id);
        } else {
            link.flushing = Some((id, count));
            if s.bug(Bug::NextEpochEarly) {
                for io in std::mem::take(&mut link.held) {
                    self.submit_peer_write(io, s);
                }
            }
        }
    }

    /// A flush between two epochs has ended.
    pub(crate) fn epoch_flushed(&mut self, vol: u16, ok: bool, s: &mut Shared) {
        if !ok {
            self.local_error(vol, true, s);
        }
        let Some(link) = &mut self.link else { return };
        let Some((id, count)) = link.flushing else {
            return;
        };
        link.flushing = (count > 1).then_some((id, count - 1));
        link.flush_failed |= !ok;
        if link.flush_failed && count == 1 {
            // What was written is not stable, and the peer must not forget it.
            self.end_answers(s);
            self.feed(
                Fed::LinkBroken(Conn::NetworkFailure),
                Some(Actor::Answers),
                s,
            );
            return;
        }
        if count == 1 {
            link.epochs.flushed(id);
        }
        self.wake(Actor::Answers, s);
        self.wake(Actor::Receiver, s);
    }

    /// Writes of this epoch may go to the disk now.
    fn release_epoch(&mut self, id: PeerEpochId, s: &mut Shared) {
        let held = self.link.as_mut().map(|l| std::mem::take(&mut l.held));
        for io in held.unwrap_or_default() {
            let Some(link) = &mut self.link else { return };
            match link.ios.get(&io).map(|io| io.purpose) {
                Some(Purpose::Write { epoch, .. }) if epoch == id => self.submit_peer_write(io, s),
                _ => link.held.push_back(io),
            }
        }
    }
}

fn put_reply(out: &mut Vec<u8>, reply: Send, agreed: &Agreed) {
    match reply {
        Send::ChangeReply(vnr, retcode) => {
            put(
                out,
                vnr,
                &Packet::StateChgReply(StateReply { retcode }),
                agreed,
            );
        }
        Send::ConnChangeReply(retcode) => {
            put(
                out,
                0,
                &Packet::ConnStChgReply(StateReply { retcode }),
                agreed,
            );
        }
        _ => {}
    }
}
