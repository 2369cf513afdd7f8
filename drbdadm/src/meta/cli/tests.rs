// SPDX-License-Identifier: GPL-2.0
//! Command lines, good and bad.

use super::*;

fn parse(line: &str) -> Result<Invocation> {
    Invocation::parse(line.split_whitespace().map(OsString::from))
}

#[test]
fn options_may_stand_anywhere() {
    for line in [
        "-f 30 v08 /dev/x internal create-md -s 2 --al-stripe-size-kB=64",
        "30 --force v08 /dev/x --al-stripes 2 internal create-md -z64",
        "30 v08 /dev/x internal create-md --al-stripe-size 64 -fs2",
    ] {
        let invocation = parse(line).unwrap();
        assert!(invocation.options.force, "{line}");
        assert_eq!(
            invocation.options.al_stripes.as_deref(),
            Some("2"),
            "{line}"
        );
        assert_eq!(
            invocation.options.al_stripe_size_kb.as_deref(),
            Some("64"),
            "{line}"
        );
        assert_eq!(
            (invocation.minor, invocation.verb),
            (Some(30), Verb::CreateMd),
            "{line}"
        );
        assert_eq!(invocation.index, MdIndex::FlexInternal);
    }
}

#[test]
fn devices_and_indexes() {
    for (device, minor) in [
        ("0", Some(0)),
        ("/dev/drbd7", Some(7)),
        ("-", None),
        ("x", None),
        ("1048576", None),
        ("/dev/null", None),
    ] {
        let line = format!("{device} v08 /dev/x flex-external get-gi");
        assert_eq!(parse(&line).unwrap().minor, minor, "{device}");
    }
    let index = |word| parse(&format!("- v08 /dev/x {word} get-gi")).map(|i| i.index);
    assert_eq!(index("255").unwrap(), MdIndex::Fixed(255));
    assert_eq!(index("flex-external").unwrap(), MdIndex::FlexExternal);
    for word in ["256", "flexible", "0x1", "nonsense"] {
        let error = index(word).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("'{word}' is not a valid index number.")
        );
        assert_eq!(error.exit_code(), 20);
    }
}

#[test]
fn lines_without_sense() {
    for (line, text) in [
        ("", ""),
        ("30", ""),
        ("30 v08", ""),
        ("--help", ""),
        ("30 v08 /dev/x internal dump-md --version", ""),
        (
            "--bogus 30 v08 /dev/x internal dump-md",
            "drbdmeta: unrecognized option '--bogus'",
        ),
        (
            "30 v08 /dev/x -1 dump-md",
            "drbdmeta: invalid option -- '1'",
        ),
        (
            "30 v08 /dev/x internal create-md -D",
            "drbdmeta: invalid option -- 'D'",
        ),
        ("30 v05 /dev/x internal dump-md", "Unknown format 'v05'."),
        ("- v08 /dev/x", "Too few arguments for format"),
        ("- v08 /dev/x internal", "command missing"),
        ("- v08 /dev/x internal bogus", "Unknown command 'bogus'."),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (text, 20),
            "{line}"
        );
    }
}

#[test]
fn surplus_words_are_noticed() {
    assert!(!parse("- v08 /dev/x internal set-gi 1").unwrap().surplus);
    assert!(parse("- v08 /dev/x internal get-gi 1").unwrap().surplus);
    assert_eq!(
        parse("- v08 /dev/x internal set-gi 1")
            .unwrap()
            .argument()
            .unwrap(),
        "1"
    );
    let error = parse("- v08 /dev/x internal set-gi")
        .unwrap()
        .argument()
        .unwrap_err()
        .to_string();
    assert_eq!(error, "Required Argument missing");
}

#[test]
fn sizes() {
    for (text, unit, value) in [
        ("33", Unit::Kib, 33),
        ("64k", Unit::Kib, 64),
        ("1M", Unit::Kib, 1024),
        ("1M", Unit::One, 1 << 20),
        ("8", Unit::Sector, 8),
        ("4k", Unit::Sector, 8),
        ("1g", Unit::Sector, 2 << 20),
        ("7s", Unit::Sector, 7),
    ] {
        assert_eq!(parse_size(text, unit).unwrap(), value, "{text}");
    }
    for text in ["", "x", "xx", "1kk", "1t", "-1", "1 k", "k"] {
        assert_eq!(
            parse_size(text, Unit::One).unwrap_err().exit_code(),
            20,
            "{text}"
        );
    }
    assert!(parse_size("99999999999999999999", Unit::One).is_err());
    assert!(parse_size("18446744073709551615k", Unit::One).is_err());
}
