// SPDX-License-Identifier: GPL-2.0
//! State words between nodes: announcements, requests, replies.
//!
//! docs/protocol.md, "State packets"; the layout of the word is [`DeviceState::to_word`].

use zerocopy::big_endian::{I32, U32};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{put, view, WireError};
use crate::state::{Change, ChangeWords, DeviceState};

/// P_STATE: the sender's state of a volume, from its own point of view.
///
/// The `susp` flags may be 0 although set at the sender; the receiver ignores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The state.
    pub state: DeviceState,
}

/// `p_state`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StateView {
    state: U32,
}
const _: () = assert!(size_of::<StateView>() == State::SIZE);

impl State {
    /// Bytes on the wire.
    pub const SIZE: usize = 4;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`]; [`WireError::BadValue`] for a number that names no state.
    pub fn parse(bytes: &[u8]) -> Result<State, WireError> {
        let v: &StateView = view(bytes)?;
        Ok(State {
            state: DeviceState::from_word(v.state.get())?,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &StateView {
                state: self.state.to_word().into(),
            },
            out,
        )
    }
}

/// `p_req_state`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RequestView {
    mask: U32,
    val: U32,
}
const _: () = assert!(size_of::<RequestView>() == StateRequest::SIZE);

/// P_STATE_CHG_REQ, P_CONN_ST_CHG_REQ: the change that the sender wants, from its own point of
/// view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRequest {
    /// The change.
    pub change: Change,
}

impl StateRequest {
    /// Bytes on the wire.
    pub const SIZE: usize = 8;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`]; [`WireError::BadValue`] for a field that is masked in part, or a
    /// number that names no state.
    pub fn parse(bytes: &[u8]) -> Result<StateRequest, WireError> {
        let v: &RequestView = view(bytes)?;
        Ok(StateRequest {
            change: Change::from_words(ChangeWords {
                mask: v.mask.get(),
                val: v.val.get(),
            })?,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let words = self.change.to_words();
        put(
            &RequestView {
                mask: words.mask.into(),
                val: words.val.into(),
            },
            out,
        )
    }
}

/// `p_req_state_reply`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReplyView {
    retcode: I32,
}
const _: () = assert!(size_of::<ReplyView>() == StateReply::SIZE);

/// P_STATE_CHG_REPLY, P_CONN_ST_CHG_REPLY: the peer's answer.
///
/// [`crate::state::reply_code`] and [`crate::state::reply_result`] translate the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateReply {
    /// An SS number; from 1 up it is consent.
    pub retcode: i32,
}

impl StateReply {
    /// Bytes on the wire.
    pub const SIZE: usize = 4;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<StateReply, WireError> {
        let v: &ReplyView = view(bytes)?;
        Ok(StateReply {
            retcode: v.retcode.get(),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &ReplyView {
                retcode: self.retcode.into(),
            },
            out,
        )
    }
}
