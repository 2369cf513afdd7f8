// SPDX-License-Identifier: GPL-2.0
//! The activity log: which extents of 4 MiB may have a write in flight.
//!
//! A write goes to the disk only when its extents are in the log *on disk*. After a crash the
//! blocks that may differ from the peer's are those in the bitmap and those in the log
//! (docs/metadata.md, "Activity log").
//!
//! Two parts, because a write to an extent that is in the log already must cost next to nothing:
//!
//! - [`ActiveSet`] is the set as all see it: slots with an atomic cell each. [`ActiveSet::cover`]
//!   takes a reference to the extents of a range if all of them are in the log; no lock.
//! - [`Log`] changes the set. It has one user at a time (a lock of the caller) and is a state
//!   machine: extents are wanted and gathered, a transaction starts, the bitmap of what it evicts
//!   is written, then its block, then its extents are in the log. The next transaction is gathered
//!   while one is under way.
//!
//! An extent stays in the log, without references, until its slot is needed for another one. Then
//! what its bits say has to be on disk before the log forgets it: [`Log::evicted`].
//!
//! The format of the blocks is [`crate::meta::al`]'s, the way back is [`crate::meta::replay`]'s.

mod log;
mod set;

pub use self::log::{Log, Started, StepError, Wait};
pub use self::set::{bucket_count, extents_of, ActiveSet, Bucket, Refs, Slot};

/// No slot: the end of a chain or a list.
const NIL: u16 = u16::MAX;

#[cfg(test)]
mod tests;
