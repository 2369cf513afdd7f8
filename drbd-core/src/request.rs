// SPDX-License-Identifier: GPL-2.0
//! The life of an application request as pure transitions on a small word; write epochs.
