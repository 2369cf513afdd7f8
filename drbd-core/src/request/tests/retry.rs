// SPDX-License-Identifier: GPL-2.0
//! Requests while I/O is suspended: withheld, thawed, or made again.

extern crate std;

use super::super::word::*;
use proptest::prelude::*;
use std::vec::Vec;

const DISK: Event = Event::Local { ok: true };
const NO_DISK: Event = Event::Local { ok: false };
const ACK: Event = Event::WriteAck { in_sync: false };
const BOTH: [Replication; 2] = [Replication::B, Replication::C];

/// Applies events with I/O suspended; gives what was asked for.
fn suspended(word: ReqWord, events: &[Event]) -> (ReqWord, Vec<Duties>) {
    let mut w = word;
    let mut all = Vec::new();
    for event in events {
        let (next, duties) = w.apply(*event, true).expect("it can be");
        w = next;
        if duties != Duties::default() {
            all.push(duties);
        }
    }
    (w, all)
}

#[test]
fn a_failed_disk_without_a_peer_withholds_the_error_and_tries_again() {
    let w = ReqWord::write(true, Remote::None);
    let (w, d) = suspended(w, &[Event::Submitted, Event::LocalFailed]);
    assert!(w.local_failure_untold() && d.is_empty());
    let (w, d) = suspended(w, &[NO_DISK]);
    assert!(!w.local_failure_untold() && d.is_empty(), "withheld");
    // The disk is back.
    let (_, d) = suspended(w, &[Event::Retry]);
    assert!(d[0].retry && d[0].destroy && d[0].complete.is_none());
    // It is not: the administrator gives up.
    let (_, d) = w.apply(Event::Thawed, false).expect("it can be");
    assert_eq!(d.complete, Some(Outcome::Error));
}

#[test]
fn what_the_peer_has_not_acknowledged_is_made_again_over_the_next_link() {
    for (p, local) in [(BOTH[0], false), (BOTH[1], false), (BOTH[1], true)] {
        let w = ReqWord::write(local, Remote::Data(p));
        let (w, d) = suspended(w, &[Event::Submitted, Event::HandedToSocket]);
        assert!(d.is_empty());
        let (w, d) = suspended(w, &[Event::SendCanceled, Event::Retry]);
        if !local {
            assert!(d[0].retry, "{p:?}");
            continue;
        }
        // The local disk still has the pages.
        assert!(d.iter().all(|d| !d.retry && d.complete.is_none()));
        let (_, d) = suspended(w, &[DISK]);
        assert!(d[0].retry && d[0].set_out_of_sync);
    }
}

#[test]
fn what_the_peer_has_acknowledged_is_only_withheld() {
    let w = ReqWord::write(true, Remote::Data(Replication::C));
    let events = [Event::Submitted, Event::HandedToSocket, DISK, ACK];
    let (w, d) = suspended(w, &events);
    assert!(d.is_empty());
    let (w, d) = suspended(w, &[Event::Retry]);
    assert!(d.is_empty(), "the peer was not restarted: it has it");
    let (_, d) = w.apply(Event::Thawed, false).expect("it can be");
    assert_eq!(d.complete, Some(Outcome::Success));
    assert!(d.destroy && !d.set_out_of_sync);
}

#[test]
fn a_protocol_a_write_that_was_answered_counts_as_missing_at_the_peer() {
    let w = ReqWord::write(true, Remote::Data(Replication::A));
    let mut w = w;
    for event in [Event::Submitted, Event::HandedToSocket, DISK] {
        w = w.apply(event, false).expect("it can be").0;
    }
    assert!(w.completed());
    let (_, d) = suspended(w, &[Event::Retry]);
    assert!(d[0].set_out_of_sync && d[0].destroy && !d[0].retry);
}

#[test]
fn a_read_that_nobody_answered_is_made_again() {
    let w = ReqWord::remote_read();
    let (w, _) = suspended(w, &[Event::Submitted, Event::HandedToSocket]);
    let (_, d) = suspended(w, &[Event::Retry]);
    assert!(d[0].retry && d[0].destroy && !d[0].set_out_of_sync);
}

#[test]
fn bits_of_a_healing_write_go_when_both_disks_have_it_for_sure() {
    let w = ReqWord::write(true, Remote::Data(Replication::C)).healing();
    let mut w = w;
    for event in [Event::Submitted, Event::HandedToSocket, DISK, ACK] {
        let (next, d) = w.apply(event, false).expect("it can be");
        assert!(!d.set_in_sync);
        w = next;
    }
    let (_, d) = w.apply(Event::BarrierAck, false).expect("it can be");
    assert!(d.set_in_sync);
    let (_, d) = w.apply(Event::ConnectionLost, false).expect("it can be");
    assert!(!d.set_in_sync && d.set_out_of_sync);
}

proptest! {
    /// Whatever happens, and whether or not I/O is suspended: a request is answered or taken back
    /// once, and given back once; not taken back while the disk has its pages.
    #[test]
    fn answered_or_taken_back_once(
        steps in proptest::collection::vec((0..10_u8, any::<bool>()), 1..40),
        local in any::<bool>(),
        letter in 0..4_u8,
    ) {
        let remote = match letter {
            0 => Remote::Data(Replication::A),
            1 => Remote::Data(Replication::B),
            2 => Remote::Data(Replication::C),
            _ if local => Remote::None,
            _ => Remote::Data(Replication::C),
        };
        let mut w = ReqWord::write(local, remote);
        let (mut answered, mut gone) = (0, 0);
        let mut submitted = false;
        let mut done = !local;
        let rest = [(0, false), (1, false), (4, false), (6, false), (7, false)];
        for (step, frozen) in steps.into_iter().chain(rest) {
            let event = match step {
                0 if !submitted => { submitted = true; Event::Submitted }
                1 if !done => { done = true; DISK }
                2 if !done => { done = true; NO_DISK }
                3 => Event::HandedToSocket,
                4 => Event::SendCanceled,
                5 => ACK,
                6 => Event::ConnectionLost,
                7 => Event::Thawed,
                8 => Event::Retry,
                9 => Event::BarrierAck,
                _ => continue,
            };
            if gone > 0 {
                break;
            }
            let Ok((next, d)) = w.apply(event, frozen) else { continue };
            w = next;
            answered += u32::from(d.complete.is_some()) + u32::from(d.retry);
            gone += u32::from(d.destroy);
            prop_assert!(!d.retry || (done && submitted));
            prop_assert!(answered <= 1);
        }
        prop_assert_eq!((answered, gone), (1, 1));
    }
}
