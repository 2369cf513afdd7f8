// SPDX-License-Identifier: GPL-2.0
//! Two nodes meet: both must come to opposite verdicts and to plans that fit.

use proptest::prelude::*;

use super::super::{
    compare, decide, same, AfterSb, Comparison, Decision, Input, Note, Outcome, Own, Peer, Plan,
    Policies, RefusalReason, Situation, UuidFlags, UuidSet, Verdict, JUST_CREATED, SYNC_UUID_STEP,
};
use crate::state::{Disk, Helper, Role};

/// UUIDs from a small alphabet, so that they meet often; with sync UUIDs made from others.
fn uuid() -> impl Strategy<Value = u64> {
    let base = prop_oneof![
        3 => Just(0_u64),
        1 => Just(JUST_CREATED),
        8 => (1_u64..6).prop_map(|n| n << 8),
    ];
    (base, any::<bool>(), 0..3_u8).prop_map(|(base, odd, step)| match base {
        0 | JUST_CREATED => base,
        _ => base + u64::from(step == 0) * SYNC_UUID_STEP + u64::from(odd),
    })
}

fn set() -> impl Strategy<Value = UuidSet> {
    (uuid(), uuid(), uuid(), uuid()).prop_map(|(current, bitmap, h1, h2)| UuidSet {
        current,
        bitmap,
        history: [h1, h2],
    })
}

#[derive(Clone, Debug)]
struct Side {
    set: UuidSet,
    crashed: bool,
    discard: bool,
    primary: bool,
    disk: Disk,
    changes: u64,
}

fn side() -> impl Strategy<Value = Side> {
    let disk = prop_oneof![
        1 => Just(Disk::Inconsistent),
        1 => Just(Disk::Outdated),
        1 => Just(Disk::Consistent),
        4 => Just(Disk::UpToDate),
    ];
    (
        set(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        disk,
        0..3_u64,
    )
        .prop_map(|(set, crashed, discard, primary, disk, changes)| Side {
            set,
            crashed,
            discard,
            primary,
            disk,
            changes,
        })
}

fn input<'a>(own: &'a Side, peer: &'a Side, apv: u32, feature_4: bool, flag: bool) -> Input<'a> {
    Input {
        own: &own.set,
        peer: &peer.set,
        own_crashed: own.crashed,
        peer_crashed: peer.crashed,
        own_primary: own.primary,
        peer_primary: peer.primary,
        apv,
        feature_4,
        resolve_conflicts: flag,
    }
}

fn meet(a: &Side, b: &Side, apv: u32, feature_4: bool) -> (Comparison, Comparison) {
    (
        compare(&input(a, b, apv, feature_4, true)),
        compare(&input(b, a, apv, feature_4, false)),
    )
}

fn policies() -> impl Strategy<Value = Policies> {
    let policy = |values: &'static [AfterSb]| prop::sample::select(values);
    (
        policy(&AfterSb::ALL[..7]),
        policy(&[
            AfterSb::Disconnect,
            AfterSb::Consensus,
            AfterSb::DiscardSecondary,
            AfterSb::CallHelper,
            AfterSb::Violently,
        ]),
        policy(&[AfterSb::Disconnect, AfterSb::CallHelper, AfterSb::Violently]),
        any::<bool>(),
    )
        .prop_map(
            |(no_primary, one_primary, two_primaries, always_asbp)| Policies {
                no_primary,
                one_primary,
                two_primaries,
                rr_conflict: AfterSb::Violently,
                always_asbp,
            },
        )
}

fn situation(own: &Side, peer: &Side, p: &Policies, flag: bool) -> Situation {
    let flags = |s: &Side| {
        UuidFlags::default()
            .with(UuidFlags::DISCARD_MY_DATA, s.discard)
            .with(UuidFlags::CRASHED_PRIMARY, s.crashed)
    };
    let role = |s: &Side| {
        if s.primary {
            Role::Primary
        } else {
            Role::Secondary
        }
    };
    Situation {
        own: Own {
            uuids: own.set,
            flags: flags(own),
            changes: own.changes,
            role: role(own),
            disk: own.disk,
            attach_disk: own.disk,
        },
        peer: Peer {
            uuids: peer.set,
            flags: flags(peer),
            changes: peer.changes,
            role: role(peer),
            disk: peer.disk,
        },
        apv: 101,
        feature_4: true,
        resolve_conflicts: flag,
        policies: *p,
        dry_run: false,
        can_demote: true,
    }
}

/// The peer's configuration has to agree with this one.
fn mirrored(p: &Policies) -> Policies {
    Policies {
        no_primary: p.no_primary.mirrored(),
        ..*p
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Rules that are mirror images of each other give opposite verdicts. What is left: both
    /// current UUIDs 0; and a protocol version of one block that hides the rule of the other.
    #[test]
    fn verdicts_are_opposite(
        a in side(), b in side(), apv in 86..=101_u32, feature_4: bool,
    ) {
        let (one, other) = meet(&a, &b, apv, feature_4);
        if same(a.set.current, 0) && same(b.set.current, 0) {
            prop_assert_eq!((one.rule, other.rule), (20, 20));
        } else if one.verdict != other.verdict.opposite() {
            // Ambiguous sets: this node is the ancestor by its slots, the peer by its own. Both
            // call themselves target then, by rules 50 to 60: no data of either is trusted.
            let behind = |c: &Comparison| matches!(c.rule, 50 | 51 | 60);
            prop_assert!(behind(&one) && behind(&other), "{one:?} {other:?}");
        }
    }

    /// What one node puts right in its memory of the peer is what the peer puts right itself.
    #[test]
    fn corrections_agree(a in side(), b in side(), apv in 91..=101_u32) {
        let (one, other) = meet(&a, &b, apv, true);
        if one.verdict == other.verdict.opposite() {
            prop_assert!(same_set(&one.own, &other.peer), "{one:?} {other:?}");
            prop_assert!(same_set(&one.peer, &other.own), "{one:?} {other:?}");
        }
    }

    /// Both refuse, or both go on with plans that fit.
    #[test]
    fn plans_fit(a in side(), b in side(), p in policies()) {
        let one = decide(&situation(&a, &b, &p, true));
        let other = decide(&situation(&b, &a, &mirrored(&p), false));
        if one.comparison.verdict != other.comparison.verdict.opposite() {
            return Ok(());
        }
        prop_assert!(!one.notes.overflowed() && !other.notes.overflowed());
        match (one.outcome, other.outcome) {
            (Outcome::Go(plan), Outcome::Go(peers)) => {
                let fits = match plan {
                    Plan::NoSync => Plan::NoSync,
                    Plan::Source { full } => Plan::Target { full },
                    Plan::Target { full } => Plan::Source { full },
                };
                prop_assert_eq!(peers, fits);
            }
            // One node alone may refuse, and the link is dropped all the same: a source without
            // consistent data, a loser that can't be asked to give up its role.
            (Outcome::Refuse(reason), Outcome::Go(_))
            | (Outcome::Go(_), Outcome::Refuse(reason)) => {
                prop_assert_eq!(reason, RefusalReason::SourceInconsistent);
            }
            (Outcome::Refuse(_), Outcome::Refuse(_)) => {}
        }
    }

    /// Nobody who has good data is made the target of Inconsistent data.
    #[test]
    fn inconsistent_data_is_never_the_source(a in side(), b in side(), p in policies()) {
        let d = decide(&situation(&a, &b, &p, true));
        match d.outcome {
            Outcome::Go(Plan::Source { .. }) => prop_assert!(a.disk > Disk::Inconsistent),
            Outcome::Go(Plan::Target { .. }) if a.disk > Disk::Inconsistent => {
                prop_assert!(b.disk > Disk::Inconsistent);
            }
            _ => {}
        }
    }

    /// Bit 0 changes nothing but what the policies for younger and older Primaries see.
    #[test]
    fn bit_0_is_not_identity(a in side(), b in side(), apv in 86..=101_u32, mask in 0..8_u8) {
        let flip = |u: u64, bit: u8| if u > 8 && mask & bit != 0 { u ^ 1 } else { u };
        let other = Side {
            set: UuidSet {
                current: flip(a.set.current, 1),
                bitmap: flip(a.set.bitmap, 2),
                history: [flip(a.set.history[0], 4), a.set.history[1]],
            },
            ..a.clone()
        };
        let (x, y) = (
            compare(&input(&a, &b, apv, true, true)),
            compare(&input(&other, &b, apv, true, true)),
        );
        prop_assert_eq!((x.rule, x.verdict), (y.rule, y.verdict));
    }
}

fn same_set(a: &UuidSet, b: &UuidSet) -> bool {
    same(a.current, b.current)
        && same(a.bitmap, b.bitmap)
        && same(a.history[0], b.history[0])
        && same(a.history[1], b.history[1])
}

/// A split brain of two nodes that differ in nothing.
fn split() -> (Side, Side) {
    let side = |current| Side {
        set: UuidSet {
            current,
            bitmap: 0x900,
            history: [0x700, 0x600],
        },
        crashed: false,
        discard: false,
        primary: false,
        disk: Disk::UpToDate,
        changes: 5,
    };
    (side(0xa00), side(0xb00))
}

/// Before a resync: equal copies, or the target at some generation of the source.
fn before_resync() -> [(UuidSet, u64); 4] {
    let at_rest = UuidSet {
        current: 0xa00,
        bitmap: 0,
        history: [0x700, 0x600],
    };
    let mut parted = at_rest;
    let _ = parted.new_current(0xb00, true);
    [
        (at_rest, 0xa00),
        (parted, 0xa00),
        (parted, 0x700),
        (parted, 0x600),
    ]
}

/// A source has gone on alone without having seen the end of its resync. A target that is not done
/// is told from the bitmap, one that is done is not forgotten, and one that went on, too, is a
/// split brain. The rules are those of the C driver, whichever of the two it is.
#[test]
fn a_source_that_went_on_alone_meets_its_target() {
    use Verdict as V;
    let side = |set| Side { set, ..split().0 };
    for apv in [91, 95, 96, 101] {
        for (before, peer) in before_resync() {
            let mut source = before;
            let unaware = UuidSet {
                current: peer,
                bitmap: 0,
                history: [0x500, 0x400],
            };
            let mut target = unaware;
            let sync_uuid = source.begin_as_source(source.fresh_sync_uuid(5 << 50), peer);
            target.begin_as_target(sync_uuid, false);
            let mut done = target;
            done.finish_as_target(&before, false);
            let mut further = done;
            let _ = further.new_current(0xc00, true);
            assert!(source.target_may_be_done());
            source.leave_target(0xd00, true);
            let behind = before.history.contains(&peer);
            for (peer, verdicts) in [
                (target, [V::SourceByBitmap, V::SourceFull]),
                (done, [V::SourceFull, V::SourceByBitmap]),
                (further, [V::OldSplitBrain, V::SplitBrain]),
                (unaware, [V::SourceFull, V::SourceFull]),
            ] {
                let (one, other) = meet(&side(source), &side(peer), apv, false);
                let expected = verdicts[usize::from(behind)];
                assert_eq!(one.verdict, expected, "{apv} {before:?} {one:?}");
                assert_eq!(other.verdict, expected.opposite());
            }
        }
    }
}

fn notes_of(d: &Decision) -> super::std::vec::Vec<Note> {
    d.notes.iter().collect()
}

#[test]
fn a_primary_that_loses_is_demoted_if_it_can_be() {
    let (mut a, b) = split();
    a.primary = true;
    let p = Policies {
        no_primary: AfterSb::DiscardLocal,
        one_primary: AfterSb::CallHelper,
        ..Policies::default()
    };
    let mut s = situation(&a, &b, &p, true);
    // Demoted, it is no Primary any more that would become target.
    let d = decide(&s);
    assert_eq!(d.outcome, Outcome::Go(Plan::Target { full: false }));
    assert!(notes_of(&d).contains(&Note::Demote));
    s.can_demote = false;
    let d = decide(&s);
    assert_eq!(d.outcome, Outcome::Refuse(RefusalReason::SplitBrain));
    assert_eq!(
        notes_of(&d),
        [
            Note::Help(Helper::InitialSplitBrain),
            Note::Help(Helper::PriLostAfterSb),
            Note::Unsolved,
            Note::Help(Helper::SplitBrain),
        ]
    );
}

#[test]
fn a_policy_for_other_roles_is_no_decision() {
    let (a, b) = split();
    let p = Policies {
        no_primary: AfterSb::Violently,
        ..Policies::default()
    };
    let d = decide(&situation(&a, &b, &p, true));
    assert_eq!(d.outcome, Outcome::Refuse(RefusalReason::SplitBrain));
    assert!(notes_of(&d).contains(&Note::PolicyMisfit));
}

#[test]
fn a_primary_becomes_target_only_violently_or_without_good_data() {
    let (mut a, b) = split();
    a.primary = true;
    let ahead = Side {
        set: UuidSet {
            bitmap: a.set.current,
            ..b.set
        },
        ..b.clone()
    };
    let with = |rr_conflict, disk, attach_disk| {
        let mut s = situation(
            &a,
            &ahead,
            &Policies {
                rr_conflict,
                ..Policies::default()
            },
            true,
        );
        s.own.disk = disk;
        s.own.attach_disk = attach_disk;
        decide(&s)
    };
    let refused = Outcome::Refuse(RefusalReason::TargetPrimary);
    let goes = Outcome::Go(Plan::Target { full: false });
    let up = Disk::UpToDate;
    for disk in [Disk::UpToDate, Disk::Consistent] {
        assert_eq!(with(AfterSb::Disconnect, disk, up).outcome, refused);
        let d = with(AfterSb::CallHelper, disk, up);
        assert_eq!(d.outcome, refused);
        assert_eq!(
            notes_of(&d),
            [Note::Help(Helper::PriLost), Note::TargetPrimary]
        );
        assert_eq!(with(AfterSb::Violently, disk, up).outcome, goes);
    }
    // While its disk is Negotiating nobody reads from it, whatever it will be.
    assert_eq!(
        with(AfterSb::Disconnect, Disk::Negotiating, up).outcome,
        goes
    );
    assert_eq!(with(AfterSb::Disconnect, Disk::Outdated, up).outcome, goes);
}

#[test]
fn an_old_split_brain_is_solved_by_hand_or_by_always_asbp() {
    let (mut a, mut b) = split();
    a.set.bitmap = 0x800;
    b.set.bitmap = 0x880;
    let p = Policies {
        no_primary: AfterSb::DiscardRemote,
        ..Policies::default()
    };
    let d = decide(&situation(&a, &b, &p, true));
    assert_eq!(d.comparison.verdict, Verdict::OldSplitBrain);
    assert_eq!(d.outcome, Outcome::Refuse(RefusalReason::SplitBrain));
    let always = Policies {
        always_asbp: true,
        ..p
    };
    let d = decide(&situation(&a, &b, &always, true));
    assert_eq!(d.outcome, Outcome::Go(Plan::Source { full: true }));
    b.discard = true;
    let d = decide(&situation(&a, &b, &p, true));
    assert_eq!(
        d.outcome,
        Outcome::Go(Plan::Source { full: false }),
        "as the C driver does"
    );
}

#[test]
fn a_dry_run_ends_in_its_result() {
    let (a, b) = split();
    let p = Policies {
        no_primary: AfterSb::DiscardLocal,
        ..Policies::default()
    };
    let s = Situation {
        dry_run: true,
        ..situation(&a, &b, &p, true)
    };
    let d = decide(&s);
    assert_eq!(d.outcome, Outcome::Refuse(RefusalReason::DryRun));
    assert!(notes_of(&d).contains(&Note::WouldBe(Plan::Target { full: false })));
}
