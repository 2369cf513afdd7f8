// SPDX-License-Identifier: GPL-2.0
//! `dump-superblock`: the block as it is, for experts.

use drbd_core::meta::BLOCK_SIZE;

use super::area::{Area, State};
use super::cli::Invocation;
use super::console::Console;
use super::error::{MetaError, Result};

/// Prints the superblock in hex, or writes its bytes.
///
/// # Errors
///
/// There is no metadata, or an unknown output format was asked for.
pub(crate) fn dump_superblock(
    area: &Area<'_>,
    invocation: &Invocation,
    console: &mut Console<'_>,
) -> Result<()> {
    let sector = match area.state {
        State::Valid(found) | State::Moved(found, _) => found.layout.superblock_sector(),
        State::None => return Err(MetaError::NoMetadata { said: true }),
    };
    let hex = match invocation.options.output_format.as_deref() {
        None | Some("auto") => {
            invocation.verb_word == "hexdump-superblock"
                || std::io::IsTerminal::is_terminal(&std::io::stdout())
        }
        Some("hex") => true,
        Some("bin") => false,
        Some(other) => {
            return Err(MetaError::BadOption(format!(
                "unknown output format '{other}'"
            )));
        }
    };
    let offset = sector * 512;
    let block = area.device.read(offset, BLOCK_SIZE)?;
    if !hex {
        console.out.write_all(&block)?;
        return Ok(());
    }
    let mut last: Option<&[u8]> = None;
    let mut starred = false;
    for (nr, line) in block.chunks_exact(16).enumerate() {
        if last == Some(line) && nr + 1 < BLOCK_SIZE / 16 {
            if !starred {
                writeln!(console.out, "*")?;
            }
            starred = true;
            continue;
        }
        (last, starred) = (Some(line), false);
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|byte| char::from(*byte))
            .map(|shown| {
                if shown.is_ascii_graphic() || shown == ' ' {
                    shown
                } else {
                    '.'
                }
            })
            .collect();
        let (left, right) = bytes.split_at(8);
        let (left, right) = (left.join(" "), right.join(" "));
        let at = offset + (nr * 16) as u64;
        writeln!(console.out, "{at:08x}  {left}  {right}  |{text}|")?;
    }
    Ok(())
}
