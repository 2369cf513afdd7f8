// SPDX-License-Identifier: GPL-2.0
//! What a P_STATE of the peer does to a volume.
//!
//! In three steps, since the middle one may have to wait for helpers and for the writing of a
//! whole bitmap: [`receive`] tells what the packet means and whether the UUIDs have to be looked
//! at; [`crate::uuid::decide`] looks; [`Arrival::after_handshake`] and [`Arrival::settle`] give
//! the change to make. If the state has changed in between, begin again with [`receive`].

use super::facts::{Facts, Negotiating};
use super::names::{Conn, Disk, Role};
use super::propose::{judge, Mode, Transition};
use super::returns::Refusal;
use super::sanitise::sanitise;
use super::word::DeviceState;
use crate::uuid::{Outcome, UuidFlags};

/// What [`receive`] has to know besides the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveFacts {
    /// Flags of the peer's P_UUIDS; `None` if none came since the volume connected.
    pub peer_flags: Option<UuidFlags>,
    /// The peer was forced Primary while both disks were Inconsistent
    /// ([`CommitEffect::ConsiderResync`](super::CommitEffect::ConsiderResync)).
    pub consider_resync: bool,
    /// This node has asked for a full sync, and waits for the answer.
    pub full_sync_asked: bool,
}

/// What the peer's state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The link is on its way down already: end the receiver.
    LinkGoesDown,
    /// No node can be in that state: a protocol error.
    Impossible,
    /// The target reports the end of the resync: take its role, and finish as soon as no more bits
    /// are set than blocks have failed. Nothing else.
    SyncEnds,
    /// The peer ended the verify: report what was found, and finish. Nothing else.
    VerifyEnds,
    /// Go on with this.
    Goes(Arrival),
}

/// A peer's state that asks for a change here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The own state that this was worked out for.
    pub old: DeviceState,
    /// What the peer sent.
    pub peer: DeviceState,
    /// The peer's disk as it counts here.
    pub pdsk: Disk,
    /// The connection state to take, unless the handshake says something else.
    pub conn: Conn,
    /// Whether the UUIDs have to be compared.
    pub handshake: bool,
}

/// Reads a P_STATE for a volume in state `old`.
#[must_use]
pub fn receive(old: &DeviceState, peer: &DeviceState, facts: &ReceiveFacts) -> Received {
    if old.conn <= Conn::TearDown {
        return Received::LinkGoesDown;
    }
    if peer.role == Role::Unknown || peer.disk == Disk::DUnknown {
        return Received::Impossible;
    }
    let mut pdsk = match (peer.disk, facts.peer_flags) {
        (Disk::Negotiating, Some(f)) if f.contains(UuidFlags::INCONSISTENT) => Disk::Inconsistent,
        (Disk::Negotiating, _) => Disk::Consistent,
        (disk, _) => disk,
    };
    if matches!(old.pdsk, Disk::Inconsistent | Disk::Consistent)
        && pdsk == Disk::UpToDate
        && old.conn > Conn::Connected
        && old.disk == Disk::UpToDate
    {
        if (Conn::StartingSyncS..Conn::SyncSource).contains(&peer.conn) {
            // Still preparing: it will be the target, and only believes to be UpToDate.
            pdsk = Disk::Inconsistent;
        } else if old.conn >= Conn::SyncSource && peer.conn == Conn::Connected {
            return Received::SyncEnds;
        }
    }
    if old.conn == Conn::VerifyT
        && old.disk == Disk::UpToDate
        && peer.conn == Conn::Connected
        && pdsk == Disk::UpToDate
    {
        return Received::VerifyEnds;
    }
    if old.pdsk == Disk::UpToDate
        && pdsk == Disk::Inconsistent
        && old.conn == Conn::Connected
        && peer.conn > Conn::SyncSource
    {
        // A report from a resync that has ended here already.
        pdsk = Disk::UpToDate;
    }
    let mut conn = old.conn;
    if conn == Conn::WFReportParams {
        conn = Conn::Connected;
    }
    if peer.conn == Conn::Ahead {
        conn = Conn::Behind;
    }
    let negotiates = peer.disk == Disk::Negotiating || old.disk == Disk::Negotiating;
    // The answer to an own request travels on the other socket: no bitmaps are exchanged then.
    let agrees = facts.full_sync_asked && peer.conn <= Conn::StartingSyncT;
    let wanted = (Conn::StartingSyncS..=Conn::WFBitMapT).contains(&peer.conn) && !agrees;
    // It may have finished its attach without ever having been seen Negotiating: if both attach at
    // once, each may take the other for one without a disk.
    let gained = old.pdsk < Disk::Negotiating;
    let handshake = facts.peer_flags.is_some()
        && peer.disk >= Disk::Negotiating
        && old.disk >= Disk::Negotiating
        && (old.conn < Conn::Connected
            || (old.conn == Conn::Connected && (negotiates || wanted || gained))
            || facts.consider_resync);
    Received::Goes(Arrival {
        old: *old,
        peer: *peer,
        pdsk,
        conn,
        handshake,
    })
}

/// What a refused handshake leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make the change: [`Arrival::settle`].
    Settle(Arrival),
    /// The own attach is at its end: force the disk Failed, then begin again with [`receive`].
    FailDisk,
    /// Drop the link and try again. The peer's dry-run mark is used up.
    Drop,
    /// Force Disconnecting, end the receiver.
    Disconnect,
}

impl Arrival {
    /// Adds what the handshake came to. `peer_dry_run`: the peer asked for a trial in P_PROTOCOL.
    #[must_use]
    pub fn after_handshake(mut self, outcome: Outcome, peer_dry_run: bool) -> Next {
        match outcome {
            Outcome::Go(plan) => self.conn = plan.conn(),
            Outcome::Refuse(_) => {
                if self.old.disk == Disk::Negotiating {
                    return Next::FailDisk;
                }
                if self.peer.disk != Disk::Negotiating {
                    return if peer_dry_run {
                        Next::Drop
                    } else {
                        Next::Disconnect
                    };
                }
                // The peer aborts its attach, and is diskless again.
                self.conn = Conn::Connected;
                self.peer.disk = Disk::Diskless;
                self.pdsk = Disk::Diskless;
            }
        }
        Next::Settle(self)
    }

    /// The peer has been restarted while I/O is frozen here and a new current UUID is owed: the
    /// requests must not be sent again, the peer may have lost what it acknowledged before. Then
    /// clear the transfer log as for a lost link, make the new current UUID, force
    /// `conn = ProtocolError, susp = 0` on the connection, and drop it.
    #[must_use]
    pub fn is_restarted_peer(&self, suspended: bool, owes_new_uuid: bool) -> bool {
        self.pdsk == Disk::Consistent
            && suspended
            && owes_new_uuid
            && self.conn == Conn::Connected
            && self.old.conn < Conn::Connected
    }

    /// The change to commit. Establishing a connection may be refused, later states of the peer
    /// are facts.
    ///
    /// # Errors
    ///
    /// Force Disconnecting and drop the link.
    pub fn settle(&self, facts: &Facts) -> Result<Transition, Refusal> {
        let mut wanted = self.old;
        wanted.conn = self.conn;
        wanted.peer = self.peer.role;
        wanted.pdsk = self.pdsk;
        wanted.peer_isp = self.peer.aftr_isp || self.peer.user_isp;
        // What the peer sent before it heard of the own attach decides nothing: without a
        // comparison of generations only a peer without disk lets it have its way.
        let decided = self.handshake || self.peer.disk < Disk::Negotiating;
        if let (true, Conn::Connected | Conn::WFBitMapS, Disk::Negotiating, Some(n)) =
            (decided, self.conn, wanted.disk, facts.negotiating)
        {
            let Negotiating { disk, .. } = n;
            wanted.disk = disk;
        }
        let (new, warning) = sanitise(facts, &self.old, wanted);
        let establishes = self.old.conn < Conn::Connected && self.conn >= Conn::Connected;
        judge(
            facts,
            &self.old,
            &new,
            if establishes { Mode::Soft } else { Mode::Hard },
        )?;
        Ok(Transition {
            old: self.old,
            new,
            warning,
        })
    }

    /// After the commit of `new`: this node wants a resync that the peer does not know of. Send
    /// P_UUIDS and P_STATE, so that it looks at the UUIDs, too.
    #[must_use]
    pub fn pulls_peer(&self, new: &DeviceState) -> bool {
        self.old.conn > Conn::WFReportParams
            && new.conn > Conn::Connected
            && self.peer.conn <= Conn::Connected
            && self.peer.disk != Disk::Negotiating
    }
}
