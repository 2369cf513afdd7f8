// SPDX-License-Identifier: GPL-2.0
//! Each event in the life of a UUID set.

use super::super::{same, AfterSb, UuidFlags, UuidSet, JUST_CREATED, SYNC_UUID_STEP};
use super::std::format;
use crate::config::words::{AfterSb0p, AfterSb1p, AfterSb2p, RrConflict};

const A: u64 = 0xa0a1_a2a3_a4a5_a6a6;
const B: u64 = 0xb0b1_b2b3_b4b5_b6b6;
const C: u64 = 0xc0c1_c2c3_c4c5_c6c6;
const D: u64 = 0xd0d1_d2d3_d4d5_d6d6;
const R: u64 = 0x5151_5151_5151_5151;

const SET: UuidSet = UuidSet {
    current: A,
    bitmap: B,
    history: [C, D],
};
const CLEAN: UuidSet = UuidSet { bitmap: 0, ..SET };

#[test]
fn a_new_generation_keeps_the_old_one_with_its_bit() {
    let mut s = CLEAN;
    s.set_primary(true);
    assert_eq!(s.current, A | 1);
    assert_eq!(s.new_current(R, true), None);
    assert_eq!(
        s,
        UuidSet {
            current: R | 1,
            bitmap: A | 1,
            history: [C, D]
        }
    );
    s.set_primary(false);
    assert_eq!(s.current, R & !1);
    // The bitmap UUID does not rotate, it is lost.
    assert_eq!(s.new_current(D, false), Some(A | 1));
    assert_eq!(
        s,
        UuidSet {
            current: D,
            bitmap: R & !1,
            history: [C, D]
        }
    );
}

#[test]
fn a_promotion_of_a_secondary_leaves_an_even_bitmap_uuid() {
    let mut s = CLEAN;
    assert_eq!(s.new_current(R, true), None);
    assert_eq!(s.bitmap & 1, 0, "was not Primary before");
    let mut first = UuidSet::NEW;
    assert!(first.is_just_created());
    assert_eq!(first.new_current(R, true), None);
    assert_eq!(
        first,
        UuidSet {
            current: R | 1,
            bitmap: JUST_CREATED,
            history: [0, 0]
        }
    );
}

#[test]
fn clearing_rotates_once() {
    let mut s = SET;
    s.clear_bitmap();
    assert_eq!(
        s,
        UuidSet {
            current: A,
            bitmap: 0,
            history: [B, C]
        }
    );
    s.clear_bitmap();
    assert_eq!(
        s,
        UuidSet {
            current: A,
            bitmap: 0,
            history: [B, C]
        }
    );
    s.set_bitmap(D | 1);
    assert_eq!(s.bitmap, D, "no bit 0");
    assert_eq!(s.history, [B, C], "no rotation");
    s.set_bitmap(0);
    assert_eq!(s.history, [D, B]);
}

#[test]
fn the_sync_uuid_is_made_from_the_bitmap_uuid() {
    let mut s = SET;
    assert_eq!(s.begin_as_source(R, 0), B + SYNC_UUID_STEP);
    assert_eq!(
        s,
        UuidSet {
            current: A,
            bitmap: B + SYNC_UUID_STEP,
            history: [B, C]
        }
    );
    let mut s = CLEAN;
    assert_eq!(s.begin_as_source(R, 0), R);
    assert_eq!(
        s,
        UuidSet {
            current: A,
            bitmap: R,
            history: [C, D]
        }
    );
    let mut s = UuidSet {
        bitmap: JUST_CREATED,
        ..SET
    };
    assert_eq!(
        s.begin_as_source(R, 0),
        R,
        "nothing can be made from a device without data"
    );
    assert_eq!(s.history, [JUST_CREATED, C]);
    let mut s = UuidSet {
        bitmap: u64::MAX - 1,
        ..SET
    };
    assert_eq!(s.begin_as_source(R, 0), SYNC_UUID_STEP - 2, "wraps");
}

#[test]
fn lost_sync_uuids_leave_something_in_common_with_the_target() {
    let far = UuidSet {
        bitmap: R,
        history: [D, C],
        ..SET
    };
    for peer in [D, C] {
        // In one generation, and in a new one each time.
        for leaves in [false, true] {
            let mut s = far;
            for alone in 1..4_u64 {
                let before = s;
                let sync_uuid = s.begin_as_source(s.fresh_sync_uuid(alone << 50), peer);
                assert!(s.target_may_be_done());
                assert_eq!(s.history, [before.bitmap, peer]);
                if leaves {
                    s.leave_target(alone << 32, false);
                    assert_eq!((s.bitmap, s.history), (before.current, [sync_uuid, peer]));
                    assert!(!s.target_may_be_done());
                } else {
                    assert_eq!(s.bitmap, sync_uuid);
                }
            }
        }
    }
    // What the bitmap UUID says already, or what says nothing.
    for peer in [0, JUST_CREATED, A | 1, R, B] {
        let mut s = far;
        let sync_uuid = R + SYNC_UUID_STEP;
        assert_eq!(s.begin_as_source(s.fresh_sync_uuid(R), peer), sync_uuid);
        assert_eq!(s.history, [R, D]);
        s.leave_target(B, false);
        assert_eq!(s.history, [A, R]);
    }
}

#[test]
fn a_resync_whose_end_was_not_seen_is_known_by_its_uuid() {
    let clean = UuidSet {
        current: A | 1,
        ..CLEAN
    };
    assert!(!clean.target_may_be_done(), "no bitmap UUID");
    let mut alone = clean;
    assert_eq!(alone.new_current(R, true), None);
    assert!(
        !alone.target_may_be_done(),
        "a generation of this node alone"
    );
    for random in [0, R, u64::MAX] {
        for before in [clean, alone] {
            let mut resumed = before;
            for _ in 0..4 {
                resumed.begin_as_source(resumed.fresh_sync_uuid(random), 0);
                let mut s = resumed;
                assert!(!same(s.current, s.bitmap));
                assert!(s.target_may_be_done(), "{random:x}");
                s.set_primary(false);
                assert!(s.target_may_be_done(), "bit 0 is not identity");
                // Alone, with the bitmap UUID of the target, and once only.
                let last = s;
                s.leave_target(B, true);
                assert_eq!((s.current, s.bitmap), (B | 1, last.bitmap));
                assert_eq!(s.history, [last.current, last.history[0]]);
                assert!(!s.target_may_be_done());
                // The next one is like any other.
                s.begin_as_source(s.fresh_sync_uuid(random), 0);
                assert_eq!(s.bitmap, last.bitmap + SYNC_UUID_STEP);
                assert!(s.target_may_be_done());
                s.finish_as_source();
                assert!(!s.target_may_be_done());
            }
        }
    }
}

#[test]
fn a_whole_resync_ends_in_equal_sets() {
    for (bitmap, history) in [(B, [C, D]), (0, [C, D]), (JUST_CREATED, [0, 0])] {
        let mut source = UuidSet {
            current: A | 1,
            bitmap,
            history,
        };
        let mut target = UuidSet {
            current: B,
            bitmap: D,
            history: [A, C],
        };
        let at_handshake = source;
        let sync_uuid = source.begin_as_source(R & !1, 0);
        target.begin_as_target(sync_uuid, false);
        assert_eq!(target.current, sync_uuid);
        assert_eq!(
            (target.bitmap, target.history),
            (0, [A, C]),
            "history is not touched"
        );
        source.finish_as_source();
        target.finish_as_target(&at_handshake, false);
        assert_eq!(
            target.current,
            source.current & !1,
            "each has its own bit 0"
        );
        assert_eq!((target.bitmap, source.bitmap), (0, 0));
        assert_eq!(target.history, source.history);
        assert_eq!(source.history[0], sync_uuid);
    }
}

#[test]
fn the_administrators_new_generation_keeps_history() {
    let mut s = SET;
    s.new_current_by_admin(R, false);
    assert_eq!(
        s,
        UuidSet {
            current: R & !1,
            bitmap: A,
            history: [B, C]
        }
    );
    s.skip_initial_sync(D, false);
    assert_eq!(
        s,
        UuidSet {
            current: D,
            bitmap: 0,
            history: [B, C]
        }
    );
}

#[test]
fn sets_are_shown_as_the_log_shows_them() {
    assert_eq!(
        format!("{SET}"),
        "A0A1A2A3A4A5A6A6:B0B1B2B3B4B5B6B6:C0C1C2C3C4C5C6C6:D0D1D2D3D4D5D6D6"
    );
    assert_eq!(
        format!("{}", UuidSet::NEW),
        "0000000000000004:0000000000000000:0000000000000000:0000000000000000"
    );
}

#[test]
fn flags_and_policies_have_the_documented_numbers() {
    let flags = UuidFlags::default()
        .with(UuidFlags::DISCARD_MY_DATA, true)
        .with(UuidFlags::CRASHED_PRIMARY, false)
        .with(UuidFlags::INCONSISTENT, true)
        .with(UuidFlags::SKIP_INITIAL_SYNC, true);
    assert_eq!(flags.bits(), 1 | 4 | 8);
    assert!(!flags.contains(UuidFlags::CRASHED_PRIMARY));
    assert_eq!(flags.without(UuidFlags::DISCARD_MY_DATA).bits(), 12);
    for (i, policy) in AfterSb::ALL.iter().enumerate() {
        assert_eq!(usize::from(policy.value()), i);
        assert_eq!(AfterSb::try_from(u32::from(policy.value())), Ok(*policy));
        assert_eq!(policy.mirrored().mirrored(), *policy);
    }
    assert_eq!(
        AfterSb::from(AfterSb0p::DiscardLocal),
        AfterSb::DiscardLocal
    );
    assert_eq!(
        AfterSb::from(AfterSb1p::CallPriLostAfterSb),
        AfterSb::CallHelper
    );
    assert_eq!(AfterSb::from(AfterSb2p::ViolentlyAs0p), AfterSb::Violently);
    assert_eq!(AfterSb::from(RrConflict::CallPriLost), AfterSb::CallHelper);
    assert!(AfterSb::try_from(11).is_err());
    assert_eq!(AfterSb::DiscardLocal.mirrored(), AfterSb::DiscardRemote);
}
