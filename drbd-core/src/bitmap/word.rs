// SPDX-License-Identifier: GPL-2.0
//! What the owner of a bitmap lends: pages of words that can be changed concurrently.

use core::sync::atomic::{AtomicU64, Ordering};

/// Words of one page of 4096 bytes.
pub const PAGE_WORDS: usize = 512;

/// One page of bitmap.
pub type Page<W> = [W; PAGE_WORDS];

/// A 64-bit word that any number of callers may change at once.
///
/// Values are numbers whose bit `n` is bit `n` of the bitmap word; in memory the word lies as on
/// disk, little endian. Changes of one word are ordered, and a caller that sees a bit also sees
/// what its setter wrote before.
pub trait Word {
    /// The present value.
    fn load(&self) -> u64;
    /// Replaces the value; for pages that nobody else uses yet.
    fn store(&self, value: u64);
    /// Sets the bits of `mask`; returns the value before.
    fn fetch_or(&self, mask: u64) -> u64;
    /// Keeps only the bits of `mask`; returns the value before.
    fn fetch_and(&self, mask: u64) -> u64;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        u64::from_le(self.load(Ordering::Acquire))
    }

    #[inline]
    fn store(&self, value: u64) {
        self.store(value.to_le(), Ordering::Release);
    }

    #[inline]
    fn fetch_or(&self, mask: u64) -> u64 {
        u64::from_le(self.fetch_or(mask.to_le(), Ordering::AcqRel))
    }

    #[inline]
    fn fetch_and(&self, mask: u64) -> u64 {
        u64::from_le(self.fetch_and(mask.to_le(), Ordering::AcqRel))
    }
}

/// The pages of a bitmap.
pub trait Pages {
    /// What the pages consist of.
    type Word: Word;

    /// The page with this number, if the owner has it.
    fn page(&self, index: usize) -> Option<&Page<Self::Word>>;
}

impl<W: Word> Pages for [Page<W>] {
    type Word = W;

    fn page(&self, index: usize) -> Option<&Page<W>> {
        self.get(index)
    }
}

impl<P: Pages + ?Sized> Pages for &P {
    type Word = P::Word;

    fn page(&self, index: usize) -> Option<&Page<Self::Word>> {
        P::page(self, index)
    }
}

/// Page and place in the page of a word.
pub(super) fn locate(word: u64) -> (usize, usize) {
    let page = usize::try_from(word / PAGE_WORDS as u64).unwrap_or(usize::MAX);
    let offset = usize::try_from(word % PAGE_WORDS as u64).unwrap_or(0);
    (page, offset)
}

/// The first word of the page after the one that holds `word`.
pub(super) fn first_of_next_page(word: u64) -> u64 {
    (word / PAGE_WORDS as u64)
        .saturating_add(1)
        .saturating_mul(PAGE_WORDS as u64)
}
