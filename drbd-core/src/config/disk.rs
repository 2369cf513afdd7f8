// SPDX-License-Identifier: GPL-2.0
//! Settings of a disk: the `disk` section, `attach` and `disk-options`.

use super::{
    option::{OptionSpec, Scale},
    words::{Fencing, OnIoError, ReadBalancing},
};
use crate::genl::{nest_macro::nest, request::SECTORS_MAX, Text};

/// Name of a block device.
pub type DeviceName = Text<128>;

/// `meta_dev_idx`: internal, in the fixed layout of old (`-1`).
pub const META_INDEX_INTERNAL: i32 = -1;
/// `meta_dev_idx`: external, sized by the device (`flexible`).
pub const META_INDEX_FLEX_EXTERNAL: i32 = -2;
/// `meta_dev_idx`: at the end of the backing device (`internal`).
pub const META_INDEX_FLEX_INTERNAL: i32 = -3;

/// The largest `c_plan_ahead`, in 0.1 s; the kernel lowers larger values to it.
pub const PLAN_AHEAD_MAX_DS: u32 = 300;
/// The least number of activity log extents; the kernel raises smaller values to it.
pub const AL_EXTENTS_MIN: u32 = 67;

nest! {
    /// How a volume uses its backing device (`DISK_CONF`).
    pub struct DiskConf = 3 "disk_conf" {
        /// The backing device.
        backing_dev: DeviceName = 1 [required invariant];
        /// The device that holds the metadata.
        meta_dev: DeviceName = 2 [required invariant];
        /// Where on it: an index from 0, or one of `META_INDEX_*`.
        meta_dev_idx: i32 = 3 [required invariant];
        /// Use only so many sectors; 0: all.
        disk_size: u64 = 4 [mandatory invariant]
            option(OptionSpec::number("size", (0, 0, SECTORS_MAX), Scale::Sector, "bytes"));
        /// Most segments per request; 0: no limit. Modern kernels ignore it.
        max_bio_bvecs: u32 = 5 [mandatory invariant]
            option(OptionSpec::number("max-bio-bvecs", (0, 0, 128), Scale::One, ""));
        /// What a failed request of the backing device does.
        on_io_error: OnIoError = 6 [mandatory]
            option(OptionSpec::words("on-io-error", 2, OnIoError::WORDS));
        /// What happens to the peer when it is lost.
        fencing: Fencing = 7 [mandatory]
            option(OptionSpec::words("fencing", 0, Fencing::WORDS));
        /// Fixed rate of resync in KiB/s, or where the controller starts.
        resync_rate: u32 = 8 [mandatory] option(OptionSpec::number(
            "resync-rate", (250, 1, 4_194_304), Scale::Kib, "bytes/second"));
        /// Minor whose resync comes first; -1: none.
        resync_after: i32 = 9 [mandatory] option(OptionSpec::number(
            "resync-after", (-1, -1, 1_048_575), Scale::One, ""));
        /// Extents of 4 MiB that may be active at a time.
        al_extents: u32 = 10 [mandatory] option(OptionSpec::number(
            "al-extents", (1237, 67, 65_534), Scale::One, ""));
        /// How far the resync controller plans, in 0.1 s; 0: fixed rate.
        c_plan_ahead: u32 = 11 [mandatory] option(OptionSpec::number(
            "c-plan-ahead", (20, 0, 300), Scale::One, "1/10 seconds"));
        /// Delay that the controller aims at, in 0.1 s.
        c_delay_target: u32 = 12 [mandatory] option(OptionSpec::number(
            "c-delay-target", (10, 1, 100), Scale::One, "1/10 seconds"));
        /// Sectors in flight that the controller aims at.
        c_fill_target: u32 = 13 [mandatory] option(OptionSpec::number(
            "c-fill-target", (100, 0, 1_048_576), Scale::Sector, "bytes"));
        /// Upper bound of the controller in KiB/s.
        c_max_rate: u32 = 14 [mandatory] option(OptionSpec::number(
            "c-max-rate", (102_400, 250, 4_194_304), Scale::Kib, "bytes/second"));
        /// Rate that resync keeps while applications write, in KiB/s; 0: no throttling.
        c_min_rate: u32 = 15 [mandatory] option(OptionSpec::number(
            "c-min-rate", (250, 0, 4_194_304), Scale::Kib, "bytes/second"));
        /// Order writes by barriers.
        disk_barrier: bool = 16 [mandatory] option(OptionSpec::boolean("disk-barrier", false));
        /// Order writes by flushes.
        disk_flushes: bool = 17 [mandatory] option(OptionSpec::boolean("disk-flushes", true));
        /// Order writes by waiting for all of them.
        disk_drain: bool = 18 [mandatory] option(OptionSpec::boolean("disk-drain", true));
        /// Flush when metadata is written.
        md_flushes: bool = 19 [mandatory] option(OptionSpec::boolean("md-flushes", true));
        /// When a request of the backing device counts as failed, in 0.1 s; 0: never.
        disk_timeout: u32 = 20 [mandatory] option(OptionSpec::number(
            "disk-timeout", (0, 0, 6000), Scale::One, "1/10 seconds"));
        /// Which side serves reads.
        read_balancing: ReadBalancing = 21
            option(OptionSpec::words("read-balancing", 0, ReadBalancing::WORDS));
        /// Write transactions of the activity log.
        al_updates: bool = 23 option(OptionSpec::boolean("al-updates", true));
        /// Treat aligned discards as zeroing.
        discard_zeroes_if_aligned: bool = 24
            option(OptionSpec::boolean("discard-zeroes-if-aligned", true));
        /// Resync in pieces of so many bytes that can be discarded; 0: off.
        rs_discard_granularity: u32 = 25 option(OptionSpec::number(
            "rs-discard-granularity", (0, 0, 1_048_576), Scale::One, ""));
        /// Never use WRITE SAME.
        disable_write_same: bool = 26 option(OptionSpec::boolean("disable-write-same", false));
    }
}

impl DiskConf {
    /// Brings values that would not work into range, as the kernel does without a word.
    ///
    /// What depends on the disk (the most `al_extents` that its metadata hold, the granularity of
    /// its discards) is cut by the caller.
    pub fn sanitize(&mut self) {
        self.resync_rate = self.resync_rate.max(1);
        self.al_extents = self.al_extents.max(AL_EXTENTS_MIN);
        self.c_plan_ahead = self.c_plan_ahead.min(PLAN_AHEAD_MAX_DS);
    }
}

/// Fields in the order in which stock tools list and print their options.
pub const DISK_OPTION_ORDER: &[u16] = &[
    4, 5, 6, 7, 16, 17, 18, 19, 8, 9, 10, 23, 24, 26, 11, 12, 13, 14, 15, 20, 21, 25,
];
