// SPDX-License-Identifier: GPL-2.0

//! What a disk can take: the queue limits.
//!
//! C header: `include/linux/blkdev.h` (`struct queue_limits`)

use kernel::{
    bindings,
    prelude::*, //
};

use super::super::bdev::BackingDev;

/// Bytes of a sector, as a shift.
const SECTOR_SHIFT: u32 = 9;

/// Bits of `queue_limits::features`.
const WRITE_CACHE: u32 = 1 << 0;
const FUA: u32 = 1 << 1;
const ROTATIONAL: u32 = 1 << 2;
const STABLE_WRITES: u32 = 1 << 5;
/// What stacking hands up and what we don't offer: zones, and the rest of what isn't named above.
const OFFERED: u32 = WRITE_CACHE | FUA | ROTATIONAL | STABLE_WRITES;
/// Statistics are kept for the disk.
const IO_STAT: u32 = 1 << 4;

/// Queue limits. All sizes are in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Limits(bindings::queue_limits);

impl Limits {
    /// The limits of a disk that takes anything: to be narrowed. Discards and write-zeroes are not
    /// offered.
    pub(crate) fn new() -> Self {
        let mut limits = bindings::queue_limits::default();
        // SAFETY: The limits are ours.
        unsafe { bindings::blk_set_stacking_limits(&mut limits) };
        limits.features = STABLE_WRITES | IO_STAT;
        let mut limits = Self(limits);
        limits.set_write_zeroes(0);
        limits
    }

    pub(super) fn as_raw(&self) -> &bindings::queue_limits {
        &self.0
    }

    pub(super) fn as_raw_mut(&mut self) -> &mut bindings::queue_limits {
        &mut self.0
    }

    /// The largest read or write, rounded down to sectors.
    pub(crate) fn set_max_hw_bytes(&mut self, bytes: u32) {
        self.0.max_hw_sectors = bytes >> SECTOR_SHIFT;
    }

    /// The largest read or write.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn max_hw_bytes(&self) -> u32 {
        self.0.max_hw_sectors.saturating_mul(1 << SECTOR_SHIFT)
    }

    /// No piece of a request crosses a page.
    pub(crate) fn set_page_boundary(&mut self) {
        self.0.seg_boundary_mask = (kernel::page::PAGE_SIZE as u64).wrapping_sub(1) as usize;
    }

    /// What the disk does: a volatile cache, single writes through it, rotating platters. Pages
    /// stay as they are while they are written, always: we send them to the peer, too.
    pub(crate) fn set_features(&mut self, write_cache: bool, fua: bool, rotational: bool) {
        let mut features = STABLE_WRITES;
        if write_cache {
            features |= WRITE_CACHE;
        }
        if fua {
            features |= FUA;
        }
        if rotational {
            features |= ROTATIONAL;
        }
        self.0.features = features | IO_STAT;
    }

    /// Offers to make up to `max_bytes` at once read as zeroes; 0 offers none.
    pub(crate) fn set_write_zeroes(&mut self, max_bytes: u32) {
        self.0.max_write_zeroes_sectors = max_bytes >> SECTOR_SHIFT;
        self.0.max_hw_wzeroes_unmap_sectors = 0;
    }

    /// Narrows the limits to what `device` can take, and inherits its cache and its platters. What
    /// only some devices can do (zones, atomic writes, secure erase) is not inherited.
    pub(crate) fn stack(&mut self, device: &BackingDev) {
        // SAFETY: The limits are ours; the device is open. The name is for a log line.
        unsafe {
            bindings::queue_limits_stack_bdev(
                &mut self.0,
                device.as_raw(),
                0,
                c"drbd".as_char_ptr(),
            )
        };
        self.0.features &= OFFERED;
        self.0.features |= STABLE_WRITES | IO_STAT;
        self.0.max_secure_erase_sectors = 0;
    }
}
