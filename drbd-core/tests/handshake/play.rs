// SPDX-License-Identifier: GPL-2.0
//! Sets a node up as a row says, plays it, and compares.

use std::collections::VecDeque;

use drbd_core::state::resync::{start, sync_uuid_at_start, End, Side};
use drbd_core::state::{
    Change, Conn, DeviceState, Disk, Facts, Mode, Negotiating, Refusal, Role, StateReturn,
};
use drbd_core::uuid::{same, Outcome, Peer, Policies, UuidFlags, UuidSet};

use crate::node::{Known, Node};
use crate::row::{uuid_set, Row};

/// What differs from the row; empty if nothing does.
pub(crate) fn play(row: &Row) -> Vec<String> {
    let mut node = set_up(row);
    let known = peer(row);
    let mut diff = Vec::new();
    match row.get("group") {
        "promote" => promote(row, &mut node, known, &mut diff),
        "attach" => attach(row, &mut node, &known),
        "to the end" => {
            node.receive(&known, Conn::WFConnection);
            resync(row, &mut node, &mut diff);
        }
        _ => node.receive(&known, Conn::WFConnection),
    }
    compare(row, &node, &mut diff);
    diff
}

fn set_up(row: &Row) -> Node {
    let disk = row.disk("c_disk");
    let fencing = row.fencing();
    // The peer's disk as known from before; it outlives the connection.
    let (_, ds_peer) = row.get("ds").split_once('/').expect("two disks");
    let before = match ds_peer {
        "Inconsistent" | "Outdated" if row.get("after") == "dropped" => ds_peer,
        "Outdated" if row.get("group") == "promote" && disk == Disk::UpToDate => ds_peer,
        _ => "DUnknown",
    };
    Node {
        state: DeviceState {
            role: row.role("c_role"),
            conn: Conn::WFReportParams,
            disk,
            pdsk: Disk::from_name(before).expect("a disk"),
            ..DeviceState::NEW
        },
        facts: Facts {
            fencing,
            net_config: true,
            two_primaries: row.is_set("two_primaries"),
            apv: row.number("apv", 80),
            open: row.is_set("c_open"),
            state_sent: true,
            ..Facts::NONE
        },
        uuids: row.uuids("c_uuids"),
        flags: row.flags("c_flags"),
        bits: row.bits("c_bits"),
        attach_disk: Disk::Diskless,
        features: row.number("features", 0),
        resolve_conflicts: row.is_set("conflict_flag"),
        policies: Policies {
            no_primary: row.policy("asb_0pri"),
            one_primary: row.policy("asb_1pri"),
            two_primaries: row.policy("asb_2pri"),
            rr_conflict: row.policy("rr_conflict"),
            always_asbp: row.is_set("always_asbp"),
        },
        tentative: row.get("group") == "dry-run" && row.get("note").contains("C tentative"),
        helpers: Vec::new(),
        log: Vec::new(),
        handler_exit: row
            .noted("handler exit ")
            .map_or(0, |n| n.parse().expect("a code")),
        random: row
            .logged("new current UUID ")
            .into_iter()
            .map(|text| uuid_set(text).current)
            .collect::<VecDeque<_>>(),
        decision: None,
        linked: true,
    }
}

fn peer(row: &Row) -> Known {
    let (role, disk) = match row.get("p_role") {
        "-" => (Role::Secondary, Disk::Diskless),
        _ => (row.role("p_role"), row.disk("p_disk")),
    };
    Known {
        peer: Peer {
            uuids: row.uuids("p_uuids"),
            flags: row.flags("p_flags"),
            changes: row.bits("p_bits"),
            role,
            disk,
        },
        disk_as_sent: disk,
        dry_run: row.get("group") == "dry-run" && row.get("note").contains("peer dry-run"),
    }
}

/// The disk is attached while the link is up: the handshake comes with the peer's answer.
fn attach(row: &Row, node: &mut Node, known: &Known) {
    let disk = Disk::from_name(row.noted("by flags: ").expect("the disk")).expect("a disk");
    let conn = Conn::from_name(row.noted("answers with conn ").expect("conn")).expect("a state");
    node.state.conn = Conn::Connected;
    node.state.peer = known.peer.role;
    node.state.pdsk = known.peer.disk;
    node.facts.state_sent = false;
    node.facts.highest_peer = known.peer.role;
    node.attach_disk = disk;
    node.facts.negotiating = Some(Negotiating {
        disk,
        pdsk: Disk::DUnknown,
        exposes_current: false,
    });
    node.receive(known, conn);
}

/// The peer takes part: bitmaps, sync UUID, the whole resync without failures.
fn resync(row: &Row, node: &mut Node, diff: &mut Vec<String>) {
    let remembered = node.decision.expect("a handshake").comparison.peer;
    let primary = node.state.role == Role::Primary;
    let mut check = |what: &str, got: &UuidSet| {
        let want = row.logged(what);
        if want != [got.to_string()] {
            diff.push(format!("{what}{got}, want {want:?}"));
        }
    };
    let source = node.state.conn == Conn::WFBitMapS;
    if source {
        node.helpers.push("before-resync-source".into());
        let line = row.logged("updated sync UUID ");
        node.random
            .extend(line.iter().map(|text| uuid_set(text).bitmap));
        node.change(&start(Side::Source, false), Mode::Soft)
            .expect("starts");
        if sync_uuid_at_start(node.facts.apv) {
            let random = node.random.pop_front().expect("a sync UUID");
            node.uuids.begin_as_source(random, 0);
        }
        check("updated sync UUID ", &node.uuids);
        let good = End::of(node.state.conn, 0).expect("it runs").change();
        node.change(&good, Mode::Soft).expect("ends");
        node.uuids.finish_as_source();
    } else {
        node.change(&Change::conn(Conn::WFSyncUUID), Mode::Soft)
            .expect("bitmaps are exchanged");
        let line = row.logged("updated sync uuid ");
        let sync_uuid = line.first().map_or(0, |text| uuid_set(text).current);
        node.uuids.begin_as_target(sync_uuid, primary);
        check("updated sync uuid ", &node.uuids);
        node.helpers.push("before-resync-target".into());
        node.change(&start(Side::Target, false), Mode::Soft)
            .expect("starts");
        let good = End::of(node.state.conn, 0).expect("it runs").change();
        node.change(&good, Mode::Soft).expect("ends");
        node.uuids.finish_as_target(&remembered, primary);
        node.helpers.push("after-resync-target".into());
    }
    check("updated UUIDs ", &node.uuids);
    if let Some(text) = row.noted("peer's UUIDs at the end ") {
        let theirs = uuid_set(text);
        let pairs = [
            (theirs.current, node.uuids.current),
            (theirs.bitmap, node.uuids.bitmap),
            (theirs.history[0], node.uuids.history[0]),
            (theirs.history[1], node.uuids.history[1]),
        ];
        if !pairs.iter().all(|(a, b)| same(*a, *b)) {
            diff.push(format!("own {} peer {theirs}", node.uuids));
        }
    }
}

/// drbdsetup's exit code for a result.
fn exit(result: StateReturn) -> &'static str {
    match result {
        Ok(_) => "exit 0",
        Err(Refusal::NoUpToDateDisk) => "exit 17",
        Err(Refusal::TwoPrimaries | Refusal::DeviceInUse) => "exit 11",
        Err(other) => panic!("{other:?}"),
    }
}

fn promote(row: &Row, node: &mut Node, mut known: Known, diff: &mut Vec<String>) {
    let mut parts = row.get("note").split("; ");
    let command = parts.next().expect("a command");
    let before = Conn::from_name(parts.next().expect("a state")).expect("a state");
    if before >= Conn::Connected {
        node.receive(&known, Conn::WFConnection);
        // What was logged before the command is not in the row.
        node.decision = None;
        node.log.clear();
        node.facts.highest_peer = known.peer.role;
    } else {
        node.state.conn = before;
        node.facts.state_sent = false;
    }
    let role = if command.starts_with("primary") {
        Role::Primary
    } else {
        Role::Secondary
    };
    let forced = command.ends_with("--force");
    let result = node.set_role(role, forced);
    if exit(result) != row.get("after") {
        diff.push(format!(
            "{} {result:?}, want {}",
            exit(result),
            row.get("after")
        ));
    }
    if row.get("rule") != "-" {
        // Forced on two Inconsistent disks: the peer looks at the UUIDs, and wants to be target.
        known.peer.flags = UuidFlags::default();
        node.receive(&known, Conn::WFBitMapT);
    }
}

/// Lines that the core has to do with. Bitmaps and the progress of a resync are not its affair
/// here; the UUIDs of a resync are compared on their own.
fn is_told(line: &str) -> bool {
    ![
        "bits) marked out-of-sync by on disk bit-map.",
        "Resumed AL updates",
        "Began resync as",
        "Resync done",
        "updated sync UUID",
        "updated sync uuid",
        "updated UUIDs",
        "attached to UUIDs",
        "receiver updated UUIDs",
    ]
    .iter()
    .any(|other| line.contains(other))
        && line != "-"
}

fn compare(row: &Row, node: &Node, diff: &mut Vec<String>) {
    let mut check = |what: &str, got: String| {
        if got != row.get(what) {
            diff.push(format!("{what} {got}, want {}", row.get(what)));
        }
    };
    let (rule, verdict) = match &node.decision {
        Some(d) => (
            d.comparison.rule.to_string(),
            d.comparison.verdict.code().to_string(),
        ),
        None => ("-".into(), "-".into()),
    };
    check("rule", rule);
    check("verdict", verdict);
    let s = &node.state;
    check("cs", s.conn.to_string());
    check("ro", format!("{}/{}", s.role, s.peer));
    check("ds", format!("{}/{}", s.disk, s.pdsk));
    let helpers = node.helpers.join(",");
    check(
        "helpers",
        if helpers.is_empty() {
            "-".into()
        } else {
            helpers
        },
    );
    if s.disk != Disk::Diskless {
        check("c_uuids_after", node.uuids.to_string());
    }
    check("log", {
        let theirs: Vec<&str> = row.get("log").split(" | ").filter(|l| is_told(l)).collect();
        if theirs == node.log {
            row.get("log").into()
        } else {
            node.log.join(" | ")
        }
    });
    if node.linked && node.decision.is_some() {
        // After an attach its own reading of the bitmap is logged first.
        let (_, log) = row
            .get("log")
            .split_once("attached to")
            .unwrap_or(("", row.get("log")));
        let full = log.contains("(8182 bits) marked out-of-sync");
        let plan = node.decision.map(|d| d.outcome);
        if matches!(plan, Some(Outcome::Go(plan)) if plan.is_full()) != full {
            diff.push(format!("{plan:?}, but full sync is {full}"));
        }
    }
    let mut check = |what: &str, got: String| {
        if got != row.get(what) {
            diff.push(format!("{what} {got}, want {}", row.get(what)));
        }
    };
    if matches!(row.get("after"), "kept" | "dropped") {
        check("after", if node.linked { "kept" } else { "dropped" }.into());
    }
}
