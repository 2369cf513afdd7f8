// SPDX-License-Identifier: GPL-2.0

//! What the transitions of a request ask for ([`drbd_core::request::word::Duties`]).

use core::sync::atomic::Ordering;
use drbd_core::request::slots::SlotId;
use drbd_core::request::word::{Duties, Gone, Outcome};
use kernel::sync::Arc;

use super::Device;
use crate::sys::bio::{AccountingStart, Status, UpperBio};

impl Device {
    /// Does what a transition asked for. Any context.
    pub(crate) fn perform(self: &Arc<Self>, slot: SlotId, sector: u64, bytes: u32, duties: Duties) {
        let plane = &self.resource.plane;
        if duties.set_out_of_sync {
            self.mark_out_of_sync(sector, bytes);
        }
        if duties.copies_part {
            self.requests_part(Gone::Nobody);
        }
        if duties.close_epoch {
            self.resource.close_epoch(plane.table().epoch(slot));
        }
        if duties.retry {
            let tickets = plane.take_tickets(slot);
            if let Some((upper, started)) = plane.take_upper(slot) {
                upper.end_accounting(started);
                self.counters.ap_bio.fetch_sub(1, Ordering::Relaxed);
                self.park(upper);
            }
            self.release_range(tickets);
            self.kick();
            self.drop_hold(slot);
        }
        if let Some(outcome) = duties.complete {
            let tickets = plane.take_tickets(slot);
            if let Some((upper, started)) = plane.take_upper(slot) {
                match outcome {
                    Outcome::Success => self.end(upper, started, Status::OK),
                    Outcome::Error => self.end(upper, started, Status::IO_ERROR),
                }
            }
            self.release_range(tickets);
            self.drop_hold(slot);
        }
        if duties.set_in_sync {
            self.mark_in_sync(sector, bytes);
        }
        if duties.destroy {
            // By now the bitmap knows what it has to.
            let refs = plane.take_refs(slot);
            self.uncover(refs);
            self.drop_hold(slot);
        }
    }

    /// A request is answered, or destroyed: with the second of the two its slot is free. Any
    /// context.
    fn drop_hold(self: &Arc<Self>, slot: SlotId) {
        let Some(wanted) = self.resource.plane.drop_hold(slot) else {
            return;
        };
        if wanted {
            self.resource.slot_is_free();
        }
        if self.draining.load(Ordering::SeqCst) {
            self.kick();
        }
    }

    /// Gives the slot of a request back. Any context.
    pub(crate) fn give_back(&self, slot: SlotId) {
        if self.resource.plane.give_back(slot) {
            self.resource.slot_is_free();
        }
    }

    /// Answers a bio. Any context.
    pub(crate) fn end(&self, upper: UpperBio, started: AccountingStart, status: Status) {
        upper.end_accounting(started);
        self.counters.ap_bio.fetch_sub(1, Ordering::Relaxed);
        upper.end(status);
    }
}
