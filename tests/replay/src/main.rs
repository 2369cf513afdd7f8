// SPDX-License-Identifier: GPL-2.0
//! `drbd-replay FILE`: shows a tape in words and plays it again. Ends with 0 if the node did what
//! the core says, with 1 if not, with 2 if the file cannot be read or is no tape.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(file), None) = (args.next(), args.next()) else {
        eprintln!("usage: drbd-replay FILE");
        return ExitCode::from(2);
    };
    let name = file.to_string_lossy();
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(e) => {
            eprintln!("drbd-replay: {name}: {e}");
            return ExitCode::from(2);
        }
    };
    let mut out = std::io::stdout().lock();
    // A reader that has seen enough is no error.
    let played = drbd_replay::play(&bytes, |line| drop(writeln!(out, "{line}")));
    match played {
        Err(why) => {
            eprintln!("drbd-replay: {name}: {why}");
            ExitCode::from(2)
        }
        Ok(played) => {
            let _ = writeln!(out, "{played}");
            ExitCode::from(u8::from(played.difference.is_some()))
        }
    }
}
