// SPDX-License-Identifier: GPL-2.0
//! Stored results of C on both nodes.
//!
//! C's behaviour does not change from run to run, so its results are kept in `tests/oracle/`,
//! one file a scenario, with the hash of the scenario's text and the versions that ran. A result
//! counts as long as the hash and the kernel are the same; then `test` does not boot for it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::scenarios::Scenario;

/// What C did with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The scenario's name.
    pub scenario: String,
    /// The hash of its text.
    pub hash: String,
    /// The kernel, as `uname -r` says it.
    pub kernel: String,
    /// The C driver's source version.
    pub driver: String,
    /// The version of the stock tools.
    pub tools: String,
    /// `pass`, or the known defect that was shown as expected.
    pub result: String,
}

fn file(checkout: &Path, scenario: &Scenario) -> PathBuf {
    checkout.join(format!("tests/oracle/{}.json", scenario.name))
}

/// The stored record, if it is still good for this scenario and kernel.
#[must_use]
pub fn stored(checkout: &Path, scenario: &Scenario, kernel: &str) -> Option<Record> {
    let text = fs::read_to_string(file(checkout, scenario)).ok()?;
    let record: Record = serde_json::from_str(&text).ok()?;
    (record.hash == scenario.hash() && record.kernel == kernel).then_some(record)
}

/// Stores a record.
///
/// # Errors
/// When the file can't be written.
pub fn store(checkout: &Path, scenario: &Scenario, record: &Record) -> Result<()> {
    let path = file(checkout, scenario);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("make", folder)?;
    }
    let mut text = serde_json::to_string_pretty(record).context("oracle")?;
    text.push('\n');
    fs::write(&path, text).at("write", &path)
}
