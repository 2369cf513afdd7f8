// SPDX-License-Identifier: GPL-2.0
//! Numbers with units, as the configuration language reads them.
//!
//! Digits and at most one of `k K m M g G` (powers of 1024) or `s` (512). Without a suffix the
//! number is already in the option's default unit. Source: docs/configuration.md, "Numbers".

use std::fmt;

/// The unit that a bare number of an option is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Plain count (also bytes, seconds, tenths of a second).
    One,
    /// KiB, or KiB/s.
    Kibi,
    /// Sectors of 512 bytes.
    Sector,
}

impl Unit {
    /// How many ones it holds.
    #[must_use]
    pub const fn size(self) -> u64 {
        match self {
            Unit::One => 1,
            Unit::Kibi => 1024,
            Unit::Sector => 512,
        }
    }

    /// The letter shown behind a number; empty for [`Unit::One`].
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Unit::One => "",
            Unit::Kibi => "k",
            Unit::Sector => "s",
        }
    }
}

/// Why a text is no number. The exit codes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Nothing there; exit code 100.
    Missing,
    /// Not digits and one suffix; exit code 20.
    NotANumber,
    /// More than 64 bits; exit code 20.
    Overflow,
}

impl NumberError {
    /// The exit code stock's drbdadm ends with.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            NumberError::Missing => 100,
            NumberError::NotANumber | NumberError::Overflow => 20,
        }
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NumberError::Missing => "a number is missing",
            NumberError::NotANumber => "not a number with at most one of the suffixes k, M, G, s",
            NumberError::Overflow => "the number does not fit into 64 bits",
        })
    }
}

/// Evaluates `text` in units of `unit`, rounding up where the suffix is finer than the unit.
///
/// As in C's `strtoull`, leading blanks and a minus sign are taken (the latter wraps), and a
/// number of more than 64 bits without a suffix becomes the largest one; range checks catch both.
///
/// # Errors
///
/// See [`NumberError`].
pub fn evaluate(text: &str, unit: Unit) -> Result<u64, NumberError> {
    if text.is_empty() {
        return Err(NumberError::Missing);
    }
    let body = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (negative, body) = match body.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, body.strip_prefix('+').unwrap_or(body)),
    };
    let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = body.split_at(digits);
    if number.is_empty() {
        return Err(NumberError::NotANumber);
    }
    // Only digits are left, so the one way to fail is being too large.
    let number = number
        .parse::<u64>()
        .map(|n| if negative { n.wrapping_neg() } else { n });
    let number = number.unwrap_or(u64::MAX);
    let shift = match suffix {
        "" => return Ok(number),
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "s" => 9,
        _ => return Err(NumberError::NotANumber),
    };
    let ones = number
        .checked_mul(1 << shift)
        .ok_or(NumberError::Overflow)?;
    Ok(ones.div_ceil(unit.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes() {
        assert_eq!(evaluate("6s", Unit::One), Ok(3072));
        assert_eq!(evaluate("5M", Unit::One), Ok(5_242_880));
        assert_eq!(evaluate("4096s", Unit::Kibi), Ok(2048));
        assert_eq!(evaluate("3s", Unit::Kibi), Ok(2));
        assert_eq!(evaluate("24k", Unit::Sector), Ok(48));
        assert_eq!(evaluate("7", Unit::Sector), Ok(7));
        assert_eq!(evaluate("010", Unit::One), Ok(10));
        assert_eq!(evaluate(" 5", Unit::One), Ok(5));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(evaluate("", Unit::One), Err(NumberError::Missing));
        for text in ["1T", "5x", "10kk", "0x10", "5 ", "K", "5S", "-", "abc"] {
            assert_eq!(
                evaluate(text, Unit::One),
                Err(NumberError::NotANumber),
                "{text}"
            );
        }
        for text in ["18446744073709551615K", "-1K", "-1s"] {
            assert_eq!(
                evaluate(text, Unit::One),
                Err(NumberError::Overflow),
                "{text}"
            );
        }
    }

    #[test]
    fn what_wraps_like_strtoull() {
        assert_eq!(evaluate("-1", Unit::One), Ok(u64::MAX));
        assert_eq!(evaluate("-5", Unit::One), Ok(u64::MAX - 4));
        assert_eq!(evaluate("99999999999999999999", Unit::One), Ok(u64::MAX));
    }
}
