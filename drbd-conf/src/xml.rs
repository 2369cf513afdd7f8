// SPDX-License-Identifier: GPL-2.0
//! A configuration as XML: the output of `drbdadm dump-xml`, byte for byte as stock prints it.

use crate::print::Context;
use crate::tree::{
    Address, Config, HostKind, HostSection, MetaIndex, ProxyOptions, Resource, Setting, Volume,
};
use std::fmt::Write as _;

/// Prints everything.
#[must_use]
pub fn config(config: &Config, context: &Context<'_>) -> String {
    let mut out = Writer::default();
    out.open(&format!("config file=\"{}\"", escape(&config.main_file)));
    out.global(config);
    if let Some(common) = &config.common {
        out.open("common");
        out.sections(common);
        out.close("common");
    }
    for resource in &config.resources {
        out.resource(resource, context);
    }
    out.close("config");
    out.text
}

/// Prints one resource.
#[must_use]
pub fn resource(resource: &Resource, context: &Context<'_>) -> String {
    let mut out = Writer::default();
    out.resource(resource, context);
    out.text
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[derive(Default)]
struct Writer {
    text: String,
    indent: usize,
}

impl Writer {
    fn line(&mut self, text: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "", indent = self.indent);
    }

    fn open(&mut self, head: &str) {
        self.line(&format!("<{head}>"));
        self.indent += 4;
    }

    fn close(&mut self, name: &str) {
        self.indent = self.indent.saturating_sub(4);
        self.line(&format!("</{name}>"));
    }

    fn global(&mut self, config: &Config) {
        let global = config.globals();
        let refresh = global.dialog_refresh.unwrap_or(1);
        let minors = global.minor_count.filter(|count| *count != 0);
        if !global.disable_ip_verification && minors.is_none() && refresh == 1 {
            return;
        }
        self.open("global");
        if global.disable_ip_verification {
            self.line("<disable-ip-verification/>");
        }
        if let Some(count) = minors {
            self.line(&format!("<minor-count count=\"{count}\"/>"));
        }
        if refresh != 1 {
            self.line(&format!("<dialog-refresh refresh=\"{refresh}\"/>"));
        }
        self.close("global");
    }

    fn settings(&mut self, settings: &[Setting]) {
        for setting in settings {
            let value = escape(&setting.value);
            self.line(&format!(
                "<option name=\"{}\" value=\"{value}\"/>",
                setting.name
            ));
        }
    }

    fn section(&mut self, name: &str, settings: &[Setting]) {
        if settings.is_empty() {
            return;
        }
        self.open(&format!("section name=\"{name}\""));
        self.settings(settings);
        self.close("section");
    }

    fn sections(&mut self, resource: &Resource) {
        self.section("options", &resource.options);
        self.section("net", &resource.net);
        self.section("disk", &resource.disk);
        let promote = &resource.become_primary_on;
        if !resource.startup.is_empty() || resource.stacked_timeouts || !promote.is_empty() {
            self.open("section name=\"startup\"");
            self.settings(&resource.startup);
            if resource.stacked_timeouts {
                self.line("<option name=\"stacked-timeouts\"/>");
            }
            if !promote.is_empty() {
                let names: Vec<&str> = promote.iter().map(|name| name.value.as_str()).collect();
                let value = escape(&names.join(" "));
                self.line(&format!(
                    "<option name=\"become-primary-on\" value=\"{value}\"/>"
                ));
            }
            self.close("section");
        }
        self.proxy_options("proxy", &resource.proxy);
        self.section("handlers", &resource.handlers);
    }

    fn proxy_options(&mut self, name: &str, proxy: &ProxyOptions) {
        if proxy.is_empty() {
            return;
        }
        self.open(&format!("section name=\"{name}\""));
        self.settings(&proxy.settings);
        if !proxy.plugins.is_empty() {
            self.open("section name=\"plugin\"");
            for plugin in &proxy.plugins {
                self.line(&format!("<option name=\"{}\"/>", escape(&plugin.value)));
            }
            self.close("section");
        }
        self.close("section");
    }

    fn resource(&mut self, resource: &Resource, context: &Context<'_>) {
        let place = context.sources.absolute_place(resource.keyword.span);
        let name = escape(&resource.name.value);
        self.open(&format!(
            "resource name=\"{name}\" conf-file-line=\"{}\"",
            escape(&place)
        ));
        for host in &resource.hosts {
            self.host(host);
        }
        self.sections(resource);
        self.close("resource");
    }

    fn host(&mut self, host: &HostSection) {
        match host.kind {
            HostKind::Floating => self.open("host floating=\"1\""),
            HostKind::StackedOnTopOf(_) => {
                let names = escape(&host.lower_hosts.join(" "));
                self.open(&format!("host name=\"{names}\""));
            }
            _ => self.open(&format!("host name=\"{}\"", escape(&host.label()))),
        }
        self.section("options", &host.options);
        for volume in &host.volumes {
            self.volume(volume);
        }
        self.address("address", host.address.as_deref());
        if let Some(proxy) = &host.proxy {
            let names: Vec<&str> = proxy.names.iter().map(|name| name.value.as_str()).collect();
            self.open(&format!("proxy hostname=\"{}\"", escape(&names.join(" "))));
            self.address("inside", proxy.inside.as_deref());
            self.address("outside", proxy.outside.as_deref());
            self.proxy_options("options", &proxy.options);
            self.close("proxy");
        }
        self.close("host");
    }

    fn address(&mut self, tag: &str, address: Option<&Address>) {
        let Some(address) = address else { return };
        let family = address.family.word();
        let (port, text) = (escape(&address.port), escape(&address.address));
        self.line(&format!(
            "<{tag} family=\"{family}\" port=\"{port}\">{text}</{tag}>"
        ));
    }

    fn volume(&mut self, volume: &Volume) {
        self.open(&format!("volume vnr=\"{}\"", volume.vnr));
        self.section("disk", &volume.disk_options);
        let name = volume
            .device
            .as_ref()
            .map_or_else(String::new, |device| escape(&device.value));
        let minor = volume.minor_number();
        self.line(&format!("<device minor=\"{minor}\">{name}</device>"));
        self.line(&format!("<disk>{}</disk>", escape(volume.backing())));
        let device = volume
            .meta_disk
            .as_ref()
            .map_or("", |device| device.value.as_str());
        let device = escape(device);
        match &volume.meta_index {
            Some(MetaIndex::Slot(at)) => {
                self.line(&format!("<meta-disk index=\"{at}\">{device}</meta-disk>"));
            }
            Some(MetaIndex::Flexible) => self.line(&format!("<meta-disk>{device}</meta-disk>")),
            Some(MetaIndex::Internal) | None => self.line("<meta-disk>internal</meta-disk>"),
        }
        self.close("volume");
    }
}
