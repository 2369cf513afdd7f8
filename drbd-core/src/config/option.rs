// SPDX-License-Identifier: GPL-2.0
//! What an administrator can write for a setting: name, values, range, default, unit.

/// The unit of a plain number: what `1` means without a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A count, seconds, bytes: the number itself.
    One,
    /// KiB (1024).
    Kib,
    /// Sectors (512 bytes).
    Sector,
}

impl Scale {
    /// The letter behind a number in this unit; empty for [`Self::One`].
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::One => "",
            Self::Kib => "k",
            Self::Sector => "s",
        }
    }

    /// How many basic units one of these is.
    #[must_use]
    pub const fn size(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Kib => 1024,
            Self::Sector => 512,
        }
    }
}

/// One word of an enumeration and the number that stands for it in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumValue {
    /// The word, e.g. `resource-only`.
    pub word: &'static str,
    /// The number.
    pub number: u32,
}

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A number. Bounds are inclusive and in units of `scale`.
    Number {
        /// The default.
        default: i64,
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Unit of a plain number.
        scale: Scale,
        /// What is measured, as `show` says it: `seconds`, `bytes/second`. Empty: a count.
        unit: &'static str,
    },
    /// One of a few words.
    Enum {
        /// Number of the default word.
        default: u32,
        /// All words, in the order in which help lists them.
        values: &'static [EnumValue],
    },
    /// `yes` or `no`, always sent.
    Bool {
        /// The default.
        default: bool,
    },
    /// Sent only if it is on; not kept.
    Flag,
    /// A string; the default is empty.
    Text,
    /// A socket address; not set by default.
    Address,
}

/// An option of a command or a keyword of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// The name, e.g. `resync-rate`.
    pub name: &'static str,
    /// Another name that is understood, e.g. `dry-run`.
    pub alias: Option<&'static str>,
    /// The values.
    pub kind: OptionKind,
}

impl OptionSpec {
    /// A number with default and inclusive bounds.
    #[must_use]
    pub const fn number(
        name: &'static str,
        (default, min, max): (i64, i64, i64),
        scale: Scale,
        unit: &'static str,
    ) -> Self {
        Self {
            name,
            alias: None,
            kind: OptionKind::Number {
                default,
                min,
                max,
                scale,
                unit,
            },
        }
    }

    /// One of `values`.
    #[must_use]
    pub const fn words(name: &'static str, default: u32, values: &'static [EnumValue]) -> Self {
        Self {
            name,
            alias: None,
            kind: OptionKind::Enum { default, values },
        }
    }

    /// `yes` or `no`.
    #[must_use]
    pub const fn boolean(name: &'static str, default: bool) -> Self {
        Self {
            name,
            alias: None,
            kind: OptionKind::Bool { default },
        }
    }

    /// A flag.
    #[must_use]
    pub const fn flag(name: &'static str, alias: Option<&'static str>) -> Self {
        Self {
            name,
            alias,
            kind: OptionKind::Flag,
        }
    }

    /// A string.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            alias: None,
            kind: OptionKind::Text,
        }
    }

    /// A socket address.
    #[must_use]
    pub const fn address(name: &'static str) -> Self {
        Self {
            name,
            alias: None,
            kind: OptionKind::Address,
        }
    }

    /// Whether `name` is this option's name or its other name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }

    /// The default as a number: flags and texts are 0.
    #[must_use]
    pub const fn default_number(&self) -> i64 {
        match self.kind {
            OptionKind::Number { default, .. } => default,
            OptionKind::Enum { default, .. } => default as i64,
            OptionKind::Bool { default: true } => 1,
            OptionKind::Bool { default: false }
            | OptionKind::Flag
            | OptionKind::Text
            | OptionKind::Address => 0,
        }
    }
}
