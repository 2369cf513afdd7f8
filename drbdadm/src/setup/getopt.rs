// SPDX-License-Identifier: GPL-2.0
//! The command line of one command, read as C's `getopt_long` reads it.
//!
//! Options may stand anywhere, may be cut short as long as they are clear, and end at `--`. The
//! sentences about mistakes are getopt's: scripts compare them.

use super::command::{Command, HasValue, LocalOption};
use drbd_core::config::{OptionKind, OptionSpec};
use drbd_core::genl::Field;

/// An option that was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given {
    /// One of the tool.
    Local(LocalOption),
    /// One that becomes an attribute.
    Field(&'static Field, OptionSpec),
}

/// What was understood.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Options with their values, in order.
    pub(super) options: Vec<(Given, Option<String>)>,
    /// The other words.
    pub(super) words: Vec<String>,
}

impl Parsed {
    /// Whether a local option was given.
    #[must_use]
    pub(super) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The last value of a local option.
    #[must_use]
    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).last().flatten()
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        self.options
            .iter()
            .filter_map(move |(given, value)| match given {
                Given::Local(option) if option.name == name => Some(value.as_deref()),
                _ => None,
            })
    }
}

struct Candidate {
    name: &'static str,
    value: HasValue,
    given: Given,
}

fn candidates(command: &Command) -> Vec<Candidate> {
    let mut all = Vec::new();
    for option in command.local_options() {
        all.push(Candidate {
            name: option.name,
            value: option.value,
            given: Given::Local(*option),
        });
    }
    for (field, option) in command.fields() {
        let value = match option.kind {
            OptionKind::Bool { .. } | OptionKind::Flag => HasValue::Optional,
            _ => HasValue::Required,
        };
        let given = Given::Field(field, option);
        all.push(Candidate {
            name: option.name,
            value,
            given,
        });
        if let Some(alias) = option.alias {
            all.push(Candidate {
                name: alias,
                value,
                given,
            });
        }
    }
    all
}

/// Reads the words behind the command's name.
///
/// # Errors
///
/// The sentence for standard error, without line feed; the overview goes with it.
pub(super) fn parse(command: &Command, words: &[String]) -> Result<Parsed, String> {
    let candidates = candidates(command);
    let mut parsed = Parsed::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            parsed.words.extend(rest.cloned());
            break;
        } else if let Some(long) = word.strip_prefix("--") {
            let option = parse_long(command, &candidates, long, &mut rest)?;
            parsed.options.push(option);
        } else if word.len() > 1 && word.starts_with('-') {
            parse_short(command, word, &mut rest, &mut parsed)?;
        } else {
            parsed.words.push(word.clone());
        }
    }
    Ok(parsed)
}

fn parse_long<'a>(
    command: &Command,
    candidates: &[Candidate],
    long: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<(Given, Option<String>), String> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    let exact = candidates.iter().find(|candidate| candidate.name == name);
    // Options that differ only in their names are not ambiguous for getopt: the first one wins.
    let mut prefixed = candidates
        .iter()
        .filter(|candidate| candidate.name.starts_with(name));
    let candidate = match exact {
        Some(candidate) => candidate,
        None => {
            let unknown = || format!("{}: unrecognized option '--{long}'", command.name);
            let first = prefixed.next().ok_or_else(unknown)?;
            if let Some(other) = prefixed.find(|other| other.value != first.value) {
                return Err(format!(
                    "{}: option '--{long}' is ambiguous; possibilities: '--{}' '--{}'",
                    command.name, first.name, other.name
                ));
            }
            first
        }
    };
    let value = match (candidate.value, value) {
        (HasValue::No, Some(_)) => {
            return Err(format!(
                "{}: option '--{}' doesn't allow an argument",
                command.name, candidate.name
            ));
        }
        (HasValue::Required, None) => {
            let missing = || {
                format!(
                    "{}: option '--{}' requires an argument",
                    command.name, candidate.name
                )
            };
            Some(rest.next().ok_or_else(missing)?.clone())
        }
        (_, value) => value,
    };
    Ok((candidate.given, value))
}

fn parse_short<'a>(
    command: &Command,
    word: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    parsed: &mut Parsed,
) -> Result<(), String> {
    let mut letters = word.chars();
    letters.next();
    while let Some(letter) = letters.next() {
        let known = command
            .local_options()
            .iter()
            .find(|option| option.letter == letter);
        let Some(option) = known else {
            return Err(format!("{}: invalid option -- '{letter}'", command.name));
        };
        let attached: String = letters.as_str().to_owned();
        let value = match option.value {
            HasValue::No => None,
            HasValue::Optional if attached.is_empty() => None,
            HasValue::Required if attached.is_empty() => {
                let missing = || {
                    format!(
                        "{}: option requires an argument -- '{letter}'",
                        command.name
                    )
                };
                Some(rest.next().ok_or_else(missing)?.clone())
            }
            HasValue::Optional | HasValue::Required => Some(attached),
        };
        let is_end = value.is_some();
        parsed.options.push((Given::Local(*option), value));
        if is_end {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::command::find;
    use super::{parse, Given, Parsed};

    fn run(line: &str) -> Result<Parsed, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (name, rest) = words.split_first().expect("a command");
        parse(find(name).expect("known"), rest)
    }

    #[test]
    fn options_anywhere() {
        let parsed = run("attach --resync-rate 5M 1 a b --disk-flushes=no internal --md-flushes");
        let parsed = parsed.expect("valid");
        assert_eq!(parsed.words, ["1", "a", "b", "internal"]);
        let given: Vec<_> = parsed
            .options
            .iter()
            .map(|(given, value)| match given {
                Given::Field(field, _) => (field.number, value.as_deref()),
                Given::Local(_) => (0, None),
            })
            .collect();
        assert_eq!(given, [(8, Some("5M")), (17, Some("no")), (19, None)]);
    }

    #[test]
    fn local_options() {
        let parsed = run("events2 -sT r0 --now").expect("valid");
        assert!(parsed.has("statistics") && parsed.has("timestamps") && parsed.has("now"));
        let parsed = run("wait-connect -t 5 1 --degr=7 --wait-after-sb").expect("valid");
        assert_eq!(parsed.value("wfc-timeout"), Some("5"));
        assert_eq!(parsed.value("degr-wfc-timeout"), Some("7"));
        assert!(parsed.has("wait-after-sb"));
        assert_eq!(run("role -- -1").expect("valid").words, ["-1"]);
    }

    /// As `drbdsetup-84` says it.
    #[test]
    fn mistakes() {
        let table = [
            ("role 1 --x", "role: unrecognized option '--x'"),
            ("role 1 -x", "role: invalid option -- 'x'"),
            ("new-minor r0 -1 0", "new-minor: invalid option -- '1'"),
            (
                "disk-options 1 --size=1M",
                "disk-options: unrecognized option '--size=1M'",
            ),
            (
                "attach 1 a a i --resync-rate",
                "attach: option '--resync-rate' requires an argument",
            ),
            (
                "attach 1 a a i --re",
                "attach: option '--resync-rate' requires an argument",
            ),
            (
                "attach 1 --nosuchoption=1",
                "attach: unrecognized option '--nosuchoption=1'",
            ),
            (
                "show --show-defaults=1",
                "show: option '--show-defaults' doesn't allow an argument",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(run(line).expect_err(line), expected);
        }
    }
}
