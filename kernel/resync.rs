// SPDX-License-Identifier: GPL-2.0

//! The blocks of a resync: asked for by the target, read and sent by the source.
//!
//! The target scans its bitmap upward, ten times a second as many blocks as the controller allows,
//! and keeps the range of each request locked against its own application until the block is on
//! its disk. The source locks the range while it reads, and until the reply is queued; a request
//! that meets a write is parked until the write is answered. See [`drbd_core::request::range`].

use core::sync::atomic::Ordering;
use drbd_core::peer::Side;
use drbd_core::request::range::Work;
use drbd_core::resync::{Controller, Scan, Settings};
use drbd_core::wire::BlockRange;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::peer_io::{self, PeerIo};
use crate::ranges::Tickets;
use crate::resource::Resource;
use crate::sys::bio::OwnedBio;
use crate::sys::time::{ms_to_jiffies, Jiffies};

/// Requests of a volume that may be open at once.
const OPEN_MAX: usize = 512;

/// A block that was asked for.
#[derive(Clone, Copy)]
struct Wanted {
    range: BlockRange,
    tickets: Tickets,
}

/// The resync of a volume.
pub(crate) struct State {
    /// As target: where the scan is; `None` while no resync runs.
    scan: Option<Scan>,
    controller: Controller,
    /// When the next step is due.
    due_ms: u64,
    /// Blocks that the last step was allowed to ask for.
    allowed: u32,
    /// What was asked for and has not come.
    wanted: KVec<Wanted>,
    /// Blocks that failed since the machine was told last.
    failed: u32,
}

impl State {
    /// No resync. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            scan: None,
            controller: Controller::new(),
            due_ms: 0,
            allowed: 0,
            wanted: KVec::with_capacity(OPEN_MAX, GFP_KERNEL)?,
            failed: 0,
        })
    }
}

/// The machine says that a resync has begun.
pub(crate) fn start(resource: &Arc<Resource>, vnr: u16, side: Side) {
    let Some(device) = resource.device(vnr) else {
        return;
    };
    device.counters.rs_failed.store(0, Ordering::Relaxed);
    let mut state = device.resync.lock();
    state.failed = 0;
    if side == Side::Target {
        state.scan = Some(Scan::new());
        state.controller = Controller::new();
        state.due_ms = Resource::now_ms();
    }
    drop(state);
    resource.resync_begins();
}

/// The machine says that the resync is over, or broken off.
pub(crate) fn stop(resource: &Arc<Resource>, vnr: u16) {
    let Some(device) = resource.device(vnr) else {
        return;
    };
    let mut state = device.resync.lock();
    state.scan = None;
    state.failed = 0;
    while let Some(wanted) = state.wanted.pop() {
        drop(state);
        device.release_range(wanted.tickets);
        state = device.resync.lock();
    }
    drop(state);
    device.counters.rs_pending.store(0, Ordering::Relaxed);
    drop_parked(&device);
}

/// Reads for the target that were parked are dropped: the link is gone.
pub(crate) fn drop_parked(device: &Arc<Device>) {
    for bio in device.parked_reads.take_all() {
        bio.device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The rate that the controller asks for, in KiB/s; 0 unless this node is the target.
pub(crate) fn wanted_rate(device: &Device) -> u32 {
    let state = device.resync.lock();
    state.scan.map_or(0, |_| state.allowed.saturating_mul(40))
}

/// The bit that the scan has come to; 0 unless this node is the target.
pub(crate) fn position(device: &Device) -> u64 {
    device.resync.lock().scan.map_or(0, |scan| scan.bit())
}

/// How long the sender may sleep before a step is due.
pub(crate) fn next_tick(resource: &Arc<Resource>) -> Jiffies {
    let now = Resource::now_ms();
    let devices = resource.devices();
    let due = devices.iter().filter_map(|device| {
        let state = device.resync.lock();
        state
            .scan
            .as_ref()
            .filter(|_| device.is_sync_target())
            .map(|_| state.due_ms)
    });
    let wait = due
        .min()
        .map_or(10_000, |due| due.saturating_sub(now))
        .clamp(1, 10_000);
    ms_to_jiffies(wait as u32)
}

/// Makes the steps that are due: asks for blocks by `ask`.
pub(crate) fn tick(
    resource: &Arc<Resource>,
    mut ask: impl FnMut(&Arc<Device>, BlockRange) -> Result,
) -> Result {
    for device in resource.devices().iter() {
        if device.is_sync_target() {
            step(resource, device, &mut ask)?;
        }
    }
    Ok(())
}

fn step(
    resource: &Arc<Resource>,
    device: &Arc<Device>,
    ask: &mut impl FnMut(&Arc<Device>, BlockRange) -> Result,
) -> Result {
    let now = Resource::now_ms();
    let (Some(bits), Some(local)) = (device.bits(), device.local()) else {
        return Ok(());
    };
    let conf = local.conf();
    let max_buffers = resource.view(|v| v.net.as_ref().map_or(2048, |net| net.max_buffers));
    let mut allowed = {
        let mut state = device.resync.lock();
        if state.scan.is_none() || now < state.due_ms {
            return Ok(());
        }
        let settings = Settings {
            resync_rate: conf.resync_rate,
            plan_ahead: conf.c_plan_ahead,
            delay_target: conf.c_delay_target,
            fill_target: conf.c_fill_target,
            max_rate: conf.c_max_rate,
            max_buffers,
        };
        state.due_ms = now.saturating_add(settings.step_ms());
        let allowed = state.controller.step(&settings);
        state.allowed = allowed;
        allowed
    };
    let max_bytes = crate::backing::max_bio_size(&local.data);
    let size = bits.sectors();
    while allowed > 0 {
        if device.resync.lock().wanted.len() >= OPEN_MAX {
            break;
        }
        let Some(mut scan) = device.resync.lock().scan else {
            break;
        };
        let found = scan.next(size, max_bytes.min(allowed.saturating_mul(4096)), |from| {
            bits.next_set(from)
        });
        let Some((sector, bytes)) = found else {
            // The end: what is still set was asked for, or is written to right now. Look again
            // from the start as long as bits are left that nobody asked for.
            let mut state = device.resync.lock();
            let failed = device.counters.rs_failed.load(Ordering::Relaxed);
            if state.wanted.is_empty() && bits.weight() > failed {
                state.scan = Some(Scan::new());
            }
            break;
        };
        let range = BlockRange::new(sector, bytes, 1 << 20).map_err(|_| EINVAL)?;
        let Some(tickets) = device.take_range(sector, bytes, Work::ResyncWanted, || {}) else {
            // A write of ours is in the way: it clears or keeps the bits; look again later.
            let mut state = device.resync.lock();
            state.scan = Some(scan);
            allowed = allowed.saturating_sub(1);
            continue;
        };
        let mut state = device.resync.lock();
        state.scan = Some(scan);
        state.controller.asked(range.sectors());
        let pushed = state.wanted.push_within_capacity(Wanted { range, tickets });
        drop(state);
        if pushed.is_err() {
            device.release_range(tickets);
            break;
        }
        device.counters.rs_pending.fetch_add(1, Ordering::Relaxed);
        allowed = allowed.saturating_sub(bytes.div_ceil(4096));
        ask(device, range)?;
    }
    Ok(())
}

/// A reply has come: gives the tickets of its range, if it was asked for.
pub(crate) fn arrived(device: &Arc<Device>, range: &BlockRange) -> Option<Tickets> {
    let mut state = device.resync.lock();
    let at = state.wanted.iter().position(|w| w.range == *range)?;
    let wanted = state.wanted.remove(at).ok()?;
    state.controller.arrived(range.sectors());
    drop(state);
    let _ = device.counters.resync_answered();
    Some(wanted.tickets)
}

/// The source cannot or will not send a block: `true` if it was asked for.
pub(crate) fn refused(device: &Arc<Device>, range: &BlockRange) -> bool {
    match arrived(device, range) {
        Some(tickets) => {
            device.release_range(tickets);
            true
        }
        None => false,
    }
}

/// Blocks of the resync failed: the machine will be told. Any task.
pub(crate) fn note_failed(device: &Arc<Device>, sector: u64, bytes: u32) {
    let still = device.bits().map_or(0, |bits| bits.count(sector, bytes));
    device
        .counters
        .rs_failed
        .fetch_add(still, Ordering::Relaxed);
    let mut state = device.resync.lock();
    state.failed = state
        .failed
        .saturating_add(u32::try_from(still).unwrap_or(u32::MAX));
    drop(state);
    device.resource.resync_moved(device.vnr);
}

/// Takes the number of blocks that failed since the last call.
pub(crate) fn take_failed(device: &Arc<Device>) -> u32 {
    core::mem::take(&mut device.resync.lock().failed)
}

/// As source: reads a block for the target, as soon as no write is in its range.
pub(crate) fn read_for_target(device: &Arc<Device>, bio: OwnedBio<PeerIo>) {
    let (sector, bytes) = (bio.sector, bio.bytes);
    let mut bio = Some(bio);
    let taken = device.take_range(sector, bytes, Work::ResyncIo, || {
        if let Some(bio) = bio.take() {
            let _ = device.parked_reads.push(bio);
        }
    });
    let (Some(tickets), Some(mut bio)) = (taken, bio) else {
        return;
    };
    match bio.data_mut() {
        Some(io) => {
            io.tickets = tickets;
            peer_io::submit_read(bio);
        }
        None => {
            device.release_range(tickets);
            bio.fail();
            peer_io::pass_on(bio);
        }
    }
}

/// Parked reads are tried again: somebody has let a range go. Tasks only.
pub(crate) fn retry_parked(device: &Arc<Device>) {
    for bio in device.parked_reads.take_all() {
        read_for_target(device, bio);
    }
}
