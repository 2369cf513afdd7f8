// SPDX-License-Identifier: GPL-2.0
//! Who works on which range of a volume; kernel/ranges.rs in small.

use drbd_core::request::range::{Entry, Range, Shard, Ticket, Work};

const SHARDS: usize = 2;

/// A range that is taken, as up to two numbers; 0 stands for none.
pub(crate) type Tickets = [u64; 2];

/// The ranges of a volume.
#[derive(Debug)]
pub(crate) struct Ranges([Shard<Vec<Option<Entry>>>; SHARDS]);

impl Ranges {
    /// Nothing going on; each shard has `entries` entries.
    pub(crate) fn new(entries: usize) -> Self {
        Self(std::array::from_fn(|_| Shard::new(vec![None; entries])))
    }

    /// Takes the range; `Err` tells whether somebody waits for a half that was let go again.
    pub(crate) fn take(&mut self, sector: u64, bytes: u32, work: Work) -> Result<Tickets, bool> {
        let mut tickets = [0; 2];
        let Some(range) = Range::new(sector, bytes) else {
            return Ok(tickets);
        };
        for (place, index) in range.shards(SHARDS).enumerate() {
            match self.0[index].try_take(range, work) {
                Ok(ticket) => tickets[place] = ticket.to_raw(index),
                Err(_) => return Err(self.release(tickets)),
            }
        }
        Ok(tickets)
    }

    /// Lets a range go. `true`: somebody waits.
    pub(crate) fn release(&mut self, tickets: Tickets) -> bool {
        let mut waited = false;
        for ticket in tickets {
            if let Some((index, ticket)) = Ticket::from_raw(ticket) {
                waited |= self.0[index].release(ticket);
            }
        }
        waited
    }

    /// Nothing is going on.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.iter().all(Shard::is_idle)
    }
}
