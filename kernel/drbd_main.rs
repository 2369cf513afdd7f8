// SPDX-License-Identifier: GPL-2.0
//! The module `drbd`: what is set up when it is loaded and taken down when it is unloaded.
//!
//! Set up in this order, taken down in the reverse one:
//!
//! 1. the parameters are checked, since all else is sized by them;
//! 2. the block device number, before anybody can ask for a disk;
//! 3. files and tools' interfaces, last: from then on anybody may call us. What they call must be
//!    complete, and what they hold (a dump, an open disk) keeps the module loaded, but only once
//!    loading has succeeded. So nothing that can fail comes after them.
//!
//! Taking down begins by closing these doors. Behind the last callback that somebody may still be
//! in, `sys::unload` waits.

#![deny(unsafe_code)]

use drbd_core::proc;
use kernel::prelude::*;

use self::sys::{
    disk::Major,
    log::{
        log_module,
        Level, //
    },
    params, //
};

#[cfg(DRBD_SELFTEST)]
mod selftest;
pub(crate) mod sys;

module! {
    type: Drbd,
    name: "drbd",
    authors: ["The drbd-rs authors"],
    description: "drbd - Distributed Replicated Block Device v8.4.11",
    license: "GPL",
    alias: ["block-major-147-*"],
}

/// Our block device number, as in `/dev`.
const MAJOR: u32 = 147;
/// The commit that the module was built from; zeros if the build did not know it.
const COMMIT: &str = match option_env!("DRBD_RS_COMMIT") {
    Some(commit) => commit,
    None => "0000000000000000000000000000000000000000",
};
/// What built this module: a line of `/proc/drbd`, by which it is told from the C driver.
pub(crate) const BUILD: proc::BuildTag<'static> = proc::BuildTag {
    git_hash: COMMIT,
    package: "0.1.0",
};

/// The loaded module. Dropping it is the unload: the fields go in this order.
struct Drbd {
    #[cfg(DRBD_SELFTEST)]
    _surface: Option<selftest::Surface>,
    _major: Major,
    _farewell: Farewell,
}

impl kernel::Module for Drbd {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let minor_count = params::minor_count();
        if !(1..=255).contains(&minor_count) {
            log_module!(Level::Error, "invalid minor_count ({minor_count})");
            return Err(EINVAL);
        }
        let farewell = Farewell;
        #[cfg(DRBD_SELFTEST)]
        let surface = selftest::run();
        let major = Major::register(MAJOR, c"drbd").inspect_err(|_| {
            log_module!(
                Level::Error,
                "unable to register block device major {MAJOR}"
            )
        })?;
        log_module!(
            Level::Info,
            "initialized. Version: {} (api:{}/proto:{}-{})",
            proc::VERSION,
            proc::API_VERSION,
            proc::PROTOCOL_MIN,
            proc::PROTOCOL_MAX
        );
        log_module!(Level::Info, "{BUILD}");
        log_module!(Level::Info, "registered as block device major {MAJOR}");
        Ok(Self {
            #[cfg(DRBD_SELFTEST)]
            _surface: surface,
            _major: major,
            _farewell: farewell,
        })
    }
}

/// Goes last: nobody runs in the module any more when it is gone.
struct Farewell;

impl Drop for Farewell {
    fn drop(&mut self) {
        sys::disk::wait_until_all_gone();
        sys::unload::wait_for_callbacks();
        log_module!(Level::Info, "module cleanup done.");
    }
}
