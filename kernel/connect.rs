// SPDX-License-Identifier: GPL-2.0

//! The receiver of a connection, as long as it looks for the peer.
//!
//! Both nodes listen and both connect. The socket that a node opened or accepted first for a
//! purpose is checked after a while, because the peer may have chosen another one; crossed
//! attempts are resolved by chance (docs/protocol.md, "Connect loop"). Then versions and features
//! are exchanged, and the link lives until somebody finds it broken.

use core::cell::Cell;
use core::sync::atomic::Ordering;
use drbd_core::config::NetConf;
use drbd_core::peer::Event;
use drbd_core::state::Conn;
use drbd_core::wire::{
    next_frame, Agreed, ConnectionFeatures, Context, Framing, Packet, Phase, Reaction,
    Socket as Which,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::link::Link;
use crate::resource::{Addresses, Resource};
use crate::sys::log::{log, Level};
use crate::sys::memalloc::{NoIo, NoReclaim};
use crate::sys::random;
use crate::sys::socket::{Address, RecvOpts, SendOpts, Socket};
use crate::sys::thread::{Stop, Thread};
use crate::sys::time::{ms_to_jiffies, sleep_ms};
use crate::vector;

/// The body of the receiver thread: until the connection is StandAlone.
pub(crate) fn run(resource: &Arc<Resource>, stop: &Stop) {
    let _noio = NoIo::enter();
    let _reserves = NoReclaim::enter();
    log!(Level::Info, **resource, "receiver (re)started");
    loop {
        resource.interrupted.store(false, Ordering::SeqCst);
        resource.feed(Event::Connecting);
        match establish(resource, stop) {
            Attempt::Link(link, resolve_conflicts) => live(resource, link, resolve_conflicts),
            Attempt::GaveUp => resource.feed(Event::CannotListen),
            Attempt::Interrupted => {}
        }
        log!(Level::Info, **resource, "Connection closed");
        // From the moment that the connection is StandAlone, the owner may start another receiver,
        // and wait for the end of this one: it must not need the owner any more.
        if resource.feed_and_see(Event::LinkClosed) <= Conn::Disconnecting || stop.requested() {
            break;
        }
    }
    log!(Level::Info, **resource, "receiver terminated");
}

/// The end of looking for the peer.
enum Attempt {
    Link(Arc<Link>, bool),
    /// The own address cannot be used, or the peer speaks another dialect.
    GaveUp,
    /// The state has changed.
    Interrupted,
}

/// One of the two sockets that a link needs, or both.
#[derive(Default)]
struct Pair {
    data: Option<Arc<Socket>>,
    meta: Option<Arc<Socket>>,
    resolve_conflicts: bool,
}

struct Seeker<'a> {
    resource: &'a Arc<Resource>,
    stop: &'a Stop,
    net: Arc<NetConf>,
    mine: Address,
    peer: Address,
    /// A stranger was told of.
    told: Cell<bool>,
}

impl Seeker<'_> {
    fn interrupted(&self) -> bool {
        self.stop.requested()
            || self.resource.interrupted.load(Ordering::SeqCst)
            || self.resource.view(|v| v.cstate) != Conn::WFConnection
    }

    fn ping_timeout_ms(&self) -> u32 {
        self.net.ping_timeo.saturating_mul(100)
    }

    /// Publishes a socket that we are about to sleep on, so that others can wake us.
    fn publish(&self, socket: &Arc<Socket>) -> Result {
        let mut list = self.resource.connecting.lock();
        vector::push(&mut list, socket.clone(), GFP_KERNEL)?;
        drop(list);
        if self.interrupted() {
            return Err(EINTR);
        }
        Ok(())
    }

    fn withdraw(&self, socket: &Arc<Socket>) {
        let mut list = self.resource.connecting.lock();
        vector::retain(&mut list, |s| !Arc::ptr_eq(s, socket));
    }

    fn listen(&self) -> Result<Arc<Socket>> {
        let socket = Socket::new(self.mine.family())?;
        socket.set_reuse_address();
        socket.set_buffers(self.net.sndbuf_size, self.net.rcvbuf_size);
        socket.bind(&self.mine)?;
        socket.listen(5)?;
        Ok(Arc::new(socket, GFP_KERNEL)?)
    }

    /// Tries once to connect; any failure is only a reason to try again.
    fn connect(&self) -> Option<Arc<Socket>> {
        let socket = Socket::new(self.mine.family()).ok()?;
        socket.set_buffers(self.net.sndbuf_size, self.net.rcvbuf_size);
        let patience = Some(ms_to_jiffies(self.net.connect_int.saturating_mul(1000)));
        socket.set_send_timeout(patience);
        socket.set_receive_timeout(patience);
        socket.bind(&self.mine.with_port(0)).ok()?;
        let socket = Arc::new(socket, GFP_KERNEL).ok()?;
        let connected = self
            .publish(&socket)
            .and_then(|()| socket.connect(&self.peer));
        self.withdraw(&socket);
        connected.ok()?;
        Some(socket)
    }

    /// Waits for the peer to connect, for about `connect-int`.
    fn accept(&self, listener: &Arc<Socket>) -> Option<Socket> {
        let seventh = self.net.connect_int.saturating_mul(1000) / 7;
        let base = self.net.connect_int.saturating_mul(1000);
        let wait = if coin() {
            base.saturating_add(seventh)
        } else {
            base.saturating_sub(seventh)
        };
        listener.set_receive_timeout(Some(ms_to_jiffies(wait)));
        listener.accept().ok()
    }

    /// Both sockets are there and open. A bad one is forgotten.
    fn established(&self, pair: &mut Pair) -> bool {
        for place in [&mut pair.data, &mut pair.meta] {
            if place.as_ref().is_some_and(|s| !is_open(s)) {
                *place = None;
            }
        }
        pair.data.is_some() && pair.meta.is_some()
    }

    /// Whether an accepted socket comes from the host of the peer. Anybody may connect to us; only
    /// its word is asked what it wants.
    fn is_peer(&self, socket: &Socket) -> bool {
        let from = socket.peer_address();
        if from
            .as_ref()
            .is_ok_and(|from| from.is_same_host(&self.peer))
        {
            return true;
        }
        if !self.told.replace(true) {
            log!(
                Level::Warning,
                **self.resource,
                "connection from a host that is not the peer refused"
            );
        }
        false
    }

    /// What an accepted socket says it is for.
    fn purpose(&self, socket: &Socket) -> Result<Which> {
        let patience = self.ping_timeout_ms().saturating_mul(4);
        socket.set_receive_timeout(Some(ms_to_jiffies(patience)));
        let context = Context {
            socket: Which::Data,
            phase: Phase::Opening,
            agreed: Agreed::INITIAL,
            digest_size: 0,
        };
        let mut bytes = [0; 8];
        recv_exact(socket, &mut bytes)?;
        match next_frame(&bytes, &context) {
            Ok(Framing::Packet(frame)) => match Packet::decode(&frame, &context) {
                Ok(Packet::InitialData) => Ok(Which::Data),
                Ok(Packet::InitialMeta) => Ok(Which::Meta),
                _ => Err(EINVAL),
            },
            _ => Err(EINVAL),
        }
    }

    fn seek(&self, listener: &Arc<Socket>) -> Option<Pair> {
        let mut pair = Pair::default();
        while !self.interrupted() {
            if let Some(socket) = self.connect() {
                let first = if pair.data.is_none() {
                    Packet::InitialData
                } else {
                    Packet::InitialMeta
                };
                if send_packet(&socket, &first, &Agreed::INITIAL).is_ok() {
                    if pair.data.is_none() {
                        pair.data = Some(socket);
                    } else if pair.meta.is_none() {
                        pair.meta = Some(socket);
                        pair.resolve_conflicts = false;
                    }
                }
            }
            if pair.data.is_some() && pair.meta.is_some() {
                let check = match self.net.sock_check_timeo {
                    0 => self.ping_timeout_ms(),
                    ds => ds.saturating_mul(100),
                };
                sleep_ms(check);
                if self.established(&mut pair) {
                    return Some(pair);
                }
            }
            self.accept_some(listener, &mut pair);
            if !self.interrupted() && self.established(&mut pair) {
                return Some(pair);
            }
        }
        None
    }

    fn accept_some(&self, listener: &Arc<Socket>, pair: &mut Pair) {
        while !self.interrupted() {
            let Some(socket) = self.accept(listener) else {
                return;
            };
            if !self.is_peer(&socket) {
                continue;
            }
            let purpose = self.purpose(&socket);
            self.established(pair);
            let Ok(socket) = Arc::new(socket, GFP_KERNEL) else {
                return;
            };
            let crossed = match purpose {
                Ok(Which::Data) => {
                    let crossed = pair.data.is_some();
                    pair.data = Some(socket);
                    crossed
                }
                Ok(Which::Meta) => {
                    let crossed = pair.meta.is_some();
                    pair.meta = Some(socket);
                    pair.resolve_conflicts = true;
                    crossed
                }
                Err(_) => {
                    log!(
                        Level::Warning,
                        **self.resource,
                        "Error receiving initial packet"
                    );
                    true
                }
            };
            if !crossed {
                return;
            }
            if coin() {
                continue;
            }
            return;
        }
    }

    /// Versions and features.
    fn features(&self, data: &Socket) -> Result<Agreed, Reaction> {
        let retry = |_| Reaction::Retry;
        let patience = ms_to_jiffies(self.ping_timeout_ms().saturating_mul(4));
        data.set_send_timeout(Some(patience));
        data.set_receive_timeout(Some(patience));
        let own = ConnectionFeatures::OWN;
        send_packet(data, &Packet::ConnectionFeatures(own), &Agreed::INITIAL).map_err(retry)?;
        let context = Context {
            socket: Which::Data,
            phase: Phase::Features,
            agreed: Agreed::INITIAL,
            digest_size: 0,
        };
        let mut bytes = [0; 8 + ConnectionFeatures::SIZE];
        let (head, rest) = bytes.split_at_mut(8);
        recv_exact(data, head).map_err(retry)?;
        let react = |e| context.reaction(&e);
        // A peer that speaks another language is not waited for.
        let _ = next_frame(head, &context).map_err(react)?;
        recv_exact(data, rest).map_err(retry)?;
        let Framing::Packet(frame) = next_frame(&bytes, &context).map_err(react)? else {
            return Err(Reaction::Disconnecting);
        };
        let Packet::ConnectionFeatures(theirs) = Packet::decode(&frame, &context).map_err(react)?
        else {
            return Err(Reaction::Disconnecting);
        };
        own.agree(&theirs)
            .map_err(|_| {
                log!(
                    Level::Error,
                    **self.resource,
                    "incompatible DRBD dialects: I support {}-{}, peer supports {}-{}",
                    own.protocol_min,
                    own.protocol_max,
                    theirs.protocol_min,
                    theirs.protocol_max
                );
                Reaction::Disconnecting
            })
            .inspect(|agreed| self.say(agreed))
    }

    fn say(&self, agreed: &Agreed) {
        log!(
            Level::Info,
            **self.resource,
            "Handshake successful: Agreed network protocol version {}",
            agreed.version.number()
        );
        log!(
            Level::Info,
            **self.resource,
            "Feature flags enabled on protocol level: {}.",
            agreed.features
        );
    }
}

#[inline(never)]
fn establish(resource: &Arc<Resource>, stop: &Stop) -> Attempt {
    let Some((net, addresses)) = resource.view(|v| v.net.clone().zip(v.addresses)) else {
        return Attempt::Interrupted;
    };
    let Addresses { mine, peer } = addresses;
    let (Ok(mine), Ok(peer)) = (
        Address::from_bytes(mine.as_bytes()),
        Address::from_bytes(peer.as_bytes()),
    ) else {
        return Attempt::GaveUp;
    };
    let seeker = Seeker {
        resource,
        stop,
        net,
        mine,
        peer,
        told: Cell::new(false),
    };
    if seeker.interrupted() {
        return Attempt::Interrupted;
    }
    let listener = match seeker.listen() {
        Ok(listener) => listener,
        Err(e) => {
            log!(
                Level::Error,
                **resource,
                "bind before listen failed, err = {}",
                e.to_errno()
            );
            return Attempt::GaveUp;
        }
    };
    let pair = match seeker.publish(&listener) {
        Ok(()) => seeker.seek(&listener),
        Err(_) => None,
    };
    seeker.withdraw(&listener);
    drop(listener);
    let Some(Pair {
        data: Some(data),
        meta: Some(meta),
        resolve_conflicts,
    }) = pair
    else {
        return Attempt::Interrupted;
    };
    // Who interrupts us from now on finds these.
    let published = seeker.publish(&data).and_then(|()| seeker.publish(&meta));
    let agreed = match published {
        Ok(()) => seeker
            .features(&data)
            .and_then(|agreed| crate::auth::authenticate(resource, &data, agreed)),
        Err(_) => Err(Reaction::CloseSocket),
    };
    let link = agreed.map(|_| finish(&seeker, &data, &meta));
    seeker.withdraw(&data);
    seeker.withdraw(&meta);
    match link {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(Reaction::CloseSocket) => return Attempt::Interrupted,
        Err(Reaction::Disconnecting) => return Attempt::GaveUp,
        Err(_) => {
            sleep_ms(1000);
            return Attempt::Interrupted;
        }
    }
    let agreed = match agreed {
        Ok(agreed) => agreed,
        Err(_) => return Attempt::Interrupted,
    };
    match Link::new(data, meta, agreed) {
        Ok(link) => Attempt::Link(link, resolve_conflicts),
        Err(_) => Attempt::Interrupted,
    }
}

/// The options of the sockets of an established link.
fn finish(seeker: &Seeker<'_>, data: &Socket, meta: &Socket) -> Result {
    let timeout = ms_to_jiffies(seeker.net.timeout.saturating_mul(100));
    for (socket, priority) in [(data, 4), (meta, 6)] {
        socket.set_reuse_address();
        socket.set_no_delay();
        socket.set_priority(priority);
        socket.set_send_timeout(Some(timeout));
        socket.set_receive_timeout(None);
    }
    Ok(())
}

/// A link lives: until somebody finds it broken.
#[inline(never)]
fn live(resource: &Arc<Resource>, link: Arc<Link>, resolve_conflicts: bool) {
    resource.set_link(Some(link.clone()));
    if resource.interrupted.load(Ordering::SeqCst) {
        link.shutdown();
    }
    let mut threads = Threads::none(resource, &link);
    match threads.spawn() {
        Ok(()) => {
            for device in resource.devices().iter() {
                device.look_for_room();
            }
            resource.feed(Event::LinkUp {
                agreed: link.agreed,
                resolve_conflicts,
            });
            crate::receiver::run(resource, &link);
        }
        Err(_) => log!(Level::Error, **resource, "no memory for threads"),
    }
    resource.feed(Event::LinkBroken(Conn::NetworkFailure));
    // All three have ended then.
    drop(threads);
    link.stop_telling();
    crate::peer_io::wait_until_quiet(resource, &link);
    resource.set_link(None);
    // Since the link was found broken nothing is queued for it.
    crate::perform::forget_link(resource);
}

/// The other threads of a link. Dropping them takes the link down: they sleep as long as it is up.
struct Threads<'a> {
    resource: &'a Arc<Resource>,
    link: &'a Arc<Link>,
    sender: Option<Thread>,
    acks: Option<Thread>,
    answers: Option<Thread>,
}

impl Drop for Threads<'_> {
    fn drop(&mut self) {
        self.link.shutdown();
        self.resource.sender.wake_all();
        if self.answers.is_none() {
            // The ack sender would have done it.
            self.link.meta.shutdown();
        }
    }
}

impl<'a> Threads<'a> {
    fn none(resource: &'a Arc<Resource>, link: &'a Arc<Link>) -> Self {
        Self {
            resource,
            link,
            sender: None,
            acks: None,
            answers: None,
        }
    }

    fn spawn(&mut self) -> Result {
        let name = self.resource.name();
        let (r, l) = (self.resource.clone(), self.link.clone());
        self.sender = Some(Thread::spawn(fmt!("drbd_s_{name}"), move |_| {
            let _member = r.crew.join();
            crate::sender::run(&r, &l)
        })?);
        let (r, l) = (self.resource.clone(), self.link.clone());
        self.acks = Some(Thread::spawn(fmt!("drbd_a_{name}"), move |_| {
            let _member = r.crew.join();
            crate::acks::run(&r, &l)
        })?);
        let (r, l) = (self.resource.clone(), self.link.clone());
        self.answers = Some(Thread::spawn(fmt!("drbd_as_{name}"), move |_| {
            let _member = r.crew.join();
            crate::answers::run(&r, &l)
        })?);
        Ok(())
    }
}

fn coin() -> bool {
    random::random_u64() & 1 == 0
}

/// The socket is open: something can be read, or nothing yet.
fn is_open(socket: &Socket) -> bool {
    let mut byte = [0; 4];
    let how = RecvOpts {
        dont_wait: true,
        peek: true,
        ..RecvOpts::default()
    };
    match socket.recv(&mut byte, how) {
        Ok(n) => n > 0,
        Err(e) => e == EAGAIN,
    }
}

/// Reads exactly as many bytes as `bytes` has.
pub(crate) fn recv_exact(socket: &Socket, bytes: &mut [u8]) -> Result {
    let how = RecvOpts {
        wait_all: true,
        ..RecvOpts::default()
    };
    match socket.recv(bytes, how)? {
        n if n == bytes.len() => Ok(()),
        0 => Err(ECONNRESET),
        _ => Err(ETIMEDOUT),
    }
}

/// Sends all of `bytes`.
pub(crate) fn send_all(socket: &Socket, mut bytes: &[u8], more: bool) -> Result {
    while !bytes.is_empty() {
        let sent = socket.send(
            bytes,
            SendOpts {
                more,
                ..SendOpts::default()
            },
        )?;
        bytes = bytes.get(sent..).ok_or(EINVAL)?;
    }
    Ok(())
}

/// Sends a packet without bulk data, about the connection.
pub(crate) fn send_packet(socket: &Socket, packet: &Packet<'_>, agreed: &Agreed) -> Result {
    let mut bytes = [0; 128];
    let size = packet.emit(0, agreed, 0, &mut bytes).map_err(|_| EINVAL)?;
    send_all(socket, bytes.get(..size).ok_or(EINVAL)?, false)
}
