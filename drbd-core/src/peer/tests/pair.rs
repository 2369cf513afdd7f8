// SPDX-License-Identifier: GPL-2.0
//! Two nodes, and what is between them.

extern crate std;

pub(super) mod data;
pub(super) mod node;

use super::super::*;
use crate::state::{Conn, Disk, Role};
use crate::wire::{Agreed, FeatureFlags, ProtocolVersion};
use data::Block;
pub(super) use node::{Node, Wire};
use std::collections::BTreeMap;
use std::vec::Vec;

pub(super) struct Pair {
    pub n: [Node; 2],
    pub linked: bool,
    pub seed: u64,
    pub version: ProtocolVersion,
    /// The next version that is written.
    pub next: u64,
    /// The last version that the application was told to be written.
    pub acked: BTreeMap<Block, u64>,
}

/// What may happen next.
#[derive(Clone, Copy)]
enum Move {
    Data(usize),
    Meta(usize),
    Close,
    Ask(usize, Block),
    LinkUp,
}

impl Pair {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            n: [Node::new(seed * 2 + 1), Node::new(seed * 2 + 2)],
            linked: false,
            seed,
            version: ProtocolVersion::MAX,
            next: 1,
            acked: BTreeMap::new(),
        }
    }

    /// Two fresh nodes with one attached volume each.
    pub(super) fn fresh(seed: u64, sectors: u64) -> Self {
        Self::with_volumes(seed, sectors, 1)
    }

    /// The nodes connect, node 0 becomes Primary of volume 0, and both come in sync.
    pub(super) fn lead(&mut self) {
        for n in &mut self.n {
            assert_eq!(n.connect(false), 1);
        }
        self.settle();
        self.n[0].admin(Command::Primary {
            vnr: 0,
            force: true,
        });
        self.settle();
    }

    /// Two fresh nodes with attached volumes.
    pub(super) fn with_volumes(seed: u64, sectors: u64, volumes: u16) -> Self {
        let mut p = Self::new(seed);
        for n in &mut p.n {
            for vnr in 0..volumes {
                n.add_volume(vnr);
            }
            for vnr in 0..volumes {
                n.create_md(vnr, sectors);
                assert_eq!(n.attach(vnr, sectors), Some(101));
            }
        }
        p
    }

    pub(super) fn rnd(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.seed >> 33) % below
    }

    /// One thing happens, if something can: a packet arrives, the link comes up or breaks, a
    /// block is asked for.
    pub(super) fn step(&mut self) -> bool {
        let mut can: Vec<Move> = Vec::new();
        for (i, n) in self.n.iter().enumerate() {
            if self.linked {
                if !n.w.data.is_empty() {
                    can.push(Move::Data(i));
                }
                if !n.w.meta.is_empty() {
                    can.push(Move::Meta(i));
                }
                if let Some(block) = n.resync_candidate() {
                    can.push(Move::Ask(i, block));
                }
            }
            if n.w.shutdown {
                can.push(Move::Close);
            }
        }
        let waits = |n: &Node| n.r.cstate == Conn::WFConnection && n.w.receiver;
        if !self.linked && self.n.iter().all(waits) {
            can.push(Move::LinkUp);
        }
        if can.is_empty() {
            return false;
        }
        match can[self.rnd(can.len() as u64) as usize] {
            Move::Data(i) => {
                let p = self.n[i].w.data.pop_front().unwrap();
                self.deliver(1 - i, p);
            }
            Move::Meta(i) => {
                let p = self.n[i].w.meta.pop_front().unwrap();
                self.deliver(1 - i, p);
            }
            Move::Close => self.cut(),
            Move::Ask(i, block) => self.n[i].ask_for_block(block),
            Move::LinkUp => self.link_up(),
        }
        self.look_at_power();
        true
    }

    /// Everything happens, until nothing can.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("no rest: {} | {}", self.n[0].show(), self.n[1].show());
    }

    pub(super) fn link_up(&mut self) {
        self.linked = true;
        let first = self.rnd(2) as usize;
        let agreed = Agreed {
            version: self.version,
            features: FeatureFlags::NONE,
        };
        for i in 0..2 {
            self.n[i].feed(Event::LinkUp {
                agreed,
                resolve_conflicts: i == first,
            });
        }
    }

    /// The cable is cut, or one node shut its sockets down.
    pub(super) fn cut(&mut self) {
        if !self.linked {
            for n in &mut self.n {
                if n.w.shutdown {
                    n.closed();
                }
            }
        } else {
            self.linked = false;
            for n in &mut self.n {
                if n.r.cstate > Conn::WFConnection {
                    n.feed(Event::LinkBroken(Conn::NetworkFailure));
                }
                n.closed();
            }
        }
        self.note_acks();
    }

    /// The power of a node goes; its peer loses the link. Disks come back, nothing else.
    pub(super) fn crash(&mut self, i: usize) {
        self.n[i].crash();
        self.note_acks();
        if self.linked {
            self.linked = false;
            self.n[1 - i].feed(Event::LinkBroken(Conn::NetworkFailure));
            self.n[1 - i].closed();
        }
        self.note_acks();
    }

    /// Ends what went on in a node whose power is gone.
    pub(super) fn look_at_power(&mut self) {
        self.note_acks();
        // The peer's power may go while it sees the link break.
        while let Some(i) = self.n.iter().position(|n| n.power == Some(0)) {
            self.crash(i);
        }
    }

    fn deliver(&mut self, to: usize, p: Wire) {
        let n = &mut self.n[to];
        if n.w.shutdown {
            return;
        }
        match p {
            Wire::Bitmap(vnr, bits) => {
                n.w.bits.entry(vnr).or_default().extend(bits);
                n.feed(Event::BitmapReceived(vnr));
            }
            Wire::PingAck => n.feed(Event::PingAck),
            Wire::Uuids(vnr, u) => n.feed(Event::Uuids(vnr, u)),
            Wire::Packet(p) => self.control(to, p),
            blocks => n.block_packet(blocks),
        }
    }

    fn control(&mut self, to: usize, p: Send) {
        let n = &mut self.n[to];
        let event = match p {
            Send::Protocol { dry_run, .. } => Event::Protocol(ProtocolVerdict {
                compatible: true,
                dry_run,
            }),
            Send::SyncParam(vnr) => Event::SyncParam {
                vnr,
                compatible: true,
            },
            Send::Sizes { vnr, sizes } => Event::Sizes(vnr, sizes),
            Send::State(vnr, s) => Event::State(vnr, s),
            Send::SyncUuid(vnr, u) => Event::SyncUuid(vnr, u),
            Send::ChangeRequest(vnr, c) => Event::ChangeRequest(vnr, c),
            Send::ChangeReply(vnr, c) => Event::ChangeReply(vnr, c),
            Send::ConnChangeRequest(c) => Event::ConnChangeRequest(c),
            Send::ConnChangeReply(c) => Event::ConnChangeReply(c),
            Send::Ping => return n.w.meta.push_back(Wire::PingAck),
            Send::Uuids { .. } | Send::Bitmap(_) => unreachable!(),
        };
        n.feed(event);
    }

    /// The application on a Primary writes.
    pub(super) fn write(&mut self, i: usize, block: Block, disk_fails: bool) {
        let s = self.n[i].r.volume(block.vnr).unwrap().state;
        if s.role == Role::Primary && self.n[i].write(block, self.next, disk_fails) {
            self.next += 1;
        }
        self.note_acks();
    }

    pub(super) fn note_acks(&mut self) {
        for n in &mut self.n {
            for (block, version) in n.store.acked.split_off(0) {
                let last = self.acked.entry(block).or_default();
                *last = version.max(*last);
            }
        }
    }

    /// What an application on this Primary would read.
    pub(super) fn read(&self, i: usize, block: Block) -> Option<u64> {
        let peer = &self.n[1 - i];
        let good = peer.r.volume(block.vnr)?.state.disk == Disk::UpToDate;
        let answer = (self.linked && good).then(|| peer.store.version(block));
        self.n[i].read(block, answer)
    }

    /// Of two nodes at rest: what both say of each other, generations, and blocks.
    pub(super) fn check_rest(&self) {
        let seed = self.seed;
        for (v, w) in self.n[0].r.volumes.iter().zip(&self.n[1].r.volumes) {
            let (a, b) = (v.state, w.state);
            if a.conn != Conn::Connected || b.conn != Conn::Connected {
                continue;
            }
            assert_eq!((a.disk, a.role), (b.pdsk, b.peer), "I44, {seed}: {a} | {b}");
            assert_eq!((a.pdsk, a.peer), (b.disk, b.role), "I44, {seed}: {a} | {b}");
            if a.disk != Disk::UpToDate || b.disk != Disk::UpToDate {
                continue;
            }
            let [x, y] = [v, w].map(|v| v.uuids().unwrap());
            assert!(crate::uuid::same(x.current, y.current), "I37, {seed}");
            for nr in 0..v.size.div_ceil(8) {
                let block = Block { vnr: v.vnr, nr };
                let [x, y] = [0, 1].map(|i: usize| self.n[i].store.version(block));
                assert_eq!(x, y, "I23, {seed}: {block:?}");
            }
        }
    }
}
