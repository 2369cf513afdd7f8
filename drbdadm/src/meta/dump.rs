// SPDX-License-Identifier: GPL-2.0
//! `dump-md`: the metadata as text that `restore-md` reads.

use std::collections::VecDeque;
use std::io::{self, Write};

use drbd_core::meta::{Layout, Superblock};

use super::area::{Area, Found, State};
use super::bitmap_io::{bitmap_bytes, pieces};
use super::cli::Invocation;
use super::console::Console;
use super::error::{MetaError, Result};

/// Words of bitmap in one line.
const LINE_WORDS: u64 = 4;
/// A run is worth its own line from this many words on.
const RUN_WORDS: u64 = 8;
/// A comment tells the position at multiples of this many words (8 MiB of data).
const MARK_WORDS: u64 = 32;
/// KiB of data for one word.
const WORD_KIB: u64 = 256;

/// Prints the metadata.
///
/// # Errors
///
/// There is none, or its log has to be applied first and nobody insists.
pub(crate) fn dump_md(
    area: &Area<'_>,
    invocation: &Invocation,
    console: &mut Console<'_>,
) -> Result<()> {
    let (found, moved) = match area.state {
        State::Valid(found) => (found, None),
        State::Moved(found, sectors) => (found, Some(sectors)),
        State::None => return Err(MetaError::NoMetadata { said: true }),
    };
    let clean = found.superblock.is_clean();
    if !clean {
        if !console.force {
            return Err(MetaError::Unclean);
        }
        writeln!(console.err, "{}", MetaError::Unclean)?;
    }
    let mut out = io::BufWriter::new(&mut *console.out);
    begin(&mut out, invocation, "v08", clean)?;
    match moved {
        None => {
            writeln!(out, "# md_size_sect {}", found.superblock.md_size_sect)?;
            offsets(&mut out, "#", &found.layout)?;
        }
        Some(old_sectors) => {
            let path = area.device.path().display();
            writeln!(out, "### Device seems to have been resized!")?;
            writeln!(out, "### dumping meta data from the last known position")?;
            writeln!(
                out,
                "### current size of {path}: {} byte",
                area.device.bytes()
            )?;
            writeln!(out, "### expected position of meta data:")?;
            offsets(&mut out, "##", &area.layout(found.layout.al())?)?;
            writeln!(
                out,
                "### last known size of {path}: {} byte",
                old_sectors * 512
            )?;
            writeln!(out, "### adjusted position of meta data:")?;
            writeln!(out, "# md_size_sect {}", found.superblock.md_size_sect)?;
            offsets(&mut out, "#", &found.layout)?;
        }
    }
    writeln!(out)?;
    statements(&mut out, &found)?;
    let mut bitmap = BitmapText::new(out);
    for piece in pieces(&area.device, &found.layout, found.superblock.la_size_sect) {
        bitmap.write(&piece?)?;
    }
    bitmap.end()?;
    Ok(())
}

/// How a dump begins.
///
/// # Errors
///
/// The stream fails.
pub(crate) fn begin(
    out: &mut impl Write,
    invocation: &Invocation,
    version: &str,
    clean: bool,
) -> io::Result<()> {
    header(out, invocation)?;
    writeln!(out, "version \"{version}\";\n")?;
    if !clean {
        // Not a word of the language: restore-md must stumble over it.
        writeln!(
            out,
            "This_is_an_unclean_meta_data_dump._Don't_trust_the_bitmap."
        )?;
        writeln!(
            out,
            "# You should \"apply-al\" first, if you plan to restore this.\n"
        )?;
    }
    Ok(())
}

fn header(out: &mut impl Write, invocation: &Invocation) -> io::Result<()> {
    let now = chrono::Local::now();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let words: Vec<_> = invocation
        .line
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    writeln!(out, "# DRBD meta data dump")?;
    writeln!(out, "# {} [{}]", now.format("%F %T %z"), now.timestamp())?;
    writeln!(
        out,
        "# {}> drbdmeta {}",
        host.to_string_lossy(),
        words.join(" ")
    )?;
    writeln!(out, "#\n")
}

fn offsets(out: &mut impl Write, mark: &str, layout: &Layout) -> io::Result<()> {
    writeln!(out, "{mark} md_offset {}", layout.superblock_sector() * 512)?;
    writeln!(out, "{mark} al_offset {}", layout.al_sector() * 512)?;
    writeln!(out, "{mark} bm_offset {}", layout.bm_sector() * 512)
}

fn statements(out: &mut impl Write, found: &Found) -> io::Result<()> {
    let Superblock {
        uuids: [current, bitmap, younger, older],
        ..
    } = found.superblock;
    let superblock = &found.superblock;
    writeln!(out, "uuid {{")?;
    writeln!(
        out,
        "    0x{current:016X}; 0x{bitmap:016X}; 0x{younger:016X}; 0x{older:016X};"
    )?;
    writeln!(out, "    flags 0x{:08X};", superblock.flags.bits())?;
    writeln!(out, "}}")?;
    writeln!(out, "# al-extents {};", superblock.al_nr_extents)?;
    writeln!(out, "la-size-sect {};", superblock.la_size_sect)?;
    writeln!(out, "bm-byte-per-bit {};", superblock.bm_bytes_per_bit)?;
    writeln!(out, "device-uuid 0x{:016X};", superblock.device_uuid)?;
    writeln!(
        out,
        "la-peer-max-bio-size {};",
        superblock.la_peer_max_bio_size
    )?;
    writeln!(out, "al-stripes {};", found.layout.al().stripes())?;
    writeln!(
        out,
        "al-stripe-size-4k {};",
        found.layout.al().stripe_size_4k()
    )?;
    writeln!(out, "# bm-bytes {};", bitmap_bytes(superblock.la_size_sect))?;
    writeln!(out, "bm {{")
}

/// Writes bitmap as text, with runs of equal words on one line.
pub(crate) struct BitmapText<W> {
    out: W,
    /// Words that are not printed yet, as counts of equal ones.
    pending: VecDeque<(u64, u64)>,
    /// Index of the next word to print.
    position: u64,
    bits_set: u64,
}

impl<W: Write> BitmapText<W> {
    /// Nothing yet, to be printed to `out`.
    pub(crate) const fn new(out: W) -> Self {
        Self {
            out,
            pending: VecDeque::new(),
            position: 0,
            bits_set: 0,
        }
    }

    /// Prints what is left, and the end of a dump.
    ///
    /// # Errors
    ///
    /// The stream fails.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.print(true)?;
        writeln!(self.out, "}}\n# bits-set {};", self.bits_set)?;
        self.out.flush()
    }

    /// Takes the next piece of the bitmap; runs may span pieces.
    ///
    /// # Errors
    ///
    /// The stream fails.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for bytes in bytes.chunks_exact(8) {
            let word = bytes.try_into().map_or(0, u64::from_le_bytes);
            self.bits_set += u64::from(word.count_ones());
            match self.pending.back_mut() {
                Some((count, last)) if *last == word => *count += 1,
                _ => {
                    self.pending.push_back((1, word));
                    self.print(false)?;
                }
            }
        }
        Ok(())
    }

    /// Prints what no further word can change any more, or everything at the end.
    fn print(&mut self, at_end: bool) -> io::Result<()> {
        while let Some(&(count, word)) = self.pending.front() {
            let run = count / LINE_WORDS * LINE_WORDS;
            // Only words of two equal halves make a run.
            let is_run = run >= RUN_WORDS && word >> 32 == word & 0xffff_ffff;
            if is_run && (at_end || self.pending.len() > 1) {
                self.take(run);
                self.mark()?;
                writeln!(self.out, "    {run} times 0x{word:016X};")?;
                self.position += run;
                continue;
            }
            let available: u64 = self.pending.iter().map(|(count, _)| count).sum();
            let complete = self.pending.len() > 1 && available >= LINE_WORDS;
            if !(at_end || complete) {
                return Ok(());
            }
            self.mark()?;
            write!(self.out, "   ")?;
            for _ in 0..available.min(LINE_WORDS) {
                let Some(&(_, word)) = self.pending.front() else {
                    break;
                };
                write!(self.out, " 0x{word:016X};")?;
                self.take(1);
                self.position += 1;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    /// Removes `count` words of the first run.
    fn take(&mut self, count: u64) {
        if let Some((left, _)) = self.pending.front_mut() {
            *left -= count;
            if *left == 0 {
                self.pending.pop_front();
            }
        }
    }

    fn mark(&mut self) -> io::Result<()> {
        if self.position % MARK_WORDS == 0 {
            writeln!(self.out, "   # at {}kB", self.position * WORD_KIB)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::BitmapText;

    fn text(words: &[u64]) -> (String, u64) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut whole = BitmapText::new(Vec::new());
        whole.write(&bytes).unwrap();
        whole.print(true).unwrap();
        // However the words arrive, the text is the same.
        let mut bitmap = BitmapText::new(Vec::new());
        for piece in bytes.chunks(24) {
            bitmap.write(piece).unwrap();
        }
        bitmap.print(true).unwrap();
        assert_eq!(bitmap.out, whole.out);
        (String::from_utf8(bitmap.out).unwrap(), bitmap.bits_set)
    }

    fn words(runs: &[(usize, u64)]) -> Vec<u64> {
        runs.iter()
            .flat_map(|&(count, word)| std::iter::repeat_n(word, count))
            .collect()
    }

    #[test]
    fn runs_and_marks() {
        let ones = u64::MAX;
        let first = [(1, 1), (1, 1 << 63), (14, 0), (40, ones), (456, 0)];
        let expected = "   # at 0kB\n    0x0000000000000001; 0x8000000000000000; \
                        0x0000000000000000; 0x0000000000000000;\n    12 times \
                        0x0000000000000000;\n    40 times 0xFFFFFFFFFFFFFFFF;\n    456 times \
                        0x0000000000000000;\n";
        assert_eq!(text(&words(&first)), (expected.to_owned(), 2562));

        let replayed = [(48, 0), (16, ones), (48, 0), (16, ones)];
        let expected = "   # at 0kB\n    48 times 0x0000000000000000;\n    16 times \
                        0xFFFFFFFFFFFFFFFF;\n   # at 16384kB\n    48 times \
                        0x0000000000000000;\n    16 times 0xFFFFFFFFFFFFFFFF;\n";
        assert_eq!(text(&words(&replayed)), (expected.to_owned(), 2048));
    }

    #[test]
    fn short_runs_and_odd_halves_stay_words() {
        let (text, _) = text(&words(&[(4, 5), (8, 0x1_0000_0000), (8, 0x1_0000_0001)]));
        assert_eq!(text.matches("times").count(), 1);
        assert!(text.ends_with("    8 times 0x0000000100000001;\n"));
    }
}
