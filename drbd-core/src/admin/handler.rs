// SPDX-License-Identifier: GPL-2.0
//! How a handler in user space is called (docs/interface.md, "Usermode helper").

use core::fmt;

use crate::genl::Address;

/// Entries of the environment that are the same for every call.
pub const ENVIRONMENT: [&str; 3] = ["HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"];

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// `DRBD_PEER_AF=…`; displays as nothing without an address.
#[derive(Clone, Copy, Debug)]
pub struct PeerFamily<'a>(pub &'a Address);

impl fmt::Display for PeerFamily<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.family() {
            None => Ok(()),
            Some(AF_INET) => f.write_str("DRBD_PEER_AF=ipv4"),
            Some(AF_INET6) => f.write_str("DRBD_PEER_AF=ipv6"),
            Some(_) => f.write_str("DRBD_PEER_AF=ssocks"),
        }
    }
}

/// `DRBD_PEER_ADDRESS=…`: dotted, or all eight groups; displays as nothing without an address.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress<'a>(pub &'a Address);

impl fmt::Display for PeerAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(family) = self.0.family() else {
            return Ok(());
        };
        f.write_str("DRBD_PEER_ADDRESS=")?;
        // The address follows family and port, and in IPv6 the flow label.
        let (from, len) = if family == AF_INET6 { (8, 16) } else { (4, 4) };
        let bytes = self.0.as_bytes().get(from..).unwrap_or(&[]);
        let mut first = true;
        for chunk in bytes.get(..len).unwrap_or(&[]).chunks(2) {
            match chunk {
                [a, b] if family == AF_INET6 => {
                    let colon = if first { "" } else { ":" };
                    write!(f, "{colon}{a:02x}{b:02x}")?;
                }
                [a, b] => {
                    let dot = if first { "" } else { "." };
                    write!(f, "{dot}{a}.{b}")?;
                }
                _ => {}
            }
            first = false;
        }
        Ok(())
    }
}

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus {
    raw: i32,
}

impl WaitStatus {
    /// The raw wait status. A handler that could not be started counts as one that ended well.
    #[must_use]
    pub fn new(started: Option<i32>) -> Self {
        Self {
            raw: started.unwrap_or(0).max(0),
        }
    }

    /// As messages carry it.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.raw.unsigned_abs()
    }

    /// The exit code.
    #[must_use]
    pub const fn exit(self) -> u8 {
        self.raw.to_le_bytes()[1]
    }

    /// Whether the handler ended well; else it is worth a warning.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.raw == 0
    }
}

/// `helper command: …`, before the call and, with a status, behind it.
#[derive(Clone, Copy, Debug)]
pub struct CallLine<'a> {
    /// The program.
    pub program: &'a str,
    /// The handler.
    pub handler: &'a str,
    /// Its argument: `minor-<n>` or the resource.
    pub argument: &'a str,
    /// How it ended.
    pub status: Option<WaitStatus>,
}

impl fmt::Display for CallLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            handler,
            argument,
            ..
        } = self;
        write!(f, "helper command: {program} {handler} {argument}")?;
        match self.status {
            Some(status) => write!(f, " exit code {} (0x{:x})", status.exit(), status.raw()),
            None => Ok(()),
        }
    }
}
