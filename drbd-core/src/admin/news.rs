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

impl Picture<'_> {
    fn states(&self) -> impl Iterator<Item = &DeviceState> {
        self.volumes.iter().map(|(_, state)| state)
    }
}

/// The objects that differ, in the order in which they are told. Both pictures have the same
/// volumes.
pub fn differences<'a>(
    before: &'a Picture<'a>,
    after: &'a Picture<'a>,
) -> impl Iterator<Item = News> + 'a {
    let resource = tell::resource_info(before.states()) != tell::resource_info(after.states());
    let connection = tell::connection_info(before.cstate, before.states())
        != tell::connection_info(after.cstate, after.states());
    let pairs = || before.volumes.iter().zip(after.volumes);
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

/// Whether a volume's change is part of a change of the whole connection: then the others and the
/// connection itself follow, and all is told at once.
#[must_use]
pub fn is_of_connection(old: &DeviceState, new: &DeviceState) -> bool {
    old.conn != new.conn && new.conn <= Conn::WFReportParams
}
