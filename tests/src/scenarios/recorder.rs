// SPDX-License-Identifier: GPL-2.0
//! The flight recorder: what the nodes have done is what the core says.

use std::time::Instant;

use super::{steps, Oracle, Scenario, OURS, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, LabError, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// What only ours has.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "flight-recorder",
    about: "a cut cable, commands, connections: the tape of each node, played again on the \
            host, shows no difference",
    source: include_str!("recorder.rs"),
    c: Oracle::NotAsked,
    pairs: OURS,
    run: flight_recorder,
    ..PLAIN
}];

const FILE: &str = "/sys/kernel/debug/drbd/resources/r0/flight-recorder";

fn flight_recorder(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    for node in lab.nodes() {
        replay(node, "young")?;
    }

    // The link is lost and comes back, with something to resync.
    beta.cut_the_cable()?;
    alpha.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown")?;
    alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=1M count=4 oflag=direct 2>&1")?;
    beta.plug_the_cable()?;
    steps::wait_synced(alpha, beta, &r0)?;

    // What an administrator may do.
    alpha.sh("drbdadm suspend-io r0 && drbdadm resume-io r0")?;
    beta.sh("drbdadm pause-sync r0; drbdadm resume-sync r0")?;
    beta.sh("drbdadm detach r0 && drbdadm attach r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    beta.refuses(11, "drbdadm primary r0")?;
    steps::switch_over(alpha, beta, &r0)?;
    beta.sh("drbdadm invalidate-remote r0")?;
    steps::wait_synced(beta, alpha, &r0)?;
    for node in lab.nodes() {
        replay(node, "grown")?;
    }

    // Until nothing is left of the beginning.
    beta.sh(&format!(
        "for i in $(seq {ROUNDS}); do drbdsetup pause-sync 1 && drbdsetup resume-sync 1; done"
    ))?;
    for _ in 0..5 {
        alpha.sh("drbdadm disconnect r0")?;
        beta.wait_drbd(1, "cs:(WFConnection|StandAlone) ro:Primary/Unknown")?;
        beta.sh("drbdadm disconnect r0; drbdadm connect r0")?;
        alpha.sh("drbdadm connect r0")?;
        steps::wait_synced(beta, alpha, &r0)?;
    }
    for node in lab.nodes() {
        let played = replay(node, "old")?;
        ensure(played.recorded < played.events, || {
            format!("the tape of {} is not full yet: {played}", node.name())
        })?;
    }

    // It is for root, it survives a reader with a small buffer, and it goes with the resource.
    for node in lab.nodes() {
        node.sh(&format!("test $(stat -c %a%u {FILE}) = 4000"))?;
        node.sh(&format!("dd if={FILE} of=/tmp/tape bs=100 2>&1"))?;
        fine(node, play(&node.get("/tmp/tape")?)?)?;
    }
    steps::demote(beta)?;
    steps::down_and_compare(lab, &r0)?;
    for node in lab.nodes() {
        node.sh(&format!("test ! -e {FILE}"))?;
    }
    Ok(())
}

/// Two changes of state each, which fill a tape.
const ROUNDS: u32 = 600;

/// Copies the tape of a node to the host and plays it again. A state is seen before all that
/// follows from it is done: it is copied again until nothing is under way.
fn replay(node: &Node, age: &str) -> Result<drbd_replay::Played> {
    let start = Instant::now();
    loop {
        let tape = node.get(FILE)?;
        let kept = node.place().folder.join(format!("{age}.tape"));
        std::fs::write(&kept, &tape).at("write", &kept)?;
        let played = play(&tape)?;
        if played.under_way.is_empty() || start.elapsed() > time::state() {
            return fine(node, played);
        }
    }
}

fn play(tape: &[u8]) -> Result<drbd_replay::Played> {
    drbd_replay::play(tape, |_| {}).map_err(LabError::Mismatch)
}

fn fine(node: &Node, played: drbd_replay::Played) -> Result<drbd_replay::Played> {
    let fine = played.difference.is_none()
        && !played.damaged
        && played.under_way.is_empty()
        && played.played > 20;
    ensure(fine, || format!("{}: {played}", node.name()))?;
    Ok(played)
}
