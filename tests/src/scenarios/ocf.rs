// SPDX-License-Identifier: GPL-2.0
//! The cluster manager's agent `ocf:linbit:drbd`, as the stock drbd-utils bring it, through all its
//! actions: exit codes, the commands that it called, what they said, and its scores, as with C.
//!
//! There is no cluster manager: what the agent calls of one is stood in for by `tests/guest/ocf`.

use std::fmt::Write as _;

use super::{same_transcript, steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::Result;
use crate::lab::Lab;
use crate::node::Node;

/// The agent.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "ocf-agent",
    about: "ocf:linbit:drbd: start, monitor, promote, demote, notify, reload and stop",
    source: concat!(
        include_str!("ocf.rs"),
        include_str!("ocf.txt"),
        include_str!("../../guest/ocf/act"),
        include_str!("../../guest/ocf/crm_master"),
        include_str!("../../guest/ocf/ocf-shellfuncs"),
    ),
    pairs: &["ours:ours", "c+ours:c+ours"],
    run: agent,
    ..PLAIN
}];

/// What all actions said with C on both nodes.
const TRANSCRIPT: &str = include_str!("ocf.txt");

/// What is put on the nodes: place, content, mode.
const FILES: [(&str, &str, u32); 3] = [
    (
        "/lab/ocf/ocf-shellfuncs",
        include_str!("../../guest/ocf/ocf-shellfuncs"),
        0o644,
    ),
    ("/lab/ocf/act", include_str!("../../guest/ocf/act"), 0o755),
    (
        "/usr/sbin/crm_master",
        include_str!("../../guest/ocf/crm_master"),
        0o755,
    ),
];

fn agent(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::configure(lab, &[&r0])?;
    for node in lab.nodes() {
        for (path, content, mode) in FILES {
            node.put_mode(path, content.as_bytes(), mode)?;
        }
        node.sh("rm -f /tmp/ocf.score && drbdadm create-md --force r0")?;
    }
    let mut cluster = Cluster::default();

    // Nothing runs; then one after the other is started.
    for node in lab.nodes() {
        cluster.act(node, "validate-all", "")?;
        cluster.act(node, "monitor", "interval=0")?;
    }
    cluster.act(alpha, "start", "notify_start_uname=alpha")?;
    cluster.notified(&[alpha], "post", "start", "notify_start_uname=alpha")?;
    cluster.act(alpha, "monitor", "")?;
    let both = "notify_start_uname=beta notify_slave_uname=alpha";
    cluster.notified(&[alpha], "pre", "start", both)?;
    cluster.act(beta, "start", &format!("{both} wfc_timeout=60"))?;
    for node in lab.nodes() {
        node.wait_drbd(1, "cs:Connected ro:Secondary/Secondary ds:Incons")?;
    }
    cluster.notified(&[alpha, beta], "post", "start", both)?;
    // Without good data there is no Master. Then somebody says which data is good.
    cluster.act(alpha, "promote", "notify_promote_uname=alpha")?;
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    cluster.monitored(lab)?;
    cluster.act(alpha, "reload", "")?;

    // Demoted and promoted.
    cluster.act(alpha, "demote", "notify_demote_uname=alpha")?;
    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
    }
    cluster.monitored(lab)?;
    let promotion = "notify_promote_uname=beta notify_slave_uname=alpha";
    cluster.notified(&[alpha, beta], "pre", "promote", promotion)?;
    cluster.act(beta, "promote", promotion)?;
    steps::wait_synced(beta, alpha, &r0)?;
    cluster.notified(&[alpha, beta], "post", "promote", promotion)?;
    cluster.monitored(lab)?;
    beta.sh("dd if=/dev/urandom of=/dev/drbd1 bs=64k count=16 oflag=direct")?;
    // A Master is in the way.
    cluster.act(alpha, "monitor", "")?;

    // The link is lost: who is no Master takes itself for outdated, until it is back.
    alpha.sh("drbdadm disconnect r0")?;
    beta.wait_drbd(1, "cs:WFConnection")?;
    let master = "notify_master_uname=beta notify_slave_uname=alpha";
    cluster.notified(&[alpha, beta], "post", "demote", master)?;
    cluster.monitored(lab)?;
    cluster.notified(&[alpha], "pre", "start", master)?;
    steps::wait_synced(beta, alpha, &r0)?;
    cluster.monitored(lab)?;

    // Stopped beside a Master, which outdates it, and started again.
    cluster.act(alpha, "stop", master)?;
    beta.wait_drbd(1, "cs:WFConnection")?;
    cluster.notified(
        &[beta],
        "post",
        "stop",
        "notify_stop_uname=alpha notify_master_uname=beta",
    )?;
    cluster.act(alpha, "monitor", "interval=0")?;
    cluster.act(
        alpha,
        "start",
        "notify_start_uname=alpha notify_master_uname=beta wfc_timeout=none",
    )?;
    steps::wait_synced(beta, alpha, &r0)?;
    cluster.monitored(lab)?;

    // The Master is stopped: the agent demotes it first.
    cluster.act(beta, "stop", "notify_stop_uname=beta")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    cluster.act(alpha, "stop", "notify_stop_uname=alpha")?;
    for node in lab.nodes() {
        cluster.act(node, "monitor", "interval=0")?;
    }
    for node in lab.nodes() {
        node.sh("rm /usr/sbin/crm_master")?;
    }
    same_transcript(lab, "ocf.txt", &cluster.transcript, TRANSCRIPT)
}

/// What the agents were asked for, and what came of it.
#[derive(Default)]
struct Cluster {
    transcript: String,
}

impl Cluster {
    /// Has a node's agent do something; `settings` are what pacemaker tells it beside.
    fn act(&mut self, node: &Node, action: &str, settings: &str) -> Result<()> {
        let said = node.sh(&format!("udevadm settle; /lab/ocf/act {action} {settings}"))?;
        let name = node.name();
        let _ = write!(self.transcript, "{name}# {action} {settings}\n{said}");
        Ok(())
    }

    /// Has both look after themselves.
    fn monitored(&mut self, lab: &Lab) -> Result<()> {
        for node in lab.nodes() {
            self.act(node, "monitor", "")?;
        }
        Ok(())
    }

    /// Tells agents of what the cluster will do (`pre`), or has done (`post`).
    fn notified(&mut self, nodes: &[&Node], when: &str, what: &str, who: &str) -> Result<()> {
        for node in nodes {
            let settings = format!("notify_type={when} notify_operation={what} {who}");
            self.act(node, "notify", &settings)?;
        }
        Ok(())
    }
}
