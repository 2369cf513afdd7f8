// SPDX-License-Identifier: GPL-2.0
//! The way to another role: up to four attempts, each learning from the answer to the last.
//!
//! The caller sends a ping first (promotion only, so that a dead peer is found), and holds the
//! volume's right to one request all the time. It performs what [`RoleRequest`] says: tries a
//! change (waiting while it is refused as transient, and until its after-change work is done),
//! runs the fence-peer procedure, sleeps; and reports what came of it.

use super::names::{Conn, Disk, Role};
use super::returns::{Refusal, StateReturn, Success};
use super::word::{Change, DeviceState};
use crate::uuid::UuidSet;

/// Attempts in all.
const MAX_TRIES: u8 = 4;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStep {
    /// Request this change, then [`RoleRequest::tried`].
    Try {
        /// The change.
        change: Change,
        /// Log a refusal, and report it as final.
        last: bool,
    },
    /// Run the fence-peer procedure ([`super::fence`]), then [`RoleRequest::fenced`].
    FencePeer,
    /// Sleep for `ping-timeout` and a tenth of a second more (1 s without a network
    /// configuration), then [`RoleRequest::slept`]: the other Primary may be found dead.
    Sleep,
    /// The end.
    Done(StateReturn),
}

/// Something for the log along the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleWarning {
    /// "Forced into split brain situation!"
    ForcedSplitBrain,
}

/// A request for another role under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleRequest {
    force: bool,
    change: Change,
    tries: u8,
    forced: bool,
    last: bool,
    failed: Refusal,
    fencing_for: FencingFor,
}

/// What the fence-peer procedure was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FencingFor {
    /// To be sure that Consistent data is current.
    Data,
    /// Not to become a second Primary.
    Exclusion,
}

impl RoleRequest {
    /// A request for `role`; `force` to take own data as UpToDate and to accept a split brain.
    #[must_use]
    pub const fn new(role: Role, force: bool) -> RoleRequest {
        RoleRequest {
            force,
            change: Change::role(role),
            tries: 0,
            forced: false,
            last: false,
            failed: Refusal::Unknown,
            fencing_for: FencingFor::Data,
        }
    }

    /// The data of this node was declared UpToDate by force: log it on success, and see
    /// [`promoted`].
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        self.forced
    }

    /// The first step.
    #[must_use]
    pub fn begin(&mut self) -> RoleStep {
        self.again()
    }

    fn again(&mut self) -> RoleStep {
        if self.tries >= MAX_TRIES {
            return RoleStep::Done(Err(self.failed));
        }
        self.tries = self.tries.saturating_add(1);
        RoleStep::Try {
            change: self.change,
            last: false,
        }
    }

    /// Reports what came of the last attempt; `disk` is the own disk now.
    #[must_use]
    pub fn tried(&mut self, result: StateReturn, disk: Disk) -> RoleStep {
        let refusal = match result {
            Ok(success) => return RoleStep::Done(Ok(success)),
            Err(refusal) => refusal,
        };
        if self.last {
            return RoleStep::Done(Err(refusal));
        }
        self.failed = refusal;
        match refusal {
            Refusal::CwFailedByPeer if self.change.pdsk.is_some() => {
                // The peer came back just when it had been declared outdated.
                self.change.pdsk = None;
                self.again()
            }
            Refusal::NoUpToDateDisk
                if self.force && (Disk::Inconsistent..Disk::UpToDate).contains(&disk) =>
            {
                self.change.disk = Some(Disk::UpToDate);
                self.forced = true;
                self.again()
            }
            Refusal::NoUpToDateDisk if disk == Disk::Consistent && self.change.pdsk.is_none() => {
                self.fencing_for = FencingFor::Data;
                RoleStep::FencePeer
            }
            Refusal::PrimaryNop if self.change.pdsk.is_none() => {
                self.fencing_for = FencingFor::Exclusion;
                RoleStep::FencePeer
            }
            Refusal::TwoPrimaries if self.tries < MAX_TRIES => {
                self.tries = MAX_TRIES - 1;
                RoleStep::Sleep
            }
            Refusal::TwoPrimaries => self.again(),
            _ => {
                self.last = true;
                RoleStep::Try {
                    change: self.change,
                    last: true,
                }
            }
        }
    }

    /// Reports whether the peer is fenced now.
    #[must_use]
    pub fn fenced(&mut self, fenced: bool) -> (RoleStep, Option<RoleWarning>) {
        let mut warning = None;
        match (self.fencing_for, fenced) {
            (FencingFor::Data, true) => self.change.disk = Some(Disk::UpToDate),
            (FencingFor::Exclusion, false) if self.force => {
                warning = Some(RoleWarning::ForcedSplitBrain);
                self.change.pdsk = Some(Disk::Outdated);
            }
            _ => {}
        }
        (self.again(), warning)
    }

    /// Reports the end of the sleep.
    #[must_use]
    pub fn slept(&mut self) -> RoleStep {
        self.again()
    }
}

/// A role request ended in success and there is something to do about it; false for "nothing to
/// do".
#[must_use]
pub fn is_new_role(result: StateReturn) -> bool {
    matches!(result, Ok(s) if s != Success::NothingToDo)
}

/// A promotion needs a new current UUID: nobody will see the writes but this node, or the data
/// was declared UpToDate by force. `state` is the one after the promotion.
///
/// *Stricter than the reference*, which looks only for a bitmap UUID: if that is of a resync whose
/// end this node has not seen, the peer may have the very generation, and go on from there.
#[must_use]
pub fn promotion_needs_new_uuid(state: &DeviceState, uuids: &UuidSet, forced: bool) -> bool {
    (is_alone(state) && (uuids.bitmap == 0 || uuids.target_may_be_done())) || forced
}

fn is_alone(state: &DeviceState) -> bool {
    state.conn < Conn::Connected || state.pdsk <= Disk::Failed
}

/// What the promotion of a volume with a disk makes of its UUIDs; `random` is used only if
/// [`promotion_needs_new_uuid`]. Returns a bitmap UUID lost by this, which deserves a warning.
#[must_use = "a lost bitmap UUID deserves a warning"]
pub fn promoted(
    state: &DeviceState,
    uuids: &mut UuidSet,
    forced: bool,
    random: u64,
) -> Option<u64> {
    let mut lost = None;
    if promotion_needs_new_uuid(state, uuids, forced) {
        if !forced && uuids.target_may_be_done() {
            uuids.leave_target(random, true);
        } else {
            lost = uuids.new_current(random, true);
        }
    }
    uuids.set_primary(true);
    lost
}
