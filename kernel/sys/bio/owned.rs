// SPDX-License-Identifier: GPL-2.0

//! Objects of ours with a bio in them.
//!
//! A request needs memory for itself and for the bio that goes to the disk. Both come in one piece
//! from a [`BioSet`], which keeps some in reserve, so that a machine without free memory can still
//! write. An object has two faces:
//!
//! - its data `T`, shared by any number of [`BioArc`]s;
//! - its bio, which one [`OwnedBio`] has the right to, and nobody during the I/O:
//!   [`ReadyBio::submit`] takes the right, and [`EndIo::end_io`] gets it back.
//!
//! The bio either borrows the pages of a bio from above ([`Borrowed`]), or it has pages of its own
//! ([`Buffer`]), which a socket can fill and drain.
//!
//! The last owner of an object may be an interrupt: dropping `T` must not sleep.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull,
    sync::atomic::Ordering, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc, //
};

use super::{
    super::{
        bdev::BackingDev,
        data::Data,
        gfp,
        llist::OwningPointer, //
    },
    set::{
        bio_of_data,
        front_of,
        put,
        take_apart, //
    },
    Borrowed,
    Buffer,
    EndIo,
    OpFlags,
    Status,
    UpperBio, //
};

/// The right to the bio of an object, and a reference to the object.
///
/// # Invariants
///
/// `bio` belongs to an object of a `BioSet<T>`, one reference of which is ours; no I/O of it is
/// under way, and no other `OwnedBio` of the object exists.
pub(crate) struct OwnedBio<T: EndIo> {
    bio: NonNull<bindings::bio>,
    _owns: PhantomData<T>,
}

// SAFETY: A bio may be used from any thread, and `T` is `Send + Sync`.
unsafe impl<T: EndIo> Send for OwnedBio<T> {}
// SAFETY: As above; shared access only reads.
unsafe impl<T: EndIo> Sync for OwnedBio<T> {}

impl<T: EndIo> OwnedBio<T> {
    /// A shared reference to the object.
    pub(crate) fn share(&self) -> BioArc<T> {
        let front = front_of::<T>(self.bio);
        // SAFETY: The object lives. Overflow would take more references than memory holds.
        unsafe { (*front).refs.fetch_add(1, Ordering::Relaxed) };
        // INVARIANT: The new count is that of the new reference.
        BioArc {
            bio: self.bio,
            _owns: PhantomData,
        }
    }

    /// Gives up the right to the bio, and keeps the object.
    pub(crate) fn into_shared(self) -> BioArc<T> {
        // INVARIANT: Our count is that of the new reference.
        BioArc {
            bio: ManuallyDrop::new(self).bio,
            _owns: PhantomData,
        }
    }

    /// The data, to be changed, if nobody else has a reference to the object.
    pub(crate) fn data_mut(&mut self) -> Option<&mut T> {
        let front = front_of::<T>(self.bio);
        // SAFETY: The object lives. A count of one is ours; nobody can make a second one while
        // `self` is borrowed.
        unsafe {
            if (*front).refs.load(Ordering::Acquire) != 1 {
                return None;
            }
            Some(&mut (*front).data)
        }
    }

    /// Takes an object apart that nobody else has a reference to.
    ///
    /// # Safety
    ///
    /// No [`BioArc`] of it exists.
    pub(super) unsafe fn into_data(self) -> T {
        let bio = ManuallyDrop::new(self).bio;
        // SAFETY: By the requirement and the type invariant the object is ours alone.
        unsafe { take_apart(bio) }
    }

    /// # Safety
    ///
    /// As in the type invariant.
    pub(super) unsafe fn from_raw_bio(bio: NonNull<bindings::bio>) -> Self {
        // INVARIANT: By the requirement.
        Self {
            bio,
            _owns: PhantomData,
        }
    }

    pub(super) fn bio(&self) -> NonNull<bindings::bio> {
        self.bio
    }

    /// Makes the bio ready for `opf` on its own pages (none, if `bytes` is 0).
    fn prepare<'d>(
        self,
        device: &'d Arc<BackingDev>,
        opf: u32,
        sector: u64,
        bytes: u32,
    ) -> ReadyBio<'d, T> {
        let bio = self.bio.as_ptr();
        let front = front_of::<T>(self.bio);
        // SAFETY: The bio is ours. `bio_reset` keeps its vectors and its pool; the flag tells where
        // its memory goes at the end. The device is open.
        unsafe {
            let cached = (*bio).bi_opf & CACHED;
            bindings::bio_reset(bio, device.as_raw(), opf | cached);
            (*bio).bi_iter.bi_sector = sector;
            (*bio).bi_iter.bi_size = bytes;
            (*bio).bi_vcnt = if bytes == 0 { 0 } else { (*front).pages as u16 };
        }
        ReadyBio { bio: self, device }
    }

    /// A flush of the volatile cache, without data. What the device has ended before is then on
    /// stable storage.
    pub(crate) fn flush(self, device: &Arc<BackingDev>) -> ReadyBio<'_, T> {
        let flags = OpFlags::PREFLUSH.with(OpFlags::SYNC);
        self.prepare(device, bindings::req_op_REQ_OP_WRITE | flags.0, 0, 0)
    }
}

/// The flag of a bio whose memory goes back to the cache of a processor.
const CACHED: u32 = 1 << bindings::req_flag_bits___REQ_ALLOC_CACHE;

impl<T: EndIo<Payload = Borrowed>> OwnedBio<T> {
    /// The same I/O as `upper`, for `device`, with these flags. The pages stay with us until the
    /// I/O has ended: `upper` doesn't end earlier, even if it is told to.
    ///
    /// Gives `self` back if memory is short (only possible for bios with encryption contexts, which
    /// our disk doesn't offer). May sleep then.
    pub(crate) fn clone_of<'d>(
        self,
        upper: &UpperBio,
        device: &'d Arc<BackingDev>,
        flags: OpFlags,
    ) -> Result<ReadyBio<'d, T>, Self> {
        let bio = self.bio.as_ptr();
        let from = upper.as_raw();
        // SAFETY: Our bio has no vectors of its own, so it can be initialised anew; what
        // `bio_alloc_bioset` wrote besides is kept over that. The upper bio lives.
        unsafe {
            let pool = (*bio).bi_pool;
            let cached = (*bio).bi_opf & CACHED;
            bindings::bio_uninit(bio);
            let failed = bindings::bio_init_clone(device.as_raw(), bio, from, gfp::NOIO) != 0;
            (*bio).bi_pool = pool;
            (*bio).bi_opf = ((*from).bi_opf & super::OP_MASK) | flags.0 | cached;
            if failed {
                return Err(self);
            }
            (*front_of::<T>(self.bio)).hold = Some(upper.hold());
        }
        Ok(ReadyBio { bio: self, device })
    }
}

impl<T: EndIo<Payload = Buffer>> OwnedBio<T> {
    /// The bytes of its own.
    pub(crate) fn bytes(&self) -> u32 {
        // SAFETY: The object lives; only its maker wrote this.
        unsafe { (*front_of::<T>(self.bio)).bytes }
    }

    /// Its own pages.
    pub(crate) fn data(&self) -> Data<'_> {
        // SAFETY: The object lives while `self` is borrowed, and so long no I/O changes the bio.
        unsafe {
            let first = (*self.bio.as_ptr()).bi_io_vec;
            Data::from_raw(first, 0, self.bytes())
        }
    }

    /// Reads into all of its pages.
    pub(crate) fn read(
        self,
        device: &Arc<BackingDev>,
        sector: u64,
        flags: OpFlags,
    ) -> ReadyBio<'_, T> {
        let bytes = self.bytes();
        self.prepare(
            device,
            bindings::req_op_REQ_OP_READ | flags.0,
            sector,
            bytes,
        )
    }

    /// Writes all of its pages.
    pub(crate) fn write(
        self,
        device: &Arc<BackingDev>,
        sector: u64,
        flags: OpFlags,
    ) -> ReadyBio<'_, T> {
        let bytes = self.bytes();
        self.prepare(
            device,
            bindings::req_op_REQ_OP_WRITE | flags.0,
            sector,
            bytes,
        )
    }
}

impl<T: EndIo> Deref for OwnedBio<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The object lives while we own a reference.
        unsafe { &(*front_of::<T>(self.bio)).data }
    }
}

impl<T: EndIo> Drop for OwnedBio<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one reference is ours.
        unsafe { put::<T>(self.bio) };
    }
}

/// A bio that can be submitted.
pub(crate) struct ReadyBio<'d, T: EndIo> {
    bio: OwnedBio<T>,
    device: &'d Arc<BackingDev>,
}

impl<T: EndIo> ReadyBio<'_, T> {
    /// A shared reference to the object.
    pub(crate) fn share(&self) -> BioArc<T> {
        self.bio.share()
    }

    /// The data, to be changed, if nobody else has a reference to the object.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn data_mut(&mut self) -> Option<&mut T> {
        self.bio.data_mut()
    }

    /// Starts the I/O. [`EndIo::end_io`] is called when it has ended, perhaps before this returns.
    /// May sleep, unless it is called by our disk's `submit_bio`: then the bio goes out after that
    /// has returned.
    pub(crate) fn submit(self) {
        let bio = ManuallyDrop::new(self.bio).bio;
        let in_flight = self.device.in_flight();
        in_flight.fetch_add(1, Ordering::Relaxed);
        // SAFETY: The bio is ours and complete. The counter keeps the device from being closed, and
        // lives as long as the device.
        unsafe {
            (*front_of::<T>(bio)).in_flight = in_flight;
            (*bio.as_ptr()).bi_end_io = Some(end_io::<T>);
            bindings::submit_bio_noacct(bio.as_ptr());
        }
    }

    /// Gives up the plan.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn cancel(self) -> OwnedBio<T> {
        let bio = self.bio;
        // SAFETY: The bio is ours.
        unsafe { (*front_of::<T>(bio.bio)).hold = None };
        bio
    }
}

/// What the block layer calls when the I/O has ended.
///
/// # Safety
///
/// `bio` was submitted by [`ReadyBio::submit`] of the same type, and has ended.
unsafe extern "C" fn end_io<T: EndIo>(bio: *mut bindings::bio) {
    // SAFETY: The block layer passes the bio that has ended.
    let bio = unsafe { NonNull::new_unchecked(bio) };
    let front = front_of::<T>(bio);
    // SAFETY: The bio was submitted by `submit`, which left the right to it to us. The device is
    // open as long as it counts us; afterwards we don't touch it.
    let status = unsafe {
        drop((*front).hold.take());
        (*(*front).in_flight).fetch_sub(1, Ordering::Release);
        (*bio.as_ptr()).bi_status
    };
    // INVARIANT: The I/O has ended, and `submit` gave up its `OwnedBio`.
    T::end_io(
        OwnedBio {
            bio,
            _owns: PhantomData,
        },
        Status(status),
    );
}

/// A shared reference to an object with a bio.
///
/// # Invariants
///
/// `bio` belongs to an object of a `BioSet<T>`, one reference of which is ours.
pub(crate) struct BioArc<T: EndIo> {
    bio: NonNull<bindings::bio>,
    _owns: PhantomData<T>,
}

// SAFETY: `T` is `Send + Sync`, and the count is atomic.
unsafe impl<T: EndIo> Send for BioArc<T> {}
// SAFETY: `T` is `Send + Sync`, and the count is atomic.
unsafe impl<T: EndIo> Sync for BioArc<T> {}

impl<T: EndIo> Clone for BioArc<T> {
    fn clone(&self) -> Self {
        let front = front_of::<T>(self.bio);
        // SAFETY: The object lives. Overflow would take more references than memory holds.
        unsafe { (*front).refs.fetch_add(1, Ordering::Relaxed) };
        // INVARIANT: The new count is that of the new reference.
        Self {
            bio: self.bio,
            _owns: PhantomData,
        }
    }
}

impl<T: EndIo> Deref for BioArc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The object lives while we own a reference.
        unsafe { &(*front_of::<T>(self.bio)).data }
    }
}

impl<T: EndIo> Drop for BioArc<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one reference is ours.
        unsafe { put::<T>(self.bio) };
    }
}

// SAFETY: The object doesn't move, and its raw form keeps the count.
unsafe impl<T: EndIo> OwningPointer for BioArc<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        let bio = ManuallyDrop::new(self).bio;
        // SAFETY: The object lives; this only computes an address.
        unsafe { &raw const (*front_of::<T>(bio)).data }
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // INVARIANT: `into_raw` gave up the count that is ours again.
        Self {
            bio: bio_of_data(object),
            _owns: PhantomData,
        }
    }
}

// SAFETY: The object doesn't move, and its raw form keeps the count and the right.
unsafe impl<T: EndIo> OwningPointer for OwnedBio<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        let bio = ManuallyDrop::new(self).bio;
        // SAFETY: The object lives; this only computes an address.
        unsafe { &raw const (*front_of::<T>(bio)).data }
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // INVARIANT: `into_raw` gave up the count and the right that are ours again.
        Self {
            bio: bio_of_data(object),
            _owns: PhantomData,
        }
    }
}
