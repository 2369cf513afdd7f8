// SPDX-License-Identifier: GPL-2.0
//! Chores of the repository.

fn main() {}
