// SPDX-License-Identifier: GPL-2.0
//! The walk through the tutorial that `make demo` shows: what is typed on which machine, and what
//! the machine answers.

use std::io::Write;

use crate::drbdconf::Resource;
use crate::error::{LabError, Result};
use crate::lab::{load_module, Lab};
use crate::node::Node;
use crate::protocol::Reply;
use crate::scenarios::steps;
use crate::time;

/// Shows a command on a node and what it says, as it says it.
fn show(node: &Node, command: &str) -> Result<()> {
    println!("{}# {command}", node.name());
    run(node, &["sh", "-c", command])
}

/// As [`show`], on a terminal, so that progress is shown as it is to people.
fn show_on_terminal(node: &Node, command: &str) -> Result<()> {
    println!("{}# {command}", node.name());
    run(node, &["script", "-qec", command, "/dev/null"])
}

fn run(node: &Node, argv: &[&str]) -> Result<()> {
    let code = node
        .start(argv, b"")?
        .stream(time::seconds(600), |reply, data| {
            if matches!(reply, Reply::Out | Reply::Err) {
                let mut out = std::io::stdout();
                let _ = out.write_all(data);
                let _ = out.flush();
            }
        })?;
    if code == 0 {
        return Ok(());
    }
    Err(LabError::Setup(format!(
        "{} said exit code {code}: {argv:?}",
        node.name()
    )))
}

fn tell(text: &str) {
    println!("\n## {text}\n");
}

/// The session, from empty disks to a switch-over, on two machines with our module and tools.
///
/// # Errors
/// When a command does not do what the walk says.
pub fn walk(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let r0 = Resource::r0();

    tell("Two machines with an unmodified kernel. The same configuration is on both.");
    println!("(The network time-outs are long because these machines are emulated.)");
    steps::configure(lab, &[&r0])?;
    show(alpha, "cat /etc/drbd.conf")?;
    for node in [alpha, beta] {
        load_module(node)?;
        show(node, "modinfo -F implementation drbd; head -2 /proc/drbd")?;
    }

    tell("Metadata is written to both disks, and the resource is brought up.");
    for node in [alpha, beta] {
        show(node, "drbdadm create-md r0")?;
    }
    for node in [alpha, beta] {
        show(node, "drbdadm up r0")?;
    }
    for node in [alpha, beta] {
        show(node, "drbdadm wait-connect r0")?;
        show(node, "cat /proc/drbd")?;
    }

    tell("Alpha's disk is declared to be the good one: a full sync begins.");
    show(alpha, "drbdadm primary --force r0")?;
    show_on_terminal(beta, "drbdadm wait-sync r0")?;
    show(alpha, "cat /proc/drbd; drbdadm status r0")?;

    tell("A file system with files.");
    show(
        alpha,
        "udevadm settle; mkfs.ext3 -q /dev/drbd1 && mount /dev/drbd1 /mnt \
         && for i in $(seq 200); do head -c $((i * 64)) /dev/urandom >/mnt/file$i; done \
         && cd /mnt && sha256sum file* >sums && ls | wc -l && df -h /mnt | tail -1",
    )?;

    tell("Beta goes down. Its disk is an ordinary ext3 disk; without beta, alpha works on.");
    show(
        alpha,
        "umount /mnt && udevadm settle && drbdadm secondary r0",
    )?;
    show(beta, "drbdadm down r0")?;
    show(
        beta,
        "mount -t ext3 -o ro /dev/data0 /mnt && cd /mnt && sha256sum -c sums | tail -1",
    )?;
    show(beta, "umount /mnt")?;
    show(
        alpha,
        "drbdadm primary r0 && mount /dev/drbd1 /mnt && echo alone >/mnt/alone",
    )?;
    show(
        alpha,
        "umount /mnt && udevadm settle && drbdadm secondary r0; cat /proc/drbd",
    )?;

    tell("Beta returns and gets what it missed, not more. Then it takes over.");
    show(beta, "drbdadm up r0 && drbdadm wait-connect r0")?;
    show_on_terminal(beta, "drbdadm wait-sync r0")?;
    show(
        beta,
        "drbdadm primary r0 && mount /dev/drbd1 /mnt && cat /mnt/alone",
    )?;
    show(
        beta,
        "cd /mnt && sha256sum -c sums | grep -vc OK || echo all checksums are right",
    )?;
    show(
        beta,
        "umount /mnt; udevadm settle; drbdadm secondary r0; cat /proc/drbd",
    )?;
    for node in [alpha, beta] {
        show(node, "drbdadm down r0 && rmmod drbd && echo unloaded")?;
    }
    tell("That was it. `make shell` leaves two such machines open to type in.");
    Ok(())
}
