// SPDX-License-Identifier: GPL-2.0
//! `status` against what drbdsetup-84 printed for the same state.

use super::{Connection, Device, PeerDevice, Resource, Tree, View, Wrapper};
use crate::setup::json;
use drbd_core::config::{NetConf, ResOpts};
use drbd_core::genl::info::{
    ConnectionInfo, ConnectionStatistics, DeviceInfo, DeviceStatistics, PeerDeviceInfo,
    PeerDeviceStatistics, ResourceInfo, ResourceStatistics,
};
use drbd_core::genl::Address;
use drbd_core::state::{Conn, Disk, Role};

fn show(tree: &Tree, is_verbose: bool, has_statistics: bool) -> String {
    let mut wrapper = Wrapper::new(80);
    View {
        is_verbose,
        has_statistics,
        has_color: false,
    }
    .tree(&mut wrapper, tree);
    wrapper.into_text()
}

/// A syncing pair, as captured while the initial sync ran.
fn syncing() -> Tree {
    Tree {
        resource: Resource {
            name: "r0".to_owned(),
            options: ResOpts::default(),
            info: ResourceInfo {
                res_role: Role::Primary.into(),
                ..ResourceInfo::default()
            },
            statistics: ResourceStatistics {
                res_stat_write_ordering: 2,
            },
        },
        devices: vec![Device {
            volume: 0,
            minor: 1,
            disk_conf: None,
            info: DeviceInfo {
                dev_disk_state: Disk::UpToDate.into(),
            },
            statistics: DeviceStatistics {
                dev_size: 262_064,
                dev_read: 249_184,
                dev_al_writes: 8,
                ..DeviceStatistics::default()
            },
        }],
        connections: vec![Connection {
            my_addr: Address::NONE,
            peer_addr: Address::NONE,
            net_conf: NetConf::default(),
            info: ConnectionInfo {
                conn_connection_state: Conn::WFReportParams.into(),
                conn_role: Role::Secondary.into(),
            },
            statistics: ConnectionStatistics::default(),
        }],
        peer_devices: vec![PeerDevice {
            volume: 0,
            info: PeerDeviceInfo {
                peer_repl_state: Conn::SyncSource.into(),
                peer_disk_state: Disk::Inconsistent.into(),
                ..PeerDeviceInfo::default()
            },
            statistics: PeerDeviceStatistics {
                peer_dev_sent: 249_184,
                peer_dev_out_of_sync: 14_256,
                peer_dev_pending: 7,
                ..PeerDeviceStatistics::default()
            },
        }],
    }
}

#[test]
fn golden_plain() {
    let expected = "\
r0 role:Primary
  disk:UpToDate
  peer role:Secondary
    replication:SyncSource peer-disk:Inconsistent done:94.56

";
    assert_eq!(show(&syncing(), false, false), expected);
}

#[test]
fn golden_verbose() {
    let expected = "\
r0 role:Primary suspended:no
    write-ordering:flush
  volume:0 minor:1 disk:UpToDate
      size:131032 read:124592 written:0 al-writes:8 bm-writes:0 upper-pending:0
      lower-pending:0 al-suspended:no blocked:no
  peer connection:Connected role:Secondary congested:no
    volume:0 replication:SyncSource peer-disk:Inconsistent done:94.56
        resync-suspended:no
        received:0 sent:124592 out-of-sync:7128 pending:7 unacked:0

";
    assert_eq!(show(&syncing(), true, true), expected);
}

#[test]
fn golden_waiting() {
    let mut tree = syncing();
    tree.connections[0].info = ConnectionInfo {
        conn_connection_state: Conn::WFConnection.into(),
        conn_role: Role::Unknown.into(),
    };
    tree.peer_devices[0].info = PeerDeviceInfo {
        peer_repl_state: Conn::WFReportParams.into(),
        peer_disk_state: Disk::DUnknown.into(),
        ..PeerDeviceInfo::default()
    };
    tree.peer_devices[0].statistics = PeerDeviceStatistics::default();
    let plain = "r0 role:Primary\n  disk:UpToDate\n  peer connection:Connecting\n\n";
    assert_eq!(show(&tree, false, false), plain);
    let verbose = show(&tree, true, true);
    let expected = "\
  peer connection:Connecting role:Unknown congested:no
    volume:0 replication:Off peer-disk:DUnknown resync-suspended:no
        received:0 sent:0 out-of-sync:0 pending:0 unacked:0

";
    assert!(verbose.ends_with(expected), "{verbose}");
}

#[test]
fn golden_resource_alone() {
    let mut tree = syncing();
    (tree.devices, tree.connections, tree.peer_devices) = (vec![], vec![], vec![]);
    tree.resource.info.res_role = Role::Secondary.into();
    assert_eq!(show(&tree, false, false), "r0 role:Secondary\n\n");
    let verbose = "r0 role:Secondary suspended:no\n    write-ordering:flush\n\n";
    assert_eq!(show(&tree, true, true), verbose);
}

/// Volume numbers appear when they are needed; what is wrong appears always.
#[test]
fn what_is_wrong_is_shown() {
    let mut tree = syncing();
    tree.resource.info.res_susp = true;
    tree.resource.info.res_susp_fen = true;
    tree.devices[0].statistics.dev_upper_blocked = true;
    tree.peer_devices[0].info.peer_resync_susp_user = 1;
    tree.peer_devices[0].info.peer_resync_susp_dependency = 1;
    tree.connections[0].statistics.conn_congested = true;
    let mut second = tree.devices[0].clone();
    second.volume = 1;
    tree.devices.push(second);
    let text = show(&tree, false, false);
    let expected = "\
r0 role:Primary suspended:user,fencing
  volume:0 disk:UpToDate blocked:upper
  volume:1 disk:UpToDate blocked:upper
  peer role:Secondary congested:yes
    volume:0 replication:SyncSource peer-disk:Inconsistent done:94.56
        resync-suspended:user,dependency

";
    assert_eq!(text, expected);
}

/// As stock paints it; the codes take no room when lines are broken.
#[test]
fn golden_colors() {
    let mut wrapper = Wrapper::new(80);
    let view = View {
        is_verbose: false,
        has_statistics: false,
        has_color: true,
    };
    view.tree(&mut wrapper, &syncing());
    let expected = "r0 role:\u{1b}[1;36mPrimary\u{1b}[0m\n  disk:\u{1b}[1;32mUpToDate\u{1b}[0m\n  \
        peer role:Secondary\n    replication:\u{1b}[31mSyncSource\u{1b}[0m \
        peer-disk:\u{1b}[31mInconsistent\u{1b}[0m done:94.56\n\n";
    assert_eq!(wrapper.into_text(), expected);
}

#[test]
fn json_has_the_names_of_drbd_9() {
    let document: serde_json::Value =
        serde_json::from_str(&json::document(&[syncing()])).expect("JSON");
    let resource = &document[0];
    assert_eq!(resource["name"], "r0");
    assert_eq!(resource["role"], "Primary");
    assert_eq!(resource["suspended"], false);
    assert_eq!(resource["devices"][0]["disk-state"], "UpToDate");
    assert_eq!(resource["devices"][0]["size"], 131_032);
    let connection = &resource["connections"][0];
    assert_eq!(connection["connection-state"], "Connected");
    let peer = &connection["peer_devices"][0];
    assert_eq!(peer["replication-state"], "SyncSource");
    assert_eq!(peer["out-of-sync"], 7128);
    assert_eq!(peer["percent-in-sync"], 94.56);
    assert_eq!(peer["has-sync-details"], true);
    assert_eq!(json::document(&[]), "[]");
}
