// SPDX-License-Identifier: GPL-2.0
//! Cables are cut and plugs are pulled while a node writes.

use super::{steps, Scenario, MIXED, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::time;

/// Faults under load.
pub const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "cable-cut",
        about: "cable cut under load and replugged: only what changed is resynced, disks equal",
        source: include_str!("faults.rs"),
        pairs: OURS_AND_MIXED,
        run: cable_cut,
        ..PLAIN
    },
    Scenario {
        name: "plug-pulled-secondary",
        about: "the Secondary loses power under load: the Primary goes on, the other returns",
        source: include_str!("faults.rs"),
        pairs: MIXED,
        run: secondary_dies,
        ..PLAIN
    },
    Scenario {
        name: "plug-pulled-primary",
        about: "the Primary loses power under load: no acknowledged file is lost at the other",
        source: include_str!("faults.rs"),
        pairs: OURS_AND_MIXED,
        run: primary_dies,
        ..PLAIN
    },
    Scenario {
        name: "diskless-primary",
        about: "the Primary's disk fails under load: it goes on with the peer's, and heals",
        source: include_str!("faults.rs"),
        pairs: &["ours:ours", "ours:c"],
        run: disk_dies,
        ..PLAIN
    },
];

/// The part of the device that the load writes to, in KiB.
const LOAD_KIB: u64 = 8 << 10;

/// Writes each 4 KiB block of the load's area once, at random, with a checksum in it; at a pace
/// that leaves time for faults.
pub(super) fn load(node: &Node) -> Result<crate::node::Job<'_>> {
    let fio = format!(
        "exec fio --name=load --filename=/dev/drbd1 --rw=randwrite --bs=4k --size={LOAD_KIB}k \
         --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --do_verify=0 \
         --randseed=42 --rate_iops=150 --output-format=terse"
    );
    let job = node.start_sh(&fio)?;
    node.wait_drbd(1, "cs:.*\\n *ns:\\d+ nr:\\d+ dw:[1-9]\\d\\d")?;
    Ok(job)
}

/// Reads back what a completed [`load`] wrote.
pub(super) fn check_load(node: &Node) -> Result<()> {
    node.sh(&format!(
        "fio --name=load --filename=/dev/drbd1 --rw=randwrite --bs=4k --size={LOAD_KIB}k \
         --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --verify_only=1 \
         --randseed=42 --output-format=terse >/dev/null"
    ))
    .map(|_| ())
}

fn cable_cut(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    let writer = load(alpha)?;

    beta.cut_the_cable()?;
    alpha.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown")?;
    beta.wait_drbd(
        1,
        "cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown",
    )?;
    // The writer is not held up by the loss of the peer.
    writer.succeed(time::command())?;
    let missed = alpha.counter("oos")?;
    ensure(missed > 0 && missed <= LOAD_KIB, || {
        format!("{missed} KiB out of sync after a load of {LOAD_KIB} KiB")
    })?;

    let before = beta.disk_writes_kib()?;
    beta.plug_the_cable()?;
    steps::wait_synced(alpha, beta, &r0)?;
    let written = beta.disk_writes_kib()? - before;
    // The missed blocks, and some metadata.
    ensure((missed..missed + 1024).contains(&written), || {
        format!("{missed} KiB were out of sync, and beta's disk was given {written} KiB")
    })?;

    steps::switch_over(alpha, beta, &r0)?;
    check_load(beta)?;
    steps::demote(beta)?;
    steps::down_and_compare(lab, &r0)
}

fn secondary_dies(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    let writer = load(alpha)?;

    beta.pull_the_plug();
    alpha.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown")?;
    writer.succeed(time::command())?;

    come_back(lab, beta, &r0)?;
    steps::wait_synced(alpha, beta, &r0)?;
    steps::switch_over(alpha, beta, &r0)?;
    check_load(beta)?;
    steps::demote(beta)?;
    steps::down_and_compare(lab, &r0)
}

/// Power returns to a node; it loads its module and takes r0 up again.
fn come_back(lab: &Lab, node: &Node, r0: &Resource) -> Result<()> {
    lab.power_on(node)?;
    steps::configure_one(lab, node, &[r0])?;
    load_module(node)?;
    node.sh("drbdadm up r0").map(|_| ())
}

/// Writes files one after the other, each synced before its number is said.
const DILIGENT: &str = r#"
import os, sys
for number in range(100000):
    path = "/mnt/file.%d" % number
    with open(path, "wb") as file:
        file.write(b"%08d\n" % number * 400)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open("/mnt", os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    print(number, flush=True)
"#;

/// Checks the files 0 to `argv[1]`.
const MEMORY: &str = r#"
import sys
for number in range(int(sys.argv[1]) + 1):
    with open("/mnt/file.%d" % number, "rb") as file:
        if file.read() != b"%08d\n" % number * 400:
            sys.exit("file.%d is damaged" % number)
"#;

fn primary_dies(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    alpha.sh("mkfs.ext4 -q /dev/drbd1 && mount /dev/drbd1 /mnt")?;
    alpha.put("/tmp/diligent.py", DILIGENT.as_bytes())?;
    let mut writer = alpha.start(&["python3", "/tmp/diligent.py"], b"")?;
    let said = writer.until("a hundred files", time::command(), |seen| {
        seen.out.lines().count() > 100
    })?;
    alpha.pull_the_plug();
    let last = said.out.lines().last().unwrap_or("0").to_owned();

    // Beta has all that alpha had said to be on disk, and goes on alone.
    beta.wait_drbd(
        1,
        "cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown",
    )?;
    beta.sh("drbdadm primary r0")?;
    beta.sh("mount /dev/drbd1 /mnt")?;
    beta.put("/tmp/memory.py", MEMORY.as_bytes())?;
    beta.sh(&format!("python3 /tmp/memory.py {last}"))?;
    beta.sh("echo beta was here >/mnt/beta && sync")?;

    // Alpha returns with what it wrote alone at the end, and becomes equal to beta.
    come_back(lab, alpha, &r0)?;
    steps::wait_synced(beta, alpha, &r0)?;
    beta.sh("umount /mnt")?;
    steps::switch_over(beta, alpha, &r0)?;
    alpha.sh("mount /dev/drbd1 /mnt && grep -qx 'beta was here' /mnt/beta")?;
    alpha.put("/tmp/memory.py", MEMORY.as_bytes())?;
    alpha.sh(&format!("python3 /tmp/memory.py {last} && umount /mnt"))?;
    alpha.sh("fsck.ext4 -fn /dev/drbd1 >/dev/null")?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// Puts a device mapper's linear target under r0 on alpha, so that the disk can fail later.
fn mapped(node: &Node) -> Result<()> {
    node.sh("modprobe dm-mod && dmsetup mknodes && \
         echo \"0 $(blockdev --getsz /dev/data0) linear /dev/data0 0\" | dmsetup create frail && \
         udevadm settle")
        .map(|_| ())
}

fn disk_dies(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync().disk("on-io-error detach");
    mapped(alpha)?;
    let frail = r0.clone().on_disk("/dev/mapper/frail");
    steps::configure(lab, &[&r0])?;
    steps::configure_one(lab, alpha, &[&frail])?;
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force r0 && drbdadm up r0")?;
    }
    alpha.wait_drbd(
        1,
        "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent",
    )?;
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    let writer = load(alpha)?;

    // From now on every access to alpha's disk is an error.
    alpha.sh(
        "echo \"0 $(blockdev --getsz /dev/data0) error\" | dmsetup load frail && \
         dmsetup suspend --noflush --nolockfs frail && dmsetup resume frail",
    )?;
    alpha.wait_drbd(
        1,
        "cs:Connected ro:Primary/Secondary ds:(Diskless|Failed)/UpToDate",
    )?;
    writer.succeed(time::command())?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate")?;
    // Reads come from the peer.
    check_load(alpha)?;

    // The disk is well again, and what it missed is made good.
    alpha.sh(
        "echo \"0 $(blockdev --getsz /dev/data0) linear /dev/data0 0\" | dmsetup load frail && \
         dmsetup suspend --noflush --nolockfs frail && dmsetup resume frail",
    )?;
    alpha.sh("drbdadm attach r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    check_load(alpha)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)?;
    alpha.sh("udevadm settle; dmsetup remove frail").map(|_| ())
}
