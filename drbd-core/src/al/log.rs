// SPDX-License-Identifier: GPL-2.0
//! What changes the set: wishes are gathered, a transaction is written, and then they come true.

use super::set::{extents_of, ActiveSet, Bucket, Refs, Slot};
use super::NIL;
use crate::meta::al::{emit, TransactionHead, Update, CONTEXT_ENTRIES, UPDATES_MAX};
use crate::meta::AlLayout;

/// Why a range is not covered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The transaction that is gathered has no room: write it first.
    ForTransaction,
    /// Each slot has references, or is about to get an extent that somebody wants. After a
    /// transaction, or when [`ActiveSet::uncover`] says so, there may be one. Until
    /// [`Log::nobody_starves`] is said, nobody gets a reference without asking. The same while the
    /// log is being closed.
    ForSlot,
    /// The log cannot be written any more.
    Failed,
    /// No log describes this range; see [`extents_of`].
    NoSuchExtent,
}

/// What [`Log::start`] began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// Nothing: no changes were gathered, or a transaction is under way, or the log has failed.
    Nothing,
    /// A transaction. If `evicts`, what the bitmap says of [`Log::evicted`] has to be on its way
    /// to the disk, then comes [`Log::bitmap_written`]; in any case the block is next.
    Transaction {
        /// Extents leave the log.
        evicts: bool,
    },
    /// Updates are off: the changes were made in memory only, and the extents count as active.
    Committed,
}

/// A call that is not the next step of the transaction, or a block of another size than 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepError;

/// Where the transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// None is under way.
    Idle,
    /// The bitmap of what it evicts is being written.
    Bitmap,
    /// Its block is to be written, or being written.
    Block,
    /// One was not written: nothing new becomes active any more.
    Failed,
}

/// Whether references are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// Another log is about to take the place: no new ones.
    Closing,
    /// Nobody has any.
    Closed,
}

/// Changes of one transaction: slots linked by their `next`, last added first.
#[derive(Clone, Copy, Debug)]
struct Batch {
    first: u16,
    count: u16,
}

impl Batch {
    const EMPTY: Self = Self {
        first: NIL,
        count: 0,
    };

    fn slots<S, B>(self, set: &ActiveSet<S, B>) -> impl Iterator<Item = u16> + '_
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        let mut at = self.first;
        (0..self.count).map_while(move |_| {
            let nr = at;
            at = set.next(nr);
            (nr != NIL).then_some(nr)
        })
    }
}

/// The one who changes an [`ActiveSet`]; all calls are about the same set.
#[derive(Debug)]
pub struct Log {
    layout: AlLayout,
    head: TransactionHead,
    /// Slots below this number never held an extent.
    fresh: u16,
    /// Where the search for a victim goes on.
    hand: u16,
    /// Changes for the next transaction.
    gathering: Batch,
    /// Changes of the transaction that is under way.
    writing: Batch,
    phase: Phase,
    updates: bool,
    door: Door,
    changed: u64,
    missed: u64,
    starved: u64,
}

impl Log {
    /// For an empty set of `slots` slots, on a ring that says nothing. Transactions are numbered
    /// from 0. Without `updates` nothing is ever written.
    #[must_use]
    pub const fn new(layout: AlLayout, slots: u16, updates: bool) -> Self {
        Self {
            layout,
            head: TransactionHead {
                number: 0,
                slots,
                context_start: 0,
            },
            fresh: slots,
            hand: 0,
            gathering: Batch::EMPTY,
            writing: Batch::EMPTY,
            phase: Phase::Idle,
            updates,
            door: Door::Open,
            changed: 0,
            missed: 0,
            starved: 0,
        }
    }

    /// The log for a set of another size, which takes the place of this one on the same ring. To be
    /// asked once this one is closed ([`Log::close`]), and the bitmap stable.
    ///
    /// Its transactions are numbered on: whatever the ring still says of the old set is older.
    #[must_use]
    pub const fn successor(&self, slots: u16) -> Self {
        let mut new = Self::new(self.layout, slots, self.updates);
        new.head.number = self.head.number;
        (new.changed, new.missed, new.starved) = (self.changed, self.missed, self.starved);
        new
    }

    /// No new references are given. `true`: nobody has any, so another log can take the place of
    /// this one. Until then to be asked again, whenever [`ActiveSet::uncover`] says so, or taken
    /// back by [`Log::reopen`].
    #[must_use]
    pub fn close<S, B>(&mut self, set: &ActiveSet<S, B>) -> bool
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if self.door == Door::Open {
            self.door = Door::Closing;
            set.set_starving(true);
        }
        let ready = self.phase == Phase::Idle && self.gathering.count == 0;
        if self.door == Door::Closing && ready && set.seal() {
            self.door = Door::Closed;
        }
        self.door == Door::Closed
    }

    /// References are given again: the log stays as it is.
    pub fn reopen<S, B>(&mut self, set: &ActiveSet<S, B>)
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if self.door == Door::Closed {
            set.unseal();
        }
        self.door = Door::Open;
        set.set_starving(false);
        set.relieve();
    }

    /// Whether transactions are written.
    #[must_use]
    pub const fn updates(&self) -> bool {
        self.updates
    }

    /// Writes transactions from now on, or not. Who turns it on has to tell the disk the whole set
    /// first: [`Log::start_context`].
    pub fn set_updates(&mut self, on: bool) {
        self.updates = on;
    }

    /// Wishes that were not fulfilled at once, those of them that found no slot, and transactions.
    #[must_use]
    pub const fn counters(&self) -> (u64, u64, u64) {
        (self.missed, self.starved, self.changed)
    }

    /// Wants the extents of a range to be active, and takes references to them.
    ///
    /// `true` with the references: they count only when the transactions that are gathered and
    /// under way now have been written.
    ///
    /// # Errors
    ///
    /// [`Wait`] says what has to happen before; no references were taken then.
    pub fn want<S, B>(
        &mut self,
        set: &ActiveSet<S, B>,
        sector: u64,
        bytes: u32,
    ) -> Result<(Refs, bool), Wait>
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        let (first, last) = extents_of(sector, bytes).ok_or(Wait::NoSuchExtent)?;
        if self.door != Door::Open {
            return Err(Wait::ForSlot);
        }
        // One that is there is held first: making room for the other must not evict it.
        let swap = set.find(first).is_none() && set.find(last).is_some();
        let (one, other) = if swap { (last, first) } else { (first, last) };
        let one = self.want_extent(set, one)?;
        let two = if first == last {
            None
        } else {
            match self.want_extent(set, other) {
                Ok(nr) => Some(nr),
                Err(wait) => {
                    // Nobody but us can wait for the slot.
                    let _ = set.uncover(set.refs(one, None));
                    return Err(wait);
                }
            }
        };
        let pending = |nr: u16| set.cell(nr).is_pending();
        let waits = pending(one) || two.is_some_and(pending);
        self.missed = self.missed.wrapping_add(u64::from(waits));
        Ok((set.refs(one, two), waits))
    }

    /// Nobody waits for a slot any more: hot extents are given to everybody again. To be said by
    /// whoever was told [`Wait::ForSlot`], once all that were are served or have given up.
    pub fn nobody_starves<S, B>(&self, set: &ActiveSet<S, B>)
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if self.door == Door::Open {
            set.set_starving(false);
        }
    }

    fn want_extent<S, B>(&mut self, set: &ActiveSet<S, B>, extent: u32) -> Result<u16, Wait>
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if let Some(nr) = set.find(extent) {
            if self.phase == Phase::Failed && set.cell(nr).is_pending() {
                return Err(Wait::Failed);
            }
            return if set.hold(nr) {
                Ok(nr)
            } else {
                Err(Wait::ForSlot)
            };
        }
        if self.phase == Phase::Failed {
            return Err(Wait::Failed);
        }
        if usize::from(self.gathering.count) >= UPDATES_MAX {
            return Err(Wait::ForTransaction);
        }
        let nr = match self.claim_slot(set, extent) {
            Some(nr) => nr,
            None => {
                // Announced first, and looked again: whoever gives a reference back from here on
                // sees that somebody waits.
                set.set_starving(true);
                self.starved = self.starved.wrapping_add(1);
                self.claim_slot(set, extent).ok_or(Wait::ForSlot)?
            }
        };
        set.set_next(nr, self.gathering.first);
        self.gathering = Batch {
            first: nr,
            count: self.gathering.count.saturating_add(1),
        };
        Ok(nr)
    }

    /// A slot that never held an extent, from the last one down; then the one that was not used
    /// for longest, as far as marks tell: the hand goes round, takes the marks away, and stops at
    /// the first slot without mark and references.
    fn claim_slot<S, B>(&mut self, set: &ActiveSet<S, B>, extent: u32) -> Option<u16>
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if let Some(nr) = self.fresh.checked_sub(1) {
            self.fresh = nr;
            return set.claim(nr, extent).then_some(nr);
        }
        let slots = set.len();
        for _ in 0..u32::from(slots).saturating_mul(2) {
            let nr = self.hand;
            let next = nr.saturating_add(1);
            self.hand = if next >= slots { 0 } else { next };
            let cell = set.cell(nr);
            if cell.is_pending() || cell.references() > 0 || set.forget_use(nr) {
                continue;
            }
            if set.claim(nr, extent) {
                return Some(nr);
            }
        }
        None
    }

    /// Starts a transaction with all that was gathered, unless one is under way.
    pub fn start<S, B>(&mut self, set: &ActiveSet<S, B>) -> Started
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if self.phase != Phase::Idle || self.gathering.count == 0 {
            return Started::Nothing;
        }
        self.writing = core::mem::replace(&mut self.gathering, Batch::EMPTY);
        if !self.updates {
            self.commit(set);
            return Started::Committed;
        }
        let evicts = self.evicted(set).next().is_some();
        self.phase = if evicts { Phase::Bitmap } else { Phase::Block };
        Started::Transaction { evicts }
    }

    /// Starts a transaction without changes, which tells the disk a window of the set. `false`: one
    /// is under way, or the log has failed. [`Log::windows`] in a row tell all.
    pub fn start_context(&mut self) -> bool {
        let idle = self.phase == Phase::Idle;
        if idle {
            self.phase = Phase::Block;
        }
        idle
    }

    /// Transactions that it takes to tell the whole set.
    #[must_use]
    pub const fn windows(&self) -> u16 {
        self.head.slots.div_ceil(CONTEXT_ENTRIES)
    }

    /// The extents that leave the log with the transaction under way. None of them has a write in
    /// flight. What is set in their part of the bitmap must be stable before the block is.
    pub fn evicted<'a, S, B>(&self, set: &'a ActiveSet<S, B>) -> impl Iterator<Item = u32> + 'a
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        let batch = self.writing;
        batch.slots(set).filter_map(|nr| set.label_on_disk(nr))
    }

    /// The bitmap of what is evicted has been written (it may still be in the disk's cache: the
    /// block goes out with a flush before it).
    ///
    /// # Errors
    ///
    /// [`StepError`] if that is not what the transaction waits for.
    pub fn bitmap_written(&mut self) -> Result<(), StepError> {
        if self.phase != Phase::Bitmap {
            return Err(StepError);
        }
        self.phase = Phase::Block;
        Ok(())
    }

    /// Puts the block of the transaction into `block`; gives its place in blocks from the start of
    /// the log.
    ///
    /// # Errors
    ///
    /// [`StepError`] if it is not time for the block, or `block` is not one.
    pub fn emit<S, B>(&self, set: &ActiveSet<S, B>, block: &mut [u8]) -> Result<u32, StepError>
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if self.phase != Phase::Block {
            return Err(StepError);
        }
        let updates = self.writing.slots(set).map(|slot| Update {
            slot,
            extent: set.cell(slot).extent(),
        });
        emit(block, self.head, updates, |nr| set.label_on_disk(nr)).map_err(|_| StepError)?;
        Ok(self.layout.block_of(self.head.number))
    }

    /// The block is stable: its extents are in the log.
    ///
    /// # Errors
    ///
    /// [`StepError`] if no block was to be written.
    pub fn block_written<S, B>(&mut self, set: &ActiveSet<S, B>) -> Result<(), StepError>
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        if self.phase != Phase::Block {
            return Err(StepError);
        }
        self.head = self.head.next();
        self.phase = Phase::Idle;
        self.commit(set);
        Ok(())
    }

    /// The bitmap or the block could not be written. What was active stays so; nothing else will
    /// be, as nobody knows what the disk has.
    pub fn failed(&mut self) {
        self.phase = Phase::Failed;
    }

    /// Whether [`Log::failed`] was called.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.phase == Phase::Failed
    }

    fn commit<S, B>(&mut self, set: &ActiveSet<S, B>)
    where
        S: AsRef<[Slot]>,
        B: AsRef<[Bucket]>,
    {
        let batch = core::mem::replace(&mut self.writing, Batch::EMPTY);
        for nr in batch.slots(set) {
            set.commit(nr);
        }
        self.changed = self.changed.wrapping_add(1);
    }
}
