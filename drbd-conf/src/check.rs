// SPDX-License-Identifier: GPL-2.0
//! What can only be judged with the whole configuration at hand.
//!
//! Source: docs/configuration.md, "Checks over the whole configuration".

use crate::bind::{bind, Env};
use crate::diag::{nearest, Diagnostic};
use crate::expand::expand;
use crate::number::{evaluate, NumberError, Unit};
use crate::parse::Parsed;
use crate::tree::{lookup, Config, Family, HostSection, Resource, Setting};

/// All that comes behind parsing, in its order: who is who, what is inherited, what can't be, what
/// the kernel wants. Afterwards `parsed` has what is in effect on the machine, and all findings.
/// Who needs only a part (`drbdadm dump` shows a configuration as it was written) takes the steps
/// one by one.
pub fn judge(parsed: &mut Parsed, env: &Env<'_>) {
    bind(parsed, env);
    expand(&mut parsed.config);
    check(parsed, env);
    resolve(parsed, env);
}

/// Checks each resource. Run it after [`crate::bind::bind`], and after [`crate::expand::expand`]
/// for the commands that act on what is in effect.
pub fn check(parsed: &mut Parsed, env: &Env<'_>) {
    for at in 0..parsed.config.resources.len() {
        drop_unknown_dependency(parsed, at, env);
        let resource = &parsed.config.resources[at];
        if resource.is_ignored() {
            continue;
        }
        let mut findings = Vec::new();
        check_split_brain_policy(resource, &mut findings);
        check_promotion(resource, &mut findings);
        check_proxies(resource, &mut findings);
        parsed.diagnostics.append(&mut findings);
    }
}

/// The resource that a `resync-after` names, and the volume, if one is named.
fn split_reference(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((name, volume)) => (name, Some(volume)),
        None => (text, None),
    }
}

fn unknown_dependency(config: &Config, setting: &Setting) -> Diagnostic {
    let (name, _) = split_reference(&setting.value);
    let known = config.resource(name).is_some();
    let place = if known { " on this node" } else { "" };
    let message = format!(
        "`resync-after {}` names nothing known{place}",
        setting.value
    );
    let names = config
        .resources
        .iter()
        .map(|resource| resource.name.value.as_str());
    let diagnostic = Diagnostic::error(setting.span, message);
    match nearest(name, names).filter(|_| !known) {
        Some(meant) => diagnostic.hint(format!("did you mean `{meant}`?")),
        None => diagnostic,
    }
}

/// A dependency on an unknown resource is refused in front of a person and dropped otherwise, so
/// that a machine comes up.
fn drop_unknown_dependency(parsed: &mut Parsed, at: usize, env: &Env<'_>) {
    let config = &parsed.config;
    let Some(setting) = config
        .resources
        .get(at)
        .and_then(|r| lookup(&r.disk, "resync-after"))
    else {
        return;
    };
    let (name, _) = split_reference(&setting.value);
    if config
        .resource(name)
        .is_some_and(|resource| !resource.is_ignored())
    {
        return;
    }
    let diagnostic = soften(unknown_dependency(config, setting), env);
    parsed.diagnostics.push(diagnostic);
    parsed.config.resources[at]
        .disk
        .retain(|setting| setting.name != "resync-after");
}

fn soften(mut diagnostic: Diagnostic, env: &Env<'_>) -> Diagnostic {
    if !env.interactive {
        diagnostic.severity = crate::diag::Severity::Warning;
        diagnostic.exit_code = 0;
        diagnostic.at_place = "ignored".to_owned();
    }
    diagnostic
}

/// Stock takes any name here; a wrong one silently means the peer, so it is worth a word.
fn check_split_brain_policy(resource: &Resource, findings: &mut Vec<Diagnostic>) {
    let Some(policy) = lookup(&resource.net, "after-sb-0pri") else {
        return;
    };
    let Some(name) = policy.value.strip_prefix("discard-node-") else {
        return;
    };
    let (Some(me), Some(peer)) = (resource.me(), resource.peer()) else {
        return;
    };
    if !me.is_called(name) && !peer.is_called(name) {
        let message = format!("`{name}` is no node of this resource, so the peer is meant");
        findings.push(Diagnostic::warning(policy.span, message));
    }
}

fn check_promotion(resource: &Resource, findings: &mut Vec<Diagnostic>) {
    let both = resource
        .become_primary_on
        .iter()
        .find(|name| name.value == "both");
    if let Some(both) = both {
        if lookup(&resource.net, "allow-two-primaries").is_none() {
            let message = "`become-primary-on both` needs `allow-two-primaries`";
            let hint = "add `net { allow-two-primaries; }` to the resource";
            findings.push(Diagnostic::error(both.span, message).hint(hint));
        }
    }
    let (Some(me), Some(peer)) = (resource.me(), resource.peer()) else {
        return;
    };
    let names = [me.names(), peer.names()].concat();
    for name in &resource.become_primary_on {
        if name.value == "both" || names.contains(&name.value) {
            continue;
        }
        let message = format!("`{}` is no node of this resource", name.value);
        let mut diagnostic = Diagnostic::error(name.span, message);
        if let Some(meant) = nearest(&name.value, names.iter().map(String::as_str)) {
            diagnostic = diagnostic.hint(format!("did you mean `{meant}`?"));
        }
        findings.push(diagnostic);
    }
}

fn check_proxies(resource: &Resource, findings: &mut Vec<Diagnostic>) {
    let (Some(me), Some(peer)) = (resource.me(), resource.peer()) else {
        return;
    };
    let lacking = match (&me.proxy, &peer.proxy) {
        (Some(_), None) => peer,
        (None, Some(_)) => me,
        (Some(_), Some(_)) | (None, None) => return,
    };
    let message = "either both nodes have a `proxy on` section or none";
    findings.push(Diagnostic::error(lacking.head.span, message).note("this one has none"));
}

/// Turns names into what the kernel wants: `resync-after` into minors, `discard-node-NAME` into
/// local or remote. For every command but the dumps.
pub fn resolve(parsed: &mut Parsed, env: &Env<'_>) {
    let mut findings = Vec::new();
    let config = &parsed.config;
    // Looked up before anything is changed: a reference may be to any resource.
    let minors: Vec<Option<u32>> = config
        .resources
        .iter()
        .filter(|resource| !resource.is_ignored())
        .flat_map(|resource| &resource.hosts)
        .flat_map(|host| &host.volumes)
        .flat_map(|volume| &volume.disk_options)
        .filter(|setting| setting.name == "resync-after")
        .map(|setting| minor_of(config, setting, env, &mut findings))
        .collect();
    let mut minors = minors.into_iter();
    for resource in parsed
        .config
        .resources
        .iter_mut()
        .filter(|resource| !resource.is_ignored())
    {
        for volume in resource.hosts.iter_mut().flat_map(|host| &mut host.volumes) {
            volume.disk_options.retain_mut(|setting| {
                setting.name != "resync-after" || {
                    let minor = minors.next().flatten();
                    minor
                        .map(|minor| setting.value = minor.to_string())
                        .is_some()
                }
            });
        }
        let local = resource.me().is_some_and(|me| {
            let policy = lookup(&resource.net, "after-sb-0pri").map(|policy| policy.value.as_str());
            let name = policy.and_then(|policy| policy.strip_prefix("discard-node-"));
            name.is_some_and(|name| me.is_called(name))
        });
        let policy = resource
            .net
            .iter_mut()
            .find(|setting| setting.name == "after-sb-0pri");
        if let Some(policy) = policy.filter(|p| p.value.starts_with("discard-node-")) {
            policy.value = if local {
                "discard-local"
            } else {
                "discard-remote"
            }
            .to_owned();
        }
    }
    // A setting that every volume inherited is one finding.
    for finding in findings {
        let told = |d: &Diagnostic| d.span == finding.span && d.message == finding.message;
        if !parsed.diagnostics.iter().any(told) {
            parsed.diagnostics.push(finding);
        }
    }
}

/// The minor that a `resync-after` names; a finding when there is none or more than one.
fn minor_of(
    config: &Config,
    setting: &Setting,
    env: &Env<'_>,
    findings: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let (name, volume) = split_reference(&setting.value);
    let mut found = None;
    let below = config.resource(name).and_then(Resource::me);
    match (below, volume) {
        (Some(host), Some(volume)) => match volume_number(volume) {
            Ok(vnr) => found = u32::try_from(vnr).ok().and_then(|vnr| host.volume(vnr)),
            Err(error) => {
                let message = format!("`{volume}` is no volume number");
                let diagnostic = Diagnostic::error(setting.span, message);
                findings.push(diagnostic.exit(error.exit_code()).note(error.to_string()));
                return None;
            }
        },
        (Some(host), None) => match host.volumes.as_slice() {
            [only] => found = Some(only),
            volumes => {
                let count = volumes.len();
                let message = format!("`{name}` has {count} volumes, which one is meant?");
                let hint = format!("write {name}/0 for volume 0");
                findings.push(Diagnostic::error(setting.span, message).hint(hint));
                return None;
            }
        },
        (None, _) => {}
    }
    if found.is_none() {
        findings.push(soften(unknown_dependency(config, setting), env));
    }
    found.map(crate::tree::Volume::minor_number)
}

fn volume_number(text: &str) -> Result<u64, NumberError> {
    evaluate(text, Unit::One)
}

/// True when this node's address is on one of its interfaces; see `disable-ip-verification`.
#[must_use]
pub fn address_is_here(me: &HostSection, env: &Env<'_>) -> bool {
    let Some(address) = &me.address else {
        return true;
    };
    match address.family {
        Family::Ipv4 | Family::Ipv6 => env.node.has_address(address.family, &address.address),
        Family::Sdp | Family::Ssocks => true,
    }
}
