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
    /// Somebody has to act at once.
    Alert,
    /// Something failed.
    Error,
    /// Something is odd.
    Warning,
    /// Something has happened.
    Info,
}

impl Level {
    /// The formats: the level (`KERN_*`), and arguments of Rust. One for lines about an object, one
    /// for those about the module.
    fn formats(self) -> (&'static CStr, &'static CStr) {
        match self {
            Level::Alert => (c"\x011drbd %pA: %pA\n", c"\x011drbd: %pA\n"),
            Level::Error => (c"\x013drbd %pA: %pA\n", c"\x013drbd: %pA\n"),
            Level::Warning => (c"\x014drbd %pA: %pA\n", c"\x014drbd: %pA\n"),
            Level::Info => (c"\x016drbd %pA: %pA\n", c"\x016drbd: %pA\n"),
        }
    }
}

/// Writes one line about an object. Use [`log!`]. Any context.
pub(crate) fn print_about(level: Level, object: fmt::Arguments<'_>, line: fmt::Arguments<'_>) {
    let (format, _) = level.formats();
    // SAFETY: The format takes exactly these two arguments, which live for the call.
    unsafe {
        bindings::_printk(
            format.as_char_ptr(),
            (&raw const object).cast::<c_void>(),
            (&raw const line).cast::<c_void>(),
        )
    };
}

/// Writes one line about the module. Use [`log_module!`]. Any context.
pub(crate) fn print(level: Level, line: fmt::Arguments<'_>) {
    let (_, format) = level.formats();
    // SAFETY: The format takes exactly this argument, which lives for the call.
    unsafe { bindings::_printk(format.as_char_ptr(), (&raw const line).cast::<c_void>()) };
}

/// Writes a line about an object: `log!(Level::Info, device, "size = {}", size)`. The line gets its
/// end by itself.
///
/// What is shown implements `core::fmt::Display`, as the core's types do; the traits of
/// `kernel::fmt`, which `pr_info!` asks for, are others.
macro_rules! log {
    ($level:expr, $object:expr, $($line:tt)+) => {
        $crate::sys::log::print_about(
            $level,
            ::core::format_args!("{}", $object),
            ::core::format_args!($($line)+),
        )
    };
}
pub(crate) use log;

/// Writes a line about the module: `log_module!(Level::Info, "{} devices", count)`.
macro_rules! log_module {
    ($level:expr, $($line:tt)+) => {
        $crate::sys::log::print($level, ::core::format_args!($($line)+))
    };
}
pub(crate) use log_module;
