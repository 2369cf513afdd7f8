// SPDX-License-Identifier: GPL-2.0
//! Run-length coding of bitmaps with variable-length integers.
