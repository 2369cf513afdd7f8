// SPDX-License-Identifier: GPL-2.0
//! The operations of the family: numbers, who may call them, what they need and carry.

/// An operation (`DRBD_ADM_*`) or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// Old-style event.
    Event = 1,
    /// Status of one device, or a dump of all.
    GetStatus = 2,
    /// new-minor.
    NewMinor = 5,
    /// del-minor.
    DelMinor = 6,
    /// new-resource.
    NewResource = 7,
    /// del-resource.
    DelResource = 8,
    /// resource-options.
    ResourceOpts = 9,
    /// connect.
    Connect = 10,
    /// disconnect.
    Disconnect = 11,
    /// attach.
    Attach = 12,
    /// resize.
    Resize = 13,
    /// primary.
    Primary = 14,
    /// secondary.
    Secondary = 15,
    /// new-current-uuid.
    NewCUuid = 16,
    /// verify.
    StartOv = 17,
    /// detach.
    Detach = 18,
    /// invalidate.
    Invalidate = 19,
    /// invalidate-remote.
    InvalPeer = 20,
    /// pause-sync.
    PauseSync = 21,
    /// resume-sync.
    ResumeSync = 22,
    /// suspend-io.
    SuspendIo = 23,
    /// resume-io.
    ResumeIo = 24,
    /// outdate.
    Outdate = 25,
    /// Which wait time applies.
    GetTimeoutType = 26,
    /// down.
    Down = 27,
    /// disk-options.
    ChgDiskOpts = 28,
    /// net-options.
    ChgNetOpts = 29,
    /// Dump of all resources.
    GetResources = 30,
    /// Dump of volumes.
    GetDevices = 31,
    /// Dump of connections.
    GetConnections = 32,
    /// Dump of the peers' volumes.
    GetPeerDevices = 33,
    /// Event about a resource.
    ResourceState = 34,
    /// Event about a volume.
    DeviceState = 35,
    /// Event about a connection.
    ConnectionState = 36,
    /// Event about a peer's volume.
    PeerDeviceState = 37,
    /// Dump of everything as events.
    GetInitialState = 38,
    /// Event about a handler.
    Helper = 40,
    /// End of [`Self::GetInitialState`].
    InitialStateDone = 41,
}

/// How an operation is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// A request with one reply.
    Do,
    /// A request with many replies.
    Dump,
    /// Both.
    DoAndDump,
    /// Never called, only sent.
    Event,
}

/// Which object a request must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// None; it may name one.
    Nothing,
    /// A minor.
    Minor,
    /// A resource.
    Resource,
    /// A connection.
    Connection,
}

impl Op {
    /// Every operation, in the order of their numbers.
    pub const ALL: [Self; 38] = [
        Self::Event,
        Self::GetStatus,
        Self::NewMinor,
        Self::DelMinor,
        Self::NewResource,
        Self::DelResource,
        Self::ResourceOpts,
        Self::Connect,
        Self::Disconnect,
        Self::Attach,
        Self::Resize,
        Self::Primary,
        Self::Secondary,
        Self::NewCUuid,
        Self::StartOv,
        Self::Detach,
        Self::Invalidate,
        Self::InvalPeer,
        Self::PauseSync,
        Self::ResumeSync,
        Self::SuspendIo,
        Self::ResumeIo,
        Self::Outdate,
        Self::GetTimeoutType,
        Self::Down,
        Self::ChgDiskOpts,
        Self::ChgNetOpts,
        Self::GetResources,
        Self::GetDevices,
        Self::GetConnections,
        Self::GetPeerDevices,
        Self::ResourceState,
        Self::DeviceState,
        Self::ConnectionState,
        Self::PeerDeviceState,
        Self::GetInitialState,
        Self::Helper,
        Self::InitialStateDone,
    ];

    /// The number in the generic-netlink header.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The operation with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.number() == number)
    }

    /// How it is called.
    #[must_use]
    pub const fn kind(self) -> OpKind {
        match self {
            Self::GetStatus => OpKind::DoAndDump,
            Self::GetResources
            | Self::GetDevices
            | Self::GetConnections
            | Self::GetPeerDevices
            | Self::GetInitialState => OpKind::Dump,
            Self::Event
            | Self::ResourceState
            | Self::DeviceState
            | Self::ConnectionState
            | Self::PeerDeviceState
            | Self::Helper
            | Self::InitialStateDone => OpKind::Event,
            _ => OpKind::Do,
        }
    }

    /// Whether the caller needs CAP_NET_ADMIN (`GENL_ADMIN_PERM`).
    #[must_use]
    pub const fn is_privileged(self) -> bool {
        matches!(self.kind(), OpKind::Do)
    }

    /// Which object a `do` request must name.
    #[must_use]
    pub const fn needs(self) -> Needs {
        match self {
            Self::NewMinor
            | Self::DelResource
            | Self::ResourceOpts
            | Self::Connect
            | Self::Down => Needs::Resource,
            Self::Disconnect | Self::ChgNetOpts => Needs::Connection,
            Self::NewResource => Needs::Nothing,
            _ => match self.kind() {
                OpKind::Do | OpKind::DoAndDump => Needs::Minor,
                OpKind::Dump | OpKind::Event => Needs::Nothing,
            },
        }
    }

    /// Numbers of the sets that a request may carry; any other is malformed. Context (2) is
    /// admitted everywhere, also for [`Self::StartOv`], where the C driver refuses it.
    #[must_use]
    pub const fn request_sets(self) -> &'static [u16] {
        match self {
            Self::NewResource | Self::ResourceOpts => &[2, 4],
            Self::Connect | Self::ChgNetOpts => &[2, 5],
            Self::Disconnect => &[2, 12],
            Self::Attach | Self::ChgDiskOpts => &[2, 3],
            Self::Resize => &[2, 7],
            Self::Primary | Self::Secondary => &[2, 6],
            Self::NewCUuid => &[2, 10],
            Self::StartOv => &[2, 9],
            Self::Detach => &[2, 13],
            Self::GetResources => &[2, 15, 19],
            Self::GetDevices => &[2, 16, 20],
            Self::GetConnections => &[2, 17, 21],
            Self::GetPeerDevices => &[2, 18, 22],
            _ => &[2],
        }
    }

    /// Highest number in [`Self::request_sets`], for netlink's own check.
    #[must_use]
    pub fn request_max(self) -> u16 {
        self.request_sets().iter().copied().max().unwrap_or(0)
    }
}
