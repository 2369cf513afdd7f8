// SPDX-License-Identifier: GPL-2.0
//! The device gets another size while it is in use.

extern crate std;

use std::format;

use super::super::*;
use super::pair::{node::layout_for, Pair};
use super::traces::{connected_fresh, mirror};
use crate::meta::{MdFlags, Room};
use crate::state::Conn;

const BEFORE: u64 = 8 * 40;
const AFTER: u64 = 8 * 100;

/// The disk of node `i` can hold so many sectors from now on, with its metadata elsewhere.
fn give_room(p: &mut Pair, i: usize, sectors: u64) {
    let layout = layout_for(sectors);
    let room = Room {
        usable: sectors,
        bitmap_limit: layout.bitmap_limit(),
        md_size_sect: layout.md_size_sect(),
        al_offset: layout.al_offset(),
        bm_offset: layout.bm_offset() - 8,
        moves: true,
    };
    p.n[i].feed(Event::Room(0, room));
}

fn resize(p: &mut Pair, i: usize, size: u64, force: bool, no_resync: bool) -> Option<i32> {
    p.n[i].admin(Command::Resize {
        vnr: 0,
        size,
        force,
        no_resync,
    })
}

fn bits(p: &Pair) -> [usize; 2] {
    [0, 1].map(|i| {
        p.n[i]
            .w
            .bits
            .get(&0)
            .map_or(0, std::collections::BTreeSet::len)
    })
}

/// Both have this size, on disk as well, and are in sync.
fn mirrors(p: &Pair, size: u64) {
    let roles = ["Primary/Secondary", "Secondary/Primary"];
    for (n, roles) in p.n.iter().zip(roles) {
        assert_eq!(n.show(), format!("Connected {roles} UpToDate/UpToDate"));
        assert_eq!((n.r.volumes[0].size, n.w.size[&0]), (size, size));
        let superblock = &n.disk[&0].superblock;
        assert_eq!(superblock.la_size_sect, size);
        assert!(!superblock.flags.contains(MdFlags::FULL_SYNC));
    }
}

fn resyncs(p: &Pair) -> [usize; 2] {
    [0, 1].map(|i| {
        let began = |line: &&LogLine| matches!(line, LogLine::BeganResync { .. });
        p.n[i].w.log.iter().filter(began).count()
    })
}

#[test]
fn both_disks_have_grown_and_either_node_is_told() {
    for seed in 0..50 {
        for told in [0, 1] {
            let mut p = mirror(seed);
            let before = resyncs(&p);
            give_room(&mut p, 0, AFTER);
            give_room(&mut p, 1, AFTER);
            assert_eq!(resize(&mut p, told, 0, false, false), Some(101));
            p.settle();
            mirrors(&p, AFTER);
            assert_eq!(bits(&p), [0, 0]);
            assert_eq!(resyncs(&p), before.map(|n| n + 1), "the new part");
            for n in &p.n {
                assert_eq!(n.w.moved, 1);
                assert_eq!(n.r.volumes[0].disk.unwrap().usable, AFTER);
            }
        }
    }
}

#[test]
fn the_smaller_disk_decides_until_it_has_grown_too() {
    let mut p = mirror(3);
    give_room(&mut p, 0, AFTER);
    assert_eq!(resize(&mut p, 0, 0, false, false), Some(101));
    p.settle();
    mirrors(&p, BEFORE);
    assert_eq!((p.n[0].w.moved, p.n[1].w.moved), (1, 0));
    // Now the node that grows first is the one that is told.
    give_room(&mut p, 1, AFTER - 80);
    assert_eq!(resize(&mut p, 1, 0, false, false), Some(101));
    p.settle();
    mirrors(&p, AFTER - 80);
    assert_eq!(bits(&p), [0, 0]);
}

#[test]
fn nothing_is_synced_that_is_assumed_to_be_clean() {
    for told in [0, 1] {
        let mut p = mirror(4);
        let before = resyncs(&p);
        give_room(&mut p, 0, AFTER);
        give_room(&mut p, 1, AFTER);
        assert_eq!(resize(&mut p, told, 0, false, true), Some(101));
        p.settle();
        mirrors(&p, AFTER);
        assert_eq!((bits(&p), resyncs(&p)), ([0, 0], before));
        for n in &p.n {
            assert!(n.w.log.contains(&LogLine::AssumedClean));
        }
    }
}

#[test]
fn a_size_by_hand_shrinks_both_and_zero_takes_it_back() {
    for told in [0, 1] {
        let mut p = mirror(5);
        assert_eq!(resize(&mut p, told, 80, false, false), Some(101));
        p.settle();
        mirrors(&p, 80);
        for n in &p.n {
            assert_eq!(n.r.volumes[0].disk.unwrap().user_size, 80);
        }
        assert_eq!(resize(&mut p, 1 - told, 0, false, false), Some(101));
        p.settle();
        mirrors(&p, BEFORE);
        assert_eq!(bits(&p), [0, 0]);
    }
}

#[test]
fn more_than_there_is_is_taken_for_all() {
    let mut p = mirror(6);
    assert_eq!(resize(&mut p, 0, AFTER, false, false), Some(101));
    p.settle();
    mirrors(&p, BEFORE);
    assert!(p.n[0].w.log.contains(&LogLine::SizeTooLarge {
        wanted: AFTER / 2,
        possible: BEFORE / 2
    }));
    // A disk that has become smaller may not be named larger than it is.
    give_room(&mut p, 0, 160);
    assert_eq!(resize(&mut p, 0, 240, false, false), Some(169));
    mirrors(&p, BEFORE);
}

#[test]
fn refused() {
    let mut p = connected_fresh(7);
    assert_eq!(resize(&mut p, 0, 0, false, false), Some(131));
    p.n[0].admin(Command::Primary {
        vnr: 0,
        force: true,
    });
    while p.n[0].s().conn != Conn::SyncSource {
        assert!(p.step());
    }
    assert_eq!(resize(&mut p, 0, 0, false, false), Some(130));
    p.settle();
    p.n[1].admin(Command::Detach {
        vnr: 0,
        force: false,
    });
    p.settle();
    assert_eq!(resize(&mut p, 1, 0, false, false), Some(138));
    // Nobody knows how much room the peer has.
    give_room(&mut p, 0, AFTER);
    assert_eq!(resize(&mut p, 0, 0, true, false), Some(101));
    p.settle();
    assert_eq!(p.n[0].r.volumes[0].size, BEFORE);
}

/// The link is cut at any moment: the sizes are equal when it is back. A part that both have got
/// in the handshake is marked on both, and left to the next resync: generations tell no difference.
#[test]
fn a_link_that_breaks_meanwhile() {
    for seed in 0..40 {
        for told in [0, 1] {
            for steps in 0..12 {
                let mut p = mirror(seed);
                give_room(&mut p, 0, AFTER);
                give_room(&mut p, 1, AFTER);
                assert_eq!(resize(&mut p, told, 0, false, false), Some(101));
                for _ in 0..steps {
                    p.step();
                }
                p.cut();
                p.settle();
                mirrors(&p, AFTER);
                let new: std::collections::BTreeSet<u64> = (BEFORE / 8..AFTER / 8).collect();
                let marked = [0, 1].map(|i| p.n[i].w.bits[&0].clone());
                assert_eq!(marked[0], marked[1]);
                assert!(marked[0].is_empty() || marked[0] == new, "{marked:?}");
            }
        }
    }
}

#[test]
fn alone_only_by_force() {
    let mut p = mirror(8);
    for n in &mut p.n {
        n.admin(Command::Disconnect { force: true });
    }
    p.settle();
    give_room(&mut p, 0, AFTER);
    assert_eq!(resize(&mut p, 0, 0, false, false), Some(101));
    assert_eq!(p.n[0].r.volumes[0].size, BEFORE);
    assert_eq!(resize(&mut p, 0, 0, true, false), Some(101));
    assert_eq!(p.n[0].r.volumes[0].size, AFTER);
    // The peer follows when it is back, if it can.
    give_room(&mut p, 1, AFTER);
    for n in &mut p.n {
        n.connect(false);
    }
    p.settle();
    mirrors(&p, AFTER);
}
