// SPDX-License-Identifier: GPL-2.0

//! The sender: the one thread that writes to the data socket.
//!
//! It takes what was queued since it looked last, in order, and gives epochs to writes as it takes
//! them; so the order on the wire is the order of taking, and admission needs no lock. A run of
//! packets goes out with one call; the pages of a write go to the socket themselves (protocols B
//! and C) or are copied (A, whose writes complete before the peer has them).
//!
//! Answers to the peer's reads go first: a write that waited for a resync read must come after its
//! answer on the wire.

mod checks;

use core::sync::atomic::Ordering;
use drbd_core::config::NetConf;
use drbd_core::peer::{settings, Event as Told, Send};
use drbd_core::request::epoch::{ClosedEpoch, SendEpoch};
use drbd_core::request::overdue;
use drbd_core::request::slots::SlotId;
use drbd_core::request::word::Event;
use drbd_core::state::Conn;
use drbd_core::wire::{
    Barrier, BarrierNr, BitmapCursor, BlockDesc, BlockId, BlockRange, BlockRequest, Data,
    DataReply, Packet, State, StateRequest, SyncUuid, WriteFlags,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::link::Link;
use crate::peer_io::{PeerIo, Purpose};
use crate::plane::{Kind, Req};
use crate::resource::{Resource, ANSWERED};
use crate::stream;
use crate::sys::bio::{OwnedBio, UpperHold};
use crate::sys::crypto::Hash;
use crate::sys::data::Data as Pages;
use crate::sys::log::{log, Level};
use crate::sys::memalloc::{NoIo, NoReclaim};
use crate::sys::params;
use crate::sys::socket::{Outgoing, SendOpts};
use crate::sys::time::ms_to_jiffies;
use crate::vector;

/// The longest packet of a bitmap.
const BITMAP_PACKET: usize = 4096;
/// Room for any packet but a bitmap's.
const SMALL_PACKET: usize = 512;
/// How long the barrier behind a write may wait for a packet to go with, in ms. Until its ack
/// comes, the write keeps its slot, and its blocks count as out of sync if the link breaks.
const LINGER_MS: u32 = 20;

/// The body of the sender thread.
pub(crate) fn run(resource: &Arc<Resource>, link: &Arc<Link>) {
    let _noio = NoIo::enter();
    let _reserves = NoReclaim::enter();
    let Some(net) = resource.view(|v| v.net.clone()) else {
        return;
    };
    let Ok(mut sender) = Sender::new(resource, link, net) else {
        resource.feed(Told::LinkBroken(Conn::NetworkFailure));
        return;
    };
    if sender.work().is_err() && !link.is_down() {
        resource.feed(Told::LinkBroken(Conn::BrokenPipe));
    }
}

struct Sender<'a> {
    resource: &'a Arc<Resource>,
    link: &'a Arc<Link>,
    net: Arc<NetConf>,
    /// The version of `net`.
    seen: u32,
    /// P_PROTOCOL was sent: what follows are updates.
    protocol_sent: bool,
    /// When requests are looked at next for answers that the peer owes.
    look_again_ms: u64,
    epoch: SendEpoch,
    /// Packets that are not sent yet.
    out: Outgoing,
    /// The socket holds back a small rest, because more was announced.
    held_back: bool,
    /// `data-integrity-alg`, as the last P_PROTOCOL or its update has told the peer.
    integrity: Option<Arc<Hash>>,
    /// Requests whose packets are complete once the buffer is sent.
    sent: KVec<(Arc<Device>, SlotId)>,
}

impl<'a> Sender<'a> {
    fn new(resource: &'a Arc<Resource>, link: &'a Arc<Link>, net: Arc<NetConf>) -> Result<Self> {
        let number = resource.open_epoch.load(Ordering::Relaxed).wrapping_add(1);
        resource.open_epoch.store(number, Ordering::Release);
        Ok(Self {
            resource,
            link,
            net,
            // Looked at again before it is used.
            seen: resource.net_version.load(Ordering::Acquire).wrapping_sub(1),
            protocol_sent: false,
            look_again_ms: 0,
            epoch: SendEpoch::new(number),
            out: Outgoing::new()?,
            held_back: false,
            integrity: None,
            sent: KVec::with_capacity(256, GFP_KERNEL)?,
        })
    }

    fn work(&mut self) -> Result {
        let (resource, link) = (self.resource, self.link);
        loop {
            resource.resync_begun.store(false, Ordering::Release);
            let mut due = crate::resync::next_tick(resource);
            if self.epoch.writes() > 0 {
                due = due.min(ms_to_jiffies(LINGER_MS));
            }
            resource.sender.wait_idle_timeout(due, || {
                link.is_down()
                    || !resource.plane.queue.is_empty()
                    || !link.read.is_empty()
                    || resource.close_now.load(Ordering::Acquire)
                    || resource.has_resync_news()
                    || resource.resync_begun.load(Ordering::Acquire)
            });
            if link.is_down() {
                return Ok(());
            }
            resource.renew_net(&mut self.seen, &mut self.net);
            self.look_for_overdue()?;
            if link.in_flight.load(Ordering::Relaxed) > 0 {
                // The peer has something to do: whoever waits for this processor may add to the
                // queue first. With an idle processor at hand nobody does, and this is nothing.
                crate::sys::thread::yield_now();
            }
            // What was queued after an answer was pushed is behind it on the wire.
            let batch = resource.plane.queue.take_all();
            for bio in link.read.take_all() {
                self.answer_read(bio)?;
            }
            // After the taking: a write that was issued after the answer of another one is in this
            // batch only if the answer is seen here. Writes that are answered while the batch is
            // under way are independent of all in it, so it needs no more looks.
            if self.epoch_is_to_be_closed() {
                self.close_epoch()?;
            }
            for item in batch {
                self.item(&item)?;
            }
            crate::resync::tick(resource, |device, range, verify| {
                if verify {
                    self.ask_for_digest(device, range)
                } else {
                    self.ask_for(device, range)
                }
            })?;
            self.flush(false)?;
            self.tell_news();
        }
    }

    /// The peer may answer pings and still not do its work.
    fn look_for_overdue(&mut self) -> Result {
        let now = Resource::now_ms();
        let Some(limit) = overdue::limit_ms(self.net.timeout, self.net.ko_count) else {
            return Ok(());
        };
        // Not at every turn: the whole table is looked at.
        if now < self.look_again_ms {
            return Ok(());
        }
        self.look_again_ms = now.saturating_add(1000);
        let open = self.epoch.number();
        if !self.resource.plane.is_overdue(open, now, limit) {
            return Ok(());
        }
        log!(
            Level::Warning,
            **self.resource,
            "Remote failed to finish a request within {limit}ms > \
             ko-count ({}) * timeout ({} * 0.1s)",
            self.net.ko_count,
            self.net.timeout
        );
        self.resource.feed(Told::LinkBroken(Conn::Timeout));
        Err(ETIMEDOUT)
    }

    fn tell_news(&self) {
        let news = self.resource.take_resync_news();
        if news == 0 {
            return;
        }
        for device in self.resource.devices().iter() {
            if news >> (device.vnr % 64) & 1 == 1 {
                let failed = crate::resync::take_failed(device);
                self.resource.feed(Told::ResyncProgress {
                    vnr: device.vnr,
                    failed,
                });
                if crate::verify::take_news(device) {
                    self.resource.feed(Told::VerifyDone(device.vnr));
                }
            }
        }
    }

    fn epoch_is_to_be_closed(&self) -> bool {
        let answered = self.resource.answered_epoch.load(Ordering::Acquire);
        answered == ANSWERED | u64::from(self.epoch.number())
            || self.resource.close_now.load(Ordering::Acquire)
    }

    /// Closes the open epoch, if it has writes, and says so to the peer.
    fn close_epoch(&mut self) -> Result {
        self.resource.close_now.store(false, Ordering::Release);
        let Some(closed) = self.epoch.close() else {
            return Ok(());
        };
        self.resource
            .open_epoch
            .store(self.epoch.number(), Ordering::Release);
        self.log_epoch(closed)?;
        let barrier = BarrierNr::from_epoch(closed.number);
        self.packet(0, &Packet::Barrier(Barrier { barrier }))
    }

    /// An ack may come as soon as the barrier is on the wire, so it is expected before.
    fn log_epoch(&self, closed: ClosedEpoch) -> Result {
        let mut closed = closed;
        loop {
            match self.resource.epochs.lock().push(closed) {
                Ok(()) => return Ok(()),
                Err(back) => closed = back,
            }
            // Thousands of barriers without ack: the peer is too slow, wait for it.
            self.resource.epochs_full.store(true, Ordering::SeqCst);
            let room = || self.link.is_down() || self.resource.epochs.lock().has_room();
            self.resource.sender.wait_idle(room);
            self.resource.epochs_full.store(false, Ordering::SeqCst);
            if self.link.is_down() {
                return Err(ENOTCONN);
            }
        }
    }

    fn item(&mut self, item: &Req) -> Result {
        match (&item.kind, &item.device) {
            (Kind::Control(packet), _) => self.control(packet),
            (
                Kind::Write {
                    slot,
                    flags,
                    splice,
                    hold,
                },
                Some(device),
            ) => match hold {
                Some(hold) => self.write(device, *slot, *flags, *splice, hold),
                None => self.note(device, *slot),
            },
            (Kind::Read { slot }, Some(device)) => self.read(device, *slot),
            (Kind::Flush { slot }, Some(device)) => self.flush_request(device, *slot),
            _ => Ok(()),
        }
    }

    fn write(
        &mut self,
        device: &Arc<Device>,
        slot: SlotId,
        flags: WriteFlags,
        splice: bool,
        hold: &UpperHold,
    ) -> Result {
        let table = self.resource.plane.table();
        let Some(subject) = table.subject(slot) else {
            return Ok(());
        };
        if self.epoch.writes() >= self.net.max_epoch_size {
            self.close_epoch()?;
        }
        self.epoch.add(&table, slot);
        if flags.ack.receive() || flags.ack.write() {
            self.link.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        let packet = Packet::Data(Data {
            range: range(subject.sector, subject.bytes)?,
            block_id: BlockId::from_u64(slot.to_wire()),
            seq_num: device.next_seq(),
            flags: flags.to_wire(&self.link.agreed),
        });
        device
            .counters
            .send
            .fetch_add(u64::from(subject.bytes >> 9), Ordering::Relaxed);
        self.data_packet(device.vnr, &packet, hold.data())?;
        self.resource.plane.note_sent(slot, Resource::now_ms());
        let Err(hold) = self.out.add(hold.share(), splice) else {
            return self.after_flush(device, slot);
        };
        // What is before it goes first. Then it fits, unless it has very many pieces.
        self.flush(true)?;
        let Err(hold) = self.out.add(hold, splice) else {
            return self.after_flush(device, slot);
        };
        self.pages(hold.data(), splice)?;
        device.request_event(slot, Event::HandedToSocket);
        Ok(())
    }

    fn note(&mut self, device: &Arc<Device>, slot: SlotId) -> Result {
        let Some(subject) = self.resource.plane.table().subject(slot) else {
            return Ok(());
        };
        let range = range(subject.sector, subject.bytes)?;
        self.packet(device.vnr, &Packet::OutOfSync(BlockDesc { range }))?;
        self.after_flush(device, slot)
    }

    fn read(&mut self, device: &Arc<Device>, slot: SlotId) -> Result {
        let Some(subject) = self.resource.plane.table().subject(slot) else {
            return Ok(());
        };
        let request = BlockRequest {
            range: range(subject.sector, subject.bytes)?,
            block_id: BlockId::from_u64(slot.to_wire()),
        };
        self.resource.plane.note_sent(slot, Resource::now_ms());
        self.packet(device.vnr, &Packet::DataRequest(request))?;
        self.after_flush(device, slot)
    }

    /// An empty flush waits for the barrier acks of all epochs before it.
    fn flush_request(&mut self, device: &Arc<Device>, slot: SlotId) -> Result {
        self.close_epoch()?;
        let last = self.resource.epochs.lock().youngest();
        let waits = match last {
            Some(epoch) => {
                let waiting = (epoch, slot);
                let listed =
                    vector::push(&mut *self.resource.flushes.lock(), waiting, GFP_ATOMIC).is_ok();
                listed && self.resource.epochs.lock().youngest() == Some(epoch)
            }
            None => false,
        };
        self.flush(false)?;
        device.request_event(slot, Event::HandedToSocket);
        if !waits {
            // No epoch waits (any more): the peer's disk has all of it.
            self.resource.forget_flush(slot);
            device.request_event(slot, Event::BarrierAck);
        }
        Ok(())
    }

    fn answer_read(&mut self, bio: OwnedBio<PeerIo>) -> Result {
        let bio = match bio.purpose {
            Purpose::Check(check) => match self.check(bio, check)? {
                Some(bio) => bio,
                None => return Ok(()),
            },
            _ => bio,
        };
        let device = bio.device.clone();
        if !matches!(bio.purpose, Purpose::Read) && !bio.is_of_this_era() {
            // For a resync that has ended with the target's disk: a later one has not asked for it.
            device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        let reply = DataReply {
            range: range(bio.sector, bio.bytes)?,
            block_id: bio.block_id,
        };
        if bio.has_failed() {
            // The negative answer goes out on the other socket.
            let _ = self.link.done.push(bio);
            self.link.answers.wake_all();
            return Ok(());
        }
        let packet = match bio.purpose {
            Purpose::ResyncRead | Purpose::Check(_) => {
                device.counters.rs_pending.fetch_add(1, Ordering::Relaxed);
                Packet::RsDataReply(reply)
            }
            _ => Packet::DataReply(reply),
        };
        device
            .counters
            .send
            .fetch_add(u64::from(bio.bytes >> 9), Ordering::Relaxed);
        self.data_packet(device.vnr, &packet, bio.data())?;
        self.pages(bio.data(), true)?;
        device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
        // From here on writes of the range may follow on the wire.
        drop(bio);
        Ok(())
    }

    fn control(&mut self, packet: &Send) -> Result {
        match *packet {
            Send::Protocol {
                discard_my_data,
                dry_run,
            } => self.protocol(discard_my_data, dry_run),
            Send::SyncParam(vnr) => {
                let net = self.net.clone();
                let conf = |device: Arc<Device>| device.local().map(|local| local.conf());
                let disk = self.resource.device(vnr).and_then(conf).unwrap_or_default();
                let version = self.link.agreed.version;
                let own = settings::own_sync_param(&net, &disk, version);
                self.packet(vnr, &Packet::SyncParam(own))
            }
            Send::Sizes { vnr, sizes } => self.packet(vnr, &Packet::Sizes(sizes)),
            Send::Uuids { vnr, uuids } => self.packet(vnr, &Packet::Uuids(uuids)),
            Send::State(vnr, state) => self.packet(vnr, &Packet::State(State { state })),
            Send::SyncUuid(vnr, uuid) => self.packet(vnr, &Packet::SyncUuid(SyncUuid { uuid })),
            Send::ChangeRequest(vnr, change) => {
                self.packet(vnr, &Packet::StateChgReq(StateRequest { change }))
            }
            Send::ConnChangeRequest(change) => {
                self.packet(0, &Packet::ConnStChgReq(StateRequest { change }))
            }
            Send::Bitmap(vnr) => self.bitmap(vnr),
            // These go out on the meta socket.
            Send::ChangeReply(..) | Send::ConnChangeReply(_) | Send::Ping => Ok(()),
        }?;
        self.flush(false)
    }

    /// P_PROTOCOL, or its update. From here on data has the digest that it names.
    #[inline(never)]
    fn protocol(&mut self, discard_my_data: bool, dry_run: bool) -> Result {
        self.resource.renew_net(&mut self.seen, &mut self.net);
        let integrity = self.resource.digests.lock().integrity.clone();
        let mut net = NetConf::clone(&self.net);
        net.integrity_alg = integrity.name;
        let own = settings::own_protocol(&net, discard_my_data, dry_run);
        if core::mem::replace(&mut self.protocol_sent, true) {
            self.packet(0, &Packet::ProtocolUpdate(own))?;
        } else {
            self.packet(0, &Packet::Protocol(own))?;
        }
        self.integrity = integrity.hash;
        Ok(())
    }

    /// The whole bitmap of a volume. Bits that are set meanwhile are told by notes behind it.
    fn bitmap(&mut self, vnr: u16) -> Result {
        let Some(bits) = self.resource.device(vnr).and_then(|d| d.bits()) else {
            return Ok(());
        };
        let mut cursor = BitmapCursor::new(bits.len());
        while !cursor.is_done() {
            self.flush(true)?;
            self.out.make_room()?;
            let (agreed, rle) = (&self.link.agreed, self.net.use_rle);
            let room = self.out.room().get_mut(..BITMAP_PACKET).ok_or(EINVAL)?;
            let sent = cursor
                .emit_next(&bits.source(), vnr, agreed, rle, room)
                .map_err(|_| EINVAL)?;
            self.out.added(sent.size);
        }
        self.flush(false)
    }

    /// Puts a packet into the buffer.
    fn packet(&mut self, vnr: u16, packet: &Packet<'_>) -> Result {
        self.make_room()?;
        let size = packet
            .emit(vnr, &self.link.agreed, 0, self.out.room())
            .map_err(|_| EINVAL)?;
        self.out.added(size);
        Ok(())
    }

    /// Puts a packet into the buffer whose data is sent behind it, with a digest if there is to be
    /// one.
    #[inline]
    fn data_packet(&mut self, vnr: u16, packet: &Packet<'_>, pages: Pages<'_>) -> Result {
        match &self.integrity {
            None => self.packet(vnr, packet),
            Some(_) => self.sealed_packet(vnr, packet, pages),
        }
    }

    #[cold]
    fn sealed_packet(&mut self, vnr: u16, packet: &Packet<'_>, pages: Pages<'_>) -> Result {
        let hash = self.integrity.as_ref().ok_or(EINVAL)?;
        let digest = hash.of_data(pages)?;
        self.make_room()?;
        let (agreed, room) = (&self.link.agreed, self.out.room());
        let size = stream::emit_sealed(vnr, packet, agreed, &digest, room)?;
        self.out.added(size);
        Ok(())
    }

    /// Makes room for any packet but a bitmap's.
    fn make_room(&mut self) -> Result {
        if self.out.has_room(SMALL_PACKET) {
            return Ok(());
        }
        self.flush(true)?;
        self.out.make_room()
    }

    /// The request's packet is complete when what waits is sent.
    fn after_flush(&mut self, device: &Arc<Device>, slot: SlotId) -> Result {
        if vector::push(&mut self.sent, (device.clone(), slot), GFP_KERNEL).is_err() {
            self.flush(true)?;
            device.request_event(slot, Event::HandedToSocket);
        }
        Ok(())
    }

    /// Sends what waits.
    fn flush(&mut self, more: bool) -> Result {
        if !self.out.is_empty() {
            self.send_out(more)?;
        }
        if self.held_back && !more {
            // Setting the option again sends what was held back.
            self.link.data.set_no_delay();
            self.held_back = false;
        }
        while let Some((device, slot)) = self.sent.pop() {
            device.request_event(slot, Event::HandedToSocket);
        }
        Ok(())
    }

    fn send_out(&mut self, more: bool) -> Result {
        let mut at = 0_usize;
        let mut patience = self.patience();
        while at < self.out.len() {
            match self.link.data.send_outgoing(&self.out, at, more) {
                Ok(sent) => at = at.saturating_add(sent),
                Err(e) => self.stalled(e, &mut patience)?,
            }
        }
        self.out.clear();
        self.held_back = more;
        Ok(())
    }

    /// Sends the pages behind the header in the buffer.
    fn pages(&mut self, pages: Pages<'_>, splice: bool) -> Result {
        self.flush(true)?;
        let splice = splice && !params::disable_sendpage();
        let mut rest = pages;
        let mut patience = self.patience();
        while !rest.is_empty() {
            let how = SendOpts {
                more: true,
                splice,
                ..SendOpts::default()
            };
            match self.link.data.send_data(rest, how) {
                Ok(sent) => rest = rest.skip(sent as u32),
                Err(e) => self.stalled(e, &mut patience)?,
            }
        }
        self.held_back = true;
        Ok(())
    }

    fn patience(&self) -> u32 {
        self.net.ko_count
    }

    /// The socket took nothing for `timeout`: ask whether the peer lives, and give up after
    /// `ko-count` times.
    fn stalled(&self, error: Error, patience: &mut u32) -> Result {
        if error != EAGAIN || self.link.is_down() {
            return Err(error);
        }
        self.link.send_meta(Send::Ping);
        if self.net.ko_count == 0 {
            return Ok(());
        }
        *patience = patience.saturating_sub(1);
        log!(
            Level::Error,
            **self.resource,
            "[drbd_s/{}] sock_sendmsg time expired, ko = {}",
            crate::sys::thread::current_pid(),
            *patience
        );
        if *patience == 0 {
            self.resource.feed(Told::LinkBroken(Conn::Timeout));
            return Err(ETIMEDOUT);
        }
        Ok(())
    }
}

fn range(sector: u64, bytes: u32) -> Result<BlockRange> {
    BlockRange::new(sector, bytes, 1 << 20).map_err(|_| EINVAL)
}
