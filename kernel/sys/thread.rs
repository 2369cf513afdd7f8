// SPDX-License-Identifier: GPL-2.0

//! Kernel threads with an owned body.
//!
//! A [`Thread`] runs a closure. Dropping it (or [`Thread::stop`]) asks the closure to end, wakes
//! it,
//! and waits until it has ended. The closure sees the request through its [`Stop`]: it has to look
//! at [`Stop::requested`] in every loop and in every condition that it waits for. A thread that
//! sleeps in a socket call is woken by shutting the socket down, not by a signal.
//!
//! Threads are not freezable: file systems above us may have to write while they are frozen.
//!
//! C header: `include/linux/kthread.h`

use core::{
    ptr::NonNull,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    }, //
};
use kernel::{
    bindings,
    error::from_err_ptr,
    fmt,
    prelude::*,
    str::CString,
    sync::Arc, //
};

#[cfg(DRBD_SELFTEST)]
use super::ffi;
use crate::objects;

/// The request to end, as the body of a thread and its friends see it.
#[derive(Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the thread shall end.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a new thread takes over: its body, and the request to end.
struct Start<F> {
    body: F,
    stop: Stop,
}

/// A running kernel thread.
///
/// # Invariants
///
/// - `task` is a kernel thread created by this module; we own a reference to it.
/// - `start` is the pointer that the thread was created with. It belongs to the thread as soon as
///   the thread runs, and to us if the thread never runs.
pub(crate) struct Thread {
    task: NonNull<bindings::task_struct>,
    stop: Stop,
    start: *mut c_void,
    drop_start: unsafe fn(*mut c_void),
    _counted: objects::Threads,
}

// SAFETY: A task may be woken and stopped from any thread. `start` is only used by `drop`, and the
// body in it is `Send` by the bound of `Thread::spawn`.
unsafe impl Send for Thread {}
// SAFETY: All methods that take `&self` only wake the task or look at its address.
unsafe impl Sync for Thread {}

/// The function that every thread of this module starts in.
///
/// # Safety
///
/// `data` is a pointer from `KBox<Start<F>>::into_raw` that nobody else uses.
unsafe extern "C" fn entry<F: FnOnce(&Stop) + Send + 'static>(data: *mut c_void) -> c_int {
    // SAFETY: By the requirement of this function.
    let start = unsafe { KBox::from_raw(data.cast::<Start<F>>()) };
    let Start { body, stop } = KBox::into_inner(start);
    body(&stop);
    0
}

/// Drops what a thread that never ran would have taken over.
///
/// # Safety
///
/// As for [`entry`].
unsafe fn drop_start<F>(data: *mut c_void) {
    // SAFETY: By the requirement of this function.
    drop(unsafe { KBox::from_raw(data.cast::<Start<F>>()) });
}

impl Thread {
    /// Starts a thread. Its name (at most 15 bytes are kept) comes from `fmt!(...)`.
    ///
    /// May sleep. Fails with `ENOMEM`, or with `EINTR` if the caller is being killed.
    pub(crate) fn spawn<F>(name: fmt::Arguments<'_>, body: F) -> Result<Self>
    where
        F: FnOnce(&Stop) + Send + 'static,
    {
        let name = CString::try_from_fmt(name)?;
        let stop = Stop(Arc::new(AtomicBool::new(false), GFP_KERNEL)?);
        let start = KBox::new(
            Start {
                body,
                stop: stop.clone(),
            },
            GFP_KERNEL,
        )?;
        let start = KBox::into_raw(start).cast::<c_void>();
        // SAFETY: `entry::<F>` takes exactly what `start` is, and is called at most once.
        let task = from_err_ptr(unsafe {
            bindings::kthread_create_on_node(
                Some(entry::<F>),
                start,
                bindings::NUMA_NO_NODE,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        });
        let task = match task.map(NonNull::new) {
            Ok(Some(task)) => task,
            other => {
                // SAFETY: No thread was made, so `start` is still ours.
                unsafe { drop_start::<F>(start) };
                return Err(other.err().unwrap_or(ENOMEM));
            }
        };
        // SAFETY: A thread that was made and not yet woken can't have gone away.
        unsafe { bindings::get_task_struct(task.as_ptr()) };
        // INVARIANT: We have just made the task and taken a reference.
        let thread = Self {
            task,
            stop,
            start,
            drop_start: drop_start::<F>,
            _counted: objects::Threads::new(),
        };
        thread.wake();
        Ok(thread)
    }

    /// Wakes the thread out of any wait, which then looks at its condition again. Any context.
    pub(crate) fn wake(&self) {
        // SAFETY: By the type invariant we own a reference to the task.
        unsafe { bindings::wake_up_process(self.task.as_ptr()) };
    }

    /// Whether the caller runs in this thread.
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: The current task always exists; we only compare its address.
        unsafe { bindings::get_current() == self.task.as_ptr() }
    }

    /// Asks the thread to end and waits until it has. Same as dropping it. May sleep.
    #[cfg(DRBD_SELFTEST)]
    pub(crate) fn stop(self) {}
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Release);
        if self.is_current() {
            // Waiting for ourselves would never end. The thread goes on without an owner; module
            // text can't go away under it, since whoever runs it still uses the module.
            pr_err!("a thread dropped its own handle\n");
            // SAFETY: By the type invariant we own this reference, and give it up here.
            unsafe { bindings::put_task_struct(self.task.as_ptr()) };
            return;
        }
        // SAFETY: By the type invariant the task is a kernel thread and we own a reference, which
        // this call gives up after the thread has ended.
        let ret = unsafe { bindings::kthread_stop_put(self.task.as_ptr()) };
        if ret == EINTR.to_errno() {
            // SAFETY: `entry` only returns 0: so the thread never ran, and `start` is still ours.
            unsafe { (self.drop_start)(self.start) };
        }
    }
}

/// Starts a thread that nobody waits for. It keeps the module loaded until it has ended.
///
/// May sleep. Fails with `ENOMEM`, `EINTR`, or with `ENODEV` while the module is being unloaded.
#[cfg(DRBD_SELFTEST)]
pub(crate) fn spawn_detached<F>(name: fmt::Arguments<'_>, body: F) -> Result
where
    F: FnOnce() + Send + 'static,
{
    /// # Safety
    ///
    /// `data` is a pointer from `KBox<F>::into_raw` that nobody else uses, and the creator has
    /// taken a reference to this module for us.
    unsafe extern "C" fn detached<F: FnOnce() + Send + 'static>(data: *mut c_void) -> c_int {
        // SAFETY: By the requirement of this function.
        let body = unsafe { KBox::from_raw(data.cast::<F>()) };
        KBox::into_inner(body)();
        // SAFETY: We end here, and give up the reference that was taken for us. Nothing on this
        // stack needs to be dropped any more.
        unsafe { ffi::shim_module_put_and_exit() }
    }

    let name = CString::try_from_fmt(name)?;
    let data = KBox::into_raw(KBox::new(body, GFP_KERNEL)?);
    // SAFETY: No requirements; it tells whether we got a reference.
    let pinned = unsafe { ffi::shim_module_get() };
    let task = if pinned {
        // SAFETY: `detached::<F>` takes exactly what `data` is, and a reference to the module.
        from_err_ptr(unsafe {
            bindings::kthread_create_on_node(
                Some(detached::<F>),
                data.cast(),
                bindings::NUMA_NO_NODE,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        })
    } else {
        Err(ENODEV)
    };
    match task {
        Ok(task) => {
            // SAFETY: The thread exists: it waits for being woken, which only we do.
            unsafe { bindings::wake_up_process(task) };
            Ok(())
        }
        Err(error) => {
            if pinned {
                // SAFETY: We own the reference that no thread took over.
                unsafe { ffi::shim_module_put() };
            }
            // SAFETY: No thread was made, so `data` is still ours.
            drop(unsafe { KBox::from_raw(data) });
            Err(error)
        }
    }
}

/// Gives the current thread a real-time priority: for threads whose delay the peer would take for
/// a lost connection.
pub(crate) fn set_real_time() {
    // SAFETY: The current task exists and may change its own scheduling class.
    unsafe { bindings::sched_set_fifo_low(bindings::get_current()) };
}

/// The process id of the current thread, for log lines.
pub(crate) fn current_pid() -> i32 {
    // SAFETY: The current task exists; its `pid` never changes.
    unsafe { (*bindings::get_current()).pid }
}

/// Lets other tasks run on this processor first, if any wants to. May sleep.
pub(crate) fn yield_now() {
    // SAFETY: We are a task that may sleep.
    unsafe { bindings::yield_() };
}
