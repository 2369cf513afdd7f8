// SPDX-License-Identifier: GPL-2.0
//! 100,000 damaged configurations, metadata images and metadata dumps, all within this process:
//! nothing panics, memory stays bounded, and every refusal says where or why.
//!
//! `DRBD_MUTATED` sets the number; a fault names its seed.

#[path = "differential/grammar.rs"]
mod grammar;
#[path = "differential/mutate.rs"]
mod mutate;
#[path = "differential/random.rs"]
mod random;

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use drbd_conf::bind::{Env, Node};
use drbd_conf::check::judge;
use drbd_conf::diag::Severity;
use drbd_conf::parse::{Parsed, Parser};
use drbd_conf::render::render;
use drbd_conf::source::Memory;
use drbd_conf::tree::Family;
use drbd_conf::{print, xml};
use drbdadm::meta::console::Console;
use drbdadm::meta::environment::Environment;
use drbdadm::meta::run;
use random::Random;

/// How much more memory than at its start a test may ever have had, in KiB.
const MORE_KIB: u64 = 256 << 10;

fn number() -> u64 {
    let set = std::env::var("DRBD_MUTATED");
    set.map_or(100_000, |text| text.parse().expect("a number"))
}

/// The most memory that this process has had so far, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel's account");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words.and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Calls `one` for each seed, on all processors; a panic fails with the seeds.
fn each(seeds: std::ops::Range<u64>, one: impl Fn(u64) + Sync) {
    let before = peak_kib();
    let next = AtomicU64::new(seeds.start);
    let failed = std::sync::Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    break;
                }
                if catch_unwind(AssertUnwindSafe(|| one(seed))).is_err() {
                    failed.lock().expect("no panic here").push(seed);
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic here");
    assert!(failed.is_empty(), "seeds {failed:?}");
    let more = peak_kib().saturating_sub(before);
    assert!(more < MORE_KIB, "{more} KiB more than at the start");
}

struct Alice;

impl Node for Alice {
    fn name(&self) -> &str {
        "alice"
    }

    fn has_address(&self, _: Family, address: &str) -> bool {
        address.ends_with(".1")
    }
}

/// Two more files, so that `include` has something to find, also itself.
fn files(text: &[u8]) -> Memory {
    Memory::new("/etc/t.conf", text)
        .with(
            "/etc/more.res",
            &b"include \"*.conf\"; resource more { }\n"[..],
        )
        .with(
            "/etc/again.conf",
            &b"include t.conf; include again.conf;\n"[..],
        )
}

/// All that drbdadm does with a configuration before it plans.
fn whole_way(text: &[u8]) -> Parsed {
    let source = files(text);
    let mut parser = Parser::new(&source, &|_| None);
    parser
        .file("t.conf", Path::new("/etc/t.conf"))
        .expect("the file is in memory");
    let mut parsed = parser.finish("/etc/t.conf");
    // After an error the program stops, but the library's other users may not.
    let env = Env {
        node: &Alice,
        peer: None,
        by_proxy: false,
        interactive: text.len() % 2 == 0,
    };
    judge(&mut parsed, &env);
    parsed
}

/// Damage below the level of tokens.
fn damage_bytes(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => {
                let part: Vec<u8> = bytes.iter().skip(at).take(40).copied().collect();
                bytes.splice(at..at, part);
            }
            4 => {
                bytes.splice(at..at, [0xff, 0, b'"', b'\\', b'\n']);
            }
            5 => {
                // Deep, long, or both.
                let sign = *b"{}\"[;:9a".get(random.below(8)).unwrap_or(&b'{');
                let count = 1 << random.below(14);
                bytes.splice(at..at, std::iter::repeat_n(sign, count));
            }
            _ => {
                let word: &str = random.of(&[
                    "include \"*\";",
                    "include more.res;",
                    "skip {",
                    "resource r0 {",
                    "on alice { address 10.0.0.1:1; }",
                    "99999999",
                    "18446744073709551616",
                    "volume 4294967296 { }",
                    "discard-node-",
                    "resync-after",
                ]);
                bytes.splice(at..at, word.bytes());
            }
        }
    }
}

#[test]
fn damaged_configurations_are_told_with_their_place() {
    let refused = AtomicUsize::new(0);
    let count = number() * 6 / 10;
    each(0..count, |seed| {
        let mut random = Random::new(seed ^ 0xc0f1);
        let case = grammar::case(seed);
        // What runs is a configuration of its own kind, and is parsed by the same parser.
        let mut text = if random.chance(10) && !case.show.is_empty() {
            case.show
        } else {
            case.text
        };
        if random.chance(60) {
            text = mutate::damage(&mut random, &text);
        }
        let mut bytes = text.into_bytes();
        if random.chance(70) {
            damage_bytes(&mut random, &mut bytes);
        }
        let parsed = whole_way(&bytes);
        for (at, diagnostic) in parsed.diagnostics.iter().enumerate() {
            let span = diagnostic.span.expect("a finding has a place");
            let file = parsed.sources.get(span.file).expect("its file");
            assert!(span.start <= span.end && span.end <= file.text.len());
            assert!(!diagnostic.message.is_empty());
            // The program shows no more than some; one is as good as another here.
            if at >= 5 {
                continue;
            }
            let place = parsed.sources.place(span);
            let shown = render(&parsed.sources, diagnostic, false);
            assert!(shown.contains(&place), "{place} is not in {shown}");
        }
        let errors = parsed
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        assert_eq!(errors, parsed.exit_code() != 0);
        if errors {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        let context = print::Context {
            node: "alice",
            sources: &parsed.sources,
            verbose: true,
        };
        let printed = print::config(&parsed.config, &context);
        let marked = xml::config(&parsed.config, &context);
        // What is printed is in proportion to what was read.
        let read = bytes.len() + 1000;
        assert!(printed.len() < read * 400 && marked.len() < read * 400);
    });
    let refused = refused.into_inner();
    println!("{refused} of {count} configurations refused");
    let count = usize::try_from(count).expect("not that many");
    assert!(refused > count / 2 && refused < count);
}

/// A device with its metadata in a plain file, and a text dump beside it.
struct Disk {
    folder: tempfile::TempDir,
    environment: Environment,
}

/// Size of the images in bytes: internal metadata of a small disk.
const IMAGE_BYTES: u64 = 512 << 10;
/// What the metadata takes at the end of it: superblock, log of 32 KiB, bitmap of 4 KiB.
const META_BYTES: u64 = (4 + 32 + 4) << 10;

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = Environment {
            lock_dir: folder.path().to_owned(),
            state_dir: folder.path().to_owned(),
            attached: |_| false,
            plain_files: true,
        };
        let disk = Self {
            folder,
            environment,
        };
        let file = File::create(disk.image()).expect("an image");
        file.set_len(IMAGE_BYTES).expect("its size");
        disk
    }

    fn image(&self) -> std::path::PathBuf {
        self.folder.path().join("image")
    }

    /// Runs a command: exit code, standard output, standard error.
    fn run(&self, command: &[&str]) -> (u8, String, String) {
        let image = self.image();
        let image = image.to_str().expect("a plain name");
        let head = ["--force", "5", "v08", image, "internal"];
        let words = head.iter().chain(command).map(|&word| word.into());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(
            words,
            &self.environment,
            &mut Console::new(&mut out, &mut err, None),
        );
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (code, text(out), text(err))
    }
}

/// Exit codes that docs/metadata.md and the manual page know.
const CODES: [u8; 7] = [0, 1, 5, 10, 20, 30, 40];

/// An image with an activity log and bitmap that have something in them.
fn good_image() -> Vec<u8> {
    let disk = Disk::new();
    let (code, _, err) = disk.run(&["create-md"]);
    assert_eq!(code, 0, "{err}");
    let (code, dump, err) = disk.run(&["dump-md"]);
    assert_eq!(code, 0, "{err}");
    // A primary that crashed, with bits of its own.
    let changed = dump.replace("flags 0x00000000;", "flags 0x00000046;");
    let path = disk.folder.path().join("dump");
    fs::write(&path, changed).expect("a dump");
    let path = path.to_str().expect("a plain name");
    let (code, _, err) = disk.run(&["restore-md", path]);
    assert_eq!(code, 0, "{err}");
    let mut bytes = Vec::new();
    let mut file = File::open(disk.image()).expect("the image");
    file.read_to_end(&mut bytes).expect("its content");
    bytes
}

#[test]
fn damaged_metadata_images_are_survived() {
    let good = good_image();
    let start = IMAGE_BYTES - META_BYTES;
    let readable = AtomicUsize::new(0);
    let count = number() * 2 / 10;
    thread_local! {
        static DISK: Disk = Disk::new();
    }
    each(0..count, |seed| {
        let mut random = Random::new(seed ^ 0x3e7a);
        let mut meta = good[usize::try_from(start).expect("small")..].to_vec();
        let superblock = meta.len() - 4096;
        for _ in 0..=random.below(4) {
            // Mostly the superblock's fields, where most of the decisions are made.
            let at = match random.below(10) {
                0..7 => superblock + random.below(128),
                _ => random.below(meta.len()),
            };
            match random.below(5) {
                0 => meta[at] ^= 1 << random.below(8),
                1 => meta[at] = 0,
                2 => meta[at] = 0xff,
                3 => meta[at] = u8::try_from(random.below(256)).expect("a byte"),
                _ => {
                    let noise = random.next().to_be_bytes();
                    let end = (at + 8).min(meta.len());
                    meta[at..end].copy_from_slice(&noise[..end - at]);
                }
            }
        }
        DISK.with(|disk| {
            let file = OpenOptions::new().write(true).open(disk.image());
            let file = file.expect("the image");
            file.write_all_at(&meta, start).expect("the damage");
            let command = random.of(&[
                "show-gi",
                "get-gi",
                "dstate",
                "dump-superblock",
                "read-dev-uuid",
                "apply-al",
                "outdate",
                "invalidate",
                "check-resize",
                "wipe-md",
                "create-md",
            ]);
            for command in ["dump-md", command] {
                let (code, out, err) = disk.run(&[command]);
                assert!(CODES.contains(&code), "{command}: {code}");
                // Without valid metadata some commands say nothing, as stock's; scripts rely on 1.
                let silent = err.is_empty() && out.is_empty();
                assert!(matches!(code, 0 | 1) || !silent, "{command}: {code}");
                assert!(out.len() < 1 << 20, "{command} prints {} bytes", out.len());
                if command == "dump-md" && code == 0 {
                    readable.fetch_add(1, Ordering::Relaxed);
                }
            }
            let length = file.metadata().expect("its size").len();
            assert_eq!(length, IMAGE_BYTES, "{command}");
        });
    });
    let readable = readable.into_inner();
    println!("{readable} of {count} images still readable");
    assert!(readable > 0 && u64::try_from(readable).is_ok_and(|readable| readable < count));
}

#[test]
fn damaged_metadata_dumps_are_told_with_their_line() {
    let disk = Disk::new();
    fs::write(disk.image(), good_image()).expect("an image");
    let (code, dump, err) = disk.run(&["dump-md"]);
    assert_eq!(code, 0, "{err}");
    let refused = AtomicUsize::new(0);
    let count = number() * 2 / 10;
    thread_local! {
        static DISK: Disk = Disk::new();
    }
    each(0..count, |seed| {
        let mut random = Random::new(seed ^ 0xd0b5);
        let mut bytes = dump.clone().into_bytes();
        damage_bytes(&mut random, &mut bytes);
        if bytes == dump.as_bytes() {
            return;
        }
        DISK.with(|disk| {
            let path = disk.folder.path().join("dump");
            fs::write(&path, &bytes).expect("a dump");
            let path = path.to_str().expect("a plain name");
            for command in ["verify-dump", "restore-md"] {
                let (code, _, err) = disk.run(&[command, path]);
                assert!(CODES.contains(&code), "{command}: {code}");
                assert!(code == 0 || !err.is_empty(), "{command}");
                if code == 10 && err.to_lowercase().contains("parse error") {
                    assert!(err.contains("line "), "{err}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    });
    let refused = refused.into_inner();
    println!("{refused} parse errors in two runs of {count} dumps");
    assert!(refused > 0);
}
