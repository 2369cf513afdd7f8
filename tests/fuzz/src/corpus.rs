// SPDX-License-Identifier: GPL-2.0
//! The inputs that are kept: a file for each, named by its content.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// No more inputs of a target are written.
const FILES_MAX: usize = 80;
/// No longer ones are written: what is short shows as much.
const BYTES_MAX: usize = 1024;

/// The inputs of one target, in a fixed order.
pub(crate) struct Corpus {
    inputs: Vec<Vec<u8>>,
}

/// A number for an input's content; the same in each run.
pub(crate) fn name_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Corpus {
    /// Reads what is kept; nothing if there is no folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let fault = |error| format!("{}: {error}", folder.display());
        let mut names = Vec::new();
        if folder.exists() {
            for entry in fs::read_dir(folder).map_err(fault)? {
                names.push(entry.map_err(fault)?.path());
            }
        }
        names.sort();
        let inputs: Result<_, _> = names.iter().map(fs::read).collect();
        Ok(Self {
            inputs: inputs.map_err(fault)?,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &[u8]> {
        self.inputs.iter().map(Vec::as_slice)
    }

    /// One of them; an empty one if there is none.
    pub(crate) fn any(&self, random: &mut fastrand::Rng) -> &[u8] {
        let at = random.usize(0..self.inputs.len().max(1));
        self.inputs.get(at).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn add(&mut self, bytes: Vec<u8>) {
        self.inputs.push(bytes);
    }

    /// Writes a choice of all.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), String> {
        let fault = |error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(fault)?;
        let mut small: Vec<&[u8]> = self.inputs().filter(|b| b.len() <= BYTES_MAX).collect();
        // From short to long, evenly: what is rare is rarely short.
        small.sort_by_key(|bytes| bytes.len());
        let step = small.len().div_ceil(FILES_MAX).max(1);
        for bytes in small.into_iter().step_by(step) {
            let path = folder.join(format!("{:016x}", name_of(bytes)));
            fs::write(path, bytes).map_err(fault)?;
        }
        Ok(())
    }
}
