// SPDX-License-Identifier: GPL-2.0
//! What must hold when something happens to a write, a read or a bit.

use crate::app::Kind;
use crate::bits::Bits;
use crate::disk::BLOCK;
use crate::node::Node;
use crate::shared::Shared;
use drbd_core::config::words::Protocol;
use drbd_core::request::epoch::ClosedEpoch;
use drbd_core::request::policy::{ReadRoute, WriteRoute};
use drbd_core::request::slots::{SlotId, Subject};
use drbd_core::request::word::{Duties, Event};
use drbd_core::state::{Conn, Disk};

/// Blocks that a range touches.
pub(crate) fn blocks(sector: u64, bytes: u32) -> std::ops::RangeInclusive<usize> {
    let last = (sector + u64::from(bytes / 512)).saturating_sub(1);
    (sector / BLOCK) as usize..=(last / BLOCK) as usize
}

/// An acknowledgement that the journal is to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) vol: u16,
    pub(crate) sector: u64,
    pub(crate) sectors: u64,
    pub(crate) version: u64,
    pub(crate) fua: bool,
}

/// A write has got its slot: from now on the node keeps track of it.
pub(crate) fn admitted(node: &Node, vol: u16, (sector, bytes): (u64, u32), s: &mut Shared) {
    for block in blocks(sector, bytes) {
        s.busy[node.id][usize::from(vol)][block] += 1;
    }
    let table = node.plane.table();
    let overlaps = |slot: SlotId| {
        let place = &node.plane.places[slot.index() as usize];
        let write = table
            .word(slot)
            .is_some_and(|w| w.is_write() && !w.is_flush());
        let subject = table.subject(slot);
        place.op.is_some()
            && write
            && subject.is_some_and(|o| {
                let (end, other) = (
                    sector + u64::from(bytes / 512),
                    o.sector + u64::from(o.bytes / 512),
                );
                o.volume == vol && o.sector < end && sector < other
            })
    };
    // It is in the table itself.
    if table.in_use().filter(|slot| overlaps(*slot)).count() > 1 {
        let id = node.id;
        s.fail("I14", || {
            format!("node {id}: two writes at {sector} are under way")
        });
    }
}

/// The node keeps track of a write no longer.
pub(crate) fn destroyed(node: &Node, subject: Subject, s: &mut Shared) {
    if subject.bytes == 0 {
        return;
    }
    for block in blocks(subject.sector, subject.bytes) {
        let busy = &mut s.busy[node.id][usize::from(subject.volume)][block];
        *busy = busy.saturating_sub(1);
    }
}

/// A transition of a request is about to be carried out.
pub(crate) fn completes(node: &Node, slot: SlotId, event: Event, duties: &Duties, s: &mut Shared) {
    let Some(subject) = node.plane.table().subject(slot) else {
        return;
    };
    let frozen = node.devices[usize::from(subject.volume)].policy.frozen;
    let thaws = matches!(event, Event::Thawed | Event::ConnectionLost);
    if duties.complete.is_some() && frozen && !thaws {
        let id = node.id;
        s.fail("I12", || {
            format!("node {id}: answered while I/O is suspended, by {event:?}")
        });
    }
    let read = node.plane.table().word(slot).is_some_and(|w| !w.is_write());
    if duties.destroy && read {
        // Reads are not tracked.
    }
}

/// The peer's power was cut since the node's link began: it may not have kept what it took.
fn peer_was_cut(node: &Node, s: &Shared) -> bool {
    let after = s.last_link[1 - node.id];
    !s.up[1 - node.id] || node.link.as_ref().is_some_and(|end| end.id <= after)
}

/// A write is answered: the copies that it promises have to be there.
pub(crate) fn copies(node: &Node, slot: SlotId, ok: bool, s: &mut Shared) {
    let place = &node.plane.places[slot.index() as usize];
    let (version, Some(subject)) = (place.version, node.plane.table().subject(slot)) else {
        return;
    };
    if !ok || version == 0 {
        return;
    }
    let vol = usize::from(subject.volume);
    let range = subject.sector as usize..(subject.sector + u64::from(subject.bytes / 512)) as usize;
    let has = |n: usize| {
        s.disks[n][vol].data()[range.clone()]
            .iter()
            .all(|v| *v >= version)
    };
    let word = node.plane.table().word(slot);
    let replicated = word.is_some_and(|w| w.awaits_peer());
    let (own, other) = (has(node.id), has(1 - node.id));
    let (id, policy) = (node.id, node.devices[vol].policy);
    if s.setup.protocol == Protocol::C {
        if !own && !other && !peer_was_cut(node, s) {
            s.fail("I13", || {
                format!("node {id}: version {version} is on no disk")
            });
        }
        // Still tracked: the peer said that it has it.
        let linked = node.link.is_some() && !peer_was_cut(node, s);
        if replicated && policy.write == WriteRoute::Replicate && linked && !other {
            let set = node.devices[vol].bits.as_ref();
            let set = set.is_some_and(|b| b.count(subject.sector, subject.bytes) > 0);
            if !set {
                s.fail("I20", || {
                    format!("node {id}: version {version} is not on the peer's disk")
                });
            }
        }
    }
    let state = node.devices[vol].published;
    let parted = state.conn < Conn::Connected || state.pdsk < Disk::Inconsistent;
    let alone = parted && policy.write != WriteRoute::Replicate && policy.read == ReadRoute::Local;
    let bitmap = s.disks[id][vol]
        .stable_superblock()
        .map_or(0, |sb| sb.uuids[1]);
    // Open fault: a superblock that cannot be written does not hold the answers back.
    if alone && bitmap == 0 && !s.disks[id][vol].faults.meta {
        s.fail("I34", || {
            format!("node {id}: version {version} is answered before the generation is durable")
        });
    }
}

/// The application gets an answer.
pub(crate) fn answered(node: &Node, id: u64, ok: bool, data: Option<&[u64]>, s: &mut Shared) {
    let n = node.id;
    let Some(op) = s.app.ops.remove(&id) else {
        s.fail("I11", || {
            format!("node {n}: operation {id} is answered twice")
        });
        return;
    };
    s.app.answered += 1;
    s.say(|| format!("{n} answers {id} {ok} {:?}", op.kind));
    let vol = op.vol;
    if !ok {
        s.count("failed operation");
        return;
    }
    match op.kind {
        Kind::Write {
            sector,
            sectors,
            version,
            fua,
        } => {
            s.acks.push(Ack {
                vol,
                sector,
                sectors,
                version,
                fua,
            });
        }
        Kind::Read { sector, acked, .. } => {
            let Some(data) = data else { return };
            let remote = node.devices[usize::from(vol)].policy.read != ReadRoute::Local;
            if remote && s.setup.protocol != Protocol::C {
                // Open fault: the peer may read before it has written what it has received.
                return;
            }
            let now = s.app.volumes[usize::from(vol)].acked.clone();
            for ((at, got), then) in (sector..).zip(data).zip(&acked) {
                let expected = (*then).min(now[at as usize]);
                if *got < expected || !s.app.wrote(vol, at, *got) {
                    s.fail("I29", || {
                        format!(
                            "node {n} reads version {got} of sector {at} of volume {vol}, \
                             {expected} was acknowledged"
                        )
                    });
                }
            }
        }
        Kind::Flush { acked, peer } => flushed(node, vol, &acked, peer, s),
    }
}

/// A flush is answered: what was acknowledged before it was asked for is stable.
fn flushed(node: &Node, vol: u16, acked: &[u64], peer: Option<u64>, s: &mut Shared) {
    let (n, v) = (node.id, usize::from(vol));
    let policy = node.devices[v].policy;
    // A disk that fails may say so only after the peer has answered.
    let here = policy.read == ReadRoute::Local && s.disks[n][v].faults == Default::default();
    let link = node.link.as_ref().filter(|l| !l.down).map(|l| l.id);
    let there = peer.is_some() && peer == link && policy.flush_waits_for_peer();
    for (at, then) in acked.iter().enumerate() {
        let expected = (*then).min(s.app.volumes[v].acked[at]);
        let own = s.disks[n][v].stable_data()[at] >= expected;
        let other = s.disks[1 - n][v].stable_data()[at] >= expected;
        let bits = node.devices[v].bits.as_ref();
        // The peer said that it could not keep it, and the next resync brings it.
        let known = bits.is_some_and(|b| b.test(at as u64 / BLOCK));
        if (here && !own) || (there && !other && !known) || (!own && !other) {
            s.fail("I33", || {
                format!(
                    "node {n}: sector {at}, version {expected}: stable here {own}, there {other}"
                )
            });
            return;
        }
        let flushed = &mut s.app.volumes[v].flushed[at];
        *flushed = (*flushed).max(expected);
    }
}

/// Bits were cleared because of a block: both disks have to be equal there. Looked at after the
/// step, when both nodes can be seen.
pub(crate) fn cleared(node: &Node, vol: u16, bits: &Bits, at: (u64, u32), s: &mut Shared) {
    for block in blocks(at.0, at.1) {
        if !bits.test(block as u64) {
            s.cleared.push((node.id, vol, block));
        }
    }
}

/// A write is put into an epoch: it must be a later one than that of any write that was answered
/// before this one was submitted.
pub(crate) fn in_epoch(node: &Node, slot: SlotId, s: &mut Shared) {
    let place = &node.plane.places[slot.index() as usize];
    let link = node.link.as_ref().map_or(0, |l| l.id);
    let number = node.epoch.number();
    if let Some((then, epoch)) = place.after {
        if then == link && number <= epoch {
            let id = node.id;
            s.fail("I16", || {
                format!(
                    "node {id}: a write of epoch {epoch} was answered before one of {number} came"
                )
            });
        }
    }
}

/// The peer has acknowledged an epoch: all its writes are stable there, or their bits are set.
pub(crate) fn barrier_acked(node: &Node, closed: &ClosedEpoch, s: &mut Shared) {
    let table = node.plane.table();
    let mut next = Some(closed.first);
    for _ in 0..closed.writes {
        let Some(slot) = next else { return };
        next = table.linked(slot);
        let Some(subject) = table.subject(slot) else {
            continue;
        };
        let (vol, version) = (
            usize::from(subject.volume),
            node.plane.places[slot.index() as usize].version,
        );
        let bits = node.devices[vol].bits.as_ref();
        let covered = bits.is_none_or(|b| b.count(subject.sector, subject.bytes) > 0);
        // What the peer refused counts in the epoch, but is not in its promise: a resync may have
        // brought it since, and the target's own bitmap has it until that is stable.
        let refused = table.word(slot).is_some_and(|w| w.peer_refused());
        let other = &s.disks[1 - node.id][vol];
        let stable = other.stable_data();
        let end = subject.sector + u64::from(subject.bytes / 512);
        let fine = (subject.sector..end)
            .all(|at| stable[at as usize] >= version || (refused && other.stable_bit(at / BLOCK)));
        if !fine && !covered {
            let id = node.id;
            s.fail("ruling 5", || {
                format!(
                    "node {id}: epoch {}: version {version} is not stable",
                    closed.number
                )
            });
        }
    }
}

/// A write of the peer goes to the disk: what was sent in earlier epochs is stable.
pub(crate) fn peer_write(node: &Node, vol: u16, epoch: (u64, u64), s: &mut Shared) {
    let id = node.id;
    for disk in 0..s.disks[id].len() {
        if !s.disks[id][disk].volatile || node.devices[disk].local.is_none() {
            continue;
        }
        if let Some(earlier) = s.disks[id][disk].unstable_before(epoch) {
            s.fail("I22", || {
                format!(
                    "node {id}, volume {vol}: epoch {} before {earlier} is stable",
                    epoch.1
                )
            });
        }
    }
}
