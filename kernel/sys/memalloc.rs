// SPDX-License-Identifier: GPL-2.0

//! Scopes that keep memory allocation from waiting for ourselves.
//!
//! A thread that carries replicated writes must not wait for memory whose release needs such a
//! write. Inside of a [`NoIo`] scope every allocation of the current task behaves as if it had been
//! asked for with `GFP_NOIO`; inside of a [`NoReclaim`] scope it may also use the emergency
//! reserves and never reclaims. Our sender, receiver and ack threads hold both for their life.
//!
//! C header: `include/linux/sched/mm.h`

use kernel::types::NotThreadSafe;

use super::ffi;

/// While it lives, allocations of the current task don't start I/O.
#[must_use = "the scope ends when the guard is dropped"]
pub(crate) struct NoIo {
    old: u32,
    _not_send: NotThreadSafe,
}

impl NoIo {
    /// Enters the scope. Scopes nest.
    pub(crate) fn enter() -> Self {
        Self {
            // SAFETY: Changes a flag of the current task, and only that.
            old: unsafe { ffi::shim_noio_save() },
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: `old` comes from `shim_noio_save` in this same task: the guard isn't `Send`.
        unsafe { ffi::shim_noio_restore(self.old) };
    }
}

/// While it lives, allocations of the current task may use the reserves and don't reclaim.
#[must_use = "the scope ends when the guard is dropped"]
pub(crate) struct NoReclaim {
    old: u32,
    _not_send: NotThreadSafe,
}

impl NoReclaim {
    /// Enters the scope. Scopes nest. Only for work that is bounded and that frees memory.
    pub(crate) fn enter() -> Self {
        Self {
            // SAFETY: Changes a flag of the current task, and only that.
            old: unsafe { ffi::shim_noreclaim_save() },
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for NoReclaim {
    fn drop(&mut self) {
        // SAFETY: `old` comes from `shim_noreclaim_save` in this same task: not `Send`.
        unsafe { ffi::shim_noreclaim_restore(self.old) };
    }
}
