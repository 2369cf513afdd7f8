// SPDX-License-Identifier: GPL-2.0

//! A turn: one after the other, for as long as it takes. Who waits for it can be killed.

use core::sync::atomic::{AtomicBool, Ordering};
use kernel::prelude::*;

use crate::sys::wait::{new_wait_queue, WaitQueue};

/// What only one may do at a time.
#[pin_data]
pub(crate) struct Turn {
    taken: AtomicBool,
    #[pin]
    free: WaitQueue,
}

/// Somebody's turn, until it is dropped.
pub(crate) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Nobody's turn.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            taken: AtomicBool::new(false),
            free <- new_wait_queue!("drbd_turn"),
        })
    }

    /// Waits for the turn. Fails if the caller is killed meanwhile.
    pub(crate) fn take(&self) -> Result<Taken<'_>> {
        self.free
            .wait_killable(|| !self.taken.swap(true, Ordering::Acquire))?;
        Ok(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.free.wake_all();
    }
}
