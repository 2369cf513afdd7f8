// SPDX-License-Identifier: GPL-2.0
//! Who does not answer in time: a peer that lives all the same (`timeout` and `ko-count`), and the
//! local disk (`disk-timeout`); docs/states.md, "Timers".
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

/// How long the local disk may take, in ms, by `disk-timeout` (in 0.1 s). `None`: for ever.
#[must_use]
pub const fn disk_limit_ms(disk_timeout: u32) -> Option<u32> {
    match disk_timeout {
        0 => None,
        n => Some(n.saturating_mul(100)),
    }
}

/// What to do about a disk that may not take longer than some limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskWatch {
    /// It is in time; look again after so many ms.
    LookAgain(u32),
    /// It hangs: [`DiskErrorKind::Hang`](crate::peer::DiskErrorKind).
    GiveUp,
}

/// Looks at a disk: the oldest request that it has not answered was given to it `oldest_ms` ago.
/// All that it was given counts, so one that has just been attached has its time as well.
#[must_use]
pub fn watch_disk(limit_ms: u32, oldest_ms: Option<u64>) -> DiskWatch {
    /// A request that comes meanwhile is found that much too late, or by a fourth of its limit.
    const STEP_MAX_MS: u32 = 1000;
    const STEP_MIN_MS: u32 = 20;
    let age = oldest_ms.unwrap_or(0);
    if age > u64::from(limit_ms) {
        return DiskWatch::GiveUp;
    }
    let left = u64::from(limit_ms).saturating_sub(age);
    let step = (limit_ms / 4).min(STEP_MAX_MS);
    let next = u32::try_from(left).unwrap_or(step).min(step);
    DiskWatch::LookAgain(next.max(STEP_MIN_MS))
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

    #[test]
    fn a_disk_is_given_up_when_its_oldest_request_is_too_old() {
        use DiskWatch::{GiveUp, LookAgain};
        assert_eq!(disk_limit_ms(0), None);
        assert_eq!(disk_limit_ms(6000), Some(600_000));
        assert!(disk_limit_ms(u32::MAX).is_some());
        for (limit, oldest, told) in [
            (600_000, None, LookAgain(1000)),
            (600_000, Some(0), LookAgain(1000)),
            (600_000, Some(599_700), LookAgain(300)),
            (600_000, Some(600_000), LookAgain(20)),
            (600_000, Some(600_001), GiveUp),
            (100, None, LookAgain(25)),
            (100, Some(101), GiveUp),
            (0, Some(1), GiveUp),
            (u32::MAX, Some(0), LookAgain(1000)),
            (u32::MAX, Some(u64::MAX), GiveUp),
        ] {
            assert_eq!(watch_disk(limit, oldest), told, "{limit}, {oldest:?}");
        }
    }
}
