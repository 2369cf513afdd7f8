// SPDX-License-Identifier: GPL-2.0
//! What goes with the moment a volume's new state is stored: all of it under the resource's lock,
//! none of it may sleep.

use super::list::List;
use super::names::{Conn, Disk, Role};
use super::propose::Transition;
use super::sanitise::Warning;
use super::word::DeviceState;
use crate::meta::FlagSources;

/// One consequence of storing a new state, in the order of docs/states.md, "Commit".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitEffect {
    /// Log what the adjustment did.
    LogWarning(Warning),
    /// Log the change: the fields that differ.
    LogChange,
    /// Take one more reference on the backing device; the after-change work drops it.
    HoldDisk,
    /// Forget that a resync was found done.
    ClearResyncDone,
    /// Store the new state; its three `susp` flags go to the resource.
    Store,
    /// Completions of writes wait until the new current UUID is durable
    /// ([`AfterEffect::NewUuidSettled`](super::AfterEffect::NewUuidSettled)). Stricter than the C
    /// driver: no write may be acknowledged by this copy alone before the generation says so.
    HoldCompletions,
    /// What is replicated changes: the current epoch ends here.
    CloseEpoch,
    /// The exchange of parameters is over on all volumes: clear `STATE_SENT` and wake whoever
    /// waits for a state, on every volume.
    ClearStateSent,
    /// Wake whoever waits for this volume's state, for requests, for a ping.
    WakeWaiters,
    /// A verify ends: its position is where the next one starts.
    KeepVerifyPosition,
    /// A paused resync goes on: count the pause.
    ResyncGoesOn,
    /// A resync pauses: note the time.
    ResyncPauses,
    /// A verify begins: position, marks, rate controller.
    BeginVerify,
    /// Fire the resync timer now.
    FireResyncTimer,
    /// Recompute the flags of the superblock ([`flag_sources`]); if they change, it is dirty.
    RecomputeFlags,
    /// The exposed-data UUID becomes the current UUID.
    ExposeCurrentUuid,
    /// Both disks were Inconsistent and the peer was forced Primary: the next P_STATE has to look
    /// at the UUIDs again.
    ConsiderResync,
    /// Tell the receiver to end. No waiting.
    StopReceiver,
    /// Tell the receiver to start over. No waiting.
    RestartReceiver,
    /// The activity log is written again, should it have been suspended.
    ResumeActivityLog,
    /// One more connection was made (`connect_cnt`).
    CountConnect,
    /// Note the time of the (re)attach.
    NoteAttachTime,
    /// Queue the after-change work with old and new state. Its memory was allocated before.
    QueueAfterChange,
}

/// What [`commit_effects`] has to know besides the transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommitFacts {
    /// Some other volume of the connection is still in WFReportParams.
    pub others_report_params: bool,
    /// The bitmap UUID of this volume is 0.
    pub bitmap_uuid_zero: bool,
}

/// As many as can ever come together.
pub type CommitEffects = List<CommitEffect, 24>;

/// Writes of applications are sent to the peer in this state.
#[must_use]
pub fn replicates(s: &DeviceState) -> bool {
    s.pdsk == Disk::UpToDate
        || (s.pdsk >= Disk::Inconsistent && s.conn >= Conn::WFBitMapT && s.conn < Conn::Ahead)
}

/// Writes of applications are only announced to the peer in this state, by P_OUT_OF_SYNC.
#[must_use]
pub const fn announces_out_of_sync(s: &DeviceState) -> bool {
    matches!(s.conn, Conn::Ahead | Conn::WFBitMapS)
}

/// The peer's data was in reach and no longer is: its disk leaves Inconsistent, Consistent or
/// UpToDate for something worse or unknown, or an unknown disk is found not to help.
#[must_use]
pub const fn lost_contact(old_pdsk: Disk, new_pdsk: Disk) -> bool {
    match old_pdsk {
        Disk::Inconsistent | Disk::Consistent | Disk::UpToDate => matches!(
            new_pdsk,
            Disk::Diskless
                | Disk::Attaching
                | Disk::Failed
                | Disk::Negotiating
                | Disk::DUnknown
                | Disk::Outdated
        ),
        Disk::DUnknown => matches!(new_pdsk, Disk::Diskless | Disk::Failed | Disk::Outdated),
        Disk::Diskless | Disk::Attaching | Disk::Failed | Disk::Negotiating | Disk::Outdated => {
            false
        }
    }
}

/// The state part of the rule that makes a new current UUID: the peer's data is lost, somebody
/// writes, and the own disk is UpToDate. The other part: the bitmap UUID is 0.
pub(super) fn wants_new_uuid(old: &DeviceState, new: &DeviceState) -> bool {
    lost_contact(old.pdsk, new.pdsk)
        && (new.role == Role::Primary || new.peer == Role::Primary)
        && new.disk >= Disk::UpToDate
}

/// What the flags of the superblock are made of, in state `s`. `crashed_primary` is the mark of
/// the device.
#[must_use]
pub fn flag_sources(s: &DeviceState, crashed_primary: bool) -> FlagSources {
    FlagSources {
        disk_above_inconsistent: s.disk > Disk::Inconsistent,
        disk_above_outdated: s.disk > Disk::Outdated,
        primary: s.role == Role::Primary,
        peer_primary: s.peer == Role::Primary,
        peer_disk_below_inconsistent: s.pdsk < Disk::Inconsistent,
        connection_above_report_params: s.conn > Conn::WFReportParams,
        peer_disk_inconsistent_or_outdated: matches!(s.pdsk, Disk::Inconsistent | Disk::Outdated),
        crashed_primary,
    }
}

/// What to do at the commit of `t`, in order.
#[must_use]
pub fn commit_effects(t: &Transition, facts: &CommitFacts) -> CommitEffects {
    use CommitEffect as E;
    let (old, new) = (&t.old, &t.new);
    let mut list = List::new();
    let mut on = |condition: bool, effect: E| {
        if condition {
            list.push(effect);
        }
    };
    let entered = |disk: Disk| old.disk != disk && new.disk == disk;
    let arrives = |conn: Conn| old.conn != conn && new.conn == conn;

    if let Some(w) = t.warning {
        on(true, E::LogWarning(w));
    }
    on(true, E::LogChange);
    on(
        entered(Disk::Failed) || entered(Disk::Diskless),
        E::HoldDisk,
    );
    on(
        !old.conn.is_sync() && new.conn.is_sync(),
        E::ClearResyncDone,
    );
    on(true, E::Store);
    on(
        facts.bitmap_uuid_zero && wants_new_uuid(old, new),
        E::HoldCompletions,
    );
    on(replicates(old) != replicates(new), E::CloseEpoch);
    on(
        old.conn == Conn::WFReportParams
            && new.conn != Conn::WFReportParams
            && !facts.others_report_params,
        E::ClearStateSent,
    );
    on(true, E::WakeWaiters);

    on(
        old.conn.is_verify() && new.conn <= Conn::Connected,
        E::KeepVerifyPosition,
    );
    let paused = |c: Conn| matches!(c, Conn::PausedSyncS | Conn::PausedSyncT);
    let running = |c: Conn| matches!(c, Conn::SyncSource | Conn::SyncTarget);
    let goes_on = paused(old.conn) && running(new.conn);
    on(goes_on, E::ResyncGoesOn);
    on(running(old.conn) && paused(new.conn), E::ResyncPauses);
    let begins_verify = old.conn == Conn::Connected && new.conn.is_verify();
    on(begins_verify, E::BeginVerify);
    on(
        (goes_on && new.conn == Conn::SyncTarget) || (begins_verify && new.conn == Conn::VerifyS),
        E::FireResyncTimer,
    );

    on(new.disk.is_attached(), E::RecomputeFlags);
    on(
        old.disk < Disk::Consistent && new.disk >= Disk::Consistent,
        E::ExposeCurrentUuid,
    );
    on(
        old.disk == Disk::Inconsistent
            && old.pdsk == Disk::Inconsistent
            && old.peer == Role::Secondary
            && new.peer == Role::Primary,
        E::ConsiderResync,
    );
    on(
        arrives(Conn::Disconnecting) || arrives(Conn::StandAlone),
        E::StopReceiver,
    );
    on(
        old.conn > Conn::WFConnection && new.conn.is_lost_link(),
        E::RestartReceiver,
    );
    let connects = old.conn < Conn::Connected && new.conn >= Conn::Connected;
    on(connects, E::ResumeActivityLog);
    on(connects, E::CountConnect);
    on(
        matches!(old.disk, Disk::Attaching | Disk::Negotiating) && new.disk > Disk::Negotiating,
        E::NoteAttachTime,
    );
    on(true, E::QueueAfterChange);
    list
}
