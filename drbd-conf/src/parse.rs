// SPDX-License-Identifier: GPL-2.0
//! Tokens to a [`Config`]: never fails, collects all findings.
//!
//! After an error the parser goes on behind the next `;`, or at the `}` that closes the block, so
//! that one run shows every mistake. What concerns one node of the tree is checked here as soon as
//! the node is complete; what needs the whole configuration is in [`crate::bind`] and
//! [`crate::check`].

mod block;
mod cursor;
mod device;
mod global;
mod host;
mod resource;
mod section;
mod volumes;

use crate::diag::Diagnostic;
use crate::lex::{self, Kind, Token};
use crate::source::Source;
use crate::span::{SourceMap, Span};
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

/// Something could not be parsed; its finding is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// A statement: the next one may be fine.
    Statement,
    /// A block that lacks its closing brace: what follows belongs to the block around it.
    Block,
}

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
                _ => Err(self.unknown(&token, "at the top level", EXPECTED.iter().copied())),
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

    /// An included file's name for messages, seen from where the including file was named.
    fn name_of_include(&self, keyword: Span, path: &Path) -> String {
        let outer = self
            .out
            .sources
            .get(keyword.file)
            .map_or("", |file| file.name.as_str());
        let folder = Path::new(outer).parent().unwrap_or(Path::new(""));
        match path.strip_prefix(&self.directory) {
            Ok(rest) => folder.join(rest).to_string_lossy().into_owned(),
            Err(_) => path.to_string_lossy().into_owned(),
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
            let name = self.name_of_include(keyword, &path);
            if let Err(error) = self.file(&name, &path) {
                let message = format!("cannot open the include file `{name}`");
                let diagnostic = Diagnostic::error(keyword.to(word.span), message);
                self.report(diagnostic.note(describe(&error)));
            }
        }
        Ok(())
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
