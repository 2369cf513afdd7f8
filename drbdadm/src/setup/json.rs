// SPDX-License-Identifier: GPL-2.0
//! `status --json`: the schema of DRBD 9's drbdsetup, as far as 8.4 has the fields.
//!
//! Names are those of DRBD 9, so that its readers find what they look for. What 8.4 does not have
//! (node identifiers beyond 0, quorum, paths, ...) is left out.

use super::client::{Connection, Device, PeerDevice};
use super::names;
use super::status::Tree;
use drbd_core::state::Conn;
use serde_json::{json, Value};

/// The document for these resources.
#[must_use]
pub(super) fn document(trees: &[Tree]) -> String {
    let resources: Vec<Value> = trees.iter().map(resource).collect();
    format!("{:#}", Value::Array(resources))
}

fn resource(tree: &Tree) -> Value {
    let info = &tree.resource.info;
    let connections: Vec<Value> = tree
        .connections
        .iter()
        .map(|one| connection(one, tree))
        .collect();
    json!({
        "name": tree.resource.name,
        "node-id": 0,
        "role": names::role(info.res_role),
        "suspended": info.res_susp || info.res_susp_nod || info.res_susp_fen,
        "suspended-user": info.res_susp,
        "suspended-no-data": info.res_susp_nod,
        "suspended-fencing": info.res_susp_fen,
        "write-ordering": names::write_ordering(
            tree.resource.statistics.res_stat_write_ordering),
        "devices": tree.devices.iter().map(device).collect::<Vec<_>>(),
        "connections": connections,
    })
}

/// Amounts are in KiB.
fn device(device: &Device) -> Value {
    let figures = &device.statistics;
    json!({
        "volume": device.volume,
        "minor": device.minor,
        "disk-state": names::disk(device.info.dev_disk_state),
        "size": figures.dev_size / 2,
        "read": figures.dev_read / 2,
        "written": figures.dev_write / 2,
        "al-writes": figures.dev_al_writes,
        "bm-writes": figures.dev_bm_writes,
        "upper-pending": figures.dev_upper_pending,
        "lower-pending": figures.dev_lower_pending,
        "al-suspended": figures.dev_al_suspended,
        "blocked": names::blocked(figures.dev_upper_blocked, figures.dev_lower_blocked),
    })
}

fn connection(connection: &Connection, tree: &Tree) -> Value {
    let peer_devices: Vec<Value> = tree
        .peer_devices
        .iter()
        .map(|one| peer_device(one, tree))
        .collect();
    json!({
        "peer-node-id": 0,
        "name": "peer",
        "connection-state": names::connection(connection.info.conn_connection_state),
        "congested": connection.statistics.conn_congested,
        "peer-role": names::role(connection.info.conn_role),
        "peer_devices": peer_devices,
    })
}

fn peer_device(peer: &PeerDevice, tree: &Tree) -> Value {
    let figures = &peer.statistics;
    let own = tree.devices.iter().find(|own| own.volume == peer.volume);
    let size = own.map_or(0, |own| own.statistics.dev_size);
    let state = peer.info.peer_repl_state;
    let is_sync = (u32::from(Conn::SyncSource)..=u32::from(Conn::PausedSyncT)).contains(&state);
    let is_verify = state == u32::from(Conn::VerifyS) || state == u32::from(Conn::VerifyT);
    json!({
        "volume": peer.volume,
        "replication-state": names::replication(state),
        "peer-disk-state": names::disk(peer.info.peer_disk_state),
        "resync-suspended": names::resync_suspended(&peer.info),
        "received": figures.peer_dev_received / 2,
        "sent": figures.peer_dev_sent / 2,
        "out-of-sync": figures.peer_dev_out_of_sync / 2,
        "pending": figures.peer_dev_pending,
        "unacked": figures.peer_dev_unacked,
        "has-sync-details": is_sync && !is_verify,
        "has-online-verify-details": is_verify,
        "percent-in-sync": percent_in_sync(figures.peer_dev_out_of_sync, size),
    })
}

/// With two decimals; a volume without a size has nothing out of sync.
fn percent_in_sync(out_of_sync: u64, size: u64) -> f64 {
    if size == 0 {
        return 100.0;
    }
    // A device has at most 2^51 sectors, which a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let share = 1.0 - out_of_sync.min(size) as f64 / size as f64;
    (share * 10_000.0).round() / 100.0
}
