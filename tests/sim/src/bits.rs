// SPDX-License-Identifier: GPL-2.0
//! The bitmap of a volume in memory, over drbd-core's operations; kernel/bitmap.rs in small.

use drbd_core::bitmap::{
    bits_for, covered, pages_for, touched, BitRange, Bitmap, ExtentChange, Page, Pages, PAGE_WORDS,
};
use drbd_core::vli::{BitSink, BitSource};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Lent<'a>(&'a [Page<AtomicU64>]);

impl Pages for Lent<'_> {
    type Word = AtomicU64;

    fn page(&self, index: usize) -> Option<&Page<AtomicU64>> {
        self.0.get(index)
    }
}

/// A bitmap of a fixed number of bits.
#[derive(Debug)]
pub(crate) struct Bits {
    pages: Vec<Page<AtomicU64>>,
    dirty: Vec<AtomicBool>,
    sectors: u64,
    weight: AtomicU64,
    cleared: AtomicBool,
}

impl Bits {
    /// All clear.
    pub(crate) fn new(sectors: u64) -> Self {
        let count = pages_for(bits_for(sectors)) as usize;
        let page = || [const { AtomicU64::new(0) }; PAGE_WORDS];
        Self {
            pages: (0..count).map(|_| page()).collect(),
            dirty: (0..count).map(|_| AtomicBool::new(false)).collect(),
            sectors,
            weight: AtomicU64::new(0),
            cleared: AtomicBool::new(false),
        }
    }

    fn map(&self) -> Bitmap<Lent<'_>> {
        Bitmap::new(Lent(&self.pages), bits_for(self.sectors))
    }

    /// What is sent of it to the peer.
    pub(crate) fn source(&self) -> impl BitSource + '_ {
        self.map()
    }

    pub(crate) fn sectors(&self) -> u64 {
        self.sectors
    }

    pub(crate) fn len(&self) -> u64 {
        bits_for(self.sectors)
    }

    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(crate) fn test(&self, bit: u64) -> bool {
        self.map().test(bit)
    }

    fn mark(&self, change: ExtentChange) {
        if let Some(flag) = self.dirty.get(change.page() as usize) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn set_range(&self, range: Option<BitRange>) -> u64 {
        let Some(range) = range else { return 0 };
        let new = self.map().set(range, |c| self.mark(c));
        self.weight.fetch_add(new, Ordering::Relaxed);
        new
    }

    /// Every block that is touched is out of sync; gives the number of new bits.
    pub(crate) fn set_out_of_sync(&self, sector: u64, bytes: u32) -> u64 {
        self.set_range(touched(sector, u64::from(bytes / 512), self.sectors))
    }

    /// The blocks that a range covers.
    pub(crate) fn covered(&self, sector: u64, bytes: u32) -> Option<BitRange> {
        covered(sector, u64::from(bytes / 512), self.sectors)
    }

    /// Every block that is covered is in sync; gives the number of bits cleared.
    pub(crate) fn set_in_sync(&self, sector: u64, bytes: u32) -> u64 {
        let Some(range) = self.covered(sector, bytes) else {
            return 0;
        };
        self.cleared.store(true, Ordering::Relaxed);
        let gone = self.map().clear(range, |c| self.mark(c));
        self.weight.fetch_sub(gone, Ordering::Relaxed);
        gone
    }

    /// Bits were cleared since the last call.
    pub(crate) fn take_cleared(&self) -> bool {
        self.cleared.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn mark_cleared(&self) {
        self.cleared.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, sector: u64, bytes: u32) -> u64 {
        touched(sector, u64::from(bytes / 512), self.sectors)
            .map_or(0, |range| self.map().count(range))
    }

    pub(crate) fn mark_all_dirty(&self) {
        for flag in &self.dirty {
            flag.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn set_all(&self) {
        self.set_range(self.map().all());
    }

    pub(crate) fn clear_all(&self) {
        if let Some(range) = self.map().all() {
            let gone = self.map().clear(range, |c| self.mark(c));
            self.weight.fetch_sub(gone, Ordering::Relaxed);
        }
    }

    pub(crate) fn next_set(&self, from: u64) -> Option<u64> {
        self.map().find_next_set(from)
    }

    pub(crate) fn load(&self, index: usize, block: &[u8]) {
        if let Ok(weight) = self.map().load_page(index as u64, block) {
            self.weight.fetch_add(weight, Ordering::Relaxed);
        }
    }

    pub(crate) fn take_dirty(&self, index: usize) -> bool {
        self.dirty
            .get(index)
            .is_some_and(|flag| flag.swap(false, Ordering::Relaxed))
    }

    pub(crate) fn mark_dirty(&self, index: usize) {
        if let Some(flag) = self.dirty.get(index) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn store(&self, index: usize) -> [u8; 4096] {
        let mut block = [0; 4096];
        let _ = self.map().store_page(index as u64, &mut block);
        block
    }

    /// A bitmap of another size that keeps these bits.
    pub(crate) fn resized(&self, sectors: u64, set_new: bool) -> Self {
        let new = Self::new(sectors);
        for run in self.map().runs(0).filter(|run| run.set) {
            let last = (run.start + run.length).min(new.len()).saturating_sub(1);
            new.set_range(BitRange::new(run.start, last));
        }
        if set_new && new.len() > self.len() {
            new.set_range(BitRange::new(self.len(), new.len() - 1));
        }
        new
    }
}

/// Merges what the peer sends into a bitmap.
pub(crate) struct Merge<'a>(pub(crate) &'a Bits);

impl BitSink for Merge<'_> {
    fn set_bits(&mut self, first: u64, count: u64) {
        self.0
            .set_range(BitRange::new(first, (first + count).saturating_sub(1)));
    }

    fn or_word(&mut self, index: u64, bits: u64) {
        let own = self.0;
        let new = own.map().merge(index, &bits.to_le_bytes(), |c| own.mark(c));
        own.weight.fetch_add(new.unwrap_or(0), Ordering::Relaxed);
    }
}
