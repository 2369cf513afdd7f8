// SPDX-License-Identifier: GPL-2.0
//! Plays the C driver's recorded decisions through the core: `golden/handshake.tsv`.
//!
//! Each row is played from the first P_STATE of the connection to the state that was read
//! afterwards, or through the whole resync, or through the whole promotion. What the row tells is
//! compared: rule, verdict, link, connection state, roles, disks, helpers, UUIDs.

#[path = "handshake/node.rs"]
mod node;
#[path = "handshake/play.rs"]
mod play;
#[path = "handshake/row.rs"]
mod row;

use play::play;
use row::rows;

/// Rows that are not reproduced, and why.
const KNOWN: &[(u32, &str)] = &[];

#[test]
fn every_row_is_reproduced() {
    let rows = rows();
    assert_eq!(rows.len(), 705);
    let mut wrong = Vec::new();
    for row in &rows {
        let differences = play(row);
        let known = KNOWN.iter().any(|(id, _)| *id == row.id);
        match (differences.is_empty(), known) {
            (false, false) => wrong.push(format!("{row}: {}", differences.join("; "))),
            (true, true) => wrong.push(format!("{row}: reproduced, though listed as known")),
            _ => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_rule_and_verdict_occurs() {
    let rows = rows();
    for rule in [
        10, 20, 30, 34, 35, 36, 37, 40, 41, 50, 51, 60, 70, 71, 80, 90, 100,
    ] {
        assert!(
            rows.iter().any(|r| r.get("rule") == rule.to_string()),
            "rule {rule}"
        );
    }
    for verdict in [0, 1, -1, 2, -2, 100, -100, -1000, -1091, -66661] {
        assert!(
            rows.iter().any(|r| r.get("verdict") == verdict.to_string()),
            "{verdict}"
        );
    }
}
