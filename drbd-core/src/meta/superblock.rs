// SPDX-License-Identifier: GPL-2.0
//! The superblock: 4 KiB, all integers big endian, no checksum.
//!
//! [`Superblock::parse`] takes what user space may work on: version 08, clean or not.
//! [`Superblock::check_attach`] adds the tests that a device has to pass before it is attached.

use zerocopy::big_endian::{I32, U32, U64};
use zerocopy::{FromBytes, IntoBytes};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::al::{AlLayout, AlLayoutError};
use super::flags::MdFlags;
use super::layout::{Layout, MdIndex};
use super::{BLOCK_SIZE, FIXED_AREA_SECTORS, UUID_JUST_CREATED};

/// Magic number of version 07.
pub const MAGIC_V07: u32 = 0x8374_026a;
/// Magic number of version 08; user space wrote it, or a driver before 8.4.
pub const MAGIC_V08: u32 = 0x8374_026b;
/// Magic number of version 08 since an 8.4 driver attached the device.
pub const MAGIC_V08_UNCLEAN: u32 = 0x8374_026c;
/// Magic number of version 09 (DRBD 9).
pub const MAGIC_V09: u32 = 0x8374_026d;
/// The only `bm_bytes_per_bit` that 8.4 works with.
pub const BM_BYTES_PER_BIT: u32 = 4096;
/// What a fresh superblock says about the slots of the activity log.
pub const AL_EXTENTS_AT_CREATE: u32 = 257;

/// The superblock as it lies on disk.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawSuperblock {
    la_size_sect: U64,
    uuid: [U64; 4],
    device_uuid: U64,
    reserved: U64,
    flags: U32,
    magic: U32,
    md_size_sect: U32,
    al_offset: I32,
    al_nr_extents: U32,
    bm_offset: I32,
    bm_bytes_per_bit: U32,
    la_peer_max_bio_size: U32,
    al_stripes: U32,
    al_stripe_size_4k: U32,
    tail: [u8; 4000],
}
const _: () = assert!(size_of::<RawSuperblock>() == BLOCK_SIZE);

/// Which of the two magic numbers of version 08 a superblock has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// Written by user space after it took care of the activity log.
    Clean,
    /// Written by a running driver.
    Unclean,
}

/// Why a block is no superblock of version 08.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Fewer bytes than a block.
    Short,
    /// It belongs to version 07.
    Version07,
    /// It belongs to version 09.
    Version09,
    /// Neither magic number of DRBD; holds what stands there.
    NoMagic(u32),
}

/// The content of a superblock.
///
/// The numbers are as read: only the magic number has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Last agreed size of the device in sectors; 0: none yet.
    pub la_size_sect: u64,
    /// Current, bitmap, younger history, older history.
    pub uuids: [u64; 4],
    /// Random identity of the device; kept by all writers.
    pub device_uuid: u64,
    /// State of the data and of the metadata itself.
    pub flags: MdFlags,
    /// Who wrote it last.
    pub magic: Magic,
    /// Size of the whole metadata area in sectors.
    pub md_size_sect: u32,
    /// Place of the activity log in sectors, relative to the superblock.
    pub al_offset: i32,
    /// Slots of the activity log when the driver last wrote this.
    pub al_nr_extents: u32,
    /// Place of the bitmap in sectors, relative to the superblock.
    pub bm_offset: i32,
    /// Bytes of data for one bit; 4096.
    pub bm_bytes_per_bit: u32,
    /// The peer's largest request in bytes, as last agreed; 0: unknown.
    pub la_peer_max_bio_size: u32,
    /// Stripes of the activity log; 0 before 8.4.
    pub al_stripes: u32,
    /// Blocks of one stripe; 0 before 8.4.
    pub al_stripe_size_4k: u32,
}

impl Superblock {
    /// What `create-md` writes for `layout`: no data yet, log clean.
    #[must_use]
    pub fn create(layout: &Layout) -> Self {
        Self {
            la_size_sect: 0,
            uuids: [UUID_JUST_CREATED, 0, 0, 0],
            device_uuid: 0,
            flags: MdFlags::AL_CLEAN,
            magic: Magic::Clean,
            md_size_sect: layout.md_size_sect(),
            al_offset: layout.al_offset(),
            al_nr_extents: AL_EXTENTS_AT_CREATE,
            bm_offset: layout.bm_offset(),
            bm_bytes_per_bit: BM_BYTES_PER_BIT,
            la_peer_max_bio_size: 0,
            al_stripes: layout.al().stripes(),
            al_stripe_size_4k: layout.al().stripe_size_4k(),
        }
    }

    /// Reads a block of version 08, whatever its numbers say.
    ///
    /// # Errors
    ///
    /// Too short, or another magic number.
    pub fn parse(block: &[u8]) -> Result<Self, ParseError> {
        let (raw, _) = RawSuperblock::ref_from_prefix(block).map_err(|_| ParseError::Short)?;
        let magic = match raw.magic.get() {
            MAGIC_V08 => Magic::Clean,
            MAGIC_V08_UNCLEAN => Magic::Unclean,
            MAGIC_V07 => return Err(ParseError::Version07),
            MAGIC_V09 => return Err(ParseError::Version09),
            other => return Err(ParseError::NoMagic(other)),
        };
        Ok(Self {
            la_size_sect: raw.la_size_sect.get(),
            uuids: raw.uuid.map(U64::get),
            device_uuid: raw.device_uuid.get(),
            flags: MdFlags::from_bits(raw.flags.get()),
            magic,
            md_size_sect: raw.md_size_sect.get(),
            al_offset: raw.al_offset.get(),
            al_nr_extents: raw.al_nr_extents.get(),
            bm_offset: raw.bm_offset.get(),
            bm_bytes_per_bit: raw.bm_bytes_per_bit.get(),
            la_peer_max_bio_size: raw.la_peer_max_bio_size.get(),
            al_stripes: raw.al_stripes.get(),
            al_stripe_size_4k: raw.al_stripe_size_4k.get(),
        })
    }

    /// Fills `block` with this superblock; all reserved bytes become zero.
    ///
    /// # Errors
    ///
    /// [`ParseError::Short`] if `block` is smaller than a block; nothing is written then.
    pub fn emit(&self, block: &mut [u8]) -> Result<(), ParseError> {
        let (raw, _) = RawSuperblock::mut_from_prefix(block).map_err(|_| ParseError::Short)?;
        raw.as_mut_bytes().fill(0);
        raw.la_size_sect.set(self.la_size_sect);
        raw.uuid = self.uuids.map(U64::new);
        raw.device_uuid.set(self.device_uuid);
        raw.flags.set(self.flags.bits());
        raw.magic.set(match self.magic {
            Magic::Clean => MAGIC_V08,
            Magic::Unclean => MAGIC_V08_UNCLEAN,
        });
        raw.md_size_sect.set(self.md_size_sect);
        raw.al_offset.set(self.al_offset);
        raw.al_nr_extents.set(self.al_nr_extents);
        raw.bm_offset.set(self.bm_offset);
        raw.bm_bytes_per_bit.set(self.bm_bytes_per_bit);
        raw.la_peer_max_bio_size.set(self.la_peer_max_bio_size);
        raw.al_stripes.set(self.al_stripes);
        raw.al_stripe_size_4k.set(self.al_stripe_size_4k);
        Ok(())
    }

    /// What stands on the disk while log and bitmap are on their way to the places named here: a
    /// crash leads to a full sync, and nobody asks the log.
    #[must_use]
    pub fn while_moving(&self) -> Self {
        let flags = self.flags | MdFlags::FULL_SYNC | MdFlags::AL_DISABLED;
        Self { flags, ..*self }
    }

    /// True if no activity log has to be applied before the device may be attached.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.magic == Magic::Clean && self.flags.contains(MdFlags::AL_CLEAN)
    }

    /// The shape of the activity log.
    ///
    /// # Errors
    ///
    /// The two numbers of the superblock are no shape.
    pub const fn al_layout(&self) -> Result<AlLayout, AlLayoutError> {
        AlLayout::from_disk(self.al_stripes, self.al_stripe_size_4k)
    }

    /// Reads `block` and applies every test of an attach, in the order of docs/metadata.md.
    ///
    /// `md_capacity` is the size of the metadata device in sectors, `index` the configured place.
    ///
    /// # Errors
    ///
    /// The first test that fails.
    pub fn attach(
        block: &[u8],
        index: MdIndex,
        md_capacity: u64,
    ) -> Result<(Self, Layout), AttachRefusal> {
        let superblock = match Self::parse(block) {
            Ok(superblock) => superblock,
            Err(error) => return Err(AttachRefusal::Invalid(Invalid::Magic(error))),
        };
        let layout = superblock.check_attach(index, md_capacity)?;
        Ok((superblock, layout))
    }

    /// The tests of [`attach`](Self::attach) on a superblock already read; tells its layout.
    ///
    /// # Errors
    ///
    /// The first test that fails.
    pub fn check_attach(&self, index: MdIndex, md_capacity: u64) -> Result<Layout, AttachRefusal> {
        if !self.is_clean() {
            return Err(AttachRefusal::Unclean);
        }
        self.layout_on_disk(index, md_capacity)
            .map_err(AttachRefusal::Invalid)
    }

    /// The layout that the offsets of this superblock describe, if they make sense.
    ///
    /// # Errors
    ///
    /// The first test that fails; cleanness is not tested here.
    pub fn layout_on_disk(&self, index: MdIndex, md_capacity: u64) -> Result<Layout, Invalid> {
        if self.bm_bytes_per_bit != BM_BYTES_PER_BIT {
            return Err(Invalid::BytesPerBit(self.bm_bytes_per_bit));
        }
        let al = self.al_layout().map_err(Invalid::AlLayout)?;
        let al_sectors = i64::from(al.sectors());
        let (al_offset, bm_offset) = (i64::from(self.al_offset), i64::from(self.bm_offset));

        let (al_on_disk, bm_on_disk) = if al_offset < 0 {
            if bm_offset > al_offset {
                return Err(Invalid::Offsets);
            }
            (
                al_offset.saturating_neg(),
                al_offset.saturating_sub(bm_offset),
            )
        } else {
            if al_offset != 8 || bm_offset < al_sectors.saturating_add(8) {
                return Err(Invalid::Offsets);
            }
            (
                bm_offset.saturating_sub(8),
                i64::from(self.md_size_sect).saturating_sub(bm_offset),
            )
        };
        if let MdIndex::Fixed(_) = index {
            let fixed = u64::from(self.md_size_sect) == FIXED_AREA_SECTORS
                && (al_offset, bm_offset) == (8, 72)
                && al == AlLayout::DEFAULT;
            if !fixed {
                return Err(Invalid::FixedArea);
            }
        }
        self.fits_device(index, md_capacity)?;
        if al_on_disk != al_sectors || bm_offset % 8 != 0 {
            return Err(Invalid::AlArea);
        }
        let needed = self.la_size_sect.saturating_add(7) / 8 / 8 / 512;
        let bm_on_disk = u64::try_from(bm_on_disk).map_err(|_| Invalid::BitmapArea)?;
        if bm_on_disk < needed {
            return Err(Invalid::BitmapArea);
        }
        Layout::from_superblock(index, md_capacity, al, self).ok_or(Invalid::Device)
    }

    /// The whole area must lie inside the metadata device.
    fn fits_device(&self, index: MdIndex, md_capacity: u64) -> Result<(), Invalid> {
        let position = index
            .superblock_sector(md_capacity)
            .ok_or(Invalid::Device)?;
        let first = if self.al_offset < 0 {
            position
                .checked_add_signed(i64::from(self.bm_offset))
                .ok_or(Invalid::Device)?
        } else {
            position
        };
        match md_capacity.checked_sub(u64::from(self.md_size_sect)) {
            Some(room) if room >= first => Ok(()),
            Some(_) | None => Err(Invalid::Device),
        }
    }
}

/// Why a device can't be attached with the metadata found on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachRefusal {
    /// User space has to apply the activity log first (error 165).
    Unclean,
    /// No valid metadata (error 119).
    Invalid(Invalid),
}

impl AttachRefusal {
    /// The `drbd_ret_code` that the administrator gets to see.
    #[must_use]
    pub const fn ret_code(self) -> i32 {
        match self {
            Self::Unclean => 165,
            Self::Invalid(_) => 119,
        }
    }
}

/// Which test of the superblock failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not a superblock of version 08.
    Magic(ParseError),
    /// `bm_bytes_per_bit` is not 4096.
    BytesPerBit(u32),
    /// The activity log has an impossible shape.
    AlLayout(AlLayoutError),
    /// The order of activity log and bitmap is impossible.
    Offsets,
    /// A fixed external area that is not laid out as one.
    FixedArea,
    /// The area does not fit in the metadata device.
    Device,
    /// The room for the activity log differs from its shape.
    AlArea,
    /// The bitmap is too small for the last agreed size.
    BitmapArea,
}

#[cfg(test)]
mod tests;
