//! `FTRUNCATE`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use ringspun::op::{Ftruncate, SharedFd, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

/// An empty file that gets a length.
struct Lengthen {
    file: SharedFd,
}

impl Case for Lengthen {
    type Op = Ftruncate;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Lengthen {
        Lengthen { file: SharedFd::new(tempfile::tempfile().expect("a file")) }
    }

    fn op(&mut self) -> Submission<Ftruncate> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("room");
        assert_eq!(len(&self.file), 5000);
    }

    /// A pipe has no length.
    fn bad_op(&mut self) -> Submission<Ftruncate> {
        submit(Ftruncate::new(SharedFd::new(Pipe::new().writer), 1))
    }
}

impl FileCase for Lengthen {
    fn plain(&mut self) -> Ftruncate {
        Ftruncate::new(&self.file, 5000)
    }

    fn check_undone(&mut self) {
        assert_eq!(len(&self.file), 0);
    }
}

#[test]
fn ok() {
    suite::ok::<Lengthen>();
}

#[test]
fn error() {
    suite::error::<Lengthen>();
}

#[test]
fn timeout() {
    files::timeout::<Lengthen>();
}

#[test]
fn cancelled() {
    files::cancelled::<Lengthen>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Lengthen>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Lengthen>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Lengthen>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Lengthen>();
}

#[test]
fn cut_and_lengthened_by_zeroes() {
    let mut folder = Folder::new();
    let name = folder.file("abcdef");
    let file = File::options().write(true).open(folder.path(&name)).expect("it is there");
    let file = SharedFd::new(file);
    block_on(async {
        submit(Ftruncate::new(&file, 2)).await.expect("shorter");
        assert_eq!(folder.text(&name), "ab");
        submit(Ftruncate::new(&file, 4)).await.expect("longer");
        assert_eq!(folder.text(&name), "ab\0\0");
        submit(Ftruncate::new(&file, 0)).await.expect("nothing");
        assert_eq!(folder.text(&name), "");
    });
}

#[test]
fn a_huge_length_is_refused() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        assert_errno(submit(Ftruncate::new(&file, u64::MAX)).await, libc::EINVAL);
        assert_errno(submit(Ftruncate::new(&file, 1 << 63)).await, libc::EINVAL);
        assert_eq!(len(&file), 0);
    });
}

#[test]
fn a_file_for_reading_only() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    let file = SharedFd::new(File::open(folder.path(&name)).expect("it is there"));
    block_on(async { assert_errno(submit(Ftruncate::new(&file, 0)).await, libc::EINVAL) });
    assert_eq!(folder.text(&name), "text");
}

fn len(file: &SharedFd) -> u64 {
    let duplicate = file.as_fd().try_clone_to_owned().expect("a duplicate");
    File::from(duplicate).metadata().expect("a file").len()
}
