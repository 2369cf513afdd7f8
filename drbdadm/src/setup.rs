// SPDX-License-Identifier: GPL-2.0
//! `drbdsetup`: the command that talks to the kernel.
//!
//! Names, output, sentences and exit codes are those of drbdsetup-84, see docs/interface.md.
//! drbdadm uses [`client`] for typed conversations and [`run`] for whole commands, both within its
//! own process.

pub mod address;
mod attributes;
mod change;
pub mod cli;
pub mod client;
mod command;
pub mod error;
mod events;
mod events2;
mod getopt;
mod gi;
mod help;
mod json;
pub mod manual;
pub mod module;
mod names;
pub mod netlink;
mod resize_check;
mod sh_status;
mod show;
pub mod status;
mod wait;
mod words;
mod wrap;

use command::{Action, Command, Object};
use error::{SetupError, EXIT_LOCAL};
use getopt::Parsed;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Where a command writes to, and what it may assume about its reader.
pub struct Io<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
    /// Columns of the terminal; 80 if it is none.
    pub width: usize,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io")
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

/// Runs `drbdsetup` with the words after its name and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let words: Vec<String> = args
        .into_iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    // Relative paths of devices are no use to the kernel's log; stock does the same.
    let _ = std::env::set_current_dir("/");
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let mut io = Io {
        out: &mut stdout.lock(),
        err: &mut io::stderr(),
        is_terminal,
        width: status::terminal_width(is_terminal),
    };
    ExitCode::from(run(&program, &words, &mut io))
}

/// Runs one command line, writes what it says to `io`, and returns its exit code.
pub fn run(program: &str, words: &[String], io: &mut Io<'_>) -> u8 {
    let result = dispatch(program, words, io);
    let exit = match result {
        Ok(exit) => exit,
        Err(error) => {
            let _ = io.out.flush();
            let _ = io.err.write_all(error.report().as_bytes());
            error.exit_code()
        }
    };
    // Nobody is left to tell if this fails.
    let _ = io.out.flush();
    exit
}

fn dispatch(program: &str, words: &[String], io: &mut Io<'_>) -> Result<u8, SetupError> {
    let (first, rest) = match words {
        [] => return overview(program, io, ""),
        [first, rest @ ..] => (first.as_str(), rest),
    };
    match first {
        "help" | "xml-help" | "--help" | "-h" => return print_help(program, first, rest, io),
        _ => {}
    }
    if let Some(command) = command::find(first) {
        return execute(program, command, rest.to_vec(), io);
    }
    // The order of old: object first.
    if let [name, rest @ ..] = rest {
        if let Some(command) = command::find(name) {
            let mut words = vec![first.to_owned()];
            words.extend_from_slice(rest);
            return execute(program, command, words, io);
        }
    }
    overview(program, io, "\ninvalid command\n")
}

/// Prints the list of commands, then `message`; exit code 20.
fn overview(program: &str, io: &mut Io<'_>, message: &str) -> Result<u8, SetupError> {
    write!(io.out, "{}{message}", help::overview(program))?;
    Ok(EXIT_LOCAL)
}

fn print_help(
    program: &str,
    word: &str,
    rest: &[String],
    io: &mut Io<'_>,
) -> Result<u8, SetupError> {
    let Some(name) = rest.first() else {
        return overview(program, io, "");
    };
    let Some(command) = command::find(name) else {
        return overview(program, io, "\nunknown command\n");
    };
    let text = if word == "xml-help" {
        help::xml(command)
    } else {
        help::usage(program, command)
    };
    io.out.write_all(text.as_bytes())?;
    Ok(0)
}

/// A command line that was read: what it is about, and the rest.
#[derive(Debug)]
struct Call {
    command: &'static Command,
    /// The object as it was written; `all` if it was left out, `??` if there is none.
    object: String,
    /// The words behind the object.
    arguments: Vec<String>,
    parsed: Parsed,
}

impl Call {
    /// The minor that the object names.
    fn minor(&self) -> Result<u32, SetupError> {
        words::minor(&self.object)
    }

    /// A resource to look at, or all of them.
    fn resource(&self) -> Option<&str> {
        (self.object != "all").then_some(self.object.as_str())
    }
}

fn execute(
    program: &str,
    command: &'static Command,
    words: Vec<String>,
    io: &mut Io<'_>,
) -> Result<u8, SetupError> {
    module::ensure_loaded()?;
    let mut parsed = match getopt::parse(command, &words) {
        Ok(parsed) => parsed,
        Err(message) => {
            writeln!(io.err, "{message}")?;
            return overview(program, io, "");
        }
    };
    let mut words = std::mem::take(&mut parsed.words);
    let object = match command.object {
        Object::Nothing => "??".to_owned(),
        Object::Any | Object::ResourceOrAll if words.is_empty() => "all".to_owned(),
        _ if words.is_empty() => {
            writeln!(io.err, "Missing first argument")?;
            io.out.write_all(help::usage(program, command).as_bytes())?;
            return Ok(EXIT_LOCAL);
        }
        _ => words.remove(0),
    };
    let call = Call {
        command,
        object,
        arguments: words,
        parsed,
    };
    match call.command.action {
        Action::Change(op) => change::run(program, op, &call, io),
        Action::Down => change::down(&call, io),
        _ if !call.arguments.is_empty() && call.command.action != Action::Status => {
            excess(&call.arguments, io)
        }
        Action::Role | Action::ConnectionState | Action::DiskState => gi::states(&call, io),
        Action::ShowGi | Action::GetGi => gi::identifiers(&call, io),
        Action::ShellStatus => sh_status::run(&call, io),
        Action::Show => show::run(&call, io),
        Action::Status => match call.parsed.value("color") {
            Some(word) if !["always", "never", "auto"].contains(&word) => {
                overview(program, io, "\nunknown --color argument\n")
            }
            _ => status::run(&call, io),
        },
        Action::CheckResize => resize_check::run(&call),
        Action::Events => events::run(&call, io),
        Action::Events2 => events2::run(&call, io),
        Action::WaitConnect | Action::WaitSync => wait::run(&call, io),
    }
}

/// Complains about words too many.
fn excess(words: &[String], io: &mut Io<'_>) -> Result<u8, SetupError> {
    writeln!(io.out)?;
    write!(io.err, "Excess arguments: {}", words.join(" "))?;
    Ok(EXIT_LOCAL)
}
