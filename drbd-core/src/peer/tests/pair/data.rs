// SPDX-License-Identifier: GPL-2.0
//! Blocks: an application writes versions, the policy says where they go, a resync copies them.
//! A block is one bit; a write of the local disk and the sending of its copy are one moment.

extern crate std;

use super::super::super::*;
use super::node::{Node, Wire};
use crate::request::policy::{ReadRoute, WriteRoute};
use crate::state::{Disk, LogEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

/// A block of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Block {
    pub(crate) vnr: u16,
    pub(crate) nr: u64,
}

/// A write that waits for the peer's ack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) block: Block,
    version: u64,
    local: bool,
}

/// The blocks of a node, and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Version of each block on the disk; missing: 0.
    pub(crate) blocks: BTreeMap<Block, u64>,
    pub(crate) pending: Vec<Pending>,
    /// Asked for by the target of a resync.
    pub(crate) wanted: BTreeSet<Block>,
    /// Failed disks that are to be given back.
    pub(crate) released: BTreeSet<u16>,
    /// What the application was told to be written, since it was last looked at.
    pub(crate) acked: Vec<(Block, u64)>,
}

impl Store {
    pub(crate) fn version(&self, block: Block) -> u64 {
        self.blocks.get(&block).copied().unwrap_or(0)
    }

    /// All but the blocks is lost.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
        self.wanted.clear();
        self.released.clear();
    }
}

impl Node {
    fn disk_state(&self, vnr: u16) -> Disk {
        self.r.volume(vnr).map_or(Disk::Diskless, |v| v.state.disk)
    }

    pub(crate) fn set_bit(&mut self, block: Block) {
        if let Some(bits) = self.w.bits.get_mut(&block.vnr) {
            bits.insert(block.nr);
        }
    }

    fn clear_bit(&mut self, block: Block) {
        if let Some(bits) = self.w.bits.get_mut(&block.vnr) {
            bits.remove(&block.nr);
        }
        let vnr = block.vnr;
        self.feed(Event::ResyncProgress { vnr, failed: 0 });
    }

    /// The application writes. `false`: not admitted now.
    pub(crate) fn write(&mut self, block: Block, version: u64, disk_fails: bool) -> bool {
        let Some(policy) = self.w.policy.get(&block.vnr).copied() else {
            return false;
        };
        let busy = self.store.pending.iter().any(|w| w.block == block);
        if policy.parked || policy.no_data || busy || self.store.wanted.contains(&block) {
            return false;
        }
        let attached = policy.local_write && self.w.bits.contains_key(&block.vnr);
        let local = attached && !disk_fails;
        if local {
            self.store.blocks.insert(block, version);
        }
        self.say(&std::format!(
            "write {block:?} {version} local {local} {policy:?}"
        ));
        if policy.write == WriteRoute::Replicate {
            let data = Wire::Data(block, version, policy.may_set_in_sync);
            self.w.data.push_back(data);
            self.w.writing += 1;
            self.store.pending.push(Pending {
                block,
                version,
                local,
            });
        } else {
            self.set_bit(block);
            if policy.write == WriteRoute::OutOfSyncNote {
                self.w.data.push_back(Wire::OutOfSync(block));
            }
            if local && !policy.frozen {
                self.store.acked.push((block, version));
            }
        }
        if attached && disk_fails {
            self.set_bit(block);
            let vnr = block.vnr;
            let kind = DiskErrorKind::Write;
            self.feed(Event::DiskError { vnr, kind });
        }
        true
    }

    /// What the application reads; `None`: it waits or fails. `peer`: what the peer would answer.
    pub(crate) fn read(&self, block: Block, peer: Option<u64>) -> Option<u64> {
        let policy = self.w.policy.get(&block.vnr)?;
        if policy.parked {
            return None;
        }
        let dirty = || self.w.bits[&block.vnr].contains(&block.nr);
        match policy.read {
            ReadRoute::Local => Some(self.store.version(block)),
            ReadRoute::LocalIfClean if !dirty() => Some(self.store.version(block)),
            ReadRoute::LocalIfClean if !policy.remote_read => None,
            ReadRoute::LocalIfClean | ReadRoute::Remote => peer,
            ReadRoute::None => None,
        }
    }

    /// A write has all its answers, or there will be none.
    fn complete(&mut self, block: Block, version: u64, remote: bool, frozen_too: bool) {
        let at = |w: &Pending| w.block == block && w.version == version;
        let Some(i) = self.store.pending.iter().position(at) else {
            return;
        };
        let w = self.store.pending.remove(i);
        self.w.writing -= 1;
        if !remote {
            self.set_bit(block);
        }
        let frozen = self.w.policy.get(&block.vnr).is_some_and(|p| p.frozen);
        // A write whose only copy is on a disk that is not UpToDate is not counted on.
        let good = self.disk_state(block.vnr) == Disk::UpToDate;
        if ((w.local && good) || remote) && (!frozen || frozen_too) {
            self.store.acked.push((block, version));
        }
    }

    pub(crate) fn requests(&mut self, event: LogEvent) {
        match event {
            LogEvent::ConnectionLostWhilePending => {
                for w in self.store.pending.clone() {
                    self.complete(w.block, w.version, false, true);
                }
            }
            LogEvent::Resend => {
                for w in self.store.pending.clone() {
                    let in_sync = self.w.policy[&w.block.vnr].may_set_in_sync;
                    let data = Wire::Data(w.block, w.version, in_sync);
                    self.w.data.push_back(data);
                }
            }
            LogEvent::RestartFrozenDiskIo | LogEvent::Thaw => {}
        }
    }

    /// A block that the target may ask for now.
    pub(crate) fn resync_candidate(&self) -> Option<Block> {
        let targets = self.w.resync.iter().filter(|(_, s)| **s == Side::Target);
        for (vnr, _) in targets {
            let state = self.r.volume(*vnr)?.state;
            if state.conn != crate::state::Conn::SyncTarget || self.store.wanted.len() > 3 {
                continue;
            }
            let free = |b: &Block| {
                !self.store.wanted.contains(b) && !self.store.pending.iter().any(|w| w.block == *b)
            };
            let bits = self.w.bits.get(vnr)?.iter();
            let found = bits.map(|nr| Block { vnr: *vnr, nr: *nr }).find(free);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    pub(crate) fn ask_for_block(&mut self, block: Block) {
        self.store.wanted.insert(block);
        self.w.data.push_back(Wire::ResyncRequest(block));
    }

    /// A packet about blocks arrives.
    pub(crate) fn block_packet(&mut self, packet: Wire) {
        self.say(&std::format!("{packet:?}"));
        match packet {
            Wire::Data(block, version, in_sync) => {
                let state = self.r.volume(block.vnr).unwrap().state;
                if state.disk < Disk::Inconsistent {
                    self.w.meta.push_back(Wire::NegAck(block, version));
                    return;
                }
                self.store.blocks.insert(block, version);
                if state.pdsk < Disk::Inconsistent {
                    self.set_bit(block);
                }
                let in_sync = in_sync && state.conn.is_sync_or_verify();
                self.w.meta.push_back(Wire::Ack(block, version, in_sync));
                if in_sync {
                    self.clear_bit(block);
                }
            }
            Wire::OutOfSync(block) => self.set_bit(block),
            Wire::Ack(block, version, in_sync) => {
                if in_sync {
                    self.clear_bit(block);
                }
                self.complete(block, version, true, false);
            }
            Wire::NegAck(block, version) => self.complete(block, version, false, false),
            Wire::ResyncRequest(block) => {
                let answer = if self.disk_state(block.vnr) == Disk::UpToDate {
                    let version = self.store.version(block);
                    self.w.data.push_back(Wire::ResyncReply(block, version));
                    return;
                } else {
                    Wire::NegResyncReply(block)
                };
                self.w.meta.push_back(answer);
            }
            Wire::ResyncReply(block, version) => {
                let wanted = self.store.wanted.remove(&block);
                if wanted && self.disk_state(block.vnr) >= Disk::Inconsistent {
                    self.store.blocks.insert(block, version);
                    self.w.meta.push_back(Wire::ResyncAck(block));
                    self.clear_bit(block);
                }
            }
            Wire::NegResyncReply(block) => {
                if self.store.wanted.remove(&block) {
                    let vnr = block.vnr;
                    self.feed(Event::ResyncProgress { vnr, failed: 1 });
                }
            }
            Wire::ResyncAck(block) => self.clear_bit(block),
            other => unreachable!("{other:?}"),
        }
        // A disk may be idle now.
        self.run();
    }
}
