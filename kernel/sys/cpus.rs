// SPDX-License-Identifier: GPL-2.0

//! Which processors threads run on.
//!
//! C headers: `include/linux/cpumask.h`, `include/linux/sched.h`,
//! `include/linux/sched/isolation.h`

use drbd_core::config::Processors;
use kernel::{
    bindings,
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    cpumask::CpumaskVar,
    error::to_result,
    prelude::*,
    sync::aref::ARef,
    task::Task, //
};

use super::ffi;

/// How many processors this machine may have: one more than the highest number.
pub(crate) fn possible() -> u32 {
    nr_cpu_ids()
}

/// Processors that a thread may run on.
pub(crate) struct CpuSet(CpumaskVar);

// SAFETY: It owns its memory; no thread is special to it.
unsafe impl Send for CpuSet {}
// SAFETY: With `&self` it is only read.
unsafe impl Sync for CpuSet {}

impl CpuSet {
    /// These processors; those that the kernel gives to its threads if none is named. May sleep.
    /// Fails with `ENOMEM`.
    pub(crate) fn of(processors: &Processors) -> Result<Self> {
        let mut set = CpumaskVar::new_zero(GFP_KERNEL)?;
        if processors.is_empty() {
            // SAFETY: The mask is ours, and complete.
            unsafe { ffi::shim_kthread_cpus(set.as_raw()) };
            return Ok(Self(set));
        }
        for number in 0..possible() {
            if let Some(cpu) = CpuId::from_u32(number).filter(|_| processors.contains(number)) {
                set.set(cpu);
            }
        }
        Ok(Self(set))
    }
}

/// A thread that may be told where to run. It may have ended.
pub(crate) struct Runner(ARef<Task>);

impl Runner {
    /// The current thread.
    pub(crate) fn current() -> Self {
        let task: &Task = current!();
        Self(task.into())
    }

    /// Whether it is the same thread.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.as_ptr() == other.0.as_ptr()
    }

    /// Has it run on these processors only, from now on. Sleeps until it does. Fails with `EINVAL`
    /// when none of them is on line; the thread stays where it is then.
    pub(crate) fn run_on(&self, set: &CpuSet) -> Result {
        // SAFETY: We have a reference to the task; the mask is complete and is only read.
        to_result(unsafe { bindings::set_cpus_allowed_ptr(self.0.as_ptr(), set.0.as_raw()) })
    }
}
