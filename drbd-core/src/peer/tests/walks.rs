// SPDX-License-Identifier: GPL-2.0
//! Random walks: commands of both administrators, cuts and packets in any order. After each event
//! the invariants of [`super::pair`] hold; when the faults end, the nodes come to rest.

use super::super::*;
use super::pair::Pair;
use crate::state::{Conn, Disk};

fn walk(seed: u64, steps: u32) {
    let mut p = Pair::fresh(seed, 8 * 20);
    for n in &mut p.n {
        n.connect(false);
    }
    for _ in 0..steps {
        match p.rnd(40) {
            0 => p.cut(),
            n @ 1..=9 => {
                let i = p.rnd(2) as usize;
                command(&mut p, i, n);
            }
            _ => {
                p.step();
            }
        }
    }
    // Faults off.
    p.settle();
    for n in &p.n {
        let s = n.s();
        assert!(
            !matches!(
                s.conn,
                Conn::WFReportParams
                    | Conn::WFBitMapS
                    | Conn::WFBitMapT
                    | Conn::WFSyncUUID
                    | Conn::SyncSource
                    | Conn::SyncTarget
                    | Conn::Disconnecting
            ),
            "I47, seed {seed}: {} | {}",
            p.n[0].show(),
            p.n[1].show()
        );
    }
    let (a, b) = (p.n[0].s(), p.n[1].s());
    if a.conn == Conn::Connected && b.conn == Conn::Connected {
        assert_eq!((a.disk, a.role), (b.pdsk, b.peer), "I44, seed {seed}");
        assert_eq!((a.pdsk, a.peer), (b.disk, b.role), "I44, seed {seed}");
        if a.disk == Disk::UpToDate && b.disk == Disk::UpToDate {
            let [x, y] = [0, 1].map(|i| p.n[i].r.volumes[0].uuids().unwrap());
            assert!(crate::uuid::same(x.current, y.current), "I37, seed {seed}");
        }
    }
}

fn command(p: &mut Pair, i: usize, n: u64) {
    let node = &mut p.n[i];
    if node.r.job_is_running() {
        return;
    }
    match n {
        1 => drop(node.admin(Command::Primary {
            vnr: 0,
            force: false,
        })),
        2 => drop(node.admin(Command::Primary {
            vnr: 0,
            force: true,
        })),
        3 | 4 => drop(node.admin(Command::Secondary(0))),
        5 => drop(node.admin(Command::Disconnect { force: false })),
        6 => {
            if node.r.cstate == Conn::StandAlone {
                node.connect(false);
            }
        }
        7 => drop(node.admin(Command::Detach {
            vnr: 0,
            force: false,
        })),
        8 => {
            if node.s().disk == Disk::Diskless {
                node.attach(0, 8 * 20);
            }
        }
        _ => drop(node.admin(Command::Invalidate(0))),
    }
}

#[test]
fn random_walks_come_to_rest() {
    for seed in 0..2000 {
        walk(seed, 400);
    }
}
