// SPDX-License-Identifier: GPL-2.0
//! A bitmap as it comes from a peer: plain and compressed packets in any order.
//!
//! The first three bytes are the number of bits, the fourth the version; then each packet is a byte
//! that says which, two bytes of length, and its payload.

use drbd_core::vli::{decode, encode, BitSink, BitSource};
use drbd_core::wire::{Agreed, BitmapCursor, CompressedBitmap, FeatureFlags, ProtocolVersion};

use super::{Feed, Outcome, Target};

pub(crate) const TARGET: Target = Target {
    name: "bitmap",
    run,
    seeds,
    words: &[],
};

/// The largest bitmap, in bits.
const BITS_MAX: u64 = 200_000;

/// Bits as words.
struct Bits {
    words: Vec<u64>,
    bits: u64,
}

impl Bits {
    fn new(bits: u64) -> Self {
        let words = usize::try_from(bits.div_ceil(64)).expect("a small bitmap");
        Self {
            words: vec![0; words],
            bits,
        }
    }
}

impl BitSink for Bits {
    fn set_bits(&mut self, first: u64, count: u64) {
        // Promised to be checked against the size.
        assert!(first.checked_add(count).is_some_and(|end| end <= self.bits));
        for bit in first..first + count {
            self.or_word(bit / 64, 1 << (bit % 64));
        }
    }

    fn or_word(&mut self, index: u64, bits: u64) {
        let at = usize::try_from(index).expect("a small index");
        self.words[at] |= bits;
    }
}

impl BitSource for Bits {
    fn bits(&self) -> u64 {
        self.bits
    }

    fn word(&self, index: u64) -> u64 {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        self.words.get(at).copied().unwrap_or(0)
    }
}

fn run(bytes: &[u8]) -> u64 {
    let mut outcome = Outcome::default();
    let mut feed = Feed(bytes);
    let bits = 1 + feed.number::<3>() % BITS_MAX;
    let version = ProtocolVersion::new(86 + u32::from(feed.byte() % 16));
    let agreed = Agreed {
        version: version.unwrap_or(ProtocolVersion::INITIAL),
        features: FeatureFlags::NONE,
    };
    let mut sink = Bits::new(bits);
    let mut cursor = BitmapCursor::new(bits);
    let mut rest = feed.rest();
    while let [kind, high, low, more @ ..] = rest {
        let before = cursor.position();
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (payload, next) = more.split_at(length.min(more.len()));
        rest = next;
        let taken = if kind & 1 == 0 {
            // Exactly what is due, however little was given: sizes are tried below.
            let mut plain = payload.to_vec();
            if kind & 2 == 0 {
                plain.resize(
                    usize::try_from(cursor.plain_size(&agreed)).unwrap_or(0),
                    0x11,
                );
            }
            cursor.take_plain(&plain, &agreed, &mut sink)
        } else {
            CompressedBitmap::parse(payload)
                .and_then(|packet| cursor.take_compressed(&packet, &mut sink))
        };
        outcome.kind(&taken);
        assert!(cursor.position() >= before && cursor.position() <= bits);
        if taken.is_err() {
            break;
        }
    }
    outcome.number(cursor.is_done());
    outcome.number(bits.ilog2());
    assert!(sink.words.len() as u64 == bits.div_ceil(64));
    let tail = bits % 64;
    assert!(tail == 0 || sink.words.last().is_none_or(|word| word >> tail == 0));
    read_back(&sink);
    outcome.done()
}

/// What the bits are encoded to is decoded to them, if it all fits in one packet.
fn read_back(bits: &Bits) {
    let mut code = vec![0; 4096];
    let Some(encoded) = encode(bits, 0, &mut code) else {
        return;
    };
    let mut again = Bits::new(bits.bits);
    let size = encoded.size;
    let end = decode(
        &code[..size],
        encoded.pad,
        encoded.first,
        0,
        bits.bits,
        &mut again,
    );
    let end = end.expect("what we wrote");
    assert_eq!(end, encoded.bits);
    for bit in 0..end {
        let of = |bits: &Bits| (bits.word(bit / 64) >> (bit % 64)) & 1;
        assert_eq!(of(bits), of(&again), "bit {bit}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for bits in [0_u32, 63, 64, 1000, 32767, 32768, 70000] {
        for version in [0, 9, 15] {
            let head = bits.to_be_bytes();
            let mut seed = vec![head[1], head[2], head[3], version];
            seed.extend([0, 0, 0].repeat(4));
            seeds.push(seed);
            let mut seed = vec![head[1], head[2], head[3], version];
            seed.extend([1, 0, 9, 0x80, 1, 2, 3, 4, 5, 6, 7, 8]);
            seed.extend([1, 0, 3, 0, 0xff, 0xff]);
            seeds.push(seed);
        }
    }
    seeds
}
