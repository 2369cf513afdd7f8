// SPDX-License-Identifier: GPL-2.0
//! One row of the table, and the values in it.

use std::collections::HashMap;
use std::fmt;

use drbd_core::state::{Disk, Fencing, Role};
use drbd_core::uuid::{AfterSb, UuidFlags, UuidSet};

/// One experiment.
pub(crate) struct Row {
    pub(crate) id: u32,
    fields: HashMap<&'static str, &'static str>,
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut lines = include_str!("../golden/handshake.tsv").lines();
    let names: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    lines
        .map(|line| {
            let fields: HashMap<_, _> = names.iter().copied().zip(line.split('\t')).collect();
            assert_eq!(fields.len(), names.len(), "{line}");
            Row {
                id: fields["id"].parse().expect("a number"),
                fields,
            }
        })
        .collect()
}

impl Row {
    pub(crate) fn get(&self, name: &str) -> &'static str {
        self.fields[name]
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.get(name) == "1"
    }

    /// A number; `-` counts as `default`.
    pub(crate) fn number(&self, name: &str, default: u32) -> u32 {
        match self.get(name) {
            "-" => default,
            n => n.parse().unwrap_or_else(|_| panic!("{self}: {name} {n}")),
        }
    }

    pub(crate) fn role(&self, name: &str) -> Role {
        Role::from_name(self.get(name)).unwrap_or_else(|| panic!("{self}: {name}"))
    }

    pub(crate) fn disk(&self, name: &str) -> Disk {
        Disk::from_name(self.get(name)).unwrap_or_else(|| panic!("{self}: {name}"))
    }

    pub(crate) fn uuids(&self, name: &str) -> UuidSet {
        match self.get(name) {
            "-" => UuidSet::default(),
            text => uuid_set(text),
        }
    }

    pub(crate) fn flags(&self, name: &str) -> UuidFlags {
        UuidFlags::from_bits(u64::from(self.number(name, 0)))
    }

    pub(crate) fn bits(&self, name: &str) -> u64 {
        match self.get(name) {
            "all" => 8182,
            _ => u64::from(self.number(name, 0)),
        }
    }

    pub(crate) fn fencing(&self) -> Fencing {
        match self.get("c_fencing") {
            "dont-care" => Fencing::DontCare,
            "resource-only" => Fencing::ResourceOnly,
            "resource-and-stonith" => Fencing::ResourceAndStonith,
            other => panic!("{self}: fencing {other}"),
        }
    }

    pub(crate) fn policy(&self, name: &str) -> AfterSb {
        match self.get(name) {
            "call-pri-lost-after-sb" | "call-pri-lost" => AfterSb::CallHelper,
            "violently-as0p" => AfterSb::Violently,
            text => *AfterSb::ALL
                .iter()
                .find(|p| p.to_string() == text)
                .unwrap_or_else(|| panic!("{self}: {name} {text}")),
        }
    }

    /// The text after `key` in the note, up to the next `;` or `)`.
    pub(crate) fn noted(&self, key: &str) -> Option<&'static str> {
        let (_, rest) = self.get("note").split_once(key)?;
        rest.split([';', ')']).next().map(str::trim)
    }

    /// What is logged after each `key`, up to the next separator.
    pub(crate) fn logged(&self, key: &str) -> Vec<&'static str> {
        self.get("log")
            .split(" | ")
            .filter_map(|line| line.strip_prefix(key))
            .collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "row {} ({}: {})",
            self.id,
            self.get("group"),
            self.get("note")
        )
    }
}

/// Four UUIDs as the log writes them.
pub(crate) fn uuid_set(text: &str) -> UuidSet {
    let v: Vec<u64> = text
        .split(':')
        .map(|u| u64::from_str_radix(u, 16).expect("a UUID"))
        .collect();
    let [current, bitmap, h1, h2] = v[..] else {
        panic!("not four UUIDs: {text}")
    };
    UuidSet {
        current,
        bitmap,
        history: [h1, h2],
    }
}
