// SPDX-License-Identifier: GPL-2.0

//! The threads of a resource, and the processors that they run on (`cpu-mask`).
//!
//! A thread joins the crew when it begins and leaves it when it ends. A change of the processors is
//! done at once for those that are there. The work queues of the driver are no part of it.

use drbd_core::config::Processors;
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::Mutex;

use crate::sys::cpus::{CpuSet, Runner};
use crate::vector;

/// The most threads that a resource has at a time: see [`crate::link`].
const MOST: usize = 4;

/// The threads of a resource.
#[pin_data]
pub(crate) struct Crew {
    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    processors: Processors,
    /// What the members were told, if anything was chosen.
    set: Option<CpuSet>,
    members: KVec<Runner>,
}

/// A choice of processors with all memory that it takes.
pub(crate) struct Choice {
    processors: Processors,
    set: CpuSet,
}

impl Choice {
    /// These processors; if none is named, those that the kernel gives to its threads. May sleep.
    /// Fails with `ENOMEM`.
    pub(crate) fn of(processors: Processors) -> Result<Self> {
        let set = CpuSet::of(&processors)?;
        Ok(Self { processors, set })
    }
}

impl Crew {
    /// Nobody yet. May sleep. Fails with `ENOMEM`.
    pub(crate) fn new(choice: Choice) -> Result<impl PinInit<Self>> {
        let Choice { processors, set } = choice;
        let inner = Inner {
            processors,
            set: (!processors.is_empty()).then_some(set),
            members: KVec::with_capacity(MOST, GFP_KERNEL)?,
        };
        Ok(pin_init!(Self {
            inner <- new_mutex!(inner, "drbd_crew"),
        }))
    }

    /// The current thread is a member until the value is dropped. May sleep.
    pub(crate) fn join(&self) -> Member<'_> {
        let runner = Runner::current();
        let mut crew = self.inner.lock();
        if let Some(set) = &crew.set {
            // None of them may be on line: then it stays where it is, as with C.
            let _ = runner.run_on(set);
        }
        // There is room; without, a later change would pass this one by.
        let _ = crew.members.push_within_capacity(runner);
        Member(self)
    }

    /// Another choice, for all members and those to come. The same one again changes nothing, as
    /// somebody may have moved a thread by hand. Tells whether all could be moved. May sleep.
    pub(crate) fn choose(&self, choice: Choice) -> bool {
        let mut crew = self.inner.lock();
        if crew.processors == choice.processors {
            return true;
        }
        let mut moved = true;
        for member in crew.members.iter() {
            moved &= member.run_on(&choice.set).is_ok();
        }
        crew.processors = choice.processors;
        crew.set = (!choice.processors.is_empty()).then_some(choice.set);
        moved
    }
}

/// That a thread is a member.
pub(crate) struct Member<'a>(&'a Crew);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let myself = Runner::current();
        vector::retain(&mut self.0.inner.lock().members, |member| {
            !member.is(&myself)
        });
    }
}
