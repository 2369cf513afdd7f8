// SPDX-License-Identifier: GPL-2.0
//! Acks and negative replies on the meta socket.
//!
//! docs/protocol.md, "Block ack", "Barriers and epochs".

use zerocopy::big_endian::{U32, U64};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::{BIO_SIZE_MAX, DISCARD_SIZE_MAX};
use super::{put, view, BarrierNr, BlockId, BlockRange, WireError};

/// `p_block_ack`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BlockAckView {
    sector: U64,
    block_id: [u8; 8],
    blksize: U32,
    seq_num: U32,
}
const _: () = assert!(size_of::<BlockAckView>() == BlockAck::SIZE);

/// The payload of P_RECV_ACK, P_WRITE_ACK, P_RS_WRITE_ACK, P_SUPERSEDED, P_RETRY_WRITE, P_NEG_ACK,
/// P_NEG_DREPLY, P_NEG_RS_DREPLY, P_RS_CANCEL, P_RS_IS_IN_SYNC. P_OV_RESULT has the same layout,
/// see [`VerifyResult`].
///
/// Sector and size are as the peer sent them, because the reference itself sends nonsense sizes in
/// P_NEG_ACK for a discard: look up the request by `block_id`, and use [`BlockAck::range`] only
/// where nothing is known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockAck {
    /// First sector.
    pub sector: u64,
    /// Echo of the request; [`BlockId::SYNCER`] for a resync block.
    pub block_id: BlockId,
    /// Size in bytes.
    pub blksize: u32,
    /// The sender's packet counter.
    pub seq_num: u32,
}

impl BlockAck {
    /// Bytes on the wire.
    pub const SIZE: usize = 24;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<BlockAck, WireError> {
        let v: &BlockAckView = view(bytes)?;
        Ok(BlockAck {
            sector: v.sector.get(),
            block_id: BlockId(v.block_id),
            blksize: v.blksize.get(),
            seq_num: v.seq_num.get(),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &BlockAckView {
                sector: self.sector.into(),
                block_id: self.block_id.0,
                blksize: self.blksize.into(),
                seq_num: self.seq_num.into(),
            },
            out,
        )
    }

    /// Sector and size as a range.
    ///
    /// # Errors
    ///
    /// [`WireError::BadSize`], [`WireError::BadSector`]: the peer's word is not to be used.
    pub fn range(&self) -> Result<BlockRange, WireError> {
        BlockRange::new(self.sector, self.blksize, DISCARD_SIZE_MAX)
    }
}

/// The result of comparing one block in online verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OvResult {
    /// The digests are equal.
    InSync,
    /// They differ, or the block could not be read.
    OutOfSync,
}

impl OvResult {
    const ID_IN_SYNC: u64 = 4711;
    const ID_OUT_OF_SYNC: u64 = 4712;

    /// The `block_id` that stands for it: a big-endian number, unlike all others.
    #[must_use]
    pub const fn to_block_id(self) -> BlockId {
        BlockId(match self {
            OvResult::InSync => Self::ID_IN_SYNC.to_be_bytes(),
            OvResult::OutOfSync => Self::ID_OUT_OF_SYNC.to_be_bytes(),
        })
    }

    /// The result that a `block_id` stands for.
    ///
    /// # Errors
    ///
    /// [`WireError::BadValue`].
    pub fn from_block_id(id: BlockId) -> Result<OvResult, WireError> {
        match u64::from_be_bytes(id.0) {
            Self::ID_IN_SYNC => Ok(OvResult::InSync),
            Self::ID_OUT_OF_SYNC => Ok(OvResult::OutOfSync),
            other => Err(WireError::BadValue {
                what: "result of a verify",
                value: u32::try_from(other).unwrap_or(u32::MAX),
            }),
        }
    }
}

/// P_OV_RESULT: the result for one block of an online verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyResult {
    /// The block.
    pub range: BlockRange,
    /// What the comparison said.
    pub result: OvResult,
    /// The sender's packet counter.
    pub seq_num: u32,
}

impl VerifyResult {
    /// Bytes on the wire.
    pub const SIZE: usize = BlockAck::SIZE;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadSize`], [`WireError::BadSector`];
    /// [`WireError::BadValue`] for anything but the two results.
    pub fn parse(bytes: &[u8]) -> Result<VerifyResult, WireError> {
        let ack = BlockAck::parse(bytes)?;
        Ok(VerifyResult {
            range: BlockRange::new(ack.sector, ack.blksize, BIO_SIZE_MAX)?,
            result: OvResult::from_block_id(ack.block_id)?,
            seq_num: ack.seq_num,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        BlockAck {
            sector: self.range.sector(),
            block_id: self.result.to_block_id(),
            blksize: self.range.size(),
            seq_num: self.seq_num,
        }
        .emit(out)
    }
}

/// `p_barrier_ack`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BarrierAckView {
    barrier: [u8; 4],
    set_size: U32,
}
const _: () = assert!(size_of::<BarrierAckView>() == BarrierAck::SIZE);

/// P_BARRIER_ACK: all writes of an epoch are stable on the peer's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierAck {
    /// Echo of P_BARRIER.
    pub barrier: BarrierNr,
    /// Number of writes in the epoch.
    pub set_size: u32,
}

impl BarrierAck {
    /// Bytes on the wire.
    pub const SIZE: usize = 8;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<BarrierAck, WireError> {
        let v: &BarrierAckView = view(bytes)?;
        Ok(BarrierAck {
            barrier: BarrierNr(v.barrier),
            set_size: v.set_size.get(),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &BarrierAckView {
                barrier: self.barrier.0,
                set_size: self.set_size.into(),
            },
            out,
        )
    }
}
