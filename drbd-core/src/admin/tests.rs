// SPDX-License-Identifier: GPL-2.0
//! Order, codes and texts of refusals; what is told; events; handlers.

extern crate std;

use std::string::{String, ToString};
use std::{format, vec, vec::Vec};

use super::handler::{CallLine, PeerAddress, PeerFamily, WaitStatus};
use super::net::{addresses_free, endpoints, Endpoints, Running};
use super::news::{batches, is_of_connection, Batch, News, Picture};
use super::*;
use crate::config::net::NetSituation;
use crate::config::words::{Fencing, Protocol, ReadBalancing};
use crate::config::{DiskConf, NetConf, ResOpts};
use crate::genl::context::ResourceName;
use crate::genl::info::peer_dev_flags;
use crate::genl::status::SibReason;
use crate::genl::{Address, Audience, Context, Nest, Style, Text, TopLevel, Writer};
use crate::meta::{AlLayout, Layout, MdFlags, MdIndex, Superblock};
use crate::peer::{DiskData, Volume};
use crate::state::{Conn, DeviceState, Disk, Role};

/// The payload of a set that names only what differs from its default, as tools send it.
fn payload<N: Nest>(set: &N) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, Style::Tools, Audience::Privileged);
    set.put(&mut writer).expect("4 KiB hold any set");
    let top = TopLevel::parse(writer.written(), None).expect("own output");
    top.set(&N::SET).expect("the set").to_vec()
}

/// One attribute.
fn attribute(number: u16, value: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, Style::Tools, Audience::Privileged);
    writer.put_raw(number | 0x4000, value).expect("room");
    writer.written().to_vec()
}

fn told<T: core::fmt::Debug>(result: Judged<T>) -> (i32, String) {
    match result {
        Ok(_) => (101, String::new()),
        Err(Denied::Malformed) => (-22, String::new()),
        Err(Denied::Answer(answer)) => (answer.code.0, answer.text.to_string()),
    }
}

fn code<T: core::fmt::Debug>(result: Judged<T>) -> i32 {
    told(result).0
}

fn named(name: &str, volume: Option<u32>) -> Context {
    Context {
        volume,
        resource_name: ResourceName::new(name.as_bytes()),
        ..Context::default()
    }
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text.as_bytes()).expect("short")
}

fn address(host: u8, port: u16) -> Address {
    let [high, low] = port.to_be_bytes();
    let [f0, f1] = 2_u16.to_ne_bytes();
    let raw = [f0, f1, high, low, 10, 0, 0, host, 0, 0, 0, 0, 0, 0, 0, 0];
    Address::new(&raw).expect("16 bytes")
}

#[test]
fn names_of_resources() {
    assert_eq!(
        create::resource_name(Some(&named("r0", None))).map(|n| n.to_string()),
        Ok("r0".into())
    );
    let refused =
        |context: Option<&Context>| told(create::resource_name(context).map_err(Denied::from));
    for unnamed in [None, Some(&Context::default()), Some(&named("", None))] {
        assert_eq!(refused(unnamed), (126, "resource name missing".into()));
    }
    assert_eq!(
        refused(Some(&named("a/b", None))),
        (162, "invalid resource name".into())
    );
    assert_eq!(create::resource_exists(false), Answer::OK);
    assert_eq!(create::resource_exists(true).code.0, 162);
    assert_eq!(create::minor_exists(true).code.0, 161);
    assert_eq!(create::minor_exists(false), Answer::OK);
}

#[test]
fn ranges_of_minors_and_volumes() {
    let ask = |minor, volume| create::minor(minor, Some(&named("r0", volume)));
    assert_eq!(ask(1_048_575, Some(65_534)), Ok((1_048_575, 65_534)));
    let refused = |minor, volume| told(ask(minor, volume).map_err(Denied::from));
    assert_eq!(
        refused(1_048_576, None),
        (162, "requested minor out of range".into())
    );
    for volume in [Some(65_535), Some(65_536), Some(u32::MAX), None] {
        assert_eq!(
            refused(1, volume),
            (162, "requested volume id out of range".into())
        );
    }
}

#[test]
fn options_of_a_resource() {
    assert_eq!(
        create::resource_options(None).map(|o| o == ResOpts::default()),
        Ok(true)
    );
    let pinned = ResOpts {
        cpu_mask: text("1"),
        ..ResOpts::default()
    };
    assert_eq!(
        create::resource_options(Some(&payload(&pinned))).map(|o| o == pinned),
        Ok(true)
    );
    // Back to the default is always possible.
    assert_eq!(
        create::changed_resource_options(&pinned, None, true).map(|o| o == ResOpts::default()),
        Ok(true)
    );
    // A number without meaning, a truncated value, an unknown number.
    let opts = |raw: &[u8]| told(create::resource_options(Some(raw)));
    assert_eq!(
        opts(&attribute(2, &9_u32.to_ne_bytes())),
        (126, "invalid attribute value".into())
    );
    assert_eq!(opts(&attribute(2, &[1])).0, -22);
    assert_eq!(
        opts(&attribute(17, &[1])),
        (126, "unknown mandatory attribute".into())
    );
}

#[test]
fn processors_of_a_resource() {
    let asked = |mask: &str, possible| {
        let opts = ResOpts {
            cpu_mask: text(mask),
            ..ResOpts::default()
        };
        let new = create::processors(&opts, possible);
        let changed = create::changed_processors(&opts, possible);
        assert_eq!(new.ok(), changed.ok());
        (new.map_err(Denied::from), changed.map_err(Denied::from))
    };
    // Codes without a text, as C's.
    let (new, changed) = asked("x", 2);
    assert_eq!(told(new), (122, String::new()));
    assert_eq!(told(changed), (162, String::new()));
    for (mask, possible) in [("x", 1), ("3", 2), ("ff", 2), ("", 2)] {
        assert_eq!(code(asked(mask, possible).0), 101);
    }
    // 31 characters and no more.
    assert!(Text::<32>::new(&[b'1'; 31]).is_some() && Text::<32>::new(&[b'1'; 32]).is_none());
}

fn disk_conf() -> DiskConf {
    DiskConf {
        backing_dev: text("/dev/sda"),
        meta_dev: text("/dev/sda"),
        meta_dev_idx: -3,
        ..DiskConf::default()
    }
}

#[test]
fn options_of_an_attach() {
    let attach =
        |conf: &DiskConf, protocol| told(disk::new_conf(Some(&payload(conf)), 7, protocol));
    assert_eq!(attach(&disk_conf(), None).0, 101);
    assert_eq!(
        told(disk::new_conf(None, 7, None)),
        (126, "required attribute missing".into())
    );
    let no_meta = attribute(1, b"/dev/sda\0");
    assert_eq!(code(disk::new_conf(Some(&no_meta), 7, None)), 126);
    let bad_index = DiskConf {
        meta_dev_idx: -4,
        ..disk_conf()
    };
    assert_eq!(attach(&bad_index, None).0, 116);
    let stonith = DiskConf {
        fencing: Fencing::ResourceAndStonith,
        ..disk_conf()
    };
    assert_eq!(attach(&stonith, Some(Protocol::A)).0, 154);
    for (after, code) in [(-5, 132), (1_048_576, 132), (7, 133), (8, 101)] {
        let conf = DiskConf {
            resync_after: after,
            ..disk_conf()
        };
        assert_eq!(attach(&conf, None).0, code, "resync-after {after}");
    }
    let chain = |minor: u32| {
        [(8, 9), (9, 10), (11, 7)]
            .iter()
            .find(|c| c.0 == minor)
            .map(|c| c.1)
    };
    for (after, expected) in [(-1, 101), (8, 101), (11, 133), (12, 101)] {
        let conf = DiskConf {
            resync_after: after,
            ..disk_conf()
        };
        let judged = disk::no_circle(&conf, 7, chain).map_err(Denied::from);
        assert_eq!(code(judged), expected, "resync-after {after}");
    }
    // A circle of others cannot be made, and would not be followed for ever.
    let conf = DiskConf {
        resync_after: 8,
        ..disk_conf()
    };
    assert!(disk::no_circle(&conf, 7, |minor| Some(17 - minor)).is_err());
    let in_turns = DiskConf {
        read_balancing: ReadBalancing::RoundRobin,
        ..disk_conf()
    };
    assert_eq!(
        attach(&in_turns, None),
        (
            162,
            "read-balancing: this setting is not built into this module yet".into()
        )
    );
    let far_ahead = DiskConf {
        c_plan_ahead: 1000,
        ..disk_conf()
    };
    let (conf, index) = disk::new_conf(Some(&payload(&far_ahead)), 7, None).expect("accepted");
    assert_eq!((conf.c_plan_ahead, index), (300, MdIndex::FlexInternal));

    assert_eq!(disk::fits_index(MdIndex::FlexInternal, true), Ok(()));
    assert_eq!(disk::fits_index(MdIndex::Fixed(0), false), Ok(()));
    for (index, same) in [(MdIndex::FlexExternal, true), (MdIndex::Internal, false)] {
        assert_eq!(
            code(disk::fits_index(index, same).map_err(Denied::from)),
            116
        );
    }
}

#[test]
fn options_of_a_disk_that_is_there() {
    let ask = |raw: &[u8], defaults| disk::changed_conf(&disk_conf(), Some(raw), defaults, 7);
    assert_eq!(code(ask(&attribute(9, &7_i32.to_ne_bytes()), false)), 133);
    for (number, value) in [(1, &b"/dev/sdb\0"[..]), (4, &8_u64.to_ne_bytes()[..])] {
        assert_eq!(
            told(ask(&attribute(number, value), false)),
            (126, "can not change invariant setting".into())
        );
    }
    let slower = attribute(8, &0_u32.to_ne_bytes());
    assert_eq!(ask(&slower, false).map(|c| c.resync_rate), Ok(1));
    let tuned = DiskConf {
        resync_rate: 4000,
        ..disk_conf()
    };
    let reset = disk::changed_conf(&tuned, None, true, 7).expect("accepted");
    assert_eq!(reset, disk_conf());
}

#[test]
fn options_follow_the_disk() {
    let layout =
        Layout::compute(MdIndex::FlexInternal, 1 << 20, AlLayout::DEFAULT).expect("512 MiB");
    let mut conf = DiskConf {
        al_extents: 65_534,
        rs_discard_granularity: 4096,
        ..disk_conf()
    };
    disk::limit_to_disk(&mut conf, &layout, 0, 0);
    assert_eq!((conf.al_extents, conf.rs_discard_granularity), (6433, 0));
    conf.rs_discard_granularity = 4096;
    disk::limit_to_disk(&mut conf, &layout, 65536, 1 << 20);
    assert_eq!(conf.rs_discard_granularity, 65536);
}

/// A volume of 1 GiB whose disk has these flags.
fn volume(conn: Conn, disks: (Disk, Disk), flags: MdFlags) -> Volume {
    let layout = Layout::compute(MdIndex::FlexInternal, 1 << 21, AlLayout::DEFAULT).expect("1 GiB");
    let mut superblock = Superblock::create(&layout);
    superblock.flags = flags;
    superblock.la_size_sect = 2_000_000;
    superblock.uuids = [0xC0, 0xB0, 0xA1, 0xA2];
    let mut volume = Volume::new(3);
    volume.state = DeviceState {
        conn,
        disk: disks.0,
        pdsk: disks.1,
        ..DeviceState::NEW
    };
    volume.size = 2_000_000;
    volume.exposed = 0xC0;
    volume.resync.total = 1000;
    volume.resync.failed = 2;
    volume.disk = Some(DiskData {
        superblock,
        usable: 2_000_000,
        room: None,
        user_size: 0,
        fencing: crate::state::Fencing::DontCare,
        max_bio_size: 1 << 20,
        al_updates: true,
        dirty: false,
    });
    volume
}

#[test]
fn sizes_of_an_attach() {
    let consistent = volume(
        Conn::StandAlone,
        (Disk::UpToDate, Disk::DUnknown),
        MdFlags::CONSISTENT,
    );
    let mut disk = consistent.disk.expect("has one");
    let fits = |disk: &DiskData, volume: &Volume| {
        told(disk::fits_volume(disk, volume).map_err(Denied::from))
    };
    let fresh = Volume::new(3);
    assert_eq!(fits(&disk, &fresh).0, 101);
    disk.usable = 1_000_000;
    assert_eq!(
        fits(&disk, &fresh),
        (
            170,
            "To-be-attached device has last effective > current size, and is consistent\n\
             (2000000 > 1000000 sectors). Refusing to attach."
                .into()
        )
    );
    assert_eq!(fits(&disk, &consistent), (111, String::new()));
    disk.superblock.flags = MdFlags::from_bits(0);
    assert_eq!(fits(&disk, &fresh).0, 101);

    let flags = MdFlags::PRIMARY_IND.with(MdFlags::CONNECTED_IND);
    disk.superblock.flags = flags;
    assert!(!disk::is_degraded(&disk, &DeviceState::NEW));
    disk.superblock.flags = MdFlags::PRIMARY_IND;
    assert!(disk::is_degraded(&disk, &DeviceState::NEW));
}

#[test]
fn resize_refusals_in_order() {
    let volume = |disk, conn, role| {
        let mut volume = volume(conn, (disk, Disk::UpToDate), MdFlags::CONSISTENT);
        volume.state.role = role;
        volume.state.peer = Role::Secondary;
        volume
    };
    let ask = |volume: &Volume, apv| {
        let assume_clean = attribute(3, &[1]);
        code(disk::resize_parms(Some(&assume_clean), volume, apv))
    };
    let fine = volume(Disk::UpToDate, Conn::Connected, Role::Primary);
    assert_eq!(ask(&fine, 101), 101);
    assert_eq!(ask(&fine, 92), 153);
    let secondary = volume(Disk::UpToDate, Conn::Connected, Role::Secondary);
    assert_eq!(ask(&secondary, 92), 131);
    let syncing = volume(Disk::UpToDate, Conn::SyncSource, Role::Secondary);
    assert_eq!(ask(&syncing, 92), 130);
    let diskless = volume(Disk::Diskless, Conn::SyncSource, Role::Secondary);
    assert_eq!(ask(&diskless, 92), 138);
    // Another shape of the activity log: stripes, KiB each.
    let shaped = |volume, stripes: u32, kib: u32, force: u8| {
        let mut raw = attribute(2, &[force]);
        raw.extend(attribute(4, &stripes.to_ne_bytes()));
        raw.extend(attribute(5, &kib.to_ne_bytes()));
        told(disk::resize_parms(Some(&raw), volume, 101))
    };
    let not_built = "al-stripes: this setting is not built into this module yet";
    let alone = volume(Disk::UpToDate, Conn::StandAlone, Role::Primary);
    assert_eq!(shaped(&alone, 1024, 1_048_576, 0).0, 167);
    assert_eq!(shaped(&alone, 1, 4, 0).0, 168);
    assert_eq!(shaped(&alone, 2, 32, 0).0, 166);
    assert_eq!(shaped(&alone, 2, 32, 1), (162, not_built.into()));
    assert_eq!(shaped(&fine, 2, 32, 0), (162, not_built.into()));
}

#[test]
fn a_new_generation_by_hand() {
    let ask = |volume: &Volume, clear| code(disk::new_current_uuid(volume, 101, clear));
    let alone = volume(
        Conn::StandAlone,
        (Disk::UpToDate, Disk::DUnknown),
        MdFlags::CONSISTENT,
    );
    assert_eq!(ask(&alone, false), 101);
    assert_eq!(ask(&Volume::new(0), false), 138);
    let mut pair = alone;
    pair.state.conn = Conn::Connected;
    assert_eq!(ask(&pair, true), 151);
    if let Some(disk) = &mut pair.disk {
        disk.superblock.uuids = [4, 0, 0, 0];
    }
    assert_eq!(ask(&pair, true), 101);
    assert_eq!(ask(&pair, false), 151);
    assert_eq!(code(disk::new_current_uuid(&pair, 89, true)), 151);
}

const NOBODY: NetSituation<'static> = NetSituation {
    established: None,
    both_primary: false,
    volumes: &[],
};

#[test]
fn addresses() {
    let ends = |mine, peer| Endpoints { mine, peer };
    let (a, b, c) = (address(1, 7788), address(2, 7788), address(3, 7788));
    let context = Context::default().with_addresses(a, b);
    assert_eq!(endpoints(Some(&context)), Ok(ends(a, b)));
    let half = Context::default().with_addresses(a, Address::NONE);
    for missing in [None, Some(&half)] {
        assert_eq!(
            told(endpoints(missing).map_err(Denied::from)),
            (162, "connection endpoint(s) missing".into())
        );
    }
    let free = |wanted, others: Vec<Endpoints>| {
        code(addresses_free(&wanted, others).map_err(Denied::from))
    };
    assert_eq!(free(ends(a, b), vec![]), 101);
    assert_eq!(free(ends(a, b), vec![ends(b, c)]), 101);
    assert_eq!(free(ends(a, b), vec![ends(a, b)]), 102);
    assert_eq!(free(ends(a, b), vec![ends(c, b), ends(a, c)]), 103);
    assert_eq!(free(ends(a, b), vec![ends(address(1, 7789), c)]), 101);
}

#[test]
fn settings_of_a_connection() {
    let connect = |conf: &NetConf| told(net::new_conf(Some(&payload(conf)), &NOBODY));
    assert_eq!(connect(&NetConf::default()).0, 101);
    assert_eq!(code(net::new_conf(None, &NOBODY)), 101);
    let two_a = NetConf {
        two_primaries: true,
        wire_protocol: Protocol::A,
        cram_hmac_alg: text("sha1"),
        ..NetConf::default()
    };
    assert_eq!(connect(&two_a).0, 139);
    // Algorithms are looked up by the driver.
    let all = NetConf {
        csums_alg: text("crc32c"),
        verify_alg: text("crc32c"),
        integrity_alg: text("crc32c"),
        cram_hmac_alg: text("sha1"),
        cong_extents: 500,
        ..NetConf::default()
    };
    assert_eq!(
        connect(&all),
        (
            162,
            "congestion-extents: this setting is not built into this module yet".into()
        )
    );
}

#[test]
fn settings_of_a_connection_that_is_there() {
    let old = NetConf {
        timeout: 50,
        ..NetConf::default()
    };
    let idle = Running::default();
    let ask = |raw: &[u8], defaults, running| {
        net::changed_conf(Some(&old), Some(raw), defaults, &NOBODY, running)
    };
    assert_eq!(
        told(net::changed_conf(None, None, false, &NOBODY, idle)),
        (162, "net conf missing, try connect".into())
    );
    let faster = attribute(9, &1_u32.to_ne_bytes());
    let new = ask(&faster, false, idle).expect("accepted");
    assert_eq!((new.ping_int, new.timeout), (1, 50));
    assert_eq!(ask(&faster, true, idle).map(|c| c.timeout), Ok(60));
    for number in [25, 28] {
        assert_eq!(
            told(ask(&attribute(number, &[1]), false, idle)),
            (126, "can not change invariant setting".into())
        );
    }
    let csums = attribute(5, b"crc32c\0");
    let verify = attribute(4, b"crc32c\0");
    let busy = Running {
        resync: true,
        verify: true,
    };
    assert_eq!(code(ask(&csums, false, busy)), 148);
    assert_eq!(code(ask(&verify, false, busy)), 149);
    assert_eq!(code(ask(&csums, false, idle)), 101);
    assert_eq!(code(ask(&verify, false, idle)), 101);
}

#[test]
fn a_volume_without_disk_tells_zeroes() {
    let mut bare = Volume::new(0);
    bare.exposed = 0xC0;
    let counters = tell::Counters::default();
    let stats = tell::device_statistics(&bare, &counters);
    assert_eq!(stats.dev_current_uuid, 0);
    assert_eq!(stats.dev_disk_flags, 0);
    assert_eq!(stats.history_uuids.0, None);
    assert_eq!(stats.dev_exposed_data_uuid, 0xC0);
    let info = tell::state_info(&bare, &counters, SibReason::StatusReply);
    assert_eq!(info.uuids, None);
    assert_eq!(info.bits_oos, None);
    assert_eq!(info.current_state, DeviceState::NEW.to_word());
    assert_eq!(info.sib_reason, 1);
}

#[test]
fn a_volume_with_disk_tells_all() {
    let flags = MdFlags::CONSISTENT.with(MdFlags::CONNECTED_IND);
    let mut v = volume(
        Conn::PausedSyncT,
        (Disk::Inconsistent, Disk::UpToDate),
        flags,
    );
    let counters = tell::Counters {
        application_pending: 3,
        resync_pending: 4,
        out_of_sync: 10,
        bits: 250_000,
        to_verify: 300,
        ..tell::Counters::default()
    };
    let stats = tell::peer_device_statistics(&v, &counters);
    assert_eq!(stats.peer_dev_pending, 7);
    assert_eq!(stats.peer_dev_out_of_sync, 80);
    assert_eq!(stats.peer_dev_resync_failed, 16);
    assert_eq!(stats.peer_dev_bitmap_uuid, 0xB0);
    assert_eq!(
        stats.peer_dev_flags,
        peer_dev_flags::CONNECTED | peer_dev_flags::OUTDATED
    );
    let stats = tell::device_statistics(&v, &counters);
    assert_eq!(stats.history_uuids.0, Some([0xA1, 0xA2, 0, 0]));
    assert_eq!(stats.dev_disk_flags, flags.bits());
    let info = tell::state_info(&v, &counters, SibReason::SyncProgress);
    assert_eq!(info.bits_rs_total, Some(1000));
    assert_eq!(info.bits_rs_failed, Some(2));
    assert_eq!(info.bits_total, Some(250_000));
    v.state.conn = Conn::VerifyT;
    let info = tell::state_info(&v, &counters, SibReason::StatusReply);
    assert_eq!(info.bits_rs_total, Some(300));
    v.state.conn = Conn::WFBitMapT;
    let info = tell::state_info(&v, &counters, SibReason::StatusReply);
    assert_eq!((info.bits_rs_total, info.bits_oos), (None, Some(10)));
    // While it is Negotiating, the disk does not count.
    v.state.disk = Disk::Negotiating;
    let info = tell::state_info(&v, &counters, SibReason::StatusReply);
    assert_eq!(info.uuids, None);
}

#[test]
fn infos_and_wait_times() {
    let primary = DeviceState {
        role: Role::Primary,
        susp_nod: true,
        ..DeviceState::NEW
    };
    let info = tell::resource_info([&DeviceState::NEW, &primary]);
    assert_eq!(
        (info.res_role, info.res_susp, info.res_susp_nod),
        (1, false, true)
    );
    assert_eq!(tell::resource_info([]).res_role, 2);
    let peer = DeviceState {
        conn: Conn::SyncSource,
        peer: Role::Primary,
        aftr_isp: true,
        pdsk: Disk::Inconsistent,
        ..DeviceState::NEW
    };
    let info = tell::connection_info(Conn::WFReportParams, [&DeviceState::NEW, &peer]);
    assert_eq!((info.conn_connection_state, info.conn_role), (9, 1));
    assert_eq!(tell::connection_info(Conn::StandAlone, []).conn_role, 0);
    let info = tell::peer_device_info(&peer);
    assert_eq!((info.peer_repl_state, info.peer_disk_state), (16, 4));
    assert_eq!(info.peer_resync_susp_dependency, 1);
    assert_eq!(tell::peer_device_info(&DeviceState::NEW).peer_repl_state, 9);

    let outdated = DeviceState {
        pdsk: Disk::Outdated,
        ..DeviceState::NEW
    };
    let kind = |state, degraded| tell::timeout_parms(state, degraded).timeout_type;
    assert_eq!(kind(&outdated, true), 2);
    assert_eq!(kind(&DeviceState::NEW, true), 1);
    assert_eq!(kind(&DeviceState::NEW, false), 0);
}

#[test]
fn write_ordering_is_that_of_the_weakest_disk() {
    use crate::proc::WriteOrdering as W;
    let drain = DiskConf {
        disk_flushes: false,
        ..DiskConf::default()
    };
    let none = DiskConf {
        disk_drain: false,
        ..drain.clone()
    };
    let full = DiskConf::default();
    assert_eq!(tell::write_ordering([]), W::Flush);
    assert_eq!(tell::write_ordering([&full, &drain]), W::Drain);
    assert_eq!(tell::write_ordering([&none, &drain, &full]), W::None);
    assert_eq!(
        tell::resource_statistics(W::Drain).res_stat_write_ordering,
        1
    );
}

#[test]
fn news_in_their_order() {
    let quiet = DeviceState {
        conn: Conn::Connected,
        peer: Role::Secondary,
        disk: Disk::UpToDate,
        pdsk: Disk::UpToDate,
        ..DeviceState::NEW
    };
    let lost = DeviceState {
        conn: Conn::TearDown,
        peer: Role::Unknown,
        pdsk: Disk::DUnknown,
        ..quiet
    };
    let heard = |cstate: (Conn, Conn), old: &[(u16, DeviceState)], new: &[(u16, DeviceState)]| {
        let before = Picture {
            cstate: cstate.0,
            volumes: old,
        };
        let after = Picture {
            cstate: cstate.1,
            volumes: new,
        };
        let batches = batches(before, after).map(|batch: Batch<'_>| batch.news().collect());
        batches.collect::<Vec<Vec<News>>>()
    };
    let up = [(0, quiet), (7, quiet)];
    let down = [(0, lost), (7, lost)];
    assert_eq!(
        heard((Conn::WFReportParams, Conn::TearDown), &up, &down),
        [
            vec![News::PeerDevice(0)],
            vec![News::Connection, News::PeerDevice(7)],
            vec![News::Connection, News::PeerDevice(0), News::PeerDevice(7)]
        ]
    );
    assert_eq!(
        heard((Conn::WFReportParams, Conn::WFReportParams), &up, &up),
        [vec![]]
    );
    let primary = DeviceState {
        role: Role::Primary,
        disk: Disk::Inconsistent,
        user_isp: true,
        ..quiet
    };
    assert_eq!(
        heard(
            (Conn::WFReportParams, Conn::WFReportParams),
            &up,
            &[(0, quiet), (7, primary)]
        ),
        [[News::Resource, News::Device(7), News::PeerDevice(7)]]
    );
    // Unconnected to WFConnection: nothing of a volume is listed.
    let waits = |conn| [(0, DeviceState { conn, ..lost })];
    assert_eq!(
        heard(
            (Conn::Unconnected, Conn::WFConnection),
            &waits(Conn::Unconnected),
            &waits(Conn::WFConnection)
        ),
        [vec![], vec![News::Connection]]
    );
    assert!(is_of_connection(&quiet, &lost));
    assert!(!is_of_connection(&lost, &quiet));
    assert!(!is_of_connection(&quiet, &primary));
}

#[test]
fn how_handlers_are_called() {
    let v4 = address(2, 7788);
    assert_eq!(PeerFamily(&v4).to_string(), "DRBD_PEER_AF=ipv4");
    assert_eq!(PeerAddress(&v4).to_string(), "DRBD_PEER_ADDRESS=10.0.0.2");
    let mut raw = [0_u8; 28];
    raw[..2].copy_from_slice(&10_u16.to_ne_bytes());
    raw[8] = 0xfe;
    raw[9] = 0x80;
    raw[23] = 1;
    let v6 = Address::new(&raw).expect("28 bytes");
    assert_eq!(PeerFamily(&v6).to_string(), "DRBD_PEER_AF=ipv6");
    assert_eq!(
        PeerAddress(&v6).to_string(),
        "DRBD_PEER_ADDRESS=fe80:0000:0000:0000:0000:0000:0000:0001"
    );
    let none = Address::NONE;
    assert_eq!(format!("{}{}", PeerFamily(&none), PeerAddress(&none)), "");

    let status = WaitStatus::new(Some(0x400));
    assert_eq!(
        (status.exit(), status.raw(), status.is_ok()),
        (4, 1024, false)
    );
    let failed = WaitStatus::new(None);
    assert_eq!((failed.exit(), failed.raw(), failed.is_ok()), (0, 0, true));
    let line = |status| CallLine {
        program: "/sbin/drbdadm",
        handler: "before-resync-target",
        argument: "minor-1",
        status,
    };
    assert_eq!(
        line(None).to_string(),
        "helper command: /sbin/drbdadm before-resync-target minor-1"
    );
    assert_eq!(
        line(Some(status)).to_string(),
        "helper command: /sbin/drbdadm before-resync-target minor-1 exit code 4 (0x400)"
    );
}
