// SPDX-License-Identifier: GPL-2.0
//! Counts what our drbdadm and the stock one take for a node of 500 resources, and fails if ours
//! takes more.
//!
//! Both run under valgrind, which counts the instructions of drbdadm itself: the figures do not
//! depend on the host. Both get the same stand-ins for drbdsetup and drbdmeta, so that nothing is
//! done to this machine; what the stand-ins take is not counted. `write` puts the figures into
//! docs/performance.md.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// The stock program for series 8.4, as the build root's drbd-utils has it.
const STOCK: &str = "/usr/lib/drbd/drbdadm-84";
/// How many resources. Stock keeps what must be unique in a table of fixed size: with a few more,
/// or with `/dev` names for the devices, it ends with "hash table entry failed".
const RESOURCES: u32 = 500;
/// What is compared.
const COMMANDS: [&[&str]; 2] = [&["dump", "all"], &["-d", "adjust", "all"]];
/// The figures in docs/performance.md stand between these lines.
const MARKS: [&str; 2] = [
    "<!-- by xtask instructions -->\n",
    "<!-- end of instructions -->\n",
];

/// What one command took.
struct Figure {
    command: String,
    stock: u64,
    ours: u64,
}

/// Counts, compares, and writes the figures down if told to.
pub(crate) fn run(top: &Path, write: bool) -> Result<(), Error> {
    let folder = top.join("build/instructions");
    fs::create_dir_all(&folder).map_err(|error| Error::File(folder.clone(), error))?;
    // Both print names of files, each in its own way unless they are plain.
    let folder = fs::canonicalize(&folder).map_err(|error| Error::File(folder, error))?;
    stage(&folder)?;
    let mut figures = Vec::new();
    for command in COMMANDS {
        let (stock, theirs) = count(&folder, Path::new(STOCK), command)?;
        let (ours, answer) = count(&folder, &top.join("build/sbin/drbdadm"), command)?;
        let command = command.join(" ");
        if answer != theirs {
            return Err(Error::Found(format!("`drbdadm {command}` differs")));
        }
        figures.push(Figure {
            command,
            stock,
            ours,
        });
    }
    let table = table(&figures);
    print!("{table}");
    if write {
        note(&top.join("docs/performance.md"), &table)?;
    }
    match figures.iter().find(|figure| figure.ours > figure.stock) {
        None => Ok(()),
        Some(figure) => Err(Error::Found(format!(
            "`drbdadm {}` takes more instructions than stock's",
            figure.command
        ))),
    }
}

/// The configuration, what runs of it, and the stand-ins.
fn stage(folder: &Path) -> Result<(), Error> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Error::File(path, error))
    };
    let mut text = String::from(
        "global { usage-count no; }\n\
         common {\n    net { protocol C; max-buffers 8000; }\n    \
         disk { al-extents 1237; resync-rate 33M; }\n    \
         handlers { split-brain \"/usr/lib/drbd/notify-split-brain.sh root\"; }\n}\n",
    );
    for number in 0..RESOURCES {
        let _ = write!(
            text,
            "resource r{number} {{\n    \
             net {{ verify-alg crc32c; after-sb-0pri discard-zero-changes; }}\n"
        );
        for (host, address) in [("alice", "127.0.0.1"), ("bob", "10.0.0.2")] {
            let port = 7000 + number;
            let _ = write!(
                text,
                "    on {host} {{\n        device minor {number};\n        \
                 disk /dev/vg/r{number};\n        meta-disk internal;\n        \
                 address {address}:{port};\n    }}\n"
            );
        }
        text.push_str("}\n");
        write(&format!("show.r{number}"), &shown(number))?;
    }
    write("t.conf", &text)?;
    let show = folder.join("show");
    for (name, script) in [
        (
            "drbdsetup-84",
            format!(
                "#!/bin/sh\n[ \"$1\" = show ] && exec cat {}.$2\n",
                show.display()
            ),
        ),
        ("drbdmeta", "#!/bin/sh\n".to_owned()),
    ] {
        write(name, &script)?;
        let path = folder.join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o755))
            .map_err(|error| Error::File(path, error))?;
    }
    Ok(())
}

/// What `drbdsetup show` says of a resource. Of every tenth an option differs, every 25th is down.
fn shown(number: u32) -> String {
    if number % 25 == 24 {
        return String::new();
    }
    let extents = if number % 10 == 9 { 257 } else { 1237 };
    let port = 7000 + number;
    format!(
        "resource r{number} {{\n    options {{\n    }}\n    net {{\n        \
         max-buffers     \t8000;\n        after-sb-0pri   \tdiscard-zero-changes;\n        \
         verify-alg      \t\"crc32c\";\n    }}\n    _remote_host {{\n        \
         address\t\t\tipv4 10.0.0.2:{port};\n    }}\n    _this_host {{\n        \
         address\t\t\tipv4 127.0.0.1:{port};\n        volume 0 {{\n            \
         device\t\t\tminor {number};\n            disk\t\t\t\"/dev/vg/r{number}\";\n            \
         meta-disk\t\t\tinternal;\n            disk {{\n                \
         resync-rate     \t33792k; # bytes/second\n                \
         al-extents      \t{extents};\n            }}\n        }}\n    }}\n}}\n"
    )
}

/// The instructions that `program` takes for a command, and what it printed.
fn count(folder: &Path, program: &Path, command: &[&str]) -> Result<(u64, Vec<u8>), Error> {
    let log = folder.join("valgrind.log");
    let path = |name: &str| folder.join(name);
    let option = |name: &str, path: &Path| {
        let mut option = OsStr::new(name).to_owned();
        option.push(path);
        option
    };
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--callgrind-out-file=/dev/null")
        .arg(option("--log-file=", &log))
        .arg(program)
        .arg("-s")
        .arg(path("drbdsetup-84"))
        .arg("-m")
        .arg(path("drbdmeta"))
        .arg("-c")
        .arg(path("t.conf"))
        .args(command)
        // The environment's size would be counted, too.
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("__DRBD_NODE__", "alice")
        .env("DRBD_DONT_WARN_ON_VERSION_MISMATCH", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|error| Error::Program("valgrind".to_owned(), error))?;
    let name = program.display();
    if !output.status.success() {
        let status = output.status;
        return Err(Error::Found(format!("{name} under valgrind: {status}")));
    }
    let text = fs::read_to_string(&log).map_err(|error| Error::File(log, error))?;
    let collected = collected(&text);
    collected
        .map(|count| (count, output.stdout))
        .ok_or_else(|| Error::Found(format!("valgrind tells no count for {name}")))
}

/// The last `Collected : COUNT` of valgrind's log; children that only call `exec` come before it.
fn collected(log: &str) -> Option<u64> {
    let counts = log
        .lines()
        .filter_map(|line| line.split_once("Collected : "));
    counts
        .filter_map(|(_, count)| count.trim().parse().ok())
        .last()
}

fn table(figures: &[Figure]) -> String {
    let mut text = String::from("| command | stock | ours | ratio |\n|---|---|---|---|\n");
    for Figure {
        command,
        stock,
        ours,
    } in figures
    {
        // Hundredths, without the rounding of floating numbers.
        let ratio = ours * 100 / (*stock).max(1);
        let (whole, rest) = (ratio / 100, ratio % 100);
        let million =
            |count: u64| format!("{}.{} million", count / 1_000_000, count / 100_000 % 10);
        let (stock, ours) = (million(*stock), million(*ours));
        let _ = writeln!(
            text,
            "| `drbdadm {command}` | {stock} | {ours} | {whole}.{rest:02} |"
        );
    }
    text
}

/// Replaces what stands between the marks of a file.
fn note(path: &PathBuf, table: &str) -> Result<(), Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::File(path.clone(), error))?;
    let parts = text
        .split_once(MARKS[0])
        .and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let Some((before, after)) = parts else {
        let name = path.display();
        return Err(Error::Found(format!("{name} has no place for the figures")));
    };
    let text = format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]);
    fs::write(path, text).map_err(|error| Error::File(path.clone(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_count_is_that_of_the_program() {
        let log = "==7== Events    : Ir\n==7== Collected : 12\n==5== Collected : 3456\n";
        assert_eq!(collected(log), Some(3456));
        assert_eq!(collected("==7== Events : Ir\n"), None);
    }

    #[test]
    fn the_table_has_a_row_for_each_command() {
        let figures = [Figure {
            command: "dump all".to_owned(),
            stock: 200_400_000,
            ours: 101_250_000,
        }];
        assert!(table(&figures)
            .ends_with("| `drbdadm dump all` | 200.4 million | 101.2 million | 0.50 |\n"));
    }
}
