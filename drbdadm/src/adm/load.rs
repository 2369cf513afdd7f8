// SPDX-License-Identifier: GPL-2.0
//! Finds, reads and judges the configuration for a command.

use super::cli::Request;
use super::command::Group;
use super::node::{minor_of_node, Machine};
use super::plan::Registration;
use drbd_conf::bind::{bind, Env, Node as _};
use drbd_conf::check::{check, resolve};
use drbd_conf::diag::Severity;
use drbd_conf::expand::expand;
use drbd_conf::parse::{Parsed, Parser};
use drbd_conf::render::render;
use drbd_conf::source::{FileSystem, Source};
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// Looked for in this order when there is no `-c`.
const DEFAULTS: [&str; 5] = [
    "/etc/drbd-84.conf",
    "/etc/drbd-83.conf",
    "/etc/drbd-82.conf",
    "/etc/drbd-08.conf",
    "/etc/drbd.conf",
];

/// How many findings are shown. Nobody reads more, and a file that is no configuration at all has
/// as many as it has words.
const SHOWN_MAX: usize = 100;

/// Where it is noted which configuration file a resource or minor belongs to.
const REGISTRY: &str = "/var/run/drbd";

/// The link for a registration.
#[must_use]
pub fn registration_link(registration: &Registration) -> PathBuf {
    let name = match registration {
        Registration::Resource(name) => format!("drbd-resource-{name}.conf"),
        Registration::Minor(minor) => format!("drbd-minor-{minor}.conf"),
    };
    Path::new(REGISTRY).join(name)
}

/// A configuration that is ready for a command.
#[derive(Debug)]
pub struct Loaded {
    /// The tree, bound and as far as needed expanded.
    pub parsed: Parsed,
    /// This machine.
    pub machine: Machine,
    /// The absolute main file; `None` for standard input.
    pub file: Option<PathBuf>,
}

impl Loaded {
    /// What [`bind`] and [`check`] need to know.
    #[must_use]
    pub fn env<'a>(machine: &'a Machine, request: &'a Request) -> Env<'a> {
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Env {
            node: machine,
            peer: request.options.peer.as_deref(),
            by_proxy: request.command.is_proxy(),
            interactive: terminal,
        }
    }
}

/// Loads the configuration.
///
/// # Errors
///
/// The exit code, everything having been said on stderr.
pub fn load(request: &Request) -> Result<Loaded, u8> {
    let machine = Machine::look();
    let mut parser = Parser::new(&FileSystem, &minor_of_node);
    let file = read_main(request, &mut parser)?;
    if let Some(second) = &request.options.config_to_test {
        parser
            .file(second, &absolute(second))
            .map_err(|_| cannot_open(second, 20))?;
    }
    let shown = file
        .as_ref()
        .map_or_else(|| "STDIN".into(), |file| file.to_string_lossy());
    let mut parsed = parser.finish(&shown);
    report(&mut parsed);
    if parsed.exit_code() != 0 {
        return Err(parsed.exit_code());
    }
    parsed.diagnostics.clear();
    judge(request, &machine, &mut parsed)?;
    Ok(Loaded {
        parsed,
        machine,
        file,
    })
}

/// Everything behind parsing: who is who, what is inherited, what can't be.
fn judge(request: &Request, machine: &Machine, parsed: &mut Parsed) -> Result<(), u8> {
    let command = request.command;
    let env = Loaded::env(machine, request);
    bind(parsed, &env);
    let seen = request.options.dry_run > 0 || request.options.verbose > 0;
    if !command.is_dump() || seen {
        expand(&mut parsed.config);
    }
    if command.needs_names() {
        check(parsed, &env);
    }
    if !command.is_dump() {
        resolve(parsed, &env);
    }
    report(parsed);
    // Commands that name nothing stay usable: scripts call them first of all.
    let failed = parsed.exit_code();
    parsed.diagnostics.clear();
    if failed != 0 && command.needs_names() {
        return Err(failed);
    }
    let host = machine.name();
    if command.needs_names() && !command.is_dump() && parsed.config.resources.is_empty() {
        eprintln!("no resources defined! (this host is {host})");
        return Err(1);
    }
    Ok(())
}

/// Shows the findings on stderr.
fn report(parsed: &mut Parsed) {
    let color = std::io::stderr().is_terminal();
    for diagnostic in parsed.diagnostics.iter().take(SHOWN_MAX) {
        eprintln!("{}\n", render(&parsed.sources, diagnostic, color));
    }
    if let Some(more) = parsed.diagnostics.len().checked_sub(SHOWN_MAX + 1) {
        eprintln!("... and {} more", more + 1);
    }
    let errors = parsed
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    if errors > 1 {
        eprintln!("{errors} errors in the configuration");
    }
}

fn cannot_open(name: &str, code: u8) -> u8 {
    eprintln!("drbdadm: cannot open '{name}'");
    code
}

/// The absolute name, with the current folder in front if need be.
fn absolute(name: &str) -> PathBuf {
    std::path::absolute(name).unwrap_or_else(|_| PathBuf::from(name))
}

/// Parses the main file and returns its absolute name.
fn read_main(request: &Request, parser: &mut Parser<'_>) -> Result<Option<PathBuf>, u8> {
    if let Some(name) = &request.options.config {
        if name == "-" {
            let mut bytes = Vec::new();
            if let Err(error) = std::io::stdin().read_to_end(&mut bytes) {
                eprintln!("drbdadm: cannot read the standard input: {error}");
                return Err(20);
            }
            parser.text("STDIN", Path::new("STDIN"), &bytes);
            return Ok(None);
        }
        let path = absolute(name);
        parser
            .file(name, &path)
            .map_err(|_| cannot_open(name, 20))?;
        return Ok(Some(path));
    }
    if let Some(path) = registered(request) {
        let name = path.to_string_lossy().into_owned();
        parser
            .file(&name, &path)
            .map_err(|_| cannot_open(&name, 20))?;
        return Ok(Some(path));
    }
    let found = DEFAULTS
        .iter()
        .find(|path| FileSystem.read(Path::new(path)).is_ok());
    let name = found.copied().unwrap_or("/etc/drbd.conf");
    if let Err(error) = parser.file(name, Path::new(name)) {
        eprintln!("drbdadm: cannot open '{name}': {error}");
        return Err(10);
    }
    Ok(Some(PathBuf::from(name)))
}

/// The file that the kernel's or udev's caller belongs to, if it was noted.
fn registered(request: &Request) -> Option<PathBuf> {
    let asked = request.command.group == Group::Handler || request.command.name == "sh-udev";
    let name = request.names.first().filter(|_| asked)?;
    let registration = match name
        .strip_prefix("minor-")
        .and_then(|minor| minor.parse().ok())
    {
        Some(minor) => Registration::Minor(minor),
        None => Registration::Resource(name.clone()),
    };
    let target = std::fs::read_link(registration_link(&registration)).ok();
    if target.is_none() {
        eprintln!("drbdadm: no configuration file is noted for {name}, trying the default ones");
    }
    target
}
