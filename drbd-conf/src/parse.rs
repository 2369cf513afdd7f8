// SPDX-License-Identifier: GPL-2.0
//! Tokens to a [`Config`]: never fails, collects all findings.
//!
//! After an error the parser goes on behind the next `;`, or at the `}` that closes the block, so
//! that one run shows every mistake. What concerns one node of the tree is checked here as soon as
//! the node is complete; what needs the whole configuration is in [`crate::bind`] and
//! [`crate::check`].

mod block;
mod device;
mod global;
mod host;
mod resource;
mod section;
mod volumes;

use crate::diag::{nearest, Diagnostic};
use crate::lex::{self, Bad, Kind, Token};
use crate::options;
use crate::source::Source;
use crate::span::{SourceMap, Span, Spanned};
use crate::text;
use crate::tree::Config;
use crate::unique::Registry;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What a run of the parser found.
#[derive(Debug)]
pub struct Parsed {
    /// The tree. With errors among the findings it is only good for looking at.
    pub config: Config,
    /// The files, to make sense of the spans.
    pub sources: SourceMap,
    /// All findings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What must be unique; [`crate::bind`] adds to it.
    pub registry: Registry,
}

impl Parsed {
    /// The exit code of stock's drbdadm for the first error; 0 without one.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        crate::diag::exit_code(&self.diagnostics)
    }
}

/// How strict to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A configuration file: ranges and uniqueness count.
    File,
    /// Text about what is running (`drbdsetup show`): neither counts.
    Running,
}

/// A statement could not be parsed; its finding is recorded.
#[derive(Debug)]
struct Stop;

type Step<T> = Result<T, Stop>;

/// Knows which minor a device node has; needed for `device /dev/drbd_NAME;` without a minor.
pub type MinorOfNode<'a> = &'a dyn Fn(&str) -> Option<u32>;

/// The parser. [`Parser::file`] may be called for several files; [`Parser::finish`] ends it.
pub struct Parser<'a> {
    source: &'a dyn Source,
    minor_of_node: MinorOfNode<'a>,
    mode: Mode,
    out: Parsed,
    seen: HashSet<PathBuf>,
    tokens: Vec<Token>,
    at: usize,
    /// Directory that include patterns of the current file are relative to.
    directory: PathBuf,
    /// Statements that could not be parsed so far.
    broken: usize,
}

impl<'a> Parser<'a> {
    /// A parser for configuration files.
    #[must_use]
    pub fn new(source: &'a dyn Source, minor_of_node: MinorOfNode<'a>) -> Self {
        let out = Parsed {
            config: Config::default(),
            sources: SourceMap::new(),
            diagnostics: Vec::new(),
            registry: Registry::default(),
        };
        Parser {
            source,
            minor_of_node,
            mode: Mode::File,
            out,
            seen: HashSet::new(),
            tokens: Vec::new(),
            at: 0,
            directory: PathBuf::new(),
            broken: 0,
        }
    }

    /// Sets how strict to be.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Parses a file. `name` is for messages, `path` its absolute name.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn file(&mut self, name: &str, path: &Path) -> std::io::Result<()> {
        let bytes = self.source.read(path)?;
        self.remember(path);
        self.text(name, path, &bytes);
        Ok(())
    }

    /// Parses text that is no file, such as standard input.
    pub fn text(&mut self, name: &str, path: &Path, bytes: &[u8]) {
        let shown = path.to_string_lossy().into_owned();
        let parent = path.parent().unwrap_or(Path::new("/"));
        let directory = self.source.canonical(path).ok();
        let directory = directory
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(parent)
            .to_owned();
        let file = self
            .out
            .sources
            .add(name.to_owned(), shown, text::decode(bytes));
        let tokens = match self.out.sources.get(file) {
            Some(source) => lex::tokens(file, &source.text),
            None => return,
        };
        let outer = std::mem::replace(&mut self.tokens, tokens);
        let outer_at = std::mem::replace(&mut self.at, 0);
        let outer_directory = std::mem::replace(&mut self.directory, directory);
        self.top_level();
        (self.tokens, self.at, self.directory) = (outer, outer_at, outer_directory);
    }

    /// Ends the run. `main_file` is the absolute name to show.
    #[must_use]
    pub fn finish(mut self, main_file: &str) -> Parsed {
        main_file.clone_into(&mut self.out.config.main_file);
        self.out
    }

    /// Notes a file as read; false when it was already.
    fn remember(&mut self, path: &Path) -> bool {
        let real = self
            .source
            .canonical(path)
            .unwrap_or_else(|_| path.to_owned());
        self.seen.insert(real)
    }

    fn top_level(&mut self) {
        const EXPECTED: &[&str] = &["global", "common", "resource", "skip", "include"];
        loop {
            let token = self.next();
            let step = match (&token.kind, self.slice(token.span)) {
                (Kind::End, _) => return,
                (Kind::Keyword, "global") => self.global(token.span),
                (Kind::Keyword, "common") => self.common(token.span),
                (Kind::Keyword, "resource") => self.resource(token.span),
                (Kind::Keyword, "skip") => self.skip(token.span),
                (Kind::Keyword, "include") => self.include(token.span),
                _ => Err(self.unknown_word(&token, "at the top level", EXPECTED.iter().copied())),
            };
            if step.is_err() {
                self.recover();
                // A brace that closes nothing would stop us here for ever.
                if self.is_operator('}') {
                    self.next();
                }
            }
        }
    }

    fn skip(&mut self, keyword: Span) -> Step<()> {
        if matches!(self.peek().kind, Kind::Word | Kind::Quoted(_)) {
            self.next();
        }
        self.expect_operator('{', "`{`, or one word and `{`")?;
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next().kind {
                Kind::Operator('{') => depth += 1,
                Kind::Operator('}') => depth -= 1,
                Kind::End => {
                    let text = "this `skip` is not closed before the end of the file";
                    self.report(Diagnostic::error(keyword, text).note("opened here"));
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn include(&mut self, keyword: Span) -> Step<()> {
        let word = self.expect_word("a file name or a pattern in quotes")?;
        self.expect_semicolon()?;
        let pattern = self.directory.join(&word.value);
        let is_pattern = word.value.contains(['?', '*', '[']);
        let matches = match is_pattern {
            true => self.source.glob(&pattern),
            false => vec![pattern],
        };
        for path in matches {
            if self
                .source
                .canonical(&path)
                .is_ok_and(|real| self.seen.contains(&real))
            {
                continue;
            }
            let name = path.to_string_lossy().into_owned();
            if let Err(error) = self.file(&name, &path) {
                let message = format!("cannot open the include file `{}`", word.value);
                let diagnostic = Diagnostic::error(keyword.to(word.span), message);
                self.report(diagnostic.note(format!("{name}: {}", describe(&error))));
            }
        }
        Ok(())
    }

    // What follows is the machinery that the other files of this module stand on.

    fn peek(&self) -> &Token {
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

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Puts the last token back.
    fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    fn slice(&self, span: Span) -> &str {
        let file = self.out.sources.get(span.file);
        file.and_then(|file| file.text.get(span.start..span.end))
            .unwrap_or("")
    }

    fn is_operator(&self, c: char) -> bool {
        self.peek().kind == Kind::Operator(c)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.out.diagnostics.push(diagnostic);
    }

    /// Records that `token` is not what may stand there.
    fn unexpected(&mut self, token: &Token, expected: &str) -> Stop {
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

    fn stop(&mut self, diagnostic: Diagnostic) -> Stop {
        self.broken += 1;
        self.report(diagnostic);
        Stop
    }

    /// A token for messages, shortened.
    fn shown(&self, token: &Token) -> String {
        let text: String = self.slice(token.span).chars().take(40).collect();
        match token.kind {
            Kind::Keyword => format!("keyword `{text}`"),
            _ => format!("`{text}`"),
        }
    }

    /// Records a word that no statement of the place begins with, and what was probably meant.
    fn unknown_word<'c>(
        &mut self,
        token: &Token,
        place: &str,
        expected: impl Iterator<Item = &'c str> + Clone,
    ) -> Stop {
        if !matches!(token.kind, Kind::Word | Kind::Keyword | Kind::Quoted(_)) {
            return self.unexpected(token, &one_of(expected));
        }
        let word = self.slice(token.span).to_owned();
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

    fn expect_operator(&mut self, c: char, expected: &str) -> Step<Span> {
        if !self.is_operator(c) {
            let token = self.peek().clone();
            return Err(self.unexpected(&token, expected));
        }
        Ok(self.next().span)
    }

    /// A semicolon. A forgotten one at the end of a line costs this statement only.
    fn expect_semicolon(&mut self) -> Step<()> {
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
    fn expect_word(&mut self, expected: &str) -> Step<Spanned<String>> {
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
    fn unquoted(&mut self, token: &Token, expected: &str) -> Stop {
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
    fn expect_value(&mut self) -> Step<Spanned<String>> {
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
    fn expect_integer(&mut self, expected: &str) -> Step<Spanned<String>> {
        let token = self.peek().clone();
        if token.kind != Kind::Integer {
            return Err(self.unexpected(&token, expected));
        }
        self.next();
        Ok(Spanned::new(self.slice(token.span).to_owned(), token.span))
    }

    /// Goes to where the next statement begins: behind a `;` or a block, or at a `}`.
    fn recover(&mut self) {
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
    fn claim(&mut self, what: &str, key: String, span: Span) {
        if self.mode == Mode::Running {
            return;
        }
        claim(&mut self.out, what, key, span);
    }
}

/// Claims `key`; a second use becomes a finding.
pub(crate) fn claim(out: &mut Parsed, what: &str, key: String, span: Span) {
    if let Err(first) = out.registry.claim(key, span) {
        let diagnostic = Diagnostic::error(span, format!("{what} is used twice"));
        out.diagnostics.push(
            diagnostic
                .note("second use")
                .label(first, "first used here"),
        );
    }
}

/// "`a`, `b` or `c`".
fn one_of<'c>(words: impl Iterator<Item = &'c str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) if rest.len() < 12 => format!("{} or {last}", rest.join(", ")),
        _ => "one of its options".to_owned(),
    }
}

/// The number that the digits at the beginning of `text` make, as C's `atoi` reads it.
fn leading_number(text: &str) -> u32 {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0_u32, |n, digit| {
        n.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'))
    })
}

/// An I/O error without Rust's addition of the number.
fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
