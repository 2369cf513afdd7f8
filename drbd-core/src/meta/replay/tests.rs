// SPDX-License-Identifier: GPL-2.0
//! Logs written block by block, torn, wrapped and replayed.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::al::{emit, emit_initialized, TransactionHead, Update};
use super::*;

/// A log with its active set, as a driver would keep them.
struct Log {
    al: AlLayout,
    image: Vec<u8>,
    head: TransactionHead,
    set: Vec<Option<u32>>,
}

impl Log {
    fn new(al: AlLayout, slots: u16, first_number: u32) -> Self {
        let mut image = vec![0; usize::try_from(al.blocks()).unwrap() * BLOCK_SIZE];
        for block in image.chunks_exact_mut(BLOCK_SIZE) {
            emit_initialized(block).unwrap();
        }
        let head = TransactionHead {
            number: first_number,
            slots,
            context_start: 0,
        };
        Self {
            al,
            image,
            head,
            set: vec![None; usize::from(slots)],
        }
    }

    fn block_mut(&mut self, number: u32) -> &mut [u8] {
        let start = usize::try_from(self.al.block_of(number)).unwrap() * BLOCK_SIZE;
        &mut self.image[start..start + BLOCK_SIZE]
    }

    fn write(&mut self, updates: &[(u16, u32)]) {
        let set = self.set.clone();
        let head = self.head;
        let updates = updates
            .iter()
            .map(|&(slot, extent)| Update { slot, extent });
        emit(self.block_mut(head.number), head, updates.clone(), |slot| {
            set[usize::from(slot)]
        })
        .unwrap();
        for update in updates {
            self.set[usize::from(update.slot)] = Some(update.extent);
        }
        self.head = head.next();
    }

    fn hot(&self) -> Vec<u32> {
        let mut hot: Vec<u32> = self.set.iter().flatten().copied().collect();
        hot.sort_unstable();
        hot
    }

    fn replay(&self) -> (Result<Replay, ReplayError>, Vec<u32>) {
        let mut slots = vec![0; SLOTS];
        let outcome = replay(&self.image, self.al, &mut slots);
        let mut hot: Vec<u32> = hot_extents(&slots).collect();
        hot.sort_unstable();
        (outcome, hot)
    }
}

#[test]
fn two_updates() {
    let mut log = Log::new(AlLayout::DEFAULT, 1237, 0);
    log.write(&[(1235, 15), (1236, 3)]);
    log.write(&[(1234, 7)]);
    let (outcome, hot) = log.replay();
    assert_eq!(
        outcome,
        Ok(Replay {
            updates: 2,
            corrupt: 0,
            slots_out_of_range: 0
        })
    );
    assert_eq!(hot, [3, 7, 15]);
}

#[test]
fn an_evicted_extent_is_not_hot() {
    let mut log = Log::new(AlLayout::DEFAULT, 100, 0);
    log.write(&[(5, 50)]);
    log.write(&[(5, 51)]);
    assert_eq!(log.replay().1, [51]);
}

#[test]
fn fresh_logs_have_nothing_to_apply() {
    let mut log = Log::new(AlLayout::DEFAULT, 100, 0);
    assert_eq!(log.replay().0, Ok(Replay::default()));
    log.block_mut(0).fill(7);
    assert_eq!(
        log.replay().0,
        Ok(Replay {
            corrupt: 1,
            ..Replay::default()
        })
    );
    log.block_mut(1).fill(7);
    assert_eq!(log.replay().0, Err(ReplayError::Invalid { corrupt: 2 }));
    let mut other = Log::new(AlLayout::DEFAULT, 100, 0);
    other.block_mut(3).fill(7);
    assert_eq!(other.replay().0, Err(ReplayError::Invalid { corrupt: 1 }));
    log.image.fill(0);
    assert_eq!(log.replay().0, Err(ReplayError::NoData));
    log.image.truncate(8 * BLOCK_SIZE - 1);
    assert_eq!(log.replay().0, Err(ReplayError::Short));
}

#[test]
fn slots_beyond_the_lent_ones_are_counted() {
    let mut log = Log::new(AlLayout::DEFAULT, 100, 0);
    log.write(&[(99, 1), (98, 2)]);
    let mut slots = [0; 99];
    let outcome = replay(&log.image, log.al, &mut slots).unwrap();
    // The update and the context entry of slot 99.
    assert_eq!(outcome.slots_out_of_range, 2);
    assert_eq!(hot_extents(&slots).collect::<Vec<_>>(), [2]);
}

proptest! {
    /// Any history, any ring shape, wrap of the numbers included: the set is found again, also
    /// if the block of a next, uncommitted transaction is torn.
    #[test]
    fn the_active_set_survives(
        shape in prop_oneof![Just((1, 8)), Just((4, 4)), Just((3, 5))],
        slots in 67..4000_u16,
        start in prop_oneof![Just(0), Just(u32::MAX - 7), any::<u32>()],
        history in prop::collection::vec(
            prop::collection::vec((any::<u16>(), 0..100_000_u32), 0..64), 1..40),
        tear in any::<bool>(),
    ) {
        let al = AlLayout::new(shape.0, shape.1).unwrap();
        // At the wrap of the numbers a ring whose size does not divide 2^32 writes two neighbours
        // to wrong places. That is in the format; it takes four billion transactions to get there.
        let start = if al.blocks().is_power_of_two() { start } else { start >> 1 };
        let mut log = Log::new(al, slots, start);
        for updates in &history {
            let updates: Vec<_> =
                updates.iter().map(|(slot, extent)| (slot % slots, *extent)).collect();
            log.write(&updates);
        }
        if tear {
            let next = log.head.number;
            log.block_mut(next)[100..].fill(0x5a);
        }
        // With several rounds the context has come round once; a young log is complete anyway.
        let (outcome, hot) = log.replay();
        prop_assert!(outcome.is_ok());
        prop_assert_eq!(hot, log.hot());
    }

    #[test]
    fn hostile_blocks_do_not_panic(mut bytes in prop::collection::vec(any::<u8>(), 4096)) {
        let mut log = Log::new(AlLayout::DEFAULT, 100, 0);
        bytes[..4].copy_from_slice(&0x69cb_65a2_u32.to_be_bytes());
        bytes[8..16].fill(0);
        let crc = super::super::crc32c::crc32c(0, &bytes);
        bytes[8..12].copy_from_slice(&crc.to_be_bytes());
        log.block_mut(4).copy_from_slice(&bytes);
        prop_assert_eq!(log.replay().0.unwrap().updates, 1);
    }
}
