// SPDX-License-Identifier: GPL-2.0
//! What both nodes agree on before anything else: protocol version and feature flags.
//!
//! docs/protocol.md, "Agreeing on a version".

use core::fmt;
use core::ops::BitAnd;

use zerocopy::big_endian::{U32, U64};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{put, view, WireError};

/// A protocol version: 86 to 101, or 80 as long as none is agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion(u8);

impl ProtocolVersion {
    /// Assumed until the features packet of the peer has been read.
    pub const INITIAL: ProtocolVersion = ProtocolVersion(80);
    /// The lowest version that we speak.
    pub const MIN: ProtocolVersion = ProtocolVersion(86);
    /// The highest version that we speak.
    pub const MAX: ProtocolVersion = ProtocolVersion(101);

    /// A version that we speak; `None` outside of 86 to 101.
    #[must_use]
    pub const fn new(number: u32) -> Option<ProtocolVersion> {
        if number < Self::MIN.0 as u32 || number > Self::MAX.0 as u32 {
            return None;
        }
        Some(ProtocolVersion(number.to_le_bytes()[0]))
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// From 87: P_PROTOCOL names the data-integrity algorithm.
    #[must_use]
    pub const fn has_integrity_alg(self) -> bool {
        self.0 >= 87
    }

    /// From 88: P_SYNC_PARAM names the verify algorithm; online verify exists.
    #[must_use]
    pub const fn has_verify(self) -> bool {
        self.0 >= 88
    }

    /// From 89: P_SYNC_PARAM89 and checksum-based resync.
    #[must_use]
    pub const fn has_csums(self) -> bool {
        self.0 >= 89
    }

    /// From 90: compressed bitmaps, verify from any sector, the skip-initial-sync flag.
    #[must_use]
    pub const fn has_compressed_bitmap(self) -> bool {
        self.0 >= 90
    }

    /// From 91: a lost P_SYNC_UUID or end of resync is repaired in the UUID comparison.
    #[must_use]
    pub const fn has_uuid_repair(self) -> bool {
        self.0 >= 91
    }

    /// From 92: the dry-run flag of P_PROTOCOL.
    #[must_use]
    pub const fn has_dry_run(self) -> bool {
        self.0 >= 92
    }

    /// From 93: a resize may ask for no resync of the new space.
    #[must_use]
    pub const fn has_resize_without_resync(self) -> bool {
        self.0 >= 93
    }

    /// From 95: 8-byte headers with a 32-bit length, FUA and FLUSH flags, controller values.
    #[must_use]
    pub const fn has_big_packets(self) -> bool {
        self.0 >= 95
    }

    /// From 96: Ahead and Behind, P_OUT_OF_SYNC, P_RS_CANCEL, a resync that the target ends.
    #[must_use]
    pub const fn has_ahead_behind(self) -> bool {
        self.0 >= 96
    }

    /// 97 to 99 and from 101: a verify run may stop early.
    #[must_use]
    pub const fn has_verify_stop_sector(self) -> bool {
        self.0 >= 97 && self.0 != 100
    }

    /// From 100: 16-byte headers, several volumes, acks wanted by flag, connection-wide state
    /// changes, P_RETRY_WRITE, P_PROTOCOL_UPDATE.
    #[must_use]
    pub const fn has_volumes(self) -> bool {
        self.0 >= 100
    }

    /// The largest write in bytes that this peer takes, given the `max_bio_size` of its P_SIZES.
    ///
    /// docs/protocol.md, "Limits of a request". At least 4 KiB and at most 1 MiB, and never more
    /// than a header of this version can announce, whatever the peer says. The caller also keeps to
    /// the limits of its own backing device.
    #[must_use]
    pub fn write_size_max(self, peer_max_bio_size: u32) -> u32 {
        let peer = peer_max_bio_size.clamp(4 << 10, 1 << 20);
        match self.0 {
            0..=93 => peer.min(32 << 10),
            94 => 32 << 10,
            95..=99 => peer.max(128 << 10),
            _ => 1 << 20,
        }
    }

    /// `own` as P_SIZES may tell it to a peer of this version, in bytes.
    #[must_use]
    pub fn announced_bio_size(self, own: u32) -> u32 {
        match self.0 {
            0..=94 => own.min(32 << 10),
            95..=99 => own.min(128 << 10),
            _ => own,
        }
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The feature flags of P_CONNECTION_FEATURES (docs/protocol.md, "Feature flags").
///
/// A value from a peer may hold bits without a name; agreeing with our own flags drops them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FeatureFlags(u32);

impl FeatureFlags {
    /// Nothing.
    pub const NONE: FeatureFlags = FeatureFlags(0);
    /// P_TRIM is understood.
    pub const TRIM: FeatureFlags = FeatureFlags(1);
    /// P_RS_THIN_REQ and P_RS_DEALLOCATED are understood.
    pub const THIN_RESYNC: FeatureFlags = FeatureFlags(2);
    /// P_SIZES has the queue limits; discards up to 128 MiB; P_WSAME.
    pub const WSAME: FeatureFlags = FeatureFlags(4);
    /// P_ZEROES is understood, and P_TRIM no longer means it.
    pub const WZEROES: FeatureFlags = FeatureFlags(8);
    /// What this implementation announces: nothing, until discards and their kin are built.
    ///
    /// The formats of all four are here; the data path behind them is not. A flag joins this set
    /// together with its implementation.
    pub const SUPPORTED: FeatureFlags = FeatureFlags::NONE;

    /// The flags of a 32-bit word.
    #[must_use]
    pub const fn from_bits(bits: u32) -> FeatureFlags {
        FeatureFlags(bits)
    }

    /// The 32-bit word.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// All flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: FeatureFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn union(self, other: FeatureFlags) -> FeatureFlags {
        FeatureFlags(self.0 | other.0)
    }
}

impl BitAnd for FeatureFlags {
    type Output = FeatureFlags;

    fn bitand(self, rhs: FeatureFlags) -> FeatureFlags {
        FeatureFlags(self.0 & rhs.0)
    }
}

impl fmt::Display for FeatureFlags {
    /// `0xf TRIM THIN_RESYNC WRITE_SAME WRITE_ZEROES`; `none` behind the number if none is named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)?;
        let mut named = false;
        for (flag, name) in [
            (Self::TRIM, " TRIM"),
            (Self::THIN_RESYNC, " THIN_RESYNC"),
            (Self::WSAME, " WRITE_SAME"),
            (Self::WZEROES, " WRITE_ZEROES"),
        ] {
            if self.contains(flag) {
                f.write_str(name)?;
                named = true;
            }
        }
        if named {
            Ok(())
        } else {
            f.write_str(" none")
        }
    }
}

/// The outcome of the features exchange: what every later format depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The agreed version (`apv`).
    pub version: ProtocolVersion,
    /// The flags that both nodes announced.
    pub features: FeatureFlags,
}

impl Agreed {
    /// Before the features exchange.
    pub const INITIAL: Agreed = Agreed {
        version: ProtocolVersion::INITIAL,
        features: FeatureFlags::NONE,
    };

    /// P_SIZES carries the queue limits.
    #[must_use]
    pub const fn has_queue_limits(&self) -> bool {
        self.features.contains(FeatureFlags::WSAME)
    }

    /// The largest discard in bytes that may be sent.
    #[must_use]
    pub const fn discard_size_max(&self) -> u32 {
        if self.features.contains(FeatureFlags::WSAME) {
            128 << 20
        } else {
            4 << 20
        }
    }
}

/// P_CONNECTION_FEATURES as laid out.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct View {
    protocol_min: U32,
    feature_flags: U32,
    protocol_max: U32,
    pad: U32,
    reserved: [U64; 7],
}
const _: () = assert!(size_of::<View>() == ConnectionFeatures::SIZE);

/// P_CONNECTION_FEATURES: what a node offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFeatures {
    /// Lowest version that the sender speaks.
    pub protocol_min: u32,
    /// Highest version; a peer that says 0 means `protocol_min`.
    pub protocol_max: u32,
    /// What the sender can do.
    pub features: FeatureFlags,
}

impl ConnectionFeatures {
    /// Bytes on the wire.
    pub const SIZE: usize = 72;

    /// Our own offer.
    pub const OWN: ConnectionFeatures = ConnectionFeatures {
        protocol_min: ProtocolVersion::MIN.0 as u32,
        protocol_max: ProtocolVersion::MAX.0 as u32,
        features: FeatureFlags::SUPPORTED,
    };

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let v: &View = view(bytes)?;
        let min = v.protocol_min.get();
        let max = v.protocol_max.get();
        Ok(ConnectionFeatures {
            protocol_min: min,
            protocol_max: if max == 0 { min } else { max },
            features: FeatureFlags(v.feature_flags.get()),
        })
    }

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`WireError::NoRoom`].
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, WireError> {
        put(
            &View {
                protocol_min: self.protocol_min.into(),
                feature_flags: self.features.0.into(),
                protocol_max: self.protocol_max.into(),
                pad: U32::ZERO,
                reserved: [U64::ZERO; 7],
            },
            out,
        )
    }

    /// What this node, offering `self`, and a peer offering `peer` speak from now on.
    ///
    /// # Errors
    ///
    /// [`WireError::NoCommonVersion`]; no retry can help then.
    pub fn agree(&self, peer: &ConnectionFeatures) -> Result<Agreed, WireError> {
        if self.protocol_max < peer.protocol_min || self.protocol_min > peer.protocol_max {
            return Err(WireError::NoCommonVersion);
        }
        let number = self.protocol_max.min(peer.protocol_max);
        Ok(Agreed {
            version: ProtocolVersion::new(number).ok_or(WireError::NoCommonVersion)?,
            features: self.features & peer.features,
        })
    }
}
