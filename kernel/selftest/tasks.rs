// SPDX-License-Identifier: GPL-2.0

//! Threads, waits, timers, work and lists.

use core::sync::atomic::{
    AtomicBool,
    AtomicU32,
    Ordering, //
};
use drbd_core::config::Processors;
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::Arc, //
};

use super::check;
use crate::sys::{
    cpus::{
        self,
        CpuSet,
        Runner, //
    },
    llist::{
        self,
        LList,
        Push, //
    },
    memalloc::{
        NoIo,
        NoReclaim, //
    },
    thread::{
        self,
        Thread, //
    },
    time,
    wait::{
        new_wait_queue,
        WaitQueue, //
    },
    workqueue::{
        self,
        impl_has_delayed_work,
        impl_has_work,
        new_delayed_work,
        new_work,
        DelayedWork,
        Workqueue, //
    },
};

#[pin_data]
struct Shared {
    #[pin]
    queue: WaitQueue,
    count: AtomicU32,
}

impl Shared {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                queue <- new_wait_queue!("selftest"),
                count: AtomicU32::new(0),
            }),
            GFP_KERNEL,
        )
    }

    fn bump(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.queue.wake_all();
    }

    fn get(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}

pub(super) fn thread() -> Result {
    // Many that are stopped at once: some of them before they have run.
    for _ in 0..50 {
        let shared = Shared::new()?;
        let own = shared.clone();
        let thread = Thread::spawn(fmt!("drbd_test_{}", 1), move |stop| {
            let _noio = NoIo::enter();
            let _noreclaim = NoReclaim::enter();
            own.bump();
            own.queue.wait_idle(|| stop.requested());
            own.bump();
        })?;
        check!(!thread.is_current());
        drop(thread);
        check!(matches!(shared.get(), 0 | 2));
        // The body is gone in either case.
        check!(is_last(shared));
    }
    // One that ends by itself, long before it is stopped.
    let shared = Shared::new()?;
    let own = shared.clone();
    let thread = Thread::spawn(fmt!("drbd_test_2"), move |_| own.bump())?;
    shared.queue.wait(|| shared.get() == 1);
    time::sleep_ms(20);
    thread.stop();
    // One that nobody waits for.
    let own = shared.clone();
    let spawned = thread::spawn_detached(fmt!("drbd_test_3"), move || own.bump());
    // While the module is being loaded, it can't be pinned; that is the answer then.
    if spawned.is_ok() {
        shared.queue.wait(|| shared.get() == 2);
    } else {
        check!(spawned == Err(ENODEV));
    }
    Ok(())
}

/// A thread goes where it is told, and back to where the kernel likes it.
pub(super) fn cpus() -> Result {
    let possible = cpus::possible();
    let shared = Shared::new()?;
    let own = shared.clone();
    let _thread = Thread::spawn(fmt!("drbd_test_c"), move |_| {
        let myself = Runner::current();
        for (mask, number) in [(b"1", 0), (b"2", 1), (b"1", 0), (b"0", u32::MAX)] {
            let Ok(reading) = Processors::read(mask, possible) else {
                return;
            };
            let moved = CpuSet::of(&reading.processors).and_then(|set| myself.run_on(&set));
            let here = CpuId::current().as_u32();
            if moved.is_ok() && (here == number || reading.processors.is_empty()) {
                own.bump();
            }
        }
    })?;
    check!(shared
        .queue
        .wait_idle_timeout(time::ms_to_jiffies(10_000), || shared.get() == 4));
    Ok(())
}

/// Whether this was the only reference.
fn is_last<T>(object: Arc<T>) -> bool {
    Arc::into_unique_or_drop(object).is_some()
}

pub(super) fn wait() -> Result {
    let shared = Shared::new()?;
    let ticks = time::ms_to_jiffies(50);
    let before = time::monotonic_ns();
    check!(!shared.queue.wait_idle_timeout(ticks, || false));
    check!(time::monotonic_ns().wrapping_sub(before) > 30_000_000);
    check!(shared.queue.wait_idle_timeout(ticks, || true));
    check!(shared.queue.wait_interruptible_timeout(ticks, || false) == Ok(false));
    let own = shared.clone();
    let _thread = Thread::spawn(fmt!("drbd_test_w"), move |stop| {
        while !stop.requested() {
            own.bump();
            time::sleep_ms(5);
        }
    })?;
    shared.queue.wait(|| shared.get() >= 5);
    shared.queue.wait_interruptible(|| shared.get() >= 10)?;
    shared.queue.wait_killable(|| shared.get() >= 12)?;
    Ok(())
}

#[pin_data]
struct Job {
    #[pin]
    work: workqueue::Work<Job>,
    #[pin]
    later: DelayedWork<Job, 1>,
    shared: Arc<Shared>,
    slow: AtomicBool,
}

impl_has_work! {
    impl HasWork<Self> for Job { self.work }
}
impl_has_delayed_work! {
    impl HasDelayedWork<Self, 1> for Job { self.later }
}

impl workqueue::WorkItem for Job {
    type Pointer = Arc<Job>;

    fn run(this: Arc<Job>) {
        if this.slow.load(Ordering::Relaxed) {
            time::sleep_ms(50);
        }
        this.shared.bump();
    }
}

impl workqueue::WorkItem<1> for Job {
    type Pointer = Arc<Job>;

    fn run(this: Arc<Job>) {
        this.shared.bump();
    }
}

pub(super) fn workqueue() -> Result {
    let shared = Shared::new()?;
    let own = shared.clone();
    let job = Arc::pin_init(
        pin_init!(Job {
            work <- new_work!("selftest"),
            later <- new_delayed_work!("selftest"),
            shared: own,
            slow: AtomicBool::new(true),
        }),
        GFP_KERNEL,
    )?;
    let queue = Workqueue::ordered(c"drbd_selftest")?;
    check!(queue.enqueue::<_, 0>(job.clone()).is_ok());
    queue.flush();
    check!(shared.get() == 1);
    // Delayed, moved to now.
    check!(!queue.modify_delayed::<Job, 1>(job.clone(), time::ms_to_jiffies(100_000)));
    check!(queue.modify_delayed::<Job, 1>(job.clone(), 0));
    queue.flush();
    check!(shared.get() == 2);
    // Delayed, taken off.
    check!(!queue.modify_delayed::<Job, 1>(job.clone(), time::ms_to_jiffies(100_000)));
    check!(workqueue::cancel_delayed_sync::<Job, 1>(&job));
    check!(!workqueue::cancel_delayed_sync::<Job, 1>(&job));
    check!(!workqueue::cancel_sync::<Job, 0>(&job));
    // Dropping the queue does what is queued.
    check!(queue.enqueue::<_, 0>(job.clone()).is_ok());
    drop(queue);
    check!(shared.get() == 3);
    check!(is_last(job));
    Ok(())
}

struct Item {
    link: llist::Link,
    other: llist::Link,
    number: u32,
}

llist::impl_linked! {
    impl Linked<0> for Item { self.link }
    impl Linked<1> for Item { self.other }
}

pub(super) fn llist() -> Result {
    let list = Arc::new(LList::<Arc<Item>, 0>::new(), GFP_KERNEL)?;
    let mut first = None;
    for number in 0..10 {
        let item = Arc::new(
            Item {
                link: llist::Link::new(),
                other: llist::Link::new(),
                number,
            },
            GFP_KERNEL,
        )?;
        if first.is_none() {
            first = Some(item.clone());
        }
        match list.push(item) {
            Push::First => check!(number == 0),
            Push::Behind => check!(number > 0),
            Push::Busy(_) => return Err(EIO),
        }
    }
    let first = first.ok_or(EIO)?;
    check!(matches!(list.push(first.clone()), Push::Busy(_)));
    let other = LList::<Arc<Item>, 1>::new();
    check!(matches!(other.push(first.clone()), Push::First));
    check!(list.take_all().map(|item| item.number).eq(0..10));
    check!(list.is_empty());
    check!(matches!(list.push(first.clone()), Push::First));
    drop(list);
    drop(other);
    check!(!first.link.is_listed() && !first.other.is_listed());
    check!(is_last(first));

    // Two pushers, one taker: nothing is lost, and each one's order is kept.
    const EACH: u32 = 20_000;
    let list = Arc::new(LList::<KBox<Item>, 0>::new(), GFP_KERNEL)?;
    let shared = Shared::new()?;
    let mut threads = [const { None }; 2];
    for (index, thread) in threads.iter_mut().enumerate() {
        let (list, shared) = (list.clone(), shared.clone());
        *thread = Some(Thread::spawn(fmt!("drbd_test_p{index}"), move |_| {
            for number in 0..EACH {
                let number = number.wrapping_mul(2).wrapping_add(index as u32);
                let item = Item {
                    link: llist::Link::new(),
                    other: llist::Link::new(),
                    number,
                };
                let Ok(item) = KBox::new(item, GFP_KERNEL) else {
                    return;
                };
                if let Push::First = list.push(item) {
                    shared.queue.wake_all();
                }
            }
        })?);
    }
    let mut next = [0u32, 1];
    let mut seen = 0u32;
    while seen < EACH.wrapping_mul(2) {
        check!(shared
            .queue
            .wait_idle_timeout(time::ms_to_jiffies(10_000), || !list.is_empty()));
        for item in list.take_all() {
            let expected = next.get_mut((item.number & 1) as usize).ok_or(EIO)?;
            check!(item.number == *expected);
            *expected = expected.wrapping_add(2);
            seen = seen.wrapping_add(1);
        }
    }
    Ok(())
}
