// SPDX-License-Identifier: GPL-2.0
//! The guests' disk image and initramfs.
//!
//! The image is a Debian tree with the stock drbd-utils and the stock kernel's modules, made by
//! mmdebstrap and put into an ext4 file system by `mke2fs -d`. It is kept in the cache under the
//! hash of all that goes into it. The initramfs holds the agent, the three libraries that it
//! needs (the guest's own), and the modules without which the image can't be mounted; it is
//! made for each run, so that the agent is never an old one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

use crate::agent::init::MODULES;
use crate::cpio::Archive;
use crate::error::{Context, LabError, Result};
use crate::paths;
use crate::stack::{STOCK_TOOLS, TOOLS};

/// Raised when the recipe in this file changes in a way that old images must not survive.
const RECIPE: u32 = 2;
const SUITE: &str = "trixie";
const PACKAGES: &str = include_str!("../guest/packages");
/// What the initramfs loads before the image is there, by module name.
const EARLY_MODULES: [&str; 3] = ["virtio_blk", "overlay", "virtio_net"];
/// What the agent links to, as paths in the guest.
const LIBRARIES: [&str; 3] = [
    "lib64/ld-linux-x86-64.so.2",
    "lib/x86_64-linux-gnu/libc.so.6",
    "lib/x86_64-linux-gnu/libgcc_s.so.1",
];

/// All that a machine boots from.
#[derive(Debug, Clone)]
pub struct Image {
    /// The file system image, to be attached read-only.
    pub root: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// The kernel's version, as `uname -r` says it.
    pub version: String,
    /// The tree that the image was made of: modules and libraries are taken from it.
    tree: PathBuf,
}

impl Image {
    /// Finds the image in the cache, or makes it. Needs root and the network only to make it.
    ///
    /// # Errors
    /// When the kernel is missing or one of the tools fails; its output is in the message.
    pub fn get() -> Result<Self> {
        let kernel_folder = paths::kernel_folder()?;
        let version = kernel_folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let kernel = kernel_folder.join("vmlinuz");
        if !kernel.exists() {
            return Err(LabError::Setup(format!("{} is missing", kernel.display())));
        }
        let cache = paths::cache()?;
        let key = hash([&RECIPE.to_string(), SUITE, PACKAGES, &version]);
        let base = cache.join(format!("guest-{key}"));
        let image = Self {
            root: base.join("root.img"),
            kernel,
            version,
            tree: base.join("tree"),
        };
        if !image.root.exists() {
            let lock = cache.join("guest.lock");
            let file = fs::File::create(&lock).at("open", &lock)?;
            let _lock = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| errno)
                .at("lock", &lock)?;
            if !image.root.exists() {
                image.make(&base, &kernel_folder)?;
            }
        }
        Ok(image)
    }

    fn make(&self, base: &Path, kernel_folder: &Path) -> Result<()> {
        let new = base.with_extension("new");
        let tree = new.join("tree");
        if new.exists() {
            fs::remove_dir_all(&new).at("remove", &new)?;
        }
        fs::create_dir_all(&new).at("make", &new)?;
        eprintln!("drbd-lab: making the guest image (a minute, once)");
        let packages: Vec<&str> = PACKAGES
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        run(Command::new("mmdebstrap")
            .args(["--mode=root", "--variant=essential", "--format=directory"])
            .arg("--aptopt=Apt::Install-Recommends \"false\"")
            .arg(format!("--include={}", packages.join(",")))
            .arg(SUITE)
            .arg(&tree)
            .arg(format!("deb {} {SUITE} main", mirror()?)))?;
        let modules = tree.join("usr/lib/modules");
        fs::create_dir_all(&modules).at("make", &modules)?;
        run(Command::new("cp")
            .arg("-a")
            .arg(kernel_folder)
            .arg(&modules))?;
        let modules = modules.join(&self.version);
        let _ = fs::remove_file(modules.join("vmlinuz"));
        // Headers are linked from here in a build root; the guest has none.
        let _ = fs::remove_file(modules.join("build"));
        let _ = fs::remove_file(modules.join("source"));
        // A guest is no installation: its helpers must not wait for a service manager.
        let policy = tree.join("usr/sbin/policy-rc.d");
        fs::write(&policy, "#!/bin/sh\nexit 101\n").at("write", &policy)?;
        run(Command::new("chmod").arg("755").arg(&policy))?;
        // Where ours replace them, the stock tools stay at hand.
        let stock = tree.join(STOCK_TOOLS.trim_start_matches('/'));
        fs::create_dir_all(&stock).at("make", &stock)?;
        for tool in TOOLS {
            let from = tree.join("usr/sbin").join(tool);
            fs::copy(&from, stock.join(tool)).at("copy", &from)?;
        }
        let root = new.join("root.img");
        run(Command::new("mke2fs")
            .args([
                "-q",
                "-t",
                "ext4",
                "-O",
                "^has_journal",
                "-L",
                "guest",
                "-d",
            ])
            .arg(&tree)
            .arg(&root)
            .arg("768M"))?;
        fs::rename(&new, base).at("rename to", base)
    }

    /// Makes the initramfs with the given agent program.
    ///
    /// # Errors
    /// When the agent, a library or a module can't be read.
    pub fn initramfs(&self, agent: &Path) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        for folder in ["dev", "proc", "sys", "lib", "lib64", "lib/x86_64-linux-gnu"] {
            archive.folder(folder);
        }
        archive.folder(MODULES.trim_start_matches('/'));
        archive.char_device("dev/console", 5, 1);
        let program = fs::read(agent).at("read", agent)?;
        archive.file("init", 0o755, &program);
        for library in LIBRARIES {
            let path = self.tree.join("usr").join(library);
            let content = fs::read(&path).at("read", &path)?;
            archive.file(library, 0o755, &content);
        }
        let mut order = String::new();
        for (name, content) in self.early_modules()? {
            archive.file(&format!("{MODULES}/{name}")[1..], 0o644, &content);
            order.push_str(&name);
            order.push('\n');
        }
        archive.file(&format!("{MODULES}/order")[1..], 0o644, order.as_bytes());
        Ok(archive.finish())
    }

    /// The early modules and what they depend on, unpacked, in the order of loading.
    fn early_modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let folder = self.tree.join("usr/lib/modules").join(&self.version);
        let list = folder.join("modules.dep");
        let text = fs::read_to_string(&list).at("read", &list)?;
        let mut loaded = BTreeSet::new();
        let mut modules = Vec::new();
        for name in EARLY_MODULES {
            // "path/name.ko.xz: first-dependency second …", what is needed first comes last.
            let Some((path, needs)) = text.lines().find_map(|line| {
                let (path, needs) = line.split_once(':')?;
                (module_name(path) == name).then_some((path, needs))
            }) else {
                continue; // Built in.
            };
            for path in needs.split_whitespace().rev().chain([path]) {
                if loaded.insert(path) {
                    modules.push((module_name(path), unpacked(&folder.join(path))?));
                }
            }
        }
        Ok(modules)
    }
}

/// The name of a module as the kernel says it, from its path.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

fn unpacked(module: &Path) -> Result<Vec<u8>> {
    if module
        .extension()
        .is_some_and(|extension| extension == "xz")
    {
        let output = Command::new("xz")
            .arg("-dc")
            .arg(module)
            .output()
            .context("xz")?;
        if !output.status.success() {
            return Err(LabError::Setup(format!(
                "can't unpack {}",
                module.display()
            )));
        }
        return Ok(output.stdout);
    }
    fs::read(module).at("read", module)
}

/// The mirror: `DRBD_RS_MIRROR`, else the one the build root was made from, else this machine's.
fn mirror() -> Result<String> {
    if let Ok(mirror) = std::env::var("DRBD_RS_MIRROR") {
        if !mirror.is_empty() {
            return Ok(mirror);
        }
    }
    if let Ok(mirror) = fs::read_to_string("/etc/drbd-rs/mirror") {
        return Ok(mirror.trim().to_owned());
    }
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(ORIGIN) $(RELEASE) $(REPO_URI)",
        ])
        .arg("Created-By: Packages")
        .output()
        .context("apt-get indextargets")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with("Debian ") && !line.contains("security"))
        .find_map(|line| line.split_whitespace().last().map(str::to_owned))
        .ok_or_else(|| LabError::Setup("apt names no Debian mirror; set DRBD_RS_MIRROR".into()))
}

/// The first 12 hexadecimal digits of the SHA-256 over all parts.
pub(crate) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    let parts: Vec<String> = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    parts.concat()
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().context(format!("{command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = text.lines().rev().take(25).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(LabError::Setup(format!(
        "{command:?}: {}\n{}",
        output.status,
        tail.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_as_the_kernel_names_it() {
        assert_eq!(module_name("kernel/drivers/md/dm-mod.ko.xz"), "dm_mod");
        assert_eq!(module_name("drbd.ko"), "drbd");
    }

    #[test]
    fn the_hash_tells_parts_apart() {
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
        assert_eq!(hash(["ab"]).len(), 12);
    }
}
