// SPDX-License-Identifier: GPL-2.0
//! How large the device is: the rules that make one size out of several wishes.
//!
//! All sizes are in sectors; 0 means "unknown" or "not configured". The sizes come from the own
//! disk, the peer (`P_SIZES`), the superblock (last agreed) and the configuration.
//! docs/metadata.md, resize; docs/protocol.md, P_SIZES.

use super::layout::{Layout, LayoutError};

/// The wishes that decide the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeInputs {
    /// Usable size of the own disk ([`Layout::usable_sectors`]); 0 without disk.
    pub own: u64,
    /// Usable size of the peer's disk; 0 if unknown or diskless.
    pub peer: u64,
    /// The size in the superblock.
    pub last_agreed: u64,
    /// The configured size.
    pub user: u64,
    /// A resize was forced while not connected: the peer is taken to have as much room.
    pub assume_peer_has_space: bool,
}

/// What [`SizeInputs::agreed`] makes of the wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreedSize {
    /// The size of the device; 0 if nobody knows one.
    pub size: u64,
    /// The configured size is larger than that; worth a log line.
    pub user_too_large: bool,
}

impl SizeInputs {
    /// The size that follows from the wishes.
    #[must_use]
    pub fn agreed(self) -> AgreedSize {
        let peer = if self.assume_peer_has_space {
            self.own
        } else {
            self.peer
        };
        let possible = match (known(self.own), known(peer)) {
            (Some(own), Some(peer)) => own.min(peer),
            (own, peer) => match known(self.last_agreed) {
                Some(agreed) => agreed
                    .min(own.unwrap_or(agreed))
                    .min(peer.unwrap_or(agreed)),
                None => own.or(peer).unwrap_or(0),
            },
        };
        match known(self.user) {
            Some(user) if user <= possible => AgreedSize {
                size: user,
                user_too_large: false,
            },
            Some(_) => AgreedSize {
                size: possible,
                user_too_large: true,
            },
            None => AgreedSize {
                size: possible,
                user_too_large: false,
            },
        }
    }
}

fn known(size: u64) -> Option<u64> {
    Some(size).filter(|size| *size != 0)
}

/// The configured size during the first exchange of a connection: the smaller one of both nodes.
#[must_use]
pub fn user_size_at_connect(own: u64, peer: u64) -> u64 {
    match (known(own), known(peer)) {
        (Some(own), Some(peer)) => own.min(peer),
        (own, peer) => own.or(peer).unwrap_or(0),
    }
}

/// How the size compares with the last agreed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeChange {
    /// The same size.
    Unchanged,
    /// Smaller than agreed.
    Shrunk,
    /// Larger than agreed: the new part needs a resync, unless it is assumed clean.
    Grew,
    /// The first agreed size.
    GrewFromZero,
}

/// Why a size can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// A relayout of the activity log would shrink the device without being told to (170).
    ImplicitShrink,
    /// The configured size does not fit beside the metadata (169).
    NoSpaceForMetadata,
    /// The bitmap on disk is too small for the size; the old size stays (140).
    BitmapTooSmall,
}

impl SizeError {
    /// The `drbd_ret_code` that the administrator gets to see.
    #[must_use]
    pub const fn ret_code(self) -> i32 {
        match self {
            Self::ImplicitShrink => 170,
            Self::NoSpaceForMetadata => 169,
            Self::BitmapTooSmall => 140,
        }
    }
}

/// What is known of the device before its size is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRequest {
    /// The wishes.
    pub inputs: SizeInputs,
    /// The largest size that the bitmap on disk can describe, where it will be.
    pub bitmap_limit: u64,
    /// The command changes the shape of the activity log.
    pub al_relayout: bool,
    /// The new part is known to be equal on both nodes (`--assume-clean`).
    pub assume_clean: bool,
}

/// What the owner of the device has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizePlan {
    /// The size of device and bitmap from now on.
    pub size: u64,
    /// The configured size was larger and is ignored.
    pub user_too_large: bool,
    /// Compared with the last agreed size.
    pub change: SizeChange,
    /// Bits of the new part start as out of sync.
    pub set_new_bits: bool,
}

impl SizeRequest {
    /// Decides the size.
    ///
    /// # Errors
    ///
    /// See [`SizeError`]; nothing may be changed then.
    pub fn plan(&self) -> Result<SizePlan, SizeError> {
        let agreed = self.inputs.agreed();
        let last_agreed = self.inputs.last_agreed;
        if agreed.size < last_agreed {
            if self.inputs.user > agreed.size {
                return Err(SizeError::NoSpaceForMetadata);
            }
            if self.al_relayout && self.inputs.user == 0 {
                return Err(SizeError::ImplicitShrink);
            }
        }
        if agreed.size > self.bitmap_limit {
            return Err(SizeError::BitmapTooSmall);
        }
        let change = match agreed.size.cmp(&last_agreed) {
            core::cmp::Ordering::Equal => SizeChange::Unchanged,
            core::cmp::Ordering::Less => SizeChange::Shrunk,
            core::cmp::Ordering::Greater if last_agreed == 0 => SizeChange::GrewFromZero,
            core::cmp::Ordering::Greater => SizeChange::Grew,
        };
        Ok(SizePlan {
            size: agreed.size,
            user_too_large: agreed.user_too_large,
            change,
            set_new_bits: !self.assume_clean,
        })
    }
}

/// What a disk has room for whose devices have got another size, and where its metadata goes then.
/// Offsets and sizes as in [`Superblock`](super::Superblock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Usable size ([`Layout::usable_sectors`]).
    pub usable: u64,
    /// The largest size that the bitmap can describe.
    pub bitmap_limit: u64,
    /// Size of the whole metadata area.
    pub md_size_sect: u32,
    /// Place of the activity log.
    pub al_offset: i32,
    /// Place of the bitmap.
    pub bm_offset: i32,
    /// These are other places on the device than up to now.
    pub moves: bool,
}

impl Room {
    /// The room on devices of so many sectors, of a disk with metadata laid out as `old` says.
    ///
    /// # Errors
    ///
    /// There is no layout for such a device.
    pub fn of(old: &Layout, md_capacity: u64, data_capacity: u64) -> Result<Self, LayoutError> {
        let new = Layout::compute(old.index(), md_capacity, old.al())?;
        Ok(Self {
            usable: new.usable_sectors(data_capacity),
            bitmap_limit: new.bitmap_limit(),
            md_size_sect: new.md_size_sect(),
            al_offset: new.al_offset(),
            bm_offset: new.bm_offset(),
            moves: new != *old,
        })
    }
}

/// What a node without a disk makes of the peer's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisklessSize {
    /// Nothing to learn.
    Keep,
    /// The device takes this size.
    Adopt(u64),
    /// It would shrink under a Primary: end the connection.
    Refuse,
}

/// The sizes in a `P_SIZES` packet, for [`diskless_size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSizes {
    /// Size of the peer's DRBD device (`c_size`).
    pub current: u64,
    /// The peer's configured size (`u_size`).
    pub user: u64,
    /// Usable size of the peer's disk (`d_size`); 0: the peer is diskless.
    pub disk: u64,
}

/// The size of a device without local disk after a `P_SIZES` packet.
#[must_use]
pub fn diskless_size(own_current: u64, primary: bool, peer: PeerSizes) -> DisklessSize {
    let candidate = known(peer.current)
        .or(known(peer.user))
        .or(known(peer.disk));
    match candidate {
        None => DisklessSize::Keep,
        Some(size) if size == own_current => DisklessSize::Keep,
        Some(_) if own_current != 0 && peer.disk == 0 => DisklessSize::Keep,
        Some(size) if size < own_current && primary => DisklessSize::Refuse,
        Some(size) => DisklessSize::Adopt(size),
    }
}

/// The size tests of an attach, before the disk becomes part of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachSizes {
    /// The wishes, with the superblock's last agreed size.
    pub inputs: SizeInputs,
    /// Present size of the DRBD device.
    pub current: u64,
    /// The superblock says that the data is consistent.
    pub consistent: bool,
}

impl AttachSizes {
    /// Checks the own disk against the configured, the present and the last agreed size.
    ///
    /// # Errors
    ///
    /// The `drbd_ret_code`: 111 disk too small, 170 implicit shrink.
    pub fn check(&self) -> Result<(), i32> {
        if self.inputs.own < self.inputs.user || self.inputs.own < self.current {
            return Err(111);
        }
        let size = self.inputs.agreed().size;
        if self.consistent && size < self.inputs.last_agreed && size != self.inputs.user {
            return Err(170);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
