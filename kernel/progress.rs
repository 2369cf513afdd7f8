// SPDX-License-Identifier: GPL-2.0

//! The progress of a resync, for those who watch: rolling marks, from which speeds are computed,
//! and events for old-style listeners.
//!
//! While a resync runs, a work item looks at the bitmap every two seconds. Nothing is counted where
//! blocks move.

use core::sync::atomic::{AtomicBool, Ordering};
use drbd_core::peer::Volume;
use drbd_core::proc::{Marks, Position, Progress, Span};
use drbd_core::state::{Conn, DeviceState};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::events;
use crate::genl::status;
use crate::resource::Resource;
use crate::sys::time::{ms_to_jiffies, Jiffies};
use crate::sys::workqueue::{cancel_delayed_sync, new_delayed_work, DelayedWork, WorkItem};
use crate::sys::{new_spinlock_irq, SpinLockIrq};

/// Milliseconds between two looks.
const STEP_MS: u32 = 2000;

/// What is remembered of a resync.
#[derive(Clone, Copy)]
struct Run {
    marks: Marks,
    /// Bits left when listeners heard last.
    told: u64,
}

/// The watch over the resync of a device.
#[pin_data]
pub(crate) struct Watch {
    #[pin]
    run: SpinLockIrq<Option<Run>>,
    /// The work item is to go on.
    on: AtomicBool,
}

impl Watch {
    /// No resync.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            run <- new_spinlock_irq!(None, "drbd_watch"),
            on: AtomicBool::new(false),
        })
    }
}

/// The work item of a device.
pub(crate) fn new_work() -> impl PinInit<DelayedWork<Device, 3>> {
    new_delayed_work!("drbd_watch")
}

impl WorkItem<3> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let volume = this.resource.view(|view| status::volume(view, this.vnr));
        if !this.watch.on.load(Ordering::Acquire) || !runs(&volume.state) {
            return;
        }
        let left = left(&this, &volume);
        let mut moved = false;
        if let Some(run) = &mut *this.watch.run.lock() {
            run.marks.advance(Resource::now_ms(), left);
            moved = run.told != left;
            run.told = left;
        }
        if moved {
            events::sync_progress(&this);
        }
        again(&this);
    }
}

fn step() -> Jiffies {
    ms_to_jiffies(STEP_MS)
}

fn again(device: &Arc<Device>) {
    // If it is queued already, it comes.
    let _ = crate::io_queue().enqueue_delayed::<_, 3>(device.clone(), step());
}

fn runs(state: &DeviceState) -> bool {
    matches!(
        state.conn,
        Conn::SyncSource
            | Conn::SyncTarget
            | Conn::PausedSyncS
            | Conn::PausedSyncT
            | Conn::VerifyS
            | Conn::VerifyT
    )
}

/// Bits that are still to be synced or verified.
fn left(device: &Device, volume: &Volume) -> u64 {
    if volume.state.conn.is_verify() {
        return device.verify.lock().running().map_or(0, |run| run.left());
    }
    to_sync(device, volume.resync.failed)
}

/// Bits that are set, but for the `failed` ones.
fn to_sync(device: &Device, failed: u64) -> u64 {
    let weight = device.bits().map_or(0, |bits| bits.weight());
    weight.saturating_sub(failed)
}

/// Bits that are left of the verify that runs, or else of a resync with so many `failed` ones.
fn left_of_run(device: &Device, failed: u64) -> u64 {
    let verify = device.verify.lock().running().map(|run| run.left());
    verify.unwrap_or_else(|| to_sync(device, failed))
}

/// The state of a volume has changed: a resync may have begun, ended, or gone on after a pause.
pub(crate) fn state_changed(device: &Arc<Device>, old: &DeviceState, new: &DeviceState) {
    match (runs(old), runs(new)) {
        (false, true) => {
            let left = left_of_run(device, 0);
            let marks = Marks::new(Resource::now_ms(), left);
            *device.watch.run.lock() = Some(Run { marks, told: left });
            device.watch.on.store(true, Ordering::Release);
            again(device);
        }
        (true, false) => {
            device.watch.on.store(false, Ordering::Release);
            *device.watch.run.lock() = None;
        }
        _ => {}
    }
}

/// The device goes: no look is taken any more. May sleep.
pub(crate) fn stop(device: &Arc<Device>) {
    device.watch.on.store(false, Ordering::Release);
    cancel_delayed_sync::<Device, 3>(device);
}

/// How fast the resync or verify has been in the last seconds, in KiB/s.
pub(crate) fn recent_speed(device: &Device) -> u64 {
    let Some(run) = *device.watch.run.lock() else {
        return 0;
    };
    let left = left_of_run(device, device.counters.rs_failed.load(Ordering::Relaxed));
    run.marks.recent(Resource::now_ms(), left).kib_per_second()
}

/// A snapshot for `/proc/drbd`.
pub(crate) fn snapshot(device: &Device, volume: &Volume) -> Option<Progress> {
    let conn = volume.state.conn;
    if !matches!(conn, Conn::SyncSource | Conn::SyncTarget) && !conn.is_verify() {
        return None;
    }
    let verify = device.verify.lock().running();
    let now = Resource::now_ms();
    let left_bits = left(device, volume);
    let run = *device.watch.run.lock();
    let (rolling, recent) = run.map_or((Span::default(), Span::default()), |run| {
        (
            run.marks.rolling(now, left_bits),
            run.marks.recent(now, left_bits),
        )
    });
    let resync = &volume.resync;
    let active_ms = now
        .saturating_sub(resync.started_ms)
        .saturating_sub(resync.paused_ms);
    Some(Progress {
        total_bits: verify.map_or(resync.total, |run| run.total()),
        left_bits,
        rolling,
        recent,
        active_seconds: active_ms / 1000,
        want_kib_s: u64::from(crate::resync::wanted_rate(device)),
        position: Position {
            bit: verify.map_or_else(|| crate::resync::position(device), |run| run.position()),
            device_bits: device.bits().map_or(0, |bits| bits.len()),
            stop_sector: verify.and_then(|run| run.stop()),
        },
    })
}
