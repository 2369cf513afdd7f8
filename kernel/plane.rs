// SPDX-License-Identifier: GPL-2.0

//! The data plane of a resource: the table of requests, and the queue to the sender.
//!
//! A request from above lives in three places, none of which needs a lock that all share:
//!
//! - its *slot* in the table holds the word that says what it still waits for
//!   ([`drbd_core::request`]); the slot's name is the `block_id` on the wire;
//! - its *place* beside the slot holds the bio from above until the winner of the completing
//!   transition takes it, and the ticket of its range;
//! - its [`Req`] object holds the bio for the local disk, keeps the pages for the sender, and is
//!   the link in the sender's queue.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use drbd_core::al::Refs;
use drbd_core::peer::Send as Control;
use drbd_core::request::overdue;
use drbd_core::request::slots::{FreeHead, Slot, SlotId, SlotTable, Subject};
use drbd_core::request::word::ReqWord;
use kernel::prelude::*;
use kernel::sync::barrier::{smp_mb, Full};
use kernel::sync::Arc;

use crate::device::Device;
use crate::sys::bio::{
    AccountingStart, BioArc, Borrowed, EndIo, OwnedBio, Status, UpperBio, UpperCell, UpperHold,
};
use crate::sys::llist::{self, LList};
use crate::vector;

/// Requests that a resource can have in flight, the ones that wait for their barrier ack included.
const SLOTS: usize = 8192;

/// What a [`Req`] is about.
pub(crate) enum Kind {
    /// A write; the data is that of the hold.
    Write {
        /// The request.
        slot: SlotId,
        /// `REQ_FUA` and friends as they go on the wire.
        flags: drbd_core::wire::WriteFlags,
        /// The socket may take the pages themselves: they stay as they are until the peer has them.
        splice: bool,
        /// Keeps the pages until the packet is sent; none for a note.
        hold: Option<UpperHold>,
    },
    /// A read that the peer answers.
    Read {
        /// The request.
        slot: SlotId,
    },
    /// An empty flush that waits for the barrier acks before it.
    Flush {
        /// The request.
        slot: SlotId,
    },
    /// A local read.
    LocalRead {
        /// The bio from above.
        upper: UpperCell,
        /// When it came.
        started: AccountingStart,
    },
    /// A control packet.
    Control(Control),
}

/// An object with a bio for the local disk and a link for the sender's queue.
pub(crate) struct Req {
    link: llist::Link,
    /// The volume; none for packets about the connection.
    pub(crate) device: Option<Arc<Device>>,
    /// What it is about.
    pub(crate) kind: Kind,
}

llist::impl_linked! { impl Linked<0> for Req { self.link } }

impl Req {
    /// An object about `kind`.
    pub(crate) fn new(device: Option<Arc<Device>>, kind: Kind) -> Self {
        Self {
            link: llist::Link::new(),
            device,
            kind,
        }
    }
}

impl Drop for Req {
    /// Perhaps in an interrupt.
    fn drop(&mut self) {
        if let Some(device) = self.device.take() {
            crate::device::let_go(device);
        }
    }
}

impl EndIo for Req {
    type Payload = Borrowed;

    fn end_io(bio: OwnedBio<Self>, status: Status) {
        let Some(device) = &bio.device else { return };
        match &bio.kind {
            Kind::Write { slot, .. } | Kind::Flush { slot } => {
                device.local_write_done(*slot, status);
            }
            Kind::LocalRead { upper, started } => {
                device.local_done();
                if let Some(upper) = upper.take() {
                    device.local_read_done(upper, *started, status);
                }
            }
            Kind::Read { .. } | Kind::Control(_) => {}
        }
    }
}

/// What belongs to a slot but is the kernel's alone.
struct Place {
    /// The bio from above.
    upper: UpperCell,
    /// When it came, in jiffies.
    started: AtomicUsize,
    /// When its packet was handed to the socket, in ms.
    sent_ms: AtomicU64,
    /// Its range: ticket in shard, for up to two shards; see [`crate::ranges`].
    tickets: [AtomicU64; 2],
    /// Its extents in the activity log: [`Refs`].
    extents: AtomicU64,
    /// Who still needs it: who answers the request, and who destroys it. Two contexts may do that
    /// at the same time, and the bio is to be out before the slot gets another request.
    holds: AtomicU32,
}

/// [`Place::holds`] of a request that is neither answered nor destroyed.
const HOLDS: u32 = 2;

/// The data plane of a resource.
pub(crate) struct Plane {
    slots: KVVec<Slot>,
    free: FreeHead,
    places: KVVec<Place>,
    /// Somebody waits for a slot.
    wanted: AtomicBool,
    /// What the sender has to send, oldest first.
    pub(crate) queue: LList<BioArc<Req>, 0>,
}

impl Plane {
    /// A plane without requests. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;
        let mut places = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;
        for _ in 0..SLOTS {
            vector::push(&mut slots, Slot::default(), GFP_KERNEL)?;
            let place = Place {
                upper: UpperCell::empty(),
                started: AtomicUsize::new(0),
                sent_ms: AtomicU64::new(0),
                tickets: [AtomicU64::new(0), AtomicU64::new(0)],
                extents: AtomicU64::new(Refs::NONE.to_raw()),
                holds: AtomicU32::new(0),
            };
            vector::push(&mut places, place, GFP_KERNEL)?;
        }
        let free = FreeHead::default();
        SlotTable::init(&slots, &free);
        Ok(Self {
            slots,
            free,
            places,
            wanted: AtomicBool::new(false),
            queue: LList::new(),
        })
    }

    /// The table of words.
    pub(crate) fn table(&self) -> SlotTable<'_> {
        SlotTable::new(&self.slots, &self.free)
    }

    fn place(&self, id: SlotId) -> Option<&Place> {
        self.places.get(usize::try_from(id.index()).ok()?)
    }

    /// Takes a slot, and puts the tickets of its range and its extents in the activity log beside
    /// it. The bio follows by
    /// [`Plane::settle_in`].
    pub(crate) fn admit(
        &self,
        subject: Subject,
        word: ReqWord,
        tickets: [u64; 2],
        refs: Refs,
    ) -> Option<SlotId> {
        let id = self.table().allocate(subject, word)?;
        if let Some(place) = self.place(id) {
            for (to, from) in place.tickets.iter().zip(tickets) {
                to.store(from, Ordering::Relaxed);
            }
            place.extents.store(refs.to_raw(), Ordering::Relaxed);
            place.holds.store(HOLDS, Ordering::Relaxed);
        }
        Some(id)
    }

    /// The request is answered, or it is destroyed: whoever comes second gives the slot back, and
    /// is told as by [`Plane::give_back`]. Any context.
    #[must_use]
    pub(crate) fn drop_hold(&self, id: SlotId) -> Option<bool> {
        let last = self.place(id)?.holds.fetch_sub(1, Ordering::AcqRel) == 1;
        last.then(|| self.give_back(id))
    }

    /// Gives a slot back. `true`: somebody waits for one, and is to be told. Any context.
    #[must_use]
    pub(crate) fn give_back(&self, id: SlotId) -> bool {
        self.table().release(id);
        // Pairs with the one in `want_slot`: either we see the wish, or who wishes sees the slot.
        smp_mb(Full);
        self.wanted.load(Ordering::Relaxed) && self.wanted.swap(false, Ordering::AcqRel)
    }

    /// Somebody who found no slot has parked, and waits for one. `true`: there is one now. Any
    /// context.
    #[must_use]
    pub(crate) fn want_slot(&self) -> bool {
        self.wanted.store(true, Ordering::Release);
        smp_mb(Full);
        self.table().has_free()
    }

    /// Puts the bio of a new request beside its slot. The submitter still holds back completion.
    pub(crate) fn settle_in(&self, id: SlotId, upper: UpperBio, started: AccountingStart) {
        if let Some(place) = self.place(id) {
            place.started.store(started.to_raw(), Ordering::Relaxed);
            place.upper.put(upper);
        }
    }

    /// The packet of a request goes to the socket now.
    pub(crate) fn note_sent(&self, id: SlotId, now_ms: u64) {
        if let Some(place) = self.place(id) {
            place.sent_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Whether the peer owes an answer for longer than `limit_ms`. `open` is the epoch that is not
    /// closed yet.
    pub(crate) fn is_overdue(&self, open: u32, now_ms: u64, limit_ms: u64) -> bool {
        let table = self.table();
        let late = |id: SlotId| {
            let (Some(word), Some(place)) = (table.word(id), self.place(id)) else {
                return false;
            };
            let age = now_ms.saturating_sub(place.sent_ms.load(Ordering::Relaxed));
            overdue::is_overdue(word, table.epoch(id) == open, age, limit_ms)
        };
        table.in_use().any(late)
    }

    /// Takes the bio of a request that completes.
    pub(crate) fn take_upper(&self, id: SlotId) -> Option<(UpperBio, AccountingStart)> {
        let place = self.place(id)?;
        let started = AccountingStart::from_raw(place.started.load(Ordering::Relaxed));
        Some((place.upper.take()?, started))
    }

    /// Takes the extents of a request that is over; they are given back once.
    pub(crate) fn take_refs(&self, id: SlotId) -> Refs {
        let none = Refs::NONE.to_raw();
        let raw = self
            .place(id)
            .map_or(none, |place| place.extents.swap(none, Ordering::AcqRel));
        Refs::from_raw(raw)
    }

    /// Takes the tickets of a request's range; they are let go once.
    pub(crate) fn take_tickets(&self, id: SlotId) -> [u64; 2] {
        match self.place(id) {
            Some(place) => {
                let [a, b] = &place.tickets;
                [a.swap(0, Ordering::AcqRel), b.swap(0, Ordering::AcqRel)]
            }
            None => [0, 0],
        }
    }
}
