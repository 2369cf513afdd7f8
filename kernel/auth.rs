// SPDX-License-Identifier: GPL-2.0

//! Both nodes prove to each other that they know the shared secret, if `cram-hmac-alg` is set.
//!
//! What counts as proof is decided in [`drbd_core::wire::auth`].

use drbd_core::wire::auth::{self, CHALLENGE_SIZE, CHALLENGE_SIZE_MAX};
use drbd_core::wire::{
    next_frame, Agreed, Context, Framing, Packet, Phase, Reaction, Socket as Which, WireError,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::connect::{recv_exact, send_packet};
use crate::resource::Resource;
use crate::sys::crypto::Hash;
use crate::sys::log::{log, Level};
use crate::sys::random;
use crate::sys::socket::Socket;

/// Room for the longest packet: a header and a challenge.
const PACKET: usize = 16 + CHALLENGE_SIZE_MAX;

/// Why there is no proof.
enum Failure {
    /// The packet is not what it should be.
    Packet(Reaction, WireError),
    /// The socket failed, or the hash did.
    Other,
}

impl From<Error> for Failure {
    fn from(_: Error) -> Self {
        Failure::Other
    }
}

/// Has the peer prove that it knows the secret, and proves it to the peer. The socket has its
/// time-outs. Nothing to do without `cram-hmac-alg`.
#[inline(never)]
pub(crate) fn authenticate(
    resource: &Arc<Resource>,
    data: &Socket,
    agreed: Agreed,
) -> Result<Agreed, Reaction> {
    let hash = resource.digests.lock().hmac.clone();
    let Some(hash) = hash else {
        return Ok(agreed);
    };
    let reaction = match prove(&hash, data, agreed) {
        Ok(()) => {
            log!(
                Level::Info,
                **resource,
                "Peer authenticated using {} bytes HMAC",
                hash.size()
            );
            return Ok(agreed);
        }
        Err(Failure::Packet(reaction, error)) => {
            log!(Level::Error, **resource, "authentication: {}", error);
            reaction
        }
        Err(Failure::Other) => Reaction::Retry,
    };
    let again = match reaction {
        Reaction::Disconnecting => "",
        _ => ", trying again.",
    };
    log!(
        Level::Error,
        **resource,
        "Authentication of peer failed{}",
        again
    );
    Err(reaction)
}

fn prove(hash: &Hash, data: &Socket, agreed: Agreed) -> Result<(), Failure> {
    let own = challenge();
    let mut bytes = [0; PACKET];
    send_packet(data, &Packet::AuthChallenge(&own), &agreed)?;
    let context = context(agreed, Phase::AuthChallenge);
    let refused = |error| Failure::Packet(context.reaction(&error), error);
    let packet = receive(data, &context, &mut bytes)?;
    let theirs = auth::check_challenge(&own, &packet).map_err(refused)?;
    let answer = hash.of_bytes(theirs)?;
    send_packet(data, &Packet::AuthResponse(answer.as_bytes()), &agreed)?;
    judge(hash, data, agreed, &own, &mut bytes)
}

/// The peer's answer to our challenge.
fn judge(
    hash: &Hash,
    data: &Socket,
    agreed: Agreed,
    own: &[u8; CHALLENGE_SIZE],
    bytes: &mut [u8; PACKET],
) -> Result<(), Failure> {
    let context = context(agreed, Phase::AuthResponse);
    let refused = |error| Failure::Packet(context.reaction(&error), error);
    let packet = receive(data, &context, bytes)?;
    let expected = hash.of_bytes(own)?;
    auth::check_response(&expected, &packet).map_err(refused)
}

fn context(agreed: Agreed, phase: Phase) -> Context {
    Context {
        socket: Which::Data,
        phase,
        agreed,
        digest_size: 0,
    }
}

/// A challenge that nobody has seen before.
fn challenge() -> [u8; CHALLENGE_SIZE] {
    let mut bytes = [0; CHALLENGE_SIZE];
    for part in bytes.chunks_exact_mut(8) {
        for (to, from) in part.iter_mut().zip(random::random_u64().to_ne_bytes()) {
            *to = from;
        }
    }
    bytes
}

/// Receives one packet, and not a byte more.
fn receive<'a>(
    data: &Socket,
    context: &Context,
    bytes: &'a mut [u8; PACKET],
) -> Result<Packet<'a>, Failure> {
    let refused = |error| Failure::Packet(context.reaction(&error), error);
    let mut have = 0_usize;
    loop {
        let window = bytes.get(..have).ok_or(EINVAL)?;
        match next_frame(window, context).map_err(refused)? {
            Framing::NeedMore { total } => {
                recv_exact(data, bytes.get_mut(have..total).ok_or(EINVAL)?)?;
                have = total;
            }
            Framing::Packet(_) => break,
        }
    }
    match next_frame(bytes.get(..have).ok_or(EINVAL)?, context).map_err(refused)? {
        Framing::Packet(frame) => Packet::decode(&frame, context).map_err(refused),
        Framing::NeedMore { .. } => Err(EINVAL.into()),
    }
}
