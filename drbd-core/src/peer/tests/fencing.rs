// SPDX-License-Identifier: GPL-2.0
//! Fencing: each policy with each exit code of `fence-peer`, on a Primary that has lost its peer
//! and on the way to Primary. What a node that is only Consistent does is compared with what the C
//! driver did (`tests/handshake.rs`).

extern crate std;

use super::super::*;
use super::pair::Pair;
use crate::state::{Conn, Disk, Fencing, Role};

const POLICIES: [Fencing; 3] = [
    Fencing::DontCare,
    Fencing::ResourceOnly,
    Fencing::ResourceAndStonith,
];

/// In sync, node 0 Primary.
fn mirror(fencing: Fencing, exit: u8) -> Pair {
    let mut p = Pair::new(7);
    for n in &mut p.n {
        n.fencing = fencing;
        n.w.fence_exit = exit;
        n.add_volume(0);
        n.create_md(0, 48);
        assert_eq!(n.attach(0, 48), Some(101));
    }
    p.lead();
    p
}

/// The node has lost its link, and has not cleaned up yet.
fn lose(p: &mut Pair, n: usize) {
    p.linked = false;
    p.n[n].feed(Event::LinkBroken(Conn::NetworkFailure));
}

/// The link is up again.
fn meet(p: &mut Pair, other: usize) {
    lose(p, other);
    p.n[other].closed();
    p.link_up();
    p.settle();
}

fn generation(p: &Pair, n: usize) -> u64 {
    p.n[n].r.volumes[0].uuids().unwrap().current
}

fn unfenced(p: &Pair) -> [usize; 2] {
    [0, 1].map(|n| {
        let helped = p.n[n].w.helped.iter();
        helped.filter(|name| **name == "unfence-peer").count()
    })
}

/// What is known of the peer after an exit code, by a node whose disk is UpToDate.
fn verdict(fencing: Fencing, exit: u8) -> Disk {
    match exit {
        _ if fencing == Fencing::DontCare => Disk::DUnknown,
        3 => Disk::Inconsistent,
        4 | 5 | 7 => Disk::Outdated,
        _ => Disk::DUnknown,
    }
}

#[test]
fn a_cut_off_primary_goes_on_as_its_policy_and_the_exit_code_say() {
    for fencing in POLICIES {
        for exit in 0..=u8::MAX {
            let case = std::format!("{fencing:?}, {exit}");
            let stonith = fencing == Fencing::ResourceAndStonith;
            let mut p = mirror(fencing, exit);
            let before = generation(&p, 0);

            lose(&mut p, 0);
            let s = p.n[0].s();
            assert_eq!(s.susp_fen, stonith, "I43, {case}: {s}");
            assert_eq!(s.pdsk, Disk::DUnknown, "{case}: {s}");
            assert_eq!(generation(&p, 0) == before, stonith, "{case}");

            p.n[0].closed();
            let s = p.n[0].s();
            let known = verdict(fencing, exit);
            // A Primary does not outdate itself: where it is, the newest data are.
            assert_eq!((s.role, s.disk), (Role::Primary, Disk::UpToDate), "{case}");
            assert_eq!(s.pdsk, known, "{case}: {s}");
            let frozen = stonith && known == Disk::DUnknown;
            assert_eq!(s.susp_fen, frozen, "{case}: {s}");
            assert_eq!(generation(&p, 0) == before, frozen, "{case}");
            assert_eq!(p.n[0].w.lost_requests, u32::from(!frozen), "{case}");

            // The peer is back. What was not answered is sent again.
            meet(&mut p, 1);
            let s = p.n[0].s();
            assert_eq!(s.pdsk, Disk::UpToDate, "{case}: {s}");
            assert!(s.conn == Conn::Connected && !s.susp_fen, "{case}: {s}");
            assert_eq!(generation(&p, 0) == before, frozen, "{case}");
            // The first sync was one, too.
            let fences = usize::from(fencing != Fencing::DontCare);
            let resynced = usize::from(!frozen);
            assert_eq!(unfenced(&p), [fences * (1 + resynced), 0], "{case}");

            // Or the administrator says that it may go on.
            if frozen {
                let mut p = mirror(fencing, exit);
                lose(&mut p, 0);
                p.n[0].closed();
                let before = generation(&p, 0);
                p.n[0].admin(Command::ResumeIo(0));
                let s = p.n[0].s();
                assert!(!s.susp_fen && s.pdsk == Disk::DUnknown, "{case}: {s}");
                assert_ne!(generation(&p, 0), before, "{case}");
                meet(&mut p, 1);
                assert_eq!(unfenced(&p), [2, 0], "{case}");
            }
        }
    }
}

#[test]
fn a_promotion_without_connection_asks_the_fencing_helper() {
    for fencing in POLICIES {
        for exit in 0..=u8::MAX {
            for force in [false, true] {
                let case = std::format!("{fencing:?}, {exit}, force {force}");
                let mut p = mirror(fencing, exit);
                p.n[0].admin(Command::Secondary(0));
                p.settle();
                lose(&mut p, 1);
                p.n[1].closed();
                let s = p.n[1].s();
                assert_eq!(s.disk, Disk::UpToDate, "{case}: {s}");
                let before = generation(&p, 1);

                p.n[1].admin(Command::Primary { vnr: 0, force });
                let s = p.n[1].s();
                let known = verdict(fencing, exit);
                let good = force || fencing == Fencing::DontCare || known != Disk::DUnknown;
                let answer = match (good, exit) {
                    (true, _) => 1,
                    // The peer is Primary: this is not the node with the newest data.
                    (false, 6) => -2,
                    (false, _) => -7,
                };
                assert_eq!(p.n[1].w.answers.last(), Some(&answer), "{case}");
                assert_eq!(s.role == Role::Primary, good, "{case}: {s}");
                assert_eq!(generation(&p, 1) == before, !good, "{case}");
                let outdated = !good && exit == 6;
                let disk = if outdated {
                    Disk::Outdated
                } else {
                    Disk::UpToDate
                };
                assert_eq!(s.disk, disk, "{case}: {s}");
                if good {
                    let pdsk = match known {
                        Disk::DUnknown if fencing != Fencing::DontCare => Disk::Outdated,
                        known => known,
                    };
                    assert_eq!(s.pdsk, pdsk, "I42, {case}: {s}");
                }
                assert!(!s.susp_fen, "{case}: {s}");
            }
        }
    }
}

#[test]
fn a_code_that_comes_after_the_peer_is_ignored() {
    for exit in 0..=u8::MAX {
        let mut p = mirror(Fencing::ResourceAndStonith, exit);
        p.n[0].w.fence_held = true;
        lose(&mut p, 0);
        p.n[0].closed();
        assert!(p.n[0].s().susp_fen);
        meet(&mut p, 1);
        let before = (p.n[0].show(), generation(&p, 0));
        assert!(!p.n[0].s().susp_fen);
        p.n[0].feed(Event::HelperDone {
            vnr: 0,
            helper: HelperCall::FencePeer,
            exit,
        });
        p.settle();
        assert_eq!((p.n[0].show(), generation(&p, 0)), before, "{exit}");
    }
}

#[test]
fn a_link_that_is_lost_again_while_the_helper_runs_is_asked_about_again() {
    let mut p = mirror(Fencing::ResourceAndStonith, 4);
    p.n[0].w.fence_held = true;
    lose(&mut p, 0);
    p.n[0].closed();
    meet(&mut p, 1);
    lose(&mut p, 0);
    p.n[0].closed();
    let (s, before) = (p.n[0].s(), generation(&p, 0));
    assert!(s.susp_fen, "{s}");

    // What the helper found out was about a peer that has been here since: it is called anew.
    p.n[0].w.fence_held = false;
    p.n[0].feed(Event::HelperDone {
        vnr: 0,
        helper: HelperCall::FencePeer,
        exit: 4,
    });
    let s = p.n[0].s();
    assert_eq!((s.pdsk, s.susp_fen), (Disk::Outdated, false), "{s}");
    assert_ne!(generation(&p, 0), before);
}

#[test]
fn a_promotion_is_not_refused_for_what_was_found_out_before_the_peer_came_and_went() {
    let mut p = mirror(Fencing::ResourceOnly, 4);
    p.n[0].w.fence_held = true;
    lose(&mut p, 0);
    p.n[0].closed();
    meet(&mut p, 1);
    p.n[0].admin(Command::Secondary(0));
    p.settle();
    lose(&mut p, 0);
    p.n[0].closed();
    p.n[0].admin(Command::Primary {
        vnr: 0,
        force: false,
    });
    assert_ne!(p.n[0].s().role, Role::Primary);

    p.n[0].w.fence_held = false;
    p.n[0].feed(Event::HelperDone {
        vnr: 0,
        helper: HelperCall::FencePeer,
        exit: 4,
    });
    assert_eq!(p.n[0].s().role, Role::Primary);
    assert_eq!(p.n[0].s().pdsk, Disk::Outdated);
}

#[test]
fn the_helper_may_end_when_the_volume_that_it_was_called_for_is_gone() {
    let mut p = mirror(Fencing::ResourceOnly, 4);
    p.n[0].w.fence_held = true;
    lose(&mut p, 0);
    p.n[0].closed();
    assert!(p.n[0].r.fencing.is_some());
    p.n[0].r.remove_volume(0);
    p.n[0].feed(Event::HelperDone {
        vnr: 0,
        helper: HelperCall::FencePeer,
        exit: 4,
    });
    assert!(p.n[0].r.fencing.is_none());
}
