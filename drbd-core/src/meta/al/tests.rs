// SPDX-License-Identifier: GPL-2.0
//! Golden bytes and limits of activity log blocks.

extern crate std;

use std::vec::Vec;

use super::*;

fn block() -> [u8; BLOCK_SIZE] {
    [0xa5; BLOCK_SIZE]
}

fn bytes_at(block: &[u8], offset: usize, expected: &[u8]) {
    assert_eq!(
        &block[offset..offset + expected.len()],
        expected,
        "at {offset:#x}"
    );
}

/// Two requests made extents 3 and then 15 hot in an empty set of 1237 slots.
fn first() -> [u8; BLOCK_SIZE] {
    let head = TransactionHead {
        number: 0,
        slots: 1237,
        context_start: 0,
    };
    let updates = [
        Update {
            slot: 1235,
            extent: 15,
        },
        Update {
            slot: 1236,
            extent: 3,
        },
    ];
    let mut bytes = block();
    emit(&mut bytes, head, updates, |_| None).unwrap();
    bytes
}

/// Then extent 7 becomes hot.
fn second() -> [u8; BLOCK_SIZE] {
    let head = TransactionHead {
        number: 0,
        slots: 1237,
        context_start: 0,
    }
    .next();
    let label = |slot| match slot {
        1235 => Some(15),
        1236 => Some(3),
        _ => None,
    };
    let mut bytes = block();
    emit(
        &mut bytes,
        head,
        [Update {
            slot: 1234,
            extent: 7,
        }],
        label,
    )
    .unwrap();
    bytes
}

#[test]
fn golden_first_transaction() {
    let bytes = first();
    bytes_at(
        &bytes,
        0,
        &[0x69, 0xcb, 0x65, 0xa2, 0, 0, 0, 0, 0xf1, 0xf9, 0x8d, 0x31],
    );
    bytes_at(&bytes, 12, &[0, 0, 0, 2, 0x04, 0xd5, 0, 0]);
    bytes_at(&bytes, 20, &[0; 16]);
    bytes_at(&bytes, 36, &[0x04, 0xd3, 0x04, 0xd4, 0xff, 0xff]);
    bytes_at(
        &bytes,
        0xa0,
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 15, 0, 0, 0, 3, 0xff, 0xff],
    );
    assert!(bytes[0xb0..].iter().all(|byte| *byte == 0xff));
}

#[test]
fn golden_second_transaction() {
    let bytes = second();
    bytes_at(
        &bytes,
        0,
        &[0x69, 0xcb, 0x65, 0xa2, 0, 0, 0, 1, 0x0a, 0xc6, 0xf8, 0x06],
    );
    bytes_at(&bytes, 12, &[0, 0, 0, 1, 0x04, 0xd5, 0x03, 0x97]);
    bytes_at(&bytes, 36, &[0x04, 0xd2, 0xff, 0xff]);
    bytes_at(
        &bytes,
        0x690,
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 15, 0, 0, 0, 3, 0xff, 0xff],
    );
}

#[test]
fn golden_initialized_block() {
    let mut bytes = block();
    emit_initialized(&mut bytes).unwrap();
    bytes_at(
        &bytes,
        0,
        &[0x69, 0xcb, 0x65, 0xa2, 0, 0, 0, 0, 0x70, 0x9c, 0xc6, 0x51],
    );
    bytes_at(&bytes, 12, &[0xff, 0xff, 0, 0]);
    assert!(bytes[16..].iter().all(|byte| *byte == 0));
    assert_eq!(
        Transaction::parse(&bytes).unwrap().kind(),
        TransactionKind::Initialized
    );
}

#[test]
fn a_block_tells_what_was_put_in() {
    let bytes = second();
    let transaction = Transaction::parse(&bytes).unwrap();
    assert_eq!(transaction.kind(), TransactionKind::Update);
    assert_eq!(transaction.number(), 1);
    assert_eq!(
        (transaction.context_size(), transaction.context_start()),
        (1237, 919)
    );
    assert_eq!(transaction.update_count(), 1);
    let first = transaction.updates().next();
    assert_eq!(
        first,
        Some(Update {
            slot: 1234,
            extent: 7
        })
    );
    let labels: Vec<_> = transaction
        .context()
        .filter(|(_, extent)| *extent < 100)
        .collect();
    assert_eq!(labels, [(1235, 15), (1236, 3)]);
}

#[test]
fn damage_is_told_apart() {
    let good = first();
    let parse = |bytes: &[u8]| Transaction::parse(bytes).err();
    assert_eq!(parse(&good[..4095]), Some(TransactionError::NotABlock));
    for offset in 0..BLOCK_SIZE {
        let mut bad = good;
        bad[offset] ^= 0x10;
        let error = if offset < 4 {
            TransactionError::Magic
        } else {
            TransactionError::Checksum
        };
        assert_eq!(parse(&bad), Some(error), "byte {offset}");
    }
}

#[test]
fn a_transaction_holds_64_updates_and_no_more() {
    let head = TransactionHead {
        number: 9,
        slots: 100,
        context_start: 0,
    };
    let updates = |count| {
        (0..count).map(|slot| Update {
            slot,
            extent: u32::from(slot),
        })
    };
    let mut bytes = block();
    assert_eq!(emit(&mut bytes, head, updates(64), |_| None), Ok(()));
    assert_eq!(
        Transaction::parse(&bytes)
            .unwrap()
            .updates()
            .last()
            .unwrap()
            .extent,
        63
    );
    assert_eq!(
        emit(&mut bytes, head, updates(65), |_| None),
        Err(EmitError::TooManyUpdates)
    );
    assert_eq!(
        emit(&mut bytes[1..], head, [], |_| None),
        Err(EmitError::NotABlock)
    );
}

#[test]
fn ring_positions_walk_over_the_stripes() {
    let one = AlLayout::DEFAULT;
    assert_eq!([0, 1, 7, 8, 17].map(|t| one.block_of(t)), [0, 1, 7, 0, 1]);
    let four = AlLayout::new(4, 16).unwrap();
    let blocks: Vec<u32> = (0..10).map(|t| four.block_of(t)).collect();
    assert_eq!(blocks, [0, 16, 32, 48, 1, 17, 33, 49, 2, 18]);
    let mut all: Vec<u32> = (64..128).map(|t| four.block_of(t)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..64).collect::<Vec<_>>());
}

#[test]
fn limits_of_the_ring() {
    assert_eq!(AlLayout::new(1, 7), Err(AlLayoutError::TooSmall));
    assert_eq!(AlLayout::new(0, 8), Err(AlLayoutError::TooSmall));
    assert_eq!(AlLayout::new(1024, 4097), Err(AlLayoutError::TooBig));
    assert_eq!(
        AlLayout::new(u32::MAX, u32::MAX),
        Err(AlLayoutError::TooBig)
    );
    assert_eq!(AlLayout::new(1024, 4096).unwrap().sectors(), 33_554_432);
    assert_eq!(AlLayout::from_disk(0, 0), Ok(AlLayout::DEFAULT));
    assert_eq!(AlLayout::from_disk(0, 8), Err(AlLayoutError::HalfZero));
    assert_eq!(AlLayout::from_disk(8, 0), Err(AlLayoutError::HalfZero));
}

#[test]
fn slots_are_clipped_to_what_the_ring_can_tell() {
    let small = AlLayout::DEFAULT;
    assert_eq!(small.extents_max(), 6433);
    assert_eq!(small.clip_extents(1237), 1237);
    assert_eq!(small.clip_extents(7), 67);
    assert_eq!(small.clip_extents(u32::MAX), 6433);
    assert_eq!(AlLayout::new(1, 72).unwrap().extents_max(), 65249);
    assert_eq!(AlLayout::new(1, 73).unwrap().extents_max(), 65534);
}

#[test]
fn the_context_window_goes_round() {
    let mut head = TransactionHead {
        number: u32::MAX,
        slots: 1838,
        context_start: 0,
    };
    let mut starts = Vec::new();
    for _ in 0..4 {
        starts.push(head.context_start);
        head = head.next();
    }
    assert_eq!(starts, [0, 919, 0, 919]);
    assert_eq!(head.number, 3);
}

#[test]
fn order_survives_the_wrap() {
    assert!(is_newer(1, 0));
    assert!(is_newer(0, u32::MAX));
    assert!(!is_newer(u32::MAX, 0));
    assert!(!is_newer(5, 5));
}
