// SPDX-License-Identifier: GPL-2.0
//! Golden bytes, tables, and hostile input.

extern crate std;

use super::{
    attr::{GENLA_F_MANDATORY, NLA_F_NESTED},
    context::{put_info_text, ResourceName},
    info::*,
    request::*,
    status::StateInfo,
    *,
};
use crate::config::{DiskConf, NetConf, ResOpts};
use crate::state::{Refusal, Success};
use proptest::prelude::*;
use std::{collections::BTreeSet, vec, vec::Vec};

/// All sets that exist.
const SETS: [Set; 22] = [
    Context::SET,
    DiskConf::SET,
    ResOpts::SET,
    NetConf::SET,
    SetRoleParms::SET,
    ResizeParms::SET,
    StateInfo::SET,
    StartOvParms::SET,
    NewCUuidParms::SET,
    TimeoutParms::SET,
    DisconnectParms::SET,
    DetachParms::SET,
    ResourceInfo::SET,
    DeviceInfo::SET,
    ConnectionInfo::SET,
    PeerDeviceInfo::SET,
    ResourceStatistics::SET,
    DeviceStatistics::SET,
    ConnectionStatistics::SET,
    PeerDeviceStatistics::SET,
    NotificationHeader::SET,
    HelperInfo::SET,
];

fn bytes_of<N: Nest>(set: &N, style: Style, audience: Audience) -> Vec<u8> {
    let mut buffer = [0xaa; 4096];
    let mut writer = Writer::new(&mut buffer, style, audience);
    set.put(&mut writer).expect("4 KiB hold any set");
    writer.written().to_vec()
}

fn payload_of<N: Nest>(set: &N) -> Vec<u8> {
    let bytes = bytes_of(set, Style::Tools, Audience::Privileged);
    let top = TopLevel::parse(&bytes, Some(&[N::SET.number])).expect("own output");
    top.set(&N::SET).expect("the set").to_vec()
}

fn name(text: &str) -> ResourceName {
    ResourceName::new(text.as_bytes()).expect("short name")
}

#[test]
fn header_layout() {
    let header = Header::request(5, SET_DEFAULTS);
    assert!(header.sets_defaults());
    let [minor, flags] = [5_u32.to_ne_bytes(), 1_u32.to_ne_bytes()];
    assert_eq!(header.to_bytes(), [minor, flags].concat().as_slice());
    let reply = Header::reply(NO_MINOR, Refusal::NoUpToDateDisk.into());
    let mut raw = reply.to_bytes().to_vec();
    raw.push(9);
    let (parsed, rest) = Header::parse(&raw).expect("nine bytes");
    assert_eq!((parsed, rest), (reply, &[9][..]));
    assert_eq!(parsed.ret_code(), RetCode(-2));
    assert_eq!(parsed.minor(), None);
    assert_eq!(Header::parse(&raw[..7]), Err(AttrError::Truncated));
}

/// A context as the tools send it, byte by byte.
#[test]
#[cfg(target_endian = "little")]
fn golden_context() {
    let context = Context::device(name("r0"), 1);
    #[rustfmt::skip]
    let tools = [
        20, 0, 0x02, 0x80,
        8, 0, 0x01, 0x40, 1, 0, 0, 0,
        7, 0, 0x02, 0x40, b'r', b'0', 0, 0,
    ];
    assert_eq!(
        bytes_of(&context, Style::Tools, Audience::Privileged),
        tools
    );
    #[rustfmt::skip]
    let kernel = [
        20, 0, 0x02, 0x00,
        8, 0, 0x01, 0x00, 1, 0, 0, 0,
        7, 0, 0x02, 0x00, b'r', b'0', 0, 0,
    ];
    assert_eq!(bytes_of(&context, Style::Kernel, Audience::Public), kernel);
}

/// Flags have a payload byte; generated sets are marked as nests in the kernel's style too.
#[test]
#[cfg(target_endian = "little")]
fn golden_resource_info() {
    let info = ResourceInfo {
        res_role: 1,
        res_susp: true,
        res_susp_nod: false,
        res_susp_fen: false,
    };
    #[rustfmt::skip]
    let golden = [
        36, 0, 0x0f, 0x80,
        8, 0, 1, 0, 1, 0, 0, 0,
        5, 0, 2, 0, 1, 0, 0, 0,
        5, 0, 3, 0, 0, 0, 0, 0,
        5, 0, 4, 0, 0, 0, 0, 0,
    ];
    assert_eq!(bytes_of(&info, Style::Kernel, Audience::Public), golden);
}

#[test]
fn info_text_is_cut() {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Public);
    put_info_text(&mut writer, &[b'x'; 300]).expect("512 bytes");
    // Nest header, attribute header, 255 characters, NUL.
    assert_eq!(writer.len(), 4 + 4 + 256);
    let top = TopLevel::parse(writer.written(), None).expect("own output");
    let text = Attrs::new(top.payload(1).expect("text"))
        .next()
        .expect("one")
        .expect("whole");
    assert_eq!(text.payload().last(), Some(&0));
}

/// Whatever the writer puts, the parser returns, in both styles.
#[test]
fn round_trips() {
    fn check<N: Nest + PartialEq + core::fmt::Debug>(value: &N) {
        for style in [Style::Kernel, Style::Tools] {
            let bytes = bytes_of(value, style, Audience::Privileged);
            let top = TopLevel::parse(&bytes, None).expect("own output");
            assert_eq!(top.read::<N>().expect("valid").as_ref(), Some(value));
        }
    }
    let address = Address::new(&[2, 0, 0x1e, 0x6c, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let address = address.expect("16 bytes");
    assert_eq!(
        (address.family(), address.port()),
        (Some(u16::from_ne_bytes([2, 0])), Some(7788))
    );
    check(&Context::device(name("r0"), 3).with_addresses(address, address));
    check(&Context::default());
    check(&DiskConf::default());
    check(&NetConf::default());
    check(&ResOpts::default());
    check(&ResizeParms {
        resize_size: 1 << 40,
        al_stripes: Some(2),
        ..Default::default()
    });
    check(&StartOvParms {
        ov_start_sector: Some(0),
        ov_stop_sector: None,
    });
    check(&PeerDeviceStatistics {
        peer_dev_flags: 9,
        peer_dev_sent: 7,
        ..Default::default()
    });
    check(&DeviceStatistics::default());
    check(&DeviceStatistics {
        history_uuids: History(Some([1, 2, 0, 0])),
        dev_size: 1 << 50,
        ..Default::default()
    });
    check(&StateInfo {
        sib_reason: 2,
        prev_state: Some(1),
        new_state: Some(2),
        uuids: Some([1, 2, 3, u64::MAX]),
        helper: Text::new(b"fence-peer"),
        ..Default::default()
    });
    check(&HelperInfo {
        helper_name: Text::default(),
        helper_status: 1024,
    });
}

/// Both flag bits, in any combination, mean the same attribute.
#[test]
fn flag_bits_are_masked() {
    let plain = payload_of(&SetRoleParms {
        assume_uptodate: true,
    });
    for bits in [
        0,
        NLA_F_NESTED,
        GENLA_F_MANDATORY,
        NLA_F_NESTED | GENLA_F_MANDATORY,
    ] {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer, Style::Tools, Audience::Privileged);
        writer.put_raw(6 | bits, &plain).expect("64 bytes");
        let top = TopLevel::parse(writer.written(), Some(&[2, 6])).expect("allowed");
        assert_eq!(
            top.read::<SetRoleParms>(),
            Ok(Some(SetRoleParms {
                assume_uptodate: true
            }))
        );
    }
}

#[test]
fn sets_that_are_not_allowed_are_refused() {
    let bytes = bytes_of(&SetRoleParms::default(), Style::Tools, Audience::Privileged);
    let allowed = Op::Attach.request_sets();
    assert_eq!(
        TopLevel::parse(&bytes, Some(allowed)).err(),
        Some(AttrError::Unknown(6))
    );
    assert!(TopLevel::parse(&bytes, Some(Op::Primary.request_sets())).is_ok());
    let future = [4, 0, 99, 0];
    assert!(
        TopLevel::parse(&future, None).is_ok(),
        "replies may hold more than we know"
    );
}

/// Unknown numbers: a request is refused, a reply is read, unless the sender insists.
#[test]
fn strangers() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Public);
    writer.put_raw(61, &[1, 2, 3, 4]).expect("64 bytes");
    let stranger = writer.written().to_vec();
    assert_eq!(
        DetachParms::create(&stranger).err(),
        Some(AttrError::Unknown(61))
    );
    assert_eq!(DetachParms::read(&stranger), Ok(DetachParms::default()));
    let insisting: Vec<u8> = [&stranger[..2], &[61, 0x40][..], &stranger[4..]].concat();
    let expected = Err(AttrError::UnknownMandatory(61));
    if cfg!(target_endian = "little") {
        assert_eq!(DetachParms::read(&insisting), expected);
        assert!(!AttrError::UnknownMandatory(61).is_malformed());
    }
}

#[test]
fn lengths_are_checked() {
    let wrong = |number: u16, payload: &[u8]| {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Public);
        writer.put_raw(number, payload).expect("512 bytes");
        Context::create(writer.written()).map(|_| ())
    };
    assert_eq!(wrong(1, &[0; 3]), Err(AttrError::Length(1)));
    assert_eq!(wrong(1, &[0; 8]), Err(AttrError::Length(1)));
    assert_eq!(wrong(2, b"no nul"), Err(AttrError::Length(2)));
    assert_eq!(wrong(2, b""), Err(AttrError::Length(2)));
    assert_eq!(wrong(2, b"r0\0"), Ok(()));
    assert_eq!(wrong(2, &[[b'x'; 127].as_slice(), &[0]].concat()), Ok(()));
    assert_eq!(
        wrong(2, &[[b'x'; 128].as_slice(), &[0]].concat()),
        Err(AttrError::TooLong(2))
    );
    assert_eq!(wrong(3, &[0; 28]), Ok(()));
    assert_eq!(wrong(3, &[0; 29]), Err(AttrError::TooLong(3)));
    // The length of the attribute itself points behind the end, or into its own header.
    for bytes in [
        &[9, 0, 1, 0, 0, 0, 0, 0][..],
        &[3, 0, 1, 0],
        &[0, 0, 0, 0],
        &[4, 0, 1],
    ] {
        assert_eq!(Context::create(bytes).err(), Some(AttrError::Truncated));
    }
}

#[test]
fn required_and_invariant() {
    let mut conf = DiskConf {
        backing_dev: Text::new(b"/dev/sda").expect("short"),
        meta_dev: Text::new(b"/dev/sda").expect("short"),
        meta_dev_idx: -3,
        disk_size: 8,
        ..DiskConf::default()
    };
    let (created, given) = DiskConf::create(&payload_of(&conf)).expect("complete");
    assert_eq!(created, conf);
    assert!(given.has(1) && given.has(26) && !given.has(22));
    // Any of the fixed fields is refused in a change, each alone.
    for number in 1..=5 {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer, Style::Tools, Audience::Privileged);
        match number {
            1 | 2 => writer.put_text(number, b"/dev/sdb"),
            4 => writer.put_raw(number, &[0; 8]),
            _ => writer.put_raw(number, &[0; 4]),
        }
        .expect("64 bytes");
        let error = conf.clone().change(writer.written(), false).err();
        assert_eq!(error, Some(AttrError::Invariant(number)));
        assert_eq!(
            AttrError::Invariant(number).text(),
            "can not change invariant setting"
        );
    }
    assert_eq!(DiskConf::create(&[]).err(), Some(AttrError::Missing(1)));
    // Defaults come back, but not for what is fixed.
    conf.al_extents = 67;
    assert!(conf.change(&[], true).expect("nothing given").is_empty());
    assert_eq!((conf.al_extents, conf.disk_size), (1237, 8));
    assert_eq!(conf.backing_dev.as_bytes(), b"/dev/sda");
}

#[test]
fn the_secret_is_for_the_privileged() {
    let secret = b"correct horse";
    let conf = NetConf {
        shared_secret: crate::config::Secret::new(secret).expect("short"),
        ..NetConf::default()
    };
    let has_secret = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
    assert!(has_secret(&bytes_of(
        &conf,
        Style::Kernel,
        Audience::Privileged
    )));
    let public = bytes_of(&conf, Style::Kernel, Audience::Public);
    assert!(!has_secret(&public));
    // The attribute is there and empty.
    let top = TopLevel::parse(&public, None).expect("own output");
    let first = Attrs::new(top.payload(5).expect("net"))
        .next()
        .expect("one")
        .expect("whole");
    assert_eq!((first.number(), first.payload()), (1, &[0][..]));
    assert!(!std::format!("{conf:?}").contains("horse"));
}

/// An overflow leaves nothing half written, at any size.
#[test]
fn overflow_is_all_or_nothing() {
    let context = Context::device(name("resource"), 1);
    let whole = bytes_of(&context, Style::Kernel, Audience::Public).len();
    for size in 0..whole {
        let mut buffer = vec![0; size];
        let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Public);
        assert_eq!(context.put(&mut writer), Err(Overflow));
        assert!(writer.is_empty());
    }
}

#[test]
fn tables_are_sound() {
    for (index, set) in SETS.iter().enumerate() {
        assert!(SETS[index + 1..]
            .iter()
            .all(|other| other.number != set.number));
        let numbers: Vec<u16> = set.fields.iter().map(|field| field.number).collect();
        let unique: BTreeSet<u16> = numbers.iter().copied().collect();
        assert_eq!(unique.len(), numbers.len(), "{}", set.name);
        assert!(numbers.iter().all(|number| (1..64).contains(number)));
        assert!((1..=TOP_LEVEL_MAX).contains(&set.number));
    }
}

#[test]
fn operations() {
    let numbers: Vec<u8> = Op::ALL.iter().map(|op| op.number()).collect();
    let expected: Vec<u8> = (1..=41).filter(|n| ![3, 4, 39].contains(n)).collect();
    assert_eq!(numbers, expected);
    assert_eq!(Op::from_number(39), None);
    assert_eq!(Op::from_number(17), Some(Op::StartOv));
    assert_eq!(Op::StartOv.request_max(), 9);
    assert_eq!(Op::GetPeerDevices.request_max(), 22);
    assert_eq!(Op::NewMinor.needs(), Needs::Resource);
    assert_eq!(Op::GetStatus.needs(), Needs::Minor);
    assert!(!Op::GetStatus.is_privileged() && Op::GetTimeoutType.is_privileged());
}

#[test]
fn codes() {
    for code in ErrCode::ALL {
        assert_eq!(ErrCode::from_number(code.number()), Some(*code));
        assert_eq!(RetCode::from(*code).is_success(), *code == ErrCode::NoError);
        assert!(!code.text().is_empty());
    }
    assert_eq!(RetCode::from(Ok(Success::NothingToDo)), RetCode(2));
    for refusal in Refusal::ALL {
        assert!(!RetCode::from(*refusal).is_success());
        assert_eq!(RetCode::from(*refusal).text(), Some(refusal.text()));
    }
    assert_eq!(RetCode(-3).text(), None);
    assert_eq!(RetCode(106).text(), None);
    assert_eq!(RetCode(158).text(), Some("Unknown resource"));
}

#[test]
fn notifications() {
    for number in 0..6 {
        for flag in [0, 0x8000] {
            let header = NotificationHeader {
                nh_type: number | flag,
            };
            let parsed = Notification::from_header(&header).expect("known");
            assert_eq!(parsed.continues, flag != 0);
            assert_eq!(parsed.header(), header);
        }
    }
    assert_eq!(
        Notification::from_header(&NotificationHeader { nh_type: 6 }),
        None
    );
}

/// Reads a set and writes it again as the kernel would.
fn rewrite(number: u16, payload: &[u8], writer: &mut Writer<'_>) {
    fn one<N: Nest>(number: u16, payload: &[u8], writer: &mut Writer<'_>) -> bool {
        if N::SET.number != number {
            return false;
        }
        N::read(payload).expect("valid").put(writer).expect("4 KiB");
        true
    }
    let found = one::<Context>(number, payload, writer)
        || one::<DiskConf>(number, payload, writer)
        || one::<ResOpts>(number, payload, writer)
        || one::<NetConf>(number, payload, writer)
        || one::<StateInfo>(number, payload, writer)
        || one::<TimeoutParms>(number, payload, writer)
        || one::<ResourceInfo>(number, payload, writer)
        || one::<DeviceInfo>(number, payload, writer)
        || one::<ConnectionInfo>(number, payload, writer)
        || one::<PeerDeviceInfo>(number, payload, writer)
        || one::<ResourceStatistics>(number, payload, writer)
        || one::<DeviceStatistics>(number, payload, writer)
        || one::<ConnectionStatistics>(number, payload, writer)
        || one::<PeerDeviceStatistics>(number, payload, writer)
        || one::<NotificationHeader>(number, payload, writer);
    assert!(found, "set {number}");
}

/// A request of the stock tools is accepted.
fn accept(op: Op, bytes: &[u8]) {
    let top = TopLevel::parse(bytes, Some(op.request_sets())).expect("well formed");
    if let Some(payload) = top.set(&Context::SET) {
        Context::create(payload).expect("valid");
    }
    let sets = op
        .request_sets()
        .iter()
        .filter_map(|number| Some((number, top.payload(*number)?)));
    for (number, payload) in sets {
        let result = match (op, number) {
            (Op::Attach, 3) => DiskConf::create(payload).map(|_| ()),
            (Op::ChgDiskOpts, 3) => DiskConf::default().change(payload, true).map(|_| ()),
            (_, 4) => ResOpts::create(payload).map(|_| ()),
            (Op::Connect, 5) => NetConf::create(payload).map(|_| ()),
            (Op::Primary, 6) => SetRoleParms::create(payload).map(|_| ()),
            (Op::StartOv, 9) => StartOvParms::create(payload).map(|_| ()),
            (Op::NewCUuid, 10) => NewCUuidParms::create(payload).map(|_| ()),
            (Op::Disconnect, 12) => DisconnectParms::create(payload).map(|_| ()),
            (_, 2) => Ok(()),
            other => panic!("unexpected set: {other:?}"),
        };
        assert_eq!(result, Ok(()), "{op:?} {number}");
    }
}

/// What stock drbdsetup-84 and the driver of Linux 7.3.4 said to each other: requests are accepted,
/// dumps and events come out again byte by byte.
#[test]
#[cfg(target_endian = "little")]
fn golden_conversation() {
    let mut rewritten = 0;
    for line in include_str!("golden.tsv").lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [direction, op, flags, command, hex] = columns[..] else {
            panic!("{line}")
        };
        let op = Op::from_number(op.parse().expect("number")).expect("known");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect();
        let (header, attrs) = Header::parse(&bytes).expect("header");
        if direction == ">" {
            accept(op, attrs);
            assert_eq!(header.sets_defaults(), command.contains("--set-defaults"));
            continue;
        }
        assert!(header.ret_code().text().is_some(), "{command}");
        // Replies to changes hold a copy of the request's context, in the tools' style.
        let is_own = flags == "0x2" || matches!(op.kind(), OpKind::Event);
        if !is_own && op != Op::GetTimeoutType {
            continue;
        }
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, Style::Kernel, Audience::Privileged);
        for attr in Attrs::new(attrs) {
            let attr = attr.expect("whole");
            rewrite(attr.number(), attr.payload(), &mut writer);
        }
        assert_eq!(writer.written(), attrs, "{op:?} {command}");
        rewritten += 1;
    }
    assert!(rewritten >= 11);
}

proptest! {
    /// No bytes make any parser panic.
    #[test]
    fn hostile_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::parse(&bytes);
        let _ = TopLevel::parse(&bytes, None);
        let _ = Context::create(&bytes);
        let _ = NetConf::create(&bytes);
        let _ = DiskConf::default().change(&bytes, true);
        let _ = StateInfo::read(&bytes);
        let _ = DeviceStatistics::read(&bytes);
    }

    /// Nearly right messages: any byte of a valid one replaced.
    #[test]
    fn hostile_edits(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = bytes_of(&NetConf::default(), Style::Tools, Audience::Privileged);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(top) = TopLevel::parse(&bytes, None) {
            if let Some(payload) = top.set(&NetConf::SET) {
                let _ = NetConf::create(payload);
                let _ = NetConf::read(payload);
            }
        }
    }
}
