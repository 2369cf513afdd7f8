// SPDX-License-Identifier: GPL-2.0
//! The tape: a ring of records in a piece of memory that the driver lends.
//!
//! ```text
//! 0   "drbdtape"  version u16  0 u16  size of a half u32      (all little-endian)
//! 16  half: sequence u32 (0: empty)  bytes used u32  events before u64  time u64  records ...
//! 16 + size of a half: the other half
//! ```
//!
//! Records are written to one half until it is nearly full, then the other one is emptied and
//! taken. So what is on the tape is at least the younger half's and all of the older one's. Early
//! in each half, at the first moment that allows it, the state of the machine is written down: what
//! follows can be played again though the beginning is lost.
//!
//! Nothing allocates. What does not fit into a half is given up, and a mark says so.

use super::code::{by_variant, Code, Reader, Writer};
use super::keyframe::{self, Keyframe};
use crate::peer::event::{Effect, Event, OnIoError};
use crate::peer::setting::Setting;
use crate::peer::{Resource, Volume};

/// What a tape begins with.
pub(super) const MAGIC: [u8; 8] = *b"drbdtape";
/// The version of the format.
pub const VERSION: u16 = 2;
const HEAD: usize = 16;
const HALF_HEAD: usize = 24;
/// A half smaller than this records nothing.
const HALF_MIN: usize = 256;

/// What the driver answered to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Random bits.
    Random(u64),
    /// How many have the volume's device open.
    OpenCount(u16, u32),
    /// How many requests of the volume are under way.
    OpenRequests(u16, u32),
    /// How many bits are set.
    BitsSet(u16, u64),
    /// How many blocks were asked for and not answered.
    ResyncRequests(u16, u32),
    /// The policy on local I/O errors.
    OnIoError(u16, OnIoError),
    /// Blocks that a verify has looked at.
    Verified(u16, u64),
    /// Blocks that were equal by their checksums.
    EqualSums(u16, Option<u64>),
}

by_variant! {
    Answer {
        0 Random(bits), 1 OpenCount(vnr, n), 2 BitsSet(vnr, n), 3 ResyncRequests(vnr, n),
        4 OnIoError(vnr, policy), 5 Verified(vnr, n), 6 EqualSums(vnr, n),
        7 OpenRequests(vnr, n),
    }
    Setting {
        0 Net(net), 1 OnNoData(what), 2 Fencing(vnr, fencing), 3 AlUpdates(vnr, on),
        4 FullSync(vnr, on), 5 AlExtents(vnr, slots),
    }
    Change { 0 Set(setting), 1 Added(vnr), 2 Removed(vnr) }
    Kind {
        0 Torn, 1 Keyframe, 2 Event, 3 Answer, 4 Doing, 5 Follows, 6 Change, 7 Quiet,
    }
}

/// What was changed beside events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A setting.
    Set(Setting),
    /// A volume was added.
    Added(u16),
    /// A volume was removed.
    Removed(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Torn,
    Keyframe,
    Event,
    Answer,
    Doing,
    Follows,
    Change,
    Quiet,
}

/// Something on a tape.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// There was no room for the rest of an event, and for what came after it.
    Torn,
    /// The state of the machine.
    Keyframe(Keyframe<'a>),
    /// An event, so many milliseconds after the one before. The driver's clock stands still while
    /// it is handled.
    Event(u64, Event),
    /// The machine asked the driver while it handled the event.
    Answer(Answer),
    /// The driver does this now.
    Doing(Effect),
    /// What the driver did leads to this event.
    Follows(Event),
    /// The machine was changed by the driver.
    Change(Change),
    /// Events that changed nothing and asked for nothing.
    Quiet(Quiet),
}

/// A run of events after which the machine was as before: most of those of a resync, and pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// [`Event::ResyncProgress`], so many times.
    pub progress: u64,
    /// [`Event::PingAck`], so many times.
    pub pings: u64,
    /// Milliseconds from the event before to the last of them.
    pub lasted: u64,
}

super::code::by_fields! {
    Quiet { progress, pings, lasted }
}

/// Where an event that may be a quiet one begins.
#[derive(Clone, Copy, Debug)]
struct Mark {
    used: usize,
    sum: u64,
    /// The run of quiet events right before.
    run: Option<(usize, Quiet)>,
    is_ping: bool,
    after: u64,
}

/// A tape on the bytes `B`.
#[derive(Debug)]
pub struct Tape<B> {
    bytes: B,
    second: bool,
    sequence: u32,
    used: usize,
    events: u64,
    clock_ms: u64,
    /// The state of the machine is on this half, or there is no room for it.
    keyed: bool,
    torn: bool,
    /// A run of quiet events is the last record: where it begins.
    run: Option<(usize, Quiet)>,
    mark: Option<Mark>,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Tape<B> {
    /// An empty tape. On too few bytes (below 528) nothing is recorded.
    pub fn new(mut bytes: B) -> Self {
        let half = u32::try_from(half_of(bytes.as_ref())).unwrap_or(0);
        if let Some((head, _)) = bytes.as_mut().split_first_chunk_mut::<HEAD>() {
            let mut w = Raw(head);
            w.put(&MAGIC);
            w.put(&VERSION.to_le_bytes());
            w.put(&[0; 2]);
            w.put(&half.to_le_bytes());
        }
        let mut tape = Self {
            bytes,
            second: true,
            sequence: 0,
            used: 0,
            events: 0,
            clock_ms: 0,
            keyed: false,
            torn: false,
            run: None,
            mark: None,
        };
        tape.turn(0);
        tape
    }

    /// All bytes, as [`Recording::new`] reads them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The present half: its head and the rest.
    fn half(&mut self) -> Option<(&mut [u8; HALF_HEAD], &mut [u8])> {
        let (second, bytes) = (self.second, self.bytes.as_mut());
        let size = half_of(bytes);
        let halves = bytes.get_mut(HEAD..).filter(|_| size >= HALF_MIN)?;
        let (first, rest) = halves.split_at_mut_checked(size)?;
        let half = if second { rest.get_mut(..size)? } else { first };
        half.split_first_chunk_mut()
    }

    /// Empties the other half and goes on there.
    fn turn(&mut self, now_ms: u64) {
        self.second = !self.second;
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.clock_ms = now_ms;
        (self.used, self.keyed, self.torn) = (0, false, false);
        (self.run, self.mark) = (None, None);
        let (sequence, events) = (self.sequence, self.events);
        match self.half() {
            Some((head, _)) => {
                let mut w = Raw(head);
                w.put(&sequence.to_le_bytes());
                w.put(&0_u32.to_le_bytes());
                w.put(&events.to_le_bytes());
                w.put(&now_ms.to_le_bytes());
            }
            None => self.torn = true,
        }
    }

    /// So many bytes of the half hold records.
    fn use_up_to(&mut self, used: usize) {
        self.used = used;
        let stored = u32::try_from(used).unwrap_or(0).to_le_bytes();
        if let Some(([_, _, _, _, a, b, c, d, ..], _)) = self.half() {
            [*a, *b, *c, *d] = stored;
        }
    }

    /// Writes a record. `false`: there is no room for it.
    fn try_put(&mut self, kind: Kind, body: impl FnOnce(&mut Writer<'_>)) -> bool {
        let used = self.used;
        // The last byte is kept for the mark that there was no room.
        let written = self.half().and_then(|(_, room)| {
            let (_, room) = room.split_last_mut()?;
            let mut w = Writer::new(room.get_mut(used..)?);
            kind.put(&mut w);
            body(&mut w);
            w.written()
        });
        self.run = None;
        match written {
            Some(bytes) => self.use_up_to(used.saturating_add(bytes)),
            None => return false,
        }
        true
    }

    fn put(&mut self, kind: Kind, body: impl FnOnce(&mut Writer<'_>)) {
        if self.torn || self.try_put(kind, body) {
            return;
        }
        self.torn = true;
        let used = self.used;
        if let Some(place) = self.half().and_then(|(_, room)| room.get_mut(used)) {
            // `Kind::Torn`.
            *place = 0;
            self.use_up_to(used.saturating_add(1));
        }
    }

    /// An event will be handled. `between`: nothing that followed from an earlier one is still to
    /// be fed.
    pub(super) fn event<V: AsRef<[Volume]>>(
        &mut self,
        machine: &Resource<V>,
        between: bool,
        now_ms: u64,
        event: &Event,
    ) {
        let size = half_of(self.bytes.as_ref()).saturating_sub(HALF_HEAD);
        if self.torn || size.saturating_sub(self.used) < size / 4 {
            self.turn(now_ms);
        }
        let may_be_quiet = matches!(
            event,
            Event::PingAck | Event::ResyncProgress { failed: 0, .. }
        );
        let sum = if between && (may_be_quiet || !self.keyed) {
            keyframe::sum(machine)
        } else {
            None
        };
        if let (false, Some(_)) = (self.keyed, sum) {
            self.keyed = true;
            self.try_put(Kind::Keyframe, |w| {
                let _ = keyframe::write(machine, w);
            });
        }
        let after = now_ms.saturating_sub(self.clock_ms);
        self.mark = sum.filter(|_| may_be_quiet).map(|sum| Mark {
            used: self.used,
            sum,
            run: self.run,
            is_ping: *event == Event::PingAck,
            after,
        });
        self.clock_ms = now_ms;
        self.events = self.events.saturating_add(1);
        self.put(Kind::Event, |w| {
            after.put(w);
            event.put(w);
        });
    }

    /// The event is handled; `asked`: the machine asks for something.
    pub(super) fn handled<V: AsRef<[Volume]>>(&mut self, machine: &Resource<V>, asked: bool) {
        let Some(mark) = self.mark.take() else { return };
        if asked || self.torn || keyframe::sum(machine) != Some(mark.sum) {
            return;
        }
        let (at, mut quiet) = mark.run.unwrap_or((mark.used, Quiet::default()));
        quiet.lasted = quiet.lasted.saturating_add(mark.after);
        if mark.is_ping {
            quiet.pings = quiet.pings.saturating_add(1);
        } else {
            quiet.progress = quiet.progress.saturating_add(1);
        }
        self.use_up_to(at);
        self.put(Kind::Quiet, |w| quiet.put(w));
        self.run = Some((at, quiet)).filter(|_| !self.torn);
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.put(Kind::Answer, |w| answer.put(w));
    }

    pub(super) fn doing(&mut self, effect: &Effect) {
        self.put(Kind::Doing, |w| effect.put(w));
    }

    pub(super) fn follows(&mut self, event: &Event) {
        self.put(Kind::Follows, |w| event.put(w));
    }

    pub(super) fn change(&mut self, change: Change) {
        self.put(Kind::Change, |w| change.put(w));
    }
}

/// Bytes of a half.
fn half_of(bytes: &[u8]) -> usize {
    bytes.len().saturating_sub(HEAD) / 2
}

/// Fills a piece of memory.
struct Raw<'a>(&'a mut [u8]);

impl Raw<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let room = core::mem::take(&mut self.0);
        if let Some((place, rest)) = room.split_at_mut_checked(bytes.len()) {
            for (to, from) in place.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.0 = rest;
        }
    }
}

/// Why bytes are no tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTape {
    /// They do not begin as a tape does.
    NoMagic,
    /// Its version is another one.
    Version(u16),
    /// It is cut off.
    Short,
}

/// The bytes of a tape, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    halves: [Option<Half<'a>>; 2],
}

/// One half of a tape.
#[derive(Clone, Copy, Debug)]
pub struct Half<'a> {
    sequence: u32,
    /// Events before its first one, since there is the resource.
    pub events: u64,
    /// The time when it was begun, in milliseconds of the driver's clock.
    pub time_ms: u64,
    rest: Reader<'a>,
}

impl<'a> Recording<'a> {
    /// Looks at the bytes of a tape.
    ///
    /// # Errors
    ///
    /// They are none.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, NoTape> {
        let (magic, rest) = bytes.split_first_chunk().ok_or(NoTape::NoMagic)?;
        if *magic != MAGIC {
            return Err(NoTape::NoMagic);
        }
        let (version, rest) = rest.split_first_chunk().ok_or(NoTape::Short)?;
        match u16::from_le_bytes(*version) {
            VERSION => {}
            other => return Err(NoTape::Version(other)),
        }
        let (_, rest) = rest.split_first_chunk::<2>().ok_or(NoTape::Short)?;
        let (size, rest) = rest.split_first_chunk().ok_or(NoTape::Short)?;
        let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| NoTape::Short)?;
        let (first, rest) = rest.split_at_checked(size).ok_or(NoTape::Short)?;
        let second = rest.get(..size).ok_or(NoTape::Short)?;
        let mut halves = [Half::read(first), Half::read(second)];
        if let [Some(a), Some(b)] = &halves {
            // The sequence counts up and may wrap.
            if (b.sequence.wrapping_sub(a.sequence)) > u32::MAX / 2 {
                halves.reverse();
            }
        }
        Ok(Self { halves })
    }

    /// The halves in use, the older one first.
    pub fn halves(&self) -> impl Iterator<Item = Half<'a>> {
        self.halves.into_iter().flatten()
    }
}

impl<'a> Half<'a> {
    #[inline]
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk()?;
        let (used, rest) = rest.split_first_chunk()?;
        let (events, rest) = rest.split_first_chunk()?;
        let (time_ms, rest) = rest.split_first_chunk()?;
        let used = usize::try_from(u32::from_le_bytes(*used)).ok()?;
        let sequence = u32::from_le_bytes(*sequence);
        (sequence > 0).then_some(Self {
            sequence,
            events: u64::from_le_bytes(*events),
            time_ms: u64::from_le_bytes(*time_ms),
            rest: Reader::new(rest.get(..used)?),
        })
    }
}

/// A record of a damaged tape: it, and all that follows, is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl<'a> Iterator for Half<'a> {
    type Item = Result<Record<'a>, Damaged>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.rest().is_empty() {
            return None;
        }
        let record = Record::get(&mut self.rest).ok_or(Damaged);
        if record.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(record)
    }
}

impl<'a> Record<'a> {
    #[inline]
    fn get(r: &mut Reader<'a>) -> Option<Self> {
        Some(match Kind::get(r)? {
            Kind::Torn => Self::Torn,
            Kind::Keyframe => Self::Keyframe(Keyframe::get(r)?),
            Kind::Event => Self::Event(Code::get(r)?, Code::get(r)?),
            Kind::Answer => Self::Answer(Code::get(r)?),
            Kind::Doing => Self::Doing(Code::get(r)?),
            Kind::Follows => Self::Follows(Code::get(r)?),
            Kind::Change => Self::Change(Code::get(r)?),
            Kind::Quiet => Self::Quiet(Code::get(r)?),
        })
    }
}
