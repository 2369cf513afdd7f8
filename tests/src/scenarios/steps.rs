// SPDX-License-Identifier: GPL-2.0
//! Sentences that many scenarios are made of.

use crate::compare;
use crate::drbdconf::{self, Resource};
use crate::error::{LabError, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Both nodes Secondary, connected, with the same good data.
pub const IN_SYNC: &str = "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate";

/// Writes /etc/drbd.conf on both nodes.
///
/// # Errors
/// When a node refuses it.
pub fn configure(lab: &Lab, resources: &[&Resource]) -> Result<()> {
    for node in lab.nodes() {
        configure_one(lab, node, resources)?;
    }
    Ok(())
}

/// Writes /etc/drbd.conf on one node, for both.
///
/// # Errors
/// When the node refuses it.
pub fn configure_one(lab: &Lab, node: &Node, resources: &[&Resource]) -> Result<()> {
    let nodes: Vec<_> = lab
        .nodes()
        .iter()
        .map(|node| (node.name(), node.address()))
        .collect();
    let text = drbdconf::file(resources, &nodes);
    node.put("/etc/drbd.conf", text.as_bytes())
}

/// Configures `r0`, makes its metadata on both nodes and takes it up, until the nodes see each
/// other's empty disks.
///
/// # Errors
/// When a node refuses a step, or they do not connect.
pub fn bring_up(lab: &Lab, resource: &Resource) -> Result<()> {
    configure(lab, &[resource])?;
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force r0")?;
        node.sh("drbdadm up r0")?;
    }
    for node in lab.nodes() {
        node.wait_drbd(
            resource.minor(),
            "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent",
        )?;
    }
    Ok(())
}

/// [`bring_up`], then the initial sync from alpha, which stays Primary.
///
/// # Errors
/// When a node refuses a step or the sync does not end.
pub fn bring_up_in_sync(lab: &Lab, resource: &Resource) -> Result<()> {
    let (alpha, beta) = lab.pair();
    bring_up(lab, resource)?;
    alpha.sh("drbdadm primary --force r0")?;
    wait_synced(alpha, beta, resource)
}

/// Waits until a Primary alpha and a Secondary beta are connected and both UpToDate.
///
/// # Errors
/// When they do not get there.
pub fn wait_synced(primary: &Node, secondary: &Node, resource: &Resource) -> Result<()> {
    let minor = resource.minor();
    primary.wait_drbd_within(
        minor,
        "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate",
        time::resync(),
    )?;
    secondary
        .wait_drbd(
            minor,
            "cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate",
        )
        .map(|_| ())
}

/// Demotes, once udev has let go of the device.
///
/// # Errors
/// When it is refused.
pub fn demote(node: &Node) -> Result<()> {
    node.sh("udevadm settle && drbdadm secondary r0")
        .map(|_| ())
}

/// Moves the Primary role.
///
/// # Errors
/// When it is refused.
pub fn switch_over(from: &Node, to: &Node, resource: &Resource) -> Result<()> {
    demote(from)?;
    to.wait_drbd(resource.minor(), "cs:Connected ro:Secondary/Secondary")?;
    to.sh("drbdadm primary r0").map(|_| ())
}

/// Makes a file system and fills it with `files` files of 7,500 random bytes each and the list
/// of their checksums; leaves it mounted on /mnt.
///
/// # Errors
/// When a step fails.
pub fn fill(node: &Node, mkfs: &str, resource: &Resource, files: u32) -> Result<()> {
    let device = format!("/dev/drbd{}", resource.minor());
    node.sh(&format!("{mkfs} {device}"))?;
    node.sh(&format!("mount {device} /mnt"))?;
    node.sh(&format!(
        "head -c {} /dev/urandom | split -b 7500 -a 4 -d - /mnt/file. && \
         cd /mnt && sha256sum file.* >SUMS && sync",
        files * 7500
    ))?;
    let count = node.sh("wc -l </mnt/SUMS")?;
    if count.trim() == files.to_string() {
        return Ok(());
    }
    Err(LabError::Mismatch(format!(
        "{} files instead of {files}",
        count.trim()
    )))
}

/// Checks the files that [`fill`] made, on /mnt.
///
/// # Errors
/// When one is missing or different.
pub fn verify(node: &Node) -> Result<()> {
    node.sh("cd /mnt && sha256sum --quiet -c SUMS").map(|_| ())
}

/// The size of the DRBD device in bytes: with internal metadata the data area of the disk.
///
/// # Errors
/// When the node does not say it.
pub fn device_bytes(node: &Node, resource: &Resource) -> Result<u64> {
    // Not by opening the device: a Secondary refuses that.
    let text = node.sh(&format!("cat /sys/block/drbd{}/size", resource.minor()))?;
    let sectors: Option<u64> = text.trim().parse().ok();
    match sectors.and_then(|sectors| sectors.checked_mul(512)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(LabError::Mismatch(format!("no size: {text}"))),
    }
}

/// Takes r0 down on both nodes, nothing being mounted, and compares the raw disks over the data
/// area.
///
/// # Errors
/// When a step is refused or the disks differ.
pub fn down_and_compare(lab: &Lab, resource: &Resource) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let bytes = device_bytes(alpha, resource)?;
    for node in lab.nodes() {
        node.sh("udevadm settle; drbdadm down r0")?;
    }
    compare::same_data(alpha, beta, 0, bytes)
}
