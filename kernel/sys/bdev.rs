// SPDX-License-Identifier: GPL-2.0

//! Backing devices: the disks below us.
//!
//! C headers: `include/linux/blkdev.h`, `block/bdev.c`, `block/holder.c`

use core::{
    ptr::NonNull,
    sync::atomic::{
        AtomicU32,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::Arc, //
};

use super::{
    disk::{
        Disk, //
        DiskOps,
        DiskRef,
    },
    ffi,
    gfp,
    time, //
};

/// Who claims a backing device. Claims with equal holders share the device, others exclude each
/// other (and mounts, and everybody else who claims).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder(NonNull<c_void>);

// SAFETY: The address is only compared.
unsafe impl Send for Holder {}
// SAFETY: The address is only compared.
unsafe impl Sync for Holder {}

/// What the holder of shared metadata devices points at; only its address matters.
static SHARED_META: u8 = 0;

impl Holder {
    /// The holder that stands for one object, for as long as that lives.
    pub(crate) fn of<T>(object: &Arc<T>) -> Self {
        Self(NonNull::from(&**object).cast())
    }

    /// The holder of all external metadata devices, which several of our devices may share.
    pub(crate) fn shared_meta() -> Self {
        Self(NonNull::from(&SHARED_META).cast())
    }
}

/// A backing device, opened for reading and writing and claimed for one holder.
///
/// Dropping it waits for the I/O that is under way, then undoes the holder link, the claim, and the
/// open, in this order. May sleep: the last owner must not let go in an interrupt.
///
/// # Invariants
///
/// - `file` is a block device file that we opened and have not yet released.
/// - `bdev` is its block device, which lives as long as the file is open.
/// - `in_flight` is the number of our bios that the device has not yet ended.
/// - `linked` is the disk that the device was linked to with `bd_link_disk_holder`.
pub(crate) struct BackingDev {
    file: NonNull<bindings::file>,
    bdev: NonNull<bindings::block_device>,
    linked: Option<DiskRef>,
    in_flight: AtomicU32,
}

// SAFETY: Block devices may be used from any thread.
unsafe impl Send for BackingDev {}
// SAFETY: Block devices may be used from any thread.
unsafe impl Sync for BackingDev {}

impl BackingDev {
    /// Opens and claims the block device at `path`. May sleep.
    ///
    /// Fails as `open` does: `ENOENT`, `ENOTBLK`, `EBUSY` (claimed by somebody else), `EACCES`
    /// (write-protected), and others.
    pub(crate) fn open(path: &CStr, holder: Holder) -> Result<Self> {
        // Read and write: bits 0 and 1 of the open mode.
        const MODE: bindings::blk_mode_t = 0b11;
        // SAFETY: The path lives for the call; holders without operations are only compared.
        let file = from_err_ptr(unsafe {
            bindings::bdev_file_open_by_path(
                path.as_char_ptr(),
                MODE,
                holder.0.as_ptr(),
                core::ptr::null(),
            )
        })?;
        let file = NonNull::new(file).ok_or(ENODEV)?;
        // SAFETY: The file is a block device file: it has a block device.
        let bdev = NonNull::new(unsafe { bindings::file_bdev(file.as_ptr()) });
        let Some(bdev) = bdev else {
            // SAFETY: The file is ours, and nobody else knows it.
            unsafe { bindings::bdev_fput(file.as_ptr()) };
            return Err(ENODEV);
        };
        // INVARIANT: We have just opened the file; nothing is linked yet.
        Ok(Self {
            file,
            bdev,
            linked: None,
            in_flight: AtomicU32::new(0),
        })
    }

    /// Shows in sysfs that `disk` stands on this device. To be undone (by dropping `self`) before
    /// the disk is removed. May sleep.
    pub(crate) fn link_holder<T: DiskOps>(&mut self, disk: &Disk<T>) -> Result {
        if self.linked.is_some() {
            return Err(EEXIST);
        }
        let disk = disk.reference();
        // SAFETY: We have claimed the device, and `disk` was added and still lives.
        to_result(unsafe { bindings::bd_link_disk_holder(self.as_raw(), disk.as_raw()) })?;
        // INVARIANT: The link was made.
        self.linked = Some(disk);
        Ok(())
    }

    pub(super) fn as_raw(&self) -> *mut bindings::block_device {
        self.bdev.as_ptr()
    }

    /// The counter of the I/O under way.
    pub(super) fn in_flight(&self) -> &AtomicU32 {
        &self.in_flight
    }

    /// How many bios of ours are under way on it.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn bios_in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Size in sectors of 512 bytes, as of now.
    pub(crate) fn sectors(&self) -> u64 {
        // SAFETY: By the type invariant the device exists; the size is a word that may change.
        unsafe { (&raw const (*self.as_raw()).bd_nr_sectors).read_volatile() }
    }

    /// Device number: major and minor.
    pub(crate) fn number(&self) -> (u32, u32) {
        // SAFETY: By the type invariant the device exists; its number never changes.
        let number = unsafe { (*self.as_raw()).bd_dev };
        (number >> 20, number & 0xf_ffff)
    }

    /// Whether both are the same block device.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn is_same(&self, other: &BackingDev) -> bool {
        self.bdev == other.bdev
    }

    /// What the device can do and wants.
    pub(crate) fn traits(&self) -> BackingTraits {
        let mut traits = BackingTraits::default();
        // SAFETY: By the type invariant the device exists; the result is ours.
        unsafe { ffi::shim_bdev_traits(self.as_raw(), &mut traits) };
        traits
    }

    /// Its name, as the kernel's log shows it (`sda1`).
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn name(&self) -> BackingName {
        let mut name = BackingName { bytes: [0; 32] };
        // SAFETY: By the type invariant the device exists; the function writes at most so many
        // bytes, with a terminating zero.
        unsafe {
            ffi::shim_bdev_name(
                self.as_raw(),
                name.bytes.as_mut_ptr().cast(),
                size_of_val(&name.bytes),
            )
        };
        name
    }

    /// Flushes the volatile cache and waits for it. May sleep.
    pub(crate) fn flush(&self) -> Result {
        // SAFETY: By the type invariant the device exists.
        to_result(unsafe { bindings::blkdev_issue_flush(self.as_raw()) })
    }

    /// Makes `sectors` sectors from `sector` on read as zeroes; writes zeroes if the device has no
    /// better way. With `unmap` the device may give up the space. May sleep.
    pub(crate) fn zero_out(&self, sector: u64, sectors: u64, unmap: bool) -> Result {
        let flags = if unmap { 0 } else { ZEROOUT_NOUNMAP };
        // SAFETY: By the type invariant the device exists.
        to_result(unsafe {
            bindings::blkdev_issue_zeroout(self.as_raw(), sector, sectors, gfp::NOIO, flags)
        })
    }
}

/// `BLKDEV_ZERO_NOUNMAP`: don't free the blocks.
const ZEROOUT_NOUNMAP: u32 = 1;

impl Drop for BackingDev {
    fn drop(&mut self) {
        // What is under way counts itself out as the last thing it does with us.
        while self.in_flight.load(Ordering::Acquire) != 0 {
            time::sleep_ms(1);
        }
        if let Some(disk) = self.linked.take() {
            // SAFETY: By the type invariant the link exists. A disk that was removed before its
            // time has lost its folder of slaves, and the call only warns.
            unsafe { bindings::bd_unlink_disk_holder(self.as_raw(), disk.as_raw()) };
        }
        // SAFETY: By the type invariant the file is ours and still open.
        unsafe { bindings::bdev_fput(self.file.as_ptr()) };
    }
}

/// What a backing device can do and wants. The layout is that of `struct shim_bdev_traits`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BackingTraits {
    /// Bytes of the smallest unit that can be addressed.
    pub(crate) logical_block_size: u32,
    /// Bytes of the smallest unit that is written without reading first.
    pub(crate) physical_block_size: u32,
    /// Largest request in sectors of 512 bytes, by the hardware.
    pub(crate) max_hw_sectors: u32,
    /// Largest request in sectors of 512 bytes, as configured.
    pub(crate) max_sectors: u32,
    /// Largest discard in sectors of 512 bytes; 0 if it cannot discard.
    pub(crate) max_discard_sectors: u32,
    /// Bytes by which discards should be aligned.
    pub(crate) discard_granularity: u32,
    /// Largest write-zeroes in sectors of 512 bytes; 0 if it has no such command.
    pub(crate) max_write_zeroes_sectors: u32,
    /// It has a volatile cache: flushes matter.
    pub(crate) write_cache: bool,
    /// It takes single writes through its cache.
    pub(crate) fua: bool,
    /// It has rotating platters.
    pub(crate) rotational: bool,
    /// It is write-protected.
    pub(crate) read_only: bool,
    /// It wants pages to stay as they are while they are written.
    pub(crate) stable_writes: bool,
    /// It consists of zones that must be written in order.
    pub(crate) zoned: bool,
}

/// The name of a backing device.
#[cfg(DRBD_SELFTEST)]
pub(crate) struct BackingName {
    bytes: [u8; 32],
}

#[cfg(DRBD_SELFTEST)]
impl core::fmt::Display for BackingName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = self.bytes.split(|byte| *byte == 0).next();
        f.write_str(core::str::from_utf8(name.unwrap_or_default()).unwrap_or("?"))
    }
}

// For `pr_info!` and its like.
#[cfg(DRBD_SELFTEST)]
impl kernel::fmt::Display for BackingName {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
