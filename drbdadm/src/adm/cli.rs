// SPDX-License-Identifier: GPL-2.0
//! The command line of drbdadm: clap's definition of it, and the habits of 8.4 around it.
//!
//! Words in front of the command that are no command are passed on to the back end, which older
//! scripts use as `drbdadm -- --overwrite-data-of-peer primary r0`.

use super::command::{self, Command, Group, Passes};
use clap::{Arg, ArgAction, ArgMatches};
use drbd_conf::options::{self, Kind, OptionDef};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the user wants.
#[derive(Clone, Debug)]
pub struct Request {
    /// The command.
    pub command: &'static Command,
    /// Resources, as written.
    pub names: Vec<String>,
    /// Options for the back end, in order.
    pub passed: Vec<String>,
    /// Options that hold for every command.
    pub options: Options,
}

/// Options that hold for every command.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-S`.
    pub stacked: bool,
    /// How often `-d`.
    pub dry_run: u8,
    /// How often `-v`.
    pub verbose: u8,
    /// `-c`.
    pub config: Option<String>,
    /// `-t`.
    pub config_to_test: Option<String>,
    /// `-s`.
    pub drbdsetup: Option<PathBuf>,
    /// `-m`.
    pub drbdmeta: Option<PathBuf>,
    /// `-p`.
    pub proxy_ctl: Option<PathBuf>,
    /// `-n`.
    pub sh_varname: Option<String>,
    /// `-P`.
    pub peer: Option<String>,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// To do something.
    Run(Box<Request>),
    /// To print this and exit 0.
    Print(String),
    /// To print the version block.
    Version,
    /// Nothing sensible: print this to stderr and exit 1.
    Refuse(String),
    /// For packagers: a completion script or man pages.
    Generate(Vec<String>),
}

/// The options in front of any command, as clap sees them.
fn general_options() -> Vec<Arg> {
    let flag = |name: &'static str, short, help: &'static str| {
        Arg::new(name)
            .long(name)
            .short(short)
            .help(help)
            .global(true)
    };
    let value = |name: &'static str, short, metavar: &'static str, help: &'static str| {
        flag(name, short, help).value_name(metavar).num_args(1)
    };
    vec![
        flag("stacked", 'S', "Act on stacked resources").action(ArgAction::SetTrue),
        flag("dry-run", 'd', "Print what would be run, run nothing").action(ArgAction::Count),
        flag("verbose", 'v', "Print each back-end command before it runs").action(ArgAction::Count),
        value(
            "config-file",
            'c',
            "FILE",
            "Configuration file, `-` for standard input",
        ),
        value(
            "config-to-test",
            't',
            "FILE",
            "Parse this file too (dump and sh-nop only)",
        ),
        value("drbdsetup", 's', "PROGRAM", "Use this drbdsetup"),
        value("drbdmeta", 'm', "PROGRAM", "Use this drbdmeta"),
        value("drbd-proxy-ctl", 'p', "PROGRAM", "Use this drbd-proxy-ctl"),
        value(
            "sh-varname",
            'n',
            "NAME",
            "With -d or -v: print NAME=RESOURCE before each command",
        ),
        value(
            "peer",
            'P',
            "NAME",
            "The peer's host section, where there are several",
        ),
        value(
            "setup-option",
            'W',
            "OPTION",
            "Pass this on to the back end as it is",
        )
        .action(ArgAction::Append)
        .allow_hyphen_values(true),
        flag("version", 'V', "Print versions").action(ArgAction::SetTrue),
        flag(
            "help",
            'h',
            "Print help; `drbdadm help COMMAND` for one command",
        )
        .action(ArgAction::SetTrue),
    ]
}

/// An option that is passed on to the back end.
fn passed_option(name: &'static str, metavar: Option<&'static str>, help: &'static str) -> Arg {
    let arg = Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::Append);
    match metavar {
        Some(metavar) => arg
            .value_name(metavar)
            .num_args(1)
            .allow_hyphen_values(true),
        None => arg
            .value_name("yes|no")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(""),
    }
}

fn passed_from_table(table: &'static [OptionDef], without: &[&str]) -> Vec<Arg> {
    let wanted = table.iter().filter(|def| !without.contains(&def.name));
    wanted
        .map(|def| {
            let metavar = match def.kind {
                Kind::Bool { .. } => None,
                Kind::Number { .. } => Some("NUMBER"),
                Kind::Choice { .. } => Some("WORD"),
                Kind::Text => Some("TEXT"),
                Kind::Dependency => Some("MINOR"),
            };
            passed_option(def.name, metavar, def.about)
        })
        .collect()
}

/// The options that a command passes on.
fn passed_options(passes: Passes) -> Vec<Arg> {
    let defaults = || passed_option("set-defaults", None, "Reset what is not named");
    match passes {
        Passes::Nothing => Vec::new(),
        Passes::Attach => passed_from_table(options::DISK, &["use-bmbv"]),
        Passes::DiskOptions => {
            let mut args = vec![defaults()];
            let without = ["use-bmbv", "size", "max-bio-bvecs"];
            args.append(&mut passed_from_table(options::DISK, &without));
            args
        }
        Passes::Connect => {
            let mut args = vec![
                passed_option("tentative", None, "Only find out what a resync would do"),
                passed_option(
                    "discard-my-data",
                    None,
                    "After a split brain: give up this node's",
                ),
            ];
            args.append(&mut passed_from_table(options::NET, &[]));
            args
        }
        Passes::NetOptions => {
            let mut args = vec![defaults()];
            args.append(&mut passed_from_table(options::NET, &[]));
            args
        }
        Passes::ResourceOptions => {
            let mut args = vec![defaults()];
            args.append(&mut passed_from_table(options::RESOURCE, &[]));
            args
        }
        Passes::Listed(list) => list
            .iter()
            .map(|(name, metavar, help)| passed_option(name, *metavar, help))
            .collect(),
    }
}

fn subcommand(command: &'static Command) -> clap::Command {
    let heading = format!("OPTIONS FOR {}", command.name);
    let names = Arg::new("names")
        .value_name("all|RESOURCE[/VOLUME]|minor-N")
        .num_args(0..);
    let names = match command.scope {
        command::Scope::Nothing => names.hide(true),
        _ => names.help("What to act on"),
    };
    clap::Command::new(command.name)
        .about(command.about)
        .hide(command.group != Group::Normal)
        .disable_help_flag(true)
        .infer_long_args(true)
        .arg(names)
        .next_help_heading(heading)
        .args(passed_options(command.passes))
}

/// The whole command line, for parsing, help, completion and man pages.
#[must_use]
pub fn definition() -> clap::Command {
    clap::Command::new("drbdadm")
        .about("Runs DRBD resources as /etc/drbd.conf describes them")
        .long_about(
            "Runs DRBD resources as /etc/drbd.conf describes them.\n\n\
             A first session, on both nodes: `drbdadm create-md r0`, `drbdadm up r0`; then on the \
             node whose data shall survive: `drbdadm primary --force r0`. Use /dev/drbd0 there. \
             `drbdadm status` shows how far the copy is.",
        )
        .after_help(
            "RESOURCE may be `all`, a name, NAME/VOLUME or minor-N. Try -d first: it only prints.\n\
             Exit codes: 0 done, 1 usage or unknown resource, 10 configuration, 20 could not run.",
        )
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .next_help_heading("GENERAL OPTIONS")
        .args(general_options())
        .subcommands(command::COMMANDS.iter().map(subcommand))
}

/// Options that take the next word as their value.
const WITH_VALUE: &[&str] = &[
    "-c",
    "-t",
    "-s",
    "-m",
    "-p",
    "-n",
    "-P",
    "-W",
    "--config-file",
    "--config-to-test",
    "--drbdsetup",
    "--drbdmeta",
    "--drbd-proxy-ctl",
    "--sh-varname",
    "--peer",
    "--setup-option",
];

/// The command line in three parts around the command.
#[derive(Debug, Default)]
struct Split {
    /// Options in front.
    before: Vec<String>,
    /// Words in front that are passed on.
    passed: Vec<String>,
    /// The command and what follows.
    rest: Vec<String>,
    /// A `--` in front of the command: what follows are names.
    only_names: bool,
}

fn split(words: Vec<String>) -> Split {
    let mut parts = Split::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let known = command::find(&word).is_some()
            || command::DEPRECATED.iter().any(|(old, _)| *old == word)
            || matches!(word.as_str(), "help" | "generate");
        if known {
            parts.rest.push(word);
            parts.rest.extend(words.by_ref());
            break;
        }
        if parts.only_names {
            parts.passed.push(word);
        } else if word == "--" {
            parts.only_names = true;
        } else if word.starts_with('-') && word.len() > 1 {
            let takes_next = WITH_VALUE.contains(&word.as_str());
            parts.before.push(word);
            parts
                .before
                .extend(takes_next.then(|| words.next()).flatten());
        } else {
            parts.passed.push(word);
        }
    }
    parts
}

/// Understands a command line. `args` are the words behind the program's name.
#[must_use]
pub fn parse(args: impl Iterator<Item = OsString>) -> Asked {
    use std::os::unix::ffi::OsStrExt as _;
    let words = args
        .map(|word| drbd_conf::text::decode(word.as_bytes()))
        .collect();
    let mut parts = split(words);
    let Some(first) = parts.rest.first().cloned() else {
        return without_command(&parts);
    };
    match first.as_str() {
        "help" => {
            let about = parts.rest.get(1).and_then(|name| command::find(name));
            return Asked::Print(help(about));
        }
        "generate" => return Asked::Generate(parts.rest.split_off(1)),
        _ => {}
    }
    if let Some((old, name)) = command::DEPRECATED.iter().find(|(old, _)| *old == first) {
        eprintln!("drbdadm: `{old}` is now called `{name}`");
        (*name).clone_into(&mut parts.rest[0]);
    }
    if parts.only_names {
        parts.rest.insert(1, "--".to_owned());
    }
    let line = std::iter::once("drbdadm".to_owned())
        .chain(parts.before)
        .chain(parts.rest);
    match definition().try_get_matches_from(line) {
        Ok(matches) => understand(&matches, parts.passed),
        Err(error) => Asked::Refuse(error.render().to_string()),
    }
}

fn without_command(parts: &Split) -> Asked {
    let asks = |short: char, long: &str| {
        parts.before.iter().any(|word| {
            word == long || word.strip_prefix('-').is_some_and(|w| w.starts_with(short))
        })
    };
    if asks('h', "--help") {
        return Asked::Print(help(None));
    }
    if asks('V', "--version") {
        return Asked::Version;
    }
    match parts.passed.first() {
        Some(word) => {
            let known = command::COMMANDS.iter().map(|command| command.name);
            let meant = drbd_conf::diag::nearest(word, known);
            let hint = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
            Asked::Refuse(format!("drbdadm: Unknown command '{word}'{hint}\n"))
        }
        None => Asked::Refuse(format!("{}\nNo command specified\n", help(None))),
    }
}

/// Help as text: of everything, or of one command.
#[must_use]
pub fn help(about: Option<&'static Command>) -> String {
    let mut all = definition();
    all.build();
    match about {
        Some(command) => {
            let found = all.find_subcommand_mut(command.name);
            found.map_or_else(String::new, |c| c.render_help().to_string())
        }
        None => all.render_long_help().to_string(),
    }
}

fn understand(matches: &ArgMatches, mut passed: Vec<String>) -> Asked {
    let Some((name, own)) = matches.subcommand() else {
        return Asked::Refuse("drbdadm: no command specified\n".to_owned());
    };
    let Some(command) = command::find(name) else {
        return Asked::Refuse(format!("drbdadm: Unknown command '{name}'\n"));
    };
    if own.get_flag("help") {
        return Asked::Print(help(Some(command)));
    }
    if own.get_flag("version") {
        return Asked::Version;
    }
    let text = |id: &str| own.get_one::<String>(id).cloned();
    passed.append(&mut in_order(command, own));
    let options = Options {
        stacked: own.get_flag("stacked"),
        dry_run: own.get_count("dry-run"),
        verbose: own.get_count("verbose"),
        config: text("config-file"),
        config_to_test: text("config-to-test"),
        drbdsetup: text("drbdsetup").map(PathBuf::from),
        drbdmeta: text("drbdmeta").map(PathBuf::from),
        proxy_ctl: text("drbd-proxy-ctl").map(PathBuf::from),
        sh_varname: text("sh-varname").filter(|name| is_variable(name)),
        peer: text("peer"),
    };
    let names = own
        .get_many::<String>("names")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    Asked::Run(Box::new(Request {
        command,
        names,
        passed,
        options,
    }))
}

fn is_variable(name: &str) -> bool {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !fits {
        eprintln!("drbdadm: `{name}` can't be a shell variable, ignored");
    }
    fits
}

/// The passed options in the order they were written.
fn in_order(command: &Command, own: &ArgMatches) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let names = passed_options(command.passes)
        .into_iter()
        .map(|arg| arg.get_id().to_string());
    for id in names.chain(std::iter::once("setup-option".to_owned())) {
        let values = own.get_many::<String>(&id).into_iter().flatten();
        for (at, value) in own.indices_of(&id).into_iter().flatten().zip(values) {
            found.push((
                at,
                match (id.as_str(), value.as_str()) {
                    ("setup-option", value) => value.to_owned(),
                    (name, "") => format!("--{name}"),
                    (name, value) => format!("--{name}={value}"),
                },
            ));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests;
