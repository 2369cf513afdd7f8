// SPDX-License-Identifier: GPL-2.0

//! Our disks: block devices that other code reads and writes.
//!
//! A [`Disk`] is bio based: what is submitted to it comes to [`DiskOps::submit_bio`], split to the
//! limits, without tags or a queue of our own. The disk keeps its [`DiskOps`] object alive until
//! the last opener is gone, which may be later than its removal.
//!
//! None of the calls here may be made under a lock that `open` or `submit_bio` take: they sleep,
//! call udev, and wait for openers.
//!
//! C headers: `include/linux/blkdev.h`, `block/genhd.c`

mod limits;

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    fmt,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::ForeignOwnable, //
};

pub(crate) use self::limits::Limits;
use super::{
    bio::UpperBio,
    ffi,
    time, //
};

/// What stands behind a disk.
pub(crate) trait DiskOps: Send + Sync + 'static {
    /// Takes over a bio, and ends it sooner or later. Must not block on anything that other bios of
    /// the same submitter have to do first: those go out only after this has returned.
    fn submit_bio(this: ArcBorrow<'_, Self>, bio: UpperBio);

    /// Somebody opens the disk, for writing or just for reading. `Err` refuses it: `EROFS` and
    /// `EMEDIUMTYPE` have a meaning for tools. Called under the disk's open mutex; may sleep.
    fn open(this: ArcBorrow<'_, Self>, write: bool) -> Result;

    /// One that was let in is gone. Called under the disk's open mutex; may sleep.
    fn release(this: ArcBorrow<'_, Self>);
}

/// `EMEDIUMTYPE`, which the `kernel` crate doesn't name: wrong medium type.
pub(crate) fn emediumtype() -> Error {
    Error::from_errno(-(bindings::EMEDIUMTYPE as c_int))
}

/// A block device number that we have registered, with its name in `/proc/devices`.
///
/// # Invariants
///
/// `major` is registered under `name`.
pub(crate) struct Major {
    major: u32,
    name: &'static CStr,
}

impl Major {
    /// Registers a major number. May sleep. Fails with `EBUSY` if somebody else has it.
    pub(crate) fn register(major: u32, name: &'static CStr) -> Result<Self> {
        // SAFETY: The name lives as long as the module.
        to_result(unsafe { bindings::__register_blkdev(major, name.as_char_ptr(), None) })?;
        // INVARIANT: It is registered.
        Ok(Self { major, name })
    }
}

impl Drop for Major {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered under this name.
        unsafe { bindings::unregister_blkdev(self.major, self.name.as_char_ptr()) };
    }
}

/// Bytes of the longest name of a disk.
const DISK_NAME_MAX: usize = bindings::DISK_NAME_LEN as usize - 1;

/// Disks that exist, if only because somebody still has them open.
static DISKS: AtomicUsize = AtomicUsize::new(0);

/// Waits until all disks are gone, with their last openers. For the unload of the module, which the
/// openers prevent anyway: what is left to wait for is the last step of their going.
pub(crate) fn wait_until_all_gone() {
    while DISKS.load(Ordering::Acquire) != 0 {
        time::sleep_ms(1);
    }
}

/// A disk that can be opened. Dropping it removes it: it can't be opened any more, and what is
/// submitted to it later fails. May sleep.
///
/// # Invariants
///
/// `disk` was added; its `private_data` is an `Arc<T>` as a foreign pointer, which `free_disk` will
/// take back.
pub(crate) struct Disk<T: DiskOps> {
    disk: NonNull<bindings::gendisk>,
    _ops: PhantomData<Arc<T>>,
}

// SAFETY: Disks may be used from any thread.
unsafe impl<T: DiskOps> Send for Disk<T> {}
// SAFETY: Disks may be used from any thread.
unsafe impl<T: DiskOps> Sync for Disk<T> {}

impl<T: DiskOps> Disk<T> {
    /// Adds a disk: without partitions, of size 0, write-protected. Its name comes from
    /// `fmt!(...)`. `submit_bio` and `open` may be called before this returns. May sleep.
    pub(crate) fn add(
        major: &Major,
        minor: u32,
        name: fmt::Arguments<'_>,
        limits: &Limits,
        ops: Arc<T>,
    ) -> Result<Self> {
        let name = CString::try_from_fmt(name)?;
        let mut limits = *limits.as_raw();
        // SAFETY: The limits are ours, and copied.
        let disk = from_err_ptr(unsafe {
            bindings::__blk_alloc_disk(
                &mut limits,
                bindings::NUMA_NO_NODE,
                kernel::static_lock_class!().as_ptr(),
            )
        })?;
        let disk = NonNull::new(disk).ok_or(ENOMEM)?;
        let raw = disk.as_ptr();
        // SAFETY: The disk is new and ours alone until it is added. The operations live as long as
        // the module, and take the `private_data` for what it is.
        let added = unsafe {
            (*raw).major = major.major as c_int;
            (*raw).first_minor = minor as c_int;
            (*raw).minors = 1;
            (*raw).flags |= bindings::GENHD_FL_NO_PART as c_int;
            (*raw).fops = Operations::<T>::table();
            (*raw).private_data = ops.into_foreign();
            // The last byte stays zero.
            let places = (*raw).disk_name.iter_mut().take(DISK_NAME_MAX);
            for (to, from) in places.zip(name.to_bytes_with_nul()) {
                *to = *from;
            }
            bindings::set_disk_ro(raw, true);
            DISKS.fetch_add(1, Ordering::Relaxed);
            to_result(bindings::device_add_disk(
                core::ptr::null_mut(),
                raw,
                core::ptr::null_mut(),
            ))
        };
        if let Err(error) = added {
            // SAFETY: A disk that was not added is not freed through `free_disk`: its object is
            // still ours. Nobody else knows the disk.
            unsafe {
                let ops = (*raw).private_data;
                bindings::put_disk(raw);
                drop(<Arc<T> as ForeignOwnable>::from_foreign(ops));
            }
            DISKS.fetch_sub(1, Ordering::Release);
            return Err(error);
        }
        // INVARIANT: It was added.
        Ok(Self {
            disk,
            _ops: PhantomData,
        })
    }

    /// Sets the size in sectors, and tells everybody if it has changed (uevent, log). May sleep.
    pub(crate) fn set_capacity(&self, sectors: u64) {
        // SAFETY: By the type invariant the disk exists.
        unsafe { bindings::set_capacity_and_notify(self.disk.as_ptr(), sectors) };
    }

    /// Its size in sectors.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn capacity(&self) -> u64 {
        // SAFETY: By the type invariant the disk exists, and so its whole-disk device does. The
        // size is a word that may change.
        unsafe { (&raw const (*(*self.disk.as_ptr()).part0).bd_nr_sectors).read_volatile() }
    }

    /// Sets or clears the write protection, and tells udev. May sleep.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        // SAFETY: By the type invariant the disk exists.
        unsafe { bindings::set_disk_ro(self.disk.as_ptr(), read_only) };
    }

    /// Tells udev that something has changed. May sleep.
    pub(crate) fn uevent_change(&self) {
        // SAFETY: By the type invariant the disk exists, and its device with it.
        unsafe {
            let device = ffi::shim_disk_device(self.disk.as_ptr());
            bindings::kobject_uevent_env(
                &raw mut (*device).kobj,
                bindings::kobject_action_KOBJ_CHANGE,
                core::ptr::null_mut(),
            );
        }
    }

    /// Changes the limits: `change` gets those in force. Waits until no `submit_bio` is running.
    /// May sleep. Fails, and changes nothing, if `change` does or if the limits make no sense.
    pub(crate) fn update_limits(&self, change: impl FnOnce(&mut Limits) -> Result) -> Result {
        let disk = self.disk.as_ptr();
        let mut limits = Limits::new();
        // SAFETY: By the type invariant the disk exists. This takes a lock, which either of the
        // calls below gives back.
        unsafe { ffi::shim_limits_start(disk, limits.as_raw_mut()) };
        if let Err(error) = change(&mut limits) {
            // SAFETY: The update was started above.
            unsafe { ffi::shim_limits_cancel(disk) };
            return Err(error);
        }
        // SAFETY: The update was started above.
        to_result(unsafe {
            bindings::queue_limits_commit_update_frozen((*disk).queue, limits.as_raw_mut())
        })
    }

    /// A reference that keeps the disk's memory.
    pub(super) fn reference(&self) -> DiskRef {
        // SAFETY: By the type invariant the disk exists, and its device with it.
        unsafe { bindings::get_device(ffi::shim_disk_device(self.disk.as_ptr())) };
        // INVARIANT: We have just taken the reference.
        DiskRef { disk: self.disk }
    }
}

impl<T: DiskOps> Drop for Disk<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the disk was added; this is the one removal. The last
        // reference, ours or that of an opener, calls `free_disk`.
        unsafe {
            bindings::del_gendisk(self.disk.as_ptr());
            bindings::put_disk(self.disk.as_ptr());
        }
    }
}

/// Keeps the memory of a disk.
///
/// # Invariants
///
/// One reference to the disk's device is ours.
pub(super) struct DiskRef {
    disk: NonNull<bindings::gendisk>,
}

// SAFETY: References to a disk may be given up from any thread that may sleep.
unsafe impl Send for DiskRef {}
// SAFETY: Shared access only gives out the pointer.
unsafe impl Sync for DiskRef {}

impl DiskRef {
    pub(super) fn as_raw(&self) -> *mut bindings::gendisk {
        self.disk.as_ptr()
    }
}

impl Drop for DiskRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::put_disk(self.disk.as_ptr()) };
    }
}

/// The callbacks of disks with a `T` behind them.
struct Operations<T>(PhantomData<T>);

impl<T: DiskOps> Operations<T> {
    const TABLE: bindings::block_device_operations = bindings::block_device_operations {
        submit_bio: Some(Self::submit_bio_callback),
        open: Some(Self::open_callback),
        release: Some(Self::release_callback),
        free_disk: Some(Self::free_disk_callback),
        owner: <crate::LocalModule as kernel::ModuleMetadata>::THIS_MODULE.as_ptr(),
        ..pin_init::zeroed()
    };

    fn table() -> &'static bindings::block_device_operations {
        &Self::TABLE
    }

    /// # Safety
    ///
    /// `disk` is a disk that `Disk::<T>::add` has set up and that isn't freed during `'a`.
    unsafe fn ops<'a>(disk: *mut bindings::gendisk) -> ArcBorrow<'a, T> {
        // SAFETY: `add` has put an `Arc<T>` there.
        unsafe { <Arc<T> as ForeignOwnable>::borrow((*disk).private_data) }
    }

    /// # Safety
    ///
    /// Called by the block layer for a disk of ours, with a bio for us to end.
    unsafe extern "C" fn submit_bio_callback(bio: *mut bindings::bio) {
        // SAFETY: The bio is for our disk. The rest of a split bio comes to us again; a bio that
        // can't be split has been ended.
        let bio = unsafe { bindings::bio_split_to_limits(bio) };
        let Some(bio) = NonNull::new(bio) else {
            return;
        };
        // SAFETY: The submitter has the disk open, so it isn't freed; the bio is ours to end.
        unsafe {
            let disk = (*(*bio.as_ptr()).bi_bdev).bd_disk;
            T::submit_bio(Self::ops(disk), UpperBio::from_raw(bio));
        }
    }

    /// # Safety
    ///
    /// Called by the block layer for a disk of ours.
    unsafe extern "C" fn open_callback(
        disk: *mut bindings::gendisk,
        mode: bindings::blk_mode_t,
    ) -> c_int {
        const WRITE: bindings::blk_mode_t = 1 << 1;
        // SAFETY: The opener has a reference to the disk.
        let ops = unsafe { Self::ops(disk) };
        kernel::error::from_result(|| T::open(ops, mode & WRITE != 0).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the block layer for a disk of ours.
    unsafe extern "C" fn release_callback(disk: *mut bindings::gendisk) {
        // SAFETY: The opener still has a reference to the disk.
        T::release(unsafe { Self::ops(disk) });
    }

    /// # Safety
    ///
    /// Called by the block layer when a disk of ours, which had been added, has no users any more.
    unsafe extern "C" fn free_disk_callback(disk: *mut bindings::gendisk) {
        // SAFETY: `add` has put an `Arc<T>` there, which nobody uses after this.
        drop(unsafe { <Arc<T> as ForeignOwnable>::from_foreign((*disk).private_data) });
        DISKS.fetch_sub(1, Ordering::Release);
    }
}
