// SPDX-License-Identifier: GPL-2.0
//! The blocks of a resync; kernel/resync.rs in small.

use super::Node;
use crate::bug::Bug;
use crate::node::sender::{put, range};
use crate::ranges::Tickets;
use crate::shared::{Actor, Shared};
use drbd_core::peer::Side;
use drbd_core::request::range::Work;
use drbd_core::resync::{Controller, Scan, Settings};
use drbd_core::wire::{Agreed, BlockId, BlockRange, BlockRequest, Packet};

/// Requests of a volume that may be open at once.
const OPEN_MAX: usize = 6;

/// A block that was asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    range: BlockRange,
    tickets: Tickets,
}

/// The resync of a volume.
#[derive(Debug)]
pub(crate) struct State {
    scan: Option<Scan>,
    controller: Controller,
    due_ms: u64,
    wanted: Vec<Wanted>,
    /// Blocks that have come and are not written yet.
    writing: u32,
    failed: u32,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            scan: None,
            controller: Controller::new(),
            due_ms: 0,
            wanted: Vec::new(),
            writing: 0,
            failed: 0,
        }
    }

    /// Nothing is asked for.
    pub(crate) fn is_idle(&self) -> bool {
        self.wanted.is_empty()
    }

    pub(crate) fn open_requests(&self) -> u32 {
        self.wanted.len() as u32 + self.writing
    }
}

impl Node {
    pub(crate) fn start_resync(&mut self, vol: u16, side: Side, s: &mut Shared) {
        s.count("resync");
        let now = s.now / 1000;
        let device = self.device(vol);
        device.rs_failed = 0;
        device.resync.failed = 0;
        if side == Side::Target {
            device.resync.scan = Some(Scan::new());
            device.resync.controller = Controller::new();
            device.resync.due_ms = now;
        }
        self.wake(Actor::Sender, s);
    }

    pub(crate) fn stop_resync(&mut self, vol: u16, s: &mut Shared) {
        let state = &mut self.device(vol).resync;
        state.scan = None;
        state.writing = 0;
        state.failed = 0;
        for wanted in std::mem::take(&mut state.wanted) {
            self.release_range(vol, wanted.tickets, s);
        }
        self.device(vol).rs_pending = 0;
        self.drop_parked(vol, s);
    }

    pub(crate) fn drop_parked(&mut self, vol: u16, s: &mut Shared) {
        for io in std::mem::take(&mut self.device(vol).parked_reads) {
            self.drop_io(io, s);
        }
    }

    /// Makes the step that is due: asks for blocks.
    pub(crate) fn resync_tick(&mut self, agreed: &Agreed, out: &mut Vec<u8>, s: &mut Shared) {
        for vol in 0..self.devices.len() as u16 {
            if self.device(vol).policy.sync_target {
                self.resync_step(vol, agreed, out, s);
            }
        }
    }

    fn resync_step(&mut self, vol: u16, agreed: &Agreed, out: &mut Vec<u8>, s: &mut Shared) {
        let now = s.now / 1000;
        let Some(bits) = self.device(vol).bits.clone() else {
            return;
        };
        if self.device(vol).local.is_none() {
            return;
        }
        let settings = Settings {
            resync_rate: 250,
            plan_ahead: 20,
            delay_target: 10,
            fill_target: 100,
            max_rate: 102_400,
            max_buffers: self.net.max_buffers,
        };
        let state = &mut self.device(vol).resync;
        if state.scan.is_none() {
            return;
        }
        if now < state.due_ms {
            let wait = (state.due_ms - now) * 1000;
            self.wake_in(wait, Actor::Sender, s);
            return;
        }
        state.due_ms = now + settings.step_ms();
        self.wake_in(settings.step_ms() * 1000, Actor::Sender, s);
        let state = &mut self.device(vol).resync;
        let mut allowed = state.controller.step(&settings);
        // Small requests show more than large ones.
        let max_bytes = 4096 << s.rng.below(4);
        while allowed > 0 && self.device(vol).resync.wanted.len() < OPEN_MAX {
            let Some(mut scan) = self.device(vol).resync.scan else {
                break;
            };
            let found = scan.next(bits.sectors(), max_bytes, |from| bits.next_set(from));
            let Some((sector, bytes)) = found else {
                let failed = self.device(vol).rs_failed;
                let state = &mut self.device(vol).resync;
                if state.wanted.is_empty() && bits.weight() > failed {
                    state.scan = Some(Scan::new());
                }
                break;
            };
            let Some(tickets) = self.take_range(vol, (sector, bytes), Work::ResyncWanted, s) else {
                self.device(vol).resync.scan = Some(scan);
                allowed -= 1;
                continue;
            };
            let range = range(sector, bytes);
            let state = &mut self.device(vol).resync;
            state.scan = Some(scan);
            state.controller.asked(range.sectors());
            state.wanted.push(Wanted { range, tickets });
            self.device(vol).rs_pending += 1;
            allowed = allowed.saturating_sub(bytes.div_ceil(4096));
            if s.bug(Bug::ClearWhenAsked) {
                self.mark_in_sync(vol, sector, bytes, s);
            }
            let block_id = BlockId::SYNCER;
            put(
                out,
                vol,
                &Packet::RsDataRequest(BlockRequest { range, block_id }),
                agreed,
            );
        }
    }

    /// A reply has come: gives the tickets of its range, if it was asked for.
    pub(crate) fn resync_arrived(
        &mut self,
        vol: u16,
        range: &BlockRange,
        s: &mut Shared,
    ) -> Option<Tickets> {
        let state = &mut self.device(vol).resync;
        let at = state.wanted.iter().position(|w| w.range == *range)?;
        let wanted = state.wanted.remove(at);
        state.controller.arrived(range.sectors());
        if state.open_requests() == 0 {
            // The machine may have waited for this one.
            self.resync_moved(vol, s);
        }
        self.resync_answered(vol);
        Some(wanted.tickets)
    }

    /// As [`Node::resync_arrived`], for a block that is written now.
    pub(crate) fn resync_arrived_to_write(
        &mut self,
        vol: u16,
        range: &BlockRange,
        s: &mut Shared,
    ) -> Option<Tickets> {
        self.device(vol).resync.writing += 1;
        let tickets = self.resync_arrived(vol, range, s);
        if tickets.is_none() {
            self.resync_written(vol, s);
        }
        tickets
    }

    /// A block of the resync is written, or could not be, and the source is told.
    pub(crate) fn resync_written(&mut self, vol: u16, s: &mut Shared) {
        let state = &mut self.device(vol).resync;
        state.writing = state.writing.saturating_sub(1);
        if state.open_requests() == 0 {
            self.resync_moved(vol, s);
        }
    }

    /// A request or reply of the resync has its answer; `false` if none was open.
    pub(crate) fn resync_answered(&mut self, vol: u16) -> bool {
        let pending = &mut self.device(vol).rs_pending;
        let open = *pending > 0;
        *pending = pending.saturating_sub(1);
        open
    }

    /// Blocks of the resync failed: the machine will be told.
    pub(crate) fn note_failed(&mut self, vol: u16, sector: u64, bytes: u32, s: &mut Shared) {
        let device = self.device(vol);
        let still = device
            .bits
            .as_ref()
            .map_or(0, |bits| bits.count(sector, bytes));
        device.rs_failed += still;
        device.resync.failed += still as u32;
        self.resync_moved(vol, s);
    }

    pub(crate) fn take_failed(&mut self, vol: u16) -> u32 {
        std::mem::take(&mut self.device(vol).resync.failed)
    }

    /// As source: reads a block for the target, as soon as no write is in its range.
    pub(crate) fn read_for_target(&mut self, io: u64, s: &mut Shared) {
        let Some(peer_io) = self.link.as_ref().and_then(|l| l.ios.get(&io)) else {
            return;
        };
        let (vol, at) = (peer_io.vol, (peer_io.sector, peer_io.bytes));
        let tickets = if s.bug(Bug::NoInterlockSource) {
            Some([0; 2])
        } else {
            self.take_range(vol, at, Work::ResyncIo, s)
        };
        match tickets {
            Some(tickets) => {
                if let Some(io) = self.link.as_mut().and_then(|l| l.ios.get_mut(&io)) {
                    io.tickets = tickets;
                }
                self.submit_peer_read(io, s);
            }
            None => self.device(vol).parked_reads.push_back(io),
        }
    }

    /// Parked reads are tried again: somebody has let a range go.
    pub(crate) fn retry_parked_reads(&mut self, vol: u16, s: &mut Shared) {
        for io in std::mem::take(&mut self.device(vol).parked_reads) {
            self.read_for_target(io, s);
        }
    }
}
