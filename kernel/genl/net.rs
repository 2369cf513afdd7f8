// SPDX-License-Identifier: GPL-2.0

//! connect, disconnect, net-options.

use drbd_core::admin::net::{self, Endpoints, Running};
use drbd_core::admin::{tell, Answer, Judged};
use drbd_core::config::net::NetSituation;
use drbd_core::config::words::Fencing;
use drbd_core::config::NetConf;
use drbd_core::genl::request::DisconnectParms;
use drbd_core::genl::{ErrCode, Nest};
use drbd_core::peer::{settings, Command, Send, Setting};
use drbd_core::state::{Conn, Role};
use kernel::prelude::*;
use kernel::sync::Arc;

use super::{machine, no_memory, Call};
use crate::digests::Digests;
use crate::events;
use crate::resource::{Addresses, Resource, View};

impl Call<'_> {
    #[inline(never)]
    pub(super) fn connect(&mut self) -> Judged<Answer> {
        let resource = self.resource()?;
        let _turn = self.turn(&resource)?;
        let command = self.configure(&resource)?;
        events::connection_created(&resource);
        Ok(machine(resource.command(command)))
    }

    /// Checks and stores the configuration of a connection; gives the command that starts it.
    #[inline(never)]
    fn configure(&self, resource: &Arc<Resource>) -> Judged<Command> {
        let wanted = net::endpoints(self.context.as_ref())?;
        // Two resources must not take the same address at the same time.
        let _creation = crate::registry().creation();
        net::addresses_free(&wanted, Connections { last: None })?;
        if resource.view(|view| view.cstate) > Conn::StandAlone {
            return Err(ErrCode::NetConfigured.into());
        }
        let volumes = policies(resource).map_err(no_memory)?;
        let conf = self.new_net(&volumes)?;
        let digests = Digests::of(&conf)?;
        if resource.view(|view| view.net.is_some()) {
            return Err(ErrCode::NetConfigured.into());
        }
        *resource.digests.lock() = digests;
        let command = Command::Connect {
            discard_my_data: conf.discard_my_data,
            dry_run: conf.tentative,
        };
        resource.with_owner(|owner| {
            owner.core.set(Setting::Net(settings::net_settings(&conf)));
            owner.net = Some(conf);
            owner.addresses = Some(Addresses {
                mine: wanted.mine,
                peer: wanted.peer,
            });
        });
        for device in resource.devices().iter() {
            device.counters.forget_traffic();
        }
        Ok(command)
    }

    /// The configuration of a new connection. On a stack of its own: it is large.
    #[inline(never)]
    fn new_net(&self, volumes: &[(Option<Fencing>, bool)]) -> Judged<Arc<NetConf>> {
        let situation = NetSituation {
            established: None,
            both_primary: false,
            volumes,
        };
        let conf = net::new_conf(self.payload::<NetConf>(), &situation)?;
        Arc::new(conf, GFP_KERNEL).map_err(no_memory)
    }

    #[inline(never)]
    pub(super) fn disconnect(&mut self) -> Judged<Answer> {
        let force = match self.payload::<DisconnectParms>() {
            Some(payload) => DisconnectParms::create(payload)?.0.force_disconnect,
            None => false,
        };
        let resource = self.resource()?;
        let _turn = self.turn(&resource)?;
        Ok(disconnect(&resource, force))
    }

    #[inline(never)]
    pub(super) fn net_options(&mut self) -> Judged<Answer> {
        let resource = self.resource()?;
        let _turn = self.turn(&resource)?;
        let volumes = policies(&resource).map_err(no_memory)?;
        let seen = resource.view(Seen::of);
        let new = self.changed_net(&seen, &volumes)?;
        *resource.digests.lock() = Digests::of(&new)?;
        resource.change_net(new);
        if let Some(version) = seen.established {
            if version >= 100 {
                resource.queue_control(Send::Protocol {
                    discard_my_data: false,
                    dry_run: false,
                });
            }
            for device in resource.devices().iter() {
                resource.queue_control(Send::SyncParam(device.vnr));
            }
        }
        Ok(Answer::OK)
    }

    /// Other settings for the connection that there is. On a stack of its own, as above.
    #[inline(never)]
    fn changed_net(
        &self,
        seen: &Seen,
        volumes: &[(Option<Fencing>, bool)],
    ) -> Judged<Arc<NetConf>> {
        let net = seen.net.as_deref();
        let situation = NetSituation {
            established: net.zip(seen.established),
            both_primary: seen.both_primary,
            volumes,
        };
        let new = net::changed_conf(
            net,
            self.payload::<NetConf>(),
            self.header.sets_defaults(),
            &situation,
            seen.running,
        )?;
        Arc::new(new, GFP_KERNEL).map_err(no_memory)
    }
}

/// Ends the connection. It is the caller's turn.
pub(super) fn disconnect(resource: &Arc<Resource>, force: bool) -> Answer {
    let answer = machine(resource.command(Command::Disconnect { force }));
    if answer.code.is_success() {
        resource.join_receiver();
    }
    answer
}

/// What net-options looks at.
struct Seen {
    net: Option<Arc<NetConf>>,
    /// The agreed version, if the connection is established.
    established: Option<u32>,
    both_primary: bool,
    running: Running,
}

impl Seen {
    fn of(view: &View) -> Self {
        let states = || view.volumes.iter().map(|v| &v.state);
        let role = |role: fn(&drbd_core::state::DeviceState) -> Role| {
            states().map(role).fold(Role::Unknown, Role::highest)
        };
        let conn = |wanted: fn(Conn) -> bool| states().any(|s| wanted(s.conn));
        Self {
            net: view.net.clone(),
            established: (view.cstate == Conn::WFReportParams).then_some(view.apv),
            both_primary: role(|s| s.role) == Role::Primary && role(|s| s.peer) == Role::Primary,
            running: Running {
                resync: conn(|c| matches!(c, Conn::SyncSource | Conn::SyncTarget)),
                verify: conn(Conn::is_verify),
            },
        }
    }
}

/// Per volume: the fencing policy, if there is a disk, and whether it is Primary.
fn policies(resource: &Resource) -> Result<KVec<(Option<Fencing>, bool)>> {
    let mut list = KVec::with_capacity(resource.view(|view| view.volumes.len()), GFP_KERNEL)?;
    resource.view(|view| {
        for volume in &view.volumes {
            let fencing = volume.disk.as_ref().map(|disk| tell::fencing(disk.fencing));
            // It is our turn: nobody adds volumes meanwhile.
            list.push_within_capacity((fencing, volume.state.role == Role::Primary))?;
        }
        Ok(list)
    })
}

/// The ends of all connections there are.
struct Connections {
    last: Option<u64>,
}

impl Iterator for Connections {
    type Item = Endpoints;

    fn next(&mut self) -> Option<Endpoints> {
        loop {
            let (id, resource) = crate::registry().next_resource(self.last)?;
            self.last = Some(id);
            if let Some(ends) = resource.view(|view| view.addresses) {
                return Some(Endpoints {
                    mine: ends.mine,
                    peer: ends.peer,
                });
            }
        }
    }
}
