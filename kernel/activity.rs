// SPDX-License-Identifier: GPL-2.0

//! The activity log of a disk: [`drbd_core::al`] with its storage, its I/O, and those who wait.
//!
//! A write to an extent that is in the log takes a reference by one atomic operation
//! ([`Activity::cover`]). Any other one is put on the list `cold` of its device, and the device's
//! own work queue serves the list: it gathers as many extents as one transaction takes, writes the
//! bitmap of what they evict and then the block, and lets the writes go. What comes meanwhile is
//! gathered next.
//!
//! The work queue has a rescuer and belongs to one device alone: the log of a disk that stands on
//! another DRBD device never waits for itself. Nothing is allocated between the wish and the block.
//!
//! Order on disk: data of what is evicted (flushed, unless the block's own flush reaches it), its
//! bitmap, the block (with PREFLUSH and FUA), and only then data in the new extents.

use core::sync::atomic::{AtomicU16, Ordering};
use drbd_core::al::{bucket_count, ActiveSet, Bucket, Log, Refs, Slot, Started, Wait};
use drbd_core::meta::al::{emit_initialized, Transaction, TransactionKind};
use drbd_core::meta::{AlLayout, Superblock};
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{Arc, Mutex};

use crate::backing::Backing;
use crate::device::Device;
use crate::sys::bdev::BackingDev;
use crate::sys::bio::{self, OpFlags, Status, UpperBio};
use crate::sys::log::{log, Level};
use crate::sys::memalloc::NoIo;
use crate::sys::page::OwnedPage;
use crate::sys::workqueue::WorkItem;
use crate::vector;

mod exchange;

pub(crate) use exchange::Kept;

/// Writes that may wait for one transaction; more wait for the next one.
const READY_MAX: usize = 256;

struct Slots(KVVec<Slot>);

impl AsRef<[Slot]> for Slots {
    fn as_ref(&self) -> &[Slot] {
        &self.0
    }
}

struct Buckets(KVVec<Bucket>);

impl AsRef<[Bucket]> for Buckets {
    fn as_ref(&self) -> &[Bucket] {
        &self.0
    }
}

/// A write that goes on after a transaction.
struct Ready {
    bio: UpperBio,
    refs: Refs,
    /// The references count only if the transaction was written.
    pending: bool,
}

/// Who writes the log.
struct Writer {
    log: Log,
    block: OwnedPage,
    /// Writes that go on after the transaction, kept for their memory.
    ready: KVec<Ready>,
}

/// The activity log of an attached disk.
#[pin_data]
pub(crate) struct Activity {
    set: ActiveSet<Slots, Buckets>,
    #[pin]
    writer: Mutex<Writer>,
}

/// The number of the next log, so that references to an old one are not taken for its own.
static STAMP: AtomicU16 = AtomicU16::new(1);

impl Activity {
    /// An empty log with so many slots. May sleep.
    pub(crate) fn new(
        layout: AlLayout,
        extents: u32,
        updates: bool,
    ) -> Result<impl PinInit<Self, Error>> {
        let count = layout.clip_extents(extents);
        let mut slots = KVVec::with_capacity(usize::from(count), GFP_KERNEL)?;
        for _ in 0..count {
            vector::push(&mut slots, Slot::default(), GFP_KERNEL)?;
        }
        let wanted = bucket_count(count);
        let mut buckets = KVVec::with_capacity(wanted, GFP_KERNEL)?;
        for _ in 0..wanted {
            vector::push(&mut buckets, Bucket::default(), GFP_KERNEL)?;
        }
        let stamp = STAMP.fetch_add(1, Ordering::Relaxed);
        let set = ActiveSet::new(Slots(slots), Buckets(buckets), stamp).ok_or(EINVAL)?;
        let writer = Writer {
            log: Log::new(layout, count, updates),
            block: OwnedPage::new_zeroed()?,
            ready: KVec::with_capacity(READY_MAX, GFP_KERNEL)?,
        };
        Ok(try_pin_init!(Self {
            set,
            writer <- new_mutex!(writer, "drbd_al"),
        }? Error))
    }

    /// Takes references to the extents of a range, if they are in the log. Any context.
    #[inline]
    pub(crate) fn cover(&self, sector: u64, bytes: u32) -> Option<Refs> {
        self.set.cover(sector, bytes)
    }

    /// Whether the references are to this log.
    #[inline]
    pub(crate) fn owns(&self, refs: Refs) -> bool {
        self.set.owns(refs)
    }

    /// Gives references back; `true`: somebody waits for a slot. Any context.
    #[inline]
    fn uncover(&self, refs: Refs) -> bool {
        self.set.uncover(refs)
    }
}

/// Makes sure that the ring says nothing: what a log of earlier times says could otherwise be taken
/// for newer than what is written from now on. `drbdmeta apply-al` leaves it so, but metadata that
/// was restored from a dump may come without. May sleep.
pub(crate) fn clear_ring(meta: &BackingDev, first: u64, layout: AlLayout) -> Result {
    /// What no tool reads need not be looked at.
    const BLOCKS_MAX: u32 = 8192;
    let count = layout.blocks().min(BLOCKS_MAX);
    let mut page = OwnedPage::new_zeroed()?;
    let place = |block: u32| first.saturating_add(u64::from(block).saturating_mul(8));
    let mut clean = true;
    for block in 0..count {
        bio::read_page(meta, place(block), &mut page, 4096, OpFlags::META_SYNC)?;
        clean = Transaction::parse(page.bytes())
            .is_ok_and(|found| found.kind() == TransactionKind::Initialized);
        if !clean {
            break;
        }
    }
    if clean {
        return Ok(());
    }
    emit_initialized(page.bytes_mut()).map_err(|_| EINVAL)?;
    for block in 0..count {
        bio::write_page(meta, place(block), &page, 4096, OpFlags::META_SYNC)?;
    }
    meta.flush()
}

impl Backing {
    /// Writes the transaction that was gathered, if there is one. `true`: extents have become
    /// active. After a failure the log says so. May sleep.
    fn transact(&self, device: &Device, writer: &mut Writer) -> bool {
        match writer.log.start(&self.activity.set) {
            Started::Nothing => false,
            Started::Committed => true,
            Started::Transaction { evicts } => {
                let done = self.write_transaction(device, writer, evicts);
                match done {
                    Ok(()) => {
                        device.counters.al_writ.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(_) => writer.log.failed(),
                }
                done.is_ok()
            }
        }
    }

    fn write_transaction(&self, device: &Device, writer: &mut Writer, evicts: bool) -> Result {
        let set = &self.activity.set;
        if evicts {
            // As it is under the log's mutex: one that it takes the place of is not written any
            // more.
            let bits = device.bits().ok_or(EIO)?;
            self.flush_evicted()?;
            for extent in writer.log.evicted(set) {
                // 32 extents share a page of bitmap.
                self.write_set_bits(&bits, (extent >> 5) as usize)?;
            }
            writer.log.bitmap_written().map_err(|_| EINVAL)?;
        }
        self.write_log_block(writer)
    }

    fn write_log_block(&self, writer: &mut Writer) -> Result {
        let Writer { log, block, .. } = writer;
        let set = &self.activity.set;
        let nr = log.emit(set, block.bytes_mut()).map_err(|_| EINVAL)?;
        let at = self.layout().al_sector();
        let sector = at.saturating_add(u64::from(nr).saturating_mul(8));
        self.write_metadata(sector, block, 4096, self.md_flags())?;
        log.block_written(set).map_err(|_| EINVAL)
    }

    /// Keeps the log from being written, and bitmaps from being written for it, as long as the
    /// guard is there. Who puts a bitmap of another size in place holds it until that one is on the
    /// disk: nobody writes the old one over it. May sleep.
    pub(crate) fn hold_log(&self) -> impl Sized + '_ {
        self.activity.writer.lock()
    }

    /// Writes what changed of the bitmap that is in place, durably; for who does not have the
    /// owner's mutex. May sleep.
    pub(crate) fn write_bitmap_in_place(&self, device: &Device) -> Result {
        let _held = self.hold_log();
        self.write_bitmap(&*device.bits().ok_or(EIO)?)
    }

    /// The log is written from now on (`al-updates yes`), or not any more. When it is again, the
    /// disk is told the whole set first; the caller sees to the bitmap and the flag. May sleep.
    pub(crate) fn set_log_updates(&self, on: bool) -> Result {
        let mut writer = self.activity.writer.lock();
        if writer.log.updates() == on {
            return Ok(());
        }
        if on {
            self.write_whole_set(&mut writer)?;
        }
        writer.log.set_updates(on);
        Ok(())
    }

    /// Tells the disk all that is active.
    fn write_whole_set(&self, writer: &mut Writer) -> Result {
        for _ in 0..writer.log.windows() {
            if !writer.log.start_context() {
                return Err(EIO);
            }
            if let Err(error) = self.write_log_block(writer) {
                writer.log.failed();
                return Err(error);
            }
        }
        Ok(())
    }

    /// The metadata goes to the places that the superblock names, the log first; the bitmap counts
    /// as changed, and is written there. Until a superblock is written as it is, a crash leads to a
    /// full sync. Under the owner's mutex. May sleep.
    pub(crate) fn move_metadata(&self, device: &Device, superblock: &Superblock) -> Result {
        let mut writer = self.activity.writer.lock();
        let layout = self.set_layout(superblock)?;
        self.write_superblock(&superblock.while_moving())?;
        clear_ring(&self.meta, layout.al_sector(), layout.al())?;
        if writer.log.updates() {
            self.write_whole_set(&mut writer)?;
        }
        device.bits().ok_or(EIO)?.mark_all_dirty();
        Ok(())
    }

    /// What `/proc/drbd` tells of the log. May sleep.
    pub(crate) fn log_stats(&self) -> drbd_core::proc::ExtentStats {
        let (misses, starving, changed) = self.activity.writer.lock().log.counters();
        drbd_core::proc::ExtentStats {
            used: self.activity.set.usage().1,
            capacity: u32::from(self.activity.set.len()),
            hits: 0,
            misses,
            starving,
            locked: 0,
            changed,
        }
    }
}

impl WorkItem<5> for Device {
    type Pointer = Arc<Self>;

    /// Serves those who wait for the log.
    fn run(this: Arc<Self>) {
        let _noio = NoIo::enter();
        while this.log_round() {}
    }
}

impl Device {
    /// A write needs extents that are not in the log. Any context.
    pub(crate) fn wait_for_log(self: &Arc<Self>, bio: UpperBio) {
        // A bio that is already listed cannot be: it is ours alone.
        let _ = self.cold.push(bio);
        self.serve_log();
    }

    /// Has the log look at those who wait for it. Any context.
    fn serve_log(self: &Arc<Self>) {
        if let Some(queue) = &*self.log_queue.lock() {
            let _ = queue.enqueue::<_, 5>(self.clone());
        }
    }

    /// The writes are over, and what the bitmap has to know it knows. Any context.
    #[inline]
    pub(crate) fn uncover(self: &Arc<Self>, refs: Refs) {
        if refs.is_none() {
            return;
        }
        let local = self.local();
        let somebody_waits = local.is_some_and(|local| local.activity.uncover(refs));
        if somebody_waits {
            self.serve_log();
            self.idle.wake_all();
        }
    }

    /// The policy has changed: those who wait for the log may not need it any more. Any context.
    pub(crate) fn reconsider_log(self: &Arc<Self>) {
        if !self.cold.is_empty() || !self.starved.is_empty() {
            self.serve_log();
        }
    }

    /// One transaction for as many of those who wait as it takes. `true`: there is more to do.
    fn log_round(self: &Arc<Self>) -> bool {
        let waiting = Iterator::chain(self.starved.take_all(), self.cold.take_all());
        let Some(local) = self.local_io() else {
            // They go to the peer alone, or fail, or wait for another policy.
            for bio in waiting {
                self.submit_covered(bio, Refs::NONE);
            }
            return false;
        };
        let mut writer = local.activity.writer.lock();
        let failed_before = writer.log.has_failed();
        let starves = self.gather(&local, &mut writer, waiting);
        let wrote = local.transact(self, &mut writer);
        let failed = writer.log.has_failed();
        let mut ready = core::mem::take(&mut writer.ready);
        drop(writer);
        let moved = wrote || !ready.is_empty();
        for Ready { bio, refs, pending } in ready.drain_all() {
            if pending && failed {
                let _ = local.activity.uncover(refs);
                self.park_for_memory(bio);
            } else {
                self.submit_covered(bio, refs);
            }
        }
        local.activity.writer.lock().ready = ready;
        // A detach waits for it, and the owner must not.
        drop(local);
        if failed && !failed_before {
            self.log_failed();
        }
        if starves && !moved {
            // Slots come back with barrier acks, which an open epoch does not get.
            self.resource.close_open_epoch();
        }
        moved && !self.starved.is_empty()
    }

    /// Finds extents for those who wait, in their order, until one has to wait longer. `true`: for
    /// want of slots.
    fn gather(
        self: &Arc<Self>,
        local: &Backing,
        writer: &mut Writer,
        waiting: impl Iterator<Item = UpperBio>,
    ) -> bool {
        let Writer { log, ready, .. } = writer;
        let set = &local.activity.set;
        let (mut full, mut starves) = (false, false);
        for bio in waiting {
            if full {
                let _ = self.starved.push(bio);
                continue;
            }
            match log.want(set, bio.sector(), bio.bytes()) {
                Ok((refs, pending)) => {
                    // The room was made when the log was.
                    let _ = ready.push_within_capacity(Ready { bio, refs, pending });
                    full = ready.len() >= READY_MAX;
                }
                Err(Wait::Failed) => self.park_for_memory(bio),
                Err(Wait::NoSuchExtent) => bio.end(Status::IO_ERROR),
                Err(wait @ (Wait::ForTransaction | Wait::ForSlot)) => {
                    let _ = self.starved.push(bio);
                    full = true;
                    starves = wait == Wait::ForSlot;
                }
            }
        }
        if self.starved.is_empty() && self.peers_starving.load(Ordering::SeqCst) == 0 {
            log.nobody_starves(set);
        }
        starves
    }

    /// Counts the slots of the log that have become free; see [`ActiveSet::relieved`]. Any context.
    fn log_relieved(&self) -> Option<(u16, u32)> {
        Some(self.local()?.activity.set.relieved())
    }

    fn log_failed(self: &Arc<Self>) {
        log!(
            Level::Error,
            **self,
            "the activity log could not be written"
        );
        self.resource.feed(self.metadata_failed());
    }

    /// Takes references for a write of the peer, which keeps no copy: the extents get into the log
    /// if they are not. Waits for slots as long as `goes_on` says. `Ok` without references if there
    /// is no disk. May sleep.
    pub(crate) fn cover_and_wait(
        self: &Arc<Self>,
        sector: u64,
        bytes: u32,
        goes_on: impl Fn() -> bool,
    ) -> Result<Refs> {
        if let Some(refs) = self.local().and_then(|l| l.activity.cover(sector, bytes)) {
            return Ok(refs);
        }
        self.peers_starving.fetch_add(1, Ordering::SeqCst);
        let covered = self.cover_one(sector, bytes, goes_on);
        self.peers_starving.fetch_sub(1, Ordering::SeqCst);
        // If nobody else waits for slots, the log stops saving them.
        self.serve_log();
        covered
    }

    fn cover_one(
        self: &Arc<Self>,
        sector: u64,
        bytes: u32,
        goes_on: impl Fn() -> bool,
    ) -> Result<Refs> {
        loop {
            let Some(local) = self.local_io() else {
                return Ok(Refs::NONE);
            };
            let activity = &local.activity;
            let seen = activity.set.relieved();
            let mut writer = activity.writer.lock();
            let failed_before = writer.log.has_failed();
            let wanted = writer.log.want(&activity.set, sector, bytes);
            let wrote = local.transact(self, &mut writer);
            let failed = writer.log.has_failed();
            drop(writer);
            let useless = failed && matches!(wanted, Ok((_, true)));
            if let (Ok((refs, _)), true) = (wanted, useless) {
                let _ = activity.uncover(refs);
            }
            // A detach waits for it: nobody may wait for anything else meanwhile.
            drop(local);
            if failed && !failed_before {
                self.log_failed();
            }
            match wanted {
                Ok(_) if useless => return Err(EIO),
                Ok((refs, _)) => return Ok(refs),
                Err(Wait::ForTransaction) => {}
                Err(Wait::ForSlot) if wrote => {}
                Err(Wait::ForSlot) => self.idle.wait_idle(|| {
                    self.log_relieved() != Some(seen) || !goes_on() || !self.policy().local_write
                }),
                Err(Wait::Failed | Wait::NoSuchExtent) => return Err(EIO),
            }
            if !goes_on() {
                return Err(ENOTCONN);
            }
        }
    }
}
