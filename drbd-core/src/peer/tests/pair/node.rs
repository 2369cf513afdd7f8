// SPDX-License-Identifier: GPL-2.0
//! One node: a machine, and a driver without I/O. Effects are performed after the machine has
//! decided, in order, as the kernel module does; a crash may come between any two of them.

extern crate std;

use super::super::super::*;
use super::data::{Block, Store};
use crate::meta::{AlLayout, Layout, MdIndex, Superblock};
use crate::request::policy::{Policy, PolicyFacts};
use crate::request::word::Replication;
use crate::state::{Conn, DeviceState, Disk, Fencing, LogEvent, Role};
use crate::wire::Uuids;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Packet(Send),
    Bitmap(u16, BTreeSet<u64>),
    PingAck,
    Uuids(u16, Uuids),
    /// P_DATA: block, version, may set in sync.
    Data(Block, u64, bool),
    /// P_OUT_OF_SYNC.
    OutOfSync(Block),
    /// P_WRITE_ACK, or P_RS_WRITE_ACK if the flag is set.
    Ack(Block, u64, bool),
    /// P_NEG_ACK.
    NegAck(Block, u64),
    ResyncRequest(Block),
    ResyncReply(Block, u64),
    NegResyncReply(Block),
    ResyncAck(Block),
}

/// The metadata of a node, as it survives a crash.
#[derive(Clone, Debug)]
pub(crate) struct Durable {
    pub(crate) superblock: Superblock,
    pub(crate) bitmap: BTreeSet<u64>,
}

/// What the driver answers and remembers.
#[derive(Debug, Default)]
pub(crate) struct World {
    effects: Vec<Effect>,
    pub(crate) bits: BTreeMap<u16, BTreeSet<u64>>,
    pub(crate) size: BTreeMap<u16, u64>,
    pub(crate) data: VecDeque<Wire>,
    pub(crate) meta: VecDeque<Wire>,
    /// What is to be fed to the machine after the present event.
    pub(crate) todo: VecDeque<Event>,
    pub(crate) answers: Vec<i32>,
    pub(crate) open: u32,
    /// Writes that the application waits for: it has the device open.
    pub(crate) writing: u32,
    /// Answered writes that the peer has not made stable.
    pub(crate) unstable: u32,
    pub(crate) log: Vec<LogLine>,
    pub(crate) shutdown: bool,
    pub(crate) receiver: bool,
    pub(crate) resync: BTreeMap<u16, Side>,
    pub(crate) verify: BTreeMap<u16, Side>,
    pub(crate) policy: BTreeMap<u16, Policy>,
    pub(crate) lost_requests: u32,
    /// `on-io-error`.
    pub(crate) on_io_error: OnIoError,
    /// How often withheld answers were given.
    pub(crate) thawed: u32,
    /// The handlers that were called, but those around a resync.
    pub(crate) helped: Vec<&'static str>,
    /// How often metadata went to other places.
    pub(crate) moved: u32,
    /// Exit code of `fence-peer`.
    pub(crate) fence_exit: u8,
    /// `fence-peer` does not end by itself.
    pub(crate) fence_held: bool,
    /// Disks that were given up: whether writes went to them until then.
    pub(crate) abandoned: Vec<bool>,
    seed: u64,
    now: u64,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) r: Resource<Vec<Volume>>,
    pub(crate) w: World,
    pub(crate) disk: BTreeMap<u16, Durable>,
    pub(crate) store: Store,
    pub(crate) fencing: Fencing,
    /// What the configuration says of split brains.
    pub(crate) policies: crate::uuid::Policies,
    /// `al-updates`. These nodes have no log, so it is off where data matter: a crash syncs fully.
    pub(crate) al_updates: bool,
    /// The power goes after so many more effects.
    pub(crate) power: Option<u32>,
    /// Shows events and effects.
    trace: bool,
    name: u64,
}

impl Driver for World {
    fn perform(&mut self, effect: Effect) {
        self.effects.push(effect);
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
        self.open + self.writing
    }

    fn open_requests(&self, _vnr: u16) -> u32 {
        self.writing + self.unstable
    }

    fn bits_set(&self, vnr: u16) -> u64 {
        self.bits.get(&vnr).map_or(0, |b| b.len() as u64)
    }

    fn on_io_error(&self, _vnr: u16) -> OnIoError {
        self.on_io_error
    }
}

impl Node {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            r: Resource::new(Vec::new()),
            w: World {
                seed,
                fence_exit: 4,
                ..World::default()
            },
            disk: BTreeMap::new(),
            store: Store::default(),
            fencing: Fencing::DontCare,
            policies: crate::uuid::Policies::default(),
            al_updates: false,
            power: None,
            trace: std::env::var_os("SEED").is_some(),
            name: (seed + 1) % 2,
        }
    }

    /// Feeds one event and all that follows from it inside this node.
    pub(crate) fn feed(&mut self, event: Event) {
        self.w.todo.push_back(event);
        self.run();
    }

    pub(crate) fn run(&mut self) {
        self.report_idle();
        while self.power != Some(0) {
            let Some(e) = self.w.todo.pop_front() else {
                return;
            };
            self.w.now += 1;
            let before = self.trace.then(|| self.show());
            self.r.handle(e, &mut self.w);
            if let Some(before) = before {
                let name = self.name;
                let after = self.show();
                std::eprintln!("{name} {e:?}");
                if before != after {
                    std::eprintln!("{name}   {before} -> {after}");
                }
                for effect in &self.w.effects {
                    std::eprintln!("{name}       {effect:?}");
                }
            }
            for effect in self.w.effects.split_off(0) {
                if self.power == Some(0) {
                    return;
                }
                self.power = self.power.map(|n| n - 1);
                self.do_it(effect);
            }
            self.report_idle();
            self.check();
        }
    }

    pub(crate) fn say(&self, what: &str) {
        if self.trace {
            std::eprintln!("{} {what}", self.name);
        }
    }

    fn do_it(&mut self, effect: Effect) {
        match effect {
            Effect::Send(Send::Bitmap(vnr)) => {
                let bits = self.w.bits.entry(vnr).or_default().clone();
                self.w.data.push_back(Wire::Bitmap(vnr, bits));
            }
            Effect::Send(Send::Uuids { vnr, uuids }) => {
                self.w.data.push_back(Wire::Uuids(vnr, uuids));
            }
            Effect::Send(p @ (Send::ChangeReply(..) | Send::ConnChangeReply(..) | Send::Ping)) => {
                self.w.meta.push_back(Wire::Packet(p));
            }
            Effect::Send(p) => self.w.data.push_back(Wire::Packet(p)),
            Effect::StateChanged { vnr, new, .. } => self.publish(vnr, &new),
            Effect::SetAllBits { vnr, report } => {
                let bits = self.w.size.get(&vnr).copied().unwrap_or(0).div_ceil(8);
                self.w.bits.insert(vnr, (0..bits).collect());
                self.write_bitmap(vnr);
                if report {
                    self.w.todo.push_back(Event::AllBitsSet { vnr, ok: true });
                }
            }
            Effect::ClearBitmap(vnr) => {
                self.w.bits.insert(vnr, BTreeSet::new());
                self.write_bitmap(vnr);
            }
            Effect::WriteBitmap(vnr) => self.write_bitmap(vnr),
            Effect::SetSize {
                vnr,
                sectors,
                set_new,
                ..
            } => {
                let old = self.w.size.insert(vnr, sectors).unwrap_or(0);
                if set_new {
                    let new = old.div_ceil(8)..sectors.div_ceil(8);
                    self.w.bits.entry(vnr).or_default().extend(new);
                }
            }
            Effect::MoveMetadata(vnr) => {
                self.w.moved += 1;
                if let Some(d) = self.r.volume(vnr).and_then(|v| v.disk) {
                    self.disk.get_mut(&vnr).unwrap().superblock = d.superblock.while_moving();
                }
            }
            Effect::WriteSuperblock { vnr, primary } => {
                if let Some(d) = self.r.volume(vnr).and_then(|v| v.disk) {
                    self.disk.get_mut(&vnr).unwrap().superblock = d.to_write(primary);
                }
            }
            Effect::StartResync { vnr, side } => {
                self.w.resync.insert(vnr, side);
            }
            Effect::StopResync(vnr) => {
                self.w.resync.remove(&vnr);
                self.store.wanted.retain(|b| b.vnr != vnr);
            }
            Effect::StartVerify { vnr, side } => {
                self.w.verify.insert(vnr, side);
            }
            Effect::StopVerify(vnr) => {
                self.w.verify.remove(&vnr);
            }
            Effect::StartReceiver => self.w.receiver = true,
            Effect::CloseLink => self.w.shutdown = true,
            Effect::ReleaseDisk(vnr) => {
                self.store.released.insert(vnr);
            }
            Effect::DestroyDisk(vnr) => {
                self.w.bits.remove(&vnr);
            }
            Effect::AbandonDisk(vnr) => {
                self.w.abandoned.push(self.w.policy[&vnr].local_write);
            }
            Effect::Help { vnr, helper } => {
                if let HelperCall::Notice(_) | HelperCall::UnfencePeer = helper {
                    self.w.helped.push(helper.as_str());
                }
                let exit = match helper {
                    HelperCall::FencePeer => self.w.fence_exit,
                    _ => 0,
                };
                if helper != HelperCall::FencePeer || !self.w.fence_held {
                    self.w
                        .todo
                        .push_back(Event::HelperDone { vnr, helper, exit });
                }
            }
            Effect::AdminDone(code) => self.w.answers.push(code),
            Effect::Log(_, line) => self.w.log.push(line),
            Effect::Requests(event) => {
                self.w.thawed += u32::from(event == LogEvent::Thaw);
                self.w.lost_requests += u32::from(event == LogEvent::ConnectionLostWhilePending);
                self.requests(event);
            }
            Effect::ConnChanged { .. }
            | Effect::CloseEpoch
            | Effect::ReviewDependents
            | Effect::SetLimits(_)
            | Effect::Drain(_)
            | Effect::CopiesPart { .. }
            | Effect::ResyncPaused { .. }
            | Effect::DropNetConfig
            | Effect::SetReadOnly { .. } => {}
        }
    }

    fn publish(&mut self, vnr: u16, state: &DeviceState) {
        let facts = PolicyFacts {
            agreed_version: u16::try_from(self.r.apv()).unwrap(),
            protocol: Replication::C,
            held: false,
            uuid_pending: false,
        };
        self.w.policy.insert(vnr, Policy::of(state, &facts));
    }

    fn write_bitmap(&mut self, vnr: u16) {
        if let (Some(bits), Some(durable)) = (self.w.bits.get(&vnr), self.disk.get_mut(&vnr)) {
            durable.bitmap = bits.clone();
        }
    }

    /// A failed disk is given back when no write waits for the peer any more: until then a bit
    /// may have to be set.
    fn report_idle(&mut self) {
        let busy: BTreeSet<u16> = self.store.pending.iter().map(|w| w.block.vnr).collect();
        let idle: Vec<u16> = self.store.released.difference(&busy).copied().collect();
        for vnr in idle {
            self.store.released.remove(&vnr);
            self.w.todo.push_back(Event::DiskIdle(vnr));
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
            assert!(
                !(s.disk == Disk::UpToDate && s.conn.is_sync_target()),
                "I27: {s}"
            );
            if let Some(d) = v.disk.filter(|_| s.disk >= Disk::Inconsistent) {
                let durable = self.disk[&v.vnr].superblock.uuids;
                assert_eq!(d.superblock.uuids, durable, "I34: durable with the event");
            }
        }
    }

    pub(crate) fn admin(&mut self, command: Command) -> Option<i32> {
        let before = self.w.answers.len();
        self.feed(Event::Admin(command));
        self.w.answers.get(before).copied()
    }

    pub(crate) fn add_volume(&mut self, vnr: u16) {
        self.r.volumes.push(Volume::new(vnr));
    }

    pub(crate) fn create_md(&mut self, vnr: u16, sectors: u64) {
        let superblock = Superblock::create(&layout_for(sectors));
        let bitmap = BTreeSet::new();
        self.disk.insert(vnr, Durable { superblock, bitmap });
    }

    /// Both halves of attach; `None`: it waits for the end of a handshake.
    pub(crate) fn attach(&mut self, vnr: u16, sectors: u64) -> Option<i32> {
        match self.admin(Command::AttachBegin(vnr)) {
            Some(101) => self.attach_rest(vnr, sectors),
            other => other,
        }
    }

    /// The metadata is read.
    pub(crate) fn attach_rest(&mut self, vnr: u16, sectors: u64) -> Option<i32> {
        let durable = self.disk[&vnr].clone();
        self.w.bits.insert(vnr, durable.bitmap);
        let disk = DiskData {
            superblock: durable.superblock,
            usable: sectors,
            room: None,
            user_size: 0,
            fencing: self.fencing,
            max_bio_size: 1 << 20,
            al_updates: self.al_updates,
            dirty: false,
        };
        self.admin(Command::Attach(vnr, disk))
    }

    pub(crate) fn connect(&mut self, discard_my_data: bool) -> i32 {
        self.r.net = Some(NetSettings {
            split_brain: self.policies,
            ..NetSettings::default()
        });
        let command = Command::Connect {
            discard_my_data,
            dry_run: false,
        };
        let code = self.admin(command).unwrap_or(0);
        if self.r.cstate == Conn::Unconnected {
            self.feed(Event::Connecting);
        }
        code
    }

    /// The power goes: only what is on the disks is left.
    pub(crate) fn crash(&mut self) {
        let vnrs: Vec<u16> = self.r.volumes.iter().map(|v| v.vnr).collect();
        self.r = Resource::new(Vec::new());
        let (seed, now) = (self.w.seed, self.w.now);
        self.w = World {
            seed,
            now,
            fence_exit: self.w.fence_exit,
            ..World::default()
        };
        self.store.forget();
        self.power = None;
        for vnr in vnrs {
            self.add_volume(vnr);
        }
    }

    pub(crate) fn s(&self) -> DeviceState {
        self.r.volumes[0].state
    }

    /// `conn role/peer disk/pdsk` of each volume.
    pub(crate) fn show(&self) -> std::string::String {
        let one = |v: &Volume| {
            let s = v.state;
            std::format!("{} {}/{} {}/{}", s.conn, s.role, s.peer, s.disk, s.pdsk)
        };
        let all: Vec<_> = self.r.volumes.iter().map(one).collect();
        all.join("; ")
    }

    /// The sockets are gone: what a receiver does at its end.
    pub(crate) fn closed(&mut self) {
        self.w.data.clear();
        self.w.meta.clear();
        self.w.shutdown = false;
        if !self.w.receiver {
            return;
        }
        self.feed(Event::LinkClosed);
        if self.r.cstate == Conn::Unconnected {
            self.feed(Event::Connecting);
        } else {
            self.w.receiver = false;
        }
    }
}

pub(crate) fn layout_for(sectors: u64) -> Layout {
    let al = AlLayout::new(1, 8).unwrap();
    Layout::compute(MdIndex::FlexInternal, sectors + 1024, al).unwrap()
}
