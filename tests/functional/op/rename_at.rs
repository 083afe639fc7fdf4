//! `RENAMEAT`.

use std::io;

use ringspun::op::{CWD, Fixed, RenameAt, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_no_fixed, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

/// Another name for a file.
struct Rename {
    folder: Folder,
    old: String,
    new: String,
}

impl Case for Rename {
    type Op = RenameAt;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Rename {
        Rename { folder: Folder::new(), old: String::new(), new: String::new() }
    }

    fn op(&mut self) -> Submission<RenameAt> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is there");
        assert!(!self.folder.has(&self.old));
        assert_eq!(self.folder.text(&self.new), "text");
    }

    fn bad_op(&mut self) -> Submission<RenameAt> {
        let dir = &self.folder.fd;
        submit(RenameAt::new(dir, "nothing", dir, "new", 0))
    }
}

impl FileCase for Rename {
    fn plain(&mut self) -> RenameAt {
        (self.old, self.new) = (self.folder.file("text"), self.folder.name());
        let dir = &self.folder.fd;
        RenameAt::new(dir, self.old.as_str(), dir, self.new.as_str(), 0)
    }

    fn check_undone(&mut self) {
        assert!(self.folder.has(&self.old));
        assert!(!self.folder.has(&self.new));
    }
}

#[test]
fn ok() {
    suite::ok::<Rename>();
}

#[test]
fn error() {
    suite::error::<Rename>();
}

#[test]
fn timeout() {
    files::timeout::<Rename>();
}

#[test]
fn cancelled() {
    files::cancelled::<Rename>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Rename>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Rename>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Rename>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Rename>();
}

#[test]
fn from_one_directory_into_another() {
    let (mut one, other) = (Folder::new(), Folder::new());
    let name = one.file("text");
    block_on(async {
        let op = RenameAt::new(CWD, one.path(&name), &other.fd, "new", 0);
        submit(op).await.expect("one file system");
    });
    assert!(!one.has(&name));
    assert_eq!(other.text("new"), "text");
}

#[test]
fn over_an_older_file_or_not() {
    let mut folder = Folder::new();
    let (new, old) = (folder.file("new"), folder.file("old"));
    block_on(async {
        let dir = &folder.fd;
        let rename = |flags| submit(RenameAt::new(dir, new.as_str(), dir, old.as_str(), flags));
        assert_errno(rename(libc::RENAME_NOREPLACE).await, libc::EEXIST);
        assert_eq!(folder.text(&old), "old");
        rename(0).await.expect("it is replaced");
        assert_eq!(folder.text(&old), "new");
        assert!(!folder.has(&new));
    });
}

#[test]
fn two_change_places() {
    let mut folder = Folder::new();
    let (one, other) = (folder.file("one"), folder.file("other"));
    block_on(async {
        let (dir, flags) = (&folder.fd, libc::RENAME_EXCHANGE);
        let op = RenameAt::new(dir, one.as_str(), dir, other.as_str(), flags);
        submit(op).await.expect("both are there");
    });
    assert_eq!((folder.text(&one), folder.text(&other)), ("other".into(), "one".into()));
}

#[test]
fn over_a_folder_that_is_not_empty() {
    let mut folder = Folder::new();
    let (empty, full) = (folder.folder(), folder.folder());
    std::fs::write(folder.path(&full).join("inside"), "text").expect("room");
    block_on(async {
        let op = RenameAt::new(&folder.fd, empty.as_str(), &folder.fd, full.as_str(), 0);
        assert_errno(submit(op).await, libc::ENOTEMPTY);
    });
    assert!(folder.has(&empty));
}

#[test]
fn missing_directory() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let op = RenameAt::new(&folder.fd, name.as_str(), &folder.fd, "no/such", 0);
        assert_errno(submit(op).await, libc::ENOENT);
    });
    assert!(folder.has(&name));
}

#[test]
fn nul_byte_in_either_path() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let dir = &folder.fd;
        assert_nul(submit(RenameAt::new(dir, "a\0", dir, "new", 0)).await);
        assert_nul(submit(RenameAt::new(dir, name.as_str(), dir, "new\0", 0)).await);
    });
    assert!(folder.has(&name));
    assert!(!folder.has("new"));
}

#[test]
fn a_registered_file_as_a_directory() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let op = RenameAt::new(&folder.fd, name.as_str(), Fixed(0), "new", 0);
        assert_no_fixed(submit(op).await);
        let op = RenameAt::new(Fixed(0), name.as_str(), &folder.fd, "new", 0);
        assert_errno(submit(op).await, libc::EBADF);
    });
    assert!(folder.has(&name));
}
