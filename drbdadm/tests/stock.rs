// SPDX-License-Identifier: GPL-2.0
//! drbdadm against recordings of stock's drbdadm-84 (drbd-utils 9.22.0): same exit codes, same
//! standard output, over the configurations and commands in `tests/stock/`.
//!
//! With `DRBD_STOCK=/path/to/drbdadm-84` set the recordings are made anew from that program.
//! Nothing is run on this machine: both get stand-ins for drbdsetup and drbdmeta.

#[path = "differential/call.rs"]
mod call;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use call::call;

/// One configuration and what was run on it.
#[derive(Debug, Default)]
struct Case {
    name: String,
    /// The files; the first is the main one.
    files: Vec<(String, String)>,
    /// What `drbdsetup show` says.
    show: String,
    runs: Vec<Run>,
}

#[derive(Debug, Default)]
struct Run {
    command: String,
    stdout: String,
    exit: String,
}

/// Reads a file of cases. `### case`, `### file`, `### show` and `$ ` begin the parts.
fn parse(text: &str) -> Vec<Case> {
    enum Into {
        File,
        Show,
        Stdout,
        Nothing,
    }
    let mut cases: Vec<Case> = Vec::new();
    let mut into = Into::Nothing;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### case ") {
            cases.push(Case {
                name: name.to_owned(),
                ..Case::default()
            });
            into = Into::Nothing;
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        if let Some(name) = line.strip_prefix("### file ") {
            case.files.push((name.to_owned(), String::new()));
            into = Into::File;
        } else if line == "### show" {
            into = Into::Show;
        } else if let Some(command) = line.strip_prefix("$ ") {
            case.runs.push(Run {
                command: command.to_owned(),
                ..Run::default()
            });
            into = Into::Stdout;
        } else if let (Some(code), Into::Stdout) = (exit_line(line), &into) {
            if let Some(run) = case.runs.last_mut() {
                run.exit = code.to_owned();
            }
            into = Into::Nothing;
        } else {
            let part = match into {
                Into::File => case.files.last_mut().map(|(_, text)| text),
                Into::Show => Some(&mut case.show),
                Into::Stdout => case.runs.last_mut().map(|run| &mut run.stdout),
                Into::Nothing => None,
            };
            if let Some(part) = part {
                part.push_str(line);
                part.push('\n');
            }
        }
    }
    cases
}

fn exit_line(line: &str) -> Option<&str> {
    line.strip_prefix("[exit ")?.strip_suffix(']')
}

fn format(head: &str, cases: &[Case]) -> String {
    let mut text = head.to_owned();
    for case in cases {
        let _ = writeln!(text, "### case {}", case.name);
        for (name, content) in &case.files {
            let _ = write!(text, "### file {name}\n{content}");
        }
        if !case.show.is_empty() {
            let _ = write!(text, "### show\n{}", case.show);
        }
        for run in &case.runs {
            let _ = writeln!(text, "$ {}\n{}[exit {}]", run.command, run.stdout, run.exit);
        }
    }
    text
}

/// A folder with the configuration and the stand-ins.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(case: &Case) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in &case.files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
            fs::write(path, text).expect("a configuration file");
        }
        fs::write(folder.path().join("show.txt"), &case.show).expect("the text of show");
        let setup = format!(
            "#!/bin/sh\n[ \"$1\" = show ] && cat {}/show.txt\nexit 0\n",
            folder.path().display()
        );
        for (name, text) in [
            ("drbdsetup-84", setup.as_str()),
            ("drbdmeta", "#!/bin/sh\n"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a stand-in");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        Stage { folder }
    }

    /// Runs a command line and gives exit code and normalised output.
    fn run(&self, program: &Path, case: &Case, command: &str) -> (String, String, String) {
        let main = case
            .files
            .first()
            .map_or("t.conf", |(name, _)| name.as_str());
        let folder = self.folder.path();
        let output = call(program, folder, main, command);
        let code = output
            .status
            .code()
            .map_or("crash".to_owned(), |code| code.to_string());
        let root = format!("{}/", folder.display());
        let stdout = String::from_utf8_lossy(&output.stdout).replace(&root, "");
        let stdout: String = stdout
            .lines()
            .map(|line| match line.starts_with("_drbd_version=") {
                true => "_drbd_version=X\n".to_owned(),
                false => format!("{line}\n"),
            })
            .collect();
        (
            code,
            stdout,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

fn ours() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_drbdadm"))
}

/// Compares with a file of recordings, or makes it anew.
fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/stock")
        .join(file);
    let text = fs::read_to_string(&path).expect("the recordings");
    let head: Vec<String> = text
        .lines()
        .take_while(|l| !l.starts_with("### "))
        .map(|l| format!("{l}\n"))
        .collect();
    let head = head.concat();
    let mut cases = parse(&text);
    assert!(!cases.is_empty(), "{file} holds no case");
    if let Some(stock) = std::env::var_os("DRBD_STOCK") {
        for case in &mut cases {
            let stage = Stage::new(case);
            let runs: Vec<String> = case.runs.iter().map(|run| run.command.clone()).collect();
            case.runs = runs
                .into_iter()
                .map(|command| {
                    let (exit, stdout, _) = stage.run(Path::new(&stock), case, &command);
                    Run {
                        command,
                        stdout,
                        exit,
                    }
                })
                .collect();
        }
        fs::write(&path, format(&head, &cases)).expect("the recordings are written");
        return;
    }
    let mut compared = 0;
    let mut different = String::new();
    for case in &cases {
        let stage = Stage::new(case);
        for run in &case.runs {
            let (exit, stdout, stderr) = stage.run(&ours(), case, &run.command);
            if run.exit == "crash" {
                // Where stock crashes there must be an answer, whatever it is.
                assert_ne!(exit, "crash", "{} $ {}", case.name, run.command);
            } else if exit != run.exit || stdout != run.stdout {
                let _ = writeln!(
                    different,
                    "--- {} $ {}\nstock [{}]\n{}ours [{exit}]\n{stdout}{stderr}",
                    case.name, run.command, run.exit, run.stdout
                );
            }
            compared += 1;
        }
    }
    assert!(different.is_empty(), "{different}");
    assert!(compared > 0, "{file} runs nothing");
}

/// The corpus of docs/configuration.md with every command.
#[test]
fn corpus() {
    check("corpus.txt");
}

/// Configurations from a grammar; stock accepts most.
#[test]
fn generated() {
    check("generated.txt");
}

/// The same with one or two tokens damaged; stock accepts few.
#[test]
fn damaged() {
    check("damaged.txt");
}

/// `adjust` against what `drbdsetup show` said.
#[test]
fn adjust() {
    check("adjust.txt");
}
