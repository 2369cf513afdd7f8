// SPDX-License-Identifier: GPL-2.0
//! Time-outs of the lab. They are there to end a hang, never to measure.

use std::sync::OnceLock;
use std::time::Duration;

/// A time-out in seconds on an idle machine, stretched by `DRBD_LAB_SCALE` (a number, 1 if unset).
#[must_use]
pub fn seconds(seconds: u64) -> Duration {
    static SCALE: OnceLock<f64> = OnceLock::new();
    let scale = SCALE.get_or_init(|| {
        std::env::var("DRBD_LAB_SCALE")
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|scale| (0.1..=100.0).contains(scale))
            .unwrap_or(1.0)
    });
    Duration::from_secs(seconds).mul_f64(*scale)
}

/// For one command that ends by itself.
#[must_use]
pub fn command() -> Duration {
    seconds(180)
}

/// For a state that the nodes reach by talking to each other.
#[must_use]
pub fn state() -> Duration {
    seconds(120)
}

/// For a full resync of a scenario's disk.
#[must_use]
pub fn resync() -> Duration {
    seconds(300)
}

/// For a boot, which takes three seconds when nothing else runs.
#[must_use]
pub fn boot() -> Duration {
    seconds(90)
}
