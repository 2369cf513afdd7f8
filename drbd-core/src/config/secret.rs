// SPDX-License-Identifier: GPL-2.0
//! The shared secret, which nothing prints by accident.

use crate::genl::{value::text_of, Attr, AttrError, Kind, Overflow, Text, Value, Writer};
use core::fmt;

/// A string of at most 63 bytes whose `Debug` shows only whether it is set.
///
/// The manual promises 64, the storage of the C driver has room for 63 and a NUL: of a secret of 64
/// bytes the first 63 count, so that both drivers compute the same answer.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret(Text<64>);

impl Secret {
    /// Longest secret in bytes that is taken; the last of them does not count.
    pub const MAX: usize = 64;

    /// Stores the secret; `None` if it is longer than [`Self::MAX`] or holds a NUL.
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() > Self::MAX || secret.contains(&0) {
            return None;
        }
        let kept = secret.get(..Text::<64>::MAX).unwrap_or(secret);
        Text::new(kept).map(Self)
    }

    /// The secret itself, for authentication only.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether none is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() {
            "Secret(none)"
        } else {
            "Secret(set)"
        })
    }
}

impl Value for Secret {
    const KIND: Kind = Kind::Text { max: Self::MAX };

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        let text = text_of(attr)?;
        Self::new(text).ok_or(AttrError::TooLong(attr.number()))
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        self.0.put(raw_type, writer)
    }

    fn from_default(_: i64) -> Self {
        Self::default()
    }

    fn text(&self) -> Option<&[u8]> {
        Some(self.reveal())
    }

    fn number(&self) -> Option<i64> {
        Some(i64::from(!self.is_empty()))
    }
}
