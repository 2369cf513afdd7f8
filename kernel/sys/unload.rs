// SPDX-License-Identifier: GPL-2.0

//! What keeps the module loaded, and the last step of the unload: nobody may still run in what is
//! about to be freed.

use kernel::{
    bindings,
    prelude::*, //
};

use super::ffi;

/// Waits until no callback of ours is queued, and until no processor and no task is still in one:
/// also not in its last instructions, after it has given up all that it had. May sleep.
pub(crate) fn wait_for_callbacks() {
    // SAFETY: No requirements but that the caller may sleep.
    unsafe {
        // Callbacks that wait for a grace period.
        bindings::rcu_barrier();
        // Interrupts, and whatever runs with preemption off.
        bindings::synchronize_rcu();
        // Tasks that were preempted in our code: each has to give up the processor by itself.
        bindings::synchronize_rcu_tasks();
    }
}

/// Keeps the module loaded. Dropping the last one lets it be unloaded: not from a function of ours
/// that the unload does not wait for.
pub(crate) struct Pinned(());

impl Pinned {
    /// Fails with `ENODEV` while the module is being unloaded. Any context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: No requirements.
        if unsafe { ffi::shim_module_get() } {
            Ok(Self(()))
        } else {
            Err(ENODEV)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: `new` took the reference that is given back here.
        unsafe { ffi::shim_module_put() };
    }
}
