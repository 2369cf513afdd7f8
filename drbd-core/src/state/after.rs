// SPDX-License-Identifier: GPL-2.0
//! What follows a stored state: work that may sleep, done later and strictly in order.
//!
//! The list is made when the work is about to be done, from the states remembered at the commit
//! and from the facts of that moment. docs/states.md, "After-change actions", numbers the rows.

use super::commit::wants_new_uuid;
use super::connection::Summary;
use super::effect::{
    AfterAction, AfterActions, AfterEffect, ConnectionEffect, Helper, LogEvent, Row,
};
use super::list::List;
use super::names::{Conn, Disk, Role};
use super::sanitise::primary_without_data;
use super::word::{Change, DeviceState};

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
    /// [`peer_goes_at_rest`], and the bitmap has blocks that the peer's disk lacks.
    pub peer_lacks_blocks: bool,
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

/// The peer's UpToDate disk goes while nobody writes and the own disk is UpToDate. The link stays:
/// what goes with the link may come back as it was.
#[must_use]
pub fn peer_goes_at_rest(old: &DeviceState, new: &DeviceState) -> bool {
    old.pdsk == Disk::UpToDate
        && matches!(new.pdsk, Disk::Failed | Disk::Diskless)
        && new.disk == Disk::UpToDate
        && new.role != Role::Primary
        && new.peer != Role::Primary
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
        // Frozen by the administrator while the link was lost: what waits is sent again, but the
        // answers stay withheld.
        self.on(
            new.susp && !new.susp_fen && old.conn < Conn::Connected && all_connected,
            Row::A6,
            &[
                AfterEffect::ForgetOwedUuids,
                AfterEffect::TransferLog(LogEvent::Resend),
            ],
        );
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
            // It may have told in between that it is Attaching.
            old.pdsk < Disk::Negotiating
                && new.pdsk >= Disk::Negotiating
                && new.pdsk != Disk::DUnknown,
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
        }
        // Its disk has refused writes, this node was demoted before it said so. Without a new
        // generation the copies would pass for equal when that disk is back.
        self.on(
            self.facts.peer_lacks_blocks && self.have_disk() && self.bitmap_uuid_zero,
            Row::A11,
            &[
                AfterEffect::NewCurrentUuid,
                AfterEffect::WriteBitmap,
                AfterEffect::SendUuids,
            ],
        );
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
                self.on(facts.force_detach, Row::A18, &[AfterEffect::AbortDiskIo]);
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
            old.disk == Disk::UpToDate
                && new.disk == Disk::Inconsistent
                && connected
                && new.conn != Conn::StartingSyncT,
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
