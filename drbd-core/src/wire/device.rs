// SPDX-License-Identifier: GPL-2.0
//! What nodes tell each other about a volume: sizes, limits, generation identifiers.
//!
//! docs/protocol.md, "Sizes", "Generation identifiers".

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{put, view, Agreed, WireError};
use crate::uuid::UuidFlags;

/// `p_sizes` without the queue limits
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SizesView {
    d_size: U64,
    u_size: U64,
    c_size: U64,
    max_bio_size: U32,
    queue_order_type: U16,
    dds_flags: U16,
}
const _: () = assert!(size_of::<SizesView>() == 32);

/// `o_qlim`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct LimitsView {
    physical_block_size: U32,
    logical_block_size: U32,
    alignment_offset: U32,
    io_min: U32,
    io_opt: U32,
    discard_enabled: u8,
    discard_zeroes_data: u8,
    write_same_capable: u8,
    pad: u8,
}
const _: () = assert!(size_of::<LimitsView>() == 24);

/// The limits of the sender's request queue; part of P_SIZES if [`Agreed::has_queue_limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes.
    pub physical_block_size: u32,
    /// Bytes.
    pub logical_block_size: u32,
    /// Bytes.
    pub alignment_offset: u32,
    /// Smallest preferred request in bytes.
    pub io_min: u32,
    /// Best request size in bytes.
    pub io_opt: u32,
    /// The device takes discards.
    pub discard_enabled: bool,
    /// Discarded blocks read as zeroes.
    pub discard_zeroes_data: bool,
    /// The device takes write-same.
    pub write_same_capable: bool,
}

/// P_SIZES
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Usable size of the sender's backing disk in sectors; 0 if it has none.
    pub d_size: u64,
    /// Configured limit in sectors; 0 if there is none.
    pub u_size: u64,
    /// Current size of the device in sectors; 0 asks for an answer (online resize).
    pub c_size: u64,
    /// The largest request that the sender takes, in bytes.
    pub max_bio_size: u32,
    /// Resize even to less than the current size.
    pub dds_forced: bool,
    /// The new space needs no resync.
    pub dds_no_resync: bool,
    /// Present exactly if [`Agreed::has_queue_limits`].
    pub limits: Option<QueueLimits>,
}

impl Sizes {
    const DDS_FORCED: u16 = 1;
    const DDS_NO_RESYNC: u16 = 2;

    /// Bytes on the wire.
    #[must_use]
    pub const fn size(agreed: &Agreed) -> usize {
        if agreed.has_queue_limits() {
            56
        } else {
            32
        }
    }

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8], agreed: &Agreed) -> Result<Sizes, WireError> {
        let v: &SizesView = view(bytes)?;
        let limits = if agreed.has_queue_limits() {
            let tail = bytes
                .get(size_of::<SizesView>()..)
                .ok_or(WireError::Truncated)?;
            let q: &LimitsView = view(tail)?;
            Some(QueueLimits {
                physical_block_size: q.physical_block_size.get(),
                logical_block_size: q.logical_block_size.get(),
                alignment_offset: q.alignment_offset.get(),
                io_min: q.io_min.get(),
                io_opt: q.io_opt.get(),
                discard_enabled: q.discard_enabled != 0,
                discard_zeroes_data: q.discard_zeroes_data != 0,
                write_same_capable: q.write_same_capable != 0,
            })
        } else {
            None
        };
        Ok(Sizes {
            d_size: v.d_size.get(),
            u_size: v.u_size.get(),
            c_size: v.c_size.get(),
            max_bio_size: v.max_bio_size.get(),
            dds_forced: v.dds_flags.get() & Self::DDS_FORCED != 0,
            dds_no_resync: v.dds_flags.get() & Self::DDS_NO_RESYNC != 0,
            limits,
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`]; [`WireError::BadValue`] if the limits are there without having been
    /// agreed, or the reverse.
    pub fn emit(&self, agreed: &Agreed, out: &mut [u8]) -> Result<usize, WireError> {
        if self.limits.is_some() != agreed.has_queue_limits() {
            return Err(WireError::BadValue {
                what: "packet with the agreed queue limits",
                value: u32::from(self.limits.is_some()),
            });
        }
        let forced = if self.dds_forced { Self::DDS_FORCED } else { 0 };
        let no_resync = if self.dds_no_resync {
            Self::DDS_NO_RESYNC
        } else {
            0
        };
        let head = put(
            &SizesView {
                d_size: self.d_size.into(),
                u_size: self.u_size.into(),
                c_size: self.c_size.into(),
                max_bio_size: self.max_bio_size.into(),
                queue_order_type: U16::ZERO,
                dds_flags: (forced | no_resync).into(),
            },
            out,
        )?;
        let Some(q) = self.limits else {
            return Ok(head);
        };
        let tail = out.get_mut(head..).ok_or(WireError::NoRoom)?;
        let tail = put(
            &LimitsView {
                physical_block_size: q.physical_block_size.into(),
                logical_block_size: q.logical_block_size.into(),
                alignment_offset: q.alignment_offset.into(),
                io_min: q.io_min.into(),
                io_opt: q.io_opt.into(),
                discard_enabled: q.discard_enabled.into(),
                discard_zeroes_data: q.discard_zeroes_data.into(),
                write_same_capable: q.write_same_capable.into(),
                pad: 0,
            },
            tail,
        )?;
        Ok(head.saturating_add(tail))
    }
}

/// `p_uuids`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct UuidsView {
    current: U64,
    bitmap: U64,
    history: [U64; 2],
    bits_set: U64,
    flags: U64,
}
const _: () = assert!(size_of::<UuidsView>() == Uuids::SIZE);

/// P_UUIDS
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuids {
    /// Current UUID.
    pub current: u64,
    /// Bitmap UUID.
    pub bitmap: u64,
    /// History, newest first.
    pub history: [u64; 2],
    /// Number of bits set in the sender's bitmap.
    pub bits_set: u64,
    /// What else the comparison needs.
    pub flags: UuidFlags,
}

impl Uuids {
    /// Bytes on the wire.
    pub const SIZE: usize = 48;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Uuids, WireError> {
        let v: &UuidsView = view(bytes)?;
        Ok(Uuids {
            current: v.current.get(),
            bitmap: v.bitmap.get(),
            history: v.history.map(U64::get),
            bits_set: v.bits_set.get(),
            flags: UuidFlags::from_bits(v.flags.get()),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &UuidsView {
                current: self.current.into(),
                bitmap: self.bitmap.into(),
                history: self.history.map(U64::new),
                bits_set: self.bits_set.into(),
                flags: self.flags.bits().into(),
            },
            out,
        )
    }
}

/// `p_rs_uuid`
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SyncUuidView {
    uuid: U64,
}
const _: () = assert!(size_of::<SyncUuidView>() == SyncUuid::SIZE);

/// P_SYNC_UUID: the sync target's new current UUID; the resync begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncUuid {
    /// The UUID.
    pub uuid: u64,
}

impl SyncUuid {
    /// Bytes on the wire.
    pub const SIZE: usize = 8;

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<SyncUuid, WireError> {
        let v: &SyncUuidView = view(bytes)?;
        Ok(SyncUuid { uuid: v.uuid.get() })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &SyncUuidView {
                uuid: self.uuid.into(),
            },
            out,
        )
    }
}
