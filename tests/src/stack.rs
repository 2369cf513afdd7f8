// SPDX-License-Identifier: GPL-2.0
//! Which implementation runs on a node: the module and the tools, ours or the stock ones.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Context, LabError, Result};
use crate::node::Node;

/// Who wrote a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// This project.
    Ours,
    /// The C driver in the stock kernel, or the stock drbd-utils.
    C,
}

/// What runs on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The kernel module.
    pub module: Implementation,
    /// drbdadm, drbdsetup and drbdmeta.
    pub tools: Implementation,
}

impl Stack {
    /// All ours.
    pub const OURS: Self = Self {
        module: Implementation::Ours,
        tools: Implementation::Ours,
    };
    /// All stock.
    pub const C: Self = Self {
        module: Implementation::C,
        tools: Implementation::C,
    };
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.module, self.tools) {
            (Implementation::Ours, Implementation::Ours) => "ours",
            (Implementation::C, Implementation::C) => "c",
            (Implementation::Ours, Implementation::C) => "ours+stock",
            (Implementation::C, Implementation::Ours) => "c+ours",
        })
    }
}

impl FromStr for Stack {
    type Err = String;

    /// `ours` or `c`, or module and tools apart: `ours+stock`, `c+ours`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let part = |text: &str| match text {
            "ours" => Ok(Implementation::Ours),
            "c" | "C" | "stock" => Ok(Implementation::C),
            _ => Err(format!(
                "`{text}` is neither `ours` nor `c` (for tools: `stock`)"
            )),
        };
        let (module, tools) = text.split_once('+').unwrap_or((text, text));
        Ok(Self {
            module: part(module)?,
            tools: part(tools)?,
        })
    }
}

/// What runs on alpha and on beta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    /// On alpha.
    pub alpha: Stack,
    /// On beta.
    pub beta: Stack,
}

impl Pair {
    /// The oracle: C on both nodes.
    pub const C: Self = Self {
        alpha: Stack::C,
        beta: Stack::C,
    };

    /// Whether nothing of ours runs.
    #[must_use]
    pub fn is_oracle(self) -> bool {
        self == Self::C
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.alpha, self.beta)
    }
}

impl FromStr for Pair {
    type Err = String;

    /// Two stacks with a colon between: `ours:c`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (alpha, beta) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` is no pair like `ours:c`"))?;
        Ok(Self {
            alpha: alpha.parse()?,
            beta: beta.parse()?,
        })
    }
}

/// Where our module and tools are on the host.
#[derive(Debug, Clone)]
pub struct Build {
    /// `drbd.ko`.
    pub module: PathBuf,
    /// The folder with drbdadm, drbdsetup and drbdmeta.
    pub tools: PathBuf,
}

impl Build {
    /// What `make` leaves in a checkout.
    #[must_use]
    pub fn of(checkout: &Path) -> Self {
        Self {
            module: checkout.join("build/drbd.ko"),
            tools: checkout.join("build/sbin"),
        }
    }
}

/// Where the pushed module is on a node.
pub const MODULE: &str = "/lab/drbd.ko";
/// Where the stock tools are on every node, whatever its stack.
pub const STOCK_TOOLS: &str = "/lab/stock";
/// The tools by name.
pub const TOOLS: [&str; 3] = ["drbdadm", "drbdsetup", "drbdmeta"];

impl Stack {
    /// Puts module and tools where the node's system finds them, right after its boot.
    ///
    /// # Errors
    /// When a file is missing on the host or the node refuses it.
    pub fn install(self, node: &Node, build: &Build) -> Result<()> {
        if self.module == Implementation::Ours {
            node.push(&build.module, MODULE, 0o644)?;
            // Whoever asks for "drbd" must never get the C driver by silence.
            node.put(
                "/etc/modprobe.d/lab-drbd.conf",
                format!("install drbd /sbin/insmod {MODULE} $CMDLINE_OPTS\n").as_bytes(),
            )?;
        }
        if self.tools == Implementation::Ours {
            install_tools(node, &build.tools)?;
        }
        Ok(())
    }
}

/// Takes off what [`Stack::install`] of another stack put on the node: the stock tools are back,
/// and `modprobe` finds the driver of the kernel. Nothing of DRBD may be loaded.
///
/// # Errors
/// When a module is loaded, or the node refuses a step.
pub fn uninstall(node: &Node) -> Result<()> {
    node.sh("! test -e /sys/module/drbd && rm -f /etc/modprobe.d/lab-drbd.conf")?;
    for tool in TOOLS {
        node.sh(&format!(
            "rm -f /usr/sbin/{tool} && cp {STOCK_TOOLS}/{tool} /usr/sbin/{tool}"
        ))?;
    }
    Ok(())
}

/// Our tools replace the stock ones: the kernel calls `/sbin/drbdadm` by its path, and so do the
/// udev rules and the init script.
fn install_tools(node: &Node, folder: &Path) -> Result<()> {
    let mut pushed: Option<(Vec<u8>, String)> = None;
    for tool in TOOLS {
        let host = folder.join(tool);
        let content = fs::read(&host).at("read", &host)?;
        let path = format!("/usr/sbin/{tool}");
        node.sh(&format!("rm -f {path}"))?;
        match &pushed {
            // One program under several names travels once.
            Some((first, at)) if *first == content => {
                node.sh(&format!("ln -s {at} {path}"))?;
            }
            _ => {
                node.push(&host, &path, 0o755)?;
                pushed = Some((content, path));
            }
        }
    }
    Ok(())
}

/// Insists that the module that runs on `node` is the one that its stack says.
///
/// An out-of-tree module marks itself with taint `O`; the C driver comes with the kernel.
///
/// # Errors
/// When it is the other one, or none is loaded.
pub fn assert_module(node: &Node) -> Result<()> {
    let taint = node.sh("cat /sys/module/drbd/taint")?;
    let running = if taint.contains('O') {
        Implementation::Ours
    } else {
        Implementation::C
    };
    if running == node.stack().module {
        return Ok(());
    }
    Err(LabError::Mismatch(format!(
        "{}: the module that runs is not the one of this pairing ({}; taint `{}`)",
        node.name(),
        node.stack(),
        taint.trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_written_as_it_is_read() {
        for text in ["ours:c", "c:c", "ours+stock:c+ours", "ours:ours"] {
            assert_eq!(text.parse::<Pair>().unwrap().to_string(), text);
        }
        assert!("ours".parse::<Pair>().is_err());
        assert!("ours:d".parse::<Pair>().is_err());
    }
}
