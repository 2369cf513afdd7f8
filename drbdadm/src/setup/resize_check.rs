// SPDX-License-Identifier: GPL-2.0
//! `check-resize`: notes size and name of the backing device of an attached minor.
//!
//! drbdmeta finds internal metadata by this note after the device was grown while DRBD was down
//! (see docs/metadata.md).

use super::client::Client;
use super::error::{errno_text, SetupError};
use super::Call;
use drbd_core::config::DiskConf;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const NOTES: &str = "/var/lib/drbd";

/// Runs `check-resize`.
pub(super) fn run(call: &Call) -> Result<u8, SetupError> {
    let minor = call.minor()?;
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let status = client.status(minor).map_err(about(&call.object))?;
    let Some(disk) = status.disk_conf else {
        return Ok(0);
    };
    let path = note_path(Path::new(NOTES), minor);
    update(&path, &disk).map_err(|error| SetupError::Failed {
        text: format!(
            "Could not check {}: {}\n",
            disk.backing_dev,
            errno_text(&error)
        ),
        exit: 1,
    })?;
    Ok(0)
}

fn note_path(directory: &Path, minor: u32) -> PathBuf {
    directory.join(format!("drbd-minor-{minor}.lkbd"))
}

/// Writes the note if size or name changed; removes it if the metadata are elsewhere.
fn update(path: &Path, disk: &DiskConf) -> io::Result<()> {
    let is_internal = disk.meta_dev_idx < 0 && disk.meta_dev == disk.backing_dev;
    if !is_internal {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let device = disk.backing_dev.to_string();
    let size = File::open(&device)?.seek(SeekFrom::End(0))?;
    let old = fs::read_to_string(path).unwrap_or_default();
    let line = format!("{size}\t{device}\n");
    if old.starts_with(&line) {
        return Ok(());
    }
    // The second line names the metadata, which are the same as long as the device is.
    let uuid = old
        .lines()
        .nth(1)
        .filter(|_| old.contains(&format!("\t{device}\n")));
    fs::write(
        path,
        uuid.map_or(line.clone(), |uuid| format!("{line}{uuid}\n")),
    )
}

#[cfg(test)]
mod tests {
    use super::{note_path, update};
    use drbd_core::config::DiskConf;
    use drbd_core::genl::Text;
    use std::fs;

    #[test]
    fn notes() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let device = directory.path().join("disk");
        fs::write(&device, [0; 4096]).expect("file");
        let name = device.to_str().expect("UTF-8");
        let text = Text::new(name.as_bytes()).expect("short");
        let mut disk = DiskConf {
            backing_dev: text,
            meta_dev: text,
            meta_dev_idx: -3,
            ..DiskConf::default()
        };
        let note = note_path(directory.path(), 7);
        update(&note, &disk).expect("written");
        assert_eq!(
            fs::read_to_string(&note).expect("note"),
            format!("4096\t{name}\n")
        );
        // Growth keeps the identity of the metadata.
        fs::write(&note, format!("4096\t{name}\nuuid:\t1122334455667788\n")).expect("note");
        fs::write(&device, [0; 8192]).expect("file");
        update(&note, &disk).expect("written");
        let expected = format!("8192\t{name}\nuuid:\t1122334455667788\n");
        assert_eq!(fs::read_to_string(&note).expect("note"), expected);
        disk.meta_dev_idx = 0;
        update(&note, &disk).expect("removed");
        update(&note, &disk).expect("nothing to remove");
        assert!(!note.exists());
    }
}
