// SPDX-License-Identifier: GPL-2.0
//! Where configuration text comes from. The parser reads files only through [`Source`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Files and include patterns.
pub trait Source {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// Whatever opening or reading it gave.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The real name of a file; a file is read once in a run, whatever names lead to it.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// The files that match `pattern`, sorted. `pattern` holds at least one of `? * [`.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Source for FileSystem {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let Some(pattern) = pattern.to_str() else {
            return Vec::new();
        };
        glob::glob_with(pattern, OPTIONS)
            .map_or_else(|_| Vec::new(), |paths| paths.flatten().collect())
    }
}

/// As the shell does it: a slash or a leading dot must be written out.
const OPTIONS: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Files held in memory, by absolute name; for tests and for text that is no file.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// One file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        Memory {
            files: BTreeMap::from([(path.into(), text.into())]),
        }
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

/// Takes `.` and `..` out of a path without looking at any file.
fn normalize(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

impl Source for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.get(&normalize(path));
        found.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let path = normalize(path);
        match self.files.contains_key(&path) {
            true => Ok(path),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let pattern = pattern
            .to_str()
            .and_then(|text| glob::Pattern::new(text).ok());
        let Some(pattern) = pattern else {
            return Vec::new();
        };
        let matches = |path: &&PathBuf| pattern.matches_path_with(path, OPTIONS);
        self.files.keys().filter(matches).cloned().collect()
    }
}
