// SPDX-License-Identifier: GPL-2.0

//! Messages on their way out: a buffer of netlink, the headers, and a payload that others write.

use core::ptr::NonNull;
use kernel::{
    bindings,
    prelude::*, //
};

use super::{
    super::{
        ffi,
        gfp, //
    },
    Admin,
    Family,
    FAMILY_HEADER,
    HEADER, //
};

/// A message of ours.
///
/// # Invariants
///
/// The buffer is ours.
pub(super) struct Message(Lent);

impl Message {
    pub(super) fn new() -> Result<Self> {
        // SAFETY: No requirements.
        let skb = unsafe { bindings::genlmsg_new(bindings::GENLMSG_DEFAULT_SIZE, gfp::KERNEL) };
        let skb = NonNull::new(skb).ok_or(ENOMEM)?;
        // SAFETY: The buffer is new and ours.
        Ok(Self(unsafe { Lent::new(skb.as_ptr()) }))
    }

    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        core::mem::ManuallyDrop::new(self).0.skb
    }
}

impl core::ops::Deref for Message {
    type Target = Lent;

    fn deref(&self) -> &Lent {
        &self.0
    }
}

impl core::ops::DerefMut for Message {
    fn deref_mut(&mut self) -> &mut Lent {
        &mut self.0
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the buffer is ours.
        unsafe { bindings::nlmsg_free(self.0.skb) };
    }
}

/// A message in a buffer that may be somebody else's.
///
/// # Invariants
///
/// `skb` is a linear buffer for one writer, us. `room` bytes behind its tail are free and zeroed.
pub(super) struct Lent {
    skb: *mut bindings::sk_buff,
    room: usize,
}

impl Lent {
    /// # Safety
    ///
    /// `skb` is a linear buffer that only we write to while this lives.
    pub(super) unsafe fn new(skb: *mut bindings::sk_buff) -> Self {
        let mut room = 0;
        // SAFETY: By the requirement; the free bytes are ours to write.
        unsafe {
            let tail = ffi::shim_skb_tail(skb, &mut room);
            tail.write_bytes(0, room);
        }
        // INVARIANT: They are zeroed now.
        Self { skb, room }
    }

    /// Where the payload is written: behind the place of the headers.
    pub(super) fn payload(&mut self) -> &mut [u8] {
        let mut room = 0;
        // SAFETY: By the type invariant so many bytes behind the tail are free and initialised.
        let all = unsafe {
            let tail = ffi::shim_skb_tail(self.skb, &mut room);
            core::slice::from_raw_parts_mut(tail, self.room.min(room))
        };
        all.get_mut(HEADER..).unwrap_or_default()
    }

    /// Writes the headers in front of a payload of `len` bytes, and adds all of it to the buffer.
    pub(super) fn finish<A: Admin>(
        &mut self,
        family: &Family<A>,
        port: u32,
        seq: u32,
        flags: c_int,
        command: u8,
        len: usize,
    ) -> Result {
        let attributes = len.checked_sub(FAMILY_HEADER).ok_or(EINVAL)?;
        if len > self.payload().len() {
            return Err(EMSGSIZE);
        }
        // SAFETY: There is room for the headers (the family's among them) and the attributes; only
        // the first two are written here, in front of what was written as the payload.
        unsafe {
            let header =
                bindings::genlmsg_put(self.skb, port, seq, family.raw.get(), flags, command);
            if header.is_null() {
                return Err(EMSGSIZE);
            }
            bindings::skb_put(self.skb, attributes as c_uint);
            bindings::genlmsg_end(self.skb, header);
        }
        // What follows would be another message.
        self.room = 0;
        Ok(())
    }
}
