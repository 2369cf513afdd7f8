// SPDX-License-Identifier: GPL-2.0
//! The netlink socket: finds the family, sends requests, splits what arrives into messages.

use super::error::ClientError;
use drbd_core::genl::attr::Attrs;
use drbd_core::genl::{self, Header, Op, TopLevel};
use netlink_packet_core::{Emitable, NetlinkBuffer, NetlinkHeader};
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const NETLINK_GENERIC: isize = 16;
const NLM_F_REQUEST: u16 = 1;
/// Root and match together: every object.
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NETLINK_HEADER: usize = 16;
const BUFFER_BYTES: i32 = 1 << 20;

/// The controller that knows all families; also the number of its multicast group.
const CONTROLLER: u16 = 16;
const CONTROLLER_VERSION: u8 = 2;
const CTRL_CMD_DELFAMILY: u8 = 2;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_CMD_DELMCAST_GRP: u8 = 8;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_VERSION: u16 = 3;
const CTRL_ATTR_HDRSIZE: u16 = 4;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;

/// How long the controller may take.
const CONTROLLER_TIMEOUT: Duration = Duration::from_secs(120);

/// One message of the DRBD family.
#[derive(Clone, Debug)]
pub struct Message {
    /// The operation; none if its number is not known.
    pub op: Option<Op>,
    /// Sequence number: the request's, or a counter of events.
    pub seq: u32,
    /// DRBD's header.
    pub header: Header,
    attrs: Vec<u8>,
}

impl Message {
    /// A message that no kernel sent.
    #[cfg(test)]
    pub(super) fn for_test(op: Op, seq: u32, header: Header, attrs: &[u8]) -> Self {
        Self {
            op: Some(op),
            seq,
            header,
            attrs: attrs.to_vec(),
        }
    }

    /// The nested sets.
    ///
    /// # Errors
    ///
    /// [`ClientError::Malformed`].
    pub fn top(&self) -> Result<TopLevel<'_>, ClientError> {
        Ok(TopLevel::parse(&self.attrs, None)?)
    }

    /// The texts of a reply, in their order.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let Some(reply) = self
            .top()
            .ok()
            .and_then(|top| top.payload(genl::context::CFG_REPLY))
        else {
            return Vec::new();
        };
        Attrs::new(reply)
            .filter_map(Result::ok)
            .filter(|attr| attr.number() == genl::context::INFO_TEXT)
            .map(|attr| string_of(attr.payload()))
            .collect()
    }
}

/// Something that arrived.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A message of our family.
    Message(Message),
    /// End of a dump: 0 or a negative errno.
    Done(u32, i32),
    /// The request was refused by netlink itself.
    Error(u32, i32),
    /// The family goes away: the module is being unloaded.
    FamilyGone,
}

#[derive(Debug, Default)]
struct Family {
    id: u16,
    version: u32,
    header_len: u32,
    events: Option<u32>,
}

/// A socket that speaks to the DRBD family.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    family: Family,
    seq: u32,
    queue: VecDeque<Incoming>,
}

impl Netlink {
    /// Opens a socket and asks the controller for the family.
    ///
    /// # Errors
    ///
    /// [`ClientError::Socket`], [`ClientError::NoFamily`], [`ClientError::ApiMismatch`].
    pub fn open() -> Result<Self, ClientError> {
        let mut socket = Socket::new(NETLINK_GENERIC).map_err(ClientError::Socket)?;
        socket
            .set_rx_buf_sz(BUFFER_BYTES)
            .map_err(ClientError::Socket)?;
        socket.bind_auto().map_err(ClientError::Socket)?;
        let seq = std::process::id();
        let mut new = Self {
            socket,
            family: Family::default(),
            seq,
            queue: VecDeque::new(),
        };
        new.family = new.resolve()?;
        let expected = u32::try_from(genl::HEADER_LEN).unwrap_or(u32::MAX);
        let is_ours = new.family.version == u32::from(genl::FAMILY_VERSION)
            && new.family.header_len == expected;
        if !is_ours {
            return Err(ClientError::ApiMismatch {
                version: new.family.version,
                header_len: new.family.header_len,
            });
        }
        Ok(new)
    }

    /// Joins the group of DRBD's events, and the controller's to learn of the module's end.
    ///
    /// # Errors
    ///
    /// [`ClientError::Socket`], [`ClientError::NoFamily`] if the group does not exist.
    pub fn subscribe(&self) -> Result<(), ClientError> {
        let group = self.family.events.ok_or(ClientError::NoFamily)?;
        for group in [u32::from(CONTROLLER), group] {
            self.socket
                .add_membership(group)
                .map_err(ClientError::Socket)?;
        }
        Ok(())
    }

    /// Sends a request and returns its sequence number.
    ///
    /// # Errors
    ///
    /// [`ClientError::Socket`].
    pub fn send(
        &mut self,
        op: Op,
        is_dump: bool,
        header: Header,
        body: &[u8],
    ) -> Result<u32, ClientError> {
        let mut payload = Vec::with_capacity(genl::HEADER_LEN + body.len());
        payload.extend_from_slice(&header.to_bytes());
        payload.extend_from_slice(body);
        let flags = if is_dump {
            NLM_F_REQUEST | NLM_F_DUMP
        } else {
            NLM_F_REQUEST
        };
        let version = genl::FAMILY_VERSION;
        self.send_raw(self.family.id, flags, op.number(), version, &payload)
    }

    /// Waits for the next message; `None` when `deadline` has passed.
    ///
    /// # Errors
    ///
    /// [`ClientError::Socket`], [`ClientError::Malformed`].
    pub fn receive(&mut self, deadline: Option<Instant>) -> Result<Option<Incoming>, ClientError> {
        loop {
            if let Some(incoming) = self.queue.pop_front() {
                return Ok(Some(incoming));
            }
            let Some(datagram) = self.receive_raw(deadline)? else {
                return Ok(None);
            };
            self.split(&datagram)?;
        }
    }

    fn resolve(&mut self) -> Result<Family, ClientError> {
        let mut name = genl::FAMILY.as_bytes().to_vec();
        name.push(0);
        let mut buffer = [0; 64];
        let style = genl::Style::Kernel;
        let mut writer = genl::Writer::new(&mut buffer, style, genl::Audience::Privileged);
        writer.put_raw(CTRL_ATTR_FAMILY_NAME, &name)?;
        let request = writer.written().to_vec();
        let seq = self.send_raw(
            CONTROLLER,
            NLM_F_REQUEST,
            CTRL_CMD_GETFAMILY,
            CONTROLLER_VERSION,
            &request,
        )?;
        let deadline = Some(Instant::now() + CONTROLLER_TIMEOUT);
        while let Some(datagram) = self.receive_raw(deadline)? {
            let frame = NetlinkBuffer::new_checked(&datagram).map_err(ClientError::framing)?;
            if frame.sequence_number() != seq {
                continue;
            }
            return match frame.message_type() {
                CONTROLLER => parse_family(frame.payload().get(4..).unwrap_or_default()),
                _ => Err(ClientError::NoFamily),
            };
        }
        Err(ClientError::Timeout)
    }

    fn send_raw(
        &mut self,
        kind: u16,
        flags: u16,
        command: u8,
        version: u8,
        payload: &[u8],
    ) -> Result<u32, ClientError> {
        self.seq = self.seq.wrapping_add(1);
        let len = NETLINK_HEADER + 4 + payload.len();
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(len).unwrap_or(u32::MAX);
        header.message_type = kind;
        header.flags = flags;
        header.sequence_number = self.seq;
        let mut datagram = vec![0; NETLINK_HEADER];
        header.emit(&mut datagram);
        datagram.extend_from_slice(&[command, version, 0, 0]);
        datagram.extend_from_slice(payload);
        let kernel = SocketAddr::new(0, 0);
        self.socket
            .send_to(&datagram, &kernel, 0)
            .map_err(ClientError::Socket)?;
        Ok(self.seq)
    }

    fn receive_raw(&self, deadline: Option<Instant>) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                // Rounded up, so that a wait does not end before its time.
                let left = left + Duration::from_micros(999);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(ClientError::Socket(errno.into())),
            }
            match self.socket.recv_from_full() {
                Ok((datagram, from)) if from.port_number() == 0 => return Ok(Some(datagram)),
                // Only the kernel may speak.
                Ok(_) => {}
                // Events were lost; the next one's number tells it.
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
                Err(error) => return Err(ClientError::Socket(error)),
            }
        }
    }

    fn split(&mut self, mut datagram: &[u8]) -> Result<(), ClientError> {
        while !datagram.is_empty() {
            let frame = NetlinkBuffer::new_checked(datagram).map_err(ClientError::framing)?;
            let payload = frame.payload();
            let seq = frame.sequence_number();
            match frame.message_type() {
                NLMSG_NOOP => {}
                NLMSG_ERROR => self
                    .queue
                    .push_back(Incoming::Error(seq, first_i32(payload))),
                NLMSG_DONE => self
                    .queue
                    .push_back(Incoming::Done(seq, first_i32(payload))),
                CONTROLLER => self.take_controller(payload),
                kind if kind == self.family.id => self.take_message(seq, payload)?,
                _ => {}
            }
            let len = usize::try_from(frame.length()).unwrap_or(usize::MAX);
            datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }

    fn take_message(&mut self, seq: u32, payload: &[u8]) -> Result<(), ClientError> {
        let (number, rest) = payload.split_first().ok_or(ClientError::truncated())?;
        let rest = rest.get(3..).ok_or(ClientError::truncated())?;
        let (header, attrs) = Header::parse(rest)?;
        let op = Op::from_number(*number);
        let message = Message {
            op,
            seq,
            header,
            attrs: attrs.to_vec(),
        };
        self.queue.push_back(Incoming::Message(message));
        Ok(())
    }

    fn take_controller(&mut self, payload: &[u8]) {
        let is_end = matches!(
            payload.first(),
            Some(&(CTRL_CMD_DELFAMILY | CTRL_CMD_DELMCAST_GRP))
        );
        let family = parse_family(payload.get(4..).unwrap_or_default());
        if is_end && family.is_ok_and(|family| family.id == self.family.id) {
            self.queue.push_back(Incoming::FamilyGone);
        }
    }
}

fn first_i32(payload: &[u8]) -> i32 {
    payload
        .first_chunk::<4>()
        .map_or(0, |raw| i32::from_ne_bytes(*raw))
}

fn string_of(payload: &[u8]) -> String {
    let text = payload.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn number_of(payload: &[u8]) -> u32 {
    payload
        .first_chunk::<4>()
        .map_or(0, |raw| u32::from_ne_bytes(*raw))
}

fn parse_family(attrs: &[u8]) -> Result<Family, ClientError> {
    let mut family = Family::default();
    for attr in Attrs::new(attrs) {
        let attr = attr?;
        let payload = attr.payload();
        match attr.number() {
            CTRL_ATTR_FAMILY_ID => {
                let raw = payload.first_chunk::<2>().ok_or(ClientError::truncated())?;
                family.id = u16::from_ne_bytes(*raw);
            }
            CTRL_ATTR_VERSION => family.version = number_of(payload),
            CTRL_ATTR_HDRSIZE => family.header_len = number_of(payload),
            CTRL_ATTR_MCAST_GROUPS => family.events = events_group(payload)?,
            _ => {}
        }
    }
    Ok(family)
}

fn events_group(groups: &[u8]) -> Result<Option<u32>, ClientError> {
    for group in Attrs::new(groups) {
        let (mut name, mut id) = (String::new(), None);
        for attr in Attrs::new(group?.payload()) {
            let attr = attr?;
            match attr.number() {
                CTRL_ATTR_MCAST_GRP_NAME => name = string_of(attr.payload()),
                CTRL_ATTR_MCAST_GRP_ID => id = Some(number_of(attr.payload())),
                _ => {}
            }
        }
        if name == genl::GROUP_EVENTS {
            return Ok(id);
        }
    }
    Ok(None)
}
