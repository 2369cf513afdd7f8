// SPDX-License-Identifier: GPL-2.0
//! The one who writes to the data socket; kernel/sender.rs in small.

use super::{Item, Node};
use crate::bug::Bug;
use crate::net::DATA;
use crate::node::answers::Purpose;
use crate::shared::{Actor, Shared};
use drbd_core::config::DiskConf;
use drbd_core::peer::{settings, Event as Fed, Send};
use drbd_core::request::epoch::{ClosedEpoch, SendEpoch};
use drbd_core::request::slots::SlotId;
use drbd_core::request::word::Event;
use drbd_core::state::Conn;
use drbd_core::wire::{
    Agreed, Barrier, BarrierNr, BitmapCursor, BlockDesc, BlockId, BlockRange, BlockRequest, Data,
    DataReply, Packet, State, StateRequest, SyncUuid, WriteFlags,
};

/// The bytes of sectors with these versions.
pub(crate) fn sectors_as_bytes(data: &[u64], out: &mut Vec<u8>) {
    for version in data {
        out.extend_from_slice(&version.to_le_bytes());
        out.resize(out.len() + 504, 0);
    }
}

pub(crate) fn range(sector: u64, bytes: u32) -> BlockRange {
    BlockRange::new(sector, bytes, 1 << 20).expect("a range of the own device is a range")
}

impl Node {
    /// A link has come up: its sender begins.
    pub(crate) fn begin_sender(&mut self) {
        self.open_epoch = self.open_epoch.wrapping_add(1);
        self.epoch = SendEpoch::new(self.open_epoch);
    }

    /// The sender's turn: what was queued since it looked last.
    pub(crate) fn run_sender(&mut self, s: &mut Shared) {
        let Some(link) = &mut self.link else { return };
        if link.down || link.sender_ended {
            return;
        }
        let agreed = link.agreed;
        if link.log_full {
            if !self.epochs.has_room() {
                return;
            }
            link.log_full = false;
        }
        let reads = std::mem::take(&mut link.read);
        let mut buffer = std::mem::take(&mut link.buffer);
        let mut sent = Vec::new();
        for io in reads {
            self.answer_read(io, &agreed, &mut buffer, s);
        }
        // As many as the turn has room for.
        let mut some = 1 + s.rng.below(8);
        while some > 0 && !self.is_log_full() {
            some -= 1;
            let Some(item) = self.plane.queue.pop_front() else {
                break;
            };
            self.item(item, &agreed, &mut buffer, &mut sent, s);
        }
        if self.epoch_is_to_be_closed() && !self.is_log_full() {
            self.close_epoch(&agreed, &mut buffer, s);
        }
        if !self.is_log_full() {
            self.resync_tick(&agreed, &mut buffer, s);
        }
        let (id, me) = (self.link.as_ref().map_or(0, |l| l.id), self.id);
        if !buffer.is_empty() && !s.send(id, me, DATA, &buffer) {
            let link = self.link.as_mut().expect("nobody took it away");
            link.sender_ended = true;
            self.feed(Fed::LinkBroken(Conn::BrokenPipe), Some(Actor::Sender), s);
            return;
        }
        for slot in sent {
            self.request_event(slot, Event::HandedToSocket, s);
        }
        if !self.plane.queue.is_empty() {
            self.wake(Actor::Sender, s);
        }
        self.tell_news(s);
    }

    fn is_log_full(&self) -> bool {
        self.link.as_ref().is_none_or(|l| l.log_full)
    }

    fn tell_news(&mut self, s: &mut Shared) {
        for vol in 0..self.devices.len() as u16 {
            if (self.resync_news >> vol) & 1 == 1 {
                self.resync_news &= !(1 << vol);
                let mut failed = self.take_failed(vol);
                if s.bug(Bug::ForgetFailed) {
                    failed = 0;
                }
                self.feed(
                    Fed::ResyncProgress { vnr: vol, failed },
                    Some(Actor::Sender),
                    s,
                );
            }
        }
    }

    fn epoch_is_to_be_closed(&self) -> bool {
        self.close_any || self.close_this == Some(self.epoch.number())
    }

    fn close_epoch(&mut self, agreed: &Agreed, out: &mut Vec<u8>, s: &mut Shared) {
        (self.close_any, self.close_this) = (false, None);
        let Some(closed) = self.epoch.close() else {
            return;
        };
        self.open_epoch = self.epoch.number();
        self.log_epoch(closed, agreed, out, s);
    }

    fn log_epoch(
        &mut self,
        closed: ClosedEpoch,
        agreed: &Agreed,
        out: &mut Vec<u8>,
        s: &mut Shared,
    ) {
        let Some(link) = &mut self.link else { return };
        if self.epochs.push(closed).is_err() {
            s.fail("sim", || {
                "an epoch was closed though the log is full".to_owned()
            });
        }
        // The kernel waits inside; here nothing more is taken until there is room again.
        link.log_full = !self.epochs.has_room();
        let barrier = BarrierNr::from_epoch(closed.number);
        put(out, 0, &Packet::Barrier(Barrier { barrier }), agreed);
    }

    fn item(
        &mut self,
        item: Item,
        agreed: &Agreed,
        out: &mut Vec<u8>,
        sent: &mut Vec<SlotId>,
        s: &mut Shared,
    ) {
        match item {
            Item::Control(packet) => self.control(&packet, agreed, out),
            Item::Write {
                slot,
                flags,
                data: Some(data),
            } => {
                self.send_write(slot, (flags, data), agreed, out, sent, s);
            }
            Item::Write {
                slot, data: None, ..
            } => {
                let Some(subject) = self.plane.table().subject(slot) else {
                    return;
                };
                if self.epoch_is_to_be_closed() {
                    self.close_epoch(agreed, out, s);
                }
                let range = range(subject.sector, subject.bytes);
                put(
                    out,
                    subject.volume,
                    &Packet::OutOfSync(BlockDesc { range }),
                    agreed,
                );
                sent.push(slot);
            }
            Item::Read { slot } => {
                let Some(subject) = self.plane.table().subject(slot) else {
                    return;
                };
                if self.epoch_is_to_be_closed() {
                    self.close_epoch(agreed, out, s);
                }
                let request = BlockRequest {
                    range: range(subject.sector, subject.bytes),
                    block_id: BlockId::from_u64(slot.to_wire()),
                };
                put(out, subject.volume, &Packet::DataRequest(request), agreed);
                sent.push(slot);
            }
            Item::Flush { slot } => self.send_flush(slot, agreed, out, s),
        }
    }

    fn send_write(
        &mut self,
        slot: SlotId,
        (flags, data): (WriteFlags, Vec<u64>),
        agreed: &Agreed,
        out: &mut Vec<u8>,
        sent: &mut Vec<SlotId>,
        s: &mut Shared,
    ) {
        let Some(subject) = self.plane.table().subject(slot) else {
            return;
        };
        if self.epoch_is_to_be_closed() || self.epoch.writes() >= self.net.max_epoch_size {
            self.close_epoch(agreed, out, s);
            if self.is_log_full() {
                // The last place is taken; this write belongs to the next epoch.
                let data = Some(data);
                self.plane
                    .queue
                    .push_front(Item::Write { slot, flags, data });
                return;
            }
        }
        self.epoch.add(&self.plane.table(), slot);
        crate::check::data::in_epoch(self, slot, s);
        let vol = subject.volume;
        let device = self.device(vol);
        device.seq += 1;
        let packet = Packet::Data(Data {
            range: range(subject.sector, subject.bytes),
            block_id: BlockId::from_u64(slot.to_wire()),
            seq_num: device.seq,
            flags: flags.to_wire(agreed),
        });
        put(out, vol, &packet, agreed);
        sectors_as_bytes(&data, out);
        sent.push(slot);
    }

    fn send_flush(&mut self, slot: SlotId, agreed: &Agreed, out: &mut Vec<u8>, s: &mut Shared) {
        self.close_epoch(agreed, out, s);
        let waits = match self.epochs.youngest() {
            Some(epoch) => {
                self.flushes.push((epoch, slot));
                true
            }
            None => false,
        };
        self.request_event(slot, Event::HandedToSocket, s);
        if !waits {
            self.request_event(slot, Event::BarrierAck, s);
        }
    }

    fn answer_read(&mut self, io: u64, agreed: &Agreed, out: &mut Vec<u8>, s: &mut Shared) {
        let Some(link) = &mut self.link else { return };
        let Some(peer_io) = link.ios.get(&io) else {
            return;
        };
        let era = self.devices[usize::from(peer_io.vol)].era;
        if matches!(peer_io.purpose, Purpose::ResyncRead) && peer_io.era != era {
            // For a resync that has ended with the target's disk.
            self.drop_io(io, s);
            return;
        }
        if peer_io.failed {
            link.done.push_back(io);
            self.wake(Actor::Answers, s);
            return;
        }
        let reply = DataReply {
            range: range(peer_io.sector, peer_io.bytes),
            block_id: peer_io.block_id,
        };
        let (vol, data) = (peer_io.vol, peer_io.data.clone());
        let (sector, bytes) = (peer_io.sector, peer_io.bytes);
        let packet = match peer_io.purpose {
            Purpose::ResyncRead => {
                self.device(vol).rs_pending += 1;
                Packet::RsDataReply(reply)
            }
            _ => Packet::DataReply(reply),
        };
        put(out, vol, &packet, agreed);
        sectors_as_bytes(&data, out);
        if matches!(packet, Packet::RsDataReply(_)) && s.bug(Bug::ClearWhenSent) {
            self.mark_in_sync(vol, sector, bytes, s);
        }
        // From here on writes of the range may follow on the wire.
        self.drop_io(io, s);
    }

    fn control(&mut self, packet: &Send, agreed: &Agreed, out: &mut Vec<u8>) {
        match *packet {
            Send::Protocol {
                discard_my_data,
                dry_run,
            } => {
                let own = settings::own_protocol(&self.net, discard_my_data, dry_run);
                put(out, 0, &Packet::Protocol(own), agreed);
            }
            Send::SyncParam(vnr) => {
                let disk = DiskConf::default();
                let own = settings::own_sync_param(&self.net, &disk, agreed.version);
                put(out, vnr, &Packet::SyncParam(own), agreed);
            }
            Send::Sizes { vnr, sizes } => put(out, vnr, &Packet::Sizes(sizes), agreed),
            Send::Uuids { vnr, uuids } => put(out, vnr, &Packet::Uuids(uuids), agreed),
            Send::State(vnr, state) => put(out, vnr, &Packet::State(State { state }), agreed),
            Send::SyncUuid(vnr, uuid) => {
                put(out, vnr, &Packet::SyncUuid(SyncUuid { uuid }), agreed);
            }
            Send::ChangeRequest(vnr, change) => {
                put(
                    out,
                    vnr,
                    &Packet::StateChgReq(StateRequest { change }),
                    agreed,
                );
            }
            Send::ConnChangeRequest(change) => {
                put(
                    out,
                    0,
                    &Packet::ConnStChgReq(StateRequest { change }),
                    agreed,
                );
            }
            Send::Bitmap(vnr) => self.send_bitmap(vnr, agreed, out),
            Send::ChangeReply(..) | Send::ConnChangeReply(_) | Send::Ping => {}
        }
    }

    fn send_bitmap(&mut self, vnr: u16, agreed: &Agreed, out: &mut Vec<u8>) {
        let Some(bits) = self.device(vnr).bits.clone() else {
            return;
        };
        let mut cursor = BitmapCursor::new(bits.len());
        while !cursor.is_done() {
            let mut room = [0; 4096];
            let sent = cursor
                .emit_next(&bits.source(), vnr, agreed, self.net.use_rle, &mut room)
                .expect("a packet has room for a piece of bitmap");
            out.extend_from_slice(&room[..sent.size]);
        }
    }
}

/// Appends a packet.
pub(crate) fn put(out: &mut Vec<u8>, vnr: u16, packet: &Packet<'_>, agreed: &Agreed) {
    let mut bytes = [0; 512];
    let size = packet
        .emit(vnr, agreed, 0, &mut bytes)
        .expect("what we send has its place in the version's format");
    out.extend_from_slice(&bytes[..size]);
}
