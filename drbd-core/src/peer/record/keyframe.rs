// SPDX-License-Identifier: GPL-2.0
//! The state of a machine on a tape, between two events: from there on it can be played again.

use super::code::{by_fields, by_variant, Code, Reader, Writer};
use crate::peer::event::HelperCall;
use crate::peer::fence::FenceRun;
use crate::peer::machine::{Link, NetSettings, Ping, Resource};
use crate::peer::volume::{Ending, PeerData, Resync, Volume};
use crate::state::{Conn, Negotiating, OnNoData};

by_variant! {
    Ping { 0 None, 1 Out, 2 OutAndAgain }
    Ending { 0 Unseen, 1 Acks, 2 LateAcks, 3 LateRequests }
}

by_fields! {
    Link { agreed, resolve_conflicts, peer_dry_run, closing }
    FenceRun { policy, links }
    Negotiating { disk, pdsk, exposes_current }
    PeerData { uuids, disk_size, max_bio_size, connected }
    Resync { total, failed, started_ms, paused_ms, paused_since_ms, peer_done, ending }
    Volume {
        vnr, state, disk, peer, size, exposed, unnamed, crashed_primary, consider_resync,
        discard_my_data, negotiating, owes_uuid, resync_after_negotiation,
        resize_pending, was_io_error,
        primary_on_disk, resync, raised, target_unaware, starting, early_sync_uuid,
    }
    Frame {
        cstate, link, net, on_no_data, state_sent, discard_my_data, dry_run, receiver, ping,
        fencing, links, parting, volumes,
    }
}

/// All but the volumes, which follow it: so many.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    cstate: Conn,
    link: Option<Link>,
    net: Option<NetSettings>,
    on_no_data: OnNoData,
    state_sent: bool,
    discard_my_data: bool,
    dry_run: bool,
    receiver: bool,
    ping: Ping,
    fencing: Option<FenceRun>,
    links: u32,
    parting: Option<HelperCall>,
    volumes: u32,
}

/// Writes the state of a machine. `false`: it is in the midst of a command or of a change that the
/// peer was asked about, and what it knows of that has no form here.
#[must_use]
pub fn write<V: AsRef<[Volume]>>(machine: &Resource<V>, w: &mut Writer<'_>) -> bool {
    // Named one by one, so that none is forgotten here.
    let Resource {
        volumes,
        cstate,
        link,
        net,
        on_no_data,
        state_sent,
        discard_my_data,
        dry_run,
        request: None,
        conn_request: None,
        job: None,
        receiver,
        ping,
        fencing,
        links,
        parting,
    } = machine
    else {
        return false;
    };
    let volumes = volumes.as_ref();
    let frame = Frame {
        cstate: *cstate,
        link: *link,
        net: *net,
        on_no_data: *on_no_data,
        state_sent: *state_sent,
        discard_my_data: *discard_my_data,
        dry_run: *dry_run,
        receiver: *receiver,
        ping: *ping,
        fencing: *fencing,
        links: *links,
        parting: *parting,
        volumes: u32::try_from(volumes.len()).unwrap_or(u32::MAX),
    };
    frame.put(w);
    for volume in volumes {
        volume.put(w);
    }
    true
}

/// A hash of the state of a machine, where [`write`] can tell it.
pub(super) fn sum<V: AsRef<[Volume]>>(machine: &Resource<V>) -> Option<u64> {
    let mut w = Writer::new(&mut []);
    write(machine, &mut w).then(|| w.sum())
}

/// The state of a machine that was read.
#[derive(Clone, Copy, Debug)]
pub struct Keyframe<'a> {
    frame: Frame,
    volumes: Reader<'a>,
    bytes: &'a [u8],
}

impl<'a> Keyframe<'a> {
    /// Reads one; `None` if there is none.
    #[inline]
    pub fn get(r: &mut Reader<'a>) -> Option<Self> {
        let all = r.rest();
        let frame = Frame::get(r)?;
        let volumes = *r;
        for _ in 0..frame.volumes {
            Volume::get(r)?;
        }
        let length = all.len().checked_sub(r.rest().len())?;
        Some(Self {
            frame,
            volumes,
            bytes: all.get(..length)?,
        })
    }

    /// As it stands on the tape.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The volumes.
    #[inline]
    pub fn volumes(&self) -> impl Iterator<Item = Volume> + 'a {
        let mut r = self.volumes;
        (0..self.frame.volumes).map_while(move |_| Volume::get(&mut r))
    }

    /// A machine in this state; `volumes` are those of [`Keyframe::volumes`].
    #[inline]
    pub fn machine<V: AsRef<[Volume]> + AsMut<[Volume]>>(&self, volumes: V) -> Resource<V> {
        let f = &self.frame;
        Resource {
            cstate: f.cstate,
            link: f.link,
            net: f.net,
            on_no_data: f.on_no_data,
            state_sent: f.state_sent,
            discard_my_data: f.discard_my_data,
            dry_run: f.dry_run,
            receiver: f.receiver,
            ping: f.ping,
            fencing: f.fencing,
            links: f.links,
            parting: f.parting,
            ..Resource::new(volumes)
        }
    }
}
