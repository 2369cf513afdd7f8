// SPDX-License-Identifier: GPL-2.0
//! Random use, compared with a model that keeps plain maps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// A request to this extent; if `border` to the next one, too.
    Request { extent: u32, border: bool },
    /// The request at this place of the list of those in flight is over.
    Done(usize),
    /// A transaction starts.
    Start,
    /// The bitmap of the transaction is written.
    Bitmap,
    /// Its block is written.
    Block,
}

pub(super) fn ops(extents: u32) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..extents, prop::bool::weighted(0.2))
            .prop_map(|(extent, border)| Op::Request { extent, border }),
        4 => any::<prop::sample::Index>().prop_map(|i| Op::Done(i.index(1 << 16))),
        2 => Just(Op::Start),
        2 => Just(Op::Bitmap),
        2 => Just(Op::Block),
    ];
    prop::collection::vec(op, 1..400)
}

/// What must be so, in the simplest words.
#[derive(Default)]
struct Model {
    /// On disk, with references.
    active: BTreeMap<u32, u32>,
    /// Gathered, with references, and with what is evicted in exchange.
    gathered: BTreeMap<u32, u32>,
    writing: BTreeMap<u32, u32>,
}

impl Model {
    fn references(&mut self, extent: u32) -> Option<&mut u32> {
        let maps = [&mut self.active, &mut self.gathered, &mut self.writing];
        maps.into_iter().find_map(|map| map.get_mut(&extent))
    }
}

fn of(op_extent: u32, border: bool) -> (u64, Vec<u32>) {
    let start = u64::from(op_extent) << 13;
    if border {
        (start + 8192 - 4, std::vec![op_extent, op_extent + 1])
    } else {
        (start + 8, std::vec![op_extent])
    }
}

fn run(slots: u16, ops: &[Op]) {
    let mut rig = Rig::new(slots, AlLayout::DEFAULT);
    let mut model = Model::default();
    let mut flying: Vec<(Refs, Vec<u32>)> = Vec::new();
    let mut stage = 0;
    let mut starving = false;
    for op in ops {
        match *op {
            Op::Request { extent, border } => {
                let (sector, extents) = of(extent, border);
                let hot = extents.iter().all(|e| model.active.contains_key(e));
                let quick = rig.set.cover(sector, 4096);
                assert_eq!(quick.is_some(), hot && !starving, "{op:?}");
                let refs = match quick {
                    Some(refs) => refs,
                    None => match rig.log.want(&rig.set, sector, 4096) {
                        Ok((refs, waits)) => {
                            assert_eq!(waits, !hot);
                            rig.log.nobody_starves(&rig.set);
                            starving = false;
                            refs
                        }
                        Err(wait) => {
                            let changes = model.gathered.len();
                            match wait {
                                Wait::ForTransaction => assert!(changes >= 63),
                                Wait::ForSlot => starving = true,
                                other => panic!("{other:?}"),
                            }
                            // A change may have been gathered for the first of two.
                            settle(&rig, &mut model, extents.first().copied());
                            continue;
                        }
                    },
                };
                for e in &extents {
                    settle(&rig, &mut model, Some(*e));
                    *model.references(*e).unwrap() += 1;
                }
                flying.push((refs, extents));
            }
            Op::Done(i) if !flying.is_empty() => {
                let (refs, extents) = flying.swap_remove(i % flying.len());
                let mut idle = false;
                for e in extents {
                    let left = model.references(e).unwrap();
                    *left -= 1;
                    idle |= *left == 0;
                }
                assert_eq!(rig.set.uncover(refs), idle && starving);
            }
            Op::Start => {
                let started = rig.log.start(&rig.set);
                if stage != 0 || model.gathered.is_empty() {
                    assert_eq!(started, Started::Nothing);
                    continue;
                }
                model.writing = std::mem::take(&mut model.gathered);
                let evicted: BTreeSet<u32> = rig.log.evicted(&rig.set).collect();
                assert!(evicted.iter().all(|e| !model.active.contains_key(e)));
                let evicts = !evicted.is_empty();
                assert_eq!(started, Started::Transaction { evicts });
                stage = if evicts { 1 } else { 2 };
            }
            Op::Bitmap => {
                assert_eq!(rig.log.bitmap_written().is_ok(), stage == 1);
                stage = if stage == 1 { 2 } else { stage };
            }
            Op::Block if stage == 2 => {
                rig.write_block();
                let done = std::mem::take(&mut model.writing);
                model.active.extend(done);
                stage = 0;
            }
            Op::Block | Op::Done(_) => {}
        }
        check(&rig, &model, slots);
    }
}

/// The log gathered a change: the model learns which extents had to go for it.
fn settle(rig: &Rig, model: &mut Model, extent: Option<u32>) {
    if let Some(extent) = extent {
        if rig.set.find(extent).is_some() && model.references(extent).is_none() {
            model.gathered.insert(extent, 0);
        }
    }
    let gone: Vec<u32> = model.active.keys().copied().collect();
    for e in gone {
        if rig.set.find(e).is_none() {
            assert_eq!(model.active.remove(&e), Some(0), "{e} has writes in flight");
        }
    }
}

fn check(rig: &Rig, model: &Model, slots: u16) {
    assert!(model.gathered.len() <= 64);
    let maps = [&model.active, &model.gathered, &model.writing];
    let all: BTreeMap<u32, u32> = maps
        .into_iter()
        .flat_map(|map| map.iter().map(|(e, n)| (*e, *n)))
        .collect();
    assert!(all.len() <= usize::from(slots));
    let referenced = all.values().filter(|n| **n > 0).count() as u32;
    assert_eq!(rig.set.usage(), (all.len() as u32, referenced));
    for (extent, references) in &all {
        let cell = rig.set.cell(rig.set.find(*extent).unwrap());
        assert_eq!(cell.references(), u64::from(*references));
        assert_eq!(cell.is_pending(), !model.active.contains_key(extent));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_log_does_what_plain_maps_do(ops in ops(40)) {
        run(13, &ops);
    }

    #[test]
    fn also_when_it_is_large_and_changes_are_many(ops in ops(1000)) {
        run(400, &ops);
    }
}
