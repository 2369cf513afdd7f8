// SPDX-License-Identifier: GPL-2.0
//! What was tried together with the C driver: `docs/interop.md`.
//!
//! `drbd-lab interop` reads the lines that `drbd-lab test` printed, keeps what passed with C on one
//! of the nodes in `tests/interop.json`, each with day and commit, and writes the page anew: the
//! pairwise cells of the scenario `interop`, then each other scenario by pairing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::scenarios::matrix::{self, Cell, Side};
use crate::scenarios::{self, Scenario, MIXED};
use crate::stack::Pair;

/// When a scenario was last seen to pass on a pairing.
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

/// Whether a full run asks a scenario of a pairing. The driver's replacement has one of its own.
fn asks(scenario: &Scenario, pair: &str) -> bool {
    let parsed = pair.parse::<Pair>();
    MIXED.contains(&pair) && parsed.is_ok_and(|pair| scenario.asks(pair))
}

/// Lines of `drbd-lab test`: `ok   scenario   pairing   remark`. What failed last is not in the
/// record any more.
fn take(record: &mut Record, text: &str, day: &str, commit: &str) {
    let known = scenarios::all();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (verdict, name, pair) = (words.next(), words.next(), words.next());
        let (Some(verdict), Some(name), Some(pair)) = (verdict, name, pair) else {
            continue;
        };
        if !known.iter().any(|it| it.name == name && asks(it, pair)) {
            continue;
        }
        match verdict {
            "ok" => {
                let seen = Seen {
                    day: day.to_owned(),
                    commit: commit.to_owned(),
                };
                record.insert(key(name, pair), seen);
            }
            "FAIL" => {
                record.remove(&key(name, pair));
            }
            _ => {}
        }
    }
}

fn passed(record: &Record, name: &str, pair: &str) -> String {
    match record.get(&key(name, pair)) {
        Some(seen) => format!("{}, `{}`", seen.day, seen.commit),
        None => "not recorded".into(),
    }
}

fn page(record: &Record) -> String {
    let mut text = String::from(
        "# Together with the C driver\n\n\
         Made by `drbd-lab interop` from what `drbd-lab test` printed; do not edit. \"Passed\" is\n\
         day and commit of the last run that was recorded; what failed since is not recorded. A\n\
         pairing is `alpha:beta`.\n\n\
         ## Pairwise\n\n\
         Cells of the scenario `interop`. The copies part by what stands under \"recovery\", the\n\
         source writes alone, they meet, and while the source sends what the other lacks, the\n\
         Primary writes. Then an online verify finds nothing, and the disks are equal. Any two\n\
         values of two columns stand in a row together; `drbd-lab soak interop` plays the whole\n\
         product, 240 cells for each pairing.\n\n\
         | pairing | recovery | option | protocol | source | Primary | passed |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for cell in &matrix::CELLS {
        let pair = match cell.ours {
            Side::Alpha => "ours:c",
            Side::Beta => "c:ours",
        };
        let driver = |side: Side| if side == cell.ours { "ours" } else { "C" };
        let Cell {
            recovery,
            guard,
            protocol,
            ..
        } = cell;
        let _ = writeln!(
            text,
            "| `{pair}` | {recovery} | {guard} | {protocol} | {} | {} | {} |",
            driver(cell.source),
            driver(cell.primary),
            passed(record, "interop", pair)
        );
    }
    text += "\n## Scenarios\n\n\
             What a full run asks of ours and C together. `rolling-swap` (C on both nodes, ours\n\
             on one, on both, and back) is asked of `ours:ours` and not in this table.\n\n\
             | scenario | shows | `ours:c` | `c:ours` |\n|---|---|---|---|\n";
    for scenario in scenarios::all() {
        let [here, there] = ["ours:c", "c:ours"].map(|pair| {
            if asks(&scenario, pair) {
                passed(record, scenario.name, pair)
            } else {
                "not asked".into()
            }
        });
        if scenario.name != "interop" && [&here, &there].iter().any(|it| *it != "not asked") {
            let (name, about) = (scenario.name, scenario.about);
            let _ = writeln!(text, "| `{name}` | {about} | {here} | {there} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_kept_and_what_failed_is_taken_out() {
        let mut record = Record::new();
        let log = "ok   cable-cut                ours:c                 71 s\n\
                   ok   cable-cut                c:c                    stored oracle: pass\n\
                   ok   cable-cut                ours:ours              60 s\n\
                   FAIL tutorial-A               ours:c                 9 s\n     ok   nothing\n\
                   1 passed, 1 failed\n";
        take(&mut record, log, "2026-11-22", "abc1234");
        assert_eq!(record.keys().collect::<Vec<_>>(), ["cable-cut ours:c"]);
        assert!(page(&record).contains(" | 2026-11-22, `abc1234` | not recorded |"));
        take(
            &mut record,
            "FAIL cable-cut ours:c 9 s\n",
            "2026-11-23",
            "def",
        );
        assert!(record.is_empty());
        assert!(!page(&record).contains("abc1234"));
    }

    #[test]
    fn the_cells_are_on_the_page_with_the_run_of_their_pairing() {
        let mut record = Record::new();
        take(
            &mut record,
            "ok interop c:ours 200 s\n",
            "2026-11-23",
            "def",
        );
        let page = page(&record);
        let rows = |text: &str| page.lines().filter(|line| line.contains(text)).count();
        assert_eq!(rows("`def`"), 10);
        assert_eq!(rows("| `ours:c` |"), 10 + 1);
    }
}
