// SPDX-License-Identifier: GPL-2.0
//! The module `drbd`: what is set up when it is loaded and taken down when it is unloaded.
//!
//! Set up in this order, taken down in the reverse one:
//!
//! 1. the parameters are checked, since all else is sized by them;
//! 2. what all share: the block device number, work queues, memory in reserve ([`globals`]);
//! 3. files and tools' interfaces, last: from then on anybody may call us. What they call must be
//!    complete, and what they hold (a dump, an open disk) keeps the module loaded, but only once
//!    loading has succeeded. So nothing that can fail comes after them.
//!
//! Taking down begins by closing these doors. A configured resource keeps the module loaded, so
//! none is left by then; what its end has left to do is waited for. Behind the last callback that
//! somebody may still be in, `sys::unload` waits.

#![deny(unsafe_code)]

use drbd_core::proc as core_proc;
use kernel::prelude::*;
use kernel::sync::Arc;

use self::globals::{Globals, MAJOR};
use self::sys::{
    genl::Registration,
    global::Installed,
    log::{
        log_module,
        Level, //
    },
    params,
    procfs::File, //
};

mod acks;
mod activity;
mod answers;
mod auth;
mod backing;
mod bitmap;
mod connect;
mod convert;
mod crew;
mod dependents;
mod device;
mod digests;
mod events;
mod genl;
mod globals;
mod helper;
mod later;
mod link;
mod log;
mod objects;
mod patience;
mod peer_io;
mod perform;
mod plane;
mod proc;
mod progress;
mod ranges;
mod receiver;
mod recorder;
mod registry;
mod resource;
mod resync;
#[cfg(DRBD_SELFTEST)]
mod selftest;
mod sender;
mod stream;
mod submit;
pub(crate) mod sys;
mod text;
mod turn;
mod vector;
mod verify;

pub(crate) use self::globals::{
    family, handlers, io_queue, later, major, peer_ios, registry, requests, srcu, timed_ios,
};

module! {
    type: Drbd,
    name: "drbd",
    authors: ["The drbd-rs authors"],
    description: "drbd - Distributed Replicated Block Device v8.4.11",
    license: "GPL",
    alias: ["block-major-147-*"],
}

/// What built this module: a line of `/proc/drbd`, by which it is told from the C driver.
pub(crate) fn build_tag() -> core_proc::BuildTag<'static> {
    core_proc::BuildTag {
        git_hash: params::commit(),
        package: "0.1.0",
    }
}

/// The loaded module. Dropping it is the unload: the fields go in this order.
struct Drbd {
    /// Tools can't reach us any more.
    _registration: Registration<genl::Family>,
    _proc: File<proc::Status>,
    #[cfg(DRBD_SELFTEST)]
    _surface: Option<selftest::Surface>,
    /// What is left of configured things goes.
    _settled: Settled,
    _globals: Installed<Globals>,
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
        let globals = Globals::install(minor_count)?;
        let settled = Settled;
        #[cfg(DRBD_SELFTEST)]
        let surface = selftest::run();
        log_module!(
            Level::Info,
            "initialized. Version: {} (api:{}/proto:{}-{})",
            core_proc::VERSION,
            core_proc::API_VERSION,
            core_proc::PROTOCOL_MIN,
            core_proc::PROTOCOL_MAX
        );
        log_module!(Level::Info, "{}", build_tag());
        log_module!(Level::Info, "registered as block device major {MAJOR}");
        let proc = File::new(c"drbd", Arc::new(proc::Status, GFP_KERNEL)?)?;
        let registration = family().register()?;
        Ok(Self {
            _registration: registration,
            _proc: proc,
            #[cfg(DRBD_SELFTEST)]
            _surface: surface,
            _settled: settled,
            _globals: globals,
            _farewell: farewell,
        })
    }
}

/// Its end waits for what others still do for us.
struct Settled;

impl Drop for Settled {
    fn drop(&mut self) {
        Globals::settle();
    }
}

/// Goes last: nobody runs in the module any more when it is gone.
struct Farewell;

impl Drop for Farewell {
    fn drop(&mut self) {
        sys::unload::wait_for_callbacks();
        let mut all_gone = true;
        for (kind, live) in objects::left() {
            all_gone = false;
            log_module!(Level::Error, "left behind: {live} {kind}");
        }
        if all_gone {
            log_module!(Level::Info, "0 objects left");
        }
        log_module!(Level::Info, "module cleanup done.");
    }
}
