// SPDX-License-Identifier: GPL-2.0
//! Writing netlink attributes into a lent buffer.

use super::attr::{padded, ATTR_HEADER, GENLA_F_MANDATORY, NLA_F_NESTED};
use core::fmt;

/// The buffer is too small for what should be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("netlink message does not fit into its buffer")
    }
}

impl core::error::Error for Overflow {}

/// Which conventions about flag bits are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As the driver of Linux 7.3 writes: no mandatory bits; `NLA_F_NESTED` on most sets.
    Kernel,
    /// As the 8.4 tools write: mandatory bits inside the sets, `NLA_F_NESTED` on every set.
    Tools,
}

/// Who will read the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A caller with CAP_SYS_ADMIN: sees the shared secret.
    Privileged,
    /// Anybody, or a multicast group: sensitive fields are sent empty.
    Public,
}

/// A position in a [`Writer`]: the start of a nest, or a point to go back to.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Mark(usize);

/// Appends attributes to a lent buffer. After an error the buffer holds what fitted before.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
    style: Style,
    audience: Audience,
}

impl<'a> Writer<'a> {
    /// Starts at the front of `buffer`, which should be aligned to 4 bytes within its message.
    /// The audience is [`Audience::Privileged`] for requests.
    pub fn new(buffer: &'a mut [u8], style: Style, audience: Audience) -> Self {
        Self {
            buffer,
            len: 0,
            style,
            audience,
        }
    }

    /// The conventions in use.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Who will read this.
    #[must_use]
    pub fn audience(&self) -> Audience {
        self.audience
    }

    /// What was written, with padding.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// How many bytes were written, with padding.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The current position, for [`Self::rewind`].
    pub fn mark(&self) -> Mark {
        Mark(self.len)
    }

    /// Drops everything written since `mark` was taken.
    pub fn rewind(&mut self, mark: Mark) {
        self.len = self.len.min(mark.0);
    }

    /// Writes one attribute. `raw_type` carries the flag bits, if any.
    ///
    /// # Errors
    ///
    /// [`Overflow`]; nothing is written then.
    pub fn put_raw(&mut self, raw_type: u16, payload: &[u8]) -> Result<(), Overflow> {
        let len = ATTR_HEADER.checked_add(payload.len()).ok_or(Overflow)?;
        let short_len = u16::try_from(len).map_err(|_| Overflow)?;
        let room = self.room(padded(len))?;
        let (head, rest) = room
            .split_first_chunk_mut::<ATTR_HEADER>()
            .ok_or(Overflow)?;
        *head = header_bytes(short_len, raw_type);
        let (body, padding) = rest.split_at_mut_checked(payload.len()).ok_or(Overflow)?;
        body.copy_from_slice(payload);
        padding.fill(0);
        self.len = self.len.saturating_add(padded(len));
        Ok(())
    }

    /// Writes a string with its terminating NUL.
    ///
    /// # Errors
    ///
    /// [`Overflow`]; nothing is written then.
    pub fn put_text(&mut self, raw_type: u16, text: &[u8]) -> Result<(), Overflow> {
        let len = ATTR_HEADER
            .checked_add(text.len())
            .and_then(|len| len.checked_add(1))
            .ok_or(Overflow)?;
        let short_len = u16::try_from(len).map_err(|_| Overflow)?;
        let room = self.room(padded(len))?;
        let (head, rest) = room
            .split_first_chunk_mut::<ATTR_HEADER>()
            .ok_or(Overflow)?;
        *head = header_bytes(short_len, raw_type);
        let (body, padding) = rest.split_at_mut_checked(text.len()).ok_or(Overflow)?;
        body.copy_from_slice(text);
        padding.fill(0);
        self.len = self.len.saturating_add(padded(len));
        Ok(())
    }

    /// Opens a nested set. `marked` says whether the kernel's style sets `NLA_F_NESTED` on it.
    ///
    /// # Errors
    ///
    /// [`Overflow`]; nothing is written then.
    pub fn nest_start(&mut self, number: u16, marked: bool) -> Result<Mark, Overflow> {
        let mark = self.mark();
        let flag = match self.style {
            Style::Kernel if !marked => 0,
            Style::Kernel | Style::Tools => NLA_F_NESTED,
        };
        self.put_raw(number | flag, &[])?;
        Ok(mark)
    }

    /// Closes the nest that began at `mark`.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the nest is longer than 65535 bytes.
    pub fn nest_end(&mut self, mark: Mark) -> Result<(), Overflow> {
        let len = self.len.checked_sub(mark.0).ok_or(Overflow)?;
        let len = u16::try_from(len).map_err(|_| Overflow)?;
        let field = self
            .buffer
            .get_mut(mark.0..)
            .and_then(|nest| nest.first_chunk_mut::<2>());
        *field.ok_or(Overflow)? = len.to_ne_bytes();
        Ok(())
    }

    /// Number and flags for a field inside a set.
    #[must_use]
    pub fn field_type(&self, number: u16, mandatory: bool) -> u16 {
        match self.style {
            Style::Tools if mandatory => number | GENLA_F_MANDATORY,
            Style::Kernel | Style::Tools => number,
        }
    }

    fn room(&mut self, len: usize) -> Result<&mut [u8], Overflow> {
        let end = self.len.checked_add(len).ok_or(Overflow)?;
        self.buffer.get_mut(self.len..end).ok_or(Overflow)
    }
}

fn header_bytes(len: u16, raw_type: u16) -> [u8; ATTR_HEADER] {
    let [a, b] = len.to_ne_bytes();
    let [c, d] = raw_type.to_ne_bytes();
    [a, b, c, d]
}
