// SPDX-License-Identifier: GPL-2.0
//! The manual page drbdmeta(8), written from the table of commands and options.

use clap_mangen::roff::{bold, italic, roman, Roff};

use super::cli::{self, Verb};

/// What a command does.
const fn about(verb: Verb) -> &'static str {
    match verb {
        Verb::GetGi => "Prints the identifiers of the data generation.",
        Verb::ShowGi => "Explains the identifiers of the data generation.",
        Verb::SetGi => "Sets the identifiers: GI as get-gi prints it. For experts.",
        Verb::DumpMd => "Prints all metadata as text.",
        Verb::RestoreMd => "Writes what dump-md printed into FILE.",
        Verb::VerifyDump => "Checks that FILE is what dump-md prints.",
        Verb::DumpSuperblock => "Prints the superblock alone, see --output-format.",
        Verb::ApplyAl => "Marks what the activity log tells of as out of sync.",
        Verb::WipeMd => "Removes the metadata.",
        Verb::Outdate => "Marks the data as no longer the newest.",
        Verb::Invalidate => "Marks the data as unusable without a resync.",
        Verb::Dstate => "Prints the state of the disk.",
        Verb::ReadDevUuid => "Prints the identifier of the device.",
        Verb::WriteDevUuid => "Sets the identifier of the device.",
        Verb::CheckResize => "Moves internal metadata to the end of a disk that has grown.",
        Verb::CreateMd => "Writes new metadata, after questions if something is there already.",
    }
}

/// The page as roff.
#[must_use]
pub fn page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["drbdmeta", "8", "", "", "DRBD 8.4"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "drbdmeta - read and write DRBD's metadata on a disk that is not in use",
    )]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold("drbdmeta"),
        roman(" ["),
        italic("OPTION"),
        roman("...] "),
        italic("DEVICE"),
        roman(" "),
        bold("v08"),
        roman(" "),
        italic("META-DISK INDEX COMMAND"),
        roman(" ["),
        italic("ARGUMENT"),
        roman("]"),
    ]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        bold("drbdadm"),
        roman("(8) calls drbdmeta with what it finds in "),
        bold("drbd.conf"),
        roman(
            "(5). DEVICE is the minor, META-DISK the disk or file that holds the metadata, \
             INDEX is internal, flex-external, or a number: the slot of 128 MiB.",
        ),
    ]);
    page.control("SH", ["COMMANDS"]);
    for (name, verb) in Verb::ALL {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(about(verb))]);
    }
    page.control("SH", ["OPTIONS"]);
    for option in cli::command().get_arguments() {
        let Some(long) = option.get_long() else {
            continue;
        };
        let mut head = Vec::new();
        if let Some(letter) = option.get_short() {
            head.push(bold(format!("-{letter}")));
            head.push(roman(", "));
        }
        head.push(bold(format!("--{long}")));
        if option.get_action().takes_values() {
            let names = option.get_value_names().unwrap_or_default();
            let name = names.first().map_or("VAL", |name| name.as_str());
            head.push(roman(format!("={name}")));
        }
        page.control("TP", []);
        page.text(head);
        let help = option.get_help().map(ToString::to_string);
        page.text([roman(help.unwrap_or_default())]);
    }
    page.control("SH", ["EXIT CODES"]);
    page.text([roman(
        "0 done; 1 no valid metadata, an unclean activity log, or an answer was not yes; 5 the \
         data is inconsistent; 10 the disk is too small, unreadable, or a dump's text is wrong; 20 \
         the command line is wrong or the disk in use; 40 the disk holds something else and is \
         not touched.",
    )]);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("drbdadm"), roman("(8), "), bold("drbd.conf")]);
    page.text([roman("(5)")]);
    page.to_roff()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_told() {
        let page = page().replace("\\-", "-");
        for (name, _) in Verb::ALL {
            assert!(page.contains(&format!("\\fB{name}\\fR")), "{name}");
        }
        for name in [
            "--force",
            "--peer-max-bio-size=VAL",
            "--output-format=FORMAT",
        ] {
            assert!(page.replace("\\fR", "").contains(name), "{name}");
        }
    }
}
