// SPDX-License-Identifier: GPL-2.0
//! The language's options and the kernel's attributes are the same settings.

use drbd_conf::number::Unit;
use drbd_conf::options::{Kind, OptionDef, Section};
use drbd_core::config::{DiskConf, NetConf, OptionKind, ResOpts, Scale};
use drbd_core::genl::Nest;

/// Options that only the language has.
const LANGUAGE_ONLY: [&str; 1] = ["use-bmbv"];
/// Options that only the command line has.
const COMMAND_ONLY: [&str; 2] = ["tentative", "discard-my-data"];

fn unit(scale: Scale) -> Unit {
    match scale {
        Scale::One => Unit::One,
        Scale::Kib => Unit::Kibi,
        Scale::Sector => Unit::Sector,
    }
}

fn compare(def: &OptionDef, kernel: OptionKind) {
    let name = def.name;
    match (def.kind, kernel) {
        (
            Kind::Number {
                unit: ours,
                min,
                max,
                default,
            },
            OptionKind::Number {
                default: d,
                min: low,
                max: high,
                scale,
                ..
            },
        ) => {
            let number = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
            assert_eq!(ours, unit(scale), "{name}: unit");
            assert_eq!((min, max), (number(low), number(high)), "{name}: range");
            assert_eq!(default, number(d), "{name}: default");
        }
        (
            Kind::Choice { values, default },
            OptionKind::Enum {
                default: d,
                values: words,
            },
        ) => {
            let mut ours: Vec<&str> = values.to_vec();
            let mut theirs: Vec<&str> = words.iter().map(|value| value.word).collect();
            ours.sort_unstable();
            theirs.sort_unstable();
            assert_eq!(ours, theirs, "{name}: words");
            let word = words
                .iter()
                .find(|value| value.number == d)
                .map(|value| value.word);
            assert_eq!(Some(default), word, "{name}: default");
        }
        (Kind::Bool { default }, OptionKind::Bool { default: d }) => {
            assert_eq!(default, d, "{name}: default");
        }
        (Kind::Text, OptionKind::Text) | (Kind::Dependency, OptionKind::Number { .. }) => {}
        (ours, theirs) => panic!("{name}: {ours:?} here, {theirs:?} in the kernel"),
    }
}

fn agree<N: Nest>(section: Section) {
    let mut compared = 0;
    for def in section.table() {
        if LANGUAGE_ONLY.contains(&def.name) {
            continue;
        }
        let field = N::SET.option(def.name);
        let option = field.and_then(|field| field.option);
        let option = option.unwrap_or_else(|| panic!("the kernel does not know {}", def.name));
        compare(def, option.kind);
        compared += 1;
    }
    let fields = N::SET.fields.iter().filter_map(|field| field.option);
    for option in fields.filter(|option| !COMMAND_ONLY.contains(&option.name)) {
        if !matches!(option.kind, OptionKind::Flag | OptionKind::Address) {
            assert!(
                section.option(option.name).is_some(),
                "no {} here",
                option.name
            );
        }
    }
    assert!(compared > 1, "{section:?} was not compared");
}

#[test]
fn net_options_agree() {
    agree::<NetConf>(Section::Net);
}

#[test]
fn disk_options_agree() {
    agree::<DiskConf>(Section::Disk);
}

#[test]
fn resource_options_agree() {
    agree::<ResOpts>(Section::Options);
}
