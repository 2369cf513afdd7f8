// SPDX-License-Identifier: GPL-2.0
//! The rules of DRBD 8.4, as pure code.
//!
//! `drbd-core` decides, others perform. It has no I/O, no clock, no allocation of its own and no
//! `unsafe`; the same source is compiled into the kernel module, the user tools and the tests.
//! Everything that comes from a peer, a disk or netlink is parsed into a type here or refused.
#![cfg_attr(not(CONFIG_RUST), no_std)]
#![forbid(unsafe_code)]

pub mod admin;
pub mod al;
pub mod bitmap;
pub mod config;
pub mod digest;
pub mod genl;
pub mod meta;
pub mod peer;
pub mod proc;
pub mod request;
pub mod resync;
pub mod state;
pub mod uuid;
pub mod verify;
pub mod vli;
pub mod wire;
