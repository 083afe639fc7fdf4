//! `FALLOCATE`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use ringspun::op::{Fallocate, SharedFd, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

/// Room in an empty file.
struct Room {
    file: SharedFd,
}

impl Case for Room {
    type Op = Fallocate;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ESPIPE;

    fn new(_: &Buffers) -> Room {
        Room { file: SharedFd::new(tempfile::tempfile().expect("a file")) }
    }

    fn op(&mut self) -> Submission<Fallocate> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("room");
        assert_eq!(len(&self.file), 5000);
    }

    /// A pipe has no place in it.
    fn bad_op(&mut self) -> Submission<Fallocate> {
        let writer = Pipe::new().writer;
        submit(Fallocate::new(SharedFd::new(writer), 0, 0, 1))
    }
}

impl FileCase for Room {
    fn plain(&mut self) -> Fallocate {
        Fallocate::new(&self.file, 0, 1000, 4000)
    }

    fn check_undone(&mut self) {
        assert_eq!(len(&self.file), 0);
    }
}

#[test]
fn ok() {
    suite::ok::<Room>();
}

#[test]
fn error() {
    suite::error::<Room>();
}

#[test]
fn timeout() {
    files::timeout::<Room>();
}

#[test]
fn cancelled() {
    files::cancelled::<Room>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Room>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Room>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Room>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Room>();
}

#[test]
fn the_length_is_kept_on_demand() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let op = Fallocate::new(&file, libc::FALLOC_FL_KEEP_SIZE, 0, 4096);
        submit(op).await.expect("room");
        assert_eq!(len(&file), 0);
    });
}

#[test]
fn a_hole_reads_as_zeroes() {
    let mut folder = Folder::new();
    let name = folder.file("abcdef");
    let file = File::options().write(true).open(folder.path(&name)).expect("it is there");
    block_on(async {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        submit(Fallocate::new(SharedFd::new(file), mode, 1, 3)).await.expect("holes");
    });
    let mut text = String::new();
    let mut file = File::open(folder.path(&name)).expect("it is there");
    file.read_to_string(&mut text).expect("text");
    assert_eq!(text, "a\0\0\0ef");
}

#[test]
fn no_room_at_all_is_refused() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async { assert_errno(submit(Fallocate::new(&file, 0, 0, 0)).await, libc::EINVAL) });
}

#[test]
fn a_huge_offset_is_refused() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let beyond = Fallocate::new(&file, 0, i64::MAX as u64, 1);
        assert_errno(submit(beyond).await, libc::EFBIG);
        assert_errno(submit(Fallocate::new(&file, 0, u64::MAX, 1)).await, libc::EINVAL);
        assert_errno(submit(Fallocate::new(&file, 0, 0, u64::MAX)).await, libc::EINVAL);
        assert_eq!(len(&file), 0);
    });
}

#[test]
fn a_file_for_reading_only() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    let file = SharedFd::new(File::open(folder.path(&name)).expect("it is there"));
    block_on(async { assert_errno(submit(Fallocate::new(&file, 0, 0, 10)).await, libc::EBADF) });
}

fn len(file: &SharedFd) -> u64 {
    let duplicate = file.as_fd().try_clone_to_owned().expect("a duplicate");
    File::from(duplicate).metadata().expect("a file").len()
}
