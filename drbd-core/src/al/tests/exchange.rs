// SPDX-License-Identifier: GPL-2.0
//! A log takes the place of another one of a different size.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use super::*;

#[test]
fn a_log_closes_when_nobody_has_references() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    let (refs, _) = rig.want(5).unwrap();
    rig.transact();
    assert!(!rig.log.close(&rig.set));
    assert_eq!(rig.cover(5), None, "no new references meanwhile");
    assert_eq!(rig.want(5), Err(Wait::ForSlot));
    assert_eq!(rig.want(6), Err(Wait::ForSlot));
    rig.log.nobody_starves(&rig.set);
    assert_eq!(rig.cover(5), None, "closing goes on");
    assert!(rig.set.uncover(refs), "who closes it is told");
    assert!(rig.log.close(&rig.set));
    assert!(rig.log.close(&rig.set), "it stays closed");
    assert_eq!(rig.cover(5), None);
    let before = rig.set.relieved();
    rig.log.reopen(&rig.set);
    assert_ne!(rig.set.relieved(), before, "who waits tries again");
    assert!(rig.cover(5).is_some());
    assert_eq!(rig.cover(6), None);
}

#[test]
fn a_log_that_could_not_be_closed_goes_on() {
    let mut rig = Rig::new(67, AlLayout::DEFAULT);
    let (refs, _) = rig.want(5).unwrap();
    assert!(!rig.log.close(&rig.set), "a change is gathered");
    rig.log.reopen(&rig.set);
    rig.transact();
    assert!(!rig.log.close(&rig.set), "a write is under way");
    rig.log.reopen(&rig.set);
    let again = rig.cover(5).unwrap();
    let _ = (rig.set.uncover(refs), rig.set.uncover(again));
    rig.log.failed();
    assert!(!rig.log.close(&rig.set), "the disk is about to go");
}

#[test]
fn the_ring_tells_of_the_set_that_came_in_its_place() {
    for (old, new) in [(67, 1237), (1237, 67), (919, 920)] {
        let mut rig = Rig::new(old, AlLayout::DEFAULT);
        rig.fill();
        assert!(rig.log.close(&rig.set));
        rig.log = rig.log.successor(new);
        rig.set = set_of(new);
        // More transactions than the ring has blocks, so that each of them is written again.
        for extent in 100..200 {
            let (refs, waits) = rig.want(extent).unwrap();
            assert!(waits, "nothing is active in the new set");
            rig.transact();
            let hot = replayed(&rig.ring, rig.al);
            assert!(hot.contains(&extent), "{old} to {new}: {extent}");
            let _ = rig.set.uncover(refs);
        }
    }
}

/// Whoever has a reference sees no log closed meanwhile, and nobody gets one afterwards.
#[test]
fn a_closed_log_gives_no_reference_to_any_thread() {
    for round in 0..200_u32 {
        let mut rig = Rig::new(67, AlLayout::DEFAULT);
        rig.fill();
        let (closed, inside) = (AtomicBool::new(false), AtomicU32::new(0));
        let Rig { set, log, .. } = &mut rig;
        thread::scope(|scope| {
            for writer in 0..2_u32 {
                let (set, closed, inside) = (&*set, &closed, &inside);
                scope.spawn(move || {
                    for step in 0.. {
                        let extent = (round + writer + step) % 67;
                        let Some(refs) = set.cover(u64::from(extent) << 13, 4096) else {
                            if closed.load(Ordering::SeqCst) {
                                break;
                            }
                            continue;
                        };
                        inside.fetch_add(1, Ordering::SeqCst);
                        assert!(!closed.load(Ordering::SeqCst));
                        inside.fetch_sub(1, Ordering::SeqCst);
                        let _ = set.uncover(refs);
                    }
                });
            }
            while !log.close(set) {
                thread::yield_now();
            }
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            closed.store(true, Ordering::SeqCst);
        });
    }
}
