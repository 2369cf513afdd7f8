// SPDX-License-Identifier: GPL-2.0
//! The commands of drbdsetup: names, objects, arguments, options. Help and parsing follow them.

use drbd_core::config::disk::DISK_OPTION_ORDER;
use drbd_core::config::net::{CONNECT_OPTION_ORDER, NET_OPTION_ORDER};
use drbd_core::config::resource::RESOURCE_OPTION_ORDER;
use drbd_core::config::{DiskConf, NetConf, OptionSpec, ResOpts};
use drbd_core::genl::request::{
    DetachParms, DisconnectParms, NewCUuidParms, ResizeParms, SetRoleParms, StartOvParms,
};
use drbd_core::genl::{Field, Nest, Op, Set};

/// What the first word behind a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// A minor: number or device node.
    Minor,
    /// A resource.
    Resource,
    /// Nothing: the arguments say it all.
    Nothing,
    /// A minor, a resource, or `all`, which is assumed if nothing is said.
    Any,
    /// A resource, or `all`, which is assumed if nothing is said.
    ResourceOrAll,
}

/// A word behind the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// The backing device.
    LowerDev,
    /// The device with the metadata.
    MetaDataDev,
    /// `internal`, `flexible` or a number.
    MetaDataIndex,
    /// Own address.
    LocalAddress,
    /// The peer's address.
    RemoteAddress,
    /// The resource of a new minor.
    Resource,
    /// The new minor.
    Minor,
    /// Its volume number.
    Volume,
}

impl Argument {
    /// The name in help and error messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LowerDev => "lower_dev",
            Self::MetaDataDev => "meta_data_dev",
            Self::MetaDataIndex => "meta_data_index",
            Self::LocalAddress => "local_addr",
            Self::RemoteAddress => "remote_addr",
            Self::Resource => "resource",
            Self::Minor => "minor",
            Self::Volume => "volume",
        }
    }
}

/// An option that concerns the tool, not the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalOption {
    /// Name behind `--`.
    pub(super) name: &'static str,
    /// Letter behind `-`. Stock documents most of these and understands none.
    pub(super) letter: char,
    /// Whether a value follows.
    pub(super) value: HasValue,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HasValue {
    /// Never.
    No,
    /// Behind `=` only.
    Optional,
    /// Behind `=` or as the next word.
    Required,
}

/// The options of a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Options {
    /// None.
    Nothing,
    /// Those of the tool.
    Local(&'static [LocalOption]),
    /// Fields of a set, in this order.
    Set {
        /// The set.
        set: Set,
        /// Numbers of the fields.
        order: &'static [&'static [u16]],
        /// Whether `--set-defaults` is understood.
        set_defaults: bool,
    },
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Sends a change.
    Change(Op),
    /// Shuts a resource down.
    Down,
    /// `role`, `cstate`, `dstate`.
    Role,
    /// See [`Self::Role`].
    ConnectionState,
    /// See [`Self::Role`].
    DiskState,
    /// `show-gi`, `get-gi`.
    ShowGi,
    /// See [`Self::ShowGi`].
    GetGi,
    /// `sh-status`.
    ShellStatus,
    /// `show`.
    Show,
    /// `status`.
    Status,
    /// `check-resize`.
    CheckResize,
    /// `events`.
    Events,
    /// `events2`.
    Events2,
    /// `wait-connect`.
    WaitConnect,
    /// `wait-sync`.
    WaitSync,
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) object: Object,
    /// What follows.
    pub(super) arguments: &'static [Argument],
    /// Its options.
    pub(super) options: Options,
    /// What it does.
    pub(super) action: Action,
}

impl Command {
    /// The options that become attributes, in stock's order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static Field, OptionSpec)> {
        let (set, order) = match self.options {
            Options::Set { set, order, .. } => (Some(set), order),
            Options::Nothing | Options::Local(_) => (None, &[][..]),
        };
        order.iter().copied().flatten().filter_map(move |number| {
            let field = set?.field(*number)?;
            Some((field, field.option?))
        })
    }

    /// The tool's own options.
    pub(super) fn local_options(&self) -> &'static [LocalOption] {
        match self.options {
            Options::Local(options) => options,
            Options::Set {
                set_defaults: true, ..
            } => &[SET_DEFAULTS],
            Options::Set { .. } | Options::Nothing => &[],
        }
    }
}

/// The command with this name.
#[must_use]
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Resets what is not named.
pub(super) const SET_DEFAULTS: LocalOption = LocalOption {
    name: "set-defaults",
    letter: '\0',
    value: HasValue::No,
};

const fn local(name: &'static str, letter: char, value: HasValue) -> LocalOption {
    LocalOption {
        name,
        letter,
        value,
    }
}

const STATISTICS: LocalOption = local("statistics", 's', HasValue::No);
const SHOW_OPTIONS: &[LocalOption] = &[local("show-defaults", 'D', HasValue::No)];
const STATUS_OPTIONS: &[LocalOption] = &[
    local("verbose", 'v', HasValue::No),
    STATISTICS,
    local("color", 'c', HasValue::Optional),
    local("json", 'j', HasValue::No),
];
const EVENTS2_OPTIONS: &[LocalOption] = &[
    local("timestamps", 'T', HasValue::No),
    STATISTICS,
    local("now", 'n', HasValue::No),
];
const WAIT_OPTIONS: &[LocalOption] = &[
    local("wfc-timeout", 't', HasValue::Required),
    local("degr-wfc-timeout", 'd', HasValue::Required),
    local("outdated-wfc-timeout", 'o', HasValue::Required),
    local("wait-after-sb", 'w', HasValue::Optional),
];

const fn of_set(set: Set, order: &'static [&'static [u16]]) -> Options {
    Options::Set {
        set,
        order,
        set_defaults: false,
    }
}

const fn changeable(set: Set, order: &'static [&'static [u16]]) -> Options {
    Options::Set {
        set,
        order,
        set_defaults: true,
    }
}

const fn command(
    name: &'static str,
    object: Object,
    arguments: &'static [Argument],
    options: Options,
    action: Action,
) -> Command {
    Command {
        name,
        object,
        arguments,
        options,
        action,
    }
}

/// A command without arguments or options that changes something about a minor.
const fn minor_change(name: &'static str, op: Op) -> Command {
    command(
        name,
        Object::Minor,
        &[],
        Options::Nothing,
        Action::Change(op),
    )
}

/// A command without arguments or options that asks about a minor.
const fn minor_question(name: &'static str, action: Action) -> Command {
    command(name, Object::Minor, &[], Options::Nothing, action)
}

const ADDRESSES: &[Argument] = &[Argument::LocalAddress, Argument::RemoteAddress];
const FORCE: &[&[u16]] = &[&[1]];

/// Options of disk-options: those of attach without what is fixed then.
const CHANGEABLE_DISK_OPTIONS: &[u16] = {
    let (fixed, changeable) = DISK_OPTION_ORDER.split_at(2);
    assert!(
        fixed[0] == 4 && fixed[1] == 5,
        "size and max-bio-bvecs come first"
    );
    changeable
};

/// All commands, in the order in which help lists them.
pub(super) static COMMANDS: &[Command] = &[
    command(
        "primary",
        Object::Minor,
        &[],
        of_set(SetRoleParms::SET, FORCE),
        Action::Change(Op::Primary),
    ),
    minor_change("secondary", Op::Secondary),
    command(
        "attach",
        Object::Minor,
        &[
            Argument::LowerDev,
            Argument::MetaDataDev,
            Argument::MetaDataIndex,
        ],
        of_set(DiskConf::SET, &[DISK_OPTION_ORDER]),
        Action::Change(Op::Attach),
    ),
    command(
        "disk-options",
        Object::Minor,
        &[],
        changeable(DiskConf::SET, &[CHANGEABLE_DISK_OPTIONS]),
        Action::Change(Op::ChgDiskOpts),
    ),
    command(
        "detach",
        Object::Minor,
        &[],
        of_set(DetachParms::SET, FORCE),
        Action::Change(Op::Detach),
    ),
    command(
        "connect",
        Object::Resource,
        ADDRESSES,
        of_set(NetConf::SET, &[CONNECT_OPTION_ORDER, NET_OPTION_ORDER]),
        Action::Change(Op::Connect),
    ),
    command(
        "net-options",
        Object::Nothing,
        ADDRESSES,
        changeable(NetConf::SET, &[NET_OPTION_ORDER]),
        Action::Change(Op::ChgNetOpts),
    ),
    command(
        "disconnect",
        Object::Nothing,
        ADDRESSES,
        of_set(DisconnectParms::SET, FORCE),
        Action::Change(Op::Disconnect),
    ),
    command(
        "resize",
        Object::Minor,
        &[],
        of_set(ResizeParms::SET, &[&[1, 2, 3, 4, 5]]),
        Action::Change(Op::Resize),
    ),
    command(
        "resource-options",
        Object::Resource,
        &[],
        changeable(ResOpts::SET, &[RESOURCE_OPTION_ORDER]),
        Action::Change(Op::ResourceOpts),
    ),
    command(
        "new-current-uuid",
        Object::Minor,
        &[],
        of_set(NewCUuidParms::SET, FORCE),
        Action::Change(Op::NewCUuid),
    ),
    minor_change("invalidate", Op::Invalidate),
    minor_change("invalidate-remote", Op::InvalPeer),
    minor_change("pause-sync", Op::PauseSync),
    minor_change("resume-sync", Op::ResumeSync),
    minor_change("suspend-io", Op::SuspendIo),
    minor_change("resume-io", Op::ResumeIo),
    minor_change("outdate", Op::Outdate),
    command(
        "verify",
        Object::Minor,
        &[],
        of_set(StartOvParms::SET, &[&[1, 2]]),
        Action::Change(Op::StartOv),
    ),
    command(
        "down",
        Object::Resource,
        &[],
        Options::Nothing,
        Action::Down,
    ),
    minor_question("state", Action::Role),
    minor_question("role", Action::Role),
    command(
        "sh-status",
        Object::Any,
        &[],
        Options::Nothing,
        Action::ShellStatus,
    ),
    minor_question("cstate", Action::ConnectionState),
    minor_question("dstate", Action::DiskState),
    minor_question("show-gi", Action::ShowGi),
    minor_question("get-gi", Action::GetGi),
    command(
        "show",
        Object::Any,
        &[],
        Options::Local(SHOW_OPTIONS),
        Action::Show,
    ),
    command(
        "status",
        Object::ResourceOrAll,
        &[],
        Options::Local(STATUS_OPTIONS),
        Action::Status,
    ),
    minor_question("check-resize", Action::CheckResize),
    command("events", Object::Any, &[], Options::Nothing, Action::Events),
    command(
        "events2",
        Object::ResourceOrAll,
        &[],
        Options::Local(EVENTS2_OPTIONS),
        Action::Events2,
    ),
    command(
        "wait-connect",
        Object::Minor,
        &[],
        Options::Local(WAIT_OPTIONS),
        Action::WaitConnect,
    ),
    command(
        "wait-sync",
        Object::Minor,
        &[],
        Options::Local(WAIT_OPTIONS),
        Action::WaitSync,
    ),
    command(
        "new-resource",
        Object::Resource,
        &[],
        of_set(ResOpts::SET, &[RESOURCE_OPTION_ORDER]),
        Action::Change(Op::NewResource),
    ),
    command(
        "new-minor",
        Object::Nothing,
        &[Argument::Resource, Argument::Minor, Argument::Volume],
        Options::Nothing,
        Action::Change(Op::NewMinor),
    ),
    minor_change("del-minor", Op::DelMinor),
    command(
        "del-resource",
        Object::Resource,
        &[],
        Options::Nothing,
        Action::Change(Op::DelResource),
    ),
];
