// SPDX-License-Identifier: GPL-2.0
//! Layers of device-mapper under r0: what makes a disk slow, hang, fail or grow.

use super::steps;
use crate::compare;
use crate::drbdconf::Resource;
use crate::error::Result;
use crate::lab::Lab;
use crate::node::Node;

/// Another table for a layer as large as `/dev/data0`. What is under way in it ends first.
///
/// # Errors
/// When the node refuses it.
pub fn load_table(node: &Node, layer: &str, table: &str) -> Result<()> {
    node.sh(&format!(
        "size=$(blockdev --getsz /dev/data0) && echo \"0 $size {table}\" | dmsetup load {layer} && \
         dmsetup suspend --noflush --nolockfs {layer} && dmsetup resume {layer}"
    ))
    .map(|_| ())
}

/// Takes r0 down on both nodes, and the layers, the uppermost first. The disks below are equal.
///
/// # Errors
/// When a step is refused, or the disks differ.
pub fn take_down(lab: &Lab, r0: &Resource, layers: &[&str]) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let bytes = steps::device_bytes(alpha, r0)?;
    for node in lab.nodes() {
        node.sh("udevadm settle; drbdadm down r0; udevadm settle")?;
        for layer in layers {
            node.sh(&format!("dmsetup remove {layer}"))?;
        }
    }
    compare::same_data(alpha, beta, 0, bytes)
}
