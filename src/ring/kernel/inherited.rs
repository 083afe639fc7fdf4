//! Descriptors that the process was started with.
//!
//! # Safety
//!
//! Who starts a process with `LISTEN_PID` set to its number gives it the descriptors from 3 on:
//! they are nobody else's. They are taken once in the life of the process.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first of them (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// Takes over `count` descriptors that the process was started with, and has them closed at exec.
/// `None`: they were taken before. The caller has seen that the environment gives them to this
/// process.
pub(crate) fn take(count: usize) -> Option<io::Result<Vec<OwnedFd>>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    Some((0..count).map(|index| take_one(FIRST + index as RawFd)).collect())
}

fn take_one(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        let text = format!(
            "descriptor {number}, which LISTEN_FDS promises, is not open: who starts this process \
             has to pass its listening sockets as descriptors {FIRST} and on"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // SAFETY: no pointers.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, it was given to this process, and nobody else takes it: `take` runs once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
