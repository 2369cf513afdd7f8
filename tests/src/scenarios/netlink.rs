// SPDX-License-Identifier: GPL-2.0
//! Netlink messages that no tool would send, at a module with a mirror that works.

use std::fs;

use super::{steps, Oracle, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::stack::Implementation;
use crate::time;

/// Mutated messages.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "netlink-mutated",
    about: "10,000 mutated netlink messages: documented errors, and the mirror is as it was",
    source: concat!(
        include_str!("netlink.rs"),
        include_str!("../agent/mutate.rs"),
        include_str!("../agent/mutate/message.rs"),
        include_str!("../agent/mutate/socket.rs"),
    ),
    c: Oracle::Pass,
    pairs: &["ours:ours", "ours:c"],
    run: mutated,
    ..PLAIN
}];

/// How the mirror looks from alpha while all this goes on.
const WELL: &str = "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";

fn mutated(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    steps::fill(alpha, "mkfs.ext4 -q", &r0, 200)?;
    alpha.sh(
        "drbdmeta --force 1200 v08 /dev/data1 internal create-md && \
         drbdsetup new-resource scratch && drbdsetup new-minor scratch 1200 0 && \
         drbdsetup attach 1200 /dev/data1 /dev/data1 internal",
    )?;
    let before = configuration(alpha)?;
    let writer = alpha.start_sh(
        "i=0; while test ! -e /tmp/enough; do i=$((i+1)); \
         dd if=/dev/urandom of=/mnt/more bs=64k count=8 conv=fsync 2>/dev/null || exit; done; \
         test $i -gt 3",
    )?;

    // Two things that a C driver does not survive are not asked of it: a pause of a bare minor
    // waits for ever, an attach with the wrong index leaves a link that the kernel warns of.
    let careful = match alpha.stack().module {
        Implementation::Ours => "",
        Implementation::C => "careful",
    };
    let table = alpha.sh_within(
        &format!("/proc/1/exe mutate count=10000 seed=20261122 {careful}"),
        time::resync(),
    )?;
    let path = lab.setup().folder.join("netlink-mutated.txt");
    fs::write(&path, &table).at("write", &path)?;
    ensure(table.lines().count() > 50, || table)?;

    alpha.sh("touch /tmp/enough")?;
    writer.succeed(time::command())?;
    alpha.sh("rm /tmp/enough")?;
    let after = configuration(alpha)?;
    ensure(before == after, || format!("{before}\nhas become\n{after}"))?;
    alpha.wait_drbd(1, WELL)?;
    steps::verify(alpha)?;
    alpha.sh("umount /mnt")?;
    steps::wait_synced(alpha, beta, &r0)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// All settings of the mirror, its state and its flags.
fn configuration(node: &Node) -> Result<String> {
    node.sh("drbdsetup show r0 --show-defaults; drbdsetup status r0 --verbose; drbdsetup get-gi 1")
}
