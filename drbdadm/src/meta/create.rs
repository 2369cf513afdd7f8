// SPDX-License-Identifier: GPL-2.0
//! `create-md` and `wipe-md`: where metadata begins and ends.

use drbd_core::meta::al::emit_initialized;
use drbd_core::meta::{AlLayout, Layout, ParseError, Superblock, BLOCK_SIZE};

use super::area::{Area, State};
use super::bitmap_io::{bitmap_bytes, initialize, InitMode};
use super::buffer::AlignedBuf;
use super::console::Console;
use super::device::{MdDevice, CHUNK};
use super::error::{MetaError, Result};
use super::existing;
use super::resize::move_to_its_place;
use super::v07::{self, V07};

/// The options of `create-md` and `restore-md`, checked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CreateOptions {
    /// The shape of the activity log; `None`: the default one.
    pub(crate) al: Option<AlLayout>,
    /// The peer's largest request in bytes.
    pub(crate) peer_max_bio_size: u32,
    /// The agreed size in sectors.
    pub(crate) effective_size: u64,
    /// How to initialize the bitmap.
    pub(crate) init: InitMode,
    /// Known signatures are no reason to refuse.
    pub(crate) ignore_sanity_checks: bool,
}

/// Creates metadata, after all questions are answered.
///
/// # Errors
///
/// The user declines, data would be destroyed, or the device has an error.
pub(crate) fn create_md(
    area: &mut Area<'_>,
    options: &CreateOptions,
    console: &mut Console<'_>,
) -> Result<()> {
    let al = options.al.unwrap_or_default();
    if let State::Moved(found, old_sectors) = area.state {
        if found.layout.al() != al {
            return Err(MetaError::Word(
                "Cannot move after offline resize and change AL-striping at the same time, yet."
                    .to_owned(),
            ));
        }
        let question = "Move internal meta data from last-known position?\n";
        if !console.force && console.confirmed(question)? {
            return move_to_its_place(area, &found, old_sectors, options.init, console);
        }
    }
    let layout = area.layout(al)?;
    if let Some(old) = ask_about_old_metadata(area, al, console)? {
        return v07::convert(area, &old, console);
    }
    existing::check(area, &layout, options.ignore_sanity_checks, console)?;

    writeln!(console.out, "initializing activity log")?;
    initialize_log(&mut area.device, &layout)?;
    console.out.flush()?;
    // Only what the device itself could need: a flexible area may be much larger, and the
    // first agreed size makes the driver write all of it anyway.
    let len = bitmap_bytes(area.device.sectors()).min(layout.bm_sectors() * 512);
    initialize(
        &mut area.device,
        layout.bm_sector() * 512,
        len,
        options.init,
        console,
    )?;
    writeln!(console.out, "Writing meta data...")?;
    let superblock = Superblock {
        la_size_sect: options.effective_size.min(layout.usable_sectors(u64::MAX)),
        la_peer_max_bio_size: options.peer_max_bio_size,
        ..Superblock::create(&layout)
    };
    area.write_superblock(&superblock, console)?;
    writeln!(
        console.out,
        "New drbd meta data block successfully created."
    )?;
    Ok(())
}

/// Fills the whole ring with blocks that say nothing.
///
/// # Errors
///
/// The device has an error.
pub(crate) fn initialize_log(device: &mut MdDevice, layout: &Layout) -> Result<()> {
    let mut left = usize::try_from(layout.al().blocks()).unwrap_or(usize::MAX);
    let mut offset = layout.al_sector() * 512;
    let per_piece = left.min(CHUNK / BLOCK_SIZE);
    let mut piece = AlignedBuf::zeroed(per_piece * BLOCK_SIZE);
    for block in piece.chunks_exact_mut(BLOCK_SIZE) {
        // A slice of exactly one block can't be refused.
        let _ = emit_initialized(block);
    }
    while left > 0 {
        if left < per_piece {
            let mut rest = AlignedBuf::zeroed(left * BLOCK_SIZE);
            let len = rest.len();
            rest.copy_from_slice(&piece[..len]);
            piece = rest;
        }
        device.write(offset, &piece)?;
        offset += piece.len() as u64;
        left -= piece.len() / BLOCK_SIZE;
    }
    Ok(())
}

/// The kinds of metadata that are recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V07(V07),
    V08,
    V09,
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Self::V07(_) => "v07",
            Self::V08 => "v08",
            Self::V09 => "v09",
        }
    }
}

/// Asks what is to become of metadata that is there; gives what is to be converted.
fn ask_about_old_metadata(
    area: &Area<'_>,
    al: AlLayout,
    console: &mut Console<'_>,
) -> Result<Option<V07>> {
    let Some((version, flavour, offset)) = old_metadata(area)? else {
        return Ok(None);
    };
    if area.index.is_internal() {
        let (name, path) = (version.name(), area.device.path().display());
        writeln!(
            console.err,
            "You want me to create a v08 style flexible-size internal meta data block.\n\
             There appears to be a {name} {flavour} internal meta data block\n\
             already in place on {path} at byte offset {offset}"
        )?;
    }
    let confirmed = match version {
        Version::V08 if area.index.is_internal() => {
            ask_about_stripes(area, al, console)?;
            console.confirmed("Do you really want to overwrite the existing meta-data?")?
        }
        Version::V08 => console
            .confirmed("Valid meta data seems to be in place.\nDo you really want to overwrite?")?,
        Version::V07(old) => {
            if console.confirmed("Valid v07 meta-data found, convert to v08?")? {
                return Ok(Some(old));
            }
            replace(version, console)?
        }
        Version::V09 => replace(version, console)?,
    };
    if confirmed {
        return Ok(None);
    }
    writeln!(console.out, "Operation cancelled.")?;
    Err(MetaError::Declined)
}

fn ask_about_stripes(area: &Area<'_>, al: AlLayout, console: &mut Console<'_>) -> Result<()> {
    let State::Valid(found) = area.state else {
        return Ok(());
    };
    let question = "Do you want to change the activity log stripe settings *only*?";
    if found.layout.al() != al && console.confirmed(question)? {
        return Err(MetaError::StripesOnly);
    }
    Ok(())
}

fn replace(version: Version, console: &mut Console<'_>) -> Result<bool> {
    let name = version.name();
    let question = format!(
        "So you want me to replace the {name} meta-data\nwith newly initialized v08 meta-data?"
    );
    Ok(console.confirmed(&question)?)
}

/// The metadata that is about to be overwritten: version, flavour, byte offset.
fn old_metadata(area: &Area<'_>) -> Result<Option<(Version, &'static str, u64)>> {
    if let State::Valid(_) = area.state {
        return Ok(Some((Version::V08, "flexible-size", area.offset())));
    }
    if let Some(old) = V07::find(&area.device, area.index)? {
        return Ok(Some((Version::V07(old), "fixed-size", old.offset())));
    }
    let block = area.device.read(area.offset(), BLOCK_SIZE)?;
    let found = Superblock::parse(&block) == Err(ParseError::Version09);
    Ok(found.then(|| (Version::V09, "flexible-size", area.offset())))
}

/// Wipes the superblock, so that the device has no metadata any more.
///
/// # Errors
///
/// The user declines or the device has an error.
pub(crate) fn wipe_md(area: &mut Area<'_>, console: &mut Console<'_>) -> Result<()> {
    if !matches!(area.state, State::Valid(_)) {
        writeln!(
            console.err,
            "There appears to be no drbd meta data to wipe out?"
        )?;
        return Ok(());
    }
    if !console.confirmed("Do you really want to wipe out the DRBD meta data?")? {
        writeln!(console.out, "Operation cancelled.")?;
        return Err(MetaError::Declined);
    }
    writeln!(console.out, "Wiping meta data...")?;
    area.device
        .write(area.offset(), &AlignedBuf::zeroed(BLOCK_SIZE))?;
    area.device.sync()?;
    area.remember(None, console)?;
    writeln!(console.out, "DRBD meta data block successfully wiped out.")?;
    Ok(())
}
