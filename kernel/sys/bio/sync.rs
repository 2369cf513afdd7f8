// SPDX-License-Identifier: GPL-2.0

//! Metadata I/O that waits for its end, and plugging.

use core::mem::MaybeUninit;
use kernel::{
    bindings,
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

use super::{
    super::{
        bdev::BackingDev,
        page::OwnedPage, //
    },
    OpFlags, //
};

/// Reads `bytes` bytes at `sector` into the start of `page`. Sleeps until it is done.
///
/// Fails with `EINVAL` unless `bytes` is at most a page; else as the device says.
pub(crate) fn read_page(
    device: &BackingDev,
    sector: u64,
    page: &mut OwnedPage,
    bytes: u32,
    flags: OpFlags,
) -> Result {
    // SAFETY: The page is borrowed for us alone until the read has ended.
    unsafe {
        transfer(
            device,
            bindings::req_op_REQ_OP_READ,
            sector,
            page,
            bytes,
            flags,
        )
    }
}

/// Writes the first `bytes` bytes of `page` to `sector`. Sleeps until it is done.
///
/// Fails with `EINVAL` unless `bytes` is at most a page; else as the device says.
pub(crate) fn write_page(
    device: &BackingDev,
    sector: u64,
    page: &OwnedPage,
    bytes: u32,
    flags: OpFlags,
) -> Result {
    // SAFETY: The page is only read, and stays as it is while it is borrowed.
    unsafe {
        transfer(
            device,
            bindings::req_op_REQ_OP_WRITE,
            sector,
            page,
            bytes,
            flags,
        )
    }
}

/// # Safety
///
/// The operation may do to the page what it does.
unsafe fn transfer(
    device: &BackingDev,
    op: bindings::req_op,
    sector: u64,
    page: &OwnedPage,
    bytes: u32,
    flags: OpFlags,
) -> Result {
    if bytes == 0 || bytes as usize > PAGE_SIZE {
        return Err(EINVAL);
    }
    let mut vec = MaybeUninit::<bindings::bio_vec>::uninit();
    let mut bio = MaybeUninit::<bindings::bio>::uninit();
    let bio = bio.as_mut_ptr();
    // SAFETY: The bio and its one vector live on this stack until the bio has ended, which
    // `submit_bio_wait` waits for; the device is open while it is borrowed, and so is the page.
    unsafe {
        bindings::bio_init(bio, device.as_raw(), vec.as_mut_ptr(), 1, op | flags.0);
        (*bio).bi_iter.bi_sector = sector;
        bindings::__bio_add_page(bio, page.as_raw(), bytes, 0);
        let result = to_result(bindings::submit_bio_wait(bio));
        bindings::bio_uninit(bio);
        result
    }
}
