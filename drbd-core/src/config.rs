// SPDX-License-Identifier: GPL-2.0
//! Typed settings of a resource, its connection and its disks, with ranges and defaults.
