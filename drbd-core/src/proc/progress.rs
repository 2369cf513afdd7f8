// SPDX-License-Identifier: GPL-2.0
//! The progress lines of a resync or an online verify.
//!
//! ```text
//! ⇥[=========>..........] sync'ed: 50.2% (524288/1048576)K
//! ⇥finish: 0:00:51 speed: 10,240 (10,484) want: 102,400 K/sec
//! ```

use crate::state::Conn;
use core::fmt::{self, Write};

/// Bits above which amounts are shown in MiB: 4 GiB.
const BITS_SHOWN_IN_KIB: u64 = 1 << 20;
/// Seconds without progress after which it says so.
const STALLED_AFTER_S: u64 = 180;
/// Width of the bar. At its very beginning it is one character longer.
const BAR_STEPS: u64 = 20;

/// Progress over a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Length in whole seconds.
    pub seconds: u64,
    /// Bits done in it.
    pub bits: u64,
}

impl Span {
    /// The speed in it.
    #[must_use]
    pub fn kib_per_second(self) -> u64 {
        let per_second = self.bits.checked_div(self.seconds.max(1)).unwrap_or(0);
        per_second.saturating_mul(4)
    }
}

/// Where the resync or verify is, for `proc_details`.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Bit that is worked on.
    pub bit: u64,
    /// Bits of the device.
    pub device_bits: u64,
    /// Sector where verify shall stop, if one was given.
    pub stop_sector: Option<u64>,
}

/// A snapshot of a resync or verify. Bits stand for 4 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bits to do at the start.
    pub total_bits: u64,
    /// Bits to do now. Resync: out of sync less failed. Verify: not yet verified.
    pub left_bits: u64,
    /// Since the mark about 18 s ago ([`Marks::rolling`](super::Marks::rolling)).
    pub rolling: Span,
    /// Since the last mark but one, about 3 s ([`Marks::recent`](super::Marks::recent)).
    pub recent: Span,
    /// Seconds since the start, without pauses.
    pub active_seconds: u64,
    /// Rate that the controller asks for, in KiB/s; shown in SyncTarget and VerifyS only.
    pub want_kib_s: u64,
    /// Where it is.
    pub position: Position,
}

impl Progress {
    /// Done in 0.1 %, 0..=1000.
    #[must_use]
    pub fn per_mille(&self) -> u64 {
        per_mille(self.total_bits, self.left_bits)
    }

    /// Seconds to the end at the rolling rate.
    fn remaining_seconds(&self, left: u64) -> u64 {
        let seconds = self.rolling.seconds.max(1);
        // As 8.4 computes it, so that the numbers are the same; 64 bits suffice up to 2^50 bits.
        let hundredths = (self.rolling.bits / 100).saturating_add(1);
        let rounds = left.checked_div(hundredths).unwrap_or(0);
        seconds.saturating_mul(rounds) / 100
    }

    /// Writes the lines for a device in `conn`; nothing in states without progress.
    pub(super) fn write(&self, out: &mut impl Write, conn: Conn, details: u32) -> fmt::Result {
        let is_verify = conn.is_verify();
        if !is_verify && !matches!(conn, Conn::SyncSource | Conn::SyncTarget) {
            return Ok(());
        }
        let per_mille = self.per_mille();
        let left = self.left_bits.min(self.total_bits);
        write_bar(out, per_mille)?;
        out.write_str(if is_verify { "verified:" } else { "sync'ed:" })?;
        write!(out, "{:3}.{}% ", per_mille / 10, per_mille % 10)?;
        let (left_amount, total_amount, unit) = if self.total_bits > BITS_SHOWN_IN_KIB {
            (amount(left >> 10), amount(self.total_bits >> 10), 'M')
        } else {
            (amount(left), amount(self.total_bits), 'K')
        };
        writeln!(out, "({left_amount}/{total_amount}){unit}")?;
        self.write_speed(out, conn, left, details)?;
        if details >= 1 {
            self.write_position(out, is_verify)?;
        }
        Ok(())
    }

    fn write_speed(
        &self,
        out: &mut impl Write,
        conn: Conn,
        left: u64,
        details: u32,
    ) -> fmt::Result {
        let remaining = self.remaining_seconds(left);
        let (hours, minutes, seconds) = (remaining / 3600, remaining % 3600 / 60, remaining % 60);
        write!(out, "\tfinish: {hours}:{minutes:02}:{seconds:02} speed: ")?;
        write!(out, "{} (", Grouped(self.rolling.kib_per_second()))?;
        if details >= 1 {
            write!(out, "{} -- ", Grouped(self.recent.kib_per_second()))?;
        }
        let done = self.total_bits.saturating_sub(left);
        let mean = Span {
            seconds: self.active_seconds,
            bits: done,
        };
        write!(out, "{})", Grouped(mean.kib_per_second()))?;
        if matches!(conn, Conn::SyncTarget | Conn::VerifyS) {
            write!(out, " want: {}", Grouped(self.want_kib_s))?;
        }
        out.write_str(" K/sec")?;
        if self.rolling.seconds > STALLED_AFTER_S {
            out.write_str(" (stalled)")?;
        }
        out.write_char('\n')
    }

    fn write_position(&self, out: &mut impl Write, is_verify: bool) -> fmt::Result {
        let Position {
            bit,
            device_bits,
            stop_sector,
        } = self.position;
        let percent = bit
            .checked_div((device_bits / 100).saturating_add(1))
            .unwrap_or(0);
        write!(
            out,
            "\t{percent:3}% sector pos: {}/{}",
            bit.saturating_mul(8),
            device_bits.saturating_mul(8)
        )?;
        match stop_sector {
            Some(sector) if is_verify => writeln!(out, " stop sector: {sector}"),
            _ => out.write_char('\n'),
        }
    }
}

/// How much of `total_bits` is done if `left_bits` are left, in 0.1 %, 0..=1000. What drbdsetup
/// prints as a percentage, too.
#[must_use]
pub fn per_mille(total_bits: u64, left_bits: u64) -> u64 {
    if left_bits > total_bits {
        // Bits were set behind our back: claim nothing.
        return if total_bits == 0 { 1000 } else { 0 };
    }
    let shift = if total_bits > u64::from(u32::MAX) {
        16
    } else {
        10
    };
    let left = (left_bits >> shift).saturating_mul(1000);
    let share = left
        .checked_div((total_bits >> shift).saturating_add(1))
        .unwrap_or(0);
    1000_u64.saturating_sub(share)
}

const fn amount(bits: u64) -> u64 {
    bits.saturating_mul(4)
}

fn write_bar(out: &mut impl Write, per_mille: u64) -> fmt::Result {
    let steps = (per_mille / 50).min(BAR_STEPS);
    out.write_str("\t[")?;
    for _ in 1..steps {
        out.write_char('=')?;
    }
    out.write_char('>')?;
    for _ in steps..BAR_STEPS {
        out.write_char('.')?;
    }
    out.write_str("] ")
}

/// A number with a comma between groups of three digits.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 10^18 is the highest group that a u64 can have.
        let mut divisor: u64 = 1_000_000_000_000_000_000;
        let mut has_begun = false;
        while divisor > 0 {
            let group = self.0.checked_div(divisor).unwrap_or(0) % 1000;
            if has_begun {
                write!(f, ",{group:03}")?;
            } else if group > 0 || divisor == 1 {
                write!(f, "{group}")?;
                has_begun = true;
            }
            divisor /= 1000;
        }
        Ok(())
    }
}
