// SPDX-License-Identifier: GPL-2.0
//! Run-length coding of bitmaps with variable-length integers.
//!
//! docs/protocol.md, "Compressed bitmap". A bitmap is a sequence of runs, alternately of set and
//! of clear bits. Each run's length, 1 or more, becomes a code word of 2 to 64 bits: a prefix that
//! names one of ten levels, then the distance from the shortest run of that level. Code words are
//! packed without gaps, least significant bit first, into bytes filled from their least significant
//! bit up.
//!
//! # Limits
//!
//! Decoding takes time in proportion to the number of code words (at most four per byte) and calls
//! the sink at most once per code word. Encoding looks at each word of the source at most once per
//! run that touches it. Nothing here allocates or recurses.

use crate::wire::WireError;

/// Runs from this length on have no code word (2^56 blocks of 4 KiB; far beyond any device).
pub const RUN_LENGTH_MAX: u64 = 72_057_611_219_902_768;

/// Bits per word of a bitmap.
pub const WORD_BITS: u64 = 64;

/// A bitmap to be read, as 64-bit words.
pub trait BitSource {
    /// Number of bits.
    fn bits(&self) -> u64;

    /// The word that holds the bits from `64 * index` on; bit n of the bitmap is bit n % 64, the
    /// least significant one first. Bits beyond the end are ignored; an index beyond the end gives
    /// any value.
    fn word(&self, index: u64) -> u64;

    /// The first bit from `from` on that is not `value`; [`BitSource::bits`] if there is none.
    ///
    /// The default walks over the words. A source that can skip more at once should.
    fn next_change(&self, from: u64, value: bool) -> u64 {
        let bits = self.bits();
        let mut index = from / WORD_BITS;
        let mut mask = u64::MAX << (from % WORD_BITS);
        while index.saturating_mul(WORD_BITS) < bits {
            let word = self.word(index);
            let different = mask & if value { !word } else { word };
            if different != 0 {
                let bit = u64::from(different.trailing_zeros());
                return index
                    .saturating_mul(WORD_BITS)
                    .saturating_add(bit)
                    .min(bits);
            }
            mask = u64::MAX;
            index = index.saturating_add(1);
        }
        bits
    }

    /// The value of a bit below [`BitSource::bits`].
    fn bit(&self, at: u64) -> bool {
        (self.word(at / WORD_BITS) >> (at % WORD_BITS)) & 1 != 0
    }
}

/// A bitmap that takes the bits of another one. All calls OR: no bit is ever cleared.
pub trait BitSink {
    /// Sets `count` bits from `first` on. Both were checked against the size of the bitmap.
    fn set_bits(&mut self, first: u64, count: u64);

    /// ORs `bits` into the word that begins at bit `64 * index`. Bits beyond the end of the bitmap
    /// are clear.
    fn or_word(&mut self, index: u64, bits: u64);
}

/// One row of the code table. What follows from the documented numbers is worked out once, at
/// compile time, so that nothing can overflow later.
#[derive(Clone, Copy)]
struct Level {
    /// The prefix as an integer: the bit transmitted first is the least significant one.
    prefix: u64,
    prefix_bits: u32,
    prefix_mask: u64,
    data_bits: u32,
    data_mask: u64,
    total_bits: usize,
    /// The shortest run of the level.
    low: u64,
    /// The longest one.
    high: u64,
}

impl Level {
    const fn new(prefix: u64, prefix_bits: u32, data_bits: u32, low: u64) -> Level {
        let data_mask = (1 << data_bits) - 1;
        Level {
            prefix,
            prefix_bits,
            prefix_mask: (1 << prefix_bits) - 1,
            data_bits,
            data_mask,
            total_bits: (prefix_bits + data_bits) as usize,
            low,
            high: low + data_mask,
        }
    }
}

const LEVELS: [Level; 10] = [
    Level::new(0x00, 1, 1, 1),
    Level::new(0x01, 2, 1, 3),
    Level::new(0x03, 3, 2, 5),
    Level::new(0x07, 4, 3, 9),
    Level::new(0x0f, 5, 5, 17),
    Level::new(0x1f, 6, 8, 49),
    Level::new(0x3f, 8, 13, 305),
    Level::new(0x7f, 8, 21, 8_497),
    Level::new(0xbf, 8, 34, 2_105_649),
    Level::new(0xff, 8, 56, 17_181_974_833),
];

// Each level begins where the one before ends, and the last one ends as documented.
const _: () = {
    let mut i = 1;
    while i < LEVELS.len() {
        assert!(LEVELS[i].low == LEVELS[i - 1].high + 1);
        i += 1;
    }
    assert!(LEVELS[0].low == 1);
    assert!(LEVELS[LEVELS.len() - 1].high == RUN_LENGTH_MAX);
};

/// Reads bits from bytes.
struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken so far.
    at: usize,
    /// Number of valid bits.
    end: usize,
}

impl BitReader<'_> {
    fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// The next 57 bits or more; zeroes behind the last byte.
    fn peek(&self) -> u64 {
        let tail = self.bytes.get(self.at / 8..).unwrap_or_default();
        let window = match tail.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => tail
                .iter()
                .rev()
                .fold(0, |acc, byte| (acc << 8) | u64::from(*byte)),
        };
        window >> (self.at % 8)
    }

    /// Takes one run length; `None` if not even its prefix and data are all there.
    fn take_run(&mut self) -> Option<u64> {
        let window = self.peek();
        let level = LEVELS.iter().find(|l| window & l.prefix_mask == l.prefix)?;
        if self.left() < level.total_bits {
            return None;
        }
        // The window holds prefix and data of all levels but the last, so look again.
        self.at = self.at.saturating_add(level.prefix_bits as usize);
        let data = self.peek() & level.data_mask;
        self.at = self.at.saturating_add(level.data_bits as usize);
        Some(level.low.saturating_add(data))
    }
}

/// Decodes runs and gives those of set bits to `sink`.
///
/// `code` are the code bytes, of whose last one the upper `pad` bits (0 to 7) are unused; the first
/// run has the value `first` and begins at bit `from` of a bitmap of `bits` bits. Returns the
/// position behind the last run.
///
/// # Errors
///
/// [`WireError::TruncatedCode`] if the bits do not end with a code word;
/// [`WireError::BitmapOverflow`] if a run goes beyond the end. Runs before the bad one have been
/// given to `sink`.
pub fn decode(
    code: &[u8],
    pad: u8,
    first: bool,
    from: u64,
    bits: u64,
    sink: &mut impl BitSink,
) -> Result<u64, WireError> {
    let end = code
        .len()
        .checked_mul(8)
        .and_then(|n| n.checked_sub(usize::from(pad)))
        .ok_or(WireError::TruncatedCode)?;
    let mut reader = BitReader {
        bytes: code,
        at: 0,
        end,
    };
    let mut at = from;
    let mut value = first;
    while reader.left() > 0 {
        let run = reader.take_run().ok_or(WireError::TruncatedCode)?;
        let next = at.checked_add(run).ok_or(WireError::BitmapOverflow)?;
        if next > bits {
            return Err(WireError::BitmapOverflow);
        }
        if value {
            sink.set_bits(at, run);
        }
        at = next;
        value = !value;
    }
    Ok(at)
}

/// Writes bits to bytes.
struct BitWriter<'a> {
    bytes: &'a mut [u8],
    /// The byte to write to next.
    index: usize,
    /// Bits of that byte written so far, 0 to 7.
    shift: u32,
}

impl BitWriter<'_> {
    fn room(&self) -> usize {
        let bytes = self.bytes.len().saturating_sub(self.index);
        bytes.saturating_mul(8).saturating_sub(self.shift as usize)
    }

    /// Writes the `count` low bits of `value`, above which it is zero; the caller has checked the
    /// room.
    fn put(&mut self, mut value: u64, mut count: u32) {
        while count > 0 {
            let Some(byte) = self.bytes.get_mut(self.index) else {
                return;
            };
            if self.shift == 0 {
                *byte = 0;
            }
            // Bits of `value` beyond `count` are zero, so that a byte may take more than are left.
            let [low, ..] = value.wrapping_shl(self.shift).to_le_bytes();
            *byte |= low;
            let taken = count.min(8_u32.saturating_sub(self.shift));
            value = value.wrapping_shr(taken);
            count = count.saturating_sub(taken);
            self.shift = self.shift.saturating_add(taken);
            if self.shift >= 8 {
                self.shift = 0;
                self.index = self.index.saturating_add(1);
            }
        }
    }

    /// Writes a run length; `false` if it does not fit or has no code word.
    fn put_run(&mut self, run: u64) -> bool {
        let Some(level) = LEVELS.iter().find(|l| run <= l.high) else {
            return false;
        };
        if run == 0 || self.room() < level.total_bits {
            return false;
        }
        self.put(level.prefix, level.prefix_bits);
        self.put(run.saturating_sub(level.low), level.data_bits);
        true
    }
}

/// What [`encode`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Code bytes used.
    pub size: usize,
    /// Unused bits of the last byte, 0 to 7.
    pub pad: u8,
    /// Value of the first run.
    pub first: bool,
    /// Bits of the bitmap covered.
    pub bits: u64,
}

impl Encoded {
    /// The code is shorter than the bits it stands for.
    #[must_use]
    pub const fn is_shorter(&self) -> bool {
        self.bits >= (self.size as u64).saturating_mul(8)
    }
}

/// Encodes `source` from bit `from` on until the bitmap ends or the next code word does not fit
/// in `out`. `None` if there is nothing left, or not even one code word fits.
pub fn encode(source: &impl BitSource, from: u64, out: &mut [u8]) -> Option<Encoded> {
    let bits = source.bits();
    if from >= bits {
        return None;
    }
    let first = source.bit(from);
    let mut writer = BitWriter {
        bytes: out,
        index: 0,
        shift: 0,
    };
    let mut at = from;
    let mut value = first;
    while at < bits {
        let next = source.next_change(at, value);
        let Some(run) = next.checked_sub(at) else {
            break;
        };
        if !writer.put_run(run) {
            break;
        }
        at = next;
        value = !value;
    }
    if at == from {
        return None;
    }
    // A byte begun is a byte sent; what is left of it is the pad.
    let (size, pad) = match writer.shift {
        0 => (writer.index, 0),
        used => (writer.index.saturating_add(1), 8_u32.saturating_sub(used)),
    };
    Some(Encoded {
        size,
        pad: u8::try_from(pad).ok()?,
        first,
        bits: at.saturating_sub(from),
    })
}

#[cfg(test)]
pub(crate) mod tests;
