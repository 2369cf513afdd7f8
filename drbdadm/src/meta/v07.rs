// SPDX-License-Identifier: GPL-2.0
//! Metadata of version 07 (DRBD 0.7), as far as it has to be recognized.
//!
//! Its superblock has the magic number at byte 28, before it a size and generation counters.

use drbd_core::meta::superblock::MAGIC_V07;

/// Byte offset of the magic number.
const MAGIC_AT: usize = 28;

/// True if `block` starts with a superblock of version 07.
#[must_use]
pub(crate) fn is_v07(block: &[u8]) -> bool {
    block.get(MAGIC_AT..MAGIC_AT + 4) == Some(&MAGIC_V07.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::is_v07;

    #[test]
    fn only_the_magic_at_its_place() {
        let mut block = [0; 64];
        assert!(!is_v07(&block));
        block[28..32].copy_from_slice(&[0x83, 0x74, 0x02, 0x6a]);
        assert!(is_v07(&block));
        assert!(!is_v07(&block[1..]));
        assert!(!is_v07(&block[..30]));
    }
}
