// SPDX-License-Identifier: GPL-2.0
//! The guest's init and servant. See `drbd_lab::agent`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return match drbd_lab::agent::serve::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("drbd-lab-agent: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if std::process::id() == 1 {
        drbd_lab::agent::init::run();
    }
    eprintln!("drbd-lab-agent is the init of the lab's guests and of no other use");
    ExitCode::FAILURE
}
