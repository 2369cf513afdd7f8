// SPDX-License-Identifier: GPL-2.0
//! The canonical two-node traces of docs/states.md.

extern crate std;

use super::super::*;
use super::pair::data::Block;
use super::pair::Pair;
use crate::state::{Conn, Disk, Refusal, Role};
use std::vec::Vec;

const SECTORS: u64 = 8 * 40;

const PROMOTE: Command = Command::Primary {
    vnr: 0,
    force: false,
};

const DETACH: Command = Command::Detach {
    vnr: 0,
    force: false,
};

pub(super) fn connected_fresh(seed: u64) -> Pair {
    let mut p = Pair::fresh(seed, SECTORS);
    assert_eq!(p.n[0].connect(false), 1);
    assert_eq!(p.n[1].connect(false), 1);
    p.settle();
    for n in &p.n {
        assert_eq!(
            n.show(),
            "Connected Secondary/Secondary Inconsistent/Inconsistent"
        );
    }
    p
}

/// Connected, node 0 Primary, both UpToDate.
pub(super) fn mirror(seed: u64) -> Pair {
    let mut p = connected_fresh(seed);
    assert_eq!(
        p.n[0].admin(Command::Primary {
            vnr: 0,
            force: true
        }),
        None
    );
    p.settle();
    assert_eq!(p.n[0].w.answers.last(), Some(&1));
    assert_eq!(
        p.n[0].show(),
        "Connected Primary/Secondary UpToDate/UpToDate"
    );
    assert_eq!(
        p.n[1].show(),
        "Connected Secondary/Primary UpToDate/UpToDate"
    );
    p
}

fn generations_agree(p: &Pair) {
    p.check_rest();
    let sets: Vec<_> =
        p.n.iter()
            .map(|n| n.r.volumes[0].uuids().unwrap())
            .collect();
    assert!(crate::uuid::same(sets[0].current, sets[1].current));
    assert_eq!(sets[0].bitmap, 0);
    assert_eq!(sets[1].bitmap, 0);
    for (a, b) in sets[0].history.iter().zip(sets[1].history) {
        assert!(crate::uuid::same(*a, b));
    }
    for n in &p.n {
        assert!(n.w.bits[&0].is_empty());
    }
}

#[test]
fn t1_equal_data_connects_without_sync() {
    let mut p = mirror(1);
    assert_eq!(p.n[0].admin(Command::Secondary(0)), Some(1));
    p.settle();
    p.cut();
    p.settle();
    for n in &p.n {
        assert_eq!(n.show(), "Connected Secondary/Secondary UpToDate/UpToDate");
    }
    generations_agree(&p);
}

#[test]
fn t2_first_promotion_of_fresh_storage_syncs_fully() {
    for seed in 0..50 {
        generations_agree(&mirror(seed));
    }
}

#[test]
fn t3_invalidate_syncs_back() {
    for seed in 0..20 {
        let mut p = mirror(seed);
        assert_eq!(p.n[1].admin(Command::Invalidate(0)), None);
        p.settle();
        assert_eq!(p.n[1].w.answers.last(), Some(&1));
        assert_eq!(
            p.n[1].show(),
            "Connected Secondary/Primary UpToDate/UpToDate"
        );
        generations_agree(&p);
    }
}

#[test]
fn t4_t5_link_loss_makes_a_new_generation_and_reconnect_resyncs() {
    for seed in 0..50 {
        let mut p = mirror(seed);
        let before = p.n[0].r.volumes[0].uuids().unwrap();
        p.linked = false;
        for n in &mut p.n {
            n.feed(Event::LinkBroken(Conn::NetworkFailure));
        }
        let after = p.n[0].r.volumes[0].uuids().unwrap();
        assert_ne!(before.current, after.current);
        assert_eq!(after.bitmap, before.current);
        assert_eq!(
            p.n[0].disk[&0].superblock.uuids[0], after.current,
            "the new generation is durable before requests are answered"
        );
        assert_eq!(p.n[0].w.lost_requests, 0);
        p.write(0, Block { vnr: 0, nr: 3 }, false);
        p.write(0, Block { vnr: 0, nr: 17 }, false);
        p.settle();
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary UpToDate/UpToDate"
        );
        assert_eq!(
            p.n[1].show(),
            "Connected Secondary/Primary UpToDate/UpToDate"
        );
        assert_eq!(p.n[0].w.lost_requests, 1);
        generations_agree(&p);
    }
}

#[test]
fn t6_split_brain_ends_standalone_and_is_resolved_by_hand() {
    for seed in 0..50 {
        let mut p = mirror(seed);
        for n in &mut p.n {
            n.admin(Command::Disconnect { force: true });
        }
        p.settle();
        assert_eq!(p.n[1].admin(PROMOTE), Some(1));
        p.write(0, Block { vnr: 0, nr: 1 }, false);
        p.write(1, Block { vnr: 0, nr: 2 }, false);
        assert_eq!(p.n[1].admin(Command::Secondary(0)), Some(1));
        assert_eq!(p.n[0].connect(false), 1);
        assert_eq!(p.n[1].connect(false), 1);
        p.settle();
        // Who closes first may leave the other waiting.
        assert!(p.n.iter().any(|n| n.s().conn == Conn::StandAlone));
        for n in &mut p.n {
            n.admin(Command::Disconnect { force: true });
        }
        p.settle();
        assert_eq!(p.n[0].connect(false), 1);
        assert_eq!(p.n[1].connect(true), 1);
        p.settle();
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary UpToDate/UpToDate"
        );
        generations_agree(&p);
    }
}

#[test]
fn t7_detach_and_reattach_of_the_secondary() {
    for seed in 0..50 {
        let mut p = mirror(seed);
        let before = p.n[0].r.volumes[0].uuids().unwrap();
        assert_eq!(p.n[1].admin(DETACH), None);
        p.settle();
        assert_eq!(p.n[1].w.answers.last(), Some(&1));
        assert_eq!(
            p.n[1].show(),
            "Connected Secondary/Primary Diskless/UpToDate"
        );
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary UpToDate/Diskless"
        );
        assert_eq!(p.n[0].r.volumes[0].uuids().unwrap().bitmap, before.current);
        p.write(0, Block { vnr: 0, nr: 9 }, false);
        // It waits until the peer has seen all acks.
        assert_eq!(p.n[1].attach(0, SECTORS), None);
        p.settle();
        assert_eq!(p.n[1].w.answers.last(), Some(&101));
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary UpToDate/UpToDate"
        );
        assert_eq!(
            p.n[1].show(),
            "Connected Secondary/Primary UpToDate/UpToDate"
        );
        generations_agree(&p);
    }
}

/// The disk of node 0 fails a write.
fn disk_fails(p: &mut Pair) {
    p.n[0].feed(Event::DiskError {
        vnr: 0,
        kind: DiskErrorKind::Write,
    });
    p.settle();
}

#[test]
fn t8_a_disk_error_of_the_primary_detaches_and_the_peer_serves() {
    for seed in 0..20 {
        let mut p = mirror(seed);
        disk_fails(&mut p);
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary Diskless/UpToDate"
        );
        assert_eq!(
            p.n[1].show(),
            "Connected Secondary/Primary UpToDate/Diskless"
        );
        let peer = p.n[1].r.volumes[0].uuids().unwrap();
        assert_ne!(peer.bitmap, 0, "the peer has the only data now");
        assert_eq!(p.n[0].r.volumes[0].exposed & !1, peer.current & !1);
    }
}

/// The peer's data has gone on without this node, which has exposed an older generation: what it
/// exposes now it must find again.
#[test]
fn a_promotion_without_a_disk_exposes_the_peers_data() {
    for seed in 0..20 {
        let mut p = mirror(seed);
        disk_fails(&mut p);
        assert_eq!(p.n[0].admin(Command::Secondary(0)), Some(1));
        p.settle();
        p.n[1].admin(Command::Disconnect { force: false });
        p.settle();
        p.n[1].admin(Command::NewCurrentUuid {
            vnr: 0,
            clear_bitmap: false,
        });
        p.n[1].connect(false);
        p.link_up();
        p.settle();
        let peer = p.n[1].r.volumes[0].uuids().unwrap();
        p.n[0].admin(PROMOTE);
        p.settle();
        assert_eq!(p.n[0].w.answers.last(), Some(&1));
        assert_eq!(p.n[0].r.volumes[0].exposed & !1, peer.current & !1);
        p.cut();
        p.link_up();
        p.settle();
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary Diskless/UpToDate"
        );
    }
}

/// A peer without a disk is told which generation it is shown, or it would take its own disk for
/// that one when the link goes in the middle of an attach.
#[test]
fn a_promotion_names_its_generation_to_a_peer_without_a_disk() {
    let mut p = mirror(1);
    assert_eq!(p.n[0].admin(Command::Secondary(0)), Some(1));
    p.settle();
    p.n[1].admin(DETACH);
    p.settle();
    p.n[0].admin(PROMOTE);
    p.settle();
    let current = p.n[0].r.volumes[0].uuids().unwrap().current;
    assert_eq!(p.n[1].r.volumes[0].exposed & !1, current & !1);
}

/// The link goes when the peer has agreed, and before it has named the generation that it begins.
#[test]
fn a_promotion_without_a_disk_may_miss_the_peers_new_generation() {
    let mut missed = 0;
    for seed in 0..100 {
        let mut p = mirror(seed);
        assert_eq!(p.n[0].admin(Command::Secondary(0)), Some(1));
        p.settle();
        p.n[0].admin(DETACH);
        p.settle();
        p.n[0].admin(PROMOTE);
        while p.n[0].r.volumes[0].state.role != Role::Primary && p.step() {}
        let named = p.n[1].r.volumes[0].uuids().unwrap().current;
        missed += u32::from(p.n[0].r.volumes[0].exposed & !1 != named & !1);
        p.cut();
        p.link_up();
        p.settle();
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary Diskless/UpToDate"
        );
    }
    assert_ne!(missed, 0);
}

#[test]
fn t12_concurrent_promotion_lets_one_win() {
    for seed in 0..200 {
        let mut p = mirror(seed);
        assert_eq!(p.n[0].admin(Command::Secondary(0)), Some(1));
        p.settle();
        for n in &mut p.n {
            n.w.answers.clear();
            n.admin(PROMOTE);
        }
        p.settle();
        let mut codes: Vec<_> = p.n.iter().map(|n| *n.w.answers.last().unwrap()).collect();
        codes.sort_unstable();
        assert_eq!(codes[1], 1, "{codes:?}");
        assert!(codes[0] < 0, "{codes:?}");
    }
}

#[test]
fn a_second_primary_is_refused() {
    let mut p = mirror(3);
    for force in [false, true] {
        assert_eq!(p.n[1].admin(Command::Primary { vnr: 0, force }), None);
        p.settle();
        assert_eq!(p.n[1].w.answers.last(), Some(&Refusal::TwoPrimaries.code()));
    }
    // A Primary that is dead without anybody having noticed is found by the ping.
    assert_eq!(p.n[1].admin(PROMOTE), None);
    p.n[1].feed(Event::LinkBroken(Conn::NetworkFailure));
    assert_eq!(p.n[1].w.answers.last(), Some(&1));
}

#[test]
fn an_open_device_is_not_demoted() {
    let mut p = mirror(3);
    p.n[0].w.open = 1;
    assert_eq!(
        p.n[0].admin(Command::Secondary(0)),
        Some(Refusal::DeviceInUse.code())
    );
    p.n[0].w.open = 0;
    assert_eq!(p.n[0].admin(Command::Secondary(0)), Some(1));
}

#[test]
fn inconsistent_data_without_a_good_peer_is_not_promoted() {
    let mut p = Pair::fresh(1, SECTORS);
    assert_eq!(p.n[0].admin(PROMOTE), Some(Refusal::NoUpToDateDisk.code()));
    assert_eq!(
        p.n[0].admin(Command::Primary {
            vnr: 0,
            force: true
        }),
        Some(1)
    );
    assert_eq!(
        p.n[0].show(),
        "StandAlone Primary/Unknown UpToDate/DUnknown"
    );
}

#[test]
fn graceful_disconnect_from_either_side() {
    for seed in 0..50 {
        for side in 0..2 {
            let mut p = mirror(seed);
            assert_eq!(p.n[side].admin(Command::Disconnect { force: false }), None);
            p.settle();
            assert_eq!(p.n[side].w.answers.last(), Some(&101));
            assert_eq!(p.n[side].s().conn, Conn::StandAlone);
            assert_eq!(p.n[1 - side].s().conn, Conn::WFConnection);
            assert_eq!(p.n[side].connect(false), 1);
            p.settle();
            assert_eq!(
                p.n[0].show(),
                "Connected Primary/Secondary UpToDate/UpToDate"
            );
            generations_agree(&p);
        }
    }
}

#[test]
fn a_wrong_size_on_reconnect_is_refused() {
    let mut p = mirror(5);
    p.n[1].admin(Command::Disconnect { force: false });
    p.settle();
    p.n[1].admin(DETACH);
    p.n[1].w.size.clear();
    p.n[1].r.volumes[0].size = 0;
    p.n[1].create_md(0, SECTORS / 2);
    assert_eq!(p.n[1].attach(0, SECTORS / 2), Some(101));
    assert_eq!(p.n[1].connect(false), 1);
    p.settle();
    assert_eq!(p.n[0].s().conn, Conn::StandAlone);
    assert_eq!(p.n[0].r.volumes[0].size, SECTORS);
}

#[test]
fn pausing_from_both_sides() {
    let mut p = connected_fresh(9);
    p.n[0].admin(Command::Primary {
        vnr: 0,
        force: true,
    });
    for _ in 0..10_000 {
        if p.n[1].s().conn == Conn::SyncTarget && p.n[0].s().conn == Conn::SyncSource {
            break;
        }
        assert!(p.step());
    }
    assert_eq!(p.n[0].admin(Command::PauseSync(0, true)), Some(101));
    p.settle();
    assert_eq!(p.n[0].s().conn, Conn::PausedSyncS);
    assert_eq!(p.n[1].s().conn, Conn::PausedSyncT);
    assert_eq!(p.n[0].admin(Command::PauseSync(0, true)), Some(134));
    assert_eq!(p.n[1].admin(Command::PauseSync(0, false)), Some(157));
    assert_eq!(p.n[1].admin(Command::PauseSync(0, true)), Some(101));
    assert_eq!(p.n[0].admin(Command::PauseSync(0, false)), Some(101));
    p.settle();
    assert_eq!(p.n[1].s().conn, Conn::PausedSyncT);
    assert_eq!(p.n[1].admin(Command::PauseSync(0, false)), Some(101));
    p.settle();
    assert_eq!(
        p.n[1].show(),
        "Connected Secondary/Primary UpToDate/UpToDate"
    );
    generations_agree(&p);
}

#[test]
fn a_fresh_pair_may_skip_its_initial_sync() {
    for seed in 0..20 {
        let mut p = connected_fresh(seed);
        for n in &mut p.n {
            n.w.bits.entry(0).or_default().extend([1, 2, 3]);
        }
        let command = Command::NewCurrentUuid {
            vnr: 0,
            clear_bitmap: true,
        };
        assert_eq!(p.n[0].admin(command), Some(101));
        p.settle();
        for n in &p.n {
            assert_eq!(n.show(), "Connected Secondary/Secondary UpToDate/UpToDate");
        }
        generations_agree(&p);
        assert_eq!(p.n[0].admin(command), Some(151), "only a fresh pair");
    }
}

#[test]
fn a_state_from_before_the_skipped_sync_does_not_undo_it() {
    for seed in 0..50 {
        let mut p = Pair::fresh(seed, SECTORS);
        assert_eq!(p.n[0].connect(false), 1);
        assert_eq!(p.n[1].connect(false), 1);
        // The peer has yet to say that it is connected, and what its disk is then.
        while p.n[0].s().conn != Conn::Connected && p.step() {}
        let command = Command::NewCurrentUuid {
            vnr: 0,
            clear_bitmap: true,
        };
        let answer = p.n[0].admin(command);
        while p.n[0].r.job_is_running() && p.step() {}
        assert_eq!(answer.or(p.n[0].w.answers.last().copied()), Some(101));
        while p.step() {
            assert_eq!(p.n[0].s().pdsk, Disk::UpToDate, "seed {seed}");
        }
        for n in &p.n {
            assert_eq!(n.show(), "Connected Secondary/Secondary UpToDate/UpToDate");
        }
        generations_agree(&p);
    }
}

#[test]
fn a_command_whose_process_was_killed_is_not_pursued() {
    for seed in 0..20 {
        let force = Command::Primary {
            vnr: 0,
            force: true,
        };
        // It waits for the handshake, and would be carried out behind it.
        let mut p = Pair::fresh(seed, SECTORS);
        assert_eq!(p.n[0].connect(false), 1);
        assert_eq!(p.n[1].connect(false), 1);
        while p.n[0].s().conn != Conn::WFReportParams && p.step() {}
        assert_eq!(p.n[0].admin(force), None);
        p.n[0].feed(Event::AdminGone);
        assert_eq!(p.n[0].w.answers.last(), Some(&129));
        p.settle();
        assert_eq!(p.n[0].w.answers.last(), Some(&129));
        assert_eq!(
            p.n[0].show(),
            "Connected Secondary/Secondary Inconsistent/Inconsistent"
        );

        // The peer has been asked, and agrees: then all that belongs to it is done.
        assert_eq!(p.n[0].admin(force), None);
        p.n[0].feed(Event::AdminGone);
        assert!(p.n[0].r.job_is_running());
        p.settle();
        assert_eq!(p.n[0].w.answers.last(), Some(&1));
        assert_eq!(
            p.n[0].show(),
            "Connected Primary/Secondary UpToDate/UpToDate"
        );
        generations_agree(&p);
    }
}
