// SPDX-License-Identifier: GPL-2.0

//! The bitmap of a volume in its place: who marks blocks, and how one of another size gets there.

use core::sync::atomic::Ordering;
use kernel::prelude::*;
use kernel::sync::Arc;

use super::Device;
use crate::bitmap::Bits;

/// Bits that may be left, beside those of failed blocks, when the machine begins to be told.
const SYNC_END: u64 = 64;

/// The bitmap of a volume.
#[derive(Default)]
pub(super) struct BitsInPlace {
    now: Option<Arc<Bits>>,
    /// One of another size that is being filled from it, and will take its place.
    next: Option<Arc<Bits>>,
}

impl Device {
    /// The bitmap, to be read; or changed where no request changes it. Any context.
    pub(crate) fn bits(&self) -> Option<Arc<Bits>> {
        self.bits.lock().now.clone()
    }

    /// Puts another bitmap in place.
    pub(crate) fn replace_bits(&self, bits: Option<Arc<Bits>>) {
        let old = core::mem::replace(&mut self.bits.lock().now, bits);
        drop(old);
    }

    /// Puts a bitmap of another size in place, with what is set in the old one. Requests go on
    /// meanwhile: what they mark is marked in both. May sleep.
    pub(crate) fn resize_bits(&self, old: &Bits, sectors: u64, set_new: bool) -> Result<Arc<Bits>> {
        let new = Arc::new(Bits::new(sectors)?, GFP_KERNEL)?;
        self.bits.lock().next = Some(new.clone());
        new.take_over(old, set_new);
        let mut bits = self.bits.lock();
        bits.next = None;
        let old = bits.now.replace(new.clone());
        drop(bits);
        drop(old);
        Ok(new)
    }

    /// Marks blocks out of sync. Any context.
    pub(crate) fn mark_out_of_sync(&self, sector: u64, bytes: u32) {
        // Under the lock: what is marked in the old bitmap only would be forgotten by a resize.
        let bits = self.bits.lock();
        for bits in [&bits.now, &bits.next].into_iter().flatten() {
            bits.set_out_of_sync(sector, bytes);
        }
    }

    /// Marks blocks in sync; the resync may be over. Any context.
    pub(crate) fn mark_in_sync(&self, sector: u64, bytes: u32) {
        let bits = self.bits.lock();
        let mut near_end = false;
        for bits in [&bits.now, &bits.next].into_iter().flatten() {
            near_end |= bits.set_in_sync(sector, bytes) > 0 && bits.weight() <= self.sync_end();
        }
        drop(bits);
        if near_end {
            self.resource.resync_moved(self.vnr);
        }
    }

    /// The machine is told of progress when so few bits are left.
    fn sync_end(&self) -> u64 {
        self.counters
            .rs_failed
            .load(Ordering::Relaxed)
            .saturating_add(SYNC_END)
    }
}
