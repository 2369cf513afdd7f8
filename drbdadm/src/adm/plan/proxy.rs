// SPDX-License-Identifier: GPL-2.0
//! drbd-proxy: the connection between two proxies, and its settings.

use super::{Action, Step, Tool};
use drbd_conf::tree::{Address, HostSection, Resource};

/// `RES-<peer's proxies>-<own proxies>`.
#[must_use]
pub fn connection_name(resource: &Resource) -> String {
    let names = |host: Option<&HostSection>| {
        let proxy = host.and_then(|host| host.proxy.as_ref());
        let names = proxy.map(|proxy| proxy.names.iter().map(|name| name.value.as_str()));
        names.map_or_else(String::new, |names| names.collect::<Vec<_>>().join("_"))
    };
    let name = &resource.name.value;
    format!("{name}-{}-{}", names(resource.peer()), names(resource.me()))
}

/// `drbd-proxy-ctl -c 'A' -c 'B' …`.
fn control(name: &'static str, resource: &Resource, commands: Vec<String>) -> Step {
    let args = commands
        .into_iter()
        .flat_map(|command| ["-c".to_owned(), command])
        .collect();
    Step::new(Tool::ProxyCtl, name, resource, args)
}

/// `ADDR:PORT`; the proxy wants no family and no brackets.
fn end(address: Option<&Address>) -> String {
    address.map_or_else(String::new, |a| format!("{}:{}", a.address, a.port))
}

/// Brings the connection up. `None` when this node or the peer has no proxy.
#[must_use]
pub fn up(resource: &Resource) -> Option<Action> {
    let (me, peer) = (resource.me()?, resource.peer()?);
    let (mine, theirs) = (me.proxy.as_ref()?, peer.proxy.as_ref()?);
    let name = connection_name(resource);
    let add = format!(
        "add connection {name} {} {} {} {}",
        end(mine.inside.as_deref()),
        end(theirs.outside.as_deref()),
        end(mine.outside.as_deref()),
        end(me.address.as_deref()),
    );
    let settings = mine.options.settings.iter();
    let mut commands: Vec<String> = settings
        .map(|s| format!("set {} {name} {}", s.name, s.value))
        .collect();
    let plugins = &mine.options.plugins;
    for (at, plugin) in plugins.iter().enumerate() {
        commands.push(format!("set plugin {name} {at} {}", plugin.value));
    }
    if !plugins.is_empty() {
        commands.push(format!("set plugin {name} {} END", plugins.len()));
    }
    let mut steps = vec![control("proxy-up", resource, vec![add])];
    if !commands.is_empty() {
        steps.push(control("proxy-up", resource, commands));
    }
    Some(Action::Run(steps))
}

/// Takes the connection down. `None` when this node has no proxy.
#[must_use]
pub fn down(resource: &Resource) -> Option<Action> {
    resource.me()?.proxy.as_ref()?;
    let command = format!("del connection {}", connection_name(resource));
    Some(Action::Run(vec![control(
        "proxy-down",
        resource,
        vec![command],
    )]))
}
