// SPDX-License-Identifier: GPL-2.0
//! Why a command of drbdmeta ends early, with the exit code that scripts rely on.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// The result of everything that can end a command.
pub type Result<T, E = MetaError> = std::result::Result<T, E>;

/// Why a command ended early. `Display` gives the line for standard error, which may be empty.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The command line makes no sense; the usage is printed.
    #[error("{}", .0.as_deref().unwrap_or_default())]
    Usage(Option<String>),
    /// One word of the command line makes no sense.
    #[error("{0}")]
    Word(String),
    /// An option has a bad value or does not belong to the command.
    #[error("{0}")]
    BadOption(String),
    /// A number was expected.
    #[error("{0} is not a valid number")]
    NotANumber(String),
    /// A metadata format that this program does not work on.
    #[error("{0} meta data is not supported by this program, only v08 is")]
    Unsupported(&'static str),
    /// A metadata format that is read and converted only.
    #[error("{0} meta data can only be looked at; to convert it, create-md with format v08")]
    ReadOnly(&'static str),
    /// A file or device can't be opened.
    #[error("open({}) failed: {}", .path.display(), os_text(.source))]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The text file of a command can't be opened.
    #[error("open of '{}' failed.", .0.display())]
    OpenText(PathBuf),
    /// The device is no block device, and nobody insists.
    #[error("'{}' is not a block device!", .0.display())]
    NotABlockDevice(PathBuf),
    /// Another program has the device, and that is not to be ignored.
    #[error("")]
    Busy,
    /// The device has no room for the superblock.
    #[error("{} is only {bytes} bytes. That's not enough.", .path.display())]
    TooSmall {
        /// The device.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The place of the superblock lies beyond the device.
    #[error(
        "Device too small: expecting meta data block at\nbyte offset {offset}, \
         but {} is only {bytes} bytes.", .path.display()
    )]
    BeyondEnd {
        /// Where the superblock would be, in bytes.
        offset: i128,
        /// The device.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The device is larger than its metadata could describe.
    #[error("Bitmap for that device got too large.")]
    TooBig,
    /// Reading or writing failed.
    #[error("{what} at {offset} of {} failed: {}", .path.display(), os_text(.source))]
    Io {
        /// "read", "write" and the like.
        what: &'static str,
        /// Byte offset on the device.
        offset: u64,
        /// The device.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Output can't be written.
    #[error("cannot write the output: {}", os_text(.0))]
    Output(#[from] io::Error),
    /// Another drbdmeta or drbdsetup works on the minor.
    #[error("{0}")]
    Locked(String),
    /// The minor is attached.
    #[error("Device '{}' is configured!", .0.to_string_lossy())]
    Configured(OsString),
    /// There is no valid metadata; some commands say so.
    #[error("{}", if *.said { "No valid meta data found" } else { "" })]
    NoMetadata {
        /// The command tells it on standard error.
        said: bool,
    },
    /// The log has to be applied first.
    #[error("Found meta data is \"unclean\", please apply-al first")]
    Unclean,
    /// A question was answered with no; the command has said what that means.
    #[error("")]
    Declined,
    /// `outdate` on inconsistent data.
    #[error("Device is inconsistent.")]
    Inconsistent,
    /// `create-md` found data that it must not destroy; it has said so.
    #[error("")]
    ForeignData,
    /// Only the shape of the log was to be changed.
    #[error(
        "Sorry, not yet fully implemented\nTry dump-md > dump.txt; restore-md -s x -z y dump.txt"
    )]
    StripesOnly,
    /// A dump can't be parsed.
    #[error("{0}")]
    Parse(String),
    /// The activity log can't be applied although it is needed; the reason is told already.
    #[error("")]
    LogUnusable,
    /// `check-resize` found nothing at the old place either.
    #[error("no suitable meta data found :(")]
    NothingToMove,
}

impl MetaError {
    /// The exit code of the program.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoMetadata { .. }
            | Self::Unclean
            | Self::Declined
            | Self::LogUnusable
            | Self::NothingToMove => 1,
            Self::Inconsistent => 5,
            Self::BadOption(_)
            | Self::TooSmall { .. }
            | Self::BeyondEnd { .. }
            | Self::TooBig
            | Self::Io { .. }
            | Self::Output(_)
            | Self::Parse(_) => 10,
            Self::Usage(_)
            | Self::Word(_)
            | Self::NotANumber(_)
            | Self::Unsupported(_)
            | Self::ReadOnly(_)
            | Self::Open { .. }
            | Self::OpenText(_)
            | Self::NotABlockDevice(_)
            | Self::Busy
            | Self::Locked(_)
            | Self::Configured(_) => 20,
            Self::StripesOnly => 30,
            Self::ForeignData => 40,
        }
    }
}

/// The text of an error as C programs print it, without the number.
pub(super) fn os_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}
