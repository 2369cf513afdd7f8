// SPDX-License-Identifier: GPL-2.0
//! `show`: the configuration of the running driver in the language of the configuration file.
//!
//! `drbdadm adjust` reads this text back, so it is an interface.

use super::address;
use super::client::{Client, Status};
use super::error::SetupError;
use super::{words, Call, Io};
use drbd_core::config::disk::{DISK_OPTION_ORDER, META_INDEX_FLEX_EXTERNAL};
use drbd_core::config::net::NET_OPTION_ORDER;
use drbd_core::config::resource::RESOURCE_OPTION_ORDER;
use drbd_core::config::{DiskConf, OptionKind, OptionSpec};
use drbd_core::genl::Nest;
use std::fmt::Write as _;

/// Runs `show`.
pub(super) fn run(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let statuses = match (call.resource(), words::minor(&call.object)) {
        (Some(_), Ok(minor)) => client.status(minor).map(|status| vec![status]),
        (resource, _) => client.statuses(resource),
    };
    let statuses = statuses.map_err(about(&call.object))?;
    let text = configuration(&statuses, call.parsed.has("show-defaults"));
    io.out.write_all(text.as_bytes())?;
    Ok(0)
}

/// The text for these entries; those of one resource follow each other.
#[must_use]
pub(super) fn configuration(statuses: &[Status], with_defaults: bool) -> String {
    let mut printer = Printer {
        text: String::new(),
        depth: 0,
        with_defaults,
    };
    let groups = statuses.chunk_by(|one, other| one.resource() == other.resource());
    for (index, group) in groups.enumerate() {
        if index > 0 {
            printer.text.push('\n');
        }
        printer.resource(group);
    }
    printer.text
}

struct Printer {
    text: String,
    depth: usize,
    with_defaults: bool,
}

impl Printer {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = self.depth * 4);
    }

    fn open(&mut self, name: &str) {
        self.line(&format!("{name} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    /// A resource with its volumes; the first entry speaks for the resource.
    fn resource(&mut self, volumes: &[Status]) {
        let Some(first) = volumes.first() else { return };
        self.open(&format!("resource {}", first.resource()));
        if let Some(options) = &first.res_opts {
            self.section("options", options, RESOURCE_OPTION_ORDER);
        }
        if let Some(net) = &first.net_conf {
            self.section("net", net, NET_OPTION_ORDER);
        }
        let context = &first.context;
        if !context.peer_addr.is_empty() {
            self.open("_remote_host");
            self.line(&format!(
                "address\t\t\t{};",
                address::format(&context.peer_addr)
            ));
            self.close();
        }
        self.open("_this_host");
        if !context.my_addr.is_empty() {
            self.line(&format!(
                "address\t\t\t{};",
                address::format(&context.my_addr)
            ));
        }
        for status in volumes {
            self.volume(status);
        }
        self.close();
        self.close();
    }

    fn volume(&mut self, status: &Status) {
        let (Some(minor), Some(volume)) = (status.minor, status.context.volume) else {
            return;
        };
        self.open(&format!("volume {volume}"));
        self.line(&format!("device\t\t\tminor {minor};"));
        if let Some(disk) = &status.disk_conf {
            self.line(&format!(
                "disk\t\t\t{};",
                quoted(disk.backing_dev.as_bytes())
            ));
            self.line(&format!("meta-disk\t\t\t{};", meta_disk(disk)));
            self.section("disk", disk, DISK_OPTION_ORDER);
        }
        self.close();
    }

    fn section<N: Nest>(&mut self, name: &str, conf: &N, order: &[u16]) {
        self.open(name);
        for number in order {
            let option = N::SET.field(*number).and_then(|field| field.option);
            if let Some(line) = option.and_then(|option| self.option_line(conf, *number, &option)) {
                self.line(&line);
            }
        }
        self.close();
    }

    /// An option's line, unless it is at its default and these are not wanted.
    fn option_line<N: Nest>(&self, conf: &N, number: u16, option: &OptionSpec) -> Option<String> {
        let value = conf.number(number)?;
        let is_default = value == option.default_number();
        if is_default && !self.with_defaults {
            return None;
        }
        let mut comment = Vec::new();
        let shown = match option.kind {
            OptionKind::Number { scale, unit, .. } => {
                if !unit.is_empty() {
                    comment.push(unit);
                }
                format!("{value}{}", scale.letter())
            }
            OptionKind::Enum { values, .. } => {
                let known = values.iter().find(|known| i64::from(known.number) == value);
                known.map_or_else(|| value.to_string(), |known| known.word.to_owned())
            }
            OptionKind::Bool { .. } => (if value == 0 { "no" } else { "yes" }).to_owned(),
            OptionKind::Text => quoted(conf.text(number)?),
            // Not kept beyond the command that named them.
            OptionKind::Flag | OptionKind::Address => return None,
        };
        if is_default {
            comment.push("default");
        }
        let comment = if comment.is_empty() {
            String::new()
        } else {
            format!(" # {}", comment.join(", "))
        };
        Some(format!("{:<16}\t{shown};{comment}", option.name))
    }
}

fn quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for character in String::from_utf8_lossy(text).chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn meta_disk(disk: &DiskConf) -> String {
    let device = quoted(disk.meta_dev.as_bytes());
    match disk.meta_dev_idx {
        META_INDEX_FLEX_EXTERNAL => device,
        index @ 0.. => format!("{device} [ {index} ]"),
        _ => "internal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::configuration;
    use crate::setup::address;
    use crate::setup::client::Status;
    use drbd_core::config::{DiskConf, NetConf, ResOpts, Secret};
    use drbd_core::genl::{Context, Text};

    fn status() -> Status {
        let address = |text| address::parse(text).expect("valid");
        let context = Context::device(Text::new(b"r0").expect("short"), 0)
            .with_addresses(address("10.0.0.1:7789"), address("10.0.0.2:7789"));
        let device = Text::new(b"/dev/data0").expect("short");
        Status {
            minor: Some(1),
            context,
            res_opts: Some(ResOpts::default()),
            disk_conf: Some(DiskConf {
                backing_dev: device,
                meta_dev: device,
                meta_dev_idx: -3,
                resync_rate: 102_400,
                c_plan_ahead: 0,
                ..DiskConf::default()
            }),
            net_conf: Some(NetConf {
                connect_int: 3,
                ping_int: 5,
                verify_alg: Text::new(b"crc32c").expect("short"),
                ..NetConf::default()
            }),
            state: None,
        }
    }

    /// What drbdsetup-84 printed for this configuration, without and with defaults.
    #[test]
    fn golden() {
        assert_eq!(
            configuration(&[status()], false),
            include_str!("golden/show.txt")
        );
        assert_eq!(
            configuration(&[status()], true),
            include_str!("golden/show-defaults.txt")
        );
    }

    #[test]
    fn strings_are_quoted() {
        let mut status = status();
        status.net_conf = Some(NetConf {
            shared_secret: Secret::new(br#"se"c\x"#).expect("short"),
            timeout: 2048,
            cong_fill: 2,
            discard_my_data: true,
            ..NetConf::default()
        });
        let text = configuration(&[status], false);
        assert!(
            text.contains("        shared-secret   \t\"se\\\"c\\\\x\";\n"),
            "{text}"
        );
        assert!(text.contains("        timeout         \t2048; # 1/10 seconds\n"));
        assert!(text.contains("        congestion-fill \t2s; # bytes\n"));
        assert!(!text.contains("discard-my-data"));
    }

    /// A resource alone; an empty line between resources.
    #[test]
    fn bare_resources() {
        let bare = |name: &[u8]| Status {
            minor: None,
            context: Context::resource(Text::new(name).expect("short")),
            res_opts: None,
            disk_conf: None,
            net_conf: None,
            state: None,
        };
        let text = configuration(&[bare(b"a"), bare(b"b")], false);
        let expected = "resource a {\n    _this_host {\n    }\n}\n\n\
            resource b {\n    _this_host {\n    }\n}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn meta_disks() {
        let shown = |index| {
            let mut status = status();
            if let Some(disk) = &mut status.disk_conf {
                disk.meta_dev_idx = index;
            }
            let text = configuration(&[status], false);
            let line = text
                .lines()
                .find(|line| line.contains("meta-disk"))
                .expect("one");
            line.trim().to_owned()
        };
        assert_eq!(shown(-3), "meta-disk\t\t\tinternal;");
        assert_eq!(shown(-2), "meta-disk\t\t\t\"/dev/data0\";");
        assert_eq!(shown(3), "meta-disk\t\t\t\"/dev/data0\" [ 3 ];");
    }
}
