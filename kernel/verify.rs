// SPDX-License-Identifier: GPL-2.0

//! Online verify of a volume: asks for digests as VerifyS, and counts results on both nodes. What
//! comes next and what was found is the core's business ([`drbd_core::verify`]).
//!
//! VerifyS keeps the range of each question locked against its own application until it has read
//! its own block, as the target of a resync does; VerifyT locks it while it reads. So a write that
//! is under way is never taken for a difference.

use drbd_core::peer::Side;
use drbd_core::verify::{Bounds, Run, Stretch};
use drbd_core::wire::BlockRange;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::resource::Resource;
use crate::resync::{self, Claim};
use crate::sys::log::{log, Level};

/// Questions that may be open at once: fewer than a shard of ranges has room for, so that writes
/// find their way.
const OPEN_MAX: u64 = 96;

/// The verify of a volume.
#[derive(Default)]
pub(crate) struct State {
    /// The one that runs, or the last one.
    run: Option<Run>,
    /// It runs.
    active: bool,
    /// The machine is to hear that all results are there: told once.
    news: bool,
    /// Blocks that may be asked about until the next step.
    budget: u32,
    /// Where the next one starts and stops.
    bounds: Bounds,
}

impl State {
    fn active(&mut self) -> Option<&mut Run> {
        let active = self.active;
        self.run.as_mut().filter(|_| active)
    }

    /// Blocks that the last one has looked at.
    pub(crate) fn seen(&self) -> u64 {
        self.run.map_or(0, |run| run.seen())
    }

    /// Blocks that the last one goes over.
    pub(crate) fn total(&self) -> u64 {
        self.run.map_or(0, |run| run.total())
    }

    /// As VerifyS: the block to ask about now.
    fn next(&self) -> Option<(u64, u32)> {
        let run = self.running().filter(|run| run.open() < OPEN_MAX)?;
        run.peek().filter(|_| self.budget > 0)
    }

    /// The one that runs.
    pub(crate) fn running(&self) -> Option<Run> {
        self.run.filter(|_| self.active)
    }
}

/// An administrator says where the next verify starts and stops, in sectors.
pub(crate) fn plan(device: &Device, start: Option<u64>, stop: Option<u64>) {
    let mut state = device.verify.lock();
    if let Some(start) = start {
        state.bounds.start = start;
    }
    state.bounds.stop = stop;
}

/// The machine says that a verify has begun, with a peer of version `apv`.
pub(crate) fn begin(resource: &Arc<Resource>, vnr: u16, side: Side, apv: u32) {
    let Some(device) = resource.device(vnr) else {
        return;
    };
    let size = device.bits().map_or(0, |bits| bits.sectors());
    let mut state = device.verify.lock();
    let mut bounds = state.bounds;
    if apv < 90 {
        // The peer takes it that all of the device is meant.
        bounds.start = 0;
    }
    let run = Run::new(side, size, bounds, can_stop(apv));
    let empty = run.is_done();
    (state.run, state.active, state.news) = (Some(run), true, empty);
    drop(state);
    if side == Side::Source {
        log!(
            Level::Info,
            *device,
            "Starting Online Verify from sector {}",
            run.start()
        );
        resync::open_for_verify(&device);
        resource.resync_begins();
    }
    if empty {
        resource.resync_moved(vnr);
    }
}

/// The version knows a sector to stop at.
fn can_stop(apv: u32) -> bool {
    apv >= 97 && apv != 100
}

/// The machine says that the verify is over, or broken off.
pub(crate) fn end(resource: &Arc<Resource>, vnr: u16) {
    let Some(device) = resource.device(vnr) else {
        return;
    };
    let mut state = device.verify.lock();
    let Some(run) = state.active() else {
        return;
    };
    let (stretch, run) = (run.take_stretch(), *run);
    state.active = false;
    state.news = false;
    state.bounds.start = run.next_start();
    drop(state);
    tell(&device, stretch);
    if run.left() > 0 {
        log!(
            Level::Info,
            *device,
            "Online Verify reached sector {}",
            run.reached()
        );
    }
    resync::close(&device);
}

fn tell(device: &Device, stretch: Option<Stretch>) {
    if let Some(stretch) = stretch {
        log!(
            Level::Error,
            *device,
            "Out of sync: start={}, size={} (sectors)",
            stretch.start,
            stretch.sectors
        );
    }
}

/// As VerifyS: makes a step if one is due; asks for digests by `ask`.
pub(crate) fn step(
    resource: &Arc<Resource>,
    device: &Arc<Device>,
    ask: &mut impl FnMut(&Arc<Device>, BlockRange) -> Result,
) -> Result {
    let Some(conf) = device.local().map(|local| local.conf()) else {
        return Ok(());
    };
    if let Some(allowed) = resync::allowance(resource, device, &conf) {
        device.verify.lock().budget = allowed;
    }
    loop {
        let next = device.verify.lock().next();
        let Some((sector, bytes)) = next else {
            return Ok(());
        };
        let range = BlockRange::new(sector, bytes, 1 << 20).map_err(|_| EINVAL)?;
        match resync::claim(device, range) {
            Claim::Taken => {}
            // A write of ours is in the way, or enough is open: asked again later.
            Claim::Busy | Claim::Full => return Ok(()),
        }
        let mut state = device.verify.lock();
        state.budget = state.budget.saturating_sub(1);
        if let Some(run) = state.active() {
            run.asked();
        }
        drop(state);
        ask(device, range)?;
    }
}

/// As VerifyT: the peer asks about a block.
pub(crate) fn requested(device: &Device, sector: u64) {
    let first = device
        .verify
        .lock()
        .active()
        .and_then(|run| run.requested(sector).then(|| run.start()));
    if let Some(start) = first {
        log!(
            Level::Info,
            *device,
            "Online Verify start sector: {}",
            start
        );
    }
}

/// A block has its result. Tasks only.
pub(crate) fn seen(device: &Device, range: &BlockRange, equal: bool) {
    let mut state = device.verify.lock();
    let Some(run) = state.active() else { return };
    let stretch = run.result(range.sector(), u64::from(range.sectors()), equal);
    let (done, open) = (run.is_done(), run.open());
    state.news |= done;
    let more = open == OPEN_MAX / 2 && state.next().is_some();
    drop(state);
    tell(device, stretch);
    if more {
        device.resource.resync_begins();
    }
    if done {
        device.resource.resync_moved(device.vnr);
    }
}

/// As VerifyS: the peer cannot say anything about a block. `true` if this is about a verify.
pub(crate) fn refused(device: &Device, range: &BlockRange) -> bool {
    let running = device.verify.lock().running().is_some();
    if running {
        seen(device, range, true);
    }
    running
}

/// Whether the machine is to hear that all results are there.
pub(crate) fn take_news(device: &Device) -> bool {
    core::mem::take(&mut device.verify.lock().news)
}
