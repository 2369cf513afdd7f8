// SPDX-License-Identifier: GPL-2.0
//! Looks for panicking code in the built module: a panic in a kernel is a dead machine.
//!
//! The compiler keeps a call of one of `core`'s panicking functions wherever it could not prove
//! that it is never reached. Each such call is a relocation in the object file; we tell which
//! function has it and, with `addr2line`, which line of ours. Exceptions stand in
//! `xtask/panics.allow` as `CALLED CALLER: REASON`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};

use crate::allow::AllowList;
use crate::Error;

/// One call of a panicking function.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// The panicking function.
    called: String,
    /// Our function that calls it.
    caller: String,
    /// Where the call is: section and offset.
    at: (String, u64),
}

/// Checks `module` and prints the calls that no exception covers.
pub(crate) fn run(top: &Path, module: &Path) -> Result<(), Error> {
    let path = top.join(module);
    let bytes = std::fs::read(&path).map_err(|error| Error::File(path.clone(), error))?;
    let calls = panicking_calls(&bytes).map_err(|error| Error::Object(path.clone(), error))?;
    let allowed = AllowList::read(&top.join("xtask/panics.allow"))?;
    let mut faults = 0;
    // One line for a caller and what it calls, however often.
    let mut groups: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for call in &calls {
        if !allowed.allows(&call.called, &call.caller) {
            let lines = groups.entry((&call.caller, &call.called)).or_default();
            lines.extend(source_line(&path, &call.at));
        }
    }
    for ((caller, called), lines) in groups {
        let lines: Vec<String> = lines.into_iter().collect();
        println!("{caller}\n    calls {called}\n    at {}", lines.join(", "));
        faults += 1;
    }
    for (line, entry) in allowed.unused() {
        println!("xtask/panics.allow:{line}: nothing needs the exception `{entry}` any more");
        faults += 1;
    }
    match faults {
        0 => {
            println!("panics: {} calls, each with its reason", calls.len());
            Ok(())
        }
        count => Err(Error::Found(format!("panics: {count} without a reason"))),
    }
}

/// Every relocation against a panicking function from a function that is none itself.
fn panicking_calls(bytes: &[u8]) -> Result<Vec<Call>, object::read::Error> {
    let file = object::File::parse(bytes)?;
    let mut calls = Vec::new();
    for section in file.sections() {
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            let called = demangled(file.symbol_by_index(index)?.name()?);
            if !panics(&called) {
                continue;
            }
            let caller = file
                .symbols()
                .filter(|symbol| symbol.kind() == SymbolKind::Text)
                .filter(|symbol| symbol.section_index() == Some(section.index()))
                .find(|s| (s.address()..s.address() + s.size()).contains(&offset));
            let Some(caller) = caller else { continue };
            let caller = demangled(caller.name()?);
            // A generic of core's made for us only passes the panic on; its callers count.
            if !panics(&caller) {
                calls.push(Call {
                    called,
                    caller,
                    at: (section.name()?.to_owned(), offset),
                });
            }
        }
    }
    calls.sort();
    Ok(calls)
}

/// A symbol's path in Rust's words, without crate hashes and generic arguments.
pub(crate) fn demangled(symbol: &str) -> String {
    let full = format!("{:#}", rustc_demangle::demangle(symbol));
    without_arguments(&full)
}

/// Takes `::<..>` away, so that one exception serves all instances of a generic.
fn without_arguments(path: &str) -> String {
    let mut short = String::new();
    let mut depth = 0_usize;
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        if depth == 0 && rest.starts_with("::<") {
            depth = 1;
            rest = &rest[3..];
            continue;
        }
        match next {
            '<' if depth > 0 => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => short.push(next),
            _ => {}
        }
        rest = &rest[next.len_utf8()..];
    }
    // Spaces separate the words of an allow-list.
    short.replace(' ', "")
}

/// Whether the function of this path never returns because it panics, or was to be optimized
/// away at build time and was not.
fn panics(path: &str) -> bool {
    let parts = [
        "core::panicking::",
        "core::cell::panic_",
        "core::slice::index::slice_",
        "core::str::slice_error_fail",
        "::len_mismatch_fail",
        "::unwrap_failed",
        "::expect_failed",
        "::split_at_failed",
        "::do_panic",
        "rust_build_error",
        "alloc::alloc::handle_alloc_error",
    ];
    parts.iter().any(|part| path.contains(part)) || path.contains("::assert_failed")
}

/// The line of our source that the instruction at `at` comes from, through inlined functions.
fn source_line(module: &Path, (section, offset): &(String, u64)) -> Option<String> {
    // The relocation stands within the call; the line is that of its first byte.
    let address = format!("{:#x}", offset.saturating_sub(1));
    let output = Command::new("addr2line")
        .args(["--inlines", "--section", section, "--exe"])
        .arg(module)
        .arg(address)
        .output()
        .ok()?;
    own_line(&String::from_utf8_lossy(&output.stdout))
}

/// The first place in `addr2line`'s chain of inlined calls that is in one of our folders.
fn own_line(chain: &str) -> Option<String> {
    chain.lines().find_map(|line| {
        let line = line.split(" (").next().unwrap_or(line);
        ["drbd-core/src/", "kernel/drbd_", "/src/kernel/"]
            .iter()
            .find_map(|folder| line.find(folder).map(|at| &line[at..]))
            .filter(|_| !line.contains("/rust/kernel/"))
            .map(|line| line.trim_start_matches("/src/").to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_panicking_functions_are_known() {
        for path in [
            "core::panicking::panic_bounds_check",
            "core::panicking::panic_const::panic_const_shl_overflow",
            "core::slice::index::slice_end_index_len_fail",
            "core::option::unwrap_failed",
            "core::result::unwrap_failed",
            "core::option::expect_failed",
            "core::slice::copy_from_slice_impl::len_mismatch_fail",
            "rust_build_error",
        ] {
            assert!(panics(path), "{path}");
        }
        for path in [
            "kernel::print::call_printk",
            "drbd_core::wire::decode",
            "core::fmt::write",
        ] {
            assert!(!panics(path), "{path}");
        }
    }

    #[test]
    fn generic_arguments_and_spaces_are_left_out() {
        assert_eq!(without_arguments("a::b::<u8, c::<d>>::e"), "a::b::e");
        assert_eq!(without_arguments("<a::B as c::D>::e"), "<a::Basc::D>::e");
        assert_eq!(without_arguments("a::b"), "a::b");
    }

    #[test]
    fn the_mangled_name_of_a_panic_is_read() {
        let symbol = "_RNvNtNtCs2lKf6AS60Zg_4core9panicking11panic_const24panic_const_shl_overflow";
        assert_eq!(
            demangled(symbol),
            "core::panicking::panic_const::panic_const_shl_overflow"
        );
    }

    #[test]
    fn the_line_shown_is_ours() {
        let chain = "/usr/src/rustc-1.85.1/library/core/src/slice/index.rs:271\n\
                     /src/drbd-core/src/wire/header.rs:44 (discriminator 2)\n\
                     /src/kernel/drbd_main.rs:9\n";
        assert_eq!(
            own_line(chain).as_deref(),
            Some("drbd-core/src/wire/header.rs:44")
        );
        assert_eq!(
            own_line("/src/kernel/sys/bio.rs:7\n").as_deref(),
            Some("kernel/sys/bio.rs:7")
        );
        assert_eq!(
            own_line("/usr/src/linux/rust/kernel/lib.rs:1\n??:0\n"),
            None
        );
    }
}
