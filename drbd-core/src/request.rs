// SPDX-License-Identifier: GPL-2.0
//! The life of an application request as pure transitions on a small word; write epochs.
//!
//! The data plane has no lock that all requests share. What may be decided per request is decided
//! here, on words that fit an atomic, so that the kernel only does the compare-and-swap:
//!
//! - [`policy`]: what the resource's owner publishes for the data plane: where reads and writes go.
//! - [`word`]: the state of one request. Events come from the submitter, the local disk, the
//!   sender and the peer's acks, in any order and from any context. The one transition that finds
//!   nothing left to wait for completes the request, and exactly one does.
//! - [`slots`]: where the words live. A slot is named by index and generation; that pair is the
//!   `block_id` on the wire. An ack for a slot that is not there costs one load and harms nothing.
//! - [`ack`]: what an ack of the peer is about.
//! - [`epoch`]: which writes may be reordered by the peer's disk and which may not: the sender's
//!   numbering, the order of barrier acks, and the receiver's bookkeeping.
//! - [`range`]: who writes where right now: overlapping application writes wait for each other,
//!   and resync waits for application writes and the reverse.
//!
//! The rules come from docs/states.md, "Application requests" and "Epochs".

pub mod ack;
pub mod epoch;
pub mod overdue;
pub mod policy;
pub mod range;
pub mod slots;
pub mod word;

#[cfg(test)]
mod tests;
