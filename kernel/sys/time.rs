// SPDX-License-Identifier: GPL-2.0

//! The clocks that the rest of the module reads.
//!
//! C headers: `include/linux/jiffies.h`, `include/linux/timekeeping.h`

use kernel::{
    bindings,
    time::{
        msecs_to_jiffies,
        Instant,
        Monotonic, //
    }, //
};

pub(crate) use kernel::time::Jiffies;

/// Nanoseconds since boot, without the time that the machine slept. Any context.
#[inline]
pub(crate) fn monotonic_ns() -> u64 {
    // SAFETY: No requirements.
    let now = unsafe { bindings::ktime_get() };
    u64::try_from(now).unwrap_or(0)
}

/// Seconds of wall-clock time since 1970. Any context.
pub(crate) fn wall_clock_s() -> u64 {
    // SAFETY: No requirements.
    let now = unsafe { bindings::ktime_get_real_seconds() };
    u64::try_from(now).unwrap_or(0)
}

/// The kernel's tick counter. It wraps: compare with `wrapping_sub`. Any context.
#[inline]
pub(crate) fn jiffies() -> Jiffies {
    // SAFETY: The tick counter is a plain word that is always there; it changes under us, so it is
    // read as volatile.
    unsafe {
        (&raw const bindings::jiffies)
            .cast::<Jiffies>()
            .read_volatile()
    }
}

/// Milliseconds as ticks, rounded up.
pub(crate) fn ms_to_jiffies(ms: u32) -> Jiffies {
    msecs_to_jiffies(ms)
}

/// Ticks as milliseconds, rounded down.
pub(crate) fn jiffies_to_ms(ticks: Jiffies) -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::jiffies64_to_msecs(ticks as u64) }
}

/// Sleeps for at least `ms` milliseconds, without regard to signals.
pub(crate) fn sleep_ms(ms: u32) {
    // SAFETY: The caller may sleep.
    unsafe { bindings::msleep(ms) };
}

/// An instant of the monotonic clock, for spans.
pub(crate) type Moment = Instant<Monotonic>;
