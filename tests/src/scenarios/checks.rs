// SPDX-License-Identifier: GPL-2.0
//! Blocks are compared instead of copied: resync by checksums, and online verify.

use regex_lite::Regex;

use super::{steps, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, LabError, Result};
use crate::lab::Lab;
use crate::node::{Job, Node};
use crate::time;

/// Comparisons.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "checksum-resync",
        about: "csums-alg: what is equal is not sent again; after a crash only, if so configured",
        source: include_str!("checks.rs"),
        pairs: OURS_AND_MIXED,
        run: checksum_resync,
        ..PLAIN
    },
    Scenario {
        name: "online-verify",
        about: "online verify: finds what differs and nothing else, from start to stop, under load",
        source: include_str!("checks.rs"),
        pairs: OURS_AND_MIXED,
        run: verify,
        ..PLAIN
    },
];

/// Overwrites blocks of 4 KiB on a node's disk, behind DRBD's back.
fn damage(node: &Node, first: u32, count: u32) -> Result<()> {
    node.sh(&format!(
        "dd if=/dev/urandom of=/dev/data0 bs=4k seek={first} count={count} oflag=direct \
         conv=notrunc 2>/dev/null"
    ))
    .map(|_| ())
}

/// Writes at random for a while; what is read back later must be what was written.
fn load(node: &Node) -> Result<Job<'_>> {
    let job = node.start_sh(
        "exec fio --name=load --filename=/dev/drbd1 --rw=randwrite --bs=4k --size=8m \
         --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --do_verify=1 --randseed=7 \
         --rate_iops=150 --output-format=terse",
    )?;
    node.wait_drbd(1, "cs:.*\\n *ns:[1-9]")?;
    Ok(job)
}

/// The lines of a node's log since the scenario began in which the text stands.
fn lines(node: &Node, text: &str) -> Result<Vec<String>> {
    let log = node.complete_log()?;
    let found = log.lines().filter(|line| line.contains(text));
    Ok(found.map(str::to_owned).collect())
}

/// The sectors that a node has told to be out of sync since the scenario began, by their number.
fn sectors_out_of_sync(node: &Node) -> Result<u64> {
    let sizes = lines(node, "Out of sync: start=")?;
    let size = |line: &String| {
        let (_, rest) = line.split_once("size=")?;
        rest.split(' ').next()?.parse::<u64>().ok()
    };
    Ok(sizes.iter().filter_map(size).sum())
}

/// KiB that the last resync to this node found equal, and KiB that it had sent.
fn sums(node: &Node) -> Result<(u64, u64)> {
    let all = lines(node, "had equal checksums")?;
    let last = all.last().cloned().unwrap_or_default();
    let regex = Regex::new(r"eliminated: (\d+)K; transferred (\d+)K total")
        .map_err(|error| LabError::Mismatch(error.to_string()))?;
    let numbers = regex.captures(&last).and_then(|found| {
        let number = |index| found.get(index)?.as_str().parse().ok();
        Some((number(1)?, number(2)?))
    });
    numbers.ok_or_else(|| LabError::Mismatch(format!("{}: {all:?}", node.name())))
}

fn checksum_resync(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync().net("csums-alg sha1");
    steps::bring_up_in_sync(lab, &r0)?;
    steps::fill(alpha, "mkfs.ext4 -q", &r0, 500)?;
    alpha.sh("umount /mnt")?;
    let kib = steps::device_bytes(alpha, &r0)? / 1024;

    // All is equal.
    beta.sh("drbdadm invalidate r0")?;
    beta.wait_log("had equal checksums")?;
    steps::wait_synced(alpha, beta, &r0)?;
    let (equal, sent) = sums(beta)?;
    ensure(equal > kib * 9 / 10 && sent < kib / 10, || {
        format!("of {kib} KiB {equal} were equal and {sent} were sent")
    })?;

    // All but a little, while the application writes.
    beta.sh("drbdadm down r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    damage(beta, 1024, 64)?;
    beta.sh("drbdadm up r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    let writer = load(alpha)?;
    beta.sh("drbdadm invalidate r0")?;
    writer.succeed(time::command())?;
    steps::wait_synced(alpha, beta, &r0)?;
    let (equal, sent) = sums(beta)?;
    ensure(sent >= 256 && equal > kib / 4, || {
        format!("64 blocks differed: {equal} KiB were equal, {sent} KiB were sent")
    })?;
    let before = lines(beta, "had equal checksums")?.len();
    steps::demote(alpha)?;

    // Only after a crash: this is none.
    let seldom = r0.net("csums-after-crash-only yes");
    steps::configure(lab, &[&seldom])?;
    for node in lab.nodes() {
        node.sh("drbdadm adjust r0")?;
    }
    beta.sh("drbdadm invalidate r0")?;
    for node in lab.nodes() {
        node.wait_drbd_within(1, steps::IN_SYNC, time::resync())?;
    }
    ensure(lines(beta, "had equal checksums")?.len() == before, || {
        "checksums were used without a crash".into()
    })?;
    steps::down_and_compare(lab, &seldom)
}

/// The progress lines.
const PROGRESS: &str = concat!(
    r"\n.*\n\t\[=*>\.*\] verified: {1,2}\d{1,2}\.\d% \(\d+/\d+\)K\n",
    r"\tfinish: \d+:\d\d:\d\d speed: [\d,]+ \([\d,]+\)( want: [\d,]+)? K/sec\n"
);

fn verify(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let plain = Resource::r0()
        .fast_resync()
        .handler("out-of-sync \"echo $DRBD_RESOURCE $DRBD_MINOR >>/tmp/out-of-sync\"");
    steps::bring_up_in_sync(lab, &plain)?;
    let refused = alpha.refuses(11, "drbdsetup verify 1")?;
    ensure(
        refused.contains("(-14) Need a verify algorithm to start online verify"),
        || refused,
    )?;
    let r0 = plain.net("verify-alg sha1");
    steps::configure(lab, &[&r0])?;
    for node in lab.nodes() {
        node.sh("rm -f /tmp/out-of-sync && drbdadm adjust r0")?;
    }

    // Equal disks; then disks that are not, seen from either node, and made equal by a resync.
    let mut done = 0;
    let mut seen = 0;
    for driver in [alpha, beta] {
        done += 1;
        verified(lab, driver, "drbdadm verify r0", done, 0)?;
        damage(beta, 1000, 3)?;
        damage(beta, 2000, 1)?;
        done += 1;
        verified(lab, driver, "drbdadm verify r0", done, 4)?;
        for node in lab.nodes() {
            node.wait_file("the handler", "/tmp/out-of-sync", "^r0 1\n", time::state())?;
            node.sh("rm /tmp/out-of-sync")?;
            // In one line or in several: blocks are not always read in order.
            let told = sectors_out_of_sync(node)?;
            ensure(told == seen + 32, || {
                format!("{} has told of {} sectors", node.name(), told - seen)
            })?;
        }
        seen += 32;
        beta.sh("drbdadm disconnect r0")?;
        alpha.wait_drbd(1, "cs:WFConnection")?;
        beta.sh("drbdadm connect r0")?;
        steps::wait_synced(alpha, beta, &r0)?;
    }

    // A part: what differs lies outside of it. Then inside.
    damage(beta, 1000, 3)?;
    done += 1;
    verified(
        lab,
        alpha,
        "drbdsetup verify 1 --start=8M --stop=16M",
        done,
        0,
    )?;
    done += 1;
    verified(
        lab,
        alpha,
        "drbdsetup verify 1 --start=0 --stop=8M",
        done,
        3,
    )?;
    beta.sh("drbdadm disconnect r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    beta.sh("drbdadm connect r0")?;
    steps::wait_synced(alpha, beta, &r0)?;

    // Slowly, while the application writes: blocks under way are not taken for different ones.
    let slow = Resource::r0()
        .disk("c-plan-ahead 0")
        .disk("resync-rate 6M")
        .net("verify-alg sha1");
    steps::configure(lab, &[&slow])?;
    for node in lab.nodes() {
        node.sh("drbdadm adjust r0")?;
    }
    for (driver, other) in [(alpha, beta), (beta, alpha)] {
        let writer = load(alpha)?;
        driver.sh("drbdsetup verify 1 --start=0")?;
        driver.wait_drbd(
            1,
            &format!("cs:VerifyS .* ds:UpToDate/UpToDate.*{PROGRESS}"),
        )?;
        other.wait_drbd(
            1,
            &format!("cs:VerifyT .* ds:UpToDate/UpToDate.*{PROGRESS}"),
        )?;
        let busy = other.refuses(11, "drbdsetup verify 1")?;
        ensure(busy.contains("(-8) "), || busy)?;
        let changed = driver.refuses(
            10,
            "drbdsetup net-options ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789 --verify-alg=md5 || \
             drbdsetup net-options ipv4:10.0.0.2:7789 ipv4:10.0.0.1:7789 --verify-alg=md5",
        )?;
        ensure(changed.contains("while online verify runs"), || changed)?;
        writer.succeed(time::command())?;
        done += 1;
        ended(lab, done, 0)?;
    }

    // Broken off, it does no harm.
    alpha.sh("drbdsetup verify 1 --start=0")?;
    alpha.wait_drbd(1, "cs:VerifyS")?;
    beta.sh("drbdadm disconnect r0")?;
    alpha.wait_log("Online Verify reached sector ")?;
    beta.sh("drbdadm connect r0")?;
    steps::wait_synced(alpha, beta, &slow)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &slow)
}

/// Has a node verify, and waits for the end.
fn verified(lab: &Lab, driver: &Node, command: &str, done: usize, found: u64) -> Result<()> {
    driver.sh(command)?;
    ended(lab, done, found)
}

/// Waits until both nodes have said `done` times that a verify is over. So many blocks are marked
/// on both, and both have told so.
fn ended(lab: &Lab, done: usize, found: u64) -> Result<()> {
    for node in lab.nodes() {
        node.wait_log_times("Online verify done (total ", done)?;
        let oos = found * 4;
        node.wait_drbd(
            1,
            &format!("cs:Connected .* ds:UpToDate/UpToDate .*\\n.* oos:{oos}\\n"),
        )?;
        let told = lines(node, "Online verify found ")?;
        let last = told.last().cloned().unwrap_or_default();
        let text = format!("found {found} 4k block out of sync!");
        ensure(found == 0 || last.contains(&text), || {
            format!("{} has not told: {text}: {told:?}", node.name())
        })?;
    }
    Ok(())
}
