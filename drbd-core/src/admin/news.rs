// SPDX-License-Identifier: GPL-2.0
//! Which objects listeners hear of when states have changed (docs/interface.md, "New style").

use super::tell;
use crate::state::{Conn, DeviceState};

/// The states of a resource at one moment. `volumes` have ascending numbers.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// The connection's own state.
    pub cstate: Conn,
    /// Volume numbers and states.
    pub volumes: &'a [(u16, DeviceState)],
}

/// An object whose listed values have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The resource: role or suspension.
    Resource,
    /// The connection: its state or the peer's role.
    Connection,
    /// The volume here: its disk.
    Device(u16),
    /// The volume on the peer: its disk, the replication, what pauses it.
    PeerDevice(u16),
}

/// The objects that a batch of messages is about.
///
/// A change of the whole connection is told once for each volume, as if one volume after the other
/// had followed the connection, and then as a whole: that is what listeners of the C driver hear.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    old: Picture<'a>,
    new: Picture<'a>,
    /// Of a change of the connection: how many volumes have changed before it. Without: all at
    /// once.
    moved: Option<usize>,
}

fn part(volumes: &[(u16, DeviceState)], from: usize, to: usize) -> &[(u16, DeviceState)] {
    volumes.get(from..to).unwrap_or_default()
}

/// The batches in which a change is told. Both pictures have the same volumes.
pub fn batches<'a>(old: Picture<'a>, new: Picture<'a>) -> impl Iterator<Item = Batch<'a>> {
    let each = if old.cstate == new.cstate {
        0
    } else {
        new.volumes.len()
    };
    (0..each)
        .map(Some)
        .chain(core::iter::once(None))
        .map(move |moved| Batch { old, new, moved })
}

impl<'a> Batch<'a> {
    /// The objects that differ, in the order in which they are told.
    pub fn news(self) -> impl Iterator<Item = News> + 'a {
        let (old, new) = (self.old.volumes, self.new.volumes);
        let (before, after) = match self.moved {
            None => (0, new.len()),
            Some(moved) => (moved, moved.saturating_add(1)),
        };
        let cstate = match self.moved {
            None => self.old.cstate,
            Some(_) => self.new.cstate,
        };
        // The first volumes are as after the change, the others as before it.
        let states = |moved: usize| {
            let (changed, rest) = (part(new, 0, moved), part(old, moved, old.len()));
            changed.iter().chain(rest).map(|(_, state)| state)
        };
        let resource = tell::resource_info(states(before)) != tell::resource_info(states(after));
        let connection = tell::connection_info(cstate, states(before))
            != tell::connection_info(self.new.cstate, states(after));
        let pairs = move || {
            part(old, before, after)
                .iter()
                .zip(part(new, before, after))
        };
        let devices = pairs().filter_map(|((_, old), (vnr, new))| {
            (tell::device_info(old) != tell::device_info(new)).then_some(News::Device(*vnr))
        });
        let peers = pairs().filter_map(|((_, old), (vnr, new))| {
            (tell::peer_device_info(old) != tell::peer_device_info(new))
                .then_some(News::PeerDevice(*vnr))
        });
        resource
            .then_some(News::Resource)
            .into_iter()
            .chain(connection.then_some(News::Connection))
            .chain(devices)
            .chain(peers)
    }
}

/// Whether a volume's change is part of a change of the whole connection: then the others and the
/// connection itself follow, and all is told at once.
#[must_use]
pub fn is_of_connection(old: &DeviceState, new: &DeviceState) -> bool {
    old.conn != new.conn && new.conn <= Conn::WFReportParams
}
