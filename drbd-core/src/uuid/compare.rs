// SPDX-License-Identifier: GPL-2.0
//! The comparison of two UUID sets: a list of rules, the first that matches gives the verdict.
//!
//! Both nodes compare on their own and must come to opposite verdicts. The numbers of the rules
//! are those of the log line `uuid_compare()=… by rule …`.

use core::fmt;

use super::{same, UuidSet, JUST_CREATED, SYNC_UUID_STEP};

/// What the two sets say, as seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Equal data: no sync.
    NoSync,
    /// This node has the newer data, the bitmaps tell what differs.
    SourceByBitmap,
    /// This node has the newer data, everything may differ.
    SourceFull,
    /// The peer has the newer data, the bitmaps tell what differs.
    TargetByBitmap,
    /// The peer has the newer data, everything may differ.
    TargetFull,
    /// Both have gone on from one common generation.
    SplitBrain,
    /// Both have gone on, and the common generation is too old to be sure; or both are Primary
    /// after a crash.
    OldSplitBrain,
    /// Nothing in common.
    Unrelated,
    /// Only protocol version 91 and later can tell.
    NeedsProtocol91,
    /// Only protocol version 101 with feature bit 4 can tell.
    NeedsFeature4,
}

impl Verdict {
    /// The number in the log line.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Verdict::NoSync => 0,
            Verdict::SourceByBitmap => 1,
            Verdict::SourceFull => 2,
            Verdict::TargetByBitmap => -1,
            Verdict::TargetFull => -2,
            Verdict::SplitBrain => 100,
            Verdict::OldSplitBrain => -100,
            Verdict::Unrelated => -1000,
            Verdict::NeedsProtocol91 => -1091,
            Verdict::NeedsFeature4 => -(0x10000 | 101 | (4 << 8)),
        }
    }

    /// The verdict that the peer must come to.
    #[must_use]
    pub const fn opposite(self) -> Verdict {
        match self {
            Verdict::SourceByBitmap => Verdict::TargetByBitmap,
            Verdict::SourceFull => Verdict::TargetFull,
            Verdict::TargetByBitmap => Verdict::SourceByBitmap,
            Verdict::TargetFull => Verdict::SourceFull,
            Verdict::NoSync
            | Verdict::SplitBrain
            | Verdict::OldSplitBrain
            | Verdict::Unrelated
            | Verdict::NeedsProtocol91
            | Verdict::NeedsFeature4 => self,
        }
    }
}

/// Something worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remark {
    /// Rule 34.
    MissedEndAsSource,
    /// Rule 36.
    PeerLostSyncUuid,
    /// Rule 35.
    MissedEndAsTarget,
    /// Rule 37.
    LostSyncUuid,
    /// Rule 51.
    LostLastSyncUuid,
    /// Rule 71.
    LastSyncUuidDidNotArrive,
    /// Rule 41, but the nodes have not agreed on what it takes.
    UnrotatedWithPrimary,
    /// Rule 41, two Primaries.
    UnrotatedTwoPrimaries,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Remark::MissedEndAsSource => {
                "Missed the end of a resync as source, put own UUIDs right"
            }
            Remark::PeerLostSyncUuid => "Was sync source, the peer has not kept the sync UUID",
            Remark::MissedEndAsTarget => {
                "The peer missed the end of a resync as source, put its UUIDs right"
            }
            Remark::LostSyncUuid => "Was sync target, have not kept the sync UUID",
            Remark::LostLastSyncUuid => {
                "The last sync UUID did not arrive, put the peer's UUIDs right"
            }
            Remark::LastSyncUuidDidNotArrive => {
                "The last sync UUID did not reach the peer, put own UUIDs right"
            }
            Remark::UnrotatedWithPrimary => {
                "Equal UUIDs after a crash, one node is primary: needs a newer peer"
            }
            Remark::UnrotatedTwoPrimaries => "Equal UUIDs after a crash, both nodes are primary",
        })
    }
}

/// What the comparison looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// The own UUIDs.
    pub own: &'a UuidSet,
    /// The peer's UUIDs.
    pub peer: &'a UuidSet,
    /// This node was Primary when it crashed.
    pub own_crashed: bool,
    /// The peer was (its flag).
    pub peer_crashed: bool,
    /// This node is Primary now.
    pub own_primary: bool,
    /// The peer is.
    pub peer_primary: bool,
    /// Agreed protocol version.
    pub apv: u32,
    /// Feature bit 4 ("write same") is agreed.
    pub feature_4: bool,
    /// This node resolves conflicts.
    pub resolve_conflicts: bool,
}

/// Verdict, rule, and the sets with what the rule put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The verdict.
    pub verdict: Verdict,
    /// The number of the rule, as logged.
    pub rule: u8,
    /// The own set; changed by rules 34 and 71. The superblock is dirty then.
    pub own: UuidSet,
    /// The remembered set of the peer; changed by rules 35 and 51.
    pub peer: UuidSet,
    /// For the log.
    pub remark: Option<Remark>,
}

impl Comparison {
    fn with_remark(mut self, remark: Remark) -> Comparison {
        self.remark = Some(remark);
        self
    }
}

/// `B`:=`H1`, `H1`:=`H2`: takes back a sync UUID that got lost on the way.
fn undo_sync_uuid(set: &UuidSet) -> UuidSet {
    let [young, old] = set.history;
    UuidSet {
        bitmap: young,
        history: [old, old],
        ..*set
    }
}

/// Compares the sets; bit 0 of the UUIDs is ignored.
#[must_use]
pub fn compare(i: &Input<'_>) -> Comparison {
    let never = |uuid: u64| same(uuid, JUST_CREATED);
    let empty = |uuid: u64| same(uuid, 0);
    let (s, p) = (i.own, i.peer);
    if never(s.current) && never(p.current) {
        return i.says(Verdict::NoSync, 10);
    }
    if (never(s.current) || empty(s.current)) && !never(p.current) {
        return i.says(Verdict::TargetFull, 20);
    }
    if !never(s.current) && (never(p.current) || empty(p.current)) {
        return i.says(Verdict::SourceFull, 30);
    }
    if same(s.current, p.current) {
        return i.one_generation();
    }
    i.peer_is_ahead()
        .or_else(|| i.own_is_ahead())
        .unwrap_or_else(|| i.parted())
}

impl Input<'_> {
    fn says(&self, verdict: Verdict, rule: u8) -> Comparison {
        Comparison {
            verdict,
            rule,
            own: *self.own,
            peer: *self.peer,
            remark: None,
        }
    }

    /// Both have the same current UUID: a resync that one of the two has not seen end, a crash,
    /// or nothing at all.
    fn one_generation(&self) -> Comparison {
        let (s, p) = (self.own, self.peer);
        let ([s1, s2], [p1, p2]) = (s.history, p.history);
        // "Is there one" is asked of the whole number here.
        match (s.bitmap != 0, p.bitmap != 0) {
            (true, false) | (false, true) if self.apv < 91 => {
                self.says(Verdict::NeedsProtocol91, 30)
            }
            (true, false) if same(s.bitmap, p1) && same(s1, p2) => {
                let mut c = self.says(Verdict::SourceByBitmap, 34);
                c.own.clear_bitmap();
                c.with_remark(Remark::MissedEndAsSource)
            }
            (true, false) => self
                .says(Verdict::SourceByBitmap, 36)
                .with_remark(Remark::PeerLostSyncUuid),
            (false, true) if same(s1, p.bitmap) && same(s2, p1) => {
                let mut c = self.says(Verdict::TargetByBitmap, 35);
                c.peer.clear_bitmap();
                c.with_remark(Remark::MissedEndAsTarget)
            }
            (false, true) => self
                .says(Verdict::TargetByBitmap, 37)
                .with_remark(Remark::LostSyncUuid),
            (true, true) | (false, false) => self.crash(),
        }
    }

    /// Equal UUIDs, but a node that was Primary crashed: what it had in flight may differ.
    fn crash(&self) -> Comparison {
        if !self.own_crashed && !self.peer_crashed {
            return self.says(Verdict::NoSync, 40);
        }
        if self.own_primary || self.peer_primary {
            if !self.feature_4 {
                return self
                    .says(Verdict::NeedsFeature4, 41)
                    .with_remark(Remark::UnrotatedWithPrimary);
            }
            return match (self.own_primary, self.peer_primary) {
                (true, true) => self
                    .says(Verdict::OldSplitBrain, 41)
                    .with_remark(Remark::UnrotatedTwoPrimaries),
                (true, false) => self.says(Verdict::SourceByBitmap, 41),
                (false, _) => self.says(Verdict::TargetByBitmap, 41),
            };
        }
        let own_is_source = match (self.own_crashed, self.peer_crashed) {
            (true, true) => !self.resolve_conflicts,
            (own, _) => own,
        };
        if own_is_source {
            self.says(Verdict::SourceByBitmap, 40)
        } else {
            self.says(Verdict::TargetByBitmap, 40)
        }
    }

    /// Rules 50 to 60: the peer went on from the generation here.
    fn peer_is_ahead(&self) -> Option<Comparison> {
        let (s, p) = (self.own, self.peer);
        let ([s1, _], [p1, p2]) = (s.history, p.history);
        if same(s.current, p.bitmap) {
            return Some(self.says(Verdict::TargetByBitmap, 50));
        }
        if same(s.current, p1) && self.sync_uuid_lost(s1, p2, p1, p.bitmap) {
            if self.apv < 91 {
                return Some(self.says(Verdict::NeedsProtocol91, 51));
            }
            let mut c = self.says(Verdict::TargetByBitmap, 51);
            c.peer = undo_sync_uuid(p);
            return Some(c.with_remark(Remark::LostLastSyncUuid));
        }
        (same(s.current, p1) || same(s.current, p2)).then(|| self.says(Verdict::TargetFull, 60))
    }

    /// Rules 70 to 80: the mirror image of rules 50 to 60.
    fn own_is_ahead(&self) -> Option<Comparison> {
        let (s, p) = (self.own, self.peer);
        let ([s1, s2], [p1, _]) = (s.history, p.history);
        if same(s.bitmap, p.current) {
            return Some(self.says(Verdict::SourceByBitmap, 70));
        }
        if same(s1, p.current) && self.sync_uuid_lost(p1, s2, s1, s.bitmap) {
            if self.apv < 91 {
                return Some(self.says(Verdict::NeedsProtocol91, 71));
            }
            let mut c = self.says(Verdict::SourceByBitmap, 71);
            c.own = undo_sync_uuid(s);
            return Some(c.with_remark(Remark::LastSyncUuidDidNotArrive));
        }
        (same(s1, p.current) || same(s2, p.current)).then(|| self.says(Verdict::SourceFull, 80))
    }

    /// The older generation is that of a target whose sync UUID never arrived. Before version 96
    /// only the histories can tell; since then the sync UUID is made from the UUID before it.
    fn sync_uuid_lost(&self, behind_h1: u64, ahead_h2: u64, ahead_h1: u64, ahead_b: u64) -> bool {
        if self.apv < 96 {
            same(behind_h1, ahead_h2)
        } else {
            same(ahead_h1.wrapping_add(SYNC_UUID_STEP), ahead_b)
        }
    }

    /// Rules 90 and 100: neither went on from where the other is.
    fn parted(&self) -> Comparison {
        let (s, p) = (self.own, self.peer);
        if same(s.bitmap, p.bitmap) && !same(s.bitmap, 0) {
            return self.says(Verdict::SplitBrain, 90);
        }
        // Two empty slots count as equal.
        let related = s
            .history
            .iter()
            .any(|a| p.history.iter().any(|b| same(*a, *b)));
        self.says(
            if related {
                Verdict::OldSplitBrain
            } else {
                Verdict::Unrelated
            },
            100,
        )
    }
}
