// SPDX-License-Identifier: GPL-2.0
//! The set of active extents as requests see it.
//!
//! A slot's cell holds its extent, the number of references, and whether the log on disk says so
//! yet. A reference is taken by one compare-and-swap that checks all of it, so it does not matter
//! how the slot was found: the hash chains are changed by the one user of the [`super::Log`] while
//! others walk along them, and who is led astray asks that one user instead.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::NIL;
use crate::meta::al::{AL_EXTENTS_MAX, FREE_EXTENT};
use crate::meta::AL_EXTENT_SHIFT;

/// References of a cell.
const COUNT: u64 = 0xff_ffff;
/// One reference.
const ONE: u64 = 1;
/// It was used since the search for a victim came by.
const USED: u64 = 1 << 30;
/// The log on disk does not have the extent yet.
const PENDING: u64 = 1 << 31;
/// Slots of a chain that are looked at without a lock.
const WALK_MAX: u32 = 16;

/// A place for one extent.
#[derive(Debug)]
pub struct Slot {
    /// High half: the extent. Low half: [`PENDING`], [`USED`], [`COUNT`].
    cell: AtomicU64,
    /// While [`PENDING`]: the extent that the log on disk has here.
    old: AtomicU32,
    /// The next slot whose extent has the same hash.
    chain: AtomicU16,
    /// The next slot of the same transaction.
    next: AtomicU16,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            cell: AtomicU64::new(Cell::FREE.0),
            old: AtomicU32::new(FREE_EXTENT),
            chain: AtomicU16::new(NIL),
            next: AtomicU16::new(NIL),
        }
    }
}

/// Where the slots of one hash value begin.
#[derive(Debug)]
pub struct Bucket(AtomicU16);

impl Default for Bucket {
    fn default() -> Self {
        Self(AtomicU16::new(NIL))
    }
}

/// How many buckets to lend for so many slots.
#[must_use]
pub fn bucket_count(slots: u16) -> usize {
    usize::from(slots).next_power_of_two()
}

/// The content of a cell.
#[derive(Clone, Copy)]
pub(super) struct Cell(u64);

impl Cell {
    const FREE: Self = Self((FREE_EXTENT as u64) << 32);

    fn pending(extent: u32) -> Self {
        Self((u64::from(extent) << 32) | PENDING | USED | ONE)
    }

    pub(super) fn extent(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn is_pending(self) -> bool {
        self.0 & PENDING != 0
    }

    pub(super) fn references(self) -> u64 {
        self.0 & COUNT
    }
}

/// References to up to two extents, as a word to be kept with a request.
///
/// They remember the set that they are of: given back to another one they do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refs(u64);

impl Refs {
    /// None.
    pub const NONE: Self = Self(0);

    fn first(stamp: u16, slot: u16) -> Self {
        Self((u64::from(stamp) << 48) | u64::from(slot).wrapping_add(1))
    }

    fn and(self, slot: u16) -> Self {
        Self(self.0 | (u64::from(slot).wrapping_add(1) << 16))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// As a number, for an atomic beside the request; 0 stands for none.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// What [`Refs::to_raw`] told.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    const fn stamp(self) -> u16 {
        (self.0 >> 48) as u16
    }

    fn slots(self) -> impl Iterator<Item = u16> {
        [self.0, self.0 >> 16]
            .into_iter()
            .filter_map(|raw| (raw as u16).checked_sub(1))
    }
}

/// First and last extent of a range of at least one sector. `None`: the device is larger than a
/// log can describe (16 PiB), or the range goes over two extents, which no request does.
#[must_use]
pub fn extents_of(sector: u64, bytes: u32) -> Option<(u32, u32)> {
    let end = sector.checked_add(u64::from(bytes.div_ceil(512).saturating_sub(1)))?;
    let first = sector >> AL_EXTENT_SHIFT;
    let last = end >> AL_EXTENT_SHIFT;
    if last >= u64::from(FREE_EXTENT) || last.wrapping_sub(first) > 1 {
        return None;
    }
    Some((first as u32, last as u32))
}

/// The set, in slots and buckets that the caller lends.
///
/// # Invariants
///
/// There are 1 to 65534 slots, and a power of two of buckets.
#[derive(Debug)]
pub struct ActiveSet<S, B> {
    slots: S,
    buckets: B,
    mask: u32,
    stamp: u16,
    /// Somebody waits for a slot without references: no new ones are given.
    starving: AtomicBool,
    /// How often a slot became free of references while somebody waited for one, or the log was
    /// not closed after all.
    relieved: AtomicU32,
}

impl<S: AsRef<[Slot]>, B: AsRef<[Bucket]>> ActiveSet<S, B> {
    /// An empty set. `stamp` tells it from others that requests may still have references to.
    ///
    /// `None` unless there are 1 to 65534 new slots and [`bucket_count`] new buckets for them.
    pub fn new(slots: S, buckets: B, stamp: u16) -> Option<Self> {
        let count = u16::try_from(slots.as_ref().len()).ok()?;
        let wanted = bucket_count(count);
        if count == 0 || count > AL_EXTENTS_MAX || buckets.as_ref().len() != wanted {
            return None;
        }
        Some(Self {
            slots,
            buckets,
            mask: u32::try_from(wanted).ok()?.checked_sub(1)?,
            stamp,
            starving: AtomicBool::new(false),
            relieved: AtomicU32::new(0),
        })
    }

    /// Whether the references are of this set.
    #[must_use]
    pub const fn owns(&self, refs: Refs) -> bool {
        !refs.is_none() && refs.stamp() == self.stamp
    }

    /// How often those who wait for a slot had reason to try again, in which set (by its stamp):
    /// who has no slot looks before it tries, and waits until this changes.
    #[must_use]
    pub fn relieved(&self) -> (u16, u32) {
        (self.stamp, self.relieved.load(Ordering::SeqCst))
    }

    /// Number of slots.
    #[must_use]
    pub fn len(&self) -> u16 {
        self.slots.as_ref().len() as u16
    }

    /// Whether no slot holds an extent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut slots = self.slots.as_ref().iter();
        slots.all(|slot| cell_of(slot).extent() == FREE_EXTENT)
    }

    /// Slots that hold an extent, and those of them that have references.
    #[must_use]
    pub fn usage(&self) -> (u32, u32) {
        let (mut used, mut referenced) = (0_u32, 0_u32);
        for slot in self.slots.as_ref() {
            let cell = cell_of(slot);
            used = used.wrapping_add(u32::from(cell.extent() != FREE_EXTENT));
            referenced = referenced.wrapping_add(u32::from(cell.references() > 0));
        }
        (used, referenced)
    }

    /// Takes references to the extents of a range, if all of them are in the log on disk.
    ///
    /// `None`: the user of the [`super::Log`] has to be asked. Any context, no lock.
    #[inline]
    #[must_use]
    pub fn cover(&self, sector: u64, bytes: u32) -> Option<Refs> {
        if self.starving.load(Ordering::Relaxed) {
            return None;
        }
        let (first, last) = extents_of(sector, bytes)?;
        let slot = self.get(first)?;
        let refs = Refs::first(self.stamp, slot);
        if first == last {
            return Some(refs);
        }
        match self.get(last) {
            Some(slot) => Some(refs.and(slot)),
            None => {
                let _ = self.uncover(refs);
                None
            }
        }
    }

    /// Gives references back: the writes are over, and what the bitmap has to know it knows.
    ///
    /// `true`: somebody waits for a slot, so the user of the log is to be woken. Any context.
    #[inline]
    #[must_use]
    pub fn uncover(&self, refs: Refs) -> bool {
        if refs.stamp() != self.stamp {
            return false;
        }
        let mut idle = false;
        for slot in refs.slots() {
            if let Some(slot) = self.slot(slot) {
                let before = Cell(slot.cell.fetch_sub(ONE, Ordering::SeqCst));
                idle |= before.references() == 1;
            }
        }
        if !idle || !self.starving.load(Ordering::SeqCst) {
            return false;
        }
        self.relieve();
        true
    }

    fn slot(&self, nr: u16) -> Option<&Slot> {
        self.slots.as_ref().get(usize::from(nr))
    }

    fn bucket(&self, extent: u32) -> Option<&AtomicU16> {
        let hash = (extent ^ (extent >> 16)) & self.mask;
        let bucket = self.buckets.as_ref().get(usize::try_from(hash).ok()?)?;
        Some(&bucket.0)
    }

    #[inline]
    fn get(&self, extent: u32) -> Option<u16> {
        let mut at = self.bucket(extent)?.load(Ordering::Acquire);
        for _ in 0..WALK_MAX {
            let slot = self.slot(at)?;
            let mut cell = slot.cell.load(Ordering::Acquire);
            while Cell(cell).extent() == extent {
                if cell & PENDING != 0 || cell & COUNT == COUNT {
                    return None;
                }
                match slot.cell.compare_exchange_weak(
                    cell,
                    (cell | USED).wrapping_add(ONE),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => return Some(at),
                    Err(now) => cell = now,
                }
            }
            at = slot.chain.load(Ordering::Acquire);
        }
        None
    }

    // What follows is for the user of the log alone.

    pub(super) fn refs(&self, first: u16, second: Option<u16>) -> Refs {
        let refs = Refs::first(self.stamp, first);
        second.map_or(refs, |second| refs.and(second))
    }

    pub(super) fn relieve(&self) {
        self.relieved.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn set_starving(&self, on: bool) {
        self.starving.store(on, Ordering::SeqCst);
    }

    pub(super) fn cell(&self, nr: u16) -> Cell {
        self.slot(nr).map_or(Cell::FREE, cell_of)
    }

    /// The slot of an extent, pending or not.
    pub(super) fn find(&self, extent: u32) -> Option<u16> {
        let mut at = self.bucket(extent)?.load(Ordering::Relaxed);
        while let Some(slot) = self.slot(at) {
            if cell_of(slot).extent() == extent {
                return Some(at);
            }
            at = slot.chain.load(Ordering::Relaxed);
        }
        None
    }

    /// One more reference to a slot that cannot change its extent meanwhile: only the caller could
    /// do that. `false`: it has too many already.
    pub(super) fn hold(&self, nr: u16) -> bool {
        let Some(slot) = self.slot(nr) else {
            return false;
        };
        let more = |cell: u64| (cell & COUNT != COUNT).then_some((cell | USED).wrapping_add(ONE));
        slot.cell
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    /// The mark [`USED`] goes; tells whether it was there.
    pub(super) fn forget_use(&self, nr: u16) -> bool {
        self.slot(nr)
            .is_some_and(|slot| slot.cell.fetch_and(!USED, Ordering::AcqRel) & USED != 0)
    }

    /// Gives a slot without references to another extent, with one reference, pending. `false`:
    /// somebody has taken a reference, or the slot is pending.
    pub(super) fn claim(&self, nr: u16, extent: u32) -> bool {
        let Some(slot) = self.slot(nr) else {
            return false;
        };
        let cell = slot.cell.load(Ordering::Acquire);
        if cell & (PENDING | COUNT) != 0 {
            return false;
        }
        let new = Cell::pending(extent).0;
        if slot
            .cell
            .compare_exchange(cell, new, Ordering::SeqCst, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        let old = Cell(cell).extent();
        slot.old.store(old, Ordering::Relaxed);
        if old != FREE_EXTENT {
            self.unchain(nr, old);
        }
        if let Some(bucket) = self.bucket(extent) {
            slot.chain
                .store(bucket.load(Ordering::Relaxed), Ordering::Relaxed);
            bucket.store(nr, Ordering::Release);
        }
        true
    }

    fn unchain(&self, nr: u16, extent: u32) {
        let Some(mut link) = self.bucket(extent) else {
            return;
        };
        loop {
            let at = link.load(Ordering::Relaxed);
            let Some(slot) = self.slot(at) else { return };
            if at == nr {
                link.store(slot.chain.load(Ordering::Relaxed), Ordering::Release);
                return;
            }
            link = &slot.chain;
        }
    }

    /// The log on disk has the slot's extent now.
    pub(super) fn commit(&self, nr: u16) {
        if let Some(slot) = self.slot(nr) {
            let _ = slot.cell.fetch_and(!PENDING, Ordering::Release);
        }
    }

    /// If nobody has references, nobody gets any from here on: each slot counts as pending. To be
    /// said while none is.
    pub(super) fn seal(&self) -> bool {
        let slots = self.slots.as_ref();
        let sealed = slots.iter().all(|slot| {
            let unused = |cell: u64| (cell & COUNT == 0).then_some(cell | PENDING);
            let seal = slot
                .cell
                .fetch_update(Ordering::SeqCst, Ordering::Relaxed, unused);
            seal.is_ok()
        });
        if !sealed {
            self.unseal();
        }
        sealed
    }

    /// What [`ActiveSet::seal`] did is undone.
    pub(super) fn unseal(&self) {
        for slot in self.slots.as_ref() {
            let _ = slot.cell.fetch_and(!PENDING, Ordering::Release);
        }
    }

    /// What the log on disk says of a slot.
    pub(super) fn label_on_disk(&self, nr: u16) -> Option<u32> {
        let slot = self.slot(nr)?;
        let cell = cell_of(slot);
        let label = if cell.is_pending() {
            slot.old.load(Ordering::Relaxed)
        } else {
            cell.extent()
        };
        (label != FREE_EXTENT).then_some(label)
    }

    pub(super) fn next(&self, nr: u16) -> u16 {
        self.slot(nr)
            .map_or(NIL, |slot| slot.next.load(Ordering::Relaxed))
    }

    pub(super) fn set_next(&self, nr: u16, next: u16) {
        if let Some(slot) = self.slot(nr) {
            slot.next.store(next, Ordering::Relaxed);
        }
    }
}

fn cell_of(slot: &Slot) -> Cell {
    Cell(slot.cell.load(Ordering::Acquire))
}
