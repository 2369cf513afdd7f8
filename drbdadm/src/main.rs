// SPDX-License-Identifier: GPL-2.0
//! drbdadm, drbdsetup and drbdmeta in one program; the name it is called by chooses.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    match Program::from_argv0(&name) {
        Program::Drbdadm => drbdadm::adm::main(args),
        Program::Drbdmeta => drbdadm::meta::main(args),
        Program::Drbdsetup => drbdadm::setup::main(args),
    }
}

/// The three programs that share this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Drbdadm,
    Drbdmeta,
    Drbdsetup,
}

impl Program {
    /// Chooses by the last path component; suffixes (`drbdsetup-84`) do not matter.
    fn from_argv0(argv0: &OsString) -> Self {
        let name = Path::new(argv0)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        if name.starts_with("drbdsetup") {
            Self::Drbdsetup
        } else if name.starts_with("drbdmeta") {
            Self::Drbdmeta
        } else {
            Self::Drbdadm
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn the_last_component_of_the_name_chooses() {
        for (argv0, program) in [
            ("/usr/sbin/drbdmeta", Program::Drbdmeta),
            ("drbdsetup", Program::Drbdsetup),
            ("/lib/drbd/drbdsetup-84", Program::Drbdsetup),
            ("./drbdadm", Program::Drbdadm),
            ("", Program::Drbdadm),
        ] {
            assert_eq!(Program::from_argv0(&argv0.into()), program, "{argv0}");
        }
    }
}
