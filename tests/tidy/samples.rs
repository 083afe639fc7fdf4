//! The rules find what they are for, and leave alone what is right.

use crate::source::Source;
use crate::{
    features_out_of_place, foreign_modules, incomplete_ops, libc_out_of_place, refused_words,
    too_large, unreached_files, unsafe_out_of_place,
};

/// The lines of the findings of `rule` in a file that holds `text`.
fn finds(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> Vec<u32> {
    let findings = rule(&Source::new(path, text));
    findings.iter().filter_map(|finding| finding.split(':').nth(1)?.parse().ok()).collect()
}

#[test]
fn foreign_modules_are_found() {
    let layers = |path: &str, text: &str| finds(foreign_modules, path, text);
    assert_eq!(layers("ring/slot.rs", "use crate::buf::X;\nuse crate::op::Y;"), [2]);
    assert_eq!(layers("ring/slot.rs", "use crate::{\n wake::W,\n task::{self, net},\n};"), [3]);
    assert_eq!(layers("ring/slot.rs", "fn f() -> crate::net::T {}\nuse super::super::fs;"), [1, 2]);
    assert_eq!(layers("ring/mod.rs", "use super::op::X;\nuse crate::ring::slot::super_;"), [1]);
    assert_eq!(layers("ring/kernel/real.rs", "use crate::blocking::P;\nuse crate::task;"), [2]);
    assert_eq!(layers("net/tcp.rs", "use crate::Submission;\ncrate::println!();"), [1]);
    assert_eq!(layers("misc.rs", ""), [1]);
    assert_eq!(layers("buf/mod.rs", "// crate::op\n#[cfg(test)]\nmod t { use crate::op; }"), []);
    assert_eq!(
        layers("buf/mod.rs", "let a = ('\"', \"crate::op\", r#\"\" crate::op\"#, '\\'');"),
        []
    );
}

#[test]
fn unsafe_code_out_of_place_is_found() {
    let unsafety = |path: &str, text: &str| finds(unsafe_out_of_place, path, text);
    let good = "//! x\n//! # Safety\n#![allow(unsafe_code)]\nunsafe {}";
    assert_eq!(unsafety("op/read.rs", good), []);
    assert_eq!(unsafety("net/tcp.rs", good), [4]);
    assert_eq!(unsafety("op/link.rs", "//! x\n#![allow(unsafe_code)]\nunsafe {}"), [2]);
    assert_eq!(unsafety("op/read.rs", "//! x\n#![allow(unsafe_code)]\nunsafe impl Op {}"), []);
    assert_eq!(unsafety("op/read.rs", "#[allow(unsafe_code)]\nunsafe {}"), [1]);
    assert_eq!(unsafety("op/read.rs", "//! # Safety\n#![allow(unsafe_code)]\n"), [2]);
}

#[test]
fn libc_calls_are_found() {
    let libc = |path: &str, text: &str| finds(libc_out_of_place, path, text);
    assert_eq!(libc("net/tcp.rs", "libc::iovec {};\nlibc::send(1);\nlibc::WIFEXITED(1)"), [2]);
    assert_eq!(libc("net/tcp.rs", "use libc::send;"), [1]);
    assert_eq!(libc("ring/kernel/uring.rs", "libc::send(1)"), []);
    assert_eq!(libc("runtime/park.rs", "libc::sched_yield()"), []);
}

#[test]
fn features_in_code_are_found() {
    let features = |text: &str| finds(features_out_of_place, "lib.rs", text);
    assert_eq!(features("#[cfg(feature = \"a\")]\n#[doc(hidden)]\npub(crate) mod a;"), []);
    assert_eq!(features("#[cfg(feature = \"a\")]\npub use a::B;\n#[cfg(loom)]\nfn f() {}"), []);
    assert_eq!(features("#[cfg(all(unix, feature = \"a\"))]\nfn f() {}"), [1]);
    assert_eq!(features("#[cfg(feature = \"a\")] use a::B;\nif cfg!(feature = \"a\") {}"), [1, 2]);
    assert_eq!(features("#![cfg_attr(docsrs, feature(doc_cfg))]"), []);
}

#[test]
fn what_is_too_large_is_found() {
    let sizes = |text: &str| finds(too_large, "lib.rs", text);
    assert_eq!(sizes(&"\n".repeat(601)), [1]);
    assert_eq!(sizes(&format!("\n// {}", "x".repeat(98))), [2]);
    assert_eq!(sizes(&format!("\nfn f(a: [u8; 2]) {{{}}}\nfn g();", "\n".repeat(90))), [2]);
}

#[test]
fn refused_words_are_found() {
    let words = |path: &str, text: &str| finds(refused_words, path, text);
    assert_eq!(words("lib.rs", "\t\n// FIXME: x\ntodo!()\n// \u{e9}\nmacro_rules! m {}").len(), 5);
    assert_eq!(words("macros.rs", "macro_rules! m {}\n// todo!()"), []);
}

#[test]
fn lost_files_and_incomplete_ops_are_found() {
    let tree = [
        Source::new("lib.rs", "mod op;"),
        Source::new("op/mod.rs", "mod table;\nmod send_zc;\nmod read;"),
        Source::new("op/table.rs", "const OPCODES: X = &[\n row(1, \"send_zc\"),\n];\n\"read\""),
        Source::new("op/send_zc.rs", "#[cfg(test)]\n#[path = \"send_zc_tests.rs\"]\nmod tests;"),
        Source::new("op/send_zc_tests.rs", ""),
        Source::new("op/read.rs", ""),
        Source::new("op/lost.rs", ""),
    ];
    assert_eq!(unreached_files(&tree), ["src/op/lost.rs:1: no `mod` line reaches this file"]);
    assert_eq!(incomplete_ops(&tree, |_| true).len(), 2);
    assert_eq!(incomplete_ops(&tree, |test| test.ends_with("/send_zc.rs")).len(), 4);
}
