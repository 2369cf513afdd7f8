// SPDX-License-Identifier: GPL-2.0
//! State types, and what may follow what: propose, refuse, imply.
//!
//! Nothing here keeps state of its own: every function takes the old state and the facts it needs,
//! and answers with values. docs/states.md tells the rules in prose.

mod names;
mod returns;
mod word;

pub use names::{BadValue, Conn, Disk, Role, CONN_MASK, DISK_MASK, ROLE_MASK};
pub use returns::{code_text, reply_code, reply_result, Refusal, StateReturn, Success};
pub use word::{Change, ChangeWords, DeviceState};

#[cfg(test)]
mod tests;
