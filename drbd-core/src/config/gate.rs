// SPDX-License-Identifier: GPL-2.0
//! Settings whose feature is not built yet.
//!
//! Such a setting is read, checked and shown as always; the module refuses it by a code and a text
//! that names it, and never stores and ignores it. Who builds a feature strikes its row, or adds
//! the values that work now. See docs/differences.md.

use crate::genl::{ErrCode, Nest, Set};
use core::fmt;

/// A setting that works only in part, or not at all.
#[derive(Clone, Copy, Debug)]
struct Gate {
    /// Number of the set.
    set: u16,
    /// Number of the field.
    field: u16,
    /// The values that work, as numbers of the option table (text: 0 is empty).
    built: &'static [i64],
    /// The code to refuse with.
    code: ErrCode,
}

const fn gate(set: u16, field: u16, built: &'static [i64], code: ErrCode) -> Gate {
    Gate {
        set,
        field,
        built,
        code,
    }
}

const DISK: u16 = 3;
const NET: u16 = 5;
const RESIZE: u16 = 7;

/// The table to be edited as features come.
const GATES: &[Gate] = &[
    // disk: read-balancing; other than prefer-local
    gate(DISK, 21, &[0], ErrCode::InvalidRequest),
    // disk: discard-zeroes-if-aligned, rs-discard-granularity; no discards are offered yet
    gate(DISK, 24, &[1], ErrCode::InvalidRequest),
    gate(DISK, 25, &[0], ErrCode::InvalidRequest),
    // net: on-congestion, congestion-fill, congestion-extents
    gate(NET, 21, &[0], ErrCode::InvalidRequest),
    gate(NET, 22, &[0], ErrCode::InvalidRequest),
    gate(NET, 23, &[1237], ErrCode::InvalidRequest),
    // net: allow-two-primaries. after-sb-2pri is stored and told to the peer all the same: two
    // Primaries that meet are told apart by the state check, whatever the policy says.
    gate(NET, 24, &[0], ErrCode::InvalidRequest),
    // net: alternate-address, alternate-peer-address
    gate(NET, 35, &[0], ErrCode::InvalidRequest),
    gate(NET, 36, &[0], ErrCode::InvalidRequest),
    // resize: al-stripes, al-stripe-size-kB; an activity log in use keeps its shape
    gate(RESIZE, 4, &[], ErrCode::InvalidRequest),
    gate(RESIZE, 5, &[], ErrCode::InvalidRequest),
];

/// A setting that was refused because its feature is not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbuilt {
    /// The option's name.
    pub option: &'static str,
    /// The code to answer with.
    pub code: ErrCode,
}

impl fmt::Display for Unbuilt {
    /// The text for the reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: this setting is not built into this module yet",
            self.option
        )
    }
}

fn option_name(set: &Set, field: u16) -> &'static str {
    let field = set.field(field);
    field.map_or("?", |field| {
        field.option.map_or(field.name, |option| option.name)
    })
}

/// All settings in `conf` that ask for what is not built, in the order of the table.
pub fn unbuilt<N: Nest>(conf: &N) -> impl Iterator<Item = Unbuilt> + '_ {
    GATES.iter().filter_map(|gate| {
        if gate.set != N::SET.number {
            return None;
        }
        let value = conf.number(gate.field)?;
        if gate.built.contains(&value) {
            return None;
        }
        Some(Unbuilt {
            option: option_name(&N::SET, gate.field),
            code: gate.code,
        })
    })
}

/// The first of [`unbuilt`], which is what a reply names.
#[must_use]
pub fn first_unbuilt<N: Nest>(conf: &N) -> Option<Unbuilt> {
    unbuilt(conf).next()
}
