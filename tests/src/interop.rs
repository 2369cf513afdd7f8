// SPDX-License-Identifier: GPL-2.0
//! The table of what was tried together with the C driver: `docs/interop.md`.
//!
//! A cell is a scenario on a pairing, described by its values in six dimensions. `drbd-lab interop`
//! reads the lines that `drbd-lab test` printed, keeps what passed in `tests/interop.json`, each
//! with day and commit, and writes the table anew. It names the values that have never met in a
//! cell.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// The dimensions, as the table heads them.
const DIMENSIONS: [&str; 5] = ["Primary", "protocol", "sync", "recovery", "option"];

/// A combination: the scenario that shows it, the pairing, a value of each dimension.
struct Cell {
    scenario: &'static str,
    pair: &'static str,
    values: [&'static str; 5],
}

const fn cell(scenario: &'static str, pair: &'static str, values: [&'static str; 5]) -> Cell {
    Cell {
        scenario,
        pair,
        values,
    }
}

/// "Primary" says who writes, "sync" who is its source.
const CELLS: [Cell; 21] = [
    cell(
        "tutorial-A",
        "ours:c",
        ["ours, C in turn", "A", "ours", "first sync", "none"],
    ),
    cell(
        "tutorial-A",
        "c:ours",
        ["C, ours in turn", "A", "C", "first sync", "none"],
    ),
    cell(
        "tutorial-B",
        "ours:c",
        ["ours, C in turn", "B", "ours", "first sync", "none"],
    ),
    cell(
        "tutorial-B",
        "c:ours",
        ["C, ours in turn", "B", "C", "first sync", "none"],
    ),
    cell(
        "tutorial-C",
        "ours:c",
        ["ours, C in turn", "C", "ours", "first sync", "none"],
    ),
    cell(
        "tutorial-C",
        "c:ours",
        ["C, ours in turn", "C", "C", "first sync", "none"],
    ),
    cell(
        "cable-cut",
        "ours:c",
        ["ours", "C", "ours", "cable cut", "none"],
    ),
    cell("cable-cut", "c:ours", ["C", "C", "C", "cable cut", "none"]),
    cell(
        "plug-pulled-secondary",
        "ours:c",
        ["ours", "C", "ours", "Secondary's power", "none"],
    ),
    cell(
        "plug-pulled-secondary",
        "c:ours",
        ["C", "C", "C", "Secondary's power", "none"],
    ),
    cell(
        "plug-pulled-primary",
        "ours:c",
        ["ours", "C", "C", "Primary's power", "none"],
    ),
    cell(
        "plug-pulled-primary",
        "c:ours",
        ["C", "C", "ours", "Primary's power", "none"],
    ),
    cell(
        "crash-primary-al",
        "ours:c",
        ["ours", "C", "ours", "Primary's power", "activity log"],
    ),
    cell(
        "crash-primary-al",
        "c:ours",
        ["C", "C", "C", "Primary's power", "activity log"],
    ),
    cell(
        "checksum-resync",
        "ours:c",
        ["ours", "C", "ours", "invalidate", "csums-alg"],
    ),
    cell(
        "checksum-resync",
        "c:ours",
        ["C", "C", "C", "invalidate", "csums-alg"],
    ),
    cell(
        "online-verify",
        "ours:c",
        ["ours", "C", "ours", "verify", "verify-alg"],
    ),
    cell(
        "integrity",
        "ours:c",
        ["ours", "C", "ours", "first sync", "data-integrity-alg"],
    ),
    cell(
        "authentication",
        "c:ours",
        ["C", "C", "C", "first sync", "cram-hmac-alg"],
    ),
    cell(
        "split-brain-secondary",
        "ours:c",
        ["ours", "C", "ours", "split brain", "after-sb-1pri"],
    ),
    cell(
        "rolling-swap",
        "ours:ours",
        ["C, ours in turn", "C", "both", "driver replaced", "none"],
    ),
];

/// When a cell was last seen to pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    day: String,
    commit: String,
}

/// By scenario and pairing.
type Record = BTreeMap<String, Seen>;

fn key(scenario: &str, pair: &str) -> String {
    format!("{scenario} {pair}")
}

/// Takes what runs have printed into the record, and writes the table.
///
/// # Errors
/// When a file can't be read or written.
pub fn update(checkout: &Path, logs: &[impl AsRef<Path>], day: &str, commit: &str) -> Result<()> {
    let path = checkout.join("tests/interop.json");
    let mut record: Record = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).context("tests/interop.json")?,
        Err(_) => Record::new(),
    };
    for log in logs {
        let log = log.as_ref();
        let text = fs::read_to_string(log).at("read", log)?;
        take(&mut record, &text, day, commit);
    }
    let mut text = serde_json::to_string_pretty(&record).context("tests/interop.json")?;
    text.push('\n');
    fs::write(&path, text).at("write", &path)?;
    let path = checkout.join("docs/interop.md");
    fs::write(&path, page(&record)).at("write", &path)
}

/// Lines of `drbd-lab test`: `ok   scenario   pairing   remark`. What failed last is not in the
/// record any more.
fn take(record: &mut Record, text: &str, day: &str, commit: &str) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (verdict, scenario, pair) = (words.next(), words.next(), words.next());
        let (Some(verdict), Some(scenario), Some(pair)) = (verdict, scenario, pair) else {
            continue;
        };
        let known = |cell: &Cell| cell.scenario == scenario && cell.pair == pair;
        if !CELLS.iter().any(known) || line.contains("stored oracle") {
            continue;
        }
        match verdict {
            "ok" => {
                let seen = Seen {
                    day: day.to_owned(),
                    commit: commit.to_owned(),
                };
                record.insert(key(scenario, pair), seen);
            }
            "FAIL" => {
                record.remove(&key(scenario, pair));
            }
            _ => {}
        }
    }
}

fn page(record: &Record) -> String {
    let mut text = String::from(
        "# Together with the C driver\n\n\
         Made by `drbd-lab interop` from what `drbd-lab test` printed; do not edit. Each row is a\n\
         scenario of the lab on a pairing `alpha:beta`, with day and commit of the last run that\n\
         was recorded and passed. One that was not recorded may have run all the same: README.md\n\
         says what was seen to work. \"Primary\" says who writes, \"sync\" who is its source.\n\n",
    );
    let _ = writeln!(
        text,
        "| scenario | pairing | {} | passed |",
        DIMENSIONS.join(" | ")
    );
    let _ = writeln!(text, "|{}", "---|".repeat(DIMENSIONS.len() + 3));
    for cell in &CELLS {
        let passed = match record.get(&key(cell.scenario, cell.pair)) {
            Some(seen) => format!("{}, `{}`", seen.day, seen.commit),
            None => "not recorded".into(),
        };
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {passed} |",
            cell.scenario,
            cell.pair,
            cell.values.join(" | ")
        );
    }
    let seen = |cell: &&Cell| record.contains_key(&key(cell.scenario, cell.pair));
    let count = CELLS.iter().filter(seen).count();
    let _ = write!(
        text,
        "\nRecorded: {count} of {} rows.\n\n## What has never met\n\n\
         Values of two columns that stand in no row together:\n\n",
        CELLS.len()
    );
    text + &strangers()
}

/// The pairs of values that no cell has, a line for each pair of dimensions.
fn strangers() -> String {
    let mut text = String::new();
    for (i, first) in DIMENSIONS.iter().enumerate() {
        for (j, second) in DIMENSIONS.iter().enumerate().skip(i + 1) {
            let met: BTreeSet<_> = CELLS.iter().map(|c| (c.values[i], c.values[j])).collect();
            let all = |at: usize| CELLS.iter().map(|c| c.values[at]).collect::<BTreeSet<_>>();
            let lacking: Vec<String> = all(i)
                .iter()
                .flat_map(|a| all(j).into_iter().map(move |b| (*a, b)))
                .filter(|pair| !met.contains(pair))
                .map(|(a, b)| format!("{a} with {b}"))
                .collect();
            if !lacking.is_empty() {
                let _ = writeln!(text, "* {first} and {second}: {}", lacking.join("; "));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;
    use crate::stack::Pair;

    #[test]
    fn each_cell_is_a_scenario_on_a_pairing_that_it_asks() {
        let all = scenarios::all();
        for cell in &CELLS {
            let found = all.iter().find(|s| s.name == cell.scenario).unwrap();
            let pair: Pair = cell.pair.parse().unwrap();
            assert!(found.asks(pair), "{} {}", cell.scenario, cell.pair);
        }
        let keys: BTreeSet<_> = CELLS.iter().map(|c| key(c.scenario, c.pair)).collect();
        assert_eq!(keys.len(), CELLS.len());
    }

    #[test]
    fn what_passed_is_kept_and_what_failed_is_taken_out() {
        let mut record = Record::new();
        let log = "ok   cable-cut                ours:c                 71 s\n\
                   ok   cable-cut                c:c                    stored oracle: pass\n\
                   FAIL tutorial-A               ours:c                 9 s\n     ok   nothing\n\
                   1 passed, 1 failed\n";
        take(&mut record, log, "2026-11-22", "abc1234");
        assert_eq!(record.keys().collect::<Vec<_>>(), ["cable-cut ours:c"]);
        assert!(page(&record).contains("| 2026-11-22, `abc1234` |"));
        take(
            &mut record,
            "FAIL cable-cut ours:c 9 s\n",
            "2026-11-23",
            "def",
        );
        assert!(record.is_empty());
        assert!(page(&record).contains("Recorded: 0 of 21 rows."));
    }
}
