// SPDX-License-Identifier: GPL-2.0
//! Memory that direct I/O accepts: aligned to a block, whatever the allocator does.

use std::ops::{Deref, DerefMut};

use drbd_core::meta::BLOCK_SIZE;

/// Bytes that start at a multiple of 4096.
pub(crate) struct AlignedBuf {
    storage: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// `len` zero bytes.
    #[must_use]
    pub(crate) fn zeroed(len: usize) -> Self {
        let storage = vec![0; len.saturating_add(BLOCK_SIZE)];
        // The heap block of a Vec stays where it is when the Vec moves.
        let start = storage.as_ptr().align_offset(BLOCK_SIZE).min(BLOCK_SIZE);
        Self {
            storage,
            start,
            len,
        }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::AlignedBuf;

    #[test]
    fn stays_aligned_when_moved() {
        for len in [0, 1, 4096, 100_000] {
            let moved = Box::new(AlignedBuf::zeroed(len));
            assert_eq!(moved.len(), len);
            assert_eq!(moved.as_ptr().align_offset(4096), 0);
        }
    }
}
