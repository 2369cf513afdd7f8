// SPDX-License-Identifier: GPL-2.0
//! The module `drbd`: what is set up when it is loaded and taken down when it is unloaded.

#![deny(unsafe_code)]

use drbd_core as _;
use kernel::prelude::*;

#[cfg(DRBD_SELFTEST)]
mod selftest;
pub(crate) mod sys;

module! {
    type: Drbd,
    name: "drbd",
    authors: ["The drbd-rs authors"],
    description: "drbd-rs: DRBD 8.4 in Rust, a network mirror of block devices",
    license: "GPL",
    alias: ["block-major-147-*"],
}

/// The loaded module. Dropping it is the unload.
struct Drbd;

impl kernel::Module for Drbd {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("initialized\n");
        #[cfg(DRBD_SELFTEST)]
        selftest::run();
        Ok(Self)
    }
}

impl Drop for Drbd {
    fn drop(&mut self) {
        pr_info!("module cleanup done.\n");
    }
}
