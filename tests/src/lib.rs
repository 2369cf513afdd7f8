// SPDX-License-Identifier: GPL-2.0
//! The lab: boots machines, runs commands on them, waits for events, compares disks.
