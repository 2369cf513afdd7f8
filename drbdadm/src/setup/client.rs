// SPDX-License-Identifier: GPL-2.0
//! Requests to the driver and what comes back, for drbdsetup and, in-process, for drbdadm.
//!
//! ```no_run
//! use drbdadm::setup::client::Client;
//!
//! let mut client = Client::open()?;
//! for resource in client.resources(None)? {
//!     println!("{} {}", resource.name, resource.info.res_role);
//! }
//! # Ok::<(), drbdadm::setup::error::ClientError>(())
//! ```

use super::error::ClientError;
use super::netlink::{Incoming, Message, Netlink};
use drbd_core::config::{DiskConf, NetConf, ResOpts};
use drbd_core::genl::info::{
    ConnectionInfo, ConnectionStatistics, DeviceInfo, DeviceStatistics, PeerDeviceInfo,
    PeerDeviceStatistics, ResourceInfo, ResourceStatistics,
};
use drbd_core::genl::request::TimeoutParms;
use drbd_core::genl::status::StateInfo;
use drbd_core::genl::{
    Address, Audience, Context, ErrCode, Header, Nest, Op, Overflow, RetCode, Style, Writer,
    NO_MINOR,
};
use drbd_core::state::DeviceState;
use std::time::{Duration, Instant};

/// How long questions may take. Changes may take as long as they need.
const GET_TIMEOUT: Duration = Duration::from_secs(120);
/// Room for the sets of a request in bytes.
const BODY_BYTES: usize = 16 * 1024;

/// A resource as `GET_RESOURCES` tells it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub options: ResOpts,
    /// Role and suspension.
    pub info: ResourceInfo,
    /// Figures.
    pub statistics: ResourceStatistics,
}

/// A volume as `GET_DEVICES` tells it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Volume number in its resource.
    pub volume: u32,
    /// Minor.
    pub minor: u32,
    /// Settings; only with a local disk.
    pub disk_conf: Option<DiskConf>,
    /// Disk state.
    pub info: DeviceInfo,
    /// Figures.
    pub statistics: DeviceStatistics,
}

/// A connection as `GET_CONNECTIONS` tells it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Own address.
    pub my_addr: Address,
    /// The peer's address.
    pub peer_addr: Address,
    /// Settings.
    pub net_conf: NetConf,
    /// States.
    pub info: ConnectionInfo,
    /// Figures.
    pub statistics: ConnectionStatistics,
}

/// A volume on the peer as `GET_PEER_DEVICES` tells it.
#[derive(Clone, Debug)]
pub struct PeerDevice {
    /// Volume number in its resource.
    pub volume: u32,
    /// States.
    pub info: PeerDeviceInfo,
    /// Figures.
    pub statistics: PeerDeviceStatistics,
}

/// One entry of `GET_STATUS`. A resource without volumes has one entry without a minor.
#[derive(Clone, Debug)]
pub struct Status {
    /// The minor, unless the resource has no volumes.
    pub minor: Option<u32>,
    /// Resource, volume and addresses.
    pub context: Context,
    /// Settings of the resource.
    pub res_opts: Option<ResOpts>,
    /// Settings of the disk; only with a local disk.
    pub disk_conf: Option<DiskConf>,
    /// Settings of the connection; only if configured.
    pub net_conf: Option<NetConf>,
    /// State of the device.
    pub state: Option<StateInfo>,
}

impl Status {
    /// Reads the sets of a message.
    ///
    /// # Errors
    ///
    /// [`ClientError::Malformed`].
    pub fn from_message(message: &Message) -> Result<Self, ClientError> {
        let top = message.top()?;
        Ok(Self {
            minor: message.header.minor(),
            context: top.read()?.unwrap_or_default(),
            res_opts: top.read()?,
            disk_conf: top.read()?,
            net_conf: top.read()?,
            state: top.read()?,
        })
    }

    /// The name of the resource.
    #[must_use]
    pub fn resource(&self) -> String {
        name_of(&self.context)
    }

    /// The device's state; none without a device, or if it holds a number without a meaning.
    #[must_use]
    pub fn device_state(&self) -> Option<DeviceState> {
        DeviceState::from_word(self.state.as_ref()?.current_state).ok()
    }
}

fn name_of(context: &Context) -> String {
    context
        .resource_name
        .map(|name| name.to_string())
        .unwrap_or_default()
}

/// What a request is about.
#[derive(Clone, Debug)]
pub enum Target {
    /// A minor.
    Minor(u32),
    /// A resource, by name.
    Resource(String),
    /// A connection, by own and peer address.
    Connection(Address, Address),
    /// A connection to be made: resource, own and peer address.
    NewConnection(String, Address, Address),
    /// A minor to be made: resource, minor, volume.
    NewMinor(String, u32, u32),
}

impl Target {
    fn header(&self, flags: u32) -> Header {
        match self {
            Self::Minor(minor) | Self::NewMinor(_, minor, _) => Header::request(*minor, flags),
            _ => Header::request(NO_MINOR, flags),
        }
    }

    /// Writes the context set. Names are written as they are: the driver judges their length.
    fn put_context(&self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        let (name, volume, addresses) = match self {
            Self::Minor(_) => return Ok(()),
            Self::Resource(name) => (Some(name), None, None),
            Self::Connection(my_addr, peer_addr) => (None, None, Some([my_addr, peer_addr])),
            Self::NewConnection(name, my_addr, peer_addr) => {
                (Some(name), None, Some([my_addr, peer_addr]))
            }
            Self::NewMinor(name, _, volume) => (Some(name), Some(*volume), None),
        };
        let nest = writer.nest_start(Context::SET.number, Context::SET.marked)?;
        if let Some(name) = name {
            writer.put_text(writer.field_type(2, true), name.as_bytes())?;
        }
        if let Some(volume) = volume {
            writer.put_raw(writer.field_type(1, true), &volume.to_ne_bytes())?;
        }
        if let Some([my_addr, peer_addr]) = addresses {
            writer.put_raw(writer.field_type(3, true), my_addr.as_bytes())?;
            writer.put_raw(writer.field_type(4, true), peer_addr.as_bytes())?;
        }
        writer.nest_end(nest)
    }
}

/// A conversation with the driver.
#[derive(Debug)]
pub struct Client {
    netlink: Netlink,
}

impl Client {
    /// Opens a socket. The module must be loaded, see [`super::module::ensure_loaded`].
    ///
    /// # Errors
    ///
    /// See [`Netlink::open`].
    pub fn open() -> Result<Self, ClientError> {
        Ok(Self {
            netlink: Netlink::open()?,
        })
    }

    /// The socket, for listeners.
    pub fn netlink(&mut self) -> &mut Netlink {
        &mut self.netlink
    }

    /// Carries out a change. `body` writes the sets behind the context.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the driver says no; others if the conversation failed.
    pub fn change(
        &mut self,
        op: Op,
        target: &Target,
        flags: u32,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), ClientError>,
    ) -> Result<Message, ClientError> {
        self.request(op, target, flags, body, None)
    }

    /// Asks about one object.
    ///
    /// # Errors
    ///
    /// As [`Self::change`], and [`ClientError::Timeout`].
    pub fn get(&mut self, op: Op, target: &Target) -> Result<Message, ClientError> {
        let deadline = Some(Instant::now() + GET_TIMEOUT);
        self.request(op, target, 0, |_| Ok(()), deadline)
    }

    /// Asks about all objects, or those of one resource.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with code 158, or [`ClientError::Dump`], if the resource does not
    /// exist.
    pub fn dump(&mut self, op: Op, resource: Option<&str>) -> Result<Vec<Message>, ClientError> {
        let target = resource.map(|name| Target::Resource(name.to_owned()));
        let body = body(target.as_ref(), |_| Ok(()))?;
        let seq = self
            .netlink
            .send(op, true, Header::request(NO_MINOR, 0), &body)?;
        let deadline = Instant::now() + GET_TIMEOUT;
        let mut messages = Vec::new();
        loop {
            match self
                .netlink
                .receive(Some(deadline))?
                .ok_or(ClientError::Timeout)?
            {
                Incoming::Message(message) if message.seq == seq => {
                    if !message.header.ret_code().is_success() {
                        // The C driver repeats this message for ever.
                        return Err(self.abandon(&message));
                    }
                    messages.push(message);
                }
                Incoming::Done(done, 0) if done == seq => return Ok(messages),
                Incoming::Done(done, errno) if done == seq => {
                    return Err(ClientError::Dump(errno.saturating_neg()));
                }
                Incoming::Error(error, errno) if error == seq && errno != 0 => {
                    return Err(ClientError::Dump(errno.saturating_neg()));
                }
                _ => {}
            }
        }
    }

    /// All resources, or the one with this name; an unknown name gives none.
    ///
    /// # Errors
    ///
    /// See [`Self::dump`].
    pub fn resources(&mut self, only: Option<&str>) -> Result<Vec<Resource>, ClientError> {
        let mut resources = Vec::new();
        for message in self.dump(Op::GetResources, None)? {
            let top = message.top()?;
            let name = name_of(&top.read()?.unwrap_or_default());
            if only.is_some_and(|only| only != name) {
                continue;
            }
            resources.push(Resource {
                name,
                options: top.read()?.unwrap_or_default(),
                info: top.read()?.unwrap_or_default(),
                statistics: top.read()?.unwrap_or_default(),
            });
        }
        Ok(resources)
    }

    /// The volumes of a resource, by volume number.
    ///
    /// # Errors
    ///
    /// See [`Self::dump`].
    pub fn devices(&mut self, resource: &str) -> Result<Vec<Device>, ClientError> {
        let messages = self.dump(Op::GetDevices, Some(resource))?;
        messages
            .iter()
            .map(|message| {
                let top = message.top()?;
                let context: Context = top.read()?.unwrap_or_default();
                Ok(Device {
                    volume: context.volume.unwrap_or_default(),
                    minor: message.header.minor,
                    disk_conf: top.read()?,
                    info: top.read()?.unwrap_or_default(),
                    statistics: top.read()?.unwrap_or_default(),
                })
            })
            .collect()
    }

    /// The connections of a resource: one, or none if it is not configured.
    ///
    /// # Errors
    ///
    /// See [`Self::dump`].
    pub fn connections(&mut self, resource: &str) -> Result<Vec<Connection>, ClientError> {
        let messages = self.dump(Op::GetConnections, Some(resource))?;
        messages
            .iter()
            .map(|message| {
                let top = message.top()?;
                let context: Context = top.read()?.unwrap_or_default();
                Ok(Connection {
                    my_addr: context.my_addr,
                    peer_addr: context.peer_addr,
                    net_conf: top.read()?.unwrap_or_default(),
                    info: top.read()?.unwrap_or_default(),
                    statistics: top.read()?.unwrap_or_default(),
                })
            })
            .collect()
    }

    /// The peer's volumes of a resource.
    ///
    /// # Errors
    ///
    /// See [`Self::dump`].
    pub fn peer_devices(&mut self, resource: &str) -> Result<Vec<PeerDevice>, ClientError> {
        let messages = self.dump(Op::GetPeerDevices, Some(resource))?;
        messages
            .iter()
            .map(|message| {
                let top = message.top()?;
                let context: Context = top.read()?.unwrap_or_default();
                Ok(PeerDevice {
                    volume: context.volume.unwrap_or_default(),
                    info: top.read()?.unwrap_or_default(),
                    statistics: top.read()?.unwrap_or_default(),
                })
            })
            .collect()
    }

    /// State and settings of one minor.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with code 127 if there is no such minor.
    pub fn status(&mut self, minor: u32) -> Result<Status, ClientError> {
        Status::from_message(&self.get(Op::GetStatus, &Target::Minor(minor))?)
    }

    /// State and settings of all minors, or of one resource's.
    ///
    /// # Errors
    ///
    /// [`ClientError::Dump`] with ENODEV if there is no such resource.
    pub fn statuses(&mut self, resource: Option<&str>) -> Result<Vec<Status>, ClientError> {
        self.dump(Op::GetStatus, resource)?
            .iter()
            .map(Status::from_message)
            .collect()
    }

    /// Which wait time applies to a minor: 0 default, 1 degraded, 2 peer outdated.
    ///
    /// # Errors
    ///
    /// See [`Self::get`].
    pub fn timeout_type(&mut self, minor: u32) -> Result<u32, ClientError> {
        let message = self.get(Op::GetTimeoutType, &Target::Minor(minor))?;
        let parms: Option<TimeoutParms> = message.top()?.read()?;
        Ok(parms.unwrap_or_default().timeout_type)
    }

    fn request(
        &mut self,
        op: Op,
        target: &Target,
        flags: u32,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), ClientError>,
        deadline: Option<Instant>,
    ) -> Result<Message, ClientError> {
        let body = body(Some(target), write)?;
        let seq = self.netlink.send(op, false, target.header(flags), &body)?;
        loop {
            match self
                .netlink
                .receive(deadline)?
                .ok_or(ClientError::Timeout)?
            {
                Incoming::Message(message) if message.seq == seq && message.op == Some(op) => {
                    let code = message.header.ret_code();
                    if code.is_success() {
                        return Ok(message);
                    }
                    return Err(ClientError::Refused {
                        code,
                        texts: message.texts(),
                    });
                }
                Incoming::Error(error, errno) if error == seq && errno != 0 => {
                    return Err(ClientError::Netlink(errno.saturating_neg()));
                }
                _ => {}
            }
        }
    }

    /// Ends a dump that would not end: a new socket forgets it.
    fn abandon(&mut self, message: &Message) -> ClientError {
        let error = ClientError::Refused {
            code: message.header.ret_code(),
            texts: message.texts(),
        };
        match Netlink::open() {
            Ok(netlink) => {
                self.netlink = netlink;
                error
            }
            Err(open_error) => open_error,
        }
    }
}

/// The attributes of a request: the context, then what `write` adds.
fn body(
    target: Option<&Target>,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), ClientError>,
) -> Result<Vec<u8>, ClientError> {
    let mut buffer = vec![0; BODY_BYTES];
    let mut writer = Writer::new(&mut buffer, Style::Tools, Audience::Privileged);
    if let Some(target) = target {
        target.put_context(&mut writer)?;
    }
    write(&mut writer)?;
    let len = writer.len();
    buffer.truncate(len);
    Ok(buffer)
}

/// Whether an error says that the resource does not exist.
#[must_use]
pub fn is_unknown_resource(error: &ClientError) -> bool {
    const ENODEV: i32 = 19;
    match error {
        ClientError::Refused { code, .. } => *code == RetCode::from(ErrCode::ResNotKnown),
        ClientError::Dump(errno) => *errno == ENODEV,
        _ => false,
    }
}
