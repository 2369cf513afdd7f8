// SPDX-License-Identifier: GPL-2.0
//! Runs: many of them, one with its trace, a failing one made small, and with deliberate bugs.

use crate::bug::Bug;
use crate::rng::Rng;
use crate::script::{self, Line};
use crate::setup::Setup;
use crate::world::{self, Report};
use std::collections::BTreeMap;

/// Lines of a trace that are shown.
pub(crate) const TAIL: usize = 120;
/// How often a smaller script is tried.
const TRIES: usize = 400;

/// A number that follows from a text: the commit, say.
fn number_of(text: &str) -> u64 {
    let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, hash)
}

/// Runs until so many steps are made. `false`: something was found, and is made small.
pub(crate) fn many(from: &str, steps: u64, tail: usize) -> bool {
    match until_found(from, steps) {
        None => true,
        Some((setup, kind)) => {
            shrink(&setup, &kind, tail);
            false
        }
    }
}

/// The same from many words; says only what was found from each.
pub(crate) fn words(from: &str, count: u64, steps: u64) -> bool {
    let found = (0..count).filter(|nr| until_found(&format!("{from}{nr}"), steps).is_some());
    let found = found.count();
    println!("{found} of {count} words have found something");
    found == 0
}

/// Runs until so many steps are made, or something is found.
fn until_found(from: &str, steps: u64) -> Option<(Setup, String)> {
    let mut seeds = Rng::new(number_of(from));
    let (mut done, mut runs, mut acks) = (0, 0, 0);
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    while done < steps {
        // Small enough to be typed.
        let seed = seeds.below(1_000_000_000_000);
        let setup = Setup::new(seed);
        let report = world::play(setup.clone(), script::of(&setup), None, false);
        (done, runs, acks) = (done + report.steps, runs + 1, acks + report.acks);
        for (what, n) in &report.seen {
            *seen.entry(what).or_default() += n;
        }
        if let Some((name, what)) = report.fault {
            println!("seed {seed}: {name}: {what}");
            return Some((setup, kind_of(name, &what)));
        }
    }
    let seen: Vec<String> = seen
        .iter()
        .map(|(what, n)| format!("{n} x {what}"))
        .collect();
    println!(
        "{done} steps in {runs} runs: {acks} writes acknowledged; {}",
        seen.join(", ")
    );
    None
}

/// One run. `false`: something was found; its trace is shown.
pub(crate) fn one(seed: u64, tail: usize) -> bool {
    let setup = Setup::new(seed);
    let report = world::play(setup.clone(), script::of(&setup), None, true);
    let Some((name, what)) = &report.fault else {
        println!("seed {seed}: {} steps, nothing wrong", report.steps);
        return true;
    };
    println!("seed {seed}: {name}: {what}");
    shrink(&setup, &kind_of(name, what), tail);
    false
}

/// The invariant and the sentence, without the numbers in it.
fn kind_of(name: &str, what: &str) -> String {
    let words = what.chars().filter(|c| !c.is_ascii_digit()).take(80);
    words.fold(format!("{name}: "), |kind, c| kind + &c.to_string())
}

fn fails(report: &Report, kind: &str) -> bool {
    let fault = report.fault.as_ref();
    fault.is_some_and(|(name, what)| kind_of(name, what) == kind)
}

/// Leaves out lines of the script as long as the same is found, and shows what is left.
fn shrink(setup: &Setup, kind: &str, tail: usize) {
    let mut lines = script::of(setup);
    let before = lines.len();
    let (mut piece, mut tries) = (lines.len() / 2, 0);
    while piece > 0 && tries < TRIES {
        let mut at = 0;
        while at < lines.len() && tries < TRIES {
            let end = (at + piece).min(lines.len());
            let without: Vec<Line> = [&lines[..at], &lines[end..]].concat();
            tries += 1;
            if fails(
                &world::play(setup.clone(), without.clone(), None, false),
                kind,
            ) {
                lines = without;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    let report = world::play(setup.clone(), lines.clone(), None, true);
    println!("{setup:?}");
    println!(
        "{} of {before} lines of the script are needed:",
        lines.len()
    );
    for (time, action) in &lines {
        println!("{time:>9} {action:?}");
    }
    let skip = report.trace.len().saturating_sub(tail);
    println!("the end of the trace ({} steps):", report.steps);
    for line in &report.trace[skip..] {
        println!("{line}");
    }
}

/// Each bug has to be found within so many steps; without a number those that have a bound within
/// it. What the same run shows without the bug counts for nothing.
pub(crate) fn mutations(bugs: &[Bug], from: &str, steps: Option<u64>) -> bool {
    let mut all = true;
    for bug in bugs {
        let (name, text) = bug.text();
        let Some(bound) = steps.or(bug.bound()) else {
            continue;
        };
        let mut seeds = Rng::new(number_of(from) ^ number_of(name));
        let (mut done, mut bitten) = (0, 0);
        let mut found = None;
        while done < bound && found.is_none() {
            let setup = Setup::new(seeds.below(1_000_000_000_000));
            let play = |bug| world::play(setup.clone(), script::of(&setup), bug, false);
            let report = play(Some(*bug));
            done += report.steps;
            bitten += report.bitten;
            found = report.fault.filter(|_| play(None).fault.is_none());
        }
        match found {
            Some((by, _)) => println!("{name:<22} {by:<9} {done:>8} steps of {bound}"),
            None => {
                all = false;
                println!("{name:<22} NOT FOUND in {done} steps, it bit {bitten} times:{text}");
            }
        }
    }
    all
}
