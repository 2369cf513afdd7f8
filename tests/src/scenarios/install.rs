// SPDX-License-Identifier: GPL-2.0
//! `dist/install.sh` on a machine that has the stock drbd-utils: ours come, work, and go again
//! without a trace; the stock init script and udev rules work with our tools.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{steps, Oracle, Scenario, PLAIN};
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, Result};
use crate::lab::{load_module, Lab};
use crate::machine::Hardware;
use crate::node::Node;
use crate::paths;

/// Ours installed.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "install",
    about: "install.sh beside the stock drbd-utils, service drbd, udev's links, uninstall",
    source: include_str!("install.rs"),
    run: install,
    ..BESIDE_STOCK
}];

/// Alpha is a stock machine that gets ours; beta has ours from the start.
pub(super) const BESIDE_STOCK: Scenario = Scenario {
    // Machines of their own: they start from what the stock packages left.
    hardware: || Hardware {
        disks_mib: vec![48],
        ..Hardware::default()
    },
    c: Oracle::NotAsked,
    pairs: &["c:ours"],
    loaded: false,
    ..PLAIN
};

/// Where the checkout's parts are put on the node.
const SOURCE: &str = "/lab/source";
/// The stock init script while ours is in its place.
const STOCK_INIT: &str = "/etc/init.d/drbd.drbd-rs.dpkg-bak";
/// The stock configuration includes it.
pub(super) const CONFIGURATION: &str = "/etc/drbd.d/r0.res";
const BY_RESOURCE: &str = "/dev/drbd/by-res/r0/0";
const BY_DISK: &str = "/dev/drbd/by-disk/data0";

fn install(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    push_source(lab, alpha)?;
    let before = snapshot(alpha)?;

    alpha.sh(&format!("{SOURCE}/dist/install.sh install"))?;
    is_in_place(alpha)?;

    let r0 = Resource::r0().fast_resync();
    begin(lab, &r0)?;
    alpha.refuses(3, "service drbd status")?;
    alpha.sh("drbdadm create-md --force r0")?;
    service_works(lab, &r0)?;
    stock_init_works(alpha)?;

    alpha.sh(&format!("{SOURCE}/dist/install.sh uninstall"))?;
    alpha.sh(&format!("rm {CONFIGURATION}"))?;
    same(&before, &snapshot(alpha)?)?;
    leave(beta)
}

/// Configures `resource` on both nodes, and takes it up on beta.
pub(super) fn begin(lab: &Lab, resource: &Resource) -> Result<()> {
    let (_, beta) = lab.pair();
    for node in lab.nodes() {
        configure(lab, node, resource, "")?;
    }
    load_module(beta)?;
    beta.sh("drbdadm create-md --force r0 && drbdadm up r0")
        .map(|_| ())
}

/// The end of what [`begin`] has begun on a node.
pub(super) fn leave(node: &Node) -> Result<()> {
    node.sh(&format!(
        "udevadm settle; drbdadm down r0 && rmmod drbd && rm {CONFIGURATION}"
    ))
    .map(|_| ())
}

/// Brings what `make install` works with: `dist/`, the module, the program.
fn push_source(lab: &Lab, node: &Node) -> Result<()> {
    let stage = lab.setup().folder.join("source");
    let build = stage.join("build/sbin");
    fs::create_dir_all(&build).at("make", &build)?;
    let copy = |from: &Path, to: &Path| fs::copy(from, to).map(|_| ()).at("copy", from);
    copy(&lab.setup().build.module, &stage.join("build/drbd.ko"))?;
    copy(
        &lab.setup().build.tools.join("drbdadm"),
        &build.join("drbdadm"),
    )?;
    let output = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "-C"])
        .arg(paths::checkout()?)
        .args(["dist", "-C"])
        .arg(&stage)
        .arg("build")
        .output()
        .context("tar")?;
    ensure(output.status.success(), || {
        String::from_utf8_lossy(&output.stderr).into_owned()
    })?;
    node.put("/lab/source.tar", &output.stdout)?;
    node.sh(&format!(
        "mkdir {SOURCE} && tar -xf /lab/source.tar -C {SOURCE} && rm /lab/source.tar"
    ))?;
    fs::remove_dir_all(&stage).at("remove", &stage)
}

/// What must be the same before and after: names, kinds, rights, sizes and times of all files,
/// contents of the package's and of the kernel's lists of modules, dpkg's opinion.
pub(super) fn snapshot(node: &Node) -> Result<Vec<String>> {
    let text = node.sh("find /etc /usr -xdev -type d -printf '%p %y %m\\n' \
           -o ! -name 'modules.*' -printf '%p %y %m %s %T@ %l\\n' | sort
         dpkg -L drbd-utils | while read f; do [ ! -f $f ] || echo $f; done | xargs sha256sum
         sha256sum /usr/lib/modules/*/modules.*
         dpkg-divert --list
         dpkg -V drbd-utils; echo dpkg -V ends with $?
         ls -d /var/lib/drbd-rs 2>&1; true")?;
    ensure(text.contains("/usr/sbin/drbdadm f 755 "), || {
        format!("no snapshot:\n{text}")
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}

pub(super) fn same(before: &[String], after: &[String]) -> Result<()> {
    let missing = before.iter().filter(|line| !after.contains(line));
    let new = after.iter().filter(|line| !before.contains(line));
    let different: Vec<String> = missing
        .map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect();
    ensure(different.is_empty(), || {
        format!("uninstall left or lost:\n{}", different.join("\n"))
    })
}

fn is_in_place(node: &Node) -> Result<()> {
    node.sh("test \"$(modinfo -F implementation drbd)\" = drbd-rs && \
         modinfo -F filename drbd | grep -q /updates/drbd.ko")?;
    node.sh("drbdadm --version | grep -q ^DRBDADM_IMPLEMENTATION=")?;
    for tool in ["drbdadm", "drbdsetup", "drbdmeta"] {
        node.sh(&format!(
            "test -x /usr/sbin/{tool}.drbd-rs.dpkg-bak && \
             zcat /usr/share/man/man8/{tool}.8.gz | grep -q '^.TH {tool} 8' && \
             bash -c '. /usr/share/bash-completion/completions/{tool} && complete -p {tool}'",
        ))?;
    }
    node.sh("cmp /etc/init.d/drbd /lab/source/dist/drbd.init")?;
    // The package's own view of its files is not disturbed.
    node.sh("dpkg -V drbd-utils").map(|_| ())
}

fn configure(lab: &Lab, node: &Node, resource: &Resource, more: &str) -> Result<()> {
    let nodes: Vec<_> = lab
        .nodes()
        .iter()
        .map(|node| (node.name(), node.address()))
        .collect();
    let mut text = resource.section(&nodes);
    if let Some(end) = text.rfind('}') {
        text.insert_str(end, more);
    }
    node.put(CONFIGURATION, text.as_bytes())
}

/// Whether udev has made its links, with whichever rules and tools are there.
fn linked(node: &Node) -> Result<()> {
    node.sh("udevadm settle")?;
    for link in [BY_RESOURCE, BY_DISK] {
        node.sh(&format!("test $(readlink -f {link}) = /dev/drbd1"))?;
    }
    Ok(())
}

/// `service drbd` with all of ours: start, status, reload, promotion at start, stop.
fn service_works(lab: &Lab, r0: &Resource) -> Result<()> {
    let (alpha, beta) = lab.pair();
    alpha.sh("service drbd start")?;
    // A plain modprobe has found the module under updates/.
    alpha.sh("grep -q O /sys/module/drbd/taint && grep -q drbd-rs /proc/drbd")?;
    alpha.wait_drbd(1, "cs:Connected ro:Secondary/Secondary")?;
    linked(alpha)?;
    // Beta has our tools and the stock rules.
    linked(beta)?;
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, r0)?;
    let status = alpha.sh("service drbd status")?;
    ensure(
        status.lines().any(|line| {
            line.split_whitespace()
                .eq("1:r0 Connected Primary/Secondary UpToDate/UpToDate C".split(' '))
        }),
        || format!("service drbd status says\n{status}"),
    )?;
    alpha.sh(&format!(
        "dd if=/dev/urandom of={BY_RESOURCE} bs=64k count=16 oflag=direct"
    ))?;

    let changed = r0.clone().net("ping-int 9");
    configure(
        lab,
        alpha,
        &changed,
        "  startup { become-primary-on alpha; }\n",
    )?;
    alpha.sh("service drbd reload && drbdsetup show r0 | grep -Eq 'ping-int[[:space:]]+9;'")?;
    alpha.sh("udevadm settle; service drbd stop")?;
    is_gone(alpha)?;
    alpha.sh("service drbd start")?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    alpha.sh("udevadm settle; service drbd restart")?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    alpha.sh("udevadm settle; service drbd stop")?;
    is_gone(alpha)
}

fn is_gone(node: &Node) -> Result<()> {
    node.sh("test ! -e /proc/drbd && ! lsmod | grep -q '^drbd '")?;
    let removed = format!("udevadm settle; test ! -e {BY_RESOURCE} -a ! -e {BY_DISK}");
    node.sh(&removed).map(|_| ())
}

/// The stock init script drives our tools and module.
fn stock_init_works(node: &Node) -> Result<()> {
    node.refuses(3, &format!("{STOCK_INIT} status"))?;
    node.sh(&format!("{STOCK_INIT} start"))?;
    node.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    linked(node)?;
    node.sh("drbdadm --version | grep -q ^DRBDADM_IMPLEMENTATION=")?;
    same_status(node, STOCK_INIT)?;
    node.sh(&format!("{STOCK_INIT} reload"))?;
    node.sh(&format!("udevadm settle; {STOCK_INIT} stop"))?;
    is_gone(node)
}

/// Both init scripts print the same table, also with a file system mounted.
fn same_status(node: &Node, stock: &str) -> Result<()> {
    node.sh(&format!(
        "mke2fs -q /dev/drbd1 && mount /dev/drbd1 /mnt && {stock} status >/tmp/stock; \
         {SOURCE}/dist/drbd.init status >/tmp/ours; umount /mnt; diff /tmp/stock /tmp/ours",
    ))
    .map(|_| ())
}
