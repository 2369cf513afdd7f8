// SPDX-License-Identifier: GPL-2.0
//! Compares disks of the nodes from the host, where neither driver can gloss over anything.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Context, LabError, Result};
use crate::node::Node;

/// The unit in which differences are counted, in bytes: one bit of DRBD's bitmap.
const BLOCK_BYTES: usize = 4096;
/// How many differing blocks are named.
const NAMED: usize = 8;

/// Insists that `/dev/data<index>` is byte for byte the same on both nodes, over the first
/// `data_bytes` bytes: the data area, when the metadata is internal.
///
/// What the guests' page caches hold back is not seen: unmount, or take DRBD down, first.
///
/// # Errors
/// [`LabError::Mismatch`] with the number and the first of the differing 4 KiB blocks.
pub fn same_data(alpha: &Node, beta: &Node, index: usize, data_bytes: u64) -> Result<()> {
    let (left, right) = (alpha.place().disk(index), beta.place().disk(index));
    let different = differing_blocks(&left, &right, data_bytes)?;
    if different.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = different.iter().take(NAMED).map(u64::to_string).collect();
    Err(LabError::Mismatch(format!(
        "data{index} differs in {} of {} blocks of 4 KiB: {}{}",
        different.len(),
        data_bytes.div_ceil(BLOCK_BYTES as u64),
        named.join(", "),
        if different.len() > NAMED { ", …" } else { "" }
    )))
}

/// The numbers of the 4 KiB blocks in which two files differ within the first `bytes` bytes.
///
/// # Errors
/// When a file can't be read or is shorter.
pub fn differing_blocks(left: &Path, right: &Path, bytes: u64) -> Result<Vec<u64>> {
    let mut left_file = File::open(left).at("read", left)?;
    let mut right_file = File::open(right).at("read", right)?;
    let mut different = Vec::new();
    let mut buffers = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    let mut rest = bytes;
    let mut block = 0;
    while rest > 0 {
        let length = usize::try_from(rest).map_or(BLOCK_BYTES, |rest| rest.min(BLOCK_BYTES));
        let (Some(a), Some(b)) = (buffers.0.get_mut(..length), buffers.1.get_mut(..length)) else {
            break;
        };
        left_file.read_exact(a).at("read", left)?;
        right_file.read_exact(b).at("read", right)?;
        if a != b {
            different.push(block);
        }
        rest -= length as u64;
        block += 1;
    }
    Ok(different)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_blocks_are_found_and_only_within_the_data() {
        let folder = std::env::temp_dir().join(format!("drbd-lab-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (left, right) = (folder.join("left"), folder.join("right"));
        let mut content = vec![7u8; 5 * BLOCK_BYTES];
        std::fs::write(&left, &content).unwrap();
        content[BLOCK_BYTES] = 0;
        content[3 * BLOCK_BYTES + 100] = 0;
        std::fs::write(&right, &content).unwrap();
        let all = differing_blocks(&left, &right, 5 * BLOCK_BYTES as u64).unwrap();
        assert_eq!(all, [1, 3]);
        let some = differing_blocks(&left, &right, 3 * BLOCK_BYTES as u64 + 100).unwrap();
        assert_eq!(some, [1]);
        assert!(differing_blocks(&left, &right, 6 * BLOCK_BYTES as u64).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
