// SPDX-License-Identifier: GPL-2.0
//! Deliberate bugs: the checker is under test, too.
//!
//! Each is a small lie of the part that plays the kernel, or of what stands between it and
//! drbd-core. With one of them switched on the simulator has to find something wrong within
//! 1,000,000 steps.

macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $name:ident,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Bug { $($(#[doc = $text])+ $name,)* }

        impl Bug {
            /// All of them.
            pub(crate) const ALL: &'static [Bug] = &[$(Bug::$name,)*];

            /// Its name and what it does.
            pub(crate) fn text(self) -> (&'static str, &'static str) {
                match self { $(Bug::$name => (stringify!($name), concat!($($text,)*)),)* }
            }
        }
    };
}

bugs! {
    /// A write that only one disk has does not set its bit.
    SkipBit,
    /// A write without peer does not set its bit before it goes to the disk.
    SkipBitAlone,
    /// A P_NEG_ACK does not set the bit.
    SkipBitOnNegAck,
    /// A write is answered when it is handed to the disk.
    AckEarly,
    /// Protocol C is answered when the packet is handed to the socket.
    AckWhenSent,
    /// The peer acknowledges a write before its disk has it.
    PeerAcksEarly,
    /// A resync block is called in sync when it was asked for.
    ClearWhenAsked,
    /// The source clears the bit when it sends the block.
    ClearWhenSent,
    /// A partly covered block is called in sync.
    ClearPartly,
    /// A new generation gets the same UUID each time.
    ReuseUuid,
    /// The superblock is not written, though the machine asked for it.
    ForgetSuperblock,
    /// The bitmap is written before each superblock, though the machine did not ask for it.
    UnaskedEffect,
    /// The superblock is written without flush and FUA.
    SuperblockInCache,
    /// The bitmap is not written.
    ForgetBitmap,
    /// The bitmap is not flushed after it was written.
    BitmapInCache,
    /// A bitmap with cleared bits is written before the data is flushed.
    BitmapBeforeData,
    /// The full-sync flag is not set while all bits are being set.
    NoFullSyncFlag,
    /// All bits are to be set, and are not.
    ForgetAllBits,
    /// A barrier is acknowledged without flushing the disks.
    ForgetFlush,
    /// Writes of the next epoch do not wait for the flush.
    NextEpochEarly,
    /// An epoch is not closed when one of its writes is answered.
    EpochNotClosed,
    /// The target does not lock the range it has asked for.
    NoInterlockTarget,
    /// The source does not lock the range while it reads.
    NoInterlockSource,
    /// A write of the peer does not wait for a resync block.
    NoInterlockPeerWrite,
    /// Overlapping writes of the application do not wait for each other.
    NoOverlap,
    /// The failed blocks of a resync are not counted.
    ForgetFailed,
    /// An I/O error of a write of the peer is acknowledged as a success.
    HideError,
    /// An I/O error of the own disk is not told to the machine.
    HideLocalError,
    /// A read ignores the bits of a SyncTarget.
    ReadDirty,
    /// Completions are not withheld while I/O is suspended.
    IgnoreFreeze,
    /// The bitmap of the peer is not merged.
    ForgetMerge,
    /// Requests are forgotten when the link is lost, without marking their blocks.
    LoseQuietly,
    /// Received writes are dropped when the link is lost.
    DropReceived,
    /// An empty flush does not wait for the peer.
    FlushAlone,
    /// An empty flush does not flush the own disk.
    FlushNothing,
    /// A read of the application that failed locally is answered with what was there.
    AnswerTwice,
}

impl Bug {
    /// The bug of this name.
    pub(crate) fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.text().0 == name)
    }
}
