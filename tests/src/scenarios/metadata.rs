// SPDX-License-Identifier: GPL-2.0
//! Disks that one implementation made and the other one reads.

use std::fs;

use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, Result};
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::stack::STOCK_TOOLS;

/// Metadata across implementations.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "metadata-tools",
        about: "what one drbdmeta writes the stock one reads the same, and back; all layouts",
        source: include_str!("metadata.rs"),
        loaded: false,
        run: tools,
        ..PLAIN
    },
    Scenario {
        name: "metadata-swap-disks",
        about: "disks in sync change machines, attach there without a resync, and go back",
        source: include_str!("metadata.rs"),
        pairs: &["ours:c"],
        run: swap_disks,
        ..PLAIN
    },
];

/// Where the metadata of `/dev/data0` is: drbdmeta's device and index.
const LAYOUTS: [&str; 3] = [
    "/dev/data0 internal",
    "/dev/data1 flex-external",
    "/dev/data3 0",
];

fn tools(lab: &Lab) -> Result<()> {
    for node in lab.nodes() {
        for layout in LAYOUTS {
            let stock = format!("{STOCK_TOOLS}/drbdmeta");
            for (maker, reader) in [("drbdmeta", stock.as_str()), (stock.as_str(), "drbdmeta")] {
                made_and_read(node, maker, reader, layout)?;
            }
        }
    }
    Ok(())
}

fn made_and_read(node: &Node, maker: &str, reader: &str, layout: &str) -> Result<()> {
    let make = |tool: &str, verb: &str| format!("{tool} --force 30 v08 {layout} {verb}");
    node.sh(&make(maker, "create-md"))?;
    for verb in ["get-gi", "show-gi", "dump-md"] {
        let (ours, theirs) = (
            node.sh(&without_remarks(&make(maker, verb)))?,
            node.sh(&without_remarks(&make(reader, verb)))?,
        );
        ensure(ours == theirs && !ours.is_empty(), || {
            format!(
                "{}: {layout}: {verb} by {maker}:\n{ours}\nby {reader}:\n{theirs}",
                node.name()
            )
        })?;
    }
    let fresh = node.sh(&make(reader, "get-gi"))?;
    ensure(
        fresh.trim()
            == "0000000000000004:0000000000000000:0000000000000000:0000000000000000:0:0:0:0:0:0:0",
        || format!("{layout}: fresh metadata by {maker}: {fresh}"),
    )?;
    node.sh(&make(reader, "wipe-md"))?;
    let gone = node.try_sh(&make(maker, "dump-md"))?;
    ensure(gone.code != 0, || {
        format!("{layout}: wiped by {reader}, and still:\n{gone}")
    })
}

/// dump-md begins with a remark that names the program, its version and the time. The flags are
/// left out too: the stock tool always prints them as 0 (docs/differences.md, drbdmeta).
fn without_remarks(command: &str) -> String {
    format!("{command} | sed '/^#/d; /^ *flags 0x/d'")
}

fn swap_disks(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    steps::fill(alpha, "mkfs.ext4 -q", &r0, 50)?;
    alpha.sh("umount /mnt")?;
    steps::demote(alpha)?;
    for round in ["there", "back"] {
        exchange(lab, &r0)?;
        // Each node serves what the other one wrote.
        for node in [beta, alpha] {
            node.sh("drbdadm primary r0 && mount /dev/drbd1 /mnt")?;
            steps::verify(node)?;
            node.sh(&format!("echo {round} >>/mnt/rounds && umount /mnt"))?;
            steps::demote(node)?;
        }
    }
    alpha.sh("drbdadm primary r0 && mount /dev/drbd1 /mnt")?;
    alpha.sh("test $(wc -l </mnt/rounds) = 4 && umount /mnt")?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// Takes r0 down cleanly, carries each disk to the other machine, and takes r0 up again there.
fn exchange(lab: &Lab, r0: &Resource) -> Result<()> {
    let (alpha, beta) = lab.pair();
    // By one reader on both nodes: ours shows flags that the stock one prints as 0.
    let dump = without_remarks(&format!(
        "{STOCK_TOOLS}/drbdmeta 1 v08 /dev/data0 internal dump-md"
    ));
    let mut dumps = Vec::new();
    for node in lab.nodes() {
        node.sh("udevadm settle; drbdadm down r0 && sync")?;
        dumps.push(node.sh(&dump)?);
    }
    for node in lab.nodes() {
        node.pull_the_plug();
    }
    let (left, right) = (alpha.place().disk(0), beta.place().disk(0));
    let aside = left.with_extension("aside");
    fs::rename(&left, &aside).at("rename", &left)?;
    fs::rename(&right, &left).at("rename", &right)?;
    fs::rename(&aside, &right).at("rename", &aside)?;
    for (node, before) in lab.nodes().iter().zip(dumps.iter().rev()) {
        lab.power_on(node)?;
        steps::configure_one(lab, node, &[r0])?;
        let here = node.sh(&dump)?;
        ensure(here == *before, || {
            format!(
                "{}: dumped there:\n{before}\nand here:\n{here}",
                node.name()
            )
        })?;
        load_module(node)?;
        node.sh("drbdadm up r0")?;
    }
    for node in lab.nodes() {
        // Equal generations: nothing was sent but the greeting.
        node.wait_drbd(
            r0.minor(),
            &format!("{} C r-----\n *ns:0 nr:0 ", steps::IN_SYNC),
        )?;
    }
    Ok(())
}
