// SPDX-License-Identifier: GPL-2.0
//! The guest's init and servant. See `drbd_lab::agent`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use drbd_lab::agent::{init, mutate, serve};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((word, _)) if word == "serve" => serve::run(),
        Some((word, rest)) if word == "mutate" => {
            let table = mutate::Plan::parse(rest).and_then(mutate::run);
            table.map(|table| print!("{table}"))
        }
        _ => return boot(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("drbd-lab-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn boot() -> ExitCode {
    if std::process::id() == 1 {
        init::run();
    }
    eprintln!("drbd-lab-agent is the init of the lab's guests and of no other use");
    ExitCode::FAILURE
}
