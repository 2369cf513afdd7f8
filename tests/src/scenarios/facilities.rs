// SPDX-License-Identifier: GPL-2.0
//! What the module is made of, tried on a running kernel.

use super::{Oracle, Scenario, OURS, PLAIN};
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;

/// What only ours has.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "kernel-facilities",
    about: "each wrapper of a kernel facility, tried while a module made for that is loaded",
    source: include_str!("facilities.rs"),
    c: Oracle::NotAsked,
    pairs: OURS,
    loaded: false,
    run: facilities,
    ..PLAIN
}];

/// The list of tests is in there.
const SELFTEST: &str = include_str!("../../../kernel/selftest.rs");

/// The names of all tests: a line each, `("NAME", function),`.
fn names() -> impl Iterator<Item = &'static str> {
    let named = |line: &'static str| line.trim().strip_prefix("(\"")?.split_once("\", ");
    SELFTEST.lines().filter_map(named).map(|(name, _)| name)
}

fn facilities(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    // Made by `make selftest`.
    let module = lab.setup().build.module.with_file_name("selftest.ko");
    for node in [alpha, beta] {
        node.push(&module, "/lab/selftest.ko", 0o644)?;
        node.sh("modprobe brd rd_nr=1 rd_size=65536")?;
    }
    // One of them is busy with something else meanwhile.
    let load = beta.start_sh(
        "while test ! -e /tmp/enough; do \
         dd if=/dev/urandom of=/tmp/busy bs=64k count=16 2>/dev/null || exit; done",
    )?;
    for node in [alpha, beta] {
        tried(node)?;
    }
    beta.sh("touch /tmp/enough")?;
    load.succeed(crate::time::command())?;
    beta.sh("rm /tmp/enough /tmp/busy")?;
    for node in [alpha, beta] {
        // Whoever has opened the disk for a moment lets go of it.
        node.sh("udevadm settle; rmmod drbd && rmmod brd && rm /lab/selftest.ko")?;
    }
    Ok(())
}

/// Loads the module and looks at what it said, and at what it has left for programs.
fn tried(node: &Node) -> Result<()> {
    node.sh("insmod /lab/selftest.ko \
         minor_count=33 allow_oos=1 proc_details=1 usermode_helper=/bin/true")?;
    let log = node.complete_log()?;
    for name in names() {
        let passed = format!("selftest: {name}: ok");
        ensure(log.contains(&passed), || format!("no `{passed}` in\n{log}"))?;
    }
    ensure(!log.contains(": FAILED: "), || log)?;
    // More than a page, which also sends an event.
    let text = node.sh("cat /proc/drbd_test")?;
    ensure(
        text.starts_with("heard: false dumps: 0\n") && text.ends_with("\nline 999\n"),
        || text,
    )?;
    let family = node.sh("genl ctrl get name drbd_test")?;
    ensure(family.contains("Version: 0x3"), || family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_found() {
        let names: Vec<_> = names().collect();
        assert!(names.contains(&"thread") && names.contains(&"closing") && names.contains(&"log"));
        assert_eq!(names.len(), SELFTEST.matches("        (\"").count());
    }
}
