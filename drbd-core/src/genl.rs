// SPDX-License-Identifier: GPL-2.0
//! Generic-netlink numbers, attribute tables, and the encoding of messages in byte slices.
