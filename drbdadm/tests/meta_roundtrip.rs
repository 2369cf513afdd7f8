// SPDX-License-Identifier: GPL-2.0
//! drbdmeta beyond the transcripts: answers of a user, copies and moves that lose nothing.

use std::fs::{File, OpenOptions};
use std::io::BufRead;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use drbd_core::meta::{AlLayout, Layout, MdFlags, MdIndex, Superblock};
use drbdadm::meta::console::Console;
use drbdadm::meta::environment::Environment;
use drbdadm::meta::run;
use tempfile::TempDir;

/// What a command did.
#[derive(Debug)]
struct Outcome {
    code: u8,
    out: String,
    err: String,
}

/// A plain file as device, and directories of its own.
struct Lab {
    dir: TempDir,
    environment: Environment,
}

impl Lab {
    fn new(bytes: u64) -> Self {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let environment = Environment {
            lock_dir: dir.path().to_owned(),
            state_dir: dir.path().to_owned(),
            attached: |minor| minor == 99,
            plain_files: true,
        };
        let lab = Self { dir, environment };
        File::create(lab.image()).unwrap().set_len(bytes).unwrap();
        lab
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn file(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.image())
            .unwrap()
    }

    /// Runs `[options] command [arguments]` on internal metadata of a minor.
    fn on_minor(&self, minor: u32, line: &str, answer: Option<&str>) -> Outcome {
        let image = self.image().display().to_string();
        let minor = minor.to_string();
        let args = [&minor, "v08", &image, "internal"]
            .into_iter()
            .chain(line.split(' '));
        let mut answer = answer.map(str::as_bytes);
        let input = answer.as_mut().map(|bytes| bytes as &mut dyn BufRead);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(
            args.map(Into::into),
            &self.environment,
            &mut Console::new(&mut out, &mut err, input),
        );
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome {
            code,
            out: text(out),
            err: text(err),
        }
    }

    fn run(&self, line: &str) -> Outcome {
        self.on_minor(5, line, None)
    }

    /// The dump without its header and without the places.
    fn dump(&self) -> String {
        let outcome = self.run("dump-md");
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let (_, rest) = outcome.out.split_once("uuid {").unwrap();
        rest.to_owned()
    }

    fn superblock(&self) -> Superblock {
        let end = self.file().metadata().unwrap().len() & !4095;
        let mut block = [0; 4096];
        self.file().read_exact_at(&mut block, end - 4096).unwrap();
        Superblock::parse(&block).unwrap()
    }
}

const MIB: u64 = 1 << 20;

/// Words that exercise runs, for a bitmap of any size.
fn sample_dump(path: &Path, la_size_sect: u64, words: u64) {
    let mut bitmap = String::new();
    let mut left = words;
    let mut step = 0_u64;
    while left > 0 {
        let count = (step * 37 % 300 + 1).min(left);
        let word = [0, u64::MAX, 0x1_0000_0001, 0x8000_0000_0000_0001][(step % 4) as usize];
        bitmap.push_str(&format!("{count} times 0x{word:016X};\n"));
        left -= count;
        step += 1;
    }
    let text = format!(
        "version \"v08\"; uuid {{ 0x1111111111111111; 0x2222222222222222; 0x3333333333333333; \
         0x4444444444444444; flags 0x000000B7; }} la-size-sect {la_size_sect}; \
         bm-byte-per-bit 4096; device-uuid 0x5555555555555555; la-peer-max-bio-size 131072; \
         al-stripes 1; al-stripe-size-4k 8; bm {{ {bitmap} }}"
    );
    std::fs::write(path, text).unwrap();
}

/// A device with metadata from [`sample_dump`].
fn sample(bytes: u64) -> Lab {
    let lab = Lab::new(bytes);
    let layout = Layout::compute(MdIndex::Internal, bytes / 512, AlLayout::DEFAULT).unwrap();
    let usable = layout.usable_sectors(0);
    let text = lab.dir.path().join("text");
    sample_dump(&text, usable, usable.div_ceil(8).div_ceil(64));
    assert_eq!(lab.run("create-md").code, 0);
    let outcome = lab.run(&format!("-f restore-md {}", text.display()));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    lab
}

#[test]
fn a_dump_restores_to_the_same_dump() {
    // 3 GiB and a bit: the bitmap is not a whole number of blocks.
    for bytes in [64 * MIB, 3072 * MIB + 12_345 * 512] {
        let lab = sample(bytes);
        let first = lab.dump();
        let file = lab.dir.path().join("dump");
        std::fs::write(&file, lab.run("dump-md").out).unwrap();
        assert_eq!(lab.run("-f wipe-md").code, 0);
        assert_eq!(lab.run("dump-md").code, 1);
        assert_eq!(lab.run("create-md").code, 0);
        assert_ne!(lab.dump(), first);
        assert_eq!(
            lab.run(&format!("-f restore-md {}", file.display())).code,
            0
        );
        assert_eq!(lab.dump(), first);
        assert_eq!(lab.superblock().flags, MdFlags::from_bits(0xb7));
    }
}

#[test]
fn a_grown_device_keeps_its_metadata() {
    // One block more, so that old and new place overlap; an odd size; much more.
    for growth in [4096, 8 * 512, 136 * MIB + 7 * 512, 1000 * MIB] {
        let lab = sample(256 * MIB);
        let before = lab.dump();
        lab.file().set_len(256 * MIB + growth).unwrap();
        assert_eq!(lab.run("get-gi").code, 1);
        assert_eq!(lab.dump(), before, "from the old place");
        let outcome = lab.run("check-resize");
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_eq!(outcome.out, "Internal drbd meta data successfully moved.\n");
        assert_eq!(lab.dump(), before, "grown by {growth}");
        // Only one superblock is left.
        let mut image = vec![0; 4096];
        let end = 256 * MIB + growth - (growth % 4096);
        let found = (0..end / 4096)
            .filter(|block| {
                lab.file().read_exact_at(&mut image, block * 4096).unwrap();
                Superblock::parse(&image).is_ok()
            })
            .count();
        assert_eq!(found, 1, "grown by {growth}");
        assert_eq!(lab.run("check-resize").code, 0);
    }
}

#[test]
fn apply_al_moves_first() {
    let lab = sample(64 * MIB);
    lab.file().set_len(80 * MIB).unwrap();
    let outcome = lab.run("apply-al");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(lab.superblock().is_clean());
}

#[test]
fn an_answer_decides() {
    let lab = sample(64 * MIB);
    let before = lab.dump();
    for answer in [None, Some("no\n"), Some("y\n"), Some("")] {
        let outcome = lab.on_minor(5, "create-md", answer);
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (1, "Operation cancelled.\n")
        );
        assert_eq!(lab.on_minor(5, "wipe-md", answer).code, 1);
        assert_eq!(lab.on_minor(5, "set-gi 7", answer).code, 0);
        assert_eq!(lab.on_minor(5, "restore-md /dev/null", answer).code, 10);
        assert_eq!(lab.dump(), before);
    }
    assert_eq!(lab.on_minor(5, "set-gi 7", Some("yes\n")).code, 0);
    assert_eq!(lab.superblock().uuids[0], 7);
    assert_eq!(lab.on_minor(5, "create-md", Some("yes\n")).code, 0);
    assert_eq!(lab.superblock().uuids, [4, 0, 0, 0]);
    assert_eq!(lab.on_minor(5, "wipe-md", Some("yes\n")).code, 0);
    assert_eq!(lab.run("get-gi").code, 1);
}

#[test]
fn two_questions_need_two_answers() {
    let lab = sample(64 * MIB);
    lab.file().write_all_at(b"something", 8192).unwrap();
    let outcome = lab.on_minor(5, "create-md", Some("yes\nno\n"));
    assert_eq!(outcome.code, 1);
    assert!(outcome.out.contains("Found some data"), "{}", outcome.out);
    assert!(
        outcome.out.ends_with("Operation canceled.\n"),
        "{}",
        outcome.out
    );
    assert_ne!(lab.superblock().uuids[0], 4);
    assert_eq!(lab.on_minor(5, "create-md", Some("yes\nyes\n")).code, 0);
}

#[test]
fn quiet_force_only_counts() {
    let lab = sample(64 * MIB);
    let outcome = lab.run("-fq create-md");
    assert_eq!(outcome.code, 0);
    assert!(
        outcome
            .err
            .ends_with("1 question(s) confirmed via --force option\n"),
        "{outcome:?}"
    );
    assert!(!outcome.err.contains("Do you really"), "{outcome:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let lab = sample(64 * MIB);
    let before = std::fs::read(lab.image()).unwrap();
    for command in [
        "create-md",
        "wipe-md",
        "invalidate",
        "outdate",
        "set-gi 9",
        "apply-al",
    ] {
        assert_eq!(
            lab.run(&format!("-f --dry-run {command}")).code,
            0,
            "{command}"
        );
        assert!(
            std::fs::read(lab.image()).unwrap() == before,
            "{command} has written"
        );
    }
}

#[test]
fn an_attached_minor_is_only_read() {
    let lab = sample(64 * MIB);
    let before = lab.superblock();
    let image = lab.image();
    for command in [
        "create-md",
        "apply-al",
        "wipe-md",
        "outdate",
        "invalidate",
        "set-gi 1",
        "check-resize",
    ] {
        let outcome = lab.on_minor(99, &format!("-f {command}"), None);
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (20, "Device '99' is configured!\n")
        );
    }
    let outcome = lab.on_minor(99, "dstate", None);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "UpToDate\n"));
    assert_eq!(
        outcome.err,
        "# Output might be stale, since minor 99 is attached\n"
    );
    assert_eq!(lab.superblock(), before);
    drop(image);
}

#[test]
fn set_all_fills_the_bitmap() {
    let lab = Lab::new(64 * MIB);
    assert_eq!(lab.run("create-md -b set-all -Z 64M").code, 0);
    let superblock = lab.superblock();
    // The wish was larger than the device.
    assert_eq!(superblock.la_size_sect, 130_992);
    assert!(lab
        .dump()
        .contains("512 times 0xFFFFFFFFFFFFFFFF;\n}\n# bits-set 32768;"));
}

#[test]
fn a_dump_with_too_much_bitmap_is_cut() {
    let lab = Lab::new(64 * MIB);
    let text = lab.dir.path().join("text");
    sample_dump(&text, u64::from(u32::MAX), 600);
    let outcome = lab.run(&format!("restore-md {}", text.display()));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        outcome.out,
        "# la-size-sect was too big (4294967295), truncated (130992)!\n\
         Bitmap info too large, truncated!\nSuccessfully restored meta data\n"
    );
    // A run of absurd length costs nothing.
    let huge = std::fs::read_to_string(&text)
        .unwrap()
        .replace("1 times", "9999999999999 times");
    std::fs::write(&text, huge).unwrap();
    assert_eq!(
        lab.run(&format!("-f restore-md {}", text.display())).code,
        0
    );
}

#[test]
fn a_dump_may_come_from_standard_input() {
    let lab = sample(64 * MIB);
    let dump = lab.run("dump-md").out;
    let outcome = lab.on_minor(5, "verify-dump", Some(&dump));
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (0, "input file parsed ok\n")
    );
    let before = lab.dump();
    assert_eq!(lab.run("-f invalidate").code, 0);
    assert_ne!(lab.dump(), before);
    assert_eq!(lab.on_minor(5, "-f restore-md", Some(&dump)).code, 0);
    assert_eq!(lab.dump(), before);
}

#[test]
fn the_superblock_is_shown_as_it_is() {
    let lab = sample(64 * MIB);
    let outcome = lab.run("dump-superblock -o hex");
    let lines: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(
        lines[0],
        "03fff000  00 00 00 00 00 01 ff b0  11 11 11 11 11 11 11 11  |................|"
    );
    assert_eq!(
        lines.last(),
        Some(&"03fffff0  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|")
    );
    assert!(lines.contains(&"*"));
    assert_eq!(lab.run("dump-superblock -o json").code, 10);
}
