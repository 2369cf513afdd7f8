// SPDX-License-Identifier: GPL-2.0

//! An established link: its two sockets, and what its four threads share.
//!
//! | thread | reads | writes |
//! |---|---|---|
//! | receiver ([`crate::receiver`]) | data socket | |
//! | sender ([`crate::sender`]) | | data socket |
//! | ack receiver ([`crate::acks`]) | meta socket | |
//! | ack sender ([`crate::answers`]) | | meta socket |
//!
//! Each direction of each socket has one thread, so nothing is locked to send or to receive. A
//! thread that finds the link broken tells the machine, which has both sockets shut down; then all
//! four end, and the receiver waits for the other three and for the peer's I/O in flight.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use drbd_core::peer::Send;
use drbd_core::request::epoch::PeerEpochs;
use drbd_core::wire::{AckKind, Agreed, BlockId, BlockRange, Context, Phase, Socket as Which};
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{Arc, Mutex};

use crate::device::Device;
use crate::peer_io::PeerIo;
use crate::sys::bio::OwnedBio;
use crate::sys::llist::LList;
use crate::sys::socket::Socket;
use crate::sys::time;
use crate::sys::wait::{new_wait_queue, WaitQueue};
use crate::vector;

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
    /// Acks that the receiver gives at once.
    #[pin]
    acks: Mutex<KVec<QuickAck>>,
    /// A barrier was received.
    pub(crate) barrier_news: AtomicBool,
    /// There are replies or acks.
    pub(crate) reply_news: AtomicBool,
    /// Pings of the peer that are to be answered.
    pub(crate) pings_to_answer: AtomicU32,
    /// The peer is to be pinged now.
    pub(crate) ping_wanted: AtomicBool,
    /// I/O for the peer that has ended and goes to the ack sender.
    pub(crate) done: LList<OwnedBio<PeerIo>, 0>,
    /// Reads for the peer that have ended and go to the sender.
    pub(crate) read: LList<OwnedBio<PeerIo>, 0>,
    /// Writes of the peer that wait for an earlier epoch.
    pub(crate) held: LList<OwnedBio<PeerIo>, 0>,
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
    /// The epochs of the peer's writes.
    #[pin]
    pub(crate) epochs: Mutex<PeerEpochs>,
    /// When something was last received on either socket, in ms.
    pub(crate) last_received: AtomicU64,
}

impl Link {
    /// A link over these sockets.
    pub(crate) fn new(data: Arc<Socket>, meta: Arc<Socket>, agreed: Agreed) -> Result<Arc<Self>> {
        let replies = KVec::with_capacity(64, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                data,
                meta,
                agreed,
                down: AtomicBool::new(false),
                replies <- new_mutex!(replies, "drbd_replies"),
                acks <- new_mutex!(KVec::new(), "drbd_quick_acks"),
                barrier_news: AtomicBool::new(false),
                reply_news: AtomicBool::new(false),
                pings_to_answer: AtomicU32::new(0),
                ping_wanted: AtomicBool::new(false),
                done: LList::new(),
                read: LList::new(),
                held: LList::new(),
                active: AtomicU32::new(0),
                bytes: AtomicU64::new(0),
                wants_pages: AtomicBool::new(false),
                quiet <- new_wait_queue!("drbd_quiet"),
                answers <- new_wait_queue!("drbd_answers"),
                epochs <- new_mutex!(PeerEpochs::new(true), "drbd_peer_epochs"),
                last_received: AtomicU64::new(time::monotonic_ns() / 1_000_000),
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

    /// Takes the next packet that was queued for the meta socket.
    pub(crate) fn next_reply(&self) -> Option<Send> {
        let mut replies = self.replies.lock();
        if replies.is_empty() {
            return None;
        }
        replies.remove(0).ok()
    }

    fn quick_ack(&self, ack: QuickAck) {
        if vector::push(&mut *self.acks.lock(), ack, GFP_KERNEL).is_err() {
            self.shutdown();
        }
        self.reply_news.store(true, Ordering::Release);
        self.answers.wake_all();
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

    /// Takes the acks that the receiver gave.
    pub(crate) fn take_acks(&self) -> KVec<QuickAck> {
        core::mem::take(&mut *self.acks.lock())
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
