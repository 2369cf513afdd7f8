// SPDX-License-Identifier: GPL-2.0

//! The ack sender: it writes to the meta socket all but the answers to pings.
//!
//! It answers for all I/O that has ended since it looked last, in one send. A barrier is
//! acknowledged when all writes of its epoch are done, their acks are sent and the disks are
//! flushed: then the peer may forget them (docs/decisions: barrier acks promise stability).
//!
//! Flushes are I/O like any other, and their end comes the way that the end of writes comes: acks
//! do not wait for a disk that takes its time. Nor do pings, even when a disk takes no more I/O
//! from this thread: see [`crate::acks`].
//!
//! A disk that fails to flush has failed, and the barrier is never acknowledged: the link ends, so
//! that the peer marks the writes of the epoch out of sync.

mod checks;

use core::sync::atomic::Ordering;
use drbd_core::peer::{Event as Told, Send};
use drbd_core::request::epoch::{PeerEpochId, PeerEpochStep};
use drbd_core::state::Conn;
use drbd_core::wire::{AckKind, BarrierAck, BarrierNr, BlockAck, BlockId, Packet, StateReply};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::link::{Link, QuickAck};
use crate::peer_io::{self, PeerIo, Purpose};
use crate::resource::Resource;
use crate::stream::Gather;
use crate::sys::bio::OwnedBio;
use crate::sys::memalloc::{NoIo, NoReclaim};
use crate::sys::Wait;

/// Bytes of the buffer for packets.
const BUFFER: usize = 4096;
/// Room for any packet of this socket.
const PACKET: usize = 64;

/// The body of the ack sender thread.
pub(crate) fn run(resource: &Arc<Resource>, link: &Arc<Link>) {
    let _noio = NoIo::enter();
    let _reserves = NoReclaim::enter();
    let Ok(buffer) = Gather::new(BUFFER) else {
        resource.feed(Told::LinkBroken(Conn::NetworkFailure));
        link.meta.shutdown();
        return;
    };
    let mut answers = Answers {
        resource,
        link,
        buffer,
    };
    let worked = answers.work();
    if worked.is_err() && !link.is_down() {
        resource.feed(Told::LinkBroken(Conn::Timeout));
    }
    link.meta.shutdown();
}

struct Answers<'a> {
    resource: &'a Arc<Resource>,
    link: &'a Arc<Link>,
    buffer: Gather,
}

impl Answers<'_> {
    fn work(&mut self) -> Result {
        let link = self.link;
        let mut acks = Link::room_for_acks()?;
        loop {
            link.answers.wait_idle(|| {
                link.is_down()
                    || !link.done.is_empty()
                    || link.ping_wanted.load(Ordering::Acquire)
                    || link.reply_news.load(Ordering::Acquire)
                    || link.barrier_news.load(Ordering::Acquire)
            });
            if link.is_down() {
                while let Some(reply) = link.next_reply() {
                    self.reply(reply)?;
                }
                return self.flush();
            }
            link.reply_news.store(false, Ordering::Release);
            while let Some(reply) = link.next_reply() {
                self.reply(reply)?;
            }
            if link.held_in_vain.swap(false, Ordering::AcqRel) {
                peer_io::fail_held(link);
            }
            link.take_acks(&mut acks);
            for ack in acks.iter() {
                self.quick_ack(ack)?;
            }
            for bio in link.done.take_all() {
                self.ended(bio)?;
            }
            // Acks go out before the barrier ack that covers them; it is one stream.
            link.barrier_news.store(false, Ordering::Release);
            self.epochs()?;
            if link.ping_wanted.swap(false, Ordering::AcqRel) {
                // Behind all acks: its answer says that the peer has seen them.
                self.packet(0, &Packet::Ping)?;
            }
            self.flush()?;
        }
    }

    fn reply(&mut self, reply: Send) -> Result {
        match reply {
            Send::ChangeReply(vnr, retcode) => {
                self.packet(vnr, &Packet::StateChgReply(StateReply { retcode }))
            }
            Send::ConnChangeReply(retcode) => {
                self.packet(0, &Packet::ConnStChgReply(StateReply { retcode }))
            }
            _ => Ok(()),
        }
    }

    fn ended(&mut self, bio: OwnedBio<PeerIo>) -> Result {
        let device = bio.device.clone();
        let failed = bio.has_failed();
        match bio.purpose {
            Purpose::Write {
                epoch,
                ack,
                may_set_in_sync,
                ..
            } => {
                let mut kind = ack.write().then_some(AckKind::Write);
                if failed {
                    // In every protocol.
                    kind = Some(AckKind::Neg);
                    device.mark_out_of_sync(bio.sector, bio.bytes);
                } else if ack.write()
                    && may_set_in_sync
                    && self.syncing(&device)
                    && bio.is_of_this_era()
                {
                    kind = Some(AckKind::RsWrite);
                    device.mark_in_sync(bio.sector, bio.bytes);
                }
                if let Some(kind) = kind {
                    self.ack(kind, &bio)?;
                }
                device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
                drop(bio);
                self.link.epochs.lock().done(epoch);
                Ok(())
            }
            Purpose::ResyncWrite => {
                let kind = if failed || !bio.has_its_disk() {
                    // Of a disk that has gone: the peer may have marked the block again since.
                    crate::resync::note_failed(&device, bio.sector, bio.bytes);
                    AckKind::Neg
                } else {
                    if bio.is_of_this_era() {
                        device.mark_in_sync(bio.sector, bio.bytes);
                    }
                    AckKind::RsWrite
                };
                self.ack(kind, &bio)?;
                crate::resync::written(&device);
                device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            }
            Purpose::Check(check) => self.checked(bio, check),
            Purpose::Flush { epoch } => {
                drop(bio);
                let stable = self.link.flushes.end(&device, !failed);
                self.flushed(epoch, stable)
            }
            Purpose::Read | Purpose::ResyncRead => {
                let resync = matches!(bio.purpose, Purpose::ResyncRead);
                if resync {
                    crate::resync::note_failed(&device, bio.sector, bio.bytes);
                }
                let kind = if resync {
                    AckKind::NegRsDReply
                } else {
                    AckKind::NegDReply
                };
                self.ack(kind, &bio)?;
                device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn quick_ack(&mut self, ack: &QuickAck) -> Result {
        let Some(device) = self.resource.device(ack.vnr) else {
            return Ok(());
        };
        let packet = BlockAck {
            sector: ack.sector,
            block_id: ack.block_id,
            blksize: ack.bytes,
            seq_num: device.next_seq(),
        };
        self.packet(ack.vnr, &Packet::Ack(ack.kind, packet))
    }

    fn syncing(&self, device: &Device) -> bool {
        device.policy().may_set_in_sync
    }

    fn ack(&mut self, kind: AckKind, bio: &PeerIo) -> Result {
        let ack = BlockAck {
            sector: bio.sector,
            block_id: bio.block_id,
            blksize: bio.bytes,
            seq_num: bio.device.next_seq(),
        };
        self.packet(bio.device.vnr, &Packet::Ack(kind, ack))
    }

    fn epochs(&mut self) -> Result {
        loop {
            let step = self.link.epochs.lock().next_step();
            match step {
                None => return Ok(()),
                Some(PeerEpochStep::Flush(id)) => self.flush_disks(id)?,
                Some(PeerEpochStep::Release(id)) => peer_io::release(self.link, id),
                Some(PeerEpochStep::Ack { barrier, size }) => {
                    let barrier = BarrierNr(barrier.to_ne_bytes());
                    let ack = BarrierAck {
                        barrier,
                        set_size: size,
                    };
                    self.packet(0, &Packet::BarrierAck(ack))?;
                    // A receiver that found no room for another epoch goes on.
                    self.link.quiet.wake_all();
                }
            }
        }
    }

    /// All writes of the epoch have ended: has the disks make them stable.
    fn flush_disks(&mut self, id: PeerEpochId) -> Result {
        // Acks do not wait for the flush.
        self.flush()?;
        let flushes = &self.link.flushes;
        // They are not over before all have begun.
        flushes.begin();
        for device in self.resource.devices().iter() {
            let Some(local) = device.local_io().filter(|local| local.is_volatile()) else {
                continue;
            };
            let purpose = Purpose::Flush { epoch: id };
            let over = self.link.clone();
            let io = PeerIo::new(device.clone(), over, purpose, 0, 0, BlockId::SYNCER);
            flushes.begin();
            // This thread must not wait for memory that it is itself to give back.
            match crate::peer_ios().alloc_buffer(0, Wait::No, io) {
                Ok(bio) => peer_io::submit_flush(bio, &local),
                Err(_) => {
                    let stable = local.data.flush().is_ok();
                    drop(local);
                    if !stable {
                        device.local_error(true);
                    }
                    let _ = flushes.end(device, stable);
                }
            }
        }
        self.flushed(id, flushes.end_start())
    }

    /// A flush of the epoch has ended, and perhaps all of them, with this result.
    fn flushed(&mut self, id: PeerEpochId, stable: Option<bool>) -> Result {
        match stable {
            None => return Ok(()),
            Some(true) => self.link.epochs.lock().flushed(id),
            Some(false) => {
                self.resource.feed(Told::LinkBroken(Conn::NetworkFailure));
                return Err(EIO);
            }
        }
        Ok(())
    }

    fn packet(&mut self, vnr: u16, packet: &Packet<'_>) -> Result {
        if self.buffer.room().len() < PACKET {
            self.flush()?;
        }
        self.buffer.put(vnr, packet, &self.link.agreed)
    }

    fn flush(&mut self) -> Result {
        if !self.buffer.is_empty() {
            self.link.write_meta(self.buffer.filled())?;
            self.buffer.clear();
        }
        Ok(())
    }
}
