// SPDX-License-Identifier: GPL-2.0
//! Finds packets in the bytes that have come so far.
//!
//! The receiver keeps a read-ahead buffer of at least [`WINDOW_SIZE_MIN`] bytes. It hands in what
//! is in it; nothing is copied. A receiver without read-ahead reads exactly as many bytes as
//! [`Framing::NeedMore`] asks for.

use super::check::layout;
use super::{Context, Header, Layout, WireError};

/// A window of this size holds every header with its control part.
pub const WINDOW_SIZE_MIN: usize = 4096;
const _: () = assert!(WINDOW_SIZE_MIN == 8 + Layout::CONTROL_SIZE_MAX as usize);

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Framing<'a> {
    /// The window must hold at least `total` bytes (at most [`WINDOW_SIZE_MIN`]) before there is
    /// more to say. Always more than were handed in.
    NeedMore {
        /// Bytes from the start of the window.
        total: usize,
    },
    /// A packet whose control part is complete.
    Packet(Frame<'a>),
}

/// A packet without its bulk data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The header.
    pub header: Header,
    /// Fixed and variable part, for [`super::Packet::decode`].
    pub control: &'a [u8],
    /// Bytes of the window that header and control part take.
    pub consumed: usize,
    /// Bytes that follow: digest and data. They may be in the window already, in part or all.
    pub bulk: u32,
}

/// Looks for a packet at the front of `window`.
///
/// # Errors
///
/// Everything that makes a header unacceptable; see [`super::HeaderFormat::parse`] and
/// [`super::check::layout`]. An error is reported as soon as the header is there.
pub fn next_frame<'a>(window: &'a [u8], context: &Context) -> Result<Framing<'a>, WireError> {
    let format = context.header_format();
    let header_size = format.size();
    if window.len() < header_size {
        return Ok(Framing::NeedMore { total: header_size });
    }
    let header = format.parse(window)?;
    let Layout { control, bulk } = layout(&header, context)?;
    let bad = WireError::BadLength {
        command: header.command,
        length: header.length,
    };
    let consumed = usize::try_from(control)
        .ok()
        .and_then(|size| size.checked_add(header_size))
        .ok_or(bad)?;
    match window.get(header_size..consumed) {
        None => Ok(Framing::NeedMore { total: consumed }),
        Some(control) => Ok(Framing::Packet(Frame {
            header,
            control,
            consumed,
            bulk,
        })),
    }
}
