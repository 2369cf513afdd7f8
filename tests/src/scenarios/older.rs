// SPDX-License-Identifier: GPL-2.0
//! Peers of older protocol versions.
//!
//! There is none to be had any more; a program plays them (`older_peer.py`), which was written from
//! the sheet and refuses what the sheet does not allow. The oracle is the C driver, here, too: it
//! takes that program for a peer of that version.

use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::{Job, Node};
use crate::time;

/// Older peers.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "older-peers",
    about: "peers of protocol 86 to 100, as source and as target: full sync, writes, resync",
    source: concat!(include_str!("older.rs"), include_str!("older_peer.py")),
    run: older_peers,
    ..PLAIN
}];

const PEER: &str = include_str!("older_peer.py");

/// Each of them changed something (wire-protocol.md, 17.1).
const VERSIONS: [u32; 8] = [86, 87, 88, 89, 90, 95, 96, 100];

/// What is used of the disk.
const BYTES: u64 = 2 << 20;

const SYNCED: &str = "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate";

fn older_peers(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    // Links are made often, and before each a node looks again for so long (0.1 s).
    let r0 = Resource::r0()
        .fast_resync()
        .disk("size 2M")
        .net("socket-check-timeout 5");
    steps::configure(lab, &[&r0])?;
    beta.put("/tmp/older_peer.py", PEER.as_bytes())?;
    for version in VERSIONS {
        // It begins without data; all that alpha has comes over.
        alpha.sh("drbdadm create-md --force r0 && drbdadm up r0 && drbdadm primary --force r0")?;
        beta.sh("rm -f /tmp/peer.*")?;
        let link = begin(beta, version, "target")?;
        alpha.wait_drbd(1, SYNCED)?;
        // Writes of several sizes, some of them larger than a request may be at this version.
        alpha.sh(
            "for kib in 1 4 64 512; do dd if=/dev/urandom of=/dev/drbd1 bs=${kib}k \
             count=2 seek=1 oflag=direct conv=fsync status=none || exit 1; done",
        )?;
        let said = end(beta, link)?;
        ensure(
            said.contains("asked for 512 blocks") && !said.contains("got 0 writes"),
            || format!("version {version}: a full sync and writes: {said}"),
        )?;
        same(alpha, "/dev/drbd1", beta, version)?;

        // It misses five blocks, and is given these and no others.
        alpha.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown")?;
        alpha.sh(
            "for block in 3 77 78 400 511; do dd if=/dev/urandom of=/dev/drbd1 bs=4k count=1 \
             seek=$block oflag=direct status=none || exit 1; done",
        )?;
        let link = begin(beta, version, "target")?;
        alpha.wait_drbd(1, SYNCED)?;
        let said = end(beta, link)?;
        ensure(said.contains("asked for 5 blocks"), || {
            format!("version {version}: five blocks were written: {said}")
        })?;
        same(alpha, "/dev/drbd1", beta, version)?;
        alpha.sh("drbdadm down r0 && drbdadm create-md --force r0")?;

        // The other way round: it is Primary and has the data.
        alpha.sh("drbdadm up r0")?;
        beta.sh("rm -f /tmp/peer.*")?;
        let link = begin(beta, version, "source")?;
        alpha.wait_drbd(1, "cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate")?;
        end(beta, link)?;
        alpha.sh("drbdadm down r0")?;
        same(alpha, "/dev/data0", beta, version)?;
    }
    Ok(())
}

/// Starts a peer of this version, and waits until it has synced.
fn begin<'n>(beta: &'n Node, version: u32, role: &str) -> Result<Job<'n>> {
    beta.sh("rm -f /tmp/stop")?;
    let mut link = beta.start_sh(&format!(
        "exec python3 /tmp/older_peer.py {version} {role} 2>&1"
    ))?;
    link.until("the peer to be in sync", time::resync(), |seen| {
        seen.out.contains("settled")
    })?;
    Ok(link)
}

/// Lets it go; what it said.
fn end(beta: &Node, link: Job<'_>) -> Result<String> {
    beta.sh("touch /tmp/stop")?;
    link.succeed(time::command())
}

/// Both have the same data.
fn same(alpha: &Node, device: &str, beta: &Node, version: u32) -> Result<()> {
    let sum = |node: &Node, from: &str| node.sh(&format!("head -c {BYTES} {from} | sha256sum"));
    let (ours, theirs) = (sum(alpha, device)?, sum(beta, "/tmp/peer.img")?);
    ensure(ours == theirs, || {
        format!("version {version}: {device} and its peer differ")
    })
}
