// SPDX-License-Identifier: GPL-2.0
//! Rules about the lines of a file, whatever its language.

use super::{Finding, SourceFile};

/// Lines of a source file at most.
const LINES_MAX: usize = 800;
/// Characters of a line of Rust or C at most.
const COLUMNS_MAX: usize = 100;
/// Within how many lines the license must stand: a script's first line is its interpreter.
const LICENSE_LINES: usize = 3;

/// Marks of unfinished work. Written in pieces, or this file would hold them.
const MARKS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
/// Folders that exist on a developer's machine only.
const MACHINE_PATHS: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("../sha", "red/"),
];
/// How the address of a package mirror begins.
const MIRRORS: [&str; 5] = [
    concat!(":", "//deb."),
    concat!(":", "//ftp."),
    concat!(":", "//mirror"),
    concat!(":", "//archive."),
    concat!(":", "//snapshot."),
];

/// Adds what breaks a rule in `file` to `findings`.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if matches!(file.name(), "Cargo.lock" | "LICENSE") {
        return;
    }
    if is_source(file) {
        license(file, findings);
        shape(file, findings);
    }
    for (index, line) in file.text.lines().enumerate() {
        let number = index + 1;
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            findings.push(file.finding(
                "unfinished",
                number,
                format!("{mark}: finish it or say it in an issue"),
            ));
        }
        if MACHINE_PATHS.iter().any(|path| has_path(line, path)) {
            findings.push(file.finding("machine-path", number, "a folder of one machine"));
        }
        if MIRRORS.iter().any(|start| line.contains(start)) {
            findings.push(file.finding(
                "mirror",
                number,
                "a package mirror's address; apt knows it",
            ));
        }
    }
}

/// Whether `file` is a source file: a program, or what builds one.
fn is_source(file: &SourceFile) -> bool {
    matches!(file.extension(), "rs" | "c" | "h" | "S" | "sh" | "toml")
        || matches!(file.name(), "Makefile" | "Kbuild")
        || file.text.starts_with("#!")
}

fn license(file: &SourceFile, findings: &mut Vec<Finding>) {
    let comment = match file.extension() {
        "rs" | "c" | "S" => "// SPDX-License-Identifier: GPL-2.0",
        "h" => "/* SPDX-License-Identifier: GPL-2.0 */",
        _ => "# SPDX-License-Identifier: GPL-2.0",
    };
    // Only a script has something to say before its license.
    let lines = if file.text.starts_with("#!/") {
        LICENSE_LINES
    } else {
        1
    };
    if !file.text.lines().take(lines).any(|line| line == comment) {
        findings.push(file.finding("spdx", 1, format!("wanted `{comment}` at the top")));
    }
}

/// Lengths and white space.
fn shape(file: &SourceFile, findings: &mut Vec<Finding>) {
    let count = file.text.lines().count();
    if count > LINES_MAX {
        let message = format!("{count} lines; {LINES_MAX} at most: one file, one thing");
        findings.push(file.finding("file-length", count, message));
    }
    let limited = matches!(file.extension(), "rs" | "c" | "h");
    for (index, line) in file.text.lines().enumerate() {
        if limited && line.chars().count() > COLUMNS_MAX {
            let message = format!("longer than {COLUMNS_MAX} characters");
            findings.push(file.finding("line-length", index + 1, message));
        }
        if line.ends_with([' ', '\t']) {
            findings.push(file.finding("whitespace", index + 1, "white space at the end"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        findings.push(file.finding("whitespace", count, "no newline at the end"));
    }
}

/// Whether `word` stands in `line` on its own.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// Whether an absolute path below `start` stands in `line`: `a/b/c` has none below `/b/`.
fn has_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let before = line[..at].chars().next_back();
        let after = line[at + start.len()..].chars().next();
        !before.is_some_and(|c| word(c) || matches!(c, '}' | ')' | '*')) && after.is_some_and(word)
    })
}
