// SPDX-License-Identifier: GPL-2.0
//! Tables over the size rules.

use super::super::al::AlLayout;
use super::super::layout::MdIndex;
use super::*;

const SMALL: u64 = 131_072;
const LARGE: u64 = 409_600;

fn layout(capacity: u64) -> Layout {
    Layout::compute(MdIndex::Internal, capacity, AlLayout::DEFAULT).unwrap()
}

fn inputs(own: u64, peer: u64, last_agreed: u64, user: u64) -> SizeInputs {
    SizeInputs {
        own,
        peer,
        last_agreed,
        user,
        assume_peer_has_space: false,
    }
}

#[test]
fn one_size_out_of_four_wishes() {
    // own, peer, last agreed, user -> size, user too large
    for (own, peer, agreed, user, size, too_large) in [
        (100, 80, 0, 0, 80, false),
        (80, 100, 60, 0, 80, false),
        (100, 0, 60, 0, 60, false),
        (50, 0, 60, 0, 50, false),
        (0, 50, 60, 0, 50, false),
        (0, 70, 60, 0, 60, false),
        (100, 0, 0, 0, 100, false),
        (0, 90, 0, 0, 90, false),
        (0, 0, 60, 0, 60, false),
        (0, 0, 0, 0, 0, false),
        (100, 80, 0, 70, 70, false),
        (100, 80, 0, 80, 80, false),
        (100, 80, 0, 81, 80, true),
        (100, 0, 60, 90, 60, true),
        (0, 0, 0, 5, 0, true),
    ] {
        let outcome = inputs(own, peer, agreed, user).agreed();
        let expected = AgreedSize {
            size,
            user_too_large: too_large,
        };
        assert_eq!(outcome, expected, "{own} {peer} {agreed} {user}");
    }
    let forced = SizeInputs {
        assume_peer_has_space: true,
        ..inputs(100, 0, 60, 0)
    };
    assert_eq!(forced.agreed().size, 100);
}

#[test]
fn the_smaller_configured_size_wins_at_connect() {
    for (own, peer, size) in [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5), (7, 5, 5)] {
        assert_eq!(user_size_at_connect(own, peer), size);
    }
}

fn request(own: u64, last_agreed: u64, user: u64) -> SizeRequest {
    SizeRequest {
        inputs: inputs(own, own, last_agreed, user),
        bitmap_limit: layout(SMALL).bitmap_limit(),
        al_relayout: false,
        assume_clean: false,
    }
}

#[test]
fn plans() {
    let plan = request(1000, 1000, 0).plan().unwrap();
    assert_eq!(plan.change, SizeChange::Unchanged);
    let plan = request(1000, 0, 0).plan().unwrap();
    assert_eq!(plan.change, SizeChange::GrewFromZero);
    assert!(plan.set_new_bits);
    let plan = request(1000, 900, 0).plan().unwrap();
    assert_eq!((plan.size, plan.change), (1000, SizeChange::Grew));
    let plan = request(1000, 1200, 0).plan().unwrap();
    assert_eq!((plan.size, plan.change), (1000, SizeChange::Shrunk));
    let clean = SizeRequest {
        assume_clean: true,
        ..request(1000, 900, 0)
    }
    .plan()
    .unwrap();
    assert!(!clean.set_new_bits);
}

#[test]
fn a_grown_device_moves_its_metadata() {
    let old = layout(SMALL);
    let same = Room::of(&old, SMALL, SMALL).unwrap();
    assert!(!same.moves && same.usable == old.usable_sectors(SMALL));
    let new = layout(LARGE);
    assert_eq!(
        Room::of(&old, LARGE, LARGE).unwrap(),
        Room {
            usable: new.bm_sector(),
            bitmap_limit: new.bitmap_limit(),
            md_size_sect: new.md_size_sect(),
            al_offset: old.al_offset(),
            bm_offset: new.bm_offset(),
            moves: true,
        }
    );
    // Beside external metadata the data alone may grow.
    let external = Layout::compute(MdIndex::FlexExternal, SMALL, AlLayout::DEFAULT).unwrap();
    let grown = Room::of(&external, SMALL, LARGE).unwrap();
    assert_eq!((grown.usable, grown.moves), (LARGE, false));
    assert!(Room::of(&old, 64, 64).is_err());
}

#[test]
fn refused_sizes() {
    let relayout = |own, agreed, user| SizeRequest {
        al_relayout: true,
        ..request(own, agreed, user)
    };
    assert_eq!(
        relayout(1000, 1200, 0).plan(),
        Err(SizeError::ImplicitShrink)
    );
    assert_eq!(relayout(1000, 1200, 900).plan().unwrap().size, 900);
    assert_eq!(
        request(1000, 1200, 1100).plan(),
        Err(SizeError::NoSpaceForMetadata)
    );
    // One bit more than the 8 sectors of bitmap hold.
    assert_eq!(request(262_144, 0, 0).plan().unwrap().size, 262_144);
    assert_eq!(
        request(262_145, 0, 0).plan(),
        Err(SizeError::BitmapTooSmall)
    );
    let codes = [
        SizeError::ImplicitShrink,
        SizeError::NoSpaceForMetadata,
        SizeError::BitmapTooSmall,
    ];
    assert_eq!(codes.map(SizeError::ret_code), [170, 169, 140]);
}

#[test]
fn a_diskless_node_follows_its_peer() {
    let peer = |current, user, disk| PeerSizes {
        current,
        user,
        disk,
    };
    for (own, primary, sizes, outcome) in [
        (0, false, peer(0, 0, 0), DisklessSize::Keep),
        (0, false, peer(100, 0, 120), DisklessSize::Adopt(100)),
        (0, false, peer(0, 90, 120), DisklessSize::Adopt(90)),
        (0, false, peer(0, 0, 120), DisklessSize::Adopt(120)),
        (100, true, peer(100, 0, 120), DisklessSize::Keep),
        (100, false, peer(80, 0, 0), DisklessSize::Keep),
        (0, false, peer(80, 0, 0), DisklessSize::Adopt(80)),
        (100, true, peer(80, 0, 80), DisklessSize::Refuse),
        (100, false, peer(80, 0, 80), DisklessSize::Adopt(80)),
        (100, true, peer(120, 0, 120), DisklessSize::Adopt(120)),
    ] {
        assert_eq!(
            diskless_size(own, primary, sizes),
            outcome,
            "{own} {primary} {sizes:?}"
        );
    }
}

#[test]
fn attach_refuses_what_would_lose_data() {
    let check = |inputs, current, consistent| {
        AttachSizes {
            inputs,
            current,
            consistent,
        }
        .check()
    };
    assert_eq!(check(inputs(100, 0, 100, 0), 100, true), Ok(()));
    assert_eq!(check(inputs(100, 0, 100, 101), 0, true), Err(111));
    assert_eq!(check(inputs(100, 0, 100, 0), 101, true), Err(111));
    assert_eq!(check(inputs(90, 0, 100, 0), 0, true), Err(170));
    assert_eq!(check(inputs(90, 0, 100, 0), 0, false), Ok(()));
    assert_eq!(check(inputs(90, 0, 100, 80), 0, true), Ok(()));
}
