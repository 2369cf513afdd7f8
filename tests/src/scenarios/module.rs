// SPDX-License-Identifier: GPL-2.0
//! The module comes and goes, and tells what it is.

use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::time;

/// Loading and unloading.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "module-smoke",
        about: "twelve times loaded and unloaded; modinfo, parameters, major, netlink family",
        source: include_str!("module.rs"),
        loaded: false,
        run: smoke,
        ..PLAIN
    },
    Scenario {
        name: "module-unload-busy",
        about: "unloading is refused while configured, and possible right after a dump or udev",
        pairs: &["ours:ours", "ours+stock:ours+stock"],
        source: include_str!("module.rs"),
        loaded: false,
        run: unload_busy,
        ..PLAIN
    },
];

/// How often the module is loaded and unloaded.
const CYCLES: u32 = 12;

fn smoke(lab: &Lab) -> Result<()> {
    for cycle in 0..CYCLES {
        for node in lab.nodes() {
            load_module(node)?;
            if cycle == 0 {
                looks_like_drbd(node)?;
            }
            node.sh("cat /proc/drbd >/dev/null && rmmod drbd")?;
            node.sh("! test -e /proc/drbd && ! grep -q ' drbd$' /proc/devices")?;
        }
    }
    Ok(())
}

/// What tools look at, right after the module was loaded.
fn looks_like_drbd(node: &Node) -> Result<()> {
    let proc = node.sh("cat /proc/drbd")?;
    ensure(
        proc.starts_with("version: 8.4.11 (api:1/proto:86-101)\n") && proc.lines().count() == 2,
        || format!("/proc/drbd of an empty driver:\n{proc}"),
    )?;
    node.sh("grep -qx '147 drbd' /proc/devices")?;
    node.sh("test \"$(cat /sys/module/drbd/version)\" = 8.4.11")?;
    for parameter in ["minor_count", "usermode_helper", "proc_details"] {
        node.sh(&format!("test -e /sys/module/drbd/parameters/{parameter}"))?;
    }
    node.sh("test \"$(cat /sys/module/drbd/parameters/usermode_helper)\" = /sbin/drbdadm")?;
    let family = node.sh("genl ctrl get name drbd")?;
    ensure(
        family.contains("Version: 0x1") && family.contains("events"),
        || format!("the netlink family:\n{family}"),
    )
}

fn unload_busy(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    let r0 = Resource::r0();
    steps::configure(lab, &[&r0])?;
    load_module(alpha)?;

    // A disk pins the module, and so does a connection, also one that is only being tried.
    alpha.sh("drbdadm create-md --force r0")?;
    alpha.sh("drbdsetup new-resource r0 && drbdsetup new-minor r0 1 0 && drbdadm attach r0")?;
    alpha.refuses(1, "rmmod drbd")?;
    alpha.sh("drbdadm connect r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    alpha.refuses(1, "rmmod drbd")?;
    alpha.sh("drbdadm detach r0")?;
    alpha.refuses(1, "rmmod drbd")?;
    alpha.sh("drbdadm down r0")?;

    // A listener of events does not: it is told nothing more, and the module goes.
    let mut listener = alpha.start_sh("exec drbdsetup events2 --timestamps")?;
    listener.until("the end of the first dump", time::state(), |seen| {
        seen.out.contains("exists -")
    })?;
    alpha.sh("udevadm settle; rmmod drbd")?;
    listener.kill()?;
    listener.wait(time::state())?;

    // Nor do dumps that run while it goes, nor udev that looks at a device which is just made.
    for _ in 0..4 {
        load_module(alpha)?;
        let dumps = alpha.start_sh(
            "for i in 1 2 3 4 5 6 7 8; do drbdsetup status; cat /proc/drbd; done >/dev/null 2>&1; true",
        )?;
        alpha.sh("drbdadm up r0 && drbdadm down r0")?;
        // Someone may have the device or the family in use this very moment.
        alpha.sh(
            "for i in $(seq 200); do rmmod drbd 2>/dev/null && exit; sleep .05; done; exit 1",
        )?;
        dumps.succeed(time::command())?;
        // A late dump may ask the kernel to load the module again.
        alpha.sh("! test -e /proc/drbd || rmmod drbd")?;
    }
    Ok(())
}
