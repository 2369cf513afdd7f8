// SPDX-License-Identifier: GPL-2.0

//! Block I/O: what comes from above, and what we send below.
//!
//! - [`UpperBio`]: a bio that was submitted to our disk. It has to be ended exactly once.
//! - [`OwnedBio`]: an object of ours with a bio in it, from a [`BioSet`]; the bio either borrows
//!   the pages of an upper bio or has pages of its own. [`BioArc`] shares the object.
//! - [`read_page`] and [`write_page`]: metadata I/O that waits for its end.
//!
//! Sectors are of 512 bytes everywhere.
//!
//! C headers: `include/linux/bio.h`, `include/linux/blk_types.h`

mod owned;
mod set;
mod sync;
mod upper;

use kernel::bindings;

pub(crate) use self::{
    owned::{
        BioArc,
        OwnedBio,
        ReadyBio, //
    },
    set::{
        BioSet,
        Borrowed,
        Buffer,
        EndIo, //
    },
    sync::{
        read_page,
        write_page, //
    },
    upper::{
        AccountingStart,
        UpperBio,
        UpperCell,
        UpperHold, //
    },
};

/// What a bio asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Read data.
    Read,
    /// Write data; without any, a mere flush if [`OpFlags::PREFLUSH`] is set.
    Write,
    /// Forget the content of a range.
    Discard,
    /// Make a range read as zeroes.
    WriteZeroes,
    /// Anything else: what our disk doesn't offer.
    Other,
}

impl Op {
    fn from_raw(opf: u32) -> Self {
        match opf & OP_MASK {
            bindings::req_op_REQ_OP_READ => Op::Read,
            // Flushes reach a disk as writes with a flag; the operation of that name is only for
            // drivers that have requests.
            bindings::req_op_REQ_OP_WRITE => Op::Write,
            bindings::req_op_REQ_OP_DISCARD => Op::Discard,
            bindings::req_op_REQ_OP_WRITE_ZEROES => Op::WriteZeroes,
            _ => Op::Other,
        }
    }
}

/// The bits of `bi_opf` that hold the operation.
const OP_MASK: u32 = 0xff;

/// What else a bio asks for, as a set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpFlags(u32);

impl OpFlags {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// Somebody waits for it.
    pub(crate) const SYNC: Self = Self(1 << bindings::req_flag_bits___REQ_SYNC);
    /// Metadata.
    pub(crate) const META: Self = Self(1 << bindings::req_flag_bits___REQ_META);
    /// Before others.
    pub(crate) const PRIO: Self = Self(1 << bindings::req_flag_bits___REQ_PRIO);
    /// Has to be on stable storage when it ends.
    pub(crate) const FUA: Self = Self(1 << bindings::req_flag_bits___REQ_FUA);
    /// All that ended before has to be on stable storage first.
    pub(crate) const PREFLUSH: Self = Self(1 << bindings::req_flag_bits___REQ_PREFLUSH);
    /// Read ahead of need: may fail.
    pub(crate) const RAHEAD: Self = Self(1 << bindings::req_flag_bits___REQ_RAHEAD);
    /// After others.
    pub(crate) const BACKGROUND: Self = Self(1 << bindings::req_flag_bits___REQ_BACKGROUND);
    /// Metadata that somebody waits for.
    pub(crate) const META_SYNC: Self = Self::META.with(Self::SYNC).with(Self::PRIO);
    /// What we pass on from an upper bio to a lower one.
    pub(crate) const PASSED_ON: Self = Self::SYNC
        .with(Self::META)
        .with(Self::PRIO)
        .with(Self::FUA)
        .with(Self::PREFLUSH)
        .with(Self::RAHEAD)
        .with(Self::BACKGROUND);

    /// Both.
    #[must_use]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub(crate) const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` is in `self`.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a bio ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(bindings::blk_status_t);

impl Status {
    /// Without an error.
    pub(crate) const OK: Self = Self(0);
    /// Not supported (`BLK_STS_NOTSUPP`).
    pub(crate) const NOT_SUPPORTED: Self = Self(1);
    /// Error of the medium or the path to it (`BLK_STS_IOERR`).
    pub(crate) const IO_ERROR: Self = Self(10);

    /// Whether it ended without an error.
    #[inline]
    pub(crate) fn is_ok(self) -> bool {
        self.0 == 0
    }
}
