// SPDX-License-Identifier: GPL-2.0
//! The administrator's commands in terms of the machine (docs/states.md, "Admin commands").
//!
//! A command is a small job: it asks for changes, one after the other, and reacts to refusals. A
//! refusal that will pass (a handshake under way) makes it wait for the next event. One job is
//! under way at a time; the driver sends the next command when it has seen
//! [`Effect::AdminDone`](super::Effect::AdminDone).

use super::cluster::Progress;
use super::event::{Command, Driver, Effect, LogLine};
use super::machine::Resource;
use super::resize::Wish;
use super::volume::{DiskData, Volume};
use crate::state::disconnect::{DisconnectRequest, DisconnectStep};
use crate::state::role::RoleRequest;
use crate::state::{Change, Conn, Disk, LogEvent, Mode, Refusal, Role, StateReturn, Success};

/// Codes of `enum drbd_ret_code` that commands here answer with (docs/interface.md).
pub(super) mod code {
    pub(in crate::peer) const NO_ERROR: i32 = 101;
    pub(in crate::peer) const DISK_CONFIGURED: i32 = 124;
    pub(in crate::peer) const NET_CONFIGURED: i32 = 125;
    pub(in crate::peer) const INTR: i32 = 129;
    pub(in crate::peer) const RESIZE_RESYNC: i32 = 130;
    pub(in crate::peer) const NO_PRIMARY: i32 = 131;
    pub(in crate::peer) const PAUSE_IS_SET: i32 = 134;
    pub(in crate::peer) const PAUSE_IS_CLEAR: i32 = 135;
    pub(in crate::peer) const NO_DISK: i32 = 138;
    pub(in crate::peer) const NOMEM: i32 = 140;
    pub(in crate::peer) const CONNECTED: i32 = 151;
    pub(in crate::peer) const DATA_NOT_CURRENT: i32 = 150;
    pub(in crate::peer) const PIC_AFTER_DEP: i32 = 156;
    pub(in crate::peer) const PIC_PEER_DEP: i32 = 157;
    pub(in crate::peer) const MINOR_CONFIGURED: i32 = 160;
}

/// What a job does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// Ask for [`Job::wish`], again while the refusal is one that passes.
    Ask,
    /// The peer is asked.
    Asked,
    /// The change is made; something else has to end.
    Settle,
    /// A ping is under way: a dead peer is found by it.
    Ping,
    /// The helper `fence-peer` runs.
    Fencing,
    /// Before a demotion: requests are under way.
    Drain,
}

/// What the command wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// Another role.
    Role {
        vnr: u16,
        role: Role,
        request: RoleRequest,
    },
    Disconnect(DisconnectRequest),
    /// The second half of attach.
    Attach {
        vnr: u16,
        disk: DiskData,
    },
    Detach {
        vnr: u16,
        force: bool,
    },
    /// One change of one volume; `ok` answers if it succeeds.
    Plain {
        vnr: u16,
        ok: i32,
    },
    Delete {
        vnr: u16,
    },
    /// I/O goes on.
    Resume {
        vnr: u16,
    },
    /// Both disks are taken as equal.
    SkipSync {
        vnr: u16,
    },
    /// Another size.
    Resize {
        vnr: u16,
        wish: Wish,
    },
}

impl Goal {
    /// The volume it is about; `None`: the connection.
    pub(super) const fn volume(&self) -> Option<u16> {
        match *self {
            Self::Disconnect(_) => None,
            Self::Role { vnr, .. }
            | Self::Attach { vnr, .. }
            | Self::Detach { vnr, .. }
            | Self::Plain { vnr, .. }
            | Self::Resume { vnr }
            | Self::SkipSync { vnr }
            | Self::Resize { vnr, .. }
            | Self::Delete { vnr } => Some(vnr),
        }
    }
}

/// A command that is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) goal: Goal,
    pub(super) phase: Phase,
    /// The change to ask for.
    pub(super) wish: Change,
    /// Hard: nobody is asked.
    pub(super) mode: Mode,
    /// A refusal goes to the log.
    pub(super) verbose: bool,
    result: Option<StateReturn>,
    /// Nobody waits for its end. Only an answer of the peer is still waited for, and followed.
    gone: bool,
}

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// Begins a command.
    pub(super) fn admin(&mut self, command: Command, d: &mut dyn Driver) {
        let vnr = match command {
            Command::Connect { .. } | Command::Disconnect { .. } => None,
            Command::AttachBegin(vnr)
            | Command::Attach(vnr, _)
            | Command::AttachAbort(vnr)
            | Command::Detach { vnr, .. }
            | Command::Primary { vnr, .. }
            | Command::Secondary(vnr)
            | Command::Outdate(vnr)
            | Command::Invalidate(vnr)
            | Command::InvalidateRemote(vnr)
            | Command::Verify(vnr)
            | Command::PauseSync(vnr, _)
            | Command::SuspendIo(vnr)
            | Command::ResumeIo(vnr)
            | Command::NewCurrentUuid { vnr, .. }
            | Command::DeleteVolume(vnr)
            | Command::Resize { vnr, .. } => Some(vnr),
        };
        let i = match vnr.map(|vnr| self.index_of(vnr)) {
            Some(None) => {
                d.perform(Effect::AdminDone(Refusal::IsDiskless.code()));
                return;
            }
            Some(Some(i)) => i,
            None => 0,
        };
        match command {
            Command::Connect {
                discard_my_data,
                dry_run,
            } => {
                self.admin_connect(discard_my_data, dry_run, d);
            }
            Command::Disconnect { force } => {
                let (request, step) = DisconnectRequest::begin(force);
                self.begin(Goal::Disconnect(request), Change::NONE);
                self.disconnect_step(step, d);
            }
            Command::AttachBegin(vnr) => self.attach_begin(i, vnr, d),
            Command::Attach(vnr, disk) => self.begin(Goal::Attach { vnr, disk }, Change::NONE),
            Command::AttachAbort(_) => {
                if let Some(v) = self.vol(i) {
                    v.disk = None;
                }
                let _ = self.change(i, Change::disk(Disk::Diskless), Mode::Hard, d);
                d.perform(Effect::AdminDone(code::NO_ERROR));
            }
            Command::Detach { vnr, force } => {
                self.begin(Goal::Detach { vnr, force }, Change::disk(Disk::Failed));
                if let (true, Some(job)) = (force, &mut self.job) {
                    job.mode = Mode::Hard;
                }
            }
            Command::Primary { vnr, force } => self.begin_role(vnr, Role::Primary, force, d),
            Command::Secondary(vnr) => self.begin_role(vnr, Role::Secondary, false, d),
            Command::Outdate(_) if self.state(i).disk < Disk::Inconsistent => {
                // While connected the adjustment would call it UpToDate, uncompared.
                let refusal = match self.state(i).disk {
                    Disk::Diskless => Refusal::IsDiskless,
                    _ => Refusal::LowerThanOutdated,
                };
                d.perform(Effect::AdminDone(refusal.code()));
            }
            Command::Outdate(vnr) => {
                self.begin_plain(vnr, Change::disk(Disk::Outdated), Success::Done.code());
            }
            Command::Invalidate(vnr) => self.invalidate(i, vnr, d),
            Command::InvalidateRemote(vnr) => self.invalidate_remote(i, vnr, d),
            Command::Verify(vnr) => {
                self.begin_plain(vnr, Change::conn(Conn::VerifyS), Success::Done.code());
            }
            Command::PauseSync(vnr, on) => self.pause(i, vnr, on, d),
            Command::SuspendIo(vnr) => {
                let change = Change {
                    susp: Some(true),
                    ..Change::NONE
                };
                self.begin_plain(vnr, change, Success::Done.code());
            }
            Command::ResumeIo(vnr) => {
                let thawed = Change {
                    susp: Some(false),
                    susp_nod: Some(false),
                    susp_fen: Some(false),
                    ..Change::NONE
                };
                self.begin(Goal::Resume { vnr }, thawed);
            }
            Command::NewCurrentUuid { vnr, clear_bitmap } => {
                if clear_bitmap && self.peer_state_is_coming(i) {
                    self.begin(Goal::SkipSync { vnr }, Change::NONE);
                    if let Some(job) = &mut self.job {
                        job.phase = Phase::Settle;
                    }
                } else {
                    self.new_generation(i, clear_bitmap, d);
                }
            }
            Command::Resize {
                vnr,
                size,
                force,
                no_resync,
            } => {
                let wish = Wish {
                    size,
                    force,
                    no_resync,
                };
                self.begin_resize(vnr, wish);
            }
            Command::DeleteVolume(vnr) => {
                let s = self.state(i);
                if s.disk != Disk::Diskless || s.role != Role::Secondary {
                    d.perform(Effect::AdminDone(code::MINOR_CONFIGURED));
                } else if s.conn == Conn::Connected {
                    self.begin(Goal::Delete { vnr }, Change::conn(Conn::WFReportParams));
                } else {
                    d.perform(Effect::AdminDone(code::NO_ERROR));
                }
            }
        }
    }

    /// A command is under way; the next one has to wait.
    #[must_use]
    pub fn job_is_running(&self) -> bool {
        self.job.is_some()
    }

    /// Who gave the command is gone: it is not pursued.
    pub(super) fn abandon_job(&mut self) {
        if let Some(job) = &mut self.job {
            job.gone = true;
        }
    }

    pub(super) fn begin(&mut self, goal: Goal, wish: Change) {
        self.job = Some(Job {
            goal,
            phase: Phase::Ask,
            wish,
            mode: Mode::Soft,
            verbose: false,
            result: None,
            gone: false,
        });
    }

    pub(super) fn begin_plain(&mut self, vnr: u16, change: Change, ok: i32) {
        self.begin(Goal::Plain { vnr, ok }, change);
    }

    /// A request that was put to the peer has its result.
    pub(super) fn job_result(&mut self, result: StateReturn) {
        if let Some(job) = &mut self.job {
            if job.phase == Phase::Asked {
                job.result = Some(result);
            }
        }
    }

    pub(super) fn end_job(&mut self, code: i32, d: &mut dyn Driver) {
        self.job = None;
        d.perform(Effect::AdminDone(code));
    }

    /// Takes the job one step on. `true`: it moved.
    pub(super) fn drive_job(&mut self, d: &mut dyn Driver) -> bool {
        let Some(mut job) = self.job else {
            return false;
        };
        if job.gone && job.phase != Phase::Asked {
            self.end_job(code::INTR, d);
            return true;
        }
        match job.phase {
            Phase::Settle => return self.settle(job.goal, d),
            Phase::Ping => return self.pinged(d),
            Phase::Fencing => return false,
            Phase::Drain => return self.drained(d),
            Phase::Ask => {
                if let Goal::Attach { vnr, disk } = job.goal {
                    return self.drive_attach(vnr, disk, false, d);
                }
                match self.ask_for(&job, d) {
                    Progress::Asked => {
                        job.phase = Phase::Asked;
                        self.job = Some(job);
                        return true;
                    }
                    Progress::Decided(result) => job.result = Some(result),
                }
            }
            Phase::Asked => {}
        }
        let Some(result) = job.result.take() else {
            return false;
        };
        job.phase = Phase::Ask;
        self.job = Some(job);
        if result == Err(Refusal::InTransientState) {
            // Again after the next event.
            return job.gone;
        }
        if let (Err(refusal), true) = (result, job.verbose) {
            self.log_refusal(&job, refusal, d);
        }
        match job.goal {
            Goal::Role { .. } => self.role_tried(result, d),
            Goal::Disconnect(mut request) => {
                let step = request.tried(result, self.cstate);
                if let Some(job) = &mut self.job {
                    job.goal = Goal::Disconnect(request);
                }
                self.disconnect_step(step, d);
            }
            Goal::Detach { .. } => self.detached(result, d),
            Goal::Plain { ok, .. } => {
                let code = match result {
                    Ok(Success::NothingToDo) => Success::NothingToDo.code(),
                    Ok(_) => ok,
                    Err(refusal) => refusal.code(),
                };
                self.end_job(code, d);
            }
            Goal::Resume { vnr } => self.resumed(vnr, result, d),
            Goal::Attach { .. }
            | Goal::Delete { .. }
            | Goal::SkipSync { .. }
            | Goal::Resize { .. } => {
                self.end_job(code::NO_ERROR, d);
            }
        }
        true
    }

    fn ask_for(&mut self, job: &Job, d: &mut dyn Driver) -> Progress {
        let Some(vnr) = job.goal.volume() else {
            return self.ask_conn(job.wish, job.mode, d);
        };
        match (self.index_of(vnr), job.mode) {
            (None, _) => Progress::Decided(Err(Refusal::IsDiskless)),
            (Some(i), Mode::Soft) => {
                if let Goal::Resume { .. } = job.goal {
                    self.before_resume(d);
                }
                self.ask(i, job.wish, d)
            }
            (Some(i), Mode::Hard) => Progress::Decided(self.change(i, job.wish, Mode::Hard, d)),
        }
    }

    fn log_refusal(&self, job: &Job, refusal: Refusal, d: &mut dyn Driver) {
        let i = job.goal.volume().map_or(Some(0), |vnr| self.index_of(vnr));
        let Some(v) = i.and_then(|i| self.peek(i)) else {
            return;
        };
        d.perform(Effect::Log(
            v.vnr,
            LogLine::Refused {
                code: refusal.code(),
                state: v.state,
                wanted: v.state.with(&job.wish),
            },
        ));
    }

    fn admin_connect(&mut self, discard_my_data: bool, dry_run: bool, d: &mut dyn Driver) {
        if self.cstate != Conn::StandAlone {
            d.perform(Effect::AdminDone(code::NET_CONFIGURED));
            return;
        }
        self.discard_my_data = discard_my_data;
        self.dry_run = dry_run;
        let result = self.conn_change(Change::conn(Conn::Unconnected), Mode::Soft, d);
        let code = match result {
            Ok(s) => s.code(),
            Err(refusal) => refusal.code(),
        };
        d.perform(Effect::AdminDone(code));
    }

    fn disconnect_step(&mut self, step: DisconnectStep, d: &mut dyn Driver) {
        let Some(job) = &mut self.job else { return };
        match step {
            DisconnectStep::Try { change, verbose } => {
                (job.wish, job.mode, job.verbose) = (change, Mode::Soft, verbose);
            }
            DisconnectStep::Force => {
                job.wish = Change::conn(Conn::Disconnecting);
                (job.mode, job.verbose) = (Mode::Hard, false);
            }
            // The receiver's end leads to StandAlone.
            DisconnectStep::Finish => job.phase = Phase::Settle,
            DisconnectStep::AlreadyAlone => self.end_job(code::NO_ERROR, d),
            DisconnectStep::Fail(refusal) => self.end_job(refusal.code(), d),
        }
    }

    fn detached(&mut self, result: StateReturn, d: &mut dyn Driver) {
        let Some(job) = &mut self.job else { return };
        match (result, job.goal) {
            (Ok(Success::NothingToDo) | Err(Refusal::IsDiskless), _) => {
                self.end_job(Success::NothingToDo.code(), d);
            }
            (Ok(_), Goal::Detach { force: true, .. }) => self.end_job(Success::Done.code(), d),
            (Ok(_), _) => job.phase = Phase::Settle,
            (Err(refusal), _) => self.end_job(refusal.code(), d),
        }
    }

    /// The change is made; is what goes with it over, too?
    fn settle(&mut self, goal: Goal, d: &mut dyn Driver) -> bool {
        match goal {
            Goal::Disconnect(_) if self.cstate == Conn::StandAlone => {
                self.end_job(code::NO_ERROR, d);
                true
            }
            Goal::Detach { vnr, .. } => {
                let gone = self
                    .index_of(vnr)
                    .is_none_or(|i| self.state(i).disk != Disk::Failed);
                if gone {
                    self.end_job(Success::Done.code(), d);
                }
                gone
            }
            Goal::SkipSync { vnr } => {
                let Some(i) = self.index_of(vnr) else {
                    self.end_job(Refusal::IsDiskless.code(), d);
                    return true;
                };
                let free = !self.peer_state_is_coming(i);
                if free {
                    self.job = None;
                    self.new_generation(i, true, d);
                }
                free
            }
            Goal::Resize { vnr, wish } => self.resize_settles(vnr, wish, d),
            _ => false,
        }
    }

    fn invalidate(&mut self, i: usize, vnr: u16, d: &mut dyn Driver) {
        let s = self.state(i);
        if !s.disk.is_attached() {
            d.perform(Effect::AdminDone(code::NO_DISK));
        } else if s.conn == Conn::StandAlone && s.role == Role::Secondary {
            let result = self.change(i, Change::disk(Disk::Inconsistent), Mode::Soft, d);
            if result.is_ok() {
                d.perform(Effect::SetAllBits { vnr, report: false });
            }
            d.perform(Effect::AdminDone(crate::state::reply_code(result)));
        } else {
            self.begin_plain(vnr, Change::conn(Conn::StartingSyncT), Success::Done.code());
        }
    }

    fn invalidate_remote(&mut self, i: usize, vnr: u16, d: &mut dyn Driver) {
        let s = self.state(i);
        if !s.disk.is_attached() {
            d.perform(Effect::AdminDone(code::NO_DISK));
        } else if s.conn == Conn::StandAlone && s.role == Role::Primary {
            let change = Change {
                pdsk: Some(Disk::Inconsistent),
                ..Change::NONE
            };
            let result = self.change(i, change, Mode::Soft, d);
            if result.is_ok() {
                d.perform(Effect::SetAllBits { vnr, report: false });
            }
            d.perform(Effect::AdminDone(crate::state::reply_code(result)));
        } else {
            self.begin_plain(vnr, Change::conn(Conn::StartingSyncS), Success::Done.code());
        }
    }

    fn pause(&mut self, i: usize, vnr: u16, on: bool, d: &mut dyn Driver) {
        let s = self.state(i);
        if s.user_isp != on {
            let change = Change {
                user_isp: Some(on),
                ..Change::NONE
            };
            self.begin_plain(vnr, change, code::NO_ERROR);
            return;
        }
        let paused = matches!(s.conn, Conn::PausedSyncS | Conn::PausedSyncT);
        d.perform(Effect::AdminDone(match on {
            true => code::PAUSE_IS_SET,
            false if paused && s.aftr_isp => code::PIC_AFTER_DEP,
            false if paused && s.peer_isp => code::PIC_PEER_DEP,
            false => code::PAUSE_IS_CLEAR,
        }));
    }

    /// What is acknowledged from now on belongs to generations of their own, where they are owed:
    /// the I/O of all volumes goes on.
    fn before_resume(&mut self, d: &mut dyn Driver) {
        for i in 0..self.count() {
            if !self.peek(i).is_some_and(|v| v.owes_uuid) {
                continue;
            }
            if self.peek(i).is_some_and(|v| v.disk.is_some()) {
                self.make_owed_uuid(i, d);
            } else {
                let random = d.random();
                if let Some(v) = self.vol(i) {
                    v.exposed = random;
                    v.owes_uuid = false;
                }
            }
        }
    }

    fn resumed(&mut self, vnr: u16, result: StateReturn, d: &mut dyn Driver) {
        let conn = self.volume(vnr).map_or(self.cstate, |v| v.state.conn);
        if result == Ok(Success::Done) && conn < Conn::Connected {
            d.perform(Effect::Requests(LogEvent::ConnectionLostWhilePending));
        }
        self.end_job(crate::state::reply_code(result), d);
    }
}
