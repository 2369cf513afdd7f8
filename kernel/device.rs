// SPDX-License-Identifier: GPL-2.0

//! A volume as the data plane knows it: the disk that applications see, the disk below, and the
//! policy that says where requests go.

mod era;
mod local;
mod marks;
mod requests;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use drbd_core::request::policy::Policy;
use drbd_core::request::slots::{SlotId, Subject};
use drbd_core::request::word::{Event, Gone};
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::{Arc, ArcBorrow, Mutex};

use crate::backing::Backing;
use crate::objects;
use crate::peer_io::PeerIo;
use crate::ranges::{Ranges, Taken, Tickets};
use crate::resource::Resource;
use crate::sys::bio::{AccountingStart, OpFlags, OwnedBio, Status, UpperBio};
use crate::sys::disk::{self, Disk, DiskOps, Limits};
use crate::sys::guarded::Guarded;
use crate::sys::llist::LList;
use crate::sys::log::{log, Level};
use crate::sys::params;
use crate::sys::wait::{new_wait_queue, WaitQueue};
use crate::sys::workqueue::{
    impl_has_delayed_work, impl_has_work, new_work, DelayedWork, Work, WorkItem, Workqueue,
};
use crate::sys::{new_spinlock_irq, SpinLockIrq};

pub(crate) use era::Era;
use era::Eras;
pub(crate) use local::Local;
use marks::BitsInPlace;

/// Counters of a volume, for `/proc/drbd` and the statistics (docs/interface.md).
#[derive(Default)]
pub(crate) struct Counters {
    /// KiB sent, received, read from and written to the local disk: in sectors here.
    pub(crate) send: AtomicU64,
    pub(crate) recv: AtomicU64,
    pub(crate) read: AtomicU64,
    pub(crate) writ: AtomicU64,
    /// What of it was for a resync or verify.
    pub(crate) resynced: AtomicU64,
    pub(crate) al_writ: AtomicU64,
    pub(crate) bm_writ: AtomicU64,
    /// Requests from above that are not answered yet.
    pub(crate) ap_bio: AtomicU32,
    /// Requests that wait for an answer of the peer.
    pub(crate) ap_pending: AtomicU32,
    /// Resync requests and replies without answer.
    pub(crate) rs_pending: AtomicU32,
    /// Requests of the peer that we have not answered yet.
    pub(crate) unacked: AtomicU32,
    /// Blocks of the present resync that failed.
    pub(crate) rs_failed: AtomicU64,
    /// Local I/O under way.
    pub(crate) local: AtomicU32,
}

impl Counters {
    /// A new disk or connection: traffic is counted from now on.
    pub(crate) fn forget_traffic(&self) {
        for counter in [
            &self.send,
            &self.recv,
            &self.read,
            &self.writ,
            &self.resynced,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// What the local disk has done for applications, in sectors.
    pub(crate) fn others(&self) -> u64 {
        let all = [&self.read, &self.writ].map(|counter| counter.load(Ordering::Relaxed));
        let all = all.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        all.saturating_sub(self.resynced.load(Ordering::Relaxed))
    }

    /// A request that waited for the peer has its answer.
    pub(crate) fn pending_done(&self) {
        let less = |n: u32| Some(n.saturating_sub(1));
        let _ = self
            .ap_pending
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// A resync request or reply has its answer; `false` if none was open.
    pub(crate) fn resync_answered(&self) -> bool {
        let less = |n: u32| n.checked_sub(1);
        self.rs_pending
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// A volume.
#[pin_data]
pub(crate) struct Device {
    /// Minor number.
    pub(crate) minor: u32,
    /// Volume number in the resource.
    pub(crate) vnr: u16,
    /// The resource.
    pub(crate) resource: Arc<Resource>,
    #[pin]
    disk: Mutex<Option<Disk<Device>>>,
    /// Who waits for its readers must not wait for those of another device: one may be the disk
    /// below another.
    #[pin]
    local: Guarded<Backing>,
    #[pin]
    bits: SpinLockIrq<BitsInPlace>,
    policy: AtomicU32,
    /// Sectors.
    pub(crate) size: AtomicU64,
    /// How many have it open.
    pub(crate) opens: AtomicU32,
    /// Whether it may be opened, and whether a demotion that is under way forbids it all the same.
    pub(crate) primary: AtomicBool,
    pub(crate) demoting: AtomicBool,
    /// Numbers packets (docs/protocol.md, "Sequence numbers").
    pub(crate) packet_seq: AtomicU32,
    pub(crate) counters: Counters,
    ranges: Ranges,
    /// Bios from above that wait for a policy, a slot or a range.
    parked: LList<UpperBio, 0>,
    /// Bios whose local read failed.
    failed_reads: LList<UpperBio, 0>,
    /// Resync reads for the peer that wait for a range.
    pub(crate) parked_reads: LList<OwnedBio<PeerIo>, 0>,
    /// The resync.
    #[pin]
    pub(crate) resync: SpinLockIrq<crate::resync::State>,
    /// Blocks may be asked about: this node is target of a resync, or VerifyS.
    pub(crate) asks: AtomicBool,
    /// Online verify.
    #[pin]
    pub(crate) verify: SpinLockIrq<crate::verify::State>,
    /// An I/O error to be told to the owner: bit 0 read, bit 1 write.
    errors: AtomicU32,
    /// Requests that the disk has failed and that have not heard of it.
    failed_writes: AtomicU32,
    /// The owner is to hear when no request is under way any more.
    draining: AtomicBool,
    /// What came before the copies have parted is of another one.
    eras: Eras,
    /// The largest request in bytes, to the disk and to the peer.
    request_max: AtomicU32,
    /// Woken when local I/O ends.
    #[pin]
    pub(crate) idle: WaitQueue,
    /// What applications are to see of the disk, and does not yet.
    #[pin]
    face: SpinLockIrq<Face>,
    #[pin]
    work: Work<Device, 0>,
    #[pin]
    face_work: Work<Device, 1>,
    #[pin]
    release_work: Work<Device, 2>,
    #[pin]
    last_work: Work<Device, 6>,
    /// Who watches the progress of a resync.
    #[pin]
    pub(crate) watch: crate::progress::Watch,
    #[pin]
    watch_work: DelayedWork<Device, 3>,
    #[pin]
    later_work: DelayedWork<Device, 4>,
    #[pin]
    patience_work: DelayedWork<Device, 7>,
    /// Writes from above that need extents which are not in the activity log.
    pub(crate) cold: LList<UpperBio, 0>,
    /// Those of them that the last transaction had no room for, older than the others.
    pub(crate) starved: LList<UpperBio, 0>,
    /// Writes of the peer that wait for the activity log.
    pub(crate) peers_starving: AtomicU32,
    /// Serves the activity log, of this device alone; none any more when the device goes.
    #[pin]
    pub(crate) log_queue: SpinLockIrq<Option<Workqueue>>,
    #[pin]
    log_work: Work<Device, 5>,
    /// All bits are set: the activity log would tell nothing new. Shown as the C driver shows it.
    pub(crate) al_suspended: AtomicBool,
    /// At the last attach: the node had gone down as a Primary without peer.
    pub(crate) degraded: AtomicBool,
    _counted: objects::Devices,
}

impl_has_work! {
    impl HasWork<Self, 0> for Device { self.work }
    impl HasWork<Self, 1> for Device { self.face_work }
    impl HasWork<Self, 2> for Device { self.release_work }
    impl HasWork<Self, 5> for Device { self.log_work }
    impl HasWork<Self, 6> for Device { self.last_work }
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self, 3> for Device { self.watch_work }
    impl HasDelayedWork<Self, 4> for Device { self.later_work }
    impl HasDelayedWork<Self, 7> for Device { self.patience_work }
}

/// Changes of the disk that applications see. They are made by a work item, because the block
/// layer's locks come before the owner's.
#[derive(Default)]
struct Face {
    capacity: Option<u64>,
    read_only: Option<bool>,
    limits: Option<u32>,
    /// The work item has not finished yet.
    busy: bool,
}

impl WorkItem<1> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let face = {
            let mut face = this.face.lock();
            Face {
                capacity: face.capacity.take(),
                read_only: face.read_only.take(),
                limits: face.limits.take(),
                busy: true,
            }
        };
        this.with_disk(|disk| {
            if let Some(bytes) = face.limits {
                let changed = disk.update_limits(|l| {
                    l.set_max_hw_bytes(bytes);
                    l.set_page_boundary();
                    match this.local() {
                        Some(local) => l.stack(&local.data),
                        None => l.set_features(true, true, true),
                    }
                    Ok(())
                });
                if changed.is_err() {
                    log!(
                        Level::Warning,
                        *this,
                        "the limits of the disk cannot be changed"
                    );
                }
            }
            if let Some(sectors) = face.capacity {
                disk.set_capacity(sectors);
            }
            if let Some(read_only) = face.read_only {
                disk.set_read_only(read_only);
                disk.uevent_change();
            }
        });
        let mut rest = this.face.lock();
        if rest.capacity.is_none() && rest.read_only.is_none() && rest.limits.is_none() {
            rest.busy = false;
        }
        drop(rest);
        this.idle.wake_all();
    }
}

impl WorkItem<6> for Device {
    type Pointer = Arc<Self>;

    /// Drops the last reference.
    fn run(_last: Arc<Self>) {}
}

/// Lets a reference go. Any context: should it be the last one, a work item drops the device.
pub(crate) fn let_go(device: Arc<Device>) {
    if let Some(last) = Arc::into_unique_or_drop(device) {
        // It is in no queue: there it would have another reference.
        let _ = crate::io_queue().enqueue::<_, 6>(Arc::from(last));
    }
}

impl WorkItem<2> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.wait_for_copies();
        let patience = this.local().map(|local| local.patience.clone());
        if let Some(patience) = patience {
            patience.wait_for_rest();
        }
        // What the peer was told to be written must not be lost with a disk that nobody flushes any
        // more. If it cannot be made stable, the peer must not forget it.
        if this.local().is_some_and(|l| l.flush_data().is_err()) {
            use drbd_core::state::Conn;
            this.resource
                .feed(drbd_core::peer::Event::LinkBroken(Conn::NetworkFailure));
        }
        this.resource
            .feed(drbd_core::peer::Event::DiskIdle(this.vnr));
    }
}

impl WorkItem<0> for Device {
    type Pointer = Arc<Self>;

    /// What irq context or a submitter left to be done.
    fn run(this: Arc<Self>) {
        this.report_errors();
        this.end_failed_writes();
        this.report_drained();
        crate::resync::retry_parked(&this);
        for bio in this.failed_reads.take_all() {
            this.retry_read(bio);
        }
        for bio in this.parked.take_all() {
            this.submit(bio);
        }
        this.reconsider_log();
    }
}

impl Device {
    /// A volume with its disk, write-protected and of size 0. May sleep.
    pub(crate) fn new(resource: Arc<Resource>, minor: u32, vnr: u16) -> Result<Arc<Self>> {
        let ranges = Ranges::new()?;
        let resync = crate::resync::State::new()?;
        let queue_name = CString::try_from_fmt(fmt!("drbd_al{minor}"))?;
        let log_queue = Workqueue::unbound(&queue_name, 1)?;
        let device = Arc::pin_init(
            try_pin_init!(Self {
                minor,
                vnr,
                resource,
                disk <- new_mutex!(None, "drbd_disk"),
                local <- Guarded::none(),
                bits <- new_spinlock_irq!(BitsInPlace::default(), "drbd_bits"),
                policy: AtomicU32::new(Policy::NOWHERE.to_bits()),
                size: AtomicU64::new(0),
                opens: AtomicU32::new(0),
                primary: AtomicBool::new(false),
                demoting: AtomicBool::new(false),
                packet_seq: AtomicU32::new(0),
                counters: Counters::default(),
                ranges,
                parked: LList::new(),
                failed_reads: LList::new(),
                parked_reads: LList::new(),
                resync <- new_spinlock_irq!(resync, "drbd_resync"),
                asks: AtomicBool::new(false),
                verify <- new_spinlock_irq!(crate::verify::State::default(), "drbd_verify"),
                errors: AtomicU32::new(0),
                failed_writes: AtomicU32::new(0),
                draining: AtomicBool::new(false),
                eras: Eras::new(),
                request_max: AtomicU32::new(crate::backing::BIO_BYTES_MAX),
                idle <- new_wait_queue!("drbd_idle"),
                face <- new_spinlock_irq!(Face::default(), "drbd_face"),
                work <- new_work!("drbd_device"),
                face_work <- new_work!("drbd_face"),
                release_work <- new_work!("drbd_release"),
                last_work <- new_work!("drbd_last"),
                watch <- crate::progress::Watch::new(),
                watch_work <- crate::progress::new_work(),
                later_work <- crate::later::new_work(),
                patience_work <- crate::patience::new_work(),
                cold: LList::new(),
                starved: LList::new(),
                peers_starving: AtomicU32::new(0),
                log_queue <- new_spinlock_irq!(Some(log_queue), "drbd_log_queue"),
                log_work <- new_work!("drbd_log"),
                al_suspended: AtomicBool::new(false),
                degraded: AtomicBool::new(false),
                _counted: objects::Devices::new(),
            }? Error),
            GFP_KERNEL,
        )?;
        let mut limits = Limits::new();
        limits.set_max_hw_bytes(8192);
        let disk = Disk::add(
            crate::major(),
            minor,
            fmt!("drbd{minor}"),
            &limits,
            device.clone(),
        )?;
        *device.disk.lock() = Some(disk);
        Ok(device)
    }

    /// Removes the disk. What is parked fails. May sleep.
    pub(crate) fn remove(self: &Arc<Self>) {
        let disk = self.disk.lock().take();
        drop(disk);
        let queue = self.log_queue.lock().take();
        // What is queued there is done first.
        drop(queue);
        for list in [&self.parked, &self.cold, &self.starved] {
            for bio in list.take_all() {
                bio.end(Status::IO_ERROR);
            }
        }
    }

    /// Runs `f` with the disk that applications see.
    pub(crate) fn with_disk<R>(&self, f: impl FnOnce(&Disk<Device>) -> R) -> Option<R> {
        self.disk.lock().as_ref().map(f)
    }

    /// The policy now.
    pub(crate) fn policy(&self) -> Policy {
        Policy::from_bits(self.policy.load(Ordering::Acquire))
    }

    /// Publishes another policy. Returns when nobody uses the old one. May sleep.
    pub(crate) fn publish(self: &Arc<Self>, policy: Policy) {
        let bits = policy.to_bits();
        if self.policy.swap(bits, Ordering::AcqRel) == bits {
            return;
        }
        crate::srcu().synchronize();
        // Who waits for a slot of the log may not need one any more.
        self.idle.wake_all();
        if !policy.parked {
            self.kick();
        }
    }

    /// Has what is parked looked at again, and errors reported. Any context.
    pub(crate) fn kick(self: &Arc<Self>) {
        let _ = crate::io_queue().enqueue::<_, 0>(self.clone());
    }

    /// Has what is parked looked at again, if anything is. Any context.
    pub(crate) fn kick_if_parked(self: &Arc<Self>) {
        if !self.parked.is_empty() || !self.parked_reads.is_empty() {
            self.kick();
        }
    }

    /// Takes a range for `work`. If it is another's, `park` is called before that one lets it go.
    /// Any context.
    pub(crate) fn take_range(
        self: &Arc<Self>,
        sector: u64,
        bytes: u32,
        work: drbd_core::request::range::Work,
        park: impl FnOnce(),
    ) -> Option<Tickets> {
        match self.ranges.take(sector, bytes, work, park) {
            Taken::Done(tickets) => Some(tickets),
            Taken::Busy { waited } => {
                if waited {
                    self.range_is_free();
                }
                None
            }
        }
    }

    /// Lets a range go. Any context.
    pub(crate) fn release_range(self: &Arc<Self>, tickets: Tickets) {
        if self.ranges.release(tickets) {
            self.range_is_free();
        }
    }

    fn range_is_free(self: &Arc<Self>) {
        self.kick_if_parked();
        // A receiver may wait for it.
        self.idle.wake_all();
    }

    /// All bits are set, and nobody is connected.
    pub(crate) fn suspend_al(&self) {
        if !self.al_suspended.swap(true, Ordering::Relaxed) {
            log!(Level::Info, *self, "Suspended AL updates");
        }
    }

    /// The peer is there: from now on it matters what is in sync.
    pub(crate) fn resume_al(&self) {
        if self.al_suspended.swap(false, Ordering::Relaxed) {
            log!(Level::Info, *self, "Resumed AL updates");
        }
    }

    /// The number of the next packet that is counted.
    pub(crate) fn next_seq(&self) -> u32 {
        self.packet_seq
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1)
    }

    /// Whether blocks may be asked for.
    pub(crate) fn is_sync_target(&self) -> bool {
        self.policy().sync_target
    }

    /// Parks a bio until something changes.
    pub(crate) fn park(&self, bio: UpperBio) {
        // A bio that is already listed cannot be: it is ours alone.
        let _ = self.parked.push(bio);
    }

    fn change_face(self: &Arc<Self>, change: impl FnOnce(&mut Face)) {
        let mut face = self.face.lock();
        change(&mut face);
        face.busy = true;
        drop(face);
        let _ = crate::io_queue().enqueue::<_, 1>(self.clone());
    }

    /// Applications see another size, soon.
    pub(crate) fn set_capacity(self: &Arc<Self>, sectors: u64) {
        self.size.store(sectors, Ordering::Release);
        self.change_face(|face| face.capacity = Some(sectors));
    }

    /// The disk may be written to, or not any more, soon; with a change event.
    pub(crate) fn set_read_only(self: &Arc<Self>, read_only: bool) {
        self.change_face(|face| face.read_only = Some(read_only));
    }

    /// The largest bio from above in bytes, and the limits of the disk below as it is now, soon.
    pub(crate) fn set_limits(self: &Arc<Self>, bytes: u32) {
        self.request_max.store(bytes, Ordering::Relaxed);
        self.change_face(|face| face.limits = Some(bytes));
    }

    /// Waits until applications see what was decided. May sleep; not under the owner's mutex.
    pub(crate) fn wait_for_face(&self) {
        self.idle.wait_idle(|| !self.face.lock().busy);
    }

    /// Tells the owner when no local I/O is under way any more.
    pub(crate) fn report_when_idle(self: &Arc<Self>) {
        let _ = crate::io_queue().enqueue::<_, 2>(self.clone());
    }

    /// The copies may differ from now on: what the peer has sent before is of another era. `own`:
    /// the disk has gone.
    pub(crate) fn copies_part(&self, own: bool) {
        self.eras.part(own);
        if let Some(link) = self.resource.link().filter(|_| own) {
            link.fail_held();
        }
    }

    /// The largest request in bytes that the disk and the peer take. Any context.
    pub(crate) fn request_max(&self) -> u32 {
        self.request_max.load(Ordering::Relaxed)
    }

    /// Another one after each [`Device::copies_part`]. Any context.
    pub(crate) fn era(&self) -> Era {
        self.eras.now()
    }

    /// Requests that are not answered, or that the peer may not have made stable.
    pub(crate) fn open_requests(&self) -> u32 {
        self.requests().fold(0, |n, _| n.saturating_add(1))
    }

    /// The requests of this volume that have a slot.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (SlotId, Subject)> + '_ {
        let table = self.resource.plane.table();
        table.in_use().filter_map(move |slot| {
            let subject = table.subject(slot).filter(|s| s.volume == self.vnr)?;
            Some((slot, subject))
        })
    }

    /// Tells the owner when no request is under way any more.
    pub(crate) fn report_when_drained(self: &Arc<Self>) {
        // Whoever gives a slot back looks at this afterwards.
        self.draining.store(true, Ordering::SeqCst);
        self.kick();
    }

    fn report_drained(&self) {
        if self.draining.load(Ordering::SeqCst) && self.open_requests() == 0 {
            self.draining.store(false, Ordering::SeqCst);
            let drained = drbd_core::peer::Event::Drained(self.vnr);
            self.resource.feed(drained);
        }
    }

    /// Notes a failure of the local disk, for the owner. Any context; needs [`Device::kick`].
    pub(crate) fn local_error(&self, write: bool) {
        self.errors
            .fetch_or(if write { 2 } else { 1 }, Ordering::AcqRel);
    }

    /// Tells the owner of failures that were noted. May sleep.
    pub(crate) fn report_errors(self: &Arc<Self>) {
        use drbd_core::peer::{DiskErrorKind, Event as Told};
        let errors = self.errors.swap(0, Ordering::AcqRel);
        let vnr = self.vnr;
        if errors & 2 != 0 {
            self.resource.feed(Told::DiskError {
                vnr,
                kind: DiskErrorKind::Write,
            });
        } else if errors & 1 != 0 {
            self.resource.feed(Told::DiskError {
                vnr,
                kind: DiskErrorKind::Read,
            });
        }
    }

    /// The local disk has done a write or a flush. Any context.
    #[inline]
    pub(crate) fn local_write_done(self: &Arc<Self>, slot: SlotId, status: Status) {
        if !status.is_ok() {
            // The owner hears of it first: it may be that I/O is suspended for it.
            self.local_write_failed(slot);
            return;
        }
        self.local_done();
        self.request_event(slot, Event::Local { ok: true });
    }

    /// The local disk has failed a write or a flush: the request hears of it when the owner has.
    /// Any context.
    fn local_write_failed(self: &Arc<Self>, slot: SlotId) {
        self.local_error(true);
        self.request_event(slot, Event::LocalFailed);
        self.failed_writes.fetch_add(1, Ordering::AcqRel);
        self.kick();
    }

    /// The owner knows of the errors there were: the requests go on without the disk. Tasks only.
    fn end_failed_writes(self: &Arc<Self>) {
        if self.failed_writes.swap(0, Ordering::AcqRel) == 0 {
            return;
        }
        let table = self.resource.plane.table();
        for slot in table.in_use() {
            let here = table.subject(slot).is_some_and(|s| s.volume == self.vnr);
            let failed = table.word(slot).is_some_and(|w| w.local_failure_untold());
            if here && failed {
                self.request_event(slot, Event::Local { ok: false });
                // The disk goes when what it failed is marked out of sync.
                self.local_done();
            }
        }
    }

    /// An event happens to a request that may be any. Any context.
    pub(crate) fn request_event(self: &Arc<Self>, slot: SlotId, event: Event) {
        let frozen = self.policy().frozen;
        let table = self.resource.plane.table();
        let Some(subject) = table.subject(slot) else {
            return;
        };
        if let Ok(duties) = table.apply(slot, event, frozen) {
            self.perform(slot, subject.sector, subject.bytes, duties);
        }
        if self.errors.load(Ordering::Relaxed) != 0 {
            self.kick();
        }
    }

    /// The copies may differ from now on, as all requests of the volume are told. Any context.
    pub(crate) fn requests_part(self: &Arc<Self>, gone: Gone) {
        for (slot, _) in self.requests() {
            self.request_event(slot, Event::CopiesPart { gone });
        }
    }

    /// A local read has ended. Any context.
    pub(crate) fn local_read_done(
        self: &Arc<Self>,
        upper: UpperBio,
        started: AccountingStart,
        status: Status,
    ) {
        if status.is_ok() {
            self.end(upper, started, Status::OK);
            return;
        }
        if !upper.flags().has(OpFlags::RAHEAD) {
            self.mark_out_of_sync(upper.sector(), upper.bytes());
        }
        self.local_error(false);
        upper.end_accounting(started);
        self.counters.ap_bio.fetch_sub(1, Ordering::Relaxed);
        let _ = self.failed_reads.push(upper);
        self.kick();
    }

    fn retry_read(self: &Arc<Self>, upper: UpperBio) {
        let srcu = crate::srcu();
        let _guard = srcu.read_lock();
        let policy = self.policy();
        if policy.parked {
            // The disk may come back, or the peer.
            self.park(upper);
        } else if policy.remote_read {
            self.remote_read(upper);
        } else {
            upper.end(Status::IO_ERROR);
        }
    }
}

impl core::fmt::Display for Device {
    /// As the log names it: `r0/0 drbd0`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{} drbd{}", *self.resource, self.vnr, self.minor)
    }
}

impl DiskOps for Device {
    fn submit_bio(this: ArcBorrow<'_, Self>, bio: UpperBio) {
        Arc::from(this).submit(bio);
    }

    fn open(this: ArcBorrow<'_, Self>, write: bool) -> Result {
        // Counted first: whoever demotes looks at the count after it has set its mark.
        this.opens.fetch_add(1, Ordering::SeqCst);
        let primary = this.primary.load(Ordering::SeqCst) && !this.demoting.load(Ordering::SeqCst);
        if primary || (!write && params::allow_oos()) {
            return Ok(());
        }
        this.opens.fetch_sub(1, Ordering::SeqCst);
        Err(if write { EROFS } else { disk::emediumtype() })
    }

    fn release(this: ArcBorrow<'_, Self>) {
        this.opens.fetch_sub(1, Ordering::SeqCst);
    }
}
