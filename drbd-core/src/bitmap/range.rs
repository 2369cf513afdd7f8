// SPDX-License-Identifier: GPL-2.0
//! From sectors to bits and back.
//!
//! A range of sectors is set out of sync with every bit that it touches, and set in sync only
//! with the bits that it covers wholly: rounding errs on the side of one resync too many.

use super::{bits_for, EXTENT_BITS};
use crate::meta::SECTORS_PER_BIT;

/// A range of bits, never empty.
///
/// # Invariants
///
/// `first <= last`; both ends are in the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BitRange {
    first: u64,
    last: u64,
}

impl BitRange {
    /// The bits `first` to `last`, both included; `None` if there are none.
    #[must_use]
    pub const fn new(first: u64, last: u64) -> Option<Self> {
        if first <= last {
            Some(Self { first, last })
        } else {
            None
        }
    }

    /// The bits of a 16 MiB resync extent; `None` beyond 2^64 bits.
    #[must_use]
    pub fn of_extent(extent: u64) -> Option<Self> {
        let first = extent.checked_mul(EXTENT_BITS)?;
        Self::new(first, first.checked_add(EXTENT_BITS - 1)?)
    }

    /// The first bit.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.first
    }

    /// The last bit.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.last
    }

    /// First sector and number of sectors that these bits stand for, at most up to `capacity`.
    #[must_use]
    pub fn sectors(self, capacity: u64) -> (u64, u64) {
        let start = self.first.saturating_mul(SECTORS_PER_BIT).min(capacity);
        let end = self
            .last
            .saturating_add(1)
            .saturating_mul(SECTORS_PER_BIT)
            .min(capacity);
        (start, end.saturating_sub(start))
    }
}

/// Every bit that `count` sectors from `sector` touch, on a device of `capacity` sectors.
#[must_use]
#[inline]
pub fn touched(sector: u64, count: u64, capacity: u64) -> Option<BitRange> {
    let end = sector.saturating_add(count).min(capacity);
    let last = end.checked_sub(1).filter(|last| *last >= sector)?;
    BitRange::new(sector / SECTORS_PER_BIT, last / SECTORS_PER_BIT)
}

/// The bits that `count` sectors from `sector` cover, on a device of `capacity` sectors.
///
/// The last bit of the device is covered if the range reaches its last sector.
#[must_use]
#[inline]
pub fn covered(sector: u64, count: u64, capacity: u64) -> Option<BitRange> {
    let end = sector.saturating_add(count).min(capacity);
    let first = sector.div_ceil(SECTORS_PER_BIT);
    let past = if end == capacity {
        bits_for(capacity)
    } else {
        end / SECTORS_PER_BIT
    };
    BitRange::new(first, past.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::{covered, touched, BitRange};

    fn pair(range: Option<BitRange>) -> Option<(u64, u64)> {
        range.map(|range| (range.first(), range.last()))
    }

    #[test]
    fn sectors_to_bits() {
        // 1003 sectors: 126 bits, the last one of 3 sectors.
        for (sector, count, set, clear) in [
            (0, 8, Some((0, 0)), Some((0, 0))),
            (0, 7, Some((0, 0)), None),
            (1, 7, Some((0, 0)), None),
            (1, 15, Some((0, 1)), Some((1, 1))),
            (7, 2, Some((0, 1)), None),
            (8, 16, Some((1, 2)), Some((1, 2))),
            (5, 0, None, None),
            (992, 8, Some((124, 124)), Some((124, 124))),
            (1000, 3, Some((125, 125)), Some((125, 125))),
            (1000, 2, Some((125, 125)), None),
            (999, 4, Some((124, 125)), Some((125, 125))),
            (1000, 8, Some((125, 125)), Some((125, 125))),
            (1002, 1, Some((125, 125)), None),
            (1003, 1, None, None),
            (u64::MAX, u64::MAX, None, None),
            (0, u64::MAX, Some((0, 125)), Some((0, 125))),
        ] {
            assert_eq!(
                pair(touched(sector, count, 1003)),
                set,
                "touched {sector}+{count}"
            );
            assert_eq!(
                pair(covered(sector, count, 1003)),
                clear,
                "covered {sector}+{count}"
            );
        }
        assert_eq!(touched(0, 8, 0), None);
        assert_eq!(covered(0, 8, 0), None);
    }

    #[test]
    fn large_devices() {
        let capacity = 1_u64 << 51;
        let last = capacity / 8 - 1;
        assert_eq!(pair(touched(capacity - 1, 1, capacity)), Some((last, last)));
        assert_eq!(pair(covered(capacity - 9, 9, capacity)), Some((last, last)));
        assert_eq!(pair(covered(0, capacity, capacity)), Some((0, last)));
    }

    #[test]
    fn bits_to_sectors() {
        let range = BitRange::new(124, 125).unwrap();
        assert_eq!(range.sectors(1003), (992, 11));
        assert_eq!(range.sectors(2000), (992, 16));
        let extent = BitRange::of_extent(2).unwrap();
        assert_eq!(extent.sectors(u64::MAX), (65_536, 32_768));
        assert_eq!(BitRange::of_extent(u64::MAX), None);
    }
}
