// SPDX-License-Identifier: GPL-2.0
//! Configurations made from the grammar: every section, option, unit and older spelling turns up
//! somewhere, in any order and layout. Most of them make sense, as people's do.
//!
//! A second text says what `drbdsetup show` might answer about the first resource, with a few
//! things different from the configuration.

use std::fmt::Write as _;

use drbd_conf::number::Unit;
use drbd_conf::options::{Kind, OptionDef, Section};

use crate::random::Random;

/// A configuration and what runs.
pub(crate) struct Case {
    pub(crate) text: String,
    pub(crate) show: String,
}

/// Where volumes are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Resource,
    Hosts,
    Both,
}

struct Volume {
    number: u32,
    minor: u32,
    device: String,
    disk: String,
    meta: String,
    options: Vec<(String, String)>,
}

struct Resource {
    name: String,
    /// Host names; this node's is `alice`, if it has a part.
    hosts: Vec<String>,
    /// With an address only, no names.
    floating: bool,
    /// IPv6 instead of IPv4.
    six: bool,
    port: u64,
    explicit: bool,
    place: Place,
    volumes: Vec<Volume>,
    net: Vec<(String, String)>,
    disk: Vec<(String, String)>,
    options: Vec<(String, String)>,
    startup: Vec<(String, String)>,
    handlers: Vec<(String, String)>,
}

/// The configuration that a seed stands for.
pub(crate) fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let random = &mut random;
    let count = 1 + random.below(3);
    let mut minor = 0;
    let mut resources = Vec::new();
    for index in 0..count {
        resources.push(resource(random, index, &mut minor));
    }
    let mut text = String::new();
    if random.chance(50) {
        global(random, &mut text);
    }
    let common = random
        .chance(40)
        .then(|| common(random))
        .unwrap_or_default();
    if random.chance(70) {
        text.push_str(&common);
    }
    for (index, resource) in resources.iter().enumerate() {
        let earlier = index.checked_sub(1).and_then(|at| resources.get(at));
        print(random, resource, earlier, &mut text);
        decoration(random, &mut text);
    }
    if random.chance(15) {
        stacked(random, &resources[0], &mut minor, &mut text);
    }
    let show = show(random, &resources[0]);
    Case { text, show }
}

fn quoted(random: &mut Random, word: &str) -> String {
    if random.chance(12) {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}

fn decoration(random: &mut Random, text: &mut String) {
    match random.below(12) {
        0 => text.push_str("# a remark; with { braces \"\n"),
        1 => text.push_str("skip foo { bar { } \"x\" }\n"),
        2 => text.push_str("skip { resource r99 { on x { } } }\n"),
        3 => text.push_str("\t \r\n\n"),
        _ => {}
    }
}

fn global(random: &mut Random, text: &mut String) {
    let mut lines = Vec::new();
    for (chance, line) in [
        (40, "usage-count no;"),
        (40, "disable-ip-verification;"),
        (25, "udev-always-use-vnr;"),
        (20, "minor-count 64;"),
        (20, "dialog-refresh 5;"),
        (15, "cmd-timeout-short 6;"),
        (15, "cmd-timeout-medium 122;"),
        (15, "cmd-timeout-long 601;"),
    ] {
        if random.chance(chance) {
            lines.push(line);
        }
    }
    random.shuffle(&mut lines);
    let _ = writeln!(text, "global {{ {} }}", lines.join(" "));
}

fn common(random: &mut Random) -> String {
    let mut text = String::from("common {\n");
    let mut parts = Vec::new();
    for section in [
        Section::Net,
        Section::Disk,
        Section::Options,
        Section::Startup,
        Section::Handlers,
    ] {
        if random.chance(50) {
            let chosen = some_options(random, section, 4);
            parts.push(block(random, section.keyword(), section, &chosen));
        }
    }
    if random.chance(15) {
        parts.push("  syncer { rate 33M; verify-alg sha1; al-extents 3389; }\n".to_owned());
    }
    if random.chance(15) {
        parts.push("  proxy { memlimit 100M; plugin { zlib level 9; } }\n".to_owned());
    }
    if random.chance(10) && !parts.iter().any(|part| part.contains("net {")) {
        parts.push("  protocol C;\n".to_owned());
    }
    random.shuffle(&mut parts);
    text.push_str(&parts.concat());
    text.push_str("}\n");
    text
}

/// A value that the grammar and the checks take.
fn value(random: &mut Random, def: &OptionDef) -> Option<String> {
    Some(match def.kind {
        // Stock's adjust does not know the default of these two: see docs/differences.md.
        Kind::Number { unit, max, .. } if matches!(def.name, "size" | "max-bio-bvecs") => {
            number(random, unit, 1, max)
        }
        Kind::Number { unit, min, max, .. } => number(random, unit, min, max),
        Kind::Choice { values, .. } => random.of(values).to_owned(),
        Kind::Bool { .. } => random.of(&["yes", "no", ""]).to_owned(),
        Kind::Text => text_value(random, def.name),
        Kind::Dependency => return None,
    })
}

fn number(random: &mut Random, unit: Unit, min: u64, max: u64) -> String {
    let plain = match random.below(6) {
        0 => min,
        1 => max,
        2 => random.between(min, max),
        _ => random.between(min, max.min(min.saturating_add(2000))),
    };
    let scales: &[(&str, u64)] = match unit {
        Unit::One => &[("k", 1024), ("K", 1024), ("M", 1 << 20), ("s", 512)],
        Unit::Kibi => &[("k", 1), ("K", 1), ("M", 1 << 10), ("G", 1 << 20)],
        Unit::Sector => &[("s", 1), ("k", 2), ("M", 1 << 11), ("G", 1 << 21)],
    };
    if random.chance(35) {
        let (letter, scale) = scales[random.below(scales.len())];
        let (low, high) = (min.div_ceil(scale), max / scale);
        if low <= high {
            let scaled = random.between(low, high.min(low + 5000));
            return format!("{scaled}{letter}");
        }
    }
    plain.to_string()
}

fn text_value(random: &mut Random, name: &str) -> String {
    match name {
        "cpu-mask" => random.of(&["1", "ff", "\"3,f\"", "\"\""]).to_owned(),
        "shared-secret" => random
            .of(&["secret", "\"a \\\"b\\\\c\"", "\"x'y$z\"", "FooFunFactory"])
            .to_owned(),
        _ if name.ends_with("-alg") => random.of(&["sha1", "md5", "crc32c", "\"\""]).to_owned(),
        _ => random
            .of(&[
                "/bin/true",
                "\"/usr/lib/drbd/notify.sh root; echo b > /proc/sysrq-trigger\"",
                "\"\"",
                "\"a|b & c\"",
            ])
            .to_owned(),
    }
}

/// Up to `most` options of a section with values.
fn some_options(random: &mut Random, section: Section, most: usize) -> Vec<(String, String)> {
    let mut defs: Vec<&OptionDef> = section.table().iter().collect();
    random.shuffle(&mut defs);
    defs.truncate(random.below(most + 1));
    if random.chance(5) {
        // The same once more.
        defs.extend(defs.first().copied());
    }
    let mut chosen = Vec::new();
    for def in defs {
        if let Some(value) = value(random, def) {
            chosen.push((def.name.to_owned(), value));
        }
    }
    chosen
}

/// The text of an option section, with an older spelling here and there.
fn block(
    random: &mut Random,
    keyword: &str,
    section: Section,
    options: &[(String, String)],
) -> String {
    let mut text = format!("  {keyword} {{");
    for (name, value) in options {
        let older = match (name.as_str(), value.as_str()) {
            ("disk-barrier" | "disk-flushes" | "disk-drain" | "md-flushes" | "tcp-cork", "no") => {
                Some(format!("no-{name}"))
            }
            ("resync-rate", _) => Some(format!("rate {value}")),
            ("fence-peer", _) => Some(format!("outdate-peer {value}")),
            _ => None,
        };
        match older.filter(|_| random.chance(30)) {
            Some(older) => {
                let _ = write!(text, " {older};");
            }
            None if value.is_empty() => {
                let _ = write!(text, " {name};");
            }
            None => {
                let _ = write!(text, " {name} {value};");
            }
        }
        if random.chance(5) {
            text.push_str(" # remark\n   ");
        }
    }
    if random.chance(3) && section != Section::Syncer {
        text.push_str(" throttle-threshold 17;");
    }
    text.push_str(" }\n");
    text
}

fn resource(random: &mut Random, index: usize, minor: &mut u32) -> Resource {
    let explicit = random.chance(45);
    let count = if explicit { 1 + random.below(3) } else { 1 };
    let mut volumes = Vec::new();
    let mut next = 0;
    for at in 0..count {
        if explicit {
            next += u32::try_from(random.below(3)).expect("small") + u32::from(at > 0);
        }
        *minor += 1 + u32::try_from(random.below(3)).expect("small");
        let device = match random.below(4) {
            0 => format!("/dev/drbd{minor}"),
            1 => format!("minor {minor}"),
            2 => format!("/dev/drbd_v{minor} minor {minor}"),
            _ => format!("drbd{minor} minor {minor}"),
        };
        let disk = match random.below(4) {
            0 => format!("\"/dev/disk/by id/x{minor}\""),
            _ => format!("/dev/sd{minor}"),
        };
        let meta = match random.below(5) {
            0 => format!("meta-disk /dev/meta{minor}"),
            1 => format!("meta-disk /dev/meta[{minor}]"),
            2 => format!("flexible-meta-disk /dev/flex{minor}"),
            _ => "meta-disk internal".to_owned(),
        };
        let options = if random.chance(20) {
            some_options(random, Section::Disk, 3)
        } else {
            Vec::new()
        };
        volumes.push(Volume {
            number: next,
            minor: *minor,
            device,
            disk,
            meta,
            options,
        });
    }
    let names: &[&str] = match random.below(10) {
        0 => &["alice", "bob", "carol"],
        1 => &["bob", "carol"],
        2 => &["bob", "alice"],
        _ => &["alice", "bob"],
    };
    let mut section = |section, most| {
        if random.chance(45) {
            some_options(random, section, most)
        } else {
            Vec::new()
        }
    };
    let net = section(Section::Net, 6);
    let disk = section(Section::Disk, 5);
    let options = section(Section::Options, 2);
    let startup = section(Section::Startup, 3);
    let handlers = section(Section::Handlers, 3);
    Resource {
        name: format!("r{index}"),
        hosts: names.iter().map(|name| (*name).to_owned()).collect(),
        floating: random.chance(5),
        six: random.chance(15),
        port: 7000 + u64::try_from(index).expect("small"),
        explicit,
        place: match random.below(3) {
            0 => Place::Resource,
            1 => Place::Hosts,
            _ => Place::Both,
        },
        volumes,
        net,
        disk,
        options,
        startup,
        handlers,
    }
}

impl Resource {
    /// The address of the host at this place, without its keyword.
    fn address(&self, host: usize) -> String {
        let (port, host) = (self.port, host + 1);
        match self.six {
            true => format!("ipv6 [2001:db8::{host}]:{port}"),
            false => format!("10.0.0.{host}:{port}"),
        }
    }
}

/// The statements of a volume; `inner` are those for a host, if the rest is told elsewhere.
fn volume_statements(random: &mut Random, volume: &Volume, parts: [bool; 3]) -> Vec<String> {
    let mut lines = Vec::new();
    let [device, disk, meta] = parts;
    if device {
        lines.push(format!("device {};", volume.device));
    }
    if disk {
        lines.push(format!("disk {};", volume.disk));
    }
    if meta {
        lines.push(format!("{};", volume.meta));
    }
    random.shuffle(&mut lines);
    lines
}

fn volumes(random: &mut Random, resource: &Resource, parts: [bool; 3], options: bool) -> String {
    let mut text = String::new();
    if !parts.contains(&true) {
        return text;
    }
    for volume in &resource.volumes {
        let mut lines = volume_statements(random, volume, parts);
        if options && !volume.options.is_empty() && resource.explicit {
            lines.push(block(random, "disk", Section::Disk, &volume.options));
        }
        let lines = lines.join(" ");
        let _ = match resource.explicit {
            true => writeln!(text, "  volume {} {{ {lines} }}", volume.number),
            false => writeln!(text, "  {lines}"),
        };
    }
    text
}

fn print(random: &mut Random, resource: &Resource, earlier: Option<&Resource>, out: &mut String) {
    let _ = writeln!(out, "resource {} {{", quoted(random, &resource.name));
    let outer = match resource.place {
        Place::Resource => [true, true, true],
        Place::Hosts => [false, false, false],
        Place::Both => [random.chance(50), random.chance(50), random.chance(50)],
    };
    out.push_str(&volumes(random, resource, outer, true));
    let mut parts = Vec::new();
    let mut disk = resource.disk.clone();
    let mut net = resource.net.clone();
    if let Some(earlier) = earlier.filter(|_| random.chance(30)) {
        let volume = earlier.volumes.first().filter(|_| earlier.explicit);
        let after = match volume {
            Some(volume) => format!("{}/{}", earlier.name, volume.number),
            None => earlier.name.clone(),
        };
        disk.push(("resync-after".to_owned(), after));
    }
    if random.chance(10) {
        net.push(("after-sb-0pri".to_owned(), "discard-node-bob".to_owned()));
    }
    for (section, options) in [
        (Section::Net, &net),
        (Section::Disk, &disk),
        (Section::Options, &resource.options),
        (Section::Startup, &resource.startup),
        (Section::Handlers, &resource.handlers),
    ] {
        if !options.is_empty() {
            parts.push(block(random, section.keyword(), section, options));
        }
    }
    if random.chance(8) {
        parts.push("  syncer { rate 5M; use-rle; cpu-mask f; }\n".to_owned());
    }
    if random.chance(8) && net.iter().all(|(name, _)| name != "protocol") {
        parts.push(format!("  protocol {};\n", random.of(&["A", "B", "C"])));
    }
    for host in 0..resource.hosts.len() {
        parts.push(host_section(random, resource, host, outer));
    }
    // Sections of hosts inherit only what stands in front of them, so these come first.
    random.shuffle(&mut parts);
    out.push_str(&parts.concat());
    out.push_str("}\n");
}

fn host_section(random: &mut Random, resource: &Resource, host: usize, outer: [bool; 3]) -> String {
    let missing = outer.map(|told| !told);
    let address = resource.address(host);
    let mut body = vec![volumes(random, resource, missing, false)];
    let head = if resource.floating {
        format!("  floating {address}")
    } else {
        let family = match (resource.six, random.below(8)) {
            (true, _) => "",
            (false, 0) => "ipv4 ",
            (false, 1) => "ssocks ",
            (false, _) => "",
        };
        body.push(format!("    address {family}{address};\n"));
        let name = quoted(random, &resource.hosts[host]);
        match random.chance(5) {
            true => format!("  on {name} also-{}", resource.hosts[host]),
            false => format!("  on {name}"),
        }
    };
    random.shuffle(&mut body);
    let body = body.concat();
    match resource.floating && body.is_empty() {
        true => format!("{head};\n"),
        false => format!("{head} {{\n{body}  }}\n"),
    }
}

/// A resource on top of the first one.
fn stacked(random: &mut Random, lower: &Resource, minor: &mut u32, text: &mut String) {
    *minor += 10;
    let _ = writeln!(text, "resource top {{");
    let mut devices = String::new();
    let mut far = String::new();
    for (at, volume) in (0u32..).zip(&lower.volumes) {
        let minor = *minor + at;
        let inner = format!("device /dev/drbd{minor} minor {minor};");
        let disks = format!("{inner} disk /dev/far{minor}; meta-disk internal;");
        if lower.explicit {
            let number = volume.number;
            let _ = write!(devices, " volume {number} {{ {inner} }}");
            let _ = write!(far, " volume {number} {{ {disks} }}");
        } else {
            let _ = write!(devices, " {inner}");
            let _ = write!(far, " {disks}");
        }
    }
    if random.chance(50) {
        text.push_str("  startup { stacked-timeouts; }\n");
    }
    let _ = writeln!(
        text,
        "  stacked-on-top-of {} {{{devices} address 10.0.1.1:7999; }}",
        lower.name
    );
    let _ = writeln!(text, "  on dave {{{far} address 10.0.1.2:7999; }}\n}}");
}

/// What `drbdsetup show` might say about a resource: nothing, or what was configured, or almost.
fn show(random: &mut Random, resource: &Resource) -> String {
    if random.chance(20) || resource.floating {
        return String::new();
    }
    let changed = random.below(6);
    let mut text = format!("resource {} {{\n    options {{\n", resource.name);
    shown_options(random, &resource.options, changed == 0, &mut text);
    text.push_str("    }\n");
    if random.chance(85) {
        text.push_str("    net {\n");
        shown_options(random, &resource.net, changed == 1, &mut text);
        text.push_str("    }\n");
        if random.chance(90) {
            let address = address_shown(resource, "bob", u64::from(changed == 2));
            let _ = writeln!(text, "    _remote_host {{\n        {address}\n    }}");
        }
    }
    let address = address_shown(resource, "alice", 0);
    let _ = writeln!(text, "    _this_host {{\n        {address}");
    for volume in &resource.volumes {
        if random.chance(10) {
            continue;
        }
        let minor = volume.minor + u32::from(random.chance(5));
        let _ = writeln!(
            text,
            "        volume {} {{\n            device\t\t\tminor {minor};",
            volume.number
        );
        if random.chance(85) {
            let other = if random.chance(10) { "x" } else { "" };
            let disk = volume.disk.trim_matches('"');
            let _ = writeln!(text, "            disk\t\t\t\"{disk}{other}\";");
            let meta = volume.meta.rsplit(' ').next().unwrap_or("internal");
            let meta = match meta.split_once('[') {
                Some((device, slot)) => format!("\"{device}\" [{slot}"),
                None if meta == "internal" => meta.to_owned(),
                None => format!("\"{meta}\""),
            };
            let _ = writeln!(
                text,
                "            meta-disk\t\t\t{meta};\n            disk {{"
            );
            shown_options(random, &resource.disk, changed == 3, &mut text);
            text.push_str("            }\n");
        }
        text.push_str("        }\n");
    }
    text.push_str("    }\n}\n");
    text
}

fn address_shown(resource: &Resource, name: &str, more: u64) -> String {
    let host = resource.hosts.iter().position(|host| host == name);
    let (host, port) = (host.map_or(9, |host| host + 1), resource.port + more);
    match resource.six {
        true => format!("address\t\t\tipv6 [2001:db8::{host}]:{port};"),
        false => format!("address\t\t\tipv4 10.0.0.{host}:{port};"),
    }
}

fn shown_options(
    random: &mut Random,
    options: &[(String, String)],
    change: bool,
    text: &mut String,
) {
    for (name, value) in options {
        if change && random.chance(50) {
            continue;
        }
        let value = match value.as_str() {
            "" => "yes",
            value => value,
        };
        let _ = writeln!(text, "        {name:<16}\t{value}; # as it is");
    }
}
