// SPDX-License-Identifier: GPL-2.0

//! Declarations of what `shim*.c` define, in the order of `shim.h`.

use kernel::{
    bindings,
    prelude::*, //
};

extern "C" {
    pub(super) fn shim_noio_save() -> c_uint;
    pub(super) fn shim_noio_restore(flags: c_uint);
    pub(super) fn shim_noreclaim_save() -> c_uint;
    pub(super) fn shim_noreclaim_restore(flags: c_uint);

    pub(super) fn shim_module_get() -> bool;
    pub(super) fn shim_module_put();
    pub(super) fn shim_module_put_and_exit() -> !;
}
