// SPDX-License-Identifier: GPL-2.0

//! A lock-free list: many push, one takes all.
//!
//! Completions run in interrupts and must not take a lock that others hold with interrupts on. They
//! push what they finished onto an [`LList`] and wake the thread that takes the whole list at once,
//! oldest first. Nothing is allocated: the link is a field of the listed object.
//!
//! An object is listed by handing over its owning pointer (an [`Arc`], a box, a
//! [`BioArc`](super::bio::BioArc)). An object that is already on a list through the same link is
//! not listed twice: [`LList::push`] gives the pointer back, so "queue unless queued" needs no flag
//! of its own.
//!
//! ```ignore
//! struct Done { link: llist::Link, status: u8 }
//! llist::impl_linked! { impl Linked<0> for Done { self.link } }
//!
//! let list: LList<Arc<Done>> = LList::new();
//! if matches!(list.push(done), Push::First) { queue.wake_all(); }
//! for done in list.take_all() { /* oldest first */ }
//! ```

use core::{
    marker::PhantomData,
    ptr,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What the link of an unlisted object points to; never dereferenced.
static UNLISTED: Link = Link {
    next: AtomicPtr::new(ptr::null_mut()),
};

fn unlisted() -> *mut Link {
    (&raw const UNLISTED).cast_mut()
}

/// The place of an object in a list.
///
/// # Invariants
///
/// `next` points to [`UNLISTED`] while the object is on no list through this link, else to the link
/// of the next object, or it is null for the last one.
pub(crate) struct Link {
    next: AtomicPtr<Link>,
}

impl Link {
    /// The link of an object that is on no list.
    pub(crate) fn new() -> Self {
        // INVARIANT: Unlisted.
        Self {
            next: AtomicPtr::new(unlisted()),
        }
    }

    /// Whether the object is on a list through this link. Racy unless the caller excludes pushes.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn is_listed(&self) -> bool {
        self.next.load(Ordering::Relaxed) != unlisted()
    }
}

/// An owning pointer that can be stored as a raw one.
///
/// # Safety
///
/// `into_raw` gives a pointer to the object, which stays valid and in its place until `from_raw`.
pub(crate) unsafe trait OwningPointer: Sized {
    /// What it points to.
    type Target;

    /// Gives up ownership to the raw pointer.
    fn into_raw(self) -> *const Self::Target;

    /// Takes ownership back.
    ///
    /// # Safety
    ///
    /// `object` comes from [`OwningPointer::into_raw`] and is taken back once.
    unsafe fn from_raw(object: *const Self::Target) -> Self;
}

// SAFETY: An `Arc` never moves its object, and its raw form keeps the count.
unsafe impl<T: 'static> OwningPointer for Arc<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        Arc::into_raw(self)
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // SAFETY: By the requirement of this function.
        unsafe { Arc::from_raw(object) }
    }
}

// SAFETY: The object of a box doesn't move when the box does.
unsafe impl<T: 'static> OwningPointer for KBox<T> {
    type Target = T;

    fn into_raw(self) -> *const T {
        KBox::into_raw(self)
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // SAFETY: By the requirement of this function.
        unsafe { KBox::from_raw(object.cast_mut()) }
    }
}

// SAFETY: As for the plain box.
unsafe impl<T: 'static> OwningPointer for Pin<KBox<T>> {
    type Target = T;

    fn into_raw(self) -> *const T {
        // SAFETY: The raw pointer isn't used to move the object.
        KBox::into_raw(unsafe { Pin::into_inner_unchecked(self) })
    }

    unsafe fn from_raw(object: *const T) -> Self {
        // SAFETY: By the requirement of this function; it was pinned before.
        unsafe { Pin::new_unchecked(KBox::from_raw(object.cast_mut())) }
    }
}

/// An object with a [`Link`]; `ID` tells the links of one object apart. Implemented by
/// [`impl_linked!`] only.
///
/// # Safety
///
/// A `Link` is at `OFFSET` bytes into `Self`.
pub(crate) unsafe trait Linked<const ID: u64 = 0> {
    /// Where the link is.
    const OFFSET: usize;
}

/// Says which field of a type is its [`Link`].
///
/// Safe to use anywhere: it doesn't compile unless the field is a `Link`.
macro_rules! impl_linked {
    ($(impl$({$($generics:tt)*})? Linked<$id:literal> for $self:ty { self.$field:ident })*) => {$(
        #[allow(unsafe_code)]
        // SAFETY: The offset is that of the field, and the closure compiles only for a `Link`.
        unsafe impl$(<$($generics)*>)? $crate::sys::llist::Linked<$id> for $self {
            const OFFSET: usize = {
                let _: fn(&Self) -> &$crate::sys::llist::Link = |this| &this.$field;
                ::core::mem::offset_of!(Self, $field)
            };
        }
    )*};
}
pub(crate) use impl_linked;

/// What became of a pushed object.
#[must_use = "whoever pushed the first object has to wake the taker; a busy object is given back"]
pub(crate) enum Push<P> {
    /// The list was empty before: wake the taker.
    First,
    /// It is behind others: whoever pushed the first one wakes the taker.
    Behind,
    /// The object is already on a list through this link; here is the pointer.
    Busy(P),
}

/// The list. Pushing is possible in any context, taking too.
///
/// # Invariants
///
/// `head` starts a chain of links of objects whose ownership the list holds, newest first.
pub(crate) struct LList<P, const ID: u64 = 0>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
    head: AtomicPtr<Link>,
    _owns: PhantomData<P>,
}

// SAFETY: The list hands objects from one thread to another, as sending the pointer does.
unsafe impl<P, const ID: u64> Send for LList<P, ID>
where
    P: OwningPointer + Send,
    P::Target: Linked<ID>,
{
}
// SAFETY: As above; the head is atomic.
unsafe impl<P, const ID: u64> Sync for LList<P, ID>
where
    P: OwningPointer + Send,
    P::Target: Linked<ID>,
{
}

/// The link of an object.
fn link_of<T: Linked<ID>, const ID: u64>(object: *const T) -> *mut Link {
    object
        .cast::<u8>()
        .wrapping_add(T::OFFSET)
        .cast::<Link>()
        .cast_mut()
}

/// The object of a link.
fn object_of<T: Linked<ID>, const ID: u64>(link: *mut Link) -> *const T {
    link.cast::<u8>().wrapping_sub(T::OFFSET).cast::<T>()
}

impl<P, const ID: u64> LList<P, ID>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Lists an object. Any context; never waits.
    pub(crate) fn push(&self, item: P) -> Push<P> {
        let object = item.into_raw();
        let link = link_of::<P::Target, ID>(object);
        // SAFETY: `Linked` promises a link there, and the object lives: we own it.
        let next = unsafe { &(*link).next };
        if next
            .compare_exchange(
                unlisted(),
                ptr::null_mut(),
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_err()
        {
            // SAFETY: `object` comes from `into_raw` above.
            return Push::Busy(unsafe { P::from_raw(object) });
        }
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            next.store(head, Ordering::Relaxed);
            // INVARIANT: The new head is a link whose object we have been given, and its `next` is
            // the chain so far.
            match self
                .head
                .compare_exchange_weak(head, link, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if head.is_null() => return Push::First,
                Ok(_) => return Push::Behind,
                Err(now) => head = now,
            }
        }
    }

    /// Whether nothing is listed at this moment.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire).is_null()
    }

    /// Takes all that is listed, oldest first. Any context; never waits.
    pub(crate) fn take_all(&self) -> Batch<P, ID> {
        // INVARIANT: The list is empty now; the chain goes over to the batch.
        let mut newest = self.head.swap(ptr::null_mut(), Ordering::AcqRel);
        let mut first = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: The links of the chain belong to objects that the list owned, and now we do.
            let next = unsafe { &(*newest).next };
            let older = next.load(Ordering::Relaxed);
            next.store(first, Ordering::Relaxed);
            first = newest;
            newest = older;
        }
        Batch {
            first,
            _owns: PhantomData,
        }
    }
}

impl<P, const ID: u64> Drop for LList<P, ID>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// What was on a list, oldest first. Dropping it drops what hasn't been iterated over.
///
/// # Invariants
///
/// `first` starts a chain of links of objects whose ownership we hold, oldest first.
pub(crate) struct Batch<P, const ID: u64 = 0>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
    first: *mut Link,
    _owns: PhantomData<P>,
}

// SAFETY: It owns objects, like the pointers themselves.
unsafe impl<P, const ID: u64> Send for Batch<P, ID>
where
    P: OwningPointer + Send,
    P::Target: Linked<ID>,
{
}

impl<P, const ID: u64> Batch<P, ID>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
}

impl<P, const ID: u64> Iterator for Batch<P, ID>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
    type Item = P;

    fn next(&mut self) -> Option<P> {
        let link = self.first;
        if link.is_null() {
            return None;
        }
        // SAFETY: By the type invariant the link belongs to an object that we own.
        let next = unsafe { &(*link).next };
        // INVARIANT: The rest of the chain stays ours; this object leaves it.
        self.first = next.load(Ordering::Relaxed);
        next.store(unlisted(), Ordering::Release);
        // SAFETY: The object was listed by `push`, which got this pointer from `into_raw`.
        Some(unsafe { P::from_raw(object_of::<P::Target, ID>(link)) })
    }
}

impl<P, const ID: u64> Drop for Batch<P, ID>
where
    P: OwningPointer,
    P::Target: Linked<ID>,
{
    fn drop(&mut self) {
        for item in self.by_ref() {
            drop(item);
        }
    }
}
