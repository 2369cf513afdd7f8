// SPDX-License-Identifier: GPL-2.0
//! A folder with a configuration, and stand-ins for what drbdadm calls: nothing is done to this
//! machine, whichever drbdadm runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::call::call;

/// The stock program for series 8.4, as the build root's drbd-utils has it.
const STOCK: &str = "/usr/lib/drbd/drbdadm-84";

/// Which drbdadm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Stock,
}

impl Program {
    fn path(self) -> &'static Path {
        match self {
            Self::Ours => Path::new(env!("CARGO_BIN_EXE_drbdadm")),
            Self::Stock => {
                let path = Path::new(STOCK);
                assert!(
                    path.exists(),
                    "no {STOCK}: run this in the build root (scripts/in-root cargo test)"
                );
                path
            }
        }
    }
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub(crate) exit: Option<i32>,
    /// Standard output, without the version of the tools.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Whether a script would see no difference. Where stock crashes, any answer will do.
    pub(crate) fn agrees_with(&self, stock: &Self) -> bool {
        match stock.exit {
            None => self.exit.is_some(),
            Some(_) => self.exit == stock.exit && self.stdout == stock.stdout,
        }
    }
}

/// A folder with files and stand-ins; one for each thread.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Self { folder };
        let setup = format!(
            "#!/bin/sh\n[ \"$1 $2\" = \"show r0\" ] && exec cat {}\nexit 0\n",
            stage.path("show.txt").display()
        );
        stage.program("drbdsetup-84", &setup);
        stage.program("drbdmeta", "#!/bin/sh\n");
        stage.show("");
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text.as_bytes());
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(name), mode).expect("its mode");
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &[u8]) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// What `drbdsetup show r0` says from now on; of others it knows nothing.
    pub(crate) fn show(&self, text: &str) {
        self.write("show.txt", text.as_bytes());
    }

    /// Runs `drbdadm -c t.conf COMMAND` on the node alice.
    pub(crate) fn run(&self, program: Program, command: &str) -> Outcome {
        let output = call(program.path(), self.folder.path(), "t.conf", command);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stdout: Vec<String> = stdout
            .lines()
            .map(|line| match line.starts_with("_drbd_version=") {
                true => "_drbd_version=X\n".to_owned(),
                false => format!("{line}\n"),
            })
            .collect();
        Outcome {
            exit: output.status.code(),
            stdout: stdout.concat(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
