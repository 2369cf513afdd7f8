// SPDX-License-Identifier: GPL-2.0
//! What must hold when the faults are over and the nodes have come to rest.

use crate::node::Node;
use crate::shared::Shared;
use drbd_core::meta::MdFlags;
use drbd_core::state::{flag_sources, Conn, Disk};
use drbd_core::uuid::same;

/// Connected, UpToDate on both sides, nobody waits.
pub(crate) fn in_sync(nodes: &[Node; 2], s: &Shared) -> bool {
    nodes.iter().all(|n| {
        n.up && n.admin_is_idle()
            && n.is_quiet()
            && n.r.volumes.iter().all(|v| {
                let x = v.state;
                x.conn == Conn::Connected
                    && x.disk == Disk::UpToDate
                    && x.pdsk == Disk::UpToDate
                    && !x.is_suspended()
            })
    }) && s.app.ops.is_empty()
}

/// Of two nodes at rest: what they say of each other, generations, bitmaps, blocks, metadata.
pub(crate) fn at_rest(nodes: &[Node; 2], s: &mut Shared) {
    for vol in 0..usize::from(s.setup.volumes) {
        let [a, b] = [0, 1].map(|n: usize| nodes[n].r.volumes[vol]);
        let (x, y) = (a.state, b.state);
        if (x.disk, x.role) != (y.pdsk, y.peer) || (x.pdsk, x.peer) != (y.disk, y.role) {
            s.fail("I44", || format!("volume {vol}: {x} | {y}"));
        }
        if x.conn != Conn::Connected || y.conn != Conn::Connected {
            s.fail("I46", || format!("volume {vol}: {x} | {y}"));
        }
        let uuids = [a.uuids(), b.uuids()];
        if let [Some(u), Some(w)] = uuids {
            let bitmap = u.bitmap != 0 || w.bitmap != 0;
            if !same(u.current, w.current) || bitmap {
                s.fail("I37", || format!("volume {vol}: {u:?} | {w:?}"));
            }
        }
        let weights = [0, 1].map(|n: usize| {
            nodes[n].devices[vol]
                .bits
                .as_ref()
                .map_or(0, |b| b.weight())
        });
        if weights != [0, 0] {
            s.fail("I37", || {
                format!("volume {vol}: bits are left: {weights:?}")
            });
        }
        let differs = (0..s.app.volumes[vol].acked.len())
            .find(|at| s.disks[0][vol].data()[*at] != s.disks[1][vol].data()[*at]);
        if let Some(at) = differs {
            s.fail("I23", || {
                format!("volume {vol}: sector {at} differs at rest")
            });
        }
        for (at, acked) in s.app.volumes[vol].acked.clone().into_iter().enumerate() {
            let there = s.disks[0][vol].data()[at];
            if there < acked || !s.app.wrote(vol as u16, at as u64, there) {
                s.fail("I20", || {
                    format!("volume {vol}: sector {at} has {there}, {acked} was acknowledged")
                });
            }
        }
        for node in nodes {
            let v = &node.r.volumes[vol];
            let sb = s.disks[node.id][vol].stable_superblock();
            let (Some(sb), Some(disk)) = (sb, v.disk) else {
                continue;
            };
            let wanted = sb
                .flags
                .after_state_change(flag_sources(&v.state, v.crashed_primary));
            let flags = sb.flags.without(MdFlags::AL_CLEAN);
            if flags != wanted || sb.uuids != disk.superblock.uuids {
                let id = node.id;
                s.fail("I10", || format!("node {id}: {sb:?}, {:?}", v.state));
            }
        }
    }
}

/// Both are disconnected: nothing is held, nothing is counted.
pub(crate) fn all_over(nodes: &[Node; 2], s: &mut Shared) {
    for node in nodes {
        let slots = node.plane.table().in_use().count();
        let ranges = node
            .devices
            .iter()
            .all(|d| d.ranges.is_idle() && d.resync.is_idle());
        let counters = node
            .devices
            .iter()
            .all(|d| d.local_io == 0 && d.rs_pending == 0);
        let parked = node
            .devices
            .iter()
            .all(|d| d.parked.is_empty() && d.parked_reads.is_empty());
        let epochs = node.epochs.is_empty() && node.flushes.is_empty();
        if slots > 0 || !ranges || !counters || !parked || !epochs || node.link.is_some() {
            let id = node.id;
            s.fail("I19", || {
                format!(
                    "node {id}: {slots} slots, ranges idle {ranges}, counters 0 {counters}, \
                         nothing parked {parked}, no epochs {epochs}"
                )
            });
        }
    }
}
