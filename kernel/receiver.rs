// SPDX-License-Identifier: GPL-2.0

//! The receiver of an established link: the one thread that reads from the data socket.
//!
//! Packets are found in a read-ahead buffer. It reads a little more than the packet at hand needs,
//! so that a small packet mostly costs no call of its own, while the data of a large one goes from
//! the socket to its pages without being copied once more.

mod checks;

use core::sync::atomic::Ordering;
use drbd_core::config::net::AlgName;
use drbd_core::config::NetConf;
use drbd_core::digest::Digest;
use drbd_core::peer::{settings, Event as Told};
use drbd_core::request::range::Work;
use drbd_core::request::slots::SlotId;
use drbd_core::request::word::Event;
use drbd_core::state::{Conn, Disk};
use drbd_core::wire::{
    next_frame, BitmapCursor, BlockRange, BlockRequest, Command, Context, Data, DataReply, Framing,
    Packet, Phase, ProtocolSettings, Reaction, Socket as Which, Trim, WireError, WriteFlags,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::bitmap::{Bits, Merge};
use crate::connect::recv_exact;
use crate::device::Device;
use crate::digests::Named;
use crate::link::Link;
use crate::peer_io::{self, PeerIo, Purpose};
use crate::resource::Resource;
use crate::stream::ReadAhead;
use crate::sys::bio::{OpFlags, OwnedBio, Status};
use crate::sys::crypto::Hash;
use crate::sys::data::Data as Pages;
use crate::sys::log::{log, Level};
use crate::sys::socket::RecvOpts;
use crate::sys::time::ms_to_jiffies;
use crate::sys::Wait;

/// Bytes of the read-ahead buffer.
const BUFFER: usize = 8192;
/// How much is read beyond what the packet at hand needs.
const AHEAD: usize = 128;
/// Answers wait for so many packets at most.
const GATHERED: u32 = 32;

/// Why the link ends.
enum End {
    /// For this reason; another attempt follows.
    Broken(Conn),
    /// No attempt will do better.
    Incompatible,
}

type Handled = Result<(), End>;

const PROTOCOL_ERROR: End = End::Broken(Conn::ProtocolError);

/// Reads packets until the link ends.
#[inline(never)]
pub(crate) fn run(resource: &Arc<Resource>, link: &Arc<Link>) {
    let Some(net) = resource.view(|v| v.net.clone()) else {
        return;
    };
    let Ok(mut buffer) = ReadAhead::new(BUFFER) else {
        return;
    };
    let context = link.context(Which::Data, Phase::Established);
    let mut receiver = Receiver {
        resource,
        link,
        net,
        // Looked at again before it is used.
        seen: resource.net_version.load(Ordering::Acquire).wrapping_sub(1),
        context,
        integrity: None,
        cursor: None,
        gathered: 0,
    };
    let ended = receiver.work(&mut buffer);
    receiver.hand_over();
    match ended {
        Ok(()) => {}
        Err(_) if link.is_down() => {}
        Err(End::Broken(reason)) => resource.feed(Told::LinkBroken(reason)),
        Err(End::Incompatible) => resource.feed(Told::CannotListen),
    }
}

struct Receiver<'a> {
    resource: &'a Arc<Resource>,
    link: &'a Arc<Link>,
    net: Arc<NetConf>,
    /// The version of `net`.
    seen: u32,
    context: Context,
    /// The peer's `data-integrity-alg`; the context has the size of its digests.
    integrity: Option<Arc<Hash>>,
    /// The bitmap that is being received.
    cursor: Option<BitmapCursor>,
    /// Packets since answers were last handed over to the ack sender.
    gathered: u32,
}

impl Receiver<'_> {
    fn work(&mut self, buffer: &mut ReadAhead) -> Handled {
        loop {
            let window = buffer.window();
            let frame = match next_frame(window, &self.context) {
                Ok(Framing::NeedMore { total }) => {
                    self.read_more(buffer, total)?;
                    self.resource.renew_net(&mut self.seen, &mut self.net);
                    continue;
                }
                Ok(Framing::Packet(frame)) => frame,
                Err(e) => return Err(self.refuse(&e)),
            };
            let packet = match Packet::decode(&frame, &self.context) {
                Ok(packet) => packet,
                Err(e) => return Err(self.refuse(&e)),
            };
            let (vnr, consumed) = (frame.header.volume, frame.consumed);
            match packet {
                Packet::Data(data) => {
                    buffer.consume(consumed);
                    self.data(vnr, data, buffer)?;
                }
                Packet::DataReply(reply) => {
                    buffer.consume(consumed);
                    self.data_reply(vnr, reply, buffer)?;
                }
                Packet::RsDataReply(reply) => {
                    buffer.consume(consumed);
                    self.resync_reply(vnr, reply, buffer)?;
                }
                _ if frame.bulk != 0 => return Err(PROTOCOL_ERROR),
                other => {
                    self.small(vnr, other)?;
                    buffer.consume(consumed);
                }
            }
            self.gathered = self.gathered.wrapping_add(1);
            if self.gathered >= GATHERED {
                self.hand_over();
            }
        }
    }

    /// What was gathered for the ack sender goes out: we may sleep now, or it is enough.
    fn hand_over(&mut self) {
        self.gathered = 0;
        self.link.hand_over();
    }

    /// Whether so many bytes can be had without sleeping. If not, what was gathered goes out.
    fn is_there(&mut self, bytes: usize) -> bool {
        let there = self.link.data.fill().unread as usize >= bytes;
        if there {
            self.link.gather();
        } else {
            self.hand_over();
        }
        there
    }

    fn refuse(&self, error: &WireError) -> End {
        log!(Level::Error, **self.resource, "data socket: {}", error);
        match self.context.reaction(error) {
            Reaction::Disconnecting => End::Incompatible,
            Reaction::NetworkFailure => End::Broken(Conn::NetworkFailure),
            _ => PROTOCOL_ERROR,
        }
    }

    /// Reads until the window has `total` bytes, and up to a little more.
    fn read_more(&mut self, buffer: &mut ReadAhead, total: usize) -> Handled {
        buffer.compact();
        while buffer.window().len() < total {
            self.is_there(total.saturating_sub(buffer.window().len()));
            let room = buffer.room(total.saturating_add(AHEAD));
            match self.link.data.recv(room, RecvOpts::default()) {
                Ok(0) => {
                    // If the peer was asked to part, its answer is on the meta socket, and may not
                    // have been read yet: the link does not break then, it ends.
                    if self.resource.with_owner(|owner| owner.core.asks_to_part()) {
                        let limit = self.net.ping_timeo.saturating_mul(100);
                        self.link.await_shutdown(limit);
                    }
                    if !self.link.is_down() {
                        log!(Level::Info, **self.resource, "sock was shut down by peer");
                    }
                    return Err(End::Broken(Conn::BrokenPipe));
                }
                Ok(got) => buffer.added(got),
                Err(_) => return Err(End::Broken(Conn::BrokenPipe)),
            }
            self.link.heard();
        }
        Ok(())
    }

    fn small(&mut self, vnr: u16, packet: Packet<'_>) -> Handled {
        let resource = self.resource;
        match packet {
            Packet::Barrier(b) => return self.barrier(u32::from_ne_bytes(b.barrier.0)),
            Packet::DataRequest(r) => return self.read_request(vnr, r, Purpose::Read),
            Packet::RsDataRequest(r) | Packet::RsThinReq(r) => {
                return self.read_request(vnr, r, Purpose::ResyncRead);
            }
            Packet::OutOfSync(d) => {
                self.device(vnr)?
                    .mark_out_of_sync(d.range.sector(), d.range.size());
                return Ok(());
            }
            _ => {}
        }
        // What the others do may sleep for long.
        self.hand_over();
        match packet {
            Packet::Trim(t) => return self.zero_out(vnr, t, Command::Trim),
            Packet::Zeroes(t) => return self.zero_out(vnr, t, Command::Zeroes),
            Packet::Bitmap(words) => {
                return self.bitmap(vnr, |cursor, context, bits| {
                    cursor.take_plain(words, &context.agreed, &mut Merge(bits))
                })
            }
            Packet::CompressedBitmap(code) => {
                return self.bitmap(vnr, |cursor, _, bits| {
                    cursor.take_compressed(&code, &mut Merge(bits))
                })
            }
            Packet::Protocol(p) => self.protocol(&p),
            Packet::ProtocolUpdate(p) => {
                return self.protocol_update(&p);
            }
            Packet::SyncParam(p) => return self.sync_param(vnr, &p),
            Packet::CsumRsRequest { request, digest } => {
                return self.sum_request(vnr, request, digest);
            }
            Packet::OvRequest(r) => return self.verify_request(vnr, r),
            Packet::OvReply { request, digest } => {
                return self.verify_reply(vnr, request, digest);
            }
            Packet::Sizes(s) => {
                self.device(vnr)?.look_for_room();
                resource.feed(Told::Sizes(vnr, s));
            }
            Packet::Uuids(u) => resource.feed(Told::Uuids(vnr, u)),
            Packet::State(s) => resource.feed(Told::State(vnr, s.state)),
            Packet::SyncUuid(u) => resource.feed(Told::SyncUuid(vnr, u.uuid)),
            Packet::StateChgReq(r) => resource.feed(Told::ChangeRequest(vnr, r.change)),
            Packet::ConnStChgReq(r) => resource.feed(Told::ConnChangeRequest(r.change)),
            Packet::UnplugRemote | Packet::DelayProbe(_) => {}
            _ => return Err(PROTOCOL_ERROR),
        }
        Ok(())
    }

    /// Settings that the peer has chosen for both.
    #[inline(never)]
    fn adopt(&self, new: &NetConf) -> Handled {
        let shared = Arc::new(new.clone(), GFP_KERNEL);
        let new = shared.map_err(|_| End::Broken(Conn::NetworkFailure))?;
        self.resource.change_net(new);
        Ok(())
    }

    #[inline(never)]
    fn protocol_update(&mut self, p: &ProtocolSettings<'_>) -> Handled {
        let Some(new) = settings::adopted(&self.net, p) else {
            log!(
                Level::Error,
                **self.resource,
                "the peer's settings are not built into this module yet"
            );
            return Err(PROTOCOL_ERROR);
        };
        self.adopt(&new)?;
        match self.expect_digests(p.integrity_alg) {
            Ok(()) => Ok(()),
            Err(_) => Err(End::Incompatible),
        }
    }

    /// From the next packet on the peer's data has these digests. May load a module.
    #[inline(never)]
    fn expect_digests(&mut self, alg: Option<&str>) -> Result {
        let Some(name) = AlgName::new(alg.unwrap_or_default().as_bytes()) else {
            return Err(EINVAL);
        };
        let own = self.resource.digests.lock().integrity.clone();
        let theirs = if own.name == name {
            own
        } else {
            log!(
                Level::Info,
                **self.resource,
                "peer data-integrity-alg: {}",
                alg.filter(|alg| !alg.is_empty()).unwrap_or("(none)")
            );
            Named::new(&name)?
        };
        self.context.digest_size = theirs.hash.as_ref().map_or(0, |hash| hash.size());
        self.integrity = theirs.hash;
        Ok(())
    }

    #[inline(never)]
    fn protocol(&mut self, p: &ProtocolSettings<'_>) {
        if let Some(what) = settings::incompatible_setting(&self.net, p) {
            log!(
                Level::Error,
                **self.resource,
                "incompatible {} settings",
                what
            );
        } else {
            let alg = p
                .integrity_alg
                .filter(|alg| !alg.is_empty())
                .unwrap_or("(none)");
            log!(
                Level::Info,
                **self.resource,
                "peer data-integrity-alg: {}",
                alg
            );
        }
        let verdict = settings::protocol_verdict(&self.net, p);
        self.resource.feed(Told::Protocol(verdict));
        if verdict.compatible && self.expect_digests(p.integrity_alg).is_err() {
            self.resource.feed(Told::CannotListen);
        }
    }

    fn device(&self, vnr: u16) -> Result<Arc<Device>, End> {
        self.resource.device(vnr).ok_or(PROTOCOL_ERROR)
    }

    fn check(&self, device: &Device, range: &BlockRange) -> Handled {
        if range.fits(device.size.load(Ordering::Acquire)) {
            return Ok(());
        }
        log!(
            Level::Error,
            *device,
            "request from peer beyond end of local disk: {}s +{}",
            range.sector(),
            range.size()
        );
        Err(PROTOCOL_ERROR)
    }

    /// Moves the data of a packet to its pages, and checks it against its digest if it has one.
    #[inline]
    fn fill(&mut self, at: (&Device, u64), pages: Pages<'_>, buffer: &mut ReadAhead) -> Handled {
        match &self.integrity {
            None => self.fill_unchecked(pages, buffer),
            Some(_) => self.fill_checked(at, pages, buffer),
        }
    }

    /// The digest in front of the data is that of the data.
    #[cold]
    fn fill_checked(
        &mut self,
        (device, sector): (&Device, u64),
        pages: Pages<'_>,
        buffer: &mut ReadAhead,
    ) -> Handled {
        let hash = self.integrity.clone().ok_or(PROTOCOL_ERROR)?;
        let size = usize::from(hash.size());
        self.read_more(buffer, size)?;
        let told = Digest::new(buffer.window().get(..size).ok_or(PROTOCOL_ERROR)?);
        let told = told.ok_or(PROTOCOL_ERROR)?;
        buffer.consume(size);
        self.fill_unchecked(pages, buffer)?;
        let own = hash.of_data(pages).map_err(|_| PROTOCOL_ERROR)?;
        if !own.matches(told.as_bytes()) {
            log!(
                Level::Error,
                *device,
                "Digest integrity check FAILED: {}s +{}",
                sector,
                pages.len()
            );
            return Err(PROTOCOL_ERROR);
        }
        Ok(())
    }

    /// Moves the data of a packet to its pages. What is in the buffer comes first. What has come
    /// with the data goes into the buffer, so that a run of small writes costs a call each.
    fn fill_unchecked(&mut self, pages: Pages<'_>, buffer: &mut ReadAhead) -> Handled {
        let used = pages.copy_from(buffer.window());
        buffer.consume(used);
        let mut rest = pages.skip(used as u32);
        while !rest.is_empty() {
            // There is data to come, so the buffer is empty.
            buffer.compact();
            let there = self.is_there(rest.len() as usize);
            let how = RecvOpts {
                wait_all: !there,
                ..RecvOpts::default()
            };
            let ahead = if there {
                buffer.room(AHEAD)
            } else {
                Default::default()
            };
            match self.link.data.recv_data(rest, ahead, how) {
                Ok(0) | Err(_) => return Err(End::Broken(Conn::BrokenPipe)),
                Ok(got) => {
                    buffer.added(got.saturating_sub(rest.len() as usize));
                    rest = rest.skip(u32::try_from(got).unwrap_or(u32::MAX));
                }
            }
            self.link.heard();
        }
        Ok(())
    }

    /// Reads data that nobody wants.
    fn drain(&mut self, bytes: u32, buffer: &mut ReadAhead) -> Handled {
        let used = buffer.window().len().min(bytes as usize);
        buffer.consume(used);
        self.hand_over();
        let mut left = (bytes as usize).saturating_sub(used);
        let mut sink = [0; 512];
        while left > 0 {
            let piece = sink.get_mut(..left.min(512)).unwrap_or_default();
            recv_exact(&self.link.data, piece).map_err(|_| End::Broken(Conn::BrokenPipe))?;
            left = left.saturating_sub(piece.len());
        }
        Ok(())
    }

    /// The peer may fill `max-buffers` pages; more only if none comes back for a moment, since each
    /// node might be waiting for the other to read.
    fn wait_for_buffers(&mut self) {
        let pages = u64::from(self.net.max_buffers);
        if !self.link.fills(pages) {
            return;
        }
        self.hand_over();
        self.link.wants_pages.store(true, Ordering::SeqCst);
        self.link.quiet.wait_idle_timeout(ms_to_jiffies(100), || {
            !self.link.fills(pages) || self.link.is_down()
        });
        self.link.wants_pages.store(false, Ordering::SeqCst);
    }

    fn object(
        &mut self,
        device: &Arc<Device>,
        purpose: Purpose,
        range: &BlockRange,
        id: drbd_core::wire::BlockId,
    ) -> Result<OwnedBio<PeerIo>, End> {
        let io = PeerIo::new(
            device.clone(),
            self.link.clone(),
            purpose,
            range.sector(),
            range.size(),
            id,
        );
        self.wait_for_buffers();
        let io = match crate::peer_ios().alloc_buffer(range.size(), Wait::No, io) {
            Ok(bio) => return Ok(bio),
            Err(io) => io,
        };
        // Memory may have to come back from what was gathered.
        self.hand_over();
        crate::peer_ios()
            .alloc_buffer(range.size(), Wait::Yes, io)
            .map_err(|_| End::Broken(Conn::NetworkFailure))
    }

    /// A write of the peer's application.
    fn data(&mut self, vnr: u16, data: Data, buffer: &mut ReadAhead) -> Handled {
        let device = self.device(vnr)?;
        self.check(&device, &data.range)?;
        let flags = WriteFlags::from_wire(
            Command::Data,
            data.flags,
            &self.context.agreed,
            self.net.wire_protocol,
        )
        .map_err(|e| self.refuse(&e))?;
        device
            .counters
            .recv
            .fetch_add(u64::from(data.range.sectors()), Ordering::Relaxed);
        if !device.policy().local_write {
            return self.refuse_write(&device, &data, buffer);
        }
        let disk_flags = OpFlags::NONE
            .with(if flags.sync {
                OpFlags::SYNC
            } else {
                OpFlags::NONE
            })
            .with(if flags.fua {
                OpFlags::FUA
            } else {
                OpFlags::NONE
            })
            .with(if flags.preflush {
                OpFlags::PREFLUSH
            } else {
                OpFlags::NONE
            });
        let epoch = self.link.epochs.lock().open();
        let purpose = Purpose::Write {
            epoch,
            ack: flags.ack,
            may_set_in_sync: flags.may_set_in_sync,
            flags: disk_flags,
        };
        let mut bio = self.object(&device, purpose, &data.range, data.block_id)?;
        self.fill((&device, bio.sector), bio.data(), buffer)?;
        device.counters.unacked.fetch_add(1, Ordering::Relaxed);
        if flags.ack.receive() {
            self.link.received(&bio);
        }
        if !device.policy().peer_has_disk {
            // The peer keeps no copy: ours is the only one.
            device.mark_out_of_sync(bio.sector, bio.bytes);
            self.cover(&device, &mut bio)?;
        }
        self.take_range(&device, &mut bio, Work::PeerWrite)?;
        peer_io::join_epoch(self.link, bio);
        Ok(())
    }

    /// Gets the extents of a write into the activity log. Without a log, or a disk, the write fails
    /// where it is submitted.
    fn cover(&mut self, device: &Arc<Device>, bio: &mut OwnedBio<PeerIo>) -> Handled {
        self.hand_over();
        let covered = device.cover_and_wait(bio.sector, bio.bytes, || !self.link.is_down());
        match (covered, bio.data_mut()) {
            (Ok(refs), Some(io)) => io.refs = refs,
            (Ok(refs), None) => device.uncover(refs),
            (Err(_), _) if self.link.is_down() => return Err(End::Broken(Conn::NetworkFailure)),
            // The disk is about to be given up, and its metadata do not promise anything then.
            (Err(_), _) => bio.fail(),
        }
        Ok(())
    }

    /// There is no disk to write to: the peer is told, and the write counts in its epoch.
    fn refuse_write(
        &mut self,
        device: &Arc<Device>,
        data: &Data,
        buffer: &mut ReadAhead,
    ) -> Handled {
        let digest = u32::from(self.context.digest_size);
        self.drain(data.range.size().saturating_add(digest), buffer)?;
        self.link.epochs.lock().count_only();
        // A disk that is being attached does not have it.
        device.mark_out_of_sync(data.range.sector(), data.range.size());
        self.link.cannot(device, &data.range, data.block_id);
        Ok(())
    }

    /// Takes the range of the peer's I/O. Who is in the way is local I/O that ends by itself.
    fn take_range(
        &mut self,
        device: &Arc<Device>,
        bio: &mut OwnedBio<PeerIo>,
        work: Work,
    ) -> Handled {
        let (sector, bytes) = (bio.sector, bio.bytes);
        let mut tickets = device.take_range(sector, bytes, work, || {});
        if tickets.is_none() {
            self.hand_over();
            device.idle.wait_idle(|| {
                tickets = device.take_range(sector, bytes, work, || {});
                tickets.is_some() || self.link.is_down()
            });
        }
        match (tickets, bio.data_mut()) {
            (Some(tickets), Some(io)) => {
                io.tickets = tickets;
                Ok(())
            }
            (Some(tickets), None) => {
                device.release_range(tickets);
                Err(PROTOCOL_ERROR)
            }
            (None, _) => Err(End::Broken(Conn::NetworkFailure)),
        }
    }

    fn barrier(&mut self, number: u32) -> Handled {
        loop {
            if self.link.epochs.lock().barrier(number).is_ok() {
                break;
            }
            // The ack sender wakes us when a barrier ack has gone out.
            self.hand_over();
            self.link
                .quiet
                .wait_idle_timeout(ms_to_jiffies(10), || self.link.is_down());
            if self.link.is_down() {
                return Err(End::Broken(Conn::NetworkFailure));
            }
        }
        self.link.barrier_news.store(true, Ordering::Release);
        self.link.answer_soon();
        Ok(())
    }

    /// The peer wants to read: its application, or as target of a resync.
    fn read_request(&mut self, vnr: u16, request: BlockRequest, purpose: Purpose) -> Handled {
        let device = self.device(vnr)?;
        self.check(&device, &request.range)?;
        let bio = self.object(&device, purpose, &request.range, request.block_id)?;
        device.counters.unacked.fetch_add(1, Ordering::Relaxed);
        if self.resource.state_of(vnr).disk != Disk::UpToDate {
            bio.fail();
            peer_io::pass_on(bio);
            return Ok(());
        }
        match purpose {
            Purpose::ResyncRead => crate::resync::read_for_target(&device, bio),
            _ => peer_io::submit_read(bio),
        }
        Ok(())
    }

    /// The data of a read that our application waits for.
    fn data_reply(&mut self, vnr: u16, reply: DataReply, buffer: &mut ReadAhead) -> Handled {
        let device = self.device(vnr)?;
        let id = SlotId::from_wire(reply.block_id.to_u64());
        let plane = &self.resource.plane;
        let table = plane.table();
        let asked = table.subject(id).is_some_and(|s| {
            s.volume == vnr && s.sector == reply.range.sector() && s.bytes == reply.range.size()
        }) && table
            .word(id)
            .is_some_and(|w| !w.is_write() && w.net_pending());
        let upper = if asked { plane.take_upper(id) } else { None };
        let Some((upper, started)) = upper else {
            return Err(PROTOCOL_ERROR);
        };
        let filled = self.fill((&device, reply.range.sector()), upper.data(), buffer);
        // Before the word changes: whoever completes the request may be the sender, or the
        // submitter, whom the answer has overtaken. If the link is gone, whoever ends its requests
        // finds this one as it was.
        plane.settle_in(id, upper, started);
        filled?;
        device
            .counters
            .recv
            .fetch_add(u64::from(reply.range.sectors()), Ordering::Relaxed);
        device.counters.pending_done();
        match table.apply(id, Event::DataReceived, device.policy().frozen) {
            Ok(duties) => {
                device.perform(id, reply.range.sector(), reply.range.size(), duties);
            }
            Err(_) => {
                if let Some((upper, started)) = plane.take_upper(id) {
                    device.end(upper, started, Status::IO_ERROR);
                }
            }
        }
        Ok(())
    }

    /// A resync block that we asked for.
    fn resync_reply(&mut self, vnr: u16, reply: DataReply, buffer: &mut ReadAhead) -> Handled {
        let device = self.device(vnr)?;
        self.check(&device, &reply.range)?;
        let Some(wanted) = crate::resync::arrived_to_write(&device, &reply.range) else {
            return Err(PROTOCOL_ERROR);
        };
        device
            .counters
            .recv
            .fetch_add(u64::from(reply.range.sectors()), Ordering::Relaxed);
        let result = self.write_resync_block(&device, &reply, buffer);
        device.release_range(wanted);
        result
    }

    fn write_resync_block(
        &mut self,
        device: &Arc<Device>,
        reply: &DataReply,
        buffer: &mut ReadAhead,
    ) -> Handled {
        let mut bio = self.object(device, Purpose::ResyncWrite, &reply.range, reply.block_id)?;
        self.fill((device, bio.sector), bio.data(), buffer)?;
        self.take_range(device, &mut bio, Work::ResyncIo)?;
        device.counters.unacked.fetch_add(1, Ordering::Relaxed);
        peer_io::submit_write(bio);
        Ok(())
    }

    /// P_TRIM and P_ZEROES: the range reads as zeroes afterwards. Nothing else of this connection
    /// is on its way to a disk meanwhile.
    fn zero_out(&mut self, vnr: u16, trim: Trim, command: Command) -> Handled {
        let device = self.device(vnr)?;
        let range = trim.range;
        self.check(&device, &range)?;
        let flags = WriteFlags::from_wire(
            command,
            trim.flags,
            &self.context.agreed,
            self.net.wire_protocol,
        )
        .map_err(|e| self.refuse(&e))?;
        if !device.policy().local_write {
            self.link.epochs.lock().count_only();
            self.link.cannot(&device, &range, trim.block_id);
            return Ok(());
        }
        let (epoch, _) = self.link.epochs.lock().join();
        self.link
            .quiet
            .wait_idle(|| self.link.is_down() || self.link.active.load(Ordering::Acquire) == 0);
        let purpose = Purpose::Write {
            epoch,
            ack: flags.ack,
            may_set_in_sync: flags.may_set_in_sync,
            flags: OpFlags::NONE,
        };
        let io = PeerIo::new(
            device.clone(),
            self.link.clone(),
            purpose,
            range.sector(),
            range.size(),
            trim.block_id,
        );
        let Ok(bio) = crate::peer_ios().alloc_buffer(0, Wait::Yes, io) else {
            return Err(End::Broken(Conn::NetworkFailure));
        };
        device.counters.unacked.fetch_add(1, Ordering::Relaxed);
        if flags.ack.receive() {
            self.link.received(&bio);
        }
        let done = device.local().ok_or(EIO).and_then(|local| {
            if !device.policy().peer_has_disk {
                // Ours is the only copy. The range may be larger than what the activity log takes
                // at a time: the bitmap tells of it instead.
                device.mark_out_of_sync(range.sector(), range.size());
                local.write_bitmap_in_place(&device)?;
            }
            local
                .data
                .zero_out(range.sector(), u64::from(range.sectors()), false)
        });
        if done.is_err() {
            bio.fail();
            device.local_error(true);
            device.kick();
        }
        peer_io::pass_on(bio);
        Ok(())
    }

    /// A part of the peer's bitmap.
    fn bitmap(
        &mut self,
        vnr: u16,
        take: impl FnOnce(&mut BitmapCursor, &Context, &Bits) -> Result<bool, WireError>,
    ) -> Handled {
        let device = self.device(vnr)?;
        let bits = device.bits().ok_or(PROTOCOL_ERROR)?;
        let state = self.resource.state_of(vnr).conn;
        if !matches!(state, Conn::WFBitMapS | Conn::WFBitMapT) {
            return Err(PROTOCOL_ERROR);
        }
        let mut cursor = self.cursor.take().unwrap_or(BitmapCursor::new(bits.len()));
        let done = take(&mut cursor, &self.context, &bits).map_err(|e| self.refuse(&e))?;
        if done {
            self.context.phase = Phase::Established;
            self.resource.feed(Told::BitmapReceived(vnr));
        } else {
            self.context.phase = Phase::Bitmap { volume: vnr };
            self.cursor = Some(cursor);
        }
        Ok(())
    }
}
