//! `SYNC_FILE_RANGE`.

use std::io::{self, Write};

use ringspun::op::{SharedFd, Submission, SyncFileRange, submit};

use super::files::{self, FileCase, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

const ALL: u32 = libc::SYNC_FILE_RANGE_WAIT_BEFORE
    | libc::SYNC_FILE_RANGE_WRITE
    | libc::SYNC_FILE_RANGE_WAIT_AFTER;

/// A file with something in it that is not on the disk.
struct WriteBack {
    file: SharedFd,
}

impl Case for WriteBack {
    type Op = SyncFileRange;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ESPIPE;

    fn new(_: &Buffers) -> WriteBack {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[7; 10_000]).expect("room");
        WriteBack { file: SharedFd::new(file) }
    }

    fn op(&mut self) -> Submission<SyncFileRange> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("a disk");
    }

    /// A pipe has no place in it.
    fn bad_op(&mut self) -> Submission<SyncFileRange> {
        submit(SyncFileRange::new(SharedFd::new(Pipe::new().writer), 0, 1, ALL))
    }
}

impl FileCase for WriteBack {
    fn plain(&mut self) -> SyncFileRange {
        SyncFileRange::new(&self.file, 4096, 4096, ALL)
    }
}

#[test]
fn ok() {
    suite::ok::<WriteBack>();
}

#[test]
fn error() {
    suite::error::<WriteBack>();
}

#[test]
fn timeout() {
    files::timeout::<WriteBack>();
}

#[test]
fn cancelled() {
    files::cancelled::<WriteBack>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<WriteBack>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<WriteBack>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<WriteBack>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<WriteBack>();
}

#[test]
fn to_the_end_and_beyond() {
    let WriteBack { file } = WriteBack::new(&Buffers::default());
    block_on(async {
        submit(SyncFileRange::new(&file, 0, 0, ALL)).await.expect("all of it");
        submit(SyncFileRange::new(&file, 1 << 40, 4096, ALL)).await.expect("nothing is there");
        submit(SyncFileRange::new(&file, 0, u32::MAX, 0)).await.expect("nothing to do");
    });
}

#[test]
fn unknown_flags_and_places_are_refused() {
    let WriteBack { file } = WriteBack::new(&Buffers::default());
    block_on(async {
        assert_errno(submit(SyncFileRange::new(&file, 0, 0, 1 << 7)).await, libc::EINVAL);
        assert_errno(submit(SyncFileRange::new(&file, u64::MAX, 1, ALL)).await, libc::EINVAL);
    });
}
