// SPDX-License-Identifier: GPL-2.0
//! Properties over configurations from a grammar, and over damaged ones.

#[path = "properties/grammar.rs"]
mod grammar;

use drbd_conf::diag::{Diagnostic, Severity};
use drbd_conf::parse::{Parsed, Parser};
use drbd_conf::print::{config, Context};
use drbd_conf::render::render;
use drbd_conf::source::Memory;
use drbd_conf::tree::{Binding, Config};
use grammar::{damage, Grammar};
use proptest::prelude::*;
use std::path::Path;

fn parse(text: &str) -> Parsed {
    let source = Memory::new("/t.conf", text.as_bytes());
    let mut parser = Parser::new(&source, &|_| None);
    parser
        .file("t.conf", Path::new("/t.conf"))
        .expect("the file is in memory");
    parser.finish("/t.conf")
}

fn errors(parsed: &Parsed) -> Vec<&Diagnostic> {
    parsed
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .collect()
}

fn print(parsed: &Parsed) -> String {
    let context = Context {
        node: "alice",
        sources: &parsed.sources,
        verbose: true,
    };
    config(&parsed.config, &context)
}

/// What printing keeps: volumes of the resource level are inherited by then, and limits that are
/// not set are printed with the numbers that stock shows for them.
fn comparable(config: &Config) -> Config {
    let mut config = config.clone();
    let mut global = config.globals();
    global.minor_count = global.minor_count.filter(|count| *count != 0);
    global.dialog_refresh.get_or_insert(1);
    global.cmd_timeout_short.get_or_insert(5);
    global.cmd_timeout_medium.get_or_insert(600);
    global.cmd_timeout_long.get_or_insert(0);
    // This one is never printed.
    global.udev_always_use_vnr = false;
    config.global = Some(global);
    for resource in config.resources.iter_mut().chain(&mut config.common) {
        resource.volumes.clear();
        resource.binding = Binding::default();
    }
    config
}

/// Without the comments, which name lines.
fn body(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect::<Vec<String>>()
        .concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn printed_text_parses_to_the_same_tree(seed in any::<u64>()) {
        let text = Grammar::new(seed).config();
        let first = parse(&text);
        prop_assume!(errors(&first).is_empty());
        let printed = print(&first);
        let second = parse(&printed);
        prop_assert!(errors(&second).is_empty(), "{printed}\n{:?}", second.diagnostics);
        prop_assert_eq!(comparable(&first.config), comparable(&second.config));
        prop_assert_eq!(body(&printed), body(&print(&second)));
    }

    #[test]
    fn damage_is_reported_with_its_place(seed in any::<u64>(), hits in 1_usize..6) {
        let text = damage(&Grammar::new(seed).config(), seed, hits);
        let parsed = parse(&text);
        for diagnostic in &parsed.diagnostics {
            let span = diagnostic.span.expect("a finding about a file has a place");
            prop_assert!(parsed.sources.line(span) >= 1);
            prop_assert!(parsed.sources.column(span) >= 1);
            prop_assert!(!diagnostic.message.is_empty());
            let shown = render(&parsed.sources, diagnostic, false);
            let place = format!("t.conf:{}:", parsed.sources.line(span));
            prop_assert!(shown.contains(&place), "{}", shown);
        }
        let codes = [0, 1, 10, 20, 100];
        prop_assert!(codes.contains(&parsed.exit_code()));
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        let parsed = parse(&text);
        for diagnostic in &parsed.diagnostics {
            prop_assert!(!render(&parsed.sources, diagnostic, true).is_empty());
        }
    }
}

/// The grammar is worth nothing if most of what it makes is refused.
#[test]
fn most_of_the_grammar_is_accepted() {
    let accepted = (0..200).filter(|seed| errors(&parse(&Grammar::new(*seed).config())).is_empty());
    let accepted = accepted.count();
    assert!(accepted > 150, "{accepted} of 200");
}

/// And damage that hurts nothing proves nothing.
#[test]
fn most_damage_is_refused() {
    let hurt = |seed: &u64| {
        let text = damage(&Grammar::new(*seed).config(), *seed, 1);
        !errors(&parse(&text)).is_empty()
    };
    let refused = (0..200).filter(hurt).count();
    assert!(refused > 120, "{refused} of 200");
}
