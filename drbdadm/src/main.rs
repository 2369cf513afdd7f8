// SPDX-License-Identifier: GPL-2.0
//! drbdadm, drbdsetup and drbdmeta in one program; the name it is called by chooses.

fn main() {}
