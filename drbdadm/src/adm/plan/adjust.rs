// SPDX-License-Identifier: GPL-2.0
//! `adjust`: the steps from what runs to what is configured.
//!
//! Source: docs/configuration.md, "adjust".

use super::compare::{same_address, same_disk, same_setting, same_settings};
use super::staged::{Queue, Stage};
use super::{
    arguments, attach, connect, end_points, meta, new_minor, new_resource, on_minor, on_resource,
    resize, Action, Limit, Step, Tool,
};
use drbd_conf::options::Section;
use drbd_conf::tree::{Address, HostKind, HostSection, Resource, Volume};

/// What `drbdsetup show` says about a resource.
#[derive(Clone, Copy)]
pub struct Running<'r> {
    resource: &'r Resource,
}

impl<'r> Running<'r> {
    /// Wraps the parsed text of `show`.
    #[must_use]
    pub fn new(resource: &'r Resource) -> Self {
        Running { resource }
    }

    fn host(&self, kind: &HostKind) -> Option<&'r HostSection> {
        self.resource.hosts.iter().find(|host| host.kind == *kind)
    }

    fn volumes(&self) -> &'r [Volume] {
        self.host(&HostKind::ThisHost)
            .map_or(&[], |host| host.volumes.as_slice())
    }

    fn mine(&self) -> Option<&'r Address> {
        self.host(&HostKind::ThisHost)?.address.as_deref()
    }

    fn theirs(&self) -> Option<&'r Address> {
        self.host(&HostKind::RemoteHost)?.address.as_deref()
    }
}

/// Options that `disk-options` does not take.
const ATTACH_ONLY: [&str; 2] = ["size", "max-bio-bvecs"];

/// Queues the steps for one resource. `running` is `None` when nothing of it runs.
pub fn adjust(
    queue: &mut Queue,
    resource: &Resource,
    running: Option<Running<'_>>,
    passed: &[String],
) {
    match running {
        None => queue.step(
            Stage::CreateResource,
            resource,
            new_resource(resource, passed),
        ),
        Some(now) => {
            let (ours, wanted) = (&now.resource.options, &resource.options);
            if !same_settings(Section::Options, ours, wanted, &[]) {
                let mut step = on_resource("resource-options", resource);
                step.args.push("--set-defaults".to_owned());
                step.args.extend(arguments(wanted));
                queue.step(Stage::AdjustResource, resource, step.pass(passed));
            }
        }
    }
    let configured = resource.me().map_or(&[][..], |me| me.volumes.as_slice());
    for pair in pairs(running.as_ref().map_or(&[], Running::volumes), configured) {
        match pair {
            Pair::Gone(old) => remove(queue, resource, old, true),
            Pair::New(new) => add(queue, resource, new, passed),
            Pair::Both(old, new) => change(queue, resource, old, new, passed),
        }
    }
    adjust_connection(queue, resource, running, passed);
}

/// A volume that runs, is configured, or both.
enum Pair<'v> {
    Gone(&'v Volume),
    New(&'v Volume),
    Both(&'v Volume, &'v Volume),
}

/// Volumes by number. Both lists are sorted.
fn pairs<'v>(running: &'v [Volume], configured: &'v [Volume]) -> Vec<Pair<'v>> {
    let mut numbers: Vec<u32> = running.iter().chain(configured).map(|v| v.vnr).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let find = |list: &'v [Volume], vnr| list.iter().find(move |volume| volume.vnr == vnr);
    let pair = |vnr| match (find(running, vnr), find(configured, vnr)) {
        (Some(old), Some(new)) => Some(Pair::Both(old, new)),
        (Some(old), None) => Some(Pair::Gone(old)),
        (None, Some(new)) => Some(Pair::New(new)),
        (None, None) => None,
    };
    numbers.into_iter().filter_map(pair).collect()
}

fn detach(queue: &mut Queue, resource: &Resource, old: &Volume) {
    if old.disk.is_some() {
        let step = on_minor("detach", resource, old).limit(Limit::Medium);
        queue.step(Stage::CreateResource, resource, step);
    }
}

fn remove(queue: &mut Queue, resource: &Resource, old: &Volume, attached: bool) {
    if attached {
        detach(queue, resource, old);
    }
    queue.step(
        Stage::CreateResource,
        resource,
        on_minor("del-minor", resource, old),
    );
}

fn add(queue: &mut Queue, resource: &Resource, new: &Volume, passed: &[String]) {
    queue.step(Stage::PrepareDisk, resource, new_minor(resource, new));
    queue.push(
        Stage::AdjustDisk,
        resource,
        "attach",
        attach(resource, new, passed),
    );
}

fn change(queue: &mut Queue, resource: &Resource, old: &Volume, new: &Volume, passed: &[String]) {
    // Stock takes this one out to compare the rest and puts it back in front.
    let mut new = new.clone();
    new.disk_options
        .sort_by_key(|setting| setting.name != "max-bio-bvecs");
    let new = &new;
    if old.minor_number() != new.minor_number() {
        remove(queue, resource, old, true);
        return add(queue, resource, new, passed);
    }
    if !same_disk(old, new) {
        detach(queue, resource, old);
        return queue.push(
            Stage::AdjustDisk,
            resource,
            "attach",
            attach(resource, new, passed),
        );
    }
    let (ours, wanted) = (&old.disk_options, &new.disk_options);
    if !same_settings(Section::Disk, ours, wanted, &ATTACH_ONLY) {
        let mut step = on_minor("disk-options", resource, new).limit(Limit::Medium);
        step.args.push("--set-defaults".to_owned());
        let kept = wanted
            .iter()
            .filter(|setting| !ATTACH_ONLY.contains(&setting.name));
        step.args
            .extend(arguments(&kept.cloned().collect::<Vec<_>>()));
        queue.step(Stage::AdjustDisk, resource, step.pass(passed));
    }
    if !same_setting(Section::Disk, "size", ours, wanted) {
        let action = Action::Resize {
            resize: resize(resource, new, passed),
            check: on_minor("check-resize", resource, new),
        };
        queue.push(Stage::AdjustDisk, resource, "resize", action);
    }
}

/// The address that this node connects to: its own proxy's, if there is one.
fn wanted_peer(resource: &Resource) -> Option<&Address> {
    let peer = resource.peer()?;
    let proxy = resource.me().and_then(|me| me.proxy.as_ref());
    match proxy.and_then(|proxy| proxy.inside.as_deref()) {
        Some(inside) => Some(inside),
        None => peer.address.as_deref(),
    }
}

fn same_ends(resource: &Resource, running: Running<'_>) -> bool {
    let mine = resource.me().and_then(|me| me.address.as_deref());
    let same = |left: Option<&Address>, right: Option<&Address>| match (left, right) {
        (Some(left), Some(right)) => same_address(left, right),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    match (running.theirs(), wanted_peer(resource)) {
        (None, None) => true,
        (theirs, wanted) => same(theirs, wanted) && same(running.mine(), mine),
    }
}

fn adjust_connection(
    queue: &mut Queue,
    resource: &Resource,
    running: Option<Running<'_>>,
    passed: &[String],
) {
    let connect = || connect(resource, passed);
    let Some(now) = running else {
        return queue.push(Stage::AdjustNet, resource, "connect", connect());
    };
    if !same_ends(resource, now) {
        if now.theirs().is_some() || !now.resource.net.is_empty() {
            let text = |address: Option<&Address>| {
                address.map_or_else(|| "N/A".to_owned(), Address::to_string)
            };
            let args = vec![
                "disconnect".to_owned(),
                text(now.mine()),
                text(now.theirs()),
            ];
            let step = Step::new(Tool::Setup, "disconnect", resource, args);
            queue.step(Stage::PrepareNet, resource, step);
        }
        return queue.push(Stage::AdjustNet, resource, "connect", connect());
    }
    if !same_settings(Section::Net, &now.resource.net, &resource.net, &[]) {
        let (mine, theirs) = end_points(resource);
        let mut args = vec![
            "net-options".to_owned(),
            mine,
            theirs,
            "--set-defaults".to_owned(),
        ];
        args.extend(arguments(&resource.net));
        let step = Step::new(Tool::Setup, "net-options", resource, args);
        queue.step(Stage::AdjustNet, resource, step.pass(passed));
    }
}

/// `drbdsetup show RESOURCE`, whose output [`Running`] is made of.
#[must_use]
pub fn show(resource: &Resource) -> Step {
    on_resource("show", resource)
}

/// `drbdmeta … NAME`, for those who need a step of it.
#[must_use]
pub fn meta_step(name: &'static str, resource: &Resource, volume: &Volume) -> Step {
    meta(name, resource, volume)
}
