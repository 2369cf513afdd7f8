// SPDX-License-Identifier: GPL-2.0
//! Dumps that parse and dumps that do not, with the messages of stock drbdmeta.

use super::*;

const GOOD: &str = "version \"v08\"; # a comment
uuid {
    0x0000000000000004; 0x00000000000000ab; 0x00000000000000AB; 0x8000000000000000;
    flags 0x00000091;
}
la-size-sect 130992;
bm-byte-per-bit 4096;
device-uuid 0x0123456789ABCDEF;
la-peer-max-bio-size 1048576;
al-stripes 1;
al-stripe-size-4k 8;
bm { 0x0000000000000001; 12 times 0xFFFFFFFFFFFFFFFF; }
# bits-set 5;
";

#[test]
fn a_whole_dump() {
    let expected = Dump {
        uuids: [4, 0xab, 0xab, 1 << 63],
        flags: MdFlags::from_bits(0x91),
        la_size_sect: 130_992,
        bm_bytes_per_bit: 4096,
        device_uuid: 0x0123_4567_89ab_cdef,
        la_peer_max_bio_size: 1 << 20,
        al_stripes: 1,
        al_stripe_size_4k: 8,
        bitmap: vec![(1, 1), (12, u64::MAX)],
    };
    assert_eq!(parse(GOOD.as_bytes()), Ok(expected.clone()));
    let dense = GOOD
        .replace('\n', " ")
        .replace("# a comment", "")
        .replace("# bits-set 5;", "");
    assert_eq!(parse(dense.as_bytes()), Ok(expected));
}

#[test]
fn messages() {
    let not_number = "Parse error in line 12: a 16-digit hex number expected, not some number";
    for (from, to, message) in [
        ("}\n# bits", "} x\n# bits", "line 12: unknown token: x ...\nParse error in line 12: end of file expected"),
        (" }\n# bits-set 5;\n", "", "Parse error in line 12: repeat count, 16-digit hex number, or closing brace (}) expected, but end of file encountered"),
        ("times 0xFFFFFFFFFFFFFFFF", "times 0xFFFFFFFF", not_number),
        ("12 times", "12", "Parse error in line 12: keyword 'times' expected, not some number"),
        ("01; 12", "01 12", "Parse error in line 12: semicolon (;) expected, not some number"),
        ("FF; }", "FF }", "Parse error in line 12: semicolon (;) expected, not '}'"),
        ("\"v08\"", "\"v09\"", "dump is 'v09' you requested 'v08'."),
        ("\"v08\"", "v08", "line 1: unknown token: v08 ...\nParse error in line 1: short quoted string (\"..up to 20 characters, no newline..\") expected"),
        ("version", "", "Parse error in line 1: keyword 'version' expected, not 'v08'"),
        ("0x0000000000000004", "0x4", "line 3: invalid hex number (only 8 or 16 hex digits accepted): 0x4 ...\nParse error in line 3: a 16-digit hex number expected"),
        ("0x0000000000000004", "4", "Parse error in line 3: a 16-digit hex number expected, not some number"),
        ("0x0000000000000004", "%", "Parse error in line 3: a 16-digit hex number expected; got invalid input character '\\x25' [%]"),
        ("flags 0x00000091", "flags 0", "Parse error in line 4: an 8-digit hex number expected, not some number"),
        ("sect 130992", "sect 99999999999999999999", "line 6: number too big: 99999999999999999999 ...\nParse error in line 6: number ([0-9], up to 20 digits) expected"),
        ("bit 4096", "bit 4095", "Invalid value for bm-byte-per-bit: value must be a power-of-two multiple of 4096"),
        ("bit 4096", "bit 0", "Invalid value for bm-byte-per-bit: value must be a power-of-two multiple of 4096"),
        ("device-uuid 0x0123456789ABCDEF;\n", "", "Parse error in line 8: keyword 'device-uuid' expected, not 'la-peer-max-bio-size'"),
        ("al-stripes 1", "al-stripes 4294967296", "Parse error in line 10: al-stripes is too large"),
        ("12 times", "-12 times", "line 12: unknown token: -12 ...\nParse error in line 12: repeat count, 16-digit hex number, or closing brace (}) expected"),
        ("version", "This_is_an_unclean_meta_data_dump.", "line 1: unknown token: This_is_an_unclean_m ...\nParse error in line 1: keyword 'version' expected"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from} is not in the text");
        assert_eq!(parse(text.as_bytes()), Err(message.to_owned()), "{to}");
    }
    let empty = "Parse error in line 1: keyword 'version' expected, but end of file encountered";
    assert_eq!(parse(b""), Err(empty.to_owned()));
}

#[test]
fn strings_have_their_limits() {
    for (text, good) in [
        ("\"12345678901234567890\"", true),
        ("\"123456789012345678901\"", false),
        ("\"\"", false),
        ("\"a\nb\"", false),
        ("\"", false),
    ] {
        let mut parser = Parser::new(text.as_bytes());
        assert_eq!(parser.string().is_ok(), good, "{text}");
    }
}

#[test]
fn cut_and_damaged_dumps_never_panic() {
    for end in 0..GOOD.len() - "}\n# bits-set 5;\n".len() {
        assert!(parse(&GOOD.as_bytes()[..end]).is_err(), "{end}");
    }
    for at in 0..GOOD.len() {
        for byte in [0, b'"', b'-', b'0', b'}', 0xff] {
            let mut text = GOOD.as_bytes().to_vec();
            text[at] = byte;
            // Some changes are harmless; none may crash.
            let _ = parse(&text);
        }
    }
}
