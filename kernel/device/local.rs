// SPDX-License-Identifier: GPL-2.0

//! The disk below a volume, as seen by those who use it: until when they may.

use core::ops::Deref;
use core::sync::atomic::Ordering;
use drbd_core::peer::Event;
use drbd_core::request::slots::Subject;
use kernel::sync::Arc;

use super::Device;
use crate::backing::Backing;
use crate::sys::guarded::Reading;

/// A use of the disk below, for a moment or for one I/O.
pub(crate) type Local<'a> = Reading<'a, Backing>;

/// A use of the disk below that counts as local I/O: the owner does not wait for it, but the disk
/// is not given back before it ends.
pub(crate) struct LocalIo<'a> {
    // Goes first: who takes the disk away is to be the last one to have it.
    backing: Arc<Backing>,
    _under_way: UnderWay<'a>,
}

/// Local I/O that has begun.
struct UnderWay<'a>(&'a Device);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.local_done();
    }
}

impl Deref for LocalIo<'_> {
    type Target = Backing;

    fn deref(&self) -> &Backing {
        &self.backing
    }
}

impl Device {
    /// The disk below, to be used at once and let go. Any context.
    ///
    /// Who takes the disk away waits for those who use it, under the owner's mutex: so nobody may
    /// hold this while it waits for the owner, or for the peer.
    pub(crate) fn local(&self) -> Option<Local<'_>> {
        self.local.read()
    }

    /// The disk below, to be used for as long as some I/O of our own takes; none unless writes go
    /// to it. Tasks only.
    pub(crate) fn local_io(&self) -> Option<LocalIo<'_>> {
        let srcu = crate::srcu();
        let _guard = srcu.read_lock();
        // Once a policy without local writes is published, nobody comes past here; before, a detach
        // has yet to wait for local I/O.
        if !self.policy().local_write {
            return None;
        }
        let backing = self.local.read()?.share();
        self.local_begins();
        Some(LocalIo {
            backing,
            _under_way: UnderWay(self),
        })
    }

    /// The devices below may have got another size: then the machine is told. May sleep.
    pub(crate) fn look_for_room(&self) {
        let room = self.local().and_then(|local| local.new_room());
        if let Some(room) = room {
            self.resource.feed(Event::Room(self.vnr, room));
        }
    }

    /// Puts a disk below. May sleep.
    pub(crate) fn set_local(&self, local: Arc<Backing>) {
        drop(self.local.replace(Some(local)));
    }

    /// Takes the disk below away. When this returns it is closed. May sleep.
    pub(crate) fn close_local(&self) {
        drop(self.local.replace(None));
    }

    /// Waits until no local I/O is under way, and until the peer has for sure what the disk has
    /// been given: who would mark it out of sync without a bitmap? If the link goes meanwhile and
    /// the writes are kept for another one, they are marked here. Tasks only.
    pub(super) fn wait_for_copies(&self) {
        let resource = &self.resource;
        resource.close_open_epoch();
        self.idle.wait_idle(|| {
            // Whatever request ends next wakes us.
            let _ = resource.plane.want_slot();
            self.counters.local.load(Ordering::Acquire) == 0
                && (!resource.has_link() || self.peer_may_lack().next().is_none())
        });
        for subject in self.peer_may_lack() {
            self.mark_out_of_sync(subject.sector, subject.bytes);
        }
    }

    /// The writes that are on the disk, and perhaps not on the peer's.
    fn peer_may_lack(&self) -> impl Iterator<Item = Subject> + '_ {
        let table = self.resource.plane.table();
        self.requests().filter_map(move |(slot, subject)| {
            table.word(slot)?.peer_may_lack_it().then_some(subject)
        })
    }

    /// Local I/O begins.
    pub(crate) fn local_begins(&self) {
        self.counters.local.fetch_add(1, Ordering::Relaxed);
    }

    /// Local I/O has ended. Any context.
    pub(crate) fn local_done(&self) {
        if self.counters.local.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.wake_all();
        }
    }
}
