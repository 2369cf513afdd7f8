// SPDX-License-Identifier: GPL-2.0

//! Safe faces of the kernel facilities that this module stands on; one file per facility.
//!
//! This folder is the only place where `unsafe` and `bindings` may be named. What C offers only as
//! an inline function or as a macro comes through `shim*.c`, which hold no decisions.
//!
//! Rules that hold for the whole folder:
//! - A type owns what its constructor took, and gives it back when dropped.
//! - A function that may sleep says so; one that may be called from interrupts says that too.
//! - What only the self test looks at is compiled for it alone.
//! - Words that only Rust code touches are `core` atomics (they compile to single instructions);
//!   words shared with C go through the kernel's own accessors.

#![allow(unsafe_code)]

pub(crate) mod bdev;
pub(crate) mod bio;
pub(crate) mod cpus;
pub(crate) mod crypto;
pub(crate) mod data;
pub(crate) mod disk;
pub(crate) mod genl;
pub(crate) mod global;
pub(crate) mod guarded;
pub(crate) mod helper;
pub(crate) mod llist;
pub(crate) mod log;
pub(crate) mod memalloc;
pub(crate) mod page;
pub(crate) mod params;
pub(crate) mod procfs;
pub(crate) mod random;
pub(crate) mod socket;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod unload;
pub(crate) mod wait;
pub(crate) mod workqueue;

mod ffi;
mod gfp;

pub(crate) use gfp::Wait;

/// A spin lock that keeps interrupts off while it is held: for data that completions touch.
pub(crate) use kernel::sync::new_spinlock_irq;
/// Sleepable read-copy update: readers that may sleep, and a writer that waits for them.
pub(crate) use kernel::sync::srcu::{
    new_srcu,
    Guard as SrcuGuard,
    Srcu, //
};
pub(crate) use kernel::sync::SpinLockIrq;
