// SPDX-License-Identifier: GPL-2.0

//! Allocation flags for calls into C, under their C names.
//!
//! C header: `include/linux/gfp_types.h`

use kernel::bindings::{
    self,
    gfp_t, //
};

const DIRECT_RECLAIM: gfp_t = 1 << bindings::___GFP_DIRECT_RECLAIM_BIT;
const KSWAPD_RECLAIM: gfp_t = 1 << bindings::___GFP_KSWAPD_RECLAIM_BIT;

/// May sleep and reclaim memory, but starts no I/O: what the data path uses.
pub(super) const NOIO: gfp_t = DIRECT_RECLAIM | KSWAPD_RECLAIM;
/// Doesn't sleep and doesn't reclaim.
pub(super) const NOWAIT: gfp_t = KSWAPD_RECLAIM | NOWARN;
/// May sleep and do anything.
pub(super) const KERNEL: gfp_t =
    NOIO | (1 << bindings::___GFP_IO_BIT) | (1 << bindings::___GFP_FS_BIT);
/// No report in the log when it fails.
pub(super) const NOWARN: gfp_t = 1 << bindings::___GFP_NOWARN_BIT;
/// Filled with zeroes.
pub(super) const ZERO: gfp_t = 1 << bindings::___GFP_ZERO_BIT;
/// Gives up rather than trying hard.
pub(super) const NORETRY: gfp_t = 1 << bindings::___GFP_NORETRY_BIT;

/// Whether an allocation may wait for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Waits for as long as it takes; with a pool behind it, it can't fail. May sleep.
    Yes,
    /// Fails at once when there is no memory. Any context.
    No,
}

impl Wait {
    /// The flags for the data path.
    pub(super) fn gfp(self) -> gfp_t {
        match self {
            Wait::Yes => NOIO,
            Wait::No => NOWAIT,
        }
    }
}
