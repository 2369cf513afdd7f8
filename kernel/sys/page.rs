// SPDX-License-Identifier: GPL-2.0

//! Pages that we own.
//!
//! [`OwnedPage`] is a page of bytes, as metadata I/O uses it; [`WordPage`] is a page of atomic
//! words, as the bitmap uses it: bits are set and cleared in it while a copy of it is being
//! written.
//!
//! C headers: `include/linux/gfp.h`, `include/linux/mm.h`

use core::{
    ptr::NonNull,
    sync::atomic::AtomicU64, //
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

use crate::objects;

use super::{
    ffi,
    gfp,
    new_spinlock_irq,
    SpinLockIrq, //
};

// Pages are used through their kernel address for as long as they are ours.
#[cfg(CONFIG_HIGHMEM)]
compile_error!("pages without a lasting kernel address are not supported");

/// A page of bytes.
///
/// # Invariants
///
/// `page` is an order-0 page that we allocated; nobody else uses it, but for a block device or a
/// socket that it was lent to, for the time of the loan.
pub(crate) struct OwnedPage {
    page: NonNull<bindings::page>,
    _counted: objects::Pages,
}

// SAFETY: A page may be used and freed from any thread.
unsafe impl Send for OwnedPage {}
// SAFETY: A shared page is only read.
unsafe impl Sync for OwnedPage {}

impl OwnedPage {
    /// A page filled with zeroes. May sleep, starts no I/O. Fails with `ENOMEM`.
    pub(crate) fn new_zeroed() -> Result<Self> {
        // SAFETY: No requirements.
        let page = unsafe { bindings::alloc_pages(gfp::NOIO | gfp::ZERO, 0) };
        // INVARIANT: The page is new.
        let page = NonNull::new(page).ok_or(ENOMEM)?;
        let _counted = objects::Pages::new();
        Ok(Self { page, _counted })
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8; PAGE_SIZE] {
        // SAFETY: The page is ours, has `PAGE_SIZE` bytes, and is initialised: it was zeroed.
        unsafe { &*address(self.page).cast() }
    }

    /// Its bytes, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; PAGE_SIZE] {
        // SAFETY: As for `bytes`, and `self` is borrowed for it alone.
        unsafe { &mut *address(self.page).cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::page {
        self.page.as_ptr()
    }

    /// Whether a socket that it was lent to still refers to it.
    pub(super) fn is_shared(&self) -> bool {
        // SAFETY: By the type invariant the page is ours.
        unsafe { ffi::shim_page_is_shared(self.page.as_ptr()) }
    }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the page is ours.
        unsafe { bindings::__free_pages(self.page.as_ptr(), 0) };
    }
}

/// Words in a [`WordPage`].
pub(crate) const WORDS_PER_PAGE: usize = PAGE_SIZE / size_of::<u64>();

/// A page of atomic words.
///
/// # Invariants
///
/// `page` is an order-0 page that we allocated and zeroed, and only reach as atomic words.
pub(crate) struct WordPage {
    page: NonNull<bindings::page>,
    _counted: objects::Pages,
}

// SAFETY: Its words are atomic.
unsafe impl Send for WordPage {}
// SAFETY: Its words are atomic.
unsafe impl Sync for WordPage {}

impl WordPage {
    /// A page of zeroes. May sleep. Fails with `ENOMEM`, without a report in the log: a bitmap is
    /// large, and its owner says what failed.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: No requirements.
        let page = unsafe { bindings::alloc_pages(gfp::NOIO | gfp::ZERO | gfp::NOWARN, 0) };
        // INVARIANT: The page is new.
        let page = NonNull::new(page).ok_or(ENOMEM)?;
        let _counted = objects::Pages::new();
        Ok(Self { page, _counted })
    }

    /// Its words, in the byte order of the machine.
    pub(crate) fn words(&self) -> &[AtomicU64; WORDS_PER_PAGE] {
        // SAFETY: The page is ours, aligned and initialised, and only reached as atomic words.
        unsafe { &*address(self.page).cast() }
    }
}

impl Drop for WordPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the page is ours.
        unsafe { bindings::__free_pages(self.page.as_ptr(), 0) };
    }
}

/// Where the kernel sees a page.
pub(super) fn address(page: NonNull<bindings::page>) -> *mut c_void {
    // SAFETY: The page exists; without high memory each page has an address.
    unsafe { ffi::shim_page_address(page.as_ptr()) }
}

/// A reserve of pages for the data path: with memory short, at least so many can be in use.
///
/// Some pages that came back are kept at hand: the kernel zeroes each page that it gives out, which
/// costs more than all else that is done for it.
///
/// # Invariants
///
/// - `pool` is a mempool of order-0 pages that we made and have not yet destroyed.
/// - The pages in `spare` are order-0 pages that nobody else refers to.
#[pin_data(PinnedDrop)]
pub(super) struct PagePool {
    pool: NonNull<bindings::mempool_t>,
    #[pin]
    spare: SpinLockIrq<KVec<NonNull<bindings::page>>>,
}

/// Pages that are kept at hand: 1 MiB.
const SPARE_MAX: usize = 256;

// SAFETY: Mempools have their own lock.
unsafe impl Send for PagePool {}
// SAFETY: Mempools have their own lock.
unsafe impl Sync for PagePool {}

impl PagePool {
    /// A pool that keeps `min` pages in reserve (at least 1). May sleep.
    pub(super) fn new(min: u32) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            pool: Self::new_reserve(min)?,
            spare <- new_spinlock_irq!(KVec::with_capacity(SPARE_MAX, GFP_KERNEL)?, "drbd_spare"),
        })
    }

    fn new_reserve(min: u32) -> Result<NonNull<bindings::mempool_t>> {
        let min = c_int::try_from(min.max(1)).map_err(|_| EINVAL)?;
        // SAFETY: These two functions belong together; the data is the order, here 0.
        let pool = unsafe {
            bindings::mempool_create_node_noprof(
                min,
                Some(bindings::mempool_alloc_pages),
                Some(bindings::mempool_free_pages),
                core::ptr::null_mut(),
                gfp::KERNEL,
                bindings::NUMA_NO_NODE,
            )
        };
        NonNull::new(pool).ok_or(ENOMEM)
    }

    /// Moves pages that are at hand to `pages`; gives how many. Any context.
    pub(super) fn take_spare(&self, pages: &mut [*mut bindings::page]) -> usize {
        let mut spare = self.spare.lock();
        let mut count = 0usize;
        for place in pages {
            let Some(page) = spare.pop() else { break };
            *place = page.as_ptr();
            count = count.wrapping_add(1);
        }
        count
    }

    /// A page with unknown content. Sleeps as `wait` says; with [`gfp::Wait::Yes`] never `None`.
    pub(super) fn take(&self, wait: gfp::Wait) -> Option<NonNull<bindings::page>> {
        // SAFETY: By the type invariant the pool exists.
        let page = unsafe { bindings::mempool_alloc_noprof(self.pool.as_ptr(), wait.gfp()) };
        NonNull::new(page.cast())
    }

    /// Gives a page back. Any context.
    ///
    /// A page that a socket still refers to (it was spliced, and the peer may ask for it again) is
    /// not put into the reserve, from where it could be taken and changed: the socket frees it.
    ///
    /// # Safety
    ///
    /// The page is an order-0 page, from [`PagePool::take`] or allocated otherwise, and ours.
    pub(super) unsafe fn give(&self, page: NonNull<bindings::page>) {
        // SAFETY: By the requirement the page is ours. If we have the only reference, nobody can
        // take another one. By the type invariant the pool exists.
        unsafe {
            if ffi::shim_page_is_shared(page.as_ptr()) {
                bindings::__free_pages(page.as_ptr(), 0);
                return;
            }
            if mempool_is_full(self.pool.as_ptr()) {
                let mut spare = self.spare.lock();
                // INVARIANT: Ours is the only reference.
                if spare.len() < SPARE_MAX && spare.push_within_capacity(page).is_ok() {
                    return;
                }
            }
            bindings::mempool_free(page.as_ptr().cast(), self.pool.as_ptr());
        }
    }
}

/// Whether nothing is missing in the reserve. What is missing somebody may wait for. Racy, like
/// the look that freeing takes itself.
///
/// # Safety
///
/// The pool exists.
unsafe fn mempool_is_full(pool: *const bindings::mempool_t) -> bool {
    // SAFETY: By the requirement; both are plain numbers.
    unsafe {
        (&raw const (*pool).curr_nr).read_volatile() >= (&raw const (*pool).min_nr).read_volatile()
    }
}

#[pinned_drop]
impl PinnedDrop for PagePool {
    fn drop(self: Pin<&mut Self>) {
        let mut spare = self.spare.lock();
        while let Some(page) = spare.pop() {
            // SAFETY: By the type invariant the page is ours.
            unsafe { bindings::__free_pages(page.as_ptr(), 0) };
        }
        drop(spare);
        // SAFETY: By the type invariant the pool is ours; its owner waits for all pages first.
        unsafe { bindings::mempool_destroy(self.pool.as_ptr()) };
    }
}
