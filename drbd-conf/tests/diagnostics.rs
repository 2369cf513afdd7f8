// SPDX-License-Identifier: GPL-2.0
//! What people see: each `tests/fixtures/NAME.conf` gives exactly `NAME.expect`.
//!
//! The last line of an expectation is the exit code. With `DRBD_CONF_UPDATE` set the
//! expectations are written anew; look at the difference before you commit it.

use drbd_conf::bind::{Env, Node};
use drbd_conf::check::judge;
use drbd_conf::parse::{Parsed, Parser};
use drbd_conf::render::render;
use drbd_conf::source::FileSystem;
use drbd_conf::tree::Family;
use std::fs;
use std::path::{Path, PathBuf};

struct Alice;

impl Node for Alice {
    fn name(&self) -> &str {
        "alice"
    }
    fn has_address(&self, _family: Family, address: &str) -> bool {
        address.starts_with("127.")
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn load(path: &Path) -> Parsed {
    let name = path
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    let mut parser = Parser::new(&FileSystem, &|_| None);
    parser.file(&name, path).expect("the fixture");
    let mut parsed = parser.finish(&name);
    if parsed.exit_code() == 0 {
        let env = Env {
            node: &Alice,
            peer: None,
            by_proxy: false,
            interactive: true,
        };
        judge(&mut parsed, &env);
    }
    parsed
}

fn shown(path: &Path) -> String {
    let parsed = load(path);
    let mut text = String::new();
    for diagnostic in &parsed.diagnostics {
        text.push_str(&render(&parsed.sources, diagnostic, false));
        text.push_str("\n\n");
    }
    text + &format!("exit {}\n", parsed.exit_code())
}

#[test]
fn fixtures_give_what_is_expected() {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the fixtures")
        .map(|e| e.expect("an entry").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "conf"));
    paths.sort();
    assert!(paths.len() >= 10, "only {} fixtures", paths.len());
    for path in paths {
        let expectation = path.with_extension("expect");
        let shown = shown(&path);
        if std::env::var_os("DRBD_CONF_UPDATE").is_some() {
            fs::write(&expectation, &shown).expect("the expectation is written");
            continue;
        }
        let expected = fs::read_to_string(&expectation).expect("the expectation");
        assert_eq!(shown, expected, "{}", path.display());
    }
}
