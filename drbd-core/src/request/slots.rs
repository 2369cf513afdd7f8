// SPDX-License-Identifier: GPL-2.0
//! Where the words of requests live: a table of slots, named by index and generation.
//!
//! The pair (index, generation) is the `block_id` that travels on the wire. The peer echoes it;
//! whatever it echoes, a lookup is one load and one compare, never a pointer that it chose.
//!
//! The table allocates nothing: the caller lends a slice of [`Slot`]s that lives as long as the
//! resource. Free slots form a lock-free stack whose head carries a tag against ABA.

use super::word::{Duties, Event, ReqWord, WordError};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No slot.
const NIL: u32 = u32::MAX;

/// One request's place.
#[derive(Debug, Default)]
pub struct Slot {
    /// High half: the generation, odd while in use. Low half: the [`ReqWord`].
    cell: AtomicU64,
    /// First sector of the range.
    sector: AtomicU64,
    /// Length of the range in bytes.
    bytes: AtomicU32,
    /// The epoch the sender put the write in.
    epoch: AtomicU32,
    /// The next free slot, or the next slot of the same epoch.
    next: AtomicU32,
    /// The volume number.
    volume: AtomicU32,
}

/// Names a slot in use. On the wire it is the `block_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId {
    index: u32,
    generation: u32,
}

impl SlotId {
    /// The `block_id`: opaque to the peer, echoed as it is.
    #[must_use]
    pub fn to_wire(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    /// Reads an echoed `block_id`. Any value is possible; [`SlotTable`] finds out what it is worth.
    #[must_use]
    pub fn from_wire(id: u64) -> Self {
        let b = id.to_be_bytes();
        Self {
            generation: u32::from_be_bytes([b[0], b[1], b[2], b[3]]),
            index: u32::from_be_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// The place in the table, below the table's length for an id that the table gave out.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }
}

/// What a slot says of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// First sector.
    pub sector: u64,
    /// Length in bytes; 0 for an empty flush.
    pub bytes: u32,
    /// The volume.
    pub volume: u16,
}

/// Why an event did not reach a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// There is no such request (any more).
    NoSuchRequest,
    /// The request exists, but the event cannot be.
    Refused(WordError),
}

/// The head of the free list: tag in the high half, index in the low one.
#[derive(Debug)]
pub struct FreeHead(AtomicU64);

impl Default for FreeHead {
    fn default() -> Self {
        Self(AtomicU64::new(u64::from(NIL)))
    }
}

/// A view of the lent slots and their free list.
#[derive(Clone, Copy, Debug)]
pub struct SlotTable<'a> {
    slots: &'a [Slot],
    free: &'a FreeHead,
}

fn low(v: u64) -> u32 {
    (v & 0xffff_ffff) as u32
}

fn high(v: u64) -> u32 {
    (v >> 32) as u32
}

fn pack(hi: u32, lo: u32) -> u64 {
    (u64::from(hi) << 32) | u64::from(lo)
}

impl<'a> SlotTable<'a> {
    /// Looks at slots that were made ready by [`SlotTable::init`].
    #[must_use]
    pub fn new(slots: &'a [Slot], free: &'a FreeHead) -> Self {
        Self { slots, free }
    }

    /// Puts all slots on the free list. To be called once, before anybody else looks.
    pub fn init(slots: &'a [Slot], free: &'a FreeHead) -> Self {
        let mut head = NIL;
        for (i, s) in slots.iter().enumerate().rev() {
            s.next.store(head, Ordering::Relaxed);
            head = i as u32;
        }
        free.0.store(pack(0, head), Ordering::Release);
        Self { slots, free }
    }

    /// How many requests there can be at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn slot(&self, index: u32) -> Option<&'a Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    /// Takes a free slot for a request. `None`: the table is full, the caller waits its turn.
    #[must_use]
    pub fn allocate(&self, subject: Subject, word: ReqWord) -> Option<SlotId> {
        let mut head = self.free.0.load(Ordering::Acquire);
        let (index, slot) = loop {
            let index = low(head);
            let slot = self.slot(index)?;
            let next = slot.next.load(Ordering::Relaxed);
            let new = pack(high(head).wrapping_add(1), next);
            match self
                .free
                .0
                .compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => break (index, slot),
                Err(now) => head = now,
            }
        };
        slot.sector.store(subject.sector, Ordering::Relaxed);
        slot.bytes.store(subject.bytes, Ordering::Relaxed);
        slot.volume
            .store(u32::from(subject.volume), Ordering::Relaxed);
        slot.next.store(NIL, Ordering::Relaxed);
        let generation = high(slot.cell.load(Ordering::Relaxed)).wrapping_add(1) | 1;
        slot.cell
            .store(pack(generation, word.to_bits()), Ordering::Release);
        Some(SlotId { index, generation })
    }

    /// Whether a slot is free at this moment.
    #[must_use]
    pub fn has_free(&self) -> bool {
        low(self.free.0.load(Ordering::Acquire)) != NIL
    }

    /// Gives the slot back. To be called by the one whose event said [`Duties::destroy`].
    pub fn release(&self, id: SlotId) {
        let Some(slot) = self.slot(id.index) else {
            return;
        };
        slot.cell
            .store(pack(id.generation.wrapping_add(1), 0), Ordering::Release);
        let mut head = self.free.0.load(Ordering::Acquire);
        loop {
            slot.next.store(low(head), Ordering::Relaxed);
            let new = pack(high(head).wrapping_add(1), id.index);
            match self
                .free
                .0
                .compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// The word of the request, if it is still there.
    #[must_use]
    pub fn word(&self, id: SlotId) -> Option<ReqWord> {
        let cell = self.slot(id.index)?.cell.load(Ordering::Acquire);
        (high(cell) == id.generation && id.generation & 1 == 1)
            .then(|| ReqWord::from_bits(low(cell)))
    }

    /// What the request is about, if it is still there.
    #[must_use]
    pub fn subject(&self, id: SlotId) -> Option<Subject> {
        self.word(id)?;
        let slot = self.slot(id.index)?;
        let subject = Subject {
            sector: slot.sector.load(Ordering::Relaxed),
            bytes: slot.bytes.load(Ordering::Relaxed),
            volume: u16::try_from(slot.volume.load(Ordering::Relaxed)).ok()?,
        };
        // The slot may have been given to somebody else meanwhile.
        self.word(id)?;
        Some(subject)
    }

    /// Applies an event to the request. The caller performs the [`Duties`]; nobody else gets them.
    ///
    /// # Errors
    ///
    /// [`SlotError`] if there is no such request or the event cannot be.
    pub fn apply(&self, id: SlotId, event: Event, frozen: bool) -> Result<Duties, SlotError> {
        let slot = self.slot(id.index).ok_or(SlotError::NoSuchRequest)?;
        let mut cell = slot.cell.load(Ordering::Acquire);
        loop {
            if high(cell) != id.generation || id.generation & 1 == 0 {
                return Err(SlotError::NoSuchRequest);
            }
            let (word, duties) = ReqWord::from_bits(low(cell))
                .apply(event, frozen)
                .map_err(SlotError::Refused)?;
            let new = pack(id.generation, word.to_bits());
            match slot
                .cell
                .compare_exchange_weak(cell, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Ok(duties),
                Err(now) => cell = now,
            }
        }
    }

    /// An answer of the peer: it must name a request in this volume that starts at `sector`.
    ///
    /// # Errors
    ///
    /// [`SlotError`] as for [`SlotTable::apply`].
    pub fn apply_ack(
        &self,
        id: SlotId,
        volume: u16,
        sector: u64,
        event: Event,
        frozen: bool,
    ) -> Result<(Subject, Duties), SlotError> {
        let subject = self.subject(id).ok_or(SlotError::NoSuchRequest)?;
        if subject.sector != sector || subject.volume != volume {
            return Err(SlotError::NoSuchRequest);
        }
        Ok((subject, self.apply(id, event, frozen)?))
    }

    /// Notes the epoch that the sender put the write in.
    pub fn set_epoch(&self, id: SlotId, epoch: u32) {
        if let Some(slot) = self.slot(id.index) {
            slot.epoch.store(epoch, Ordering::Release);
        }
    }

    /// The epoch of the write.
    #[must_use]
    pub fn epoch(&self, id: SlotId) -> u32 {
        self.slot(id.index)
            .map_or(0, |s| s.epoch.load(Ordering::Acquire))
    }

    /// Links `id` behind `previous` in the list of their epoch; both stay in use meanwhile.
    pub fn link(&self, previous: SlotId, id: SlotId) {
        if let Some(slot) = self.slot(previous.index) {
            slot.next.store(id.index, Ordering::Release);
        }
    }

    /// The slot that was linked behind `id`.
    #[must_use]
    pub fn linked(&self, id: SlotId) -> Option<SlotId> {
        self.at(self.slot(id.index)?.next.load(Ordering::Acquire))
    }

    /// The slot in use at this index.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<SlotId> {
        let generation = high(self.slot(index)?.cell.load(Ordering::Acquire));
        (generation & 1 == 1).then_some(SlotId { index, generation })
    }

    /// All slots in use right now, in table order. Others may come and go meanwhile.
    pub fn in_use(self) -> impl Iterator<Item = SlotId> + 'a {
        (0..self.slots.len()).filter_map(move |i| self.at(u32::try_from(i).ok()?))
    }
}
