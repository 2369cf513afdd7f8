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
            for name in pair {
                text.push_str(&format!(" {name:<34}"));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// `drbdadm generate completion bash|zsh|fish [PROGRAM]` and `drbdadm generate man FOLDER`.
pub fn generate(words: &[String]) -> u8 {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["completion", shell] => completion(shell, "drbdadm"),
        ["completion", shell, program] => completion(shell, program),
        ["man", folder] => man_pages(Path::new(folder)),
        _ => Err(
            "usage: drbdadm generate completion bash|zsh|fish [PROGRAM], or generate man FOLDER"
                .into(),
        ),
    };
    match done {
        Ok(()) => 0,
        Err(text) => {
            eprintln!("drbdadm: {text}");
            1
        }
    }
}

/// Behind the command the names of the resources count as well.
const BASH_NAMES: &str = r#"
_drbdadm_with_names() {
    _drbdadm "$@"
    local cur=${COMP_WORDS[COMP_CWORD]} stacked= word
    [[ $COMP_CWORD -gt 1 && $cur != -* ]] || return 0
    for word in "${COMP_WORDS[@]}"; do
        [[ $word == -S || $word == --stacked ]] && stacked=--stacked
    done
    COMPREPLY=($(compgen -W "all $(DRBD_DONT_WARN_ON_VERSION_MISMATCH=1 drbdadm $stacked \
        sh-resources 2>/dev/null)" -- "$cur"))
}
complete -F _drbdadm_with_names -o bashdefault -o default drbdadm
"#;

fn completion(shell: &str, program: &str) -> Result<(), String> {
    let shell: clap_complete::Shell = shell
        .parse()
        .map_err(|_| format!("no completion for `{shell}`"))?;
    let mut all = match program {
        "drbdadm" => definition(),
        "drbdsetup" => crate::setup::cli::definition(),
        "drbdmeta" => crate::meta::cli::command(),
        _ => return Err(format!("no completion for `{program}`")),
    };
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut all, program, &mut bytes);
    print(&String::from_utf8_lossy(&bytes));
    if shell == clap_complete::Shell::Bash && program == "drbdadm" {
        print(BASH_NAMES);
    }
    Ok(())
}

/// drbdadm.8, a page for each of its commands that people use, drbdsetup.8, drbdmeta.8 and
/// drbd.conf.5.
fn man_pages(folder: &Path) -> Result<(), String> {
    let complain = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(complain)?;
    let all = definition();
    let page = |command: clap::Command, name: &str| {
        let mut bytes = Vec::new();
        clap_mangen::Man::new(command)
            .section("8")
            .manual("DRBD 8.4")
            .render(&mut bytes)?;
        std::fs::write(folder.join(format!("{name}.8")), &bytes)
    };
    page(all.clone(), "drbdadm").map_err(complain)?;
    for command in all
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = format!("drbdadm-{}", command.get_name());
        let spoken = format!("drbdadm {}", command.get_name());
        let command = command.clone().display_name(name.clone()).bin_name(spoken);
        page(command, &name).map_err(complain)?;
    }
    for (name, text) in [
        ("drbdsetup.8", crate::setup::manual::page()),
        ("drbdmeta.8", crate::meta::manual::page()),
        ("drbd.conf.5", super::manual::drbd_conf()),
    ] {
        std::fs::write(folder.join(name), text).map_err(complain)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hidden_command_is_listed() {
        let text = hidden_commands();
        for command in COMMANDS
            .iter()
            .filter(|command| command.group != Group::Normal)
        {
            assert!(
                text.contains(&format!(" {} ", command.name)),
                "{}",
                command.name
            );
        }
    }

    #[test]
    fn pages_are_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(man_pages(folder.path()), Ok(()));
        for name in [
            "drbdadm.8",
            "drbdadm-attach.8",
            "drbdsetup.8",
            "drbdmeta.8",
            "drbd.conf.5",
        ] {
            let page = std::fs::read_to_string(folder.path().join(name)).expect("the page");
            assert!(page.contains(".TH"), "{name}");
        }
    }
}
