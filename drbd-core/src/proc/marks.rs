// SPDX-License-Identifier: GPL-2.0
//! Eight rolling marks of a resync or verify, from which speeds and the end are computed.

use super::progress::Span;

const MARKS: usize = 8;
/// Time between marks in milliseconds.
const STEP_MS: u64 = 3000;

#[derive(Clone, Copy, Debug)]
struct Mark {
    at_ms: u64,
    left_bits: u64,
}

/// A ring of (time, bits left). Times are milliseconds of any clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    marks: [Mark; MARKS],
    last: usize,
}

impl Marks {
    /// All marks at the start of the run.
    #[must_use]
    pub fn new(now_ms: u64, left_bits: u64) -> Self {
        Self {
            marks: [Mark {
                at_ms: now_ms,
                left_bits,
            }; MARKS],
            last: 0,
        }
    }

    /// To be called when there may be progress: sets the next mark if the last is old enough and
    /// something was done since. While nothing is done the marks age, and it shows.
    pub fn advance(&mut self, now_ms: u64, left_bits: u64) {
        let Some(last) = self.marks.get(self.last) else {
            return;
        };
        let is_due = now_ms.saturating_sub(last.at_ms) >= STEP_MS;
        if !is_due || last.left_bits == left_bits {
            return;
        }
        self.last = self.after(1);
        if let Some(mark) = self.marks.get_mut(self.last) {
            *mark = Mark {
                at_ms: now_ms,
                left_bits,
            };
        }
    }

    /// After a pause: all marks move forward by its length, as if it had not been.
    pub fn skip_pause(&mut self, pause_ms: u64) {
        for mark in &mut self.marks {
            mark.at_ms = mark.at_ms.saturating_add(pause_ms);
        }
    }

    /// Progress since the mark that is about 18 s old.
    #[must_use]
    pub fn rolling(&self, now_ms: u64, left_bits: u64) -> Span {
        self.since(self.after(2), now_ms, left_bits)
    }

    /// Progress since the last mark but one, about 3 s.
    #[must_use]
    pub fn recent(&self, now_ms: u64, left_bits: u64) -> Span {
        self.since(self.after(MARKS - 1), now_ms, left_bits)
    }

    fn after(&self, steps: usize) -> usize {
        self.last.wrapping_add(steps) % MARKS
    }

    fn since(&self, index: usize, now_ms: u64, left_bits: u64) -> Span {
        self.marks.get(index).map_or(Span::default(), |mark| Span {
            seconds: now_ms.saturating_sub(mark.at_ms) / 1000,
            bits: mark.left_bits.saturating_sub(left_bits),
        })
    }
}
