// SPDX-License-Identifier: GPL-2.0
//! The one who reads the data socket, and who looks for the peer; kernel/receiver.rs and
//! kernel/connect.rs in small. How two sockets are found is not played: see [`crate::world`].

use super::answers::{LinkEnd, PeerIo, Purpose, QuickAck};
use super::{Node, Receiver};
use crate::bits::{Bits, Merge};
use crate::bug::Bug;
use crate::net::{Got, DATA, META};
use crate::shared::{Actor, Shared};
use drbd_core::peer::{settings, Event as Fed};
use drbd_core::request::range::Work;
use drbd_core::request::slots::SlotId;
use drbd_core::request::word::{Event, Outcome};
use drbd_core::state::{Conn, Disk};
use drbd_core::wire::{
    next_frame, AckKind, Agreed, BitmapCursor, BlockId, BlockRange, BlockRequest, Command, Context,
    Data, DataReply, Framing, Packet, Phase, Socket as Which, WireError, WriteFlags,
};

type Handled = Result<(), Conn>;

/// The versions that the bytes of sectors carry.
fn bytes_as_sectors(bytes: &[u8]) -> Vec<u64> {
    let version = |sector: &[u8]| u64::from_le_bytes(sector[..8].try_into().expect("8 bytes"));
    bytes.chunks_exact(512).map(version).collect()
}

impl Node {
    /// The receiver's turn.
    pub(crate) fn run_receiver(&mut self, s: &mut Shared) {
        match self.receiver {
            Receiver::None => {}
            Receiver::Starting => {
                self.interrupted = false;
                self.receiver = Receiver::Seeking;
                self.feed(Fed::Connecting, Some(Actor::Receiver), s);
            }
            Receiver::Seeking => {
                if self.interrupted || self.view.cstate != Conn::WFConnection {
                    self.receiver = Receiver::Closed;
                    self.feed(Fed::LinkClosed, Some(Actor::Receiver), s);
                }
            }
            Receiver::Live => {
                if let Err(reason) = self.receive(s) {
                    let down = self.link.as_ref().is_none_or(|l| l.down);
                    self.receiver = Receiver::Ending;
                    let reason = if down { Conn::NetworkFailure } else { reason };
                    self.feed(Fed::LinkBroken(reason), Some(Actor::Receiver), s);
                }
            }
            Receiver::Ending => self.wait_for_the_others(s),
            Receiver::Closed => {
                // Whether there is another attempt, the machine has decided.
                self.receiver = if self.seen_by_receiver <= Conn::Disconnecting {
                    Receiver::None
                } else {
                    Receiver::Starting
                };
                self.wake(Actor::Receiver, s);
            }
        }
    }

    /// A new connection is there.
    pub(crate) fn link_up(&mut self, id: u64, agreed: Agreed, resolve: bool, s: &mut Shared) {
        if !self.up || self.receiver != Receiver::Seeking || self.interrupted {
            // Whoever is on the other end finds it closed.
            for socket in [DATA, META] {
                s.net.end(id, self.id, socket);
                s.schedule(id, self.id, socket);
            }
            return;
        }
        self.link = Some(LinkEnd::new(id, agreed));
        self.receiver = Receiver::Live;
        self.begin_sender();
        let up = Fed::LinkUp {
            agreed,
            resolve_conflicts: resolve,
        };
        self.feed(up, Some(Actor::Receiver), s);
        for actor in [Actor::Sender, Actor::Acks, Actor::Answers] {
            self.wake(actor, s);
        }
    }

    /// The link has ended: the other threads, and the peer's I/O that is still under way.
    fn wait_for_the_others(&mut self, s: &mut Shared) {
        self.shut_down(s);
        for vol in 0..self.devices.len() as u16 {
            self.drop_parked(vol, s);
        }
        let Some(link) = &mut self.link else { return };
        link.sender_ended = true;
        let reads = std::mem::take(&mut link.read);
        let done = std::mem::take(&mut link.done);
        let waits = link.waits_for_range.take();
        for io in reads.into_iter().chain(done).chain(waits) {
            let epoch = self
                .link
                .as_ref()
                .and_then(|l| match l.ios.get(&io)?.purpose {
                    Purpose::Write { epoch, .. } => Some(epoch),
                    _ => None,
                });
            self.drop_io(io, s);
            if let (Some(epoch), Some(link)) = (epoch, &mut self.link) {
                link.epochs.done(epoch);
            }
        }
        let others = [Actor::Sender, Actor::Acks, Actor::Answers];
        let busy = others.iter().any(|a| self.is_blocked(*a));
        if !busy {
            self.finish_epochs(s);
        }
        let Some(link) = &self.link else { return };
        let ended = link.acks_ended && link.answers_ended && link.flushing.is_none();
        if busy || !ended || !link.ios.is_empty() {
            // Who ends wakes us; a look now and then does no harm.
            self.wake_in(3000, Actor::Receiver, s);
            return;
        }
        self.forget_link(s);
        self.link = None;
        self.receiver = Receiver::Closed;
        self.feed(Fed::LinkClosed, Some(Actor::Receiver), s);
    }

    /// One packet.
    fn receive(&mut self, s: &mut Shared) -> Handled {
        let id = self.id;
        let Some(link) = &mut self.link else {
            return Err(Conn::NetworkFailure);
        };
        if link.down {
            return Err(Conn::NetworkFailure);
        }
        if let Some(io) = link.waits_for_range.take() {
            self.take_peer_range(io, s);
            return Ok(());
        }
        if let Some(number) = link.waits_for_room.take() {
            self.barrier(number, s);
            return Ok(());
        }
        let context = Context {
            socket: Which::Data,
            phase: link.phase,
            agreed: link.agreed,
            digest_size: 0,
        };
        let input = std::mem::take(&mut link.input[DATA]);
        let (used, result) = match next_frame(&input, &context) {
            Ok(Framing::Packet(frame)) if input.len() >= frame.consumed + frame.bulk as usize => {
                let packet = Packet::decode(&frame, &context);
                let used = frame.consumed + frame.bulk as usize;
                let bulk = bytes_as_sectors(&input[frame.consumed..used]);
                match packet {
                    Ok(packet) => (used, self.data_packet(frame.header.volume, packet, bulk, s)),
                    Err(e) => {
                        s.fail("wire", || format!("node {id}, data socket: {e}"));
                        return Err(Conn::ProtocolError);
                    }
                }
            }
            Ok(_) => {
                let got = s.net.read(link.id, id, DATA);
                link.input[DATA] = input;
                return match got {
                    Got::Bytes(bytes) => {
                        link.input[DATA].extend(bytes);
                        self.wake(Actor::Receiver, s);
                        Ok(())
                    }
                    Got::Nothing => Ok(()),
                    Got::End => Err(Conn::BrokenPipe),
                };
            }
            Err(e) => {
                s.fail("wire", || format!("node {id}, data socket: {e}"));
                return Err(Conn::ProtocolError);
            }
        };
        if let Some(link) = &mut self.link {
            link.input[DATA] = input[used..].to_vec();
        }
        self.wake(Actor::Receiver, s);
        // A disk that was lost while the packet was under way may be a reason; nothing else.
        let attached = self
            .r
            .volumes
            .iter()
            .all(|v| v.state.disk >= Disk::Inconsistent);
        let linked = self.r.cstate == Conn::WFReportParams;
        if result == Err(Conn::ProtocolError) && attached && linked {
            s.fail("wire", || {
                format!("node {id}: a packet of ours was refused")
            });
        }
        result
    }

    fn data_packet(
        &mut self,
        vol: u16,
        packet: Packet<'_>,
        bulk: Vec<u64>,
        s: &mut Shared,
    ) -> Handled {
        let by = Some(Actor::Receiver);
        let id = self.id;
        s.say(|| format!("{id} < {packet:?}"));
        match packet {
            Packet::Data(data) => return self.data(vol, data, bulk, s),
            Packet::DataReply(reply) => return self.data_reply(vol, reply, &bulk, s),
            Packet::RsDataReply(reply) => return self.resync_reply(vol, reply, bulk, s),
            Packet::Barrier(b) => self.barrier(u32::from_ne_bytes(b.barrier.0), s),
            Packet::DataRequest(r) => return self.read_request(vol, r, Purpose::Read, s),
            Packet::RsDataRequest(r) => return self.read_request(vol, r, Purpose::ResyncRead, s),
            Packet::OutOfSync(d) => self.mark_out_of_sync(vol, d.range.sector(), d.range.size()),
            Packet::Bitmap(words) => {
                return self.bitmap(vol, s, |cursor, agreed, bits| {
                    cursor.take_plain(words, agreed, &mut Merge(bits))
                })
            }
            Packet::CompressedBitmap(code) => {
                return self.bitmap(vol, s, |cursor, _, bits| {
                    cursor.take_compressed(&code, &mut Merge(bits))
                })
            }
            Packet::Protocol(p) => {
                let verdict = settings::protocol_verdict(&self.net, &p);
                self.feed(Fed::Protocol(verdict), by, s);
            }
            Packet::SyncParam(p) => {
                let compatible = settings::same_algorithms(&self.net, &p);
                self.feed(
                    Fed::SyncParam {
                        vnr: vol,
                        compatible,
                    },
                    by,
                    s,
                );
            }
            Packet::Sizes(p) => self.feed(Fed::Sizes(vol, p), by, s),
            Packet::Uuids(u) => self.feed(Fed::Uuids(vol, u), by, s),
            Packet::State(p) => self.feed(Fed::State(vol, p.state), by, s),
            Packet::SyncUuid(u) => self.feed(Fed::SyncUuid(vol, u.uuid), by, s),
            Packet::StateChgReq(r) => self.feed(Fed::ChangeRequest(vol, r.change), by, s),
            Packet::ConnStChgReq(r) => self.feed(Fed::ConnChangeRequest(r.change), by, s),
            _ => return Err(Conn::ProtocolError),
        }
        Ok(())
    }

    fn object(
        &mut self,
        vol: u16,
        purpose: Purpose,
        range: &BlockRange,
        block_id: BlockId,
        data: Vec<u64>,
    ) -> u64 {
        let era = self.device(vol).era;
        let link = self.link.as_mut().expect("a packet comes over a link");
        let epoch = link.barriers;
        link.add(PeerIo {
            vol,
            purpose,
            sector: range.sector(),
            bytes: range.size(),
            block_id,
            tickets: [0; 2],
            wanted: [0; 2],
            failed: false,
            data,
            epoch,
            era,
        })
    }

    /// A write of the peer's application.
    fn data(&mut self, vol: u16, data: Data, bulk: Vec<u64>, s: &mut Shared) -> Handled {
        let protocol = self.net.wire_protocol;
        let link = self.link.as_mut().expect("a packet comes over a link");
        let flags = WriteFlags::from_wire(Command::Data, data.flags, &link.agreed, protocol)
            .map_err(|_| Conn::ProtocolError)?;
        if !data.range.fits(self.devices[usize::from(vol)].size) {
            return Err(Conn::ProtocolError);
        }
        let ack = |kind| QuickAck {
            kind,
            vol,
            sector: data.range.sector(),
            bytes: data.range.size(),
            block_id: data.block_id,
        };
        if !self.devices[usize::from(vol)].policy.local_write {
            link.epochs.count_only();
            link.acks.push_back(ack(AckKind::Neg));
            // A disk that is being attached does not have it.
            self.mark_out_of_sync(vol, data.range.sector(), data.range.size());
            self.wake(Actor::Answers, s);
            return Ok(());
        }
        let purpose = Purpose::Write {
            epoch: link.epochs.open(),
            ack: flags.ack,
            may_set_in_sync: flags.may_set_in_sync,
            fua: flags.fua,
        };
        if flags.ack.receive() {
            link.acks.push_back(ack(AckKind::Recv));
            self.wake(Actor::Answers, s);
        }
        let io = self.object(vol, purpose, &data.range, data.block_id, bulk);
        if !self.device(vol).policy.peer_has_disk {
            self.mark_out_of_sync(vol, data.range.sector(), data.range.size());
        }
        self.take_peer_range(io, s);
        Ok(())
    }

    /// Takes the range of the peer's I/O, or waits for it.
    fn take_peer_range(&mut self, io: u64, s: &mut Shared) {
        let Some(peer_io) = self.link.as_ref().and_then(|l| l.ios.get(&io)) else {
            return;
        };
        let (vol, at) = (peer_io.vol, (peer_io.sector, peer_io.bytes));
        let write = matches!(peer_io.purpose, Purpose::Write { .. });
        let work = if write {
            Work::PeerWrite
        } else {
            Work::ResyncIo
        };
        let taken = self.take_range(vol, at, work, s);
        let link = self.link.as_mut().expect("it was there");
        let Some(tickets) = taken else {
            link.waits_for_range = Some(io);
            return;
        };
        let mut wanted = [0; 2];
        if let Some(io) = link.ios.get_mut(&io) {
            io.tickets = tickets;
            wanted = std::mem::take(&mut io.wanted);
        }
        self.release_range(vol, wanted, s);
        let link = self.link.as_mut().expect("it was there");
        // The receiver has waited; it goes on with the next packet.
        if write {
            let (_, now) = link.epochs.join();
            // Nothing is held for a disk that has gone meanwhile.
            let disk = link.ios.get(&io).map(|io| io.era.disk);
            let same = disk == Some(self.devices[usize::from(vol)].era.disk);
            if !now && same {
                link.held.push_back(io);
                self.wake(Actor::Receiver, s);
                return;
            }
        }
        self.submit_peer_write(io, s);
        self.wake(Actor::Receiver, s);
    }

    fn barrier(&mut self, number: u32, s: &mut Shared) {
        let link = self.link.as_mut().expect("a packet comes over a link");
        if link.epochs.barrier(number).is_err() {
            link.waits_for_room = Some(number);
            return;
        }
        link.barriers += 1;
        self.wake(Actor::Answers, s);
        self.wake(Actor::Receiver, s);
    }

    /// The peer wants to read: its application, or as target of a resync.
    fn read_request(
        &mut self,
        vol: u16,
        request: BlockRequest,
        purpose: Purpose,
        s: &mut Shared,
    ) -> Handled {
        if !request.range.fits(self.device(vol).size) {
            return Err(Conn::ProtocolError);
        }
        let io = self.object(vol, purpose, &request.range, request.block_id, Vec::new());
        if self.view.states[usize::from(vol)].disk != Disk::UpToDate {
            if let Some(io) = self.link.as_mut().and_then(|l| l.ios.get_mut(&io)) {
                io.failed = true;
            }
            self.pass_on(io, s);
        } else if matches!(purpose, Purpose::ResyncRead) {
            self.read_for_target(io, s);
        } else {
            self.submit_peer_read(io, s);
        }
        Ok(())
    }

    /// The data of a read that our application waits for.
    fn data_reply(&mut self, vol: u16, reply: DataReply, bulk: &[u64], s: &mut Shared) -> Handled {
        let slot = SlotId::from_wire(reply.block_id.to_u64());
        let table = self.plane.table();
        let asked = table.subject(slot).is_some_and(|subject| {
            subject.volume == vol
                && subject.sector == reply.range.sector()
                && subject.bytes == reply.range.size()
        });
        let pending = table
            .word(slot)
            .is_some_and(|w| !w.is_write() && w.net_pending());
        if !asked || !pending {
            return Err(Conn::ProtocolError);
        }
        let subject = table.subject(slot).expect("it is there");
        let frozen = self.device(vol).policy.frozen;
        let op = self.plane.places[slot.index() as usize].op.take();
        let applied = self.plane.table().apply(slot, Event::DataReceived, frozen);
        match (applied, op) {
            (Ok(duties), Some(op)) if duties.complete == Some(Outcome::Success) => {
                self.answer(op, true, Some(bulk), s);
                self.duties(slot, subject, duties, s);
            }
            (Ok(duties), op) => {
                self.plane.places[slot.index() as usize].op = op;
                self.duties(slot, subject, duties, s);
            }
            (Err(_), Some(op)) => self.answer(op, false, None, s),
            (Err(_), None) => {}
        }
        Ok(())
    }

    /// A resync block that we asked for.
    fn resync_reply(
        &mut self,
        vol: u16,
        reply: DataReply,
        bulk: Vec<u64>,
        s: &mut Shared,
    ) -> Handled {
        let Some(wanted) = self.resync_arrived_to_write(vol, &reply.range, s) else {
            return Err(Conn::ProtocolError);
        };
        let io = self.object(
            vol,
            Purpose::ResyncWrite,
            &reply.range,
            reply.block_id,
            bulk,
        );
        if let Some(io) = self.link.as_mut().and_then(|l| l.ios.get_mut(&io)) {
            io.wanted = wanted;
        }
        self.take_peer_range(io, s);
        Ok(())
    }

    /// A part of the peer's bitmap.
    fn bitmap(
        &mut self,
        vol: u16,
        s: &mut Shared,
        take: impl FnOnce(&mut BitmapCursor, &Agreed, &Bits) -> Result<bool, WireError>,
    ) -> Handled {
        let bits = self.device(vol).bits.clone().ok_or(Conn::ProtocolError)?;
        let conn = self.view.states[usize::from(vol)].conn;
        if !matches!(conn, Conn::WFBitMapS | Conn::WFBitMapT) {
            return Err(Conn::ProtocolError);
        }
        let link = self.link.as_mut().ok_or(Conn::NetworkFailure)?;
        let mut cursor = link.cursor.take().unwrap_or(BitmapCursor::new(bits.len()));
        let agreed = link.agreed;
        let nowhere = Bits::new(bits.sectors());
        let target = if s.bug(Bug::ForgetMerge) {
            &nowhere
        } else {
            &*bits
        };
        let done = take(&mut cursor, &agreed, target).map_err(|_| Conn::ProtocolError)?;
        if done {
            link.phase = Phase::Established;
            self.feed(Fed::BitmapReceived(vol), Some(Actor::Receiver), s);
        } else {
            link.phase = Phase::Bitmap { volume: vol };
            link.cursor = Some(cursor);
        }
        Ok(())
    }
}
