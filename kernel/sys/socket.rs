// SPDX-License-Identifier: GPL-2.0

//! TCP sockets.
//!
//! All calls take `&self`: one thread may send while another receives and a third one shuts down.
//! [`Socket::shutdown`] is how a thread that sleeps in a call here is made to return: the call then
//! fails, or reads the end of the stream. A call that begins later does, too; but connecting and
//! accepting start anew, so a thread looks at its [`Stop`](super::thread::Stop) after it has
//! published the socket and before it connects or accepts.
//!
//! C headers: `include/linux/net.h`, `include/net/sock.h`

mod address;
mod outgoing;

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

pub(crate) use self::{
    address::Address,
    outgoing::Outgoing, //
};
use super::{
    data::Data,
    ffi,
    time::Jiffies, //
};
use crate::objects;

/// How a send is done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SendOpts {
    /// More follows at once: don't send a small packet now.
    pub(crate) more: bool,
    /// Fail with `EAGAIN` rather than sleep.
    pub(crate) dont_wait: bool,
    /// Take the pages themselves instead of copying them, if [`Data::is_spliceable`]. They must not
    /// be given to another use before the peer has the data.
    pub(crate) splice: bool,
}

impl SendOpts {
    fn flags(self) -> u32 {
        let mut flags = bindings::MSG_NOSIGNAL;
        if self.more {
            flags |= bindings::MSG_MORE;
        }
        if self.dont_wait {
            flags |= bindings::MSG_DONTWAIT;
        }
        flags
    }
}

/// How a receive is done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecvOpts {
    /// Sleep until all is there (or the time-out, or the end of the stream).
    pub(crate) wait_all: bool,
    /// Fail with `EAGAIN` rather than sleep.
    pub(crate) dont_wait: bool,
    /// Leave it in the socket.
    pub(crate) peek: bool,
}

impl RecvOpts {
    fn flags(self) -> u32 {
        let mut flags = bindings::MSG_NOSIGNAL;
        if self.wait_all {
            flags |= bindings::MSG_WAITALL;
        }
        if self.dont_wait {
            flags |= bindings::MSG_DONTWAIT;
        }
        if self.peek {
            flags |= bindings::MSG_PEEK;
        }
        flags
    }
}

/// Bytes to send, one of several pieces.
#[repr(transparent)]
pub(crate) struct IoSlice<'a> {
    vec: bindings::kvec,
    _bytes: PhantomData<&'a [u8]>,
}

impl<'a> IoSlice<'a> {
    /// One piece.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            vec: bindings::kvec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            },
            _bytes: PhantomData,
        }
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.vec.iov_len
    }
}

/// The direction of an iterator that bytes are taken from (`ITER_SOURCE`).
const SOURCE: u32 = 1;
/// The direction of an iterator that bytes are put into (`ITER_DEST`).
const DESTINATION: u32 = 0;

/// A TCP socket. Dropping it closes the connection. May sleep: the last owner must not let go in an
/// interrupt.
///
/// # Invariants
///
/// `socket` is a TCP socket of ours that is not yet released.
pub(crate) struct Socket {
    socket: NonNull<bindings::socket>,
    _counted: objects::Sockets,
}

// SAFETY: Sockets have their own lock; releasing one is possible in any thread.
unsafe impl Send for Socket {}
// SAFETY: Sockets have their own lock.
unsafe impl Sync for Socket {}

impl Socket {
    /// A new socket for addresses of this family. May sleep. Fails with `EAFNOSUPPORT` and others.
    ///
    /// It is made for carrying block I/O: it allocates without waiting for I/O, and may use the
    /// emergency reserves to send and to receive.
    pub(crate) fn new(family: u16) -> Result<Self> {
        let mut socket = core::ptr::null_mut();
        // SAFETY: The first network namespace always exists; the result is ours.
        to_result(unsafe {
            bindings::sock_create_kern(
                &raw mut bindings::init_net,
                c_int::from(family),
                bindings::sock_type_SOCK_STREAM as c_int,
                TCP,
                &mut socket,
            )
        })?;
        Self::from_raw(socket)
    }

    fn from_raw(socket: *mut bindings::socket) -> Result<Self> {
        let socket = NonNull::new(socket).ok_or(ENOMEM)?;
        // SAFETY: The socket is new and ours.
        unsafe { ffi::shim_sock_for_block_io(socket.as_ptr()) };
        // INVARIANT: It is ours.
        Ok(Self {
            socket,
            _counted: objects::Sockets::new(),
        })
    }

    fn as_raw(&self) -> *mut bindings::socket {
        self.socket.as_ptr()
    }

    /// Allows to listen on an address that old connections still use.
    pub(crate) fn set_reuse_address(&self) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_reuseaddr(self.as_raw()) };
    }

    /// Sends small packets at once.
    pub(crate) fn set_no_delay(&self) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_nodelay(self.as_raw()) };
    }

    /// Holds back packets that aren't full (`true`), or sends what was held back (`false`).
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn set_cork(&self, on: bool) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_cork(self.as_raw(), on) };
    }

    /// Acknowledges at once what has been received (for what comes next, too).
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn set_quick_ack(&self) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_quickack(self.as_raw()) };
    }

    /// Acknowledges what has been received a moment later, for more at once.
    pub(crate) fn set_delayed_ack(&self) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_delayed_ack(self.as_raw()) };
    }

    /// Sends its packets before those of others: one of `TC_PRIO_*`.
    pub(crate) fn set_priority(&self, priority: u32) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_priority(self.as_raw(), priority) };
    }

    /// Sets the sizes of the buffers in bytes; 0 leaves one to TCP. To be done before connecting.
    pub(crate) fn set_buffers(&self, send: u32, receive: u32) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_buffers(self.as_raw(), send, receive) };
    }

    /// After so long a send fails with `EAGAIN`, or returns with less. `None`: never.
    pub(crate) fn set_send_timeout(&self, timeout: Option<Jiffies>) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_sndtimeo(self.as_raw(), timeout_of(timeout)) };
    }

    /// After so long a receive fails with `EAGAIN`, or returns with less. `None`: never.
    pub(crate) fn set_receive_timeout(&self, timeout: Option<Jiffies>) {
        // SAFETY: By the type invariant the socket exists.
        unsafe { ffi::shim_sock_set_rcvtimeo(self.as_raw(), timeout_of(timeout)) };
    }

    /// Takes the address. Fails with `EADDRINUSE`, `EADDRNOTAVAIL` and others.
    pub(crate) fn bind(&self, address: &Address) -> Result {
        // SAFETY: By the type invariant the socket exists; the address lives for the call, which
        // only reads it.
        to_result(unsafe {
            bindings::kernel_bind(self.as_raw(), address.as_raw(), address.raw_len())
        })
    }

    /// Lets peers connect.
    pub(crate) fn listen(&self, backlog: u32) -> Result {
        // SAFETY: By the type invariant the socket exists.
        to_result(unsafe { bindings::kernel_listen(self.as_raw(), backlog as c_int) })
    }

    /// Takes the next peer that has connected. Sleeps for as long as the receive time-out says,
    /// then fails with `EAGAIN`; fails with `EINVAL` when the socket was shut down.
    pub(crate) fn accept(&self) -> Result<Self> {
        let mut socket = core::ptr::null_mut();
        // SAFETY: By the type invariant the socket exists; the result is ours.
        to_result(unsafe { bindings::kernel_accept(self.as_raw(), &mut socket, 0) })?;
        Self::from_raw(socket)
    }

    /// Connects. Sleeps for as long as the send time-out says, then fails with `EINPROGRESS`. Fails
    /// with `ECONNREFUSED`, `EHOSTUNREACH`, `ENETUNREACH`, `ETIMEDOUT` and others.
    pub(crate) fn connect(&self, address: &Address) -> Result {
        // SAFETY: By the type invariant the socket exists; the address lives for the call, which
        // only reads it.
        to_result(unsafe {
            bindings::kernel_connect(self.as_raw(), address.as_raw(), address.raw_len(), 0)
        })
    }

    /// The peer's address.
    pub(crate) fn peer_address(&self) -> Result<Address> {
        Address::filled(|address| {
            // SAFETY: By the type invariant the socket exists; the address has room for any.
            unsafe { bindings::kernel_getpeername(self.as_raw(), address) }
        })
    }

    /// Our own address.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn own_address(&self) -> Result<Address> {
        Address::filled(|address| {
            // SAFETY: By the type invariant the socket exists; the address has room for any.
            unsafe { bindings::kernel_getsockname(self.as_raw(), address) }
        })
    }

    /// Ends the connection in both directions, and wakes all that sleep in a call. May sleep for a
    /// moment (on the lock of the socket).
    pub(crate) fn shutdown(&self) {
        // That it wasn't connected is no error here.
        // SAFETY: By the type invariant the socket exists.
        let _ = unsafe {
            bindings::kernel_sock_shutdown(self.as_raw(), bindings::sock_shutdown_cmd_SHUT_RDWR)
        };
    }

    /// Sends bytes. Gives how many were taken: fewer than there are only at a time-out.
    pub(crate) fn send(&self, bytes: &[u8], how: SendOpts) -> Result<usize> {
        self.send_slices(&[IoSlice::new(bytes)], how)
    }

    /// Sends the bytes of several pieces, in order. Gives how many were taken, of all.
    pub(crate) fn send_slices(&self, slices: &[IoSlice<'_>], how: SendOpts) -> Result<usize> {
        let count = slices
            .iter()
            .fold(0usize, |sum, slice| sum.wrapping_add(slice.len()));
        let mut message = bindings::msghdr::default();
        // SAFETY: A slice of `IoSlice`s is one of `kvec`s, which live for the call.
        unsafe {
            bindings::iov_iter_kvec(
                &mut message.msg_iter,
                SOURCE,
                slices.as_ptr().cast(),
                slices.len(),
                count,
            )
        };
        message.msg_flags = how.flags();
        self.send_message(&mut message)
    }

    /// Sends a payload. Gives how many bytes were taken: fewer than there are only at a time-out.
    pub(crate) fn send_data(&self, data: Data<'_>, how: SendOpts) -> Result<usize> {
        let mut message = bindings::msghdr {
            // SAFETY: The iterator is used only within this call.
            msg_iter: unsafe { data.iov_iter(SOURCE) },
            ..Default::default()
        };
        message.msg_flags = how.flags();
        if how.splice && data.is_spliceable() {
            message.msg_flags |= bindings::MSG_SPLICE_PAGES;
        }
        self.send_message(&mut message)
    }

    /// Sends packets from byte `from` on. Gives how many bytes were taken: fewer than there are
    /// only at a time-out.
    pub(crate) fn send_outgoing(&self, out: &Outgoing, from: usize, more: bool) -> Result<usize> {
        let how = SendOpts {
            more,
            ..SendOpts::default()
        };
        let pieces = out.pieces();
        let mut message = bindings::msghdr::default();
        // SAFETY: By the invariant of `Outgoing` the pieces have so many bytes, which live as long
        // as it is borrowed; it is for the whole call.
        unsafe {
            bindings::iov_iter_bvec(
                &mut message.msg_iter,
                SOURCE,
                pieces.as_ptr(),
                pieces.len(),
                out.len(),
            );
            bindings::iov_iter_advance(&mut message.msg_iter, from.min(out.len()));
        }
        message.msg_flags = how.flags();
        if out.is_spliced() {
            message.msg_flags |= bindings::MSG_SPLICE_PAGES;
        }
        self.send_message(&mut message)
    }

    fn send_message(&self, message: &mut bindings::msghdr) -> Result<usize> {
        // SAFETY: By the type invariant the socket exists; the message is complete.
        count_of(unsafe { bindings::sock_sendmsg(self.as_raw(), message) })
    }

    /// Receives bytes. Gives how many; 0 at the end of the stream.
    pub(crate) fn recv(&self, bytes: &mut [u8], how: RecvOpts) -> Result<usize> {
        let mut message = bindings::msghdr::default();
        let vec = bindings::kvec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: The vector and the bytes live for the call.
        unsafe {
            bindings::iov_iter_kvec(&mut message.msg_iter, DESTINATION, &vec, 1, bytes.len())
        };
        self.recv_message(&mut message, how)
    }

    /// Receives into a payload (that of a read, or our own), and what has come behind it into
    /// `ahead`, unless the payload has too many pieces for that. Gives how many bytes, of both; 0
    /// at the end of the stream.
    pub(crate) fn recv_data(
        &self,
        data: Data<'_>,
        ahead: &mut [u8],
        how: RecvOpts,
    ) -> Result<usize> {
        const PIECES: usize = 4;
        let mut vecs = [bindings::bio_vec::default(); PIECES + 1];
        let pieces = data.copy_vecs(vecs.get_mut(..PIECES).unwrap_or_default());
        let last = pieces.and_then(|pieces| vecs.get_mut(pieces));
        let joined = last.filter(|_| !ahead.is_empty()).is_some_and(|last| {
            // SAFETY: Both live; memory without pages, like a stack, is refused.
            unsafe { ffi::shim_bvec_of(last, ahead.as_mut_ptr().cast(), ahead.len()) }
        });
        if joined {
            let bytes = (data.len() as usize).wrapping_add(ahead.len());
            let mut message = bindings::msghdr::default();
            // SAFETY: Vectors and bytes live for the call. There is one entry behind the pieces.
            unsafe {
                bindings::iov_iter_bvec(
                    &mut message.msg_iter,
                    DESTINATION,
                    vecs.as_ptr(),
                    pieces.unwrap_or(0).wrapping_add(1),
                    bytes,
                )
            };
            return self.recv_message(&mut message, how);
        }
        let mut message = bindings::msghdr {
            // SAFETY: The iterator is used only within this call.
            msg_iter: unsafe { data.iov_iter(DESTINATION) },
            ..Default::default()
        };
        self.recv_message(&mut message, how)
    }

    fn recv_message(&self, message: &mut bindings::msghdr, how: RecvOpts) -> Result<usize> {
        // SAFETY: By the type invariant the socket exists; the message is complete.
        count_of(unsafe { bindings::sock_recvmsg(self.as_raw(), message, how.flags() as c_int) })
    }

    /// How full the socket is.
    pub(crate) fn fill(&self) -> Fill {
        let mut fill = Fill::default();
        // SAFETY: By the type invariant the socket exists; the result is ours.
        unsafe { ffi::shim_sock_fill(self.as_raw(), &mut fill) };
        fill
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the socket is ours, and nobody uses it any more.
        unsafe {
            ffi::shim_sock_done(self.as_raw());
            bindings::sock_release(self.as_raw());
        }
    }
}

/// The protocol (`IPPROTO_TCP`).
const TCP: c_int = 6;

/// How full a socket is, all in bytes. The layout is that of `struct shim_sock_fill`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fill {
    /// Memory that waits for being sent or acknowledged, with all overhead.
    pub(crate) send_queued: u32,
    /// The limit of that.
    pub(crate) send_limit: u32,
    /// Bytes that the peer has not yet acknowledged.
    pub(crate) unacknowledged: u32,
    /// Bytes that have been received and not yet read.
    pub(crate) unread: u32,
}

impl Fill {
    /// Whether more than half of the send buffer is in use: the peer or the network is slow.
    pub(crate) fn is_congested(&self) -> bool {
        self.send_queued > self.send_limit >> 1
    }
}

fn timeout_of(timeout: Option<Jiffies>) -> isize {
    timeout.map_or(isize::MAX, |ticks| {
        isize::try_from(ticks).unwrap_or(isize::MAX)
    })
}

fn count_of(ret: c_int) -> Result<usize> {
    usize::try_from(ret).map_err(|_| Error::from_errno(ret))
}
