// SPDX-License-Identifier: GPL-2.0
//! One node after the other gets another driver, while the cluster goes on serving; and back.

use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::{load_module, Lab};
use crate::node::{Job, Node};
use crate::stack::Stack;
use crate::time;

/// The rolling swap.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "rolling-swap",
    about: "C on both nodes under load; each node's driver is replaced, and back; no full resync",
    source: include_str!("rolling.rs"),
    pairs: &["ours:ours", "ours+stock:ours+stock"],
    loaded: false,
    run: swap,
    ..PLAIN
}];

/// Writes numbered records into 256 places of a file, one after the other, and says each number
/// once it is on stable storage. `argv[1]` is the first number.
const CLERK: &str = r#"
import os, sys
number = int(sys.argv[1])
book = os.open("/mnt/book", os.O_RDWR | os.O_CREAT)
while True:
    os.pwrite(book, (b"%08d" % number) * 512, number % 256 << 12)
    os.fdatasync(book)
    print(number, flush=True)
    number += 1
"#;

/// Checks that every record up to `argv[1]` that was not overwritten is there, whole.
const AUDITOR: &str = r#"
import sys
last = int(sys.argv[1])
with open("/mnt/book", "rb") as book:
    for number in range(max(0, last - 255), last + 1):
        book.seek(number % 256 << 12)
        record = book.read(4096)
        kept = int(record[:8])
        if kept < number or kept % 256 != number % 256 or record != (b"%08d" % kept) * 512:
            sys.exit("record %d was acknowledged, and its place holds %r" % (number, record[:16]))
"#;

fn swap(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    let stacks = [alpha.stack(), beta.stack()];

    // A cluster as it is found: the C driver and stock tools on both nodes.
    for node in lab.nodes() {
        lab.change_stack(node, Stack::C)?;
        load_module(node)?;
        node.put("/tmp/clerk.py", CLERK.as_bytes())?;
        node.put("/tmp/auditor.py", AUDITOR.as_bytes())?;
    }
    steps::bring_up_in_sync(lab, &r0)?;
    alpha.sh("mkfs.ext4 -q /dev/drbd1 && mount /dev/drbd1 /mnt && touch /mnt/book")?;

    // There, and back to where it began.
    let mut next = 0;
    for [first, second] in [stacks, [Stack::C; 2]] {
        next = replace_peer(lab, &r0, alpha, beta, second, next)?;
        hand_over(&r0, alpha, beta, next)?;
        next = replace_peer(lab, &r0, beta, alpha, first, next)?;
        hand_over(&r0, beta, alpha, next)?;
    }
    alpha.sh("umount /mnt")?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)?;
    // The next scenario finds what the pairing says.
    for (node, stack) in lab.nodes().iter().zip(stacks) {
        node.sh("udevadm settle; rmmod drbd")?;
        lab.change_stack(node, stack)?;
    }
    Ok(())
}

/// The clerk at work: it was seen to write some records beyond `from`.
fn begin(node: &Node, from: u32) -> Result<Job<'_>> {
    let mut clerk = node.start_sh(&format!("exec python3 /tmp/clerk.py {from}"))?;
    go_on(&mut clerk, 40)?;
    Ok(clerk)
}

/// Waits for `more` records; gives the last number said.
fn go_on(clerk: &mut Job<'_>, more: usize) -> Result<u32> {
    let mut begun = None;
    let seen = clerk.until("more records", time::command(), |seen| {
        let now = seen.out.lines().count();
        now > *begun.get_or_insert(now) + more
    })?;
    last_number(&seen.out)
}

fn last_number(said: &str) -> Result<u32> {
    // The last line may be incomplete.
    let whole = said.rfind('\n').and_then(|end| said.get(..end));
    whole
        .and_then(|text| text.lines().last()?.parse().ok())
        .ok_or_else(|| LabError::Mismatch(format!("the clerk said no number:\n{said}")))
}

/// Replaces the driver of the Secondary while the Primary is written to. Gives the next number.
fn replace_peer(
    lab: &Lab,
    r0: &Resource,
    primary: &Node,
    secondary: &Node,
    stack: Stack,
    from: u32,
) -> Result<u32> {
    let mut clerk = begin(primary, from)?;
    secondary.sh("udevadm settle; drbdadm down r0 && rmmod drbd")?;
    primary.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/")?;
    go_on(&mut clerk, 40)?;

    lab.change_stack(secondary, stack)?;
    load_module(secondary)?;
    secondary.sh("drbdadm up r0")?;
    steps::wait_synced(primary, secondary, r0)?;
    go_on(&mut clerk, 40)?;
    clerk.kill()?;
    let said = clerk.wait(time::command())?;
    only_what_changed(primary, r0)?;
    last_number(&said.out).map(|last| last + 1)
}

/// The last resync that this node's kernel told of was much less than the disk.
fn only_what_changed(node: &Node, r0: &Resource) -> Result<()> {
    let log = node.complete_log()?;
    let said = log.lines().rev().find_map(|line| {
        let (_, text) = line.split_once("(will sync ")?;
        text.split_once(" KB")?.0.parse::<u64>().ok()
    });
    let all = steps::device_bytes(node, r0)? >> 10;
    match said {
        Some(kib) => ensure(kib > 0 && kib < all / 4, || {
            format!("{}: {kib} of {all} KiB were resynced", node.name())
        }),
        None => Err(LabError::Mismatch(format!(
            "{}: no resync in the log",
            node.name()
        ))),
    }
}

/// Moves the service to the peer, which has all that was acknowledged.
fn hand_over(r0: &Resource, from: &Node, to: &Node, next: u32) -> Result<()> {
    from.sh("umount /mnt")?;
    steps::switch_over(from, to, r0)?;
    to.sh("mount /dev/drbd1 /mnt")?;
    to.sh(&format!("python3 /tmp/auditor.py {}", next - 1))
        .map(|_| ())
}
