// SPDX-License-Identifier: GPL-2.0
//! A superblock, and what an attach makes of it.
//!
//! The first nine bytes choose the place and the size of the device.

use drbd_core::meta::{AlLayout, Layout, MdIndex, Superblock, BLOCK_SIZE};

use super::{Feed, Outcome, Target};

pub(crate) const TARGET: Target = Target {
    name: "metadata",
    run,
    seeds,
    words: &["\x02\x74\x02\x6b", "\x03\x74\x02\x6c", "\0\0\x10\0"],
};

fn index(choice: u8) -> MdIndex {
    match choice % 4 {
        0 => MdIndex::Internal,
        1 => MdIndex::FlexInternal,
        2 => MdIndex::FlexExternal,
        _ => MdIndex::Fixed(choice.into()),
    }
}

fn run(bytes: &[u8]) -> u64 {
    let mut outcome = Outcome::default();
    let mut feed = Feed(bytes);
    let index = index(feed.byte());
    let capacity = feed.number::<8>() % (1 << 41);
    // Mostly zeros in real life, too.
    let mut block = vec![0; BLOCK_SIZE];
    for (to, from) in block.iter_mut().zip(feed.rest()) {
        *to = *from;
    }
    match Superblock::parse(&block) {
        Ok(superblock) => {
            let mut again = vec![0xff; BLOCK_SIZE];
            superblock.emit(&mut again).expect("room for a block");
            assert_eq!(Superblock::parse(&again), Ok(superblock));
            outcome.number(superblock.is_clean());
            outcome.kind(&superblock.al_layout());
            match superblock.layout_on_disk(index, capacity) {
                Ok(layout) => {
                    outcome.number(2_u8);
                    within(&layout, capacity);
                }
                Err(error) => outcome.kind(&error),
            }
            outcome.kind(&Superblock::attach(&block, index, capacity).map(|_| 0));
        }
        Err(error) => outcome.kind(&error),
    }
    outcome.done()
}

/// A layout that is accepted lies on the device.
fn within(layout: &Layout, capacity: u64) {
    let sectors = u64::from(layout.al().sectors());
    assert!(layout.superblock_sector() < capacity);
    assert!(layout.al_sector() + sectors <= capacity);
    assert!(layout.bm_sector() + layout.bm_sectors() <= capacity);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choice in 0..8_u8 {
        for capacity in [1_u64 << 12, 1 << 18, 1 << 20, 1 << 31] {
            for al in [AlLayout::default(), AlLayout::new(4, 8).unwrap_or_default()] {
                let Ok(layout) = Layout::compute(index(choice), capacity, al) else {
                    continue;
                };
                let mut block = [0; BLOCK_SIZE];
                Superblock::create(&layout)
                    .emit(&mut block)
                    .expect("room for a block");
                let mut seed = vec![choice];
                seed.extend(capacity.to_be_bytes());
                seed.extend(block.iter().take(128));
                seeds.push(seed);
            }
        }
    }
    seeds
}
