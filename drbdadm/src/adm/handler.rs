// SPDX-License-Identifier: GPL-2.0
//! Handlers: what the kernel calls `drbdadm fence-peer r0` and the like for.
//!
//! A handler that is not configured succeeds: the kernel takes any failure for a verdict.

use super::exec::{Output, Runner};
use super::load::Loaded;
use super::plan::{Limit, Step, Tool};
use super::select::Target;
use drbd_conf::tree::{lookup, HostSection, Resource};

/// Runs the configured handler; its exit code goes back unchanged.
pub fn run(
    runner: &mut Runner<'_>,
    loaded: &Loaded,
    name: &'static str,
    target: &Target<'_>,
) -> u8 {
    let Some(setting) = lookup(&target.resource.handlers, name) else {
        return 0;
    };
    let step = Step {
        tool: Tool::Shell,
        args: vec!["-c".to_owned(), setting.value.clone()],
        shown_only: Vec::new(),
        limit: Limit::Long,
        quiet: false,
        resource: target.resource.name.value.clone(),
        name,
        register: None,
        env: environment(loaded, name, target),
    };
    runner.run(&step, Output::Through).code
}

fn environment(loaded: &Loaded, name: &str, target: &Target<'_>) -> Vec<(&'static str, String)> {
    let resource = target.resource;
    let mut env = vec![
        ("DRBD_RESOURCE", resource.name.value.clone()),
        ("DRBD_CONF", loaded.parsed.config.main_file.clone()),
    ];
    let whole = matches!(name, "fence-peer" | "unfence-peer");
    match target.volume.filter(|_| !whole) {
        Some(volume) => {
            env.push(("DRBD_MINOR", volume.minor_number().to_string()));
            env.push(("DRBD_VOLUME", volume.vnr.to_string()));
            env.push(("DRBD_LL_DISK", volume.backing().to_owned()));
        }
        None => {
            let volumes = resource.me().map_or(&[][..], |me| me.volumes.as_slice());
            let minors: Vec<String> = volumes
                .iter()
                .map(|volume| volume.minor_number().to_string())
                .collect();
            env.push(("DRBD_MINOR", minors.join(" ")));
        }
    }
    if let Some(peer) = peer(resource) {
        let names = peer.names();
        if let Some(address) = &peer.address {
            env.push(("DRBD_PEER_AF", address.family.word().to_owned()));
            env.push(("DRBD_PEER_ADDRESS", address.address.clone()));
        }
        env.push(("DRBD_PEERS", names.join(" ")));
        env.push(("DRBD_PEER", names.first().cloned().unwrap_or_default()));
    }
    env
}

/// The peer: where there are several, the one whose address the kernel has put into our own
/// environment.
fn peer(resource: &Resource) -> Option<&HostSection> {
    let known = resource.peer();
    if known.is_some() {
        return known;
    }
    let family = std::env::var("DRBD_PEER_AF").ok()?;
    let address = std::env::var("DRBD_PEER_ADDRESS").ok()?;
    let me = resource.binding.me;
    let others = resource
        .hosts
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != me);
    let fits = |host: &&HostSection| {
        let own = host.address.as_ref();
        own.is_some_and(|own| own.family.word() == family && own.address == address)
    };
    others.map(|(_, host)| host).find(fits)
}
