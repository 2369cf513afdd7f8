// SPDX-License-Identifier: GPL-2.0

//! What lives as long as the module is loaded.

use core::{
    ptr,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// A place for one value that is made when the module is loaded.
pub(crate) struct Global<T: Sync + 'static>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Global<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts the value in its place, until what this returns is dropped. To be called by the init
    /// of the module, before anything runs that asks for the value; to be dropped by its exit, when
    /// nothing runs any more. Only the first call puts something there.
    pub(crate) fn install(&'static self, value: Pin<KBox<T>>) -> Result<Installed<T>> {
        // SAFETY: The value stays where it is until it is dropped: it is made a pinned box again.
        let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(value) });
        let empty = ptr::null_mut();
        let placed = self
            .0
            .compare_exchange(empty, raw, Ordering::Release, Ordering::Relaxed);
        // Made first, so that the value is dropped if somebody was before us.
        let installed = Installed {
            place: self,
            value: raw,
        };
        placed.map(|_| installed).map_err(|_| EEXIST)
    }

    /// The value. Any context.
    #[inline]
    pub(crate) fn get(&'static self) -> &'static T {
        let value = self.0.load(Ordering::Acquire);
        if value.is_null() {
            // A mistake in the order of init and exit.
            // SAFETY: No requirements; it does not return.
            unsafe { bindings::BUG() };
        }
        // SAFETY: It points to the value of an `Installed`, which lives until the exit of the
        // module drops it, when nobody runs who could have asked.
        unsafe { &*value }
    }
}

/// The value is in its place. Dropping this takes it out and drops it.
///
/// # Invariants
///
/// `value` is a box that was pinned, and is ours.
pub(crate) struct Installed<T: Sync + 'static> {
    place: &'static Global<T>,
    value: *mut T,
}

// SAFETY: It is a box of a value that may be sent.
unsafe impl<T: Send + Sync> Send for Installed<T> {}
// SAFETY: Shared access does nothing.
unsafe impl<T: Sync> Sync for Installed<T> {}

impl<T: Sync + 'static> Drop for Installed<T> {
    fn drop(&mut self) {
        let empty = ptr::null_mut();
        let place = &self.place.0;
        let _ = place.compare_exchange(self.value, empty, Ordering::AcqRel, Ordering::Relaxed);
        // SAFETY: By the type invariant.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(self.value)) });
    }
}
