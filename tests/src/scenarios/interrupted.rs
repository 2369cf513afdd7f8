// SPDX-License-Identifier: GPL-2.0
//! A resync that is interrupted in every way there is, under load, and ends all the same.

use super::after::{rate, FAST, SLOW};
use super::detach::detach;
use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::Result;
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::time;

/// The long one.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "resync-interrupted",
    about: "a resync cut, paused, unplugged, detached, and its target promoted: ends equal",
    source: include_str!("interrupted.rs"),
    pairs: &["ours:ours", "ours:c"],
    run: interrupted,
    ..PLAIN
}];

const SOURCE: &str = "cs:SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent";
const TARGET: &str = "cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate";

fn fio(seed: u32, more: &str) -> String {
    format!(
        "exec fio --name=load --filename=/dev/drbd1 --rw=randwrite --bs=4k --size=8m \
         --ioengine=libaio --iodepth=4 --direct=1 --verify=crc32c --randseed={seed} \
         --output-format=terse {more} >/dev/null"
    )
}

fn check(node: &Node, seed: u32) -> Result<()> {
    node.sh(&fio(seed, "--verify_only=1")).map(|_| ())
}

fn interrupted(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;

    // Beta misses 24 MiB, and then another writer goes on through all that follows.
    beta.sh("drbdadm disconnect r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=1M seek=8 count=24 oflag=direct")?;
    for node in lab.nodes() {
        rate(node, &r0, SLOW)?;
    }
    let writer = alpha.start_sh(&fio(1, "--do_verify=0 --rate_iops=20"))?;
    beta.sh("drbdadm connect r0")?;
    beta.wait_drbd(1, TARGET)?;

    // The cable.
    alpha.cut_the_cable()?;
    alpha.wait_drbd(1, "cs:[A-Za-z]+ ro:Primary/Unknown")?;
    beta.wait_drbd(1, "cs:[A-Za-z]+ ro:Secondary/Unknown")?;
    alpha.plug_the_cable()?;
    beta.wait_drbd(1, TARGET)?;

    // Pauses from both sides.
    alpha.sh("drbdadm pause-sync r0")?;
    beta.wait_drbd(
        1,
        "cs:PausedSyncT ro:Secondary/Primary ds:Inconsistent/UpToDate",
    )?;
    beta.sh("drbdadm pause-sync r0")?;
    alpha.sh("drbdadm resume-sync r0")?;
    alpha.wait_drbd(
        1,
        "cs:PausedSyncS ro:Primary/Secondary ds:UpToDate/Inconsistent",
    )?;
    beta.sh("drbdadm resume-sync r0")?;
    alpha.wait_drbd(1, SOURCE)?;

    // The target's power.
    beta.pull_the_plug();
    alpha.wait_drbd(1, "cs:[A-Za-z]+ ro:Primary/Unknown")?;
    lab.power_on(beta)?;
    steps::configure_one(lab, beta, &[&r0])?;
    load_module(beta)?;
    beta.sh("drbdadm up r0")?;
    beta.wait_drbd(1, "cs:SyncTarget")?;
    rate(beta, &r0, SLOW)?;

    // The target's disk.
    detach(beta, "/dev/data0")?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/Diskless")?;
    // By the configuration: options cannot be set before the disk has been compared.
    let slow = Resource::r0()
        .disk("c-plan-ahead 0")
        .disk("resync-rate 200k");
    steps::configure_one(lab, beta, &[&slow])?;
    beta.sh("drbdadm attach r0")?;
    beta.wait_drbd(1, TARGET)?;

    // The target becomes Primary, and reads what it does not have yet from the source.
    writer.succeed(time::command())?;
    check(alpha, 1)?;
    steps::demote(alpha)?;
    beta.wait_drbd(
        1,
        "cs:SyncTarget ro:Secondary/Secondary ds:Inconsistent/UpToDate",
    )?;
    beta.sh("drbdadm primary r0")?;
    check(beta, 1)?;
    beta.sh(&fio(2, "--do_verify=0"))?;
    check(beta, 2)?;
    for node in lab.nodes() {
        rate(node, &r0, FAST)?;
    }
    steps::wait_synced(beta, alpha, &r0)?;
    check(beta, 2)?;
    steps::demote(beta)?;
    steps::down_and_compare(lab, &r0)
}
