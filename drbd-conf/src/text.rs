// SPDX-License-Identifier: GPL-2.0
//! Bytes in, bytes out: configuration files need not be UTF-8.
//!
//! A file is decoded once. Bytes that are not UTF-8 become characters of a private range
//! (U+F780 … U+F7FF for 0x80 … 0xFF), and [`encode`] turns these back, so that a password in an
//! old encoding reaches the kernel unchanged and everything between can work on `str`.

/// First character of the private range; stands for byte 0x80.
const FIRST: u32 = 0xF780;

/// Decodes a file or an argument.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    // In nearly every file there is nothing to translate.
    if bytes.is_ascii() {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        // A real character of the private range must not come back as one byte.
        for c in chunk.valid().chars() {
            let mut buffer = [0; 4];
            match u32::from(c).checked_sub(FIRST) {
                Some(n) if n < 0x80 => c
                    .encode_utf8(&mut buffer)
                    .bytes()
                    .for_each(|b| text.push(raw(b))),
                _ => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| raw(*byte)));
    }
    text
}

/// The private character for a byte from 0x80 on.
fn raw(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The bytes that [`decode`] was given.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    if text.is_ascii() {
        return text.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match u32::from(c)
            .checked_sub(FIRST)
            .and_then(|n| u8::try_from(n).ok())
        {
            Some(n) if n < 0x80 => bytes.push(n + 0x80),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    bytes
}

/// True for the characters of a bare word: `A-Z a-z 0-9 / . _ -`.
#[must_use]
pub fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-')
}

/// A word as `dump` writes it: bare if it can be, else in double quotes.
///
/// A word longer than 80 bytes is quoted as well, as is the empty one.
#[must_use]
pub fn quote(word: &str) -> String {
    if !word.is_empty() && word.len() <= 80 && word.chars().all(is_word_char) {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A word as the dry run and the `sh-` commands write it for a shell: every character outside
/// `A-Z a-z 0-9 % + - . / : = @ _` follows a backslash.
#[must_use]
pub fn shell_escape(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for c in word.chars() {
        let plain = c.is_ascii_alphanumeric()
            || matches!(c, '%' | '+' | '-' | '.' | '/' | ':' | '=' | '@' | '_');
        if !plain {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(encode(&decode(&bytes)), bytes);
        assert_eq!(encode(&decode("größe".as_bytes())), "größe".as_bytes());
        assert_eq!(
            encode(&decode("\u{f7a0}".as_bytes())),
            "\u{f7a0}".as_bytes()
        );
        assert_eq!(encode(&decode(b"pass\xe9word")), b"pass\xe9word");
    }

    #[test]
    fn quoting_follows_the_table() {
        assert_eq!(quote(""), "\"\"");
        assert_eq!(quote("/dev/sd_a-1.x"), "/dev/sd_a-1.x");
        assert_eq!(quote("a b"), "\"a b\"");
        assert_eq!(quote("q\"\\z"), "\"q\\\"\\\\z\"");
        assert_eq!(quote(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(quote(&"x".repeat(81)).len(), 83);
    }

    #[test]
    fn shell_escapes_what_a_shell_would_eat() {
        assert_eq!(
            shell_escape("--shared-secret=q\"\\z w"),
            "--shared-secret=q\\\"\\\\z\\ w"
        );
        assert_eq!(shell_escape("ipv6:[::1]:7788"), "ipv6:\\[::1\\]:7788");
    }
}
