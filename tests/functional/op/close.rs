//! `CLOSE`.
//!
//! # Safety
//!
//! One system call that makes a descriptor, and its owner.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use ringspun::op::{CWD, Close, Fixed, Read, SharedFd, Submission, Write, link, stdin, submit};

use super::files::{self, FileCase, assert_errno, dev_null};
use super::suite::{self, Case};
use crate::support::{
    Buffers, Ledger, Pipe, block_on, open_fds, own_files, poll_once, submit_only, turn, until,
};

/// A descriptor of its own for each op. Whatever becomes of the op, it is closed: the suite counts.
struct CloseOne;

impl Case for CloseOne {
    type Op = Close;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENXIO;

    fn new(_: &Buffers) -> CloseOne {
        CloseOne
    }

    fn op(&mut self) -> Submission<Close> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is open");
    }

    /// There are no registered files.
    fn bad_op(&mut self) -> Submission<Close> {
        submit(Close::new(Fixed(0)))
    }
}

impl FileCase for CloseOne {
    fn plain(&mut self) -> Close {
        Close::new(dev_null())
    }
}

#[test]
fn ok() {
    suite::ok::<CloseOne>();
}

#[test]
fn error() {
    suite::error::<CloseOne>();
}

#[test]
fn timeout() {
    files::timeout::<CloseOne>();
}

#[test]
fn cancelled() {
    files::cancelled::<CloseOne>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<CloseOne>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<CloseOne>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<CloseOne>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<CloseOne>();
}

#[test]
fn not_while_it_has_other_owners() {
    let ledger = Ledger::open();
    block_on(async {
        let fd = SharedFd::new(dev_null());
        assert_busy(submit(Close::new(&fd)).await);
        assert!(is_open(fd.as_raw_fd()));
        let file = Rc::new(File::open("/dev/null").expect("it is there"));
        assert_busy(submit(Close::new(Rc::clone(&file))).await);
        assert!(is_open(file.as_raw_fd()));
        // The last owner of a shared descriptor may, one behind an `Rc` of anything may not.
        submit(Close::new(fd)).await.expect("it is open");
        assert_busy(submit(Close::new(file)).await);
    });
    ledger.close();
}

#[test]
fn not_while_an_op_is_in_flight_on_it() {
    let ledger = Ledger::open();
    block_on(async {
        let Pipe { reader, mut writer } = Pipe::new();
        let mut read = submit(Read::new(&reader, Vec::with_capacity(4), Read::CURSOR));
        assert!(submit_only(&mut read).await.is_pending());
        assert_busy(submit(Close::new(reader)).await);
        io::Write::write_all(&mut writer, b"text").expect("it is still open");
        let (result, text) = read.await;
        assert_eq!(result.expect("text"), 4);
        assert_eq!(text, b"text");
    });
    ledger.close();
}

#[test]
fn who_are_owners_is_asked_when_it_is_submitted() {
    let ledger = Ledger::open();
    block_on(async {
        let fd = SharedFd::new(dev_null());
        let clone = fd.clone();
        let close = submit(Close::new(fd));
        drop(clone);
        close.await.expect("it is the only owner now");
    });
    ledger.close();
}

#[test]
fn never_twice() {
    own_files();
    let before = open_fds();
    block_on(async {
        let fd = dev_null();
        let number = fd.as_raw_fd();
        submit(Close::new(fd)).await.expect("it is open");
        assert!(!is_open(number));
        assert_lives_on(number).await;
    });
    assert_eq!(open_fds(), before);
}

#[test]
fn never_twice_if_it_was_cancelled() {
    for turned in [false, true] {
        own_files();
        let before = open_fds();
        block_on(async {
            let fd = dev_null();
            let number = fd.as_raw_fd();
            let mut close = submit(Close::new(fd));
            if poll_once(&mut close).await.is_pending() {
                if turned {
                    turn().await;
                }
                close.request_cancel();
                if let Err(error) = close.await {
                    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
                }
            }
            assert!(!is_open(number));
            assert_lives_on(number).await;
        });
        assert_eq!(open_fds(), before);
    }
}

#[test]
fn never_twice_if_it_was_dropped() {
    own_files();
    let before = open_fds();
    block_on(async {
        let fd = dev_null();
        let number = fd.as_raw_fd();
        let mut close = submit(Close::new(fd));
        let _ = poll_once(&mut close).await;
        drop(close);
        until("it is closed all the same", || !is_open(number)).await;
        assert_lives_on(number).await;
    });
    assert_eq!(open_fds(), before);
}

#[test]
fn a_descriptor_that_the_kernel_refuses_to_close_is_left_open() {
    own_files();
    let before = open_fds();
    let number = block_on(async {
        let fd = other_ring();
        let number = fd.as_raw_fd();
        assert_errno(submit(Close::new(fd)).await, libc::EBADF);
        assert!(is_open(number));
        number
    });
    assert_eq!(open_fds(), before + 1);
    // SAFETY: it is open, and the op has parted from it.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    assert_eq!(open_fds(), before);
}

#[test]
fn what_is_nobodys_is_not_closed() {
    block_on(async {
        assert_busy(submit(Close::new(stdin())).await);
        assert_busy(submit(Close::new(CWD)).await);
    });
    assert!(is_open(0));
}

#[test]
fn the_end_of_a_pipe_is_seen_by_the_other() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        let (writer, again) = (SharedFd::new(writer), Write::CURSOR);
        submit(Write::new(&writer, "text", again)).await.0.expect("room");
        submit(Close::new(writer)).await.expect("it is open");
        let read = async || submit(Read::new(&reader, Vec::with_capacity(9), Read::CURSOR)).await;
        assert_eq!(read().await.1, b"text");
        assert_eq!(read().await.0.expect("the end"), 0);
    });
}

#[test]
fn behind_another_op_in_a_chain() {
    let ledger = Ledger::open();
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        let written = Write::new(SharedFd::new(writer), "text", Write::CURSOR);
        let ((written, _), closed) =
            link((written, Close::new(dev_null()))).await.expect("it fits");
        assert_eq!(written.expect("room"), 4);
        closed.expect("it is open");
        drop(reader);
    });
    ledger.close();
}

#[track_caller]
fn assert_busy(result: io::Result<()>) {
    let error = result.expect_err("it should be refused");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("has other owners"), "{error}");
}

/// What gets the number next stays open, whatever is still to be dropped.
async fn assert_lives_on(number: RawFd) {
    let next = dev_null();
    assert_eq!(next.as_raw_fd(), number, "the lowest number that is free");
    turn().await;
    assert!(is_open(number));
    drop(next);
}

fn is_open(number: RawFd) -> bool {
    std::fs::symlink_metadata(format!("/proc/thread-self/fd/{number}")).is_ok()
}

/// A ring beside ours: the kernel does not close such a thing.
fn other_ring() -> OwnedFd {
    let mut params = [0_u8; 120];
    let address = params.as_mut_ptr();
    // SAFETY: 120 writable bytes are what the call takes.
    let answer = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, address) };
    let number = RawFd::try_from(answer).expect("a number");
    assert!(number >= 0, "{}", io::Error::last_os_error());
    // SAFETY: just made, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(number) }
}
