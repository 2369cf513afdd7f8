// SPDX-License-Identifier: GPL-2.0
//! Looking for bits and for runs of equal bits.

use super::word::{first_of_next_page, locate};
use super::{Bitmap, Pages, Word, WORD_BITS};

/// A run of equal bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The bits of the run are set.
    pub set: bool,
    /// The first bit.
    pub start: u64,
    /// Number of bits, at least 1.
    pub length: u64,
}

impl<P: Pages> Bitmap<P> {
    /// The first set bit at or after `from`.
    #[must_use]
    pub fn find_next_set(&self, from: u64) -> Option<u64> {
        self.find(from, 0)
    }

    /// The first clear bit at or after `from`.
    #[must_use]
    pub fn find_next_clear(&self, from: u64) -> Option<u64> {
        self.find(from, u64::MAX)
    }

    /// The run of equal bits that starts at `from`, as far as it goes; `None` beyond the end.
    #[must_use]
    pub fn next_run(&self, from: u64) -> Option<Run> {
        if from >= self.bits() {
            return None;
        }
        let set = self.test(from);
        let end = if set {
            self.find_next_clear(from)
        } else {
            self.find_next_set(from)
        };
        let length = end.unwrap_or(self.bits()).saturating_sub(from);
        Some(Run {
            set,
            start: from,
            length,
        })
    }

    /// The runs from `from` to the end; set and clear ones alternate.
    pub fn runs(&self, from: u64) -> impl Iterator<Item = Run> + '_ {
        let mut next = from;
        core::iter::from_fn(move || {
            let run = self.next_run(next)?;
            next = run.start.saturating_add(run.length);
            Some(run)
        })
    }

    /// The first bit at or after `from` that is set after an exclusive or with `flip`.
    fn find(&self, from: u64, flip: u64) -> Option<u64> {
        let mut index = from / WORD_BITS;
        let mut mask = u64::MAX << (from % WORD_BITS);
        while index.checked_mul(WORD_BITS)? < self.bits() {
            let (page, offset) = locate(index);
            let Some(words) = self.pages().page(page) else {
                // A page that is not there counts as zero.
                if flip != 0 {
                    return Some(index.saturating_mul(WORD_BITS).max(from));
                }
                index = first_of_next_page(index);
                mask = u64::MAX;
                continue;
            };
            for word in words.get(offset..).unwrap_or_default() {
                let value = (word.load() ^ flip) & mask;
                if value != 0 {
                    let bit = index
                        .checked_mul(WORD_BITS)?
                        .checked_add(u64::from(value.trailing_zeros()))?;
                    return Some(bit).filter(|bit| *bit < self.bits());
                }
                index = index.saturating_add(1);
                mask = u64::MAX;
            }
        }
        None
    }
}
