// SPDX-License-Identifier: GPL-2.0
//! The connection to the peer as a machine without I/O: packets and timeouts in, effects out.
