// SPDX-License-Identifier: GPL-2.0
//! drbdmeta says and writes what the stock tool says and writes.
//!
//! Each file in `fixtures/meta` is a transcript of stock drbdmeta on a block device. Lines that
//! start with `$` are commands, followed by standard output, by standard error with the mark
//! `stderr| `, and by the exit code. Lines with `>` prepare the device or show its blocks that are
//! not zero, with their checksums (raw CRC-32C); a line `# stock:` tells where the transcript was
//! corrected because stock is wrong there. Here the same commands run inside this process on a
//! plain file.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use drbd_core::meta::al::{emit, TransactionHead, Update};
use drbd_core::meta::crc32c::crc32c;
use drbdadm::meta::console::Console;
use drbdadm::meta::environment::Environment;
use drbdadm::meta::run;

/// Bytes of the log area; the transcripts change only logs of the default shape.
const LOG_BYTES: u64 = 32 << 10;

/// A device and its surroundings.
struct Lab {
    dir: PathBuf,
    environment: Environment,
}

impl Lab {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("meta-{name}"));
        std::fs::create_dir_all(&dir).unwrap();
        let environment = Environment {
            lock_dir: dir.clone(),
            state_dir: dir.clone(),
            attached: |_| false,
            plain_files: true,
        };
        Self { dir, environment }
    }

    fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    fn note(&self) -> PathBuf {
        self.dir.join("drbd-minor-30.lkbd")
    }

    fn open(&self) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.image())
            .unwrap()
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.open().write_all_at(bytes, offset).unwrap();
    }

    fn superblock(&self) -> u64 {
        (self.open().metadata().unwrap().len() & !4095) - 4096
    }

    /// Runs a command and returns its part of the transcript.
    fn command(&self, line: &str) -> String {
        let image = self.image().display().to_string();
        let dir = format!("{}/", self.dir.display());
        let args = line.split(' ').skip(2).map(|word| match word {
            "DEV" => image.clone(),
            "''" => String::new(),
            file if self.dir.join(file).is_file() => format!("{dir}{file}"),
            other => other.to_owned(),
        });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(
            args.map(Into::into),
            &self.environment,
            &mut Console::new(&mut out, &mut err, None),
        );
        let shown = |bytes: Vec<u8>, mark: &str| {
            let text = String::from_utf8(bytes).unwrap();
            let text = text.replace(&image, "DEV").replace(&dir, "");
            text.lines()
                .map(|line| format!("{mark}{}\n", masked(line)))
                .collect::<Vec<String>>()
                .concat()
        };
        format!(
            "{line}\n{}{}[exit {code}]\n",
            shown(out, ""),
            shown(err, "stderr| ")
        )
    }

    /// Carries out a line with `>`; returns what it shows.
    fn directive(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        match words[..] {
            ["image", size] => {
                let _ = std::fs::remove_file(self.note());
                let _ = std::fs::remove_file(self.image());
                File::create(self.image())
                    .unwrap()
                    .set_len(parse_size(size))
                    .unwrap();
            }
            ["grow", size] => self.open().set_len(parse_size(size)).unwrap(),
            ["patch", offset, bytes] => self.write(parse_number(offset), &patch_bytes(bytes)),
            ["super", ref fields @ ..] => fields.iter().for_each(|field| self.set_field(field)),
            ["log", ref blocks @ ..] => blocks.iter().for_each(|block| self.write_log(block)),
            ["old-log", ref sectors @ ..] => {
                sectors.iter().for_each(|sector| self.write_old_log(sector));
            }
            ["remember", text] => {
                let text = text.replace("\\t", "\t").replace("\\n", "\n");
                std::fs::write(self.note(), text).unwrap();
            }
            ["forget"] => std::fs::remove_file(self.note()).unwrap(),
            ["blocks"] => return format!("{line}\n{}", self.blocks()),
            _ => panic!("unknown directive {line:?}"),
        }
        format!("{line}\n")
    }

    fn set_field(&self, field: &str) {
        let (name, value) = field.split_once('=').unwrap();
        let value = parse_number(value);
        let base = self.superblock();
        if name == "la" {
            return self.write(base, &value.to_be_bytes());
        }
        let offset = match name {
            "flags" => 0x38,
            "magic" => 0x3c,
            "al-extents" => 0x48,
            "stripes" => 0x58,
            "stripe-size" => 0x5c,
            _ => panic!("unknown field {name}"),
        };
        self.write(base + offset, &u32::try_from(value).unwrap().to_be_bytes());
    }

    /// `BLOCK:NUMBER:SLOT=EXTENT,...` or `BLOCK:bad`.
    fn write_log(&self, text: &str) {
        let mut fields = text.split(':');
        let block = parse_number(fields.next().unwrap());
        let mut bytes = [7; 4096];
        let number = fields.next().unwrap();
        if number != "bad" {
            let number = number.parse().unwrap();
            let head = TransactionHead {
                number,
                slots: 1237,
                context_start: 0,
            };
            let updates = pairs(fields.next().unwrap()).map(|(slot, extent)| Update {
                slot: slot.try_into().unwrap(),
                extent,
            });
            emit(&mut bytes, head, updates, |_| None).unwrap();
        }
        self.write(self.superblock() - LOG_BYTES + block * 4096, &bytes);
    }

    /// `SECTOR:NUMBER:SLOT=EXTENT,...`
    fn write_old_log(&self, text: &str) {
        let mut fields = text.split(':');
        let sector = parse_number(fields.next().unwrap());
        let number = fields.next().unwrap().parse().unwrap();
        let mut entries: Vec<_> = pairs(fields.next().unwrap()).collect();
        entries.resize(62, (0xffff, u32::MAX));
        let xor = entries.iter().fold(0, |xor, (_, extent)| xor ^ extent);
        let mut words = vec![0x8374_0267_u32, number];
        words.extend(entries.iter().flat_map(|(slot, extent)| [*slot, *extent]));
        words.extend([xor, 0]);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.write(self.superblock() - LOG_BYTES + sector * 512, &bytes);
    }

    /// All blocks that are not zero, and what is remembered of the device.
    fn blocks(&self) -> String {
        let image = std::fs::read(self.image()).unwrap();
        let lines: Vec<String> = (0_u64..)
            .zip(image.chunks(4096))
            .filter(|(_, block)| block != &&[0; 4096][..block.len()])
            .map(|(nr, block)| format!("{:x} {:08x}\n", nr * 4096, crc32c(0, block)))
            .collect();
        let mut text = lines.concat();
        if let Ok(note) = std::fs::read_to_string(self.note()) {
            let note = note.replace(&self.image().display().to_string(), "DEV");
            text.extend(note.lines().map(|line| format!("lkbd {line}\n")));
        }
        text
    }
}

/// The parts of a dump's header that differ from run to run.
fn masked(line: &str) -> String {
    if line.starts_with("# 20") {
        return "# TIME".to_owned();
    }
    match line.split_once("> drbdmeta") {
        Some((host, rest)) if host.starts_with("# ") => format!("# HOST> drbdmeta{rest}"),
        _ => line.to_owned(),
    }
}

fn parse_number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

fn parse_size(text: &str) -> u64 {
    match text.split_at(text.len() - 1) {
        (number, "K") => parse_number(number) << 10,
        (number, "M") => parse_number(number) << 20,
        _ => parse_number(text),
    }
}

fn patch_bytes(text: &str) -> Vec<u8> {
    let Some(hex) = text.strip_prefix("0x") else {
        return text.as_bytes().to_vec();
    };
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn pairs(text: &str) -> impl Iterator<Item = (u32, u32)> + '_ {
    text.split(',').map(|pair| {
        let (slot, extent) = pair.split_once('=').unwrap();
        (slot.parse().unwrap(), extent.parse().unwrap())
    })
}

/// Runs one transcript and compares it, command by command.
fn replay(name: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/meta/{name}.txt"));
    let transcript = std::fs::read_to_string(path).unwrap();
    let lab = Lab::new(name);
    let mut lines = transcript.lines().peekable();
    let mut differences = String::new();
    let mut steps = 0;
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(file) = line.strip_prefix("> file ") {
            let mut text = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with("| ")) {
                text.push_str(&line[2..]);
                text.push('\n');
            }
            std::fs::write(lab.dir.join(file), text).unwrap();
            continue;
        }
        let mut expected = format!("{line}\n");
        let actual = if line.starts_with("$ ") {
            for line in lines.by_ref() {
                expected.push_str(line);
                expected.push('\n');
                if line.starts_with("[exit ") {
                    break;
                }
            }
            lab.command(line)
        } else {
            let shown = |line: &&str| !line.is_empty() && !line.starts_with(['$', '>', '#']);
            while let Some(line) = lines.next_if(shown) {
                expected.push_str(line);
                expected.push('\n');
            }
            lab.directive(line)
        };
        steps += 1;
        if actual != expected {
            differences.push_str(&format!("--- expected\n{expected}--- actual\n{actual}\n"));
        }
    }
    assert!(steps > 10, "{name}: only {steps} steps");
    assert!(differences.is_empty(), "{differences}");
}

macro_rules! transcripts {
    ($($name:ident: $file:literal,)*) => {
        $(#[test]
        fn $name() {
            replay($file);
        })*
    };
}

transcripts! {
    create_md_and_wipe_md: "create",
    external_metadata: "external",
    command_lines_without_sense: "usage",
    identifiers_flags_dump_and_restore: "gi",
    apply_al: "apply",
    devices_with_data: "data",
    devices_that_grew: "resize",
    metadata_of_version_07: "v07",
}
