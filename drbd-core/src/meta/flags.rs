// SPDX-License-Identifier: GPL-2.0
//! The flag word of the superblock.

use core::ops::{BitAnd, BitOr};

/// A set of superblock flags (`MDF_*`). Unknown bits are carried along unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MdFlags(u32);

impl MdFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The local disk was better than Inconsistent.
    pub const CONSISTENT: Self = Self(1);
    /// This node was Primary, or held the only disk of a Primary peer.
    pub const PRIMARY_IND: Self = Self(1 << 1);
    /// The connection was beyond WFReportParams.
    pub const CONNECTED_IND: Self = Self(1 << 2);
    /// The bitmap on disk has to be taken as all ones.
    pub const FULL_SYNC: Self = Self(1 << 3);
    /// The local disk was better than Outdated.
    pub const WAS_UP_TO_DATE: Self = Self(1 << 4);
    /// The peer's disk was Inconsistent or Outdated.
    pub const PEER_OUT_DATED: Self = Self(1 << 5);
    /// The in-memory mark "crashed primary" was set.
    pub const CRASHED_PRIMARY: Self = Self(1 << 6);
    /// The activity log has nothing to apply. Only user space sets it.
    pub const AL_CLEAN: Self = Self(1 << 7);
    /// The activity log is not written, or a relayout was in progress.
    pub const AL_DISABLED: Self = Self(1 << 8);

    /// The flags that follow from the state of the device.
    const FROM_STATE: Self = Self(0x77);

    /// The set with exactly these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits as they stand on disk.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// True if every flag of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// This set with `other` in or out, as `on` says.
    #[must_use]
    pub const fn set_to(self, other: Self, on: bool) -> Self {
        if on {
            self.with(other)
        } else {
            self.without(other)
        }
    }

    /// What a state change makes of the flags: the six that tell the state are recomputed,
    /// [`AL_CLEAN`](Self::AL_CLEAN) goes, all others stay. docs/metadata.md, flags.
    #[must_use]
    pub const fn after_state_change(self, now: FlagSources) -> Self {
        self.without(Self::FROM_STATE)
            .without(Self::AL_CLEAN)
            .set_to(Self::CONSISTENT, now.disk_above_inconsistent)
            .set_to(Self::WAS_UP_TO_DATE, now.disk_above_outdated)
            .set_to(
                Self::PRIMARY_IND,
                now.primary || (now.peer_primary && now.peer_disk_below_inconsistent),
            )
            .set_to(Self::CONNECTED_IND, now.connection_above_report_params)
            .set_to(Self::PEER_OUT_DATED, now.peer_disk_inconsistent_or_outdated)
            .set_to(Self::CRASHED_PRIMARY, now.crashed_primary)
    }
}

impl BitOr for MdFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitAnd for MdFlags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What [`MdFlags::after_state_change`] looks at: the *new* state of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagSources {
    /// Local disk > Inconsistent.
    pub disk_above_inconsistent: bool,
    /// Local disk > Outdated.
    pub disk_above_outdated: bool,
    /// Own role is Primary.
    pub primary: bool,
    /// The peer's role is Primary.
    pub peer_primary: bool,
    /// Peer disk < Inconsistent.
    pub peer_disk_below_inconsistent: bool,
    /// Connection > WFReportParams.
    pub connection_above_report_params: bool,
    /// Peer disk is Inconsistent or Outdated.
    pub peer_disk_inconsistent_or_outdated: bool,
    /// The mark "crashed primary" is set.
    pub crashed_primary: bool,
}

#[cfg(test)]
mod tests {
    use super::{FlagSources, MdFlags};

    #[test]
    fn every_source_drives_its_own_flag() {
        let base = FlagSources::default();
        for (sources, flag) in [
            (
                FlagSources {
                    disk_above_inconsistent: true,
                    ..base
                },
                MdFlags::CONSISTENT,
            ),
            (
                FlagSources {
                    disk_above_outdated: true,
                    ..base
                },
                MdFlags::WAS_UP_TO_DATE,
            ),
            (
                FlagSources {
                    primary: true,
                    ..base
                },
                MdFlags::PRIMARY_IND,
            ),
            (
                FlagSources {
                    connection_above_report_params: true,
                    ..base
                },
                MdFlags::CONNECTED_IND,
            ),
            (
                FlagSources {
                    peer_disk_inconsistent_or_outdated: true,
                    ..base
                },
                MdFlags::PEER_OUT_DATED,
            ),
            (
                FlagSources {
                    crashed_primary: true,
                    ..base
                },
                MdFlags::CRASHED_PRIMARY,
            ),
            (
                FlagSources {
                    peer_primary: true,
                    ..base
                },
                MdFlags::NONE,
            ),
            (
                FlagSources {
                    peer_primary: true,
                    peer_disk_below_inconsistent: true,
                    ..base
                },
                MdFlags::PRIMARY_IND,
            ),
        ] {
            assert_eq!(
                MdFlags::NONE.after_state_change(sources),
                flag,
                "{sources:?}"
            );
        }
    }

    #[test]
    fn a_state_change_clears_al_clean_and_keeps_foreign_bits() {
        let before = MdFlags::from_bits(0xffff_ffff);
        let after = before.after_state_change(FlagSources::default());
        assert_eq!(after.bits(), 0xffff_ff08);
    }

    #[test]
    fn contains_wants_every_flag() {
        let both = MdFlags::CONSISTENT | MdFlags::FULL_SYNC;
        assert!(both.contains(MdFlags::FULL_SYNC));
        assert!(!MdFlags::FULL_SYNC.contains(both));
        assert_eq!(both & MdFlags::FULL_SYNC, MdFlags::FULL_SYNC);
    }
}
