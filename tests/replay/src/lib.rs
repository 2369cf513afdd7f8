// SPDX-License-Identifier: GPL-2.0
//! Plays the tape of a flight recorder again, through the same core, and says where the node did
//! something else. docs/flight-recorder.md says how it is used.
#![forbid(unsafe_code)]

mod play;
mod reel;
mod words;

pub use play::{play, Played};
pub use reel::Reel;
