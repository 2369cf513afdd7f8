// SPDX-License-Identifier: GPL-2.0
//! Two nodes verify: how it begins, and each way in which it ends.

extern crate std;

use super::super::*;
use super::pair::Pair;
use super::traces::mirror;
use crate::state::{Conn, Refusal};

/// Node `driver` asks for a verify, and both are in it.
fn verifying(seed: u64, driver: usize) -> Pair {
    let mut p = mirror(seed);
    for n in &mut p.n {
        n.r.net.as_mut().expect("configured").verify_alg = true;
    }
    assert_eq!(p.n[driver].admin(Command::Verify(0)), None);
    p.settle();
    assert_eq!(p.n[driver].w.answers.last(), Some(&1));
    let conns = [Conn::VerifyS, Conn::VerifyT];
    for (i, conn) in [driver, 1 - driver].into_iter().zip(conns) {
        assert_eq!(p.n[i].r.volumes[0].state.conn, conn);
    }
    assert_eq!(p.n[driver].w.verify.get(&0), Some(&Side::Source));
    assert_eq!(p.n[1 - driver].w.verify.get(&0), Some(&Side::Target));
    p
}

fn over(p: &Pair) {
    let shown = ["Primary/Secondary", "Secondary/Primary"];
    for (n, roles) in p.n.iter().zip(shown) {
        assert_eq!(
            n.show(),
            std::format!("Connected {roles} UpToDate/UpToDate")
        );
        assert!(n.w.verify.is_empty());
    }
}

#[test]
fn each_node_ends_when_it_has_all_results() {
    for seed in 0..50 {
        for driver in [0, 1] {
            let mut p = verifying(seed, driver);
            for n in &mut p.n {
                n.w.bits.entry(0).or_default().extend([3, 4]);
            }
            // In either order; told twice does no harm.
            let first = seed as usize % 2;
            p.n[first].feed(Event::VerifyDone(0));
            p.n[1 - first].feed(Event::VerifyDone(0));
            p.n[first].feed(Event::VerifyDone(0));
            p.settle();
            over(&p);
            for n in &p.n {
                assert!(n.w.log.contains(&LogLine::VerifyFound(2)));
                assert_eq!(n.w.helped, ["out-of-sync"]);
                assert_eq!(n.w.bits[&0].len(), 2, "verify only marks");
            }
        }
    }
}

#[test]
fn the_target_ends_when_the_source_stops_early() {
    for seed in 0..50 {
        for driver in [0, 1] {
            let mut p = verifying(seed, driver);
            p.n[driver].feed(Event::VerifyDone(0));
            p.settle();
            over(&p);
            for n in &p.n {
                assert!(n.w.helped.is_empty(), "nothing was found");
            }
        }
    }
}

#[test]
fn a_lost_link_breaks_it_off_and_nothing_is_synced() {
    for seed in 0..50 {
        let mut p = verifying(seed, 1);
        p.cut();
        p.settle();
        over(&p);
        for n in &mut p.n {
            // What comes late means nothing.
            n.feed(Event::VerifyDone(0));
        }
        p.settle();
        over(&p);
    }
}

#[test]
fn it_is_refused_without_algorithm_and_while_one_runs() {
    let mut p = mirror(1);
    let refused = |p: &mut Pair| p.n[0].admin(Command::Verify(0));
    assert_eq!(refused(&mut p), Some(Refusal::NoVerifyAlg.code()));
    let mut p = verifying(1, 1);
    assert_eq!(refused(&mut p), Some(Refusal::ResyncRunning.code()));
    p.n[0].feed(Event::VerifyDone(0));
    p.n[1].feed(Event::VerifyDone(0));
    p.settle();
    over(&p);
}
