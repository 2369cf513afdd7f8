// SPDX-License-Identifier: GPL-2.0
//! A tape in the memory of a program with one thread.

use drbd_core::peer::record::{Deck, Tape};
use std::cell::RefCell;

/// The tape.
#[derive(Debug)]
pub struct Reel(RefCell<Tape<Vec<u8>>>);

impl Reel {
    /// An empty tape of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(RefCell::new(Tape::new(vec![0; bytes])))
    }

    /// What [`crate::play`] takes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes().to_vec()
    }
}

impl Deck for Reel {
    type Bytes = Vec<u8>;

    fn with<R>(&self, f: impl FnOnce(&mut Tape<Vec<u8>>) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}
