// SPDX-License-Identifier: GPL-2.0
//! The in-memory bitmap of out-of-sync blocks, over pages that the caller lends.
