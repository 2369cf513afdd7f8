// SPDX-License-Identifier: GPL-2.0
//! `restore-md` and `verify-dump`: from text back to the disk.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use drbd_core::meta::{AlLayout, Layout, Magic, Superblock, BLOCK_SIZE};

use super::area::{Area, State};
use super::buffer::AlignedBuf;
use super::cli::Invocation;
use super::console::Console;
use super::create::CreateOptions;
use super::device::CHUNK;
use super::error::{MetaError, Result};
use super::existing;
use super::text::{parse, Dump};

/// Reads and parses the dump that the command names, or standard input.
fn read_dump(invocation: &Invocation, console: &mut Console<'_>) -> Result<Dump> {
    let mut text = Vec::new();
    if let Some(name) = invocation.arguments.first() {
        let path = PathBuf::from(name);
        let failed = |_| MetaError::OpenText(path.clone());
        File::open(&path)
            .map_err(failed)?
            .read_to_end(&mut text)
            .map_err(failed)?;
    } else if let Some(terminal) = console.input.as_mut() {
        // The console has locked the stream.
        terminal.read_to_end(&mut text)?;
    } else {
        std::io::stdin().read_to_end(&mut text)?;
    }
    parse(&text).map_err(MetaError::Parse)
}

/// Checks a dump without touching any device.
///
/// # Errors
///
/// The file can't be read or parsed.
pub(crate) fn verify_dump(invocation: &Invocation, console: &mut Console<'_>) -> Result<()> {
    read_dump(invocation, console)?;
    writeln!(console.out, "input file parsed ok")?;
    Ok(())
}

/// Writes the content of a dump to the device; the activity log stays.
///
/// # Errors
///
/// The user declines, the dump can't be used, or the device has an error.
pub(crate) fn restore_md(
    area: &mut Area<'_>,
    invocation: &Invocation,
    options: &CreateOptions,
    console: &mut Console<'_>,
) -> Result<()> {
    let dump = read_dump(invocation, console)?;
    if area.state != State::None && !console.confirmed("Valid meta-data in place, overwrite?")? {
        return Err(MetaError::Declined);
    }
    writeln!(console.err, "reinitializing")?;
    let al = match options.al {
        Some(al) => {
            writeln!(
                console.err,
                "override activity log striping from commandline"
            )?;
            al
        }
        None => AlLayout::from_disk(dump.al_stripes, dump.al_stripe_size_4k)
            .map_err(|_| MetaError::BadOption("invalid al-stripe* settings".to_owned()))?,
    };
    let layout = area.layout(al)?;
    existing::check(area, &layout, options.ignore_sanity_checks, console)?;

    let usable = layout.usable_sectors(u64::MAX);
    let la_size_sect = dump.la_size_sect.min(usable);
    if dump.la_size_sect > usable {
        let size = dump.la_size_sect;
        writeln!(
            console.out,
            "# la-size-sect was too big ({size}), truncated ({usable})!"
        )?;
    }
    if !write_bitmap(area, &layout, &dump)? {
        writeln!(console.out, "Bitmap info too large, truncated!")?;
    }
    let superblock = Superblock {
        la_size_sect,
        uuids: dump.uuids,
        device_uuid: dump.device_uuid,
        flags: dump.flags,
        magic: Magic::Clean,
        bm_bytes_per_bit: dump.bm_bytes_per_bit,
        la_peer_max_bio_size: dump.la_peer_max_bio_size,
        ..Superblock::create(&layout)
    };
    area.write_superblock(&superblock, console)?;
    writeln!(console.out, "Successfully restored meta data")?;
    Ok(())
}

/// Writes the words of the dump from the start of the bitmap; false if there were too many.
fn write_bitmap(area: &mut Area<'_>, layout: &Layout, dump: &Dump) -> Result<bool> {
    let start = layout.bm_sector() * 512;
    let room = layout.bm_sectors() * 512 / BLOCK_SIZE as u64 * BLOCK_SIZE as u64;
    let mut offset = 0;
    let mut piece = AlignedBuf::zeroed(CHUNK);
    let mut used = 0;
    for &(count, word) in &dump.bitmap {
        for _ in 0..count {
            if offset + used as u64 >= room {
                flush(area, start + offset, &piece, used)?;
                return Ok(false);
            }
            piece[used..used + 8].copy_from_slice(&word.to_le_bytes());
            used += 8;
            if used == CHUNK {
                area.device.write(start + offset, &piece)?;
                offset += CHUNK as u64;
                used = 0;
            }
        }
    }
    flush(area, start + offset, &piece, used)?;
    Ok(true)
}

/// Writes the last piece; the rest of its last block keeps what is on the device.
fn flush(area: &mut Area<'_>, offset: u64, piece: &AlignedBuf, used: usize) -> Result<()> {
    if used == 0 {
        return Ok(());
    }
    let mut last = area
        .device
        .read(offset, used.next_multiple_of(BLOCK_SIZE))?;
    last[..used].copy_from_slice(&piece[..used]);
    area.device.write(offset, &last)
}
