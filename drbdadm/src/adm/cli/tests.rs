// SPDX-License-Identifier: GPL-2.0
//! Command lines as 8.4's scripts write them.

use super::{definition, parse, Asked, Request};

fn run(line: &str) -> Request {
    match parse(line.split_whitespace().map(Into::into)) {
        Asked::Run(request) => *request,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    match parse(line.split_whitespace().map(Into::into)) {
        Asked::Refuse(text) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn definition_holds() {
    definition().debug_assert();
}

#[test]
fn options_mix_with_words() {
    let request = run("-c /etc/x.conf up -d r0 -vv r1 --peer bob");
    assert_eq!(request.command.name, "up");
    assert_eq!(request.names, ["r0", "r1"]);
    assert_eq!(request.options.config.as_deref(), Some("/etc/x.conf"));
    assert_eq!((request.options.dry_run, request.options.verbose), (1, 2));
    assert_eq!(request.options.peer.as_deref(), Some("bob"));
}

#[test]
fn options_of_the_back_end_keep_their_order() {
    let request = run("attach --size=3 -W--foo r0 --md-flushes --al-extents 257 -W --bar=1");
    let expected = [
        "--size=3",
        "--foo",
        "--md-flushes",
        "--al-extents=257",
        "--bar=1",
    ];
    assert_eq!(request.passed, expected);
    assert_eq!(run("primary --force r0").passed, ["--force"]);
    assert_eq!(run("primary --force=yes r0").passed, ["--force=yes"]);
}

#[test]
fn words_in_front_are_passed_on() {
    let request = run("-- --overwrite-data-of-peer primary r0");
    assert_eq!(request.passed, ["--overwrite-data-of-peer"]);
    assert_eq!(request.names, ["r0"]);
    let request = run("-d -- --baz x attach r0 -v");
    assert_eq!(request.passed, ["--baz", "x"]);
    assert_eq!(request.names, ["r0", "-v"]);
    assert_eq!(run("foo attach r0").passed, ["foo"]);
}

#[test]
fn what_is_refused() {
    assert!(
        refused("uup r0").contains("did you mean `up`"),
        "{}",
        refused("uup r0")
    );
    assert!(refused("syncer r0").contains("Unknown command 'syncer'"));
    assert!(refused("up --force r0").contains("--force"));
    assert!(refused("attach r0 --c-plan-ahead").contains("--c-plan-ahead"));
    assert!(refused("").contains("No command specified"));
}

#[test]
fn older_names() {
    assert_eq!(run("state r0").command.name, "role");
    assert_eq!(run("outdate-peer r0").command.name, "fence-peer");
}

#[test]
fn help_has_the_block_that_completion_reads() {
    let Asked::Print(text) = parse(["help", "primary"].map(Into::into).into_iter()) else {
        panic!("no help");
    };
    let block = text
        .split("OPTIONS FOR primary:")
        .nth(1)
        .unwrap_or_default();
    assert!(
        block
            .split("\n\n")
            .next()
            .is_some_and(|b| b.contains("--force")),
        "{text}"
    );
}
