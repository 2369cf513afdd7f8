// SPDX-License-Identifier: GPL-2.0
//! Bits as bytes: blocks of the disk, and chunks of the plain bitmap on the wire.
//!
//! Both carry 64-bit little-endian words, bit `n` of the bitmap being bit `n mod 8` of byte
//! `n / 8`. What a disk or a peer puts beyond the last bit is not taken over.

use super::word::{first_of_next_page, locate};
use super::{words_for, Bitmap, ExtentChange, Pages, Word, EXTENT_WORDS, WORD_BITS};

/// Why bytes can't be moved in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// The number of bytes is no multiple of a word.
    PartialWord,
    /// The words lie beyond the end of the bitmap.
    OutOfRange,
    /// The slice is not one page of 4096 bytes.
    NotAPage,
    /// The owner has no such page.
    NoPage,
}

impl<P: Pages> Bitmap<P> {
    /// Adds the bits of a received chunk, which starts at word `first`; returns the new bits.
    ///
    /// `changed` hears of each resync extent that got new bits.
    ///
    /// # Errors
    ///
    /// The chunk must consist of whole words that exist; nothing is changed otherwise.
    pub fn merge(
        &self,
        first: u64,
        chunk: &[u8],
        mut changed: impl FnMut(ExtentChange),
    ) -> Result<u64, TransferError> {
        self.check_words(first, chunk.len())?;
        let mut total = 0_u64;
        let mut current = ExtentChange { extent: 0, bits: 0 };
        // A range with an end: one without panics on overflow.
        for (index, bytes) in (first..u64::MAX).zip(chunk.chunks_exact(8)) {
            let value = word_from(bytes) & self.valid_bits(index);
            if value == 0 {
                continue;
            }
            let (page, offset) = locate(index);
            let Some(word) = self.pages().page(page).and_then(|words| words.get(offset)) else {
                return Err(TransferError::NoPage);
            };
            let extent = index / EXTENT_WORDS;
            if extent != current.extent {
                if current.bits > 0 {
                    changed(current);
                }
                current = ExtentChange { extent, bits: 0 };
            }
            let bits = (value & !word.fetch_or(value)).count_ones();
            current.bits = current.bits.saturating_add(bits);
            total = total.saturating_add(u64::from(bits));
        }
        if current.bits > 0 {
            changed(current);
        }
        Ok(total)
    }

    /// Copies the words from `first` on into `chunk`, as they are sent.
    ///
    /// # Errors
    ///
    /// As [`merge`](Self::merge).
    pub fn copy_words(&self, first: u64, chunk: &mut [u8]) -> Result<(), TransferError> {
        self.check_words(first, chunk.len())?;
        let mut index = first;
        let mut rest = chunk.chunks_exact_mut(8);
        while rest.len() > 0 {
            let (page, offset) = locate(index);
            let words = self.pages().page(page).ok_or(TransferError::NoPage)?;
            let words = words.get(offset..).unwrap_or_default();
            // Words first: a pair that finds no word left must not use up a place.
            for (word, bytes) in words.iter().zip(rest.by_ref()) {
                bytes.copy_from_slice(&word.load().to_le_bytes());
            }
            index = first_of_next_page(index);
        }
        Ok(())
    }

    /// Fills a page from the block that was read from disk; returns the set bits.
    ///
    /// Only for pages that nobody else uses yet. Bits beyond the end become zero.
    ///
    /// # Errors
    ///
    /// `block` must be 4096 bytes, and the page must be lent.
    pub fn load_page(&self, page: u64, block: &[u8]) -> Result<u64, TransferError> {
        if block.len() != 4096 {
            return Err(TransferError::NotAPage);
        }
        let index = usize::try_from(page).map_err(|_| TransferError::NoPage)?;
        let words = self.pages().page(index).ok_or(TransferError::NoPage)?;
        let first = page.saturating_mul(super::PAGE_BITS / WORD_BITS);
        let mut weight = 0_u64;
        for ((index, word), bytes) in (first..u64::MAX).zip(words).zip(block.chunks_exact(8)) {
            let value = word_from(bytes) & self.valid_bits(index);
            word.store(value);
            weight = weight.saturating_add(u64::from(value.count_ones()));
        }
        Ok(weight)
    }

    /// Copies a page into the block that goes to disk.
    ///
    /// # Errors
    ///
    /// As [`load_page`](Self::load_page).
    pub fn store_page(&self, page: u64, block: &mut [u8]) -> Result<(), TransferError> {
        if block.len() != 4096 {
            return Err(TransferError::NotAPage);
        }
        let index = usize::try_from(page).map_err(|_| TransferError::NoPage)?;
        let words = self.pages().page(index).ok_or(TransferError::NoPage)?;
        for (word, bytes) in words.iter().zip(block.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load().to_le_bytes());
        }
        Ok(())
    }

    fn check_words(&self, first: u64, bytes: usize) -> Result<(), TransferError> {
        if bytes % 8 != 0 {
            return Err(TransferError::PartialWord);
        }
        let count = u64::try_from(bytes / 8).map_err(|_| TransferError::OutOfRange)?;
        match first.checked_add(count) {
            Some(end) if end <= words_for(self.bits()) => Ok(()),
            Some(_) | None => Err(TransferError::OutOfRange),
        }
    }

    /// The bits of a word that exist.
    fn valid_bits(&self, word: u64) -> u64 {
        match self.bits().saturating_sub(word.saturating_mul(WORD_BITS)) {
            0 => 0,
            left @ 1..64 => (1 << left) - 1,
            64.. => u64::MAX,
        }
    }
}

#[inline]
fn word_from(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}
