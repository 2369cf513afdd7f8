// SPDX-License-Identifier: GPL-2.0

//! I/O for the peer: its writes, its reads, and resync blocks in both directions.
//!
//! An object has pages of its own, which the receiver fills from the socket or the disk fills for
//! the sender. When the I/O has ended it goes on a list of the link; the rest is done by threads.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use drbd_core::al::Refs;
use drbd_core::digest::Digest;
use drbd_core::request::epoch::{PeerEpochId, PeerEpochStep};
use drbd_core::wire::{AckWanted, BlockId};
use kernel::prelude::*;
use kernel::sync::rcu::synchronize_rcu;
use kernel::sync::Arc;

use crate::backing::Backing;
use crate::device::{Device, Era};
use crate::link::Link;
use crate::ranges::Tickets;
use crate::resource::Resource;
use crate::sys::bio::{Buffer, EndIo, OpFlags, OwnedBio, Status};
use crate::sys::llist::{self, Push};
use crate::sys::log::{log, Level};
use crate::sys::time::ms_to_jiffies;

/// What the I/O is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// A write of the peer's application.
    Write {
        /// Its epoch.
        epoch: PeerEpochId,
        /// The acks that are wanted.
        ack: AckWanted,
        /// The peer's volume is in a resync.
        may_set_in_sync: bool,
        /// Flags for the disk.
        flags: OpFlags,
    },
    /// A resync block that came from the source.
    ResyncWrite,
    /// A read of the peer's application.
    Read,
    /// A resync block that the target asked for.
    ResyncRead,
    /// Makes the peer's writes of this epoch, which have ended, stable.
    Flush {
        /// The epoch.
        epoch: PeerEpochId,
    },
    /// A block that is to be compared.
    Check(Check),
}

/// What is compared, and how far that has come. Which thread has it is said in brackets.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// Target of a resync: the own block is read, then asked for by its digest (sender).
    AskWithSum {
        /// The resync: what was read for another one is forgotten.
        run: u64,
    },
    /// Source of a resync: read to be compared with what the target has told (sender).
    ForTarget,
    /// Source of a resync: it is equal (ack sender).
    Equal,
    /// VerifyT: read to tell its digest (sender).
    Reply,
    /// VerifyT: there is no good disk to read from (ack sender).
    Refused,
    /// VerifyS: read to be compared with what the peer has told (sender).
    Compare,
    /// VerifyS: the result (ack sender).
    Result {
        /// Both blocks have the same digest.
        equal: bool,
    },
}

/// I/O for the peer.
pub(crate) struct PeerIo {
    link: llist::Link,
    /// The volume.
    pub(crate) device: Arc<Device>,
    /// The link it came over.
    pub(crate) over: Arc<Link>,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// First sector.
    pub(crate) sector: u64,
    /// Bytes.
    pub(crate) bytes: u32,
    /// The peer's handle.
    pub(crate) block_id: BlockId,
    /// Its range.
    pub(crate) tickets: Tickets,
    /// The peer's digest of it, if it is to be compared.
    pub(crate) digest: Option<KBox<Digest>>,
    /// Its extents in the activity log, if the peer keeps no copy.
    pub(crate) refs: Refs,
    /// When it came, by [`Device::era`].
    pub(crate) era: Era,
    /// It failed.
    failed: AtomicBool,
}

llist::impl_linked! { impl Linked<0> for PeerIo { self.link } }

impl PeerIo {
    /// I/O for `purpose`; the link counts it until it is dropped.
    pub(crate) fn new(
        device: Arc<Device>,
        over: Arc<Link>,
        purpose: Purpose,
        sector: u64,
        bytes: u32,
        block_id: BlockId,
    ) -> Self {
        over.io_begins(bytes);
        let era = device.era();
        Self {
            link: llist::Link::new(),
            device,
            over,
            purpose,
            sector,
            bytes,
            block_id,
            tickets: [0; 2],
            digest: None,
            refs: Refs::NONE,
            era,
            failed: AtomicBool::new(false),
        }
    }

    /// The copies have not parted since it came.
    pub(crate) fn is_of_this_era(&self) -> bool {
        self.era == self.device.era()
    }

    /// The disk has not gone since it came.
    pub(crate) fn has_its_disk(&self) -> bool {
        self.era.same_disk(self.device.era())
    }

    /// Whether it failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notes that it failed without having been tried.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Drop for PeerIo {
    /// The I/O is over: answered, or there is nobody any more to answer to.
    fn drop(&mut self) {
        if matches!(self.purpose, Purpose::Write { .. }) && self.has_failed() {
            self.device.mark_out_of_sync(self.sector, self.bytes);
        }
        self.device.release_range(self.tickets);
        self.device.uncover(self.refs);
        self.over.io_ends(self.bytes);
    }
}

impl EndIo for PeerIo {
    type Payload = Buffer;

    fn end_io(bio: OwnedBio<Self>, status: Status) {
        if !status.is_ok() {
            bio.fail();
            let read = matches!(bio.purpose, Purpose::Read | Purpose::ResyncRead);
            bio.device.local_error(!read);
            bio.device.kick();
        }
        bio.device.local_done();
        pass_on(bio);
    }
}

/// The flushes of all disks for one epoch of the peer's writes: the oldest epoch, whose writes have
/// ended.
#[derive(Default)]
pub(crate) struct Flushes {
    /// Those that are under way, and one while they are being started.
    open: AtomicU32,
    /// One has failed. Then the link ends, and nothing is flushed for it any more.
    failed: AtomicBool,
}

impl Flushes {
    /// One more begins.
    pub(crate) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// The flush of a volume's disk has ended. If it failed, the owner hears of it first. If it was
    /// the last one: whether all is stable. May sleep.
    pub(crate) fn end(&self, device: &Arc<Device>, stable: bool) -> Option<bool> {
        if !stable {
            self.failed.store(true, Ordering::Relaxed);
            log!(Level::Error, **device, "local disk FLUSH FAILED");
            if let Some(local) = device.local() {
                local.no_more_flushes();
            }
            device.report_errors();
        }
        self.end_start()
    }

    /// All have begun. If all have ended as well: whether all is stable.
    pub(crate) fn end_start(&self) -> Option<bool> {
        let last = self.open.fetch_sub(1, Ordering::AcqRel) == 1;
        last.then(|| !self.failed())
    }

    /// Whether one has failed.
    fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Hands I/O that has ended to the thread that answers. Any context.
pub(crate) fn pass_on(bio: OwnedBio<PeerIo>) {
    // The list owns the object from the push on, and with it its reference to the link.
    let over = bio.over.clone();
    match bio.purpose {
        Purpose::Write { .. } | Purpose::ResyncWrite | Purpose::Flush { .. } => {
            if let Push::First = over.done.push(bio) {
                over.answer_soon();
            }
        }
        Purpose::Read | Purpose::ResyncRead | Purpose::Check(_) => {
            let resource = bio.device.resource.clone();
            if let Push::First = over.read.push(bio) {
                resource.sender.wake_all();
            }
        }
    }
}

/// Starts a write that may go to the disk now. Tasks only.
pub(crate) fn submit_write(bio: OwnedBio<PeerIo>) {
    let flags = match bio.purpose {
        Purpose::Write { flags, .. } => flags,
        _ => OpFlags::NONE,
    };
    let device = bio.device.clone();
    // None if the disk is being given back: it was flushed for the last time, or soon will be.
    let Some(local) = device.local_io().filter(|_| bio.has_its_disk()) else {
        bio.fail();
        pass_on(bio);
        return;
    };
    count(&bio, &device.counters.writ);
    device.local_begins();
    let sector = bio.sector;
    bio.write(&local.data, sector, flags).submit();
}

/// Counts what the disk is to do.
fn count(io: &PeerIo, counter: &AtomicU64) {
    let sectors = u64::from(io.bytes >> 9);
    if !matches!(io.purpose, Purpose::Write { .. } | Purpose::Read) {
        // First: it is not to be taken for an application's.
        io.device
            .counters
            .resynced
            .fetch_add(sectors, Ordering::Relaxed);
    }
    counter.fetch_add(sectors, Ordering::Relaxed);
}

/// Starts a flush of `local`, the disk of the volume. Tasks only.
pub(crate) fn submit_flush(bio: OwnedBio<PeerIo>, local: &Backing) {
    bio.device.local_begins();
    bio.flush(&local.data).submit();
}

/// Starts a read for the peer. Tasks only.
pub(crate) fn submit_read(bio: OwnedBio<PeerIo>) {
    let device = bio.device.clone();
    let Some(local) = device.local_io() else {
        bio.fail();
        pass_on(bio);
        return;
    };
    count(&bio, &device.counters.read);
    device.local_begins();
    let sector = bio.sector;
    bio.read(&local.data, sector, OpFlags::NONE).submit();
}

/// The link is gone. Writes that were received go to the disk all the same, in their order: with
/// protocol B the peer was told that we have them. After a flush that failed nothing is written.
fn finish_epochs(resource: &Arc<Resource>, link: &Arc<Link>) {
    let mut failed = link.flushes.failed();
    while !failed {
        let step = link.epochs.lock().next_step();
        match step {
            Some(PeerEpochStep::Flush(id)) => {
                for device in resource.devices().iter() {
                    failed |= device.local().is_some_and(|l| l.flush_data().is_err());
                }
                if !failed {
                    link.epochs.lock().flushed(id);
                }
            }
            Some(PeerEpochStep::Release(id)) => release(link, id),
            // Nobody waits for it any more.
            Some(PeerEpochStep::Ack { .. }) => {}
            None => break,
        }
    }
    let mut held = 0_u32;
    for bio in link.held.take_all() {
        held = held.wrapping_add(1);
        let _ = link.held.push(bio);
    }
    if failed || link.active.load(Ordering::Acquire) == held {
        drop(link.held.take_all());
    }
}

/// A write of the epoch that is open goes to the disk, or waits for an earlier epoch. For the
/// receiver: only that thread closes epochs, so it is still the one the write was read in.
pub(crate) fn join_epoch(link: &Arc<Link>, bio: OwnedBio<PeerIo>) {
    let (device, era) = (bio.device.clone(), bio.era);
    // Held under the mutex: a release that comes later finds it.
    let mut epochs = link.epochs.lock();
    let (_, now) = epochs.join();
    if now {
        drop(epochs);
        submit_write(bio);
        return;
    }
    let _ = link.held.push(bio);
    drop(epochs);
    if !era.same_disk(device.era()) {
        link.fail_held();
    }
}

/// Writes of this epoch may go to the disk now.
pub(crate) fn release(link: &Arc<Link>, id: PeerEpochId) {
    for bio in link.held.take_all() {
        match bio.purpose {
            Purpose::Write { epoch, .. } if epoch == id => submit_write(bio),
            _ => {
                let _ = link.held.push(bio);
            }
        }
    }
}

/// A disk has gone: writes from before that wait for an earlier epoch fail now. The peer marks
/// them before the copies are compared again. For the ack sender.
pub(crate) fn fail_held(link: &Arc<Link>) {
    for bio in link.held.take_all() {
        if bio.has_its_disk() {
            let _ = link.held.push(bio);
        } else {
            bio.fail();
            pass_on(bio);
        }
    }
}

/// The link is down and its threads have ended: waits for the I/O that is still under way.
pub(crate) fn wait_until_quiet(resource: &Arc<Resource>, link: &Arc<Link>) {
    loop {
        for device in resource.devices().iter() {
            // A retry that was under way may have parked some again.
            crate::resync::drop_parked(device);
        }
        drop(link.read.take_all());
        for bio in link.done.take_all() {
            let (purpose, failed, device) = (bio.purpose, bio.has_failed(), bio.device.clone());
            drop(bio);
            match purpose {
                Purpose::Write { epoch, .. } => link.epochs.lock().done(epoch),
                Purpose::Flush { epoch } => {
                    if link.flushes.end(&device, !failed) == Some(true) {
                        link.epochs.lock().flushed(epoch);
                    }
                }
                _ => {}
            }
        }
        finish_epochs(resource, link);
        if link.active.load(Ordering::Acquire) == 0 {
            break;
        }
        let quiet = || {
            link.active.load(Ordering::Acquire) == 0
                || !link.done.is_empty()
                || !link.read.is_empty()
        };
        link.quiet.wait_idle_timeout(ms_to_jiffies(100), quiet);
    }
    // Whoever passed the last I/O on may still be about to let go of the link: it must not be left
    // with the last reference, in an interrupt.
    synchronize_rcu();
    for device in resource.devices().iter() {
        device.counters.unacked.store(0, Ordering::Relaxed);
        device.counters.rs_pending.store(0, Ordering::Relaxed);
    }
}
