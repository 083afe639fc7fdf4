//! The few descriptors that the model needs, which Miri has too.
//!
//! # Safety
//!
//! libc calls whose arguments live on this stack, and descriptors that they just made.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};

/// A pipe: the writing end, for a result, and the reading end, which tells when that is closed.
pub(super) fn placeholder() -> (RawFd, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) };
    assert_eq!(made, 0, "no pipe: {}", std::io::Error::last_os_error());
    // SAFETY: the call just made it, so nobody else owns it.
    (ends[1], unsafe { File::from_raw_fd(ends[0]) })
}

/// Whether this number is a descriptor.
pub(super) fn is_open(fd: RawFd) -> bool {
    // SAFETY: it only looks.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Reads an eventfd; true if there was anything.
pub(super) fn drain_eventfd(fd: RawFd) -> bool {
    // SAFETY: the ring that lent it keeps it open, and `ManuallyDrop` does not close it.
    let mut eventfd = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    eventfd.read(&mut [0; 8]).is_ok()
}
