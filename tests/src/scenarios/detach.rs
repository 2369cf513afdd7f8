// SPDX-License-Identifier: GPL-2.0
//! To detach a disk that is wanted again at once.

use crate::error::Result;
use crate::node::Node;

/// Detaches r0, and waits until `disk` can be opened for exclusive use again: the C driver answers
/// when the state is Diskless, and closes the disk after that.
///
/// # Errors
/// When it is refused, or the disk stays in use.
pub fn detach(node: &Node, disk: &str) -> Result<()> {
    node.sh("drbdadm detach r0")?;
    node.sh(&format!(
        "until drbdmeta 1 v08 {disk} internal get-gi >/dev/null 2>&1; do sleep 0.1; done"
    ))
    .map(|_| ())
}
