// SPDX-License-Identifier: GPL-2.0
//! Every golden vector: construct, deconstruct, cut short, grown, shrunk.

use std::collections::BTreeSet;
use std::vec;

use super::vectors::vectors;
use super::*;

#[test]
fn every_packet_has_a_vector() {
    let seen: BTreeSet<Command> = vectors()
        .iter()
        .map(|v| v.packet.command(&v.agreed))
        .collect();
    for command in Command::ALL {
        assert!(seen.contains(command), "{command} has no golden bytes");
    }
}

#[test]
fn construct() {
    for v in vectors() {
        let mut out = vec![0xa5; v.bytes.len()];
        let size = v.packet.emit(v.volume, &v.agreed, v.digest_size, &mut out);
        assert_eq!(size, Ok(v.bytes.len()), "{}", v.name);
        assert_eq!(out, v.bytes, "{}", v.name);
    }
}

#[test]
fn construct_in_a_short_buffer() {
    for v in vectors() {
        for room in 0..v.bytes.len() {
            let mut out = vec![0; room];
            let size = v.packet.emit(v.volume, &v.agreed, v.digest_size, &mut out);
            assert_eq!(size, Err(WireError::NoRoom), "{} in {room} bytes", v.name);
        }
    }
}

#[test]
fn construct_leaves_the_rest_of_the_buffer() {
    for v in vectors() {
        let mut out = vec![0xa5; v.bytes.len() + 9];
        let size = v
            .packet
            .emit(v.volume, &v.agreed, v.digest_size, &mut out)
            .unwrap();
        assert_eq!(out[size..], [0xa5; 9], "{}", v.name);
    }
}

#[test]
fn deconstruct() {
    for v in vectors() {
        let context = v.context();
        let mut bytes = v.bytes.clone();
        bytes.extend([0x5a; 7]);
        let (packet, frame) = read(&bytes, &context).unwrap();
        assert_eq!(packet, v.packet, "{}", v.name);
        assert_eq!(frame.consumed, v.bytes.len(), "{}", v.name);
        assert_eq!(frame.bulk, v.bulk, "{}", v.name);
        assert_eq!(frame.header.volume, v.volume, "{}", v.name);
    }
}

#[test]
fn cut_short() {
    for v in vectors() {
        let context = v.context();
        let header_size = context.header_format().size();
        for size in 0..v.bytes.len() {
            let total = if size < header_size {
                header_size
            } else {
                v.bytes.len()
            };
            let framing = next_frame(&v.bytes[..size], &context);
            assert_eq!(framing, Ok(Framing::NeedMore { total }), "{}", v.name);
        }
    }
}

/// Packets without a variable part refuse every other length, and so do all others beyond their
/// limits. The length is the last field but the pad in all headers.
#[test]
fn impossible_lengths() {
    for v in vectors() {
        let context = v.context();
        let header = context.header_format().parse(&v.bytes).unwrap();
        let command = header.command;
        let fixed = match command {
            Command::Data | Command::DataReply | Command::RsDataReply | Command::WriteSame => {
                continue
            }
            // 8-byte headers can't tell such lengths; test them where they can be told.
            _ if context.header_format() != HeaderFormat::H100 => continue,
            Command::Protocol
            | Command::ProtocolUpdate
            | Command::AuthChallenge
            | Command::AuthResponse
            | Command::CsumRsRequest
            | Command::OvReply
            | Command::Bitmap
            | Command::CompressedBitmap => false,
            _ => true,
        };
        let lengths: &[u32] = if fixed {
            &[
                header.length.wrapping_sub(1),
                header.length + 1,
                4081,
                u32::MAX,
            ]
        } else {
            &[4081, 65536, u32::MAX]
        };
        for length in lengths {
            let error = check::layout(
                &Header {
                    length: *length,
                    ..header
                },
                &context,
            );
            let bad = WireError::BadLength {
                command,
                length: *length,
            };
            assert_eq!(error, Err(bad), "{}", v.name);
        }
    }
}

#[test]
fn least_lengths() {
    let context = |phase| Context {
        phase,
        ..context(Socket::Data, full())
    };
    let cases = [
        (Command::Protocol, Phase::Established, 25),
        (Command::ProtocolUpdate, Phase::Established, 25),
        (Command::AuthChallenge, Phase::AuthChallenge, 64),
        (Command::AuthResponse, Phase::AuthResponse, 1),
        (Command::CsumRsRequest, Phase::Established, 25),
        (Command::OvReply, Phase::Established, 25),
        (Command::CompressedBitmap, Phase::Established, 2),
        (Command::Data, Phase::Established, 24),
        (Command::WriteSame, Phase::Established, 28),
    ];
    for (command, phase, least) in cases {
        let header = |length| Header {
            command,
            length,
            volume: 0,
        };
        assert!(
            check::layout(&header(least), &context(phase)).is_ok(),
            "{command}"
        );
        assert_eq!(
            check::layout(&header(least - 1), &context(phase)),
            Err(WireError::BadLength {
                command,
                length: least - 1
            }),
        );
    }
}

#[test]
fn greatest_lengths() {
    let cases = [
        (Command::Protocol, Phase::Established, 88),
        (Command::AuthChallenge, Phase::AuthChallenge, 128),
        (Command::AuthResponse, Phase::AuthResponse, 64),
        (Command::CsumRsRequest, Phase::Established, 88),
        (Command::OvReply, Phase::Established, 88),
        (Command::Bitmap, Phase::Established, 4080),
        (Command::CompressedBitmap, Phase::Established, 4080),
        (Command::Data, Phase::Established, 24 + 20 + (1 << 20)),
        (
            Command::RsDataReply,
            Phase::Established,
            24 + 20 + (1 << 20),
        ),
        (Command::WriteSame, Phase::Established, 28 + 20 + (1 << 20)),
    ];
    for (command, phase, greatest) in cases {
        let context = Context {
            phase,
            digest_size: 20,
            ..context(Socket::Data, full())
        };
        let header = |length| Header {
            command,
            length,
            volume: 0,
        };
        let layout = check::layout(&header(greatest), &context).unwrap();
        assert_eq!(layout.control + layout.bulk, greatest, "{command}");
        assert!(layout.control <= Layout::CONTROL_SIZE_MAX);
        assert!(
            check::layout(&header(greatest + 1), &context).is_err(),
            "{command}"
        );
    }
}

#[test]
fn names_and_numbers_are_told_apart() {
    let mut numbers = BTreeSet::new();
    let mut names = BTreeSet::new();
    for command in Command::ALL {
        assert_eq!(Command::try_from(command.number()), Ok(*command));
        assert!(numbers.insert(command.number()));
        assert!(names.insert(command.name()));
        assert!(command.name().starts_with("P_"));
    }
    for number in 0..=u16::MAX {
        if !numbers.contains(&number) {
            assert_eq!(
                Command::try_from(number),
                Err(WireError::UnknownCommand(number))
            );
        }
    }
}
