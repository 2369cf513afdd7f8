// SPDX-License-Identifier: GPL-2.0
//! Return codes in the header of replies, and the sentences that go with them.
//!
//! The word holds either an [`ErrCode`] (101 and up) or the result of a state change (4 and down,
//! [`crate::state`]); which one depends on the operation, see docs/interface.md.

use crate::state::{code_text, reply_code, Refusal, StateReturn};
use core::fmt;

/// The return code of a reply as it stands in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetCode(pub i32);

impl RetCode {
    /// Success without state change (`NO_ERROR`).
    pub const NO_ERROR: Self = Self(101);

    /// Whether the operation succeeded: `NO_ERROR`, or any positive result of a state change.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == Self::NO_ERROR.0 || (self.0 > 0 && self.0 < 101)
    }

    /// The sentence for the user; `None` for codes that are not known.
    #[must_use]
    pub fn text(self) -> Option<&'static str> {
        if self.0 > 100 {
            ErrCode::from_number(self.0).map(ErrCode::text)
        } else {
            code_text(self.0)
        }
    }
}

impl From<ErrCode> for RetCode {
    fn from(code: ErrCode) -> Self {
        Self(code.number())
    }
}

impl From<StateReturn> for RetCode {
    fn from(result: StateReturn) -> Self {
        Self(reply_code(result))
    }
}

impl From<Refusal> for RetCode {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.code())
    }
}

macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $number:literal, $text:expr; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum $name { $( $(#[$vmeta])* $variant = $number, )* }

        impl $name {
            /// All codes, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number in the header.
            #[must_use]
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The code with this number.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// The sentence for the user. May have several lines, and may end in a line feed.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

codes! {
    /// Results of configuration (`ERR_*`). Numbers 106, 109, 110, 113, 117, 128 and 136 were used
    /// by older drivers.
    pub enum ErrCode {
        /// `NO_ERROR`
        NoError = 101, "No further Information available.";
        /// `ERR_LOCAL_ADDR`
        LocalAddr = 102, "Local address(port) already in use.";
        /// `ERR_PEER_ADDR`
        PeerAddr = 103, "Remote address(port) already in use.";
        /// `ERR_OPEN_DISK`
        OpenDisk = 104, "Can not open backing device.";
        /// `ERR_OPEN_MD_DISK`
        OpenMdDisk = 105, "Can not open meta device.";
        /// `ERR_DISK_NOT_BDEV`
        DiskNotBdev = 107, "Lower device is not a block device.";
        /// `ERR_MD_NOT_BDEV`
        MdNotBdev = 108, "Meta device is not a block device.";
        /// `ERR_DISK_TOO_SMALL`
        DiskTooSmall = 111, "Low.dev. smaller than requested DRBD-dev. size.";
        /// `ERR_MD_DISK_TOO_SMALL`
        MdDiskTooSmall = 112, "Meta device too small.";
        /// `ERR_BDCLAIM_DISK`
        BdclaimDisk = 114, "Lower device is already claimed. This usually means it is mounted.";
        /// `ERR_BDCLAIM_MD_DISK`
        BdclaimMdDisk = 115, "Meta device is already claimed. This usually means it is mounted.";
        /// `ERR_MD_IDX_INVALID`
        MdIdxInvalid = 116, "Lower device / meta device / index combination invalid.";
        /// `ERR_IO_MD_DISK`
        IoMdDisk = 118, "IO error(s) occurred during initial access to meta-data.\n";
        /// `ERR_MD_INVALID`
        MdInvalid = 119, "No valid meta-data signature found.\n\n\
            \t==> Use 'drbdadm create-md res' to initialize meta-data area. <==\n";
        /// `ERR_AUTH_ALG`
        AuthAlg = 120, "The 'cram-hmac-alg' you specified is not known in the kernel. \
            (Maybe you need to modprobe it, or modprobe hmac?)";
        /// `ERR_AUTH_ALG_ND`
        AuthAlgNd = 121, "The 'cram-hmac-alg' you specified is not a digest.";
        /// `ERR_NOMEM`
        NoMem = 122, "kmalloc() failed. Out of memory?";
        /// `ERR_DISCARD_IMPOSSIBLE`
        DiscardImpossible = 123, "--discard-my-data not allowed when primary.";
        /// `ERR_DISK_CONFIGURED`
        DiskConfigured = 124, "Device is attached to a disk (use detach first)";
        /// `ERR_NET_CONFIGURED`
        NetConfigured = 125, "Device has a net-config (use disconnect first)";
        /// `ERR_MANDATORY_TAG`: attributes that are understood and wrong
        MandatoryTag = 126, "UnknownMandatoryTag";
        /// `ERR_MINOR_INVALID`
        MinorInvalid = 127, "Device minor not allocated";
        /// `ERR_INTR`
        Intr = 129, "Interrupted by Signal";
        /// `ERR_RESIZE_RESYNC`
        ResizeResync = 130, "Resize not allowed during resync.";
        /// `ERR_NO_PRIMARY`
        NoPrimary = 131, "Need one Primary node to resize.";
        /// `ERR_RESYNC_AFTER`
        ResyncAfter = 132, "The resync-after minor number is invalid";
        /// `ERR_RESYNC_AFTER_CYCLE`
        ResyncAfterCycle = 133, "This would cause a resync-after dependency cycle";
        /// `ERR_PAUSE_IS_SET`
        PauseIsSet = 134, "Sync-pause flag is already set";
        /// `ERR_PAUSE_IS_CLEAR`
        PauseIsClear = 135, "Sync-pause flag is already cleared";
        /// `ERR_PACKET_NR`
        PacketNr = 137,
            "Kernel does not know how to handle your request.\nMaybe API_VERSION mismatch?";
        /// `ERR_NO_DISK`
        NoDisk = 138, "Device does not have a disk-config";
        /// `ERR_NOT_PROTO_C`
        NotProtoC = 139, "Protocol C required";
        /// `ERR_NOMEM_BITMAP`
        NoMemBitmap = 140, "vmalloc() failed. Out of memory?";
        /// `ERR_INTEGRITY_ALG`
        IntegrityAlg = 141, "The 'data-integrity-alg' you specified is not known in the kernel. \
            (Maybe you need to modprobe it, or modprobe hmac?)";
        /// `ERR_INTEGRITY_ALG_ND`
        IntegrityAlgNd = 142, "The 'data-integrity-alg' you specified is not a digest.";
        /// `ERR_CPU_MASK_PARSE`
        CpuMaskParse = 143, "Invalid cpu-mask.";
        /// `ERR_CSUMS_ALG`
        CsumsAlg = 144, "CSUMSAlgNotAvail";
        /// `ERR_CSUMS_ALG_ND`
        CsumsAlgNd = 145, "CSUMSAlgNotDigest";
        /// `ERR_VERIFY_ALG`
        VerifyAlg = 146, "VERIFYAlgNotAvail";
        /// `ERR_VERIFY_ALG_ND`
        VerifyAlgNd = 147, "VERIFYAlgNotDigest";
        /// `ERR_CSUMS_RESYNC_RUNNING`
        CsumsResyncRunning = 148, "Can not change csums-alg while resync is in progress";
        /// `ERR_VERIFY_RUNNING`
        VerifyRunning = 149, "Can not change verify-alg while online verify runs";
        /// `ERR_DATA_NOT_CURRENT`
        DataNotCurrent = 150, "Can only attach to the data we lost last (see kernel log).";
        /// `ERR_CONNECTED`
        Connected = 151, "Need to be StandAlone";
        /// `ERR_PERM`
        Perm = 152, "Permission denied. CAP_SYS_ADMIN necessary";
        /// `ERR_NEED_APV_93`
        NeedApv93 = 153, "Protocol version 93 required to use --assume-clean";
        /// `ERR_STONITH_AND_PROT_A`
        StonithAndProtA = 154,
            "Fencing policy resource-and-stonith only with prot B or C allowed";
        /// `ERR_CONG_NOT_PROTO_A`
        CongNotProtoA = 155, "on-congestion policy pull-ahead only with prot A allowed";
        /// `ERR_PIC_AFTER_DEP`
        PicAfterDep = 156, "Sync-pause flag is already cleared.\n\
            Note: Resync pause caused by a local resync-after dependency.";
        /// `ERR_PIC_PEER_DEP`
        PicPeerDep = 157, "Sync-pause flag is already cleared.\n\
            Note: Resync pause caused by the peer node.";
        /// `ERR_RES_NOT_KNOWN`
        ResNotKnown = 158, "Unknown resource";
        /// `ERR_RES_IN_USE`
        ResInUse = 159, "Resource still in use (delete all minors first)";
        /// `ERR_MINOR_CONFIGURED`
        MinorConfigured = 160, "Minor still configured (down it first)";
        /// `ERR_MINOR_OR_VOLUME_EXISTS`
        MinorOrVolumeExists = 161, "Minor or volume exists already (delete it first)";
        /// `ERR_INVALID_REQUEST`
        InvalidRequest = 162, "Invalid configuration request";
        /// `ERR_NEED_APV_100`
        NeedApv100 = 163, "Prot version 100 required in order to change\n\
            these network options while connected";
        /// `ERR_NEED_ALLOW_TWO_PRI`
        NeedAllowTwoPri = 164, "Can not clear allow_two_primaries as long as\n\
            there a primaries on both sides";
        /// `ERR_MD_UNCLEAN`
        MdUnclean = 165, "Unclean meta-data found.\nYou need to 'drbdadm apply-al res'\n";
        /// `ERR_MD_LAYOUT_CONNECTED`
        MdLayoutConnected = 166, "DRBD need to be connected for online MD layout change\n";
        /// `ERR_MD_LAYOUT_TOO_BIG`
        MdLayoutTooBig = 167, "Resulting AL area too big\n";
        /// `ERR_MD_LAYOUT_TOO_SMALL`
        MdLayoutTooSmall = 168, "Resulting AL are too small\n";
        /// `ERR_MD_LAYOUT_NO_FIT`
        MdLayoutNoFit = 169, "Resulting AL does not fit into available meta data space\n";
        /// `ERR_IMPLICIT_SHRINK`
        ImplicitShrink = 170, "Implicit device shrinking not allowed. See kernel log.\n";
    }
}
