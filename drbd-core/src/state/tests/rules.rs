// SPDX-License-Identifier: GPL-2.0
//! Every rule by name: adjustment, impossible steps, illegal states, steps that must wait.

use super::std::format;
use super::{facts, st};
use crate::state::{
    check_conn_step, check_soft_step, check_state, check_step, propose, sanitise, Change, Conn,
    DeviceState, Disk, Facts, Fencing, Mode, Negotiating, OnNoData, Refusal, Role, Success,
    Warning,
};

const UP: &str = "Connected S/S UpToDate/UpToDate";

/// Adjusts `old` with `change`, and compares.
fn adjusts(f: &Facts, old: &str, change: Change, new: &str, warning: Option<Warning>) {
    let old = st(old);
    assert_eq!(
        sanitise(f, &old, old.with(&change)),
        (st(new), warning),
        "{old} {change:?}"
    );
}

#[test]
fn a_lost_link_forgets_the_peer_but_not_its_bad_disk() {
    let f = facts();
    let lost = Change::conn(Conn::NetworkFailure);
    for (pdsk, left) in [
        ("UpToDate", "DUnknown"),
        ("Consistent", "DUnknown"),
        ("Diskless", "DUnknown"),
        ("Failed", "DUnknown"),
        ("Inconsistent", "Inconsistent"),
        ("Outdated", "Outdated"),
    ] {
        adjusts(
            &f,
            &format!("Connected P/S UpToDate/{pdsk} peer_isp"),
            lost,
            &format!("NetworkFailure P/- UpToDate/{left}"),
            None,
        );
    }
}

#[test]
fn an_idle_volume_waits_for_no_other_resync() {
    adjusts(
        &facts(),
        "Unconnected S/- Diskless/DUnknown aftr_isp user_isp",
        Change::conn(Conn::StandAlone),
        "StandAlone S/- Diskless/DUnknown user_isp",
        None,
    );
}

#[test]
fn a_lost_disk_ends_resync_and_verify() {
    let f = facts();
    adjusts(
        &f,
        "SyncTarget S/P Inconsistent/UpToDate",
        Change::disk(Disk::Failed),
        "Connected S/P Failed/UpToDate",
        Some(Warning::ResyncAborted),
    );
    adjusts(
        &f,
        "VerifyT S/P UpToDate/UpToDate",
        Change::pdsk(Disk::Diskless),
        "Connected S/P UpToDate/Diskless",
        Some(Warning::VerifyAborted),
    );
}

#[test]
fn a_target_whose_source_lost_its_disk_is_not_up_to_date() {
    let f = facts();
    for conn in ["WFBitMapT", "WFSyncUUID", "PausedSyncT", "Behind"] {
        adjusts(
            &f,
            &format!("{conn} S/P Outdated/UpToDate"),
            Change::pdsk(Disk::Failed),
            "Connected S/P Inconsistent/Failed",
            Some(Warning::ResyncAborted),
        );
    }
    for conn in ["WFBitMapS", "PausedSyncS", "Ahead"] {
        for pdsk in ["Outdated", "Consistent"] {
            adjusts(
                &f,
                &format!("{conn} P/S UpToDate/{pdsk}"),
                Change::disk(Disk::Failed),
                "Connected P/S Failed/Inconsistent",
                Some(Warning::ResyncAborted),
            );
        }
    }
}

#[test]
fn a_link_lost_while_negotiating_keeps_only_known_data() {
    let attach = Negotiating {
        disk: Disk::UpToDate,
        pdsk: Disk::Outdated,
        exposes_current: true,
    };
    let lost = Change::conn(Conn::BrokenPipe);
    let old = "Connected S/P Negotiating/UpToDate";
    let known = Facts {
        negotiating: Some(attach),
        ..facts()
    };
    adjusts(&known, old, lost, "BrokenPipe S/- UpToDate/Outdated", None);
    let foreign = Facts {
        negotiating: Some(Negotiating {
            exposes_current: false,
            ..attach
        }),
        ..facts()
    };
    let lost_it = Some(Warning::LostWhileNegotiating);
    adjusts(
        &foreign,
        old,
        lost,
        "BrokenPipe S/- Diskless/DUnknown",
        lost_it,
    );
    adjusts(
        &facts(),
        old,
        lost,
        "BrokenPipe S/- Diskless/DUnknown",
        lost_it,
    );
}

#[test]
fn connecting_makes_consistent_data_current() {
    adjusts(
        &facts(),
        "WFReportParams S/- Outdated/Consistent",
        Change {
            conn: Some(Conn::Connected),
            pdsk: Some(Disk::Consistent),
            ..Change::NONE
        },
        "Connected S/- UpToDate/UpToDate",
        None,
    );
    // Asked for while connected, Outdated turns into what is there already.
    adjusts(&facts(), UP, Change::disk(Disk::Outdated), UP, None);
}

#[test]
fn disks_fit_the_connection_state() {
    let f = facts();
    for (conn, new, warning) in [
        (Conn::WFBitMapT, "WFBitMapT S/S Outdated/UpToDate", None),
        (
            Conn::StartingSyncT,
            "StartingSyncT S/S Inconsistent/UpToDate",
            None,
        ),
        (Conn::WFSyncUUID, "WFSyncUUID S/S Outdated/UpToDate", None),
        (Conn::Behind, "Behind S/S Outdated/UpToDate", None),
        (
            Conn::SyncTarget,
            "SyncTarget S/S Inconsistent/UpToDate",
            None,
        ),
        (Conn::WFBitMapS, "WFBitMapS S/S UpToDate/Consistent", None),
        (
            Conn::StartingSyncS,
            "StartingSyncS S/S UpToDate/Consistent",
            None,
        ),
        (Conn::Ahead, "Ahead S/S UpToDate/Consistent", None),
        (
            Conn::SyncSource,
            "SyncSource S/S UpToDate/Inconsistent",
            None,
        ),
        (Conn::VerifyS, "VerifyS S/S UpToDate/UpToDate", None),
        (Conn::VerifyT, "VerifyT S/S UpToDate/UpToDate", None),
    ] {
        adjusts(&f, UP, Change::conn(conn), new, warning);
    }
    adjusts(
        &f,
        "Connected S/S Inconsistent/Inconsistent",
        Change::conn(Conn::WFBitMapS),
        "WFBitMapS S/S UpToDate/Inconsistent",
        Some(Warning::UpgradedDisk),
    );
    adjusts(
        &f,
        "Connected S/S Inconsistent/Inconsistent",
        Change::conn(Conn::WFBitMapT),
        "WFBitMapT S/S Inconsistent/UpToDate",
        Some(Warning::UpgradedPdsk),
    );
}

#[test]
fn stonith_freezes_a_primary_that_loses_its_peer() {
    let lost = Change::conn(Conn::NetworkFailure);
    let old = "Connected P/S UpToDate/UpToDate";
    let stonith = Facts {
        fencing: Fencing::ResourceAndStonith,
        ..facts()
    };
    adjusts(
        &stonith,
        old,
        lost,
        "NetworkFailure P/- UpToDate/DUnknown susp_fen",
        None,
    );
    adjusts(
        &stonith,
        "Connected P/S UpToDate/Outdated",
        lost,
        "NetworkFailure P/- UpToDate/Outdated",
        None,
    );
    // Edge triggered: thawed by hand, it stays thawed.
    adjusts(
        &stonith,
        "NetworkFailure P/- UpToDate/DUnknown",
        Change::conn(Conn::Unconnected),
        "Unconnected P/- UpToDate/DUnknown",
        None,
    );
    // A diskless Primary has no policy.
    adjusts(
        &stonith,
        "Connected P/S Diskless/UpToDate",
        lost,
        "NetworkFailure P/- Diskless/DUnknown",
        None,
    );
    let only = Facts {
        fencing: Fencing::ResourceOnly,
        ..facts()
    };
    adjusts(
        &only,
        old,
        lost,
        "NetworkFailure P/- UpToDate/DUnknown",
        None,
    );
}

#[test]
fn a_primary_without_data_freezes_if_told_to() {
    let lost = Change::conn(Conn::NetworkFailure);
    let old = "Connected P/S Diskless/UpToDate";
    let suspend = Facts {
        on_no_data: OnNoData::SuspendIo,
        ..facts()
    };
    adjusts(
        &suspend,
        old,
        lost,
        "NetworkFailure P/- Diskless/DUnknown susp_nod",
        None,
    );
    adjusts(
        &facts(),
        old,
        lost,
        "NetworkFailure P/- Diskless/DUnknown",
        None,
    );
}

#[test]
fn pause_flags_pause_and_resume() {
    let f = facts();
    let pause = |on| Change {
        user_isp: Some(on),
        ..Change::NONE
    };
    for (run, paused) in [
        (
            "SyncSource P/S UpToDate/Inconsistent",
            "PausedSyncS P/S UpToDate/Inconsistent",
        ),
        (
            "SyncTarget S/P Inconsistent/UpToDate",
            "PausedSyncT S/P Inconsistent/UpToDate",
        ),
    ] {
        let held = format!("{paused} user_isp");
        adjusts(&f, run, pause(true), &held, None);
        adjusts(&f, &held, pause(false), run, None);
        let twice = format!("{paused} aftr_isp user_isp");
        adjusts(
            &f,
            &twice,
            pause(false),
            &format!("{paused} aftr_isp"),
            None,
        );
    }
}

#[test]
fn impossible_steps() {
    use Conn as C;
    let wait = Err(Refusal::InTransientState);
    for (old, new, want) in [
        (C::Connected, C::Connected, Ok(Success::NothingToDo)),
        (
            C::StandAlone,
            C::Disconnecting,
            Err(Refusal::AlreadyStandAlone),
        ),
        (C::StandAlone, C::WFConnection, Err(Refusal::NeedConnection)),
        (C::StandAlone, C::Unconnected, Ok(Success::Done)),
        (C::WFConnection, C::Connected, Err(Refusal::NeedConnection)),
        (C::WFReportParams, C::Connected, Ok(Success::Done)),
        (C::Timeout, C::NetworkFailure, wait),
        (C::TearDown, C::WFConnection, wait),
        (C::TearDown, C::Unconnected, Ok(Success::Done)),
        (C::BrokenPipe, C::Disconnecting, Ok(Success::Done)),
        (C::Disconnecting, C::NetworkFailure, wait),
        (C::Disconnecting, C::Unconnected, wait),
        (C::Disconnecting, C::StandAlone, Ok(Success::Done)),
        (C::Connected, C::NetworkFailure, Ok(Success::Done)),
    ] {
        assert_eq!(check_conn_step(old, new), want, "{old} -> {new}");
    }
    let diskless = st("StandAlone S/- Diskless/DUnknown");
    let failed = diskless.with(&Change::disk(Disk::Failed));
    assert_eq!(check_step(&diskless, &failed), Err(Refusal::IsDiskless));
    let hard = propose(&facts(), &diskless, &Change::disk(Disk::Failed), Mode::Hard);
    assert_eq!(hard, Err(Refusal::IsDiskless), "even a hard change");
}

/// The verdict on a state with ordinary facts.
fn legal(f: &Facts, s: &str) -> Result<(), Refusal> {
    check_state(f, f.fencing, &st(s))
}

#[test]
fn illegal_states() {
    let f = facts();
    let two = Facts {
        two_primaries: true,
        ..f
    };
    let other_volume = Facts {
        highest_peer: Role::Primary,
        ..f
    };
    let open = Facts { open: true, ..f };
    let fenced = Facts {
        fencing: Fencing::ResourceOnly,
        ..f
    };
    let no_alg = Facts {
        verify_alg: false,
        ..f
    };
    let old_peer = Facts { apv: 87, ..f };
    let no_net = Facts {
        net_config: false,
        verify_alg: false,
        ..f
    };
    let both = "Connected P/P UpToDate/UpToDate";
    let one = "Connected P/S UpToDate/UpToDate";
    let verify = "VerifyS P/S UpToDate/UpToDate";
    for (f, s, want) in [
        (&f, both, Err(Refusal::TwoPrimaries)),
        (&two, both, Ok(())),
        (&no_net, both, Ok(())),
        (&other_volume, one, Err(Refusal::OVolPeerPri)),
        (&open, UP, Err(Refusal::DeviceInUse)),
        (&open, one, Ok(())),
        (
            &f,
            "WFConnection P/- Consistent/DUnknown",
            Err(Refusal::NoUpToDateDisk),
        ),
        (
            &fenced,
            "WFConnection P/- UpToDate/DUnknown",
            Err(Refusal::PrimaryNop),
        ),
        (&fenced, "WFConnection P/- UpToDate/Outdated", Ok(())),
        (
            &f,
            "Connected P/S Diskless/Inconsistent",
            Err(Refusal::NoUpToDateDisk),
        ),
        (
            &f,
            "WFBitMapS S/S Failed/UpToDate",
            Err(Refusal::NoLocalDisk),
        ),
        (
            &f,
            "WFBitMapS S/S UpToDate/Failed",
            Err(Refusal::NoRemoteDisk),
        ),
        (
            &f,
            "Ahead S/S Outdated/Consistent",
            Err(Refusal::NoUpToDateDisk),
        ),
        (
            &f,
            "Connected S/S Outdated/UpToDate",
            Err(Refusal::ConnectedOutdates),
        ),
        (
            &f,
            "SyncSource S/S Outdated/UpToDate",
            Err(Refusal::ConnectedOutdates),
        ),
        (&f, "WFBitMapT S/S Outdated/UpToDate", Ok(())),
        (&no_alg, verify, Err(Refusal::NoVerifyAlg)),
        (&no_net, verify, Ok(())),
        (&old_peer, verify, Err(Refusal::NotSupported)),
        (
            &f,
            "Connected P/S Outdated/Inconsistent",
            Err(Refusal::ConnectedOutdates),
        ),
        (
            &f,
            "Connected P/S Consistent/Inconsistent",
            Err(Refusal::NoUpToDateDisk),
        ),
        (
            &f,
            "StartingSyncS S/S UpToDate/DUnknown",
            Err(Refusal::NeedConnection),
        ),
        (
            &f,
            "Connected S/S UpToDate/DUnknown",
            Err(Refusal::ConnectedOutdates),
        ),
        (&f, UP, Ok(())),
    ] {
        assert_eq!(legal(f, s), want, "{s}");
    }
}

/// The verdict on a soft step.
fn step(f: &Facts, old: &str, new: &str) -> Result<(), Refusal> {
    check_soft_step(f, &st(old), &st(new))
}

#[test]
fn soft_steps() {
    let f = facts();
    let talking = Facts {
        state_sent: true,
        ..f
    };
    let report = "WFReportParams S/- UpToDate/DUnknown";
    let wait = Err(Refusal::InTransientState);
    let alone = "StandAlone S/- UpToDate/DUnknown";
    for (f, old, new, want) in [
        (
            &f,
            "SyncSource S/S UpToDate/Inconsistent",
            "StartingSyncS S/S UpToDate/Inconsistent",
            Err(Refusal::ResyncRunning),
        ),
        (
            &f,
            alone,
            "Disconnecting S/- UpToDate/DUnknown",
            Err(Refusal::AlreadyStandAlone),
        ),
        (
            &f,
            "Connected S/S Diskless/UpToDate",
            "Connected S/S Inconsistent/UpToDate",
            Err(Refusal::IsDiskless),
        ),
        (
            &f,
            "Connected S/S Diskless/UpToDate",
            "Connected S/S Attaching/UpToDate",
            Ok(()),
        ),
        (
            &f,
            alone,
            "WFConnection S/- UpToDate/DUnknown",
            Err(Refusal::NoNetConfig),
        ),
        (
            &f,
            "StandAlone S/- Inconsistent/DUnknown",
            "StandAlone S/- Outdated/DUnknown",
            Err(Refusal::LowerThanOutdated),
        ),
        (
            &f,
            "StandAlone S/- Attaching/DUnknown",
            "StandAlone S/- Outdated/DUnknown",
            Ok(()),
        ),
        (
            &f,
            "Unconnected S/- UpToDate/DUnknown",
            "Disconnecting S/- UpToDate/DUnknown",
            wait,
        ),
        (
            &talking,
            report,
            "WFReportParams P/- UpToDate/DUnknown",
            wait,
        ),
        (&talking, report, UP, Ok(())),
        (
            &talking,
            "WFConnection S/- UpToDate/DUnknown",
            report,
            Ok(()),
        ),
        (&f, report, "WFReportParams P/- UpToDate/DUnknown", Ok(())),
        (
            &f,
            "WFBitMapT S/S Outdated/UpToDate",
            "WFBitMapT P/S Outdated/UpToDate",
            wait,
        ),
        (
            &f,
            "SyncTarget S/S Inconsistent/UpToDate",
            "SyncTarget P/S Inconsistent/UpToDate",
            Ok(()),
        ),
        (
            &f,
            "Connected S/S Diskless/UpToDate",
            "Connected P/S Diskless/UpToDate",
            Ok(()),
        ),
        (
            &f,
            "WFConnection S/- UpToDate/DUnknown",
            "VerifyS S/- UpToDate/UpToDate",
            Err(Refusal::NeedConnection),
        ),
        (
            &f,
            "Ahead P/S UpToDate/Consistent",
            "VerifyS P/S UpToDate/UpToDate",
            Err(Refusal::ResyncRunning),
        ),
        (
            &f,
            "WFConnection S/- UpToDate/DUnknown",
            "StartingSyncT S/- Inconsistent/UpToDate",
            Err(Refusal::NeedConnection),
        ),
        (
            &f,
            "WFConnection S/- UpToDate/DUnknown",
            "SyncTarget S/- Inconsistent/UpToDate",
            Err(Refusal::NeedConnection),
        ),
        (
            &f,
            "WFConnection S/- UpToDate/DUnknown",
            "Disconnecting S/- UpToDate/Outdated",
            Err(Refusal::OutdateWoConn),
        ),
        (
            &f,
            "WFConnection S/- UpToDate/Outdated",
            "Disconnecting S/- UpToDate/Outdated",
            Ok(()),
        ),
    ] {
        assert_eq!(step(f, old, new), want, "{old} -> {new}");
    }
    // The last rule that matches decides.
    assert_eq!(
        step(&f, alone, "Disconnecting S/- UpToDate/Outdated"),
        Err(Refusal::OutdateWoConn)
    );
}

#[test]
fn an_illegal_state_may_stay_so_in_the_same_way_only() {
    // Forced: a Primary cut off with old data.
    let f = facts();
    let old = st("NetworkFailure P/- Outdated/DUnknown");
    let go_on = propose(&f, &old, &Change::conn(Conn::Unconnected), Mode::Soft);
    assert_eq!(go_on.map(|t| t.new.conn), Ok(Conn::Unconnected));
    let f = Facts { open: true, ..f };
    let other = propose(&f, &old, &Change::role(Role::Secondary), Mode::Soft);
    assert_eq!(other, Err(Refusal::DeviceInUse));
}

#[test]
fn hard_changes_skip_the_soft_rules() {
    let f = facts();
    let old = st("Connected P/S UpToDate/UpToDate");
    let failed = propose(&f, &old, &Change::disk(Disk::Inconsistent), Mode::Hard);
    assert_eq!(failed.map(|t| t.new.disk), Ok(Disk::Inconsistent));
    let wf = st("NetworkFailure P/- UpToDate/DUnknown");
    let jump = propose(&f, &wf, &Change::conn(Conn::Connected), Mode::Hard);
    assert_eq!(jump, Err(Refusal::NeedConnection));
}

#[test]
fn nothing_to_do_is_no_error() {
    let t = propose(&facts(), &st(UP), &Change::disk(Disk::Outdated), Mode::Soft);
    assert_eq!(t.map(|t| t.success()), Ok(Success::NothingToDo));
    let same = DeviceState::NEW;
    let t = propose(&Facts::NONE, &same, &Change::NONE, Mode::Soft);
    assert!(t.is_ok_and(|t| t.is_noop()));
}
