// SPDX-License-Identifier: GPL-2.0
//! connect, net-options.

use super::{Answer, Denied, Judged};
use crate::config::net::NetSituation;
use crate::config::{first_unbuilt, NetConf};
use crate::genl::context::text;
use crate::genl::{Address, Context, ErrCode, Nest};

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Here.
    pub mine: Address,
    /// There.
    pub peer: Address,
}

/// The addresses in a request.
///
/// # Errors
///
/// 162 if one is missing.
pub fn endpoints(named: Option<&Context>) -> Result<Endpoints, Answer> {
    named
        .filter(|c| !c.my_addr.is_empty() && !c.peer_addr.is_empty())
        .map(|c| Endpoints {
            mine: c.my_addr,
            peer: c.peer_addr,
        })
        .ok_or(Answer::with(
            ErrCode::InvalidRequest,
            text::ENDPOINT_MISSING,
        ))
}

/// No connection there is may use one of these addresses. `others` are the connections of all
/// resources, the own one too.
///
/// # Errors
///
/// 102 or 103, for the first connection that has one of them.
pub fn addresses_free(
    wanted: &Endpoints,
    others: impl IntoIterator<Item = Endpoints>,
) -> Result<(), Answer> {
    for other in others {
        if other.mine == wanted.mine {
            return Err(ErrCode::LocalAddr.into());
        }
        if other.peer == wanted.peer {
            return Err(ErrCode::PeerAddr.into());
        }
    }
    Ok(())
}

/// The settings of a new connection.
///
/// # Errors
///
/// 126 for what makes no sense; what [`NetConf::check`] says; then what is not built.
/// Algorithms are looked up by the caller.
pub fn new_conf(payload: Option<&[u8]>, situation: &NetSituation<'_>) -> Judged<NetConf> {
    let (conf, _) = NetConf::create(payload.unwrap_or(&[]))?;
    conf.check(situation)?;
    gate(&conf)?;
    Ok(conf)
}

/// What is going on with the algorithms of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// A volume resyncs.
    pub resync: bool,
    /// A volume verifies.
    pub verify: bool,
}

/// Other settings for a connection that is there already.
///
/// # Errors
///
/// 162 without a connection; 126; what [`NetConf::check`] says; 148, 149; then what is not
/// built. Algorithms are looked up by the caller.
pub fn changed_conf(
    old: Option<&NetConf>,
    payload: Option<&[u8]>,
    set_defaults: bool,
    situation: &NetSituation<'_>,
    running: Running,
) -> Judged<NetConf> {
    let old = old.ok_or(Answer::with(
        ErrCode::InvalidRequest,
        text::NET_CONF_MISSING,
    ))?;
    let mut new = old.clone();
    new.change(payload.unwrap_or(&[]), set_defaults)?;
    new.check(situation)?;
    if running.resync && new.csums_alg != old.csums_alg {
        return Err(ErrCode::CsumsResyncRunning.into());
    }
    if running.verify && new.verify_alg != old.verify_alg {
        return Err(ErrCode::VerifyRunning.into());
    }
    gate(&new)?;
    Ok(new)
}

/// Refuses what is not built.
fn gate(conf: &NetConf) -> Result<(), Denied> {
    match first_unbuilt(conf) {
        Some(other) => Err(other.into()),
        None => Ok(()),
    }
}
