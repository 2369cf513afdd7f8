// SPDX-License-Identifier: GPL-2.0
//! Two machines joined by queues: order is kept on each socket, everything else is up to the seed.
//! The canonical traces of docs/states.md as tests, and random walks over them.

mod al_promise;
mod demotion;
mod dependency;
mod errors;
mod faults;
mod fencing;
mod limits;
mod pair;
mod resize;
mod split;
mod suspend;
mod traces;
mod verify;
mod walks;
