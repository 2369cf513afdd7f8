// SPDX-License-Identifier: GPL-2.0
//! Tests of the wire formats: golden bytes, what is refused, and properties.

extern crate std;

use std::vec::Vec;

use super::*;

mod bitmap;
mod golden;
mod handshake;
mod properties;
mod refusals;
mod stream;
mod vectors;

/// Bytes written as hex digits, blanks between them.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// A version and feature flags.
fn agreed(version: u32, features: u32) -> Agreed {
    Agreed {
        version: ProtocolVersion::new(version).unwrap(),
        features: FeatureFlags::from_bits(features),
    }
}

/// Version 101 with all feature flags.
fn full() -> Agreed {
    agreed(101, 0xf)
}

/// An established connection.
fn context(socket: Socket, agreed: Agreed) -> Context {
    Context {
        socket,
        phase: Phase::Established,
        agreed,
        digest_size: 0,
    }
}

/// A range that needs no checking.
fn range(sector: u64, size: u32) -> BlockRange {
    BlockRange::new(sector, size, block::DISCARD_SIZE_MAX).unwrap()
}

/// The socket on which a packet travels, and the phase in which it does.
fn home(command: Command) -> (Socket, Phase) {
    match command {
        Command::InitialData => (Socket::Data, Phase::Opening),
        Command::InitialMeta => (Socket::Meta, Phase::Opening),
        Command::ConnectionFeatures => (Socket::Data, Phase::Features),
        Command::AuthChallenge => (Socket::Data, Phase::AuthChallenge),
        Command::AuthResponse => (Socket::Data, Phase::AuthResponse),
        Command::Ping
        | Command::PingAck
        | Command::RecvAck
        | Command::WriteAck
        | Command::RsWriteAck
        | Command::Superseded
        | Command::NegAck
        | Command::NegDReply
        | Command::NegRsDReply
        | Command::BarrierAck
        | Command::StateChgReply
        | Command::OvResult
        | Command::RsIsInSync
        | Command::RsCancel
        | Command::ConnStChgReply
        | Command::RetryWrite => (Socket::Meta, Phase::Established),
        _ => (Socket::Data, Phase::Established),
    }
}

/// The packet at the front of `bytes`, and how many bytes it took without bulk data.
fn read<'a>(bytes: &'a [u8], context: &Context) -> Result<(Packet<'a>, Frame<'a>), WireError> {
    match next_frame(bytes, context)? {
        Framing::NeedMore { total } => {
            assert!(total > bytes.len() && total <= frame::WINDOW_SIZE_MIN);
            Err(WireError::Truncated)
        }
        Framing::Packet(frame) => Ok((Packet::decode(&frame, context)?, frame)),
    }
}
