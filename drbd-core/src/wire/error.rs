// SPDX-License-Identifier: GPL-2.0
//! What can be wrong with a packet.

use core::fmt;

use super::command::Command;

/// Why bytes from the peer, or a packet to be sent, were refused.
///
/// What the connection does about it depends on the socket and the phase:
/// [`super::check::Context::reaction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The header does not begin with a magic number that the agreed version allows.
    BadMagic(u32),
    /// The pad of a 16-byte header is not zero.
    BadHeaderPad(u32),
    /// No packet has this number, or none that DRBD 8.4 handles.
    UnknownCommand(u16),
    /// The packet exists, but not on this socket.
    WrongSocket(Command),
    /// The packet exists, but not in this phase of the connection.
    WrongPhase(Command),
    /// The agreed version or features exclude this packet.
    NotAgreed(Command),
    /// The length in the header is impossible for this packet.
    BadLength {
        /// The packet.
        command: Command,
        /// Bytes behind the header, as the header says.
        length: u32,
    },
    /// The packet's length does not fit in the header that the agreed version asks for.
    LengthTooBig(u32),
    /// Fewer bytes were handed in than the format has.
    Truncated,
    /// The buffer to write to is too small.
    NoRoom,
    /// A size in bytes is zero, no multiple of 512, or beyond the limit for this packet.
    BadSize(u32),
    /// A start sector and a size that overflow, whatever the device's size.
    BadSector(u64),
    /// The flags of a write contradict its command.
    BadFlags(u32),
    /// A number that must name something names nothing.
    BadValue {
        /// Which kind of number.
        what: &'static str,
        /// The number.
        value: u32,
    },
    /// A setting that both nodes must share has a value that we do not have at all.
    BadSetting {
        /// Which setting.
        what: &'static str,
        /// The number.
        value: u32,
    },
    /// An algorithm's name is not terminated, too long, or has bytes that no such name has.
    BadName,
    /// The encoding byte of a compressed bitmap is not the one in use.
    BadEncoding(u8),
    /// A bitmap packet, its runs or its words go beyond the end of the bitmap.
    BitmapOverflow,
    /// The run lengths of a compressed bitmap end within a code word.
    TruncatedCode,
    /// The version ranges of both nodes have nothing in common.
    NoCommonVersion,
    /// The peer sent our own challenge back.
    Reflection,
    /// The peer's answer to our challenge is wrong: it does not know the secret.
    BadResponse,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            WireError::BadMagic(m) => write!(f, "bad magic number 0x{m:08x}"),
            WireError::BadHeaderPad(p) => write!(f, "pad of the header is 0x{p:08x}, not zero"),
            WireError::UnknownCommand(c) => write!(f, "unknown packet type 0x{c:04x}"),
            WireError::WrongSocket(c) => write!(f, "{c} came on the wrong socket"),
            WireError::WrongPhase(c) => write!(f, "{c} is not expected here"),
            WireError::NotAgreed(c) => write!(f, "{c} was not agreed on"),
            WireError::BadLength { command, length } => {
                write!(f, "{command} has the impossible length {length}")
            }
            WireError::LengthTooBig(l) => write!(f, "{l} bytes do not fit in one packet"),
            WireError::Truncated => f.write_str("packet is shorter than its format"),
            WireError::NoRoom => f.write_str("no room for the packet in the buffer"),
            WireError::BadSize(s) => write!(f, "size of {s} bytes is not possible"),
            WireError::BadSector(s) => write!(f, "sector {s} is not possible"),
            WireError::BadFlags(b) => write!(f, "write flags 0x{b:x} contradict the packet"),
            WireError::BadValue { what, value } => write!(f, "{value} is not a {what}"),
            WireError::BadSetting { what, value } => {
                write!(f, "peer has {what} set to {value}, which is unknown here")
            }
            WireError::BadName => f.write_str("malformed name of an algorithm"),
            WireError::BadEncoding(e) => write!(f, "unknown bitmap encoding 0x{e:02x}"),
            WireError::BitmapOverflow => f.write_str("bitmap packet goes beyond the bitmap"),
            WireError::TruncatedCode => f.write_str("compressed bitmap ends within a code word"),
            WireError::NoCommonVersion => f.write_str("no protocol version in common"),
            WireError::Reflection => f.write_str("peer sent our own challenge back"),
            WireError::BadResponse => f.write_str("peer's answer to our challenge is wrong"),
        }
    }
}

impl core::error::Error for WireError {}

impl From<crate::state::BadValue> for WireError {
    fn from(e: crate::state::BadValue) -> Self {
        WireError::BadValue {
            what: e.what,
            value: e.value,
        }
    }
}
