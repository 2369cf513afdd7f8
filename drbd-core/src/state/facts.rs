// SPDX-License-Identifier: GPL-2.0
//! What the rules look at besides the state word.

use super::names::{Disk, Role};

/// The disk option `fencing` (`enum drbd_fencing_p`), in rising order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fencing {
    /// No fencing.
    #[default]
    DontCare = 0,
    /// The peer is fenced; I/O goes on meanwhile.
    ResourceOnly = 1,
    /// The peer is fenced; I/O is frozen meanwhile.
    ResourceAndStonith = 2,
}

/// The resource option `on-no-data-accessible` (`enum drbd_on_no_data`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OnNoData {
    /// Requests without a path to UpToDate data fail.
    #[default]
    IoError = 0,
    /// They are frozen.
    SuspendIo = 1,
}

/// What the attach found out, kept while the disk is Negotiating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Negotiating {
    /// The state the disk would have taken without a peer.
    pub disk: Disk,
    /// The state the peer's disk would have taken without a peer.
    pub pdsk: Disk,
    /// The data shown to applications so far is the generation on this disk: exposed-data UUID
    /// and current UUID are equal.
    pub exposes_current: bool,
}

/// The facts about one volume, its connection and its resource, as they are when a change is
/// looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// `fencing` of the attached disk. Looked at only while the disk is Inconsistent or better.
    pub fencing: Fencing,
    /// `on-no-data-accessible` of the resource.
    pub on_no_data: OnNoData,
    /// The connection has a network configuration.
    pub net_config: bool,
    /// `allow-two-primaries`.
    pub two_primaries: bool,
    /// A `verify-alg` is configured.
    pub verify_alg: bool,
    /// The agreed protocol version; 80 before a handshake.
    pub apv: u32,
    /// Somebody has the device open.
    pub open: bool,
    /// The highest role of the peer over all volumes of the connection, this one included, as it
    /// is now.
    pub highest_peer: Role,
    /// The parameters of the connection are being exchanged (`STATE_SENT`): role changes and the
    /// like must wait.
    pub state_sent: bool,
    /// Set while the disk is Attaching or Negotiating.
    pub negotiating: Option<Negotiating>,
}

impl Facts {
    /// Facts without any configuration, for a volume just made.
    pub const NONE: Facts = Facts {
        fencing: Fencing::DontCare,
        on_no_data: OnNoData::IoError,
        net_config: false,
        two_primaries: false,
        verify_alg: false,
        apv: 80,
        open: false,
        highest_peer: Role::Unknown,
        state_sent: false,
        negotiating: None,
    };

    /// The fencing policy that counts while the own disk is in state `now`.
    #[must_use]
    pub fn fencing_of(&self, now: Disk) -> Fencing {
        if now.is_attached() {
            self.fencing
        } else {
            Fencing::DontCare
        }
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self::NONE
    }
}
