// SPDX-License-Identifier: GPL-2.0
//! Tests of the state types.

extern crate std;

mod words;
