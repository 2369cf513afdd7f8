// SPDX-License-Identifier: GPL-2.0
//! What an administrator reads: /proc/drbd and `service drbd status`, field by field.

use regex_lite::Regex;

use super::{steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::Lab;
use crate::node::Node;

/// Status texts.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "proc-and-status",
    about: "/proc/drbd and `service drbd status` in each state of a resource's life",
    source: include_str!("proc.rs"),
    pairs: &["ours:ours", "ours:c"],
    run: texts,
    ..PLAIN
}];

/// The first two lines: the second is each driver's own.
const HEADER: &str = r"version: 8\.4\.11 \(api:1/proto:86-101\)\n[^\n]+\n";
/// The counters; `oos` and the three network and disk counters are given by the state.
const COUNTERS: &str = r"al:\d+ bm:\d+ lo:\d+ pe:\d+ ua:\d+ ap:\d+ ep:\d+ wo:[fdnb] oos:";
/// The bar, the percentage, what is left of what, the time left and the speeds.
const PROGRESS: &str = r"\t\[=*>\.*\] sync'ed: {1,2}\d{1,2}\.\d% \(\d+/\d+\)K\n\tfinish: \d+:\d\d:\d\d speed: [\d,]+ \([\d,]+\)( want: [\d,]+)? K/sec\n";

fn texts(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    // Slow enough for the progress lines to be seen.
    let r0 = Resource::r0().disk("c-plan-ahead 0").disk("resync-rate 1M");

    // Nothing configured.
    steps::configure(lab, &[&r0])?;
    shows(alpha, "nothing configured", "", &[])?;

    // A resource with a volume, not yet attached.
    alpha.sh("drbdsetup new-resource r0 && drbdsetup new-minor r0 1 0")?;
    shows(
        alpha,
        "a bare minor",
        r"\n 1: cs:Unconfigured\n",
        &[&["1:r0", "Unconfigured"]],
    )?;
    alpha.sh("drbdsetup down r0")?;

    // Alone.
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force r0")?;
    }
    alpha.sh("drbdadm up r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    let all = steps::device_bytes(alpha, &r0)? / 1024;
    shows(
        alpha,
        "waiting for the peer",
        &entry(
            "WFConnection ro:Secondary/Unknown ds:Inconsistent/DUnknown C r----s",
            "ns:0 nr:0 dw:0 dr:0",
            &all.to_string(),
        ),
        &[&[
            "1:r0",
            "WFConnection",
            "Secondary/Unknown",
            "Inconsistent/DUnknown",
            "C",
        ]],
    )?;

    // Together, with nothing good on either disk.
    beta.sh("drbdadm up r0")?;
    let nothing_good = "Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent C r-----";
    for node in lab.nodes() {
        node.wait_drbd(1, &format!("cs:{nothing_good}"))?;
        shows(
            node,
            "connected with nothing good",
            &entry(nothing_good, "ns:0 nr:0 dw:0 dr:0", &all.to_string()),
            &[&[
                "1:r0",
                "Connected",
                "Secondary/Secondary",
                "Inconsistent/Inconsistent",
                "C",
            ]],
        )?;
    }

    // While the disks are made equal.
    alpha.sh("drbdadm primary --force r0")?;
    let source = "SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----";
    let target = "SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----";
    for (node, state) in [(alpha, source), (beta, target)] {
        // Once the first blocks are through.
        node.wait_drbd(1, &format!(r"cs:{state}\n.*\n\t\[.*sync'ed: +[1-9]"))?;
        let counters = r"ns:\d+ nr:\d+ dw:\d+ dr:\d+";
        let text = entry(state, counters, r"\d+") + PROGRESS;
        let words: Vec<&str> = state.split(' ').collect();
        let column = |index: usize| words.get(index).map_or("", |word| after_colon(word));
        let row = ["1:r0", column(0), column(1), column(2), "C"];
        shows(node, "a resync", &text, &[&["...", "sync'ed:"], &row])?;
    }
    // Seen enough of it.
    steps::configure(lab, &[&Resource::r0().fast_resync()])?;
    for node in lab.nodes() {
        node.sh("drbdadm adjust r0")?;
    }

    // In sync.
    steps::wait_synced(alpha, beta, &r0)?;
    shows(
        alpha,
        "in sync",
        &entry(
            "Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----",
            &format!(r"ns:{all} nr:0 dw:\d+ dr:\d+"),
            "0",
        ),
        &[&[
            "1:r0",
            "Connected",
            "Primary/Secondary",
            "UpToDate/UpToDate",
            "C",
        ]],
    )?;
    shows(
        beta,
        "in sync, at the peer",
        &entry(
            "Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----",
            &format!(r"ns:0 nr:{all} dw:{all} dr:\d+"),
            "0",
        ),
        &[&[
            "1:r0",
            "Connected",
            "Secondary/Primary",
            "UpToDate/UpToDate",
            "C",
        ]],
    )?;

    // Mounted: the status table says where.
    alpha.sh("mkfs.ext4 -q /dev/drbd1 && mount /dev/drbd1 /mnt")?;
    let row = [
        "1:r0",
        "Connected",
        "Primary/Secondary",
        "UpToDate/UpToDate",
        "C",
        "/mnt",
        "ext4",
    ];
    status(alpha, "a mounted device", &[&row])?;
    alpha.sh("umount /mnt")?;

    // Without its own disk, served by the peer.
    alpha.sh("drbdadm detach r0")?;
    let diskless = "Connected ro:Primary/Secondary ds:Diskless/UpToDate C r-----";
    alpha.wait_drbd(1, &format!("cs:{diskless}"))?;
    shows(
        alpha,
        "without a disk",
        &entry(diskless, r"ns:\d+ nr:\d+ dw:\d+ dr:\d+", "0"),
        &[&[
            "1:r0",
            "Connected",
            "Primary/Secondary",
            "Diskless/UpToDate",
            "C",
        ]],
    )?;
    alpha.sh("drbdadm attach r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    steps::demote(alpha)
}

fn after_colon(word: &str) -> &str {
    word.split_once(':').map_or(word, |(_, value)| value)
}

/// The two lines of minor 1 as a pattern; `state` is plain text.
fn entry(state: &str, counters: &str, out_of_sync: &str) -> String {
    format!("\\n 1: cs:{state}\\n    {counters} {COUNTERS}{out_of_sync}\\n")
}

/// Insists on the text of /proc/drbd and on the rows of the status table.
fn shows(node: &Node, when: &str, pattern: &str, rows: &[&[&str]]) -> Result<()> {
    let text = node.sh("cat /proc/drbd")?;
    let whole = format!(r"\A{HEADER}{pattern}\z");
    let regex = Regex::new(&whole).map_err(|error| LabError::Mismatch(error.to_string()))?;
    ensure(regex.is_match(&text), || {
        format!(
            "{}: {when}: /proc/drbd is\n{text}and should match\n{whole}",
            node.name()
        )
    })?;
    status(node, when, rows)
}

/// Insists on the rows of `service drbd status`, of each the first columns.
fn status(node: &Node, when: &str, rows: &[&[&str]]) -> Result<()> {
    let text = node.sh("service drbd status")?;
    let complain = || format!("{}: {when}: service drbd status says\n{text}", node.name());
    let mut lines = text.lines();
    ensure(
        lines.next() == Some("drbd driver loaded OK; device status:")
            && lines
                .next()
                .is_some_and(|line| line.starts_with("version: 8.4.11 ")),
        complain,
    )?;
    let table: Vec<Vec<&str>> = lines
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    let Some((header, found)) = table.split_first() else {
        return Err(LabError::Mismatch(complain()));
    };
    ensure(
        header.join(" ") == "m:res cs ro ds p mounted fstype" && found.len() == rows.len(),
        complain,
    )?;
    let equal = found
        .iter()
        .zip(rows)
        .all(|(found, row)| found.starts_with(row));
    ensure(equal, complain)
}
