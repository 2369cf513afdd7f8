// SPDX-License-Identifier: GPL-2.0
//! `/proc/drbd` against what the C driver of Linux 7.3.4 printed.
//!
//! `golden.txt` holds every text that was captured while a pair of nodes went through its life.
//! Each is read back into snapshots and must come out again byte by byte. Where a line shows only
//! what was computed (speeds, the time to the end), a snapshot must exist that gives exactly it.

extern crate std;

use super::*;
use std::{format, str::FromStr, string::String, vec::Vec};

const GOLDEN: &str = include_str!("golden.txt");
const HEADER: &str = "version: 8.4.11 (api:1/proto:86-101)\n";

fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let at = line
        .find(name)
        .unwrap_or_else(|| panic!("{name} in {line}"));
    let rest = &line[at + name.len()..];
    rest.split(' ').next().unwrap_or(rest)
}

fn number<T: FromStr>(line: &str, name: &str) -> T {
    let text = field(line, name);
    text.parse()
        .unwrap_or_else(|_| panic!("{name}{text} in {line}"))
}

fn pair<T>(line: &str, name: &str, parse: fn(&str) -> Option<T>) -> (T, T) {
    let (a, b) = field(line, name).split_once('/').expect("two words");
    (parse(a).expect("known"), parse(b).expect("known"))
}

fn ungroup(text: &str) -> u64 {
    text.replace(',', "").parse().expect("grouped number")
}

fn extents(line: &str) -> ExtentStats {
    let (used, capacity) = field(line, "used:").split_once('/').expect("two numbers");
    ExtentStats {
        used: used.parse().expect("number"),
        capacity: capacity.parse().expect("number"),
        hits: number(line, "hits:"),
        misses: number(line, "misses:"),
        starving: number(line, "starving:"),
        locked: number(line, "locked:"),
        changed: number(line, "changed:"),
    }
}

/// A stretch of at least `from` seconds with this speed and, if given, this time to the end.
fn span_for(speed: u64, left: u64, finish: Option<&str>, from: u64) -> Span {
    let per_second = speed / 4;
    for seconds in from..=600 {
        for bits in per_second * seconds..(per_second + 1) * seconds {
            let Some(finish) = finish else {
                return Span { seconds, bits };
            };
            let remaining = seconds * (left / (bits / 100 + 1)) / 100;
            let text = format!(
                "{}:{:02}:{:02}",
                remaining / 3600,
                remaining % 3600 / 60,
                remaining % 60
            );
            if text == finish {
                return Span { seconds, bits };
            }
        }
    }
    panic!("no stretch of time gives {speed} K/sec and {finish:?} with {left} bits left");
}

fn progress(lines: &[&str]) -> Progress {
    let amounts = lines[0].split(['(', ')', '/']).collect::<Vec<_>>();
    let [left, total]: [u64; 2] =
        [amounts[1], amounts[2]].map(|text| text.parse::<u64>().expect("KiB") / 4);
    let speeds: Vec<&str> = lines[1]
        .split([' ', '(', ')'])
        .filter(|w| !w.is_empty())
        .collect();
    let after = |word: &str| {
        let at = speeds.iter().position(|other| *other == word)?;
        speeds.get(at + 1).map(|text| ungroup(text))
    };
    let shown_mean = if lines[1].contains(" -- ") {
        after("--").expect("mean")
    } else {
        let at = speeds
            .iter()
            .position(|word| *word == "speed:")
            .expect("speed");
        ungroup(speeds[at + 2])
    };
    let recent = if lines[1].contains(" -- ") {
        let at = speeds.iter().position(|word| *word == "--").expect("bar");
        ungroup(speeds[at - 1])
    } else {
        0
    };
    let finish = field(lines[1], "finish: ");
    let from = if lines[1].ends_with(" (stalled)") {
        181
    } else {
        1
    };
    let rolling = span_for(after("speed:").expect("speed"), left, Some(finish), from);
    let active_seconds = (1..10_000)
        .find(|seconds| (total - left) / seconds * 4 == shown_mean)
        .unwrap_or_else(|| panic!("no duration gives a mean of {shown_mean}"));
    let position = lines.iter().find(|line| line.contains("sector pos:"));
    let position = position.map_or((0, 0), |line| {
        let (at, size) = field(line, "pos: ").split_once('/').expect("two numbers");
        (
            at.parse::<u64>().expect("sector") / 8,
            size.parse::<u64>().expect("sectors") / 8,
        )
    });
    Progress {
        total_bits: total,
        left_bits: left,
        rolling,
        recent: span_for(recent, left, None, 1),
        active_seconds,
        want_kib_s: after("want:").unwrap_or(0),
        position: Position {
            bit: position.0,
            device_bits: position.1,
            stop_sector: None,
        },
    }
}

/// Reads the lines of one minor back into a snapshot.
fn snapshot(lines: &[&str]) -> MinorStatus {
    let first = lines[0];
    let (minor, rest) = first.split_once(": ").expect("minor");
    let mut status = MinorStatus {
        minor: minor.trim().parse().expect("number"),
        state: DeviceState::NEW,
        protocol: None,
        al_suspended: false,
        sent_sectors: 0,
        received_sectors: 0,
        written_sectors: 0,
        read_sectors: 0,
        al_writes: 0,
        bm_writes: 0,
        local_count: 0,
        pending: 0,
        unacked: 0,
        application_pending: 0,
        epochs: 1,
        write_ordering: WriteOrdering::Flush,
        out_of_sync_bits: 0,
        progress: None,
        extents: None,
        al_blocked: 0,
    };
    if rest == "cs:Unconfigured" {
        return status;
    }
    let state = &mut status.state;
    state.conn = Conn::from_name(field(first, "cs:")).expect("known");
    (state.role, state.peer) = pair(first, "ro:", Role::from_name);
    (state.disk, state.pdsk) = pair(first, "ds:", Disk::from_name);
    let flags: Vec<char> = first[first.len() - 6..].chars().collect();
    state.susp = flags[0] == 's';
    state.aftr_isp = flags[1] == 'a';
    state.peer_isp = flags[2] == 'p';
    state.user_isp = flags[3] == 'u';
    status.al_suspended = flags[5] == 's';
    status.protocol = match &first[first.len() - 8..first.len() - 7] {
        "A" => Some(Protocol::A),
        "B" => Some(Protocol::B),
        "C" => Some(Protocol::C),
        _ => None,
    };
    let counters = lines[1];
    status.sent_sectors = 2 * number::<u64>(counters, "ns:") + 1;
    status.received_sectors = 2 * number::<u64>(counters, "nr:");
    status.written_sectors = 2 * number::<u64>(counters, "dw:");
    status.read_sectors = 2 * number::<u64>(counters, "dr:");
    status.al_writes = number(counters, "al:");
    status.bm_writes = number(counters, "bm:");
    status.local_count = number(counters, "lo:");
    status.pending = number(counters, "pe:");
    status.unacked = number(counters, "ua:");
    status.application_pending = number(counters, "ap:");
    status.epochs = number(counters, "ep:");
    status.out_of_sync_bits = number::<u64>(counters, "oos:") / 4;
    if lines.get(2).is_some_and(|line| line.starts_with("\t[")) {
        status.progress = Some(progress(&lines[2..]));
    }
    let stats = |name: &str| {
        lines
            .iter()
            .find(|line| line.starts_with(name))
            .map(|l| extents(l))
    };
    status.extents = stats("\tresync:").zip(stats("\tact_log:"));
    status
}

fn print(status: &MinorStatus, details: u32) -> String {
    let mut text = String::new();
    Listing {
        expected: status.minor,
    }
    .write(&mut text, status, details)
    .expect("string");
    text
}

#[test]
fn golden_texts() {
    let mut count = 0;
    for text in GOLDEN.split("== ").skip(1) {
        let (_, text) = text.split_once('\n').expect("number of the text");
        let body = text.strip_prefix(HEADER).expect("first line as ours");
        let (source, body) = body.split_once('\n').expect("second line");
        assert!(source.starts_with("srcversion: "));
        let mut written = String::new();
        let mut listing = Listing::new();
        let lines: Vec<&str> = body.lines().filter(|line| !line.is_empty()).collect();
        let starts: Vec<usize> = (0..lines.len())
            .filter(|at| lines[*at].contains(": cs:"))
            .chain([lines.len()])
            .collect();
        let details = if body.contains("blocked on") {
            2
        } else {
            u32::from(body.contains("act_log:"))
        };
        for range in starts.windows(2) {
            let status = snapshot(&lines[range[0]..range[1]]);
            listing
                .write(&mut written, &status, details)
                .expect("string");
        }
        assert_eq!(written, body);
        count += 1;
    }
    assert!(count > 90, "all captures are there");
}

#[test]
fn header() {
    let mut text = String::new();
    let tag = BuildTag {
        git_hash: "0123456789abcdef0123456789abcdef01234567",
        package: "0.1.0",
    };
    write_header(&mut text, &tag).expect("string");
    let rest = text.strip_prefix(HEADER).expect("tools read this line");
    assert_eq!(
        rest,
        "GIT-hash: 0123456789abcdef0123456789abcdef01234567 build by drbd-rs 0.1.0\n"
    );
}

/// A gap in the minors, and a first minor above 0, get an empty line.
#[test]
fn gaps() {
    let mut status = snapshot(&[" 0: cs:Unconfigured"]);
    let mut text = String::new();
    let mut listing = Listing::new();
    for minor in [0, 1, 3, 4, 100] {
        status.minor = minor;
        listing.write(&mut text, &status, 0).expect("string");
    }
    let expected = " 0: cs:Unconfigured\n 1: cs:Unconfigured\n\n 3: cs:Unconfigured\n \
        4: cs:Unconfigured\n\n100: cs:Unconfigured\n";
    assert_eq!(text, expected);
}

fn syncing(conn: Conn, total_bits: u64, left_bits: u64) -> MinorStatus {
    let mut status = snapshot(&[" 1: cs:Unconfigured"]);
    status.state.conn = conn;
    status.progress = Some(Progress {
        total_bits,
        left_bits,
        rolling: Span {
            seconds: 18,
            bits: 46_080,
        },
        recent: Span {
            seconds: 3,
            bits: 300,
        },
        active_seconds: 50,
        want_kib_s: 102_400,
        position: Position {
            bit: 10,
            device_bits: 1000,
            stop_sector: Some(77),
        },
    });
    status
}

/// The worked examples of docs/interface.md.
#[test]
fn examples() {
    let text = print(&syncing(Conn::SyncTarget, 262_144, 131_072), 0);
    let expected = "\t[=========>..........] sync'ed: 50.2% (524288/1048576)K\n\
        \tfinish: 0:00:51 speed: 10,240 (10,484) want: 102,400 K/sec\n";
    assert!(text.ends_with(expected), "{text}");
    let text = print(&syncing(Conn::VerifyS, 262_144, 262_144), 0);
    assert!(text.contains("\t[>....................] verified:  0.4% (1048576/1048576)K\n"));
}

#[test]
fn progress_at_the_edges() {
    let line = |total, left| {
        let text = print(&syncing(Conn::SyncSource, total, left), 0);
        String::from(text.lines().nth(2).expect("bar"))
    };
    assert_eq!(line(0, 0), "\t[===================>] sync'ed:100.0% (0/0)K");
    assert_eq!(line(0, 5), "\t[===================>] sync'ed:100.0% (0/0)K");
    assert_eq!(
        line(100, 200),
        "\t[>....................] sync'ed:  0.0% (400/400)K"
    );
    assert_eq!(
        line(1 << 20, 0),
        "\t[===================>] sync'ed:100.0% (0/4194304)K"
    );
    // Above 4 GiB in MiB.
    let big = (1 << 20) + 1024;
    assert_eq!(
        line(big, big),
        "\t[>....................] sync'ed:  0.1% (4100/4100)M"
    );
    // Far above what 8.4 can have: nothing overflows.
    let _ = line(u64::MAX, u64::MAX - 1);
}

/// Paused: no progress lines. Verify with details: the stop sector.
#[test]
fn lines_by_state() {
    for conn in Conn::ALL {
        let shown = print(&syncing(*conn, 1000, 10), 0).lines().count() > 2;
        let expected = matches!(
            conn,
            Conn::SyncSource | Conn::SyncTarget | Conn::VerifyS | Conn::VerifyT
        );
        assert_eq!(shown, expected, "{conn}");
    }
    let text = print(&syncing(Conn::VerifyT, 1000, 10), 1);
    assert!(text.contains(" (400 -- 76) K/sec\n\t  0% sector pos: 80/8000 stop sector: 77\n"));
    let text = print(&syncing(Conn::SyncTarget, 1000, 10), 1);
    assert!(text.contains("sector pos: 80/8000\n"));
}

#[test]
fn stalled() {
    let mut status = syncing(Conn::SyncSource, 1000, 10);
    if let Some(progress) = &mut status.progress {
        progress.rolling.seconds = 181;
    }
    assert!(print(&status, 0).contains(" K/sec (stalled)\n"));
}

/// Marks: full speed over the last 18 s, and a stall that ages.
#[test]
fn marks_roll() {
    let mut marks = Marks::new(0, 10_000);
    let mut left = 10_000;
    for second in 1..=60 {
        left -= 10;
        marks.advance(second * 1000, left);
    }
    let rolling = marks.rolling(60_000, left);
    assert_eq!((rolling.seconds, rolling.bits), (18, 180));
    let recent = marks.recent(60_000, left);
    assert_eq!((recent.seconds, recent.bits), (3, 30));
    for second in 61..=300 {
        marks.advance(second * 1000, left);
    }
    assert_eq!(marks.rolling(300_000, left).seconds, 258);
    marks.skip_pause(240_000);
    assert_eq!(marks.rolling(300_000, left).seconds, 18);
}
