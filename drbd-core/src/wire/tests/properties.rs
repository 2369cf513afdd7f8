// SPDX-License-Identifier: GPL-2.0
//! Properties of all formats: round trips, and foreign bytes.

use std::vec;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::auth::CHALLENGE_SIZE;
use super::super::block::{BIO_SIZE_MAX, DISCARD_SIZE_MAX};
use super::*;
use crate::config::words::{AfterSb0p, AfterSb1p, AfterSb2p, Protocol};
use crate::state::{Change, ChangeWords, Conn, DeviceState, Disk, Role};
use crate::vli::tests::cases;

/// Bytes to borrow digests, challenges and words from.
static BYTES: [u8; 4096] = {
    let mut bytes = [0; 4096];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = (i * 7 % 251) as u8;
        i += 1;
    }
    bytes
};

fn bytes(size: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = &'static [u8]> {
    (size, 0..100_usize).prop_map(|(size, from)| {
        let from = from.min(BYTES.len() - size);
        &BYTES[from..from + size]
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "md5",
        "crc32c",
        "hmac(sha256)",
        "sixty-three-characters-are-the-most-that-a-name-may-have-in-here",
    ])
    .prop_map(|name| &name[..name.len().min(63)])
}

fn any_range(size_max: u32) -> impl Strategy<Value = BlockRange> {
    let sectors = prop_oneof![1..=8_u32, 1..=size_max / 512];
    (0..=u64::MAX >> 1, sectors)
        .prop_map(move |(sector, n)| BlockRange::new(sector, n * 512, size_max).unwrap())
}

fn id() -> impl Strategy<Value = BlockId> {
    prop_oneof![any::<[u8; 8]>().prop_map(BlockId), Just(BlockId::SYNCER)]
}

fn dp_flags() -> impl Strategy<Value = DpFlags> {
    any::<u32>().prop_map(DpFlags::from_bits)
}

fn any_agreed() -> impl Strategy<Value = Agreed> {
    (86..=101_u32, 0..16_u32).prop_map(|(version, features)| agreed(version, features))
}

fn settings(agreed: Agreed) -> impl Strategy<Value = ProtocolSettings<'static>> {
    let pick = |max: u32| 0..=max;
    (
        1..=3_u32,
        pick(6),
        select(vec![0, 7, 8, 9, 10_u32]),
        select(vec![0, 9, 10_u32]),
        any::<[bool; 3]>(),
        name(),
    )
        .prop_map(
            move |(protocol, a0, a1, a2, flags, name)| ProtocolSettings {
                protocol: Protocol::from_number(protocol).unwrap(),
                after_sb_0p: AfterSb0p::from_number(a0).unwrap(),
                after_sb_1p: AfterSb1p::from_number(a1).unwrap(),
                after_sb_2p: AfterSb2p::from_number(a2).unwrap(),
                discard_my_data: flags[0],
                dry_run: flags[1],
                two_primaries: flags[2],
                integrity_alg: agreed.version.has_integrity_alg().then_some(name),
            },
        )
}

fn sync_param(agreed: Agreed) -> impl Strategy<Value = SyncParam<'static>> {
    let v = agreed.version;
    (any::<[u32; 4]>(), 0..=300_u32, name(), name()).prop_map(move |(n, plan, verify, csums)| {
        SyncParam {
            resync_rate: n[0],
            verify_alg: v.has_verify().then_some(verify),
            csums_alg: v.has_csums().then_some(csums),
            controller: v.has_big_packets().then_some(Controller {
                c_plan_ahead: plan,
                c_delay_target: n[1],
                c_fill_target: n[2],
                c_max_rate: n[3],
            }),
        }
    })
}

fn sizes(agreed: Agreed) -> impl Strategy<Value = Sizes> {
    (any::<[u64; 3]>(), any::<[u32; 6]>(), any::<[bool; 5]>()).prop_map(move |(n, l, b)| Sizes {
        d_size: n[0],
        u_size: n[1],
        c_size: n[2],
        max_bio_size: l[0],
        dds_forced: b[0],
        dds_no_resync: b[1],
        limits: agreed.has_queue_limits().then_some(QueueLimits {
            physical_block_size: l[1],
            logical_block_size: l[2],
            alignment_offset: l[3],
            io_min: l[4],
            io_opt: l[5],
            discard_enabled: b[2],
            discard_zeroes_data: b[3],
            write_same_capable: b[4],
        }),
    })
}

fn device_state() -> impl Strategy<Value = DeviceState> {
    let role = || select(Role::ALL);
    let disk = || select(Disk::ALL);
    (
        role(),
        role(),
        select(Conn::ALL),
        disk(),
        disk(),
        any::<[bool; 6]>(),
    )
        .prop_map(|(role, peer, conn, disk, pdsk, flags)| DeviceState {
            role,
            peer,
            conn,
            disk,
            pdsk,
            susp: flags[0],
            aftr_isp: flags[1],
            peer_isp: flags[2],
            user_isp: flags[3],
            susp_nod: flags[4],
            susp_fen: flags[5],
        })
}

fn change() -> impl Strategy<Value = Change> {
    // Whole fields only: role, peer, conn, disk, pdsk, six flags.
    const FIELDS: [u32; 11] = [
        0x3, 0xc, 0x1f0, 0x1e00, 0x1_e000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000,
        0x40_0000,
    ];
    (device_state(), any::<[bool; 11]>()).prop_map(|(state, fields)| {
        let mask = FIELDS
            .iter()
            .zip(fields)
            .fold(0, |mask, (field, on)| if on { mask | field } else { mask });
        let val = state.to_word() & mask;
        Change::from_words(ChangeWords { mask, val }).unwrap()
    })
}

fn handshake_packet(agreed: Agreed) -> BoxedStrategy<Packet<'static>> {
    prop_oneof![
        any::<[u32; 3]>().prop_map(|n| {
            Packet::ConnectionFeatures(ConnectionFeatures {
                protocol_min: n[0],
                protocol_max: n[1].max(1),
                features: FeatureFlags::from_bits(n[2]),
            })
        }),
        bytes(CHALLENGE_SIZE..=128).prop_map(Packet::AuthChallenge),
        bytes(1..=64).prop_map(Packet::AuthResponse),
        settings(agreed).prop_map(Packet::Protocol),
        settings(agreed).prop_map(Packet::ProtocolUpdate),
        sync_param(agreed).prop_map(Packet::SyncParam),
        sizes(agreed).prop_map(Packet::Sizes),
        any::<[u64; 6]>().prop_map(|n| {
            Packet::Uuids(Uuids {
                current: n[0],
                bitmap: n[1],
                history: [n[2], n[3]],
                bits_set: n[4],
                flags: UuidFlags::from_bits(n[5]),
            })
        }),
        any::<u64>().prop_map(|uuid| Packet::SyncUuid(SyncUuid { uuid })),
        device_state().prop_map(|state| Packet::State(State { state })),
        change().prop_map(|change| Packet::StateChgReq(StateRequest { change })),
        change().prop_map(|change| Packet::ConnStChgReq(StateRequest { change })),
        any::<i32>().prop_map(|retcode| Packet::StateChgReply(StateReply { retcode })),
        any::<i32>().prop_map(|retcode| Packet::ConnStChgReply(StateReply { retcode })),
    ]
    .boxed()
}

fn block_packet() -> BoxedStrategy<Packet<'static>> {
    let trim = || {
        (any_range(DISCARD_SIZE_MAX), id(), any::<u32>(), dp_flags()).prop_map(
            |(range, block_id, seq_num, flags)| Trim {
                range,
                block_id,
                seq_num,
                flags,
            },
        )
    };
    let reply = || {
        (any_range(BIO_SIZE_MAX), id()).prop_map(|(range, block_id)| DataReply { range, block_id })
    };
    let request = || {
        (any_range(BIO_SIZE_MAX), id())
            .prop_map(|(range, block_id)| BlockRequest { range, block_id })
    };
    let desc = || any_range(DISCARD_SIZE_MAX).prop_map(|range| BlockDesc { range });
    prop_oneof![
        (any_range(BIO_SIZE_MAX), id(), any::<u32>(), dp_flags()).prop_map(
            |(range, block_id, seq_num, flags)| {
                Packet::Data(Data {
                    range,
                    block_id,
                    seq_num,
                    flags,
                })
            }
        ),
        reply().prop_map(Packet::DataReply),
        reply().prop_map(Packet::RsDataReply),
        trim().prop_map(Packet::Trim),
        trim().prop_map(Packet::Zeroes),
        trim().prop_map(|trim| Packet::WriteSame {
            trim,
            block_size: 512
        }),
        any::<[u8; 4]>().prop_map(|nr| Packet::Barrier(Barrier {
            barrier: BarrierNr(nr)
        })),
        desc().prop_map(Packet::OutOfSync),
        desc().prop_map(Packet::RsDeallocated),
        request().prop_map(Packet::DataRequest),
        request().prop_map(Packet::RsDataRequest),
        request().prop_map(Packet::RsThinReq),
        request().prop_map(Packet::OvRequest),
        (request(), bytes(1..=64))
            .prop_map(|(request, digest)| Packet::CsumRsRequest { request, digest }),
        (request(), bytes(1..=64))
            .prop_map(|(request, digest)| Packet::OvReply { request, digest }),
    ]
    .boxed()
}

fn other_packet() -> BoxedStrategy<Packet<'static>> {
    prop_oneof![
        select(vec![
            Packet::InitialData,
            Packet::InitialMeta,
            Packet::UnplugRemote,
            Packet::Ping,
            Packet::PingAck,
        ]),
        (select(&AckKind::ALL[..]), any::<(u64, [u8; 8], u32, u32)>()).prop_map(|(kind, n)| {
            let ack = BlockAck {
                sector: n.0,
                block_id: BlockId(n.1),
                blksize: n.2,
                seq_num: n.3,
            };
            Packet::Ack(kind, ack)
        }),
        (any_range(BIO_SIZE_MAX), any::<bool>(), any::<u32>()).prop_map(|(range, equal, seq)| {
            Packet::OvResult(VerifyResult {
                range,
                result: if equal {
                    OvResult::InSync
                } else {
                    OvResult::OutOfSync
                },
                seq_num: seq,
            })
        }),
        any::<([u8; 4], u32)>().prop_map(|(nr, set_size)| {
            let barrier = BarrierNr(nr);
            Packet::BarrierAck(BarrierAck { barrier, set_size })
        }),
        bytes(0..=4080).prop_map(Packet::Bitmap),
        (any::<bool>(), 0..8_u8, bytes(1..=4079)).prop_map(|(first, pad, code)| {
            Packet::CompressedBitmap(CompressedBitmap { first, pad, code })
        }),
        any::<(u32, u32)>().prop_map(|(seq_num, offset_us)| {
            Packet::DelayProbe(DelayProbe { seq_num, offset_us })
        }),
    ]
    .boxed()
}

/// A version and a packet that is possible in it.
fn packet() -> impl Strategy<Value = (Agreed, Packet<'static>)> {
    any_agreed().prop_flat_map(|agreed| {
        let packet = prop_oneof![handshake_packet(agreed), block_packet(), other_packet()];
        (Just(agreed), packet)
    })
}

/// Where the packet comes in.
fn place(agreed: Agreed, command: Command, digest_size: u8) -> Context {
    let (socket, phase) = home(command);
    Context {
        socket,
        phase,
        agreed,
        digest_size,
    }
}

proptest! {
    #![proptest_config(cases(4000))]

    /// What is sent arrives, if the version has it at all.
    #[test]
    fn packets_survive((agreed, packet) in packet(), volume: u16, digest_size in 0..=64_u8) {
        let mut out = [0xa5; 4200];
        let command = packet.command(&agreed);
        let there = place(agreed, command, digest_size);
        let size = match packet.emit(volume, &agreed, digest_size, &mut out) {
            Ok(size) => size,
            Err(error) => {
                // 64 KiB and more behind an old header.
                let big = packet.data_size().unwrap() + 24 + u32::from(digest_size);
                prop_assert!(matches!(error, WireError::LengthTooBig(_)));
                prop_assert!(big > 65535 && agreed.version.number() < 95);
                return Ok(());
            }
        };
        match read(&out[..size], &there) {
            Ok((back, frame)) => {
                prop_assert_eq!(back, packet);
                prop_assert_eq!(frame.consumed, size);
                let digest = packet.data_size().map_or(0, |data| data + u32::from(digest_size));
                prop_assert_eq!(frame.bulk, digest);
                let expected = if agreed.version.has_volumes() { volume } else { 0 };
                prop_assert_eq!(frame.header.volume, expected);
            }
            Err(error) => prop_assert_eq!(error, WireError::NotAgreed(command)),
        }
    }

    /// A changed byte gives another packet or an error; decoding what was decoded is stable.
    #[test]
    fn changed_packets(
        (agreed, packet) in packet(),
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let mut out = [0; 4200];
        let command = packet.command(&agreed);
        let there = place(agreed, command, 0);
        if let Ok(size) = packet.emit(0, &agreed, 0, &mut out) {
            out[at.index(size)] ^= change;
            if let Ok((back, frame)) = read(&out, &there) {
                let mut again = [0; 4200];
                let size = back.emit(frame.header.volume, &agreed, 0, &mut again).unwrap();
                let (third, _) = read(&again[..size], &there).unwrap();
                prop_assert_eq!(third, back);
            }
        }
    }

    /// A packet cut at any place is not complete, and says so.
    #[test]
    fn cut_packets((agreed, packet) in packet(), at in any::<prop::sample::Index>()) {
        let mut out = [0; 4200];
        let there = place(agreed, packet.command(&agreed), 0);
        if let Ok(size) = packet.emit(0, &agreed, 0, &mut out) {
            let cut = at.index(size);
            match next_frame(&out[..cut], &there) {
                Ok(Framing::NeedMore { total }) => prop_assert!(total > cut && total <= size),
                Ok(Framing::Packet(_)) => prop_assert!(false, "complete at {cut} of {size}"),
                Err(error) => prop_assert!(matches!(error, WireError::NotAgreed(_))),
            }
        }
    }
}

/// A context of any kind.
fn any_context() -> impl Strategy<Value = Context> {
    let phases = prop_oneof![
        1 => Just(Phase::Opening),
        1 => Just(Phase::Features),
        1 => Just(Phase::AuthChallenge),
        1 => Just(Phase::AuthResponse),
        4 => Just(Phase::Established),
        1 => any::<u16>().prop_map(|volume| Phase::Bitmap { volume }),
    ];
    let agreed = prop_oneof![9 => any_agreed(), 1 => Just(Agreed::INITIAL)];
    (any::<bool>(), phases, agreed, any::<u8>()).prop_map(|(meta, phase, agreed, digest_size)| {
        Context {
            socket: if meta { Socket::Meta } else { Socket::Data },
            phase,
            agreed,
            digest_size,
        }
    })
}

/// Rubbish: mostly zeroes, mostly ones, or anything.
fn rubbish(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), size.clone()),
        prop::collection::vec(prop_oneof![5 => Just(0), 1 => any::<u8>()], size.clone()),
        prop::collection::vec(prop_oneof![5 => Just(0xff), 1 => any::<u8>()], size),
    ]
}

proptest! {
    #![proptest_config(cases(6000))]

    /// Any bytes, in any place: an answer, never a panic.
    #[test]
    fn foreign_bytes(
        there in any_context(),
        command in select(Command::ALL),
        length in prop_oneof![0..200_u32, any::<u32>()],
        valid_header in prop::bool::weighted(0.9),
        mut window in rubbish(0..300),
    ) {
        if valid_header {
            let header = Header { command, length, volume: 0 };
            let format = there.header_format();
            let _ = format.emit(&header, &mut window);
        }
        match next_frame(&window, &there) {
            Ok(Framing::NeedMore { total }) => {
                prop_assert!(total > window.len() && total <= frame::WINDOW_SIZE_MIN);
            }
            Ok(Framing::Packet(frame)) => {
                prop_assert!(frame.consumed <= window.len());
                if let Ok(packet) = Packet::decode(&frame, &there) {
                    prop_assert_eq!(packet.command(&there.agreed), frame.header.command);
                    let digest = u32::from(there.digest_size);
                    let expected = packet.data_size().map_or(0, |n| n + digest);
                    prop_assert_eq!(frame.bulk, expected);
                }
            }
            Err(error) => {
                let _ = there.reaction(&error);
                let text = std::format!("{error}");
                prop_assert!(!text.is_empty());
            }
        }
    }

    /// Every decoder alone, on bytes of every length.
    #[test]
    fn decoders_alone(window in rubbish(0..160), there in any_agreed(), size: u32) {
        let w = &window[..];
        let v = there.version;
        prop_assert_eq!(Data::parse(w, 512).is_ok(), w.len() >= 24 && w[..8] != [0xff; 8]);
        prop_assert_eq!(BlockAck::parse(w).is_ok(), w.len() >= 24);
        prop_assert_eq!(Barrier::parse(w).is_ok(), w.len() >= 8);
        prop_assert_eq!(BarrierAck::parse(w).is_ok(), w.len() >= 8);
        prop_assert_eq!(DelayProbe::parse(w).is_ok(), w.len() >= 8);
        prop_assert_eq!(Uuids::parse(w).is_ok(), w.len() >= 48);
        prop_assert_eq!(SyncUuid::parse(w).is_ok(), w.len() >= 8);
        prop_assert_eq!(StateReply::parse(w).is_ok(), w.len() >= 4);
        prop_assert_eq!(Sizes::parse(w, &there).is_ok(), w.len() >= Sizes::size(&there));
        prop_assert_eq!(ConnectionFeatures::parse(w).is_ok(), w.len() >= 72);
        if let Ok(data) = DataReply::parse(w, size) {
            prop_assert_eq!(data.range.size(), size);
            prop_assert!(size <= BIO_SIZE_MAX);
        }
        if let Ok(ack) = BlockAck::parse(w) {
            if let Ok(range) = ack.range() {
                prop_assert!(range.end() > range.sector());
            }
        }
        let _ = Trim::parse(w);
        let _ = BlockDesc::parse(w);
        let _ = BlockRequest::parse(w);
        let _ = VerifyResult::parse(w);
        let _ = State::parse(w);
        let _ = StateRequest::parse(w);
        if let Ok(settings) = ProtocolSettings::parse(w, v) {
            prop_assert!(settings.integrity_alg.unwrap_or("").len() < 64);
        }
        if let Ok(param) = SyncParam::parse(w, v) {
            prop_assert!(param.controller.is_none_or(|c| c.c_plan_ahead <= 300));
        }
        if let Ok(code) = CompressedBitmap::parse(w) {
            let mut cursor = BitmapCursor::new(u64::from(size));
            let mut sink = Nothing;
            let _ = cursor.take_compressed(&code, &mut sink);
            prop_assert!(cursor.position() <= u64::from(size));
        }
        for format in [HeaderFormat::H80, HeaderFormat::H95, HeaderFormat::H100] {
            prop_assert!(w.len() >= format.size() || format.parse(w) == Err(WireError::Truncated));
        }
    }
}

/// Takes bits and forgets them.
struct Nothing;

impl crate::vli::BitSink for Nothing {
    fn set_bits(&mut self, _: u64, _: u64) {}
    fn or_word(&mut self, _: u64, _: u64) {}
}
