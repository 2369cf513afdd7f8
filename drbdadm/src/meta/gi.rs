// SPDX-License-Identifier: GPL-2.0
//! Generation identifiers and flags: the commands that show or change single fields.

use std::ffi::OsStr;

use drbd_core::meta::{MdFlags, Superblock};

use super::area::Area;
use super::console::Console;
use super::error::{MetaError, Result};
use super::pretty;

/// The flags of a get-gi line, in their order.
const GI_FLAGS: [MdFlags; 7] = [
    MdFlags::CONSISTENT,
    MdFlags::WAS_UP_TO_DATE,
    MdFlags::PRIMARY_IND,
    MdFlags::CONNECTED_IND,
    MdFlags::FULL_SYNC,
    MdFlags::PEER_OUT_DATED,
    MdFlags::CRASHED_PRIMARY,
];

/// UUIDs and flags on one line: `C:B:H1:H2:f:f:f:f:f:f:f`.
#[must_use]
pub(crate) fn gi_line(superblock: &Superblock) -> String {
    let uuids = superblock.uuids.map(|uuid| format!("{uuid:016X}"));
    let flags = GI_FLAGS.map(|flag| u8::from(superblock.flags.contains(flag)).to_string());
    format!("{}:{}", uuids.join(":"), flags.join(":"))
}

/// Prints UUIDs and flags on one line.
///
/// # Errors
///
/// There is no metadata.
pub(crate) fn get_gi(area: &Area<'_>, console: &mut Console<'_>) -> Result<()> {
    let found = area.valid(false)?;
    writeln!(console.out, "{}", gi_line(&found.superblock))?;
    Ok(())
}

/// Prints UUIDs and flags with an explanation.
///
/// # Errors
///
/// There is no metadata.
pub(crate) fn show_gi(area: &Area<'_>, console: &mut Console<'_>) -> Result<()> {
    let superblock = area.valid(false)?.superblock;
    let has = |flag| superblock.flags.contains(flag);
    let line = gi_line(&superblock);
    write!(console.out, "{GI_HEAD}{line}\n{GI_LEGEND}\n")?;
    let crashed = if has(MdFlags::CRASHED_PRIMARY) {
        " crashed"
    } else {
        ""
    };
    let role = if has(MdFlags::PRIMARY_IND) {
        "Primary"
    } else {
        "Secondary"
    };
    let link = if has(MdFlags::CONNECTED_IND) {
        "Connected"
    } else {
        "StandAlone"
    };
    let disk = match (has(MdFlags::CONSISTENT), has(MdFlags::WAS_UP_TO_DATE)) {
        (true, true) => "UpToDate",
        (true, false) => "Outdated",
        (false, _) => "Inconsistent",
    };
    let full_sync = if has(MdFlags::FULL_SYNC) {
        ", need full sync"
    } else {
        ""
    };
    let peer = if has(MdFlags::PEER_OUT_DATED) {
        ", peer Outdated"
    } else {
        ""
    };
    writeln!(
        console.out,
        "flags:{crashed} {role}, {link}, {disk}{full_sync}{peer}"
    )?;
    let clean = if superblock.is_clean() {
        "clean"
    } else {
        "need apply-al"
    };
    writeln!(console.out, "meta-data: {clean}")?;
    agreed_size(
        superblock.la_size_sect,
        superblock.la_peer_max_bio_size,
        console,
    )
}

/// Prints what was last agreed upon: the size in sectors, the largest request in bytes.
///
/// # Errors
///
/// The stream fails.
pub(crate) fn agreed_size(sectors: u64, max_bio: u32, console: &mut Console<'_>) -> Result<()> {
    if sectors == 0 {
        writeln!(console.out, "zero size device -- never seen peer yet?")?;
    } else {
        let size = pretty::from_kib(sectors / 2);
        writeln!(console.out, "last agreed size: {size} ({sectors} sectors)")?;
        writeln!(console.out, "last agreed max bio size: {max_bio} Byte")?;
    }
    Ok(())
}

const GI_HEAD: &str = "
       +--<  Current data generation UUID  >-
       |               +--<  Bitmap's base data generation UUID  >-
       |               |                 +--<  younger history UUID  >-
       |               |                 |         +-<  older history  >-
       V               V                 V         V
";

const GI_LEGEND: &str = "                                                                    \
    ^ ^ ^ ^ ^ ^ ^
                                      -<  Data consistency flag  >--+ | | | | | |
                             -<  Data was/is currently up-to-date  >--+ | | | | |
                                  -<  Node was/is currently primary  >--+ | | | |
                                  -<  Node was/is currently connected  >--+ | | |
         -<  Node was in the progress of setting all bits in the bitmap  >--+ | |
                        -<  The peer's disk was out-dated or inconsistent  >--+ |
      -<  This node was a crashed primary, and has not seen its peer since   >--+
";

/// Changes UUIDs and flags by a line as [`gi_line`] makes it; empty fields stay.
///
/// # Errors
///
/// There is no metadata, or a field is no number. A no is no error.
pub(crate) fn set_gi(area: &mut Area<'_>, text: &OsStr, console: &mut Console<'_>) -> Result<()> {
    let old = area.valid(false)?.superblock;
    let new = with_gi(&old, &text.to_string_lossy())?;
    writeln!(console.out, "previously {}", gi_line(&old))?;
    writeln!(console.out, "set GI to  {}", gi_line(&new))?;
    if !console.confirmed("Write new GI to disk?")? {
        writeln!(console.out, "Operation canceled.")?;
        return Ok(());
    }
    area.write_superblock(&new, console)
}

/// The superblock with the fields of a `set-gi` argument.
fn with_gi(old: &Superblock, text: &str) -> Result<Superblock> {
    let mut new = *old;
    let mut fields = text.split(':').map(str::trim);
    for (uuid, field) in new.uuids.iter_mut().zip(fields.by_ref()) {
        if !field.is_empty() {
            *uuid = parse_hex(field).ok_or_else(|| not_a_number(field))?;
        }
    }
    for (flag, field) in GI_FLAGS.into_iter().zip(fields) {
        match field {
            "" => {}
            "0" | "1" => new.flags = new.flags.set_to(flag, field == "1"),
            _ if field.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(MetaError::BadOption(format!("'{field}' is not 0 or 1.")));
            }
            _ => return Err(not_a_number(field)),
        }
    }
    Ok(new)
}

fn not_a_number(field: &str) -> MetaError {
    MetaError::BadOption(format!("'{field}' is not a number."))
}

fn parse_hex(text: &str) -> Option<u64> {
    let digits = text
        .strip_prefix("0x")
        .or(text.strip_prefix("0X"))
        .unwrap_or(text);
    // from_str_radix would take a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| plain)
}

/// Prints the disk state that the flags tell.
///
/// # Errors
///
/// There is no metadata.
pub(crate) fn dstate(area: &Area<'_>, console: &mut Console<'_>) -> Result<()> {
    let flags = area.valid(true)?.superblock.flags;
    let state = if !flags.contains(MdFlags::CONSISTENT) {
        "Inconsistent"
    } else if !flags.contains(MdFlags::WAS_UP_TO_DATE) {
        "Outdated"
    } else if !flags.contains(MdFlags::PEER_OUT_DATED) {
        "Consistent"
    } else {
        "UpToDate"
    };
    writeln!(console.out, "{state}")?;
    Ok(())
}

/// Marks the data as outdated.
///
/// # Errors
///
/// There is no metadata, or the data is inconsistent, which is worse already.
pub(crate) fn outdate(area: &mut Area<'_>, console: &mut Console<'_>) -> Result<()> {
    let mut superblock = area.valid(false)?.superblock;
    if !superblock.flags.contains(MdFlags::CONSISTENT) {
        return Err(MetaError::Inconsistent);
    }
    superblock.flags = superblock.flags.without(MdFlags::WAS_UP_TO_DATE);
    area.write_superblock(&superblock, console)
}

/// Marks the data as inconsistent, to be synced wholly.
///
/// # Errors
///
/// There is no metadata.
pub(crate) fn invalidate(area: &mut Area<'_>, console: &mut Console<'_>) -> Result<()> {
    let mut superblock = area.valid(false)?.superblock;
    superblock.flags = superblock
        .flags
        .without(MdFlags::CONSISTENT | MdFlags::WAS_UP_TO_DATE)
        .with(MdFlags::FULL_SYNC);
    area.write_superblock(&superblock, console)
}

/// Prints the identity of the device.
///
/// # Errors
///
/// There is no metadata.
pub(crate) fn read_dev_uuid(area: &Area<'_>, console: &mut Console<'_>) -> Result<()> {
    writeln!(
        console.out,
        "{:016X}",
        area.valid(false)?.superblock.device_uuid
    )?;
    Ok(())
}

/// Stores the identity of the device.
///
/// # Errors
///
/// There is no metadata, or `text` is no hex number.
pub(crate) fn write_dev_uuid(
    area: &mut Area<'_>,
    text: &OsStr,
    console: &mut Console<'_>,
) -> Result<()> {
    let text = text.to_string_lossy();
    let mut superblock = area.valid(false)?.superblock;
    superblock.device_uuid = parse_hex(&text).ok_or_else(|| not_a_number(&text))?;
    area.write_superblock(&superblock, console)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drbd_core::meta::{AlLayout, Layout, MdIndex};

    fn fresh() -> Superblock {
        let layout = Layout::compute(MdIndex::Internal, 131_072, AlLayout::DEFAULT).unwrap();
        Superblock::create(&layout)
    }

    #[test]
    fn fields_that_are_set_and_fields_that_stay() {
        let old = with_gi(&fresh(), "A1B2:0:0x1111:0:1:1:1:1:0:0:0").unwrap();
        let line = "000000000000A1B2:0000000000000000:0000000000001111:0000000000000000:\
                    1:1:1:1:0:0:0";
        assert_eq!(gi_line(&old), line);
        assert!(old.flags.contains(MdFlags::AL_CLEAN));
        for text in ["", ":", ":::", "a1b2", ":::::1", ":0:::1:1:1:1:0:0:0:1:1"] {
            assert_eq!(with_gi(&old, text).unwrap(), old, "{text}");
        }
        assert_eq!(
            with_gi(&old, "::::0").unwrap().flags,
            old.flags.without(MdFlags::CONSISTENT)
        );
    }

    #[test]
    fn fields_without_sense() {
        for (text, message) in [
            ("nonsense", "'nonsense' is not a number."),
            ("1:-1", "'-1' is not a number."),
            ("11111111111111111", "'11111111111111111' is not a number."),
            ("1:2:3:4:2", "'2' is not 0 or 1."),
            ("1:2:3:4:x", "'x' is not a number."),
        ] {
            let error = with_gi(&fresh(), text).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.exit_code()),
                (message, 10)
            );
        }
    }
}
