// SPDX-License-Identifier: GPL-2.0

//! Programs in user space that the module calls.
//!
//! C header: `include/linux/umh.h`

use kernel::{
    bindings,
    prelude::*, //
};

/// Runs a program and waits for its end. Gives its raw wait status (the exit code is in bits 8 to
/// 15); `Err` if it couldn't be started.
///
/// May sleep for as long as the program runs. The program may talk to this module: the caller must
/// hold nothing that an answer would need.
pub(crate) fn call(program: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Result<i32> {
    let mut argv = pointers(arguments)?;
    let mut envp = pointers(environment)?;
    // SAFETY: The strings live for the call, which returns only after the program has copied them
    // and has ended.
    let status = unsafe {
        bindings::call_usermodehelper(
            program.as_char_ptr(),
            argv.as_mut_ptr(),
            envp.as_mut_ptr(),
            bindings::UMH_WAIT_PROC as c_int,
        )
    };
    if status < 0 {
        Err(Error::from_errno(status))
    } else {
        Ok(status)
    }
}

/// A table of strings with a null at its end.
fn pointers(strings: &[&CStr]) -> Result<KVec<*mut c_char>> {
    let mut table = KVec::with_capacity(strings.len().saturating_add(1), GFP_KERNEL)?;
    for string in strings {
        table.push(string.as_char_ptr().cast_mut(), GFP_KERNEL)?;
    }
    table.push(core::ptr::null_mut(), GFP_KERNEL)?;
    Ok(table)
}
