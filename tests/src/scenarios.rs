// SPDX-License-Identifier: GPL-2.0
//! The scenarios, one behaviour a file.
//!
//! A scenario says what any pair of implementations does. It is proven on C at both nodes before
//! it is asked of ours; where C has a known defect, it says so and C has to fail in just that way.

pub mod adjust;
pub mod after;
pub mod checks;
pub mod cpumask;
pub mod crash;
pub mod detach;
pub mod disks;
pub mod events;
pub mod facilities;
pub mod faults;
pub mod fencing;
pub mod initscripts;
pub mod install;
pub mod interrupted;
pub mod layers;
pub mod matrix;
pub mod metadata;
pub mod module;
pub mod netlink;
pub mod ocf;
pub mod older;
pub mod online;
pub mod outputs;
pub mod overdue;
pub mod packages;
pub mod powercut;
pub mod proc;
pub mod recorder;
pub mod refusals;
pub mod resize;
pub mod rolling;
pub mod security;
pub mod slow;
pub mod split;
pub mod steps;
pub mod stress;
pub mod tutorial;

use std::fs;

use crate::error::{ensure, Context, Result};
use crate::image::hash;
use crate::lab::Lab;
use crate::machine::Hardware;
use crate::stack::Pair;

/// What C on both nodes does with a scenario.
#[derive(Debug, Clone, Copy)]
pub enum Oracle {
    /// It passes: otherwise the scenario is wrong.
    Pass,
    /// It fails by a defect that we do not copy.
    KnownDefect {
        /// The sheet and section that describe the defect.
        sheet: &'static str,
        /// A part of the failure's text: it must fail in this way and no other.
        shows: &'static str,
    },
    /// It does not apply: the scenario is about something that only ours has.
    NotAsked,
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name: what the command line selects it by.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// Its source text: a stored oracle is good only for the text that it was made with.
    pub source: &'static str,
    /// What the machines need to be.
    pub hardware: fn() -> Hardware,
    /// What C does with it.
    pub c: Oracle,
    /// The pairings that a full run asks it of, besides C on both nodes.
    pub pairs: &'static [&'static str],
    /// Whether the modules are loaded before it, and unloaded after it.
    pub loaded: bool,
    /// Texts of bad kernel log lines that it expects.
    pub allowed: &'static [&'static str],
    /// The scenario itself.
    pub run: fn(&Lab) -> Result<()>,
}

/// Ours on both nodes.
pub const OURS: &[&str] = &["ours:ours"];
/// Ours with C, each way round.
pub const MIXED: &[&str] = &["ours:c", "c:ours"];
/// Ours on at least one node.
pub const OURS_AND_MIXED: &[&str] = &["ours:ours", "ours:c", "c:ours"];
/// Also our module with the stock tools, and the C module with our tools.
pub const EVERY: &[&str] = &[
    "ours:ours",
    "ours:c",
    "c:ours",
    "ours+stock:ours+stock",
    "c+ours:c+ours",
];

/// What most scenarios are like; a `Scenario` is written with `..PLAIN`.
pub const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    source: "",
    hardware: Hardware::default,
    c: Oracle::Pass,
    pairs: OURS,
    loaded: true,
    allowed: &[],
    run: |_| Ok(()),
};

impl Scenario {
    /// Whether a full run asks it of a pairing.
    #[must_use]
    pub fn asks(&self, pair: Pair) -> bool {
        if pair.is_oracle() {
            return !matches!(self.c, Oracle::NotAsked);
        }
        let pair = pair.to_string();
        self.pairs.iter().any(|asked| *asked == pair)
    }

    /// Changes when the scenario's text or that of its steps does.
    #[must_use]
    pub fn hash(&self) -> String {
        let steps = include_str!("scenarios/steps.rs");
        let conf = include_str!("drbdconf.rs");
        hash([self.name, self.source, steps, conf])
    }
}

/// Compares what a scenario wrote down with what it was with C on both nodes. It is left in the
/// lab's folder as `name`, whichever it is.
///
/// # Errors
/// When they differ, with both from the first such line on.
pub fn same_transcript(lab: &Lab, name: &str, found: &str, wanted: &str) -> Result<()> {
    let path = lab.setup().folder.join(name);
    let found = format!("# SPDX-License-Identifier: GPL-2.0\n{found}");
    fs::write(&path, &found).at("write", &path)?;
    ensure(found == wanted, || {
        let same = found.lines().zip(wanted.lines());
        let same = same.take_while(|(a, b)| a == b).count();
        let part = |text: &str| {
            let lines = text.lines().skip(same.saturating_sub(4)).take(10);
            lines.map(|line| format!("  {line}\n")).collect::<Vec<_>>()
        };
        let (found, wanted) = (part(&found).concat(), part(wanted).concat());
        format!("from line {} on\n{found}instead of\n{wanted}", same + 1)
    })
}

/// All scenarios, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        module::SCENARIOS.as_slice(),
        facilities::SCENARIOS.as_slice(),
        initscripts::SCENARIOS.as_slice(),
        install::SCENARIOS.as_slice(),
        packages::SCENARIOS.as_slice(),
        adjust::SCENARIOS.as_slice(),
        cpumask::SCENARIOS.as_slice(),
        tutorial::SCENARIOS.as_slice(),
        proc::SCENARIOS.as_slice(),
        outputs::SCENARIOS.as_slice(),
        events::SCENARIOS.as_slice(),
        ocf::SCENARIOS.as_slice(),
        netlink::SCENARIOS.as_slice(),
        refusals::SCENARIOS.as_slice(),
        security::SCENARIOS.as_slice(),
        checks::SCENARIOS.as_slice(),
        metadata::SCENARIOS.as_slice(),
        resize::SCENARIOS.as_slice(),
        online::SCENARIOS.as_slice(),
        faults::SCENARIOS.as_slice(),
        split::SCENARIOS.as_slice(),
        older::SCENARIOS.as_slice(),
        slow::SCENARIOS.as_slice(),
        fencing::SCENARIOS.as_slice(),
        overdue::SCENARIOS.as_slice(),
        crash::SCENARIOS.as_slice(),
        powercut::SCENARIOS.as_slice(),
        disks::SCENARIOS.as_slice(),
        interrupted::SCENARIOS.as_slice(),
        after::SCENARIOS.as_slice(),
        stress::SCENARIOS.as_slice(),
        recorder::SCENARIOS.as_slice(),
        rolling::SCENARIOS.as_slice(),
        matrix::SCENARIOS.as_slice(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_a_sentence() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all.len());
        for scenario in &all {
            assert!(!scenario.about.is_empty() && !scenario.source.is_empty());
            for pair in scenario.pairs {
                let parsed: Pair = pair.parse().unwrap();
                assert_eq!(parsed.to_string(), *pair);
                assert!(scenario.asks(parsed));
            }
        }
    }
}
