//! What the attribute macros accept and refuse, and with which words.
//!
//! The words of the compiler itself differ between releases, so the refusals are compared on the
//! pinned one only. After a change of our own words: `TRYBUILD=overwrite cargo test -p ringspun-macros --test ui`.

/// The release whose words `tests/ui/*.stderr` hold.
const PINNED: &str = "rustc 1.95.";

#[test]
fn accepted() {
    trybuild::TestCases::new().pass("tests/ui/pass_*.rs");
}

#[test]
fn refused() {
    let version = std::process::Command::new("rustc").arg("--version").output();
    let version = version.expect("rustc runs").stdout;
    if !version.starts_with(PINNED.as_bytes()) {
        println!("skipped: the expected words are those of {PINNED}");
        return;
    }
    let cases = trybuild::TestCases::new();
    for entry in std::fs::read_dir("tests/ui").expect("the cases are there") {
        let path = entry.expect("a case is listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".rs") && !name.starts_with("pass_") {
            cases.compile_fail(path);
        }
    }
}
