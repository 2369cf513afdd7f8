// SPDX-License-Identifier: GPL-2.0
//! Packets on the wire: numbers, headers, payloads; protocol versions 86 to 101.
//!
//! docs/protocol.md tells the protocol in prose; each item here names its section or the packet
//! constant (`P_DATA`, ...) that the C driver uses for it.
//!
//! # Three steps of reading
//!
//! 1. [`frame::next_frame`] looks at the bytes that have come so far. It parses the header
//!    ([`Header`]), asks [`check::layout`] whether such a packet may come here at all, and says how
//!    many bytes are still missing, or yields the packet's control part.
//! 2. [`Packet::decode`] turns the control part into a typed value.
//! 3. What is left is bulk data (digest and blocks): the caller moves [`frame::Frame::bulk`] bytes
//!    from the socket to where they belong. They never pass through this module.
//!
//! Sending is the reverse: fill in a [`Packet`] (or one payload struct) and call `emit` with a lent
//! buffer; then send the bulk data, if the packet has any.
//!
//! # The contract
//!
//! * Every byte from a peer is hostile until a function here has returned `Ok`. No input makes a
//!   function of this module panic, loop without bound, or read outside of the given slice.
//! * `parse` wants at least the bytes of its format and looks at nothing behind them. `emit` writes
//!   exactly as many bytes as it reports and fails with [`WireError::NoRoom`] instead of writing
//!   less. After an error the content of the buffer is undefined.
//! * A value of these types that came from `parse` keeps the limits that docs/protocol.md sets
//!   ("What a receiver rejects"); limits that need the device's size or what was asked for before
//!   are the caller's business, see [`BlockRange::fits`].
//! * Pads are sent as zero and ignored when read, with the one exception of the 16-byte header.

pub mod ack;
pub mod agreed;
pub mod auth;
pub mod bitmap;
pub mod block;
pub mod check;
pub mod command;
pub mod data;
pub mod device;
pub mod error;
pub mod flags;
pub mod frame;
pub mod header;
pub mod packet;
pub mod params;
pub mod request;
pub mod state;

pub use crate::uuid::UuidFlags;
pub use ack::{BarrierAck, BlockAck, OvResult, VerifyResult};
pub use agreed::{Agreed, ConnectionFeatures, FeatureFlags, ProtocolVersion};
pub use bitmap::{BitmapCursor, BitmapPacket, CompressedBitmap};
pub use block::{BarrierNr, BlockId, BlockRange};
pub use check::{Context, Layout, Phase, Reaction, Socket};
pub use command::{Command, Scope};
pub use data::{Barrier, BlockDesc, Data, DataReply, DelayProbe, Trim};
pub use device::{QueueLimits, Sizes, SyncUuid, Uuids};
pub use error::WireError;
pub use flags::{AckWanted, DpFlags, WriteFlags, WriteOp};
pub use frame::{next_frame, Frame, Framing};
pub use header::{Header, HeaderFormat};
pub use packet::{AckKind, Packet};
pub use params::{Controller, ProtocolSettings, SyncParam};
pub use request::BlockRequest;
pub use state::{State, StateReply, StateRequest};

/// Splits a view off the front of `bytes`.
fn view<T>(bytes: &[u8]) -> Result<&T, WireError>
where
    T: zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned,
{
    match T::ref_from_prefix(bytes) {
        Ok((v, _)) => Ok(v),
        Err(_) => Err(WireError::Truncated),
    }
}

/// Writes a view to the front of `out`; returns its size in bytes.
fn put<T>(v: &T, out: &mut [u8]) -> Result<usize, WireError>
where
    T: zerocopy::IntoBytes + zerocopy::Immutable,
{
    v.write_to_prefix(out).map_err(|_| WireError::NoRoom)?;
    Ok(size_of::<T>())
}

/// Copies `bytes` to `out` from `at` on; returns the offset behind them.
fn put_bytes(bytes: &[u8], at: usize, out: &mut [u8]) -> Result<usize, WireError> {
    let end = at.checked_add(bytes.len()).ok_or(WireError::NoRoom)?;
    let room = out.get_mut(at..end).ok_or(WireError::NoRoom)?;
    for (to, from) in room.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ok(end)
}

#[cfg(test)]
mod tests;
