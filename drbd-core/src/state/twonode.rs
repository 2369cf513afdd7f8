// SPDX-License-Identifier: GPL-2.0
//! State changes that both nodes have to agree on.
//!
//! Some changes of a connected volume are made only after the peer said yes: promotion, a detach,
//! the start of a full sync or of a verify, a disconnect. The initiator checks the change on its
//! own, sends it as it was wished (P_STATE_CHG_REQ, or P_CONN_ST_CHG_REQ for the whole
//! connection), and waits for the answer. There is no timer: a dead peer is found by its missing
//! pings, which changes the state, and any change of state has the wait looked at again.
//!
//! Both nodes may ask at once. The node with the flag "resolve conflicts" (it accepted the second
//! connection; exactly one of the two has it) refuses the other's request while it has one of
//! its own, so its own is the one that is processed: no deadlock, and never both.

use super::check::{check_soft_step, check_state, check_step};
use super::facts::Facts;
use super::names::{Conn, Disk, Role};
use super::propose::{propose, Mode, Transition};
use super::returns::{Refusal, Success};
use super::sanitise::sanitise;
use super::word::{Change, DeviceState};

/// The change from `old` to `new` (adjusted) of one volume needs the peer's consent.
#[must_use]
pub fn needs_consent(old: &DeviceState, new: &DeviceState) -> bool {
    let arrives = |conn: Conn| old.conn != conn && new.conn == conn;
    let connected = old.conn >= Conn::Connected;
    let stays_connected = connected && new.conn >= Conn::Connected;
    let becomes_primary = old.role != Role::Primary && new.role == Role::Primary;
    let fails = old.disk != Disk::Failed && new.disk == Disk::Failed;
    (stays_connected
        && (becomes_primary
            || arrives(Conn::StartingSyncT)
            || arrives(Conn::StartingSyncS)
            || fails))
        || (connected && new.conn == Conn::Disconnecting)
        || (old.conn == Conn::Connected && matches!(new.conn, Conn::VerifyS | Conn::WFReportParams))
}

/// The change of the whole connection needs the peer's consent: a graceful disconnect of an
/// established link. `local_only` is for what the peer itself asked for.
#[must_use]
pub fn connection_needs_consent(
    cstate: Conn,
    change: &Change,
    mode: Mode,
    local_only: bool,
) -> bool {
    cstate == Conn::WFReportParams
        && change.conn == Some(Conn::Disconnecting)
        && mode == Mode::Soft
        && !local_only
}

/// How a request of this node begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// No consent needed: commit this at once.
    Commit(Transition),
    /// Send the change as it was wished, then wait: [`look_again`].
    Ask,
}

/// Looks at a request of this node. The caller holds the volume's (below version 100: the
/// connection's) right to one request at a time.
///
/// # Errors
///
/// The request is refused here; nothing is sent. [`Refusal::InTransientState`]: again after the
/// next change of state.
pub fn start(facts: &Facts, old: &DeviceState, change: &Change) -> Result<Start, Refusal> {
    let (new, _) = sanitise(facts, old, old.with(change));
    if *old == new || !needs_consent(old, &new) {
        return propose(facts, old, change, Mode::Soft).map(Start::Commit);
    }
    check_strictly(facts, old, &new)?;
    Ok(Start::Ask)
}

/// All rules, without the leave to stay illegal in the same way.
fn check_strictly(facts: &Facts, old: &DeviceState, new: &DeviceState) -> Result<(), Refusal> {
    check_step(old, new)?;
    check_state(facts, facts.fencing_of(old.disk), new)?;
    check_soft_step(facts, old, new)
}

/// What the peer answered so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Nothing yet.
    None,
    /// It agreed.
    Yes,
    /// It refused, or the request could not be sent.
    No,
}

impl Answer {
    /// The answer that a P_STATE_CHG_REPLY or P_CONN_ST_CHG_REPLY with this code is.
    #[must_use]
    pub const fn from_code(code: i32) -> Answer {
        if code >= 1 {
            Answer::Yes
        } else {
            Answer::No
        }
    }

    /// As [`Answer::from_code`], for an answer to `change`. A peer that has nothing to do for a
    /// sync to begin will not take part: it has just lost its disk.
    #[must_use]
    pub fn to(change: &Change, code: i32) -> Answer {
        if code == Success::NothingToDo.code() && change.conn.is_some_and(is_sync_start) {
            Answer::No
        } else {
            Answer::from_code(code)
        }
    }
}

/// Whether the wait for the peer is over. To be asked after each answer and each change of state.
///
/// `current` is the state now. `Ok(None)`: wait on. `Ok(Some(_))`: propose the same change again
/// from the state of that moment and commit it; it can still be refused.
///
/// # Errors
///
/// The peer refused, or the change has become illegal meanwhile.
pub fn look_again(
    facts: &Facts,
    current: &DeviceState,
    change: &Change,
    answer: Answer,
) -> Result<Option<Success>, Refusal> {
    match answer {
        Answer::Yes => return Ok(Some(Success::PeerAgreed)),
        Answer::No => return Err(Refusal::CwFailedByPeer),
        Answer::None => {}
    }
    let (new, _) = sanitise(facts, current, current.with(change));
    if !needs_consent(current, &new) {
        return Ok(Some(Success::NoNeedToAsk));
    }
    check_strictly(facts, current, &new)?;
    Ok(None)
}

/// As [`look_again`], for a change of the whole connection. `judged` is the result of
/// [`propose_connection`](super::propose_connection) on the state of this moment; it counts for
/// more than the answer.
///
/// # Errors
///
/// The peer refused, or the change has become illegal meanwhile.
pub fn look_again_connection(
    cstate: Conn,
    judged: Result<(), Refusal>,
    answer: Answer,
) -> Result<Option<Success>, Refusal> {
    judged?;
    if cstate != Conn::WFReportParams {
        return Ok(Some(Success::NoNeedToAsk));
    }
    match answer {
        Answer::None => Ok(None),
        Answer::Yes => Ok(Some(Success::PeerAgreed)),
        Answer::No => Err(Refusal::CwFailedByPeer),
    }
}

/// The change as the other node sees it: what is own there is the peer's here.
///
/// Of the pause flags the requester's `aftr_isp` and `user_isp` become `peer_isp`. The `susp`
/// flags are each node's own and are dropped.
///
/// # Errors
///
/// [`Refusal::NotSupported`] for what no peer has a reason to ask: another role for this node, an
/// own disk in another state than Outdated, a connection state that is not in the table below.
pub fn mirrored(change: &Change) -> Result<Change, Refusal> {
    if change.peer.is_some() || !matches!(change.pdsk, None | Some(Disk::Outdated)) {
        return Err(Refusal::NotSupported);
    }
    let conn = match change.conn {
        None => None,
        Some(conn) => Some(mirrored_conn(conn).ok_or(Refusal::NotSupported)?),
    };
    Ok(Change {
        peer: change.role,
        conn,
        disk: change.pdsk,
        pdsk: change.disk,
        peer_isp: match (change.aftr_isp, change.user_isp) {
            (None, None) => None,
            (a, u) => Some(a.unwrap_or(false) || u.unwrap_or(false)),
        },
        ..Change::NONE
    })
}

/// The connection state that follows here when the peer asks for `conn` there; `None`: no peer
/// may ask for that.
const fn mirrored_conn(conn: Conn) -> Option<Conn> {
    match conn {
        Conn::WFReportParams | Conn::Connected => Some(conn),
        Conn::StartingSyncS => Some(Conn::StartingSyncT),
        Conn::StartingSyncT => Some(Conn::StartingSyncS),
        Conn::Disconnecting => Some(Conn::TearDown),
        Conn::VerifyS => Some(Conn::VerifyT),
        Conn::StandAlone
        | Conn::Unconnected
        | Conn::Timeout
        | Conn::BrokenPipe
        | Conn::NetworkFailure
        | Conn::ProtocolError
        | Conn::TearDown
        | Conn::WFConnection
        | Conn::WFBitMapS
        | Conn::WFBitMapT
        | Conn::WFSyncUUID
        | Conn::SyncSource
        | Conn::SyncTarget
        | Conn::VerifyT
        | Conn::PausedSyncS
        | Conn::PausedSyncT
        | Conn::Ahead
        | Conn::Behind => None,
    }
}

/// A request of the peer has to be turned away because this node has one of its own under way and
/// is the one that resolves conflicts. The answer is then [`Refusal::ConcurrentStChg`].
///
/// # Errors
///
/// [`Refusal::ConcurrentStChg`]: answer with this, do nothing.
pub const fn admit(resolve_conflicts: bool, own_request_running: bool) -> Result<(), Refusal> {
    if resolve_conflicts && own_request_running {
        Err(Refusal::ConcurrentStChg)
    } else {
        Ok(())
    }
}

/// What the peer's request for one volume leads to here: commit the transition and answer with
/// its code, or answer with the refusal. `change` is the request as received, not yet
/// [`mirrored`].
///
/// # Errors
///
/// The code to answer with.
pub fn answer(
    facts: &Facts,
    old: &DeviceState,
    change: &Change,
    resolve_conflicts: bool,
    own_request_running: bool,
) -> Result<Transition, Refusal> {
    admit(resolve_conflicts, own_request_running)?;
    let wanted = mirrored(change)?;
    if wanted.conn.is_some_and(Conn::is_starting_sync) && old.disk == Disk::Negotiating {
        // The peer asked before it saw this disk. What the two are to do is being found out, and a
        // bitmap may be on its way already.
        return Err(Refusal::InTransientState);
    }
    if wanted.pdsk == Some(Disk::Failed) && old.peer == Role::Primary && old.disk < Disk::UpToDate {
        // It has not heard yet that it would be left without any data.
        return Err(Refusal::NoUpToDateDisk);
    }
    let t = propose(facts, old, &wanted, Mode::Soft)?;
    if wanted.conn.is_some_and(is_sync_start) && wanted.conn != Some(t.new.conn) {
        // A disk is missing. "Nothing to do" would pass for consent.
        return Err(Refusal::NoLocalDisk);
    }
    Ok(t)
}

/// A full sync or a verify begins.
const fn is_sync_start(conn: Conn) -> bool {
    matches!(
        conn,
        Conn::StartingSyncS | Conn::StartingSyncT | Conn::VerifyS | Conn::VerifyT
    )
}
