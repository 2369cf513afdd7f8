// SPDX-License-Identifier: GPL-2.0
//! The lab: boots machines, runs commands on them, waits for events, compares disks.
//!
//! Two programs are made of this crate. `drbd-lab` runs on the host: it makes the guest image,
//! starts QEMU, and runs scenarios. `drbd-lab-agent` is the guest's init: it mounts the image,
//! brings up the network, and then carries out what the host asks for over a virtio serial port.
//!
//! A scenario is a function that reads as sentences (see [`scenarios`]). It takes a
//! [`lab::Lab`] with two [`node::Node`]s and does not know which implementation runs on them:
//! that is the [`stack::Pair`] with which the lab was booted. C on both nodes is the oracle.
//!
//! Nothing here sleeps for luck: every wait names what it waits for, has a time-out, and shows on
//! failure what was last seen. A line in a kernel log that tells of a bug fails any scenario.
#![forbid(unsafe_code)]

pub mod agent;
pub mod bench;
pub mod blocks;
pub mod client;
pub mod compare;
pub mod counters;
pub mod cpio;
pub mod demo;
pub mod drbdconf;
pub mod error;
pub mod image;
pub mod interop;
pub mod klog;
pub mod lab;
pub mod machine;
pub mod node;
pub mod oracle;
pub mod paths;
pub mod protocol;
pub mod qmp;
pub mod runner;
pub mod scenarios;
pub mod shell;
pub mod soak;
pub mod stack;
pub mod time;
