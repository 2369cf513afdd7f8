// SPDX-License-Identifier: GPL-2.0
//! The lexical rules, class by class.

use super::{tokens, Bad, Kind};
use crate::span::SourceMap;

fn kinds(text: &str) -> Vec<(Kind, String)> {
    let mut map = SourceMap::new();
    let file = map.add("t".into(), "/t".into(), text.into());
    let mut found = tokens(file, text);
    assert_eq!(found.pop().map(|t| t.kind), Some(Kind::End));
    found
        .into_iter()
        .map(|t| (t.kind, text[t.span.start..t.span.end].to_owned()))
        .collect()
}

fn one(text: &str) -> Kind {
    let found = kinds(text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    assert_eq!(found[0].1, text);
    found[0].0.clone()
}

#[test]
fn longest_match_then_class_order() {
    assert_eq!(one("on"), Kind::Keyword);
    assert_eq!(one("on-foo"), Kind::Word);
    assert_eq!(one("resource-only"), Kind::Word);
    assert_eq!(one("10.0.0.1"), Kind::Ipv4);
    assert_eq!(one("10.0.0.1a"), Kind::Word);
    assert_eq!(one("12345678"), Kind::Integer);
    assert_eq!(one("12345678K"), Kind::Integer);
    assert_eq!(one("123456789"), Kind::Word);
    assert_eq!(one("10k"), Kind::Word);
    assert_eq!(one("10m"), Kind::Word);
    assert_eq!(one("4096s"), Kind::Integer);
    assert_eq!(one("/dev/sda1"), Kind::Word);
    assert_eq!(one("\"net\""), Kind::Quoted("net".into()));
    assert_eq!(one("\"\""), Kind::Quoted(String::new()));
    assert_eq!(one("\"q\\\"\\\\z\\n\""), Kind::Quoted("q\"\\zn".into()));
}

#[test]
fn ipv6_addresses() {
    let good = [
        "::1",
        "fe80::1%eth0",
        "::",
        "1::",
        "1:2:3:4:5:6:7:8",
        "::ffff:10.0.0.1",
        "::FFFF:1.2.3.4",
        "a::b:c",
        "2001:db8::1",
        "1:2:3",
    ];
    for text in good {
        assert_eq!(one(text), Kind::Ipv6, "{text}");
    }
    assert_ne!(kinds("a:b").len(), 1);
}

#[test]
fn comments_and_operators() {
    let found = kinds("abc#def\n{};[]: \"a#b\" # tail");
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["abc", "{", "}", ";", "[", "]", ":", "\"a#b\""]);
}

#[test]
fn bad_tokens_are_tokens() {
    assert_eq!(one(&"x".repeat(128)), Kind::Word);
    assert_eq!(one(&"x".repeat(129)), Kind::Bad(Bad::LongWord));
    assert_eq!(
        one(&format!("\"{}\"", "x".repeat(255))),
        Kind::Quoted("x".repeat(255))
    );
    assert_eq!(
        one(&format!("\"{}\"", "x".repeat(256))),
        Kind::Bad(Bad::LongString)
    );
    assert_eq!(one("+"), Kind::Bad(Bad::Character));
    assert_eq!(one("é"), Kind::Bad(Bad::Character));
    let found = kinds("\"abc\nnet");
    assert_eq!(found[0].0, Kind::Bad(Bad::OpenString));
    assert_eq!(found[1].0, Kind::Keyword);
}
