// SPDX-License-Identifier: GPL-2.0
//! Who works on which range of a volume right now.
//!
//! Three kinds of work must not overlap on a node (docs/states.md, "Conflict handling" and
//! "Resync"):
//!
//! - two application writes, because within one epoch the peer's disk may reorder them;
//! - an application write and a resync operation. A resync reply that was read before a write but
//!   written after it would bring back old data and then mark it in sync. A range is locked by the
//!   resync from the request until the block is on the disk (target), and from the read until the
//!   reply is queued (source). So on the wire a reply always stands before the writes that waited
//!   for it;
//! - two resync operations.
//!
//! [`Work::excludes`] is the table.
//!
//! Nobody sleeps here: who finds the range taken is parked by the caller and tries again when a
//! release says that somebody waits.
//!
//! A volume's ranges are kept in shards of [`SHARD_SECTORS`] sectors, each with its own lock in the
//! kernel, so that writes far from each other never meet. The block layer splits bios at shard
//! borders; a peer's write or a resync request that crosses one takes its place in both shards.
//!
//! Ranges that are only wanted have at most half of a shard's entries. Each of them waits for a
//! reply, and what makes a reply usable needs an entry itself: the block's way to the disk, and on
//! a receiver that must not stop, the peer's writes that stand before the reply. With all entries
//! given to wanted ranges, scattered blocks of one MiB would wait for each other for ever.

/// Sectors of one granule; two ranges in different granules may be in different shards. 1 MiB.
pub const SHARD_SECTORS: u64 = 2048;

/// What is done to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A write of the application on this node, until it is answered.
    LocalWrite,
    /// A write of the peer's application, while it is on its way to the disk.
    PeerWrite,
    /// The target has asked for the range: the reply may be on its way.
    ResyncWanted,
    /// A resync block is read (source, until the reply is queued) or written (target).
    ResyncIo,
}

impl Work {
    /// Whether the two must not overlap.
    ///
    /// The peer's writes do not wait for each other: within an epoch its sender keeps them apart,
    /// and epochs follow each other. They pass a range that is only wanted: the source reads such
    /// a range after the write, so the reply has the same data or newer.
    #[must_use]
    pub fn excludes(self, other: Self) -> bool {
        use Work as W;
        match (self, other) {
            (W::PeerWrite, W::PeerWrite | W::ResyncWanted)
            | (W::ResyncWanted, W::PeerWrite | W::ResyncIo)
            | (W::ResyncIo, W::ResyncWanted) => false,
            (W::LocalWrite, _)
            | (W::PeerWrite, W::LocalWrite | W::ResyncIo)
            | (W::ResyncWanted, W::LocalWrite | W::ResyncWanted)
            | (W::ResyncIo, W::LocalWrite | W::PeerWrite | W::ResyncIo) => true,
        }
    }
}

/// A range of sectors: `start..end`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// The range of `bytes` bytes from `sector` on. `None` if it is empty or overflows.
    #[must_use]
    pub fn new(sector: u64, bytes: u32) -> Option<Self> {
        let sectors = u64::from(bytes.div_ceil(512));
        let end = sector.checked_add(sectors)?;
        (sectors > 0).then_some(Self { start: sector, end })
    }

    /// First sector.
    #[must_use]
    pub fn start(self) -> u64 {
        self.start
    }

    /// First sector behind the range.
    #[must_use]
    pub fn end(self) -> u64 {
        self.end
    }

    /// Whether the two share a sector.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The shards that the range touches if a volume has `count` of them. At most two for a range
    /// of at most [`SHARD_SECTORS`]; one that is touched twice in a row comes once.
    #[inline]
    pub fn shards(self, count: usize) -> impl Iterator<Item = usize> {
        let granules = (self.start / SHARD_SECTORS)..=(self.end.saturating_sub(1) / SHARD_SECTORS);
        let mut last = None;
        granules.filter_map(move |granule| {
            let shard = granule.checked_rem(count as u64)? as usize;
            (last.replace(shard) != Some(shard)).then_some(shard)
        })
    }
}

/// Names an entry of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

impl Ticket {
    /// The ticket of a shard as a number, for an atomic beside the request; 0 stands for none.
    #[inline]
    #[must_use]
    pub fn to_raw(self, shard: usize) -> u64 {
        ((shard as u64).wrapping_add(1) << 32) | u64::from(self.0)
    }

    /// Shard and ticket that [`Ticket::to_raw`] told; `None` for 0.
    #[inline]
    #[must_use]
    pub fn from_raw(raw: u64) -> Option<(usize, Self)> {
        let shard = (raw >> 32).checked_sub(1)?;
        Some((shard as usize, Self(raw as u32)))
    }
}

/// Why a range cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Somebody works on an overlapping range. The release will say that somebody waits.
    Overlap,
    /// All entries of the shard that this work may have are in use.
    Full,
}

/// One entry: a range, what is done to it, and whether somebody waits for its release.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    range: Range,
    work: Work,
    waited_for: bool,
}

/// The ranges of one shard, in a slice of entries that the caller lends. Small and searched
/// linearly: a shard holds what is in flight in a few granules.
#[derive(Debug)]
pub struct Shard<S> {
    entries: S,
    /// Entries from here on are free.
    used: usize,
    /// Somebody was told [`Busy::Full`].
    full_waited: bool,
}

impl<S: AsMut<[Option<Entry>]> + AsRef<[Option<Entry>]>> Shard<S> {
    /// An empty shard.
    pub fn new(entries: S) -> Self {
        Self {
            entries,
            used: 0,
            full_waited: false,
        }
    }

    /// Takes the range for `work`, or says who is in the way.
    ///
    /// # Errors
    ///
    /// [`Busy`]: the caller parks and tries again after a release that returned `true`.
    pub fn try_take(&mut self, range: Range, work: Work) -> Result<Ticket, Busy> {
        let used = self.used;
        let entries = self.entries.as_mut();
        let mut free = None;
        let mut taken = false;
        for (i, place) in entries.iter_mut().take(used).enumerate() {
            match place {
                Some(e) if e.range.overlaps(range) && work.excludes(e.work) => {
                    e.waited_for = true;
                    taken = true;
                }
                Some(_) => {}
                None => free = free.or(Some(i)),
            }
        }
        if taken {
            return Err(Busy::Overlap);
        }
        // Looked at for a resync alone: writes come here far more often.
        if work == Work::ResyncWanted {
            let others = entries.iter().take(used).flatten();
            let wanted = others.filter(|e| e.work == work);
            if wanted.fold(0_usize, |n, _| n.saturating_add(1)) >= entries.len() / 2 {
                self.full_waited = true;
                return Err(Busy::Full);
            }
        }
        let at = free.unwrap_or(used);
        let Some(place) = entries.get_mut(at) else {
            self.full_waited = true;
            return Err(Busy::Full);
        };
        *place = Some(Entry {
            range,
            work,
            waited_for: false,
        });
        self.used = used.max(at + 1);
        u32::try_from(at).map(Ticket).map_err(|_| Busy::Full)
    }

    /// Lets the range go. `true`: somebody waits, the caller wakes the parked ones.
    #[must_use]
    pub fn release(&mut self, ticket: Ticket) -> bool {
        let entries = self.entries.as_mut();
        let gone = usize::try_from(ticket.0)
            .ok()
            .and_then(|i| entries.get_mut(i)?.take());
        while let Some(last) = self.used.checked_sub(1) {
            if !matches!(entries.get(last), Some(None)) {
                break;
            }
            self.used = last;
        }
        let full = core::mem::take(&mut self.full_waited);
        full || gone.is_some_and(|e| e.waited_for)
    }

    /// Whether somebody works on the range, and what.
    #[must_use]
    pub fn occupant(&self, range: Range) -> Option<Work> {
        let entries = self.entries.as_ref();
        let used = entries.iter().take(self.used).flatten();
        used.filter(|e| e.range.overlaps(range))
            .map(|e| e.work)
            .next()
    }

    /// Whether nothing is going on in the shard.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.used == 0
    }
}
