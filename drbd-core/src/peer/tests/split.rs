// SPDX-License-Identifier: GPL-2.0
//! Split brains from the moment the copies part to the moment they are equal again, or stay
//! parted: every policy for no, one and two Primaries, with every `rr-conflict`, over two machines.
//!
//! The single verdicts are those of the C driver (`drbd-core/tests/handshake.rs`). Here it is
//! looked at what two nodes make of them together: the loser's changes are gone, the winner's are
//! on both, or nobody's data has changed.

extern crate std;

use super::super::*;
use super::pair::data::Block;
use super::pair::Pair;
use crate::state::{Conn, Disk, Role};
use crate::uuid::{AfterSb, Policies};
use std::vec;
use std::vec::Vec;

const SECTORS: u64 = 8 * 16;

/// The nodes' roles when they meet again.
const ROLES: [[Role; 2]; 4] = [
    [Role::Secondary, Role::Secondary],
    [Role::Primary, Role::Secondary],
    [Role::Secondary, Role::Primary],
    [Role::Primary, Role::Primary],
];

const ONE_PRIMARY: [AfterSb; 5] = [
    AfterSb::Disconnect,
    AfterSb::Consensus,
    AfterSb::DiscardSecondary,
    AfterSb::CallHelper,
    AfterSb::Violently,
];

const TWO_PRIMARIES: [AfterSb; 3] = [AfterSb::Disconnect, AfterSb::CallHelper, AfterSb::Violently];

const RR_CONFLICT: [AfterSb; 3] = TWO_PRIMARIES;

/// What comes of a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    /// The node whose data both have then; `None`: they stay parted.
    winner: Option<usize>,
    /// Handlers on each node, beside `initial-split-brain` which both call.
    handlers: [Vec<&'static str>; 2],
}

/// Node 0 was Primary when the copies parted and has changed three blocks; node 1 was promoted
/// later and has changed one.
fn without_primary(policy: AfterSb) -> Option<usize> {
    match policy {
        AfterSb::DiscardYoungerPrimary | AfterSb::DiscardLeastChanges => Some(0),
        AfterSb::DiscardOlderPrimary => Some(1),
        // As node 0 has it configured; node 1 has the counterpart.
        AfterSb::DiscardLocal => Some(1),
        AfterSb::DiscardRemote => Some(0),
        _ => None,
    }
}

/// What docs/states.md says comes of it.
fn expected(roles: [Role; 2], p: &Policies) -> End {
    let stay = |mine: &[&'static str], at: usize| {
        let mut handlers = [vec![], vec![]];
        handlers[at] = mine.to_vec();
        End {
            winner: None,
            handlers,
        }
    };
    let unsolved = End {
        winner: None,
        handlers: [vec!["split-brain"], vec!["split-brain"]],
    };
    let goes = |winner| End {
        winner: Some(winner),
        handlers: [vec![], vec![]],
    };
    let by_none = without_primary(p.no_primary);
    let primary = match roles {
        [Role::Secondary, Role::Secondary] => return by_none.map_or(unsolved, goes),
        // Two Primaries are refused whatever the policy says, and handlers depend on who hears
        // of the other first.
        [Role::Primary, Role::Primary] => return unsolved,
        [Role::Primary, _] => 0,
        _ => 1,
    };
    match (p.one_primary, by_none) {
        (AfterSb::DiscardSecondary, _) => goes(primary),
        (AfterSb::Consensus | AfterSb::CallHelper | AfterSb::Violently, Some(w))
            if w == primary =>
        {
            goes(w)
        }
        (AfterSb::CallHelper, Some(_)) => {
            // The Secondary sees a solution, the Primary cannot be demoted while connecting.
            stay(&["pri-lost-after-sb", "split-brain"], primary)
        }
        (AfterSb::Violently, Some(w)) => match p.rr_conflict {
            AfterSb::Violently => goes(w),
            AfterSb::CallHelper => stay(&["pri-lost"], primary),
            _ => stay(&[], primary),
        },
        _ => unsolved,
    }
}

/// Both nodes alone, each with changes of its own.
fn parted(seed: u64, roles: [Role; 2], p: &Policies) -> Pair {
    let mut pair = Pair::fresh(seed, SECTORS);
    pair.n[0].policies = *p;
    pair.n[1].policies = Policies {
        no_primary: p.no_primary.mirrored(),
        ..*p
    };
    connect(&mut pair);
    promote(&mut pair, 0, true);
    pair.settle();
    for n in &mut pair.n {
        n.admin(Command::Disconnect { force: true });
    }
    pair.settle();
    promote(&mut pair, 1, false);
    for nr in [1, 2, 3] {
        pair.write(0, Block { vnr: 0, nr }, false);
    }
    pair.write(1, Block { vnr: 0, nr: 4 }, false);
    for (i, role) in roles.into_iter().enumerate() {
        if role == Role::Secondary {
            assert_eq!(pair.n[i].admin(Command::Secondary(0)), Some(1));
        }
        pair.n[i].w.helped.clear();
    }
    pair
}

fn connect(pair: &mut Pair) {
    for n in &mut pair.n {
        assert_eq!(n.connect(false), 1);
    }
    pair.settle();
}

fn promote(pair: &mut Pair, i: usize, force: bool) {
    pair.n[i].admin(Command::Primary { vnr: 0, force });
    pair.settle();
    assert_eq!(pair.n[i].s().role, Role::Primary);
}

fn blocks(pair: &Pair, i: usize) -> Vec<u64> {
    let version = |nr| pair.n[i].store.version(Block { vnr: 0, nr });
    (0..SECTORS / 8).map(version).collect()
}

fn all_policies() -> Vec<Policies> {
    let mut all = Vec::new();
    for no_primary in &AfterSb::ALL[..7] {
        for one_primary in ONE_PRIMARY {
            for two_primaries in TWO_PRIMARIES {
                for rr_conflict in RR_CONFLICT {
                    all.push(Policies {
                        no_primary: *no_primary,
                        one_primary,
                        two_primaries,
                        rr_conflict,
                        always_asbp: false,
                    });
                }
            }
        }
    }
    all
}

/// The end that was reached, with the data looked at.
fn reached(pair: &Pair, before: &[Vec<u64>; 2], what: &str) -> End {
    let handlers = [0, 1].map(|i: usize| {
        let helped = &pair.n[i].w.helped;
        helped
            .iter()
            .copied()
            .filter(|name| *name != "initial-split-brain")
            .collect()
    });
    let after = [blocks(pair, 0), blocks(pair, 1)];
    let connected = pair.n.iter().filter(|n| n.s().conn == Conn::Connected);
    let winner = match connected.count() {
        0 => {
            assert_eq!(after, *before, "{what}: nobody's data changes");
            let alone = pair.n.iter().any(|n| n.s().conn == Conn::StandAlone);
            assert!(alone, "{what}: no endless attempts");
            None
        }
        2 => {
            assert_eq!(after[0], after[1], "{what}");
            pair.check_rest();
            for n in &pair.n {
                assert_eq!((n.s().disk, n.s().pdsk), (Disk::UpToDate, Disk::UpToDate));
                assert!(n.w.bits[&0].is_empty(), "{what}");
            }
            before.iter().position(|b| *b == after[0])
        }
        _ => panic!("{what}: {} | {}", pair.n[0].show(), pair.n[1].show()),
    };
    End { winner, handlers }
}

#[test]
fn every_policy_with_every_role() {
    for (seed, p) in (1..).zip(all_policies()) {
        for roles in ROLES {
            let what = std::format!("{roles:?} {p:?}");
            let mut pair = parted(seed, roles, &p);
            let before = [blocks(&pair, 0), blocks(&pair, 1)];
            connect(&mut pair);
            let end = reached(&pair, &before, &what);
            let want = expected(roles, &p);
            if roles == [Role::Primary, Role::Primary] {
                assert_eq!(end.winner, None, "{what}");
                continue;
            }
            assert_eq!(end.winner, want.winner, "{what}");
            // A node whose link breaks before it has heard of the other's state calls nobody.
            for (got, want) in end.handlers.iter().zip(&want.handlers) {
                assert!(got.is_empty() || got == want, "{what}: {end:?} {want:?}");
            }
            let called = end.handlers.iter().any(|list| !list.is_empty());
            let due = want.handlers.iter().any(|list| !list.is_empty());
            assert!(called || !due, "{what}");
        }
    }
}

/// The documented way out: the loser is Secondary and discards its data, the other one connects.
#[test]
fn what_no_policy_solves_is_solved_by_hand() {
    for (seed, p) in (1..).zip(all_policies()) {
        for (roles, loser) in [(ROLES[0], 0), (ROLES[0], 1), (ROLES[1], 1), (ROLES[2], 0)] {
            let what = std::format!("{roles:?} {p:?} loser {loser}");
            let unsolved = expected(roles, &p);
            if unsolved.handlers.iter().any(|h| h != &["split-brain"]) {
                continue;
            }
            let mut pair = parted(seed, roles, &p);
            connect(&mut pair);
            for n in &mut pair.n {
                n.admin(Command::Disconnect { force: true });
                n.w.helped.clear();
            }
            pair.settle();
            let before = [blocks(&pair, 0), blocks(&pair, 1)];
            assert_eq!(pair.n[loser].connect(true), 1);
            assert_eq!(pair.n[1 - loser].connect(false), 1);
            pair.settle();
            let end = reached(&pair, &before, &what);
            assert_eq!(end.winner, Some(1 - loser), "{what}");
        }
    }
}
