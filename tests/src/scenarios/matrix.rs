// SPDX-License-Identifier: GPL-2.0
//! Ours together with C, pairwise: however the copies parted, whoever is the source, whoever is
//! Primary meanwhile, with each protocol and what guards the data. `docs/interop.md` lists the
//! cells.

use std::fmt;

use super::after::{rate, FAST};
use super::detach::detach;
use super::{crash, steps, Scenario, MIXED, PLAIN};
use crate::compare;
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::stack::Stack;
use crate::time;

/// One scenario: a pairing plays the cells that are meant for it, in the same two machines.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "interop",
    about: "ways to part and to meet again, by protocol, source, Primary and option, pairwise",
    source: include_str!("matrix.rs"),
    pairs: MIXED,
    run: matrix,
    ..PLAIN
}];

/// One of the two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first of a pairing.
    Alpha,
    /// The second.
    Beta,
}
use Side::{Alpha, Beta};

/// How one node comes to lack what the other has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recovery {
    /// The Primary goes on alone.
    CableCut,
    /// The Secondary loses its power.
    SecondaryDies,
    /// The Primary loses its power, and the other one is promoted.
    PrimaryDies,
    /// The Secondary gets a new disk.
    NewDisk,
    /// Both have written, and one of them gives up its own.
    SplitBrain,
}
use Recovery::{CableCut, NewDisk, PrimaryDies, SecondaryDies, SplitBrain};

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CableCut => "cable cut",
            SecondaryDies => "Secondary's power",
            PrimaryDies => "Primary's power",
            NewDisk => "new disk",
            SplitBrain => "split brain",
        })
    }
}

/// An algorithm that both nodes use on the way of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// None.
    Nothing,
    /// Blocks that are equal already are not sent.
    Checksums,
    /// Each write carries a digest.
    Integrity,
    /// Who connects proves that it knows a secret.
    Secret,
}
use Guard::{Checksums, Integrity, Nothing, Secret};

impl Guard {
    fn apply(self, r0: Resource) -> Resource {
        match self {
            Nothing => r0,
            Checksums => r0.net("csums-alg crc32c"),
            Integrity => r0.net("data-integrity-alg crc32c"),
            Secret => r0.net("cram-hmac-alg sha1").net("shared-secret \"matrix\""),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nothing => "none",
            Checksums => "csums-alg",
            Integrity => "data-integrity-alg",
            Secret => "cram-hmac-alg",
        })
    }
}

/// A combination. "Alpha" and "beta" are drivers, too, on a pairing of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Which node has our driver.
    pub ours: Side,
    /// How the copies part.
    pub recovery: Recovery,
    /// What guards the data.
    pub guard: Guard,
    /// The protocol.
    pub protocol: char,
    /// Who has the good data, and sends it.
    pub source: Side,
    /// Who is Primary, and writes, while that is under way.
    pub primary: Side,
}

const fn cell(
    ours: Side,
    recovery: Recovery,
    guard: Guard,
    protocol: char,
    source: Side,
    primary: Side,
) -> Cell {
    Cell {
        ours,
        recovery,
        guard,
        protocol,
        source,
        primary,
    }
}

/// In these any two values of two dimensions meet; the dimensions are those of a cell, and which
/// driver is source, and which is Primary.
pub const CELLS: [Cell; 20] = [
    cell(Alpha, CableCut, Nothing, 'B', Beta, Alpha),
    cell(Beta, CableCut, Checksums, 'A', Beta, Alpha),
    cell(Alpha, CableCut, Integrity, 'C', Alpha, Alpha),
    cell(Beta, CableCut, Secret, 'A', Alpha, Beta),
    cell(Alpha, SecondaryDies, Nothing, 'B', Alpha, Beta),
    cell(Alpha, SecondaryDies, Checksums, 'A', Alpha, Alpha),
    cell(Beta, SecondaryDies, Integrity, 'B', Beta, Alpha),
    cell(Alpha, SecondaryDies, Secret, 'C', Beta, Beta),
    cell(Beta, PrimaryDies, Nothing, 'B', Beta, Alpha),
    cell(Alpha, PrimaryDies, Checksums, 'C', Beta, Beta),
    cell(Beta, PrimaryDies, Integrity, 'A', Alpha, Alpha),
    cell(Beta, PrimaryDies, Secret, 'C', Beta, Beta),
    cell(Beta, NewDisk, Nothing, 'C', Alpha, Beta),
    cell(Beta, NewDisk, Checksums, 'B', Beta, Alpha),
    cell(Alpha, NewDisk, Integrity, 'C', Beta, Beta),
    cell(Alpha, NewDisk, Secret, 'A', Beta, Alpha),
    cell(Alpha, SplitBrain, Nothing, 'A', Alpha, Alpha),
    cell(Beta, SplitBrain, Checksums, 'C', Beta, Beta),
    cell(Alpha, SplitBrain, Integrity, 'C', Beta, Alpha),
    cell(Beta, SplitBrain, Secret, 'B', Alpha, Alpha),
];

/// All combinations that a pairing can play.
fn product() -> Vec<Cell> {
    let mut cells = Vec::new();
    for recovery in [CableCut, SecondaryDies, PrimaryDies, NewDisk, SplitBrain] {
        for guard in [Nothing, Checksums, Integrity, Secret] {
            for protocol in ['A', 'B', 'C'] {
                for source in [Alpha, Beta] {
                    for primary in [Alpha, Beta] {
                        cells.push(cell(Alpha, recovery, guard, protocol, source, primary));
                    }
                }
            }
        }
    }
    cells
}

/// The cells for the pairing of a lab: with the same driver on both nodes, all of them.
fn cells(lab: &Lab) -> Vec<Cell> {
    if lab.setup().soak {
        return product();
    }
    let (alpha, beta) = lab.pair();
    let meant = |cell: &Cell| match cell.ours {
        _ if alpha.stack() == beta.stack() => true,
        Alpha => beta.stack() == Stack::C,
        Beta => alpha.stack() == Stack::C,
    };
    CELLS.into_iter().filter(meant).collect()
}

/// Parts of the device, each of 1 MiB: where they begin, in MiB.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Written while the nodes are connected.
    Together = 0,
    /// Written by the source alone.
    Alone = 4,
    /// Written by the one that gives it up.
    GivenUp = 8,
    /// Written during the resync.
    During = 12,
}

/// What a cell writes to a part: no other cell writes the same.
fn content(number: usize, part: Part) -> String {
    format!("yes 'cell {number} {part:?}' | head -c 1M")
}

fn write(node: &Node, number: usize, part: Part) -> Result<()> {
    node.sh(&format!(
        "{} | dd of=/dev/drbd1 bs=64k seek={} iflag=fullblock oflag=direct conv=fsync status=none",
        content(number, part),
        part as usize * 16,
    ))
    .map(|_| ())
}

fn check(node: &Node, number: usize, part: Part) -> Result<()> {
    node.sh(&format!(
        "{} >/tmp/wanted && dd if=/dev/data0 bs=64k skip={} count=16 iflag=direct status=none | \
         cmp - /tmp/wanted",
        content(number, part),
        part as usize * 16,
    ))
    .map(|_| ())
}

/// With a resync of which one MiB takes five seconds. The loss of the peer is noticed soon.
fn resource(cell: &Cell) -> Resource {
    let r0 = Resource::r0()
        .disk("c-plan-ahead 0")
        .disk("resync-rate 200k")
        .disk("size 24M")
        .net("verify-alg crc32c")
        .net("ping-int 1")
        .net("ping-timeout 50")
        .net("connect-int 3")
        .protocol(cell.protocol);
    cell.guard.apply(r0)
}

fn matrix(lab: &Lab) -> Result<()> {
    let cells = cells(lab);
    for (number, cell) in cells.iter().enumerate() {
        let r0 = resource(cell);
        if number == 0 {
            crash::bring_up(lab, &r0)?;
            steps::demote(lab.pair().0)?;
        } else {
            steps::configure(lab, &[&r0])?;
            for node in lab.nodes() {
                node.sh("drbdadm up r0")?;
            }
        }
        for node in lab.nodes() {
            node.wait_drbd(1, steps::IN_SYNC)?;
        }
        play(lab, cell, &r0, number)
            .map_err(|error| LabError::Mismatch(format!("{cell:?}\n{error}")))?;
    }
    Ok(())
}

/// Plays a cell from in sync to in sync; both nodes are Secondary before, and down after it.
fn play(lab: &Lab, cell: &Cell, r0: &Resource, number: usize) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let ordered = |first: Side| match first {
        Alpha => (alpha, beta),
        Beta => (beta, alpha),
    };
    let (source, target) = ordered(cell.source);
    let (primary, secondary) = ordered(cell.primary);

    part(cell, source, target, number)?;
    write(source, number, Part::Alone)?;
    if cell.primary != cell.source {
        steps::demote(source)?;
    }
    meet(lab, cell, target, r0)?;
    target.wait_drbd(1, "cs:SyncTarget ro:Secondary/.* ds:Inconsistent/UpToDate")?;
    if cell.primary != cell.source {
        target.sh("drbdadm primary r0")?;
    }
    write(primary, number, Part::During)?;
    for node in lab.nodes() {
        rate(node, r0, FAST)?;
    }
    steps::wait_synced(primary, secondary, r0)?;

    // The command comes back when both nodes are at it.
    primary.sh("drbdadm verify r0")?;
    for node in [primary, secondary] {
        node.wait_drbd_within(1, "cs:Connected ", time::resync())?;
        let different = node.counter("oos")?;
        ensure(different == 0, || {
            format!("{different} KiB differ on {}", node.name())
        })?;
    }
    steps::demote(primary)?;
    let bytes = steps::device_bytes(alpha, r0)?;
    for node in lab.nodes() {
        node.sh("udevadm settle; drbdadm down r0")?;
    }
    compare::same_data(alpha, beta, 0, bytes)?;
    // With A, what a Primary has acknowledged may die with it.
    if (cell.recovery, cell.protocol) != (PrimaryDies, 'A') {
        check(alpha, number, Part::Together)?;
    }
    check(alpha, number, Part::Alone)?;
    check(alpha, number, Part::During)
}

/// Both write together; then the source is Primary, alone.
fn part(cell: &Cell, source: &Node, target: &Node, number: usize) -> Result<()> {
    let writer = match cell.recovery {
        PrimaryDies => target,
        _ => source,
    };
    writer.sh("drbdadm primary r0")?;
    write(writer, number, Part::Together)?;
    match cell.recovery {
        CableCut => {
            target.cut_the_cable()?;
            target.wait_drbd(1, "cs:WFConnection ro:Secondary/Unknown")?;
        }
        SecondaryDies => target.pull_the_plug(),
        PrimaryDies => {
            target.pull_the_plug();
            source.wait_drbd(1, "cs:WFConnection ro:Secondary/Unknown")?;
            source.sh("drbdadm primary r0")?;
        }
        NewDisk => {
            detach(target, "/dev/data0")?;
            target.sh("drbdadm create-md --force r0")?;
            source.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/Diskless")?;
            return Ok(());
        }
        SplitBrain => {
            target.sh("drbdadm disconnect r0 && drbdadm primary r0")?;
            write(target, number, Part::GivenUp)?;
            steps::demote(target)?;
        }
    }
    source
        .wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/")
        .map(|_| ())
}

/// The target is there again, whoever is Primary.
fn meet(lab: &Lab, cell: &Cell, target: &Node, r0: &Resource) -> Result<()> {
    match cell.recovery {
        CableCut => target.plug_the_cable(),
        SecondaryDies | PrimaryDies => {
            lab.power_on(target)?;
            steps::configure_one(lab, target, &[r0])?;
            load_module(target)?;
            target.sh("drbdadm up r0").map(|_| ())
        }
        NewDisk => target.sh("drbdadm attach r0").map(|_| ()),
        SplitBrain => target
            .sh("drbdadm connect --discard-my-data r0")
            .map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The dimensions of a cell, each as a small number.
    fn values(cell: &Cell) -> [usize; 8] {
        [
            cell.ours as usize,
            cell.recovery as usize,
            cell.guard as usize,
            usize::from(cell.protocol as u8 - b'A'),
            cell.source as usize,
            cell.primary as usize,
            usize::from(cell.source == cell.ours),
            usize::from(cell.primary == cell.ours),
        ]
    }

    #[test]
    fn any_two_values_of_two_dimensions_meet() {
        let sizes = [2, 5, 4, 3, 2, 2, 2, 2];
        for (i, first) in sizes.iter().enumerate() {
            for (j, second) in sizes.iter().enumerate().skip(i + 1) {
                let met: BTreeSet<_> = CELLS
                    .iter()
                    .map(|cell| (values(cell)[i], values(cell)[j]))
                    .collect();
                assert_eq!(met.len(), first * second, "{i} {j}");
            }
        }
    }

    #[test]
    fn the_product_has_each_combination_once() {
        let all: BTreeSet<_> = product().iter().map(values).collect();
        assert_eq!(all.len(), 5 * 4 * 3 * 2 * 2);
        for cell in &CELLS {
            let as_alpha = Cell {
                ours: Alpha,
                ..*cell
            };
            assert!(all.contains(&values(&as_alpha)));
        }
    }
}
