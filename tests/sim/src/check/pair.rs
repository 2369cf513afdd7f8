// SPDX-License-Identifier: GPL-2.0
//! What must hold between the nodes after each step.

use crate::disk::{Disk as Medium, BLOCK};
use crate::node::Node;
use crate::shared::Shared;
use drbd_core::config::words::Protocol;
use drbd_core::meta::MdFlags;
use drbd_core::state::{Conn, DeviceState, Disk, Role};
use drbd_core::uuid::{same, JUST_CREATED};

/// A block as both disks have it.
fn equal(s: &Shared, vol: usize, block: usize) -> bool {
    let at = block * BLOCK as usize..(block + 1) * BLOCK as usize;
    s.disks[0][vol].data()[at.clone()] == s.disks[1][vol].data()[at]
}

/// What the metadata says of a block, if the node attaches the disk now.
fn covered_by_metadata(disk: &Medium, block: u64) -> bool {
    let Some(sb) = disk.superblock() else {
        return true;
    };
    let has = |flag| sb.flags.contains(flag);
    let crashed = has(MdFlags::PRIMARY_IND) || has(MdFlags::CRASHED_PRIMARY);
    sb.uuids[0] | 1 == JUST_CREATED | 1
        || has(MdFlags::FULL_SYNC)
        || (crashed && has(MdFlags::AL_DISABLED))
        || disk.bit(block)
}

/// The next resync, if this node takes part in it, looks at the block.
fn covered(node: &Node, s: &Shared, vol: usize, block: u64) -> bool {
    let bits = if node.up {
        node.devices[vol].bits.as_ref()
    } else {
        None
    };
    match bits {
        Some(bits) if node.is_performing() => {
            bits.test(block) || covered_by_metadata(&s.disks[node.id][vol], block)
        }
        Some(bits) => bits.test(block),
        None => covered_by_metadata(&s.disks[node.id][vol], block),
    }
}

/// The two ends know the same connection, and neither has given it up.
fn linked(nodes: &[Node; 2]) -> bool {
    let end = |n: &Node| n.link.as_ref().filter(|l| !l.down && n.up).map(|l| l.id);
    end(&nodes[0]).is_some() && end(&nodes[0]) == end(&nodes[1])
}

/// After each step.
pub(crate) fn after_step(nodes: &[Node; 2], s: &mut Shared) {
    note_acks(nodes, s);
    forgive_lost_disks(nodes, s);
    for (node, vol, block) in std::mem::take(&mut s.cleared) {
        let v = usize::from(vol);
        let busy = (0..2).any(|n| s.busy[n][v][block] > 0);
        let other = covered(&nodes[1 - node], s, v, block as u64);
        let partly = nodes[node].devices[v]
            .bits
            .as_ref()
            .is_some_and(|b| b.test(block as u64));
        if !equal(s, v, block) && !busy && !other && !partly {
            let s_ = &*s;
            let text = {
                let s = s_;
                let at = block * BLOCK as usize;
                let data = |n: usize| &s.disks[n][v].data()[at..at + BLOCK as usize];
                format!(
                    "node {node}: the bit of block {block} of volume {vol} is clear, \
                         and the disks differ: {:?} {:?}",
                    data(0),
                    data(1)
                )
            };
            s.fail("I24", || text);
        }
    }
    if !s.related {
        return;
    }
    let quiet = nodes.iter().all(Node::is_quiet) && s.net.is_quiet();
    for vol in 0..usize::from(s.setup.volumes) {
        let states = [0, 1].map(|n: usize| nodes[n].r.volumes[vol].state);
        let together = linked(nodes)
            && states.iter().all(|x| {
                x.conn == Conn::Connected && x.disk == Disk::UpToDate && x.pdsk == Disk::UpToDate
            });
        for block in 0..s.busy[0][vol].len() {
            if equal(s, vol, block) || s.busy[0][vol][block] > 0 || s.busy[1][vol][block] > 0 {
                continue;
            }
            let known = (0..2).any(|n| covered(&nodes[n], s, vol, block as u64));
            if !known {
                s.fail("I23", || {
                    format!("volume {vol}, block {block}: the disks differ and no bit is set")
                });
            } else if together && quiet {
                s.fail("I23", || {
                    format!("volume {vol}, block {block}: both are UpToDate, and differ")
                });
            }
        }
        if together && states.iter().all(|x| x.role == Role::Primary) {
            s.fail("I39", || format!("volume {vol}: two Primaries"));
        }
        nobody_lost(nodes, s, vol, together);
    }
}

/// Who is to be the source of a resync, or is called equal, has all that was acknowledged.
fn nobody_lost(nodes: &[Node; 2], s: &mut Shared, vol: usize, together: bool) {
    for node in nodes.iter().filter(|n| n.up) {
        let state = node.r.volumes[vol].state;
        let source = matches!(state.conn, Conn::SyncSource | Conn::PausedSyncS);
        if !(state.disk == Disk::UpToDate && (together || source && linked(nodes))) {
            continue;
        }
        if node.devices[vol].errors != (false, false) || node.is_performing() {
            // Its disk has failed, and the machine is about to hear of it.
            continue;
        }
        let data = s.disks[node.id][vol].data();
        let acked = &s.app.volumes[vol].acked;
        let lost = acked
            .iter()
            .zip(data)
            .position(|(acked, there)| there < acked);
        let Some(at) = lost else { continue };
        let block = at / BLOCK as usize;
        if s.busy[0][vol][block] == 0 && s.busy[1][vol][block] == 0 {
            let (id, acked, there) = (node.id, acked[at], data[at]);
            s.fail("I20", || {
                format!(
                    "node {id} is UpToDate, sector {at} of volume {vol} has {there}, \
                         {acked} was acknowledged"
                )
            });
        }
    }
}

/// The journal takes note of what was acknowledged.
///
/// What is only on a disk that is not UpToDate is not counted on: an open fault, see
/// docs/testing.md. The end of a resync makes it so once the superblock says it, which is when the
/// state is published.
fn note_acks(nodes: &[Node; 2], s: &mut Shared) {
    for ack in std::mem::take(&mut s.acks) {
        let vol = usize::from(ack.vol);
        let at = ack.sector as usize..(ack.sector + ack.sectors) as usize;
        let good = |n: usize| {
            let there = s.disks[n][vol].data()[at.clone()]
                .iter()
                .all(|v| *v >= ack.version);
            let states = [
                nodes[n].r.volumes[vol].state,
                nodes[n].devices[vol].published,
            ];
            nodes[n].up && there && states.iter().all(|s| s.disk == Disk::UpToDate)
        };
        s.app.acks += 1;
        if !good(0) && !good(1) {
            s.count("acknowledged without a good copy");
            continue;
        }
        for at in at {
            let journal = &mut s.app.volumes[vol];
            journal.acked[at] = journal.acked[at].max(ack.version);
            if ack.fua {
                journal.flushed[at] = journal.flushed[at].max(ack.version);
            }
        }
    }
}

/// Who gives up a disk may keep on it what nobody else has: two disks that fail at once, or with
/// protocols A and B what the peer has not got yet. Until that disk comes back nobody can have more
/// than the other copy.
fn forgive_lost_disks(nodes: &[Node; 2], s: &mut Shared) {
    for (node, vol) in std::mem::take(&mut s.disks_lost) {
        let v = usize::from(vol);
        let other = s.disks[1 - node][v].data();
        let journal = &mut s.app.volumes[v];
        let good = nodes[1 - node].up && nodes[1 - node].state(vol).disk == Disk::UpToDate;
        if good && s.setup.protocol == Protocol::C {
            continue;
        }
        for (at, there) in other.iter().enumerate().take(journal.acked.len()) {
            journal.acked[at] = journal.acked[at].min(*there);
            journal.flushed[at] = journal.flushed[at].min(*there);
        }
    }
}

/// Open fault: a Primary that was the target of a resync has finished it and has lost its power
/// before the source has heard so. The comparison of generations makes the source the source again,
/// and what it has not got is lost: with protocols A and B, and when its own power went before.
///
/// With protocols A and B also: the other one has agreed to the detach of the Primary's disk and
/// has begun a generation for it, which the Primary has not lived to hear of.
pub(crate) fn forgive_old_source(
    nodes: &[Node; 2],
    node: usize,
    was_primary: &[bool],
    s: &mut Shared,
) {
    for (vol, journal) in s.app.volumes.iter_mut().enumerate() {
        let (own, other) = (&s.disks[node][vol], &s.disks[1 - node][vol]);
        let (Some(x), Some(y)) = (own.superblock(), other.superblock()) else {
            continue;
        };
        let missed_end = same(x.uuids[0], y.uuids[0]) && x.uuids[1] == 0 && y.uuids[1] != 0;
        // Its superblock may not be written yet.
        let ahead = nodes[1 - node].r.volumes[vol].uuids();
        let behind = ahead.is_some_and(|u| u.bitmap != 0 && same(x.uuids[0], u.bitmap));
        let behind = behind && s.setup.protocol != Protocol::C;
        if !(was_primary[vol] && (missed_end || behind)) {
            continue;
        }
        for at in 0..journal.acked.len() {
            journal.acked[at] = journal.acked[at].min(other.data()[at]);
            journal.flushed[at] = journal.flushed[at].min(other.stable_data()[at]);
        }
    }
}

/// A node is about to lose its power. With protocol C the other one has all that was acknowledged,
/// if it is called UpToDate.
pub(crate) fn before_power_cut(nodes: &[Node; 2], node: usize, s: &mut Shared) {
    if !s.related || !linked(nodes) || s.setup.protocol != Protocol::C {
        return;
    }
    for vol in 0..usize::from(s.setup.volumes) {
        let states = [0, 1].map(|n: usize| nodes[n].r.volumes[vol].state);
        let good = |x: &DeviceState| {
            x.conn == Conn::Connected && x.disk == Disk::UpToDate && x.pdsk == Disk::UpToDate
        };
        if !states.iter().all(good) {
            continue;
        }
        let bits = nodes[node].devices[vol].bits.as_ref();
        let data = s.disks[1 - node][vol].data();
        let acked = s.app.volumes[vol].acked.iter().zip(data).enumerate();
        let lost = acked
            .filter(|(_, (acked, there))| there < acked)
            .find(|(at, _)| {
                // A write that the peer could not carry out is known to be missing there.
                bits.is_none_or(|b| !b.test(*at as u64 / BLOCK))
            });
        if let Some((at, (acked, there))) = lost {
            let text = format!(
                "node {node} fails, sector {at} of volume {vol} is {there} on the other, \
                 {acked} was acknowledged"
            );
            s.fail("I20", || text);
        }
    }
}
