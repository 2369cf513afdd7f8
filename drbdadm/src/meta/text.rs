// SPDX-License-Identifier: GPL-2.0
//! The language of a metadata dump: words, numbers, and one fixed order of statements.
//!
//! Everything is checked before anything is used; a run of words stays a run, so a short file
//! can't ask for much memory.

use drbd_core::meta::MdFlags;

/// What a dump says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dump {
    /// Current, bitmap, younger history, older history.
    pub(crate) uuids: [u64; 4],
    /// The flag word.
    pub(crate) flags: MdFlags,
    /// Last agreed size in sectors.
    pub(crate) la_size_sect: u64,
    /// Bytes of data for one bit.
    pub(crate) bm_bytes_per_bit: u32,
    /// Identity of the device.
    pub(crate) device_uuid: u64,
    /// Largest request of the peer in bytes.
    pub(crate) la_peer_max_bio_size: u32,
    /// Stripes of the activity log.
    pub(crate) al_stripes: u32,
    /// Blocks of one stripe.
    pub(crate) al_stripe_size_4k: u32,
    /// The bitmap from its start, as counts of equal words.
    pub(crate) bitmap: Vec<(u64, u64)>,
}

/// Parses a dump of version 08.
///
/// # Errors
///
/// The text for the user, with the number of the line.
pub(crate) fn parse(text: &[u8]) -> Result<Dump, String> {
    let mut parser = Parser::new(text);
    parser.keyword("version")?;
    let version = parser.string()?;
    parser.punctuation(b';')?;
    if version != "v08" {
        return Err(format!("dump is '{version}' you requested 'v08'."));
    }
    parser.keyword("uuid")?;
    parser.punctuation(b'{')?;
    let mut uuids = [0; 4];
    for uuid in &mut uuids {
        *uuid = parser.hex64()?;
        parser.punctuation(b';')?;
    }
    parser.keyword("flags")?;
    let flags = MdFlags::from_bits(parser.hex32()?);
    parser.punctuation(b';')?;
    parser.punctuation(b'}')?;
    let la_size_sect = parser.statement("la-size-sect")?;
    let bm_bytes_per_bit = parser.statement("bm-byte-per-bit")?;
    let bm_bytes_per_bit = u32::try_from(bm_bytes_per_bit)
        .ok()
        .filter(|bytes| bytes.is_power_of_two() && (4096..=1 << 20).contains(bytes))
        .ok_or(
            "Invalid value for bm-byte-per-bit: value must be a power-of-two multiple of 4096",
        )?;
    parser.keyword("device-uuid")?;
    let device_uuid = parser.hex64()?;
    parser.punctuation(b';')?;
    let la_peer_max_bio_size = parser.small_statement("la-peer-max-bio-size")?;
    let al_stripes = parser.small_statement("al-stripes")?;
    let al_stripe_size_4k = parser.small_statement("al-stripe-size-4k")?;
    parser.keyword("bm")?;
    parser.punctuation(b'{')?;
    let bitmap = parser.bitmap()?;
    parser.end()?;
    Ok(Dump {
        uuids,
        flags,
        la_size_sect,
        bm_bytes_per_bit,
        device_uuid,
        la_peer_max_bio_size,
        al_stripes,
        al_stripe_size_4k,
        bitmap,
    })
}

/// One word of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(&'static str),
    String(String),
    Number(u64),
    Hex64(u64),
    Hex32(u32),
    Punctuation(u8),
    End,
    /// Something that is no word, with the remark about it.
    Bad(String),
    /// A character that nothing starts with.
    Stray(u8),
}

impl Token {
    /// How a message names what stands in the way.
    fn described(&self) -> String {
        match self {
            Self::Word(word) => format!(", not '{word}'"),
            Self::String(text) => format!(", not '{text}'"),
            Self::Number(_) | Self::Hex64(_) | Self::Hex32(_) => ", not some number".to_owned(),
            Self::Punctuation(mark) => format!(", not '{}'", char::from(*mark)),
            Self::End => ", but end of file encountered".to_owned(),
            Self::Bad(_) => String::new(),
            Self::Stray(byte) => {
                let shown = Some(char::from(*byte))
                    .filter(char::is_ascii_graphic)
                    .unwrap_or('?');
                format!("; got invalid input character '\\x{byte:02x}' [{shown}]")
            }
        }
    }
}

const WORDS: [&str; 10] = [
    "version",
    "uuid",
    "flags",
    "la-size-sect",
    "bm-byte-per-bit",
    "device-uuid",
    "la-peer-max-bio-size",
    "al-stripes",
    "al-stripe-size-4k",
    "bm",
];

struct Parser<'t> {
    rest: &'t [u8],
    line: u32,
}

impl<'t> Parser<'t> {
    const fn new(text: &'t [u8]) -> Self {
        Self {
            rest: text,
            line: 1,
        }
    }

    /// The next token, behind white space and comments.
    fn next(&mut self) -> Token {
        self.skip_blank();
        let Some(&first) = self.rest.first() else {
            return Token::End;
        };
        match first {
            b';' | b'{' | b'}' => {
                self.rest = &self.rest[1..];
                Token::Punctuation(first)
            }
            b'"' => self.quoted(),
            b'-' | b'0'..=b'9' => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let word = self.take(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                match WORDS
                    .iter()
                    .chain(&["times"])
                    .find(|known| known.as_bytes() == word)
                {
                    Some(known) => Token::Word(known),
                    None => self.bad("unknown token", word),
                }
            }
            other => {
                self.rest = &self.rest[1..];
                Token::Stray(other)
            }
        }
    }

    fn skip_blank(&mut self) {
        while let Some((&first, rest)) = self.rest.split_first() {
            match first {
                b'#' => {
                    self.take(|byte| byte != b'\n');
                    continue;
                }
                b'\n' => self.line = self.line.saturating_add(1),
                b' ' | b'\t' | b'\r' => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    /// The bytes up to the first that does not belong.
    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'t [u8] {
        let len = self
            .rest
            .iter()
            .position(|byte| !belongs(*byte))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn bad(&self, what: &str, text: &[u8]) -> Token {
        let shown = String::from_utf8_lossy(&text[..text.len().min(20)]).into_owned();
        Token::Bad(format!("line {}: {what}: {shown} ...", self.line))
    }

    fn quoted(&mut self) -> Token {
        let start = self.rest;
        let body = &start[1..];
        let len = body
            .iter()
            .position(|byte| b"\"\n".contains(byte))
            .unwrap_or(body.len());
        if body.get(len) != Some(&b'"') || !(1..=20).contains(&len) {
            self.rest = &body[len..];
            return self.bad("invalid string", start);
        }
        self.rest = &body[len + 1..];
        Token::String(String::from_utf8_lossy(&body[..len]).into_owned())
    }

    fn number(&mut self) -> Token {
        let text = self.take(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let shown = String::from_utf8_lossy(text);
        if let Some(digits) = shown.strip_prefix("0x") {
            return match (digits.len(), u64::from_str_radix(digits, 16)) {
                (16, Ok(value)) => Token::Hex64(value),
                (8, Ok(value)) => Token::Hex32(u32::try_from(value).unwrap_or(0)),
                _ => self.bad(
                    "invalid hex number (only 8 or 16 hex digits accepted)",
                    text,
                ),
            };
        }
        if !shown.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.bad("unknown token", text);
        }
        match shown.parse() {
            Ok(value) if text.len() < 20 => Token::Number(value),
            _ => self.bad("number too big", text),
        }
    }

    /// The message for a token that should not be here.
    fn refuse<T>(&self, expected: &str, found: &Token) -> Result<T, String> {
        let remark = match found {
            Token::Bad(remark) => format!("{remark}\n"),
            _ => String::new(),
        };
        let found = found.described();
        Err(format!(
            "{remark}Parse error in line {}: {expected} expected{found}",
            self.line
        ))
    }

    fn keyword(&mut self, word: &str) -> Result<(), String> {
        match self.next() {
            Token::Word(found) if found == word => Ok(()),
            other => self.refuse(&format!("keyword '{word}'"), &other),
        }
    }

    fn punctuation(&mut self, mark: u8) -> Result<(), String> {
        let name = match mark {
            b';' => "semicolon (;)",
            b'{' => "opening brace ({)",
            _ => "closing brace (})",
        };
        match self.next() {
            Token::Punctuation(found) if found == mark => Ok(()),
            other => self.refuse(name, &other),
        }
    }

    fn string(&mut self) -> Result<String, String> {
        match self.next() {
            Token::String(text) => Ok(text),
            other => self.refuse(
                "short quoted string (\"..up to 20 characters, no newline..\")",
                &other,
            ),
        }
    }

    fn hex64(&mut self) -> Result<u64, String> {
        match self.next() {
            Token::Hex64(value) => Ok(value),
            other => self.refuse("a 16-digit hex number", &other),
        }
    }

    fn hex32(&mut self) -> Result<u32, String> {
        match self.next() {
            Token::Hex32(value) => Ok(value),
            other => self.refuse("an 8-digit hex number", &other),
        }
    }

    /// A keyword, a number and a semicolon.
    fn statement(&mut self, word: &str) -> Result<u64, String> {
        self.keyword(word)?;
        let value = match self.next() {
            Token::Number(value) => value,
            other => return self.refuse("number ([0-9], up to 20 digits)", &other),
        };
        self.punctuation(b';')?;
        Ok(value)
    }

    /// A statement whose number has 32 bits on disk.
    fn small_statement(&mut self, word: &str) -> Result<u32, String> {
        let value = self.statement(word)?;
        let line = self.line;
        value
            .try_into()
            .map_err(|_| format!("Parse error in line {line}: {word} is too large"))
    }

    fn bitmap(&mut self) -> Result<Vec<(u64, u64)>, String> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        loop {
            let count = match self.next() {
                Token::Punctuation(b'}') => return Ok(runs),
                Token::Hex64(word) => {
                    self.punctuation(b';')?;
                    runs.push((1, word));
                    continue;
                }
                Token::Number(count) => count,
                other => {
                    let expected = "repeat count, 16-digit hex number, or closing brace (})";
                    return self.refuse(expected, &other);
                }
            };
            self.keyword("times")?;
            let word = self.hex64()?;
            self.punctuation(b';')?;
            runs.push((count, word));
        }
    }

    fn end(&mut self) -> Result<(), String> {
        match self.next() {
            Token::End => Ok(()),
            other => self.refuse("end of file", &other),
        }
    }
}

#[cfg(test)]
mod tests;
