// SPDX-License-Identifier: GPL-2.0
//! A disk with a volatile cache: what was written and not flushed may be gone after a power cut,
//! sector by sector.
//!
//! Data is kept as one number for each sector, the version that was written there. Metadata is
//! kept as bytes, because what stands there is drbd-core's own format.

use crate::rng::Rng;
use drbd_core::meta::{AlLayout, Layout, Magic, MdFlags, MdIndex, Superblock};
use std::collections::BTreeMap;

/// Bytes of a sector.
pub(crate) const SECTOR: usize = 512;
/// Sectors of a block, for which the bitmap has a bit.
pub(crate) const BLOCK: u64 = 8;

/// What is done to a disk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// Reads data.
    Read { sector: u64, sectors: u64 },
    /// Writes data.
    Write {
        sector: u64,
        data: Vec<u64>,
        preflush: bool,
        fua: bool,
    },
    /// Writes metadata.
    Meta {
        sector: u64,
        bytes: Vec<u8>,
        preflush: bool,
        fua: bool,
    },
    /// Makes stable what was written before.
    Flush,
}

impl Op {
    fn preflushes(&self) -> bool {
        match self {
            Op::Write { preflush, .. } | Op::Meta { preflush, .. } => *preflush,
            Op::Flush => true,
            Op::Read { .. } => false,
        }
    }

    /// First sector, and the one behind the last; of data and of metadata.
    fn place(&self) -> Option<(bool, u64, u64)> {
        match self {
            Op::Write { sector, data, .. } => Some((true, *sector, *sector + data.len() as u64)),
            Op::Meta { sector, bytes, .. } => {
                Some((false, *sector, *sector + (bytes.len() / SECTOR) as u64))
            }
            Op::Read { .. } | Op::Flush => None,
        }
    }

    fn overlaps(&self, other: &Op) -> bool {
        match (self.place(), other.place()) {
            (Some((a, from, to)), Some((b, first, end))) => a == b && from < end && first < to,
            _ => false,
        }
    }

    fn is_fua(&self) -> bool {
        matches!(
            self,
            Op::Write { fua: true, .. } | Op::Meta { fua: true, .. }
        )
    }
}

/// An operation under way.
#[derive(Clone, Debug)]
struct InFlight {
    op: Op,
    /// What the cache held when it was submitted.
    seen: u64,
    /// Connection and epoch, for a write of the peer.
    epoch: Option<(u64, u64)>,
}

/// A write in the cache.
#[derive(Clone, Debug)]
struct Cached {
    nr: u64,
    op: Op,
    epoch: Option<(u64, u64)>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Done {
    /// Well; a read gives what it found.
    Ok(Vec<u64>),
    /// Not at all.
    Failed,
}

/// What of a disk fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Reads of data.
    pub(crate) read: bool,
    /// Writes of data.
    pub(crate) write: bool,
    /// Writes of metadata, and flushes.
    pub(crate) meta: bool,
}

/// A disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// It has a cache that it may lose.
    pub(crate) volatile: bool,
    /// What fails now.
    pub(crate) faults: Faults,
    capacity: u64,
    /// Where the metadata begins.
    meta_start: u64,
    layout: Layout,
    /// What a read finds.
    data: Vec<u64>,
    meta: Vec<u8>,
    /// What a power cut leaves.
    stable_data: Vec<u64>,
    stable_meta: Vec<u8>,
    cache: Vec<Cached>,
    next_cached: u64,
    in_flight: BTreeMap<u64, InFlight>,
    next_op: u64,
}

impl Disk {
    /// A disk with metadata just made, of `blocks` usable blocks.
    pub(crate) fn new(blocks: u64, volatile: bool) -> Self {
        let capacity = 2048 + blocks * BLOCK;
        let al = AlLayout::new(1, 8).expect("a log of 8 blocks is a shape");
        let layout =
            Layout::compute(MdIndex::FlexInternal, capacity, al).expect("the device is big enough");
        let meta_start = layout.first_sector();
        let meta = vec![0; (capacity - meta_start) as usize * SECTOR];
        let data = vec![0; (blocks * BLOCK) as usize];
        let mut disk = Self {
            volatile,
            faults: Faults::default(),
            capacity,
            meta_start,
            layout,
            stable_data: data.clone(),
            stable_meta: meta.clone(),
            data,
            meta,
            cache: Vec::new(),
            next_cached: 0,
            in_flight: BTreeMap::new(),
            next_op: 0,
        };
        let mut block = [0; 4096];
        Superblock::create(&layout)
            .emit(&mut block)
            .expect("a block holds a superblock");
        let at = disk.place(layout.superblock_sector());
        disk.meta[at..at + 4096].copy_from_slice(&block);
        disk.stable_meta[at..at + 4096].copy_from_slice(&block);
        disk
    }

    fn place(&self, sector: u64) -> usize {
        (sector - self.meta_start) as usize * SECTOR
    }

    /// Sectors in all.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Sectors of data.
    pub(crate) fn sectors(&self) -> u64 {
        self.data.len() as u64
    }

    /// Where what is.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a read finds now.
    pub(crate) fn data(&self) -> &[u64] {
        &self.data
    }

    /// What a power cut leaves for sure.
    pub(crate) fn stable_data(&self) -> &[u64] {
        &self.stable_data
    }

    /// Metadata as a read finds it.
    pub(crate) fn meta(&self, sector: u64, bytes: usize) -> &[u8] {
        let at = self.place(sector);
        &self.meta[at..at + bytes]
    }

    /// What `drbdmeta apply-al` does before an attach. No activity log is written yet; where it is,
    /// its replay has its place here.
    pub(crate) fn apply_log(&mut self) {
        let Some(mut sb) = self.superblock() else {
            return;
        };
        if sb.is_clean() {
            return;
        }
        sb.magic = Magic::Clean;
        sb.flags = sb.flags.with(MdFlags::AL_CLEAN);
        let at = self.place(self.layout.superblock_sector());
        let _ = sb.emit(&mut self.meta[at..at + 4096]);
        let _ = sb.emit(&mut self.stable_meta[at..at + 4096]);
    }

    /// The superblock as a read finds it.
    pub(crate) fn superblock(&self) -> Option<Superblock> {
        Superblock::parse(self.meta(self.layout.superblock_sector(), 4096)).ok()
    }

    /// The superblock, as a read finds it, says so.
    pub(crate) fn has_flag(&self, flag: MdFlags) -> bool {
        self.superblock().is_some_and(|sb| sb.flags.contains(flag))
    }

    /// The superblock as a power cut leaves it.
    pub(crate) fn stable_superblock(&self) -> Option<Superblock> {
        let at = self.place(self.layout.superblock_sector());
        Superblock::parse(&self.stable_meta[at..at + 4096]).ok()
    }

    /// A bit of the bitmap as a read finds it.
    pub(crate) fn bit(&self, block: u64) -> bool {
        self.bit_of(&self.meta, block)
    }

    /// A bit of the bitmap as a power cut leaves it.
    pub(crate) fn stable_bit(&self, block: u64) -> bool {
        self.bit_of(&self.stable_meta, block)
    }

    fn bit_of(&self, meta: &[u8], block: u64) -> bool {
        let at = self.place(self.layout.bm_sector()) + (block / 8) as usize;
        (meta[at] >> (block % 8)) & 1 == 1
    }

    /// Begins an operation; [`Disk::complete`] ends it.
    pub(crate) fn submit(&mut self, op: Op, epoch: Option<(u64, u64)>) -> u64 {
        self.next_op += 1;
        let seen = self.next_cached;
        self.in_flight
            .insert(self.next_op, InFlight { op, seen, epoch });
        self.next_op
    }

    /// A write of an earlier epoch of this connection that a power cut could still take away.
    pub(crate) fn unstable_before(&self, (link, epoch): (u64, u64)) -> Option<u64> {
        let cached = self.cache.iter().filter_map(|c| c.epoch);
        let moving = self.in_flight.values().filter_map(|f| f.epoch);
        cached
            .chain(moving)
            .find(|(l, e)| *l == link && *e < epoch)
            .map(|(_, e)| e)
    }

    /// Ends an operation.
    pub(crate) fn complete(&mut self, id: u64) -> Option<Done> {
        let InFlight { op, seen, epoch } = self.in_flight.remove(&id)?;
        let fails = match op {
            Op::Read { .. } => self.faults.read,
            Op::Write { .. } => self.faults.write,
            Op::Meta { .. } | Op::Flush => self.faults.meta,
        };
        if fails {
            return Some(Done::Failed);
        }
        if op.preflushes() {
            self.flush_until(seen);
        }
        let fua = op.is_fua() || !self.volatile;
        Some(Done::Ok(match &op {
            Op::Read { sector, sectors } => {
                let (from, to) = (*sector as usize, (*sector + *sectors) as usize);
                self.data[from..to].to_vec()
            }
            Op::Flush => Vec::new(),
            Op::Write { sector, data, .. } => {
                let at = *sector as usize;
                self.data[at..at + data.len()].copy_from_slice(data);
                self.written(op, epoch, fua);
                Vec::new()
            }
            Op::Meta { sector, bytes, .. } => {
                let at = self.place(*sector);
                self.meta[at..at + bytes.len()].copy_from_slice(bytes);
                self.written(op, epoch, fua);
                Vec::new()
            }
        }))
    }

    fn written(&mut self, op: Op, epoch: Option<(u64, u64)>, fua: bool) {
        if fua {
            // Older writes of the same place must not come after it.
            let older = self.cache.iter().rev().find(|c| c.op.overlaps(&op));
            if let Some(nr) = older.map(|c| c.nr) {
                self.flush_until(nr);
            }
            self.make_stable(&op, |_| true);
            return;
        }
        self.next_cached += 1;
        let nr = self.next_cached;
        self.cache.push(Cached { nr, op, epoch });
    }

    fn flush_until(&mut self, nr: u64) {
        let rest = self.cache.iter().position(|c| c.nr > nr);
        let rest = self.cache.split_off(rest.unwrap_or(self.cache.len()));
        for c in std::mem::replace(&mut self.cache, rest) {
            self.make_stable(&c.op, |_| true);
        }
    }

    fn make_stable(&mut self, op: &Op, mut keep: impl FnMut(u64) -> bool) {
        match op {
            Op::Write { sector, data, .. } => {
                for (at, version) in (*sector..).zip(data) {
                    if keep(at) {
                        self.stable_data[at as usize] = *version;
                    }
                }
            }
            Op::Meta { sector, bytes, .. } => {
                for (at, bytes) in (*sector..).zip(bytes.chunks_exact(SECTOR)) {
                    if keep(at) {
                        let place = self.place(at);
                        self.stable_meta[place..place + SECTOR].copy_from_slice(bytes);
                    }
                }
            }
            Op::Read { .. } | Op::Flush => {}
        }
    }

    /// The power goes. Of what is in the cache or under way, each sector survives by chance.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng) {
        let odds = rng.below(5);
        let mut moving = Vec::new();
        for InFlight { op, seen, .. } in std::mem::take(&mut self.in_flight).into_values() {
            if op.preflushes() {
                // What was done before is stable before anything of it is.
                if rng.below(4) >= odds {
                    continue;
                }
                self.flush_until(seen);
            }
            moving.push(op);
        }
        let cache = std::mem::take(&mut self.cache);
        for op in cache.into_iter().map(|c| c.op).chain(moving) {
            // Mostly a write survives as a whole or not at all, sometimes it is torn.
            let whole = rng.below(4) < odds;
            let torn = rng.one_in(4);
            self.make_stable(&op, |_| if torn { rng.below(4) < odds } else { whole });
        }
        self.data.clone_from(&self.stable_data);
        self.meta.clone_from(&self.stable_meta);
        self.faults = Faults::default();
    }

    /// The cache goes to the disk by itself, up to some write.
    pub(crate) fn write_back(&mut self, rng: &mut Rng) {
        if !self.cache.is_empty() {
            let some = rng.below(self.cache.len() as u64) as usize;
            let nr = self.cache[some].nr;
            self.flush_until(nr);
        }
    }
}
