// SPDX-License-Identifier: GPL-2.0
//! What may have to be done after a change of state, as values.

use super::list::List;

/// A user-space helper of one volume, by its handler name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Helper {
    /// Primary, and neither side has UpToDate data.
    PriOnInconDegr,
    /// The disk failed and the policy says to call.
    LocalIoError,
    /// The handshake found a split brain; called before any automatic recovery.
    InitialSplitBrain,
    /// The split brain was not solved; the connection is dropped.
    SplitBrain,
    /// An after-split-brain policy wants this Primary to lose, and demotion failed.
    PriLostAfterSb,
    /// This Primary would become sync target; the connection is dropped.
    PriLost,
    /// A verify has found blocks that differ.
    OutOfSync,
}

impl Helper {
    /// The handler's name, as drbdadm knows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Helper::PriOnInconDegr => "pri-on-incon-degr",
            Helper::LocalIoError => "local-io-error",
            Helper::InitialSplitBrain => "initial-split-brain",
            Helper::SplitBrain => "split-brain",
            Helper::PriLostAfterSb => "pri-lost-after-sb",
            Helper::PriLost => "pri-lost",
            Helper::OutOfSync => "out-of-sync",
        }
    }
}

/// What happens to the requests in the transfer log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogEvent {
    /// Send again what was not acknowledged.
    Resend,
    /// Submit again what the lost disk left.
    RestartFrozenDiskIo,
    /// The peer's part is given up: marked out of sync, completed with the local result.
    ConnectionLostWhilePending,
    /// I/O is not suspended any more: answers that were withheld are given.
    Thaw,
}

/// One thing to do after a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterEffect {
    /// Tell the listeners of new-style events.
    Notify,
    /// Clear the mark "crashed primary", the own one and that in the remembered UUID flags of
    /// the peer.
    ClearCrashedPrimary,
    /// Send the old-style event.
    SendOldEvent,
    /// Run a helper and wait for it.
    Help(Helper),
    /// Let an event happen to every request of the transfer log.
    TransferLog(LogEvent),
    /// The local part of the volume's requests is given up; it may never end.
    AbortDiskIo,
    /// Thaw the resource: a connection-wide soft change, `susp_nod = 0`.
    ThawNoData,
    /// As [`AfterEffect::ThawNoData`], `susp_fen = 0`.
    ThawFencing,
    /// On all volumes: no new current UUID is owed any more, since the peer is back. Where it is
    /// back without a disk, the UUID is made now.
    ForgetOwedUuids,
    /// This volume owes a new current UUID; it is made when I/O thaws.
    OweNewUuid,
    /// Make a new current UUID, the old one goes to the bitmap slot, durably.
    NewCurrentUuid,
    /// Completions held at the commit may go on
    /// ([`CommitEffect::HoldCompletions`](super::CommitEffect::HoldCompletions)).
    NewUuidSettled,
    /// Make the sync UUID, durably, and send it (P_SYNC_UUID).
    SendSyncUuid,
    /// Send P_UUIDS.
    SendUuids,
    /// Send P_SIZES.
    SendSizes,
    /// Send P_STATE with the state remembered at the commit.
    SendState,
    /// Counters of the resync to 0, and forget its extents.
    ResetResync,
    /// Forget the extents of the resync.
    DropResyncExtents,
    /// Queue the sending of the bitmap; new application I/O waits meanwhile.
    QueueBitmapSend,
    /// Queue: durable full-sync flag, all bits set and written, flag cleared. Then, by the state
    /// of that moment, [`after_full_sync_set`](super::after_full_sync_set).
    QueueSetAllBits,
    /// Write the changed pages of the bitmap.
    WriteBitmap,
    /// Queue the writing of copies of the bitmap's changed pages.
    QueueWriteBitmapCopies,
    /// Pause the resync of every device of the host that has to wait for another.
    PauseDependents,
    /// Let the resync go on of every device of the host that need not wait any more.
    ResumeDependents,
    /// Write the superblock if it is dirty.
    SyncMetadata,
    /// Drop the reference taken at the commit.
    ReleaseDisk,
    /// The mark "resync after negotiation" is used up.
    ClearResyncAfterNegotiation,
    /// Resync what an online growth added.
    ResyncAfterGrow,
}

/// Rows of the table of after-change actions, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the rows are told in docs/states.md")]
#[rustfmt::skip]
pub enum Row {
    A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A15b, A16, A16b, A17, A18,
    A19, A20, A21, A22, A23, A24, A25, A26, A27,
}

/// One action and the row it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AfterAction {
    /// For traces and tests.
    pub row: Row,
    /// What to do.
    pub effect: AfterEffect,
}

/// As many as can ever come together.
pub type AfterActions = List<AfterAction, 40>;

/// One thing to do after a change of the whole connection, once the volumes' work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionEffect {
    /// Start the receiver.
    StartReceiver,
    /// Tell listeners that the connection is gone; drop addresses, network configuration and
    /// digests.
    DropConfiguration,
    /// On every volume that owes one: make a new current UUID, durably.
    MakeOwedUuids,
    /// Let an event happen to every request of the transfer log.
    TransferLog(LogEvent),
    /// Thaw the resource: a connection-wide soft change, `susp_fen = 0`.
    ThawFencing,
    /// Write the superblocks of all volumes that are dirty.
    SyncMetadata,
}
