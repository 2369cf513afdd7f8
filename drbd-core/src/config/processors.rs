// SPDX-License-Identifier: GPL-2.0
//! The processors that the option `cpu-mask` names.
//!
//! Its text is the kernel's for bitmaps: groups of up to eight hexadecimal digits, 32 processors
//! each, with commas or blanks between them. The last group is that of the processors 0 to 31.

/// Groups that a text of 31 characters can have.
const GROUPS: usize = 16;

/// Processors by their numbers. None: the text names none, and the kernel chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processors {
    /// 32 processors each, the lowest first.
    groups: [u32; GROUPS],
}

/// A text that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The processors.
    pub processors: Processors,
    /// The text names more of them than there can be, and those are left out.
    pub cut: bool,
}

/// A text that is no bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBitmap;

impl Processors {
    /// Reads `text` for a machine that may have `possible` processors. With one only there is
    /// nothing to choose, and the text is not looked at.
    ///
    /// Like the kernel's own reader it goes from the end to the beginning, and stops at what there
    /// cannot be: at a group for processors that this machine cannot have, and at one with more
    /// than eight digits, which counts for nothing. What stands in front of it is not looked at.
    ///
    /// # Errors
    /// [`NoBitmap`]: something else than digits and separators is in the way.
    pub fn read(text: &[u8], possible: u32) -> Result<Reading, NoBitmap> {
        let mut processors = Self::default();
        let reading = |processors, cut| Ok(Reading { processors, cut });
        if possible <= 1 {
            return reading(processors, false);
        }
        let mut rest = first_line(text);
        let mut groups = processors.groups.iter_mut();
        let mut first = 0_u32;
        loop {
            rest = without_separators(rest);
            if rest.is_empty() {
                return reading(processors, false);
            }
            let left = possible.saturating_sub(first);
            let Some(group) = groups.next().filter(|_| left > 0) else {
                return reading(processors, true);
            };
            let Some((bits, before)) = last_group(rest)? else {
                return reading(processors, true);
            };
            let there = u32::MAX
                .checked_shl(left)
                .map_or(u32::MAX, |too_many| !too_many);
            *group = bits & there;
            if bits != *group {
                // All others are higher still: the kernel's reader looks at no more than one.
                return reading(processors, true);
            }
            rest = before;
            first = first.saturating_add(32);
        }
    }

    /// Whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| *group == 0)
    }

    /// Whether the processor of this number is named.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let group = usize::try_from(number >> 5).ok();
        let group = group.and_then(|at| self.groups.get(at));
        group.is_some_and(|group| group.wrapping_shr(number & 31) & 1 != 0)
    }
}

fn is_separator(byte: u8) -> bool {
    byte == b',' || byte == 0x0b || byte.is_ascii_whitespace()
}

/// What stands before the first new line.
fn first_line(text: &[u8]) -> &[u8] {
    let mut bytes = (0..text.len()).zip(text);
    let end = bytes.find(|(_, byte)| **byte == b'\n');
    end.and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

fn without_separators(mut text: &[u8]) -> &[u8] {
    while let Some((last, before)) = text.split_last() {
        if !is_separator(*last) {
            break;
        }
        text = before;
    }
    text
}

/// The bits of the last group, and what stands before it; `None` if it has too many digits.
fn last_group(mut text: &[u8]) -> Result<Option<(u32, &[u8])>, NoBitmap> {
    let mut bits = 0_u32;
    let mut place = 0_u32;
    while let Some((last, before)) = text.split_last() {
        if is_separator(*last) {
            break;
        }
        let digit = char::from(*last).to_digit(16).ok_or(NoBitmap)?;
        let Some(digit) = digit.checked_shl(place) else {
            return Ok(None);
        };
        bits |= digit;
        place = place.saturating_add(4);
        text = before;
    }
    Ok(Some((bits, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    /// The numbers named, and whether the text was cut.
    fn read(text: &str, possible: u32) -> Result<(Vec<u32>, bool), NoBitmap> {
        let reading = Processors::read(text.as_bytes(), possible)?;
        let processors = reading.processors;
        let named: Vec<u32> = (0..600).filter(|n| processors.contains(*n)).collect();
        assert_eq!(processors.is_empty(), named.is_empty());
        Ok((named, reading.cut))
    }

    #[test]
    fn what_texts_name() {
        let table: &[(&str, u32, &[u32], bool)] = &[
            ("", 4, &[], false),
            ("0", 4, &[], false),
            ("1", 4, &[0], false),
            ("a", 4, &[1, 3], false),
            ("A", 4, &[1, 3], false),
            ("00000006", 4, &[1, 2], false),
            // Groups, from the last one on; empty ones do not count.
            ("1,00000002", 64, &[1, 32], false),
            ("1 2", 64, &[1, 32], false),
            (" ,1,,2, ", 64, &[1, 32], false),
            ("1,1,1", 96, &[0, 32, 64], false),
            ("80000000", 32, &[31], false),
            (
                "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,8",
                512,
                &[
                    3, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 480,
                ],
                false,
            ),
            // A line ends the text.
            ("3\nzz", 4, &[0, 1], false),
            ("\n3", 4, &[], false),
            // More than there can be.
            ("f", 2, &[0, 1], true),
            ("c", 2, &[], true),
            ("1,2", 2, &[1], true),
            ("0,2", 32, &[1], true),
            ("3,1", 33, &[0, 32], true),
            ("100000003", 4, &[], true),
            ("100000003,1", 64, &[0], true),
            ("1,100000003", 64, &[], true),
            // What stands in front of that is not looked at.
            ("z,1", 32, &[0], true),
            // With one processor nothing is.
            ("z", 1, &[], false),
            ("f", 1, &[], false),
        ];
        for (text, possible, named, cut) in table {
            let found = read(text, *possible);
            assert_eq!(found, Ok((named.to_vec(), *cut)), "{text:?} of {possible}");
        }
    }

    #[test]
    fn what_is_no_bitmap() {
        for text in [
            "z",
            "0x3",
            "3z",
            "z3",
            "1,z",
            "3;",
            "-1",
            "1-3",
            "z,1",
            "x00000001",
        ] {
            assert_eq!(read(text, 64), Err(NoBitmap), "{text:?}");
        }
    }
}
