// SPDX-License-Identifier: GPL-2.0
//! Several volumes at once, and two nodes that have to agree.

use super::std::vec::Vec;
use super::{facts, st};
use crate::state::twonode::{
    admit, answer, connection_needs_consent, look_again, look_again_connection, mirrored,
    needs_consent, start, Answer, Start,
};
use crate::state::{
    propose_connection, Change, Conn, ConnectionMode, ConnectionRefusal, Disk, Facts, Fencing,
    Mode, Refusal, Role, Success, Summary, VolumeChange,
};

const UP: &str = "Connected S/S UpToDate/UpToDate";

fn volumes(states: &[&str]) -> Vec<VolumeChange> {
    states
        .iter()
        .map(|s| VolumeChange::new(facts(), st(s)))
        .collect()
}

#[test]
fn a_connection_changes_all_volumes_or_none() {
    let mut v = volumes(&["Connected P/S UpToDate/UpToDate", UP]);
    let lost = Change::conn(Conn::NetworkFailure);
    let t = propose_connection(Conn::WFReportParams, &mut v, &lost, ConnectionMode::HARD);
    let t = t.expect("hard");
    assert_eq!((t.old, t.new), (Conn::WFReportParams, Conn::NetworkFailure));
    assert_eq!(
        (t.summary.role, t.summary.highest_pdsk),
        (Role::Primary, Disk::DUnknown)
    );
    assert!(v
        .iter()
        .all(|v| v.new.conn == Conn::NetworkFailure && v.new.peer == Role::Unknown));

    // The second volume is Primary without data of its own: the whole disconnect is refused.
    let mut v = volumes(&[UP, "Connected P/S Diskless/UpToDate"]);
    let wish = Change::conn(Conn::Disconnecting);
    let t = propose_connection(Conn::WFReportParams, &mut v, &wish, ConnectionMode::SOFT);
    let want = ConnectionRefusal {
        refusal: Refusal::NoUpToDateDisk,
        volume: Some(1),
    };
    assert_eq!(t, Err(want));
    // The connection itself is asked first.
    let mut none: [VolumeChange; 0] = [];
    let t = propose_connection(Conn::StandAlone, &mut none, &wish, ConnectionMode::HARD);
    assert_eq!(
        t,
        Err(ConnectionRefusal {
            refusal: Refusal::AlreadyStandAlone,
            volume: None
        })
    );
    let t = propose_connection(
        Conn::WFConnection,
        &mut none,
        &Change::conn(Conn::WFReportParams),
        ConnectionMode::SOFT,
    );
    assert!(t.is_ok_and(|t| t.is_reconnect() && t.summary.highest_disk == Disk::Diskless));
}

#[test]
fn a_peer_that_outdates_us_spares_disks_that_are_worse() {
    let torn = Change::conn(Conn::TearDown).and_disk(Disk::Outdated);
    let states = [UP, "Connected S/S Inconsistent/UpToDate"];
    let mut v = volumes(&states);
    let t = propose_connection(Conn::WFReportParams, &mut v, &torn, ConnectionMode::PEER);
    assert!(t.is_ok());
    let disks: Vec<Disk> = v.iter().map(|v| v.new.disk).collect();
    assert_eq!(disks, [Disk::Outdated, Disk::Inconsistent]);
    let mut v = volumes(&states);
    let t = propose_connection(Conn::WFReportParams, &mut v, &torn, ConnectionMode::SOFT);
    assert_eq!(t.map_err(|r| r.refusal), Err(Refusal::LowerThanOutdated));
}

#[test]
fn a_summary_takes_the_extremes() {
    let states = [st("SyncSource P/S UpToDate/Inconsistent"), st(UP)];
    let sum = Summary::of(Conn::WFReportParams, &states);
    assert_eq!((sum.role, sum.peer), (Role::Primary, Role::Secondary));
    assert_eq!(
        (sum.lowest_conn, sum.highest_conn),
        (Conn::Connected, Conn::SyncSource)
    );
    assert_eq!(
        (sum.lowest_pdsk, sum.highest_pdsk),
        (Disk::Inconsistent, Disk::UpToDate)
    );
    let none = Summary::of(Conn::Unconnected, []);
    assert_eq!(none, Summary::without_volumes(Conn::Unconnected));
}

#[test]
fn which_changes_need_the_peer() {
    let primary = "Connected P/S UpToDate/UpToDate";
    for (old, new, asks) in [
        (UP, primary, true),
        (primary, UP, false),
        (UP, "StartingSyncT S/S Inconsistent/UpToDate", true),
        (UP, "StartingSyncS S/S UpToDate/Consistent", true),
        (UP, "Connected S/S Failed/UpToDate", true),
        (UP, "Disconnecting S/- UpToDate/DUnknown", true),
        (UP, "VerifyS S/S UpToDate/UpToDate", true),
        (UP, "WFReportParams S/- UpToDate/DUnknown", true),
        (UP, "NetworkFailure S/- UpToDate/DUnknown", false),
        (
            "WFConnection S/- UpToDate/DUnknown",
            "WFConnection P/- UpToDate/DUnknown",
            false,
        ),
        (
            "Ahead P/S UpToDate/Consistent",
            "VerifyS P/S UpToDate/UpToDate",
            false,
        ),
    ] {
        assert_eq!(needs_consent(&st(old), &st(new)), asks, "{old} -> {new}");
    }
    let wish = Change::conn(Conn::Disconnecting);
    assert!(connection_needs_consent(
        Conn::WFReportParams,
        &wish,
        Mode::Soft,
        false
    ));
    assert!(!connection_needs_consent(
        Conn::WFReportParams,
        &wish,
        Mode::Hard,
        false
    ));
    assert!(!connection_needs_consent(
        Conn::WFReportParams,
        &wish,
        Mode::Soft,
        true
    ));
    assert!(!connection_needs_consent(
        Conn::WFConnection,
        &wish,
        Mode::Soft,
        false
    ));
}

#[test]
fn a_request_is_checked_sent_and_looked_at_again() {
    let f = facts();
    let promote = Change::role(Role::Primary);
    assert_eq!(start(&f, &st(UP), &promote), Ok(Start::Ask));
    let own = st(UP);
    assert_eq!(look_again(&f, &own, &promote, Answer::None), Ok(None));
    assert_eq!(
        look_again(&f, &own, &promote, Answer::Yes),
        Ok(Some(Success::PeerAgreed))
    );
    assert_eq!(
        look_again(&f, &own, &promote, Answer::from_code(-1)),
        Err(Refusal::CwFailedByPeer)
    );
    let lost = st("NetworkFailure S/- UpToDate/DUnknown");
    assert_eq!(
        look_again(&f, &lost, &promote, Answer::None),
        Ok(Some(Success::NoNeedToAsk))
    );
    // The peer became Primary while we waited.
    let other = st("Connected S/P UpToDate/UpToDate");
    assert_eq!(
        look_again(&f, &other, &promote, Answer::None),
        Err(Refusal::TwoPrimaries)
    );
    // Nothing is sent for what is refused here.
    assert_eq!(start(&f, &other, &promote), Err(Refusal::TwoPrimaries));
    // Strict: what is illegal already is no excuse.
    let bad = Facts { open: true, ..f };
    assert_eq!(
        start(&bad, &own, &Change::disk(Disk::Failed)),
        Err(Refusal::DeviceInUse)
    );
    let alone = st("StandAlone S/- UpToDate/DUnknown");
    assert!(matches!(start(&f, &alone, &promote), Ok(Start::Commit(_))));
}

#[test]
fn a_disconnect_waits_for_the_connection() {
    let up = Conn::WFReportParams;
    assert_eq!(look_again_connection(up, Ok(()), Answer::None), Ok(None));
    assert_eq!(
        look_again_connection(up, Ok(()), Answer::Yes),
        Ok(Some(Success::PeerAgreed))
    );
    assert_eq!(
        look_again_connection(up, Ok(()), Answer::No),
        Err(Refusal::CwFailedByPeer)
    );
    assert_eq!(
        look_again_connection(up, Err(Refusal::PrimaryNop), Answer::Yes),
        Err(Refusal::PrimaryNop)
    );
    assert_eq!(
        look_again_connection(Conn::NetworkFailure, Ok(()), Answer::No),
        Ok(Some(Success::NoNeedToAsk)),
        "the link went first"
    );
}

#[test]
fn the_peers_requests_are_seen_from_the_other_side() {
    let f = facts();
    let ask = |f: &Facts, own: &str, change| answer(f, &st(own), &change, false, false);
    let conn = |c| Change::conn(c);
    for (change, want) in [
        (
            Change::role(Role::Primary),
            "Connected S/P UpToDate/UpToDate",
        ),
        (Change::disk(Disk::Failed), "Connected S/S UpToDate/Failed"),
        (conn(Conn::Disconnecting), "TearDown S/- UpToDate/DUnknown"),
        (
            conn(Conn::Disconnecting).and_disk(Disk::Outdated),
            "TearDown S/- UpToDate/Outdated",
        ),
        (
            conn(Conn::Disconnecting).and_pdsk(Disk::Outdated),
            "TearDown S/- Outdated/DUnknown",
        ),
        (
            conn(Conn::StartingSyncT),
            "StartingSyncS S/S UpToDate/Consistent",
        ),
        (
            conn(Conn::StartingSyncS),
            "StartingSyncT S/S Inconsistent/UpToDate",
        ),
        (conn(Conn::VerifyS), "VerifyT S/S UpToDate/UpToDate"),
        (
            conn(Conn::WFReportParams),
            "WFReportParams S/- UpToDate/DUnknown",
        ),
    ] {
        assert_eq!(
            ask(&f, UP, change).map(|t| t.new),
            Ok(st(want)),
            "{change:?}"
        );
    }
    let primary = "Connected P/S UpToDate/UpToDate";
    let fenced = Facts {
        fencing: Fencing::ResourceOnly,
        ..f
    };
    for (f, own, change, refusal) in [
        (
            &f,
            primary,
            Change::role(Role::Primary),
            Refusal::TwoPrimaries,
        ),
        (
            &f,
            "Connected P/S Diskless/UpToDate",
            Change::disk(Disk::Failed),
            Refusal::NoUpToDateDisk,
        ),
        (
            &fenced,
            primary,
            conn(Conn::Disconnecting),
            Refusal::PrimaryNop,
        ),
        (
            &f,
            primary,
            conn(Conn::Disconnecting).and_pdsk(Disk::Outdated),
            Refusal::NoUpToDateDisk,
        ),
        (
            &f,
            "VerifyS S/S UpToDate/UpToDate",
            conn(Conn::StartingSyncT),
            Refusal::ResyncRunning,
        ),
        (
            &f,
            "Connected S/P Negotiating/UpToDate",
            conn(Conn::StartingSyncS),
            Refusal::InTransientState,
        ),
        (
            &f,
            "Connected S/P Failed/UpToDate",
            Change::disk(Disk::Failed),
            Refusal::NoUpToDateDisk,
        ),
    ] {
        assert_eq!(ask(f, own, change), Err(refusal), "{own} {change:?}");
    }
    let no_alg = Facts {
        verify_alg: false,
        ..f
    };
    assert_eq!(
        ask(&no_alg, UP, conn(Conn::VerifyS)),
        Err(Refusal::NoVerifyAlg)
    );
}

#[test]
fn a_peer_may_not_ask_for_everything() {
    for change in [
        Change {
            peer: Some(Role::Primary),
            ..Change::NONE
        },
        Change::pdsk(Disk::UpToDate),
        Change::conn(Conn::SyncTarget),
        Change::conn(Conn::Unconnected),
    ] {
        assert_eq!(mirrored(&change), Err(Refusal::NotSupported), "{change:?}");
    }
    let pause = Change {
        user_isp: Some(true),
        susp: Some(true),
        ..Change::NONE
    };
    let seen = Change {
        peer_isp: Some(true),
        ..Change::NONE
    };
    assert_eq!(mirrored(&pause), Ok(seen));
}

#[test]
fn of_two_requests_at_once_one_is_processed() {
    // Both ask for Primary. The node with the flag turns the other's request away.
    let f = facts();
    let change = Change::role(Role::Primary);
    assert_eq!(
        answer(&f, &st(UP), &change, true, true),
        Err(Refusal::ConcurrentStChg)
    );
    assert!(answer(&f, &st(UP), &change, false, true).is_ok());
    assert_eq!(admit(true, false), Ok(()));
    // The other node has now seen it become Primary, and retries.
    let loser = st("Connected S/P UpToDate/UpToDate");
    assert_eq!(start(&f, &loser, &change), Err(Refusal::TwoPrimaries));
}
