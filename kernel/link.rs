// SPDX-License-Identifier: GPL-2.0

//! An established link: its two sockets, and what its four threads share.
//!
//! | thread | reads | writes |
//! |---|---|---|
//! | receiver ([`crate::receiver`]) | data socket | |
//! | sender ([`crate::sender`]) | | data socket |
//! | ack receiver ([`crate::acks`]) | meta socket | meta socket: pings and their answers |
//! | ack sender ([`crate::answers`]) | | meta socket: all else |
//!
//! Where a direction of a socket has one thread, nothing is locked to send or to receive. A thread
//! that finds the link broken tells the machine, which has both sockets shut down; then all four
//! end, and the receiver waits for the other three and for the peer's I/O in flight.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use drbd_core::peer::{Event, Send};
use drbd_core::request::epoch::PeerEpochs;
use drbd_core::wire::{
    AckKind, Agreed, BlockId, BlockRange, Context, Packet, Phase, Socket as Which,
};
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{barrier, Arc, Mutex};

use crate::connect::{send_all, send_packet};
use crate::device::Device;
use crate::objects;
use crate::peer_io::{Flushes, PeerIo};
use crate::resource::Resource;
use crate::sys::bio::OwnedBio;
use crate::sys::llist::LList;
use crate::sys::socket::Socket;
use crate::sys::time;
use crate::sys::wait::{new_wait_queue, WaitQueue};
use crate::sys::{new_spinlock_irq, SpinLockIrq};

/// An ack that does not wait for the disk.
#[derive(Clone, Copy)]
pub(crate) struct QuickAck {
    /// P_RECV_ACK, or a negative one.
    pub(crate) kind: AckKind,
    /// The volume.
    pub(crate) vnr: u16,
    /// First sector.
    pub(crate) sector: u64,
    /// Bytes.
    pub(crate) bytes: u32,
    /// The peer's handle.
    pub(crate) block_id: BlockId,
}

/// Acks that may wait for the ack sender.
const QUICK_ACKS: usize = 256;

/// An established link.
#[pin_data]
pub(crate) struct Link {
    /// The data socket.
    pub(crate) data: Arc<Socket>,
    /// The meta socket.
    pub(crate) meta: Arc<Socket>,
    /// Version and features.
    pub(crate) agreed: Agreed,
    down: AtomicBool,
    /// Replies of the machine that go out on the meta socket.
    #[pin]
    replies: Mutex<KVec<Send>>,
    /// Acks that the receiver gives at once, at most [`QUICK_ACKS`].
    #[pin]
    acks: SpinLockIrq<KVec<QuickAck>>,
    /// A barrier was received.
    pub(crate) barrier_news: AtomicBool,
    /// There are replies or acks.
    pub(crate) reply_news: AtomicBool,
    /// What the ack receiver heard and the owner is to be told.
    #[pin]
    told: Mutex<KVec<Event>>,
    /// Held while the owner is told of it.
    #[pin]
    telling: Mutex<()>,
    /// Held by who writes to the meta socket.
    #[pin]
    writer: Mutex<()>,
    /// The peer is to be pinged now.
    pub(crate) ping_wanted: AtomicBool,
    /// I/O for the peer that has ended and goes to the ack sender.
    pub(crate) done: LList<OwnedBio<PeerIo>, 0>,
    /// Reads for the peer that have ended and go to the sender.
    pub(crate) read: LList<OwnedBio<PeerIo>, 0>,
    /// Writes of the peer that wait for an earlier epoch.
    pub(crate) held: LList<OwnedBio<PeerIo>, 0>,
    /// Some of them are of an era that is over.
    pub(crate) held_in_vain: AtomicBool,
    /// Flushes for the peer's writes.
    pub(crate) flushes: Flushes,
    /// I/O for the peer that exists.
    pub(crate) active: AtomicU32,
    /// Bytes of it.
    bytes: AtomicU64,
    /// The receiver waits for pages.
    pub(crate) wants_pages: AtomicBool,
    /// Woken when I/O for the peer has ended for good.
    #[pin]
    pub(crate) quiet: WaitQueue,
    /// Woken when the ack sender has something to do.
    #[pin]
    pub(crate) answers: WaitQueue,
    /// Writes that the peer has been sent and has not answered, as good as can be told: for a
    /// choice that is never wrong, only better or worse.
    pub(crate) in_flight: AtomicU32,
    /// The receiver has more to read at once, and wakes the ack sender for all of it.
    gathering: AtomicBool,
    /// The epochs of the peer's writes.
    #[pin]
    pub(crate) epochs: Mutex<PeerEpochs>,
    /// When something was last received on either socket, in ms.
    pub(crate) last_received: AtomicU64,
    _counted: objects::Links,
}

impl Link {
    /// A link over these sockets.
    pub(crate) fn new(data: Arc<Socket>, meta: Arc<Socket>, agreed: Agreed) -> Result<Arc<Self>> {
        let replies = KVec::with_capacity(64, GFP_KERNEL)?;
        let acks = Self::room_for_acks()?;
        let told = KVec::with_capacity(64, GFP_KERNEL)?;
        // Small packets go one way on it: TCP need not answer each of them with one of its own.
        meta.set_delayed_ack();
        Arc::pin_init(
            pin_init!(Self {
                data,
                meta,
                agreed,
                down: AtomicBool::new(false),
                replies <- new_mutex!(replies, "drbd_replies"),
                acks <- new_spinlock_irq!(acks, "drbd_quick_acks"),
                barrier_news: AtomicBool::new(false),
                reply_news: AtomicBool::new(false),
                told <- new_mutex!(told, "drbd_told"),
                telling <- new_mutex!((), "drbd_telling"),
                writer <- new_mutex!((), "drbd_meta_writer"),
                ping_wanted: AtomicBool::new(false),
                done: LList::new(),
                read: LList::new(),
                held: LList::new(),
                held_in_vain: AtomicBool::new(false),
                flushes: Flushes::default(),
                active: AtomicU32::new(0),
                bytes: AtomicU64::new(0),
                wants_pages: AtomicBool::new(false),
                quiet <- new_wait_queue!("drbd_quiet"),
                answers <- new_wait_queue!("drbd_answers"),
                in_flight: AtomicU32::new(0),
                gathering: AtomicBool::new(false),
                epochs <- new_mutex!(PeerEpochs::new(true), "drbd_peer_epochs"),
                last_received: AtomicU64::new(time::monotonic_ns() / 1_000_000),
                _counted: objects::Links::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// What may be received on a socket now.
    pub(crate) fn context(&self, socket: Which, phase: Phase) -> Context {
        Context {
            socket,
            phase,
            agreed: self.agreed,
            digest_size: 0,
        }
    }

    /// Shuts both sockets down. Threads that sleep on them wake up. The meta socket is left to the
    /// ack sender, so that an answer which is queued still goes out: the peer may wait for it.
    pub(crate) fn shutdown(&self) {
        if !self.down.swap(true, Ordering::AcqRel) {
            self.data.shutdown();
        }
        self.answers.wake_all();
    }

    /// Waits until [`Link::shutdown`] is called, for so many ms at most.
    pub(crate) fn await_shutdown(&self, limit: u32) {
        self.answers
            .wait_idle_timeout(time::ms_to_jiffies(limit), || self.is_down());
    }

    /// Whether [`Link::shutdown`] was called.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Queues a packet for the meta socket. May sleep.
    pub(crate) fn send_meta(&self, packet: Send) {
        if packet == Send::Ping {
            self.ping_wanted.store(true, Ordering::Release);
        } else if self.replies.lock().push_within_capacity(packet).is_err() {
            // A peer with more than 64 questions open is not of this world.
            self.shutdown();
        }
        self.reply_news.store(true, Ordering::Release);
        self.answers.wake_all();
    }

    /// Has the owner told of something, soon: the owner may be busy with a slow disk, and the ack
    /// receiver has pings to answer meanwhile. In order; `false` if too much waits already.
    pub(crate) fn tell(&self, resource: &Arc<Resource>, event: Event) -> bool {
        let mut told = self.told.lock();
        if event == Event::PingAck && told.contains(&event) {
            return true;
        }
        let room = told.push_within_capacity(event).is_ok();
        drop(told);
        resource.told();
        room
    }

    /// Tells the owner all that waits. May sleep.
    pub(crate) fn tell_all(&self, resource: &Arc<Resource>) {
        let _telling = self.telling.lock();
        loop {
            let event = self.told.lock().remove(0);
            let Ok(event) = event else { return };
            resource.feed(event);
        }
    }

    /// The link has ended, and with it what was heard over it. Afterwards nobody is being told of
    /// it any more. May sleep.
    pub(crate) fn stop_telling(&self) {
        let _telling = self.telling.lock();
        self.told.lock().clear();
    }

    /// Writes whole packets to the meta socket. May sleep.
    pub(crate) fn write_meta(&self, packets: &[u8]) -> Result {
        let _writer = self.writer.lock();
        send_all(&self.meta, packets, false)
    }

    /// Writes a packet without bulk data, about the connection, to the meta socket. May sleep.
    pub(crate) fn write_packet(&self, packet: &Packet<'_>) -> Result {
        let _writer = self.writer.lock();
        send_packet(&self.meta, packet, &self.agreed)
    }

    /// Has writes fail that are of an era that is over. Any context.
    pub(crate) fn fail_held(&self) {
        self.held_in_vain.store(true, Ordering::Release);
        self.reply_news.store(true, Ordering::Release);
        self.answers.wake_all();
    }

    /// Takes the next packet that was queued for the meta socket.
    pub(crate) fn next_reply(&self) -> Option<Send> {
        let mut replies = self.replies.lock();
        if replies.is_empty() {
            return None;
        }
        replies.remove(0).ok()
    }

    /// Has the ack sender give an ack. If it is far behind, because the peer reads none, the
    /// receiver waits for it: then the peer has to wait, too.
    fn quick_ack(&self, ack: QuickAck) {
        let room = || self.is_down() || self.acks.lock().len() < QUICK_ACKS;
        if !room() {
            self.hand_over();
            self.quiet.wait_idle(room);
        }
        // There is room: only the receiver adds to them.
        let _ = self.acks.lock().push_within_capacity(ack);
        self.reply_news.store(true, Ordering::Release);
        self.answer_soon();
    }

    /// The ack sender has something to do that can wait until the receiver has handled what it has
    /// got. Any context.
    pub(crate) fn answer_soon(&self) {
        // Pairs with `hand_over`: what was listed before this look is seen by the wake there.
        barrier::smp_mb(barrier::Full);
        if !self.gathering.load(Ordering::Relaxed) {
            self.answers.wake_all();
        }
    }

    /// The peer has answered so many writes.
    pub(crate) fn answered(&self, writes: u32) {
        let less = |n: u32| Some(n.saturating_sub(writes));
        let _ = self
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The receiver has more to read, and will call [`Link::hand_over`] before it sleeps.
    pub(crate) fn gather(&self) {
        self.gathering.store(true, Ordering::Relaxed);
    }

    /// The receiver is about to sleep, or has gathered enough: answers go out now.
    pub(crate) fn hand_over(&self) {
        if self.gathering.swap(false, Ordering::SeqCst) {
            self.answers.wake_all();
        }
    }

    /// A write was received; the peer waits for no more (protocol B). May sleep.
    pub(crate) fn received(&self, io: &PeerIo) {
        self.quick_ack(QuickAck {
            kind: AckKind::Recv,
            vnr: io.device.vnr,
            sector: io.sector,
            bytes: io.bytes,
            block_id: io.block_id,
        });
    }

    /// A write cannot be carried out: there is no disk. May sleep.
    pub(crate) fn cannot(&self, device: &Device, range: &BlockRange, block_id: BlockId) {
        self.quick_ack(QuickAck {
            kind: AckKind::Neg,
            vnr: device.vnr,
            sector: range.sector(),
            bytes: range.size(),
            block_id,
        });
    }

    /// Takes the acks that the receiver gave, and leaves an empty list in exchange.
    pub(crate) fn take_acks(&self, acks: &mut KVec<QuickAck>) {
        acks.clear();
        core::mem::swap(&mut *self.acks.lock(), acks);
        // A receiver may wait for room.
        self.quiet.wake_all();
    }

    /// An empty list with room for all acks that may wait.
    pub(crate) fn room_for_acks() -> Result<KVec<QuickAck>> {
        Ok(KVec::with_capacity(QUICK_ACKS, GFP_KERNEL)?)
    }

    /// Something has come from the peer.
    pub(crate) fn heard(&self) {
        self.last_received
            .store(time::monotonic_ns() / 1_000_000, Ordering::Relaxed);
    }

    /// Milliseconds since something came from the peer.
    pub(crate) fn silent_ms(&self) -> u64 {
        let now = time::monotonic_ns() / 1_000_000;
        now.saturating_sub(self.last_received.load(Ordering::Relaxed))
    }

    /// I/O of so many bytes for the peer begins.
    pub(crate) fn io_begins(&self, bytes: u32) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::from(bytes), Ordering::Relaxed);
    }

    /// I/O for the peer is over, with all that goes with it. Tasks only.
    pub(crate) fn io_ends(&self, bytes: u32) {
        self.bytes.fetch_sub(u64::from(bytes), Ordering::SeqCst);
        let last = self.active.fetch_sub(1, Ordering::AcqRel) == 1;
        if last || self.wants_pages.load(Ordering::SeqCst) {
            self.quiet.wake_all();
        }
    }

    /// Whether I/O for the peer has more than so many pages.
    pub(crate) fn fills(&self, pages: u64) -> bool {
        self.bytes.load(Ordering::SeqCst) > pages.saturating_mul(4096)
    }
}
