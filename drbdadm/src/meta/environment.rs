// SPDX-License-Identifier: GPL-2.0
//! What surrounds drbdmeta: lock files, remembered devices, and the running kernel.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg};
use nix::libc;

use super::cli::DRBD_MAJOR;
use super::error::{os_text, MetaError, Result};

/// How long to wait for another program that works on the same minor.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// Directories and the kernel's word, replaceable for tests.
pub struct Environment {
    /// Where the lock files are; stock tools use the same ones.
    pub lock_dir: PathBuf,
    /// Where the last known size of a backing device is kept.
    pub state_dir: PathBuf,
    /// True if a disk is attached to this minor.
    pub attached: fn(u32) -> bool,
    /// Plain files are as good as block devices, without `--force`.
    pub plain_files: bool,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            lock_dir: PathBuf::from("/var/lock"),
            state_dir: PathBuf::from("/var/lib/drbd"),
            attached: attached_now,
            plain_files: false,
        }
    }
}

impl Environment {
    /// Keeps other tools away from `minor` until the file is dropped.
    ///
    /// # Errors
    ///
    /// The lock is still taken after a second, or there is no place for it.
    pub fn lock(&self, minor: u32) -> Result<File> {
        let path = self.lock_dir.join(format!("drbd-{DRBD_MAJOR}-{minor}"));
        let failed = |error: io::Error| {
            MetaError::Locked(format!("open({}): {}", path.display(), os_text(&error)))
        };
        // If this fails, so does the next step, which tells why.
        let _ = std::fs::create_dir_all(&self.lock_dir);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
                Ok(_) => return Ok(file),
                Err(Errno::EACCES | Errno::EAGAIN) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Errno::EACCES | Errno::EAGAIN) => {
                    return Err(MetaError::Locked(held_by(&file, &path)));
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// The file that keeps the last known size of the backing device of `minor`.
    #[must_use]
    pub fn last_known_path(&self, minor: u32) -> PathBuf {
        self.state_dir.join(format!("drbd-minor-{minor}.lkbd"))
    }
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

fn held_by(file: &File, path: &Path) -> String {
    let mut lock = whole_file();
    let holder = fcntl(file, FcntlArg::F_GETLK(&mut lock)).map_or(0, |_| lock.l_pid);
    format!("lock on {} currently held by pid:{holder}", path.display())
}

/// Asks drbdsetup, which is this very program under another name.
fn attached_now(minor: u32) -> bool {
    let output = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .arg0("drbdsetup")
            .args(["dstate", &minor.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
    });
    let Ok(output) = output else { return false };
    match output.status.code() {
        // The driver is not loaded, or has no such minor.
        Some(10 | 20) => false,
        _ => tells_a_disk(&String::from_utf8_lossy(&output.stdout)),
    }
}

/// True if the answer of `drbdsetup dstate` names a state with a disk.
fn tells_a_disk(answer: &str) -> bool {
    let local = answer.trim().split('/').next().unwrap_or_default();
    !matches!(local, "" | "Diskless" | "Unconfigured")
}

/// The last known place of a backing device: its size, and the identity of its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastKnown {
    /// Size in bytes.
    pub bytes: u64,
    /// The path it had.
    pub path: Option<String>,
    /// `device_uuid` of the superblock, if that was not 0.
    pub uuid: Option<u64>,
}

impl LastKnown {
    /// Reads the text of such a file.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let first = lines.next()?;
        let (bytes, path) = match first.split_once(char::is_whitespace) {
            Some((bytes, path)) => (bytes, Some(path.trim().to_owned())),
            None => (first, None),
        };
        let uuid = lines.next().and_then(|line| line.strip_prefix("uuid:"));
        Some(Self {
            bytes: bytes.parse().ok()?,
            path: path.filter(|path| !path.is_empty()),
            uuid: uuid.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()),
        })
    }

    /// The text of such a file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}\t{}\n",
            self.bytes,
            self.path.as_deref().unwrap_or_default()
        );
        if let Some(uuid) = self.uuid {
            text.push_str(&format!("uuid:\t{uuid:016X}\n"));
        }
        text
    }

    /// Writes the file durably.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_devices() {
        let known = |bytes, path: &str, uuid| LastKnown {
            bytes,
            path: Some(path.to_owned()).filter(|path| !path.is_empty()),
            uuid,
        };
        for (text, expected) in [
            (
                "67108864\t/dev/vg/lv\n",
                Some(known(67_108_864, "/dev/vg/lv", None)),
            ),
            (
                "67108864\t/dev/vg/lv\nuuid:\t1122334455667788\n",
                Some(known(67_108_864, "/dev/vg/lv", Some(0x1122_3344_5566_7788))),
            ),
            ("5\nuuid: ff", Some(known(5, "", Some(255)))),
            ("5", Some(known(5, "", None))),
            ("xxx", None),
            ("", None),
        ] {
            assert_eq!(LastKnown::parse(text), expected, "{text:?}");
        }
        let text = "67108864\t/dev/vg/lv\nuuid:\t0000000000ABCDEF\n";
        assert_eq!(LastKnown::parse(text).unwrap().text(), text);
    }

    #[test]
    fn answers_of_the_kernel() {
        for (answer, disk) in [
            ("UpToDate/UpToDate\n", true),
            ("Inconsistent/DUnknown\n", true),
            ("Attaching\n", true),
            ("Diskless/UpToDate\n", false),
            ("Unconfigured\n", false),
            ("", false),
        ] {
            assert_eq!(tells_a_disk(answer), disk, "{answer:?}");
        }
    }

    #[test]
    fn a_taken_lock_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment {
            lock_dir: dir.path().join("lock"),
            state_dir: dir.path().to_owned(),
            attached: |_| false,
            plain_files: true,
        };
        let file = environment.lock(7).unwrap();
        // A lock of the open file, as another process would have it; it has no process.
        drop(file);
        let path = environment.lock_dir.join("drbd-147-7");
        let other = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        fcntl(&other, FcntlArg::F_OFD_SETLK(&whole_file())).unwrap();
        let error = environment.lock(7).unwrap_err();
        let expected = format!("lock on {} currently held by pid:-1", path.display());
        assert_eq!((error.to_string(), error.exit_code()), (expected, 20));
        drop(other);
        drop(environment.lock(7).unwrap());
    }
}
