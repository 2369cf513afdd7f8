// SPDX-License-Identifier: GPL-2.0
//! drbdsetup's command line as a clap definition: for completion scripts only.
//!
//! Parsing is `getopt`'s: its sentences and freedoms are part of the interface.

use super::command::{Command, HasValue, Object, COMMANDS};
use super::manual::about;
use clap::{Arg, ArgAction};
use drbd_core::config::{OptionKind, OptionSpec};

/// All commands with their arguments and options.
#[must_use]
pub fn definition() -> clap::Command {
    let commands = COMMANDS.iter().map(subcommand);
    clap::Command::new("drbdsetup")
        .about("Configure the DRBD kernel module")
        .disable_help_subcommand(true)
        .subcommands(commands)
}

fn subcommand(command: &Command) -> clap::Command {
    let mut definition = clap::Command::new(command.name).about(about(command.name));
    let object = match command.object {
        Object::Minor => Some(("minor", true)),
        Object::Resource => Some(("resource", true)),
        Object::Any => Some(("resource|minor|all", false)),
        Object::ResourceOrAll => Some(("resource|all", false)),
        Object::Nothing => None,
    };
    if let Some((name, is_required)) = object {
        definition = definition.arg(Arg::new(name).required(is_required));
    }
    for argument in command.arguments {
        definition = definition.arg(Arg::new(argument.name()).required(true));
    }
    for option in command.local_options() {
        let mut arg = Arg::new(option.name).long(option.name);
        if option.letter.is_ascii_alphabetic() {
            arg = arg.short(option.letter);
        }
        arg = match option.value {
            HasValue::No => arg.action(ArgAction::SetTrue),
            HasValue::Optional => arg.num_args(0..=1).require_equals(true),
            HasValue::Required => arg,
        };
        definition = definition.arg(arg);
    }
    for (_, option) in command.fields() {
        definition = definition.arg(field_option(&option));
    }
    definition
}

fn field_option(option: &OptionSpec) -> Arg {
    let mut arg = Arg::new(option.name).long(option.name);
    if let Some(alias) = option.alias {
        arg = arg.alias(alias);
    }
    match option.kind {
        OptionKind::Number {
            default,
            min,
            max,
            scale,
            unit,
        } => {
            let letter = scale.letter();
            let limits = limits(min, max, letter, unit);
            arg.value_name("number")
                .help(format!("{limits}, default {default}{letter}"))
        }
        OptionKind::Enum { values, .. } => {
            let words: Vec<&str> = values.iter().map(|value| value.word).collect();
            arg.value_parser(words)
        }
        OptionKind::Bool { default } => {
            let default = if default { "yes" } else { "no" };
            yes_or_no(arg).help(format!("default {default}"))
        }
        OptionKind::Flag => yes_or_no(arg),
        OptionKind::Text => arg.value_name("text"),
        OptionKind::Address => arg.value_name("address"),
    }
}

/// The smallest and the largest value of a number with its unit, in words.
pub(super) fn limits(min: i64, max: i64, letter: &str, unit: &str) -> String {
    let space = if unit.is_empty() { "" } else { " " };
    format!("{min} to {max}{letter}{space}{unit}")
}

fn yes_or_no(arg: Arg) -> Arg {
    arg.value_parser(["yes", "no"])
        .num_args(0..=1)
        .require_equals(true)
}

#[cfg(test)]
mod tests {
    use super::definition;

    /// clap's own checks, and that commands that stock has are understood.
    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
        let parse = |line: &str| definition().try_get_matches_from(line.split_whitespace());
        assert!(
            parse("drbdsetup attach 1 a b internal --resync-rate=6M --disk-flushes=no").is_ok()
        );
        assert!(parse("drbdsetup status --verbose --json").is_ok());
        assert!(parse("drbdsetup attach 1 a b internal --fencing=no-such-word").is_err());
    }
}
