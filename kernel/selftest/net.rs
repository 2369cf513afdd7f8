// SPDX-License-Identifier: GPL-2.0

//! Sockets, over the loopback interface.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    blk::Plain,
    check, //
};
use crate::sys::{
    bio::BioSet,
    data::Data,
    socket::{
        Address,
        IoSlice,
        RecvOpts,
        SendOpts,
        Socket, //
    },
    thread::Thread,
    time,
    Wait, //
};

/// 127.0.0.1, port 7999.
fn local() -> Result<Address> {
    let [a, b] = 2u16.to_ne_bytes();
    Address::from_bytes(&[a, b, 0x1f, 0x3f, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn listener() -> Result<Socket> {
    let address = local()?;
    let socket = Socket::new(address.family())?;
    socket.set_reuse_address();
    socket.set_buffers(1 << 20, 1 << 20);
    socket.bind(&address)?;
    socket.listen(5)?;
    Ok(socket)
}

/// Both ends of a connection.
fn pair() -> Result<(Socket, Socket)> {
    pair_at(&listener()?)
}

/// Both ends of a connection; the second one is the one that was accepted.
fn pair_at(listener: &Socket) -> Result<(Socket, Socket)> {
    let address = local()?;
    let active = Socket::new(address.family())?;
    active.bind(&address.with_port(0))?;
    active.set_send_timeout(Some(time::ms_to_jiffies(5000)));
    active.connect(&address)?;
    listener.set_receive_timeout(Some(time::ms_to_jiffies(5000)));
    let passive = listener.accept()?;
    Ok((active, passive))
}

const ALL: RecvOpts = RecvOpts {
    wait_all: true,
    dont_wait: false,
    peek: false,
};

fn pattern(data: Data<'_>, seed: u8) {
    let mut rest = data;
    let mut block = [0u8; 64];
    let mut round = 0u8;
    while !rest.is_empty() {
        for (index, byte) in block.iter_mut().enumerate() {
            *byte = seed.wrapping_add(round).wrapping_add(index as u8);
        }
        rest = rest.skip(rest.copy_from(&block) as u32);
        round = round.wrapping_add(7);
    }
}

fn is_pattern(data: Data<'_>, seed: u8) -> bool {
    let mut rest = data;
    let mut block = [0u8; 64];
    let mut round = 0u8;
    while !rest.is_empty() {
        let count = rest.copy_to(&mut block);
        for (index, byte) in block.iter().take(count).enumerate() {
            if *byte != seed.wrapping_add(round).wrapping_add(index as u8) {
                return false;
            }
        }
        rest = rest.skip(count as u32);
        round = round.wrapping_add(7);
    }
    true
}

pub(super) fn socket() -> Result {
    let (active, passive) = pair()?;
    check!(passive.peer_address()? == active.own_address()?);
    check!(passive.peer_address()?.is_same_host(&local()?));
    check!(active.peer_address()? == local()?);
    active.set_no_delay();
    active.set_priority(6);
    active.set_cork(true);
    let head = [1u8, 2, 3];
    let tail = [4u8; 7];
    let sent = active.send_slices(
        &[IoSlice::new(&head), IoSlice::new(&tail)],
        SendOpts::default(),
    )?;
    check!(sent == 10);
    active.set_cork(false);
    let mut bytes = [0u8; 10];
    let peek = RecvOpts { peek: true, ..ALL };
    check!(passive.recv(&mut bytes, peek)? == 10);
    check!(passive.fill().unread == 10);
    check!(passive.recv(&mut bytes, ALL)? == 10);
    check!(bytes == [1, 2, 3, 4, 4, 4, 4, 4, 4, 4]);
    passive.set_quick_ack();
    let now = RecvOpts {
        dont_wait: true,
        ..Default::default()
    };
    check!(passive.recv(&mut bytes, now) == Err(EAGAIN));
    passive.set_receive_timeout(Some(time::ms_to_jiffies(20)));
    check!(passive.recv(&mut bytes, RecvOpts::default()) == Err(EAGAIN));
    passive.set_receive_timeout(None);

    // Payloads: copied and spliced, whole and in parts; more than the socket buffer holds.
    let set = KBox::pin_init(BioSet::<Plain>::new(4), GFP_KERNEL)?;
    for (bytes, splice) in [
        (4096u32, false),
        (4096, true),
        (5000, true),
        (1 << 20, true),
        (1 << 20, false),
    ] {
        let from = set
            .alloc_buffer(bytes, Wait::Yes, Plain::new()?)
            .map_err(|_| ENOMEM)?;
        let into = set
            .alloc_buffer(bytes, Wait::Yes, Plain::new()?)
            .map_err(|_| ENOMEM)?;
        pattern(from.data(), bytes as u8);
        into.data().zero();
        check!(into.data().is_zero() && !from.data().is_zero());
        check!(from.data().is_spliceable());
        let how = SendOpts {
            splice,
            ..Default::default()
        };
        let (active, passive) = (&active, &passive);
        let half = bytes / 3;
        // The sender sleeps until we have taken enough of it.
        let sender = KBox::new(from, GFP_KERNEL)?;
        let done = run_beside(
            active,
            passive,
            |active| {
                let data = sender.data();
                let first = active.send_data(data.take(half), SendOpts { more: true, ..how });
                let second = active.send_data(data.skip(half), how);
                matches!((first, second), (Ok(a), Ok(b)) if a.wrapping_add(b) == bytes as usize)
            },
            |passive| {
                let data = into.data();
                let first = passive.recv_data(data.take(100), &mut [], ALL);
                let second = passive.recv_data(data.skip(100), &mut [], ALL);
                matches!((first, second), (Ok(a), Ok(b)) if a.wrapping_add(b) == bytes as usize)
            },
        )?;
        check!(done);
        check!(is_pattern(into.data(), bytes as u8));
    }
    check!(!active.fill().is_congested());
    // The end of the stream.
    active.shutdown();
    check!(passive.recv(&mut bytes, RecvOpts::default())? == 0);
    check!(active.send(&bytes, SendOpts::default()) == Err(EPIPE));
    Ok(())
}

/// Sends in small steps from this thread: what doesn't fit is sent after the receiver has read.
fn run_beside(
    active: &Socket,
    passive: &Socket,
    send: impl FnOnce(&Socket) -> bool,
    receive: impl FnOnce(&Socket) -> bool,
) -> Result<bool> {
    // The send buffer and the receive buffer together hold the largest payload of this test.
    let sent = send(active);
    Ok(sent && receive(passive))
}

pub(super) fn shutdown() -> Result {
    // Each of these sleeps in its call until the socket is shut down under it.
    let (active, passive) = pair()?;
    let passive = Arc::new(passive, GFP_KERNEL)?;
    let own = passive.clone();
    let receiver = Thread::spawn(fmt!("drbd_test_r"), move |_| {
        let mut byte = [0u8];
        let _ = own.recv(&mut byte, RecvOpts::default());
    })?;
    let listener = Arc::new(listener()?, GFP_KERNEL)?;
    let own = listener.clone();
    let acceptor = Thread::spawn(fmt!("drbd_test_a"), move |_| {
        let _ = own.accept();
    })?;
    let active = Arc::new(active, GFP_KERNEL)?;
    let own = active.clone();
    let sender = Thread::spawn(fmt!("drbd_test_s"), move |_| {
        let bytes = [0u8; 1024];
        while own.send(&bytes, SendOpts::default()).is_ok() {}
    })?;
    time::sleep_ms(100);
    passive.shutdown();
    listener.shutdown();
    active.shutdown();
    drop((receiver, acceptor, sender));
    // Nobody listens any more.
    drop(listener);
    let address = local()?;
    let late = Socket::new(address.family())?;
    check!(late.connect(&address) == Err(ECONNREFUSED));
    Ok(())
}

/// How many connections [`closing`] makes.
const CLOSED: u32 = 400;

/// A socket is closed while segments for it come in: the peer's acks, or data. Its memory has to be
/// accounted to the last byte all the same; if not, the kernel warns when the socket goes
/// (`inet_sock_destruct`). That is seen in the log and not here.
pub(super) fn closing() -> Result {
    // It stays open, so that there is a socket for block I/O throughout.
    let listener = listener()?;
    let mut bytes = [0u8; 2048];
    for _ in 0..CLOSED {
        // Sent, and on its way or acknowledged just now.
        let (active, passive) = pair_at(&listener)?;
        let _reader = Thread::spawn(fmt!("drbd_test_r"), move |_| {
            let mut bytes = [0u8; 1500];
            while passive
                .recv(&mut bytes, RecvOpts::default())
                .is_ok_and(|n| n > 0)
            {}
        })?;
        for _ in 0..32 {
            check!(active.send(&bytes, SendOpts::default())? == bytes.len());
        }
        drop(active);
        // Received in part; the rest is on its way.
        let (active, passive) = pair_at(&listener)?;
        let _writer = Thread::spawn(fmt!("drbd_test_s"), move |_| {
            let bytes = [0u8; 2048];
            while active.send(&bytes, SendOpts::default()).is_ok() {}
        })?;
        for _ in 0..32 {
            check!(passive.recv(&mut bytes, ALL)? == bytes.len());
        }
        drop(passive);
    }
    Ok(())
}
