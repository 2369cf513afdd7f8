// SPDX-License-Identifier: GPL-2.0
//! Sizes for people.

/// `kib` KiB in the largest unit that still has up to four digits: `512 KB`, `9999 MB`.
#[must_use]
pub(crate) fn from_kib(kib: u64) -> String {
    let mut value = kib;
    let mut units = ["KB", "MB", "GB", "TB", "PB", "EB"].iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while value >= 10_000 {
        let Some(next) = units.next() else { break };
        unit = next;
        value = (value >> 10) + ((value >> 9) & 1);
    }
    format!("{value} {unit}")
}

#[cfg(test)]
mod tests {
    use super::from_kib;

    #[test]
    fn four_digits_and_rounding() {
        for (kib, text) in [
            (0, "0 KB"),
            (9999, "9999 KB"),
            (10_000, "10 MB"),
            (65_496, "64 MB"),
            (12_288, "12 MB"),
            (10_752, "11 MB"),
            (10_751, "10 MB"),
            (1 << 30, "1024 GB"),
            (u64::MAX, "16384 EB"),
        ] {
            assert_eq!(from_kib(kib), text);
        }
    }
}
