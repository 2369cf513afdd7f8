// SPDX-License-Identifier: GPL-2.0

//! Small objects with a reserve: for what has to be allocated in order to free memory.
//!
//! Requests come from a [`BioSet`](super::bio::BioSet); this is for the rest.
//!
//! C header: `include/linux/mempool.h`

use core::{
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc, //
};

use super::{
    gfp::{
        self,
        Wait, //
    },
    llist::OwningPointer, //
};

/// # Invariants
///
/// `pool` is a mempool of objects with the size of `T` that we made and have not yet destroyed.
struct Inner<T> {
    pool: NonNull<bindings::mempool_t>,
    _objects: core::marker::PhantomData<T>,
}

// SAFETY: Mempools have their own lock; the objects in the pool are mere memory.
unsafe impl<T> Send for Inner<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Inner<T> {}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pool is ours; all objects are back, since each one has
        // a reference to us.
        unsafe { bindings::mempool_destroy(self.pool.as_ptr()) };
    }
}

/// A pool of `T`s. It exists until the last of its objects is gone.
pub(crate) struct Pool<T> {
    inner: Arc<Inner<T>>,
}

impl<T: 'static> Pool<T> {
    /// A pool that keeps memory for `reserve` objects (at least 1). May sleep.
    pub(crate) fn new(reserve: u32) -> Result<Self> {
        const { assert!(size_of::<T>() > 0 && align_of::<T>() <= 8) };
        let reserve = c_int::try_from(reserve.max(1)).map_err(|_| EINVAL)?;
        // SAFETY: These two functions belong together; the data is the size.
        let pool = unsafe {
            bindings::mempool_create_node_noprof(
                reserve,
                Some(bindings::mempool_kmalloc),
                Some(bindings::mempool_kfree),
                core::ptr::without_provenance_mut(size_of::<Slot<T>>()),
                gfp::KERNEL,
                bindings::NUMA_NO_NODE,
            )
        };
        // INVARIANT: We have just made it.
        let inner = Inner {
            pool: NonNull::new(pool).ok_or(ENOMEM)?,
            _objects: core::marker::PhantomData,
        };
        Ok(Self {
            inner: Arc::new(inner, GFP_KERNEL)?,
        })
    }

    /// Makes an object. Gives `value` back if there is no memory, which with [`Wait::Yes`] can't
    /// be.
    pub(crate) fn alloc(&self, wait: Wait, value: T) -> Result<Pooled<T>, T> {
        // SAFETY: By the type invariant the pool exists.
        let slot = unsafe { bindings::mempool_alloc_noprof(self.inner.pool.as_ptr(), wait.gfp()) };
        let Some(slot) = NonNull::new(slot.cast::<Slot<T>>()) else {
            return Err(value);
        };
        // SAFETY: The memory is new, large enough, and aligned as `kmalloc` does.
        unsafe {
            slot.write(Slot {
                pool: self.inner.clone(),
                value,
            })
        };
        // INVARIANT: The object is complete.
        Ok(Pooled { slot })
    }
}

/// What the pool's memory holds.
struct Slot<T> {
    pool: Arc<Inner<T>>,
    value: T,
}

/// An object from a [`Pool`]. Dropping it gives the memory back; any context.
///
/// # Invariants
///
/// `slot` is a complete object of ours, from the pool that it names.
pub(crate) struct Pooled<T> {
    slot: NonNull<Slot<T>>,
}

// SAFETY: It owns a `T`.
unsafe impl<T: Send> Send for Pooled<T> {}
// SAFETY: Shared access gives `&T`.
unsafe impl<T: Sync> Sync for Pooled<T> {}

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant the object is complete and ours.
        unsafe { &(*self.slot.as_ptr()).value }
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant the object is complete and ours.
        unsafe { &mut (*self.slot.as_ptr()).value }
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the object is complete and ours; its memory is from the
        // pool, which lives until we let go of it.
        unsafe {
            let Slot { pool, value } = self.slot.read();
            bindings::mempool_free(self.slot.as_ptr().cast(), pool.pool.as_ptr());
            drop(value);
        }
    }
}

// SAFETY: The object doesn't move.
unsafe impl<T: 'static> OwningPointer for Pooled<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        let slot = core::mem::ManuallyDrop::new(self).slot;
        // SAFETY: The object lives; this only computes an address.
        unsafe { &raw const (*slot.as_ptr()).value }
    }

    unsafe fn from_raw(object: *const T) -> Self {
        let slot = object
            .cast::<u8>()
            .wrapping_sub(core::mem::offset_of!(Slot<T>, value))
            .cast_mut();
        // SAFETY: By the requirement the object is the field of a slot.
        let slot = unsafe { NonNull::new_unchecked(slot.cast()) };
        // INVARIANT: `into_raw` gave up what is ours again.
        Self { slot }
    }
}
