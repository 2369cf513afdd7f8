// SPDX-License-Identifier: GPL-2.0
//! `drbdmeta`: the command that reads and writes metadata on disk.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `drbdmeta` with the words after its name and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _ = args.into_iter();
    eprintln!("drbdmeta: no command of this program is built yet");
    ExitCode::from(20)
}
