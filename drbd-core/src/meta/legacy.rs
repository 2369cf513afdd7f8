// SPDX-License-Identifier: GPL-2.0
//! The activity log as drivers up to 8.3 wrote it; only read, after an upgrade.
//!
//! Its ring consists of sectors, not blocks. Each has one update and 61 entries of context, and
//! is protected by the exclusive or of its extents. docs/metadata.md, old activity log.

use zerocopy::big_endian::U32;
use zerocopy::FromBytes;
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::al::{is_newer, AlLayout, AL_MAGIC, FREE_EXTENT};
use super::replay::Replay;
use super::superblock::{Magic, Superblock};
use super::BLOCK_SIZE;

/// Magic number of an old log sector.
const MAGIC: u32 = 0x8374_0267;
/// Entries of a sector: one update, the others context.
const ENTRIES: usize = 62;
const SECTOR: usize = 512;
/// Sectors that the log area of that time had.
const SECTORS_MAX: u32 = 64;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    slot: U32,
    extent: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawSector {
    magic: U32,
    number: U32,
    entries: [Entry; ENTRIES],
    xor: U32,
    pad: U32,
}
const _: () = assert!(size_of::<RawSector>() == SECTOR);

impl RawSector {
    fn is_valid(&self) -> bool {
        let xor = self
            .entries
            .iter()
            .fold(0, |sum, entry| sum ^ entry.extent.get());
        self.magic.get() == MAGIC && self.xor.get() == xor
    }
}

/// True if `image`, the activity log area of `superblock`, is to be read as an old log.
#[must_use]
pub fn is_legacy(superblock: &Superblock, image: &[u8]) -> bool {
    let new_format = image
        .chunks_exact(BLOCK_SIZE)
        .take(2)
        .any(|block| U32::ref_from_prefix(block).is_ok_and(|(magic, _)| magic.get() == AL_MAGIC));
    superblock.magic == Magic::Clean
        && superblock.al_layout() == Ok(AlLayout::DEFAULT)
        && !new_format
}

/// Replays the old log in `image` into `slots`, as [`replay`](super::replay::replay) does.
///
/// `al_nr_extents` comes from the superblock. `None`: there is not one valid sector.
#[must_use]
pub fn replay_legacy(image: &[u8], al_nr_extents: u32, slots: &mut [u32]) -> Option<Replay> {
    slots.fill(FREE_EXTENT);
    // The context of all sectors together has to cover every slot, and one may be torn.
    let count = al_nr_extents
        .div_ceil(61)
        .saturating_add(1)
        .min(SECTORS_MAX);
    let mut valid = 0_u32;
    let mut range: Option<((u32, u32), (u32, u32))> = None;
    for position in 0..count {
        let Some(sector) = valid_at(image, position) else {
            continue;
        };
        valid = valid.saturating_add(1);
        let found = (sector.number.get(), position);
        let (oldest, newest) = range.unwrap_or((found, found));
        range = Some((
            if is_newer(oldest.0, found.0) {
                found
            } else {
                oldest
            },
            if is_newer(found.0, newest.0) {
                found
            } else {
                newest
            },
        ));
    }
    let (oldest, newest) = range?;
    let mut outcome = Replay {
        updates: valid,
        corrupt: count.saturating_sub(valid),
        slots_out_of_range: 0,
    };
    let mut position = oldest.1;
    for _ in 0..count {
        if let Some(sector) = valid_at(image, position) {
            // The update is entry 0; it wins over the context.
            for entry in sector.entries.iter().rev() {
                apply(entry, slots, &mut outcome);
            }
        }
        if position == newest.1 {
            break;
        }
        position = position.saturating_add(1);
        if position >= count {
            position = 0;
        }
    }
    Some(outcome)
}

fn valid_at(image: &[u8], position: u32) -> Option<&RawSector> {
    let start = usize::try_from(position).ok()?.checked_mul(SECTOR)?;
    let (sector, _) = RawSector::ref_from_prefix(image.get(start..)?).ok()?;
    sector.is_valid().then_some(sector)
}

fn apply(entry: &Entry, slots: &mut [u32], outcome: &mut Replay) {
    let slot = usize::try_from(entry.slot.get()).ok();
    match slot.and_then(|slot| slots.get_mut(slot)) {
        Some(place) => *place = entry.extent.get(),
        // Unused entries name no slot.
        None if entry.extent.get() == FREE_EXTENT => {}
        None => outcome.slots_out_of_range = outcome.slots_out_of_range.saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::super::replay::hot_extents;
    use super::*;

    fn sector(image: &mut [u8], position: usize, number: u32, entries: &[(u32, u32)]) {
        let mut words = vec![MAGIC, number];
        let mut xor = 0;
        for index in 0..ENTRIES {
            let (slot, extent) = entries.get(index).copied().unwrap_or((0xffff, FREE_EXTENT));
            words.extend([slot, extent]);
            xor ^= extent;
        }
        words.extend([xor, 0]);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        image[position * SECTOR..][..SECTOR].copy_from_slice(&bytes);
    }

    fn hot(image: &[u8], al_nr_extents: u32) -> (Option<Replay>, Vec<u32>) {
        let mut slots = vec![0; 1000];
        let outcome = replay_legacy(image, al_nr_extents, &mut slots);
        (outcome, hot_extents(&slots).collect())
    }

    #[test]
    fn updates_in_the_order_of_their_numbers() {
        let mut image = vec![0; 32768];
        sector(&mut image, 0, 10, &[(5, 7), (6, 8)]);
        sector(&mut image, 1, 11, &[(7, 9)]);
        sector(&mut image, 2, 12, &[(5, 11)]);
        let expected = Replay {
            updates: 3,
            corrupt: 1,
            slots_out_of_range: 0,
        };
        assert_eq!(hot(&image, 127), (Some(expected), vec![11, 8, 9]));
        // The ring wraps: sector 3 is the oldest, and slot 7 was free by then.
        sector(&mut image, 3, 9, &[(7, 100), (8, 101)]);
        assert_eq!(hot(&image, 127).1, [11, 8, 9, 101]);
    }

    #[test]
    fn the_update_wins_over_the_context() {
        let mut image = vec![0; 32768];
        sector(&mut image, 0, 1, &[(5, 7), (5, 8)]);
        assert_eq!(hot(&image, 127).1, [7]);
    }

    #[test]
    fn damage() {
        let mut image = vec![0; 32768];
        assert_eq!(hot(&image, 127).0, None);
        assert_eq!(hot(&[], u32::MAX).0, None);
        sector(&mut image, 0, 1, &[(5, 7)]);
        image[12] ^= 1;
        assert_eq!(hot(&image, 127).0, None);
        sector(&mut image, 0, 1, &[(5000, 7)]);
        assert_eq!(
            hot(&image, u32::MAX)
                .0
                .map(|outcome| outcome.slots_out_of_range),
            Some(1)
        );
    }
}
