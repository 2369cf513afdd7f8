// SPDX-License-Identifier: GPL-2.0
//! Tests of the run-length code.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::*;

/// So many cases, or what `PROPTEST_CASES` says: a million makes a fuzzing run of an hour or two.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let number = asked.and_then(|n| n.parse().ok());
    let mut config = ProptestConfig::with_cases(number.unwrap_or(default));
    // Beside the source file: the default looks for a `lib.rs`, which this crate has not.
    let beside = FileFailurePersistence::WithSource("regressions");
    config.failure_persistence = Some(std::boxed::Box::new(beside));
    config
}

/// A bitmap as a list of booleans, with every call checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bits(pub(crate) Vec<bool>);

impl BitSource for Bits {
    fn bits(&self) -> u64 {
        self.0.len() as u64
    }

    fn word(&self, index: u64) -> u64 {
        let start = index as usize * 64;
        (0..64).fold(0, |word, i| {
            // Rubbish behind the end, which nobody may look at.
            let bit = self.0.get(start + i).copied().unwrap_or(i % 3 == 0);
            word | (u64::from(bit) << i)
        })
    }
}

impl BitSink for Bits {
    fn set_bits(&mut self, first: u64, count: u64) {
        assert!(count > 0);
        self.0[first as usize..(first + count) as usize].fill(true);
    }

    fn or_word(&mut self, index: u64, bits: u64) {
        for i in 0..64 {
            if (bits >> i) & 1 != 0 {
                self.0[index as usize * 64 + i] = true;
            }
        }
    }
}

/// Alternating runs, the first one with the value `first`.
pub(crate) fn from_runs(first: bool, runs: &[u64]) -> Bits {
    let mut bits = Vec::new();
    let mut value = first;
    for run in runs {
        bits.resize(bits.len() + *run as usize, value);
        value = !value;
    }
    Bits(bits)
}

/// Runs, without their bits.
struct Runs {
    bits: u64,
    changes: Vec<u64>,
}

impl BitSource for Runs {
    fn bits(&self) -> u64 {
        self.bits
    }

    fn word(&self, _: u64) -> u64 {
        0
    }

    fn next_change(&self, from: u64, _: bool) -> u64 {
        let later = self.changes.iter().find(|c| **c > from);
        *later.unwrap_or(&self.bits)
    }
}

/// Remembers the set runs.
#[derive(Default)]
struct Seen(Vec<(u64, u64)>);

impl BitSink for Seen {
    fn set_bits(&mut self, first: u64, count: u64) {
        self.0.push((first, count));
    }

    fn or_word(&mut self, _: u64, _: u64) {
        unreachable!("a run-length code has no words");
    }
}

/// The code of one run of clear bits: how many bits, and as an integer.
fn code_word(run: u64) -> (u32, u64) {
    let source = Runs {
        bits: run,
        changes: vec![],
    };
    let mut out = [0; 8];
    let e = encode(&source, 0, &mut out).unwrap();
    (
        e.size as u32 * 8 - u32::from(e.pad),
        u64::from_le_bytes(out),
    )
}

#[test]
fn boundaries_of_all_levels() {
    for (run, bits, code) in [
        (1, 2, 0x0),
        (2, 2, 0x2),
        (3, 3, 0x1),
        (4, 3, 0x5),
        (5, 5, 0x3),
        (8, 5, 0x1b),
        (9, 7, 0x7),
        (16, 7, 0x77),
        (17, 10, 0xf),
        (48, 10, 0x3ef),
        (49, 14, 0x1f),
        (304, 14, 0x3fdf),
        (305, 21, 0x3f),
        (8496, 21, 0x1f_ff3f),
        (8497, 29, 0x7f),
        (2_105_648, 29, 0x1fff_ff7f),
        (2_105_649, 42, 0xbf),
        (17_181_974_832, 42, 0x3ff_ffff_ffbf),
        (17_181_974_833, 64, 0xff),
        (RUN_LENGTH_MAX, 64, u64::MAX),
    ] {
        assert_eq!(code_word(run), (bits, code), "{run}");
        let bytes = code.to_le_bytes();
        let size = bits.div_ceil(8) as usize;
        let pad = (size as u32 * 8 - bits) as u8;
        let mut seen = Seen::default();
        let end = decode(&bytes[..size], pad, true, 7, u64::MAX, &mut seen);
        assert_eq!(end, Ok(7 + run));
        assert_eq!(seen.0, [(7, run)]);
    }
}

#[test]
fn longer_runs_have_no_code() {
    let source = Runs {
        bits: RUN_LENGTH_MAX + 1,
        changes: vec![],
    };
    assert_eq!(encode(&source, 0, &mut [0; 100]), None);
}

#[test]
fn golden_codes() {
    for (first, runs, pad, code) in [
        (
            false,
            &[1000, 24, 1024][..],
            4,
            &[0x3f, 0xb7, 0xe2, 0x9d, 0x9f, 0x67, 0x01][..],
        ),
        (true, &[262_144], 3, &[0x7f, 0xcf, 0xde, 0x03]),
        (true, &[8, 262_136], 6, &[0xfb, 0xef, 0xd8, 0x7b, 0x00]),
        (true, &[1, 1, 2, 3, 8], 2, &[0x60, 0x36]),
    ] {
        let bits = from_runs(first, runs);
        let mut out = [0xff; 20];
        let e = encode(&bits, 0, &mut out).unwrap();
        let expected = Encoded {
            size: code.len(),
            pad,
            first,
            bits: bits.bits(),
        };
        assert_eq!(e, expected);
        assert_eq!(&out[..e.size], code);
        let mut back = Bits(vec![false; bits.0.len()]);
        assert_eq!(
            decode(code, pad, first, 0, bits.bits(), &mut back),
            Ok(bits.bits())
        );
        assert_eq!(back, bits);
    }
}

#[test]
fn shorter_or_not() {
    let encoded = |size, bits| Encoded {
        size,
        pad: 0,
        first: true,
        bits,
    };
    assert!(!encoded(2, 15).is_shorter());
    assert!(encoded(2, 16).is_shorter());
}

#[test]
fn a_run_may_not_pass_the_end() {
    // 8 set, 262136 clear; then 8 set, 262136 set.
    let code = [0xfb, 0xef, 0xd8, 0x7b, 0x00];
    for first in [true, false] {
        let mut seen = Seen::default();
        let bits = 262_144;
        assert_eq!(decode(&code, 6, first, 0, bits, &mut seen), Ok(bits));
        assert_eq!(
            decode(&code, 6, first, 0, bits - 1, &mut seen),
            Err(WireError::BitmapOverflow)
        );
        assert_eq!(
            decode(&code, 6, first, 1, bits, &mut seen),
            Err(WireError::BitmapOverflow)
        );
        assert_eq!(
            decode(&code, 6, first, u64::MAX, u64::MAX, &mut seen),
            Err(WireError::BitmapOverflow)
        );
    }
}

#[test]
fn the_code_ends_with_a_code_word() {
    let code = [0xfb, 0xef, 0xd8, 0x7b, 0x00];
    for pad in [0, 1, 2, 3, 4, 5, 7] {
        // More bits than the code word needs are read as further runs, or as a truncated one.
        let result = decode(&code, pad, true, 0, 1 << 40, &mut Seen::default());
        match pad {
            7 | 5 | 3 | 1 => assert_eq!(result, Err(WireError::TruncatedCode), "{pad}"),
            _ => assert_eq!(result, Ok(262_144 + (6 - u64::from(pad)) / 2), "{pad}"),
        }
    }
    for size in 1..code.len() {
        let result = decode(&code[..size], 0, true, 0, 1 << 40, &mut Seen::default());
        assert_eq!(result, Err(WireError::TruncatedCode), "{size} bytes");
    }
    let nothing = decode(&[], 1, true, 0, 10, &mut Seen::default());
    assert_eq!(nothing, Err(WireError::TruncatedCode));
}

#[test]
fn next_change_by_words() {
    let bits = from_runs(false, &[63, 2, 63, 128, 1]);
    for (from, value, expected) in [
        (0, false, 63),
        (62, false, 63),
        (63, false, 63),
        (63, true, 65),
        (64, true, 65),
        (65, false, 128),
        (128, true, 256),
        (130, true, 256),
        (256, false, 257),
        (256, true, 256),
    ] {
        assert_eq!(bits.next_change(from, value), expected, "{from} {value}");
    }
}

/// A slow decoder, bit by bit, written from the table of docs/protocol.md alone.
fn naive(code: &[u8], pad: u8) -> Option<Vec<u64>> {
    const TABLE: [(&str, u32, u64); 10] = [
        ("0", 1, 1),
        ("10", 1, 3),
        ("110", 2, 5),
        ("1110", 3, 9),
        ("11110", 5, 17),
        ("111110", 8, 49),
        ("11111100", 13, 305),
        ("11111110", 21, 8497),
        ("11111101", 34, 2_105_649),
        ("11111111", 56, 17_181_974_833),
    ];
    let mut bits: Vec<bool> = code
        .iter()
        .flat_map(|byte| (0..8).map(move |i| (byte >> i) & 1 != 0))
        .collect();
    bits.truncate((code.len() * 8).checked_sub(usize::from(pad))?);
    let mut rest = &bits[..];
    let mut runs = vec![];
    while !rest.is_empty() {
        let (prefix, data, low) = TABLE.iter().find(|(prefix, ..)| {
            prefix.len() <= rest.len() && prefix.bytes().zip(rest).all(|(p, b)| (p == b'1') == *b)
        })?;
        rest = &rest[prefix.len()..];
        let data = *data as usize;
        if rest.len() < data {
            return None;
        }
        let value = (0..data).fold(0, |v, i| v | (u64::from(rest[i]) << i));
        runs.push(low + value);
        rest = &rest[data..];
    }
    Some(runs)
}

/// Runs of all magnitudes.
pub(crate) fn run() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 1..5_u64,
        3 => 5..60_u64,
        2 => 60..400_u64,
        1 => 400..9000_u64,
    ]
}

/// Runs up to the longest.
fn long_run() -> impl Strategy<Value = u64> {
    (0..56_u32).prop_flat_map(|shift| 1..=1_u64 << shift)
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn bits_survive(
        first: bool,
        runs in prop::collection::vec(run(), 1..40),
        room in 1..200_usize,
    ) {
        let bits = from_runs(first, &runs);
        let mut back = Bits(vec![false; bits.0.len()]);
        let mut at = 0;
        let mut out = vec![0x55; room];
        while let Some(e) = encode(&bits, at, &mut out) {
            prop_assert!(e.bits > 0 && e.size <= room && e.pad < 8);
            let end = decode(&out[..e.size], e.pad, e.first, at, bits.bits(), &mut back);
            at += e.bits;
            prop_assert_eq!(end, Ok(at));
        }
        // Room for the code word of any run used here.
        if room >= 4 {
            prop_assert_eq!(at, bits.bits());
            prop_assert_eq!(back, bits);
        }
    }

    #[test]
    fn long_runs_survive(first: bool, runs in prop::collection::vec(long_run(), 1..20)) {
        let mut changes: Vec<u64> = vec![];
        let mut at = 0;
        for run in &runs {
            at += run;
            changes.push(at);
        }
        let source = Runs { bits: at, changes };
        let mut out = [0; 4096];
        let e = encode(&source, 0, &mut out).unwrap();
        prop_assert_eq!(e.bits, at);
        prop_assert_eq!(naive(&out[..e.size], e.pad), Some(runs.clone()));
        let mut seen = Seen::default();
        prop_assert_eq!(decode(&out[..e.size], e.pad, first, 0, at, &mut seen), Ok(at));
        let set: Vec<u64> = runs.iter().skip(usize::from(!first)).step_by(2).copied().collect();
        let got: Vec<u64> = seen.0.iter().map(|(_, count)| *count).collect();
        prop_assert_eq!(got, set);
    }

    /// Any bytes at all: never a panic, never a run outside, and the same verdict as the slow way.
    #[test]
    fn foreign_codes(
        code in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0)], 0..60),
        pad in 0..8_u8,
        first: bool,
        from in 0..5000_u64,
        bits in prop_oneof![0..6000_u64, Just(u64::MAX), 1 << 30..1_u64 << 57],
    ) {
        let mut seen = Seen::default();
        let result = decode(&code, pad, first, from, bits, &mut seen);
        for (start, count) in &seen.0 {
            prop_assert!(*start >= from && *count > 0 && start + count <= bits);
        }
        match (naive(&code, pad), result) {
            (Some(runs), result) => {
                let end = runs.iter().fold(u128::from(from), |at, run| at + u128::from(*run));
                if runs.is_empty() || end <= u128::from(bits) {
                    prop_assert_eq!(result.map(u128::from), Ok(end));
                } else {
                    prop_assert_eq!(result, Err(WireError::BitmapOverflow));
                }
            }
            (None, result) => prop_assert!(result.is_err()),
        }
    }
}
