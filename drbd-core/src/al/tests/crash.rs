// SPDX-License-Identifier: GPL-2.0
//! The power fails at any step: log and bitmap on disk cover all that may differ.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::model::{ops, Op};
use super::*;

/// A machine with a log and a bitmap of one bit for each extent.
struct Machine {
    rig: Rig,
    /// Writes in flight: allowed to go to the disk, and not over.
    flying: Vec<(Refs, Vec<u32>)>,
    /// References that count after the next commit.
    waiting: Vec<(Refs, Vec<u32>)>,
    /// Extents with set bits, in memory and on disk.
    bits: BTreeSet<u32>,
    stored: BTreeSet<u32>,
    stage: u8,
    evicted: Vec<u32>,
}

impl Machine {
    fn new(slots: u16, al: AlLayout) -> Self {
        Self {
            rig: Rig::new(slots, al),
            flying: Vec::new(),
            waiting: Vec::new(),
            bits: BTreeSet::new(),
            stored: BTreeSet::new(),
            stage: 0,
            evicted: Vec::new(),
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Request { extent, border } => {
                let sector = (u64::from(extent) << 13) + if border { 8188 } else { 0 };
                let mut extents = std::vec![extent];
                extents.extend(border.then_some(extent + 1));
                if let Some(refs) = self.rig.set.cover(sector, 4096) {
                    self.flying.push((refs, extents));
                } else if let Ok((refs, waits)) = self.rig.log.want(&self.rig.set, sector, 4096) {
                    let list = if waits {
                        &mut self.waiting
                    } else {
                        &mut self.flying
                    };
                    list.push((refs, extents));
                }
            }
            Op::Done(i) if !self.flying.is_empty() => {
                let (refs, extents) = self.flying.swap_remove(i % self.flying.len());
                // Every other write ended on one disk only: its bits are set before.
                if i % 2 == 0 {
                    self.bits.extend(extents);
                }
                let _ = self.rig.set.uncover(refs);
            }
            Op::Start if self.stage == 0 => {
                if let Started::Transaction { evicts } = self.rig.log.start(&self.rig.set) {
                    self.evicted = self.rig.log.evicted(&self.rig.set).collect();
                    self.stage = if evicts { 1 } else { 2 };
                }
            }
            Op::Bitmap if self.stage == 1 => {
                // Stable with the block's flush; the block itself comes later.
                let kept = self.evicted.iter().filter(|e| self.bits.contains(e));
                self.stored.extend(kept);
                self.rig.log.bitmap_written().unwrap();
                self.stage = 2;
            }
            Op::Block if self.stage == 2 => {
                self.torn();
                self.rig.write_block();
                self.stage = 0;
                // All that was gathered before the start is in; what came later stays pending.
                let set = &self.rig.set;
                let (ready, waiting) =
                    std::mem::take(&mut self.waiting)
                        .into_iter()
                        .partition(|(_, extents)| {
                            let active =
                                |e: &u32| set.find(*e).is_some_and(|nr| !set.cell(nr).is_pending());
                            extents.iter().all(active)
                        });
                self.waiting = waiting;
                let mut ready: Vec<_> = ready;
                self.flying.append(&mut ready);
            }
            Op::Start | Op::Bitmap | Op::Block | Op::Done(_) => {}
        }
        // A look takes long, and requests alone change nothing on disk.
        if !matches!(op, Op::Request { extent, .. } if extent % 4 != 0) {
            self.crash(&self.rig.ring);
        }
    }

    /// The power fails while the block is written: it is garbage, or half old and half new.
    fn torn(&self) {
        let mut bytes = [0; BLOCK_SIZE];
        let block = self.rig.log.emit(&self.rig.set, &mut bytes).unwrap();
        let start = block as usize * BLOCK_SIZE;
        for written in [0, 512, 4088] {
            let mut ring = self.rig.ring.clone();
            ring[start..start + written].copy_from_slice(&bytes[..written]);
            self.crash(&ring);
            ring[start + written..start + BLOCK_SIZE].fill(0x5a);
            self.crash(&ring);
        }
        // Or it is there, and nobody was told.
        let mut ring = self.rig.ring.clone();
        ring[start..start + BLOCK_SIZE].copy_from_slice(&bytes);
        self.crash(&ring);
    }

    fn crash(&self, ring: &[u8]) {
        let mut covered: BTreeSet<u32> = replayed(ring, self.rig.al).into_iter().collect();
        covered.extend(&self.stored);
        for (_, extents) in &self.flying {
            for extent in extents {
                assert!(covered.contains(extent), "{extent} is in flight");
            }
        }
        for extent in &self.bits {
            assert!(covered.contains(extent), "{extent} has bits");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn log_and_bitmap_cover_what_may_differ(ops in ops(40)) {
        let mut machine = Machine::new(13, AlLayout::DEFAULT);
        ops.into_iter().for_each(|op| machine.step(op));
    }

    #[test]
    fn over_several_stripes(ops in ops(60)) {
        let mut machine = Machine::new(29, AlLayout::new(3, 3).unwrap());
        ops.into_iter().for_each(|op| machine.step(op));
    }
}

/// With the most slots that a ring can tell, the window goes round just in time.
#[test]
fn the_largest_set_of_a_ring_survives_a_torn_block() {
    let al = AlLayout::DEFAULT;
    let mut machine = Machine::new(al.extents_max(), al);
    for round in 0..140_u32 {
        for i in 0..50 {
            let extent = round * 50 + i;
            machine.step_quietly(Op::Request {
                extent,
                border: false,
            });
        }
        machine.step_quietly(Op::Start);
        machine.step_quietly(Op::Bitmap);
        if round % 40 == 39 {
            machine.torn();
        }
        machine.step_quietly(Op::Block);
        while machine.flying.len() > 6000 {
            machine.step_quietly(Op::Done(1));
        }
    }
    machine.crash(&machine.rig.ring);
}

impl Machine {
    /// A step whose crash is not looked at.
    fn step_quietly(&mut self, op: Op) {
        match op {
            Op::Block => {
                self.rig.write_block();
                self.stage = 0;
                let mut ready = std::mem::take(&mut self.waiting);
                self.flying.append(&mut ready);
            }
            Op::Request { extent, .. } => {
                let (refs, _) = self.rig.want(extent).unwrap();
                self.waiting.push((refs, std::vec![extent]));
            }
            Op::Start => {
                let Started::Transaction { evicts } = self.rig.log.start(&self.rig.set) else {
                    panic!("nothing gathered");
                };
                self.stage = if evicts { 1 } else { 2 };
                self.evicted = self.rig.log.evicted(&self.rig.set).collect();
            }
            Op::Bitmap if self.stage == 1 => {
                let kept = self.evicted.iter().filter(|e| self.bits.contains(e));
                self.stored.extend(kept);
                self.rig.log.bitmap_written().unwrap();
                self.stage = 2;
            }
            Op::Done(_) => {
                let (refs, _) = self.flying.remove(0);
                let _ = self.rig.set.uncover(refs);
            }
            Op::Bitmap => {}
        }
    }
}
