// SPDX-License-Identifier: GPL-2.0
//! How fast a resync goes, and which block comes next.
//!
//! The target asks, ten times a second, for as many blocks as the [`Controller`] allows; [`Scan`]
//! walks over the bitmap and grows each request as far as the rules allow
//! (docs/protocol.md, "Transfer" and "Rate controller").

pub mod throttle;

/// The configured numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `resync-rate` in KiB/s.
    pub resync_rate: u32,
    /// `c-plan-ahead` in steps of 0.1 s; 0: fixed rate.
    pub plan_ahead: u32,
    /// `c-delay-target` in 0.1 s.
    pub delay_target: u32,
    /// `c-fill-target` in sectors; 0: by delay.
    pub fill_target: u32,
    /// `c-max-rate` in KiB/s.
    pub max_rate: u32,
    /// `max-buffers` in pages of 4 KiB.
    pub max_buffers: u32,
}

/// The longest plan, in steps.
const PLAN_MAX: usize = 300;

/// Decides how much may be asked for in each step of 0.1 s.
///
/// With all `c-*` options and `resync-rate` at their defaults the link is filled: as much is kept
/// in flight as half of `max-buffers` allows. An explicit value is a ceiling
/// (docs/decisions: resync with default options).
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    /// Sectors that came since the last step.
    arrived: u32,
    /// Sectors asked for that have not come.
    in_flight: u32,
    plan: [i32; PLAN_MAX],
    at: usize,
    total: i32,
}

impl Default for Controller {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// Milliseconds from one step to the next. Without a limit to keep, steps only have to be short
    /// enough not to let the link run dry.
    #[must_use]
    pub fn step_ms(&self) -> u64 {
        if self.are_default() {
            10
        } else {
            100
        }
    }

    /// All values are the defaults: nobody asked for a limit.
    #[must_use]
    pub fn are_default(&self) -> bool {
        self.resync_rate == 250
            && self.plan_ahead == 20
            && self.delay_target == 10
            && self.fill_target == 100
            && self.max_rate == 102_400
    }
}

impl Controller {
    /// At the start of a resync.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            arrived: 0,
            in_flight: 0,
            plan: [0; PLAN_MAX],
            at: 0,
            total: 0,
        }
    }

    /// So many sectors were asked for.
    pub fn asked(&mut self, sectors: u32) {
        self.in_flight = self.in_flight.saturating_add(sectors);
    }

    /// So many sectors have come, or will not come.
    pub fn arrived(&mut self, sectors: u32) {
        self.arrived = self.arrived.saturating_add(sectors);
    }

    /// Makes a step: how many blocks of 4 KiB may be asked for now.
    pub fn step(&mut self, s: &Settings) -> u32 {
        let came = core::mem::take(&mut self.arrived);
        self.in_flight = self.in_flight.saturating_sub(came);
        let room = (s.max_buffers / 2).saturating_sub(self.in_flight / 8);
        let wanted = if s.are_default() {
            room
        } else if s.plan_ahead == 0 {
            s.resync_rate / 40
        } else {
            self.planned(s, came) / 8
        };
        wanted.min(room)
    }

    fn planned(&mut self, s: &Settings, came: u32) -> u32 {
        let steps = (s.plan_ahead as usize).clamp(1, PLAN_MAX);
        let slots = i32::try_from(steps).unwrap_or(1);
        let want = if self.in_flight == 0 && came == 0 {
            (s.resync_rate / 5).saturating_mul(s.plan_ahead)
        } else if s.fill_target > 0 {
            s.fill_target
        } else {
            came.saturating_mul(s.delay_target)
        };
        let signed = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
        let correction = signed(want)
            .saturating_sub(signed(self.in_flight))
            .saturating_sub(self.total);
        let each = correction.checked_div(slots).unwrap_or(0);
        for slot in self.plan.iter_mut().take(steps) {
            *slot = slot.saturating_add(each);
        }
        self.total = self.total.saturating_add(each.saturating_mul(slots));
        self.at %= steps;
        let now = self.plan.get_mut(self.at).map_or(0, core::mem::take);
        self.at = self.at.saturating_add(1);
        self.total = self.total.saturating_sub(now);
        let sectors = signed(came).saturating_add(now).max(0).unsigned_abs();
        sectors.min(s.max_rate / 5)
    }
}

/// Sectors of one bit.
const BIT_SECTORS: u64 = 8;
/// Sectors of a resync extent, 16 MiB: no request crosses its border.
const EXTENT_SECTORS: u64 = 32_768;

/// Where the scan over the bitmap is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    bit: u64,
}

impl Scan {
    /// At the first bit.
    #[must_use]
    pub const fn new() -> Self {
        Self { bit: 0 }
    }

    /// The bit that comes next.
    #[must_use]
    pub const fn bit(&self) -> u64 {
        self.bit
    }

    /// The next request: first sector and bytes. `size` is that of the device in sectors,
    /// `max_bytes` the largest request; `next_set` finds the next set bit from a bit on.
    pub fn next(
        &mut self,
        size: u64,
        max_bytes: u32,
        mut next_set: impl FnMut(u64) -> Option<u64>,
    ) -> Option<(u64, u32)> {
        let first = next_set(self.bit)?;
        let start = first.checked_mul(BIT_SECTORS).filter(|s| *s < size)?;
        let max_bits = u64::from(max_bytes / 4096).max(1);
        let extent_end = (start / EXTENT_SECTORS)
            .saturating_add(1)
            .saturating_mul(EXTENT_SECTORS);
        let mut bits = 1_u64;
        // A request grows past a power of two only from a start that is aligned for the next one.
        while bits < max_bits {
            let aligned = !bits.is_power_of_two() || first % bits.saturating_mul(2) == 0;
            let next = first.saturating_add(bits);
            let inside = next.saturating_mul(BIT_SECTORS) < extent_end.min(size);
            if !aligned || !inside || next_set(next) != Some(next) {
                break;
            }
            bits = bits.saturating_add(1);
        }
        self.bit = first.saturating_add(bits);
        let sectors = bits
            .saturating_mul(BIT_SECTORS)
            .min(size.saturating_sub(start));
        let bytes = u32::try_from(sectors.saturating_mul(512)).ok()?;
        Some((start, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Settings = Settings {
        resync_rate: 250,
        plan_ahead: 20,
        delay_target: 10,
        fill_target: 100,
        max_rate: 102_400,
        max_buffers: 2048,
    };

    #[test]
    fn defaults_fill_the_link_up_to_half_of_the_buffers() {
        let mut c = Controller::new();
        assert_eq!(c.step(&DEFAULTS), 1024);
        c.asked(1024 * 8);
        assert_eq!(c.step(&DEFAULTS), 0);
        c.arrived(80);
        assert_eq!(c.step(&DEFAULTS), 10);
    }

    #[test]
    fn a_fixed_rate_is_kept() {
        let s = Settings {
            plan_ahead: 0,
            resync_rate: 4000,
            ..DEFAULTS
        };
        let mut c = Controller::new();
        for _ in 0..5 {
            let blocks = c.step(&s);
            assert_eq!(blocks, 100);
            c.asked(blocks * 8);
            c.arrived(blocks * 8);
        }
    }

    #[test]
    fn the_controller_never_exceeds_its_ceiling() {
        let s = Settings {
            max_rate: 1000,
            fill_target: 100_000,
            ..DEFAULTS
        };
        let mut c = Controller::new();
        for _ in 0..100 {
            let blocks = c.step(&s);
            assert!(blocks <= 25, "{blocks}");
            c.asked(blocks * 8);
            c.arrived(blocks * 8);
        }
    }

    fn requests(size: u64, max: u32, set: &[u64]) -> [Option<(u64, u32)>; 6] {
        let mut scan = Scan::new();
        core::array::from_fn(|_| {
            scan.next(size, max, |from| {
                set.iter().copied().filter(|b| *b >= from).min()
            })
        })
    }

    #[test]
    fn requests_grow_along_set_bits_aligned_and_cut() {
        let all: [u64; 12] = core::array::from_fn(|i| i as u64);
        assert_eq!(requests(96, 1 << 20, &all)[0], Some((0, 12 * 4096)));
        assert_eq!(requests(96, 16384, &all)[2], Some((64, 16384)));
        assert_eq!(requests(90, 1 << 20, &all)[0], Some((0, 90 * 512)));
        let odd = requests(96, 1 << 20, &[1, 2, 3, 9]);
        assert_eq!(odd[0], Some((8, 4096)), "bit 1 is not aligned for two");
        assert_eq!(odd[1], Some((16, 8192)));
        assert_eq!(odd[2], Some((72, 4096)));
        assert_eq!(odd[3], None);
        let border = [4095, 4096];
        assert_eq!(
            requests(1 << 20, 1 << 20, &border)[0],
            Some((4095 * 8, 4096))
        );
        assert_eq!(requests(8, 4096, &[1])[0], None, "beyond the device");
    }
}
