// SPDX-License-Identifier: GPL-2.0
//! What goes with a commit, and what follows it, row by row.

use super::std::vec::Vec;
use super::{facts, st};
use crate::meta::MdFlags;
use crate::state::{
    after_actions, after_full_sync_set, announces_out_of_sync, commit_effects, connection_actions,
    flag_sources, lost_contact, peer_goes_at_rest, propose, replicates, AfterEffect, AfterFacts,
    Change, CommitEffect, CommitFacts, Conn, ConnectionEffect, DeviceState, Disk, FullSyncStep,
    Helper, LogEvent, Mode, Row, Summary, Transition,
};

const UP: &str = "Connected P/S UpToDate/UpToDate";

fn step(old: &str, new: &str) -> Transition {
    Transition {
        old: st(old),
        new: st(new),
        warning: None,
    }
}

fn commit(old: &str, new: &str) -> Vec<CommitEffect> {
    let facts = CommitFacts {
        others_report_params: false,
        bitmap_uuid_zero: true,
    };
    commit_effects(&step(old, new), &facts).iter().collect()
}

/// Effects of a commit besides those of every commit.
fn special(old: &str, new: &str) -> Vec<CommitEffect> {
    use CommitEffect as E;
    let usual = [
        E::LogChange,
        E::Store,
        E::WakeWaiters,
        E::RecomputeFlags,
        E::QueueAfterChange,
    ];
    commit(old, new)
        .into_iter()
        .filter(|e| !usual.contains(e))
        .collect()
}

#[test]
fn every_commit_stores_wakes_and_queues() {
    use CommitEffect as E;
    assert_eq!(
        commit(
            "StandAlone S/- Diskless/DUnknown",
            "Unconnected S/- Diskless/DUnknown"
        ),
        [E::LogChange, E::Store, E::WakeWaiters, E::QueueAfterChange]
    );
    assert!(commit(UP, "Connected S/S UpToDate/UpToDate").contains(&E::RecomputeFlags));
}

#[test]
fn special_effects_of_a_commit() {
    use CommitEffect as E;
    let cases: &[(&str, &str, &[E])] = &[
        (UP, "Connected P/S Failed/UpToDate", &[E::HoldDisk]),
        (
            "Connected P/S Failed/UpToDate",
            "Connected P/S Diskless/UpToDate",
            &[E::HoldDisk],
        ),
        (
            "WFBitMapS P/S UpToDate/Consistent",
            "SyncSource P/S UpToDate/Inconsistent",
            &[E::ClearResyncDone, E::CloseEpoch],
        ),
        (
            "NetworkFailure P/- UpToDate/DUnknown",
            "Unconnected P/- UpToDate/DUnknown",
            &[],
        ),
        (
            UP,
            "NetworkFailure P/- UpToDate/DUnknown",
            &[E::HoldCompletions, E::CloseEpoch, E::RestartReceiver],
        ),
        (
            "WFReportParams S/- UpToDate/DUnknown",
            "Connected S/S UpToDate/UpToDate",
            &[
                E::CloseEpoch,
                E::ClearStateSent,
                E::ResumeActivityLog,
                E::CountConnect,
            ],
        ),
        (
            "VerifyS P/S UpToDate/UpToDate",
            "Connected P/S UpToDate/UpToDate",
            &[E::KeepVerifyPosition],
        ),
        (
            "PausedSyncT S/P Inconsistent/UpToDate user_isp",
            "SyncTarget S/P Inconsistent/UpToDate",
            &[E::ResyncGoesOn, E::FireResyncTimer],
        ),
        (
            "PausedSyncS P/S UpToDate/Inconsistent user_isp",
            "SyncSource P/S UpToDate/Inconsistent",
            &[E::ResyncGoesOn],
        ),
        (
            "SyncSource P/S UpToDate/Inconsistent",
            "PausedSyncS P/S UpToDate/Inconsistent user_isp",
            &[E::ResyncPauses],
        ),
        (
            UP,
            "VerifyS P/S UpToDate/UpToDate",
            &[E::BeginVerify, E::FireResyncTimer],
        ),
        (UP, "VerifyT P/S UpToDate/UpToDate", &[E::BeginVerify]),
        (
            "StandAlone S/- Inconsistent/DUnknown",
            "StandAlone P/- UpToDate/DUnknown",
            &[E::ExposeCurrentUuid],
        ),
        (
            "Connected S/S Inconsistent/Inconsistent",
            "Connected S/P Inconsistent/UpToDate",
            &[E::CloseEpoch, E::ConsiderResync],
        ),
        (
            "Unconnected S/- UpToDate/DUnknown",
            "Disconnecting S/- UpToDate/DUnknown",
            &[E::StopReceiver],
        ),
        (
            "Disconnecting S/- UpToDate/DUnknown",
            "StandAlone S/- UpToDate/DUnknown",
            &[E::StopReceiver],
        ),
        (
            "StandAlone S/- Attaching/DUnknown",
            "StandAlone S/- UpToDate/DUnknown",
            &[E::ExposeCurrentUuid, E::NoteAttachTime],
        ),
    ];
    for (old, new, want) in cases {
        assert_eq!(special(old, new), *want, "{old} -> {new}");
    }
}

#[test]
fn the_exchange_ends_with_the_last_volume() {
    let t = step(
        "WFReportParams S/- UpToDate/DUnknown",
        "Connected S/S UpToDate/UpToDate",
    );
    let facts = CommitFacts {
        others_report_params: true,
        bitmap_uuid_zero: true,
    };
    assert!(!commit_effects(&t, &facts).contains(&CommitEffect::ClearStateSent));
}

#[test]
fn completions_are_held_only_for_a_new_generation() {
    let t = step(UP, "NetworkFailure P/- UpToDate/DUnknown");
    let facts = CommitFacts {
        others_report_params: false,
        bitmap_uuid_zero: false,
    };
    assert!(!commit_effects(&t, &facts).contains(&CommitEffect::HoldCompletions));
    let secondary = "NetworkFailure S/- UpToDate/DUnknown";
    assert!(!commit("Connected S/S UpToDate/UpToDate", secondary)
        .contains(&CommitEffect::HoldCompletions));
}

#[test]
fn flags_tell_the_state() {
    let flags = |s: &str, crashed| {
        MdFlags::NONE
            .after_state_change(flag_sources(&st(s), crashed))
            .bits()
    };
    // Values that recorded superblocks show.
    assert_eq!(flags("WFConnection P/- UpToDate/DUnknown", false), 0x13);
    assert_eq!(flags("Connected S/S UpToDate/UpToDate", false), 0x15);
    assert_eq!(flags("Connected P/S UpToDate/UpToDate", false), 0x17);
    assert_eq!(flags("WFBitMapT S/S Outdated/UpToDate", false), 0x05);
    assert_eq!(flags("WFBitMapT S/S Inconsistent/UpToDate", false), 0x04);
    assert_eq!(flags("WFConnection P/- UpToDate/Outdated", false), 0x33);
    assert_eq!(flags("WFBitMapS S/S UpToDate/Inconsistent", true), 0x75);
    assert_eq!(flags("Connected S/P UpToDate/Diskless", false), 0x17);
}

#[test]
fn what_is_replicated() {
    for (s, data, oos) in [
        (UP, true, false),
        ("WFBitMapS P/S UpToDate/Consistent", false, true),
        ("SyncSource P/S UpToDate/Inconsistent", true, false),
        ("WFBitMapT P/S Outdated/UpToDate", true, false),
        ("Ahead P/S UpToDate/Consistent", false, true),
        ("Connected P/S UpToDate/Inconsistent", false, false),
        ("WFConnection P/- UpToDate/DUnknown", false, false),
    ] {
        assert_eq!(
            (replicates(&st(s)), announces_out_of_sync(&st(s))),
            (data, oos),
            "{s}"
        );
    }
}

#[test]
fn contact_is_lost_once() {
    use Disk as D;
    for old in [D::Inconsistent, D::Consistent, D::UpToDate] {
        for new in [D::Diskless, D::Failed, D::DUnknown, D::Outdated] {
            assert!(lost_contact(old, new), "{old} -> {new}");
        }
        for new in [D::Inconsistent, D::Consistent, D::UpToDate] {
            assert!(!lost_contact(old, new), "{old} -> {new}");
        }
    }
    for new in [D::Diskless, D::Failed, D::Outdated] {
        assert!(lost_contact(D::DUnknown, new));
        assert!(!lost_contact(D::Outdated, new));
    }
    assert!(!lost_contact(D::DUnknown, D::Inconsistent));
    assert!(!lost_contact(D::Failed, D::Diskless), "told already");
}

fn after_facts(now: &DeviceState) -> AfterFacts {
    AfterFacts {
        now: *now,
        summary: Summary::of(now.conn, [now]),
        apv: 101,
        bitmap_uuid_zero: true,
        peer_lacks_blocks: false,
        disk_exists: true,
        io_error_helper: false,
        force_detach: false,
        resync_after_negotiation: false,
    }
}

fn after_with(old: &str, new: &str, adjust: impl Fn(&mut AfterFacts)) -> Vec<(Row, AfterEffect)> {
    let (old, new) = (st(old), st(new));
    let mut facts = after_facts(&new);
    adjust(&mut facts);
    let usual = [Row::A1, Row::A3, Row::A27];
    let list = after_actions(&old, &new, &facts);
    assert!(!list.overflowed());
    let rows: Vec<_> = list.iter().map(|a| a.row).collect();
    assert!(rows.windows(2).all(|w| w[0] <= w[1]), "{rows:?}");
    assert!(usual.iter().all(|row| rows.contains(row)));
    list.iter()
        .filter(|a| !usual.contains(&a.row))
        .map(|a| (a.row, a.effect))
        .collect()
}

fn after(old: &str, new: &str) -> Vec<(Row, AfterEffect)> {
    after_with(old, new, |_| {})
}

/// Old state, new state, what follows.
type Case = (&'static str, &'static str, &'static [(Row, AfterEffect)]);

#[test]
fn rows_of_the_after_change_table() {
    use AfterEffect as E;
    use Row as R;
    let cases: &[Case] = &[
        (
            "Connected S/S UpToDate/Consistent",
            "Connected S/S UpToDate/UpToDate",
            &[(R::A2, E::ClearCrashedPrimary)],
        ),
        (
            "WFConnection P/- UpToDate/DUnknown",
            "WFConnection P/- Inconsistent/DUnknown",
            &[(R::A4, E::Help(Helper::PriOnInconDegr))],
        ),
        (
            "WFBitMapS P/S UpToDate/Consistent",
            "SyncSource P/S UpToDate/Inconsistent",
            &[(R::A7, E::SendSyncUuid)],
        ),
        (
            "Connected P/S UpToDate/Diskless",
            "Connected P/S UpToDate/Negotiating",
            &[
                (R::A8, E::ResetResync),
                (R::A8, E::SendUuids),
                (R::A8, E::SendState),
            ],
        ),
        (
            UP,
            "WFBitMapS P/S UpToDate/Consistent",
            &[(R::A9, E::QueueBitmapSend)],
        ),
        (
            UP,
            "NetworkFailure P/- UpToDate/DUnknown",
            &[
                (R::A10, E::NewCurrentUuid),
                (R::A10, E::SendUuids),
                (R::A10, E::NewUuidSettled),
            ],
        ),
        (
            UP,
            "NetworkFailure P/- UpToDate/DUnknown susp_fen",
            &[(R::A10, E::OweNewUuid), (R::A10, E::NewUuidSettled)],
        ),
        (
            "Connected S/S UpToDate/Diskless",
            "Connected S/P UpToDate/Diskless",
            &[(R::A11, E::NewCurrentUuid), (R::A11, E::SendUuids)],
        ),
        (
            "Connected S/P UpToDate/Diskless",
            "Connected S/S UpToDate/Diskless",
            &[(R::A12, E::WriteBitmap)],
        ),
        (
            UP,
            "Connected S/S UpToDate/UpToDate",
            &[(R::A13, E::WriteBitmap)],
        ),
        (
            "SyncSource P/S UpToDate/Inconsistent",
            "SyncSource S/S UpToDate/Inconsistent",
            &[],
        ),
        (
            "Connected S/P Attaching/UpToDate",
            "Connected S/P Negotiating/UpToDate",
            &[
                (R::A14, E::SendSizes),
                (R::A14, E::SendUuids),
                (R::A14, E::SendState),
            ],
        ),
        (
            "SyncSource P/S UpToDate/Inconsistent",
            "PausedSyncS P/S UpToDate/Inconsistent user_isp",
            &[(R::A15, E::SendState), (R::A15b, E::PauseDependents)],
        ),
        (
            "SyncSource P/S UpToDate/Inconsistent",
            "PausedSyncS P/S UpToDate/Inconsistent peer_isp",
            &[(R::A15b, E::PauseDependents)],
        ),
        (
            "PausedSyncS P/S UpToDate/Inconsistent user_isp",
            "SyncSource P/S UpToDate/Inconsistent",
            &[(R::A15, E::SendState), (R::A22, E::ResumeDependents)],
        ),
        (
            "WFReportParams S/- UpToDate/UpToDate",
            "Connected S/S UpToDate/UpToDate",
            &[(R::A16, E::SendState)],
        ),
        (
            UP,
            "Ahead P/S UpToDate/Consistent",
            &[(R::A16b, E::SendState)],
        ),
        (
            UP,
            "StartingSyncS P/S UpToDate/Consistent",
            &[(R::A17, E::QueueSetAllBits)],
        ),
        (
            "Connected S/P UpToDate/UpToDate",
            "StartingSyncT S/P Outdated/UpToDate",
            &[(R::A17, E::QueueSetAllBits)],
        ),
        (
            "Connected S/P UpToDate/UpToDate",
            "Connected S/P Failed/UpToDate",
            &[
                (R::A18, E::SendState),
                (R::A18, E::DropResyncExtents),
                (R::A18, E::SyncMetadata),
                (R::A18, E::ReleaseDisk),
            ],
        ),
        (
            "Connected S/P Failed/UpToDate",
            "Connected S/P Diskless/UpToDate",
            &[(R::A19, E::SendState), (R::A19, E::ReleaseDisk)],
        ),
        (
            "StandAlone S/- Failed/DUnknown",
            "StandAlone S/- Diskless/DUnknown",
            &[(R::A19, E::ReleaseDisk)],
        ),
        (
            UP,
            "Connected P/S Inconsistent/UpToDate",
            &[(R::A20, E::SendState)],
        ),
        (
            "SyncTarget S/P Inconsistent/UpToDate",
            "Connected S/P UpToDate/UpToDate",
            &[
                (R::A2, E::ClearCrashedPrimary),
                (R::A22, E::ResumeDependents),
                (R::A23, E::SendState),
                (R::A25, E::QueueWriteBitmapCopies),
            ],
        ),
        (
            "VerifyS P/S UpToDate/UpToDate",
            UP,
            &[
                (R::A22, E::ResumeDependents),
                (R::A24, E::SendState),
                (R::A25, E::QueueWriteBitmapCopies),
            ],
        ),
        (
            "Unconnected S/- Diskless/DUnknown aftr_isp",
            "StandAlone S/- Diskless/DUnknown",
            &[(R::A26, E::ResumeDependents)],
        ),
    ];
    for (old, new, want) in cases {
        assert_eq!(after(old, new), *want, "{old} -> {new}");
    }
}

#[test]
fn facts_of_the_moment_decide() {
    use AfterEffect as E;
    use Row as R;
    let source = (
        "WFBitMapS P/S UpToDate/Consistent",
        "SyncSource P/S UpToDate/Inconsistent",
    );
    assert_eq!(after_with(source.0, source.1, |f| f.apv = 95), []);
    assert_eq!(
        after_with(UP, "WFBitMapS P/S UpToDate/Consistent", |f| f.now.conn =
            Conn::Connected),
        []
    );
    let lost = "NetworkFailure P/- UpToDate/DUnknown";
    assert_eq!(
        after_with(UP, lost, |f| f.bitmap_uuid_zero = false),
        [(R::A10, E::NewUuidSettled)]
    );
    assert_eq!(
        after_with(UP, lost, |f| f.now.disk = Disk::Failed),
        [(R::A10, E::NewUuidSettled)]
    );
    let refused = "Connected S/S UpToDate/Failed";
    assert_eq!(
        after("Connected S/S UpToDate/UpToDate", refused),
        [],
        "the copies are equal"
    );
    let new_generation = [
        (R::A11, E::NewCurrentUuid),
        (R::A11, E::WriteBitmap),
        (R::A11, E::SendUuids),
    ];
    assert_eq!(
        after_with("Connected S/S UpToDate/UpToDate", refused, |f| f
            .peer_lacks_blocks =
            true),
        new_generation
    );
    let failed = "Connected S/P Failed/UpToDate";
    let up = "Connected S/P UpToDate/UpToDate";
    let list = after_with(up, failed, |f| {
        f.io_error_helper = true;
        f.force_detach = true;
    });
    assert_eq!(
        list[0],
        (R::A18, E::Help(Helper::LocalIoError)),
        "before the peer is told"
    );
    assert_eq!(list[1], (R::A18, E::AbortDiskIo));
    assert_eq!(list[2], (R::A18, E::SendState));
    assert_eq!(
        after_with(up, failed, |f| f.disk_exists = false),
        [(R::A18, E::ReleaseDisk)]
    );
    let verify = "VerifyS P/S UpToDate/UpToDate";
    for (apv, tells) in [(96, false), (97, true), (100, false), (101, true)] {
        let told = after_with(verify, UP, |f| f.apv = apv).contains(&(R::A24, E::SendState));
        assert_eq!(told, tells, "{apv}");
    }
    let grown = after_with("Connected S/P Negotiating/UpToDate", up, |f| {
        f.resync_after_negotiation = true;
    });
    assert!(grown.contains(&(R::A21, E::ClearResyncAfterNegotiation)));
    assert!(grown.contains(&(R::A21, E::ResyncAfterGrow)));
}

#[test]
fn a_generation_is_made_once_in_a_list() {
    // The peer loses its disk and is found Primary by the same packet.
    let list = after(
        "Connected S/S UpToDate/UpToDate",
        "Connected S/P UpToDate/Diskless",
    );
    let made = list
        .iter()
        .filter(|(_, e)| *e == AfterEffect::NewCurrentUuid)
        .count();
    assert_eq!(made, 1, "{list:?}");
}

#[test]
fn frozen_requests_thaw() {
    use AfterEffect as E;
    use Row as R;
    let nod = "WFReportParams P/- Diskless/DUnknown susp_nod";
    let back = "Connected P/S Diskless/UpToDate susp_nod";
    let list = after(nod, back);
    assert_eq!(
        list[..2],
        [
            (R::A5, E::TransferLog(LogEvent::Resend)),
            (R::A5, E::ThawNoData)
        ]
    );
    // Another volume is not connected yet.
    let waits = after_with(nod, back, |f| f.summary.lowest_conn = Conn::WFReportParams);
    assert!(!waits.iter().any(|(row, _)| *row == R::A5));
    // Somebody thawed it meanwhile.
    let thawed = after_with(nod, back, |f| f.now.susp_nod = false);
    assert!(!thawed.iter().any(|(row, _)| *row == R::A5));
    let attached = after(
        "StandAlone P/- Attaching/DUnknown susp_nod",
        "StandAlone P/- UpToDate/DUnknown susp_nod",
    );
    assert_eq!(
        attached[0],
        (R::A5, E::TransferLog(LogEvent::RestartFrozenDiskIo))
    );
    let fenced = after(
        "WFReportParams P/- UpToDate/DUnknown susp_fen",
        "Connected P/S UpToDate/UpToDate susp_fen",
    );
    assert_eq!(
        fenced[1..4],
        [
            (R::A6, E::ForgetOwedUuids),
            (R::A6, E::TransferLog(LogEvent::Resend)),
            (R::A6, E::ThawFencing)
        ]
    );
}

#[test]
fn a_thaw_counts_for_what_follows_in_the_list() {
    // The peer comes back without its disk: thawed first, the UUID is made and not owed.
    let list = after(
        "WFReportParams P/- UpToDate/DUnknown susp_fen",
        "Connected P/S UpToDate/Diskless susp_fen",
    );
    let rows: Vec<_> = list
        .iter()
        .filter(|(row, _)| *row == Row::A10)
        .map(|(_, e)| *e)
        .collect();
    assert_eq!(rows[0], AfterEffect::NewCurrentUuid);
}

#[test]
fn steps_after_all_bits_are_set() {
    let request = |conn| FullSyncStep::Request(Change::conn(conn));
    assert_eq!(
        after_full_sync_set(false, Conn::StartingSyncS),
        request(Conn::Connected)
    );
    assert_eq!(
        after_full_sync_set(true, Conn::StartingSyncT),
        request(Conn::WFSyncUUID)
    );
    assert_eq!(
        after_full_sync_set(true, Conn::StartingSyncS),
        FullSyncStep::StartAsSource
    );
    assert_eq!(
        after_full_sync_set(true, Conn::Connected),
        FullSyncStep::Nothing
    );
}

#[test]
fn what_follows_a_change_of_the_connection() {
    use ConnectionEffect as E;
    let list = |old, s: &str, fen| -> Vec<E> {
        let s = st(s);
        connection_actions(old, &Summary::of(s.conn, [&s]), fen)
            .iter()
            .collect()
    };
    assert_eq!(
        list(Conn::StandAlone, "Unconnected S/- UpToDate/DUnknown", false),
        [E::StartReceiver, E::SyncMetadata]
    );
    assert_eq!(
        list(
            Conn::Disconnecting,
            "StandAlone S/- UpToDate/DUnknown",
            false
        ),
        [E::DropConfiguration, E::SyncMetadata]
    );
    let fenced = "WFConnection P/- UpToDate/Outdated susp_fen";
    assert_eq!(
        list(Conn::WFConnection, fenced, true),
        [
            E::MakeOwedUuids,
            E::TransferLog(LogEvent::ConnectionLostWhilePending),
            E::ThawFencing,
            E::SyncMetadata,
        ]
    );
    assert_eq!(list(Conn::WFConnection, fenced, false), [E::SyncMetadata]);
}

#[test]
fn a_warning_is_logged_before_the_change() {
    let t = propose(
        &facts(),
        &st("SyncTarget S/P Inconsistent/UpToDate"),
        &Change::disk(Disk::Failed),
        Mode::Hard,
    )
    .expect("hard");
    let facts = CommitFacts {
        others_report_params: false,
        bitmap_uuid_zero: true,
    };
    let list: Vec<_> = commit_effects(&t, &facts).iter().collect();
    assert!(matches!(
        list[..2],
        [CommitEffect::LogWarning(_), CommitEffect::LogChange]
    ));
}

#[test]
fn a_peer_goes_at_rest_only_when_nobody_writes_and_the_link_stays() {
    let up = "Connected S/S UpToDate/UpToDate";
    for (old, new, at_rest) in [
        (up, "Connected S/S UpToDate/Failed", true),
        (up, "Connected S/S UpToDate/Diskless", true),
        (up, "NetworkFailure S/- UpToDate/DUnknown", false),
        (up, "Connected S/S UpToDate/Outdated", false),
        (up, "Connected P/S UpToDate/Failed", false),
        (up, "Connected S/P UpToDate/Failed", false),
        (up, "Connected S/S Failed/Failed", false),
        (
            "Connected S/S UpToDate/Failed",
            "Connected S/S UpToDate/Diskless",
            false,
        ),
    ] {
        assert_eq!(
            peer_goes_at_rest(&st(old), &st(new)),
            at_rest,
            "{old} -> {new}"
        );
    }
}
