// SPDX-License-Identifier: GPL-2.0

//! The clocks that the rest of the module reads.
//!
//! C headers: `include/linux/jiffies.h`, `include/linux/timekeeping.h`

use kernel::{
    bindings,
    time::msecs_to_jiffies, //
};

pub(crate) use kernel::time::Jiffies;

/// Nanoseconds since boot, without the time that the machine slept. Any context.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    // SAFETY: No requirements.
    let now = unsafe { bindings::ktime_get() };
    u64::try_from(now).unwrap_or(0)
}

/// Milliseconds as ticks, rounded up.
pub(crate) fn ms_to_jiffies(ms: u32) -> Jiffies {
    msecs_to_jiffies(ms)
}

/// Sleeps for at least `ms` milliseconds, without regard to signals.
pub(crate) fn sleep_ms(ms: u32) {
    // SAFETY: The caller may sleep.
    unsafe { bindings::msleep(ms) };
}
