// SPDX-License-Identifier: GPL-2.0

//! Resources and minors come and go: new-resource, resource-options, new-minor, del-minor,
//! del-resource, down.

use core::fmt::Display;
use drbd_core::admin::{create, Answer, Judged};
use drbd_core::config::processors::Reading;
use drbd_core::config::ResOpts;
use drbd_core::genl::context::text;
use drbd_core::genl::ErrCode;
use drbd_core::peer::{Command, Setting};
use drbd_core::state::Conn;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{machine, no_memory, Call};
use crate::crew::Choice;
use crate::device::Device;
use crate::resource::Resource;
use crate::sys::cpus;
use crate::sys::log::{log, Level};
use crate::{events, progress};

impl Call<'_> {
    #[inline(never)]
    pub(super) fn new_resource(&mut self) -> Judged<Answer> {
        let opts = create::resource_options(self.payload::<ResOpts>())?;
        let name = create::resource_name(self.context.as_ref())?;
        let _creation = crate::registry().creation();
        if self.resource.is_some() || crate::registry().resource(name.as_bytes()).is_some() {
            return Ok(create::resource_exists(self.exclusive));
        }
        let processors = processors(&name, create::processors(&opts, cpus::possible()))?;
        let name = CStr::from_bytes_with_nul(name.as_bytes_with_nul()).map_err(no_memory)?;
        let on_no_data = opts.on_no_data.into();
        let resource = Resource::new(name, opts, processors).map_err(no_memory)?;
        resource.with_owner(|owner| owner.core.set(Setting::OnNoData(on_no_data)));
        crate::registry()
            .add_resource(resource.clone())
            .map_err(no_memory)?;
        events::resource_created(&resource);
        Ok(Answer::OK)
    }

    #[inline(never)]
    pub(super) fn resource_options(&mut self) -> Judged<Answer> {
        let resource = self.resource()?;
        let _turn = self.turn(&resource)?;
        let old = resource.view(|view| view.opts.clone());
        let defaults = self.header.sets_defaults();
        let new = create::changed_resource_options(&old, self.payload::<ResOpts>(), defaults)?;
        let reading = create::changed_processors(&new, cpus::possible());
        let processors = processors(&*resource, reading)?;
        resource.with_owner(|owner| {
            owner.core.set(Setting::OnNoData(new.on_no_data.into()));
            owner.opts = new;
        });
        if !resource.crew.choose(processors) {
            log!(
                Level::Warning,
                *resource,
                "cpu-mask: none of these processors is on line, threads stay where they are"
            );
        }
        Ok(Answer::OK)
    }

    #[inline(never)]
    pub(super) fn new_minor(&mut self) -> Judged<Answer> {
        let (minor, vnr) = create::minor(self.header.minor, self.context.as_ref())?;
        let resource = self.resource()?;
        // The device may exist, or not any more.
        self.device = None;
        let _turn = self.turn(&resource)?;
        let _creation = crate::registry().creation();
        if let Some(device) = crate::registry().device(minor) {
            let same = Arc::ptr_eq(&device.resource, &resource) && device.vnr == vnr;
            return Ok(create::minor_exists(self.exclusive || !same));
        }
        if resource.device(vnr).is_some() {
            return Ok(create::minor_exists(true));
        }
        events::reserve(&resource).map_err(no_memory)?;
        let device = Device::new(resource.clone(), minor, vnr).map_err(no_memory)?;
        if crate::registry().add_device(device.clone()).is_err() {
            remove(&device);
            return Ok(ErrCode::NoMem.into());
        }
        if resource.add_device(device.clone()).is_err() {
            crate::registry().remove_device(&device);
            remove(&device);
            return Ok(ErrCode::NoMem.into());
        }
        events::device_created(&device);
        Ok(Answer::OK)
    }

    #[inline(never)]
    pub(super) fn del_minor(&mut self) -> Judged<Answer> {
        let device = self.device()?;
        let _turn = self.turn(&device.resource)?;
        Ok(delete_minor(&device))
    }

    #[inline(never)]
    pub(super) fn del_resource(&mut self) -> Judged<Answer> {
        let resource = self.resource()?;
        let _turn = self.turn(&resource)?;
        Ok(delete_resource(&resource))
    }

    #[inline(never)]
    pub(super) fn down(&mut self) -> Judged<Answer> {
        let resource = self.resource()?;
        let _turn = self.turn(&resource)?;
        for device in resource.devices().iter() {
            let answer = machine(resource.command(Command::Secondary(device.vnr)));
            if !answer.code.is_success() {
                return Ok(answer.saying(text::FAILED_TO_DEMOTE));
            }
        }
        let answer = super::net::disconnect(&resource, false);
        if !answer.code.is_success() {
            return Ok(answer.saying(text::FAILED_TO_DISCONNECT));
        }
        for device in resource.devices().iter() {
            let detach = Command::Detach {
                vnr: device.vnr,
                force: false,
            };
            let answer = machine(resource.command(detach));
            if !answer.code.is_success() {
                return Ok(answer.saying(text::FAILED_TO_DETACH));
            }
        }
        for device in resource.devices().iter() {
            let answer = delete_minor(device);
            if !answer.code.is_success() {
                return Ok(answer.saying(text::FAILED_TO_DELETE_VOLUME));
            }
        }
        Ok(delete_resource(&resource))
    }
}

/// What was read of `cpu-mask`, with the memory that it takes, and a line in the log for what is
/// odd. May sleep.
fn processors(resource: &dyn Display, reading: Result<Reading, Answer>) -> Judged<Choice> {
    let reading = reading.inspect_err(|_| {
        log!(Level::Warning, resource, "cpu-mask: this is no bitmap");
    })?;
    if reading.cut {
        let possible = cpus::possible();
        log!(
            Level::Warning,
            resource,
            "cpu-mask: cut to the {possible} processors that there can be"
        );
    }
    Choice::of(reading.processors).map_err(no_memory)
}

/// Takes a device out, if it is Diskless and Secondary. It is the caller's turn.
fn delete_minor(device: &Arc<Device>) -> Answer {
    let resource = &device.resource;
    let answer = machine(resource.command(Command::DeleteVolume(device.vnr)));
    if !answer.code.is_success() {
        return answer;
    }
    let _creation = crate::registry().creation();
    crate::registry().remove_device(device);
    drop(resource.remove_device(device.vnr));
    events::device_destroyed(device);
    remove(device);
    answer
}

/// Ends what a device does by itself, and removes its disk. May sleep.
fn remove(device: &Arc<Device>) {
    progress::stop(device);
    crate::patience::stop(device);
    device.remove();
    crate::later().stop(device);
}

/// Takes a resource out, if nothing is left of it. It is the caller's turn.
fn delete_resource(resource: &Arc<Resource>) -> Answer {
    if resource.view(|view| view.cstate) > Conn::StandAlone {
        return ErrCode::NetConfigured.into();
    }
    if !resource.devices().is_empty() {
        return ErrCode::ResInUse.into();
    }
    resource.join_receiver();
    let _creation = crate::registry().creation();
    events::resource_destroyed(resource);
    crate::registry().remove_resource(resource);
    Answer::OK
}
