// SPDX-License-Identifier: GPL-2.0
//! The lab's command line.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use drbd_lab::drbdconf::Resource;
use drbd_lab::error::{LabError, Result};
use drbd_lab::image::Image;
use drbd_lab::lab::{load_module, Lab, Setup};
use drbd_lab::machine::{Clock, Hardware};
use drbd_lab::protocol::Reply;
use drbd_lab::runner::{Extent, Tally};
use drbd_lab::stack::{Build, Pair, Stack};
use drbd_lab::{bench, interop, klog, paths, runner, scenarios, soak};

/// Boots machines with the stock kernel and runs scenarios on them.
#[derive(Debug, Parser)]
#[command(name = "drbd-lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the guests' image if it is not in the cache, and print its path.
    Image,
    /// Boot, push files, run a shell command, show what it says, leave with its exit code.
    Run(Run),
    /// Two machines open to type in.
    Shell {
        /// What runs on them, as for `test`.
        #[arg(long, default_value = "c:c")]
        pair: Pair,
        /// The folder with drbd.ko and sbin/ (default: build/ of the checkout).
        #[arg(long, value_name = "FOLDER")]
        build: Option<PathBuf>,
    },
    /// Walk through the tutorial on two machines with our module and tools.
    Demo {
        /// The folder with drbd.ko and sbin/ (default: build/ of the checkout).
        #[arg(long, value_name = "FOLDER")]
        build: Option<PathBuf>,
    },
    /// List the scenarios.
    List,
    /// Run scenarios on pairings of implementations; exit code 0 if all end as they should.
    Test(Test),
    /// Run scenarios in their long form, each on more pairings, until the time is over.
    Soak(Soak),
    /// Measure ours beside the C driver; exit code 0 unless a gated value is worse.
    Bench(Bench),
    /// Record what runs of `test` printed, and write docs/interop.md anew.
    Interop {
        /// The commit that ran.
        #[arg(long)]
        commit: String,
        /// The day it ran, like 2026-11-22.
        #[arg(long)]
        day: String,
        /// Files with the output of `test`.
        log: Vec<PathBuf>,
    },
    /// Run all scenarios with C on both nodes and store the results in tests/oracle/.
    Oracle {
        /// How many kinds of machines run side by side.
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Only scenarios whose name contains one of these.
        filter: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Test {
    /// Pairings alpha:beta of `ours`, `c`, `ours+stock` (our module, stock tools), `c+ours`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = ALL_PAIRS
    )]
    pair: Vec<Pair>,
    /// The folder with drbd.ko and sbin/ (default: build/ of the checkout).
    #[arg(long, value_name = "FOLDER")]
    build: Option<PathBuf>,
    /// Another kernel than the stock one: the name of a folder in build/ that `make sanitize` made,
    /// with the kernel's place, a module for it (the default of --build) and the tools.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Also run what a full run would not ask of these pairings.
    #[arg(long)]
    any_pair: bool,
    /// How many pairings run side by side. Machines wait for time-outs as much as they compute:
    /// three keep two processors busy.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Only scenarios whose name contains one of these.
    filter: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Soak {
    /// No round is begun after so many hours; one round always runs.
    #[arg(long, default_value_t = 4.0)]
    hours: f64,
    /// Stop after so many rounds.
    #[arg(long)]
    rounds: Option<u32>,
    /// Pairings, as for `test`.
    #[arg(long, value_delimiter = ',', default_value = ALL_PAIRS)]
    pair: Vec<Pair>,
    /// The folder with drbd.ko and sbin/ (default: build/ of the checkout).
    #[arg(long, value_name = "FOLDER")]
    build: Option<PathBuf>,
    /// How many pairings run side by side.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only scenarios whose name contains one of these.
    filter: Vec<String>,
}

/// The pairings of a full run.
const ALL_PAIRS: &str = "ours:ours,ours:c,c:ours,ours+stock:ours+stock,c+ours:c+ours,c:c";

#[derive(Debug, clap::Args)]
struct Bench {
    /// What is measured; the first is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_value = "c,ours")]
    stack: Vec<Stack>,
    /// Leave out what depends on the host: only count instructions.
    #[arg(long)]
    counted: bool,
    /// The folder with drbd.ko and sbin/ (default: build/ of the checkout).
    #[arg(long, value_name = "FOLDER")]
    build: Option<PathBuf>,
    /// Only rows whose name contains one of these.
    filter: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// How many machines; the command runs on each, one after the other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    nodes: u8,
    /// Push a file before: HOST, or HOST:GUEST; without GUEST it goes to /lab/<its name>.
    #[arg(long, value_name = "HOST[:GUEST]")]
    push: Vec<String>,
    /// What to install first: `ours` takes build/drbd.ko and build/sbin (see --build).
    #[arg(long, default_value = "c")]
    stack: Stack,
    /// The folder with drbd.ko and sbin/ (default: build/ of the checkout).
    #[arg(long, value_name = "FOLDER")]
    build: Option<PathBuf>,
    /// Print the kernel log of each machine at the end.
    #[arg(long)]
    dmesg: bool,
    /// Memory of each machine in MiB.
    #[arg(long, default_value_t = 512)]
    memory: u32,
    /// Virtual processors of each machine.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Sizes of /dev/data0, /dev/data1, … in MiB.
    #[arg(long, value_delimiter = ',', default_value = "64,64")]
    disks: Vec<u32>,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// The shell command; several words are joined with spaces.
    #[arg(required = true, trailing_var_arg = true)]
    shell: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Action::Image => image(),
        Action::Run(run) => run.carry_out(),
        Action::Shell { pair, build } => shell(pair, build.as_deref()),
        Action::Demo { build } => demo(build.as_deref()),
        Action::List => {
            for scenario in scenarios::all() {
                println!("{:<28} {}", scenario.name, scenario.about);
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Interop { commit, day, log } => paths::checkout()
            .and_then(|checkout| interop::update(&checkout, &log, &day, &commit))
            .map(|()| ExitCode::SUCCESS),
        Action::Test(test) => test.carry_out(false),
        Action::Soak(soak) => soak.carry_out(),
        Action::Bench(bench) => bench.carry_out(),
        Action::Oracle { jobs, filter } => {
            let test = Test {
                pair: vec![Pair::C],
                build: None,
                kernel: None,
                any_pair: false,
                jobs,
                filter,
            };
            test.carry_out(true)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("drbd-lab: {error}");
        ExitCode::FAILURE
    })
}

fn image() -> Result<ExitCode> {
    println!("{}", Image::get()?.root.display());
    Ok(ExitCode::SUCCESS)
}

/// Boots two plain machines.
fn boot(pair: Pair, build: Option<&Path>) -> Result<Lab> {
    Lab::boot(Setup {
        stacks: vec![pair.alpha, pair.beta],
        hardware: Hardware::default(),
        clock: Clock::Wall,
        folder: paths::new_run()?,
        build: build_folder(build)?,
        soak: false,
    })
}

/// Boots two machines and walks a stranger through the tutorial.
fn demo(build: Option<&Path>) -> Result<ExitCode> {
    let pair = Pair {
        alpha: Stack::OURS,
        beta: Stack::OURS,
    };
    let lab = boot(pair, build)?;
    drbd_lab::demo::walk(&lab)?;
    Ok(ExitCode::SUCCESS)
}

/// Boots, writes a configuration with r0, loads the modules, and hands over the keyboard.
fn shell(pair: Pair, build: Option<&Path>) -> Result<ExitCode> {
    let lab = boot(pair, build)?;
    scenarios::steps::configure(&lab, &[&Resource::r0()])?;
    for node in lab.nodes() {
        load_module(node)?;
    }
    eprintln!("r0 is configured in /etc/drbd.conf: minor 1 over /dev/data0");
    drbd_lab::shell::open(&lab)?;
    Ok(ExitCode::SUCCESS)
}

impl Test {
    fn carry_out(mut self, renew_oracle: bool) -> Result<ExitCode> {
        if let Some(name) = &self.kernel {
            let folder = paths::checkout()?.join("build").join(name);
            paths::use_kernel_of(&folder)?;
            self.build.get_or_insert(folder);
        }
        let scenarios = runner::select(scenarios::all(), &self.filter);
        let extent = if self.any_pair {
            Extent::All
        } else {
            Extent::Asked
        };
        let plan = runner::Plan {
            renew_oracle,
            ..plan(self.pair, self.build.as_deref(), extent, self.jobs)?
        };
        let tally = runner::run(&plan, &scenarios)?;
        if tally.stored > 0 {
            println!(
                "{} of these by the stored oracle (drbd-lab oracle)",
                tally.stored
            );
        }
        Ok(verdict(tally))
    }
}

/// What is to be run, in a folder of its own.
fn plan(
    pairs: Vec<Pair>,
    build: Option<&Path>,
    extent: Extent,
    jobs: usize,
) -> Result<runner::Plan> {
    Ok(runner::Plan {
        pairs,
        build: build_folder(build)?,
        checkout: paths::checkout()?,
        folder: paths::new_run()?,
        kernel: Image::get()?.version,
        renew_oracle: false,
        extent,
        jobs,
    })
}

fn verdict(tally: Tally) -> ExitCode {
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 || tally.passed == 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Soak {
    fn carry_out(self) -> Result<ExitCode> {
        let plan = plan(self.pair, self.build.as_deref(), Extent::Soak, self.jobs)?;
        let until = soak::Until {
            time: Duration::try_from_secs_f64(self.hours * 3600.0)
                .map_err(|error| LabError::Setup(format!("--hours: {error}")))?,
            rounds: self.rounds,
        };
        let scenarios = runner::select(scenarios::all(), &self.filter);
        Ok(verdict(soak::run(&plan, &scenarios, &until)?))
    }
}

impl Bench {
    fn carry_out(self) -> Result<ExitCode> {
        let held = bench::run(&bench::Plan {
            stacks: self.stack,
            wall: !self.counted,
            build: build_folder(self.build.as_deref())?,
            folder: paths::new_run()?,
            filter: self.filter,
        })?;
        Ok(if held {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn build_folder(given: Option<&Path>) -> Result<Build> {
    match given {
        Some(folder) => Ok(Build {
            module: folder.join("drbd.ko"),
            tools: folder.join("sbin"),
        }),
        None => Ok(Build::of(&paths::checkout()?)),
    }
}

impl Run {
    fn carry_out(self) -> Result<ExitCode> {
        let lab = Lab::boot(Setup {
            stacks: vec![self.stack; self.nodes.into()],
            hardware: Hardware {
                memory_mib: self.memory,
                cpus: self.cpus,
                disks_mib: self.disks.clone(),
                served: false,
            },
            clock: Clock::Wall,
            folder: paths::new_run()?,
            build: build_folder(self.build.as_deref())?,
            soak: false,
        })?;
        let mut worst = 0;
        for node in lab.nodes() {
            for push in &self.push {
                let (host, guest) = match push.split_once(':') {
                    Some((host, guest)) => (Path::new(host), guest.to_owned()),
                    None => {
                        let host = Path::new(push);
                        let name = host.file_name().unwrap_or_default().to_string_lossy();
                        (host, format!("/lab/{name}"))
                    }
                };
                node.push(host, &guest, 0o755)?;
            }
        }
        for node in lab.nodes() {
            let job = node.start_sh(&self.shell.join(" "))?;
            let code = job.stream(Duration::from_secs(self.timeout), |reply, data| {
                // A reader that went away does not matter to the guest.
                let _ = match reply {
                    Reply::Err => std::io::stderr().write_all(data),
                    _ => std::io::stdout().write_all(data),
                };
            });
            let log = node.complete_log()?;
            if self.dmesg {
                eprintln!("--- kernel log of {}", node.name());
                eprintln!("{}", log.trim_end());
            } else if let Some(trouble) = klog::trouble(&log, &[]) {
                eprintln!(
                    "--- trouble in the kernel log of {}\n{trouble}",
                    node.name()
                );
            }
            match code {
                Ok(code) => worst = worst.max(code),
                Err(LabError::KernelLog { .. }) => worst = worst.max(1),
                Err(error) => return Err(error),
            }
        }
        Ok(ExitCode::from(u8::try_from(worst).unwrap_or(1)))
    }
}
