// SPDX-License-Identifier: GPL-2.0
//! On-disk metadata, version 08: superblock, layout, activity log blocks, bitmap area.
//!
//! The metadata of one volume is three areas on the *metadata device*: a superblock of one 4 KiB
//! block, the activity log (a ring of 4 KiB blocks) and the bitmap (one bit for 4 KiB of data).
//! This module knows their formats and their places. It reads and writes nothing: the caller
//! lends blocks as byte slices. docs/metadata.md tells the format in prose.
//!
//! Units: a *sector* is 512 bytes, a *block* 4096 bytes. Offsets and sizes are in sectors unless
//! the name says something else. Numbers that come from a disk are hostile: all arithmetic on
//! them is checked.

pub mod al;
pub mod crc32c;
pub mod flags;
pub mod layout;
pub mod legacy;
pub mod replay;
pub mod size;
pub mod superblock;

pub use self::al::{AlLayout, AlLayoutError};
pub use self::flags::{FlagSources, MdFlags};
pub use self::layout::{Layout, LayoutError, MdIndex};
pub use self::size::{Room, SizeChange, SizeError, SizeInputs};
pub use self::superblock::{AttachRefusal, Invalid, Magic, ParseError, Superblock};

/// Bytes of a block: the unit of all metadata I/O.
pub const BLOCK_SIZE: usize = 4096;
/// Sectors of a block.
pub const BLOCK_SECTORS: u64 = 8;
/// Bytes of a sector.
pub const SECTOR_SIZE: u64 = 512;
/// Sectors of data that one bitmap bit stands for (4 KiB).
pub const SECTORS_PER_BIT: u64 = 8;
/// log2 of the sectors of one activity log extent (4 MiB).
pub const AL_EXTENT_SHIFT: u32 = 13;
/// Bitmap bits of one activity log extent.
pub const BITS_PER_AL_EXTENT: u64 = 1024;
/// log2 of the sectors of one resync extent (16 MiB).
pub const BM_EXTENT_SHIFT: u32 = 15;
/// Sectors of data that one 4 KiB block of bitmap stands for (128 MiB).
pub const SECTORS_PER_BITMAP_BLOCK: u64 = 262_144;
/// Sectors of one fixed ("indexed") external metadata area (128 MiB).
pub const FIXED_AREA_SECTORS: u64 = 262_144;
/// The current UUID of a device that has never had data.
pub const UUID_JUST_CREATED: u64 = 4;

/// Rounds `value` down to a multiple of 8 sectors, the size of a block.
#[must_use]
pub(crate) const fn block_floor(value: u64) -> u64 {
    value & !(BLOCK_SECTORS - 1)
}
