// SPDX-License-Identifier: GPL-2.0

//! `resync-after`: the resync of a device waits for that of another one, of whatever resource.
//!
//! Whenever something has changed that matters to others ([`Effect::ReviewDependents`]), a work
//! item looks at all devices and tells the machines what is news to them. The rule is
//! [`may_sync_now`].
//!
//! [`Effect::ReviewDependents`]: drbd_core::peer::Effect::ReviewDependents

use drbd_core::peer::Event;
use drbd_core::state::resync::{may_sync_now, Dependency};
use kernel::sync::Arc;

use crate::device::Device;
use crate::resource::Resource;
use crate::sys::workqueue::WorkItem;

/// Has all devices looked at, soon. Any context.
pub(crate) fn review_soon(resource: &Arc<Resource>) {
    // If it is queued already, it comes.
    let _ = crate::io_queue().enqueue::<_, 1>(resource.clone());
}

impl WorkItem<1> for Resource {
    type Pointer = Arc<Self>;

    fn run(_: Arc<Self>) {
        review();
    }
}

fn review() {
    let registry = crate::registry();
    // What one look has found must not be told after what a later one has.
    let _turn = registry.review();
    let mut from = 0;
    while let Some(device) = registry.next_device(from) {
        from = device.minor.saturating_add(1);
        let wait = !may_sync_now(after(&device), dependency);
        let vnr = device.vnr;
        if device.resource.state_of(vnr).aftr_isp != wait {
            device.resource.feed(Event::MustWait { vnr, wait });
        }
    }
}

/// Whom a device waits for: nobody, if it has no disk. Any context.
fn after(device: &Device) -> Option<u32> {
    u32::try_from(device.local()?.conf().resync_after).ok()
}

/// The same by its minor. May sleep.
pub(crate) fn after_minor(minor: u32) -> Option<u32> {
    after(&*crate::registry().device(minor)?)
}

fn dependency(minor: u32) -> Option<Dependency> {
    let device = crate::registry().device(minor)?;
    Some(Dependency {
        state: device.resource.state_of(device.vnr),
        after: after(&device),
    })
}
