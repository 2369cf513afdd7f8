// SPDX-License-Identifier: GPL-2.0
//! `drbdmeta`: the command that reads and writes metadata on disk.
//!
//! Commands, texts and exit codes are those of the stock tool for version 08; docs/metadata.md
//! tells the format, docs/differences.md what is better here. [`main`] is the program;
//! [`run`] is the same for callers inside the process that want to see what it prints.

mod area;
pub mod cli;
pub mod console;
pub mod environment;
pub mod error;
pub mod manual;

mod apply;
mod bitmap_io;
mod buffer;
mod create;
mod device;
mod dump;
mod existing;
mod gi;
mod pretty;
mod resize;
mod restore;
mod superblock;
mod text;
mod v07;

use std::ffi::OsString;
use std::process::ExitCode;

use drbd_core::meta::{AlLayout, AlLayoutError};

use self::area::Area;
use self::bitmap_io::InitMode;
use self::cli::{parse_size, Format, Invocation, Options, Unit, Verb};
use self::console::Console;
use self::create::CreateOptions;
use self::environment::Environment;
use self::error::{MetaError, Result};

/// Blocks of the largest activity log that drbdmeta makes: 32 MiB.
const AL_BLOCKS_MAX: u32 = 8192;
/// The largest request of a peer, in bytes.
const PEER_MAX_BIO_SIZE_MAX: u64 = 1 << 20;

/// Runs `drbdmeta` with the words after its name and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let code = Console::with_process(|console| run(args, &Environment::default(), console));
    ExitCode::from(code)
}

/// Runs one command on the given streams and returns its exit code.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    console: &mut Console<'_>,
) -> u8 {
    let outcome = Invocation::parse(args)
        .and_then(|invocation| execute(&invocation, environment, console))
        .and_then(|()| Ok(console.finish()?));
    let Err(error) = outcome else { return 0 };
    if let MetaError::Usage(_) = error {
        // Nothing is left to do if even this can't be written.
        let _ = write!(console.out, "{}", cli::USAGE);
    }
    let text = error.to_string();
    if !text.is_empty() {
        let _ = writeln!(console.err, "{text}");
    }
    let _ = console.finish();
    error.exit_code()
}

fn execute(
    invocation: &Invocation,
    environment: &Environment,
    console: &mut Console<'_>,
) -> Result<()> {
    let options = &invocation.options;
    console.quiet = options.quiet;
    console.verbose = options.verbose;
    console.force = options.force || invocation.verb == Verb::DumpSuperblock;
    let create = check_options(invocation, console)?;
    if matches!(invocation.verb, Verb::SetGi | Verb::WriteDevUuid) {
        invocation.argument()?;
    }
    if invocation.surplus {
        writeln!(console.err, "Ignoring additional arguments")?;
    }
    if invocation.verb == Verb::VerifyDump {
        return restore::verify_dump(invocation, console);
    }
    let moved_state;
    let environment = match &options.var_lib_drbd {
        Some(dir) => {
            moved_state = Environment {
                lock_dir: environment.lock_dir.clone(),
                state_dir: dir.clone(),
                attached: environment.attached,
                plain_files: environment.plain_files,
            };
            &moved_state
        }
        None => environment,
    };
    let mut area = Area::open(invocation, environment, console)?;
    if invocation.format == Format::V07 {
        return v07::execute(&area, invocation, console);
    }
    match invocation.verb {
        Verb::GetGi => gi::get_gi(&area, console),
        Verb::ShowGi => gi::show_gi(&area, console),
        Verb::SetGi => gi::set_gi(&mut area, invocation.argument()?, console),
        Verb::DumpMd => dump::dump_md(&area, invocation, console),
        Verb::RestoreMd => restore::restore_md(&mut area, invocation, &create, console),
        Verb::VerifyDump => Ok(()),
        Verb::DumpSuperblock => superblock::dump_superblock(&area, invocation, console),
        Verb::ApplyAl => apply::apply_al(&mut area, console),
        Verb::WipeMd => create::wipe_md(&mut area, console),
        Verb::Outdate => gi::outdate(&mut area, console),
        Verb::Invalidate => gi::invalidate(&mut area, console),
        Verb::Dstate => gi::dstate(&area, console),
        Verb::ReadDevUuid => gi::read_dev_uuid(&area, console),
        Verb::WriteDevUuid => gi::write_dev_uuid(&mut area, invocation.argument()?, console),
        Verb::CheckResize => resize::check_resize(&mut area, create.init, console),
        Verb::CreateMd => create::create_md(&mut area, &create, console),
    }
}

/// Checks the options that belong to some commands only.
fn check_options(invocation: &Invocation, console: &mut Console<'_>) -> Result<CreateOptions> {
    let (options, verb) = (&invocation.options, invocation.verb);
    let refuse = |text: &str| Err(MetaError::BadOption(text.to_owned()));
    let mut create = CreateOptions {
        ignore_sanity_checks: options.ignore_sanity_checks,
        ..CreateOptions::default()
    };
    if let Some(mode) = &options.initialize_bitmap {
        create.init = InitMode::parse(mode)?;
    }
    if let Some(size) = &options.peer_max_bio_size {
        let size = parse_size(size, Unit::One)?;
        if size > PEER_MAX_BIO_SIZE_MAX {
            return refuse("peer-max-bio-size out of range (0...1M)");
        }
        if verb != Verb::CreateMd {
            return refuse("The --peer-max-bio-size option is only allowed with create-md");
        }
        create.peer_max_bio_size = u32::try_from(size).unwrap_or(0);
    }
    if let Some(size) = &options.effective_size {
        let size = parse_size(size, Unit::Sector)?;
        if verb != Verb::CreateMd {
            return refuse("The --effective-size option is only allowed with create-md");
        }
        create.effective_size = size;
    }
    if let Some(node_id) = &options.node_id {
        let node_id = parse_size(node_id, Unit::One)?;
        if node_id > 31 {
            return refuse("node-id out of range (0...31)");
        }
        if !matches!(verb, Verb::GetGi | Verb::ShowGi | Verb::SetGi) {
            let word = &invocation.verb_word;
            return refuse(&format!(
                "The {word} command does not accept the --node-id option"
            ));
        }
        if node_id != 0 {
            writeln!(console.err, "Not v09, implicitly set --node-id = 0")?;
        }
    }
    create.al = al_option(options)?;
    if create.al.is_some() && !matches!(verb, Verb::CreateMd | Verb::RestoreMd) {
        return refuse("The --al-stripe* options are only allowed with create-md and restore-md");
    }
    Ok(create)
}

/// The shape of the activity log, if an option speaks about it.
fn al_option(options: &Options) -> Result<Option<AlLayout>> {
    if options.al_stripes.is_none() && options.al_stripe_size_kb.is_none() {
        return Ok(None);
    }
    let number = |text: &Option<String>, default: u64, unit| {
        text.as_deref()
            .map_or(Ok(default), |text| parse_size(text, unit))
    };
    let stripes = number(&options.al_stripes, 1, Unit::One)?;
    let blocks = number(&options.al_stripe_size_kb, 32, Unit::Kib)? / 4;
    let invalid = |how: &str| {
        Err(MetaError::BadOption(format!(
            "invalid (too {how}) al-stripe* settings"
        )))
    };
    let (Ok(stripes), Ok(blocks)) = (u32::try_from(stripes), u32::try_from(blocks)) else {
        return invalid("large");
    };
    match AlLayout::new(stripes, blocks) {
        Ok(al) if al.blocks() <= AL_BLOCKS_MAX => Ok(Some(al)),
        Ok(_) | Err(AlLayoutError::TooBig) => invalid("large"),
        Err(AlLayoutError::TooSmall | AlLayoutError::HalfZero) => invalid("small"),
    }
}
