// SPDX-License-Identifier: GPL-2.0

//! Performs what the machine asks for.
//!
//! [`Buffer`] collects the effects of one event while the machine decides; [`perform`] does them,
//! one after the other, under the owner's mutex.

use core::sync::atomic::Ordering;
use drbd_core::peer::log::Amount;
use drbd_core::peer::{settings, Driver, Effect, Event, OnIoError, Send, Setting};
use drbd_core::request::policy::{Policy, PolicyFacts};
use drbd_core::request::word::{Event as Told, Gone};
use drbd_core::state::{DeviceState, LogEvent, Role};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::digests::Digests;
use crate::log::{say, About};
use crate::plane::Kind;
use crate::resource::{Owner, Resource};
use crate::sys::log::{log, Level};
use crate::vector;

/// Collects effects; answers what the machine wants to know.
pub(crate) struct Buffer<'a> {
    resource: &'a Arc<Resource>,
    effects: &'a mut KVec<Effect>,
    overflowed: bool,
}

impl<'a> Buffer<'a> {
    /// For one event.
    pub(crate) fn new(resource: &'a Arc<Resource>, effects: &'a mut KVec<Effect>) -> Self {
        Self {
            resource,
            effects,
            overflowed: false,
        }
    }

    /// There was no memory for an effect.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl Driver for Buffer<'_> {
    fn perform(&mut self, effect: Effect) {
        self.overflowed |= vector::push(self.effects, effect, GFP_KERNEL).is_err();
    }

    fn random(&mut self) -> u64 {
        crate::sys::random::random_u64()
    }

    fn now_ms(&self) -> u64 {
        Resource::now_ms()
    }

    fn open_count(&self, vnr: u16) -> u32 {
        self.resource
            .device(vnr)
            .map_or(0, |d| d.opens.load(Ordering::SeqCst))
    }

    fn open_requests(&self, vnr: u16) -> u32 {
        self.resource.device(vnr).map_or(0, |d| d.open_requests())
    }

    fn bits_set(&self, vnr: u16) -> u64 {
        self.resource
            .device(vnr)
            .and_then(|d| d.bits())
            .map_or(0, |bits| bits.weight())
    }

    fn resync_requests(&self, vnr: u16) -> u32 {
        self.resource
            .device(vnr)
            .map_or(0, |d| crate::resync::open_requests(&d))
    }

    fn on_io_error(&self, vnr: u16) -> OnIoError {
        let disk_conf = |device: Arc<Device>| device.local().map(|local| local.conf());
        let conf = self.resource.device(vnr).and_then(disk_conf);
        conf.map_or(OnIoError::Detach, |conf| {
            crate::convert::on_io_error(conf.on_io_error)
        })
    }

    fn verified(&self, vnr: u16) -> u64 {
        let device = self.resource.device(vnr);
        device.map_or(0, |device| device.verify.lock().seen())
    }

    fn equal_sums(&self, vnr: u16) -> Option<u64> {
        crate::resync::equal_sums(&*self.resource.device(vnr)?)
    }
}

/// Does one thing. What it gives is fed to the machine next.
#[inline(never)]
pub(crate) fn perform(
    resource: &Arc<Resource>,
    owner: &mut Owner,
    effect: Effect,
) -> Option<Event> {
    match effect {
        Effect::Send(packet) => send(resource, packet),
        Effect::StateChanged { vnr, old, new } => {
            if let Some(device) = resource.device(vnr) {
                publish(&device, owner, &new);
            }
            crate::events::state_changed(resource, vnr, &old, &new);
        }
        Effect::ConnChanged { old, new } => {
            crate::events::conn_changed(resource, old, new);
        }
        Effect::CloseEpoch => resource.close_open_epoch(),
        Effect::Requests(event) => each_request(
            resource,
            match event {
                LogEvent::ConnectionLostWhilePending => Told::ConnectionLost,
                LogEvent::Resend | LogEvent::RestartFrozenDiskIo => Told::Retry,
                LogEvent::Thaw => Told::Thawed,
            },
        ),
        Effect::CopiesPart { vnr, gone } => {
            if let Some(device) = resource.device(vnr) {
                device.copies_part(gone == Gone::OwnDisk);
                device.requests_part(gone);
            }
        }
        Effect::WriteSuperblock { vnr, primary } => {
            return write_superblock(resource, owner, vnr, primary);
        }
        Effect::SetAllBits { vnr, report } => {
            let ok = set_all_bits(resource, owner, vnr).is_ok();
            return report.then_some(Event::AllBitsSet { vnr, ok });
        }
        Effect::ClearBitmap(vnr) => {
            if let Some(bits) = resource.device(vnr).and_then(|d| d.bits()) {
                bits.clear_all();
            }
            return write_bitmap(resource, vnr);
        }
        Effect::WriteBitmap(vnr) => return write_bitmap(resource, vnr),
        Effect::SetSize {
            vnr,
            sectors,
            on_disk,
            set_new,
        } => {
            if let Some(device) = resource.device(vnr) {
                if set_size(owner, &device, sectors, on_disk, set_new).is_err() {
                    log!(Level::Error, **resource, "no bitmap for {sectors} sectors");
                    return Some(device.metadata_failed());
                }
            }
        }
        Effect::MoveMetadata(vnr) => return move_metadata(resource, owner, vnr),
        Effect::StartResync { vnr, side } => {
            let crashed = owner.core.volume(vnr).is_some_and(|v| v.crashed_primary);
            let apv = owner.core.apv();
            let sums = owner
                .net
                .as_ref()
                .is_some_and(|net| settings::syncs_by_sums(net, apv, crashed));
            crate::resync::start(resource, vnr, side, sums);
        }
        Effect::StartVerify { vnr, side } => {
            crate::verify::begin(resource, vnr, side, owner.core.apv());
        }
        Effect::StopVerify(vnr) => crate::verify::end(resource, vnr),
        Effect::ResyncPaused { .. } => resource.resync_begins(),
        Effect::StopResync(vnr) => crate::resync::stop(resource, vnr),
        Effect::StartReceiver => {
            if resource.start_receiver().is_err() {
                return Some(Event::CannotListen);
            }
        }
        Effect::CloseLink => resource.close_link(),
        Effect::DropNetConfig => {
            crate::events::connection_destroyed(resource);
            owner.net = None;
            owner.addresses = None;
            *resource.digests.lock() = Digests::default();
        }
        Effect::ReleaseDisk(vnr) => {
            if let Some(device) = resource.device(vnr) {
                device.report_when_idle();
            }
        }
        Effect::Drain(vnr) => {
            if let Some(device) = resource.device(vnr) {
                device.report_when_drained();
            }
        }
        Effect::AbandonDisk(vnr) => {
            if let Some(device) = resource.device(vnr) {
                device.abandon_disk();
            }
        }
        Effect::DestroyDisk(vnr) => {
            if let Some(device) = resource.device(vnr) {
                device.close_local();
                device.replace_bits(None);
                limits(&device, owner);
            }
        }
        Effect::Help { vnr, helper } => crate::helper::run(resource, vnr, helper),
        Effect::SetReadOnly { vnr, read_only } => {
            if let Some(device) = resource.device(vnr) {
                device.set_read_only(read_only);
            }
        }
        Effect::SetLimits(vnr) => {
            if let Some(device) = resource.device(vnr) {
                limits(&device, owner);
            }
        }
        Effect::ReviewDependents => crate::dependents::review_soon(resource),
        Effect::AdminDone(code) => resource.answer(code),
        Effect::Log(vnr, line) => crate::log::line(resource, vnr, &line),
    }
    None
}

#[inline(never)]
fn send(resource: &Arc<Resource>, packet: Send) {
    match packet {
        Send::ChangeReply(..) | Send::ConnChangeReply(_) | Send::Ping => {
            if let Some(link) = resource.link() {
                link.send_meta(packet);
            }
        }
        other => resource.queue_control(other),
    }
}

/// The policy of all volumes follows what was changed beside the state.
pub(crate) fn publish_all(resource: &Arc<Resource>, owner: &Owner) {
    for device in resource.devices().iter() {
        if let Some(volume) = owner.core.volume(device.vnr) {
            publish(device, owner, &volume.state);
        }
    }
}

/// The policy for requests follows the state.
#[inline(never)]
fn publish(device: &Arc<Device>, owner: &Owner, state: &DeviceState) {
    let facts = PolicyFacts {
        agreed_version: owner.core.apv() as u16,
        protocol: owner
            .net
            .as_ref()
            .map_or(drbd_core::request::word::Replication::C, |n| {
                crate::convert::replication(n.wire_protocol)
            }),
        held: false,
        uuid_pending: false,
    };
    device
        .primary
        .store(state.role == Role::Primary, Ordering::SeqCst);
    let policy = Policy::of(state, &facts);
    device.publish(policy);
    if policy.sync_target {
        // The sender slept while it was not.
        device.resource.resync_begins();
    }
}

/// The threads of a link are gone: nothing is sent any more of what was queued for it, and no
/// barrier ack will come. What becomes of the requests is the machine's to say.
pub(crate) fn forget_link(resource: &Arc<Resource>) {
    for item in resource.plane.queue.take_all() {
        let slot = match &item.kind {
            Kind::Write { slot, .. } | Kind::Read { slot } | Kind::Flush { slot } => *slot,
            Kind::LocalRead { .. } | Kind::Control(_) => continue,
        };
        if let Some(device) = &item.device {
            device.request_event(slot, Told::SendCanceled);
        }
    }
    resource.epochs.lock().clear();
    resource.flushes.lock().clear();
    for device in resource.devices().iter() {
        device.counters.ap_pending.store(0, Ordering::Relaxed);
        // A disk that is given back does not wait for the peer any more.
        device.idle.wake_all();
    }
}

#[inline(never)]
fn each_request(resource: &Arc<Resource>, event: Told) {
    let table = resource.plane.table();
    for slot in table.in_use() {
        let Some(subject) = table.subject(slot) else {
            continue;
        };
        if let Some(device) = resource.device(subject.volume) {
            device.request_event(slot, event);
        }
    }
}

#[inline(never)]
fn write_superblock(
    resource: &Arc<Resource>,
    owner: &Owner,
    vnr: u16,
    primary: bool,
) -> Option<Event> {
    let device = resource.device(vnr)?;
    let local = device.local()?;
    let superblock = owner.core.volume(vnr)?.disk?.to_write(primary);
    if local.write_superblock(&superblock).is_err() {
        log!(Level::Error, **resource, "meta data update failed!");
        return Some(device.metadata_failed());
    }
    None
}

#[inline(never)]
fn write_bitmap(resource: &Arc<Resource>, vnr: u16) -> Option<Event> {
    let device = resource.device(vnr)?;
    let (local, bits) = (device.local()?, device.bits()?);
    match local.write_bitmap(&bits) {
        Ok(()) => None,
        Err(_) => Some(device.metadata_failed()),
    }
}

/// A crash while the bits are being set still leads to a full sync: the flag is durable before,
/// and cleared after the bitmap is.
#[inline(never)]
fn set_all_bits(resource: &Arc<Resource>, owner: &mut Owner, vnr: u16) -> Result {
    let device = resource.device(vnr).ok_or(ENODEV)?;
    let (local, bits) = (device.local().ok_or(ENODEV)?, device.bits().ok_or(ENODEV)?);
    let mut write = |on| {
        owner.core.set(Setting::FullSync(vnr, on));
        let disk = owner.core.volume(vnr).and_then(|v| v.disk).ok_or(ENODEV)?;
        local.write_superblock(&disk.superblock)
    };
    write(true)?;
    bits.set_all();
    local.write_bitmap(&bits)?;
    write(false)
}

#[inline(never)]
fn move_metadata(resource: &Arc<Resource>, owner: &Owner, vnr: u16) -> Option<Event> {
    let device = resource.device(vnr)?;
    let local = device.local()?;
    let superblock = owner.core.volume(vnr)?.disk?.superblock;
    if local.move_metadata(&device, &superblock).is_err() {
        log!(Level::Error, **resource, "metadata could not be moved");
        return Some(device.metadata_failed());
    }
    None
}

#[inline(never)]
fn set_size(
    owner: &Owner,
    device: &Arc<Device>,
    sectors: u64,
    on_disk: Option<u64>,
    set_new: bool,
) -> Result {
    // Without a size on disk, a backing device that is there is still being attached.
    if let (Some(local), Some(on_disk)) = (device.local(), on_disk) {
        // Until the new bitmap is on the disk, the log does not write pages of the old one.
        let held = local.hold_log();
        let bits = match device.bits() {
            Some(old) => device.resize_bits(&old, sectors, set_new)?,
            None if on_disk == sectors => Arc::new(local.read_bitmap(sectors)?, GFP_KERNEL)?,
            None => device.resize_bits(&local.read_bitmap(on_disk)?, sectors, set_new)?,
        };
        let about = About::Device(device);
        say(
            Level::Info,
            about,
            format_args!(
                "resync bitmap: bits={} words={} pages={}",
                bits.len(),
                bits.len().div_ceil(64),
                bits.page_count()
            ),
        );
        if on_disk != sectors {
            // Before the superblock names the new size.
            say(
                Level::Info,
                about,
                format_args!("Writing the whole bitmap, size changed"),
            );
            bits.mark_all_dirty();
            local.write_bitmap(&bits)?;
        }
        drop(held);
        let (kib, set) = (bits.weight().saturating_mul(4), bits.weight());
        say(
            Level::Info,
            about,
            format_args!(
                "{} ({set} bits) marked out-of-sync by on disk bit-map.",
                Amount(kib)
            ),
        );
        if set == bits.len() && on_disk != sectors {
            device.suspend_al();
        }
        device.replace_bits(Some(bits));
    }
    let kib = sectors / 2;
    say(
        Level::Info,
        About::Device(device),
        format_args!("size = {} ({kib} KB)", Amount(kib)),
    );
    device.set_capacity(sectors);
    limits(device, owner);
    Ok(())
}

/// What bios from above may look like now.
#[inline(never)]
fn limits(device: &Arc<Device>, owner: &Owner) {
    let local = device.local();
    let own = local.as_ref().map_or(crate::backing::BIO_BYTES_MAX, |l| {
        crate::backing::max_bio_size(&l.data)
    });
    device.set_limits(own.min(owner.core.peer_request_max(device.vnr)));
}
