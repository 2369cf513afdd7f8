// SPDX-License-Identifier: GPL-2.0
//! Allow-lists: exceptions to a rule, each with its reason.
//!
//! One exception a line, `RULE PLACE: REASON`; `#` begins a comment line. An exception that
//! nothing needs any more is a fault of its own, so that the lists only shrink by themselves.

use std::cell::Cell;
use std::path::Path;

use crate::Error;

/// One line of an allow-list.
struct Entry {
    rule: String,
    place: String,
    line: usize,
    used: Cell<bool>,
}

/// The exceptions to the rules of one chore.
pub(crate) struct AllowList(Vec<Entry>);

impl AllowList {
    /// Reads the list at `path`. A list that does not exist is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self(Vec::new())),
            Err(error) => Err(Error::File(path.to_owned(), error)),
        }
    }

    /// Parses the text of a list; `path` serves the error message.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = || Error::Allow(path.to_owned(), index + 1);
            // A place may hold `::`, so the reason begins at the first colon with a space.
            let (what, reason) = line.split_once(": ").ok_or_else(fault)?;
            let (rule, place) = what.split_once(' ').ok_or_else(fault)?;
            if reason.trim().is_empty() {
                return Err(fault());
            }
            entries.push(Entry {
                rule: rule.to_owned(),
                place: place.trim().to_owned(),
                line: index + 1,
                used: Cell::new(false),
            });
        }
        Ok(Self(entries))
    }

    /// Whether `rule` may be broken at `place`; remembers that the exception was needed.
    pub(crate) fn allows(&self, rule: &str, place: &str) -> bool {
        let mut found = false;
        for entry in self
            .0
            .iter()
            .filter(|entry| entry.rule == rule && entry.place == place)
        {
            entry.used.set(true);
            found = true;
        }
        found
    }

    /// The lines, each with its rule and place, that nothing has needed.
    pub(crate) fn unused(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.0
            .iter()
            .filter(|entry| !entry.used.get())
            .map(|entry| (entry.line, format!("{} {}", entry.rule, entry.place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_its_rule_at_its_place_only() {
        let list = AllowList::parse(Path::new("l"), "# c\n\nunsafe a/b.rs: needs it\n").unwrap();
        assert!(list.allows("unsafe", "a/b.rs"));
        assert!(!list.allows("unsafe", "a/c.rs"));
        assert!(!list.allows("panic", "a/b.rs"));
        assert_eq!(list.unused().count(), 0);
    }

    #[test]
    fn an_entry_that_nothing_needs_is_told() {
        let list = AllowList::parse(Path::new("l"), "panic core::f: reason\n").unwrap();
        assert_eq!(
            list.unused().collect::<Vec<_>>(),
            [(1, "panic core::f".to_owned())]
        );
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        for text in ["unsafe a.rs", "unsafe a.rs: ", "unsafe: because"] {
            assert!(AllowList::parse(Path::new("l"), text).is_err(), "{text}");
        }
    }
}
