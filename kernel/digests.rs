// SPDX-License-Identifier: GPL-2.0

//! The hashes that the configuration of a connection names.
//!
//! They are looked up when the configuration is given, so that a name that the kernel does not know
//! is refused then; whoever needs one holds a reference to it.

use drbd_core::config::net::AlgName;
use drbd_core::config::NetConf;
use drbd_core::genl::ErrCode;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::Arc;

use crate::sys::crypto::Hash;

/// The hashes of a connection; `None` for what is not configured.
#[derive(Clone, Default)]
pub(crate) struct Digests {
    /// `cram-hmac-alg`, with the shared secret as its key.
    pub(crate) hmac: Option<Arc<Hash>>,
    /// `csums-alg`.
    pub(crate) csums: Option<Arc<Hash>>,
    /// `verify-alg`.
    pub(crate) verify: Option<Arc<Hash>>,
    /// `data-integrity-alg`: what goes with the data that we send.
    pub(crate) integrity: Named,
}

impl Digests {
    /// Those that `conf` names. May sleep, for a user space program too: modules are loaded.
    ///
    /// Fails with the code of the first that the kernel does not have.
    pub(crate) fn of(conf: &NetConf) -> Result<Self, ErrCode> {
        let csums = Named::new(&conf.csums_alg).map_err(|_| ErrCode::CsumsAlg)?;
        let verify = Named::new(&conf.verify_alg).map_err(|_| ErrCode::VerifyAlg)?;
        let integrity = Named::new(&conf.integrity_alg).map_err(|_| ErrCode::IntegrityAlg)?;
        Ok(Self {
            csums: csums.hash,
            verify: verify.hash,
            integrity,
            hmac: hmac(conf).map_err(|_| ErrCode::AuthAlg)?,
        })
    }
}

/// A hash and its name, or none.
#[derive(Clone, Default)]
pub(crate) struct Named {
    /// The name; empty for none.
    pub(crate) name: AlgName,
    /// The hash.
    pub(crate) hash: Option<Arc<Hash>>,
}

impl Named {
    /// The hash with this name; none for the empty name. May sleep as [`Hash::new`].
    pub(crate) fn new(name: &AlgName) -> Result<Self> {
        let hash = match named(name)? {
            None => None,
            Some(alg) => {
                let text = CString::try_from_fmt(fmt!("{alg}"))?;
                Some(Arc::new(Hash::new(&text)?, GFP_KERNEL)?)
            }
        };
        Ok(Self { name: *name, hash })
    }
}

/// The keyed hash for authentication.
fn hmac(conf: &NetConf) -> Result<Option<Arc<Hash>>> {
    let Some(alg) = named(&conf.cram_hmac_alg)? else {
        return Ok(None);
    };
    let name = CString::try_from_fmt(fmt!("hmac({alg})"))?;
    let hash = Hash::keyed(&name, conf.shared_secret.reveal())?;
    Ok(Some(Arc::new(hash, GFP_KERNEL)?))
}

/// The name of an algorithm; `None` if there is to be none.
fn named(alg: &AlgName) -> Result<Option<&str>> {
    match alg.as_str() {
        Some("") => Ok(None),
        Some(name) => Ok(Some(name)),
        None => Err(EINVAL),
    }
}
