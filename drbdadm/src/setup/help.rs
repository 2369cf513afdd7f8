// SPDX-License-Identifier: GPL-2.0
//! `help`, `xml-help`, and the usage text of errors: as stock prints them, from the tables.

use super::command::{Argument, Command, HasValue, Object, COMMANDS};
use drbd_core::config::{OptionKind, OptionSpec};
use std::fmt::Write as _;

/// Column behind which the synopsis is wrapped.
const WIDTH: usize = 80;
const COLUMNS: usize = 3;

/// The list of all commands.
#[must_use]
pub(super) fn overview(program: &str) -> String {
    let mut text = format!(
        "\nUSAGE: {program} command device arguments options\n\n\
         Device is usually /dev/drbdX or /dev/drbd/X.\n\nCommands are:\n"
    );
    for row in COMMANDS.chunks(COLUMNS) {
        text.push_str("    ");
        for command in row {
            let _ = write!(text, "{:<20}", command.name);
        }
        text.push('\n');
    }
    text.push_str("\nTo get more details about a command issue 'drbdsetup help cmd'.\n\n");
    text
}

/// What the object stands for in a synopsis.
fn objects(object: Object) -> &'static [&'static str] {
    match object {
        Object::Minor => &["minor"],
        Object::Resource => &["resource"],
        Object::Nothing => &[],
        Object::Any => &["resource", "minor", "all"],
        Object::ResourceOrAll => &["resource", "all"],
    }
}

fn option_values(option: &OptionSpec) -> String {
    match option.kind {
        OptionKind::Number { min, max, .. } => format!("({min} ... {max})"),
        OptionKind::Enum { values, .. } => {
            let words: Vec<&str> = values.iter().map(|value| value.word).collect();
            format!("{{{}}}", words.join("|"))
        }
        OptionKind::Bool { .. } | OptionKind::Flag => "{yes|no}".to_owned(),
        OptionKind::Text => "<str>".to_owned(),
        OptionKind::Address => "[{af}:]{local_addr}[:{port}]".to_owned(),
    }
}

/// The synopsis of a command. Options that stock does not have are left out.
#[must_use]
pub(super) fn usage(program: &str, command: &Command) -> String {
    let mut words = Vec::new();
    if command.object != Object::Nothing {
        words.push(format!("{{{}}}", objects(command.object).join("|")));
    }
    for argument in command.arguments {
        words.push(match argument {
            Argument::LocalAddress | Argument::RemoteAddress => {
                format!("[{{af}}:]{{{}}}[:{{port}}]", argument.name())
            }
            _ => format!("{{{}}}", argument.name()),
        });
    }
    for option in command
        .local_options()
        .iter()
        .filter(|option| !is_new(option.name))
    {
        words.push(match option.value {
            HasValue::No => format!("[--{}]", option.name),
            HasValue::Optional | HasValue::Required => format!("[--{}=...]", option.name),
        });
    }
    for (_, option) in command.fields() {
        words.push(format!("[--{}={}]", option.name, option_values(&option)));
    }
    let mut text = format!("USAGE:\n {program} {}", command.name);
    let mut column = 1 + program.len() + 1 + command.name.len();
    for word in words {
        if column + 1 + word.len() > WIDTH {
            let _ = write!(text, "\n    {word}");
            column = 4 + word.len();
        } else {
            let _ = write!(text, " {word}");
            column += 1 + word.len();
        }
    }
    text.push('\n');
    text
}

/// Options that this program has and stock has not.
fn is_new(name: &str) -> bool {
    name == "json"
}

/// The description of a command for programs.
#[must_use]
pub(super) fn xml(command: &Command) -> String {
    let mut text = format!("<command name=\"{}\">\n", command.name);
    match objects(command.object) {
        [] => {}
        [one] => {
            let _ = writeln!(text, "\t<argument>{one}</argument>");
        }
        several => {
            text.push_str("\t<group>\n");
            for one in several {
                let _ = writeln!(text, "\t\t<argument>{one}</argument>");
            }
            text.push_str("\t</group>\n");
        }
    }
    for argument in command.arguments {
        let _ = writeln!(text, "\t<argument>{}</argument>", argument.name());
    }
    for option in command
        .local_options()
        .iter()
        .filter(|option| !is_new(option.name))
    {
        let kind = if option.value == HasValue::No {
            "flag"
        } else {
            "string"
        };
        let _ = writeln!(
            text,
            "\t<option name=\"{}\" type=\"{kind}\">\n\t</option>",
            option.name
        );
    }
    for (_, option) in command.fields() {
        xml_option(&mut text, &option);
    }
    text.push_str("</command>\n");
    text
}

fn xml_option(text: &mut String, option: &OptionSpec) {
    let (kind, lines) = match option.kind {
        OptionKind::Number {
            default,
            min,
            max,
            scale,
            unit,
        } => {
            let prefix = match scale.letter() {
                "" => "1",
                letter => letter,
            };
            let mut lines = vec![
                format!("<min>{min}</min>"),
                format!("<max>{max}</max>"),
                format!("<default>{default}</default>"),
                format!("<unit_prefix>{prefix}</unit_prefix>"),
            ];
            if !unit.is_empty() {
                lines.push(format!("<unit>{unit}</unit>"));
            }
            ("numeric", lines)
        }
        OptionKind::Enum { values, .. } => {
            let word =
                |value: &drbd_core::config::EnumValue| format!("<handler>{}</handler>", value.word);
            ("handler", values.iter().map(word).collect())
        }
        OptionKind::Bool { default } => {
            let word = if default { "yes" } else { "no" };
            ("boolean", vec![format!("<default>{word}</default>")])
        }
        OptionKind::Flag => ("boolean", vec!["<default>no</default>".to_owned()]),
        OptionKind::Text => ("string", Vec::new()),
        OptionKind::Address => ("address", Vec::new()),
    };
    let _ = writeln!(text, "\t<option name=\"{}\" type=\"{kind}\">", option.name);
    for line in lines {
        let _ = writeln!(text, "\t\t{line}");
    }
    text.push_str("\t</option>\n");
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::{overview, usage, xml};

    /// What stock drbdsetup-84 of drbd-utils 9.22.0 printed for each command.
    const GOLDEN: &str = include_str!("golden/help.txt");
    const GOLDEN_XML: &str = include_str!("golden/xml-help.txt");

    #[test]
    fn every_synopsis_is_stocks() {
        let mut count = 0;
        for part in GOLDEN.split("=== ").skip(1) {
            let (name, text) = part.split_once('\n').expect("name");
            let command = command::find(name).expect(name);
            assert_eq!(usage("drbdsetup-84", command), text);
            count += 1;
        }
        assert_eq!(count, command::COMMANDS.len());
    }

    #[test]
    fn every_description_is_stocks() {
        for part in GOLDEN_XML.split("<command name=\"").skip(1) {
            let name = part.split('"').next().expect("name");
            let command = command::find(name).expect(name);
            assert_eq!(xml(command), format!("<command name=\"{part}"));
        }
    }

    #[test]
    fn the_overview_lists_all() {
        let text = overview("drbdsetup-84");
        assert!(
            text.contains("\n    primary             secondary           attach              \n")
        );
        assert!(text.contains("\n    del-minor           del-resource        \n\nTo get more"));
    }
}
