// SPDX-License-Identifier: GPL-2.0
//! A resync or verify yields to applications: `c-min-rate` (docs/protocol.md, "Rate controller").
//!
//! It is held back for a moment whenever an application uses the disk, as long as it is faster than
//! that rate all the same.

/// For how long it is held back, in ms.
pub const DEFER_MS: u64 = 100;

/// Sectors that others may move before they count as an application at work.
const QUIET_SECTORS: u64 = 64;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Sectors that the disk has read and written, but for the resync; from any moment on.
    pub others: u64,
    /// Requests wait for the activity log.
    pub waits_for_log: bool,
    /// How fast the resync has been in the last seconds, in KiB/s.
    pub speed: u64,
}

/// Remembers what others had done when they were seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    seen: u64,
}

impl Throttle {
    /// At the start of a resync; `others` as in [`Load`].
    #[must_use]
    pub const fn new(others: u64) -> Self {
        Self { seen: others }
    }

    /// Whether the resync is to be held back for [`DEFER_MS`]. `min_rate` is `c-min-rate` in KiB/s;
    /// 0: never.
    #[must_use]
    pub fn holds_back(&mut self, min_rate: u32, load: &Load) -> bool {
        let Some(moved) = load.others.checked_sub(self.seen) else {
            // It was counted anew.
            self.seen = load.others;
            return false;
        };
        if min_rate == 0 || !(load.waits_for_log || moved > QUIET_SECTORS) {
            return false;
        }
        self.seen = load.others;
        load.speed > u64::from(min_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_yields_to_applications_while_it_is_fast() {
        // Sectors of others, whether a request waits, speed, c-min-rate, held back.
        for (others, waits_for_log, speed, min_rate, held) in [
            (0, false, 10_000, 250, false),
            (64, false, 10_000, 250, false),
            (65, false, 10_000, 250, true),
            (65, false, 251, 250, true),
            (65, false, 250, 250, false),
            (0, true, 251, 250, true),
            (0, true, 250, 250, false),
            (u64::MAX, true, u64::MAX, 0, false),
            (u64::MAX, true, u64::MAX, u32::MAX, true),
        ] {
            let load = Load {
                others,
                waits_for_log,
                speed,
            };
            let told = Throttle::new(0).holds_back(min_rate, &load);
            assert_eq!(told, held, "{load:?}, {min_rate}");
        }
    }

    #[test]
    fn what_was_seen_counts_once_and_what_was_not_adds_up() {
        let mut t = Throttle::new(1000);
        let mut look = |others| {
            t.holds_back(
                250,
                &Load {
                    others,
                    waits_for_log: false,
                    speed: 1000,
                },
            )
        };
        let told = [1000, 1050, 1065, 1065, 1129, 1130, 1131].map(&mut look);
        assert_eq!(told, [false, false, true, false, false, true, false]);
        // The counters began anew.
        let told = [3, 67, 68].map(look);
        assert_eq!(told, [false, false, true]);
    }
}
