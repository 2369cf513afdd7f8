// SPDX-License-Identifier: GPL-2.0

//! A resource: the one owner of its state, its data plane, and its link to the peer.
//!
//! Events from everywhere (packets, commands, broken links, failed disks) are fed to the machine of
//! the core under the owner's mutex, one at a time, and the effects it asks for are performed in
//! order before the mutex is let go. None of them waits for the peer or for a helper: packets are
//! queued, helpers run elsewhere.
//!
//! Whoever only wants to look takes the [`View`], which is never held long. Lock order: admin,
//! owner, view; see docs/locking.md.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use drbd_core::config::{NetConf, ResOpts};
use drbd_core::genl::Address;
use drbd_core::peer::record::Recorded;
use drbd_core::peer::{self, Command, Effect, Event, Setting, Shelf, Volume};
use drbd_core::request::epoch::{ClosedEpoch, EpochLog, MAX_UNACKED_EPOCHS};
use drbd_core::request::slots::SlotId;
use drbd_core::request::word::Event as Told;
use drbd_core::state::{Conn, DeviceState};
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::{Arc, Mutex, MutexGuard};

use crate::crew::{Choice, Crew};
use crate::device::Device;
use crate::digests::Digests;
use crate::link::Link;
use crate::objects;
use crate::plane::{Kind, Plane, Req};
use crate::recorder::Recorder;
use crate::sys::bio::BioArc;
use crate::sys::llist::Push;
use crate::sys::log::{log, Level};
use crate::sys::memalloc::NoIo;
use crate::sys::thread::Thread;
use crate::sys::time;
use crate::sys::wait::{new_wait_queue, WaitQueue};
use crate::sys::workqueue::{impl_has_work, new_work, Work, WorkItem};
use crate::sys::{new_spinlock_irq, SpinLockIrq, Wait};
use crate::text;
use crate::turn::Turn;
use crate::vector;

/// Where the two nodes are.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    /// The own address.
    pub(crate) mine: Address,
    /// The peer's.
    pub(crate) peer: Address,
}

/// Storage for the volumes, lent to the core.
pub(crate) struct Volumes(pub(crate) KVec<Volume>);

impl AsRef<[Volume]> for Volumes {
    fn as_ref(&self) -> &[Volume] {
        &self.0
    }
}

impl AsMut<[Volume]> for Volumes {
    fn as_mut(&mut self) -> &mut [Volume] {
        &mut self.0
    }
}

impl Shelf for Volumes {
    fn insert(&mut self, at: usize, volume: Volume) -> bool {
        vector::reserve(&mut self.0, 1, GFP_KERNEL).is_ok()
            && self.0.insert_within_capacity(at, volume).is_ok()
    }

    fn remove(&mut self, at: usize) {
        let _ = self.0.remove(at);
    }
}

/// What only one may change at a time.
pub(crate) struct Owner {
    /// The machine.
    pub(crate) core: Recorded<Volumes, Recorder>,
    /// The network configuration.
    pub(crate) net: Option<Arc<NetConf>>,
    /// The options of the resource.
    pub(crate) opts: ResOpts,
    /// Where the nodes are.
    pub(crate) addresses: Option<Addresses>,
    /// Effects of the present event, kept for their memory.
    pub(crate) effects: KVec<Effect>,
    /// Events that followed from the effects of one, kept for their memory.
    pub(crate) later: KVec<Event>,
    /// Effects that found no room: the connection cannot go on.
    pub(crate) overflowed: bool,
}

/// A snapshot of the owner's state for those who only look.
pub(crate) struct View {
    /// The connection's own state.
    pub(crate) cstate: Conn,
    /// The agreed version; 80 without a link.
    pub(crate) apv: u32,
    /// The network configuration.
    pub(crate) net: Option<Arc<NetConf>>,
    /// Where the nodes are.
    pub(crate) addresses: Option<Addresses>,
    /// The options of the resource.
    pub(crate) opts: ResOpts,
    /// The volumes.
    pub(crate) volumes: KVec<Volume>,
}

/// A resource.
#[pin_data]
pub(crate) struct Resource {
    name: CString,
    #[pin]
    admin: Turn,
    #[pin]
    pub(crate) owner: Mutex<Owner>,
    #[pin]
    view: Mutex<View>,
    #[pin]
    devices: SpinLockIrq<KVec<Arc<Device>>>,
    /// Counts changes of `devices`.
    pub(crate) devices_version: AtomicU32,
    /// Requests and their queue.
    pub(crate) plane: Plane,
    /// The epoch that the sender has open.
    pub(crate) open_epoch: AtomicU32,
    /// The last epoch of which a write was answered, with [`ANSWERED`]: what follows may depend on
    /// it. The sender looks when it takes requests.
    pub(crate) answered_epoch: AtomicU64,
    /// Whatever epoch is open is to be closed now.
    pub(crate) close_now: AtomicBool,
    /// The sender waits for a place in `epochs`.
    pub(crate) epochs_full: AtomicBool,
    /// Closed epochs that wait for their barrier acks.
    #[pin]
    pub(crate) epochs: SpinLockIrq<EpochLog<EpochRing>>,
    /// Flushes that wait for the barrier ack of an epoch.
    #[pin]
    pub(crate) flushes: SpinLockIrq<KVec<(u32, SlotId)>>,
    /// Woken when the sender has something to do.
    #[pin]
    pub(crate) sender: WaitQueue,
    #[pin]
    link: SpinLockIrq<Option<Arc<Link>>>,
    /// All threads of the connection.
    #[pin]
    pub(crate) crew: Crew,
    /// The receiver of the connection.
    #[pin]
    receiver: Mutex<Option<Thread>>,
    /// Sockets that a connecting receiver sleeps on.
    #[pin]
    pub(crate) connecting: Mutex<KVec<Arc<crate::sys::socket::Socket>>>,
    /// A connecting receiver is to look at the state again.
    pub(crate) interrupted: AtomicBool,
    /// Woken when a command is over.
    #[pin]
    answered: WaitQueue,
    answer: AtomicU64,
    /// A resync has begun or goes on: the sender is to look when a step is due.
    pub(crate) resync_begun: AtomicBool,
    /// A volume has made progress in its resync; one bit per volume up to 63.
    resync_news: AtomicU64,
    /// Counts changes of the network configuration, for the threads of the link.
    pub(crate) net_version: AtomicU32,
    /// The hashes that the network configuration names.
    #[pin]
    pub(crate) digests: Mutex<Digests>,
    /// The tape of the machine.
    pub(crate) recorder: Recorder,
    /// What listeners were told.
    #[pin]
    pub(crate) news: crate::events::News,
    #[pin]
    told_work: Work<Resource, 0>,
    #[pin]
    pub(crate) dependents_work: Work<Resource, 1>,
    _counted: objects::Resources,
}

impl_has_work! {
    impl HasWork<Self, 0> for Resource { self.told_work }
    impl HasWork<Self, 1> for Resource { self.dependents_work }
}

impl WorkItem<0> for Resource {
    type Pointer = Arc<Self>;

    /// What the ack receiver heard.
    fn run(this: Arc<Self>) {
        if let Some(link) = this.link() {
            link.tell_all(&this);
        }
    }
}

impl core::fmt::Display for Resource {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name.to_str().unwrap_or("?"))
    }
}

/// The ring of closed epochs.
pub(crate) struct EpochRing(KVVec<Option<ClosedEpoch>>);

impl AsMut<[Option<ClosedEpoch>]> for EpochRing {
    fn as_mut(&mut self) -> &mut [Option<ClosedEpoch>] {
        &mut self.0
    }
}

/// Marks an answer that is there.
pub(crate) const ANSWERED: u64 = 1 << 32;

impl Resource {
    /// A resource with its one connection, StandAlone. May sleep.
    pub(crate) fn new(name: &CStr, opts: ResOpts, processors: Choice) -> Result<Arc<Self>> {
        let name = CString::try_from(name)?;
        let plane = Plane::new()?;
        let crew = Crew::new(processors)?;
        let mut ring = KVVec::with_capacity(MAX_UNACKED_EPOCHS, GFP_KERNEL)?;
        for _ in 0..MAX_UNACKED_EPOCHS {
            vector::push(&mut ring, None, GFP_KERNEL)?;
        }
        let epochs = EpochLog::new(EpochRing(ring));
        let flushes = KVec::with_capacity(64, GFP_KERNEL)?;
        let effects = KVec::with_capacity(256, GFP_KERNEL)?;
        let later = KVec::with_capacity(16, GFP_KERNEL)?;
        let recorder = Recorder::new()?;
        let deck = recorder.clone();
        // These are large: they are made where they stay, not on the stack.
        let shown = opts.clone();
        let owner = init!(Owner {
            core: Recorded::new(Volumes(KVec::new()), deck),
            net: None,
            opts,
            addresses: None,
            effects,
            later,
            overflowed: false,
        });
        let view = init!(View {
            cstate: Conn::StandAlone,
            apv: 80,
            net: None,
            addresses: None,
            opts: shown,
            volumes: KVec::new(),
        });
        Arc::pin_init(
            pin_init!(Self {
                name,
                admin <- Turn::new(),
                owner <- new_mutex!(owner, "drbd_owner"),
                view <- new_mutex!(view, "drbd_view"),
                devices <- new_spinlock_irq!(KVec::new(), "drbd_devices"),
                devices_version: AtomicU32::new(0),
                plane,
                open_epoch: AtomicU32::new(0),
                answered_epoch: AtomicU64::new(0),
                close_now: AtomicBool::new(false),
                epochs_full: AtomicBool::new(false),
                epochs <- new_spinlock_irq!(epochs, "drbd_epochs"),
                flushes <- new_spinlock_irq!(flushes, "drbd_flushes"),
                sender <- new_wait_queue!("drbd_sender"),
                link <- new_spinlock_irq!(None, "drbd_link"),
                crew <- crew,
                receiver <- new_mutex!(None, "drbd_receiver"),
                connecting <- new_mutex!(KVec::new(), "drbd_connecting"),
                interrupted: AtomicBool::new(false),
                answered <- new_wait_queue!("drbd_answered"),
                answer: AtomicU64::new(0),
                resync_begun: AtomicBool::new(false),
                resync_news: AtomicU64::new(0),
                net_version: AtomicU32::new(0),
                digests <- new_mutex!(Digests::default(), "drbd_digests"),
                recorder,
                news <- crate::events::News::new(),
                told_work <- new_work!("drbd_told"),
                dependents_work <- new_work!("drbd_dependents"),
                _counted: objects::Resources::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The name.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// The name without the zero at its end.
    pub(crate) fn name_bytes(&self) -> &[u8] {
        text::bytes_of(&self.name)
    }

    /// Held over a whole administrator's command.
    pub(crate) fn admin(&self) -> &Turn {
        &self.admin
    }

    /// Runs `f` on the owner's state, between two events.
    pub(crate) fn with_owner<R>(&self, f: impl FnOnce(&mut Owner) -> R) -> R {
        let mut owner = self.owner.lock();
        let result = f(&mut owner);
        self.refresh(&owner);
        result
    }

    /// Other settings for the connection that there is. May sleep.
    pub(crate) fn change_net(self: &Arc<Self>, new: Arc<NetConf>) {
        self.with_owner(|owner| {
            let net = peer::settings::net_settings(&new);
            owner.core.set(Setting::Net(net));
            owner.net = Some(new);
            // Requests carry the protocol letter.
            crate::perform::publish_all(self, owner);
        });
        self.net_version.fetch_add(1, Ordering::Release);
    }

    /// Replaces the network configuration, if there is a newer one than what `seen` names; tells
    /// whether there was.
    pub(crate) fn renew_net(&self, seen: &mut u32, net: &mut Arc<NetConf>) -> bool {
        let version = self.net_version.load(Ordering::Acquire);
        if version == *seen {
            return false;
        }
        *seen = version;
        self.view(|view| {
            if let Some(newer) = &view.net {
                *net = newer.clone();
            }
        });
        true
    }

    /// Looks at the snapshot.
    pub(crate) fn view<R>(&self, f: impl FnOnce(&View) -> R) -> R {
        f(&self.view.lock())
    }

    /// The state of a volume.
    pub(crate) fn state_of(&self, vnr: u16) -> DeviceState {
        self.view(|v| v.volumes.iter().find(|v| v.vnr == vnr).map(|v| v.state))
            .unwrap_or(DeviceState::NEW)
    }

    fn refresh(&self, owner: &Owner) {
        let mut view = self.view.lock();
        view.cstate = owner.core.cstate;
        view.apv = owner.core.apv();
        view.net = owner.net.clone();
        view.addresses = owner.addresses;
        if view.opts != owner.opts {
            view.opts = owner.opts.clone();
        }
        view.volumes.clear();
        for v in &owner.core.volumes.0 {
            // The capacity was reserved when the volume was added.
            let _ = vector::push(&mut view.volumes, *v, GFP_KERNEL);
        }
    }

    /// Adds a volume.
    pub(crate) fn add_device(&self, device: Arc<Device>) -> Result {
        let vnr = device.vnr;
        let mut owner = self.owner.lock();
        let count = owner.core.volumes.0.len().saturating_add(1);
        vector::reserve(&mut self.view.lock().volumes, count, GFP_KERNEL)?;
        let mut list = KVec::with_capacity(count, GFP_KERNEL)?;
        for old in self.devices.lock().iter() {
            vector::push(&mut list, old.clone(), GFP_ATOMIC)?;
        }
        vector::push(&mut list, device, GFP_KERNEL)?;
        if !owner.core.add_volume(vnr) {
            return Err(ENOMEM);
        }
        let old = core::mem::replace(&mut *self.devices.lock(), list);
        self.devices_version.fetch_add(1, Ordering::Release);
        self.refresh(&owner);
        drop(owner);
        drop(old);
        Ok(())
    }

    /// Removes a volume; its device is to be dropped by the caller, outside of all locks.
    pub(crate) fn remove_device(&self, vnr: u16) -> Option<Arc<Device>> {
        let mut owner = self.owner.lock();
        owner.core.index_of(vnr)?;
        owner.core.remove_volume(vnr);
        let mut list = self.devices.lock();
        let at = vector::index_of(&list, |d| d.vnr == vnr)?;
        let device = list.remove(at).ok();
        drop(list);
        self.devices_version.fetch_add(1, Ordering::Release);
        self.refresh(&owner);
        device
    }

    /// The volumes' devices. Tasks only.
    pub(crate) fn devices(&self) -> KVec<Arc<Device>> {
        let mut copy = KVec::new();
        loop {
            let wanted = self.devices.lock().len();
            if vector::reserve(&mut copy, wanted, GFP_KERNEL).is_err() {
                return copy;
            }
            let list = self.devices.lock();
            if list.len() > wanted {
                continue;
            }
            for device in list.iter() {
                let _ = copy.push_within_capacity(device.clone());
            }
            return copy;
        }
    }

    /// Whether this is so for any volume's device. Any context.
    pub(crate) fn any_device(&self, f: impl FnMut(&Arc<Device>) -> bool) -> bool {
        self.devices.lock().iter().any(f)
    }

    /// The device of a volume. Any context.
    pub(crate) fn device(&self, vnr: u16) -> Option<Arc<Device>> {
        self.devices.lock().iter().find(|d| d.vnr == vnr).cloned()
    }

    /// A slot is free that some volume waits for. Any context.
    pub(crate) fn slot_is_free(&self) {
        for device in self.devices.lock().iter() {
            device.kick_if_parked();
            // One may wait for the last writes of its disk.
            device.idle.wake_all();
        }
    }

    /// Feeds an event to the machine and performs what follows. May sleep.
    pub(crate) fn feed(self: &Arc<Self>, event: Event) {
        let _ = self.feed_and_see(event);
    }

    /// The same, and gives the state of the connection as it is then.
    pub(crate) fn feed_and_see(self: &Arc<Self>, event: Event) -> Conn {
        let mut owner = self.owner.lock();
        self.feed_locked(&mut owner, event);
        owner.core.cstate
    }

    fn feed_locked(self: &Arc<Self>, owner: &mut MutexGuard<'_, Owner>, event: Event) {
        // What is allocated on the way to write memory out must not wait for that.
        let _noio = NoIo::enter();
        let mut next = Some(event);
        while let Some(event) = next {
            let mut effects = core::mem::take(&mut owner.effects);
            let mut driver = crate::perform::Buffer::new(self, &mut effects);
            owner.core.handle(event, &mut driver);
            let overflowed = driver.overflowed();
            self.refresh(owner);
            for effect in effects.iter() {
                owner.core.doing(effect);
                if let Some(event) = crate::perform::perform(self, owner, *effect) {
                    owner.core.follows(&event);
                    if vector::push(&mut owner.later, event, GFP_KERNEL).is_err() {
                        owner.overflowed = true;
                    }
                }
            }
            crate::events::settle(self);
            effects.clear();
            owner.effects = effects;
            if overflowed {
                log!(Level::Error, **self, "too many effects of one event");
                owner.overflowed = true;
            }
            next = owner.later.remove(0).ok();
        }
        self.refresh(owner);
    }

    /// The ack receiver has heard something for the machine. Any context.
    pub(crate) fn told(self: &Arc<Self>) {
        let _ = crate::io_queue().enqueue::<_, 0>(self.clone());
    }

    /// A command of the administrator: feeds it, and waits until it is over. Gives its code, or
    /// `EINTR` if the caller was killed meanwhile. The caller holds [`Resource::admin`].
    pub(crate) fn command(self: &Arc<Self>, command: Command) -> Result<i32> {
        self.answer.store(0, Ordering::Release);
        let demotion = match command {
            Command::Secondary(vnr) => self.device(vnr),
            _ => None,
        };
        if let Some(device) = &demotion {
            // Nobody may open it between the look at the open count and the change.
            device.demoting.store(true, Ordering::SeqCst);
        }
        let answered = self.command_answered(command);
        if let Some(device) = &demotion {
            device.demoting.store(false, Ordering::SeqCst);
        }
        answered
    }

    fn command_answered(self: &Arc<Self>, command: Command) -> Result<i32> {
        self.feed(Event::Admin(command));
        let waited = self
            .answered
            .wait_killable(|| self.answer.load(Ordering::Acquire) & ANSWERED != 0);
        if let Err(killed) = waited {
            // It ends at once, or with the peer's answer; the loss of the link is one.
            self.feed(Event::AdminGone);
            self.answered
                .wait_idle(|| self.answer.load(Ordering::Acquire) & ANSWERED != 0);
            return Err(killed);
        }
        // The answer is one of the effects of an event: the others are done, and seen, then.
        drop(self.owner.lock());
        for device in self.devices().iter() {
            device.wait_for_face();
        }
        Ok(self.answer.load(Ordering::Acquire) as u32 as i32)
    }

    /// The command that is under way is over.
    pub(crate) fn answer(&self, code: i32) {
        self.answer
            .store(ANSWERED | u64::from(code as u32), Ordering::Release);
        self.answered.wake_all();
    }

    /// Queues something for the sender. Any context.
    pub(crate) fn queue(&self, item: BioArc<Req>) {
        if let Push::First = self.plane.queue.push(item) {
            self.sender.wake_all();
        }
    }

    /// Queues a control packet. May sleep.
    pub(crate) fn queue_control(&self, packet: peer::Send) {
        if let Ok(item) = crate::requests().alloc(Wait::Yes, Req::new(None, Kind::Control(packet)))
        {
            self.queue(item.into_shared());
        }
    }

    /// A write of this epoch was answered: what comes later belongs to a later epoch. The sender
    /// is not woken: its next packet, or its next look at the clock, is early enough.
    pub(crate) fn close_epoch(&self, epoch: u32) {
        if self.open_epoch.load(Ordering::Acquire) == epoch {
            self.answered_epoch
                .store(ANSWERED | u64::from(epoch), Ordering::Release);
        }
    }

    /// Whatever epoch is open ends here.
    pub(crate) fn close_open_epoch(&self) {
        self.close_now.store(true, Ordering::Release);
        self.sender.wake_all();
    }

    /// The established link.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.lock().clone()
    }

    /// Whether there is a link. Any context.
    pub(crate) fn has_link(&self) -> bool {
        self.link.lock().is_some()
    }

    /// Another link, or none.
    pub(crate) fn set_link(&self, link: Option<Arc<Link>>) {
        let old = core::mem::replace(&mut *self.link.lock(), link);
        drop(old);
    }

    /// Starts the receiver. May sleep.
    pub(crate) fn start_receiver(self: &Arc<Self>) -> Result {
        let mut receiver = self.receiver.lock();
        // One that has ended is joined here.
        *receiver = None;
        let resource = self.clone();
        *receiver = Some(Thread::spawn(
            fmt!("drbd_r_{}", self.name()),
            move |stop| {
                let _member = resource.crew.join();
                crate::connect::run(&resource, stop);
            },
        )?);
        Ok(())
    }

    /// Joins the receiver, if it is not running this. May sleep.
    pub(crate) fn join_receiver(&self) {
        let thread = self.receiver.lock().take();
        drop(thread);
    }

    /// Shuts down whatever the receiver sleeps on. May sleep.
    pub(crate) fn close_link(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        for socket in self.connecting.lock().iter() {
            socket.shutdown();
        }
        if let Some(link) = self.link() {
            link.shutdown();
        }
    }

    /// Blocks of a volume came in sync or failed: has the machine look, soon. Any context.
    pub(crate) fn resync_moved(&self, vnr: u16) {
        self.resync_news.fetch_or(1 << (vnr % 64), Ordering::AcqRel);
        self.sender.wake_all();
    }

    /// Takes the news of [`Resource::resync_moved`].
    pub(crate) fn take_resync_news(&self) -> u64 {
        self.resync_news.swap(0, Ordering::AcqRel)
    }

    /// A resync has begun or goes on. Any context.
    pub(crate) fn resync_begins(&self) {
        self.resync_begun.store(true, Ordering::Release);
        self.sender.wake_all();
    }

    /// Whether there are news of [`Resource::resync_moved`].
    pub(crate) fn has_resync_news(&self) -> bool {
        self.resync_news.load(Ordering::Acquire) != 0
    }

    /// The barrier ack of this epoch has come: flushes that waited for it are complete.
    pub(crate) fn complete_flushes(&self, epoch: u32) {
        loop {
            let slot = {
                let mut flushes = self.flushes.lock();
                let Some(at) = vector::index_of(&flushes, |(e, _)| *e == epoch) else {
                    return;
                };
                flushes.remove(at).map(|(_, slot)| slot)
            };
            let Ok(slot) = slot else { return };
            let subject = self.plane.table().subject(slot);
            if let Some(device) = subject.and_then(|s| self.device(s.volume)) {
                device.request_event(slot, Told::BarrierAck);
            }
        }
    }

    /// A flush does not wait for an epoch after all.
    pub(crate) fn forget_flush(&self, slot: SlotId) {
        vector::retain(&mut *self.flushes.lock(), |(_, s)| *s != slot);
    }

    /// Milliseconds of a clock that does not go back.
    pub(crate) fn now_ms() -> u64 {
        time::monotonic_ns() / 1_000_000
    }
}
