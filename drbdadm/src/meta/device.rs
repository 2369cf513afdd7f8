// SPDX-License-Identifier: GPL-2.0
//! The device that holds the metadata: exclusive, unbuffered, in blocks of 4 KiB.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag};

use super::buffer::AlignedBuf;
use super::console::Console;
use super::error::{os_text, MetaError, Result};

/// The largest piece that is read or written at once.
pub(crate) const CHUNK: usize = 4 << 20;

/// How to open a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenMode {
    /// Nobody else may have it open exclusively; fixed areas share their device.
    pub(crate) exclusive: bool,
    /// A busy device may be used after a question.
    pub(crate) may_ask: bool,
    /// Plain files will do.
    pub(crate) plain_files: bool,
    /// Nothing is ever written.
    pub(crate) dry_run: bool,
}

/// An open device.
pub(crate) struct MdDevice {
    file: File,
    path: PathBuf,
    bytes: u64,
    dry_run: bool,
    written: bool,
}

impl MdDevice {
    /// Opens `path`; something else than a block device only if `mode` allows it.
    ///
    /// # Errors
    ///
    /// It can't be opened, is busy, or is no block device.
    pub(crate) fn open(path: &Path, mode: OpenMode, console: &mut Console<'_>) -> Result<Self> {
        let open_error = |source| MetaError::Open {
            path: path.to_owned(),
            source,
        };
        let mut flags = OFlag::empty();
        // Neither makes sense for a plain file.
        if std::fs::metadata(path).is_ok_and(|node| node.file_type().is_block_device()) {
            flags.insert(OFlag::O_DIRECT);
            flags.set(OFlag::O_EXCL, mode.exclusive);
        }
        let file = loop {
            let source = match open(path, flags) {
                Ok(file) => break file,
                Err(source) => source,
            };
            match source.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EBUSY) if flags.contains(OFlag::O_EXCL) => {
                    let error = open_error(source);
                    writeln!(console.err, "{error}")?;
                    let may = mode.may_ask || console.force;
                    if !may || !console.confirmed("Exclusive open failed. Do it anyways?")? {
                        writeln!(console.out, "Operation canceled.")?;
                        return Err(MetaError::Busy);
                    }
                    flags.remove(OFlag::O_EXCL);
                }
                Some(Errno::EINVAL) if flags.contains(OFlag::O_DIRECT) => {
                    let text = os_text(&source);
                    writeln!(console.err, "open({}) failed: {text}", path.display())?;
                    writeln!(
                        console.err,
                        "could not open with O_DIRECT, retrying without"
                    )?;
                    flags.remove(OFlag::O_DIRECT);
                }
                _ => return Err(open_error(source)),
            }
        };
        let kind = file.metadata().map_err(open_error)?.file_type();
        let acceptable = kind.is_block_device() || (mode.plain_files && kind.is_file());
        if !acceptable {
            return Err(MetaError::NotABlockDevice(path.to_owned()));
        }
        let bytes = (&file).seek(SeekFrom::End(0)).map_err(open_error)?;
        let dry_run = mode.dry_run;
        Ok(Self {
            file,
            path: path.to_owned(),
            bytes,
            dry_run,
            written: false,
        })
    }

    /// The path it was opened by.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    #[must_use]
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if nothing is ever written.
    #[must_use]
    pub(crate) const fn is_dry(&self) -> bool {
        self.dry_run
    }

    /// Its size in whole sectors.
    #[must_use]
    pub(crate) const fn sectors(&self) -> u64 {
        self.bytes / 512
    }

    /// Reads `len` bytes at `offset`.
    ///
    /// # Errors
    ///
    /// The device has an error or ends before.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<AlignedBuf> {
        let mut buffer = AlignedBuf::zeroed(len);
        self.file
            .read_exact_at(&mut buffer, offset)
            .map_err(|source| self.error("read", offset, source))?;
        Ok(buffer)
    }

    /// Reads `len` bytes from `offset` on, piece by piece.
    pub(crate) fn pieces(
        &self,
        offset: u64,
        len: u64,
    ) -> impl Iterator<Item = Result<AlignedBuf>> + '_ {
        (0..len).step_by(CHUNK).map(move |done| {
            let piece = usize::try_from(len - done).map_or(CHUNK, |left| left.min(CHUNK));
            self.read(offset + done, piece)
        })
    }

    /// Writes all of `buffer` at `offset`, unless this is a dry run.
    ///
    /// # Errors
    ///
    /// The device has an error or ends before.
    pub(crate) fn write(&mut self, offset: u64, buffer: &AlignedBuf) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.written = true;
        self.file
            .write_all_at(buffer, offset)
            .map_err(|source| self.error("write", offset, source))
    }

    /// Fills `len` bytes at `offset` with `byte`, by plain writes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub(crate) fn fill(&mut self, offset: u64, len: u64, byte: u8) -> Result<()> {
        let mut piece =
            AlignedBuf::zeroed(usize::try_from(len).map_or(CHUNK, |len| len.min(CHUNK)));
        piece.fill(byte);
        let mut done = 0;
        while done < len {
            let left = len - done;
            if left < piece.len() as u64 {
                piece = AlignedBuf::zeroed(usize::try_from(left).unwrap_or(0));
                piece.fill(byte);
            }
            self.write(offset + done, &piece)?;
            done += piece.len() as u64;
        }
        Ok(())
    }

    /// Zeroes a range without moving data, if the device can do that.
    ///
    /// # Errors
    ///
    /// It can't, or it failed.
    pub(crate) fn zero_out(&mut self, offset: u64, len: u64) -> io::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.written = true;
        let too_far = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let (offset, len) = (
            offset.try_into().map_err(too_far)?,
            len.try_into().map_err(too_far)?,
        );
        nix::fcntl::fallocate(
            &self.file,
            FallocateFlags::FALLOC_FL_ZERO_RANGE,
            offset,
            len,
        )?;
        Ok(())
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    ///
    /// The device has an error.
    pub(crate) fn sync(&self) -> Result<()> {
        if !self.written {
            return Ok(());
        }
        self.file
            .sync_all()
            .map_err(|source| self.error("fsync", 0, source))
    }

    fn error(&self, what: &'static str, offset: u64, source: io::Error) -> MetaError {
        MetaError::Io {
            what,
            offset,
            path: self.path.clone(),
            source,
        }
    }
}

fn open(path: &Path, flags: OFlag) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits())
        .open(path)
}
