// SPDX-License-Identifier: GPL-2.0
//! `make bench`: what a mirror of ours costs, beside one of the C driver, in the same run.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::stack::{Build, Stack};

pub mod counted;
pub mod crashed;
pub mod ends;
pub mod load;
pub mod wall;

/// The counted rows in which ours may not be worse than the C driver.
const GATED: [&str; 3] = [
    "4 KiB write, depth 16, protocol C",
    "4 KiB write, depth 1, cold extents",
    "4 KiB write, depth 16, cold extents",
];

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stacks, of which the first is what the others are compared with.
    pub stacks: Vec<Stack>,
    /// Whether wall-clock figures are wanted, too.
    pub wall: bool,
    /// Our module and tools.
    pub build: Build,
    /// The folder for what the run leaves behind.
    pub folder: PathBuf,
    /// Only rows whose name contains one of these; all if there are none.
    pub filter: Vec<String>,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// How much it is.
    pub value: f64,
    /// What the RAM disk alone needs for it, where that can be told.
    pub raw: Option<f64>,
}

/// Measures one stack.
type Measure = fn(Stack, &Build, &Path, &[String]) -> Result<Vec<Row>>;

/// Measures and prints all; `false` if a gated row is missed.
///
/// # Errors
/// When a machine does not come up or a load fails.
pub fn run(plan: &Plan) -> Result<bool> {
    let mut held = true;
    let each = |measure: Measure| -> Result<Vec<_>> {
        let stacks = plan.stacks.iter();
        stacks
            .map(|&stack| measure(stack, &plan.build, &plan.folder, &plan.filter))
            .collect()
    };
    let counted = each(counted::measure)?;
    println!("Guest instructions per operation, both ends together:\n");
    println!("{}", table(&plan.stacks, &counted));
    let ours = plan.stacks.iter().position(|&stack| stack == Stack::OURS);
    let c = plan.stacks.iter().position(|&stack| stack == Stack::C);
    if let (Some(ours), Some(c)) = (ours, c) {
        for name in GATED {
            let value = |at: usize| value_of(counted.get(at)?, name);
            if let (Some(ours), Some(c)) = (value(ours), value(c)) {
                let good = ours <= c;
                let verdict = if good { "no more than" } else { "MORE than" };
                println!("{name}: ours needs {verdict} the C driver.");
                held &= good;
            }
        }
        println!();
    }
    if plan.wall {
        let rates = each(wall::measure)?;
        println!("Per second of wall-clock time, between two machines (not gated):\n");
        println!("{}", table(&plan.stacks, &rates));
        let durations = each(crashed::measure)?;
        println!("Milliseconds of wall-clock time, between two machines (not gated):\n");
        println!("{}", table(&plan.stacks, &durations));
    }
    Ok(held)
}

fn value_of(rows: &[Row], name: &str) -> Option<f64> {
    rows.iter()
        .find(|row| row.name == name)
        .map(|row| row.value)
}

/// Whether a row is wanted.
fn selected(name: &str, filter: &[String]) -> bool {
    crate::runner::selected(name, filter)
}

/// One line a row: a column for each stack, each one's ratio to the first, and the raw disk.
fn table(stacks: &[Stack], columns: &[Vec<Row>]) -> String {
    let mut text = format!("{:<40}", "");
    for stack in stacks {
        let _ = write!(text, "{:>12}", stack.to_string());
    }
    if let Some(base) = stacks.first() {
        for stack in stacks.iter().skip(1) {
            let _ = write!(text, "{:>12}", format!("{stack}/{base}"));
        }
    }
    let _ = writeln!(text, "{:>12}", "raw disk");
    for (at, row) in columns.first().into_iter().flatten().enumerate() {
        let values: Vec<f64> = columns
            .iter()
            .filter_map(|column| column.get(at))
            .map(|row| row.value)
            .collect();
        let _ = write!(text, "{:<40}", row.name);
        for value in &values {
            let _ = write!(text, "{value:>12.0}");
        }
        for value in values.iter().skip(1) {
            let _ = write!(text, "{:>12.2}", value / row.value);
        }
        match row.raw {
            Some(raw) => {
                let _ = writeln!(text, "{raw:>12.0}");
            }
            None => text.push('\n'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_ratio_to_the_first_stack() {
        let row = |value| Row {
            name: "a write".into(),
            value,
            raw: Some(10.0),
        };
        let text = table(
            &[Stack::C, Stack::OURS],
            &[vec![row(400.0)], vec![row(300.0)]],
        );
        let words: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(words[0], ["c", "ours", "ours/c", "raw", "disk"]);
        assert_eq!(words[1], ["a", "write", "400", "300", "0.75", "10"]);
    }
}
