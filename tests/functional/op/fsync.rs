//! `FSYNC`.

use std::io;

use ringspun::op::{Fixed, Fsync, SharedFd, Submission, Write, link, submit};

use super::files::{self, FileCase, Folder, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

/// The sync of an empty file.
struct Sync {
    file: SharedFd,
}

impl Case for Sync {
    type Op = Fsync;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Sync {
        Sync { file: SharedFd::new(tempfile::tempfile().expect("a file")) }
    }

    fn op(&mut self) -> Submission<Fsync> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("a disk");
    }

    /// A pipe has no disk.
    fn bad_op(&mut self) -> Submission<Fsync> {
        submit(Fsync::new(Pipe::new().reader, 0))
    }
}

impl FileCase for Sync {
    fn plain(&mut self) -> Fsync {
        Fsync::new(&self.file, 0)
    }
}

#[test]
fn ok() {
    suite::ok::<Sync>();
}

#[test]
fn error() {
    suite::error::<Sync>();
}

#[test]
fn timeout() {
    files::timeout::<Sync>();
}

#[test]
fn cancelled() {
    files::cancelled::<Sync>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Sync>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Sync>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Sync>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Sync>();
}

#[test]
fn data_only() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async { submit(Fsync::new(&file, Fsync::DATASYNC)).await.expect("a disk") });
}

#[test]
fn an_unknown_flag_is_refused() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async { assert_errno(submit(Fsync::new(&file, 1 << 20)).await, libc::EINVAL) });
}

#[test]
fn a_file_for_reading_only() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    let file = std::fs::File::open(folder.path(&name)).expect("it is there");
    block_on(async { submit(Fsync::new(SharedFd::new(file), 0)).await.expect("a disk") });
}

#[test]
fn no_file_at_all() {
    block_on(async { assert_errno(submit(Fsync::new(Fixed(3), 0)).await, libc::EBADF) });
}

#[test]
fn after_the_write_before_it() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let chain = link((Write::new(&file, "text", 0), Fsync::new(&file, 0)));
        let ((written, _), synced) = chain.await.expect("it fits");
        assert_eq!(written.expect("room"), 4);
        synced.expect("a disk");
    });
}

#[test]
fn not_after_a_write_that_failed() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let chain = link((Write::new(Pipe::new().reader, "text", 0), Fsync::new(&file, 0)));
        let ((written, text), synced) = chain.await.expect("it fits");
        assert_errno(written, libc::EBADF);
        assert_eq!(text, "text");
        assert_errno(synced, libc::ECANCELED);
    });
}
