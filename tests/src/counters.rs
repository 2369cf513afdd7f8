// SPDX-License-Identifier: GPL-2.0
//! What a node's kernel has counted.

use crate::error::{LabError, Result};
use crate::node::Node;

impl Node {
    /// The number after `key` in the counters of /proc/drbd; of the first minor, if there are more.
    ///
    /// # Errors
    /// When there is none, or the node does not say it.
    pub fn counter(&self, key: &str) -> Result<u64> {
        let text = self.sh("cat /proc/drbd")?;
        text.split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix(':')?.parse().ok())
            .ok_or_else(|| LabError::Mismatch(format!("no `{key}` in\n{text}")))
    }

    /// What `/dev/data0` was given to write since the machine started, in KiB, as the kernel counts
    /// it below DRBD.
    ///
    /// # Errors
    /// When the node does not say it.
    pub fn disk_writes_kib(&self) -> Result<u64> {
        let text = self.sh("cat /sys/class/block/$(readlink /dev/data0)/stat")?;
        let sectors: Option<u64> = text.split_whitespace().nth(6).and_then(|n| n.parse().ok());
        sectors
            .map(|sectors| sectors / 2)
            .ok_or_else(|| LabError::Mismatch(format!("no statistics: {text}")))
    }
}
