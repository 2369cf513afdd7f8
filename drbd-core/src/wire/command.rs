// SPDX-License-Identifier: GPL-2.0
//! The packet numbers.
//!
//! docs/protocol.md, "Packets". Only numbers that DRBD 8.4 sends or handles are here; the rest of
//! the number space is refused as [`WireError::UnknownCommand`].

use core::fmt;

use super::WireError;

/// What a packet is about, and so what happens if it names a volume that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole connection; the volume number is ignored.
    Connection,
    /// One volume; an unknown one ends the connection.
    Volume,
    /// One volume; if it is unknown the packet is skipped with a warning.
    VolumeOrSkip,
}

/// Defines the commands: variant, number, DRBD's name, scope.
macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $scope:ident;)+) => {
        /// A packet's kind. The number is the command field of the header.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Command {
            $($(#[$doc])* $variant = $number,)+
        }

        impl Command {
            /// All packets.
            pub const ALL: &'static [Command] = &[$(Command::$variant,)+];

            /// The name in DRBD's words, for logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Command::$variant => $name,)+
                }
            }

            /// What the packet is about.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self {
                    $(Command::$variant => Scope::$scope,)+
                }
            }
        }

        impl TryFrom<u16> for Command {
            type Error = WireError;

            fn try_from(number: u16) -> Result<Self, WireError> {
                match number {
                    $($number => Ok(Command::$variant),)+
                    _ => Err(WireError::UnknownCommand(number)),
                }
            }
        }
    };
}

commands! {
    /// A write: [`super::Data`], digest, data.
    Data = 0x00, "P_DATA", Volume;
    /// Answer to [`Command::DataRequest`].
    DataReply = 0x01, "P_DATA_REPLY", Volume;
    /// Answer to a resync request.
    RsDataReply = 0x02, "P_RS_DATA_REPLY", Volume;
    /// End of a write epoch: [`super::Barrier`].
    Barrier = 0x03, "P_BARRIER", Connection;
    /// Plain bitmap words.
    Bitmap = 0x04, "P_BITMAP", Volume;
    /// A hint to start I/O now.
    UnplugRemote = 0x07, "P_UNPLUG_REMOTE", Connection;
    /// A read from the peer: [`super::BlockRequest`].
    DataRequest = 0x08, "P_DATA_REQUEST", Volume;
    /// A resync read: [`super::BlockRequest`].
    RsDataRequest = 0x09, "P_RS_DATA_REQUEST", Volume;
    /// Resync parameters up to version 88.
    SyncParam = 0x0a, "P_SYNC_PARAM", VolumeOrSkip;
    /// Settings that both nodes must share: [`super::ProtocolSettings`].
    Protocol = 0x0b, "P_PROTOCOL", Connection;
    /// Generation identifiers: [`super::Uuids`].
    Uuids = 0x0c, "P_UUIDS", VolumeOrSkip;
    /// Sizes and limits: [`super::Sizes`].
    Sizes = 0x0d, "P_SIZES", VolumeOrSkip;
    /// The sender's state word: [`super::State`].
    State = 0x0e, "P_STATE", VolumeOrSkip;
    /// The sync UUID, which starts a resync: [`super::SyncUuid`].
    SyncUuid = 0x0f, "P_SYNC_UUID", Volume;
    /// Random bytes to be authenticated.
    AuthChallenge = 0x10, "P_AUTH_CHALLENGE", Connection;
    /// HMAC of the challenge.
    AuthResponse = 0x11, "P_AUTH_RESPONSE", Connection;
    /// Asks for consent to a state change: [`super::StateRequest`].
    StateChgReq = 0x12, "P_STATE_CHG_REQ", Volume;
    /// Are you there?
    Ping = 0x13, "P_PING", Connection;
    /// Yes.
    PingAck = 0x14, "P_PING_ACK", Connection;
    /// Protocol B: the write has been received.
    RecvAck = 0x15, "P_RECV_ACK", Volume;
    /// Protocol C: the write has been done.
    WriteAck = 0x16, "P_WRITE_ACK", Volume;
    /// A resync block, or a write during resync, has been done: both nodes now agree there.
    RsWriteAck = 0x17, "P_RS_WRITE_ACK", Volume;
    /// Two primaries: the write lost against an own one and was dropped.
    Superseded = 0x18, "P_SUPERSEDED", Volume;
    /// The write failed.
    NegAck = 0x19, "P_NEG_ACK", Volume;
    /// The read failed.
    NegDReply = 0x1a, "P_NEG_DREPLY", Volume;
    /// The resync or verify read failed.
    NegRsDReply = 0x1b, "P_NEG_RS_DREPLY", Volume;
    /// An epoch is stable: [`super::BarrierAck`].
    BarrierAck = 0x1c, "P_BARRIER_ACK", Connection;
    /// Answer to [`Command::StateChgReq`].
    StateChgReply = 0x1d, "P_STATE_CHG_REPLY", Volume;
    /// Online verify: send me your digest of a block.
    OvRequest = 0x1e, "P_OV_REQUEST", Volume;
    /// Online verify: the digest.
    OvReply = 0x1f, "P_OV_REPLY", Volume;
    /// Online verify: equal or not.
    OvResult = 0x20, "P_OV_RESULT", Volume;
    /// Resync read, with the digest of what the target has.
    CsumRsRequest = 0x21, "P_CSUM_RS_REQUEST", Volume;
    /// Checksum-based resync: the block is equal.
    RsIsInSync = 0x22, "P_RS_IS_IN_SYNC", Volume;
    /// Resync parameters from version 89 on: [`super::SyncParam`].
    SyncParam89 = 0x23, "P_SYNC_PARAM89", VolumeOrSkip;
    /// Run lengths of the bitmap: [`super::CompressedBitmap`].
    CompressedBitmap = 0x24, "P_COMPRESSED_BITMAP", Volume;
    /// Accepted and ignored: [`super::DelayProbe`].
    DelayProbe = 0x27, "P_DELAY_PROBE", Connection;
    /// The range was written without replication: [`super::BlockDesc`].
    OutOfSync = 0x28, "P_OUT_OF_SYNC", Volume;
    /// The resync request is dropped: the source is Ahead.
    RsCancel = 0x29, "P_RS_CANCEL", Volume;
    /// Asks for consent to a state change of the whole connection.
    ConnStChgReq = 0x2a, "P_CONN_ST_CHG_REQ", Connection;
    /// Answer to [`Command::ConnStChgReq`].
    ConnStChgReply = 0x2b, "P_CONN_ST_CHG_REPLY", Connection;
    /// Two primaries: send the write again.
    RetryWrite = 0x2c, "P_RETRY_WRITE", Volume;
    /// Changed settings on a running connection: [`super::ProtocolSettings`].
    ProtocolUpdate = 0x2d, "P_PROTOCOL_UPDATE", Connection;
    /// A discard: [`super::Trim`].
    Trim = 0x31, "P_TRIM", Volume;
    /// Resync read that may be answered by [`Command::RsDeallocated`].
    RsThinReq = 0x32, "P_RS_THIN_REQ", Volume;
    /// The block reads as zeroes: [`super::BlockDesc`].
    RsDeallocated = 0x33, "P_RS_DEALLOCATED", Volume;
    /// One logical block to be written over a range.
    WriteSame = 0x34, "P_WSAME", Volume;
    /// Zeroes to be written over a range: [`super::Trim`].
    Zeroes = 0x36, "P_ZEROES", Volume;
    /// First packet on the meta socket.
    InitialMeta = 0xfff1, "P_INITIAL_META", Connection;
    /// First packet on the data socket.
    InitialData = 0xfff2, "P_INITIAL_DATA", Connection;
    /// Version range and feature flags: [`super::ConnectionFeatures`].
    ConnectionFeatures = 0xfffe, "P_CONNECTION_FEATURES", Connection;
}

impl Command {
    /// The number in the header.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
