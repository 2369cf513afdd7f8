// SPDX-License-Identifier: GPL-2.0
//! Counted instructions: exact, repeatable, and the same on any host.
//!
//! One machine holds both ends of the mirror, on RAM disks, connected over 127.0.0.1, and its time
//! is the number of its instructions ([`Clock::Instructions`]). Nothing there ever waits for
//! anything outside, so a second divided by the operations in it is what one operation costs, with
//! all that both ends, TCP and fio do for it.

use std::path::Path;

use super::ends;
use super::load::{Load, Operation, Until};
use super::{selected, Row};
use crate::error::Result;
use crate::lab::{Lab, Setup};
use crate::machine::{Clock, Hardware};
use crate::node::Node;
use crate::stack::{Build, Stack};

/// Loads of a replicated device.
const WRITES: [Load; 3] = [
    Load::new(Operation::Write4K, 1),
    Load::new(Operation::Write4K, 16),
    Load::new(Operation::Write4K, 64),
];
const OTHERS: [Load; 3] = [
    Load::new(Operation::Read4K, 1),
    Load::new(Operation::Read4K, 16),
    Load::new(Operation::Write1M, 4),
];
/// Loads whose extents are mostly not in the activity log.
const COLD: [Load; 2] = [
    Load::new(Operation::Write4K, 1),
    Load::new(Operation::Write4K, 16),
];

/// What one stack needs, load by load.
///
/// # Errors
/// When the machine does not come up or fio fails.
pub fn measure(stack: Stack, build: &Build, folder: &Path, filter: &[String]) -> Result<Vec<Row>> {
    let lab = Lab::boot(Setup {
        stacks: vec![stack],
        hardware: Hardware {
            memory_mib: 768,
            cpus: 1,
            disks_mib: Vec::new(),
            served: false,
        },
        clock: Clock::Instructions,
        folder: folder.join(format!("counted-{stack}")),
        build: build.clone(),
        soak: false,
    })?;
    let Some(node) = lab.nodes().first() else {
        return Ok(Vec::new());
    };
    ends::set_up(node, ends::WARM)?;
    let mut rows = Vec::new();
    for protocol in ['C', 'B', 'A'] {
        let wanted: Vec<(String, Load)> = WRITES
            .iter()
            .map(|load| (format!("{load}, protocol {protocol}"), *load))
            .filter(|(name, _)| selected(name, filter))
            .collect();
        if protocol != 'C' && !wanted.is_empty() {
            ends::use_protocol(node, protocol)?;
        }
        let any = !wanted.is_empty();
        for (name, load) in wanted {
            rows.push(row(node, name, load)?);
        }
        if any {
            ends::verify(node)?;
        }
    }
    for load in OTHERS {
        let name = load.to_string();
        if selected(&name, filter) {
            rows.push(row(node, name, load)?);
        }
    }
    let cold: Vec<(String, Load)> = COLD
        .iter()
        .map(|load| (format!("{load}, cold extents"), *load))
        .filter(|(name, _)| selected(name, filter))
        .collect();
    if !cold.is_empty() {
        ends::tear_down(node)?;
        ends::set_up(node, ends::COLD)?;
        for (name, load) in cold {
            rows.push(row(node, name, load)?);
        }
        ends::verify(node)?;
    }
    node.complete_log()?;
    node.is_well()?;
    Ok(rows)
}

fn row(node: &Node, name: String, load: Load) -> Result<Row> {
    Ok(Row {
        name,
        value: instructions(node, ends::DEVICE, load)?,
        raw: Some(instructions(node, ends::RAW, load)?),
    })
}

/// Instructions for one operation.
fn instructions(node: &Node, device: &str, load: Load) -> Result<f64> {
    let count = match load.operation {
        Operation::Write4K | Operation::Read4K => 8000,
        Operation::Write1M => 200,
    };
    // The first run fills caches: the activity log, the slabs of both ends.
    load.run(node, device, Until::Operations(count / 4))?;
    let rate = load.run(node, device, Until::Operations(count))?;
    Ok(1e9 / rate)
}
