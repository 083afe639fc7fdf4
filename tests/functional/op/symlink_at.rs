//! `SYMLINKAT`.

use std::io;
use std::path::Path;

use ringspun::op::{CWD, Submission, SymlinkAt, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

/// A symbolic link to nothing.
struct Make {
    folder: Folder,
    last: String,
}

impl Case for Make {
    type Op = SymlinkAt;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EEXIST;

    fn new(_: &Buffers) -> Make {
        Make { folder: Folder::new(), last: String::new() }
    }

    fn op(&mut self) -> Submission<SymlinkAt> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("room");
        let target = std::fs::read_link(self.folder.path(&self.last)).expect("a link");
        assert_eq!(target, Path::new("over/there"));
    }

    fn bad_op(&mut self) -> Submission<SymlinkAt> {
        let name = self.folder.file("text");
        submit(SymlinkAt::new("over/there", &self.folder.fd, name))
    }
}

impl FileCase for Make {
    fn plain(&mut self) -> SymlinkAt {
        self.last = self.folder.name();
        SymlinkAt::new("over/there", &self.folder.fd, self.last.as_str())
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
fn the_target_is_read_through_it() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    let path = folder.path("link");
    block_on(async { submit(SymlinkAt::new(name.as_str(), CWD, &path)).await.expect("room") });
    assert_eq!(folder.text("link"), "text");
}

#[test]
fn an_empty_target() {
    let folder = Folder::new();
    block_on(async {
        assert_errno(submit(SymlinkAt::new("", &folder.fd, "link")).await, libc::ENOENT);
    });
}

#[test]
fn missing_directory() {
    let folder = Folder::new();
    block_on(async {
        assert_errno(submit(SymlinkAt::new("x", &folder.fd, "no/such")).await, libc::ENOENT);
    });
}

#[test]
fn nul_byte_in_either_path() {
    let folder = Folder::new();
    block_on(async {
        assert_nul(submit(SymlinkAt::new("x\0y", &folder.fd, "link")).await);
        assert_nul(submit(SymlinkAt::new("x", &folder.fd, "link\0")).await);
    });
    assert!(!folder.has("link"));
}
