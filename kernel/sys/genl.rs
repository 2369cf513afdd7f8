// SPDX-License-Identifier: GPL-2.0

//! A generic netlink family: how tools talk to the module.
//!
//! A message is handed over as the bytes behind the generic netlink header: the family's own header
//! of 8 bytes, then attributes. What comes back is written into a lent buffer in the same form. No
//! attribute is looked at here.
//!
//! Operations run in parallel; who needs order takes a lock of its own. While an operation runs,
//! no netlink family can be registered or unregistered on the whole machine: so it must not wait
//! for long, and never for a program that talks to us.
//!
//! C header: `include/net/genetlink.h`

mod message;

use kernel::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

use self::message::{
    Lent,
    Message, //
};
use super::{
    ffi,
    gfp, //
};

/// Bytes of the netlink header and the generic netlink header.
const HEADER: usize = 20;
/// Bytes of the family's own header, the first of each payload.
const FAMILY_HEADER: usize = 8;

/// An operation that the family knows.
#[derive(Clone, Copy)]
pub(crate) struct Op {
    /// Its number.
    pub(crate) command: u8,
    /// It can be asked for once, with one answer.
    pub(crate) doit: bool,
    /// It can be asked for as a dump, with many answers.
    pub(crate) dump: bool,
    /// It needs `CAP_NET_ADMIN`.
    pub(crate) admin: bool,
}

/// What the operations of a family do.
pub(crate) trait Admin: Send + Sync + Sized + 'static {
    /// The family's name (at most 15 bytes).
    const NAME: &'static CStr;
    /// The family's version.
    const VERSION: u32;
    /// From this operation on, reserved header bits must be zero.
    const STRICT_FROM: u8;
    /// The name of its one multicast group (at most 15 bytes).
    const GROUP: &'static CStr;
    /// The operations, each once.
    const OPS: &'static [Op];

    /// Where a dump is. Dropped when it has ended or its reader is gone.
    type Dump: Send + 'static;

    /// Carries out an operation, writes the payload of the answer into `answer`, and gives its
    /// length. `Err` is sent as a netlink error. May sleep.
    fn doit(&self, request: &Request<'_>, answer: &mut [u8]) -> Result<usize>;

    /// Begins a dump. `Err` is sent as a netlink error. May sleep.
    fn dump_start(&self, request: &Request<'_>) -> Result<Self::Dump>;

    /// Writes the payload of the next message of a dump, or says that there is none. `Err` ends the
    /// dump with that error. May sleep.
    fn dump_next(&self, dump: &mut Self::Dump, answer: &mut [u8]) -> Result<Option<DumpMessage>>;
}

/// The next message of a dump.
#[derive(Clone, Copy)]
pub(crate) struct DumpMessage {
    /// Its operation number.
    pub(crate) command: u8,
    /// It is marked as one of many, and carries the reader's port, as is usual.
    pub(crate) multi: bool,
    /// Bytes of its payload.
    pub(crate) len: usize,
}

/// A request, as it came.
pub(crate) struct Request<'a> {
    command: u8,
    flags: u16,
    seq: u32,
    port: u32,
    payload: &'a [u8],
    skb: *const bindings::sk_buff,
}

impl<'a> Request<'a> {
    /// # Safety
    ///
    /// `nlh` is the message that the netlink core has checked for its length, in `skb`; both are
    /// valid during `'a`.
    unsafe fn new(nlh: *const bindings::nlmsghdr, skb: *const bindings::sk_buff) -> Self {
        // SAFETY: By the requirement; the core checked that the headers are complete.
        unsafe {
            let len = ((*nlh).nlmsg_len as usize).saturating_sub(HEADER);
            let message = nlh.cast::<u8>();
            Self {
                command: *message.add(HEADER - 4),
                flags: (*nlh).nlmsg_flags,
                seq: (*nlh).nlmsg_seq,
                port: ffi::shim_skb_port(skb),
                payload: core::slice::from_raw_parts(message.add(HEADER), len),
                skb,
            }
        }
    }

    /// The operation number.
    pub(crate) fn command(&self) -> u8 {
        self.command
    }

    /// The netlink flags (`NLM_F_*`).
    pub(crate) fn flags(&self) -> u16 {
        self.flags
    }

    /// The family's own header and the attributes: at least 8 bytes.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether the sender may change the network's configuration (`CAP_NET_ADMIN`).
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn is_net_admin(&self) -> bool {
        // SAFETY: The message is valid for the life of the request.
        unsafe { bindings::netlink_capable(self.skb, bindings::CAP_NET_ADMIN as c_int) }
    }

    /// Whether the sender is an administrator (`CAP_SYS_ADMIN`), who may see shared secrets.
    pub(crate) fn is_sys_admin(&self) -> bool {
        // SAFETY: The message is valid for the life of the request.
        unsafe { bindings::netlink_capable(self.skb, bindings::CAP_SYS_ADMIN as c_int) }
    }
}

/// A family, which may be registered or not.
///
/// # Invariants
///
/// `raw` is complete and refers to `ops` and `group`; while it is registered, it isn't changed by
/// us, and `self` lives.
#[pin_data]
pub(crate) struct Family<A: Admin> {
    #[pin]
    raw: Opaque<bindings::genl_family>,
    ops: KVec<bindings::genl_ops>,
    group: KBox<bindings::genl_multicast_group>,
    /// Whether it is registered. Held while an event is sent: events go out in one order.
    #[pin]
    registered: Mutex<bool>,
    admin: A,
}

// SAFETY: The family is only changed by the netlink core, under its own locks.
unsafe impl<A: Admin> Send for Family<A> {}
// SAFETY: As above; `A` is `Send + Sync`.
unsafe impl<A: Admin> Sync for Family<A> {}

impl<A: Admin> Family<A> {
    /// A family that isn't registered yet.
    pub(crate) fn new(admin: A) -> Result<Arc<Self>> {
        let mut ops = KVec::with_capacity(A::OPS.len(), GFP_KERNEL)?;
        for op in A::OPS {
            let mut raw = bindings::genl_ops {
                cmd: op.command,
                flags: if op.admin {
                    bindings::GENL_ADMIN_PERM as u8
                } else {
                    0
                },
                ..Default::default()
            };
            if op.doit {
                raw.doit = Some(Self::doit_callback);
            }
            if op.dump {
                raw.start = Some(Self::start_callback);
                raw.dumpit = Some(Self::dumpit_callback);
                raw.done = Some(Self::done_callback);
            }
            crate::vector::push(&mut ops, raw, GFP_KERNEL)?;
        }
        let mut group = KBox::new(bindings::genl_multicast_group::default(), GFP_KERNEL)?;
        copy_name(&mut group.name, A::GROUP);
        let mut family = bindings::genl_family {
            hdrsize: FAMILY_HEADER as u32,
            version: A::VERSION,
            resv_start_op: A::STRICT_FROM,
            ops: ops.as_ptr(),
            n_ops: u8::try_from(ops.len()).map_err(|_| EINVAL)?,
            mcgrps: &raw const *group,
            n_mcgrps: 1,
            module: <crate::LocalModule as kernel::ModuleMetadata>::THIS_MODULE.as_ptr(),
            ..Default::default()
        };
        family.set_netnsok(1);
        family.set_parallel_ops(1);
        copy_name(&mut family.name, A::NAME);
        Arc::pin_init(
            pin_init!(Self {
                // INVARIANT: The pointers in it are to the heap memory of the other fields.
                raw: Opaque::new(family),
                ops,
                group,
                registered <- new_mutex!(false, "drbd_genl_events"),
                admin,
            }),
            GFP_KERNEL,
        )
    }

    /// Registers it: operations may be called before this returns. May sleep.
    pub(crate) fn register(self: &Arc<Self>) -> Result<Registration<A>> {
        // SAFETY: By the type invariant the family is complete; it lives and stays in its place
        // until the registration, which owns a reference, has undone this.
        to_result(unsafe { bindings::genl_register_family(self.raw.get()) })?;
        *self.registered.lock() = true;
        Ok(Registration {
            family: self.clone(),
        })
    }

    /// Sends an event to all that listen, in the first network namespace. `write` gets a buffer for
    /// the payload and gives the event; it runs under the lock that keeps events in order, and
    /// isn't called if nobody listens. Gives whether somebody does. May sleep.
    pub(crate) fn multicast(&self, write: impl FnOnce(&mut [u8]) -> Result<Event>) -> Result<bool> {
        let registered = self.registered.lock();
        if !*registered || !self.has_listeners() {
            return Ok(false);
        }
        let mut message = Message::new()?;
        let event = write(message.payload())?;
        message.finish(self, 0, event.seq, 0, event.command, event.len)?;
        // SAFETY: The family is registered; the message is complete, and given away.
        let sent = to_result(unsafe {
            bindings::genlmsg_multicast(self.raw.get(), message.into_raw(), 0, 0, gfp::NOIO)
        });
        match sent {
            Ok(()) => Ok(true),
            Err(error) if error == ESRCH => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody listens to events. Only while it is registered.
    fn has_listeners(&self) -> bool {
        // SAFETY: The family is registered; the first network namespace always exists.
        unsafe { bindings::genl_has_listeners(self.raw.get(), &raw mut bindings::init_net, 0) != 0 }
    }

    /// # Safety
    ///
    /// `family` is the field of a registered `Family<A>`, which outlives `'a`.
    unsafe fn from_raw<'a>(family: *const bindings::genl_family) -> &'a Self {
        // SAFETY: By the requirement.
        unsafe { &*kernel::container_of!(Opaque::cast_from(family.cast_mut()), Self, raw) }
    }

    /// # Safety
    ///
    /// Called by the netlink core for an operation of a registered `Family<A>`. Until it returns,
    /// the family can't be unregistered.
    unsafe extern "C" fn doit_callback(
        skb: *mut bindings::sk_buff,
        info: *mut bindings::genl_info,
    ) -> c_int {
        // SAFETY: The core fills in all of these, and they are valid for the call.
        let (family, request) = unsafe {
            (
                Self::from_raw((*info).family),
                Request::new((*info).nlhdr, skb),
            )
        };
        from_result(|| {
            let mut message = Message::new()?;
            let len = family.admin.doit(&request, message.payload())?;
            message.finish(family, request.port, request.seq, 0, request.command, len)?;
            // SAFETY: The message is complete, and given away.
            to_result(unsafe { ffi::shim_genl_reply(message.into_raw(), info) })?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the netlink core at the beginning of a dump of a registered `Family<A>`.
    unsafe extern "C" fn start_callback(cb: *mut bindings::netlink_callback) -> c_int {
        // SAFETY: As for `doit_callback`.
        let (family, request) = unsafe { (Self::of_dump(cb), Request::new((*cb).nlh, (*cb).skb)) };
        from_result(|| {
            let dump = KBox::new(family.admin.dump_start(&request)?, GFP_KERNEL)?;
            // SAFETY: The context is ours to use; `done_callback` frees what we put there.
            unsafe { *Self::cursor(cb) = KBox::into_raw(dump) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the netlink core for a dump of ours, which keeps the module loaded.
    unsafe extern "C" fn dumpit_callback(
        skb: *mut bindings::sk_buff,
        cb: *mut bindings::netlink_callback,
    ) -> c_int {
        // SAFETY: As for `doit_callback`; the callbacks of one dump are called one at a time, and
        // `start_callback` has put the cursor there.
        let (family, dump, port, seq) = unsafe {
            let nlh = (*cb).nlh;
            let port = ffi::shim_skb_port((*cb).skb);
            (Self::of_dump(cb), *Self::cursor(cb), port, (*nlh).nlmsg_seq)
        };
        // SAFETY: The cursor is a valid box until `done_callback`.
        let Some(dump) = (unsafe { dump.as_mut() }) else {
            return EINVAL.to_errno();
        };
        // SAFETY: The core lends us the buffer for the call, and takes it back filled.
        let mut message = unsafe { Lent::new(skb) };
        from_result(|| {
            let Some(next) = family.admin.dump_next(dump, message.payload())? else {
                return Ok(0);
            };
            let (flags, port) = if next.multi {
                (bindings::NLM_F_MULTI as c_int, port)
            } else {
                (0, 0)
            };
            message.finish(family, port, seq, flags, next.command, next.len)?;
            // More than nothing: there may be more to come.
            Ok(c_int::try_from(next.len).unwrap_or(c_int::MAX).max(1))
        })
    }

    /// # Safety
    ///
    /// Called by the netlink core at the end of a dump of ours that had begun.
    unsafe extern "C" fn done_callback(cb: *mut bindings::netlink_callback) -> c_int {
        // SAFETY: `start_callback` has put the box there, and nobody uses it any more.
        unsafe {
            let dump = core::mem::replace(&mut *Self::cursor(cb), core::ptr::null_mut());
            if !dump.is_null() {
                drop(KBox::from_raw(dump));
            }
        }
        0
    }

    /// Where a dump keeps its cursor.
    fn cursor(cb: *mut bindings::netlink_callback) -> *mut *mut A::Dump {
        // SAFETY: This only computes an address within what the core passes to the callbacks.
        unsafe { (&raw mut (*cb).__bindgen_anon_1).cast() }
    }

    /// # Safety
    ///
    /// `cb` is a dump of a registered `Family<A>`, which outlives `'a`.
    unsafe fn of_dump<'a>(cb: *mut bindings::netlink_callback) -> &'a Self {
        // SAFETY: By the requirement: the generic netlink core puts this there.
        unsafe {
            let info = (*cb).data.cast::<bindings::genl_dumpit_info>();
            Self::from_raw((*info).info.family)
        }
    }
}

/// The family is registered. Dropping this undoes it, and waits for operations that are running.
/// Dumps that have begun keep the module loaded until their reader is done. May sleep.
pub(crate) struct Registration<A: Admin> {
    family: Arc<Family<A>>,
}

impl<A: Admin> Drop for Registration<A> {
    fn drop(&mut self) {
        *self.family.registered.lock() = false;
        // SAFETY: It was registered, and this is the one place where that is undone. That it is
        // registered is all that can make this fail.
        let _ = unsafe { bindings::genl_unregister_family(self.family.raw.get()) };
    }
}

/// An event to send.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    /// Its operation number.
    pub(crate) command: u8,
    /// Its sequence number.
    pub(crate) seq: u32,
    /// Bytes of its payload.
    pub(crate) len: usize,
}

fn copy_name<const N: usize>(to: &mut [c_char; N], from: &CStr) {
    // The last byte stays zero.
    for (to, from) in to.iter_mut().take(N - 1).zip(from.to_bytes()) {
        *to = *from;
    }
}
