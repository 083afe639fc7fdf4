//! `LINKAT`.

use std::io;
use std::os::unix::fs::MetadataExt;

use ringspun::op::{CWD, Fixed, LinkAt, SharedFd, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_no_fixed, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

/// One more name for a file.
struct Add {
    folder: Folder,
    old: String,
    new: String,
}

impl Case for Add {
    type Op = LinkAt;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EEXIST;

    fn new(_: &Buffers) -> Add {
        Add { folder: Folder::new(), old: String::new(), new: String::new() }
    }

    fn op(&mut self) -> Submission<LinkAt> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("room");
        let [old, new] = [&self.old, &self.new].map(|name| {
            let metadata = self.folder.path(name).metadata().expect("it is there");
            (metadata.ino(), metadata.nlink())
        });
        assert_eq!(old, new);
        assert_eq!(new.1, 2);
    }

    fn bad_op(&mut self) -> Submission<LinkAt> {
        let (old, new) = (self.folder.file("one"), self.folder.file("two"));
        submit(LinkAt::new(&self.folder.fd, old, &self.folder.fd, new, 0))
    }
}

impl FileCase for Add {
    fn plain(&mut self) -> LinkAt {
        (self.old, self.new) = (self.folder.file("text"), self.folder.name());
        let dir = &self.folder.fd;
        LinkAt::new(dir, self.old.as_str(), dir, self.new.as_str(), 0)
    }

    fn check_undone(&mut self) {
        assert!(!self.folder.has(&self.new));
    }
}

#[test]
fn ok() {
    suite::ok::<Add>();
}

#[test]
fn error() {
    suite::error::<Add>();
}

#[test]
fn timeout() {
    files::timeout::<Add>();
}

#[test]
fn cancelled() {
    files::cancelled::<Add>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Add>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Add>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Add>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Add>();
}

#[test]
fn from_one_directory_into_another() {
    let (mut one, other) = (Folder::new(), Folder::new());
    let name = one.file("text");
    block_on(async {
        let op = LinkAt::new(CWD, one.path(&name), &other.fd, "new", 0);
        submit(op).await.expect("one file system");
    });
    assert_eq!(other.text("new"), "text");
}

#[test]
fn a_symbolic_link_itself_or_its_target() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    std::os::unix::fs::symlink(&name, folder.path("link")).expect("room");
    block_on(async {
        let dir = &folder.fd;
        submit(LinkAt::new(dir, "link", dir, "itself", 0)).await.expect("room");
        let flags = libc::AT_SYMLINK_FOLLOW;
        submit(LinkAt::new(dir, "link", dir, "target", flags)).await.expect("room");
    });
    let kind = |name| folder.path(name).symlink_metadata().expect("it is there").file_type();
    assert!(kind("itself").is_symlink());
    assert!(kind("target").is_file());
}

#[test]
fn a_folder_has_one_name() {
    let mut folder = Folder::new();
    let name = folder.folder();
    block_on(async {
        let op = LinkAt::new(&folder.fd, name, &folder.fd, "new", 0);
        assert_errno(submit(op).await, libc::EPERM);
    });
}

#[test]
fn missing_file_and_missing_directory() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let dir = &folder.fd;
        assert_errno(submit(LinkAt::new(dir, "nothing", dir, "new", 0)).await, libc::ENOENT);
        let op = LinkAt::new(dir, name.as_str(), dir, "no/such", 0);
        assert_errno(submit(op).await, libc::ENOENT);
    });
}

#[test]
fn nul_byte_in_either_path() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let dir = &folder.fd;
        assert_nul(submit(LinkAt::new(dir, "a\0", dir, "new", 0)).await);
        assert_nul(submit(LinkAt::new(dir, name.as_str(), dir, "new\0", 0)).await);
    });
    assert!(!folder.has("new"));
}

#[test]
fn a_registered_file_as_a_directory() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let dir: &SharedFd = &folder.fd;
        let op = LinkAt::new(dir, name.as_str(), Fixed(0), "new", 0);
        assert_no_fixed(submit(op).await);
        let op = LinkAt::new(Fixed(0), name.as_str(), dir, "new", 0);
        assert_errno(submit(op).await, libc::EBADF);
    });
}
