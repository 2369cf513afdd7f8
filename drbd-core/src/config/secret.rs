// SPDX-License-Identifier: GPL-2.0
//! The shared secret, which nothing prints by accident.

use crate::genl::{Attr, AttrError, Kind, Overflow, Text, Value, Writer};
use core::fmt;

/// A string of at most 63 bytes whose `Debug` shows only whether it is set.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Secret(Text<64>);

impl Secret {
    /// Stores the secret; `None` if it is too long or holds a NUL.
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        Text::new(secret).map(Self)
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
    const KIND: Kind = Text::<64>::KIND;

    fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
        Text::get(attr).map(Self)
    }

    fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        self.0.put(raw_type, writer)
    }

    fn from_default(_: i64) -> Self {
        Self::default()
    }
}
