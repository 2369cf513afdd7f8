// SPDX-License-Identifier: GPL-2.0

//! Work queues of our own.
//!
//! Work that memory reclaim may have to wait for must not run on the system's queues: each
//! [`Workqueue`] has a rescuer thread, and so goes on when no thread can be made. The work items
//! are those of the `kernel` crate: a `Work` field in an object that lives in an [`Arc`].
//!
//! Dropping a queue first does all work that is queued. Items that queue themselves again must be
//! stopped before; delayed ones with [`cancel_delayed_sync`].
//!
//! C header: `include/linux/workqueue.h`

use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    workqueue::{
        HasDelayedWork,
        HasWork,
        Queue, //
    }, //
};

pub(crate) use kernel::workqueue::{
    impl_has_delayed_work,
    impl_has_work,
    new_delayed_work,
    new_work,
    DelayedWork,
    Work,
    WorkItem, //
};

#[cfg(DRBD_SELFTEST)]
use super::time::Jiffies;

/// A work queue that memory reclaim may depend on.
///
/// # Invariants
///
/// `queue` is a work queue that we made and have not yet destroyed.
pub(crate) struct Workqueue {
    queue: NonNull<bindings::workqueue_struct>,
}

// SAFETY: Work queues may be used from any thread.
unsafe impl Send for Workqueue {}
// SAFETY: Work queues may be used from any thread.
unsafe impl Sync for Workqueue {}

impl Workqueue {
    /// A queue that does one item at a time, in the order in which they were queued. May sleep.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn ordered(name: &CStr) -> Result<Self> {
        Self::new(name, bindings::wq_flags___WQ_ORDERED, 1)
    }

    /// A queue that does up to `max_active` items at a time, on any processor. May sleep.
    pub(crate) fn unbound(name: &CStr, max_active: i32) -> Result<Self> {
        Self::new(name, 0, max_active)
    }

    fn new(name: &CStr, flags: u32, max_active: i32) -> Result<Self> {
        let flags = flags | bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_MEM_RECLAIM;
        // SAFETY: The format takes one string, which lives for the call.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                flags,
                max_active,
                name.as_char_ptr(),
            )
        };
        // INVARIANT: We have just made it.
        NonNull::new(queue)
            .map(|queue| Self { queue })
            .ok_or(ENOMEM)
    }

    /// Waits until all work that is queued now has been done. May sleep.
    pub(crate) fn flush(&self) {
        // SAFETY: By the type invariant the queue exists.
        unsafe { bindings::__flush_workqueue(self.queue.as_ptr()) };
    }

    /// Queues delayed work, or moves its time if it is queued already: `delay` ticks from now.
    /// Tells whether it was queued already. Any context.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn modify_delayed<T, const ID: u64>(&self, item: Arc<T>, delay: Jiffies) -> bool
    where
        T: WorkItem<ID, Pointer = Arc<T>> + HasDelayedWork<T, ID> + Send + Sync + 'static,
    {
        let object = Arc::into_raw(item);
        let work = delayed_work_of::<T, ID>(object);
        // SAFETY: The work is a field of an object that the queued work keeps alive: its function
        // (`Arc`'s `WorkItemPointer::run`) takes back the reference that we gave up above.
        let was_queued = unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.queue.as_ptr(),
                work,
                delay,
            )
        };
        if was_queued {
            // SAFETY: The work already held a reference, so this one is still ours.
            drop(unsafe { Arc::from_raw(object) });
        }
        was_queued
    }
}

impl Deref for Workqueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariant the queue exists while `self` does.
        unsafe { Queue::from_raw(self.queue.as_ptr()) }
    }
}

impl Drop for Workqueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is ours; nobody uses it afterwards.
        unsafe { bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}

fn work_of<T, const ID: u64>(object: *const T) -> *mut bindings::work_struct
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasWork<T, ID>,
{
    // SAFETY: `object` points to a `T` that its caller keeps alive.
    unsafe { Work::raw_get(T::raw_get_work(object.cast_mut())) }
}

fn delayed_work_of<T, const ID: u64>(object: *const T) -> *mut bindings::delayed_work
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasDelayedWork<T, ID>,
{
    let work = work_of::<T, ID>(object);
    // SAFETY: `HasDelayedWork` promises that this work is the field of a `delayed_work`.
    unsafe { kernel::container_of!(work, bindings::delayed_work, work) }
}

/// Takes the item off its queue, and waits for it if it is running. Tells whether it was queued.
/// May sleep. Not in the item itself.
#[cfg(DRBD_SELFTEST)]
pub(crate) fn cancel_sync<T, const ID: u64>(item: &Arc<T>) -> bool
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasWork<T, ID> + 'static,
{
    let object = Arc::as_ptr(item);
    // SAFETY: The work is initialised: it is a field of a `T`, whose `Work` is made so.
    let was_queued = unsafe { bindings::cancel_work_sync(work_of::<T, ID>(object)) };
    if was_queued {
        // SAFETY: The queued work held this reference, and won't use it any more.
        drop(unsafe { Arc::from_raw(object) });
    }
    was_queued
}

/// As [`cancel_sync`], for delayed work: also when it still waits for its time.
pub(crate) fn cancel_delayed_sync<T, const ID: u64>(item: &Arc<T>) -> bool
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasDelayedWork<T, ID> + 'static,
{
    let object = Arc::as_ptr(item);
    // SAFETY: The work is initialised: it is a field of a `T`, whose `DelayedWork` is made so.
    let was_queued =
        unsafe { bindings::cancel_delayed_work_sync(delayed_work_of::<T, ID>(object)) };
    if was_queued {
        // SAFETY: The queued work held this reference, and won't use it any more.
        drop(unsafe { Arc::from_raw(object) });
    }
    was_queued
}
