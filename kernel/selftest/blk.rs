// SPDX-License-Identifier: GPL-2.0

//! Block I/O on a RAM disk, and a disk of ours on top of it.

use core::sync::atomic::{
    AtomicBool,
    AtomicU32,
    Ordering, //
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

use super::check;
use crate::sys::{
    bdev::{
        BackingDev,
        Holder, //
    },
    bio::{
        self,
        BioSet,
        Borrowed,
        Buffer,
        EndIo,
        OpFlags,
        OwnedBio,
        Status,
        UpperBio,
        UpperCell, //
    },
    disk::{
        emediumtype,
        Disk,
        DiskOps,
        Limits,
        Major, //
    },
    llist::LList,
    page::OwnedPage,
    time::ms_to_jiffies,
    wait::{
        new_wait_queue,
        WaitQueue, //
    },
    Wait, //
};

const PATH: &CStr = c"/dev/ram0";

#[pin_data]
struct Done {
    #[pin]
    queue: WaitQueue,
    ended: AtomicU32,
    failed: AtomicU32,
}

impl Done {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                queue <- new_wait_queue!("selftest"),
                ended: AtomicU32::new(0),
                failed: AtomicU32::new(0),
            }),
            GFP_KERNEL,
        )
    }

    fn add(&self, status: Status) {
        if !status.is_ok() {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.queue.wake_all();
    }

    fn wait(&self, ended: u32) -> Result {
        self.queue
            .wait(|| self.ended.load(Ordering::SeqCst) >= ended);
        if self.failed.load(Ordering::SeqCst) == 0 {
            Ok(())
        } else {
            Err(EIO)
        }
    }
}

/// A buffer whose I/O somebody waits for.
pub(super) struct Plain(Arc<Done>);

impl Plain {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Done::new()?))
    }
}

impl EndIo for Plain {
    type Payload = Buffer;

    fn end_io(bio: OwnedBio<Self>, status: Status) {
        bio.0.add(status);
    }
}

pub(super) fn sync_io() -> Result {
    let owner = Done::new()?;
    let other = Done::new()?;
    let device = BackingDev::open(PATH, Holder::of(&owner))?;
    pr_info!(
        "selftest: {} has {} sectors, number {:?}, {:?}\n",
        device.name(),
        device.sectors(),
        device.number(),
        device.traits()
    );
    check!(device.sectors() >= 16 * 2048);
    check!(device.number() == (1, 0));
    check!(BackingDev::open(PATH, Holder::of(&other)).is_err_and(|e| e == EBUSY));
    let again = BackingDev::open(PATH, Holder::of(&owner))?;
    check!(again.is_same(&device));
    drop(again);
    check!(BackingDev::open(c"/dev/none", Holder::of(&owner)).is_err_and(|e| e == ENOENT));
    check!(BackingDev::open(c"/dev/null", Holder::of(&owner)).is_err_and(|e| e == ENOTBLK));
    let mut page = OwnedPage::new_zeroed()?;
    for (index, byte) in page.bytes_mut().iter_mut().enumerate() {
        *byte = index as u8;
    }
    bio::write_page(
        &device,
        8,
        &page,
        4096,
        OpFlags::META_SYNC.with(OpFlags::FUA),
    )?;
    device.flush()?;
    let mut back = OwnedPage::new_zeroed()?;
    bio::read_page(&device, 8, &mut back, 512, OpFlags::META_SYNC)?;
    check!(back.bytes().get(..512) == page.bytes().get(..512));
    check!(back.bytes().get(512) == Some(&0));
    bio::read_page(&device, 8, &mut back, 4096, OpFlags::META_SYNC)?;
    check!(back.bytes() == page.bytes());
    device.zero_out(8, 8, false)?;
    bio::read_page(&device, 8, &mut back, 4096, OpFlags::META_SYNC)?;
    check!(back.bytes().iter().all(|byte| *byte == 0));
    check!(bio::read_page(&device, u64::MAX >> 12, &mut back, 4096, OpFlags::NONE) == Err(EIO));
    check!(bio::read_page(&device, 0, &mut back, 4097, OpFlags::NONE) == Err(EINVAL));
    Ok(())
}

pub(super) fn buffers() -> Result {
    let owner = Done::new()?;
    let device = Arc::new(BackingDev::open(PATH, Holder::of(&owner))?, GFP_KERNEL)?;
    let set = KBox::pin_init(BioSet::<Plain>::new(8), GFP_KERNEL)?;
    for bytes in [512u32, 4096, 6144, 1 << 20] {
        let done = Done::new()?;
        let bio = set
            .alloc_buffer(bytes, Wait::Yes, Plain(done.clone()))
            .map_err(|_| ENOMEM)?;
        check!(bio.bytes() == bytes && bio.data().len() == bytes);
        bio.data().zero();
        check!(bio.data().skip(bytes - 4).copy_from(&[1, 2, 3, 4, 5]) == 4);
        let mut ready = bio.write(&device, 2048, OpFlags::SYNC);
        let shared = ready.share();
        ready.submit();
        done.wait(1)?;
        check!(shared.0.ended.load(Ordering::SeqCst) == 1);
        drop(shared);
        // Flush, then read with another one, and with the same again.
        let again = set
            .alloc_buffer(bytes, Wait::No, Plain(done.clone()))
            .map_err(|_| ENOMEM)?;
        ready = again.flush(&device);
        let bio = ready.cancel();
        bio.data().zero();
        bio.read(&device, 2048, OpFlags::SYNC).submit();
        done.wait(2)?;
    }
    check!(set
        .alloc_buffer((1 << 20) + 1, Wait::Yes, Plain(owner))
        .is_err());
    while set.live() != 0 {
        crate::sys::time::sleep_ms(1);
    }
    check!(device.bios_in_flight() == 0);
    Ok(())
}

/// What stands behind the disk: a RAM disk, or nothing.
#[pin_data]
struct Mirror {
    #[pin]
    set: BioSet<Request>,
    backing: Option<Arc<BackingDev>>,
    /// While it is set, bios are not carried out but put aside.
    parking: AtomicBool,
    parked: LList<UpperBio>,
    opens: AtomicU32,
    bios: AtomicU32,
}

/// A request for the disk.
struct Request {
    upper: UpperCell,
}

impl EndIo for Request {
    type Payload = Borrowed;

    fn end_io(bio: OwnedBio<Self>, status: Status) {
        if let Some(upper) = bio.upper.take() {
            upper.end(status);
        }
    }
}

impl Mirror {
    fn new(backing: Option<Arc<BackingDev>>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                set <- BioSet::new(4),
                backing,
                parking: AtomicBool::new(false),
                parked: LList::new(),
                opens: AtomicU32::new(0),
                bios: AtomicU32::new(0),
            }),
            GFP_KERNEL,
        )
    }
}

impl Mirror {
    fn carry_out(&self, upper: UpperBio) {
        let Some(backing) = &self.backing else {
            return upper.end(Status::IO_ERROR);
        };
        let start = upper.start_accounting();
        upper.end_accounting(start);
        let request = Request {
            upper: UpperCell::empty(),
        };
        let Ok(bio) = self.set.alloc(Wait::Yes, request) else {
            return upper.end(Status::IO_ERROR);
        };
        let flags = upper.flags().only(OpFlags::PASSED_ON);
        let Ok(mut ready) = bio.clone_of(&upper, backing, flags) else {
            return upper.end(Status::IO_ERROR);
        };
        if let Some(request) = ready.data_mut() {
            request.upper = UpperCell::new(upper);
        }
        ready.submit();
    }
}

impl DiskOps for Mirror {
    fn submit_bio(this: ArcBorrow<'_, Self>, upper: UpperBio) {
        this.bios.fetch_add(1, Ordering::Relaxed);
        if this.parking.load(Ordering::SeqCst) {
            let _ = this.parked.push(upper);
        } else {
            this.carry_out(upper);
        }
    }

    fn open(this: ArcBorrow<'_, Self>, write: bool) -> Result {
        if this.backing.is_none() {
            return Err(if write { EROFS } else { emediumtype() });
        }
        this.opens.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn release(this: ArcBorrow<'_, Self>) {
        this.opens.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn disk() -> Result {
    let major = crate::major();
    check!(Major::register(147, c"drbd").is_err_and(|e| e == EBUSY));
    let holder = Done::new()?;
    let mut backing = BackingDev::open(PATH, Holder::of(&holder))?;
    let mut limits = Limits::new();
    limits.set_max_hw_bytes(8192);
    limits.set_features(true, true, true);
    // One that has nothing behind it, and refuses to be opened.
    let empty = Mirror::new(None)?;
    let refusing = Disk::add(major, 9, fmt!("drbd{}", 9), &limits, empty.clone())?;
    check!(BackingDev::open(c"/dev/drbd9", Holder::of(&holder)).is_err_and(|e| e == EROFS));
    // One that stands on the RAM disk.
    backing.link_holder(&refusing)?;
    check!(backing.link_holder(&refusing) == Err(EEXIST));
    drop(backing);
    drop((refusing, empty));
    let backing = BackingDev::open(PATH, Holder::of(&holder))?;
    let backing = Arc::new(backing, GFP_KERNEL)?;
    let mirror = Mirror::new(Some(backing.clone()))?;
    let disk = Disk::add(major, 3, fmt!("drbd{}", 3), &limits, mirror.clone())?;
    check!(disk.update_limits(|_| Err(EINVAL)) == Err(EINVAL));
    disk.update_limits(|limits| {
        limits.stack(&backing);
        limits.set_max_hw_bytes(65536);
        check!(limits.max_hw_bytes() == 65536);
        Ok(())
    })?;
    disk.set_capacity(backing.sectors());
    check!(disk.capacity() == backing.sectors());
    disk.uevent_change();
    check!(BackingDev::open(c"/dev/drbd3", Holder::of(&holder)).is_err_and(|e| e == EACCES));
    disk.set_read_only(false);
    io_through(&mirror, &backing, Holder::of(&holder))?;
    // Udev may have it open for a moment; the disk goes, and its object after the last opener.
    drop(disk);
    drop(backing);
    check!(mirror.set.live() == 0);
    Ok(())
}

/// Writes and reads 1 MiB through the disk, which is cut into pieces of 64 KiB.
///
/// The holder is the one of the refused attempt before: the claim of that ends a little later.
fn io_through(mirror: &Arc<Mirror>, below: &Arc<BackingDev>, holder: Holder) -> Result {
    let upper = Arc::new(BackingDev::open(c"/dev/drbd3", holder)?, GFP_KERNEL)?;
    check!(mirror.opens.load(Ordering::Relaxed) > 0);
    let set = KBox::pin_init(BioSet::<Plain>::new(8), GFP_KERNEL)?;
    let done = Done::new()?;
    let new = || {
        set.alloc_buffer(1 << 20, Wait::Yes, Plain(done.clone()))
            .map_err(|_| ENOMEM)
    };
    let bio = new()?;
    bio.data().zero();
    bio.data().skip(123_456).copy_from(b"through and through");
    let before = mirror.bios.load(Ordering::Relaxed);
    bio.write(&upper, 4096, OpFlags::SYNC.with(OpFlags::FUA))
        .submit();
    done.wait(1)?;
    check!(mirror.bios.load(Ordering::Relaxed).wrapping_sub(before) >= 16);
    for device in [&upper, below] {
        let bio = new()?;
        let shared = bio.share();
        let ready = bio.read(device, 4096, OpFlags::NONE);
        let ended = done.ended.load(Ordering::SeqCst);
        ready.submit();
        done.wait(ended.wrapping_add(1))?;
        drop(shared);
    }
    upper.flush()?;
    let mut page = OwnedPage::new_zeroed()?;
    let sector = 4096 + 123_456 / 4096 * 8;
    for device in [&upper, below] {
        bio::read_page(device, sector, &mut page, 4096, OpFlags::NONE)?;
        check!(page.bytes().get(576..595) == Some(b"through and through"));
    }
    check!(bio::read_page(&upper, upper.sectors(), &mut page, 512, OpFlags::NONE).is_err());

    // Parked: nothing ends until they are carried out, and each piece comes out in its order.
    let ended = done.ended.load(Ordering::SeqCst);
    mirror.parking.store(true, Ordering::SeqCst);
    new()?.read(&upper, 0, OpFlags::NONE).submit();
    check!(!done.queue.wait_timeout(ms_to_jiffies(20), || {
        done.ended.load(Ordering::SeqCst) != ended
    }));
    mirror.parking.store(false, Ordering::SeqCst);
    let mut sector = 0;
    for parked in mirror.parked.take_all() {
        check!(parked.sector() == sector && parked.op() == bio::Op::Read);
        sector = sector.wrapping_add((parked.bytes() / 512).into());
        check!(parked.data().len() == parked.bytes());
        mirror.carry_out(parked);
    }
    check!(sector == 2048);
    done.wait(ended.wrapping_add(1))?;

    // A hold keeps a bio that was told to end; one that is forgotten ends with an error.
    mirror.parking.store(true, Ordering::SeqCst);
    let small = || {
        set.alloc_buffer(4096, Wait::Yes, Plain(done.clone()))
            .map_err(|_| ENOMEM)
    };
    let ended = done.ended.load(Ordering::SeqCst);
    small()?.read(&upper, 0, OpFlags::NONE).submit();
    let parked = mirror.parked.take_all().next().ok_or(EIO)?;
    let (first, second) = (parked.hold(), parked.hold());
    parked.end(Status::OK);
    check!(first.data().len() == 4096);
    drop(first);
    check!(done.ended.load(Ordering::SeqCst) == ended);
    check!(second.data().copy_from(&[1; 4096]) == 4096);
    drop(second);
    done.wait(ended.wrapping_add(1))?;
    let ended = done.ended.load(Ordering::SeqCst);
    small()?.read(&upper, 0, OpFlags::NONE).submit();
    drop(mirror.parked.take_all());
    check!(done.wait(ended.wrapping_add(1)) == Err(EIO));
    mirror.parking.store(false, Ordering::SeqCst);
    Ok(())
}
