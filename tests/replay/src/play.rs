// SPDX-License-Identifier: GPL-2.0
//! The play: each event is fed to the core again, with the answers that the node's driver gave.
//! What the core asks for has to be what the node did, in order.

use crate::words;
use drbd_core::peer::record::{write_state, Answer, Change, Keyframe, Record, Recording, Writer};
use drbd_core::peer::{Driver, Effect, Event, OnIoError, Resource, Shelf, Volume};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Events that happened, since there is the resource.
    pub events: u64,
    /// Events on the tape.
    pub recorded: u64,
    /// Those of them that were played again, or that had done nothing.
    pub played: u64,
    /// Where the node did something else than the core says. Nothing after it was played.
    pub difference: Option<String>,
    /// What the node had still to do when the tape was taken.
    pub under_way: Vec<String>,
    /// A part of the tape cannot be read.
    pub damaged: bool,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for effect in &self.under_way {
            writeln!(f, "when the tape was taken this was to be done: {effect}")?;
        }
        if self.damaged {
            writeln!(f, "a part of the tape cannot be read")?;
        }
        write!(
            f,
            "{} events, {} on the tape, {} played again: ",
            self.events, self.recorded, self.played
        )?;
        match &self.difference {
            None => f.write_str("no difference"),
            Some(difference) => write!(f, "different\n{difference}"),
        }
    }
}

/// What is on a tape, one after the other.
enum Item<'a> {
    /// A half begins: events before it, and its time.
    Half(u64, u64),
    Record(Record<'a>),
    Damaged,
}

/// Plays a tape again; `show` gets it in words, line by line.
///
/// # Errors
///
/// These bytes are no tape, or one of another version.
pub fn play(bytes: &[u8], mut show: impl FnMut(&str)) -> Result<Played, String> {
    let recording = Recording::new(bytes).map_err(words::no_tape)?;
    let mut items = Vec::new();
    for half in recording.halves() {
        items.push(Item::Half(half.events, half.time_ms));
        items.extend(half.map(|record| record.map_or(Item::Damaged, Item::Record)));
    }
    let mut player = Player::default();
    for (at, item) in items.iter().enumerate() {
        if let Some(line) = player.words(item) {
            show(&line);
        }
        if player.result.difference.is_none() {
            player.item(item, &items[at + 1..]);
            if let Some(difference) = &player.result.difference {
                show(&format!("  HERE           {difference}"));
            }
        }
    }
    player.result.under_way = player.expected.iter().map(words::effect).collect();
    Ok(player.result)
}

/// Storage for the volumes.
#[derive(Debug, Default)]
struct Volumes(Vec<Volume>);

impl AsRef<[Volume]> for Volumes {
    fn as_ref(&self) -> &[Volume] {
        &self.0
    }
}

impl AsMut<[Volume]> for Volumes {
    fn as_mut(&mut self) -> &mut [Volume] {
        &mut self.0
    }
}

impl Shelf for Volumes {
    fn insert(&mut self, at: usize, volume: Volume) -> bool {
        self.0.insert(at, volume);
        true
    }

    fn remove(&mut self, at: usize) {
        self.0.remove(at);
    }
}

type Machine = Resource<Volumes>;

#[derive(Default)]
struct Player {
    result: Played,
    /// The state, if it is known.
    machine: Option<Machine>,
    /// What the core has asked for and the node has not done yet.
    expected: VecDeque<Effect>,
    /// Events that have to come next.
    owed: VecDeque<Event>,
    /// What the effects belong to.
    about: String,
    /// Milliseconds of the node's clock, of the record that is shown.
    time: u64,
    /// The number of the event that is shown.
    number: u64,
}

impl Player {
    /// The state is not known until it is told again.
    fn forget(&mut self) {
        self.machine = None;
        self.expected.clear();
        self.owed.clear();
    }

    fn differs(&mut self, what: String) {
        self.result.difference = Some(what);
        self.expected.clear();
    }

    /// The item in words.
    fn words(&mut self, item: &Item<'_>) -> Option<String> {
        let indent = "                 ";
        let line = match item {
            Item::Half(events, time) => {
                (self.number, self.time) = (*events, *time);
                return None;
            }
            Item::Damaged => format!("{indent}this cannot be read"),
            Item::Record(record) => match record {
                Record::Torn => format!("{indent}there was no room for more of this event"),
                Record::Keyframe(frame) => {
                    let volumes: Vec<String> = frame.volumes().map(|v| one(&v)).collect();
                    format!("{indent}the state is: {}", volumes.join("; "))
                }
                Record::Event(after, event) => {
                    self.time += after;
                    self.number += 1;
                    let (time, number) = (self.time as f64 / 1000.0, self.number);
                    format!("{time:>12.3} {number:>5} {}", words::event(event))
                }
                Record::Answer(answer) => format!("{indent}asked: {}", words::answer(answer)),
                Record::Doing(effect) => format!("{indent}does: {}", words::effect(effect)),
                Record::Follows(event) => format!("{indent}leads to: {}", words::event(event)),
                Record::Change(change) => format!("{indent}{}", words::change(change)),
                Record::Quiet(quiet) => {
                    self.time += quiet.lasted;
                    self.number += quiet.progress + quiet.pings;
                    let (time, number) = (self.time as f64 / 1000.0, self.number);
                    format!("{time:>12.3} {number:>5} {}", words::quiet(quiet))
                }
            },
        };
        Some(line)
    }

    fn item(&mut self, item: &Item<'_>, rest: &[Item<'_>]) {
        match item {
            Item::Half(events, _) => {
                if self.result.events != *events {
                    // What was between is lost.
                    self.forget();
                }
                self.result.events = *events;
            }
            Item::Damaged => {
                self.result.damaged = true;
                self.forget();
            }
            Item::Record(record) => match record {
                Record::Torn => self.forget(),
                Record::Keyframe(frame) => self.keyframe(frame),
                Record::Event(_, event) => {
                    self.result.events += 1;
                    self.result.recorded += 1;
                    self.event(event, rest);
                }
                // Taken with the event.
                Record::Answer(_) => {}
                Record::Doing(effect) => self.doing(effect),
                Record::Follows(event) => self.owed.push_back(*event),
                Record::Change(change) => self.change(change),
                Record::Quiet(quiet) => {
                    let n = quiet.progress + quiet.pings;
                    self.result.events += n;
                    self.result.recorded += n;
                    if self.all_is_done() && self.machine.is_some() {
                        self.result.played += n;
                    }
                }
            },
        }
    }

    /// Nothing of the last event is left undone.
    fn all_is_done(&mut self) -> bool {
        if let Some(effect) = self.expected.front() {
            let text = format!(
                "{}: the core says: {}; the node has left that out",
                self.about,
                words::effect(effect)
            );
            self.differs(text);
            return false;
        }
        true
    }

    fn keyframe(&mut self, frame: &Keyframe<'_>) {
        if !self.all_is_done() {
            return;
        }
        let told = frame.machine(Volumes(frame.volumes().collect()));
        if let Some(machine) = &self.machine {
            let mut room = vec![0; frame.bytes().len() + 1];
            let mut w = Writer::new(&mut room);
            let same = write_state(machine, &mut w)
                && w.written().is_some_and(|n| room[..n] == *frame.bytes());
            if !same {
                let text = format!(
                    "after event {}: the state of the node is not the one that follows from its \
                     events\n{}",
                    self.result.events,
                    first_difference(&format!("{machine:#?}"), &format!("{told:#?}"))
                );
                self.differs(text);
                return;
            }
        }
        self.machine = Some(told);
        self.owed.clear();
    }

    fn event(&mut self, event: &Event, rest: &[Item<'_>]) {
        if !self.all_is_done() {
            return;
        }
        let about = format!("event {} ({})", self.result.events, words::event(event));
        if let Some(owed) = self.owed.pop_front() {
            if owed != *event {
                let owed = words::event(&owed);
                self.differs(format!("{about}: this had to be fed before: {owed}"));
                return;
            }
        }
        self.about = about;
        let Some(machine) = &mut self.machine else {
            return;
        };
        let is_answer = |item: &Item<'_>| match item {
            Item::Record(Record::Answer(answer)) => Some(*answer),
            _ => None,
        };
        let given: VecDeque<Answer> = rest.iter().map_while(is_answer).collect();
        let goes_on = match rest.get(given.len()) {
            None | Some(Item::Half(..) | Item::Damaged | Item::Record(Record::Torn)) => false,
            Some(Item::Record(_)) => true,
        };
        let mut driver = Asked {
            now: self.time,
            effects: VecDeque::new(),
            talk: RefCell::new(Talk {
                given,
                asked_more: None,
                other: None,
            }),
        };
        machine.handle(*event, &mut driver);
        let talk = driver.talk.into_inner();
        let left = talk.given.front().map(words::answer);
        match (talk.other, talk.asked_more, left) {
            (Some((asks, answer)), _, _) => self.differs(format!(
                "{}: the core asks for {asks}; the node's answer is: {answer}",
                self.about
            )),
            (None, Some(asks), _) if goes_on => self.differs(format!(
                "{}: the core asks for {asks}; the node was not asked",
                self.about
            )),
            // The tape was taken, or ended, while the event was handled.
            (None, Some(_), _) => self.forget(),
            (None, None, Some(answer)) => self.differs(format!(
                "{}: the core does not ask for what the node was asked: {answer}",
                self.about
            )),
            (None, None, None) => {
                self.result.played += 1;
                self.expected = driver.effects;
            }
        }
    }

    fn doing(&mut self, done: &Effect) {
        if self.machine.is_none() {
            return;
        }
        let wanted = self.expected.pop_front();
        if wanted.as_ref() != Some(done) {
            let wanted = wanted.map_or("nothing more".to_owned(), |e| words::effect(&e));
            let text = format!(
                "{}: the core says: {wanted}; the node did: {}",
                self.about,
                words::effect(done)
            );
            self.differs(text);
        }
    }

    fn change(&mut self, change: &Change) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        match change {
            Change::Set(setting) => machine.set(*setting),
            Change::Added(vnr) => drop(machine.add_volume(*vnr)),
            Change::Removed(vnr) => machine.remove_volume(*vnr),
        }
    }
}

fn one(volume: &Volume) -> String {
    format!("volume {} {}", volume.vnr, volume.state)
}

/// The first lines that differ.
fn first_difference(ours: &str, theirs: &str) -> String {
    let mut pairs = ours.lines().zip(theirs.lines());
    match pairs.find(|(a, b)| a != b) {
        Some((a, b)) => format!("the core says: {}; the node has: {}", a.trim(), b.trim()),
        None => "one of them says more than the other".to_owned(),
    }
}

/// The driver: it answers what the tape says, and collects what is asked for.
struct Asked {
    now: u64,
    effects: VecDeque<Effect>,
    talk: RefCell<Talk>,
}

struct Talk {
    given: VecDeque<Answer>,
    /// The question that there was no answer for.
    asked_more: Option<String>,
    /// A question that has another one's answer, and that.
    other: Option<(String, String)>,
}

impl Asked {
    /// The next answer, which has to be one to this question.
    fn next<T: Default>(&self, what: String, fits: impl FnOnce(Answer) -> Option<T>) -> T {
        let mut talk = self.talk.borrow_mut();
        if talk.other.is_some() || talk.asked_more.is_some() {
            return T::default();
        }
        let Some(answer) = talk.given.pop_front() else {
            talk.asked_more = Some(what);
            return T::default();
        };
        fits(answer).unwrap_or_else(|| {
            talk.other = Some((what, words::answer(&answer)));
            T::default()
        })
    }
}

/// The answer, if it is one of this kind for this volume.
macro_rules! answer_to {
    ($self:ident, $kind:ident, $vnr:expr, $what:literal) => {
        $self.next(format!($what, $vnr), |answer| match answer {
            Answer::$kind(vnr, n) if vnr == $vnr => Some(n),
            _ => None,
        })
    };
}

impl Driver for Asked {
    fn perform(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn random(&mut self) -> u64 {
        self.next("random bits".to_owned(), |answer| match answer {
            Answer::Random(bits) => Some(bits),
            _ => None,
        })
    }

    fn now_ms(&self) -> u64 {
        self.now
    }

    fn open_count(&self, vnr: u16) -> u32 {
        answer_to!(self, OpenCount, vnr, "the open count of volume {}")
    }

    fn open_requests(&self, vnr: u16) -> u32 {
        answer_to!(self, OpenRequests, vnr, "the requests of volume {}")
    }

    fn bits_set(&self, vnr: u16) -> u64 {
        answer_to!(self, BitsSet, vnr, "the bits set of volume {}")
    }

    fn resync_requests(&self, vnr: u16) -> u32 {
        answer_to!(
            self,
            ResyncRequests,
            vnr,
            "the resync requests of volume {}"
        )
    }

    fn on_io_error(&self, vnr: u16) -> OnIoError {
        answer_to!(self, OnIoError, vnr, "on-io-error of volume {}")
    }

    fn verified(&self, vnr: u16) -> u64 {
        answer_to!(self, Verified, vnr, "the blocks verified of volume {}")
    }

    fn equal_sums(&self, vnr: u16) -> Option<u64> {
        answer_to!(self, EqualSums, vnr, "the equal checksums of volume {}")
    }
}
