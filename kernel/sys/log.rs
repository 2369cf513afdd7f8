// SPDX-License-Identifier: GPL-2.0

//! Lines in the kernel's log.
//!
//! Each line begins with the object that it is about, as tools and people expect it:
//! `drbd r0/0 drbd0: `, `drbd r0: `, or `drbd: `. The object is anything that can be displayed; it
//! shows itself without the `drbd ` in front and the `: ` behind.
//!
//! C header: `include/linux/printk.h`

use kernel::{
    bindings,
    fmt,
    prelude::*, //
};

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The system is unusable.
    Emergency,
    /// Somebody has to act at once.
    Alert,
    /// Something failed.
    Error,
    /// Something is odd.
    Warning,
    /// Something has happened.
    Info,
    /// For who looks for a fault.
    Debug,
}

impl Level {
    /// The format: the level (`KERN_*`), then one argument of Rust.
    fn format(self) -> &'static CStr {
        match self {
            Level::Emergency => c"\x010%pA",
            Level::Alert => c"\x011%pA",
            Level::Error => c"\x013%pA",
            Level::Warning => c"\x014%pA",
            Level::Info => c"\x016%pA",
            Level::Debug => c"\x017%pA",
        }
    }
}

/// Writes one line. Use [`log!`]. Any context.
pub(crate) fn print(level: Level, line: fmt::Arguments<'_>) {
    // SAFETY: The format takes exactly this argument, which lives for the call.
    unsafe {
        bindings::_printk(
            level.format().as_char_ptr(),
            (&raw const line).cast::<c_void>(),
        )
    };
}

/// Writes a line about an object: `log!(Level::Info, device, "size = {}", size)`. About the module:
/// `log!(Level::Info, "...")`. The line gets its end by itself.
macro_rules! log {
    ($level:expr, $format:literal $(, $argument:expr)* $(,)?) => {
        $crate::sys::log::print(
            $level,
            ::kernel::prelude::fmt!(
                "drbd: {}\n",
                ::kernel::prelude::fmt!($format $(, $argument)*)
            ),
        )
    };
    ($level:expr, $object:expr, $format:literal $(, $argument:expr)* $(,)?) => {
        $crate::sys::log::print(
            $level,
            ::kernel::prelude::fmt!(
                "drbd {}: {}\n",
                $object,
                ::kernel::prelude::fmt!($format $(, $argument)*)
            ),
        )
    };
}
pub(crate) use log;
