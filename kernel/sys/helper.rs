// SPDX-License-Identifier: GPL-2.0

//! Programs in user space that the module calls.
//!
//! C header: `include/linux/umh.h`

use kernel::{
    bindings,
    prelude::*, //
};

/// Runs a program and waits for its end. Gives its raw wait status (the exit code is in bits 8 to
/// 15); `Err` if it couldn't be started, or `E2BIG` for more than 15 arguments or entries.
///
/// May sleep for as long as the program runs. The program may talk to this module: the caller must
/// hold nothing that an answer would need. To be called in a kernel thread, which nobody can kill:
/// a sleep that a signal could end is not reported as a hung task, however long it lasts.
pub(crate) fn call(program: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Result<i32> {
    let mut argv = pointers(arguments)?;
    let mut envp = pointers(environment)?;
    // SAFETY: The strings live for the call, which returns only after the program has copied them
    // and has ended: no signal reaches a kernel thread.
    let status = unsafe {
        bindings::call_usermodehelper(
            program.as_char_ptr(),
            argv.as_mut_ptr(),
            envp.as_mut_ptr(),
            (bindings::UMH_WAIT_PROC | bindings::UMH_KILLABLE) as c_int,
        )
    };
    if status < 0 {
        Err(Error::from_errno(status))
    } else {
        Ok(status)
    }
}

/// The most arguments, and the most entries of the environment.
const STRINGS_MAX: usize = 15;

/// A table of strings with a null behind the last one. Fails with `E2BIG` if there are more than
/// [`STRINGS_MAX`].
fn pointers(strings: &[&CStr]) -> Result<[*mut c_char; STRINGS_MAX + 1]> {
    if strings.len() > STRINGS_MAX {
        return Err(E2BIG);
    }
    let mut table = [core::ptr::null_mut(); STRINGS_MAX + 1];
    for (place, string) in table.iter_mut().zip(strings) {
        *place = string.as_char_ptr().cast_mut();
    }
    Ok(table)
}
