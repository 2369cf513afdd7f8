// SPDX-License-Identifier: GPL-2.0
//! Agreement on version and features, authentication, settings, flags of writes.

use std::format;

use super::super::auth::{check_challenge, check_response};
use super::vectors::{vectors, CHALLENGE, RESPONSE};
use super::*;
use crate::config::words::Protocol;
use crate::digest::Digest;

fn offer(min: u32, max: u32, features: u32) -> ConnectionFeatures {
    ConnectionFeatures {
        protocol_min: min,
        protocol_max: max,
        features: FeatureFlags::from_bits(features),
    }
}

#[test]
fn what_we_announce() {
    assert_eq!(ConnectionFeatures::OWN, offer(86, 101, 0));
}

#[test]
fn agreement() {
    let own = offer(86, 101, 0xf);
    let cases = [
        (offer(86, 101, 0xf), Some((101, 0xf))),
        (offer(86, 101, 0), Some((101, 0))),
        (offer(80, 99, 0xff0a), Some((99, 0xa))),
        (offer(86, 86, 1), Some((86, 1))),
        (offer(101, 120, 0xffff_ffff), Some((101, 0xf))),
        (offer(0, u32::MAX, 0), Some((101, 0))),
        (offer(102, 120, 0xf), None),
        (offer(1, 85, 0xf), None),
        (offer(0, 0, 0), None),
    ];
    for (peer, expected) in cases {
        let result = own.agree(&peer);
        match expected {
            Some((version, features)) => assert_eq!(result, Ok(agreed(version, features))),
            None => assert_eq!(result, Err(WireError::NoCommonVersion)),
        }
    }
}

#[test]
fn no_highest_version_means_the_lowest() {
    let mut bytes = [0; 72];
    offer(90, 0, 0).emit(&mut bytes).unwrap();
    assert_eq!(ConnectionFeatures::parse(&bytes), Ok(offer(90, 90, 0)));
}

/// A peer whose range is upside down gets nothing that we don't speak.
#[test]
fn an_impossible_offer_is_refused() {
    assert_eq!(
        offer(86, 101, 0).agree(&offer(90, 80, 0)),
        Err(WireError::NoCommonVersion)
    );
}

#[test]
fn versions_by_number() {
    let first = |has: fn(ProtocolVersion) -> bool| {
        (86..=101).find(|n| has(ProtocolVersion::new(*n).unwrap()))
    };
    assert_eq!(first(ProtocolVersion::has_integrity_alg), Some(87));
    assert_eq!(first(ProtocolVersion::has_verify), Some(88));
    assert_eq!(first(ProtocolVersion::has_csums), Some(89));
    assert_eq!(first(ProtocolVersion::has_compressed_bitmap), Some(90));
    assert_eq!(first(ProtocolVersion::has_uuid_repair), Some(91));
    assert_eq!(first(ProtocolVersion::has_dry_run), Some(92));
    assert_eq!(first(ProtocolVersion::has_resize_without_resync), Some(93));
    assert_eq!(first(ProtocolVersion::has_big_packets), Some(95));
    assert_eq!(first(ProtocolVersion::has_ahead_behind), Some(96));
    assert_eq!(first(ProtocolVersion::has_verify_stop_sector), Some(97));
    assert_eq!(first(ProtocolVersion::has_volumes), Some(100));
    assert!(!agreed(100, 0).version.has_verify_stop_sector());
    assert!(agreed(101, 0).version.has_verify_stop_sector());
    assert_eq!(ProtocolVersion::new(85), None);
    assert_eq!(ProtocolVersion::new(102), None);
    assert_eq!(ProtocolVersion::new(86 + 256), None);
}

#[test]
fn write_sizes_by_version() {
    let k = 1 << 10;
    // (version, the peer's max_bio_size, largest write)
    for (version, peer, expected) in [
        (86, 4 * k, 4 * k),
        (93, 1024 * k, 32 * k),
        (93, 0, 4 * k),
        (94, 4 * k, 32 * k),
        (95, 4 * k, 128 * k),
        (99, 1024 * k, 1024 * k),
        (99, u32::MAX, 1024 * k),
        (100, 4 * k, 1024 * k),
        (101, 1024 * k, 1024 * k),
    ] {
        let v = agreed(version, 0).version;
        assert_eq!(v.write_size_max(peer), expected, "{version} {peer}");
        // What is allowed can be told in a header.
        let packet = Packet::Data(Data {
            range: range(0, v.write_size_max(peer)),
            block_id: BlockId::ZERO,
            seq_num: 0,
            flags: DpFlags::NONE,
        });
        assert!(packet
            .emit(0, &agreed(version, 0), 64, &mut [0; 64])
            .is_ok());
    }
    for (version, expected) in [(94, 32 * k), (95, 128 * k), (99, 128 * k), (100, 1024 * k)] {
        assert_eq!(
            agreed(version, 0).version.announced_bio_size(1024 * k),
            expected
        );
        assert_eq!(agreed(version, 0).version.announced_bio_size(512), 512);
    }
}

#[test]
fn feature_flags_in_words() {
    assert_eq!(
        format!("{}", FeatureFlags::from_bits(0xf)),
        "0xf TRIM THIN_RESYNC WRITE_SAME WRITE_ZEROES"
    );
    assert_eq!(format!("{}", FeatureFlags::SUPPORTED), "0x0 none");
}

/// The sheet's HMAC-SHA1 and HMAC-SHA256 over [`CHALLENGE`] with the secret `secret`.
const HMAC_SHA256: [u8; 32] = [
    0x5f, 0x5d, 0x48, 0x5f, 0x22, 0x28, 0x77, 0x6a, 0xd7, 0x71, 0x0a, 0xa4, 0x7d, 0x15, 0xa4, 0xd6,
    0x17, 0x44, 0xdb, 0xb9, 0xa2, 0xa3, 0xe5, 0x64, 0x7f, 0x5a, 0x1b, 0xbf, 0xcf, 0x80, 0x15, 0xe1,
];

#[test]
fn a_challenge_must_be_one_and_not_our_own() {
    let check = |bytes: &[u8]| check_challenge(&CHALLENGE, &Packet::AuthChallenge(bytes)).is_ok();
    let refused =
        |bytes: &[u8]| check_challenge(&CHALLENGE, &Packet::AuthChallenge(bytes)).map(<[u8]>::len);
    let mut longer = CHALLENGE.to_vec();
    longer.extend([0; 64]);
    let mut other = CHALLENGE;
    other[63] ^= 1;
    assert!(check(&other));
    // All of a longer one is answered.
    let mut long = other.to_vec();
    long.extend([7; 64]);
    assert_eq!(
        check_challenge(&CHALLENGE, &Packet::AuthChallenge(&long)),
        Ok(long.as_slice())
    );
    assert_eq!(refused(&CHALLENGE), Err(WireError::Reflection));
    assert_eq!(refused(&longer), Err(WireError::Reflection));
    assert_eq!(refused(&other[..63]), Err(WireError::Truncated));
    // A peer that is not asked to authenticate goes on with its settings.
    assert_eq!(
        check_challenge(&CHALLENGE, &Packet::Ping),
        Err(WireError::WrongPhase(Command::Ping))
    );
}

#[test]
fn only_the_right_answer_authenticates() {
    for right in [RESPONSE.as_slice(), &HMAC_SHA256] {
        let expected = Digest::new(right).expect("a digest");
        let check = |bytes: &[u8]| check_response(&expected, &Packet::AuthResponse(bytes));
        assert_eq!(check(right), Ok(()));
        for at in 0..right.len() {
            let mut wrong = right.to_vec();
            wrong[at] ^= 0x10;
            assert_eq!(check(&wrong), Err(WireError::BadResponse));
            assert!(matches!(
                check(&right[..at]),
                Err(WireError::BadLength { .. })
            ));
        }
        assert_eq!(
            check_response(&expected, &Packet::AuthChallenge(&CHALLENGE)),
            Err(WireError::WrongPhase(Command::AuthChallenge))
        );
    }
}

#[test]
fn settings_that_nobody_has() {
    let v = vectors()
        .into_iter()
        .find(|v| v.name == "protocol C")
        .unwrap();
    for (at, what, values) in [
        (19, "protocol", [0, 4]),
        (23, "after-sb-0pri", [7, 11]),
        (27, "after-sb-1pri", [5, 11]),
        (31, "after-sb-2pri", [7, 11]),
        (39, "allow-two-primaries", [2, 255]),
    ] {
        for value in values {
            let mut bytes = v.bytes.clone();
            bytes[at] = value;
            let value = u32::from(value);
            let error = WireError::BadSetting { what, value };
            assert_eq!(read(&bytes, &v.context()).err(), Some(error));
            assert_eq!(v.context().reaction(&error), Reaction::Disconnecting);
        }
    }
}

#[test]
fn names() {
    let mut bytes = [0; 88];
    bytes[3] = 3;
    let mut parse = |name: &[u8]| {
        let end = 24 + name.len();
        bytes[24..end].copy_from_slice(name);
        let version = ProtocolVersion::MAX;
        ProtocolSettings::parse(&bytes[..end], version).map(|p| p.integrity_alg.unwrap().len())
    };
    assert_eq!(parse(b"\0"), Ok(0));
    assert_eq!(parse(b"crc32c\0"), Ok(6));
    assert_eq!(parse(b"hmac(sha1-ssse3)\0"), Ok(16));
    assert_eq!(parse(&[&[b'a'; 63][..], b"\0"].concat()), Ok(63));
    // What follows the NUL is ignored, as the reference does.
    assert_eq!(parse(b"md5\0junk"), Ok(3));
    for bad in [
        &b""[..],
        b"md5",
        b"a b\0",
        b"a\n\0",
        b"\x80\0",
        b"\x1b[2J\0",
        &[b'a'; 64],
    ] {
        assert_eq!(parse(bad), Err(WireError::BadName), "{bad:?}");
    }
    let mut param = [0; 148];
    param[67] = b'a';
    assert_eq!(
        SyncParam::parse(&param, ProtocolVersion::MAX),
        Err(WireError::BadName)
    );
}

#[test]
fn names_that_are_not_sent() {
    let long = "a".repeat(64);
    for name in [&*long, "a b", "a\0"] {
        let param = SyncParam {
            resync_rate: 1,
            verify_alg: Some(name),
            csums_alg: None,
            controller: None,
        };
        let mut out = [0; 200];
        assert_eq!(
            param.emit(ProtocolVersion::MAX, &mut out),
            Err(WireError::BadName)
        );
    }
}

/// A huge plan would become a huge table.
#[test]
fn plans_are_limited() {
    let mut bytes = [0; 148];
    for (steps, ok) in [(0, true), (300, true), (301, false), (u32::MAX, false)] {
        bytes[132..136].copy_from_slice(&u32::to_be_bytes(steps));
        assert_eq!(
            SyncParam::parse(&bytes, ProtocolVersion::MAX).is_ok(),
            ok,
            "{steps}"
        );
    }
}

#[test]
fn limits_are_sent_exactly_if_agreed() {
    let sizes = Sizes {
        d_size: 1,
        u_size: 0,
        c_size: 1,
        max_bio_size: 4096,
        dds_forced: false,
        dds_no_resync: false,
        limits: None,
    };
    let mut out = [0; 56];
    assert_eq!(sizes.emit(&agreed(101, 0), &mut out), Ok(32));
    assert!(sizes.emit(&full(), &mut out).is_err());
}

#[test]
fn acks_by_protocol() {
    use AckWanted as W;
    for (protocol, in_resync, expected, receive, write) in [
        (Protocol::A, false, W::None, false, false),
        (Protocol::B, false, W::Receive, true, false),
        (Protocol::C, false, W::Write, false, true),
        (Protocol::A, true, W::Write, false, true),
        (Protocol::B, true, W::ReceiveAndWrite, true, true),
        (Protocol::C, true, W::Write, false, true),
    ] {
        let wanted = AckWanted::of(protocol, in_resync);
        assert_eq!(wanted, expected);
        assert_eq!((wanted.receive(), wanted.write()), (receive, write));
    }
}

fn write(op: WriteOp) -> WriteFlags {
    WriteFlags {
        op,
        sync: true,
        fua: true,
        preflush: true,
        may_set_in_sync: true,
        ack: AckWanted::Write,
    }
}

#[test]
fn flags_by_version() {
    let all = write(WriteOp::Write);
    assert_eq!(all.to_wire(&agreed(94, 0)).bits(), 2 | 4);
    assert_eq!(all.to_wire(&agreed(95, 0)).bits(), 2 | 4 | 16 | 32);
    assert_eq!(all.to_wire(&agreed(100, 0)).bits(), 2 | 4 | 16 | 32 | 256);
    let none = WriteFlags {
        sync: false,
        fua: false,
        preflush: false,
        may_set_in_sync: false,
        ack: AckWanted::None,
        op: WriteOp::Write,
    };
    assert_eq!(none.to_wire(&full()), DpFlags::NONE);
    let b = WriteFlags {
        ack: AckWanted::ReceiveAndWrite,
        ..none
    };
    assert_eq!(b.to_wire(&full()).bits(), 128 | 256);
}

#[test]
fn operations_by_feature() {
    let plain = agreed(101, 1);
    let cases = [
        (WriteOp::Write, full(), Command::Data, 0),
        (WriteOp::Discard, full(), Command::Trim, 64),
        (WriteOp::Discard, plain, Command::Trim, 64),
        (WriteOp::WriteSame, full(), Command::WriteSame, 512),
        (
            WriteOp::WriteZeroes { unmap: false },
            full(),
            Command::Zeroes,
            1024,
        ),
        (
            WriteOp::WriteZeroes { unmap: true },
            full(),
            Command::Zeroes,
            1024 | 64,
        ),
        (
            WriteOp::WriteZeroes { unmap: true },
            plain,
            Command::Trim,
            64,
        ),
        (
            WriteOp::WriteZeroes { unmap: false },
            plain,
            Command::Trim,
            64,
        ),
    ];
    for (op, agreed, command, bits) in cases {
        assert_eq!(op.command(&agreed), command);
        let flags = write(op).to_wire(&agreed);
        assert_eq!(flags.bits() & (64 | 512 | 1024), bits);
        let back = WriteFlags::from_wire(command, flags, &agreed, Protocol::C).unwrap();
        let zeroed = matches!(op, WriteOp::WriteZeroes { .. }) || op == WriteOp::Discard;
        if agreed == plain && zeroed {
            // It may have been meant as zeroes.
            assert_eq!(back.op, WriteOp::WriteZeroes { unmap: true });
        } else {
            assert_eq!(back, write(op));
        }
    }
}

#[test]
fn old_versions_ack_by_configuration() {
    for (version, protocol, bits, expected) in [
        (99, Protocol::A, 0, AckWanted::None),
        (99, Protocol::B, 256, AckWanted::Receive),
        (99, Protocol::C, 0, AckWanted::Write),
        (100, Protocol::C, 0, AckWanted::None),
        (100, Protocol::A, 384, AckWanted::ReceiveAndWrite),
    ] {
        let flags = DpFlags::from_bits(bits);
        let agreed = agreed(version, 0);
        let back = WriteFlags::from_wire(Command::Data, flags, &agreed, protocol).unwrap();
        assert_eq!(back.ack, expected, "{version} {protocol:?}");
    }
}

#[test]
fn flags_must_suit_the_packet() {
    for (command, bits) in [
        (Command::Data, 64),
        (Command::Data, 512),
        (Command::Data, 1024),
        (Command::Trim, 1024),
        (Command::Trim, 512 | 64),
        (Command::Zeroes, 512 | 1024),
        (Command::WriteSame, 512 | 64),
        (Command::WriteSame, 512 | 1024),
    ] {
        let flags = DpFlags::from_bits(bits);
        let result = WriteFlags::from_wire(command, flags, &full(), Protocol::C);
        assert_eq!(result, Err(WireError::BadFlags(bits)), "{command}");
    }
    // Bits without a name are no reason to refuse.
    let flags = DpFlags::from_bits(0xffff_f800);
    assert!(WriteFlags::from_wire(Command::Data, flags, &full(), Protocol::C).is_ok());
    assert!(WriteFlags::from_wire(Command::State, flags, &full(), Protocol::C).is_err());
}

#[test]
fn handles_are_echoed_as_bytes() {
    let id = BlockId::from_u64(0x0102_0304_0506_0708);
    assert_eq!(id.to_u64(), 0x0102_0304_0506_0708);
    assert!(!id.is_syncer() && BlockId::SYNCER.is_syncer());
    assert_eq!(BarrierNr::from_epoch(7).epoch(), 7);
    assert_eq!(BarrierNr::from_epoch(0x0102_0304).0, [4, 3, 2, 1]);
}
