// SPDX-License-Identifier: GPL-2.0
//! Disks that become larger while DRBD is down, on both nodes or on one.

use super::{crash, layers, steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Sizes that change.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "resize-offline",
        about:
            "both disks grow while DRBD is down: metadata moves, the device grows with the second",
        source: include_str!("resize.rs"),
        pairs: OURS_AND_MIXED,
        run: offline,
        ..PLAIN
    },
    Scenario {
        name: "resize-peer-returns",
        about: "a peer comes back with a larger disk, five times, while the Primary writes",
        source: include_str!("resize.rs"),
        pairs: OURS_AND_MIXED,
        run: peer_returns,
        ..PLAIN
    },
];

/// What stands for a disk that can grow: a part of `/dev/data0`.
pub(super) const STORE: &str = "/dev/mapper/store";
/// Sizes of it in sectors: 32 and 48 MiB.
pub(super) const SMALL: u32 = 65_536;
pub(super) const LARGE: u32 = 98_304;
/// What a disk gets at a time in [`peer_returns`]: 3 MiB; and how often.
const STEP: u32 = 6144;
const STEPS: u32 = 5;
/// Writes that the Primary has acknowledged between two changes.
const WRITES: usize = 300;

/// Gives the store another size, or makes it.
pub(super) fn set_store(node: &Node, sectors: u32) -> Result<()> {
    let table = format!("0 {sectors} linear /dev/data0 0");
    node.sh(&format!(
        "if test -e {STORE}; then dmsetup reload store --table '{table}' && dmsetup resume store; \
         else dmsetup create store --table '{table}'; fi && udevadm settle && \
         test $(blockdev --getsz {STORE}) = {sectors}"
    ))
    .map(|_| ())
}

fn offline(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().on_disk(STORE).fast_resync();
    for node in lab.nodes() {
        set_store(node, SMALL)?;
    }
    steps::bring_up_in_sync(lab, &r0)?;
    let before = steps::device_bytes(alpha, &r0)?;
    steps::fill(alpha, "mkfs.ext4 -q", &r0, 500)?;
    alpha.sh("umount /mnt")?;
    steps::demote(alpha)?;

    // One disk after the other. The metadata is not where it is looked for, until it is moved.
    for (node, other) in [(beta, alpha), (alpha, beta)] {
        node.sh("udevadm settle; drbdadm down r0")?;
        other.wait_drbd(1, "cs:WFConnection")?;
        set_store(node, LARGE)?;
        node.refuses(1, "drbdmeta 1 v08 /dev/mapper/store internal get-gi")?;
        node.sh("drbdadm check-resize r0 && drbdadm up r0")?;
        for node in lab.nodes() {
            node.wait_drbd(1, steps::IN_SYNC)?;
        }
        let now = steps::device_bytes(node, &r0)?;
        ensure((now == before) == (node.name() == "beta"), || {
            format!("{before} bytes have become {now}")
        })?;
    }
    let after = steps::device_bytes(beta, &r0)?;
    ensure(steps::device_bytes(alpha, &r0)? == after, || {
        "the nodes differ about the size".into()
    })?;

    // What was there is there, and the new room is good for something.
    for (here, there) in [(alpha, beta), (beta, alpha)] {
        here.sh("drbdadm primary r0")?;
        here.sh("e2fsck -fp /dev/drbd1 && resize2fs /dev/drbd1 && mount /dev/drbd1 /mnt")?;
        steps::verify(here)?;
        here.sh("dd if=/dev/urandom of=/mnt/more bs=1M count=12 conv=fsync && umount /mnt")?;
        steps::demote(here)?;
        there.wait_drbd(1, steps::IN_SYNC)?;
    }
    layers::take_down(lab, &r0, &["store"])
}

/// The device grows under a Primary that writes alone until the very moment: what it marks while
/// its bitmap becomes larger is not forgotten.
fn peer_returns(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().on_disk(STORE).fast_resync();
    let mut size = SMALL;
    set_store(alpha, SMALL + STEPS * STEP)?;
    set_store(beta, size)?;
    steps::bring_up_in_sync(lab, &r0)?;
    let mut bytes = steps::device_bytes(alpha, &r0)?;
    let mut writer = crash::start_writer(alpha, bytes / 4096, 1, 0)?;
    let mut said = 0;
    for _ in 0..STEPS {
        beta.sh("udevadm settle; drbdadm down r0")?;
        let more = said + WRITES;
        writer.until("writes without the peer", time::command(), |seen| {
            said = seen.out.lines().count();
            said > more
        })?;
        size += STEP;
        set_store(beta, size)?;
        beta.sh("drbdadm check-resize r0 && drbdadm up r0")?;
        steps::wait_synced(alpha, beta, &r0)?;
        let now = steps::device_bytes(alpha, &r0)?;
        ensure(
            now > bytes && now == steps::device_bytes(beta, &r0)?,
            || format!("{bytes} bytes have become {now}"),
        )?;
        bytes = now;
    }
    writer.kill()?;
    let journal = crash::journal_of(&writer.wait(time::command())?.out);
    steps::switch_over(alpha, beta, &r0)?;
    crash::check(beta, &journal)?;
    steps::demote(beta)?;
    layers::take_down(lab, &r0, &["store"])
}
