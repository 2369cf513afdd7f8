// SPDX-License-Identifier: GPL-2.0
//! The tables themselves, one per section, in the order of docs/configuration.md.

use super::{Kind, OptionDef};
use crate::number::Unit;
use Unit::{Kibi, One, Sector};

const CHECKED: bool = true;
const LATER: bool = false;

const fn def(name: &'static str, kind: Kind, checked: bool, about: &'static str) -> OptionDef {
    OptionDef {
        name,
        kind,
        checked,
        about,
    }
}

const fn number(unit: Unit, min: u64, max: u64, default: u64) -> Kind {
    Kind::Number {
        unit,
        min,
        max,
        default,
    }
}

const fn choice(values: &'static [&'static str], default: &'static str) -> Kind {
    Kind::Choice { values, default }
}

const fn flag(default: bool) -> Kind {
    Kind::Bool { default }
}

const AFTER_SB_0PRI: &[&str] = &[
    "disconnect",
    "discard-younger-primary",
    "discard-older-primary",
    "discard-zero-changes",
    "discard-least-changes",
    "discard-local",
    "discard-remote",
];
const AFTER_SB_1PRI: &[&str] = &[
    "disconnect",
    "consensus",
    "discard-secondary",
    "call-pri-lost-after-sb",
    "violently-as0p",
];
const AFTER_SB_2PRI: &[&str] = &["disconnect", "call-pri-lost-after-sb", "violently-as0p"];
const RR_CONFLICT: &[&str] = &["disconnect", "call-pri-lost", "violently"];
const ON_CONGESTION: &[&str] = &["block", "pull-ahead", "disconnect"];
const ON_IO_ERROR: &[&str] = &["pass_on", "call-local-io-error", "detach"];
const FENCING: &[&str] = &["dont-care", "resource-only", "resource-and-stonith"];
const READ_BALANCING: &[&str] = &[
    "prefer-local",
    "prefer-remote",
    "round-robin",
    "least-pending",
    "when-congested-remote",
    "32K-striping",
    "64K-striping",
    "128K-striping",
    "256K-striping",
    "512K-striping",
    "1M-striping",
];

/// `net { }`.
pub const NET: &[OptionDef] = &[
    def(
        "protocol",
        choice(&["A", "B", "C"], "C"),
        CHECKED,
        "when a write counts as complete",
    ),
    def(
        "timeout",
        number(One, 1, 600, 60),
        CHECKED,
        "tenths of a second to wait for an expected answer",
    ),
    def(
        "max-epoch-size",
        number(One, 1, 20_000, 2048),
        CHECKED,
        "most writes between two barriers",
    ),
    def(
        "max-buffers",
        number(One, 32, 131_072, 2048),
        CHECKED,
        "pages the receiver may hold",
    ),
    def(
        "unplug-watermark",
        number(One, 1, 131_072, 128),
        LATER,
        "requests pending before the backing device is kicked",
    ),
    def(
        "connect-int",
        number(One, 1, 120, 10),
        CHECKED,
        "seconds between two attempts to connect",
    ),
    def(
        "ping-int",
        number(One, 1, 120, 10),
        CHECKED,
        "idle seconds before a keep-alive",
    ),
    def(
        "ping-timeout",
        number(One, 1, 300, 5),
        LATER,
        "tenths of a second for the answer to a keep-alive",
    ),
    def(
        "sndbuf-size",
        number(One, 0, 10_485_760, 0),
        CHECKED,
        "bytes of TCP send buffer, 0: the kernel tunes it",
    ),
    def(
        "rcvbuf-size",
        number(One, 0, 10_485_760, 0),
        CHECKED,
        "bytes of TCP receive buffer, 0: the kernel tunes it",
    ),
    def(
        "ko-count",
        number(One, 0, 200, 7),
        CHECKED,
        "time-outs of one write after which a peer is dropped, 0: never",
    ),
    def(
        "allow-two-primaries",
        flag(false),
        LATER,
        "both nodes may be Primary",
    ),
    def(
        "cram-hmac-alg",
        Kind::Text,
        LATER,
        "keyed hash for the peers' proof of identity",
    ),
    def(
        "shared-secret",
        Kind::Text,
        LATER,
        "secret for the peers' proof of identity, up to 63 bytes",
    ),
    def(
        "after-sb-0pri",
        choice(AFTER_SB_0PRI, "disconnect"),
        LATER,
        "after a split brain, no Primary left",
    ),
    def(
        "after-sb-1pri",
        choice(AFTER_SB_1PRI, "disconnect"),
        LATER,
        "after a split brain, one Primary",
    ),
    def(
        "after-sb-2pri",
        choice(AFTER_SB_2PRI, "disconnect"),
        LATER,
        "after a split brain, two Primaries",
    ),
    def(
        "always-asbp",
        flag(false),
        LATER,
        "use these policies although a third node may have had a part",
    ),
    def(
        "rr-conflict",
        choice(RR_CONFLICT, "disconnect"),
        LATER,
        "the resync would run against the roles",
    ),
    def(
        "data-integrity-alg",
        Kind::Text,
        LATER,
        "digest over every data packet",
    ),
    def(
        "tcp-cork",
        flag(true),
        LATER,
        "let TCP gather small packets",
    ),
    def(
        "on-congestion",
        choice(ON_CONGESTION, "block"),
        LATER,
        "what to do when the send queue is full",
    ),
    def(
        "congestion-fill",
        number(Sector, 0, 20_971_520, 0),
        CHECKED,
        "sectors in flight that count as congestion, 0: off",
    ),
    def(
        "congestion-extents",
        number(One, 67, 65_534, 1237),
        CHECKED,
        "active extents that count as congestion",
    ),
    def(
        "csums-alg",
        Kind::Text,
        LATER,
        "digest for a resync that skips equal blocks",
    ),
    def(
        "csums-after-crash-only",
        flag(false),
        LATER,
        "use csums-alg only after a crash of a Primary",
    ),
    def("verify-alg", Kind::Text, LATER, "digest for online verify"),
    def("use-rle", flag(true), LATER, "exchange bitmaps compressed"),
    def(
        "socket-check-timeout",
        number(One, 0, 300, 0),
        LATER,
        "tenths of a second to check a new socket, 0: ping-timeout",
    ),
];

/// `disk { }`.
pub const DISK: &[OptionDef] = &[
    def(
        "size",
        number(Sector, 0, 1 << 41, 0),
        CHECKED,
        "sectors to use, 0: all",
    ),
    def(
        "max-bio-bvecs",
        number(One, 0, 128, 0),
        LATER,
        "segments in one request, 0: no limit; without effect today",
    ),
    def(
        "on-io-error",
        choice(ON_IO_ERROR, "detach"),
        LATER,
        "what to do when the backing device fails",
    ),
    def(
        "fencing",
        choice(FENCING, "dont-care"),
        LATER,
        "keep a lost peer from becoming Primary",
    ),
    def(
        "disk-barrier",
        flag(false),
        LATER,
        "order writes by barriers",
    ),
    def("disk-flushes", flag(true), LATER, "order writes by flushes"),
    def(
        "disk-drain",
        flag(true),
        LATER,
        "order writes by waiting for them",
    ),
    def(
        "md-flushes",
        flag(true),
        LATER,
        "flush after writing metadata",
    ),
    def(
        "resync-rate",
        number(Kibi, 1, 4_194_304, 250),
        CHECKED,
        "KiB/s of a resync, or where the controller starts",
    ),
    def(
        "resync-after",
        Kind::Dependency,
        LATER,
        "resync only after that resource or volume",
    ),
    def(
        "al-extents",
        number(One, 67, 65_534, 1237),
        LATER,
        "4 MiB extents that may be active at once",
    ),
    def(
        "al-updates",
        flag(true),
        LATER,
        "keep the activity log on disk",
    ),
    def(
        "discard-zeroes-if-aligned",
        flag(true),
        LATER,
        "take aligned discards for zeroing",
    ),
    def(
        "disable-write-same",
        flag(false),
        LATER,
        "never use WRITE SAME",
    ),
    def(
        "c-plan-ahead",
        number(One, 0, 300, 20),
        CHECKED,
        "tenths of a second the rate controller looks ahead, 0: off",
    ),
    def(
        "c-delay-target",
        number(One, 1, 100, 10),
        CHECKED,
        "tenths of a second of delay to aim at",
    ),
    def(
        "c-fill-target",
        number(Sector, 0, 1_048_576, 100),
        CHECKED,
        "sectors in flight to aim at",
    ),
    def(
        "c-max-rate",
        number(Kibi, 250, 4_194_304, 102_400),
        CHECKED,
        "upper bound of the controller in KiB/s",
    ),
    def(
        "c-min-rate",
        number(Kibi, 0, 4_194_304, 250),
        CHECKED,
        "resync yields down to this in KiB/s, 0: never",
    ),
    def(
        "disk-timeout",
        number(One, 0, 6000, 0),
        LATER,
        "tenths of a second until a backing request counts as failed, 0: off",
    ),
    def(
        "read-balancing",
        choice(READ_BALANCING, "prefer-local"),
        LATER,
        "which node serves reads",
    ),
    def(
        "rs-discard-granularity",
        number(One, 0, 1_048_576, 0),
        LATER,
        "bytes of the pieces a resync discards, 0: off",
    ),
    def(
        "use-bmbv",
        flag(false),
        LATER,
        "taken, but no back end knows it",
    ),
];

/// `options { }`.
pub const RESOURCE: &[OptionDef] = &[
    def(
        "cpu-mask",
        Kind::Text,
        LATER,
        "processors for this resource's threads, hexadecimal",
    ),
    def(
        "on-no-data-accessible",
        choice(&["io-error", "suspend-io"], "io-error"),
        LATER,
        "no data in reach: fail I/O or hold it",
    ),
];

/// `startup { }`, but for `become-primary-on` and `stacked-timeouts`.
pub const STARTUP: &[OptionDef] = &[
    def(
        "wfc-timeout",
        number(One, 0, 300_000, 0),
        CHECKED,
        "seconds to wait for the peer at start, 0: for ever",
    ),
    def(
        "degr-wfc-timeout",
        number(One, 0, 300_000, 0),
        CHECKED,
        "the same when this node ran alone before",
    ),
    def(
        "outdated-wfc-timeout",
        number(One, 0, 300_000, 0),
        CHECKED,
        "the same when the peer was outdated",
    ),
    def(
        "wait-after-sb",
        flag(false),
        LATER,
        "go on waiting although the link went StandAlone",
    ),
];

/// `handlers { }`: each value is a command line for `/bin/sh -c`.
pub const HANDLERS: &[OptionDef] = &[
    def(
        "pri-on-incon-degr",
        Kind::Text,
        LATER,
        "Primary, alone, and its data turned Inconsistent",
    ),
    def(
        "pri-lost-after-sb",
        Kind::Text,
        LATER,
        "lost the split-brain settlement as Primary",
    ),
    def(
        "pri-lost",
        Kind::Text,
        LATER,
        "should become sync target while Primary",
    ),
    def(
        "initial-split-brain",
        Kind::Text,
        LATER,
        "a split brain was found",
    ),
    def(
        "split-brain",
        Kind::Text,
        LATER,
        "a split brain was found and not settled",
    ),
    def(
        "fence-peer",
        Kind::Text,
        LATER,
        "put the lost peer out of action",
    ),
    def(
        "unfence-peer",
        Kind::Text,
        LATER,
        "take the fence away again",
    ),
    def(
        "local-io-error",
        Kind::Text,
        LATER,
        "the backing device failed",
    ),
    def(
        "before-resync-target",
        Kind::Text,
        LATER,
        "this node is about to be resynced",
    ),
    def(
        "after-resync-target",
        Kind::Text,
        LATER,
        "this node has been resynced",
    ),
    def(
        "before-resync-source",
        Kind::Text,
        LATER,
        "this node is about to resync its peer",
    ),
    def(
        "out-of-sync",
        Kind::Text,
        LATER,
        "online verify found differences",
    ),
];

/// `proxy { }`, but for `plugin { }`.
pub const PROXY: &[OptionDef] = &[
    def("memlimit", Kind::Text, LATER, "buffer memory"),
    def("read-loops", Kind::Text, LATER, "reads in a row"),
    def("compression", Kind::Text, LATER, "compression"),
    def("bwlimit", Kind::Text, LATER, "bandwidth limit"),
    def(
        "sndbuf-size",
        number(One, 0, 10_485_760, 0),
        CHECKED,
        "bytes of TCP send buffer",
    ),
    def(
        "rcvbuf-size",
        number(One, 0, 10_485_760, 0),
        CHECKED,
        "bytes of TCP receive buffer",
    ),
    def(
        "ping-timeout",
        Kind::Text,
        LATER,
        "time for the answer to a keep-alive",
    ),
];
