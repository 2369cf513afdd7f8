// SPDX-License-Identifier: GPL-2.0
//! A configuration as a value: what [`crate::parse`] builds, [`crate::expand`] completes and
//! [`crate::print`] writes.
//!
//! Older spellings are already translated, and volumes given at resource level are already
//! inherited by the host sections behind them. Every node knows where it was written.

use crate::span::{Span, Spanned};
use std::fmt;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The main file's absolute name.
    pub main_file: String,
    /// The `global` section.
    pub global: Option<Global>,
    /// The `common` section. Its name is `common`; host sections are refused.
    pub common: Option<Resource>,
    /// The resources in the order of the files.
    pub resources: Vec<Resource>,
}

impl Config {
    /// The resource called `name`.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources
            .iter()
            .find(|resource| resource.name.value == name)
    }

    /// The `global` settings, or their defaults.
    #[must_use]
    pub fn globals(&self) -> Global {
        self.global.clone().unwrap_or_default()
    }
}

/// `usage-count`; the answer has no effect, nothing is ever sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageCount {
    /// `yes`.
    Yes,
    /// `no`.
    No,
    /// `ask`, the default.
    #[default]
    Ask,
}

/// The `global` section. Unset numbers are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Global {
    /// Don't insist that the local address is configured on an interface.
    pub disable_ip_verification: bool,
    /// `sh-udev` prints `RES/0` for implicit volumes too.
    pub udev_always_use_vnr: bool,
    /// 1 to 255; a hint for the module's parameter.
    pub minor_count: Option<u32>,
    /// Seconds between redraws of the waiting dialog, 0 to 600; 1 if unset.
    pub dialog_refresh: Option<u32>,
    /// Seconds, 0 to 900; 5 if unset, 0 for no limit.
    pub cmd_timeout_short: Option<u32>,
    /// Seconds, 0 to 900; 121 if unset, 0 for no limit.
    pub cmd_timeout_medium: Option<u32>,
    /// Seconds, 0 to 900; 600 if unset, 0 for no limit.
    pub cmd_timeout_long: Option<u32>,
    /// `usage-count`.
    pub usage_count: UsageCount,
}

/// One option with its value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Today's name.
    pub name: &'static str,
    /// The value as written, quotes removed; `yes` for a bare flag.
    pub value: String,
    /// The statement.
    pub span: Span,
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

/// A list of options in the order that counts. A name may occur more than once.
pub type Settings = Vec<Setting>;

/// The first value of `name`.
#[must_use]
pub fn lookup<'s>(settings: &'s [Setting], name: &str) -> Option<&'s Setting> {
    settings.iter().find(|setting| setting.name == name)
}

/// A `resource` or the `common` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The name.
    pub name: Spanned<String>,
    /// From the keyword to the closing brace.
    pub keyword: Spanned<()>,
    /// `options { }`.
    pub options: Settings,
    /// `net { }`.
    pub net: Settings,
    /// `disk { }`.
    pub disk: Settings,
    /// `startup { }` without the two statements below.
    pub startup: Settings,
    /// `stacked-timeouts`.
    pub stacked_timeouts: bool,
    /// `become-primary-on`.
    pub become_primary_on: Vec<Spanned<String>>,
    /// `proxy { }`.
    pub proxy: ProxyOptions,
    /// `handlers { }`.
    pub handlers: Settings,
    /// Volumes given at resource level, sorted; host sections have inherited them already.
    pub volumes: Vec<Volume>,
    /// Host sections in the order of the file.
    pub hosts: Vec<HostSection>,
    /// What [`crate::bind`] found out.
    pub binding: Binding,
}

impl Resource {
    /// An empty one.
    #[must_use]
    pub fn new(name: Spanned<String>, keyword: Span) -> Self {
        Resource {
            name,
            keyword: Spanned::new((), keyword),
            options: Settings::new(),
            net: Settings::new(),
            disk: Settings::new(),
            startup: Settings::new(),
            stacked_timeouts: false,
            become_primary_on: Vec::new(),
            proxy: ProxyOptions::default(),
            handlers: Settings::new(),
            volumes: Vec::new(),
            hosts: Vec::new(),
            binding: Binding::default(),
        }
    }

    /// This node's host section; `None` means that the resource is ignored here.
    #[must_use]
    pub fn me(&self) -> Option<&HostSection> {
        self.hosts.get(self.binding.me?)
    }

    /// The peer's host section, if it is known which one that is.
    #[must_use]
    pub fn peer(&self) -> Option<&HostSection> {
        self.hosts.get(self.binding.peer?)
    }

    /// True when this node has no section.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        self.binding.me.is_none()
    }
}

/// How a resource relates to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Index of this node's host section.
    pub me: Option<usize>,
    /// Index of the peer's.
    pub peer: Option<usize>,
    /// This node's section is a `stacked-on-top-of` one.
    pub stacked: bool,
}

/// What makes a host section one.
#[derive(Clone, Debug, PartialEq)]
pub enum HostKind {
    /// `on NAME…`.
    On(Vec<Spanned<String>>),
    /// `floating ADDRESS`; the address is that of the section.
    Floating,
    /// `stacked-on-top-of RESOURCE`.
    StackedOnTopOf(Spanned<String>),
    /// `_this_host` of a running configuration.
    ThisHost,
    /// `_remote_host` of a running configuration.
    RemoteHost,
}

/// One node of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSection {
    /// What it begins with.
    pub kind: HostKind,
    /// The keyword and what follows it, up to the brace.
    pub head: Spanned<()>,
    /// `options { }`: kept and printed, otherwise without effect.
    pub options: Settings,
    /// Volumes, sorted by number.
    pub volumes: Vec<Volume>,
    /// `address`.
    pub address: Option<Spanned<Address>>,
    /// `alternate-link-address`.
    pub alternate: Option<Spanned<Address>>,
    /// `proxy on …`.
    pub proxy: Option<Proxy>,
    /// The nodes of the resource below, for stacked sections; filled by [`crate::bind`].
    pub lower_hosts: Vec<String>,
}

impl HostSection {
    /// An empty section.
    #[must_use]
    pub fn new(kind: HostKind, head: Span) -> Self {
        HostSection {
            kind,
            head: Spanned::new((), head),
            options: Settings::new(),
            volumes: Vec::new(),
            address: None,
            alternate: None,
            proxy: None,
            lower_hosts: Vec::new(),
        }
    }

    /// The node names it stands for: those of `on`, or those of the resource below. A floating
    /// section goes by its address: `ADDRESS:PORT`, or `ipv6 [ADDRESS]:PORT`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match &self.kind {
            HostKind::On(names) => names.iter().map(|name| name.value.clone()).collect(),
            HostKind::StackedOnTopOf(_) => self.lower_hosts.clone(),
            HostKind::Floating => {
                let address = self.address.as_deref();
                let name = address.map(|address| match address.family {
                    Family::Ipv6 => format!("ipv6 {}", address.host_port()),
                    Family::Ipv4 | Family::Sdp | Family::Ssocks => address.host_port(),
                });
                name.into_iter().collect()
            }
            HostKind::ThisHost | HostKind::RemoteHost => Vec::new(),
        }
    }

    /// Whether it stands for the node `name`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.names().iter().any(|own| own == name)
    }

    /// A name for messages.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.kind {
            HostKind::On(names) => names
                .iter()
                .map(|name| name.value.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            HostKind::Floating => self
                .address
                .as_ref()
                .map_or_else(String::new, |address| address.to_string()),
            HostKind::StackedOnTopOf(lower) => lower.value.clone(),
            HostKind::ThisHost => "_this_host".to_owned(),
            HostKind::RemoteHost => "_remote_host".to_owned(),
        }
    }

    /// The volume with this number.
    #[must_use]
    pub fn volume(&self, vnr: u32) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.vnr == vnr)
    }
}

/// Where metadata lies on its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaIndex {
    /// At the end of the data device.
    Internal,
    /// Alone on a device of its own.
    Flexible,
    /// In a slot of 128 MiB; the number as written.
    Slot(String),
}

/// One volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Its number; drbdadm takes any, the kernel up to 65534.
    pub vnr: u32,
    /// Made by bare statements, not by `volume 0 { }`.
    pub implicit: bool,
    /// Where it begins.
    pub span: Spanned<()>,
    /// Device name beginning with `/dev/`.
    pub device: Option<Spanned<String>>,
    /// Device minor.
    pub minor: Option<Spanned<u32>>,
    /// Backing device.
    pub disk: Option<Spanned<String>>,
    /// Metadata device, or `internal`.
    pub meta_disk: Option<Spanned<String>>,
    /// Where on it; set exactly when `meta_disk` is.
    pub meta_index: Option<MetaIndex>,
    /// `disk { }`.
    pub disk_options: Settings,
}

impl Volume {
    /// An empty volume.
    #[must_use]
    pub fn new(vnr: u32, implicit: bool, span: Span) -> Self {
        Volume {
            vnr,
            implicit,
            span: Spanned::new((), span),
            device: None,
            minor: None,
            disk: None,
            meta_disk: None,
            meta_index: None,
            disk_options: Settings::new(),
        }
    }

    /// The minor number, 0 if there is none.
    #[must_use]
    pub fn minor_number(&self) -> u32 {
        self.minor.as_ref().map_or(0, |minor| minor.value)
    }

    /// The backing device, empty if there is none.
    #[must_use]
    pub fn backing(&self) -> &str {
        self.disk.as_ref().map_or("", |disk| disk.value.as_str())
    }

    /// The device that holds the metadata: the backing device if they are internal.
    #[must_use]
    pub fn meta_device(&self) -> &str {
        match (&self.meta_index, &self.meta_disk) {
            (Some(MetaIndex::Internal) | None, _) | (_, None) => self.backing(),
            (_, Some(device)) => device.value.as_str(),
        }
    }

    /// The configured device name, else `/dev/drbd<minor>`.
    #[must_use]
    pub fn device_name(&self) -> String {
        match &self.device {
            Some(name) => name.value.clone(),
            None => format!("/dev/drbd{}", self.minor_number()),
        }
    }
}

/// The word before an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ipv4`, also when no word is given.
    Ipv4,
    /// `ipv6`.
    Ipv6,
    /// `sdp`.
    Sdp,
    /// `ssocks`, also written `sci`.
    Ssocks,
}

impl Family {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
            Family::Sdp => "sdp",
            Family::Ssocks => "ssocks",
        }
    }
}

/// A network end point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Address family.
    pub family: Family,
    /// The address as written, without brackets.
    pub address: String,
    /// The port as written.
    pub port: String,
}

impl Address {
    /// `ADDR:PORT` or `[ADDR]:PORT`.
    #[must_use]
    pub fn host_port(&self) -> String {
        match self.family {
            Family::Ipv6 => format!("[{}]:{}", self.address, self.port),
            Family::Ipv4 | Family::Sdp | Family::Ssocks => {
                format!("{}:{}", self.address, self.port)
            }
        }
    }
}

/// `FAMILY:ADDR:PORT`, the form of the command line.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family.word(), self.host_port())
    }
}

/// Options for drbd-proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyOptions {
    /// The options.
    pub settings: Settings,
    /// One line for each plugin, tokens joined by blanks.
    pub plugins: Vec<Spanned<String>>,
}

impl ProxyOptions {
    /// True when nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.plugins.is_empty()
    }
}

/// `proxy on …` of a host section.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// The nodes it runs on.
    pub names: Vec<Spanned<String>>,
    /// Where DRBD connects to.
    pub inside: Option<Spanned<Address>>,
    /// Where the other proxy connects to.
    pub outside: Option<Spanned<Address>>,
    /// Its options.
    pub options: ProxyOptions,
}
