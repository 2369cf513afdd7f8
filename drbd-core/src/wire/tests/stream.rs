// SPDX-License-Identifier: GPL-2.0
//! Finding packets in a stream that comes in pieces.

use proptest::prelude::*;

use super::vectors::vectors;
use super::*;
use crate::vli::tests::cases;

/// Reads a stream as a receiver does: a buffer that is filled piece by piece and drained from the
/// front. Returns the commands seen and the bulk bytes skipped.
fn receive(stream: &[u8], pieces: &[usize], context: &Context) -> (Vec<Command>, u64) {
    let mut pieces = pieces.iter().cycle();
    let mut buffer: Vec<u8> = Vec::new();
    let mut rest = stream;
    let mut skip = 0_usize;
    let mut bulk = 0;
    let mut seen = Vec::new();
    loop {
        let dropped = skip.min(buffer.len());
        buffer.drain(..dropped);
        skip -= dropped;
        if skip == 0 {
            match next_frame(&buffer, context).unwrap() {
                Framing::Packet(frame) => {
                    seen.push(frame.header.command);
                    Packet::decode(&frame, context).unwrap();
                    bulk += u64::from(frame.bulk);
                    skip = frame.consumed + frame.bulk as usize;
                    continue;
                }
                Framing::NeedMore { total } => {
                    assert!(total > buffer.len() && total <= frame::WINDOW_SIZE_MIN);
                }
            }
        }
        if rest.is_empty() {
            assert!(buffer.is_empty() && skip == 0);
            return (seen, bulk);
        }
        let piece = (*pieces.next().unwrap()).min(rest.len());
        buffer.extend(&rest[..piece]);
        rest = &rest[piece..];
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn packets_come_in_pieces(
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
        pieces in prop::collection::vec(1..6000_usize, 1..10),
    ) {
        let context = context(Socket::Data, full());
        let known: Vec<_> = vectors()
            .into_iter()
            .filter(|v| v.context() == context)
            .collect();
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        let mut bulk = 0;
        for index in order {
            let v = index.get(&known);
            stream.extend(&v.bytes);
            stream.resize(stream.len() + v.bulk as usize, 0x86);
            expected.push(v.packet.command(&v.agreed));
            bulk += u64::from(v.bulk);
        }
        prop_assert_eq!(receive(&stream, &pieces, &context), (expected, bulk));
    }
}

#[test]
fn the_longest_control_part_fits_the_window() {
    for version in [86, 95, 101] {
        let there = context(Socket::Data, agreed(version, 0));
        let format = there.header_format();
        let mut head = [0; 16];
        let length = 4096 - u32::try_from(format.size()).unwrap();
        let header = Header {
            command: Command::Bitmap,
            length,
            volume: 0,
        };
        let size = format.emit(&header, &mut head).unwrap();
        assert_eq!(
            next_frame(&head[..size], &there),
            Ok(Framing::NeedMore { total: 4096 })
        );
    }
}

#[test]
fn a_bad_header_is_refused_before_the_rest_has_come() {
    let there = context(Socket::Data, full());
    let bytes = hex("86 20 ec 20 00 00 00 0e 00 00 00 05 00 00 00 00");
    let bad = WireError::BadLength {
        command: Command::State,
        length: 5,
    };
    assert_eq!(next_frame(&bytes, &there), Err(bad));
}
