// SPDX-License-Identifier: GPL-2.0
//! Reading netlink attributes from untrusted bytes.
//!
//! An attribute is `u16 length` (with the 4-byte header, without padding), `u16 type`, payload,
//! padding to 4 bytes. Two bits of the type are flags: [`NLA_F_NESTED`], which some senders set
//! and others do not, and [`GENLA_F_MANDATORY`]. Both are masked off here; nests are accepted with
//! and without the first.

use super::{nest::Set, TOP_LEVEL_MAX};
use core::fmt;

/// The payload holds attributes (netlink's own flag).
pub const NLA_F_NESTED: u16 = 0x8000;
/// DRBD's flag on attributes inside its sets: a receiver that does not know the number must refuse
/// (`DRBD_GENLA_F_MANDATORY`).
pub const GENLA_F_MANDATORY: u16 = 0x4000;
/// The number of an attribute without the flags.
pub const NLA_TYPE_MASK: u16 = 0x3fff;

/// Length of an attribute's header in bytes.
pub(super) const ATTR_HEADER: usize = 4;
/// Attributes begin at multiples of this.
const ATTR_ALIGN: usize = 4;

/// The length with padding.
pub(super) const fn padded(len: usize) -> usize {
    // `next_multiple_of` would leave a check for overflow in the module.
    len.saturating_add(ATTR_ALIGN - 1) & !(ATTR_ALIGN - 1)
}

/// Why attributes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrError {
    /// An attribute, or the header of the message, ends behind the end of the bytes.
    Truncated,
    /// The payload has not the length its type demands, or a string is not terminated.
    Length(u16),
    /// A string or blob is longer than its field.
    TooLong(u16),
    /// This number is not known, or not allowed here.
    Unknown(u16),
    /// Not known, and the sender insists ([`GENLA_F_MANDATORY`]).
    UnknownMandatory(u16),
    /// The number is known and the value has no meaning.
    Value(u16),
    /// A required attribute is not there.
    Missing(u16),
    /// A change request names a setting that is fixed at creation.
    Invariant(u16),
}

impl AttrError {
    /// Whether the request is malformed, as opposed to wrong. A malformed one is answered by a
    /// netlink error `-EINVAL`; a wrong one by [`ErrCode::MandatoryTag`](super::ErrCode) and
    /// [`Self::text`].
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::Truncated | Self::Length(_) | Self::TooLong(_) | Self::Unknown(_)
        )
    }

    /// The text for `info_text` of the reply (see docs/interface.md).
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Truncated | Self::Length(_) | Self::TooLong(_) | Self::Value(_) => {
                "invalid attribute value"
            }
            Self::Unknown(_) | Self::UnknownMandatory(_) => "unknown mandatory attribute",
            Self::Missing(_) => "required attribute missing",
            Self::Invariant(_) => "can not change invariant setting",
        }
    }

    /// The number of the attribute, if the error is about one.
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        match self {
            Self::Truncated => None,
            Self::Length(n)
            | Self::TooLong(n)
            | Self::Unknown(n)
            | Self::UnknownMandatory(n)
            | Self::Value(n)
            | Self::Missing(n)
            | Self::Invariant(n) => Some(n),
        }
    }
}

impl fmt::Display for AttrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{} (attribute {number})", self.text()),
            None => f.write_str("truncated attributes"),
        }
    }
}

impl core::error::Error for AttrError {}

/// One attribute: number, flags, payload.
#[derive(Clone, Copy, Debug)]
pub struct Attr<'a> {
    raw_type: u16,
    payload: &'a [u8],
}

impl<'a> Attr<'a> {
    /// The number without flags.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.raw_type & NLA_TYPE_MASK
    }

    /// Whether the sender wants the message refused if the number is not known.
    #[must_use]
    pub const fn is_mandatory(&self) -> bool {
        self.raw_type & GENLA_F_MANDATORY != 0
    }

    /// The bytes between header and padding.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The error for an attribute that the receiver does not know.
    #[must_use]
    pub const fn unknown(&self) -> AttrError {
        if self.is_mandatory() {
            AttrError::UnknownMandatory(self.number())
        } else {
            AttrError::Unknown(self.number())
        }
    }
}

/// Iterator over the attributes in a slice. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// Walks over `bytes`, which begin with an attribute.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self) -> Result<Attr<'a>, AttrError> {
        let (len, body) = self
            .rest
            .split_first_chunk::<2>()
            .ok_or(AttrError::Truncated)?;
        let (raw_type, body) = body.split_first_chunk::<2>().ok_or(AttrError::Truncated)?;
        let len = usize::from(u16::from_ne_bytes(*len));
        let payload_len = len.checked_sub(ATTR_HEADER).ok_or(AttrError::Truncated)?;
        let (payload, _) = body
            .split_at_checked(payload_len)
            .ok_or(AttrError::Truncated)?;
        // The last attribute may lack its padding.
        self.rest = self.rest.get(padded(len)..).unwrap_or(&[]);
        Ok(Attr {
            raw_type: u16::from_ne_bytes(*raw_type),
            payload,
        })
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<Attr<'a>, AttrError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.take() {
                // Type 0 only aligns a following 64-bit value.
                Ok(attr) if attr.number() == 0 => {}
                Ok(attr) => return Some(Ok(attr)),
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// The nested sets of one message, by number.
#[derive(Clone, Copy, Debug)]
pub struct TopLevel<'a> {
    payloads: [Option<&'a [u8]>; TOP_LEVEL_MAX as usize],
}

impl<'a> TopLevel<'a> {
    /// Splits the attributes behind the header. Of repeated sets the last counts.
    ///
    /// `allowed` lists the numbers that may occur (see [`Op::request_sets`](super::Op)); pass
    /// `None` to accept all that exist and ignore others, as a reader of replies must.
    ///
    /// # Errors
    ///
    /// [`AttrError::Truncated`], or [`AttrError::Unknown`] for a number that is not allowed.
    pub fn parse(bytes: &'a [u8], allowed: Option<&[u16]>) -> Result<Self, AttrError> {
        let mut payloads = [None; TOP_LEVEL_MAX as usize];
        for attr in Attrs::new(bytes) {
            let attr = attr?;
            let number = attr.number();
            if allowed.is_some_and(|allowed| !allowed.contains(&number)) {
                return Err(AttrError::Unknown(number));
            }
            if let Some(slot) = payloads.get_mut(usize::from(number).wrapping_sub(1)) {
                *slot = Some(attr.payload());
            }
        }
        Ok(Self { payloads })
    }

    /// The payload of the set with this number.
    #[must_use]
    pub fn payload(&self, number: u16) -> Option<&'a [u8]> {
        *self.payloads.get(usize::from(number).checked_sub(1)?)?
    }

    /// The payload of `set`.
    #[must_use]
    pub fn set(&self, set: &Set) -> Option<&'a [u8]> {
        self.payload(set.number)
    }

    /// Parses the set `N` as a reader of replies: fields that are not there keep their default,
    /// numbers that are not known are skipped.
    ///
    /// # Errors
    ///
    /// Any of [`AttrError`] except those about unknown numbers without the mandatory flag.
    pub fn read<N: super::Nest>(&self) -> Result<Option<N>, AttrError> {
        self.set(&N::SET).map(N::read).transpose()
    }
}
