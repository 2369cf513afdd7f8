// SPDX-License-Identifier: GPL-2.0

//! A disk that may not take longer than `disk-timeout`.
//!
//! What is given up may still be on its way to the disk, or from it, and be done at any time: so it
//! has pages of its own, and whoever waited for it gets his back at once. That costs a copy, which
//! is why it is done only while the option is set.
//!
//! Applications' I/O that is under way has a place here. When the oldest is overdue, or a block of
//! metadata is, the machine hears that the disk hangs, and says what to give up
//! ([`Patience::abandon`]). The disk stays in use until all has come back.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use drbd_core::peer::{DiskErrorKind, Event as Told};
use drbd_core::request::overdue::{self, DiskWatch};
use drbd_core::request::slots::SlotId;
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::{Device, Local};
use crate::resource::Resource;
use crate::sys::bdev::BackingDev;
use crate::sys::bio::{
    AccountingStart, BioArc, Buffer, EndIo, OpFlags, OwnedBio, ReadyBio, Status, UpperBio,
    UpperCell,
};
use crate::sys::log::{log, Level};
use crate::sys::time::ms_to_jiffies;
use crate::sys::wait::{new_wait_queue, WaitQueue};
use crate::sys::workqueue::{cancel_delayed_sync, new_delayed_work, DelayedWork, WorkItem};
use crate::sys::{new_spinlock_irq, SpinLockIrq, Wait};
use crate::vector;

/// Applications' I/O that one disk may have under way; more has to wait.
const PLACES: u32 = 512;

/// The I/O has not ended.
const UNDER_WAY: u32 = 0;
/// It has ended well.
const DONE: u32 = 1;
/// It has failed.
const FAILED: u32 = 2;
/// It has not ended, and nobody waits for it any more.
const LEFT: u32 = 3;

/// What the I/O is for.
pub(crate) enum Purpose {
    /// A block of metadata, or a flush, that a task waits for.
    Metadata,
    /// A write or a flush from above.
    Write {
        /// The request.
        slot: SlotId,
    },
    /// A read from above.
    Read {
        /// The bio from above.
        upper: UpperCell,
        /// When it came.
        started: AccountingStart,
    },
}

/// I/O that can be given up.
pub(crate) struct Timed {
    patience: Arc<Patience>,
    /// The volume; none for metadata.
    device: Option<Arc<Device>>,
    state: AtomicU32,
    /// The place, if it has one.
    place: AtomicU32,
    since_ms: u64,
    purpose: Purpose,
}

impl Drop for Timed {
    /// Perhaps in an interrupt.
    fn drop(&mut self) {
        if let Some(device) = self.device.take() {
            crate::device::let_go(device);
        }
    }
}

impl EndIo for Timed {
    type Payload = Buffer;

    fn end_io(bio: OwnedBio<Self>, status: Status) {
        let patience = &bio.patience;
        let ended = if status.is_ok() { DONE } else { FAILED };
        let left = bio.state.swap(ended, Ordering::AcqRel) == LEFT;
        patience.vacate(bio.place.load(Ordering::Relaxed));
        let Some(device) = &bio.device else {
            if left {
                patience.left.fetch_sub(1, Ordering::AcqRel);
            }
            patience.ended.wake_all();
            return;
        };
        match &bio.purpose {
            _ if left => device.local_done(),
            Purpose::Write { slot } => device.local_write_done(*slot, status),
            Purpose::Read { upper, started } => {
                device.local_done();
                if let Some(upper) = upper.take() {
                    if status.is_ok() {
                        upper.data().copy_all(bio.data());
                    }
                    device.local_read_done(upper, *started, status);
                }
            }
            Purpose::Metadata => {}
        }
    }
}

impl Timed {
    /// Nobody waits for it any more, if it has not ended. `true`: so it is.
    fn leave(&self) -> bool {
        self.state
            .compare_exchange(UNDER_WAY, LEFT, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// It was left: tells who it was for.
    fn give_up(&self) {
        let Some(device) = &self.device else { return };
        match &self.purpose {
            Purpose::Write { slot } => {
                // One for the request, which has not heard of it; the other one for the disk.
                device.local_begins();
                device.local_write_done(*slot, Status::IO_ERROR);
            }
            Purpose::Read { upper, started } => {
                if let Some(upper) = upper.take() {
                    device.local_read_done(upper, *started, Status::IO_ERROR);
                }
            }
            Purpose::Metadata => {}
        }
    }
}

/// The I/O that has a place, and whether there is to be more.
struct UnderWay {
    places: KVec<Option<BioArc<Timed>>>,
    out: bool,
}

/// What is under way on a disk and can be given up.
#[pin_data]
pub(crate) struct Patience {
    #[pin]
    under_way: SpinLockIrq<UnderWay>,
    /// The disk was given up.
    out: AtomicBool,
    /// Metadata I/O that was left and has not ended.
    left: AtomicU32,
    /// Woken when metadata I/O ends, or need not be waited for.
    #[pin]
    ended: WaitQueue,
}

impl Patience {
    /// For a disk. May sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let mut places = KVec::with_capacity(PLACES as usize, GFP_KERNEL)?;
        for _ in 0..PLACES {
            vector::push(&mut places, None, GFP_KERNEL)?;
        }
        let under_way = UnderWay { places, out: false };
        Arc::pin_init(
            pin_init!(Self {
                under_way <- new_spinlock_irq!(under_way, "drbd_patience"),
                out: AtomicBool::new(false),
                left: AtomicU32::new(0),
                ended <- new_wait_queue!("drbd_timed"),
            }),
            GFP_KERNEL,
        )
    }

    /// The disk was given up, and has not answered all.
    pub(crate) fn is_out(&self) -> bool {
        self.out.load(Ordering::Acquire)
    }

    fn object(
        self: &Arc<Self>,
        device: Option<&Arc<Device>>,
        purpose: Purpose,
        bytes: u32,
    ) -> Option<OwnedBio<Timed>> {
        let wait = if device.is_some() {
            Wait::No
        } else {
            Wait::Yes
        };
        let timed = Timed {
            patience: self.clone(),
            device: device.cloned(),
            state: AtomicU32::new(UNDER_WAY),
            place: AtomicU32::new(u32::MAX),
            since_ms: Resource::now_ms(),
            purpose,
        };
        crate::timed_ios().alloc_buffer(bytes, wait, timed).ok()
    }

    /// Gives an object a place. `false`: there is none, or nothing is to be begun any more.
    fn place(&self, io: &OwnedBio<Timed>) -> bool {
        let mut under_way = self.under_way.lock();
        if under_way.out {
            return false;
        }
        let mut free = (0..PLACES).zip(under_way.places.iter_mut());
        let Some((index, place)) = free.find(|(_, place)| place.is_none()) else {
            return false;
        };
        io.place.store(index, Ordering::Relaxed);
        *place = Some(io.share());
        true
    }

    fn vacate(&self, index: u32) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let mut under_way = self.under_way.lock();
        let gone = under_way.places.get_mut(index).and_then(Option::take);
        drop(under_way);
        drop(gone);
    }

    /// An object for a write or a flush of a request, with a copy of its data; it has its place.
    /// `None`: not now. Any context.
    pub(crate) fn write(
        self: &Arc<Self>,
        device: &Arc<Device>,
        slot: SlotId,
        upper: &UpperBio,
    ) -> Option<OwnedBio<Timed>> {
        let io = self.object(Some(device), Purpose::Write { slot }, upper.bytes())?;
        io.data().copy_all(upper.data());
        self.place(&io).then_some(io)
    }

    /// An object for a read, which has its place. Gives the bio back if not now. Any context.
    pub(crate) fn read(
        self: &Arc<Self>,
        device: &Arc<Device>,
        bio: UpperBio,
    ) -> Result<OwnedBio<Timed>, UpperBio> {
        let started = bio.start_accounting();
        let upper = UpperCell::empty();
        let purpose = Purpose::Read { upper, started };
        let Some(io) = self.object(Some(device), purpose, bio.bytes()) else {
            bio.end_accounting(started);
            return Err(bio);
        };
        let Purpose::Read { upper, .. } = &io.purpose else {
            return Err(bio);
        };
        upper.put(bio);
        if self.place(&io) {
            return Ok(io);
        }
        // Nobody else knows of it.
        match upper.take() {
            Some(bio) => {
                bio.end_accounting(started);
                Err(bio)
            }
            None => Ok(io),
        }
    }

    /// An object for metadata I/O, unless the disk was given up. May sleep.
    fn metadata(self: &Arc<Self>, bytes: u32) -> Result<OwnedBio<Timed>> {
        if self.is_out() {
            return Err(ETIMEDOUT);
        }
        self.object(None, Purpose::Metadata, bytes).ok_or(ENOMEM)
    }

    fn wait_for(&self, ready: ReadyBio<'_, Timed>, limit_ms: u32) -> Result {
        let io = ready.share();
        ready.submit();
        let ended = || io.state.load(Ordering::Acquire) != UNDER_WAY;
        let limit = ms_to_jiffies(limit_ms);
        self.ended
            .wait_idle_timeout(limit, || ended() || self.is_out());
        // Counted before the end can see that it was left.
        self.left.fetch_add(1, Ordering::AcqRel);
        if io.leave() {
            self.out.store(true, Ordering::Release);
            return Err(ETIMEDOUT);
        }
        self.left.fetch_sub(1, Ordering::AcqRel);
        if io.state.load(Ordering::Acquire) == DONE {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Writes a block of metadata. May sleep, but no longer than `limit_ms`.
    pub(crate) fn write_block(
        self: &Arc<Self>,
        disk: &Arc<BackingDev>,
        sector: u64,
        data: &[u8],
        flags: OpFlags,
        limit_ms: u32,
    ) -> Result {
        let io = self.metadata(u32::try_from(data.len()).map_err(|_| EINVAL)?)?;
        io.data().copy_from(data);
        self.wait_for(io.write(disk, sector, flags), limit_ms)
    }

    /// Flushes a disk. May sleep, but no longer than `limit_ms`.
    pub(crate) fn flush(self: &Arc<Self>, disk: &Arc<BackingDev>, limit_ms: u32) -> Result {
        self.wait_for(self.metadata(0)?.flush(disk), limit_ms)
    }

    /// The disk is given up: tells all who wait for it, and lets nobody begin.
    pub(crate) fn abandon(&self) {
        self.out.store(true, Ordering::Release);
        self.ended.wake_all();
        loop {
            let mut under_way = self.under_way.lock();
            under_way.out = true;
            let mut all = under_way.places.iter().flatten();
            let next = all.find(|io| io.leave()).cloned();
            drop(under_way);
            match next {
                Some(io) => io.give_up(),
                None => return,
            }
        }
    }

    /// Waits until the metadata I/O that was left has ended: the disk may be asked again. Local I/O
    /// has ended before. May sleep.
    pub(crate) fn wait_for_rest(&self) {
        self.ended
            .wait_idle(|| self.left.load(Ordering::Acquire) == 0);
        self.out.store(false, Ordering::Release);
    }

    /// For how long the oldest I/O from above has been under way.
    fn oldest_ms(&self) -> Option<u64> {
        let now = Resource::now_ms();
        let under_way = self.under_way.lock();
        let all = under_way.places.iter().flatten();
        let waiting = all.filter(|io| io.state.load(Ordering::Relaxed) == UNDER_WAY);
        waiting.map(|io| now.saturating_sub(io.since_ms)).max()
    }
}

impl Device {
    /// Reads from a disk that may not take too long. Any context.
    pub(crate) fn timed_read(self: &Arc<Self>, local: &Local<'_>, bio: UpperBio) {
        let (sector, bytes) = (bio.sector(), bio.bytes());
        let flags = bio.flags().only(OpFlags::PASSED_ON);
        self.counters.ap_bio.fetch_add(1, Ordering::Relaxed);
        self.local_begins();
        match local.patience.read(self, bio) {
            Ok(io) => {
                self.counters
                    .read
                    .fetch_add(u64::from(bytes >> 9), Ordering::Relaxed);
                io.read(&local.data, sector, flags).submit();
            }
            Err(bio) => {
                self.local_done();
                self.counters.ap_bio.fetch_sub(1, Ordering::Relaxed);
                self.park_for_memory(bio);
            }
        }
    }

    /// The disk is given up.
    pub(crate) fn abandon_disk(&self) {
        if let Some(local) = self.local() {
            local.patience.abandon();
        }
    }

    /// What the machine is told when metadata could not be written.
    pub(crate) fn metadata_failed(&self) -> Told {
        let out = self.local().is_some_and(|local| local.patience.is_out());
        Told::DiskError {
            vnr: self.vnr,
            kind: if out {
                DiskErrorKind::Hang
            } else {
                DiskErrorKind::Metadata
            },
        }
    }
}

/// The work item of a device.
pub(crate) fn new_work() -> impl PinInit<DelayedWork<Device, 7>> {
    new_delayed_work!("drbd_patience")
}

/// There is a disk, or `disk-timeout` is another one: from now on it is looked after. Any context.
pub(crate) fn watch(device: &Arc<Device>) {
    look_in(device, 0);
}

fn look_in(device: &Arc<Device>, ms: u32) {
    // If it is queued already, it comes.
    let _ = crate::io_queue().enqueue_delayed::<_, 7>(device.clone(), ms_to_jiffies(ms));
}

/// The device goes: nothing is looked after any more. May sleep.
pub(crate) fn stop(device: &Arc<Device>) {
    cancel_delayed_sync::<Device, 7>(device);
}

impl WorkItem<7> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let Some(local) = this.local() else { return };
        let (limit, oldest) = (local.limit_ms(), local.patience.oldest_ms());
        drop(local);
        let Some(limit) = limit else { return };
        match overdue::watch_disk(limit, oldest) {
            DiskWatch::LookAgain(ms) => look_in(&this, ms),
            DiskWatch::GiveUp => {
                log!(
                    Level::Warning,
                    *this,
                    "Local backing device failed to meet the disk-timeout"
                );
                this.resource.feed(Told::DiskError {
                    vnr: this.vnr,
                    kind: DiskErrorKind::Hang,
                });
            }
        }
    }
}
