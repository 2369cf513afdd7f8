// SPDX-License-Identifier: GPL-2.0
//! What is on a device that shall get metadata: nothing, a known signature, or some data.

use std::path::Path;
use std::process::{Command, Stdio};

use drbd_core::meta::Layout;

use super::area::Area;
use super::console::Console;
use super::error::{MetaError, Result};

/// How much of the device is looked at.
pub(crate) const PROBE_BYTES: usize = 68 << 10;

/// The size of the data below a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataSize {
    /// This many KiB, rounded up.
    Kib(u64),
    /// The volume manager knows.
    AskLvm,
    /// Nobody can tell.
    Unknown,
}

/// A known signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// How the user is told.
    pub(crate) name: &'static str,
    /// How much data it stands for.
    pub(crate) size: DataSize,
}

/// Looks for signatures in the first [`PROBE_BYTES`] of a device.
#[must_use]
pub(crate) fn detect(head: &[u8]) -> Option<Signature> {
    let found = |name, size| Some(Signature { name, size });
    let swap = [0xff6, 0x1ff6]
        .iter()
        .any(|offset| at(head, *offset, b"SWAP-SPACE") || at(head, *offset, b"SWAPSPACE2"));
    if swap {
        return found("swap space signature", DataSize::Unknown);
    }
    if at(head, 0x218, b"LVM2") {
        return found("LVM2 physical volume signature", DataSize::AskLvm);
    }
    if at(head, 0x438, &[0x53, 0xef]) {
        let journal = head.get(0x45c).is_some_and(|byte| byte & 4 != 0);
        let name = if journal {
            "ext3 filesystem"
        } else {
            "ext2 filesystem"
        };
        let block = match le32(head, 0x418) {
            shift @ 0..=2 => 1024 << shift,
            _ => 4096,
        };
        // Beyond 2^32 blocks the upper half counts too, if the feature "64bit" says so.
        let wide = le32(head, 0x460) & 0x80 != 0;
        let upper = if wide { le32(head, 0x550) << 32 } else { 0 };
        return found(name, kib(le32(head, 0x404) | upper, block));
    }
    if at(head, 0, b"XFSB") {
        return found("xfs filesystem", kib(be(head, 8, 8), be(head, 4, 4)));
    }
    if at(head, 0x8000, b"JFS1") {
        let blocks = le32(head, 0x8008) | (le32(head, 0x800c) << 32);
        return found("JFS filesystem", kib(blocks, le32(head, 0x8018)));
    }
    if at(head, 0x10034, b"ReIsErFs") || at(head, 0x10034, b"ReIsEr2Fs") {
        let block = le32(head, 0x1002c) & 0xffff;
        return found("reiser filesystem", kib(le32(head, 0x10000), block));
    }
    None
}

fn at(head: &[u8], offset: usize, pattern: &[u8]) -> bool {
    head.get(offset..)
        .is_some_and(|tail| tail.starts_with(pattern))
}

fn le32(head: &[u8], offset: usize) -> u64 {
    let bytes = head.get(offset..offset + 4).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn be(head: &[u8], offset: usize, len: usize) -> u64 {
    let bytes = head.get(offset..offset + len).unwrap_or_default();
    bytes
        .iter()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// `count` blocks of `size` bytes, in KiB; a size that makes no sense is larger than any device.
fn kib(count: u64, size: u64) -> DataSize {
    DataSize::Kib(
        count
            .checked_mul(size)
            .map_or(u64::MAX, |bytes| bytes.div_ceil(1024)),
    )
}

/// Tells what is on the device and asks, or refuses, before metadata is put there.
///
/// # Errors
///
/// [`MetaError::ForeignData`] if nothing may be written, [`MetaError::Declined`] after a no.
pub(crate) fn check(
    area: &Area<'_>,
    layout: &Layout,
    ignore_sanity_checks: bool,
    console: &mut Console<'_>,
) -> Result<()> {
    let head = area.device.read(0, PROBE_BYTES)?;
    if head.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let signature = detect(&head);
    writeln!(
        console.out,
        "md_offset {}",
        layout.superblock_sector() * 512
    )?;
    writeln!(console.out, "al_offset {}", layout.al_sector() * 512)?;
    writeln!(console.out, "bm_offset {}", layout.bm_sector() * 512)?;
    writeln!(
        console.out,
        "\nFound {}",
        signature.map_or("some data", |found| found.name)
    )?;

    let Some(signature) = signature else {
        writeln!(console.out, "\n ==> This might destroy existing data! <==")?;
        return proceed(console);
    };
    if !area.index.is_internal() {
        writeln!(console.out, "\nThis would corrupt existing data.")?;
        return refuse_unless(ignore_sanity_checks, console);
    }
    let usable = layout.usable_sectors(area.device.sectors()) / 2;
    let used = match signature.size {
        DataSize::Kib(used) => Some(used),
        DataSize::AskLvm => physical_volume_kib(area.device.path(), console)?,
        DataSize::Unknown => None,
    };
    let Some(used) = used else {
        writeln!(
            console.out,
            "{usable:12} kB left usable by current configuration"
        )?;
        if signature.size == DataSize::AskLvm {
            let text = "Could not determine the size of the actually used data area.\n";
            writeln!(console.out, "{text}")?;
        }
        writeln!(console.out, "{TRUNCATED}")?;
        return refuse_unless(ignore_sanity_checks, console);
    };
    writeln!(console.out, "{used:12} kB data area apparently used")?;
    writeln!(
        console.out,
        "{usable:12} kB left usable by current configuration\n"
    )?;
    if used > usable {
        writeln!(console.out, "{TRUNCATED}")?;
        writeln!(
            console.out,
            "You need to either\n   * use external meta data (recommended)\n   \
             * shrink that filesystem first\n   \
             * zero out the device (destroy the filesystem)\nOperation refused.\n"
        )?;
        return Err(MetaError::ForeignData);
    }
    writeln!(
        console.out,
        "Even though it looks like this would place the new meta data into\n\
         unused space, you still need to confirm, as this is only a guess."
    )?;
    proceed(console)
}

const TRUNCATED: &str = "Device size would be truncated, which\n\
    would corrupt data and result in\n\
    'access beyond end of device' errors.";

fn proceed(console: &mut Console<'_>) -> Result<()> {
    if console.confirmed("Do you want to proceed?")? {
        return Ok(());
    }
    writeln!(console.out, "Operation canceled.")?;
    Err(MetaError::Declined)
}

fn refuse_unless(ignored: bool, console: &mut Console<'_>) -> Result<()> {
    if ignored {
        writeln!(console.out, "\nIgnoring sanity check on user request.\n")?;
        return Ok(());
    }
    writeln!(
        console.out,
        "If you want me to do this, you need to zero out the first part\n\
         of the device (destroy the content).\n\
         You should be very sure that you mean it.\nOperation refused.\n"
    )?;
    Err(MetaError::ForeignData)
}

/// Asks `pvs` for the size of a physical volume, in KiB.
fn physical_volume_kib(device: &Path, console: &mut Console<'_>) -> Result<Option<u64>> {
    let config = format!(
        "devices {{ write_cache_state=0 filter = [ 'a|{}|', 'r|.|' ] }}",
        device.display()
    );
    let output = Command::new("pvs")
        .args([
            "--noheadings",
            "--nosuffix",
            "--units",
            "s",
            "-o",
            "pv_size",
            "--config",
        ])
        .args([&config])
        .arg(device)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            writeln!(
                console.err,
                "pvs stderr:{}",
                String::from_utf8_lossy(&output.stderr)
            )?;
            return Ok(None);
        }
        Err(error) => {
            writeln!(console.err, "pvs: {}", super::error::os_text(&error))?;
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .trim()
        .parse::<u64>()
        .ok()
        .map(|sectors| sectors.div_ceil(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes and where they stand.
    type Patches<'a> = &'a [(usize, &'a [u8])];

    fn head(patches: Patches<'_>) -> Vec<u8> {
        let mut head = vec![0; PROBE_BYTES];
        for (offset, bytes) in patches {
            head[*offset..*offset + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    #[test]
    fn signatures_and_sizes() {
        let ext = (0x438, &[0x53, 0xef][..]);
        let size = (0x404, &64_000_u32.to_le_bytes()[..]);
        let cases: &[(Patches<'_>, &str, DataSize)] = &[
            (
                &[(0xff6, b"SWAPSPACE2")],
                "swap space signature",
                DataSize::Unknown,
            ),
            (
                &[(0x1ff6, b"SWAP-SPACE")],
                "swap space signature",
                DataSize::Unknown,
            ),
            (
                &[(0x218, b"LVM2")],
                "LVM2 physical volume signature",
                DataSize::AskLvm,
            ),
            (&[ext, size], "ext2 filesystem", DataSize::Kib(64_000)),
            (
                &[ext, size, (0x418, &[2])],
                "ext2 filesystem",
                DataSize::Kib(256_000),
            ),
            (
                &[ext, size, (0x418, &[6])],
                "ext2 filesystem",
                DataSize::Kib(256_000),
            ),
            (
                &[ext, size, (0x45c, &[4])],
                "ext3 filesystem",
                DataSize::Kib(64_000),
            ),
            (
                &[ext, size, (0x460, &[0x80]), (0x550, &[1])],
                "ext2 filesystem",
                DataSize::Kib((1 << 32) + 64_000),
            ),
            (
                &[ext, size, (0x550, &[1])],
                "ext2 filesystem",
                DataSize::Kib(64_000),
            ),
            (
                &[(0, b"XFSB"), (4, &[0, 0, 16, 0]), (14, &[1, 0])],
                "xfs filesystem",
                DataSize::Kib(1024),
            ),
            (
                &[(0x8000, b"JFS1"), (0x8008, &[0xe9, 3]), (0x8018, &[0, 2])],
                "JFS filesystem",
                DataSize::Kib(501),
            ),
            (
                &[
                    (0x10034, b"ReIsErFs"),
                    (0x10000, &[0xe8, 3]),
                    (0x1002c, &[0, 16]),
                ],
                "reiser filesystem",
                DataSize::Kib(4000),
            ),
            (
                &[
                    (0x10034, b"ReIsEr2Fs"),
                    (0x10000, &[0xe9, 3]),
                    (0x1002c, &[1, 2]),
                ],
                "reiser filesystem",
                DataSize::Kib(502),
            ),
        ];
        for (patches, name, size) in cases {
            let signature = detect(&head(patches));
            assert_eq!(
                signature,
                Some(Signature { name, size: *size }),
                "{patches:?}"
            );
        }
        assert_eq!(detect(&head(&[(0x10fff, b"x")])), None);
        assert_eq!(detect(&[]), None);
    }

    #[test]
    fn absurd_sizes_do_not_fit_anywhere() {
        let head = head(&[(0, b"XFSB"), (4, &[0xff; 12])]);
        assert_eq!(detect(&head).unwrap().size, DataSize::Kib(u64::MAX));
    }
}
