// SPDX-License-Identifier: GPL-2.0
//! Which host section is this node, which is its peer, and what lies below stacked resources.

use crate::diag::Diagnostic;
use crate::parse::{claim, Parsed};
use crate::span::Spanned;
use crate::tree::{Address, Config, Family, HostKind, HostSection, MetaIndex, Resource};

/// What has to be known about this machine.
pub trait Node {
    /// The node name (`uname -n`), compared in full and with case.
    fn name(&self) -> &str;
    /// True when an interface that is up has the address.
    fn has_address(&self, family: Family, address: &str) -> bool;
}

/// For whom and for what a configuration is bound.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// This machine.
    pub node: &'a dyn Node,
    /// `--peer`: the peer's section where there are more than two.
    pub peer: Option<&'a str>,
    /// Identify this node by `proxy on`, as the proxy commands do.
    pub by_proxy: bool,
    /// Standard input and output are terminals: an unknown `resync-after` is an error then.
    pub interactive: bool,
}

/// Finds lower resources, this node and the peer. Findings are added to `parsed`.
pub fn bind(parsed: &mut Parsed, env: &Env<'_>) {
    find_lower_hosts(parsed);
    for stacked in [false, true] {
        for at in 0..parsed.config.resources.len() {
            let has = has_stacked(&parsed.config.resources[at]);
            if has == stacked {
                find_me(parsed, at, env);
            }
        }
    }
    fill_stacked_volumes(parsed);
    for resource in &mut parsed.config.resources {
        resource.binding.peer = choose_peer(resource, env).ok().flatten();
    }
}

fn has_stacked(resource: &Resource) -> bool {
    resource
        .hosts
        .iter()
        .any(|host| matches!(host.kind, HostKind::StackedOnTopOf(_)))
}

/// The node names of a resource, in order.
fn all_names(resource: &Resource) -> Vec<String> {
    resource.hosts.iter().flat_map(HostSection::names).collect()
}

fn find_lower_hosts(parsed: &mut Parsed) {
    let mut unknown = Vec::new();
    let mut names = Vec::new();
    for (at, resource) in parsed.config.resources.iter().enumerate() {
        for (host_at, host) in resource.hosts.iter().enumerate() {
            let HostKind::StackedOnTopOf(lower) = &host.kind else {
                continue;
            };
            match parsed.config.resource(&lower.value) {
                Some(below) => names.push((at, host_at, all_names(below))),
                None => unknown.push(lower.clone()),
            }
        }
    }
    for (at, host_at, lower_hosts) in names {
        parsed.config.resources[at].hosts[host_at].lower_hosts = lower_hosts;
    }
    for lower in unknown {
        let message = format!("there is no resource `{}` to stack on", lower.value);
        let known = parsed
            .config
            .resources
            .iter()
            .map(|resource| resource.name.value.as_str());
        let mut diagnostic = Diagnostic::error(lower.span, message);
        if let Some(meant) = crate::diag::nearest(&lower.value, known) {
            diagnostic = diagnostic.hint(format!("did you mean `{meant}`?"));
        }
        parsed.diagnostics.push(diagnostic);
    }
}

/// True when `host` is this node.
fn is_me(host: &HostSection, config: &Config, env: &Env<'_>) -> bool {
    let name = env.node.name();
    if env.by_proxy {
        let on = host.proxy.as_ref().map(|proxy| &proxy.names);
        return on.is_some_and(|names| names.iter().any(|n| n.value == name));
    }
    match &host.kind {
        HostKind::On(names) => names.iter().any(|n| n.value == name),
        HostKind::ThisHost => true,
        HostKind::RemoteHost => false,
        HostKind::Floating => host.address.as_ref().is_some_and(|a| is_local(a, env.node)),
        HostKind::StackedOnTopOf(lower) => config
            .resource(&lower.value)
            .is_some_and(|below| !below.is_ignored()),
    }
}

/// True when a floating address is on this machine. Families without a way to tell always are.
fn is_local(address: &Address, node: &dyn Node) -> bool {
    match address.family {
        Family::Ipv4 | Family::Ipv6 => {
            node.name() == address.address || node.has_address(address.family, &address.address)
        }
        Family::Sdp | Family::Ssocks => true,
    }
}

fn find_me(parsed: &mut Parsed, at: usize, env: &Env<'_>) {
    let config = &parsed.config;
    let Some(resource) = config.resources.get(at) else {
        return;
    };
    let hosts = resource.hosts.iter().enumerate();
    let mine: Vec<usize> = hosts
        .filter(|(_, host)| is_me(host, config, env))
        .map(|(index, _)| index)
        .collect();
    if let [first, second, ..] = mine[..] {
        let (first, second) = (&resource.hosts[first], &resource.hosts[second]);
        let name = &resource.name.value;
        let message = format!("resource `{name}` has several host sections for this node");
        let diagnostic = Diagnostic::error(second.head.span, message).note("this one");
        parsed
            .diagnostics
            .push(diagnostic.label(first.head.span, "and this one"));
    }
    let me = mine.first().copied();
    let stacked = me.and_then(|me| resource.hosts.get(me));
    let stacked = stacked.is_some_and(|me| matches!(me.kind, HostKind::StackedOnTopOf(_)));
    let binding = &mut parsed.config.resources[at].binding;
    binding.me = me;
    binding.stacked = stacked;
}

/// Gives stacked volumes the devices of the resource below as their disks.
fn fill_stacked_volumes(parsed: &mut Parsed) {
    let config = &parsed.config;
    let mut filled = Vec::new();
    let mut findings = Vec::new();
    for (at, resource) in config.resources.iter().enumerate() {
        for (host_at, host) in resource.hosts.iter().enumerate() {
            let HostKind::StackedOnTopOf(lower) = &host.kind else {
                continue;
            };
            let Some(below) = config.resource(&lower.value).and_then(Resource::me) else {
                continue;
            };
            let mut volumes = host.volumes.clone();
            for volume in &mut volumes {
                let Some(under) = below.volume(volume.vnr) else {
                    let message = format!("`{}` has no volume {}", lower.value, volume.vnr);
                    findings.push(Diagnostic::error(volume.span.span, message));
                    continue;
                };
                if under.implicit != volume.implicit {
                    let message = format!(
                        "volume {} is implicit on one of `{}` and `{}` only",
                        volume.vnr, resource.name.value, lower.value
                    );
                    let diagnostic = Diagnostic::error(volume.span.span, message);
                    findings.push(diagnostic.label(under.span.span, "the volume below"));
                }
                let span = volume.span.span;
                volume.disk = Some(Spanned::new(under.device_name(), span));
                volume.meta_disk = Some(Spanned::new("internal".to_owned(), span));
                volume.meta_index = Some(MetaIndex::Internal);
            }
            filled.push((at, host_at, volumes));
        }
    }
    parsed.diagnostics.append(&mut findings);
    for (at, host_at, volumes) in filled {
        let names = parsed.config.resources[at].hosts[host_at]
            .lower_hosts
            .clone();
        for volume in &volumes {
            let Some(minor) = &volume.minor else { continue };
            for on in &names {
                let key = format!("device-minor:{on}:{}", minor.value);
                let what = format!("minor {} on `{on}`", minor.value);
                claim(parsed, &what, key, minor.span);
            }
        }
        parsed.config.resources[at].hosts[host_at].volumes = volumes;
    }
}

/// Why the peer's section is not known although one may be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerProblem {
    /// There is just this node's section.
    NoSection,
    /// Three or more sections and no `--peer`.
    Several,
    /// `--peer` names no section, or this node.
    Unknown(String),
    /// `--peer` names more than one section.
    Ambiguous(String),
}

impl std::fmt::Display for PeerProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PeerProblem::NoSection => f.write_str("there is no host section for a peer"),
            PeerProblem::Several => f.write_str(
                "there are several host sections that may be the peer's; choose with --peer",
            ),
            PeerProblem::Unknown(name) => write!(f, "no host section for the peer `{name}`"),
            PeerProblem::Ambiguous(name) => {
                write!(f, "several host sections for the peer `{name}`")
            }
        }
    }
}

/// The index of the peer's section; `Ok(None)` when the resource is ignored here.
///
/// # Errors
///
/// See [`PeerProblem`].
pub fn choose_peer(resource: &Resource, env: &Env<'_>) -> Result<Option<usize>, PeerProblem> {
    let Some(me) = resource.binding.me else {
        return Ok(None);
    };
    let others: Vec<usize> = (0..resource.hosts.len()).filter(|at| *at != me).collect();
    match others[..] {
        [] => return Err(PeerProblem::NoSection),
        [only] => return Ok(Some(only)),
        _ => {}
    }
    let Some(wanted) = env.peer else {
        return Err(PeerProblem::Several);
    };
    let fits = |host: &HostSection| match (&host.kind, &host.address) {
        (HostKind::Floating, Some(address)) => address.address == wanted,
        _ => {
            let by_proxy = host.proxy.as_ref().is_none_or(|proxy| {
                !env.by_proxy || proxy.names.iter().any(|name| name.value == env.node.name())
            });
            by_proxy && host.is_called(wanted)
        }
    };
    let found: Vec<usize> = others
        .into_iter()
        .filter(|at| resource.hosts.get(*at).is_some_and(fits))
        .collect();
    match found[..] {
        [only] => Ok(Some(only)),
        [] => Err(PeerProblem::Unknown(wanted.to_owned())),
        _ => Err(PeerProblem::Ambiguous(wanted.to_owned())),
    }
}
