// SPDX-License-Identifier: GPL-2.0
//! Our drbdadm beside the stock drbdadm-84 of the build root, on configurations made from the
//! grammar and on damaged ones: same verdict, exit code, dump, plan of calls, answers to scripts.
//!
//! Neither touches this machine: both get stand-ins for drbdsetup and drbdmeta. `DRBD_CASES` sets
//! how many configurations are made, `DRBD_FIRST` the first seed.

#[path = "differential/call.rs"]
mod call;
#[path = "differential/grammar.rs"]
mod grammar;
#[path = "differential/mutate.rs"]
mod mutate;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/stage.rs"]
mod stage;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;

use random::Random;
use stage::{Outcome, Program, Stage};

/// What is asked of every configuration.
const COMMANDS: [&str; 31] = [
    "sh-nop",
    "dump",
    "dump r0",
    "-d dump",
    "-v dump all",
    "dump-xml",
    "-d dump-xml",
    "-d up all",
    "-d down all",
    "-d adjust all",
    "-d primary all",
    "-d connect all",
    "-d attach all",
    "-d resize all",
    "-d -n X wait-connect all",
    "-d disconnect r0",
    "-d create-md all",
    "-d proxy-up all",
    "-d -S up all",
    "-d -S wait-connect all",
    "sh-resources",
    "-S sh-resources",
    "sh-mod-parms",
    "sh-dev all",
    "sh-minor all",
    "sh-ll-dev all",
    "sh-md-dev all",
    "sh-md-idx all",
    "sh-ip all",
    "sh-status",
    "sh-udev minor-1",
];

/// What is asked of a damaged one: its verdict, and what is made of it if it is accepted.
const COMMANDS_DAMAGED: [&str; 4] = ["sh-nop", "-d dump", "-d up all", "-d adjust r0"];

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// A case in which ours and stock differ.
struct Difference {
    seed: u64,
    command: String,
    ours: Outcome,
    stock: Outcome,
}

/// What a comparison came to.
#[derive(Default)]
struct Tally {
    /// Configurations.
    cases: usize,
    /// Those that stock's `sh-nop` accepts.
    accepted: usize,
    /// Runs that were compared.
    runs: usize,
    differences: Vec<Difference>,
}

/// Runs `commands` on `cases` configurations, on all processors.
fn compare(cases: u64, commands: &[&str], make: impl Fn(u64) -> grammar::Case + Sync) -> Tally {
    let first = setting("DRBD_FIRST", 0);
    let next = AtomicU64::new(first);
    let (accepted, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let differences = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let stage = Stage::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + cases {
                        break;
                    }
                    let case = make(seed);
                    stage.write("t.conf", case.text.as_bytes());
                    stage.show(&case.show);
                    for &command in commands {
                        let stock = stage.run(Program::Stock, command);
                        let ours = stage.run(Program::Ours, command);
                        runs.fetch_add(1, Ordering::Relaxed);
                        if command == "sh-nop" && stock.exit == Some(0) {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                        if !ours.agrees_with(&stock) {
                            let command = command.to_owned();
                            differences.lock().expect("no panic").push(Difference {
                                seed,
                                command,
                                ours,
                                stock,
                            });
                        }
                    }
                }
            });
        }
    });
    Tally {
        cases: usize::try_from(cases).expect("not that many"),
        accepted: accepted.into_inner(),
        runs: runs.into_inner(),
        differences: differences.into_inner().expect("no panic"),
    }
}

/// The lines that only one of two texts has at a place, the first few.
fn diff(stock: &str, ours: &str) -> String {
    let mut text = String::new();
    let (stock, ours): (Vec<&str>, Vec<&str>) = (stock.lines().collect(), ours.lines().collect());
    let mut shown = 0;
    for at in 0..stock.len().max(ours.len()) {
        let (left, right) = (stock.get(at), ours.get(at));
        if left != right && shown < 3 {
            shown += 1;
            let _ = writeln!(text, "  line {}\n  - {left:?}\n  + {right:?}", at + 1);
        }
    }
    text
}

impl Tally {
    /// Fails with what differs; the first few of it.
    fn settle(&self, make: impl Fn(u64) -> grammar::Case) {
        println!(
            "{} configurations, {} accepted, {} runs compared, {} differences",
            self.cases,
            self.accepted,
            self.runs,
            self.differences.len()
        );
        let mut by_command = std::collections::BTreeMap::new();
        for found in &self.differences {
            *by_command.entry(found.command.as_str()).or_insert(0) += 1;
        }
        let mut text = format!("{by_command:?}\n");
        let mut seeds: Vec<u64> = self.differences.iter().map(|found| found.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        for seed in seeds.iter().take(5) {
            let case = make(*seed);
            let _ = writeln!(text, "=== seed {seed}\n{}\n{}", case.text, case.show);
            for found in self
                .differences
                .iter()
                .filter(|found| found.seed == *seed)
                .take(4)
            {
                let _ = writeln!(
                    text,
                    "--- {} (stock {:?}, ours {:?})\n{}stock says {}\nours says {}",
                    found.command,
                    found.stock.exit,
                    found.ours.exit,
                    diff(&found.stock.stdout, &found.ours.stdout),
                    found.stock.stderr,
                    found.ours.stderr
                );
            }
        }
        assert!(
            self.differences.is_empty(),
            "{} runs differ, seeds {seeds:?}\n{text}",
            self.differences.len()
        );
    }
}

#[test]
fn generated_configurations_mean_the_same() {
    let tally = compare(setting("DRBD_CASES", 300), &COMMANDS, grammar::case);
    tally.settle(grammar::case);
    assert!(
        tally.accepted * 10 > tally.cases * 9,
        "stock accepts only {} of {}",
        tally.accepted,
        tally.cases
    );
}

/// A configuration of the grammar with a token or two damaged.
fn damaged(seed: u64) -> grammar::Case {
    let case = grammar::case(seed);
    let text = mutate::damage(&mut Random::new(seed ^ 0xdead), &case.text);
    grammar::Case { text, ..case }
}

#[test]
fn damaged_configurations_are_refused_alike() {
    let tally = compare(setting("DRBD_CASES", 400), &COMMANDS_DAMAGED, damaged);
    tally.settle(damaged);
    assert!(
        tally.accepted * 5 < tally.cases,
        "stock accepts {} of {}",
        tally.accepted,
        tally.cases
    );
}

/// What we do differently on purpose, each with its row in docs/differences.md: shown here, so
/// that the row stays true, and kept out of the grammar.
#[test]
fn accepted_differences_are_as_told() {
    let stage = Stage::new();
    let resource = |disk: &str| {
        format!(
            "resource r0 {{ device minor 1; disk /dev/a; meta-disk internal; disk {{ {disk} }}\n\
             on alice {{ address 10.0.0.1:7000; }} on bob {{ address 10.0.0.2:7000; }} }}\n"
        )
    };
    stage.show(
        "resource r0 { options { } net { } _remote_host { address ipv4 10.0.0.2:7000; }\n\
         _this_host { address ipv4 10.0.0.1:7000; volume 0 { device minor 1; disk \"/dev/a\";\n\
         meta-disk internal; disk { } } } }\n",
    );
    for (disk, stock) in [
        ("max-bio-bvecs 0;", "detach 1"),
        ("size 0;", "resize 1 --size=0"),
    ] {
        stage.write("t.conf", resource(disk).as_bytes());
        let theirs = stage.run(Program::Stock, "-d adjust r0");
        assert!(theirs.stdout.contains(stock), "{}", theirs.stdout);
        let ours = stage.run(Program::Ours, "-d adjust r0");
        assert_eq!((ours.exit, ours.stdout.as_str()), (Some(0), ""), "{disk}");
    }
}
