// SPDX-License-Identifier: GPL-2.0

//! A pointer that is read without a lock: what it points to lives as long as somebody reads it.
//!
//! C header: `include/linux/srcu.h`

use core::{
    ops::Deref,
    ptr::NonNull,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

use super::{
    new_srcu,
    Srcu,
    SrcuGuard, //
};

/// An object, or none, that many read and seldom somebody exchanges.
///
/// # Invariants
///
/// `object` is null, or comes from [`Arc::into_raw`] and has that reference. It is given up only
/// when no reader of `readers` can have seen it any more.
#[pin_data(PinnedDrop)]
pub(crate) struct Guarded<T: Send + Sync> {
    #[pin]
    readers: Srcu,
    object: AtomicPtr<T>,
}

/// The object, as long as it is being read. Whoever exchanges it waits for that.
///
/// # Invariants
///
/// `object` was found in a [`Guarded`] after `_guard` had been taken of its readers.
pub(crate) struct Reading<'a, T: Send + Sync> {
    object: NonNull<T>,
    _guard: SrcuGuard<'a>,
}

impl<T: Send + Sync> Guarded<T> {
    /// Without an object. May sleep.
    pub(crate) fn none() -> impl PinInit<Self, Error> {
        // INVARIANT: There is none.
        try_pin_init!(Self {
            readers <- new_srcu!(),
            object: AtomicPtr::new(core::ptr::null_mut()),
        })
    }

    /// The object, if there is one. Any context.
    #[inline]
    pub(crate) fn read(&self) -> Option<Reading<'_, T>> {
        let guard = self.readers.read_lock();
        let object = NonNull::new(self.object.load(Ordering::Acquire))?;
        // INVARIANT: The guard was taken before.
        Some(Reading {
            object,
            _guard: guard,
        })
    }

    /// Puts another object in place, or none. Gives the old one, which nobody reads any more.
    /// Waits for who does: may sleep.
    pub(crate) fn replace(&self, new: Option<Arc<T>>) -> Option<Arc<T>> {
        let new = new.map_or(core::ptr::null_mut(), |new| Arc::into_raw(new).cast_mut());
        // INVARIANT: The new one is as it must be; the old one is given up behind the wait.
        let old = self.object.swap(new, Ordering::AcqRel);
        if old.is_null() {
            return None;
        }
        self.readers.synchronize();
        // SAFETY: By the type invariant it comes from `into_raw`; the swap took it, and who had
        // found it before has ended.
        Some(unsafe { Arc::from_raw(old) })
    }
}

#[pinned_drop]
impl<T: Send + Sync> PinnedDrop for Guarded<T> {
    fn drop(self: Pin<&mut Self>) {
        let _ = self.replace(None);
    }
}

impl<T: Send + Sync> Reading<'_, T> {
    /// A reference that outlives the reading.
    pub(crate) fn share(&self) -> Arc<T> {
        // SAFETY: By the type invariants the object comes from `into_raw`, and its reference is not
        // given up before the guard is.
        unsafe { ArcBorrow::from_raw(self.object.as_ptr()) }.into()
    }
}

impl<T: Send + Sync> Deref for Reading<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariants the object lives as long as the guard; an `Arc` is only
        // read.
        unsafe { self.object.as_ref() }
    }
}
