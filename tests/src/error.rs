// SPDX-License-Identifier: GPL-2.0
//! What can go wrong in the lab, told so that a reader knows where to look.

use std::io;
use std::path::Path;

use crate::node::Output;

/// Why a step of the lab or of a scenario failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The host refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Something the lab needs is missing or wrong on the host.
    #[error("{0}")]
    Setup(String),
    /// A machine ended or does not answer.
    #[error("{node}: {what}")]
    Machine {
        /// Which node.
        node: String,
        /// What happened.
        what: String,
    },
    /// A command ended otherwise than the scenario says.
    #[error("{node}# {command}\n{output}  {wanted}")]
    Command {
        /// Which node.
        node: String,
        /// As it was given.
        command: String,
        /// What it printed and how it ended.
        output: Box<Output>,
        /// What the scenario wanted.
        wanted: String,
    },
    /// What was waited for did not come.
    #[error("{node}: waited {seconds} s for {what}; last seen:\n{last_seen}")]
    Timeout {
        /// Which node.
        node: String,
        /// For how long.
        seconds: u64,
        /// For what.
        what: String,
        /// The state when the wait was given up.
        last_seen: String,
    },
    /// The kernel of a node tells of a bug.
    #[error("{node}: the kernel log has\n{lines}")]
    KernelLog {
        /// Which node.
        node: String,
        /// The offending lines with some context.
        lines: String,
    },
    /// Something is not as the scenario says.
    #[error("{0}")]
    Mismatch(String),
}

/// The result of a step.
pub type Result<T> = std::result::Result<T, LabError>;

/// Names what was being done when the system refused.
pub trait Context<T> {
    /// Turns a bare system error into [`LabError::Io`].
    ///
    /// # Errors
    /// `self`'s error, with `what` said.
    fn context(self, what: impl Into<String>) -> Result<T>;

    /// The same for something done to a file.
    ///
    /// # Errors
    /// `self`'s error, with `what` and `path` said.
    fn at(self, what: &str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|source| LabError::Io {
            what: what.into(),
            source: source.into(),
        })
    }

    fn at(self, what: &str, path: &Path) -> Result<T> {
        self.context(format!("{what} {}", path.display()))
    }
}

/// Fails the scenario with a sentence unless `condition` holds.
///
/// # Errors
/// [`LabError::Mismatch`] with the sentence.
pub fn ensure(condition: bool, sentence: impl FnOnce() -> String) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(LabError::Mismatch(sentence()))
    }
}
