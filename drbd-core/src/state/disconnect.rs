// SPDX-License-Identifier: GPL-2.0
//! The way to StandAlone on the administrator's order.

use super::names::{Conn, Disk};
use super::returns::{Refusal, StateReturn};
use super::word::Change;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectStep {
    /// Request this soft change of the connection, then [`DisconnectRequest::tried`].
    Try {
        /// The change.
        change: Change,
        /// Log a refusal.
        verbose: bool,
    },
    /// Force Disconnecting on the connection, then [`DisconnectRequest::tried`].
    Force,
    /// Accepted: wait for the receiver's end, then force StandAlone. The answer is success.
    Finish,
    /// Nothing to wait for. The answer is success.
    AlreadyAlone,
    /// Refused.
    Fail(Refusal),
}

/// What was tried last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Plain,
    OutdatingPeer,
    PlainAgain,
    OutdatingOwn,
    Forced,
}

/// A disconnect under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisconnectRequest {
    tried: Tried,
}

impl DisconnectRequest {
    /// Begins; `force` asks nobody.
    #[must_use]
    pub const fn begin(force: bool) -> (DisconnectRequest, DisconnectStep) {
        if force {
            return (
                DisconnectRequest {
                    tried: Tried::Forced,
                },
                DisconnectStep::Force,
            );
        }
        (
            DisconnectRequest {
                tried: Tried::Plain,
            },
            Self::PLAIN,
        )
    }

    const WISH: Change = Change::conn(Conn::Disconnecting);
    const PLAIN: DisconnectStep = DisconnectStep::Try {
        change: Self::WISH,
        verbose: false,
    };

    /// Reports what came of the last step; `cstate` is the connection's state now.
    #[must_use]
    pub fn tried(&mut self, result: StateReturn, cstate: Conn) -> DisconnectStep {
        let refusal = match result {
            Ok(_) => return DisconnectStep::Finish,
            Err(refusal) => refusal,
        };
        let (tried, step) = match (self.tried, refusal) {
            (_, Refusal::AlreadyStandAlone) => return DisconnectStep::AlreadyAlone,
            // A Primary with fencing: the peer has to be outdated by this.
            (Tried::Plain, Refusal::PrimaryNop) => (
                Tried::OutdatingPeer,
                DisconnectStep::Try {
                    change: Self::WISH.and_pdsk(Disk::Outdated),
                    verbose: false,
                },
            ),
            (Tried::OutdatingPeer, Refusal::OutdateWoConn) => (
                Tried::PlainAgain,
                DisconnectStep::Try {
                    change: Self::WISH,
                    verbose: true,
                },
            ),
            (Tried::Plain, Refusal::CwFailedByPeer) => {
                if cstate <= Conn::WFConnection {
                    (Tried::Plain, Self::PLAIN)
                } else {
                    // The peer is Primary with fencing: this node has to be outdated by this.
                    (
                        Tried::OutdatingOwn,
                        DisconnectStep::Try {
                            change: Self::WISH.and_disk(Disk::Outdated),
                            verbose: false,
                        },
                    )
                }
            }
            (Tried::OutdatingOwn, Refusal::IsDiskless | Refusal::LowerThanOutdated) => {
                (Tried::Forced, DisconnectStep::Force)
            }
            (_, refusal) => return DisconnectStep::Fail(refusal),
        };
        self.tried = tried;
        step
    }
}
