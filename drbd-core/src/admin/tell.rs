// SPDX-License-Identifier: GPL-2.0
//! What is told about resources, volumes and connections: info, statistics, status.
//!
//! The driver hands in what the state machine knows of a volume and its own [`Counters`].

use crate::config::words;
use crate::genl::info::{
    peer_dev_flags, ConnectionInfo, DeviceInfo, DeviceStatistics, PeerDeviceInfo,
    PeerDeviceStatistics, ResourceInfo, ResourceStatistics,
};
use crate::genl::request::TimeoutParms;
use crate::genl::status::{SibReason, StateInfo};
use crate::genl::{History, Uuids};
use crate::meta::MdFlags;
use crate::peer::Volume;
use crate::proc::WriteOrdering;
use crate::state::{Conn, DeviceState, Disk, Role, Summary};

/// Figures of a volume that the driver counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sectors sent.
    pub sent: u64,
    /// Sectors received.
    pub received: u64,
    /// Sectors read from the local disk.
    pub read: u64,
    /// Sectors written to the local disk.
    pub written: u64,
    /// Transactions of the activity log.
    pub al_writes: u64,
    /// Writes of bitmap blocks.
    pub bm_writes: u64,
    /// Application requests in flight.
    pub application: u32,
    /// Application requests sent and not answered.
    pub application_pending: u32,
    /// Resync requests sent and not answered.
    pub resync_pending: u32,
    /// Requests received and not acknowledged.
    pub unacked: u32,
    /// References to the local disk.
    pub local: u32,
    /// New application requests would have to wait.
    pub blocked: bool,
    /// The activity log is not written.
    pub al_suspended: bool,
    /// Bits in the bitmap.
    pub bits: u64,
    /// Bits that are out of sync.
    pub out_of_sync: u64,
    /// Blocks that the verify under way goes over.
    pub to_verify: u64,
}

/// Whether there is a local disk to tell of.
#[must_use]
pub fn has_disk(volume: &Volume) -> bool {
    volume.disk.is_some() && volume.state.disk >= Disk::Inconsistent
}

fn flags(volume: &Volume) -> MdFlags {
    match &volume.disk {
        Some(disk) if has_disk(volume) => disk.superblock.flags,
        _ => MdFlags::from_bits(0),
    }
}

fn uuids(volume: &Volume) -> Option<Uuids> {
    let disk = volume.disk.as_ref().filter(|_| has_disk(volume))?;
    Some(disk.superblock.uuids)
}

/// A resource, from the states of its volumes.
pub fn resource_info<'a>(volumes: impl IntoIterator<Item = &'a DeviceState>) -> ResourceInfo {
    let mut info = ResourceInfo {
        res_role: u32::from(Role::Secondary),
        res_susp: false,
        res_susp_nod: false,
        res_susp_fen: false,
    };
    let mut role = Role::Secondary;
    for state in volumes {
        role = role.highest(state.role);
        info.res_susp |= state.susp;
        info.res_susp_nod |= state.susp_nod;
        info.res_susp_fen |= state.susp_fen;
    }
    info.res_role = u32::from(role);
    info
}

/// A connection, from its own state and those of the volumes.
pub fn connection_info<'a>(
    cstate: Conn,
    volumes: impl IntoIterator<Item = &'a DeviceState>,
) -> ConnectionInfo {
    let summary = Summary::of(cstate, volumes);
    ConnectionInfo {
        conn_connection_state: u32::from(cstate.min(Conn::WFReportParams)),
        conn_role: u32::from(summary.peer),
    }
}

/// A volume here.
#[must_use]
pub fn device_info(state: &DeviceState) -> DeviceInfo {
    DeviceInfo {
        dev_disk_state: u32::from(state.disk),
    }
}

/// A volume on the peer.
#[must_use]
pub fn peer_device_info(state: &DeviceState) -> PeerDeviceInfo {
    PeerDeviceInfo {
        peer_repl_state: u32::from(state.conn.max(Conn::WFReportParams)),
        peer_disk_state: u32::from(state.pdsk),
        peer_resync_susp_user: u32::from(state.user_isp),
        peer_resync_susp_peer: u32::from(state.peer_isp),
        peer_resync_susp_dependency: u32::from(state.aftr_isp),
    }
}

/// How writes are kept in order, from the options of the disks there are.
pub fn write_ordering<'a>(
    disks: impl IntoIterator<Item = &'a crate::config::DiskConf>,
) -> WriteOrdering {
    let mut result = WriteOrdering::Flush;
    for conf in disks {
        let allowed = match (conf.disk_flushes, conf.disk_drain) {
            (true, _) => WriteOrdering::Flush,
            (false, true) => WriteOrdering::Drain,
            (false, false) => WriteOrdering::None,
        };
        if allowed.number() < result.number() {
            result = allowed;
        }
    }
    result
}

/// Figures of a resource.
#[must_use]
pub fn resource_statistics(ordering: WriteOrdering) -> ResourceStatistics {
    ResourceStatistics {
        res_stat_write_ordering: ordering.number(),
    }
}

/// Figures of a volume here.
#[must_use]
pub fn device_statistics(volume: &Volume, counters: &Counters) -> DeviceStatistics {
    let slots = uuids(volume);
    DeviceStatistics {
        dev_size: volume.size,
        dev_read: counters.read,
        dev_write: counters.written,
        dev_al_writes: counters.al_writes,
        dev_bm_writes: counters.bm_writes,
        dev_upper_pending: counters.application,
        dev_lower_pending: counters.local,
        dev_upper_blocked: counters.blocked,
        dev_lower_blocked: false,
        dev_al_suspended: counters.al_suspended,
        dev_exposed_data_uuid: volume.exposed,
        dev_current_uuid: slots.map_or(0, |[current, ..]| current),
        dev_disk_flags: flags(volume).bits(),
        history_uuids: History(slots.map(|[_, _, young, old]| [young, old, 0, 0])),
    }
}

/// Figures of a volume on the peer.
#[must_use]
pub fn peer_device_statistics(volume: &Volume, counters: &Counters) -> PeerDeviceStatistics {
    let flags = flags(volume);
    let mut told = 0;
    if flags.contains(MdFlags::CONNECTED_IND) {
        told |= peer_dev_flags::CONNECTED;
    }
    if flags.contains(MdFlags::CONSISTENT) && !flags.contains(MdFlags::WAS_UP_TO_DATE) {
        told |= peer_dev_flags::OUTDATED;
    }
    if flags.contains(MdFlags::FULL_SYNC) {
        told |= peer_dev_flags::FULL_SYNC;
    }
    PeerDeviceStatistics {
        peer_dev_received: counters.received,
        peer_dev_sent: counters.sent,
        peer_dev_pending: counters
            .application_pending
            .saturating_add(counters.resync_pending),
        peer_dev_unacked: counters.unacked,
        peer_dev_out_of_sync: counters.out_of_sync.saturating_mul(8),
        peer_dev_resync_failed: volume.resync.failed.saturating_mul(8),
        peer_dev_bitmap_uuid: uuids(volume).map_or(0, |[_, bitmap, ..]| bitmap),
        peer_dev_flags: told,
    }
}

/// Whether a resync or verify is on whose counters are told.
const fn tells_resync(conn: Conn) -> bool {
    matches!(
        conn,
        Conn::SyncSource
            | Conn::SyncTarget
            | Conn::VerifyS
            | Conn::VerifyT
            | Conn::PausedSyncS
            | Conn::PausedSyncT
    )
}

/// The status of a device as it is now; the caller adds what belongs to `reason`.
#[must_use]
pub fn state_info(volume: &Volume, counters: &Counters, reason: SibReason) -> StateInfo {
    let slots = uuids(volume);
    let disk = slots.is_some();
    let resync = disk && tells_resync(volume.state.conn);
    let total = if volume.state.conn.is_verify() {
        counters.to_verify
    } else {
        volume.resync.total
    };
    StateInfo {
        sib_reason: reason.number(),
        current_state: volume.state.to_word(),
        ed_uuid: volume.exposed,
        capacity: volume.size,
        send_cnt: counters.sent,
        recv_cnt: counters.received,
        read_cnt: counters.read,
        writ_cnt: counters.written,
        al_writ_cnt: counters.al_writes,
        bm_writ_cnt: counters.bm_writes,
        ap_bio_cnt: counters.application,
        ap_pending_cnt: counters.application_pending,
        rs_pending_cnt: counters.resync_pending,
        uuids: slots,
        disk_flags: disk.then(|| flags(volume).bits()),
        bits_total: disk.then_some(counters.bits),
        bits_oos: disk.then_some(counters.out_of_sync),
        bits_rs_total: resync.then_some(total),
        bits_rs_failed: resync.then_some(volume.resync.failed),
        ..StateInfo::default()
    }
}

/// Which wait time applies to `wait-connect`; `degraded` is
/// [`is_degraded`](super::disk::is_degraded) of the last attach.
#[must_use]
pub fn timeout_parms(state: &DeviceState, degraded: bool) -> TimeoutParms {
    TimeoutParms {
        timeout_type: match (state.pdsk, degraded) {
            (Disk::Outdated, _) => 2,
            (_, true) => 1,
            (_, false) => 0,
        },
    }
}

/// The policy as the configuration names it, from what the state machine keeps of it.
#[must_use]
pub const fn fencing(fencing: crate::state::Fencing) -> words::Fencing {
    match fencing {
        crate::state::Fencing::DontCare => words::Fencing::DontCare,
        crate::state::Fencing::ResourceOnly => words::Fencing::ResourceOnly,
        crate::state::Fencing::ResourceAndStonith => words::Fencing::ResourceAndStonith,
    }
}
