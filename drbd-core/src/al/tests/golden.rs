// SPDX-License-Identifier: GPL-2.0
//! The blocks of the sheet, from the log itself.

use super::*;

fn at(block: &[u8], offset: usize, expected: &[u8]) {
    let found = &block[offset..offset + expected.len()];
    assert_eq!(found, expected, "at {offset:#x}");
}

#[test]
fn extents_3_and_15_and_then_7() {
    let mut rig = Rig::new(1237, AlLayout::DEFAULT);
    rig.want(3).unwrap();
    rig.want(15).unwrap();
    rig.transact();
    rig.want(7).unwrap();
    rig.transact();

    let first = &rig.ring[..BLOCK_SIZE];
    at(first, 0, &[0x69, 0xcb, 0x65, 0xa2, 0, 0, 0, 0]);
    at(first, 8, &[0xf1, 0xf9, 0x8d, 0x31, 0, 0, 0, 2]);
    at(first, 16, &[0x04, 0xd5, 0, 0]);
    at(first, 36, &[0x04, 0xd3, 0x04, 0xd4, 0xff, 0xff]);
    at(first, 0xa4, &[0, 0, 0, 0x0f, 0, 0, 0, 3, 0xff]);
    assert!(first[0xac..].iter().all(|byte| *byte == 0xff));

    let second = &rig.ring[BLOCK_SIZE..2 * BLOCK_SIZE];
    at(second, 0, &[0x69, 0xcb, 0x65, 0xa2, 0, 0, 0, 1]);
    at(second, 8, &[0x0a, 0xc6, 0xf8, 0x06, 0, 0, 0, 1]);
    at(second, 16, &[0x04, 0xd5, 0x03, 0x97]);
    at(second, 36, &[0x04, 0xd2, 0xff, 0xff]);
    at(second, 0xa4, &[0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff]);
    at(second, 0x694, &[0, 0, 0, 0x0f, 0, 0, 0, 3]);

    assert_eq!(replayed(&rig.ring, rig.al), [3, 7, 15]);
}

#[test]
fn transactions_walk_over_the_stripes() {
    let mut rig = Rig::new(67, AlLayout::new(4, 16).unwrap());
    for (number, block) in [0_usize, 16, 32, 48, 1, 17, 33, 49, 2]
        .into_iter()
        .enumerate()
    {
        rig.want(number as u32).unwrap();
        rig.transact();
        let written = &rig.ring[block * BLOCK_SIZE..];
        at(written, 4, &(number as u32).to_be_bytes());
        at(written, 12, &[0, 0, 0, 1]);
    }
}
