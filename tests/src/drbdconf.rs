// SPDX-License-Identifier: GPL-2.0
//! Writes the drbd.conf of a scenario.
//!
//! Time-outs are longer than DRBD's defaults: between emulated machines an answer to a ping may
//! well take more than half a second.

use std::fmt::Write;

/// The network options of every resource; a scenario's own come after and win.
const NET: [&str; 4] = [
    "timeout 60",      // 6 s
    "connect-int 7",   // s
    "ping-int 7",      // s
    "ping-timeout 60", // 6 s
];

/// One resource with one volume.
#[derive(Debug, Clone)]
pub struct Resource {
    name: String,
    minor: u32,
    disk: String,
    meta_disk: String,
    port: u16,
    protocol: char,
    net: Vec<String>,
    disk_options: Vec<String>,
    handlers: Vec<String>,
    options: Vec<String>,
}

impl Resource {
    /// Resource `r0`: minor 1 over `/dev/data0` with internal metadata, protocol C.
    #[must_use]
    pub fn r0() -> Self {
        Self::new("r0", 1, "/dev/data0")
    }

    /// A resource with internal metadata and protocol C; the port follows from the minor.
    #[must_use]
    pub fn new(name: &str, minor: u16, disk: &str) -> Self {
        Self {
            name: name.to_owned(),
            minor: minor.into(),
            disk: disk.to_owned(),
            meta_disk: "internal".into(),
            port: 7788 + minor,
            protocol: 'C',
            net: NET.map(str::to_owned).to_vec(),
            disk_options: Vec::new(),
            handlers: Vec::new(),
            options: Vec::new(),
        }
    }

    /// With another protocol.
    #[must_use]
    pub fn protocol(mut self, protocol: char) -> Self {
        self.protocol = protocol;
        self
    }

    /// With metadata elsewhere.
    #[must_use]
    pub fn meta_disk(mut self, place: &str) -> Self {
        place.clone_into(&mut self.meta_disk);
        self
    }

    /// On another lower device.
    #[must_use]
    pub fn on_disk(mut self, disk: &str) -> Self {
        disk.clone_into(&mut self.disk);
        self
    }

    /// With a network option; one of the same name given before is replaced.
    #[must_use]
    pub fn net(mut self, option: &str) -> Self {
        let name = |option: &str| option.split(' ').next().unwrap_or_default().to_owned();
        self.net.retain(|old| name(old) != name(option));
        self.net.push(option.to_owned());
        self
    }

    /// With a disk option.
    #[must_use]
    pub fn disk(mut self, option: &str) -> Self {
        self.disk_options.push(option.to_owned());
        self
    }

    /// With a resync at a fixed rate that no lab reaches, instead of the default controller.
    #[must_use]
    pub fn fast_resync(self) -> Self {
        self.disk("c-plan-ahead 0").disk("resync-rate 200M")
    }

    /// With a handler.
    #[must_use]
    pub fn handler(mut self, handler: &str) -> Self {
        self.handlers.push(handler.to_owned());
        self
    }

    /// With a resource option.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Its minor.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// Its section of the file, for nodes with these names and addresses.
    #[must_use]
    pub fn section(&self, nodes: &[(&str, &str)]) -> String {
        let mut text = format!("resource {} {{\n", self.name);
        let mut net = vec![format!("protocol {}", self.protocol)];
        net.extend_from_slice(&self.net);
        for (name, options) in [
            ("net", &net),
            ("disk", &self.disk_options),
            ("options", &self.options),
            ("handlers", &self.handlers),
        ] {
            if !options.is_empty() {
                let _ = writeln!(text, "  {name} {{");
                for option in options {
                    let _ = writeln!(text, "    {option};");
                }
                let _ = writeln!(text, "  }}");
            }
        }
        let _ = writeln!(text, "  device /dev/drbd{};", self.minor);
        let _ = writeln!(text, "  disk {};", self.disk);
        let _ = writeln!(text, "  meta-disk {};", self.meta_disk);
        for (name, address) in nodes {
            let _ = writeln!(text, "  on {name} {{ address {address}:{}; }}", self.port);
        }
        text.push_str("}\n");
        text
    }
}

/// The whole file.
#[must_use]
pub fn file(resources: &[&Resource], nodes: &[(&str, &str)]) -> String {
    let mut text = String::from("global { usage-count no; }\n\n");
    for resource in resources {
        text.push_str(&resource.section(nodes));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_given_again_replaces_the_first() {
        let text = Resource::r0()
            .net("timeout 30")
            .section(&[("alpha", "10.0.0.1"), ("beta", "10.0.0.2")]);
        assert!(text.contains("    timeout 30;\n"));
        assert!(!text.contains("timeout 60;\n    connect"));
        assert!(text.contains("  on beta { address 10.0.0.2:7789; }\n"));
    }
}
