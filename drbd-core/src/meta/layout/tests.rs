// SPDX-License-Identifier: GPL-2.0
//! The tables of places, and limits.

use proptest::prelude::*;

use super::super::SECTORS_PER_BIT;
use super::*;

fn internal(capacity: u64) -> Layout {
    Layout::compute(MdIndex::FlexInternal, capacity, AlLayout::DEFAULT).unwrap()
}

#[test]
fn internal_places() {
    // capacity, superblock byte, log byte, bitmap byte, bm_offset, bitmap bytes, md size, usable
    for (capacity, superblock, al, bm, bm_offset, bm_bytes, md_size, usable) in [
        (
            131_072, 67_104_768, 67_072_000, 67_067_904, -72, 4096, 80, 130_992,
        ),
        (
            2_097_152,
            1_073_737_728,
            1_073_704_960,
            1_073_672_192,
            -128,
            32_768,
            136,
            2_097_016,
        ),
        (
            2_147_483_648,
            1_099_511_623_680,
            1_099_511_590_912,
            1_099_478_036_480,
            -65_600,
            33_554_432,
            65_608,
            2_147_418_040,
        ),
        (
            195_312, 99_995_648, 99_962_880, 99_958_784, -72, 4096, 80, 195_232,
        ),
    ] {
        let layout = internal(capacity);
        assert_eq!(layout.superblock_sector() * 512, superblock);
        assert_eq!(layout.al_sector() * 512, al);
        assert_eq!(layout.bm_sector() * 512, bm);
        assert_eq!((layout.al_offset(), layout.bm_offset()), (-64, bm_offset));
        assert_eq!(layout.bm_sectors() * 512, bm_bytes);
        assert_eq!(layout.md_size_sect(), md_size);
        assert_eq!(layout.usable_sectors(capacity), usable);
    }
}

#[test]
fn more_stripes_move_the_bitmap() {
    let al = AlLayout::new(4, 16).unwrap();
    let layout = Layout::compute(MdIndex::Internal, 2_147_483_648, al).unwrap();
    assert_eq!((layout.al_offset(), layout.bm_offset()), (-512, -66_048));
    assert_eq!(layout.md_size_sect(), 66_056);
    assert_eq!(layout.usable_sectors(0), 2_147_417_592);
}

#[test]
fn external_places() {
    for (capacity, limit) in [
        (131_072, 4_292_608_000),
        (262_144, 8_587_575_296),
        (2_097_152, 68_717_117_440),
        (2_147_483_648, 70_368_741_818_368),
        (2048, 64_749_568),
    ] {
        let layout = Layout::compute(MdIndex::FlexExternal, capacity, AlLayout::DEFAULT).unwrap();
        assert_eq!(
            (
                layout.superblock_sector(),
                layout.al_sector(),
                layout.bm_sector()
            ),
            (0, 8, 72)
        );
        assert_eq!(u64::from(layout.md_size_sect()), capacity);
        assert_eq!(layout.usable_sectors(u64::MAX), limit);
        assert_eq!(layout.usable_sectors(1000), 1000);
    }
    let layout = Layout::compute(MdIndex::Fixed(3), 4 * 262_144, AlLayout::DEFAULT).unwrap();
    assert_eq!(layout.superblock_sector() * 512, 3 * 134_217_728);
    assert_eq!((layout.al_offset(), layout.bm_offset()), (8, 72));
    assert_eq!(layout.bm_sectors(), 262_072);
    assert_eq!(layout.usable_sectors(u64::MAX), 8_587_575_296);
}

#[test]
fn a_huge_external_device_is_used_in_part() {
    let layout = Layout::compute(MdIndex::FlexExternal, 1 << 40, AlLayout::DEFAULT).unwrap();
    assert_eq!(layout.md_size_sect(), 0xffff_fff8);
    assert_eq!(layout.usable_sectors(u64::MAX), (0xffff_fff8 - 72) * 32_768);
}

#[test]
fn devices_without_room() {
    let compute = |index, capacity| Layout::compute(index, capacity, AlLayout::DEFAULT);
    assert_eq!(compute(MdIndex::Internal, 7), Err(LayoutError::TooSmall));
    assert_eq!(compute(MdIndex::Internal, 80), Err(LayoutError::TooSmall));
    assert_eq!(compute(MdIndex::Internal, 88).unwrap().usable_sectors(0), 8);
    assert_eq!(
        compute(MdIndex::FlexExternal, 72),
        Err(LayoutError::TooSmall)
    );
    assert_eq!(
        compute(MdIndex::Internal, u64::MAX),
        Err(LayoutError::TooBig)
    );
    assert_eq!(
        compute(MdIndex::Internal, 1 << 46),
        Err(LayoutError::TooBig)
    );
    let big_al = AlLayout::new(2, 8).unwrap();
    assert_eq!(
        Layout::compute(MdIndex::Fixed(0), 262_144, big_al),
        Err(LayoutError::AlInFixedArea)
    );
}

#[test]
fn the_last_page_is_cut_at_the_end_of_the_area() {
    let layout = internal(131_072);
    assert_eq!(layout.bitmap_page(0), Some((layout.bm_sector(), 8)));
    assert_eq!(layout.bitmap_page(1), None);
    let odd = Layout::compute(MdIndex::FlexExternal, 2051, AlLayout::DEFAULT).unwrap();
    assert_eq!(odd.bitmap_page(246), Some((72 + 246 * 8, 8)));
    assert_eq!(odd.bitmap_page(247), Some((72 + 247 * 8, 3)));
    assert_eq!(odd.bitmap_page(u64::MAX), None);
}

#[test]
fn index_codes() {
    for code in [-3, -2, -1, 0, 1, 255, i32::MAX] {
        assert_eq!(MdIndex::from_code(code).map(MdIndex::code), Some(code));
    }
    assert_eq!(MdIndex::from_code(-4), None);
    assert_eq!(MdIndex::Internal.min_capacity(), 2048);
    assert_eq!(MdIndex::Fixed(2).min_capacity(), 786_432);
}

proptest! {
    #[test]
    fn areas_follow_each_other_without_gap(
        capacity in 1000..1_u64 << 44, stripes in 1..9_u32, blocks in 8..64_u32,
    ) {
        let al = AlLayout::new(stripes, blocks).unwrap();
        if let Ok(layout) = Layout::compute(MdIndex::Internal, capacity, al) {
            prop_assert_eq!(layout.bm_sector() + layout.bm_sectors(), layout.al_sector());
            let al_end = layout.al_sector() + u64::from(al.sectors());
            prop_assert_eq!(al_end, layout.superblock_sector());
            prop_assert_eq!(layout.last_sector() / 8, (capacity / 8) - 1);
            // The bitmap covers the whole backing device.
            prop_assert!(layout.bm_sectors() * 4096 >= capacity.div_ceil(SECTORS_PER_BIT));
        }
    }
}
