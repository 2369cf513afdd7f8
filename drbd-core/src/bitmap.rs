// SPDX-License-Identifier: GPL-2.0
//! The in-memory bitmap of out-of-sync blocks, over pages that the caller lends.
//!
//! Bit `n` stands for the 4 KiB of data at sectors `8n..8n+7`; a set bit means that the nodes may
//! differ there. The bits lie in 64-bit words, 512 to a page, in the order in which they go to
//! disk, so a page can be written as it is. The owner keeps the pages and the total weight; this
//! module changes bits and says exactly how many it changed, also when several callers work on
//! the same word at once: words are only changed by atomic or/and, and each change is counted by
//! the one caller whose operation made it.
//!
//! # Invariants
//!
//! Bits at and beyond [`Bitmap::bits`] are zero in every page. The owner lends zeroed pages, and
//! all operations here keep it so. A page that is not lent counts as zero and can't be changed.

mod find;
mod range;
mod source;
mod transfer;
mod word;

pub use self::find::Run;
pub use self::range::{covered, touched, BitRange};
pub use self::transfer::TransferError;
pub use self::word::{Page, Pages, Word, PAGE_WORDS};

use crate::meta::SECTORS_PER_BIT;

/// Bits of one word.
pub const WORD_BITS: u64 = 64;
/// Bits of one page: 128 MiB of data.
pub const PAGE_BITS: u64 = 32_768;
/// Bits of one resync extent: 16 MiB of data, an eighth of a page.
pub const EXTENT_BITS: u64 = 4096;

/// Words of one resync extent.
const EXTENT_WORDS: u64 = EXTENT_BITS / WORD_BITS;

/// Bits that a device of `capacity` sectors needs.
#[must_use]
pub const fn bits_for(capacity: u64) -> u64 {
    capacity.div_ceil(SECTORS_PER_BIT)
}

/// Words of a bitmap of `bits` bits; this is what goes over the wire.
#[must_use]
pub const fn words_for(bits: u64) -> u64 {
    bits.div_ceil(WORD_BITS)
}

/// Pages of a bitmap of `bits` bits; the pages to lend, to read and to write.
#[must_use]
pub const fn pages_for(bits: u64) -> u64 {
    bits.div_ceil(PAGE_BITS)
}

/// Some bits of one resync extent have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentChange {
    /// Number of the 16 MiB extent.
    pub extent: u64,
    /// Bits that changed, 1..=4096.
    pub bits: u32,
}

impl ExtentChange {
    /// The page that the extent lies in.
    #[must_use]
    pub const fn page(self) -> u64 {
        self.extent / (PAGE_BITS / EXTENT_BITS)
    }
}

/// A bitmap of a fixed number of bits over lent pages.
#[derive(Clone, Copy, Debug)]
pub struct Bitmap<P> {
    pages: P,
    bits: u64,
}

impl<P: Pages> Bitmap<P> {
    /// A view of `bits` bits over `pages`; the owner lends [`pages_for`]`(bits)` of them.
    #[must_use]
    pub const fn new(pages: P, bits: u64) -> Self {
        Self { pages, bits }
    }

    /// Number of bits.
    #[must_use]
    pub const fn bits(&self) -> u64 {
        self.bits
    }

    /// The lent pages.
    #[must_use]
    pub const fn pages(&self) -> &P {
        &self.pages
    }

    /// The whole bitmap as a range; `None` if it has no bits.
    #[must_use]
    pub fn all(&self) -> Option<BitRange> {
        BitRange::new(0, self.bits.checked_sub(1)?)
    }

    /// True if `bit` exists and is set.
    #[must_use]
    pub fn test(&self, bit: u64) -> bool {
        BitRange::new(bit, bit).is_some_and(|range| self.count(range) == 1)
    }

    /// Sets all bits of `range` that exist; returns how many were clear before.
    ///
    /// `changed` hears of each resync extent that got new bits, in ascending order.
    pub fn set(&self, range: BitRange, changed: impl FnMut(ExtentChange)) -> u64 {
        self.change(range, changed, |word, mask| {
            // Don't pull the cache line for writing when there is nothing to do.
            if word.load() & mask == mask {
                return 0;
            }
            (mask & !word.fetch_or(mask)).count_ones()
        })
    }

    /// Clears all bits of `range` that exist; returns how many were set before.
    ///
    /// `changed` hears of each resync extent that lost bits, in ascending order.
    pub fn clear(&self, range: BitRange, changed: impl FnMut(ExtentChange)) -> u64 {
        self.change(range, changed, |word, mask| {
            if word.load() & mask == 0 {
                return 0;
            }
            (mask & word.fetch_and(!mask)).count_ones()
        })
    }

    /// Number of set bits in `range`.
    #[must_use]
    pub fn count(&self, range: BitRange) -> u64 {
        let mut sum = 0_u64;
        self.each_word(range, |_, word, mask| {
            sum = sum.saturating_add(u64::from((word.load() & mask).count_ones()));
        });
        sum
    }

    /// Number of set bits of the whole bitmap.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.all().map_or(0, |all| self.count(all))
    }

    /// Number of set bits in one resync extent, 0..=4096.
    #[must_use]
    pub fn extent_weight(&self, extent: u64) -> u32 {
        let range = BitRange::of_extent(extent);
        let weight = range.map_or(0, |range| self.count(range));
        u32::try_from(weight).unwrap_or(u32::MAX)
    }

    /// Clears what lies beyond the last bit in the last page, after the bitmap became smaller.
    ///
    /// The owner drops whole pages by itself. Returns how many bits were set there.
    pub fn trim(&self) -> u64 {
        let end = pages_for(self.bits).saturating_mul(PAGE_BITS);
        let whole = Bitmap {
            pages: Borrowed(&self.pages),
            bits: end,
        };
        let tail = end
            .checked_sub(1)
            .and_then(|last| BitRange::new(self.bits, last));
        tail.map_or(0, |tail| whole.clear(tail, |_| ()))
    }

    /// Runs `change` over the words of `range` and sums up what it returns, per extent and total.
    fn change(
        &self,
        range: BitRange,
        mut changed: impl FnMut(ExtentChange),
        change: impl Fn(&P::Word, u64) -> u32,
    ) -> u64 {
        let mut total = 0_u64;
        let mut current = ExtentChange { extent: 0, bits: 0 };
        self.each_word(range, |index, word, mask| {
            let extent = index / EXTENT_WORDS;
            if extent != current.extent {
                if current.bits > 0 {
                    changed(current);
                }
                current = ExtentChange { extent, bits: 0 };
            }
            let bits = change(word, mask);
            current.bits = current.bits.saturating_add(bits);
            total = total.saturating_add(u64::from(bits));
        });
        if current.bits > 0 {
            changed(current);
        }
        total
    }

    /// Calls `visit` with each word that `range` touches, its index and the mask of the range.
    fn each_word(&self, range: BitRange, mut visit: impl FnMut(u64, &P::Word, u64)) {
        let Some(end) = self.bits.checked_sub(1) else {
            return;
        };
        let Some(range) = BitRange::new(range.first(), range.last().min(end)) else {
            return;
        };
        let (first_word, last_word) = (range.first() / WORD_BITS, range.last() / WORD_BITS);
        let mut index = first_word;
        while index <= last_word {
            let (page, offset) = word::locate(index);
            let words = self.pages.page(page).map_or(&[][..], |words| &words[..]);
            for word in words.get(offset..).unwrap_or_default() {
                if index > last_word {
                    return;
                }
                let mut mask = u64::MAX;
                if index == first_word {
                    mask &= u64::MAX << (range.first() % WORD_BITS);
                }
                if index == last_word {
                    mask &= u64::MAX >> (WORD_BITS - 1 - range.last() % WORD_BITS);
                }
                visit(index, word, mask);
                index = index.saturating_add(1);
            }
            if words.is_empty() {
                index = word::first_of_next_page(index);
            }
        }
    }
}

/// Lends the pages of another bitmap.
struct Borrowed<'a, P>(&'a P);

impl<P: Pages> Pages for Borrowed<'_, P> {
    type Word = P::Word;

    fn page(&self, index: usize) -> Option<&Page<Self::Word>> {
        self.0.page(index)
    }
}

#[cfg(test)]
mod tests;
