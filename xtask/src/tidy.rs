// SPDX-License-Identifier: GPL-2.0
//! The repository's rules, as a test.
//!
//! Every file of the checkout is read once. [`text`] holds the rules that look at lines of any
//! file, [`rust`] those that look at Rust tokens (so that comments and strings do not count), and
//! [`files`] those about which files there are. Exceptions stand in `xtask/tidy.allow`, each with
//! its reason.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::allow::AllowList;
use crate::Error;

mod files;
mod rust;
mod text;

#[cfg(test)]
mod tests;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name, as an allow-list spells it.
    rule: &'static str,
    /// The file, from the top of the checkout.
    path: String,
    /// The line, from 1.
    line: usize,
    /// What is wrong there.
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            path,
            line,
            message,
        } = self;
        write!(f, "{path}:{line}: {message} [{rule}]")
    }
}

/// One file of the checkout.
pub(crate) struct SourceFile {
    /// Its path from the top of the checkout, with `/`.
    path: String,
    /// Its text.
    text: String,
}

impl SourceFile {
    /// The file's name without folders.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What follows the last dot of its name; empty without one.
    fn extension(&self) -> &str {
        self.name()
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }

    fn finding(&self, rule: &'static str, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            rule,
            path: self.path.clone(),
            line,
            message: message.into(),
        }
    }
}

/// Checks the checkout at `top` and prints what breaks a rule.
pub(crate) fn run(top: &Path) -> Result<(), Error> {
    let files = read_all(top)?;
    let list_path = top.join("xtask/tidy.allow");
    let allowed = AllowList::read(&list_path)?;
    let mut findings = check(&files);
    findings.retain(|finding| !allowed.allows(finding.rule, &finding.path));
    findings.extend(allowed.unused().map(|(line, entry)| Finding {
        rule: "allow",
        path: "xtask/tidy.allow".to_owned(),
        line,
        message: format!("nothing needs the exception `{entry}` any more"),
    }));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files", files.len());
            Ok(())
        }
        count => Err(Error::Found(format!("tidy: {count} broken rules"))),
    }
}

/// All findings in `files`, exceptions not yet taken off.
pub(crate) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        text::check(file, &mut findings);
        if file.extension() == "rs" {
            rust::check(file, &mut findings);
        }
    }
    files::check(files, &mut findings);
    findings
}

/// Reads every text file below `top` that is ours: no build results, no binary files.
fn read_all(top: &Path) -> Result<Vec<SourceFile>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = top.join(&folder);
        let entries = fs::read_dir(&path).map_err(|error| Error::File(path.clone(), error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Error::File(path.clone(), error))?;
            let kind = entry
                .file_type()
                .map_err(|error| Error::File(entry.path(), error))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let relative = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            if kind.is_dir() {
                if !matches!(relative.as_str(), ".git" | "target" | "build") {
                    folders.push(relative);
                }
            } else if kind.is_file() {
                let bytes =
                    fs::read(entry.path()).map_err(|error| Error::File(entry.path(), error))?;
                // What is not UTF-8 is a recording or an image: no rule speaks of it.
                if let Ok(text) = String::from_utf8(bytes) {
                    files.push(SourceFile {
                        path: relative,
                        text,
                    });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
