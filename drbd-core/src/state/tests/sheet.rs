// SPDX-License-Identifier: GPL-2.0
//! The adjustment and the checks of a change once more, by numbers, row by row as the tables of
//! docs/states.md have them ("Implied changes", "Validity"), without a line of the driver's rules:
//! two readings of one table have to agree on every state and every change.

use crate::state::{Change, DeviceState, Facts, Fencing, Mode, OnNoData, Role};

// The numbers of docs/states.md, "State variables".
const PRIMARY: u8 = 1;
const SECONDARY: u8 = 2;
const STANDALONE: u8 = 0;
const DISCONNECTING: u8 = 1;
const UNCONNECTED: u8 = 2;
const WF_CONNECTION: u8 = 8;
const WF_REPORT_PARAMS: u8 = 9;
const CONNECTED: u8 = 10;
const STARTING_S: u8 = 11;
const STARTING_T: u8 = 12;
const WF_BITMAP_S: u8 = 13;
const WF_SYNC_UUID: u8 = 15;
const SYNC_SOURCE: u8 = 16;
const SYNC_TARGET: u8 = 17;
const VERIFY_S: u8 = 18;
const VERIFY_T: u8 = 19;
const PAUSED_S: u8 = 20;
const PAUSED_T: u8 = 21;
const AHEAD: u8 = 22;
const DISKLESS: u8 = 0;
const ATTACHING: u8 = 1;
const FAILED: u8 = 2;
const NEGOTIATING: u8 = 3;
const INCONSISTENT: u8 = 4;
const OUTDATED: u8 = 5;
const UNKNOWN: u8 = 6;
const CONSISTENT: u8 = 7;
const UP_TO_DATE: u8 = 8;

/// A state by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    role: u8,
    peer: u8,
    conn: u8,
    disk: u8,
    pdsk: u8,
    susp: bool,
    aftr_isp: bool,
    peer_isp: bool,
    user_isp: bool,
    susp_nod: bool,
    susp_fen: bool,
}

impl From<&DeviceState> for Row {
    fn from(s: &DeviceState) -> Row {
        Row {
            role: s.role.value(),
            peer: s.peer.value(),
            conn: s.conn.value(),
            disk: s.disk.value(),
            pdsk: s.pdsk.value(),
            susp: s.susp,
            aftr_isp: s.aftr_isp,
            peer_isp: s.peer_isp,
            user_isp: s.user_isp,
            susp_nod: s.susp_nod,
            susp_fen: s.susp_fen,
        }
    }
}

/// Smallest and largest disk, smallest and largest pdsk.
fn ranges(conn: u8) -> [u8; 4] {
    match conn {
        14 | WF_SYNC_UUID | PAUSED_T | 23 => [INCONSISTENT, OUTDATED, UP_TO_DATE, UP_TO_DATE],
        // Ours: a target by the administrator's word is Inconsistent at once.
        STARTING_T | SYNC_TARGET => [INCONSISTENT, INCONSISTENT, UP_TO_DATE, UP_TO_DATE],
        STARTING_S | WF_BITMAP_S | PAUSED_S | AHEAD => {
            [UP_TO_DATE, UP_TO_DATE, INCONSISTENT, CONSISTENT]
        }
        SYNC_SOURCE => [UP_TO_DATE, UP_TO_DATE, INCONSISTENT, INCONSISTENT],
        VERIFY_S | VERIFY_T => [UP_TO_DATE; 4],
        CONNECTED => [DISKLESS, UP_TO_DATE, DISKLESS, UP_TO_DATE],
        _ => [DISKLESS, UP_TO_DATE, INCONSISTENT, UNKNOWN],
    }
}

fn adjust(f: &Facts, fencing: Fencing, old: &Row, mut n: Row) -> Row {
    if n.conn < CONNECTED {
        n.peer_isp = false;
        n.peer = 0;
        if !matches!(n.pdsk, INCONSISTENT | OUTDATED) {
            n.pdsk = UNKNOWN;
        }
    }
    if (n.conn, n.disk, n.role) == (STANDALONE, DISKLESS, SECONDARY) {
        n.aftr_isp = false;
    }
    if n.conn > CONNECTED && n.disk.min(n.pdsk) <= FAILED {
        // Ours: a target that lost its source is not raised.
        let target = match n.conn {
            STARTING_T | 14 | WF_SYNC_UUID | SYNC_TARGET | PAUSED_T | 23 => Some(&mut n.disk),
            VERIFY_S | VERIFY_T => None,
            _ => Some(&mut n.pdsk),
        };
        if let Some(disk @ &mut (OUTDATED | CONSISTENT)) = target {
            *disk = INCONSISTENT;
        }
        n.conn = CONNECTED;
    }
    if n.conn < CONNECTED && n.disk == NEGOTIATING && old.disk >= NEGOTIATING {
        (n.disk, n.pdsk) = match f.negotiating {
            Some(a) if a.exposes_current => (a.disk.value(), a.pdsk.value()),
            _ => (DISKLESS, UNKNOWN),
        };
    }
    if (CONNECTED..AHEAD).contains(&n.conn) {
        // Ours: to ask for Outdated does not mend a bad disk.
        let bad = matches!(old.disk, FAILED | INCONSISTENT) && n.disk == OUTDATED;
        if bad {
            n.disk = old.disk;
        } else if matches!(n.disk, OUTDATED | CONSISTENT) {
            n.disk = UP_TO_DATE;
        }
        if matches!(n.pdsk, OUTDATED | CONSISTENT) {
            n.pdsk = UP_TO_DATE;
        }
    }
    let [disk_min, disk_max, pdsk_min, pdsk_max] = ranges(n.conn);
    n.disk = n.disk.clamp(disk_min, disk_max);
    n.pdsk = n.pdsk.clamp(pdsk_min, pdsk_max);
    let alone = |s: &Row| s.role == PRIMARY && s.conn < CONNECTED && s.pdsk > OUTDATED;
    if fencing == Fencing::ResourceAndStonith && alone(&n) && !alone(old) {
        n.susp_fen = true;
    }
    let no_data = |s: &Row| s.role == PRIMARY && s.disk.max(s.pdsk) < UP_TO_DATE;
    // DUnknown and Consistent are below UpToDate, too.
    if f.on_no_data == OnNoData::SuspendIo && no_data(&n) && !no_data(old) {
        n.susp_nod = true;
    }
    let paused = n.aftr_isp || n.peer_isp || n.user_isp;
    n.conn = match (n.conn, paused) {
        (SYNC_SOURCE | PAUSED_S, true) => PAUSED_S,
        (SYNC_SOURCE | PAUSED_S, false) => SYNC_SOURCE,
        (SYNC_TARGET | PAUSED_T, true) => PAUSED_T,
        (SYNC_TARGET | PAUSED_T, false) => SYNC_TARGET,
        (conn, _) => conn,
    };
    n
}

/// "Impossible steps"; 0: possible.
fn impossible(old: &Row, n: &Row) -> i32 {
    if n.disk == FAILED && old.disk == DISKLESS {
        return -11;
    }
    let lost = 3..=7;
    match (old.conn, n.conn) {
        (a, b) if a == b => 0,
        (STANDALONE, DISCONNECTING) => -9,
        (STANDALONE, UNCONNECTED) => 0,
        (STANDALONE, _) => -15,
        (a, b) if a < WF_REPORT_PARAMS && b >= CONNECTED => -15,
        (a, UNCONNECTED | DISCONNECTING) if lost.contains(&a) => 0,
        (a, _) if lost.contains(&a) => -18,
        (DISCONNECTING, b) if b != STANDALONE => -18,
        _ => 0,
    }
}

/// "Illegal states", the first line that matches; 0: legal.
fn illegal(f: &Facts, fencing: Fencing, s: &Row) -> i32 {
    let (primary, up) = (s.role == PRIMARY, s.conn >= CONNECTED);
    let single = f.net_config && !f.two_primaries;
    let verify = matches!(s.conn, VERIFY_S | VERIFY_T);
    let busy = s.conn > CONNECTED;
    let source_like = matches!(s.conn, CONNECTED | WF_BITMAP_S | SYNC_SOURCE | PAUSED_S);
    let lines = [
        (single && primary && s.peer == PRIMARY, -1),
        (single && primary && f.highest_peer == Role::Primary, -20),
        (s.role == SECONDARY && f.open, -12),
        (primary && !up && s.disk < UP_TO_DATE, -2),
        (
            fencing != Fencing::DontCare && primary && !up && s.pdsk >= UNKNOWN,
            -7,
        ),
        (primary && s.disk.max(s.pdsk) <= INCONSISTENT, -2),
        (busy && s.disk < INCONSISTENT, -4),
        (busy && s.pdsk < INCONSISTENT, -5),
        (busy && s.disk.max(s.pdsk) < UP_TO_DATE, -2),
        (source_like && s.disk == OUTDATED, -6),
        (f.net_config && verify && !f.verify_alg, -14),
        (verify && f.apv < 88, -17),
        (primary && s.disk.max(s.pdsk) < UP_TO_DATE, -2),
        (
            matches!(s.conn, STARTING_S | STARTING_T) && s.pdsk == UNKNOWN,
            -15,
        ),
        (up && s.pdsk == UNKNOWN, -6),
    ];
    lines.iter().find(|l| l.0).map_or(0, |l| l.1)
}

/// "Steps that must not be made, or not yet", the last line that matches; 0: to be made.
fn premature(f: &Facts, old: &Row, n: &Row) -> i32 {
    let starts = matches!(n.conn, STARTING_S | STARTING_T);
    let verify = matches!(n.conn, VERIFY_S | VERIFY_T);
    let changes = n.conn != old.conn;
    let exchange = (old.conn, n.conn) == (WF_CONNECTION, WF_REPORT_PARAMS)
        || (old.conn == WF_REPORT_PARAMS && n.conn >= CONNECTED);
    let half_good = n.pdsk == UP_TO_DATE && !matches!(n.disk, UP_TO_DATE | DISKLESS);
    let lines = [
        (starts && old.conn > CONNECTED, -8),
        // Ours: what is not UpToDate is not made the source of anything.
        (
            changes && n.conn == STARTING_S && old.disk != UP_TO_DATE,
            -2,
        ),
        (
            changes && n.conn == STARTING_T && old.pdsk != UP_TO_DATE,
            -2,
        ),
        (
            changes && verify && (old.disk != UP_TO_DATE || old.pdsk != UP_TO_DATE),
            -2,
        ),
        (n.conn == DISCONNECTING && old.conn == STANDALONE, -9),
        (n.disk > ATTACHING && old.disk == DISKLESS, -11),
        (n.conn == WF_CONNECTION && old.conn < UNCONNECTED, -13),
        (
            n.disk == OUTDATED && old.disk < OUTDATED && old.disk != ATTACHING,
            -16,
        ),
        (n.conn == DISCONNECTING && old.conn == UNCONNECTED, -18),
        (f.state_sent && !exchange, -18),
        (
            old.role != PRIMARY
                && n.role == PRIMARY
                && half_good
                && (n.conn <= WF_SYNC_UUID || changes),
            -18,
        ),
        (verify && old.conn < CONNECTED, -15),
        (verify && changes && old.conn > CONNECTED, -8),
        (starts && old.conn < CONNECTED, -15),
        (
            matches!(n.conn, SYNC_SOURCE | SYNC_TARGET) && old.conn < WF_REPORT_PARAMS,
            -15,
        ),
        (
            n.conn == DISCONNECTING
                && n.pdsk == OUTDATED
                && old.conn < CONNECTED
                && old.pdsk > OUTDATED,
            -21,
        ),
    ];
    lines.iter().rev().find(|l| l.0).map_or(0, |l| l.1)
}

/// What the tables say about a change: the state it leads to, or the refusal's number.
pub(super) fn verdict(
    f: &Facts,
    old: &DeviceState,
    change: &Change,
    mode: Mode,
) -> Result<Row, i32> {
    let old_row = Row::from(old);
    // An unattached disk has no fencing policy.
    let fencing = if old_row.disk >= INCONSISTENT {
        f.fencing
    } else {
        Fencing::DontCare
    };
    let new = adjust(f, fencing, &old_row, Row::from(&old.with(change)));
    if new == old_row {
        return Ok(new);
    }
    let refusal = match (impossible(&old_row, &new), mode) {
        (0, Mode::Hard) => 0,
        (0, Mode::Soft) => {
            let (was, is) = (illegal(f, fencing, &old_row), illegal(f, fencing, &new));
            if is == 0 || is == was {
                premature(f, &old_row, &new)
            } else {
                is
            }
        }
        (refusal, _) => refusal,
    };
    if refusal == 0 {
        Ok(new)
    } else {
        Err(refusal)
    }
}
