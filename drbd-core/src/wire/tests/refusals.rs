// SPDX-License-Identifier: GPL-2.0
//! What a receiver rejects, and what it does then (docs/protocol.md, "What a receiver rejects").

use super::vectors::vectors;
use super::*;

fn header(command: Command, length: u32) -> Header {
    Header {
        command,
        length,
        volume: 0,
    }
}

#[test]
fn bad_headers() {
    let good = hex("86 20 ec 20 00 00 00 13 00 00 00 00 00 00 00 00");
    assert!(HeaderFormat::H100.parse(&good).is_ok());
    for (at, bit, error) in [
        (0, 0x01, WireError::BadMagic(0x8720_ec20)),
        (3, 0x80, WireError::BadMagic(0x8620_eca0)),
        (12, 0x40, WireError::BadHeaderPad(0x4000_0000)),
        (15, 0x01, WireError::BadHeaderPad(1)),
        (7, 0x40, WireError::UnknownCommand(0x53)),
    ] {
        let mut bad = good.clone();
        bad[at] ^= bit;
        assert_eq!(HeaderFormat::H100.parse(&bad), Err(error));
    }
    // A header of another version is none of ours.
    assert_eq!(
        HeaderFormat::H80.parse(&good),
        Err(WireError::BadMagic(0x8620_ec20))
    );
    let old = hex("83 74 02 67 00 13 00 00 00 00 00 00 00 00 00 00");
    assert_eq!(
        HeaderFormat::H100.parse(&old),
        Err(WireError::BadMagic(0x8374_0267))
    );
}

#[test]
fn short_headers_are_taken_in_both_forms() {
    for format in [HeaderFormat::H80, HeaderFormat::H95] {
        let expected = Ok(header(Command::Data, 0x18));
        assert_eq!(format.parse(&hex("83 74 02 67 00 00 00 18")), expected);
        assert_eq!(format.parse(&hex("83 5a 00 00 00 00 00 18")), expected);
    }
}

#[test]
fn the_sender_picks_the_short_header() {
    let mut out = [0; 16];
    let mut emit = |format: HeaderFormat, length| {
        format.emit(&header(Command::Data, length), &mut out)?;
        Ok((out[0], out[1]))
    };
    assert_eq!(emit(HeaderFormat::H80, 65535), Ok((0x83, 0x74)));
    assert_eq!(
        emit(HeaderFormat::H80, 65536),
        Err(WireError::LengthTooBig(65536))
    );
    assert_eq!(emit(HeaderFormat::H95, 32768), Ok((0x83, 0x74)));
    assert_eq!(emit(HeaderFormat::H95, 32769), Ok((0x83, 0x5a)));
    assert_eq!(emit(HeaderFormat::H95, u32::MAX), Ok((0x83, 0x5a)));
    assert_eq!(emit(HeaderFormat::H100, 0), Ok((0x86, 0x20)));
}

#[test]
fn header_format_follows_the_version() {
    assert_eq!(
        HeaderFormat::of(ProtocolVersion::INITIAL),
        HeaderFormat::H80
    );
    for version in 86..=101 {
        let expected = match version {
            86..=94 => HeaderFormat::H80,
            95..=99 => HeaderFormat::H95,
            _ => HeaderFormat::H100,
        };
        assert_eq!(HeaderFormat::of(agreed(version, 0).version), expected);
    }
}

/// Every packet is refused on the other socket and in the other phases.
#[test]
fn each_packet_has_its_place() {
    let phases = [
        Phase::Opening,
        Phase::Features,
        Phase::AuthChallenge,
        Phase::AuthResponse,
        Phase::Established,
        Phase::Bitmap { volume: 0 },
    ];
    for v in vectors()
        .iter()
        .filter(|v| v.agreed == full() || v.agreed == Agreed::INITIAL)
    {
        let own = v.context();
        let command = v.packet.command(&v.agreed);
        let mut head = own.header_format().parse(&v.bytes).unwrap();
        head.volume = 0;
        for phase in phases {
            for socket in [Socket::Data, Socket::Meta] {
                let there = Context {
                    socket,
                    phase,
                    ..own
                };
                let is_bitmap = matches!(command, Command::Bitmap | Command::CompressedBitmap);
                let allowed = match phase {
                    Phase::Opening => own.phase == phase,
                    Phase::Bitmap { .. } if socket == Socket::Data => is_bitmap,
                    Phase::Established | Phase::Bitmap { .. } => {
                        own.phase == Phase::Established && own.socket == socket
                    }
                    _ => own.phase == phase,
                };
                match check::layout(&head, &there) {
                    Ok(_) => assert!(allowed, "{command} came through at {phase:?} {socket:?}"),
                    Err(WireError::WrongPhase(c) | WireError::WrongSocket(c)) => {
                        assert_eq!(c, command);
                        assert!(!allowed, "{command} refused at {phase:?} {socket:?}");
                    }
                    Err(other) => panic!("{command}: {other}"),
                }
            }
        }
    }
}

#[test]
fn delay_probes_come_on_both_sockets() {
    for socket in [Socket::Data, Socket::Meta] {
        let layout = check::layout(&header(Command::DelayProbe, 8), &context(socket, full()));
        assert_eq!(
            layout,
            Ok(Layout {
                control: 8,
                bulk: 0
            })
        );
    }
}

#[test]
fn a_bitmap_is_of_one_volume() {
    let within = Context {
        phase: Phase::Bitmap { volume: 2 },
        ..context(Socket::Data, full())
    };
    let of = |volume| Header {
        volume,
        ..header(Command::Bitmap, 8)
    };
    assert!(check::layout(&of(2), &within).is_ok());
    assert_eq!(
        check::layout(&of(1), &within),
        Err(WireError::WrongPhase(Command::Bitmap))
    );
}

#[test]
fn packets_belong_to_versions_and_features() {
    // (packet, length, lowest version, feature)
    let cases = [
        (Command::OvRequest, 24, 88, 0),
        (Command::OvReply, 28, 88, 0),
        (Command::OvResult, 24, 88, 0),
        (Command::CsumRsRequest, 28, 89, 0),
        (Command::RsIsInSync, 24, 89, 0),
        (Command::CompressedBitmap, 8, 90, 0),
        (Command::DelayProbe, 8, 93, 0),
        (Command::OutOfSync, 16, 96, 0),
        (Command::RsCancel, 24, 96, 0),
        (Command::ConnStChgReq, 8, 100, 0),
        (Command::ConnStChgReply, 4, 100, 0),
        (Command::RetryWrite, 24, 100, 0),
        (Command::ProtocolUpdate, 25, 100, 0),
        (Command::Trim, 28, 86, 0),
        (Command::RsThinReq, 24, 86, 2),
        (Command::RsDeallocated, 16, 86, 2),
        (Command::WriteSame, 540, 86, 4),
        (Command::Zeroes, 28, 86, 8),
        (Command::WriteAck, 24, 86, 0),
        (Command::Barrier, 8, 86, 0),
    ];
    for (command, length, lowest, feature) in cases {
        for version in 86..=101 {
            for features in 0..16 {
                let (socket, _) = home(command);
                let there = context(socket, agreed(version, features));
                let layout = check::layout(&header(command, length), &there);
                if version >= lowest && features & feature == feature {
                    assert!(layout.is_ok(), "{command} at {version}/{features}");
                } else {
                    assert_eq!(layout, Err(WireError::NotAgreed(command)));
                }
            }
        }
    }
}

#[test]
fn resync_parameters_have_the_packet_and_length_of_their_version() {
    for version in 86..=101 {
        let there = context(Socket::Data, agreed(version, 0));
        for command in [Command::SyncParam, Command::SyncParam89] {
            for length in 0..200 {
                let fits = match version {
                    86 | 87 => length == 4,
                    88 => (5..=68).contains(&length),
                    89..=94 => length == 132,
                    _ => length == 148,
                };
                let right = (version < 89) == (command == Command::SyncParam);
                let layout = check::layout(&header(command, length), &there);
                assert_eq!(
                    layout.is_ok(),
                    fits && right,
                    "{version} {command} {length}"
                );
            }
        }
    }
}

#[test]
fn sizes_have_the_length_of_their_features() {
    for (features, right, wrong) in [(0xb, 32, 56), (0x4, 56, 32)] {
        let there = context(Socket::Data, agreed(101, features));
        assert!(check::layout(&header(Command::Sizes, right), &there).is_ok());
        assert!(check::layout(&header(Command::Sizes, wrong), &there).is_err());
    }
}

#[test]
fn reactions() {
    let at = |socket, phase| Context {
        phase,
        ..context(socket, full())
    };
    let unknown = WireError::UnknownCommand(0x99);
    let magic = WireError::BadMagic(0);
    let length = WireError::BadLength {
        command: Command::State,
        length: 5,
    };
    let setting = WireError::BadSetting {
        what: "protocol",
        value: 9,
    };
    let cases = [
        (
            Socket::Data,
            Phase::Established,
            unknown,
            Reaction::ProtocolError,
        ),
        (
            Socket::Data,
            Phase::Established,
            magic,
            Reaction::ProtocolError,
        ),
        (
            Socket::Data,
            Phase::Established,
            length,
            Reaction::ProtocolError,
        ),
        (
            Socket::Data,
            Phase::Established,
            setting,
            Reaction::Disconnecting,
        ),
        (
            Socket::Data,
            Phase::Bitmap { volume: 0 },
            length,
            Reaction::ProtocolError,
        ),
        (
            Socket::Meta,
            Phase::Established,
            unknown,
            Reaction::Disconnecting,
        ),
        (
            Socket::Meta,
            Phase::Established,
            WireError::WrongSocket(Command::Data),
            Reaction::Disconnecting,
        ),
        (
            Socket::Meta,
            Phase::Established,
            magic,
            Reaction::NetworkFailure,
        ),
        (
            Socket::Meta,
            Phase::Established,
            length,
            Reaction::NetworkFailure,
        ),
        (Socket::Data, Phase::Opening, unknown, Reaction::CloseSocket),
        (Socket::Data, Phase::Features, magic, Reaction::Retry),
        (
            Socket::Data,
            Phase::Features,
            unknown,
            Reaction::Disconnecting,
        ),
        (
            Socket::Data,
            Phase::Features,
            length,
            Reaction::Disconnecting,
        ),
        (
            Socket::Data,
            Phase::Features,
            WireError::NoCommonVersion,
            Reaction::Disconnecting,
        ),
        (
            Socket::Data,
            Phase::AuthChallenge,
            WireError::Reflection,
            Reaction::Disconnecting,
        ),
        (
            Socket::Data,
            Phase::AuthChallenge,
            length,
            Reaction::Disconnecting,
        ),
        (Socket::Data, Phase::AuthResponse, length, Reaction::Retry),
        (
            Socket::Data,
            Phase::AuthResponse,
            WireError::BadResponse,
            Reaction::Disconnecting,
        ),
    ];
    for (socket, phase, error, reaction) in cases {
        assert_eq!(
            at(socket, phase).reaction(&error),
            reaction,
            "{socket:?} {phase:?} {error}"
        );
    }
}

#[test]
fn volumes_that_may_be_unknown() {
    let skipped = [
        Command::SyncParam,
        Command::SyncParam89,
        Command::Sizes,
        Command::Uuids,
        Command::State,
    ];
    let connection = [
        Command::Ping,
        Command::PingAck,
        Command::Barrier,
        Command::BarrierAck,
        Command::Protocol,
        Command::ProtocolUpdate,
        Command::AuthChallenge,
        Command::AuthResponse,
        Command::ConnStChgReq,
        Command::ConnStChgReply,
        Command::UnplugRemote,
        Command::DelayProbe,
        Command::InitialData,
        Command::InitialMeta,
        Command::ConnectionFeatures,
    ];
    for command in Command::ALL {
        let expected = if skipped.contains(command) {
            Scope::VolumeOrSkip
        } else if connection.contains(command) {
            Scope::Connection
        } else {
            Scope::Volume
        };
        assert_eq!(command.scope(), expected, "{command}");
    }
}

#[test]
fn ranges() {
    let max = block::BIO_SIZE_MAX;
    assert!(BlockRange::new(0, 512, max).is_ok());
    assert!(BlockRange::new(0, max, max).is_ok());
    for size in [0, 1, 511, 513, max + 512, u32::MAX] {
        assert_eq!(BlockRange::new(0, size, max), Err(WireError::BadSize(size)));
    }
    let last = u64::MAX - 1;
    assert!(BlockRange::new(last, 512, max).is_ok());
    assert_eq!(
        BlockRange::new(last, 1024, max),
        Err(WireError::BadSector(last))
    );
    let r = range(8, 4096);
    assert_eq!((r.end(), r.sectors()), (16, 8));
    assert!(r.fits(16) && !r.fits(15));
    assert!(r.overlaps(&range(15, 512)) && !r.overlaps(&range(16, 512)));
    assert!(!r.overlaps(&range(0, 4096)) && r.overlaps(&range(0, 4608)));
    assert!(r.contains(&range(15, 512)) && !r.contains(&range(15, 1024)));
}

/// Sizes that the header alone cannot tell to be wrong.
#[test]
fn bad_sizes_of_blocks() {
    let there = context(Socket::Data, full());
    let decode = |command: Command, bulk, control: &[u8]| {
        let control_size = u32::try_from(control.len()).unwrap();
        let frame = Frame {
            header: header(command, control_size + bulk),
            control,
            consumed: 16 + control.len(),
            bulk,
        };
        Packet::decode(&frame, &there).err()
    };
    let data = [0; 24];
    for bulk in [0, 1, 511, 4097, (1 << 20) + 512] {
        for command in [Command::Data, Command::DataReply, Command::RsDataReply] {
            assert_eq!(decode(command, bulk, &data), Some(WireError::BadSize(bulk)));
        }
    }
    let mut trim = [0; 28];
    for size in [0, 513, (128 << 20) + 512] {
        trim[24..].copy_from_slice(&u32::to_be_bytes(size));
        for command in [Command::Trim, Command::Zeroes] {
            assert_eq!(decode(command, 0, &trim), Some(WireError::BadSize(size)));
        }
    }
    trim[24..].copy_from_slice(&u32::to_be_bytes(8192));
    assert_eq!(decode(Command::WriteSame, 4096, &trim), None);
    for block in [0, 100, 3 * 512] {
        assert_eq!(
            decode(Command::WriteSame, block, &trim),
            Some(WireError::BadSize(block))
        );
    }
    let mut request = [0; 24];
    for size in [0, 100, (1 << 20) + 512] {
        request[16..20].copy_from_slice(&u32::to_be_bytes(size));
        for command in [
            Command::DataRequest,
            Command::RsDataRequest,
            Command::OvRequest,
        ] {
            assert_eq!(decode(command, 0, &request), Some(WireError::BadSize(size)));
        }
    }
    // The last sector there is, and two sectors.
    request[..8].fill(0xff);
    request[16..20].copy_from_slice(&u32::to_be_bytes(1024));
    assert_eq!(
        decode(Command::DataRequest, 0, &request),
        Some(WireError::BadSector(u64::MAX))
    );
}

#[test]
fn pads_are_ignored() {
    for (name, from, to) in [
        ("resync request", 36, 40),
        ("barrier 7", 20, 24),
        ("out of sync", 28, 32),
        ("deallocated", 28, 32),
        ("features of the reference", 20, 80),
        ("sizes with queue limits", 71, 72),
        ("data reply", 32, 40),
    ] {
        let v = vectors().into_iter().find(|v| v.name == name).unwrap();
        let mut bytes = v.bytes.clone();
        bytes[from..to].fill(0xff);
        let (packet, _) = read(&bytes, &v.context()).unwrap();
        assert_eq!(packet, v.packet, "{name}");
    }
}
