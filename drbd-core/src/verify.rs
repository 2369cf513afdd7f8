// SPDX-License-Identifier: GPL-2.0
//! Online verify: which block is asked about next, and what was found.
//!
//! VerifyS asks for the digest of one block after the other, from a start to the end of the device
//! or to a sector to stop at, and compares. VerifyT learns the start from the first request. Each
//! node counts the results and ends by itself (docs/protocol.md, "Online verify"). Blocks that
//! differ are marked and nothing else: the next resync makes them equal.

use crate::peer::Side;

/// Sectors of a block.
const BLOCK_SECTORS: u64 = 8;

/// What an administrator may have asked for, in sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Where to start; rounded down to a whole block.
    pub start: u64,
    /// Where to stop; none: at the end of the device.
    pub stop: Option<u64>,
}

/// Blocks next to each other that differ, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first sector.
    pub start: u64,
    /// How many.
    pub sectors: u64,
}

/// A verify that runs, or the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    side: Side,
    /// Sectors of the device.
    size: u64,
    stop: Option<u64>,
    /// The sector that comes next; on VerifyT none before the first request.
    next: Option<u64>,
    total: u64,
    left: u64,
    /// Blocks that were asked about and have no result.
    open: u64,
    stretch: Option<Stretch>,
}

impl Run {
    /// On VerifyS (`Side::Source`), within `bounds`; on VerifyT they come with the first request.
    /// `size` is that of the device in sectors. `can_stop`: the agreed version knows a sector to
    /// stop at.
    #[must_use]
    pub fn new(side: Side, size: u64, bounds: Bounds, can_stop: bool) -> Self {
        let mut run = Run {
            side,
            size,
            stop: bounds.stop.filter(|_| can_stop),
            next: None,
            total: blocks(size),
            left: blocks(size),
            open: 0,
            stretch: None,
        };
        if side == Side::Source {
            run.start_at(bounds.start);
        }
        run
    }

    /// Takes a start; beyond the end, the last block is verified.
    fn start_at(&mut self, sector: u64) {
        let all = blocks(self.size);
        let first = (sector / BLOCK_SECTORS).min(all.saturating_sub(1));
        self.next = Some(first.saturating_mul(BLOCK_SECTORS));
        self.total = all.saturating_sub(first);
        self.left = self.total;
    }

    /// On VerifyT: a request has come; the first one tells the start. `true` if it was the first.
    pub fn requested(&mut self, sector: u64) -> bool {
        let first = self.next.is_none() && self.side == Side::Target;
        if first {
            self.start_at(sector);
        }
        first
    }

    /// The start, in sectors.
    #[must_use]
    pub fn start(&self) -> u64 {
        let done_before = blocks(self.size).saturating_sub(self.total);
        done_before.saturating_mul(BLOCK_SECTORS)
    }

    /// On VerifyS: the block to ask about next, sector and bytes; none at the end. The last one
    /// of the device may be smaller. See [`Run::asked`].
    #[must_use]
    pub fn peek(&self) -> Option<(u64, u32)> {
        let sector = self.next.filter(|_| self.side == Side::Source)?;
        // At least one block is looked at, whatever the stop.
        let stopped = self.stop.is_some_and(|stop| sector >= stop) && sector > self.start();
        let rest = self.size.checked_sub(sector).filter(|rest| *rest > 0)?;
        if stopped {
            return None;
        }
        let bytes = rest.min(BLOCK_SECTORS).saturating_mul(512);
        Some((sector, u32::try_from(bytes).ok()?))
    }

    /// On VerifyS: the block of [`Run::peek`] was asked about.
    pub fn asked(&mut self) {
        self.next = self.next.map(|next| next.saturating_add(BLOCK_SECTORS));
        self.open = self.open.saturating_add(1);
    }

    /// A block of so many sectors has a result. Gives a stretch of differing blocks that has come
    /// to its end, for the log.
    pub fn result(&mut self, sector: u64, sectors: u64, equal: bool) -> Option<Stretch> {
        let seen = sectors.div_ceil(BLOCK_SECTORS).max(1);
        self.left = self.left.saturating_sub(seen);
        self.open = self.open.saturating_sub(1);
        if equal {
            return self.stretch.take();
        }
        match &mut self.stretch {
            Some(stretch) if stretch.start.saturating_add(stretch.sectors) == sector => {
                stretch.sectors = stretch.sectors.saturating_add(sectors);
                None
            }
            other => other.replace(Stretch {
                start: sector,
                sectors,
            }),
        }
    }

    /// The last stretch of differing blocks, for the log.
    pub fn take_stretch(&mut self) -> Option<Stretch> {
        self.stretch.take()
    }

    /// All that was to be verified has a result.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let stopped = self.side == Side::Source && self.open == 0 && self.peek().is_none();
        self.left == 0 || stopped
    }

    /// Blocks that were asked about and have no result.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.open
    }

    /// Blocks to verify at the start.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Blocks without a result.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Blocks that have a result.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.total.saturating_sub(self.left)
    }

    /// The sector to stop at.
    #[must_use]
    pub const fn stop(&self) -> Option<u64> {
        self.stop
    }

    /// The sector that it has come to: where the next verify goes on if this one is broken off.
    #[must_use]
    pub fn reached(&self) -> u64 {
        let done = blocks(self.size).saturating_sub(self.left);
        done.saturating_mul(BLOCK_SECTORS)
    }

    /// Where the next verify starts by default: where this one was broken off, or at the beginning
    /// again.
    #[must_use]
    pub fn next_start(&self) -> u64 {
        if self.left == 0 {
            0
        } else {
            self.reached()
        }
    }

    /// The block that is worked on, for `/proc/drbd`.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next.unwrap_or(0) / BLOCK_SECTORS
    }
}

/// Blocks of so many sectors.
const fn blocks(sectors: u64) -> u64 {
    sectors.div_ceil(BLOCK_SECTORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Bounds = Bounds {
        start: 0,
        stop: None,
    };

    fn bounds(start: u64, stop: Option<u64>) -> Bounds {
        Bounds { start, stop }
    }

    type Question = Option<(u64, u32)>;

    /// Asks for all there is; gives the first and the last block, and how many.
    fn ask(run: &mut Run) -> (Question, Question, u64) {
        let (first, mut last, mut count) = (run.peek(), None, 0);
        while let Some(block) = run.peek() {
            last = Some(block);
            run.asked();
            count += 1;
        }
        (first, last, count)
    }

    #[test]
    fn every_block_is_asked_about_once_and_the_last_may_be_smaller() {
        let mut run = Run::new(Side::Source, 8 * 9 + 3, ALL, true);
        assert_eq!(ask(&mut run), (Some((0, 4096)), Some((72, 1536)), 10));
        assert_eq!((run.total(), run.left(), run.is_done()), (10, 10, false));
        for block in 0..10 {
            assert!(!run.is_done());
            assert_eq!(
                run.result(block * 8, if block < 9 { 8 } else { 3 }, true),
                None
            );
        }
        assert!(run.is_done());
        assert_eq!(run.next_start(), 0);
    }

    #[test]
    fn start_and_stop_are_kept() {
        let mut run = Run::new(Side::Source, 800, bounds(83, Some(120)), true);
        assert_eq!(run.start(), 80);
        assert_eq!(ask(&mut run), (Some((80, 4096)), Some((112, 4096)), 5));
        for block in 10..15 {
            assert!(!run.is_done());
            run.result(block * 8, 8, true);
        }
        assert!(run.is_done(), "with blocks left");
        assert_eq!((run.left(), run.next_start()), (85, 120));
        // A peer that does not know the stop would wait for the rest.
        let mut run = Run::new(Side::Source, 800, bounds(80, Some(120)), false);
        assert_eq!(ask(&mut run).2, 90);
        // Never nothing.
        let mut run = Run::new(Side::Source, 800, bounds(80, Some(0)), true);
        assert_eq!(ask(&mut run).2, 1);
        let mut run = Run::new(Side::Source, 800, bounds(9000, None), true);
        assert_eq!(ask(&mut run), (Some((792, 4096)), Some((792, 4096)), 1));
        let run = Run::new(Side::Source, 0, ALL, true);
        assert_eq!((run.peek(), run.is_done()), (None, true));
    }

    #[test]
    fn the_target_learns_the_start_from_the_first_request() {
        let mut run = Run::new(Side::Target, 800, ALL, true);
        assert_eq!(run.peek(), None);
        assert!(!run.is_done());
        assert!(run.requested(400));
        assert!(!run.requested(408));
        assert_eq!((run.total(), run.start(), run.peek()), (50, 400, None));
        for block in 50..100 {
            assert!(!run.is_done());
            run.result(block * 8, 8, true);
        }
        assert!(run.is_done());
    }

    #[test]
    fn differing_blocks_are_told_in_stretches() {
        let mut run = Run::new(Side::Source, 800, ALL, true);
        ask(&mut run);
        assert_eq!(run.result(0, 8, false), None);
        assert_eq!(run.result(8, 8, false), None);
        let two = Stretch {
            start: 0,
            sectors: 16,
        };
        assert_eq!(run.result(16, 8, true), Some(two));
        assert_eq!(run.result(24, 8, false), None);
        let one = Stretch {
            start: 24,
            sectors: 8,
        };
        assert_eq!(run.result(40, 8, false), Some(one));
        assert_eq!(run.take_stretch().map(|s| s.start), Some(40));
        assert_eq!(run.take_stretch(), None);
        assert_eq!(run.seen(), 5);
        assert_eq!(run.reached(), 40);
        // More results than questions do no harm.
        for _ in 0..1000 {
            run.result(u64::MAX, u64::MAX, false);
        }
        assert_eq!(run.left(), 0);
    }
}
