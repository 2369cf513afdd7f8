// SPDX-License-Identifier: GPL-2.0
//! I/O that waits: suspended by hand, or because no good data is in reach.

extern crate std;

use super::super::*;
use super::pair::data::Block;
use super::pair::Pair;
use crate::state::{Disk, OnNoData};

const SECTORS: u64 = 8 * 16;
const BLOCK: Block = Block { vnr: 0, nr: 3 };

/// Connected, node 0 Primary on all volumes, in sync.
fn mirror(seed: u64, volumes: u16) -> Pair {
    let mut p = Pair::with_volumes(seed, SECTORS, volumes);
    for n in &mut p.n {
        n.r.on_no_data = OnNoData::SuspendIo;
        assert_eq!(n.connect(false), 1);
    }
    p.settle();
    for vnr in 0..volumes {
        p.n[0].admin(Command::Primary { vnr, force: true });
        p.settle();
    }
    p
}

fn parked(p: &Pair, vnr: u16) -> bool {
    p.n[0].w.policy[&vnr].parked
}

fn lose_disk(p: &mut Pair) {
    p.n[0].feed(Event::DiskError {
        vnr: 0,
        kind: DiskErrorKind::Write,
    });
    p.settle();
    assert_eq!(p.n[0].s().disk, Disk::Diskless);
}

/// The cable is cut and stays so.
fn unplug(p: &mut Pair) {
    p.cut();
    assert!(!p.linked);
}

#[test]
fn by_hand_all_volumes_wait_and_all_go_on() {
    let mut p = mirror(1, 3);
    assert_eq!(p.n[0].admin(Command::SuspendIo(1)), Some(1));
    assert!((0..3).all(|vnr| parked(&p, vnr)));
    assert_eq!(p.n[0].admin(Command::ResumeIo(2)), Some(1));
    assert!((0..3).all(|vnr| !parked(&p, vnr)));
    assert_eq!(p.n[0].w.thawed, 1, "withheld answers are given once");
}

#[test]
fn without_disk_and_peer_it_waits_for_the_peer() {
    for seed in 0..20 {
        let mut p = mirror(seed, 1);
        p.write(0, BLOCK, false);
        p.settle();
        lose_disk(&mut p);
        assert!(!parked(&p, 0), "the peer serves");
        unplug(&mut p);
        assert!(p.n[0].s().susp_nod && parked(&p, 0));
        assert_eq!(p.n[0].w.lost_requests, 0, "nothing has failed");
        p.settle();
        assert!(!p.n[0].s().susp_nod && !parked(&p, 0));
        assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]));
        p.check_rest();
    }
}

#[test]
fn alone_it_waits_for_the_same_disk_and_takes_no_other() {
    for seed in 0..20 {
        let mut p = mirror(seed, 1);
        p.n[1].admin(Command::Disconnect { force: true });
        unplug(&mut p);
        p.write(0, BLOCK, false);
        lose_disk(&mut p);
        assert!(p.n[0].s().susp_nod && parked(&p, 0));
        let good = p.n[0].disk[&0].clone();
        p.n[0].create_md(0, SECTORS);
        assert_eq!(p.n[0].attach(0, SECTORS), Some(150), "another disk");
        p.n[0].disk.insert(0, good);
        assert_eq!(p.n[0].attach(0, SECTORS), Some(101));
        assert!(!p.n[0].s().susp_nod && !parked(&p, 0));
        assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]));
    }
}

#[test]
fn the_administrator_lets_it_fail() {
    let mut p = mirror(7, 1);
    p.n[1].admin(Command::Disconnect { force: true });
    unplug(&mut p);
    lose_disk(&mut p);
    assert!(parked(&p, 0));
    assert_eq!(p.n[0].admin(Command::ResumeIo(0)), Some(1));
    assert!(!parked(&p, 0) && p.n[0].w.policy[&0].no_data);
    assert_eq!(p.read(0, BLOCK), None);
}
