// SPDX-License-Identifier: GPL-2.0
//! `drbdadm adjust` against running modules: each change of the configuration, or of what runs, is
//! planned by our drbdadm as by stock's; carried out, nothing is left to do.

use super::{faults, steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::time;

/// Both drbdadm look at the same module; the node's own one carries out.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "adjust-live",
    about:
        "27 changes planned alike by our drbdadm and stock's, and carried out; the log under load",
    source: include_str!("adjust.rs"),
    pairs: &["ours:ours", "c+ours:c+ours"],
    run: adjust_live,
    ..PLAIN
}];

/// Ours, whatever the node's stack is.
const OURS: &str = "/lab/adjust/drbdadm";
/// Stock's, for series 8.4; it calls the stock drbdsetup beside it.
const STOCK: &str = "/usr/lib/drbd/drbdadm-84";

/// What a case begins with.
enum Change {
    /// Another configuration, on both nodes.
    Configuration(fn(Resource) -> Resource),
    /// A command that changes what runs on alpha.
    Command(&'static str),
    /// Another configuration that is planned only: it cannot be carried out here.
    Planned(fn(Resource) -> Resource),
}

use Change::{Command, Configuration, Planned};

/// A change, and a word of the plan that it must give; `""` for no plan at all.
type Case = (Change, &'static str);

const CASES: [Case; 27] = [
    (Configuration(|r0| r0), ""),
    (Configuration(|r0| r0.net("ping-int 9")), "--ping-int=9"),
    (
        Configuration(|r0| r0.net("max-buffers 4000")),
        "--max-buffers=4000",
    ),
    (
        Configuration(|r0| r0.net("ko-count 3").net("timeout 50")),
        "--timeout=50",
    ),
    (
        Configuration(|r0| r0.net("sndbuf-size 512k")),
        "--sndbuf-size=512k",
    ),
    (
        Configuration(|r0| r0.net("verify-alg crc32c")),
        "--verify-alg=crc32c",
    ),
    (
        Configuration(|r0| r0.net("after-sb-0pri discard-zero-changes")),
        "--after-sb-0pri=discard-zero-changes",
    ),
    // Back: every option that is not at its default is set to it.
    (Configuration(|r0| r0), "net-options"),
    (
        Configuration(|r0| r0.disk("resync-rate 10M")),
        "--resync-rate=10M",
    ),
    (
        Configuration(|r0| r0.disk("al-extents 257")),
        "--al-extents=257",
    ),
    (
        Configuration(|r0| r0.disk("on-io-error pass_on")),
        "--on-io-error=pass_on",
    ),
    (
        Configuration(|r0| r0.disk("c-plan-ahead 10").disk("c-fill-target 50k")),
        "disk-options",
    ),
    (Configuration(|r0| r0), "disk-options"),
    (
        Configuration(|r0| r0.option("on-no-data-accessible suspend-io")),
        "--on-no-data-accessible=suspend-io",
    ),
    (Configuration(|r0| r0), "resource-options"),
    (Configuration(|r0| r0.option("cpu-mask 1")), "--cpu-mask=1"),
    (Configuration(|r0| r0), "resource-options"),
    // What runs is another than what is written.
    (
        Command("drbdsetup net-options $LOCAL $REMOTE --ping-int=20"),
        "net-options",
    ),
    (
        Command("drbdsetup disk-options 1 --resync-rate=1M"),
        "disk-options",
    ),
    (Command("drbdadm disconnect r0"), "connect"),
    (Command("drbdadm detach r0"), "attach"),
    (Command("drbdadm down r0"), "new-resource"),
    // Not within reach of this lab's disks, of a connection that stands, or of either module.
    (Planned(|r0| r0.on_disk("/dev/data1")), "detach"),
    (Planned(|r0| r0.meta_disk("/dev/data1")), "attach"),
    (Planned(|r0| r0.protocol('A')), "--protocol=A"),
    (
        Planned(|r0| r0.net("cram-hmac-alg sha1").net("shared-secret s")),
        "--cram-hmac-alg=sha1",
    ),
    (Planned(|r0| r0.disk("size 20M")), "resize"),
];

fn adjust_live(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    alpha.sh("mkdir /lab/adjust")?;
    alpha.push(&lab.setup().build.tools.join("drbdadm"), OURS, 0o755)?;
    let r0 = Resource::r0();
    steps::bring_up_in_sync(lab, &r0)?;
    steps::demote(alpha)?;
    for (number, (change, word)) in CASES.iter().enumerate() {
        let begun = match change {
            Configuration(make) | Planned(make) => steps::configure(lab, &[&make(r0.clone())]),
            Command(command) => alpha.sh(&with_addresses(lab, command)).map(|_| ()),
        };
        begun?;
        let plan = plan(alpha, number)?;
        let given = if word.is_empty() {
            plan.is_empty()
        } else {
            plan.contains(word)
        };
        ensure(given, || {
            format!("case {number}: `{word}` is not what was planned:\n{plan}")
        })?;
        if matches!(change, Planned(_)) {
            continue;
        }
        for node in lab.nodes() {
            node.sh("drbdadm adjust r0")?;
        }
        for node in lab.nodes() {
            node.wait_drbd(1, steps::IN_SYNC)?;
        }
        let rest = self::plan(alpha, number)?;
        ensure(rest.is_empty(), || {
            format!("case {number}: adjusted, and there is still\n{rest}")
        })?;
    }
    steps::configure(lab, &[&r0])?;
    log_under_load(alpha)?;
    steps::down_and_compare(lab, &r0)
}

/// The activity log changes its size while writes go through it.
fn log_under_load(node: &Node) -> Result<()> {
    node.sh("drbdadm primary r0")?;
    let writer = faults::load(node)?;
    for extents in [67, 1237, 6433, 67, 257] {
        node.sh(&format!("drbdsetup disk-options 1 --al-extents={extents}"))?;
    }
    writer.succeed(time::resync())?;
    faults::check_load(node)?;
    steps::demote(node)?;
    node.wait_drbd(1, steps::IN_SYNC).map(|_| ())
}

/// The addresses of r0 in place of `$LOCAL` and `$REMOTE`.
fn with_addresses(lab: &Lab, command: &str) -> String {
    let (alpha, beta) = lab.pair();
    let address = |node: &Node| format!("ipv4:{}:7789", node.address());
    command
        .replace("$LOCAL", &address(alpha))
        .replace("$REMOTE", &address(beta))
}

/// What both plan, which must be the same.
fn plan(node: &Node, number: usize) -> Result<String> {
    let ask = |program: &str| {
        node.sh(&format!(
            "DRBD_DONT_WARN_ON_VERSION_MISMATCH=1 {program} -d adjust r0"
        ))
    };
    // Stock names its tools by the folder that it was called from.
    let (stock, ours) = (ask(STOCK)?.replace("/usr/lib/drbd/", ""), ask(OURS)?);
    ensure(stock == ours, || {
        format!("case {number}: stock plans\n{stock}ours plans\n{ours}")
    })?;
    Ok(ours)
}
