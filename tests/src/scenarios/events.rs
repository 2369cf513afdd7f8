// SPDX-License-Identifier: GPL-2.0
//! What `events2` prints through a life of a resource, line by line as with the C driver.

use regex_lite::Regex;

use super::detach::detach;
use super::{same_transcript, steps, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{LabError, Result};
use crate::lab::Lab;
use crate::node::{Job, Node};
use crate::time;

/// Events.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "events2",
    about: "events2 from an empty module to the end of a resource's life, and from its midst on",
    source: concat!(include_str!("events.rs"), include_str!("events2.txt")),
    pairs: &["ours:ours", "ours+stock:ours+stock", "c+ours:c+ours"],
    run: events2,
    ..PLAIN
}];

/// The lines of both nodes' listeners, times and counters taken out, as C printed them.
const STREAMS: &str = include_str!("events2.txt");

fn events2(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync().net("verify-alg crc32c");
    steps::configure(lab, &[&r0])?;
    let mut listeners = Listeners::default();
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force r0")?;
        listeners.add(node, "events2")?;
    }

    // Up, one after the other; the first sync.
    alpha.sh("drbdadm up r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    beta.sh("drbdadm up r0")?;
    reach(
        lab,
        "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent",
    )?;
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    listeners.hear_of_the_sync()?;
    // From here on with a state to begin with, times and figures.
    for node in lab.nodes() {
        listeners.add(node, "events2 --timestamps --statistics")?;
    }

    // What is paused, suspended, promoted and demoted.
    alpha.sh("drbdadm pause-sync r0")?;
    beta.wait_drbd(1, "cs:Connected .* C r-p---")?;
    alpha.sh("drbdadm resume-sync r0")?;
    beta.wait_drbd(1, "cs:Connected .* C r-----")?;
    alpha.sh("drbdadm suspend-io r0")?;
    alpha.sh("drbdadm resume-io r0")?;
    steps::demote(alpha)?;
    reach(lab, steps::IN_SYNC)?;
    beta.sh("drbdadm primary r0")?;
    steps::wait_synced(beta, alpha, &r0)?;
    steps::demote(beta)?;
    reach(lab, steps::IN_SYNC)?;

    // The disk goes and comes, on one node and then on the other.
    for node in [alpha, beta] {
        detach(node, "/dev/data0")?;
        node.wait_drbd(
            1,
            "cs:Connected ro:Secondary/Secondary ds:Diskless/UpToDate",
        )?;
        node.sh("drbdadm attach r0")?;
        reach(lab, steps::IN_SYNC)?;
    }

    // All is compared. No `invalidate`: there the C driver has a state too many, see
    // docs/differences.md.
    alpha.sh("drbdadm verify r0")?;
    for node in lab.nodes() {
        node.wait_log("Online verify done")?;
        node.wait_drbd(1, steps::IN_SYNC)?;
    }

    // The connection ends on purpose; a resync by bitmap follows.
    alpha.sh("drbdadm primary r0")?;
    beta.sh("drbdadm disconnect r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    beta.wait_drbd(1, "cs:StandAlone")?;
    beta.sh("drbdadm outdate r0")?;
    alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=64k count=4 oflag=direct")?;
    beta.sh("drbdadm connect r0")?;
    steps::wait_synced(alpha, beta, &r0)?;

    // The cable is pulled.
    alpha.cut_the_cable()?;
    for node in lab.nodes() {
        node.wait_drbd(1, "cs:WFConnection")?;
    }
    alpha.plug_the_cable()?;
    steps::wait_synced(alpha, beta, &r0)?;

    // Down, the Primary last.
    beta.sh("drbdadm down r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    steps::demote(alpha)?;
    alpha.sh("drbdadm down r0")?;
    listeners.heard(lab)
}

/// Waits until both nodes are in a state that looks the same from either.
fn reach(lab: &Lab, state: &str) -> Result<()> {
    for node in lab.nodes() {
        node.wait_drbd(1, state)?;
    }
    Ok(())
}

/// Listeners under way.
#[derive(Default)]
struct Listeners<'a> {
    jobs: Vec<(String, Job<'a>)>,
}

impl<'a> Listeners<'a> {
    /// Starts one, and waits until it has printed the present state.
    fn add(&mut self, node: &'a Node, command: &str) -> Result<()> {
        let mut job = node.start_sh(&format!("exec drbdsetup {command}"))?;
        job.until("the initial state", time::command(), |output| {
            output.out.contains("exists -\n")
        })?;
        self.jobs.push((format!("{}# {command}", node.name()), job));
        Ok(())
    }

    /// Waits until the one of each node has told the end of the first sync. /proc/drbd shows it
    /// earlier, and who begins to listen in between is told it, too.
    fn hear_of_the_sync(&mut self) -> Result<()> {
        let ends = [
            "replication:Established peer-disk:UpToDate\n",
            "replication:Established\n",
        ];
        for ((_, job), end) in self.jobs.iter_mut().zip(ends) {
            job.until("the end of the sync", time::state(), |output| {
                output.out.contains(end)
            })?;
        }
        Ok(())
    }

    /// Waits until all have seen the resource go, and compares what they printed.
    fn heard(mut self, lab: &Lab) -> Result<()> {
        let mut all = String::new();
        for (what, job) in &mut self.jobs {
            let output = job.until("the resource's end", time::state(), |output| {
                output.out.contains("destroy resource name:r0\n")
            })?;
            job.kill()?;
            all += &format!("{what}\n{}", normal(&output.text())?);
        }
        same_transcript(lab, "events2.txt", &all, STREAMS)
    }
}

/// What is the same in every run: no times, `N` for each counter and size, and nothing of whether
/// requests had to wait at that very moment. How often an attempt to connect began anew is chance,
/// since both nodes connect to each other at once. The handler `after-resync-target` runs beside
/// the state changes (docs/differences.md): what is told of it stands at the end.
fn normal(text: &str) -> Result<String> {
    let replace = |text: &str, pattern: &str, by: &str| {
        let regex = Regex::new(pattern).map_err(|error| LabError::Mismatch(error.to_string()))?;
        Ok::<String, LabError>(regex.replace_all(text, by).into_owned())
    };
    let text = replace(
        text,
        r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 ",
        "T ",
    )?;
    let text = replace(
        &text,
        concat!(
            r" (size|read|written|al-writes|bm-writes|upper-pending|lower-pending",
            r"|received|sent|out-of-sync|pending|unacked):\d+"
        ),
        " $1:N",
    )?;
    let text = replace(&text, r"(?m)^(T change .*) blocked:\w+$", "$1")?;
    let text = replace(
        &text,
        concat!(
            r"((?:T )?change connection .* connection:)Unconnected\n.*:Connecting\n",
            r"(.*:Unconnected\n.*:Connecting\n)+"
        ),
        "${1}Unconnected\n${1}Connecting\n",
    )?;
    let beside = |line: &&str| line.contains(" helper:after-resync-target");
    let (beside, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(beside);
    let lines = rest.iter().chain(&beside);
    let lines: Vec<_> = lines.map(|line| format!("{line}\n")).collect();
    Ok(lines.concat())
}
