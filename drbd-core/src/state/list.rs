// SPDX-License-Identifier: GPL-2.0
//! A short list of effects, kept inline.

/// At most `N` values in order. Sized by the caller so that it can't run full; should that fail
/// all the same, [`List::overflowed`] tells, and nothing is written past the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<T: Copy, const N: usize> {
    slots: [Option<T>; N],
    len: usize,
    overflowed: bool,
}

impl<T: Copy, const N: usize> List<T, N> {
    /// The empty list.
    #[must_use]
    pub const fn new() -> Self {
        List {
            slots: [None; N],
            len: 0,
            overflowed: false,
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                *slot = Some(value);
                self.len = self.len.saturating_add(1);
            }
            None => self.overflowed = true,
        }
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.slots.iter().map_while(|slot| *slot)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// There is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// More than `N` values were to be listed: a bug, which the tests over all transitions rule
    /// out. The list can't be trusted then.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl<T: Copy + PartialEq, const N: usize> List<T, N> {
    /// Whether `value` is in the list.
    #[must_use]
    pub fn contains(&self, value: &T) -> bool {
        self.iter().any(|v| v == *value)
    }
}

impl<T: Copy, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
