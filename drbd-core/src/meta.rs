// SPDX-License-Identifier: GPL-2.0
//! On-disk metadata, version 08: superblock, layout, activity log blocks, bitmap area.
