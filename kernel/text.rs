// SPDX-License-Identifier: GPL-2.0

//! Text of a bounded length, without allocation.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::vector;

/// The bytes of a C string, without the zero at its end.
pub(crate) fn bytes_of(string: &CStr) -> &[u8] {
    match string.to_bytes_with_nul() {
        [bytes @ .., _] => bytes,
        [] => &[],
    }
}

/// Text of at most `N` bytes; what does not fit is cut off.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// What `shown` displays.
    pub(crate) fn of(shown: impl fmt::Display) -> Self {
        let mut text = Self {
            bytes: [0; N],
            len: 0,
        };
        // It only fails if `shown` does; then what there is has to do.
        let _ = write!(text, "{shown}");
        text
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The text; up to what is no UTF-8, which only a cut can leave.
    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.as_bytes();
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(cut) => bytes
                .get(..cut.valid_up_to())
                .and_then(|valid| core::str::from_utf8(valid).ok())
                .unwrap_or(""),
        }
    }

    /// The lines of the text.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(self.as_str());
        core::iter::from_fn(move || {
            let text = rest?;
            let end = vector::place_of(text.as_bytes(), |byte| *byte != b'\n');
            rest = text.get(end.saturating_add(1)..);
            text.get(..end)
        })
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).unwrap_or(&mut []);
        let len = text.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), text.as_bytes().get(..len)) {
            to.copy_from_slice(from);
        }
        self.len = self.len.saturating_add(len);
        Ok(())
    }
}
