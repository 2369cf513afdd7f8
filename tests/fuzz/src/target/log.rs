// SPDX-License-Identifier: GPL-2.0
//! An activity log, replayed.
//!
//! An input is a list of records of 16 bytes: each makes a transaction with a valid checksum at a
//! place of the ring, or damages one. The old format's sectors are made likewise.

use drbd_core::meta::al::{emit, emit_initialized, Transaction, TransactionHead, Update};
use drbd_core::meta::legacy::replay_legacy;
use drbd_core::meta::replay::{hot_extents, replay, valid_at, SLOTS};
use drbd_core::meta::{AlLayout, BLOCK_SIZE};

use super::{Feed, Outcome, Target};

pub(crate) const TARGET: Target = Target {
    name: "log",
    run,
    seeds,
    words: &[],
};

/// Bytes of one record.
const RECORD: usize = 16;
const SECTOR: usize = 512;
/// Magic number of a sector of the old format.
const OLD_MAGIC: u32 = 0x8374_0267;

fn run(bytes: &[u8]) -> u64 {
    let mut outcome = Outcome::default();
    let (shape, records) = bytes
        .split_first()
        .map_or((0, bytes), |(b, rest)| (*b, rest));
    let shapes = [(1, 8), (1, 16), (2, 8), (4, 8)];
    let (stripes, size) = shapes[usize::from(shape) % shapes.len()];
    let al = AlLayout::new(stripes, size).expect("shapes that exist");
    let blocks = usize::try_from(al.blocks()).expect("a small log");
    let mut image = vec![0; blocks * BLOCK_SIZE];
    if shape & 0x80 != 0 {
        for block in image.chunks_exact_mut(BLOCK_SIZE) {
            emit_initialized(block).expect("one block");
        }
    }
    for record in records.chunks(RECORD) {
        apply(record, &mut image, al);
    }
    let mut slots = vec![0; SLOTS];
    let replayed = replay(&image, al, &mut slots);
    outcome.kind(&replayed.map(|_| 0));
    if let Ok(replayed) = replayed {
        outcome.number(replayed.updates.min(3));
        outcome.number(replayed.corrupt.min(2));
        outcome.number(replayed.slots_out_of_range.min(1));
    }
    assert!(hot_extents(&slots).count() <= SLOTS);
    for position in 0..al.blocks() {
        if let Some(found) = valid_at(&image, al, position) {
            assert!(found.updates().count() <= 64 && found.context().count() <= 919);
        }
    }
    for block in image.chunks_exact(BLOCK_SIZE).take(2) {
        outcome.kind(&Transaction::parse(block).map(|_| 0).err());
    }
    let old = replay_legacy(&image, u32::from(shape) * 16, &mut slots);
    outcome.number(old.map_or(0, |old| 1 + old.updates.min(3)));
    assert!(hot_extents(&slots).count() <= SLOTS);
    outcome.done()
}

/// Writes one transaction or sector, or damages what is there.
fn apply(record: &[u8], image: &mut [u8], al: AlLayout) {
    let mut feed = Feed(record);
    let (what, position) = (feed.byte(), feed.byte());
    let number = u32::try_from(feed.number::<4>()).unwrap_or(0);
    let (slot, extent) = (feed.number::<2>(), feed.number::<4>());
    let (slot, extent) = (
        u16::try_from(slot).unwrap_or(0),
        u32::try_from(extent).unwrap_or(0),
    );
    let (slots, start) = (u16::from(feed.byte()) * 8, u16::from(feed.byte()) * 8);
    match what % 3 {
        0 => {
            let at = al.block_of(u32::from(position) % al.blocks());
            let at = usize::try_from(at).unwrap_or(0) * BLOCK_SIZE;
            let Some(block) = image.get_mut(at..at + BLOCK_SIZE) else {
                return;
            };
            let head = TransactionHead {
                number,
                slots,
                context_start: start,
            };
            let updates = (0..u16::from(what / 3) % 65).map(|nr| Update {
                slot: slot.wrapping_add(nr),
                extent: extent.wrapping_add(u32::from(nr)),
            });
            emit(block, head, updates, |slot| {
                (slot % 5 != 0).then_some(u32::from(slot))
            })
            .expect("no more updates than fit");
        }
        1 => {
            let at = usize::from(position) % 64 * SECTOR;
            let Some(sector) = image.get_mut(at..at + SECTOR) else {
                return;
            };
            let mut words = vec![OLD_MAGIC, number, slot.into(), extent];
            words.extend([0xffff, u32::MAX].repeat(61));
            // The exclusive or of one extent and 61 times all ones.
            words.extend([!extent, 0]);
            for (to, from) in sector.chunks_exact_mut(4).zip(words) {
                to.copy_from_slice(&from.to_be_bytes());
            }
        }
        _ => {
            let at = usize::try_from(number).unwrap_or(0) % image.len();
            image[at] ^= what | 1;
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), vec![0x80]];
    for shape in [0_u8, 1, 2, 3, 0x80] {
        let mut seed = vec![shape];
        for nr in 0..10_u8 {
            // One update in each transaction, in ascending order, slots and extents alike.
            seed.extend([3, nr, 0, 0, 0, nr, 0, nr, 0, 0, 0, nr, 8, 0, 0, 0]);
        }
        seeds.push(seed.clone());
        seed.extend([1, 0, 0, 0, 0, 1, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0]);
        seeds.push(seed);
    }
    seeds
}
