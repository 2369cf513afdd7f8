// SPDX-License-Identifier: GPL-2.0
//! What a run is made of, by its seed.

use crate::rng::Rng;
use drbd_core::config::words::Protocol;

/// The setup of a run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    /// Volumes, 1 or 2.
    pub(crate) volumes: u16,
    /// Blocks of each volume.
    pub(crate) blocks: [u64; 2],
    /// More blocks than that on the node's disks.
    pub(crate) spare: [u64; 2],
    /// The node's disks have a cache that they may lose.
    pub(crate) volatile: [bool; 2],
    /// Agreed protocol version.
    pub(crate) version: u32,
    pub(crate) protocol: Protocol,
    /// Bitmaps are sent compressed.
    pub(crate) rle: bool,
    /// Most writes of an epoch.
    pub(crate) epoch_size: u32,
    /// Requests that a node can have under way.
    pub(crate) slots: usize,
    /// Entries of a shard of the range locks: so few that they run out, or more than are needed.
    pub(crate) range_entries: usize,
    /// Usual delays in microseconds.
    pub(crate) net_delay: u64,
    pub(crate) disk_delay: u64,
    pub(crate) cpu_delay: u64,
    /// Without it the copies start as equal by the administrator's word.
    pub(crate) initial_sync: bool,
    /// Bytes of a node's flight recorder: from far too few to enough for the whole run.
    pub(crate) tape: usize,
    /// Microseconds of faults; then they end.
    pub(crate) length: u64,
}

impl Setup {
    /// The setup that follows from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed.wrapping_mul(31).wrapping_add(7));
        let blocks = |rng: &mut Rng| match rng.below(8) {
            // More than one granule of the ranges, more than one word of the bitmap.
            0 => 300,
            1 => 70,
            _ => rng.within(8, 32),
        };
        let protocol = match rng.below(6) {
            0 => Protocol::A,
            1 => Protocol::B,
            _ => Protocol::C,
        };
        let version = if rng.one_in(2) {
            101
        } else {
            rng.within(95, 101) as u32
        };
        Self {
            seed,
            // Older versions know one volume only.
            volumes: if version >= 100 && rng.one_in(3) {
                2
            } else {
                1
            },
            blocks: [blocks(&mut rng), rng.within(8, 24)],
            spare: [rng.below(2) * 8, 0],
            volatile: [!rng.one_in(4), !rng.one_in(4)],
            version,
            protocol,
            rle: rng.one_in(2),
            epoch_size: [2, 20, 2048][rng.below(3) as usize],
            slots: [4, 12, 48][rng.below(3) as usize],
            net_delay: [100, 1000, 5000][rng.below(3) as usize],
            disk_delay: [100, 1000, 5000][rng.below(3) as usize],
            cpu_delay: [5, 50][rng.below(2) as usize],
            initial_sync: rng.one_in(3),
            length: rng.within(1, 6) * 1_000_000,
            range_entries: [4, 24, 24, 24][(seed / 4 % 4) as usize],
            tape: [1 << 10, 1 << 13, 1 << 15, 1 << 20][(seed % 4) as usize],
        }
    }
}
