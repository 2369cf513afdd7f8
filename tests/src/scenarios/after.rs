// SPDX-License-Identifier: GPL-2.0
//! `resync-after`: of two resources in need of a resync, one waits for the other.

use super::detach::detach;
use super::refusals::refused;
use super::{steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::compare;
use crate::drbdconf::Resource;
use crate::error::Result;
use crate::lab::Lab;
use crate::node::Node;

/// One scenario.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "resync-after",
    about: "a resync waits for that of another resource, begins paused, goes on when told or alone",
    source: include_str!("after.rs"),
    pairs: OURS_AND_MIXED,
    run: resync_after,
    ..PLAIN
}];

/// At this rate a resync of 24 MiB takes two minutes.
pub(super) const SLOW: &str = "--c-plan-ahead=0 --resync-rate=200k";
pub(super) const FAST: &str = "--c-plan-ahead=0 --resync-rate=200M";

fn resync_after(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    let r1 = Resource::new("r1", 2, "/dev/data1")
        .fast_resync()
        .disk("resync-after r0");
    steps::configure(lab, &[&r0, &r1])?;
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force all")?;
        node.sh("drbdadm up all")?;
        rate(node, &r0, SLOW)?;
        rate(node, &r1, SLOW)?;
    }
    for node in lab.nodes() {
        for minor in [1, 2] {
            node.wait_drbd(minor, "cs:Connected .* ds:Inconsistent/Inconsistent")?;
        }
    }

    // The second one begins paused, on both nodes, and no command changes that.
    alpha.sh("drbdadm primary --force r0")?;
    for (node, state) in [(alpha, "cs:SyncSource"), (beta, "cs:SyncTarget")] {
        node.wait_drbd(1, state)?;
        node.wait_drbd(2, "cs:Connected .* C rap---")?;
    }
    alpha.sh("drbdadm primary --force r1")?;
    paused(alpha, beta)?;
    refused(
        beta,
        "drbdadm resume-sync r1",
        10,
        "Resync pause caused by a local resync-after dependency.",
    )?;
    refused(
        alpha,
        "drbdsetup disk-options 1 --resync-after=2",
        10,
        "(133) This would cause a resync-after dependency cycle",
    )?;

    // It goes on when the first one is done.
    for node in lab.nodes() {
        rate(node, &r0, FAST)?;
    }
    steps::wait_synced(alpha, beta, &r0)?;
    alpha.wait_drbd(2, "cs:SyncSource .* C r-----")?;
    beta.wait_drbd(2, "cs:SyncTarget .* C r-----")?;

    // The first one is in need again: the second one stops in its midst.
    for node in lab.nodes() {
        rate(node, &r0, SLOW)?;
    }
    beta.sh("drbdadm invalidate r0")?;
    beta.wait_drbd(1, "cs:SyncTarget")?;
    paused(alpha, beta)?;

    // Paused by the administrator, it still goes first.
    beta.sh("drbdadm pause-sync r0")?;
    alpha.wait_drbd(1, "cs:PausedSyncS")?;
    paused(alpha, beta)?;
    beta.sh("drbdadm resume-sync r0")?;
    beta.wait_drbd(1, "cs:SyncTarget")?;
    paused(alpha, beta)?;

    // The dependency is taken away while both are at it, on one node and then on the other.
    alpha.sh("drbdsetup disk-options 2 --resync-after=-1")?;
    alpha.wait_drbd(2, "cs:PausedSyncS .* C r-p---")?;
    beta.sh("drbdsetup disk-options 2 --resync-after=-1")?;
    alpha.wait_drbd(2, "cs:SyncSource .* C r-----")?;
    beta.wait_drbd(1, "cs:SyncTarget")?;

    // And given again; a first one without a disk holds up nobody.
    for node in lab.nodes() {
        node.sh("drbdsetup disk-options 2 --resync-after=1")?;
    }
    paused(alpha, beta)?;
    detach(beta, "/dev/data0")?;
    beta.wait_drbd(1, "cs:Connected .* ds:Diskless/UpToDate")?;
    alpha.wait_drbd(2, "cs:SyncSource .* C r-----")?;
    beta.sh("drbdadm attach r0")?;
    // Options cannot be set before the disk has been compared.
    beta.wait_drbd(1, "cs:.* ds:(Inconsistent|UpToDate)/UpToDate")?;

    for node in lab.nodes() {
        rate(node, &r0, FAST)?;
        rate(node, &r1, FAST)?;
    }
    for (disk, resource) in [&r0, &r1].into_iter().enumerate() {
        steps::wait_synced(alpha, beta, resource)?;
        let bytes = steps::device_bytes(alpha, resource)?;
        for node in lab.nodes() {
            node.sh(&format!("udevadm settle; drbdadm down r{disk}"))?;
        }
        compare::same_data(alpha, beta, disk, bytes)?;
    }
    Ok(())
}

/// The resync of the second resource waits on both nodes.
fn paused(alpha: &Node, beta: &Node) -> Result<()> {
    alpha.wait_drbd(2, "cs:PausedSyncS .* C rap---")?;
    beta.wait_drbd(2, "cs:PausedSyncT .* C rap---").map(|_| ())
}

/// How fast a node lets a resource's resync go: [`SLOW`] or [`FAST`].
pub(super) fn rate(node: &Node, resource: &Resource, rate: &str) -> Result<()> {
    let minor = resource.minor();
    node.sh(&format!("drbdsetup disk-options {minor} {rate}"))
        .map(|_| ())
}
