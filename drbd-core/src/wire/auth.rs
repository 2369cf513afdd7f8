// SPDX-License-Identifier: GPL-2.0
//! Authentication: what is around the HMAC, which the caller computes.
//!
//! docs/protocol.md, "Authentication". P_AUTH_CHALLENGE and P_AUTH_RESPONSE are bare byte strings.
//! Each node sends a challenge, answers the peer's with the HMAC of the shared secret over it, and
//! judges the peer's answer alone.

use super::{Agreed, Command, Packet, WireError};
use crate::digest::Digest;

/// Bytes of a challenge that we send.
pub const CHALLENGE_SIZE: usize = 64;
/// The longest challenge that is taken from a peer. All of it is answered.
pub const CHALLENGE_SIZE_MAX: usize = 128;
/// The largest digest of any algorithm in use, in bytes.
pub const DIGEST_SIZE_MAX: usize = crate::digest::SIZE_MAX;

/// The peer's packet must be a challenge, and another one than ours. Gives what is to be answered:
/// all of its bytes.
///
/// # Errors
///
/// [`WireError::WrongPhase`] for another packet, [`WireError::Truncated`] for less than 64 bytes;
/// [`WireError::Reflection`] if the peer sent our own challenge back, in order to have us compute
/// the answer. See [`super::Context::reaction`] for what follows.
pub fn check_challenge<'a>(
    own: &[u8; CHALLENGE_SIZE],
    packet: &Packet<'a>,
) -> Result<&'a [u8], WireError> {
    let Packet::AuthChallenge(peer) = packet else {
        return Err(wrong(packet));
    };
    match peer.get(..CHALLENGE_SIZE) {
        None => Err(WireError::Truncated),
        Some(head) if head == own => Err(WireError::Reflection),
        Some(_) => Ok(peer),
    }
}

/// The peer's packet must be the answer to our challenge that we have computed ourselves.
///
/// # Errors
///
/// [`WireError::WrongPhase`] for another packet, [`WireError::BadLength`] for another length,
/// [`WireError::BadResponse`] for other bytes.
pub fn check_response(expected: &Digest, packet: &Packet<'_>) -> Result<(), WireError> {
    let Packet::AuthResponse(got) = packet else {
        return Err(wrong(packet));
    };
    if got.len() != expected.as_bytes().len() {
        return Err(WireError::BadLength {
            command: Command::AuthResponse,
            length: u32::try_from(got.len()).unwrap_or(u32::MAX),
        });
    }
    if !expected.matches(got) {
        return Err(WireError::BadResponse);
    }
    Ok(())
}

fn wrong(packet: &Packet<'_>) -> WireError {
    WireError::WrongPhase(packet.command(&Agreed::INITIAL))
}
