//! `IORING_OP_OPENAT`: open a file.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Opens a file relative to a directory ([`CWD`](super::CWD) for the current one). See `openat(2)`.
/// Linux 5.6.
///
/// `flags` are `O_*` of libc; `O_CLOEXEC` is always added. `mode` is that of a file which is
/// created, less the umask.
///
/// # Errors
///
/// Those of the system call; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path with a NUL
/// byte inside.
///
/// # Cancellation
///
/// One that waits in a kernel worker (a FIFO without a partner, opened with `O_CREAT`) is
/// interrupted: `ECANCELED`. Without `O_CREAT` the kernel first tries without waiting, and a FIFO
/// that is opened for reading is open at once. If the future is dropped and the file was open
/// already, it is closed; one that was created stays.
#[derive(Debug)]
pub struct OpenAt {
    dir: OpFd,
    path: OpPath,
    flags: i32,
    mode: u32,
    /// Submitted once already: a signal came between.
    again: bool,
}

impl OpenAt {
    /// Describes the open.
    pub fn new(dir: impl IntoOpFd, path: impl IntoPath, flags: i32, mode: u32) -> OpenAt {
        let flags = flags | libc::O_CLOEXEC;
        OpenAt { dir: dir.into_op_fd(), path: OpPath::new(path), flags, mode, again: false }
    }
}

// SAFETY: O1: the entry points to `path`'s bytes only, which are on the heap, and the kernel only
// reads them; O4: `dir` is owned.
unsafe impl Op for OpenAt {
    type Output = io::Result<OwnedFd>;

    fn prepare(&mut self) -> Sqe {
        // With O_EXCL the file may have been created: a second try would get EEXIST.
        if std::mem::replace(&mut self.again, true) && self.flags & libc::O_EXCL != 0 {
            self.path = OpPath::failed(libc::ECANCELED);
        }
        let Some(path) = self.path.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::OpenAt::CODE);
        self.dir.set(&mut sqe);
        sqe.addr = path;
        sqe.len = self.mode;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<OwnedFd> {
        self.path.check()?;
        let fd = completion.into_result()?;
        // SAFETY: O3: the kernel made this descriptor for this entry and gives it once.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}
