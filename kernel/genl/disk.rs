// SPDX-License-Identifier: GPL-2.0

//! attach, detach, disk-options, resize, new-current-uuid.

use core::fmt;
use core::sync::atomic::Ordering;
use drbd_core::admin::{disk, Answer, Denied, Info, Judged};
use drbd_core::config::disk::DeviceName;
use drbd_core::config::DiskConf;
use drbd_core::genl::context::text;
use drbd_core::genl::request::{DetachParms, NewCUuidParms, ResizeParms};
use drbd_core::genl::{ErrCode, Nest};
use drbd_core::meta::MdIndex;
use drbd_core::peer::{Command, DiskData, Send, Setting};
use drbd_core::state::{Conn, Disk};
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{machine, no_memory, status, Call};
use crate::activity::Kept;
use crate::backing::Backing;
use crate::dependents;
use crate::device::Device;
use crate::log::{say, About};
use crate::patience;
use crate::sys::bdev::{BackingDev, Holder};
use crate::sys::log::Level;

impl Call<'_> {
    #[inline(never)]
    pub(super) fn attach(&mut self) -> Judged<Answer> {
        let device = self.device()?;
        let resource = device.resource.clone();
        let _turn = self.turn(&resource)?;
        if resource.state_of(device.vnr).disk > Disk::Diskless {
            return Ok(ErrCode::DiskConfigured.into());
        }
        let (backing, data) = open(&device, self.payload::<DiskConf>())?;
        let answer = machine(resource.command(Command::AttachBegin(device.vnr)));
        if !answer.code.is_success() {
            give_up(&device);
            return Ok(answer);
        }
        let volume = resource.view(|view| status::volume(view, device.vnr));
        device
            .degraded
            .store(disk::is_degraded(&data, &volume.state), Ordering::Relaxed);
        device.counters.forget_traffic();
        device.set_local(backing);
        let answer = machine(resource.command(Command::Attach(device.vnr, data)));
        if answer.code.is_success() {
            patience::watch(&device);
            device.with_disk(|disk| disk.uevent_change());
        } else {
            give_up(&device);
            if resource.state_of(device.vnr).disk == Disk::Diskless {
                // The machine has given the disk up, or never had it.
                device.close_local();
            }
        }
        Ok(answer)
    }

    #[inline(never)]
    pub(super) fn detach(&mut self) -> Judged<Answer> {
        let force = match self.payload::<DetachParms>() {
            Some(payload) => DetachParms::create(payload)?.0.force_detach,
            None => false,
        };
        self.change(|vnr| Command::Detach { vnr, force })
    }

    #[inline(never)]
    pub(super) fn disk_options(&mut self) -> Judged<Answer> {
        let device = self.device()?;
        let resource = &device.resource;
        let _turn = self.turn(resource)?;
        let (volume, cstate) =
            resource.view(|view| (status::volume(view, device.vnr), view.cstate));
        let old = device
            .local()
            .filter(|_| volume.state.disk >= Disk::Inconsistent)
            .map(|local| local.conf());
        let Some(old) = old else {
            return Ok(ErrCode::NoDisk.into());
        };
        let defaults = self.header.sets_defaults();
        let mut conf =
            disk::changed_conf(&old, self.payload::<DiskConf>(), defaults, device.minor)?;
        match device.local() {
            Some(local) => limit(&mut conf, &local),
            None => return Ok(ErrCode::NoDisk.into()),
        }
        disk::no_circle(&conf, device.minor, dependents::after_minor)?;
        if conf.al_extents != old.al_extents {
            if let Some(refusal) = set_al_extents(&device, &conf) {
                return Ok(refusal);
            }
        }
        if conf.al_updates != old.al_updates && set_al_updates(&device, &conf).is_err() {
            return Ok(metadata_failed(&device));
        }
        resource.with_owner(|owner| {
            let fencing = conf.fencing.into();
            owner.core.set(Setting::Fencing(device.vnr, fencing));
        });
        if let Some(local) = device.local() {
            local.set_conf(conf);
        }
        patience::watch(&device);
        dependents::review_soon(resource);
        if cstate == Conn::WFReportParams {
            resource.queue_control(Send::SyncParam(device.vnr));
        }
        Ok(Answer::OK)
    }

    /// Another size, of the devices or by the administrator's word.
    #[inline(never)]
    pub(super) fn resize(&mut self) -> Judged<Answer> {
        let device = self.device()?;
        let resource = &device.resource;
        let _turn = self.turn(resource)?;
        let (volume, apv) = resource.view(|view| (status::volume(view, device.vnr), view.apv));
        let parms = disk::resize_parms(self.payload::<ResizeParms>(), &volume, apv)?;
        device.look_for_room();
        let command = Command::Resize {
            vnr: device.vnr,
            size: parms.resize_size,
            force: parms.resize_force,
            no_resync: parms.no_resync,
        };
        let answer = machine(resource.command(command));
        device.wait_for_face();
        Ok(answer)
    }

    /// A generation begun by hand.
    #[inline(never)]
    pub(super) fn new_current_uuid(&mut self) -> Judged<Answer> {
        let clear = match self.payload::<NewCUuidParms>() {
            Some(payload) => NewCUuidParms::create(payload)?.0.clear_bm,
            None => false,
        };
        let device = self.device()?;
        let resource = &device.resource;
        let _turn = self.turn(resource)?;
        let (volume, apv) = resource.view(|view| (status::volume(view, device.vnr), view.apv));
        disk::new_current_uuid(&volume, apv, clear)?;
        let command = Command::NewCurrentUuid {
            vnr: device.vnr,
            clear_bitmap: clear,
        };
        Ok(machine(resource.command(command)))
    }
}

/// `al-extents` has changed: another log, and then its size in the superblock.
#[inline(never)]
fn set_al_extents(device: &Arc<Device>, conf: &DiskConf) -> Option<Answer> {
    let changed = device.exchange_log(conf.al_extents).and_then(|slots| {
        write_setting(device, Setting::AlExtents(device.vnr, slots)).map_err(|_| Kept::Failed)
    });
    let refusal = match changed {
        Ok(()) => return None,
        Err(Kept::InUse | Kept::NoMemory) => {
            Answer::from(ErrCode::NoMem).saying(text::TRY_WITHOUT_AL_EXTENTS)
        }
        Err(Kept::NoDisk) => ErrCode::NoDisk.into(),
        Err(Kept::Failed) => metadata_failed(device),
    };
    Some(refusal)
}

/// The metadata could not be written: the machine decides what becomes of the disk.
fn metadata_failed(device: &Device) -> Answer {
    device.resource.feed(device.metadata_failed());
    ErrCode::IoMdDisk.into()
}

/// Takes a setting over that the superblock tells of, and writes this.
fn write_setting(device: &Device, setting: Setting) -> Result {
    device.resource.with_owner(|owner| {
        owner.core.set(setting);
        let disk = owner.core.volume(device.vnr).and_then(|v| v.disk);
        let local = device.local().ok_or(ENODEV)?;
        local.write_superblock(&disk.ok_or(ENODEV)?.superblock)
    })
}

/// `al-updates` has changed. As long as the superblock does not promise a log there need not be
/// one: the promise comes last, and goes first.
#[inline(never)]
fn set_al_updates(device: &Device, conf: &DiskConf) -> Result {
    let promise = |on| write_setting(device, Setting::AlUpdates(device.vnr, on));
    if !conf.al_updates {
        promise(false)?;
        return device.local().ok_or(ENODEV)?.set_log_updates(false);
    }
    {
        let local = device.local().ok_or(ENODEV)?;
        local.set_log_updates(true)?;
        // What was evicted meanwhile.
        local.write_bitmap_in_place(device)?;
    }
    promise(true)
}

/// An attach has failed, perhaps in the middle, because its process was killed. May sleep.
fn give_up(device: &Device) {
    let resource = &device.resource;
    if resource.state_of(device.vnr).disk == Disk::Attaching {
        // It is over at once.
        let _ = resource.command(Command::AttachAbort(device.vnr));
    }
}

/// Opens the devices of a disk, reads its metadata, and looks whether it fits.
#[inline(never)]
fn open(device: &Arc<Device>, payload: Option<&[u8]>) -> Judged<(Arc<Backing>, DiskData)> {
    let protocol = device
        .resource
        .view(|view| view.net.as_ref().map(|net| net.wire_protocol));
    let (mut conf, index) = disk::new_conf(payload, device.minor, protocol)?;
    let holder = Holder::of(device);
    let data = open_one(device, &conf.backing_dev, holder, ErrCode::OpenDisk)?;
    let meta_holder = match index {
        MdIndex::Fixed(_) => Holder::shared_meta(),
        _ => holder,
    };
    let meta = open_one(device, &conf.meta_dev, meta_holder, ErrCode::OpenMdDisk)?;
    let same = data.number() == meta.number();
    disk::no_circle(&conf, device.minor, dependents::after_minor)?;
    disk::fits_index(index, same)?;
    // One opening of a device is enough.
    let meta = (!same).then_some(meta);
    let data = linked(device, data, &conf.backing_dev, ErrCode::OpenDisk)?;
    let meta = match meta {
        Some(meta) => linked(device, meta, &conf.meta_dev, ErrCode::OpenMdDisk)?,
        None => data.clone(),
    };
    let (backing, disk_data) = Backing::read(data, meta, index, conf.clone())
        .map_err(|code| Denied::Answer(Answer::from_machine(code)))?;
    if backing.meta.sectors() < index.min_capacity() {
        return Err(ErrCode::MdDiskTooSmall.into());
    }
    limit(&mut conf, &backing);
    backing.set_conf(conf);
    let volume = device
        .resource
        .view(|view| status::volume(view, device.vnr));
    disk::fits_volume(&disk_data, &volume).inspect_err(|answer| {
        if let shrinks @ Info::Shrinks { .. } = answer.text {
            say(
                Level::Error,
                About::Device(device),
                format_args!("{shrinks}"),
            );
        }
    })?;
    Ok((backing, disk_data))
}

fn open_one(
    device: &Arc<Device>,
    name: &DeviceName,
    holder: Holder,
    code: ErrCode,
) -> Judged<BackingDev> {
    let path = CStr::from_bytes_with_nul(name.as_bytes_with_nul()).map_err(no_memory)?;
    BackingDev::open(path, holder).map_err(|error| {
        failed(
            device,
            format_args!("open(\"{name}\") failed with {}", error.to_errno()),
        );
        code.into()
    })
}

/// Shows in sysfs that our disk stands on this one.
fn linked(
    device: &Arc<Device>,
    mut below: BackingDev,
    name: &DeviceName,
    code: ErrCode,
) -> Judged<Arc<BackingDev>> {
    let linked = device
        .with_disk(|disk| below.link_holder(disk))
        .unwrap_or(Err(ENODEV));
    if let Err(error) = linked {
        failed(
            device,
            format_args!(
                "bd_link_disk_holder(\"{name}\", ...) failed with {}",
                error.to_errno()
            ),
        );
        return Err(code.into());
    }
    Arc::new(below, GFP_KERNEL).map_err(no_memory)
}

fn failed(device: &Device, line: fmt::Arguments<'_>) {
    say(Level::Error, About::Device(device), line);
}

fn limit(conf: &mut DiskConf, backing: &Backing) {
    let traits = backing.data.traits();
    let discard_max = traits.max_discard_sectors.saturating_mul(512);
    let granularity = if discard_max > 0 {
        traits.discard_granularity
    } else {
        0
    };
    disk::limit_to_disk(conf, &backing.layout(), granularity, discard_max);
}
