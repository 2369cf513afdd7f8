// SPDX-License-Identifier: GPL-2.0
//! Work in stages: with `up all`, every resource's objects exist before any disk is attached.

use super::{attach, connect, new_minor, new_resource, Action, Step};
use drbd_conf::tree::{Resource, Volume};

/// When a step runs, relative to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Resources and minors come and go.
    CreateResource,
    /// Options of resources.
    AdjustResource,
    /// New minors of resources that run already.
    PrepareDisk,
    /// Disks.
    AdjustDisk,
    /// Old connections go.
    PrepareNet,
    /// New connections come.
    AdjustNet,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 6] = [
        Stage::CreateResource,
        Stage::AdjustResource,
        Stage::PrepareDisk,
        Stage::AdjustDisk,
        Stage::PrepareNet,
        Stage::AdjustNet,
    ];

    /// What adjust-with-progress calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Stage::CreateResource => "create res",
            Stage::AdjustResource => "adjust res",
            Stage::PrepareDisk => "prepare disk",
            Stage::AdjustDisk => "adjust disk",
            Stage::PrepareNet => "prepare net",
            Stage::AdjustNet => "adjust net",
        }
    }

    /// A failure makes the later steps of the same resource pointless.
    #[must_use]
    pub const fn is_ground(self) -> bool {
        matches!(self, Stage::CreateResource | Stage::PrepareDisk)
    }
}

/// An action in its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The stage.
    pub stage: Stage,
    /// For which resource.
    pub resource: String,
    /// The name for messages.
    pub name: &'static str,
    /// What to do.
    pub action: Action,
}

/// The steps of several resources, to be run stage by stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    items: Vec<Staged>,
}

impl Queue {
    /// Puts an action into its stage.
    pub fn push(&mut self, stage: Stage, resource: &Resource, name: &'static str, action: Action) {
        let resource = resource.name.value.clone();
        self.items.push(Staged {
            stage,
            resource,
            name,
            action,
        });
    }

    /// Puts a single step into its stage.
    pub fn step(&mut self, stage: Stage, resource: &Resource, step: Step) {
        self.push(stage, resource, step.name, Action::Run(vec![step]));
    }

    /// The actions of a stage, in the order they were queued.
    pub fn stage(&self, stage: Stage) -> impl Iterator<Item = &Staged> {
        self.items.iter().filter(move |item| item.stage == stage)
    }

    /// True when there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Queues what `up` does for a resource, or for one volume of it.
///
/// A resource without volumes is left alone.
pub fn up(queue: &mut Queue, resource: &Resource, volumes: &[&Volume], passed: &[String]) {
    if volumes.is_empty() {
        return;
    }
    queue.step(
        Stage::CreateResource,
        resource,
        new_resource(resource, passed),
    );
    for volume in volumes {
        queue.step(Stage::CreateResource, resource, new_minor(resource, volume));
    }
    for volume in volumes {
        queue.push(
            Stage::AdjustDisk,
            resource,
            "attach",
            attach(resource, volume, passed),
        );
    }
    queue.push(
        Stage::AdjustNet,
        resource,
        "connect",
        connect(resource, passed),
    );
}
