// SPDX-License-Identifier: GPL-2.0
//! Requests for blocks: reads from the peer, resync, online verify.
//!
//! docs/protocol.md, "Block request".

use zerocopy::big_endian::{U32, U64};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::BIO_SIZE_MAX;
use super::{put, view, BlockId, BlockRange, WireError};

/// `p_block_req`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct View {
    sector: U64,
    block_id: [u8; 8],
    blksize: U32,
    pad: U32,
}
const _: () = assert!(size_of::<View>() == BlockRequest::SIZE);

/// The fixed part of P_DATA_REQUEST, P_RS_DATA_REQUEST, P_RS_THIN_REQ, P_CSUM_RS_REQUEST,
/// P_OV_REQUEST and P_OV_REPLY. In P_CSUM_RS_REQUEST and P_OV_REPLY a digest follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// The range, at most 1 MiB.
    pub range: BlockRange,
    /// The asker's handle; [`BlockId::SYNCER`] for everything but P_DATA_REQUEST.
    pub block_id: BlockId,
}

impl BlockRequest {
    /// Bytes of the fixed part.
    pub const SIZE: usize = 24;

    /// Reads the fixed part.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`], [`WireError::BadSize`], [`WireError::BadSector`].
    pub fn parse(bytes: &[u8]) -> Result<BlockRequest, WireError> {
        let v: &View = view(bytes)?;
        Ok(BlockRequest {
            range: BlockRange::new(v.sector.get(), v.blksize.get(), BIO_SIZE_MAX)?,
            block_id: BlockId(v.block_id),
        })
    }

    /// Writes the fixed part.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &View {
                sector: self.range.sector().into(),
                block_id: self.block_id.0,
                blksize: self.range.size().into(),
                pad: U32::ZERO,
            },
            out,
        )
    }
}
