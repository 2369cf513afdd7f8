// SPDX-License-Identifier: GPL-2.0
//! Waiting: for peers at boot, and for the end of a resync.

mod connect;
mod progress;

pub use connect::connect_interactively;

use super::exec::Runner;
use super::plan;
use super::run;
use super::select::Target;
use std::io::IsTerminal as _;

/// `wait-sync`: waits for each volume, with a live bar where somebody looks on.
pub fn sync(runner: &mut Runner<'_>, target: &Target<'_>, passed: &[String]) -> u8 {
    let watched = std::io::stderr().is_terminal() && runner.dry_run == 0;
    for volume in target.volumes() {
        let Some(action) = plan::of_volume("wait-sync", target.resource, volume, passed) else {
            return 20;
        };
        let bar = watched.then(|| progress::Watch::start(&target.resource.name.value, volume));
        let code = run::action(runner, &action);
        drop(bar);
        if code != 0 {
            return code;
        }
    }
    0
}
