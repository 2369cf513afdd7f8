// SPDX-License-Identifier: GPL-2.0
//! How long a Primary that lost its power under load takes to be in sync again, by wall clock.

use std::path::Path;

use super::load::{Load, Operation, Until};
use super::{selected, wall, Row};
use crate::drbdconf::Resource;
use crate::error::Result;
use crate::lab::{load_module, Lab, Setup};
use crate::machine::{Clock, Hardware};
use crate::scenarios::steps;
use crate::stack::{Build, Stack};
use crate::time;

/// The size of the disks in MiB. They have more extents than the log has slots.
const DISK_MIB: u32 = 400;

/// What one stack needs. Durations: less is better.
///
/// # Errors
/// When the machines do not come up or a command fails.
pub fn measure(stack: Stack, build: &Build, folder: &Path, filter: &[String]) -> Result<Vec<Row>> {
    let name = "in sync after a Primary's crash".to_owned();
    if !selected(&name, filter) {
        return Ok(Vec::new());
    }
    let lab = Lab::boot(Setup {
        stacks: vec![stack, stack],
        hardware: Hardware {
            disks_mib: vec![DISK_MIB],
            ..Hardware::default()
        },
        clock: Clock::Wall,
        folder: folder.join(format!("crashed-{stack}")),
        build: build.clone(),
        soak: false,
    })?;
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync().disk("al-extents 67");
    for node in lab.nodes() {
        load_module(node)?;
    }
    steps::bring_up_in_sync(&lab, &r0)?;
    // Enough to have touched all extents.
    Load::new(Operation::Write4K, 16).run(alpha, "/dev/drbd1", Until::Operations(2000))?;
    alpha.pull_the_plug();
    beta.wait_drbd_within(1, "cs:WFConnection ", time::state())?;
    beta.sh("drbdadm primary r0")?;
    lab.power_on(alpha)?;
    steps::configure_one(&lab, alpha, &[&r0])?;
    load_module(alpha)?;
    let value = 1e3 * wall::seconds_to_sync(alpha, "drbdadm up r0")?;
    steps::wait_synced(beta, alpha, &r0)?;
    for node in lab.nodes() {
        node.complete_log()?;
        node.is_well()?;
    }
    Ok(vec![Row {
        name,
        value,
        raw: None,
    }])
}
