// SPDX-License-Identifier: GPL-2.0
//! Commands that change something: one request each.

use super::address;
use super::attributes::{settings, Encoded, Setting};
use super::client::{is_unknown_resource, Client, Target};
use super::command::{Argument, Object, Options};
use super::error::{errno_text, ClientError, SetupError, EXIT_LOCAL};
use super::{help, module, words, Call, Io};
use drbd_core::config::disk::{META_INDEX_FLEX_EXTERNAL, META_INDEX_FLEX_INTERNAL};
use drbd_core::config::DiskConf;
use drbd_core::genl::{Address, Nest, Op, SET_DEFAULTS};
use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::os::unix::fs::FileTypeExt;

/// Runs a command that sends one change.
pub(super) fn run(program: &str, op: Op, call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let mut settings = settings(&call.parsed)?;
    let minor = match call.command.object {
        Object::Minor => Some(call.minor()?),
        _ => None,
    };
    if call.command.object == Object::Resource && call.object.is_empty() {
        let text = "Resource name is empty.\n".to_owned();
        return Err(SetupError::Failed { text, exit: 1 });
    }
    let _lock = minor.map(module::lock_minor).transpose()?;
    let arguments = match read_arguments(call, &mut settings) {
        Ok(arguments) => arguments,
        Err(Stop::Missing(what)) => {
            writeln!(io.err, "{what}")?;
            io.out
                .write_all(help::usage(program, call.command).as_bytes())?;
            return Ok(EXIT_LOCAL);
        }
        Err(Stop::Failed(error)) => return Err(error),
    };
    let excess = call
        .arguments
        .get(call.command.arguments.len()..)
        .unwrap_or_default();
    if !excess.is_empty() {
        return super::excess(excess, io);
    }
    let target = match (minor, call.command.object) {
        (Some(minor), _) => Target::Minor(minor),
        (None, Object::Resource) => match arguments.addresses {
            Some((my_addr, peer_addr)) => {
                Target::NewConnection(call.object.clone(), my_addr, peer_addr)
            }
            None => Target::Resource(call.object.clone()),
        },
        (None, _) => match (arguments.addresses, arguments.new_minor) {
            (Some((my_addr, peer_addr)), _) => Target::Connection(my_addr, peer_addr),
            (None, Some((name, minor, volume))) => Target::NewMinor(name, minor, volume),
            (None, None) => Target::Resource(call.object.clone()),
        },
    };
    send(op, call, &target, &settings)?;
    forget(op, &target);
    Ok(0)
}

fn send(op: Op, call: &Call, target: &Target, settings: &[Setting]) -> Result<(), SetupError> {
    let flags = if call.parsed.has("set-defaults") {
        SET_DEFAULTS
    } else {
        0
    };
    let set = match call.command.options {
        Options::Set { set, .. } if !settings.is_empty() => Some(set),
        _ => None,
    };
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let body = |writer: &mut drbd_core::genl::Writer<'_>| -> Result<(), ClientError> {
        if let Some(set) = set {
            let nest = writer.nest_start(set.number, set.marked)?;
            for setting in settings {
                setting.put(writer)?;
            }
            writer.nest_end(nest)?;
        }
        Ok(())
    };
    client
        .change(op, target, flags, body)
        .map_err(about(&call.object))?;
    Ok(())
}

fn forget(op: Op, target: &Target) {
    match (op, target) {
        (Op::DelMinor, Target::Minor(minor)) => module::unregister_minor(*minor),
        (Op::DelResource, Target::Resource(name)) => module::unregister_resource(name),
        _ => {}
    }
}

/// What the words behind the object say.
#[derive(Debug, Default)]
struct Arguments {
    addresses: Option<(Address, Address)>,
    new_minor: Option<(String, u32, u32)>,
}

enum Stop {
    /// A word is missing; the sentence that says which.
    Missing(String),
    Failed(SetupError),
}

impl From<SetupError> for Stop {
    fn from(error: SetupError) -> Self {
        Self::Failed(error)
    }
}

/// Reads the words one by one; what is wrong with the first counts.
fn read_arguments(call: &Call, settings: &mut Vec<Setting>) -> Result<Arguments, Stop> {
    let mut read = Arguments::default();
    let mut my_addr = None;
    let mut new_minor = (String::new(), 0, 0);
    let mut words = call.arguments.iter();
    for argument in call.command.arguments {
        let word = words.next().ok_or_else(|| {
            Stop::Missing(match argument {
                Argument::LocalAddress | Argument::RemoteAddress => {
                    "Missing connection endpoint argument".to_owned()
                }
                _ => format!("Missing argument '{}'", argument.name()),
            })
        })?;
        match argument {
            Argument::LowerDev => settings.push(device(1, word)?),
            Argument::MetaDataDev => settings.push(device(2, word)?),
            Argument::MetaDataIndex => settings.push(index(word)?),
            Argument::LocalAddress => my_addr = Some(address::parse(word)?),
            Argument::RemoteAddress => read.addresses = my_addr.zip(Some(address::parse(word)?)),
            Argument::Resource => new_minor.0.clone_from(word),
            Argument::Minor => new_minor.1 = words::minor(word)?,
            Argument::Volume => {
                // What is out of range, the kernel refuses.
                new_minor.2 = u32::try_from(words::number(word)?).unwrap_or(u32::MAX);
                read.new_minor = Some(new_minor.clone());
            }
        }
    }
    Ok(read)
}

fn disk_field(number: u16, value: Encoded) -> Setting {
    let mandatory = DiskConf::SET
        .field(number)
        .is_some_and(|field| field.flags.mandatory);
    Setting {
        number,
        is_mandatory: mandatory,
        value,
    }
}

/// A device must be there and be a block device.
fn device(number: u16, path: &str) -> Result<Setting, SetupError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| {
            SetupError::local(format!(
                "Can not open device '{path}': {}",
                errno_text(&error)
            ))
        })?;
    let kind = file.metadata().map(|metadata| metadata.file_type());
    if !kind.is_ok_and(|kind| kind.is_block_device()) {
        return Err(SetupError::local(format!("{path} is not a block device!")));
    }
    Ok(disk_field(number, Encoded::Text(path.to_owned())))
}

fn index(word: &str) -> Result<Setting, SetupError> {
    let index = match word {
        "internal" => META_INDEX_FLEX_INTERNAL,
        "flexible" => META_INDEX_FLEX_EXTERNAL,
        _ => i32::try_from(words::number(word)?).unwrap_or(i32::MIN),
    };
    Ok(disk_field(3, Encoded::Bytes(index.to_ne_bytes().to_vec())))
}

/// Runs `down`: an unknown resource is down already.
pub(super) fn down(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    if !call.arguments.is_empty() {
        return super::excess(&call.arguments, io);
    }
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    // Afterwards nobody knows which minors there were.
    let statuses = match client.statuses(Some(&call.object)) {
        Ok(statuses) => statuses,
        Err(error) if is_unknown_resource(&error) => Vec::new(),
        Err(error) => return Err(about(&call.object)(error)),
    };
    let target = Target::Resource(call.object.clone());
    match client.change(Op::Down, &target, 0, |_| Ok(())) {
        Ok(_) => {}
        Err(error) if is_unknown_resource(&error) => {
            if std::io::stderr().is_terminal() {
                writeln!(io.err, "Resource unknown")?;
            }
        }
        Err(error) => return Err(about(&call.object)(error)),
    }
    for minor in statuses.iter().filter_map(|status| status.minor) {
        module::unregister_minor(minor);
    }
    module::unregister_resource(&call.object);
    Ok(0)
}
