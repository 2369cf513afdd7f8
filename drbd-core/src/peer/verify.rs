// SPDX-License-Identifier: GPL-2.0
//! The course of an online verify, as far as the owner of the state decides it (docs/states.md,
//! "Online verify").
//!
//! The two nodes agree on it as on any change that concerns both. The driver asks, compares and
//! counts ([`crate::verify`]). When all results are there, a ping round trip makes sure that the
//! peer has them, too; then this node is Connected again. What differs is marked, and the handler
//! `out-of-sync` hears of it.

use super::event::{Driver, Effect, HelperCall, LogLine};
use super::machine::Resource;
use super::volume::{Ending, Resync, Side, Volume};
use crate::meta::BLOCK_SIZE;
use crate::state::resync::End;
use crate::state::{Conn, Helper, Mode};

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// The state has become VerifyS or VerifyT.
    pub(super) fn begin_verify(&mut self, i: usize, conn: Conn, d: &mut dyn Driver) {
        let now = d.now_ms();
        let Some(v) = self.vol(i) else { return };
        v.resync = Resync {
            started_ms: now,
            paused_since_ms: now,
            ..Resync::default()
        };
        let side = if conn == Conn::VerifyS {
            Side::Source
        } else {
            Side::Target
        };
        d.perform(Effect::StartVerify { vnr: v.vnr, side });
    }

    /// Here or at the peer nothing is left to verify.
    pub(super) fn verify_done(&mut self, i: usize, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        if v.state.conn.is_verify() && v.resync.ending == Ending::Unseen {
            v.resync.ending = Ending::Acks;
            self.ping(d);
        }
    }

    /// The results that were under way when the end was noticed have been seen.
    pub(super) fn finish_verify(&mut self, i: usize, now: u64, d: &mut dyn Driver) {
        let Some(v) = self.vol(i) else { return };
        let (vnr, started) = (v.vnr, v.resync.started_ms);
        let seen = d.verified(vnr);
        // What earlier ones have found and no resync has made good counts, too.
        let found = d.bits_set(vnr);
        let total_ms = now.saturating_sub(started);
        let kib = seen.saturating_mul(BLOCK_SIZE as u64 / 1024);
        let kib_per_second = kib.saturating_mul(1000).checked_div(total_ms.max(1));
        let line = LogLine::VerifyDone {
            seconds: total_ms / 1000,
            paused: 0,
            kib_per_second: kib_per_second.unwrap_or(0),
        };
        d.perform(Effect::Log(vnr, line));
        if found > 0 {
            d.perform(Effect::Log(vnr, LogLine::VerifyFound(found)));
        }
        let _ = self.change(i, End::Verify.change(), Mode::Soft, d);
        if let Some(v) = self.vol(i) {
            v.resync = Resync::default();
        }
        self.sync_metadata(i, d);
        if found > 0 {
            let helper = HelperCall::Notice(Helper::OutOfSync);
            d.perform(Effect::Help { vnr, helper });
        }
    }
}
