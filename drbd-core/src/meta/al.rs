// SPDX-License-Identifier: GPL-2.0
//! The activity log on disk: the shape of its ring and the format of its blocks.
//!
//! The log is a ring of `N = stripes * blocks per stripe` blocks. Transaction `t` goes to ring
//! position `t mod N`; consecutive positions walk over the stripes, so that with several stripes
//! neighbours lie on different disks of a RAID. A block tells which slots of the active set got a
//! new extent (the updates), and repeats a window of 919 slots as they were before (the context),
//! so that `N - 1` blocks describe the whole set. docs/metadata.md, activity log.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::crc32c::crc32c;
use super::BLOCK_SIZE;

/// Magic number of a log block since 8.4.
pub const AL_MAGIC: u32 = 0x69cb_65a2;
/// The label of a slot that holds no extent.
pub const FREE_EXTENT: u32 = 0xffff_ffff;
/// The slot number of an unused update entry.
pub const FREE_SLOT: u16 = 0xffff;
/// Updates that fit in one transaction.
pub const UPDATES_MAX: usize = 64;
/// Context entries of one transaction.
pub const CONTEXT_ENTRIES: u16 = 919;
/// The smallest number of slots (`al-extents`) in use.
pub const AL_EXTENTS_MIN: u16 = 67;
/// The largest number of slots (`al-extents`).
pub const AL_EXTENTS_MAX: u16 = 65534;

const BLOCKS_MIN: u32 = 8;
const BLOCKS_MAX: u32 = 4_194_304;
const TYPE_UPDATE: u16 = 0;
const TYPE_INITIALIZED: u16 = 0xffff;

/// The shape of the ring.
///
/// # Invariants
///
/// `stripes * stripe_size_4k` lies in 8..=4194304 (32 KiB to 16 GiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AlLayout {
    stripes: u32,
    stripe_size_4k: u32,
}

/// Why two numbers are no shape of an activity log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlLayoutError {
    /// One of the two numbers is zero, the other is not.
    HalfZero,
    /// Fewer than 8 blocks (32 KiB).
    TooSmall,
    /// More than 4194304 blocks (16 GiB).
    TooBig,
}

impl Default for AlLayout {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl AlLayout {
    /// One stripe of 32 KiB.
    pub const DEFAULT: Self = Self {
        stripes: 1,
        stripe_size_4k: BLOCKS_MIN,
    };

    /// A shape of `stripes` times `stripe_size_4k` blocks.
    ///
    /// # Errors
    ///
    /// The product must lie in 8..=4194304.
    pub const fn new(stripes: u32, stripe_size_4k: u32) -> Result<Self, AlLayoutError> {
        let Some(blocks) = stripes.checked_mul(stripe_size_4k) else {
            return Err(AlLayoutError::TooBig);
        };
        if blocks < BLOCKS_MIN {
            return Err(AlLayoutError::TooSmall);
        }
        if blocks > BLOCKS_MAX {
            return Err(AlLayoutError::TooBig);
        }
        Ok(Self {
            stripes,
            stripe_size_4k,
        })
    }

    /// The shape as a superblock tells it: two zeros (metadata up to 8.3) mean the default.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`AlLayoutError::HalfZero`].
    pub const fn from_disk(stripes: u32, stripe_size_4k: u32) -> Result<Self, AlLayoutError> {
        match (stripes, stripe_size_4k) {
            (0, 0) => Ok(Self::DEFAULT),
            (0, _) | (_, 0) => Err(AlLayoutError::HalfZero),
            (stripes, size) => Self::new(stripes, size),
        }
    }

    /// Number of stripes, 1 or more.
    #[must_use]
    pub const fn stripes(self) -> u32 {
        self.stripes
    }

    /// Blocks in one stripe, 1 or more.
    #[must_use]
    pub const fn stripe_size_4k(self) -> u32 {
        self.stripe_size_4k
    }

    /// Blocks of the whole ring, 8..=4194304.
    #[must_use]
    pub const fn blocks(self) -> u32 {
        self.stripes.saturating_mul(self.stripe_size_4k)
    }

    /// Sectors of the whole ring, 64..=33554432.
    #[must_use]
    pub const fn sectors(self) -> u32 {
        self.blocks().saturating_mul(8)
    }

    /// The block, counted from the start of the log on disk, that holds transaction `number`.
    #[must_use]
    pub fn block_of(self, number: u32) -> u32 {
        let position = number.checked_rem(self.blocks()).unwrap_or(0);
        let stripe = position.checked_rem(self.stripes).unwrap_or(0);
        let row = position.checked_div(self.stripes).unwrap_or(0);
        stripe
            .saturating_mul(self.stripe_size_4k)
            .saturating_add(row)
    }

    /// The most slots whose set can be told by this ring with one block torn.
    #[must_use]
    pub fn extents_max(self) -> u16 {
        if self.blocks() > 72 {
            return AL_EXTENTS_MAX;
        }
        let slots = self
            .blocks()
            .saturating_sub(1)
            .saturating_mul(u32::from(CONTEXT_ENTRIES));
        u16::try_from(slots)
            .unwrap_or(AL_EXTENTS_MAX)
            .min(AL_EXTENTS_MAX)
    }

    /// The number of slots to use if `wanted` is configured.
    #[must_use]
    pub fn clip_extents(self, wanted: u32) -> u16 {
        let wanted = u16::try_from(wanted).unwrap_or(AL_EXTENTS_MAX);
        wanted.min(self.extents_max()).max(AL_EXTENTS_MIN)
    }
}

/// One log block as it lies on disk.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawTransaction {
    magic: U32,
    number: U32,
    crc: U32,
    kind: U16,
    update_count: U16,
    context_size: U16,
    context_start: U16,
    reserved: [U32; 4],
    update_slots: [U16; UPDATES_MAX],
    update_extents: [U32; UPDATES_MAX],
    context: [U32; CONTEXT_ENTRIES as usize],
}
const _: () = assert!(size_of::<RawTransaction>() == BLOCK_SIZE);

impl RawTransaction {
    /// The checksum of the block with its own checksum field taken as zero.
    fn checksum(&self) -> u32 {
        let bytes = self.as_bytes();
        let head = bytes.get(..8).unwrap_or_default();
        let tail = bytes.get(12..).unwrap_or_default();
        crc32c(crc32c(crc32c(0, head), &[0; 4]), tail)
    }
}

/// A slot of the active set gets a new extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The slot, below 65535.
    pub slot: u16,
    /// Its new extent (`sector >> 13`), or [`FREE_EXTENT`].
    pub extent: u32,
}

/// The numbers of one transaction beyond its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionHead {
    /// Serial number; wraps.
    pub number: u32,
    /// Slots of the active set (`al-extents`), 1..=65534.
    pub slots: u16,
    /// First slot of the context window, below `slots`.
    pub context_start: u16,
}

impl TransactionHead {
    /// The head of the next transaction after this one was written.
    #[must_use]
    pub const fn next(self) -> Self {
        let start = self.context_start.saturating_add(CONTEXT_ENTRIES);
        let context_start = if start >= self.slots { 0 } else { start };
        Self {
            number: self.number.wrapping_add(1),
            slots: self.slots,
            context_start,
        }
    }
}

/// Why a transaction can't be put in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// The lent slice is not exactly one block.
    NotABlock,
    /// More than [`UPDATES_MAX`] updates.
    TooManyUpdates,
}

/// Writes one update transaction into `block`.
///
/// `updates` come in the order in which the change list is walked (last added first);
/// `label` tells the extent of a slot as it was *before* these updates, `None` for a free one.
///
/// # Errors
///
/// `block` must be one block, and there may be at most [`UPDATES_MAX`] updates. The content of
/// `block` is undefined afterwards.
pub fn emit(
    block: &mut [u8],
    head: TransactionHead,
    updates: impl IntoIterator<Item = Update>,
    label: impl Fn(u16) -> Option<u32>,
) -> Result<(), EmitError> {
    let raw = RawTransaction::mut_from_bytes(block).map_err(|_| EmitError::NotABlock)?;
    raw.as_mut_bytes().fill(0xff);
    raw.magic.set(AL_MAGIC);
    raw.number.set(head.number);
    raw.crc.set(0);
    raw.kind.set(TYPE_UPDATE);
    raw.context_size.set(head.slots);
    raw.context_start.set(head.context_start);
    raw.reserved.as_mut_bytes().fill(0);

    let mut places = raw
        .update_slots
        .iter_mut()
        .zip(raw.update_extents.iter_mut());
    let mut count = 0_u16;
    for update in updates {
        let (slot, extent) = places.next().ok_or(EmitError::TooManyUpdates)?;
        slot.set(update.slot);
        extent.set(update.extent);
        count = count.saturating_add(1);
    }
    raw.update_count.set(count);

    for (slot, entry) in (head.context_start..head.slots).zip(raw.context.iter_mut()) {
        entry.set(label(slot).unwrap_or(FREE_EXTENT));
    }
    raw.crc.set(raw.checksum());
    Ok(())
}

/// Writes the block that user space fills a fresh log with; all blocks of the ring are equal.
///
/// # Errors
///
/// `block` must be one block.
pub fn emit_initialized(block: &mut [u8]) -> Result<(), EmitError> {
    let raw = RawTransaction::mut_from_bytes(block).map_err(|_| EmitError::NotABlock)?;
    raw.as_mut_bytes().fill(0);
    raw.magic.set(AL_MAGIC);
    raw.kind.set(TYPE_INITIALIZED);
    raw.crc.set(raw.checksum());
    Ok(())
}

/// What a valid block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionKind {
    /// It changes the active set.
    Update,
    /// It was written by user space and says nothing.
    Initialized,
    /// A type that 8.4 does not know.
    Unknown(u16),
}

/// Why a block is no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionError {
    /// Not exactly one block of bytes.
    NotABlock,
    /// Another magic number.
    Magic,
    /// The checksum differs: torn or damaged.
    Checksum,
}

/// A view of a log block with valid magic and checksum.
#[derive(Clone, Copy)]
pub struct Transaction<'a>(&'a RawTransaction);

impl<'a> Transaction<'a> {
    /// Checks the magic number and the checksum of `block`.
    ///
    /// # Errors
    ///
    /// Says which of the checks failed.
    pub fn parse(block: &'a [u8]) -> Result<Self, TransactionError> {
        let raw = RawTransaction::ref_from_bytes(block).map_err(|_| TransactionError::NotABlock)?;
        if raw.magic.get() != AL_MAGIC {
            return Err(TransactionError::Magic);
        }
        if raw.crc.get() != raw.checksum() {
            return Err(TransactionError::Checksum);
        }
        Ok(Self(raw))
    }

    /// Serial number; wraps, so compare with [`is_newer`].
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.0.number.get()
    }

    /// What the block is.
    #[must_use]
    pub const fn kind(&self) -> TransactionKind {
        match self.0.kind.get() {
            TYPE_UPDATE => TransactionKind::Update,
            TYPE_INITIALIZED => TransactionKind::Initialized,
            other => TransactionKind::Unknown(other),
        }
    }

    /// Slots of the active set when the block was written.
    #[must_use]
    pub const fn context_size(&self) -> u16 {
        self.0.context_size.get()
    }

    /// First slot of the context window.
    #[must_use]
    pub const fn context_start(&self) -> u16 {
        self.0.context_start.get()
    }

    /// How many of the updates count.
    #[must_use]
    pub const fn update_count(&self) -> u16 {
        self.0.update_count.get()
    }

    /// All 64 update entries, used or not.
    pub fn updates(&self) -> impl Iterator<Item = Update> + 'a {
        let raw = self.0;
        raw.update_slots
            .iter()
            .zip(raw.update_extents.iter())
            .map(|(slot, extent)| Update {
                slot: slot.get(),
                extent: extent.get(),
            })
    }

    /// All 919 context entries; slots are wider than 16 bits as a hostile start can pass the end.
    pub fn context(&self) -> impl Iterator<Item = (u32, u32)> + 'a {
        let start = u32::from(self.context_start());
        (start..u32::MAX).zip(self.0.context.iter().map(|extent| extent.get()))
    }
}

/// True if transaction `a` was written after `b`, across a wrap of the numbers.
#[must_use]
pub const fn is_newer(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 31
}

#[cfg(test)]
mod tests;
