// SPDX-License-Identifier: GPL-2.0
//! Generation identifiers: their life, and the comparison that decides who syncs from whom.
//!
//! Each copy of the data carries four random numbers, its *UUID set*. The *current* one names the
//! generation of the data. Whenever a node starts to write without its peer it makes a new
//! current UUID and keeps the old one as *bitmap* UUID: "since that generation the bitmap tells
//! what the peer lacks". Two older generations follow as *history*. When two nodes meet, the two
//! sets tell who has the newer data, whether the bitmap suffices, or that both have gone their
//! own way ([`compare`], [`decide`]).
//!
//! Bit 0 of a UUID is not part of its identity. In the current UUID it says "Primary now"; it
//! travels along when the current UUID becomes the bitmap UUID, and says there "was Primary
//! already when the copies parted".
//!
//! Source: docs/states.md, "Generation identifiers", "Comparison" and "Sync handshake".

use core::fmt;
use core::ops::BitOr;

mod compare;
mod handshake;
mod policy;

pub use compare::{compare, Comparison, Input, Remark, Verdict};
pub use handshake::{
    decide, Decision, Note, Notes, Outcome, Own, Peer, Plan, RefusalReason, Situation,
};
pub use policy::{AfterSb, Policies};

#[cfg(test)]
mod tests;

/// The current UUID of a device that never had data.
pub const JUST_CREATED: u64 = 4;

/// A source makes the sync UUID from its bitmap UUID by adding this.
pub const SYNC_UUID_STEP: u64 = 1 << 48;

/// Bit 0 of a UUID, which is not part of its identity.
const PRIMARY_BIT: u64 = 1;

/// The two UUIDs name the same generation.
#[must_use]
pub const fn same(a: u64, b: u64) -> bool {
    (a | PRIMARY_BIT) == (b | PRIMARY_BIT)
}

/// The UUIDs of one copy of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UuidSet {
    /// The generation of the data; bit 0 while Primary.
    pub current: u64,
    /// The generation that the peer is known to have; 0: the same as here.
    pub bitmap: u64,
    /// Older generations, the younger one first.
    pub history: [u64; 2],
}

impl UuidSet {
    /// The set of a device that never had data.
    pub const NEW: UuidSet = UuidSet {
        current: JUST_CREATED,
        bitmap: 0,
        history: [0, 0],
    };

    /// The device never had data. Bit 0 counts here: a Primary has had data.
    #[must_use]
    pub const fn is_just_created(&self) -> bool {
        self.current == JUST_CREATED
    }

    /// The younger history UUID takes `uuid`, the older one is forgotten.
    fn push_history(&mut self, uuid: u64) {
        let [young, _] = self.history;
        self.history = [uuid, young];
    }

    /// The bitmap UUID, unless 0, goes to history; `uuid` takes its place.
    fn rotate_bitmap(&mut self, uuid: u64) {
        if self.bitmap != 0 {
            self.push_history(self.bitmap);
        }
        self.bitmap = uuid;
    }

    /// Stores a current UUID; bit 0 follows the role. The exposed-data UUID becomes
    /// [`UuidSet::current`] with every such store.
    pub fn set_current(&mut self, uuid: u64, primary: bool) {
        self.current = if primary {
            uuid | PRIMARY_BIT
        } else {
            uuid & !PRIMARY_BIT
        };
    }

    /// Bit 0 of the current UUID follows a change of role, or an attach.
    pub fn set_primary(&mut self, primary: bool) {
        self.set_current(self.current, primary);
    }

    /// A new generation begins: `random` names it, the old one becomes the bitmap UUID with its
    /// bit 0. Has to be durable before anything is acknowledged that belongs to the new
    /// generation. Returns the bitmap UUID that was lost by this, which deserves a warning.
    #[must_use = "a lost bitmap UUID deserves a warning"]
    pub fn new_current(&mut self, random: u64, primary: bool) -> Option<u64> {
        let lost = (self.bitmap != 0).then_some(self.bitmap);
        self.bitmap = self.current;
        self.set_current(random, primary);
        lost
    }

    /// The bitmap UUID goes to history: both copies are of one generation again.
    pub fn clear_bitmap(&mut self) {
        self.rotate_bitmap(0);
    }

    /// Stores a bitmap UUID without bit 0, nothing goes to history. 0 is
    /// [`UuidSet::clear_bitmap`].
    pub fn set_bitmap(&mut self, uuid: u64) {
        if uuid == 0 {
            self.clear_bitmap();
        } else {
            self.bitmap = uuid & !PRIMARY_BIT;
        }
    }

    /// Becoming sync source: the UUID that names the target's data while it is a mixture of two
    /// generations. It becomes the bitmap UUID and is sent as P_SYNC_UUID. `fresh` is what it is if
    /// it cannot be made from the bitmap UUID ([`UuidSet::fresh_sync_uuid`]).
    ///
    /// `peer` is the target's current UUID; 0: not known. It does not leave the history: if sync
    /// UUIDs get lost again and again, the two sets would have nothing in common in the end.
    pub fn begin_as_source(&mut self, fresh: u64, peer: u64) -> u64 {
        let is_peers = |uuid: &u64| peer != 0 && same(*uuid, peer);
        let behind = self.history.iter().any(is_peers) && !is_peers(&self.bitmap);
        let before = self.bitmap;
        let sync_uuid = match before {
            0 | JUST_CREATED => fresh,
            _ if behind => fresh.wrapping_add(SYNC_UUID_STEP),
            uuid => uuid.wrapping_add(SYNC_UUID_STEP),
        };
        self.rotate_bitmap(sync_uuid);
        if behind && before != 0 {
            self.history = [before, peer];
        }
        sync_uuid
    }

    /// A sync UUID that is made from the current UUID, so that it is known again, and at random:
    /// an even number of steps away, an odd one for a target that is behind
    /// ([`UuidSet::begin_as_source`]). Never one step, which tells a sync UUID from the UUID
    /// before; and many can be made from it by that step before one is the current UUID.
    #[must_use]
    pub fn fresh_sync_uuid(&self, random: u64) -> u64 {
        let steps = (random >> 50).wrapping_add(1).wrapping_mul(2);
        let current = self.current & !PRIMARY_BIT;
        current.wrapping_add(SYNC_UUID_STEP.wrapping_mul(steps))
    }

    /// The bitmap UUID is one of a resync from here whose end this node has not seen. The target
    /// may have seen it, and have the generation here for its own.
    ///
    /// Not recognised: a sync UUID that the C driver has made where there was no bitmap UUID.
    #[must_use]
    pub fn target_may_be_done(&self) -> bool {
        self.bitmap != 0 && (self.is_next_sync_uuid() || self.steps_from_current().is_some())
    }

    /// The bitmap UUID is a sync UUID that is made from the one before.
    fn is_next_sync_uuid(&self) -> bool {
        let [young, _] = self.history;
        same(self.bitmap, young.wrapping_add(SYNC_UUID_STEP))
    }

    /// How many steps a sync UUID that is made from the current UUID is away from it.
    fn steps_from_current(&self) -> Option<u64> {
        let apart = (self.bitmap | PRIMARY_BIT).wrapping_sub(self.current | PRIMARY_BIT);
        (apart % SYNC_UUID_STEP == 0).then_some(apart / SYNC_UUID_STEP)
    }

    /// This node goes on alone, and [`UuidSet::target_may_be_done`]: a new generation begins.
    ///
    /// The bitmap UUID stays, so that a target that is not done is told from the bitmap; one that
    /// is done, or has never heard of the resync, finds its generation in the history. Only of a
    /// target that was behind there is too much to be kept: if it is not done it will have to get
    /// all.
    pub fn leave_target(&mut self, random: u64, primary: bool) {
        let [young, old] = self.history;
        let odd = self.steps_from_current().is_some_and(|n| n % 2 == 1);
        if odd && !self.is_next_sync_uuid() {
            self.history = [self.bitmap, old];
            self.bitmap = self.current;
        } else {
            self.history = [self.current, young];
        }
        self.set_current(random, primary);
    }

    /// The target takes over the sync UUID that the source sent. No history.
    pub fn begin_as_target(&mut self, sync_uuid: u64, primary: bool) {
        self.set_current(sync_uuid, primary);
        self.bitmap = 0;
    }

    /// The resync ended without failed blocks, this node was the source.
    pub fn finish_as_source(&mut self) {
        self.clear_bitmap();
    }

    /// The resync ended without failed blocks, this node was the target. `peer` is the source's
    /// set as remembered from the handshake. Current, bitmap and history are then equal on both
    /// nodes; the caller remembers the result as the peer's set, too.
    pub fn finish_as_target(&mut self, peer: &UuidSet, primary: bool) {
        let sync_uuid = self.current;
        self.bitmap = peer.bitmap;
        self.history = peer.history;
        self.rotate_bitmap(sync_uuid);
        self.set_current(peer.current, primary);
        self.clear_bitmap();
    }

    /// The administrator asked for a new generation (`new-current-uuid`): unlike
    /// [`UuidSet::new_current`] the bitmap UUID goes to history first.
    pub fn new_current_by_admin(&mut self, random: u64, primary: bool) {
        self.clear_bitmap();
        self.bitmap = self.current;
        self.set_current(random, primary);
    }

    /// The initial sync is skipped: this node takes the generation of the one that was asked to.
    pub fn skip_initial_sync(&mut self, current: u64, primary: bool) {
        self.set_current(current, primary);
        self.bitmap = 0;
    }
}

impl fmt::Display for UuidSet {
    /// Current, bitmap and history as the kernel log and `drbdsetup show-gi` write them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [young, old] = self.history;
        write!(
            f,
            "{:016X}:{:016X}:{young:016X}:{old:016X}",
            self.current, self.bitmap
        )
    }
}

/// The flag word of P_UUIDS (docs/protocol.md, "Generation identifiers").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UuidFlags(u64);

impl UuidFlags {
    /// No flag.
    pub const NONE: UuidFlags = UuidFlags(0);
    /// The sender is told to discard its data in a split brain.
    pub const DISCARD_MY_DATA: UuidFlags = UuidFlags(1);
    /// The sender was Primary when it crashed.
    pub const CRASHED_PRIMARY: UuidFlags = UuidFlags(2);
    /// The sender's disk is Inconsistent, or will be when it is attached.
    pub const INCONSISTENT: UuidFlags = UuidFlags(4);
    /// The initial sync is to be skipped.
    pub const SKIP_INITIAL_SYNC: UuidFlags = UuidFlags(8);

    /// The set with exactly these bits; unknown ones are kept.
    #[must_use]
    pub const fn from_bits(bits: u64) -> UuidFlags {
        UuidFlags(bits)
    }

    /// The bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// All of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: UuidFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set, and `other` if `on`.
    #[must_use]
    pub const fn with(self, other: UuidFlags, on: bool) -> UuidFlags {
        if on {
            UuidFlags(self.0 | other.0)
        } else {
            self
        }
    }

    /// This set without `other`.
    #[must_use]
    pub const fn without(self, other: UuidFlags) -> UuidFlags {
        UuidFlags(self.0 & !other.0)
    }
}

impl BitOr for UuidFlags {
    type Output = UuidFlags;

    fn bitor(self, rhs: UuidFlags) -> UuidFlags {
        UuidFlags(self.0 | rhs.0)
    }
}
