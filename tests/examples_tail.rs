//! `tail`, as people run it.

#[path = "examples/process.rs"]
mod process;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use process::{Running, example};

fn tail(arguments: &[&str], files: &[&Path]) -> Command {
    let mut command = example("tail");
    command.args(arguments).args(files);
    command
}

fn said(mut command: Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("room");
    path
}

#[test]
fn last_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("line {n}\n")).collect::<String>();
    let path = file(&folder, "many", &lines(1, 100_000));
    assert_eq!(said(tail(&[], &[&path])), lines(99_991, 100_000));
    assert_eq!(said(tail(&["-n", "3"], &[&path])), lines(99_998, 100_000));
    assert_eq!(said(tail(&["-n", "0"], &[&path])), "");
    // Several blocks backwards, and more than there are.
    assert_eq!(said(tail(&["-n", "50000"], &[&path])), lines(50_001, 100_000));
    assert_eq!(said(tail(&["-n", "100000"], &[&path])), lines(1, 100_000));
    assert_eq!(said(tail(&["-n", "200000"], &[&path])), lines(1, 100_000));
}

#[test]
fn files_without_a_last_line_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "open", "one\ntwo\nthree");
    assert_eq!(said(tail(&["-n", "2"], &[&path])), "two\nthree");
    let path = file(&folder, "empty", "");
    assert_eq!(said(tail(&[], &[&path])), "");
    let path = file(&folder, "blank", "\n\n\n");
    assert_eq!(said(tail(&["-n", "2"], &[&path])), "\n\n");
    // A line longer than a block.
    let long = "x".repeat(200_000);
    let path = file(&folder, "long", &format!("first\n{long}\n"));
    assert_eq!(said(tail(&["-n", "1"], &[&path])), format!("{long}\n"));
}

#[test]
fn several_files_have_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (file(&folder, "one", "1\n"), file(&folder, "two", "2\n"));
    let expected = format!("==> {} <==\n1\n\n==> {} <==\n2\n", one.display(), two.display());
    assert_eq!(said(tail(&[], &[&one, &two])), expected);
}

#[test]
fn what_is_no_file_is_named() {
    let output = tail(&[], &[Path::new("/nowhere/at all")]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("error: /nowhere/at all: "), "{errors}");
    let output = tail(&[], &[Path::new("/proc")]).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "error: /proc: not a regular file\n");
}

#[test]
fn follows_growth_truncation_and_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "log", "old\nlast\n");
    let mut running = Running::start(tail(&["-n", "1", "-f", "-s", "0.01"], &[&path]));
    assert_eq!(running.line(), "last\n");

    let mut log = File::options().append(true).open(&path).expect("it is there");
    for n in 0..5 {
        writeln!(log, "appended {n}").expect("room");
        assert_eq!(running.line(), format!("appended {n}\n"));
    }
    log.set_len(0).expect("room");
    // Shorter than before, whenever the next look is.
    writeln!(log, "begun anew").expect("room");
    assert_eq!(running.line(), "begun anew\n");

    // What is written after the rename, before the new file is there, is not lost.
    fs::rename(&path, folder.path().join("log.1")).expect("room");
    writeln!(log, "after the rename").expect("room");
    assert_eq!(running.line(), "after the rename\n");
    writeln!(log, "the last of the old").expect("room");
    fs::write(&path, "the first of the new\n").expect("room");
    assert_eq!(running.line(), "the last of the old\n");
    assert_eq!(running.line(), "the first of the new\n");

    let ended = running.interrupt();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert!(ended.stderr.contains("file truncated"), "{}", ended.stderr);
    assert!(ended.stderr.contains("following the new file"), "{}", ended.stderr);
}
