// SPDX-License-Identifier: GPL-2.0
//! What names a block, a range and an epoch in most packets.

use super::WireError;

/// Bytes of a sector, the unit of all `sector` fields.
pub const SECTOR_SIZE: u32 = 512;
/// The largest write, read or resync block in bytes (`DRBD_MAX_BIO_SIZE`).
pub const BIO_SIZE_MAX: u32 = 1 << 20;
/// The largest discard or zero-out in bytes (`DRBD_MAX_BBIO_SECTORS`).
pub const DISCARD_SIZE_MAX: u32 = 128 << 20;

/// `block_id`: a handle that one node chooses and the other echoes, byte for byte.
///
/// Only the node that chose it may look inside; to the other it is opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(pub [u8; 8]);

impl BlockId {
    /// All ones: a resync block, not an application request (`ID_SYNCER`).
    pub const SYNCER: BlockId = BlockId([0xff; 8]);
    /// For packets in which nobody looks at the field.
    pub const ZERO: BlockId = BlockId([0; 8]);

    /// A handle made of a number.
    #[must_use]
    pub const fn from_u64(id: u64) -> BlockId {
        BlockId(id.to_le_bytes())
    }

    /// The number that [`BlockId::from_u64`] was given.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        u64::from_le_bytes(self.0)
    }

    /// This names a resync block.
    #[must_use]
    pub const fn is_syncer(self) -> bool {
        self.to_u64() == u64::MAX
    }
}

/// The number of a P_BARRIER: echoed in P_BARRIER_ACK, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BarrierNr(pub [u8; 4]);

impl BarrierNr {
    /// The handle of an epoch of ours. Little-endian, as most peers of today store it, which helps
    /// those who read captures.
    #[must_use]
    pub const fn from_epoch(epoch: u32) -> BarrierNr {
        BarrierNr(epoch.to_le_bytes())
    }

    /// The epoch that [`BarrierNr::from_epoch`] was given.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        u32::from_le_bytes(self.0)
    }
}

/// A range of a volume that has been checked against a packet's limits, but not yet against the
/// device.
///
/// # Invariants
///
/// `size` is a multiple of 512 and not zero; `sector + size / 512` does not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRange {
    sector: u64,
    size: u32,
}

impl BlockRange {
    /// A range of `size` bytes from `sector` on; `size_max` in bytes is the packet's limit.
    ///
    /// # Errors
    ///
    /// [`WireError::BadSize`], [`WireError::BadSector`].
    pub fn new(sector: u64, size: u32, size_max: u32) -> Result<BlockRange, WireError> {
        if size == 0 || size % SECTOR_SIZE != 0 || size > size_max {
            return Err(WireError::BadSize(size));
        }
        // INVARIANT: both conditions are checked here, and no other constructor exists.
        match sector.checked_add(u64::from(size / SECTOR_SIZE)) {
            Some(_) => Ok(BlockRange { sector, size }),
            None => Err(WireError::BadSector(sector)),
        }
    }

    /// First sector.
    #[must_use]
    pub const fn sector(&self) -> u64 {
        self.sector
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Size in sectors.
    #[must_use]
    pub const fn sectors(&self) -> u32 {
        self.size / SECTOR_SIZE
    }

    /// The sector behind the last one.
    #[must_use]
    pub const fn end(&self) -> u64 {
        // By the invariant this does not saturate.
        self.sector.saturating_add(self.sectors() as u64)
    }

    /// The range lies within a device of `capacity` sectors.
    #[must_use]
    pub const fn fits(&self, capacity: u64) -> bool {
        self.end() <= capacity
    }

    /// The two ranges have a sector in common.
    #[must_use]
    pub const fn overlaps(&self, other: &BlockRange) -> bool {
        self.sector < other.end() && other.sector < self.end()
    }

    /// `other` lies completely within this range.
    #[must_use]
    pub const fn contains(&self, other: &BlockRange) -> bool {
        self.sector <= other.sector && other.end() <= self.end()
    }
}
