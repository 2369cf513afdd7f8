// SPDX-License-Identifier: GPL-2.0

//! Where objects with a bio come from, and their layout: `Front<T>`, then the bio.

use core::{
    marker::PhantomData,
    mem::{
        align_of,
        offset_of, //
    },
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
    sync::Mutex,
    types::Opaque, //
};

use super::{
    super::{
        ffi,
        gfp::{
            self,
            Wait, //
        },
        page::PagePool,
        time, //
    },
    OwnedBio,
    Status,
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
pub(super) struct Front<T> {
    /// Owners: `BioArc`s, plus one for the right to the bio.
    pub(super) refs: AtomicU32,
    /// Pages of its own; they are the first entries of `bi_io_vec`.
    pub(super) pages: u32,
    /// Bytes of its own.
    pub(super) bytes: u32,
    /// The counter of the device that the I/O is for.
    pub(super) in_flight: *const AtomicU32,
    /// Keeps the borrowed pages.
    pub(super) hold: Option<UpperHold>,
    pub(super) data: T,
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
    #[pin]
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
            pages <- PagePool::new(pages),
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
    #[cfg(DRBD_SELFTEST)]
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

    /// Gives the pages of an object back.
    ///
    /// # Safety
    ///
    /// `bio` belongs to an object of this set that is the caller's alone.
    unsafe fn give_pages(&self, bio: NonNull<bindings::bio>) {
        // SAFETY: By the requirement; so many entries are pages of the object.
        unsafe {
            for index in 0..(*front_of::<T>(bio)).pages as usize {
                let page = (*(*bio.as_ptr()).bi_io_vec.add(index)).bv_page;
                self.pages.give(NonNull::new_unchecked(page));
            }
        }
    }

    /// Frees an object, of which only the memory is left. After this the set may go away.
    ///
    /// # Safety
    ///
    /// `bio` belongs to an object of this set that is the caller's alone.
    unsafe fn free(&self, bio: NonNull<bindings::bio>) {
        // SAFETY: By the requirement.
        unsafe { bindings::bio_put(bio.as_ptr()) };
        self.live.fetch_sub(1, Ordering::Release);
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
        // SAFETY: As said.
        Ok(unsafe { OwnedBio::from_raw_bio(bio) })
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
        let front = front_of::<T>(object.bio());
        let mut filled = 0;
        while filled < pages {
            // SAFETY: The bio has room for `pages` entries, and is ours alone.
            let got = unsafe { self.add_pages(object.bio(), filled, pages, bytes, wait) };
            if got == 0 {
                // SAFETY: We have just made it, and shared it with nobody.
                return Err(unsafe { object.into_data() });
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
        let mut got = self
            .pages
            .take_spare(batch.get_mut(..wanted).unwrap_or_default());
        if got == 0 {
            // SAFETY: The array has room for so many pages.
            got = unsafe { ffi::shim_alloc_pages_bulk(flags, wanted as c_int, batch.as_mut_ptr()) };
        }
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

pub(super) fn front_of<T: EndIo>(bio: NonNull<bindings::bio>) -> *mut Front<T> {
    bio.as_ptr()
        .cast::<u8>()
        .wrapping_sub(BioSet::<T>::FRONT_PAD)
        .cast()
}

pub(super) fn bio_of_data<T: EndIo>(data: *const T) -> NonNull<bindings::bio> {
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
pub(super) unsafe fn put<T: EndIo>(bio: NonNull<bindings::bio>) {
    let front = front_of::<T>(bio);
    // SAFETY: The object lives: we own a reference.
    if unsafe { (*front).refs.fetch_sub(1, Ordering::Release) } != 1 {
        return;
    }
    fence(Ordering::Acquire);
    // SAFETY: It was the last reference: the object is ours alone, and complete.
    unsafe {
        let set = BioSet::<T>::of_bio(bio.as_ptr());
        set.give_pages(bio);
        ptr::drop_in_place(front);
        set.free(bio);
    }
}

/// Frees an object, and gives what was in it.
///
/// # Safety
///
/// `bio` belongs to an object of a `BioSet<T>` that is the caller's alone.
pub(super) unsafe fn take_apart<T: EndIo>(bio: NonNull<bindings::bio>) -> T {
    // SAFETY: By the requirement; what is in the object is moved out before it is freed.
    unsafe {
        let set = BioSet::<T>::of_bio(bio.as_ptr());
        set.give_pages(bio);
        let Front { hold, data, .. } = front_of::<T>(bio).read();
        drop(hold);
        set.free(bio);
        data
    }
}
