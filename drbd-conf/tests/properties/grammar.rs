// SPDX-License-Identifier: GPL-2.0
//! Makes configurations from the grammar, one for each seed, and damages them.

use drbd_conf::number::Unit;
use drbd_conf::options::{Kind, OptionDef, Section, ALIASES, DEAD, SYNCER};

/// A source of choices (splitmix64: good enough, and the same everywhere).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.roll() % limit).unwrap_or(0)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'p, T>(&mut self, list: &'p [T]) -> &'p T {
        &list[self.below(list.len())]
    }
}

/// The grammar at one seed.
pub(crate) struct Grammar {
    dice: Dice,
    /// Counts what must be unique: minors, ports, metadata devices.
    next: u32,
}

impl Grammar {
    /// The grammar at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Grammar {
            dice: Dice(seed),
            next: 0,
        }
    }

    fn unique(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn number(&mut self, unit: Unit, min: u64, max: u64, default: u64) -> String {
        let value = *self.dice.pick(&[min, max, default, min + (max - min) / 2]);
        match (unit, self.dice.below(4)) {
            (Unit::One, 0) if value > 0 && value % 1024 == 0 => format!("{}k", value / 1024),
            (Unit::Sector, 0) if value % 2 == 0 => format!("{}K", value / 2),
            (Unit::Sector, 1) => format!("{value}s"),
            (Unit::Kibi, 0) if value % 1024 == 0 => format!("{}M", value / 1024),
            _ => value.to_string(),
        }
    }

    fn option(&mut self, def: &OptionDef) -> String {
        let name = def.name;
        match def.kind {
            Kind::Number {
                unit,
                min,
                max,
                default,
            } => {
                format!("{name} {};", self.number(unit, min, max, default))
            }
            Kind::Choice { values, .. } => format!("{name} {};", self.dice.pick(values)),
            Kind::Bool { .. } => format!("{name}{};", self.dice.pick(&["", " yes", " no"])),
            Kind::Text => {
                let texts = [
                    "sha1",
                    "\"a b\"",
                    "\"\"",
                    "\"q\\\"\\\\z\"",
                    "on",
                    "5",
                    "x.y-z_/",
                ];
                format!("{name} {};", self.dice.pick(&texts))
            }
            Kind::Dependency => format!("{name} r{};", self.dice.below(3)),
        }
    }

    fn section(&mut self, section: Section) -> String {
        let mut text = format!("{} {{", section.keyword());
        for _ in 0..self.dice.below(6) {
            text.push(' ');
            if self.dice.chance(85) {
                let def = *self.dice.pick(section.table());
                text.push_str(&self.option(&def));
                continue;
            }
            let aliases: Vec<_> = ALIASES.iter().filter(|a| a.section == section).collect();
            match aliases.is_empty() || self.dice.chance(40) {
                true => text.push_str(&format!("{} 7;", self.dice.pick(DEAD))),
                false => match self.dice.pick(&aliases) {
                    alias if alias.value.is_some() => text.push_str(&format!("{};", alias.old)),
                    alias => text.push_str(&format!("{} 300;", alias.old)),
                },
            }
        }
        text + " }"
    }

    fn syncer(&mut self) -> String {
        let mut text = String::from("syncer {");
        for _ in 0..self.dice.below(5) {
            let member = *self.dice.pick(SYNCER);
            let def = member
                .section
                .option(member.name)
                .expect("a syncer member is an option");
            let option = self.option(def);
            let rest = option
                .strip_prefix(member.name)
                .expect("its name comes first");
            text.push_str(&format!(" {}{rest}", member.old));
        }
        text + " }"
    }

    fn startup(&mut self) -> String {
        let mut text = self.section(Section::Startup);
        text.truncate(text.len() - 1);
        if self.dice.chance(30) {
            text.push_str("stacked-timeouts; ");
        }
        if self.dice.chance(30) {
            let whom = *self.dice.pick(&["alice bob", "both"]);
            text.push_str(&format!("become-primary-on {whom}; "));
        }
        text + "}"
    }

    fn sections(&mut self) -> Vec<String> {
        let mut parts = Vec::new();
        for section in [
            Section::Net,
            Section::Disk,
            Section::Options,
            Section::Handlers,
        ] {
            if self.dice.chance(40) {
                parts.push(self.section(section));
            }
        }
        if self.dice.chance(30) {
            parts.push(self.startup());
        }
        if self.dice.chance(20) {
            parts.push(self.syncer());
        }
        if self.dice.chance(20) {
            parts.push(format!(
                "protocol {};",
                self.dice.pick(&["A", "B", "C", "c"])
            ));
        }
        if self.dice.chance(10) {
            parts.push("proxy { memlimit 10M; plugin { zlib level 9; foo \"a b\" on; } }".into());
        }
        parts
    }

    fn device(&mut self, minor: u32) -> String {
        match self.dice.below(5) {
            0 => format!("device minor {minor};"),
            1 => format!("device drbd{minor};"),
            2 => format!("device /dev/drbd_n{minor} minor {minor};"),
            3 => format!("device /dev/drbd{minor} minor {minor};"),
            _ => format!("device /dev/drbd{minor};"),
        }
    }

    fn meta_disk(&mut self) -> String {
        let n = self.unique();
        match self.dice.below(6) {
            0 => format!("meta-disk /dev/md{n};"),
            1 => format!("meta-disk /dev/mdx[{n}];"),
            2 => format!("flexible-meta-disk \"/dev/m d{n}\";"),
            3 => format!("meta-disk \"/dev/m x\" [ {n} ];"),
            _ => "meta-disk internal;".to_owned(),
        }
    }

    fn volume(&mut self, minor: u32, host: &str, options: bool) -> String {
        let mut parts = vec![self.device(minor), format!("disk /dev/{host}{minor};")];
        parts.push(self.meta_disk());
        if options && self.dice.chance(30) {
            parts.push(self.section(Section::Disk));
        }
        self.shuffle(&mut parts);
        parts.join(" ")
    }

    fn shuffle(&mut self, parts: &mut [String]) {
        for at in (1..parts.len()).rev() {
            parts.swap(at, self.dice.below(at + 1));
        }
    }

    fn volumes(&mut self, numbers: &[u32], minors: &[u32], host: &str) -> Vec<String> {
        if numbers.is_empty() {
            return vec![self.volume(minors[0], host, false)];
        }
        let pairs = numbers.iter().zip(minors);
        pairs
            .map(|(vnr, minor)| format!("volume {vnr} {{ {} }}", self.volume(*minor, host, true)))
            .collect()
    }

    fn resource(&mut self, name: &str) -> String {
        let numbers: Vec<u32> = (0..4).filter(|_| self.dice.chance(25)).collect();
        let minors: Vec<u32> = (0..numbers.len().max(1)).map(|_| self.unique()).collect();
        let port = 7000 + self.unique();
        let at_resource_level = self.dice.chance(50);
        let mut parts = self.sections();
        if at_resource_level {
            let volumes = self.volumes(&numbers, &minors, "sd");
            parts.extend(volumes);
        }
        for (at, host) in ["alice", "bob"].into_iter().enumerate() {
            let mut body = vec![match self.dice.below(4) {
                0 => format!("address ipv6 [fe80::{}%eth0]:{port};", at + 1),
                1 => format!("address ipv4 10.0.0.{}:{port};", at + 1),
                _ => format!("address 10.0.0.{}:{port};", at + 1),
            }];
            if !at_resource_level {
                let volumes = self.volumes(&numbers, &minors, host);
                body.extend(volumes);
            }
            if self.dice.chance(10) {
                body.push(format!("alternate-link-address 10.1.0.{}:{port};", at + 1));
            }
            if self.dice.chance(10) {
                body.push("options { cpu-mask 3; }".to_owned());
            }
            self.shuffle(&mut body);
            parts.push(format!("on {host} {{ {} }}", body.join(" ")));
        }
        let quoted = if self.dice.chance(20) {
            format!("\"{name}\"")
        } else {
            name.to_owned()
        };
        format!("resource {quoted} {{\n  {}\n}}\n", parts.join("\n  "))
    }

    /// A whole configuration.
    pub(crate) fn config(&mut self) -> String {
        let mut text = String::new();
        if self.dice.chance(50) {
            text.push_str("global { ");
            for statement in [
                "disable-ip-verification;",
                "usage-count no;",
                "minor-count 64;",
                "dialog-refresh 5;",
                "cmd-timeout-short 9;",
                "cmd-timeout-medium 30;",
                "cmd-timeout-long 40;",
                "udev-always-use-vnr;",
            ] {
                if self.dice.chance(30) {
                    text.push_str(statement);
                    text.push(' ');
                }
            }
            text.push_str("}\n");
        }
        if self.dice.chance(50) {
            text.push_str(&format!("common {{ {} }}\n", self.sections().join("\n  ")));
        }
        for at in 0..=self.dice.below(3) {
            text.push_str(&self.resource(&format!("r{at}")));
            if self.dice.chance(10) {
                text.push_str("# a comment\nskip old { a { b \"}\" } }\n");
            }
        }
        text
    }
}

/// Damages `hits` tokens of a text.
pub(crate) fn damage(text: &str, seed: u64, hits: usize) -> String {
    const JUNK: [&str; 14] = [
        "{",
        "}",
        ";",
        "foo",
        "\"",
        "net",
        "5",
        "99999999999",
        "-1",
        "on",
        "10.0.0.1",
        "[",
        "\\",
        "1T",
    ];
    let mut dice = Dice(seed ^ 0xdead);
    let mut tokens: Vec<String> = text
        .split_inclusive([' ', ';', '\n'])
        .map(str::to_owned)
        .collect();
    for _ in 0..hits {
        if tokens.is_empty() {
            break;
        }
        let at = dice.below(tokens.len());
        match dice.below(4) {
            0 => {
                tokens.remove(at);
            }
            1 => tokens.insert(at, format!("{} ", dice.pick(&JUNK))),
            2 => tokens[at] = format!("{} ", dice.pick(&JUNK)),
            _ => {
                let other = dice.below(tokens.len());
                tokens.swap(at, other);
            }
        }
    }
    tokens.concat()
}
