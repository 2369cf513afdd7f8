// SPDX-License-Identifier: GPL-2.0
//! The log against a naive model, its bytes, and crashes at any step.

extern crate std;

mod crash;
mod exchange;
mod golden;
mod model;
mod threads;

use std::vec::Vec;

use super::*;
use crate::meta::al::emit_initialized;
use crate::meta::replay::{hot_extents, replay};
use crate::meta::{AlLayout, BLOCK_SIZE};

type Set = ActiveSet<Vec<Slot>, Vec<Bucket>>;

fn set_of(slots: u16) -> Set {
    let lend = (0..slots).map(|_| Slot::default()).collect();
    let buckets = (0..bucket_count(slots))
        .map(|_| Bucket::default())
        .collect();
    ActiveSet::new(lend, buckets, 7).unwrap()
}

/// A set, its log, and the ring on disk.
struct Rig {
    set: Set,
    log: Log,
    al: AlLayout,
    ring: Vec<u8>,
}

impl Rig {
    fn new(slots: u16, al: AlLayout) -> Self {
        let mut ring = std::vec![0; al.blocks() as usize * BLOCK_SIZE];
        for block in ring.chunks_exact_mut(BLOCK_SIZE) {
            emit_initialized(block).unwrap();
        }
        Self {
            set: set_of(slots),
            log: Log::new(al, slots, true),
            al,
            ring,
        }
    }

    fn block_mut(&mut self, block: u32) -> &mut [u8] {
        let start = block as usize * BLOCK_SIZE;
        &mut self.ring[start..start + BLOCK_SIZE]
    }

    /// The extents 0 to 66 are active, and nobody uses them.
    fn fill(&mut self) {
        for extent in 0..67 {
            if extent == 64 {
                self.transact();
            }
            let (refs, _) = self.want(extent).unwrap();
            let _ = self.set.uncover(refs);
        }
        self.transact();
    }

    /// A whole transaction; gives what it evicted.
    fn transact(&mut self) -> Vec<u32> {
        let Started::Transaction { evicts } = self.log.start(&self.set) else {
            return Vec::new();
        };
        let evicted: Vec<u32> = self.log.evicted(&self.set).collect();
        assert_eq!(evicts, !evicted.is_empty());
        if evicts {
            self.log.bitmap_written().unwrap();
        }
        self.write_block();
        evicted
    }

    fn write_block(&mut self) {
        let mut bytes = [0; BLOCK_SIZE];
        let block = self.log.emit(&self.set, &mut bytes).unwrap();
        self.block_mut(block).copy_from_slice(&bytes);
        self.log.block_written(&self.set).unwrap();
    }

    fn want(&mut self, extent: u32) -> Result<(Refs, bool), Wait> {
        self.log.want(&self.set, u64::from(extent) << 13, 4096)
    }

    fn cover(&self, extent: u32) -> Option<Refs> {
        self.set.cover(u64::from(extent) << 13, 4096)
    }
}

/// What a replay of a ring says.
fn replayed(ring: &[u8], al: AlLayout) -> Vec<u32> {
    let mut slots = std::vec![0; usize::from(al.extents_max())];
    replay(ring, al, &mut slots).unwrap();
    let mut hot: Vec<u32> = hot_extents(&slots).collect();
    hot.sort_unstable();
    hot
}

#[test]
fn storage_that_does_not_fit_is_refused() {
    let slots = |n: usize| (0..n).map(|_| Slot::default()).collect::<Vec<_>>();
    let buckets = |n: usize| (0..n).map(|_| Bucket::default()).collect::<Vec<_>>();
    assert!(ActiveSet::new(slots(67), buckets(128), 0).is_some());
    assert!(ActiveSet::new(slots(67), buckets(64), 0).is_none());
    assert!(ActiveSet::new(slots(0), buckets(1), 0).is_none());
    assert!(ActiveSet::new(slots(65534), buckets(65536), 0).is_some());
    assert!(ActiveSet::new(slots(65535), buckets(65536), 0).is_none());
}

#[test]
fn extents_of_a_range() {
    assert_eq!(extents_of(0, 4096), Some((0, 0)));
    assert_eq!(extents_of(8191, 512), Some((0, 0)));
    assert_eq!(extents_of(8184, 4096), Some((0, 0)));
    assert_eq!(extents_of(8185, 4096), Some((0, 1)));
    assert_eq!(extents_of(8192, 1 << 20), Some((1, 1)));
    // Over two borders, and beyond what 32 bits can number.
    assert_eq!(extents_of(8191, (4 << 20) + 1024), None);
    assert_eq!(extents_of((1 << 45) - 8192 - 8, 4096).map(|e| e.1), {
        Some(u32::MAX - 1)
    });
    assert_eq!(extents_of((1 << 45) - 8192, 4096), None);
    assert_eq!(extents_of(u64::MAX, 4096), None);
}

#[test]
fn a_cold_extent_becomes_active_with_its_transaction() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    assert_eq!(rig.cover(5), None);
    let (refs, waits) = rig.want(5).unwrap();
    assert!(waits);
    assert_eq!(rig.cover(5), None, "not yet on disk");
    rig.transact();
    assert!(rig.cover(5).is_some());
    assert!(!rig.set.uncover(refs));
    assert_eq!(rig.want(5).map(|(_, waits)| waits), Ok(false));
}

#[test]
fn a_range_over_a_border_needs_both() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    let border = 8192 - 4;
    rig.want(0).unwrap();
    rig.transact();
    assert_eq!(rig.set.cover(border, 4096), None);
    assert_eq!(rig.set.usage(), (1, 1), "the first was let go again");
    rig.log.want(&rig.set, border, 4096).unwrap();
    rig.transact();
    let refs = rig.set.cover(border, 4096).unwrap();
    assert_eq!(rig.set.usage(), (2, 2));
    let _ = rig.set.uncover(refs);
    assert_eq!(Refs::from_raw(refs.to_raw()), refs);
}

#[test]
fn references_of_another_set_do_nothing() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    let (refs, _) = rig.want(1).unwrap();
    let other = ActiveSet::new(
        (0..67).map(|_| Slot::default()).collect::<Vec<_>>(),
        (0..128).map(|_| Bucket::default()).collect::<Vec<_>>(),
        8,
    )
    .unwrap();
    assert!(rig.set.owns(refs) && !other.owns(refs) && !rig.set.owns(Refs::NONE));
    assert!(!other.uncover(refs));
    assert!(!other.uncover(Refs::NONE));
    assert_eq!(other.usage(), (0, 0));
    assert_eq!(rig.set.usage(), (1, 1));
}

#[test]
fn sixty_four_changes_fill_a_transaction() {
    let mut rig = Rig::new(200, AlLayout::DEFAULT);
    for extent in 0..64 {
        rig.want(extent).unwrap();
    }
    assert_eq!(rig.want(64), Err(Wait::ForTransaction));
    rig.want(63).unwrap();
    // While that one is under way the next is gathered.
    assert_eq!(
        rig.log.start(&rig.set),
        Started::Transaction { evicts: false }
    );
    rig.want(64).unwrap();
    assert_eq!(rig.log.start(&rig.set), Started::Nothing);
    rig.write_block();
    assert!(rig.cover(0).is_some() && rig.cover(64).is_none());
    rig.transact();
    assert!(rig.cover(64).is_some());
}

#[test]
fn who_starves_stops_the_others_until_served() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    let mut held = Vec::new();
    for extent in 0..67 {
        if extent == 64 {
            rig.transact();
        }
        held.push(rig.want(extent).unwrap().0);
    }
    rig.transact();
    assert_eq!(rig.want(100), Err(Wait::ForSlot));
    assert_eq!(rig.cover(3), None, "active, but somebody starves");
    let seen = rig.set.relieved();
    assert!(rig.set.uncover(held[3]), "the log's user is woken");
    assert_ne!(rig.set.relieved(), seen);
    rig.want(100).unwrap();
    rig.log.nobody_starves(&rig.set);
    assert!(rig.cover(4).is_some());
    assert_eq!(rig.transact(), [3]);
    assert!(!rig.set.uncover(held[4]), "nobody waits any more");
}

#[test]
fn a_failed_transaction_lets_nothing_new_through() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    rig.want(1).unwrap();
    rig.transact();
    rig.want(2).unwrap();
    let _ = rig.log.start(&rig.set);
    rig.log.failed();
    assert_eq!(rig.want(2), Err(Wait::Failed));
    assert_eq!(rig.want(3), Err(Wait::Failed));
    assert_eq!(rig.log.start(&rig.set), Started::Nothing);
    assert_eq!(rig.cover(2), None);
    assert!(rig.cover(1).is_some());
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    assert_eq!(rig.log.bitmap_written(), Err(StepError));
    assert_eq!(rig.log.block_written(&rig.set), Err(StepError));
    rig.fill();
    rig.want(100).unwrap();
    let _ = rig.log.start(&rig.set);
    let mut bytes = [0; BLOCK_SIZE];
    assert_eq!(rig.log.emit(&rig.set, &mut bytes), Err(StepError));
    assert_eq!(rig.log.block_written(&rig.set), Err(StepError));
    rig.log.bitmap_written().unwrap();
    assert_eq!(rig.log.emit(&rig.set, &mut bytes[1..]), Err(StepError));
    assert!(rig.log.emit(&rig.set, &mut bytes).is_ok());
}

#[test]
fn without_updates_nothing_is_written_and_all_counts() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    rig.log.set_updates(false);
    rig.want(1).unwrap();
    assert_eq!(rig.log.start(&rig.set), Started::Committed);
    assert!(rig.cover(1).is_some());
    assert_eq!(replayed(&rig.ring, rig.al), []);
    // Turned on again: the disk is told the whole set first.
    for _ in 0..rig.log.windows() {
        assert!(rig.log.start_context());
        rig.write_block();
    }
    rig.log.set_updates(true);
    assert_eq!(replayed(&rig.ring, rig.al), [1]);
}

#[test]
fn what_was_used_lately_stays() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    rig.fill();
    // The first search takes all marks away.
    let refs = rig.want(100).unwrap().0;
    let _ = rig.set.uncover(refs);
    rig.transact();
    let hot: Vec<u32> = (0..67).filter(|e| e % 2 == 0).collect();
    for &extent in &hot {
        if let Some(refs) = rig.cover(extent) {
            let _ = rig.set.uncover(refs);
        }
    }
    for extent in 200..230 {
        let refs = rig.want(extent).unwrap().0;
        let _ = rig.set.uncover(refs);
        let evicted = rig.transact();
        assert!(evicted.iter().all(|e| !hot.contains(e)), "{evicted:?}");
    }
}
