// SPDX-License-Identifier: GPL-2.0

//! The last step of the unload: nobody may still run in what is about to be freed.

use kernel::bindings;

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
