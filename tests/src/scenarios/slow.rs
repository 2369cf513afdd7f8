// SPDX-License-Identifier: GPL-2.0
//! Disks that take their time, or that fail when they are to make data stable.

use super::layers::{self, load_table};
use super::{steps, Oracle, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// A slow disk, and one that fails a flush.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "slow-disk",
        about: "the Secondary's writes and flushes take longer than ping-timeout: the link stays",
        source: include_str!("slow.rs"),
        pairs: OURS_AND_MIXED,
        run: slow_disk,
        ..PLAIN
    },
    Scenario {
        name: "flush-fails",
        about: "the Secondary's disk dies at a flush: what it did not make stable is synced again",
        source: include_str!("slow.rs"),
        pairs: &["ours:ours", "c:ours"],
        c: Oracle::KnownDefect {
            sheet: "states-and-behaviour.md, 11.3: a flush that fails only degrades to drain",
            shows: "to show `cs:.* ds:Diskless/`",
        },
        run: flush_fails,
        ..PLAIN
    },
];

/// Two layers under r0: one that can be slow, above one that can fail.
const LAYERS: [&str; 2] = ["slow", "frail"];
const MAKE_LAYERS: &str = "modprobe -a dm-mod dm-delay dm-flakey && dmsetup mknodes && \
    size=$(blockdev --getsz /dev/data0) && \
    echo \"0 $size linear /dev/data0 0\" | dmsetup create frail && \
    echo \"0 $size linear /dev/mapper/frail 0\" | dmsetup create slow && udevadm settle";

/// From now on writes and flushes take so many milliseconds.
fn slow_down(node: &Node, write: u32, flush: u32) -> Result<()> {
    let on = "/dev/mapper/frail 0";
    let table = format!("delay {on} 0 {on} {write} {on} {flush}");
    load_table(node, "slow", &table)
}

/// As fast as ever. What was held back goes on its way at once.
fn speed_up(node: &Node) -> Result<()> {
    load_table(node, "slow", "linear /dev/mapper/frail 0")
}

/// r0 on the layers above `/dev/data0`; in sync, alpha Primary. Who does not answer a ping within
/// five seconds is given up.
fn bring_up(lab: &Lab) -> Result<Resource> {
    let r0 = Resource::r0()
        .on_disk("/dev/mapper/slow")
        .fast_resync()
        .net("ping-int 1")
        .net("ping-timeout 50");
    for node in lab.nodes() {
        node.sh(MAKE_LAYERS)?;
    }
    steps::bring_up_in_sync(lab, &r0)?;
    Ok(r0)
}

fn slow_disk(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = bring_up(lab)?;

    slow_down(beta, 1000, 10_000)?;
    // Each write is an epoch of its own; the peer flushes behind each.
    alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=4k count=2 oflag=direct status=none")?;
    // Beta notes its role in its metadata, which are as slow.
    steps::switch_over(alpha, beta, &r0)?;
    beta.sh("dd if=/dev/urandom of=/dev/drbd1 bs=4k seek=128 count=1 oflag=direct status=none")?;
    steps::demote(beta)?;
    speed_up(beta)?;

    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
        let log = node.log()?;
        let links = log.matches("Handshake successful").count();
        ensure(links == 1, || {
            format!("{} had {links} links:\n{log}", node.name())
        })?;
    }
    layers::take_down(lab, &r0, &LAYERS)
}

fn flush_fails(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = bring_up(lab)?;

    // The write ends when beta has written it; its flush is held back until the disk is dead.
    slow_down(beta, 0, 300_000)?;
    alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=4k count=1 oflag=direct status=none")?;
    load_table(beta, "frail", "flakey /dev/data0 0 0 3600 1 error_writes")?;
    speed_up(beta)?;
    beta.sh("until dmesg | grep -q 'local disk FLUSH FAILED'; do sleep 0.1; done")?;
    beta.wait_drbd_within(1, "cs:.* ds:Diskless/", time::seconds(30))?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/Diskless")?;
    let missing = alpha.counter("oos")?;
    ensure(missing > 0, || {
        "no block of the epoch is out of sync".into()
    })?;

    load_table(beta, "frail", "linear /dev/data0 0")?;
    beta.sh("drbdadm attach r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    steps::demote(alpha)?;
    layers::take_down(lab, &r0, &LAYERS)
}
