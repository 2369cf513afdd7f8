// SPDX-License-Identifier: GPL-2.0

//! The sets that tell of objects, for replies, dumps and events alike.
//!
//! All of it comes from the resource's snapshot and from counters: nothing here waits for the
//! owner, so a helper or a tool gets its answer while the owner is busy.

use core::sync::atomic::Ordering;
use drbd_core::admin::tell::{self, Counters};
use drbd_core::genl::context::ResourceName;
use drbd_core::genl::info::ConnectionStatistics;
use drbd_core::genl::status::{SibReason, StateInfo};
use drbd_core::genl::{Context, Nest, Overflow, Writer};
use drbd_core::peer::Volume;
use drbd_core::state::DeviceState;

use crate::device::Device;
use crate::resource::{Resource, View};

/// The name as messages carry it.
pub(crate) fn name(resource: &Resource) -> ResourceName {
    // A name that came in a message fits into one.
    ResourceName::new(resource.name_bytes()).unwrap_or(ResourceName::EMPTY)
}

/// The context of a resource or a device, without addresses.
pub(crate) fn context(resource: &Resource, device: Option<&Device>) -> Context {
    match device {
        Some(device) => Context::device(name(resource), u32::from(device.vnr)),
        None => Context::resource(name(resource)),
    }
}

/// The same with the addresses, if there are any.
pub(crate) fn full_context(resource: &Resource, view: &View, device: Option<&Device>) -> Context {
    let context = context(resource, device);
    match view.addresses {
        Some(ends) => context.with_addresses(ends.mine, ends.peer),
        None => context,
    }
}

/// The volume of a device; a new one if it is just being made or removed.
pub(crate) fn volume(view: &View, vnr: u16) -> Volume {
    view.volumes
        .iter()
        .find(|v| v.vnr == vnr)
        .copied()
        .unwrap_or(Volume::new(vnr))
}

fn states(view: &View) -> impl Iterator<Item = &DeviceState> {
    view.volumes.iter().map(|v| &v.state)
}

/// The counters of a device. Any context.
pub(crate) fn counters(device: &Device) -> Counters {
    let c = &device.counters;
    let (bits, out_of_sync) = device
        .bits()
        .map_or((0, 0), |bits| (bits.len(), bits.weight()));
    Counters {
        sent: c.send.load(Ordering::Relaxed),
        received: c.recv.load(Ordering::Relaxed),
        read: c.read.load(Ordering::Relaxed),
        written: c.writ.load(Ordering::Relaxed),
        al_writes: c.al_writ.load(Ordering::Relaxed),
        bm_writes: c.bm_writ.load(Ordering::Relaxed),
        application: c.ap_bio.load(Ordering::Relaxed),
        application_pending: c.ap_pending.load(Ordering::Relaxed),
        resync_pending: c.rs_pending.load(Ordering::Relaxed),
        unacked: c.unacked.load(Ordering::Relaxed),
        local: c.local.load(Ordering::Relaxed),
        blocked: device.policy().parked,
        al_suspended: device.al_suspended.load(Ordering::Relaxed),
        bits,
        out_of_sync,
        to_verify: device.verify.lock().total(),
    }
}

/// Set 3, if there is a disk to tell of.
#[inline(never)]
pub(crate) fn put_disk(device: &Device, writer: &mut Writer<'_>) -> Result<(), Overflow> {
    let volume = device.resource.view(|view| volume(view, device.vnr));
    match device.local().filter(|_| tell::has_disk(&volume)) {
        Some(local) => {
            let mut conf = local.conf();
            // A resize and the peer may have changed it.
            conf.disk_size = volume.disk.map_or(conf.disk_size, |disk| disk.user_size);
            conf.put(writer)
        }
        None => Ok(()),
    }
}

/// How writes are kept in order.
pub(crate) fn write_ordering(resource: &Resource) -> drbd_core::proc::WriteOrdering {
    resource
        .devices()
        .iter()
        .filter_map(|device| device.local())
        .map(|local| tell::write_ordering([&local.conf()]))
        .min_by_key(|ordering| ordering.number())
        .unwrap_or(drbd_core::proc::WriteOrdering::Flush)
}

/// Sets 15 (unless the object is gone) and 19.
pub(crate) fn put_resource(
    resource: &Resource,
    writer: &mut Writer<'_>,
    gone: bool,
) -> Result<(), Overflow> {
    if !gone {
        resource.view(|view| tell::resource_info(states(view)).put(writer))?;
    }
    tell::resource_statistics(write_ordering(resource)).put(writer)
}

/// Sets 16 (unless gone) and 20.
pub(crate) fn put_device(
    device: &Device,
    writer: &mut Writer<'_>,
    gone: bool,
) -> Result<(), Overflow> {
    let volume = device.resource.view(|view| volume(view, device.vnr));
    if !gone {
        tell::device_info(&volume.state).put(writer)?;
    }
    tell::device_statistics(&volume, &counters(device)).put(writer)
}

/// Sets 17 (unless gone) and 21.
pub(crate) fn put_connection(
    resource: &Resource,
    writer: &mut Writer<'_>,
    gone: bool,
) -> Result<(), Overflow> {
    if !gone {
        resource.view(|view| tell::connection_info(view.cstate, states(view)).put(writer))?;
    }
    let congested = resource
        .link()
        .is_some_and(|link| link.data.fill().is_congested());
    ConnectionStatistics {
        conn_congested: congested,
    }
    .put(writer)
}

/// Sets 18 (unless gone) and 22.
pub(crate) fn put_peer_device(
    device: &Device,
    writer: &mut Writer<'_>,
    gone: bool,
) -> Result<(), Overflow> {
    let volume = device.resource.view(|view| volume(view, device.vnr));
    if !gone {
        tell::peer_device_info(&volume.state).put(writer)?;
    }
    tell::peer_device_statistics(&volume, &counters(device)).put(writer)
}

/// What GET_STATUS and old-style events tell of a device: 2, 4, 3, 5, 8.
pub(crate) fn put_status(
    device: &Device,
    writer: &mut Writer<'_>,
    reason: SibReason,
    add: impl FnOnce(&mut StateInfo),
) -> Result<(), Overflow> {
    let resource = &device.resource;
    resource.view(|view| {
        full_context(resource, view, Some(device)).put(writer)?;
        view.opts.put(writer)
    })?;
    put_disk(device, writer)?;
    put_net(resource, writer)?;
    put_state(device, writer, reason, add)
}

#[inline(never)]
fn put_state(
    device: &Device,
    writer: &mut Writer<'_>,
    reason: SibReason,
    add: impl FnOnce(&mut StateInfo),
) -> Result<(), Overflow> {
    let counters = counters(device);
    let mut info = device
        .resource
        .view(|view| tell::state_info(&volume(view, device.vnr), &counters, reason));
    add(&mut info);
    info.put(writer)
}

/// Set 5, if there is a connection.
pub(crate) fn put_net(resource: &Resource, writer: &mut Writer<'_>) -> Result<(), Overflow> {
    resource.view(|view| view.net.as_ref().map_or(Ok(()), |net| net.put(writer)))
}
