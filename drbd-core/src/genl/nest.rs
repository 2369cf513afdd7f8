// SPDX-License-Identifier: GPL-2.0
//! Nested sets: the table of their fields, and the trait that parses and writes them.

use super::{
    attr::{Attr, AttrError, Attrs},
    write::{Overflow, Writer},
};
use crate::config::option::OptionSpec;

/// How the payload of a field is laid out. All lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One byte, 0 or 1.
    Flag,
    /// `u32`.
    U32,
    /// `i32`; the same four bytes.
    S32,
    /// `u64`.
    U64,
    /// A string with NUL.
    Text {
        /// Longest string, without the NUL.
        max: usize,
    },
    /// Bytes.
    Blob {
        /// Most bytes.
        max: usize,
    },
}

/// What the protocol says about a field beyond its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Senders set [`GENLA_F_MANDATORY`](super::attr::GENLA_F_MANDATORY) (`M`).
    pub mandatory: bool,
    /// Must be there when an object is created (`R`).
    pub required: bool,
    /// Given at creation, never in a change (`I`).
    pub invariant: bool,
    /// Only for privileged readers (`S`).
    pub sensitive: bool,
}

/// A field without any of [`Flags`].
pub(crate) const NO_FLAGS: Flags = Flags {
    mandatory: false,
    required: false,
    invariant: false,
    sensitive: false,
};

/// A row of a set's table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Number inside the set, from 1.
    pub number: u16,
    /// The field's name in the protocol, e.g. `resync_rate`.
    pub name: &'static str,
    /// Layout of the payload.
    pub kind: Kind,
    /// See [`Flags`].
    pub flags: Flags,
    /// Name, range, default and unit, for what an administrator can set.
    pub option: Option<OptionSpec>,
}

impl Field {
    /// Whether `SET_DEFAULTS` resets it: everything but what is fixed at creation.
    #[must_use]
    pub const fn is_resettable(&self) -> bool {
        !self.flags.required && !self.flags.invariant
    }
}

/// The table of a nested set.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// Number of the top-level attribute.
    pub number: u16,
    /// The set's name in the protocol, e.g. `disk_conf`.
    pub name: &'static str,
    /// Whether the 7.3 driver sets `NLA_F_NESTED` on it when it sends.
    pub marked: bool,
    /// The fields in the order in which they are written.
    pub fields: &'static [Field],
}

impl Set {
    /// The field with this number.
    #[must_use]
    pub fn field(&self, number: u16) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field that the option `name` (or its other name) sets.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&'static Field> {
        self.fields
            .iter()
            .find(|field| field.option.is_some_and(|spec| spec.is_called(name)))
    }
}

/// The numbers of the fields that a message carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given(u64);

impl Given {
    /// Whether the field `number` was there.
    #[must_use]
    pub const fn has(self, number: u16) -> bool {
        number < 64 && self.0 & (1 << number) != 0
    }

    /// Whether there was none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn add(&mut self, number: u16) {
        if number < 64 {
            self.0 |= 1 << number;
        }
    }
}

/// What to do with numbers that are not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strangers {
    /// Refuse: a request must be understood whole.
    Refuse,
    /// Skip unless the sender insists: a reader of replies may be older than the kernel.
    Skip,
}

/// A nested set as a typed struct. Implemented by the `nest!` macro.
pub trait Nest: Default + Clone {
    /// Its table.
    const SET: Set;

    /// Takes one attribute over.
    ///
    /// # Errors
    ///
    /// [`Attr::unknown`] if the number is not in the table, else what [`super::Value::get`] says.
    fn take(&mut self, attr: &Attr<'_>) -> Result<(), AttrError>;

    /// Writes all fields, without the nest around them.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the buffer is full.
    fn put_fields(&self, writer: &mut Writer<'_>) -> Result<(), Overflow>;

    /// Sets every field that `SET_DEFAULTS` concerns back to its default.
    fn reset(&mut self);

    /// The value of a field as a number of the option table, see [`super::Value::number`]; `None`
    /// also for fields that do not exist.
    #[must_use]
    fn number(&self, field: u16) -> Option<i64>;

    /// The value of a field as a string, see [`super::Value::text`].
    #[must_use]
    fn text(&self, field: u16) -> Option<&[u8]>;

    /// Writes the set with its nest. On overflow nothing of it stays.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the buffer is full.
    fn put(&self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        let start = writer.mark();
        let mut write = || {
            let nest = writer.nest_start(Self::SET.number, Self::SET.marked)?;
            self.put_fields(writer)?;
            writer.nest_end(nest)
        };
        let result = write();
        if result.is_err() {
            writer.rewind(start);
        }
        result
    }

    /// Parses a request that creates: defaults, then what is given; required fields must be there.
    ///
    /// # Errors
    ///
    /// Any [`AttrError`] but [`AttrError::Invariant`].
    fn create(payload: &[u8]) -> Result<(Self, Given), AttrError> {
        let mut new = Self::default();
        let given = absorb(&mut new, payload, Strangers::Refuse)?;
        for field in Self::SET.fields {
            if field.flags.required && !given.has(field.number) {
                return Err(AttrError::Missing(field.number));
            }
        }
        Ok((new, given))
    }

    /// Parses a request that changes `self`: the old values, or defaults if `set_defaults`, then
    /// what is given. No field that is fixed at creation may be given.
    ///
    /// `self` is left half changed on error: change a copy.
    ///
    /// # Errors
    ///
    /// Any [`AttrError`] but [`AttrError::Missing`].
    fn change(&mut self, payload: &[u8], set_defaults: bool) -> Result<Given, AttrError> {
        if set_defaults {
            self.reset();
        }
        let given = absorb(self, payload, Strangers::Refuse)?;
        for field in Self::SET.fields {
            if field.flags.invariant && given.has(field.number) {
                return Err(AttrError::Invariant(field.number));
            }
        }
        Ok(given)
    }

    /// Parses what a kernel sent: absent fields keep their default, strangers are skipped.
    ///
    /// # Errors
    ///
    /// [`AttrError`] for values that make no sense, and for strangers with the mandatory bit.
    fn read(payload: &[u8]) -> Result<Self, AttrError> {
        let mut new = Self::default();
        absorb(&mut new, payload, Strangers::Skip)?;
        Ok(new)
    }
}

fn absorb<N: Nest>(set: &mut N, payload: &[u8], strangers: Strangers) -> Result<Given, AttrError> {
    let mut given = Given::default();
    for attr in Attrs::new(payload) {
        let attr = attr?;
        match set.take(&attr) {
            Ok(()) => given.add(attr.number()),
            Err(AttrError::Unknown(_)) if strangers == Strangers::Skip => {}
            Err(error) => return Err(error),
        }
    }
    Ok(given)
}
