// SPDX-License-Identifier: GPL-2.0
//! Typed settings of a resource, its connection and its disks, with ranges and defaults.
//!
//! One table per kind of setting serves everybody: the kernel module fills the structs from
//! netlink attributes, drbdsetup reads options and prints `show` and help with it, the
//! configuration parser checks words and ranges with it. See docs/configuration.md.
//!
//! The tables are [`DiskConf`], [`NetConf`], [`ResOpts`] (through
//! [`Nest::SET`](crate::genl::Nest::SET)); each row holds the attribute's number and layout and an
//! [`OptionSpec`].

pub mod disk;
pub mod gate;
pub mod net;
pub mod number;
pub mod option;
pub mod processors;
pub mod resource;
pub mod secret;
pub mod words;

#[cfg(test)]
mod tests;

pub use disk::DiskConf;
pub use gate::{first_unbuilt, unbuilt, Unbuilt};
pub use net::NetConf;
pub use number::{parse_number, NumberError};
pub use option::{EnumValue, OptionKind, OptionSpec, Scale};
pub use processors::Processors;
pub use resource::ResOpts;
pub use secret::Secret;
