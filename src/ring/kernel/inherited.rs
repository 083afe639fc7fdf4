//! Descriptors that the process was started with.
//!
//! # Safety
//!
//! Who starts a process with `LISTEN_PID` set to its number gives it the descriptors from 3 on:
//! they are nobody else's. They are taken once in the life of the process, and only if all of them
//! are what was promised: where the promise is not kept, these numbers are the runtime's own.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first of them (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// Takes over `count` descriptors that the process was started with, and has them closed at exec;
/// or none, if `check` does not find each to be what was promised. `None`: they were taken before.
/// The caller has seen that the environment gives them to this process.
pub(crate) fn take(
    count: usize,
    check: impl Fn(BorrowedFd<'_>) -> io::Result<()>,
) -> Option<io::Result<Vec<OwnedFd>>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let numbers = || (0..count).map(|index| FIRST + index as RawFd);
    if let Err(error) = numbers().try_for_each(|number| check_one(number, &check)) {
        return (!TAKEN.load(Ordering::Relaxed)).then_some(Err(error));
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    Some(numbers().map(take_one).collect())
}

fn check_one(number: RawFd, check: impl Fn(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        let text = format!(
            "descriptor {number}, which LISTEN_FDS promises, is not open: who starts this process \
             has to pass its listening sockets as descriptors {FIRST} and on"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // SAFETY: it is open, and is only asked what it is.
    check(unsafe { BorrowedFd::borrow_raw(number) })
}

fn take_one(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, it was given to this process, and nobody else takes it: `take` does so
    // once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
