// SPDX-License-Identifier: GPL-2.0
//! Split brains: both nodes write alone, meet again, and do what the policies say; what no policy
//! solves is solved by the documented commands.

use super::{steps, Scenario, OURS, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Split brains.
pub const SCENARIOS: [Scenario; 8] = [
    Scenario {
        name: "split-brain-by-hand",
        about: "no policy, a Primary and a Secondary: parted; --discard-my-data heals",
        pairs: OURS_AND_MIXED,
        run: |lab| play(lab, &BY_HAND),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-younger",
        about: "no Primary, discard-younger-primary: the node promoted first wins",
        run: |lab| play(lab, &YOUNGER),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-older",
        about: "no Primary, discard-older-primary: the node promoted last wins",
        run: |lab| play(lab, &OLDER),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-zero-changes",
        about: "no Primary, discard-zero-changes: the only one that wrote wins",
        run: |lab| play(lab, &ZERO_CHANGES),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-secondary",
        about: "one Primary, discard-secondary: the Primary wins and goes on",
        pairs: OURS_AND_MIXED,
        run: |lab| play(lab, &SECONDARY),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-consensus",
        about: "one Primary, consensus with least-changes for the Secondary: parted",
        run: |lab| play(lab, &CONSENSUS),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-pri-lost",
        about: "one Primary loses by call-pri-lost-after-sb: the handler is called there",
        pairs: OURS_AND_MIXED,
        run: |lab| play(lab, &PRI_LOST),
        ..SPLIT
    },
    Scenario {
        name: "split-brain-two-primaries",
        about: "two Primaries that may not be: parted, nobody's data changed",
        run: |lab| play(lab, &TWO_PRIMARIES),
        ..SPLIT
    },
];

const SPLIT: Scenario = Scenario {
    source: include_str!("split.rs"),
    pairs: OURS,
    ..PLAIN
};

/// A split brain, and what is to come of it. Alpha was Primary when the copies parted.
struct Case {
    /// Network options.
    net: &'static [&'static str],
    /// Who is Primary when they meet.
    primary: [bool; 2],
    /// Blocks of 4 KiB that each has written alone.
    changed: [u32; 2],
    /// Whose data survives: alpha's (0) or beta's (1).
    winner: usize,
    /// Only by hand; then these handlers are called on each node, among others.
    parted: Option<[&'static str; 2]>,
}

const BY_HAND: Case = Case {
    net: &[],
    primary: [true, false],
    changed: [3, 1],
    winner: 0,
    parted: Some(["split-brain", "split-brain"]),
};

const YOUNGER: Case = Case {
    net: &["after-sb-0pri discard-younger-primary"],
    primary: [false, false],
    changed: [1, 3],
    winner: 0,
    parted: None,
};

const OLDER: Case = Case {
    net: &["after-sb-0pri discard-older-primary"],
    primary: [false, false],
    changed: [3, 1],
    winner: 1,
    parted: None,
};

const ZERO_CHANGES: Case = Case {
    net: &["after-sb-0pri discard-zero-changes"],
    primary: [false, false],
    changed: [0, 2],
    winner: 1,
    parted: None,
};

const SECONDARY: Case = Case {
    net: &[
        "after-sb-0pri discard-least-changes",
        "after-sb-1pri discard-secondary",
    ],
    primary: [true, false],
    changed: [1, 3],
    winner: 0,
    parted: None,
};

const CONSENSUS: Case = Case {
    net: &[
        "after-sb-0pri discard-least-changes",
        "after-sb-1pri consensus",
    ],
    primary: [true, false],
    changed: [1, 3],
    winner: 0,
    parted: Some(["split-brain", "split-brain"]),
};

const PRI_LOST: Case = Case {
    net: &[
        "after-sb-0pri discard-remote",
        "after-sb-1pri call-pri-lost-after-sb",
        "rr-conflict call-pri-lost",
    ],
    primary: [true, false],
    changed: [1, 3],
    winner: 1,
    // Beta sees a solution: it is the one that is to survive.
    parted: Some(["pri-lost-after-sb", "initial-split-brain"]),
};

const TWO_PRIMARIES: Case = Case {
    net: &["after-sb-2pri violently-as0p"],
    primary: [true, true],
    changed: [2, 2],
    winner: 1,
    parted: Some(["initial-split-brain", "initial-split-brain"]),
};

/// Where handlers leave their names.
const CALLED: &str = "/run/handlers";

const HANDLERS: [&str; 4] = [
    "initial-split-brain",
    "split-brain",
    "pri-lost",
    "pri-lost-after-sb",
];

/// `discard-remote` is said on beta only: on alpha it has to be the counterpart.
fn resource(case: &Case, node: usize) -> Resource {
    let mut r0 = Resource::r0().fast_resync();
    for option in case.net {
        r0 = match (*option, node) {
            ("after-sb-0pri discard-remote", 0) => r0.net("after-sb-0pri discard-local"),
            (option, _) => r0.net(option),
        };
    }
    for name in HANDLERS {
        r0 = r0.handler(&format!("{name} \"echo {name} >>{CALLED}\""));
    }
    r0
}

/// Writes blocks that the other node has not written, and gives the checksum of all that was
/// ever written.
fn change(node: &Node, at: u32, blocks: u32) -> Result<String> {
    if blocks > 0 {
        node.sh(&format!(
            "dd if=/dev/urandom of=/dev/drbd1 bs=4k seek={at} count={blocks} oflag=direct"
        ))?;
    }
    checksum(node)
}

fn checksum(node: &Node) -> Result<String> {
    node.sh("dd if=/dev/drbd1 bs=4k count=32 iflag=direct 2>/dev/null | sha256sum")
}

fn play(lab: &Lab, case: &Case) -> Result<()> {
    let nodes = lab.nodes();
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;
    for (index, node) in nodes.iter().enumerate() {
        node.sh(&format!("rm -f {CALLED}"))?;
        steps::configure_one(lab, node, &[&resource(case, index)])?;
    }

    // Each goes its own way.
    beta.sh("drbdadm disconnect r0")?;
    beta.wait_drbd(1, "cs:StandAlone ro:Secondary/Unknown ds:UpToDate/DUnknown")?;
    alpha.sh("drbdadm disconnect r0")?;
    alpha.wait_drbd(1, "cs:StandAlone ro:Primary/Unknown ds:UpToDate/DUnknown")?;
    beta.sh("drbdadm primary r0")?;
    let data = [
        change(alpha, 0, case.changed[0])?,
        change(beta, 16, case.changed[1])?,
    ];
    for (node, primary) in nodes.iter().zip(case.primary) {
        if !primary {
            steps::demote(node)?;
        }
    }
    for node in nodes {
        node.sh("drbdadm connect r0")?;
    }
    let (winner, loser) = match case.winner {
        0 => (alpha, beta),
        _ => (beta, alpha),
    };
    if let Some(handlers) = case.parted {
        parted(lab, case, &handlers, &data)?;
        // The documented way out.
        if case.primary[1 - case.winner] {
            steps::demote(loser)?;
        }
        for node in nodes {
            node.sh("drbdadm disconnect r0 || true")?;
            node.wait_drbd(1, "cs:StandAlone")?;
        }
        loser.sh("drbdadm connect --discard-my-data r0")?;
        winner.sh("drbdadm connect r0")?;
    }
    for node in nodes {
        node.wait_drbd_within(
            1,
            "cs:Connected ro:[A-Za-z/]+ ds:UpToDate/UpToDate",
            time::resync(),
        )?;
    }
    // Only what either had changed was copied.
    let blocks = case.changed[0] + case.changed[1];
    let log = loser.complete_log()?;
    let line = format!(
        "Began resync as SyncTarget (will sync {} KB [{blocks} bits set])",
        blocks * 4
    );
    ensure(log.contains(&line), || format!("no `{line}`:\n{log}"))?;

    if !case.primary[case.winner] {
        winner.sh("drbdadm primary r0")?;
    }
    let now = checksum(winner)?;
    ensure(now == data[case.winner], || {
        format!("{} has lost data: {now}", winner.name())
    })?;
    steps::demote(winner)?;
    steps::down_and_compare(lab, &r0)
}

/// The nodes are not connected, the handlers were called, and no data has changed.
fn parted(lab: &Lab, case: &Case, handlers: &[&str; 2], data: &[String; 2]) -> Result<()> {
    for ((node, handler), (primary, data)) in lab
        .nodes()
        .iter()
        .zip(handlers)
        .zip(case.primary.iter().zip(data))
    {
        node.wait_file(
            "the handlers",
            CALLED,
            &format!("(?m)^{handler}$"),
            time::state(),
        )?;
        // Who closes first may leave the other waiting.
        node.wait_drbd(
            1,
            "cs:(StandAlone|WFConnection) ro:[A-Za-z]+/Unknown ds:UpToDate/DUnknown",
        )?;
        if *primary {
            let now = checksum(node)?;
            ensure(now == *data, || format!("{}: other data", node.name()))?;
        }
    }
    Ok(())
}
