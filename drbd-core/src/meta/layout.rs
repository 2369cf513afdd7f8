// SPDX-License-Identifier: GPL-2.0
//! Where superblock, activity log and bitmap lie on the metadata device.
//!
//! Internal metadata ends the device: data, bitmap, log, superblock, then up to 7 odd sectors.
//! External metadata starts with the superblock: superblock, log, bitmap. A fixed external area
//! has 128 MiB and a number; a flexible one owns its whole device. docs/metadata.md, placement.

use super::al::AlLayout;
use super::superblock::Superblock;
use super::{
    block_floor, BLOCK_SECTORS, FIXED_AREA_SECTORS, SECTORS_PER_BIT, SECTORS_PER_BITMAP_BLOCK,
};

/// Sectors of the largest device with flexible or internal metadata.
pub const MAX_SECTORS: u64 = 1 << 51;
/// Sectors of the largest device with a fixed external area: about 4 TiB.
pub const MAX_SECTORS_FIXED: u64 = (FIXED_AREA_SECTORS - 72) * SECTORS_PER_SECTOR_OF_BITMAP;
/// Sectors of the smallest metadata device for internal and flexible external metadata (1 MiB).
pub const MIN_MD_SECTORS: u64 = 2048;

/// Sectors of data for one sector of bitmap: 4096 bits of 8 sectors.
const SECTORS_PER_SECTOR_OF_BITMAP: u64 = 4096 * SECTORS_PER_BIT;

/// Where the metadata is configured to be (`meta-disk`, `meta_dev_idx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MdIndex {
    /// At the end of the data device.
    Internal,
    /// The same place; the code that drbdmeta uses for it.
    FlexInternal,
    /// The whole of another device.
    FlexExternal,
    /// The numbered 128 MiB area of another device.
    Fixed(u32),
}

impl MdIndex {
    /// The meaning of the number in the configuration; `None` below -3.
    #[must_use]
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            -1 => Some(Self::Internal),
            -2 => Some(Self::FlexExternal),
            -3 => Some(Self::FlexInternal),
            index if index >= 0 => Some(Self::Fixed(index.unsigned_abs())),
            _ => None,
        }
    }

    /// The number as the configuration and netlink carry it.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Internal => -1,
            Self::FlexExternal => -2,
            Self::FlexInternal => -3,
            Self::Fixed(index) => i32::try_from(index).unwrap_or(i32::MAX),
        }
    }

    /// True if data and metadata share one device.
    #[must_use]
    pub const fn is_internal(self) -> bool {
        matches!(self, Self::Internal | Self::FlexInternal)
    }

    /// Sectors that the metadata device must have at least; less is error 112.
    #[must_use]
    pub const fn min_capacity(self) -> u64 {
        match self {
            Self::Internal | Self::FlexInternal | Self::FlexExternal => MIN_MD_SECTORS,
            // A u32 times 2^18 stays far below 2^64.
            Self::Fixed(index) => {
                FIXED_AREA_SECTORS.saturating_mul((index as u64).saturating_add(1))
            }
        }
    }

    /// The sector of the superblock on a metadata device of `md_capacity` sectors.
    ///
    /// `None` if an internal device is smaller than one block.
    #[must_use]
    pub const fn superblock_sector(self, md_capacity: u64) -> Option<u64> {
        match self {
            Self::Internal | Self::FlexInternal => {
                block_floor(md_capacity).checked_sub(BLOCK_SECTORS)
            }
            Self::FlexExternal => Some(0),
            Self::Fixed(index) => Some(FIXED_AREA_SECTORS.saturating_mul(index as u64)),
        }
    }
}

/// Why there is no layout for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The device has no room for the metadata (and, if internal, one block of data).
    TooSmall,
    /// The offsets do not fit in the fields of the superblock.
    TooBig,
    /// Fixed areas exist only with the default activity log.
    AlInFixedArea,
}

/// A consistent set of places on one metadata device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    index: MdIndex,
    al: AlLayout,
    superblock: u64,
    md_size_sect: u32,
    al_offset: i32,
    bm_offset: i32,
}

impl Layout {
    /// The layout for a metadata device of `md_capacity` sectors.
    ///
    /// # Errors
    ///
    /// The device is too small or too big for this kind of metadata.
    pub fn compute(index: MdIndex, md_capacity: u64, al: AlLayout) -> Result<Self, LayoutError> {
        let superblock = index
            .superblock_sector(md_capacity)
            .ok_or(LayoutError::TooSmall)?;
        let al_sectors = u64::from(al.sectors());
        let behind_al = i32::try_from(BLOCK_SECTORS.saturating_add(al_sectors))
            .map_err(|_| LayoutError::TooBig)?;
        let (md_size, al_offset, bm_offset) = match index {
            MdIndex::Internal | MdIndex::FlexInternal => {
                let above = Self::bitmap_sectors_for(md_capacity)
                    .and_then(|bitmap| bitmap.checked_add(al_sectors))
                    .ok_or(LayoutError::TooBig)?;
                if above >= superblock {
                    return Err(LayoutError::TooSmall);
                }
                let offset = i32::try_from(above).map_err(|_| LayoutError::TooBig)?;
                let al_offset = i32::try_from(al_sectors).map_err(|_| LayoutError::TooBig)?;
                (
                    above.saturating_add(BLOCK_SECTORS),
                    al_offset.saturating_neg(),
                    offset.saturating_neg(),
                )
            }
            // More than 32 bits of sectors serve no device that 8.4 can address: use the rest not.
            MdIndex::FlexExternal => (md_capacity.min(0xffff_fff8), 8, behind_al),
            MdIndex::Fixed(_) => {
                if al != AlLayout::DEFAULT {
                    return Err(LayoutError::AlInFixedArea);
                }
                (FIXED_AREA_SECTORS, 8, behind_al)
            }
        };
        let layout = Self {
            index,
            al,
            superblock,
            md_size_sect: u32::try_from(md_size).map_err(|_| LayoutError::TooBig)?,
            al_offset,
            bm_offset,
        };
        if layout.bm_sectors() == 0 {
            return Err(LayoutError::TooSmall);
        }
        Ok(layout)
    }

    /// Sectors of on-disk bitmap for a device of `capacity` sectors: whole blocks.
    #[must_use]
    pub fn bitmap_sectors_for(capacity: u64) -> Option<u64> {
        capacity
            .checked_next_multiple_of(SECTORS_PER_BITMAP_BLOCK)
            .map(|sectors| (sectors / SECTORS_PER_BITMAP_BLOCK).saturating_mul(BLOCK_SECTORS))
    }

    /// The layout as a superblock tells it; the caller has checked its numbers.
    pub(super) fn from_superblock(
        index: MdIndex,
        md_capacity: u64,
        al: AlLayout,
        superblock: &Superblock,
    ) -> Option<Self> {
        let layout = Self {
            index,
            al,
            superblock: index.superblock_sector(md_capacity)?,
            md_size_sect: superblock.md_size_sect,
            al_offset: superblock.al_offset,
            bm_offset: superblock.bm_offset,
        };
        // Both areas must have a sector number; the accessors rely on it.
        layout
            .superblock
            .checked_add_signed(i64::from(layout.al_offset))?;
        layout
            .superblock
            .checked_add_signed(i64::from(layout.bm_offset))?;
        Some(layout)
    }

    /// Where this layout is configured to be.
    #[must_use]
    pub const fn index(&self) -> MdIndex {
        self.index
    }

    /// The shape of the activity log.
    #[must_use]
    pub const fn al(&self) -> AlLayout {
        self.al
    }

    /// Size of the whole area in sectors.
    #[must_use]
    pub const fn md_size_sect(&self) -> u32 {
        self.md_size_sect
    }

    /// Place of the log relative to the superblock, in sectors.
    #[must_use]
    pub const fn al_offset(&self) -> i32 {
        self.al_offset
    }

    /// Place of the bitmap relative to the superblock, in sectors.
    #[must_use]
    pub const fn bm_offset(&self) -> i32 {
        self.bm_offset
    }

    /// Sector of the superblock on the metadata device.
    #[must_use]
    pub const fn superblock_sector(&self) -> u64 {
        self.superblock
    }

    /// First sector of the activity log on the metadata device.
    #[must_use]
    pub const fn al_sector(&self) -> u64 {
        self.superblock.saturating_add_signed(self.al_offset as i64)
    }

    /// First sector of the bitmap on the metadata device.
    #[must_use]
    pub const fn bm_sector(&self) -> u64 {
        self.superblock.saturating_add_signed(self.bm_offset as i64)
    }

    /// Sectors that the bitmap may use on disk.
    #[must_use]
    pub const fn bm_sectors(&self) -> u64 {
        if self.al_offset < 0 {
            self.al_sector().saturating_sub(self.bm_sector())
        } else {
            // External: up to the end of the area.
            (self.md_size_sect as u64).saturating_sub(self.bm_offset.unsigned_abs() as u64)
        }
    }

    /// First sector and number of sectors of a 4 KiB page of bitmap, cut at the end of the area.
    ///
    /// `None` if the page lies beyond the area.
    #[must_use]
    pub const fn bitmap_page(&self, page: u64) -> Option<(u64, u64)> {
        let offset = page.saturating_mul(BLOCK_SECTORS);
        match self.bm_sectors().checked_sub(offset) {
            Some(0) | None => None,
            Some(left) => {
                let sectors = if left < BLOCK_SECTORS {
                    left
                } else {
                    BLOCK_SECTORS
                };
                Some((self.bm_sector().saturating_add(offset), sectors))
            }
        }
    }

    /// First sector of the whole area.
    #[must_use]
    pub const fn first_sector(&self) -> u64 {
        if self.al_offset < 0 {
            self.bm_sector()
        } else {
            self.superblock
        }
    }

    /// Last sector of the whole area.
    #[must_use]
    pub const fn last_sector(&self) -> u64 {
        if self.al_offset < 0 {
            self.superblock.saturating_add(BLOCK_SECTORS - 1)
        } else {
            self.superblock
                .saturating_add((self.md_size_sect as u64).saturating_sub(1))
        }
    }

    /// The largest data size that the bitmap on disk can describe, in sectors.
    #[must_use]
    pub const fn bitmap_limit(&self) -> u64 {
        self.bm_sectors()
            .saturating_mul(SECTORS_PER_SECTOR_OF_BITMAP)
    }

    /// Sectors that this node can offer to its peer, if its data device has `data_capacity`.
    ///
    /// With internal metadata the data ends where the bitmap starts.
    #[must_use]
    pub fn usable_sectors(&self, data_capacity: u64) -> u64 {
        match self.index {
            MdIndex::Internal | MdIndex::FlexInternal => self.bm_sector().min(MAX_SECTORS),
            MdIndex::FlexExternal => data_capacity.min(MAX_SECTORS).min(self.bitmap_limit()),
            MdIndex::Fixed(_) => data_capacity.min(MAX_SECTORS_FIXED),
        }
    }
}

#[cfg(test)]
mod tests;
