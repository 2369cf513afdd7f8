// SPDX-License-Identifier: GPL-2.0
//! The manual page drbdsetup(8), written from the table of commands.

use super::cli::limits;
use super::command::{Command, HasValue, Object, COMMANDS};
use clap_mangen::roff::{bold, italic, roman, Inline, Roff};
use drbd_conf::options::Section;
use drbd_core::config::{OptionKind, OptionSpec};

/// What each command does.
const ABOUT: [(&str, &str); 38] = [
    ("primary", "Makes the device usable on this node"),
    (
        "secondary",
        "Takes the right to use the device from this node",
    ),
    ("attach", "Gives the device its disk"),
    ("disk-options", "Changes options of an attached disk"),
    ("detach", "Takes the disk from the device"),
    ("connect", "Connects with the peer, now or when it is there"),
    ("net-options", "Changes options of a connection"),
    ("disconnect", "Ends a connection"),
    ("resize", "Lets the device grow with its disks"),
    ("resource-options", "Changes options of a resource"),
    ("new-current-uuid", "Begins a new generation of the data"),
    ("invalidate", "Fetches all data from the peer"),
    ("invalidate-remote", "Sends all data to the peer"),
    ("pause-sync", "Stops a resync for a while"),
    ("resume-sync", "Lets a paused resync go on"),
    ("suspend-io", "Holds back all requests"),
    ("resume-io", "Lets requests go on"),
    ("outdate", "Marks the data as no longer the newest"),
    ("verify", "Compares the data with the peer's"),
    (
        "down",
        "Takes a resource down: connections, disks, devices, all",
    ),
    ("state", "An older name of role"),
    ("role", "Prints own and peer's role"),
    ("sh-status", "Prints the state as shell variables"),
    ("cstate", "Prints the connection's state"),
    ("dstate", "Prints own and peer's disk state"),
    ("show-gi", "Explains the identifiers of the data generation"),
    ("get-gi", "Prints the identifiers of the data generation"),
    ("show", "Prints the settings in use, as configuration text"),
    ("status", "Prints the state for people, or as JSON"),
    (
        "check-resize",
        "Notes the size of the disk, to find metadata after it has grown",
    ),
    ("events", "Prints each change of state, in 8.3's form"),
    ("events2", "Prints the state and then each change of it"),
    ("wait-connect", "Waits for the peer"),
    ("wait-sync", "Waits for the end of a resync"),
    ("new-resource", "Makes a resource"),
    ("new-minor", "Makes a device of a resource"),
    ("del-minor", "Removes a device that has no disk"),
    ("del-resource", "Removes a resource that is empty"),
];

/// What a command does, in half a line.
#[must_use]
pub(super) fn about(command: &str) -> &'static str {
    let entry = ABOUT.iter().find(|(name, _)| *name == command);
    entry.map_or("", |(_, about)| about)
}

/// The page as roff.
#[must_use]
pub fn page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["drbdsetup", "8", "", "", "DRBD 8.4"]);
    page.control("SH", ["NAME"]);
    page.text([roman("drbdsetup - configure the DRBD kernel module")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold("drbdsetup"),
        roman(" "),
        italic("COMMAND"),
        roman(" ["),
        italic("OBJECT"),
        roman("] ["),
        italic("ARGUMENT"),
        roman("...] ["),
        italic("OPTION"),
        roman("...]"),
    ]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        roman("drbdsetup does one thing at a time and knows no configuration file. "),
        bold("drbdadm"),
        roman("(8) reads "),
        bold("drbd.conf"),
        roman("(5) and calls what stands here; "),
        bold("drbdadm -d"),
        roman(
            " prints these calls. A minor is a number or a device node. An address is \
             [FAMILY:]ADDRESS[:PORT] with the family ipv4, ipv6, sdp or ssocks; the address of \
             ipv6 stands in brackets.",
        ),
    ]);
    page.control("SH", ["COMMANDS"]);
    for command in COMMANDS {
        one_command(&mut page, command);
    }
    exit_codes(&mut page);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("drbdadm"), roman("(8), "), bold("drbdmeta")]);
    page.text([roman("(8), "), bold("drbd.conf"), roman("(5)")]);
    page.to_roff()
}

fn one_command(page: &mut Roff, command: &Command) {
    let mut head = vec![bold(command.name)];
    let object = match command.object {
        Object::Minor => Some("minor"),
        Object::Resource => Some("resource"),
        Object::Any => Some("[resource|minor|all]"),
        Object::ResourceOrAll => Some("[resource|all]"),
        Object::Nothing => None,
    };
    let names = command.arguments.iter().map(|argument| argument.name());
    for name in object.into_iter().chain(names) {
        head.push(roman(" "));
        head.push(italic(name));
    }
    page.control("TP", []);
    page.text(head);
    page.text([roman(format!("{}.", about(command.name)))]);
    let local = command.local_options();
    if local.is_empty() && command.fields().next().is_none() {
        return;
    }
    page.control("RS", []);
    for option in local {
        let value = match option.value {
            HasValue::No => "",
            HasValue::Optional => "[=VALUE]",
            HasValue::Required => "=VALUE",
        };
        page.control("TP", []);
        page.text([bold(format!("--{}", option.name)), roman(value)]);
        page.text([roman(about_local(option.name))]);
    }
    for (_, option) in command.fields() {
        field_option(page, &option);
    }
    page.control("RE", []);
}

/// What an option of the tool itself does.
fn about_local(name: &str) -> &'static str {
    match name {
        "set-defaults" => "Everything that is not named gets its default.",
        "statistics" => "With counters.",
        "show-defaults" => "Also what has its default value.",
        "verbose" => "Also what is as usual.",
        "color" => "auto, always or never.",
        "json" => "As JSON, in the form of DRBD 9.",
        "timestamps" => "With the time of each line.",
        "now" => "End after the present state.",
        "wfc-timeout" => "Give up after so many seconds; 0: never.",
        "degr-wfc-timeout" => "The same if this node ran alone before it went down.",
        "outdated-wfc-timeout" => "The same if the peer's data is known to be outdated.",
        "wait-after-sb" => "Go on waiting although the connection is StandAlone.",
        _ => "",
    }
}

fn field_option(page: &mut Roff, option: &OptionSpec) {
    let (value, tail) = match option.kind {
        OptionKind::Number {
            default,
            min,
            max,
            scale,
            unit,
        } => {
            let letter = scale.letter();
            let limits = limits(min, max, letter, unit);
            let tail = format!("From {limits}; {default}{letter} if not set.");
            ("=NUMBER", tail)
        }
        OptionKind::Enum { values, .. } => {
            let words: Vec<&str> = values.iter().map(|value| value.word).collect();
            ("=WORD", format!("One of {}.", words.join(", ")))
        }
        OptionKind::Bool { default } => {
            let default = if default { "yes" } else { "no" };
            ("[=yes|no]", format!("{default} if not set."))
        }
        OptionKind::Flag => ("[=yes|no]", String::new()),
        OptionKind::Text => ("=TEXT", String::new()),
        OptionKind::Address => ("=ADDRESS", String::new()),
    };
    let known = [Section::Disk, Section::Net, Section::Options]
        .iter()
        .find_map(|section| section.option(option.name));
    let mut text: Vec<Inline> = Vec::new();
    if let Some(def) = known {
        let mut about = def.about.to_owned();
        if let Some(first) = about.get(..1).map(str::to_uppercase) {
            about.replace_range(..1, &first);
        }
        text.push(roman(format!("{about}. ")));
    }
    text.push(roman(tail));
    page.control("TP", []);
    page.text([bold(format!("--{}", option.name)), roman(value)]);
    page.text(text);
}

fn exit_codes(page: &mut Roff) {
    page.control("SH", ["EXIT CODES"]);
    for (code, about) in [
        ("0", "Done, or nothing to do."),
        ("1", "show-gi, get-gi: not configured, or without disk."),
        (
            "5",
            "The disk is worse than outdated; a wait came to its end.",
        ),
        (
            "10",
            "The module refused it as a mistake in the configuration.",
        ),
        ("11", "The module refused the change of state."),
        ("16", "Refused: no local disk."),
        ("17", "Refused: no data that is up to date."),
        (
            "20",
            "A mistake in the command line, or something else failed.",
        ),
    ] {
        page.control("TP", []);
        page.text([bold(code)]);
        page.text([roman(about)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_told() {
        let page = page().replace("\\-", "-");
        for command in COMMANDS {
            assert!(!about(command.name).is_empty(), "{}", command.name);
            assert!(page.contains(&format!("\\fB{}\\fR", command.name)));
            for option in command.local_options() {
                assert!(!about_local(option.name).is_empty(), "{}", option.name);
            }
            for (_, option) in command.fields() {
                assert!(page.contains(&format!("--{}", option.name)));
            }
        }
    }
}
