// SPDX-License-Identifier: GPL-2.0
//! Write epochs: what the peer's disk may reorder, and what it may not.
//!
//! A write that is issued after another one's completion must not overtake it on the peer's disk.
//! So the sender closes the epoch when a write of it is completed to the upper layer, and every
//! later write belongs to the next one. A `P_BARRIER` stands between two epochs on the wire.
//!
//! - [`SendEpoch`] numbers the writes as the single sender takes them from its queue. Admission
//!   therefore needs no lock: order on the wire is the order of taking.
//! - [`EpochLog`] knows the closed epochs that wait for their barrier ack, oldest first.
//! - [`PeerEpochs`] is the receiver's side: which epoch a write belongs to, whether it may go to
//!   the disk yet, and when the barrier ack is due: after all writes of the epoch are done, their
//!   acks are sent **and** the disks are flushed (docs/decisions: barrier acks promise stability).

use super::slots::{SlotId, SlotTable};

/// A closed epoch, as `P_BARRIER` announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedEpoch {
    /// The number in `P_BARRIER` and `P_BARRIER_ACK`.
    pub number: u32,
    /// How many writes the epoch has.
    pub writes: u32,
    /// The first of its writes; the others are linked behind it.
    pub first: SlotId,
}

/// The open epoch of a connection's sender. Owned by the sender alone.
#[derive(Debug, Default)]
pub struct SendEpoch {
    number: u32,
    writes: u32,
    first: Option<SlotId>,
    last: Option<SlotId>,
}

impl SendEpoch {
    /// Starts with epoch `number`.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// The number of the open epoch.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How many writes the open epoch has.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes
    }

    /// Puts a write into the open epoch.
    pub fn add(&mut self, table: &SlotTable<'_>, id: SlotId) {
        table.set_epoch(id, self.number);
        match self.last {
            Some(last) => table.link(last, id),
            None => self.first = Some(id),
        }
        self.last = Some(id);
        self.writes = self.writes.saturating_add(1);
    }

    /// Closes the open epoch. `None` if it has no write: then there is nothing to separate.
    pub fn close(&mut self) -> Option<ClosedEpoch> {
        let first = self.first.take()?;
        let closed = ClosedEpoch {
            number: self.number,
            writes: self.writes,
            first,
        };
        self.last = None;
        self.writes = 0;
        self.number = self.number.wrapping_add(1);
        Some(closed)
    }
}

/// How many closed epochs may wait for their barrier acks. A sender that finds the log full stops
/// taking requests until an ack comes.
pub const MAX_UNACKED_EPOCHS: usize = 4096;

/// Why a barrier ack is refused; ends the connection (ProtocolError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// No epoch waits for an ack.
    NothingSent,
    /// The oldest epoch has another number or size.
    Mismatch {
        /// The oldest epoch's number.
        number: u32,
        /// The oldest epoch's size.
        writes: u32,
    },
}

/// The closed epochs that wait for their barrier acks, oldest first, in a ring that the caller
/// lends.
#[derive(Debug)]
pub struct EpochLog<S> {
    ring: S,
    head: usize,
    len: usize,
}

impl<S: AsMut<[Option<ClosedEpoch>]>> EpochLog<S> {
    /// An empty log in `ring`.
    pub fn new(ring: S) -> Self {
        Self {
            ring,
            head: 0,
            len: 0,
        }
    }

    /// How many epochs wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no epoch waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether one more epoch would find a place.
    pub fn has_room(&mut self) -> bool {
        self.len < self.ring.as_mut().len()
    }

    /// Appends an epoch whose `P_BARRIER` is about to be sent. Gives it back when the log is full.
    ///
    /// # Errors
    ///
    /// The epoch itself, if there is no room.
    pub fn push(&mut self, epoch: ClosedEpoch) -> Result<(), ClosedEpoch> {
        let ring = self.ring.as_mut();
        if self.len >= ring.len() {
            return Err(epoch);
        }
        let at = self
            .head
            .wrapping_add(self.len)
            .checked_rem(ring.len())
            .unwrap_or(0);
        match ring.get_mut(at) {
            Some(place) => *place = Some(epoch),
            None => return Err(epoch),
        }
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// A barrier ack has come: gives the oldest epoch if the ack is for it.
    ///
    /// # Errors
    ///
    /// [`BarrierError`]; the log is unchanged then.
    pub fn acknowledge(&mut self, number: u32, writes: u32) -> Result<ClosedEpoch, BarrierError> {
        let head = self.head;
        let ring = self.ring.as_mut();
        let slots = ring.len();
        let place = ring
            .get_mut(head)
            .filter(|_| self.len > 0)
            .ok_or(BarrierError::NothingSent)?;
        let oldest = place.ok_or(BarrierError::NothingSent)?;
        if oldest.number != number || oldest.writes != writes {
            return Err(BarrierError::Mismatch {
                number: oldest.number,
                writes: oldest.writes,
            });
        }
        *place = None;
        self.head = head.wrapping_add(1).checked_rem(slots).unwrap_or(0);
        self.len = self.len.saturating_sub(1);
        Ok(oldest)
    }

    /// The number of the youngest epoch in the log.
    #[must_use]
    pub fn youngest(&mut self) -> Option<u32> {
        let ring = self.ring.as_mut();
        let last = self.head.wrapping_add(self.len.checked_sub(1)?);
        let at = last.checked_rem(ring.len())?;
        ring.get(at).copied().flatten().map(|e| e.number)
    }

    /// Forgets all epochs: the link is gone.
    pub fn clear(&mut self) {
        self.ring.as_mut().fill(None);
        self.head = 0;
        self.len = 0;
    }
}

/// Names an epoch on the receiving side. Wraps around; only compared for equality and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerEpochId(u32);

/// How many barriers may have been received whose acks are not sent yet. A receiver that finds no
/// room stops reading until one is done.
pub const MAX_PEER_EPOCHS: usize = 64;

#[derive(Clone, Copy, Debug, Default)]
struct PeerEpoch {
    /// The barrier's number, once received. Opaque.
    barrier: Option<u32>,
    size: u32,
    active: u32,
    flushing: bool,
    flushed: bool,
}

impl PeerEpoch {
    fn drained(&self) -> bool {
        self.barrier.is_some() && self.active == 0
    }
}

/// What the receiver's bookkeeping asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEpochStep {
    /// Flush the disks of all volumes, then call [`PeerEpochs::flushed`] with this id.
    Flush(PeerEpochId),
    /// Send `P_BARRIER_ACK` with this number and size; then look again.
    Ack {
        /// The barrier's number, as it came.
        barrier: u32,
        /// How many writes the epoch had.
        size: u32,
    },
    /// Writes of this epoch may go to the disk now: the ones that were parked.
    Release(PeerEpochId),
}

/// Why the bookkeeping has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyEpochs;

/// The epochs of received writes. One epoch is open, the ones before it wait for their writes, the
/// flush and the ack. Writes of an epoch may go to the disk when all earlier epochs are flushed.
#[derive(Debug)]
pub struct PeerEpochs {
    ring: [PeerEpoch; MAX_PEER_EPOCHS],
    /// Id of the oldest epoch.
    oldest: u32,
    /// Id of the open epoch; `oldest <= open`.
    open: u32,
    /// Writes up to this epoch may go to the disk.
    released: u32,
    /// Whether disks are flushed between epochs at all (write-ordering method `flush`).
    flush: bool,
}

impl PeerEpochs {
    /// Starts with an empty open epoch.
    #[must_use]
    pub const fn new(flush: bool) -> Self {
        const EMPTY: PeerEpoch = PeerEpoch {
            barrier: None,
            size: 0,
            active: 0,
            flushing: false,
            flushed: false,
        };
        Self {
            ring: [EMPTY; MAX_PEER_EPOCHS],
            oldest: 0,
            open: 0,
            released: 0,
            flush,
        }
    }

    /// Chooses whether later epochs are flushed. A flush that failed once is not tried again.
    pub fn set_flush(&mut self, flush: bool) {
        self.flush = flush;
    }

    /// Forgets everything: a new connection starts with an empty epoch.
    pub fn reset(&mut self) {
        *self = Self::new(self.flush);
    }

    fn get(&mut self, id: u32) -> Option<&mut PeerEpoch> {
        if id.wrapping_sub(self.oldest) > self.open.wrapping_sub(self.oldest) {
            return None;
        }
        self.ring.get_mut(id as usize % MAX_PEER_EPOCHS)
    }

    /// A write joins the open epoch. The flag says whether it may go to the disk at once; else it
    /// is parked until [`PeerEpochStep::Release`] names its epoch.
    pub fn join(&mut self) -> (PeerEpochId, bool) {
        let open = self.open;
        if let Some(e) = self.get(open) {
            e.size = e.size.saturating_add(1);
            e.active = e.active.saturating_add(1);
        }
        (PeerEpochId(open), open == self.released)
    }

    /// The open epoch, as [`PeerEpochs::join`] would give it, without joining it.
    #[must_use]
    pub fn open(&self) -> PeerEpochId {
        PeerEpochId(self.open)
    }

    /// Epochs that are not acknowledged, the open one included.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.open.wrapping_sub(self.oldest).saturating_add(1)
    }

    /// Whether one more barrier would find a place.
    #[must_use]
    pub fn has_room(&self) -> bool {
        (self.open.wrapping_sub(self.oldest) as usize) < MAX_PEER_EPOCHS - 1
    }

    /// A write that cannot be taken (no disk): it counts in the size and is answered at once.
    pub fn count_only(&mut self) {
        let open = self.open;
        if let Some(e) = self.get(open) {
            e.size = e.size.saturating_add(1);
        }
    }

    /// A write is done and its ack, if any, is sent.
    pub fn done(&mut self, id: PeerEpochId) {
        if let Some(e) = self.get(id.0) {
            e.active = e.active.saturating_sub(1);
        }
    }

    /// `P_BARRIER` was received. An empty epoch has no ack and stays open.
    ///
    /// # Errors
    ///
    /// [`TooManyEpochs`]: the caller waits for an ack to go out and tries again.
    pub fn barrier(&mut self, number: u32) -> Result<(), TooManyEpochs> {
        if !self.has_room() {
            return Err(TooManyEpochs);
        }
        let open = self.open;
        match self.get(open) {
            Some(e) if e.size > 0 => e.barrier = Some(number),
            _ => return Ok(()),
        }
        self.open = open.wrapping_add(1);
        let next = self.open;
        if let Some(e) = self.get(next) {
            *e = PeerEpoch::default();
        }
        Ok(())
    }

    /// The flush of [`PeerEpochStep::Flush`] is done.
    pub fn flushed(&mut self, id: PeerEpochId) {
        if let Some(e) = self.get(id.0) {
            e.flushing = false;
            e.flushed = true;
        }
    }

    /// What is to be done next, until `None`. To be called after every other call.
    #[must_use]
    pub fn next_step(&mut self) -> Option<PeerEpochStep> {
        let flush = self.flush;
        let (oldest, open, released) = (self.oldest, self.open, self.released);
        if oldest == open {
            if released != open {
                self.released = open;
                return Some(PeerEpochStep::Release(PeerEpochId(open)));
            }
            return None;
        }
        let e = self.get(oldest)?;
        if !e.drained() || e.flushing {
            return None;
        }
        if flush && !e.flushed {
            e.flushing = true;
            return Some(PeerEpochStep::Flush(PeerEpochId(oldest)));
        }
        if released == oldest {
            // The next epoch's writes may follow now; the ack is one more step away.
            self.released = oldest.wrapping_add(1);
            return Some(PeerEpochStep::Release(PeerEpochId(oldest.wrapping_add(1))));
        }
        let e = self.get(oldest)?;
        let (barrier, size) = (e.barrier?, e.size);
        self.oldest = oldest.wrapping_add(1);
        Some(PeerEpochStep::Ack { barrier, size })
    }
}
