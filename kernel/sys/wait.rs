// SPDX-License-Identifier: GPL-2.0

//! Wait queues: sleep until a condition holds.
//!
//! The waker changes the state that the condition looks at, and then wakes. A condition is called
//! while the task is about to sleep: it may take spin locks, but it must not sleep.
//!
//! Service threads wait with the `wait_idle` forms: such a sleep counts neither for the load
//! average nor as a hung task, however long it lasts. Calls made for a user process wait with the
//! `wait_interruptible` or `wait_killable` forms. The plain `wait` form is for waits that are short
//! by construction, or where a report of a hung task is what we want.
//!
//! C header: `include/linux/wait.h`

use core::mem::MaybeUninit;
use kernel::{
    bindings,
    prelude::*,
    sync::LockClassKey,
    types::Opaque, //
};

use super::time::Jiffies;

/// Makes the initialiser of a [`WaitQueue`], with a lock class of its own.
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::sys::wait::WaitQueue::new(::kernel::c_str!($name), ::kernel::static_lock_class!())
    };
}
pub(crate) use new_wait_queue;

/// Longer than any sleep: what `schedule_timeout` takes for "until woken".
const FOREVER: isize = isize::MAX;

/// A queue of sleeping tasks.
///
/// # Invariants
///
/// `head` is an initialised `wait_queue_head`, and stays where it is.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: The wait queue has its own lock.
unsafe impl Send for WaitQueue {}
// SAFETY: The wait queue has its own lock.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// The initialiser; see [`new_wait_queue!`].
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // INVARIANT: The C function initialises the head.
            head <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writing; name and class live as long as the module.
                unsafe {
                    bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
                }
            }),
        })
    }

    /// Wakes all that wait; cheap when nobody does. Any context.
    #[inline]
    pub(crate) fn wake_all(&self) {
        if !self.has_sleeper() {
            return;
        }
        // SAFETY: By the type invariant the head is initialised.
        unsafe {
            bindings::__wake_up(
                self.head.get(),
                bindings::TASK_NORMAL,
                0,
                core::ptr::null_mut(),
            )
        };
    }

    /// Whether somebody waits. The barrier orders it after the caller's change of the condition; it
    /// pairs with the one that `prepare_to_wait_event` has between queueing and our check.
    #[inline]
    fn has_sleeper(&self) -> bool {
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
        let list = self.head.get();
        // SAFETY: By the type invariant the head is initialised; the read is racy by design, and
        // the kernel's `waitqueue_active` does the same.
        let (first, list) = unsafe {
            let list = &raw mut (*list).head;
            ((&raw const (*list).next).read_volatile(), list)
        };
        first != list
    }

    /// The loop behind all forms. Gives what is left of `timeout` (at least 1) if the condition
    /// holds, 0 if the time is up, and `ERESTARTSYS` if a signal ended an interruptible sleep.
    fn wait_in_state(
        &self,
        state: u32,
        timeout: isize,
        mut condition: impl FnMut() -> bool,
    ) -> Result<isize> {
        if condition() {
            return Ok(timeout.max(1));
        }
        let head = self.head.get();
        let mut entry = MaybeUninit::<bindings::wait_queue_entry>::uninit();
        let entry = entry.as_mut_ptr();
        // SAFETY: `entry` is valid for writing, and stays on this stack until `finish_wait`.
        unsafe { bindings::init_wait_entry(entry, 0) };
        let mut left = timeout;
        let result = loop {
            // SAFETY: Head and entry are initialised; the entry is taken off the queue below.
            let signal = unsafe { bindings::prepare_to_wait_event(head, entry, state as c_int) };
            if condition() {
                break Ok(left.max(1));
            }
            if left == 0 {
                break Ok(0);
            }
            if signal != 0 {
                break Err(ERESTARTSYS);
            }
            // SAFETY: We are a task that may sleep; `isize::MAX` means until woken.
            left = unsafe { bindings::schedule_timeout(left) };
        };
        // SAFETY: Both are initialised, and afterwards nobody knows the entry any more.
        unsafe { bindings::finish_wait(head, entry) };
        result
    }

    /// Sleeps until `condition` holds. For service threads. May sleep for ever.
    pub(crate) fn wait_idle(&self, condition: impl FnMut() -> bool) {
        // An idle sleep can't be interrupted, and for ever has no end: it can only be `Ok`.
        let _ = self.wait_in_state(bindings::TASK_IDLE, FOREVER, condition);
    }

    /// Sleeps until `condition` holds (`true`) or the time is up (`false`). For service threads.
    pub(crate) fn wait_idle_timeout(
        &self,
        timeout: Jiffies,
        condition: impl FnMut() -> bool,
    ) -> bool {
        self.wait_in_state(bindings::TASK_IDLE, clamp(timeout), condition) != Ok(0)
    }

    /// Sleeps until `condition` holds, without regard to signals. Reported as hung after a while.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn wait(&self, condition: impl FnMut() -> bool) {
        let _ = self.wait_in_state(bindings::TASK_UNINTERRUPTIBLE, FOREVER, condition);
    }

    /// As [`WaitQueue::wait`], but not longer than `timeout`: then `false`.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn wait_timeout(&self, timeout: Jiffies, condition: impl FnMut() -> bool) -> bool {
        self.wait_in_state(bindings::TASK_UNINTERRUPTIBLE, clamp(timeout), condition) != Ok(0)
    }

    /// Sleeps until `condition` holds, or a signal comes: then `ERESTARTSYS`.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn wait_interruptible(&self, condition: impl FnMut() -> bool) -> Result {
        self.wait_in_state(bindings::TASK_INTERRUPTIBLE, FOREVER, condition)
            .map(|_| ())
    }

    /// Sleeps until `condition` holds (`true`), the time is up (`false`), or a signal comes.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn wait_interruptible_timeout(
        &self,
        timeout: Jiffies,
        condition: impl FnMut() -> bool,
    ) -> Result<bool> {
        self.wait_in_state(bindings::TASK_INTERRUPTIBLE, clamp(timeout), condition)
            .map(|left| left != 0)
    }

    /// Sleeps until `condition` holds, or the process is killed: then `ERESTARTSYS`.
    pub(crate) fn wait_killable(&self, condition: impl FnMut() -> bool) -> Result {
        self.wait_in_state(bindings::TASK_KILLABLE, FOREVER, condition)
            .map(|_| ())
    }
}

/// A time-out as `schedule_timeout` takes it: never negative, never "for ever" by accident.
fn clamp(timeout: Jiffies) -> isize {
    isize::try_from(timeout)
        .unwrap_or(FOREVER)
        .min(FOREVER >> 1)
}
