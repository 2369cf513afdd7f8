// SPDX-License-Identifier: GPL-2.0
//! Generation identifiers: their life, and the comparison that decides who syncs from whom.
