// SPDX-License-Identifier: GPL-2.0
//! The bitmap exchange: plain and compressed packets, and how far a transfer has come.
//!
//! docs/protocol.md, "Bitmap exchange". The position is not in the packets: both nodes count with a
//! [`BitmapCursor`]. A plain packet begins at a 64-bit word, so that after a compressed one that
//! ended within a word the position is rounded down; a few bits are sent twice then, which an OR
//! does not mind.

use super::{Agreed, Command, Header, HeaderFormat, WireError};
use crate::vli::{self, BitSink, BitSource, WORD_BITS};

/// Bytes of a packet with its header.
const PACKET_SIZE_MAX: u64 = 4096;
/// Bytes of a word of the bitmap.
const WORD_SIZE: u64 = 8;

/// The payload of P_COMPRESSED_BITMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressedBitmap<'a> {
    /// Value of the first run.
    pub first: bool,
    /// Unused bits of the last code byte, 0 to 7.
    pub pad: u8,
    /// The code; at least one byte.
    pub code: &'a [u8],
}

impl<'a> CompressedBitmap<'a> {
    /// The encoding byte and one code byte.
    pub const SIZE_MIN: usize = 2;
    /// Run lengths as bitwise variable-length integers; the only encoding in use.
    const RLE_VLI_BITS: u8 = 2;
    const FIRST_SET: u8 = 0x80;

    /// Reads the payload; `bytes` is all of it.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`]; [`WireError::BadEncoding`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (encoding, code) = bytes.split_first().ok_or(WireError::Truncated)?;
        if code.is_empty() {
            return Err(WireError::Truncated);
        }
        if encoding & 0x0f != Self::RLE_VLI_BITS {
            return Err(WireError::BadEncoding(*encoding));
        }
        Ok(CompressedBitmap {
            first: encoding & Self::FIRST_SET != 0,
            pad: (encoding >> 4) & 7,
            code,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let at = super::put_bytes(&[Self::encoding(self.first, self.pad)], 0, out)?;
        super::put_bytes(self.code, at, out)
    }

    const fn encoding(first: bool, pad: u8) -> u8 {
        Self::RLE_VLI_BITS | ((pad & 7) << 4) | if first { Self::FIRST_SET } else { 0 }
    }
}

/// How far the transfer of a bitmap has come, at the sender or at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapCursor {
    bits: u64,
    /// First bit not transferred yet; at most `bits`.
    at: u64,
    done: bool,
}

/// What [`BitmapCursor::emit_next`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitmapPacket {
    /// Bytes of the packet with its header.
    pub size: usize,
    /// The packet is compressed.
    pub compressed: bool,
    /// It was the last one.
    pub done: bool,
}

impl BitmapCursor {
    /// The beginning of a bitmap of so many bits.
    #[must_use]
    pub const fn new(bits: u64) -> BitmapCursor {
        BitmapCursor {
            bits,
            at: 0,
            done: false,
        }
    }

    /// Number of bits.
    #[must_use]
    pub const fn bits(&self) -> u64 {
        self.bits
    }

    /// The first bit not transferred yet.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// The last packet has been seen.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes of payload that a plain packet has now; 0 for the one that ends the transfer.
    #[must_use]
    pub fn plain_size(&self, agreed: &Agreed) -> u32 {
        let chunk = chunk_size(agreed);
        let words = self.bits.div_ceil(WORD_BITS);
        let left = words.saturating_sub(self.next_word());
        let size = left.saturating_mul(WORD_SIZE).min(chunk);
        u32::try_from(size).unwrap_or(0)
    }

    /// The word at which a plain packet begins now.
    const fn next_word(&self) -> u64 {
        if self.at == self.bits {
            // A plain packet that reached the end leaves nothing of the last word.
            self.bits.div_ceil(WORD_BITS)
        } else {
            self.at / WORD_BITS
        }
    }

    fn advance_plain(&mut self, size: u32) {
        if size == 0 {
            self.done = true;
            return;
        }
        let words = u64::from(size) / WORD_SIZE;
        self.at = self
            .next_word()
            .saturating_add(words)
            .saturating_mul(WORD_BITS)
            .min(self.bits);
    }

    fn advance_compressed(&mut self, at: u64) {
        self.at = at.min(self.bits);
        self.done = self.at == self.bits;
    }

    /// Takes a P_BITMAP: ORs its words into `sink`. Returns whether the transfer is done.
    ///
    /// # Errors
    ///
    /// [`WireError::BitmapOverflow`] if the size is not the one that is due, or the transfer was
    /// done before.
    pub fn take_plain(
        &mut self,
        payload: &[u8],
        agreed: &Agreed,
        sink: &mut impl BitSink,
    ) -> Result<bool, WireError> {
        let due = self.plain_size(agreed);
        if self.done || u32::try_from(payload.len()) != Ok(due) {
            return Err(WireError::BitmapOverflow);
        }
        let mut index = self.next_word();
        for bytes in payload.chunks_exact(8) {
            let word = bytes
                .first_chunk::<8>()
                .map_or(0, |b| u64::from_le_bytes(*b));
            let valid = word & self.valid_mask(index);
            if valid != 0 {
                sink.or_word(index, valid);
            }
            index = index.saturating_add(1);
        }
        self.advance_plain(due);
        Ok(self.done)
    }

    /// Takes a P_COMPRESSED_BITMAP. Returns whether the transfer is done.
    ///
    /// # Errors
    ///
    /// [`WireError::BitmapOverflow`], [`WireError::TruncatedCode`].
    pub fn take_compressed(
        &mut self,
        packet: &CompressedBitmap<'_>,
        sink: &mut impl BitSink,
    ) -> Result<bool, WireError> {
        if self.done {
            return Err(WireError::BitmapOverflow);
        }
        let at = vli::decode(
            packet.code,
            packet.pad,
            packet.first,
            self.at,
            self.bits,
            sink,
        )?;
        self.advance_compressed(at);
        Ok(self.done)
    }

    /// Writes the next packet, header included, to `out`, which should have 4096 bytes.
    ///
    /// With `compress` (`use-rle`, and [`super::ProtocolVersion::has_compressed_bitmap`]) the
    /// packet is compressed if that is shorter.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`] for a short buffer. [`WireError::BitmapOverflow`] if the transfer was
    /// done before.
    pub fn emit_next(
        &mut self,
        source: &impl BitSource,
        volume: u16,
        agreed: &Agreed,
        compress: bool,
        out: &mut [u8],
    ) -> Result<BitmapPacket, WireError> {
        if self.done {
            return Err(WireError::BitmapOverflow);
        }
        let format = HeaderFormat::of(agreed.version);
        let compressed = if compress && agreed.version.has_compressed_bitmap() {
            self.emit_compressed(source, format, out)
        } else {
            None
        };
        let (command, size) = match compressed {
            Some(size) => (Command::CompressedBitmap, size),
            None => (Command::Bitmap, self.emit_plain(source, agreed, out)?),
        };
        let length = u32::try_from(size).map_err(|_| WireError::NoRoom)?;
        let header = format.emit(
            &Header {
                command,
                length,
                volume,
            },
            out,
        )?;
        Ok(BitmapPacket {
            size: header.saturating_add(size),
            compressed: compressed.is_some(),
            done: self.done,
        })
    }

    /// Tries a compressed payload; `None` if a plain one is shorter, or nothing fits.
    fn emit_compressed(
        &mut self,
        source: &impl BitSource,
        format: HeaderFormat,
        out: &mut [u8],
    ) -> Option<usize> {
        let end = usize::try_from(PACKET_SIZE_MAX).ok()?.min(out.len());
        let (encoding, code) = out.get_mut(format.size()..end)?.split_first_mut()?;
        let encoded = vli::encode(
            &Clamped {
                source,
                bits: self.bits,
            },
            self.at,
            code,
        )?;
        if !encoded.is_shorter() {
            return None;
        }
        *encoding = CompressedBitmap::encoding(encoded.first, encoded.pad);
        self.advance_compressed(self.at.saturating_add(encoded.bits));
        encoded.size.checked_add(1)
    }

    fn emit_plain(
        &mut self,
        source: &impl BitSource,
        agreed: &Agreed,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let start = HeaderFormat::of(agreed.version).size();
        let due = self.plain_size(agreed);
        let size = usize::try_from(due).map_err(|_| WireError::NoRoom)?;
        let end = start.checked_add(size).ok_or(WireError::NoRoom)?;
        let payload = out.get_mut(start..end).ok_or(WireError::NoRoom)?;
        let mut index = self.next_word();
        for bytes in payload.chunks_exact_mut(8) {
            let word = source.word(index) & self.valid_mask(index);
            for (to, from) in bytes.iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
            index = index.saturating_add(1);
        }
        self.advance_plain(due);
        Ok(size)
    }

    /// The bits of word `index` that belong to the bitmap.
    const fn valid_mask(&self, index: u64) -> u64 {
        let valid = self.bits.saturating_sub(index.saturating_mul(WORD_BITS));
        if valid >= WORD_BITS {
            u64::MAX
        } else {
            (1 << valid) - 1
        }
    }
}

/// Payload of a full plain packet in bytes: what fits behind the header, in whole words.
fn chunk_size(agreed: &Agreed) -> u64 {
    let header = HeaderFormat::of(agreed.version).size() as u64;
    PACKET_SIZE_MAX.saturating_sub(header) / WORD_SIZE * WORD_SIZE
}

/// A source cut to the size that the transfer began with.
struct Clamped<'a, S> {
    source: &'a S,
    bits: u64,
}

impl<S: BitSource> BitSource for Clamped<'_, S> {
    fn bits(&self) -> u64 {
        self.bits
    }

    fn word(&self, index: u64) -> u64 {
        self.source.word(index)
    }

    fn next_change(&self, from: u64, value: bool) -> u64 {
        self.source.next_change(from, value).min(self.bits)
    }
}
