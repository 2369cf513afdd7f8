// SPDX-License-Identifier: GPL-2.0
//! P_STATE: the peer says what it is, and the two nodes decide who syncs from whom
//! (docs/states.md, "P_STATE processing" and "Sync handshake").

use super::event::{Driver, Effect, HelperCall, LogLine};
use super::machine::{Resource, Step};
use super::volume::Volume;
use crate::state::{Change, Conn, DeviceState, Disk, Mode, Role};
use crate::uuid::{self, Decision, Note, Outcome, Plan, Situation, UuidSet};
use crate::wire::{FeatureFlags, UuidFlags, Uuids};

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// One P_STATE of one volume.
    pub(super) fn state_received(&mut self, i: usize, p: DeviceState, d: &mut dyn Driver) -> Step {
        let Some(v) = self.peek(i) else { return Ok(()) };
        let (vnr, os) = (v.vnr, v.state);
        if os.conn <= Conn::TearDown {
            return Err(());
        }
        let negotiating_inconsistent = v
            .peer
            .uuids
            .is_some_and(|u| u.flags.contains(UuidFlags::INCONSISTENT));
        let mut real_pdsk = match p.disk {
            Disk::Negotiating if negotiating_inconsistent => Disk::Inconsistent,
            Disk::Negotiating => Disk::Consistent,
            other => other,
        };
        // The end of a resync or verify, as the peer tells it.
        let good = os.disk == Disk::UpToDate && real_pdsk == Disk::UpToDate;
        if good
            && matches!(os.pdsk, Disk::Inconsistent | Disk::Consistent)
            && os.conn > Conn::Connected
        {
            if p.conn > Conn::Connected && p.conn < Conn::SyncSource {
                real_pdsk = Disk::Inconsistent;
            } else if os.conn >= Conn::SyncSource && p.conn == Conn::Connected {
                self.peer_finished_resync(i, d);
                return Ok(());
            }
        }
        if os.pdsk == Disk::UpToDate
            && real_pdsk == Disk::Inconsistent
            && os.conn == Conn::Connected
            && p.conn > Conn::SyncSource
        {
            real_pdsk = Disk::UpToDate;
        }
        let mut change = Change::NONE;
        let mut conn = match (os.conn, p.conn) {
            (_, Conn::Ahead) => Conn::Behind,
            (Conn::WFReportParams, _) => Conn::Connected,
            (other, _) => other,
        };
        let mut p_disk = p.disk;
        let compared = self.handshake_needed(i, &os, &p);
        if compared {
            match self.sync_handshake(i, &os, &p, real_pdsk, d) {
                Some(next) => conn = next,
                None => {
                    conn = Conn::Connected;
                    if os.disk == Disk::Negotiating {
                        let _ = self.change(i, Change::disk(Disk::Failed), Mode::Hard, d);
                        return Ok(());
                    } else if p_disk == Disk::Negotiating {
                        p_disk = Disk::Diskless;
                        real_pdsk = Disk::Diskless;
                        // Nothing else would tell the peer that its attach has failed.
                        self.send_uuids(i, UuidFlags::NONE, d);
                        self.send_state(i, d);
                    } else if self.link.is_some_and(|l| l.peer_dry_run) {
                        return Err(());
                    } else {
                        self.give_up(d);
                        return Ok(());
                    }
                }
            }
        }
        if let Some(v) = self.vol(i) {
            v.consider_resync = false;
        }
        change.conn = Some(conn);
        change.peer = Some(p.role);
        change.pdsk = Some(real_pdsk);
        change.peer_isp = Some(p.aftr_isp || p.user_isp);
        // A P_STATE that the peer sent before it heard of our attach decides nothing: without a
        // comparison of generations only a peer without disk leaves our disk as it is.
        let decided = compared || p.disk < Disk::Negotiating;
        if decided
            && matches!(conn, Conn::Connected | Conn::WFBitMapS)
            && os.disk == Disk::Negotiating
        {
            change.disk = self.peek(i).map(Volume::disk_or_remembered);
        }
        let establishes = os.conn < Conn::Connected && conn >= Conn::Connected;
        let mode = if establishes { Mode::Soft } else { Mode::Hard };
        if let Err(refusal) = self.change(i, change, mode, d) {
            let wanted = os.with(&change);
            d.perform(Effect::Log(
                vnr,
                LogLine::Refused {
                    code: refusal.code(),
                    state: os,
                    wanted,
                },
            ));
            self.give_up(d);
            return Ok(());
        }
        let ns = self.state(i);
        if ns.disk != Disk::Negotiating && ns.disk != Disk::Attaching {
            if let Some(v) = self.vol(i) {
                v.negotiating = None;
            }
        }
        if os.conn > Conn::WFReportParams
            && ns.conn > Conn::Connected
            && p.conn <= Conn::Connected
            && p_disk != Disk::Negotiating
        {
            self.send_uuids(i, UuidFlags::NONE, d);
            self.send_state(i, d);
        }
        if let Some(v) = self.vol(i) {
            v.discard_my_data = false;
        }
        self.sync_metadata(i, d);
        Ok(())
    }

    fn handshake_needed(&self, i: usize, os: &DeviceState, p: &DeviceState) -> bool {
        let Some(v) = self.peek(i) else { return false };
        if v.peer.uuids.is_none() || p.disk < Disk::Negotiating || os.disk < Disk::Negotiating {
            return false;
        }
        let connected = os.conn == Conn::Connected;
        os.conn < Conn::Connected
            || (connected && (p.disk == Disk::Negotiating || os.disk == Disk::Negotiating))
            || v.consider_resync
            || (connected && p.conn >= Conn::StartingSyncS && p.conn <= Conn::WFBitMapT)
    }

    /// Who syncs from whom. `None`: refused.
    fn sync_handshake(
        &mut self,
        i: usize,
        os: &DeviceState,
        p: &DeviceState,
        real_pdsk: Disk,
        d: &mut dyn Driver,
    ) -> Option<Conn> {
        let link = self.link?;
        let policies = self.net?.split_brain;
        let v = self.peek(i)?;
        let (vnr, own, peer) = (v.vnr, v.uuids()?, v.peer.uuids?);
        let own_flags = uuid::UuidFlags::from_bits(self.own_uuid_flags(i).bits());
        let bits = d.bits_set(vnr);
        let situation = Situation {
            own: uuid::Own {
                uuids: own,
                flags: own_flags,
                changes: bits,
                role: os.role,
                disk: os.disk,
                attach_disk: v.disk_or_remembered(),
            },
            peer: uuid::Peer {
                uuids: peer_set(&peer),
                flags: uuid::UuidFlags::from_bits(peer.flags.bits()),
                changes: peer.bits_set,
                role: p.role,
                disk: real_pdsk,
            },
            apv: self.apv(),
            feature_4: link.agreed.features.contains(FeatureFlags::WSAME),
            resolve_conflicts: link.resolve_conflicts,
            policies,
            dry_run: self.dry_run || link.peer_dry_run,
            can_demote: false,
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
            v.set_uuids(comparison.own);
            v.peer.uuids = Some(with_set(&peer, &comparison.peer));
        }
        for note in notes.iter() {
            match note {
                Note::Help(helper) => {
                    d.perform(Effect::Help {
                        vnr,
                        helper: HelperCall::Notice(helper),
                    });
                }
                Note::Demote => {
                    let _ = self.change(i, Change::role(Role::Secondary), Mode::Soft, d);
                }
                other => d.perform(Effect::Log(vnr, LogLine::HandshakeNote(other))),
            }
        }
        let plan = match outcome {
            Outcome::Go(plan) => plan,
            Outcome::Refuse(reason) => {
                d.perform(Effect::Log(vnr, LogLine::HandshakeRefused(reason)));
                return None;
            }
        };
        if plan == Plan::NoSync && bits > 0 {
            d.perform(Effect::Log(vnr, LogLine::BitsWithoutResync(bits)));
        }
        if plan.is_full() {
            d.perform(Effect::Log(vnr, LogLine::FullSync));
            d.perform(Effect::SetAllBits { vnr, report: false });
        }
        Some(plan.conn())
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
