// SPDX-License-Identifier: GPL-2.0
//! The user tools of DRBD 8.4 as a library: one module per program name.
//!
//! Each module has `main(args) -> ExitCode`, where `args` are the words after the program's name,
//! so that `drbdadm` can also run the other two inside its own process.
#![forbid(unsafe_code)]

pub mod adm;
pub mod meta;
pub mod setup;
