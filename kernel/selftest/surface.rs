// SPDX-License-Identifier: GPL-2.0

//! A netlink family and a file in `/proc`, which stay until the module is unloaded: a program in
//! the guest talks to them. Helpers, parameters, pools and the log.

use core::sync::atomic::{
    AtomicU32,
    Ordering, //
};
use kernel::{
    fmt::Write,
    prelude::*,
    sync::Arc, //
};

use super::check;
use crate::sys::{
    genl::{
        Admin,
        DumpMessage,
        Event,
        Family,
        Op,
        Registration,
        Request, //
    },
    helper,
    log::{
        log,
        log_module,
        Level, //
    },
    params,
    procfs::{
        self,
        File,
        Show, //
    },
    random, //
};

/// What stays until the module is unloaded. The family goes first.
pub(crate) struct Surface {
    _registration: Registration<Echo>,
    _file: File<Text>,
}

/// How many dumps exist.
static DUMPS: AtomicU32 = AtomicU32::new(0);

struct Echo;

/// Counts down.
struct Countdown(u32);

impl Drop for Countdown {
    fn drop(&mut self) {
        DUMPS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Copies the payload of a request and adds one to its last byte.
fn echo(request: &Request<'_>, answer: &mut [u8]) -> Result<usize> {
    let payload = request.payload();
    let to = answer.get_mut(..payload.len()).ok_or(EMSGSIZE)?;
    for (to, from) in to.iter_mut().zip(payload) {
        *to = *from;
    }
    if let Some(last) = to.last_mut() {
        *last = last.wrapping_add(1);
    }
    Ok(payload.len())
}

impl Admin for Echo {
    const NAME: &'static CStr = c"drbd_test";
    const VERSION: u32 = 3;
    const STRICT_FROM: u8 = 42;
    const GROUP: &'static CStr = c"events";
    const OPS: &'static [Op] = &[
        Op {
            command: 2,
            doit: true,
            dump: true,
            admin: false,
        },
        Op {
            command: 5,
            doit: true,
            dump: false,
            admin: true,
        },
    ];
    type Dump = Countdown;

    fn doit(&self, request: &Request<'_>, answer: &mut [u8]) -> Result<usize> {
        check!(request.payload().len() >= 8 && request.is_sys_admin() && request.is_net_admin());
        match request.payload().first() {
            Some(1) => Err(ENOKEY),
            _ => echo(request, answer),
        }
    }

    fn dump_start(&self, request: &Request<'_>) -> Result<Countdown> {
        let count = request.payload().first().copied().ok_or(EINVAL)?;
        if count == 77 {
            return Err(ENOKEY);
        }
        DUMPS.fetch_add(1, Ordering::Relaxed);
        Ok(Countdown(count.into()))
    }

    fn dump_next(&self, dump: &mut Countdown, answer: &mut [u8]) -> Result<Option<DumpMessage>> {
        if dump.0 == 0 {
            return Ok(None);
        }
        if dump.0 == 99 {
            return Err(ENODEV);
        }
        let to = answer.get_mut(..1000).ok_or(EMSGSIZE)?;
        to.fill(dump.0 as u8);
        dump.0 = dump.0.wrapping_sub(1);
        Ok(Some(DumpMessage {
            command: 34,
            multi: dump.0 % 2 == 0,
            len: 1000,
        }))
    }
}

struct Text(Arc<Family<Echo>>);

impl Show for Text {
    fn show(&self, out: &mut procfs::Writer<'_>) -> Result {
        // Reading the file also sends an event, to see that one.
        let heard = self.0.multicast(|buffer| {
            let to = buffer.get_mut(..12).ok_or(EMSGSIZE)?;
            to.fill(0x5a);
            Ok(Event {
                command: 1,
                seq: 3,
                len: 12,
            })
        })?;
        let dumps = DUMPS.load(Ordering::Relaxed);
        writeln!(out, "heard: {heard} dumps: {dumps}").map_err(|_| EIO)?;
        // More than a page.
        for line in 0..1000 {
            writeln!(out, "line {line}").map_err(|_| EIO)?;
        }
        Ok(())
    }
}

pub(super) fn start() -> Result<Surface> {
    let family = Family::new(Echo)?;
    // Nobody can listen to what isn't registered.
    check!(family.multicast(|_| Err(EIO)) == Ok(false));
    let file = File::new(c"drbd_test", Arc::new(Text(family.clone()), GFP_KERNEL)?)?;
    let registration = family.register()?;
    check!(family.register().is_err_and(|error| error == EEXIST));
    Ok(Surface {
        _registration: registration,
        _file: file,
    })
}

pub(super) fn helpers() -> Result {
    let environment = [c"HOME=/", c"PATH=/usr/bin:/bin"];
    let run = |script| helper::call(c"/bin/sh", &[c"/bin/sh", c"-c", script], &environment);
    check!(run(c"exit 0")? == 0);
    check!(run(c"exit 5")? == 0x500);
    check!(run(c"kill -9 $$")? == 9);
    check!(helper::call(c"/bin/none", &[c"/bin/none"], &environment) == Err(ENOENT));
    Ok(())
}

pub(super) fn parameters() -> Result {
    check!(params::minor_count() == 33);
    check!(!params::disable_sendpage() && params::allow_oos());
    check!(params::proc_details() == 1);
    check!(params::usermode_helper().starts_with(b"/bin/true\0"));
    check!(params::commit().len() == 40);
    Ok(())
}

pub(super) fn log() -> Result {
    check!(random::random_u64() != random::random_u64());
    let name = "r0/0 drbd0";
    log!(Level::Info, name, "size = {} KB", 17);
    log_module!(Level::Warning, "captured: {name}");
    Ok(())
}
