// SPDX-License-Identifier: GPL-2.0
//! A node that does what the core says, as far as the rows show it.

use std::collections::VecDeque;

use drbd_core::state::fence::{self, FenceStart, Fenced};
use drbd_core::state::received::{receive, Next, ReceiveFacts, Received};
use drbd_core::state::role::{
    is_new_role, promoted, promotion_needs_new_uuid, RoleRequest, RoleStep, RoleWarning,
};
use drbd_core::state::twonode::{look_again, start, Answer, Start};
use drbd_core::state::{
    after_actions, commit_effects, proposal_result, propose, propose_connection, sanitise,
    AfterEffect, AfterFacts, Change, CommitFacts, Conn, ConnectionMode, DeviceState, Disk, Facts,
    Helper, Mode, Refusal, Role, StateReturn, Summary, Transition, VolumeChange,
};
use drbd_core::uuid::{
    decide, Decision, Note, Outcome, Own, Peer, Plan, Policies, RefusalReason, Remark, Situation,
    UuidFlags, UuidSet,
};

/// What the C driver says when the younger/older policies can not decide.
const FELL_THROUGH: &str =
    "Discard younger/older primary did not find a decision / Using discard-least-changes instead";

/// The C driver's words for a remark.
fn recorded(remark: Remark) -> &'static str {
    match remark {
        Remark::MissedEndAsSource => {
            "was SyncSource, missed the resync finished event, corrected myself:"
        }
        Remark::PeerLostSyncUuid => "was SyncSource (peer failed to write sync_uuid)",
        Remark::MissedEndAsTarget => {
            "was SyncTarget, peer missed the resync finished event, corrected peer:"
        }
        Remark::LostSyncUuid => "was SyncTarget (failed to write sync_uuid)",
        Remark::LostLastSyncUuid => "Lost last syncUUID packet, corrected:",
        Remark::LastSyncUuidDidNotArrive => "Last syncUUID did not get through, corrected:",
        Remark::UnrotatedWithPrimary => "Equivalent unrotated UUIDs, but current primary present.",
        Remark::UnrotatedTwoPrimaries => {
            "Equivalent unrotated UUIDs, but both are primary. Can not resolve this."
        }
    }
}

/// The peer as it is known.
pub(crate) struct Known {
    pub(crate) peer: Peer,
    pub(crate) disk_as_sent: Disk,
    pub(crate) dry_run: bool,
}

/// One volume of the node under test.
pub(crate) struct Node {
    pub(crate) state: DeviceState,
    pub(crate) facts: Facts,
    pub(crate) uuids: UuidSet,
    pub(crate) flags: UuidFlags,
    pub(crate) bits: u64,
    pub(crate) attach_disk: Disk,
    pub(crate) features: u32,
    pub(crate) resolve_conflicts: bool,
    pub(crate) policies: Policies,
    pub(crate) tentative: bool,
    pub(crate) helpers: Vec<String>,
    /// What it logs, as far as the core knows.
    pub(crate) log: Vec<String>,
    pub(crate) handler_exit: u8,
    /// New UUIDs in the order in which they are made.
    pub(crate) random: VecDeque<u64>,
    pub(crate) decision: Option<Decision>,
    /// Was the link kept?
    pub(crate) linked: bool,
}

impl Node {
    fn next_random(&mut self) -> u64 {
        self.random.pop_front().unwrap_or(0xdead_beef_dead_beee)
    }

    fn is_primary(&self) -> bool {
        self.state.role == Role::Primary
    }

    /// Commits, and does what follows as far as UUIDs go.
    pub(crate) fn commit(&mut self, t: &Transition) {
        if t.is_noop() {
            return;
        }
        let commit = commit_effects(
            t,
            &CommitFacts {
                others_report_params: false,
                bitmap_uuid_zero: self.uuids.bitmap == 0,
            },
        );
        assert!(!commit.overflowed());
        self.log.extend(t.warning.map(|w| w.to_string()));
        self.state = t.new;
        let after = after_actions(
            &t.old,
            &t.new,
            &AfterFacts {
                now: self.state,
                summary: Summary::of(self.state.conn, [&self.state]),
                apv: self.facts.apv,
                bitmap_uuid_zero: self.uuids.bitmap == 0,
                peer_lacks_blocks: false,
                disk_exists: true,
                io_error_helper: false,
                force_detach: false,
                resync_after_negotiation: false,
            },
        );
        assert!(!after.overflowed());
        for action in after.iter() {
            match action.effect {
                AfterEffect::NewCurrentUuid => {
                    let (random, primary) = (self.next_random(), self.is_primary());
                    if let Some(lost) = self.uuids.new_current(random, primary) {
                        self.log
                            .push(format!("bm UUID was already set: {lost:016X}"));
                    }
                    self.log.push(format!("new current UUID {}", self.uuids));
                }
                AfterEffect::SendSyncUuid => {
                    let random = self.next_random();
                    self.uuids.begin_as_source(random, 0);
                }
                _ => {}
            }
        }
    }

    /// Proposes and commits.
    pub(crate) fn change(&mut self, change: &Change, mode: Mode) -> StateReturn {
        let proposal = propose(&self.facts, &self.state, change, mode);
        if let Ok(t) = &proposal {
            self.commit(t);
        }
        proposal_result(&proposal)
    }

    /// Logs a refusal, as a verbose request does. Transient ones are not worth a line.
    fn log_refusal(&mut self, wanted: DeviceState, refusal: Refusal) {
        if refusal != Refusal::InTransientState {
            let (wanted, _) = sanitise(&self.facts, &self.state, wanted);
            self.log.push(format!("State change failed: {refusal}"));
            self.log.push(format!("  state = {}", self.state));
            self.log.push(format!(" wanted = {wanted}"));
        }
    }

    /// As [`Node::change`], asking a peer that agrees to everything.
    fn request(&mut self, change: &Change) -> StateReturn {
        match start(&self.facts, &self.state, change)? {
            Start::Commit(t) => {
                self.commit(&t);
                Ok(t.success())
            }
            Start::Ask => {
                assert_eq!(
                    look_again(&self.facts, &self.state, change, Answer::None),
                    Ok(None)
                );
                look_again(&self.facts, &self.state, change, Answer::Yes)?;
                self.change(change, Mode::Soft)
            }
        }
    }

    /// The peer's P_STATE arrives.
    pub(crate) fn receive(&mut self, known: &Known, peer_conn: Conn) {
        let peer = DeviceState {
            role: known.peer.role,
            disk: known.disk_as_sent,
            conn: peer_conn,
            ..DeviceState::NEW
        };
        let facts = ReceiveFacts {
            peer_flags: Some(known.peer.flags),
            consider_resync: false,
            full_sync_asked: false,
        };
        let mut arrival = match receive(&self.state, &peer, &facts) {
            Received::Goes(arrival) => arrival,
            other => panic!("{other:?}"),
        };
        if peer.disk == Disk::Negotiating {
            self.log
                .push(format!("real peer disk state = {}", arrival.pdsk));
        }
        if arrival.handshake {
            let decision = self.decide(known, arrival.pdsk);
            match arrival.after_handshake(decision.outcome, known.dry_run) {
                Next::Settle(settled) => {
                    if settled.pdsk == Disk::Diskless {
                        self.log
                            .push("Disk attach process on the peer node was aborted.".into());
                    }
                    arrival = settled;
                }
                Next::FailDisk => {
                    self.change(&Change::disk(Disk::Failed), Mode::Hard)
                        .expect("hard");
                    self.receive(known, peer_conn);
                    self.change(&Change::disk(Disk::Diskless), Mode::Hard)
                        .expect("hard");
                    return;
                }
                Next::Drop => return self.lose_link(),
                Next::Disconnect => return self.disconnect(),
            }
        }
        match arrival.settle(&self.facts) {
            Ok(t) => {
                self.commit(&t);
                self.facts.state_sent = false;
                if self
                    .decision
                    .is_some_and(|d| d.outcome == Outcome::Go(Plan::NoSync))
                    && self.bits > 0
                {
                    self.log
                        .push(format!("No resync, but {} bits in bitmap!", self.bits));
                }
            }
            Err(refusal) => {
                let mut wanted = self.state;
                wanted.conn = arrival.conn;
                wanted.peer = arrival.peer.role;
                wanted.pdsk = arrival.pdsk;
                self.log_refusal(wanted, refusal);
                self.disconnect();
            }
        }
    }

    fn decide(&mut self, known: &Known, pdsk: Disk) -> Decision {
        let decision = decide(&Situation {
            own: Own {
                uuids: self.uuids,
                flags: self.flags,
                changes: self.bits,
                role: self.state.role,
                disk: self.state.disk,
                attach_disk: self.attach_disk,
            },
            peer: Peer {
                disk: pdsk,
                ..known.peer
            },
            apv: self.facts.apv,
            feature_4: self.features & 4 != 0,
            resolve_conflicts: self.resolve_conflicts,
            policies: self.policies,
            dry_run: self.tentative || known.dry_run,
            can_demote: !self.facts.state_sent && !self.facts.open,
        });
        assert!(!decision.notes.overflowed());
        for note in decision.notes.iter() {
            match note {
                Note::Help(helper) => {
                    if helper == Helper::PriLostAfterSb {
                        // It was called because this is refused.
                        let change = Change::role(Role::Secondary);
                        let refusal = self.change(&change, Mode::Soft).expect_err("refused");
                        self.log_refusal(self.state.with(&change), refusal);
                    }
                    self.helpers.push(helper.as_str().into());
                }
                Note::Compared(remark) => self.log.push(recorded(remark).into()),
                Note::PolicyFellThrough => self.log.push(FELL_THROUGH.into()),
                note => self.log.push(note.to_string()),
            }
        }
        if let Outcome::Refuse(
            reason @ (RefusalReason::Unrelated | RefusalReason::NeedsProtocol91),
        ) = decision.outcome
        {
            self.log.push(reason.to_string());
        }
        self.uuids = decision.comparison.own;
        self.decision = Some(decision);
        decision
    }

    fn lose_link(&mut self) {
        self.linked = false;
        self.change(&Change::conn(Conn::NetworkFailure), Mode::Hard)
            .expect("hard");
        self.facts.state_sent = false;
        self.change(&Change::conn(Conn::Unconnected), Mode::Soft)
            .expect("soft");
        self.change(&Change::conn(Conn::WFConnection), Mode::Soft)
            .expect("soft");
    }

    fn disconnect(&mut self) {
        self.linked = false;
        self.change(&Change::conn(Conn::Disconnecting), Mode::Hard)
            .expect("hard");
        self.facts.state_sent = false;
        self.change(&Change::conn(Conn::StandAlone), Mode::Hard)
            .expect("hard");
    }

    /// `drbdsetup primary`, `secondary`.
    pub(crate) fn set_role(&mut self, role: Role, force: bool) -> StateReturn {
        let mut request = RoleRequest::new(role, force);
        let mut step = request.begin();
        let result = loop {
            step = match step {
                RoleStep::Try { change, last } => {
                    let result = self.request(&change);
                    if let (true, Err(refusal)) = (last, result) {
                        self.log_refusal(self.state.with(&change), refusal);
                    }
                    request.tried(result, self.state.disk)
                }
                RoleStep::FencePeer => {
                    let fenced = self.fence_peer();
                    let (step, warning) = request.fenced(fenced);
                    if warning == Some(RoleWarning::ForcedSplitBrain) {
                        self.log.push("Forced into split brain situation!".into());
                    }
                    step
                }
                RoleStep::Sleep => request.slept(),
                RoleStep::Done(result) => break result,
            };
        };
        if !is_new_role(result) {
            return result;
        }
        if request.is_forced() {
            self.log
                .push("Forced to consider local data as UpToDate!".into());
        }
        if !self.state.disk.is_attached() {
            return result;
        }
        if role == Role::Primary {
            let random = self.random.front().copied().unwrap_or(0);
            if promotion_needs_new_uuid(&self.state, &self.uuids, request.is_forced()) {
                self.random.pop_front();
            }
            let before = self.uuids.current;
            let lost = promoted(&self.state, &mut self.uuids, request.is_forced(), random);
            self.log
                .extend(lost.map(|b| format!("bm UUID was already set: {b:016X}")));
            if self.uuids.current | 1 != before | 1 {
                self.log.push(format!("new current UUID {}", self.uuids));
            }
        } else {
            self.uuids.set_primary(false);
        }
        result
    }

    fn fence_peer(&mut self) -> bool {
        let cstate = self.state.conn.min(Conn::WFReportParams);
        let policy = match fence::start(cstate, [(self.state.disk, self.facts.fencing)]) {
            FenceStart::RunHelper(policy) => policy,
            FenceStart::NotConsistent => {
                self.log
                    .push("Not fencing peer, I'm not even Consistent myself.".into());
                return false;
            }
            start => return start == FenceStart::DontCare,
        };
        self.helpers.push("fence-peer".into());
        let fenced = fence::exit_code(self.handler_exit, policy, self.state.disk);
        if fenced == (Fenced::PeerShot { expected: false }) {
            self.log
                .push("fence-peer() = 7 && fencing != Stonith !!!".into());
        }
        let code = self.handler_exit;
        self.log.push(match fenced.text() {
            Some(text) => format!("fence-peer helper returned {code} ({text})"),
            None => format!("fence-peer helper broken, returned {code}"),
        });
        if let Some(change) = fenced.change() {
            let mut volumes = [VolumeChange::new(self.facts, self.state)];
            if propose_connection(cstate, &mut volumes, &change, ConnectionMode::SOFT).is_ok() {
                let [v] = volumes;
                self.commit(&Transition {
                    old: v.old,
                    new: v.new,
                    warning: v.warning,
                });
            }
        }
        fenced.succeeded(self.state.pdsk)
    }
}
