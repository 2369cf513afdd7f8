// SPDX-License-Identifier: GPL-2.0
//! Runs every check that needs no machine to be booted, one after the other.
//!
//! A check's output goes to `build/log/NAME.log`. The terminal shows a line for each, and of a
//! failed one the end of its log. All checks run, also after a failure.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Error;

/// How many lines of a failed check's log are shown.
const TAIL_LINES: usize = 60;

/// In a check's command: the commit that is checked. So each commit plays other runs, and a rerun
/// plays the same.
const COMMIT: &str = "{commit}";

/// A check: its name and the command that does it.
struct Check {
    name: &'static str,
    command: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// A check that this program does itself, called by that name.
macro_rules! chore {
    ($name:literal) => {
        check(
            $name,
            &["cargo", "run", "--locked", "-q", "-p", "xtask", "--", $name],
        )
    };
}

/// A check by a program of this workspace, built with that profile.
macro_rules! program {
    ($name:literal, $profile:literal, $package:literal, $($argument:expr),*) => {
        check(
            $name,
            &[
                "cargo", "run", "--locked", "-q", "--profile", $profile, "-p", $package, "--",
                $($argument),*
            ],
        )
    };
}

const CHECKS: [Check; 13] = [
    check("format", &["cargo", "fmt", "--all", "--check"]),
    check(
        "format-module",
        &[
            "rustfmt",
            "--check",
            "--edition",
            "2021",
            "kernel/drbd_main.rs",
        ],
    ),
    chore!("tidy"),
    check(
        "clippy",
        &[
            "cargo",
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-Dwarnings",
        ],
    ),
    // The kernel's own lints, as its developers run them.
    check(
        "clippy-module",
        &[
            "scripts/kbuild",
            "build/clippy",
            "CLIPPY=1",
            "KRUSTFLAGS=-Dwarnings",
        ],
    ),
    chore!("panics"),
    chore!("frames"),
    chore!("instructions"),
    Check {
        name: "doc",
        command: &["cargo", "doc", "--locked", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-Dwarnings")],
    },
    check(
        "unit-tests",
        &["cargo", "test", "--locked", "--workspace", "--no-fail-fast"],
    ),
    // From the kept corpus, the same each time; `make fuzz` goes further.
    program!("fuzz", "fuzz", "drbd-fuzz", "--runs", "50000"),
    program!(
        "simulator",
        "release",
        "drbd-sim",
        "--steps",
        "1000000",
        "--from",
        COMMIT
    ),
    program!("mutations", "release", "drbd-sim", "--mutations"),
];

const fn check(name: &'static str, command: &'static [&'static str]) -> Check {
    Check {
        name,
        command,
        environment: &[],
    }
}

/// Runs all checks in the checkout at `top`; an error if any of them failed.
pub(crate) fn run(top: &Path) -> Result<(), Error> {
    let logs = top.join("build/log");
    fs::create_dir_all(&logs).map_err(|error| Error::File(logs.clone(), error))?;
    let commit = commit(top)?;
    let mut tally = Tally::default();
    for check in &CHECKS {
        let log = logs.join(format!("{}.log", check.name));
        let start = Instant::now();
        let passed = check.run(top, &commit, &log)?;
        let text = fs::read_to_string(&log).map_err(|error| Error::File(log.clone(), error))?;
        let verdict = if passed { "ok" } else { "FAILED" };
        println!(
            "check {:<14} {verdict} ({:.1} s)",
            check.name,
            start.elapsed().as_secs_f32()
        );
        if !passed {
            for line in tail(&text, TAIL_LINES) {
                println!("    {line}");
            }
            println!("    (the whole log: build/log/{}.log)", check.name);
        }
        // A check that runs tests counts as these; any other counts as one.
        let tests = Tally::of_cargo_test(&text);
        if tests.is_empty() || !passed && tests.failed == 0 {
            tally.add(&Tally {
                passed: passed.into(),
                failed: (!passed).into(),
            });
        }
        tally.add(&tests);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        return Err(Error::Found("some checks failed".to_owned()));
    }
    Ok(())
}

impl Check {
    /// Runs the check of `commit` with its output in the file `log`, below the command; whether it
    /// passed.
    fn run(&self, top: &Path, commit: &str, log: &Path) -> Result<bool, Error> {
        let fault = |error| Error::File(log.to_owned(), error);
        let mut output = File::create(log).map_err(fault)?;
        let command = self.command.iter().map(|&word| match word {
            COMMIT => commit,
            other => other,
        });
        let words: Vec<&str> = command.collect();
        writeln!(output, "{}", words.join(" ")).map_err(fault)?;
        let errors = output.try_clone().map_err(fault)?;
        let [program, arguments @ ..] = words.as_slice() else {
            return Ok(false);
        };
        let status = Command::new(program)
            .args(arguments)
            .envs(self.environment.iter().copied())
            .current_dir(top)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .status()
            .map_err(|error| Error::Program((*program).to_owned(), error))?;
        Ok(status.success())
    }
}

/// The commit that is checked out at `top`; `unknown` in a checkout without git's data.
fn commit(top: &Path) -> Result<String, Error> {
    // Within the build root the checkout belongs to somebody else.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "rev-parse", "--verify", "HEAD"])
        .current_dir(top)
        .output()
        .map_err(|error| Error::Program("git".to_owned(), error))?;
    let id = String::from_utf8_lossy(&output.stdout);
    Ok(if output.status.success() {
        id.trim().to_owned()
    } else {
        "unknown".to_owned()
    })
}

/// How many things were tested, and how it went.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    fn is_empty(&self) -> bool {
        self.passed + self.failed == 0
    }

    /// Adds up the `test result:` lines of cargo's output.
    fn of_cargo_test(text: &str) -> Self {
        let mut tally = Self::default();
        for line in text.lines().filter(|line| line.starts_with("test result:")) {
            let words: Vec<&str> = line.split([' ', ';']).collect();
            for pair in words.windows(2) {
                let Ok(count) = pair[0].trim().parse::<u64>() else {
                    continue;
                };
                match pair[1] {
                    "passed" => tally.passed += count,
                    "failed" => tally.failed += count,
                    _ => {}
                }
            }
        }
        tally
    }
}

/// The last `count` lines of `text`.
fn tail(text: &str, count: usize) -> impl Iterator<Item = &str> {
    text.lines()
        .skip(text.lines().count().saturating_sub(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_test_programs_add_up() {
        let text = "test a ... ok\n\
            test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; in 0.1s\n\
            noise: 7 passed\n\
            test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            Tally::of_cargo_test(text),
            Tally {
                passed: 7,
                failed: 3
            }
        );
        assert!(Tally::of_cargo_test("Finished\n").is_empty());
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(tail("a\n", 2).collect::<Vec<_>>(), ["a"]);
    }
}
