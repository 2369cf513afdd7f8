// SPDX-License-Identifier: GPL-2.0
//! Both machines open to type in: one terminal, switched between the nodes' shells.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use nix::sys::termios::{cfmakeraw, tcgetattr, tcsetattr, SetArg, Termios};

use crate::error::{Context, LabError, Result};
use crate::lab::Lab;
use crate::node::Input;
use crate::protocol::Reply;
use crate::time;

/// Ctrl-] switches to the other node; followed by `q` it leaves.
const SWITCH: u8 = 0x1d;

/// The terminal in raw mode; put back on drop.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("terminal")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).context("terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Opens a shell on each node and connects the terminal to them until the user leaves, or until
/// the last shell has ended.
///
/// # Errors
/// When standard input is no terminal, or a machine goes away.
pub fn open(lab: &Lab) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(LabError::Setup(
            "`shell` wants a terminal; `run` does not".into(),
        ));
    }
    let (rows, columns) = size();
    let names: Vec<&str> = lab.nodes().iter().map(|node| node.name()).collect();
    eprintln!(
        "Ctrl-] switches between {}; Ctrl-] q leaves",
        names.join(" and ")
    );
    let _raw = Raw::enter()?;
    let shown = AtomicUsize::new(0);
    let (done, all_done) = channel();
    thread::scope(|scope| {
        let mut keyboards = Vec::new();
        for (index, node) in lab.nodes().iter().enumerate() {
            let job = node.start_terminal(rows, columns)?;
            keyboards.push(job.input());
            let (shown, done) = (&shown, done.clone());
            scope.spawn(move || {
                // A shell may stay open for as long as anybody likes.
                let forever = time::seconds(60 * 60 * 24);
                let _ = job.stream(forever, |reply, data| {
                    // The other node's output waits in its own scroll-back: it is only dropped
                    // here while it is not looked at.
                    if matches!(reply, Reply::Out | Reply::Err)
                        && shown.load(Ordering::Relaxed) == index
                    {
                        let _ = io::stdout().write_all(data);
                        let _ = io::stdout().flush();
                    }
                });
                let _ = done.send(());
            });
        }
        type_in(&keyboards, &names, &shown);
        // The shells end with their terminals.
        for keyboard in &keyboards {
            let _ = keyboard.send(b"\x03\x04exit\n");
        }
        drop(done);
        let _ = all_done.recv_timeout(time::seconds(2));
        eprintln!("\r");
        // Whatever still runs in a guest ends with the guest; nobody waits for it.
        for node in lab.nodes() {
            node.pull_the_plug();
        }
        Ok(())
    })
}

/// Passes keys on until the user leaves.
fn type_in(keyboards: &[Input<'_>], names: &[&str], shown: &AtomicUsize) {
    let mut keys = [0u8; 1024];
    let mut escaped = false;
    loop {
        let count = match io::stdin().read(&mut keys) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let mut plain = Vec::new();
        for &key in keys.get(..count).unwrap_or_default() {
            if escaped && key == b'q' {
                return;
            }
            escaped = key == SWITCH;
            if escaped {
                let next = (shown.load(Ordering::Relaxed) + 1) % keyboards.len().max(1);
                shown.store(next, Ordering::Relaxed);
                let name = names.get(next).copied().unwrap_or_default();
                eprint!("\r\n[{name}]\r\n");
                // The shell shows its prompt again.
                plain.push(b'\n');
            } else {
                plain.push(key);
            }
        }
        if let Some(keyboard) = keyboards.get(shown.load(Ordering::Relaxed)) {
            if !plain.is_empty() && keyboard.send(&plain).is_err() {
                return;
            }
        }
    }
}

/// Rows and columns of the terminal, as `stty size` says them.
fn size() -> (u16, u16) {
    let said = std::process::Command::new("stty")
        .arg("size")
        .stdin(std::process::Stdio::inherit())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let mut numbers = said.split_whitespace().filter_map(|word| word.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(rows), Some(columns)) if rows > 0 && columns > 0 => (rows, columns),
        _ => (24, 80),
    }
}
