// SPDX-License-Identifier: GPL-2.0

//! The blocks of a resync: asked for by the target, read and sent by the source.
//!
//! The target scans its bitmap upward, ten times a second as many blocks as the controller allows,
//! and keeps the range of each request locked against its own application until the block is on
//! its disk. The source locks the range while it reads, and until the reply is queued; a request
//! that meets a write is parked until the write is answered. See [`drbd_core::request::range`].

use core::sync::atomic::Ordering;
use drbd_core::config::DiskConf;
use drbd_core::peer::Side;
use drbd_core::request::range::Work;
use drbd_core::resync::throttle::{Load, Throttle, DEFER_MS};
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

/// How long the sender sleeps if no resync has it wake up, in ms.
const IDLE_MS: u32 = 10_000;
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
    throttle: Throttle,
    /// When the next step is due.
    due_ms: u64,
    /// Blocks that the last step was allowed to ask for.
    allowed: u32,
    /// What was asked for and has not come.
    wanted: KVec<Wanted>,
    /// Blocks that have come and are not written yet, or not acknowledged.
    writing: u32,
    /// Blocks that failed since the machine was told last.
    failed: u32,
    /// Blocks may be asked about: this node is target of a resync, or VerifyS.
    open: bool,
    /// Not for a resync, but for a verify.
    verify: bool,
    /// The resync goes by checksums: blocks that were equal.
    equal: Option<u64>,
    /// Counts resyncs.
    run: u64,
}

impl State {
    /// No resync. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            scan: None,
            controller: Controller::new(),
            throttle: Throttle::default(),
            due_ms: 0,
            allowed: 0,
            wanted: KVec::with_capacity(OPEN_MAX, GFP_KERNEL)?,
            writing: 0,
            failed: 0,
            open: false,
            verify: false,
            equal: None,
            run: 0,
        })
    }

    /// Requests that have not been answered, and answers that are not written.
    fn open_requests(&self) -> u32 {
        (self.wanted.len() as u32).saturating_add(self.writing)
    }
}

/// The machine says that a resync has begun; `sums`: it goes by checksums.
pub(crate) fn start(resource: &Arc<Resource>, vnr: u16, side: Side, sums: bool) {
    let Some(device) = resource.device(vnr) else {
        return;
    };
    device.counters.rs_failed.store(0, Ordering::Relaxed);
    let mut state = device.resync.lock();
    state.failed = 0;
    if side == Side::Target {
        state.scan = Some(Scan::new());
        state.controller = Controller::new();
        state.throttle = Throttle::new(device.counters.others());
        state.due_ms = Resource::now_ms();
        (state.open, state.verify) = (true, false);
        device.asks.store(true, Ordering::Release);
        state.equal = sums.then_some(0);
        state.run = state.run.wrapping_add(1);
    } else {
        state.equal = None;
    }
    drop(state);
    resource.resync_begins();
}

/// As VerifyS: a verify begins.
pub(crate) fn open_for_verify(device: &Device) {
    let mut state = device.resync.lock();
    state.controller = Controller::new();
    state.throttle = Throttle::new(device.counters.others());
    state.due_ms = Resource::now_ms();
    (state.open, state.verify) = (true, true);
    device.asks.store(true, Ordering::Release);
}

/// The machine says that the resync is over, or broken off.
pub(crate) fn stop(resource: &Arc<Resource>, vnr: u16) {
    let Some(device) = resource.device(vnr) else {
        return;
    };
    device.resync.lock().failed = 0;
    close(&device);
    drop_parked(&device);
}

/// No blocks are asked about any more; what was asked about is forgotten.
pub(crate) fn close(device: &Arc<Device>) {
    let mut state = device.resync.lock();
    let asked = core::mem::take(&mut state.open);
    device.asks.store(false, Ordering::Release);
    state.scan = None;
    state.writing = 0;
    while let Some(wanted) = state.wanted.pop() {
        drop(state);
        device.release_range(wanted.tickets);
        state = device.resync.lock();
    }
    drop(state);
    if asked {
        device.counters.rs_pending.store(0, Ordering::Relaxed);
    }
}

/// Reads for the target that were parked are dropped: the link is gone.
pub(crate) fn drop_parked(device: &Arc<Device>) {
    for bio in device.parked_reads.take_all() {
        bio.device.counters.unacked.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The rate that the controller asks for, in KiB/s; 0 unless this node is the target
/// or VerifyS.
pub(crate) fn wanted_rate(device: &Device) -> u32 {
    let state = device.resync.lock();
    if state.open {
        state.allowed.saturating_mul(40)
    } else {
        0
    }
}

/// The bit that the scan has come to; 0 unless this node is the target.
pub(crate) fn position(device: &Device) -> u64 {
    device.resync.lock().scan.map_or(0, |scan| scan.bit())
}

/// How long the sender may sleep before a step is due.
pub(crate) fn next_tick(resource: &Arc<Resource>) -> Jiffies {
    if !resource.any_device(|device| device.asks.load(Ordering::Acquire)) {
        return ms_to_jiffies(IDLE_MS);
    }
    let now = Resource::now_ms();
    let devices = resource.devices();
    let asking = devices
        .iter()
        .filter(|device| device.asks.load(Ordering::Acquire));
    let due = asking.filter_map(|device| {
        let state = device.resync.lock();
        let asks = state.open && (state.verify || device.is_sync_target());
        asks.then_some(state.due_ms)
    });
    let wait = due
        .min()
        .map_or(IDLE_MS, |due| {
            u32::try_from(due.saturating_sub(now)).unwrap_or(IDLE_MS)
        })
        .clamp(1, IDLE_MS);
    ms_to_jiffies(wait)
}

/// Makes the steps that are due: asks about blocks by `ask`, which also hears whether it is for a
/// verify.
pub(crate) fn tick(
    resource: &Arc<Resource>,
    mut ask: impl FnMut(&Arc<Device>, BlockRange, bool) -> Result,
) -> Result {
    if !resource.any_device(|device| device.asks.load(Ordering::Acquire)) {
        return Ok(());
    }
    for device in resource.devices().iter() {
        if !device.asks.load(Ordering::Acquire) {
            continue;
        }
        if device.is_sync_target() {
            step(resource, device, &mut |device, range| {
                ask(device, range, false)
            })?;
        } else {
            crate::verify::step(resource, device, &mut |device, range| {
                ask(device, range, true)
            })?;
        }
    }
    Ok(())
}

/// If a step is due: how many blocks it may ask about.
pub(crate) fn allowance(resource: &Resource, device: &Device, conf: &DiskConf) -> Option<u32> {
    let now = Resource::now_ms();
    let max_buffers = resource.view(|v| v.net.as_ref().map_or(2048, |net| net.max_buffers));
    let state = device.resync.lock();
    if !state.open || now < state.due_ms {
        return None;
    }
    drop(state);
    let load = Load {
        others: device.counters.others(),
        waits_for_log: !device.cold.is_empty() || !device.starved.is_empty(),
        speed: crate::progress::recent_speed(device),
    };
    let mut state = device.resync.lock();
    if state.throttle.holds_back(conf.c_min_rate, &load) {
        state.due_ms = now.saturating_add(DEFER_MS);
        return None;
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
    state.allowed = state.controller.step(&settings);
    Some(state.allowed)
}

/// What became of the wish to ask about a block.
pub(crate) enum Claim {
    /// It is locked against the own application, and expected.
    Taken,
    /// A write of the own application is in the way.
    Busy,
    /// Enough is open, or nothing is asked about any more.
    Full,
}

/// Locks a range that is to be asked about.
pub(crate) fn claim(device: &Arc<Device>, range: BlockRange) -> Claim {
    if device.resync.lock().wanted.len() >= OPEN_MAX {
        return Claim::Full;
    }
    let (sector, bytes) = (range.sector(), range.size());
    let Some(tickets) = device.take_range(sector, bytes, Work::ResyncWanted, || {}) else {
        return Claim::Busy;
    };
    let mut state = device.resync.lock();
    let wanted = Wanted { range, tickets };
    if !state.open || state.wanted.push_within_capacity(wanted).is_err() {
        drop(state);
        device.release_range(tickets);
        return Claim::Full;
    }
    state.controller.asked(range.sectors());
    drop(state);
    device.counters.rs_pending.fetch_add(1, Ordering::Relaxed);
    Claim::Taken
}

fn step(
    resource: &Arc<Resource>,
    device: &Arc<Device>,
    ask: &mut impl FnMut(&Arc<Device>, BlockRange) -> Result,
) -> Result {
    let disk = device.local();
    let (Some(bits), Some(conf)) = (device.bits(), disk.map(|local| local.conf())) else {
        return Ok(());
    };
    let Some(mut allowed) = allowance(resource, device, &conf) else {
        return Ok(());
    };
    let size = bits.sectors();
    while allowed > 0 {
        let Some(before) = device.resync.lock().scan else {
            break;
        };
        let mut scan = before;
        let found = scan.next(
            size,
            device.request_max().min(allowed.saturating_mul(4096)),
            |from| bits.next_set(from),
        );
        let Some((sector, bytes)) = found else {
            // The end: what is still set was asked for, or is written to right now. Look again
            // from the start as long as bits are left that nobody asked for.
            let mut state = device.resync.lock();
            let failed = device.counters.rs_failed.load(Ordering::Relaxed);
            if state.scan.is_some() && state.wanted.is_empty() && bits.weight() > failed {
                state.scan = Some(Scan::new());
            }
            break;
        };
        let range = BlockRange::new(sector, bytes, 1 << 20).map_err(|_| EINVAL)?;
        let claim = claim(device, range);
        if matches!(claim, Claim::Full) {
            break;
        }
        let mut state = device.resync.lock();
        if state.scan == Some(before) {
            state.scan = Some(scan);
        }
        drop(state);
        if matches!(claim, Claim::Busy) {
            // A write of ours is in the way: it clears or keeps the bits; look again later.
            allowed = allowed.saturating_sub(1);
            continue;
        }
        allowed = allowed.saturating_sub(bytes.div_ceil(4096));
        ask(device, range)?;
    }
    Ok(())
}

/// Requests that have not been answered, and answers that are not written.
pub(crate) fn open_requests(device: &Device) -> u32 {
    device.resync.lock().open_requests()
}

/// A reply has come: gives the tickets of its range, if it was asked for.
pub(crate) fn arrived(device: &Arc<Device>, range: &BlockRange) -> Option<Tickets> {
    take(device, range, false)
}

/// As [`arrived`], for a block that is written now; [`written`] is to follow.
pub(crate) fn arrived_to_write(device: &Arc<Device>, range: &BlockRange) -> Option<Tickets> {
    take(device, range, true)
}

fn take(device: &Arc<Device>, range: &BlockRange, to_write: bool) -> Option<Tickets> {
    let mut state = device.resync.lock();
    let at = state.wanted.iter().position(|w| w.range == *range)?;
    let wanted = state.wanted.remove(at).ok()?;
    state.controller.arrived(range.sectors());
    state.writing = state.writing.saturating_add(u32::from(to_write));
    let open = state.open_requests();
    drop(state);
    let _ = device.counters.resync_answered();
    tell_if_last(device, open);
    Some(wanted.tickets)
}

/// A block of the resync is written, or could not be, and the source is told.
pub(crate) fn written(device: &Arc<Device>) {
    let mut state = device.resync.lock();
    state.writing = state.writing.saturating_sub(1);
    let open = state.open_requests();
    drop(state);
    tell_if_last(device, open);
}

/// The machine may have waited for the last of the open requests.
fn tell_if_last(device: &Device, open: u32) {
    if open == 0 {
        device.resource.resync_moved(device.vnr);
    }
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

/// The source says that a block is equal: `true` if it was asked about.
pub(crate) fn equal(device: &Arc<Device>, range: &BlockRange) -> bool {
    let Some(tickets) = arrived(device, range) else {
        return false;
    };
    let blocks = u64::from(range.size().div_ceil(4096));
    if let Some(equal) = &mut device.resync.lock().equal {
        *equal = equal.saturating_add(blocks);
    }
    // Before writes that have waited for the range can fail and mark it out of sync.
    device.mark_in_sync(range.sector(), range.size());
    device.release_range(tickets);
    true
}

/// The number of the present resync, if it goes by checksums.
pub(crate) fn run_by_sums(device: &Device) -> Option<u64> {
    let state = device.resync.lock();
    state.equal.map(|_| state.run)
}

/// Blocks that the present resync has found equal; `None` if it does not look.
pub(crate) fn equal_sums(device: &Device) -> Option<u64> {
    device.resync.lock().equal
}

/// Whether the resync with this number waits for a block.
pub(crate) fn is_wanted(device: &Device, range: &BlockRange, run: u64) -> bool {
    let state = device.resync.lock();
    state.run == run && state.wanted.iter().any(|wanted| wanted.range == *range)
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
