// SPDX-License-Identifier: GPL-2.0
//! Damage: a few steps from an input that is kept.

use fastrand::Rng;

use crate::corpus::Corpus;

/// Longer inputs are cut.
const BYTES_MAX: usize = 8192;
/// Numbers at which something changes: sizes, signs, ends.
const NUMBERS: [u64; 14] = [
    0,
    1,
    7,
    8,
    0x7f,
    0xff,
    0x200,
    0x1000,
    0x7fff,
    0xffff,
    0x10_0000,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// An input of the corpus with one to six damages.
pub(crate) fn damaged(random: &mut Rng, corpus: &Corpus, words: &[&str]) -> Vec<u8> {
    let mut bytes = corpus.any(random).to_vec();
    for _ in 0..=random.usize(0..6) {
        damage(random, &mut bytes, corpus, words);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn damage(random: &mut Rng, bytes: &mut Vec<u8>, corpus: &Corpus, words: &[&str]) {
    let at = random.usize(0..=bytes.len());
    let end = (at + 1 + random.usize(0..16)).min(bytes.len());
    match random.u8(0..10) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.u8(..);
            }
        }
        3 => overwrite(random, bytes, at),
        4 => {
            bytes.drain(at..end);
        }
        5 => {
            let part = bytes.get(at..end).unwrap_or_default().to_vec();
            let to = random.usize(0..=bytes.len());
            bytes.splice(to..to, part);
        }
        6 => bytes.truncate(at),
        7 => {
            let count = 1 << random.u8(0..9);
            let byte = random.u8(..);
            bytes.splice(at..at, std::iter::repeat_n(byte, count));
        }
        8 => {
            // The end of another one.
            let other = corpus.any(random);
            let from = random.usize(0..=other.len());
            let tail = other.get(from..).unwrap_or_default().to_vec();
            bytes.truncate(at);
            bytes.extend(tail);
        }
        _ => {
            if let Some(word) = random.choice(words) {
                bytes.splice(at..at, word.bytes());
            } else {
                overwrite(random, bytes, at);
            }
        }
    }
}

/// Puts a number of 1, 2, 4 or 8 bytes at a place, big-endian as on wire and disk.
fn overwrite(random: &mut Rng, bytes: &mut [u8], at: usize) {
    let number = random.choice(NUMBERS).unwrap_or(0);
    let number = number
        .wrapping_add(u64::from(random.u8(0..3)))
        .wrapping_sub(1);
    let width = 1_usize << random.u8(0..4);
    let number = number.to_be_bytes();
    let tail = &number[number.len() - width..];
    for (to, from) in bytes.iter_mut().skip(at).zip(tail) {
        *to = *from;
    }
}
