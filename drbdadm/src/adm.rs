// SPDX-License-Identifier: GPL-2.0
//! `drbdadm`: the command that reads the configuration and carries it out.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `drbdadm` with the words after its name and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _ = args.into_iter();
    eprintln!("drbdadm: no command of this program is built yet");
    ExitCode::from(20)
}
