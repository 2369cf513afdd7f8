// SPDX-License-Identifier: GPL-2.0
//! Two nodes, what is between them, and the run: begin as equal copies, faults, mend, rest.
//!
//! A step is anything that happens: a turn of an actor, the end of a disk's operation, bytes that
//! arrive, a line of the script. How the two sockets of a connection find each other is not
//! played; both ends see a new connection, each after a delay of its own, or only one of them.

use crate::bug::Bug;
use crate::check;
use crate::disk::Faults;
use crate::net::{DATA, META};
use crate::node::{Node, Receiver};
use crate::script::{Action, Line};
use crate::setup::Setup;
use crate::shared::{Actor, Shared, What, HELPERS};
use drbd_core::meta::MdFlags;
use drbd_core::peer::{Command, Event};
use drbd_core::state::{Conn, Disk, Role};
use drbd_core::wire::{Agreed, FeatureFlags, ProtocolVersion};

/// Microseconds between two looks at what the cable and the disks may do by themselves.
const TICK: u64 = 10_000;
/// How long the nodes may take to come to rest, in looks of the one who mends.
const PATIENCE: u32 = 60;

/// How a run has ended.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) steps: u64,
    /// The invariant, and what is wrong.
    pub(crate) fault: Option<(&'static str, String)>,
    /// The deliberate bug had an effect so many times.
    pub(crate) bitten: u64,
    pub(crate) trace: Vec<String>,
    pub(crate) seen: std::collections::BTreeMap<&'static str, u64>,
    pub(crate) acks: u64,
}

/// A run.
pub(crate) struct World {
    nodes: [Node; 2],
    s: Shared,
    script: Vec<Line>,
    steps: u64,
    /// Who accepted the meta connection.
    resolve: usize,
}

/// Plays a run to its end.
pub(crate) fn play(setup: Setup, script: Vec<Line>, bug: Option<Bug>, trace: bool) -> Report {
    let nodes = [0, 1].map(|id| Node::new(id, 0, &setup));
    let mut world = World {
        nodes,
        s: Shared::new(setup, bug, trace),
        script,
        steps: 0,
        resolve: 0,
    };
    world.run();
    for node in &world.nodes {
        check::replay::check(node, &mut world.s);
    }
    let s = world.s;
    Report {
        steps: world.steps,
        fault: s.fault,
        bitten: s.bitten,
        trace: s.trace.unwrap_or_default(),
        seen: s.seen,
        acks: s.app.acks,
    }
}

impl World {
    fn run(&mut self) {
        self.s.later(TICK, What::Tick);
        for node in 0..2 {
            self.bring_up(node);
        }
        if !self.begin_equal() {
            let show = self.show();
            self.s
                .fail("sim", || format!("the copies did not become equal: {show}"));
            return;
        }
        self.s.related = true;
        let start = self.s.now;
        for (index, (time, _)) in self.script.iter().enumerate() {
            self.s.later(*time, What::Script(index));
        }
        let end = start + self.s.setup.length;
        self.until(end, |_| false);
        self.mend();
    }

    fn show(&self) -> String {
        format!("{} | {}", self.nodes[0].show(), self.nodes[1].show())
    }

    /// Goes on until a time, or until `done`. `false`: something is wrong.
    fn until(&mut self, time: u64, done: impl Fn(&Self) -> bool) -> bool {
        while self.s.now < time && !done(self) {
            let Some(what) = self.s.next() else { break };
            if what != What::Tick {
                self.steps += 1;
            }
            self.step(what);
            check::pair::after_step(&self.nodes, &mut self.s);
            if let Some((name, what)) = self.s.fault.clone() {
                let show = self.show();
                self.s.say(|| format!("{name}: {what}\n{show}"));
                return false;
            }
        }
        true
    }

    fn step(&mut self, what: What) {
        let s = &mut self.s;
        match what {
            What::Wake(node, actor, life) => {
                let node = &mut self.nodes[node];
                if node.up && node.life == life {
                    node.run(actor, s);
                }
            }
            What::Disk {
                node,
                vol,
                op,
                life,
            } => {
                let node = &mut self.nodes[node];
                if node.up && node.life == life {
                    node.disk_done(vol, op, s);
                }
            }
            What::Deliver(link, from, socket) => {
                let Some(more) = s.net.deliver(link, from, socket, &mut s.rng) else {
                    return;
                };
                if more {
                    s.schedule(link, from, socket);
                }
                let reader = if socket == DATA {
                    Actor::Receiver
                } else {
                    Actor::Acks
                };
                self.nodes[1 - from].wake(reader, s);
            }
            What::LinkUp { node, link } => {
                if s.net.link.as_ref().is_some_and(|l| l.id == link) {
                    let version = ProtocolVersion::new(s.setup.version);
                    let agreed = Agreed {
                        version: version.expect("the setup names a version there is"),
                        features: FeatureFlags::NONE,
                    };
                    let resolve = self.resolve == node;
                    self.nodes[node].link_up(link, agreed, resolve, s);
                }
            }
            What::Silence { node, link } => self.silence(node, link),
            What::Helper {
                node,
                vol,
                which,
                life,
            } => {
                let node = &mut self.nodes[node];
                if node.up && node.life == life {
                    let helper = HELPERS[usize::from(which)];
                    node.feed(
                        Event::HelperDone {
                            vnr: vol,
                            helper,
                            exit: 0,
                        },
                        None,
                        s,
                    );
                }
            }
            What::Boot(node) => {
                if !self.nodes[node].up {
                    self.bring_up(node);
                }
            }
            What::Script(index) => {
                let (_, action) = self.script[index];
                if !s.calm {
                    self.act(action);
                }
            }
            What::Tick => self.tick(),
        }
    }

    /// What the cable and the disks do by themselves.
    fn tick(&mut self) {
        let s = &mut self.s;
        s.later(TICK, What::Tick);
        let seeks = |n: &Node| {
            n.up && n.receiver == Receiver::Seeking
                && n.view.cstate == Conn::WFConnection
                && !n.is_blocked(Actor::Receiver)
        };
        if self.nodes.iter().all(seeks) && s.net.lost == [false; 2] && !s.rng.one_in(4) {
            let link = s.net.open();
            self.resolve = s.rng.below(2) as usize;
            s.count("connection");
            for node in 0..2 {
                let delay = s.rng.delay(3000);
                s.later(delay, What::LinkUp { node, link });
            }
        }
        if s.rng.one_in(8) {
            let (node, vol) = (
                s.rng.below(2) as usize,
                s.rng.below(u64::from(s.setup.volumes)),
            );
            s.disks[node][vol as usize].write_back(&mut s.rng);
        }
        // Who hears nothing for long finds out.
        let Some(link) = s.net.link.as_ref().map(|l| l.id) else {
            return;
        };
        for node in 0..2 {
            let has = |n: &Node| n.up && n.link.as_ref().is_some_and(|l| l.id == link);
            let deaf = s.net.lost[1 - node] || !has(&self.nodes[1 - node]);
            if has(&self.nodes[node]) && deaf && s.rng.one_in(40) {
                let delay = s.rng.delay(300_000);
                s.later(delay, What::Silence { node, link });
            }
        }
    }

    /// A ping was not answered.
    fn silence(&mut self, node: usize, link: u64) {
        let has = |n: &Node| n.up && n.link.as_ref().is_some_and(|l| l.id == link && !l.down);
        let deaf = self.s.net.lost[1 - node] || !has(&self.nodes[1 - node]);
        if has(&self.nodes[node]) && deaf {
            self.s.count("silence");
            self.nodes[node].feed(Event::LinkBroken(Conn::NetworkFailure), None, &mut self.s);
        }
    }

    /// Switches a node on, and does what `drbdadm up` does.
    fn bring_up(&mut self, node: usize) {
        let s = &mut self.s;
        let life = self.nodes[node].life + 1;
        self.nodes[node] = Node::new(node, life, &s.setup);
        s.up[node] = true;
        s.say(|| format!("{node} boots"));
        let connect = Command::Connect {
            discard_my_data: false,
            dry_run: false,
        };
        let first = s.rng.one_in(4);
        if first {
            self.nodes[node].command(connect, s);
        }
        for vol in 0..s.setup.volumes {
            self.nodes[node].command(Command::AttachBegin(vol), s);
        }
        if !first {
            self.nodes[node].command(connect, s);
        }
    }

    /// The power of a node goes.
    fn crash(&mut self, node: usize) {
        let s = &mut self.s;
        if !self.nodes[node].up {
            return;
        }
        s.say(|| format!("{node} loses its power"));
        s.count("power cut");
        check::pair::before_power_cut(&self.nodes, node, s);
        check::replay::check(&self.nodes[node], s);
        let primary = |v: &drbd_core::peer::Volume| v.state.role == Role::Primary;
        let mut was_primary: Vec<bool> = self.nodes[node].r.volumes.iter().map(primary).collect();
        self.nodes[node].up = false;
        s.up[node] = false;
        s.app.forget(node);
        s.last_link[node] = s.net.links;
        for (vol, primary) in was_primary.iter_mut().enumerate() {
            s.disks[node][vol].power_cut(&mut s.rng);
            s.busy[node][vol].fill(0);
            // A demotion may have come no further than the memory.
            *primary |= s.disks[node][vol].has_flag(MdFlags::PRIMARY_IND);
        }
        self.forgive(node, &was_primary);
        check::pair::forgive_old_source(&self.nodes, node, &was_primary, &mut self.s);
        let s = &mut self.s;
        // What the dead node had sent may still be on its way; what is sent to it gets lost.
        let Some(link) = s.net.link.as_mut() else {
            return;
        };
        let id = link.id;
        for socket in [DATA, META] {
            link.pipes[1 - node][socket].broken = true;
        }
        if s.rng.one_in(3) {
            s.net.reset(&mut s.rng);
            self.nodes[1 - node].wake(Actor::Receiver, s);
            self.nodes[1 - node].wake(Actor::Acks, s);
        } else {
            let delay = s.rng.delay(200_000);
            s.later(
                delay,
                What::Silence {
                    node: 1 - node,
                    link: id,
                },
            );
        }
    }

    /// A power cut may take what no flush covers, where no other UpToDate copy has it. Of a
    /// Primary in any case: when it comes back it is the source of the next resync, unless
    /// somebody else has become Primary.
    fn forgive(&mut self, node: usize, was_primary: &[bool]) {
        let s = &mut self.s;
        for (vol, journal) in s.app.volumes.iter_mut().enumerate() {
            let other = &self.nodes[1 - node];
            let other_lives = other.up;
            let other_good = other_lives && other.state(vol as u16).disk == Disk::UpToDate;
            for at in 0..journal.acked.len() {
                let acked = journal.acked[at];
                let other = s.disks[1 - node][vol].data()[at] >= acked;
                if other && other_good && !was_primary[vol] {
                    continue;
                }
                let here = s.disks[node][vol].data()[at];
                let left = if other_lives { here.min(acked) } else { 0 };
                journal.acked[at] = journal.flushed[at].max(left);
            }
        }
    }

    /// Both copies are equal, and everybody knows.
    fn begin_equal(&mut self) -> bool {
        let all = |w: &Self, f: &dyn Fn(&Node, usize) -> bool| {
            let volumes = usize::from(w.s.setup.volumes);
            let idle = |n: &Node| n.admin_is_idle() && n.is_quiet();
            w.s.net.is_quiet()
                && w.nodes
                    .iter()
                    .all(|n| idle(n) && (0..volumes).all(|v| f(n, v)))
        };
        let connected = |n: &Node, v: usize| {
            let s = n.r.volumes[v].state;
            s.conn == Conn::Connected && s.pdsk == Disk::Inconsistent
        };
        self.until(60_000_000, |w| all(w, &connected));
        for vol in 0..self.s.setup.volumes {
            let command = if self.s.setup.initial_sync {
                Command::Primary {
                    vnr: vol,
                    force: true,
                }
            } else {
                Command::NewCurrentUuid {
                    vnr: vol,
                    clear_bitmap: true,
                }
            };
            self.nodes[0].command(command, &mut self.s);
        }
        let good = |n: &Node, v: usize| {
            let s = n.r.volumes[v].state;
            s.conn == Conn::Connected && s.disk == Disk::UpToDate && s.pdsk == Disk::UpToDate
        };
        let end = self.s.now + 60_000_000;
        self.until(end, |w| all(w, &good));
        all(self, &good)
    }

    fn state(&self, node: usize, vol: u16) -> drbd_core::state::DeviceState {
        self.nodes[node].state(vol)
    }

    /// Both call both disks UpToDate, and nothing is going on but I/O.
    fn both_good(&self, vol: u16) -> bool {
        self.nodes.iter().all(|n| {
            let s = n.state(vol);
            n.up && s.conn == Conn::Connected
                && s.disk == Disk::UpToDate
                && s.pdsk == Disk::UpToDate
        }) && self.s.net.lost == [false; 2]
    }

    /// Does what a line of the script says, where it is sane.
    fn act(&mut self, action: Action) {
        use Action as A;
        self.s.say(|| format!("  script: {action:?}"));
        match action {
            A::Write { vol, .. } | A::Read { vol, .. } | A::Flush { vol } => {
                self.application(vol, action);
            }
            A::Cut => {
                self.s.count("cut");
                self.s.net.reset(&mut self.s.rng);
                for node in &mut self.nodes {
                    node.wake(Actor::Receiver, &mut self.s);
                    node.wake(Actor::Acks, &mut self.s);
                }
            }
            A::Mute { node } => {
                self.s.count("one-way cut");
                self.s.net.lost[node] = true;
            }
            A::Heal => self.heal(),
            A::Crash { node, back } => self.power(node, back),
            A::CrashBoth { back } => {
                for (node, back) in back.into_iter().enumerate() {
                    self.power(node, back);
                }
            }
            A::Fail {
                node,
                vol,
                what: [read, write, meta],
            } => {
                if self.both_good(vol)
                    && self
                        .s
                        .disks
                        .iter()
                        .flatten()
                        .all(|d| d.faults == Faults::default())
                {
                    self.s.disks[node][usize::from(vol)].faults = Faults { read, write, meta };
                }
            }
            A::Repair { node, vol } => {
                self.s.disks[node][usize::from(vol)].faults = Faults::default();
            }
            A::Promote { node, .. }
            | A::Demote { node, .. }
            | A::Connect { node }
            | A::Disconnect { node, .. }
            | A::Attach { node, .. }
            | A::Detach { node, .. }
            | A::Invalidate { node, .. }
            | A::InvalidateRemote { node, .. }
            | A::Pause { node, .. }
            | A::Suspend { node, .. }
            | A::Resume { node, .. } => {
                if self.nodes[node].up && self.nodes[node].admin_is_idle() {
                    if let Some(command) = self.command(node, action) {
                        self.nodes[node].command(command, &mut self.s);
                    }
                }
            }
        }
    }

    fn heal(&mut self) {
        self.s.net.lost = [false; 2];
        let Some(link) = self.s.net.link.as_ref().map(|l| l.id) else {
            return;
        };
        for node in 0..2 {
            for socket in [DATA, META] {
                self.s.schedule(link, node, socket);
            }
        }
    }

    fn power(&mut self, node: usize, back: u64) {
        self.crash(node);
        self.s.later(back + 1, What::Boot(node));
    }

    /// The command of a sane administrator, who knows both nodes.
    fn command(&self, node: usize, action: Action) -> Option<Command> {
        use Action as A;
        let other = 1 - node;
        Some(match action {
            A::Promote { vol, .. } => {
                // One node is the better one for all volumes, or a split brain would have no end.
                let rival = &self.nodes[other];
                let promotes = |c: &Command| matches!(c, Command::Primary { .. });
                let primary = |v: &drbd_core::peer::Volume| v.state.role == Role::Primary;
                let rivals = rival.up
                    && (rival.r.volumes.iter().any(primary)
                        || rival.admin.running.iter().any(promotes)
                        || rival.admin.queue.iter().any(promotes));
                // Who has no disk goes on with the peer's.
                let uses = |vol| match self.state(node, vol).disk {
                    disk if rival.up && disk < Disk::Inconsistent => other,
                    _ => node,
                };
                let mut volumes = 0..self.s.setup.volumes;
                if rivals || !volumes.all(|vol| self.has(uses(vol), vol)) {
                    return None;
                }
                Command::Primary {
                    vnr: vol,
                    force: false,
                }
            }
            A::Demote { vol, .. } => Command::Secondary(vol),
            A::Connect { node } => {
                if self.nodes[node].r.cstate != Conn::StandAlone {
                    return None;
                }
                Command::Connect {
                    discard_my_data: false,
                    dry_run: false,
                }
            }
            // Open fault: the peer agrees though one of its volumes cannot go, and is torn apart.
            A::Disconnect { force, .. } if self.s.setup.volumes == 1 => {
                Command::Disconnect { force }
            }
            A::Disconnect { .. } => Command::Disconnect { force: true },
            A::Attach { vol, .. } => {
                if self.state(node, vol).disk != Disk::Diskless {
                    return None;
                }
                Command::AttachBegin(vol)
            }
            A::Detach { vol, force, .. } if self.both_good(vol) => {
                Command::Detach { vnr: vol, force }
            }
            A::Invalidate { vol, .. }
                if self.both_good(vol) && self.state(node, vol).role == Role::Secondary =>
            {
                Command::Invalidate(vol)
            }
            A::InvalidateRemote { vol, .. }
                if self.both_good(vol) && self.state(other, vol).role == Role::Secondary =>
            {
                Command::InvalidateRemote(vol)
            }
            A::Pause { vol, on, .. } => Command::PauseSync(vol, on),
            A::Suspend { vol, .. } => Command::SuspendIo(vol),
            A::Resume { vol, .. } => Command::ResumeIo(vol),
            _ => return None,
        })
    }

    /// The application does something, on the node that is Primary.
    fn application(&mut self, vol: u16, action: Action) {
        let opens = |n: &Node| {
            let device = &n.devices[usize::from(vol)];
            n.up && device.primary && !device.demoting
        };
        let Some(node) = self.nodes.iter().position(opens) else {
            return;
        };
        // It waits for its answers, some time or other.
        if self.s.app.open(node, vol) >= 16 {
            return;
        }
        let size = self.nodes[node].devices[usize::from(vol)].size;
        let s = &mut self.s;
        let id = match action {
            Action::Write {
                sector,
                sectors,
                fua,
                ..
            } if sector + sectors <= size => s.app.write(node, vol, (sector, sectors), fua),
            Action::Read {
                sector, sectors, ..
            } if sector + sectors <= size => s.app.read(node, vol, sector, sectors),
            Action::Flush { .. } => s.app.flush(node, vol),
            _ => return,
        };
        self.nodes[node].submit_app(id, s);
    }

    /// The faults are over. Somebody who knows what to do looks now and then; all is in sync
    /// within a bound.
    fn mend(&mut self) {
        self.s.calm = true;
        self.s.say(|| "the faults end".to_owned());
        self.heal();
        for disk in self.s.disks.iter_mut().flatten() {
            disk.faults = Faults::default();
        }
        for look in 0..PATIENCE {
            let time = self.s.now + 1_000_000;
            if !self.until(time, |_| false) {
                return;
            }
            if check::rest::in_sync(&self.nodes, &self.s) {
                let time = self.s.now + 1_000_000;
                if self.until(time, |_| false) {
                    check::rest::at_rest(&self.nodes, &mut self.s);
                    self.farewell();
                }
                return;
            }
            for node in 0..2 {
                self.look_after(node, look);
            }
            if look == PATIENCE / 3 && self.attach_is_refused() {
                // A split brain that was found by an attach: the disk comes before the connection.
                self.s.count("an attach that needs a disconnect");
                self.part();
            }
            if look == PATIENCE / 2 && self.s.setup.version <= 95 && self.target_waits() {
                // Open fault: the source has called the resync done, and forgot a last request.
                self.s.count("a target that waits for ever (open fault)");
                self.part();
            }
        }
        let show = self.show();
        let quiet = self.nodes.each_ref().map(Node::is_quiet);
        let ops = self.s.app.ops.clone();
        self.s.fail("I47", || {
            format!("no rest: {show}; quiet {quiet:?}, waiting {ops:?}")
        });
        self.s.say(|| format!("no rest: {show}"));
    }

    /// A volume is SyncTarget on one node, and Connected on the other.
    fn target_waits(&self) -> bool {
        (0..self.s.setup.volumes).any(|vol| {
            let conns = [0, 1].map(|n| self.state(n, vol).conn);
            conns.contains(&Conn::Connected) && conns.iter().any(|c| c.is_sync_target())
        })
    }

    /// The nodes are connected, and a disk is still missing.
    fn attach_is_refused(&self) -> bool {
        let missing = |v: &drbd_core::peer::Volume| v.state.disk == Disk::Diskless;
        let connected = |n: &Node| n.r.cstate == Conn::WFReportParams;
        self.nodes.iter().all(connected)
            && self.nodes.iter().any(|n| n.r.volumes.iter().any(missing))
    }

    fn part(&mut self) {
        for node in &mut self.nodes {
            node.command(Command::Disconnect { force: true }, &mut self.s);
        }
    }

    fn look_after(&mut self, node: usize, look: u32) {
        if !self.nodes[node].up {
            self.bring_up(node);
            return;
        }
        if !self.nodes[node].admin_is_idle() {
            return;
        }
        let volumes = 0..self.s.setup.volumes;
        let bare = volumes
            .clone()
            .any(|vol| self.state(node, vol).disk == Disk::Diskless);
        for vol in volumes {
            let state = self.state(node, vol);
            let s = &mut self.s;
            let node = &mut self.nodes[node];
            if state.disk == Disk::Diskless {
                node.command(Command::AttachBegin(vol), s);
            }
            if state.user_isp {
                node.command(Command::PauseSync(vol, false), s);
            }
            if state.is_suspended() {
                node.command(Command::ResumeIo(vol), s);
            }
        }
        if self.nodes[node].r.cstate == Conn::StandAlone {
            if bare && look % 8 != 7 {
                // The disk comes first: over a connection the peer may refuse it, and nobody is
                // asked whose data is to go. A Primary refuses one that has not its last data.
                self.demote_all(node);
                return;
            }
            // A split brain is resolved by hand, at the cost of the copy that has less. Of volumes
            // that have none nobody loses anything, if the node that goes on has the rest as well.
            let has = |node| self.split_volumes().all(|vol| self.has(node, vol));
            let all = |node| (0..self.s.setup.volumes).all(|vol| self.has(node, vol));
            let victim = look > 4 && look % 4 == 0 && !has(node) && has(1 - node);
            let less = usize::from(all(0) && !all(1));
            let either = look > 12 && look % 8 == 0 && node == less && has(1 - less);
            let victim = victim || either;
            if victim {
                self.s.count("discard-my-data");
                self.demote_all(node);
            }
            let command = Command::Connect {
                discard_my_data: victim,
                dry_run: false,
            };
            self.nodes[node].command(command, &mut self.s);
        }
    }

    fn demote_all(&mut self, node: usize) {
        for vol in 0..self.s.setup.volumes {
            self.nodes[node].command(Command::Secondary(vol), &mut self.s);
        }
    }

    /// The volumes whose last handshake has found a split brain; all, if it was none's.
    fn split_volumes(&self) -> impl Iterator<Item = u16> + '_ {
        let split = |vol: u16| self.nodes.iter().any(|n| n.devices[usize::from(vol)].split);
        let volumes = 0..self.s.setup.volumes;
        let any = volumes.clone().any(split);
        volumes.filter(move |vol| !any || split(*vol))
    }

    /// The node has all of a volume that was acknowledged.
    fn has(&self, node: usize, vol: u16) -> bool {
        let vol = usize::from(vol);
        let acked = self.s.app.volumes[vol].acked.iter();
        let mut pairs = acked.zip(self.s.disks[node][vol].data());
        pairs.all(|(acked, there)| there >= acked)
    }

    /// Both disconnect; nothing may be left over.
    fn farewell(&mut self) {
        for node in 0..2 {
            let force = Command::Disconnect { force: true };
            self.nodes[node].command(force, &mut self.s);
        }
        let time = self.s.now + 3_000_000;
        let alone = |w: &Self| {
            w.nodes
                .iter()
                .all(|n| n.r.cstate == Conn::StandAlone && n.admin_is_idle() && n.is_quiet())
        };
        if self.until(time, alone) {
            check::rest::all_over(&self.nodes, &mut self.s);
        }
    }
}
