// SPDX-License-Identifier: GPL-2.0
//! Which states are legal, and which may follow which.
//!
//! Three sets of rules: steps that are never possible, states that a soft change must not lead
//! to, and steps that a soft change must not make (docs/states.md, "Validity").

use super::facts::{Facts, Fencing};
use super::names::{Conn, Disk, Role};
use super::returns::{Refusal, Success};
use super::word::DeviceState;

/// The connection part of a step that is possible at all.
///
/// # Errors
///
/// The step is impossible, now or ever.
pub fn check_conn_step(old: Conn, new: Conn) -> Result<Success, Refusal> {
    if old == new {
        return Ok(Success::NothingToDo);
    }
    if old == Conn::StandAlone && new == Conn::Disconnecting {
        return Err(Refusal::AlreadyStandAlone);
    }
    if old == Conn::StandAlone && new != Conn::Unconnected {
        return Err(Refusal::NeedConnection);
    }
    if old < Conn::WFReportParams && new >= Conn::Connected {
        return Err(Refusal::NeedConnection);
    }
    if old.is_lost_link() && !matches!(new, Conn::Unconnected | Conn::Disconnecting) {
        return Err(Refusal::InTransientState);
    }
    if old == Conn::Disconnecting && new != Conn::StandAlone {
        return Err(Refusal::InTransientState);
    }
    Ok(Success::Done)
}

/// A step that is possible at all, even when facts from outside force it.
///
/// # Errors
///
/// The step is impossible, now or ever.
pub fn check_step(old: &DeviceState, new: &DeviceState) -> Result<Success, Refusal> {
    if new.disk == Disk::Failed && old.disk == Disk::Diskless {
        return Err(Refusal::IsDiskless);
    }
    check_conn_step(old.conn, new.conn)
}

/// A state that a soft change may lead to. `fencing` is the policy that counts
/// ([`Facts::fencing_of`] the current disk). The first rule that matches decides.
///
/// # Errors
///
/// The state is not legal.
pub fn check_state(facts: &Facts, fencing: Fencing, s: &DeviceState) -> Result<(), Refusal> {
    use Disk as D;
    let primary = s.role == Role::Primary;
    let one_primary = facts.net_config && !facts.two_primaries;
    let connected = s.conn >= Conn::Connected;
    let beyond = s.conn > Conn::Connected;
    let no_good_disk = s.disk < D::UpToDate && s.pdsk < D::UpToDate;
    let rules = [
        (
            one_primary && primary && s.peer == Role::Primary,
            Refusal::TwoPrimaries,
        ),
        (
            one_primary && primary && facts.highest_peer == Role::Primary,
            Refusal::OVolPeerPri,
        ),
        (
            s.role == Role::Secondary && facts.open,
            Refusal::DeviceInUse,
        ),
        (
            primary && !connected && s.disk < D::UpToDate,
            Refusal::NoUpToDateDisk,
        ),
        (
            fencing >= Fencing::ResourceOnly && primary && !connected && s.pdsk >= D::DUnknown,
            Refusal::PrimaryNop,
        ),
        (
            primary && s.disk <= D::Inconsistent && s.pdsk <= D::Inconsistent,
            Refusal::NoUpToDateDisk,
        ),
        (beyond && s.disk < D::Inconsistent, Refusal::NoLocalDisk),
        (beyond && s.pdsk < D::Inconsistent, Refusal::NoRemoteDisk),
        (beyond && no_good_disk, Refusal::NoUpToDateDisk),
        (
            matches!(
                s.conn,
                Conn::Connected | Conn::WFBitMapS | Conn::SyncSource | Conn::PausedSyncS
            ) && s.disk == D::Outdated,
            Refusal::ConnectedOutdates,
        ),
        (
            facts.net_config && s.conn.is_verify() && !facts.verify_alg,
            Refusal::NoVerifyAlg,
        ),
        (s.conn.is_verify() && facts.apv < 88, Refusal::NotSupported),
        (primary && no_good_disk, Refusal::NoUpToDateDisk),
        (
            s.conn.is_starting_sync() && s.pdsk == D::DUnknown,
            Refusal::NeedConnection,
        ),
        (
            connected && s.pdsk == D::DUnknown,
            Refusal::ConnectedOutdates,
        ),
    ];
    first(&rules)
}

/// A step that a soft change may make. All rules are looked at; the last that matches decides.
///
/// # Errors
///
/// The step must not be made, or not now.
pub fn check_soft_step(facts: &Facts, old: &DeviceState, new: &DeviceState) -> Result<(), Refusal> {
    use Conn as C;
    use Disk as D;
    let disconnects = new.conn == C::Disconnecting;
    let handshake_goes_on = (old.conn == C::WFConnection && new.conn == C::WFReportParams)
        || (old.conn == C::WFReportParams && new.conn >= C::Connected);
    let becomes_primary = old.role != Role::Primary && new.role == Role::Primary;
    let rules = [
        (
            new.conn.is_starting_sync() && old.conn > C::Connected,
            Refusal::ResyncRunning,
        ),
        // The adjustment would call the source UpToDate, whatever it has.
        (
            new.conn != old.conn
                && ((matches!(new.conn, C::StartingSyncS) && old.disk != D::UpToDate)
                    || (matches!(new.conn, C::StartingSyncT) && old.pdsk != D::UpToDate)
                    || (new.conn.is_verify() && old.disk.min(old.pdsk) != D::UpToDate)),
            Refusal::NoUpToDateDisk,
        ),
        (
            disconnects && old.conn == C::StandAlone,
            Refusal::AlreadyStandAlone,
        ),
        (
            new.disk > D::Attaching && old.disk == D::Diskless,
            Refusal::IsDiskless,
        ),
        (
            new.conn == C::WFConnection && old.conn < C::Unconnected,
            Refusal::NoNetConfig,
        ),
        (
            new.disk == D::Outdated && old.disk < D::Outdated && old.disk != D::Attaching,
            Refusal::LowerThanOutdated,
        ),
        (
            disconnects && old.conn == C::Unconnected,
            Refusal::InTransientState,
        ),
        (
            facts.state_sent && !handshake_goes_on,
            Refusal::InTransientState,
        ),
        // A peer that was forced Primary is about to sync to us: wait until that has begun.
        (
            becomes_primary
                && new.pdsk == D::UpToDate
                && !matches!(new.disk, D::UpToDate | D::Diskless)
                && (new.conn <= C::WFSyncUUID || new.conn != old.conn),
            Refusal::InTransientState,
        ),
        (
            new.conn.is_verify() && old.conn < C::Connected,
            Refusal::NeedConnection,
        ),
        (
            new.conn.is_verify() && new.conn != old.conn && old.conn > C::Connected,
            Refusal::ResyncRunning,
        ),
        (
            new.conn.is_starting_sync() && old.conn < C::Connected,
            Refusal::NeedConnection,
        ),
        (
            matches!(new.conn, C::SyncTarget | C::SyncSource) && old.conn < C::WFReportParams,
            Refusal::NeedConnection,
        ),
        (
            disconnects
                && new.pdsk == D::Outdated
                && old.conn < C::Connected
                && old.pdsk > D::Outdated,
            Refusal::OutdateWoConn,
        ),
    ];
    last(&rules)
}

fn first(rules: &[(bool, Refusal)]) -> Result<(), Refusal> {
    rules
        .iter()
        .find(|(hit, _)| *hit)
        .map_or(Ok(()), |(_, refusal)| Err(*refusal))
}

fn last(rules: &[(bool, Refusal)]) -> Result<(), Refusal> {
    rules
        .iter()
        .rev()
        .find(|(hit, _)| *hit)
        .map_or(Ok(()), |(_, refusal)| Err(*refusal))
}
