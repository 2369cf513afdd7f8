// SPDX-License-Identifier: GPL-2.0
//! The way to another role, as the machine walks it (docs/states.md, "Promotion, demotion").
//!
//! [`RoleRequest`] says what to try next; here it is asked for, a dead peer is looked for, and the
//! peer is fenced. Where the C driver sleeps for `ping-timeout`, a ping is awaited: its answer, or
//! the loss of the link, whichever comes first, tells the same.
//!
//! A demotion waits until the peer has made stable what it was sent. If the link is lost before,
//! the blocks are marked as long as this node is Primary: a new generation tells that the mark
//! counts. A Secondary would forget about them (the C driver does).

use super::admin::{Goal, Phase};
use super::event::{Driver, Effect, LogLine, UuidNews};
use super::machine::Resource;
use super::volume::Volume;
use crate::state::role::{is_new_role, promoted, promotion_needs_new_uuid, RoleRequest, RoleStep};
use crate::state::{reply_code, Change, Conn, Disk, Refusal, Role, StateReturn};
use crate::uuid::UuidFlags;

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    pub(super) fn begin_role(&mut self, vnr: u16, role: Role, force: bool, d: &mut dyn Driver) {
        let mut request = RoleRequest::new(role, force);
        let step = request.begin();
        self.begin(Goal::Role { vnr, role, request }, Change::NONE);
        if role == Role::Primary && self.cstate == Conn::WFReportParams {
            // A dead peer is found the sooner.
            self.ping(d);
        }
        self.role_step(step, d);
        if role == Role::Secondary {
            self.begin_drain(vnr, d);
        }
    }

    fn begin_drain(&mut self, vnr: u16, d: &mut dyn Driver) {
        if let (true, Some(job)) = (d.open_requests(vnr) > 0, &mut self.job) {
            job.phase = Phase::Drain;
            self.drain(vnr, d);
        }
    }

    /// A demotion goes on when nothing is under way any more. Whoever has the device open makes it
    /// fail; so does I/O that is frozen without a link, since only a command could end that, and
    /// commands wait for this one. `true`: it moved.
    pub(super) fn drained(&mut self, d: &mut dyn Driver) -> bool {
        let vnr = self.job.and_then(|job| job.goal.volume());
        let waits = |v: &&Volume| d.open_requests(v.vnr) > 0 && d.open_count(v.vnr) == 0;
        if let Some(v) = vnr.and_then(|vnr| self.volume(vnr)).filter(waits) {
            let frozen = v.state.is_suspended() && self.cstate < Conn::WFReportParams;
            if frozen {
                self.end_job(Refusal::InTransientState.code(), d);
            }
            return frozen;
        }
        if let Some(job) = &mut self.job {
            job.phase = Phase::Ask;
        }
        true
    }

    /// Lets `f` take the request one step on, and does what it says.
    fn role_request(
        &mut self,
        d: &mut dyn Driver,
        f: impl FnOnce(&mut RoleRequest, Disk) -> RoleStep,
    ) {
        let Some(mut job) = self.job else { return };
        let Goal::Role { vnr, request, .. } = &mut job.goal else {
            return;
        };
        let disk = self.volume(*vnr).map_or(Disk::Diskless, |v| v.state.disk);
        let step = f(request, disk);
        self.job = Some(job);
        self.role_step(step, d);
    }

    /// An attempt has its result.
    pub(super) fn role_tried(&mut self, result: StateReturn, d: &mut dyn Driver) {
        self.role_request(d, |request, disk| request.tried(result, disk));
    }

    /// The peer lives, or the link is gone. `true`: it moved.
    pub(super) fn pinged(&mut self, d: &mut dyn Driver) -> bool {
        if self.ping_is_out() && self.cstate == Conn::WFReportParams {
            return false;
        }
        if let Some(Goal::Attach { vnr, disk }) = self.job.map(|job| job.goal) {
            return self.drive_attach(vnr, disk, true, d);
        }
        self.role_request(d, |request, _| request.slept());
        true
    }

    /// The peer is fenced, or could not be.
    pub(super) fn fencing_ended(&mut self, fenced: bool, d: &mut dyn Driver) {
        if self.job.is_none_or(|job| job.phase != Phase::Fencing) {
            return;
        }
        let mut warning = None;
        self.role_request(d, |request, _| {
            let (step, w) = request.fenced(fenced);
            warning = w;
            step
        });
        if let (Some(_), Some(v)) = (warning, self.peek(0)) {
            d.perform(Effect::Log(v.vnr, LogLine::ForcedSplitBrain));
        }
    }

    fn role_step(&mut self, step: RoleStep, d: &mut dyn Driver) {
        let Some(job) = &mut self.job else { return };
        match step {
            RoleStep::Try { change, last } => {
                (job.wish, job.verbose, job.phase) = (change, last, Phase::Ask);
            }
            RoleStep::Sleep => {
                job.phase = Phase::Ping;
                self.ping(d);
            }
            RoleStep::FencePeer => {
                job.phase = Phase::Fencing;
                if let Some(fenced) = self.fence_peer(d) {
                    self.fencing_ended(fenced, d);
                }
            }
            RoleStep::Done(result) => self.role_done(result, d),
        }
    }

    fn role_done(&mut self, result: StateReturn, d: &mut dyn Driver) {
        let Some(job) = self.job else { return };
        let Goal::Role { vnr, role, request } = job.goal else {
            return;
        };
        if let (true, Some(i)) = (is_new_role(result), self.index_of(vnr)) {
            if role == Role::Primary {
                self.after_promotion(i, request.is_forced(), d);
            } else {
                self.after_demotion(i, d);
            }
        }
        self.end_job(reply_code(result), d);
    }

    fn after_promotion(&mut self, i: usize, forced: bool, d: &mut dyn Driver) {
        self.discard_my_data = false;
        let s = self.state(i);
        let random = d.random();
        // The disk may have become UpToDate by itself while the force was asked about.
        let forced = forced && self.peek(i).is_some_and(|v| v.raised);
        let mut fresh = false;
        if let Some(v) = self.vol(i) {
            let vnr = v.vnr;
            if forced {
                d.perform(Effect::Log(vnr, LogLine::ForcedUpToDate));
            }
            if !s.disk.is_attached() {
                v.promoted_without_disk();
            } else if let Some(mut u) = v.uuids() {
                if s.conn < Conn::Connected && core::mem::take(&mut v.target_unaware) {
                    u.clear_bitmap();
                }
                fresh = promotion_needs_new_uuid(&s, &u, forced);
                let lost = promoted(&s, &mut u, forced, random);
                v.set_uuids(u);
                v.exposed = u.current;
                if let Some(lost) = lost {
                    d.perform(Effect::Log(vnr, LogLine::LostBitmapUuid(lost)));
                }
                if fresh {
                    d.perform(Effect::Log(vnr, LogLine::Uuids(UuidNews::NewCurrent, u)));
                }
            }
        }
        self.sync_metadata(i, d);
        if s.conn >= Conn::WFReportParams {
            // A peer without a disk is shown this generation from now on: should the link go while
            // it attaches one, it has to know that this is not the one on its disk.
            if forced || (fresh && s.pdsk == Disk::Diskless) {
                self.send_uuids(i, UuidFlags::NONE, d);
            }
            self.send_state(i, d);
        }
        self.publish_read_only(i, false, d);
    }

    pub(super) fn after_demotion(&mut self, i: usize, d: &mut dyn Driver) {
        if let Some(v) = self.vol(i) {
            if let Some(mut u) = v.uuids() {
                u.set_primary(false);
                v.set_uuids(u);
                if v.state.disk >= Disk::Consistent {
                    v.exposed = u.current;
                }
            }
        }
        self.sync_metadata(i, d);
        if self.state(i).conn >= Conn::WFReportParams {
            self.send_state(i, d);
        }
        self.publish_read_only(i, true, d);
    }

    fn publish_read_only(&mut self, i: usize, read_only: bool, d: &mut dyn Driver) {
        if let Some(vnr) = self.peek(i).map(|v| v.vnr) {
            d.perform(Effect::SetReadOnly { vnr, read_only });
        }
    }
}
