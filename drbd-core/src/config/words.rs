// SPDX-License-Identifier: GPL-2.0
//! Settings that are one of a few words.

use super::option::EnumValue;
use crate::genl::{Attr, AttrError, Kind, Overflow, Value, Writer};
use crate::state;

macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $number:literal $word:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $( $(#[$vmeta])* $variant, )* }

        impl $name {
            /// All words with their numbers, in the order of stock's help.
            pub const WORDS: &'static [EnumValue] =
                &[$( EnumValue { word: $word, number: $number }, )*];

            /// The number in messages.
            #[must_use]
            pub const fn to_number(self) -> u32 {
                match self { $( Self::$variant => $number, )* }
            }

            /// The value with this number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $( $number => Some(Self::$variant), )* _ => None }
            }

            /// The word in configuration files.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl Value for $name {
            const KIND: Kind = Kind::U32;

            fn get(attr: &Attr<'_>) -> Result<Self, AttrError> {
                Self::from_number(u32::get(attr)?).ok_or(AttrError::Value(attr.number()))
            }

            fn put(&self, raw_type: u16, writer: &mut Writer<'_>) -> Result<(), Overflow> {
                self.to_number().put(raw_type, writer)
            }

            fn from_default(number: i64) -> Self {
                u32::try_from(number).ok().and_then(Self::from_number).unwrap_or_default()
            }

            fn number(&self) -> Option<i64> {
                Some(i64::from(self.to_number()))
            }
        }
    };
}

words! {
    /// When a write counts as complete.
    pub enum Protocol {
        /// On the local disk and in the send buffer.
        A = 1 "A";
        /// On the local disk and in the peer's memory.
        B = 2 "B";
        /// On both disks.
        #[default]
        C = 3 "C";
    }
}

words! {
    /// What a failed request of the backing device does.
    pub enum OnIoError {
        /// Report it upwards; on a read, ask the peer.
        PassOn = 0 "pass_on";
        /// Run the local-io-error handler, then detach.
        CallLocalIoError = 1 "call-local-io-error";
        /// Detach and go on with the peer's disk.
        #[default]
        Detach = 2 "detach";
    }
}

words! {
    /// What must happen to a lost peer.
    pub enum Fencing {
        /// Nothing.
        #[default]
        DontCare = 0 "dont-care";
        /// Outdate its disk by the fence-peer handler.
        ResourceOnly = 1 "resource-only";
        /// The same, and suspend IO until that is done.
        ResourceAndStonith = 2 "resource-and-stonith";
    }
}

impl From<Fencing> for state::Fencing {
    fn from(fencing: Fencing) -> Self {
        match fencing {
            Fencing::DontCare => Self::DontCare,
            Fencing::ResourceOnly => Self::ResourceOnly,
            Fencing::ResourceAndStonith => Self::ResourceAndStonith,
        }
    }
}

words! {
    /// Split brain, no Primary.
    pub enum AfterSb0p {
        /// Drop the connection.
        #[default]
        Disconnect = 0 "disconnect";
        /// Discard the node that was Primary last.
        DiscardYoungerPrimary = 1 "discard-younger-primary";
        /// Discard the node that was Primary first.
        DiscardOlderPrimary = 2 "discard-older-primary";
        /// Discard the node that changed nothing.
        DiscardZeroChanges = 3 "discard-zero-changes";
        /// Discard the node that changed less.
        DiscardLeastChanges = 4 "discard-least-changes";
        /// Discard this node.
        DiscardLocal = 5 "discard-local";
        /// Discard the peer.
        DiscardRemote = 6 "discard-remote";
    }
}

words! {
    /// Split brain, one Primary.
    pub enum AfterSb1p {
        /// Drop the connection.
        #[default]
        Disconnect = 0 "disconnect";
        /// What `after-sb-0pri` says, if it discards the Secondary.
        Consensus = 7 "consensus";
        /// Discard the Secondary.
        DiscardSecondary = 8 "discard-secondary";
        /// As consensus; if the Primary loses, call the handler there.
        CallPriLostAfterSb = 9 "call-pri-lost-after-sb";
        /// What `after-sb-0pri` says, whatever the Primary is doing.
        ViolentlyAs0p = 10 "violently-as0p";
    }
}

words! {
    /// Split brain, both Primary.
    pub enum AfterSb2p {
        /// Drop the connection.
        #[default]
        Disconnect = 0 "disconnect";
        /// What `after-sb-0pri` says; call the handler on the loser.
        CallPriLostAfterSb = 9 "call-pri-lost-after-sb";
        /// What `after-sb-0pri` says, whatever the loser is doing.
        ViolentlyAs0p = 10 "violently-as0p";
    }
}

words! {
    /// The direction of resync contradicts the roles.
    pub enum RrConflict {
        /// Drop the connection.
        #[default]
        Disconnect = 0 "disconnect";
        /// Call the pri-lost handler on the Primary that loses.
        CallPriLost = 9 "call-pri-lost";
        /// Resync anyway.
        Violently = 10 "violently";
    }
}

words! {
    /// IO while no data can be reached.
    pub enum OnNoData {
        /// Fails.
        #[default]
        IoError = 0 "io-error";
        /// Waits.
        SuspendIo = 1 "suspend-io";
    }
}

impl From<OnNoData> for state::OnNoData {
    fn from(policy: OnNoData) -> Self {
        match policy {
            OnNoData::IoError => Self::IoError,
            OnNoData::SuspendIo => Self::SuspendIo,
        }
    }
}

words! {
    /// A full send queue.
    pub enum OnCongestion {
        /// Applications wait.
        #[default]
        Block = 0 "block";
        /// Stop replicating, mark out of sync, resync later.
        PullAhead = 1 "pull-ahead";
        /// Drop the connection.
        Disconnect = 2 "disconnect";
    }
}

words! {
    /// Which side serves reads.
    pub enum ReadBalancing {
        /// This node if it can.
        #[default]
        PreferLocal = 0 "prefer-local";
        /// The peer if it can.
        PreferRemote = 1 "prefer-remote";
        /// In turn.
        RoundRobin = 2 "round-robin";
        /// The one with fewer requests waiting.
        LeastPending = 3 "least-pending";
        /// The peer while the local disk is congested.
        WhenCongestedRemote = 4 "when-congested-remote";
        /// By address, in stripes of 32 KiB.
        Striping32K = 5 "32K-striping";
        /// By address, in stripes of 64 KiB.
        Striping64K = 6 "64K-striping";
        /// By address, in stripes of 128 KiB.
        Striping128K = 7 "128K-striping";
        /// By address, in stripes of 256 KiB.
        Striping256K = 8 "256K-striping";
        /// By address, in stripes of 512 KiB.
        Striping512K = 9 "512K-striping";
        /// By address, in stripes of 1 MiB.
        Striping1M = 10 "1M-striping";
    }
}
