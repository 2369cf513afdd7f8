// SPDX-License-Identifier: GPL-2.0

//! `/proc/drbd`. Its text is the core's ([`drbd_core::proc`]); here the figures are collected.

use drbd_core::proc::{write_header, ExtentStats, Listing, MinorStatus};
use kernel::prelude::*;

use crate::device::Device;
use crate::genl::status;
use crate::progress;
use crate::sys::params;
use crate::sys::procfs::{Show, Writer};

/// What `/proc/drbd` shows.
pub(crate) struct Status;

impl Show for Status {
    fn show(&self, out: &mut Writer<'_>) -> Result {
        // Neither can fail but by `out`, which never does.
        let _ = write_header(out, &crate::build_tag());
        let mut listing = Listing::new();
        let details = u32::try_from(params::proc_details()).unwrap_or(0);
        let mut from = 0;
        while let Some(device) = crate::registry().next_device(from) {
            let _ = listing.write(out, &minor(&device), details);
            from = device.minor.saturating_add(1);
        }
        Ok(())
    }
}

fn minor(device: &Device) -> MinorStatus {
    let resource = &device.resource;
    let (volume, protocol) = resource.view(|view| {
        (
            status::volume(view, device.vnr),
            view.net.as_ref().map(|net| net.wire_protocol),
        )
    });
    let counters = status::counters(device);
    MinorStatus {
        minor: device.minor,
        state: volume.state,
        protocol,
        al_suspended: counters.al_suspended,
        sent_sectors: counters.sent,
        received_sectors: counters.received,
        written_sectors: counters.written,
        read_sectors: counters.read,
        al_writes: counters.al_writes,
        bm_writes: counters.bm_writes,
        local_count: counters.local,
        pending: counters
            .application_pending
            .saturating_add(counters.resync_pending),
        unacked: counters.unacked,
        application_pending: counters.application,
        epochs: resource.link().map_or(1, |link| link.epochs.lock().count()),
        write_ordering: status::write_ordering(resource),
        out_of_sync_bits: counters.out_of_sync,
        progress: progress::snapshot(device, &volume),
        // Resync locks blocks, not extents: there is no such table.
        extents: device
            .local()
            .map(|local| (ExtentStats::default(), local.log_stats())),
        al_blocked: 0,
    }
}
