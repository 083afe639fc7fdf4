//! `MKDIRAT`.

use std::io;
use std::os::unix::fs::PermissionsExt;

use ringspun::op::{CWD, MkdirAt, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

/// A new folder.
struct Make {
    folder: Folder,
    last: String,
}

impl Case for Make {
    type Op = MkdirAt;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EEXIST;

    fn new(_: &Buffers) -> Make {
        Make { folder: Folder::new(), last: String::new() }
    }

    fn op(&mut self) -> Submission<MkdirAt> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("room");
        assert!(self.folder.path(&self.last).is_dir());
    }

    fn bad_op(&mut self) -> Submission<MkdirAt> {
        let name = self.folder.folder();
        submit(MkdirAt::new(&self.folder.fd, name, 0o700))
    }
}

impl FileCase for Make {
    fn plain(&mut self) -> MkdirAt {
        self.last = self.folder.name();
        MkdirAt::new(&self.folder.fd, self.last.as_str(), 0o700)
    }

    fn check_undone(&mut self) {
        assert!(!self.folder.has(&self.last));
    }
}

#[test]
fn ok() {
    suite::ok::<Make>();
}

#[test]
fn error() {
    suite::error::<Make>();
}

#[test]
fn timeout() {
    files::timeout::<Make>();
}

#[test]
fn cancelled() {
    files::cancelled::<Make>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Make>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Make>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Make>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Make>();
}

#[test]
fn by_the_whole_path_with_its_mode() {
    let mut folder = Folder::new();
    let name = folder.name();
    let path = folder.path(&name);
    block_on(async { submit(MkdirAt::new(CWD, &path, 0o500)).await.expect("room") });
    let mode = path.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o500);
}

#[test]
fn a_file_of_that_name() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let op = MkdirAt::new(&folder.fd, name.as_str(), 0o700);
        assert_errno(submit(op).await, libc::EEXIST);
    });
    assert_eq!(folder.text(&name), "text");
}

#[test]
fn missing_directory() {
    let folder = Folder::new();
    block_on(async {
        assert_errno(submit(MkdirAt::new(&folder.fd, "no/such", 0o700)).await, libc::ENOENT);
    });
}

#[test]
fn a_file_in_place_of_the_directory() {
    let file = ringspun::op::SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        assert_errno(submit(MkdirAt::new(&file, "name", 0o700)).await, libc::ENOTDIR);
    });
}

#[test]
fn nul_byte_in_the_path() {
    let folder = Folder::new();
    block_on(async { assert_nul(submit(MkdirAt::new(&folder.fd, "a\0b", 0o700)).await) });
    assert!(!folder.has("a"));
}
