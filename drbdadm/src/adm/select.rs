// SPDX-License-Identifier: GPL-2.0
//! Which resources and volumes the words of a command line mean.

use super::cli::Request;
use super::command::Scope;
use drbd_conf::tree::{Config, Resource, Volume};

/// What one word means.
#[derive(Clone, Copy, Debug)]
pub struct Target<'c> {
    /// The resource.
    pub resource: &'c Resource,
    /// One volume of it, if one was named.
    pub volume: Option<&'c Volume>,
}

impl<'c> Target<'c> {
    /// The volumes it covers: the named one, or all of this node.
    #[must_use]
    pub fn volumes(&self) -> Vec<&'c Volume> {
        match self.volume {
            Some(volume) => vec![volume],
            None => self
                .resource
                .me()
                .map_or_else(Vec::new, |me| me.volumes.iter().collect()),
        }
    }
}

/// Finds `NAME`, `NAME/VOLUME` or `minor-N` among the resources that are not ignored.
#[must_use]
pub fn find<'c>(config: &'c Config, word: &str) -> Option<Target<'c>> {
    let here = || {
        config
            .resources
            .iter()
            .filter(|resource| !resource.is_ignored())
    };
    let whole = |name: &str| here().find(|resource| resource.name.value == name);
    if let Some(resource) = whole(word) {
        return Some(Target {
            resource,
            volume: None,
        });
    }
    if let Some((name, vnr)) = word.rsplit_once('/') {
        let resource = whole(name)?;
        let volume = resource.me()?.volume(vnr.parse().ok()?)?;
        return Some(Target {
            resource,
            volume: Some(volume),
        });
    }
    let minor: u32 = word.strip_prefix("minor-")?.parse().ok()?;
    here().find_map(|resource| {
        let mut volumes = resource.me()?.volumes.iter();
        let volume = volumes.find(|volume| volume.minor_number() == minor)?;
        Some(Target {
            resource,
            volume: Some(volume),
        })
    })
}

/// Why a target does not fit a command. Stock's exit code is 1 each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The command ends here.
    Stop(String),
    /// The other targets are still looked at.
    Skip(String),
}

/// Checks that a target suits the command; gives it back, perhaps narrowed to the implicit volume.
///
/// # Errors
///
/// See [`Misfit`].
pub fn fit<'c>(request: &Request, target: Target<'c>) -> Result<Target<'c>, Misfit> {
    let command = request.command;
    let name = &target.resource.name.value;
    let stacked = target.resource.binding.stacked;
    if stacked != request.options.stacked && !command.is_dump() {
        let (is, mode) = if stacked {
            ("stacked", "normal")
        } else {
            ("normal", "stacked")
        };
        return Err(Misfit::Skip(format!(
            "'{name}' is a {is} resource, not to be had in {mode} mode"
        )));
    }
    match (command.scope, target.volume) {
        (Scope::Resource, Some(volume)) if !volume.implicit && !takes_volume(command.name) => {
            let text = "acts on whole resources, but a volume was named";
            Err(Misfit::Stop(format!("{} {text}", command.name)))
        }
        (Scope::OneVolume, None) => {
            let implicit = target
                .resource
                .me()
                .and_then(|me| match me.volumes.as_slice() {
                    [only] if only.implicit => Some(only),
                    _ => None,
                });
            implicit
                .map(|volume| Target {
                    volume: Some(volume),
                    ..target
                })
                .ok_or_else(|| {
                    let command = command.name;
                    Misfit::Stop(format!(
                    "{command} needs a volume: `{command} {name}/<volume>` or `{command} minor-<N>`"
                ))
                })
        }
        _ => Ok(target),
    }
}

/// `up` and the handlers for a resource take a volume as well.
fn takes_volume(command: &str) -> bool {
    matches!(command, "up" | "fence-peer" | "unfence-peer")
}

/// All resources of this node and of the wanted mode.
///
/// # Errors
///
/// What to say when there is none.
pub fn all<'c>(
    config: &'c Config,
    request: &Request,
    node: &str,
) -> Result<Vec<Target<'c>>, String> {
    let here = config
        .resources
        .iter()
        .filter(|resource| !resource.is_ignored());
    let wanted = here.filter(|resource| resource.binding.stacked == request.options.stacked);
    let found: Vec<_> = wanted
        .map(|resource| Target {
            resource,
            volume: None,
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    if request.options.stacked {
        return Err(format!(
            "nothing is stacked on this node ({node}), nothing to do"
        ));
    }
    let names = config.resources.iter().flat_map(|resource| &resource.hosts);
    let names: Vec<String> = names
        .flat_map(drbd_conf::tree::HostSection::names)
        .collect();
    let mut text = format!("no resource has a section for this node ({node})");
    if let Some(meant) = drbd_conf::diag::nearest(node, names.iter().map(String::as_str)) {
        text.push_str(&format!("; the configuration says `on {meant}`"));
    }
    Err(text)
}
