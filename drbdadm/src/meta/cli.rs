// SPDX-License-Identifier: GPL-2.0
//! The command line: options anywhere, then DEVICE FORMAT META-DEV INDEX COMMAND ARGS.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser};
use drbd_core::meta::MdIndex;

use super::error::{MetaError, Result};

/// Manage the metadata of DRBD on disk.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "drbdmeta",
    infer_long_args = true,
    args_override_self = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct Options {
    /// Answer yes to every question; accept plain files; dump unclean metadata.
    #[arg(short, long)]
    pub force: bool,
    /// With --force: only count the questions.
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more; may be repeated.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Create metadata although a known signature was found.
    #[arg(long)]
    pub ignore_sanity_checks: bool,
    /// Write nothing.
    #[arg(long, alias = "tentative")]
    pub dry_run: bool,
    /// create-md: the peer's largest request in bytes, 0..1M.
    #[arg(short, long, value_name = "VAL")]
    pub peer_max_bio_size: Option<String>,
    /// create-md, restore-md: stripes of the activity log.
    #[arg(short = 's', long, value_name = "VAL")]
    pub al_stripes: Option<String>,
    /// create-md, restore-md: size of one stripe, in KiB by default.
    #[arg(short = 'z', long = "al-stripe-size-kB", value_name = "VAL")]
    pub al_stripe_size_kb: Option<String>,
    /// create-md: the agreed size to store, in sectors by default.
    #[arg(short = 'Z', long, value_name = "VAL")]
    pub effective_size: Option<String>,
    /// How to initialize the bitmap: automatic, zeroout, pwrite, set-all or skip.
    #[arg(short = 'b', long, value_name = "MODE")]
    pub initialize_bitmap: Option<String>,
    /// dump-superblock: auto, hex or bin.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output_format: Option<String>,
    /// Accepted for get-gi, show-gi and set-gi; always 0 for v08.
    #[arg(short = 'i', long, value_name = "VAL")]
    pub node_id: Option<String>,
    /// The directory that keeps the last known size of backing devices.
    #[arg(long, value_name = "DIR")]
    pub var_lib_drbd: Option<PathBuf>,
    /// `DEVICE FORMAT META-DEV INDEX COMMAND [ARGS]`
    #[arg(value_name = "WORD")]
    pub words: Vec<OsString>,
}

/// The `clap` description, for completions and the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Options::command()
}

/// What drbdmeta can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the commands")]
pub enum Verb {
    GetGi,
    ShowGi,
    SetGi,
    DumpMd,
    RestoreMd,
    VerifyDump,
    DumpSuperblock,
    ApplyAl,
    WipeMd,
    Outdate,
    Invalidate,
    Dstate,
    ReadDevUuid,
    WriteDevUuid,
    CheckResize,
    CreateMd,
}

impl Verb {
    pub(super) const ALL: [(&'static str, Self); 17] = [
        ("get-gi", Self::GetGi),
        ("show-gi", Self::ShowGi),
        ("set-gi", Self::SetGi),
        ("dump-md", Self::DumpMd),
        ("restore-md", Self::RestoreMd),
        ("verify-dump", Self::VerifyDump),
        ("dump-superblock", Self::DumpSuperblock),
        ("hexdump-superblock", Self::DumpSuperblock),
        ("apply-al", Self::ApplyAl),
        ("wipe-md", Self::WipeMd),
        ("outdate", Self::Outdate),
        ("invalidate", Self::Invalidate),
        ("dstate", Self::Dstate),
        ("read-dev-uuid", Self::ReadDevUuid),
        ("write-dev-uuid", Self::WriteDevUuid),
        ("check-resize", Self::CheckResize),
        ("create-md", Self::CreateMd),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, verb)| *verb)
    }

    /// True if the command leaves the metadata as it is.
    #[must_use]
    pub const fn only_reads(self) -> bool {
        matches!(
            self,
            Self::GetGi
                | Self::ShowGi
                | Self::DumpMd
                | Self::VerifyDump
                | Self::DumpSuperblock
                | Self::Dstate
                | Self::ReadDevUuid
        )
    }

    /// How many words after the command it looks at.
    const fn arguments(self) -> usize {
        match self {
            Self::SetGi | Self::WriteDevUuid | Self::RestoreMd | Self::VerifyDump => 1,
            _ => 0,
        }
    }
}

/// The versions of metadata that can be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Of DRBD 0.7: read only.
    V07,
    /// Of DRBD 8.
    V08,
}

/// A command line that makes sense.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The options.
    pub options: Options,
    /// All words after the program's name, for the header of a dump.
    pub line: Vec<OsString>,
    /// The first word.
    pub device: OsString,
    /// The minor number, if the first word tells one.
    pub minor: Option<u32>,
    /// The version of the metadata.
    pub format: Format,
    /// The metadata device.
    pub md_path: PathBuf,
    /// Where on it.
    pub index: MdIndex,
    /// What to do.
    pub verb: Verb,
    /// The command as it was written.
    pub verb_word: String,
    /// The words after the command.
    pub arguments: Vec<OsString>,
    /// There are more words than the command looks at.
    pub surplus: bool,
}

impl Invocation {
    /// Takes the words after the program's name apart.
    ///
    /// # Errors
    ///
    /// What stock drbdmeta says, with the same exit codes.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let line: Vec<OsString> = args.into_iter().collect();
        if line
            .iter()
            .any(|word| word == "--help" || word == "--version")
        {
            return Err(MetaError::Usage(None));
        }
        let with_name = std::iter::once(OsString::from("drbdmeta")).chain(line.iter().cloned());
        let options = Options::try_parse_from(with_name).map_err(|error| usage(&error))?;
        let [device, format, rest @ ..] = &options.words[..] else {
            return Err(MetaError::Usage(None));
        };
        if rest.is_empty() {
            return Err(MetaError::Usage(None));
        }
        let version = match format.to_str() {
            Some("v08") => Format::V08,
            Some("v07") => Format::V07,
            Some("v06") => return Err(MetaError::Unsupported("v06")),
            Some("v09") => return Err(MetaError::Unsupported("v09")),
            _ => {
                let format = format.to_string_lossy();
                return Err(MetaError::Word(format!("Unknown format '{format}'.")));
            }
        };
        let [md_path, index, rest @ ..] = rest else {
            return Err(MetaError::Word("Too few arguments for format".to_owned()));
        };
        let index = parse_index(index)?;
        let [verb, arguments @ ..] = rest else {
            return Err(MetaError::Word("command missing".to_owned()));
        };
        let verb_word = verb.to_string_lossy().into_owned();
        let verb = Verb::parse(&verb_word)
            .ok_or_else(|| MetaError::Word(format!("Unknown command '{verb_word}'.")))?;
        let invocation = Self {
            minor: parse_minor(device),
            device: device.clone(),
            format: version,
            md_path: PathBuf::from(md_path),
            index,
            verb,
            verb_word,
            arguments: arguments.to_vec(),
            surplus: arguments.len() > verb.arguments(),
            line,
            options,
        };
        Ok(invocation)
    }

    /// The word after the command.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn argument(&self) -> Result<&OsStr> {
        let first = self.arguments.first().map(OsString::as_os_str);
        first.ok_or_else(|| MetaError::BadOption("Required Argument missing".to_owned()))
    }
}

/// 'internal' and the like, or a number up to 255.
fn parse_index(word: &OsStr) -> Result<MdIndex> {
    match word.to_str() {
        Some("internal" | "flex-internal") => Ok(MdIndex::FlexInternal),
        Some("flex-external") => Ok(MdIndex::FlexExternal),
        Some(number) if number.parse::<u8>().is_ok() => {
            Ok(number.parse().map_or(MdIndex::Fixed(0), MdIndex::Fixed))
        }
        _ => {
            let word = word.to_string_lossy();
            Err(MetaError::Word(format!(
                "'{word}' is not a valid index number."
            )))
        }
    }
}

/// A minor number, `/dev/drbdN`, or a block device of DRBD's major number.
fn parse_minor(word: &OsStr) -> Option<u32> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    let text = word.to_str()?;
    let number = text.strip_prefix("/dev/drbd").unwrap_or(text);
    if let Ok(minor) = number.parse::<u32>() {
        return Some(minor).filter(|minor| *minor < 1 << 20);
    }
    let node = std::fs::metadata(text).ok()?;
    let is_drbd = node.file_type().is_block_device()
        && nix::sys::stat::major(node.rdev()) == u64::from(DRBD_MAJOR);
    is_drbd
        .then(|| nix::sys::stat::minor(node.rdev()).try_into().ok())
        .flatten()
}

/// The major device number of DRBD.
pub(super) const DRBD_MAJOR: u32 = 147;

/// A number with an optional unit (s, k, m, g), in the unit `default`.
///
/// # Errors
///
/// It is no such number, or too large.
pub(super) fn parse_size(text: &str, default: Unit) -> Result<u64> {
    let bad = || MetaError::NotANumber(text.to_owned());
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let value: u64 = digits.parse().map_err(|_| bad())?;
    let scale = match &text[digits.len()..] {
        "" => default.bytes(),
        "s" | "S" => 512,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(bad()),
    };
    let bytes = value.checked_mul(scale);
    let bytes = bytes.ok_or_else(|| MetaError::Word(format!("{text}: out of range")))?;
    Ok(bytes / default.bytes())
}

/// The unit of a number without a letter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    One,
    Sector,
    Kib,
}

impl Unit {
    const fn bytes(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Sector => 512,
            Self::Kib => 1024,
        }
    }
}

/// What getopt would say about a bad option.
fn usage(error: &clap::Error) -> MetaError {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    // For an option of this program the name comes with a place for its value.
    let name = argument.split_whitespace().next().unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::UnknownArgument if name.starts_with("--") => {
            format!("unrecognized option '{name}'")
        }
        ErrorKind::UnknownArgument => {
            format!("invalid option -- '{}'", name.trim_start_matches('-'))
        }
        ErrorKind::InvalidValue => format!("option '{name}' requires an argument"),
        ErrorKind::TooManyValues => format!("option '{name}' doesn't allow an argument"),
        _ => "invalid options".to_owned(),
    };
    MetaError::Usage(Some(format!("drbdmeta: {what}")))
}

/// The usage text, as stock drbdmeta prints it.
pub(super) const USAGE: &str = "
USAGE: drbdmeta [--force] DEVICE FORMAT [FORMAT ARGS...] COMMAND [CMD ARGS...]

FORMATS:
  v06 minor
  v07 device index
  v08 device index
  v09 device index

COMMANDS:
  get-gi --node-id {val} 
  show-gi --node-id {val} 
  dump-md 
  restore-md file
  verify-dump file
  apply-al 
  wipe-md 
  outdate 
  invalidate 
  dstate 
  check-resize 
  create-md [--peer-max-bio-size {val}] [--al-stripes {val}] [--al-stripe-size-kB {val}] {max_peers}
  forget-peer --node-id {val} 
";

#[cfg(test)]
mod tests;
