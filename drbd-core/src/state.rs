// SPDX-License-Identifier: GPL-2.0
//! State types, and what may follow what: propose, refuse, imply.
