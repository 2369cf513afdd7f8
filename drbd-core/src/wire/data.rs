// SPDX-License-Identifier: GPL-2.0
//! Packets that carry or describe blocks on the data socket: writes, replies, discards, barriers,
//! block descriptors.
//!
//! docs/protocol.md, "Data", "Barriers and epochs", "Block descriptor". The digest and the data
//! that follow the fixed part are not looked at here.

use zerocopy::big_endian::{U32, U64};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::{BIO_SIZE_MAX, DISCARD_SIZE_MAX};
use super::{put, view, BarrierNr, BlockId, BlockRange, DpFlags, WireError};

/// `p_data`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DataView {
    sector: U64,
    block_id: [u8; 8],
    seq_num: U32,
    dp_flags: U32,
}
const _: () = assert!(size_of::<DataView>() == Data::SIZE);

/// `p_trim`, `p_wsame`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TrimView {
    data: DataView,
    size: U32,
}
const _: () = assert!(size_of::<TrimView>() == Trim::SIZE);

/// P_DATA: a write. Digest (if any) and data follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// What is written; the size is that of the data that follows, without the digest.
    pub range: BlockRange,
    /// The writer's handle, echoed in acks.
    pub block_id: BlockId,
    /// The writer's packet counter.
    pub seq_num: u32,
    /// How to write and which acks are wanted.
    pub flags: DpFlags,
}

impl Data {
    /// Bytes of the fixed part.
    pub const SIZE: usize = 24;

    /// Reads the fixed part; `data_size` is what the header leaves for data behind fixed part and
    /// digest, in bytes.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`]; [`WireError::BadSize`] for no data, a part of a sector, or more
    /// than 1 MiB; [`WireError::BadSector`].
    pub fn parse(bytes: &[u8], data_size: u32) -> Result<Data, WireError> {
        let v: &DataView = view(bytes)?;
        Ok(Data {
            range: BlockRange::new(v.sector.get(), data_size, BIO_SIZE_MAX)?,
            block_id: BlockId(v.block_id),
            seq_num: v.seq_num.get(),
            flags: DpFlags::from_bits(v.dp_flags.get()),
        })
    }

    /// Writes the fixed part.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &DataView {
                sector: self.range.sector().into(),
                block_id: self.block_id.0,
                seq_num: self.seq_num.into(),
                dp_flags: self.flags.bits().into(),
            },
            out,
        )
    }
}

/// P_DATA_REPLY, P_RS_DATA_REPLY: data that was asked for. Digest (if any) and data follow.
///
/// The same layout as [`Data`]; sequence number and flags are sent as 0 and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataReply {
    /// What was read; the size is that of the data that follows.
    pub range: BlockRange,
    /// Echo of the request; [`BlockId::SYNCER`] for a resync block.
    pub block_id: BlockId,
}

impl DataReply {
    /// Bytes of the fixed part.
    pub const SIZE: usize = 24;

    /// Reads the fixed part; `data_size` as in [`Data::parse`].
    ///
    /// # Errors
    ///
    /// As [`Data::parse`].
    pub fn parse(bytes: &[u8], data_size: u32) -> Result<DataReply, WireError> {
        let data = Data::parse(bytes, data_size)?;
        Ok(DataReply {
            range: data.range,
            block_id: data.block_id,
        })
    }

    /// Writes the fixed part.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        Data {
            range: self.range,
            block_id: self.block_id,
            seq_num: 0,
            flags: DpFlags::NONE,
        }
        .emit(out)
    }
}

/// P_TRIM, P_ZEROES: a discard or a zero-out. P_WSAME: one logical block, to be written over the
/// range; only that has a digest and data behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// The range affected, at most 128 MiB.
    pub range: BlockRange,
    /// The writer's handle, echoed in acks.
    pub block_id: BlockId,
    /// The writer's packet counter.
    pub seq_num: u32,
    /// How to do it and which acks are wanted.
    pub flags: DpFlags,
}

impl Trim {
    /// Bytes of the fixed part.
    pub const SIZE: usize = 28;

    /// Reads the fixed part.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadSize`], [`WireError::BadSector`].
    pub fn parse(bytes: &[u8]) -> Result<Trim, WireError> {
        let v: &TrimView = view(bytes)?;
        Ok(Trim {
            range: BlockRange::new(v.data.sector.get(), v.size.get(), DISCARD_SIZE_MAX)?,
            block_id: BlockId(v.data.block_id),
            seq_num: v.data.seq_num.get(),
            flags: DpFlags::from_bits(v.data.dp_flags.get()),
        })
    }

    /// Writes the fixed part.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &TrimView {
                data: DataView {
                    sector: self.range.sector().into(),
                    block_id: self.block_id.0,
                    seq_num: self.seq_num.into(),
                    dp_flags: self.flags.bits().into(),
                },
                size: self.range.size().into(),
            },
            out,
        )
    }
}

/// `p_barrier`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BarrierView {
    barrier: [u8; 4],
    pad: U32,
}
const _: () = assert!(size_of::<BarrierView>() == Barrier::SIZE);

/// P_BARRIER: closes a write epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// Names the epoch; echoed in P_BARRIER_ACK.
    pub barrier: BarrierNr,
}

impl Barrier {
    /// Bytes on the wire.
    pub const SIZE: usize = 8;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Barrier, WireError> {
        let v: &BarrierView = view(bytes)?;
        Ok(Barrier {
            barrier: BarrierNr(v.barrier),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &BarrierView {
                barrier: self.barrier.0,
                pad: U32::ZERO,
            },
            out,
        )
    }
}

/// `p_block_desc`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BlockDescView {
    sector: U64,
    blksize: U32,
    pad: U32,
}
const _: () = assert!(size_of::<BlockDescView>() == BlockDesc::SIZE);

/// P_OUT_OF_SYNC: a range that was written without replication. P_RS_DEALLOCATED: a range that the
/// sync source found to be all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockDesc {
    /// The range. Its limit is that of a discard, since a discard may have caused it.
    pub range: BlockRange,
}

impl BlockDesc {
    /// Bytes on the wire.
    pub const SIZE: usize = 16;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadSize`], [`WireError::BadSector`].
    pub fn parse(bytes: &[u8]) -> Result<BlockDesc, WireError> {
        let v: &BlockDescView = view(bytes)?;
        Ok(BlockDesc {
            range: BlockRange::new(v.sector.get(), v.blksize.get(), DISCARD_SIZE_MAX)?,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &BlockDescView {
                sector: self.range.sector().into(),
                blksize: self.range.size().into(),
                pad: U32::ZERO,
            },
            out,
        )
    }
}

/// `p_delay_probe93`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct DelayProbeView {
    seq_num: U32,
    offset: U32,
}
const _: () = assert!(size_of::<DelayProbeView>() == DelayProbe::SIZE);

/// P_DELAY_PROBE: a leftover of an old rate controller. Taken and ignored, never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelayProbe {
    /// Pairs the probes of both sockets.
    pub seq_num: u32,
    /// Microseconds.
    pub offset_us: u32,
}

impl DelayProbe {
    /// Bytes on the wire.
    pub const SIZE: usize = 8;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<DelayProbe, WireError> {
        let v: &DelayProbeView = view(bytes)?;
        Ok(DelayProbe {
            seq_num: v.seq_num.get(),
            offset_us: v.offset.get(),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &DelayProbeView {
                seq_num: self.seq_num.into(),
                offset: self.offset_us.into(),
            },
            out,
        )
    }
}
