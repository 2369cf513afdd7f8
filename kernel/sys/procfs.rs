// SPDX-License-Identifier: GPL-2.0

//! A file in `/proc` whose text is made when it is read.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/seq_file.h`

use core::ptr::NonNull;
use kernel::{
    bindings,
    fmt,
    prelude::*,
    sync::Arc, //
};

use super::ffi;

/// What a file shows.
pub(crate) trait Show: Send + Sync + 'static {
    /// Writes the text. May be called again for the same reader if it was long. Errors of `out` can
    /// be ignored; an own error is the reader's. May sleep.
    fn show(&self, out: &mut Writer<'_>) -> Result;
}

/// Takes the text of a file.
pub(crate) struct Writer<'a>(&'a mut bindings::seq_file);

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A text that doesn't fit is asked for again with more room: no error.
        // SAFETY: The file is open for the reader that we are called for.
        unsafe { bindings::seq_write(self.0, text.as_ptr().cast(), text.len()) };
        Ok(())
    }
}

/// A file that exists. Dropping it removes it, and waits for readers in it. May sleep.
///
/// # Invariants
///
/// `entry` is a file that we made, whose data is `_shown` as long as the file exists.
pub(crate) struct File<T: Show> {
    entry: NonNull<bindings::proc_dir_entry>,
    _shown: Arc<T>,
}

// SAFETY: The file may be removed from any thread.
unsafe impl<T: Show> Send for File<T> {}
// SAFETY: Shared access does nothing.
unsafe impl<T: Show> Sync for File<T> {}

impl<T: Show> File<T> {
    /// Makes `/proc/NAME`, readable by all. May sleep. Fails with `ENOMEM`, also if it exists.
    pub(crate) fn new(name: &CStr, shown: Arc<T>) -> Result<Self> {
        // SAFETY: The callback takes the data for what it is, which lives longer than the file.
        let entry = unsafe {
            ffi::shim_proc_create(
                name.as_char_ptr(),
                0o444,
                Some(show_callback::<T>),
                Arc::as_ptr(&shown).cast_mut().cast(),
            )
        };
        // INVARIANT: We have just made it.
        NonNull::new(entry)
            .map(|entry| Self {
                entry,
                _shown: shown,
            })
            .ok_or(ENOMEM)
    }
}

impl<T: Show> Drop for File<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the file is ours; no callback runs after this.
        unsafe { ffi::shim_proc_remove(self.entry.as_ptr()) };
    }
}

/// # Safety
///
/// Called for a file made by `File::<T>::new`, whose data the second argument is not: it is the
/// file's private pointer that leads there.
unsafe extern "C" fn show_callback<T: Show>(
    file: *mut bindings::seq_file,
    _token: *mut c_void,
) -> c_int {
    // SAFETY: `single_open` keeps the data of the file in `private`; it lives as long as the file.
    let (shown, file) = unsafe { (&*(*file).private.cast::<T>(), &mut *file) };
    kernel::error::from_result(|| shown.show(&mut Writer(file)).map(|()| 0))
}
