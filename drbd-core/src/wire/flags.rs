// SPDX-License-Identifier: GPL-2.0
//! The flags of a write: `dp_flags` on the wire, typed elsewhere.
//!
//! docs/protocol.md, "Flags of a write".

use core::ops::BitOr;

use super::{Agreed, Command, FeatureFlags, WireError};
use crate::config::words::Protocol;

/// `dp_flags` of P_DATA, P_TRIM, P_ZEROES and P_WSAME, as on the wire.
///
/// Bits without a name are kept when read and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DpFlags(u32);

impl DpFlags {
    /// No flag.
    pub const NONE: DpFlags = DpFlags(0);
    /// Synchronous write (a hint).
    pub const RW_SYNC: DpFlags = DpFlags(2);
    /// A resync is running at the sender: the receiver may mark the range in sync.
    pub const MAY_SET_IN_SYNC: DpFlags = DpFlags(4);
    /// An old hint to start I/O now.
    pub const UNPLUG: DpFlags = DpFlags(8);
    /// Force unit access.
    pub const FUA: DpFlags = DpFlags(16);
    /// Flush before the write.
    pub const FLUSH: DpFlags = DpFlags(32);
    /// Discard; with [`DpFlags::ZEROES`]: unmapping is allowed.
    pub const DISCARD: DpFlags = DpFlags(64);
    /// P_RECV_ACK is wanted.
    pub const SEND_RECEIVE_ACK: DpFlags = DpFlags(128);
    /// P_WRITE_ACK is wanted.
    pub const SEND_WRITE_ACK: DpFlags = DpFlags(256);
    /// Write same.
    pub const WSAME: DpFlags = DpFlags(512);
    /// Write zeroes.
    pub const ZEROES: DpFlags = DpFlags(1024);

    /// The flags of a 32-bit word.
    #[must_use]
    pub const fn from_bits(bits: u32) -> DpFlags {
        DpFlags(bits)
    }

    /// The 32-bit word.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// All flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: DpFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// At least one flag of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: DpFlags) -> bool {
        self.0 & other.0 != 0
    }

    /// `flag` if `on`, else nothing.
    const fn when(flag: DpFlags, on: bool) -> DpFlags {
        if on {
            flag
        } else {
            DpFlags::NONE
        }
    }
}

impl BitOr for DpFlags {
    type Output = DpFlags;

    fn bitor(self, rhs: DpFlags) -> DpFlags {
        DpFlags(self.0 | rhs.0)
    }
}

/// What a write does to its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteOp {
    /// Writes the data that the packet carries.
    Write,
    /// Gives the range back to the device.
    Discard,
    /// Makes the range read as zeroes.
    WriteZeroes {
        /// The device may drop the blocks.
        unmap: bool,
    },
    /// Writes one logical block over the range.
    WriteSame,
}

impl WriteOp {
    /// The packet that carries this operation to a peer with these features.
    ///
    /// Without [`FeatureFlags::WZEROES`] a zero-out travels as P_TRIM; the peer then zeroes out.
    #[must_use]
    pub const fn command(self, agreed: &Agreed) -> Command {
        match self {
            WriteOp::Write => Command::Data,
            WriteOp::Discard => Command::Trim,
            WriteOp::WriteSame => Command::WriteSame,
            WriteOp::WriteZeroes { .. } => {
                if agreed.features.contains(FeatureFlags::WZEROES) {
                    Command::Zeroes
                } else {
                    Command::Trim
                }
            }
        }
    }
}

/// The ack that the writer of a block waits for, beside the barrier ack that every write gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckWanted {
    /// None (protocol A).
    None,
    /// P_RECV_ACK before the write is started (protocol B).
    Receive,
    /// P_WRITE_ACK or P_RS_WRITE_ACK after the write (protocol C, and any write in a resync).
    Write,
    /// Both (protocol B in a resync).
    ReceiveAndWrite,
}

impl AckWanted {
    /// What a protocol asks for, with or without a resync running at the writer.
    #[must_use]
    pub const fn of(protocol: Protocol, may_set_in_sync: bool) -> AckWanted {
        match (protocol, may_set_in_sync) {
            (Protocol::C, _) | (Protocol::A, true) => AckWanted::Write,
            (Protocol::B, true) => AckWanted::ReceiveAndWrite,
            (Protocol::B, false) => AckWanted::Receive,
            (Protocol::A, false) => AckWanted::None,
        }
    }

    /// P_RECV_ACK is wanted.
    #[must_use]
    pub const fn receive(self) -> bool {
        matches!(self, AckWanted::Receive | AckWanted::ReceiveAndWrite)
    }

    /// P_WRITE_ACK or P_RS_WRITE_ACK is wanted.
    #[must_use]
    pub const fn write(self) -> bool {
        matches!(self, AckWanted::Write | AckWanted::ReceiveAndWrite)
    }

    const fn from_bits(receive: bool, write: bool) -> AckWanted {
        match (receive, write) {
            (false, false) => AckWanted::None,
            (true, false) => AckWanted::Receive,
            (false, true) => AckWanted::Write,
            (true, true) => AckWanted::ReceiveAndWrite,
        }
    }
}

/// Everything that the flags of a write say, independent of the protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteFlags {
    /// What is done to the range.
    pub op: WriteOp,
    /// The submitter waits for it (`REQ_SYNC`).
    pub sync: bool,
    /// Force unit access (`REQ_FUA`).
    pub fua: bool,
    /// Flush before the write (`REQ_PREFLUSH`).
    pub preflush: bool,
    /// The writer's volume is in a resync: the receiver may mark the range in sync.
    pub may_set_in_sync: bool,
    /// Which acks are wanted.
    pub ack: AckWanted,
}

impl WriteFlags {
    /// The wire form for a peer of this version and these features.
    ///
    /// Before version 95 only `sync` and `may_set_in_sync` travel, before version 100 no wanted
    /// acks: both nodes then follow the configured protocol.
    #[must_use]
    pub fn to_wire(&self, agreed: &Agreed) -> DpFlags {
        let mut flags = DpFlags::when(DpFlags::RW_SYNC, self.sync)
            | DpFlags::when(DpFlags::MAY_SET_IN_SYNC, self.may_set_in_sync);
        if agreed.version.has_big_packets() {
            flags = flags
                | DpFlags::when(DpFlags::FUA, self.fua)
                | DpFlags::when(DpFlags::FLUSH, self.preflush)
                | match self.op {
                    WriteOp::Write => DpFlags::NONE,
                    WriteOp::Discard => DpFlags::DISCARD,
                    WriteOp::WriteSame => DpFlags::WSAME,
                    WriteOp::WriteZeroes { unmap } => {
                        if agreed.features.contains(FeatureFlags::WZEROES) {
                            DpFlags::ZEROES | DpFlags::when(DpFlags::DISCARD, unmap)
                        } else {
                            DpFlags::DISCARD
                        }
                    }
                };
        }
        if agreed.version.has_volumes() {
            flags = flags
                | DpFlags::when(DpFlags::SEND_RECEIVE_ACK, self.ack.receive())
                | DpFlags::when(DpFlags::SEND_WRITE_ACK, self.ack.write());
        }
        flags
    }

    /// What a received write asks for. `protocol` is the configured one; it decides about the acks
    /// before version 100.
    ///
    /// A P_TRIM from a peer with which [`FeatureFlags::WZEROES`] was not agreed may have been meant
    /// as zeroes, so it becomes a zero-out.
    ///
    /// # Errors
    ///
    /// [`WireError::BadFlags`] if the flags ask for another operation than the packet;
    /// [`WireError::WrongPhase`] for a packet that is no write.
    pub fn from_wire(
        command: Command,
        flags: DpFlags,
        agreed: &Agreed,
        protocol: Protocol,
    ) -> Result<WriteFlags, WireError> {
        let bad = Err(WireError::BadFlags(flags.bits()));
        let op = match command {
            Command::Data => {
                if flags.intersects(DpFlags::DISCARD | DpFlags::ZEROES | DpFlags::WSAME) {
                    return bad;
                }
                WriteOp::Write
            }
            Command::Trim => {
                if flags.intersects(DpFlags::ZEROES | DpFlags::WSAME) {
                    return bad;
                }
                if agreed.features.contains(FeatureFlags::WZEROES) {
                    WriteOp::Discard
                } else {
                    WriteOp::WriteZeroes { unmap: true }
                }
            }
            Command::Zeroes => {
                if flags.intersects(DpFlags::WSAME) {
                    return bad;
                }
                WriteOp::WriteZeroes {
                    unmap: flags.contains(DpFlags::DISCARD),
                }
            }
            Command::WriteSame => {
                if flags.intersects(DpFlags::DISCARD | DpFlags::ZEROES) {
                    return bad;
                }
                WriteOp::WriteSame
            }
            other => return Err(WireError::WrongPhase(other)),
        };
        let may_set_in_sync = flags.contains(DpFlags::MAY_SET_IN_SYNC);
        let ack = if agreed.version.has_volumes() {
            AckWanted::from_bits(
                flags.contains(DpFlags::SEND_RECEIVE_ACK),
                flags.contains(DpFlags::SEND_WRITE_ACK),
            )
        } else {
            // No bit for it: the configured protocol alone decides at the receiver.
            AckWanted::of(protocol, false)
        };
        Ok(WriteFlags {
            op,
            sync: flags.contains(DpFlags::RW_SYNC),
            fua: flags.contains(DpFlags::FUA),
            preflush: flags.contains(DpFlags::FLUSH),
            may_set_in_sync,
            ack,
        })
    }
}
