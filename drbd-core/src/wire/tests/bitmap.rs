// SPDX-License-Identifier: GPL-2.0
//! The bitmap exchange: plain, compressed and mixed, complete and hostile.

use std::vec;

use proptest::prelude::*;

use super::*;
use crate::vli::tests::{cases, from_runs, run, Bits};
use crate::vli::BitSource;

/// Sends `bits` through packets; returns what arrived, and the kinds of the packets.
fn transfer(bits: &Bits, agreed: Agreed, compress: bool) -> (Bits, Vec<Command>) {
    let mut sender = BitmapCursor::new(bits.bits());
    let mut receiver = BitmapCursor::new(bits.bits());
    let mut back = Bits(vec![false; bits.0.len()]);
    let mut commands = vec![];
    let mut within = context(Socket::Data, agreed);
    within.phase = Phase::Bitmap { volume: 0 };
    while !sender.is_done() {
        let mut out = [0; 4096];
        let sent = sender
            .emit_next(bits, 0, &agreed, compress, &mut out)
            .unwrap();
        let (packet, frame) = read(&out[..sent.size], &within).unwrap();
        assert_eq!(frame.consumed, sent.size);
        let done = match packet {
            Packet::Bitmap(words) => receiver.take_plain(words, &agreed, &mut back),
            Packet::CompressedBitmap(code) => receiver.take_compressed(&code, &mut back),
            other => panic!("{other:?}"),
        };
        assert_eq!(done, Ok(sent.done));
        assert_eq!(receiver.position(), sender.position());
        commands.push(frame.header.command);
        assert_eq!(
            sent.compressed,
            frame.header.command == Command::CompressedBitmap
        );
    }
    assert!(receiver.is_done());
    (back, commands)
}

#[test]
fn golden_transfers() {
    use Command::{Bitmap as Plain, CompressedBitmap as Compressed};
    // Bits that no code makes shorter.
    let noise = Bits((0..40_000_u32).map(|i| i * i % 7 < 3).collect());
    for (bits, version, compress, expected) in [
        (from_runs(true, &[262_144]), 101, true, &[Compressed][..]),
        (
            from_runs(false, &[1000, 24, 1024]),
            101,
            true,
            &[Compressed],
        ),
        // 32768 bytes: eight packets of 4080 and one of 128, and the end.
        (from_runs(true, &[262_144]), 101, false, &[Plain; 10]),
        // Eight of 4088 and one of 64, and the end.
        (from_runs(true, &[262_144]), 99, false, &[Plain; 10]),
        // 32640 bytes: exactly eight of 4080.
        (from_runs(true, &[261_120]), 101, false, &[Plain; 9]),
        (from_runs(true, &[261_120]), 99, false, &[Plain; 9]),
        (from_runs(true, &[261_696]), 99, false, &[Plain; 10]),
        // No compression before version 90.
        (from_runs(true, &[262_144]), 89, true, &[Plain; 10]),
        (noise, 101, true, &[Plain, Plain, Plain]),
        (Bits(vec![]), 101, true, &[Plain]),
        (from_runs(true, &[1]), 101, false, &[Plain, Plain]),
    ] {
        let (back, commands) = transfer(&bits, agreed(version, 0), compress);
        assert_eq!(back, bits);
        assert_eq!(commands, expected, "{version} {compress}");
    }
}

#[test]
fn sizes_of_plain_packets() {
    for (version, chunk) in [(86, 4088), (95, 4088), (101, 4080)] {
        let agreed = agreed(version, 0);
        assert_eq!(BitmapCursor::new(1 << 40).plain_size(&agreed), chunk);
        assert_eq!(BitmapCursor::new(65).plain_size(&agreed), 16);
        assert_eq!(BitmapCursor::new(64).plain_size(&agreed), 8);
        assert_eq!(BitmapCursor::new(0).plain_size(&agreed), 0);
        assert_eq!(BitmapCursor::new(u64::MAX).plain_size(&agreed), chunk);
    }
}

/// After a compressed packet that ends within a word, a plain one begins with that word.
#[test]
fn plain_after_compressed() {
    let agreed = full();
    let bits = 256;
    let mut back = Bits(vec![false; 256]);
    let mut cursor = BitmapCursor::new(bits);
    // 100 set.
    let code = CompressedBitmap {
        first: true,
        pad: 2,
        code: &[0xdf, 0x0c],
    };
    assert_eq!(cursor.take_compressed(&code, &mut back), Ok(false));
    assert_eq!(cursor.position(), 100);
    assert_eq!(cursor.plain_size(&agreed), 24);
    let mut words = [0; 24];
    words[23] = 0x80;
    assert_eq!(cursor.take_plain(&words, &agreed, &mut back), Ok(false));
    assert_eq!(cursor.position(), 256);
    assert_eq!(back, from_runs(true, &[100, 155, 1]));
    // Nothing but the end may come now.
    assert_eq!(
        cursor.take_compressed(&code, &mut back),
        Err(WireError::BitmapOverflow)
    );
    assert_eq!(
        cursor.take_plain(&words, &agreed, &mut back),
        Err(WireError::BitmapOverflow)
    );
    assert_eq!(cursor.take_plain(&[], &agreed, &mut back), Ok(true));
    assert_eq!(
        cursor.take_plain(&[], &agreed, &mut back),
        Err(WireError::BitmapOverflow)
    );
}

#[test]
fn wrong_sizes_of_plain_packets() {
    let agreed = full();
    for size in [0, 1, 8, 15, 17, 24, 4080] {
        let mut cursor = BitmapCursor::new(100);
        let mut back = Bits(vec![false; 100]);
        assert_eq!(
            cursor.take_plain(&vec![0xff; size], &agreed, &mut back),
            Err(WireError::BitmapOverflow),
            "{size}"
        );
        assert_eq!(cursor, BitmapCursor::new(100));
    }
}

/// A peer may not set bits behind the end.
#[test]
fn padding_is_not_taken() {
    let mut cursor = BitmapCursor::new(70);
    let mut back = Bits(vec![false; 70]);
    assert_eq!(
        cursor.take_plain(&[0xff; 16], &full(), &mut back),
        Ok(false)
    );
    assert_eq!(back, Bits(vec![true; 70]));
}

#[test]
fn encodings() {
    for encoding in 0..=u8::MAX {
        let bytes = [encoding, 0x60];
        let parsed = CompressedBitmap::parse(&bytes);
        if encoding & 0x0f == 2 {
            let packet = parsed.unwrap();
            assert_eq!(packet.first, encoding & 0x80 != 0);
            assert_eq!(packet.pad, (encoding >> 4) & 7);
            let mut out = [0; 2];
            assert_eq!(packet.emit(&mut out), Ok(2));
            assert_eq!(out, bytes);
        } else {
            assert_eq!(parsed, Err(WireError::BadEncoding(encoding)));
        }
    }
    assert_eq!(CompressedBitmap::parse(&[2]), Err(WireError::Truncated));
    assert_eq!(CompressedBitmap::parse(&[]), Err(WireError::Truncated));
}

/// A packet of the first kind of size that the code above chooses is taken as well: the reference
/// would send it plain.
#[test]
fn a_code_longer_than_its_bits_is_taken() {
    let packet = CompressedBitmap {
        first: true,
        pad: 2,
        code: &[0x60, 0x36],
    };
    let mut back = Bits(vec![false; 15]);
    let mut cursor = BitmapCursor::new(15);
    assert_eq!(cursor.take_compressed(&packet, &mut back), Ok(true));
    assert_eq!(back, from_runs(true, &[1, 1, 2, 3, 8]));
}

#[test]
fn a_short_buffer_is_refused() {
    let bits = from_runs(true, &[262_144]);
    for room in [0, 8, 16, 100, 4095] {
        let mut cursor = BitmapCursor::new(bits.bits());
        let sent = cursor.emit_next(&bits, 0, &full(), false, &mut vec![0; room]);
        assert_eq!(sent, Err(WireError::NoRoom), "{room}");
    }
}

fn noise() -> impl Strategy<Value = Bits> {
    prop::collection::vec(any::<bool>(), 0..70_000).prop_map(Bits)
}

fn runs() -> impl Strategy<Value = Bits> {
    (any::<bool>(), prop::collection::vec(run(), 0..400)).prop_map(|(f, r)| from_runs(f, &r))
}

fn mixed() -> impl Strategy<Value = Bits> {
    prop::collection::vec(prop_oneof![noise(), runs()], 1..4)
        .prop_map(|parts| Bits(parts.into_iter().flat_map(|b| b.0).collect()))
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn bitmaps_survive(
        bits in prop_oneof![noise(), runs(), mixed()],
        version in 86..=101_u32,
        compress: bool,
    ) {
        let (back, _) = transfer(&bits, agreed(version, 0), compress);
        prop_assert_eq!(back, bits);
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    /// Whatever packets come: no panic, no bit outside, and the position only grows.
    #[test]
    fn hostile_transfers(
        bits in prop_oneof![0..300_u64, 30_000..70_000_u64],
        packets in prop::collection::vec(
            (any::<bool>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..20), any::<bool>()),
            0..30,
        ),
    ) {
        let agreed = full();
        let mut cursor = BitmapCursor::new(bits);
        let mut back = Bits(vec![false; bits as usize]);
        for (plain, encoding, bytes, right_size) in packets {
            let before = cursor.position();
            let result = if plain {
                let right = cursor.plain_size(&agreed) as usize;
                let size = if right_size { right } else { bytes.len() };
                cursor.take_plain(&vec![encoding; size], &agreed, &mut back)
            } else {
                let (first, pad) = (encoding & 1 != 0, encoding & 7);
                let code = CompressedBitmap { first, pad, code: &bytes };
                cursor.take_compressed(&code, &mut back)
            };
            prop_assert!(cursor.position() >= before && cursor.position() <= bits);
            if result.is_err() {
                break;
            }
        }
    }
}
