// SPDX-License-Identifier: GPL-2.0
//! The bitmap against a naive model, and with several threads at once.

extern crate std;

use core::sync::atomic::AtomicU64;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

type TestPages = Box<[Page<AtomicU64>]>;

fn pages(bits: u64) -> TestPages {
    (0..pages_for(bits))
        .map(|_| std::array::from_fn(|_| AtomicU64::new(0)))
        .collect()
}

fn range(first: u64, last: u64) -> BitRange {
    BitRange::new(first, last).unwrap()
}

fn ignore(_: ExtentChange) {}

/// One bool for each bit.
struct Model(Vec<bool>);

impl Model {
    fn new(bits: u64) -> Self {
        Self(vec![false; usize::try_from(bits).unwrap()])
    }

    fn set_to(&mut self, first: u64, last: u64, value: bool) -> BTreeMap<u64, u32> {
        let mut changed = BTreeMap::new();
        let bits = u64::try_from(self.0.len()).unwrap();
        for bit in first..=last.min(bits - 1) {
            let place = &mut self.0[usize::try_from(bit).unwrap()];
            if *place != value {
                *place = value;
                *changed.entry(bit / EXTENT_BITS).or_insert(0) += 1;
            }
        }
        changed
    }

    fn find(&self, from: u64, value: bool) -> Option<u64> {
        (0..)
            .zip(&self.0)
            .find(|(bit, is)| *bit >= from && **is == value)
            .map(|(bit, _)| bit)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.0.len().div_ceil(64) * 8];
        for (bit, _) in self.0.iter().enumerate().filter(|(_, set)| **set) {
            bytes[bit / 8] |= 1 << (bit % 8);
        }
        bytes
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(u64, u64),
    Clear(u64, u64),
    Merge(u64, Vec<u8>),
}

fn op(bits: u64) -> impl Strategy<Value = Op> {
    let ends = (0..bits + 70, prop_oneof![0..70_u64, 0..bits]);
    prop_oneof![
        ends.clone()
            .prop_map(|(first, length)| Op::Set(first, first + length)),
        ends.prop_map(|(first, length)| Op::Clear(first, first + length)),
        (
            0..words_for(bits),
            prop::collection::vec(any::<u8>(), 0..100)
        )
            .prop_map(|(word, bytes)| Op::Merge(word, bytes)),
    ]
}

/// Sizes around the edges of words, extents and pages, with operations for each.
fn history() -> impl Strategy<Value = (u64, Vec<Op>)> {
    prop_oneof![
        1..200_u64,
        4090..4100_u64,
        Just(4096 * 8),
        32_760..32_840_u64,
        Just(3 * 32_768),
        70_000..100_000_u64
    ]
    .prop_flat_map(|bits| (Just(bits), prop::collection::vec(op(bits), 1..12)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_matches_the_model((bits, ops) in history()) {
        let pages = pages(bits);
        let bitmap = Bitmap::new(&pages[..], bits);
        let mut model = Model::new(bits);
        for op in ops {
            let mut changes = BTreeMap::new();
            let record = |change: ExtentChange| {
                assert_eq!(changes.insert(change.extent, change.bits), None);
            };
            let (total, expected) = match op {
                Op::Set(first, last) => (
                    bitmap.set(range(first, last), record),
                    model.set_to(first, last, true),
                ),
                Op::Clear(first, last) => (
                    bitmap.clear(range(first, last), record),
                    model.set_to(first, last, false),
                ),
                Op::Merge(word, mut bytes) => {
                    let room = usize::try_from((words_for(bits) - word) * 8).unwrap();
                    bytes.truncate((bytes.len() / 8 * 8).min(room));
                    let mut expected = BTreeMap::new();
                    for bit in 0..u64::try_from(bytes.len()).unwrap() * 8 {
                        let byte = bytes[usize::try_from(bit / 8).unwrap()];
                        if (byte >> (bit % 8)) & 1 == 1 {
                            let bit = word * 64 + bit;
                            for (extent, count) in model.set_to(bit, bit, true) {
                                *expected.entry(extent).or_insert(0) += count;
                            }
                        }
                    }
                    (bitmap.merge(word, &bytes, record).unwrap(), expected)
                }
            };
            prop_assert_eq!(total, expected.values().map(|bits| u64::from(*bits)).sum::<u64>());
            prop_assert_eq!(changes, expected);
        }

        let bytes = model.bytes();
        let mut copied = vec![0xee; bytes.len()];
        bitmap.copy_words(0, &mut copied).unwrap();
        prop_assert_eq!(&copied, &bytes);

        let weight = u64::try_from(model.0.iter().filter(|set| **set).count()).unwrap();
        prop_assert_eq!(bitmap.weight(), weight);
        let extents = bits.div_ceil(EXTENT_BITS);
        let by_extent: u64 = (0..extents).map(|e| u64::from(bitmap.extent_weight(e))).sum();
        prop_assert_eq!(by_extent, weight);

        for from in [0, 1, 63, 64, bits / 2, bits - 1, bits, bits + 100] {
            prop_assert_eq!(bitmap.find_next_set(from), model.find(from, true));
            prop_assert_eq!(bitmap.find_next_clear(from), model.find(from, false));
        }
        let mut next = 0;
        for run in bitmap.runs(0) {
            prop_assert_eq!(run.start, next);
            let end = model.find(next, !run.set).unwrap_or(bits);
            prop_assert_eq!(run.start + run.length, end);
            prop_assert_eq!(bitmap.test(run.start), run.set);
            next = end;
        }
        prop_assert_eq!(next, bits);
        // Nothing may stand beyond the last bit.
        prop_assert_eq!(bitmap.trim(), 0);
    }

    #[test]
    fn pages_go_to_disk_and_come_back(
        bits in 1..100_000_u64, first in 0..100_000_u64, length in 0..50_000_u64,
    ) {
        let there = pages(bits);
        let bitmap = Bitmap::new(&there[..], bits);
        bitmap.set(range(first, first + length), ignore);
        let back = pages(bits);
        let copy = Bitmap::new(&back[..], bits);
        let mut weight = 0;
        for page in 0..pages_for(bits) {
            let mut block = [0xee; 4096];
            bitmap.store_page(page, &mut block).unwrap();
            weight += copy.load_page(page, &block).unwrap();
        }
        prop_assert_eq!(weight, bitmap.weight());
        prop_assert_eq!(copy.runs(0).collect::<Vec<_>>(), bitmap.runs(0).collect::<Vec<_>>());
    }
}

#[test]
fn rubbish_beyond_the_last_bit_is_not_taken_over() {
    for bits in [1, 63, 64, 65, 4096, 32_767, 32_768] {
        let pages = pages(bits);
        let bitmap = Bitmap::new(&pages[..], bits);
        assert_eq!(bitmap.load_page(0, &[0xff; 4096]), Ok(bits));
        assert_eq!((bitmap.weight(), bitmap.trim()), (bits, 0));
        assert_eq!(bitmap.find_next_clear(0), None);
        let words = usize::try_from(words_for(bits)).unwrap();
        let all = bitmap.all().unwrap();
        assert_eq!(bitmap.clear(all, ignore), bits);
        assert_eq!(bitmap.merge(0, &vec![0xff; words * 8], ignore), Ok(bits));
        assert_eq!(bitmap.trim(), 0);
    }
}

#[test]
fn bits_lie_as_on_disk() {
    let pages = pages(100);
    let bitmap = Bitmap::new(&pages[..], 100);
    for bit in [0, 9, 63, 64] {
        bitmap.set(range(bit, bit), ignore);
    }
    let mut bytes = [0; 16];
    bitmap.copy_words(0, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        pages[0][0]
            .load(core::sync::atomic::Ordering::Relaxed)
            .to_ne_bytes(),
        bytes[..8]
    );
}

#[test]
fn a_smaller_bitmap_is_trimmed() {
    let pages = pages(40_000);
    let all = Bitmap::new(&pages[..], 40_000);
    all.set(range(0, 39_999), ignore);
    let smaller = Bitmap::new(&pages[..1], 100);
    assert_eq!(smaller.trim(), PAGE_BITS - 100);
    assert_eq!(smaller.weight(), 100);
    assert_eq!(Bitmap::new(&pages[..1], PAGE_BITS).weight(), 100);
}

#[test]
fn chunks_that_do_not_fit_are_refused() {
    let pages = pages(100);
    let bitmap = Bitmap::new(&pages[..], 100);
    assert_eq!(
        bitmap.merge(0, &[0; 7], ignore),
        Err(TransferError::PartialWord)
    );
    assert_eq!(
        bitmap.merge(1, &[0; 16], ignore),
        Err(TransferError::OutOfRange)
    );
    assert_eq!(
        bitmap.merge(u64::MAX, &[0; 8], ignore),
        Err(TransferError::OutOfRange)
    );
    assert_eq!(
        bitmap.copy_words(2, &mut [0; 8]),
        Err(TransferError::OutOfRange)
    );
    assert_eq!(bitmap.merge(2, &[], ignore), Ok(0));
    assert_eq!(
        bitmap.load_page(0, &[0; 4095]),
        Err(TransferError::NotAPage)
    );
    assert_eq!(bitmap.load_page(1, &[0; 4096]), Err(TransferError::NoPage));
    assert_eq!(
        bitmap.store_page(1, &mut [0; 4096]),
        Err(TransferError::NoPage)
    );
}

#[test]
fn missing_pages_count_as_zero_and_never_panic() {
    // 16 TiB of data: 131072 pages, of which only the first is lent.
    let bits = bits_for(1 << 35);
    let pages = pages(1);
    let bitmap = Bitmap::new(&pages[..], bits);
    assert_eq!(bitmap.set(range(0, u64::MAX), ignore), PAGE_BITS);
    assert_eq!(bitmap.weight(), PAGE_BITS);
    assert_eq!(bitmap.find_next_clear(0), Some(PAGE_BITS));
    assert_eq!(bitmap.find_next_set(PAGE_BITS + 5), None);
    assert_eq!(bitmap.find_next_clear(bits - 1), Some(bits - 1));
    assert_eq!(bitmap.find_next_clear(u64::MAX), None);
    assert!(!bitmap.test(u64::MAX));
    let empty = Bitmap::new(&pages[..], 0);
    assert_eq!(
        (empty.weight(), empty.all(), empty.next_run(0)),
        (0, None, None)
    );
    assert_eq!(empty.set(range(0, 100), ignore), 0);
}

#[test]
fn each_change_is_counted_once_among_threads() {
    const BITS: u64 = 10_000;
    let pages = pages(BITS);
    let bitmap = Bitmap::new(&pages[..], BITS);
    let total: i64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u64)
            .map(|thread| {
                scope.spawn(move || {
                    let mut sum = 0_i64;
                    for step in 0..2000_u64 {
                        let first = (step * 37 + thread * 101) % BITS;
                        let bits = range(first, (first + 90).min(BITS - 1));
                        sum += i64::try_from(bitmap.set(bits, ignore)).unwrap();
                        let bits = range(first, (first + step % 100).min(BITS - 1));
                        sum -= i64::try_from(bitmap.clear(bits, ignore)).unwrap();
                    }
                    sum
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(u64::try_from(total).unwrap(), bitmap.weight());
}
