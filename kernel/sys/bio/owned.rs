// SPDX-License-Identifier: GPL-2.0

//! Objects of ours with a bio in them.
//!
//! A request needs memory for itself and for the bio that goes to the disk. Both come in one piece
//! from a [`BioSet`], which keeps some in reserve, so that a machine without free memory can still
//! write. An object has two faces:
//!
//! - its data `T`, shared by any number of [`BioArc`]s;
//! - its bio, which one [`OwnedBio`] has the right to, and nobody during the I/O: [`ReadyBio::submit`]
//!   takes the right, and [`EndIo::end_io`] gets it back.
//!
//! The bio either borrows the pages of a bio from above ([`Borrowed`]), or it has pages of its own
//! ([`Buffer`]), which a socket can fill and drain.
//!
//! The last owner of an object may be an interrupt: dropping `T` must not sleep.

use core::{
    marker::PhantomData,
    mem::{
        align_of,
        offset_of,
        ManuallyDrop, //
    },
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        fence,
        AtomicU32,
        AtomicUsize,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

use super::{
    super::{
        bdev::BackingDev,
        data::Data,
        ffi,
        gfp::{
            self,
            Wait, //
        },
        llist::OwningPointer,
        page::PagePool,
        time, //
    },
    OpFlags,
    Status,
    UpperBio,
    UpperHold, //
};

/// The bio borrows the pages of a bio from above, or has none.
pub(crate) struct Borrowed;
/// The bio has pages of its own.
pub(crate) struct Buffer;

/// Where the pages of a bio come from: [`Borrowed`] or [`Buffer`].
pub(crate) trait Payload: 'static {
    #[doc(hidden)]
    const BUFFER: bool;
}
impl Payload for Borrowed {
    const BUFFER: bool = false;
}
impl Payload for Buffer {
    const BUFFER: bool = true;
}

/// The data of an object with a bio.
pub(crate) trait EndIo: Send + Sync + Sized + 'static {
    /// Where the pages of its bio come from.
    type Payload: Payload;

    /// The I/O has ended. Called in any context, mostly in an interrupt: must not sleep, nor take a
    /// lock that others hold with interrupts on.
    fn end_io(bio: OwnedBio<Self>, status: Status);
}

/// The most pages that one bio can have of its own.
const PAGES_MAX: usize = bindings::BIO_MAX_VECS as usize;
/// The most bytes that one bio can have of its own.
pub(crate) const BUFFER_BYTES_MAX: u32 = (PAGES_MAX * PAGE_SIZE) as u32;

/// What lies in front of each bio of a set.
#[repr(C)]
struct Front<T> {
    /// Owners: `BioArc`s, plus one for the right to the bio.
    refs: AtomicU32,
    /// Pages of its own; they are the first entries of `bi_io_vec`.
    pages: u32,
    /// Bytes of its own.
    bytes: u32,
    /// The counter of the device that the I/O is for.
    in_flight: *const AtomicU32,
    /// Keeps the borrowed pages.
    hold: Option<UpperHold>,
    data: T,
}

/// A source of objects with a bio, with a reserve.
///
/// # Invariants
///
/// - `set` is an initialised `bio_set`, each object of which has a `Front<T>` in front of its bio.
/// - `live` is the number of objects that exist.
#[pin_data(PinnedDrop)]
pub(crate) struct BioSet<T: EndIo> {
    #[pin]
    set: Opaque<bindings::bio_set>,
    pages: PagePool,
    /// Who waits for pages of the reserve: one at a time, so that two don't wait for each other.
    #[pin]
    patient: Mutex<()>,
    live: AtomicUsize,
    _objects: PhantomData<T>,
}

// SAFETY: Bio sets have their own locks, and the rest is atomic.
unsafe impl<T: EndIo> Send for BioSet<T> {}
// SAFETY: Bio sets have their own locks, and the rest is atomic.
unsafe impl<T: EndIo> Sync for BioSet<T> {}

impl<T: EndIo> BioSet<T> {
    /// Bytes between the start of an object and its bio.
    const FRONT_PAD: usize = {
        // The bio follows the front directly, so the size has to keep the bio aligned.
        assert!(align_of::<Front<T>>() == align_of::<bindings::bio>());
        size_of::<Front<T>>()
    };

    /// A set that keeps `objects` objects in reserve. Its objects with pages of their own have
    /// one largest request's worth of pages in reserve. May sleep.
    ///
    /// Dropping the set waits until all its objects are gone.
    pub(crate) fn new(objects: u32) -> impl PinInit<Self, Error> {
        let (flags, pages) = if T::Payload::BUFFER {
            (bindings::BIOSET_NEED_BVECS, PAGES_MAX as u32)
        } else {
            (0, 1)
        };
        let flags = flags | bindings::BIOSET_PERCPU_CACHE;
        try_pin_init!(Self {
            pages: PagePool::new(pages)?,
            // INVARIANT: The C function initialises the set.
            set <- Opaque::try_ffi_init(|slot: *mut bindings::bio_set| {
                // SAFETY: The slot is valid for writing; a set starts out zeroed.
                unsafe {
                    slot.write_bytes(0, 1);
                    to_result(bindings::bioset_init(
                        slot,
                        objects.max(1),
                        Self::FRONT_PAD as c_uint,
                        flags as c_int,
                    ))
                }
            }),
            patient <- new_mutex!((), "drbd_bio_pages"),
            live: AtomicUsize::new(0),
            _objects: PhantomData,
        })
    }

    /// The number of objects that exist.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The set that a bio comes from.
    ///
    /// # Safety
    ///
    /// `bio` is a bio of a `BioSet<T>`, and lives during `'a`.
    unsafe fn of_bio<'a>(bio: *mut bindings::bio) -> &'a Self {
        // SAFETY: `bi_pool` is the field of the set that the bio comes from. The set lives as long
        // as any of its objects: it waits for them when dropped.
        unsafe { &*kernel::container_of!(Opaque::cast_from((*bio).bi_pool), Self, set) }
    }

    fn new_object(&self, vecs: u16, wait: Wait, data: T) -> Result<OwnedBio<T>, T> {
        // SAFETY: By the type invariant the set is initialised.
        let bio = unsafe {
            bindings::bio_alloc_bioset(ptr::null_mut(), vecs, 0, wait.gfp(), self.set.get())
        };
        let Some(bio) = NonNull::new(bio) else {
            return Err(data);
        };
        self.live.fetch_add(1, Ordering::Relaxed);
        let front = front_of::<T>(bio);
        // SAFETY: The set reserves the space of a `Front<T>` in front of each bio.
        unsafe {
            front.write(Front {
                refs: AtomicU32::new(1),
                pages: 0,
                bytes: 0,
                in_flight: ptr::null(),
                hold: None,
                data,
            })
        };
        // INVARIANT: The object is new; its one reference is the right to the bio.
        Ok(OwnedBio {
            bio,
            _owns: PhantomData,
        })
    }
}

impl<T: EndIo<Payload = Borrowed>> BioSet<T> {
    /// A new object. Gives `data` back if there is no memory, which with [`Wait::Yes`] can't be.
    pub(crate) fn alloc(&self, wait: Wait, data: T) -> Result<OwnedBio<T>, T> {
        self.new_object(0, wait, data)
    }
}

impl<T: EndIo<Payload = Buffer>> BioSet<T> {
    /// A new object with `bytes` bytes of pages, whose content is unknown. Gives `data` back if
    /// there is no memory, which with [`Wait::Yes`] can't be; or if `bytes` is more than
    /// [`BUFFER_BYTES_MAX`].
    pub(crate) fn alloc_buffer(&self, bytes: u32, wait: Wait, data: T) -> Result<OwnedBio<T>, T> {
        if bytes > BUFFER_BYTES_MAX {
            return Err(data);
        }
        let pages = (bytes as usize).div_ceil(PAGE_SIZE);
        let object = self.new_object(pages as u16, wait, data)?;
        let front = front_of::<T>(object.bio);
        let mut filled = 0;
        while filled < pages {
            // SAFETY: The bio has room for `pages` entries, and is ours alone.
            let got = unsafe { self.add_pages(object.bio, filled, pages, bytes, wait) };
            if got == 0 {
                return Err(object.into_data());
            }
            filled = filled.wrapping_add(got);
            // SAFETY: The object is ours alone.
            unsafe { (*front).pages = filled as u32 };
        }
        // SAFETY: The object is ours alone.
        unsafe { (*front).bytes = bytes };
        Ok(object)
    }

    /// Adds some of the pages `from..to`; gives how many, 0 for none.
    ///
    /// # Safety
    ///
    /// `bio` has room for `to` entries, and is the caller's alone.
    unsafe fn add_pages(
        &self,
        bio: NonNull<bindings::bio>,
        from: usize,
        to: usize,
        bytes: u32,
        wait: Wait,
    ) -> usize {
        const BATCH: usize = 16;
        let wanted = to.wrapping_sub(from).min(BATCH);
        let mut batch = [ptr::null_mut::<bindings::page>(); BATCH];
        let flags = match wait {
            Wait::Yes => gfp::NOIO | gfp::NORETRY | gfp::NOWARN,
            Wait::No => gfp::NOWAIT,
        };
        // SAFETY: The array has room for so many pages.
        let mut got =
            unsafe { ffi::shim_alloc_pages_bulk(flags, wanted as c_int, batch.as_mut_ptr()) };
        if got == 0 && wait == Wait::Yes {
            let _patient = self.patient.lock();
            if let (Some(page), Some(first)) = (self.pages.take(wait), batch.first_mut()) {
                *first = page.as_ptr();
                got = 1;
            }
        }
        for (offset, page) in batch.iter().take(got).enumerate() {
            let index = from.wrapping_add(offset);
            let end = (bytes as usize).saturating_sub(index.wrapping_mul(PAGE_SIZE));
            // SAFETY: By the requirement there is room for this entry.
            unsafe {
                (*bio.as_ptr())
                    .bi_io_vec
                    .add(index)
                    .write(bindings::bio_vec {
                        bv_page: *page,
                        bv_len: end.min(PAGE_SIZE) as u32,
                        bv_offset: 0,
                    })
            };
        }
        got
    }
}

#[pinned_drop]
impl<T: EndIo> PinnedDrop for BioSet<T> {
    fn drop(self: Pin<&mut Self>) {
        while self.live.load(Ordering::Acquire) != 0 {
            time::sleep_ms(1);
        }
        // SAFETY: By the type invariant the set is initialised, and it has no objects any more.
        unsafe { bindings::bioset_exit(self.set.get()) };
    }
}

fn front_of<T: EndIo>(bio: NonNull<bindings::bio>) -> *mut Front<T> {
    bio.as_ptr()
        .cast::<u8>()
        .wrapping_sub(BioSet::<T>::FRONT_PAD)
        .cast()
}

fn bio_of_data<T: EndIo>(data: *const T) -> NonNull<bindings::bio> {
    let bio = data
        .cast::<u8>()
        .wrapping_sub(offset_of!(Front<T>, data))
        .wrapping_add(BioSet::<T>::FRONT_PAD)
        .cast_mut();
    // SAFETY: `data` is the field of an object, so the bio behind it has an address.
    unsafe { NonNull::new_unchecked(bio.cast()) }
}

/// Gives up one reference.
///
/// # Safety
///
/// `bio` belongs to an object of a `BioSet<T>`, one reference of which is the caller's.
unsafe fn put<T: EndIo>(bio: NonNull<bindings::bio>) {
    let front = front_of::<T>(bio);
    // SAFETY: The object lives: we own a reference.
    if unsafe { (*front).refs.fetch_sub(1, Ordering::Release) } != 1 {
        return;
    }
    fence(Ordering::Acquire);
    // SAFETY: It was the last reference: the object is ours alone, and complete.
    unsafe {
        let set = BioSet::<T>::of_bio(bio.as_ptr());
        for index in 0..(*front).pages as usize {
            let page = (*(*bio.as_ptr()).bi_io_vec.add(index)).bv_page;
            set.pages.give(NonNull::new_unchecked(page));
        }
        ptr::drop_in_place(front);
        bindings::bio_put(bio.as_ptr());
        // After this the set may go away.
        set.live.fetch_sub(1, Ordering::Release);
    }
}

/// The right to the bio of an object, and a reference to the object.
///
/// # Invariants
///
/// `bio` belongs to an object of a `BioSet<T>`, one reference of which is ours; no I/O of it is
/// under way, and no other `OwnedBio` of the object exists.
pub(crate) struct OwnedBio<T: EndIo> {
    bio: NonNull<bindings::bio>,
    _owns: PhantomData<T>,
}

// SAFETY: A bio may be used from any thread, and `T` is `Send + Sync`.
unsafe impl<T: EndIo> Send for OwnedBio<T> {}
// SAFETY: As above; shared access only reads.
unsafe impl<T: EndIo> Sync for OwnedBio<T> {}

impl<T: EndIo> OwnedBio<T> {
    /// A shared reference to the object.
    pub(crate) fn share(&self) -> BioArc<T> {
        let front = front_of::<T>(self.bio);
        // SAFETY: The object lives. Overflow would take more references than memory holds.
        unsafe { (*front).refs.fetch_add(1, Ordering::Relaxed) };
        // INVARIANT: The new count is that of the new reference.
        BioArc {
            bio: self.bio,
            _owns: PhantomData,
        }
    }

    /// Gives up the right to the bio, and keeps the object.
    pub(crate) fn into_shared(self) -> BioArc<T> {
        // INVARIANT: Our count is that of the new reference.
        BioArc {
            bio: ManuallyDrop::new(self).bio,
            _owns: PhantomData,
        }
    }

    /// The data, to be changed, if nobody else has a reference to the object.
    pub(crate) fn data_mut(&mut self) -> Option<&mut T> {
        let front = front_of::<T>(self.bio);
        // SAFETY: The object lives. A count of one is ours; nobody can make a second one while
        // `self` is borrowed.
        unsafe {
            if (*front).refs.load(Ordering::Acquire) != 1 {
                return None;
            }
            Some(&mut (*front).data)
        }
    }

    /// Takes a new object apart.
    fn into_data(self) -> T {
        let bio = ManuallyDrop::new(self).bio;
        let front = front_of::<T>(bio);
        // SAFETY: The caller has just made the object, so it is ours alone; the data is moved out,
        // and of the rest nothing needs to be dropped but the pages.
        unsafe {
            let data = ptr::read(&raw const (*front).data);
            let set = BioSet::<T>::of_bio(bio.as_ptr());
            for index in 0..(*front).pages as usize {
                let page = (*(*bio.as_ptr()).bi_io_vec.add(index)).bv_page;
                set.pages.give(NonNull::new_unchecked(page));
            }
            bindings::bio_put(bio.as_ptr());
            set.live.fetch_sub(1, Ordering::Release);
            data
        }
    }

    /// Makes the bio ready for `opf` on its own pages (none, if `bytes` is 0).
    fn prepare<'d>(
        self,
        device: &'d Arc<BackingDev>,
        opf: u32,
        sector: u64,
        bytes: u32,
    ) -> ReadyBio<'d, T> {
        let bio = self.bio.as_ptr();
        let front = front_of::<T>(self.bio);
        // SAFETY: The bio is ours. `bio_reset` keeps its vectors and its pool; the flag tells where
        // its memory goes at the end. The device is open.
        unsafe {
            let cached = (*bio).bi_opf & CACHED;
            bindings::bio_reset(bio, device.as_raw(), opf | cached);
            (*bio).bi_iter.bi_sector = sector;
            (*bio).bi_iter.bi_size = bytes;
            (*bio).bi_vcnt = if bytes == 0 { 0 } else { (*front).pages as u16 };
        }
        ReadyBio { bio: self, device }
    }

    /// A flush of the volatile cache, without data. What the device has ended before is then on
    /// stable storage.
    pub(crate) fn flush(self, device: &Arc<BackingDev>) -> ReadyBio<'_, T> {
        let flags = OpFlags::PREFLUSH.with(OpFlags::SYNC);
        self.prepare(device, bindings::req_op_REQ_OP_WRITE | flags.0, 0, 0)
    }
}

/// The flag of a bio whose memory goes back to the cache of a processor.
const CACHED: u32 = 1 << bindings::req_flag_bits___REQ_ALLOC_CACHE;

impl<T: EndIo<Payload = Borrowed>> OwnedBio<T> {
    /// The same I/O as `upper`, for `device`, with these flags. The pages stay with us until the
    /// I/O has ended: `upper` doesn't end earlier, even if it is told to.
    ///
    /// Gives `self` back if memory is short (only possible for bios with encryption contexts, which
    /// our disk doesn't offer). May sleep then.
    pub(crate) fn clone_of<'d>(
        self,
        upper: &UpperBio,
        device: &'d Arc<BackingDev>,
        flags: OpFlags,
    ) -> Result<ReadyBio<'d, T>, Self> {
        let bio = self.bio.as_ptr();
        let from = upper.as_raw();
        // SAFETY: Our bio has no vectors of its own, so it can be initialised anew; what
        // `bio_alloc_bioset` wrote besides is kept over that. The upper bio lives.
        unsafe {
            let pool = (*bio).bi_pool;
            let cached = (*bio).bi_opf & CACHED;
            bindings::bio_uninit(bio);
            let failed = bindings::bio_init_clone(device.as_raw(), bio, from, gfp::NOIO) != 0;
            (*bio).bi_pool = pool;
            (*bio).bi_opf = ((*from).bi_opf & super::OP_MASK) | flags.0 | cached;
            if failed {
                return Err(self);
            }
            (*front_of::<T>(self.bio)).hold = Some(upper.hold());
        }
        Ok(ReadyBio { bio: self, device })
    }
}

impl<T: EndIo<Payload = Buffer>> OwnedBio<T> {
    /// The bytes of its own.
    pub(crate) fn bytes(&self) -> u32 {
        // SAFETY: The object lives; only its maker wrote this.
        unsafe { (*front_of::<T>(self.bio)).bytes }
    }

    /// Its own pages.
    pub(crate) fn data(&self) -> Data<'_> {
        // SAFETY: The object lives while `self` is borrowed, and so long no I/O changes the bio.
        unsafe {
            let first = (*self.bio.as_ptr()).bi_io_vec;
            Data::from_raw(first, 0, self.bytes())
        }
    }

    /// Reads into all of its pages.
    pub(crate) fn read(
        self,
        device: &Arc<BackingDev>,
        sector: u64,
        flags: OpFlags,
    ) -> ReadyBio<'_, T> {
        let bytes = self.bytes();
        self.prepare(
            device,
            bindings::req_op_REQ_OP_READ | flags.0,
            sector,
            bytes,
        )
    }

    /// Writes all of its pages.
    pub(crate) fn write(
        self,
        device: &Arc<BackingDev>,
        sector: u64,
        flags: OpFlags,
    ) -> ReadyBio<'_, T> {
        let bytes = self.bytes();
        self.prepare(
            device,
            bindings::req_op_REQ_OP_WRITE | flags.0,
            sector,
            bytes,
        )
    }
}

impl<T: EndIo> Deref for OwnedBio<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The object lives while we own a reference.
        unsafe { &(*front_of::<T>(self.bio)).data }
    }
}

impl<T: EndIo> Drop for OwnedBio<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one reference is ours.
        unsafe { put::<T>(self.bio) };
    }
}

/// A bio that can be submitted.
pub(crate) struct ReadyBio<'d, T: EndIo> {
    bio: OwnedBio<T>,
    device: &'d Arc<BackingDev>,
}

impl<T: EndIo> ReadyBio<'_, T> {
    /// A shared reference to the object.
    pub(crate) fn share(&self) -> BioArc<T> {
        self.bio.share()
    }

    /// The data, to be changed, if nobody else has a reference to the object.
    pub(crate) fn data_mut(&mut self) -> Option<&mut T> {
        self.bio.data_mut()
    }

    /// Starts the I/O. [`EndIo::end_io`] is called when it has ended, perhaps before this returns.
    /// May sleep, unless it is called by our disk's `submit_bio`: then the bio goes out after that
    /// has returned.
    pub(crate) fn submit(self) {
        let bio = ManuallyDrop::new(self.bio).bio;
        let in_flight = self.device.in_flight();
        in_flight.fetch_add(1, Ordering::Relaxed);
        // SAFETY: The bio is ours and complete. The counter keeps the device from being closed, and
        // lives as long as the device.
        unsafe {
            (*front_of::<T>(bio)).in_flight = in_flight;
            (*bio.as_ptr()).bi_end_io = Some(end_io::<T>);
            bindings::submit_bio_noacct(bio.as_ptr());
        }
    }

    /// Gives up the plan.
    pub(crate) fn cancel(self) -> OwnedBio<T> {
        let bio = self.bio;
        // SAFETY: The bio is ours.
        unsafe { (*front_of::<T>(bio.bio)).hold = None };
        bio
    }
}

/// What the block layer calls when the I/O has ended.
///
/// # Safety
///
/// `bio` was submitted by [`ReadyBio::submit`] of the same type, and has ended.
unsafe extern "C" fn end_io<T: EndIo>(bio: *mut bindings::bio) {
    // SAFETY: The block layer passes the bio that has ended.
    let bio = unsafe { NonNull::new_unchecked(bio) };
    let front = front_of::<T>(bio);
    // SAFETY: The bio was submitted by `submit`, which left the right to it to us. The device is
    // open as long as it counts us; afterwards we don't touch it.
    let status = unsafe {
        drop((*front).hold.take());
        (*(*front).in_flight).fetch_sub(1, Ordering::Release);
        (*bio.as_ptr()).bi_status
    };
    // INVARIANT: The I/O has ended, and `submit` gave up its `OwnedBio`.
    T::end_io(
        OwnedBio {
            bio,
            _owns: PhantomData,
        },
        Status(status),
    );
}

/// A shared reference to an object with a bio.
///
/// # Invariants
///
/// `bio` belongs to an object of a `BioSet<T>`, one reference of which is ours.
pub(crate) struct BioArc<T: EndIo> {
    bio: NonNull<bindings::bio>,
    _owns: PhantomData<T>,
}

// SAFETY: `T` is `Send + Sync`, and the count is atomic.
unsafe impl<T: EndIo> Send for BioArc<T> {}
// SAFETY: `T` is `Send + Sync`, and the count is atomic.
unsafe impl<T: EndIo> Sync for BioArc<T> {}

impl<T: EndIo> BioArc<T> {
    /// Whether both are the same object.
    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        self.bio == other.bio
    }
}

impl<T: EndIo> Clone for BioArc<T> {
    fn clone(&self) -> Self {
        let front = front_of::<T>(self.bio);
        // SAFETY: The object lives. Overflow would take more references than memory holds.
        unsafe { (*front).refs.fetch_add(1, Ordering::Relaxed) };
        // INVARIANT: The new count is that of the new reference.
        Self {
            bio: self.bio,
            _owns: PhantomData,
        }
    }
}

impl<T: EndIo> Deref for BioArc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The object lives while we own a reference.
        unsafe { &(*front_of::<T>(self.bio)).data }
    }
}

impl<T: EndIo> Drop for BioArc<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant one reference is ours.
        unsafe { put::<T>(self.bio) };
    }
}

// SAFETY: The object doesn't move, and its raw form keeps the count.
unsafe impl<T: EndIo> OwningPointer for BioArc<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        let bio = ManuallyDrop::new(self).bio;
        // SAFETY: The object lives; this only computes an address.
        unsafe { &raw const (*front_of::<T>(bio)).data }
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // INVARIANT: `into_raw` gave up the count that is ours again.
        Self {
            bio: bio_of_data(object),
            _owns: PhantomData,
        }
    }
}

// SAFETY: The object doesn't move, and its raw form keeps the count and the right.
unsafe impl<T: EndIo> OwningPointer for OwnedBio<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        let bio = ManuallyDrop::new(self).bio;
        // SAFETY: The object lives; this only computes an address.
        unsafe { &raw const (*front_of::<T>(bio)).data }
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // INVARIANT: `into_raw` gave up the count and the right that are ours again.
        Self {
            bio: bio_of_data(object),
            _owns: PhantomData,
        }
    }
}
