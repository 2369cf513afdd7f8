// SPDX-License-Identifier: GPL-2.0
//! One node: drbd-core's machine, and the *performer* that plays what kernel/ does.
//!
//! The performer is cut as the kernel module is: one owner that handles an event at a time and
//! performs its effects in order, four actors for the threads of a link, one for what interrupts
//! leave behind, and the data plane between them, which no owner locks. Each does one thing at a
//! time and everything else may happen in between; the power may go between any two.

pub(crate) mod answers;
pub(crate) mod command;
pub(crate) mod data;
pub(crate) mod meta;
pub(crate) mod perform;
pub(crate) mod receiver;
pub(crate) mod resync;
pub(crate) mod sender;

use crate::bits::Bits;
use crate::ranges::{Ranges, Tickets};
use crate::setup::Setup;
use crate::shared::{Actor, Shared, What, ACTORS};
use answers::LinkEnd;
use drbd_core::config::NetConf;
use drbd_core::meta::Layout;
use drbd_core::peer::record::Recorded;
use drbd_core::peer::{DiskErrorKind, Driver, Effect, Event, OnIoError, Send, Volume};
use drbd_core::request::epoch::{ClosedEpoch, EpochLog, SendEpoch};
use drbd_core::request::policy::Policy;
use drbd_core::request::slots::{FreeHead, Slot, SlotId, SlotTable};
use drbd_core::state::{Conn, DeviceState};
use drbd_core::wire::WriteFlags;
use drbd_replay::Reel;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What the sender takes from its queue.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Control(Send),
    Write {
        slot: SlotId,
        flags: WriteFlags,
        data: Option<Vec<u64>>,
    },
    Read {
        slot: SlotId,
    },
    Flush {
        slot: SlotId,
    },
}

/// What belongs to a slot but is the performer's alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The application's operation.
    pub(crate) op: Option<u64>,
    pub(crate) tickets: Tickets,
    /// Version of a write.
    pub(crate) version: u64,
    /// The epoch that an earlier answered write was in, when this one was submitted.
    pub(crate) after: Option<(u64, u32)>,
    /// The slot is in use.
    pub(crate) used: bool,
}

/// Local or remote: who waits for an operation of a disk.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    Request(SlotId),
    LocalRead(u64),
    PeerIo(u64),
    Owner,
    EpochFlush,
    Release,
}

/// An attached disk.
#[derive(Clone, Debug)]
pub(crate) struct Backing {
    pub(crate) layout: Layout,
}

/// Tells what came before the copies have parted from what came later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Era {
    /// How often they have parted.
    pub(crate) parted: u32,
    /// How often the own disk has gone.
    pub(crate) disk: u32,
}

/// A volume as the data plane knows it.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) local: Option<Backing>,
    pub(crate) bits: Option<Rc<Bits>>,
    pub(crate) policy: Policy,
    /// The state that the policy follows from.
    pub(crate) published: DeviceState,
    pub(crate) size: u64,
    /// It may be opened.
    pub(crate) primary: bool,
    /// It may not: a demotion is under way.
    pub(crate) demoting: bool,
    /// The last handshake has found a split brain that nobody has resolved.
    pub(crate) split: bool,
    pub(crate) ranges: Ranges,
    /// Operations of the application that wait for a policy, a slot or a range.
    pub(crate) parked: VecDeque<u64>,
    pub(crate) failed_reads: VecDeque<u64>,
    /// Resync reads for the peer that wait for a range.
    pub(crate) parked_reads: VecDeque<u64>,
    pub(crate) resync: resync::State,
    /// Errors to be told: reads, writes.
    pub(crate) errors: (bool, bool),
    /// Requests that the disk has failed and that have not heard of it.
    pub(crate) failed_writes: VecDeque<SlotId>,
    /// Local I/O under way.
    pub(crate) local_io: u32,
    /// The disk is to be given back when it is idle.
    pub(crate) release: bool,
    /// It is being flushed for the last time.
    pub(crate) releasing: bool,
    /// The machine is to hear when no request is under way.
    pub(crate) draining: bool,
    /// What has come before is of another era.
    pub(crate) era: Era,
    /// Blocks of the resync that failed.
    pub(crate) rs_failed: u64,
    pub(crate) rs_pending: u32,
    pub(crate) seq: u32,
}

impl Device {
    fn new(range_entries: usize) -> Self {
        Self {
            local: None,
            bits: None,
            policy: Policy::NOWHERE,
            published: DeviceState::NEW,
            size: 0,
            primary: false,
            demoting: false,
            split: false,
            ranges: Ranges::new(range_entries),
            parked: VecDeque::new(),
            failed_reads: VecDeque::new(),
            parked_reads: VecDeque::new(),
            resync: resync::State::new(),
            errors: (false, false),
            failed_writes: VecDeque::new(),
            local_io: 0,
            release: false,
            releasing: false,
            draining: false,
            era: Era::default(),
            rs_failed: 0,
            rs_pending: 0,
            seq: 0,
        }
    }
}

/// The data plane of a resource.
pub(crate) struct Plane {
    slots: Vec<Slot>,
    free: FreeHead,
    pub(crate) places: Vec<Place>,
    pub(crate) queue: VecDeque<Item>,
}

impl Plane {
    fn new(slots: usize) -> Self {
        let slots: Vec<Slot> = (0..slots).map(|_| Slot::default()).collect();
        let free = FreeHead::default();
        SlotTable::init(&slots, &free);
        Self {
            places: vec![Place::default(); slots.len()],
            slots,
            free,
            queue: VecDeque::new(),
        }
    }

    /// The table of words.
    pub(crate) fn table(&self) -> SlotTable<'_> {
        SlotTable::new(&self.slots, &self.free)
    }

    /// Requests of a volume that are under way.
    pub(crate) fn open_requests(&self, vnr: u16) -> u32 {
        self.requests_of(vnr).count() as u32
    }

    /// The same, one by one.
    pub(crate) fn requests_of(&self, vnr: u16) -> impl Iterator<Item = SlotId> + '_ {
        let table = self.table();
        let here = move |slot: &SlotId| table.subject(*slot).is_some_and(|s| s.volume == vnr);
        table.in_use().filter(here)
    }
}

/// A snapshot for those who only look.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) cstate: Conn,
    pub(crate) states: Vec<DeviceState>,
}

/// Where the receiver of the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// There is none.
    None,
    /// It is to say that it looks for the peer.
    Starting,
    /// It looks for the peer.
    Seeking,
    /// A link lives.
    Live,
    /// The link has ended; the other threads and the peer's I/O are waited for.
    Ending,
    /// The machine was told that the link is closed.
    Closed,
}

/// An event on its way to the machine, and who waits until it is handled.
#[derive(Clone, Debug)]
struct Fed {
    event: Event,
    by: Option<Actor>,
}

/// A node.
pub(crate) struct Node {
    pub(crate) id: usize,
    /// Counts power cuts.
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) r: Recorded<Vec<Volume>, Reel>,
    pub(crate) view: View,
    pub(crate) net: NetConf,
    inbox: VecDeque<Fed>,
    effects: VecDeque<Effect>,
    later: VecDeque<Event>,
    /// An event is being handled.
    busy: bool,
    fed_by: Option<Actor>,
    /// What the owner does step by step because it waits for the disk.
    pub(crate) job: VecDeque<perform::Step>,
    pub(crate) job_vol: u16,
    /// It waits now.
    pub(crate) job_waits: bool,
    blocked: [bool; ACTORS],
    awake: [bool; ACTORS],
    /// When an actor is woken at the latest, if that is not over.
    timers: [u64; ACTORS],
    pub(crate) devices: Vec<Device>,
    pub(crate) plane: Plane,
    pub(crate) waiters: BTreeMap<(u16, u64), Waiter>,
    pub(crate) open_epoch: u32,
    pub(crate) close_any: bool,
    pub(crate) close_this: Option<u32>,
    pub(crate) epochs: EpochLog<Vec<Option<ClosedEpoch>>>,
    pub(crate) flushes: Vec<(u32, SlotId)>,
    /// The sender's own.
    pub(crate) epoch: SendEpoch,
    /// The youngest epoch with an answered write, and its connection.
    pub(crate) answered_epoch: Option<(u64, u32)>,
    pub(crate) link: Option<LinkEnd>,
    pub(crate) receiver: Receiver,
    pub(crate) interrupted: bool,
    /// The connection's state when the receiver's last event was handled.
    pub(crate) seen_by_receiver: Conn,
    pub(crate) resync_news: u64,
    pub(crate) admin: command::Admin,
    /// Events handled, for the statistics.
    pub(crate) handled: u64,
}

/// Collects effects; answers what the machine wants to know.
struct Collect<'a> {
    effects: &'a mut VecDeque<Effect>,
    shared: &'a mut Shared,
    devices: &'a [Device],
    plane: &'a Plane,
    node: usize,
}

impl Driver for Collect<'_> {
    fn perform(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn random(&mut self) -> u64 {
        if self.shared.bug(crate::bug::Bug::ReuseUuid) {
            return 0x1234_5678_9abc_def0;
        }
        self.shared.rng.next()
    }

    fn now_ms(&self) -> u64 {
        self.shared.now / 1000
    }

    fn open_count(&self, vnr: u16) -> u32 {
        self.shared.app.open(self.node, vnr)
    }

    fn open_requests(&self, vnr: u16) -> u32 {
        self.plane.open_requests(vnr)
    }

    fn bits_set(&self, vnr: u16) -> u64 {
        let bits = self
            .devices
            .get(usize::from(vnr))
            .and_then(|d| d.bits.as_ref());
        bits.map_or(0, |bits| bits.weight())
    }

    fn resync_requests(&self, vnr: u16) -> u32 {
        let device = self.devices.get(usize::from(vnr));
        device.map_or(0, |d| d.resync.open_requests())
    }

    fn on_io_error(&self, _vnr: u16) -> OnIoError {
        OnIoError::Detach
    }
}

/// Closed epochs that may wait for their acks.
const EPOCHS: usize = 16;

impl Node {
    /// A node that was just switched on.
    pub(crate) fn new(id: usize, life: u32, setup: &Setup) -> Self {
        let volumes: Vec<Volume> = (0..setup.volumes).map(Volume::new).collect();
        let view = View {
            cstate: Conn::StandAlone,
            states: volumes.iter().map(|v| v.state).collect(),
        };
        let net = NetConf {
            wire_protocol: setup.protocol,
            max_epoch_size: setup.epoch_size,
            use_rle: setup.rle,
            ..NetConf::default()
        };
        Self {
            id,
            life,
            up: true,
            r: Recorded::new(volumes, Reel::new(setup.tape)),
            view,
            net,
            inbox: VecDeque::new(),
            effects: VecDeque::new(),
            later: VecDeque::new(),
            busy: false,
            fed_by: None,
            job: VecDeque::new(),
            job_vol: 0,
            job_waits: false,
            blocked: [false; ACTORS],
            awake: [false; ACTORS],
            timers: [0; ACTORS],
            devices: (0..setup.volumes)
                .map(|_| Device::new(setup.range_entries))
                .collect(),
            plane: Plane::new(setup.slots),
            waiters: BTreeMap::new(),
            open_epoch: 0,
            close_any: false,
            close_this: None,
            epochs: EpochLog::new(vec![None; EPOCHS]),
            flushes: Vec::new(),
            epoch: SendEpoch::new(0),
            answered_epoch: None,
            link: None,
            receiver: Receiver::None,
            interrupted: false,
            seen_by_receiver: Conn::StandAlone,
            resync_news: 0,
            admin: command::Admin::default(),
            handled: 0,
        }
    }

    pub(crate) fn device(&mut self, vol: u16) -> &mut Device {
        &mut self.devices[usize::from(vol)]
    }

    pub(crate) fn state(&self, vol: u16) -> DeviceState {
        self.r.volumes[usize::from(vol)].state
    }

    /// Nothing is half done but what the peer or the application has to go on with.
    pub(crate) fn is_quiet(&self) -> bool {
        let quiet = |d: &Device| {
            d.local_io == 0
                && !d.release
                && !d.releasing
                && d.errors == (false, false)
                && d.failed_reads.is_empty()
        };
        !self.busy
            && self.inbox.is_empty()
            && self.plane.queue.is_empty()
            && self.waiters.is_empty()
            && self.devices.iter().all(quiet)
            && self.link.as_ref().is_none_or(LinkEnd::is_quiet)
    }

    /// The owner is in the midst of something.
    pub(crate) fn is_performing(&self) -> bool {
        self.busy || !self.inbox.is_empty()
    }

    /// Has an actor look what there is to do.
    pub(crate) fn wake(&mut self, actor: Actor, s: &mut Shared) {
        if !self.awake[actor as usize] {
            self.awake[actor as usize] = true;
            let delay = s.rng.delay(s.setup.cpu_delay);
            s.later(delay, What::Wake(self.id, actor, self.life));
        }
    }

    /// The same, in so many microseconds.
    pub(crate) fn wake_in(&mut self, delay: u64, actor: Actor, s: &mut Shared) {
        let timer = &mut self.timers[actor as usize];
        if *timer > s.now && *timer <= s.now + delay {
            // It is woken before.
            return;
        }
        *timer = s.now + delay;
        s.later(delay, What::Wake(self.id, actor, self.life));
    }

    /// Feeds an event to the machine. The actor sleeps until it is handled.
    pub(crate) fn feed(&mut self, event: Event, by: Option<Actor>, s: &mut Shared) {
        if let Some(actor) = by {
            self.blocked[actor as usize] = true;
        }
        self.inbox.push_back(Fed { event, by });
        self.wake(Actor::Owner, s);
    }

    /// An actor waits for the machine.
    pub(crate) fn is_blocked(&self, actor: Actor) -> bool {
        self.blocked[actor as usize]
    }

    /// An actor's turn.
    pub(crate) fn run(&mut self, actor: Actor, s: &mut Shared) {
        self.awake[actor as usize] = false;
        if self.blocked[actor as usize] {
            return;
        }
        match actor {
            Actor::Receiver => self.run_receiver(s),
            Actor::Sender => self.run_sender(s),
            Actor::Acks => self.run_acks(s),
            Actor::Answers => self.run_answers(s),
            Actor::Worker => self.run_worker(s),
            Actor::Admin => self.run_admin(s),
            Actor::Owner => self.run_owner(s),
        }
    }

    /// The owner's turn: it performs what is left of the present event, or takes the next one.
    fn run_owner(&mut self, s: &mut Shared) {
        if self.job_waits {
            return;
        }
        while !self.busy || !self.effects.is_empty() || !self.job.is_empty() {
            if !self.job.is_empty() {
                self.job_step(s);
            } else if let Some(effect) = self.effects.pop_front() {
                self.perform(effect, s);
            } else {
                let Some(fed) = self.next_event() else { return };
                self.handle(fed.event, s);
                self.fed_by = fed.by;
            }
            if self.job_waits {
                return;
            }
            if s.rng.one_in(6) {
                // Others may do something in between.
                self.wake(Actor::Owner, s);
                return;
            }
        }
        // All effects of the event are performed.
        self.busy = false;
        if !self.later.is_empty() {
            self.wake(Actor::Owner, s);
            return;
        }
        if let Some(actor) = self.fed_by.take() {
            if actor == Actor::Receiver {
                self.seen_by_receiver = self.r.cstate;
            }
            self.blocked[actor as usize] = false;
            self.wake(actor, s);
        }
        if !self.inbox.is_empty() {
            self.wake(Actor::Owner, s);
        }
    }

    fn next_event(&mut self) -> Option<Fed> {
        match self.later.pop_front() {
            // The one who fed the first of them still waits.
            Some(event) => Some(Fed {
                event,
                by: self.fed_by,
            }),
            None => self.inbox.pop_front(),
        }
    }

    fn handle(&mut self, event: Event, s: &mut Shared) {
        self.busy = true;
        self.handled += 1;
        let id = self.id;
        let before: Vec<DeviceState> = self.r.volumes.iter().map(|v| v.state).collect();
        let mut driver = Collect {
            effects: &mut self.effects,
            shared: s,
            devices: &self.devices,
            plane: &self.plane,
            node: id,
        };
        self.r.handle(event, &mut driver);
        self.view.cstate = self.r.cstate;
        for (seen, v) in self.view.states.iter_mut().zip(&self.r.volumes) {
            *seen = v.state;
        }
        if s.trace.is_some() {
            s.say(|| format!("{id} {event:?}"));
            for (old, v) in before.iter().zip(&self.r.volumes) {
                if *old != v.state {
                    s.say(|| format!("{id}   {}: {old} -> {}", v.vnr, v.state));
                }
            }
        }
        crate::check::state::after_event(self, &before, s);
    }

    /// What follows from the effects of an event comes before anything else.
    pub(crate) fn follow(&mut self, event: Event) {
        self.r.follows(&event);
        self.later.push_back(event);
    }

    /// The metadata of a volume failed.
    pub(crate) fn metadata_failed(&mut self, vnr: u16) {
        self.follow(Event::DiskError {
            vnr,
            kind: DiskErrorKind::Metadata,
        });
    }

    /// `conn role/peer disk/pdsk` of each volume.
    pub(crate) fn show(&self) -> String {
        if !self.up {
            return "(off)".to_owned();
        }
        let one = |v: &Volume| {
            let s = v.state;
            let susp = if s.is_suspended() { " susp" } else { "" };
            format!(
                "{} {}/{} {}/{}{susp}",
                s.conn, s.role, s.peer, s.disk, s.pdsk
            )
        };
        let all: Vec<String> = self.r.volumes.iter().map(one).collect();
        let bits = |d: &Device| {
            let weight = d.bits.as_ref().map_or(0, |b| b.weight());
            let first = d.bits.as_ref().and_then(|b| b.next_set(0));
            format!(
                "{weight} bits from {first:?}, {} failed, {} asked for",
                d.rs_failed,
                d.resync.open_requests()
            )
        };
        let bits: Vec<String> = self.devices.iter().map(bits).collect();
        let slots = self.plane.table().in_use().count();
        let (all, bits) = (all.join("; "), bits.join("; "));
        format!("{all} [{:?}; {bits}; {slots} slots]", self.receiver)
    }
}
