// SPDX-License-Identifier: GPL-2.0
//! Wall-clock figures between two ordinary machines, on RAM disks. They depend on the host and on
//! what else it does, so only the ratio of two stacks in one run tells something, and not much.

use std::path::Path;

use super::load::{Load, Operation, Until};
use super::{selected, Row};
use crate::drbdconf::Resource;
use crate::error::{LabError, Result};
use crate::lab::{load_module, Lab, Setup};
use crate::machine::{Clock, Hardware};
use crate::node::Node;
use crate::scenarios::steps;
use crate::stack::{Build, Stack};
use crate::time;

/// The size of each RAM disk in MiB.
const DISK_MIB: u32 = 64;
/// How long each load runs.
const SECONDS: u32 = 4;

const DEPTHS: [u32; 3] = [1, 16, 64];

/// What one stack does, load by load. Rates: more is better.
///
/// # Errors
/// When the machines do not come up or a command fails.
pub fn measure(stack: Stack, build: &Build, folder: &Path, filter: &[String]) -> Result<Vec<Row>> {
    let lab = Lab::boot(Setup {
        stacks: vec![stack, stack],
        hardware: Hardware {
            disks_mib: Vec::new(),
            ..Hardware::default()
        },
        clock: Clock::Wall,
        folder: folder.join(format!("wall-{stack}")),
        build: build.clone(),
        soak: false,
    })?;
    for node in lab.nodes() {
        node.sh(&format!("modprobe brd rd_nr=1 rd_size={}", DISK_MIB << 10))?;
        node.sh(&format!(
            "dd if=/dev/zero of=/dev/ram0 bs=1M count={DISK_MIB} 2>/dev/null"
        ))?;
        load_module(node)?;
    }
    let (alpha, beta) = lab.pair();
    let mirror = |protocol| {
        Resource::new("r0", 1, "/dev/ram0")
            .fast_resync()
            .net("max-buffers 8000")
            .net("max-epoch-size 8000")
            .protocol(protocol)
    };
    steps::bring_up_in_sync(&lab, &mirror('C'))?;
    let mut rows = Vec::new();
    let mut add = |name: String, measure: &dyn Fn() -> Result<f64>| -> Result<()> {
        if selected(&name, filter) {
            rows.push(Row {
                value: measure()?,
                name,
                raw: None,
            });
        }
        Ok(())
    };
    let run = |load: Load| load.run(alpha, "/dev/drbd1", Until::Seconds(SECONDS));
    for protocol in ['A', 'B', 'C'] {
        steps::configure(&lab, &[&mirror(protocol)])?;
        for node in [beta, alpha] {
            node.sh("drbdadm adjust r0")?;
        }
        alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
        for depth in DEPTHS {
            let load = Load::new(Operation::Write4K, depth);
            add(format!("{load}, protocol {protocol} (1/s)"), &|| run(load))?;
        }
    }
    let load = Load::new(Operation::Write1M, 4);
    add(format!("{load} (1/s)"), &|| run(load))?;
    let load = Load::new(Operation::Read4K, 16);
    add(format!("{load} (1/s)"), &|| run(load))?;
    add("full resync (MiB/s)".into(), &|| resync(alpha, beta))?;
    for node in lab.nodes() {
        node.complete_log()?;
        node.is_well()?;
    }
    Ok(rows)
}

/// MiB per second of a full resync, from the command that asks for it to its end.
fn resync(source: &Node, target: &Node) -> Result<f64> {
    let seconds = seconds_to_sync(target, "drbdadm invalidate r0")?;
    source.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    Ok(f64::from(DISK_MIB) / seconds)
}

/// Seconds from a command on a node until it is in sync.
///
/// # Errors
/// When the command fails, or the node does not get there.
pub(super) fn seconds_to_sync(node: &Node, command: &str) -> Result<f64> {
    // All by the guest: what it takes to talk to it does not count.
    let said = node.sh_within(
        &format!(
            "a=$(date +%s%N); {command}; \
             until grep -q 'cs:Connected .* ds:UpToDate/UpToDate' /proc/drbd; \
             do sleep 0.05; done; echo $(($(date +%s%N) - a))"
        ),
        time::resync(),
    )?;
    let nanoseconds: f64 = said
        .trim()
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .filter(|nanoseconds| *nanoseconds > 0.0)
        .ok_or_else(|| LabError::Mismatch(format!("no duration of the resync:\n{said}")))?;
    Ok(nanoseconds / 1e9)
}
