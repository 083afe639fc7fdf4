//! The rules of ARCHITECTURE.md that the compiler does not hold.
//!
//! Each rule is a test; what it finds it prints as `file:line: what`, and why the rule is there.
//! `tidy/samples.rs` shows for each rule that it does find something.

#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::ops::Range;

use source::{Source, closing, is_word, root, sources, word_at, words_in};

/// A module, what it may use, and why. From the bottom up: a row may name rows above it only. A new
/// arrow is a new design: its reason goes here.
const LAYERS: [(&str, &[&str], &str); 22] = [
    ("buf", &[], "memory knows nobody"),
    ("wake", &[], "the one thing that tasks, timers and slots have in common"),
    ("task", &["wake"], "tasks are woken; who wakes them is not known"),
    ("time", &["wake"], "timers wake; the clock is handed down by the runtime"),
    ("scope", &["task", "time", "wake"], "children are tasks, a deadline ends them"),
    ("blocking", &["wake"], "a finished job wakes who waits for it"),
    ("ring/kernel", &["buf", "wake", "blocking"], "an emulated kernel needs threads"),
    ("ring", &["buf", "wake"], "slots wake; buffer rings hold buffers; ops are not known"),
    ("op", &["ring", "buf", "time"], "an op is an entry, a buffer and maybe a deadline (`Timed`)"),
    ("uring", &["op", "ring", "buf"], "the low-level face of ring and ops"),
    ("io", &["op", "buf", "wake"], "the op belongs to the object; its waiters stand in a line"),
    ("pipe", &["op", "io", "buf"], "two descriptors"),
    (
        "net",
        &["op", "io", "buf", "time", "blocking", "pipe"],
        "names are resolved on the blocking pool; pipes by the name that tokio gives them",
    ),
    ("fs", &["op", "io", "buf", "blocking"], "directories are listed on the blocking pool"),
    ("signal", &["op", "io", "buf"], "an eventfd that is read"),
    ("process", &["op", "pipe", "signal"], "a pidfd that is polled, or `SIGCHLD`; and pipes"),
    ("macros", &["uring"], "println! and eprintln! print through it"),
    ("runtime", &["ring", "task", "time", "blocking", "wake"], "the loop; never an op, net or fs"),
    ("compat", &["io", "net", "fs", "buf", "time", "task"], "other people's traits on our types"),
    (
        "server",
        &["runtime", "task", "net", "io", "op", "signal", "time", "wake", "compat"],
        "all in one; accepts by ops, for what it takes may be another core's",
    ),
    ("fiber", &["task", "op", "net", "fs", "blocking"], "parks on ops; never on the ring"),
    ("lib", &["*"], "the map"),
];

/// These are built on safe parts only.
const WITHOUT_UNSAFE: [&str; 9] =
    ["net", "fs", "io", "time", "scope", "server", "compat", "pipe", "signal"];

/// Calls of libc outside of `ring/kernel/` that are no I/O.
const LIBC_CALLS: [(&str, &str, &str); 2] = [
    ("runtime/park.rs", "sched_yield", "between two looks while a core spins"),
    ("runtime/builder.rs", "prctl", "the timer slack of the core's thread"),
];

/// Files of `op/` that are no ops: no row in the opcode table, no test of their own name.
const OP_HELPERS: [&str; 18] = [
    "buf_group",
    "detach",
    "keep",
    "now",
    "now_message",
    "path",
    "mod",
    "table",
    "id",
    "fd",
    "result",
    "cancellation",
    "submission",
    "timed",
    "multishot",
    "link",
    "control",
    "message",
];

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 90;

#[test]
fn layers() {
    hold(
        "a module uses only what the layer table names: that keeps it free of cycles",
        |sources| sources.iter().flat_map(foreign_modules).collect(),
    );
}

#[test]
fn the_layer_table_has_no_cycle() {
    let mut below = Vec::new();
    for (layer, uses, reason) in LAYERS {
        assert!(!reason.is_empty(), "the row of `{layer}` gives no reason");
        for used in uses {
            assert!(*used == "*" || below.contains(used), "`{layer}` uses `{used}` from above");
        }
        below.push(layer);
    }
}

#[test]
fn unsafe_code() {
    hold(
        "who reads for soundness must find all unsafe code, and its promises above it",
        |sources| sources.iter().flat_map(unsafe_out_of_place).collect(),
    );
}

#[test]
fn libc_calls() {
    hold("faults, emulation and simulation fit only behind `ring::kernel`", |sources| {
        sources.iter().flat_map(libc_out_of_place).collect()
    });
}

#[test]
fn features() {
    hold("`cfg(feature)` inside code multiplies what must be tested", |sources| {
        sources.iter().flat_map(features_out_of_place).collect()
    });
}

#[test]
fn heads() {
    hold("a file says first what it is", |sources| {
        let headless = sources.iter().filter(|source| !source.text.starts_with("//! "));
        headless.map(|source| source.at(0, "no `//!` head")).collect()
    });
}

#[test]
fn sizes() {
    hold("what does not fit on a page is not read", |sources| {
        sources.iter().flat_map(too_large).collect()
    });
}

#[test]
fn words() {
    hold("unfinished work, second languages and odd characters stay out", |sources| {
        sources.iter().flat_map(refused_words).collect()
    });
}

#[test]
fn modules() {
    hold("a file that no `mod` line reaches is neither compiled nor tested", unreached_files);
}

#[test]
fn ops() {
    hold("each op has a row in the opcode table and a test module", |sources| {
        incomplete_ops(sources, |test| root().join(test).exists())
    });
}

/// Fails with all that `rule` finds in the tree, and why.
fn hold(reason: &str, rule: impl FnOnce(&[Source]) -> Vec<String>) {
    let findings = rule(&sources());
    assert!(findings.is_empty(), "\n{}\n\nwhy: {reason}\n", findings.join("\n"));
}

fn foreign_modules(source: &Source) -> Vec<String> {
    let layer = source.layer();
    let Some((_, uses, _)) = LAYERS.iter().find(|(name, ..)| *name == layer) else {
        return vec![source.at(0, format!("`{layer}` has no row in the layer table"))];
    };
    let own = source.path.split(['/', '.']).next().unwrap_or_default();
    let mut findings = Vec::new();
    for (offset, name) in names_at_the_root(source) {
        if name == own || uses.contains(&name) || uses.contains(&"*") || name == "self" {
            continue;
        }
        let what = if LAYERS.iter().any(|(known, ..)| *known == name) {
            format!("`{layer}` may not use `{name}`, only {uses:?}")
        } else {
            format!("`crate::{name}`: name it by its module, so that the layer is seen")
        };
        findings.push(source.at(offset, what));
    }
    findings
}

/// What follows `crate::`, or so many `super::` that they lead to the root. Macros do not count.
fn names_at_the_root(source: &Source) -> Vec<(usize, &str)> {
    let code = &source.shipped;
    let mut names = Vec::new();
    for offset in words_in(code, "crate") {
        if !code[..offset].ends_with('$') && code[offset..].starts_with("crate::") {
            names.extend(first_names(code, offset + "crate::".len()));
        }
    }
    for offset in words_in(code, "super") {
        if code[..offset].ends_with("::") {
            continue;
        }
        let mut end = offset;
        let mut climbed = 0;
        while code[end..].starts_with("super::") {
            (end, climbed) = (end + "super::".len(), climbed + 1);
        }
        if climbed > 0 && climbed >= source.depth() {
            names.extend(first_names(code, end));
        }
    }
    names
}

/// The name at `start`, or all first names of the group `{a::b, c}` there.
fn first_names(code: &str, start: usize) -> Vec<(usize, &str)> {
    if !code[start..].starts_with('{') {
        let name = word_at(code, start);
        let is_macro = code[start + name.len()..].starts_with('!');
        return if name.is_empty() || is_macro { Vec::new() } else { vec![(start, name)] };
    }
    let group = start + 1..closing(code, start);
    let (mut names, mut depth, mut expected) = (Vec::new(), 0, true);
    for (index, character) in code[group.clone()].char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if expected && is_word(character) => {
                let at = group.start + index;
                names.push((at, word_at(code, at)));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

fn unsafe_out_of_place(source: &Source) -> Vec<String> {
    let code = &source.code;
    let mut findings = Vec::new();
    let allowed = code.find("#![allow(unsafe_code)]");
    for offset in words_in(code, "unsafe_code") {
        if !code[..offset].ends_with("#![allow(") {
            findings
                .push(source.at(offset, "allow it for the file, after the head, or not at all"));
        }
    }
    let uses = words_in(code, "unsafe");
    if let (true, Some(first)) = (WITHOUT_UNSAFE.contains(&source.layer()), uses.first()) {
        findings.push(source.at(*first, format!("`{}` holds no unsafe code", source.layer())));
    }
    if let Some(offset) = allowed {
        let head = source.text.lines().take_while(|line| line.starts_with("//!"));
        // An op holds one `unsafe impl Op`; the promises for all of them are in op/mod.rs.
        if op_name(source).is_none() && !head.into_iter().any(|line| line == "//! # Safety") {
            findings.push(source.at(offset, "the head has no `# Safety` section"));
        }
        if uses.is_empty() {
            findings.push(source.at(offset, "allowed, but there is no unsafe code here"));
        }
    }
    findings
}

fn libc_out_of_place(source: &Source) -> Vec<String> {
    if source.layer() == "ring/kernel" {
        return Vec::new();
    }
    let code = &source.shipped;
    let mut findings = Vec::new();
    for offset in words_in(code, "libc") {
        if code[..offset].ends_with("use ") {
            findings.push(source.at(offset, "write `libc::name` in full, so that calls are seen"));
        }
        let Some(rest) = code[offset..].strip_prefix("libc::") else { continue };
        let name = word_at(rest, 0);
        let is_call = rest[name.len()..].starts_with('(') && name == name.to_lowercase();
        let excepted =
            LIBC_CALLS.iter().any(|(file, call, _)| source.path == *file && name == *call);
        if is_call && !excepted {
            findings.push(source.at(offset, format!("`libc::{name}` is called past the seam")));
        }
    }
    findings
}

fn features_out_of_place(source: &Source) -> Vec<String> {
    let code = &source.shipped;
    let mut findings = Vec::new();
    for offset in words_in(code, "cfg").into_iter().chain(words_in(code, "cfg_attr")) {
        let Some(open) = code[offset..].find('(').map(|index| offset + index) else { continue };
        let end = closing(code, open);
        if words_in(&code[open..end], "feature")
            .iter()
            .all(|at| code[open + at..].starts_with("feature("))
        {
            continue;
        }
        let is_cfg = code[..offset].ends_with("#[") && word_at(code, offset) == "cfg";
        if !is_cfg || !is_mod_or_pub_use(&code[end..]) {
            findings
                .push(source.at(offset, "`cfg(feature)` stands on `mod` and `pub use` lines only"));
        }
    }
    findings
}

/// If the item that begins behind the rest of an attribute is `mod` or `pub use`.
fn is_mod_or_pub_use(rest: &str) -> bool {
    let mut item = rest.trim_start_matches([')', ']']).trim_start();
    while item.starts_with("#[") {
        item = item[closing(item, 1)..].trim_start_matches(']').trim_start();
    }
    let public = item.strip_prefix("pub").map(str::trim_start);
    let inner = match public {
        Some(visibility) if visibility.starts_with('(') => {
            visibility[closing(visibility, 0)..].trim_start_matches(')').trim_start()
        }
        Some(inner) => inner,
        None => item,
    };
    inner.starts_with("mod ") || public.is_some() && inner.starts_with("use ")
}

fn too_large(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        findings.push(source.at(0, format!("{lines} lines, at most {LINES_MAX}")));
    }
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        // A row of a table in a comment cannot be broken.
        let is_table = line
            .trim_start()
            .trim_start_matches('/')
            .trim_start_matches('!')
            .trim_start()
            .starts_with('|');
        if columns > COLUMNS_MAX && !is_table {
            let what = format!("{columns} columns, at most {COLUMNS_MAX}");
            findings.push(format!("src/{}:{}: {what}", source.path, index + 1));
        }
    }
    for offset in words_in(&source.code, "fn") {
        let Some(body) = body_of(&source.code, offset) else { continue };
        let lines = source.code[offset..body.end].matches('\n').count() + 1;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("a function of {lines} lines, at most {FUNCTION_LINES_MAX}");
            findings.push(source.at(offset, what));
        }
    }
    findings
}

/// The body of the function whose `fn` is at `offset`; none for a type or a declaration.
fn body_of(code: &str, offset: usize) -> Option<Range<usize>> {
    if !code[offset..].starts_with("fn ") {
        return None;
    }
    let mut depth = 0;
    for (index, character) in code[offset..].char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return Some(offset + index..closing(code, offset + index)),
            _ => {}
        }
    }
    None
}

fn refused_words(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let mut refuse =
            |what: &str| findings.push(format!("src/{}:{}: {what}", source.path, index + 1));
        if line.contains('\t') {
            refuse("a tab");
        }
        if !line.is_ascii() {
            refuse("not ASCII");
        }
        for mark in ["FIXME", "XXX", "TODO"] {
            if !words_in(line, mark).is_empty() {
                refuse(mark);
            }
        }
    }
    for name in ["todo", "dbg", "unimplemented", "macro_rules"] {
        for offset in words_in(&source.code, name) {
            let home_of_macros = name == "macro_rules" && source.path == "macros.rs";
            if source.code[offset + name.len()..].starts_with('!') && !home_of_macros {
                findings.push(source.at(offset, format!("`{name}!`")));
            }
        }
    }
    findings
}

fn unreached_files(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut reached = BTreeSet::from(["lib.rs".to_string()]);
    for source in sources {
        let folder = match source.path.strip_suffix("mod.rs") {
            Some(folder) => folder.to_string(),
            None if source.path == "lib.rs" => String::new(),
            None => format!("{}/", source.path.trim_end_matches(".rs")),
        };
        for offset in words_in(&source.code, "mod") {
            let name = word_at(&source.code, offset + "mod ".len());
            if source.code[offset + "mod ".len() + name.len()..].starts_with(';') {
                reached.insert(format!("{folder}{name}.rs"));
                reached.insert(format!("{folder}{name}/mod.rs"));
            }
        }
        for (offset, _) in source.code.match_indices("#[path") {
            if source.code[..offset].trim_end().ends_with("#[cfg(test)]") {
                let file = source.text[offset..].split('"').nth(1).unwrap_or_default();
                let folder = source.path.rfind('/').map_or("", |slash| &source.path[..=slash]);
                reached.insert(format!("{folder}{file}"));
            } else {
                findings.push(source.at(offset, "a module lies where its name says"));
            }
        }
    }
    let lost = sources.iter().filter(|source| !reached.contains(&source.path));
    findings.extend(lost.map(|source| source.at(0, "no `mod` line reaches this file")));
    findings
}

fn incomplete_ops(sources: &[Source], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let table: Vec<&str> = sources
        .iter()
        .filter(|source| ["op/mod.rs", "op/table.rs"].contains(&source.path.as_str()))
        .flat_map(|source| source.text.lines().skip_while(|line| !line.contains("const OPCODES")))
        .take_while(|line| !line.starts_with("];"))
        .collect();
    let mut findings = Vec::new();
    for source in sources {
        let Some(name) = op_name(source) else { continue };
        let file = format!("\"{name}\"");
        if !table.iter().any(|row| row.contains(&file)) {
            let what = format!("no row with {file} in the opcode table `OPCODES`");
            findings.push(source.at(0, what));
        }
        let test = format!("tests/functional/op/{name}.rs");
        if !exists(&test) {
            findings.push(source.at(0, format!("no test module {test}")));
        }
    }
    findings
}

/// The name of the op that the file holds, if it holds one.
fn op_name(source: &Source) -> Option<&str> {
    let name = source.path.strip_prefix("op/")?.strip_suffix(".rs")?;
    let is_op = !OP_HELPERS.contains(&name) && !name.contains('/') && !name.ends_with("tests");
    is_op.then_some(name)
}
