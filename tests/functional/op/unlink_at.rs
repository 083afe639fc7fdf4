//! `UNLINKAT`.

use std::io;

use ringspun::op::{CWD, Submission, UnlinkAt, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

/// The end of a file.
struct Remove {
    folder: Folder,
    last: String,
}

impl Case for Remove {
    type Op = UnlinkAt;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Remove {
        Remove { folder: Folder::new(), last: String::new() }
    }

    fn op(&mut self) -> Submission<UnlinkAt> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is there");
        assert!(!self.folder.has(&self.last));
    }

    fn bad_op(&mut self) -> Submission<UnlinkAt> {
        submit(UnlinkAt::new(&self.folder.fd, "nothing", 0))
    }
}

impl FileCase for Remove {
    fn plain(&mut self) -> UnlinkAt {
        self.last = self.folder.file("text");
        UnlinkAt::new(&self.folder.fd, self.last.as_str(), 0)
    }

    fn check_undone(&mut self) {
        assert!(self.folder.has(&self.last));
    }
}

#[test]
fn ok() {
    suite::ok::<Remove>();
}

#[test]
fn error() {
    suite::error::<Remove>();
}

#[test]
fn timeout() {
    files::timeout::<Remove>();
}

#[test]
fn cancelled() {
    files::cancelled::<Remove>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Remove>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Remove>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Remove>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Remove>();
}

#[test]
fn a_folder_by_its_flag() {
    let mut folder = Folder::new();
    let name = folder.folder();
    block_on(async {
        assert_errno(submit(UnlinkAt::new(&folder.fd, name.as_str(), 0)).await, libc::EISDIR);
        assert!(folder.has(&name));
        let op = UnlinkAt::new(&folder.fd, name.as_str(), libc::AT_REMOVEDIR);
        submit(op).await.expect("it is empty");
        assert!(!folder.has(&name));
    });
}

#[test]
fn a_folder_that_is_not_empty() {
    let mut folder = Folder::new();
    let name = folder.folder();
    std::fs::write(folder.path(&name).join("inside"), "text").expect("room");
    block_on(async {
        let op = UnlinkAt::new(&folder.fd, name.as_str(), libc::AT_REMOVEDIR);
        assert_errno(submit(op).await, libc::ENOTEMPTY);
    });
    assert!(folder.path(&name).join("inside").exists());
}

#[test]
fn a_file_with_the_flag_for_folders() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let op = UnlinkAt::new(&folder.fd, name.as_str(), libc::AT_REMOVEDIR);
        assert_errno(submit(op).await, libc::ENOTDIR);
    });
    assert!(folder.has(&name));
}

#[test]
fn the_link_and_not_its_target() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    std::os::unix::fs::symlink(&name, folder.path("link")).expect("room");
    block_on(async {
        submit(UnlinkAt::new(CWD, folder.path("link"), 0)).await.expect("it is there");
    });
    assert!(!folder.has("link"));
    assert!(folder.has(&name));
}

#[test]
fn missing_directory() {
    let folder = Folder::new();
    block_on(async {
        assert_errno(submit(UnlinkAt::new(&folder.fd, "no/such", 0)).await, libc::ENOENT);
    });
}

#[test]
fn nul_byte_in_the_path() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        assert_nul(submit(UnlinkAt::new(&folder.fd, format!("{name}\0"), 0)).await);
    });
    assert!(folder.has(&name));
}
