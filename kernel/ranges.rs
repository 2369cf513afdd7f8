// SPDX-License-Identifier: GPL-2.0

//! The range locks of a volume: one lock per shard around [`drbd_core::request::range`].
//!
//! A range of at most 1 MiB touches at most two granules, so at most two shards. They are taken in
//! ascending order of shard and never held together.

use drbd_core::request::range::{Busy, Entry, Range, Shard, Ticket, Work};
use kernel::prelude::*;

use crate::sys::{new_spinlock_irq, SpinLockIrq};
use crate::vector;

/// Shards of a volume.
const SHARDS: usize = 32;
/// Entries of a shard: a resync may ask about 128 scattered blocks of one MiB, and as many entries
/// are left for writes and for the blocks that come.
const ENTRIES: usize = 256;

type Place = KVec<Option<Entry>>;

struct Entries(Place);

impl AsRef<[Option<Entry>]> for Entries {
    fn as_ref(&self) -> &[Option<Entry>] {
        &self.0
    }
}

impl AsMut<[Option<Entry>]> for Entries {
    fn as_mut(&mut self) -> &mut [Option<Entry>] {
        &mut self.0
    }
}

/// A range that is taken, as up to two numbers; 0 stands for none.
pub(crate) type Tickets = [u64; 2];

/// What became of the wish for a range.
pub(crate) enum Taken {
    /// It is ours.
    Done(Tickets),
    /// It is another's.
    Busy {
        /// Somebody waits for what we have let go again.
        waited: bool,
    },
}

/// Who works on which range of a volume.
pub(crate) struct Ranges {
    shards: KVec<Pin<KBox<SpinLockIrq<Shard<Entries>>>>>,
}

impl Ranges {
    /// Nothing going on. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut shards = KVec::with_capacity(SHARDS, GFP_KERNEL)?;
        for _ in 0..SHARDS {
            let mut entries = KVec::with_capacity(ENTRIES, GFP_KERNEL)?;
            for _ in 0..ENTRIES {
                vector::push(&mut entries, None, GFP_KERNEL)?;
            }
            let shard = Shard::new(Entries(entries));
            let lock = KBox::pin_init(new_spinlock_irq!(shard, "drbd_ranges"), GFP_KERNEL)?;
            vector::push(&mut shards, lock, GFP_KERNEL)?;
        }
        Ok(Self { shards })
    }

    /// Takes the range for `work`. If that cannot be now, `park` is called under the lock of the
    /// shard that is in the way: no release can come in between. [`Taken::Busy`] says whether
    /// somebody has begun to wait for a half that was taken for a moment.
    pub(crate) fn take(&self, sector: u64, bytes: u32, work: Work, park: impl FnOnce()) -> Taken {
        let mut tickets = [0; 2];
        let Some(range) = Range::new(sector, bytes) else {
            return Taken::Done(tickets);
        };
        let mut count = 0;
        for index in range.shards(SHARDS) {
            let (Some(lock), Some(place)) = (self.shards.get(index), tickets.get_mut(count)) else {
                continue;
            };
            let mut shard = lock.lock();
            match shard.try_take(range, work) {
                Ok(ticket) => *place = ticket.to_raw(index),
                Err(Busy::Overlap | Busy::Full) => {
                    park();
                    drop(shard);
                    return Taken::Busy {
                        waited: self.release(tickets),
                    };
                }
            }
            count = 1;
        }
        Taken::Done(tickets)
    }

    /// Lets a range go. `true`: somebody waits.
    pub(crate) fn release(&self, tickets: Tickets) -> bool {
        let mut waited = false;
        for ticket in tickets {
            let Some((index, ticket)) = Ticket::from_raw(ticket) else {
                continue;
            };
            if let Some(lock) = self.shards.get(index) {
                waited |= lock.lock().release(ticket);
            }
        }
        waited
    }
}
