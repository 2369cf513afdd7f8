// SPDX-License-Identifier: GPL-2.0
//! The tutorial's session: from empty disks to a switch-over and back.

use super::{steps, Scenario, EVERY, MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::Result;
use crate::lab::Lab;

/// The session in each protocol.
pub const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "tutorial-C",
        about: "create-md, up, full sync, ext3, switch-over both ways, peer's disk on its own",
        source: include_str!("tutorial.rs"),
        pairs: EVERY,
        run: |lab| session(lab, 'C'),
        ..PLAIN
    },
    Scenario {
        name: "tutorial-A",
        about: "the same session with protocol A",
        source: include_str!("tutorial.rs"),
        pairs: MIXED,
        run: |lab| session(lab, 'A'),
        ..PLAIN
    },
    Scenario {
        name: "tutorial-B",
        about: "the same session with protocol B",
        source: include_str!("tutorial.rs"),
        pairs: MIXED,
        run: |lab| session(lab, 'B'),
        ..PLAIN
    },
];

fn session(lab: &Lab, protocol: char) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().protocol(protocol).fast_resync();

    // The nodes find each other, with nothing worth keeping on either disk.
    steps::bring_up(lab, &r0)?;

    // Alpha's disk is declared to be the good one.
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    let letter = format!("cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate {protocol} ");
    alpha.wait_drbd(1, &letter)?;

    // A file system with two hundred files. udev knows the device by the resource's name.
    alpha.sh("udevadm settle; test -b /dev/drbd/by-res/r0 || test -b /dev/drbd/by-res/r0/0")?;
    steps::fill(alpha, "mkfs.ext3 -q", &r0, 200)?;
    steps::verify(alpha)?;
    alpha.sh("umount /mnt")?;

    // Beta takes over, finds all files, and adds one.
    steps::switch_over(alpha, beta, &r0)?;
    beta.sh("mount /dev/drbd1 /mnt")?;
    steps::verify(beta)?;
    beta.sh("echo here >/mnt/beta-was && umount /mnt")?;

    // And back.
    steps::switch_over(beta, alpha, &r0)?;
    alpha.sh("mount /dev/drbd1 /mnt")?;
    steps::verify(alpha)?;
    alpha.sh("grep -qx here /mnt/beta-was")?;
    alpha.sh("umount /mnt")?;

    // Without DRBD, beta's disk is a plain ext3 disk (blkid calls it "drbd" for its metadata).
    steps::demote(alpha)?;
    beta.sh("udevadm settle; drbdadm down r0")?;
    beta.sh("mount -t ext3 -o ro /dev/data0 /mnt")?;
    steps::verify(beta)?;
    beta.sh("grep -qx here /mnt/beta-was && umount /mnt")?;
    steps::down_and_compare(lab, &r0)
}
