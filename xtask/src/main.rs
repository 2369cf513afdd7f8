// SPDX-License-Identifier: GPL-2.0
//! Chores of the repository: `cargo run -p xtask -- tidy|panics|frames|instructions|check`.
//!
//! `tidy` holds the repository's rules, `panics` looks for panicking code in the built module,
//! `frames` measures its stack frames, `instructions` counts what drbdadm takes beside the stock
//! one, and `check` runs these and everything else that needs no machine to be booted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod allow;
mod check;
mod frames;
mod instructions;
mod panics;
mod tidy;

/// What went wrong, in the words that the developer is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A program could not be started.
    #[error("cannot run {0}: {1}")]
    Program(String, std::io::Error),
    /// The module is not an object file that we can read.
    #[error("{0}: {1}")]
    Object(PathBuf, object::read::Error),
    /// A line of an allow-list has no rule, no place or no reason.
    #[error("{0}:{1}: wanted `RULE PLACE: REASON`")]
    Allow(PathBuf, usize),
    /// The work was done, and found faults (already printed).
    #[error("{0}")]
    Found(String),
}

/// Chores of the repository.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks the repository's own rules.
    Tidy,
    /// Looks for calls of panicking functions in the built module.
    Panics {
        /// The module, with debug information and relocations.
        #[arg(default_value = "build/module/drbd.ko")]
        module: PathBuf,
    },
    /// Measures the stack frames of the built module.
    Frames {
        /// The module, with relocations.
        #[arg(default_value = "build/module/drbd.ko")]
        module: PathBuf,
    },
    /// Counts the instructions of `build/sbin/drbdadm` and of the stock one, with 500 resources.
    Instructions {
        /// Writes the figures into docs/performance.md.
        #[arg(long)]
        write: bool,
    },
    /// Runs every check that needs no machine to be booted.
    Check,
}

fn main() -> ExitCode {
    // Cargo runs us from anywhere below the checkout; the rules speak of paths from its top.
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let done = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(&top),
        Chore::Panics { module } => panics::run(&top, &module),
        Chore::Instructions { write } => instructions::run(&top, write),
        Chore::Frames { module } => frames::run(&top, &module),
        Chore::Check => check::run(&top),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
