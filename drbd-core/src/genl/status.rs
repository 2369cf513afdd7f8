// SPDX-License-Identifier: GPL-2.0
//! Set 8: the state of one device, in replies to GET_STATUS and in old-style events.

use super::nest_macro::nest;
use super::value::{Text, Uuids};

nest! {
    /// State of a device (`STATE_INFO`). Amounts are in the unit that each field names. The fields
    /// stand in the order in which the 7.3 driver sends them.
    pub struct StateInfo = 8 "state_info" unmarked {
        /// Why this was sent, see [`SibReason`].
        sib_reason: u32 = 1 [mandatory];
        /// The device's state word (see docs/states.md); its suspend bits may be old.
        current_state: u32 = 2 [required];
        /// Identifier of the data shown to applications.
        ed_uuid: u64 = 4 [mandatory];
        /// Size of the device in sectors.
        capacity: u64 = 3 [mandatory];
        /// Sectors sent.
        send_cnt: u64 = 15;
        /// Sectors received.
        recv_cnt: u64 = 16;
        /// Sectors read from the local disk.
        read_cnt: u64 = 17;
        /// Sectors written to the local disk.
        writ_cnt: u64 = 18;
        /// Transactions of the activity log.
        al_writ_cnt: u64 = 19;
        /// Writes of bitmap blocks.
        bm_writ_cnt: u64 = 20;
        /// Application requests in flight.
        ap_bio_cnt: u32 = 21;
        /// Application requests sent and not answered.
        ap_pending_cnt: u32 = 22;
        /// Resync requests sent and not answered.
        rs_pending_cnt: u32 = 23;
        /// Generation identifiers; with a local disk.
        uuids: Option<Uuids> = 7 [mandatory];
        /// Flags of the metadata; with a local disk.
        disk_flags: Option<u32> = 8 [mandatory];
        /// Bits in the bitmap; with a local disk.
        bits_total: Option<u64> = 9 [mandatory];
        /// Bits set; with a local disk.
        bits_oos: Option<u64> = 10 [mandatory];
        /// Bits to do when resync or verify began; with a disk, in SyncSource to PausedSyncT.
        bits_rs_total: Option<u64> = 11 [mandatory];
        /// Bits that resync failed on; as above.
        bits_rs_failed: Option<u64> = 12 [mandatory];
        /// State word before; with [`SibReason::StateChange`].
        prev_state: Option<u32> = 5 [mandatory];
        /// State word after; with [`SibReason::StateChange`].
        new_state: Option<u32> = 6 [mandatory];
        /// Name of the handler; with the two helper reasons.
        helper: Option<Text<32>> = 13 [mandatory];
        /// Raw wait status, or a negative errno; with [`SibReason::HelperPost`].
        helper_exit_code: Option<u32> = 14 [mandatory];
    }
}

/// Why a [`StateInfo`] was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SibReason {
    /// Reply to a request.
    StatusReply = 1,
    /// The state changed.
    StateChange = 2,
    /// A handler is about to run.
    HelperPre = 3,
    /// A handler has run.
    HelperPost = 4,
    /// Resync made progress.
    SyncProgress = 5,
}

impl SibReason {
    /// The number in the message.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::StatusReply => 1,
            Self::StateChange => 2,
            Self::HelperPre => 3,
            Self::HelperPost => 4,
            Self::SyncProgress => 5,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::StatusReply,
            2 => Self::StateChange,
            3 => Self::HelperPre,
            4 => Self::HelperPost,
            5 => Self::SyncProgress,
            _ => return None,
        })
    }
}
