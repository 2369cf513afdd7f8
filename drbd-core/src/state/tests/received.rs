// SPDX-License-Identifier: GPL-2.0
//! What a P_STATE of the peer does.

use super::{facts, st};
use crate::state::received::{receive, Arrival, Next, ReceiveFacts, Received};
use crate::state::{Conn, DeviceState, Disk, Facts, Negotiating, Refusal, Role};
use crate::uuid::{Outcome, Plan, RefusalReason, UuidFlags};

const UP: &str = "Connected S/S UpToDate/UpToDate";

fn known() -> ReceiveFacts {
    ReceiveFacts {
        peer_flags: Some(UuidFlags::default()),
        consider_resync: false,
        full_sync_asked: false,
    }
}

fn got(old: &str, peer: &str) -> Received {
    receive(&st(old), &st(peer), &known())
}

fn goes(old: &str, peer: &str) -> Arrival {
    match got(old, peer) {
        Received::Goes(a) => a,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peers_state_has_its_meaning() {
    let hello = "WFConnection S/- UpToDate/DUnknown";
    assert_eq!(
        got("TearDown S/- UpToDate/DUnknown", hello),
        Received::LinkGoesDown
    );
    assert_eq!(
        got(UP, "Connected -/S UpToDate/UpToDate"),
        Received::Impossible
    );
    assert_eq!(
        got(UP, "Connected S/S DUnknown/UpToDate"),
        Received::Impossible
    );
    // The target has finished.
    let source = "SyncSource P/S UpToDate/Inconsistent";
    assert_eq!(
        got(source, "Connected S/P UpToDate/UpToDate"),
        Received::SyncEnds
    );
    // It is only about to begin.
    let begins = goes(source, "WFBitMapT S/P UpToDate/UpToDate");
    assert_eq!(begins.pdsk, Disk::Inconsistent);
    assert_eq!(
        got(
            "VerifyT S/P UpToDate/UpToDate",
            "Connected P/S UpToDate/UpToDate"
        ),
        Received::VerifyEnds
    );
    let late = goes(UP, "PausedSyncT S/P Inconsistent/UpToDate");
    assert_eq!((late.pdsk, late.handshake), (Disk::UpToDate, false));
    assert_eq!(goes(UP, "Ahead P/S UpToDate/Consistent").conn, Conn::Behind);
    assert_eq!(
        goes("WFReportParams S/- UpToDate/DUnknown", hello).conn,
        Conn::Connected
    );
}

#[test]
fn a_peers_state_has_its_limits() {
    // UpToDate is believed of a peer that is past its preparations.
    let source = "SyncSource P/S UpToDate/Inconsistent";
    let past = goes(source, "SyncSource S/P UpToDate/UpToDate");
    assert_eq!(past.pdsk, Disk::UpToDate);
    // A source that has not begun is not told of an end.
    let waits = goes(
        "WFBitMapS P/S UpToDate/Consistent",
        "Connected S/P UpToDate/UpToDate",
    );
    assert_eq!(waits.pdsk, Disk::UpToDate);
    // Only a target reports late.
    let bad = goes(UP, "SyncSource S/P Inconsistent/UpToDate");
    assert_eq!(bad.pdsk, Disk::Inconsistent);
    // A peer that attaches will look at the UUIDs by itself.
    let attaches = goes(
        "Connected S/S UpToDate/Diskless",
        "Connected S/S Negotiating/UpToDate",
    );
    let wants = DeviceState {
        conn: Conn::WFBitMapS,
        ..attaches.old
    };
    assert!(!attaches.pulls_peer(&wants));
}

#[test]
fn when_the_uuids_are_looked_at() {
    let first = "WFReportParams S/- UpToDate/DUnknown";
    let hello = "WFConnection S/- UpToDate/DUnknown";
    assert!(goes(first, hello).handshake);
    assert!(!goes(UP, "Connected P/S UpToDate/UpToDate").handshake);
    assert!(goes(UP, "WFBitMapT S/S Outdated/UpToDate").handshake);
    assert!(
        goes(
            "Connected S/S UpToDate/Diskless",
            "Connected S/S Negotiating/UpToDate"
        )
        .handshake
    );
    assert!(!goes("WFReportParams S/- Diskless/DUnknown", hello).handshake);
    assert!(!goes(first, "WFConnection S/- Diskless/DUnknown").handshake);
    let with = |old: &str, peer: &str, f: ReceiveFacts| match receive(&st(old), &st(peer), &f) {
        Received::Goes(a) => a.handshake,
        other => panic!("{other:?}"),
    };
    assert!(!with(
        first,
        hello,
        ReceiveFacts {
            peer_flags: None,
            ..known()
        }
    ));
    let forced = "Connected P/S UpToDate/Inconsistent";
    assert!(with(
        "Connected S/P Inconsistent/UpToDate",
        forced,
        ReceiveFacts {
            consider_resync: true,
            full_sync_asked: false,
            ..known()
        }
    ));
}

#[test]
fn a_refused_handshake_ends_what_began_it() {
    let refused = Outcome::Refuse(RefusalReason::SplitBrain);
    let first = goes(
        "WFReportParams S/- UpToDate/DUnknown",
        "WFConnection S/- UpToDate/DUnknown",
    );
    assert_eq!(first.after_handshake(refused, false), Next::Disconnect);
    assert_eq!(first.after_handshake(refused, true), Next::Drop);
    let own = goes("Connected S/S Negotiating/UpToDate", UP);
    assert_eq!(own.after_handshake(refused, false), Next::FailDisk);
    let theirs = goes(
        "Connected P/S UpToDate/Diskless",
        "Connected S/P Negotiating/UpToDate",
    );
    let Next::Settle(a) = theirs.after_handshake(refused, false) else {
        panic!()
    };
    assert_eq!((a.pdsk, a.conn), (Disk::Diskless, Conn::Connected));
}

#[test]
fn a_peers_state_is_settled() {
    let f = Facts {
        state_sent: true,
        ..facts()
    };
    let hello = "WFConnection P/- UpToDate/DUnknown aftr_isp";
    let a = goes("WFReportParams S/- UpToDate/DUnknown", hello);
    let Next::Settle(a) = a.after_handshake(Outcome::Go(Plan::Target { full: false }), false)
    else {
        panic!()
    };
    let new = a.settle(&f).expect("goes").new;
    assert_eq!(new, st("WFBitMapT S/P Outdated/UpToDate peer_isp"));
    assert!(!a.pulls_peer(&new));
    // Two Primaries may not meet, but a Primary that is there already is a fact.
    let a = goes("WFReportParams P/- UpToDate/DUnknown", hello);
    assert_eq!(a.settle(&f).map(|t| t.new), Err(Refusal::TwoPrimaries));
    let a = goes(
        "Connected P/S UpToDate/UpToDate",
        "Connected P/P UpToDate/UpToDate",
    );
    assert_eq!(a.settle(&facts()).map(|t| t.new.peer), Ok(Role::Primary));
    // The own disk takes the state that the attach had in mind.
    let attach = Negotiating {
        disk: Disk::UpToDate,
        pdsk: Disk::DUnknown,
        exposes_current: true,
    };
    let f = Facts {
        negotiating: Some(attach),
        ..facts()
    };
    let a = goes("Connected S/S Negotiating/UpToDate", UP);
    assert_eq!(a.settle(&f).map(|t| t.new), Ok(st(UP)));
    // This node wants a resync that the peer does not know of.
    let a = goes(
        "Connected S/P Inconsistent/UpToDate",
        "Connected P/S UpToDate/Inconsistent",
    );
    let target = DeviceState {
        conn: Conn::WFBitMapT,
        ..a.old
    };
    assert!(a.pulls_peer(&target));
}

#[test]
fn a_restarted_peer_gets_nothing_sent_again() {
    let a = goes(
        "WFReportParams P/- UpToDate/DUnknown",
        "WFConnection S/- Consistent/DUnknown",
    );
    assert!(a.is_restarted_peer(true, true));
    assert!(!a.is_restarted_peer(false, true) && !a.is_restarted_peer(true, false));
    let b = goes(
        "WFReportParams P/- UpToDate/DUnknown",
        "WFConnection S/- UpToDate/DUnknown",
    );
    assert!(!b.is_restarted_peer(true, true));
}
