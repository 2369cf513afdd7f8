// SPDX-License-Identifier: GPL-2.0
//! The device gets another size while it is in use: `drbdadm resize`.

use super::resize::{set_store, LARGE, SMALL, STORE};
use super::{layers, steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::time;

/// Sizes that change in use.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "resize-online",
    about: "disks grow and DRBD with them, under load; shrunk, refused, cut off, without power",
    source: include_str!("online.rs"),
    pairs: OURS_AND_MIXED,
    run: online,
    ..PLAIN
}];

/// A size between the two in sectors: 40 MiB.
const MIDDLE: u32 = 81_920;
/// A device that is smaller than its disks: 20 MiB.
const SHRUNK: u64 = 20 << 20;

/// Writes files of 512 KiB, one after the other, until it is killed.
const LOAD: &str = "while :; do for i in 1 2 3 4 5 6; do \
     dd if=/dev/urandom of=/mnt/load.$i bs=64k count=8 conv=fsync 2>/dev/null; done; done";

fn online(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().on_disk(STORE).fast_resync();
    for node in lab.nodes() {
        set_store(node, SMALL)?;
    }
    steps::bring_up_in_sync(lab, &r0)?;
    let small = steps::device_bytes(alpha, &r0)?;
    steps::fill(alpha, "mkfs.ext4 -q", &r0, 200)?;

    // One disk has grown: the device has not. Then the other one, and the device under the file
    // system, which grows as well.
    let load = alpha.start_sh(LOAD)?;
    set_store(alpha, MIDDLE)?;
    alpha.sh("drbdadm resize r0")?;
    has_size(lab, &r0, small)?;
    set_store(beta, MIDDLE)?;
    alpha.sh("drbdadm resize r0")?;
    let middle = grown(lab, &r0, [alpha, beta], small)?;
    let noted = alpha.sh("cat /var/lib/drbd/drbd-minor-1.lkbd")?;
    ensure(
        noted.starts_with(&format!("{}\t", u64::from(MIDDLE) << 9)),
        || noted,
    )?;
    alpha.sh("resize2fs /dev/drbd1 2>/dev/null")?;
    load.kill()?;
    load.wait(time::command())?;
    alpha.sh("dd if=/dev/urandom of=/mnt/more bs=1M count=6 conv=fsync 2>/dev/null")?;
    steps::verify(alpha)?;
    alpha.sh("umount /mnt && e2fsck -fn /dev/drbd1 >/dev/null 2>&1")?;
    steps::switch_over(alpha, beta, &r0)?;
    beta.sh("udevadm settle && mount /dev/drbd1 /mnt")?;
    steps::verify(beta)?;
    beta.sh("umount /mnt")?;

    shrink(lab, &r0, middle)?;
    fail(lab, &r0, middle)
}

/// Smaller by the administrator's word, on the other node than before; and back. Then what is
/// refused. Beta is Primary.
fn shrink(lab: &Lab, r0: &Resource, full: u64) -> Result<()> {
    let (alpha, beta) = lab.pair();
    alpha.sh("drbdsetup resize 1 --size=20M")?;
    has_size(lab, r0, SHRUNK)?;
    for node in lab.nodes() {
        let shown = node.sh("drbdsetup show r0")?;
        ensure(shown.contains("40960s"), || shown)?;
    }
    // Nothing was written there meanwhile, so this is true.
    beta.sh("drbdsetup resize 1 --assume-clean")?;
    steps::wait_synced(beta, alpha, r0)?;
    has_size(lab, r0, full)?;
    for node in lab.nodes() {
        let left = node.counter("oos")?;
        ensure(left == 0, || format!("{left} KiB are out of sync"))?;
    }
    // More than there is: all of it.
    beta.sh("drbdsetup resize 1 --size=1G && drbdsetup resize 1")?;
    has_size(lab, r0, full)?;

    beta.sh("drbdadm pause-sync r0")?;
    alpha.sh("drbdadm invalidate r0")?;
    beta.wait_drbd(1, "cs:PausedSyncS")?;
    refused(beta, "(130) Resize not allowed during resync.")?;
    beta.sh("drbdadm resume-sync r0")?;
    steps::wait_synced(beta, alpha, r0)?;
    steps::demote(beta)?;
    refused(beta, "(131) Need one Primary node to resize.")?;
    beta.sh("drbdadm primary r0 && udevadm settle").map(|_| ())
}

/// Both grow, and in the resync of the new part the cable is cut; then the same, and the peer loses
/// its power. Beta is Primary, and writes alone each time.
fn fail(lab: &Lab, r0: &Resource, before: u64) -> Result<()> {
    let (alpha, beta) = lab.pair();
    grow_both(lab, LARGE - 8192, before)?;
    alpha.cut_the_cable()?;
    write_alone(beta)?;
    alpha.plug_the_cable()?;
    let before = grown(lab, r0, [beta, alpha], before)?;

    grow_both(lab, LARGE, before)?;
    alpha.pull_the_plug();
    write_alone(beta)?;
    lab.power_on(alpha)?;
    set_store(alpha, LARGE)?;
    steps::configure_one(lab, alpha, &[r0])?;
    load_module(alpha)?;
    alpha.sh("drbdadm up r0")?;
    grown(lab, r0, [beta, alpha], before)?;
    steps::demote(beta)?;
    layers::take_down(lab, r0, &["store"])
}

/// The disks grow, and beta is told to; both have grown then.
fn grow_both(lab: &Lab, sectors: u32, before: u64) -> Result<()> {
    let (_, beta) = lab.pair();
    for node in lab.nodes() {
        set_store(node, sectors)?;
    }
    beta.sh("drbdadm resize r0")?;
    larger(lab, before)
}

fn write_alone(beta: &Node) -> Result<()> {
    beta.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown")?;
    beta.sh("dd if=/dev/urandom of=/dev/drbd1 bs=64k count=16 oflag=direct 2>/dev/null")
        .map(|_| ())
}

/// Waits until both devices are larger than so many bytes.
fn larger(lab: &Lab, bytes: u64) -> Result<()> {
    for node in lab.nodes() {
        node.sh(&format!(
            "until test $(cat /sys/block/drbd1/size) -gt {}; do :; done",
            bytes / 512
        ))?;
    }
    Ok(())
}

/// Both, the Primary and the other, are in sync, and have the same larger size. Gives it.
fn grown(lab: &Lab, r0: &Resource, nodes: [&Node; 2], before: u64) -> Result<u64> {
    let [primary, secondary] = nodes;
    larger(lab, before)?;
    steps::wait_synced(primary, secondary, r0)?;
    let bytes = steps::device_bytes(primary, r0)?;
    has_size(lab, r0, bytes)?;
    Ok(bytes)
}

/// Everybody says this size of both devices, at once or soon.
fn has_size(lab: &Lab, r0: &Resource, bytes: u64) -> Result<()> {
    for node in lab.nodes() {
        node.sh(&format!(
            "until test $(cat /sys/block/drbd1/size) = {}; do :; done && \
             grep -q ' {} drbd1$' /proc/partitions",
            bytes / 512,
            bytes / 1024
        ))?;
        ensure(steps::device_bytes(node, r0)? == bytes, || {
            format!("{} has not kept {bytes} bytes", node.name())
        })?;
    }
    Ok(())
}

fn refused(node: &Node, why: &str) -> Result<()> {
    let said = node.refuses(10, "drbdsetup resize 1")?;
    ensure(said.contains(why), || said)
}
