// SPDX-License-Identifier: GPL-2.0

//! The ack receiver: the one thread that reads from the meta socket.
//!
//! It reads many small packets with one call, and finds requests by their handle without looking
//! anything up in a tree. It also watches the peer's life: nothing heard for `ping-int` asks for a
//! ping, no answer within `ping-timeout` ends the link. Pings and answers to pings it sends itself:
//! no other thread has to be well for that, and none of them waits for this one.

use core::sync::atomic::Ordering;
use drbd_core::config::NetConf;
use drbd_core::peer::Event as Told;
use drbd_core::request::ack::{BlockAnswer, Meaning};
use drbd_core::request::slots::{SlotError, SlotId};
use drbd_core::request::word::Event;
use drbd_core::state::Conn;
use drbd_core::wire::{
    next_frame, AckKind, BarrierAck, BlockAck, Framing, OvResult, Packet, Phase, Reaction,
    Socket as Which, VerifyResult,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::link::Link;
use crate::resource::Resource;
use crate::stream::ReadAhead;
use crate::sys::log::{log, Level};
use crate::sys::memalloc::{NoIo, NoReclaim};
use crate::sys::socket::RecvOpts;
use crate::sys::time::ms_to_jiffies;

/// Bytes of the read-ahead buffer.
const BUFFER: usize = 4096;

/// The body of the ack receiver thread.
pub(crate) fn run(resource: &Arc<Resource>, link: &Arc<Link>) {
    let _noio = NoIo::enter();
    let _reserves = NoReclaim::enter();
    crate::sys::thread::set_real_time();
    let Some(mut net) = resource.view(|v| v.net.clone()) else {
        return;
    };
    if let Err(reason) = receive(resource, link, &mut net) {
        if link.is_down() {
            return;
        }
        // What was heard before comes first: it may be the answer to a wish to disconnect.
        link.tell_all(resource);
        if !link.is_down() {
            resource.feed(Told::LinkBroken(reason));
        }
    }
}

fn receive(resource: &Arc<Resource>, link: &Arc<Link>, net: &mut Arc<NetConf>) -> Result<(), Conn> {
    let failed = |_: Error| Conn::NetworkFailure;
    let context = link.context(Which::Meta, Phase::Established);
    let mut buffer = ReadAhead::new(BUFFER).map_err(failed)?;
    let mut watch = Watch::new(net);
    let mut seen = resource.net_version.load(Ordering::Acquire).wrapping_sub(1);
    loop {
        if resource.renew_net(&mut seen, net) {
            watch.set(net);
        }
        let framing = next_frame(buffer.window(), &context);
        let (consumed, packet) = match framing {
            Ok(Framing::NeedMore { .. }) => {
                buffer.compact();
                let got = watch.read(resource, link, buffer.room(BUFFER))?;
                buffer.added(got);
                continue;
            }
            Ok(Framing::Packet(frame)) => match Packet::decode(&frame, &context) {
                Ok(packet) => (frame.consumed, (frame.header.volume, packet)),
                Err(e) => return Err(refuse(resource, context.reaction(&e), &e)),
            },
            Err(e) => return Err(refuse(resource, context.reaction(&e), &e)),
        };
        handle(resource, link, &mut watch, packet.0, packet.1)?;
        buffer.consume(consumed);
    }
}

fn refuse(
    resource: &Arc<Resource>,
    reaction: Reaction,
    error: &drbd_core::wire::WireError,
) -> Conn {
    log!(Level::Error, **resource, "meta socket: {}", error);
    match reaction {
        Reaction::Disconnecting => {
            resource.feed(Told::CannotListen);
            Conn::NetworkFailure
        }
        Reaction::ProtocolError => Conn::ProtocolError,
        _ => Conn::NetworkFailure,
    }
}

/// Watches whether the peer lives.
struct Watch {
    ping_int_ms: u64,
    ping_timeout_ms: u64,
    /// A ping is under way.
    pinged: bool,
}

impl Watch {
    fn new(net: &NetConf) -> Self {
        Self {
            ping_int_ms: u64::from(net.ping_int).saturating_mul(1000),
            ping_timeout_ms: u64::from(net.ping_timeo).saturating_mul(100),
            pinged: false,
        }
    }

    fn set(&mut self, net: &NetConf) {
        let pinged = self.pinged;
        *self = Self::new(net);
        self.pinged = pinged;
    }

    fn read(
        &mut self,
        resource: &Arc<Resource>,
        link: &Arc<Link>,
        room: &mut [u8],
    ) -> Result<usize, Conn> {
        loop {
            let limit = if self.pinged {
                self.ping_timeout_ms
            } else {
                self.ping_int_ms
            };
            let patience = limit
                .saturating_sub(link.silent_ms())
                .clamp(10, limit.max(10));
            let jiffies = ms_to_jiffies(u32::try_from(patience).unwrap_or(u32::MAX));
            link.meta.set_receive_timeout(Some(jiffies));
            match link.meta.recv(room, RecvOpts::default()) {
                Ok(0) => {
                    if !link.is_down() {
                        log!(
                            Level::Error,
                            **resource,
                            "meta connection shut down by peer."
                        );
                    }
                    return Err(Conn::NetworkFailure);
                }
                Ok(got) => {
                    link.heard();
                    return Ok(got);
                }
                Err(_) if link.is_down() => return Err(Conn::NetworkFailure),
                Err(e) if e == EAGAIN || e == EINTR => self.waited(resource, link)?,
                Err(_) => return Err(Conn::NetworkFailure),
            }
        }
    }

    fn waited(&mut self, resource: &Arc<Resource>, link: &Arc<Link>) -> Result<(), Conn> {
        let silent = link.silent_ms();
        if self.pinged && silent >= self.ping_timeout_ms {
            log!(Level::Error, **resource, "PingAck did not arrive in time.");
            return Err(Conn::NetworkFailure);
        }
        if !self.pinged && silent >= self.ping_int_ms {
            self.pinged = true;
            // The time-out of the answer begins now.
            link.heard();
            send(link, &Packet::Ping)?;
        }
        Ok(())
    }
}

fn handle(
    resource: &Arc<Resource>,
    link: &Arc<Link>,
    watch: &mut Watch,
    vnr: u16,
    packet: Packet<'_>,
) -> Result<(), Conn> {
    match packet {
        Packet::Ping => {
            send(link, &Packet::PingAck)?;
        }
        Packet::PingAck => {
            watch.pinged = false;
            tell(resource, link, Told::PingAck)?;
        }
        Packet::StateChgReply(r) => tell(resource, link, Told::ChangeReply(vnr, r.retcode))?,
        Packet::ConnStChgReply(r) => tell(resource, link, Told::ConnChangeReply(r.retcode))?,
        Packet::BarrierAck(ack) => barrier_ack(resource, ack)?,
        Packet::Ack(kind, ack) => {
            let device = resource.device(vnr).ok_or(Conn::NetworkFailure)?;
            link.answered(1);
            block_ack(resource, &device, kind, &ack)?;
        }
        Packet::OvResult(result) => {
            let device = resource.device(vnr).ok_or(Conn::NetworkFailure)?;
            verify_result(&device, &result)?;
        }
        Packet::DelayProbe(_) => {}
        _ => return Err(Conn::NetworkFailure),
    }
    Ok(())
}

/// Has the machine told. A peer that answers faster than the machine listens is not of this world.
fn tell(resource: &Arc<Resource>, link: &Link, event: Told) -> Result<(), Conn> {
    if link.tell(resource, event) {
        return Ok(());
    }
    Err(Conn::NetworkFailure)
}

/// Sends a packet without content.
fn send(link: &Link, packet: &Packet<'_>) -> Result<(), Conn> {
    link.write_packet(packet).map_err(|_| Conn::NetworkFailure)
}

fn block_ack(
    resource: &Arc<Resource>,
    device: &Arc<Device>,
    kind: AckKind,
    ack: &BlockAck,
) -> Result<(), Conn> {
    let event = match Meaning::of(kind, ack.block_id).ok_or(Conn::NetworkFailure)? {
        Meaning::Request(event) => event,
        Meaning::Block(answer) => return resync_ack(device, answer, ack),
    };
    let id = SlotId::from_wire(ack.block_id.to_u64());
    let frozen = device.policy().frozen;
    let table = resource.plane.table();
    match table.apply_ack(id, device.vnr, ack.sector, event, frozen) {
        Ok((subject, duties)) => {
            device.counters.pending_done();
            device.perform(id, subject.sector, subject.bytes, duties);
            Ok(())
        }
        // The request is gone already (protocols A and B): only its blocks count.
        Err(SlotError::NoSuchRequest) if kind == AckKind::Neg => {
            let range = ack.range().map_err(|_| Conn::NetworkFailure)?;
            device.mark_out_of_sync(range.sector(), range.size());
            Ok(())
        }
        Err(_) => {
            log!(
                Level::Error,
                **device,
                "unexpected {:?} for sector {}",
                kind,
                ack.sector
            );
            Err(Conn::NetworkFailure)
        }
    }
}

/// An ack for a block of a resync or of a verify.
fn resync_ack(device: &Arc<Device>, answer: BlockAnswer, ack: &BlockAck) -> Result<(), Conn> {
    let range = ack.range().map_err(|_| Conn::NetworkFailure)?;
    if !range.fits(device.size.load(Ordering::Acquire)) {
        return Err(Conn::NetworkFailure);
    }
    let asked = match answer {
        BlockAnswer::Written | BlockAnswer::NotWritten => device.counters.resync_answered(),
        BlockAnswer::NotRead | BlockAnswer::Dropped => crate::resync::refused(device, &range),
        BlockAnswer::Equal => crate::resync::equal(device, &range),
    };
    if !asked {
        return Err(Conn::NetworkFailure);
    }
    match answer {
        BlockAnswer::Written => device.mark_in_sync(range.sector(), range.size()),
        BlockAnswer::NotRead if crate::verify::refused(device, &range) => {}
        BlockAnswer::NotWritten | BlockAnswer::NotRead => {
            crate::resync::note_failed(device, range.sector(), range.size());
        }
        BlockAnswer::Dropped | BlockAnswer::Equal => {}
    }
    Ok(())
}

/// As VerifyT: the peer has compared a block with the digest that we told it.
fn verify_result(device: &Arc<Device>, result: &VerifyResult) -> Result<(), Conn> {
    let range = &result.range;
    let asked = device.counters.resync_answered();
    if !asked || !range.fits(device.size.load(Ordering::Acquire)) {
        return Err(Conn::NetworkFailure);
    }
    let equal = result.result == OvResult::InSync;
    if !equal {
        device.mark_out_of_sync(range.sector(), range.size());
    }
    crate::verify::seen(device, range, equal);
    Ok(())
}

fn barrier_ack(resource: &Arc<Resource>, ack: BarrierAck) -> Result<(), Conn> {
    let number = ack.barrier.epoch();
    let closed = resource
        .epochs
        .lock()
        .acknowledge(number, ack.set_size)
        .map_err(|e| {
            log!(
                Level::Error,
                **resource,
                "BAD! BarrierAck #{number} received: {:?}",
                e
            );
            Conn::ProtocolError
        })?;
    if resource.epochs_full.load(Ordering::SeqCst) {
        resource.sender.wake_all();
    }
    let table = resource.plane.table();
    let mut next = Some(closed.first);
    for _ in 0..closed.writes {
        let Some(id) = next else { break };
        next = table.linked(id);
        let Some(subject) = table.subject(id) else {
            continue;
        };
        let Some(device) = resource.device(subject.volume) else {
            continue;
        };
        let frozen = device.policy().frozen;
        match table.apply(id, Event::BarrierAck, frozen) {
            Ok(duties) => device.perform(id, subject.sector, subject.bytes, duties),
            Err(_) => return Err(Conn::ProtocolError),
        }
    }
    resource.complete_flushes(number);
    Ok(())
}
