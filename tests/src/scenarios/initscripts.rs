// SPDX-License-Identifier: GPL-2.0
//! What starts DRBD at boot, crossed: alpha has the init script, the units and the udev rules of
//! the stock drbd-utils, beta has ours, and both have the tools of the pairing. Both scripts call
//! the same tools in the same order and end with the same codes, as with C; both rules make the
//! same links.

use std::fmt::Write as _;

use super::{same_transcript, steps, Scenario, PLAIN};
use crate::error::{ensure, Result};
use crate::lab::Lab;
use crate::machine::Hardware;
use crate::node::{Node, Output};
use crate::time;

/// The system's files, crossed.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "init-scripts",
    about: "init script, units and udev rules, stock's on alpha, ours on beta: calls, codes, links",
    source: concat!(
        include_str!("initscripts.rs"),
        include_str!("initscripts.txt"),
        include_str!("../../../dist/drbd.init"),
        include_str!("../../../dist/drbd-service-shim.sh"),
        include_str!("../../../dist/65-drbd.rules"),
        include_str!("../../../dist/systemd/drbd.service"),
        include_str!("../../../dist/systemd/drbd@.service"),
        include_str!("../../../dist/systemd/drbd-promote@.service"),
    ),
    hardware: || Hardware {
        disks_mib: vec![24; 3],
        ..Hardware::default()
    },
    pairs: &["ours:ours", "ours+stock:ours+stock"],
    loaded: false,
    run: crossed,
    ..PLAIN
}];

/// What the scripts called, and how they ended, with C.
const TRANSCRIPT: &str = include_str!("initscripts.txt");

/// The stock init script, and where ours is put.
const STOCK_INIT: &str = "/etc/init.d/drbd";
const OUR_INIT: &str = "/lab/init/drbd";
/// Where the units look for the scripts, and where stock's stay meanwhile.
const SCRIPTS: &str = "/usr/lib/drbd/scripts";
const STOCK_SCRIPTS: &str = "/lab/init/stock";

/// Ours: place, content, mode. Rules in /etc hide those of the same name in /usr/lib.
const OURS: [(&str, &str, u32); 3] = [
    (OUR_INIT, include_str!("../../../dist/drbd.init"), 0o755),
    (
        "/lab/init/drbd-service-shim.sh",
        include_str!("../../../dist/drbd-service-shim.sh"),
        0o755,
    ),
    (
        "/lab/init/65-drbd.rules",
        include_str!("../../../dist/65-drbd.rules"),
        0o644,
    ),
];

/// Our units by name.
const UNITS: [(&str, &str); 3] = [
    (
        "drbd.service",
        include_str!("../../../dist/systemd/drbd.service"),
    ),
    (
        "drbd@.service",
        include_str!("../../../dist/systemd/drbd@.service"),
    ),
    (
        "drbd-promote@.service",
        include_str!("../../../dist/systemd/drbd-promote@.service"),
    ),
];

/// Calls a program of its own name, and writes down how.
const WITNESS: &str = r#"#!/bin/sh
echo "${0##*/} $*" >>/lab/init/calls
exec "${0##*/}" "$@"
"#;

/// What both scripts read. A fault is more of the same.
const DEFAULTS: &str = r#"
DRBDADM=/lab/init/witness/drbdadm
DRBDSETUP=/lab/init/witness/drbdsetup
MODPROBE=/lab/init/witness/modprobe
RMMOD=/lab/init/witness/rmmod
for hook in hook_start_before-wait hook_start hook_stop hook_reload; do
	eval "$hook() { echo $hook >>/lab/init/calls; return 1; }"
done
[ ! -e /lab/init/fault ] || . /lab/init/fault
"#;

/// A drbdadm that cannot adjust. It may have been warned only, with code 1.
const ADJUST_FAILS: &str = r#"
DRBDADM=fails
fails() {
	[ "$1" = adjust-with-progress ] && return 20
	/lab/init/witness/drbdadm "$@"
}
"#;

/// Says of minor 1 what tools of series 9 say, and of minor 2 what older ones of them said.
const SERIES_9: &str = r"#!/bin/sh
case $* in
*minor-1)
	echo DEVICE=drbd_one
	echo SYMLINK=drbd/by-res/nine
	echo SYMLINK_BY_RES=drbd/by-res/nine
	echo SYMLINK_BY_DISK=drbd/by-disk/nine
	;;
*minor-2)
	echo DEVICE=drbd_two
	echo SYMLINK=drbd/by-res/nine2/0 drbd/by-disk/nine2
	;;
esac
";

/// The links while all is up.
const LINKS: &str = "\
/dev/drbd/by-disk/data0 drbd1
/dev/drbd/by-disk/data1 drbd2
/dev/drbd/by-disk/data2 drbd3
/dev/drbd/by-res/r0 drbd1
/dev/drbd/by-res/r1/0 drbd2
/dev/drbd/by-res/r1/1 drbd3
/dev/drbd_named drbd2
";

/// And what becomes of them by [`SERIES_9`].
const LINKS_9: &str = "\
/dev/drbd/by-disk/nine drbd1
/dev/drbd/by-disk/nine2 drbd2
/dev/drbd/by-res/nine drbd1
/dev/drbd/by-res/nine2/0 drbd2
/dev/drbd_one drbd1
/dev/drbd_two drbd2
";

fn crossed(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    for node in lab.nodes() {
        prepare(node)?;
    }
    beta.sh("cp /lab/init/65-drbd.rules /etc/udev/rules.d/ && udevadm control --reload")?;
    let mut log = Transcript::default();

    refused(lab, &mut log)?;
    for node in lab.nodes() {
        node.sh("drbdadm create-md --force r0 r1")?;
    }
    log.both(lab, "start", 0)?;
    same_links(lab, LINKS)?;
    links_of_series_9(lab)?;

    // Nothing is in the disks yet: they pass for equal.
    for node in lab.nodes() {
        node.wait_drbd(1, "cs:Connected ro:Secondary/Secondary ds:Inconsistent/")?;
    }
    alpha.sh("drbdsetup new-current-uuid --clear-bitmap 1")?;
    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
    }
    configure(lab, 9, "become-primary-on alpha;")?;
    log.both(lab, "reload", 0)?;
    for node in lab.nodes() {
        node.sh("drbdsetup show r0 | grep -Eq 'ping-int[[:space:]]+9;'")?;
    }
    log.run(alpha, "restart", 0)?;
    beta.wait_drbd(1, "cs:Connected ro:Secondary/Primary")?;
    log.run(beta, "restart", 0)?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary")?;
    same_status(beta)?;

    // A stop takes a file system with it.
    alpha.sh("mke2fs -q /dev/drbd1 && mount /dev/drbd/by-res/r0 /mnt")?;
    same_status(alpha)?;
    alpha.sh("udevadm settle")?;
    log.run(alpha, "stop", 0)?;
    is_gone(alpha)?;
    beta.wait_drbd(1, "cs:WFConnection ro:Secondary/Unknown")?;
    beta.sh("drbdadm primary r0 && mount /dev/drbd/by-res/r0 /mnt && udevadm settle")?;
    log.run(beta, "stop", 0)?;
    is_gone(beta)?;
    log.both(lab, "stop", 0)?;

    units(lab)?;
    same_transcript(lab, "initscripts.txt", &log.of_alpha, TRANSCRIPT)?;
    for node in lab.nodes() {
        node.sh(
            "rm -rf /lab/init /etc/default/drbd /etc/udev/rules.d/65-drbd.rules && \
             udevadm control --reload",
        )?;
    }
    Ok(())
}

/// Brings what the scripts work with.
fn prepare(node: &Node) -> Result<()> {
    node.sh("mkdir -p /lab/init/witness")?;
    for (path, content, mode) in OURS {
        node.put_mode(path, content.as_bytes(), mode)?;
    }
    for name in ["drbdadm", "drbdsetup", "modprobe", "rmmod"] {
        let path = format!("/lab/init/witness/{name}");
        node.put_mode(&path, WITNESS.as_bytes(), 0o755)?;
    }
    node.put("/etc/default/drbd", DEFAULTS.as_bytes())
}

/// One volume without a number, and two, of which one has a name. `startup` is of r0.
fn configure(lab: &Lab, ping_int: u32, startup: &str) -> Result<()> {
    let hosts = |port: u16| -> String {
        let host = |node: &Node| {
            format!(
                "  on {} {{ address {}:{port}; }}\n",
                node.name(),
                node.address()
            )
        };
        lab.nodes().iter().map(host).collect()
    };
    let text = format!(
        "global {{ usage-count no; }}\n\
         common {{\n\
         \x20 startup {{ wfc-timeout 120; degr-wfc-timeout 120; outdated-wfc-timeout 120; }}\n\
         \x20 net {{ timeout 60; connect-int 2; ping-int {ping_int}; ping-timeout 30; }}\n\
         }}\n\
         resource r0 {{\n  startup {{ {startup} }}\n\
         \x20 device /dev/drbd1; disk /dev/data0; meta-disk internal;\n{}}}\n\
         resource r1 {{\n\
         \x20 volume 0 {{ device /dev/drbd_named minor 2; disk /dev/data1; meta-disk internal; }}\n\
         \x20 volume 1 {{ device minor 3; disk /dev/data2; meta-disk internal; }}\n{}}}\n",
        hosts(7789),
        hosts(7790),
    );
    for node in lab.nodes() {
        node.put("/etc/drbd.conf", text.as_bytes())?;
    }
    Ok(())
}

/// What the scripts called, by node, and how they ended.
#[derive(Default)]
struct Transcript {
    of_alpha: String,
    of_beta: String,
}

/// The init script of a node.
fn script(node: &Node) -> &'static str {
    if node.name() == "alpha" {
        STOCK_INIT
    } else {
        OUR_INIT
    }
}

impl Transcript {
    /// Has a node's script do something, which has to end with `code`.
    fn run(&mut self, node: &Node, verb: &str, code: i32) -> Result<Output> {
        let output = node.try_sh(&format!("{} {verb}", script(node)))?;
        self.ended(node, verb, code, output)
    }

    /// What has ended is written down.
    fn ended(&mut self, node: &Node, verb: &str, code: i32, output: Output) -> Result<Output> {
        ensure(output.code == code, || {
            let (name, found) = (node.name(), output.code);
            format!(
                "{name}: {verb} ends with {found} instead of {code}\n{}",
                output.text()
            )
        })?;
        let calls = node.sh("cd /lab/init && touch calls && cat calls && rm calls")?;
        let text = if node.name() == "alpha" {
            &mut self.of_alpha
        } else {
            &mut self.of_beta
        };
        let _ = writeln!(text, "{verb}: {code}");
        for line in calls.lines() {
            let _ = writeln!(text, "  {line}");
        }
        Ok(output)
    }

    /// Both nodes do the same at once, since each may wait for the other, and say the same.
    fn both(&mut self, lab: &Lab, verb: &str, code: i32) -> Result<()> {
        let (alpha, beta) = lab.pair();
        let job = alpha.start_sh(&format!("{} {verb}", script(alpha)))?;
        let ours = self.run(beta, verb, code)?;
        let stock = job.wait(time::command())?;
        let stock = self.ended(alpha, verb, code, stock)?;
        ensure(stock.out == ours.out, || {
            format!(
                "{verb}: stock's script says\n{}\nours\n{}",
                stock.text(),
                ours.text()
            )
        })?;
        self.agree()
    }

    /// Both scripts have done the same so far.
    fn agree(&self) -> Result<()> {
        ensure(self.of_alpha == self.of_beta, || {
            format!(
                "stock's script:\n{}\nours:\n{}",
                self.of_alpha, self.of_beta
            )
        })
    }
}

/// What goes wrong, and what is nothing to complain of.
fn refused(lab: &Lab, log: &mut Transcript) -> Result<()> {
    let (alpha, beta) = lab.pair();
    let fault = |text: &str| -> Result<()> {
        for node in lab.nodes() {
            node.put("/lab/init/fault", text.as_bytes())?;
        }
        Ok(())
    };
    configure(lab, 7, "")?;
    for (verb, code, fault_text) in [
        ("status", 3, ""),
        ("stop", 0, ""),
        ("start", 5, "MODPROBE=false\n"),
        ("start", 5, "DRBDADM=/lab/init/none\n"),
        ("reload", 5, "DRBDADM=/lab/init/none\n"),
        ("stop", 5, "DRBDADM=/lab/init/none\n"),
        ("start", 20, ADJUST_FAILS),
        ("stop", 0, ""),
    ] {
        fault(fault_text)?;
        log.both(lab, verb, code)?;
    }
    for node in lab.nodes() {
        is_gone(node)?;
        node.put("/etc/drbd.conf", b"resource r0 { nonsense }\n")?;
        // Who wants to know more says so.
        log.run(node, "", 1)?;
    }
    log.both(lab, "start", 6)?;
    // A restart that fails says so, but not stock's.
    alpha.sh(&format!("{} restart", script(alpha)))?;
    beta.refuses(6, &format!("{} restart", script(beta)))?;
    for node in lab.nodes() {
        node.sh("rm /lab/init/calls")?;
    }
    log.both(lab, "stop", 0)?;
    configure(lab, 7, "")
}

/// The links to the devices of both nodes are these.
fn same_links(lab: &Lab, wanted: &str) -> Result<()> {
    for node in lab.nodes() {
        let found = node.sh("udevadm settle
             find /dev/drbd /dev/drbd_* -type l | sort | while read link; do
               echo $link $(basename $(readlink -f $link))
             done")?;
        ensure(found == wanted, || {
            format!(
                "{}: the links are\n{found}instead of\n{wanted}",
                node.name()
            )
        })?;
    }
    Ok(())
}

/// Rules are there for the tools of series 9, too.
fn links_of_series_9(lab: &Lab) -> Result<()> {
    let look = "udevadm trigger --settle --action=change /sys/block/drbd*";
    for node in lab.nodes() {
        node.sh("mv /usr/sbin/drbdadm /lab/init/drbdadm")?;
        node.put_mode("/usr/sbin/drbdadm", SERIES_9.as_bytes(), 0o755)?;
        node.sh(look)?;
    }
    same_links(lab, LINKS_9)?;
    for node in lab.nodes() {
        node.sh(&format!("mv /lab/init/drbdadm /usr/sbin/drbdadm && {look}"))?;
    }
    same_links(lab, LINKS)
}

/// Both scripts show the same table on the same node.
fn same_status(node: &Node) -> Result<()> {
    let [stock, ours] = [STOCK_INIT, OUR_INIT].map(|script| node.sh(&format!("{script} status")));
    let (stock, ours) = (stock?, ours?);
    node.sh("rm /lab/init/calls")?;
    ensure(stock == ours && ours.contains("\n3:r1 "), || {
        format!("stock's script shows\n{stock}ours\n{ours}")
    })
}

fn is_gone(node: &Node) -> Result<()> {
    node.sh(
        "test ! -e /proc/drbd && test ! -e /sys/module/drbd && ! grep -q /dev/drbd /proc/mounts",
    )
    .map(|_| ())
}

/// What each unit's `Exec…=` lines do, on alpha those of stock's units. There is no systemd.
fn units(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    beta.sh(&format!(
        "mv {SCRIPTS} {STOCK_SCRIPTS} && mkdir {SCRIPTS} && \
         cp /lab/init/drbd /lab/init/drbd-service-shim.sh {SCRIPTS}"
    ))?;

    configure(lab, 7, "")?;
    let job = alpha.start_sh(&line(alpha, "drbd.service", "ExecStart")?)?;
    beta.sh(&line(beta, "drbd.service", "ExecStart")?)?;
    job.succeed(time::command())?;
    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
    }
    configure(lab, 8, "")?;
    for node in lab.nodes() {
        node.sh(&line(node, "drbd.service", "ExecReload")?)?;
        node.sh("drbdsetup show r0 | grep -Eq 'ping-int[[:space:]]+8;'")?;
    }
    for node in lab.nodes() {
        node.sh("udevadm settle")?;
        node.sh(&line(node, "drbd.service", "ExecStop")?)?;
        is_gone(node)?;
    }

    for node in lab.nodes() {
        // As modules-load.d has it.
        node.sh("modprobe drbd")?;
        node.sh(&line(node, "drbd@.service", "ExecStart")?)?;
    }
    for node in lab.nodes() {
        node.wait_drbd(1, steps::IN_SYNC)?;
    }
    configure(lab, 7, "")?;
    for node in lab.nodes() {
        node.sh(&line(node, "drbd@.service", "ExecReload")?)?;
        node.sh("drbdsetup show r0 | grep -Eq 'ping-int[[:space:]]+7;'")?;
    }
    // Stock's unit speaks to series 9.
    beta.sh(&line(beta, "drbd-promote@.service", "ExecCondition")?)?;
    alpha.wait_drbd(1, "cs:Connected ro:Secondary/Primary")?;
    beta.sh("udevadm settle")?;
    beta.sh(&line(beta, "drbd-promote@.service", "ExecStop")?)?;
    alpha.wait_drbd(1, steps::IN_SYNC)?;
    for node in lab.nodes() {
        node.sh("udevadm settle")?;
        node.sh(&line(node, "drbd@.service", "ExecStopPost")?)?;
        node.sh("udevadm settle && test ! -e /dev/drbd/by-res/r0 && rmmod drbd")?;
    }
    beta.sh(&format!("rm -r {SCRIPTS} && mv {STOCK_SCRIPTS} {SCRIPTS}"))
        .map(|_| ())
}

/// A command line of a node's unit, for resource r0 where it is a template.
fn line(node: &Node, unit: &str, key: &str) -> Result<String> {
    let text = if node.name() == "alpha" {
        node.sh(&format!("cat /usr/lib/systemd/system/{unit}"))?
    } else {
        let ours = UNITS.iter().find(|(name, _)| *name == unit);
        ours.map_or_else(String::new, |(_, text)| (*text).to_owned())
    };
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let command = value(key).unwrap_or_default();
    ensure(!command.is_empty(), || {
        format!("{}: no {key} in {unit}:\n{text}", node.name())
    })?;
    let environment = value("Environment").unwrap_or_default();
    Ok(format!("env {environment} {}", command.replace("%I", "r0")))
}
