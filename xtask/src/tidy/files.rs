// SPDX-License-Identifier: GPL-2.0
//! Rules about which files there are: a Rust file that no other names is dead, and the compiler
//! never says so.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};

use super::{Finding, SourceFile};

/// Files that a build names itself: cargo's roots and Kbuild's.
const ROOTS: [&str; 5] = [
    "lib.rs",
    "main.rs",
    "build.rs",
    "drbd_core.rs",
    "drbd_main.rs",
];

/// Adds the Rust files that no `mod` declares to `findings`.
pub(super) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) {
    // From a module's file to the children that it declares.
    let declared: BTreeMap<&str, Vec<String>> = files
        .iter()
        .filter(|file| file.extension() == "rs")
        .map(|file| (file.path.as_str(), declarations(&file.text)))
        .collect();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        if is_root(&file.path) {
            continue;
        }
        let stem = file.name().trim_end_matches(".rs");
        let found = parents(&file.path)
            .filter_map(|parent| declared.get(parent.as_str()))
            .any(|children| children.iter().any(|child| child == stem));
        if !found {
            findings.push(file.finding("dead-file", 1, format!("no `mod {stem};` declares it")));
        }
    }
}

/// Whether the build finds the file without a `mod`.
fn is_root(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder_name = folder.rsplit('/').next().unwrap_or(folder);
    // Cargo's automatic targets: `PACKAGE/tests/x.rs`, `PACKAGE/src/bin/x.rs` and the like.
    let automatic = match folder_name {
        "bin" => folder.ends_with("src/bin"),
        "tests" | "benches" | "examples" => !folder.contains("src/"),
        _ => false,
    };
    ROOTS.contains(&name) || automatic
}

/// The files that may declare the module in the file `path`: the one named as its folder, and the
/// roots in the folder itself.
fn parents(path: &str) -> impl Iterator<Item = String> + '_ {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let roots = ROOTS.iter().map(move |root| format!("{folder}/{root}"));
    std::iter::once(format!("{folder}.rs")).chain(roots)
}

/// The names that `mod NAME;` declares anywhere in `text`.
fn declarations(text: &str) -> Vec<String> {
    fn collect(tokens: TokenStream, names: &mut Vec<String>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for window in tokens.windows(3) {
            let [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(end)] = window
            else {
                continue;
            };
            if *word == "mod" && end.as_char() == ';' {
                names.push(name.to_string());
            }
        }
        for token in tokens {
            if let TokenTree::Group(group) = token {
                collect(group.stream(), names);
            }
        }
    }
    let mut names = Vec::new();
    if let Ok(tokens) = text.parse() {
        collect(tokens, &mut names);
    }
    names
}
