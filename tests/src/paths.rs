// SPDX-License-Identifier: GPL-2.0
//! Where things are on the host.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Context, LabError, Result};

/// The cache outside of the checkout: `DRBD_RS_CACHE`, else `drbd-rs` in the user's cache folder.
///
/// # Errors
/// When the environment names no home.
pub fn cache() -> Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let path = if let Some(cache) = folder("DRBD_RS_CACHE") {
        PathBuf::from(cache)
    } else if let Some(cache) = folder("XDG_CACHE_HOME") {
        Path::new(&cache).join("drbd-rs")
    } else if let Some(home) = folder("HOME") {
        Path::new(&home).join(".cache/drbd-rs")
    } else {
        return Err(LabError::Setup(
            "no cache folder: set DRBD_RS_CACHE or HOME".into(),
        ));
    };
    fs::create_dir_all(&path).at("make", &path)?;
    Ok(path)
}

/// The checkout: the folder at or above the current one that holds the workspace.
///
/// # Errors
/// When there is none.
pub fn checkout() -> Result<PathBuf> {
    let start = env::current_dir().context("current folder")?;
    let found = start.ancestors().find(|folder| {
        fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.contains("[workspace]"))
    });
    found
        .map(Path::to_path_buf)
        .ok_or_else(|| LabError::Setup("drbd-lab is to be called from within the checkout".into()))
}

/// The stock kernel: its folder of modules, which also holds `vmlinuz`.
///
/// `DRBD_LAB_KERNEL` names it (`…/lib/modules/VERSION`); otherwise it is the one that the build
/// root was made with.
///
/// # Errors
/// When neither is there.
pub fn kernel_folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("DRBD_LAB_KERNEL") {
        return Ok(folder.into());
    }
    let file = Path::new("/etc/drbd-rs/kernel-version");
    let version = fs::read_to_string(file).map_err(|_| {
        LabError::Setup(
            "no kernel: run this inside the build root (scripts/in-root), \
             or set DRBD_LAB_KERNEL=…/lib/modules/VERSION"
                .into(),
        )
    })?;
    Ok(Path::new("/usr/lib/modules").join(version.trim()))
}

/// Whether the machines get the stock kernel.
#[must_use]
pub fn stock_kernel() -> bool {
    env::var_os("DRBD_LAB_KERNEL").is_none()
}

/// From now on the kernel is the one that the file `kernel` in `folder` names. To be called before
/// there are other threads.
///
/// # Errors
/// When there is no such file.
pub fn use_kernel_of(folder: &Path) -> Result<()> {
    let file = folder.join("kernel");
    let place = fs::read_to_string(&file).at("read", &file)?;
    env::set_var("DRBD_LAB_KERNEL", place.trim());
    Ok(())
}

/// A new folder for what one run leaves behind, under `target/lab` or `DRBD_LAB_RUNS`.
///
/// # Errors
/// When it can't be made.
pub fn new_run() -> Result<PathBuf> {
    let base = match env::var_os("DRBD_LAB_RUNS") {
        Some(runs) => PathBuf::from(runs),
        None => checkout()?.join("target/lab"),
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let run = base.join(format!("{now}-{}", process::id()));
    fs::create_dir_all(&run).at("make", &run)?;
    Ok(run)
}

/// A short-named folder for sockets, whose paths have little room; removed on drop.
#[derive(Debug)]
pub struct SocketFolder(PathBuf);

impl SocketFolder {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("drbd-lab-{}-{count}", process::id()));
        fs::create_dir_all(&path).at("make", &path)?;
        Ok(Self(path))
    }

    /// The path of a socket in it.
    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
