// SPDX-License-Identifier: GPL-2.0
//! `apply-al`: what was hot when the node stopped becomes out of sync in the bitmap.
//!
//! The order makes it safe to stop anywhere: first the bits, then the log is emptied, and last
//! the superblock says that the metadata is clean; each step is durable before the next begins.

use drbd_core::meta::legacy::{is_legacy, replay_legacy};
use drbd_core::meta::replay::{hot_extents, replay, Replay, ReplayError, SLOTS};
use drbd_core::meta::{AlLayout, Magic, MdFlags, BLOCK_SIZE};

use super::area::{Area, Found, State};
use super::bitmap_io::{bitmap_bytes, InitMode};
use super::console::Console;
use super::create::initialize_log;
use super::error::{MetaError, Result};
use super::pretty;
use super::resize::move_to_its_place;

/// Bytes of bitmap for one activity log extent.
const EXTENT_BYTES: u64 = 128;

/// Applies the activity log and marks the metadata as clean.
///
/// Metadata that a grown device left behind is moved to its place first.
///
/// # Errors
///
/// There is no metadata, or the log is needed and can't be read.
pub(crate) fn apply_al(area: &mut Area<'_>, console: &mut Console<'_>) -> Result<()> {
    if let State::Moved(found, old_sectors) = area.state {
        move_to_its_place(area, &found, old_sectors, InitMode::Automatic, console)?;
    }
    let found = area.valid(true)?;
    let mut superblock = found.superblock;
    let was_primary = superblock.flags.contains(MdFlags::PRIMARY_IND);

    let bytes = usize::try_from(found.layout.al().blocks()).unwrap_or(0) * BLOCK_SIZE;
    let image = area.device.read(found.layout.al_sector() * 512, bytes)?;
    let mut slots = vec![0; SLOTS];
    let legacy = is_legacy(&superblock, &image);
    let outcome = if legacy {
        Ok(read_legacy(
            &image,
            superblock.al_nr_extents,
            &mut slots,
            console,
        )?)
    } else {
        read(&image, found.layout.al(), &mut slots, console)?
    };
    if outcome.is_err() {
        if was_primary {
            return Err(MetaError::LogUnusable);
        }
        writeln!(console.err, "Error ignored, no need to apply the AL")?;
    }
    let updates = outcome.is_ok_and(|outcome| outcome.updates > 0);
    let marked = updates && was_primary;
    if marked {
        let extents = hot_extents(&slots).collect();
        mark(area, &found, extents, console)?;
        area.device.sync()?;
    }
    if updates || legacy || outcome.is_err() {
        initialize_log(&mut area.device, &found.layout)?;
    }
    if marked || !superblock.is_clean() {
        superblock.flags = superblock.flags.with(MdFlags::AL_CLEAN);
        superblock.magic = Magic::Clean;
        area.write_superblock(&superblock, console)?;
    }
    area.device.sync()
}

/// Replays the log and tells what is wrong with it.
fn read(
    image: &[u8],
    al: AlLayout,
    slots: &mut [u32],
    console: &mut Console<'_>,
) -> Result<Result<Replay, ReplayError>> {
    let outcome = replay(image, al, slots);
    let corrupt = match outcome {
        Ok(outcome) => outcome.corrupt,
        Err(ReplayError::Invalid { corrupt }) => corrupt,
        Err(ReplayError::NoData | ReplayError::Short) => 0,
    };
    if corrupt > 0 {
        writeln!(console.err, "{corrupt} corrupt AL transactions found")?;
    }
    match outcome {
        Ok(outcome) if outcome.slots_out_of_range > 0 => {
            let count = outcome.slots_out_of_range;
            writeln!(console.err, "slot number out of range in {count} entries")?;
        }
        Ok(_) => {}
        Err(ReplayError::NoData | ReplayError::Short) => writeln!(
            console.err,
            "No usable activity log found. Do you need to create-md?"
        )?,
        Err(ReplayError::Invalid { .. }) => {
            writeln!(console.err, "No valid AL update transaction found.")?;
        }
    }
    Ok(outcome)
}

/// Replays a log of a driver before 8.4; an empty one says that nothing was ever hot.
fn read_legacy(
    image: &[u8],
    al_nr_extents: u32,
    slots: &mut [u32],
    console: &mut Console<'_>,
) -> Result<Replay> {
    let Some(outcome) = replay_legacy(image, al_nr_extents, slots) else {
        writeln!(console.err, "No usable activity log found.")?;
        return Ok(Replay::default());
    };
    if outcome.corrupt > 0 {
        let count = outcome.corrupt;
        writeln!(
            console.err,
            "{count} corrupt or uninitialized AL transactions found"
        )?;
        let text = "You can safely ignore this if this node was cleanly stopped (no crash).";
        writeln!(console.err, "{text}")?;
    }
    Ok(outcome)
}

/// Sets all bits of these extents on disk.
fn mark(
    area: &mut Area<'_>,
    found: &Found,
    mut extents: Vec<u32>,
    console: &mut Console<'_>,
) -> Result<()> {
    extents.sort_unstable();
    extents.dedup();
    let size = bitmap_bytes(found.superblock.la_size_sect).min(found.layout.bm_sectors() * 512);
    let start = found.layout.bm_sector() * 512;
    let mut bits = 0_u64;
    for page in extents.chunk_by(|a, b| a / 32 == b / 32) {
        let Some(first) = page.first() else { continue };
        let base = u64::from(first / 32) * BLOCK_SIZE as u64;
        if base >= size {
            for extent in page {
                let position = u64::from(*extent) * EXTENT_BYTES;
                writeln!(
                    console.err,
                    "extent {extent} beyond end of bitmap! ({position} >= {size})"
                )?;
            }
            continue;
        }
        let mut block = area.device.read(start + base, BLOCK_SIZE)?;
        let slots = block.chunks_exact_mut(EXTENT_BYTES as usize).enumerate();
        for (_, slot) in slots.filter(|(nr, _)| page.iter().any(|e| (e % 32) as usize == *nr)) {
            bits += slot
                .iter()
                .map(|byte| u64::from(byte.count_zeros()))
                .sum::<u64>();
            slot.fill(0xff);
        }
        area.device.write(start + base, &block)?;
    }
    let size = pretty::from_kib(bits * 4);
    writeln!(
        console.err,
        "Marked additional {size} as out-of-sync based on AL."
    )?;
    Ok(())
}
