// SPDX-License-Identifier: GPL-2.0

//! The disk below a volume: data, superblock, bitmap.
//!
//! Superblock and bitmap are written one block at a time, through one buffer. The superblock goes
//! out with PREFLUSH and FUA, so that what was written before it is stable when it is (unless
//! `md-flushes` is off). The activity log has its own ([`crate::activity`]).
//!
//! A cleared bit goes to the disk only behind a flush of the data that it vouches for.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use drbd_core::config::DiskConf;
use drbd_core::meta::{Layout, MdIndex, Room, Superblock};
use drbd_core::peer::DiskData;
use drbd_core::request::overdue;
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{Arc, Mutex};

use crate::activity::{self, Activity};
use crate::bitmap::{Bits, Changed};
use crate::objects;
use crate::patience::Patience;
use crate::sys::bdev::BackingDev;
use crate::sys::bio::{self, OpFlags};
use crate::sys::page::OwnedPage;
use crate::sys::{new_spinlock_irq, SpinLockIrq};

/// The largest request that DRBD ever makes: 1 MiB.
pub(crate) const BIO_BYTES_MAX: u32 = 1 << 20;

/// Why a disk cannot be attached: a `drbd_ret_code`, with the text that goes with it.
pub(crate) type AttachError = i32;

/// Where the metadata is, on devices of which size.
#[derive(Clone, Copy)]
struct Places {
    layout: Layout,
    /// Sectors of data and metadata device, as the machine knows them.
    sectors: (u64, u64),
}

/// What a disk shares with the one that takes its place with another activity log.
type Shared = (
    Arc<Mutex<OwnedPage>>,
    Arc<Patience>,
    Arc<SpinLockIrq<Places>>,
);

/// An attached disk.
#[pin_data]
pub(crate) struct Backing {
    /// Where the data is.
    pub(crate) data: Arc<BackingDev>,
    /// Where the metadata is; the same for internal metadata.
    pub(crate) meta: Arc<BackingDev>,
    /// Places on the metadata device, for this disk with whatever log it has.
    places: Arc<SpinLockIrq<Places>>,
    /// The options.
    #[pin]
    conf: SpinLockIrq<DiskConf>,
    /// `disk-timeout` of the options, for each I/O.
    disk_timeout: AtomicU32,
    /// A flush of the data failed, and the disk is in use all the same.
    flush_failed: AtomicBool,
    /// The buffer for metadata blocks. Held while a page of the bitmap is written, so that who
    /// finds a page unchanged knows that it is not on its way either.
    buffer: Arc<Mutex<OwnedPage>>,
    /// I/O that can be given up.
    pub(crate) patience: Arc<Patience>,
    /// The activity log.
    #[pin]
    pub(crate) activity: Activity,
    _counted: objects::Backings,
}

impl Backing {
    /// Reads the superblock on `meta` and looks whether all fits. May sleep.
    ///
    /// Gives the disk without its bitmap, and what the machine wants to know of it.
    pub(crate) fn read(
        data: Arc<BackingDev>,
        meta: Arc<BackingDev>,
        index: MdIndex,
        conf: DiskConf,
    ) -> Result<(Arc<Self>, DiskData), AttachError> {
        const NOMEM: i32 = 122;
        const IO_MD_DISK: i32 = 118;
        const DISK_TOO_SMALL: i32 = 111;
        let capacity = meta.sectors();
        let at = index.superblock_sector(capacity).ok_or(112)?;
        let mut page = OwnedPage::new_zeroed().map_err(|_| NOMEM)?;
        bio::read_page(&meta, at, &mut page, 4096, OpFlags::META_SYNC).map_err(|_| IO_MD_DISK)?;
        let (mut superblock, layout) = Superblock::attach(page.bytes(), index, capacity)
            .map_err(|refusal| refusal.ret_code())?;
        let usable = layout.usable_sectors(data.sectors());
        if usable < conf.disk_size {
            return Err(DISK_TOO_SMALL);
        }
        let extents = layout.al().clip_extents(conf.al_extents);
        superblock.al_nr_extents = u32::from(extents);
        activity::clear_ring(&meta, layout.al_sector(), layout.al()).map_err(|_| IO_MD_DISK)?;
        let log =
            Activity::new(layout.al(), u32::from(extents), conf.al_updates).map_err(|_| NOMEM)?;
        let disk = DiskData {
            superblock,
            al_updates: conf.al_updates,
            usable,
            room: None,
            user_size: conf.disk_size,
            fencing: crate::convert::fencing(conf.fencing),
            max_bio_size: max_bio_size(&data),
            dirty: false,
        };
        let buffer =
            Arc::pin_init(new_mutex!(page, "drbd_md_buffer"), GFP_KERNEL).map_err(|_| NOMEM)?;
        let patience = Patience::new().map_err(|_| NOMEM)?;
        let sectors = (data.sectors(), capacity);
        let places = Places { layout, sectors };
        let places = Arc::pin_init(new_spinlock_irq!(places, "drbd_md_places"), GFP_KERNEL)
            .map_err(|_| NOMEM)?;
        let shared = (buffer, patience, places);
        let backing = Self::with(data, meta, conf, shared, log).map_err(|_| NOMEM)?;
        Ok((backing, disk))
    }

    fn with(
        data: Arc<BackingDev>,
        meta: Arc<BackingDev>,
        conf: DiskConf,
        (buffer, patience, places): Shared,
        log: impl PinInit<Activity, Error>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                data,
                meta,
                places,
                disk_timeout: AtomicU32::new(conf.disk_timeout),
                conf <- new_spinlock_irq!(conf, "drbd_disk_conf"),
                flush_failed: AtomicBool::new(false),
                buffer,
                patience,
                activity <- log,
                _counted: objects::Backings::new(),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// The same disk with another activity log. May sleep.
    pub(crate) fn with_log(&self, log: impl PinInit<Activity, Error>) -> Result<Arc<Self>> {
        let (data, meta) = (self.data.clone(), self.meta.clone());
        let (buffer, patience) = (self.buffer.clone(), self.patience.clone());
        let shared = (buffer, patience, self.places.clone());
        let new = Self::with(data, meta, self.conf(), shared, log)?;
        if self.flush_failed.load(Ordering::Relaxed) {
            new.no_more_flushes();
        }
        Ok(new)
    }

    /// Places on the metadata device.
    pub(crate) fn layout(&self) -> Layout {
        self.places.lock().layout
    }

    /// Whether the devices have another size than the machine was told last, and what that makes of
    /// the disk. To be told to the machine.
    pub(crate) fn new_room(&self) -> Option<Room> {
        let sectors = (self.data.sectors(), self.meta.sectors());
        let known = *self.places.lock();
        if sectors == known.sectors {
            return None;
        }
        let room = Room::of(&known.layout, sectors.1, sectors.0).ok()?;
        self.places.lock().sectors = sectors;
        Some(room)
    }

    /// The metadata is where this superblock says from now on, on a device as large as the machine
    /// knows.
    pub(crate) fn set_layout(&self, superblock: &Superblock) -> Result<Layout> {
        let known = *self.places.lock();
        let layout = superblock
            .layout_on_disk(known.layout.index(), known.sectors.1)
            .map_err(|_| EINVAL)?;
        self.places.lock().layout = layout;
        Ok(layout)
    }

    /// The options.
    pub(crate) fn conf(&self) -> DiskConf {
        self.conf.lock().clone()
    }

    /// Other options.
    pub(crate) fn set_conf(&self, conf: DiskConf) {
        self.disk_timeout
            .store(conf.disk_timeout, Ordering::Relaxed);
        *self.conf.lock() = conf;
    }

    /// Whether the peer's writes must be flushed to be stable. Any context.
    pub(crate) fn is_volatile(&self) -> bool {
        self.has_cache() && !self.flush_failed.load(Ordering::Relaxed)
    }

    /// A flush of the data failed: should the disk stay in use, no other one is tried for the
    /// peer's writes, as the C driver does.
    pub(crate) fn no_more_flushes(&self) {
        self.flush_failed.store(true, Ordering::Relaxed);
    }

    /// Whether the disk has a cache that it can lose, as far as the administrator says.
    fn has_cache(&self) -> bool {
        self.conf.lock().disk_flushes && self.data.traits().write_cache
    }

    /// How metadata that others rely on is written.
    pub(crate) fn md_flags(&self) -> OpFlags {
        if self.conf.lock().md_flushes {
            OpFlags::META_SYNC
                .with(OpFlags::PREFLUSH)
                .with(OpFlags::FUA)
        } else {
            OpFlags::META_SYNC
        }
    }

    /// Writes the superblock, durably. May sleep.
    pub(crate) fn write_superblock(&self, superblock: &Superblock) -> Result {
        let mut page = self.buffer.lock();
        page.bytes_mut().fill(0);
        superblock.emit(page.bytes_mut()).map_err(|_| EINVAL)?;
        let at = self.layout().superblock_sector();
        self.write_metadata(at, &page, 4096, self.md_flags())
    }

    /// How long the disk may take, in ms. Any context.
    pub(crate) fn limit_ms(&self) -> Option<u32> {
        overdue::disk_limit_ms(self.disk_timeout.load(Ordering::Relaxed))
    }

    /// Writes the first `bytes` bytes of `page` to the metadata device. May sleep.
    pub(crate) fn write_metadata(
        &self,
        sector: u64,
        page: &OwnedPage,
        bytes: u32,
        flags: OpFlags,
    ) -> Result {
        let Some(limit) = self.limit_ms() else {
            return bio::write_page(&self.meta, sector, page, bytes, flags);
        };
        let data = page.bytes().get(..bytes as usize).ok_or(EINVAL)?;
        self.patience
            .write_block(&self.meta, sector, data, flags, limit)
    }

    fn flush(&self, disk: &Arc<BackingDev>) -> Result {
        match self.limit_ms() {
            Some(limit) => self.patience.flush(disk, limit),
            None => disk.flush(),
        }
    }

    /// Reads the bitmap of a device of `sectors`. May sleep.
    pub(crate) fn read_bitmap(&self, sectors: u64) -> Result<Bits> {
        let bits = Bits::new(sectors)?;
        let mut page = self.buffer.lock();
        let layout = self.layout();
        for index in 0..bits.page_count() {
            let (at, sectors) = layout.bitmap_page(index as u64).ok_or(EINVAL)?;
            let bytes = (sectors as u32).saturating_mul(512);
            page.bytes_mut().fill(0);
            bio::read_page(&self.meta, at, &mut page, bytes, OpFlags::META_SYNC)?;
            bits.load(index, page.bytes())?;
        }
        Ok(bits)
    }

    /// Writes the pages of the bitmap that changed, durably. May sleep.
    pub(crate) fn write_bitmap(&self, bits: &Bits) -> Result {
        if bits.cleared_become_stable() {
            self.flush_data()?;
        }
        let mut wrote = false;
        for index in 0..bits.page_count() {
            wrote |= self.write_page_of_bitmap(bits, index, Changed::ANY, Changed::CLEARED)?;
        }
        if wrote && self.conf.lock().md_flushes {
            return self.flush(&self.meta);
        }
        Ok(())
    }

    /// Writes a page of the bitmap if bits were set in it; it may stay in the disk's cache. May
    /// sleep.
    pub(crate) fn write_set_bits(&self, bits: &Bits, index: usize) -> Result {
        self.write_page_of_bitmap(bits, index, Changed::SET, Changed::CLEARED_AT_ALL)
            .map(|_| ())
    }

    /// Writes a page that has changed in the `wanted` way, behind a flush of the data if the change
    /// is among `unstable`.
    fn write_page_of_bitmap(
        &self,
        bits: &Bits,
        index: usize,
        wanted: Changed,
        unstable: Changed,
    ) -> Result<bool> {
        let mut page = self.buffer.lock();
        let Some(changed) = bits.take_changed(index, wanted) else {
            return Ok(false);
        };
        let written = self.write_copy(bits, index, &mut page, changed.has(unstable));
        if written.is_err() {
            bits.mark_changed(index, changed);
        }
        written.map(|()| true)
    }

    fn write_copy(&self, bits: &Bits, index: usize, page: &mut OwnedPage, flush: bool) -> Result {
        bits.store(index, page.bytes_mut())?;
        if flush {
            self.flush_data()?;
        }
        let (at, sectors) = self.layout().bitmap_page(index as u64).ok_or(EINVAL)?;
        let bytes = (sectors as u32).saturating_mul(512);
        self.write_metadata(at, page, bytes, OpFlags::META_SYNC)
    }

    /// Data that was written is stable afterwards, unless the administrator says that it is anyway
    /// (`disk-flushes no`). May sleep.
    pub(crate) fn flush_data(&self) -> Result {
        if self.has_cache() {
            return self.flush(&self.data);
        }
        Ok(())
    }

    /// Extents are about to leave the activity log: what was written to them has to be stable. The
    /// flush that comes with the block is enough if data and metadata share a disk. May sleep.
    pub(crate) fn flush_evicted(&self) -> Result {
        if self.layout().index().is_internal() && self.conf.lock().md_flushes {
            return Ok(());
        }
        self.flush_data()
    }
}

/// The largest request in bytes that the device takes in one piece.
pub(crate) fn max_bio_size(data: &BackingDev) -> u32 {
    data.traits()
        .max_hw_sectors
        .saturating_mul(512)
        .clamp(4096, BIO_BYTES_MAX)
}
