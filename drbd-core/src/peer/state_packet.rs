// SPDX-License-Identifier: GPL-2.0
//! P_STATE: the peer says what it is, and the two nodes decide who syncs from whom
//! (docs/states.md, "P_STATE processing" and "Sync handshake").

use super::event::{Driver, Effect, HelperCall, LogLine};
use super::machine::{Resource, Step};
use super::volume::Volume;
use crate::state::received::{receive, Arrival, Next, ReceiveFacts, Received};
use crate::state::{propose, Change, Conn, DeviceState, Disk, LogEvent, Mode, Role};
use crate::uuid::{self, Decision, Note, Outcome, Plan, Situation, UuidFlags, UuidSet};
use crate::wire::{Command as Packet, FeatureFlags, Uuids};

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// One P_STATE of one volume.
    pub(super) fn state_received(&mut self, i: usize, p: DeviceState, d: &mut dyn Driver) -> Step {
        if self.parting.is_some() {
            return Ok(());
        }
        if let Some(v) = self.vol(i) {
            v.peer.connected |= p.conn >= Conn::Connected;
        }
        let Some(v) = self.peek(i) else { return Ok(()) };
        let facts = ReceiveFacts {
            peer_flags: v.peer.uuids.map(|u| u.flags),
            consider_resync: v.consider_resync,
            full_sync_asked: self.asks_for_full_sync(i),
        };
        match receive(&v.state, &p, &facts) {
            Received::LinkGoesDown => Err(()),
            Received::Impossible => {
                d.perform(Effect::Log(v.vnr, LogLine::UnexpectedPacket(Packet::State)));
                Err(())
            }
            Received::SyncEnds => {
                // The end waits for acks. The peer may have another role by now: it says so once.
                let role = Change {
                    peer: Some(p.role),
                    ..Change::NONE
                };
                let _ = self.change(i, role, Mode::Hard, d);
                self.peer_finished_resync(i, d);
                Ok(())
            }
            Received::VerifyEnds => {
                self.verify_done(i, d);
                Ok(())
            }
            Received::Goes(arrival) => self.arrived(i, arrival, d),
        }
    }

    fn arrived(&mut self, i: usize, mut a: Arrival, d: &mut dyn Driver) -> Step {
        if a.handshake {
            if a.peer.disk == Disk::Negotiating {
                // Its disk may lack what is frozen here; equal generations would not tell.
                self.make_owed_uuid(i, d);
            }
            let outcome = self.sync_handshake(i, &a, d).ok_or(())?;
            // A policy may have taken the role away.
            a.old = self.state(i);
            let dry_run = self.link.is_some_and(|l| l.peer_dry_run);
            match a.after_handshake(outcome, dry_run) {
                Next::Settle(settled) => {
                    if settled.peer.disk != a.peer.disk {
                        // Nothing else would tell the peer that its attach has failed.
                        self.send_uuids(i, UuidFlags::NONE, d);
                        self.send_state(i, d);
                    }
                    a = settled;
                }
                Next::FailDisk => {
                    let _ = self.change(i, Change::disk(Disk::Failed), Mode::Hard, d);
                    // Without a disk no generations are compared: once more is the last time.
                    return self.state_received(i, a.peer, d);
                }
                Next::Drop => return Err(()),
                Next::Disconnect => {
                    // The peer is to see our state, and call its own handlers, before the link
                    // goes: it stands until ours have ended.
                    if self.parting.is_none() {
                        self.give_up(d);
                    }
                    return Ok(());
                }
            }
        }
        let Some(v) = self.vol(i) else { return Ok(()) };
        v.consider_resync = false;
        let (vnr, owes_uuid) = (v.vnr, v.owes_uuid);
        if a.is_restarted_peer(a.old.is_suspended(), owes_uuid) {
            self.restarted_peer(d);
            return Ok(());
        }
        match a.settle(&self.facts(i, d)) {
            Ok(t) if t.is_noop() => {}
            Ok(t) => self.commit(i, t, d),
            Err(refusal) => {
                let wanted = DeviceState {
                    conn: a.conn,
                    peer: a.peer.role,
                    pdsk: a.pdsk,
                    ..a.old
                };
                d.perform(Effect::Log(
                    vnr,
                    LogLine::Refused {
                        code: refusal.code(),
                        state: a.old,
                        wanted,
                    },
                ));
                self.give_up(d);
                return Ok(());
            }
        }
        let ns = self.state(i);
        if a.pulls_peer(&ns) {
            self.send_uuids(i, UuidFlags::NONE, d);
            self.send_state(i, d);
        }
        if let Some(v) = self.vol(i) {
            if !matches!(ns.disk, Disk::Negotiating | Disk::Attaching) {
                v.negotiating = None;
            }
            v.discard_my_data = false;
        }
        self.sync_metadata(i, d);
        Ok(())
    }

    /// The peer was restarted while I/O is frozen here: it may have lost what it acknowledged, so
    /// nothing is sent again. The new generation is durable before what was frozen is completed.
    fn restarted_peer(&mut self, d: &mut dyn Driver) {
        for i in 0..self.count() {
            self.make_owed_uuid(i, d);
        }
        d.perform(Effect::Requests(LogEvent::ConnectionLostWhilePending));
        let change = Change {
            conn: Some(Conn::ProtocolError),
            susp: Some(false),
            ..Change::NONE
        };
        let _ = self.conn_change(change, Mode::Hard, d);
        self.close_link(d);
    }

    /// Who syncs from whom. `None`: there is nothing to compare.
    fn sync_handshake(&mut self, i: usize, a: &Arrival, d: &mut dyn Driver) -> Option<Outcome> {
        let link = self.link?;
        let policies = self.net?.split_brain;
        let v = self.peek(i)?;
        let (vnr, own, peer) = (v.vnr, v.uuids()?, v.peer.uuids?);
        let own_flags = self.own_uuid_flags(i);
        let bits = d.bits_set(vnr);
        let situation = Situation {
            own: uuid::Own {
                uuids: own,
                flags: own_flags,
                changes: bits,
                role: a.old.role,
                disk: a.old.disk,
                attach_disk: v.disk_or_remembered(),
            },
            peer: uuid::Peer {
                uuids: peer_set(&peer),
                flags: peer.flags,
                changes: peer.bits_set,
                role: a.peer.role,
                disk: a.pdsk,
            },
            apv: self.apv(),
            feature_4: link.agreed.features.contains(FeatureFlags::WSAME),
            resolve_conflicts: link.resolve_conflicts,
            policies,
            dry_run: self.dry_run || link.peer_dry_run,
            can_demote: propose(
                &self.facts(i, d),
                &self.state(i),
                &Change::role(Role::Secondary),
                Mode::Soft,
            )
            .is_ok(),
        };
        let Decision {
            comparison,
            notes,
            outcome,
        } = uuid::decide(&situation);
        d.perform(Effect::Log(
            vnr,
            LogLine::Handshake {
                own,
                own_bits: bits,
                own_flags: own_flags.bits(),
                peer,
                verdict: comparison.verdict.code(),
                rule: comparison.rule,
            },
        ));
        if let Some(v) = self.vol(i) {
            // Rule 34 takes the mark away that says that the bitmap counts. If the link broke
            // before the sync has begun, the copies would then pass for equal. The sync itself
            // puts the same sets right at its end.
            if comparison.rule != 34 {
                v.set_uuids(comparison.own);
            }
            v.peer.uuids = Some(with_set(&peer, &comparison.peer));
        }
        let mut called = None;
        for note in notes.iter() {
            match note {
                Note::Help(helper) => {
                    called = Some(HelperCall::Notice(helper));
                    d.perform(Effect::Help {
                        vnr,
                        helper: HelperCall::Notice(helper),
                    });
                }
                Note::Demote => {
                    // Possible only when a disk comes while the link is up: as long as
                    // parameters are exchanged a demotion is refused, as it is in the C driver.
                    let demoted = self.change(i, Change::role(Role::Secondary), Mode::Soft, d);
                    if demoted.is_ok() {
                        self.after_demotion(i, d);
                    }
                }
                other => d.perform(Effect::Log(vnr, LogLine::HandshakeNote(other))),
            }
        }
        let plan = match outcome {
            Outcome::Go(plan) => plan,
            Outcome::Refuse(reason) => {
                let attaching = a.old.disk == Disk::Negotiating || a.peer.disk == Disk::Negotiating;
                self.parting = called.filter(|_| !attaching && !situation.dry_run);
                d.perform(Effect::Log(vnr, LogLine::HandshakeRefused(reason)));
                return Some(outcome);
            }
        };
        if plan == Plan::NoSync && bits > 0 {
            d.perform(Effect::Log(vnr, LogLine::BitsWithoutResync(bits)));
        }
        if plan.is_full() {
            d.perform(Effect::Log(vnr, LogLine::FullSync));
            d.perform(Effect::SetAllBits { vnr, report: false });
        }
        Some(outcome)
    }
}

/// The generations in a P_UUIDS.
pub(super) fn peer_set(u: &Uuids) -> UuidSet {
    UuidSet {
        current: u.current,
        bitmap: u.bitmap,
        history: u.history,
    }
}

fn with_set(u: &Uuids, set: &UuidSet) -> Uuids {
    Uuids {
        current: set.current,
        bitmap: set.bitmap,
        history: set.history,
        ..*u
    }
}
