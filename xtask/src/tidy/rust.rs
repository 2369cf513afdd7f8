// SPDX-License-Identifier: GPL-2.0
//! Rules about Rust code, seen as tokens: comments and strings do not count.

use std::ops::ControlFlow;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{Finding, SourceFile};

/// Macros that end in a panic whenever they are reached.
const PANIC_MACROS: [&str; 4] = ["panic", "todo", "unimplemented", "unreachable"];
/// Methods that panic, or are undefined, on the value one did not think of.
const PANIC_METHODS: [&str; 5] = [
    "unwrap",
    "expect",
    "unwrap_err",
    "expect_err",
    "unwrap_unchecked",
];

/// Adds what breaks a rule in the Rust file `file` to `findings`.
pub(super) fn check(file: &SourceFile, findings: &mut Vec<Finding>) {
    if file.name() == "mod.rs" {
        findings.push(file.finding(
            "mod-rs",
            1,
            "name it after the folder: `foo.rs` beside `foo/`",
        ));
    }
    if !has_module_doc(&file.text) {
        let message = "wanted `//!` after the license: what is this file for?";
        findings.push(file.finding("module-doc", 2, message));
    }
    match file.text.parse::<TokenStream>() {
        Ok(tokens) => {
            let mut scan = Scan {
                file,
                findings,
                rules: Rules::of(&file.path),
            };
            scan.stream(tokens);
        }
        Err(error) => {
            let line = error.span().start().line;
            findings.push(file.finding("syntax", line, error.to_string()));
        }
    }
}

/// Whether the first thing after ordinary comments is a `//!` comment.
fn has_module_doc(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && (!line.starts_with("//") || line.starts_with("//!")))
        .is_some_and(|line| line.starts_with("//!"))
}

/// Which rules hold in a file.
#[derive(Clone, Copy)]
struct Rules {
    /// `unsafe` is forbidden.
    safe: bool,
    /// The kernel's raw bindings are forbidden.
    wrapped: bool,
    /// Code that panics is forbidden.
    calm: bool,
}

impl Rules {
    fn of(path: &str) -> Self {
        let in_sys = path.starts_with("kernel/sys/");
        let in_kernel = path.starts_with("kernel/");
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        Self {
            safe: !in_sys,
            wrapped: in_kernel && !in_sys,
            calm: (in_kernel || path.starts_with("drbd-core/src/")) && !is_test,
        }
    }
}

/// One pass over a file's tokens.
struct Scan<'a> {
    file: &'a SourceFile,
    findings: &'a mut Vec<Finding>,
    rules: Rules,
}

impl Scan<'_> {
    fn stream(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            index += match self.attribute(&tokens, index) {
                ControlFlow::Break(length) => length,
                ControlFlow::Continue(()) => {
                    self.token(&tokens, index);
                    if let TokenTree::Group(group) = token {
                        self.stream(group.stream());
                    }
                    1
                }
            };
        }
    }

    /// At an attribute that makes the next item test code: scans the item under the rules for
    /// tests, and breaks with the number of tokens it took.
    fn attribute(&mut self, tokens: &[TokenTree], index: usize) -> ControlFlow<usize> {
        let Some(group) = attribute_at(tokens, index) else {
            return ControlFlow::Continue(());
        };
        if first_word(group).as_deref() == Some("ignore") {
            let line = group.span_open().start().line;
            let message = "a test that does not run proves nothing";
            self.findings
                .push(self.file.finding("ignored-test", line, message));
        }
        if !is_test_attribute(group) {
            return ControlFlow::Continue(());
        }
        let item = tokens.get(index + 2..).unwrap_or_default();
        let length = item
            .iter()
            .position(ends_item)
            .map_or(item.len(), |last| last + 1);
        let rules = self.rules;
        self.rules.calm = false;
        self.stream(item.iter().take(length).cloned().collect());
        self.rules = rules;
        ControlFlow::Break(2 + length)
    }

    fn token(&mut self, tokens: &[TokenTree], index: usize) {
        let Some(TokenTree::Ident(ident)) = tokens.get(index) else {
            return;
        };
        let line = ident.span().start().line;
        let word = ident.to_string();
        if self.rules.safe && word == "unsafe" {
            let message = "`unsafe` has its place in kernel/sys/";
            self.findings
                .push(self.file.finding("unsafe", line, message));
        }
        if self.rules.wrapped && word == "bindings" {
            let message = "C is wrapped in kernel/sys/; use the wrapper";
            self.findings
                .push(self.file.finding("bindings", line, message));
        }
        if !self.rules.calm {
            return;
        }
        let next = tokens.get(index + 1);
        let is_macro = matches!(next, Some(TokenTree::Punct(p)) if p.as_char() == '!')
            && matches!(tokens.get(index + 2), Some(TokenTree::Group(_)));
        let after_dot = index.checked_sub(1).and_then(|before| tokens.get(before));
        let is_method = matches!(after_dot, Some(TokenTree::Punct(p)) if p.as_char() == '.')
            && matches!(next, Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
        if is_macro && PANIC_MACROS.contains(&word.as_str()) {
            let message = format!("`{word}!` stops the machine; return an error");
            self.findings
                .push(self.file.finding("panic", line, message));
        }
        if is_method && PANIC_METHODS.contains(&word.as_str()) {
            let message = format!("`.{word}()` stops the machine; return an error");
            self.findings
                .push(self.file.finding("panic", line, message));
        }
    }
}

/// The bracket of the outer attribute that begins at `index`.
fn attribute_at(tokens: &[TokenTree], index: usize) -> Option<&Group> {
    match (tokens.get(index)?, tokens.get(index + 1)?) {
        (TokenTree::Punct(hash), TokenTree::Group(group))
            if hash.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
        {
            Some(group)
        }
        _ => None,
    }
}

fn first_word(group: &Group) -> Option<String> {
    match group.stream().into_iter().next()? {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

/// Whether the attribute is `#[test]`, or a `#[cfg(..)]` that only a test build fulfils.
fn is_test_attribute(group: &Group) -> bool {
    let text: String = group.stream().to_string().split_whitespace().collect();
    text == "test" || text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Whether an item ends with this token: its body, or the semicolon instead of one.
fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    }
}
