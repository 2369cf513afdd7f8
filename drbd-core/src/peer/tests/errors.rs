// SPDX-License-Identifier: GPL-2.0
//! Errors of the local disk under each value of `on-io-error`.

extern crate std;

use super::super::*;
use super::pair::data::Block;
use super::pair::Pair;
use crate::state::Disk;

const SECTORS: u64 = 8 * 16;
const BLOCK: Block = Block { vnr: 0, nr: 3 };

/// Connected, node 0 Primary, in sync.
fn mirror(seed: u64, policy: OnIoError) -> Pair {
    let mut p = Pair::fresh(seed, SECTORS);
    for n in &mut p.n {
        n.w.on_io_error = policy;
    }
    p.lead();
    p.write(0, BLOCK, false);
    p.settle();
    p
}

fn fail(p: &mut Pair, i: usize, kind: DiskErrorKind) {
    p.n[i].set_bit(BLOCK);
    p.n[i].feed(Event::DiskError { vnr: 0, kind });
    p.settle();
}

/// Both nodes lose their power before the peer has begun a generation for what it serves alone: the
/// failed disk must not be the crashed Primary that everybody syncs from.
#[test]
fn a_failed_disk_of_a_primary_says_that_it_is_left_behind() {
    use DiskErrorKind::{Hang, Read, Write};
    for (kind, disk) in [
        (Read, "Inconsistent"),
        (Write, "Inconsistent"),
        (Hang, "UpToDate"),
    ] {
        let mut p = mirror(1, OnIoError::Detach);
        p.n[0].feed(Event::DiskError { vnr: 0, kind });
        p.crash(0);
        p.crash(1);
        for n in &mut p.n {
            n.attach(0, SECTORS);
        }
        p.settle();
        assert_eq!(
            p.n[0].show(),
            std::format!("StandAlone Secondary/Unknown {disk}/DUnknown")
        );
        assert_eq!(
            p.n[1].show(),
            "StandAlone Secondary/Unknown UpToDate/DUnknown"
        );
    }
}

#[test]
fn pass_on_keeps_the_disk_and_the_peer_has_the_block() {
    for seed in 0..20 {
        for kind in [DiskErrorKind::Read, DiskErrorKind::Write] {
            let mut p = mirror(seed, OnIoError::PassOn);
            fail(&mut p, 0, kind);
            fail(&mut p, 0, kind);
            assert_eq!(
                p.n[0].show(),
                "Connected Primary/Secondary Inconsistent/UpToDate"
            );
            assert_eq!(
                p.n[1].show(),
                "Connected Secondary/Primary UpToDate/Inconsistent"
            );
            p.n[0].store.blocks.remove(&BLOCK);
            assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]), "from the peer");
            // The disk is replaced by detach and attach, and synced.
            p.n[0].admin(Command::Detach {
                vnr: 0,
                force: false,
            });
            p.settle();
            assert_eq!(p.n[0].s().disk, Disk::Diskless);
            p.n[0].attach(0, SECTORS);
            p.settle();
            assert_eq!(
                p.n[0].show(),
                "Connected Primary/Secondary UpToDate/UpToDate"
            );
            p.check_rest();
        }
    }
}

#[test]
fn pass_on_at_the_secondary_leaves_the_primary_its_data() {
    let mut p = mirror(1, OnIoError::PassOn);
    fail(&mut p, 1, DiskErrorKind::Write);
    assert_eq!(
        p.n[0].show(),
        "Connected Primary/Secondary UpToDate/Inconsistent"
    );
    assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]));
}

#[test]
fn the_helper_is_called_for_errors_and_not_for_a_detach() {
    for kind in [
        DiskErrorKind::Read,
        DiskErrorKind::Write,
        DiskErrorKind::Metadata,
    ] {
        let mut p = mirror(2, OnIoError::CallLocalIoError);
        fail(&mut p, 0, kind);
        assert_eq!(p.n[0].w.helped, ["local-io-error"], "{kind:?}");
        assert_eq!(p.n[0].s().disk, Disk::Diskless);
        assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]));
    }
    let mut p = mirror(3, OnIoError::CallLocalIoError);
    p.n[0].admin(Command::Detach {
        vnr: 0,
        force: false,
    });
    p.settle();
    assert_eq!(p.n[0].s().disk, Disk::Diskless);
    assert!(p.n[0].w.helped.is_empty());
}

#[test]
fn metadata_errors_detach_whatever_is_configured() {
    for policy in [OnIoError::PassOn, OnIoError::Detach] {
        for i in 0..2 {
            let mut p = mirror(4, policy);
            fail(&mut p, i, DiskErrorKind::Metadata);
            assert_eq!(p.n[i].s().disk, Disk::Diskless);
            assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]));
        }
    }
}

#[test]
fn a_disk_that_hangs_is_given_up_whatever_is_configured() {
    for policy in [
        OnIoError::PassOn,
        OnIoError::CallLocalIoError,
        OnIoError::Detach,
    ] {
        for i in 0..2 {
            let mut p = mirror(5, policy);
            fail(&mut p, i, DiskErrorKind::Hang);
            // Once, before anything that would wait for the disk.
            assert_eq!(p.n[i].w.abandoned, [true], "{policy:?}");
            assert_eq!(p.n[i].s().disk, Disk::Diskless);
            let helped = policy == OnIoError::CallLocalIoError;
            assert_eq!(p.n[i].w.helped.len(), usize::from(helped), "{policy:?}");
            assert_eq!(p.read(0, BLOCK), Some(p.acked[&BLOCK]));
        }
    }
}

#[test]
fn a_disk_that_is_gone_is_not_given_up() {
    let mut p = mirror(6, OnIoError::Detach);
    fail(&mut p, 0, DiskErrorKind::Metadata);
    assert_eq!(p.n[0].s().disk, Disk::Diskless);
    fail(&mut p, 0, DiskErrorKind::Hang);
    assert!(p.n[0].w.abandoned.is_empty());
}

/// One that cannot be written would cost the disk before the peer has what only this disk has.
#[test]
fn the_bitmap_of_a_source_is_not_written_before_the_resync_has_ended() {
    for seed in 0..20 {
        let mut p = mirror(seed, OnIoError::Detach);
        p.n[1].admin(Command::Disconnect { force: false });
        p.settle();
        p.write(0, BLOCK, false);
        p.n[1].connect(false);
        while !p.n[0].w.resync.contains_key(&0) {
            assert!(p.step());
        }
        assert!(p.n[0].w.bits[&0].contains(&BLOCK.nr));
        assert!(p.n[0].disk[&0].bitmap.is_empty(), "seed {seed}");
        p.settle();
        p.check_rest();
    }
}
