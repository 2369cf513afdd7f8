// SPDX-License-Identifier: GPL-2.0
//! What a loss of power leaves on disks with volatile caches.
//!
//! A flush makes all earlier writes of its disk stable, FUA its own. Of the rest each sector of
//! each write is on the disk or not, by chance.

use super::{put, Content, Record, Recording};

/// What is written as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Plays a recording, and loses power where it is asked to.
#[derive(Debug)]
pub struct Player<'a> {
    records: std::slice::Iter<'a, Record>,
    /// What is stable on each disk.
    stable: Vec<Content>,
    /// What is in each disk's cache: written sectors in order.
    cached: Vec<Vec<(u64, &'a [u8])>>,
    promises: Vec<(u64, u64)>,
}

impl<'a> Player<'a> {
    /// A player at the begin.
    #[must_use]
    pub fn new(recording: &'a Recording) -> Self {
        Self {
            records: recording.records.iter(),
            stable: recording.base.clone(),
            cached: vec![Vec::new(); recording.base.len()],
            promises: Vec::new(),
        }
    }

    /// Plays the next `count` records.
    pub fn play(&mut self, count: usize) {
        for record in self.records.by_ref().take(count) {
            match record {
                Record::Write {
                    disk,
                    offset,
                    data,
                    fua,
                } => {
                    let (Some(stable), Some(cached)) =
                        (self.stable.get_mut(*disk), self.cached.get_mut(*disk))
                    else {
                        continue;
                    };
                    if *fua {
                        // What it overwrites does not come out of the cache later.
                        let range = *offset..offset + data.len() as u64;
                        cached.retain(|(offset, _)| !range.contains(offset));
                        put(stable, *offset, data);
                    } else {
                        let sectors = data.chunks(SECTOR).zip((*offset..).step_by(SECTOR));
                        cached.extend(sectors.map(|(sector, offset)| (offset, sector)));
                    }
                }
                Record::Flush { disk } => {
                    if let (Some(stable), Some(cached)) =
                        (self.stable.get_mut(*disk), self.cached.get_mut(*disk))
                    {
                        for (offset, data) in cached.drain(..) {
                            put(stable, offset, data);
                        }
                    }
                }
                Record::Promise { block, number } => self.promises.push((*block, *number)),
            }
        }
    }

    /// What the application has been promised so far: block and number, in order.
    #[must_use]
    pub fn promises(&self) -> &[(u64, u64)] {
        &self.promises
    }

    /// The disks after a loss of power here; what chance does follows from `seed`.
    #[must_use]
    pub fn lose_power(&self, seed: u64) -> Vec<Content> {
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut disks = self.stable.clone();
        for (disk, cached) in disks.iter_mut().zip(&self.cached) {
            for (offset, sector) in cached {
                // xorshift64
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                if dice >> 63 == 1 {
                    put(disk, *offset, sector);
                }
            }
        }
        disks
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bytes_of, BLOCK};
    use super::*;

    fn write(disk: usize, block: u64, byte: u8, fua: bool) -> Record {
        Record::Write {
            disk,
            offset: block * BLOCK,
            data: vec![byte; BLOCK as usize],
            fua,
        }
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_is_left_to_chance() {
        let recording = Recording {
            base: vec![Content::new(), Content::new()],
            records: vec![
                write(0, 1, 1, false),
                write(1, 1, 1, false),
                Record::Flush { disk: 0 },
                write(0, 2, 2, true),
                write(0, 3, 3, false),
                Record::Promise {
                    block: 1,
                    number: 1,
                },
            ],
        };
        let mut player = Player::new(&recording);
        player.play(5);
        assert_eq!(player.promises(), []);
        let (mut kept, mut lost) = (0, 0);
        for seed in 1..50 {
            let disks = player.lose_power(seed);
            assert_eq!(bytes_of(&disks[0], BLOCK, 4096), [1; 4096]);
            assert_eq!(bytes_of(&disks[0], 2 * BLOCK, 4096), [2; 4096]);
            for sector in bytes_of(&disks[0], 3 * BLOCK, 4096).chunks(512) {
                assert!(sector == [3; 512] || sector == [0; 512]);
                if sector[0] == 3 {
                    kept += 1;
                } else {
                    lost += 1;
                }
            }
        }
        assert!(kept > 50 && lost > 50, "{kept} {lost}");
        player.play(9);
        assert_eq!(player.promises(), [(1, 1)]);
    }

    #[test]
    fn an_older_write_does_not_come_out_of_the_cache_over_a_stable_one() {
        let recording = Recording {
            base: vec![Content::new()],
            records: vec![write(0, 1, 1, false), write(0, 1, 2, true)],
        };
        let mut player = Player::new(&recording);
        player.play(2);
        for seed in 1..20 {
            let disks = player.lose_power(seed);
            assert_eq!(bytes_of(&disks[0], BLOCK, 4096), [2; 4096]);
        }
    }
}
