// SPDX-License-Identifier: GPL-2.0
//! What the kernel log says, in DRBD's words (docs/interface.md, "Kernel log").
//!
//! A [`LogLine`] may be several lines, separated by line feeds, or none. The caller puts the
//! prefix of the volume in front of each.
//!
//! A change of state is one line of [`Parts`]. When the whole connection changed, what is common to
//! all volumes stands in one line about the connection, the rest in one line per volume.

use core::fmt;

use super::event::{LogLine, UuidNews};
use super::volume::Side;
use crate::state::fence::Fenced;
use crate::state::{code_text, Conn, DeviceState, Disk, Role};
use crate::uuid::{Note, RefusalReason, UuidSet};

#[cfg(test)]
mod tests;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Somebody has to act.
    Alert,
    /// Something failed.
    Error,
    /// Worth a look.
    Warning,
    /// The course of things.
    Info,
}

impl LogLine {
    /// How grave it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::HandshakeNote(note) => note_level(*note),
            Self::HandshakeRefused(_) | Self::VerifyFound(_) => Level::Alert,
            Self::FencePeer {
                fenced: Fenced::Broken,
                ..
            }
            | Self::PeerTooSmall { .. }
            | Self::SizeTooLarge { .. }
            | Self::CanOnlyConnectTo(_)
            | Self::FailedByPeer(_)
            | Self::Refused { .. }
            | Self::IncompatibleSettings
            | Self::UnexpectedPacket(_) => Level::Error,
            Self::ForcedUpToDate
            | Self::ForcedSplitBrain
            | Self::LostBitmapUuid(_)
            | Self::NotEvenConsistent
            | Self::Warning(_) => Level::Warning,
            Self::Handshake { .. }
            | Self::FullSync
            | Self::BitsWithoutResync(_)
            | Self::BeganResync { .. }
            | Self::ResyncDone { .. }
            | Self::VerifyDone { .. }
            | Self::EqualSums { .. }
            | Self::FailedBlocks(_)
            | Self::Uuids(..)
            | Self::AssumingFullSync
            | Self::AssumedClean
            | Self::FencePeer { .. }
            | Self::HelperRefused { .. } => Level::Info,
        }
    }
}

const fn note_level(note: Note) -> Level {
    match note {
        Note::Unsolved => Level::Alert,
        Note::PolicyMisfit | Note::SourceInconsistent | Note::TargetPrimary => Level::Error,
        Note::PolicyFellThrough
        | Note::SolvedByPolicy { .. }
        | Note::FullBecauseAmbiguous
        | Note::SolvedByHand { .. }
        | Note::TargetPrimaryAllTheSame => Level::Warning,
        Note::Compared(_)
        | Note::ByDiskStates(_)
        | Note::Help(_)
        | Note::Demote
        | Note::WouldBe(_) => Level::Info,
    }
}

impl LogLine {
    /// It is about the connection, not about the volume.
    #[must_use]
    pub const fn is_of_connection(&self) -> bool {
        matches!(self, Self::NotEvenConsistent | Self::FencePeer { .. })
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake {
                own,
                own_bits,
                own_flags,
                peer,
                verdict,
                rule,
            } => {
                let theirs = UuidSet {
                    current: peer.current,
                    bitmap: peer.bitmap,
                    history: peer.history,
                };
                writeln!(f, "drbd_sync_handshake:")?;
                writeln!(f, "self {} bits:{own_bits} flags:{own_flags:X}", Slots(own))?;
                write!(f, "peer {} bits:{} ", Slots(&theirs), peer.bits_set)?;
                writeln!(f, "flags:{:X}", peer.flags.bits())?;
                write!(f, "uuid_compare()={verdict} by rule {rule}")
            }
            // Told by the helper's own lines and by the change of state.
            Self::HandshakeNote(Note::Help(_) | Note::Demote) => Ok(()),
            Self::HandshakeNote(note) => note.fmt(f),
            Self::HandshakeRefused(reason) => match reason {
                RefusalReason::Unrelated
                | RefusalReason::NeedsProtocol91
                | RefusalReason::NeedsFeature4 => reason.fmt(f),
                // A note has told.
                RefusalReason::SplitBrain
                | RefusalReason::SourceInconsistent
                | RefusalReason::TargetPrimary
                | RefusalReason::DryRun => Ok(()),
            },
            Self::FullSync => f.write_str(
                "Writing the whole bitmap, full sync required after drbd_sync_handshake.",
            ),
            Self::BitsWithoutResync(bits) => write!(f, "No resync, but {bits} bits in bitmap!"),
            Self::BeganResync { side, bits } => {
                let conn = match side {
                    Side::Source => Conn::SyncSource,
                    Side::Target => Conn::SyncTarget,
                };
                let kib = bits.saturating_mul(4);
                write!(
                    f,
                    "Began resync as {conn} (will sync {kib} KB [{bits} bits set])."
                )
            }
            Self::ResyncDone {
                seconds,
                paused,
                kib_per_second,
            } => write!(
                f,
                "Resync done (total {seconds} sec; paused {paused} sec; {kib_per_second} K/sec)"
            ),
            Self::VerifyDone {
                seconds,
                paused,
                kib_per_second,
            } => write!(
                f,
                "Online verify done (total {seconds} sec; paused {paused} sec; \
                 {kib_per_second} K/sec)"
            ),
            Self::VerifyFound(blocks) => {
                write!(f, "Online verify found {blocks} 4k block out of sync!")
            }
            Self::EqualSums { same, total } => {
                let percent = same.saturating_mul(100).checked_div(*total).unwrap_or(0);
                write!(
                    f,
                    "{percent} % had equal checksums, eliminated: {}K; transferred {}K total {}K",
                    same.saturating_mul(4),
                    total.saturating_sub(*same).saturating_mul(4),
                    total.saturating_mul(4)
                )
            }
            Self::FailedBlocks(blocks) => write!(f, "            {blocks} failed blocks"),
            Self::Uuids(news, set) => write!(f, "{} {}", news.as_str(), Slots(set)),
            Self::PeerTooSmall { new, now } => write!(
                f,
                "The peer's disk size is too small! ({new} < {now} sectors)"
            ),
            Self::SizeTooLarge { wanted, possible } => {
                write!(f, "Requested disk size is too big ({wanted} > {possible})")
            }
            Self::AssumedClean => {
                f.write_str("Resync of new storage suppressed with --assume-clean")
            }
            Self::CanOnlyConnectTo(uuid) => {
                write!(f, "Can only connect to data with current UUID={uuid:016X}")
            }
            Self::ForcedUpToDate => f.write_str("Forced to consider local data as UpToDate!"),
            Self::ForcedSplitBrain => f.write_str("Forced into split brain situation!"),
            Self::LostBitmapUuid(uuid) => write!(f, "The bitmap UUID {uuid:016X} is forgotten"),
            Self::NotEvenConsistent => {
                f.write_str("Not fencing peer, I'm not even Consistent myself.")
            }
            Self::FencePeer { exit, fenced } => {
                if *fenced == Fenced::PeerPrimary {
                    f.write_str("Peer is primary, outdating myself.\n")?;
                }
                match fenced.text() {
                    Some(text) => write!(f, "fence-peer helper returned {exit} ({text})"),
                    None => write!(f, "fence-peer helper broken, returned {exit}"),
                }
            }
            Self::FailedByPeer(code) => write!(
                f,
                "Requested state change failed by peer: {} ({code})",
                code_text(*code).unwrap_or("unknown error.")
            ),
            Self::Refused {
                code,
                state,
                wanted,
            } => {
                let text = code_text(*code).unwrap_or("unknown error.");
                write!(
                    f,
                    "State change failed: {text}\n  state = {state}\n wanted = {wanted}"
                )
            }
            // Which ones has been told by who compared them.
            Self::IncompatibleSettings => Ok(()),
            Self::AssumingFullSync => {
                f.write_str("Assuming that all blocks are out of sync (aka FullSync)")
            }
            Self::HelperRefused { helper, exit } => write!(
                f,
                "{} handler returned {exit}, dropping connection.",
                helper.as_str()
            ),
            Self::Warning(warning) => warning.fmt(f),
            Self::UnexpectedPacket(packet) => write!(f, "unexpected packet {packet}"),
        }
    }
}

impl UuidNews {
    /// The words in front of the slots.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttachedTo => "attached to UUIDs",
            Self::NewCurrent => "new current UUID",
            Self::SyncUuid => "updated sync UUID",
            Self::SyncUuidReceived => "updated sync uuid",
            Self::Updated => "updated UUIDs",
            Self::ClearedBitmap => "cleared bitmap UUID",
        }
    }
}

/// An amount in KiB with at most four digits, in the largest unit that it takes.
#[derive(Clone, Copy, Debug)]
pub struct Amount(pub u64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut amount = self.0;
        let mut units = ['K', 'M', 'G', 'T', 'P', 'E'].into_iter();
        let mut unit = units.next();
        while amount >= 10_000 {
            // Rounded to the next unit.
            amount = amount.saturating_add(512) >> 10;
            unit = units.next();
        }
        write!(f, "{amount} {}B", unit.unwrap_or('E'))
    }
}

/// The four slots as the log shows them.
struct Slots<'a>(&'a UuidSet);

impl fmt::Display for Slots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UuidSet {
            current,
            bitmap,
            history: [young, old],
        } = self.0;
        write!(f, "{current:016X}:{bitmap:016X}:{young:016X}:{old:016X}")
    }
}

/// A part of a state before and after, if it changed.
type Part<T> = Option<(T, T)>;

/// What of a state has changed. `Display` gives the line for the log, with the blank at its end
/// that DRBD's lines have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    role: Part<Role>,
    peer: Part<Role>,
    conn: Part<Conn>,
    disk: Part<Disk>,
    pdsk: Part<Disk>,
    aftr_isp: Part<bool>,
    peer_isp: Part<bool>,
    user_isp: Part<bool>,
}

fn part<T: PartialEq>(old: T, new: T) -> Part<T> {
    (old != new).then_some((old, new))
}

impl Parts {
    /// What differs between two states of a volume; suspension is the resource's.
    #[must_use]
    pub fn between(old: &DeviceState, new: &DeviceState) -> Self {
        Self {
            role: part(old.role, new.role),
            peer: part(old.peer, new.peer),
            conn: part(old.conn, new.conn),
            disk: part(old.disk, new.disk),
            pdsk: part(old.pdsk, new.pdsk),
            aftr_isp: part(old.aftr_isp, new.aftr_isp),
            peer_isp: part(old.peer_isp, new.peer_isp),
            user_isp: part(old.user_isp, new.user_isp),
        }
    }

    /// A change of the connection's own state, for a connection without volumes.
    #[must_use]
    pub fn of_connection(old: Conn, new: Conn) -> Self {
        Self {
            conn: part(old, new),
            ..Self::default()
        }
    }

    /// What changed in the same way here and there.
    #[must_use]
    pub fn common(self, other: &Self) -> Self {
        fn both<T: PartialEq>(a: Part<T>, b: &Part<T>) -> Part<T> {
            a.filter(|a| b.as_ref() == Some(a))
        }
        Self {
            role: both(self.role, &other.role),
            peer: both(self.peer, &other.peer),
            conn: both(self.conn, &other.conn),
            disk: both(self.disk, &other.disk),
            pdsk: both(self.pdsk, &other.pdsk),
            aftr_isp: both(self.aftr_isp, &other.aftr_isp),
            peer_isp: both(self.peer_isp, &other.peer_isp),
            user_isp: both(self.user_isp, &other.user_isp),
        }
    }

    /// What is left when `told` has been told.
    #[must_use]
    pub fn without(self, told: &Self) -> Self {
        fn rest<T>(a: Part<T>, told: &Part<T>) -> Part<T> {
            a.filter(|_| told.is_none())
        }
        Self {
            role: rest(self.role, &told.role),
            peer: rest(self.peer, &told.peer),
            conn: rest(self.conn, &told.conn),
            disk: rest(self.disk, &told.disk),
            pdsk: rest(self.pdsk, &told.pdsk),
            aftr_isp: rest(self.aftr_isp, &told.aftr_isp),
            peer_isp: rest(self.peer_isp, &told.peer_isp),
            user_isp: rest(self.user_isp, &told.user_isp),
        }
    }

    /// Nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn one(
            f: &mut fmt::Formatter<'_>,
            name: &str,
            part: Part<impl fmt::Display>,
        ) -> fmt::Result {
            match part {
                Some((old, new)) => write!(f, "{name}( {old} -> {new} ) "),
                None => Ok(()),
            }
        }
        let flag = |part: Part<bool>| part.map(|(old, new)| (u8::from(old), u8::from(new)));
        one(f, "role", self.role)?;
        one(f, "peer", self.peer)?;
        one(f, "conn", self.conn)?;
        one(f, "disk", self.disk)?;
        one(f, "pdsk", self.pdsk)?;
        one(f, "aftr_isp", flag(self.aftr_isp))?;
        one(f, "peer_isp", flag(self.peer_isp))?;
        one(f, "user_isp", flag(self.user_isp))
    }
}

/// The line about the resource's suspension, or the end of the connection's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Suspended before.
    pub old: bool,
    /// Suspended now.
    pub new: bool,
}

impl fmt::Display for Suspension {
    /// Nothing if nothing changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.old == self.new {
            return Ok(());
        }
        write!(
            f,
            "susp( {} -> {} ) ",
            u8::from(self.old),
            u8::from(self.new)
        )
    }
}
