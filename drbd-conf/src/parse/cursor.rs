// SPDX-License-Identifier: GPL-2.0
//! The parser's place in the tokens: looking, taking, expecting, recovering.

use super::{claim, Mode, Parser, Step, Stop};
use crate::diag::{nearest, Diagnostic};
use crate::lex::{self, Bad, Kind, Token};
use crate::options;
use crate::span::{SourceMap, Span, Spanned};

/// Keywords that begin a section of an outer block. Where they can't stand and begin a line, the
/// block before them was most likely not closed.
const OUTER: &[&str] = &[
    "global",
    "common",
    "resource",
    "skip",
    "include",
    "on",
    "floating",
    "stacked-on-top-of",
    "net",
    "startup",
    "handlers",
    "syncer",
];

impl Parser<'_> {
    /// True when `token` is the first of its line.
    pub(super) fn is_first_on_line(&self, token: &Token) -> bool {
        let file = self.out.sources.get(token.span.file);
        let before = file
            .and_then(|file| file.text.get(..token.span.start))
            .unwrap_or("");
        before
            .lines()
            .last()
            .is_none_or(|line| before.ends_with('\n') || line.trim().is_empty())
    }

    pub(super) fn peek(&self) -> &Token {
        // `at` never passes the last token, which is `End`.
        static NOTHING: std::sync::OnceLock<Token> = std::sync::OnceLock::new();
        self.tokens
            .get(self.at)
            .or_else(|| self.tokens.last())
            .unwrap_or_else(|| {
                NOTHING.get_or_init(|| {
                    let file = SourceMap::new().add(String::new(), String::new(), String::new());
                    Token {
                        kind: Kind::End,
                        span: Span {
                            file,
                            start: 0,
                            end: 0,
                        },
                    }
                })
            })
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Puts the last token back.
    pub(super) fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub(super) fn slice(&self, span: Span) -> &str {
        let file = self.out.sources.get(span.file);
        file.and_then(|file| file.text.get(span.start..span.end))
            .unwrap_or("")
    }

    pub(super) fn is_operator(&self, c: char) -> bool {
        self.peek().kind == Kind::Operator(c)
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.out.diagnostics.push(diagnostic);
    }

    /// Records that `token` is not what may stand there.
    pub(super) fn unexpected(&mut self, token: &Token, expected: &str) -> Stop {
        let shown = self.shown(token);
        let message = match &token.kind {
            Kind::Bad(Bad::LongWord) => format!("a word has at most {} characters", lex::WORD_MAX),
            Kind::Bad(Bad::LongString) => {
                format!("a quoted string has at most {} characters", lex::STRING_MAX)
            }
            Kind::Bad(Bad::OpenString) => "this string is not closed on its line".to_owned(),
            Kind::End => "the file ends too early".to_owned(),
            _ => format!("unexpected {shown}"),
        };
        self.stop(Diagnostic::error(token.span, message).note(format!("expected {expected}")))
    }

    pub(super) fn stop(&mut self, diagnostic: Diagnostic) -> Stop {
        self.broken += 1;
        self.report(diagnostic);
        Stop::Statement
    }

    /// A token for messages, shortened.
    pub(super) fn shown(&self, token: &Token) -> String {
        let text: String = self.slice(token.span).chars().take(40).collect();
        match token.kind {
            Kind::Keyword => format!("keyword `{text}`"),
            _ => format!("`{text}`"),
        }
    }

    /// Records a word that no statement of the place begins with, and what was probably meant.
    pub(super) fn unknown_word<'c>(
        &mut self,
        token: &Token,
        place: &str,
        expected: impl Iterator<Item = &'c str> + Clone,
    ) -> Stop {
        if !matches!(token.kind, Kind::Word | Kind::Keyword | Kind::Quoted(_)) {
            return self.unexpected(token, &one_of(expected));
        }
        let word = self.slice(token.span).to_owned();
        if OUTER.contains(&word.as_str()) && self.is_first_on_line(token) {
            let message = format!("a `}}` is missing before keyword `{word}`");
            let note = format!("no statement {place}; begins something new");
            self.stop(Diagnostic::error(token.span, message).note(note));
            return Stop::Block;
        }
        self.unknown(token, place, expected)
    }

    /// The same where no block can have been left open.
    pub(super) fn unknown<'c>(
        &mut self,
        token: &Token,
        place: &str,
        expected: impl Iterator<Item = &'c str> + Clone,
    ) -> Stop {
        let word = self.slice(token.span).to_owned();
        if !matches!(token.kind, Kind::Word | Kind::Keyword | Kind::Quoted(_)) {
            return self.unexpected(token, &one_of(expected));
        }
        let message = format!("no statement `{word}` {place}");
        let mut diagnostic = Diagnostic::error(token.span, message);
        if let Some(meant) = nearest(&word, expected.clone()) {
            diagnostic = diagnostic
                .note("unknown here")
                .hint(format!("did you mean `{meant}`?"));
        } else {
            diagnostic = diagnostic.note(format!("expected {}", one_of(expected)));
        }
        let homes = options::sections_of(&word);
        if !homes.is_empty() {
            let homes: Vec<_> = homes
                .iter()
                .map(|s| format!("`{} {{ }}`", s.keyword()))
                .collect();
            diagnostic = diagnostic.hint(format!("`{word}` belongs into {}", homes.join(" or ")));
        } else if options::NINE.contains(&word.as_str()) {
            diagnostic = diagnostic.hint(format!("`{word}` is a word of DRBD 9, this is 8.4"));
        } else if word == "discard-my-data" {
            diagnostic = diagnostic.hint("give --discard-my-data to `drbdadm connect` instead");
        }
        self.stop(diagnostic)
    }

    pub(super) fn expect_operator(&mut self, c: char, expected: &str) -> Step<Span> {
        if !self.is_operator(c) {
            let token = self.peek().clone();
            return Err(self.unexpected(&token, expected));
        }
        Ok(self.next().span)
    }

    /// A semicolon. A forgotten one at the end of a line costs this statement only.
    pub(super) fn expect_semicolon(&mut self) -> Step<()> {
        if self.is_operator(';') {
            self.next();
            return Ok(());
        }
        let token = self.peek().clone();
        let before = self
            .at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map(|t| t.span);
        if let Some(before) = before.filter(|_| !matches!(token.kind, Kind::Bad(_))) {
            let sources = &self.out.sources;
            if sources.line(before) != sources.line(token.span) {
                let end = Span {
                    start: before.end,
                    ..before
                };
                let shown = self.shown(&token);
                let message = match token.kind {
                    Kind::End => "a `;` is missing before the end of the file".to_owned(),
                    _ => format!("a `;` is missing before {shown}"),
                };
                self.stop(Diagnostic::error(end, message).note("expected `;`"));
                return Ok(());
            }
        }
        Err(self.unexpected(&token, "`;`"))
    }

    /// A word, quoted or not.
    pub(super) fn expect_word(&mut self, expected: &str) -> Step<Spanned<String>> {
        let token = self.peek().clone();
        match &token.kind {
            Kind::Quoted(text) => {
                self.next();
                Ok(Spanned::new(text.clone(), token.span))
            }
            Kind::Word => {
                self.next();
                Ok(Spanned::new(self.slice(token.span).to_owned(), token.span))
            }
            _ => Err(self.unquoted(&token, expected)),
        }
    }

    /// Like [`Self::unexpected`], with a hint when quotes would make a word of it.
    pub(super) fn unquoted(&mut self, token: &Token, expected: &str) -> Stop {
        let stop = self.unexpected(token, expected);
        if matches!(
            token.kind,
            Kind::Keyword | Kind::Integer | Kind::Ipv4 | Kind::Ipv6
        ) {
            let hint = format!(
                "as a plain word it must be quoted: \"{}\"",
                self.slice(token.span)
            );
            if let Some(last) = self.out.diagnostics.pop() {
                self.out.diagnostics.push(last.hint(hint));
            }
        }
        stop
    }

    /// The value of an option: a word, an integer, or the keyword `on`.
    pub(super) fn expect_value(&mut self) -> Step<Spanned<String>> {
        let token = self.peek().clone();
        let text = self.slice(token.span);
        if token.kind == Kind::Integer || (token.kind == Kind::Keyword && text == "on") {
            let value = Spanned::new(text.to_owned(), token.span);
            self.next();
            return Ok(value);
        }
        self.expect_word("a value")
    }

    /// An integer token as text.
    pub(super) fn expect_integer(&mut self, expected: &str) -> Step<Spanned<String>> {
        let token = self.peek().clone();
        if token.kind != Kind::Integer {
            return Err(self.unexpected(&token, expected));
        }
        self.next();
        Ok(Spanned::new(self.slice(token.span).to_owned(), token.span))
    }

    /// Goes to where the next statement begins: behind a `;` or a block, or at a `}`.
    pub(super) fn recover(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek().kind {
                Kind::End => return,
                Kind::Operator('}') if depth == 0 => return,
                Kind::Operator(';') if depth == 0 => {
                    self.next();
                    return;
                }
                Kind::Operator('{') => depth += 1,
                Kind::Operator('}') => {
                    depth -= 1;
                    if depth == 0 {
                        self.next();
                        return;
                    }
                }
                _ => {}
            }
            self.next();
        }
    }

    /// Claims a key that may be used once; reports the second use.
    pub(super) fn claim(&mut self, what: &str, key: String, span: Span) {
        if self.mode == Mode::Running {
            return;
        }
        claim(&mut self.out, what, key, span);
    }
}

/// "`a`, `b` or `c`".
fn one_of<'c>(words: impl Iterator<Item = &'c str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) if rest.len() < 18 => format!("{} or {last}", rest.join(", ")),
        _ => "one of its options".to_owned(),
    }
}
