// SPDX-License-Identifier: GPL-2.0
//! CRC-32C (Castagnoli) in the raw form that activity log blocks carry.
//!
//! The register starts at the seed and is *not* inverted at the end, unlike the usual CRC-32C.
//! The table is computed at compile time; one table and a byte at a time is enough for blocks of
//! 4 KiB. A caller with a faster CRC of the same form may use that instead.

/// The reflected generator polynomial.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What one byte does to the register.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut index = 0_usize;
    let mut start = 0_u32;
    while index < 256 {
        let mut value = start;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ POLYNOMIAL
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
        start += 1;
    }
    table
}

/// Continues the register `seed` over `bytes`; no inversion before or after.
#[must_use]
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |register, byte| {
        let [low, ..] = register.to_le_bytes();
        // PANIC: a u8 never exceeds the 256 entries; the compiler drops the check.
        TABLE[usize::from(low ^ byte)] ^ (register >> 8)
    })
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn check_value_of_the_nine_digits() {
        assert_eq!(crc32c(0, b"123456789"), 0x58e3_fa20);
        // The common, inverted form of the same polynomial.
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_split_input_gives_the_same_register() {
        assert_eq!(
            crc32c(crc32c(0, b"1234"), b"56789"),
            crc32c(0, b"123456789")
        );
    }
}
