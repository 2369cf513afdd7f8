// SPDX-License-Identifier: GPL-2.0
//! The configuration language of DRBD 8.4.
