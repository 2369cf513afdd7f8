// SPDX-License-Identifier: GPL-2.0
//! The processors that a resource's threads run on: `cpu-mask`.

use std::time::Instant;

use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::stack::Implementation;
use crate::time;

/// The option.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "cpu-mask",
    about: "a resource's threads run where cpu-mask says, from the start, after a change, and \
            after a new connection; masks that are none are refused",
    source: include_str!("cpumask.rs"),
    run: cpu_mask,
    ..PLAIN
}];

/// A mask, and what it comes to on a machine with two processors.
const CHANGES: [(&str, &str); 6] = [
    ("1", "1"),
    ("00000003", "3"),
    // The last group is that of the first processors; there are no others here.
    ("7,00000002", "2"),
    (",1", "1"),
    // More than there can be.
    ("f", "3"),
    ("2", "2"),
];

fn cpu_mask(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0()
        .fast_resync()
        .net("ping-int 1")
        .option("cpu-mask 2");
    steps::bring_up_in_sync(lab, &r0)?;
    everywhere(lab, |allowed| allowed == "2")?;
    for (mask, wanted) in CHANGES {
        for node in lab.nodes() {
            node.sh(&format!("drbdsetup resource-options r0 --cpu-mask={mask}"))?;
        }
        everywhere(lab, |allowed| allowed == wanted)?;
        let shown = alpha.sh("drbdsetup show r0")?;
        let found = shown.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words == ["cpu-mask", &format!("{mask};")]
                || words == ["cpu-mask", &format!("\"{mask}\";")]
        });
        ensure(found, || format!("{mask} in\n{shown}"))?;
    }

    // What is refused changes nothing.
    for node in lab.nodes() {
        for (command, words) in [
            (
                "drbdsetup resource-options r0 --cpu-mask=1,x",
                "r0: Failure: (162) Invalid configuration request",
            ),
            (
                "drbdsetup new-resource r1 --cpu-mask=1g",
                "r1: Failure: (122) kmalloc() failed. Out of memory?",
            ),
        ] {
            let said = node.refuses(10, command)?;
            ensure(said.starts_with(words), || said)?;
        }
        node.sh("! drbdsetup show r1 2>/dev/null | grep r1")?;
    }
    everywhere(lab, |allowed| allowed == "2")?;

    // Another option leaves alone what somebody has moved by hand.
    let by_hand = "t=$(pgrep -x drbd_r_r0) && taskset -p 1 $t >/dev/null && \
                   drbdsetup resource-options r0 --on-no-data-accessible=suspend-io && \
                   drbdsetup pause-sync 1 && drbdsetup resume-sync 1 && \
                   grep -qx 'Cpus_allowed:.1' /proc/$t/status";
    beta.sh(by_hand)?;

    // Threads of a new connection.
    beta.sh("drbdadm disconnect r0 && drbdsetup resource-options r0 --cpu-mask=1")?;
    alpha.sh("drbdsetup resource-options r0 --cpu-mask=1")?;
    beta.sh("drbdadm connect r0")?;
    alpha.sh("drbdadm connect r0 2>&1 || true")?;
    steps::wait_synced(alpha, beta, &r0)?;
    everywhere(lab, |allowed| allowed == "1")?;

    // None is named: ours go where the kernel likes, C chooses one processor for each resource.
    for node in lab.nodes() {
        node.sh("drbdsetup resource-options r0 --set-defaults --cpu-mask=0")?;
    }
    match alpha.stack().module {
        Implementation::Ours => everywhere(lab, |allowed| allowed == "3")?,
        Implementation::C => everywhere(lab, |allowed| allowed == "1" || allowed == "2")?,
    }
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// Waits until all threads of the resource, on both nodes, are allowed to run there.
fn everywhere(lab: &Lab, is_right: impl Fn(&str) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let mut seen = Vec::new();
        for node in lab.nodes() {
            seen.extend(threads(node)?);
        }
        if seen.iter().all(|(_, allowed)| is_right(allowed)) {
            return Ok(());
        }
        if start.elapsed() > time::state() {
            return Err(LabError::Mismatch(format!(
                "not where they should run: {seen:?}"
            )));
        }
        // C tells a thread when it next has something to do: the nodes talk about this.
        for node in lab.nodes() {
            node.sh("drbdsetup pause-sync 1 && drbdsetup resume-sync 1")?;
        }
    }
}

/// The names of the threads, and the processors that they may run on.
fn threads(node: &Node) -> Result<Vec<(String, String)>> {
    let said = node.sh("for t in $(pgrep '^drbd_[a-z]*_r0$'); do \
         echo $(cat /proc/$t/comm) $(sed -n 's/^Cpus_allowed:.//p' /proc/$t/status); done")?;
    let pairs = said.lines().filter_map(|line| line.split_once(' '));
    let threads: Vec<_> = pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    // Receiver, sender and ack receiver; ours has one for the acks besides.
    let least = match node.stack().module {
        Implementation::Ours => 4,
        Implementation::C => 3,
    };
    ensure(threads.len() >= least, || said)?;
    Ok(threads)
}
