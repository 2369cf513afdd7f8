// SPDX-License-Identifier: GPL-2.0
//! Real threads: whoever has a reference never sees its extent leave the set.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Mutex;
use std::thread;

use super::*;

const EXTENTS: u32 = 40;

#[test]
fn no_extent_leaves_while_it_is_written_to() {
    let set = set_of(16);
    let log = Mutex::new(Log::new(AlLayout::DEFAULT, 16, true));
    // Writers inside of an extent.
    let inside: Vec<AtomicU32> = (0..EXTENTS).map(|_| AtomicU32::new(0)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 1..4_u32 {
            let (set, log, inside, stop) = (&set, &log, &inside, &stop);
            scope.spawn(move || {
                let mut random = seed;
                for _ in 0..30_000 {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let extent = (random >> 16) % EXTENTS;
                    write(set, log, inside, extent);
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
    });
    assert!(stop.load(Ordering::Relaxed));
    assert_eq!(set.usage().1, 0);
}

fn write(set: &Set, log: &Mutex<Log>, inside: &[AtomicU32], extent: u32) {
    let sector = u64::from(extent) << 13;
    let refs = loop {
        if let Some(refs) = set.cover(sector, 4096) {
            break refs;
        }
        let mut log = log.lock().unwrap();
        let wanted = log.want(set, sector, 4096);
        if let Started::Transaction { evicts } = log.start(set) {
            for gone in log.evicted(set) {
                let writers = inside[gone as usize].load(Ordering::SeqCst);
                assert_eq!(writers, 0, "{gone} is written to");
            }
            if evicts {
                log.bitmap_written().unwrap();
            }
            log.block_written(set).unwrap();
        }
        match wanted {
            Ok((refs, _)) => {
                log.nobody_starves(set);
                break refs;
            }
            Err(Wait::ForSlot | Wait::ForTransaction) => {}
            Err(other) => panic!("{other:?}"),
        }
    };
    inside[extent as usize].fetch_add(1, Ordering::SeqCst);
    thread::yield_now();
    inside[extent as usize].fetch_sub(1, Ordering::SeqCst);
    let _ = set.uncover(refs);
}
