// SPDX-License-Identifier: GPL-2.0

//! Handlers in user space (docs/interface.md, "Usermode helper").
//!
//! A handler runs on a work queue of its own, never under a lock: it may ask for the status of the
//! resource, or configure it, and it may take minutes. What it said goes to the machine as an
//! event.

use core::fmt::Display;
use drbd_core::admin::handler::{CallLine, PeerAddress, PeerFamily, WaitStatus, ENVIRONMENT};
use drbd_core::genl::Address;
use drbd_core::peer::{Event, HelperCall};
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::Arc;

use crate::device::Device;
use crate::events;
use crate::log::{say, About};
use crate::resource::Resource;
use crate::sys::log::Level;
use crate::sys::time::sleep_ms;
use crate::sys::workqueue::{impl_has_work, new_work, Work, WorkItem};
use crate::sys::{helper, params};
use crate::text::{bytes_of, Text};

/// A call that waits for its turn.
#[pin_data]
struct Call {
    resource: Arc<Resource>,
    vnr: u16,
    helper: HelperCall,
    #[pin]
    work: Work<Call>,
}

impl_has_work! {
    impl HasWork<Self> for Call { self.work }
}

impl WorkItem for Call {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let device = this.resource.device(this.vnr);
        let exit = match &device {
            // There may be more volumes.
            _ if this.helper.is_of_connection() => call(&this.resource, None, this.helper.as_str()),
            Some(device) => call(&this.resource, Some(device), this.helper.as_str()),
            None => 0,
        };
        this.resource.feed(Event::HelperDone {
            vnr: this.vnr,
            helper: this.helper,
            exit,
        });
    }
}

/// Has a handler run for a volume, soon. The machine hears of its end. May sleep, but not for the
/// handler.
pub(crate) fn run(resource: &Arc<Resource>, vnr: u16, helper: HelperCall) {
    loop {
        let call = Arc::pin_init(
            pin_init!(Call {
                resource: resource.clone(),
                vnr,
                helper,
                work <- new_work!("drbd_handler"),
            }),
            GFP_KERNEL,
        );
        if let Ok(call) = call {
            // A new item is in no queue.
            let _ = crate::handlers().enqueue(call);
            return;
        }
        // The machine waits for the answer: it must come.
        sleep_ms(20);
    }
}

/// Calls a handler for a volume or for the connection, and waits for it. Gives its exit code; 0 if
/// it could not start.
fn call(resource: &Arc<Resource>, device: Option<&Arc<Device>>, name: &str) -> u8 {
    let about = device.map_or(About::Resource(resource), |device| About::Device(device));
    let argument = Text::<136>::of(match device {
        Some(device) => Argument::Minor(device.minor),
        None => Argument::Resource(resource),
    });
    let raw = params::usermode_helper();
    let program = CStr::from_bytes_until_nul(&raw).unwrap_or(c"");
    let shown = Text::<80>::of(Shown(program));
    let line = |status| CallLine {
        program: shown.as_str(),
        handler: name,
        argument: argument.as_str(),
        status,
    };
    say(Level::Info, about, format_args!("{}", line(None)));
    events::handler(resource, device, name, None);
    let started = start(resource, program, name, argument.as_str());
    let status = WaitStatus::new(started.ok());
    let level = if status.is_ok() {
        Level::Info
    } else {
        Level::Warning
    };
    say(level, about, format_args!("{}", line(Some(status))));
    events::handler(resource, device, name, Some(status.raw()));
    status.exit()
}

/// What a handler is told: of which volume, or of which resource it is.
enum Argument<'a> {
    Minor(u32),
    Resource(&'a Resource),
}

impl Display for Argument<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Minor(minor) => write!(f, "minor-{minor}"),
            Self::Resource(resource) => Shown(resource.name()).fmt(f),
        }
    }
}

fn start(resource: &Resource, program: &CStr, name: &str, argument: &str) -> Result<i32> {
    let peer = resource.view(|v| v.addresses.map_or(Address::NONE, |ends| ends.peer));
    let name = string(name)?;
    let argument = string(argument)?;
    let [home, term, path] = ENVIRONMENT;
    let environment = [
        string(home)?,
        string(term)?,
        string(path)?,
        string(PeerFamily(&peer))?,
        string(PeerAddress(&peer))?,
    ];
    let [home, term, path, family, address] = &environment;
    helper::call(
        program,
        &[program, &name, &argument],
        &[home, term, path, family, address],
    )
}

/// As a C string.
fn string(shown: impl Display) -> Result<CString> {
    CString::try_from_fmt(format_args!("{shown}"))
}

/// A program's name for the log.
struct Shown<'a>(&'a CStr);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for chunk in bytes_of(self.0).utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        Ok(())
    }
}
