//! `OPENAT2`.
//!
//! # Safety
//!
//! A libc call that reads flags.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};

use ringspun::op::{CWD, OpenAt2, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on, open_fds, own_files, submit_only, until};

/// A file that is there.
struct Open {
    folder: Folder,
    name: String,
}

impl Case for Open {
    type Op = OpenAt2;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Open {
        let mut folder = Folder::new();
        let name = folder.file("text");
        Open { folder, name }
    }

    fn op(&mut self) -> Submission<OpenAt2> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<OwnedFd>) {
        let mut text = String::new();
        let mut file = File::from(output.expect("it is there"));
        file.read_to_string(&mut text).expect("text");
        assert_eq!(text, "text");
    }

    fn bad_op(&mut self) -> Submission<OpenAt2> {
        submit(OpenAt2::new(&self.folder.fd, "nothing", libc::O_RDONLY, 0, 0))
    }
}

impl FileCase for Open {
    fn plain(&mut self) -> OpenAt2 {
        let beneath = libc::RESOLVE_BENEATH;
        OpenAt2::new(&self.folder.fd, self.name.as_str(), libc::O_RDONLY, 0, beneath)
    }
}

#[test]
fn ok() {
    suite::ok::<Open>();
}

#[test]
fn error() {
    suite::error::<Open>();
}

#[test]
fn timeout() {
    files::timeout::<Open>();
}

#[test]
fn cancelled() {
    files::cancelled::<Open>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Open>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Open>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Open>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Open>();
}

#[test]
fn a_path_that_must_stay_below() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    symlink("/etc", folder.path("out")).expect("room");
    symlink(&name, folder.path("in")).expect("room");
    block_on(async {
        let open = async |path: &str, resolve| {
            submit(OpenAt2::new(&folder.fd, path, libc::O_RDONLY, 0, resolve)).await
        };
        for path in ["..", "/", "out/passwd", "../x"] {
            assert_errno(open(path, libc::RESOLVE_BENEATH).await, libc::EXDEV);
        }
        open("in", libc::RESOLVE_BENEATH).await.expect("it stays below");
        // There `/` is the folder itself.
        open(&format!("/{name}"), libc::RESOLVE_IN_ROOT).await.expect("it is there");
        assert_errno(open("out/passwd", libc::RESOLVE_IN_ROOT).await, libc::ENOENT);
        assert_errno(open("in", libc::RESOLVE_NO_SYMLINKS).await, libc::ELOOP);
        open(&name, libc::RESOLVE_NO_SYMLINKS).await.expect("no link");
    });
}

#[test]
fn links_of_procfs_are_refused_on_demand() {
    block_on(async {
        let open = async |resolve| {
            submit(OpenAt2::new(CWD, "/proc/self/exe", libc::O_RDONLY, 0, resolve)).await
        };
        open(0).await.expect("it is there");
        assert_errno(open(libc::RESOLVE_NO_MAGICLINKS).await, libc::ELOOP);
    });
}

#[test]
fn created_with_its_mode_and_by_nobody_else() {
    let folder = Folder::new();
    block_on(async {
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
        loop {
            match submit(OpenAt2::new(&folder.fd, "new", flags, 0o400, 0)).await {
                // Under chaos: a signal came between, and whether it was made nobody knows.
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
                result => {
                    result.expect("nobody else did");
                    break;
                }
            }
        }
        let mode = folder.path("new").metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
        let again = submit(OpenAt2::new(&folder.fd, "new", flags, 0o400, 0)).await;
        let errno = again.expect_err("it is there").raw_os_error();
        assert!(matches!(errno, Some(libc::EEXIST | libc::ECANCELED)), "{errno:?}");
    });
}

#[test]
fn closed_on_exec_whatever_was_asked() {
    let Open { folder, name } = Open::new(&Buffers::default());
    block_on(async {
        for flags in [libc::O_RDONLY, libc::O_RDWR | libc::O_APPEND, libc::O_PATH] {
            let fd = submit(OpenAt2::new(&folder.fd, name.as_str(), flags, 0, 0)).await;
            let fd = fd.expect("it is there");
            // SAFETY: reading flags touches no memory.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
    });
}

#[test]
fn what_contradicts_itself_is_refused() {
    let Open { folder, name } = Open::new(&Buffers::default());
    block_on(async {
        let open = async |flags, mode, resolve| {
            submit(OpenAt2::new(&folder.fd, name.as_str(), flags, mode, resolve)).await
        };
        assert_errno(open(libc::O_RDONLY, 0o600, 0).await, libc::EINVAL);
        assert_errno(open(libc::O_RDONLY, 0, 1 << 40).await, libc::EINVAL);
        let both = libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;
        assert_errno(open(libc::O_RDONLY, 0, both).await, libc::EINVAL);
    });
}

#[test]
fn opened_for_nobody() {
    std::thread::spawn(|| {
        own_files();
        let Open { folder, name } = Open::new(&Buffers::default());
        block_on(async {
            let before = open_fds();
            let mut op = submit(OpenAt2::new(&folder.fd, name, libc::O_RDONLY, 0, 0));
            let polled = submit_only(&mut op).await;
            drop((op, polled));
            until("what was opened is closed", || open_fds() == before).await;
        });
    })
    .join()
    .expect("no panic");
}

#[test]
fn nul_byte_in_the_path() {
    block_on(async { assert_nul(submit(OpenAt2::new(CWD, "a\0b", 0, 0, 0)).await) });
}
