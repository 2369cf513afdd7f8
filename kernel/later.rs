// SPDX-License-Identifier: GPL-2.0

//! Another try in a moment, for what can't go on and won't be woken for sure.

use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::sys::workqueue::{cancel_delayed_sync, new_delayed_work, DelayedWork, WorkItem};

/// See [`Later::enqueue_device`].
pub(crate) struct Later;

impl Later {
    /// Has what is parked at a device looked at again with the next tick. Any context.
    pub(crate) fn enqueue_device(&self, device: &Arc<Device>) {
        // If it is queued already, it comes.
        let _ = crate::io_queue().enqueue_delayed::<_, 4>(device.clone(), 1);
    }

    /// The device goes: nothing of it is tried any more. May sleep.
    pub(crate) fn stop(&self, device: &Arc<Device>) {
        cancel_delayed_sync::<Device, 4>(device);
    }
}

/// The work item of a device.
pub(crate) fn new_work() -> impl PinInit<DelayedWork<Device, 4>> {
    new_delayed_work!("drbd_later")
}

impl WorkItem<4> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.kick();
    }
}
