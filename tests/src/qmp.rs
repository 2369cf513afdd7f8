// SPDX-License-Identifier: GPL-2.0
//! The few words of QEMU's machine protocol that the lab needs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{json, Value};

use crate::error::{Context, LabError, Result};
use crate::time;

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub struct Qmp {
    to: UnixStream,
    from: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and leaves the negotiation behind.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn connect(path: &Path) -> Result<Self> {
        let to = UnixStream::connect(path).at("connect to", path)?;
        to.set_read_timeout(Some(time::seconds(30)))
            .context("monitor")?;
        let from = BufReader::new(to.try_clone().context("monitor")?);
        let mut qmp = Self { to, from };
        qmp.read()?; // The greeting.
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// When QEMU refuses it or does not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.to, "{line}").context("monitor")?;
        loop {
            let answer = self.read()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                return Err(LabError::Setup(format!("QEMU: {command}: {error}")));
            }
            // Anything else is an event.
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.from.read_line(&mut line).context("monitor")?;
        serde_json::from_str(&line).context("monitor")
    }
}
