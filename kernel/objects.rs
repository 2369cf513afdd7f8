// SPDX-License-Identifier: GPL-2.0

//! How many objects of ours live: none may when the module goes.
//!
//! Requests and I/O for the peer are not counted here: their sets wait for the last one.

use core::sync::atomic::{AtomicUsize, Ordering};

/// What is counted: a name for the log, and how many live.
struct Kind {
    name: &'static str,
    live: AtomicUsize,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $index:literal, $name:literal;)*) => {
        $($(#[$doc])* pub(crate) type $kind = Counted<$index>;)*

        static KINDS: [Kind; [$($index),*].len()] = [$(Kind {
            name: $name,
            live: AtomicUsize::new(0),
        }),*];
    };
}

kinds! {
    /// A resource with its connection.
    Resources = 0, "resources";
    /// A volume.
    Devices = 1, "volumes";
    /// A disk below a volume.
    Backings = 2, "disks";
    /// A bitmap.
    Bitmaps = 3, "bitmaps";
    /// A link to a peer.
    Links = 4, "links";
    /// A socket.
    Sockets = 5, "sockets";
    /// A thread that somebody has.
    Threads = 6, "threads";
    /// A hash.
    Hashes = 7, "hashes";
    /// A page for metadata, bitmap or packets.
    Pages = 8, "pages";
}

/// Part of what is counted, as kind number `KIND`.
pub(crate) struct Counted<const KIND: usize>(());

impl<const KIND: usize> Counted<KIND> {
    /// One more lives. Any context.
    pub(crate) fn new() -> Self {
        if let Some(kind) = KINDS.get(KIND) {
            kind.live.fetch_add(1, Ordering::Relaxed);
        }
        Self(())
    }
}

impl<const KIND: usize> Drop for Counted<KIND> {
    fn drop(&mut self) {
        if let Some(kind) = KINDS.get(KIND) {
            kind.live.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The kinds of which some live, with their numbers.
pub(crate) fn left() -> impl Iterator<Item = (&'static str, usize)> {
    KINDS
        .iter()
        .map(|kind| (kind.name, kind.live.load(Ordering::Relaxed)))
        .filter(|(_, live)| *live > 0)
}
