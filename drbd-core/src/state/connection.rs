// SPDX-License-Identifier: GPL-2.0
//! One connection, several volumes: what they add up to, and changes of all at once.

use super::check::check_conn_step;
use super::facts::Facts;
use super::names::{Conn, Disk, Role};
use super::propose::{judge, Mode};
use super::returns::Refusal;
use super::sanitise::{sanitise, Warning};
use super::word::{Change, DeviceState};

/// What the volumes of a connection add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Summary {
    /// The highest own role; that of the resource.
    pub role: Role,
    /// The highest role of the peer; that of the connection's peer.
    pub peer: Role,
    /// The lowest connection state.
    pub lowest_conn: Conn,
    /// The highest connection state.
    pub highest_conn: Conn,
    /// The lowest own disk.
    pub lowest_disk: Disk,
    /// The highest own disk.
    pub highest_disk: Disk,
    /// The lowest disk of the peer.
    pub lowest_pdsk: Disk,
    /// The highest disk of the peer.
    pub highest_pdsk: Disk,
}

impl Summary {
    /// What a connection without volumes counts as, in connection state `conn`.
    #[must_use]
    pub const fn without_volumes(conn: Conn) -> Summary {
        Summary {
            role: Role::Secondary,
            peer: Role::Unknown,
            lowest_conn: conn,
            highest_conn: conn,
            lowest_disk: Disk::Diskless,
            highest_disk: Disk::Diskless,
            lowest_pdsk: Disk::DUnknown,
            highest_pdsk: Disk::DUnknown,
        }
    }

    /// Adds up `volumes`; `cstate` stands in when there are none.
    #[must_use]
    pub fn of<'a>(cstate: Conn, volumes: impl IntoIterator<Item = &'a DeviceState>) -> Summary {
        volumes
            .into_iter()
            .fold(None, |sum: Option<Summary>, s| {
                let one = Summary {
                    role: s.role,
                    peer: s.peer,
                    lowest_conn: s.conn,
                    highest_conn: s.conn,
                    lowest_disk: s.disk,
                    highest_disk: s.disk,
                    lowest_pdsk: s.pdsk,
                    highest_pdsk: s.pdsk,
                };
                Some(sum.map_or(one, |sum| sum.and(&one)))
            })
            .unwrap_or(Summary::without_volumes(cstate))
    }

    fn and(self, other: &Summary) -> Summary {
        Summary {
            role: self.role.highest(other.role),
            peer: self.peer.highest(other.peer),
            lowest_conn: self.lowest_conn.min(other.lowest_conn),
            highest_conn: self.highest_conn.max(other.highest_conn),
            lowest_disk: self.lowest_disk.min(other.lowest_disk),
            highest_disk: self.highest_disk.max(other.highest_disk),
            lowest_pdsk: self.lowest_pdsk.min(other.lowest_pdsk),
            highest_pdsk: self.highest_pdsk.max(other.highest_pdsk),
        }
    }
}

/// One volume in a change of the whole connection. The caller fills in `facts` and `old`,
/// [`propose_connection`] the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeChange {
    /// Facts about this volume.
    pub facts: Facts,
    /// Its state now.
    pub old: DeviceState,
    /// The state it is to take. Meaningless after a refusal.
    pub new: DeviceState,
    /// What the log should say about it.
    pub warning: Option<Warning>,
}

impl VolumeChange {
    /// A volume that no change has been tried on yet.
    #[must_use]
    pub const fn new(facts: Facts, old: DeviceState) -> VolumeChange {
        VolumeChange {
            facts,
            old,
            new: old,
            warning: None,
        }
    }
}

/// How a change of the whole connection is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionMode {
    /// Soft or hard.
    pub mode: Mode,
    /// A volume whose disk is below Outdated keeps its disk when Outdated was asked for, instead
    /// of refusing for all (`CS_IGN_OUTD_FAIL`). Used for what the peer asks for.
    pub ignore_outdate_failure: bool,
}

impl ConnectionMode {
    /// A wish of this node.
    pub const SOFT: ConnectionMode = ConnectionMode {
        mode: Mode::Soft,
        ignore_outdate_failure: false,
    };
    /// A fact from outside.
    pub const HARD: ConnectionMode = ConnectionMode {
        mode: Mode::Hard,
        ignore_outdate_failure: false,
    };
    /// A wish of the peer.
    pub const PEER: ConnectionMode = ConnectionMode {
        mode: Mode::Soft,
        ignore_outdate_failure: true,
    };
}

/// An accepted change of the whole connection; the volumes' part is in the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionTransition {
    /// The connection's own state before.
    pub old: Conn,
    /// And after. Set before the volumes are changed.
    pub new: Conn,
    /// What the volumes add up to after the change.
    pub summary: Summary,
}

impl ConnectionTransition {
    /// The sockets have just come up: the time is to be noted, so that requests frozen meanwhile
    /// do not count as late.
    #[must_use]
    pub fn is_reconnect(&self) -> bool {
        self.old != Conn::WFReportParams && self.new == Conn::WFReportParams
    }
}

/// Why a change of the whole connection was refused, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRefusal {
    /// The refusal.
    pub refusal: Refusal,
    /// Index of the first volume that refuses; `None`: the connection itself does.
    pub volume: Option<usize>,
}

/// Says what `change` leads to on all `volumes` of a connection and on its own state `cstate`
/// (StandAlone to WFReportParams), or who refuses. Either all volumes change or none.
///
/// # Errors
///
/// The refusal of the connection, or of the first volume that refuses.
pub fn propose_connection(
    cstate: Conn,
    volumes: &mut [VolumeChange],
    change: &Change,
    mode: ConnectionMode,
) -> Result<ConnectionTransition, ConnectionRefusal> {
    let mut new_cstate = cstate;
    if let Some(conn) = change.conn {
        check_conn_step(cstate, conn).map_err(|refusal| ConnectionRefusal {
            refusal,
            volume: None,
        })?;
        new_cstate = conn;
    }
    for (i, v) in volumes.iter_mut().enumerate() {
        let (mut new, warning) = sanitise(&v.facts, &v.old, v.old.with(change));
        if mode.ignore_outdate_failure && new.disk == Disk::Outdated && v.old.disk < Disk::Outdated
        {
            new.disk = v.old.disk;
        }
        judge(&v.facts, &v.old, &new, mode.mode).map_err(|refusal| ConnectionRefusal {
            refusal,
            volume: Some(i),
        })?;
        v.new = new;
        v.warning = warning;
    }
    Ok(ConnectionTransition {
        old: cstate,
        new: new_cstate,
        summary: Summary::of(new_cstate, volumes.iter().map(|v| &v.new)),
    })
}
