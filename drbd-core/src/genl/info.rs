// SPDX-License-Identifier: GPL-2.0
//! Sets 15 to 24: what dumps and events tell about objects.
//!
//! States and roles are numbers here, as in the message; [`crate::state`] has their names.
//! Volumes of data are in sectors of 512 bytes unless said otherwise.

use super::nest_macro::nest;
use super::value::{History, Text};

nest! {
    /// A resource.
    pub struct ResourceInfo = 15 "resource_info" {
        /// Highest role of all volumes; Secondary if there is none.
        res_role: u32 = 1;
        /// IO is suspended by the user.
        res_susp: bool = 2;
        /// IO is suspended because no data is reachable.
        res_susp_nod: bool = 3;
        /// IO is suspended while the peer is fenced.
        res_susp_fen: bool = 4;
    }
}

nest! {
    /// A volume on this node.
    pub struct DeviceInfo = 16 "device_info" {
        /// State of the local disk.
        dev_disk_state: u32 = 1;
    }
}

nest! {
    /// The connection of a resource.
    pub struct ConnectionInfo = 17 "connection_info" {
        /// Connection-level state, at most WFReportParams (9), which means connected.
        conn_connection_state: u32 = 1;
        /// Highest role of the peer over all volumes; Unknown if there is none.
        conn_role: u32 = 2;
    }
}

nest! {
    /// A volume on the peer.
    pub struct PeerDeviceInfo = 18 "peer_device_info" {
        /// Connection state of the device, at least WFReportParams (9).
        peer_repl_state: u32 = 1;
        /// State of the peer's disk.
        peer_disk_state: u32 = 2;
        /// Resync is paused by the user (0 or 1).
        peer_resync_susp_user: u32 = 3;
        /// Resync is paused by the peer (0 or 1).
        peer_resync_susp_peer: u32 = 4;
        /// Resync is paused until another one is through (0 or 1).
        peer_resync_susp_dependency: u32 = 5;
    }
}

nest! {
    /// Figures of a resource.
    pub struct ResourceStatistics = 19 "resource_statistics" {
        /// How writes are kept in order: 0 none, 1 drain, 2 flush, 3 barrier.
        res_stat_write_ordering: u32 = 1;
    }
}

nest! {
    /// Figures of a volume on this node.
    pub struct DeviceStatistics = 20 "device_statistics" {
        /// Size in sectors.
        dev_size: u64 = 1;
        /// Sectors read from the local disk.
        dev_read: u64 = 2;
        /// Sectors written to the local disk.
        dev_write: u64 = 3;
        /// Transactions of the activity log.
        dev_al_writes: u64 = 4;
        /// Writes of bitmap blocks.
        dev_bm_writes: u64 = 5;
        /// Application requests accepted and not completed.
        dev_upper_pending: u32 = 6;
        /// References to the local disk.
        dev_lower_pending: u32 = 7;
        /// New application IO would have to wait now.
        dev_upper_blocked: bool = 8;
        /// The backing device is congested; the 7.3 driver never says so.
        dev_lower_blocked: bool = 9;
        /// The activity log is not written.
        dev_al_suspended: bool = 10;
        /// Identifier of the data shown to applications.
        dev_exposed_data_uuid: u64 = 11;
        /// Identifier of the data on disk; 0 without disk.
        dev_current_uuid: u64 = 12;
        /// Flags of the metadata; 0 without disk.
        dev_disk_flags: u32 = 13;
        /// Earlier identifiers.
        history_uuids: History = 14;
    }
}

nest! {
    /// Figures of a connection.
    pub struct ConnectionStatistics = 21 "connection_statistics" {
        /// The send queue is congested.
        conn_congested: bool = 1;
    }
}

nest! {
    /// Figures of a volume on the peer.
    pub struct PeerDeviceStatistics = 22 "peer_device_statistics" {
        /// Sectors received.
        peer_dev_received: u64 = 1;
        /// Sectors sent.
        peer_dev_sent: u64 = 2;
        /// Requests sent and not answered, of applications and of resync.
        peer_dev_pending: u32 = 3;
        /// Requests received and not acknowledged.
        peer_dev_unacked: u32 = 4;
        /// Sectors out of sync.
        peer_dev_out_of_sync: u64 = 5;
        /// Sectors that resync failed on.
        peer_dev_resync_failed: u64 = 6;
        /// Identifier of the data that the bitmap starts from; 0 without disk.
        peer_dev_bitmap_uuid: u64 = 7;
        /// Flags of the metadata that are about the peer.
        peer_dev_flags: u32 = 9;
    }
}

/// Bits of `peer_dev_flags`.
pub mod peer_dev_flags {
    /// The peer was connected.
    pub const CONNECTED: u32 = 1 << 0;
    /// The disk is consistent and was not up to date.
    pub const OUTDATED: u32 = 1 << 1;
    /// The whole disk will be resynced.
    pub const FULL_SYNC: u32 = 1 << 3;
}

nest! {
    /// Says what kind of event a message is (`NOTIFICATION_HEADER`).
    pub struct NotificationHeader = 23 "notification_header" {
        /// Type and flags, see [`Notification`].
        nh_type: u32 = 1 [mandatory];
    }
}

nest! {
    /// A call of a handler (`HELPER`).
    pub struct HelperInfo = 24 "helper" {
        /// Name of the handler, e.g. `fence-peer`.
        helper_name: Text<32> = 1 [mandatory];
        /// Raw wait status: exit code times 256; 0 before the call.
        helper_status: u32 = 2 [mandatory];
    }
}

/// What happened to the object of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationType {
    /// Part of the initial state.
    Exists,
    /// New.
    Create,
    /// A listed value changed.
    Change,
    /// Gone. Carries no info set.
    Destroy,
    /// A handler is about to run.
    Call,
    /// A handler has run.
    Response,
}

/// The content of [`NotificationHeader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub kind: NotificationType,
    /// More messages about the same change follow.
    pub continues: bool,
}

impl Notification {
    const CONTINUES: u32 = 0x8000;

    /// As a set to put into a message.
    #[must_use]
    pub fn header(self) -> NotificationHeader {
        let kind = match self.kind {
            NotificationType::Exists => 0,
            NotificationType::Create => 1,
            NotificationType::Change => 2,
            NotificationType::Destroy => 3,
            NotificationType::Call => 4,
            NotificationType::Response => 5,
        };
        let flags = if self.continues { Self::CONTINUES } else { 0 };
        NotificationHeader {
            nh_type: kind | flags,
        }
    }

    /// From a received set; `None` for types that are not known.
    #[must_use]
    pub fn from_header(header: &NotificationHeader) -> Option<Self> {
        let kind = match header.nh_type & !Self::CONTINUES {
            0 => NotificationType::Exists,
            1 => NotificationType::Create,
            2 => NotificationType::Change,
            3 => NotificationType::Destroy,
            4 => NotificationType::Call,
            5 => NotificationType::Response,
            _ => return None,
        };
        Some(Self {
            kind,
            continues: header.nh_type & Self::CONTINUES != 0,
        })
    }
}
