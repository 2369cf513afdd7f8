// SPDX-License-Identifier: GPL-2.0

//! Timers whose expiry runs in softirq context.
//!
//! An expiry should do no more than note the fact and wake a thread. Work that may sleep belongs on
//! a [`Workqueue`](super::workqueue::Workqueue) as delayed work.
//!
//! C header: `include/linux/timer.h`

use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

use super::time::{
    jiffies,
    Jiffies, //
};

/// What a timer does when it expires.
pub(crate) trait Expire: Send + Sync + 'static {
    /// Called in softirq context: must not sleep, nor take a lock that others hold with interrupts
    /// or bottom halves on.
    fn expired(&self);
}

/// # Invariants
///
/// `timer` is an initialised timer whose function is `expire::<T>`.
#[pin_data]
struct Inner<T> {
    #[pin]
    timer: Opaque<bindings::timer_list>,
    what: T,
}

/// A timer. Dropping it stops it and waits for a running expiry (may then not be dropped in one).
pub(crate) struct Timer<T: Expire> {
    inner: Pin<KBox<Inner<T>>>,
}

// SAFETY: Timers have their own lock; `what` is `Send + Sync` by the bound of `Expire`.
unsafe impl<T: Expire> Send for Timer<T> {}
// SAFETY: As above.
unsafe impl<T: Expire> Sync for Timer<T> {}

/// # Safety
///
/// `timer` is the field of an `Inner<T>` that lives until the timer is shut down.
unsafe extern "C" fn expire<T: Expire>(timer: *mut bindings::timer_list) {
    let timer = Opaque::cast_from(timer);
    // SAFETY: By the requirement of this function.
    let inner = unsafe { &*kernel::container_of!(timer, Inner<T>, timer) };
    inner.what.expired();
}

impl<T: Expire> Timer<T> {
    /// A timer that isn't running. May sleep.
    pub(crate) fn new(what: T) -> Result<Self> {
        let inner = KBox::pin_init(
            pin_init!(Inner {
                // INVARIANT: The C function initialises the timer.
                timer <- Opaque::ffi_init(|slot| {
                    // SAFETY: `slot` is valid for writing, and the class lives as long as we.
                    unsafe {
                        bindings::timer_init_key(
                            slot,
                            Some(expire::<T>),
                            0,
                            c"drbd_timer".as_char_ptr(),
                            kernel::static_lock_class!().as_ptr(),
                        )
                    }
                }),
                what,
            }),
            GFP_KERNEL,
        )?;
        Ok(Self { inner })
    }

    /// What it was made with.
    pub(crate) fn what(&self) -> &T {
        &self.inner.what
    }

    /// Starts it, or moves its expiry: `delay` ticks from now. Any context.
    pub(crate) fn start(&self, delay: Jiffies) {
        // SAFETY: By the type invariant the timer is initialised.
        unsafe { bindings::mod_timer(self.inner.timer.get(), jiffies().wrapping_add(delay)) };
    }

    /// Stops it; an expiry may still be running on another processor. Any context.
    pub(crate) fn cancel(&self) {
        // SAFETY: By the type invariant the timer is initialised.
        unsafe { bindings::timer_delete(self.inner.timer.get()) };
    }

    /// Stops it and waits for a running expiry. Not in the expiry itself.
    pub(crate) fn cancel_sync(&self) {
        // SAFETY: By the type invariant the timer is initialised.
        unsafe { bindings::timer_delete_sync(self.inner.timer.get()) };
    }
}

impl<T: Expire> Drop for Timer<T> {
    fn drop(&mut self) {
        // SAFETY: The timer is initialised; after this call it neither runs nor can be started.
        unsafe { bindings::timer_shutdown_sync(self.inner.timer.get()) };
    }
}
