// SPDX-License-Identifier: GPL-2.0
//! The flight recorder: what goes into the machine of a resource, and what its driver does about
//! it, on a tape that can be played again.
//!
//! [`Recorded`] is the machine with a tape, and the only door to it: an event, what the driver
//! answers while it is handled, a setting, a volume that comes or goes. The driver says what it
//! does, effect by effect, when it begins with it. Whoever plays the tape again feeds the same to
//! the same machine, and sees where the driver did something else than what was decided: left out
//! an effect, did them in another order, forgot what had to follow, or changed the state itself.
//!
//! Nothing of requests and blocks is recorded: they never pass through the machine. On a tape are
//! states, generations (UUIDs), sizes, counts and results; no content of a disk, no secret, no
//! name, no address.

mod code;
mod keyframe;
mod tape;
mod words;

pub use code::{Code, Reader, Writer};
pub use keyframe::{write as write_state, Keyframe};
pub use tape::{Answer, Change, Damaged, Half, NoTape, Quiet, Record, Recording, Tape, VERSION};

use super::event::{Driver, Effect, Event, OnIoError};
use super::machine::Resource;
use super::setting::{Setting, Shelf};
use super::volume::Volume;

/// Where the tape of a machine is kept. What reads the tape may do so at any time, so it is behind
/// a lock of its own.
pub trait Deck {
    /// The memory of the tape.
    type Bytes: AsRef<[u8]> + AsMut<[u8]>;
    /// Does something with the tape.
    fn with<R>(&self, f: impl FnOnce(&mut Tape<Self::Bytes>) -> R) -> R;
}

/// A machine whose course is recorded. Looking at it is free; each change has its method.
#[derive(Debug)]
pub struct Recorded<V, D> {
    machine: Resource<V>,
    deck: D,
    /// Events that have followed from effects and were not fed yet.
    owed: u32,
}

impl<V, D> core::ops::Deref for Recorded<V, D> {
    type Target = Resource<V>;

    fn deref(&self) -> &Resource<V> {
        &self.machine
    }
}

impl<V: AsRef<[Volume]> + AsMut<[Volume]>, D: Deck> Recorded<V, D> {
    /// A resource without connection, and an empty tape.
    pub fn new(volumes: V, deck: D) -> Self {
        Self {
            machine: Resource::new(volumes),
            deck,
            owed: 0,
        }
    }

    /// Where the tape is.
    pub const fn deck(&self) -> &D {
        &self.deck
    }

    /// As [`Resource::handle`]. The driver performs the effects when this has returned. Events that
    /// follow from effects come first, in their order.
    pub fn handle(&mut self, event: Event, d: &mut dyn Driver) {
        let now_ms = d.now_ms();
        let between = self.owed == 0;
        self.owed = self.owed.saturating_sub(1);
        self.deck
            .with(|tape| tape.event(&self.machine, between, now_ms, &event));
        let mut asking = Asking {
            driver: d,
            deck: &self.deck,
            now_ms,
            asked: false,
        };
        self.machine.handle(event, &mut asking);
        let asked = asking.asked;
        self.deck.with(|tape| tape.handled(&self.machine, asked));
    }

    /// The driver begins to do this.
    pub fn doing(&mut self, effect: &Effect) {
        self.deck.with(|tape| tape.doing(effect));
    }

    /// What the driver did leads to this event, which it will feed.
    pub fn follows(&mut self, event: &Event) {
        self.owed = self.owed.saturating_add(1);
        self.deck.with(|tape| tape.follows(event));
    }

    /// As [`Resource::set`].
    pub fn set(&mut self, setting: Setting) {
        self.deck.with(|tape| tape.change(Change::Set(setting)));
        self.machine.set(setting);
    }
}

impl<V: Shelf, D: Deck> Recorded<V, D> {
    /// As [`Resource::add_volume`].
    #[must_use]
    pub fn add_volume(&mut self, vnr: u16) -> bool {
        let added = self.machine.add_volume(vnr);
        if added {
            self.deck.with(|tape| tape.change(Change::Added(vnr)));
        }
        added
    }

    /// As [`Resource::remove_volume`].
    pub fn remove_volume(&mut self, vnr: u16) {
        self.deck.with(|tape| tape.change(Change::Removed(vnr)));
        self.machine.remove_volume(vnr);
    }
}

/// Puts what the driver answers on the tape.
struct Asking<'a, D> {
    driver: &'a mut dyn Driver,
    deck: &'a D,
    now_ms: u64,
    /// The machine has asked for an effect.
    asked: bool,
}

impl<D: Deck> Asking<'_, D> {
    fn note(&self, answer: Answer) {
        self.deck.with(|tape| tape.answer(answer));
    }
}

impl<D: Deck> Driver for Asking<'_, D> {
    fn perform(&mut self, effect: Effect) {
        self.asked = true;
        self.driver.perform(effect);
    }

    fn random(&mut self) -> u64 {
        let bits = self.driver.random();
        self.note(Answer::Random(bits));
        bits
    }

    /// The time of the event, so that it stands on the tape once.
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn open_count(&self, vnr: u16) -> u32 {
        let n = self.driver.open_count(vnr);
        self.note(Answer::OpenCount(vnr, n));
        n
    }

    fn open_requests(&self, vnr: u16) -> u32 {
        let n = self.driver.open_requests(vnr);
        self.note(Answer::OpenRequests(vnr, n));
        n
    }

    fn bits_set(&self, vnr: u16) -> u64 {
        let n = self.driver.bits_set(vnr);
        self.note(Answer::BitsSet(vnr, n));
        n
    }

    fn resync_requests(&self, vnr: u16) -> u32 {
        let n = self.driver.resync_requests(vnr);
        self.note(Answer::ResyncRequests(vnr, n));
        n
    }

    fn on_io_error(&self, vnr: u16) -> OnIoError {
        let policy = self.driver.on_io_error(vnr);
        self.note(Answer::OnIoError(vnr, policy));
        policy
    }

    fn verified(&self, vnr: u16) -> u64 {
        let n = self.driver.verified(vnr);
        self.note(Answer::Verified(vnr, n));
        n
    }

    fn equal_sums(&self, vnr: u16) -> Option<u64> {
        let n = self.driver.equal_sums(vnr);
        self.note(Answer::EqualSums(vnr, n));
        n
    }
}

#[cfg(test)]
mod tests;
