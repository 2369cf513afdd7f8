// SPDX-License-Identifier: GPL-2.0
//! Numbers with units, as configuration files and options write them.
//!
//! Digits, then at most one of `k m g` (either case: 2^10, 2^20, 2^30) or `s` (512). Without a
//! suffix the number is in the option's own unit. With one, it is converted to that unit, rounded
//! up. A suffix applies to any option: `6s` as a time is 3072. See docs/configuration.md.

use super::option::Scale;
use core::fmt;

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// There is no text.
    Empty,
    /// It does not begin with a digit, or something stands behind the unit.
    NotANumber,
    /// It does not fit into 64 bits.
    OutOfRange,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::NotANumber => "is not a valid number",
            Self::OutOfRange => "is out of range",
        })
    }
}

impl core::error::Error for NumberError {}

fn suffix_size(suffix: &[u8]) -> Result<Option<u64>, NumberError> {
    Ok(Some(match suffix {
        [] => return Ok(None),
        [b'k' | b'K'] => 1 << 10,
        [b'm' | b'M'] => 1 << 20,
        [b'g' | b'G'] => 1 << 30,
        [b's'] => 512,
        _ => return Err(NumberError::NotANumber),
    }))
}

/// The value of `text` in units of `scale`.
///
/// A leading minus wraps and too many digits saturate, as in C: the result is then larger than any
/// limit and is refused by the range check, which names the range.
///
/// # Errors
///
/// [`NumberError`].
pub fn parse_number(text: &str, scale: Scale) -> Result<u64, NumberError> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(NumberError::Empty);
    }
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len());
    let (digits, suffix) = bytes.split_at_checked(end).ok_or(NumberError::NotANumber)?;
    if digits.is_empty() {
        return Err(NumberError::NotANumber);
    }
    let magnitude = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit.wrapping_sub(b'0')))
    });
    let value = if negative && magnitude != u64::MAX {
        magnitude.wrapping_neg()
    } else {
        magnitude
    };
    let Some(suffix) = suffix_size(suffix)? else {
        return Ok(value);
    };
    if suffix >= scale.size() {
        // Both are powers of two.
        let factor = suffix.checked_div(scale.size()).unwrap_or(1);
        value.checked_mul(factor).ok_or(NumberError::OutOfRange)
    } else {
        let divisor = scale.size().checked_div(suffix).unwrap_or(1);
        let whole = value.checked_div(divisor).unwrap_or(value);
        let has_rest = value.checked_rem(divisor).is_some_and(|rest| rest > 0);
        Ok(whole.saturating_add(u64::from(has_rest)))
    }
}
