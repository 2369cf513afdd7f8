// SPDX-License-Identifier: GPL-2.0
//! The one who reads the meta socket; kernel/acks.rs in small.

use super::Node;
use crate::bug::Bug;
use crate::net::{Got, META};
use crate::shared::{Actor, Shared};
use drbd_core::peer::Event as Fed;
use drbd_core::request::ack::{BlockAnswer, Meaning};
use drbd_core::request::slots::{SlotError, SlotId};
use drbd_core::request::word::Event;
use drbd_core::state::Conn;
use drbd_core::wire::{
    next_frame, AckKind, BarrierAck, BlockAck, Context, Framing, Packet, Phase, Socket as Which,
};

impl Node {
    /// The turn of the one who reads the meta socket: one packet.
    pub(crate) fn run_acks(&mut self, s: &mut Shared) {
        let id = self.id;
        let Some(link) = &mut self.link else { return };
        if link.acks_ended {
            return;
        }
        if link.down {
            link.acks_ended = true;
            self.wake(Actor::Receiver, s);
            return;
        }
        let context = Context {
            socket: Which::Meta,
            phase: Phase::Established,
            agreed: link.agreed,
            digest_size: 0,
        };
        let input = std::mem::take(&mut link.input[META]);
        let (used, result) = match next_frame(&input, &context) {
            Ok(Framing::NeedMore { .. }) => {
                let got = s.net.read(link.id, id, META);
                link.input[META] = input;
                match got {
                    Got::Bytes(bytes) => {
                        link.input[META].extend(bytes);
                        self.wake(Actor::Acks, s);
                    }
                    Got::Nothing => {}
                    Got::End => self.end_acks(Conn::NetworkFailure, s),
                }
                return;
            }
            Ok(Framing::Packet(frame)) => match Packet::decode(&frame, &context) {
                Ok(packet) => (
                    frame.consumed,
                    self.meta_packet(frame.header.volume, packet, s),
                ),
                Err(e) => {
                    s.fail("wire", || format!("node {id}, meta socket: {e}"));
                    return;
                }
            },
            Err(e) => {
                s.fail("wire", || format!("node {id}, meta socket: {e}"));
                return;
            }
        };
        if let Some(link) = &mut self.link {
            link.input[META] = input[used..].to_vec();
        }
        match result {
            Ok(()) => self.wake(Actor::Acks, s),
            Err(reason) => self.end_acks(reason, s),
        }
    }

    fn end_acks(&mut self, reason: Conn, s: &mut Shared) {
        if let Some(link) = &mut self.link {
            link.acks_ended = true;
            link.input[META].clear();
            if !link.down {
                self.feed(Fed::LinkBroken(reason), Some(Actor::Acks), s);
            }
        }
        self.wake(Actor::Receiver, s);
    }

    fn meta_packet(&mut self, vol: u16, packet: Packet<'_>, s: &mut Shared) -> Result<(), Conn> {
        let by = Some(Actor::Acks);
        match packet {
            Packet::Ping => {
                if let Some(link) = &mut self.link {
                    link.pings_to_answer += 1;
                }
                self.wake(Actor::Answers, s);
            }
            Packet::PingAck => self.feed(Fed::PingAck, by, s),
            Packet::StateChgReply(r) => self.feed(Fed::ChangeReply(vol, r.retcode), by, s),
            Packet::ConnStChgReply(r) => self.feed(Fed::ConnChangeReply(r.retcode), by, s),
            Packet::BarrierAck(ack) => return self.barrier_ack(ack, s),
            Packet::Ack(kind, ack) => return self.block_ack(vol, kind, &ack, s),
            _ => return Err(Conn::NetworkFailure),
        }
        Ok(())
    }

    fn block_ack(
        &mut self,
        vol: u16,
        kind: AckKind,
        ack: &BlockAck,
        s: &mut Shared,
    ) -> Result<(), Conn> {
        let event = match Meaning::of(kind, ack.block_id).ok_or(Conn::NetworkFailure)? {
            Meaning::Request(event) => event,
            Meaning::Block(answer) => return self.resync_ack(vol, answer, ack, s),
        };
        let slot = SlotId::from_wire(ack.block_id.to_u64());
        let frozen = self.device(vol).policy.frozen && !s.bug(Bug::IgnoreFreeze);
        let applied = self
            .plane
            .table()
            .apply_ack(slot, vol, ack.sector, event, frozen);
        match applied {
            Ok((subject, mut duties)) => {
                if event == Event::NegAck && s.bug(Bug::SkipBitOnNegAck) {
                    duties.set_out_of_sync = false;
                }
                crate::check::data::completes(self, slot, event, &duties, s);
                self.duties(slot, subject, duties, s);
                Ok(())
            }
            Err(SlotError::NoSuchRequest) if kind == AckKind::Neg => {
                let range = ack.range().map_err(|_| Conn::NetworkFailure)?;
                self.mark_out_of_sync(vol, range.sector(), range.size());
                Ok(())
            }
            Err(e) => {
                if !matches!(s.bug, Some(Bug::AckWhenSent | Bug::AckEarly)) {
                    let id = self.id;
                    s.fail("I17", || format!("node {id}: unexpected {kind:?}: {e:?}"));
                }
                Ok(())
            }
        }
    }

    fn resync_ack(
        &mut self,
        vol: u16,
        answer: BlockAnswer,
        ack: &BlockAck,
        s: &mut Shared,
    ) -> Result<(), Conn> {
        let range = ack.range().map_err(|_| Conn::NetworkFailure)?;
        let asked = match answer {
            BlockAnswer::Written | BlockAnswer::NotWritten => self.resync_answered(vol),
            BlockAnswer::NotRead | BlockAnswer::Dropped => {
                match self.resync_arrived(vol, &range, s) {
                    Some(tickets) => {
                        self.release_range(vol, tickets, s);
                        true
                    }
                    None => false,
                }
            }
            BlockAnswer::Equal => false,
        };
        if !asked {
            return Err(Conn::NetworkFailure);
        }
        match answer {
            BlockAnswer::Written => self.mark_in_sync(vol, range.sector(), range.size(), s),
            BlockAnswer::NotWritten | BlockAnswer::NotRead => {
                self.note_failed(vol, range.sector(), range.size(), s);
            }
            BlockAnswer::Dropped | BlockAnswer::Equal => {}
        }
        Ok(())
    }

    fn barrier_ack(&mut self, ack: BarrierAck, s: &mut Shared) -> Result<(), Conn> {
        let id = self.id;
        let number = ack.barrier.epoch();
        let closed = match self.epochs.acknowledge(number, ack.set_size) {
            Ok(closed) => closed,
            Err(e) => {
                s.fail("I17", || format!("node {id}: barrier ack {number}: {e:?}"));
                return Err(Conn::ProtocolError);
            }
        };
        crate::check::data::barrier_acked(self, &closed, s);
        // A sender that found the log full goes on.
        self.wake(Actor::Sender, s);
        let mut next = Some(closed.first);
        for _ in 0..closed.writes {
            let Some(slot) = next else { break };
            next = self.plane.table().linked(slot);
            let Some(subject) = self.plane.table().subject(slot) else {
                continue;
            };
            let frozen = self.device(subject.volume).policy.frozen;
            let applied = self.plane.table().apply(slot, Event::BarrierAck, frozen);
            match applied {
                Ok(duties) => {
                    crate::check::data::completes(self, slot, Event::BarrierAck, &duties, s);
                    self.duties(slot, subject, duties, s);
                }
                Err(e) => {
                    s.fail("I17", || format!("node {id}: barrier ack {number}: {e:?}"));
                    return Err(Conn::ProtocolError);
                }
            }
        }
        while let Some(at) = self.flushes.iter().position(|(e, _)| *e == number) {
            let (_, slot) = self.flushes.remove(at);
            self.request_event(slot, Event::BarrierAck, s);
        }
        Ok(())
    }
}
