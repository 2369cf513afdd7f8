// SPDX-License-Identifier: GPL-2.0
//! The Debian packages on a machine that has the stock drbd-utils: installed, used, upgraded while
//! a resource is up, removed without a trace; and what is said about kernels that have no such
//! module.

use std::process::Command;

use super::install::{begin, leave, same, snapshot, BESIDE_STOCK, CONFIGURATION};
use super::{steps, Scenario};
use crate::drbdconf::Resource;
use crate::error::{ensure, Context, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::paths;

/// The packages installed.
pub const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "packages",
    about: "Debian packages: install, use, upgrade while up, unfit kernels, remove, purge",
    source: include_str!("packages.rs"),
    run: packages,
    ..BESIDE_STOCK
}];

/// The packages' names; both are installed at once.
const NAMES: [&str; 2] = ["drbd-rs-utils", "drbd-rs-module"];

fn packages(lab: &Lab) -> Result<()> {
    let (alpha, beta) = lab.pair();
    push_packages(lab, alpha, "0.1.0+one")?;
    push_packages(lab, alpha, "0.1.0+two")?;
    let before = snapshot(alpha)?;

    alpha.sh("dpkg -i /lab/0.1.0+one/*.deb")?;
    is_in_place(lab, alpha, "0.1.0+one")?;
    let r0 = Resource::r0().fast_resync();
    begin(lab, &r0)?;
    // A plain modprobe finds the package's module before the kernel's own.
    alpha.sh("modprobe drbd && grep -q drbd-rs /proc/drbd")?;
    alpha.sh("drbdadm create-md --force r0 && drbdadm up r0")?;
    alpha.wait_drbd(1, "cs:Connected ro:Secondary/Secondary")?;
    alpha.sh("drbdadm primary --force r0")?;
    steps::wait_synced(alpha, beta, &r0)?;

    upgrade(lab, alpha)?;
    unfit_kernels(alpha)?;

    // Removed with the module in use: that one stays until it is unloaded, by the stock tools.
    alpha.sh("dpkg -r drbd-rs-utils drbd-rs-module")?;
    alpha.sh("! drbdadm --version | grep -q ^DRBDADM_IMPLEMENTATION=")?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    alpha.sh("udevadm settle; drbdadm down r0 && rmmod drbd")?;
    alpha.sh("test \"$(modinfo -F implementation drbd)\" = ''")?;
    alpha.sh(&format!("dpkg -P {}; rm {CONFIGURATION}", NAMES.join(" ")))?;
    alpha.sh("test ! -e /var/lib/drbd-rs-module")?;
    same(&before, &snapshot(alpha)?)?;
    leave(beta)
}

/// Makes both packages of that version from what was built, and brings them to `/lab/VERSION`.
fn push_packages(lab: &Lab, node: &Node, version: &str) -> Result<()> {
    let folder = lab.setup().folder.join("packages").join(version);
    let script = paths::checkout()?.join("dist/deb/build.sh");
    let output = Command::new(&script)
        .arg(&folder)
        .arg(version)
        .output()
        .context("dist/deb/build.sh")?;
    ensure(output.status.success(), || {
        String::from_utf8_lossy(&output.stderr).into_owned()
    })?;
    node.sh(&format!("mkdir /lab/{version}"))?;
    for name in NAMES {
        let file = format!("{name}_{version}_amd64.deb");
        node.push(
            &folder.join(&file),
            &format!("/lab/{version}/{file}"),
            0o644,
        )?;
    }
    Ok(())
}

fn is_in_place(lab: &Lab, node: &Node, version: &str) -> Result<()> {
    let kernel = lab.kernel();
    node.sh(&format!(
        "test \"$(drbd-rs-module status)\" = '{kernel} drbd-rs {version}'"
    ))?;
    node.sh("test \"$(modinfo -F implementation drbd)\" = drbd-rs")?;
    node.sh("drbdadm --version | grep -q ^DRBDADM_IMPLEMENTATION=")?;
    for tool in ["drbdadm", "drbdsetup", "drbdmeta"] {
        node.sh(&format!(
            "test -x /usr/sbin/{tool}.stock.dpkg-bak && \
             dpkg-query -W -f '${{Version}}' drbd-rs-utils | grep -Fx '{version}'",
        ))?;
    }
    // The stock package is complete in its own eyes, and so are ours.
    for name in ["drbd-utils", NAMES[0], NAMES[1]] {
        node.sh(&format!("dpkg -V {name}"))?;
    }
    Ok(())
}

/// The next version comes while the resource is up and written to; its module is taken at the next
/// load.
fn upgrade(lab: &Lab, alpha: &Node) -> Result<()> {
    alpha.sh("dd if=/dev/urandom of=/dev/drbd1 bs=64k count=64 oflag=direct")?;
    let sum = alpha.sh("dd if=/dev/drbd1 bs=64k count=64 iflag=direct | sha256sum")?;
    let told = alpha.sh("dpkg -i /lab/0.1.0+two/*.deb")?;
    ensure(told.contains("a drbd module is loaded"), || {
        format!("nothing is said about the old module:\n{told}")
    })?;
    is_in_place(lab, alpha, "0.1.0+two")?;
    alpha.sh("drbdadm status r0 | grep -q role:Primary")?;
    alpha.wait_drbd(1, "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate")?;
    alpha.sh("udevadm settle; drbdadm down r0 && rmmod drbd && modprobe drbd")?;
    alpha.sh("drbdadm up r0")?;
    alpha.wait_drbd(
        1,
        "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate",
    )?;
    alpha.sh("drbdadm primary r0")?;
    let after = alpha.sh("dd if=/dev/drbd1 bs=64k count=64 iflag=direct | sha256sum")?;
    ensure(sum == after, || {
        "the upgrade has changed the data".to_owned()
    })
}

/// Kernels that the module cannot be had for: a plain word, and nothing half done.
fn unfit_kernels(node: &Node) -> Result<()> {
    for (release, configuration, code, word) in [
        ("7.9.0-plain", "# CONFIG_RUST is not set", 3, "without Rust"),
        ("6.12.0-old", "CONFIG_RUST=y", 3, "older than 7.3"),
        ("7.9.0-bare", "CONFIG_RUST=y", 1, "linux-headers-7.9.0-bare"),
    ] {
        let folder = format!("/usr/lib/modules/{release}");
        node.sh(&format!(
            "mkdir -p {folder}/kernel && echo '{configuration}' >{folder}/config"
        ))?;
        let install = format!("drbd-rs-module install {release} 2>&1");
        let told = node.refuses(code, &install)?;
        // A kernel package's own hook says the same and never fails.
        let hook = node.sh(&format!(
            "run-parts --arg={release} --arg=/boot/vmlinuz-{release} /etc/kernel/postinst.d 2>&1"
        ))?;
        ensure(told.contains(word) && hook.contains(word), || {
            format!("kernel {release}: it says\n{told}\nand its hook\n{hook}")
        })?;
        node.sh(&format!("test ! -e {folder}/updates"))?;
        node.sh(&format!(
            "run-parts --arg={release} /etc/kernel/postrm.d && rm -r {folder}"
        ))?;
    }
    // Secure Boot asks for what cannot be had here: the module that is there stays.
    let release = node.sh("uname -r")?;
    node.refuses(1, "DRBD_RS_SECURE_BOOT=yes drbd-rs-module install")?;
    node.sh(&format!(
        "modinfo -k {} -F implementation drbd | grep -q drbd-rs",
        release.trim()
    ))
    .map(|_| ())
}
