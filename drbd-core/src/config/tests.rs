// SPDX-License-Identifier: GPL-2.0
//! The option tables against themselves and against docs/configuration.md.

extern crate std;

use super::{
    disk::DISK_OPTION_ORDER,
    net::{NetSituation, CONNECT_OPTION_ORDER, NET_OPTION_ORDER},
    resource::RESOURCE_OPTION_ORDER,
    words::{AfterSb0p, AfterSb1p, AfterSb2p, Fencing, OnCongestion, Protocol, RrConflict},
    *,
};
use crate::genl::{ErrCode, Kind, Nest, ResizeParms};
use proptest::prelude::*;
use std::{collections::BTreeSet, string::ToString, vec::Vec};

/// Defaults of the structs are those of the table, lie in their range, and fit the attribute.
fn check_table<N: Nest>() {
    let defaults = N::default();
    for field in N::SET.fields {
        let Some(option) = field.option else { continue };
        if let Some(number) = defaults.number(field.number) {
            assert_eq!(number, option.default_number(), "{}", option.name);
        }
        match option.kind {
            OptionKind::Number {
                default, min, max, ..
            } => {
                assert!((min..=max).contains(&default), "{}", option.name);
                let fits = match field.kind {
                    Kind::U32 => u32::try_from(max).is_ok() && min >= 0,
                    Kind::S32 => i32::try_from(max).is_ok(),
                    Kind::U64 => min >= 0,
                    _ => false,
                };
                assert!(fits, "{}", option.name);
            }
            OptionKind::Enum { default, values } => {
                assert_eq!(field.kind, Kind::U32, "{}", option.name);
                assert!(
                    values.iter().any(|value| value.number == default),
                    "{}",
                    option.name
                );
                let words: BTreeSet<_> = values.iter().map(|value| value.word).collect();
                assert_eq!(words.len(), values.len(), "{}", option.name);
            }
            OptionKind::Bool { .. } | OptionKind::Flag => {
                assert_eq!(field.kind, Kind::Flag, "{}", option.name);
            }
            OptionKind::Text => assert!(matches!(field.kind, Kind::Text { .. })),
            OptionKind::Address => assert!(matches!(field.kind, Kind::Blob { .. })),
        }
        let found = N::SET.option(option.name).map(|found| found.number);
        assert_eq!(found, Some(field.number), "names are unique");
    }
}

#[test]
fn tables_are_consistent() {
    check_table::<DiskConf>();
    check_table::<NetConf>();
    check_table::<ResOpts>();
    check_table::<ResizeParms>();
    assert_eq!(
        NetConf::SET.option("dry-run").map(|field| field.number),
        Some(28)
    );
}

/// Every option is listed once in the order in which it is printed.
#[test]
fn orders_are_complete() {
    fn check<N: Nest>(order: &[&[u16]]) {
        let listed: Vec<u16> = order.concat();
        let unique: BTreeSet<u16> = listed.iter().copied().collect();
        let options = N::SET.fields.iter().filter(|field| field.option.is_some());
        assert_eq!(unique, options.map(|field| field.number).collect());
        assert_eq!(unique.len(), listed.len());
    }
    check::<DiskConf>(&[DISK_OPTION_ORDER]);
    check::<NetConf>(&[CONNECT_OPTION_ORDER, NET_OPTION_ORDER]);
    check::<ResOpts>(&[RESOURCE_OPTION_ORDER]);
}

/// Spot checks of what an administrator relies on.
#[test]
fn defaults() {
    let net = NetConf::default();
    assert_eq!(
        (net.timeout, net.ping_int, net.connect_int, net.ko_count),
        (60, 10, 10, 7)
    );
    assert_eq!(
        (net.wire_protocol, net.use_rle, net.tcp_cork),
        (Protocol::C, true, true)
    );
    let disk = DiskConf::default();
    assert_eq!(
        (disk.resync_rate, disk.c_max_rate, disk.al_extents),
        (250, 102_400, 1237)
    );
    assert_eq!(
        (disk.resync_after, disk.disk_flushes, disk.disk_barrier),
        (-1, true, false)
    );
    assert_eq!(disk.on_io_error.word(), "detach");
}

#[test]
fn sanitizing() {
    let mut disk = DiskConf {
        resync_rate: 0,
        al_extents: 5,
        c_plan_ahead: 301,
        ..DiskConf::default()
    };
    disk.sanitize();
    assert_eq!(
        (disk.resync_rate, disk.al_extents, disk.c_plan_ahead),
        (1, 67, 300)
    );
}

/// Nothing that is left at its default is refused; what is asked for and missing is named.
#[test]
fn gates() {
    assert_eq!(first_unbuilt(&DiskConf::default()), None);
    assert_eq!(first_unbuilt(&NetConf::default()), None);
    assert_eq!(first_unbuilt(&ResOpts::default()), None);
    assert_eq!(first_unbuilt(&ResizeParms::default()), None);
    let net = NetConf {
        cong_fill: 1024,
        on_congestion: OnCongestion::PullAhead,
        discard_my_data: true,
        tentative: true,
        after_sb_0p: AfterSb0p::DiscardLeastChanges,
        after_sb_1p: AfterSb1p::ViolentlyAs0p,
        after_sb_2p: AfterSb2p::CallPriLostAfterSb,
        rr_conflict: RrConflict::CallPriLost,
        always_asbp: true,
        ..NetConf::default()
    };
    let names: Vec<_> = unbuilt(&net).map(|unbuilt| unbuilt.option).collect();
    assert_eq!(names, ["on-congestion", "congestion-fill"]);
    let first = first_unbuilt(&net).expect("two");
    assert_eq!(first.code, ErrCode::InvalidRequest);
    assert!(first.to_string().starts_with("on-congestion: "));
}

/// One case per rule, and that the first rule wins.
#[test]
fn net_rules() {
    let calm = NetSituation {
        established: None,
        both_primary: false,
        volumes: &[],
    };
    let net = |edit: fn(&mut NetConf)| {
        let mut net = NetConf::default();
        edit(&mut net);
        net
    };
    let a = net(|n| n.wire_protocol = Protocol::A);
    assert_eq!(NetConf::default().check(&calm), Ok(()));
    assert_eq!(a.check(&calm), Ok(()));

    let old = NetConf::default();
    let at_99 = NetSituation {
        established: Some((&old, 99)),
        ..calm
    };
    let at_100 = NetSituation {
        established: Some((&old, 100)),
        ..calm
    };
    assert_eq!(a.check(&at_99), Err(ErrCode::NeedApv100));
    assert_eq!(a.check(&at_100), Ok(()));
    assert_eq!(net(|n| n.timeout = 7).check(&at_99), Ok(()));

    let both = NetSituation {
        both_primary: true,
        ..calm
    };
    assert_eq!(a.check(&both), Err(ErrCode::NeedAllowTwoPri));
    let two = net(|n| n.two_primaries = true);
    assert_eq!(two.check(&both), Ok(()));
    let two_a = net(|n| (n.two_primaries, n.wire_protocol) = (true, Protocol::A));
    assert_eq!(two_a.check(&calm), Err(ErrCode::NotProtoC));

    let stonith = [(None, false), (Some(Fencing::ResourceAndStonith), false)];
    let stonith = NetSituation {
        volumes: &stonith,
        ..calm
    };
    assert_eq!(a.check(&stonith), Err(ErrCode::StonithAndProtA));
    assert_eq!(old.check(&stonith), Ok(()));
    let primary = [(Some(Fencing::DontCare), true)];
    let primary = NetSituation {
        volumes: &primary,
        ..calm
    };
    let discard = net(|n| n.discard_my_data = true);
    assert_eq!(discard.check(&primary), Err(ErrCode::DiscardImpossible));
    assert_eq!(discard.check(&calm), Ok(()));
    let ahead = net(|n| n.on_congestion = OnCongestion::Disconnect);
    assert_eq!(ahead.check(&calm), Err(ErrCode::CongNotProtoA));
}

#[test]
fn numbers() {
    use NumberError::*;
    let table = [
        ("0", Scale::One, Ok(0)),
        ("250", Scale::Kib, Ok(250)),
        ("100M", Scale::Kib, Ok(102_400)),
        ("100m", Scale::Kib, Ok(102_400)),
        ("1g", Scale::Sector, Ok(2_097_152)),
        ("4096s", Scale::Kib, Ok(2048)),
        ("1s", Scale::Kib, Ok(1)),
        ("6s", Scale::One, Ok(3072)),
        ("10k", Scale::One, Ok(10_240)),
        ("-1", Scale::One, Ok(u64::MAX)),
        ("99999999999999999999", Scale::One, Ok(u64::MAX)),
        ("18446744073709551615K", Scale::One, Err(OutOfRange)),
        ("", Scale::One, Err(Empty)),
        ("1T", Scale::One, Err(NotANumber)),
        ("10kk", Scale::One, Err(NotANumber)),
        ("5x", Scale::One, Err(NotANumber)),
        ("k", Scale::One, Err(NotANumber)),
        ("nonsense", Scale::One, Err(NotANumber)),
        ("1S", Scale::One, Err(NotANumber)),
    ];
    for (text, scale, expected) in table {
        assert_eq!(parse_number(text, scale), expected, "{text:?}");
    }
}

#[test]
fn secrets() {
    let long = [b's'; 64];
    let secret = Secret::new(&long).expect("as long as the manual says");
    assert_eq!(secret.reveal(), &long[..63]);
    assert_eq!(Secret::new(&[b's'; 65]), None);
    assert_eq!(std::format!("{secret:?}"), "Secret(set)");
}

proptest! {
    /// No text makes it panic, and a unit never loses amount.
    #[test]
    fn any_number(text in ".{0,24}", count in 0_u64..1 << 30) {
        let _ = parse_number(&text, Scale::Kib);
        let in_kib = parse_number(&std::format!("{count}s"), Scale::Kib);
        prop_assert_eq!(in_kib, Ok(count.div_ceil(2)));
    }
}
