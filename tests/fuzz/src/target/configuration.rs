// SPDX-License-Identifier: GPL-2.0
//! A configuration file: parsed, bound, expanded, checked, printed.

use std::path::Path;

use drbd_conf::bind::{Env, Node};
use drbd_conf::check::judge;
use drbd_conf::diag::Severity;
use drbd_conf::parse::Parser;
use drbd_conf::source::Memory;
use drbd_conf::tree::Family;
use drbd_conf::{print, xml};

use super::{Outcome, Target};

pub(crate) const TARGET: Target = Target {
    name: "configuration",
    run,
    seeds,
    words: &[
        "resource r0 { ",
        "} ",
        "{ ",
        "; ",
        "\"",
        "# ",
        "on alice { ",
        "on bob { ",
        "floating 10.0.0.1:7000 { ",
        "stacked-on-top-of r0 { ",
        "address 10.0.0.1:7000; ",
        "address ipv6 [::1]:7000; ",
        "device minor 1; ",
        "device /dev/drbd2; ",
        "disk /dev/a; ",
        "meta-disk internal; ",
        "meta-disk /dev/m [0]; ",
        "volume 0 { ",
        "net { ",
        "disk { ",
        "options { ",
        "startup { ",
        "handlers { ",
        "proxy { ",
        "syncer { ",
        "common { ",
        "global { ",
        "skip ",
        "include t.conf; ",
        "resync-after r0; ",
        "after-sb-0pri discard-node-alice; ",
        "protocol C; ",
        "resync-rate 10M; ",
        "allow-two-primaries; ",
        "become-primary-on both; ",
        "18446744073709551615K",
        "::ffff:1.2.3.4",
    ],
};

struct Alice;

impl Node for Alice {
    fn name(&self) -> &str {
        "alice"
    }

    fn has_address(&self, _: Family, address: &str) -> bool {
        address.ends_with(".1")
    }
}

fn run(bytes: &[u8]) -> u64 {
    let mut outcome = Outcome::default();
    let source = Memory::new("/etc/t.conf", bytes);
    let mut parser = Parser::new(&source, &|_| None);
    parser
        .file("t.conf", Path::new("/etc/t.conf"))
        .expect("the file is in memory");
    let mut parsed = parser.finish("/etc/t.conf");
    let env = Env {
        node: &Alice,
        peer: None,
        by_proxy: false,
        interactive: false,
    };
    judge(&mut parsed, &env);
    let errors = parsed
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error);
    assert_eq!(errors.count() > 0, parsed.exit_code() != 0);
    for found in &parsed.diagnostics {
        let span = found.span.expect("a finding has a place");
        let file = parsed.sources.get(span.file).expect("its file");
        assert!(span.start <= span.end && span.end <= file.text.len());
    }
    // The first words of the first two findings: there are too many combinations of all.
    for found in parsed.diagnostics.iter().take(2) {
        let mut words = found
            .message
            .split(['`', ' '])
            .filter(|word| word.len() > 2);
        for _ in 0..2 {
            outcome.kind(&words.next());
        }
    }
    let config = &parsed.config;
    outcome.number(config.resources.len().min(2) as u64);
    for host in config
        .resources
        .iter()
        .flat_map(|resource| &resource.hosts)
        .take(3)
    {
        outcome.number(host.volumes.len().min(2) as u64);
    }
    let context = print::Context {
        node: "alice",
        sources: &parsed.sources,
        verbose: true,
    };
    let room = (bytes.len() + 1000) * 400;
    assert!(print::config(config, &context).len() < room);
    assert!(xml::config(config, &context).len() < room);
    outcome.done()
}

fn seeds() -> Vec<Vec<u8>> {
    let host = |name: &str, last: u8| {
        format!(
            "on {name} {{ device minor 1; disk /dev/a; meta-disk internal; \
             address 10.0.0.{last}:7000; }}\n"
        )
    };
    let resource = format!("resource r0 {{ {}{} }}\n", host("alice", 1), host("bob", 2));
    let mut seeds = vec![Vec::new(), resource.clone().into_bytes()];
    for word in TARGET.words {
        seeds.push(format!("{word}\n{resource}").into_bytes());
        seeds.push(
            resource
                .replace("on bob", &format!("{word} on bob"))
                .into_bytes(),
        );
        seeds.push(
            resource
                .replace("disk /dev/a;", &format!("{word} disk /dev/a;"))
                .into_bytes(),
        );
    }
    seeds
}
