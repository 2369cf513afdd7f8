// SPDX-License-Identifier: GPL-2.0
//! `drbdsetup`: the command that talks to the kernel.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `drbdsetup` with the words after its name and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _ = args.into_iter();
    eprintln!("drbdsetup: no command of this program is built yet");
    ExitCode::from(20)
}
