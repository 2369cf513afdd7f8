// SPDX-License-Identifier: GPL-2.0
//! Deliberate bugs: the checker is under test, too.
//!
//! Each is a small lie of the part that plays the kernel, or of what stands between it and
//! drbd-core. With one of them switched on the simulator has to find something wrong within the
//! stated number of steps, well above what it took with each of five words for the seeds.
//! Those without a number took longer, or were not found.

macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $name:ident $(within $steps:literal)?,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Bug { $($(#[doc = $text])+ $name,)* }

        impl Bug {
            /// All of them.
            pub(crate) const ALL: &'static [Bug] = &[$(Bug::$name,)*];

            /// The steps within which it has to be found, if it has to.
            pub(crate) fn bound(self) -> Option<u64> {
                match self { $(Bug::$name => { None::<u64>$(.or(Some($steps)))? })* }
            }

            /// Its name and what it does.
            pub(crate) fn text(self) -> (&'static str, &'static str) {
                match self { $(Bug::$name => (stringify!($name), concat!($($text,)*)),)* }
            }
        }
    };
}

bugs! {
    /// A write that only one disk has does not set its bit.
    SkipBit within 250_000,
    /// A write without peer does not set its bit before it goes to the disk.
    SkipBitAlone within 10_000_000,
    /// A P_NEG_ACK does not set the bit.
    SkipBitOnNegAck within 500_000,
    /// A write is answered when it is handed to the disk.
    AckEarly,
    /// Protocol C is answered when the packet is handed to the socket.
    AckWhenSent within 250_000,
    /// The peer acknowledges a write before its disk has it.
    PeerAcksEarly within 250_000,
    /// A resync block is called in sync when it was asked for.
    ClearWhenAsked within 5_000_000,
    /// The source clears the bit when it sends the block.
    ClearWhenSent within 15_000_000,
    /// A partly covered block is called in sync.
    ClearPartly within 500_000,
    /// A new generation gets the same UUID each time.
    ReuseUuid within 500_000,
    /// The superblock is not written, though the machine asked for it.
    ForgetSuperblock within 250_000,
    /// The bitmap is written before each superblock, though the machine did not ask for it.
    UnaskedEffect within 250_000,
    /// The superblock is written without flush and FUA.
    SuperblockInCache within 250_000,
    /// The bitmap is not written.
    ForgetBitmap within 2_000_000,
    /// The bitmap is not flushed after it was written.
    BitmapInCache,
    /// A bitmap with cleared bits is written before the data is flushed.
    BitmapBeforeData within 20_000_000,
    /// The full-sync flag is not set while all bits are being set.
    NoFullSyncFlag,
    /// All bits are to be set, and are not.
    ForgetAllBits within 250_000,
    /// A barrier is acknowledged without flushing the disks.
    ForgetFlush within 250_000,
    /// Writes of the next epoch do not wait for the flush.
    NextEpochEarly within 250_000,
    /// An epoch is not closed when one of its writes is answered.
    EpochNotClosed within 250_000,
    /// The target does not lock the range it has asked for.
    NoInterlockTarget within 1_000_000,
    /// The source does not lock the range while it reads.
    NoInterlockSource within 1_000_000,
    /// A write of the peer does not wait for a resync block.
    NoInterlockPeerWrite within 1_000_000,
    /// Overlapping writes of the application do not wait for each other.
    NoOverlap within 250_000,
    /// The failed blocks of a resync are not counted.
    ForgetFailed,
    /// An I/O error of a write of the peer is acknowledged as a success.
    HideError within 1_000_000,
    /// An I/O error of the own disk is not told to the machine.
    HideLocalError within 2_000_000,
    /// A read ignores the bits of a SyncTarget.
    ReadDirty within 2_000_000,
    /// Completions are not withheld while I/O is suspended.
    IgnoreFreeze within 3_000_000,
    /// The bitmap of the peer is not merged.
    ForgetMerge within 250_000,
    /// Requests are forgotten when the link is lost, without marking their blocks.
    LoseQuietly within 250_000,
    /// Received writes are dropped when the link is lost.
    DropReceived,
    /// An empty flush does not wait for the peer.
    FlushAlone within 500_000,
    /// An empty flush does not flush the own disk.
    FlushNothing within 250_000,
    /// A read of the application that failed locally is answered with what was there.
    AnswerTwice,
}

impl Bug {
    /// The bug of this name.
    pub(crate) fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.text().0 == name)
    }
}
