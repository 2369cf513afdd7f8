// SPDX-License-Identifier: GPL-2.0
//! Fencing: a node that has lost its peer makes sure that the peer does not go on alone.

use super::{steps, Oracle, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Both policies, with every answer of the handler.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "fencing-resource-only",
        about: "fencing resource-only: the handler's answers on a Primary and at a promotion",
        source: include_str!("fencing.rs"),
        pairs: OURS_AND_MIXED,
        run: resource_only,
        ..PLAIN
    },
    Scenario {
        name: "fencing-stonith",
        about: "fencing resource-and-stonith: I/O is frozen until the peer is fenced, or back",
        source: include_str!("fencing.rs"),
        c: Oracle::KnownDefect {
            sheet: "docs/differences.md: the generation after a fence is written under RCU",
            shows: "Voluntary context switch within RCU",
        },
        // Not with C as the one that fences, for the same reason.
        pairs: &["ours:ours", "ours:c"],
        run: stonith,
        ..PLAIN
    },
];

/// The handlers. `fence-peer` waits while it is held, and ends with the code that was put down.
const FENCE: &str = "fence-peer \"while test -e /tmp/hold; do sleep 0.1; done; \
     echo fence $DRBD_RESOURCE $DRBD_MINOR >>/tmp/called; exit $(cat /tmp/code)\"";
const UNFENCE: &str = "unfence-peer \"echo unfence $DRBD_RESOURCE $DRBD_MINOR >>/tmp/called\"";

fn mirror(lab: &Lab, policy: &str) -> Result<Resource> {
    let r0 = Resource::r0()
        .fast_resync()
        .disk(&format!("fencing {policy}"))
        .handler(FENCE)
        .handler(UNFENCE);
    for node in lab.nodes() {
        node.sh("rm -f /tmp/hold /tmp/called; echo 4 >/tmp/code")?;
    }
    steps::bring_up_in_sync(lab, &r0)?;
    Ok(r0)
}

/// Waits until a node has called a handler, and forgets about it.
fn called(node: &Node, what: &str) -> Result<()> {
    let line = format!("^{what} r0 1\n");
    node.wait_file("the handler", "/tmp/called", &line, time::state())?;
    node.sh("rm /tmp/called").map(|_| ())
}

/// The link is lost in the eyes of alpha; beta does not look for it.
fn part(lab: &Lab) -> Result<()> {
    let (_, beta) = lab.pair();
    beta.sh("drbdadm disconnect --force r0")?;
    beta.wait_drbd(1, "cs:StandAlone").map(|_| ())
}

/// Connected and in sync again, and the fence is away.
fn meet(lab: &Lab, r0: &Resource) -> Result<()> {
    let (alpha, beta) = lab.pair();
    beta.sh("drbdadm connect r0")?;
    steps::wait_synced(alpha, beta, r0)?;
    called(alpha, "unfence")
}

fn write(node: &Node) -> Result<()> {
    node.sh("dd if=/dev/urandom of=/dev/drbd1 bs=64k count=4 oflag=direct 2>/dev/null")
        .map(|_| ())
}

/// A Primary that does not know what became of its peer.
const ALONE: &str = "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r";

/// A Primary becomes Secondary and goes.
fn leave(primary: &Node, other: &Node) -> Result<()> {
    steps::demote(primary)?;
    primary.wait_drbd(1, steps::IN_SYNC)?;
    primary.sh("drbdadm disconnect --force r0")?;
    other.wait_drbd(1, "cs:WFConnection").map(|_| ())
}

/// Promotes a node that is alone: with success, or it is refused with that code. Then its disk is
/// as given, and it has asked the handler.
fn promote(node: &Node, refused: Option<i32>, disk: &str) -> Result<()> {
    match refused {
        None => {
            node.sh("drbdadm primary r0")?;
            node.wait_drbd(1, "cs:WFConnection ro:Primary/Unknown ds:UpToDate/Outdated")?;
            write(node)?;
            steps::demote(node)?;
        }
        Some(code) => {
            node.refuses(code, "drbdadm primary r0")?;
            let left = format!("cs:WFConnection ro:Secondary/Unknown ds:{disk}/DUnknown");
            node.wait_drbd(1, &left)?;
        }
    }
    called(node, "fence")
}

/// The one that has gone is back, in sync, and Primary again.
fn rejoin(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    alpha.sh("drbdadm connect r0")?;
    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
    }
    alpha.sh("drbdadm primary r0")?;
    lab.nodes()
        .iter()
        .try_for_each(|node| node.sh("rm -f /tmp/called").map(|_| ()))
}

fn resource_only(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = mirror(lab, "resource-only")?;
    called(alpha, "unfence")?;

    // A Primary that loses its peer goes on at once, and hears of the handler later.
    for (code, pdsk) in [(4, "Outdated"), (3, "Inconsistent"), (5, "Outdated")] {
        alpha.sh(&format!("echo {code} >/tmp/code; touch /tmp/hold"))?;
        part(lab)?;
        alpha.wait_drbd(1, ALONE)?;
        write(alpha)?;
        alpha.sh("rm /tmp/hold")?;
        let fenced = format!("cs:WFConnection ro:Primary/Unknown ds:UpToDate/{pdsk} C r");
        alpha.wait_drbd(1, &fenced)?;
        called(alpha, "fence")?;
        meet(lab, &r0)?;
    }

    // Nothing is known of the peer: this node goes on, and asks nobody again.
    for code in [6, 1] {
        alpha.sh(&format!("echo {code} >/tmp/code"))?;
        part(lab)?;
        called(alpha, "fence")?;
        write(alpha)?;
        alpha.wait_drbd(1, ALONE)?;
        meet(lab, &r0)?;
    }

    // A Secondary that has lost its peer asks on its way to Primary.
    for (code, refused, disk) in [
        (6, Some(17), "Outdated"),
        (1, Some(11), "UpToDate"),
        (4, None, "UpToDate"),
    ] {
        beta.sh(&format!("echo {code} >/tmp/code"))?;
        leave(alpha, beta)?;
        beta.wait_drbd(
            1,
            "cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown",
        )?;
        promote(beta, refused, disk)?;
        rejoin(lab)?;
    }
    // One that has not met its peer since it came up does not know whether it is good enough.
    leave(alpha, beta)?;
    beta.sh("drbdadm down r0 && drbdadm up r0")?;
    beta.wait_drbd(
        1,
        "cs:WFConnection ro:Secondary/Unknown ds:Consistent/DUnknown",
    )?;
    for (code, refused, disk) in [(5, Some(17), "Consistent"), (7, None, "UpToDate")] {
        beta.sh(&format!("echo {code} >/tmp/code"))?;
        promote(beta, refused, disk)?;
    }
    rejoin(lab)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

fn stonith(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = mirror(lab, "resource-and-stonith")?;
    called(alpha, "unfence")?;
    let frozen = "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C s";

    // What is written meanwhile waits for the handler.
    for (code, pdsk) in [
        (7, "Outdated"),
        (4, "Outdated"),
        (3, "Inconsistent"),
        (5, "Outdated"),
    ] {
        alpha.sh(&format!("echo {code} >/tmp/code; touch /tmp/hold"))?;
        part(lab)?;
        alpha.wait_drbd(1, frozen)?;
        let writer = waiting_writer(alpha)?;
        alpha.sh("rm /tmp/hold")?;
        let fenced = format!("cs:WFConnection ro:Primary/Unknown ds:UpToDate/{pdsk} C r");
        alpha.wait_drbd(1, &fenced)?;
        writer.succeed(time::command())?;
        called(alpha, "fence")?;
        meet(lab, &r0)?;
    }

    // The handler fails: it stays frozen until the peer is back.
    alpha.sh("echo 1 >/tmp/code")?;
    part(lab)?;
    called(alpha, "fence")?;
    alpha.wait_drbd(1, frozen)?;
    let writer = waiting_writer(alpha)?;
    beta.sh("drbdadm connect r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    writer.succeed(time::command())?;

    // Or until the administrator has decided.
    alpha.sh("rm -f /tmp/called")?;
    part(lab)?;
    called(alpha, "fence")?;
    alpha.wait_drbd(1, frozen)?;
    let writer = waiting_writer(alpha)?;
    alpha.sh("drbdadm resume-io r0")?;
    alpha.wait_drbd(1, ALONE)?;
    writer.succeed(time::command())?;
    meet(lab, &r0)?;

    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// Starts to write, and sees that it waits.
fn waiting_writer(node: &Node) -> Result<crate::node::Job<'_>> {
    let writer = node.start_sh(
        "exec dd if=/dev/urandom of=/dev/drbd1 bs=64k count=4 oflag=direct 2>/dev/null",
    )?;
    // Its request has come to DRBD, and stays there.
    node.sh("until pgrep -x dd >/tmp/dd && grep -q D /proc/$(cat /tmp/dd)/stat; do :; done")?;
    let state = node.sh("sleep 1; awk '{ print $3 }' /proc/$(cat /tmp/dd)/stat")?;
    ensure(state.trim() == "D", || format!("the writer is `{state}`"))?;
    Ok(writer)
}
