// SPDX-License-Identifier: GPL-2.0
//! The simulator: two nodes of drbd-core, virtual time, chance by seed, and a checker that knows
//! the truth. docs/testing.md says how it is used.
//!
//! ```text
//! drbd-sim [--steps N] [--from TEXT]   runs until N steps are made; seeds follow from TEXT
//! drbd-sim --words N                   the same from TEXT0 to TEXTN, in short
//! drbd-sim --seed N [--tail LINES]     one run, and its trace if something is wrong
//! drbd-sim --mutations                 the deliberate bugs that have a bound are found within it
//! drbd-sim --mutations --steps N       every deliberate bug has to be found within N steps
//! drbd-sim --mutation NAME             one of them
//! drbd-sim --invariants                what is checked, and what stands in for the rest
//! ```
#![forbid(unsafe_code)]

mod app;
mod bits;
mod bug;
mod check;
mod disk;
mod net;
mod node;
mod ranges;
mod rng;
mod run;
mod script;
mod setup;
mod shared;
mod world;

use bug::Bug;
use std::process::ExitCode;

/// Unless `--steps` says something else.
const STEPS: u64 = 1_000_000;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut steps = None;
    let mut from = String::new();
    let mut tail = run::TAIL;
    let mut todo = Todo::Runs;
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        match arg.as_str() {
            "--steps" => match value().parse() {
                Ok(n) => steps = Some(n),
                Err(_) => return usage("--steps wants a number"),
            },
            "--from" => from = value(),
            "--tail" => match value().parse() {
                Ok(n) => tail = n,
                Err(_) => return usage("--tail wants a number"),
            },
            "--seed" => match value().parse() {
                Ok(seed) => todo = Todo::Seed(seed),
                Err(_) => return usage("--seed wants a number"),
            },
            "--words" => match value().parse() {
                Ok(n) => todo = Todo::Words(n),
                Err(_) => return usage("--words wants a number"),
            },
            "--mutations" => todo = Todo::Mutations(Bug::ALL.to_vec()),
            "--mutation" => match Bug::named(&value()) {
                Some(bug) => todo = Todo::Mutations(vec![bug]),
                None => return usage("--mutation wants the name of one"),
            },
            "--invariants" => todo = Todo::Invariants,
            _ => return usage(&format!("what is {arg}?")),
        }
    }
    let fine = match todo {
        Todo::Runs => run::many(&from, steps.unwrap_or(STEPS), tail),
        Todo::Words(n) => run::words(&from, n, steps.unwrap_or(STEPS)),
        Todo::Seed(seed) => run::one(seed, tail),
        Todo::Mutations(bugs) => run::mutations(&bugs, &from, steps),
        Todo::Invariants => {
            check::list::print();
            true
        }
    };
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

enum Todo {
    Runs,
    Words(u64),
    Seed(u64),
    Mutations(Vec<Bug>),
    Invariants,
}

fn usage(what: &str) -> ExitCode {
    eprintln!(
        "drbd-sim: {what}\nusage: drbd-sim [--steps N] [--from TEXT] [--words N] | \
         --seed N [--tail LINES] | \
         --mutations | --mutation NAME | --invariants"
    );
    ExitCode::from(2)
}
