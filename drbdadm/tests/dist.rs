// SPDX-License-Identifier: GPL-2.0
//! `dist/install.sh` below a folder: what it puts there is sound, and what it takes away is all.
//!
//! The whole on a machine with the stock drbd-utils is the lab's scenario `install`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder to install below, and what `make` would have built.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sbin = folder.path().join("build/sbin");
        fs::create_dir_all(&sbin).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_drbdadm"), sbin.join("drbdadm")).expect("a link");
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn script(&self, verb: &str) -> Output {
        let script = repository().join("dist/install.sh");
        let output = Command::new(script)
            .arg(verb)
            .env("DESTDIR", self.root())
            .env("BUILD", self.folder.path().join("build"))
            .env("MODULE", "no")
            .output()
            .expect("install.sh runs");
        assert!(output.status.success(), "{verb}: {output:?}");
        output
    }

    /// Everything below the root, with the length of files.
    fn files(&self) -> BTreeMap<PathBuf, u64> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let meta = entry.metadata().expect("its metadata");
                if meta.is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path();
                    let below = path.strip_prefix(self.root()).expect("below the root");
                    found.insert(below.to_owned(), meta.len());
                }
            }
        }
        found
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a program of the build root; it must succeed and have nothing to say about `files`.
fn silent(program: &str, arguments: &[&str], files: &[PathBuf]) {
    assert!(!files.is_empty(), "nothing for {program} to look at");
    let output = Command::new(program)
        .args(arguments)
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error} (try scripts/in-root cargo test)"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{program}: {complaint}"
    );
}

fn with_ending(stage: &Stage, ending: &str) -> Vec<PathBuf> {
    let files = stage.files();
    let paths = files
        .keys()
        .filter(|path| path.to_string_lossy().ends_with(ending));
    paths.map(|path| stage.root().join(path)).collect()
}

#[test]
fn what_is_installed_is_sound() {
    let stage = Stage::new();
    stage.script("install");
    let files = stage.files();
    for name in [
        "usr/sbin/drbdadm",
        "usr/sbin/drbdsetup",
        "usr/sbin/drbdmeta",
        "usr/share/man/man8/drbdadm.8.gz",
        "usr/share/man/man8/drbdsetup.8.gz",
        "usr/share/man/man8/drbdmeta.8.gz",
        "usr/share/man/man5/drbd.conf.5.gz",
        "usr/share/bash-completion/completions/drbdadm",
        "usr/share/bash-completion/completions/drbdsetup",
        "usr/share/bash-completion/completions/drbdmeta",
        "usr/lib/udev/rules.d/65-drbd.rules",
        "usr/lib/systemd/system/drbd.service",
        "usr/lib/systemd/system/drbd@.service",
        "usr/lib/systemd/system/drbd@.target",
        "usr/lib/drbd/scripts/drbd",
        "etc/init.d/drbd",
        "etc/drbd.conf",
        "etc/drbd.d/global_common.conf",
        "usr/share/doc/drbd-rs/r0.res",
    ] {
        let length = files.get(Path::new(name));
        assert!(length.is_some_and(|length| *length > 0), "{name}");
    }
    for page in [with_ending(&stage, ".8.gz"), with_ending(&stage, ".5.gz")].concat() {
        silent("man", &["--warnings", "-Tutf8", "-Z", "-l"], &[page]);
    }
    let scripts = [
        "etc/init.d/drbd",
        "usr/lib/drbd/scripts/drbd-service-shim.sh",
    ];
    for script in scripts {
        silent("dash", &["-n"], &[stage.root().join(script)]);
    }
    for program in ["drbdadm", "drbdsetup", "drbdmeta"] {
        let name = format!("usr/share/bash-completion/completions/{program}");
        silent("bash", &["-n"], &[stage.root().join(name)]);
    }
    silent(
        "udevadm",
        &["verify", "--no-summary"],
        &with_ending(&stage, ".rules"),
    );
}

/// The units name programs by their final paths, so systemd is shown the installed tree.
#[test]
fn systemd_accepts_the_units() {
    let stage = Stage::new();
    stage.script("install");
    let root = stage.root();
    // Instances are what can be verified; the units that others provide are made up.
    let units = root.join("usr/lib/systemd/system");
    let mut names = Vec::new();
    for entry in fs::read_dir(&units).expect("units").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        names.push(name.replace("@.", "@r0."));
    }
    names.sort();
    assert_eq!(names.len(), 8, "{names:?}");
    let output = Command::new("systemd-analyze")
        .arg(format!("--root={}", root.display()))
        .args(["--man=no", "--recursive-errors=no", "verify"])
        .args(&names)
        .output()
        .expect("systemd-analyze runs (try scripts/in-root cargo test)");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert!(!complaint.contains("drbd"), "{complaint}");
}

#[test]
fn uninstall_takes_all_away_but_what_was_changed() {
    let stage = Stage::new();
    fs::create_dir_all(stage.root().join("etc/drbd.d")).expect("a folder");
    fs::write(stage.root().join("etc/drbd.d/mine.res"), "# mine\n").expect("a file");
    let before = stage.files();
    stage.script("install");
    // Once more over itself: nothing is left of the first time.
    stage.script("install");
    stage.script("uninstall");
    assert_eq!(stage.files(), before);
    assert!(!stage.root().join("usr").exists());

    stage.script("install");
    fs::write(stage.root().join("etc/drbd.conf"), "# changed\n").expect("a file");
    let output = stage.script("uninstall");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("/etc/drbd.conf was changed and stays"),
        "{said}"
    );
    let after = stage.files();
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.contains_key(Path::new("etc/drbd.conf")));
}
