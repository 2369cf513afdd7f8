// SPDX-License-Identifier: GPL-2.0

//! The same thing under two names: between the configuration, the machine and the wire.

use drbd_core::config::words as config;
use drbd_core::peer;
use drbd_core::request::policy::Policy;
use drbd_core::request::word::Replication;
use drbd_core::state::Fencing;
use drbd_core::wire::{AckWanted, WriteFlags, WriteOp};

/// The protocol letter.
pub(crate) fn replication(protocol: config::Protocol) -> Replication {
    match protocol {
        config::Protocol::A => Replication::A,
        config::Protocol::B => Replication::B,
        config::Protocol::C => Replication::C,
    }
}

/// The protocol letter, the other way round.
fn protocol(replication: Replication) -> config::Protocol {
    match replication {
        Replication::A => config::Protocol::A,
        Replication::B => config::Protocol::B,
        Replication::C => config::Protocol::C,
    }
}

/// The option `fencing`.
pub(crate) fn fencing(fencing: config::Fencing) -> Fencing {
    fencing.into()
}

/// The option `on-io-error`.
pub(crate) fn on_io_error(what: config::OnIoError) -> peer::OnIoError {
    match what {
        config::OnIoError::PassOn => peer::OnIoError::PassOn,
        config::OnIoError::CallLocalIoError => peer::OnIoError::CallLocalIoError,
        config::OnIoError::Detach => peer::OnIoError::Detach,
    }
}

/// The flags of a write as they go to the peer.
pub(crate) fn write_flags(
    op: WriteOp,
    sync: bool,
    fua: bool,
    preflush: bool,
    policy: &Policy,
) -> WriteFlags {
    WriteFlags {
        op,
        sync,
        fua,
        preflush,
        may_set_in_sync: policy.may_set_in_sync,
        ack: AckWanted::of(protocol(policy.protocol), policy.may_set_in_sync),
    }
}
