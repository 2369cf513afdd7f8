// SPDX-License-Identifier: GPL-2.0
//! A configuration as text: the output of `drbdadm dump`, byte for byte as stock prints it.
//!
//! Fed back to the parser it gives the same tree, and printed again the same text.
//! Source: docs/configuration.md, "dump".

use crate::span::SourceMap;
use crate::text::quote;
use crate::tree::{
    Address, Config, Family, Global, HostKind, HostSection, MetaIndex, ProxyOptions, Resource,
    Setting, UsageCount, Volume,
};
use std::fmt::Write as _;

/// What the printer has to know besides the tree.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// This node's name, for the comments.
    pub node: &'a str,
    /// The files, for the comments.
    pub sources: &'a SourceMap,
    /// `-v`: print `global` even if it says nothing.
    pub verbose: bool,
}

/// Prints everything: file name, `global`, `common`, all resources.
#[must_use]
pub fn config(config: &Config, context: &Context<'_>) -> String {
    let mut out = Printer::default();
    out.line(&format!("# {}", config.main_file));
    out.global(&config.globals(), context.verbose);
    if let Some(common) = &config.common {
        out.open("common");
        out.sections(common);
        out.close();
        out.blank();
    }
    for resource in &config.resources {
        out.resource(resource, context);
    }
    out.text
}

/// Prints one resource.
#[must_use]
pub fn resource(resource: &Resource, context: &Context<'_>) -> String {
    let mut out = Printer::default();
    out.resource(resource, context);
    out.text
}

/// The column that values begin behind.
const VALUE: usize = 24;

#[derive(Default)]
struct Printer {
    text: String,
    indent: usize,
}

impl Printer {
    fn line(&mut self, text: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "", indent = self.indent);
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn open(&mut self, head: &str) {
        self.line(&format!("{head} {{"));
        self.indent += 4;
    }

    fn close(&mut self) {
        self.indent = self.indent.saturating_sub(4);
        self.line("}");
    }

    /// `name value;` with the value right-aligned in at least three columns.
    fn option(&mut self, name: &str, value: &str) {
        let width = VALUE.saturating_sub(self.indent);
        self.line(&format!("{name:<width$} {:>3};", quote(value)));
    }

    fn settings(&mut self, head: &str, settings: &[Setting]) {
        if settings.is_empty() {
            return;
        }
        self.open(head);
        for setting in settings {
            self.option(setting.name, &setting.value);
        }
        self.close();
    }

    fn global(&mut self, global: &Global, verbose: bool) {
        let refresh = global.dialog_refresh.unwrap_or(1);
        // An explicit 0 means "compute", as does leaving it out.
        let minors = global.minor_count.filter(|count| *count != 0);
        let says_something = minors.is_some()
            || global.disable_ip_verification
            || refresh != 1
            || global.usage_count != UsageCount::Ask;
        if !says_something && !verbose {
            return;
        }
        self.open("global");
        if global.disable_ip_verification {
            self.line("disable-ip-verification;");
        }
        if let Some(count) = minors {
            self.line(&format!("minor-count {count};"));
        }
        if refresh != 1 {
            self.line(&format!("dialog-refresh {refresh};"));
        }
        match global.usage_count {
            UsageCount::Yes => self.line("usage-count yes;"),
            UsageCount::No => self.line("usage-count no;"),
            UsageCount::Ask => {}
        }
        // Stock prints 600 and 0 for unset limits, though 121 and 600 are documented and used.
        let limits = [
            ("short", global.cmd_timeout_short.unwrap_or(5), 5),
            ("medium", global.cmd_timeout_medium.unwrap_or(600), 121),
            ("long", global.cmd_timeout_long.unwrap_or(0), 600),
        ];
        for (name, value, default) in limits {
            if value != default {
                self.line(&format!("cmd-timeout-{name} {value};"));
            }
        }
        self.close();
        self.blank();
    }

    fn resource(&mut self, resource: &Resource, context: &Context<'_>) {
        let name = quote(&resource.name.value);
        let not = |yes: bool| if yes { "" } else { "not " };
        self.line(&format!(
            "# resource {name} on {}: {}ignored, {}stacked",
            context.node,
            not(resource.is_ignored()),
            not(resource.binding.stacked)
        ));
        let place = context.sources.absolute_place(resource.keyword.span);
        self.line(&format!("# defined at {place}"));
        self.open(&format!("resource {name}"));
        for host in &resource.hosts {
            self.host(host);
        }
        self.sections(resource);
        self.close();
        self.blank();
    }

    /// The option sections of a resource or of `common`.
    fn sections(&mut self, resource: &Resource) {
        self.settings("options", &resource.options);
        self.settings("net", &resource.net);
        self.settings("disk", &resource.disk);
        let startup = &resource.startup;
        let promote = &resource.become_primary_on;
        if !startup.is_empty() || resource.stacked_timeouts || !promote.is_empty() {
            self.open("startup");
            for setting in startup {
                self.option(setting.name, &setting.value);
            }
            if resource.stacked_timeouts {
                self.line("stacked-timeouts;");
            }
            if !promote.is_empty() {
                let names: Vec<&str> = promote.iter().map(|name| name.value.as_str()).collect();
                self.line(&format!("become-primary-on {};", names.join(" ")));
            }
            self.close();
        }
        self.proxy_options("proxy", &resource.proxy);
        self.settings("handlers", &resource.handlers);
    }

    fn proxy_options(&mut self, head: &str, proxy: &ProxyOptions) {
        if proxy.is_empty() {
            return;
        }
        self.open(head);
        for setting in &proxy.settings {
            self.option(setting.name, &setting.value);
        }
        if !proxy.plugins.is_empty() {
            self.open("plugin");
            for plugin in &proxy.plugins {
                self.line(&format!("{};", plugin.value));
            }
            self.close();
        }
        self.close();
    }

    fn host(&mut self, host: &HostSection) {
        let stacked = matches!(host.kind, HostKind::StackedOnTopOf(_));
        match &host.kind {
            HostKind::On(_) => self.open(&format!("on {}", host.label())),
            HostKind::Floating => match &host.address {
                Some(address) => self.open(&format!("floating {}", address_text(address))),
                None => self.open("floating"),
            },
            HostKind::StackedOnTopOf(lower) => {
                self.open(&format!("stacked-on-top-of {}", quote(&lower.value)));
                self.line(&format!("# on {} ", host.lower_hosts.join(" ")));
            }
            HostKind::ThisHost | HostKind::RemoteHost => self.open(&format!("on {}", host.label())),
        }
        self.settings("options", &host.options);
        for volume in &host.volumes {
            self.volume(volume, stacked);
        }
        if host.kind != HostKind::Floating {
            self.address("address", host.address.as_deref());
        }
        self.address("alternate-link-address", host.alternate.as_deref());
        if let Some(proxy) = &host.proxy {
            let names: Vec<&str> = proxy.names.iter().map(|name| name.value.as_str()).collect();
            self.open(&format!("proxy on {}", names.join(" ")));
            self.address("inside", proxy.inside.as_deref());
            self.address("outside", proxy.outside.as_deref());
            self.proxy_options("options", &proxy.options);
            self.close();
        }
        self.close();
    }

    fn address(&mut self, name: &str, address: Option<&Address>) {
        if let Some(address) = address {
            self.line(&format!("{name:<16} {};", address_text(address)));
        }
    }

    fn volume(&mut self, volume: &Volume, stacked: bool) {
        if !volume.implicit {
            self.open(&format!("volume {}", volume.vnr));
        }
        self.settings("disk", &volume.disk_options);
        let pad = 19_usize.saturating_sub(self.indent);
        let name = volume
            .device
            .as_ref()
            .map_or_else(String::new, |d| quote(&d.value) + " ");
        self.line(&format!(
            "device{:pad$}{name}minor {};",
            "",
            volume.minor_number()
        ));
        if !stacked {
            if let Some(disk) = &volume.disk {
                self.option("disk", &disk.value);
            }
            self.meta_disk(volume);
        }
        if !volume.implicit {
            self.close();
        }
    }

    fn meta_disk(&mut self, volume: &Volume) {
        let Some(device) = &volume.meta_disk else {
            return;
        };
        let device = quote(&device.value);
        match &volume.meta_index {
            Some(MetaIndex::Internal) | None => self.option("meta-disk", "internal"),
            Some(MetaIndex::Flexible) => self.line(&format!("{:<16} {device};", "meta-disk")),
            Some(MetaIndex::Slot(at)) => {
                self.line(&format!("{:<16} {device} [{at}];", "meta-disk"));
            }
        }
    }
}

/// `FAMILY ADDR:PORT`.
fn address_text(address: &Address) -> String {
    let family: Family = address.family;
    format!("{} {}", family.word(), address.host_port())
}
