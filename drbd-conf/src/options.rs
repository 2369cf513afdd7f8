// SPDX-License-Identifier: GPL-2.0
//! The options of the language: names, types, units, ranges, defaults, older spellings.
//!
//! The tables are the language's view. What the kernel holds is typed in `drbd_core::config`; a
//! test compares the two. Source: docs/configuration.md, "Options".

mod table;

pub use table::{DISK, HANDLERS, NET, PROXY, RESOURCE, STARTUP};

use crate::number::Unit;

/// The section an option stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// `options { }`.
    Options,
    /// `net { }`.
    Net,
    /// `disk { }`.
    Disk,
    /// `startup { }`.
    Startup,
    /// `handlers { }`.
    Handlers,
    /// `proxy { }`.
    Proxy,
    /// `syncer { }` of 8.3; its members go to the sections above.
    Syncer,
}

impl Section {
    /// The keyword that opens it.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Section::Options => "options",
            Section::Net => "net",
            Section::Disk => "disk",
            Section::Startup => "startup",
            Section::Handlers => "handlers",
            Section::Proxy => "proxy",
            Section::Syncer => "syncer",
        }
    }

    /// Its options; empty for [`Section::Syncer`], which only borrows, see [`SYNCER`].
    #[must_use]
    pub const fn table(self) -> &'static [OptionDef] {
        match self {
            Section::Options => RESOURCE,
            Section::Net => NET,
            Section::Disk => DISK,
            Section::Startup => STARTUP,
            Section::Handlers => HANDLERS,
            Section::Proxy => PROXY,
            Section::Syncer => &[],
        }
    }

    /// The option called `name` (today's spelling).
    #[must_use]
    pub fn option(self, name: &str) -> Option<&'static OptionDef> {
        self.table().iter().find(|def| def.name == name)
    }
}

/// What kind of value an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number, counted in `unit` when it has no suffix.
    Number {
        /// Default unit.
        unit: Unit,
        /// Least value, in `unit`.
        min: u64,
        /// Greatest value, in `unit`.
        max: u64,
        /// Default, in `unit`.
        default: u64,
    },
    /// One of a few words. The language lets any word pass; the back end refuses.
    Choice {
        /// The words.
        values: &'static [&'static str],
        /// Default.
        default: &'static str,
    },
    /// `yes`, `no`, or the bare name for `yes`.
    Bool {
        /// Default.
        default: bool,
    },
    /// Any text; the default is the empty one unless said otherwise.
    Text,
    /// `RESOURCE` or `RESOURCE/VOLUME`; the kernel gets the minor, none is -1.
    Dependency,
}

/// One option of a section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionDef {
    /// Its name, as it is kept, dumped and handed to the back end.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether the range is checked while parsing; otherwise only the back end objects.
    pub checked: bool,
    /// What it does, in half a line.
    pub about: &'static str,
}

/// An older spelling and what it means today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Where it may stand.
    pub section: Section,
    /// The older name.
    pub old: &'static str,
    /// Today's name.
    pub name: &'static str,
    /// The value it fixes, for the `no-…` forms.
    pub value: Option<&'static str>,
}

/// Older spellings outside `syncer`.
pub const ALIASES: &[Alias] = &[
    alias(Section::Disk, "no-disk-barrier", "disk-barrier", Some("no")),
    alias(Section::Disk, "no-disk-flushes", "disk-flushes", Some("no")),
    alias(Section::Disk, "no-disk-drain", "disk-drain", Some("no")),
    alias(Section::Disk, "no-md-flushes", "md-flushes", Some("no")),
    alias(Section::Disk, "rate", "resync-rate", None),
    alias(Section::Disk, "after", "resync-after", None),
    alias(Section::Net, "no-tcp-cork", "tcp-cork", Some("no")),
    alias(Section::Handlers, "outdate-peer", "fence-peer", None),
];

const fn alias(
    section: Section,
    old: &'static str,
    name: &'static str,
    value: Option<&'static str>,
) -> Alias {
    Alias {
        section,
        old,
        name,
        value,
    }
}

/// A member of the old `syncer` section and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncerOption {
    /// The name inside `syncer`.
    pub old: &'static str,
    /// Today's section.
    pub section: Section,
    /// Today's name.
    pub name: &'static str,
}

/// All members of `syncer`.
pub const SYNCER: &[SyncerOption] = &[
    syncer("rate", Section::Disk, "resync-rate"),
    syncer("after", Section::Disk, "resync-after"),
    syncer("al-extents", Section::Disk, "al-extents"),
    syncer("c-plan-ahead", Section::Disk, "c-plan-ahead"),
    syncer("c-delay-target", Section::Disk, "c-delay-target"),
    syncer("c-fill-target", Section::Disk, "c-fill-target"),
    syncer("c-max-rate", Section::Disk, "c-max-rate"),
    syncer("c-min-rate", Section::Disk, "c-min-rate"),
    syncer("verify-alg", Section::Net, "verify-alg"),
    syncer("csums-alg", Section::Net, "csums-alg"),
    syncer("use-rle", Section::Net, "use-rle"),
    syncer("cpu-mask", Section::Options, "cpu-mask"),
    syncer(
        "on-no-data-accessible",
        Section::Options,
        "on-no-data-accessible",
    ),
];

const fn syncer(old: &'static str, section: Section, name: &'static str) -> SyncerOption {
    SyncerOption { old, section, name }
}

/// Options that once were and are dropped without a word, in every section but `syncer`.
pub const DEAD: &[&str] = &[
    "delay-probe-volume",
    "delay-probe-interval",
    "throttle-threshold",
    "hold-off-threshold",
];

/// Words of DRBD 9 that people try here; only for hints.
pub const NINE: &[&str] = &[
    "connection",
    "connection-mesh",
    "path",
    "via",
    "port",
    "node-id",
    "template-file",
    "tiebreaker",
    "outside-address",
    "host",
    "hosts",
    "auto-promote",
    "peer-ack-window",
    "peer-ack-delay",
    "twopc-timeout",
    "twopc-retry-timeout",
    "auto-promote-timeout",
    "max-io-depth",
    "quorum",
    "on-no-quorum",
    "quorum-minimum-redundancy",
    "on-suspended-primary-outdated",
    "drbd8-api-compatibility",
    "allow-remote-read",
    "tls",
    "tls-keyring",
    "tls-privkey",
    "tls-certificate",
    "transport",
    "load-balance-paths",
    "bitmap",
    "resync-without-replication",
    "peer-tiebreaker",
    "block-size",
    "max-bio-size",
    "discard-granularity",
    "quorum-lost",
    "disconnected",
    "peer-device-options",
];

/// Keywords that are no options. Together with the option names they can't be bare values.
pub const STRUCTURE: &[&str] = &[
    "global",
    "common",
    "resource",
    "skip",
    "include",
    "disable-ip-verification",
    "udev-always-use-vnr",
    "minor-count",
    "dialog-refresh",
    "cmd-timeout-short",
    "cmd-timeout-medium",
    "cmd-timeout-long",
    "usage-count",
    "yes",
    "no",
    "ask",
    "protocol",
    "net",
    "disk",
    "syncer",
    "startup",
    "handlers",
    "options",
    "proxy",
    "volume",
    "device",
    "minor",
    "meta-disk",
    "flexible-meta-disk",
    "on",
    "floating",
    "stacked-on-top-of",
    "_this_host",
    "_remote_host",
    "ignore-on",
    "address",
    "alternate-link-address",
    "inside",
    "outside",
    "plugin",
    "ipv4",
    "ipv6",
    "sdp",
    "ssocks",
    "sci",
    "become-primary-on",
    "stacked-timeouts",
    "discard-my-data",
];

/// True when `word` is a keyword of the language.
#[must_use]
pub fn is_keyword(word: &str) -> bool {
    use std::collections::HashSet;
    use std::sync::LazyLock;
    static KEYWORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let tables = [NET, DISK, RESOURCE, STARTUP, HANDLERS, PROXY];
        let names = tables
            .iter()
            .flat_map(|table| table.iter().map(|def| def.name));
        names
            .chain(STRUCTURE.iter().copied())
            .chain(DEAD.iter().copied())
            .chain(ALIASES.iter().map(|alias| alias.old))
            .chain(SYNCER.iter().map(|member| member.old))
            .collect()
    });
    KEYWORDS.contains(word)
}

/// The sections in which `name` is an option, for hints.
#[must_use]
pub fn sections_of(name: &str) -> Vec<Section> {
    use Section::{Disk, Handlers, Net, Options, Startup};
    [Options, Net, Disk, Startup, Handlers]
        .into_iter()
        .filter(|section| {
            section.option(name).is_some()
                || ALIASES
                    .iter()
                    .any(|alias| alias.section == *section && alias.old == name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_and_syncer_members_lead_to_options() {
        for alias in ALIASES {
            assert!(alias.section.option(alias.name).is_some(), "{}", alias.old);
        }
        for member in SYNCER {
            assert!(
                member.section.option(member.name).is_some(),
                "{}",
                member.old
            );
        }
    }

    #[test]
    fn ranges_hold_their_defaults() {
        for section in [
            Section::Net,
            Section::Disk,
            Section::Startup,
            Section::Proxy,
        ] {
            for def in section.table() {
                match def.kind {
                    Kind::Number {
                        min, max, default, ..
                    } => {
                        assert!(min <= default && default <= max, "{}", def.name);
                    }
                    Kind::Choice { values, default } => {
                        assert!(values.contains(&default), "{}", def.name);
                    }
                    Kind::Bool { .. } | Kind::Text | Kind::Dependency => {
                        assert!(!def.checked || def.name == "protocol", "{}", def.name);
                    }
                }
            }
        }
    }

    #[test]
    fn names_are_unique_in_a_section() {
        for section in [
            Section::Net,
            Section::Disk,
            Section::Handlers,
            Section::Options,
        ] {
            for def in section.table() {
                let count = section
                    .table()
                    .iter()
                    .filter(|other| other.name == def.name)
                    .count();
                assert_eq!(count, 1, "{}", def.name);
            }
        }
    }

    #[test]
    fn keywords() {
        for word in [
            "on",
            "yes",
            "after",
            "timeout",
            "fence-peer",
            "sci",
            "rate",
            "size",
        ] {
            assert!(is_keyword(word), "{word}");
        }
        for word in [
            "both",
            "internal",
            "off",
            "on-foo",
            "fencing-x",
            "connection",
            "C",
        ] {
            assert!(!is_keyword(word), "{word}");
        }
    }
}
