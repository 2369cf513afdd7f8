// SPDX-License-Identifier: GPL-2.0
//! The checker. It stands outside the nodes, sees both of them and both disks, and tests the
//! invariants of the state engine after each step; `list` names all of them.

pub(crate) mod data;
pub(crate) mod list;
pub(crate) mod pair;
pub(crate) mod replay;
pub(crate) mod rest;
pub(crate) mod state;
