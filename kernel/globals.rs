// SPDX-License-Identifier: GPL-2.0

//! What the whole module shares, from load to unload.

use kernel::prelude::*;
use kernel::sync::Arc;

use crate::genl::Family;
use crate::later::Later;
use crate::patience::Timed;
use crate::peer_io::PeerIo;
use crate::plane::Req;
use crate::registry::Registry;
use crate::sys::bio::BioSet;
use crate::sys::disk::Major;
use crate::sys::global::{Global, Installed};
use crate::sys::log::{log_module, Level};
use crate::sys::workqueue::Workqueue;
use crate::sys::{genl, new_srcu, Srcu};

/// Our block device number, as in `/dev`.
pub(crate) const MAJOR: u32 = 147;

static GLOBALS: Global<Globals> = Global::new();

/// Shared by all. The fields are dropped in this order.
#[pin_data]
pub(crate) struct Globals {
    /// The netlink family, registered or not.
    family: Arc<genl::Family<Family>>,
    /// Everything that is configured: nothing any more, when this is dropped.
    #[pin]
    registry: Registry,
    /// Handlers run here. They can take minutes, and configure us.
    handlers: Workqueue,
    // Waits for the last object, which may leave work.
    #[pin]
    requests: BioSet<Req>,
    #[pin]
    peer_ios: BioSet<PeerIo>,
    #[pin]
    timed_ios: BioSet<Timed>,
    /// Work of devices: what interrupts leave, what the owner must not do itself.
    io: Workqueue,
    #[pin]
    srcu: Srcu,
    major: Major,
}

impl Globals {
    /// Makes all of it, with memory in reserve for so many minors. May sleep.
    pub(crate) fn install(minor_count: u32) -> Result<Installed<Globals>> {
        let major = Major::register(MAJOR, c"drbd").inspect_err(|_| {
            log_module!(
                Level::Error,
                "unable to register block device major {MAJOR}"
            );
        })?;
        let family = genl::Family::new(Family)?;
        let handlers = Workqueue::unbound(c"drbd_handlers", 0)?;
        let io = Workqueue::unbound(c"drbd_io", 0)?;
        let reserve = minor_count.saturating_mul(REQUESTS_PER_MINOR);
        let globals = KBox::pin_init(
            try_pin_init!(Self {
                family,
                registry <- Registry::new(),
                handlers,
                io,
                requests <- BioSet::new(reserve),
                peer_ios <- BioSet::new(reserve),
                timed_ios <- BioSet::new(reserve),
                srcu <- new_srcu!(),
                major,
            }? Error),
            GFP_KERNEL,
        )?;
        GLOBALS.install(globals)
    }

    /// Waits until nothing of what was configured is left: handlers, work, disks. May sleep.
    pub(crate) fn settle() {
        handlers().flush();
        io_queue().flush();
        crate::sys::disk::wait_until_all_gone();
        // Removing the last disk may have left work.
        io_queue().flush();
    }
}

/// Requests of each kind that can be made without free memory, per minor that is expected.
const REQUESTS_PER_MINOR: u32 = 8;

/// The netlink family.
pub(crate) fn family() -> &'static Arc<genl::Family<Family>> {
    &GLOBALS.get().family
}

/// Everything that is configured.
pub(crate) fn registry() -> &'static Registry {
    &GLOBALS.get().registry
}

/// The work queue of handlers.
pub(crate) fn handlers() -> &'static Workqueue {
    &GLOBALS.get().handlers
}

/// The work queue of devices.
pub(crate) fn io_queue() -> &'static Workqueue {
    &GLOBALS.get().io
}

/// Where requests from above are made.
pub(crate) fn requests() -> &'static BioSet<Req> {
    &GLOBALS.get().requests
}

/// Where I/O for the peer is made.
pub(crate) fn peer_ios() -> &'static BioSet<PeerIo> {
    &GLOBALS.get().peer_ios
}

/// Where I/O that can be given up is made.
pub(crate) fn timed_ios() -> &'static BioSet<Timed> {
    &GLOBALS.get().timed_ios
}

/// Guards the policies of all devices.
pub(crate) fn srcu() -> &'static Srcu {
    &GLOBALS.get().srcu
}

/// Our block device number.
pub(crate) fn major() -> &'static Major {
    &GLOBALS.get().major
}

/// Another try in a moment.
pub(crate) fn later() -> Later {
    Later
}
