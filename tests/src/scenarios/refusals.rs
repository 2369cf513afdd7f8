// SPDX-License-Identifier: GPL-2.0
//! What is refused, with which code and in which words.
//!
//! The words are those of the stock tools, as recorded from them; the exit codes too.

use super::{steps, Oracle, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::stack::Implementation;
use crate::time;

/// Refusals.
pub const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "refuse-roles",
        about: "second Primary, Primary without good data, demotion and down while mounted",
        source: include_str!("refusals.rs"),
        pairs: &["ours:ours", "ours:c"],
        run: roles,
        ..PLAIN
    },
    Scenario {
        name: "refuse-disks",
        about: "attach: in use, no metadata, too small; create-md over foreign data",
        source: include_str!("refusals.rs"),
        run: disks,
        ..PLAIN
    },
    Scenario {
        name: "refuse-mismatched-disks",
        about: "attach: disk and place of the metadata do not fit; nothing is left held",
        source: include_str!("refusals.rs"),
        c: Oracle::KnownDefect {
            sheet: "docs/differences.md: attach refused with 116 leaves the holder link behind",
            shows: "bd_unlink_disk_holder",
        },
        run: mismatched_disks,
        ..PLAIN
    },
    Scenario {
        name: "refuse-connections",
        about: "addresses in use, a listening port taken, a peer's disk that shrank",
        source: include_str!("refusals.rs"),
        pairs: &["ours:ours", "ours+stock:ours+stock"],
        run: connections,
        ..PLAIN
    },
    Scenario {
        name: "refuse-garbage",
        about: "a peer that speaks garbage is dropped, and the right peer is welcome afterwards",
        source: include_str!("refusals.rs"),
        run: garbage,
        ..PLAIN
    },
    Scenario {
        name: "refuse-configuration",
        about: "unknown resource, unknown host, a minor and a resource that do not exist",
        source: include_str!("refusals.rs"),
        pairs: &["ours:ours", "c+ours:c+ours"],
        run: configuration,
        ..PLAIN
    },
    Scenario {
        name: "refuse-unbuilt",
        about: "settings of features that are not built are refused by name, never stored",
        source: include_str!("refusals.rs"),
        c: Oracle::NotAsked,
        pairs: &["ours:ours", "ours+stock:ours+stock"],
        run: unbuilt,
        ..PLAIN
    },
];

const NEED_UP_TO_DATE: &str = "1: State change failed: (-2) Need access to UpToDate data";
const SECOND_PRIMARY: &str =
    "1: State change failed: (-1) Multiple primaries not allowed by config";
const HELD_OPEN: &str = "State change failed: (-12) Device is held open by someone";

/// Insists on a refusal with this exit code and these words.
pub(super) fn refused(node: &Node, command: &str, code: i32, words: &str) -> Result<()> {
    let text = node.refuses(code, command)?;
    ensure(text.contains(words), || {
        format!(
            "{}# {command}\n{text}should have said: {words}",
            node.name()
        )
    })
}

fn roles(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::configure(lab, &[&r0])?;

    // Nothing good within reach: alone, and with a peer that has nothing either.
    alpha.sh("drbdadm create-md --force r0 && drbdadm up r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    refused(alpha, "drbdsetup primary 1", 17, NEED_UP_TO_DATE)?;
    refused(alpha, "drbdadm primary r0", 17, NEED_UP_TO_DATE)?;
    beta.sh("drbdadm create-md --force r0 && drbdadm up r0")?;
    for node in lab.nodes() {
        node.wait_drbd(
            1,
            "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent",
        )?;
        refused(node, "drbdsetup primary 1", 17, NEED_UP_TO_DATE)?;
    }

    // One Primary is enough; --force does not help, and the first one stays what it is.
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    refused(beta, "drbdsetup primary 1", 11, SECOND_PRIMARY)?;
    refused(beta, "drbdadm primary r0", 11, SECOND_PRIMARY)?;
    refused(beta, "drbdsetup primary 1 --force", 11, SECOND_PRIMARY)?;
    steps::wait_synced(alpha, beta, &r0)?;

    // A Secondary's device can't be opened for writing.
    let text = beta.refuses(
        1,
        "dd if=/dev/zero of=/dev/drbd1 bs=4k count=1 oflag=direct",
    )?;
    ensure(
        text.contains("Read-only file system") || text.contains("Wrong medium type"),
        || text,
    )?;

    // What is mounted stays.
    alpha.sh("mkfs.ext4 -q /dev/drbd1 && mount /dev/drbd1 /mnt && udevadm settle")?;
    refused(
        alpha,
        "drbdsetup secondary 1",
        11,
        &format!("1: {HELD_OPEN}"),
    )?;
    refused(
        alpha,
        "drbdadm secondary r0",
        11,
        &format!("1: {HELD_OPEN}"),
    )?;
    refused(alpha, "drbdsetup down r0", 11, &format!("r0: {HELD_OPEN}"))?;
    refused(alpha, "drbdsetup down r0", 11, "failed to demote")?;
    refused(alpha, "drbdadm down r0", 11, HELD_OPEN)?;
    steps::wait_synced(alpha, beta, &r0)?;
    alpha.sh("echo still here >/mnt/file && sync && umount /mnt")?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

fn disks(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    let no_metadata = "1: Failure: (119) No valid meta-data signature found.";
    alpha.sh("drbdsetup new-resource r0 && drbdsetup new-minor r0 1 0")?;
    let attach = |what: &str| format!("drbdsetup attach 1 {what}");

    // An empty disk, a disk with someone's file system, a disk that is no disk.
    let data0 = attach("/dev/data0 /dev/data0 internal");
    refused(alpha, &data0, 10, no_metadata)?;
    alpha.sh("mkfs.ext4 -q /dev/data0")?;
    refused(alpha, &data0, 10, no_metadata)?;
    refused(
        alpha,
        &attach("/dev/none /dev/none internal"),
        20,
        "Can not open device '/dev/none'",
    )?;
    refused(
        alpha,
        &attach("/etc/hosts /etc/hosts internal"),
        20,
        "/etc/hosts is not a block device",
    )?;

    // create-md asks before it takes someone's file system, and a full one it never takes.
    steps::configure(lab, &[&Resource::r0()])?;
    let asked = alpha.refuses(40, "drbdadm create-md r0 </dev/null")?;
    ensure(asked.contains("would corrupt data"), || asked)?;
    alpha.sh("mount /dev/data0 /mnt && umount /mnt")?;

    // In use by a mount, or by another minor.
    alpha.sh("mount /dev/data0 /mnt")?;
    refused(
        alpha,
        &data0,
        10,
        "1: Failure: (104) Can not open backing device.",
    )?;
    let other = attach("/dev/data1 /dev/data0 flexible");
    refused(
        alpha,
        &other,
        10,
        "1: Failure: (105) Can not open meta device.",
    )?;
    alpha.sh("umount /mnt && blkdiscard -f -z /dev/data0 && drbdadm create-md --force r0")?;

    // Not as large as asked for.
    refused(
        alpha,
        &format!("{data0} --size=100M"),
        10,
        "1: Failure: (111) Low.dev. smaller than requested DRBD-dev. size.",
    )?;

    // After all of that the right disk attaches; a second time it is in use.
    alpha.sh(&data0)?;
    let attached = "1: Failure: (124) Device is attached to a disk (use detach first)";
    refused(alpha, &data0, 10, attached)?;
    alpha.sh("drbdsetup new-minor r0 2 1")?;
    refused(
        alpha,
        "drbdsetup attach 2 /dev/data0 /dev/data0 internal",
        10,
        "2: Failure: (104) Can not open backing device.",
    )?;
    refused(
        alpha,
        "drbdsetup del-minor 1",
        10,
        "1: Failure: (160) Minor still configured (down it first)",
    )?;
    alpha.sh("drbdsetup down r0")?;

    // A device on which not even the metadata fits.
    alpha.sh("modprobe dm-mod && dmsetup mknodes && echo '0 8 linear /dev/data2 0' | dmsetup create tiny")?;
    let tiny = "drbdmeta --force 30 v08 /dev/mapper/tiny internal create-md";
    refused(alpha, tiny, 10, "is only 4096 bytes. That's not enough.")?;
    alpha.sh("udevadm settle; dmsetup remove tiny").map(|_| ())
}

/// Device and place of the metadata at odds: C refuses it, but lets go of the disk it never held,
/// which the kernel complains of, and keeps the one it held.
fn mismatched_disks(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    steps::configure(lab, &[&Resource::r0()])?;
    alpha.sh("drbdadm create-md --force r0")?;
    alpha.sh("drbdsetup new-resource r0 && drbdsetup new-minor r0 1 0")?;
    let invalid = "1: Failure: (116) Lower device / meta device / index combination invalid.";
    for what in [
        "/dev/data1 /dev/data0 internal",
        "/dev/data0 /dev/data0 flexible",
    ] {
        refused(alpha, &format!("drbdsetup attach 1 {what}"), 10, invalid)?;
    }
    alpha.sh("drbdsetup attach 1 /dev/data0 /dev/data0 internal")?;
    alpha.sh("drbdsetup down r0").map(|_| ())
}

fn connections(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::bring_up_in_sync(lab, &r0)?;

    // Addresses that r0 uses are not to be had a second time.
    alpha.sh("drbdsetup new-resource r1")?;
    refused(
        alpha,
        "drbdsetup connect r1 ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7799",
        10,
        "r1: Failure: (102) Local address(port) already in use.",
    )?;
    refused(
        alpha,
        "drbdsetup connect r1 ipv4:10.0.0.1:7799 ipv4:10.0.0.2:7789",
        10,
        "r1: Failure: (103) Remote address(port) already in use.",
    )?;
    alpha.sh("drbdsetup del-resource r1")?;

    // A port that another program listens on: the resource ends up StandAlone, and nothing else.
    beta.sh("drbdadm disconnect r0")?;
    beta.wait_drbd(1, "cs:StandAlone")?;
    alpha.sh("drbdadm disconnect r0")?;
    let taken = alpha.start_sh("exec nc -l -s 10.0.0.1 -p 7789")?;
    alpha.wait_file(
        "nc to listen",
        "/proc/net/tcp",
        "^ *[0-9]+: 0100000A:1E6D 00000000:0000 0A",
        time::state(),
    )?;
    alpha.try_sh("drbdadm connect r0")?;
    alpha.wait_drbd(1, "cs:StandAlone ro:Primary/Unknown ds:UpToDate/")?;
    taken.kill()?;
    taken.wait(time::state())?;
    for node in lab.nodes() {
        node.sh("drbdadm connect r0")?;
    }
    steps::wait_synced(alpha, beta, &r0)?;

    // A peer that comes back with a smaller disk is not taken.
    beta.sh("drbdadm down r0")?;
    let small = Resource::r0().fast_resync().on_disk("/dev/data2");
    steps::configure_one(lab, beta, &[&small])?;
    beta.sh("drbdadm create-md --force r0 && drbdadm up r0")?;
    alpha.wait_drbd(1, "cs:StandAlone ro:Primary/Unknown ds:UpToDate/")?;
    let log = alpha.complete_log()?;
    ensure(log.contains("The peer's disk size is too small!"), || {
        format!("alpha's log does not name the reason:\n{log}")
    })?;
    alpha.sh("dd if=/dev/drbd1 of=/dev/null bs=1M")?;
    steps::demote(alpha)?;
    beta.sh("drbdadm down r0")?;
    steps::configure(lab, &[&r0])
}

/// Speaks to a node's port what no DRBD says: nothing, noise, a right magic with a wrong length.
const GARBAGE: &str = r#"
import os, socket, struct
noises = [
    b"",
    b"GET / HTTP/1.0\r\n\r\n",
    os.urandom(4096),
    struct.pack(">IHH", 0x83740267, 0xfff1, 0xffff) + bytes(100),
    struct.pack(">IHH", 0x83740267, 0xfff1, 0) * 3,
    struct.pack(">HHIxxxx", 0x8620, 0xfff1, 0xffffffff)[:12] + bytes(64),
    struct.pack(">HHI", 0x835a, 0xfffe, 80) + os.urandom(80),
]
for noise in noises:
    for bind in (0, 1):
        s = socket.socket()
        s.settimeout(2)
        try:
            s.connect(("10.0.0.1", 7789))
            s.sendall(noise)
            if not bind:
                s.shutdown(socket.SHUT_WR)
            s.recv(100)
        except OSError:
            pass
        s.close()
"#;

fn garbage(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0().fast_resync();
    steps::configure(lab, &[&r0])?;
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force r0")?;
    }
    alpha.sh("drbdadm up r0")?;
    alpha.wait_drbd(1, "cs:WFConnection")?;
    beta.put("/tmp/garbage.py", GARBAGE.as_bytes())?;
    beta.sh("python3 /tmp/garbage.py")?;
    alpha.wait_drbd(1, "cs:(WFConnection|Unconnected|BrokenPipe|WFReportParams)")?;
    let lines = alpha
        .complete_log()?
        .lines()
        .filter(|line| line.contains("drbd"))
        .count();
    // Not a line for each byte of it.
    ensure(lines < 300, || {
        format!("{lines} lines about garbage in alpha's log")
    })?;
    beta.sh("drbdadm up r0")?;
    for node in lab.nodes() {
        node.wait_drbd(
            1,
            "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent",
        )?;
    }
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &r0)
}

fn configuration(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    steps::configure(lab, &[&Resource::r0()])?;
    refused(
        alpha,
        "drbdadm up nonsense",
        1,
        "'nonsense' not defined in your config (for this host).",
    )?;
    let elsewhere = Resource::r0().section(&[("carol", "10.0.0.1"), ("dave", "10.0.0.2")]);
    alpha.put("/tmp/elsewhere.conf", elsewhere.as_bytes())?;
    refused(
        alpha,
        "drbdadm -c /tmp/elsewhere.conf up r0",
        1,
        "'r0' not defined in your config (for this host).",
    )?;
    refused(
        alpha,
        "drbdsetup role 99",
        10,
        "99: Failure: (127) Device minor not allocated",
    )?;
    refused(
        alpha,
        "drbdsetup new-minor nonsense 1 0",
        10,
        "Failure: (158) Unknown resource",
    )?;
    refused(
        alpha,
        "drbdsetup new-resource a/b",
        10,
        "a/b: Failure: (162) Invalid configuration request",
    )?;
    alpha.refuses(20, "drbdsetup nonsense")?;
    if alpha.stack().tools == Implementation::Ours {
        misspelt(alpha)?;
    }
    Ok(())
}

/// Our parser says where the mistake is and what was probably meant.
fn misspelt(alpha: &Node) -> Result<()> {
    alpha.sh("sed 's/ping-timeout/pingg-timeout/' /etc/drbd.conf >/tmp/misspelt.conf")?;
    let output = alpha.try_sh("drbdadm -c /tmp/misspelt.conf dump r0")?;
    ensure(
        output.code != 0
            && output.err.contains("/tmp/misspelt.conf:")
            && output.err.contains("ping-timeout"),
        || output.to_string(),
    )
}

/// Settings whose features are not built yet: one each of connect and attach. Who
/// builds one puts another one here, or takes the line out.
const UNBUILT: [(&str, &str); 2] = [
    ("drbdsetup connect r0 ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789 --protocol=A --on-congestion=pull-ahead", "on-congestion"),
    ("drbdsetup attach 1 /dev/data0 /dev/data0 internal --read-balancing=round-robin", "read-balancing"),
];

fn unbuilt(lab: &Lab) -> Result<()> {
    let (alpha, _) = lab.pair();
    steps::configure(lab, &[&Resource::r0()])?;
    alpha.sh("drbdadm create-md --force r0")?;
    alpha.sh("drbdsetup new-resource r0 && drbdsetup new-minor r0 1 0")?;
    for (command, option) in UNBUILT {
        let words = format!("{option}: this setting is not built into this module yet");
        refused(alpha, command, 10, &words)?;
        let shown = alpha.sh("drbdsetup show r0 --show-defaults")?;
        ensure(
            !shown.contains("pull-ahead") && !shown.contains("round-robin"),
            || shown,
        )?;
    }
    // The refused ones left nothing behind.
    alpha.sh("drbdadm up r0")?;
    alpha.wait_drbd(
        1,
        "cs:WFConnection ro:Secondary/Unknown ds:Inconsistent/DUnknown",
    )?;
    Ok(())
}
