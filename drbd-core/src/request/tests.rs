// SPDX-License-Identifier: GPL-2.0
//! Tests of the request's life: orders of events, hostile acks, epochs, ranges, policies.

extern crate std;

mod retry;

use super::epoch::*;
use super::policy::*;
use super::range::*;
use super::slots::*;
use super::word::*;
use crate::state::{Conn, DeviceState, Disk, Role};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn run(word: ReqWord, events: &[Event]) -> (ReqWord, Vec<Duties>) {
    let mut w = word;
    let mut all = Vec::new();
    for e in events {
        let (next, duties) = w.apply(*e, false).unwrap();
        w = next;
        if duties != Duties::default() {
            all.push(duties);
        }
    }
    (w, all)
}

const OK: Event = Event::Local { ok: true };
const WRITE_ACK: Event = Event::WriteAck { in_sync: false };

fn replicated(p: Replication) -> ReqWord {
    ReqWord::write(true, Remote::Data(p))
}

#[test]
fn who_answers_after_the_peer_does_not_before() {
    for protocol in [Replication::A, Replication::B, Replication::C] {
        let events = [Event::Submitted, Event::HandedToSocket, OK];
        let (w, _) = run(replicated(protocol), &events);
        assert_eq!(
            w.completed(),
            !protocol.answers_after_peer(),
            "{protocol:?}"
        );
    }
}

#[test]
fn protocol_c_completes_with_disk_and_write_ack_and_ends_with_the_barrier_ack() {
    let (w, d) = run(
        replicated(Replication::C),
        &[Event::Submitted, Event::HandedToSocket, OK],
    );
    assert!(d.is_empty() && !w.completed());
    let (w, d) = run(w, &[WRITE_ACK]);
    assert_eq!(d.len(), 1);
    assert_eq!(d[0].complete, Some(Outcome::Success));
    assert!(d[0].close_epoch && !d[0].destroy && !d[0].set_out_of_sync);
    assert!(w.peer_may_lack_it(), "it may be in a cache of the peer's");
    let (w, d) = run(w, &[Event::BarrierAck]);
    assert!(!w.peer_may_lack_it());
    assert_eq!(
        d,
        [Duties {
            destroy: true,
            ..Duties::default()
        }]
    );
}

#[test]
fn protocol_b_needs_the_receive_ack_and_a_only_the_socket() {
    let (w, d) = run(
        replicated(Replication::B),
        &[Event::Submitted, OK, Event::HandedToSocket],
    );
    assert!(d.is_empty());
    let (_, d) = run(w, &[Event::ReceiveAck]);
    assert_eq!(d[0].complete, Some(Outcome::Success));
    let (_, d) = run(
        replicated(Replication::A),
        &[Event::Submitted, OK, Event::HandedToSocket],
    );
    assert_eq!(d[0].complete, Some(Outcome::Success));
}

#[test]
fn a_write_that_was_acked_but_not_barrier_acked_is_marked_when_the_link_breaks() {
    for p in [Replication::A, Replication::B, Replication::C] {
        let ack = if p == Replication::B {
            Event::ReceiveAck
        } else {
            WRITE_ACK
        };
        let (w, _) = run(
            replicated(p),
            &[Event::Submitted, OK, Event::HandedToSocket, ack],
        );
        assert!(w.completed());
        let (_, d) = run(w, &[Event::ConnectionLost]);
        assert_eq!(
            d,
            [Duties {
                set_out_of_sync: true,
                destroy: true,
                ..Duties::default()
            }]
        );
    }
}

#[test]
fn a_lost_link_completes_with_the_local_result_and_marks_first() {
    let (_, d) = run(
        replicated(Replication::C),
        &[
            Event::Submitted,
            OK,
            Event::SendCanceled,
            Event::ConnectionLost,
        ],
    );
    assert_eq!(d.len(), 1);
    assert!(d[0].set_out_of_sync && d[0].destroy);
    assert_eq!(d[0].complete, Some(Outcome::Success));
    let (_, d) = run(
        ReqWord::write(false, Remote::Data(Replication::C)),
        &[
            Event::Submitted,
            Event::HandedToSocket,
            Event::ConnectionLost,
        ],
    );
    assert_eq!(d[0].complete, Some(Outcome::Error));
}

#[test]
fn one_good_copy_is_success_and_is_marked() {
    let (_, d) = run(
        replicated(Replication::C),
        &[
            Event::Submitted,
            Event::Local { ok: false },
            Event::HandedToSocket,
            WRITE_ACK,
        ],
    );
    assert_eq!(d[0].complete, Some(Outcome::Success));
    assert!(d[0].set_out_of_sync);
    let (_, d) = run(
        replicated(Replication::C),
        &[Event::Submitted, OK, Event::HandedToSocket, Event::NegAck],
    );
    assert_eq!(d[0].complete, Some(Outcome::Success));
    assert!(d[0].set_out_of_sync);
    let (_, d) = run(
        replicated(Replication::C),
        &[
            Event::Submitted,
            Event::Local { ok: false },
            Event::HandedToSocket,
            Event::NegAck,
        ],
    );
    assert_eq!(d[0].complete, Some(Outcome::Error));
}

#[test]
fn in_sync_is_set_only_when_both_disks_have_it_and_the_barrier_is_acked() {
    let sis = Event::WriteAck { in_sync: true };
    let (w, _) = run(
        replicated(Replication::C),
        &[Event::Submitted, OK, Event::HandedToSocket, sis],
    );
    let (_, d) = run(w, &[Event::BarrierAck]);
    assert!(d[0].set_in_sync && !d[0].set_out_of_sync);
    let (w, d) = run(
        replicated(Replication::C),
        &[
            Event::Submitted,
            Event::Local { ok: false },
            Event::HandedToSocket,
            sis,
        ],
    );
    assert!(d[0].set_out_of_sync);
    let (_, d) = run(w, &[Event::BarrierAck]);
    assert!(!d[0].set_in_sync);
}

/// An older write whose barrier ack is still to come must not clear the mark.
#[test]
fn what_a_disk_has_failed_parts_the_copies() {
    let c = replicated(Replication::C);
    let (_, d) = run(c, &[Event::HandedToSocket, Event::NegAck]);
    assert!(d[0].set_out_of_sync && d[0].copies_part);
    let failed = Event::Local { ok: false };
    let (_, d) = run(
        c,
        &[Event::Submitted, failed, Event::HandedToSocket, WRITE_ACK],
    );
    assert!(d[0].set_out_of_sync && d[0].copies_part);
    // Nor does the older one itself clear anything then.
    let sis = Event::WriteAck { in_sync: true };
    let (w, _) = run(c, &[Event::Submitted, OK, Event::HandedToSocket, sis]);
    let parted = Event::CopiesPart { gone: Gone::Nobody };
    let (_, d) = run(w, &[parted, Event::BarrierAck]);
    assert!(d[0].destroy && !d[0].set_in_sync);
}

/// The link goes, and before it is closed the own disk fails what the peer has: who were told that
/// it is done would miss it on the disk that goes on.
#[test]
fn a_peer_that_is_left_behind_answers_for_nothing() {
    let acked = [Event::Submitted, Event::HandedToSocket, WRITE_ACK];
    let (w, _) = run(replicated(Replication::C), &acked);
    let failed = Event::Local { ok: false };
    let end = |gone: Gone, local: Event| {
        let (_, d) = run(w, &[Event::CopiesPart { gone }, local]);
        (d[0].complete, d[0].set_out_of_sync)
    };
    assert_eq!(end(Gone::Peer, failed), (Some(Outcome::Error), true));
    assert_eq!(end(Gone::Peer, OK), (Some(Outcome::Success), false));
    assert_eq!(end(Gone::OwnDisk, failed), (Some(Outcome::Success), true));
    assert_eq!(end(Gone::Nobody, failed), (Some(Outcome::Success), true));
    // A read is not a copy: what has arrived is good.
    let gone = Event::CopiesPart { gone: Gone::Peer };
    let (_, d) = run(
        ReqWord::remote_read(),
        &[
            Event::Submitted,
            Event::HandedToSocket,
            gone,
            Event::DataReceived,
        ],
    );
    assert_eq!(d[0].complete, Some(Outcome::Success));
}

/// A resync may bring it before its epoch is acknowledged, or before the link goes: marked again
/// then, the blocks would stay marked after the resync's end.
#[test]
fn what_the_peer_refused_is_marked_once() {
    for last in [Event::BarrierAck, Event::ConnectionLost] {
        let (w, d) = run(
            replicated(Replication::C),
            &[Event::Submitted, OK, Event::HandedToSocket, Event::NegAck],
        );
        assert!(d[0].set_out_of_sync && d[0].complete.is_some());
        let (_, d) = run(w, &[last]);
        assert!(d[0].destroy && !d[0].set_out_of_sync && !d[0].set_in_sync);
    }
}

#[test]
fn acks_may_overtake_the_sender() {
    for p in [Replication::A, Replication::B, Replication::C] {
        let ack = if p == Replication::B {
            Event::ReceiveAck
        } else {
            WRITE_ACK
        };
        let mut events = vec![Event::Submitted, OK];
        if p != Replication::A {
            events.push(ack);
        }
        events.extend([Event::BarrierAck, Event::HandedToSocket]);
        let (w, d) = run(replicated(p), &events);
        assert!(w.completed());
        assert_eq!(d.len(), 1, "{p:?}");
        assert!(d[0].destroy && !d[0].set_out_of_sync, "{p:?}");
    }
}

#[test]
fn withheld_completions_are_given_on_thaw_or_loss() {
    let w = replicated(Replication::C);
    let (w, d) = w.apply(Event::Submitted, true).unwrap();
    assert_eq!(d, Duties::default());
    let (w, d) = run(w, &[OK, Event::HandedToSocket, WRITE_ACK]);
    assert!(d.is_empty() && !w.completed());
    assert_eq!(
        run(w, &[Event::Thawed]).1[0].complete,
        Some(Outcome::Success)
    );
    assert_eq!(
        run(w, &[Event::ConnectionLost]).1[0].complete,
        Some(Outcome::Success)
    );
}

#[test]
fn what_the_peer_may_not_say_is_refused() {
    let read = ReqWord::remote_read();
    for e in [Event::ReceiveAck, WRITE_ACK, Event::BarrierAck] {
        assert_eq!(read.apply(e, false), Err(WordError::UnexpectedAck));
    }
    let c = replicated(Replication::C);
    assert_eq!(
        c.apply(Event::ReceiveAck, false),
        Err(WordError::UnexpectedAck)
    );
    assert_eq!(
        c.apply(Event::DataReceived, false),
        Err(WordError::UnexpectedAck)
    );
    // A barrier ack before the write acks of its epoch.
    assert_eq!(
        c.apply(Event::BarrierAck, false),
        Err(WordError::UnexpectedAck)
    );
    let local = ReqWord::write(true, Remote::None);
    assert_eq!(local.apply(WRITE_ACK, false), Err(WordError::UnexpectedAck));
    let note = ReqWord::write(true, Remote::OutOfSyncNote);
    assert_eq!(note.apply(WRITE_ACK, false), Err(WordError::UnexpectedAck));
}

#[test]
fn reads_flushes_and_notes() {
    let (_, d) = run(
        ReqWord::remote_read(),
        &[Event::Submitted, Event::HandedToSocket, Event::DataReceived],
    );
    assert_eq!(d[0].complete, Some(Outcome::Success));
    assert!(d[0].destroy && !d[0].set_out_of_sync);
    let (_, d) = run(
        ReqWord::remote_read(),
        &[Event::Submitted, Event::HandedToSocket, Event::NegAck],
    );
    assert_eq!(d[0].complete, Some(Outcome::Error));
    let (w, d) = run(
        ReqWord::flush(true, true),
        &[Event::Submitted, Event::HandedToSocket, OK],
    );
    assert!(d.is_empty());
    let (_, d) = run(w, &[Event::BarrierAck]);
    assert_eq!(d[0].complete, Some(Outcome::Success));
    assert!(d[0].destroy && !d[0].set_out_of_sync);
    let (_, d) = run(ReqWord::flush(true, false), &[Event::Submitted, OK]);
    assert!(d[0].destroy && !d[0].set_out_of_sync);
    let note = ReqWord::write(true, Remote::OutOfSyncNote);
    let (_, d) = run(note, &[Event::Submitted, OK, Event::HandedToSocket]);
    assert!(d[0].set_out_of_sync && d[0].destroy);
    assert_eq!(d[0].complete, Some(Outcome::Success));
}

proptest! {
    /// Whatever comes in whatever order: completed and destroyed exactly once, in that order.
    #[test]
    fn one_completion_and_one_destruction(
        kind in 0..3usize,
        local in any::<bool>(),
        order in proptest::collection::vec((0..9usize, any::<bool>(), any::<bool>()), 0..40),
    ) {
        let p = [Replication::A, Replication::B, Replication::C][kind];
        let mut w = ReqWord::write(local, Remote::Data(p));
        let (mut completed, mut destroyed, mut submitted, mut sent) = (0, 0, false, false);
        let mut local_open = local;
        let mut tail: Vec<(usize, bool, bool)> = order;
        tail.extend([(0, true, false), (1, true, false), (3, true, false), (8, true, false)]);
        for (n, flag, frozen) in tail {
            let e = match n {
                0 if !submitted => { submitted = true; Event::Submitted }
                1 if local_open => { local_open = false; Event::Local { ok: flag } }
                2 if !sent => { sent = true; Event::HandedToSocket }
                3 if !sent => { sent = true; Event::SendCanceled }
                4 => Event::ReceiveAck,
                5 => Event::WriteAck { in_sync: flag },
                6 => Event::NegAck,
                7 => Event::BarrierAck,
                8 => Event::ConnectionLost,
                _ => continue,
            };
            if destroyed > 0 { break; }
            if let Ok((next, d)) = w.apply(e, frozen) {
                w = next;
                if d.complete.is_some() { completed += 1; }
                if d.destroy { destroyed += 1; prop_assert_eq!(completed, 1); }
            }
        }
        prop_assert_eq!(completed, 1);
        prop_assert_eq!(destroyed, 1);
    }

    /// A write that is not on both disks for sure is marked by the time it is forgotten.
    #[test]
    fn nothing_is_forgotten_unmarked(
        kind in 0..3usize,
        order in proptest::collection::vec((0..9usize, any::<bool>()), 0..40),
    ) {
        let p = [Replication::A, Replication::B, Replication::C][kind];
        let mut w = ReqWord::write(true, Remote::Data(p));
        let (mut local_ok, mut stable) = (false, false);
        let (mut submitted, mut sent, mut local_done, mut neg) = (false, false, false, false);
        let mut marked = false;
        let mut all = order;
        all.extend([(0, true), (1, true), (3, true), (8, true)]);
        for (n, flag) in all {
            let e = match n {
                0 if !submitted => { submitted = true; Event::Submitted }
                1 if !local_done => { local_done = true; Event::Local { ok: flag } }
                2 if !sent => { sent = true; Event::HandedToSocket }
                3 if !sent => { sent = true; Event::SendCanceled }
                4 => Event::ReceiveAck,
                5 => Event::WriteAck { in_sync: flag },
                6 => Event::NegAck,
                7 => Event::BarrierAck,
                8 => Event::ConnectionLost,
                _ => continue,
            };
            if let Ok((next, d)) = w.apply(e, false) {
                w = next;
                match e {
                    Event::Local { ok } => local_ok = ok,
                    Event::NegAck => neg = true,
                    Event::BarrierAck => stable = !neg,
                    _ => {}
                }
                marked |= d.set_out_of_sync;
                if d.destroy {
                    prop_assert!(marked || (local_ok && stable));
                    break;
                }
            }
        }
    }
}

#[test]
fn slots_come_and_go_and_old_names_are_worth_nothing() {
    let slots: Vec<Slot> = (0..4).map(|_| Slot::default()).collect();
    let head = FreeHead::default();
    let t = SlotTable::init(&slots, &head);
    let s = Subject {
        sector: 8,
        bytes: 4096,
        volume: 3,
    };
    let ids: Vec<_> = (0..4)
        .map(|_| t.allocate(s, replicated(Replication::C)).unwrap())
        .collect();
    assert!(t.allocate(s, replicated(Replication::C)).is_none());
    assert!(!t.has_free());
    assert_eq!(t.in_use().count(), 4);
    let id = SlotId::from_wire(ids[2].to_wire());
    assert_eq!(id, ids[2]);
    assert_eq!(t.subject(id), Some(s));
    assert_eq!(
        t.apply_ack(id, 3, 16, WRITE_ACK, false),
        Err(SlotError::NoSuchRequest)
    );
    assert_eq!(
        t.apply_ack(id, 4, 8, WRITE_ACK, false),
        Err(SlotError::NoSuchRequest)
    );
    assert!(t.apply_ack(id, 3, 8, WRITE_ACK, false).is_ok());
    t.release(id);
    assert!(t.has_free());
    assert_eq!(t.apply(id, OK, false), Err(SlotError::NoSuchRequest));
    assert!(t.subject(id).is_none());
    let again = t.allocate(s, replicated(Replication::A)).unwrap();
    assert_eq!(again.index(), id.index());
    assert_ne!(again, id);
    for hostile in [0, u64::MAX, 1 << 63, 5, 0x2_0000_0000, 0x1_0000_0004] {
        assert_eq!(
            t.apply(SlotId::from_wire(hostile), WRITE_ACK, false),
            Err(SlotError::NoSuchRequest),
            "{hostile:x}"
        );
    }
}

#[test]
fn epochs_are_acknowledged_in_order_and_exactly() {
    let slots: Vec<Slot> = (0..8).map(|_| Slot::default()).collect();
    let head = FreeHead::default();
    let t = SlotTable::init(&slots, &head);
    let s = Subject {
        sector: 0,
        bytes: 512,
        volume: 0,
    };
    let mut open = SendEpoch::new(u32::MAX);
    let mut log = EpochLog::new([None; 2]);
    assert_eq!(open.close(), None);
    let ids: Vec<_> = (0..3)
        .map(|_| t.allocate(s, replicated(Replication::C)).unwrap())
        .collect();
    open.add(&t, ids[0]);
    open.add(&t, ids[1]);
    let first = open.close().unwrap();
    assert_eq!((first.number, first.writes), (u32::MAX, 2));
    assert_eq!(open.number(), 0);
    assert_eq!(t.linked(ids[0]), Some(ids[1]));
    assert_eq!(t.linked(ids[1]), None);
    open.add(&t, ids[2]);
    assert_eq!(t.epoch(ids[2]), 0);
    let second = open.close().unwrap();
    assert_eq!(log.acknowledge(0, 1), Err(BarrierError::NothingSent));
    log.push(first).unwrap();
    log.push(second).unwrap();
    assert_eq!(log.push(second), Err(second));
    assert_eq!(log.youngest(), Some(0));
    assert_eq!(
        log.acknowledge(u32::MAX, 1),
        Err(BarrierError::Mismatch {
            number: u32::MAX,
            writes: 2
        })
    );
    assert!(log.acknowledge(0, 1).is_err());
    assert_eq!(log.acknowledge(u32::MAX, 2), Ok(first));
    assert_eq!(log.acknowledge(0, 1), Ok(second));
    assert!(log.is_empty());
}

fn steps(e: &mut PeerEpochs) -> Vec<PeerEpochStep> {
    std::iter::from_fn(|| e.next_step()).collect()
}

#[test]
fn a_barrier_ack_comes_after_the_writes_and_the_flush() {
    let mut e = PeerEpochs::new(true);
    let (first, now) = e.join();
    assert!(now);
    let (same, now) = e.join();
    assert!(now && same == first);
    e.barrier(7).unwrap();
    assert_eq!(e.count(), 2);
    let (second, now) = e.join();
    assert!(!now, "a write behind the barrier waits for the flush");
    assert_eq!(steps(&mut e), []);
    e.done(first);
    assert_eq!(steps(&mut e), []);
    e.done(first);
    assert_eq!(steps(&mut e), [PeerEpochStep::Flush(first)]);
    e.flushed(first);
    assert_eq!(
        steps(&mut e),
        [
            PeerEpochStep::Release(second),
            PeerEpochStep::Ack {
                barrier: 7,
                size: 2
            }
        ]
    );
    assert_eq!(e.count(), 1);
    e.done(second);
    assert_eq!(steps(&mut e), []);
    e.barrier(8).unwrap();
    assert_eq!(steps(&mut e), [PeerEpochStep::Flush(second)]);
    e.flushed(second);
    assert_eq!(
        steps(&mut e)[1],
        PeerEpochStep::Ack {
            barrier: 8,
            size: 1
        }
    );
    assert!(e.join().1);
}

#[test]
fn empty_epochs_are_not_acknowledged_and_refused_writes_count() {
    let mut e = PeerEpochs::new(false);
    e.barrier(1).unwrap();
    assert_eq!(steps(&mut e), []);
    e.count_only();
    e.barrier(2).unwrap();
    assert_eq!(
        steps(&mut e)[1],
        PeerEpochStep::Ack {
            barrier: 2,
            size: 1
        }
    );
    for n in 0..MAX_PEER_EPOCHS - 1 {
        e.join();
        e.barrier(n as u32).unwrap();
    }
    e.join();
    assert_eq!(e.barrier(99), Err(TooManyEpochs));
    e.reset();
    assert!(e.join().1);
}

#[test]
fn ranges_wait_for_each_other() {
    let r = |s, b| Range::new(s, b).unwrap();
    let mut shard = Shard::new(vec![None; 3]);
    let a = shard.try_take(r(8, 4096), Work::LocalWrite).unwrap();
    assert_eq!(
        shard.try_take(r(15, 512), Work::ResyncIo),
        Err(Busy::Overlap)
    );
    assert_eq!(shard.occupant(r(0, 8 * 512)), None);
    assert_eq!(shard.occupant(r(0, 9 * 512)), Some(Work::LocalWrite));
    let b = shard.try_take(r(16, 512), Work::ResyncIo).unwrap();
    let c = shard.try_take(r(0, 512), Work::LocalWrite).unwrap();
    assert_eq!(
        shard.try_take(r(100, 512), Work::LocalWrite),
        Err(Busy::Full)
    );
    assert!(shard.release(c), "somebody was told Full");
    assert!(shard.release(a), "somebody waits for it");
    assert!(!shard.release(b));
    assert!(!shard.release(b), "a second release harms nothing");
    assert!(shard.is_idle());
    assert_eq!(Range::new(0, 0), None);
    assert_eq!(Range::new(u64::MAX, 512), None);
    assert_eq!(r(2047, 1024).shards(32).collect::<Vec<_>>(), [0, 1]);
    // Behind the last shard comes the first; what is all in one comes once.
    assert_eq!(
        r(32 * 2048 - 1, 1024).shards(32).collect::<Vec<_>>(),
        [31, 0]
    );
    assert_eq!(r(2047, 1024).shards(1).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_is_only_wanted_leaves_half_of_a_shard_to_the_blocks_that_come() {
    let block = |i: u64| Range::new(i * 16, 4096).unwrap();
    let mut shard = Shard::new(vec![None; 4]);
    let first = shard.try_take(block(0), Work::ResyncWanted).unwrap();
    shard.try_take(block(1), Work::ResyncWanted).unwrap();
    assert_eq!(
        shard.try_take(block(2), Work::ResyncWanted),
        Err(Busy::Full),
        "half of the entries are wanted ones"
    );
    let io = shard.try_take(block(0), Work::ResyncIo).unwrap();
    let write = shard.try_take(block(3), Work::PeerWrite).unwrap();
    assert!(shard.release(first), "who was told Full waits");
    shard.try_take(block(2), Work::ResyncWanted).unwrap();
    assert!(!shard.release(io));
    assert!(!shard.release(write));
}

#[test]
fn who_excludes_whom_is_mutual() {
    use Work as W;
    let all = [W::LocalWrite, W::PeerWrite, W::ResyncWanted, W::ResyncIo];
    for a in all {
        for b in all {
            assert_eq!(a.excludes(b), b.excludes(a), "{a:?} {b:?}");
        }
        assert!(W::LocalWrite.excludes(a));
    }
    let r = Range::new(0, 4096).unwrap();
    let mut shard = Shard::new(vec![None; 4]);
    let wanted = shard.try_take(r, W::ResyncWanted).unwrap();
    let write = shard.try_take(r, W::PeerWrite).unwrap();
    assert_eq!(shard.try_take(r, W::ResyncIo), Err(Busy::Overlap));
    assert!(shard.release(write));
    let io = shard.try_take(r, W::ResyncIo).unwrap();
    assert!(!shard.release(wanted));
    assert_eq!(shard.try_take(r, W::LocalWrite), Err(Busy::Overlap));
    assert!(shard.release(io));
}

#[test]
fn policies_follow_from_states_and_survive_the_atomic() {
    let facts = PolicyFacts {
        agreed_version: 101,
        protocol: Replication::B,
        held: false,
        uuid_pending: false,
    };
    let mut s = DeviceState {
        role: Role::Primary,
        disk: Disk::UpToDate,
        ..DeviceState::NEW
    };
    let p = Policy::of(&s, &facts);
    assert_eq!(
        (p.read, p.write, p.no_data),
        (ReadRoute::Local, WriteRoute::LocalOnly, false)
    );
    s.conn = Conn::Connected;
    s.pdsk = Disk::UpToDate;
    assert_eq!(
        Policy::of(&s, &facts).remote_part(),
        Remote::Data(Replication::B)
    );
    s.disk = Disk::Diskless;
    let p = Policy::of(&s, &facts);
    assert_eq!(
        (p.read, p.local_write, p.no_data),
        (ReadRoute::Remote, false, false)
    );
    s.pdsk = Disk::Diskless;
    assert!(Policy::of(&s, &facts).no_data);
    for conn in Conn::ALL {
        for disk in Disk::ALL {
            for pdsk in Disk::ALL {
                let s = DeviceState {
                    conn: *conn,
                    disk: *disk,
                    pdsk: *pdsk,
                    ..s
                };
                let p = Policy::of(&s, &facts);
                assert_eq!(Policy::from_bits(p.to_bits()), p);
            }
        }
    }
}
