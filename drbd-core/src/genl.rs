// SPDX-License-Identifier: GPL-2.0
//! Generic-netlink numbers, attribute tables, and the encoding of messages in byte slices.
//!
//! One description serves both ends: the kernel module parses requests and writes replies, dumps
//! and events with it; the user tools do the reverse. A message is
//!
//! ```text
//! nlmsghdr (16) | genlmsghdr (4) | Header (8) | top-level attributes: nested sets 1..=24
//! ```
//!
//! The first two belong to netlink and are not handled here.
//!
//! * [`Op`] numbers the operations and says what each needs and carries.
//! * [`TopLevel`] splits the bytes behind the [`Header`] into the nested sets.
//! * Every set is a struct that implements [`Nest`]: requests in [`request`], naming in
//!   [`context`], what the kernel tells in [`info`] and [`status`], settings in [`crate::config`].
//! * [`Writer`] puts sets into a lent buffer.
//! * [`RetCode`] and [`ErrCode`] are the numbers and texts of replies.
//!
//! # Hostile input
//!
//! Nothing here panics on any input. A parse either gives typed values or an [`AttrError`]; lengths
//! are checked against the table before a value is read, and no input makes the work more than
//! linear in its length. Source of all numbers: docs/interface.md.

pub mod attr;
pub mod code;
pub mod context;
pub mod info;
pub mod nest;
pub(crate) mod nest_macro;
pub mod op;
pub mod request;
pub mod status;
pub mod value;
pub mod write;

#[cfg(test)]
mod tests;

pub use attr::{Attr, AttrError, Attrs, TopLevel};
pub use code::{ErrCode, RetCode};
pub use context::Context;
pub use nest::{Field, Flags, Given, Kind, Nest, Set};
pub use op::{Needs, Op, OpKind};
pub use request::ResizeParms;
pub use value::{Address, History, Text, Uuids, Value};
pub use write::{Audience, Mark, Overflow, Style, Writer};

/// Name of the generic-netlink family.
pub const FAMILY: &str = "drbd";
/// Version of the family; older tools refuse to work with any other.
pub const FAMILY_VERSION: u8 = 1;
/// Size in bytes of [`Header`], told to the controller as `hdrsize`.
pub const HEADER_LEN: usize = 8;
/// Name of the only multicast group.
pub const GROUP_EVENTS: &str = "events";
/// Highest number of a top-level attribute.
pub const TOP_LEVEL_MAX: u16 = 24;
/// `minor` in a header when the message is about a resource or a connection.
pub const NO_MINOR: u32 = u32::MAX;
/// Request flag: settings that are not named go back to their defaults.
pub const SET_DEFAULTS: u32 = 1;
/// Highest minor number, inclusive.
pub const MINOR_MAX: u32 = 1_048_575;
/// Highest volume number that the kernel accepts, inclusive.
pub const VOLUME_MAX: u32 = 65_534;
/// `NLM_F_EXCL` of the netlink header: refuse to create what exists already.
pub const NLM_F_EXCL: u16 = 0x200;

/// DRBD's header in front of the attributes, in host byte order (`drbd_genlmsghdr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The minor that the message is about, or [`NO_MINOR`].
    pub minor: u32,
    /// Request: flags ([`SET_DEFAULTS`]). Reply and event: the return code, see [`RetCode`].
    word: u32,
}

impl Header {
    /// A request about `minor` with these `flags`.
    #[must_use]
    pub const fn request(minor: u32, flags: u32) -> Self {
        Self { minor, word: flags }
    }

    /// A reply, dump entry or event about `minor` with this return code.
    #[must_use]
    pub const fn reply(minor: u32, code: RetCode) -> Self {
        Self {
            minor,
            word: u32::from_ne_bytes(code.0.to_ne_bytes()),
        }
    }

    /// Splits a header off the bytes that follow the generic-netlink header.
    ///
    /// # Errors
    ///
    /// [`AttrError::Truncated`] if there are fewer than 8 bytes.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), AttrError> {
        let (minor, rest) = bytes.split_first_chunk::<4>().ok_or(AttrError::Truncated)?;
        let (word, rest) = rest.split_first_chunk::<4>().ok_or(AttrError::Truncated)?;
        let header = Self {
            minor: u32::from_ne_bytes(*minor),
            word: u32::from_ne_bytes(*word),
        };
        Ok((header, rest))
    }

    /// The eight bytes of the header.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.minor.to_ne_bytes();
        let [e, f, g, h] = self.word.to_ne_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// The flags of a request; unknown bits are ignored as the C driver ignores them.
    #[must_use]
    pub const fn sets_defaults(self) -> bool {
        self.word & SET_DEFAULTS != 0
    }

    /// The return code of a reply.
    #[must_use]
    pub const fn ret_code(self) -> RetCode {
        RetCode(i32::from_ne_bytes(self.word.to_ne_bytes()))
    }

    /// The minor, unless the message is about a resource or connection.
    #[must_use]
    pub const fn minor(self) -> Option<u32> {
        if self.minor == NO_MINOR {
            None
        } else {
            Some(self.minor)
        }
    }
}
