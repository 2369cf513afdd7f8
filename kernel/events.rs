// SPDX-License-Identifier: GPL-2.0

//! What listeners and the log hear when something changes (docs/interface.md, "Multicast events").
//!
//! Listeners hear of each object whose listed values have changed, in one batch per change. A
//! change of the whole connection comes as one effect per volume and one for the connection
//! itself: it is held back until it is complete, see [`settle`], and told in several batches. Two
//! families of messages go out, each numbered by itself: new-style ones about objects, and
//! old-style ones about devices.
//!
//! Called under the owner's mutex: nothing here waits for it.

use core::sync::atomic::{AtomicU32, Ordering};
use drbd_core::admin::news::{batches, is_of_connection, News as Object, Picture};
use drbd_core::genl::info::{HelperInfo, Notification, NotificationType};
use drbd_core::genl::status::{SibReason, StateInfo};
use drbd_core::genl::{
    Audience, Header, Nest, Op, Overflow, RetCode, Style, Text, Writer, NO_MINOR,
};
use drbd_core::peer::log::{Parts, Suspension};
use drbd_core::state::{Conn, DeviceState};
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::{Arc, Mutex};

use crate::device::Device;
use crate::genl::status;
use crate::log::{self, About};
use crate::resource::Resource;
use crate::sys::genl::Event;
use crate::sys::memalloc::NoIo;
use crate::vector;

/// Numbers of the last messages; both begin behind 2.
static NEW_STYLE: AtomicU32 = AtomicU32::new(2);
static OLD_STYLE: AtomicU32 = AtomicU32::new(2);

/// The states of a resource's objects at one moment.
struct Seen {
    cstate: Conn,
    /// Ascending by volume number.
    volumes: KVec<(u16, DeviceState)>,
}

impl Seen {
    fn picture(&self) -> Picture<'_> {
        Picture {
            cstate: self.cstate,
            volumes: &self.volumes,
        }
    }

    fn of(&mut self, vnr: u16) -> Option<&mut DeviceState> {
        self.volumes
            .iter_mut()
            .find(|(v, _)| *v == vnr)
            .map(|(_, state)| state)
    }
}

/// What was told of a resource last, and what there is to tell.
struct State {
    told: Seen,
    now: Seen,
    /// They differ.
    pending: bool,
}

/// What listeners know of a resource.
#[pin_data]
pub(crate) struct News {
    #[pin]
    state: Mutex<State>,
}

impl News {
    /// Of a new resource.
    pub(crate) fn new() -> impl PinInit<Self> {
        let seen = || Seen {
            cstate: Conn::StandAlone,
            volumes: KVec::new(),
        };
        let state = State {
            told: seen(),
            now: seen(),
            pending: false,
        };
        pin_init!(Self { state <- new_mutex!(state, "drbd_news") })
    }
}

/// The new state of a volume.
pub(crate) fn state_changed(
    resource: &Arc<Resource>,
    vnr: u16,
    old: &DeviceState,
    new: &DeviceState,
) {
    let mut state = resource.news.state.lock();
    let of_connection = is_of_connection(old, new);
    if state.pending && !of_connection {
        flush(resource, &mut state);
    }
    if let Some(now) = state.now.of(vnr) {
        *now = *new;
    }
    if let Some(device) = resource.device(vnr) {
        crate::progress::state_changed(&device, old, new);
    }
    for (_, other) in &mut state.now.volumes {
        other.susp = new.susp;
        other.susp_nod = new.susp_nod;
        other.susp_fen = new.susp_fen;
    }
    state.pending = true;
    if !of_connection {
        flush(resource, &mut state);
    }
    if old.conn < Conn::Connected && new.conn >= Conn::Connected {
        if let Some(device) = resource.device(vnr) {
            device.resume_al();
        }
    }
}

/// The new state of the connection itself.
pub(crate) fn conn_changed(resource: &Arc<Resource>, _old: Conn, new: Conn) {
    let mut state = resource.news.state.lock();
    state.now.cstate = new;
    state.pending = true;
    flush(resource, &mut state);
}

/// The effects of an event are done: what was held back is told now.
pub(crate) fn settle(resource: &Arc<Resource>) {
    let mut state = resource.news.state.lock();
    if state.pending {
        flush(resource, &mut state);
    }
}

fn flush(resource: &Arc<Resource>, state: &mut State) {
    state.pending = false;
    log_changes(resource, state);
    for batch in batches(state.told.picture(), state.now.picture()) {
        let mut changed = batch.news().peekable();
        while let Some(object) = changed.next() {
            let continues = changed.peek().is_some();
            tell(resource, object, NotificationType::Change, continues);
        }
    }
    for ((vnr, old), (_, new)) in state.told.volumes.iter().zip(&state.now.volumes) {
        if old != new {
            if let Some(device) = resource.device(*vnr) {
                old_style(&device, SibReason::StateChange, |info| {
                    info.current_state = new.to_word();
                    info.prev_state = Some(old.to_word());
                    info.new_state = Some(new.to_word());
                });
            }
        }
    }
    state.told.cstate = state.now.cstate;
    for ((_, old), (_, new)) in state.told.volumes.iter_mut().zip(&state.now.volumes) {
        *old = *new;
    }
}

#[inline(never)]
fn log_changes(resource: &Arc<Resource>, state: &State) {
    let about = About::Resource(resource);
    let suspended = |seen: &Seen| seen.volumes.iter().any(|(_, s)| s.is_suspended());
    let susp = Suspension {
        old: suspended(&state.told),
        new: suspended(&state.now),
    };
    let changes = || {
        let pairs = state.told.volumes.iter().zip(&state.now.volumes);
        pairs.map(|((vnr, old), (_, new))| (*vnr, Parts::between(old, new)))
    };
    let common = if state.told.cstate == state.now.cstate {
        Parts::default()
    } else {
        changes()
            .map(|(_, parts)| parts)
            .reduce(|all, one| all.common(&one))
            .unwrap_or(Parts::of_connection(state.told.cstate, state.now.cstate))
    };
    log::change(about, format_args!("{common}{susp}"));
    for (vnr, parts) in changes() {
        if let Some(device) = resource.device(vnr) {
            log::change(
                About::Device(&device),
                format_args!("{}", parts.without(&common)),
            );
        }
    }
}

/// Sends a new-style message about an object.
#[inline(never)]
fn tell(resource: &Arc<Resource>, object: Object, kind: NotificationType, continues: bool) {
    let gone = kind == NotificationType::Destroy;
    let notification = Notification { kind, continues };
    match object {
        Object::Resource => {
            send(Op::ResourceState, NO_MINOR, |w| {
                status::context(resource, None).put(w)?;
                notification.header().put(w)?;
                status::put_resource(resource, w, gone)
            });
        }
        Object::Connection => {
            send(Op::ConnectionState, NO_MINOR, |w| {
                resource
                    .view(|view| status::full_context(resource, view, None))
                    .put(w)?;
                notification.header().put(w)?;
                status::put_connection(resource, w, gone)
            });
        }
        Object::Device(vnr) => {
            if let Some(device) = resource.device(vnr) {
                tell_device(&device, notification);
            }
        }
        Object::PeerDevice(vnr) => {
            if let Some(device) = resource.device(vnr) {
                tell_peer_device(&device, notification);
            }
        }
    }
}

#[inline(never)]
fn tell_device(device: &Arc<Device>, notification: Notification) {
    let gone = notification.kind == NotificationType::Destroy;
    send(Op::DeviceState, device.minor, |w| {
        status::context(&device.resource, Some(device)).put(w)?;
        notification.header().put(w)?;
        status::put_device(device, w, gone)
    });
}

#[inline(never)]
fn tell_peer_device(device: &Arc<Device>, notification: Notification) {
    let gone = notification.kind == NotificationType::Destroy;
    let resource = &device.resource;
    send(Op::PeerDeviceState, NO_MINOR, |w| {
        resource
            .view(|view| status::full_context(resource, view, Some(device)))
            .put(w)?;
        notification.header().put(w)?;
        status::put_peer_device(device, w, gone)
    });
}

/// A message that is lost is noticed by who listens: numbers are missing.
fn send(op: Op, minor: u32, write: impl FnOnce(&mut Writer<'_>) -> Result<(), Overflow>) {
    let _ = multicast(op, minor, &NEW_STYLE, write);
}

/// Sends an old-style message about a device.
#[inline(never)]
fn old_style(device: &Arc<Device>, reason: SibReason, add: impl FnOnce(&mut StateInfo)) {
    let heard = multicast(Op::Event, device.minor, &OLD_STYLE, |w| {
        status::put_status(device, w, reason, add)
    });
    if let Err(error) = heard {
        let seq = OLD_STYLE.load(Ordering::Relaxed);
        log::say(
            crate::sys::log::Level::Error,
            About::Device(device),
            format_args!(
                "Error {} while broadcasting event. Event seq:{seq} sib_reason:{}",
                error.to_errno(),
                reason.number()
            ),
        );
    }
}

/// Numbers and sends a message, if somebody listens. The order of numbers is that of messages.
fn multicast(
    op: Op,
    minor: u32,
    counter: &AtomicU32,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), Overflow>,
) -> Result {
    // Events go out one after the other: who writes memory out must not wait for who reclaims it.
    let _noio = NoIo::enter();
    let sent = crate::family().multicast(|payload| {
        let seq = counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let head = Header::reply(minor, RetCode::NO_ERROR).to_bytes();
        let (place, rest) = payload.split_at_mut_checked(head.len()).ok_or(EMSGSIZE)?;
        place.copy_from_slice(&head);
        let mut writer = Writer::new(rest, Style::Kernel, Audience::Public);
        write(&mut writer).map_err(|_| EMSGSIZE)?;
        let len = head.len().saturating_add(writer.len());
        Ok(Event {
            command: op.number(),
            seq,
            len,
        })
    });
    sent.map(|_| ())
}

/// A resource was made.
pub(crate) fn resource_created(resource: &Arc<Resource>) {
    tell(resource, Object::Resource, NotificationType::Create, false);
}

/// A resource is gone.
pub(crate) fn resource_destroyed(resource: &Arc<Resource>) {
    tell(resource, Object::Resource, NotificationType::Destroy, false);
}

/// A volume will be made: there is room to remember its state. May sleep.
pub(crate) fn reserve(resource: &Resource) -> Result {
    let mut state = resource.news.state.lock();
    vector::reserve(&mut state.told.volumes, 1, GFP_KERNEL)?;
    vector::reserve(&mut state.now.volumes, 1, GFP_KERNEL)
}

/// A volume was made, after [`reserve`].
pub(crate) fn device_created(device: &Arc<Device>) {
    let resource = &device.resource;
    let (now, net) =
        resource.view(|view| (status::volume(view, device.vnr).state, view.net.is_some()));
    let mut state = resource.news.state.lock();
    let State {
        told, now: seen, ..
    } = &mut *state;
    for volumes in [&mut told.volumes, &mut seen.volumes] {
        let at = vector::place_of(volumes, |(vnr, _)| *vnr < device.vnr);
        let _ = volumes.insert_within_capacity(at, (device.vnr, now));
    }
    tell_device(
        device,
        Notification {
            kind: NotificationType::Create,
            continues: false,
        },
    );
    if net {
        tell_peer_device(
            device,
            Notification {
                kind: NotificationType::Create,
                continues: false,
            },
        );
    }
}

/// A volume is gone. It still exists, but is not listed any more.
pub(crate) fn device_destroyed(device: &Arc<Device>) {
    let resource = &device.resource;
    let mut state = resource.news.state.lock();
    let State { told, now, .. } = &mut *state;
    for volumes in [&mut told.volumes, &mut now.volumes] {
        vector::retain(volumes, |(vnr, _)| *vnr != device.vnr);
    }
    if resource.view(|view| view.net.is_some()) {
        tell_peer_device(
            device,
            Notification {
                kind: NotificationType::Destroy,
                continues: true,
            },
        );
    }
    tell_device(
        device,
        Notification {
            kind: NotificationType::Destroy,
            continues: false,
        },
    );
}

/// A connection was configured.
pub(crate) fn connection_created(resource: &Arc<Resource>) {
    tell(
        resource,
        Object::Connection,
        NotificationType::Create,
        false,
    );
    for device in resource.devices().iter() {
        tell_peer_device(
            device,
            Notification {
                kind: NotificationType::Create,
                continues: false,
            },
        );
    }
}

/// A connection's configuration will be dropped now.
pub(crate) fn connection_destroyed(resource: &Arc<Resource>) {
    settle(resource);
    for device in resource.devices().iter() {
        tell_peer_device(
            device,
            Notification {
                kind: NotificationType::Destroy,
                continues: true,
            },
        );
    }
    tell(
        resource,
        Object::Connection,
        NotificationType::Destroy,
        false,
    );
}

/// A handler will be called for a volume or the connection, or, with its raw status, has ended.
pub(crate) fn handler(
    resource: &Arc<Resource>,
    device: Option<&Arc<Device>>,
    name: &str,
    ended: Option<u32>,
) {
    let (reason, kind) = match ended {
        None => (SibReason::HelperPre, NotificationType::Call),
        Some(_) => (SibReason::HelperPost, NotificationType::Response),
    };
    let info = HelperInfo {
        helper_name: Text::new(name.as_bytes()).unwrap_or(Text::EMPTY),
        helper_status: ended.unwrap_or(0),
    };
    if let Some(device) = device {
        old_style(device, reason, |status| {
            status.helper = Some(info.helper_name);
            status.helper_exit_code = ended;
        });
    }
    let notification = Notification {
        kind,
        continues: false,
    };
    let minor = device.map_or(NO_MINOR, |device| device.minor);
    let device = device.map(|device| &**device);
    send(Op::Helper, minor, |w| {
        resource
            .view(|view| status::full_context(resource, view, device))
            .put(w)?;
        notification.header().put(w)?;
        info.put(w)
    });
}

/// A resync has made progress.
pub(crate) fn sync_progress(device: &Arc<Device>) {
    old_style(device, SibReason::SyncProgress, |_| {});
}
