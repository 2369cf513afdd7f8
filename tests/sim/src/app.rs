// SPDX-License-Identifier: GPL-2.0
//! The application, and the journal of what it was told.
//!
//! Each write has a number of its own, its *version*, which is what the disks keep. The journal
//! knows for each sector the youngest version that was acknowledged, and the youngest one that a
//! completed flush covers: the first must survive whatever one copy survives, the second must
//! survive anything.

use crate::setup::Setup;
use std::collections::BTreeMap;

/// What the application asked for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Write {
        sector: u64,
        sectors: u64,
        version: u64,
        fua: bool,
    },
    /// With what was acknowledged when the read began.
    Read {
        sector: u64,
        sectors: u64,
        acked: Vec<u64>,
    },
    /// With what was acknowledged when the flush began, and the connection if it waits for the
    /// peer.
    Flush { acked: Vec<u64>, peer: Option<u64> },
}

/// An operation that is not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) node: usize,
    pub(crate) vol: u16,
    pub(crate) kind: Kind,
}

/// A volume as the application knows it.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    /// The youngest version of each sector that was acknowledged.
    pub(crate) acked: Vec<u64>,
    /// The youngest one that a flush covers.
    pub(crate) flushed: Vec<u64>,
}

/// The application, on whichever node is Primary.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) volumes: Vec<Journal>,
    /// Open operations by their number.
    pub(crate) ops: BTreeMap<u64, Op>,
    next_op: u64,
    /// Where each version was written: volume, first sector, number of sectors.
    written: Vec<(u16, u64, u64)>,
    /// Operations that were answered.
    pub(crate) answered: u64,
    /// Writes that were acknowledged.
    pub(crate) acks: u64,
}

impl App {
    pub(crate) fn new(setup: &Setup) -> Self {
        let journal = |vol: u16| {
            let sectors = (setup.blocks[vol as usize] * 8) as usize;
            Journal {
                acked: vec![0; sectors],
                flushed: vec![0; sectors],
            }
        };
        Self {
            volumes: (0..setup.volumes).map(journal).collect(),
            ops: BTreeMap::new(),
            next_op: 0,
            written: vec![(0, 0, 0)],
            answered: 0,
            acks: 0,
        }
    }

    fn begin(&mut self, node: usize, vol: u16, kind: Kind) -> u64 {
        self.next_op += 1;
        self.ops.insert(self.next_op, Op { node, vol, kind });
        self.next_op
    }

    pub(crate) fn write(
        &mut self,
        node: usize,
        vol: u16,
        (sector, sectors): (u64, u64),
        fua: bool,
    ) -> u64 {
        let kind = Kind::Write {
            sector,
            sectors,
            version: 0,
            fua,
        };
        self.begin(node, vol, kind)
    }

    /// A write is admitted: from now on it has a version. Of two that overlap, the one that is
    /// admitted later waits for the answer of the other.
    pub(crate) fn admitted(&mut self, id: u64) -> u64 {
        let next = self.written.len() as u64;
        let Some(op) = self.ops.get_mut(&id) else {
            return 0;
        };
        if let Kind::Write {
            sector,
            sectors,
            version,
            ..
        } = &mut op.kind
        {
            self.written.push((op.vol, *sector, *sectors));
            *version = next;
        }
        next
    }

    pub(crate) fn read(&mut self, node: usize, vol: u16, sector: u64, sectors: u64) -> u64 {
        let acked = &self.volumes[vol as usize].acked;
        let acked = acked[sector as usize..(sector + sectors) as usize].to_vec();
        self.begin(
            node,
            vol,
            Kind::Read {
                sector,
                sectors,
                acked,
            },
        )
    }

    pub(crate) fn flush(&mut self, node: usize, vol: u16) -> u64 {
        let acked = self.volumes[vol as usize].acked.clone();
        self.begin(node, vol, Kind::Flush { acked, peer: None })
    }

    /// Whether this version was ever written to the sector. 0 is what a new disk has.
    pub(crate) fn wrote(&self, vol: u16, sector: u64, version: u64) -> bool {
        version == 0
            || self
                .written
                .get(version as usize)
                .is_some_and(|(v, at, n)| *v == vol && (*at..at + n).contains(&sector))
    }

    /// Operations of a node that are not answered.
    pub(crate) fn open(&self, node: usize, vol: u16) -> u32 {
        let of = self
            .ops
            .values()
            .filter(|op| op.node == node && op.vol == vol);
        of.count() as u32
    }

    /// The power of a node went: nobody waits for its answers.
    pub(crate) fn forget(&mut self, node: usize) {
        self.ops.retain(|_, op| op.node != node);
    }
}
