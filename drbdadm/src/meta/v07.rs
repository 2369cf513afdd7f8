// SPDX-License-Identifier: GPL-2.0
//! Metadata of version 07 (DRBD 0.7): read, dumped, and converted to version 08 by `create-md`.
//!
//! It has a fixed area of 128 MiB, internal ones at the end of the device: superblock, log and
//! bitmap at fixed places of it. Instead of UUIDs there are generation counters. Units are KiB for
//! sizes and sectors for places. Log and bitmap are those of version 08 before 8.4.

use std::io::Write as _;

use drbd_core::meta::superblock::MAGIC_V07;
use drbd_core::meta::{AlLayout, Layout, Magic, MdFlags, MdIndex, Superblock, BLOCK_SIZE};

use super::area::Area;
use super::bitmap_io::bitmap_bytes;
use super::buffer::AlignedBuf;
use super::cli::{Invocation, Verb};
use super::console::Console;
use super::device::{MdDevice, CHUNK};
use super::dump;
use super::error::{MetaError, Result};
use super::gi;

/// Bytes of the whole area.
const AREA_BYTES: u64 = 128 << 20;
/// Place of the log in sectors, relative to the superblock.
const AL_OFFSET: u32 = 8;
/// Place of the bitmap in sectors, relative to the superblock.
const BM_OFFSET: u32 = 72;
/// Bytes of the log.
const AL_BYTES: u64 = 32 << 10;
/// Bytes before the bitmap.
const BM_START: u64 = 36 << 10;
/// Bits of the flags that mean the same in both versions.
const FLAGS: [MdFlags; 4] = [
    MdFlags::CONSISTENT,
    MdFlags::PRIMARY_IND,
    MdFlags::CONNECTED_IND,
    MdFlags::FULL_SYNC,
];
/// What the lowest 16 bits of a UUID are that was made of counters.
const UUID_MARK: u64 = 0xbabe;
/// Between the UUIDs that are made up.
const UUID_STEP: u64 = 0x1_0000;

/// A superblock of version 07 and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct V07 {
    /// Byte offset of the superblock.
    offset: u64,
    /// Last agreed size of the device in sectors.
    la_sectors: u64,
    flags: MdFlags,
    /// The flags as they stand there.
    flags_raw: u32,
    /// How often somebody decided, a time-out did, a link came up, and anything else.
    counters: [u32; 4],
    al_nr_extents: u32,
}

impl V07 {
    /// Reads a superblock that was found at byte `offset`; `None` if it is none of version 07, or
    /// tells other places than the version has.
    #[must_use]
    fn parse(block: &[u8], offset: u64) -> Option<Self> {
        // The agreed size in KiB, flags, four counters, magic number, size of the area in KiB,
        // place of the log, slots of the log, place of the bitmap; all big-endian.
        let word = |at: usize| Some(u32::from_be_bytes(block.get(at..at + 4)?.try_into().ok()?));
        let la_kib = (u64::from(word(0)?) << 32) | u64::from(word(4)?);
        let la_sectors = la_kib.checked_mul(2)?;
        let flags_raw = word(8)?;
        let fits = (word(28)?, word(36)?, word(44)?) == (MAGIC_V07, AL_OFFSET, BM_OFFSET)
            && u64::from(word(32)?) == AREA_BYTES >> 10
            && bitmap_bytes(la_sectors) <= AREA_BYTES - BM_START;
        let on = |flag: &MdFlags| flags_raw & flag.bits() != 0;
        let none = MdFlags::from_bits(0);
        let flags = FLAGS.iter().copied().filter(on).fold(none, MdFlags::with);
        let found = Self {
            offset,
            la_sectors,
            flags,
            flags_raw,
            counters: [word(12)?, word(16)?, word(20)?, word(24)?],
            al_nr_extents: word(40)?,
        };
        Some(found).filter(|_| fits)
    }

    /// Looks for it on a device: the fixed area for internal metadata, else where `index` says.
    ///
    /// # Errors
    ///
    /// The device can't be read.
    pub(crate) fn find(device: &MdDevice, index: MdIndex) -> Result<Option<Self>> {
        let offset = if index.is_internal() {
            (device.bytes() & !(BLOCK_SIZE as u64 - 1)).checked_sub(AREA_BYTES)
        } else {
            index.superblock_sector(device.sectors()).map(|at| at * 512)
        };
        let Some(offset) = offset.filter(|at| at + BM_START <= device.bytes()) else {
            return Ok(None);
        };
        let found = Self::parse(&device.read(offset, BLOCK_SIZE)?, offset);
        // What is said about the data must lie before internal metadata, and its bitmap within.
        Ok(found.filter(|found| {
            let end = offset + BM_START + bitmap_bytes(found.la_sectors);
            end <= device.bytes() && (!index.is_internal() || found.la_sectors <= offset / 512)
        }))
    }

    /// Byte offset of the superblock.
    #[must_use]
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the bitmap, piece by piece.
    fn pieces<'d>(&self, device: &'d MdDevice) -> impl Iterator<Item = Result<AlignedBuf>> + 'd {
        device.pieces(self.offset + BM_START, bitmap_bytes(self.la_sectors))
    }

    /// The superblock of version 08 that says the same, for `layout`.
    #[must_use]
    fn converted(&self, layout: &Layout, any_bit: bool) -> Superblock {
        let [human, timeout, connected, arbitrary] = self.counters.map(|n| u64::from(n) & 0xffff);
        let links = connected.wrapping_add(arbitrary) & 0xffff;
        let current = (human << 48) | (timeout << 32) | (links << 16) | UUID_MARK;
        let older = |steps: u64| current.wrapping_sub(steps.wrapping_mul(UUID_STEP));
        let uuids = if any_bit {
            [current, older(1), older(2), older(3)]
        } else {
            [current, 0, older(1), older(2)]
        };
        Superblock {
            la_size_sect: self.la_sectors,
            uuids,
            // Not AL_CLEAN: the log is still to be applied.
            flags: self.flags,
            magic: Magic::Clean,
            al_nr_extents: self.al_nr_extents,
            ..Superblock::create(layout)
        }
    }
}

/// The commands of the format `v07`: those that only read.
///
/// # Errors
///
/// There is no such metadata, the command would write, or it insists on an applied log.
pub(crate) fn execute(
    area: &Area<'_>,
    invocation: &Invocation,
    console: &mut Console<'_>,
) -> Result<()> {
    let found = V07::find(&area.device, area.index)?;
    let missing = |said| MetaError::NoMetadata { said };
    match invocation.verb {
        Verb::GetGi => get_gi(&found.ok_or(missing(false))?, console),
        Verb::ShowGi => show_gi(&found.ok_or(missing(false))?, console),
        // Whatever the flags say: a state that counters vouch for is none that 8.4 would trust.
        Verb::Dstate => {
            found.ok_or(missing(true))?;
            writeln!(console.out, "Inconsistent")?;
            Ok(())
        }
        Verb::DumpMd => dump_md(area, &found.ok_or(missing(true))?, invocation, console),
        _ => Err(MetaError::ReadOnly("v07")),
    }
}

impl V07 {
    /// The fields of a get-gi line: counters between the flags, in their old order.
    fn fields(&self) -> [u32; 8] {
        let has = |flag| u32::from(self.flags.contains(flag));
        let [human, timeout, connected, arbitrary] = self.counters;
        [
            has(MdFlags::CONSISTENT),
            human,
            timeout,
            connected,
            arbitrary,
            has(MdFlags::PRIMARY_IND),
            has(MdFlags::CONNECTED_IND),
            has(MdFlags::FULL_SYNC),
        ]
    }
}

fn get_gi(found: &V07, console: &mut Console<'_>) -> Result<()> {
    let fields = found.fields().map(|field| field.to_string());
    writeln!(console.out, "{}", fields.join(":"))?;
    Ok(())
}

fn show_gi(found: &V07, console: &mut Console<'_>) -> Result<()> {
    let [consistent, human, timeout, connected, arbitrary, primary, link, full] = found.fields();
    let word = |on: u32, yes, no| if on == 1 { yes } else { no };
    writeln!(
        console.out,
        "{GI_HEAD}       {consistent}/{} | {human:3} | {timeout:3} | {connected:3} | \
         {arbitrary:3} | {primary}/{} | {link}/{} | {full}/{}  ",
        word(consistent, 'c', 'i'),
        word(primary, 'p', 's'),
        word(link, 'c', 'n'),
        word(full, 'y', 'n')
    )?;
    writeln!(console.out)?;
    gi::agreed_size(found.la_sectors, 0, console)?;
    Ok(())
}

const GI_HEAD: &str = "
                                        WantFullSync |
                                  ConnectedInd |     |
                               lastState |     |     |
                      ArbitraryCnt |     |     |     |
                ConnectedCnt |     |     |     |     |
            TimeoutCnt |     |     |     |     |     |
        HumanCnt |     |     |     |     |     |     |
Consistent |     |     |     |     |     |     |     |
   --------+-----+-----+-----+-----+-----+-----+-----+
";

/// The counters are no text that `restore-md` knows: this dump is for looking at.
fn dump_md(
    area: &Area<'_>,
    found: &V07,
    invocation: &Invocation,
    console: &mut Console<'_>,
) -> Result<()> {
    // Version 07 does not say whether its log was applied.
    if !console.force {
        return Err(MetaError::Unclean);
    }
    writeln!(console.err, "{}", MetaError::Unclean)?;
    let mut out = std::io::BufWriter::new(&mut *console.out);
    dump::begin(&mut out, invocation, "v07", false)?;
    writeln!(out, "# md_size_sect {}", AREA_BYTES / 512)?;
    writeln!(out, "# md_offset {}", found.offset)?;
    writeln!(out, "# al_offset {}", found.offset + BLOCK_SIZE as u64)?;
    writeln!(out, "# bm_offset {}\n", found.offset + BM_START)?;
    let [human, timeout, connected, arbitrary] = found.counters;
    writeln!(
        out,
        "gc {{\n    {}; {human}; {timeout}; {connected}; {arbitrary};\n}}",
        found.flags_raw
    )?;
    writeln!(out, "# al-extents {};", found.al_nr_extents)?;
    writeln!(out, "la-size-sect {};", found.la_sectors)?;
    writeln!(out, "# bm-bytes {};", bitmap_bytes(found.la_sectors))?;
    writeln!(out, "bm {{")?;
    let mut bitmap = dump::BitmapText::new(out);
    for piece in found.pieces(&area.device) {
        bitmap.write(&piece?)?;
    }
    bitmap.end()?;
    Ok(())
}

/// Makes metadata of version 08 of it: size, flags, counters, log and bitmap are kept.
///
/// The old superblock goes last: until then the device has both, and the conversion can be
/// repeated.
///
/// # Errors
///
/// The device has an error, or has no room for the bitmap.
pub(crate) fn convert(area: &mut Area<'_>, found: &V07, console: &mut Console<'_>) -> Result<()> {
    writeln!(console.out, "Converting meta data...")?;
    let layout = area.layout(AlLayout::default())?;
    let len = bitmap_bytes(found.la_sectors);
    if found.la_sectors > layout.usable_sectors(u64::MAX) || len > layout.bm_sectors() * 512 {
        return Err(MetaError::TooBig);
    }
    // All is in memory before anything is written: both places may overlap on large devices.
    let log = area
        .device
        .read(found.offset + BLOCK_SIZE as u64, AL_BYTES as usize)?;
    let mut bitmap = Vec::new();
    for piece in found.pieces(&area.device) {
        bitmap.extend_from_slice(&piece?);
    }
    let any_bit = bitmap.iter().any(|byte| *byte != 0);
    if layout.superblock_sector() * 512 != found.offset {
        area.device.write(layout.al_sector() * 512, &log)?;
        let start = layout.bm_sector() * 512;
        for (at, piece) in (0_u64..).step_by(CHUNK).zip(bitmap.chunks(CHUNK)) {
            let mut buffer = AlignedBuf::zeroed(piece.len());
            buffer.copy_from_slice(piece);
            area.device.write(start + at, &buffer)?;
        }
        let whole = bitmap_bytes(area.device.sectors()).min(layout.bm_sectors() * 512);
        area.device
            .fill(start + len, whole.saturating_sub(len), 0)?;
    }
    writeln!(console.out, "Writing meta data...")?;
    area.write_superblock(&found.converted(&layout, any_bit), console)?;
    if layout.superblock_sector() * 512 != found.offset {
        let superblock = AlignedBuf::zeroed(BLOCK_SIZE);
        area.device.write(found.offset, &superblock)?;
        area.device.sync()?;
    }
    writeln!(
        console.out,
        "New drbd meta data block successfully created."
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stock drbdmeta 9.22 wrote with `v07 ... create-md` and `set-gi 1:2:3:4:5:1`.
    const STOCK: [u8; 48] = [
        0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
        0x83, 0x74, 2, 0x6a, 0, 2, 0, 0, 0, 0, 0, 8, 0, 0, 1, 1, 0, 0, 0, 0x48,
    ];

    #[test]
    fn a_superblock_of_stock_is_read() {
        let found = V07::parse(&STOCK, 4096).expect("it is one");
        assert_eq!(found.la_sectors, 32768);
        assert_eq!(found.fields(), [1, 2, 3, 4, 5, 1, 0, 0]);
        assert_eq!(found.al_nr_extents, 257);
    }

    #[test]
    fn what_does_not_make_sense_is_none() {
        for (at, byte) in [(28, 0x84), (31, 0x6b), (32, 1), (39, 9), (47, 0x49), (0, 1)] {
            let mut block = STOCK;
            block[at] = byte;
            assert_eq!(V07::parse(&block, 0), None, "byte {at}");
        }
        assert_eq!(V07::parse(&STOCK[..47], 0), None);
    }

    #[test]
    fn counters_become_uuids() {
        let found = V07::parse(&STOCK, 0).expect("it is one");
        let layout = Layout::compute(MdIndex::Fixed(0), 1 << 20, AlLayout::default());
        let layout = layout.expect("room enough");
        let none = found.converted(&layout, false).uuids;
        assert_eq!(
            none,
            [
                0x0002_0003_0009_babe,
                0,
                0x0002_0003_0008_babe,
                0x0002_0003_0007_babe
            ]
        );
        assert_eq!(
            found.converted(&layout, true).uuids[1],
            0x0002_0003_0008_babe
        );
        assert!(!found.converted(&layout, true).is_clean());
    }
}
