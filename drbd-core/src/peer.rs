// SPDX-License-Identifier: GPL-2.0
//! The connection to the peer, and the resource around it, as a machine without I/O.
//!
//! [`Resource`] is the one owner of a resource's state. Its driver (the kernel module, or a test)
//! feeds it one [`Event`] at a time: a control packet of the peer, a command of the administrator,
//! a link that broke, a bitmap that was received. The machine decides and asks the driver, through
//! [`Driver::perform`], for [`Effect`]s: packets to queue, superblocks to write, policies to
//! publish. The driver performs them in order before it feeds the next event; none of them waits
//! for the peer or for a helper, so the owner is never blocked by either.
//!
//! Requests and blocks never pass through here: they are decided on in [`crate::request`], by the
//! policy that follows from the states this machine commits.
//!
//! Where to find what:
//!
//! - `machine`: commit of a state change and what follows from it;
//! - `link`: the link comes and goes; sizes and generations of the peer;
//! - `state_packet`: P_STATE, and who syncs from whom;
//! - `resync`: bitmap exchange, sync UUID, start and end of a resync;
//! - `cluster`: changes that the peer has to agree to;
//! - `generation`: a generation begun by hand;
//! - `verify`: the course of an online verify;
//! - `admin`: the administrator's commands; `role` and `attach`: the long ones of them;
//! - `tell`: what a node tells of itself, to the peer and to its disk;
//! - `fence`: the peer is fenced;
//! - `setting`: what changes without an event; [`record`]: the flight recorder;
//! - [`settings`]: what the configuration says to the peer.

mod admin;
mod attach;
mod cluster;
mod event;
mod fence;
mod generation;
mod link;
pub mod log;
mod machine;
pub mod record;
mod resize;
mod resync;
mod role;
mod setting;
pub mod settings;
mod state_packet;
mod tell;
mod verify;
mod volume;

pub use event::{
    Command, DiskErrorKind, Driver, Effect, Event, HelperCall, LogLine, OnIoError, ProtocolVerdict,
    Send, UuidNews,
};
pub use machine::{Link, NetSettings, Resource};
pub use setting::{Setting, Shelf};
pub use volume::{DiskData, PeerData, Resync, Side, Volume};

#[cfg(test)]
mod tests;
