//! The attribute macros at work.

use std::io;
use std::process::Command;

#[ringspun::test]
async fn runs() {
    assert_eq!(async { 1 + 1 }.await, 2);
}

#[ringspun::test(entries = 64, batch = 8)]
async fn returns_a_result() -> io::Result<()> {
    let borrowed = String::from("neither Send nor 'static");
    let part = &borrowed;
    assert_eq!(async { part.len() }.await, 24);
    Ok(())
}

#[ringspun::test]
#[should_panic(expected = "as it should")]
async fn panics() {
    panic!("as it should");
}

#[ringspun::test]
#[ignore = "shows that the attribute is kept: it would fail"]
async fn ignored() {
    panic!("ran although ignored");
}

#[ringspun::test(entries = 0)]
#[should_panic(expected = "the runtime of this test cannot be built: ")]
async fn runtime_cannot_be_built() {}

/// Ends the process: run by the test below in a process of its own.
#[ringspun::main(entries = 0)]
async fn cannot_be_built() {
    unreachable!("no runtime, no body");
}

#[test]
fn main_that_cannot_be_built() {
    const MARK: &str = "RINGSPUN_TEST_CANNOT_BE_BUILT";
    if std::env::var_os(MARK).is_some() {
        cannot_be_built();
    }
    let child = Command::new(std::env::current_exe().expect("the test knows itself"))
        .args(["--exact", "main_that_cannot_be_built", "--nocapture"])
        .env(MARK, "1")
        .output()
        .expect("the test runs itself");
    assert_eq!(child.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(errors.lines().any(|line| line.starts_with("error: ")), "{errors}");
}
