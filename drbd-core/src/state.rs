// SPDX-License-Identifier: GPL-2.0
//! State types, and what may follow what: propose, refuse, imply.
//!
//! A change of state is a transaction: [`propose`] adjusts what is wanted ([`sanitise`]), checks
//! it, and answers with a [`Transition`] or a [`Refusal`]; the caller stores the new state.
//!
//! Nothing here keeps state of its own: every function takes the old state and the facts it needs,
//! and answers with values. docs/states.md tells the rules in prose.

mod after;
mod check;
mod commit;
mod connection;
pub mod disconnect;
mod effect;
mod facts;
pub mod fence;
mod list;
mod names;
mod propose;
pub mod received;
pub mod resync;
mod returns;
pub mod role;
mod sanitise;
pub mod twonode;
mod word;

pub use after::{
    after_actions, after_full_sync_set, connection_actions, has_stop_sector, peer_goes_at_rest,
    AfterFacts, ConnectionActions, FullSyncStep,
};
pub use check::{check_conn_step, check_soft_step, check_state, check_step};
pub use commit::{
    announces_out_of_sync, commit_effects, flag_sources, lost_contact, replicates, CommitEffect,
    CommitEffects, CommitFacts,
};
pub use connection::{
    propose_connection, ConnectionMode, ConnectionRefusal, ConnectionTransition, Summary,
    VolumeChange,
};
pub use effect::{AfterAction, AfterActions, AfterEffect, ConnectionEffect, Helper, LogEvent, Row};
pub use facts::{Facts, Fencing, Negotiating, OnNoData};
pub use list::List;
pub use names::{BadValue, Conn, Disk, Role, CONN_MASK, DISK_MASK, ROLE_MASK};
pub use propose::{proposal_result, propose, Mode, Transition};
pub use returns::{code_text, reply_code, reply_result, Refusal, StateReturn, Success};
pub use sanitise::{sanitise, Warning};
pub use word::{Change, ChangeWords, DeviceState};

#[cfg(test)]
mod tests;
