// SPDX-License-Identifier: GPL-2.0
//! Runs steps: prints them in dry and verbose runs, keeps time limits, notes registrations.

mod inside;

pub use inside::Inside;

use super::plan::{Limit, Registration, Step, Tool};
use drbd_conf::text;
use drbd_conf::tree::Global;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use wait_timeout::ChildExt as _;

/// Where the output of a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To our own stdout and stderr.
    Through,
    /// stdout is returned; stderr is dropped.
    Stdout,
    /// stderr is returned; stdout goes through.
    Stderr,
    /// stdout is returned; stderr goes through.
    Answer,
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code, 0 to 255.
    pub code: u8,
    /// What was caught.
    pub caught: Vec<u8>,
    /// The step was ended because it took too long.
    pub timed_out: bool,
}

/// Something that can carry out a step.
pub trait Executor {
    /// Carries it out.
    fn execute(&mut self, step: &Step, output: Output, limit: Option<Duration>) -> Outcome;

    /// Starts it and does not wait.
    ///
    /// # Errors
    ///
    /// When the program can't be started.
    fn start(&mut self, step: &Step) -> std::io::Result<Child>;
}

/// Starts the program that a step names: another name of this very program, unless told else.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    /// `-s`.
    pub drbdsetup: Option<PathBuf>,
    /// `-m`.
    pub drbdmeta: Option<PathBuf>,
    /// `-p`.
    pub proxy_ctl: Option<PathBuf>,
}

impl Spawn {
    fn command(&self, tool: Tool) -> Command {
        let own = |name: &str| {
            let mut command = Command::new("/proc/self/exe");
            command.arg0(name);
            command
        };
        match tool {
            Tool::Setup => self
                .drbdsetup
                .as_ref()
                .map_or_else(|| own("drbdsetup"), Command::new),
            Tool::Meta => self
                .drbdmeta
                .as_ref()
                .map_or_else(|| own("drbdmeta"), Command::new),
            Tool::ProxyCtl => Command::new(
                self.proxy_ctl
                    .as_deref()
                    .unwrap_or(Path::new("drbd-proxy-ctl")),
            ),
            Tool::Shell => Command::new("/bin/sh"),
        }
    }

    fn prepared(&self, step: &Step) -> Command {
        let mut command = self.command(step.tool);
        command.args(
            step.args
                .iter()
                .map(|arg| OsString::from_vec(text::encode(arg))),
        );
        command
    }

    /// Tells the program for which resource it runs. What only asks does not care, and with many
    /// resources a copy of the environment for each question is most of the work.
    fn tell(command: &mut Command, step: &Step) {
        command.env("DRBD_RESOURCE", &step.resource);
        // The warning about versions was given once.
        command.env("DRBD_DONT_WARN_ON_VERSION_MISMATCH", "1");
        command.envs(step.env.iter().map(|(name, value)| (name, value)));
    }
}

impl Executor for Spawn {
    fn start(&mut self, step: &Step) -> std::io::Result<Child> {
        let mut command = self.prepared(step);
        Self::tell(&mut command, step);
        command.stdin(Stdio::null()).spawn()
    }

    fn execute(&mut self, step: &Step, output: Output, limit: Option<Duration>) -> Outcome {
        let mut command = self.prepared(step);
        if output != Output::Stdout {
            Self::tell(&mut command, step);
        }
        match output {
            Output::Through if step.quiet => command.stderr(Stdio::null()),
            Output::Through => &mut command,
            Output::Stdout => command.stdout(Stdio::piped()).stderr(Stdio::null()),
            Output::Stderr => command.stderr(Stdio::piped()),
            Output::Answer => command.stdout(Stdio::piped()),
        };
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                eprintln!("drbdadm: cannot run {:?}: {error}", command.get_program());
                return Outcome {
                    code: 20,
                    ..Outcome::default()
                };
            }
        };
        // Read on a thread of its own: a full pipe must not keep the child from ending.
        let stdout = child.stdout.take().map(catch);
        let stderr = child.stderr.take().map(catch);
        let (code, timed_out) = wait(&mut child, limit);
        let caught = [stdout, stderr].into_iter().flatten().next();
        let caught = caught
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        Outcome {
            code,
            caught,
            timed_out,
        }
    }
}

fn catch(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child, limit: Option<Duration>) -> (u8, bool) {
    let status = match limit {
        None => child.wait().map(Some),
        Some(limit) => child.wait_timeout(limit),
    };
    match status {
        Ok(Some(status)) => {
            let code = status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal));
            (
                code.and_then(|code| u8::try_from(code).ok()).unwrap_or(20),
                false,
            )
        }
        Ok(None) | Err(_) => {
            // Its last words are of no use any more; nor is an error of ending it.
            let _ = child.kill();
            let _ = child.wait();
            (20, true)
        }
    }
}

/// How steps are run: with what limits, and what is printed around them.
pub struct Runner<'e> {
    executor: &'e mut dyn Executor,
    /// How often `-d`.
    pub dry_run: u8,
    /// How often `-v`.
    pub verbose: u8,
    /// Names to print for the tools.
    pub names: ToolNames,
    /// `-n`.
    pub sh_varname: Option<String>,
    /// Time limits in seconds: short, medium, long; 0 for none.
    pub limits: [u32; 3],
    /// The configuration file to register; `None` when it came from standard input.
    pub config: Option<PathBuf>,
    /// A time limit was passed: everything ends.
    pub expired: bool,
    /// Drop the stderr of every step.
    pub silent: bool,
    /// The module could not be loaded: asking it again and again only takes time.
    pub module_missing: bool,
}

/// How the tools are called in what is printed.
#[derive(Clone, Debug)]
pub struct ToolNames {
    /// drbdsetup.
    pub setup: String,
    /// drbdmeta.
    pub meta: String,
    /// drbd-proxy-ctl.
    pub proxy_ctl: String,
}

impl Default for ToolNames {
    fn default() -> Self {
        ToolNames {
            setup: "drbdsetup-84".to_owned(),
            meta: "drbdmeta".to_owned(),
            proxy_ctl: "drbd-proxy-ctl".to_owned(),
        }
    }
}

/// A printed command is cut off here, as stock does.
const PRINTED_MAX: usize = 1022;

impl<'e> Runner<'e> {
    /// A runner with the limits of `global`.
    pub fn new(executor: &'e mut dyn Executor, global: &Global) -> Self {
        let limits = [
            global.cmd_timeout_short.unwrap_or(5),
            global.cmd_timeout_medium.unwrap_or(121),
            global.cmd_timeout_long.unwrap_or(600),
        ];
        Runner {
            executor,
            dry_run: 0,
            verbose: 0,
            names: ToolNames::default(),
            sh_varname: None,
            limits,
            config: None,
            expired: false,
            silent: false,
            module_missing: false,
        }
    }

    /// The command line of a step, as it is printed.
    #[must_use]
    pub fn printed(&self, step: &Step) -> String {
        let tool = match step.tool {
            Tool::Setup => self.names.setup.as_str(),
            Tool::Meta => self.names.meta.as_str(),
            Tool::ProxyCtl => self.names.proxy_ctl.as_str(),
            Tool::Shell => "/bin/sh",
        };
        let mut line = text::shell_escape(tool);
        for arg in step.args.iter().chain(&step.shown_only) {
            line.push(' ');
            line.push_str(&text::shell_escape(arg));
        }
        line.truncate(line.floor_boundary(PRINTED_MAX));
        line
    }

    /// Prints a step in dry and verbose runs.
    pub fn announce(&self, step: &Step) {
        if self.dry_run == 0 && self.verbose == 0 {
            return;
        }
        if let Some(variable) = &self.sh_varname {
            print(&format!(
                "{variable}={}\n",
                text::shell_escape(&step.resource)
            ));
        }
        print(&format!("{}\n", self.printed(step)));
    }

    /// Prints and runs a step. In a dry run nothing runs and all succeeds.
    pub fn run(&mut self, step: &Step, output: Output) -> Outcome {
        self.announce(step);
        if self.dry_run > 0 {
            return Outcome::default();
        }
        self.run_unannounced(step, output)
    }

    /// Runs a step that only asks, even in a dry run, and without printing it.
    pub fn run_unannounced(&mut self, step: &Step, output: Output) -> Outcome {
        let limit = match step.limit {
            Limit::Short => Some(self.limits[0]),
            Limit::Medium => Some(self.limits[1]),
            Limit::Long => Some(self.limits[2]),
            Limit::None => None,
        };
        let limit = limit.filter(|seconds| *seconds > 0);
        let time = limit.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let mut step = step.clone();
        step.quiet |= self.silent;
        let outcome = self.executor.execute(&step, output, time);
        if outcome.timed_out {
            let line = self.printed(&step);
            eprintln!(
                "Command '{line}' was ended: over {} seconds",
                limit.unwrap_or_default()
            );
            self.expired = true;
        } else if outcome.code >= 10 && !step.quiet && output == Output::Through {
            if step.tool != Tool::Shell {
                let line = self.printed(&step);
                eprintln!(
                    "Command '{line}' terminated with exit code {}",
                    outcome.code
                );
            }
        } else if outcome.code == 0 {
            self.register(step.register.as_ref());
        }
        outcome
    }

    /// Starts all steps at once. One that can't be started is reported and left out.
    pub fn start_all(&mut self, steps: &[Step]) -> Vec<Child> {
        let mut children = Vec::new();
        for step in steps {
            match self.executor.start(step) {
                Ok(child) => children.push(child),
                Err(error) => eprintln!("drbdadm: cannot run {}: {error}", self.printed(step)),
            }
        }
        children
    }

    /// Notes which configuration file a resource or minor belongs to.
    fn register(&self, registration: Option<&Registration>) {
        let (Some(registration), Some(config)) = (registration, &self.config) else {
            return;
        };
        let link = super::load::registration_link(registration);
        if let Some(folder) = link.parent() {
            // Without the folder the link fails, and that is reported.
            let _ = std::fs::create_dir_all(folder);
        }
        // The old link may or may not be there.
        let _ = std::fs::remove_file(&link);
        if let Err(error) = std::os::unix::fs::symlink(config, &link) {
            eprintln!(
                "drbdadm: cannot note the configuration in {}: {error}",
                link.display()
            );
        }
    }
}

/// Cutting a string without cutting a character.
trait FloorBoundary {
    fn floor_boundary(&self, at: usize) -> usize;
}

impl FloorBoundary for String {
    fn floor_boundary(&self, at: usize) -> usize {
        (0..=at.min(self.len()))
            .rev()
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

/// Writes to stdout; a reader that went away ends the program quietly, as a signal would.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(&text::encode(text)).is_err() {
        std::process::exit(20);
    }
}
