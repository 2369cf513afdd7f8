// SPDX-License-Identifier: GPL-2.0
//! What the configuration says to the peer, and whether the peer's says the same
//! (docs/protocol.md, "P_PROTOCOL" and "Resync parameters").

use super::event::ProtocolVerdict;
use super::machine::NetSettings;
use crate::config::net::AlgName;
use crate::config::words::AfterSb0p;
use crate::config::{first_unbuilt, DiskConf, NetConf};
use crate::uuid::Policies;
use crate::wire::params::{Controller, ProtocolSettings, SyncParam};
use crate::wire::ProtocolVersion;

/// The name of an algorithm; what is no text names none.
fn name(alg: &AlgName) -> &str {
    alg.as_str().unwrap_or("")
}

/// What the machine looks at.
#[must_use]
pub fn net_settings(net: &NetConf) -> NetSettings {
    NetSettings {
        two_primaries: net.two_primaries,
        verify_alg: !name(&net.verify_alg).is_empty(),
        split_brain: Policies {
            no_primary: net.after_sb_0p.into(),
            one_primary: net.after_sb_1p.into(),
            two_primaries: net.after_sb_2p.into(),
            rr_conflict: net.rr_conflict.into(),
            always_asbp: net.always_asbp,
        },
    }
}

/// The own P_PROTOCOL.
#[must_use]
pub fn own_protocol(net: &NetConf, discard_my_data: bool, dry_run: bool) -> ProtocolSettings<'_> {
    ProtocolSettings {
        protocol: net.wire_protocol,
        after_sb_0p: net.after_sb_0p,
        after_sb_1p: net.after_sb_1p,
        after_sb_2p: net.after_sb_2p,
        discard_my_data,
        dry_run,
        two_primaries: net.two_primaries,
        integrity_alg: Some(name(&net.integrity_alg)),
    }
}

/// The setting in which the peer's P_PROTOCOL does not fit the own configuration, by the name that
/// the log uses.
#[must_use]
pub fn incompatible_setting(net: &NetConf, peer: &ProtocolSettings<'_>) -> Option<&'static str> {
    let mirrored = mirrored(peer.after_sb_0p);
    if peer.protocol != net.wire_protocol {
        Some("protocol")
    } else if mirrored != net.after_sb_0p {
        Some("after-sb-0pri")
    } else if peer.after_sb_1p != net.after_sb_1p {
        Some("after-sb-1pri")
    } else if peer.after_sb_2p != net.after_sb_2p {
        Some("after-sb-2pri")
    } else if peer.two_primaries != net.two_primaries {
        Some("allow-two-primaries")
    } else if peer
        .integrity_alg
        .is_some_and(|name| name != self::name(&net.integrity_alg))
    {
        Some("data-integrity-alg")
    } else {
        None
    }
}

/// The peer's policy from the own point of view.
const fn mirrored(policy: AfterSb0p) -> AfterSb0p {
    match policy {
        AfterSb0p::DiscardLocal => AfterSb0p::DiscardRemote,
        AfterSb0p::DiscardRemote => AfterSb0p::DiscardLocal,
        other => other,
    }
}

/// The own configuration after a P_PROTOCOL_UPDATE: what both nodes must agree on becomes what the
/// peer's administrator has set. Each node chooses itself how the data that it sends is sealed: the
/// peer's `data-integrity-alg` is only for checking what comes. `None`: the peer asks for what is
/// not built here.
#[must_use]
pub fn adopted(net: &NetConf, peer: &ProtocolSettings<'_>) -> Option<NetConf> {
    let mut new = net.clone();
    new.wire_protocol = peer.protocol;
    new.after_sb_0p = mirrored(peer.after_sb_0p);
    new.after_sb_1p = peer.after_sb_1p;
    new.after_sb_2p = peer.after_sb_2p;
    new.two_primaries = peer.two_primaries;
    first_unbuilt(&new).is_none().then_some(new)
}

/// What the machine is told of the peer's P_PROTOCOL.
#[must_use]
pub fn protocol_verdict(net: &NetConf, peer: &ProtocolSettings<'_>) -> ProtocolVerdict {
    ProtocolVerdict {
        compatible: incompatible_setting(net, peer).is_none(),
        dry_run: peer.dry_run,
    }
}

/// The own resync parameters, as much as the version tells; a node without disk sends defaults.
#[must_use]
pub fn own_sync_param<'a>(
    net: &'a NetConf,
    disk: &DiskConf,
    version: ProtocolVersion,
) -> SyncParam<'a> {
    SyncParam {
        resync_rate: disk.resync_rate,
        verify_alg: version.has_verify().then(|| self::name(&net.verify_alg)),
        csums_alg: version.has_csums().then(|| self::name(&net.csums_alg)),
        controller: version.has_big_packets().then_some(Controller {
            c_plan_ahead: disk.c_plan_ahead,
            c_delay_target: disk.c_delay_target,
            c_fill_target: disk.c_fill_target,
            c_max_rate: disk.c_max_rate,
        }),
    }
}

/// Whether a resync to this node goes by checksums; `crashed`: this disk was Primary when its node
/// went down.
#[must_use]
pub fn syncs_by_sums(net: &NetConf, apv: u32, crashed: bool) -> bool {
    apv >= 89 && !name(&net.csums_alg).is_empty() && (!net.csums_after_crash_only || crashed)
}

/// The own configuration after resync parameters that have come while connected: the algorithms of
/// verify and checksums are what the peer's administrator has set. `None`: they are so already.
#[must_use]
pub fn with_algorithms(net: &NetConf, peer: &SyncParam<'_>) -> Option<NetConf> {
    if same_algorithms(net, peer) {
        return None;
    }
    let mut new = net.clone();
    if let Some(alg) = peer.verify_alg {
        new.verify_alg = AlgName::new(alg.as_bytes())?;
    }
    if let Some(alg) = peer.csums_alg {
        new.csums_alg = AlgName::new(alg.as_bytes())?;
    }
    Some(new)
}

/// Whether the peer's algorithms are the own ones.
#[must_use]
pub fn same_algorithms(net: &NetConf, peer: &SyncParam<'_>) -> bool {
    peer.verify_alg
        .is_none_or(|name| name == self::name(&net.verify_alg))
        && peer
            .csums_alg
            .is_none_or(|name| name == self::name(&net.csums_alg))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::words::Protocol;

    #[test]
    fn each_setting_is_compared_and_discard_local_pairs_with_remote() {
        let net = NetConf::default();
        let own = own_protocol(&net, false, false);
        assert_eq!(incompatible_setting(&net, &own), None);
        let p = ProtocolSettings {
            protocol: Protocol::A,
            ..own
        };
        assert_eq!(incompatible_setting(&net, &p), Some("protocol"));
        let p = ProtocolSettings {
            after_sb_0p: AfterSb0p::DiscardLocal,
            ..own
        };
        assert_eq!(incompatible_setting(&net, &p), Some("after-sb-0pri"));
        let remote = NetConf {
            after_sb_0p: AfterSb0p::DiscardRemote,
            ..net
        };
        assert_eq!(incompatible_setting(&remote, &p), None);
        let p = ProtocolSettings {
            two_primaries: true,
            ..own
        };
        assert_eq!(incompatible_setting(&net, &p), Some("allow-two-primaries"));
        let p = ProtocolSettings {
            integrity_alg: Some("sha1"),
            ..own
        };
        assert_eq!(incompatible_setting(&net, &p), Some("data-integrity-alg"));
        let p = ProtocolSettings {
            dry_run: true,
            discard_my_data: true,
            ..own
        };
        assert_eq!(
            protocol_verdict(&net, &p),
            ProtocolVerdict {
                compatible: true,
                dry_run: true
            }
        );
    }

    #[test]
    fn an_update_of_the_peer_is_adopted_or_refused_as_a_whole() {
        let net = NetConf {
            timeout: 50,
            ..NetConf::default()
        };
        let b = ProtocolSettings {
            protocol: Protocol::B,
            ..own_protocol(&net, false, false)
        };
        let new = adopted(&net, &b).expect("all of it is built");
        assert_eq!((new.wire_protocol, new.timeout), (Protocol::B, 50));
        assert_eq!(incompatible_setting(&new, &b), None);
        // Its digests are its own affair; what is not built is refused.
        let digest = ProtocolSettings {
            integrity_alg: Some("sha1"),
            ..b
        };
        assert_eq!(adopted(&net, &digest), Some(new));
        let both = ProtocolSettings {
            two_primaries: true,
            ..b
        };
        assert_eq!(adopted(&net, &both), None);
    }

    #[test]
    fn resync_parameters_tell_what_the_version_has() {
        let (net, disk) = (NetConf::default(), DiskConf::default());
        let old = ProtocolVersion::MIN;
        assert_eq!(own_sync_param(&net, &disk, old).controller, None);
        let now = own_sync_param(&net, &disk, ProtocolVersion::MAX);
        assert_eq!(now.resync_rate, 250);
        assert!(same_algorithms(&net, &now));
        let other = SyncParam {
            verify_alg: Some("crc32c"),
            ..now
        };
        assert!(!same_algorithms(&net, &other));
        // Later on, they are taken over.
        assert_eq!(with_algorithms(&net, &now), None);
        let new = with_algorithms(&net, &other).expect("another one");
        assert_eq!(new.verify_alg.as_str(), Some("crc32c"));
        assert!(same_algorithms(&new, &other));
    }

    #[test]
    fn checksums_are_used_when_they_are_wanted() {
        let mut net = NetConf::default();
        assert!(!syncs_by_sums(&net, 101, true));
        net.csums_alg = AlgName::new(b"sha1").expect("short");
        assert!(syncs_by_sums(&net, 101, false));
        assert!(!syncs_by_sums(&net, 88, true));
        net.csums_after_crash_only = true;
        assert!(!syncs_by_sums(&net, 101, false));
        assert!(syncs_by_sums(&net, 101, true));
    }
}
