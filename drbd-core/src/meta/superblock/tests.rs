// SPDX-License-Identifier: GPL-2.0
//! Golden bytes of the superblock, and each test of an attach.

use proptest::prelude::*;

use super::*;

const CAPACITY_64M: u64 = 131_072;

fn fresh() -> Superblock {
    let layout = Layout::compute(MdIndex::Internal, CAPACITY_64M, AlLayout::DEFAULT).unwrap();
    Superblock::create(&layout)
}

fn external(index: MdIndex, capacity: u64) -> Superblock {
    Superblock::create(&Layout::compute(index, capacity, AlLayout::DEFAULT).unwrap())
}

fn emitted(superblock: &Superblock) -> [u8; BLOCK_SIZE] {
    let mut block = [0xee; BLOCK_SIZE];
    superblock.emit(&mut block).unwrap();
    block
}

/// A fresh superblock of a 64 MiB device with internal metadata, up to the reserved tail.
const GOLDEN: [u8; 0x60] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x83, 0x74, 0x02, 0x6b, //
    0, 0, 0, 0x50, 0xff, 0xff, 0xff, 0xc0, 0, 0, 0x01, 0x01, 0xff, 0xff, 0xff, 0xb8, //
    0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, //
];

#[test]
fn golden_fresh_superblock() {
    let block = emitted(&fresh());
    assert_eq!(block[..0x60], GOLDEN);
    assert!(block[0x60..].iter().all(|byte| *byte == 0));
    let (superblock, layout) = Superblock::attach(&block, MdIndex::Internal, CAPACITY_64M).unwrap();
    assert_eq!(superblock, fresh());
    assert_eq!(layout.superblock_sector() * 512, 67_104_768);
}

#[test]
fn magic_numbers_are_told_apart() {
    let mut block = emitted(&fresh());
    let mut with_magic = |magic: u32| {
        block[0x3c..0x40].copy_from_slice(&magic.to_be_bytes());
        Superblock::parse(&block).map(|superblock| superblock.magic)
    };
    assert_eq!(with_magic(MAGIC_V08), Ok(Magic::Clean));
    assert_eq!(with_magic(MAGIC_V08_UNCLEAN), Ok(Magic::Unclean));
    assert_eq!(with_magic(MAGIC_V07), Err(ParseError::Version07));
    assert_eq!(with_magic(MAGIC_V09), Err(ParseError::Version09));
    assert_eq!(with_magic(0), Err(ParseError::NoMagic(0)));
    assert_eq!(Superblock::parse(&[0; 4095]), Err(ParseError::Short));
    assert_eq!(fresh().emit(&mut [0; 4095]), Err(ParseError::Short));
}

fn refusal(superblock: &Superblock) -> Option<AttachRefusal> {
    superblock
        .check_attach(MdIndex::Internal, CAPACITY_64M)
        .err()
}

#[test]
fn unclean_metadata_needs_user_space_first() {
    let unclean = Superblock {
        magic: Magic::Unclean,
        ..fresh()
    };
    assert_eq!(refusal(&unclean), Some(AttachRefusal::Unclean));
    let applied = Superblock {
        flags: MdFlags::NONE,
        ..fresh()
    };
    assert_eq!(refusal(&applied), Some(AttachRefusal::Unclean));
    assert_eq!(AttachRefusal::Unclean.ret_code(), 165);
    assert_eq!(AttachRefusal::Invalid(Invalid::Device).ret_code(), 119);
}

#[test]
fn each_test_of_an_attach_can_fail() {
    let good = fresh();
    for (superblock, invalid) in [
        (
            Superblock {
                bm_bytes_per_bit: 8192,
                ..good
            },
            Invalid::BytesPerBit(8192),
        ),
        (
            Superblock {
                al_stripes: 0,
                ..good
            },
            Invalid::AlLayout(AlLayoutError::HalfZero),
        ),
        (
            Superblock {
                al_stripes: u32::MAX,
                ..good
            },
            Invalid::AlLayout(AlLayoutError::TooBig),
        ),
        (
            Superblock {
                bm_offset: -63,
                ..good
            },
            Invalid::Offsets,
        ),
        (
            Superblock {
                al_offset: 0,
                ..good
            },
            Invalid::Offsets,
        ),
        (
            Superblock {
                al_offset: 16,
                ..good
            },
            Invalid::Offsets,
        ),
        (
            Superblock {
                al_offset: 8,
                bm_offset: 71,
                ..good
            },
            Invalid::Offsets,
        ),
        (
            Superblock {
                bm_offset: i32::MIN,
                ..good
            },
            Invalid::Device,
        ),
        (
            Superblock {
                md_size_sect: 88,
                ..good
            },
            Invalid::Device,
        ),
        (
            Superblock {
                md_size_sect: u32::MAX,
                ..good
            },
            Invalid::Device,
        ),
        (
            Superblock {
                al_stripes: 2,
                ..good
            },
            Invalid::AlArea,
        ),
        (
            Superblock {
                bm_offset: -79,
                md_size_sect: 79,
                ..good
            },
            Invalid::AlArea,
        ),
        (
            Superblock {
                la_size_sect: 8 * 4096 * 9,
                ..good
            },
            Invalid::BitmapArea,
        ),
        (
            Superblock {
                la_size_sect: u64::MAX,
                ..good
            },
            Invalid::BitmapArea,
        ),
    ] {
        assert_eq!(
            refusal(&superblock),
            Some(AttachRefusal::Invalid(invalid)),
            "{superblock:?}"
        );
    }
}

#[test]
fn zero_stripes_are_the_default_log() {
    let old = Superblock {
        al_stripes: 0,
        al_stripe_size_4k: 0,
        ..fresh()
    };
    let layout = old.check_attach(MdIndex::Internal, CAPACITY_64M).unwrap();
    assert_eq!(layout.al(), AlLayout::DEFAULT);
}

#[test]
fn external_areas_are_accepted_where_they_are() {
    let flex = external(MdIndex::FlexExternal, 2048);
    assert!(flex.check_attach(MdIndex::FlexExternal, 2048).is_ok());
    let refused = flex.check_attach(MdIndex::FlexExternal, 2047);
    assert_eq!(refused, Err(AttachRefusal::Invalid(Invalid::Device)));

    let second = MdIndex::Fixed(1);
    let fixed = external(second, 524_288);
    let layout = fixed.check_attach(second, 524_288).unwrap();
    assert_eq!(
        (layout.superblock_sector(), layout.bm_sector()),
        (262_144, 262_216)
    );
    assert_eq!(
        fixed.check_attach(second, 524_287),
        Err(AttachRefusal::Invalid(Invalid::Device))
    );
    let odd = Superblock {
        md_size_sect: 262_136,
        ..fixed
    };
    assert_eq!(
        odd.check_attach(second, 524_288),
        Err(AttachRefusal::Invalid(Invalid::FixedArea))
    );
}

#[test]
fn an_internal_superblock_is_no_external_one() {
    assert!(fresh()
        .check_attach(MdIndex::FlexExternal, CAPACITY_64M)
        .is_err());
    let flex = external(MdIndex::FlexExternal, CAPACITY_64M);
    assert!(flex.check_attach(MdIndex::Internal, CAPACITY_64M).is_err());
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_again(
        la_size_sect: u64, uuids: [u64; 4], device_uuid: u64, flags: u32, unclean: bool,
        md_size_sect: u32, al_offset: i32, al_nr_extents: u32, bm_offset: i32,
        bm_bytes_per_bit: u32, la_peer_max_bio_size: u32, al_stripes: u32, al_stripe_size_4k: u32,
    ) {
        let superblock = Superblock {
            la_size_sect, uuids, device_uuid, flags: MdFlags::from_bits(flags),
            magic: if unclean { Magic::Unclean } else { Magic::Clean },
            md_size_sect, al_offset, al_nr_extents, bm_offset, bm_bytes_per_bit,
            la_peer_max_bio_size, al_stripes, al_stripe_size_4k,
        };
        prop_assert_eq!(Superblock::parse(&emitted(&superblock)), Ok(superblock));
    }

    /// Whatever a disk says: an accepted layout lies inside the device.
    #[test]
    fn hostile_numbers_never_escape_the_device(
        al_offset in prop_oneof![Just(-64), Just(8), any::<i32>()],
        bm_offset in prop_oneof![-300..0_i32, Just(72), any::<i32>()],
        md_size_sect in prop_oneof![0..300_u32, any::<u32>()],
        la_size_sect in prop_oneof![0..200_000_u64, any::<u64>()],
        capacity in prop_oneof![0..300_000_u64, any::<u64>()],
        index in -3..4_i32,
        stripes in 0..3_u32,
    ) {
        let superblock = Superblock {
            al_offset, bm_offset, md_size_sect, la_size_sect, al_stripes: stripes, ..fresh()
        };
        let index = MdIndex::from_code(index).unwrap();
        if let Ok(layout) = superblock.check_attach(index, capacity) {
            prop_assert!(layout.last_sector() < capacity);
            prop_assert!(layout.first_sector() <= layout.superblock_sector());
            prop_assert!(layout.al_sector() >= layout.first_sector());
            prop_assert!(layout.bm_sector() >= layout.first_sector());
            prop_assert!(layout.bm_sector() + layout.bm_sectors() <= layout.last_sector() + 1);
        }
    }
}
