// SPDX-License-Identifier: GPL-2.0
//! The values that fields of a set can have, and how they lie in an attribute.
//!
//! Integers are in host byte order. A flag is one byte with payload, never an empty attribute.
//! Strings end with a NUL that is counted in the length. Everything is stored inline.

use super::{
    attr::{Attr, AttrError},
    nest::Kind,
    write::{Overflow, Writer},
};
use core::fmt;

/// A type that can be the value of a field.
pub trait Value: Sized {
    /// What the table says about the attribute.
    const KIND: Kind;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`AttrError::Length`], [`AttrError::TooLong`] or [`AttrError::Value`].
    fn get(attr: &Attr<'_>) -> Result<Self, AttrError>;

    /// Writes the attribute, or nothing if the value is absent.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the buffer is full.
    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow>;

    /// The value for a default of the option table. Text has only the empty default.
    #[must_use]
    fn from_default(number: i64) -> Self;

    /// The value as a number of the option table. Flags are 0 or 1; text and addresses 0 if empty,
    /// else 1; absent values and what no option sets have none.
    #[must_use]
    fn number(&self) -> Option<i64> {
        None
    }

    /// The value as a string, if it is one. Reveals secrets: for sending and for `show` only.
    #[must_use]
    fn text(&self) -> Option<&[u8]> {
        None
    }
}

fn fixed<const N: usize>(attr: &Attr<'_>) -> Result<[u8; N], AttrError> {
    attr.payload()
        .try_into()
        .map_err(|_| AttrError::Length(attr.number()))
}

impl Value for bool {
    const KIND: Kind = Kind::Flag;

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        fixed::<1>(attr).map(|[byte]| byte != 0)
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_raw(raw_type, &[u8::from(*self)])
    }

    fn from_default(number: i64) -> Self {
        number != 0
    }

    fn number(&self) -> Option<i64> {
        Some(i64::from(*self))
    }
}

macro_rules! integer {
    ($($ty:ty, $kind:ident;)*) => { $(
        impl Value for $ty {
            const KIND: Kind = Kind::$kind;

            fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
                fixed(attr).map(Self::from_ne_bytes)
            }

            fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
                writer.put_raw(raw_type, &self.to_ne_bytes())
            }

            fn from_default(number: i64) -> Self {
                // The table's defaults fit; a test compares all of them.
                Self::try_from(number).unwrap_or_default()
            }

            fn number(&self) -> Option<i64> {
                i64::try_from(*self).ok()
            }
        }
    )* };
}

integer! {
    u32, U32;
    i32, S32;
    u64, U64;
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        T::get(attr).map(Some)
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        match self {
            Some(value) => value.put(raw_type, writer),
            None => Ok(()),
        }
    }

    fn from_default(_: i64) -> Self {
        None
    }

    fn number(&self) -> Option<i64> {
        self.as_ref().and_then(T::number)
    }
}

/// A string of fewer than `N` bytes, without NUL bytes, not necessarily UTF-8.
///
/// `N` is the storage of the C driver including its NUL, so `N - 1` bytes fit. One byte less than
/// what 7.3's policy lets through: its tools choke on the longer ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// The empty string.
    pub const EMPTY: Self = Self {
        bytes: [0; N],
        len: 0,
    };
    /// The longest string in bytes.
    pub const MAX: usize = N.saturating_sub(1);

    /// Stores `text`; `None` if it is too long or holds a NUL.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.len() > Self::MAX || text.contains(&0) {
            return None;
        }
        let mut new = Self::EMPTY;
        new.bytes.get_mut(..text.len())?.copy_from_slice(text);
        new.len = text.len();
        Some(new)
    }

    /// The bytes, without a NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The bytes with exactly one NUL behind them, as C functions want it.
    #[must_use]
    pub fn as_bytes_with_nul(&self) -> &[u8] {
        self.bytes.get(..=self.len).unwrap_or(&[0])
    }

    /// The text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    /// Bytes that are not UTF-8 are shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<const N: usize> Value for Text<N> {
    const KIND: Kind = Kind::Text { max: Self::MAX };

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        Self::new(text_of(attr)?).ok_or(AttrError::TooLong(attr.number()))
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_text(raw_type, self.as_bytes())
    }

    fn from_default(_: i64) -> Self {
        Self::EMPTY
    }

    fn text(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }

    fn number(&self) -> Option<i64> {
        Some(i64::from(!self.is_empty()))
    }
}

/// The bytes before the NUL, and there must be one; what stands behind it does not count.
pub(crate) fn text_of<'a>(attr: &Attr<'a>) -> Result<&'a [u8], AttrError> {
    let payload = attr.payload();
    let end = payload.iter().position(|byte| *byte == 0);
    end.and_then(|end| payload.get(..end))
        .ok_or(AttrError::Length(attr.number()))
}

/// A socket address as the tools send it: raw `sockaddr_in` or `sockaddr_in6`.
///
/// The first two bytes are the family in host byte order, then the port in network byte order. A
/// blob that is longer than `sockaddr_in6` cannot be an address that we can use and is refused.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Address {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Address {
    /// Length of `sockaddr_in6` in bytes, the longest supported.
    pub const MAX: usize = 28;
    /// The address that is not set.
    pub const NONE: Self = Self {
        bytes: [0; Self::MAX],
        len: 0,
    };

    /// Stores raw bytes; `None` if there are too many.
    #[must_use]
    pub fn new(raw: &[u8]) -> Option<Self> {
        let mut new = Self::NONE;
        new.bytes.get_mut(..raw.len())?.copy_from_slice(raw);
        new.len = raw.len();
        Some(new)
    }

    /// The raw bytes; addresses are equal if these are.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Whether no address is stored.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address family (AF_INET 2, AF_INET6 10, ...), if there is one.
    #[must_use]
    pub fn family(&self) -> Option<u16> {
        self.as_bytes()
            .first_chunk::<2>()
            .map(|raw| u16::from_ne_bytes(*raw))
    }

    /// The port, if there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let rest = self.as_bytes().get(2..)?;
        rest.first_chunk::<2>().map(|raw| u16::from_be_bytes(*raw))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:02x?})", self.as_bytes())
    }
}

impl Value for Address {
    const KIND: Kind = Kind::Blob { max: Self::MAX };

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        Self::new(attr.payload()).ok_or(AttrError::TooLong(attr.number()))
    }

    /// An address that is not set is not written.
    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        if self.is_empty() {
            return Ok(());
        }
        writer.put_raw(raw_type, self.as_bytes())
    }

    fn from_default(_: i64) -> Self {
        Self::NONE
    }

    fn number(&self) -> Option<i64> {
        Some(i64::from(!self.is_empty()))
    }
}

/// The four generation identifiers: current, bitmap, younger and older history.
pub type Uuids = [u64; 4];

const UUIDS_LEN: usize = 32;

fn uuids_to_bytes(uuids: &Uuids) -> [u8; UUIDS_LEN] {
    let mut raw = [0; UUIDS_LEN];
    for (chunk, uuid) in raw.chunks_exact_mut(8).zip(uuids) {
        chunk.copy_from_slice(&uuid.to_ne_bytes());
    }
    raw
}

/// As many as there are in `raw`, the rest is 0.
fn uuids_from_bytes(raw: &[u8]) -> Uuids {
    let mut uuids = [0; 4];
    for (uuid, chunk) in uuids.iter_mut().zip(raw.chunks_exact(8)) {
        *uuid = chunk.try_into().map_or(0, u64::from_ne_bytes);
    }
    uuids
}

impl Value for Uuids {
    const KIND: Kind = Kind::Blob { max: UUIDS_LEN };

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        if attr.payload().len() != UUIDS_LEN {
            return Err(AttrError::Length(attr.number()));
        }
        Ok(uuids_from_bytes(attr.payload()))
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put_raw(raw_type, &uuids_to_bytes(self))
    }

    fn from_default(_: i64) -> Self {
        [0; 4]
    }
}

/// History identifiers of a device: the attribute is always there, and empty without a disk.
///
/// There is room for 32 in the protocol; 8.4 sends four, two of them always 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History(pub Option<Uuids>);

impl Value for History {
    const KIND: Kind = Kind::Blob { max: 256 };

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        match attr.payload().len() {
            0 => Ok(Self(None)),
            1..=256 => Ok(Self(Some(uuids_from_bytes(attr.payload())))),
            _ => Err(AttrError::TooLong(attr.number())),
        }
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        match &self.0 {
            Some(uuids) => writer.put_raw(raw_type, &uuids_to_bytes(uuids)),
            None => writer.put_raw(raw_type, &[]),
        }
    }

    fn from_default(_: i64) -> Self {
        Self(None)
    }
}
