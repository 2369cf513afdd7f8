// SPDX-License-Identifier: GPL-2.0
//! What must hold in one node after each event of its machine.

use crate::node::Node;
use crate::shared::Shared;
use drbd_core::peer::Command;
use drbd_core::state::{sanitise, Conn, DeviceState, Disk, Facts, Fencing, Role};

/// The machine has handled an event.
pub(crate) fn after_event(node: &Node, before: &[DeviceState], s: &mut Shared) {
    let id = node.id;
    let suspended = node.r.volumes[0].state;
    for (old, v) in before.iter().zip(&node.r.volumes) {
        let now = v.state;
        let fault = |name: &'static str, s: &mut Shared| {
            s.fail(name, || {
                format!("node {id}, volume {}: {old} -> {now}", v.vnr)
            });
        };
        if now.conn < Conn::Connected {
            let peer_unknown = now.peer == Role::Unknown && !now.peer_isp;
            let pdsk = matches!(
                now.pdsk,
                Disk::Inconsistent | Disk::Outdated | Disk::DUnknown
            );
            if !peer_unknown || !pdsk {
                fault("I2", s);
            }
        }
        let broken = now.disk <= Disk::Failed || now.pdsk <= Disk::Failed;
        if now.disk == Disk::DUnknown || (now.conn > Conn::Connected && broken) {
            fault("I3", s);
        }
        let paused = now.aftr_isp || now.peer_isp || now.user_isp;
        let (runs, waits) = match now.conn {
            Conn::SyncSource | Conn::SyncTarget => (true, false),
            Conn::PausedSyncS | Conn::PausedSyncT => (false, true),
            _ => (false, false),
        };
        if (runs && paused) || (waits && !paused) {
            fault("I5", s);
        }
        if (now.conn >= Conn::WFReportParams) != (node.r.cstate == Conn::WFReportParams) {
            fault("I8", s);
        }
        if (now.susp, now.susp_nod, now.susp_fen)
            != (suspended.susp, suspended.susp_nod, suspended.susp_fen)
        {
            fault("I9", s);
        }
        if old.disk == Disk::Inconsistent && now.disk == Disk::UpToDate {
            became_good(node, v.vnr, old, s);
        }
        fixpoint(node, v.vnr, s);
    }
}

/// An Inconsistent disk has become UpToDate: only a finished resync or the administrator may.
fn became_good(node: &Node, vnr: u16, old: &DeviceState, s: &mut Shared) {
    let by_admin = |n: &Node| {
        matches!(
            n.admin.running,
            Some(Command::Primary { force: true, .. } | Command::NewCurrentUuid { .. })
        )
    };
    let (id, v) = (node.id, &node.r.volumes[usize::from(vnr)]);
    let bits = node.devices[usize::from(vnr)]
        .bits
        .as_ref()
        .map_or(0, |b| b.weight());
    let finished = old.conn.is_sync_target() && bits == 0;
    // By new-current-uuid on either node, while the copies are told to be equal.
    if !finished && !by_admin(node) && s.app.acks > 0 {
        s.fail("I27", || {
            format!("node {id}: {old} -> {} with {bits} bits", v.state)
        });
    }
}

/// Another look at the state would not change it.
fn fixpoint(node: &Node, vnr: u16, s: &mut Shared) {
    let v = &node.r.volumes[usize::from(vnr)];
    let facts = Facts {
        on_no_data: node.r.on_no_data,
        net_config: node.r.net.is_some(),
        apv: node.r.apv(),
        highest_peer: node.r.summary().peer,
        state_sent: node.r.state_sent,
        open: s.app.open(node.id, vnr) > 0,
        fencing: v.disk.as_ref().map_or(Fencing::DontCare, |d| d.fencing),
        negotiating: v.negotiating,
        ..Facts::NONE
    };
    let again = sanitise(&facts, &v.state, v.state);
    let mut same = again.0;
    if v.state.conn == Conn::SyncSource && v.state.pdsk == Disk::Consistent {
        // Open fault: a P_STATE from before the resync, which says that no pause is wanted any
        // more, brings the peer's disk state of then with it.
        same.pdsk = v.state.pdsk;
    }
    if same != v.state {
        let id = node.id;
        s.fail("I1", || {
            format!("node {id}: {} becomes {}", v.state, again.0)
        });
    }
}

/// The connection's own state has taken a step.
pub(crate) fn conn_step(node: &Node, old: Conn, new: Conn, s: &mut Shared) {
    let fine = match old {
        Conn::StandAlone => new == Conn::Unconnected,
        Conn::Disconnecting => new == Conn::StandAlone,
        c if c.is_lost_link() => matches!(new, Conn::Unconnected | Conn::Disconnecting),
        _ => new <= Conn::WFReportParams,
    };
    if !fine || new > Conn::WFReportParams {
        let id = node.id;
        s.fail("I7", || format!("node {id}: {old} -> {new}"));
    }
}

/// A comparison of generations has a result; the other node's must be its mirror image.
pub(crate) fn verdict(node: &Node, vnr: u16, verdict: i32, rule: u8, s: &mut Shared) {
    let id = node.id;
    let Some(link) = node.link.as_ref().map(|l| l.id) else {
        return;
    };
    s.count("handshake");
    let seen = &mut s.verdicts[usize::from(vnr)];
    // Only the first of a connection: later ones see what the first has made of the UUIDs.
    if seen[id].is_some_and(|(l, _, _)| l == link) {
        return;
    }
    seen[id] = Some((link, verdict, rule));
    if let Some((l, other, their_rule)) = seen[1 - id] {
        let mirrored = if verdict.abs() <= 2 {
            -verdict
        } else {
            verdict
        };
        if l == link && other != mirrored {
            s.fail("I36", || {
                format!("node {id} says {verdict} (rule {rule}), the other {other} ({their_rule})")
            });
        }
    }
}
