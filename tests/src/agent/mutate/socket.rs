// SPDX-License-Identifier: GPL-2.0
//! The netlink socket: sends a message, and takes all that is answered.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use drbd_core::genl::attr::Attrs;
use drbd_core::genl::{Context, Header, Nest, Op, TopLevel};
use nix::sys::socket::{
    bind, recv, sendto, setsockopt, socket, sockopt, AddressFamily, MsgFlags, NetlinkAddr,
    SockFlag, SockProtocol, SockType,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::message::Message;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// Root and match together: every object.
pub(super) const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Header of netlink, and that of generic netlink behind it.
const HEADERS: usize = 16 + 4;
/// The controller, which knows the families by name.
const CONTROLLER: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// Longer than any operation takes.
const PATIENCE_SECONDS: i64 = 60;
/// Some dumps of the C driver go on for ever.
const DUMP_MAX: u32 = 64;

/// What a message was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// DRBD's code.
    Code(i32),
    /// Netlink's error, as a positive number.
    Errno(i32),
    /// A list that came to its end.
    Listed,
}

impl Answer {
    /// Whether what was asked for was done.
    pub(super) fn agrees(self) -> bool {
        match self {
            Self::Code(code) => (1..=4).contains(&code) || code == 101,
            Self::Errno(_) => false,
            Self::Listed => true,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Errno(errno) => write!(f, "errno {errno}"),
            Self::Listed => f.write_str("list"),
        }
    }
}

/// An open socket.
pub(super) struct Socket {
    fd: OwnedFd,
    family: u16,
    seq: u32,
}

/// What one message of an answer is.
enum Part {
    Reply(i32),
    Error(i32),
    Done(i32),
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let mut new = Self {
            fd: open()?,
            family: CONTROLLER,
            seq: 0,
        };
        new.family = new.find_family()?;
        Ok(new)
    }

    fn find_family(&mut self) -> io::Result<u16> {
        let mut name = vec![9, 0];
        name.extend(CTRL_ATTR_FAMILY_NAME.to_ne_bytes());
        name.extend(b"drbd\0\0\0\0");
        self.send(CTRL_CMD_GETFAMILY, NLM_F_REQUEST, &name)?;
        let reply = self.receive()?;
        Attrs::new(reply.get(HEADERS..).unwrap_or_default())
            .flatten()
            .find(|attr| attr.number() == CTRL_ATTR_FAMILY_ID)
            .and_then(|attr| Some(u16::from_ne_bytes(*attr.payload().first_chunk()?)))
            .ok_or_else(|| io::Error::other("no family `drbd`"))
    }

    fn send(&mut self, command: u8, flags: u16, body: &[u8]) -> io::Result<()> {
        self.seq += 1;
        let len = u32::try_from(HEADERS + body.len()).map_err(io::Error::other)?;
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(self.family.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(self.seq.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend([command, 1, 0, 0]);
        bytes.extend(body);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.fd.as_raw_fd(), &bytes, &kernel, MsgFlags::empty())?;
        Ok(())
    }

    /// One datagram.
    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let len = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Sends a message, and waits for the end of its answer.
    pub(super) fn ask(&mut self, message: &Message) -> io::Result<Answer> {
        let flags = NLM_F_REQUEST | NLM_F_ACK | message.flags;
        self.send(message.command, flags, &message.body)?;
        let mut code = None;
        let mut parts = 0;
        loop {
            let datagram = self.receive().map_err(|error| {
                io::Error::other(format!("no answer ({error}) to {message:x?}"))
            })?;
            for part in self.parts(&datagram) {
                match (part, code) {
                    (Part::Error(0), Some(code)) => return Ok(Answer::Code(code)),
                    (Part::Error(0) | Part::Done(0), _) => return Ok(Answer::Listed),
                    (Part::Error(errno) | Part::Done(errno), _) => {
                        return Ok(Answer::Errno(-errno))
                    }
                    (Part::Reply(new), _) => code = Some(new),
                }
                parts += 1;
            }
            if parts > DUMP_MAX {
                // Nobody waits for the end of it.
                self.fd = open()?;
                return Ok(Answer::Listed);
            }
        }
    }

    /// The messages of a datagram that answer the last one sent.
    fn parts(&self, mut datagram: &[u8]) -> Vec<Part> {
        let mut found = Vec::new();
        while let Some((kind, seq, body)) = split(&mut datagram) {
            if seq != self.seq {
                continue;
            }
            let number = |at: usize| {
                let bytes = body.get(at..).and_then(<[u8]>::first_chunk);
                bytes.map_or(0, |bytes| i32::from_ne_bytes(*bytes))
            };
            found.push(match kind {
                NLMSG_ERROR => Part::Error(number(0)),
                NLMSG_DONE => Part::Done(number(0)),
                _ => Part::Reply(number(4 + 4)),
            });
        }
        found
    }

    /// The names of all resources.
    pub(super) fn resources(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let body = Header::request(drbd_core::genl::NO_MINOR, 0).to_bytes();
        let op = Op::GetResources.number();
        self.send(op, NLM_F_REQUEST | NLM_F_DUMP, &body)?;
        let mut names = Vec::new();
        loop {
            let datagram = self.receive()?;
            let mut rest = datagram.as_slice();
            while let Some((kind, _, body)) = split(&mut rest) {
                if matches!(kind, NLMSG_DONE | NLMSG_ERROR) {
                    return Ok(names);
                }
                names.extend(name(body));
            }
        }
    }
}

/// The name in a message's context.
fn name(body: &[u8]) -> Option<Vec<u8>> {
    let attributes = body.get(4 + drbd_core::genl::HEADER_LEN..)?;
    let sets = TopLevel::parse(attributes, None).ok()?;
    let context = Context::read(sets.set(&Context::SET)?).ok()?;
    Some(context.resource_name?.as_bytes().to_vec())
}

fn open() -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    let patience = TimeVal::seconds(PATIENCE_SECONDS);
    setsockopt(&fd, sockopt::ReceiveTimeout, &patience)?;
    Ok(fd)
}

/// Takes a message off the front: its type, its number, what is behind the header.
fn split<'a>(datagram: &mut &'a [u8]) -> Option<(u16, u32, &'a [u8])> {
    let whole = *datagram;
    let len = u32::from_ne_bytes(*whole.first_chunk()?);
    let kind = u16::from_ne_bytes(*whole.get(4..)?.first_chunk()?);
    let seq = u32::from_ne_bytes(*whole.get(8..)?.first_chunk()?);
    let len = usize::try_from(len).ok()?;
    let body = whole.get(16..len)?;
    *datagram = whole.get(len.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, seq, body))
}
