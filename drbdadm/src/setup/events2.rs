// SPDX-License-Identifier: GPL-2.0
//! `events2`: objects and their changes, one line each, for programs.

use super::client::Client;
use super::error::{ClientError, SetupError};
use super::netlink::{Incoming, Message};
use super::{names, Call, Io};
use chrono::Local;
use drbd_core::genl::info::{
    ConnectionInfo, ConnectionStatistics, DeviceInfo, DeviceStatistics, HelperInfo, Notification,
    NotificationHeader, NotificationType, PeerDeviceInfo, PeerDeviceStatistics, ResourceInfo,
    ResourceStatistics,
};
use drbd_core::genl::{Context, Header, Op, TopLevel, NO_MINOR};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Runs `events2`.
pub(super) fn run(call: &Call, io: &mut Io<'_>) -> Result<u8, SetupError> {
    let about = SetupError::about;
    let mut client = Client::open().map_err(about(&call.object))?;
    let is_now = call.parsed.has("now");
    let netlink = client.netlink();
    netlink.subscribe().map_err(about(&call.object))?;
    netlink
        .send(Op::GetInitialState, true, Header::request(NO_MINOR, 0), &[])
        .map_err(about(&call.object))?;
    let mut printer = Printer::new(
        call.resource().map(str::to_owned),
        call.parsed.has("statistics"),
        call.parsed.has("timestamps"),
        is_now,
    );
    loop {
        match netlink.receive(None).map_err(about(&call.object))? {
            Some(Incoming::Message(message)) => {
                let text = printer.message(&message).map_err(about(&call.object))?;
                io.out.write_all(text.as_bytes())?;
                // Readers wait for each line.
                io.out.flush()?;
                if is_now && message.op == Some(Op::InitialStateDone) {
                    return Ok(0);
                }
            }
            Some(Incoming::FamilyGone) => return Ok(0),
            Some(Incoming::Error(_, errno) | Incoming::Done(_, errno)) if errno != 0 => {
                return Err(about(&call.object)(ClientError::Dump(
                    errno.saturating_neg(),
                )));
            }
            Some(Incoming::Error(..) | Incoming::Done(..)) | None => {}
        }
    }
}

/// What was printed last about an object.
#[derive(Clone, Debug)]
enum Seen {
    Resource(ResourceInfo, ResourceStatistics),
    Device(DeviceInfo, DeviceStatistics),
    Connection(ConnectionInfo, ConnectionStatistics),
    PeerDevice(PeerDeviceInfo, PeerDeviceStatistics),
}

/// Turns messages into lines; remembers what was said.
#[derive(Debug)]
struct Printer {
    resource: Option<String>,
    has_statistics: bool,
    has_timestamps: bool,
    is_now: bool,
    seen: HashMap<String, Seen>,
    last_seq: Option<u32>,
    /// The time of the change whose messages are still coming.
    stamp: Option<String>,
}

impl Printer {
    fn new(
        resource: Option<String>,
        has_statistics: bool,
        has_timestamps: bool,
        is_now: bool,
    ) -> Self {
        Self {
            resource,
            has_statistics,
            has_timestamps,
            is_now,
            seen: HashMap::new(),
            last_seq: None,
            stamp: None,
        }
    }

    /// The lines for a message; empty if it is of no concern.
    fn message(&mut self, message: &Message) -> Result<String, ClientError> {
        let top = message.top()?;
        let Some(header) = top.read::<NotificationHeader>()? else {
            return Ok(String::new());
        };
        let Some(notification) = Notification::from_header(&header) else {
            return Ok(String::new());
        };
        let mut text = String::new();
        if message.op == Some(Op::InitialStateDone) {
            self.line(&mut text, "exists", "-", notification.continues);
            return Ok(text);
        }
        let context: Context = top.read()?.unwrap_or_default();
        let name = context
            .resource_name
            .map(|name| name.to_string())
            .unwrap_or_default();
        let is_initial = notification.kind == NotificationType::Exists;
        if self.resource.as_ref().is_some_and(|only| *only != name) || (self.is_now && !is_initial)
        {
            return Ok(text);
        }
        if !is_initial {
            let expected = self.last_seq.map(|last| last.wrapping_add(1));
            if let Some(skipped) = expected.map(|expected| message.seq.wrapping_sub(expected)) {
                if skipped != 0 {
                    let _ = writeln!(text, "- skipped {skipped}");
                }
            }
            self.last_seq = Some(message.seq);
        }
        let action = match notification.kind {
            NotificationType::Exists => "exists",
            NotificationType::Create => "create",
            NotificationType::Change => "change",
            NotificationType::Destroy => "destroy",
            NotificationType::Call => "call",
            NotificationType::Response => "response",
        };
        let Some(key) = key(message, &context, &name) else {
            return Ok(text);
        };
        let changes = if notification.kind == NotificationType::Destroy {
            self.seen.remove(&key);
            String::new()
        } else if message.op == Some(Op::Helper) {
            helper(&top, notification.kind)?
        } else {
            self.changes(message.op, &key, &top)?
        };
        self.line(
            &mut text,
            action,
            &format!("{key}{changes}"),
            notification.continues,
        );
        Ok(text)
    }

    /// Writes a line; all lines of one change have the same time.
    fn line(&mut self, text: &mut String, action: &str, rest: &str, continues: bool) {
        if self.has_timestamps {
            let stamp = self
                .stamp
                .take()
                .unwrap_or_else(|| Local::now().format("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string());
            let _ = write!(text, "{stamp} ");
            if continues {
                self.stamp = Some(stamp);
            }
        }
        let _ = writeln!(text, "{action} {rest}");
    }

    fn changes(
        &mut self,
        op: Option<Op>,
        key: &str,
        top: &TopLevel<'_>,
    ) -> Result<String, ClientError> {
        let old = self.seen.remove(key);
        let new = match op {
            Some(Op::ResourceState) => Seen::Resource(
                top.read()?.unwrap_or_default(),
                top.read()?.unwrap_or_default(),
            ),
            Some(Op::DeviceState) => Seen::Device(
                top.read()?.unwrap_or_default(),
                top.read()?.unwrap_or_default(),
            ),
            Some(Op::ConnectionState) => Seen::Connection(
                top.read()?.unwrap_or_default(),
                top.read()?.unwrap_or_default(),
            ),
            _ => Seen::PeerDevice(
                top.read()?.unwrap_or_default(),
                top.read()?.unwrap_or_default(),
            ),
        };
        let changes = differences(old.as_ref(), &new, self.has_statistics);
        self.seen.insert(key.to_owned(), new);
        Ok(changes)
    }
}

/// Names an object; none for operations that are no events.
fn key(message: &Message, context: &Context, name: &str) -> Option<String> {
    let kind = match message.op? {
        Op::ResourceState => "resource",
        Op::DeviceState => "device",
        Op::ConnectionState => "connection",
        Op::PeerDeviceState => "peer-device",
        Op::Helper => "helper",
        _ => return None,
    };
    let mut key = format!("{kind} name:{name}");
    if !matches!(kind, "resource" | "device") {
        key.push_str(" peer-node-id:0");
    }
    if !context.peer_addr.is_empty() {
        key.push_str(" conn-name:peer");
    }
    if let Some(volume) = context.volume {
        let _ = write!(key, " volume:{volume}");
    }
    if let Some(minor) = message.header.minor() {
        let _ = write!(key, " minor:{minor}");
    }
    Some(key)
}

fn helper(top: &TopLevel<'_>, kind: NotificationType) -> Result<String, ClientError> {
    let info: HelperInfo = top.read()?.unwrap_or_default();
    let mut text = format!(" helper:{}", info.helper_name);
    if kind == NotificationType::Response {
        let _ = write!(text, " status:{}", info.helper_status);
    }
    Ok(text)
}

/// The values that differ from what was printed before.
fn differences(old: Option<&Seen>, new: &Seen, has_statistics: bool) -> String {
    match (old, new) {
        (Some(Seen::Resource(info, figures)), Seen::Resource(new_info, new_figures)) => {
            resource(Some((info, figures)), new_info, new_figures, has_statistics)
        }
        (_, Seen::Resource(info, figures)) => resource(None, info, figures, has_statistics),
        (Some(Seen::Device(info, figures)), Seen::Device(new_info, new_figures)) => {
            device(Some((info, figures)), new_info, new_figures, has_statistics)
        }
        (_, Seen::Device(info, figures)) => device(None, info, figures, has_statistics),
        (Some(Seen::Connection(info, figures)), Seen::Connection(new_info, new_figures)) => {
            connection(Some((info, figures)), new_info, new_figures, has_statistics)
        }
        (_, Seen::Connection(info, figures)) => connection(None, info, figures, has_statistics),
        (Some(Seen::PeerDevice(info, _)), Seen::PeerDevice(new_info, figures)) => {
            peer_device(Some(info), new_info, figures, has_statistics)
        }
        (_, Seen::PeerDevice(info, figures)) => peer_device(None, info, figures, has_statistics),
    }
}

/// Appends ` name:value` if the value is new.
struct Values(String);

impl Values {
    fn add(&mut self, name: &str, old: Option<&str>, new: &str) {
        if old != Some(new) {
            let _ = write!(self.0, " {name}:{new}");
        }
    }
}

fn resource(
    old: Option<(&ResourceInfo, &ResourceStatistics)>,
    info: &ResourceInfo,
    figures: &ResourceStatistics,
    has_statistics: bool,
) -> String {
    let mut values = Values(String::new());
    values.add(
        "role",
        old.map(|(i, _)| names::role(i.res_role)),
        names::role(info.res_role),
    );
    let suspended = old.map(|(i, _)| names::suspended(i));
    values.add("suspended", suspended.as_deref(), &names::suspended(info));
    if has_statistics {
        let ordering = |f: &ResourceStatistics| names::write_ordering(f.res_stat_write_ordering);
        values.add(
            "write-ordering",
            old.map(|(_, f)| ordering(f)),
            ordering(figures),
        );
    }
    values.0
}

fn device(
    old: Option<(&DeviceInfo, &DeviceStatistics)>,
    info: &DeviceInfo,
    figures: &DeviceStatistics,
    has_statistics: bool,
) -> String {
    let mut values = Values(String::new());
    let disk = |i: &DeviceInfo| names::disk(i.dev_disk_state);
    values.add("disk", old.map(|(i, _)| disk(i)), disk(info));
    if has_statistics {
        // The figures are said each time.
        let _ = write!(
            values.0,
            " size:{} read:{} written:{} al-writes:{} bm-writes:{} upper-pending:{} \
             lower-pending:{}",
            figures.dev_size / 2,
            figures.dev_read / 2,
            figures.dev_write / 2,
            figures.dev_al_writes,
            figures.dev_bm_writes,
            figures.dev_upper_pending,
            figures.dev_lower_pending,
        );
        let suspended = |f: &DeviceStatistics| names::yes_no(f.dev_al_suspended);
        values.add(
            "al-suspended",
            old.map(|(_, f)| suspended(f)),
            suspended(figures),
        );
        let blocked =
            |f: &DeviceStatistics| names::blocked(f.dev_upper_blocked, f.dev_lower_blocked);
        let old_blocked = old.map(|(_, f)| blocked(f));
        values.add("blocked", old_blocked.as_deref(), &blocked(figures));
    }
    values.0
}

fn connection(
    old: Option<(&ConnectionInfo, &ConnectionStatistics)>,
    info: &ConnectionInfo,
    figures: &ConnectionStatistics,
    has_statistics: bool,
) -> String {
    let mut values = Values(String::new());
    let state = |i: &ConnectionInfo| names::connection(i.conn_connection_state);
    values.add("connection", old.map(|(i, _)| state(i)), state(info));
    let role = |i: &ConnectionInfo| names::role(i.conn_role);
    values.add("role", old.map(|(i, _)| role(i)), role(info));
    if has_statistics {
        let congested = |f: &ConnectionStatistics| names::yes_no(f.conn_congested);
        values.add(
            "congested",
            old.map(|(_, f)| congested(f)),
            congested(figures),
        );
    }
    values.0
}

fn peer_device(
    old: Option<&PeerDeviceInfo>,
    info: &PeerDeviceInfo,
    figures: &PeerDeviceStatistics,
    has_statistics: bool,
) -> String {
    let mut values = Values(String::new());
    let replication = |i: &PeerDeviceInfo| names::replication(i.peer_repl_state);
    values.add("replication", old.map(replication), replication(info));
    let disk = |i: &PeerDeviceInfo| names::disk(i.peer_disk_state);
    values.add("peer-disk", old.map(disk), disk(info));
    let suspended = old.map(names::resync_suspended);
    values.add(
        "resync-suspended",
        suspended.as_deref(),
        &names::resync_suspended(info),
    );
    if has_statistics {
        let _ = write!(
            values.0,
            " received:{} sent:{} out-of-sync:{} pending:{} unacked:{}",
            figures.peer_dev_received / 2,
            figures.peer_dev_sent / 2,
            figures.peer_dev_out_of_sync / 2,
            figures.peer_dev_pending,
            figures.peer_dev_unacked,
        );
    }
    values.0
}

#[cfg(test)]
mod tests;
