// SPDX-License-Identifier: GPL-2.0
//! A resync that has to wait for that of another device (`resync-after`).

extern crate std;

use super::super::*;
use super::traces::connected_fresh;
use crate::state::Conn;

fn wait(on: bool) -> Event {
    Event::MustWait { vnr: 0, wait: on }
}

fn promote(p: &mut super::pair::Pair) {
    p.n[0].admin(Command::Primary {
        vnr: 0,
        force: true,
    });
}

#[test]
fn a_resync_pauses_on_both_nodes_while_one_of_them_has_another_first() {
    let mut p = connected_fresh(11);
    promote(&mut p);
    for _ in 0..10_000 {
        if p.n[1].s().conn == Conn::SyncTarget && p.n[0].s().conn == Conn::SyncSource {
            break;
        }
        assert!(p.step());
    }
    p.n[1].feed(wait(true));
    p.settle();
    assert_eq!(p.n[1].s().conn, Conn::PausedSyncT);
    assert!(p.n[1].s().aftr_isp && !p.n[1].s().peer_isp);
    assert_eq!(p.n[0].s().conn, Conn::PausedSyncS);
    assert!(p.n[0].s().peer_isp && !p.n[0].s().aftr_isp);
    // The administrator cannot end that, and is told why.
    assert_eq!(p.n[1].admin(Command::PauseSync(0, false)), Some(156));
    assert_eq!(p.n[0].admin(Command::PauseSync(0, false)), Some(157));
    p.n[1].feed(wait(false));
    p.settle();
    assert_eq!(
        p.n[1].show(),
        "Connected Secondary/Primary UpToDate/UpToDate"
    );
}

#[test]
fn a_resync_that_begins_while_another_one_runs_begins_paused() {
    let mut p = connected_fresh(12);
    p.n[0].feed(wait(true));
    assert!(p.n[0].s().aftr_isp);
    promote(&mut p);
    p.settle();
    assert_eq!(p.n[0].s().conn, Conn::PausedSyncS);
    assert_eq!(p.n[1].s().conn, Conn::PausedSyncT);
    p.n[0].feed(wait(false));
    p.settle();
    assert_eq!(
        p.n[0].show(),
        "Connected Primary/Secondary UpToDate/UpToDate"
    );
}

#[test]
fn a_volume_that_is_not_in_use_waits_for_nobody() {
    let mut n = super::pair::node::Node::new(1);
    n.add_volume(0);
    n.feed(wait(true));
    assert!(!n.s().aftr_isp);
}
