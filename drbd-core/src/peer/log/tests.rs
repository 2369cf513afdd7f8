// SPDX-License-Identifier: GPL-2.0
//! Lines as the C driver logged them.

extern crate std;

use std::format;
use std::string::{String, ToString};

use super::*;
use crate::peer::HelperCall;
use crate::state::fence::Fenced;
use crate::state::{Change, Helper, Refusal, Warning};
use crate::wire::{UuidFlags, Uuids};

const FRESH: UuidSet = UuidSet {
    current: 4,
    bitmap: 0,
    history: [0, 0],
};

fn state(conn: Conn, roles: (Role, Role), disks: (Disk, Disk)) -> DeviceState {
    DeviceState {
        role: roles.0,
        peer: roles.1,
        conn,
        disk: disks.0,
        pdsk: disks.1,
        ..DeviceState::NEW
    }
}

#[test]
fn handshake_lines() {
    let line = LogLine::Handshake {
        own: FRESH,
        own_bits: 32758,
        own_flags: 0,
        peer: Uuids {
            current: 4,
            bitmap: 0,
            history: [0, 0],
            bits_set: 8182,
            flags: UuidFlags::NONE,
        },
        verdict: -100,
        rule: 10,
    };
    assert_eq!(
        line.to_string(),
        "drbd_sync_handshake:\n\
         self 0000000000000004:0000000000000000:0000000000000000:0000000000000000 bits:32758 \
         flags:0\n\
         peer 0000000000000004:0000000000000000:0000000000000000:0000000000000000 bits:8182 \
         flags:0\n\
         uuid_compare()=-100 by rule 10"
    );
    assert_eq!(line.level(), Level::Info);
}

/// Every other line, with its level.
#[test]
fn lines_in_the_recorded_words() {
    let set = UuidSet {
        current: 0xE314_A363_9D88_3224,
        bitmap: 4,
        history: [0, 0],
    };
    let slots = "E314A3639D883224:0000000000000004:0000000000000000:0000000000000000";
    let connected = state(
        Conn::Connected,
        (Role::Secondary, Role::Secondary),
        (Disk::Inconsistent, Disk::Inconsistent),
    );
    let began = |side, bits| LogLine::BeganResync { side, bits };
    let cases: &[(LogLine, Level, String)] = &[
        (
            LogLine::FullSync,
            Level::Info,
            "Writing the whole bitmap, full sync required after drbd_sync_handshake.".into(),
        ),
        (
            LogLine::BitsWithoutResync(32758),
            Level::Info,
            "No resync, but 32758 bits in bitmap!".into(),
        ),
        (
            began(Side::Target, 32758),
            Level::Info,
            "Began resync as SyncTarget (will sync 131032 KB [32758 bits set]).".into(),
        ),
        (
            began(Side::Source, 0),
            Level::Info,
            "Began resync as SyncSource (will sync 0 KB [0 bits set]).".into(),
        ),
        (
            LogLine::ResyncDone {
                seconds: 5,
                paused: 1,
                kib_per_second: 26206,
            },
            Level::Info,
            "Resync done (total 5 sec; paused 1 sec; 26206 K/sec)".into(),
        ),
        (
            LogLine::FailedBlocks(3),
            Level::Info,
            "            3 failed blocks".into(),
        ),
        (
            LogLine::Uuids(UuidNews::NewCurrent, set),
            Level::Info,
            format!("new current UUID {slots}"),
        ),
        (
            LogLine::Uuids(UuidNews::AttachedTo, set),
            Level::Info,
            format!("attached to UUIDs {slots}"),
        ),
        (
            LogLine::Uuids(UuidNews::SyncUuid, set),
            Level::Info,
            format!("updated sync UUID {slots}"),
        ),
        (
            LogLine::Uuids(UuidNews::SyncUuidReceived, set),
            Level::Info,
            format!("updated sync uuid {slots}"),
        ),
        (
            LogLine::Uuids(UuidNews::Updated, set),
            Level::Info,
            format!("updated UUIDs {slots}"),
        ),
        (
            LogLine::Uuids(UuidNews::ClearedBitmap, set),
            Level::Info,
            format!("cleared bitmap UUID {slots}"),
        ),
        (
            LogLine::PeerTooSmall { new: 8, now: 16 },
            Level::Error,
            "The peer's disk size is too small! (8 < 16 sectors)".into(),
        ),
        (
            LogLine::SizeTooLarge {
                wanted: 16,
                possible: 8,
            },
            Level::Error,
            "Requested disk size is too big (16 > 8)".into(),
        ),
        (
            LogLine::AssumedClean,
            Level::Info,
            "Resync of new storage suppressed with --assume-clean".into(),
        ),
        (
            LogLine::CanOnlyConnectTo(0xA),
            Level::Error,
            "Can only connect to data with current UUID=000000000000000A".into(),
        ),
        (
            LogLine::ForcedUpToDate,
            Level::Warning,
            "Forced to consider local data as UpToDate!".into(),
        ),
        (
            LogLine::FailedByPeer(-2),
            Level::Error,
            "Requested state change failed by peer: Need access to UpToDate data (-2)".into(),
        ),
        (
            LogLine::Refused {
                code: Refusal::NoUpToDateDisk.code(),
                state: connected,
                wanted: connected.with(&Change::role(Role::Primary)),
            },
            Level::Error,
            "State change failed: Need access to UpToDate data\n  \
             state = { cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent r----- }\n \
             wanted = { cs:Connected ro:Primary/Secondary ds:Inconsistent/Inconsistent r----- }"
                .into(),
        ),
        (
            LogLine::AssumingFullSync,
            Level::Info,
            "Assuming that all blocks are out of sync (aka FullSync)".into(),
        ),
        (
            LogLine::HelperRefused {
                helper: HelperCall::BeforeResync(Side::Target),
                exit: 1,
            },
            Level::Info,
            "before-resync-target handler returned 1, dropping connection.".into(),
        ),
        (
            LogLine::Warning(Warning::UpgradedPdsk),
            Level::Warning,
            "Implicitly upgraded pdsk".into(),
        ),
        (
            LogLine::Warning(Warning::ResyncAborted),
            Level::Warning,
            "Resync aborted.".into(),
        ),
        (
            LogLine::HandshakeNote(Note::Unsolved),
            Level::Alert,
            "Split-Brain detected but unresolved, dropping connection!".into(),
        ),
        (
            LogLine::HandshakeNote(Note::SolvedByHand { from_peer: true }),
            Level::Warning,
            "Split-Brain detected, manually solved. Sync from peer node".into(),
        ),
        (
            LogLine::HandshakeNote(Note::ByDiskStates(crate::uuid::Plan::Source {
                full: false,
            })),
            Level::Info,
            "Becoming sync source due to disk states.".into(),
        ),
        (
            LogLine::HandshakeRefused(RefusalReason::Unrelated),
            Level::Alert,
            "Unrelated data, aborting!".into(),
        ),
        (
            LogLine::FencePeer {
                exit: 4,
                fenced: Fenced::PeerOutdated,
            },
            Level::Info,
            "fence-peer helper returned 4 (peer was fenced)".into(),
        ),
        (
            LogLine::FencePeer {
                exit: 6,
                fenced: Fenced::PeerPrimary,
            },
            Level::Info,
            "Peer is primary, outdating myself.\n\
             fence-peer helper returned 6 (peer is active)"
                .into(),
        ),
        (
            LogLine::FencePeer {
                exit: 0,
                fenced: Fenced::Broken,
            },
            Level::Error,
            "fence-peer helper broken, returned 0".into(),
        ),
        (
            LogLine::NotEvenConsistent,
            Level::Warning,
            "Not fencing peer, I'm not even Consistent myself.".into(),
        ),
        // Told elsewhere: no line at all.
        (
            LogLine::HandshakeNote(Note::Help(Helper::SplitBrain)),
            Level::Info,
            String::new(),
        ),
        (
            LogLine::HandshakeRefused(RefusalReason::SplitBrain),
            Level::Alert,
            String::new(),
        ),
    ];
    for (line, level, text) in cases {
        assert_eq!(line.to_string(), *text);
        assert_eq!(line.level(), *level, "{text}");
    }
}

#[test]
fn amounts_as_recorded() {
    for (kib, text) in [
        (0, "0 KB"),
        (9_999, "9999 KB"),
        (131_032, "128 MB"),
        (65_496, "64 MB"),
        (32_728, "32 MB"),
        (1 << 30, "1024 GB"),
        (1 << 50, "1024 PB"),
    ] {
        assert_eq!(Amount(kib).to_string(), text);
    }
}

#[test]
fn state_changes_as_recorded() {
    use Disk as D;
    let unknown = (Role::Secondary, Role::Unknown);
    let both = (Role::Secondary, Role::Secondary);
    let old = state(
        Conn::WFReportParams,
        unknown,
        (D::Inconsistent, D::DUnknown),
    );
    let new = state(Conn::Connected, both, (D::Inconsistent, D::Inconsistent));
    let parts = Parts::between(&old, &new);
    assert_eq!(
        parts.to_string(),
        "peer( Unknown -> Secondary ) conn( WFReportParams -> Connected ) \
         pdsk( DUnknown -> Inconsistent ) "
    );
    assert!(Parts::between(&new, &new).is_empty());
    assert_eq!(Parts::between(&new, &new).to_string(), "");

    let promoted = DeviceState {
        role: Role::Primary,
        disk: D::UpToDate,
        aftr_isp: true,
        user_isp: true,
        ..new
    };
    assert_eq!(
        Parts::between(&new, &promoted).to_string(),
        "role( Secondary -> Primary ) disk( Inconsistent -> UpToDate ) \
         aftr_isp( 0 -> 1 ) user_isp( 0 -> 1 ) "
    );
    assert_eq!(
        Parts::between(&promoted, &new).to_string(),
        "role( Primary -> Secondary ) disk( UpToDate -> Inconsistent ) \
         aftr_isp( 1 -> 0 ) user_isp( 1 -> 0 ) "
    );
}

/// The link of a resource with two volumes is lost: the common parts are told once.
#[test]
fn common_parts_are_told_once() {
    use Disk as D;
    let lost = (Role::Secondary, Role::Unknown);
    let both = (Role::Secondary, Role::Secondary);
    let old = [
        state(Conn::Connected, both, (D::UpToDate, D::UpToDate)),
        state(Conn::Connected, both, (D::UpToDate, D::Inconsistent)),
    ];
    let new = old.map(|s| state(Conn::TearDown, lost, (s.disk, D::DUnknown)));
    let first = Parts::between(&old[0], &new[0]);
    let second = Parts::between(&old[1], &new[1]);
    let common = first.common(&second);
    let susp = Suspension {
        old: false,
        new: true,
    };
    assert_eq!(
        format!("{common}{susp}"),
        "peer( Secondary -> Unknown ) conn( Connected -> TearDown ) susp( 0 -> 1 ) "
    );
    assert_eq!(
        first.without(&common).to_string(),
        "pdsk( UpToDate -> DUnknown ) "
    );
    assert_eq!(
        second.without(&common).to_string(),
        "pdsk( Inconsistent -> DUnknown ) "
    );
    assert!(first.without(&first).is_empty());
    assert_eq!(
        Parts::of_connection(Conn::StandAlone, Conn::Unconnected).to_string(),
        "conn( StandAlone -> Unconnected ) "
    );
    assert_eq!(
        Suspension {
            old: true,
            new: true
        }
        .to_string(),
        ""
    );
    assert_eq!(
        Suspension {
            old: true,
            new: false
        }
        .to_string(),
        "susp( 1 -> 0 ) "
    );
}
