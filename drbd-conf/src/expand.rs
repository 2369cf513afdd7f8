// SPDX-License-Identifier: GPL-2.0
//! From what is written to what is in effect: inheritance and names for the kernel.
//!
//! The order of the lists is the order of the arguments that the back end gets, so an inherited
//! option is put in *front*, one after the other; a run of inherited options comes out reversed.
//! Source: docs/configuration.md, "Inheritance".

use crate::span::Spanned;
use crate::tree::{lookup, Config, ProxyOptions, Resource, Settings};

/// Completes every resource from `common`, and every volume from its resource.
pub fn expand(config: &mut Config) {
    let common = config.common.take();
    for resource in &mut config.resources {
        name_devices(resource);
        if let Some(common) = &common {
            from_common(resource, common);
        }
        to_volumes(resource);
    }
    config.common = common;
}

/// Puts what `own` lacks of `given` in front of it, in order, so that it ends up reversed.
fn inherit(own: &mut Settings, given: &Settings) {
    for setting in given {
        if lookup(own, setting.name).is_none() {
            own.insert(0, setting.clone());
        }
    }
}

fn inherit_proxy(own: &mut ProxyOptions, given: &ProxyOptions) {
    inherit(&mut own.settings, &given.settings);
    if own.plugins.is_empty() {
        own.plugins = given.plugins.iter().rev().cloned().collect();
    }
}

fn name_devices(resource: &mut Resource) {
    for volume in resource.hosts.iter_mut().flat_map(|host| &mut host.volumes) {
        if volume.device.is_none() {
            volume.device = Some(Spanned::new(volume.device_name(), volume.span.span));
        }
    }
}

fn from_common(resource: &mut Resource, common: &Resource) {
    inherit(&mut resource.net, &common.net);
    inherit(&mut resource.disk, &common.disk);
    inherit(&mut resource.startup, &common.startup);
    inherit_proxy(&mut resource.proxy, &common.proxy);
    inherit(&mut resource.handlers, &common.handlers);
    inherit(&mut resource.options, &common.options);
    resource.stacked_timeouts |= common.stacked_timeouts;
    if resource.become_primary_on.is_empty() {
        resource
            .become_primary_on
            .clone_from(&common.become_primary_on);
    }
}

/// Disk options reach the volumes: the resource's first, those of resource-level volumes last.
fn to_volumes(resource: &mut Resource) {
    for host in &mut resource.hosts {
        for volume in &mut host.volumes {
            inherit(&mut volume.disk_options, &resource.disk);
        }
        if let Some(proxy) = &mut host.proxy {
            inherit_proxy(&mut proxy.options, &resource.proxy);
        }
        for given in &resource.volumes {
            let own = host
                .volumes
                .iter_mut()
                .find(|volume| volume.vnr == given.vnr);
            if let Some(own) = own {
                inherit(&mut own.disk_options, &given.disk_options);
            }
        }
    }
}
