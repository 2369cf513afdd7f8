// SPDX-License-Identifier: GPL-2.0

//! `al-extents` changes while the disk is in use: a log of another size takes the place of the one
//! that is there.
//!
//! New writes wait on the list of those that need the log until the ones under way are over. Then
//! nobody has references, the bitmap is made to know what the old log covered, and the disk goes on
//! with the new log, whose transactions follow on the same ring.

use kernel::prelude::*;
use kernel::sync::Arc;

use super::Activity;
use crate::backing::Backing;
use crate::device::Device;

/// Why the log is as it was.
pub(crate) enum Kept {
    /// Writes do not come to an end, or the caller was killed.
    InUse,
    /// There is no memory for another one.
    NoMemory,
    /// There is no disk that is written to.
    NoDisk,
    /// The metadata cannot be written.
    Failed,
}

impl From<Error> for Kept {
    fn from(_: Error) -> Self {
        Self::NoMemory
    }
}

impl Device {
    /// Puts a log with so many slots in place, in the administrator's turn. Gives the number that
    /// it has. May sleep until the writes under way are over.
    pub(crate) fn exchange_log(self: &Arc<Self>, extents: u32) -> Result<u16, Kept> {
        // The disk is not taken away meanwhile.
        let Some(local) = self.local_io() else {
            return Err(Kept::NoDisk);
        };
        let layout = local.layout().al();
        let slots = layout.clip_extents(extents);
        // The memory first; its log is made when the old one has come to its end.
        let new = local.with_log(Activity::new(layout, extents, false)?)?;
        let closed = self.close_log(&local);
        let closed = closed.and_then(|()| settle(self, &local).map_err(|_| Kept::Failed));
        if closed.is_ok() {
            // Under the owner, who may just be moving the metadata.
            self.resource.with_owner(|_| {
                let log = local.activity.writer.lock().log.successor(slots);
                new.activity.writer.lock().log = log;
                self.set_local(new);
            });
        } else {
            let activity = &local.activity;
            activity.writer.lock().log.reopen(&activity.set);
        }
        self.serve_log();
        self.idle.wake_all();
        closed.map(|()| slots)
    }

    /// Waits until nobody has references to the log, and nobody can get any.
    fn close_log(&self, local: &Backing) -> Result<(), Kept> {
        let activity = &local.activity;
        // Writes that are kept for another policy end only with it.
        let stuck = || {
            let policy = self.policy();
            policy.frozen || !policy.local_write
        };
        loop {
            let seen = activity.set.relieved();
            let mut writer = activity.writer.lock();
            if writer.log.close(&activity.set) {
                return Ok(());
            }
            if writer.log.has_failed() {
                return Err(Kept::Failed);
            }
            drop(writer);
            if stuck() {
                return Err(Kept::InUse);
            }
            // Slots come back with barrier acks, which an open epoch does not get.
            self.resource.close_open_epoch();
            self.idle
                .wait_killable(|| activity.set.relieved() != seen || stuck())
                .map_err(|_| Kept::InUse)?;
        }
    }
}

/// What leaves the log is stable, and the bitmap on disk knows the rest: all extents leave at once.
fn settle(device: &Device, local: &Backing) -> Result {
    local.flush_data()?;
    local.write_bitmap_in_place(device)
}
