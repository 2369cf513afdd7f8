// SPDX-License-Identifier: GPL-2.0
//! Authentication: what is around the HMAC, which the caller computes.
//!
//! docs/protocol.md, "Authentication". P_AUTH_CHALLENGE and P_AUTH_RESPONSE are bare byte strings.

use super::WireError;

/// Bytes of a challenge that we send.
pub const CHALLENGE_SIZE: usize = 64;
/// The longest challenge that is taken from a peer. All of it is answered.
pub const CHALLENGE_SIZE_MAX: usize = 128;
/// The largest digest of any algorithm in use, in bytes.
pub const DIGEST_SIZE_MAX: usize = 64;

/// Checks a challenge from the peer against our own.
///
/// # Errors
///
/// [`WireError::Truncated`] for less than 64 bytes; [`WireError::Reflection`] if the peer sent our
/// own challenge back, in order to have us compute the answer.
pub fn check_challenge(own: &[u8; CHALLENGE_SIZE], peer: &[u8]) -> Result<(), WireError> {
    match peer.get(..CHALLENGE_SIZE) {
        None => Err(WireError::Truncated),
        Some(head) if head == own => Err(WireError::Reflection),
        Some(_) => Ok(()),
    }
}

/// The peer's response is the expected one. Takes the same time wherever they differ.
#[must_use]
pub fn response_matches(expected: &[u8], got: &[u8]) -> bool {
    let difference = expected
        .iter()
        .zip(got)
        .fold(0, |acc, (a, b)| acc | (a ^ b));
    difference == 0 && expected.len() == got.len()
}
