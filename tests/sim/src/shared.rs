// SPDX-License-Identifier: GPL-2.0
//! What both nodes share: time, chance, the cable, the disks that survive them, and those who know
//! the truth.

use crate::app::App;
use crate::bug::Bug;
use crate::check::data::Ack;
use crate::disk::Disk;
use crate::net::Net;
use crate::rng::Rng;
use crate::setup::Setup;
use drbd_core::peer::HelperCall;
use drbd_core::state::Helper;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Those who work in a node. Each does one thing at a time, and may be asleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// Reads the data socket; looks for the peer.
    Receiver = 0,
    /// Writes the data socket.
    Sender = 1,
    /// Reads the meta socket.
    Acks = 2,
    /// Writes the meta socket.
    Answers = 3,
    /// What interrupts leave to be done.
    Worker = 4,
    /// The administrator.
    Admin = 5,
    /// The owner of the machine.
    Owner = 6,
}

/// How many actors there are.
pub(crate) const ACTORS: usize = 7;

/// Something that is to happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// An actor of a node looks what there is to do. The last number is the node's life.
    Wake(usize, Actor, u32),
    /// An operation of a disk ends.
    Disk {
        node: usize,
        vol: u16,
        op: u64,
        life: u32,
    },
    /// Bytes arrive: connection, writer, socket.
    Deliver(u64, usize, usize),
    /// A node sees the new connection.
    LinkUp { node: usize, link: u64 },
    /// A node finds the other silent.
    Silence { node: usize, link: u64 },
    /// A helper ends.
    Helper {
        node: usize,
        vol: u16,
        which: u8,
        life: u32,
    },
    /// A node is switched on.
    Boot(usize),
    /// What the script says.
    Script(usize),
    /// A timer of the world.
    Tick,
}

/// What a helper is called in [`What`].
pub(crate) const HELPERS: [HelperCall; 12] = [
    HelperCall::BeforeResync(drbd_core::peer::Side::Source),
    HelperCall::BeforeResync(drbd_core::peer::Side::Target),
    HelperCall::AfterResyncTarget,
    HelperCall::FencePeer,
    HelperCall::UnfencePeer,
    HelperCall::Notice(Helper::PriOnInconDegr),
    HelperCall::Notice(Helper::LocalIoError),
    HelperCall::Notice(Helper::InitialSplitBrain),
    HelperCall::Notice(Helper::SplitBrain),
    HelperCall::Notice(Helper::PriLostAfterSb),
    HelperCall::Notice(Helper::PriLost),
    HelperCall::Notice(Helper::OutOfSync),
];

/// All but the nodes.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Microseconds.
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) net: Net,
    /// By node, then by volume.
    pub(crate) disks: [Vec<Disk>; 2],
    pub(crate) app: App,
    pub(crate) setup: Setup,
    pub(crate) bug: Option<Bug>,
    /// The deliberate bug had an effect so many times.
    pub(crate) bitten: u64,
    /// The node has power.
    pub(crate) up: [bool; 2],
    /// Writes that a node keeps track of: by node, volume and block.
    pub(crate) busy: [Vec<Vec<u32>>; 2],
    /// Blocks whose bits were cleared in this step.
    pub(crate) cleared: Vec<(usize, u16, usize)>,
    /// The youngest link when a node lost its power the last time.
    pub(crate) last_link: [u64; 2],
    /// Disks that were given up in this step.
    pub(crate) disks_lost: Vec<(usize, u16)>,
    /// Acknowledgements of this step.
    pub(crate) acks: Vec<Ack>,
    /// The verdicts of the last comparison, by volume and node: connection, verdict, rule.
    pub(crate) verdicts: Vec<[Option<(u64, i32, u8)>; 2]>,
    /// The two copies come from one.
    pub(crate) related: bool,
    /// Nothing fails any more.
    pub(crate) calm: bool,
    /// What was found: the name of the invariant, and what is wrong.
    pub(crate) fault: Option<(&'static str, String)>,
    /// Lines, if anybody wants to see them.
    pub(crate) trace: Option<Vec<String>>,
    /// Faults and the like that happened, for the statistics.
    pub(crate) seen: std::collections::BTreeMap<&'static str, u64>,
    queue: BinaryHeap<Reverse<(u64, u64, What)>>,
    order: u64,
}

impl Shared {
    pub(crate) fn new(setup: Setup, bug: Option<Bug>, trace: bool) -> Self {
        let disk = |node: usize, vol: u16| {
            let blocks = setup.blocks[vol as usize] + setup.spare[node];
            Disk::new(blocks, setup.volatile[node])
        };
        let disks = [0, 1].map(|n| (0..setup.volumes).map(|vol| disk(n, vol)).collect());
        let blocks = |vol: u16| vec![0; setup.blocks[usize::from(vol)] as usize];
        let busy = [0, 1].map(|_| (0..setup.volumes).map(blocks).collect());
        Self {
            up: [true; 2],
            busy,
            cleared: Vec::new(),
            last_link: [0; 2],
            disks_lost: Vec::new(),
            acks: Vec::new(),
            verdicts: vec![[None; 2]; usize::from(setup.volumes)],
            related: false,
            now: 0,
            rng: Rng::new(setup.seed),
            net: Net::default(),
            disks,
            app: App::new(&setup),
            setup,
            bug,
            bitten: 0,
            calm: false,
            fault: None,
            trace: trace.then(Vec::new),
            seen: std::collections::BTreeMap::new(),
            queue: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Something is to happen in so many microseconds.
    pub(crate) fn later(&mut self, delay: u64, what: What) {
        self.order += 1;
        self.queue
            .push(Reverse((self.now + delay, self.order, what)));
    }

    /// The next thing.
    pub(crate) fn next(&mut self) -> Option<What> {
        let Reverse((time, _, what)) = self.queue.pop()?;
        self.now = self.now.max(time);
        Some(what)
    }

    /// Sends bytes; `false`: the connection is broken.
    pub(crate) fn send(&mut self, link: u64, from: usize, socket: usize, bytes: &[u8]) -> bool {
        let sent = self.net.send(link, from, socket, bytes);
        if sent {
            self.schedule(link, from, socket);
        }
        sent
    }

    /// Has the bytes of a pipe arrive some time.
    pub(crate) fn schedule(&mut self, link: u64, from: usize, socket: usize) {
        let lost = self.net.lost[from];
        let Some(l) = self.net.link.as_mut().filter(|l| l.id == link) else {
            return;
        };
        let pipe = &mut l.pipes[from][socket];
        if !pipe.scheduled && !pipe.broken && !lost {
            pipe.scheduled = true;
            let delay = self.rng.delay(self.setup.net_delay);
            self.later(delay, What::Deliver(link, from, socket));
        }
    }

    /// An invariant does not hold. The first one counts.
    pub(crate) fn fail(&mut self, name: &'static str, what: impl FnOnce() -> String) {
        if self.fault.is_none() {
            self.fault = Some((name, what()));
        }
    }

    /// Tells what happens.
    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>9} {}", what()));
        }
    }

    /// Counts something for the statistics.
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Whether this deliberate bug is in; it then counts as having bitten.
    pub(crate) fn bug(&mut self, bug: Bug) -> bool {
        let bites = self.bug == Some(bug);
        self.bitten += u64::from(bites);
        bites
    }
}
