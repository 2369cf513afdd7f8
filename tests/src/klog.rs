// SPDX-License-Identifier: GPL-2.0
//! Finds in a kernel's log what no scenario may leave there.

/// Signs of a kernel in trouble. `Call Trace` covers what else dumps a stack.
const BAD: [&str; 24] = [
    "BUG:",
    "BUG at",
    "WARNING:",
    "Oops",
    "general protection",
    "Call Trace",
    "Kernel panic",
    "unable to handle",
    "blocked for more than",
    "detected stall",
    "self-detected stall",
    "soft lockup",
    "hard LOCKUP",
    "workqueue lockup",
    "circular locking",
    "inconsistent lock state",
    "possible recursive locking",
    "suspicious RCU",
    "held lock freed",
    "scheduling while atomic",
    "refcount_t:",
    "list_add corruption",
    "list_del corruption",
    "UBSAN",
];

/// How many lines are shown before and after a bad one.
const BEFORE: usize = 3;
const AFTER: usize = 40;

/// The bad lines of `log` with some context, or `None` if all is well.
///
/// `allowed` are the texts of bad lines that this scenario knows of.
#[must_use]
pub fn trouble(log: &str, allowed: &[&str]) -> Option<String> {
    let lines: Vec<&str> = log.lines().collect();
    let first = lines.iter().position(|line| {
        BAD.iter().any(|bad| line.contains(bad))
            && !allowed.iter().any(|allowed| line.contains(allowed))
    })?;
    let shown = lines
        .iter()
        .skip(first.saturating_sub(BEFORE))
        .take(BEFORE + AFTER);
    let shown: Vec<String> = shown.map(|line| format!("  {line}\n")).collect();
    Some(shown.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_found_with_its_surroundings() {
        let log = "[1] a\n[2] b\n[3] WARNING: CPU: 0 PID: 1 at x.c\n[4] Modules linked in:\n";
        let found = trouble(log, &[]).unwrap();
        assert!(found.contains("[1] a") && found.contains("[4] Modules"));
    }

    #[test]
    fn a_plain_log_is_no_trouble() {
        let log = "[1] drbd r0: conn( Unconnected -> WFConnection )\n[2] drbd: module unloaded";
        assert_eq!(trouble(log, &[]), None);
    }

    #[test]
    fn what_a_scenario_allows_is_no_trouble() {
        let log = "[1] WARNING: known\n";
        assert_eq!(trouble(log, &["WARNING: known"]), None);
        assert!(trouble("[1] WARNING: known\n[2] BUG: new\n", &["WARNING: known"]).is_some());
    }
}
