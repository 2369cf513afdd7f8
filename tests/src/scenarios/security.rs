// SPDX-License-Identifier: GPL-2.0
//! Peers that prove who they are, and data that proves to have arrived whole.

use std::thread;
use std::time::{Duration, Instant};

use super::detach::detach;
use super::{steps, Oracle, Scenario, OURS_AND_MIXED, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::node::Node;

/// Authentication and integrity.
pub const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "authentication",
        about:
            "cram-hmac-alg: who knows the secret connects; wrong, missing, mirrored answers do not",
        source: include_str!("security.rs"),
        pairs: OURS_AND_MIXED,
        run: authentication,
        ..PLAIN
    },
    Scenario {
        name: "integrity",
        about:
            "data-integrity-alg: every kind of data is checked; what changes on its way is refused",
        source: include_str!("security.rs"),
        pairs: OURS_AND_MIXED,
        c: Oracle::KnownDefect {
            sheet: "docs/differences.md: zeroing out with data-integrity-alg drops the link",
            shows: "has lost the peer",
        },
        run: integrity,
        ..PLAIN
    },
];

const SECRET: &str = "correct horse battery staple";

fn with_secret(alg: &str, secret: &str) -> Resource {
    Resource::r0()
        .fast_resync()
        .net(&format!("cram-hmac-alg {alg}"))
        .net(&format!("shared-secret \"{secret}\""))
}

/// How often a node has logged a text since the scenario began.
fn logged(node: &Node, text: &str) -> Result<usize> {
    Ok(node.complete_log()?.matches(text).count())
}

fn authentication(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let sha1 = with_secret("sha1", SECRET);
    steps::bring_up_in_sync(lab, &sha1)?;
    authenticated(lab, 20)?;

    // Another hash, from the next connection on.
    let sha256 = with_secret("sha256", SECRET);
    steps::configure(lab, &[&sha256])?;
    for node in lab.nodes() {
        node.sh("drbdadm adjust r0")?;
    }
    reconnect(lab)?;
    steps::wait_synced(alpha, beta, &sha256)?;
    authenticated(lab, 32)?;

    // Another secret on one node: each finds that the other does not know its own.
    steps::configure_one(lab, beta, &[&with_secret("sha256", "Tr0ub4dor&3")])?;
    reconnect(lab)?;
    for node in lab.nodes() {
        node.wait_drbd(1, "cs:StandAlone")?;
        ensure(logged(node, "Authentication of peer failed")? == 1, || {
            format!("{} has not complained once", node.name())
        })?;
    }

    // A node that asks for no proof gives none. The one that asks does not come back.
    for (with, without) in [(alpha, beta), (beta, alpha)] {
        steps::configure_one(lab, with, &[&sha256])?;
        steps::configure_one(lab, without, &[&Resource::r0().fast_resync()])?;
        reconnect(lab)?;
        with.wait_drbd(1, "cs:StandAlone")?;
        without.wait_drbd(1, "cs:(WFConnection|Unconnected|ProtocolError)")?;
    }

    impostor(lab)?;

    // None of it has harmed anything.
    steps::configure(lab, &[&sha256])?;
    reconnect(lab)?;
    steps::wait_synced(alpha, beta, &sha256)?;
    secrets_are_kept(lab)?;
    steps::demote(alpha)?;
    steps::down_and_compare(lab, &sha256)?;
    alpha.sh("drbdsetup new-resource r1")?;
    let unknown = alpha.refuses(
        10,
        "drbdsetup connect r1 ipv4:10.0.0.1:7799 \
         ipv4:10.0.0.2:7799 --shared-secret=x --cram-hmac-alg=nonsense",
    )?;
    ensure(
        unknown.contains("(120) The 'cram-hmac-alg' you specified is not known in the kernel."),
        || unknown,
    )?;
    alpha.sh("drbdsetup del-resource r1").map(|_| ())
}

/// Ends the connection on both nodes, and has both look for each other with what the file says.
fn reconnect(lab: &Lab) -> Result<()> {
    for node in lab.nodes() {
        leave(node)?;
    }
    for node in lab.nodes() {
        node.sh("drbdadm connect r0")?;
    }
    Ok(())
}

/// Ends the connection on one node. One that has given up has forgotten it, and may say so.
fn leave(node: &Node) -> Result<()> {
    node.try_sh("drbdadm disconnect r0")?;
    node.wait_drbd(1, "cs:StandAlone").map(|_| ())
}

/// Both nodes have seen a proof of so many bytes, and nobody has complained.
fn authenticated(lab: &Lab, bytes: u32) -> Result<()> {
    for node in lab.nodes() {
        let text = format!("Peer authenticated using {bytes} bytes HMAC");
        let (good, bad) = (
            logged(node, &text)?,
            logged(node, "Authentication of peer")?,
        );
        ensure((good, bad) == (1, 0), || {
            format!("{}: {good} times `{text}`, {bad} times not", node.name())
        })?;
    }
    Ok(())
}

/// A peer without the secret, `argv[1]` says how it behaves: it sends our challenge back; a wrong
/// answer; an answer of the wrong length.
const IMPOSTOR: &str = r#"
import os, socket, struct, sys

def connect(purpose):
    s = socket.socket()
    s.settimeout(60)
    s.connect(("10.0.0.1", 7789))
    s.sendall(struct.pack(">IHH", 0x83740267, purpose, 0))
    return s

def exactly(s, n):
    got = b""
    while len(got) < n:
        more = s.recv(n - len(got))
        if not more:
            sys.exit("closed early")
        got += more
    return got

def packet(s, command, payload):
    s.sendall(struct.pack(">IHHII", 0x8620ec20, 0, command, len(payload), 0) + payload)

data, meta = connect(0xfff2), connect(0xfff1)
data.sendall(struct.pack(">IHHIII", 0x83740267, 0xfffe, 72, 86, 0, 101) + bytes(60))
exactly(data, 80)
challenge = exactly(data, 16 + 64)[16:]
if sys.argv[1] == "mirror":
    packet(data, 0x10, challenge)
else:
    packet(data, 0x10, os.urandom(64))
    packet(data, 0x11, bytes(32 if sys.argv[1] == "wrong" else 20))
while data.recv(4096):
    pass
"#;

fn impostor(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    steps::configure(lab, &[&with_secret("sha256", SECRET)])?;
    leave(beta)?;
    beta.put("/tmp/impostor.py", IMPOSTOR.as_bytes())?;
    let failed = "Authentication of peer failed";
    for (how, state) in [
        ("mirror", "StandAlone"),
        ("wrong", "StandAlone"),
        ("short", "WFConnection"),
    ] {
        leave(alpha)?;
        let before = logged(alpha, failed)?;
        alpha.sh("drbdadm connect r0")?;
        alpha.wait_drbd(1, "cs:WFConnection")?;
        // A reset of the connection by alpha is as good as its end.
        beta.sh(&format!("python3 /tmp/impostor.py {how} || true"))?;
        alpha.wait_drbd(1, &format!("cs:{state}"))?;
        ensure(logged(alpha, failed)? == before + 1, || {
            format!("alpha has not complained about: {how}")
        })?;
    }
    Ok(())
}

/// The secret is not in the logs, and only an administrator is told.
fn secrets_are_kept(lab: &Lab) -> Result<()> {
    for node in lab.nodes() {
        ensure(logged(node, SECRET)? == 0, || {
            format!("the secret is in {}'s log", node.name())
        })?;
        let show = "drbdsetup show r0";
        let told = node.sh(show)?;
        ensure(told.contains(SECRET), || told)?;
        let anybody = node.try_sh(&format!("setpriv --reuid=65534 --clear-groups {show}"))?;
        ensure(
            anybody.out.contains("cram-hmac-alg") && !anybody.out.contains(SECRET),
            || anybody.to_string(),
        )?;
    }
    Ok(())
}

/// Each node has waited for its peer once, in the beginning.
fn still_together(lab: &Lab) -> Result<()> {
    for node in lab.nodes() {
        ensure(logged(node, "-> WFConnection )")? == 1, || {
            format!("{} has lost the peer", node.name())
        })?;
    }
    Ok(())
}

fn integrity(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let with = |alg: &str| {
        let option = format!("data-integrity-alg {alg}");
        Resource::r0().fast_resync().net(&option)
    };
    // Resync, writes of all sizes, reads from the peer.
    let sha1 = with("sha1");
    steps::bring_up_in_sync(lab, &sha1)?;
    steps::fill(alpha, "mkfs.ext4 -q", &sha1, 200)?;
    still_together(lab)?;
    alpha.sh("umount /mnt")?;
    detach(alpha, "/dev/data0")?;
    alpha.wait_drbd(1, "cs:.* ds:Diskless/UpToDate")?;
    alpha.sh("mount /dev/drbd1 /mnt")?;
    steps::verify(alpha)?;
    alpha.sh("umount /mnt && drbdadm attach r0")?;
    steps::wait_synced(alpha, beta, &sha1)?;

    // Another algorithm while data flows: each node tells the other which one it uses.
    let writer = alpha.start_sh(
        "exec fio --name=w --filename=/dev/drbd1 --rw=randwrite --bsrange=4k-64k --size=16m \
         --ioengine=libaio --iodepth=8 --direct=1 --rate_iops=100 --output-format=terse",
    )?;
    let md5 = with("md5");
    steps::configure(lab, &[&md5])?;
    for node in lab.nodes() {
        node.sh("drbdadm adjust r0")?;
    }
    writer.succeed(crate::time::command())?;
    // Alpha, changed first, hears of what it has itself by then.
    beta.wait_log("peer data-integrity-alg: md5")?;
    still_together(lab)?;

    // A buffer that its owner changes while it is being sent: the receiver drops the connection.
    alpha.put("/tmp/fickle.py", FICKLE.as_bytes())?;
    let fickle = alpha.start(&["python3", "/tmp/fickle.py"], b"")?;
    beta.wait_log("Digest integrity check FAILED: ")?;
    fickle.kill()?;
    fickle.wait(crate::time::command())?;
    steps::wait_synced(alpha, beta, &md5)?;

    // What it left on the disks is its own fault.
    alpha.sh("dd if=/dev/zero of=/dev/drbd1 bs=1M oflag=direct conv=notrunc 2>/dev/null; true")?;
    steps::wait_synced(alpha, beta, &md5)?;
    steps::demote(alpha)?;

    // Nodes that do not agree stay apart.
    steps::configure_one(lab, beta, &[&with("crc32c")])?;
    reconnect(lab)?;
    let apart = "incompatible data-integrity-alg settings";
    // One may see the other's end before it has read what it would complain of.
    let start = Instant::now();
    while logged(alpha, apart)? + logged(beta, apart)? == 0 {
        ensure(start.elapsed() < crate::time::state(), || {
            "nobody has complained".into()
        })?;
        thread::sleep(Duration::from_millis(100));
    }
    steps::configure(lab, &[&md5])?;
    reconnect(lab)?;
    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
    }
    steps::down_and_compare(lab, &md5)
}

/// Writes a buffer again and again while another thread changes it.
const FICKLE: &str = r#"
import mmap, os, threading
size = 1 << 20
buffer = mmap.mmap(-1, size)
file = os.open("/dev/drbd1", os.O_WRONLY | os.O_DIRECT)
def change():
    n = 0
    while True:
        n += 1
        for at in range(0, size, 4096):
            buffer[at] = n % 256
threading.Thread(target=change, daemon=True).start()
while True:
    os.pwritev(file, [buffer], 0)
"#;
