// SPDX-License-Identifier: GPL-2.0
//! How large the device is: the rules that make one size out of several wishes.
//!
//! All sizes are in sectors; 0 means "unknown" or "not configured". The sizes come from the own
//! disk, the peer (`P_SIZES`), the superblock (last agreed) and the configuration.
//! docs/metadata.md, resize; docs/protocol.md, P_SIZES.

use super::layout::Layout;
use super::SECTORS_PER_BIT;

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
    /// The places that the superblock on disk describes.
    pub old_layout: Layout,
    /// The places for the present size of the metadata device and the wanted activity log.
    pub new_layout: Layout,
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
    /// Superblock, log and bitmap have to be written anew at [`SizeRequest::new_layout`], under
    /// the protection of the flags FULL_SYNC and AL_DISABLED.
    pub rewrite: bool,
    /// The bitmap lies elsewhere now: write all its pages, not only the changed ones.
    pub moved: bool,
}

impl SizeRequest {
    /// Decides the size and what has to be rewritten.
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
        let bits = agreed.size.div_ceil(SECTORS_PER_BIT);
        if bits > self.new_layout.bm_sectors().saturating_mul(4096) {
            return Err(SizeError::BitmapTooSmall);
        }
        let change = match agreed.size.cmp(&last_agreed) {
            core::cmp::Ordering::Equal => SizeChange::Unchanged,
            core::cmp::Ordering::Less => SizeChange::Shrunk,
            core::cmp::Ordering::Greater if last_agreed == 0 => SizeChange::GrewFromZero,
            core::cmp::Ordering::Greater => SizeChange::Grew,
        };
        let (old, new) = (&self.old_layout, &self.new_layout);
        let moved = old.superblock_sector() != new.superblock_sector()
            || old.md_size_sect() != new.md_size_sect();
        Ok(SizePlan {
            size: agreed.size,
            user_too_large: agreed.user_too_large,
            change,
            set_new_bits: !self.assume_clean,
            rewrite: change != SizeChange::Unchanged || moved || self.al_relayout,
            moved: moved || old.bm_offset() != new.bm_offset(),
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
