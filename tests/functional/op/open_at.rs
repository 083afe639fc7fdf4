//! `OPENAT`.
//!
//! # Safety
//!
//! libc calls whose arguments live on this stack.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use ringspun::op::{CWD, CancelError, OpenAt, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::files::{self, FileCase, Folder, assert_errno, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, block_on, open_fds, runtime, submit_only, turn, until};

/// A file that is there. An open that waits, in a kernel worker, is the one of a [`fifo`].
struct Open {
    folder: Folder,
    name: String,
}

impl Case for Open {
    type Op = OpenAt;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Open {
        let mut folder = Folder::new();
        let name = folder.file("text");
        Open { folder, name }
    }

    fn op(&mut self) -> Submission<OpenAt> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<OwnedFd>) {
        let mut text = String::new();
        let mut file = File::from(output.expect("it is there"));
        file.read_to_string(&mut text).expect("text");
        assert_eq!(text, "text");
    }

    fn bad_op(&mut self) -> Submission<OpenAt> {
        submit(OpenAt::new(&self.folder.fd, "nothing", libc::O_RDONLY, 0))
    }
}

impl FileCase for Open {
    fn plain(&mut self) -> OpenAt {
        OpenAt::new(&self.folder.fd, self.name.as_str(), libc::O_RDONLY, 0)
    }
}

#[test]
fn ok() {
    suite::ok::<Open>();
    waits_for_a_partner(async |op, path| {
        let path = path.to_owned();
        let partner = ringspun::spawn_blocking(move || File::create(path).expect("a partner"));
        op.await.expect("a partner came");
        drop(partner.await.expect("no panic"));
    });
}

#[test]
fn error() {
    suite::error::<Open>();
}

#[test]
fn timeout() {
    files::timeout::<Open>();
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (_folder, path) = fifo();
        let op = submit(OpenAt::new(CWD, path.as_path(), WAITING, 0o600));
        let error = op.timeout(Duration::from_millis(5)).await.expect_err("nobody comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn cancelled() {
    files::cancelled::<Open>();
    waits_for_a_partner(async |mut op, _| {
        let answer = AsyncIoUring::current().cancel(op.id()).await;
        // In a kernel worker it cannot be ended at once; under chaos a signal may be faster.
        let asked = matches!(answer, Ok(()) | Err(CancelError::AlreadyInProgress));
        assert!(asked || std::env::var_os("RINGSPUN_CHAOS_SEED").is_some(), "{answer:?}");
        assert_errno(op.await, libc::ECANCELED);
    });
    waits_for_a_partner(async |op, _| assert_errno(op.cancel().await, libc::ECANCELED));
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Open>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Open>();
    waits_for_a_partner(async |op, _| drop(op));
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Open>();
    waits_for_a_partner(async |mut op, path| {
        let before = open_fds();
        let partner = File::options().read(true).write(true).open(path).expect("it never waits");
        let mut polled = Poll::Pending;
        // Mostly it is not polled again; but if a signal came between, only a poll goes on.
        while polled.is_pending() && open_fds() < before + 2 {
            ringspun::time::sleep(Duration::from_millis(5)).await;
            if open_fds() < before + 2 {
                polled = submit_only(&mut op).await;
            }
        }
        turn().await;
        drop((op, polled));
        until("what was opened is closed", || open_fds() == before + 1).await;
        drop(partner);
    });
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Open>();
    let ledger = Ledger::open();
    let runtime = runtime();
    let (folder, mut op) = runtime.block_on(async {
        let (folder, path) = fifo();
        let mut op = submit(OpenAt::new(CWD, path, WAITING, 0o600));
        assert!(submit_only(&mut op).await.is_pending());
        (folder, op)
    });
    drop(runtime);
    let Poll::Ready(result) = tokio_test::task::spawn(&mut op).poll() else {
        panic!("a drained op has its outcome")
    };
    assert_errno(result, libc::ECANCELED);
    drop((folder, op));
    ledger.close();
}

#[test]
fn closed_on_exec_whatever_was_asked() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        for flags in [libc::O_RDONLY, libc::O_RDWR | libc::O_APPEND, libc::O_CLOEXEC] {
            let fd = submit(OpenAt::new(&folder.fd, name.as_str(), flags, 0)).await;
            let fd = fd.expect("it is there");
            // SAFETY: reading flags touches no memory.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
    });
}

#[test]
fn created_with_its_mode() {
    let mut folder = Folder::new();
    let name = folder.name();
    block_on(async {
        let flags = libc::O_CREAT | libc::O_WRONLY;
        let fd = submit(OpenAt::new(&folder.fd, name.as_str(), flags, 0o400)).await;
        File::from(fd.expect("room")).write_all(b"text").expect("the mode is for later opens");
    });
    assert_eq!(folder.text(&name), "text");
    let permissions = folder.path(&name).metadata().expect("it is there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, 0o400);
}

#[test]
fn created_by_nobody_else() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        assert_errno(create_new(&folder, &name).await, libc::EEXIST);
        create_new(&folder, "new").await.expect("nobody else did");
        assert_errno(create_new(&folder, "new").await, libc::EEXIST);
    });
    assert_eq!(folder.text(&name), "text");
}

#[test]
fn truncated_on_demand_only() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let open = |flags| submit(OpenAt::new(&folder.fd, name.as_str(), flags, 0));
        open(libc::O_WRONLY).await.expect("it is there");
        assert_eq!(folder.text(&name), "text");
        open(libc::O_WRONLY | libc::O_TRUNC).await.expect("it is there");
        assert_eq!(folder.text(&name), "");
    });
}

#[test]
fn missing_directory_and_a_file_in_its_place() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        let open =
            |path| submit(OpenAt::new(&folder.fd, path, libc::O_CREAT | libc::O_RDWR, 0o600));
        assert_errno(open(String::from("no/such")).await, libc::ENOENT);
        assert_errno(open(format!("{name}/below")).await, libc::ENOTDIR);
        assert_errno(open(String::new()).await, libc::ENOENT);
        assert_errno(open("x".repeat(256)).await, libc::ENAMETOOLONG);
    });
}

#[test]
fn a_folder_for_writing_is_refused() {
    let folder = Folder::new();
    block_on(async {
        let op = OpenAt::new(CWD, folder.path(""), libc::O_WRONLY, 0);
        assert_errno(submit(op).await, libc::EISDIR);
        let op = OpenAt::new(CWD, folder.path(""), libc::O_DIRECTORY, 0);
        let dir = SharedFd::new(submit(op).await.expect("a folder"));
        assert_errno(submit(OpenAt::new(dir, "nothing", 0, 0)).await, libc::ENOENT);
    });
}

#[test]
fn nul_byte_in_the_path() {
    let folder = Folder::new();
    block_on(async {
        let flags = libc::O_CREAT | libc::O_RDWR;
        assert_nul(submit(OpenAt::new(&folder.fd, "a\0b", flags, 0o600)).await);
        assert_nul(submit(OpenAt::new(&folder.fd, Path::new("\0"), flags, 0o600)).await);
    });
    assert!(!folder.has("a"));
}

/// A signal may come between, and whether the file was made then nobody knows: so it says.
async fn create_new(folder: &Folder, name: &str) -> io::Result<OwnedFd> {
    loop {
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
        let result = submit(OpenAt::new(&folder.fd, name, flags, 0o600)).await;
        match result {
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            result => break result,
        }
    }
}

/// For a FIFO. An open is tried without waiting first, and for a reader of a FIFO that succeeds;
/// what may create goes to a kernel worker at once, and waits there.
const WAITING: i32 = libc::O_RDONLY | libc::O_CREAT;

/// A FIFO: to open it for reading waits until somebody opens it for writing.
fn fifo() -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    let path = folder.path("fifo");
    let name = std::ffi::CString::new(path.to_str().expect("text")).expect("no NUL");
    // SAFETY: the path is alive and ends with a NUL byte.
    let answer = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    (folder, path)
}

/// Runs `test` with the open of a FIFO that is in a kernel worker, and counts.
fn waits_for_a_partner(test: impl AsyncFnOnce(Submission<OpenAt>, &Path)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (_folder, path) = fifo();
        let mut op = submit(OpenAt::new(CWD, path.as_path(), WAITING, 0o600));
        assert!(submit_only(&mut op).await.is_pending());
        test(op, &path).await;
    });
    drop(runtime);
    ledger.close();
}
