// SPDX-License-Identifier: GPL-2.0
//! How a drbdadm, ours or stock's, is called beside the stand-ins of a folder.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `PROGRAM -c CONFIGURATION COMMAND` in `folder` on the node alice.
pub(crate) fn call(program: &Path, folder: &Path, configuration: &str, command: &str) -> Output {
    Command::new(program)
        .current_dir(folder)
        .env("__DRBD_NODE__", "alice")
        .env("DRBD_DONT_WARN_ON_VERSION_MISMATCH", "1")
        .arg("-s")
        .arg(folder.join("drbdsetup-84"))
        .arg("-m")
        .arg(folder.join("drbdmeta"))
        .args(["-c", configuration])
        .args(command.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}
