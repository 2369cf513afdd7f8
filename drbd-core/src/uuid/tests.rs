// SPDX-License-Identifier: GPL-2.0
//! The life of UUID sets, and properties of the comparison that no row of a table can show.

extern crate std;

mod life;
mod meetings;
