// SPDX-License-Identifier: GPL-2.0
//! Role, connection state and disk state: numbers, names, order.
//!
//! The numbers travel in P_STATE, P_STATE_CHG_REQ and netlink messages; the names are what
//! `/proc/drbd`, `drbdsetup` and the kernel log print (docs/states.md, "State variables").

use core::fmt;

/// A number that names no state. Comes from a peer or from user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// Which kind of state was expected.
    pub what: &'static str,
    /// The number found.
    pub value: u32,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a {}", self.value, self.what)
    }
}

/// The mask value of a role field (`R_MASK`): all bits of the field.
pub const ROLE_MASK: u8 = 3;
/// The mask value of a connection state field (`C_MASK`).
pub const CONN_MASK: u8 = 31;
/// The mask value of a disk state field (`D_MASK`).
pub const DISK_MASK: u8 = 15;

/// Defines a state enum with its numbers and names, and what follows from them.
macro_rules! state_enum {
    (
        $(#[$meta:meta])*
        $name:ident, $what:literal:
        $($(#[$vmeta:meta])* $variant:ident = $value:literal, $text:literal;)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$vmeta])* $variant = $value,)*
        }

        impl $name {
            /// All values, ascending.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// DRBD's name, as every tool prints it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }

            /// The number on the wire and in netlink messages.
            #[must_use]
            pub const fn value(self) -> u8 {
                self as u8
            }

            /// The state with this name, as user space writes it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == name)
            }
        }

        impl TryFrom<u8> for $name {
            type Error = BadValue;

            fn try_from(value: u8) -> Result<Self, BadValue> {
                match value {
                    $($value => Ok($name::$variant),)*
                    _ => Err(BadValue { what: $what, value: u32::from(value) }),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(v: $name) -> u8 {
                v.value()
            }
        }

        impl From<$name> for u32 {
            fn from(v: $name) -> u32 {
                u32::from(v.value())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

state_enum! {
    /// Role of a node for one volume (`enum drbd_role`), 2 bits.
    ///
    /// Not ordered by number: use [`Role::highest`].
    Role, "role":
    /// Only for the peer: not connected, so not known.
    Unknown = 0, "Unknown";
    /// May be opened, read and written.
    Primary = 1, "Primary";
    /// Receives the peer's writes, closed to applications.
    Secondary = 2, "Secondary";
}

impl Role {
    /// The higher of two roles: Primary, then Secondary, then Unknown. A connection's and a
    /// resource's role is the highest over its volumes.
    #[must_use]
    pub const fn highest(self, other: Role) -> Role {
        match (self, other) {
            (Role::Primary, _) | (_, Role::Primary) => Role::Primary,
            (Role::Secondary, _) | (_, Role::Secondary) => Role::Secondary,
            (Role::Unknown, Role::Unknown) => Role::Unknown,
        }
    }
}

state_enum! {
    /// Connection and replication state (`enum drbd_conns`), 5 bits. The order matters: rules
    /// compare with [`Conn::Connected`] and others.
    #[derive(PartialOrd, Ord)]
    Conn, "connection state":
    /// No network configuration active.
    StandAlone = 0, "StandAlone";
    /// On the way to StandAlone.
    Disconnecting = 1, "Disconnecting";
    /// Configured; the receiver is about to try (again).
    Unconnected = 2, "Unconnected";
    /// Link given up: the peer did not answer in time.
    Timeout = 3, "Timeout";
    /// Link given up: a send or receive failed.
    BrokenPipe = 4, "BrokenPipe";
    /// Link given up: the socket closed or a ping went unanswered.
    NetworkFailure = 5, "NetworkFailure";
    /// Link given up: the peer sent something impossible.
    ProtocolError = 6, "ProtocolError";
    /// Link given up: the peer asked for the disconnect.
    TearDown = 7, "TearDown";
    /// Waits for a connection, tries to make one.
    WFConnection = 8, "WFConnection";
    /// Sockets are up, parameters are being exchanged.
    WFReportParams = 9, "WFReportParams";
    /// Handshake done, no resync.
    Connected = 10, "Connected";
    /// Full sync as source, asked for by the administrator.
    StartingSyncS = 11, "StartingSyncS";
    /// Full sync as target, asked for by the administrator.
    StartingSyncT = 12, "StartingSyncT";
    /// Bitmaps are exchanged; will be source.
    WFBitMapS = 13, "WFBitMapS";
    /// Bitmaps are exchanged; will be target.
    WFBitMapT = 14, "WFBitMapT";
    /// The target waits for the sync UUID.
    WFSyncUUID = 15, "WFSyncUUID";
    /// Resync runs, this node has the good data.
    SyncSource = 16, "SyncSource";
    /// Resync runs, this node gets the data.
    SyncTarget = 17, "SyncTarget";
    /// Online verify runs, driven by this node.
    VerifyS = 18, "VerifyS";
    /// Online verify runs, driven by the peer.
    VerifyT = 19, "VerifyT";
    /// As SyncSource, paused.
    PausedSyncS = 20, "PausedSyncS";
    /// As SyncTarget, paused.
    PausedSyncT = 21, "PausedSyncT";
    /// Congested: this node notes its writes instead of replicating them.
    Ahead = 22, "Ahead";
    /// The peer is Ahead.
    Behind = 23, "Behind";
}

impl Conn {
    /// The reasons for a lost link, Timeout to TearDown: on the way to Unconnected.
    #[must_use]
    pub fn is_lost_link(self) -> bool {
        (Conn::Timeout..=Conn::TearDown).contains(&self)
    }

    /// SyncSource, SyncTarget and their paused forms; not verify.
    #[must_use]
    pub const fn is_sync(self) -> bool {
        matches!(
            self,
            Conn::SyncSource | Conn::SyncTarget | Conn::PausedSyncS | Conn::PausedSyncT
        )
    }

    /// VerifyS or VerifyT.
    #[must_use]
    pub const fn is_verify(self) -> bool {
        matches!(self, Conn::VerifyS | Conn::VerifyT)
    }

    /// StartingSyncS or StartingSyncT.
    #[must_use]
    pub const fn is_starting_sync(self) -> bool {
        matches!(self, Conn::StartingSyncS | Conn::StartingSyncT)
    }

    /// SyncSource or PausedSyncS.
    #[must_use]
    pub const fn is_sync_source(self) -> bool {
        matches!(self, Conn::SyncSource | Conn::PausedSyncS)
    }

    /// SyncTarget or PausedSyncT.
    #[must_use]
    pub const fn is_sync_target(self) -> bool {
        matches!(self, Conn::SyncTarget | Conn::PausedSyncT)
    }

    /// SyncSource to PausedSyncT by number, verify included: the states in which an acknowledged
    /// write may clear bits, and in which a dependent resync waits.
    #[must_use]
    pub fn is_sync_or_verify(self) -> bool {
        (Conn::SyncSource..=Conn::PausedSyncT).contains(&self)
    }

    /// What notifications call the replication state of a peer device: never below
    /// WFReportParams.
    #[must_use]
    pub fn replication(self) -> Conn {
        self.max(Conn::WFReportParams)
    }

    /// The handshake is done: Connected or better.
    #[must_use]
    pub fn is_connected(self) -> bool {
        self >= Conn::Connected
    }
}

state_enum! {
    /// Disk state (`enum drbd_disk_state`), 4 bits. The order matters.
    #[derive(PartialOrd, Ord)]
    Disk, "disk state":
    /// No backing device.
    Diskless = 0, "Diskless";
    /// Metadata is being read.
    Attaching = 1, "Attaching";
    /// I/O error or detach; Diskless when the last user is gone.
    Failed = 2, "Failed";
    /// Attached while connected, waits for the peer's view.
    Negotiating = 3, "Negotiating";
    /// Some blocks are old or garbage.
    Inconsistent = 4, "Inconsistent";
    /// Consistent and known to be old.
    Outdated = 5, "Outdated";
    /// Only for the peer's disk: not connected, so not known.
    DUnknown = 6, "DUnknown";
    /// Consistent; not known whether current.
    Consistent = 7, "Consistent";
    /// Consistent and current.
    UpToDate = 8, "UpToDate";
}

impl Disk {
    /// Data on this disk may be accessed at all: Inconsistent or better.
    #[must_use]
    pub fn is_attached(self) -> bool {
        self >= Disk::Inconsistent
    }
}
