// SPDX-License-Identifier: GPL-2.0

//! Views of the payload of a bio: pages that a file system, a process or we filled.
//!
//! The bytes may change while we look: a file system may write to a page that it gave us, and a
//! device may still fill it. So a view never gives out a reference to them; it copies, it goes to a
//! socket, or it goes to another bio.
//!
//! C header: `include/linux/bvec.h`

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*, //
};

use super::{
    ffi,
    page, //
};

/// A run of payload bytes that lie in pages here and there.
///
/// # Invariants
///
/// `first` points into an array of `bio_vec`s that stays valid and unchanged during `'a`; from it
/// on there are at least `skip + len` bytes, of which the first `skip` lie in `*first`. No
/// `bio_vec` among these is empty.
#[derive(Clone, Copy)]
pub(crate) struct Data<'a> {
    first: *const bindings::bio_vec,
    skip: u32,
    len: u32,
    _pages: PhantomData<&'a [bindings::bio_vec]>,
}

// SAFETY: The pages may be reached from any thread; the array isn't changed.
unsafe impl Send for Data<'_> {}
// SAFETY: As above.
unsafe impl Sync for Data<'_> {}

/// Bytes of a [`Data`] that are adjacent in memory; possibly several pages.
#[derive(Clone, Copy)]
struct Piece {
    page: NonNull<bindings::page>,
    offset: u32,
    len: u32,
}

impl Piece {
    fn address(&self) -> *mut u8 {
        page::address(self.page)
            .cast::<u8>()
            .wrapping_add(self.offset as usize)
    }
}

impl<'a> Data<'a> {
    /// # Safety
    ///
    /// As in the type invariant.
    pub(super) unsafe fn from_raw(first: *const bindings::bio_vec, skip: u32, len: u32) -> Self {
        // INVARIANT: By the requirement.
        Self {
            first,
            skip,
            len,
            _pages: PhantomData,
        }
    }

    /// What a bio still has to transfer.
    ///
    /// # Safety
    ///
    /// `bio` has a payload (reads and writes have), and neither ends nor advances during `'a`.
    pub(super) unsafe fn of_bio(bio: *const bindings::bio) -> Self {
        // SAFETY: By the requirement the bio and its array live; the iterator lies within.
        unsafe {
            let iter = (*bio).bi_iter;
            let index = iter.bi_idx as usize;
            Self::from_raw((*bio).bi_io_vec.add(index), iter.bi_offset, iter.bi_size)
        }
    }

    /// Bytes.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// At most the first `len` bytes.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn take(self, len: u32) -> Self {
        // INVARIANT: Fewer bytes of the same.
        Self {
            len: self.len.min(len),
            ..self
        }
    }

    /// Without the first `count` bytes (or empty, if there are no more).
    pub(crate) fn skip(mut self, count: u32) -> Self {
        let count = count.min(self.len);
        // INVARIANT: We go on by whole `bio_vec`s as long as the bytes to skip cover them; there
        // are `skip + len` bytes from `first` on, before and after.
        self.len = self.len.wrapping_sub(count);
        let mut skip = self.skip.wrapping_add(count);
        while self.len != 0 {
            // SAFETY: There are bytes left, so this `bio_vec` exists.
            let here = unsafe { (*self.first).bv_len };
            if skip < here {
                break;
            }
            skip = skip.wrapping_sub(here);
            self.first = self.first.wrapping_add(1);
        }
        self.skip = skip;
        self
    }

    /// The first piece, which has at most `self.len` bytes.
    fn first_piece(&self) -> Option<Piece> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: There are bytes left, so this `bio_vec` exists.
        let vec = unsafe { *self.first };
        Some(Piece {
            page: NonNull::new(vec.bv_page)?,
            offset: vec.bv_offset.wrapping_add(self.skip),
            len: vec.bv_len.wrapping_sub(self.skip).min(self.len),
        })
    }

    fn pieces(self) -> impl Iterator<Item = Piece> + 'a {
        let mut rest = self;
        core::iter::from_fn(move || {
            let piece = rest.first_piece()?;
            rest = rest.skip(piece.len);
            Some(piece)
        })
    }

    /// Whether a socket may take the pages themselves instead of copying them. Slab memory, which
    /// XFS uses for its log, may not be taken.
    pub(crate) fn is_spliceable(&self) -> bool {
        self.pieces().all(|piece| {
            // SAFETY: The pages of the piece exist.
            unsafe {
                ffi::shim_sendpages_ok(
                    piece.page.as_ptr(),
                    piece.len as usize,
                    piece.offset as usize,
                )
            }
        })
    }

    /// Calls `f` with the address and the length of each piece, as long as it succeeds. The bytes
    /// may be read while it runs.
    pub(super) fn each_piece(&self, mut f: impl FnMut(*const u8, u32) -> Result) -> Result {
        for piece in self.pieces() {
            f(piece.address(), piece.len)?;
        }
        Ok(())
    }

    /// Copies as much as fits into `to`; gives the number of bytes.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn copy_to(&self, to: &mut [u8]) -> usize {
        let mut done = 0usize;
        for piece in self.pieces() {
            let room = to.get_mut(done..).unwrap_or_default();
            let count = room.len().min(piece.len as usize);
            if count == 0 {
                break;
            }
            // SAFETY: The piece has `count` bytes, and so has the room; they don't overlap, since
            // nobody else has a view of `to`.
            unsafe { core::ptr::copy_nonoverlapping(piece.address(), room.as_mut_ptr(), count) };
            done = done.wrapping_add(count);
        }
        done
    }

    /// Copies as much of `from` as fits into the pages; gives the number of bytes. For a payload
    /// that is to be filled: that of a read, or our own.
    pub(crate) fn copy_from(&self, from: &[u8]) -> usize {
        let mut done = 0usize;
        for piece in self.pieces() {
            let rest = from.get(done..).unwrap_or_default();
            let count = rest.len().min(piece.len as usize);
            if count == 0 {
                break;
            }
            // SAFETY: The piece has `count` bytes, and so has the rest; the pages are no Rust
            // object that `from` could be a view of.
            unsafe { core::ptr::copy_nonoverlapping(rest.as_ptr(), piece.address(), count) };
            done = done.wrapping_add(count);
        }
        done
    }

    /// Copies as much of `from` as fits into the pages. For a payload that is to be filled.
    pub(crate) fn copy_all(&self, from: Data<'_>) {
        let mut to = *self;
        let _ = from.each_piece(|address, len| {
            let mut done = 0u32;
            while let (Some(piece), true) = (to.first_piece(), done < len) {
                let count = piece.len.min(len.wrapping_sub(done));
                // SAFETY: Both pieces have `count` bytes more. Should they overlap, this is still a
                // copy.
                unsafe {
                    core::ptr::copy(
                        address.wrapping_add(done as usize),
                        piece.address(),
                        count as usize,
                    )
                };
                done = done.wrapping_add(count);
                to = to.skip(count);
            }
            Ok(())
        });
    }

    /// Fills all with zeroes.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn zero(&self) {
        for piece in self.pieces() {
            // SAFETY: The piece has so many bytes.
            unsafe { core::ptr::write_bytes(piece.address(), 0, piece.len as usize) };
        }
    }

    /// Whether all bytes are zero.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn is_zero(&self) -> bool {
        self.pieces().all(|piece| {
            // SAFETY: The piece has so many bytes; the function only reads them.
            unsafe { bindings::memchr_inv(piece.address().cast(), 0, piece.len as usize) }.is_null()
        })
    }

    /// What it consists of.
    pub(super) fn vecs(self) -> impl Iterator<Item = bindings::bio_vec> + 'a {
        self.pieces().map(|piece| bindings::bio_vec {
            bv_page: piece.page.as_ptr(),
            bv_len: piece.len,
            bv_offset: piece.offset,
        })
    }

    /// Writes what it consists of to `vecs`; gives how many entries, `None` if they don't fit.
    pub(super) fn copy_vecs(&self, vecs: &mut [bindings::bio_vec]) -> Option<usize> {
        let mut count = 0usize;
        for vec in self.vecs() {
            *vecs.get_mut(count)? = vec;
            count = count.wrapping_add(1);
        }
        Some(count)
    }

    /// An iterator for the network.
    ///
    /// # Safety
    ///
    /// The iterator must not be used after `'a`.
    pub(super) unsafe fn iov_iter(&self, direction: u32) -> bindings::iov_iter {
        let mut count = 0usize;
        let mut rest = *self;
        while let Some(piece) = rest.first_piece() {
            rest = rest.skip(piece.len);
            count = count.wrapping_add(1);
        }
        let mut iter = bindings::iov_iter::default();
        // SAFETY: By the type invariant the array has `count` entries with the bytes.
        unsafe {
            bindings::iov_iter_bvec(&mut iter, direction, self.first, count, self.len as usize)
        };
        iter.iov_offset = self.skip as usize;
        iter
    }
}
