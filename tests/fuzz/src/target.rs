// SPDX-License-Identifier: GPL-2.0
//! What is fed, and what must hold whatever it is fed with.

mod bitmap;
mod configuration;
mod log;
mod metadata;
mod wire;

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Something that reads foreign bytes.
pub(crate) struct Target {
    /// Its name; that of its folder in the corpus.
    pub(crate) name: &'static str,
    /// Feeds it; panics if something does not hold.
    pub(crate) run: fn(&[u8]) -> u64,
    /// Inputs to begin with.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Words that mean something there.
    pub(crate) words: &'static [&'static str],
}

pub(crate) static ALL: [Target; 5] = [
    wire::TARGET,
    metadata::TARGET,
    log::TARGET,
    bitmap::TARGET,
    configuration::TARGET,
];

/// What an input led to: kinds of values, not values.
#[derive(Default)]
struct Outcome(DefaultHasher);

impl Outcome {
    /// Notes a number.
    fn number(&mut self, number: impl Into<u64>) {
        number.into().hash(&mut self.0);
    }

    /// Notes the kind of a value: the name of its variant, and of the one within.
    fn kind(&mut self, value: &impl Debug) {
        let text = format!("{value:?}");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        // Numbers are values.
        let names = words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
        for name in names.take(2) {
            name.hash(&mut self.0);
        }
    }

    fn done(self) -> u64 {
        self.0.finish()
    }
}

/// Takes numbers off the front of an input; zeros when it has ended.
struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self
            .0
            .split_first()
            .map_or((0, self.0), |(b, rest)| (*b, rest));
        self.0 = rest;
        byte
    }

    fn number<const N: usize>(&mut self) -> u64 {
        (0..N).fold(0, |number, _| (number << 8) | u64::from(self.byte()))
    }

    fn rest(self) -> &'a [u8] {
        self.0
    }
}
