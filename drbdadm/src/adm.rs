// SPDX-License-Identifier: GPL-2.0
//! `drbdadm`: turns the configuration into calls of the back end.
//!
//! [`cli`] understands the command line, [`load`] the configuration, [`select`] the names;
//! [`plan`] says what has to be done, [`exec`] and [`run`] do it. [`shell`] and [`handler`] serve
//! scripts and the kernel, [`wait`] people who wait.

pub mod cli;
pub mod command;
pub mod exec;
pub mod generate;
pub mod handler;
pub mod load;
pub mod manual;
pub mod node;
pub mod plan;
pub mod run;
pub mod select;
pub mod shell;
pub mod status;
pub mod version;
pub mod wait;

use cli::{Asked, Request};
use command::{Group, Scope};
use drbd_conf::bind::{choose_peer, Node as _};
use drbd_conf::check::address_is_here;
use drbd_conf::parse::{Mode, Parser};
use drbd_conf::print::{self as printer, Context};
use drbd_conf::tree::Config;
use exec::{print, Inside, Output, Runner, Spawn};
use load::Loaded;
use plan::adjust::{adjust, Running};
use plan::staged::Queue;
use run::Progress;
use select::{Misfit, Target};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs `drbdadm` with the words after its name and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let code = match cli::parse(args.into_iter()) {
        Asked::Run(request) => command(&request),
        Asked::Print(text) => {
            print(&text);
            0
        }
        Asked::Version => {
            print(&version::block(version::of_module().as_deref()));
            0
        }
        Asked::Refuse(text) => {
            eprint!("{text}");
            1
        }
        Asked::Generate(words) => generate::generate(&words),
    };
    ExitCode::from(code)
}

/// Runs a command and returns its exit code.
fn command(request: &Request) -> u8 {
    let name = request.command.name;
    if name == "hidden-commands" {
        print(&generate::hidden_commands());
        return 0;
    }
    if request.options.config_to_test.is_some() && !matches!(name, "dump" | "sh-nop") {
        eprintln!("drbdadm: --config-to-test goes with dump and sh-nop only");
        return 1;
    }
    for program in [&request.options.drbdsetup, &request.options.drbdmeta]
        .into_iter()
        .flatten()
    {
        if nix::unistd::access(program, nix::unistd::AccessFlags::X_OK).is_err() {
            eprintln!("drbdadm: no program {}", program.display());
            return 20;
        }
    }
    version::compare_with_module();
    if request.command.scope == Scope::Nothing && !request.names.is_empty() {
        eprintln!("drbdadm: {name} takes no resource names, they are ignored");
    }
    if request.command.needs_names() && request.names.is_empty() && !request.command.default_all {
        eprintln!(
            "{}\nNo resource names specified",
            cli::help(Some(request.command))
        );
        return 1;
    }
    let loaded = match load::load(request) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let spawn = Spawn {
        drbdsetup: request.options.drbdsetup.clone(),
        drbdmeta: request.options.drbdmeta.clone(),
        proxy_ctl: request.options.proxy_ctl.clone(),
    };
    let mut executor = Inside { spawn };
    let mut runner = Runner::new(&mut executor, &loaded.parsed.config.globals());
    runner.dry_run = request.options.dry_run;
    runner.verbose = request.options.verbose;
    runner.sh_varname.clone_from(&request.options.sh_varname);
    runner.config.clone_from(&loaded.file);
    let shown = |path: &Option<std::path::PathBuf>, name: &mut String| {
        if let Some(path) = path {
            *name = path.to_string_lossy().into_owned();
        }
    };
    shown(&request.options.drbdsetup, &mut runner.names.setup);
    shown(&request.options.drbdmeta, &mut runner.names.meta);
    shown(&request.options.proxy_ctl, &mut runner.names.proxy_ctl);
    match name {
        "sh-nop" => 0,
        "sh-resources" => shell::resources(&loaded, request),
        "sh-mod-parms" => shell::module_parameters(&loaded),
        "sh-status" => shell::status(&mut runner, &loaded),
        "wait-con-int" => wait::connect_interactively(&mut runner, &loaded, request),
        "dump" | "dump-xml" => dump(&loaded, request),
        "status" if request.passed.iter().any(|word| word == "--json") => {
            status::json(&mut runner, &loaded, request)
        }
        _ => for_each(&mut runner, &loaded, request),
    }
}

/// `dump` and `dump-xml`.
fn dump(loaded: &Loaded, request: &Request) -> u8 {
    let config = &loaded.parsed.config;
    let context = Context {
        node: loaded.machine.name(),
        sources: &loaded.parsed.sources,
        verbose: request.options.verbose > 0,
    };
    let xml = request.command.name == "dump-xml";
    let is_all = request.names.first().is_none_or(|name| name == "all");
    if is_all {
        let all = config.resources.iter();
        if all
            .filter(|resource| !resource.is_ignored())
            .any(|r| !verify_address(loaded, request, r))
        {
            return 10;
        }
        print(&match xml {
            true => drbd_conf::xml::config(config, &context),
            false => printer::config(config, &context),
        });
        return 0;
    }
    for word in &request.names {
        let Some(target) = select::find(config, word) else {
            return not_found(config, word);
        };
        print(&match xml {
            true => drbd_conf::xml::resource(target.resource, &context),
            false => printer::resource(target.resource, &context),
        });
        // The text is what was asked for; the address is worth a word only.
        verify_address(loaded, request, target.resource);
    }
    0
}

fn not_found(config: &Config, word: &str) -> u8 {
    eprintln!("'{word}' not defined in your config (for this host).");
    let known = config
        .resources
        .iter()
        .filter(|resource| !resource.is_ignored());
    let known = known.map(|resource| resource.name.value.as_str());
    if let Some(meant) = drbd_conf::diag::nearest(word, known) {
        eprintln!("Did you mean '{meant}'?");
    }
    1
}

/// Complains when this node's address is on none of its interfaces.
fn verify_address(
    loaded: &Loaded,
    request: &Request,
    resource: &drbd_conf::tree::Resource,
) -> bool {
    let options = &request.options;
    let hidden = resource.binding.stacked && !options.stacked;
    let off = loaded.parsed.config.globals().disable_ip_verification || options.dry_run == 1;
    let Some(me) = resource.me().filter(|_| !hidden && !off) else {
        return true;
    };
    if address_is_here(me, &Loaded::env(&loaded.machine, request)) {
        return true;
    }
    let place = me.address.as_ref().map_or_else(String::new, |address| {
        format!(
            "{}: the address {}",
            loaded.parsed.sources.place(address.span),
            address.address
        )
    });
    let name = &resource.name.value;
    eprintln!("{place} of resource {name} is on no interface of this host");
    false
}

/// Runs a command for each of its targets; staged commands for all of them together.
fn for_each(runner: &mut Runner<'_>, loaded: &Loaded, request: &Request) -> u8 {
    let config = &loaded.parsed.config;
    let words = &request.names;
    let all = words.first().is_none_or(|word| word == "all");
    let targets: Vec<Result<Target<'_>, &str>> = if all {
        match select::all(config, request, loaded.machine.name()) {
            Ok(targets) => targets.into_iter().map(Ok).collect(),
            Err(text) => {
                eprintln!("drbdadm: {text}");
                return 1;
            }
        }
    } else {
        words
            .iter()
            .map(|word| select::find(config, word).ok_or(word.as_str()))
            .collect()
    };
    let mut worst = 0;
    let mut queue = Queue::default();
    for target in targets {
        let target = match target {
            Ok(target) => target,
            Err(word) => return not_found(config, word),
        };
        let target = match select::fit(request, target) {
            Ok(target) => target,
            Err(Misfit::Stop(text)) => {
                eprintln!("drbdadm: {text}");
                return 1;
            }
            Err(Misfit::Skip(text)) => {
                eprintln!("drbdadm: {text}");
                worst = worst.max(1);
                continue;
            }
        };
        if request.command.ip && !verify_address(loaded, request, target.resource) {
            return 10;
        }
        if request.command.peer {
            let env = Loaded::env(&loaded.machine, request);
            if let Err(problem) = choose_peer(target.resource, &env) {
                eprintln!(
                    "drbdadm: resource {}: {problem}",
                    target.resource.name.value
                );
            }
        }
        let code = one(runner, loaded, request, &target, &mut queue, all);
        if code >= 20 || runner.expired {
            return code;
        }
        worst = worst.max(code);
    }
    if queue.is_empty() && worst != 0 {
        return worst;
    }
    let with_progress = request.command.name == "adjust-with-progress";
    let progress = match with_progress && runner.dry_run == 0 && runner.verbose == 0 {
        true => Progress::Stages,
        false => Progress::Quiet,
    };
    worst.max(run::queue(runner, &queue, progress))
}

/// Runs or queues a command for one target.
fn one(
    runner: &mut Runner<'_>,
    loaded: &Loaded,
    request: &Request,
    target: &Target<'_>,
    queue: &mut Queue,
    all: bool,
) -> u8 {
    let (name, resource) = (request.command.name, target.resource);
    let passed = &request.passed;
    match name {
        "up" => {
            plan::staged::up(queue, resource, &target.volumes(), passed);
            return 0;
        }
        "adjust" | "adjust-with-progress" => return plan_adjust(runner, queue, target, passed),
        "proxy-up" | "proxy-down" => {
            let action = match name {
                "proxy-up" => plan::proxy::up(resource),
                _ => plan::proxy::down(resource),
            };
            return match action {
                Some(action) => run::action(runner, &action),
                None if all => 0,
                None => {
                    eprintln!(
                        "drbdadm: resource {} has no proxy here",
                        resource.name.value
                    );
                    10
                }
            };
        }
        "sh-b-pri" => return shell::become_primary(runner, loaded, target, passed),
        "sh-lr-of" if !resource.binding.stacked => {
            eprintln!("drbdadm: sh-lr-of goes with stacked resources (-S) only");
            return 1;
        }
        "wait-sync" => return wait::sync(runner, target, passed),
        _ if request.command.group == Group::Handler => {
            return handler::run(runner, loaded, name, target);
        }
        _ => {}
    }
    if let Some(action) = plan::of_resource(name, resource, passed) {
        return run::action(runner, &action);
    }
    for volume in target.volumes() {
        let code = if name == "sh-udev" {
            let always = loaded.parsed.config.globals().udev_always_use_vnr;
            shell::udev(resource, volume, always)
        } else if let Some(line) = shell::of_volume(name, resource, volume) {
            print(&format!("{line}\n"));
            0
        } else if let Some(action) = plan::of_volume(name, resource, volume, passed) {
            run::action(runner, &action)
        } else {
            eprintln!("drbdadm: {name} is not built yet");
            20
        };
        if code != 0 {
            return code;
        }
    }
    0
}

/// Asks what runs of a resource and queues the difference.
fn plan_adjust(
    runner: &mut Runner<'_>,
    queue: &mut Queue,
    target: &Target<'_>,
    passed: &[String],
) -> u8 {
    let step = plan::adjust::show(target.resource);
    let shown = match runner.module_missing {
        true => exec::Outcome::default(),
        false => runner.run_unannounced(&step, Output::Stdout),
    };
    runner.module_missing |= shown.code == 20 && version::of_module().is_none();
    if shown.caught.iter().all(u8::is_ascii_whitespace) {
        adjust(queue, target.resource, None, passed);
        return 0;
    }
    let no_files = drbd_conf::source::Memory::default();
    let mut parser = Parser::new(&no_files, &|_| None).mode(Mode::Running);
    parser.text("drbdsetup show", std::path::Path::new("/"), &shown.caught);
    let parsed = parser.finish("drbdsetup show");
    if parsed.exit_code() != 0 {
        for diagnostic in &parsed.diagnostics {
            eprintln!(
                "{}",
                drbd_conf::render::render(&parsed.sources, diagnostic, false)
            );
        }
        // No guess about a machine that can't be understood.
        return 10;
    }
    let running = parsed.config.resources.first().map(Running::new);
    adjust(queue, target.resource, running, passed);
    0
}
