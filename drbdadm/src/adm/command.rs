// SPDX-License-Identifier: GPL-2.0
//! The table of drbdadm's commands: what each acts on and what it needs.
//!
//! Source: docs/configuration.md, "Commands".

mod table;

pub use table::COMMANDS;

/// Which list a command is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// For people; in the usage text.
    Normal,
    /// For scripts.
    Shell,
    /// Called by the kernel.
    Handler,
    /// For experts.
    Expert,
}

/// What a command acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The configuration as a whole; names are ignored.
    Nothing,
    /// Each resource once.
    Resource,
    /// Each volume once.
    Volume,
    /// One volume, which must be named unless it is the implicit one.
    OneVolume,
}

/// Which options of the back end a command takes and passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// None.
    Nothing,
    /// Those of `attach`.
    Attach,
    /// Those of `disk-options`.
    DiskOptions,
    /// Those of `connect`.
    Connect,
    /// Those of `net-options`.
    NetOptions,
    /// Those of `resource-options`.
    ResourceOptions,
    /// A few that are listed: name, value name (`None`: a flag), text.
    Listed(&'static [(&'static str, Option<&'static str>, &'static str)]),
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// List.
    pub group: Group,
    /// What it acts on.
    pub scope: Scope,
    /// The local address must be on an interface.
    pub ip: bool,
    /// The peer's section must be known.
    pub peer: bool,
    /// Acts on `all` when no name is given.
    pub default_all: bool,
    /// Options.
    pub passes: Passes,
    /// One line of help.
    pub about: &'static str,
}

impl Command {
    /// True for the commands that must name resources: these have the configuration checked.
    #[must_use]
    pub fn needs_names(&self) -> bool {
        self.scope != Scope::Nothing
    }

    /// True for the two that print the configuration.
    #[must_use]
    pub fn is_dump(&self) -> bool {
        matches!(self.name, "dump" | "dump-xml")
    }

    /// True for those that look for this node in `proxy on`.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        matches!(self.name, "proxy-up" | "proxy-down")
    }
}

/// Older names: the name, today's.
pub const DEPRECATED: &[(&str, &str)] = &[("state", "role"), ("outdate-peer", "fence-peer")];

/// The command called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for command in COMMANDS {
            let same = COMMANDS
                .iter()
                .filter(|other| other.name == command.name)
                .count();
            assert_eq!(same, 1, "{}", command.name);
        }
        for (old, name) in DEPRECATED {
            assert!(find(old).is_none() && find(name).is_some());
        }
    }

    #[test]
    fn every_handler_has_a_command() {
        for handler in drbd_conf::options::HANDLERS {
            let command = find(handler.name);
            assert!(
                command.is_some_and(|c| c.group == Group::Handler),
                "{}",
                handler.name
            );
        }
    }
}
