// SPDX-License-Identifier: GPL-2.0
//! The guest's side of the lab: [`init`] brings the machine up, [`serve`] does what the host asks.
//!
//! The agent is process 1. After the boot steps it starts itself once more to serve the port, and
//! from then on only collects ended processes, so that orphans of a scenario do not pile up. A
//! scenario may start it for [`mutate`], too.

pub mod init;
pub mod mutate;
pub mod serve;
