// SPDX-License-Identifier: GPL-2.0

//! Dumps: everything of a kind, one object per message (docs/interface.md, "Dumps").
//!
//! A dump remembers how far it came, by the order of creation, the minor, or the volume number.
//! What
//! is made or removed meanwhile may be missed. Only the initial state for event listeners is listed
//! as a whole at its beginning.

use drbd_core::genl::info::{Notification, NotificationType};
use drbd_core::genl::status::SibReason;
use drbd_core::genl::{
    Audience, Context, ErrCode, Header, Nest, Op, Overflow, RetCode, Style, Writer, HEADER_LEN,
    NO_MINOR,
};
use kernel::prelude::*;
use kernel::sync::Arc;

use super::status;
use crate::device::Device;
use crate::registry::ResourceId;
use crate::resource::Resource;
use crate::sys::genl::DumpMessage;
use crate::vector;

/// A dump that has begun.
pub(crate) struct Dump {
    op: Op,
    audience: Audience,
    walk: Walk,
}

/// What is walked over, and how far it came.
enum Walk {
    /// All resources, in the order of creation.
    Resources(Option<ResourceId>),
    /// All devices from this minor on.
    Devices(u32),
    /// The volumes of a resource from this number on.
    Volumes(Arc<Resource>, u32),
    /// One resource.
    One(Arc<Resource>),
    /// A resource was named that does not exist.
    Unknown,
    /// Per resource its volumes from this number on, or one entry if it has none.
    Status(StatusWalk),
    /// The initial state.
    Initial(KVVec<Known>, usize),
    /// As [`Walk::Unknown`], for GET_STATUS, which has an error number for it.
    NoDevice,
    /// There is no more.
    End,
}

/// How far a dump of GET_STATUS came.
struct StatusWalk {
    /// The resource that the entries are about now.
    at: Option<Arc<Resource>>,
    id: Option<ResourceId>,
    from: u32,
    /// Something of this resource was told.
    told: bool,
    /// Only this resource.
    only: bool,
}

/// An object of the initial state.
struct Known {
    resource: Arc<Resource>,
    object: Object,
    continues: bool,
}

enum Object {
    Resource,
    Connection,
    Device(Arc<Device>),
    PeerDevice(Arc<Device>),
}

/// A message: number, minor, code, marked as one of many.
struct Head {
    op: Op,
    minor: u32,
    code: RetCode,
    multi: bool,
}

impl Head {
    fn entry(op: Op, minor: u32) -> Self {
        Self {
            op,
            minor,
            code: RetCode::NO_ERROR,
            multi: true,
        }
    }
}

impl Dump {
    /// Begins a dump.
    pub(super) fn start(op: Op, context: Option<&Context>, audience: Audience) -> Result<Self> {
        let name = context.map(|c| c.resource_name);
        let found = || match name {
            Some(Some(name)) => Some(crate::registry().resource(name.as_bytes())),
            _ => None,
        };
        let walk = match op {
            Op::GetResources => Walk::Resources(None),
            Op::GetDevices | Op::GetPeerDevices => match found() {
                None => Walk::Devices(0),
                Some(Some(resource)) => Walk::Volumes(resource, 0),
                Some(None) => Walk::Unknown,
            },
            Op::GetConnections => match found() {
                None => Walk::Resources(None),
                Some(Some(resource)) => Walk::One(resource),
                Some(None) => Walk::Unknown,
            },
            Op::GetStatus => {
                let at = match name {
                    None => None,
                    Some(None) => return Err(EINVAL),
                    // Told where the C driver tells it: at the end of an empty dump.
                    Some(Some(_)) => match found().flatten() {
                        Some(resource) => Some(resource),
                        None => {
                            return Ok(Self {
                                op,
                                audience,
                                walk: Walk::NoDevice,
                            })
                        }
                    },
                };
                let only = at.is_some();
                Walk::Status(StatusWalk {
                    at,
                    id: None,
                    from: 0,
                    told: false,
                    only,
                })
            }
            Op::GetInitialState => Walk::Initial(known()?, 0),
            _ => return Err(EOPNOTSUPP),
        };
        Ok(Self { op, audience, walk })
    }

    /// The next message.
    pub(super) fn next(&mut self, answer: &mut [u8]) -> Result<Option<DumpMessage>> {
        if matches!(self.walk, Walk::NoDevice) {
            return Err(ENODEV);
        }
        let (place, body) = answer.split_at_mut_checked(HEADER_LEN).ok_or(EMSGSIZE)?;
        let mut writer = Writer::new(body, Style::Kernel, self.audience);
        let Some(head) = self.write(&mut writer).map_err(|_| EMSGSIZE)? else {
            return Ok(None);
        };
        place.copy_from_slice(&Header::reply(head.minor, head.code).to_bytes());
        Ok(Some(DumpMessage {
            command: head.op.number(),
            multi: head.multi,
            len: HEADER_LEN.saturating_add(writer.len()),
        }))
    }

    fn write(&mut self, w: &mut Writer<'_>) -> Result<Option<Head>, Overflow> {
        let op = self.op;
        match &mut self.walk {
            Walk::Resources(last) => {
                while let Some((id, resource)) = crate::registry().next_resource(*last) {
                    *last = Some(id);
                    if let Some(head) = resource_entry(op, &resource, w)? {
                        return Ok(Some(head));
                    }
                }
                Ok(None)
            }
            Walk::One(resource) => {
                let head = resource_entry(op, resource, w)?;
                self.walk = Walk::End;
                Ok(head)
            }
            Walk::Devices(from) => {
                while let Some(device) = crate::registry().next_device(*from) {
                    *from = device.minor.saturating_add(1);
                    if let Some(head) = device_entry(op, device.minor, &device, w)? {
                        return Ok(Some(head));
                    }
                }
                Ok(None)
            }
            Walk::Volumes(resource, from) => {
                while let Some(device) = next_volume(resource, *from) {
                    let vnr = u32::from(device.vnr);
                    *from = vnr.saturating_add(1);
                    // 8.4 has the volume number here where peers are told of.
                    let minor = if op == Op::GetPeerDevices {
                        vnr
                    } else {
                        device.minor
                    };
                    if let Some(head) = device_entry(op, minor, &device, w)? {
                        return Ok(Some(head));
                    }
                }
                Ok(None)
            }
            Walk::Unknown => {
                self.walk = Walk::End;
                let code = ErrCode::ResNotKnown.into();
                Ok(Some(Head {
                    op,
                    minor: NO_MINOR,
                    code,
                    multi: true,
                }))
            }
            Walk::Status(walk) => walk.next(w),
            Walk::Initial(known, next) => match known.get(*next) {
                Some(object) => {
                    *next = next.saturating_add(1);
                    known_entry(object, w).map(Some)
                }
                None => {
                    self.walk = Walk::End;
                    exists(false).header().put(w)?;
                    let code = RetCode::NO_ERROR;
                    let op = Op::InitialStateDone;
                    Ok(Some(Head {
                        op,
                        minor: NO_MINOR,
                        code,
                        multi: false,
                    }))
                }
            },
            Walk::NoDevice | Walk::End => Ok(None),
        }
    }
}

impl StatusWalk {
    fn next(&mut self, w: &mut Writer<'_>) -> Result<Option<Head>, Overflow> {
        loop {
            let resource = match &self.at {
                Some(resource) => resource.clone(),
                None if self.only => return Ok(None),
                None => {
                    let Some((id, resource)) = crate::registry().next_resource(self.id) else {
                        return Ok(None);
                    };
                    self.id = Some(id);
                    (self.from, self.told) = (0, false);
                    self.at = Some(resource.clone());
                    resource
                }
            };
            if let Some(device) = next_volume(&resource, self.from) {
                self.from = u32::from(device.vnr).saturating_add(1);
                self.told = true;
                status::put_status(&device, w, SibReason::StatusReply, |_| {})?;
                return Ok(Some(Head::entry(Op::GetStatus, device.minor)));
            }
            self.at = None;
            if !self.told {
                resource
                    .view(|view| status::full_context(&resource, view, None))
                    .put(w)?;
                status::put_net(&resource, w)?;
                return Ok(Some(Head::entry(Op::GetStatus, NO_MINOR)));
            }
        }
    }
}

fn next_volume(resource: &Resource, from: u32) -> Option<Arc<Device>> {
    // Volumes are kept in no order.
    let devices = resource.devices();
    let later = devices.iter().filter(|d| u32::from(d.vnr) >= from);
    later.min_by_key(|d| d.vnr).cloned()
}

fn resource_entry(
    op: Op,
    resource: &Resource,
    w: &mut Writer<'_>,
) -> Result<Option<Head>, Overflow> {
    if op == Op::GetResources {
        status::context(resource, None).put(w)?;
        resource.view(|view| view.opts.put(w))?;
        status::put_resource(resource, w, false)?;
    } else {
        if resource.view(|view| view.net.is_none()) {
            return Ok(None);
        }
        resource
            .view(|view| status::full_context(resource, view, None))
            .put(w)?;
        status::put_net(resource, w)?;
        status::put_connection(resource, w, false)?;
    }
    Ok(Some(Head::entry(op, NO_MINOR)))
}

fn device_entry(
    op: Op,
    minor: u32,
    device: &Device,
    w: &mut Writer<'_>,
) -> Result<Option<Head>, Overflow> {
    let resource = &device.resource;
    if op == Op::GetDevices {
        status::context(resource, Some(device)).put(w)?;
        status::put_disk(device, w)?;
        status::put_device(device, w, false)?;
    } else {
        if resource.view(|view| view.net.is_none()) {
            return Ok(None);
        }
        resource
            .view(|view| status::full_context(resource, view, Some(device)))
            .put(w)?;
        status::put_peer_device(device, w, false)?;
    }
    Ok(Some(Head::entry(op, minor)))
}

fn exists(continues: bool) -> Notification {
    Notification {
        kind: NotificationType::Exists,
        continues,
    }
}

fn known_entry(known: &Known, w: &mut Writer<'_>) -> Result<Head, Overflow> {
    let resource = &known.resource;
    let header = exists(known.continues).header();
    let full = |device| resource.view(|view| status::full_context(resource, view, device));
    let (op, minor) = match &known.object {
        Object::Resource => {
            status::context(resource, None).put(w)?;
            header.put(w)?;
            status::put_resource(resource, w, false)?;
            (Op::ResourceState, NO_MINOR)
        }
        Object::Connection => {
            full(None).put(w)?;
            header.put(w)?;
            status::put_connection(resource, w, false)?;
            (Op::ConnectionState, NO_MINOR)
        }
        Object::Device(device) => {
            status::context(resource, Some(device)).put(w)?;
            header.put(w)?;
            status::put_device(device, w, false)?;
            (Op::DeviceState, device.minor)
        }
        Object::PeerDevice(device) => {
            full(Some(device)).put(w)?;
            header.put(w)?;
            status::put_peer_device(device, w, false)?;
            (Op::PeerDeviceState, NO_MINOR)
        }
    };
    Ok(Head {
        op,
        minor,
        code: RetCode::NO_ERROR,
        multi: false,
    })
}

/// Lists everything that exists now.
fn known() -> Result<KVVec<Known>> {
    let mut list = KVVec::new();
    let mut last = None;
    while let Some((id, resource)) = crate::registry().next_resource(last) {
        last = Some(id);
        let mut add = |object| {
            let known = Known {
                resource: resource.clone(),
                object,
                continues: true,
            };
            vector::push(&mut list, known, GFP_KERNEL)
        };
        add(Object::Resource)?;
        add(Object::Connection)?;
        let mut devices = KVec::new();
        let mut from = 0;
        while let Some(device) = next_volume(&resource, from) {
            from = u32::from(device.vnr).saturating_add(1);
            vector::push(&mut devices, device, GFP_KERNEL)?;
        }
        for device in &devices {
            add(Object::Device(device.clone()))?;
        }
        for device in &devices {
            add(Object::PeerDevice(device.clone()))?;
        }
        if let Some(last) = list.last_mut() {
            last.continues = false;
        }
    }
    Ok(list)
}
