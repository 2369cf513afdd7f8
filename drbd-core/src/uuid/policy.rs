// SPDX-License-Identifier: GPL-2.0
//! The after-split-brain policies: who loses its changes, decided without asking.

use core::fmt;

use crate::config::words::{AfterSb0p, AfterSb1p, AfterSb2p, RrConflict};
use crate::state::BadValue;

/// Values of `after-sb-0pri`, `after-sb-1pri`, `after-sb-2pri` and `rr-conflict`
/// (`enum drbd_after_sb_p`). Not every option takes every value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AfterSb {
    /// No decision: drop the connection.
    #[default]
    Disconnect = 0,
    /// The node that became Primary last loses.
    DiscardYoungerPrimary = 1,
    /// The node that became Primary first loses.
    DiscardOlderPrimary = 2,
    /// A node without changes loses.
    DiscardZeroChanges = 3,
    /// The node with fewer changes loses.
    DiscardLeastChanges = 4,
    /// This node loses.
    DiscardLocal = 5,
    /// The peer loses.
    DiscardRemote = 6,
    /// As with no Primary, if the loser is the Secondary.
    Consensus = 7,
    /// The Secondary loses.
    DiscardSecondary = 8,
    /// As with no Primary; a Primary that loses is demoted, or a helper is called.
    CallHelper = 9,
    /// As with no Primary, whoever loses.
    Violently = 10,
}

impl AfterSb {
    /// All values, ascending.
    pub const ALL: &'static [AfterSb] = &[
        AfterSb::Disconnect,
        AfterSb::DiscardYoungerPrimary,
        AfterSb::DiscardOlderPrimary,
        AfterSb::DiscardZeroChanges,
        AfterSb::DiscardLeastChanges,
        AfterSb::DiscardLocal,
        AfterSb::DiscardRemote,
        AfterSb::Consensus,
        AfterSb::DiscardSecondary,
        AfterSb::CallHelper,
        AfterSb::Violently,
    ];

    /// The number in P_PROTOCOL and in netlink messages.
    #[must_use]
    pub const fn value(self) -> u8 {
        self as u8
    }

    /// What the peer's option has to be: discard-local there is discard-remote here.
    #[must_use]
    pub const fn mirrored(self) -> AfterSb {
        match self {
            AfterSb::DiscardLocal => AfterSb::DiscardRemote,
            AfterSb::DiscardRemote => AfterSb::DiscardLocal,
            other => other,
        }
    }
}

impl TryFrom<u32> for AfterSb {
    type Error = BadValue;

    fn try_from(value: u32) -> Result<AfterSb, BadValue> {
        AfterSb::ALL
            .iter()
            .copied()
            .find(|p| u32::from(p.value()) == value)
            .ok_or(BadValue {
                what: "after-split-brain policy",
                value,
            })
    }
}

/// Each option has a type of its own in the configuration; the numbers are of one space.
macro_rules! from_option {
    ($($option:ident),*) => {
        $(
            impl From<$option> for AfterSb {
                fn from(value: $option) -> AfterSb {
                    AfterSb::try_from(value.to_number()).unwrap_or_default()
                }
            }
        )*
    };
}

from_option!(AfterSb0p, AfterSb1p, AfterSb2p, RrConflict);

impl fmt::Display for AfterSb {
    /// The word that the log uses. User space names two of them after the option they are given
    /// to (`call-pri-lost`, `violently-as0p` and so on).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AfterSb::Disconnect => "disconnect",
            AfterSb::DiscardYoungerPrimary => "discard-younger-primary",
            AfterSb::DiscardOlderPrimary => "discard-older-primary",
            AfterSb::DiscardZeroChanges => "discard-zero-changes",
            AfterSb::DiscardLeastChanges => "discard-least-changes",
            AfterSb::DiscardLocal => "discard-local",
            AfterSb::DiscardRemote => "discard-remote",
            AfterSb::Consensus => "consensus",
            AfterSb::DiscardSecondary => "discard-secondary",
            AfterSb::CallHelper => "call-helper",
            AfterSb::Violently => "violently",
        })
    }
}

/// What the configuration of the connection says about conflicts. The default is to disconnect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policies {
    /// `after-sb-0pri`.
    pub no_primary: AfterSb,
    /// `after-sb-1pri`.
    pub one_primary: AfterSb,
    /// `after-sb-2pri`.
    pub two_primaries: AfterSb,
    /// `rr-conflict`: a Primary would become sync target.
    pub rr_conflict: AfterSb,
    /// `always-asbp`: the after-sb policies count for an old split brain, too.
    pub always_asbp: bool,
}

/// Whose data survives a split brain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Winner {
    Own,
    Peer,
}

/// What the policies look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// Bit 0 of the bitmap UUID: was Primary already when the copies parted.
    pub(super) own_was_primary: bool,
    pub(super) peer_was_primary: bool,
    /// Out-of-sync bits as exchanged.
    pub(super) own_changes: u64,
    pub(super) peer_changes: u64,
    pub(super) resolve_conflicts: bool,
    pub(super) own_primary: bool,
    /// A soft demotion would succeed at this moment.
    pub(super) can_demote: bool,
}

/// What a policy comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    pub(super) winner: Option<Winner>,
    /// The younger/older rule could not decide and another took its place.
    pub(super) fell_through: bool,
    pub(super) demotion: Demotion,
    /// The policy does not fit the number of Primaries.
    pub(super) config_error: bool,
}

/// Whether a Primary that loses was asked to give up its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demotion {
    NotTried,
    Done,
    Failed,
}

const UNSOLVED: Ruling = Ruling {
    winner: None,
    fell_through: false,
    demotion: Demotion::NotTried,
    config_error: false,
};

const MISCONFIGURED: Ruling = Ruling {
    config_error: true,
    ..UNSOLVED
};

impl Split {
    /// Who wins by the policies for `primaries` Primaries.
    pub(super) fn rule(&self, policies: &Policies, primaries: u8) -> Ruling {
        match primaries {
            0 => self.no_primary(policies.no_primary),
            1 => self.one_primary(policies),
            _ => self.two_primaries(policies),
        }
    }

    /// Decided by the flag that exactly one of the two nodes has.
    fn arbitrary(&self) -> Winner {
        if self.resolve_conflicts {
            Winner::Peer
        } else {
            Winner::Own
        }
    }

    fn by_zero_changes(&self) -> Option<Winner> {
        match (self.own_changes, self.peer_changes) {
            (0, 0) => Some(self.arbitrary()),
            (_, 0) => Some(Winner::Own),
            (0, _) => Some(Winner::Peer),
            _ => None,
        }
    }

    fn by_least_changes(&self) -> Winner {
        match self.own_changes.cmp(&self.peer_changes) {
            core::cmp::Ordering::Less => Winner::Peer,
            core::cmp::Ordering::Greater => Winner::Own,
            core::cmp::Ordering::Equal => self.arbitrary(),
        }
    }

    fn no_primary(&self, policy: AfterSb) -> Ruling {
        let by = |winner| Ruling {
            winner: Some(winner),
            ..UNSOLVED
        };
        // The node that was Primary already when the copies parted is the older Primary.
        let older = match (self.own_was_primary, self.peer_was_primary) {
            (true, false) => Some(Winner::Own),
            (false, true) => Some(Winner::Peer),
            _ => None,
        };
        match policy {
            AfterSb::Disconnect => UNSOLVED,
            AfterSb::DiscardYoungerPrimary | AfterSb::DiscardOlderPrimary => match older {
                Some(Winner::Own) if policy == AfterSb::DiscardOlderPrimary => by(Winner::Peer),
                Some(Winner::Peer) if policy == AfterSb::DiscardOlderPrimary => by(Winner::Own),
                Some(winner) => by(winner),
                None => Ruling {
                    winner: Some(self.by_zero_changes().unwrap_or(self.by_least_changes())),
                    fell_through: true,
                    ..UNSOLVED
                },
            },
            AfterSb::DiscardZeroChanges => Ruling {
                winner: self.by_zero_changes(),
                ..UNSOLVED
            },
            AfterSb::DiscardLeastChanges => by(self.by_least_changes()),
            AfterSb::DiscardLocal => by(Winner::Peer),
            AfterSb::DiscardRemote => by(Winner::Own),
            AfterSb::Consensus
            | AfterSb::DiscardSecondary
            | AfterSb::CallHelper
            | AfterSb::Violently => MISCONFIGURED,
        }
    }

    fn one_primary(&self, policies: &Policies) -> Ruling {
        let as_no_primary = || self.no_primary(policies.no_primary);
        match policies.one_primary {
            AfterSb::Disconnect => UNSOLVED,
            AfterSb::Consensus => {
                let mut ruling = as_no_primary();
                let primary = if self.own_primary {
                    Winner::Own
                } else {
                    Winner::Peer
                };
                ruling.winner = ruling.winner.filter(|winner| *winner == primary);
                ruling
            }
            AfterSb::Violently => as_no_primary(),
            AfterSb::DiscardSecondary => {
                let winner = if self.own_primary {
                    Winner::Own
                } else {
                    Winner::Peer
                };
                Ruling {
                    winner: Some(winner),
                    ..UNSOLVED
                }
            }
            AfterSb::CallHelper => self.demote_if_lost(as_no_primary()),
            _ => MISCONFIGURED,
        }
    }

    fn two_primaries(&self, policies: &Policies) -> Ruling {
        let as_no_primary = || self.no_primary(policies.no_primary);
        match policies.two_primaries {
            AfterSb::Disconnect => UNSOLVED,
            AfterSb::Violently => as_no_primary(),
            AfterSb::CallHelper => self.demote_if_lost(as_no_primary()),
            _ => MISCONFIGURED,
        }
    }

    /// A Primary that loses gives up its role, or there is no decision.
    fn demote_if_lost(&self, ruling: Ruling) -> Ruling {
        if ruling.winner != Some(Winner::Peer) || !self.own_primary {
            return ruling;
        }
        if self.can_demote {
            Ruling {
                demotion: Demotion::Done,
                ..ruling
            }
        } else {
            Ruling {
                winner: None,
                demotion: Demotion::Failed,
                ..ruling
            }
        }
    }
}
