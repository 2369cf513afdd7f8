// SPDX-License-Identifier: GPL-2.0
//! Changes that the peer has to agree to (docs/states.md, "Two-node state changes").
//!
//! At most one change of a volume and one of the connection are asked about at a time. While an
//! answer is awaited everything else goes on; after each event the request is looked at again.

use super::event::{Driver, Effect, LogLine, Send};
use super::machine::Resource;
use super::volume::Volume;
use crate::state::{twonode, Change, Conn, Mode, Refusal, StateReturn, Success};

/// A change of one volume that the peer was asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Request {
    vnr: u16,
    change: Change,
    answer: twonode::Answer,
}

/// A change of the connection that the peer was asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ConnRequest {
    change: Change,
    answer: twonode::Answer,
}

/// How far a wish of the administrator has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The peer was asked; the result comes to the job.
    Asked,
    /// It is decided.
    Decided(StateReturn),
}

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// Asks for a change of one volume, and the peer where it has a say.
    pub(super) fn ask(&mut self, i: usize, change: Change, d: &mut dyn Driver) -> Progress {
        if self.request.is_some() || self.conn_request.is_some() {
            return Progress::Decided(Err(Refusal::InTransientState));
        }
        let facts = self.facts(i, d);
        match twonode::start(&facts, &self.state(i), &change) {
            Err(refusal) => Progress::Decided(Err(refusal)),
            Ok(twonode::Start::Commit(t)) => {
                let success = t.success();
                if !t.is_noop() {
                    self.commit(i, t, d);
                }
                Progress::Decided(Ok(success))
            }
            Ok(twonode::Start::Ask) => {
                let Some(vnr) = self.peek(i).map(|v| v.vnr) else {
                    return Progress::Decided(Err(Refusal::CwFailedByPeer));
                };
                self.request = Some(Request {
                    vnr,
                    change,
                    answer: twonode::Answer::None,
                });
                self.send(Send::ChangeRequest(vnr, change), d);
                Progress::Asked
            }
        }
    }

    /// The peer was asked for a full sync of this volume.
    pub(super) fn asks_for_full_sync(&self, i: usize) -> bool {
        let vnr = self.peek(i).map(|v| v.vnr);
        self.request.is_some_and(|r| {
            let full = matches!(
                r.change.conn,
                Some(Conn::StartingSyncS | Conn::StartingSyncT)
            );
            Some(r.vnr) == vnr && full
        })
    }

    /// Asks for a change of the whole connection.
    pub(super) fn ask_conn(&mut self, change: Change, mode: Mode, d: &mut dyn Driver) -> Progress {
        if mode == Mode::Soft && (self.request.is_some() || self.conn_request.is_some()) {
            return Progress::Decided(Err(Refusal::InTransientState));
        }
        if !twonode::connection_needs_consent(self.cstate, &change, mode, false) {
            return Progress::Decided(self.conn_change(change, mode, d));
        }
        if let Err(refusal) = self.judge_conn_change(&change, mode, false, d) {
            return Progress::Decided(Err(refusal));
        }
        self.conn_request = Some(ConnRequest {
            change,
            answer: twonode::Answer::None,
        });
        if self.apv() >= 100 {
            self.send(Send::ConnChangeRequest(change), d);
        } else if let Some(vnr) = self.peek(0).map(|v| v.vnr) {
            self.send(Send::ChangeRequest(vnr, change), d);
        }
        Progress::Asked
    }

    /// Whether the peer was asked to disconnect, and has not answered yet.
    #[must_use]
    pub fn asks_to_part(&self) -> bool {
        self.conn_request.is_some_and(|r| {
            r.change.conn == Some(Conn::Disconnecting) && r.answer == twonode::Answer::None
        })
    }

    /// Looks at what the peer was asked about. `true`: something was decided.
    pub(super) fn look_again(&mut self, d: &mut dyn Driver) -> bool {
        if let Some(r) = self.request {
            let result = match self.index_of(r.vnr) {
                None => Some(Err(Refusal::CwFailedByPeer)),
                Some(i) => {
                    let facts = self.facts(i, d);
                    match twonode::look_again(&facts, &self.state(i), &r.change, r.answer) {
                        Ok(None) => None,
                        Ok(Some(_)) => {
                            self.request = None;
                            Some(self.change(i, r.change, Mode::Soft, d))
                        }
                        Err(refusal) => Some(Err(refusal)),
                    }
                }
            };
            if let Some(result) = result {
                self.request = None;
                if let (Err(_), Some(i)) = (result, self.index_of(r.vnr)) {
                    // The peer may have agreed, or be about to.
                    self.send_state(i, d);
                }
                self.job_result(result);
                return true;
            }
        }
        if let Some(r) = self.conn_request {
            let judged = self.judge_conn_change(&r.change, Mode::Soft, false, d);
            match twonode::look_again_connection(self.cstate, judged, r.answer) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    self.conn_request = None;
                    let result = self.conn_change(r.change, Mode::Soft, d);
                    self.job_result(result);
                    return true;
                }
                Err(refusal) => {
                    self.conn_request = None;
                    self.job_result(Err(refusal));
                    return true;
                }
            }
        }
        false
    }

    /// P_STATE_CHG_REPLY. An answer that nobody waits for is dropped.
    pub(super) fn change_replied(&mut self, vnr: u16, code: i32, d: &mut dyn Driver) {
        if self.apv() < 100 && self.conn_request.is_some() {
            self.conn_change_replied(code, d);
            return;
        }
        let Some(r) = &mut self.request else { return };
        if r.vnr == vnr && r.answer == twonode::Answer::None {
            r.answer = twonode::Answer::to(&r.change, code);
            if r.answer == twonode::Answer::No {
                d.perform(Effect::Log(vnr, LogLine::FailedByPeer(code)));
            }
        }
    }

    /// P_CONN_ST_CHG_REPLY.
    pub(super) fn conn_change_replied(&mut self, code: i32, d: &mut dyn Driver) {
        let vnr = self.peek(0).map_or(0, |v| v.vnr);
        let Some(r) = &mut self.conn_request else {
            return;
        };
        if r.answer == twonode::Answer::None {
            r.answer = twonode::Answer::from_code(code);
            if code < 1 {
                d.perform(Effect::Log(vnr, LogLine::FailedByPeer(code)));
            }
        }
    }

    /// P_STATE_CHG_REQ: the peer wants a change of this volume.
    pub(super) fn change_requested(&mut self, i: usize, change: Change, d: &mut dyn Driver) {
        if self.apv() < 100 && change.conn == Some(Conn::Disconnecting) {
            self.conn_change_requested(change, d);
            return;
        }
        let Some(vnr) = self.peek(i).map(|v| v.vnr) else {
            return;
        };
        let resolve = self.link.is_some_and(|l| l.resolve_conflicts);
        let own = self.request.is_some_and(|r| r.vnr == vnr);
        let facts = self.facts(i, d);
        let result = match twonode::answer(&facts, &self.state(i), &change, resolve, own) {
            Ok(t) => {
                let success = t.success();
                if !t.is_noop() {
                    self.commit(i, t, d);
                }
                Ok(success)
            }
            Err(refusal) => Err(refusal),
        };
        self.send(Send::ChangeReply(vnr, crate::state::reply_code(result)), d);
        self.sync_metadata(i, d);
    }

    /// P_CONN_ST_CHG_REQ: the peer wants to disconnect.
    pub(super) fn conn_change_requested(&mut self, change: Change, d: &mut dyn Driver) {
        let resolve = self.link.is_some_and(|l| l.resolve_conflicts);
        let admitted = twonode::admit(resolve, self.conn_request.is_some());
        let wanted = admitted.and_then(|()| twonode::mirrored(&change));
        let judged = wanted.and_then(|change| {
            self.judge_conn_change(&change, Mode::Soft, true, d)
                .map(|()| change)
        });
        // The answer is queued before the link is shut down.
        let code = crate::state::reply_code(judged.map(|_| Success::Done));
        if self.apv() >= 100 {
            self.send(Send::ConnChangeReply(code), d);
        } else {
            let vnr = self.peek(0).map_or(0, |v| v.vnr);
            self.send(Send::ChangeReply(vnr, code), d);
        }
        if let Ok(change) = judged {
            let _ = self.conn_change_as(change, Mode::Soft, true, d);
        }
    }
}
