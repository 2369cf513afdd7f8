// SPDX-License-Identifier: GPL-2.0
//! Golden bytes: every packet as it must look on the wire.
//!
//! The vectors are those of docs/protocol.md, "Examples"; what has no example there is worked out
//! by hand from the tables.

use std::vec::Vec;

use super::super::block::BIO_SIZE_MAX;
use super::*;
use crate::config::words::{AfterSb0p, AfterSb1p, AfterSb2p, Protocol};
use crate::state::{Change, Conn, DeviceState, Disk, Role};

/// One packet and its bytes, without bulk data.
pub(super) struct Vector {
    pub(super) name: &'static str,
    pub(super) agreed: Agreed,
    pub(super) digest_size: u8,
    pub(super) volume: u16,
    pub(super) packet: Packet<'static>,
    /// Digest and data behind the bytes.
    pub(super) bulk: u32,
    pub(super) bytes: Vec<u8>,
}

fn vector(name: &'static str, agreed: Agreed, packet: Packet<'static>, text: &str) -> Vector {
    Vector {
        name,
        agreed,
        digest_size: 0,
        volume: 0,
        packet,
        bulk: packet.data_size().unwrap_or(0),
        bytes: hex(text),
    }
}

const ID: BlockId = BlockId([1, 2, 3, 4, 5, 6, 7, 8]);

const SETTINGS: ProtocolSettings<'static> = ProtocolSettings {
    protocol: Protocol::C,
    after_sb_0p: AfterSb0p::Disconnect,
    after_sb_1p: AfterSb1p::Disconnect,
    after_sb_2p: AfterSb2p::Disconnect,
    discard_my_data: false,
    dry_run: false,
    two_primaries: false,
    integrity_alg: Some(""),
};

const ALL_SETTINGS: ProtocolSettings<'static> = ProtocolSettings {
    protocol: Protocol::B,
    after_sb_0p: AfterSb0p::DiscardRemote,
    after_sb_1p: AfterSb1p::DiscardSecondary,
    after_sb_2p: AfterSb2p::CallPriLostAfterSb,
    discard_my_data: true,
    dry_run: true,
    two_primaries: true,
    integrity_alg: Some("crc32c"),
};

const SYNC_PARAM: SyncParam<'static> = SyncParam {
    resync_rate: 250,
    verify_alg: Some("sha1"),
    csums_alg: Some(""),
    controller: Some(Controller::DEFAULT),
};

const SIZES: Sizes = Sizes {
    d_size: 2_097_152,
    u_size: 0,
    c_size: 2_097_152,
    max_bio_size: BIO_SIZE_MAX,
    dds_forced: false,
    dds_no_resync: false,
    limits: Some(QueueLimits {
        physical_block_size: 4096,
        logical_block_size: 512,
        alignment_offset: 0,
        io_min: 4096,
        io_opt: 0,
        discard_enabled: true,
        discard_zeroes_data: false,
        write_same_capable: false,
    }),
};

/// A challenge of 64 bytes, 00 01 .. 3f.
pub(super) const CHALLENGE: [u8; 64] = {
    let mut bytes = [0; 64];
    let mut i = 0;
    while i < 64 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

/// HMAC-SHA1 of the challenge with the key "secret".
pub(super) const RESPONSE: [u8; 20] = [
    0xaf, 0xe9, 0x48, 0x5a, 0x34, 0xcf, 0x04, 0xa7, 0x8c, 0x4f, 0x01, 0x01, 0xa2, 0xa0, 0x89, 0x74,
    0xb9, 0x12, 0xde, 0x08,
];

/// All of them.
pub(super) fn vectors() -> Vec<Vector> {
    let mut all = handshake();
    all.extend(settings());
    all.extend(device());
    all.extend(state());
    all.extend(data());
    all.extend(requests());
    all.extend(acks());
    all.extend(bitmaps());
    all
}

fn handshake() -> Vec<Vector> {
    let mut challenge = hex("86 20 ec 20 00 00 00 10 00 00 00 40 00 00 00 00");
    challenge.extend(CHALLENGE);
    let mut auth = vector(
        "auth challenge",
        full(),
        Packet::AuthChallenge(&CHALLENGE),
        "",
    );
    auth.bytes = challenge;
    std::vec![
        vector(
            "first packet, data socket",
            Agreed::INITIAL,
            Packet::InitialData,
            "83 74 02 67 ff f2 00 00",
        ),
        vector(
            "first packet, meta socket",
            Agreed::INITIAL,
            Packet::InitialMeta,
            "83 74 02 67 ff f1 00 00",
        ),
        vector(
            "features of the reference",
            Agreed::INITIAL,
            Packet::ConnectionFeatures(ConnectionFeatures {
                protocol_min: 86,
                protocol_max: 101,
                features: FeatureFlags::from_bits(0xf),
            }),
            "83 74 02 67 ff fe 00 48 00 00 00 56 00 00 00 0f
             00 00 00 65 00 00 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ),
        auth,
        vector(
            "auth response",
            full(),
            Packet::AuthResponse(&RESPONSE),
            "86 20 ec 20 00 00 00 11 00 00 00 14 00 00 00 00
             af e9 48 5a 34 cf 04 a7 8c 4f 01 01 a2 a0 89 74
             b9 12 de 08",
        ),
    ]
}

fn settings() -> Vec<Vector> {
    let mut all = std::vec![
        vector(
            "protocol C",
            full(),
            Packet::Protocol(SETTINGS),
            "86 20 ec 20 00 00 00 0b 00 00 00 19 00 00 00 00
             00 00 00 03 00 00 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 00",
        ),
        vector(
            "protocol A, integrity sha1",
            full(),
            Packet::Protocol(ProtocolSettings {
                protocol: Protocol::A,
                integrity_alg: Some("sha1"),
                ..SETTINGS
            }),
            "86 20 ec 20 00 00 00 0b 00 00 00 1d 00 00 00 00
             00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 73 68 61 31 00",
        ),
        vector(
            "protocol before version 87",
            agreed(86, 0),
            Packet::Protocol(ProtocolSettings {
                integrity_alg: None,
                ..SETTINGS
            }),
            "83 74 02 67 00 0b 00 18 00 00 00 03 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ),
        vector(
            "protocol update, everything set",
            full(),
            Packet::ProtocolUpdate(ALL_SETTINGS),
            "86 20 ec 20 00 00 00 2d 00 00 00 1f 00 00 00 00
             00 00 00 02 00 00 00 06 00 00 00 08 00 00 00 09
             00 00 00 03 00 00 00 01 63 72 63 33 32 63 00",
        ),
        vector(
            "sync param, version 87",
            agreed(87, 0),
            Packet::SyncParam(SyncParam {
                resync_rate: 0x0102_0304,
                verify_alg: None,
                csums_alg: None,
                controller: None,
            }),
            "83 74 02 67 00 0a 00 04 01 02 03 04",
        ),
        vector(
            "sync param, version 88",
            agreed(88, 0),
            Packet::SyncParam(SyncParam {
                csums_alg: None,
                controller: None,
                ..SYNC_PARAM
            }),
            "83 74 02 67 00 0a 00 09 00 00 00 fa 73 68 61 31 00",
        ),
    ];
    let mut names = hex("00 00 00 fa 73 68 61 31");
    names.resize(132, 0);
    let mut old = vector(
        "sync param, version 94",
        agreed(94, 0),
        Packet::SyncParam(SyncParam {
            controller: None,
            ..SYNC_PARAM
        }),
        "83 74 02 67 00 23 00 84",
    );
    old.bytes.extend(&names);
    let mut new = vector(
        "sync param, rate 250, verify sha1, defaults",
        full(),
        Packet::SyncParam(SYNC_PARAM),
        "86 20 ec 20 00 00 00 23 00 00 00 94 00 00 00 00",
    );
    new.bytes.extend(&names);
    new.bytes
        .extend(hex("00 00 00 14 00 00 00 0a 00 00 00 64 00 01 90 00"));
    all.extend([old, new]);
    all
}

fn device() -> Vec<Vector> {
    std::vec![
        vector(
            "sizes with queue limits",
            full(),
            Packet::Sizes(SIZES),
            "86 20 ec 20 00 00 00 0d 00 00 00 38 00 00 00 00
             00 00 00 00 00 20 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 20 00 00 00 10 00 00 00 00 00 00
             00 00 10 00 00 00 02 00 00 00 00 00 00 00 10 00
             00 00 00 00 01 00 00 00",
        ),
        vector(
            "sizes without, forced, no resync, volume 3",
            agreed(101, 0xb),
            Packet::Sizes(Sizes {
                u_size: 0x1122,
                c_size: 0,
                dds_forced: true,
                dds_no_resync: true,
                limits: None,
                ..SIZES
            }),
            "86 20 ec 20 00 03 00 0d 00 00 00 20 00 00 00 00
             00 00 00 00 00 20 00 00 00 00 00 00 00 00 11 22
             00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 03",
        )
        .on_volume(3),
        vector(
            "uuids",
            full(),
            Packet::Uuids(Uuids {
                current: 0x1122_3344_5566_7789,
                bitmap: 0,
                history: [0xa0b0_c0d0_e0f0_1020, 4],
                bits_set: 0,
                flags: UuidFlags::NONE,
            }),
            "86 20 ec 20 00 00 00 0c 00 00 00 30 00 00 00 00
             11 22 33 44 55 66 77 89 00 00 00 00 00 00 00 00
             a0 b0 c0 d0 e0 f0 10 20 00 00 00 00 00 00 00 04
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ),
        vector(
            "uuids of a disk just created",
            full(),
            Packet::Uuids(Uuids {
                current: 4,
                bitmap: 0,
                history: [0, 0],
                bits_set: 262_144,
                flags: UuidFlags::INCONSISTENT,
            }),
            "86 20 ec 20 00 00 00 0c 00 00 00 30 00 00 00 00
             00 00 00 00 00 00 00 04 00 00 00 00 00 00 00 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
             00 00 00 00 00 04 00 00 00 00 00 00 00 00 00 04",
        ),
        vector(
            "sync uuid",
            full(),
            Packet::SyncUuid(SyncUuid {
                uuid: 0x1122_3344_5566_7788,
            }),
            "86 20 ec 20 00 00 00 0f 00 00 00 08 00 00 00 00
             11 22 33 44 55 66 77 88",
        ),
    ]
}

fn state() -> Vec<Vector> {
    std::vec![
        vector(
            "state in WFConnection",
            full(),
            Packet::State(State {
                state: DeviceState {
                    conn: Conn::WFConnection,
                    disk: Disk::UpToDate,
                    ..DeviceState::NEW
                },
            }),
            "86 20 ec 20 00 00 00 0e 00 00 00 04 00 00 00 00 00 00 d0 82",
        ),
        vector(
            "state of a connected Primary",
            full(),
            Packet::State(State {
                state: DeviceState {
                    role: Role::Primary,
                    peer: Role::Secondary,
                    conn: Conn::Connected,
                    disk: Disk::UpToDate,
                    pdsk: Disk::UpToDate,
                    ..DeviceState::NEW
                },
            }),
            "86 20 ec 20 00 00 00 0e 00 00 00 04 00 00 00 00 00 01 10 a9",
        ),
        vector(
            "request to promote",
            full(),
            Packet::StateChgReq(StateRequest {
                change: Change::role(Role::Primary),
            }),
            "86 20 ec 20 00 00 00 12 00 00 00 08 00 00 00 00
             00 00 00 03 00 00 00 01",
        ),
        vector(
            "refusal: concurrent change",
            full(),
            Packet::StateChgReply(StateReply { retcode: -19 }),
            "86 20 ec 20 00 00 00 1d 00 00 00 04 00 00 00 00 ff ff ff ed",
        ),
        vector(
            "request to disconnect",
            full(),
            Packet::ConnStChgReq(StateRequest {
                change: Change::conn(Conn::Disconnecting),
            }),
            "86 20 ec 20 00 00 00 2a 00 00 00 08 00 00 00 00
             00 00 01 f0 00 00 00 10",
        ),
        vector(
            "request to disconnect and outdate",
            full(),
            Packet::ConnStChgReq(StateRequest {
                change: Change::conn(Conn::Disconnecting).and_pdsk(Disk::Outdated),
            }),
            "86 20 ec 20 00 00 00 2a 00 00 00 08 00 00 00 00
             00 01 e1 f0 00 00 a0 10",
        ),
        vector(
            "consent to disconnect",
            full(),
            Packet::ConnStChgReply(StateReply { retcode: 1 }),
            "86 20 ec 20 00 00 00 2b 00 00 00 04 00 00 00 00 00 00 00 01",
        ),
    ]
}

fn data() -> Vec<Vector> {
    let write = |sector, size, flags| Data {
        range: range(sector, size),
        block_id: ID,
        seq_num: 1,
        flags,
    };
    let trim = Trim {
        range: range(2048, 1 << 20),
        block_id: BlockId([1, 2, 3, 4, 5, 6, 7, 9]),
        seq_num: 2,
        flags: DpFlags::DISCARD | DpFlags::SEND_WRITE_ACK,
    };
    let reply = DataReply {
        range: range(8, 4096),
        block_id: ID,
    };
    std::vec![
        vector(
            "write of 4 KiB",
            full(),
            Packet::Data(write(8, 4096, DpFlags::SEND_WRITE_ACK)),
            "86 20 ec 20 00 00 00 00 00 00 10 18 00 00 00 00
             00 00 00 00 00 00 00 08 01 02 03 04 05 06 07 08
             00 00 00 01 00 00 01 00",
        ),
        vector(
            "write of 4 KiB, version 94",
            agreed(94, 0),
            Packet::Data(write(8, 4096, DpFlags::NONE)),
            "83 74 02 67 00 00 10 18 00 00 00 00 00 00 00 08
             01 02 03 04 05 06 07 08 00 00 00 01 00 00 00 00",
        ),
        vector(
            "write of 64 KiB, version 99",
            agreed(99, 0),
            Packet::Data(write(8, 65536, DpFlags::NONE)),
            "83 5a 00 00 00 01 00 18 00 00 00 00 00 00 00 08
             01 02 03 04 05 06 07 08 00 00 00 01 00 00 00 00",
        ),
        vector(
            "write of 4 KiB with a digest of 20 bytes",
            full(),
            Packet::Data(write(8, 4096, DpFlags::SEND_WRITE_ACK)),
            "86 20 ec 20 00 00 00 00 00 00 10 2c 00 00 00 00
             00 00 00 00 00 00 00 08 01 02 03 04 05 06 07 08
             00 00 00 01 00 00 01 00",
        )
        .with_digest(20),
        vector(
            "data reply",
            full(),
            Packet::DataReply(reply),
            "86 20 ec 20 00 00 00 01 00 00 10 18 00 00 00 00
             00 00 00 00 00 00 00 08 01 02 03 04 05 06 07 08
             00 00 00 00 00 00 00 00",
        ),
        vector(
            "resync data reply",
            full(),
            Packet::RsDataReply(DataReply {
                block_id: BlockId::SYNCER,
                ..reply
            }),
            "86 20 ec 20 00 00 00 02 00 00 10 18 00 00 00 00
             00 00 00 00 00 00 00 08 ff ff ff ff ff ff ff ff
             00 00 00 00 00 00 00 00",
        ),
        vector(
            "discard of 1 MiB",
            full(),
            Packet::Trim(trim),
            "86 20 ec 20 00 00 00 31 00 00 00 1c 00 00 00 00
             00 00 00 00 00 00 08 00 01 02 03 04 05 06 07 09
             00 00 00 02 00 00 01 40 00 10 00 00",
        ),
        vector(
            "discard, no feature agreed",
            agreed(101, 0),
            Packet::Trim(trim),
            "86 20 ec 20 00 00 00 31 00 00 00 1c 00 00 00 00
             00 00 00 00 00 00 08 00 01 02 03 04 05 06 07 09
             00 00 00 02 00 00 01 40 00 10 00 00",
        ),
        vector(
            "zero-out of 128 MiB",
            full(),
            Packet::Zeroes(Trim {
                range: range(2048, 128 << 20),
                flags: DpFlags::ZEROES | DpFlags::SEND_WRITE_ACK,
                ..trim
            }),
            "86 20 ec 20 00 00 00 36 00 00 00 1c 00 00 00 00
             00 00 00 00 00 00 08 00 01 02 03 04 05 06 07 09
             00 00 00 02 00 00 05 00 08 00 00 00",
        ),
        vector(
            "write same of 1 MiB with a block of 512",
            full(),
            Packet::WriteSame {
                trim: Trim {
                    flags: DpFlags::WSAME,
                    ..trim
                },
                block_size: 512,
            },
            "86 20 ec 20 00 00 00 34 00 00 02 1c 00 00 00 00
             00 00 00 00 00 00 08 00 01 02 03 04 05 06 07 09
             00 00 00 02 00 00 02 00 00 10 00 00",
        ),
        vector(
            "barrier 7",
            full(),
            Packet::Barrier(Barrier {
                barrier: BarrierNr::from_epoch(7),
            }),
            "86 20 ec 20 00 00 00 03 00 00 00 08 00 00 00 00
             07 00 00 00 00 00 00 00",
        ),
        vector(
            "unplug remote",
            full(),
            Packet::UnplugRemote,
            "86 20 ec 20 00 00 00 07 00 00 00 00 00 00 00 00",
        ),
        vector(
            "out of sync",
            full(),
            Packet::OutOfSync(BlockDesc {
                range: range(8, 4096),
            }),
            "86 20 ec 20 00 00 00 28 00 00 00 10 00 00 00 00
             00 00 00 00 00 00 00 08 00 00 10 00 00 00 00 00",
        ),
        vector(
            "deallocated",
            full(),
            Packet::RsDeallocated(BlockDesc {
                range: range(0, 65536),
            }),
            "86 20 ec 20 00 00 00 33 00 00 00 10 00 00 00 00
             00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00",
        ),
        vector(
            "delay probe",
            agreed(93, 0),
            Packet::DelayProbe(DelayProbe {
                seq_num: 5,
                offset_us: 0x0102,
            }),
            "83 74 02 67 00 27 00 08 00 00 00 05 00 00 01 02",
        ),
    ]
}

fn requests() -> Vec<Vector> {
    let request = BlockRequest {
        range: range(0, 32768),
        block_id: BlockId::SYNCER,
    };
    std::vec![
        vector(
            "read from the peer, volume 65534",
            full(),
            Packet::DataRequest(BlockRequest {
                range: range(0x0102_0304_0506, 512),
                block_id: ID,
            }),
            "86 20 ec 20 ff fe 00 08 00 00 00 18 00 00 00 00
             00 00 01 02 03 04 05 06 01 02 03 04 05 06 07 08
             00 00 02 00 00 00 00 00",
        )
        .on_volume(65534),
        vector(
            "resync request",
            full(),
            Packet::RsDataRequest(request),
            "86 20 ec 20 00 00 00 09 00 00 00 18 00 00 00 00
             00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff
             00 00 80 00 00 00 00 00",
        ),
        vector(
            "thin resync request",
            full(),
            Packet::RsThinReq(request),
            "86 20 ec 20 00 00 00 32 00 00 00 18 00 00 00 00
             00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff
             00 00 80 00 00 00 00 00",
        ),
        vector(
            "resync request with digest",
            full(),
            Packet::CsumRsRequest {
                request,
                digest: &[0xde, 0xad, 0xbe, 0xef],
            },
            "86 20 ec 20 00 00 00 21 00 00 00 1c 00 00 00 00
             00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff
             00 00 80 00 00 00 00 00 de ad be ef",
        ),
        vector(
            "verify request",
            full(),
            Packet::OvRequest(request),
            "86 20 ec 20 00 00 00 1e 00 00 00 18 00 00 00 00
             00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff
             00 00 80 00 00 00 00 00",
        ),
        vector(
            "verify reply",
            full(),
            Packet::OvReply {
                request,
                digest: &RESPONSE,
            },
            "86 20 ec 20 00 00 00 1f 00 00 00 2c 00 00 00 00
             00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff
             00 00 80 00 00 00 00 00
             af e9 48 5a 34 cf 04 a7 8c 4f 01 01 a2 a0 89 74
             b9 12 de 08",
        ),
    ]
}

fn acks() -> Vec<Vector> {
    let ack = BlockAck {
        sector: 8,
        block_id: ID,
        blksize: 4096,
        seq_num: 1,
    };
    let commands = [
        (AckKind::Recv, "15"),
        (AckKind::Write, "16"),
        (AckKind::RsWrite, "17"),
        (AckKind::Superseded, "18"),
        (AckKind::RetryWrite, "2c"),
        (AckKind::Neg, "19"),
        (AckKind::NegDReply, "1a"),
        (AckKind::NegRsDReply, "1b"),
        (AckKind::RsCancel, "29"),
        (AckKind::RsIsInSync, "22"),
    ];
    let mut all: Vec<Vector> = commands
        .iter()
        .map(|(kind, number)| {
            vector(
                "block ack",
                full(),
                Packet::Ack(*kind, ack),
                &std::format!(
                    "86 20 ec 20 00 00 00 {number} 00 00 00 18 00 00 00 00
                     00 00 00 00 00 00 00 08 01 02 03 04 05 06 07 08
                     00 00 10 00 00 00 00 01"
                ),
            )
        })
        .collect();
    all.extend([
        vector(
            "barrier ack, 2 writes",
            full(),
            Packet::BarrierAck(BarrierAck {
                barrier: BarrierNr([7, 0, 0, 0]),
                set_size: 2,
            }),
            "86 20 ec 20 00 00 00 1c 00 00 00 08 00 00 00 00
             07 00 00 00 00 00 00 02",
        ),
        vector(
            "verify result: out of sync",
            full(),
            Packet::OvResult(VerifyResult {
                range: range(64, 4096),
                result: OvResult::OutOfSync,
                seq_num: 9,
            }),
            "86 20 ec 20 00 00 00 20 00 00 00 18 00 00 00 00
             00 00 00 00 00 00 00 40 00 00 00 00 00 00 12 68
             00 00 10 00 00 00 00 09",
        ),
        vector(
            "verify result: in sync",
            full(),
            Packet::OvResult(VerifyResult {
                range: range(64, 4096),
                result: OvResult::InSync,
                seq_num: 10,
            }),
            "86 20 ec 20 00 00 00 20 00 00 00 18 00 00 00 00
             00 00 00 00 00 00 00 40 00 00 00 00 00 00 12 67
             00 00 10 00 00 00 00 0a",
        ),
        vector(
            "ping",
            full(),
            Packet::Ping,
            "86 20 ec 20 00 00 00 13 00 00 00 00 00 00 00 00",
        ),
        vector(
            "ping ack",
            full(),
            Packet::PingAck,
            "86 20 ec 20 00 00 00 14 00 00 00 00 00 00 00 00",
        ),
        vector(
            "ping, version 86",
            agreed(86, 0),
            Packet::Ping,
            "83 74 02 67 00 13 00 00",
        ),
    ]);
    all
}

fn bitmaps() -> Vec<Vector> {
    std::vec![
        vector(
            "plain bitmap of one word",
            full(),
            Packet::Bitmap(&[1, 2, 3, 4, 5, 6, 7, 8]),
            "86 20 ec 20 00 00 00 04 00 00 00 08 00 00 00 00 01 02 03 04 05 06 07 08",
        ),
        vector(
            "end of a plain bitmap",
            full(),
            Packet::Bitmap(&[]),
            "86 20 ec 20 00 00 00 04 00 00 00 00 00 00 00 00",
        ),
        vector(
            "compressed: 1000 clear, 24 set, 1024 clear",
            full(),
            Packet::CompressedBitmap(CompressedBitmap {
                first: false,
                pad: 4,
                code: &[0x3f, 0xb7, 0xe2, 0x9d, 0x9f, 0x67, 0x01],
            }),
            "86 20 ec 20 00 00 00 24 00 00 00 08 00 00 00 00 42 3f b7 e2 9d 9f 67 01",
        ),
        vector(
            "compressed: 262144 set",
            full(),
            Packet::CompressedBitmap(CompressedBitmap {
                first: true,
                pad: 3,
                code: &[0x7f, 0xcf, 0xde, 0x03],
            }),
            "86 20 ec 20 00 00 00 24 00 00 00 05 00 00 00 00 b2 7f cf de 03",
        ),
        vector(
            "compressed: 8 set, 262136 clear",
            full(),
            Packet::CompressedBitmap(CompressedBitmap {
                first: true,
                pad: 6,
                code: &[0xfb, 0xef, 0xd8, 0x7b, 0x00],
            }),
            "86 20 ec 20 00 00 00 24 00 00 00 06 00 00 00 00 e2 fb ef d8 7b 00",
        ),
    ]
}

impl Vector {
    fn on_volume(mut self, volume: u16) -> Vector {
        self.volume = volume;
        self
    }

    fn with_digest(mut self, digest_size: u8) -> Vector {
        self.digest_size = digest_size;
        self.bulk += u32::from(digest_size);
        self
    }

    /// Where the packet comes in.
    pub(super) fn context(&self) -> Context {
        let (socket, phase) = home(self.packet.command(&self.agreed));
        Context {
            socket,
            phase,
            agreed: self.agreed,
            digest_size: self.digest_size,
        }
    }
}
