// SPDX-License-Identifier: GPL-2.0
//! `check-resize`: internal metadata follows the end of a device that grew while it was down.
//!
//! The old area stays whole until the new superblock is durable, as long as both do not overlap.
//! If they do, the pieces are copied through memory from the end backwards, and the new
//! superblock is written before the old one is cleared.

use drbd_core::meta::Superblock;

use super::area::{Area, Found, State};
use super::bitmap_io::{bitmap_bytes, initialize, InitMode};
use super::console::Console;
use super::device::CHUNK;
use super::error::{MetaError, Result};

/// Moves internal metadata if the device grew, and remembers its size.
///
/// # Errors
///
/// There is no metadata, neither where it belongs nor where it was.
pub(crate) fn check_resize(
    area: &mut Area<'_>,
    init: InitMode,
    console: &mut Console<'_>,
) -> Result<()> {
    match area.state {
        State::Valid(found) => {
            let known = area.last_known(console)?;
            let uuid = Some(found.superblock.device_uuid).filter(|uuid| *uuid != 0);
            let stale = known
                .as_ref()
                .is_none_or(|known| known.bytes != area.device.bytes() || known.uuid != uuid);
            if stale || !area.index.is_internal() {
                area.remember(Some(&found.superblock), console)?;
            }
            Ok(())
        }
        State::Moved(found, old_sectors) => {
            move_to_its_place(area, &found, old_sectors, init, console)
        }
        State::None => Err(MetaError::NothingToMove),
    }
}

/// Copies the metadata from its old place to the end of the device.
///
/// # Errors
///
/// The device has an error.
pub(crate) fn move_to_its_place(
    area: &mut Area<'_>,
    found: &Found,
    old_sectors: u64,
    init: InitMode,
    console: &mut Console<'_>,
) -> Result<()> {
    writeln!(
        console.err,
        "Moving the internal meta data to its proper location"
    )?;
    let old = found.layout;
    let new = area.layout(old.al())?;
    for (name, layout) in [("old", &old), ("new", &new)] {
        console.remark(format_args!(
            "{name} md_offset: {}",
            layout.superblock_sector() * 512
        ))?;
        console.remark(format_args!(
            "{name} al_offset: {}",
            layout.al_sector() * 512
        ))?;
        console.remark(format_args!(
            "{name} bm_offset: {}",
            layout.bm_sector() * 512
        ))?;
    }
    let al_bytes = u64::from(old.al().sectors()) * 512;
    copy_backwards(area, old.al_sector() * 512, new.al_sector() * 512, al_bytes)?;
    let old_bytes = bitmap_bytes(old_sectors).min(old.bm_sectors() * 512);
    copy_backwards(
        area,
        old.bm_sector() * 512,
        new.bm_sector() * 512,
        old_bytes,
    )?;
    let new_bytes = bitmap_bytes(area.device.sectors()).min(new.bm_sectors() * 512);
    if new_bytes > old_bytes && init != InitMode::Skip {
        let offset = new.bm_sector() * 512 + old_bytes;
        // Quiet here: the move is what the user is told.
        let mut nowhere = std::io::sink();
        let mut err = std::io::sink();
        let mut quiet = Console::new(&mut nowhere, &mut err, None);
        initialize(
            &mut area.device,
            offset,
            new_bytes - old_bytes,
            init,
            &mut quiet,
        )?;
    }
    let superblock = Superblock {
        md_size_sect: new.md_size_sect(),
        al_offset: new.al_offset(),
        bm_offset: new.bm_offset(),
        ..found.superblock
    };
    area.write_superblock(&superblock, console)?;
    area.state = State::Valid(Found {
        superblock,
        layout: new,
    });
    // Two superblocks would contradict each other one day.
    let end = (new.bm_sector() * 512).min(old.superblock_sector() * 512 + 4096);
    let start = old.bm_sector() * 512;
    if end > start {
        area.device.fill(start, end - start, 0)?;
        area.device.sync()?;
    }
    writeln!(console.out, "Internal drbd meta data successfully moved.")?;
    Ok(())
}

/// Copies upwards from the end, so that an overlap does no harm.
fn copy_backwards(area: &mut Area<'_>, from: u64, to: u64, len: u64) -> Result<()> {
    let mut left = len;
    while left > 0 {
        let piece = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        left -= piece as u64;
        let bytes = area.device.read(from + left, piece)?;
        area.device.write(to + left, &bytes)?;
    }
    Ok(())
}
