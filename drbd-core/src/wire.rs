// SPDX-License-Identifier: GPL-2.0
//! Packets on the wire: numbers, headers, payloads; protocol versions 86 to 101.
