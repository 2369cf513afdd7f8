// SPDX-License-Identifier: GPL-2.0
//! A stream of packets, as a receiver takes it apart.
//!
//! The first four bytes choose what the receiver expects: phase and socket, version, features, size
//! of digests. What decodes is written and read again, and must be the same.

use drbd_core::wire::{
    next_frame, Agreed, Command, Context, FeatureFlags, Framing, HeaderFormat, Packet, Phase,
    ProtocolVersion, Socket,
};

use super::{Feed, Outcome, Target};

pub(crate) const TARGET: Target = Target {
    name: "wire",
    run,
    seeds,
    words: &[
        "crc32c",
        "sha1",
        "hmac(sha256)",
        "\0\0\0\0",
        "\x38\x62\x02\x67",
    ],
};

/// No longer streams: the receiver has no memory that more packets could fill.
const PACKETS_MAX: usize = 6;
/// Room for any header with its control part.
const ROOM: usize = 8192;

fn context(feed: &mut Feed<'_>) -> Context {
    let (choice, version, features, digest_size) =
        (feed.byte(), feed.byte(), feed.byte(), feed.byte());
    let phase = match choice >> 1 {
        0 => Phase::Opening,
        1 => Phase::Features,
        2 => Phase::AuthChallenge,
        3 => Phase::AuthResponse,
        4 => Phase::Bitmap { volume: 0 },
        _ => Phase::Established,
    };
    let version = ProtocolVersion::new(86 + u32::from(version % 16));
    Context {
        socket: if choice & 1 == 0 {
            Socket::Data
        } else {
            Socket::Meta
        },
        phase,
        agreed: Agreed {
            version: version.unwrap_or(ProtocolVersion::INITIAL),
            features: FeatureFlags::from_bits(features.into()),
        },
        digest_size: digest_size % 65,
    }
}

fn run(bytes: &[u8]) -> u64 {
    let mut outcome = Outcome::default();
    let mut feed = Feed(bytes);
    let context = context(&mut feed);
    outcome.kind(&context.phase);
    outcome.kind(&HeaderFormat::of(context.agreed.version));
    let mut rest = feed.rest();
    for _ in 0..PACKETS_MAX {
        let frame = match next_frame(rest, &context) {
            Ok(Framing::Packet(frame)) => frame,
            Ok(Framing::NeedMore { total }) => {
                assert!(total > rest.len(), "more is wanted than is there");
                outcome.number(1_u8);
                break;
            }
            Err(error) => {
                outcome.kind(&error);
                break;
            }
        };
        assert!(frame.consumed <= rest.len());
        outcome.kind(&frame.header.command);
        match Packet::decode(&frame, &context) {
            Ok(packet) => same_again(&packet, &context),
            Err(error) => {
                outcome.kind(&error);
                break;
            }
        }
        let next = frame
            .consumed
            .saturating_add(usize::try_from(frame.bulk).unwrap_or(usize::MAX));
        let Some(more) = rest.get(next..) else { break };
        rest = more;
    }
    outcome.done()
}

/// What was read is what is written, and is read again.
fn same_again(packet: &Packet<'_>, context: &Context) {
    let mut out = vec![0; ROOM];
    let Ok(size) = packet.emit(0, &context.agreed, context.digest_size, &mut out) else {
        // What only a peer may send, or in another version.
        return;
    };
    assert!(size <= ROOM);
    // The ends of the handshake are read by phases that know their header.
    if !matches!(context.phase, Phase::Established) {
        return;
    }
    if let Ok(Framing::Packet(frame)) = next_frame(&out, context) {
        let again = Packet::decode(&frame, context);
        assert_eq!(again.as_ref(), Ok(packet), "written and read again");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for command in Command::ALL {
        let number = u32::from(command.number());
        for length in [0_u32, 4, 8, 16, 24, 32, 40, 48, 56, 64, 96, 128, 4112] {
            for choice in [0_u8, 2, 4, 6, 8, 10, 11] {
                let mut h100 = vec![choice, 15, 0xf, 0];
                h100.extend(0x8620_ec20_u32.to_be_bytes());
                h100.extend([0, 0]);
                h100.extend(number.to_be_bytes().iter().skip(2));
                h100.extend(length.to_be_bytes());
                h100.extend([0; 4]);
                let mut h80 = vec![choice, 0, 0, 0];
                h80.extend(0x8374_0267_u32.to_be_bytes());
                h80.extend(number.to_be_bytes().iter().skip(2));
                h80.extend(length.to_be_bytes().iter().skip(2));
                for mut head in [h100, h80] {
                    head.extend(std::iter::repeat_n(0, usize::try_from(length).unwrap_or(0)));
                    seeds.push(head);
                }
            }
        }
    }
    seeds
}
