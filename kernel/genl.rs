// SPDX-License-Identifier: GPL-2.0

//! The administrator's requests (docs/interface.md, "Operations").
//!
//! A request is parsed, what it names is looked up, and the operation is carried out: by the rules
//! of [`drbd_core::admin`] and by commands to the resource's machine. The answer repeats the
//! context of the request, holds what was asked for, and a text if there is one.
//!
//! Operations run in parallel; those of one resource one after the other, see
//! [`crate::turn`].

use drbd_core::admin::{lookup, Answer, Denied, Info, Judged};
use drbd_core::genl::context::{put_info_text, text, INFO_TEXT_MAX};
use drbd_core::genl::op::{Op, OpKind};
use drbd_core::genl::{
    attr, Audience, Context, ErrCode, Header, Needs, Nest, Style, TopLevel, Writer, HEADER_LEN,
    NLM_F_EXCL,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use crate::device::Device;
use crate::resource::Resource;
use crate::sys::genl::{Admin, DumpMessage, Op as Entry, Request};
use crate::sys::memalloc::NoIo;
use crate::text::Text;
use crate::turn::Taken;

mod disk;
mod dump;
mod net;
mod object;
mod state;
pub(crate) mod status;

/// The family `drbd`.
pub(crate) struct Family;

impl Admin for Family {
    const NAME: &'static CStr = c"drbd";
    const VERSION: u32 = drbd_core::genl::FAMILY_VERSION as u32;
    const STRICT_FROM: u8 = 42;
    const GROUP: &'static CStr = c"events";
    const OPS: &'static [Entry] = &ENTRIES;

    type Dump = dump::Dump;

    fn doit(&self, request: &Request<'_>, answer: &mut [u8]) -> Result<usize> {
        // Locks that writing memory out may need are held over allocations here.
        let _noio = NoIo::enter();
        let op = Op::from_number(request.command()).ok_or(EOPNOTSUPP)?;
        let (header, attributes) = Header::parse(request.payload()).map_err(|_| EINVAL)?;
        let sets = TopLevel::parse(attributes, Some(op.request_sets())).map_err(|_| EINVAL)?;
        let context = context(&sets)?;
        let (head, body) = answer.split_at_mut_checked(HEADER_LEN).ok_or(EMSGSIZE)?;
        let audience = audience(request);
        let mut writer = Writer::new(body, Style::Kernel, audience);
        if let Some(copy) = sets.set(&Context::SET) {
            let raw_type = Context::SET.number | attr::NLA_F_NESTED;
            writer.put_raw(raw_type, copy).map_err(|_| EMSGSIZE)?;
        }
        let exclusive = request.flags() & NLM_F_EXCL != 0;
        let mut call = Call {
            op,
            header,
            sets,
            context,
            exclusive,
            device: None,
            resource: None,
        };
        let answer = match call.carry_out(&mut writer) {
            Ok(answer) => answer,
            Err(Denied::Answer(answer)) => answer,
            Err(Denied::Malformed) => return Err(EINVAL),
        };
        put_text(&mut writer, &answer.text);
        head.copy_from_slice(&Header::reply(header.minor, answer.code).to_bytes());
        Ok(HEADER_LEN.saturating_add(writer.len()))
    }

    fn dump_start(&self, request: &Request<'_>) -> Result<dump::Dump> {
        let op = Op::from_number(request.command()).ok_or(EOPNOTSUPP)?;
        let (_, attributes) = Header::parse(request.payload()).map_err(|_| EINVAL)?;
        let sets = TopLevel::parse(attributes, Some(op.request_sets())).map_err(|_| EINVAL)?;
        dump::Dump::start(op, context(&sets)?.as_ref(), audience(request))
    }

    fn dump_next(&self, dump: &mut dump::Dump, answer: &mut [u8]) -> Result<Option<DumpMessage>> {
        dump.next(answer)
    }
}

/// An answer without its text is better than none.
#[inline(never)]
fn put_text(writer: &mut Writer<'_>, text: &Info) {
    if *text != Info::None {
        let text = Text::<INFO_TEXT_MAX>::of(text);
        let _ = put_info_text(writer, text.as_bytes());
    }
}

const fn is_called(op: Op) -> bool {
    !matches!(op.kind(), OpKind::Event)
}

const ENTRY_COUNT: usize = {
    let (mut count, mut i) = (0, 0);
    while i < Op::ALL.len() {
        if is_called(Op::ALL[i]) {
            count += 1;
        }
        i += 1;
    }
    count
};

/// Every operation that can be called, from the core's table.
static ENTRIES: [Entry; ENTRY_COUNT] = {
    const NONE: Entry = Entry {
        command: 0,
        doit: false,
        dump: false,
        admin: false,
    };
    let mut entries = [NONE; ENTRY_COUNT];
    let (mut count, mut i) = (0, 0);
    while i < Op::ALL.len() {
        let op = Op::ALL[i];
        if is_called(op) {
            entries[count] = Entry {
                command: op.number(),
                doit: matches!(op.kind(), OpKind::Do | OpKind::DoAndDump),
                dump: matches!(op.kind(), OpKind::Dump | OpKind::DoAndDump),
                admin: op.is_privileged(),
            };
            count += 1;
        }
        i += 1;
    }
    entries
};

fn audience(request: &Request<'_>) -> Audience {
    if request.is_sys_admin() {
        Audience::Privileged
    } else {
        Audience::Public
    }
}

/// What the request names.
#[inline(never)]
fn context(sets: &TopLevel<'_>) -> Result<Option<Context>> {
    let Some(payload) = sets.set(&Context::SET) else {
        return Ok(None);
    };
    match Context::create(payload) {
        Ok((context, _)) => Ok(Some(context)),
        Err(attr::AttrError::UnknownMandatory(_)) => Err(EOPNOTSUPP),
        Err(_) => Err(EINVAL),
    }
}

/// A request that is being carried out.
struct Call<'a> {
    op: Op,
    header: Header,
    sets: TopLevel<'a>,
    context: Option<Context>,
    /// What exists already is an error.
    exclusive: bool,
    /// The device with the header's minor.
    device: Option<Arc<Device>>,
    /// The resource that was named: by name, by its device, or by its addresses.
    resource: Option<Arc<Resource>>,
}

impl Call<'_> {
    #[inline(never)]
    fn carry_out(&mut self, writer: &mut Writer<'_>) -> Judged<Answer> {
        self.look_up()?;
        match self.op {
            Op::NewResource => self.new_resource(),
            Op::DelResource => self.del_resource(),
            Op::ResourceOpts => self.resource_options(),
            Op::NewMinor => self.new_minor(),
            Op::DelMinor => self.del_minor(),
            Op::Down => self.down(),
            Op::Attach => self.attach(),
            Op::Detach => self.detach(),
            Op::ChgDiskOpts => self.disk_options(),
            Op::Resize => self.resize(),
            Op::NewCUuid => self.new_current_uuid(),
            Op::Invalidate => self.invalidate(),
            Op::InvalPeer => self.invalidate_remote(),
            Op::Connect => self.connect(),
            Op::Disconnect => self.disconnect(),
            Op::ChgNetOpts => self.net_options(),
            Op::Primary => self.primary(),
            Op::Secondary => self.secondary(),
            Op::Outdate => self.outdate(),
            Op::PauseSync => self.pause_sync(true),
            Op::ResumeSync => self.pause_sync(false),
            Op::SuspendIo => self.suspend_io(),
            Op::ResumeIo => self.resume_io(),
            Op::StartOv => self.verify(),
            Op::GetTimeoutType => self.timeout_type(writer),
            Op::GetStatus => self.get_status(writer),
            Op::Event
            | Op::GetResources
            | Op::GetDevices
            | Op::GetConnections
            | Op::GetPeerDevices
            | Op::ResourceState
            | Op::DeviceState
            | Op::ConnectionState
            | Op::PeerDeviceState
            | Op::GetInitialState
            | Op::Helper
            | Op::InitialStateDone => Err(Denied::Malformed),
        }
    }

    #[inline(never)]
    fn look_up(&mut self) -> Judged<()> {
        let needs = self.op.needs();
        let named = self.context.as_ref();
        let device = self
            .header
            .minor()
            .and_then(|minor| crate::registry().device(minor));
        let resource = named
            .and_then(|c| c.resource_name)
            .and_then(|name| crate::registry().resource(name.as_bytes()));
        let connection = match named {
            Some(c) if needs == Needs::Connection => crate::registry().find(|r| {
                r.view(|v| {
                    v.addresses
                        .is_some_and(|a| a.mine == c.my_addr && a.peer == c.peer_addr)
                })
            }),
            _ => None,
        };
        let id = |r: &Arc<Resource>| Arc::as_ptr(r);
        let found = lookup::Found {
            device: device.as_ref().map(|d| (id(&d.resource), d.vnr)),
            resource: resource.as_ref().map(id),
            connection: connection.as_ref().map(id),
        };
        lookup::check(needs, named, &found)?;
        self.resource = resource
            .or(connection)
            .or_else(|| device.as_ref().map(|d| d.resource.clone()));
        self.device = device;
        Ok(())
    }

    /// Waits for our turn at a resource. What was looked up is still there then.
    fn turn<'r>(&self, resource: &'r Arc<Resource>) -> Judged<Taken<'r>> {
        let taken = match resource.admin().take() {
            Ok(taken) => taken,
            Err(_) => return Err(ErrCode::Intr.into()),
        };
        if !crate::registry().lists(resource) {
            return Err(Answer::with(ErrCode::ResNotKnown, text::UNKNOWN_RESOURCE).into());
        }
        let gone = self.device.as_ref().is_some_and(|device| {
            let there = resource.device(device.vnr);
            !there.is_some_and(|d| Arc::ptr_eq(&d, device))
        });
        if gone {
            return Err(Answer::with(ErrCode::MinorInvalid, text::UNKNOWN_MINOR).into());
        }
        Ok(taken)
    }

    /// The device; it was looked up if the operation needs it.
    fn device(&self) -> Judged<Arc<Device>> {
        self.device
            .clone()
            .ok_or(Denied::Answer(ErrCode::MinorInvalid.into()))
    }

    /// The resource; it was looked up if the operation needs it.
    fn resource(&self) -> Judged<Arc<Resource>> {
        self.resource
            .clone()
            .ok_or(Denied::Answer(ErrCode::ResNotKnown.into()))
    }

    /// The payload of a set.
    fn payload<N: Nest>(&self) -> Option<&[u8]> {
        self.sets.set(&N::SET)
    }
}

/// The code that a command of the machine ended with.
fn machine(ended: Result<i32>) -> Answer {
    match ended {
        Ok(code) => Answer::from_machine(code),
        Err(_) => ErrCode::Intr.into(),
    }
}

/// There is no memory.
fn no_memory<E>(_: E) -> Denied {
    Denied::Answer(ErrCode::NoMem.into())
}

/// A message that does not fit.
fn too_long<E>(_: E) -> Denied {
    Denied::Malformed
}
