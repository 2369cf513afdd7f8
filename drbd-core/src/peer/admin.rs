// SPDX-License-Identifier: GPL-2.0
//! The administrator's commands in terms of the machine (docs/states.md, "Admin commands").
//!
//! A command is a small job: it asks for changes, one after the other, and reacts to refusals. A
//! refusal that will pass (a handshake under way) makes it wait for the next event. One job is
//! under way at a time; the driver sends the next command when it has seen
//! [`Effect::AdminDone`](super::Effect::AdminDone).

use super::cluster::Progress;
use super::event::{Command, DiskErrorKind, Driver, Effect, LogLine, OnIoError, UuidNews};
use super::machine::Resource;
use super::volume::{DiskData, Volume};
use crate::meta::{MdFlags, SizeInputs};
use crate::state::{
    Change, Conn, Disk, Fencing, LogEvent, Mode, Negotiating, Refusal, Role, StateReturn, Success,
};

/// Codes of `enum drbd_ret_code` that commands here answer with (docs/interface.md).
mod code {
    pub(super) const NO_ERROR: i32 = 101;
    pub(super) const DISK_CONFIGURED: i32 = 124;
    pub(super) const NET_CONFIGURED: i32 = 125;
    pub(super) const PAUSE_IS_SET: i32 = 134;
    pub(super) const PAUSE_IS_CLEAR: i32 = 135;
    pub(super) const NO_DISK: i32 = 138;
    pub(super) const NOMEM: i32 = 140;
    pub(super) const DATA_NOT_CURRENT: i32 = 150;
    pub(super) const PIC_AFTER_DEP: i32 = 156;
    pub(super) const PIC_PEER_DEP: i32 = 157;
    pub(super) const MINOR_CONFIGURED: i32 = 160;
}

/// What a job does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Ask (again).
    Ask,
    /// The peer is asked.
    Asked,
    /// The change is made; something else has to end.
    Settle,
}

/// What the command wants.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    Promote {
        vnr: u16,
        force: bool,
        disk: bool,
        forced: bool,
        again: bool,
    },
    Demote {
        vnr: u16,
    },
    Disconnect {
        force: bool,
        outdate: bool,
    },
    Detach {
        vnr: u16,
        force: bool,
    },
    /// One change of one volume; `ok` answers if it succeeds.
    Plain {
        vnr: u16,
        change: Change,
        ok: i32,
    },
    Delete {
        vnr: u16,
    },
}

/// A command that is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Job {
    goal: Goal,
    phase: Phase,
    result: Option<StateReturn>,
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
            | Command::PauseSync(vnr, _)
            | Command::SuspendIo(vnr)
            | Command::ResumeIo(vnr)
            | Command::DeleteVolume(vnr) => Some(vnr),
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
                self.begin(Goal::Disconnect {
                    force,
                    outdate: false,
                });
            }
            Command::AttachBegin(_) => self.attach_begin(i, d),
            Command::Attach(_, disk) => self.attach(i, disk, d),
            Command::AttachAbort(_) => {
                if let Some(v) = self.vol(i) {
                    v.disk = None;
                }
                let _ = self.change(i, Change::disk(Disk::Diskless), Mode::Hard, d);
                d.perform(Effect::AdminDone(code::NO_ERROR));
            }
            Command::Detach { vnr, force } => self.begin(Goal::Detach { vnr, force }),
            Command::Primary { vnr, force } => self.begin(Goal::Promote {
                vnr,
                force,
                disk: false,
                forced: false,
                again: false,
            }),
            Command::Secondary(vnr) => self.begin(Goal::Demote { vnr }),
            Command::Outdate(vnr) => {
                self.begin_plain(vnr, Change::disk(Disk::Outdated), Success::Done.code());
            }
            Command::Invalidate(vnr) => self.invalidate(i, vnr, d),
            Command::InvalidateRemote(vnr) => self.invalidate_remote(i, vnr, d),
            Command::PauseSync(vnr, on) => self.pause(i, vnr, on, d),
            Command::SuspendIo(vnr) => {
                let change = Change {
                    susp: Some(true),
                    ..Change::NONE
                };
                self.begin_plain(vnr, change, Success::Done.code());
            }
            Command::ResumeIo(_) => self.resume_io(i, d),
            Command::DeleteVolume(vnr) => {
                let s = self.state(i);
                if s.disk != Disk::Diskless || s.role != Role::Secondary {
                    d.perform(Effect::AdminDone(code::MINOR_CONFIGURED));
                } else if s.conn == Conn::Connected {
                    self.begin(Goal::Delete { vnr });
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

    fn begin(&mut self, goal: Goal) {
        self.job = Some(Job {
            goal,
            phase: Phase::Ask,
            result: None,
        });
    }

    fn begin_plain(&mut self, vnr: u16, change: Change, ok: i32) {
        self.begin(Goal::Plain { vnr, change, ok });
    }

    /// A request that was put to the peer has its result.
    pub(super) fn job_result(&mut self, result: StateReturn, _d: &mut dyn Driver) {
        if let Some(job) = &mut self.job {
            if job.phase == Phase::Asked {
                job.result = Some(result);
            }
        }
    }

    fn end_job(&mut self, code: i32, d: &mut dyn Driver) {
        self.job = None;
        d.perform(Effect::AdminDone(code));
    }

    /// Takes the job one step on. `true`: it moved.
    pub(super) fn drive_job(&mut self, d: &mut dyn Driver) -> bool {
        let Some(mut job) = self.job else {
            return false;
        };
        if job.phase == Phase::Settle {
            return self.settle(job.goal, d);
        }
        if job.phase == Phase::Ask {
            match self.ask_for(&job.goal, d) {
                Progress::Asked => {
                    job.phase = Phase::Asked;
                    self.job = Some(job);
                    return true;
                }
                Progress::Decided(result) => job.result = Some(result),
            }
        }
        let Some(result) = job.result.take() else {
            return false;
        };
        job.phase = Phase::Ask;
        if result == Err(Refusal::InTransientState) {
            // Again after the next event.
            self.job = Some(job);
            return false;
        }
        self.job = Some(job);
        match job.goal {
            Goal::Promote { .. } => self.promoted(job, result, d),
            Goal::Demote { vnr } => self.demoted(vnr, result, d),
            Goal::Disconnect { outdate, .. } => self.disconnected(outdate, result, d),
            Goal::Detach { .. } => self.detached(result, d),
            Goal::Plain { ok, .. } => {
                let code = match result {
                    Ok(Success::NothingToDo) => Success::NothingToDo.code(),
                    Ok(_) => ok,
                    Err(refusal) => refusal.code(),
                };
                self.end_job(code, d);
            }
            Goal::Delete { .. } => self.end_job(code::NO_ERROR, d),
        }
        true
    }

    fn ask_for(&mut self, goal: &Goal, d: &mut dyn Driver) -> Progress {
        let (vnr, change) = match *goal {
            Goal::Promote { vnr, disk, .. } => (
                vnr,
                Change {
                    role: Some(Role::Primary),
                    disk: disk.then_some(Disk::UpToDate),
                    ..Change::NONE
                },
            ),
            Goal::Demote { vnr } => (vnr, Change::role(Role::Secondary)),
            Goal::Disconnect { force, outdate } => {
                let change = Change {
                    conn: Some(Conn::Disconnecting),
                    disk: outdate.then_some(Disk::Outdated),
                    ..Change::NONE
                };
                return self.ask_conn(change, if force { Mode::Hard } else { Mode::Soft }, d);
            }
            Goal::Detach { vnr, force } => {
                let change = Change::disk(Disk::Failed);
                if force {
                    let Some(i) = self.index_of(vnr) else {
                        return Progress::Decided(Err(Refusal::IsDiskless));
                    };
                    return Progress::Decided(self.change(i, change, Mode::Hard, d));
                }
                (vnr, change)
            }
            Goal::Plain { vnr, change, .. } => (vnr, change),
            Goal::Delete { vnr } => (vnr, Change::conn(Conn::WFReportParams)),
        };
        match self.index_of(vnr) {
            Some(i) => self.ask(i, change, d),
            None => Progress::Decided(Err(Refusal::IsDiskless)),
        }
    }

    fn promoted(&mut self, mut job: Job, result: StateReturn, d: &mut dyn Driver) {
        let Goal::Promote {
            vnr,
            force,
            disk,
            forced,
            again,
        } = &mut job.goal
        else {
            return;
        };
        let Some(i) = self.index_of(*vnr) else { return };
        let state = self.state(i);
        let dont_care = self
            .peek(i)
            .and_then(|v| v.disk.as_ref())
            .is_none_or(|disk| disk.fencing == Fencing::DontCare);
        match result {
            Ok(Success::NothingToDo) => self.end_job(Success::NothingToDo.code(), d),
            Ok(_) => {
                let forced = *forced;
                self.after_promotion(i, forced, d);
                self.end_job(Success::Done.code(), d);
            }
            Err(Refusal::NoUpToDateDisk)
                if !*disk && *force && state.disk.is_attached() && state.disk < Disk::UpToDate =>
            {
                d.perform(Effect::Log(*vnr, LogLine::ForcedUpToDate));
                *disk = true;
                *forced = true;
                self.job = Some(job);
            }
            // Nobody has to be fenced: Consistent data is taken as it is.
            Err(Refusal::NoUpToDateDisk)
                if !*disk && state.disk == Disk::Consistent && dont_care =>
            {
                *disk = true;
                self.job = Some(job);
            }
            // The peer may be dead without our knowing: one more try after its pings had time.
            Err(Refusal::CwFailedByPeer) if !*again => {
                *again = true;
                self.job = Some(job);
            }
            Err(refusal) => {
                let (vnr, wanted) = (*vnr, state.with(&Change::role(Role::Primary)));
                d.perform(Effect::Log(
                    vnr,
                    LogLine::Refused {
                        code: refusal.code(),
                        state,
                        wanted,
                    },
                ));
                self.end_job(refusal.code(), d);
            }
        }
    }

    fn after_promotion(&mut self, i: usize, forced: bool, d: &mut dyn Driver) {
        self.discard_my_data = false;
        let s = self.state(i);
        let alone = s.conn < Conn::Connected || s.pdsk <= Disk::Failed;
        let fresh = self.peek(i).is_some_and(Volume::bitmap_uuid_zero);
        if s.disk.is_attached() && ((alone && fresh) || forced) {
            self.new_current_uuid(i, d);
        }
        self.role_bit(i, true, d);
        if s.conn >= Conn::WFReportParams {
            if forced {
                self.send_uuids(i, crate::wire::UuidFlags::NONE, d);
            }
            self.send_state(i, d);
        }
        self.publish_read_only(i, false, d);
    }

    fn demoted(&mut self, vnr: u16, result: StateReturn, d: &mut dyn Driver) {
        let Some(i) = self.index_of(vnr) else { return };
        match result {
            Ok(Success::NothingToDo) => self.end_job(Success::NothingToDo.code(), d),
            Ok(_) => {
                self.role_bit(i, false, d);
                if self.state(i).conn >= Conn::WFReportParams {
                    self.send_state(i, d);
                }
                self.publish_read_only(i, true, d);
                self.end_job(Success::Done.code(), d);
            }
            Err(refusal) => {
                let state = self.state(i);
                let wanted = state.with(&Change::role(Role::Secondary));
                d.perform(Effect::Log(
                    vnr,
                    LogLine::Refused {
                        code: refusal.code(),
                        state,
                        wanted,
                    },
                ));
                self.end_job(refusal.code(), d);
            }
        }
    }

    fn role_bit(&mut self, i: usize, primary: bool, d: &mut dyn Driver) {
        if let Some(v) = self.vol(i) {
            if let Some(mut u) = v.uuids() {
                u.set_primary(primary);
                v.set_uuids(u);
                if v.state.disk >= Disk::Consistent {
                    v.exposed = u.current;
                }
            }
        }
        self.sync_metadata(i, d);
    }

    fn publish_read_only(&mut self, i: usize, read_only: bool, d: &mut dyn Driver) {
        if let Some(vnr) = self.peek(i).map(|v| v.vnr) {
            d.perform(Effect::SetReadOnly { vnr, read_only });
        }
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

    fn disconnected(&mut self, outdate: bool, result: StateReturn, d: &mut dyn Driver) {
        let Some(job) = &mut self.job else { return };
        match result {
            Ok(_) | Err(Refusal::AlreadyStandAlone) => {
                job.phase = Phase::Settle;
            }
            Err(Refusal::CwFailedByPeer) if self.cstate <= Conn::WFConnection => {}
            Err(Refusal::CwFailedByPeer) if !outdate => {
                job.goal = Goal::Disconnect {
                    force: false,
                    outdate: true,
                };
            }
            Err(Refusal::IsDiskless | Refusal::LowerThanOutdated) if outdate => {
                job.goal = Goal::Disconnect {
                    force: true,
                    outdate: false,
                };
            }
            Err(refusal) => self.end_job(refusal.code(), d),
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
            Goal::Disconnect { .. } if self.cstate == Conn::StandAlone => {
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
            _ => false,
        }
    }

    fn attach_begin(&mut self, i: usize, d: &mut dyn Driver) {
        if self.state(i).disk > Disk::Diskless {
            d.perform(Effect::AdminDone(code::DISK_CONFIGURED));
            return;
        }
        if let Some(v) = self.vol(i) {
            v.was_io_error = false;
            v.resync = super::volume::Resync::default();
        }
        let code = match self.change(i, Change::disk(Disk::Attaching), Mode::Soft, d) {
            Ok(_) => code::NO_ERROR,
            Err(refusal) => refusal.code(),
        };
        d.perform(Effect::AdminDone(code));
    }

    /// The metadata is read and fits the device: the disk joins.
    fn attach(&mut self, i: usize, disk: DiskData, d: &mut dyn Driver) {
        if let Err(code) = self.try_attach(i, disk, d) {
            if let Some(v) = self.vol(i) {
                v.disk = None;
                v.negotiating = None;
            }
            let _ = self.change(i, Change::disk(Disk::Diskless), Mode::Hard, d);
            d.perform(Effect::AdminDone(code));
        }
    }

    fn try_attach(&mut self, i: usize, disk: DiskData, d: &mut dyn Driver) -> Result<(), i32> {
        let sb = disk.superblock;
        let susp_nod = self.state(i).susp_nod;
        let v = self.vol(i).ok_or(code::NO_DISK)?;
        let (vnr, state, exposed) = (v.vnr, v.state, v.exposed);
        let [current, ..] = sb.uuids;
        if state.pdsk != Disk::UpToDate
            && exposed != 0
            && (state.role == Role::Primary || state.peer == Role::Primary)
            && exposed & !1 != current & !1
        {
            return Err(code::DATA_NOT_CURRENT);
        }
        let has = |flag| sb.flags.contains(flag);
        v.crashed_primary = has(MdFlags::CRASHED_PRIMARY)
            || (has(MdFlags::PRIMARY_IND) && !(state.role == Role::Primary && susp_nod));
        let full = has(MdFlags::FULL_SYNC) || (v.crashed_primary && has(MdFlags::AL_DISABLED));
        v.disk = Some(disk);
        v.mark_running();
        let inputs = SizeInputs {
            own: disk.usable,
            peer: v.peer.disk_size,
            last_agreed: sb.la_size_sect,
            user: disk.user_size,
            assume_peer_has_space: false,
        };
        let (now, size) = (v.size, inputs.agreed().size);
        if size == 0 || size < now {
            return Err(code::NOMEM);
        }
        let grown = sb.la_size_sect != 0 && size > sb.la_size_sect;
        self.set_size(i, size, grown, d);
        if full {
            d.perform(Effect::Log(vnr, LogLine::AssumingFullSync));
            d.perform(Effect::SetAllBits { vnr, report: false });
        }
        self.attach_state(i, sb.flags, d)
    }

    /// The state of the disk that the metadata promises, or Negotiating while the peer has a say.
    fn attach_state(&mut self, i: usize, flags: MdFlags, d: &mut dyn Driver) -> Result<(), i32> {
        let fencing = self
            .peek(i)
            .and_then(|v| v.disk.as_ref())
            .map_or(Fencing::DontCare, |d| d.fencing);
        let v = self.vol(i).ok_or(code::NO_DISK)?;
        let (vnr, state) = (v.vnr, v.state);
        let mut disk = match (flags.contains(MdFlags::CONSISTENT), flags) {
            (false, _) => Disk::Inconsistent,
            (true, f) if f.contains(MdFlags::WAS_UP_TO_DATE) => Disk::Consistent,
            (true, _) => Disk::Outdated,
        };
        let mut pdsk = state.pdsk;
        if flags.contains(MdFlags::PEER_OUT_DATED) {
            pdsk = Disk::Outdated;
        }
        if disk == Disk::Consistent && (pdsk == Disk::Outdated || fencing == Fencing::DontCare) {
            disk = Disk::UpToDate;
        }
        let uuids = v.uuids();
        let change = if state.conn == Conn::Connected {
            let exposes_current = uuids.is_some_and(|u| u.current == v.exposed);
            v.negotiating = Some(Negotiating {
                disk,
                pdsk,
                exposes_current,
            });
            v.peer.uuids = None;
            Change::disk(Disk::Negotiating)
        } else {
            Change {
                disk: Some(disk),
                pdsk: Some(pdsk),
                ..Change::NONE
            }
        };
        if let Some(u) = uuids {
            d.perform(Effect::Log(vnr, LogLine::Uuids(UuidNews::AttachedTo, u)));
        }
        self.change(i, change, Mode::Soft, d)
            .map_err(Refusal::code)?;
        if let Some(disk) = self.vol(i).and_then(|v| v.disk.as_mut()) {
            // The disk now carries the unclean mark of a running driver.
            disk.dirty = true;
        }
        self.sync_metadata(i, d);
        d.perform(Effect::AdminDone(code::NO_ERROR));
        Ok(())
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

    fn resume_io(&mut self, i: usize, d: &mut dyn Driver) {
        if self.peek(i).is_some_and(|v| v.owes_uuid) {
            if self.peek(i).is_some_and(|v| v.disk.is_some()) {
                self.new_current_uuid(i, d);
            } else {
                let random = d.random();
                if let Some(v) = self.vol(i) {
                    v.exposed = random;
                    v.owes_uuid = false;
                }
            }
        }
        let change = Change {
            susp: Some(false),
            susp_nod: Some(false),
            susp_fen: Some(false),
            ..Change::NONE
        };
        let result = self.change(i, change, Mode::Soft, d);
        if result == Ok(Success::Done) && self.state(i).conn < Conn::Connected {
            d.perform(Effect::Requests(LogEvent::ConnectionLostWhilePending));
        }
        d.perform(Effect::AdminDone(crate::state::reply_code(result)));
    }

    /// Local I/O failed.
    pub(super) fn disk_error(&mut self, i: usize, kind: DiskErrorKind, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, state) = (v.vnr, v.state);
        if d.on_io_error(vnr) == OnIoError::PassOn && kind != DiskErrorKind::Metadata {
            if state.disk > Disk::Inconsistent {
                let _ = self.change(i, Change::disk(Disk::Inconsistent), Mode::Hard, d);
            }
            return;
        }
        if state.disk > Disk::Failed {
            v.was_io_error = true;
            let _ = self.change(i, Change::disk(Disk::Failed), Mode::Hard, d);
        }
    }

    /// Nobody uses the failed disk any more.
    pub(super) fn disk_idle(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.peek(i) else { return };
        if v.state.disk == Disk::Failed {
            d.perform(Effect::WriteBitmap(v.vnr));
            let _ = self.change(i, Change::disk(Disk::Diskless), Mode::Hard, d);
        }
    }
}
