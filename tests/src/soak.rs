// SPDX-License-Identifier: GPL-2.0
//! The long form of the scenarios: more rounds in each, more pairings, again and again for hours.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::runner::{self, Plan, Tally};
use crate::scenarios::{Scenario, EVERY};
use crate::stack::Pair;

/// Scenarios that a soak asks of every pairing, because the drivers talk to each other throughout.
const EVERYWHERE: &[&str] = &[
    "tutorial-A",
    "tutorial-B",
    "tutorial-C",
    "cable-cut",
    "plug-pulled-primary",
    "plug-pulled-secondary",
    "fio-verify",
    "online-verify",
    "crash-primary-al",
];

/// When a soak ends.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// No round is begun after this time.
    pub time: Duration,
    /// At most so many rounds.
    pub rounds: Option<u32>,
}

/// Whether a soak asks a scenario of a pairing. C on both nodes is the test's oracle, and tells
/// nothing new by the hour.
#[must_use]
pub fn asks(scenario: &Scenario, pair: Pair) -> bool {
    if pair.is_oracle() {
        return false;
    }
    let everywhere = EVERYWHERE.contains(&scenario.name);
    scenario.asks(pair) || (everywhere && EVERY.contains(&pair.to_string().as_str()))
}

/// Runs rounds of all scenarios until the time is over; a failure is counted, and the soak goes on.
///
/// # Errors
/// As [`runner::run`].
pub fn run(plan: &Plan, scenarios: &[Scenario], until: &Until) -> Result<Tally> {
    let start = Instant::now();
    let mut tally = Tally::default();
    for round in 1.. {
        println!("round {round}");
        let plan = Plan {
            folder: plan.folder.join(format!("round-{round}")),
            ..plan.clone()
        };
        tally.add(runner::run(&plan, scenarios)?);
        if start.elapsed() >= until.time || until.rounds.is_some_and(|rounds| round >= rounds) {
            break;
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    #[test]
    fn all_protocols_run_in_all_pairings_but_the_oracle() {
        let all = scenarios::all();
        for name in EVERYWHERE {
            let scenario = all.iter().find(|scenario| scenario.name == *name).unwrap();
            for pair in EVERY {
                assert!(asks(scenario, pair.parse().unwrap()), "{name} {pair}");
            }
            assert!(!asks(scenario, Pair::C));
        }
    }
}
