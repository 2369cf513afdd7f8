// SPDX-License-Identifier: GPL-2.0
//! The link comes and goes: from the agreement on a version to the exchange of parameters, and
//! from the first sign of trouble to the next attempt.
//!
//! After [`Event::LinkUp`](super::Event::LinkUp) each node sends P_PROTOCOL and, for each volume,
//! P_SYNC_PARAM, P_SIZES, P_UUIDS and P_STATE, without waiting for the other. What the peer sends
//! is looked at in the same order; its P_STATE decides (docs/protocol.md, "Handshake").
//!
//! A broken link is given up in three steps: the state takes the reason and the sockets are shut
//! down; the threads end and say [`Event::LinkClosed`](super::Event::LinkClosed); only then all
//! requests that waited for the peer are ended with the local result, and the next attempt begins.

use super::event::{Driver, Effect, LogLine, ProtocolVerdict, Send};
use super::machine::{Link, Resource, Step};
use super::volume::Volume;
use crate::state::{Change, Conn, Disk, LogEvent, Mode, Role};
use crate::uuid::same;
use crate::wire::{Agreed, UuidFlags, Uuids};

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// The sockets are up: tell the peer all about us.
    pub(super) fn link_up(&mut self, agreed: Agreed, resolve_conflicts: bool, d: &mut dyn Driver) {
        if self.cstate != Conn::WFConnection {
            // An administrator was faster.
            d.perform(Effect::CloseLink);
            return;
        }
        self.links = self.links.wrapping_add(1);
        self.link = Some(Link {
            agreed,
            resolve_conflicts,
            peer_dry_run: false,
            closing: false,
        });
        let (discard, dry_run) = (self.discard_my_data, self.dry_run);
        self.send(
            Send::Protocol {
                discard_my_data: discard,
                dry_run,
            },
            d,
        );
        self.state_sent = true;
        for i in 0..self.count() {
            if let Some(v) = self.vol(i) {
                v.discard_my_data = discard;
                v.resize_pending = false;
                v.peer = super::volume::PeerData::default();
            }
            self.send_parameters(i, d);
        }
        self.discard_my_data = false;
        if self
            .conn_change(Change::conn(Conn::WFReportParams), Mode::Soft, d)
            .is_err()
        {
            self.state_sent = false;
            self.break_link(Conn::NetworkFailure, d);
            return;
        }
        if self.count() == 0 {
            self.state_sent = false;
        }
    }

    /// P_SYNC_PARAM, P_SIZES, P_UUIDS and P_STATE of one volume.
    pub(super) fn send_parameters(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(vnr) = self.peek(i).map(|v| v.vnr) else {
            return;
        };
        self.send(Send::SyncParam(vnr), d);
        self.send_sizes(i, d);
        self.send_uuids(i, UuidFlags::NONE, d);
        self.send_state(i, d);
    }

    /// P_PROTOCOL was compared.
    pub(super) fn protocol(&mut self, v: ProtocolVerdict, d: &mut dyn Driver) {
        if !v.compatible {
            self.give_up(d);
            return;
        }
        if let Some(link) = &mut self.link {
            link.peer_dry_run = v.dry_run;
        }
    }

    pub(super) fn sync_param(&mut self, vnr: u16, compatible: bool, d: &mut dyn Driver) {
        let Some(i) = self.index_of(vnr) else { return };
        if !compatible && self.state(i).conn == Conn::WFReportParams {
            self.give_up(d);
        }
    }

    /// Not with this peer: StandAlone, no further attempt.
    pub(super) fn give_up(&mut self, d: &mut dyn Driver) {
        let _ = self.conn_change(Change::conn(Conn::Disconnecting), Mode::Hard, d);
        self.close_link(d);
    }

    /// Somebody found the link broken. The first reason counts.
    pub(super) fn break_link(&mut self, reason: Conn, d: &mut dyn Driver) {
        if self.parting.take().is_some() {
            // Its own handlers have ended sooner: the link would have been given up all the same.
            self.give_up(d);
            return;
        }
        if self.cstate > Conn::WFConnection && reason.is_lost_link() {
            let _ = self.conn_change(Change::conn(reason), Mode::Hard, d);
        }
        self.close_link(d);
    }

    /// Shuts the sockets down, once.
    pub(super) fn close_link(&mut self, d: &mut dyn Driver) {
        match &mut self.link {
            Some(link) if link.closing => {}
            Some(link) => {
                link.closing = true;
                d.perform(Effect::CloseLink);
            }
            // Still connecting: the receiver is to look up.
            None if self.receiver => d.perform(Effect::CloseLink),
            None => {}
        }
    }

    /// The threads are gone, peer writes have ended.
    pub(super) fn link_closed(&mut self, d: &mut dyn Driver) {
        if self.parting.take().is_some() {
            self.give_up(d);
        }
        if self.cstate > Conn::WFConnection {
            let _ = self.conn_change(Change::conn(Conn::NetworkFailure), Mode::Hard, d);
        }
        self.link = None;
        self.ping = super::machine::Ping::None;
        self.state_sent = false;
        for i in 0..self.count() {
            let Some(v) = self.vol(i) else { continue };
            v.peer = super::volume::PeerData::default();
            v.resync = super::volume::Resync::default();
            v.starting = None;
            v.early_sync_uuid = None;
            v.consider_resync = false;
            let vnr = v.vnr;
            d.perform(Effect::StopResync(vnr));
        }
        let suspended = self.volumes.as_ref().iter().any(|v| v.state.is_suspended());
        if !suspended {
            d.perform(Effect::Requests(LogEvent::ConnectionLostWhilePending));
        }
        for i in 0..self.count() {
            self.sync_metadata(i, d);
            if self.state(i).disk.is_attached() {
                if let Some(vnr) = self.peek(i).map(|v| v.vnr) {
                    d.perform(Effect::WriteBitmap(vnr));
                }
            }
        }
        self.fence_after_loss(d);
        if self.cstate == Conn::Disconnecting {
            self.receiver = false;
            let _ = self.conn_change(Change::conn(Conn::StandAlone), Mode::Hard, d);
        } else if self.cstate != Conn::StandAlone {
            let _ = self.conn_change(Change::conn(Conn::Unconnected), Mode::Hard, d);
        }
    }

    /// P_UUIDS.
    pub(super) fn uuids_received(&mut self, i: usize, u: Uuids, d: &mut dyn Driver) -> Step {
        let apv = self.apv();
        let Some(v) = self.vol(i) else { return Ok(()) };
        let (vnr, state, exposed) = (v.vnr, v.state, v.exposed);
        v.peer.uuids = Some(u);
        if state.role == Role::Primary
            && state.disk < Disk::Inconsistent
            && (state.conn < Conn::Connected || state.pdsk == Disk::Diskless)
            && !same(exposed, u.current)
            && !(v.unnamed && same(exposed, u.bitmap))
        {
            d.perform(Effect::Log(vnr, LogLine::CanOnlyConnectTo(exposed)));
            self.give_up(d);
            return Ok(());
        }
        if state.disk < Disk::Inconsistent
            && (state.conn >= Conn::Connected || state.role == Role::Primary)
        {
            // What it sent before it heard of the loss of this disk names nothing new.
            v.unnamed &= same(exposed, u.current);
            v.exposed = u.current;
            let own = v.uuids();
            if let (Some(n), Some(own)) = (&mut v.negotiating, own) {
                n.exposes_current = same(own.current, u.current);
            }
        }
        let just_created = v.uuids().is_some_and(|own| own.is_just_created());
        if u.flags.contains(UuidFlags::SKIP_INITIAL_SYNC)
            && state.conn == Conn::Connected
            && apv >= 90
            && state.disk >= Disk::Inconsistent
            && just_created
        {
            self.skip_initial_sync(i, u.current, d);
        }
        Ok(())
    }

    /// The peer says that both disks are equal, whatever is on them.
    fn skip_initial_sync(&mut self, i: usize, current: u64, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, primary) = (v.vnr, v.state.role == Role::Primary);
        d.perform(Effect::ClearBitmap(vnr));
        if let Some(mut own) = v.uuids() {
            own.skip_initial_sync(current, primary);
            v.exposed = own.current;
            v.set_uuids(own);
        }
        let change = Change {
            disk: Some(Disk::UpToDate),
            pdsk: Some(Disk::UpToDate),
            ..Change::NONE
        };
        let _ = self.change(i, change, Mode::Soft, d);
        self.sync_metadata(i, d);
    }
}
