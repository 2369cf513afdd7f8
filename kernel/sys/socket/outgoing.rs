// SPDX-License-Identifier: GPL-2.0

//! Packets on their way to a socket: headers and payloads of a whole queue for one call.
//!
//! Headers are written into a page of our own, payloads stay in the pages of the bios from above.
//! If all payloads may be spliced, the socket takes the pages, also that of the headers: a part of
//! it that was sent is not written again before the socket has let go of it.

use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

use super::super::{
    bio::UpperHold,
    page::OwnedPage, //
};

/// Pieces that one call sends at most: a header and a page for each of so many small writes.
const PIECES: usize = 64;

/// What is to be sent with the next call.
///
/// # Invariants
///
/// - Each of `pieces` lies in `headers`, before `used`, or in the payload of one of `holds`.
/// - Their lengths add up to `bytes`.
/// - `headers` is initialised, and its first `used` bytes may be in use by a socket.
pub(crate) struct Outgoing {
    pieces: KVec<bindings::bio_vec>,
    bytes: usize,
    headers: OwnedPage,
    used: usize,
    /// The last piece ends at `used`: what is written next belongs to it.
    open: bool,
    holds: KVec<UpperHold>,
    /// All payloads may be spliced. Said by the first one.
    splice: bool,
}

impl Outgoing {
    /// Nothing to send. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            pieces: KVec::with_capacity(PIECES, GFP_KERNEL)?,
            bytes: 0,
            headers: OwnedPage::new_zeroed()?,
            used: 0,
            open: false,
            holds: KVec::with_capacity(PIECES, GFP_KERNEL)?,
            splice: false,
        })
    }

    /// Whether there is nothing to send.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes to send.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Whether a header of `bytes` bytes and a piece of payload still fit.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        PAGE_SIZE.wrapping_sub(self.used) >= bytes && self.pieces.len() < PIECES - 1
    }

    /// Makes room for a header of any size up to a page. Only while there is nothing to send.
    /// May sleep, starts no I/O.
    pub(crate) fn make_room(&mut self) -> Result {
        if self.is_empty() && self.used != 0 {
            self.headers = OwnedPage::new_zeroed()?;
            self.used = 0;
        }
        Ok(())
    }

    /// Where the next header is written; it counts after [`Outgoing::added`].
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let used = self.used;
        self.headers.bytes_mut().get_mut(used..).unwrap_or_default()
    }

    /// So many bytes of the room were written. More than there were, or without a free piece, do
    /// not count.
    pub(crate) fn added(&mut self, bytes: usize) {
        let bytes = bytes.min(PAGE_SIZE.wrapping_sub(self.used));
        match self.pieces.last_mut().filter(|_| self.open) {
            Some(last) => last.bv_len = last.bv_len.wrapping_add(bytes as u32),
            None => {
                let piece = bindings::bio_vec {
                    bv_page: self.headers.as_raw(),
                    bv_len: bytes as u32,
                    bv_offset: self.used as u32,
                };
                if self.pieces.push_within_capacity(piece).is_err() {
                    return;
                }
            }
        }
        // INVARIANT: The new bytes are in the last piece.
        self.open = true;
        self.used = self.used.wrapping_add(bytes);
        self.bytes = self.bytes.wrapping_add(bytes);
    }

    /// Adds a payload, to be spliced if it may and `splice` wishes it. Gives it back if it has too
    /// many pieces for what is free, or if the payloads before it are to be sent in the other way.
    pub(crate) fn add(&mut self, hold: UpperHold, splice: bool) -> Result<(), UpperHold> {
        let splice = splice && hold.data().is_spliceable();
        if self.holds.len() == PIECES || (!self.holds.is_empty() && splice != self.splice) {
            return Err(hold);
        }
        let before = self.pieces.len();
        let fits = hold
            .data()
            .vecs()
            .all(|vec| self.pieces.push_within_capacity(vec).is_ok());
        if !fits {
            self.pieces.truncate(before);
            return Err(hold);
        }
        // INVARIANT: The pieces are those of `hold`, which is kept.
        self.bytes = self.bytes.wrapping_add(hold.data().len() as usize);
        self.open = false;
        self.splice = splice;
        // There is room: it was looked at above.
        self.holds.push_within_capacity(hold).map_err(|e| e.0)
    }

    /// All of it was sent: the payloads are let go.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.holds.clear();
        self.bytes = 0;
        self.open = false;
        self.splice = false;
        if !self.headers.is_shared() {
            self.used = 0;
        }
    }

    /// Whether the socket is to take the pages.
    pub(super) fn is_spliced(&self) -> bool {
        self.splice
    }

    pub(super) fn pieces(&self) -> &[bindings::bio_vec] {
        &self.pieces
    }
}
