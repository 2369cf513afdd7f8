// SPDX-License-Identifier: GPL-2.0
//! The bitmap area as bytes on the device: sizes, initialization, copies.

use drbd_core::bitmap::{bits_for, words_for};
use drbd_core::meta::{Layout, BLOCK_SIZE};

use super::buffer::AlignedBuf;
use super::console::Console;
use super::device::MdDevice;
use super::error::{MetaError, Result};
use super::pretty;

/// How `create-md` and a move treat bitmap that has no content yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum InitMode {
    /// Zero, the fastest way the device knows.
    #[default]
    Automatic,
    /// Zero, but only by the device's own means.
    ZeroOut,
    /// Zero, by writing.
    Write,
    /// All ones.
    SetAll,
    /// Leave it.
    Skip,
}

impl InitMode {
    /// The mode with this name.
    ///
    /// # Errors
    ///
    /// There is no such mode.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        match name {
            "automatic" => Ok(Self::Automatic),
            "zeroout" => Ok(Self::ZeroOut),
            "pwrite" => Ok(Self::Write),
            "set-all" => Ok(Self::SetAll),
            "skip" => Ok(Self::Skip),
            _ => Err(MetaError::BadOption(format!(
                "invalid initialize-bitmap-mode \"{name}\", should be one of \
                 automatic|zeroout|pwrite|set-all|skip"
            ))),
        }
    }
}

/// Bytes of bitmap for a device of `sectors`, in whole blocks.
#[must_use]
pub(crate) fn bitmap_bytes(sectors: u64) -> u64 {
    let bytes = words_for(bits_for(sectors)).saturating_mul(8);
    bytes
        .checked_next_multiple_of(BLOCK_SIZE as u64)
        .unwrap_or(u64::MAX)
}

/// Initializes `len` bytes at `offset`, and says so.
///
/// # Errors
///
/// The device has an error, or can't zero by itself although it has to.
pub(crate) fn initialize(
    device: &mut MdDevice,
    offset: u64,
    len: u64,
    mode: InitMode,
    console: &mut Console<'_>,
) -> Result<()> {
    let size = pretty::from_kib(len >> 10);
    if matches!(mode, InitMode::Automatic | InitMode::ZeroOut) {
        writeln!(console.err, "initializing bitmap ({size}) to all zero")?;
        match device.zero_out(offset, len) {
            Ok(()) => return Ok(()),
            Err(source) if mode == InitMode::ZeroOut => {
                writeln!(console.err, "fast zero-out failed, fallback disabled")?;
                let path = device.path().to_owned();
                return Err(MetaError::Io {
                    what: "zero-out",
                    offset,
                    path,
                    source,
                });
            }
            Err(_) => {}
        }
    }
    match mode {
        InitMode::Skip => writeln!(console.err, "SKIPPED initializing bitmap area")?,
        InitMode::SetAll => {
            writeln!(console.err, "initializing bitmap ({size}) to all one")?;
            device.fill(offset, len, 0xff)?;
        }
        InitMode::Automatic | InitMode::ZeroOut | InitMode::Write => {
            writeln!(
                console.err,
                "initializing bitmap ({size}) to all zero using pwrite"
            )?;
            device.fill(offset, len, 0)?;
        }
    }
    Ok(())
}

/// Reads the bitmap of `sectors` of data piece by piece, in whole blocks.
pub(crate) fn pieces<'d>(
    device: &'d MdDevice,
    layout: &Layout,
    sectors: u64,
) -> impl Iterator<Item = Result<AlignedBuf>> + 'd {
    let start = layout.bm_sector().saturating_mul(512);
    let room = layout.bm_sectors().saturating_mul(512);
    let len = bitmap_bytes(sectors).min(room);
    device.pieces(start, len)
}
