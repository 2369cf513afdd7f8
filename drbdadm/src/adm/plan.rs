// SPDX-License-Identifier: GPL-2.0
//! From a configuration to the commands of the back end. Nothing is run here.
//!
//! A [`Step`] is one call of drbdsetup, drbdmeta, drbd-proxy-ctl or a shell; an [`Action`] says
//! how the steps of one command hang together. The words of a step are equal to those of stock.
//! Source: docs/configuration.md, "Commands" and "Steps".

pub mod adjust;
pub mod compare;
pub mod proxy;
pub mod staged;

use drbd_conf::tree::{lookup, MetaIndex, Resource, Setting, Volume};

/// Which program a step calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `drbdsetup`.
    Setup,
    /// `drbdmeta`.
    Meta,
    /// `drbd-proxy-ctl`.
    ProxyCtl,
    /// `/bin/sh`, for handlers.
    Shell,
}

/// How long a step may take; the limits are set in `global`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `cmd-timeout-short`.
    Short,
    /// `cmd-timeout-medium`.
    Medium,
    /// `cmd-timeout-long`.
    Long,
    /// As long as it likes.
    None,
}

/// What a success has to be remembered for: the kernel asks by resource or minor later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The resource was created.
    Resource(String),
    /// The minor was created.
    Minor(u32),
}

/// One call of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program.
    pub tool: Tool,
    /// Its arguments.
    pub args: Vec<String>,
    /// Further arguments that are printed only: stock hands them over, and is refused.
    pub shown_only: Vec<String>,
    /// Its time limit.
    pub limit: Limit,
    /// Drop what it says on stderr.
    pub quiet: bool,
    /// For which resource.
    pub resource: String,
    /// The name for messages.
    pub name: &'static str,
    /// What to note on success.
    pub register: Option<Registration>,
    /// Environment for handlers.
    pub env: Vec<(&'static str, String)>,
}

impl Step {
    /// A step of `tool`; the first argument of drbdsetup is `name`.
    fn new(tool: Tool, name: &'static str, resource: &Resource, args: Vec<String>) -> Self {
        Step {
            tool,
            args,
            shown_only: Vec::new(),
            limit: Limit::Short,
            quiet: false,
            resource: resource.name.value.clone(),
            name,
            register: None,
            env: Vec::new(),
        }
    }

    fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    fn pass(mut self, passed: &[String]) -> Self {
        self.args.extend_from_slice(passed);
        self
    }
}

/// How steps hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// One after the other, up to the first that fails.
    Run(Vec<Step>),
    /// The kernel first. 11 and 17 are its answer; after any other refusal the metadata decide.
    KernelThenMeta {
        /// drbdsetup, its stderr kept back.
        kernel: Step,
        /// drbdmeta.
        meta: Step,
    },
    /// Like the above for `outdate`: 17 stays, and a failure after 5 is 5.
    Outdate {
        /// drbdsetup.
        kernel: Step,
        /// drbdmeta.
        meta: Step,
    },
    /// `resize`, then `check-resize`, whose result does not count.
    Resize {
        /// `resize`.
        resize: Step,
        /// `check-resize`.
        check: Step,
    },
    /// Resize quietly; when that fails, look for metadata at their old place.
    CheckResize {
        /// `resize`.
        resize: Step,
        /// `check-resize`.
        check: Step,
        /// drbdmeta's `check-resize`.
        meta: Step,
    },
    /// Create metadata and keep or make the device's UUID.
    CreateMd {
        /// `read-dev-uuid`, before.
        read: Step,
        /// `create-md`.
        create: Step,
        /// `write-dev-uuid` without its last argument.
        write: Step,
    },
    /// Up to five times, a second apart.
    Retry(Step),
    /// Can't be done: print the text and end with the code. Dry runs print the step instead.
    Fail {
        /// Exit code.
        code: u8,
        /// Why.
        text: String,
        /// What would be run if that were possible.
        step: Step,
    },
    /// Plain output.
    Print(String),
}

/// `--name=value` for each setting.
pub(crate) fn arguments(settings: &[Setting]) -> Vec<String> {
    settings
        .iter()
        .map(|setting| format!("--{}={}", setting.name, setting.value))
        .collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The word for the metadata's place: drbdsetup's.
pub(crate) fn setup_index(volume: &Volume) -> String {
    match &volume.meta_index {
        Some(MetaIndex::Internal) | None => "internal".to_owned(),
        Some(MetaIndex::Flexible) => "flexible".to_owned(),
        Some(MetaIndex::Slot(at)) => at.clone(),
    }
}

/// drbdmeta calls a flexible one `flex-external`.
fn meta_index(volume: &Volume) -> String {
    match &volume.meta_index {
        Some(MetaIndex::Flexible) => "flex-external".to_owned(),
        _ => setup_index(volume),
    }
}

/// `drbdsetup NAME MINOR …`.
pub(crate) fn on_minor(name: &'static str, resource: &Resource, volume: &Volume) -> Step {
    let minor = volume.minor_number().to_string();
    Step::new(Tool::Setup, name, resource, words(&[name, &minor]))
}

/// `drbdmeta MINOR v08 DEVICE INDEX NAME …`.
pub(crate) fn meta(name: &'static str, resource: &Resource, volume: &Volume) -> Step {
    let minor = volume.minor_number().to_string();
    let index = meta_index(volume);
    let args = words(&[&minor, "v08", volume.meta_device(), &index, name]);
    Step::new(Tool::Meta, name, resource, args).limit(Limit::Long)
}

/// `drbdsetup NAME RESOURCE …`.
pub(crate) fn on_resource(name: &'static str, resource: &Resource) -> Step {
    Step::new(
        Tool::Setup,
        name,
        resource,
        words(&[name, &resource.name.value]),
    )
}

/// `apply-al` and `attach`.
pub(crate) fn attach(resource: &Resource, volume: &Volume, passed: &[String]) -> Action {
    let index = setup_index(volume);
    let mut attach = on_minor("attach", resource, volume).limit(Limit::Medium);
    attach
        .args
        .extend(words(&[volume.backing(), volume.meta_device(), &index]));
    attach.args.extend(arguments(&volume.disk_options));
    // Options of attach mean nothing to drbdmeta.
    let mut apply = meta("apply-al", resource, volume);
    apply.shown_only = passed.to_vec();
    Action::Run(vec![apply, attach.pass(passed)])
}

/// `new-resource` with its options.
pub(crate) fn new_resource(resource: &Resource, passed: &[String]) -> Step {
    let mut step = on_resource("new-resource", resource);
    step.args.extend(arguments(&resource.options));
    step.register = Some(Registration::Resource(resource.name.value.clone()));
    step.pass(passed)
}

/// `new-minor`; nothing is passed on.
pub(crate) fn new_minor(resource: &Resource, volume: &Volume) -> Step {
    let (minor, vnr) = (volume.minor_number().to_string(), volume.vnr.to_string());
    let args = words(&["new-minor", &resource.name.value, &minor, &vnr]);
    let mut step = Step::new(Tool::Setup, "new-minor", resource, args);
    step.register = Some(Registration::Minor(volume.minor_number()));
    step
}

/// Both ends of the connection as the back end wants them; `N/A` for an unknown peer.
///
/// With a proxy the peer is this node's proxy.
pub(crate) fn end_points(resource: &Resource) -> (String, String) {
    let me = resource.me();
    let mine = me.and_then(|me| me.address.as_ref());
    let proxy = me
        .and_then(|me| me.proxy.as_ref())
        .and_then(|proxy| proxy.inside.as_ref());
    let theirs = proxy.or_else(|| resource.peer().and_then(|peer| peer.address.as_ref()));
    let text = |address: Option<&drbd_conf::span::Spanned<drbd_conf::tree::Address>>| {
        address.map_or_else(|| "N/A".to_owned(), |address| address.value.to_string())
    };
    // An unknown peer stays unknown even if a proxy would do for the address.
    let theirs = if resource.peer().is_some() {
        theirs
    } else {
        None
    };
    (text(mine), text(theirs))
}

/// `connect`.
pub(crate) fn connect(resource: &Resource, passed: &[String]) -> Action {
    let mut step = on_resource("connect", resource);
    let (mine, theirs) = end_points(resource);
    step.args.extend([mine, theirs]);
    let alternate = |host: Option<&drbd_conf::tree::HostSection>| {
        host.and_then(|host| host.alternate.as_ref())
            .map(|address| address.value.to_string())
    };
    // One side alone makes no second path.
    if let (Some(mine), Some(theirs)) = (alternate(resource.me()), alternate(resource.peer())) {
        let option = |name: &str| name.to_owned();
        step.args.extend([option("--alternate-address"), mine]);
        step.args
            .extend([option("--alternate-peer-address"), theirs]);
    }
    step.args.extend(arguments(&resource.net));
    needs_peer(resource, step.pass(passed))
}

/// A step that is impossible without the peer's address.
fn needs_peer(resource: &Resource, step: Step) -> Action {
    if resource.peer().is_some() {
        return Action::Run(vec![step]);
    }
    let name = &resource.name.value;
    let text = format!("resource {name}: the peer is not known, so there is no network to set up");
    Action::Fail {
        code: 20,
        text,
        step,
    }
}

/// `disconnect` or `net-options`: named by the two ends.
fn on_connection(name: &'static str, resource: &Resource, passed: &[String]) -> Action {
    let (mine, theirs) = end_points(resource);
    let args = words(&[name, &mine, &theirs]);
    needs_peer(
        resource,
        Step::new(Tool::Setup, name, resource, args).pass(passed),
    )
}

/// `resize` with the configured size.
pub(crate) fn resize(resource: &Resource, volume: &Volume, passed: &[String]) -> Step {
    let mut step = on_minor("resize", resource, volume);
    if let Some(size) = lookup(&volume.disk_options, "size") {
        step.args.push(format!("--size={}", size.value));
    }
    step.pass(passed)
}

/// `wait-connect` with the resource's time limits.
pub(crate) fn wait_connect(resource: &Resource, volume: &Volume, passed: &[String]) -> Step {
    let mut step = on_minor("wait-connect", resource, volume).limit(Limit::None);
    if resource.binding.stacked && !resource.stacked_timeouts {
        // A stacked resource must not hold the boot; twice the time between two attempts will do.
        let interval = lookup(&resource.net, "connect-int").and_then(|s| s.value.parse().ok());
        let seconds = interval.map_or(20, |seconds: u32| seconds.saturating_mul(2));
        step.args
            .extend(["--wfc-timeout".to_owned(), seconds.to_string()]);
    } else {
        step.args.extend(arguments(&resource.startup));
    }
    step.pass(passed)
}

/// The actions of a command on a resource as a whole; `None` if it is no such command.
#[must_use]
pub fn of_resource(command: &str, resource: &Resource, passed: &[String]) -> Option<Action> {
    let run = |step: Step| Action::Run(vec![step.pass(passed)]);
    Some(match command {
        "connect" => connect(resource, passed),
        "disconnect" => on_connection("disconnect", resource, passed),
        "net-options" => on_connection("net-options", resource, passed),
        "new-resource" => Action::Run(vec![new_resource(resource, passed)]),
        "resource-options" => run(on_resource("resource-options", resource)),
        "down" => run(on_resource("down", resource).limit(Limit::Medium)),
        "status" => run(on_resource("status", resource)),
        "sh-resource" => Action::Print(resource.name.value.clone()),
        _ => return None,
    })
}

/// The actions of a command on one volume; `None` if it is no such command.
#[must_use]
pub fn of_volume(
    command: &str,
    resource: &Resource,
    volume: &Volume,
    passed: &[String],
) -> Option<Action> {
    let short = |name| Action::Run(vec![on_minor(name, resource, volume).pass(passed)]);
    let medium = |name| {
        Action::Run(vec![on_minor(name, resource, volume)
            .limit(Limit::Medium)
            .pass(passed)])
    };
    let both = |name| Action::KernelThenMeta {
        kernel: on_minor(name, resource, volume).pass(passed),
        meta: meta(name, resource, volume).pass(passed),
    };
    Some(match command {
        "attach" => attach(resource, volume, passed),
        "disk-options" => medium("disk-options"),
        "detach" => medium("detach"),
        "primary" => medium("primary"),
        "secondary" => medium("secondary"),
        "invalidate-remote" => medium("invalidate-remote"),
        "verify" => short("verify"),
        "pause-sync" => short("pause-sync"),
        "resume-sync" => short("resume-sync"),
        "suspend-io" => short("suspend-io"),
        "resume-io" => short("resume-io"),
        "role" => short("role"),
        "cstate" => short("cstate"),
        "new-current-uuid" => short("new-current-uuid"),
        "invalidate" => both("invalidate"),
        "show-gi" => both("show-gi"),
        "get-gi" => both("get-gi"),
        "dstate" => both("dstate"),
        "outdate" => Action::Outdate {
            kernel: on_minor("outdate", resource, volume).quiet().pass(passed),
            meta: meta("outdate", resource, volume).pass(passed),
        },
        "dump-md" => Action::Run(vec![meta("dump-md", resource, volume).pass(passed)]),
        "wipe-md" => Action::Run(vec![meta("wipe-md", resource, volume).pass(passed)]),
        "apply-al" => Action::Run(vec![meta("apply-al", resource, volume).pass(passed)]),
        "set-gi" => Action::Run(vec![meta("set-gi", resource, volume).pass(passed)]),
        "create-md" => Action::CreateMd {
            read: meta("read-dev-uuid", resource, volume),
            create: meta("create-md", resource, volume).pass(passed),
            write: meta("write-dev-uuid", resource, volume),
        },
        "new-minor" | "sh-new-minor" => Action::Run(vec![new_minor(resource, volume)]),
        "resize" => Action::Resize {
            resize: resize(resource, volume, passed),
            check: on_minor("check-resize", resource, volume),
        },
        "check-resize" => Action::CheckResize {
            resize: resize(resource, volume, passed).quiet(),
            check: on_minor("check-resize", resource, volume).quiet(),
            meta: meta("check-resize", resource, volume).pass(passed),
        },
        "wait-connect" => Action::Run(vec![wait_connect(resource, volume, passed)]),
        "wait-sync" => Action::Run(vec![on_minor("wait-sync", resource, volume)
            .limit(Limit::None)
            .pass(passed)]),
        _ => return None,
    })
}
