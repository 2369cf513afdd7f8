// SPDX-License-Identifier: GPL-2.0
//! Settings of a connection: the `net` section, `connect` and `net-options`.

use super::{
    option::{OptionSpec, Scale},
    secret::Secret,
    words::{AfterSb0p, AfterSb1p, AfterSb2p, Fencing, OnCongestion, Protocol, RrConflict},
};
use crate::genl::{nest_macro::nest, Address, ErrCode, Text};

/// Name of a digest.
pub type AlgName = Text<64>;

nest! {
    /// How two nodes replicate a resource (`NET_CONF`).
    pub struct NetConf = 5 "net_conf" {
        /// What both nodes must know to authenticate each other.
        shared_secret: Secret = 1 [mandatory sensitive]
            option(OptionSpec::text("shared-secret"));
        /// Digest for authentication; empty: none.
        cram_hmac_alg: AlgName = 2 [mandatory] option(OptionSpec::text("cram-hmac-alg"));
        /// Digest over each data packet; empty: none.
        integrity_alg: AlgName = 3 [mandatory] option(OptionSpec::text("data-integrity-alg"));
        /// Digest for online verify; empty: no verify.
        verify_alg: AlgName = 4 [mandatory] option(OptionSpec::text("verify-alg"));
        /// Digest for resync by checksums; empty: none.
        csums_alg: AlgName = 5 [mandatory] option(OptionSpec::text("csums-alg"));
        /// When a write is complete.
        wire_protocol: Protocol = 6 [mandatory]
            option(OptionSpec::words("protocol", 3, Protocol::WORDS));
        /// Pause between attempts to connect, in s.
        connect_int: u32 = 7 [mandatory]
            option(OptionSpec::number("connect-int", (10, 1, 120), Scale::One, "seconds"));
        /// How long to wait for an answer, in 0.1 s.
        timeout: u32 = 8 [mandatory]
            option(OptionSpec::number("timeout", (60, 1, 600), Scale::One, "1/10 seconds"));
        /// Idle time before a ping, in s.
        ping_int: u32 = 9 [mandatory]
            option(OptionSpec::number("ping-int", (10, 1, 120), Scale::One, "seconds"));
        /// How long to wait for the answer to a ping, in 0.1 s.
        ping_timeo: u32 = 10 [mandatory]
            option(OptionSpec::number("ping-timeout", (5, 1, 300), Scale::One, "1/10 seconds"));
        /// Send buffer in bytes; 0: the kernel decides.
        sndbuf_size: u32 = 11 [mandatory] option(OptionSpec::number(
            "sndbuf-size", (0, 0, 10_485_760), Scale::One, "bytes"));
        /// Receive buffer in bytes; 0: the kernel decides.
        rcvbuf_size: u32 = 12 [mandatory] option(OptionSpec::number(
            "rcvbuf-size", (0, 0, 10_485_760), Scale::One, "bytes"));
        /// A peer that fails a write for so many timeouts is dropped; 0: never.
        ko_count: u32 = 13 [mandatory]
            option(OptionSpec::number("ko-count", (7, 0, 200), Scale::One, ""));
        /// Pages of 4 KiB for requests of the peer.
        max_buffers: u32 = 14 [mandatory]
            option(OptionSpec::number("max-buffers", (2048, 32, 131_072), Scale::One, ""));
        /// Most writes between two barriers.
        max_epoch_size: u32 = 15 [mandatory]
            option(OptionSpec::number("max-epoch-size", (2048, 1, 20_000), Scale::One, ""));
        /// Pending requests at which the backing device is kicked; modern kernels ignore it.
        unplug_watermark: u32 = 16 [mandatory]
            option(OptionSpec::number("unplug-watermark", (128, 1, 131_072), Scale::One, ""));
        /// Recovery from split brain when no node is Primary.
        after_sb_0p: AfterSb0p = 17 [mandatory]
            option(OptionSpec::words("after-sb-0pri", 0, AfterSb0p::WORDS));
        /// The same when one is.
        after_sb_1p: AfterSb1p = 18 [mandatory]
            option(OptionSpec::words("after-sb-1pri", 0, AfterSb1p::WORDS));
        /// The same when both are.
        after_sb_2p: AfterSb2p = 19 [mandatory]
            option(OptionSpec::words("after-sb-2pri", 0, AfterSb2p::WORDS));
        /// When the direction of resync contradicts the roles.
        rr_conflict: RrConflict = 20 [mandatory]
            option(OptionSpec::words("rr-conflict", 0, RrConflict::WORDS));
        /// What a full send queue does.
        on_congestion: OnCongestion = 21 [mandatory]
            option(OptionSpec::words("on-congestion", 0, OnCongestion::WORDS));
        /// Sectors in flight that count as congestion; 0: off.
        cong_fill: u32 = 22 [mandatory] option(OptionSpec::number(
            "congestion-fill", (0, 0, 20_971_520), Scale::Sector, "bytes"));
        /// Active extents that count as congestion.
        cong_extents: u32 = 23 [mandatory] option(OptionSpec::number(
            "congestion-extents", (1237, 67, 65_534), Scale::One, ""));
        /// Both nodes may be Primary.
        two_primaries: bool = 24 [mandatory]
            option(OptionSpec::boolean("allow-two-primaries", false));
        /// Only for connect: this node gives in after a split brain.
        discard_my_data: bool = 25 [mandatory invariant]
            option(OptionSpec::flag("discard-my-data", None));
        /// Use TCP_CORK.
        tcp_cork: bool = 26 [mandatory] option(OptionSpec::boolean("tcp-cork", true));
        /// Use the after-sb settings even if history names a third node.
        always_asbp: bool = 27 [mandatory] option(OptionSpec::boolean("always-asbp", false));
        /// Only for connect: compare, report, end.
        tentative: bool = 28 [mandatory invariant]
            option(OptionSpec::flag("tentative", Some("dry-run")));
        /// Compress the exchanged bitmap.
        use_rle: bool = 29 [mandatory] option(OptionSpec::boolean("use-rle", true));
        /// Resync by checksums only after a crash of a Primary.
        csums_after_crash_only: bool = 33
            option(OptionSpec::boolean("csums-after-crash-only", false));
        /// How long a new socket is checked, in 0.1 s; 0: as `ping_timeo`.
        sock_check_timeo: u32 = 34 option(OptionSpec::number(
            "socket-check-timeout", (0, 0, 300), Scale::One, ""));
        /// A second own address. The driver of Linux 7.3 does not know it.
        my_addr2: Address = 35 option(OptionSpec::address("alternate-address"));
        /// A second address of the peer. The driver of Linux 7.3 does not know it.
        peer_addr2: Address = 36 option(OptionSpec::address("alternate-peer-address"));
    }
}

/// Fields in the order in which stock tools list and print their options; what only connect takes
/// is in [`CONNECT_OPTION_ORDER`].
pub const NET_OPTION_ORDER: &[u16] = &[
    6, 8, 15, 14, 16, 7, 9, 11, 12, 13, 24, 2, 1, 17, 18, 19, 27, 20, 10, 3, 26, 21, 22, 23, 5, 33,
    4, 29, 34,
];

/// Fields that only connect takes, in stock's order. They come before the others.
pub const CONNECT_OPTION_ORDER: &[u16] = &[28, 25, 35, 36];

/// What [`NetConf::check`] has to know about the resource.
#[derive(Clone, Copy, Debug)]
pub struct NetSituation<'a> {
    /// The settings in force and the agreed protocol version, if the connection is established.
    pub established: Option<(&'a NetConf, u32)>,
    /// The highest role of this node and of the peer are both Primary.
    pub both_primary: bool,
    /// Per volume with a disk: its fencing policy. Per volume without: `None`. And whether the
    /// volume is Primary here.
    pub volumes: &'a [(Option<Fencing>, bool)],
}

impl NetConf {
    /// The rules that a connection's settings obey, in the order of docs/interface.md (connect,
    /// net-options). Algorithms are looked up by the caller.
    ///
    /// # Errors
    ///
    /// The code to answer with.
    pub fn check(&self, situation: &NetSituation<'_>) -> Result<(), ErrCode> {
        if let Some((old, version)) = situation.established {
            let differs = self.wire_protocol != old.wire_protocol
                || self.two_primaries != old.two_primaries
                || self.integrity_alg != old.integrity_alg;
            if version < 100 && differs {
                return Err(ErrCode::NeedApv100);
            }
        }
        if !self.two_primaries && situation.both_primary {
            return Err(ErrCode::NeedAllowTwoPri);
        }
        if self.two_primaries && self.wire_protocol != Protocol::C {
            return Err(ErrCode::NotProtoC);
        }
        for (fencing, is_primary) in situation.volumes {
            let stonith = *fencing == Some(Fencing::ResourceAndStonith);
            if stonith && self.wire_protocol == Protocol::A {
                return Err(ErrCode::StonithAndProtA);
            }
            if *is_primary && self.discard_my_data {
                return Err(ErrCode::DiscardImpossible);
            }
        }
        if self.on_congestion != OnCongestion::Block && self.wire_protocol != Protocol::A {
            return Err(ErrCode::CongNotProtoA);
        }
        Ok(())
    }
}
