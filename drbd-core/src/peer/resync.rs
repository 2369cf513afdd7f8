// SPDX-License-Identifier: GPL-2.0
//! The course of a resync, as far as the owner of the state decides it: exchange of bitmaps, sync
//! UUID, start, end (docs/states.md, "Resync").
//!
//! 1. The future source sends its bitmap on entering WFBitMapS; the target merges it, sends its
//!    own and goes to WFSyncUUID; the source merges that. The work to do is the union.
//! 2. The source makes the sync UUID, durable before it is sent, and is SyncSource. The target
//!    takes it as its current UUID, is SyncTarget, and begins to ask for blocks.
//! 3. The target finds that no more bits are set than blocks have failed. A ping round trip makes
//!    sure that the source has seen all acks; then the target is Connected and says so, and the
//!    source, if it agrees that nothing is left, follows.
//!
//! A disk is called UpToDate at the end only by [`Resource::finish_resync`], from two facts: no
//! block failed, and no bit is set.

use super::event::{Driver, Effect, HelperCall, LogLine, Send, UuidNews};
use super::machine::{Resource, Step};
use super::state_packet::peer_set;
use super::volume::{Ending, Volume};
use crate::meta::BLOCK_SIZE;
use crate::state::resync::{self, Before, End, Side};
use crate::state::{after_full_sync_set, Change, Conn, Disk, FullSyncStep, Mode, Role};
use crate::wire::Command as Packet;

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// The peer's bitmap is merged into ours.
    pub(super) fn bitmap_received(&mut self, i: usize, d: &mut dyn Driver) -> Step {
        let Some(v) = self.peek(i) else { return Ok(()) };
        let (vnr, conn) = (v.vnr, v.state.conn);
        match conn {
            Conn::WFBitMapT => {
                self.send(Send::Bitmap(vnr), d);
                // The bitmap is queued before anything else, so the source's sync UUID can only
                // come after it was sent.
                self.change(i, Change::conn(Conn::WFSyncUUID), Mode::Soft, d)
                    .map(|_| ())
                    .map_err(|_| ())
            }
            Conn::WFBitMapS => {
                self.start_resync(i, Side::Source, d);
                Ok(())
            }
            _ => {
                d.perform(Effect::Log(vnr, LogLine::UnexpectedPacket(Packet::Bitmap)));
                Err(())
            }
        }
    }

    /// P_SYNC_UUID: the source has begun.
    pub(super) fn sync_uuid(&mut self, i: usize, uuid: u64, d: &mut dyn Driver) -> Step {
        let full_sync_asked = self.asks_for_full_sync(i);
        let Some(v) = self.vol(i) else { return Ok(()) };
        let vnr = v.vnr;
        if !matches!(
            v.state.conn,
            Conn::WFSyncUUID | Conn::Behind | Conn::PausedSyncT
        ) {
            if v.state.disk < Disk::Negotiating || v.state.conn < Conn::Connected {
                return Ok(());
            }
            if v.state.conn == Conn::StartingSyncT || full_sync_asked {
                // The peer agreed and has begun already; its answer comes on the other socket.
                v.early_sync_uuid = Some(uuid);
                return Ok(());
            }
            d.perform(Effect::Log(
                vnr,
                LogLine::UnexpectedPacket(Packet::SyncUuid),
            ));
            return Err(());
        }
        let primary = v.state.role == Role::Primary;
        if let Some(mut own) = v.uuids() {
            own.begin_as_target(uuid, primary);
            v.exposed = own.current;
            v.set_uuids(own);
            d.perform(Effect::Log(
                vnr,
                LogLine::Uuids(UuidNews::SyncUuidReceived, own),
            ));
        }
        // The source clears a bit when the block is in the cache of our disk. If that is lost, our
        // bitmap on the disk has to know the block still.
        d.perform(Effect::WriteBitmap(vnr));
        self.sync_metadata(i, d);
        self.start_resync(i, Side::Target, d);
        Ok(())
    }

    /// Takes up a sync UUID that came before this node was ready for it. `true`: something moved.
    pub(super) fn take_early_sync_uuid(&mut self, d: &mut dyn Driver) -> bool {
        let ready = |v: &Volume| v.early_sync_uuid.is_some() && v.state.conn == Conn::WFSyncUUID;
        let Some(i) = self.volumes.as_ref().iter().position(ready) else {
            return false;
        };
        let uuid = self.vol(i).and_then(|v| v.early_sync_uuid.take());
        uuid.is_some_and(|uuid| self.sync_uuid(i, uuid, d).is_ok())
    }

    /// The handler is asked first; [`Resource::helper_done`] goes on.
    pub(super) fn start_resync(&mut self, i: usize, side: Side, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        if v.state.conn.is_sync_or_verify() {
            return;
        }
        v.starting = Some(side);
        let vnr = v.vnr;
        d.perform(Effect::Help {
            vnr,
            helper: HelperCall::BeforeResync(side),
        });
    }

    /// A helper has ended.
    pub(super) fn helper_done(
        &mut self,
        i: usize,
        helper: HelperCall,
        exit: u8,
        d: &mut dyn Driver,
    ) {
        let side = match helper {
            HelperCall::BeforeResync(side) => side,
            HelperCall::Notice(_) if self.parting == Some(helper) => {
                self.parting = None;
                self.give_up(d);
                return;
            }
            HelperCall::AfterResyncTarget
            | HelperCall::FencePeer
            | HelperCall::UnfencePeer
            | HelperCall::Notice(_) => return,
        };
        let Some(v) = self.vol(i) else { return };
        let vnr = v.vnr;
        if v.starting != Some(side) {
            return;
        }
        v.starting = None;
        if resync::before(side, exit) == Before::Disconnect {
            d.perform(Effect::Log(vnr, LogLine::HelperRefused { helper, exit }));
            self.give_up(d);
            return;
        }
        if !resync::may_start(&self.state(i)) {
            return;
        }
        let change = resync::start(side, self.state(i).aftr_isp);
        let bits = d.bits_set(vnr);
        let now = d.now_ms();
        if let Some(v) = self.vol(i) {
            v.resync = super::volume::Resync {
                total: bits,
                started_ms: now,
                paused_since_ms: now,
                ..super::volume::Resync::default()
            };
        }
        if self.change(i, change, Mode::Soft, d).is_err() {
            return;
        }
        d.perform(Effect::Log(vnr, LogLine::BeganResync { side, bits }));
        d.perform(Effect::StartResync { vnr, side });
        d.perform(Effect::ReviewDependents);
        if resync::sync_uuid_at_start(self.apv()) && side == Side::Source {
            self.send_sync_uuid(i, d);
        }
        self.sync_metadata(i, d);
        self.check_finished(i, d);
    }

    /// A resync has to wait for another device of this host, or need not any more. Said also while
    /// there is none: the next one then begins paused.
    pub(super) fn must_wait(&mut self, i: usize, wait: bool, d: &mut dyn Driver) {
        let s = self.state(i);
        let unused = s.conn == Conn::StandAlone && s.disk == Disk::Diskless;
        if s.aftr_isp == wait || (wait && unused) {
            return;
        }
        let change = Change {
            aftr_isp: Some(wait),
            ..Change::NONE
        };
        let _ = self.change(i, change, Mode::Hard, d);
    }

    /// The source tells how it calls the target's data while that is a mixture.
    pub(super) fn send_sync_uuid(&mut self, i: usize, d: &mut dyn Driver) {
        let full = self.peek(i).is_some_and(|v| v.target_unaware);
        if !full {
            self.make_sync_uuid(i, d);
        }
        let Some((vnr, own)) = self.peek(i).and_then(|v| Some((v.vnr, v.uuids()?))) else {
            return;
        };
        self.send(Send::SyncUuid(vnr, own.bitmap), d);
    }

    /// Makes the sync UUID, durably.
    fn make_sync_uuid(&mut self, i: usize, d: &mut dyn Driver) {
        let random = d.random();
        let Some(v) = self.vol(i) else { return };
        let vnr = v.vnr;
        let Some(mut own) = v.uuids() else { return };
        let peer = v.peer.uuids.map_or(0, |u| u.current);
        own.begin_as_source(own.fresh_sync_uuid(random), peer);
        v.set_uuids(own);
        d.perform(Effect::Log(vnr, LogLine::Uuids(UuidNews::SyncUuid, own)));
        self.sync_metadata(i, d);
    }

    /// This node has agreed to be the source of a full sync. Whatever happens before it begins,
    /// the sync UUID tells that the peer's copy does not count any more: the C driver as target
    /// keeps nothing of it if the link goes.
    pub(super) fn mark_full_sync(&mut self, i: usize, d: &mut dyn Driver) {
        self.make_sync_uuid(i, d);
        if let Some(v) = self.vol(i) {
            v.target_unaware = true;
        }
    }

    /// A target that has taken a block knows that it is one.
    pub(super) fn look_for_progress(&mut self, i: usize, d: &dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let began = v.state.conn.is_sync_source();
        v.target_unaware &= !(began && d.bits_set(v.vnr) < v.resync.total);
    }

    /// Blocks were synced or failed.
    pub(super) fn resync_progress(&mut self, i: usize, failed: u32, d: &mut dyn Driver) {
        if let Some(v) = self.vol(i) {
            v.resync.failed = v.resync.failed.saturating_add(u64::from(failed));
        }
        self.check_finished(i, d);
    }

    /// The end is looked for after blocks were cleared *and* after blocks failed.
    pub(super) fn check_finished(&mut self, i: usize, d: &mut dyn Driver) {
        let apv = self.apv();
        let Some(v) = self.vol(i) else { return };
        let mine = v.state.conn == Conn::SyncTarget
            || (v.state.conn.is_sync_source() && v.resync.peer_done)
            || (apv <= 95 && v.state.conn == Conn::SyncSource);
        if !mine || v.resync.ending == Ending::Acks {
            return;
        }
        if d.bits_set(v.vnr) > v.resync.failed {
            if v.resync.peer_done {
                self.look_for_the_rest(i, d);
            }
            return;
        }
        // A block may have come in sync by a write while it was asked for: its answer will come,
        // and will be acknowledged.
        if v.state.conn == Conn::SyncTarget && d.resync_requests(v.vnr) > 0 {
            return;
        }
        v.resync.ending = Ending::Acks;
        self.ping(d);
    }

    /// The peer, target of our resync, says that it is done.
    pub(super) fn peer_finished_resync(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        v.resync.peer_done = true;
        self.check_finished(i, d);
    }

    /// The target has told that it is done, but bits are set here. Acks that are on their way may
    /// clear them, and requests that are. What is left then has come by negative acks after the
    /// bitmap was sent: the target knows nothing of it, and is told by a new connection.
    fn look_for_the_rest(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let vnr = v.vnr;
        match v.resync.ending {
            Ending::Unseen => {
                v.resync.ending = Ending::LateAcks;
                self.ping(d);
            }
            Ending::LateRequests if d.open_requests(vnr) == 0 => {
                self.break_link(Conn::NetworkFailure, d);
            }
            Ending::LateRequests => self.drain(vnr, d),
            Ending::LateAcks | Ending::Acks => {}
        }
    }

    /// [`Event::Drained`](super::event::Event::Drained) is to come, also for writes that wait for
    /// the barrier ack of an epoch that is open.
    pub(super) fn drain(&self, vnr: u16, d: &mut dyn Driver) {
        d.perform(Effect::CloseEpoch);
        d.perform(Effect::Drain(vnr));
    }

    /// The acks that were under way when the end was noticed have been seen.
    pub(super) fn finish_resyncs(&mut self, d: &mut dyn Driver) {
        for i in 0..self.count() {
            let Some(v) = self.vol(i) else { continue };
            match v.resync.ending {
                Ending::Acks => self.finish_resync(i, d),
                Ending::LateAcks => {
                    v.resync.ending = Ending::LateRequests;
                    self.check_finished(i, d);
                }
                Ending::Unseen | Ending::LateRequests => {}
            }
        }
    }

    /// The only place where a resync makes a disk UpToDate.
    fn finish_resync(&mut self, i: usize, d: &mut dyn Driver) {
        let now = d.now_ms();
        let Some(v) = self.vol(i) else { return };
        let (vnr, rs, state) = (v.vnr, v.resync, v.state);
        v.resync.ending = Ending::Unseen;
        let Some(end) = End::of(state.conn, rs.failed) else {
            return;
        };
        if end == End::Verify {
            return self.finish_verify(i, now, d);
        }
        if d.bits_set(vnr) > rs.failed {
            return;
        }
        let target = state.conn.is_sync_target();
        self.log_end(vnr, now, &rs, d);
        if matches!(end, End::Complete(_)) {
            self.unite_generations(i, target, d);
        }
        d.perform(Effect::StopResync(vnr));
        // Bits that are set still would mean nothing beside what the superblock says of the end.
        d.perform(Effect::WriteBitmap(vnr));
        let _ = self.change(i, end.change(), Mode::Soft, d);
        if let Some(v) = self.vol(i) {
            v.resync = super::volume::Resync::default();
        }
        self.sync_metadata(i, d);
        if target {
            d.perform(Effect::Help {
                vnr,
                helper: HelperCall::AfterResyncTarget,
            });
        } else {
            self.unfence_peer(vnr, d);
        }
    }

    fn log_end(&self, vnr: u16, now: u64, rs: &super::volume::Resync, d: &mut dyn Driver) {
        let total_ms = now.saturating_sub(rs.started_ms);
        let active_ms = total_ms.saturating_sub(rs.paused_ms).max(1);
        let kib = rs
            .total
            .saturating_sub(rs.failed)
            .saturating_mul(BLOCK_SIZE as u64 / 1024);
        d.perform(Effect::Log(
            vnr,
            LogLine::ResyncDone {
                seconds: total_ms / 1000,
                paused: rs.paused_ms / 1000,
                kib_per_second: kib.saturating_mul(1000).checked_div(active_ms).unwrap_or(0),
            },
        ));
        if let Some(same) = d.equal_sums(vnr).filter(|_| rs.total > 0) {
            let total = rs.total;
            d.perform(Effect::Log(vnr, LogLine::EqualSums { same, total }));
        }
        if rs.failed > 0 {
            d.perform(Effect::Log(vnr, LogLine::FailedBlocks(rs.failed)));
        }
    }

    /// Both copies are of one generation again.
    fn unite_generations(&mut self, i: usize, target: bool, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, primary) = (v.vnr, v.state.role == Role::Primary);
        let Some(mut own) = v.uuids() else { return };
        match (target, &v.peer.uuids) {
            (true, Some(peer)) => {
                own.finish_as_target(&peer_set(peer), primary);
                v.exposed = own.current;
            }
            (true, None) => {}
            (false, _) => own.finish_as_source(),
        }
        // The next resync starts from what is remembered of the peer.
        if let Some(peer) = &mut v.peer.uuids {
            (peer.current, peer.bitmap, peer.history) = (own.current, own.bitmap, own.history);
        }
        v.set_uuids(own);
        d.perform(Effect::Log(vnr, LogLine::Uuids(UuidNews::Updated, own)));
    }

    /// All bits are set for a full sync that the administrator asked for.
    pub(super) fn all_bits_set(&mut self, i: usize, ok: bool, d: &mut dyn Driver) {
        match after_full_sync_set(ok, self.state(i).conn) {
            FullSyncStep::Request(change) => {
                let _ = self.change(i, change, Mode::Soft, d);
            }
            FullSyncStep::StartAsSource => self.start_resync(i, Side::Source, d),
            FullSyncStep::Nothing => {}
        }
    }

    /// The device grew while connected: the new part is synced, without exchange of bitmaps.
    pub(super) fn resync_after_grow(&mut self, i: usize, d: &mut dyn Driver) {
        let resolve = self.link.is_some_and(|l| l.resolve_conflicts);
        if resync::side_after_growth(&self.state(i), resolve) == Side::Source {
            self.start_resync(i, Side::Source, d);
        } else {
            let _ = self.change(i, Change::conn(Conn::WFSyncUUID), Mode::Soft, d);
        }
    }
}
