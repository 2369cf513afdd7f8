// SPDX-License-Identifier: GPL-2.0
//! A disk comes, and goes when it fails (docs/states.md, "Admin commands": attach).

use super::admin::{code, Phase};
use super::event::{DiskErrorKind, Driver, Effect, LogLine, OnIoError, UuidNews};
use super::machine::Resource;
use super::volume::{DiskData, Volume};
use crate::meta::{MdFlags, SizeInputs};
use crate::state::{Change, Conn, Disk, Fencing, Mode, Negotiating, Refusal, Role};
use crate::uuid::same;

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// attach, first half.
    pub(super) fn attach_begin(&mut self, i: usize, vnr: u16, d: &mut dyn Driver) {
        if self.state(i).disk > Disk::Diskless {
            d.perform(Effect::AdminDone(code::DISK_CONFIGURED));
            return;
        }
        if let Some(v) = self.vol(i) {
            v.was_io_error = false;
            v.resync = super::volume::Resync::default();
        }
        self.begin_plain(vnr, Change::disk(Disk::Attaching), code::NO_ERROR);
    }

    /// attach, second half, once no parameters are being exchanged; `asked`: a ping has come back,
    /// or the link is gone. `true`: it moved.
    pub(super) fn drive_attach(
        &mut self,
        vnr: u16,
        disk: DiskData,
        asked: bool,
        d: &mut dyn Driver,
    ) -> bool {
        if self.state_sent {
            return false;
        }
        if self.cstate == Conn::WFReportParams && !asked {
            // The peer is to see what the last disk did not take before it hears of this one: what
            // it marks then belongs to the bitmap that it sends.
            if let Some(job) = &mut self.job {
                job.phase = Phase::Ping;
            }
            self.ping(d);
            return true;
        }
        self.job = None;
        match self.index_of(vnr) {
            Some(i) => self.attach(i, disk, d),
            None => d.perform(Effect::AdminDone(code::NO_DISK)),
        }
        true
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
        let unnamed = v.unnamed && state.role == Role::Primary;
        let [current, ..] = sb.uuids;
        if state.pdsk != Disk::UpToDate
            && exposed != 0
            && (state.role == Role::Primary || state.peer == Role::Primary)
            && (unnamed || !same(exposed, current))
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
        // A fresh disk has agreed on nothing: all of it is new.
        self.set_size(i, size, size > sb.la_size_sect, d);
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
            let exposes_current = !v.unnamed && uuids.is_some_and(|u| same(u.current, v.exposed));
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
        self.change(i, change, Mode::Soft, d)
            .map_err(Refusal::code)?;
        if let Some(u) = uuids {
            d.perform(Effect::Log(vnr, LogLine::Uuids(UuidNews::AttachedTo, u)));
        }
        if let Some(disk) = self.vol(i).and_then(|v| v.disk.as_mut()) {
            // The disk now carries the unclean mark of a running driver.
            disk.dirty = true;
        }
        self.sync_metadata(i, d);
        d.perform(Effect::ReviewDependents);
        d.perform(Effect::AdminDone(code::NO_ERROR));
        Ok(())
    }

    /// Local I/O failed.
    pub(super) fn disk_error(&mut self, i: usize, kind: DiskErrorKind, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, state) = (v.vnr, v.state);
        let of_data = matches!(kind, DiskErrorKind::Read | DiskErrorKind::Write);
        if d.on_io_error(vnr) == OnIoError::PassOn && of_data {
            if state.disk > Disk::Inconsistent {
                let _ = self.change(i, Change::disk(Disk::Inconsistent), Mode::Hard, d);
            }
            return;
        }
        if state.disk > Disk::Failed {
            v.was_io_error = true;
        }
        if kind == DiskErrorKind::Hang && state.disk >= Disk::Failed {
            // First: nothing of what follows may wait for it.
            d.perform(Effect::AbandonDisk(vnr));
        }
        if state.disk > Disk::Failed {
            let _ = self.change(i, Change::disk(Disk::Failed), Mode::Hard, d);
        }
        let left_behind = state.role == Role::Primary
            && state.disk == Disk::UpToDate
            && state.pdsk == Disk::UpToDate;
        if left_behind && kind != DiskErrorKind::Hang {
            self.is_left_behind(i, d);
        }
    }

    /// The disk of a Primary has failed, and the peer serves on. Until that begins a generation of
    /// its own the superblocks are those of two equal disks, of which this one was Primary: if both
    /// nodes lost their power now, this disk would be the source of the next resync. So it says
    /// that it is none before any request is answered without it.
    fn is_left_behind(&mut self, i: usize, d: &mut dyn Driver) {
        if let Some(disk) = self.vol(i).and_then(|v| v.disk.as_mut()) {
            let flags = &mut disk.superblock.flags;
            *flags = flags.without(MdFlags::CONSISTENT);
            disk.dirty = true;
        }
        self.sync_metadata(i, d);
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
