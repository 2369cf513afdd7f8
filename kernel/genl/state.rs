// SPDX-License-Identifier: GPL-2.0

//! Changes of state by hand, and questions about it: primary, secondary, outdate, invalidate,
//! pause-sync, suspend-io, verify and their kin.

use core::sync::atomic::Ordering;
use drbd_core::admin::{tell, Answer, Judged};
use drbd_core::genl::request::{SetRoleParms, StartOvParms};
use drbd_core::genl::status::SibReason;
use drbd_core::genl::{Nest, Writer};
use drbd_core::peer::Command;
use drbd_core::state::Conn;

use super::{machine, status, too_long, Call};

impl Call<'_> {
    /// One command of the machine about the device.
    pub(super) fn change(&self, command: impl FnOnce(u16) -> Command) -> Judged<Answer> {
        let device = self.device()?;
        let _turn = self.turn(&device.resource)?;
        Ok(machine(device.resource.command(command(device.vnr))))
    }

    #[inline(never)]
    pub(super) fn primary(&mut self) -> Judged<Answer> {
        let force = match self.payload::<SetRoleParms>() {
            Some(payload) => SetRoleParms::create(payload)?.0.assume_uptodate,
            None => false,
        };
        self.change(|vnr| Command::Primary { vnr, force })
    }

    #[inline(never)]
    pub(super) fn secondary(&mut self) -> Judged<Answer> {
        if let Some(payload) = self.payload::<SetRoleParms>() {
            SetRoleParms::create(payload)?;
        }
        self.change(Command::Secondary)
    }

    #[inline(never)]
    pub(super) fn outdate(&mut self) -> Judged<Answer> {
        self.change(Command::Outdate)
    }

    #[inline(never)]
    pub(super) fn invalidate(&mut self) -> Judged<Answer> {
        self.change(Command::Invalidate)
    }

    #[inline(never)]
    pub(super) fn invalidate_remote(&mut self) -> Judged<Answer> {
        let answer = self.change(Command::InvalidateRemote)?;
        let device = self.device()?;
        let alone = device.resource.state_of(device.vnr).conn == Conn::StandAlone;
        if answer.code.is_success() && alone {
            device.suspend_al();
        }
        Ok(answer)
    }

    #[inline(never)]
    pub(super) fn pause_sync(&mut self, on: bool) -> Judged<Answer> {
        self.change(|vnr| Command::PauseSync(vnr, on))
    }

    #[inline(never)]
    pub(super) fn suspend_io(&mut self) -> Judged<Answer> {
        self.change(Command::SuspendIo)
    }

    #[inline(never)]
    pub(super) fn resume_io(&mut self) -> Judged<Answer> {
        self.change(Command::ResumeIo)
    }

    #[inline(never)]
    pub(super) fn verify(&mut self) -> Judged<Answer> {
        let parms = match self.payload::<StartOvParms>() {
            Some(payload) => StartOvParms::create(payload)?.0,
            None => StartOvParms::default(),
        };
        let device = self.device()?;
        let _turn = self.turn(&device.resource)?;
        crate::verify::plan(&device, parms.ov_start_sector, parms.ov_stop_sector);
        Ok(machine(
            device.resource.command(Command::Verify(device.vnr)),
        ))
    }

    #[inline(never)]
    pub(super) fn timeout_type(&mut self, writer: &mut Writer<'_>) -> Judged<Answer> {
        let device = self.device()?;
        let volume = device
            .resource
            .view(|view| status::volume(view, device.vnr));
        let degraded = device.degraded.load(Ordering::Relaxed);
        tell::timeout_parms(&volume.state, degraded)
            .put(writer)
            .map_err(too_long)?;
        Ok(Answer::OK)
    }

    #[inline(never)]
    pub(super) fn get_status(&mut self, writer: &mut Writer<'_>) -> Judged<Answer> {
        let device = self.device()?;
        status::put_status(&device, writer, SibReason::StatusReply, |_| {}).map_err(too_long)?;
        Ok(Answer::OK)
    }
}
