// SPDX-License-Identifier: GPL-2.0

//! What came before the copies have parted is told from what came later.

use core::sync::atomic::{AtomicU64, Ordering};

/// A disk that has gone counts here, a parting in the half below: both are read at once.
const DISK: u32 = 32;

/// The era that a volume is in.
pub(super) struct Eras(AtomicU64);

impl Eras {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The copies may differ from now on. `own`: the disk has gone.
    pub(super) fn part(&self, own: bool) {
        let step = if own { 1 << DISK } else { 1 };
        self.0.fetch_add(step, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> Era {
        Era(self.0.load(Ordering::SeqCst))
    }
}

/// Equal as long as the copies have not parted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Era(u64);

impl Era {
    /// Whether no disk has gone between the two.
    pub(crate) fn same_disk(self, other: Self) -> bool {
        self.0 >> DISK == other.0 >> DISK
    }
}
