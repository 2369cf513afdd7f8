// SPDX-License-Identifier: GPL-2.0

//! The bitmap of a volume in memory: pages of atomic words, the weight, and which pages the disk
//! lacks. What bits mean is the core's business (docs/metadata.md, "Bitmap").
//!
//! Bits change from any context, without a lock.

use core::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use drbd_core::bitmap::{
    bits_for, covered, pages_for, touched, BitRange, Bitmap, ExtentChange, Page, Pages,
};
use drbd_core::vli::{BitSink, BitSource};
use kernel::prelude::*;

use crate::objects;
use crate::sys::page::WordPage;
use crate::vector;

/// The pages as the core sees them.
struct Lent<'a>(&'a [WordPage]);

impl Pages for Lent<'_> {
    type Word = AtomicU64;

    fn page(&self, index: usize) -> Option<&Page<AtomicU64>> {
        self.0.get(index).map(WordPage::words)
    }
}

/// How a page differs from what is on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changed(u8);

impl Changed {
    /// Bits were set.
    pub(crate) const SET: Self = Self(1);
    /// Bits were cleared; the data that makes them so may be in the cache of its disk.
    pub(crate) const CLEARED: Self = Self(2);
    /// Bits were cleared, and the data is stable.
    const CLEARED_STABLE: Self = Self(4);
    /// Bits were cleared; whether the data is stable is not known to all.
    pub(crate) const CLEARED_AT_ALL: Self = Self(6);
    /// Any of these.
    pub(crate) const ANY: Self = Self(7);

    /// Whether both have something in common.
    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A bitmap of a fixed number of bits.
pub(crate) struct Bits {
    pages: KVVec<WordPage>,
    /// How the pages changed since they were written: [`Changed`].
    changed: KVVec<AtomicU8>,
    sectors: u64,
    weight: AtomicU64,
    _counted: objects::Bitmaps,
}

impl Bits {
    /// A bitmap for a device of `sectors`, all clear. May sleep.
    pub(crate) fn new(sectors: u64) -> Result<Self> {
        let count = usize::try_from(pages_for(bits_for(sectors)))?;
        let mut pages = KVVec::with_capacity(count, GFP_KERNEL)?;
        let mut changed = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            vector::push(&mut pages, WordPage::new()?, GFP_KERNEL)?;
            vector::push(&mut changed, AtomicU8::new(0), GFP_KERNEL)?;
        }
        Ok(Self {
            pages,
            changed,
            sectors,
            weight: AtomicU64::new(0),
            _counted: objects::Bitmaps::new(),
        })
    }

    fn map(&self) -> Bitmap<Lent<'_>> {
        Bitmap::new(Lent(&self.pages), bits_for(self.sectors))
    }

    /// What is sent of it to the peer.
    pub(crate) fn source(&self) -> impl BitSource + '_ {
        self.map()
    }

    /// Size of the device in sectors.
    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Number of bits.
    pub(crate) fn len(&self) -> u64 {
        bits_for(self.sectors)
    }

    /// Number of pages.
    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Bits that are set.
    pub(crate) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    fn mark(&self, change: ExtentChange, how: Changed) {
        let page = usize::try_from(change.page()).unwrap_or(usize::MAX);
        self.mark_changed(page, how);
    }

    fn set_range(&self, range: Option<BitRange>) -> u64 {
        let Some(range) = range else { return 0 };
        let new = self.map().set(range, |c| self.mark(c, Changed::SET));
        self.weight.fetch_add(new, Ordering::Relaxed);
        new
    }

    /// Marks every block that the range touches out of sync; gives the number of new bits.
    pub(crate) fn set_out_of_sync(&self, sector: u64, bytes: u32) -> u64 {
        self.set_range(touched(sector, u64::from(bytes / 512), self.sectors))
    }

    /// Marks every block that the range covers in sync; gives the number of bits cleared.
    pub(crate) fn set_in_sync(&self, sector: u64, bytes: u32) -> u64 {
        let Some(range) = covered(sector, u64::from(bytes / 512), self.sectors) else {
            return 0;
        };
        let gone = self.map().clear(range, |c| self.mark(c, Changed::CLEARED));
        self.weight.fetch_sub(gone, Ordering::Relaxed);
        gone
    }

    /// Bits that are set among those that the range touches.
    pub(crate) fn count(&self, sector: u64, bytes: u32) -> u64 {
        touched(sector, u64::from(bytes / 512), self.sectors)
            .map_or(0, |range| self.map().count(range))
    }

    /// Nothing of it is on the disk.
    pub(crate) fn mark_all_dirty(&self) {
        for marks in &self.changed {
            marks.fetch_or(Changed::SET.0, Ordering::AcqRel);
        }
    }

    /// Bits that were cleared until now count as cleared with stable data; the caller flushes the
    /// data before it relies on that. There is one such caller at a time. `false`: there are none.
    pub(crate) fn cleared_become_stable(&self) -> bool {
        let mut some = false;
        for marks in &self.changed {
            if marks.load(Ordering::Acquire) & Changed::CLEARED.0 == 0 {
                continue;
            }
            let turned = |old: u8| Some((old & !Changed::CLEARED.0) | Changed::CLEARED_STABLE.0);
            let _ = marks.fetch_update(Ordering::AcqRel, Ordering::Acquire, turned);
            some = true;
        }
        some
    }

    /// Sets all bits.
    pub(crate) fn set_all(&self) {
        self.set_range(self.map().all());
    }

    /// Clears all bits.
    pub(crate) fn clear_all(&self) {
        if let Some(range) = self.map().all() {
            let gone = self.map().clear(range, |c| self.mark(c, Changed::CLEARED));
            self.weight.fetch_sub(gone, Ordering::Relaxed);
        }
    }

    /// The next set bit from `from` on.
    pub(crate) fn next_set(&self, from: u64) -> Option<u64> {
        self.map().find_next_set(from)
    }

    /// Fills page `index` from what the disk says. Only before others see the bitmap.
    pub(crate) fn load(&self, index: usize, block: &[u8]) -> Result {
        let weight = self
            .map()
            .load_page(index as u64, block)
            .map_err(|_| EINVAL)?;
        self.weight.fetch_add(weight, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the marks of page `index`, if it changed in the `wanted` way: what changes from now on
    /// marks it again.
    pub(crate) fn take_changed(&self, index: usize, wanted: Changed) -> Option<Changed> {
        let marks = self.changed.get(index)?;
        if !Changed(marks.load(Ordering::Acquire)).has(wanted) {
            return None;
        }
        Some(Changed(marks.swap(0, Ordering::AcqRel)))
    }

    /// Marks page `index`: it changed, or writing it failed.
    pub(crate) fn mark_changed(&self, index: usize, how: Changed) {
        if let Some(marks) = self.changed.get(index) {
            marks.fetch_or(how.0, Ordering::AcqRel);
        }
    }

    /// Copies page `index` for the disk.
    pub(crate) fn store(&self, index: usize, block: &mut [u8]) -> Result {
        self.map()
            .store_page(index as u64, block)
            .map_err(|_| EINVAL)
    }

    /// Sets what is set in `old`; bits that `old` does not have are set if `set_new`. Others may
    /// change both meanwhile.
    pub(crate) fn take_over(&self, old: &Self, set_new: bool) {
        let mut from = 0;
        while let Some(run) = old.map().next_run(from) {
            let end = run.start.saturating_add(run.length);
            if run.set {
                let last = end.min(self.len()).saturating_sub(1);
                self.set_range(BitRange::new(run.start, last));
            }
            from = end;
        }
        if set_new && self.len() > old.len() {
            self.set_range(BitRange::new(old.len(), self.len().saturating_sub(1)));
        }
    }
}

/// Merges what the peer sends into a bitmap.
pub(crate) struct Merge<'a>(pub(crate) &'a Bits);

impl BitSink for Merge<'_> {
    fn set_bits(&mut self, first: u64, count: u64) {
        let last = first.saturating_add(count).saturating_sub(1);
        self.0.set_range(BitRange::new(first, last));
    }

    fn or_word(&mut self, index: u64, bits: u64) {
        let bits_of = self.0;
        let new = bits_of.map().merge(index, &bits.to_le_bytes(), |c| {
            bits_of.mark(c, Changed::SET)
        });
        bits_of
            .weight
            .fetch_add(new.unwrap_or(0), Ordering::Relaxed);
    }
}
