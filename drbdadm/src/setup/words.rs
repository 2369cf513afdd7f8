// SPDX-License-Identifier: GPL-2.0
//! Words of the command line: minors and numbers.

use super::address::number_error;
use super::error::SetupError;
use drbd_core::config::{parse_number, Scale};
use nix::sys::stat::{major, minor as minor_of};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// The block device major of DRBD.
const DRBD_MAJOR: u64 = 147;

/// The minor that `word` names: a number, `/dev/drbdN`, or any block node with major 147.
///
/// # Errors
///
/// [`SetupError::Failed`] with stock's sentence.
pub(super) fn minor(word: &str) -> Result<u32, SetupError> {
    let digits = word.strip_prefix("/dev/drbd").unwrap_or(word);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if let Ok(number) = digits.parse() {
            return Ok(number);
        }
    }
    node_minor(word).ok_or_else(|| {
        SetupError::local(format!(
            "Cannot determine minor device number of device '{word}'"
        ))
    })
}

fn node_minor(path: &str) -> Option<u32> {
    let node = fs::metadata(path).ok()?;
    let is_drbd = node.file_type().is_block_device() && major(node.rdev()) == DRBD_MAJOR;
    is_drbd.then(|| u32::try_from(minor_of(node.rdev())).ok())?
}

/// A number of the tool's own options.
///
/// # Errors
///
/// [`SetupError::Failed`] with stock's sentence.
pub(super) fn number(word: &str) -> Result<u64, SetupError> {
    parse_number(word, Scale::One).map_err(|error| number_error(word, error))
}

#[cfg(test)]
mod tests {
    use super::{minor, number};

    #[test]
    fn minors() {
        assert_eq!(minor("1").expect("number"), 1);
        assert_eq!(minor("/dev/drbd1048575").expect("node name"), 1_048_575);
        for word in [
            "abc",
            "minor-1",
            "drbd1",
            "/dev/null",
            "",
            "/dev/drbd",
            "99999999999",
        ] {
            let error = minor(word).expect_err(word);
            let text = format!("Cannot determine minor device number of device '{word}'\n");
            assert_eq!((error.report(), error.exit_code()), (text, 20));
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number("10k").expect("number"), 10_240);
        let report = |word| number(word).expect_err(word).report();
        assert_eq!(report("x"), "x is not a valid number\n");
        assert_eq!(number("").expect_err("empty").exit_code(), 100);
    }
}
