// SPDX-License-Identifier: GPL-2.0
//! What follows a stored state: work that may sleep, done later and strictly in order.
//!
//! The list is made when the work is about to be done, from the states remembered at the commit
//! and from the facts of that moment. docs/states.md, "After-change actions", numbers the rows.

use super::commit::wants_new_uuid;
use super::connection::Summary;
use super::list::List;
use super::names::{Conn, Disk, Role};
use super::sanitise::primary_without_data;
use super::word::{Change, DeviceState};

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
    /// The local part is given up; it may never end.
    AbortDiskIo,
    /// The peer's part is given up: marked out of sync, completed with the local result.
    ConnectionLostWhilePending,
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
    /// Thaw the resource: a connection-wide soft change, `susp_nod = 0`.
    ThawNoData,
    /// As [`AfterEffect::ThawNoData`], `susp_fen = 0`.
    ThawFencing,
    /// On all volumes: no new current UUID is owed any more.
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
    /// of that moment, [`after_full_sync_set`].
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

/// What [`after_actions`] has to know besides old and new state, as it is when the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AfterFacts {
    /// The volume's state now; later than the new state of the commit, or equal.
    pub now: DeviceState,
    /// What the volumes of the connection add up to now.
    pub summary: Summary,
    /// The agreed protocol version.
    pub apv: u32,
    /// The bitmap UUID is 0 now.
    pub bitmap_uuid_zero: bool,
    /// The backing device still exists.
    pub disk_exists: bool,
    /// An I/O error was noted (the caller fetches and clears the mark when the disk enters
    /// Failed) and `on-io-error` says to call the helper.
    pub io_error_helper: bool,
    /// A detach was forced (fetched and cleared likewise).
    pub force_detach: bool,
    /// The device grew while it was negotiating (`RESYNC_AFTER_NEG`).
    pub resync_after_negotiation: bool,
}

/// The peer understands a verify that stops at a sector.
#[must_use]
pub const fn has_stop_sector(apv: u32) -> bool {
    apv >= 97 && apv != 100
}

/// The list under construction.
struct Actions<'a> {
    old: &'a DeviceState,
    new: &'a DeviceState,
    facts: &'a AfterFacts,
    list: AfterActions,
    /// The volume's state now, as changed by the actions listed so far.
    now: DeviceState,
    bitmap_uuid_zero: bool,
}

/// What to do after the commit of `old` → `new`, in order.
#[must_use]
pub fn after_actions(old: &DeviceState, new: &DeviceState, facts: &AfterFacts) -> AfterActions {
    let mut a = Actions {
        old,
        new,
        facts,
        list: List::new(),
        now: facts.now,
        bitmap_uuid_zero: facts.bitmap_uuid_zero,
    };
    a.news();
    a.thaw();
    a.sync_begins();
    a.data_lost();
    a.tell_peer();
    a.disk_goes();
    a.sync_ends();
    a.list
}

impl Actions<'_> {
    fn on(&mut self, condition: bool, row: Row, effects: &[AfterEffect]) {
        if condition {
            for effect in effects {
                self.list.push(AfterAction {
                    row,
                    effect: *effect,
                });
            }
        }
    }

    fn have_disk(&self) -> bool {
        self.facts.now.disk.is_attached()
    }

    fn arrives(&self, conn: Conn) -> bool {
        self.old.conn != conn && self.new.conn == conn
    }

    fn entered(&self, disk: Disk) -> bool {
        self.old.disk != disk && self.new.disk == disk
    }

    /// A1 to A4.
    fn news(&mut self) {
        let (old, new) = (self.old, self.new);
        let good = |s: &DeviceState| s.disk == Disk::UpToDate && s.pdsk == Disk::UpToDate;
        self.on(true, Row::A1, &[AfterEffect::Notify]);
        self.on(
            !good(old) && good(new),
            Row::A2,
            &[AfterEffect::ClearCrashedPrimary],
        );
        self.on(true, Row::A3, &[AfterEffect::SendOldEvent]);
        self.on(
            !primary_without_data(old) && primary_without_data(new),
            Row::A4,
            &[AfterEffect::Help(Helper::PriOnInconDegr)],
        );
    }

    /// A5 and A6.
    fn thaw(&mut self) {
        let (old, new, sum) = (self.old, self.new, &self.facts.summary);
        let all_connected = sum.lowest_conn >= Conn::Connected;
        let mut what = None;
        if old.conn < Conn::Connected && all_connected {
            what = Some(LogEvent::Resend);
        }
        if matches!(old.disk, Disk::Attaching | Disk::Negotiating)
            && sum.lowest_disk == Disk::UpToDate
        {
            what = Some(LogEvent::RestartFrozenDiskIo);
        }
        if let (true, true, Some(event)) = (new.susp_nod, self.now.susp_nod, what) {
            self.on(
                true,
                Row::A5,
                &[AfterEffect::TransferLog(event), AfterEffect::ThawNoData],
            );
            self.now.susp_nod = false;
        }
        if new.susp_fen && self.now.susp_fen && all_connected {
            self.on(
                true,
                Row::A6,
                &[
                    AfterEffect::ForgetOwedUuids,
                    AfterEffect::TransferLog(LogEvent::Resend),
                    AfterEffect::ThawFencing,
                ],
            );
            self.now.susp_fen = false;
        }
    }

    /// A7 to A9.
    fn sync_begins(&mut self) {
        let (old, new) = (self.old, self.new);
        let becomes_source = !old.conn.is_sync_source() && new.conn.is_sync_source();
        if becomes_source && self.facts.apv >= 96 && self.have_disk() {
            // Must precede any P_STATE of this change.
            self.on(true, Row::A7, &[AfterEffect::SendSyncUuid]);
            self.bitmap_uuid_zero = false;
        }
        self.on(
            old.pdsk == Disk::Diskless && new.pdsk > Disk::Diskless && new.pdsk != Disk::DUnknown,
            Row::A8,
            &[
                AfterEffect::ResetResync,
                AfterEffect::SendUuids,
                AfterEffect::SendState,
            ],
        );
        self.on(
            self.arrives(Conn::WFBitMapS) && self.facts.now.conn == Conn::WFBitMapS,
            Row::A9,
            &[AfterEffect::QueueBitmapSend],
        );
    }

    /// A10 to A13.
    fn data_lost(&mut self) {
        let (old, new) = (self.old, self.new);
        if wants_new_uuid(old, new) {
            if self.have_disk() && self.bitmap_uuid_zero {
                if self.now.is_suspended() {
                    self.on(true, Row::A10, &[AfterEffect::OweNewUuid]);
                } else {
                    self.on(
                        true,
                        Row::A10,
                        &[AfterEffect::NewCurrentUuid, AfterEffect::SendUuids],
                    );
                    self.bitmap_uuid_zero = false;
                }
            }
            self.on(true, Row::A10, &[AfterEffect::NewUuidSettled]);
        }
        let only_data_here = new.pdsk < Disk::Inconsistent && self.have_disk();
        if only_data_here
            && old.peer != Role::Primary
            && new.peer == Role::Primary
            && new.disk >= Disk::UpToDate
            && self.bitmap_uuid_zero
        {
            self.on(
                true,
                Row::A11,
                &[AfterEffect::NewCurrentUuid, AfterEffect::SendUuids],
            );
            self.bitmap_uuid_zero = false;
        }
        self.on(
            only_data_here && old.peer == Role::Primary && new.peer == Role::Secondary,
            Row::A12,
            &[AfterEffect::WriteBitmap],
        );
        self.on(
            old.role == Role::Primary
                && new.role == Role::Secondary
                && self.facts.now.conn <= Conn::Connected
                && self.have_disk(),
            Row::A13,
            &[AfterEffect::WriteBitmap],
        );
    }

    /// A14 to A17.
    fn tell_peer(&mut self) {
        let (old, new) = (self.old, self.new);
        let connected = new.conn >= Conn::Connected;
        self.on(
            connected && old.disk == Disk::Attaching && new.disk == Disk::Negotiating,
            Row::A14,
            &[
                AfterEffect::SendSizes,
                AfterEffect::SendUuids,
                AfterEffect::SendState,
            ],
        );
        self.on(
            connected && (old.aftr_isp != new.aftr_isp || old.user_isp != new.user_isp),
            Row::A15,
            &[AfterEffect::SendState],
        );
        self.on(
            !old.is_paused() && new.is_paused(),
            Row::A15b,
            &[AfterEffect::PauseDependents],
        );
        self.on(
            old.conn == Conn::WFReportParams && connected,
            Row::A16,
            &[AfterEffect::SendState],
        );
        self.on(
            self.arrives(Conn::Ahead),
            Row::A16b,
            &[AfterEffect::SendState],
        );
        self.on(
            self.arrives(Conn::StartingSyncT) || self.arrives(Conn::StartingSyncS),
            Row::A17,
            &[AfterEffect::QueueSetAllBits],
        );
    }

    /// A18 to A20.
    fn disk_goes(&mut self) {
        let (old, new, facts) = (self.old, self.new, self.facts);
        let connected = new.conn >= Conn::Connected;
        if self.entered(Disk::Failed) {
            if facts.disk_exists {
                self.on(
                    facts.io_error_helper,
                    Row::A18,
                    &[AfterEffect::Help(Helper::LocalIoError)],
                );
                self.on(
                    facts.force_detach,
                    Row::A18,
                    &[AfterEffect::TransferLog(LogEvent::AbortDiskIo)],
                );
                self.on(connected, Row::A18, &[AfterEffect::SendState]);
                self.on(
                    true,
                    Row::A18,
                    &[AfterEffect::DropResyncExtents, AfterEffect::SyncMetadata],
                );
            }
            self.on(true, Row::A18, &[AfterEffect::ReleaseDisk]);
        }
        if self.entered(Disk::Diskless) {
            self.on(connected, Row::A19, &[AfterEffect::SendState]);
            self.on(true, Row::A19, &[AfterEffect::ReleaseDisk]);
        }
        self.on(
            old.disk == Disk::UpToDate && new.disk == Disk::Inconsistent && connected,
            Row::A20,
            &[AfterEffect::SendState],
        );
    }

    /// A21 to A27.
    fn sync_ends(&mut self) {
        let (old, new, facts) = (self.old, self.new, self.facts);
        if new.disk > Disk::Negotiating
            && new.pdsk > Disk::Negotiating
            && facts.resync_after_negotiation
        {
            self.on(true, Row::A21, &[AfterEffect::ClearResyncAfterNegotiation]);
            self.on(
                new.conn == Conn::Connected,
                Row::A21,
                &[AfterEffect::ResyncAfterGrow],
            );
        }
        self.on(
            (old.conn > Conn::Connected && new.conn <= Conn::Connected)
                || (old.peer_isp && !new.peer_isp)
                || (old.user_isp && !new.user_isp),
            Row::A22,
            &[AfterEffect::ResumeDependents],
        );
        self.on(
            old.disk < Disk::UpToDate
                && old.conn >= Conn::SyncSource
                && new.conn == Conn::Connected,
            Row::A23,
            &[AfterEffect::SendState],
        );
        self.on(
            old.conn == Conn::VerifyS && new.conn == Conn::Connected && has_stop_sector(facts.apv),
            Row::A24,
            &[AfterEffect::SendState],
        );
        self.on(
            old.conn > Conn::Connected
                && old.conn < Conn::Ahead
                && (new.conn == Conn::Connected || new.conn >= Conn::Ahead)
                && self.have_disk(),
            Row::A25,
            &[AfterEffect::QueueWriteBitmapCopies],
        );
        self.on(
            new.disk == Disk::Diskless
                && new.conn == Conn::StandAlone
                && new.role == Role::Secondary
                && old.aftr_isp != new.aftr_isp,
            Row::A26,
            &[AfterEffect::ResumeDependents],
        );
        self.on(true, Row::A27, &[AfterEffect::SyncMetadata]);
    }
}

/// What to do once all bits are set for a full sync that the administrator asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullSyncStep {
    /// Request this change of the volume.
    Request(Change),
    /// Start the resync as source.
    StartAsSource,
    /// The state has moved on: nothing.
    Nothing,
}

/// The step after [`AfterEffect::QueueSetAllBits`]: `ok` tells whether the bitmap was written,
/// `now` is the connection state of that moment.
#[must_use]
pub const fn after_full_sync_set(ok: bool, now: Conn) -> FullSyncStep {
    match (ok, now) {
        (false, _) => FullSyncStep::Request(Change::conn(Conn::Connected)),
        (true, Conn::StartingSyncT) => FullSyncStep::Request(Change::conn(Conn::WFSyncUUID)),
        (true, Conn::StartingSyncS) => FullSyncStep::StartAsSource,
        (true, _) => FullSyncStep::Nothing,
    }
}

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

/// As many as can ever come together.
pub type ConnectionActions = List<ConnectionEffect, 8>;

/// What to do after a change of the whole connection from `old` (the connection's own state
/// before), with `summary` of the volumes after it and `susp_fen` of the resource.
#[must_use]
pub fn connection_actions(old: Conn, summary: &Summary, susp_fen: bool) -> ConnectionActions {
    use ConnectionEffect as E;
    let mut list = List::new();
    let conn = summary.highest_conn;
    if old == Conn::StandAlone && conn == Conn::Unconnected {
        list.push(E::StartReceiver);
    }
    if old == Conn::Disconnecting && conn == Conn::StandAlone {
        list.push(E::DropConfiguration);
    }
    if susp_fen && summary.highest_pdsk <= Disk::Outdated {
        list.push(E::MakeOwedUuids);
        list.push(E::TransferLog(LogEvent::ConnectionLostWhilePending));
        list.push(E::ThawFencing);
    }
    list.push(E::SyncMetadata);
    list
}
