// SPDX-License-Identifier: GPL-2.0
//! The table itself, in the order of the usage text.

use super::{Command, Group, Passes, Scope};
use Group::{Expert, Handler, Normal, Shell};
use Passes::{
    Attach, Connect, DiskOptions, Listed, NetOptions, Nothing as NoOptions, ResourceOptions,
};
use Scope::{Nothing, OneVolume, Resource, Volume};

const fn command(
    name: &'static str,
    group: Group,
    scope: Scope,
    passes: Passes,
    about: &'static str,
) -> Command {
    let (ip, peer, default_all) = (false, false, false);
    Command {
        name,
        group,
        scope,
        ip,
        peer,
        default_all,
        passes,
        about,
    }
}

impl Command {
    const fn ip(mut self) -> Self {
        self.ip = true;
        self
    }

    const fn peer(mut self) -> Self {
        self.peer = true;
        self
    }

    const fn default_all(mut self) -> Self {
        self.default_all = true;
        self
    }
}

const FORCE: Passes = Listed(&[("force", None, "Answer every question with yes")]);
const TIMEOUTS: Passes = Listed(&[
    (
        "wfc-timeout",
        Some("SECONDS"),
        "Wait that long, 0: for ever",
    ),
    (
        "degr-wfc-timeout",
        Some("SECONDS"),
        "The same if this node ran alone before",
    ),
    (
        "outdated-wfc-timeout",
        Some("SECONDS"),
        "The same if the peer was outdated",
    ),
    (
        "wait-after-sb",
        None,
        "Go on waiting although the link went StandAlone",
    ),
]);
const STATUS: Passes = Listed(&[
    (
        "json",
        None,
        "Print JSON, in the form of DRBD 9's `status --json`",
    ),
    ("statistics", None, "Add counters"),
    (
        "color",
        Some("WHEN"),
        "Colour the states: auto, always or never",
    ),
]);
const CREATE_MD: Passes = Listed(&[
    ("force", None, "Answer every question with yes"),
    (
        "peer-max-bio-size",
        Some("BYTES"),
        "Largest request the peer takes",
    ),
    ("al-stripes", Some("N"), "Stripes of the activity log"),
    ("al-stripe-size-kB", Some("KIB"), "Size of one stripe"),
    (
        "ignore-sanity-checks",
        None,
        "Write even over what looks like a used file system",
    ),
    ("size", Some("SIZE"), "Size that a later attach will use"),
]);
const RESIZE: Passes = Listed(&[
    ("size", Some("SIZE"), "Use this much of the backing devices"),
    (
        "assume-peer-has-space",
        None,
        "Resize although the peer is not connected",
    ),
    ("assume-clean", None, "Don't resync the new part"),
    (
        "al-stripes",
        Some("N"),
        "Change the stripes of the activity log",
    ),
    (
        "al-stripe-size-kB",
        Some("KIB"),
        "Change the size of one stripe",
    ),
]);
const VERIFY: Passes = Listed(&[
    ("start", Some("SECTOR"), "Begin there"),
    ("stop", Some("SECTOR"), "End there"),
]);
const PRIMARY: Passes = Listed(&[
    (
        "force",
        None,
        "Take this node's data for good even if they are not known to be",
    ),
    ("overwrite-data-of-peer", None, "The older name of --force"),
]);
const DETACH: Passes = Listed(&[("force", None, "Don't wait for I/O that hangs")]);
const DISCONNECT: Passes = Listed(&[("force", None, "Cut the link without asking the peer")]);
const CLEAR: Passes = Listed(&[(
    "clear-bitmap",
    None,
    "Declare both nodes equal: skips the first full sync",
)]);

/// All commands, in the order of the usage text.
pub const COMMANDS: &[Command] = &[
    command(
        "attach",
        Normal,
        Volume,
        Attach,
        "Give a device its backing disk",
    ),
    command(
        "status",
        Normal,
        Resource,
        STATUS,
        "Show states in a readable form",
    )
    .default_all(),
    command(
        "disk-options",
        Normal,
        Volume,
        DiskOptions,
        "Change disk options of a running device",
    ),
    command(
        "detach",
        Normal,
        Volume,
        DETACH,
        "Take the backing disk away from a device",
    ),
    command(
        "connect",
        Normal,
        Resource,
        Connect,
        "Let a resource look for its peer",
    )
    .ip()
    .peer(),
    command(
        "net-options",
        Normal,
        Resource,
        NetOptions,
        "Change options of a running connection",
    )
    .ip()
    .peer(),
    command(
        "disconnect",
        Normal,
        Resource,
        DISCONNECT,
        "Cut the connection to the peer",
    ),
    command(
        "up",
        Normal,
        Resource,
        NoOptions,
        "Create, attach and connect: all that is configured",
    )
    .ip()
    .peer(),
    command(
        "resource-options",
        Normal,
        Resource,
        ResourceOptions,
        "Change options of a resource",
    ),
    command(
        "down",
        Normal,
        Resource,
        NoOptions,
        "Demote, disconnect, detach and remove",
    ),
    command(
        "primary",
        Normal,
        Volume,
        PRIMARY,
        "Allow this node to use the device",
    ),
    command(
        "secondary",
        Normal,
        Volume,
        NoOptions,
        "Give the device back; the peer may take it",
    ),
    command(
        "invalidate",
        Normal,
        Volume,
        NoOptions,
        "Throw this node's data away: sync from peer",
    ),
    command(
        "invalidate-remote",
        Normal,
        Volume,
        NoOptions,
        "Throw the peer's data away: sync to it",
    )
    .ip(),
    command(
        "outdate",
        Normal,
        Volume,
        NoOptions,
        "Mark this node's data as old",
    ),
    command(
        "resize",
        Normal,
        Volume,
        RESIZE,
        "Use a backing disk that has grown",
    )
    .ip(),
    command(
        "verify",
        Normal,
        Volume,
        VERIFY,
        "Compare both nodes' data block by block",
    )
    .ip(),
    command("pause-sync", Normal, Volume, NoOptions, "Hold a resync").ip(),
    command(
        "resume-sync",
        Normal,
        Volume,
        NoOptions,
        "Let a held resync go on",
    )
    .ip(),
    command(
        "adjust",
        Normal,
        Resource,
        NoOptions,
        "Make what runs equal to the configuration",
    )
    .ip()
    .peer(),
    command(
        "adjust-with-progress",
        Normal,
        Resource,
        NoOptions,
        "The same, showing each stage",
    )
    .ip()
    .peer(),
    command(
        "wait-connect",
        Normal,
        Volume,
        TIMEOUTS,
        "Wait until the peer is there",
    )
    .ip(),
    command(
        "wait-con-int",
        Normal,
        Nothing,
        NoOptions,
        "Wait for all peers; can be broken off",
    ),
    command(
        "wait-sync",
        Normal,
        Volume,
        TIMEOUTS,
        "Wait for the end of a resync, with a bar",
    ),
    command(
        "role",
        Normal,
        Volume,
        NoOptions,
        "Show the roles of this node and the peer",
    ),
    command(
        "cstate",
        Normal,
        Volume,
        NoOptions,
        "Show the state of the connection",
    ),
    command(
        "dstate",
        Normal,
        Volume,
        NoOptions,
        "Show the states of both disks",
    ),
    command(
        "dump",
        Normal,
        Resource,
        NoOptions,
        "Check the configuration and print it",
    )
    .ip()
    .default_all(),
    command("dump-xml", Normal, Resource, NoOptions, "The same as XML")
        .ip()
        .default_all(),
    command(
        "create-md",
        Normal,
        Volume,
        CREATE_MD,
        "Prepare a disk: write empty metadata",
    ),
    command(
        "show-gi",
        Normal,
        Volume,
        NoOptions,
        "Show the generations of the data, explained",
    ),
    command(
        "get-gi",
        Normal,
        Volume,
        NoOptions,
        "Show the generations of the data",
    ),
    command(
        "dump-md",
        Normal,
        Volume,
        NoOptions,
        "Print the metadata of a detached disk",
    ),
    command("wipe-md", Normal, Volume, FORCE, "Remove the metadata"),
    command(
        "apply-al",
        Normal,
        Volume,
        NoOptions,
        "Apply the activity log to the bitmap",
    ),
    command(
        "hidden-commands",
        Normal,
        Nothing,
        NoOptions,
        "List the commands for scripts",
    ),
    command(
        "sh-nop",
        Shell,
        Nothing,
        NoOptions,
        "Only parse the configuration",
    ),
    command(
        "sh-resources",
        Shell,
        Nothing,
        NoOptions,
        "Names of all resources of this node",
    ),
    command(
        "sh-resource",
        Shell,
        Resource,
        NoOptions,
        "The resource's name",
    ),
    command(
        "sh-mod-parms",
        Shell,
        Nothing,
        NoOptions,
        "Parameters for the module",
    ),
    command("sh-dev", Shell, Volume, NoOptions, "Device node"),
    command("sh-udev", Shell, OneVolume, NoOptions, "Variables for udev"),
    command("sh-minor", Shell, Volume, NoOptions, "Minor number"),
    command("sh-ll-dev", Shell, Volume, NoOptions, "Backing device"),
    command("sh-md-dev", Shell, Volume, NoOptions, "Metadata device"),
    command(
        "sh-md-idx",
        Shell,
        Volume,
        NoOptions,
        "Place on the metadata device",
    ),
    command("sh-ip", Shell, Volume, NoOptions, "This node's address"),
    command("sh-lr-of", Shell, Volume, NoOptions, "The resource below"),
    command(
        "sh-b-pri",
        Shell,
        Resource,
        NoOptions,
        "Promote if the configuration wants it",
    ),
    command(
        "sh-status",
        Shell,
        Nothing,
        NoOptions,
        "Variables for the init script",
    ),
    command(
        "proxy-up",
        Shell,
        Resource,
        NoOptions,
        "Start drbd-proxy's connection",
    )
    .peer(),
    command(
        "proxy-down",
        Shell,
        Resource,
        NoOptions,
        "End drbd-proxy's connection",
    )
    .peer(),
    command(
        "new-resource",
        Shell,
        Resource,
        ResourceOptions,
        "Create a resource",
    ),
    command(
        "before-resync-target",
        Handler,
        OneVolume,
        NoOptions,
        "About to be resynced",
    ),
    command(
        "after-resync-target",
        Handler,
        OneVolume,
        NoOptions,
        "Has been resynced",
    ),
    command(
        "before-resync-source",
        Handler,
        OneVolume,
        NoOptions,
        "About to resync the peer",
    ),
    command(
        "pri-on-incon-degr",
        Handler,
        OneVolume,
        NoOptions,
        "Primary alone on bad data",
    ),
    command(
        "pri-lost-after-sb",
        Handler,
        OneVolume,
        NoOptions,
        "Lost the split brain as Primary",
    ),
    command(
        "fence-peer",
        Handler,
        Resource,
        NoOptions,
        "Put the lost peer out of action",
    ),
    command(
        "unfence-peer",
        Handler,
        Resource,
        NoOptions,
        "Take the fence away",
    ),
    command(
        "local-io-error",
        Handler,
        OneVolume,
        NoOptions,
        "The backing disk failed",
    ),
    command(
        "pri-lost",
        Handler,
        OneVolume,
        NoOptions,
        "Should become target while Primary",
    ),
    command(
        "initial-split-brain",
        Handler,
        OneVolume,
        NoOptions,
        "A split brain was found",
    ),
    command(
        "split-brain",
        Handler,
        OneVolume,
        NoOptions,
        "A split brain was not settled",
    ),
    command(
        "out-of-sync",
        Handler,
        OneVolume,
        NoOptions,
        "Verify found differences",
    ),
    command(
        "sh-new-minor",
        Expert,
        Volume,
        NoOptions,
        "Create a volume's device",
    ),
    command(
        "new-minor",
        Expert,
        Volume,
        NoOptions,
        "Create a volume's device",
    ),
    command(
        "suspend-io",
        Expert,
        Volume,
        NoOptions,
        "Hold application I/O",
    ),
    command(
        "resume-io",
        Expert,
        Volume,
        NoOptions,
        "Let application I/O go on",
    ),
    command(
        "set-gi",
        Expert,
        OneVolume,
        FORCE,
        "Write the generations of the data",
    ),
    command(
        "new-current-uuid",
        Expert,
        OneVolume,
        CLEAR,
        "Begin a new generation of the data",
    ),
    command(
        "check-resize",
        Expert,
        Volume,
        NoOptions,
        "Follow a backing disk resized offline",
    ),
];
