// SPDX-License-Identifier: GPL-2.0
//! From two UUID sets, two disks and two roles to what this node does: sync as source, as target,
//! not at all, or refuse the connection.

use core::fmt;

use super::compare::{compare, Comparison, Input, Remark, Verdict};
use super::policy::{Demotion, Policies, Split, Winner};
use super::{UuidFlags, UuidSet};
use crate::state::{Conn, Disk, Helper, List, Role};

/// This node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its UUIDs.
    pub uuids: UuidSet,
    /// Flags as it would send them: "discard my data" as marked for this handshake, "crashed
    /// Primary".
    pub flags: UuidFlags,
    /// Set bits as last sent to the peer.
    pub changes: u64,
    /// Its role.
    pub role: Role,
    /// The state of its disk; possibly Negotiating.
    pub disk: Disk,
    /// While Negotiating: what the disk would be without a peer.
    pub attach_disk: Disk,
}

impl Own {
    /// The disk as the handshake sees it.
    fn effective_disk(&self) -> Disk {
        if self.disk == Disk::Negotiating {
            self.attach_disk
        } else {
            self.disk
        }
    }
}

/// The peer, as it told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its UUIDs, from P_UUIDS.
    pub uuids: UuidSet,
    /// Its flags, from P_UUIDS.
    pub flags: UuidFlags,
    /// Its set bits, from P_UUIDS.
    pub changes: u64,
    /// Its role, from P_STATE.
    pub role: Role,
    /// Its disk, from P_STATE; Negotiating already resolved by its flags.
    pub disk: Disk,
}

/// Everything the handshake looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// This node.
    pub own: Own,
    /// The peer.
    pub peer: Peer,
    /// Agreed protocol version.
    pub apv: u32,
    /// Feature bit 4 ("write same") is agreed.
    pub feature_4: bool,
    /// This node resolves conflicts: it accepted the second connection.
    pub resolve_conflicts: bool,
    /// The configured policies.
    pub policies: Policies,
    /// Only find out, then refuse: `tentative` here, or the peer's dry-run flag.
    pub dry_run: bool,
    /// A soft demotion would succeed now. Never while parameters are being exchanged.
    pub can_demote: bool,
}

/// A side of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Source,
    Target,
}

/// What a sync would look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// No sync: Connected at once.
    NoSync,
    /// WFBitMapS; `full`: after setting and writing all bits.
    Source {
        /// All bits have to be set first, on both nodes.
        full: bool,
    },
    /// WFBitMapT; `full`: after setting and writing all bits.
    Target {
        /// All bits have to be set first, on both nodes.
        full: bool,
    },
}

impl Plan {
    /// The connection state that the plan begins with.
    #[must_use]
    pub const fn conn(self) -> Conn {
        match self {
            Plan::NoSync => Conn::Connected,
            Plan::Source { .. } => Conn::WFBitMapS,
            Plan::Target { .. } => Conn::WFBitMapT,
        }
    }

    /// All bits have to be set and written first. If that fails the connection is refused.
    #[must_use]
    pub const fn is_full(self) -> bool {
        matches!(
            self,
            Plan::Source { full: true } | Plan::Target { full: true }
        )
    }
}

/// Why a handshake ends in a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// Nothing in common.
    Unrelated,
    /// Both nodes would have to speak version 91.
    NeedsProtocol91,
    /// Both nodes would have to speak version 101 with feature bit 4.
    NeedsFeature4,
    /// An unsolved split brain.
    SplitBrain,
    /// This node would be the source of a sync, but its data is Inconsistent.
    SourceInconsistent,
    /// This node would be the target of a sync, but it is Primary.
    TargetPrimary,
    /// It was only a trial.
    DryRun,
}

impl fmt::Display for RefusalReason {
    /// The line for the log. The last four have been told by a [`Note`] already.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RefusalReason::Unrelated => "Unrelated data, aborting!",
            RefusalReason::NeedsProtocol91 => {
                "To resolve this both sides have to support at least protocol 91"
            }
            RefusalReason::NeedsFeature4 => {
                "To resolve this both sides have to support at least protocol 101 and feature 0x4"
            }
            RefusalReason::SplitBrain => "unresolved split brain",
            RefusalReason::SourceInconsistent => "source of a sync without consistent data",
            RefusalReason::TargetPrimary => "target of a sync while primary",
            RefusalReason::DryRun => "dry run",
        })
    }
}

/// What a handshake comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Go on like this.
    Go(Plan),
    /// Refuse the connection, or the attach if one of the disks is Negotiating.
    Refuse(RefusalReason),
}

/// What happens on the way, in order: lines for the log, helpers to run and wait for, a
/// demotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// From the comparison.
    Compared(Remark),
    /// The disk states overrule the UUIDs.
    ByDiskStates(Plan),
    /// Run this helper.
    Help(Helper),
    /// discard-younger/older-primary could not decide.
    PolicyFellThrough,
    /// The policy does not fit the number of Primaries.
    PolicyMisfit,
    /// Commit the demotion: this node gives up its Primary role.
    Demote,
    /// A policy solved the split brain.
    SolvedByPolicy {
        /// Primaries at this moment.
        primaries: u8,
        /// Sync from the peer.
        from_peer: bool,
    },
    /// A full sync, because the UUIDs leave it open what differs.
    FullBecauseAmbiguous,
    /// "discard my data" solved the split brain.
    SolvedByHand {
        /// Sync from the peer.
        from_peer: bool,
    },
    /// A split brain stays.
    Unsolved,
    /// See [`RefusalReason::SourceInconsistent`].
    SourceInconsistent,
    /// See [`RefusalReason::TargetPrimary`].
    TargetPrimary,
    /// `rr-conflict violently`: the Primary becomes target.
    TargetPrimaryAllTheSame,
    /// What the trial found out.
    WouldBe(Plan),
}

/// "peer" or "this", as the log names the node that gives the data.
const fn giver(from_peer: bool) -> &'static str {
    if from_peer {
        "peer"
    } else {
        "this"
    }
}

impl fmt::Display for Note {
    /// The line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Compared(remark) => remark.fmt(f),
            Note::ByDiskStates(Plan::Source { .. }) => {
                f.pad("Becoming sync source due to disk states.")
            }
            Note::ByDiskStates(_) => f.pad("Becoming sync target due to disk states."),
            Note::Help(helper) => write!(f, "Calling helper {}", helper.as_str()),
            Note::PolicyFellThrough => {
                f.pad("No younger or older primary, using discard-least-changes instead")
            }
            Note::PolicyMisfit => {
                f.pad("Configuration error: the after-sb policy does not fit the roles")
            }
            Note::Demote => f.pad("Gave up the primary role"),
            Note::SolvedByPolicy {
                primaries,
                from_peer,
            } => write!(
                f,
                "Split-Brain detected, {primaries} primaries, automatically solved. \
                 Sync from {} node",
                giver(*from_peer)
            ),
            Note::FullBecauseAmbiguous => f.pad("Doing a full sync, since UUIDs where ambiguous."),
            Note::SolvedByHand { from_peer } => write!(
                f,
                "Split-Brain detected, manually solved. Sync from {} node",
                giver(*from_peer)
            ),
            Note::Unsolved => f.pad("Split-Brain detected but unresolved, dropping connection!"),
            Note::SourceInconsistent => f.pad("I shall become SyncSource, but I am inconsistent!"),
            Note::TargetPrimary => f.pad("I shall become SyncTarget, but I am primary!"),
            Note::TargetPrimaryAllTheSame => {
                f.pad("Becoming SyncTarget, violating the stable-dataassumption")
            }
            Note::WouldBe(Plan::NoSync) => {
                f.pad("dry-run connect: No resync, would become Connected immediately.")
            }
            Note::WouldBe(plan) => write!(
                f,
                "dry-run connect: Would become {}, doing a {} resync.",
                match plan {
                    Plan::Source { .. } => Conn::SyncSource,
                    _ => Conn::SyncTarget,
                },
                if plan.is_full() {
                    "full"
                } else {
                    "bit-map based"
                }
            ),
        }
    }
}

/// As many as can ever come together.
pub type Notes = List<Note, 12>;

/// The result of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the UUIDs alone say, with both sets put right. Store them whatever the outcome.
    pub comparison: Comparison,
    /// What happens on the way.
    pub notes: Notes,
    /// The end.
    pub outcome: Outcome,
}

/// Decides what a handshake comes to. Both nodes decide on their own, from the same facts.
#[must_use]
pub fn decide(s: &Situation) -> Decision {
    let comparison = compare(&Input {
        own: &s.own.uuids,
        peer: &s.peer.uuids,
        own_crashed: s.own.flags.contains(UuidFlags::CRASHED_PRIMARY),
        peer_crashed: s.peer.flags.contains(UuidFlags::CRASHED_PRIMARY),
        own_primary: s.own.role == Role::Primary,
        peer_primary: s.peer.role == Role::Primary,
        apv: s.apv,
        feature_4: s.feature_4,
        resolve_conflicts: s.resolve_conflicts,
    });
    let mut way = Way {
        s,
        notes: List::new(),
        role: s.own.role,
    };
    if let Some(remark) = comparison.remark {
        way.note(Note::Compared(remark));
    }
    let outcome = match way.go(comparison.verdict) {
        Ok(plan) => Outcome::Go(plan),
        Err(reason) => Outcome::Refuse(reason),
    };
    Decision {
        comparison,
        notes: way.notes,
        outcome,
    }
}

/// A split brain that may be solved.
#[derive(Clone, Copy)]
struct Conflict {
    /// The common generation is too old: a sync has to be full.
    old: bool,
}

/// The way from the verdict to the outcome.
struct Way<'a> {
    s: &'a Situation,
    notes: Notes,
    /// The own role; a policy may demote.
    role: Role,
}

impl Way<'_> {
    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    fn go(&mut self, verdict: Verdict) -> Result<Plan, RefusalReason> {
        let plan = match self.by_disk_states(verdict)? {
            Ok(plan) => plan,
            Err(conflict) => self.solve(conflict)?,
        };
        self.check_source(plan)?;
        self.check_target(plan)?;
        if self.s.dry_run {
            self.note(Note::WouldBe(plan));
            return Err(RefusalReason::DryRun);
        }
        Ok(plan)
    }

    /// The verdict, or what the disk states make of it: an Inconsistent disk is the target, since
    /// it has nothing to give.
    fn by_disk_states(
        &mut self,
        verdict: Verdict,
    ) -> Result<Result<Plan, Conflict>, RefusalReason> {
        let (plan, full) = match verdict {
            Verdict::Unrelated => return Err(RefusalReason::Unrelated),
            Verdict::NeedsProtocol91 => return Err(RefusalReason::NeedsProtocol91),
            Verdict::NeedsFeature4 => return Err(RefusalReason::NeedsFeature4),
            Verdict::NoSync => (Ok(Plan::NoSync), false),
            Verdict::SourceByBitmap => (Ok(Plan::Source { full: false }), false),
            Verdict::SourceFull => (Ok(Plan::Source { full: true }), true),
            Verdict::TargetByBitmap => (Ok(Plan::Target { full: false }), false),
            Verdict::TargetFull => (Ok(Plan::Target { full: true }), true),
            Verdict::SplitBrain => (Err(Conflict { old: false }), false),
            Verdict::OldSplitBrain => (Err(Conflict { old: true }), true),
        };
        let (own, peer) = (self.s.own.effective_disk(), self.s.peer.disk);
        let side = match (own, peer) {
            (Disk::Inconsistent, peer) if peer > Disk::Inconsistent => Side::Target,
            (own, Disk::Inconsistent) if own > Disk::Inconsistent => Side::Source,
            _ => return Ok(plan),
        };
        let plan = match side {
            Side::Source => Plan::Source { full },
            Side::Target => Plan::Target { full },
        };
        self.note(Note::ByDiskStates(plan));
        Ok(Ok(plan))
    }

    /// A split brain: the policies, then "discard my data", then nothing.
    fn solve(&mut self, conflict: Conflict) -> Result<Plan, RefusalReason> {
        self.note(Note::Help(Helper::InitialSplitBrain));
        if !conflict.old || self.s.policies.always_asbp {
            if let Some(winner) = self.by_policy() {
                if conflict.old {
                    self.note(Note::FullBecauseAmbiguous);
                }
                return Ok(plan_of(winner, conflict.old));
            }
        }
        let mark = |flags: UuidFlags| flags.contains(UuidFlags::DISCARD_MY_DATA);
        let winner = match (mark(self.s.own.flags), mark(self.s.peer.flags)) {
            (true, false) => Winner::Peer,
            (false, true) => Winner::Own,
            _ => {
                self.note(Note::Unsolved);
                self.note(Note::Help(Helper::SplitBrain));
                return Err(RefusalReason::SplitBrain);
            }
        };
        self.note(Note::SolvedByHand {
            from_peer: winner == Winner::Peer,
        });
        Ok(plan_of(winner, false))
    }

    fn by_policy(&mut self) -> Option<Winner> {
        let s = self.s;
        let was_primary = |set: &UuidSet| set.bitmap & super::PRIMARY_BIT != 0;
        let primaries = match (s.own.role, s.peer.role) {
            (Role::Primary, Role::Primary) => 2,
            (Role::Primary, _) | (_, Role::Primary) => 1,
            _ => 0,
        };
        let split = Split {
            own_was_primary: was_primary(&s.own.uuids),
            peer_was_primary: was_primary(&s.peer.uuids),
            own_changes: s.own.changes,
            peer_changes: s.peer.changes,
            resolve_conflicts: s.resolve_conflicts,
            own_primary: s.own.role == Role::Primary,
            can_demote: s.can_demote,
        };
        let ruling = split.rule(&s.policies, primaries);
        if ruling.fell_through {
            self.note(Note::PolicyFellThrough);
        }
        if ruling.config_error {
            self.note(Note::PolicyMisfit);
        }
        match ruling.demotion {
            Demotion::NotTried => {}
            Demotion::Done => {
                self.note(Note::Demote);
                self.role = Role::Secondary;
            }
            Demotion::Failed => self.note(Note::Help(Helper::PriLostAfterSb)),
        }
        if let Some(winner) = ruling.winner {
            self.note(Note::SolvedByPolicy {
                primaries,
                from_peer: winner == Winner::Peer,
            });
        }
        ruling.winner
    }

    fn check_source(&mut self, plan: Plan) -> Result<(), RefusalReason> {
        let source = matches!(plan, Plan::Source { .. });
        if source && self.s.own.effective_disk() <= Disk::Inconsistent {
            self.note(Note::SourceInconsistent);
            return Err(RefusalReason::SourceInconsistent);
        }
        Ok(())
    }

    /// A Primary must not have its data changed under its feet. The disk that counts is the real
    /// one here: while it is Negotiating nobody reads from it.
    fn check_target(&mut self, plan: Plan) -> Result<(), RefusalReason> {
        use super::AfterSb;
        let target = matches!(plan, Plan::Target { .. });
        if !target || self.role != Role::Primary || self.s.own.disk < Disk::Consistent {
            return Ok(());
        }
        match self.s.policies.rr_conflict {
            AfterSb::Disconnect | AfterSb::CallHelper => {
                if self.s.policies.rr_conflict == AfterSb::CallHelper {
                    self.note(Note::Help(Helper::PriLost));
                }
                self.note(Note::TargetPrimary);
                Err(RefusalReason::TargetPrimary)
            }
            AfterSb::Violently => {
                self.note(Note::TargetPrimaryAllTheSame);
                Ok(())
            }
            // Not among the values of rr-conflict.
            _ => {
                self.note(Note::TargetPrimary);
                Err(RefusalReason::TargetPrimary)
            }
        }
    }
}

const fn plan_of(winner: Winner, full: bool) -> Plan {
    match winner {
        Winner::Own => Plan::Source { full },
        Winner::Peer => Plan::Target { full },
    }
}
