// SPDX-License-Identifier: GPL-2.0
//! A driver without I/O for two machines: bitmaps are sets, packets wait in queues.

extern crate std;

use super::super::*;
use crate::meta::{AlLayout, Layout, MdIndex, Superblock};
use crate::state::{Conn, Disk, Fencing, Role};
use crate::wire::{Agreed, FeatureFlags, ProtocolVersion, Uuids};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

/// A packet on its way.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    Packet(Send),
    Bitmap(u16, BTreeSet<u64>),
    PingAck,
    Uuids(u16, Uuids),
}

/// The disk of a node, as it survives a crash.
#[derive(Clone, Debug)]
pub(super) struct Durable {
    pub superblock: Superblock,
    pub bitmap: BTreeSet<u64>,
}

#[derive(Debug)]
pub(super) struct World {
    pub bits: BTreeMap<u16, BTreeSet<u64>>,
    pub size: BTreeMap<u16, u64>,
    pub data: VecDeque<Wire>,
    pub meta: VecDeque<Wire>,
    /// What is to be fed to the machine after the present event.
    pub todo: VecDeque<Event>,
    pub answers: Vec<i32>,
    pub open: u32,
    pub log: Vec<LogLine>,
    pub shutdown: bool,
    pub receiver: bool,
    pub write_superblock: Vec<u16>,
    pub resync: BTreeMap<u16, Side>,
    pub lost_requests: u32,
    pub seed: u64,
    pub now: u64,
}

#[derive(Debug)]
pub(super) struct Node {
    pub r: Resource<Vec<Volume>>,
    pub w: World,
    pub disk: BTreeMap<u16, Durable>,
}

impl Driver for World {
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(Send::Bitmap(vnr)) => {
                let bits = self.bits.entry(vnr).or_default().clone();
                self.data.push_back(Wire::Bitmap(vnr, bits));
            }
            Effect::Send(Send::Uuids { vnr, uuids }) => {
                self.data.push_back(Wire::Uuids(vnr, uuids));
            }
            Effect::Send(p @ (Send::ChangeReply(..) | Send::ConnChangeReply(..) | Send::Ping)) => {
                self.meta.push_back(Wire::Packet(p))
            }
            Effect::Send(p) => self.data.push_back(Wire::Packet(p)),
            Effect::SetAllBits { vnr, report } => {
                let bits = self.size.get(&vnr).copied().unwrap_or(0).div_ceil(8);
                self.bits.insert(vnr, (0..bits).collect());
                if report {
                    self.todo.push_back(Event::AllBitsSet { vnr, ok: true });
                }
            }
            Effect::ClearBitmap(vnr) => {
                self.bits.insert(vnr, BTreeSet::new());
            }
            Effect::SetSize {
                vnr,
                sectors,
                set_new,
                ..
            } => {
                let old = self.size.insert(vnr, sectors).unwrap_or(0);
                if set_new {
                    let new = old.div_ceil(8)..sectors.div_ceil(8);
                    self.bits.entry(vnr).or_default().extend(new);
                }
            }
            Effect::WriteSuperblock(vnr) => self.write_superblock.push(vnr),
            Effect::StartResync { vnr, side } => {
                self.resync.insert(vnr, side);
            }
            Effect::StopResync(vnr) => {
                self.resync.remove(&vnr);
            }
            Effect::StartReceiver => self.receiver = true,
            Effect::CloseLink => self.shutdown = true,
            Effect::ReleaseDisk(vnr) => self.todo.push_back(Event::DiskIdle(vnr)),
            Effect::DestroyDisk(vnr) => {
                self.bits.remove(&vnr);
            }
            Effect::Help { vnr, helper } => {
                self.todo.push_back(Event::HelperDone {
                    vnr,
                    helper,
                    exit: 0,
                });
            }
            Effect::AdminDone(code) => self.answers.push(code),
            Effect::Log(_, line) => self.log.push(line),
            Effect::Requests(_) => self.lost_requests += 1,
            Effect::StateChanged { .. }
            | Effect::ConnChanged { .. }
            | Effect::CloseEpoch
            | Effect::WriteBitmap(_)
            | Effect::ResyncPaused { .. }
            | Effect::DropNetConfig
            | Effect::SetReadOnly { .. } => {}
        }
    }

    fn random(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let x = self.seed ^ (self.seed >> 29);
        x.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn now_ms(&self) -> u64 {
        self.now
    }

    fn open_count(&self, _vnr: u16) -> u32 {
        self.open
    }

    fn bits_set(&self, vnr: u16) -> u64 {
        self.bits.get(&vnr).map_or(0, |b| b.len() as u64)
    }

    fn on_io_error(&self, _vnr: u16) -> OnIoError {
        OnIoError::Detach
    }
}

impl Node {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            r: Resource::new(Vec::new()),
            w: World {
                bits: BTreeMap::new(),
                size: BTreeMap::new(),
                data: VecDeque::new(),
                meta: VecDeque::new(),
                todo: VecDeque::new(),
                answers: Vec::new(),
                open: 0,
                log: Vec::new(),
                shutdown: false,
                receiver: false,
                write_superblock: Vec::new(),
                resync: BTreeMap::new(),
                lost_requests: 0,
                seed,
                now: 0,
            },
            disk: BTreeMap::new(),
        }
    }

    /// Feeds one event and all that follows from it inside this node.
    pub(super) fn feed(&mut self, event: Event) {
        self.w.todo.push_back(event);
        while let Some(e) = self.w.todo.pop_front() {
            self.w.now += 1;
            self.r.handle(e, &mut self.w);
            for vnr in self.w.write_superblock.split_off(0) {
                if let Some(d) = self.r.volume(vnr).and_then(|v| v.disk) {
                    let bitmap = self.w.bits.get(&vnr).cloned().unwrap_or_default();
                    let disk = Durable {
                        superblock: d.superblock,
                        bitmap,
                    };
                    self.disk.insert(vnr, disk);
                }
            }
            self.check();
        }
    }

    /// What must hold after every event.
    fn check(&self) {
        for v in &self.r.volumes {
            let s = v.state;
            if s.conn < Conn::Connected {
                assert_eq!(s.peer, Role::Unknown, "I2: {s}");
                assert!(
                    matches!(s.pdsk, Disk::Inconsistent | Disk::Outdated | Disk::DUnknown),
                    "I2: {s}"
                );
            }
            assert_ne!(s.disk, Disk::DUnknown, "I3");
            assert_eq!(
                v.disk.is_some(),
                s.disk > Disk::Diskless && s.disk != Disk::Attaching
            );
            if s.conn.is_connected() {
                assert_eq!(self.r.cstate, Conn::WFReportParams, "I8: {s}");
            }
            if s.disk == Disk::UpToDate && s.conn.is_sync_target() {
                panic!("I27: {s}");
            }
        }
    }

    pub(super) fn admin(&mut self, command: Command) -> Option<i32> {
        let before = self.w.answers.len();
        self.feed(Event::Admin(command));
        self.w.answers.get(before).copied()
    }

    pub(super) fn add_volume(&mut self, vnr: u16) {
        self.r.volumes.push(Volume::new(vnr));
    }

    pub(super) fn create_md(&mut self, vnr: u16, sectors: u64) {
        let layout = layout_for(sectors);
        let superblock = Superblock::create(&layout);
        self.disk.insert(
            vnr,
            Durable {
                superblock,
                bitmap: BTreeSet::new(),
            },
        );
    }

    pub(super) fn attach(&mut self, vnr: u16, sectors: u64) -> i32 {
        let code = self.admin(Command::AttachBegin(vnr)).unwrap();
        if code != 101 {
            return code;
        }
        let durable = self.disk[&vnr].clone();
        self.w.bits.insert(vnr, durable.bitmap);
        let disk = DiskData {
            superblock: durable.superblock,
            usable: sectors,
            user_size: 0,
            fencing: Fencing::DontCare,
            max_bio_size: 1 << 20,
            dirty: false,
        };
        self.admin(Command::Attach(vnr, disk)).unwrap()
    }

    pub(super) fn connect(&mut self, discard_my_data: bool) -> i32 {
        self.r.net = Some(NetSettings::default());
        let code = self
            .admin(Command::Connect {
                discard_my_data,
                dry_run: false,
            })
            .unwrap();
        if code == 1 {
            self.feed(Event::Connecting);
        }
        code
    }

    pub(super) fn s(&self) -> crate::state::DeviceState {
        self.r.volumes[0].state
    }

    /// `conn role/peer disk/pdsk`.
    pub(super) fn show(&self) -> std::string::String {
        let s = self.s();
        std::format!("{} {}/{} {}/{}", s.conn, s.role, s.peer, s.disk, s.pdsk)
    }

    /// The sockets are gone: what a receiver does at its end.
    fn closed(&mut self) {
        self.w.data.clear();
        self.w.meta.clear();
        self.w.shutdown = false;
        self.feed(Event::LinkClosed);
        if self.r.cstate == Conn::Unconnected {
            self.feed(Event::Connecting);
        } else {
            self.w.receiver = false;
        }
    }
}

pub(super) fn layout_for(sectors: u64) -> Layout {
    let al = AlLayout::new(1, 8).unwrap();
    Layout::compute(MdIndex::FlexInternal, sectors + 1024, al).unwrap()
}

pub(super) struct Pair {
    pub n: [Node; 2],
    pub linked: bool,
    pub seed: u64,
}

impl Pair {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            n: [Node::new(seed * 2 + 1), Node::new(seed * 2 + 2)],
            linked: false,
            seed,
        }
    }

    /// Two fresh nodes with one attached volume each.
    pub(super) fn fresh(seed: u64, sectors: u64) -> Self {
        let mut p = Self::new(seed);
        for n in &mut p.n {
            n.add_volume(0);
            n.create_md(0, sectors);
            assert_eq!(n.attach(0, sectors), 101);
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
    /// block is synced.
    pub(super) fn step(&mut self) -> bool {
        let mut can: Vec<(usize, u8)> = Vec::new();
        for i in 0..2 {
            if self.linked {
                if !self.n[i].w.data.is_empty() {
                    can.push((i, 0));
                }
                if !self.n[i].w.meta.is_empty() {
                    can.push((i, 1));
                }
                let target = self.n[i].w.resync.get(&0) == Some(&Side::Target);
                let running = self.n[i].s().conn == Conn::SyncTarget
                    && self.n[1 - i].s().conn == Conn::SyncSource;
                if target && running && !self.n[i].w.bits[&0].is_empty() {
                    can.push((i, 3));
                }
            }
            if self.n[i].w.shutdown {
                can.push((i, 2));
            }
        }
        let both = self
            .n
            .iter()
            .all(|n| n.r.cstate == Conn::WFConnection && n.w.receiver);
        if !self.linked && both {
            can.push((0, 4));
        }
        if can.is_empty() {
            return false;
        }
        let (i, what) = can[self.rnd(can.len() as u64) as usize];
        match what {
            0 => {
                let p = self.n[i].w.data.pop_front().unwrap();
                self.deliver(1 - i, p);
            }
            1 => {
                let p = self.n[i].w.meta.pop_front().unwrap();
                self.deliver(1 - i, p);
            }
            2 => self.cut(),
            3 => self.sync_one(i),
            _ => self.link_up(),
        }
        true
    }

    fn sync_one(&mut self, target: usize) {
        let bit = *self.n[target].w.bits[&0].iter().next().unwrap();
        for n in &mut self.n {
            n.w.bits.entry(0).or_default().remove(&bit);
            n.feed(Event::ResyncProgress { vnr: 0, failed: 0 });
        }
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
            version: ProtocolVersion::MAX,
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
            return;
        }
        self.linked = false;
        for n in &mut self.n {
            if n.r.cstate > Conn::WFConnection {
                n.feed(Event::LinkBroken(Conn::NetworkFailure));
            }
            n.closed();
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
            Wire::Packet(p) => match p {
                Send::Protocol { dry_run, .. } => {
                    n.feed(Event::Protocol(ProtocolVerdict {
                        compatible: true,
                        dry_run,
                    }));
                }
                Send::SyncParam(vnr) => n.feed(Event::SyncParam {
                    vnr,
                    compatible: true,
                }),
                Send::Sizes { vnr, sizes } => n.feed(Event::Sizes(vnr, sizes)),
                Send::State(vnr, s) => n.feed(Event::State(vnr, s)),
                Send::SyncUuid(vnr, u) => n.feed(Event::SyncUuid(vnr, u)),
                Send::ChangeRequest(vnr, c) => n.feed(Event::ChangeRequest(vnr, c)),
                Send::ChangeReply(vnr, c) => n.feed(Event::ChangeReply(vnr, c)),
                Send::ConnChangeRequest(c) => n.feed(Event::ConnChangeRequest(c)),
                Send::ConnChangeReply(c) => n.feed(Event::ConnChangeReply(c)),
                Send::Ping => n.w.meta.push_back(Wire::PingAck),
                Send::Uuids { .. } | Send::Bitmap(_) => unreachable!(),
            },
        }
    }
}
