// SPDX-License-Identifier: GPL-2.0

//! The kernel log: lines about resources and volumes, with DRBD's prefixes. What the machine says
//! is worded by the core ([`drbd_core::peer::log`]).

use core::fmt::{self, Display};
use drbd_core::peer::log as core_log;
use drbd_core::peer::LogLine;

use crate::device::Device;
use crate::resource::Resource;
use crate::sys::log::{print_about, Level};
use crate::text::Text;

/// The longest thing the machine says, with its line feeds.
const LONGEST: usize = 640;

/// What a line is about. Displays as the prefix says it: `r0`, or `r0/0 drbd0`.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// A resource or its connection.
    Resource(&'a Resource),
    /// A volume, here or on the peer.
    Device(&'a Device),
}

impl Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |resource: &'_ Resource| Text::<128>::of(Lossy(resource.name_bytes()));
        match self {
            Self::Resource(resource) => f.write_str(name(resource).as_str()),
            Self::Device(device) => {
                f.write_str(name(&device.resource).as_str())?;
                write!(f, "/{} drbd{}", device.vnr, device.minor)
            }
        }
    }
}

/// Bytes that should be UTF-8.
struct Lossy<'a>(&'a [u8]);

impl Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("?")?;
            }
        }
        Ok(())
    }
}

/// Writes one line. Any context.
pub(crate) fn say(level: Level, about: About<'_>, line: fmt::Arguments<'_>) {
    print_about(level, format_args!("{about}"), line);
}

/// Something that the machine says about a volume: no line, one, or some.
pub(crate) fn line(resource: &Resource, vnr: u16, said: &LogLine) {
    let level = match said.level() {
        core_log::Level::Alert => Level::Alert,
        core_log::Level::Error => Level::Error,
        core_log::Level::Warning => Level::Warning,
        core_log::Level::Info => Level::Info,
    };
    let device = resource.device(vnr).filter(|_| !said.is_of_connection());
    let about = match &device {
        Some(device) => About::Device(device),
        None => About::Resource(resource),
    };
    let text = Text::<LONGEST>::of(said);
    for line in text.lines().filter(|line| !line.is_empty()) {
        say(level, about, format_args!("{line}"));
    }
}

/// A change of state, unless there is nothing to tell of it.
pub(crate) fn change(about: About<'_>, told: fmt::Arguments<'_>) {
    let text = Text::<256>::of(told);
    if !text.as_bytes().is_empty() {
        say(Level::Info, about, format_args!("{}", text.as_str()));
    }
}
