// SPDX-License-Identifier: GPL-2.0
//! The codec, the ring, and tapes that are damaged.

extern crate std;

use super::code::{Code, Reader, Writer};
use super::*;
use crate::peer::{Command, DiskErrorKind, NetSettings, Send};
use crate::state::{Conn, DeviceState, Disk, LogEvent, Role};
use core::cell::RefCell;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

/// A tape for one thread.
#[derive(Debug)]
struct Reel(RefCell<Tape<Vec<u8>>>);

impl Reel {
    fn new(bytes: usize) -> Self {
        Self(RefCell::new(Tape::new(std::vec![0; bytes])))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes().to_vec()
    }
}

impl Deck for Reel {
    type Bytes = Vec<u8>;

    fn with<R>(&self, f: impl FnOnce(&mut Tape<Vec<u8>>) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

/// A driver without anything. Its clock goes on by itself.
#[derive(Default)]
struct World {
    effects: Vec<Effect>,
    now: core::cell::Cell<u64>,
}

impl Driver for World {
    fn perform(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn random(&mut self) -> u64 {
        0x0123_4567_89ab_cdef
    }

    fn now_ms(&self) -> u64 {
        self.now.set(self.now.get() + 250);
        self.now.get()
    }

    fn open_count(&self, _vnr: u16) -> u32 {
        0
    }

    fn open_requests(&self, _vnr: u16) -> u32 {
        0
    }

    fn bits_set(&self, _vnr: u16) -> u64 {
        0
    }

    fn on_io_error(&self, _vnr: u16) -> OnIoError {
        OnIoError::Detach
    }
}

impl Shelf for Vec<Volume> {
    fn insert(&mut self, at: usize, volume: Volume) -> bool {
        Vec::insert(self, at, volume);
        true
    }

    fn remove(&mut self, at: usize) {
        Vec::remove(self, at);
    }
}

type Machine = Recorded<Vec<Volume>, Reel>;

fn machine(bytes: usize) -> Machine {
    Recorded::new(Vec::new(), Reel::new(bytes))
}

fn feed(machine: &mut Machine, world: &mut World, event: Event) {
    machine.handle(event, world);
    for effect in world.effects.drain(..) {
        machine.doing(&effect);
    }
}

/// All records, the older half's first.
fn records(bytes: &[u8], mut see: impl FnMut(Record<'_>)) {
    let recording = Recording::new(bytes).expect("a tape");
    for half in recording.halves() {
        for record in half {
            see(record.expect("an undamaged tape"));
        }
    }
}

fn bytes_of(value: &impl Code) -> Vec<u8> {
    let mut room = [0; 4096];
    let mut w = Writer::new(&mut room);
    value.put(&mut w);
    let used = w.written().expect("there is room");
    room[..used].to_vec()
}

/// What the bytes say, if anything, is written and read again as the same.
fn again<T: Code + PartialEq + core::fmt::Debug>(bytes: &[u8]) -> bool {
    let Some(value) = T::get(&mut Reader::new(bytes)) else {
        return false;
    };
    let written = bytes_of(&value);
    let mut r = Reader::new(&written);
    assert_eq!(T::get(&mut r), Some(value));
    assert_eq!(r.rest(), &[] as &[u8]);
    true
}

/// Mostly small numbers: those that name variants and states.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => 0_u8..2, 3 => 0_u8..30, 1 => any::<u8>()];
    prop::collection::vec(byte, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_as_the_same(bytes in any_bytes()) {
        again::<Event>(&bytes);
        again::<Effect>(&bytes);
        again::<Answer>(&bytes);
        again::<Change>(&bytes);
        again::<Volume>(&bytes);
        again::<i32>(&bytes);
        again::<u64>(&bytes);
    }

    #[test]
    fn a_number_of_either_sign_survives(n in any::<i32>(), m in any::<u64>()) {
        prop_assert_eq!(i32::get(&mut Reader::new(&bytes_of(&n))), Some(n));
        prop_assert_eq!(u64::get(&mut Reader::new(&bytes_of(&m))), Some(m));
    }

    /// Whatever stands on a tape is read to its end or refused.
    #[test]
    fn a_damaged_tape_is_read_without_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        static COURSE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut bytes = COURSE.get_or_init(|| course(4096)).clone();
        for (place, byte) in &hits {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let Ok(recording) = Recording::new(bytes) else { continue };
            for half in recording.halves() {
                for record in half.flatten() {
                    if let Record::Keyframe(frame) = record {
                        let _ = frame.machine(frame.volumes().collect::<Vec<_>>());
                    }
                }
            }
        }
    }
}

#[test]
fn each_variant_of_event_and_effect_is_met() {
    // The same trick, exhaustive in the first byte: the number of the variant.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = any_bytes();
    let (mut events, mut effects) = (BTreeSet::new(), BTreeSet::new());
    for turn in 0..6_000_u32 {
        let tree = strategy.new_tree(&mut runner).expect("bytes");
        let mut bytes = proptest::strategy::ValueTree::current(&tree);
        bytes[0] = (turn % 32) as u8;
        if again::<Event>(&bytes) {
            events.insert(bytes[0]);
        }
        if again::<Effect>(&bytes) {
            effects.insert(bytes[0]);
        }
    }
    assert_eq!(events, (0..28).collect());
    assert_eq!(effects, (0..30).collect());
}

/// A resource is made, connects, loses its peer, many times; with pings in between.
fn course(tape: usize) -> Vec<u8> {
    let (mut m, mut w) = (machine(tape), World::default());
    assert!(m.add_volume(3));
    assert!(m.add_volume(1));
    m.set(Setting::Net(NetSettings::default()));
    for _ in 0..40 {
        let connect = Command::Connect {
            discard_my_data: false,
            dry_run: false,
        };
        feed(&mut m, &mut w, Event::Admin(connect));
        feed(&mut m, &mut w, Event::Connecting);
        for _ in 0..5 {
            feed(&mut m, &mut w, Event::PingAck);
        }
        let disconnect = Command::Disconnect { force: true };
        feed(&mut m, &mut w, Event::Admin(disconnect));
        feed(&mut m, &mut w, Event::LinkClosed);
        m.set(Setting::Net(NetSettings::default()));
    }
    m.remove_volume(3);
    m.deck().bytes()
}

#[test]
fn an_old_tape_keeps_its_youngest_records_and_where_they_begin() {
    let bytes = course(2048);
    let recording = Recording::new(&bytes).expect("a tape");
    let halves: Vec<_> = recording.halves().collect();
    assert_eq!(halves.len(), 2);
    let mut events = halves[0].events;
    assert!(events > 0, "nothing was lost: {events}");
    for half in &halves {
        assert_eq!(half.events, events);
        let mut keyframes = 0;
        for record in *half {
            match record.expect("undamaged") {
                Record::Event(..) => events += 1,
                Record::Quiet(quiet) => events += quiet.pings + quiet.progress,
                Record::Keyframe(frame) => {
                    keyframes += 1;
                    let volumes: Vec<_> = frame.volumes().collect();
                    assert_eq!(volumes.len(), 2);
                    let copy = frame.machine(volumes);
                    let mut room = [0; 1024];
                    let mut w = Writer::new(&mut room);
                    assert!(write_state(&copy, &mut w));
                    let used = w.written().expect("room");
                    assert_eq!(room[..used], *frame.bytes());
                }
                Record::Torn => panic!("there was room"),
                _ => {}
            }
        }
        assert_eq!(keyframes, 1);
    }
    assert_eq!(events, 40 * 9);
    let mut last = None;
    records(&bytes, |record| last = Some(std::format!("{record:?}")));
    assert_eq!(last.as_deref(), Some("Change(Removed(3))"));
}

#[test]
fn pings_that_change_nothing_are_one_record() {
    let (mut m, mut w) = (machine(1024), World::default());
    let mut told = Vec::new();
    for _ in 0..1000 {
        feed(&mut m, &mut w, Event::PingAck);
    }
    assert!(m.add_volume(0));
    let quiet = Event::ResyncProgress { vnr: 0, failed: 0 };
    feed(&mut m, &mut w, quiet);
    let loud = Event::ResyncProgress { vnr: 0, failed: 1 };
    feed(&mut m, &mut w, loud);
    records(&m.deck().bytes(), |record| match record {
        Record::Quiet(q) => told.push((q.progress, q.pings, q.lasted)),
        Record::Event(after, event) => {
            assert_eq!((after, event), (250, loud));
            told.push((0, 0, 0));
        }
        _ => {}
    });
    // The first of them comes 250 ms after the clock's zero.
    assert_eq!(told, [(0, 1000, 250_000), (1, 0, 250), (0, 0, 0)]);
}

#[test]
fn an_event_that_does_not_fit_is_marked_and_the_next_half_begins_anew() {
    let (mut m, mut w) = (machine(528), World::default());
    for vnr in 0..20 {
        assert!(m.add_volume(vnr));
    }
    m.set(Setting::Net(NetSettings::default()));
    feed(&mut m, &mut w, Event::Connecting);
    let connect = Command::Connect {
        discard_my_data: false,
        dry_run: false,
    };
    feed(&mut m, &mut w, Event::Admin(connect));
    let mut seen = Vec::new();
    records(&m.deck().bytes(), |record| {
        seen.push(matches!(record, Record::Torn));
    });
    assert!(seen.iter().any(|torn| *torn), "{seen:?}");
    feed(&mut m, &mut w, Event::Connecting);
    let bytes = m.deck().bytes();
    let recording = Recording::new(&bytes).expect("a tape");
    let last = recording.halves().last().expect("a half");
    assert_eq!(last.events, 2);
}

#[test]
fn too_little_memory_is_an_empty_tape() {
    for bytes in 0..528 {
        let (mut m, mut w) = (machine(bytes), World::default());
        feed(&mut m, &mut w, Event::LinkClosed);
        m.doing(&Effect::CloseEpoch);
        match Recording::new(&m.deck().bytes()) {
            Ok(recording) => assert_eq!(recording.halves().count(), 0),
            Err(why) => assert!(bytes < 16, "{bytes}: {why:?}"),
        }
    }
}

#[test]
fn the_bytes_are_those_of_version_2() {
    let state = DeviceState {
        role: Role::Primary,
        peer: Role::Secondary,
        conn: Conn::Connected,
        disk: Disk::UpToDate,
        pdsk: Disk::UpToDate,
        ..DeviceState::NEW
    };
    let hex = |bytes: Vec<u8>| {
        let digits: Vec<_> = bytes.iter().map(|b| std::format!("{b:02x}")).collect();
        digits.concat()
    };
    let golden = [
        (hex(bytes_of(&Event::State(300, state))), "05ac02a9a104"),
        (hex(bytes_of(&Event::ChangeReply(0, -10))), "080013"),
        (
            hex(bytes_of(&Event::DiskError {
                vnr: 1,
                kind: DiskErrorKind::Metadata,
            })),
            "140102",
        ),
        (hex(bytes_of(&Effect::Send(Send::Ping))), "000a"),
        (hex(bytes_of(&Effect::Requests(LogEvent::Thaw))), "0404"),
        (
            hex(bytes_of(&Answer::EqualSums(2, Some(128)))),
            "0602018001",
        ),
    ];
    for (bytes, golden) in golden {
        assert_eq!(bytes, golden);
    }
    let (mut m, mut w) = (machine(528), World::default());
    assert!(m.add_volume(0));
    feed(&mut m, &mut w, Event::LinkClosed);
    let bytes = m.deck().bytes();
    let used = usize::from(bytes[20]);
    let golden = [
        // "drbdtape", version 2, halves of 256 bytes.
        "64726264746170650200000000010000",
        // The first half: sequence 1, 59 bytes, no events before, time 0.
        "010000003b00000000000000000000000000000000000000",
        // Volume 0 was added; the state.
        "0601000100000000000000000000000001",
        "0082800300000000000000000000000000000000000000000000000000000000",
        // After 250 ms the link is closed, and what is done about it.
        "02fa010e",
        "040c00",
        "040403",
    ];
    assert_eq!(hex(bytes[..40 + used].to_vec()), golden.concat());
}
