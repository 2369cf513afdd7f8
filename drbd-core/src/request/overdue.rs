// SPDX-License-Identifier: GPL-2.0
//! A peer that lives but does not answer: `timeout` and `ko-count` for requests
//! (docs/states.md, "Timers").
//!
//! Pings find a dead peer. A peer whose disk hangs answers them; what tells is a request that was
//! sent long ago.

use super::word::ReqWord;

/// How long a request may be on its way, in ms: `ko-count` times `timeout` (in 0.1 s). `None`:
/// for ever, since `ko-count` is 0.
#[must_use]
pub const fn limit_ms(timeout: u32, ko_count: u32) -> Option<u64> {
    match ko_count {
        0 => None,
        // Two numbers of 32 bits; the factor makes a month out of a week.
        n => Some(
            (n as u64)
                .saturating_mul(timeout as u64)
                .saturating_mul(100),
        ),
    }
}

/// Whether the peer owes an answer to a request that was handed to the socket `age_ms` ago: the
/// ack, or the barrier ack of an epoch that is closed.
#[must_use]
pub fn is_overdue(word: ReqWord, epoch_open: bool, age_ms: u64, limit_ms: u64) -> bool {
    let owed = word.net_pending() || (word.completed() && !epoch_open);
    age_ms > limit_ms && word.in_flight() && owed
}

#[cfg(test)]
mod tests {
    use super::super::word::{Event, Remote, Replication};
    use super::*;

    fn after(remote: Remote, events: &[Event]) -> ReqWord {
        let word = match remote {
            Remote::Read => ReqWord::remote_read(),
            other => ReqWord::write(false, other),
        };
        events
            .iter()
            .fold(word, |w, e| w.apply(*e, false).expect("it can be").0)
    }

    #[test]
    fn ko_count_0_waits_for_ever() {
        assert_eq!(limit_ms(60, 0), None);
        assert_eq!(limit_ms(60, 7), Some(42_000));
        assert!(limit_ms(u32::MAX, u32::MAX).is_some());
    }

    #[test]
    fn what_was_sent_and_not_answered_is_overdue() {
        const SENT: [Event; 2] = [Event::Submitted, Event::HandedToSocket];
        let c = Remote::Data(Replication::C);
        for remote in [c, Remote::Data(Replication::B), Remote::Read] {
            let w = after(remote, &SENT);
            assert!(is_overdue(w, true, 101, 100), "{remote:?}");
            assert!(!is_overdue(w, true, 100, 100), "{remote:?}");
            let queued = after(remote, &SENT[..1]);
            assert!(!is_overdue(queued, true, 101, 100), "the socket's affair");
        }
        // Answered: the barrier ack is owed when the barrier was sent, and not before.
        let ack = Event::WriteAck { in_sync: false };
        for w in [
            after(c, &[SENT[0], SENT[1], ack]),
            after(Remote::Data(Replication::A), &SENT),
        ] {
            assert!(w.completed());
            assert!(!is_overdue(w, true, 101, 100));
            assert!(is_overdue(w, false, 101, 100));
            let (done, _) = w.apply(Event::BarrierAck, false).expect("it can be");
            assert!(!is_overdue(done, false, 101, 100));
        }
    }
}
