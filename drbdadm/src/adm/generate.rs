// SPDX-License-Identifier: GPL-2.0
//! Texts about drbdadm itself: lists of commands, completion scripts, man pages.

use super::cli::definition;
use super::command::{Group, COMMANDS};
use super::exec::print;
use std::path::Path;

/// What `hidden-commands` prints.
#[must_use]
pub fn hidden_commands() -> String {
    let mut text = String::from("\n");
    for (group, head) in [
        (Group::Shell, "For shell scripts around drbdadm:"),
        (
            Group::Handler,
            "Called by the kernel, which runs them as its helper programs:",
        ),
        (Group::Expert, "For experts and developers:"),
    ] {
        text.push_str(&format!("{head}\n\n"));
        let names: Vec<&str> = COMMANDS
            .iter()
            .filter(|c| c.group == group)
            .map(|c| c.name)
            .collect();
        for pair in names.chunks(2) {
            let cells: String = pair.iter().map(|name| format!(" {name:<34}")).collect();
            text.push_str(&format!("{cells}\n"));
        }
        text.push('\n');
    }
    text
}

/// `drbdadm generate completion bash|zsh|fish` and `drbdadm generate man FOLDER`.
pub fn generate(words: &[String]) -> u8 {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["completion", shell] => completion(shell),
        ["man", folder] => man_pages(Path::new(folder)),
        _ => Err("usage: drbdadm generate completion bash|zsh|fish, or generate man FOLDER".into()),
    };
    match done {
        Ok(()) => 0,
        Err(text) => {
            eprintln!("drbdadm: {text}");
            1
        }
    }
}

fn completion(shell: &str) -> Result<(), String> {
    let shell: clap_complete::Shell = shell
        .parse()
        .map_err(|_| format!("no completion for `{shell}`"))?;
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut definition(), "drbdadm", &mut bytes);
    print(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// drbdadm.8, and one page for each command that people use.
fn man_pages(folder: &Path) -> Result<(), String> {
    let complain = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(complain)?;
    let mut bytes = Vec::new();
    let man = clap_mangen::Man::new(definition())
        .section("8")
        .manual("DRBD 8.4");
    man.render(&mut bytes).map_err(complain)?;
    std::fs::write(folder.join("drbdadm.8"), &bytes).map_err(complain)
}
