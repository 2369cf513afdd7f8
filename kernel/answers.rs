// SPDX-License-Identifier: GPL-2.0

//! The ack sender: the one thread that writes to the meta socket.
//!
//! It answers for all I/O that has ended since it looked last, in one send. A barrier is
//! acknowledged when all writes of its epoch are done, their acks are sent and the disks are
//! flushed: then the peer may forget them (docs/decisions: barrier acks promise stability).

mod checks;

use core::sync::atomic::Ordering;
use drbd_core::peer::{Event as Told, Send};
use drbd_core::request::epoch::{PeerEpochId, PeerEpochStep};
use drbd_core::state::Conn;
use drbd_core::wire::{AckKind, BarrierAck, BarrierNr, BlockAck, Packet, StateReply};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::connect::send_all;
use crate::device::Device;
use crate::link::{Link, QuickAck};
use crate::peer_io::{self, PeerIo, Purpose};
use crate::resource::Resource;
use crate::stream::Gather;
use crate::sys::bio::OwnedBio;
use crate::sys::memalloc::{NoIo, NoReclaim};

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
        loop {
            link.answers.wait_idle(|| {
                link.is_down()
                    || !link.done.is_empty()
                    || link.pings_to_answer.load(Ordering::Acquire) > 0
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
            for _ in 0..link.pings_to_answer.swap(0, Ordering::AcqRel) {
                self.packet(0, &Packet::PingAck)?;
            }
            while let Some(reply) = link.next_reply() {
                self.reply(reply)?;
            }
            for ack in link.take_acks().iter() {
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
                } else if ack.write() && may_set_in_sync && self.syncing(&device) {
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
                let kind = if failed {
                    AckKind::Neg
                } else {
                    AckKind::RsWrite
                };
                if failed {
                    crate::resync::note_failed(&device, bio.sector, bio.bytes);
                } else {
                    device.mark_in_sync(bio.sector, bio.bytes);
                }
                self.ack(kind, &bio)?;
                device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            }
            Purpose::Check(check) => self.checked(bio, check),
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

    /// All writes of the epoch have ended: makes them stable. If that fails the link ends: the peer
    /// has acks for these writes, and must not forget them.
    fn flush_disks(&mut self, id: PeerEpochId) -> Result {
        // Acks do not wait for the flush.
        let _ = self.flush();
        let mut failed = false;
        for device in self.resource.devices().iter() {
            let Some(local) = device.local() else {
                continue;
            };
            if local.flush_data().is_err() {
                device.local_error(true);
                device.kick();
                failed = true;
            }
        }
        if failed {
            return Err(EIO);
        }
        self.link.epochs.lock().flushed(id);
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
            send_all(&self.link.meta, self.buffer.filled(), false)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
