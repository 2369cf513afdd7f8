// SPDX-License-Identifier: GPL-2.0
//! Each rule on a snippet that keeps it and one that breaks it.

use super::{check, SourceFile};

const TOP: &str = "// SPDX-License-Identifier: GPL-2.0\n//! Purpose.\n";

/// The rules that one file with this text breaks, in order of line.
fn broken(path: &str, text: &str) -> Vec<(&'static str, usize)> {
    let file = SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let mut found: Vec<_> = check(&[file]).iter().map(|f| (f.rule, f.line)).collect();
    found.sort_by_key(|&(rule, line)| (line, rule));
    found
}

/// The same for a Rust file that begins as it should and that a build finds by itself.
fn broken_rust(path: &str, body: &str) -> Vec<(&'static str, usize)> {
    broken(path, &format!("{TOP}{body}"))
}

#[test]
fn a_good_file_of_each_kind_passes() {
    assert_eq!(broken_rust("drbd-core/src/lib.rs", "pub fn f() {}\n"), []);
    assert_eq!(
        broken(
            "kernel/sys/a.c",
            "// SPDX-License-Identifier: GPL-2.0\nint a;\n"
        ),
        []
    );
    assert_eq!(
        broken("kernel/sys/a.h", "/* SPDX-License-Identifier: GPL-2.0 */\n"),
        []
    );
    assert_eq!(
        broken(
            "scripts/a",
            "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n"
        ),
        []
    );
    assert_eq!(
        broken("Makefile", "# SPDX-License-Identifier: GPL-2.0\n"),
        []
    );
    assert_eq!(broken("README.md", "# A title\n"), []);
}

#[test]
fn a_source_file_without_its_license_is_found() {
    assert_eq!(broken("x/src/main.rs", "//! Purpose.\n"), [("spdx", 1)]);
    assert_eq!(broken("Kbuild", "obj-m := a.o\n"), [("spdx", 1)]);
    assert_eq!(broken("scripts/a", "#!/bin/sh\ntrue\n"), [("spdx", 1)]);
}

#[test]
fn a_file_without_a_purpose_is_found() {
    let text = "// SPDX-License-Identifier: GPL-2.0\n// Just a comment.\nfn main() {}\n";
    assert_eq!(broken("x/src/main.rs", text), [("module-doc", 2)]);
    let late = "// SPDX-License-Identifier: GPL-2.0\nmod a {\n//! Inner.\n}\n";
    assert_eq!(broken("x/src/main.rs", late), [("module-doc", 2)]);
}

#[test]
fn unsafe_has_its_place() {
    let body = "fn f() { unsafe { g() } }\n";
    assert_eq!(broken_rust("drbd-core/src/lib.rs", body), [("unsafe", 3)]);
    assert_eq!(broken_rust("kernel/drbd_main.rs", body), [("unsafe", 3)]);
    assert_eq!(broken_rust("tests/src/lib.rs", body), [("unsafe", 3)]);
    assert_eq!(broken_rust("kernel/sys/lib.rs", body), []);
    // Words that are not the keyword, and text that is not code.
    let words = "#![forbid(unsafe_code)]\n// unsafe\nconst A: &str = \"unsafe\";\n";
    assert_eq!(broken_rust("drbd-core/src/lib.rs", words), []);
}

#[test]
fn unsafe_in_a_test_is_found_too() {
    let body = "#[cfg(test)]\nmod tests {\n    fn f() { unsafe { g() } }\n}\n";
    assert_eq!(broken_rust("drbd-core/src/lib.rs", body), [("unsafe", 5)]);
}

#[test]
fn bindings_stay_in_sys() {
    let body = "use kernel::bindings;\n";
    assert_eq!(broken_rust("kernel/drbd_main.rs", body), [("bindings", 3)]);
    assert_eq!(broken_rust("kernel/sys/lib.rs", body), []);
    assert_eq!(broken_rust("drbdadm/src/main.rs", body), []);
}

#[test]
fn panicking_code_is_found_where_it_would_stop_a_machine() {
    for body in [
        "fn f() { a.unwrap(); }\n",
        "fn f() { a.expect(\"b\") }\n",
        "fn f() { todo!() }\n",
    ] {
        assert_eq!(
            broken_rust("drbd-core/src/lib.rs", body),
            [("panic", 3)],
            "{body}"
        );
        assert_eq!(
            broken_rust("kernel/sys/lib.rs", body),
            [("panic", 3)],
            "{body}"
        );
        assert_eq!(broken_rust("drbdadm/src/main.rs", body), [], "{body}");
    }
}

#[test]
fn what_only_looks_like_a_panic_passes() {
    let body = "fn f() { a.unwrap_or(b); expect(c); self.expected(); panic::g(); x.expect }\n\
                // .unwrap()\nconst A: &str = \"panic!()\";\n";
    assert_eq!(broken_rust("drbd-core/src/lib.rs", body), []);
}

#[test]
fn test_code_may_unwrap_and_what_follows_may_not() {
    let body = "#[cfg(test)]\nmod tests {\n    fn f() { a.unwrap(); }\n}\n\
                #[test]\nfn g() { panic!(\"x\") }\nfn h() { b.unwrap(); }\n";
    assert_eq!(broken_rust("drbd-core/src/lib.rs", body), [("panic", 9)]);
    let declared = "#[cfg(test)]\nmod tests;\nfn h() { b.unwrap(); }\n";
    assert_eq!(
        broken_rust("drbd-core/src/lib.rs", declared),
        [("panic", 5)]
    );
    let not_a_test = "#[cfg(not(test))]\nfn h() { b.unwrap(); }\n";
    assert_eq!(
        broken_rust("drbd-core/src/lib.rs", not_a_test),
        [("panic", 4)]
    );
}

#[test]
fn lengths_are_limited() {
    let wide = format!("// {}\n", "x".repeat(98));
    assert_eq!(broken_rust("x/src/lib.rs", &wide), [("line-length", 3)]);
    let fitting = format!("// {}\n", "é".repeat(97));
    assert_eq!(broken_rust("x/src/lib.rs", &fitting), []);
    let long = "//\n".repeat(799);
    assert_eq!(broken_rust("x/src/lib.rs", &long), [("file-length", 801)]);
    assert_eq!(broken_rust("x/src/lib.rs", &"//\n".repeat(798)), []);
}

#[test]
fn white_space_is_clean() {
    assert_eq!(
        broken_rust("x/src/lib.rs", "fn f() {} \n"),
        [("whitespace", 3)]
    );
    assert_eq!(
        broken_rust("x/src/lib.rs", "fn f() {}"),
        [("whitespace", 3)]
    );
}

#[test]
fn folders_of_a_machine_and_mirrors_are_found_in_any_file() {
    let path = concat!("see /wo", "rk/notes\n");
    assert_eq!(broken("README.md", path), [("machine-path", 1)]);
    assert_eq!(
        broken("README.md", concat!("net/wo", "rk/ or $HOME/ro", "ot/\n")),
        []
    );
    assert_eq!(
        broken("docs/a.md", concat!("see ../sha", "red/x\n")),
        [("machine-path", 1)]
    );
    assert_eq!(
        broken("scripts/x.list", concat!("deb http:", "//deb.x.org/d\n")),
        [("mirror", 1)]
    );
    assert_eq!(broken("README.md", "https://www.debian.org/\n"), []);
}

#[test]
fn unfinished_work_is_found() {
    assert_eq!(
        broken("docs/a.md", concat!("TO", "DO later\n")),
        [("unfinished", 1)]
    );
    assert_eq!(broken("docs/a.md", concat!("TO", "DOS later\n")), []);
}

#[test]
fn ignored_tests_are_found() {
    let body = "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n";
    assert_eq!(broken_rust("x/src/lib.rs", body), [("ignored-test", 4)]);
    assert_eq!(
        broken_rust("x/src/lib.rs", "#[ignore]\n#[test]\nfn f() {}\n"),
        [("ignored-test", 3)]
    );
}

#[test]
fn a_file_that_nothing_declares_is_dead() {
    let file = |path: &str, body: &str| SourceFile {
        path: path.to_owned(),
        text: format!("{TOP}{body}"),
    };
    let files = [
        file("x/src/lib.rs", "mod a;\nmod inline { mod no; }\n"),
        file("x/src/a.rs", "#[cfg(test)]\nmod tests;\n"),
        file("x/src/a/tests.rs", ""),
        file("x/src/a/dead.rs", ""),
        file("x/src/bin/tool.rs", ""),
        file("x/tests/behaviour.rs", ""),
        file("x/src/other.rs", ""),
    ];
    let found: Vec<_> = check(&files)
        .into_iter()
        .map(|f| (f.rule, f.path))
        .collect();
    let dead = |path: &str| ("dead-file", path.to_owned());
    assert_eq!(found, [dead("x/src/a/dead.rs"), dead("x/src/other.rs")]);
}

#[test]
fn a_file_named_mod_is_found() {
    let found = broken_rust("x/src/a/mod.rs", "");
    assert!(found.contains(&("mod-rs", 1)), "{found:?}");
}
