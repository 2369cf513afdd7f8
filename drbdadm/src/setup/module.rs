// SPDX-License-Identifier: GPL-2.0
//! Local companions of the conversation: the module, lock files, and notes under `/var/run/drbd`.

use super::error::{errno_text, SetupError};
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg};
use nix::libc;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Its existence says that the module is loaded.
pub const PROC_DRBD: &str = "/proc/drbd";
const LOCK_DIR: &str = "/var/lock";
const RUN_DIR: &str = "/var/run/drbd";
/// How long another command may hold the lock of a minor.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const MODPROBE_TRIES: u32 = 10;

/// Loads the module unless it is loaded.
///
/// # Errors
///
/// [`SetupError::Failed`] if it cannot be loaded.
pub fn ensure_loaded() -> Result<(), SetupError> {
    if Path::new(PROC_DRBD).exists() {
        return Ok(());
    }
    // What modprobe says goes to standard error; whether it worked shows in /proc.
    let _ = Command::new("/sbin/modprobe").arg("drbd").status();
    for _ in 0..MODPROBE_TRIES {
        if Path::new(PROC_DRBD).exists() {
            return Ok(());
        }
        sleep(Duration::from_millis(1));
    }
    let reason = fs::metadata(PROC_DRBD)
        .err()
        .map_or_else(String::new, |e| errno_text(&e));
    Err(SetupError::local(format!(
        "Could not stat {PROC_DRBD}: {reason}\n\
         Make sure that the DRBD kernel module is installed and can be loaded!"
    )))
}

/// Keeps other commands from changing a minor. Let go when dropped.
#[derive(Debug)]
pub struct MinorLock(#[expect(dead_code, reason = "held open, closed on drop")] File);

/// Takes the lock of a minor, waiting for about a second.
///
/// # Errors
///
/// [`SetupError::Failed`] if the file cannot be opened or another process holds it.
pub fn lock_minor(minor: u32) -> Result<MinorLock, SetupError> {
    let path = format!("{LOCK_DIR}/drbd-147-{minor}");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| SetupError::local(format!("open({path}): {}", errno_text(&error))))?;
    let whole_file = || libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    for _ in 0..LOCK_TRIES {
        match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
            Ok(_) => return Ok(MinorLock(file)),
            Err(Errno::EAGAIN | Errno::EACCES) => sleep(LOCK_PAUSE),
            Err(errno) => {
                return Err(SetupError::local(format!(
                    "fcntl({path}): {}",
                    errno.desc()
                )))
            }
        }
    }
    let mut holder = whole_file();
    let _ = fcntl(&file, FcntlArg::F_GETLK(&mut holder));
    Err(SetupError::local(format!(
        "{path} is locked by process {}",
        holder.l_pid
    )))
}

/// Forgets which configuration file a minor belongs to.
pub(super) fn unregister_minor(minor: u32) {
    // There may be no note: nothing is lost then.
    let _ = fs::remove_file(format!("{RUN_DIR}/drbd-minor-{minor}.conf"));
}

/// Forgets which configuration file a resource belongs to.
pub(super) fn unregister_resource(name: &str) {
    if !name.contains('/') {
        let _ = fs::remove_file(format!("{RUN_DIR}/drbd-resource-{name}.conf"));
    }
}
