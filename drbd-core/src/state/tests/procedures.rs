// SPDX-License-Identifier: GPL-2.0
//! Procedures that go through several changes: roles, disconnect, fencing, resync.

use super::{facts, st};
use crate::state::disconnect::{DisconnectRequest, DisconnectStep};
use crate::state::fence::{self, FenceStart, Fenced};
use crate::state::resync::{self, Dependency, End, Side};
use crate::state::role::{RoleRequest, RoleStep};
use crate::state::{propose, Change, Conn, Disk, Fencing, Mode, Refusal, Role, Success, Summary};

const UP: &str = "Connected S/S UpToDate/UpToDate";

fn tries(change: Change) -> RoleStep {
    RoleStep::Try {
        change,
        last: false,
    }
}

#[test]
fn a_promotion_learns_from_refusals() {
    let p = Change::role(Role::Primary);
    let mut r = RoleRequest::new(Role::Primary, false);
    assert_eq!(r.begin(), tries(p));
    assert_eq!(
        r.tried(Err(Refusal::PrimaryNop), Disk::UpToDate),
        RoleStep::FencePeer
    );
    assert_eq!(r.fenced(true).0, tries(p));
    assert_eq!(
        r.tried(Ok(Success::Done), Disk::UpToDate),
        RoleStep::Done(Ok(Success::Done))
    );

    // Two Primaries: one sleep, one more attempt.
    let mut r = RoleRequest::new(Role::Primary, false);
    let two = Err(Refusal::TwoPrimaries);
    assert_eq!(r.begin(), tries(p));
    assert_eq!(r.tried(two, Disk::UpToDate), RoleStep::Sleep);
    assert_eq!(r.slept(), tries(p));
    assert_eq!(
        r.tried(two, Disk::UpToDate),
        RoleStep::Done(Err(Refusal::TwoPrimaries))
    );

    // The peer came back after it had been declared outdated.
    let mut r = RoleRequest::new(Role::Primary, true);
    assert_eq!(r.begin(), tries(p));
    assert_eq!(
        r.tried(Err(Refusal::PrimaryNop), Disk::UpToDate),
        RoleStep::FencePeer
    );
    assert_eq!(r.fenced(false).0, tries(p.and_pdsk(Disk::Outdated)));
    assert_eq!(
        r.tried(Err(Refusal::CwFailedByPeer), Disk::UpToDate),
        tries(p)
    );

    // What teaches nothing is tried once more, with a line in the log.
    let mut r = RoleRequest::new(Role::Secondary, false);
    let s = Change::role(Role::Secondary);
    assert_eq!(r.begin(), tries(s));
    let open = Err(Refusal::DeviceInUse);
    assert_eq!(
        r.tried(open, Disk::UpToDate),
        RoleStep::Try {
            change: s,
            last: true
        }
    );
    assert_eq!(
        r.tried(open, Disk::UpToDate),
        RoleStep::Done(Err(Refusal::DeviceInUse))
    );
}

#[test]
fn attempts_at_a_promotion_are_bounded() {
    for (refusal, disk) in [
        (Refusal::PrimaryNop, Disk::UpToDate),
        (Refusal::NoUpToDateDisk, Disk::Consistent),
        (Refusal::TwoPrimaries, Disk::UpToDate),
        (Refusal::CwFailedByPeer, Disk::UpToDate),
        (Refusal::InTransientState, Disk::UpToDate),
    ] {
        for force in [false, true] {
            let mut r = RoleRequest::new(Role::Primary, force);
            let mut step = r.begin();
            let mut count = 0;
            let end = loop {
                count += 1;
                assert!(count < 20, "{refusal:?}");
                step = match step {
                    RoleStep::Try { .. } => r.tried(Err(refusal), disk),
                    RoleStep::FencePeer => r.fenced(false).0,
                    RoleStep::Sleep => r.slept(),
                    RoleStep::Done(end) => break end,
                };
            };
            assert_eq!(end, Err(refusal));
        }
    }
}

#[test]
fn a_disconnect_learns_from_refusals() {
    let wish = Change::conn(Conn::Disconnecting);
    let quiet = |change| DisconnectStep::Try {
        change,
        verbose: false,
    };
    let up = Conn::WFReportParams;
    let (mut r, step) = DisconnectRequest::begin(false);
    assert_eq!(step, quiet(wish));
    assert_eq!(
        r.tried(Err(Refusal::PrimaryNop), up),
        quiet(wish.and_pdsk(Disk::Outdated))
    );
    assert_eq!(
        r.tried(Err(Refusal::OutdateWoConn), Conn::WFConnection),
        DisconnectStep::Try {
            change: wish,
            verbose: true
        }
    );
    assert_eq!(
        r.tried(Ok(Success::Done), Conn::Disconnecting),
        DisconnectStep::Finish
    );

    let (mut r, _) = DisconnectRequest::begin(false);
    assert_eq!(
        r.tried(Err(Refusal::CwFailedByPeer), Conn::WFConnection),
        quiet(wish)
    );
    assert_eq!(
        r.tried(Err(Refusal::CwFailedByPeer), up),
        quiet(wish.and_disk(Disk::Outdated))
    );
    assert_eq!(
        r.tried(Err(Refusal::LowerThanOutdated), up),
        DisconnectStep::Force
    );
    assert_eq!(
        r.tried(Ok(Success::Done), Conn::Disconnecting),
        DisconnectStep::Finish
    );

    let (mut r, _) = DisconnectRequest::begin(false);
    let busy = Refusal::NoUpToDateDisk;
    assert_eq!(r.tried(Err(busy), up), DisconnectStep::Fail(busy));
    let (mut r, step) = DisconnectRequest::begin(true);
    assert_eq!(step, DisconnectStep::Force);
    assert_eq!(
        r.tried(Err(Refusal::AlreadyStandAlone), Conn::StandAlone),
        DisconnectStep::AlreadyAlone
    );
}

#[test]
fn fencing_begins_and_ends() {
    let only = Fencing::ResourceOnly;
    let stonith = Fencing::ResourceAndStonith;
    let wf = Conn::WFConnection;
    for (cstate, volumes, want) in [
        (
            Conn::WFReportParams,
            [(Disk::UpToDate, only)],
            FenceStart::Connected,
        ),
        (wf, [(Disk::Outdated, only)], FenceStart::NotConsistent),
        (
            wf,
            [(Disk::Consistent, Fencing::DontCare)],
            FenceStart::DontCare,
        ),
        (wf, [(Disk::Consistent, only)], FenceStart::RunHelper(only)),
    ] {
        assert_eq!(fence::start(cstate, volumes), want);
    }
    let two = [
        (Disk::UpToDate, only),
        (Disk::Consistent, stonith),
        (Disk::Outdated, stonith),
    ];
    assert_eq!(fence::start(wf, two), FenceStart::RunHelper(stonith));
    let code = |c, disk| fence::exit_code(c, only, disk);
    assert_eq!(
        code(5, Disk::UpToDate).change(),
        Some(Change::pdsk(Disk::Outdated))
    );
    assert_eq!(code(5, Disk::Consistent).change(), None);
    assert_eq!(
        code(6, Disk::UpToDate).change(),
        Some(Change::disk(Disk::Outdated))
    );
    assert_eq!(code(0, Disk::UpToDate), Fenced::Broken);
    assert!(!Fenced::Broken.succeeded(Disk::Outdated));
    assert!(Fenced::PeerOutdated.succeeded(Disk::Outdated));
    assert!(!Fenced::PeerPrimary.succeeded(Disk::DUnknown));
    let lost = |s: &str| fence::wanted_after_loss(&Summary::of(wf, [&st(s)]));
    assert!(lost("NetworkFailure P/- UpToDate/DUnknown"));
    assert!(!lost("NetworkFailure P/- UpToDate/Outdated"));
    assert!(!lost("NetworkFailure S/- UpToDate/DUnknown"));
}

#[test]
fn a_resync_begins_and_ends() {
    let f = facts();
    let run = |old: &str, change: Change| propose(&f, &st(old), &change, Mode::Soft).map(|t| t.new);
    let source = "SyncSource P/S UpToDate/Inconsistent";
    let target = "SyncTarget S/P Inconsistent/UpToDate";
    let begins = resync::start(Side::Source, false);
    assert_eq!(
        run("WFBitMapS P/S UpToDate/Consistent", begins),
        Ok(st(source))
    );
    let begins = resync::start(Side::Target, false);
    assert_eq!(
        run("WFSyncUUID S/P Outdated/UpToDate", begins),
        Ok(st(target))
    );
    let waits = resync::start(Side::Target, true);
    let paused = st("PausedSyncT S/P Inconsistent/UpToDate aftr_isp");
    assert_eq!(run("WFSyncUUID S/P Outdated/UpToDate", waits), Ok(paused));
    let end = |old: &str, failed| End::of(st(old).conn, failed).map(|e| run(old, e.change()));
    assert_eq!(
        end(source, 0),
        Some(Ok(st("Connected P/S UpToDate/UpToDate")))
    );
    assert_eq!(
        end(source, 1),
        Some(Ok(st("Connected P/S UpToDate/Inconsistent")))
    );
    assert_eq!(
        end(target, 0),
        Some(Ok(st("Connected S/P UpToDate/UpToDate")))
    );
    assert_eq!(
        end(target, 1),
        Some(Ok(st("Connected S/P Inconsistent/UpToDate")))
    );
    let verify = "VerifyS P/S UpToDate/UpToDate";
    assert_eq!(
        end(verify, 9),
        Some(Ok(st("Connected P/S UpToDate/UpToDate")))
    );
    assert_eq!(end(UP, 0), None);
    assert!(resync::may_start(&st("WFBitMapS P/S UpToDate/Consistent")));
    assert!(!resync::may_start(&st(source)) && !resync::may_start(&st(verify)));
    assert!(!resync::may_start(&st(
        "WFConnection S/- UpToDate/DUnknown"
    )));
    assert_eq!(resync::before(Side::Source, 3), resync::Before::GoOldTools);
    assert_eq!(resync::before(Side::Target, 3), resync::Before::Disconnect);
    assert_eq!(resync::before(Side::Target, 0), resync::Before::Go);
    assert_eq!(resync::side_after_growth(&st(source), false), Side::Source);
    assert_eq!(resync::side_after_growth(&st(target), true), Side::Target);
    assert_eq!(resync::side_after_growth(&st(UP), true), Side::Source);
    assert_eq!(resync::side_after_growth(&st(UP), false), Side::Target);
}

/// Minor, state, the minor it waits for.
type Link = (u32, &'static str, Option<u32>);

fn may_sync_after_0(links: &[Link]) -> bool {
    resync::may_sync_now(Some(0), |minor| {
        let link = links.iter().find(|(m, _, _)| *m == minor);
        link.map(|(_, s, after)| Dependency {
            state: st(s),
            after: *after,
        })
    })
}

#[test]
fn a_resync_waits_for_the_ones_before_it() {
    let runs = "SyncTarget S/P Inconsistent/UpToDate";
    let held = "Connected S/P UpToDate/UpToDate user_isp";
    let none = "StandAlone S/- Diskless/DUnknown";
    assert!(resync::may_sync_now(None, |_| None));
    assert!(resync::may_sync_now(Some(7), |_| None));
    assert!(!may_sync_after_0(&[(0, runs, None)]));
    assert!(!may_sync_after_0(&[(0, UP, Some(1)), (1, runs, None)]));
    assert!(!may_sync_after_0(&[(0, held, None)]));
    assert!(may_sync_after_0(&[(0, none, Some(1)), (1, runs, None)]));
    // A cycle is refused by the configuration; should there be one, it ends.
    assert!(may_sync_after_0(&[(0, UP, Some(0))]));
}
