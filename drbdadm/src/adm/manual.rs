// SPDX-License-Identifier: GPL-2.0
//! The manual page drbd.conf(5), written from the tables that the parser works with.

use clap_mangen::roff::{bold, italic, roman, Inline, Roff};
use drbd_conf::number::Unit;
use drbd_conf::options::{Kind, OptionDef, Section};

/// The page as roff.
#[must_use]
pub fn drbd_conf() -> String {
    let mut page = Roff::new();
    page.control("TH", ["drbd.conf", "5", "", "", "DRBD 8.4"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "drbd.conf - the resources that DRBD mirrors, and how",
    )]);
    introduction(&mut page);
    example(&mut page);
    sections(&mut page);
    for (section, about) in [
        (Section::Net, "The connection of a resource."),
        (Section::Disk, "The disks of a resource, or of one volume."),
        (Section::Options, "The resource as a whole."),
        (Section::Startup, "What happens at boot."),
        (
            Section::Handlers,
            "Command lines for /bin/sh, run when the kernel reports something.",
        ),
    ] {
        let title = format!("OPTIONS IN {}", section.keyword());
        page.control("SH", [title.as_str()]);
        page.text([roman(about)]);
        for def in section.table() {
            option(&mut page, def);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("drbdadm"), roman("(8)")]);
    page.to_roff()
}

fn introduction(page: &mut Roff) {
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        roman("drbdadm reads /etc/drbd.conf, which in turn includes other files. It is the same "),
        roman("on all nodes: each finds its own part by its name, as "),
        bold("uname -n"),
        roman(" tells it."),
    ]);
    page.control("PP", []);
    page.text([
        roman(
            "A statement ends with a semicolon, a section stands in braces, a comment goes from ",
        ),
        roman("# to the end of the line. A word with other characters than letters, digits and "),
        roman("/ . _ - stands in double quotes. "),
        bold("drbdadm dump"),
        roman(" checks the file, shows each mistake at its place and prints the rest."),
    ]);
    page.control("PP", []);
    page.text([
        roman(
            "A number may end in k, M or G (1024, 1024\u{b2}, 1024\u{b3}) or s (512). Without one ",
        ),
        roman("it is counted as the option says below."),
    ]);
}

fn example(page: &mut Roff) {
    page.control("SH", ["EXAMPLE"]);
    page.control("nf", []);
    let lines = [
        "resource r0 {",
        "    device    /dev/drbd0;",
        "    disk      /dev/vdb;",
        "    meta-disk internal;",
        "    net { protocol C; }",
        "    on alpha { address 10.0.0.1:7788; }",
        "    on beta  { address 10.0.0.2:7788; }",
        "}",
    ];
    for line in lines {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

fn sections(page: &mut Roff) {
    let entries: [(&str, &str); 11] = [
        (
            "include \"PATTERN\";",
            "Reads other files, in sorted order.",
        ),
        (
            "global { }",
            "disable-ip-verification, minor-count, dialog-refresh, usage-count (without \
            effect), cmd-timeout-short, -medium and -long, udev-always-use-vnr.",
        ),
        ("common { }", "Option sections that hold for all resources."),
        (
            "resource NAME { }",
            "A resource: option sections, volumes, and a section for each node.",
        ),
        (
            "on NAME… { }",
            "A node: address, and what differs from the other nodes.",
        ),
        (
            "floating ADDRESS { }",
            "A node that is known by its address.",
        ),
        (
            "stacked-on-top-of RESOURCE { }",
            "The nodes of another resource, on its devices.",
        ),
        (
            "volume N { }",
            "device, disk, meta-disk and disk options of one volume. Without it \
            these statements mean volume 0. What stands before the nodes' sections holds for all \
            of them.",
        ),
        ("device /dev/drbdN; device minor N;", "The device."),
        ("disk PATH;", "The backing device."),
        (
            "meta-disk internal; PATH; PATH[N];",
            "Where DRBD keeps its metadata: at the end of the \
            backing device, alone on another one, or in a slot of 128 MiB on it.",
        ),
    ];
    page.control("SH", ["SECTIONS AND STATEMENTS"]);
    for (name, about) in entries {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(about)]);
    }
}

fn option(page: &mut Roff, def: &OptionDef) {
    let mut head: Vec<Inline> = vec![bold(def.name), roman(" ")];
    let mut tail = String::new();
    match def.kind {
        Kind::Number {
            unit,
            min,
            max,
            default,
        } => {
            head.push(italic("number"));
            let counted = match unit {
                Unit::One => "",
                Unit::Kibi => " KiB",
                Unit::Sector => " sectors",
            };
            tail = format!("From {min} to {max}{counted}; {default} if not set.");
        }
        Kind::Choice { values, default } => {
            head.push(italic("word"));
            tail = format!("One of {}; {default} if not set.", values.join(", "));
        }
        Kind::Bool { default } => {
            head.push(italic("yes|no"));
            tail = format!("{} if not set.", if default { "yes" } else { "no" });
        }
        Kind::Text => head.push(italic("text")),
        Kind::Dependency => head.push(italic("RESOURCE[/VOLUME]")),
    }
    let mut about = def.about.to_owned();
    if let Some(first) = about.get(..1).map(str::to_uppercase) {
        about.replace_range(..1, &first);
    }
    page.control("TP", []);
    page.text(head);
    page.text([roman(format!("{about}. {tail}"))]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_told() {
        let page = drbd_conf().replace("\\-", "-");
        for section in [
            Section::Net,
            Section::Disk,
            Section::Startup,
            Section::Handlers,
        ] {
            for def in section.table() {
                assert!(page.contains(def.name), "{}", def.name);
            }
        }
        assert!(page.contains("From 1 to 600; 60 if not set."));
    }
}
