// SPDX-License-Identifier: GPL-2.0

//! Bios that were submitted to our disk.
//!
//! The block layer counts what a bio still waits for (`__bi_remaining`), and ends it when the count
//! is zero. [`UpperBio`] is the part that carries the verdict; an [`UpperHold`] is one more part
//! without a say, for whoever still uses the pages: a clone below, or a send that is under way. So
//! the pages stay ours until all are done, whatever the order.

use core::{
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::bindings;

use super::{
    super::{
        data::Data,
        llist::{
            Link,
            Linked,
            OwningPointer, //
        },
    },
    Op,
    OpFlags,
    Status, //
};

/// A bio from above. Dropping it without [`UpperBio::end`] ends it with an I/O error.
///
/// # Invariants
///
/// `bio` is a bio that was submitted to our disk and isn't ended; one count of `__bi_remaining` is
/// ours, and the count is in use (`BIO_CHAIN`).
pub(crate) struct UpperBio {
    bio: NonNull<bindings::bio>,
}

// SAFETY: A bio may be ended from any thread.
unsafe impl Send for UpperBio {}
// SAFETY: Shared access only reads, and holds with an atomic count.
unsafe impl Sync for UpperBio {}

impl UpperBio {
    /// Takes over a bio.
    ///
    /// # Safety
    ///
    /// `bio` was submitted to our disk, and is ours to end.
    pub(in super::super) unsafe fn from_raw(bio: NonNull<bindings::bio>) -> Self {
        // Without this flag the count is not looked at. It is set while nobody else knows the bio,
        // because the flags are no atomic word.
        // SAFETY: By the requirement the bio is ours alone.
        unsafe { (*bio.as_ptr()).bi_flags |= 1 << bindings::BIO_CHAIN };
        // INVARIANT: By the requirement, and the count starts at one.
        Self { bio }
    }

    /// The operation.
    #[inline]
    pub(crate) fn op(&self) -> Op {
        // SAFETY: By the type invariant the bio lives.
        Op::from_raw(unsafe { (*self.bio.as_ptr()).bi_opf })
    }

    /// The flags.
    #[inline]
    pub(crate) fn flags(&self) -> OpFlags {
        // SAFETY: By the type invariant the bio lives.
        OpFlags(unsafe { (*self.bio.as_ptr()).bi_opf } & !super::OP_MASK)
    }

    /// The first sector.
    #[inline]
    pub(crate) fn sector(&self) -> u64 {
        // SAFETY: By the type invariant the bio lives, and nobody advances it.
        unsafe { (*self.bio.as_ptr()).bi_iter.bi_sector }
    }

    /// The size in bytes; 0 for a mere flush.
    #[inline]
    pub(crate) fn bytes(&self) -> u32 {
        // SAFETY: By the type invariant the bio lives, and nobody advances it.
        unsafe { (*self.bio.as_ptr()).bi_iter.bi_size }
    }

    /// The payload: empty unless it is a read or a write.
    pub(crate) fn data(&self) -> Data<'_> {
        // SAFETY: The bio isn't ended while `self` is borrowed.
        unsafe { payload(self.bio) }
    }

    /// One more part without a say: the bio doesn't end before it is dropped.
    pub(crate) fn hold(&self) -> UpperHold {
        // SAFETY: By the type invariant the bio lives, and its count is in use and at least one.
        unsafe { bindings::atomic_inc(&raw mut (*self.bio.as_ptr()).__bi_remaining) };
        // INVARIANT: The count is that of the new hold.
        UpperHold { bio: self.bio }
    }

    /// Ends it. Any context; in atomic context the caller must hold no lock.
    pub(crate) fn end(self, status: Status) {
        let bio = ManuallyDrop::new(self).bio.as_ptr();
        // SAFETY: By the type invariant the bio lives and one count is ours. Only we write the
        // status: holds don't.
        unsafe {
            if !status.is_ok() {
                (*bio).bi_status = status.0;
            }
            bindings::bio_endio(bio);
        }
    }

    /// Counts it in the statistics of the disk, from now on.
    pub(crate) fn start_accounting(&self) -> AccountingStart {
        // SAFETY: By the type invariant the bio lives.
        AccountingStart(unsafe { bindings::bio_start_io_acct(self.bio.as_ptr()) })
    }

    /// Counts it as done. Once, before [`UpperBio::end`].
    pub(crate) fn end_accounting(&self, start: AccountingStart) {
        let bio = self.bio.as_ptr();
        // SAFETY: By the type invariant the bio lives; it is still one of our own disk.
        unsafe { bindings::bio_end_io_acct_remapped(bio, start.0, (*bio).bi_bdev) };
    }

    pub(super) fn as_raw(&self) -> *mut bindings::bio {
        self.bio.as_ptr()
    }
}

impl Drop for UpperBio {
    fn drop(&mut self) {
        let bio = self.bio.as_ptr();
        // SAFETY: As in `end`.
        unsafe {
            (*bio).bi_status = Status::IO_ERROR.0;
            bindings::bio_endio(bio);
        }
    }
}

/// When a bio began to count in the statistics (jiffies).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountingStart(usize);

impl AccountingStart {
    /// As a number, for an atomic.
    pub(crate) fn to_raw(self) -> usize {
        self.0
    }

    /// What [`AccountingStart::to_raw`] told. Another number only makes a statistic wrong.
    pub(crate) fn from_raw(raw: usize) -> Self {
        Self(raw)
    }
}

/// Keeps a bio from above, and so its pages, from ending.
///
/// # Invariants
///
/// As for [`UpperBio`].
pub(crate) struct UpperHold {
    bio: NonNull<bindings::bio>,
}

// SAFETY: A count may be given up from any thread.
unsafe impl Send for UpperHold {}
// SAFETY: Shared access only reads.
unsafe impl Sync for UpperHold {}

impl UpperHold {
    /// The payload: empty unless it is a read or a write.
    pub(crate) fn data(&self) -> Data<'_> {
        // SAFETY: The bio isn't ended while `self` is borrowed.
        unsafe { payload(self.bio) }
    }

    /// One more.
    pub(crate) fn share(&self) -> UpperHold {
        // SAFETY: By the type invariant the bio lives, and its count is in use and at least one.
        unsafe { bindings::atomic_inc(&raw mut (*self.bio.as_ptr()).__bi_remaining) };
        // INVARIANT: The count is that of the new hold.
        UpperHold { bio: self.bio }
    }
}

impl Drop for UpperHold {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one count is ours. If it is the last one, the verdict has
        // been written before.
        unsafe { bindings::bio_endio(self.bio.as_ptr()) };
    }
}

/// # Safety
///
/// `bio` lives and is neither ended nor advanced during `'a`.
unsafe fn payload<'a>(bio: NonNull<bindings::bio>) -> Data<'a> {
    let bio = bio.as_ptr();
    // SAFETY: By the requirement.
    unsafe {
        match Op::from_raw((*bio).bi_opf) {
            Op::Read | Op::Write => Data::of_bio(bio),
            // The others have a size but no pages.
            Op::Discard | Op::WriteZeroes | Op::Other => Data::from_raw(ptr::null(), 0, 0),
        }
    }
}

/// The place of an [`UpperBio`] in a shared object, from which it is taken once.
///
/// # Invariants
///
/// The pointer is null, or stands for an [`UpperBio`] that the cell owns.
pub(crate) struct UpperCell(AtomicPtr<bindings::bio>);

impl UpperCell {
    /// An empty place.
    pub(crate) const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A place with a bio.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn new(bio: UpperBio) -> Self {
        // INVARIANT: The cell owns it from now on.
        Self(AtomicPtr::new(ManuallyDrop::new(bio).bio.as_ptr()))
    }

    /// Puts a bio into the place. One that was there before ends with an I/O error.
    pub(crate) fn put(&self, bio: UpperBio) {
        // INVARIANT: The cell owns it from now on, and what was there is taken out.
        let new = ManuallyDrop::new(bio).bio.as_ptr();
        if let Some(bio) = NonNull::new(self.0.swap(new, Ordering::AcqRel)) {
            drop(UpperBio { bio });
        }
    }

    /// Takes the bio, if it is still there. Any context.
    pub(crate) fn take(&self) -> Option<UpperBio> {
        let bio = NonNull::new(self.0.swap(ptr::null_mut(), Ordering::AcqRel))?;
        // INVARIANT: The cell owned it, and no longer does.
        Some(UpperBio { bio })
    }
}

impl Drop for UpperCell {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// A bio as a list sees it; never made.
#[repr(transparent)]
pub(crate) struct Listed(bindings::bio);

// SAFETY: `bi_next` belongs to whoever owns the bio; `into_raw` makes it a link.
unsafe impl Linked<0> for Listed {
    const OFFSET: usize = offset_of!(bindings::bio, bi_next);
}

// SAFETY: A bio doesn't move.
unsafe impl OwningPointer for UpperBio {
    type Target = Listed;

    fn into_raw(self) -> *const Listed {
        let bio = ManuallyDrop::new(self).bio.as_ptr();
        // SAFETY: The bio is ours, and `bi_next` with it; a link is a pointer, like `bi_next`.
        unsafe { (&raw mut (*bio).bi_next).cast::<Link>().write(Link::new()) };
        bio.cast_const().cast()
    }

    unsafe fn from_raw(object: *const Listed) -> Self {
        let bio = object.cast_mut().cast::<bindings::bio>();
        // SAFETY: By the requirement it comes from `into_raw`, so the bio is ours again.
        unsafe { (*bio).bi_next = ptr::null_mut() };
        // SAFETY: `into_raw` made it from a pointer that isn't null.
        let bio = unsafe { NonNull::new_unchecked(bio) };
        // INVARIANT: It was an `UpperBio` before.
        Self { bio }
    }
}
