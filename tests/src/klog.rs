// SPDX-License-Identifier: GPL-2.0
//! Finds in a kernel's log what no scenario may leave there.

/// Signs of a kernel in trouble. `Call Trace` covers what else dumps a stack.
const BAD: [&str; 25] = [
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
    // Our module's own count of its objects when it goes.
    "drbd: left behind",
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

/// Whether each unload of our module in `log` has said that no object of it is left.
#[must_use]
pub fn unloads_are_clean(log: &str) -> bool {
    let (mut ours, mut clean) = (false, true);
    log.lines().all(|line| {
        if line.contains("drbd: initialized.") {
            (ours, clean) = (false, false);
        } else if line.contains("build by drbd-rs") {
            ours = true;
        } else if line.contains("drbd: 0 objects left") {
            clean = true;
        }
        !(line.contains("drbd: module cleanup done") && ours && !clean)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_module_has_to_say_that_nothing_is_left() {
        let load = "drbd: initialized. Version: 8.4.11\n";
        let ours = "drbd: GIT-hash: 0 build by drbd-rs 0.1.0\n";
        let end = "drbd: module cleanup done.\n";
        let clean = [load, ours, "drbd: 0 objects left\n", end].concat();
        assert!(unloads_are_clean(&clean));
        assert!(!unloads_are_clean(&[&clean, load, ours, end].concat()));
        assert!(unloads_are_clean(&[&clean, load, end].concat()), "C");
        assert!(trouble("[1] drbd: left behind: 1 volumes\n", &[]).is_some());
    }

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
