// SPDX-License-Identifier: GPL-2.0
//! Fencing the peer (docs/states.md, "Fencing"): a cut-off node makes sure that its peer does not
//! go on alone. It runs on the way to Primary, and by itself when a Primary has lost its peer.
//!
//! The helper runs in the driver; its exit code comes back as
//! [`Event::HelperDone`](super::Event::HelperDone). One run serves all who wait for it.

use super::event::{Driver, Effect, HelperCall, LogLine};
use super::machine::Resource;
use super::volume::Volume;
use crate::state::fence::{self, FenceStart};
use crate::state::{Change, Conn, Disk, Fencing, LogEvent, Mode};

/// A run of the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FenceRun {
    pub(super) policy: Fencing,
    /// Links that were up until it began.
    pub(super) links: u32,
}

impl<V: AsRef<[Volume]> + AsMut<[Volume]>> Resource<V> {
    /// Fences the peer. `None`: the helper runs; [`Resource::fence_helper_done`] goes on.
    pub(super) fn fence_peer(&mut self, d: &mut dyn Driver) -> Option<bool> {
        if self.fencing.is_some() {
            return None;
        }
        let volumes = self.volumes.as_ref().iter();
        let disks = volumes.map(|v| {
            let fencing = v.disk.as_ref().map_or(Fencing::DontCare, |d| d.fencing);
            (v.state.disk, fencing)
        });
        match fence::start(self.cstate, disks) {
            FenceStart::Connected => Some(false),
            FenceStart::DontCare => Some(true),
            FenceStart::NotConsistent => {
                self.not_even_consistent(d);
                Some(false)
            }
            FenceStart::RunHelper(policy) => {
                let vnr = self.peek(0)?.vnr;
                self.fencing = Some(FenceRun {
                    policy,
                    links: self.links,
                });
                let helper = HelperCall::FencePeer;
                d.perform(Effect::Help { vnr, helper });
                None
            }
        }
    }

    /// A Primary has lost its link.
    pub(super) fn fence_after_loss(&mut self, d: &mut dyn Driver) {
        if fence::wanted_after_loss(&self.summary()) {
            let _ = self.fence_peer(d);
        }
    }

    /// A resync as its source is over. When all of the peer's disks are good again, what kept it
    /// from going on alone may be taken away.
    pub(super) fn unfence_peer(&self, vnr: u16, d: &mut dyn Driver) {
        let summary = self.summary();
        let good = summary.lowest_disk == Disk::UpToDate && summary.lowest_pdsk == Disk::UpToDate;
        let disk = self.volume(vnr).and_then(|v| v.disk);
        if good && disk.is_some_and(|disk| disk.fencing != Fencing::DontCare) {
            d.perform(Effect::Help {
                vnr,
                helper: HelperCall::UnfencePeer,
            });
        }
    }

    /// This node has no say in who is current: I/O that waited for a decision fails.
    fn not_even_consistent(&mut self, d: &mut dyn Driver) {
        let Some(vnr) = self.peek(0).map(|v| v.vnr) else {
            return;
        };
        d.perform(Effect::Log(vnr, LogLine::NotEvenConsistent));
        if self.cstate >= Conn::WFReportParams {
            return;
        }
        let change = Change {
            susp_fen: Some(false),
            ..Change::NONE
        };
        let _ = self.conn_change(change, Mode::Hard, d);
        let suspended = self.volumes.as_ref().iter().any(|v| v.state.is_suspended());
        if !suspended {
            d.perform(Effect::Requests(LogEvent::ConnectionLostWhilePending));
        }
    }

    /// The helper `fence-peer` has ended.
    pub(super) fn fence_helper_done(&mut self, exit: u8, d: &mut dyn Driver) {
        let Some(run) = self.fencing.take() else {
            return;
        };
        let fenced = fence::exit_code(exit, run.policy, self.summary().highest_disk);
        if let Some(vnr) = self.peek(0).map(|v| v.vnr) {
            d.perform(Effect::Log(vnr, LogLine::FencePeer { exit, fenced }));
        }
        let still_down =
            self.cstate < Conn::WFReportParams && !self.state_sent && self.links == run.links;
        if let (true, Some(change)) = (still_down, fenced.change()) {
            let _ = self.conn_change(change, Mode::Soft, d);
        }
        if self.links != run.links {
            // It was about a peer that has been here since, and may be gone again.
            self.fence_after_loss(d);
        }
        let highest: Disk = self.summary().highest_pdsk;
        self.fencing_ended(fenced.succeeded(highest), d);
    }
}
