// SPDX-License-Identifier: GPL-2.0
//! Disks that do not answer: at the peer (`ko-count`), and here (`disk-timeout`).

use super::{faults, layers, steps, Oracle, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Disks that hang for a while.
pub const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "ko-count",
        about: "the Secondary answers pings, but no write: it is dropped, and comes back",
        source: include_str!("overdue.rs"),
        pairs: OURS_AND_MIXED,
        run: ko_count,
        ..PLAIN
    },
    Scenario {
        name: "disk-timeout",
        about: "the Primary's disk hangs under load: the peer serves; what hung fails in the end",
        source: include_str!("overdue.rs"),
        pairs: &["ours:ours", "ours:c"],
        run: |lab| disk_timeout(lab, "error"),
        ..PLAIN
    },
    Scenario {
        name: "disk-timeout-late",
        about: "the same; what hung succeeds in the end, when nobody waits for it any more",
        source: include_str!("overdue.rs"),
        c: Oracle::KnownDefect {
            sheet: "states-and-behaviour.md, 17: a late success of an aborted request panics",
            shows: "panic",
        },
        run: late,
        ..PLAIN
    },
];

/// The disk as it is.
const LINEAR: &str = "linear /dev/data0 0";

/// r0 on a layer that can hang; in sync, alpha Primary.
fn bring_up(lab: &Lab, r0: Resource) -> Result<Resource> {
    let r0 = r0.on_disk("/dev/mapper/hangs").fast_resync();
    for node in lab.nodes() {
        node.sh(&format!(
            "modprobe dm-mod && dmsetup mknodes && \
             echo \"0 $(blockdev --getsz /dev/data0) {LINEAR}\" | dmsetup create hangs && \
             udevadm settle"
        ))?;
    }
    steps::bring_up_in_sync(lab, &r0)?;
    Ok(r0)
}

fn take_down(lab: &Lab, r0: &Resource) -> Result<()> {
    let (alpha, _) = lab.pair();
    steps::demote(alpha)?;
    layers::take_down(lab, r0, &["hangs"])
}

/// From now on the disk answers nothing.
fn hang(node: &Node) -> Result<()> {
    node.sh("dmsetup suspend --noflush --nolockfs hangs")
        .map(|_| ())
}

/// It answers again, what it was asked meanwhile too; with this table.
fn go_on(node: &Node, table: &str) -> Result<()> {
    layers::load_table(node, "hangs", table)
}

fn ko_count(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().net("timeout 20").net("ko-count 3");
    let r0 = bring_up(lab, r0)?;

    hang(beta)?;
    let writer = alpha.start_sh(
        "exec dd if=/dev/urandom of=/dev/drbd1 bs=64k count=4 oflag=direct status=none",
    )?;
    alpha.wait_log("ms > ko-count (3) * timeout (20 * 0.1s)")?;
    let log = alpha.log()?;
    ensure(!log.contains("PingAck did not arrive"), || log)?;
    // As long as its disk hangs, beta does not come back.
    alpha.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown")?;
    writer.succeed(time::command())?;
    let missing = alpha.counter("oos")?;
    ensure(missing == 256, || {
        format!("{missing} KiB of 256 are marked")
    })?;

    go_on(beta, LINEAR)?;
    steps::wait_synced(alpha, beta, &r0)?;
    take_down(lab, &r0)
}

fn late(lab: &Lab) -> Result<()> {
    let outcome = disk_timeout(lab, LINEAR);
    let (alpha, _) = lab.pair();
    if alpha.is_well().is_err() {
        // It has panicked: nobody can ask it for anything any more.
        alpha.pull_the_plug();
    }
    outcome
}

fn disk_timeout(lab: &Lab, end: &str) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = bring_up(lab, Resource::r0().disk("disk-timeout 50"))?;
    let writer = faults::load(alpha)?;

    hang(alpha)?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:Failed/UpToDate")?;
    beta.wait_drbd(1, "cs:Connected ro:Secondary/Primary ds:UpToDate/Failed")?;
    // Nothing waits for the disk any more.
    writer.succeed(time::command())?;
    faults::check_load(alpha)?;

    go_on(alpha, end)?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate")?;
    if end != LINEAR {
        go_on(alpha, LINEAR)?;
    }
    alpha.sh("drbdadm attach r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    faults::check_load(alpha)?;
    take_down(lab, &r0)
}
