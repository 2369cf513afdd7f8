// SPDX-License-Identifier: GPL-2.0

//! Exercises `sys` on a running kernel, while the module is being loaded.
//!
//! The parameters are to be `minor_count=33 allow_oos=1 proc_details=1 usermode_helper=/bin/true`.
//! `make selftest` builds it; the lab's scenario `kernel-facilities` loads it. It needs a disk at
//! `/dev/ram0` (brd) whose content does not matter. Each facility gives one line in the log,
//! `selftest: NAME: ok` or what went wrong. The module stays loaded in either case: a disk that a
//! test has opened is closed later on.

mod blk;
mod crypto;
mod net;
mod surface;
mod tasks;

use kernel::prelude::*;

pub(crate) use self::surface::Surface;

/// Fails a test with a line that says where, unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            ::kernel::pr_err!(
                "selftest: {}:{}: not so: {}\n",
                file!(),
                line!(),
                stringify!($condition)
            );
            return Err(::kernel::prelude::EIO);
        }
    };
}
use check;

/// A test and its name.
type Test = (&'static str, fn() -> Result);

/// Runs all tests, and leaves what a program in the guest goes on with.
pub(crate) fn run() -> Option<Surface> {
    let tests: &[Test] = &[
        ("thread", tasks::thread),
        ("cpus", tasks::cpus),
        ("wait", tasks::wait),
        ("workqueue", tasks::workqueue),
        ("llist", tasks::llist),
        ("socket", net::socket),
        ("socket_shutdown", net::shutdown),
        ("closing", net::closing),
        ("sync_io", blk::sync_io),
        ("buffers", blk::buffers),
        ("disk", blk::disk),
        ("crypto", crypto::hashes),
        ("helpers", surface::helpers),
        ("parameters", surface::parameters),
        ("log", surface::log),
    ];
    for (name, test) in tests {
        match test() {
            Ok(()) => pr_info!("selftest: {name}: ok\n"),
            Err(error) => pr_err!("selftest: {name}: FAILED: {error:?}\n"),
        }
    }
    surface::start()
        .inspect_err(|error| pr_err!("selftest: surface: FAILED: {error:?}\n"))
        .ok()
}
