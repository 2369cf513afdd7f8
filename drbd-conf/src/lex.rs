// SPDX-License-Identifier: GPL-2.0
//! Text to tokens.
//!
//! The longest match wins; of equally long ones the class that comes first in [`Kind`]'s order
//! keyword, IPv4, IPv6, integer, quoted string, word. Lexing never fails: what can't be a token
//! becomes [`Kind::Bad`] and is reported by whoever consumes it, so that `skip { }` may hold
//! anything. Source: docs/configuration.md, "Lexical rules".

use crate::options::is_keyword;
use crate::span::{FileId, Span};
use crate::text::is_word_char;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while1, take_while_m_n};
use nom::character::complete::{anychar, char, none_of, one_of};
use nom::combinator::{opt, recognize};
use nom::multi::many_m_n;
use nom::sequence::{pair, preceded, terminated};
use nom::{IResult, Parser};

/// The longest word, in bytes.
pub const WORD_MAX: usize = 128;
/// The longest quoted string; a backslash and the byte behind it count as one.
pub const STRING_MAX: usize = 255;

/// More than any IPv6 address the language knows, so that a long line costs no more.
const IPV6_MAX: usize = 13 * 5;
/// Between six groups, one, and six more.
const IPV6_COLONS_MAX: usize = 12;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word with a meaning; the text is the keyword.
    Keyword,
    /// Four groups of digits.
    Ipv4,
    /// An IPv6 address, perhaps with a scope.
    Ipv6,
    /// One to eight digits, perhaps one of `M K G s`.
    Integer,
    /// A quoted string; holds the text with the backslashes resolved.
    Quoted(String),
    /// A bare word.
    Word,
    /// One of `{ } ; [ ] :`.
    Operator(char),
    /// No token of the language.
    Bad(Bad),
    /// The end of the file.
    End,
}

/// Why something is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// A character that means nothing here.
    Character,
    /// A word of more than [`WORD_MAX`] bytes.
    LongWord,
    /// A string of more than [`STRING_MAX`] units.
    LongString,
    /// A string without its closing quote on the line.
    OpenString,
}

/// One token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub span: Span,
}

/// All tokens of a file, the last one being [`Kind::End`].
#[must_use]
pub fn tokens(file: FileId, text: &str) -> Vec<Token> {
    let mut found = Vec::with_capacity(text.len() / 6 + 1);
    let mut rest = skip_blank(text);
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let (kind, len) = token(rest);
        // At least one character: a token is never empty, whatever the classes say.
        let len = if len == 0 {
            rest.chars().next().map_or(1, char::len_utf8)
        } else {
            len
        };
        found.push(Token {
            kind,
            span: Span {
                file,
                start,
                end: start + len,
            },
        });
        rest = skip_blank(rest.get(len..).unwrap_or(""));
    }
    // The end is shown behind the last thing written, not behind empty lines.
    let end = found.last().map_or(0, |token| token.span.end);
    found.push(Token {
        kind: Kind::End,
        span: Span {
            file,
            start: end,
            end,
        },
    });
    found
}

/// Drops white space and comments.
fn skip_blank(text: &str) -> &str {
    let mut rest = text.trim_start_matches(is_blank);
    while rest.starts_with('#') {
        let comment = rest.find('\n').unwrap_or(rest.len());
        rest = rest
            .get(comment..)
            .unwrap_or("")
            .trim_start_matches(is_blank);
    }
    rest
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The token at the beginning of `text` and its length.
fn token(text: &str) -> (Kind, usize) {
    if let Some((kind, len)) = operator(text).or_else(|| quoted(text)) {
        return (kind, len);
    }
    let word = text
        .bytes()
        .take_while(|b| is_word_char(char::from(*b)))
        .count();
    let keyword = text
        .get(..word)
        .filter(|word| is_keyword(word))
        .map_or(0, str::len);
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    // Ordered by precedence: a later class must be strictly longer to win.
    let classes = [
        (Kind::Keyword, keyword),
        (Kind::Ipv4, if digit { length(ipv4, text) } else { 0 }),
        (Kind::Ipv6, length_ipv6(text)),
        (Kind::Integer, if digit { length(integer, text) } else { 0 }),
        (
            if word > WORD_MAX {
                Kind::Bad(Bad::LongWord)
            } else {
                Kind::Word
            },
            word,
        ),
    ];
    let best = classes
        .into_iter()
        .rev()
        .max_by_key(|(_, len)| *len)
        .filter(|(_, len)| *len > 0);
    best.unwrap_or_else(|| (Kind::Bad(Bad::Character), length(anychar, text)))
}

/// How much of `text` a parser takes.
fn length<'t, O, P>(mut parser: P, text: &'t str) -> usize
where
    P: Parser<&'t str, Output = O, Error = nom::error::Error<&'t str>>,
{
    parser
        .parse(text)
        .map_or(0, |(rest, _)| text.len() - rest.len())
}

fn operator(text: &str) -> Option<(Kind, usize)> {
    let c = text.chars().next().filter(|c| "{};[]:".contains(*c))?;
    // Two colons begin an IPv6 address.
    (c != ':' || length_ipv6(text) < 2).then_some((Kind::Operator(c), 1))
}

/// How much of `text` an IPv6 address takes. Most words are none, and it shows at once: a colon
/// comes behind at most four digits.
fn length_ipv6(text: &str) -> usize {
    let mut behind = text.bytes().skip_while(u8::is_ascii_hexdigit);
    match behind.next() {
        Some(b':') => length(ipv6, text),
        _ => 0,
    }
}

/// A double-quoted string: one line, a backslash protects the next character.
fn quoted(text: &str) -> Option<(Kind, usize)> {
    let body = text.strip_prefix('"')?;
    let unit = alt((preceded(char('\\'), none_of("\n")), none_of("\"\\\n")));
    let (mut value, mut units, mut rest) = (String::new(), 0, body);
    let mut unit = unit;
    loop {
        let step: IResult<&str, char> = unit.parse(rest);
        let Ok((after, c)) = step else { break };
        value.push(c);
        units += c.len_utf8();
        rest = after;
    }
    let len = text.len() - rest.len();
    Some(match rest.strip_prefix('"') {
        Some(_) if units > STRING_MAX => (Kind::Bad(Bad::LongString), len + 1),
        Some(_) => (Kind::Quoted(value), len + 1),
        None => (
            Kind::Bad(Bad::OpenString),
            text.find('\n').unwrap_or(text.len()),
        ),
    })
}

/// Four groups of one to three digits.
fn ipv4(text: &str) -> IResult<&str, &str> {
    let group = || take_while_m_n(1, 3, |c: char| c.is_ascii_digit());
    recognize((group(), many_m_n(3, 3, preceded(char('.'), group())))).parse(text)
}

/// Up to six hexadecimal groups, a colon, perhaps a group, a colon, up to six groups; or
/// `::ffff:` and an IPv4 address. A scope may follow the first form.
fn ipv6(text: &str) -> IResult<&str, &str> {
    let mapped = recognize((tag("::"), tag_no_case("ffff"), char(':'), ipv4));
    let scope = opt(pair(char('%'), take_while1(is_word_char)));
    alt((mapped, recognize(terminated(ipv6_plain, scope)))).parse(text)
}

/// The longest run of hexadecimal digits and colons that has the shape of an address.
fn ipv6_plain(text: &str) -> IResult<&str, &str> {
    let mut colons = 0;
    let run = text.bytes().take(IPV6_MAX).take_while(|b| {
        colons += usize::from(*b == b':');
        (b.is_ascii_hexdigit() || *b == b':') && colons <= IPV6_COLONS_MAX
    });
    let run = run.count();
    let shaped = |len: &usize| text.get(..*len).is_some_and(has_ipv6_shape);
    match (2..=run).rev().find(shaped) {
        Some(len) => nom::bytes::complete::take(len).parse(text),
        None => nom::combinator::fail().parse(text),
    }
}

/// True for `G{0,6} : g? : G{0,6}` with groups of one to four digits joined by colons.
fn has_ipv6_shape(text: &str) -> bool {
    let groups: Vec<&str> = text.split(':').collect();
    if groups.iter().any(|group| group.len() > 4) {
        return false;
    }
    // The two separating colons stand around one (perhaps empty) group in the middle.
    let run = |part: &[&str]| {
        part.len() <= 6 && (part == [""] || part.iter().all(|group| !group.is_empty()))
    };
    (1..groups.len().saturating_sub(1)).any(|mid| run(&groups[..mid]) && run(&groups[mid + 1..]))
}

/// One to eight digits and at most one of `M K G s`.
fn integer(text: &str) -> IResult<&str, &str> {
    let digits = take_while_m_n(1, 8, |c: char| c.is_ascii_digit());
    recognize(pair(digits, opt(one_of("MKGs")))).parse(text)
}

#[cfg(test)]
mod tests;
