// SPDX-License-Identifier: GPL-2.0

//! The module's parameters, and what the module knows about itself.
//!
//! They are defined in C (`shim_params.c`): `module!` has neither strings nor parameters that can
//! be changed later.

use super::ffi;

/// Bytes of the helper program's name, with the terminating zero.
pub(crate) const HELPER_SIZE: usize = 80;

/// How many minors the memory pools are made for: 1 to 255 when the module is loaded rightly.
pub(crate) fn minor_count() -> u32 {
    // SAFETY: No requirements.
    unsafe { ffi::shim_param_minor_count() }
}

/// Payloads are to be copied into the socket, never spliced.
pub(crate) fn disable_sendpage() -> bool {
    // SAFETY: No requirements.
    unsafe { ffi::shim_param_disable_sendpage() }
}

/// Reading is allowed on a Secondary.
pub(crate) fn allow_oos() -> bool {
    // SAFETY: No requirements.
    unsafe { ffi::shim_param_allow_oos() }
}

/// How much `/proc/drbd` tells: 0 to 2.
pub(crate) fn proc_details() -> i32 {
    // SAFETY: No requirements.
    unsafe { ffi::shim_param_proc_details() }
}

/// The program that handlers are called through, as it is set now. May sleep.
pub(crate) fn usermode_helper() -> [u8; HELPER_SIZE] {
    let mut helper = [0; HELPER_SIZE];
    // SAFETY: The function writes so many bytes at most, with a terminating zero.
    unsafe { ffi::shim_param_usermode_helper(helper.as_mut_ptr().cast(), HELPER_SIZE) };
    helper
}

/// The commit that the module was built from, 40 digits; zeros if the build did not know it.
pub(crate) fn commit() -> &'static str {
    // SAFETY: The string is part of the loaded module, and has so many digits.
    let digits = unsafe { core::slice::from_raw_parts(ffi::shim_commit().cast::<u8>(), 40) };
    core::str::from_utf8(digits).unwrap_or("")
}
