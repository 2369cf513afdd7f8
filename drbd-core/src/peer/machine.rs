// SPDX-License-Identifier: GPL-2.0
//! The machine: one owner of a resource's state, one event at a time.

use super::admin::Job;
use super::cluster::{ConnRequest, Request};
use super::event::{Driver, Effect, Event, HelperCall, LogLine, Send};
use super::fence::FenceRun;
use super::volume::Volume;
use crate::request::word::Gone;
use crate::state::{
    after_actions, commit_effects, connection_actions, flag_sources, peer_goes_at_rest, propose,
    replicates, AfterEffect, AfterFacts, Change, CommitEffect, CommitFacts, Conn, ConnectionEffect,
    DeviceState, Disk, Facts, LogEvent, Mode, OnNoData, Refusal, Role, Success, Summary,
    Transition,
};
use crate::wire::{Agreed, UuidFlags};

/// What of the network configuration the machine looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetSettings {
    /// `allow-two-primaries`.
    pub two_primaries: bool,
    /// A `verify-alg` is set.
    pub verify_alg: bool,
    /// `always-asbp` and the policies after a split brain.
    pub split_brain: crate::uuid::Policies,
}

/// The established link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Version and features.
    pub agreed: Agreed,
    /// This node accepted the meta connection: it wins when both nodes ask at once.
    pub resolve_conflicts: bool,
    /// The peer only wants to know what would happen.
    pub peer_dry_run: bool,
    /// The sockets are shut down; only [`Event::LinkClosed`] is awaited.
    pub closing: bool,
}

/// A resource: its one connection and its volumes. `V` is the storage for the volumes, ascending
/// by volume number, lent by the driver.
#[derive(Debug)]
pub struct Resource<V> {
    /// The volumes.
    pub volumes: V,
    /// The connection's own state, StandAlone to WFReportParams.
    pub cstate: Conn,
    /// The link, from the agreement on a version on.
    pub link: Option<Link>,
    /// The network configuration, from `connect` to `disconnect`.
    pub net: Option<NetSettings>,
    /// `on-no-data-accessible`.
    pub on_no_data: OnNoData,
    /// The parameters of the connection are being exchanged.
    pub state_sent: bool,
    /// One-shot marks of the last `connect` command.
    pub(super) discard_my_data: bool,
    pub(super) dry_run: bool,
    /// A change of one volume that the peer was asked about.
    pub(super) request: Option<Request>,
    /// A change of the connection that the peer was asked about.
    pub(super) conn_request: Option<ConnRequest>,
    /// The administrator's command that is under way.
    pub(super) job: Option<Job>,
    /// The receiver was started and has not ended for good.
    pub(super) receiver: bool,
    /// The ping of this machine that is under way.
    pub(super) ping: Ping,
    /// The helper `fence-peer` runs.
    pub(super) fencing: Option<FenceRun>,
    /// Links that came up so far; wraps around.
    pub(super) links: u32,
    /// The handshake was refused; the link stands until this handler has ended.
    pub(super) parting: Option<HelperCall>,
}

/// A ping makes sure that all that the peer sent on the meta socket before is seen. An answer
/// counts only for those who wanted to know before the ping was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ping {
    /// Nobody wants to know.
    None,
    /// It is under way.
    Out,
    /// It is under way, and somebody has asked since.
    OutAndAgain,
}

/// Why the machine gives up the link; the driver closes it.
pub(super) type Step = Result<(), ()>;

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// A resource without connection.
    pub fn new(volumes: V) -> Self {
        Self {
            volumes,
            cstate: Conn::StandAlone,
            link: None,
            net: None,
            on_no_data: OnNoData::IoError,
            state_sent: false,
            discard_my_data: false,
            dry_run: false,
            request: None,
            conn_request: None,
            job: None,
            receiver: false,
            ping: Ping::None,
            fencing: None,
            links: 0,
            parting: None,
        }
    }

    /// Feeds one event. The driver performs the effects in order before it feeds the next one.
    pub fn handle(&mut self, event: Event, d: &mut dyn Driver) {
        self.dispatch(event, d);
        // What waited for a change of state looks again, until nothing moves any more. Each turn
        // ends a command or a request, or is the last.
        for _ in 0..16 {
            let moved = self.look_again(d) | self.drive_job(d) | self.take_early_sync_uuid(d);
            if !moved {
                break;
            }
        }
    }

    fn dispatch(&mut self, event: Event, d: &mut dyn Driver) {
        match event {
            Event::Admin(command) => self.admin(command, d),
            Event::AdminGone => self.abandon_job(),
            Event::Connecting => {
                let _ = self.conn_change(Change::conn(Conn::WFConnection), Mode::Soft, d);
            }
            Event::CannotListen => self.give_up(d),
            Event::LinkUp {
                agreed,
                resolve_conflicts,
            } => {
                self.link_up(agreed, resolve_conflicts, d);
            }
            Event::LinkBroken(reason) => self.break_link(reason, d),
            Event::LinkClosed => self.link_closed(d),
            Event::Protocol(v) => self.protocol(v, d),
            Event::SyncParam { vnr, compatible } => self.sync_param(vnr, compatible, d),
            Event::Sizes(vnr, s) => self.on_volume(vnr, d, |r, i, d| r.sizes(i, &s, d)),
            Event::Room(vnr, room) => {
                self.with_volume(vnr, d, |r, i, _| r.room_changed(i, room));
            }
            Event::Uuids(vnr, u) => self.on_volume(vnr, d, |r, i, d| r.uuids_received(i, u, d)),
            Event::State(vnr, s) => self.on_volume(vnr, d, |r, i, d| r.state_received(i, s, d)),
            Event::SyncUuid(vnr, u) => self.on_volume(vnr, d, |r, i, d| r.sync_uuid(i, u, d)),
            Event::BitmapReceived(vnr) => self.on_volume(vnr, d, Self::bitmap_received),
            Event::ChangeRequest(vnr, c) => {
                self.with_volume(vnr, d, |r, i, d| r.change_requested(i, c, d))
            }
            Event::ChangeReply(vnr, code) => self.change_replied(vnr, code, d),
            Event::ConnChangeRequest(c) => self.conn_change_requested(c, d),
            Event::ConnChangeReply(code) => self.conn_change_replied(code, d),
            Event::PingAck => self.ping_acked(d),
            Event::AllBitsSet { vnr, ok } => {
                self.with_volume(vnr, d, |r, i, d| r.all_bits_set(i, ok, d))
            }
            Event::ResyncProgress { vnr, failed } => {
                self.with_volume(vnr, d, |r, i, d| r.resync_progress(i, failed, d))
            }
            Event::VerifyDone(vnr) => self.with_volume(vnr, d, |r, i, d| r.verify_done(i, d)),
            Event::DiskError { vnr, kind } => {
                self.with_volume(vnr, d, |r, i, d| r.disk_error(i, kind, d))
            }
            Event::DiskIdle(vnr) => self.with_volume(vnr, d, |r, i, d| r.disk_idle(i, d)),
            Event::MustWait { vnr, wait } => {
                self.with_volume(vnr, d, |r, i, d| r.must_wait(i, wait, d))
            }
            Event::Drained(vnr) => self.with_volume(vnr, d, |r, i, d| {
                // A demotion looks after every event.
                r.check_finished(i, d);
            }),
            // Of the resource: the volume may be gone.
            Event::HelperDone {
                helper: HelperCall::FencePeer,
                exit,
                ..
            } => self.fence_helper_done(exit, d),
            Event::HelperDone { vnr, helper, exit } => {
                self.with_volume(vnr, d, |r, i, d| r.helper_done(i, helper, exit, d))
            }
        }
    }

    /// Runs `f` on the volume, if it exists.
    fn with_volume(
        &mut self,
        vnr: u16,
        d: &mut dyn Driver,
        f: impl FnOnce(&mut Self, usize, &mut dyn Driver),
    ) {
        if let Some(i) = self.index_of(vnr) {
            f(self, i, d);
        }
    }

    /// Runs `f` on the volume, if it exists. A failed step breaks the link.
    fn on_volume(
        &mut self,
        vnr: u16,
        d: &mut dyn Driver,
        f: impl FnOnce(&mut Self, usize, &mut dyn Driver) -> Step,
    ) {
        let Some(i) = self.index_of(vnr) else { return };
        if f(self, i, d).is_err() {
            self.break_link(Conn::ProtocolError, d);
        }
    }

    /// The place of a volume in the storage.
    #[must_use]
    pub fn index_of(&self, vnr: u16) -> Option<usize> {
        self.volumes.as_ref().iter().position(|v| v.vnr == vnr)
    }

    /// The volume with this number.
    #[must_use]
    pub fn volume(&self, vnr: u16) -> Option<&Volume> {
        self.volumes.as_ref().iter().find(|v| v.vnr == vnr)
    }

    pub(super) fn vol(&mut self, i: usize) -> Option<&mut Volume> {
        self.volumes.as_mut().get_mut(i)
    }

    pub(super) fn peek(&self, i: usize) -> Option<&Volume> {
        self.volumes.as_ref().get(i)
    }

    pub(super) fn state(&self, i: usize) -> DeviceState {
        self.peek(i).map_or(DeviceState::NEW, |v| v.state)
    }

    pub(super) fn count(&self) -> usize {
        self.volumes.as_ref().len()
    }

    /// Agreed protocol version; 80 before.
    #[must_use]
    pub fn apv(&self) -> u32 {
        self.link
            .map_or(80, |l| u32::from(l.agreed.version.number()))
    }

    /// What the volumes add up to.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(self.cstate, self.volumes.as_ref().iter().map(|v| &v.state))
    }

    pub(super) fn facts(&self, i: usize, d: &dyn Driver) -> Facts {
        let mut facts = Facts {
            on_no_data: self.on_no_data,
            net_config: self.net.is_some(),
            two_primaries: self.net.is_some_and(|n| n.two_primaries),
            verify_alg: self.net.is_some_and(|n| n.verify_alg),
            apv: self.apv(),
            highest_peer: self.summary().peer,
            state_sent: self.state_sent,
            ..Facts::NONE
        };
        if let Some(v) = self.peek(i) {
            facts.open = d.open_count(v.vnr) > 0;
            v.add_facts(&mut facts);
        }
        facts
    }

    /// A change of one volume that needs nobody's consent.
    pub(super) fn change(
        &mut self,
        i: usize,
        change: Change,
        mode: Mode,
        d: &mut dyn Driver,
    ) -> Result<Success, Refusal> {
        let mut change = change;
        if change.disk == Some(Disk::Failed) && self.peek(i).is_some_and(|v| v.resync.peer_done) {
            // The target has told that it has all; only the last acks are not in yet.
            change.pdsk = Some(Disk::UpToDate);
        }
        let t = propose(&self.facts(i, d), &self.state(i), &change, mode)?;
        let success = t.success();
        if !t.is_noop() {
            self.commit(i, t, d);
        }
        Ok(success)
    }

    /// Stores the new state and does all that goes with it.
    pub(super) fn commit(&mut self, i: usize, t: Transition, d: &mut dyn Driver) {
        self.look_for_progress(i, d);
        let Some(v) = self.peek(i) else { return };
        let vnr = v.vnr;
        let mut others = self.volumes.as_ref().iter();
        let facts = CommitFacts {
            others_report_params: others
                .any(|other| other.vnr != vnr && other.state.conn == Conn::WFReportParams),
            bitmap_uuid_zero: v.needs_generation(),
        };
        for effect in commit_effects(&t, &facts).iter() {
            self.commit_effect(i, vnr, &t, effect, d);
        }
    }

    fn commit_effect(
        &mut self,
        i: usize,
        vnr: u16,
        t: &Transition,
        effect: CommitEffect,
        d: &mut dyn Driver,
    ) {
        use CommitEffect as E;
        let now = d.now_ms();
        match effect {
            E::LogWarning(w) => d.perform(Effect::Log(vnr, LogLine::Warning(w))),
            E::Store => {
                for v in self.volumes.as_mut() {
                    v.state.susp = t.new.susp;
                    v.state.susp_nod = t.new.susp_nod;
                    v.state.susp_fen = t.new.susp_fen;
                }
                if let Some(v) = self.vol(i) {
                    v.raised = t.old.role != t.new.role
                        && t.old.disk < Disk::UpToDate
                        && t.new.disk == Disk::UpToDate;
                    v.state = t.new;
                    v.expose_the_peers_data(t);
                }
            }
            E::ClearStateSent => self.state_sent = false,
            E::ResyncPauses => {
                if let Some(v) = self.vol(i) {
                    v.resync.paused_since_ms = now;
                }
                d.perform(Effect::ResyncPaused { vnr, paused: true });
            }
            E::ResyncGoesOn => {
                if let Some(v) = self.vol(i) {
                    let pause = now.saturating_sub(v.resync.paused_since_ms);
                    v.resync.paused_ms = v.resync.paused_ms.saturating_add(pause);
                }
                d.perform(Effect::ResyncPaused { vnr, paused: false });
            }
            E::RecomputeFlags => self.recompute_flags(i),
            E::ExposeCurrentUuid => {
                if let Some(v) = self.vol(i) {
                    v.exposed = v.uuids().map_or(v.exposed, |u| u.current);
                }
            }
            E::ConsiderResync => {
                if let Some(v) = self.vol(i) {
                    v.consider_resync = true;
                }
            }
            E::RestartReceiver | E::StopReceiver => self.close_link(d),
            E::CloseEpoch => d.perform(Effect::CloseEpoch),
            E::BeginVerify => self.begin_verify(i, t.new.conn, d),
            E::KeepVerifyPosition => d.perform(Effect::StopVerify(vnr)),
            E::QueueAfterChange => self.after(i, vnr, t, d),
            // Told by StateChanged, or held by the driver as long as the effects of this event
            // are not performed: the log line, waiters, the disk reference, completions (the
            // superblock with the new UUID is written before the new policy is published), the
            // timer of the resync. The activity log does not exist yet.
            E::LogChange
            | E::HoldDisk
            | E::HoldCompletions
            | E::ClearResyncDone
            | E::WakeWaiters
            | E::FireResyncTimer
            | E::ResumeActivityLog
            | E::CountConnect
            | E::NoteAttachTime => {}
        }
    }

    /// The flags of the superblock follow the state.
    pub(super) fn recompute_flags(&mut self, i: usize) {
        let Some(v) = self.vol(i) else { return };
        let sources = flag_sources(&v.state, v.crashed_primary);
        let Some(disk) = &mut v.disk else { return };
        let flags = disk.superblock.flags.after_state_change(sources);
        if flags != disk.superblock.flags {
            disk.superblock.flags = flags;
            disk.dirty = true;
        }
    }

    /// The actions after a change, in their order. A new generation is durable before the policy
    /// is published that lets this copy alone acknowledge writes.
    fn after(&mut self, i: usize, vnr: u16, t: &Transition, d: &mut dyn Driver) {
        let Some(v) = self.peek(i) else { return };
        let facts = AfterFacts {
            now: v.state,
            summary: self.summary(),
            apv: self.apv(),
            bitmap_uuid_zero: v.needs_generation(),
            peer_lacks_blocks: peer_goes_at_rest(&t.old, &t.new) && d.bits_set(vnr) > 0,
            disk_exists: v.disk.is_some(),
            io_error_helper: v.was_io_error
                && d.on_io_error(vnr) == super::event::OnIoError::CallLocalIoError,
            // Said before the change: what is written for it would wait for the disk.
            force_detach: false,
            resync_after_negotiation: v.resync_after_negotiation,
        };
        let actions = after_actions(&t.old, &t.new, &facts);
        // A Primary that got its disk back while it is alone writes a generation of its own, too.
        let alone_again = !t.old.disk.is_attached()
            && t.new.disk == Disk::UpToDate
            && t.new.role == Role::Primary
            && t.new.conn < Conn::Connected
            && facts.bitmap_uuid_zero;
        let wanted = |a: crate::state::AfterAction| a.effect == AfterEffect::NewCurrentUuid;
        if alone_again || actions.iter().any(wanted) {
            self.new_current_uuid(i, d);
        }
        if t.old.conn != Conn::StartingSyncS && t.new.conn == Conn::StartingSyncS {
            self.mark_full_sync(i, d);
        } else if t.new.conn >= Conn::Connected && !t.new.conn.is_sync_source() {
            if let Some(v) = self.vol(i) {
                v.target_unaware &= t.new.conn == Conn::StartingSyncS;
            }
        }
        // What is told to the peer or published to requests is durable first.
        self.sync_metadata(i, d);
        d.perform(Effect::StateChanged {
            vnr,
            old: t.old,
            new: t.new,
        });
        self.suspension_changed(i, t, d);
        if let Some(gone) = copies_part(&t.old, &t.new) {
            d.perform(Effect::CopiesPart { vnr, gone });
        }
        for action in actions.iter() {
            self.after_effect(i, vnr, t, action.effect, d);
        }
        if t.old.conn.is_sync() && matches!(t.new.conn, Conn::SyncSource | Conn::SyncTarget) {
            // It may have come to its end while it was paused.
            self.check_finished(i, d);
        }
    }

    /// Suspension is the resource's: requests of all volumes are parked with those of this one,
    /// and go on with them.
    fn suspension_changed(&mut self, i: usize, t: &Transition, d: &mut dyn Driver) {
        if t.old.is_suspended() == t.new.is_suspended() {
            return;
        }
        for other in (0..self.count()).filter(|other| *other != i) {
            let Some(v) = self.peek(other) else { continue };
            let (vnr, new) = (v.vnr, v.state);
            let old = DeviceState {
                susp: t.old.susp,
                susp_nod: t.old.susp_nod,
                susp_fen: t.old.susp_fen,
                ..new
            };
            d.perform(Effect::StateChanged { vnr, old, new });
        }
        if t.old.is_suspended() {
            d.perform(Effect::Requests(LogEvent::Thaw));
        }
    }

    fn after_effect(
        &mut self,
        i: usize,
        vnr: u16,
        t: &Transition,
        effect: AfterEffect,
        d: &mut dyn Driver,
    ) {
        use AfterEffect as E;
        match effect {
            E::ClearCrashedPrimary => {
                if let Some(v) = self.vol(i) {
                    v.crashed_primary = false;
                }
                self.recompute_flags(i);
            }
            E::Help(helper) => d.perform(Effect::Help {
                vnr,
                helper: super::event::HelperCall::Notice(helper),
            }),
            E::TransferLog(event) => d.perform(Effect::Requests(event)),
            E::AbortDiskIo => d.perform(Effect::AbandonDisk(vnr)),
            E::ThawNoData => {
                let change = Change {
                    susp_nod: Some(false),
                    ..Change::NONE
                };
                let _ = self.change(i, change, Mode::Soft, d);
            }
            E::ThawFencing => {
                let change = Change {
                    susp_fen: Some(false),
                    ..Change::NONE
                };
                let _ = self.change(i, change, Mode::Soft, d);
            }
            E::ForgetOwedUuids => self.settle_owed_uuids(d),
            E::OweNewUuid => {
                if let Some(v) = self.vol(i) {
                    v.owes_uuid = true;
                }
            }
            E::SendSyncUuid => self.send_sync_uuid(i, d),
            E::SendUuids => self.send_uuids(i, UuidFlags::NONE, d),
            E::SendSizes => self.send_sizes(i, d),
            E::SendState => self.send(Send::State(vnr, t.new), d),
            E::ResetResync | E::DropResyncExtents => {
                if let Some(v) = self.vol(i) {
                    v.resync = super::volume::Resync::default();
                }
                d.perform(Effect::StopResync(vnr));
            }
            E::QueueBitmapSend => self.send(Send::Bitmap(vnr), d),
            E::QueueSetAllBits => d.perform(Effect::SetAllBits { vnr, report: true }),
            E::WriteBitmap | E::QueueWriteBitmapCopies => d.perform(Effect::WriteBitmap(vnr)),
            E::SyncMetadata => self.sync_metadata(i, d),
            E::ReleaseDisk => self.release_disk(i, vnr, t, d),
            E::ClearResyncAfterNegotiation => {
                if let Some(v) = self.vol(i) {
                    v.resync_after_negotiation = false;
                }
            }
            E::ResyncAfterGrow => self.resync_after_grow(i, d),
            E::PauseDependents | E::ResumeDependents => d.perform(Effect::ReviewDependents),
            // Done by StateChanged (events), or by `after` (the new UUID comes first).
            E::Notify | E::SendOldEvent | E::NewCurrentUuid | E::NewUuidSettled => {}
        }
    }

    /// The peer is back. Without its disk it lacks what was written since, all the same.
    fn settle_owed_uuids(&mut self, d: &mut dyn Driver) {
        for i in 0..self.count() {
            let Some(v) = self.vol(i) else { continue };
            if v.owes_uuid && v.state.pdsk < Disk::Inconsistent && v.bitmap_uuid_zero() {
                self.new_current_uuid(i, d);
                self.send_uuids(i, UuidFlags::NONE, d);
            } else {
                v.owes_uuid = false;
            }
        }
    }

    fn release_disk(&mut self, i: usize, vnr: u16, t: &Transition, d: &mut dyn Driver) {
        if let Some(v) = self.vol(i) {
            v.was_io_error = false;
            // A resync that was about to begin was one of this disk.
            v.starting = None;
        }
        if t.new.disk == Disk::Failed {
            d.perform(Effect::StopResync(vnr));
            d.perform(Effect::ReleaseDisk(vnr));
        } else {
            if let Some(v) = self.vol(i) {
                v.disk = None;
                v.negotiating = None;
            }
            d.perform(Effect::DestroyDisk(vnr));
            // A chain ends at a volume without a disk.
            d.perform(Effect::ReviewDependents);
        }
    }

    /// A change of all volumes and of the connection itself that needs nobody's consent.
    pub(super) fn conn_change(
        &mut self,
        change: Change,
        mode: Mode,
        d: &mut dyn Driver,
    ) -> Result<Success, Refusal> {
        self.conn_change_as(change, mode, false, d)
    }

    /// As [`Resource::conn_change`]; `of_peer` for what the peer asked for: a volume that is worse
    /// than Outdated keeps its disk then.
    pub(super) fn conn_change_as(
        &mut self,
        change: Change,
        mode: Mode,
        of_peer: bool,
        d: &mut dyn Driver,
    ) -> Result<Success, Refusal> {
        for i in 0..self.count() {
            self.look_for_progress(i, d);
        }
        self.judge_conn_change(&change, mode, of_peer, d)?;
        let old_cstate = self.cstate;
        if let Some(conn) = change.conn {
            self.cstate = conn;
        }
        let mut moved = old_cstate != self.cstate;
        for i in 0..self.count() {
            let change = self.for_volume(i, &change, of_peer);
            // Judged above; a volume that is changed by what another one's change implied keeps
            // what it has.
            if let Ok(t) = propose(&self.facts(i, d), &self.state(i), &change, mode) {
                if !t.is_noop() {
                    moved = true;
                    self.commit(i, t, d);
                }
            }
        }
        if old_cstate != self.cstate {
            d.perform(Effect::ConnChanged {
                old: old_cstate,
                new: self.cstate,
            });
            if matches!(self.cstate, Conn::Disconnecting | Conn::StandAlone)
                || (old_cstate > Conn::WFConnection && self.cstate.is_lost_link())
            {
                self.close_link(d);
            }
        }
        let susp_fen = self.peek(0).is_some_and(|v| v.state.susp_fen);
        for e in connection_actions(old_cstate, &self.summary(), susp_fen).iter() {
            match e {
                ConnectionEffect::StartReceiver => {
                    self.receiver = true;
                    d.perform(Effect::StartReceiver);
                }
                ConnectionEffect::DropConfiguration => {
                    self.net = None;
                    d.perform(Effect::DropNetConfig);
                }
                ConnectionEffect::SyncMetadata => {
                    for i in 0..self.count() {
                        self.sync_metadata(i, d);
                    }
                }
                ConnectionEffect::MakeOwedUuids => {
                    for i in 0..self.count() {
                        self.make_owed_uuid(i, d);
                    }
                }
                ConnectionEffect::TransferLog(event) => d.perform(Effect::Requests(event)),
                ConnectionEffect::ThawFencing => {
                    for i in 0..self.count() {
                        let change = Change {
                            susp_fen: Some(false),
                            ..Change::NONE
                        };
                        let _ = self.change(i, change, Mode::Soft, d);
                    }
                }
            }
        }
        Ok(if moved {
            Success::Done
        } else {
            Success::NothingToDo
        })
    }

    fn for_volume(&self, i: usize, change: &Change, of_peer: bool) -> Change {
        let mut change = *change;
        if of_peer && change.disk == Some(Disk::Outdated) && self.state(i).disk < Disk::Outdated {
            change.disk = None;
        }
        let gone = change.conn.is_some_and(|c| c < Conn::Connected);
        if gone && change.pdsk.is_none() && self.peek(i).is_some_and(|v| v.target_unaware) {
            // It may not have heard that its disk is to be replaced.
            change.pdsk = Some(Disk::DUnknown);
        }
        change
    }

    /// Whether a change of the whole connection would be accepted now.
    pub(super) fn judge_conn_change(
        &self,
        change: &Change,
        mode: Mode,
        of_peer: bool,
        d: &dyn Driver,
    ) -> Result<(), Refusal> {
        if let Some(conn) = change.conn {
            crate::state::check_conn_step(self.cstate, conn)?;
        }
        for i in 0..self.count() {
            let change = self.for_volume(i, change, of_peer);
            propose(&self.facts(i, d), &self.state(i), &change, mode)?;
        }
        Ok(())
    }

    /// Wants [`Event::PingAck`] for a ping that is sent from now on.
    pub(super) fn ping(&mut self, d: &mut dyn Driver) {
        if self.ping == Ping::None {
            self.ping = Ping::Out;
            self.send(Send::Ping, d);
        } else {
            self.ping = Ping::OutAndAgain;
        }
    }

    pub(super) fn ping_is_out(&self) -> bool {
        self.ping != Ping::None
    }

    /// P_PING_ACK. All acks that the peer sent before it have been seen.
    fn ping_acked(&mut self, d: &mut dyn Driver) {
        let again = self.ping == Ping::OutAndAgain;
        self.ping = Ping::None;
        if again {
            self.ping(d);
        } else {
            self.finish_resyncs(d);
        }
    }

    /// A new generation that is owed begins, unless another one has begun since.
    pub(super) fn make_owed_uuid(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let owed = core::mem::take(&mut v.owes_uuid);
        if owed && v.needs_generation() {
            self.new_current_uuid(i, d);
        }
    }

    /// A new generation begins on this node: the old current UUID goes to the bitmap slot. Durable
    /// before anything later is done.
    pub(super) fn new_current_uuid(&mut self, i: usize, d: &mut dyn Driver) {
        let random = d.random();
        let Some(v) = self.vol(i) else { return };
        let primary = v.state.role == Role::Primary;
        let Some(mut u) = v.uuids() else { return };
        if v.target_unaware {
            // It may have got the sync UUID all the same.
            u.clear_bitmap();
        }
        let _ = u.new_current(random, primary);
        v.set_uuids(u);
        v.exposed = u.current;
        v.owes_uuid = false;
        v.target_unaware = false;
        let vnr = v.vnr;
        d.perform(Effect::Log(
            vnr,
            LogLine::Uuids(super::event::UuidNews::NewCurrent, u),
        ));
        self.sync_metadata(i, d);
    }
}

/// From here on the two copies may differ, and what was under way before does not make them equal.
/// A disk goes, this node stops sending its writes, or it begins to catch up on those that the peer
/// did not send.
fn copies_part(old: &DeviceState, new: &DeviceState) -> Option<Gone> {
    let goes = |old: Disk, new: Disk| old >= Disk::Inconsistent && new < Disk::Inconsistent;
    let syncs = |s: &DeviceState| s.conn.is_sync_target();
    if goes(old.disk, new.disk) {
        Some(Gone::OwnDisk)
    } else if goes(old.pdsk, new.pdsk) || (replicates(old) && !replicates(new)) {
        Some(if new.disk == Disk::UpToDate {
            Gone::Peer
        } else {
            Gone::Nobody
        })
    } else if !syncs(old) && syncs(new) {
        Some(Gone::Nobody)
    } else {
        None
    }
}
