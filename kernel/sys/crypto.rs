// SPDX-License-Identifier: GPL-2.0

//! Hashes that the kernel offers, plain and keyed.
//!
//! C header: `include/crypto/hash.h`

use core::ptr::NonNull;
use drbd_core::digest::{
    self,
    Digest, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

use crate::objects;

use super::{
    data::Data,
    ffi, //
};

/// Memory for one computation. On the stack: its size is what the kernel itself puts there.
#[repr(C, align(16))]
struct Work([u8; 512]);

impl Work {
    fn as_raw(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }
}

/// A hash algorithm, with its key if it takes one. May be used by many at a time.
///
/// # Invariants
///
/// `tfm` is a `struct crypto_shash` that we own. It needs no key (any more). Its digests have
/// `size` bytes: at least 1 and at most [`digest::SIZE_MAX`].
pub(crate) struct Hash {
    tfm: NonNull<c_void>,
    size: u8,
    _counted: objects::Hashes,
}

// SAFETY: A hash belongs to no thread.
unsafe impl Send for Hash {}
// SAFETY: Computations only read it: what they change is in their `Work`.
unsafe impl Sync for Hash {}

impl Hash {
    /// The hash with this name. Its module is loaded if there is one. May sleep, for a user space
    /// program too. Fails with `ENOENT` if the kernel has none, `ENOKEY` if it wants a key.
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        Self::make(name, None)
    }

    /// The hash with this name and a key, as `hmac(sha1)`. Otherwise as [`Hash::new`]; fails with
    /// `ENOSYS` if it takes no key.
    pub(crate) fn keyed(name: &CStr, key: &[u8]) -> Result<Self> {
        Self::make(name, Some(key))
    }

    fn make(name: &CStr, key: Option<&[u8]>) -> Result<Self> {
        // SAFETY: The name is terminated.
        let tfm = from_err_ptr(unsafe { ffi::shim_hash_alloc(name.as_char_ptr()) })?;
        let tfm = NonNull::new(tfm).ok_or(ENOENT)?;
        // INVARIANT: It is ours from here on; nobody else sees it before the rest holds too.
        let mut hash = Self {
            tfm,
            size: 0,
            _counted: objects::Hashes::new(),
        };
        if let Some(key) = key {
            let len = c_uint::try_from(key.len()).map_err(|_| EINVAL)?;
            // SAFETY: The key has `len` bytes; they are copied.
            to_result(unsafe { ffi::shim_hash_set_key(tfm.as_ptr(), key.as_ptr(), len) })?;
        }
        // SAFETY: The hash exists.
        if unsafe { ffi::shim_hash_needs_key(tfm.as_ptr()) } {
            return Err(ENOKEY);
        }
        // SAFETY: The hash exists.
        let size = unsafe { ffi::shim_hash_size(tfm.as_ptr()) };
        if !(1..=digest::SIZE_MAX).contains(&(size as usize)) {
            return Err(EINVAL);
        }
        hash.size = u8::try_from(size).map_err(|_| EINVAL)?;
        Ok(hash)
    }

    /// Bytes of its digests, 1 to 64.
    pub(crate) fn size(&self) -> u8 {
        self.size
    }

    /// The digest of these bytes. Tasks only.
    pub(crate) fn of_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        self.compute(|work| {
            let len = c_uint::try_from(bytes.len()).map_err(|_| EINVAL)?;
            // SAFETY: A computation is under way in `work`; there are so many bytes.
            to_result(unsafe { ffi::shim_hash_add(work.as_raw(), bytes.as_ptr(), len) })
        })
    }

    /// The digest of a payload as it is now. Tasks only.
    pub(crate) fn of_data(&self, data: Data<'_>) -> Result<Digest> {
        self.compute(|work| {
            data.each_piece(|address, len| {
                // SAFETY: A computation is under way in `work`. The piece has so many bytes; that
                // somebody may change them meanwhile can make the digest wrong and nothing else.
                to_result(unsafe { ffi::shim_hash_add(work.as_raw(), address, len) })
            })
        })
    }

    fn compute(&self, add: impl FnOnce(&mut Work) -> Result) -> Result<Digest> {
        let mut work = Work([0; 512]);
        let mut bytes = [0; digest::SIZE_MAX];
        // SAFETY: By the type invariant the hash exists; C has checked that a `Work` has the size
        // and the alignment for any.
        to_result(unsafe { ffi::shim_hash_begin(self.tfm.as_ptr(), work.as_raw()) })?;
        add(&mut work)?;
        // SAFETY: A computation is under way in `work`; the digest has at most so many bytes.
        to_result(unsafe { ffi::shim_hash_end(work.as_raw(), bytes.as_mut_ptr()) })?;
        let used = bytes.get(..usize::from(self.size)).unwrap_or_default();
        Digest::new(used).ok_or(EINVAL)
    }
}

impl Drop for Hash {
    /// The key is wiped.
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is ours.
        unsafe { ffi::shim_hash_free(self.tfm.as_ptr()) };
    }
}
