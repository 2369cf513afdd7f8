// SPDX-License-Identifier: GPL-2.0
//! The whole transition relation: every state a volume can rest in, every change of a field,
//! under several configurations.
//!
//! Each outcome has to be that of [`super::sheet`], and each accepted change has to keep the
//! invariants. Which effects follow is held by one hash: a rule that changes shows there, even if
//! no invariant breaks; the rows themselves have their tests in [`super::effects`].

use super::sheet::{verdict, Row};
use super::std::vec::Vec;
use super::{facts, st};
use crate::state::{
    after_actions, check_state, commit_effects, propose, sanitise, twonode, AfterEffect,
    AfterFacts, Change, CommitEffect, CommitFacts, Conn, DeviceState, Disk, Facts, Fencing, Mode,
    Negotiating, OnNoData, Refusal, Role, Summary, Transition,
};

/// Own disks; DUnknown is for the peer's only.
fn own_disks() -> impl Iterator<Item = Disk> {
    Disk::ALL.iter().copied().filter(|d| *d != Disk::DUnknown)
}

/// All states of a volume that the adjustment leaves alone, with a few sets of flags.
fn resting_states(f: &Facts) -> Vec<DeviceState> {
    let flags = |s: &DeviceState, n: u8| DeviceState {
        user_isp: n == 1,
        peer_isp: n == 2,
        susp_fen: n == 3,
        susp_nod: n == 3,
        ..*s
    };
    let mut list = Vec::new();
    for role in [Role::Primary, Role::Secondary] {
        for peer in Role::ALL {
            for conn in Conn::ALL {
                for disk in own_disks() {
                    for pdsk in Disk::ALL {
                        for n in 0..4 {
                            let s = flags(
                                &DeviceState {
                                    role,
                                    peer: *peer,
                                    conn: *conn,
                                    disk,
                                    pdsk: *pdsk,
                                    ..DeviceState::NEW
                                },
                                n,
                            );
                            if sanitise(f, &s, s).0 == s {
                                list.push(s);
                            }
                        }
                    }
                }
            }
        }
    }
    list
}

/// Every change of one field, and those of two that the procedures ask for.
fn changes() -> Vec<Change> {
    let mut list = Vec::new();
    list.extend([Role::Primary, Role::Secondary].map(Change::role));
    list.extend(Role::ALL.iter().map(|r| Change {
        peer: Some(*r),
        ..Change::NONE
    }));
    list.extend(Conn::ALL.iter().map(|c| Change::conn(*c)));
    list.extend(own_disks().map(Change::disk));
    list.extend(Disk::ALL.iter().map(|d| Change::pdsk(*d)));
    for on in [false, true] {
        list.push(Change {
            susp: Some(on),
            ..Change::NONE
        });
        list.push(Change {
            aftr_isp: Some(on),
            ..Change::NONE
        });
        list.push(Change {
            peer_isp: Some(on),
            ..Change::NONE
        });
        list.push(Change {
            user_isp: Some(on),
            ..Change::NONE
        });
        list.push(Change {
            susp_nod: Some(on),
            ..Change::NONE
        });
        list.push(Change {
            susp_fen: Some(on),
            ..Change::NONE
        });
    }
    list.push(Change::conn(Conn::Disconnecting).and_disk(Disk::Outdated));
    list.push(Change::conn(Conn::Disconnecting).and_pdsk(Disk::Outdated));
    list.push(Change::role(Role::Primary).and_disk(Disk::UpToDate));
    list.push(Change::role(Role::Primary).and_pdsk(Disk::Outdated));
    list.push(Change::conn(Conn::SyncTarget).and_disk(Disk::Inconsistent));
    list.push(Change::conn(Conn::SyncSource).and_pdsk(Disk::Inconsistent));
    list.push(
        Change::conn(Conn::Connected)
            .and_disk(Disk::UpToDate)
            .and_pdsk(Disk::UpToDate),
    );
    list
}

/// 64-bit FNV-1a over the outcomes.
struct Hash(u64);

impl Hash {
    fn add(&mut self, word: u32) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

fn configurations() -> [(&'static str, Facts); 6] {
    let f = facts();
    let attach = Negotiating {
        disk: Disk::UpToDate,
        pdsk: Disk::Outdated,
        exposes_current: true,
    };
    [
        ("plain", f),
        ("unconfigured", Facts::NONE),
        (
            "two primaries, open, no verify-alg",
            Facts {
                two_primaries: true,
                open: true,
                verify_alg: false,
                ..f
            },
        ),
        (
            "stonith, suspend-io",
            Facts {
                fencing: Fencing::ResourceAndStonith,
                on_no_data: OnNoData::SuspendIo,
                ..f
            },
        ),
        (
            "resource-only, other volume primary, old peer",
            Facts {
                fencing: Fencing::ResourceOnly,
                highest_peer: Role::Primary,
                apv: 86,
                ..f
            },
        ),
        (
            "exchanging parameters, attaching",
            Facts {
                state_sent: true,
                negotiating: Some(attach),
                ..f
            },
        ),
    ]
}

/// What must hold for every accepted change.
fn check(f: &Facts, change: &Change, t: &Transition, mode: Mode) {
    let (old, new) = (&t.old, &t.new);
    let at = || super::std::format!("{old} -> {new} {mode:?} {f:?}");

    // Nothing is known of a peer that is not connected, but that its disk was bad.
    if new.conn < Conn::Connected {
        assert_eq!((new.peer, new.peer_isp), (Role::Unknown, false), "{}", at());
        let known = matches!(
            new.pdsk,
            Disk::Inconsistent | Disk::Outdated | Disk::DUnknown
        );
        assert!(known, "{}", at());
    }
    assert_ne!(new.disk, Disk::DUnknown, "{}", at());
    if new.conn > Conn::Connected {
        assert!(
            new.disk > Disk::Failed && new.pdsk > Disk::Failed,
            "{}",
            at()
        );
    }
    match new.conn {
        Conn::SyncSource | Conn::SyncTarget => assert!(!new.is_paused(), "{}", at()),
        Conn::PausedSyncS | Conn::PausedSyncT => assert!(new.is_paused(), "{}", at()),
        _ => {}
    }
    // The adjustment has nothing more to do. Two cases are left as the C driver leaves them: a
    // paused resync that goes on keeps its disks; negotiation without a link ends with the next
    // change. Neither is ever asked for in such a state.
    let paused = |c| matches!(c, Conn::PausedSyncS | Conn::PausedSyncT);
    let goes_on = (paused(old.conn) || change.conn.is_some_and(paused)) && !new.is_paused();
    let negotiates = new.disk == Disk::Negotiating && new.conn < Conn::Connected;
    if !goes_on && !negotiates {
        assert_eq!(sanitise(f, new, *new).0, *new, "{}", at());
    }
    // Paths of the connection.
    if old.conn != new.conn {
        match old.conn {
            c if c.is_lost_link() => assert!(
                matches!(new.conn, Conn::Unconnected | Conn::Disconnecting),
                "{}",
                at()
            ),
            Conn::Disconnecting => assert_eq!(new.conn, Conn::StandAlone, "{}", at()),
            Conn::StandAlone => assert_eq!(new.conn, Conn::Unconnected, "{}", at()),
            c if c < Conn::WFReportParams => assert!(new.conn < Conn::Connected, "{}", at()),
            _ => {}
        }
    }
    if mode == Mode::Soft {
        let fencing = f.fencing_of(old.disk);
        let (before, after) = (check_state(f, fencing, old), check_state(f, fencing, new));
        assert!(after.is_ok() || after == before, "{}", at());
        let single = f.net_config && !f.two_primaries && before.is_ok();
        let both = new.role == Role::Primary && new.peer == Role::Primary;
        assert!(!(single && both), "{}", at());
    }
    if twonode::needs_consent(old, new) {
        assert!(old.conn >= Conn::Connected, "{}", at());
    }
}

/// All effects of a commit but the logged warnings.
const COMMIT_EFFECTS: [CommitEffect; 22] = {
    use CommitEffect as E;
    [
        E::LogChange,
        E::HoldDisk,
        E::ClearResyncDone,
        E::Store,
        E::HoldCompletions,
        E::CloseEpoch,
        E::ClearStateSent,
        E::WakeWaiters,
        E::KeepVerifyPosition,
        E::ResyncGoesOn,
        E::ResyncPauses,
        E::BeginVerify,
        E::FireResyncTimer,
        E::RecomputeFlags,
        E::ExposeCurrentUuid,
        E::ConsiderResync,
        E::StopReceiver,
        E::RestartReceiver,
        E::ResumeActivityLog,
        E::CountConnect,
        E::NoteAttachTime,
        E::QueueAfterChange,
    ]
};

/// Effects come in order, fit in their lists, and every hold is released. Which effects and which
/// rows there are goes into the hash.
fn check_effects(t: &Transition, hash: &mut Hash) {
    let (old, new) = (&t.old, &t.new);
    let commit = commit_effects(
        t,
        &CommitFacts {
            others_report_params: false,
            bitmap_uuid_zero: true,
        },
    );
    assert!(!commit.overflowed());
    let commit: Vec<_> = commit.iter().collect();
    // One timer may fire from two lines of the table, at one place.
    assert!(
        commit.windows(2).all(|w| w[0] < w[1]),
        "{old} -> {new}: {commit:?}"
    );
    let after = after_actions(
        old,
        new,
        &AfterFacts {
            now: *new,
            summary: Summary::of(new.conn, [new]),
            apv: 101,
            bitmap_uuid_zero: true,
            peer_lacks_blocks: false,
            disk_exists: true,
            io_error_helper: true,
            force_detach: true,
            resync_after_negotiation: true,
        },
    );
    assert!(!after.overflowed());
    let after: Vec<_> = after.iter().collect();
    assert!(
        after.windows(2).all(|w| w[0].row <= w[1].row),
        "{old} -> {new}: {after:?}"
    );
    let bits = |n: usize| 1_u32 << n;
    hash.add(COMMIT_EFFECTS.iter().enumerate().fold(0, |sum, (n, e)| {
        if commit.contains(e) {
            sum | bits(n)
        } else {
            sum
        }
    }));
    hash.add(after.iter().fold(0, |sum, a| sum | bits(a.row as usize)));
    hash.add(u32::try_from(after.len()).unwrap_or(u32::MAX));
    let place = |effect| after.iter().position(|a| a.effect == effect);
    let count = |effect| after.iter().filter(|a| a.effect == effect).count();

    let held = usize::from(commit.contains(&CommitEffect::HoldDisk));
    assert_eq!(held, count(AfterEffect::ReleaseDisk), "{old} -> {new}");
    if commit.contains(&CommitEffect::HoldCompletions) {
        let settled = place(AfterEffect::NewUuidSettled);
        assert!(settled.is_some(), "{old} -> {new}");
        let made = place(AfterEffect::NewCurrentUuid).or(place(AfterEffect::OweNewUuid));
        assert!(
            made.is_some() && made < settled,
            "{old} -> {new}: {after:?}"
        );
    }
    assert!(count(AfterEffect::NewCurrentUuid) <= 1, "{old} -> {new}");
    // The sync UUID goes out before any state does.
    if let (Some(uuid), Some(state)) = (
        place(AfterEffect::SendSyncUuid),
        place(AfterEffect::SendState),
    ) {
        assert!(uuid < state, "{old} -> {new}");
    }
}

/// Plays all of `f`: the table gives the same answer, and what is accepted keeps the invariants.
/// Returns the hash of the effects, for one of the configurations.
fn play(name: &str, f: &Facts, effects: bool) -> u64 {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    let changes = changes();
    for old in resting_states(f) {
        for change in &changes {
            for mode in [Mode::Soft, Mode::Hard] {
                let got = propose(f, &old, change, mode);
                let short = got.map(|t| Row::from(&t.new)).map_err(Refusal::code);
                let want = verdict(f, &old, change, mode);
                assert_eq!(short, want, "{name}: {old} {change:?} {mode:?}");
                if let Ok(t) = got {
                    if !t.is_noop() {
                        check(f, change, &t, mode);
                        // What is soft is hard as well, with the same effects; and those don't
                        // look at the facts.
                        if effects && mode == Mode::Hard {
                            check_effects(&t, &mut hash);
                        }
                    }
                }
            }
        }
    }
    hash.0
}

#[test]
fn every_transition_is_what_the_table_says() {
    for (name, f) in configurations() {
        play(name, &f, false);
    }
}

#[test]
fn effects_of_every_transition_stay_what_they_are() {
    let (name, f) = configurations()[3];
    let hash = play(name, &f, true);
    assert_eq!(
        hash, 0x0777427ae3db5751,
        "effects have changed; is that what was meant?"
    );
}

#[test]
fn every_refusal_occurs() {
    let others = [
        // Only the procedures of two nodes give these.
        Refusal::Unknown,
        Refusal::CwFailedByPeer,
        Refusal::ConcurrentStChg,
        // The adjustment or an earlier rule gets there first, in the C driver as well.
        Refusal::NoRemoteDisk,
        Refusal::NoLocalDisk,
        Refusal::NoNetConfig,
    ];
    let mut seen = Vec::new();
    for (_, f) in configurations() {
        for old in resting_states(&f) {
            for change in changes() {
                if let Err(refusal) = propose(&f, &old, &change, Mode::Soft) {
                    if !seen.contains(&refusal) {
                        seen.push(refusal);
                    }
                }
            }
        }
    }
    for refusal in Refusal::ALL {
        assert_eq!(
            seen.contains(refusal),
            !others.contains(refusal),
            "{refusal:?}"
        );
    }
}

#[test]
fn a_link_can_always_be_given_up() {
    // Whatever the state, a lost link and a forced disconnect go through to StandAlone.
    for (name, f) in configurations() {
        for old in resting_states(&f) {
            if old.conn >= Conn::WFReportParams {
                let lost = propose(&f, &old, &Change::conn(Conn::NetworkFailure), Mode::Hard);
                let t = lost.unwrap_or_else(|r| panic!("{name}: {old} {r:?}"));
                let again = propose(&f, &t.new, &Change::conn(Conn::Unconnected), Mode::Hard);
                assert!(again.is_ok(), "{name}: {old}");
            }
            if old.conn != Conn::StandAlone && old.conn != Conn::Disconnecting {
                let t = propose(&f, &old, &Change::conn(Conn::Disconnecting), Mode::Hard)
                    .unwrap_or_else(|r| panic!("{name}: {old} {r:?}"));
                let alone = propose(&f, &t.new, &Change::conn(Conn::StandAlone), Mode::Hard);
                assert!(alone.is_ok(), "{name}: {old}");
            }
        }
    }
}

#[test]
fn a_frozen_primary_stays_frozen_until_told() {
    // Stonith: from the loss of the link on, nothing but the flag's own change thaws.
    let f = Facts {
        fencing: Fencing::ResourceAndStonith,
        ..facts()
    };
    let frozen = st("NetworkFailure P/- UpToDate/DUnknown susp_fen");
    for change in changes() {
        for mode in [Mode::Soft, Mode::Hard] {
            if let Ok(t) = propose(&f, &frozen, &change, mode) {
                assert_eq!(t.new.susp_fen, change.susp_fen != Some(false), "{change:?}");
            }
        }
    }
}
