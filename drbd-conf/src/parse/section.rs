// SPDX-License-Identifier: GPL-2.0
//! Option sections: `net`, `disk`, `options`, `startup`, `handlers`, `syncer`, `proxy`.

use super::block::AtEnd;
use super::{Mode, Parser, Step};
use crate::diag::{nearest, Diagnostic};
use crate::lex::{Kind as TokenKind, Token};
use crate::number::{evaluate, Unit};
use crate::options::{self, Kind, OptionDef, Section};
use crate::span::Spanned;
use crate::tree::{ProxyOptions, Resource, Setting, Settings};

impl Parser<'_> {
    /// The options of one section, from `{` to `}`.
    pub(super) fn section(&mut self, section: Section) -> Step<Settings> {
        let mut settings = Settings::new();
        self.block(AtEnd::Error, |parser, token| {
            parser.option(section, &token, &mut settings)
        })?;
        Ok(settings)
    }

    /// One statement of an option section.
    fn option(&mut self, section: Section, token: &Token, settings: &mut Settings) -> Step<()> {
        let word = self.slice(token.span).to_owned();
        let keyword = token.kind == TokenKind::Keyword;
        if keyword && options::DEAD.contains(&word.as_str()) {
            self.expect_value()?;
            return self.expect_semicolon();
        }
        if keyword && self.mode == Mode::Running && word == "discard-my-data" {
            self.flag_value()?;
            return self.expect_semicolon();
        }
        let alias = options::ALIASES
            .iter()
            .find(|a| a.section == section && a.old == word);
        let name = alias.map_or(word.as_str(), |alias| alias.name);
        let Some(def) = section.option(name).filter(|_| keyword) else {
            return Err(self.unknown_option(section, token));
        };
        let value = match alias.and_then(|alias| alias.value) {
            Some(value) => Spanned::new(value.to_owned(), token.span),
            None => self.value_of(def, token)?,
        };
        let span = token.span.to(value.span);
        settings.push(Setting {
            name: def.name,
            value: value.value,
            span,
        });
        self.expect_semicolon()
    }

    /// The value of an option, checked as far as the language checks it.
    fn value_of(&mut self, def: &'static OptionDef, token: &Token) -> Step<Spanned<String>> {
        if matches!(def.kind, Kind::Bool { .. }) {
            let value = self.flag_value()?;
            return Ok(value.unwrap_or_else(|| Spanned::new("yes".to_owned(), token.span)));
        }
        let mut value = self.expect_value()?;
        match def.kind {
            Kind::Number { unit, min, max, .. } if def.checked => {
                self.check_range(def.name, &value, unit, min, max);
            }
            Kind::Choice { .. } if def.name == "protocol" => value = self.protocol(value),
            _ => {}
        }
        Ok(value)
    }

    /// A protocol letter in upper case; anything else is reported.
    pub(super) fn protocol(&mut self, mut value: Spanned<String>) -> Spanned<String> {
        value.value.make_ascii_uppercase();
        let known = matches!(value.value.as_str(), "A" | "B" | "C");
        if !known && self.mode == Mode::File {
            let message = format!("unknown protocol `{}`", value.value);
            self.report(Diagnostic::error(value.span, message).note("expected A, B or C"));
        }
        value
    }

    /// `yes`, `no` or nothing.
    fn flag_value(&mut self) -> Step<Option<Spanned<String>>> {
        let token = self.peek().clone();
        let text = self.slice(token.span);
        if token.kind == TokenKind::Keyword && matches!(text, "yes" | "no") {
            let value = Spanned::new(text.to_owned(), token.span);
            self.next();
            return Ok(Some(value));
        }
        match token.kind {
            TokenKind::Word | TokenKind::Keyword | TokenKind::Integer | TokenKind::Quoted(_)
                if !self.is_first_on_line(&token) =>
            {
                Err(self.unexpected(&token, "`yes`, `no` or `;`"))
            }
            _ => Ok(None),
        }
    }

    /// Reports a number outside its range, or no number at all.
    pub(super) fn check_range(
        &mut self,
        name: &str,
        text: &Spanned<String>,
        unit: Unit,
        min: u64,
        max: u64,
    ) {
        if self.mode == Mode::Running {
            return;
        }
        let value = match evaluate(&text.value, unit) {
            Ok(value) if (min..=max).contains(&value) => return,
            Ok(value) => value,
            Err(error) => {
                let message = format!("`{}` is no valid value for `{name}`", text.value);
                let diagnostic = Diagnostic::error(text.span, message).note(error.to_string());
                return self.report(diagnostic.exit(error.exit_code()));
            }
        };
        let u = unit.letter();
        let message = format!("`{name} {}` is {value}{u}, out of range", text.value);
        let note = format!("expected {min}{u} to {max}{u}");
        let mut diagnostic = Diagnostic::error(text.span, message).note(note);
        if unit == Unit::One && text.value.ends_with('s') {
            diagnostic = diagnostic.hint("the suffix `s` means sectors of 512 bytes, not seconds");
        }
        self.report(diagnostic);
    }

    /// The old `syncer` section; its members go to other sections of `resource`.
    pub(super) fn syncer(&mut self, resource: &mut Resource) -> Step<()> {
        self.block(AtEnd::Error, |parser, token| {
            let word = parser.slice(token.span);
            let member = options::SYNCER.iter().find(|member| member.old == word);
            let member = member.filter(|_| token.kind == TokenKind::Keyword);
            let Some((member, def)) = member.and_then(|m| Some((m, m.section.option(m.name)?)))
            else {
                let known = options::SYNCER.iter().map(|member| member.old);
                return Err(parser.unknown_word(&token, "in the old section `syncer`", known));
            };
            let value = parser.value_of(def, &token)?;
            let span = token.span.to(value.span);
            let setting = Setting {
                name: def.name,
                value: value.value,
                span,
            };
            match member.section {
                Section::Net => resource.net.push(setting),
                Section::Options => resource.options.push(setting),
                _ => resource.disk.push(setting),
            }
            parser.expect_semicolon()
        })?;
        Ok(())
    }

    /// `startup { }`.
    pub(super) fn startup(&mut self, resource: &mut Resource) -> Step<()> {
        self.block(AtEnd::Error, |parser, token| {
            if parser.is_keyword(&token, "stacked-timeouts") {
                resource.stacked_timeouts = true;
                return parser.expect_semicolon();
            }
            if parser.is_keyword(&token, "become-primary-on") {
                resource.become_primary_on = parser.names("a node name, or `both`")?;
                return parser.expect_semicolon();
            }
            parser.option(Section::Startup, &token, &mut resource.startup)
        })?;
        Ok(())
    }

    /// One or more words.
    pub(super) fn names(&mut self, expected: &str) -> Step<Vec<Spanned<String>>> {
        let mut names = vec![self.expect_word(expected)?];
        while matches!(self.peek().kind, TokenKind::Word | TokenKind::Quoted(_)) {
            names.push(self.expect_word(expected)?);
        }
        // Not a word and not what ends the list: most likely a name that needs quotes.
        if matches!(
            self.peek().kind,
            TokenKind::Ipv4 | TokenKind::Ipv6 | TokenKind::Integer
        ) {
            let token = self.peek().clone();
            return Err(self.unquoted(&token, expected));
        }
        Ok(names)
    }

    /// `{ options, plugin { } }` of drbd-proxy.
    pub(super) fn proxy_options(&mut self) -> Step<ProxyOptions> {
        let mut proxy = ProxyOptions::default();
        self.block(AtEnd::Error, |parser, token| {
            if parser.is_keyword(&token, "plugin") {
                return parser.plugins(&mut proxy.plugins);
            }
            // Members of `syncer` are taken here too; nobody relies on it, but files may have it.
            let word = parser.slice(token.span).to_owned();
            let member = options::SYNCER.iter().find(|member| member.old == word);
            let member = member.and_then(|member| member.section.option(member.name));
            match member.filter(|_| token.kind == TokenKind::Keyword) {
                Some(def) => {
                    let value = parser.value_of(def, &token)?;
                    let span = token.span.to(value.span);
                    proxy.settings.push(Setting {
                        name: def.name,
                        value: value.value,
                        span,
                    });
                    parser.expect_semicolon()
                }
                None => parser.option(Section::Proxy, &token, &mut proxy.settings),
            }
        })?;
        Ok(proxy)
    }

    /// `{ token… ; … }`: each line is kept as one text.
    fn plugins(&mut self, plugins: &mut Vec<Spanned<String>>) -> Step<()> {
        self.block(AtEnd::Error, |parser, first| {
            if first.kind == TokenKind::Operator(';') {
                return Err(parser.unexpected(&first, "a plugin and its settings"));
            }
            let mut words = vec![parser.plain(&first)];
            let mut last = first.span;
            while !matches!(
                parser.peek().kind,
                TokenKind::Operator(';' | '}' | '{') | TokenKind::End | TokenKind::Bad(_)
            ) {
                let token = parser.next();
                last = token.span;
                words.push(parser.plain(&token));
            }
            plugins.push(Spanned::new(words.join(" "), first.span.to(last)));
            parser.expect_semicolon()
        })?;
        Ok(())
    }

    /// The text of a token, without quotes.
    fn plain(&self, token: &Token) -> String {
        match &token.kind {
            TokenKind::Quoted(text) => text.clone(),
            _ => self.slice(token.span).to_owned(),
        }
    }

    /// Records an option that the section does not have.
    fn unknown_option(&mut self, section: Section, token: &Token) -> super::Stop {
        let known = section.table().iter().map(|def| def.name);
        let place = format!("in `{}`", section.keyword());
        if let TokenKind::Quoted(text) = &token.kind {
            let meant = nearest(text, known.clone()).or(section.option(text).map(|def| def.name));
            if let Some(meant) = meant {
                let message = format!("an option name is not quoted, {place}");
                let hint = format!("write `{meant}`");
                return self.stop(Diagnostic::error(token.span, message).hint(hint));
            }
        }
        self.unknown_word(token, &place, known)
    }
}
