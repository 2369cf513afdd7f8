// SPDX-License-Identifier: GPL-2.0
//! The fuzzer: damaged input for everything in the core and the language that reads foreign bytes.
//!
//! An input's *outcome* is the kinds of values and errors that it led to. An input with an outcome
//! that none had before is kept and damaged further; what is kept lies in `corpus/TARGET`. That is
//! coarser than coverage of the code, but needs nothing that the build root's compiler lacks, and
//! a run is the same each time: it follows from the corpus, the seed and the number of runs.
//!
//! A panic, a property that does not hold, or an input that takes too long ends the run; the input
//! is left in `build/fuzz`.

mod corpus;
mod mutate;
mod target;

use std::collections::HashSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{channel, RecvTimeoutError, Sender};
use std::time::Duration;

use clap::Parser;
use corpus::Corpus;
use target::Target;

/// An input that takes longer has found a loop without end.
const TOO_LONG: Duration = Duration::from_secs(60);
/// The watch is told of the input that begins every so many.
const WATCHED: u64 = 256;

/// Feeds damaged input to everything that reads foreign bytes.
#[derive(Parser)]
struct Arguments {
    /// How many inputs each target gets.
    #[arg(long, default_value_t = 200_000)]
    runs: u64,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Adds to the corpus what led somewhere new.
    #[arg(long)]
    grow: bool,
    /// One input only: the file's content, for the one target that is named.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Which targets; all if none is named.
    targets: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = |target: &&Target| {
        arguments.targets.is_empty() || arguments.targets.iter().any(|name| name == target.name)
    };
    let chosen: Vec<&Target> = target::ALL.iter().filter(named).collect();
    if chosen.len() < arguments.targets.len() {
        let names: Vec<&str> = target::ALL.iter().map(|target| target.name).collect();
        eprintln!("drbd-fuzz: the targets are {}", names.join(", "));
        return ExitCode::from(2);
    }
    for target in chosen {
        let done = match &arguments.input {
            Some(file) => once(target, file),
            None => fuzz(target, &arguments, top),
        };
        if let Err(text) = done {
            eprintln!("drbd-fuzz: {text}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs one input, to see what happens.
fn once(target: &Target, file: &Path) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{}: {:?}", target.name, (target.run)(&bytes));
    Ok(())
}

/// All runs of one target.
fn fuzz(target: &'static Target, arguments: &Arguments, top: &Path) -> Result<(), String> {
    let folder = top.join("corpus").join(target.name);
    let faults = top.join("../../build/fuzz");
    let mut corpus = Corpus::read(&folder)?;
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let mut seen = HashSet::new();
    let watch = watch(target.name, &faults);
    let mut try_one = |bytes: &[u8], runs: u64| -> Result<bool, String> {
        if runs % WATCHED == 0 {
            // Nobody listens only if the watch has ended the program.
            let _ = watch.send(bytes.to_vec());
        }
        match catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))) {
            Ok(outcome) => Ok(seen.insert(outcome)),
            Err(_) => Err(format!(
                "{}: a fault, see above; the input is {}",
                target.name,
                leave(&faults, target.name, bytes)
            )),
        }
    };
    // What is kept first, then what anybody could think of.
    let kept = corpus.len();
    for bytes in corpus.inputs() {
        try_one(bytes, 0)?;
    }
    for bytes in (target.seeds)() {
        if try_one(&bytes, 0)? {
            corpus.add(bytes);
        }
    }
    for run in 0..arguments.runs {
        let bytes = mutate::damaged(&mut random, &corpus, target.words);
        if try_one(&bytes, run)? {
            corpus.add(bytes);
        }
    }
    let outcomes = seen.len();
    println!(
        "{:<14} {} runs from {kept} kept inputs, {outcomes} outcomes",
        target.name, arguments.runs
    );
    if arguments.grow {
        corpus.write(&folder)?;
    }
    Ok(())
}

/// Writes an input that is to be looked at; its name.
fn leave(folder: &Path, target: &str, bytes: &[u8]) -> String {
    let path = folder.join(format!("{target}-{:016x}", corpus::name_of(bytes)));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
    match written {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("lost ({}: {error}): {bytes:?}", path.display()),
    }
}

/// Ends the program when no further input is begun in time. It hears of some inputs only: the loop
/// is in the last one that it was told of, or in one of the next [`WATCHED`].
fn watch(target: &'static str, faults: &Path) -> Sender<Vec<u8>> {
    let (begun, told) = channel::<Vec<u8>>();
    let faults = faults.to_owned();
    std::thread::spawn(move || {
        let mut last = Vec::new();
        loop {
            match told.recv_timeout(TOO_LONG) {
                Ok(bytes) => last = bytes,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let input = leave(&faults, target, &last);
                    eprintln!("drbd-fuzz: {target}: no end after {input}");
                    std::process::exit(1);
                }
            }
        }
    });
    begun
}
